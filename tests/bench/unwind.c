/* How long it takes to unwind a process as the helper does, from its memory
 * alone:
 *
 *     unwind PID ROUNDS
 *
 * Prints a line for each round, the first one in a process that has just
 * started: microseconds for the main thread, the text of its maps and all
 * modules' build-ids included, and for all others; then, of the first round
 * only, the main thread's frames, the modules that they are in, all modules,
 * other threads, and this process's memory in KiB. Linked as the helper is. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../../lib/proc/maps.h"
#include "../../lib/proc/stop.h"
#include "../../lib/unwind/unwind.h"

enum { MAX_TEXT = 1 << 20, STOP_MS = 2000 };

struct seen {
	double main_us, others_us;
	uint64_t frames;
	size_t crossed, modules;
};

static double now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void die(const char *what)
{
	fprintf(stderr, "unwind: %s\n", what);
	exit(1);
}

/* As the helper does; process_vm_readv asks for permission each time. */
static size_t read_memory(void *context, uint64_t address, void *to,
			  size_t len)
{
	const struct stopped *stopped = context;
	ssize_t n = pread(stopped->mem_fd, to, len, (off_t)address);

	return n > 0 ? (size_t)n : 0;
}

/* As the helper does: in one go, however long it is. */
static char *read_maps(pid_t pid, size_t *len_out)
{
	char path[64], *text = malloc(MAX_TEXT);
	size_t len = 0;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	fd = open(path, O_RDONLY);
	if (fd < 0 || !text)
		die("no maps");
	while ((n = read(fd, text + len, MAX_TEXT - 1 - len)) > 0)
		len += (size_t)n;
	close(fd);
	text[len] = '\0';
	*len_out = len;
	return text;
}

static struct unwind *prepare(const struct report *report,
			      const struct maps *maps,
			      struct stopped *stopped)
{
	struct unwind_module *modules =
		calloc(report->nmodules + 1, sizeof(*modules));
	struct unwind_range *code = calloc(maps->len + 1, sizeof(*code));
	struct unwind *unwind;
	size_t ncode = 0;

	if (!modules || !code)
		die("no memory");
	for (size_t i = 0; i < report->nmodules; i++)
		modules[i] = (struct unwind_module){
			.base = report->modules[i].base,
			.end = report->modules[i].base +
			       report->modules[i].size,
			.elf_fd = -1,
			.debug_fd = -1,
		};
	for (size_t i = 0; i < maps->len; i++)
		if (maps->entries[i].exec)
			code[ncode++] = (struct unwind_range){
				maps->entries[i].start, maps->entries[i].end
			};
	unwind = unwind_new(modules, report->nmodules, code, ncode, read_memory,
			    stopped);
	free(modules);
	free(code);
	if (!unwind)
		die("no memory");
	return unwind;
}

static size_t count_modules(const struct frame *frames, size_t n)
{
	size_t count = 0, j;

	for (size_t i = 0; i < n; i++) {
		for (j = 0; j < i && frames[j].module != frames[i].module;)
			j++;
		count += j == i && frames[i].module >= 0;
	}
	return count;
}

static void look(struct stopped *stopped, struct seen *out)
{
	static struct frame frames[MAX_FRAMES];
	double started = now_us();
	struct unwind_result result;
	struct unwind *unwind;
	struct report report;
	struct error err;
	struct maps maps;
	size_t len;
	char *text = read_maps(stopped->pid, &len);

	if (!report_init(&report, &err) ||
	    !maps_parse(text, len, &maps, &err) ||
	    !maps_modules(&maps, read_memory, stopped, &report, &err))
		die(err.text);
	unwind = prepare(&report, &maps, stopped);
	unwind_thread(unwind, &stopped->threads[0].registers, frames,
		      MAX_FRAMES, &result);
	out->main_us = now_us() - started;
	if (result.truncated)
		die(result.truncated);
	out->frames = result.depth;
	out->crossed = count_modules(frames, result.nframes);
	out->modules = report.nmodules;
	started = now_us();
	for (size_t i = 1; i < stopped->nthreads; i++) {
		unwind_thread(unwind, &stopped->threads[i].registers, frames,
			      MAX_FRAMES, &result);
		if (result.truncated)
			die(result.truncated);
	}
	out->others_us = now_us() - started;
	unwind_free(unwind);
	maps_free(&maps);
	report_free(&report);
	free(text);
}

/* Not ru_maxrss: that is as large as who forked us was. */
static long peak_kib(void)
{
	FILE *file = fopen("/proc/self/status", "r");
	char line[256];
	long kib = -1;

	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, "VmHWM:", 6) == 0)
			kib = strtol(line + 6, NULL, 10);
	if (file)
		fclose(file);
	return kib;
}

int main(int argc, char **argv)
{
	struct stopped stopped;
	struct error err;
	struct seen seen;

	if (argc != 3)
		return 2;
	if (!stop_process((pid_t)strtol(argv[1], NULL, 10), STOP_MS, &stopped,
			  &err))
		die(err.text);
	for (long i = 0; i < strtol(argv[2], NULL, 10); i++) {
		look(&stopped, &seen);
		printf("%.1f\t%.1f", seen.main_us, seen.others_us);
		if (i == 0) {
			printf("\t%" PRIu64 "\t%zu\t%zu\t%zu\t%ld",
			       seen.frames, seen.crossed, seen.modules,
			       stopped.nthreads - 1, peak_kib());
		}
		putchar('\n');
	}
	stop_release(&stopped);
	return 0;
}
