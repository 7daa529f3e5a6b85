/* Breakpad's symbol files, plain or gzip'ed. Runs in the process that can be
 * lost; trusts nothing in the file, and opens nothing but regular ones. */
#include "symfile.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/report/gzip.h"
#include "regular.h"

#define MAX_UNPACKED ((size_t)1 << 30) /* and all of it in memory */

static bool map(struct sym_file *file, int fd, struct error *err)
{
	struct stat st;
	void *bytes;

	if (fstat(fd, &st) != 0)
		return fail_errno(err, "fstat");
	if (st.st_size == 0)
		return fail(err, ERR_BAD_DATA, "an empty file");
	bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED)
		return fail_errno(err, "mmap");
	file->bytes = bytes;
	file->len = (size_t)st.st_size;
	return true;
}

/* The beginning, which says who it is, of whatever is in the file. */
static bool read_head(struct sym_file *file, struct error *err)
{
	size_t len = file->len < SYM_HEAD ? file->len : SYM_HEAD;
	char head[SYM_HEAD];

	if (gzip_is(file->bytes, file->len))
		len = gzip_peek(file->bytes, file->len, head, sizeof(head));
	else
		memcpy(head, file->bytes, len);
	return sym_read_id(head, len, &file->id) ||
	       fail(err, ERR_BAD_DATA, "not a symbol file of Breakpad's");
}

bool sym_file_open(const char *path, struct sym_file *out, struct error *err)
{
	struct sym_file file = { .path = strdup(path) };
	bool ok;
	int fd;

	if (file.path == NULL)
		return fail(err, ERR_NO_MEMORY, "no memory");
	ok = regular_open(path, &fd, err);
	if (ok) {
		ok = map(&file, fd, err) && read_head(&file, err);
		close(fd);
	}
	if (!ok) {
		sym_file_close(&file);
		return false;
	}
	*out = file;
	return true;
}

void sym_file_close(struct sym_file *file)
{
	if (file->bytes)
		munmap((void *)(uintptr_t)file->bytes, file->len);
	free(file->unpacked);
	free(file->path);
	*file = (struct sym_file){ 0 };
}

static bool unpack(struct sym_file *file, struct error *err)
{
	struct writer out;

	writer_init(&out, MAX_UNPACKED);
	if (!gzip_unpack(file->bytes, file->len, &out, err)) {
		writer_fini(&out);
		return false;
	}
	file->unpacked = (char *)out.bytes;
	file->unpacked_len = out.len;
	return true;
}

bool sym_file_parse(struct sym_file *file, enum sym_part part,
		    struct sym *out, struct error *err)
{
	if (!gzip_is(file->bytes, file->len))
		return sym_parse(file->bytes, file->len, part, out, err);
	if (!file->unpacked && !unpack(file, err))
		return false;
	return sym_parse(file->unpacked, file->unpacked_len, part, out, err);
}
