/* The CFI of an ELF file, as an index has it: libc's, which has signal frames
 * and expressions. */
#include "../../lib/unwind/table.h"
#include "../../symbolizer/index/build.h"
#include "../../symbolizer/index/from_cfi.h"
#include "../../symbolizer/index/index.h"
#include "test.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { BASE = 0x700000 };

static int open_libc(void)
{
	Dl_info info;

	if (!CHECK(dladdr(dlsym(RTLD_NEXT, "getpid"), &info)))
		return -1;
	return open(info.dli_fname, O_RDONLY | O_CLOEXEC);
}

static struct table_buffers *new_buffers(void)
{
	struct table_buffers *buffers = calloc(1, sizeof(*buffers));

	buffers->index_left = TABLE_MAX_INDEX;
	return buffers;
}

/* Where FDE and CIE came from TABLE, OTHER has the same at START. */
static bool has_same(struct table *other, struct table_buffers *buffers,
		     const struct cie *cie, const struct fde *fde)
{
	struct cie cie2;
	struct fde fde2;

	return CHECK(table_find(other, buffers, fde->start, &cie2, &fde2)) &&
	       CHECK_NUMBER(fde2.start, fde->start) &&
	       CHECK_NUMBER(fde2.len, fde->len) &&
	       CHECK_NUMBER(cie2.code_align, cie->code_align) &&
	       CHECK_NUMBER(cie2.data_align, cie->data_align) &&
	       CHECK_NUMBER(cie2.return_register, cie->return_register) &&
	       CHECK_NUMBER(cie2.is_signal, cie->is_signal) &&
	       CHECK_BYTES(fde2.program, fde2.program_len, fde->program,
			   fde->program_len) &&
	       CHECK_BYTES(cie2.program, cie2.program_len, cie->program,
			   cie->program_len);
}

static void same_as_eh_frame(void)
{
	struct table_buffers *mine = new_buffers(), *theirs = new_buffers();
	struct table table, other;
	struct writer frames;
	struct cie cie;
	struct fde fde;
	uint64_t next, at;
	size_t n = 0, nsignals = 0;
	int fd = open_libc();

	writer_init(&frames, 1 << 26);
	from_cfi(fd, -1, &frames);
	CHECK(!frames.bad);
	table_open_frames(&other, frames.bytes, frames.len, BASE);
	if (!CHECK(table_open_eh_frame_section(&table, fd, BASE)))
		return;
	CHECK(frames.len <= table.end - table.start);
	for (next = table.start;
	     table_next(&table, mine, &next, &at, &cie, &fde); n++) {
		nsignals += cie.is_signal;
		if (!has_same(&other, theirs, &cie, &fde))
			break;
	}
	CHECK(n > 1000);
	CHECK(nsignals > 0);
	table_close(&table);
	table_close(&other);
	writer_fini(&frames);
	free(mine);
	free(theirs);
	close(fd);
}

/* A copy of FD that can be written to. */
static int copy_file(int fd)
{
	int copy = memfd_create("copy", MFD_CLOEXEC);
	char bytes[1 << 16];
	ssize_t n;

	for (off_t at = 0; (n = pread(fd, bytes, sizeof(bytes), at)) > 0;
	     at += n)
		CHECK(pwrite(copy, bytes, (size_t)n, at) == n);
	return copy;
}

/* Entries follow each other up to the end, and FDEs are as large as any. */
static void check_form(const struct writer *frames,
		       struct table_buffers *buffers)
{
	struct table table;
	struct cie cie;
	struct fde fde;
	uint64_t next = 0, at;

	table_open_frames(&table, frames->bytes, frames->len, 0);
	while (table_next(&table, buffers, &next, &at, &cie, &fde))
		if (!CHECK(fde.start <= UINT32_MAX && cie.encoding == ENC_U4))
			break;
	CHECK_NUMBER(next, frames->len);
	table_close(&table);
}

/* One place of .eh_frame at a time is something else. libc's lies in the file
 * where it does in memory. */
static void anything(void)
{
	struct table_buffers *buffers = new_buffers();
	int fd = open_libc(), copy = copy_file(fd);
	struct table table;
	size_t len, changed = 0;
	struct writer plain;

	writer_init(&plain, 1 << 26);
	from_cfi(fd, fd, &plain);
	if (!CHECK(table_open_eh_frame_section(&table, fd, 0)))
		return;
	len = (size_t)(table.end - table.start);
	for (size_t i = 0; i < 100; i++) {
		off_t at = (off_t)(table.start + len * i / 100 + i % 24);
		uint8_t was, is = (uint8_t)(i * 67 + 255);
		struct writer frames;

		CHECK(pread(copy, &was, 1, at) == 1);
		CHECK(pwrite(copy, &is, 1, at) == 1);
		writer_init(&frames, 1 << 26);
		from_cfi(copy, copy, &frames);
		check_form(&frames, buffers);
		changed += frames.len != plain.len ||
			   memcmp(frames.bytes, plain.bytes, plain.len) != 0;
		writer_fini(&frames);
		CHECK(pwrite(copy, &was, 1, at) == 1);
	}
	CHECK(changed > 50);
	writer_fini(&plain);
	table_close(&table);
	close(copy);
	close(fd);
	free(buffers);
}

static struct index *make_index_of(const struct writer *frames,
				   const char *why, struct writer *bytes)
{
	const struct build_module module = {
		.source = "", .frames = frames, .frames_why = why,
	};
	struct build *build = build_new();

	writer_init(bytes, 1 << 26);
	CHECK(build_write(build, &module, bytes));
	build_free(build);
	return index_memory(bytes->bytes, bytes->len, NULL);
}

static void in_an_index(void)
{
	struct writer frames, bytes;
	struct index *index;
	const void *has;
	size_t len = 0;

	writer_init(&frames, 1 << 20);
	for (uint32_t i = 0; i < 50000; i++)
		writer_u32(&frames, i);
	index = make_index_of(&frames, "some are missing", &bytes);
	has = index_frames(index, &len);
	if (CHECK(has != NULL))
		CHECK_BYTES(has, len, frames.bytes, frames.len);
	CHECK_STRING(index_frames_why(index), "some are missing");
	index_close(index);
	for (size_t at = 100000; at < 110000; at++)
		bytes.bytes[at] ^= 1;
	index = index_memory(bytes.bytes, bytes.len, NULL);
	CHECK(index_frames(index, &len) == NULL);
	CHECK(index_is_damaged(index));
	index_close(index);
	writer_fini(&bytes);
	index = make_index_of(NULL, NULL, &bytes);
	CHECK(index_frames(index, &len) == NULL);
	CHECK_STRING(index_frames_why(index), NULL);
	index_close(index);
	writer_fini(&bytes);
	writer_fini(&frames);
}

static void nothing(void)
{
	struct writer frames;
	int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);

	writer_init(&frames, 1 << 20);
	from_cfi(-1, -1, &frames);
	from_cfi(fd, fd, &frames);
	CHECK_NUMBER(frames.len, 0);
	close(fd);
	fd = open_libc();
	writer_fini(&frames);
	writer_init(&frames, 100);
	from_cfi(fd, fd, &frames);
	CHECK(frames.bad);
	writer_fini(&frames);
	close(fd);
}

static const struct test tests[] = {
	{ "all rules of .eh_frame are there, in no more bytes",
	  same_as_eh_frame },
	{ "what is made of any .eh_frame is well formed", anything },
	{ "an index gives its rules as they were told, or none where one is "
	  "damaged", in_an_index },
	{ "a file without rules has none, and too many are no rules", nothing },
};

int main(void)
{
	return TEST_RUN(tests);
}
