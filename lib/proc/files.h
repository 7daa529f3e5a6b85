/* The files that a process runs code of, opened the way it sees them. Its
 * memory has all that is loaded; a file has the sections that are not. */
#ifndef EPITAPH_PROC_FILES_H
#define EPITAPH_PROC_FILES_H

#include <sys/types.h>

#include "maps.h"

enum { FILES_MAX = 512 }; /* half of the usual limit for descriptors */

struct mapped_file {
	uint64_t inode;
	int fd;
};

struct files {
	struct mapped_file *entries; /* by inode */
	size_t len;
};

/* Open what is executable in MAPS of process PID. A path that leads to another
 * file by now is left out, and so is what cannot be opened. Never fails, but
 * may find nothing. Best done before the process is stopped: it takes time.
 * OUT is for files_close(). */
void files_open(pid_t pid, const struct maps *maps, struct files *out);
void files_close(struct files *files);

/* A descriptor of the file with INODE, borrowed; or -1. */
int files_find(const struct files *files, uint64_t inode);

#endif
