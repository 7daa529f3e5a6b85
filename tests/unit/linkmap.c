/* The modules of this very process, by its dynamic linker, held against what
 * the kernel says of them; and what becomes of broken lists. */
#include "../../lib/proc/linkmap.h"

#include <elf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "test.h"

/* What of this process is read wrongly: the word at BROKEN is VALUE. */
static uint64_t broken, value;

static size_t read_own(void *context, uint64_t address, void *to, size_t len)
{
	struct iovec local = { to, len };
	struct iovec remote = { (void *)(uintptr_t)address, len };
	ssize_t n = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);

	(void)context;
	if (n > 0 && broken >= address &&
	    broken - address + sizeof(value) <= (uint64_t)n)
		memcpy((char *)to + (broken - address), &value,
		       sizeof(value));
	return n > 0 ? (size_t)n : 0;
}

static char *slurp(const char *path, size_t *len_out)
{
	size_t cap = 1 << 20, len = 0;
	char *text = malloc(cap);
	int fd = open(path, O_RDONLY);
	ssize_t n;

	while (fd >= 0 && text && len < cap - 1 &&
	       (n = read(fd, text + len, cap - 1 - len)) > 0)
		len += (size_t)n;
	close(fd);
	if (text)
		text[len] = '\0';
	*len_out = len;
	return text;
}

static void modules_of(char *text, size_t len, struct report *report)
{
	struct maps maps;

	CHECK(report_init(report, NULL));
	CHECK(maps_parse(text, len, &maps, NULL));
	CHECK(maps_modules(&maps, read_own, NULL, report, NULL));
	maps_free(&maps);
}

static void linker_says(struct report *report)
{
	struct writer text;
	size_t len;
	char *auxv = slurp("/proc/self/auxv", &len);

	writer_init(&text, 1 << 20);
	CHECK(linkmap_text((uint64_t *)(void *)auxv, len / 8, read_own, NULL,
			   &text));
	writer_u8(&text, 0);
	modules_of((char *)text.bytes, text.len - 1, report);
	writer_fini(&text);
	free(auxv);
}

static void agrees_with_the_kernel(void)
{
	struct report linker, kernel;
	size_t len;
	char *text = slurp("/proc/self/maps", &len);

	modules_of(text, len, &kernel);
	linker_says(&linker);
	CHECK(kernel.nmodules > 8);
	CHECK_NUMBER(linker.nmodules, kernel.nmodules);
	for (size_t i = 0; i < kernel.nmodules; i++) {
		const struct module *k = &kernel.modules[i];
		const struct module *l = &linker.modules[i];

		CHECK_NUMBER(l->base, k->base);
		CHECK(build_id_equal(&l->build_id, &k->build_id));
		/* The kernel has anonymous pages at the end elsewhere. */
		CHECK(l->size >= k->size && l->size < k->size + (1 << 26));
		CHECK(strrchr(l->path, '/') || l->path[0] == '[');
	}
	report_free(&linker);
	report_free(&kernel);
	free(text);
}

/* Each word that the walk goes by, in turn, as something else. */
static void survives_broken_words(void)
{
	static const uint64_t values[] = { 0, 1, UINT64_MAX, 1ull << 47,
					   0x4141414141414141 };
	struct report report;
	size_t len;
	uint64_t *auxv = (uint64_t *)(void *)slurp("/proc/self/auxv", &len);
	uint64_t phdr = 0;

	for (size_t i = 0; i + 1 < len / 8; i += 2) {
		if (auxv[i] == AT_PHDR)
			phdr = auxv[i + 1];
	}
	CHECK(phdr != 0);
	for (uint64_t at = 0; at < 14 * sizeof(Elf64_Phdr); at += 8) {
		for (size_t i = 0; i < 5; i++) {
			broken = phdr + at;
			value = values[i];
			linker_says(&report);
			report_free(&report);
		}
	}
	broken = 0;
	free(auxv);
}

static void needs_an_auxiliary_vector(void)
{
	static const uint64_t wrong[] = { AT_PHDR, 8, AT_PHNUM, 5, AT_NULL };
	struct writer text;

	writer_init(&text, 1 << 20);
	CHECK(!linkmap_text(NULL, 0, read_own, NULL, &text));
	CHECK(!linkmap_text(wrong, 5, read_own, NULL, &text));
	CHECK_NUMBER(text.len, 0);
	writer_fini(&text);
}

int main(void)
{
	static const struct test tests[] = {
		{ "the linker's modules are the kernel's",
		  agrees_with_the_kernel },
		{ "broken program headers do no harm", survives_broken_words },
		{ "without program headers there is nothing",
		  needs_an_auxiliary_vector },
	};

	return TEST_RUN(tests);
}
