/* Programs that this one executes or spawns. Mask and ignored signals are
 * inherited from the kernel, so what we keep from it is handed over first, and
 * taken back where the new program could not be started. The child of a vfork
 * may come here, in its parent's memory: it writes nothing to it that stays. */
#include <stdarg.h>
#include <spawn.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../preload.h"
#include "../signal/zone.h"
#include "interpose.h"

enum { FEW_ARGUMENTS = 250 };

typedef int real_execve_fn(const char *, char *const[], char *const[]);
typedef int real_execv_fn(const char *, char *const[]);
typedef int real_fexecve_fn(int, char *const[], char *const[]);
typedef int real_execveat_fn(int, const char *, char *const[], char *const[],
			     int);
typedef int real_spawn_fn(pid_t *, const char *,
			  const posix_spawn_file_actions_t *,
			  const posix_spawnattr_t *, char *const[],
			  char *const[]);

EXPORT int execve(const char *path, char *const argv[], char *const envp[]);
EXPORT int execv(const char *path, char *const argv[]);
EXPORT int execvp(const char *file, char *const argv[]);
EXPORT int execvpe(const char *file, char *const argv[], char *const envp[]);
EXPORT int execl(const char *path, const char *argument, ...);
EXPORT int execlp(const char *file, const char *argument, ...);
EXPORT int execle(const char *path, const char *argument, ...);
EXPORT int fexecve(int fd, char *const argv[], char *const envp[]);
EXPORT int execveat(int fd, const char *path, char *const argv[],
		    char *const envp[], int flags);
EXPORT int posix_spawn(pid_t *restrict pid, const char *restrict path,
		       const posix_spawn_file_actions_t *actions,
		       const posix_spawnattr_t *restrict attributes,
		       char *const argv[restrict], char *const envp[restrict]);
EXPORT int posix_spawnp(pid_t *restrict pid, const char *restrict file,
			const posix_spawn_file_actions_t *actions,
			const posix_spawnattr_t *restrict attributes,
			char *const argv[restrict],
			char *const envp[restrict]);
EXPORT FILE *popen(const char *command, const char *mode);
EXPORT int system(const char *command);

REAL(real_execve, "execve");
REAL(real_execv, "execv");
REAL(real_execvp, "execvp");
REAL(real_execvpe, "execvpe");
REAL(real_fexecve, "fexecve");
REAL(real_execveat, "execveat");
REAL(real_posix_spawn, "posix_spawn");
REAL(real_posix_spawnp, "posix_spawnp");
REAL(real_popen, "popen");
REAL(real_system, "system");

/* What the kernel has been told, and is to forget again. */
struct exposed {
	uint64_t mask;
	uint32_t rows; /* a bit each */
};

/* Signals that the program ignores, and we catch, ignored for real. */
static uint32_t expose_ignored(void)
{
	uint32_t rows = 0;
	struct kernel_action action;

	for (int i = 0; i < CLAIMED_COUNT; i++) {
		const struct kernel_action *known = &zone.actions[i].action;
		int sig = claimed_signal(i);

		if (known->handler != (uintptr_t)SIG_IGN ||
		    sys4(rt_sigaction, sig, NULL, &action, KERNEL_SIGSET) < 0 ||
		    action.handler != (uintptr_t)crash_handler)
			continue;
		if (sys4(rt_sigaction, sig, known, NULL, KERNEL_SIGSET) == 0)
			rows |= 1u << i;
	}
	return rows;
}

/* False where there is nothing to tell, as nearly always. */
static bool expose(struct exposed *exposed_out)
{
	struct exposed exposed = { 0, 0 };

	if (!zone.ready ||
	    (!atomic_load(&zone.masked) && !atomic_load(&zone.ignored)))
		return false;
	exposed.mask = hidden_mask();
	if (atomic_load(&zone.ignored))
		exposed.rows = expose_ignored();
	if (exposed.mask)
		sys4(rt_sigprocmask, SIG_BLOCK, &exposed.mask, NULL,
		     KERNEL_SIGSET);
	*exposed_out = exposed;
	return true;
}

static void conceal(const struct exposed *exposed)
{
	for (int i = 0; i < CLAIMED_COUNT; i++) {
		if (exposed->rows & 1u << i)
			install_action(claimed_signal(i),
				       &zone.actions[i].action);
	}
	if (exposed->mask)
		sys4(rt_sigprocmask, SIG_UNBLOCK, &exposed->mask, NULL,
		     KERNEL_SIGSET);
}

EXPORT int execve(const char *path, char *const argv[], char *const envp[])
{
	real_execve_fn *real = (real_execve_fn *)real_address(&real_execve);
	struct exposed exposed;
	int result;

	if (!expose(&exposed))
		return real(path, argv, envp);
	result = real(path, argv, envp);
	conceal(&exposed);
	return result;
}

static int exec_vector(const struct real *function, const char *file,
		       char *const argv[])
{
	real_execv_fn *real = (real_execv_fn *)real_address(function);
	struct exposed exposed;
	int result;

	if (!expose(&exposed))
		return real(file, argv);
	result = real(file, argv);
	conceal(&exposed);
	return result;
}

EXPORT int execv(const char *path, char *const argv[])
{
	return exec_vector(&real_execv, path, argv);
}

EXPORT int execvp(const char *file, char *const argv[])
{
	return exec_vector(&real_execvp, file, argv);
}

EXPORT int execvpe(const char *file, char *const argv[], char *const envp[])
{
	real_execve_fn *real = (real_execve_fn *)real_address(&real_execvpe);
	struct exposed exposed;
	int result;

	if (!expose(&exposed))
		return real(file, argv, envp);
	result = real(file, argv, envp);
	conceal(&exposed);
	return result;
}

EXPORT int fexecve(int fd, char *const argv[], char *const envp[])
{
	real_fexecve_fn *real = (real_fexecve_fn *)real_address(&real_fexecve);
	struct exposed exposed;
	int result;

	if (!expose(&exposed))
		return real(fd, argv, envp);
	result = real(fd, argv, envp);
	conceal(&exposed);
	return result;
}

EXPORT int execveat(int fd, const char *path, char *const argv[],
		    char *const envp[], int flags)
{
	real_execveat_fn *real =
		(real_execveat_fn *)real_address(&real_execveat);
	struct exposed exposed;
	int result;

	if (!expose(&exposed))
		return real(fd, path, argv, envp, flags);
	result = real(fd, path, argv, envp, flags);
	conceal(&exposed);
	return result;
}

/* The arguments of execl() as an array: in FEW where they fit, else in pages of
 * their own; NULL where there are none. *LEN_OUT: bytes of these pages. */
static char **gather(char *few[FEW_ARGUMENTS], const char *first, va_list list,
		     size_t *len_out)
{
	va_list again;
	size_t n = 0;
	char **argv = few;
	long at;

	*len_out = 0;
	va_copy(again, list);
	for (const char *each = first; each; each = va_arg(again, char *))
		n++;
	va_end(again);
	if (n >= FEW_ARGUMENTS) {
		*len_out = (n + 1) * sizeof(*argv);
		at = sys6(mmap, NULL, *len_out, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (at < 0 && at > -4096)
			return NULL;
		argv = (char **)at;
	}
	for (size_t i = 0; i < n; i++)
		argv[i] = (char *)(uintptr_t)(i ? va_arg(list, const char *) :
						  first);
	argv[n] = n ? va_arg(list, char *) : NULL; /* the NULL */
	return argv;
}

static int exec_list(const char *file, const char *first, va_list list,
		     const struct real *vector, bool environment)
{
	char *few[FEW_ARGUMENTS];
	size_t len;
	char **argv = gather(few, first, list, &len);
	int result;

	if (!argv)
		return -1;
	result = environment ? execve(file, argv, va_arg(list, char **)) :
			       exec_vector(vector, file, argv);
	if (len)
		sys2(munmap, argv, len);
	return result;
}

EXPORT int execl(const char *path, const char *argument, ...)
{
	va_list list;
	int result;

	va_start(list, argument);
	result = exec_list(path, argument, list, &real_execv, false);
	va_end(list);
	return result;
}

EXPORT int execlp(const char *file, const char *argument, ...)
{
	va_list list;
	int result;

	va_start(list, argument);
	result = exec_list(file, argument, list, &real_execvp, false);
	va_end(list);
	return result;
}

EXPORT int execle(const char *path, const char *argument, ...)
{
	va_list list;
	int result;

	va_start(list, argument);
	result = exec_list(path, argument, list, &real_execve, true);
	va_end(list);
	return result;
}

static int spawn(const struct real *function, pid_t *pid, const char *file,
		 const posix_spawn_file_actions_t *actions,
		 const posix_spawnattr_t *attributes, char *const argv[],
		 char *const envp[])
{
	real_spawn_fn *real = (real_spawn_fn *)real_address(function);
	struct exposed exposed;
	int result;

	if (!expose(&exposed))
		return real(pid, file, actions, attributes, argv, envp);
	result = real(pid, file, actions, attributes, argv, envp);
	conceal(&exposed);
	return result;
}

EXPORT int posix_spawn(pid_t *restrict pid, const char *restrict path,
		       const posix_spawn_file_actions_t *actions,
		       const posix_spawnattr_t *restrict attributes,
		       char *const argv[restrict], char *const envp[restrict])
{
	return spawn(&real_posix_spawn, pid, path, actions, attributes, argv,
		     envp);
}

EXPORT int posix_spawnp(pid_t *restrict pid, const char *restrict file,
			const posix_spawn_file_actions_t *actions,
			const posix_spawnattr_t *restrict attributes,
			char *const argv[restrict], char *const envp[restrict])
{
	return spawn(&real_posix_spawnp, pid, file, actions, attributes, argv,
		     envp);
}

EXPORT FILE *popen(const char *command, const char *mode)
{
	FILE *(*real)(const char *, const char *) =
		(FILE * (*)(const char *, const char *))
			real_address(&real_popen);
	struct exposed exposed;
	FILE *result;

	if (!expose(&exposed))
		return real(command, mode);
	result = real(command, mode);
	conceal(&exposed);
	return result;
}

/* libc's waits for the command, in this thread: exposed until then. */
EXPORT int system(const char *command)
{
	int (*real)(const char *) =
		(int (*)(const char *))real_address(&real_system);
	struct exposed exposed;
	int result;

	if (!expose(&exposed))
		return real(command);
	result = real(command);
	conceal(&exposed);
	return result;
}
