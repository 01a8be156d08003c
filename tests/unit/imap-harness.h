/*
 * imap-harness: a session without peers: what it reads is given to it, what it says is kept,
 * indexer is away. Commands run up to the point where they would ask indexer (they end there with
 * NO [UNAVAILABLE]); what they need of the view is there: three messages.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

/* The socket takes nothing, so that all output stays where harness_take finds it. */
static ssize_t harness_send(int fd, const void *data, size_t n, int flags)
{
	(void)fd;
	(void)data;
	(void)n;
	(void)flags;
	errno = EAGAIN;
	return -1;
}

#define send harness_send
#include "services/imap/imap-client.c"
#undef send

static struct imap_settings harness_settings = {
	.max_line_length = 65536,
	.max_append_size = 1 << 20,
	.idle_timeout_ms = 1800000,
	.max_search_keys = 1000,
};
static struct imap_server harness_server;

struct client *imap_objects_put(struct imap_server *s)
{
	return s->put;
}

struct client *imap_objects_get(struct imap_server *s)
{
	return s->get;
}

static void harness_nothing(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	(void)ctx;
}

static void harness_load(struct imap_client *c)
{
	struct mailbox_record records[3];
	struct mailbox_base base;
	struct err e;
	int fd;

	memset(records, 0, sizeof(records));
	for (uint32_t i = 0; i < 3; i++) {
		records[i] = (struct mailbox_record){
			.uid = i * 10 + 1, .modseq = i + 1, .size = 100 * i, .flags = i};
	}
	fd = mailbox_base_make(records, 3, 1, 3, &e);
	if (fd < 0 || mailbox_base_open(fd, &base, &e) < 0 ||
		view_load(&c->mbox.view, &base, span_from("", 0), &e) < 0)
		abort();
	(void)close(fd);
	c->mbox.selected = true;
	c->mbox.told_exists = 3;
	imap_mailbox_set_keywords(c, SPAN("foo\nbar"));
}

static void harness_open(struct imap_client *c, struct event_base *base)
{
	memset(c, 0, sizeof(*c));
	c->server = &harness_server;
	c->set = &harness_settings;
	c->fd = -1;
	c->ev_read = event_new(base, -1, 0, harness_nothing, c);
	c->ev_write = event_new(base, -1, 0, harness_nothing, c);
	c->ev_run = event_new(base, -1, 0, harness_nothing, c);
	c->ev_timer = event_new(base, -1, 0, harness_nothing, c);
	c->user = mem_strdup("user");
	c->address = mem_strdup("");
	c->input_eof = true; /* nothing is read but what is given */
	imap_lexer_init(&c->lexer, (size_t)c->set->max_line_length, IMAP_COMMAND_MAX);
	view_init(&c->mbox.view);
	uidset_init(&c->mbox.recent);
	harness_load(c);
}

static void harness_close(struct imap_client *c)
{
	cmd_free(c);
	imap_append_abort(c);
	imap_mailbox_close(c);
	imap_lexer_clear(&c->lexer);
	buf_clear(&c->in);
	buf_clear(&c->out);
	event_free(c->ev_read);
	event_free(c->ev_write);
	event_free(c->ev_run);
	event_free(c->ev_timer);
	mem_free(c->user);
	mem_free(c->address);
}

/* Takes all that is said so far into `said`; nothing is ever written to a socket. */
static void harness_take(struct imap_client *c, struct buf *said)
{
	buf_add_span(said, buf_span(&c->out));
	buf_empty(&c->out);
}

static void harness_feed(struct imap_client *c, struct span input, size_t piece, struct buf *said)
{
	for (size_t at = 0; at < input.n && !c->closing; at += piece) {
		buf_add(&c->in, input.p + at, input.n - at < piece ? input.n - at : piece);
		for (int turn = 0; turn < 1000 && !c->closing; turn++) {
			size_t before = c->in.len;

			if (c->idling)
				imap_idle_run(c);
			client_run(c);
			/* indexer will not come back: the command runs into its absence */
			if (c->cmd.running && c->wait_until_ms != 0) {
				c->wait_until_ms = 0;
				cmd_run(c);
			}
			harness_take(c, said);
			if (c->cmd.running && !c->idling && c->cmd.resume != NULL)
				c->cmd.resume(c);
			if (c->in.len == before || c->in.len == 0)
				break;
		}
	}
}
