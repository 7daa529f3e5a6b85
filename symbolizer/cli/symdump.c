/* epitaph symbols dump: symbol files of Breakpad's. What is read is read by a
 * child that can be lost over it, which writes the text, too; the parent puts
 * it in its place. */
#include "symdump.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../child.h"
#include "../index/make.h"
#include "../lookup.h"
#include "../symwrite.h"
#include "cli.h"

static const char verb[] = "symbols dump";

enum {
	DEADLINE_MS = 600000,
	BUFFER = 1 << 18,
	MODE = 0666, /* a symbol file is nobody's secret; the umask says */
};

struct order {
	const struct symdump_options *options;
	const char *what; /* a file or a build-id */
	int to;
	size_t done, total; /* of the files before it, and of all */
};

/* What the child says of it, in the end. */
struct answer {
	char name[NAME_MAX + 1], debug_id[SYM_DEBUG_ID];
	struct symrules_left left;
	struct error why; /* what went wrong, or "" */
	char note[MAKE_WHY]; /* what is missing for other reasons, or "" */
	bool done;
};

/* The child */

static struct lookup *open_lookup(struct finder *finder, const char *what,
				  struct error *err)
{
	static struct module module;
	struct lookup *lookup;

	if (access(what, F_OK) == 0)
		return lookup_open_file(finder, what, err);
	if (!build_id_parse(what, &module.build_id)) {
		fail(err, ERR_NOT_FOUND, "neither a file nor a build-id");
		return NULL;
	}
	lookup = lookup_open(finder, &module, true);
	if (!lookup)
		fail(err, ERR_NO_MEMORY, "no memory");
	return lookup;
}

/* Shorten NAME by END, if it ends so. */
static void drop_end(char *name, const char *end)
{
	size_t len = strlen(name), end_len = strlen(end);

	if (len > end_len && strcmp(name + len - end_len, end) == 0)
		name[len - end_len] = '\0';
}

/* The module's file name, as a process that has mapped it knows it: by the file
 * that was named, or the one that has the names. */
static void find_name(const struct order *order, struct lookup *lookup,
		      char out[NAME_MAX + 1])
{
	const char *path = order->options->name;
	char real[PATH_MAX];

	if (!path && !realpath(order->what, real))
		path = lookup_debug_path(lookup);
	if (!path)
		path = real;
	if (strrchr(path, '/'))
		path = strrchr(path, '/') + 1;
	snprintf(out, NAME_MAX + 1, "%.*s", NAME_MAX, path);
	if (order->options->name)
		return;
	drop_end(out, ".gz");
	drop_end(out, ".sym");
	drop_end(out, ".debug");
}

static bool write_sym(const struct order *order, struct lookup *lookup,
		      struct answer *answer)
{
	struct error *err = &answer->why;
	struct sym_id id;
	struct index *index = lookup_index(lookup, &id);
	FILE *out = fdopen(order->to, "w");
	bool done;

	if (!out)
		return fail_errno(err, "fdopen");
	if (!index)
		return fail(err, ERR_NOT_FOUND, "no symbols were found");
	setvbuf(out, NULL, _IOFBF, BUFFER);
	find_name(order, lookup, answer->name);
	sym_debug_id(&id, answer->debug_id);
	done = symwrite(index, &id, answer->name, out, &answer->left, err);
	if ((ferror(out) | fclose(out)) && done)
		done = fail_errno(err, "write");
	return done;
}

static void be_the_child(void *context, int fd)
{
	const struct order *order = context;
	struct answer answer = { .done = false };
	struct finder *finder = finder_new(NULL, 0, NULL);
	struct lookup *lookup = NULL;

	if (finder)
		lookup = open_lookup(finder, order->what, &answer.why);
	if (lookup) {
		answer.done = write_sym(order, lookup, &answer);
		if (lookup_why(lookup))
			snprintf(answer.note, sizeof(answer.note), "%s",
				 lookup_why(lookup));
	}
	child_write(fd, &answer, sizeof(answer));
}

/* The parent */

/* A child's idle function. */
static void tell_progress(void *context)
{
	const struct order *order = context;

	cli_progress("writing", order->done, order->total);
}

/* What ORDER says. False where its text is not whole, with ERR. */
static bool run_child(struct order *order, struct answer *answer,
		      struct error *err)
{
	bool is_shown = order->to != STDOUT_FILENO || !isatty(STDOUT_FILENO);
	struct child child = {
		.idle = is_shown ? tell_progress : NULL, .idle_context = order,
	};
	bool is_read;

	if (!child_start(be_the_child, order, child_now_ms() + DEADLINE_MS,
			 &child, err))
		return false;
	is_read = child_read(&child, answer, sizeof(*answer));
	if (!child_reap(&child, err->text, sizeof(err->text)))
		return false;
	if (!is_read)
		return fail(err, ERR_BAD_DATA, "nothing came of it");
	answer->name[NAME_MAX] = answer->debug_id[SYM_DEBUG_ID - 1] = '\0';
	answer->note[MAKE_WHY - 1] = '\0';
	answer->why.text[sizeof(answer->why.text) - 1] = '\0';
	if (!answer->done)
		return fail(err, ERR_BAD_DATA, "%s", answer->why.text);
	return true;
}

static void say_what_is_missing(const char *what, const struct answer *answer)
{
	if (answer->note[0])
		cli_failf(verb, what, "%s", answer->note);
	if (answer->left.rows + answer->left.rules > 0)
		cli_failf(verb, what, "left out, as a symbol file has no words "
			  "for it: %zu places' rules to unwind by, %zu "
			  "registers' rules", answer->left.rows,
			  answer->left.rules);
}

static bool dump_to_file(struct order *order, struct answer *answer,
			 struct error *err)
{
	const char *path = order->options->output;
	bool ok;

	order->to = STDOUT_FILENO;
	if (!path || strcmp(path, "-") == 0)
		return run_child(order, answer, err);
	order->to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, MODE);
	if (order->to < 0)
		return fail_errno(err, "%s: open", path);
	ok = run_child(order, answer, err);
	close(order->to);
	if (!ok)
		unlink(path);
	return ok;
}

static bool make_dir(const char *path, struct error *err)
{
	return mkdir(path, 0777) == 0 || errno == EEXIST ||
	       fail_errno(err, "%s: mkdir", path);
}

/* Put the file FROM where Breakpad's stores have it: NAME/DEBUGID/NAME.sym. */
static bool put_into_tree(const char *tree, const struct answer *answer,
			  const char *from, struct error *err)
{
	char dir[PATH_MAX + NAME_MAX], path[2 * PATH_MAX];

	if (answer->name[0] == '.' || strchr(answer->name, '/') ||
	    answer->name[0] == '\0' || strchr(answer->debug_id, '/'))
		return fail(err, ERR_BAD_DATA, "no name for a file; give one "
			    "with --name");
	snprintf(dir, sizeof(dir), "%s/%s", tree, answer->name);
	if (!make_dir(tree, err) || !make_dir(dir, err))
		return false;
	snprintf(path, sizeof(path), "%s/%s", dir, answer->debug_id);
	if (!make_dir(path, err))
		return false;
	snprintf(path, sizeof(path), "%s/%s/%s.sym", dir, answer->debug_id,
		 answer->name);
	return rename(from, path) == 0 || fail_errno(err, "%s: rename", path);
}

static bool dump_to_tree(struct order *order, struct answer *answer,
			 struct error *err)
{
	const char *tree = order->options->tree;
	char path[PATH_MAX];
	bool ok;

	if ((size_t)snprintf(path, sizeof(path), "%s/.new-%d", tree,
			     (int)getpid()) >= sizeof(path))
		return fail(err, ERR_TOO_LARGE, "--tree: too long");
	if (!make_dir(tree, err))
		return false;
	order->to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW |
			       O_CLOEXEC, MODE);
	if (order->to < 0)
		return fail_errno(err, "%s: open", path);
	ok = run_child(order, answer, err);
	close(order->to);
	ok = ok && put_into_tree(tree, answer, path, err);
	if (!ok)
		unlink(path);
	return ok;
}

int symdump(const struct symdump_options *options, char **list)
{
	struct order order = { .options = options };
	int status = CLI_DONE;

	if (options->output && options->tree)
		return cli_usage(verb, "either -o or --tree");
	if (list[0] && list[1] && (!options->tree || options->name))
		return cli_usage(verb, "several files need --tree, and no "
				 "--name");
	while (list[order.total])
		order.total++;
	for (; order.done < order.total; order.done++) {
		struct answer answer;
		struct error err;

		order.what = list[order.done];
		if (options->tree ? dump_to_tree(&order, &answer, &err)
				  : dump_to_file(&order, &answer, &err))
			say_what_is_missing(order.what, &answer);
		else
			status = cli_fail(verb, order.what, &err);
	}
	cli_progress_end();
	return status;
}
