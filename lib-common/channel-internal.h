/* channel-internal: what both ends of a channel share; see channel.h for the protocol. */
#ifndef LM_CHANNEL_INTERNAL_H
#define LM_CHANNEL_INTERNAL_H

#include "lib-common/channel.h"
#include "lib-common/mem.h"

struct channel_line {
	struct span tag, word; /* word: VERB, OK, TEMP, PERM or EVENT */
	struct channel_param *params;
	size_t n_params;
};

/* The line without its LF. Spans point into it, or into the arena where escapes were undone. */
int channel_line_parse(struct span line, struct arena *a, struct channel_line *l_r);
const struct channel_param *channel_param_find(
	const struct channel_param *params, size_t n, const char *key);
void channel_add_param(struct buf *out, const char *key, struct span value);

/* ---- a connection: octets and descriptors, in and out ---- */

#define CONN_FDS_MAX 2	   /* of one line */
#define CONN_FDS_QUEUED 16 /* received and not yet matched with a line */

struct conn_mark { /* descriptors that go with the octet at `at` of the output stream */
	struct conn_mark *next;
	uint64_t at;
	int fds[CONN_FDS_MAX];
	bool close_after[CONN_FDS_MAX];
	unsigned n;
};

/* What stands in one line, with what came with it. */
struct conn_message {
	struct channel_line line;
	struct span body; /* inline or mapped */
	void *map;	  /* to be unmapped, or NULL */
	size_t map_size;
	int fd; /* of fd=1, or -1 */
};

struct conn {
	struct event_base *base;
	int fd;
	struct event *read_event, *write_event, *flush_event;
	bool reading_paused, dead;
	const char *end_reason;
	struct buf in, out;
	uint64_t out_sent; /* octets of the output stream that are gone */
	struct conn_mark *marks, **marks_tail;
	int fds[CONN_FDS_QUEUED];
	unsigned n_fds;
	bool copy_messages; /* they outlive the callback */
	bool greeted;	    /* the peer's handshake was taken */
	/* on_line returns -1 to close; on_end is called once, and may free the conn. on_drained:
	 * the output fell below its limit. */
	int (*on_hello)(struct conn *c, struct span line);
	int (*on_message)(struct conn *c, struct arena *a, struct conn_message *m);
	/* Called before a message is parsed: NULL stops the reading. The message's memory. */
	struct arena *(*take_arena)(struct conn *c);
	void (*put_arena)(struct conn *c, struct arena *a);
	void (*on_drained)(struct conn *c);
	void (*on_end)(struct conn *c, const char *why);
	/* The owner's memory must stay from enter to leave: callbacks may close the connection. */
	void (*on_enter)(struct conn *c);
	void (*on_leave)(struct conn *c);
	void *ctx;
};

void conn_init(struct conn *c, struct event_base *base, int fd);
void conn_clear(struct conn *c); /* closes */
/* The line (with LF) and inline body stand in `text`; fds may be empty. */
void conn_send(struct conn *c, struct span head, struct span body, const int *fds,
	const bool *close_after, unsigned n_fds);
size_t conn_pending(const struct conn *c);
void conn_pause(struct conn *c, bool pause);
/* Ends the connection from within or without a callback; on_end runs from the loop. */
void conn_fail(struct conn *c, const char *why);
void conn_message_release(struct conn_message *m);
/* Puts body= or bodyfd= (making the memfd) and fd=, LF and all into the connection. 0, or -1 when a
 * memfd could not be made. */
int conn_send_message(struct conn *c, struct buf *line, struct span body, int fd, bool close_after);

#endif
