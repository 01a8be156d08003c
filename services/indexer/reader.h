/*
 * reader: the pool of threads that read, each with its own connection, so that a slow query delays
 * nobody else. A read transaction lasts a second at most; large reads go on by key in the next one
 * (CORNERS S7).
 */
#ifndef INDEXER_READER_H
#define INDEXER_READER_H

#include "lib-common/channel.h"
#include "services/indexer/db.h"

struct readers;

struct read_task {
	struct read_task *next;
	int (*run)(struct db *db, struct read_task *t); /* reader's thread; -1 with t->err */
	void (*done)(struct read_task *t); /* loop's thread; frees it by read_task_free */
	void *ctx;
	struct request *request; /* may be NULL; answered by `done` */
	uint64_t account, mailbox, uid;
	struct span input; /* lives as long as the request */
	struct buf out;
	struct err err;

	/* of a state that was loaded */
	int fd;
	uint64_t generation, count, modseq, uidnext, uidvalidity, messages, recent_uid;
	char *keywords; /* blank-separated */
	bool noselect;
	uint64_t used_bytes, used_messages, quota_bytes, quota_messages;
};

struct read_task *read_task_new(
	int (*run)(struct db *, struct read_task *), void (*done)(struct read_task *));
void read_task_free(struct read_task *t);

/* wake: called from a reader's thread, makes the loop call readers_collect. */
struct readers *readers_new(
	const char *path, unsigned threads, void (*wake)(void *ctx), void *ctx, struct err *e);
int readers_start(struct readers *r, struct err *e);
void readers_put(struct readers *r, struct read_task *t);
void readers_collect(struct readers *r);
/* Runs what waits on the caller's thread and collects: tests. */
void readers_run(struct readers *r);
void readers_free(struct readers *r); /* what waits is still done and collected */

/* run functions */
int read_state(struct db *db, struct read_task *t);	/* mailbox; generation in; the rest out */
int read_mailboxes(struct db *db, struct read_task *t); /* out: lines */
int read_status(struct db *db, struct read_task *t);	/* input: name; out: a line */
int read_quota(struct db *db, struct read_task *t);
int read_meta(struct db *db, struct read_task *t);    /* input: body ids */
int read_locate(struct db *db, struct read_task *t);  /* input: body ids */
int read_message(struct db *db, struct read_task *t); /* mailbox, uid; out: locator text */

#endif
