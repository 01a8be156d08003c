/*
 * channel-conn: what both ends of the line protocol (channel.h) share; for channel-*.c only. The
 * parser of a line, and a connection: its own recvmsg and sendmsg loops over plain libevent events,
 * as descriptors must stay with their lines.
 *
 * Input lies in reference-counted blocks. Lines are parsed where they lie; a request that is kept
 * for a later answer keeps its block, and the connection goes on in the rest of it. Idle
 * connections hold neither a block nor an output buffer; both come from pools of the thread.
 *
 * Output of one turn of the loop goes out in one sendmsg: writers only append and schedule.
 */
#ifndef LM_CHANNEL_CONN_H
#define LM_CHANNEL_CONN_H

#include <event2/event_struct.h>
#include <sys/types.h>
#include "lib-common/channel.h"

#define CHANNEL_PARAMS_MAX 256 /* keys of one line */
#define CHANNEL_HANDSHAKE_MS 10000
#define CHANNEL_FDS_MAX 2 /* of one line: the body's, then the verb's own */

/* ---- codec ---- */

/* One parsed line. Everything points into the line, nothing is copied. */
struct channel_line {
	struct span tag, word; /* word: the verb, status or event */
	size_t n_params;
	bool has_body, has_bodyfd, has_fd;
	uint64_t body_len; /* of either kind */
	/* Set by the connection: */
	struct span body;
	void *map; /* the mapped body, or NULL; the taker unmaps body.n octets */
	int fd;	   /* the verb's own, or -1 */
	/* The reserved keys of the body and the descriptor are not among them. */
	struct channel_param params[CHANNEL_PARAMS_MAX];
};

/* Takes a line (without its LF) apart and changes nothing. NULL, or what is wrong with it. */
const char *channel_line_parse(struct span text, struct channel_line *line);
/* Unescapes the values where they stand and puts a NUL behind each (over the TAB or LF there).
 * False: a stray escape octet. */
bool channel_line_finish(struct channel_line *line);
void channel_put_u64(struct buf *out, uint64_t v);
/* Appends <TAB>key=value, escaped. */
void channel_put(struct buf *out, const char *key, struct span value);
void channel_put_uint(struct buf *out, const char *key, uint64_t value);
void channel_put_int(struct buf *out, const char *key, int64_t value);
void channel_put_hex(struct buf *out, const char *key, const void *data, size_t n);
/* A sealed memfd with these octets; -1 with *e set. */
int channel_body_memfd(struct span body, struct err *e);
/* Maps a passed body of n octets after checking its seals and size; NULL, or what is wrong. */
const char *channel_body_map(int fd, uint64_t n, void **map_r);
void channel_body_unmap(void *map, size_t n);

/* ---- connection ---- */

struct channel_block;
struct conn;

struct conn_ops {
	/* A line without LF, before the connection is `open`. NULL, or why the peer must go. */
	const char *(*handshake)(struct conn *c, struct span line);
	/* A whole line with its body. What it keeps of the line it must take: a reference on
	 * c->block for the spans, line->map and line->fd (set to NULL and -1). NULL, or why the
	 * peer must go. */
	const char *(*frame)(struct conn *c, struct channel_line *line);
	/* False: no more input now; conn_resume when that changes. */
	bool (*may_read)(const struct conn *c);
	/* The connection is closed. why: what the peer did wrong, or NULL when it just went. */
	void (*lost)(struct conn *c, const char *why);
	void (*destroy)(struct conn *c); /* the last reference is gone */
};

struct conn_fd {
	int fd;
	uint64_t from, to; /* it came with these octets of the stream */
};

struct conn_mark { /* descriptors to be sent with the octet at `at` of the stream */
	uint64_t at;
	int fds[CHANNEL_FDS_MAX];
	unsigned n;
};

struct conn {
	const struct conn_ops *ops;
	struct event_base *base;
	int fd; /* -1: closed */
	unsigned refs;
	bool open;	      /* the handshake is done */
	bool takes_fds;	      /* the role has verbs with descriptors or bodies */
	bool paused;	      /* input is not read */
	bool scheduled;	      /* `later` will run, or is running */
	const char *broken;   /* close from `later`, for this reason */
	uint64_t received_ms; /* when the newest input was read */
	uint64_t since_ms;    /* when the connection was made */
	unsigned handshake_ms;

	struct channel_block *block; /* NULL: no input is held */
	size_t pos;		     /* of the first octet not parsed */
	size_t scanned;		     /* octets behind pos known to hold no LF */
	size_t frame_need;	     /* octets of the line and body at pos; 0: not known yet */
	uint64_t in_offset;	     /* of pos in the stream */
	struct conn_fd in_fds[8];
	unsigned n_in_fds;

	struct buf out;
	uint64_t out_offset; /* of out's first octet in the stream */
	struct conn_mark *marks;
	unsigned n_marks, first_mark, marks_size;

	struct event ev_read, ev_write, ev_later;
};

void conn_init(
	struct conn *c, struct event_base *base, const struct conn_ops *ops); /* one reference */
void conn_ref(struct conn *c);
void conn_unref(struct conn *c);
/* Begins on a connected socket, which it owns from now on. handshake_ms: how long the peer may take
 * until conn_opened; 0: for ever. */
void conn_start(struct conn *c, int fd, bool takes_fds, unsigned handshake_ms);
void conn_opened(struct conn *c);		 /* the handshake is done: frames from now on */
void conn_close(struct conn *c);		 /* quietly; no callback. Safe anywhere */
void conn_lose(struct conn *c, const char *why); /* closes and tells `lost` */
/* The same from the loop, when the caller must not see the end now. */
void conn_break(struct conn *c, const char *why);
void conn_schedule(struct conn *c);
void conn_resume(struct conn *c);
size_t conn_pending(const struct conn *c);
void conn_trim(struct conn *c); /* gives the input block back when nothing is in it */

struct conn_msg {
	struct span head;   /* "tag<TAB>VERB", may go on with parameters */
	struct span params; /* "<TAB>key=value" any number of times */
	struct span body;
	int body_fd;	   /* instead of body when >= 0: a sealed memfd */
	uint64_t body_len; /* of body_fd */
	int fd;		   /* the verb's own, or -1 */
};

/* False when the line would be too long; nothing is sent then. Otherwise both descriptors now
 * belong to the connection. A body beyond CHANNEL_INLINE_MAX must be given as body_fd. */
bool conn_send(struct conn *c, const struct conn_msg *msg);
void conn_send_raw(struct conn *c, struct span text);

struct event_base *client_base(const struct client *c);
struct client *call_client(const struct call *call);

void channel_block_ref(struct channel_block *b);
void channel_block_unref(struct channel_block *b);
void channel_block_mark_secret(struct channel_block *b); /* overwritten before it is used again */

#endif
