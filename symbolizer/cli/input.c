/* Reading reports from files. Trusts neither their size nor their bytes. */
#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "../../lib/report/gzip.h"
#include "../../lib/report/minidump.h"

enum { CHUNK = 65536 };

static bool read_all(int fd, struct writer *out, struct error *err)
{
	char chunk[CHUNK];

	for (;;) {
		ssize_t n = read(fd, chunk, sizeof(chunk));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_errno(err, "read");
		if (n == 0)
			return true;
		writer_bytes(out, chunk, (size_t)n);
		if (out->bad)
			return fail(err, ERR_TOO_LARGE,
				    "larger than %zu bytes", out->limit);
	}
}

bool input_read(const char *path, struct writer *out, struct error *err)
{
	bool ok;
	int fd;

	if (strcmp(path, "-") == 0)
		return read_all(STDIN_FILENO, out, err);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fail_errno(err, "open");
	ok = read_all(fd, out, err);
	close(fd);
	return ok;
}

bool input_minidump(const char *path, struct writer *out, struct error *err)
{
	struct writer raw;
	bool ok;

	writer_init(&raw, MAX_REPORT_BYTES);
	ok = input_read(path, &raw, err);
	if (ok && raw.len == 0)
		ok = fail(err, ERR_BAD_DATA, "empty");
	if (ok && gzip_is(raw.bytes, raw.len)) {
		ok = gzip_unpack(raw.bytes, raw.len, out, err);
	} else if (ok) {
		writer_bytes(out, raw.bytes, raw.len);
		if (out->bad)
			ok = fail(err, ERR_TOO_LARGE, "larger than %zu bytes",
				  out->limit);
	}
	writer_fini(&raw);
	return ok;
}

static bool is_elf(const struct writer *bytes)
{
	return bytes->len >= 4 && memcmp(bytes->bytes, "\177ELF", 4) == 0;
}

bool input_report(const char *path, struct report *out, struct error *err)
{
	struct writer bytes;
	bool ok;

	writer_init(&bytes, MAX_REPORT_BYTES);
	ok = input_minidump(path, &bytes, err);
	if (ok && is_elf(&bytes))
		ok = fail(err, ERR_UNSUPPORTED, "an ELF file, not a minidump "
			  "(a core is read from a plain file alone)");
	ok = ok && minidump_decode(bytes.bytes, bytes.len, out, err);
	writer_fini(&bytes);
	return ok;
}
