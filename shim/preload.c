/* Start of the shim: fills `struct zone`, then installs the handlers. Runs
 * before the program's other constructors (-z initfirst), and must never fail
 * the program: what cannot be set up is left out. */
#include "preload.h"

#include <elf.h>
#include <stddef.h>

#include "annotate.h"
#include "interpose/interpose.h"
#include "resolve.h"
#include "settings.h"
#include "signal/zone.h"

extern char **environ __attribute__((weak));
extern const char *gnu_get_libc_version(void) __attribute__((weak));
extern void *dlsym(void *handle, const char *name) __attribute__((weak));

enum { MAX_REALS = 128 };

/* All of them, in the linker's order. */
extern const struct real __start_reals[], __stop_reals[]
	__attribute__((visibility("hidden")));
static _Atomic uintptr_t addresses[MAX_REALS];

uintptr_t real_address(const struct real *real)
{
	_Atomic uintptr_t *known = &addresses[real - __start_reals];
	uintptr_t address = atomic_load_explicit(known, memory_order_acquire);

	if (address)
		return address;
	address = resolve_next(real->name);
	/* Called before our constructor, which finds the linker's list. */
	if (!address && dlsym)
		address = (uintptr_t)dlsym((void *)-1l /* RTLD_NEXT */,
					   real->name);
	atomic_store_explicit(known, address, memory_order_release);
	return address;
}

/* The guard may be read: it lies among our data, and LeakSanitizer and garbage
 * collectors look through all of a library's data for pointers. */
static void prepare_stacks(void)
{
	stack_t stack = {
		.ss_sp = zone_stacks.alternate,
		.ss_size = ZONE_ALTSTACK,
	};

	sys2(sigaltstack, &stack, NULL);
}

/* Put our handler where the disposition is at its default. One that is there
 * already, or was inherited as ignored, is the program's. */
static void install_handlers(void)
{
	static const struct kernel_action none = { .handler = 0 };

	for (int i = 0; i < CLAIMED_COUNT; i++) {
		struct kernel_action *action = &zone.actions[i].action;
		int sig = claimed_signal(i);

		if (exchange_action(sig, &none, action) < 0 ||
		    action->handler == (uintptr_t)SIG_DFL)
			continue;
		note_action(sig, action);
		install_action(sig, action);
	}
}

static const Elf64_auxv_t *find_auxv(char **environment)
{
	while (*environment)
		environment++;
	return (const Elf64_auxv_t *)(environment + 1);
}

/* False for a program that runs with more rights than who started it, as one
 * named in /etc/ld.so.preload may: its environment is not to be believed. */
static bool read_auxv(const Elf64_auxv_t *auxv)
{
	uintptr_t phdr = 0, phnum = 0, secure = 0;

	zone.record.auxv = (uint64_t)(uintptr_t)auxv;
	zone.altstack_bytes = ZONE_ALTSTACK;
	for (; auxv->a_type != AT_NULL; auxv++) {
		if (auxv->a_type == AT_PHDR)
			phdr = auxv->a_un.a_val;
		else if (auxv->a_type == AT_PHNUM)
			phnum = auxv->a_un.a_val;
		else if (auxv->a_type == AT_SECURE)
			secure = auxv->a_un.a_val;
		else if (auxv->a_type == 51 /* AT_MINSIGSTKSZ */)
			zone.frame_bytes = (uint32_t)auxv->a_un.a_val;
	}
	if (zone.frame_bytes > ZONE_ALTSTACK / 2)
		zone.altstack_bytes =
			(zone.frame_bytes * 2 + ZONE_PAGE) &
			~(uint32_t)(ZONE_PAGE - 1);
	zone.record.auxv_len = (uint64_t)(uintptr_t)(auxv + 1) -
			       zone.record.auxv;
	zone.headers = phdr;
	zone.nheaders = phnum;
	resolve_init(phdr, phnum);
	return !secure;
}

/* The word that counts the arguments, below argv: between the two NULLs around
 * ENVIRONMENT and argv it is the one that equals the distance. */
static uint64_t find_argc(char **environment)
{
	char **at = environment - 1; /* the NULL that ends argv */

	for (uintptr_t n = 0; n < 1u << 20; n++) {
		at--;
		if ((uintptr_t)*at == n)
			return (uint64_t)(uintptr_t)at;
	}
	return 0;
}

/* glibc passes (argc, argv, envp) to constructors; musl passes nothing, but
 * has set `environ`, which under glibc comes too late for us. */
__attribute__((constructor)) static void start(int argc, char **argv,
					       char **environment)
{
	/* The page is touched first by a write: a read would cost a second
	 * fault. */
	atomic_store(&zone.pid, (int32_t)sys0(getpid));
	(void)argc;
	if (zone.ready)
		return;
	if (!gnu_get_libc_version) {
		if (!&environ || !environ)
			return;
		environment = environ;
		zone.record.main_stack_end = find_argc(environment);
	} else {
		zone.record.main_stack_end =
			(uint64_t)(uintptr_t)(argv - 1);
	}
	if (!read_auxv(find_auxv(environment)) || !settings_read(environment))
		return;
	settings_unfollow(environment);
	zone.record.board = annotate_address();
	if (gnu_get_libc_version)
		zone.nfirst = resolve_count();
	zone.main_thread = (uintptr_t)__builtin_thread_pointer();
	zone.seccomp = sys1(prctl, 21 /* PR_GET_SECCOMP */) != 0;
	zone.filtered = zone.seccomp;
	if (!zone.filtered)
		zone.record.started_ns = clock_ns(CLOCK_BOOTTIME);
	if (zone.seccomp)
		watch_forks();
	prepare_stacks();
	install_handlers();
	zone.ready = true;
}
