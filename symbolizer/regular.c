/* Opening a file that others may have put where it is. Runs in the process that
 * can be lost, and in the command line. */
#include "regular.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

bool regular_open(const char *path, int *fd_out, struct error *err)
{
	struct stat st;
	int fd;

	/* O_NONBLOCK: somebody may have put a FIFO there. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return fail_errno(err, "open");
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return fail(err, ERR_UNSUPPORTED, "not a regular file");
	}
	*fd_out = fd;
	return true;
}
