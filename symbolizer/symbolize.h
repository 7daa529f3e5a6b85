/* From a report to names: functions, inlines, files and lines for every frame,
 * from files alone. ELF and DWARF are read in a child process that can be
 * lost; what it says comes back over a pipe as bounded messages. */
#ifndef EPITAPH_SYMBOLIZER_SYMBOLIZE_H
#define EPITAPH_SYMBOLIZER_SYMBOLIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../lib/report/fingerprint.h"
#include "../lib/report/report.h"

enum {
	SYMBOLIZE_MAX_DIRS = 64,
	SYMBOLIZE_MAX_INLINES = 256, /* Rust iterators nest 30 deep; the rest
	                              * is somebody's joke */
	SYMBOLIZE_MAX_NAME = 16384,  /* bytes of a demangled name */
};

/* Bits of name.flags; contract.md's words for them are in flag_name(). */
enum name_flag {
	NAME_CORRUPT_RA = 1,
	NAME_ICF = 2,
	NAME_APPROXIMATE = 4, /* a line-0 row, or a symbol without a size */
	NAME_TAIL_CALL = 8,
	NAME_SYSTEM = 16,
	NAME_JIT = 32,
	NAME_UNLOADED = 64, /* its module was */
	NAME_FLAGS = 7, /* how many there are */
};

/* "approximate" for bit 2, and so on; NULL past NAME_FLAGS. */
const char *flag_name(unsigned bit);

/* One function at a place in the code. */
struct name {
	const char *function; /* demangled; NULL: not known */
	const char *file;     /* NULL: not known */
	uint32_t line;        /* 0: not known */
	uint32_t flags;
	const char **aliases; /* other functions with this very code */
	size_t naliases;
};

/* Modules are meant by their number in report_module(): unloaded ones have
 * names, too. */

/* A place in a module, and the functions that are there, innermost first: all
 * but the last were inlined. nnames is 0 where nothing is known. */
struct site {
	int32_t module;
	uint64_t offset; /* from the module's base, of the instruction itself:
	                  * for a return address, of the call */
	struct name *names;
	size_t nnames;
};

/* A function that a call went through and left by a jump, so that no stack
 * holds a frame of it: inferred (tailcall.h). */
struct passed {
	struct frame frame; /* pc: behind the jump. trust: that of the frame
	                     * that returns to the call, as it goes with it */
	struct name *names; /* as a site's */
	size_t nnames;
};

/* What was passed between two frames that follow each other in a module. */
struct gap {
	int32_t module;
	uint64_t inner; /* offset of the inner frame's site */
	uint64_t outer; /* of the outer frame: where the call returns to */
	enum trust trust; /* the outer frame's */
	struct passed *passed; /* innermost first */
	size_t npassed;
};

/* found: debug information, a full symbol table or Go's table of functions with
 * the module's build-id; missing: the build-id is known, but no such file was
 * found (names may still come from the binary's exported symbols); none: the
 * module has no build-id, so that nothing can be looked for. */
enum symbols_status { SYMBOLS_NONE, SYMBOLS_MISSING, SYMBOLS_FOUND };

const char *symbols_status_name(enum symbols_status status);

/* Why a value is not there; the words are contract.md's. */
enum absent {
	ABSENT_NOT,            /* it is there */
	ABSENT_OPTIMIZED_OUT,  /* it was nowhere at that instruction */
	ABSENT_CLOBBERED,      /* it was in a register that the functions
	                        * called since may have used */
	ABSENT_NOT_CAPTURED,   /* it was in memory that was not kept */
	ABSENT_NOT_SET,        /* it has a place, but the function was yet to
	                        * store it there */
	ABSENT_SYNTHETIC,      /* a pointer to what had no address any more */
	ABSENT_THREAD_LOCAL,
	ABSENT_TOO_LARGE,
	ABSENT_NOT_UNDERSTOOD, /* the debug information, or the type */
	ABSENT_COUNT,
};

/* "optimized out", "clobbered", and so on; NULL for ABSENT_NOT. */
const char *absent_name(enum absent why);

struct variable {
	const char *name;
	const char *type;
	const char *value; /* as gdb shows it; NULL where it is not there */
	enum absent why;
	bool is_argument;
};

/* Those of a function at a frame: arguments first, then by block, the innermost
 * one's first. */
struct variables {
	struct variable *list;
	size_t n;
};

/* Those of a frame: of the functions inlined there, the innermost first, and
 * then of the one that holds them. */
struct frame_variables {
	struct variables *functions;
	size_t nfunctions; /* 0: nothing is known of any */
};

/* Those of a thread's frames, from the innermost on as far as registers are
 * certain. */
struct thread_variables {
	struct frame_variables *frames;
	size_t nframes;
};

enum { VARIABLES_MAX_FRAMES = 256 }; /* of a thread */

struct module_symbols {
	enum symbols_status status;
	const char *debug; /* path of the file that had the names, or NULL */
	const char *why;   /* what went wrong with this module, or NULL */
};

/* Called now and then with how many of the modules are done. */
typedef void symbolize_progress(void *context, size_t done, size_t total);

struct debuginfod_options;

struct symbolize_options {
	const char *const *dirs; /* -S, in order; searched first */
	size_t ndirs;
	int64_t deadline_ms;  /* for one report; 0: SYMBOLIZE_DEADLINE_MS */
	bool crashed_only;    /* name the crashing thread's frames alone */
	bool leaves_nothing;  /* in the symbol store */
	bool wants_variables; /* they are the user's data */
	const char *root;     /* before the modules' paths, such as
	                       * /proc/PID/root; NULL: none */
	const struct debuginfod_options *debuginfod; /* asked for what is
	                                              * missing; or NULL */
	symbolize_progress *progress; /* or NULL */
	void *context;
};

enum { SYMBOLIZE_DEADLINE_MS = 120000 };

/* Everything in it lives in the report's arena. */
struct symbolized {
	const struct report *report; /* that it is about */
	struct site *sites; /* by module, then offset; each once */
	size_t nsites;
	struct gap *gaps; /* by module, inner, outer, trust; each once */
	size_t ngaps;
	struct module_symbols *modules; /* as many as the report has, by
	                                 * number, */
	struct name *jit;               /* and as many as it has of jit */
	struct thread_variables *variables; /* as many as the report has
	                                     * threads; NULL: not wanted */
	const char *trouble; /* why names are missing that might be there: the
	                      * child died, time ran out; or NULL */
	struct semantic semantic;
	bool has_semantic; /* false: no thread crashed */
};

/* Find names for the frames of REPORT. Where a thread has registers and a
 * stack but no frames (a dump that is not ours), unwinds it first, from stack
 * and files, and puts the frames into REPORT. Never fails for what is in a
 * file: such frames stay unnamed, and `trouble` says why. False only without
 * memory or where no process can be made. *OUT needs no freeing: it goes with
 * REPORT. */
bool symbolize(struct report *report, const struct symbolize_options *options,
	       struct symbolized *out, struct error *err);

/* One line of a printed stack. */
struct shown_frame {
	size_t index;               /* 0, 1, 2... of the printed ones */
	const struct frame *frame;  /* shared by the inlines that it holds */
	const struct name *name;    /* NULL: not known */
	const struct variables *variables; /* NULL: not wanted, or nothing is
	                                    * known of them */
	bool is_inline;
	bool is_tail_call;          /* inferred: FRAME is not the thread's */
};

/* The frames of THREAD as they are printed, inlines before the frame that
 * holds them, what was passed by tail calls between the two: malloc'd, *LEN_OUT
 * of them. NULL without memory or frames. */
struct shown_frame *symbolized_frames(const struct symbolized *symbolized,
				      const struct thread *thread,
				      size_t *len_out);

#endif
