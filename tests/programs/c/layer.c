/* A library that keeps what it replaces, as libjsig does: preloaded beside the
 * shim. The first action for a signal is installed, and later ones are only
 * kept: what they ask for is what the kernel had. */
#include <dlfcn.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

static struct sigaction kept[65];
static bool installed[65];

int sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	int (*real)(int, const struct sigaction *, struct sigaction *) =
		(int (*)(int, const struct sigaction *, struct sigaction *))
			dlsym(RTLD_NEXT, "sigaction");

	if (sig < 1 || sig > 64 || !installed[sig]) {
		if (act && sig >= 1 && sig <= 64) {
			installed[sig] = true;
			real(sig, NULL, &kept[sig]);
		}
		return real(sig, act, old);
	}
	if (old)
		*old = kept[sig];
	if (act)
		kept[sig] = *act;
	return 0;
}
