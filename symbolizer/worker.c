/* The child's half of symbolizing: one module after the other, each announced
 * before it is opened, so that the parent knows whose fault a death was. */
#include "worker.h"

#include <string.h>
#include <unistd.h>

#include "child.h"
#include "finder.h"
#include "lookup.h"

enum { FLUSH_AT = 64 << 10 };

void sender_init(struct sender *sender, int fd)
{
	sender->fd = fd;
	writer_init(&sender->buffer, 2 * (size_t)MESSAGE_MAX);
}

void sender_flush(struct sender *sender)
{
	if (sender->buffer.bad)
		_exit(1);
	child_write(sender->fd, sender->buffer.bytes, sender->buffer.len);
	sender->buffer.len = 0;
}

void sender_put(struct sender *sender, enum message_kind kind, size_t index,
		const struct writer *payload)
{
	size_t len = 0;

	if (payload && !payload->bad && payload->len <= MESSAGE_MAX)
		len = payload->len;
	writer_u32(&sender->buffer, kind);
	writer_u32(&sender->buffer, (uint32_t)index);
	writer_u32(&sender->buffer, (uint32_t)len);
	if (len > 0)
		writer_bytes(&sender->buffer, payload->bytes, len);
	if (sender->buffer.len >= FLUSH_AT)
		sender_flush(sender);
}

static void send_status(struct sender *sender, size_t index,
			struct lookup *lookup)
{
	struct writer payload;

	writer_init(&payload, MESSAGE_MAX);
	writer_u32(&payload, (uint32_t)lookup_status(lookup));
	lookup_write_text(&payload, lookup_debug_path(lookup));
	lookup_write_text(&payload, lookup_why(lookup));
	sender_put(sender, MESSAGE_MODULE_DONE, index, &payload);
	writer_fini(&payload);
}

static void send_sites(const struct job *job, struct lookup *lookup,
		       struct sender *sender, size_t index, size_t from)
{
	struct writer names;

	for (size_t i = from; i < job->nsites &&
			      job->sites[i].module == (int32_t)index; i++) {
		writer_init(&names, MESSAGE_MAX);
		lookup_write(lookup, job->sites[i].offset, &names);
		sender_put(sender, MESSAGE_SITE, i, &names);
		writer_fini(&names);
	}
}

static void send_gaps(const struct job *job, struct lookup *lookup,
		      struct sender *sender, size_t index, size_t from)
{
	struct writer frames;

	for (size_t i = from; i < job->ngaps &&
			      job->gaps[i].module == (int32_t)index; i++) {
		writer_init(&frames, MESSAGE_MAX);
		if (lookup_write_tail_calls(lookup, job->gaps[i].inner,
					    job->gaps[i].outer, &frames) > 0)
			sender_put(sender, MESSAGE_GAP, i, &frames);
		writer_fini(&frames);
	}
}

/* Name the sites and fill the gaps [FROM, ..) that are of the module INDEX:
 * none of them may be, and then this only says whether there are symbols. */
static void do_module(const struct job *job, struct finder *finder,
		      struct sender *sender, size_t index, size_t site,
		      size_t gap)
{
	struct lookup *lookup;

	sender_put(sender, MESSAGE_MODULE, index, NULL);
	sender_flush(sender);
	lookup = lookup_open(finder,
			     report_module(job->report, (int32_t)index),
			     !job->options->leaves_nothing);
	if (lookup == NULL)
		_exit(1);
	send_sites(job, lookup, sender, index, site);
	send_gaps(job, lookup, sender, index, gap);
	send_status(sender, index, lookup);
	lookup_close(lookup);
}

void worker_lookup(void *context, int fd)
{
	const struct job *job = context;
	struct sender sender;
	struct finder *finder;
	size_t site = 0, gap = 0;

	finder = finder_new(job->options->dirs, job->options->ndirs,
			    job->options->root);
	if (finder == NULL)
		_exit(1);
	sender_init(&sender, fd);
	for (size_t i = 0; i < report_module_count(job->report); i++) {
		if (!job->is_done[i])
			do_module(job, finder, &sender, i, site, gap);
		while (site < job->nsites &&
		       job->sites[site].module == (int32_t)i)
			site++;
		while (gap < job->ngaps && job->gaps[gap].module == (int32_t)i)
			gap++;
	}
	sender_put(&sender, MESSAGE_END, 0, NULL);
	sender_flush(&sender);
}
