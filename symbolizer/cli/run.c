/* epitaph run: put the shim before a program and become it. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cli.h"
#include "install.h"

static const char verb[] = "run";

enum {
	CANNOT_RUN = 126, /* as env(1) */
	NOT_FOUND = 127,
	MAX_TAGS = 4096,
};

static bool add_tag(char *tags, const char *tag)
{
	size_t len = strlen(tags);
	const char *equals = strchr(tag, '=');

	if (equals == NULL || equals == tag || strchr(tag, ',') ||
	    len + strlen(tag) + 2 > MAX_TAGS)
		return false;
	snprintf(tags + len, MAX_TAGS - len, "%s%s", len ? "," : "", tag);
	return true;
}

/* The program may go to another directory before it crashes. */
static bool set_spool(const char *path)
{
	char here[PATH_MAX], absolute[2 * PATH_MAX];

	if (path[0] == '/' || getcwd(here, sizeof(here)) == NULL)
		return setenv("EPITAPH_SPOOL", path, 1) == 0;
	snprintf(absolute, sizeof(absolute), "%s/%s", here, path);
	return setenv("EPITAPH_SPOOL", absolute, 1) == 0;
}

/* -1, or the exit status. Settings go straight into the environment. */
static int parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "collector", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ "release", required_argument, NULL, 'r' },
		{ "spool", required_argument, NULL, 's' },
		{ "tag", required_argument, NULL, 't' },
		{ NULL, 0, NULL, 0 },
	};
	char tags[MAX_TAGS] = "";
	int option;

	while ((option = getopt_long(argc, argv, "+c:r:s:t:h", options,
				     NULL)) != -1) {
		switch (option) {
		case 'c': setenv("EPITAPH_URL", optarg, 1); break;
		case 'r': setenv("EPITAPH_RELEASE", optarg, 1); break;
		case 's': set_spool(optarg); break;
		case 'h': return cli_help(verb);
		case 't':
			if (!add_tag(tags, optarg))
				return cli_usage(verb, "-t %s: not KEY=VALUE",
						 optarg);
			break;
		default: return cli_usage(verb, "wrong option");
		}
	}
	if (tags[0])
		setenv("EPITAPH_TAGS", tags, 1);
	if (optind == argc)
		return cli_usage(verb, "no program is named");
	return -1;
}

/* The file that execvp() would take for NAME. */
static bool find_program(const char *name, char out[PATH_MAX])
{
	const char *path = getenv("PATH");

	if (strchr(name, '/'))
		return snprintf(out, PATH_MAX, "%s", name) < PATH_MAX;
	if (path == NULL)
		path = "/bin:/usr/bin";
	for (;;) {
		size_t len = strcspn(path, ":");
		struct stat st;

		if (snprintf(out, PATH_MAX, "%.*s%s%s", (int)len, path,
			     len ? "/" : "", name) < PATH_MAX &&
		    access(out, X_OK) == 0 && stat(out, &st) == 0 &&
		    S_ISREG(st.st_mode))
			return true;
		if (path[len] == '\0')
			return false;
		path += len + 1;
	}
}

/* Whether the ELF file FD asks for a dynamic loader; true for what is no ELF
 * file (a script: its interpreter is what counts). */
static bool has_interpreter(int fd)
{
	Elf64_Ehdr ehdr;
	Elf64_Phdr phdr;

	if (pread(fd, &ehdr, sizeof(ehdr), 0) != sizeof(ehdr) ||
	    memcmp(ehdr.e_ident, ELFMAG, SELFMAG) != 0 ||
	    ehdr.e_ident[EI_CLASS] != ELFCLASS64)
		return true;
	for (unsigned i = 0; i < ehdr.e_phnum; i++) {
		off_t at = (off_t)(ehdr.e_phoff + i * sizeof(phdr));

		if (pread(fd, &phdr, sizeof(phdr), at) != sizeof(phdr))
			return true;
		if (phdr.p_type == PT_INTERP)
			return true;
	}
	return false;
}

static const char *why_ignored(const char *path, int fd)
{
	struct stat st;

	if (!has_interpreter(fd))
		return "it is statically linked";
	if (fstat(fd, &st) == 0 && (st.st_mode & S_ISUID) &&
	    st.st_uid != geteuid())
		return "it is setuid";
	if (fstat(fd, &st) == 0 && (st.st_mode & (S_ISGID | S_IXGRP)) ==
	    (S_ISGID | S_IXGRP) && st.st_gid != getegid())
		return "it is setgid";
	if (geteuid() != 0 &&
	    getxattr(path, "security.capability", NULL, 0) > 0)
		return "it has file capabilities";
	return NULL;
}

/* The loader ignores LD_PRELOAD in such programs, and then a crash of theirs
 * would go unseen without anybody knowing. */
static void warn_if_ignored(const char *program)
{
	char path[PATH_MAX];
	const char *why;
	int fd;

	if (!find_program(program, path))
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	why = why_ignored(path, fd);
	close(fd);
	if (why)
		cli_failf(verb, program, "warning: its crashes will not be "
			  "recorded: LD_PRELOAD is ignored because %s", why);
}

static bool preload(const char *shim)
{
	const char *before = getenv("LD_PRELOAD");
	char *value;
	int n;

	if (strpbrk(shim, " :"))
		cli_failf(verb, shim, "warning: LD_PRELOAD knows no paths with "
			  "spaces or colons; install it elsewhere");
	if (before && *before)
		n = asprintf(&value, "%s:%s", shim, before);
	else
		n = asprintf(&value, "%s", shim);
	if (n < 0)
		return false;
	n = setenv("LD_PRELOAD", value, 1);
	free(value);
	return n == 0;
}

int cli_run(int argc, char **argv)
{
	int status = parse(argc, argv);
	char shim[PATH_MAX];
	struct error err;

	if (status >= 0)
		return status;
	if (!install_find("libepitaph.so", shim, &err)) {
		cli_fail(verb, argv[optind], &err);
		return CANNOT_RUN;
	}
	warn_if_ignored(argv[optind]);
	if (!preload(shim)) {
		cli_failf(verb, argv[optind], "no memory");
		return CANNOT_RUN;
	}
	execvp(argv[optind], argv + optind);
	status = errno == ENOENT ? NOT_FOUND : CANNOT_RUN;
	cli_failf(verb, argv[optind], "%m");
	return status;
}
