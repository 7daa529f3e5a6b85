/* Where the other programs of this installation are: seen from where this one
 * really lies, whatever link it was called by. */
#include "install.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool install_find(const char *name, char path_out[PATH_MAX],
		  struct error *err)
{
	static const char *const places[] = { ".", "../lib/epitaph" };
	char self[PATH_MAX], path[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (len <= 0)
		return fail_errno(err, "read /proc/self/exe");
	self[len] = '\0';
	*strrchr(self, '/') = '\0';
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		int n = strcmp(places[i], ".") == 0
			? snprintf(path, sizeof(path), "%s/%s", self, name)
			: snprintf(path, sizeof(path), "%s/%s/%s", self,
				   places[i], name);

		if (n < PATH_MAX && access(path, R_OK) == 0) {
			memcpy(path_out, path, (size_t)n + 1);
			return true;
		}
	}
	return fail(err, ERR_NOT_FOUND, "%s is neither beside %s/epitaph nor "
		    "in ../lib/epitaph", name, self);
}
