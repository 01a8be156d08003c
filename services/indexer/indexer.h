/*
 * indexer: the loop's side of the service. The loop's thread owns channels, sessions and mailbox
 * states and never touches SQL; what changes something goes to the writer (writer.h), what reads to
 * the readers (reader.h), and both come back by one eventfd. Changes are applied to states and told
 * to sessions before the requests that made them are answered.
 */
#ifndef INDEXER_INDEXER_H
#define INDEXER_INDEXER_H

#include <event2/event.h>
#include "lib-auth/ticket.h"
#include "lib-common/channel.h"
#include "services/indexer/reader.h"
#include "services/indexer/table.h"
#include "services/indexer/writer.h"

struct session;
struct state;

struct indexer_config {
	const char *database;
	unsigned reader_threads;
	uint64_t state_memory, sessions_per_user, sessions_per_address;
	uint64_t expunge_grace_s, vanished_history_s, delivery_window_s, receipt_lifetime_s;
	bool subaddress_create;
	const unsigned char *ticket_key, *receipt_key; /* 32 octets each, copied */
};

/* An account that somebody is attached to. */
struct live_account {
	uint64_t id;
	struct indexer *ix;
	struct session *sessions;
	unsigned n_sessions;
	uint64_t list_seq;
	struct event *list_timer; /* a MAILBOXES event is due */
	bool list_due;
};

struct indexer {
	struct event_base *base;
	struct indexer_config config;
	unsigned char ticket_key[32], receipt_key[32];
	uint64_t started_ms;
	struct writer *writer;
	struct readers *readers;
	struct maintenance *maintenance;
	int wake_fd;
	struct event *wake_event, *housekeeping;
	struct table accounts;			     /* struct live_account, by account */
	struct table states;			     /* struct state, by mailbox */
	struct state *states_newest, *states_oldest; /* by last use */
	uint64_t states_memory;
	uint64_t generation; /* of bases */
	struct table nonces; /* struct nonce, by its first octets */
	struct nonce *nonces_first, **nonces_tail;
	uint64_t list_seq;
	uint64_t pruned_ms;
	bool pruning;
	unsigned n_sessions;
};

/* The core, without channels: opens the database. Threads run from indexer_start on; without it
 * (tests) indexer_run does what they would. */
struct indexer *indexer_new(
	struct event_base *base, const struct indexer_config *config, struct err *e);
int indexer_start(struct indexer *ix, struct err *e);
void indexer_run(struct indexer *ix);
void indexer_stop(struct indexer *ix); /* all that waits is done and answered */
void indexer_free(struct indexer *ix); /* after all channels are closed */
/* The one of this process, for the handlers of requests. */
struct indexer *indexer_self(void);
/* Tells all sessions to attach again elsewhere: this process ends. */
void indexer_move_sessions(struct indexer *ix);

extern const struct role_def indexer_session_role;
extern const struct role_def indexer_deliver_role;
extern const struct role_def indexer_admin_role;

/* ---- sessions (session.c) ---- */

struct session {
	struct indexer *ix;
	struct channel *channel;
	struct live_account *account; /* NULL: not attached */
	struct session *next, *prev;  /* of the account */
	char id[25], address[64], protocol[16], user[TICKET_USER_MAX + 1];
	uint64_t generation, since;
	bool read_only, attaching, kicked;
	struct state *selected;
	bool selected_read_only;
	struct session *next_selected, *prev_selected; /* of the state */
};

/* True when the ticket was not seen before; it is then remembered while it lives. */
bool nonce_remember(struct indexer *ix, const struct ticket *t);
void nonces_expire(struct indexer *ix, bool all);
struct live_account *live_account_get(struct indexer *ix, uint64_t id, bool make);
/* Its sessions are told and get no further answer. Returns how many. `id`: one session only, or
 * NULL. */
unsigned sessions_kick(struct indexer *ix, uint64_t account, const char *id, const char *reason);
/* The list of mailboxes (or counters in it) moved: a MAILBOXES event within 100 ms. */
void live_account_list_changed(struct indexer *ix, uint64_t account);
/* Up to four numbers; the first key that is NULL ends them. */
void session_event(struct session *s, const char *event, struct span body, const char *key1,
	uint64_t value1, const char *key2, uint64_t value2, const char *key3, uint64_t value3,
	const char *key4, uint64_t value4);

/* ---- states (state.c) ---- */

typedef void state_cb(struct state *st, const struct err *e, struct request *req);

struct state {
	struct indexer *ix;
	uint64_t mailbox, account;
	bool loading; /* a reader makes a (new) base */
	bool gone;
	bool outgrown; /* the log is too long to be worth keeping */
	unsigned pins; /* it is being worked on */
	int base_fd;   /* -1: no base yet */
	uint64_t generation, base_count, base_modseq;
	struct buf log; /* entries behind base_modseq */
	size_t entries;
	uint64_t uidvalidity, uidnext, modseq, messages;
	char *keywords;			   /* blank-separated */
	uint64_t recent_uid, recent_saved; /* the first UID nobody was told as \Recent */
	struct session *sessions;
	struct state_waiter *waiters, **waiters_tail;
	struct state *newer, *older;
	uint64_t memory;
};

/* Calls cb (perhaps at once) when the state can be used, or with the error. */
void state_want(
	struct indexer *ix, uint64_t account, uint64_t mailbox, state_cb *cb, struct request *req);
void state_select(struct state *st, struct session *s, bool read_only);
void state_unselect(struct session *s);
/* The first recent UID to tell, 0 for none; moves the mark unless read-only. */
uint64_t state_take_recent(struct state *st, bool read_only);
/* Applies a commit's changes and tells the sessions: writer_def.changed. */
void states_changed(struct change *changes, void *ctx);
void states_save_recent(struct indexer *ix);
void states_free(struct indexer *ix);

/* ---- helpers for commands (indexer.c) ---- */

/* A write or read task for a request; the caller sets `run`'s arguments. */
struct write_task *request_write(struct request *req, uint64_t account,
	enum write_status (*run)(struct writer *, struct write_task *),
	void (*done)(struct write_task *));
struct read_task *request_read(struct request *req, uint64_t account,
	int (*run)(struct db *, struct read_task *), void (*done)(struct read_task *));
/* The name argument in its stored form, in the request's arena. False: the request was answered. */
bool request_mailbox_name(struct request *req, const char *key, struct span *name_r);
/* The receipt argument, verified. False: the request was answered. */
bool request_receipt(struct indexer *ix, struct request *req, const struct receipt **receipt_r);
/* date, tz, flags, keywords, body of DELIVER and APPEND. False: the request was answered. */
bool request_message(struct indexer *ix, struct request *req, struct write_task *t);
/* Answers a failed task; true when it was one. */
bool reply_write_failed(struct write_task *t);
bool reply_read_failed(struct read_task *t);

/* ---- maintenance (maintenance.c) ---- */

/* The thread that moves the database's log into the database, so that no commit has to. */
struct maintenance *maintenance_new(const char *path, struct err *e);
int maintenance_start(struct maintenance *m, struct err *e);
void maintenance_free(struct maintenance *m);
/* Once in a while, from the loop: recent marks, nonces, pruning. */
void housekeeping_run(struct indexer *ix);

#endif
