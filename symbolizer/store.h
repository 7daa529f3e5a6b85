/* The symbol store: DIR/ab/cdef.debug and DIR/ab/cdef for files by build-id, as
 * in gdb's trees, and DIR/ab/cdef.csym for the index of each. Process: any. */
#ifndef EPITAPH_SYMBOLIZER_STORE_H
#define EPITAPH_SYMBOLIZER_STORE_H

#include <stdbool.h>
#include <stddef.h>

#include "../lib/report/bytes.h"
#include "../lib/report/report.h"

/* What all indexes of a store may take; then those go that were not used for
 * longest. libjvm's takes 20 MB. */
#define STORE_MAX_BYTES ((uint64_t)4 << 30)

/* Where the store is: EPITAPH_SYMBOLS, or /var/lib/epitaph/symbols if it can be
 * written to, or epitaph/symbols in the user's cache. False where there is no
 * place for one. */
bool store_dir(char *out, size_t cap);

enum store_kind { STORE_INDEX, STORE_DEBUG, STORE_CODE };

struct store_entry {
	struct build_id id;
	enum store_kind kind;
	uint64_t bytes;
	int64_t used_s; /* since the epoch */
	char *path;
};

struct store_list {
	struct store_entry *entries; /* used least recently first */
	size_t len, cap;
};

/* What is in DIR; empty where nothing is. False without memory. */
bool store_list(const char *dir, struct store_list *out);
void store_list_free(struct store_list *list);

/* Remove indexes of DIR, those that were not used for longest first, until all
 * of them take at most MAX bytes. How many went. */
size_t store_prune(const char *dir, uint64_t max);

/* The same of all that is there: of what can be had again. */
size_t store_trim(const char *dir, uint64_t max);

/* Make the directory PATH and what is above it. */
void store_make_dirs(char *path);

/* The path of the file of that KIND of the module with ID. False where it would
 * be too long, or ID is no build-id. */
bool store_path(const char *dir, const struct build_id *id,
		enum store_kind kind, char *out, size_t cap);

/* Put a copy of the file FD at PATH, whole and durable, or not at all. */
bool store_copy(const char *path, int fd, struct error *err);

/* The same with the file itself, which is FROM and open as FD. */
bool store_move(const char *from, const char *path, int fd, struct error *err);

/* Call the binary of the module with ID its debug file, too, where the store
 * has none. */
bool store_link(const char *dir, const struct build_id *id, struct error *err);

/* The path of the index of the module with ID. False where it has none. */
bool store_index_path(const char *dir, const struct build_id *id, char *out,
		      size_t cap);

/* True the first time that it is asked, until an index is published: whoever
 * asks once may do with less than an index. Also where nothing can be
 * written. */
bool store_is_first(const char *dir, const struct build_id *id);

/* The index at PATH was used just now. */
void store_touch(const char *path);

/* Put the index of the module with ID, the LEN BYTES, there: whole, or not at
 * all. Makes room for it. */
bool store_publish(const char *dir, const struct build_id *id,
		   const void *bytes, size_t len, struct error *err);

#endif
