/* epitaph stack: the stacks of a live process, or of a core. A live one is
 * stopped while its registers, maps and stacks are read, and no longer; names
 * are looked for afterwards. Its memory is as untrusted as a core is. */
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../lib/proc/core.h"
#include "../../lib/proc/files.h"
#include "../../lib/proc/maps.h"
#include "../../lib/proc/perfmap.h"
#include "../../lib/proc/stop.h"
#include "../../lib/report/clock.h"
#include "../../lib/unwind/unwind.h"
#include "../print.h"
#include "cli.h"
#include "servers.h"

static const char verb[] = "stack";

enum {
	STOP_DEADLINE_MS = 2000,
	PERFMAP_DEADLINE_MS = 2000,
	PATH_LEN = 64,
	FIRST_MAPS = 256 * 1024, /* of most; twice that until it fits */
	MAX_MAPS = 64 << 20,     /* 65,530 lines with long paths */
	RED_ZONE = 128,
	STACK_KEPT = 64 << 10,   /* of each thread, for its variables */
};

struct arguments {
	struct cli_options options;
	pid_t pid; /* 0: a file */
	const char *file;
	bool args;
};

/* What was seen of a process, or of a core; one of the two. */
struct subject {
	struct report report;
	struct core core;
	bool is_live;
	int64_t stopped_us;
};

static bool parse_pid(const char *text, pid_t *pid_out)
{
	char *end;
	long pid = strtol(text, &end, 10);

	if (end == text || *end != '\0' || pid <= 0 || pid > INT32_MAX)
		return false;
	*pid_out = (pid_t)pid;
	return true;
}

static int check(int argc, char **argv, struct arguments *out)
{
	if (out->pid && optind < argc)
		return cli_usage(verb, "either -p PID or one FILE");
	if (out->pid)
		return -1;
	if (optind == argc)
		return cli_usage(verb, "neither -p PID nor a file is named");
	if (argc - optind > 1)
		return cli_usage(verb, "only one file");
	out->file = argv[optind];
	return -1;
}

/* -1, or the exit status. */
static int parse(int argc, char **argv, struct arguments *out)
{
	static const struct option options[] = {
		{ "args", no_argument, NULL, 'A' },
		{ "help", no_argument, NULL, 'h' },
		{ "json", no_argument, NULL, 'j' },
		{ "pid", required_argument, NULL, 'p' },
		{ "symbols", required_argument, NULL, 'S' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "p:S:h", options, NULL)) !=
	       -1) {
		switch (option) {
		case 'h':
			return cli_help(verb);
		case 'A':
			out->args = true;
			break;
		case 'j':
			out->options.json = true;
			break;
		case 'p':
			if (!parse_pid(optarg, &out->pid))
				return cli_usage(verb, "%s is no process id",
						 optarg);
			break;
		case 'S':
			if (!cli_add_dir(&out->options, optarg))
				return cli_usage(verb, "-S: too many");
			break;
		default:
			return cli_usage(verb, "wrong option");
		}
	}
	return check(argc, argv, out);
}

/* All of a /proc file, with a NUL behind it: malloc'd. */
static char *read_all(const char *path, size_t *len_out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t cap = FIRST_MAPS, len = 0;
	char *text = NULL, *more;
	ssize_t n = fd >= 0 ? 1 : 0;

	while (n > 0 && cap <= MAX_MAPS) {
		more = realloc(text, cap);
		if (!more)
			break;
		text = more;
		while (len < cap - 1 &&
		       (n = read(fd, text + len, cap - 1 - len)) > 0)
			len += (size_t)n;
		cap *= 2;
	}
	if (fd >= 0)
		close(fd);
	if (text)
		text[len] = '\0';
	*len_out = len;
	return text;
}

static struct unwind_module unwind_module(const struct module *module,
					  const struct maps *maps,
					  const struct files *files)
{
	const struct map *map = maps_find(maps, module->base);

	return (struct unwind_module){
		.base = module->base,
		.end = module->base + module->size,
		.elf_fd = map && map->inode ? files_find(files, map->inode) :
					      -1,
		.debug_fd = -1,
	};
}

static struct unwind *make_unwind(const struct report *report,
				  const struct maps *maps,
				  const struct files *files,
				  struct stopped *stopped)
{
	struct unwind_module *modules =
		calloc(report->nmodules + 1, sizeof(*modules));
	struct unwind_range *code = calloc(maps->len + 1, sizeof(*code));
	struct unwind *unwind = NULL;
	size_t ncode = 0;

	for (size_t i = 0; modules && i < report->nmodules; i++)
		modules[i] = unwind_module(&report->modules[i], maps, files);
	for (size_t i = 0; code && i < maps->len; i++)
		if (maps->entries[i].exec)
			code[ncode++] = (struct unwind_range){
				maps->entries[i].start, maps->entries[i].end
			};
	if (modules && code)
		unwind = unwind_new(modules, report->nmodules, code, ncode,
				    stop_read, stopped);
	free(modules);
	free(code);
	return unwind;
}

/* What the process goes on writing to. */
static void keep_stack(struct report *report, struct stopped *stopped,
		       struct thread *thread)
{
	uint64_t from = thread_sp(thread) - RED_ZONE;
	uint8_t *bytes = report_alloc(report, STACK_KEPT);

	if (bytes)
		thread->stack = (struct memory_range){
			.address = from, .bytes = bytes,
			.len = stop_read(stopped, from, bytes, STACK_KEPT),
		};
}

static void unwind_one(struct report *report, struct unwind *unwind,
		       const struct stopped_thread *from, struct frame *frames)
{
	struct thread *thread = &report->threads[report->nthreads++];
	struct unwind_result result;

	thread->tid = (uint32_t)from->tid;
	thread->name = report_string(report, from->name, strlen(from->name));
	thread->truncated = "it did not stop in time";
	if (!from->stopped || from->registers.valid == 0)
		return;
	thread->has_registers = true;
	thread->registers = from->registers;
	unwind_thread(unwind, &from->registers, frames, MAX_FRAMES, &result);
	thread->frames = report_copy(report, frames,
				     result.nframes * sizeof(*frames));
	thread->nframes = thread->frames ? result.nframes : 0;
	thread->depth = result.depth;
	thread->truncated = result.truncated;
}

static bool unwind_all(struct report *report, const struct maps *maps,
		       const struct files *files, struct stopped *stopped,
		       bool keeps_stacks, struct error *err)
{
	struct unwind *unwind = make_unwind(report, maps, files, stopped);
	struct frame *frames = calloc(MAX_FRAMES, sizeof(*frames));

	report->threads = report_alloc(report, (stopped->nthreads + 1) *
						       sizeof(struct thread));
	if (unwind && frames && report->threads)
		for (size_t i = 0; i < stopped->nthreads; i++) {
			unwind_one(report, unwind, &stopped->threads[i],
				   frames);
			if (keeps_stacks && report->threads[i].has_registers)
				keep_stack(report, stopped,
					   &report->threads[i]);
		}
	unwind_free(unwind);
	free(frames);
	if (report->nthreads == 0)
		return fail(err, ERR_NO_MEMORY, "no memory");
	return true;
}

/* The memory map of process PID; *TEXT_OUT is what it borrows. */
static bool read_maps(pid_t pid, char **text_out, struct maps *maps_out,
		      struct error *err)
{
	char path[PATH_LEN];
	size_t len;
	char *text;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	text = read_all(path, &len);
	if (!text || len == 0) {
		free(text);
		return fail(err, ERR_NOT_FOUND, "it has no memory map: "
			    "it is exiting, or a kernel thread");
	}
	if (!maps_parse(text, len, maps_out, err)) {
		free(text);
		return false;
	}
	*text_out = text;
	return true;
}

/* Before it stands still, since opening files takes time. */
static void open_files(pid_t pid, struct files *out)
{
	struct error ignored;
	struct maps maps;
	char *text;

	*out = (struct files){ .len = 0 };
	if (!read_maps(pid, &text, &maps, &ignored))
		return;
	files_open(pid, &maps, out);
	maps_free(&maps);
	free(text);
}

/* While the process stands still. */
static bool look(struct report *report, const struct files *files,
		 struct stopped *stopped, bool keeps_stacks,
		 struct perfmap *perfmap_out, struct error *err)
{
	struct maps maps;
	char *text;
	bool ok;

	if (!read_maps(stopped->pid, &text, &maps, err))
		return false;
	ok = maps_modules(&maps, stop_read, stopped, report, err) &&
	     unwind_all(report, &maps, files, stopped, keeps_stacks, err);
	if (ok)
		perfmap_want(report, &maps, perfmap_out);
	maps_free(&maps);
	free(text);
	return ok;
}

/* Names of what it compiled itself. It goes on meanwhile, so what is compiled
 * over a frame's code in these milliseconds may name it. */
static void read_perfmap(pid_t pid, struct perfmap *perfmap,
			 struct report *report)
{
	struct perfmap_owner owner;
	char root[PATH_LEN];

	if (perfmap->nplaces > 0 &&
	    perfmap_owner_of(pid, root, sizeof(root), &owner) &&
	    perfmap_open(perfmap, &owner))
		perfmap_read(perfmap,
			     clock_monotonic_ms() + PERFMAP_DEADLINE_MS,
			     report);
	perfmap_close(perfmap);
}

static bool look_at_process(pid_t pid, bool keeps_stacks, struct subject *out,
			    struct error *err)
{
	struct perfmap perfmap = { .nplaces = 0 };
	struct stopped stopped;
	struct files files;
	bool ok;

	if (!report_init(&out->report, err))
		return false;
	out->is_live = true;
	out->report.pid = (uint32_t)pid;
	open_files(pid, &files);
	ok = stop_process(pid, STOP_DEADLINE_MS, &stopped, err);
	if (ok) {
		ok = look(&out->report, &files, &stopped, keeps_stacks,
			  &perfmap, err);
		out->stopped_us = stop_release(&stopped);
	}
	files_close(&files);
	read_perfmap(pid, &perfmap, &out->report);
	if (!ok)
		report_free(&out->report);
	return ok;
}

static void print_json(const struct subject *subject,
		       const struct symbolized *symbolized)
{
	const struct report *report = &subject->report;
	json_t *json = json_object();

	json_object_set_new(json, "pid", json_integer(report->pid));
	json_object_set_new(json, "threads",
			    print_threads_json(report, symbolized));
	json_object_set_new(json, "modules",
			    print_modules_json(report, symbolized));
	json_object_set_new(json, "stopped_us",
			    subject->is_live ?
				    json_integer(subject->stopped_us) :
				    json_null());
	json_dumpf(json, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(json);
}

static void print_text(const struct subject *subject,
		       const struct symbolized *symbolized)
{
	const struct report *report = &subject->report;
	struct print_style style = {
		.color = cli_color(stdout),
		.all_threads = true,
	};

	for (size_t i = 0; i < report->nthreads; i++) {
		print_thread_text(stdout, report, symbolized,
				  &report->threads[i], &style);
		putchar('\n');
	}
	if (symbolized->trouble)
		printf("names are missing: %s\n", symbolized->trouble);
	if (subject->is_live)
		printf("process %u was stopped for %" PRId64 ".%03d ms\n",
		       report->pid, subject->stopped_us / 1000,
		       (int)(subject->stopped_us % 1000));
}

/* The process may see other files under its paths than we do. */
static const char *other_root(const struct subject *subject, char *path,
			      size_t size)
{
	struct stat ours, theirs;
	char ns[PATH_LEN];

	if (!subject->is_live)
		return NULL;
	snprintf(ns, sizeof(ns), "/proc/%u/ns/mnt", subject->report.pid);
	if (stat(ns, &theirs) != 0 || stat("/proc/self/ns/mnt", &ours) != 0 ||
	    ours.st_ino == theirs.st_ino)
		return NULL;
	snprintf(path, size, "/proc/%u/root", subject->report.pid);
	return path;
}

static void show_progress(void *context, size_t done, size_t total)
{
	cli_progress(context, done, total);
}

static bool show(struct subject *subject, const struct arguments *arguments,
		 struct error *err)
{
	char what[] = "symbolizing", root[PATH_LEN];
	static struct servers servers;
	struct symbolize_options options = {
		.dirs = arguments->options.dirs,
		.ndirs = arguments->options.ndirs,
		.root = other_root(subject, root, sizeof(root)),
		.debuginfod = servers_options(&servers),
		.wants_variables = arguments->args,
		.progress = show_progress,
		.context = what,
	};
	struct symbolized symbolized;
	bool ok = symbolize(&subject->report, &options, &symbolized, err);

	cli_progress_end();
	if (!ok)
		return false;
	if (arguments->options.json)
		print_json(subject, &symbolized);
	else
		print_text(subject, &symbolized);
	if (fflush(stdout) != 0 || ferror(stdout))
		return fail_errno(err, "write");
	return true;
}

int cli_stack(int argc, char **argv)
{
	struct arguments arguments = { .pid = 0 };
	int status = parse(argc, argv, &arguments);
	struct subject subject = { .is_live = false };
	char object[PATH_LEN];
	struct error err;
	bool ok;

	if (status >= 0)
		return status;
	snprintf(object, sizeof(object), "%d", arguments.pid);
	ok = arguments.pid ?
		     look_at_process(arguments.pid, arguments.args, &subject,
				     &err) :
		     core_load(arguments.file, &subject.core, &subject.report,
			       &err);
	if (ok) {
		ok = show(&subject, &arguments, &err);
		report_free(&subject.report);
		if (!subject.is_live)
			core_close(&subject.core);
	}
	if (!ok)
		return cli_fail(verb, arguments.file ? arguments.file : object,
				&err);
	return CLI_DONE;
}
