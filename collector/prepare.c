/* Checks and reservations before the roles start, in the supervisor: here an
 * operator's mistake is told in one line. */
#include "prepare.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "token.h"

/* mkdir -p, 0700. */
static bool make_directories(const char *path, struct error *err)
{
	char part[CONFIG_PATH];
	size_t len = strlen(path);

	for (size_t i = 1; i <= len && i < sizeof(part); i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		if (mkdir(part, 0700) < 0 && errno != EEXIST)
			return fail_errno(err, "make data directory %s", part);
	}
	return true;
}

static bool take_lock(const char *data, struct error *err)
{
	int fd = open("lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return fail_errno(err, "write to data directory %s", data);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
		return fail(err, ERR_REFUSED, "data directory %s is in use "
			    "by another epitaphd", data);
	return true;
}

/* Bodies that were being received when an earlier run ended were never
 * acknowledged; their senders still have them. */
static void clear_incoming(void)
{
	DIR *dir = opendir("incoming");
	struct dirent *entry;

	if (dir == NULL)
		return;
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(dir), entry->d_name, 0);
	}
	closedir(dir);
}

bool prepare_data(const struct settings *settings, struct error *err)
{
	static const char *const below[] = { "bodies", "incoming", "run" };

	if (!make_directories(settings->data, err))
		return false;
	if (chdir(settings->data) < 0)
		return fail_errno(err, "enter data directory %s",
				  settings->data);
	if (access(".", W_OK) < 0)
		return fail_errno(err, "write to data directory %s",
				  settings->data);
	if (!take_lock(settings->data, err))
		return false;
	for (size_t i = 0; i < sizeof(below) / sizeof(below[0]); i++) {
		if (mkdir(below[i], 0700) < 0 && errno != EEXIST)
			return fail_errno(err, "make %s/%s", settings->data,
					  below[i]);
	}
	clear_incoming();
	return true;
}

bool prepare_exposure(const struct settings *settings, struct error *err)
{
	struct tokens tokens;
	char url[128];

	if (!tokens_load(&tokens, err))
		return false;
	for (uint32_t i = 0; i < settings->nlisten; i++) {
		if (config_is_loopback(&settings->listen[i]) || tokens.len > 0)
			continue;
		config_url(&settings->listen[i], url, sizeof(url));
		return fail(err, ERR_REFUSED, "listen on %s: not beyond "
			    "loopback without a token; make one with "
			    "`epitaphd token add --role ingest NAME`", url);
	}
	return true;
}

int prepare_bind(const struct listen_address *address, bool reuse,
		 struct error *err)
{
	const struct sockaddr *sa = (const struct sockaddr *)&address->address;
	int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC |
			SOCK_NONBLOCK, 0);
	int one = 1;
	char url[128];

	config_url(address, url, sizeof(url));
	if (fd < 0) {
		fail_errno(err, "listen on %s", url);
		return -1;
	}
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (reuse)
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	if (sa->sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, sa, address->len) < 0) {
		fail_errno(err, "listen on %s", url);
		close(fd);
		return -1;
	}
	return fd;
}

/* A first socket that does not share: with SO_REUSEPORT alone a second
 * epitaphd of the same user would silently take half of the connections. It
 * has to listen for a moment, because SO_REUSEADDR lets two that do not share
 * an address; nobody can have been told of it yet. */
static bool is_free(struct listen_address *address, struct error *err)
{
	int fd = prepare_bind(address, false, err);
	bool ok;

	if (fd < 0)
		return false;
	ok = listen(fd, 1) == 0;
	if (!ok)
		fail_errno(err, "listen on the address");
	if (getsockname(fd, (struct sockaddr *)&address->address,
			&address->len) < 0)
		ok = fail_errno(err, "name of the listening address");
	close(fd);
	return ok;
}

bool prepare_addresses(struct settings *settings, struct error *err)
{
	for (uint32_t i = 0; i < settings->nlisten; i++) {
		if (!is_free(&settings->listen[i], err) ||
		    prepare_bind(&settings->listen[i], true, err) < 0)
			return false;
	}
	return true;
}
