/* epitaph symbols dump: symbol files of Breakpad's. */
#ifndef EPITAPH_CLI_SYMDUMP_H
#define EPITAPH_CLI_SYMDUMP_H

/* All strings are borrowed; NULL where they were not given. */
struct symdump_options {
	const char *output; /* -o: the one file, or "-" */
	const char *tree;   /* --tree: instead of it, a store of Breakpad's */
	const char *name;   /* --name: of the module */
};

/* Write one for each of LIST, files and build-ids up to NULL. Returns the exit
 * status. */
int symdump(const struct symdump_options *options, char **list);

#endif
