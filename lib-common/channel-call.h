/*
 * channel-call: the calls of a client before and beside their connection; for channel-client.c
 * only. Building them, and where they are kept: a call waits in a list for its connection, stands
 * in the table of tags while it is under way, and in the heap of deadlines for as long.
 */
#ifndef LM_CHANNEL_CALL_H
#define LM_CHANNEL_CALL_H

#include "lib-common/channel-conn.h"

enum call_state {
	CALL_NEW,
	CALL_WAITING, /* for the connection */
	CALL_SENT,
	CALL_LATE,   /* sent, told to have failed; the answer may still come */
	CALL_FAILED, /* its callback will be told from the loop */
};

struct call {
	struct client *client;
	enum call_state state;
	uint64_t tag, deadline_ms;
	size_t heap_index;
	struct call *next,
		*prev;	 /* in a list, or next alone: in the table of tags, or in the pool */
	struct buf line; /* VERB and parameters */
	struct buf body;
	struct span body_span;
	int body_fd, fd;
	uint64_t body_len;
	char trace[TRACE_ID_SIZE];
	call_cb *cb;
	void *ctx;
	enum err_code code; /* of a failure, and its reason */
	const char *why;
};

struct call_list {
	struct call *first, *last;
	size_t n;
};

struct client {
	struct conn conn;
	struct client_def def;
	char *role, *path, *token;
	bool freed, ended, told_open, close_untold, complained;
	unsigned backoff_ms;
	uint64_t born_ms, next_tag;
	struct call **table; /* sent calls by tag; a power of two */
	size_t table_size, n_sent, n_late;
	struct call_list waiting, failed;
	struct call **heap; /* by deadline */
	size_t heap_n, heap_size;
	uint64_t timer_ms; /* what the timer is set to; 0: nothing */
	struct event ev_timer, ev_connect, ev_failed;
};

void call_list_add(struct call_list *list, struct call *call);
void call_list_remove(struct call_list *list, struct call *call);
/* The table of sent calls. client_table_take gives NULL for a tag that nobody waits for. */
void client_table_add(struct client *c, struct call *call);
struct call *client_table_take(struct client *c, uint64_t tag);
/* The heap: its first element is the next to run out of time. Removing what is not in it is fine.
 */
void client_heap_add(struct client *c, struct call *call);
void client_heap_remove(struct client *c, struct call *call);
void call_buf_reset(struct buf *b); /* empties it, and frees what is too large to keep */
void call_close_fds(struct call *call);

#endif
