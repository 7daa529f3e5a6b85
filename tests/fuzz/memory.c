/* libFuzzer's way into what the helper looks for in the memory of a dead
 * process: libc's last words, C++ exceptions, Rust panics, the linker's list.
 * The input is the memory, from 0x10000 on: a page of code, one of constants,
 * one of data with the TCB in it, and a stack with the auxiliary vector. */
#include "../../shim/helper/crash.h"
#include "fuzz.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	REMAINS_BASE = 0x10000,
	REMAINS_SIZE = 0x4000,
	REMAINS_TCB = 0x12100,
	REMAINS_SP = 0x13000,
};

static const char remains_maps[] =
	"00010000-00011000 r-xp 00000000 08:01 7  /prog\n"
	"00011000-00012000 r--p 00001000 08:01 7  /prog\n"
	"00012000-00013000 rw-p 00002000 08:01 7  /prog\n"
	"00013000-00014000 rw-p 00000000 00:00 0  [stack]\n";

static struct crash_record remains_record = {
	.tcb = REMAINS_TCB,
	.board = 0x12400,
	.auxv = 0x13c00,
	.main_stack_end = 0x13f00,
	.noted = 0x12800,
	.nnoted = 8,
};

/* A crash whose memory is DATA; MEMORY is a file for it. */
static void open_remains(struct crash *crash, int memory, const uint8_t *data,
			 size_t size)
{
	*crash = (struct crash){ .mem = memory, .maps_fd = -1, .proc = -1,
				 .record = &remains_record };
	if (size > REMAINS_SIZE)
		size = REMAINS_SIZE;
	if (ftruncate(memory, 0) ||
	    pwrite(memory, data, size, REMAINS_BASE) != (ssize_t)size)
		abort();
	crash->maps_text = strdup(remains_maps);
	crash->maps_whole = strdup(remains_maps);
	if (!maps_parse(crash->maps_text, sizeof(remains_maps) - 1,
			&crash->maps, NULL))
		abort();
}

static void close_remains(struct crash *crash)
{
	maps_free(&crash->maps);
	free(crash->maps_text);
	free(crash->maps_whole);
	crash->maps_text = crash->maps_whole = NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int memory = -1;
	struct frame frames[4] = { { .pc = 0x10100 }, { .pc = 0x10800 } };
	struct thread thread = { .crashed = true, .frames = frames,
				 .nframes = 4 };
	struct module module = { .path = "/lib/libc.so.6",
				 .base = REMAINS_BASE, .size = REMAINS_SIZE };
	struct report report;
	struct crash crash;

	if (memory < 0)
		memory = memfd_create("memory", 0);
	if (!report_init(&report, NULL))
		return 0;
	open_remains(&crash, memory, data, size);
	thread.registers.valid = 1u << R_RSP;
	thread.registers.value[R_RSP] = REMAINS_SP;
	report.threads = &thread;
	report.nthreads = 1;
	report.modules = &module;
	report.nmodules = 1;
	report.signal = SIGABRT;
	crash_message(&crash, &report);
	crash_exception(&crash, &report);
	crash_panic(&crash, &report);
	crash_notes(&crash, &report);
	crash_unloaded(&crash, &report);
	close_remains(&crash);
	if (!crash_guess_maps(&crash, NULL))
		abort();
	close_remains(&crash);
	report_free(&report);
	return 0;
}
