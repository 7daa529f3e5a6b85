/* Taking a file of symbols into the store. Runs in a process that can be lost;
 * trusts nothing in the file, nor in the one that it would replace. */
#include "intake.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zlib.h>

#include "../lib/report/gzip.h"
#include "elffile.h"
#include "regular.h"
#include "store.h"
#include "symfile.h"

enum { CHUNK = 1 << 16 };

/* Unpacking */

/* The first bytes of the file at PATH; zeros where there are none. */
static void read_magic(const char *path, char out[4])
{
	int fd;

	memset(out, 0, 4);
	if (!regular_open(path, &fd, NULL))
		return;
	if (read(fd, out, 4) < 4)
		memset(out, 0, 4);
	close(fd);
}

static bool starts_gzip(const char *path)
{
	char head[4];

	read_magic(path, head);
	return gzip_is(head, sizeof(head));
}

static bool write_all(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		bytes += n;
		len -= (size_t)n;
	}
	return true;
}

/* Piece by piece: what comes out may be larger than memory. */
static bool copy_unpacked(gzFile in, int out, uint64_t max, struct error *err)
{
	char chunk[CHUNK];
	uint64_t total = 0;
	int n, status;

	while ((n = gzread(in, chunk, sizeof(chunk))) > 0) {
		total += (uint64_t)n;
		if (total > max)
			return fail(err, ERR_TOO_LARGE, "limit for symbols is "
				    "%" PRIu64 " bytes unpacked", max);
		if (!write_all(out, chunk, (size_t)n))
			return fail_errno(err, "unpack");
	}
	/* At a stream that ends too soon reading ends, and only this says
	 * so. */
	gzerror(in, &status);
	if (n < 0 || (status != Z_OK && status != Z_STREAM_END))
		return fail(err, ERR_BAD_DATA,
			    "truncated or corrupt gzip stream");
	return true;
}

static bool unpack(const struct intake_order *order, struct error *err)
{
	gzFile in = gzopen(order->path, "rbe");
	int out = open(order->unpacked, O_WRONLY | O_CREAT | O_EXCL |
					O_CLOEXEC | O_NOFOLLOW, 0600);
	bool ok;

	if (in == NULL || out < 0)
		ok = fail_errno(err, "unpack");
	else
		ok = copy_unpacked(in, out, order->max, err);
	if (in != NULL)
		gzclose(in);
	if (out >= 0)
		close(out);
	return ok;
}

/* ELF files */

static bool cut_short(struct error *err, const char *what, uint64_t size)
{
	return fail(err, ERR_BAD_DATA, "an ELF file that is cut short: its %s "
		    "would lie behind its end, %" PRIu64 " bytes", what, size);
}

static bool fits(uint64_t at, uint64_t len, uint64_t size)
{
	return at <= size && len <= size - at;
}

static bool has_sections(const struct elf_file *file, const GElf_Ehdr *ehdr,
			 uint64_t size, struct error *err)
{
	Elf_Scn *scn = NULL;

	if (!fits(ehdr->e_shoff, (uint64_t)ehdr->e_shnum * ehdr->e_shentsize,
		  size))
		return cut_short(err, "table of sections", size);
	while ((scn = elf_nextscn(file->elf, scn)) != NULL) {
		GElf_Shdr shdr;

		if (gelf_getshdr(scn, &shdr) == NULL)
			return cut_short(err, "table of sections", size);
		if (shdr.sh_type != SHT_NOBITS &&
		    !fits(shdr.sh_offset, shdr.sh_size, size))
			return cut_short(err, "sections", size);
	}
	return true;
}

/* A debug file has its binary's program headers, and not what they mean. */
static bool has_segments(const struct elf_file *file, uint64_t size,
			 struct error *err)
{
	size_t n = 0;

	if (elf_getphdrnum(file->elf, &n) != 0)
		return cut_short(err, "program headers", size);
	for (size_t i = 0; i < n && i < INT16_MAX; i++) {
		GElf_Phdr phdr;

		if (gelf_getphdr(file->elf, (int)i, &phdr) == NULL)
			return cut_short(err, "program headers", size);
		if (phdr.p_type == PT_LOAD &&
		    !fits(phdr.p_offset, phdr.p_filesz, size))
			return cut_short(err, "segments", size);
	}
	return true;
}

/* Everything that its headers speak of is there. */
static bool is_whole(const struct elf_file *file, struct error *err)
{
	GElf_Ehdr ehdr;
	struct stat st;

	if (fstat(file->fd, &st) != 0)
		return fail_errno(err, "fstat");
	if (gelf_getehdr(file->elf, &ehdr) == NULL)
		return fail(err, ERR_BAD_DATA, "not an ELF file");
	return has_sections(file, &ehdr, (uint64_t)st.st_size, err) &&
	       (!file->has_code ||
		has_segments(file, (uint64_t)st.st_size, err));
}

/* Whether the file at PATH does for FILE. */
static bool is_as_good(const char *path, const struct elf_file *file)
{
	struct elf_file there;
	struct error err;
	bool is;

	if (!elf_file_open(path, &there, NULL))
		return false;
	is = build_id_equal(&there.build_id, &file->build_id) &&
	     is_whole(&there, &err) && there.has_code >= file->has_code &&
	     there.has_dwarf >= file->has_dwarf &&
	     there.has_symtab >= file->has_symtab;
	elf_file_close(&there);
	return is;
}

static bool is_wanted(const struct intake_order *order,
		      const struct build_id *id, struct error *err)
{
	char wanted[2 * MAX_BUILD_ID + 1], has[2 * MAX_BUILD_ID + 1];

	if (order->wanted == NULL || build_id_equal(order->wanted, id))
		return true;
	build_id_format(order->wanted, wanted);
	build_id_format(id, has);
	return fail(err, ERR_BAD_DATA, "its build-id is %s, not %s",
		    id->len ? has : "none", wanted);
}

static bool check_elf(const struct intake_order *order,
		      const struct elf_file *file, struct error *err)
{
	if (!is_wanted(order, &file->build_id, err) || !is_whole(file, err))
		return false;
	if (file->build_id.len <= 1)
		return fail(err, ERR_BAD_DATA, "an ELF file without a "
			    "build-id: nothing could be found by it");
	if (!file->has_code && !file->has_dwarf && !file->has_symtab)
		return fail(err, ERR_BAD_DATA, "an ELF file with neither code "
			    "nor symbols");
	return true;
}

static bool take_elf(const struct intake_order *order, const char *path,
		     const struct elf_file *file, struct intake *out,
		     struct error *err)
{
	enum store_kind kind = file->has_code ? STORE_CODE : STORE_DEBUG;
	char there[PATH_MAX];

	if (!check_elf(order, file, err))
		return false;
	if (!store_path(order->store, &file->build_id, kind, there,
			sizeof(there)))
		return fail(err, ERR_BAD_DATA, "too long a path");
	out->id = file->build_id;
	out->is_new = !is_as_good(there, file);
	if (out->is_new &&
	    !(order->moves ? store_move(path, there, file->fd, err)
			   : store_copy(there, file->fd, err)))
		return false;
	return !order->serves || kind == STORE_DEBUG || !file->has_dwarf ||
	       store_link(order->store, &file->build_id, err);
}

/* Breakpad's symbol files */

static bool same_bytes(const char *path, const struct sym_file *file)
{
	struct sym_file there;
	bool same;

	if (!sym_file_open(path, &there, NULL))
		return false;
	same = there.len == file->len &&
	       memcmp(there.bytes, file->bytes, file->len) == 0;
	sym_file_close(&there);
	return same;
}

static bool take_sym(const struct intake_order *order, const char *path,
		     const struct sym_file *file, struct intake *out,
		     struct error *err)
{
	char debug_id[SYM_DEBUG_ID], name[NAME_MAX], there[PATH_MAX];
	size_t head = file->len < SYM_HEAD ? file->len : SYM_HEAD;
	bool ok;
	int fd;

	if (((const char *)file->bytes)[file->len - 1] != '\n')
		return fail(err, ERR_BAD_DATA, "a symbol file that is cut "
			    "short: its last line has no end");
	out->id = file->id.code;
	if (out->id.len == 0) {
		out->id.len = SYM_GUID;
		memcpy(out->id.bytes, file->id.guid, SYM_GUID);
	}
	sym_debug_id(&file->id, debug_id);
	if (!sym_read_name(file->bytes, head, name, sizeof(name)) ||
	    (size_t)snprintf(there, sizeof(there), "%s/%s/%s/%s.sym",
			     order->store, name, debug_id, name) >=
		    sizeof(there))
		return fail(err, ERR_BAD_DATA, "its MODULE has no name that a "
			    "file could have");
	out->is_new = !same_bytes(there, file);
	if (!out->is_new)
		return true;
	if (!regular_open(path, &fd, err))
		return false;
	ok = order->moves ? store_move(path, there, fd, err)
			  : store_copy(there, fd, err);
	close(fd);
	return ok;
}

/* libelf does not say why it takes something for no ELF file. */
static bool fail_kind(const char *path, struct error *err)
{
	char head[4];

	read_magic(path, head);
	if (memcmp(head, "\177ELF", sizeof(head)) == 0)
		return fail(err, ERR_BAD_DATA,
			    "an ELF file that is cut short or damaged");
	return fail(err, ERR_BAD_DATA, "not an ELF file, nor a symbol file of "
		    "Breakpad's");
}

static bool take(const struct intake_order *order, const char *path,
		 struct intake *out, struct error *err)
{
	struct elf_file elf;
	struct sym_file sym;
	struct error ignored;
	bool ok;

	if (elf_file_open(path, &elf, err)) {
		ok = take_elf(order, path, &elf, out, err);
		elf_file_close(&elf);
		return ok;
	}
	/* What a server has under a build-id is an ELF file. */
	if (order->wanted || !sym_file_open(path, &sym, &ignored))
		return err->code == ERR_BAD_DATA ? fail_kind(path, err)
						 : false;
	ok = take_sym(order, path, &sym, out, err);
	sym_file_close(&sym);
	return ok;
}

bool intake(const struct intake_order *order, struct intake *out,
	    struct error *err)
{
	if (!starts_gzip(order->path))
		return take(order, order->path, out, err);
	if (order->unpacked == NULL)
		return fail(err, ERR_UNSUPPORTED, "a gzip'ed file");
	if (!unpack(order, err))
		return false;
	if (starts_gzip(order->unpacked))
		return fail(err, ERR_UNSUPPORTED, "gzip within gzip");
	return take(order, order->unpacked, out, err);
}
