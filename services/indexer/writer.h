/*
 * writer: the one thread that changes the mail store. Requests wait in a queue; the thread takes
 * what is there, runs it as one transaction, commits, and hands results and changes to the loop in
 * one piece (group commit: under load many requests share one sync, alone a request waits for
 * nothing).
 *
 * What a request may be refused for is checked before its first statement, so a refused one has
 * changed nothing. When a statement fails the whole batch is rolled back, the cached rows it
 * touched are forgotten, and its requests are run again one by one, each in its own transaction
 * (CORNERS M7).
 *
 * Large requests run in slices: in each batch an account gets at most WRITE_SLICE messages, and a
 * request that has more goes to the end of the queue (CORNERS M17).
 *
 * The rows of accounts and mailboxes are cached here (with SQLite nobody else writes them) and are
 * written once per batch, however many messages came in.
 */
#ifndef INDEXER_WRITER_H
#define INDEXER_WRITER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include "lib-common/channel.h"
#include "lib-storage/flags.h"
#include "lib-storage/mailbox-state.h"
#include "lib-storage/receipt.h"
#include "lib-storage/uidset.h"
#include "services/indexer/db.h"
#include "services/indexer/schema.h"
#include "services/indexer/table.h"

#define WRITE_SLICE 1000	  /* messages of one account in one transaction */
#define WRITE_BATCH_MESSAGES 4000 /* of all accounts */
#define WRITE_BATCH_TASKS 1000
#define WRITE_READ 10000      /* rows looked at in one slice */
#define META_MAX (256u << 10) /* prepared metadata of one message */
#define KEYWORD_MAX 64	      /* octets of one keyword */

struct writer;
struct write_task;
struct account_row;

/* ---- cached rows ---- */

struct mailbox_row {
	uint64_t id;
	struct account_row *account;
	char *name;
	size_t name_len;
	uint32_t uidvalidity;
	uint64_t uidnext; /* 64 bits, so that the end can be reached */
	uint64_t highestmodseq, messages, unseen, deleted, size;
	char *special_use; /* blank-separated, with backslashes; "" none */
	char *keywords;	   /* blank-separated, in bit order */
	uint64_t recent_uid, vanished_floor, changed_seq;
	enum mailbox_row_state state;
	bool dirty, renamed;
	struct mailbox_row *next_dirty;
	struct change *change; /* of this batch; owned by the writer's list */
};

struct account_row {
	uint64_t id;
	char *user;
	uint64_t generation, change_seq, used_bytes, used_messages, quota_bytes, quota_messages;
	uint64_t next_uidvalidity;
	enum account_state state;
	struct mailbox_row **mailboxes; /* live ones, by name */
	size_t n_mailboxes, cap_mailboxes;
	bool dirty, renamed; /* renamed: user or state changed */
	struct account_row *next_dirty;
	uint64_t batch; /* the batch that `batch_messages` counts */
	unsigned batch_messages;
	uint64_t used_at; /* batch number of the last use, for forgetting */
};

/* ---- what the loop is told after a commit ---- */

struct change {
	struct change *next;
	uint64_t account, mailbox;
	bool list; /* a mailbox came, went, was renamed; or a subscription changed */
	bool gone; /* this mailbox was deleted */
	bool keywords_changed;
	char *keywords;
	struct buf log; /* mailbox-state.h */
	size_t entries;
	uint32_t uidnext;
	uint64_t modseq, messages;
};

/* ---- requests ---- */

enum write_status {
	WRITE_DONE,   /* answered after the commit; task->err says how it went */
	WRITE_MORE,   /* a slice is done */
	WRITE_WAIT,   /* not in this batch: its account has had its share, or its mailbox is being
			 copied to */
	WRITE_BROKEN, /* a statement failed: task->err; the batch is rolled back */
};

/* Where a sliced request stands; set back to the last commit when a batch fails. */
struct write_progress {
	uint64_t uid;			    /* go on behind it */
	uint64_t count;			    /* messages done */
	uint64_t modseq;		    /* the last one used */
	uint64_t target;		    /* mailbox that RENAME INBOX made */
	size_t out_len;			    /* of task->out */
	uint64_t limit;			    /* the last UID that was there at the start */
	uint64_t staged_first, staged_next; /* COPY: UIDs given, not yet visible */
	uint64_t bytes, unseen, deleted;    /* COPY: of what is staged */
	size_t log_len;			    /* of task->log */
};

struct write_task {
	struct write_task *next;
	enum write_status (*run)(struct writer *w, struct write_task *t); /* writer's thread */
	void (*done)(struct write_task *t); /* loop's thread; frees the task with write_task_free */
	void *ctx;			    /* of done */
	struct request *request;	    /* lives until done; may be NULL */
	uint64_t deadline_ms;		    /* CLOCK_BOOTTIME; 0: none */
	struct arena *arena;		    /* the task's own */
	struct err err;			    /* code ERR_NONE: fine */
	struct write_progress now, committed;
	struct buf out; /* body of the reply */
	struct buf log; /* COPY: entries of what is staged */

	/* in: which of them is the matter of `run` */
	uint64_t account, mailbox;
	struct span name, name2; /* stored forms */
	struct span user;
	uint64_t generation, quota_bytes, quota_messages;
	bool create_account; /* vouched for by a ticket or a recipient answer */
	bool has_quota;
	struct uidset uids;
	enum { STORE_ADD, STORE_REMOVE, STORE_REPLACE } mode;
	uint64_t flags;
	struct span keywords; /* blank-separated */
	bool has_unchangedsince;
	uint64_t unchangedsince;
	int64_t date;
	int16_t tz_minutes;
	struct span special_use;
	bool fallback_inbox, auto_create;
	const struct receipt *receipt; /* DELIVER, APPEND: verified */
	struct span meta, digest;

	/* out */
	uint64_t uid, uidvalidity, modseq, count, mailbox_r;
	struct span name_r; /* in the arena */
	bool duplicate;
	struct uidset unchanged; /* STORE with unchangedsince */
	uint64_t used_bytes, used_messages;
};

struct write_task *write_task_new(enum write_status (*run)(struct writer *, struct write_task *),
	void (*done)(struct write_task *));
void write_task_free(struct write_task *t);

struct writer_def {
	const char *path;
	uint64_t accounts_cached; /* rows kept between batches */
	uint64_t delivery_window_s;
	/* Runs on the loop's thread after each commit, before the batch's tasks are done. The
	 * changes are freed afterwards. */
	void (*changed)(struct change *changes, void *ctx);
	/* Some thread other than the loop's: arrange that writer_collect runs. */
	void (*wake)(void *ctx);
	void *ctx;
};

/* Opens and migrates the database. The thread begins with writer_start (after the drop of rights).
 */
struct writer *writer_new(const struct writer_def *def, struct err *e);
int writer_start(struct writer *w, struct err *e);
void writer_put(struct writer *w, struct write_task *t); /* loop's thread */
void writer_collect(struct writer *w);			 /* loop's thread */
void writer_stop(
	struct writer *w); /* what waits is still done, then the thread ends; then writer_collect */
void writer_free(struct writer *w);
/* For tests: runs what waits as batches on the caller's thread, then collects. */
void writer_run(struct writer *w);

/* ---- for the writer's own files ---- */

struct writer {
	struct writer_def def;
	struct db *db;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t filled;
	bool started, stop;
	/* under the lock */
	struct write_task *in, **in_tail;
	struct outcome *out, **out_tail;
	/* the thread's own */
	struct write_task *queue, **queue_tail;
	struct table accounts;
	struct account_row *dirty_accounts;
	struct mailbox_row *dirty_mailboxes;
	struct change *changes, **changes_tail;
	struct staged_copy *copies; /* COPYs under way that take several transactions */
	uint64_t batch;
	unsigned batch_messages;
	bool in_transaction, broken;
	int64_t now;
	uint64_t began_us;
	char good_pack[PACK_NAME_SIZE]; /* the last pack seen not to be dying */
	struct mailbox_record *slice;	/* WRITE_READ of them */
};

/* Begins the transaction at the first change of a batch. */
int writer_begin(struct writer *w, struct err *e);
/* How many messages t's account may still touch in this batch; 0: WRITE_WAIT. */
unsigned writer_share(struct writer *w, struct account_row *a);
void writer_charge(struct writer *w, struct account_row *a, unsigned messages);

/* Cached rows. NULL with *e set: ERR_NOTFOUND, or a failed statement (ERR_TEMP). */
struct account_row *cache_account(struct writer *w, uint64_t id, struct err *e);
struct mailbox_row *cache_mailbox(struct account_row *a, uint64_t id);
struct mailbox_row *cache_mailbox_named(struct account_row *a, struct span name);
size_t cache_mailbox_place(
	const struct account_row *a, struct span name); /* first with a name >= it */
struct mailbox_row *cache_mailbox_add(struct account_row *a, struct mailbox_row *m);
void cache_mailbox_remove(struct account_row *a, struct mailbox_row *m); /* frees it */
void cache_sort(struct account_row *a);
void cache_touch(struct writer *w, struct account_row *a);
void cache_touch_mailbox(struct writer *w, struct mailbox_row *m);
uint64_t cache_next_modseq(struct writer *w, struct account_row *a);
void cache_forget(struct writer *w, uint64_t account);
int cache_flush(struct writer *w, struct err *e); /* writes dirty rows, before COMMIT */
void cache_settle(struct writer *w);		  /* after COMMIT */
void cache_drop_touched(struct writer *w);	  /* after a rollback */
void cache_trim(struct writer *w);
void cache_clear(struct writer *w);
/* The change record of this batch for a mailbox. */
struct change *writer_change(struct writer *w, struct mailbox_row *m);
struct change *writer_change_list(struct writer *w, uint64_t account);

/* Takes into account that a COPY is staging rows behind a mailbox's uidnext. */
bool copy_is_staging(const struct writer *w, uint64_t mailbox);
void copy_abandon(struct writer *w, const struct write_task *t);

/* The mailbox of a request that changes it. NULL: *status_r says what to return: WRITE_DONE with
 * t->err set (ERR_NOTFOUND, or ERR_PERM for one that holds no messages), WRITE_WAIT while a COPY
 * stages rows there. */
struct mailbox_row *mailbox_of_task(struct writer *w, struct account_row *a, struct write_task *t,
	struct mailbox_row *m, enum write_status *status_r);
/* Reads up to `max` messages of t->uids behind t->now.uid into w->slice and moves t->now.uid on.
 * *more_r: there may be further ones. -1: a statement failed. */
int slice_read(struct writer *w, struct write_task *t, struct mailbox_row *m, unsigned max,
	unsigned *n_r, bool *more_r);
/* Ends a message's being in a mailbox: the tombstone, the counters, the log. */
int message_bury(struct writer *w, struct mailbox_row *m, const struct mailbox_record *r,
	uint64_t modseq, bool keep_body, struct err *e);
int message_insert(struct writer *w, const struct mailbox_row *m, const struct mailbox_record *r,
	struct err *e);

/* Keywords of a mailbox. keywords_check: would these words (blank-separated) fit? -1 with ERR_LIMIT
 * or ERR_PERM. keywords_bits: their flag bits, new ones added to the mailbox (after a check). */
int keywords_check(const struct mailbox_row *m, struct span words, struct err *e);
uint64_t keywords_bits(struct writer *w, struct mailbox_row *m, struct span words, bool add);
/* Flags of a message of `from` as they are in `to`, which gets the keywords as far as it has place.
 */
uint64_t keywords_translate(
	struct writer *w, const struct mailbox_row *from, struct mailbox_row *to, uint64_t flags);

/* Makes a mailbox (and nothing above it) in this transaction. */
struct mailbox_row *mailbox_make(struct writer *w, struct account_row *a, struct span name,
	struct span special_use, enum mailbox_row_state state, struct err *e);
/* The account, made with its first mailboxes when the task vouches for it. */
struct account_row *account_of_task(struct writer *w, struct write_task *t);

/* Digests of deliveries before a time; the number deleted, or -1. */
int erase_old_deliveries(struct writer *w, uint64_t before, unsigned max, struct err *e);

/* Counters of a message that comes to or goes from a mailbox. */
void count_message(struct mailbox_row *m, uint64_t flags, uint64_t size, int sign);

/* `run` functions */
enum write_status write_attach(struct writer *w, struct write_task *t);
enum write_status write_deliver(struct writer *w, struct write_task *t); /* DELIVER and APPEND */
enum write_status write_store(struct writer *w, struct write_task *t);
enum write_status write_expunge(struct writer *w, struct write_task *t);
enum write_status write_copy(struct writer *w, struct write_task *t);
enum write_status write_move(struct writer *w, struct write_task *t);
enum write_status write_create(struct writer *w, struct write_task *t);
enum write_status write_delete(struct writer *w, struct write_task *t);
enum write_status write_rename(struct writer *w, struct write_task *t);
enum write_status write_subscribe(struct writer *w, struct write_task *t);
enum write_status write_unsubscribe(struct writer *w, struct write_task *t);
enum write_status write_recent(struct writer *w, struct write_task *t);
enum write_status write_account_limits(struct writer *w, struct write_task *t);
enum write_status write_account_void(struct writer *w, struct write_task *t);
enum write_status write_account_erase(struct writer *w, struct write_task *t);
enum write_status write_recount(struct writer *w, struct write_task *t);
enum write_status write_prune(struct writer *w, struct write_task *t);

#endif
