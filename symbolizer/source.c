/* Lines of source. Runs in the command line. A debug file says which file it
 * is, and it may say anything: only regular files of bounded size are read, and
 * lines are cut; they are escaped where they are printed. */
#include "source.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "print.h"
#include "regular.h"

enum {
	MAX_FILE = 16 << 20, /* SQLite in one file has 9 MB */
	MAX_READ = 1 << 28,  /* of all files */
	MAX_LINE = 256,      /* bytes of one that are shown */
};

/* A file as it was read last. */
struct text {
	char *path; /* as a frame has it; NULL: none */
	char *real; /* that was read; NULL: it is not there */
	char *bytes;
	size_t len;
	time_t changed;
};

struct work {
	const json_t *document;
	const struct source_options *options;
	struct text text;
	size_t read;
};

/* Files */

static bool is_public(const struct stat *st)
{
	uid_t user = geteuid();

	return st->st_mode & S_IROTH || (user != 0 && st->st_uid == user);
}

static bool read_all(int fd, struct text *text)
{
	size_t at = 0;

	while (at < text->len) {
		ssize_t n = read(fd, text->bytes + at, text->len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		if (n == 0)
			break;
		at += (size_t)n;
	}
	text->len = at;
	return true;
}

/* The file PATH into TEXT; false where it is not there, or not to be read. */
static bool read_file(struct work *work, const char *path)
{
	struct text *text = &work->text;
	struct stat st;
	bool done = false;
	int fd;

	if (!regular_open(path, &fd, NULL))
		return false;
	if (fstat(fd, &st) == 0 && st.st_size > 0 && st.st_size <= MAX_FILE &&
	    (size_t)st.st_size <= MAX_READ - work->read &&
	    (!work->options->public_only || is_public(&st))) {
		text->len = (size_t)st.st_size;
		text->changed = st.st_mtime;
		text->bytes = malloc(text->len);
		done = text->bytes && read_all(fd, text);
		work->read += text->len;
	}
	close(fd);
	if (done)
		text->real = strdup(path);
	return done && text->real;
}

static void forget(struct text *text)
{
	free(text->path);
	free(text->real);
	free(text->bytes);
	*text = (struct text){ 0 };
}

static bool try(struct work *work, const char *dir, const char *rest)
{
	char path[2 * PATH_MAX];

	return (size_t)snprintf(path, sizeof(path), "%s/%s", dir, rest) <
		       sizeof(path) &&
	       read_file(work, path);
}

/* "FROM=TO": TO stands for FROM at PATH's beginning. */
static bool try_other_place(struct work *work, const char *rule,
			    const char *equals, const char *path)
{
	size_t len = (size_t)(equals - rule);

	return strncmp(path, rule, len) == 0 &&
	       (path[len] == '/' || path[len] == '\0') &&
	       try(work, equals + 1, path + len);
}

/* Below DIR by all of PATH, or by as much of its end as there is. */
static bool try_below(struct work *work, const char *dir, const char *path)
{
	while (*path) {
		path += strspn(path, "/");
		if (*path && try(work, dir, path))
			return true;
		path += strcspn(path, "/");
	}
	return false;
}

/* The text of the file that frames call PATH. */
static bool find_file(struct work *work, const char *path)
{
	const struct source_options *options = work->options;
	struct text *text = &work->text;

	if (text->path && strcmp(text->path, path) == 0)
		return text->real != NULL;
	forget(text);
	text->path = strdup(path);
	for (size_t i = 0; text->path && i < options->npaths; i++) {
		const char *rule = options->paths[i];
		const char *equals = strchr(rule, '=');

		if (equals ? try_other_place(work, rule, equals, path)
			   : try_below(work, rule, path))
			return true;
	}
	return text->path && path[0] == '/' && read_file(work, path);
}

/* Lines */

/* Line NUMBER of TEXT, from 1; false where it has no such line. */
static bool find_line(const struct text *text, json_int_t number, size_t *at)
{
	const char *start = text->bytes, *end = text->bytes + text->len;

	while (--number > 0 && start < end) {
		start = memchr(start, '\n', (size_t)(end - start));
		start = start ? start + 1 : end;
	}
	*at = (size_t)(start - text->bytes);
	return start < end;
}

/* The line at *AT, which is left behind it. NULL where it is none of a text. */
static json_t *take_line(const struct text *text, size_t *at)
{
	const char *start = text->bytes + *at;
	size_t left = text->len - *at, len;
	const char *newline = memchr(start, '\n', left);
	char line[MAX_LINE + 1];

	len = newline ? (size_t)(newline - start) : left;
	*at += newline ? len + 1 : len;
	if (len > 0 && start[len - 1] == '\r')
		len--;
	if (len > MAX_LINE)
		len = MAX_LINE;
	if (memchr(start, '\0', len))
		return NULL;
	memcpy(line, start, len);
	line[len] = '\0';
	return print_json_text(line);
}

/* Those around NUMBER, from FIRST on; NULL where there are none. */
static json_t *take_lines(const struct text *text, json_int_t first,
			  json_int_t last)
{
	json_t *lines = json_array();
	size_t at = 0;

	if (!find_line(text, first, &at)) {
		json_decref(lines);
		return NULL;
	}
	for (; first <= last && at < text->len; first++)
		if (json_array_append_new(lines, take_line(text, &at)) != 0) {
			json_decref(lines);
			return NULL;
		}
	return lines;
}

/* Times */

/* When the report was made; -1 where it does not say. */
static time_t report_time(const json_t *document)
{
	const char *text = json_string_value(json_object_get(document, "time"));
	struct tm tm = { 0 };

	return text && strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) ? timegm(&tm)
								: -1;
}

/* When the module with BUILD_ID was; -1 where it is no longer there. */
static time_t module_time(const json_t *document, const char *build_id)
{
	const json_t *modules = json_object_get(document, "modules"), *module;
	struct stat st;
	size_t i;

	json_array_foreach(modules, i, module) {
		const char *id = json_string_value(
			json_object_get(module, "build_id"));
		const char *path = json_string_value(
			json_object_get(module, "path"));

		if (id && path && build_id && strcmp(id, build_id) == 0)
			return stat(path, &st) == 0 ? st.st_mtime : -1;
	}
	return -1;
}

/* Whether the text was changed after FRAME's module was built, or at least
 * after it crashed. */
static bool is_newer(const struct work *work, const json_t *frame)
{
	time_t built = module_time(
		work->document,
		json_string_value(json_object_get(frame, "build_id")));
	time_t crashed = report_time(work->document);

	return (built >= 0 && work->text.changed > built) ||
	       (crashed >= 0 && work->text.changed > crashed);
}

/* Frames */

static bool has_line(const json_t *frame)
{
	const char *file = json_string_value(json_object_get(frame, "file"));

	return file && *file &&
	       json_integer_value(json_object_get(frame, "line")) > 0;
}

/* False where it gets no source. */
static bool add_to_frame(struct work *work, json_t *frame)
{
	json_int_t line = json_integer_value(json_object_get(frame, "line"));
	json_int_t around = work->options->around;
	json_int_t first = line > around ? line - around : 1;
	json_t *lines;

	if (!has_line(frame) ||
	    !find_file(work, json_string_value(json_object_get(frame, "file"))))
		return false;
	lines = take_lines(&work->text, first, line + around);
	if (!lines || json_array_size(lines) <= (size_t)(line - first)) {
		json_decref(lines);
		return false;
	}
	return json_object_set_new(
		       frame, "source",
		       json_pack("{s:o, s:I, s:o, s:b}", "path",
				 print_json_text(work->text.real), "first",
				 first, "lines", lines, "newer",
				 is_newer(work, frame))) == 0;
}

static bool is_own(const json_t *frame)
{
	const json_t *flags = json_object_get(frame, "flags"), *flag;
	size_t i;

	json_array_foreach(flags, i, flag)
		if (json_is_string(flag) &&
		    strcmp(json_string_value(flag), "system") == 0)
			return false;
	return has_line(frame);
}

static void add_to_thread(struct work *work, json_t *thread)
{
	json_t *frames = json_object_get(thread, "frames"), *frame;
	size_t i;

	json_array_foreach(frames, i, frame) {
		if (!work->options->all_frames && !is_own(frame))
			continue;
		add_to_frame(work, frame);
		if (!work->options->all_frames)
			return;
	}
}

void source_add(json_t *document, const struct source_options *options)
{
	struct work work = { .document = document, .options = options };
	json_t *threads = json_object_get(document, "threads"), *thread;
	size_t i;

	json_array_foreach(threads, i, thread)
		if (options->all_threads ||
		    json_is_true(json_object_get(thread, "crashed")))
			add_to_thread(&work, thread);
	forget(&work.text);
}
