/* The command line: which verb, and its help. One process per command; its
 * arguments are the user's, and what it reads besides is checked by the verbs.
 */
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

struct verb {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *usage; /* behind "epitaph NAME" */
	const char *what;  /* one line */
	const char *help;  /* the rest, with an example */
};

static const char collector_help[] =
	"  -c, --collector URL  http://, https:// or http+unix:///PATH\n"
	"                       (else EPITAPH_URL, else "
	"http://127.0.0.1:7350)\n"
	"      --token-file F   file with the collector's token (else "
	"EPITAPH_TOKEN)\n";

static const char symbols_help[] =
	"  -S, --symbols DIR    where symbols may be: a store, ours or\n"
	"                       Breakpad's, a tree by build-id, or a folder\n"
	"                       of files; repeatable, searched first\n";

static const struct verb verbs[] = {
	{
		"addr2line", cli_addr2line,
		"[-aCfips] [-j SECTION] [-S DIR]... [--build-id ID] "
		"[-e FILE] [ADDR...]",
		"name addresses of a file, as binutils' addr2line does",
		"  -a, --addresses      show each address before its answer\n"
		"  -C, --demangle[=S]   demangle functions: C++, Rust, D, "
		"whatever S\n"
		"                       says\n"
		"  -e, --exe FILE       the file (a.out); its debug file is "
		"found by\n"
		"                       build-id\n"
		"      --build-id ID    instead: whatever file has it\n"
		"  -f, --functions      show functions\n"
		"  -i, --inlines        show the functions that were inlined "
		"into\n"
		"  -j, --section NAME   addresses are offsets in that section\n"
		"  -p, --pretty-print   all of an answer on one line\n"
		"  -s, --basenames      files without directories\n"
		"  -b, -r, -R           taken, and without meaning here\n"
		"\n"
		"Without ADDR addresses are read from stdin, each answered "
		"before the\nnext has to be there. All are hexadecimal.\n"
		"\n"
		"Example:\n"
		"  epitaph addr2line -Cfie /usr/bin/redis-server 0x4f2d0\n",
	},
	{
		"core", cli_core, "[-S DIR]... FILE -o CORE",
		"write an ELF core of a report, for gdb",
		"  -o, --output CORE    where to\n"
		"\n"
		"gdb finds libraries where the program's own file is found: in "
		"its\nplace, in the store or below a -S.\n"
		"\n"
		"Example:\n"
		"  epitaph core /var/spool/epitaph/0199*.dmp.gz -o crash.core"
		"\n"
		"  gdb /usr/sbin/server crash.core\n",
	},
	{
		"doctor", cli_doctor,
		"[-c URL] [-s DIR] [-S DIR]... [--json]",
		"say what works on this machine, and what to do where not",
		"      --json           one JSON document\n"
		"\n"
		"Crashes a child under the shim and looks at its report. Exit\n"
		"status 0 if a complete report of tier 1 can be had here.\n"
		"\n"
		"Example:\n"
		"  epitaph doctor\n",
	},
	{
		"dmp", cli_dmp, "[-c URL] FILE|REPORT -o OUT",
		"write the plain minidump of a report, for lldb and others",
		"  -o, --output OUT     where to; - is stdout\n"
		"\n"
		"FILE is a report on disk; otherwise REPORT is an id, asked of "
		"the\ncollector.\n"
		"\n"
		"Example:\n"
		"  epitaph dmp /var/spool/epitaph/0199*.dmp.gz -o crash.dmp\n"
		"  lldb -c crash.dmp\n",
	},
	{
		"flush", cli_flush, "[-c URL] [-s DIR] [--id ID]",
		"ship what lies in the spool",
		"  -s, --spool DIR      the spool (else EPITAPH_SPOOL, else "
		"its default)\n"
		"      --id ID          this report only\n"
		"\n"
		"Example:\n"
		"  epitaph flush -c https://crashes.example.org\n",
	},
	{
		"list", cli_list,
		"[-c URL] [--status STATUS] [--limit N] [--json] [QUERY]",
		"list the collector's groups, newest first",
		"      --status STATUS  only those\n"
		"      --limit N        at most N groups (50)\n"
		"      --json           the collector's JSON\n"
		"\n"
		"Example:\n"
		"  epitaph list SIGSEGV\n",
	},
	{
		"run", cli_run,
		"[-c URL] [-s DIR] [-t KEY=VALUE]... [-r RELEASE] [--] "
		"PROGRAM [ARG...]",
		"exec a program under the shim",
		"  -c, --collector URL  where its crashes go (else EPITAPH_URL;"
		"\n"
		"                       with neither they stay in the spool)\n"
		"  -s, --spool DIR      its spool (else EPITAPH_SPOOL, else its"
		"\n"
		"                       default)\n"
		"  -t, --tag KEY=VALUE  a tag of its reports; repeatable\n"
		"  -r, --release NAME   its release\n"
		"\n"
		"The exit status is the program's own; 126 or 127 where it "
		"cannot be\nrun.\n"
		"\n"
		"Example:\n"
		"  epitaph run -r 1.4.2 -t zone=eu -- ./server --port 80\n",
	},
	{
		"show", cli_show, "[-c URL] [--all-threads] [--json] "
		"GROUP|REPORT",
		"show a group or a report of the collector's",
		"      --all-threads    not the crashing one alone\n"
		"      --json           the collector's JSON\n"
		"\n"
		"Example:\n"
		"  epitaph show 12\n",
	},
	{
		"stack", cli_stack,
		"[--json] [-S DIR]... [--args] (-p PID | FILE)",
		"print the stacks of a live process or of a core",
		"  -p, --pid PID        a live process; it is stopped for a\n"
		"                       moment\n"
		"      --args           values of arguments and variables\n"
		"      --json           one JSON document\n"
		"\n"
		"Example:\n"
		"  epitaph stack -p 4711\n",
	},
	{
		"symbolize", cli_symbolize,
		"[--json] [-S DIR]... [--args] [--all-threads]\n"
		"       [--source[=N]] [--debuginfod URL]... FILE...",
		"name the frames of reports, with no collector in sight",
		"      --args           values of arguments and variables\n"
		"      --all-threads    not the crashing one alone\n"
		"      --json           one JSON document per file\n"
		"      --source[=N]     N lines (5) of source around each "
		"frame's, in the\n"
		"                       JSON too; else the text has 2 around "
		"the first of\n"
		"                       the program's own, if they are there\n"
		"      --source-path P  where sources are: DIR, or FROM=TO; "
		"repeatable\n"
		"      --no-source      no source\n"
		"      --debuginfod URL ask this server for symbols that are "
		"missing;\n"
		"                       repeatable (else the URLs in "
		"EPITAPH_DEBUGINFOD;\n"
		"                       DEBUGINFOD_URLS is not read: who is "
		"asked learns\n"
		"                       what has crashed here)\n"
		"      --debuginfod-timeout SECONDS\n"
		"                       that one report may wait for them all "
		"(10)\n"
		"      --debuginfod-max BYTES\n"
		"                       of a file (2 GiB)\n"
		"\n"
		"FILE is a minidump, ours, Breakpad's or Crashpad's, gzipped "
		"or not,\nor an ELF core; - is a minidump on stdin.\n"
		"\n"
		"Example:\n"
		"  epitaph symbolize -S ~/debug /var/spool/epitaph/*.dmp.gz\n"
		"  epitaph symbolize --debuginfod "
		"https://debuginfod.debian.net crash.dmp.gz\n",
	},
	{
		"symbols", cli_symbols,
		"add|dump|index|list|missing|prune [OPTION...] "
		"[FILE|DIR...]",
		"the symbol store: what names are kept, and which are missing",
		"  add FILE|DIR...      copy binaries and debug files into it, "
		"and\n"
		"                       index them; or index symbol files of\n"
		"                       Breakpad's; with -c send all these to "
		"the\n"
		"                       collector instead\n"
		"  dump FILE|BUILD-ID [-o OUT] [--name NAME]\n"
		"  dump --tree DIR FILE|BUILD-ID...\n"
		"                       write symbol files of Breakpad's; in "
		"DIR as\n"
		"                       minidump_stackwalk looks for them\n"
		"  index FILE|DIR...    index them where they are\n"
		"  list [--json]        what is there, used most recently last"
		"\n"
		"  missing [--json] FILE|DIR...\n"
		"                       the modules that these reports have no "
		"symbols\n"
		"                       of, those with most frames first\n"
		"  missing -c URL       the same of the collector's reports, "
		"each\n"
		"                       counted as often as its crash was\n"
		"  prune [--max SIZE]   remove indexes, used least recently "
		"first,\n"
		"                       until they take at most SIZE (4G)\n"
		"  -S, --symbols DIR    the store (else EPITAPH_SYMBOLS, else "
		"its\n"
		"                       default)\n"
		"  -c, --collector URL  a collector's store (EPITAPH_URL does "
		"not count\n"
		"                       here)\n"
		"      --token-file F   file with a token, for symbols to add, "
		"to read\n"
		"                       to list what is missing (else "
		"EPITAPH_TOKEN)\n"
		"\n"
		"Example:\n"
		"  epitaph symbols missing /var/spool/epitaph\n"
		"  epitaph symbols add ~/build/server\n"
		"  epitaph symbols dump --tree ~/syms ~/build/server\n"
		"  epitaph symbols add -c https://crashes.example.org "
		"~/build/server\n",
	},
};

enum { NVERBS = sizeof(verbs) / sizeof(verbs[0]) };

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < NVERBS; i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

/* Whether VERB takes the option whose help mentions TEXT. */
static bool takes(const struct verb *verb, const char *text)
{
	return strstr(verb->usage, text) != NULL;
}

int cli_help(const char *name)
{
	const struct verb *verb = find_verb(name);

	printf("usage: epitaph %s %s\n\n%s.\n\n", verb->name, verb->usage,
	       verb->what);
	if (takes(verb, "-c URL") && strcmp(name, "run") != 0)
		fputs(collector_help, stdout);
	if (takes(verb, "-S DIR"))
		fputs(symbols_help, stdout);
	fputs(verb->help, stdout);
	return CLI_DONE;
}

static int help(FILE *to)
{
	fputs("usage: epitaph VERB [OPTION...] [ARGUMENT...]\n\n"
	      "Epitaph records how a Linux process died.\n\n", to);
	for (size_t i = 0; i < NVERBS; i++)
		fprintf(to, "  %-10s %s\n", verbs[i].name, verbs[i].what);
	fputs("\nepitaph VERB --help says more about one of them.\n\n"
	      "Example:\n"
	      "  epitaph run -s /tmp/spool -- python3 -c "
	      "'import ctypes; ctypes.string_at(0)'\n"
	      "  epitaph symbolize /tmp/spool/*.dmp.gz\n", to);
	return to == stdout ? CLI_DONE : CLI_USAGE;
}

int main(int argc, char **argv)
{
	const struct verb *verb;

	setlocale(LC_CTYPE, "C.UTF-8");
	if (argc < 2)
		return help(stderr);
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0) {
		verb = argc > 2 ? find_verb(argv[2]) : NULL;
		return verb ? cli_help(verb->name) : help(stdout);
	}
	if (strcmp(argv[1], "--version") == 0) {
		puts("epitaph " EPITAPH_VERSION);
		return CLI_DONE;
	}
	verb = find_verb(argv[1]);
	if (verb == NULL) {
		fprintf(stderr, "epitaph: %s: no such verb; epitaph --help "
			"lists them\n", argv[1]);
		return CLI_USAGE;
	}
	return verb->run(argc - 1, argv + 1);
}
