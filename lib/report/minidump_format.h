/* Numbers of the minidump format that its writer and its reader share:
 * Microsoft's minidumpapiset.h, and Breakpad's minidump_format.h for Linux. */
#ifndef EPITAPH_REPORT_MINIDUMP_FORMAT_H
#define EPITAPH_REPORT_MINIDUMP_FORMAT_H

enum {
	MINIDUMP_SIGNATURE = 0x504d444d, /* "MDMP" */
	MINIDUMP_VERSION = 0xa793,       /* low word; the high one is free */
};

/* Stream types. */
#define STREAM_THREADS 3u
#define STREAM_MODULES 4u
#define STREAM_MEMORY 5u
#define STREAM_EXCEPTION 6u
#define STREAM_SYSTEM 7u
#define STREAM_MEMORY64 9u
#define STREAM_UNLOADED 14u
#define STREAM_MISC 15u
#define STREAM_THREAD_NAMES 24u
/* 0x47670007 is the environment: never written, and not read either. */
#define STREAM_CMDLINE 0x47670006u
#define STREAM_AUXV 0x47670008u
#define STREAM_MAPS 0x47670009u

/* Sizes of what the format repeats, in bytes. */
enum {
	DIRECTORY_ENTRY = 12,
	EXCEPTION_PARAMETERS = 15,
	MEMORY_ENTRY = 16,
	MISC_SIZE = 24,
	MODULE_ENTRY = 108,
	MODULE_VERSION = 52, /* of it, the version resource: Windows' */
	MODULE_RESERVED = 16,
	SYSTEM_CPU = 24,     /* of SystemInfo, the CPU's own words */
	THREAD_ENTRY = 48,
	THREAD_NAME_ENTRY = 12,
	UNLOADED_HEADER = 12,
	UNLOADED_ENTRY = 24,
};

enum {
	PLATFORM_LINUX = 0x8201,
	PLATFORM_ANDROID = 0x8203,

	MISC_HAS_PID = 1,
	MISC_HAS_TIMES = 2,

	CODEVIEW_ELF = 0x4270454c,   /* "LEpB": a bare build-id follows */
	CODEVIEW_PDB70 = 0x53445352, /* "RSDS": 16 bytes of one, an age */
	PDB70_GUID = 16,
};

#endif
