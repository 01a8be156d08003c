/*
 * object-put: from bodies to durable entries, off the loop. A few threads take what is waiting:
 * each encodes bodies (compress, seal), and whichever finds encoded entries and a free commit slot
 * of the driver (the fs driver has one) commits all of them together, so what arrives while one
 * sync is under way shares the next. Alone, a body is encoded and synced by one thread without a
 * hand-over; under load the others encode beside the one that syncs.
 *
 * A body of more than `large_size`, or one that still grows, becomes a pack of its own, written as
 * it comes; a thread gives it one slice at a time, so that it neither waits for a slow sender nor
 * holds up the small ones.
 *
 * Jobs belong to their maker, who keeps body, fd and accounts in place until the job comes back;
 * all functions here are the loop's, none blocks. The descriptor putter_fd() becomes readable when
 * jobs are done.
 */
#ifndef LM_OBJECT_PUT_H
#define LM_OBJECT_PUT_H

#include "lib-storage/locator.h"
#include "lib-storage/object.h"

struct putter;

struct putter_config {
	struct object_store *store;
	const struct kek_ring *ring;
	const unsigned char *recovery_key; /* 32 octets, or NULL */
	unsigned threads;
	uint64_t large_size; /* bodies longer get a pack of their own */
};

struct put_job {
	/* In: a body in memory, or (fd >= 0) `size` octets read from fd by pread. */
	struct span body;
	int fd;
	uint64_t size;
	bool growing; /* size is what is valid so far; putter_grown() tells of more */
	const uint64_t *accounts;
	size_t n_accounts;
	void *ctx;

	/* Out: code ERR_NONE and the rest, or *err. */
	struct err err; /* its code is ERR_NONE on success */
	struct locator locator;
	unsigned char sha256[PACK_SHA_BYTES];
	int64_t time;

	/* The putter's own. */
	struct put_job *next;
	struct put_state *state;
};

struct putter *putter_new(const struct putter_config *config, struct err *e);
/* Finishes what was submitted and ends the threads; growing jobs are to be finished or abandoned
 * before. Then the rest of the done jobs is to be taken, and putter_free called. */
void putter_stop(struct putter *p);
void putter_free(struct putter *p);
int putter_fd(const struct putter *p);
void putter_submit(struct putter *p, struct put_job *job);
/* More octets of a growing job are valid, from the start; `final`: no more will come. A size that
 * went down fails the job. */
void putter_grown(struct putter *p, struct put_job *job, uint64_t size, bool final);
/* The job is given up; it still comes back, as failed. */
void putter_abandon(struct putter *p, struct put_job *job);
/* Jobs that are done, as a list in order of completion; NULL: none. Resets the descriptor. */
struct put_job *putter_take(struct putter *p);
/* For metrics: commits so far, and jobs that went through them. */
void putter_counts(struct putter *p, uint64_t *commits_r, uint64_t *entries_r);

#endif
