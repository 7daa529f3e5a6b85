/* Framing and buffering of messages. Every role, around its poll loop: nothing
 * here blocks. */
#include "channel.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <poll.h>
#include <unistd.h>

#include "role.h"
#include "wire.h"

enum {
	HEADER = 16, /* u32 length of the body, u32 type, u64 tag */
	READ_MORE = 64 * 1024,
	READ_ONCE = 4 << 20, /* so that one talkative peer is not all */
};

static const struct {
	size_t min, max;
} sizes[MSG_COUNT] = {
	[MSG_SETUP] = { sizeof(struct role_setup), sizeof(struct role_setup) },
	[MSG_BOARD] = { sizeof(struct board), sizeof(struct board) },
	[MSG_DRAIN] = { 0, 0 },
	[MSG_READY] = { 0, 0 },
	[MSG_STATS] = { sizeof(struct stats), sizeof(struct stats) },
	[MSG_CANARY] = { 0, 0 },
	[MSG_HITS] = { 4, WIRE_MAX_HITS_BYTES },
	[MSG_HITS_DONE] = { 0, WIRE_MAX_HITS },
	[MSG_REPORT] = { 1, WIRE_MAX_REPORT },
	[MSG_REPORT_DONE] = { sizeof(struct report_done),
			      sizeof(struct report_done) },
	[MSG_ADMIN] = { 1, WIRE_MAX_ADMIN },
	[MSG_ADMIN_DONE] = { sizeof(struct admin_done),
			     sizeof(struct admin_done) },
	[MSG_CHECK] = { sizeof(struct check_job), sizeof(struct check_job) },
	[MSG_CHECKED] = { 1, WIRE_MAX_CHECKED },
	[MSG_TOOL] = { sizeof(struct tool_job), sizeof(struct tool_job) },
	[MSG_TOOL_DONE] = { sizeof(struct tool_done),
			    sizeof(struct tool_done) },
	[MSG_ARRIVED] = { sizeof(struct build_id), sizeof(struct build_id) },
	[MSG_ARRIVED_DONE] = { 1, 1 },
	[MSG_GET] = { 1, WIRE_MAX_GET },
	[MSG_PAGE] = { 1, WIRE_MAX_PAGE },
	[MSG_JOB_WANT] = { 0, 0 },
	[MSG_JOB] = { sizeof(struct job), sizeof(struct job) },
	[MSG_JOB_DONE] = { 1, WIRE_MAX_JOB_DONE },
};

void channel_init(struct channel *channel, int fd, uint32_t takes,
		  size_t out_limit)
{
	memset(channel, 0, sizeof(*channel));
	channel->fd = fd;
	channel->takes = takes;
	channel->out_limit = out_limit;
	writer_init(&channel->out, out_limit);
	if (fd >= 0)
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

void channel_close(struct channel *channel)
{
	if (channel->fd >= 0)
		close(channel->fd);
	channel->fd = -1;
	channel->in_len = 0;
	channel->in_pos = 0;
	channel->out_pos = 0;
	writer_fini(&channel->out);
	writer_init(&channel->out, channel->out_limit);
}

void channel_fini(struct channel *channel)
{
	channel_close(channel);
	free(channel->in);
	channel->in = NULL;
	channel->in_cap = 0;
}

static bool make_address(const char *path, struct sockaddr_un *out,
			 struct error *err)
{
	memset(out, 0, sizeof(*out));
	out->sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(out->sun_path))
		return fail(err, ERR_TOO_LARGE, "socket path %s is too long",
			    path);
	memcpy(out->sun_path, path, strlen(path));
	return true;
}

bool channel_connect(struct channel *channel, const char *path,
		     struct error *err)
{
	struct sockaddr_un address;
	int fd;

	assert(channel->fd < 0);
	if (!make_address(path, &address, err))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fail_errno(err, "make a socket");
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		fail_errno(err, "connect %s", path);
		close(fd);
		return false;
	}
	channel->fd = fd;
	return true;
}

int channel_listen(const char *path, struct error *err)
{
	struct sockaddr_un address;
	int fd;

	if (!make_address(path, &address, err))
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		fail_errno(err, "make a socket");
		return -1;
	}
	unlink(path);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(fd, 64) < 0) {
		fail_errno(err, "listen on %s", path);
		close(fd);
		return -1;
	}
	return fd;
}

int channel_accept(int listener)
{
	return accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

/* Drop what has been sent from the front of the queue. */
static void compact(struct channel *channel)
{
	struct writer *out = &channel->out;

	if (channel->out_pos == 0)
		return;
	out->len -= channel->out_pos;
	memmove(out->bytes, out->bytes + channel->out_pos, out->len);
	channel->out_pos = 0;
}

bool channel_send(struct channel *channel, enum message_type type, uint64_t tag,
		  const void *body, size_t len)
{
	struct writer *out = &channel->out;

	assert(type < MSG_COUNT && len >= sizes[type].min);
	if (channel->fd < 0 || out->bad || len > sizes[type].max)
		return false;
	if (len + HEADER > out->limit - out->len)
		compact(channel);
	if (len + HEADER > out->limit - out->len)
		return false;
	writer_u32(out, (uint32_t)len);
	writer_u32(out, type);
	writer_u64(out, tag);
	writer_bytes(out, body, len);
	return !out->bad;
}

bool channel_flush(struct channel *channel)
{
	struct writer *out = &channel->out;

	if (channel->fd < 0 || out->bad)
		return false;
	while (channel->out_pos < out->len) {
		ssize_t n = send(channel->fd, out->bytes + channel->out_pos,
				 out->len - channel->out_pos, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN;
		channel->out_pos += (size_t)n;
	}
	out->len = 0;
	channel->out_pos = 0;
	/* A rare big message must not pin its memory for ever. */
	if (out->cap > READ_ONCE) {
		writer_fini(out);
		writer_init(out, channel->out_limit);
	}
	return true;
}

short channel_events(const struct channel *channel)
{
	return channel->out.len > channel->out_pos ? POLLIN | POLLOUT : POLLIN;
}

/* Room for at least READ_MORE bytes behind what is there. */
static bool make_room(struct channel *channel)
{
	size_t left = channel->in_len - channel->in_pos;
	size_t cap = channel->in_cap;
	uint8_t *grown;

	if (channel->in_pos > 0) {
		memmove(channel->in, channel->in + channel->in_pos, left);
		channel->in_len = left;
		channel->in_pos = 0;
	}
	if (cap > READ_ONCE && left == 0) {
		free(channel->in);
		channel->in = NULL;
		cap = 0;
	}
	while (cap < left + READ_MORE)
		cap = cap == 0 ? (size_t)2 * READ_MORE : cap * 2;
	if (cap != channel->in_cap || channel->in == NULL) {
		grown = realloc(channel->in, cap);
		if (grown == NULL)
			return false;
		channel->in = grown;
		channel->in_cap = cap;
	}
	return true;
}

bool channel_read(struct channel *channel)
{
	size_t taken = 0;

	while (channel->fd >= 0 && taken < READ_ONCE) {
		ssize_t n;

		if (!make_room(channel))
			return false;
		n = recv(channel->fd, channel->in + channel->in_len,
			 channel->in_cap - channel->in_len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN;
		if (n == 0)
			return false;
		channel->in_len += (size_t)n;
		taken += (size_t)n;
	}
	return channel->fd >= 0;
}

enum channel_next channel_next(struct channel *channel, struct message *out)
{
	struct reader r;
	size_t len, type;

	if (channel->in_len - channel->in_pos < HEADER)
		return CHANNEL_NONE;
	reader_init(&r, channel->in + channel->in_pos,
		    channel->in_len - channel->in_pos);
	len = reader_u32(&r);
	type = reader_u32(&r);
	if (type >= MSG_COUNT || (channel->takes & MESSAGE_BIT(type)) == 0 ||
	    len < sizes[type].min || len > sizes[type].max)
		return CHANNEL_BROKEN;
	out->type = (enum message_type)type;
	out->tag = reader_u64(&r);
	if (reader_left(&r) < len)
		return CHANNEL_NONE;
	out->len = len;
	out->body = reader_take(&r, len);
	channel->in_pos += r.pos;
	return CHANNEL_MESSAGE;
}
