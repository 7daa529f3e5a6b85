/* ELF cores made by hand, and every small mutation of one. */
#include "../../lib/proc/core.h"

#include <elf.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/procfs.h>
#include <sys/user.h>
#include <unistd.h>

#include "mutate.h"
#include "test.h"

enum {
	TEXT = 0x400000,
	STACK = 0x7ff000,
	NOTES = 0x200, /* offsets in the core */
	TEXT_AT = 0xc00,
	STACK_AT = 0xe00,
	SEGMENT = 0x200,
	SHADOW = 0x7fe000,
	SHADOW_NOTE = 0x204, /* NT_X86_SHSTK */
	CORE_LEN = 0x1000,
};

static uint8_t made[CORE_LEN];
static size_t notes_end;

static void put(size_t *at, const void *bytes, size_t len)
{
	memcpy(made + *at, bytes, len);
	*at += len;
}

static void put_note_of(size_t *at, const char *name, uint32_t type,
			const void *bytes, size_t len)
{
	const uint32_t head[3] = {
		(uint32_t)strlen(name) + 1, (uint32_t)len, type
	};

	put(at, head, sizeof(head));
	put(at, name, head[0]);
	*at = (*at + 3) / 4 * 4;
	put(at, bytes, len);
	*at = (*at + 3) / 4 * 4;
}

static void put_note(size_t *at, uint32_t type, const void *bytes, size_t len)
{
	put_note_of(at, "CORE", type, bytes, len);
}

static void put_thread(size_t *at, int tid, uint64_t pc)
{
	struct elf_prstatus status;
	struct user_regs_struct regs;

	memset(&status, 0, sizeof(status));
	memset(&regs, 0, sizeof(regs));
	regs.rip = pc;
	regs.rsp = STACK + 0x40;
	regs.rbx = 0xb0b;
	regs.r15 = 0x15;
	status.pr_pid = tid;
	memcpy(&status.pr_reg, &regs, sizeof(regs));
	put_note(at, NT_PRSTATUS, &status, sizeof(status));
}

static void put_notes(void)
{
	struct elf_prpsinfo info;
	siginfo_t si;
	const uint64_t auxv[] = { AT_SYSINFO_EHDR, 0x900000, AT_NULL, 0 };
	/* Two mappings of one file. */
	struct {
		uint64_t head[2], ranges[6];
		char names[32];
	} files = { { 2, 4096 }, { TEXT, TEXT + 0x1000, 0,
				   TEXT + 0x1000, TEXT + 0x2000, 1 },
		    "/bin/a b\0/bin/a b" };
	const uint64_t shadow = SHADOW;
	size_t at = NOTES;

	memset(&info, 0, sizeof(info));
	info.pr_pid = 77;
	info.pr_uid = 1000;
	memcpy(info.pr_psargs, "a b --now", 10);
	memset(&si, 0, sizeof(si));
	si.si_signo = SIGSEGV;
	si.si_code = SEGV_MAPERR;
	si.si_addr = (void *)(uintptr_t)0x10;
	put_thread(&at, 77, TEXT + 0x1010);
	put_note(&at, NT_PRPSINFO, &info, sizeof(info));
	put_note(&at, NT_SIGINFO, &si, sizeof(si));
	put_note(&at, NT_AUXV, auxv, sizeof(auxv));
	put_note(&at, NT_FILE, &files, 64 + 18);
	put_note_of(&at, "LINUX", SHADOW_NOTE, &shadow, sizeof(shadow));
	put_thread(&at, 78, TEXT + 0x1020);
	notes_end = at;
}

static void put_headers(void)
{
	const Elf64_Ehdr core = {
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB,
			     EV_CURRENT },
		.e_type = ET_CORE,
		.e_machine = EM_X86_64,
		.e_phoff = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 5,
	};
	const Elf64_Phdr phdrs[5] = {
		{ .p_type = PT_NOTE, .p_offset = NOTES,
		  .p_filesz = notes_end - NOTES },
		{ .p_type = PT_LOAD, .p_flags = PF_R, .p_vaddr = TEXT,
		  .p_memsz = 0x1000, .p_offset = TEXT_AT,
		  .p_filesz = SEGMENT },
		/* Not dumped: it is in the file. */
		{ .p_type = PT_LOAD, .p_flags = PF_R | PF_X,
		  .p_vaddr = TEXT + 0x1000, .p_memsz = 0x1000,
		  .p_offset = STACK_AT },
		{ .p_type = PT_LOAD, .p_flags = PF_R | PF_W, .p_vaddr = STACK,
		  .p_memsz = SEGMENT, .p_offset = STACK_AT,
		  .p_filesz = SEGMENT },
		{ .p_type = PT_LOAD, .p_flags = PF_R | PF_X,
		  .p_vaddr = 0x900000, .p_memsz = 0x1000,
		  .p_offset = TEXT_AT, .p_filesz = SEGMENT },
	};

	memcpy(made, &core, sizeof(core));
	memcpy(made + sizeof(core), phdrs, sizeof(phdrs));
}

/* The first page of the program, whose build-id is "build-id". */
static void put_program(void)
{
	const Elf64_Ehdr ehdr = {
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB,
			     EV_CURRENT },
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_phoff = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 2,
	};
	const Elf64_Phdr phdrs[2] = {
		{ .p_type = PT_LOAD, .p_vaddr = TEXT, .p_memsz = 0x2000 },
		{ .p_type = PT_NOTE, .p_vaddr = TEXT + 0x100,
		  .p_filesz = 24, .p_align = 4 },
	};
	const uint32_t note[6] = { 4, 8, NT_GNU_BUILD_ID, 0x554e47,
				   0x6c697562, 0x64692d64 };

	memcpy(made + TEXT_AT, &ehdr, sizeof(ehdr));
	memcpy(made + TEXT_AT + sizeof(ehdr), phdrs, sizeof(phdrs));
	memcpy(made + TEXT_AT + 0x100, note, sizeof(note));
}

static const uint8_t *make(void)
{
	memset(made, 0, sizeof(made));
	put_notes();
	put_headers();
	put_program();
	memset(made + STACK_AT, 0x55, SEGMENT);
	return made;
}

static bool load(const uint8_t *bytes, size_t len, struct core *core,
		 struct report *report, struct error *err)
{
	static int fd = -1;
	char path[64];

	if (fd < 0)
		fd = memfd_create("core", MFD_CLOEXEC);
	CHECK(ftruncate(fd, 0) == 0);
	CHECK(pwrite(fd, bytes, len, 0) == (ssize_t)len);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return core_load(path, core, report, err);
}

static void check_threads(const struct report *report)
{
	if (!CHECK_NUMBER(report->nthreads, 2))
		return;
	CHECK_NUMBER(report->threads[0].tid, 77);
	CHECK(report->threads[0].crashed && !report->threads[1].crashed);
	CHECK_NUMBER(report->threads[1].tid, 78);
	CHECK_NUMBER(report->threads[0].registers.value[R_RIP],
		     TEXT + 0x1010);
	CHECK_NUMBER(report->threads[1].registers.value[R_RIP],
		     TEXT + 0x1020);
	CHECK_NUMBER(report->threads[1].registers.value[R_RSP], STACK + 0x40);
	CHECK_NUMBER(report->threads[1].registers.value[R_RBX], 0xb0b);
	CHECK_NUMBER(report->threads[1].registers.value[R_R15], 0x15);
	CHECK(report->threads[0].registers.valid >> R_SSP & 1);
	CHECK_NUMBER(report->threads[0].registers.value[R_SSP], SHADOW);
	CHECK(!(report->threads[1].registers.valid >> R_SSP & 1));
}

static void check_modules(const struct report *report)
{
	if (!CHECK_NUMBER(report->nmodules, 2))
		return;
	CHECK_STRING(report->modules[0].path, "/bin/a b");
	CHECK_NUMBER(report->modules[0].base, TEXT);
	CHECK_NUMBER(report->modules[0].size, 0x2000);
	CHECK_BYTES(report->modules[0].build_id.bytes,
		    report->modules[0].build_id.len, "build-id", 8);
	CHECK_STRING(report->modules[1].path, "[vdso]");
}

static void test_core(void)
{
	struct report report;
	struct error err = { .text = "" };
	struct core core;

	if (!CHECK(load(make(), CORE_LEN, &core, &report, &err))) {
		printf("# %s\n", err.text);
		return;
	}
	CHECK_NUMBER(report.pid, 77);
	CHECK_NUMBER(report.uid, 1000);
	CHECK_STRING(report.nargs ? report.args[0] : NULL, "a b --now");
	CHECK_NUMBER(report.signal, SIGSEGV);
	CHECK_NUMBER(report.code, SEGV_MAPERR);
	CHECK(report.has_address);
	CHECK_NUMBER(report.address, 0x10);
	CHECK_NUMBER(report.auxv_len, 32);
	check_threads(&report);
	check_modules(&report);
	CHECK_NUMBER(report.nmemory, 3);
	/* What can be written comes first. */
	CHECK_NUMBER(report.memory[0].address, STACK);
	CHECK_NUMBER(report.memory[0].bytes[SEGMENT - 1], 0x55);
	CHECK(report.maps != NULL &&
	      strstr(report.maps, "400000-401000 r--p 00000000 00:00 1 "
				  "/bin/a b\n") != NULL);
	report_free(&report);
	core_close(&core);
}

static void test_not_cores(void)
{
	static const struct {
		size_t at;
		uint8_t value;
	} changes[] = {
		{ 0, 'x' },
		{ EI_CLASS, ELFCLASS32 },
		{ EI_DATA, ELFDATA2MSB },
		{ offsetof(Elf64_Ehdr, e_type), ET_EXEC },
		{ offsetof(Elf64_Ehdr, e_machine), EM_386 },
		{ offsetof(Elf64_Ehdr, e_phentsize), 32 },
		{ offsetof(Elf64_Ehdr, e_phnum), 0 },
	};
	struct report report;
	struct core core;
	struct error err;

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		make();
		made[changes[i].at] = changes[i].value;
		CHECK(!load(made, CORE_LEN, &core, &report, &err));
	}
	CHECK(!load(make(), 0, &core, &report, &err));
	CHECK(!core_load("/", &core, &report, &err));
	CHECK(!core_is("/nowhere"));
}

static void try_core(const uint8_t *bytes, size_t len)
{
	struct report report;
	struct core core;
	struct error err;

	if (!load(bytes, len, &core, &report, &err)) {
		CHECK(err.text[0] != '\0');
		return;
	}
	CHECK(report.nthreads > 0);
	for (size_t i = 0; i < report.nmemory; i++) {
		const struct memory_range *range = &report.memory[i];

		/* All of it is there to be read. */
		CHECK(range->len <= len);
		CHECK(range->bytes[0] + range->bytes[range->len - 1] < 512);
	}
	report_free(&report);
	core_close(&core);
}

static void test_mutated(void)
{
	static uint8_t bytes[CORE_LEN];

	memcpy(bytes, make(), CORE_LEN);
	mutate_truncations(bytes, CORE_LEN, try_core);
	mutate_all(bytes, notes_end, try_core);
}

/* The program's headers in it, in a core that is whole. */
static void try_program(const uint8_t *bytes, size_t len)
{
	make();
	memcpy(made + TEXT_AT, bytes, len);
	try_core(made, CORE_LEN);
}

static void test_mutated_program(void)
{
	uint8_t bytes[0x118];

	memcpy(bytes, make() + TEXT_AT, sizeof(bytes));
	mutate_bits(bytes, sizeof(bytes), try_program);
	alarm(0);
}

static const struct test tests[] = {
	{ "a core is a report with threads, modules and memory", test_core },
	{ "what is no core of x86-64 is refused", test_not_cores },
	{ "mutated cores do no harm", test_mutated },
	{ "mutated programs in a core do none", test_mutated_program },
};

int main(void)
{
	return TEST_RUN(tests);
}
