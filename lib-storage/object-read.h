/*
 * object-read: bodies out of the store, off the loop: a pool of threads, each with its decoder; and
 * what they run: batches of ranges, where neighbours in a pack become one read, and repacking.
 */
#ifndef LM_OBJECT_READ_H
#define LM_OBJECT_READ_H

#include "lib-storage/locator.h"
#include "lib-storage/object.h"

/* One thread's tools. */
struct object_reader;
struct object_reader *object_reader_new(struct object_store *store, const struct kek_ring *ring);
void object_reader_free(struct object_reader *r);
struct object_store *object_reader_store(struct object_reader *r);
struct kek_ring *object_reader_ring(struct object_reader *r);

/* A range of a body that is wanted. */
struct object_want {
	struct locator locator;
	uint64_t from, count; /* of the plaintext; count 0: to the end */
	struct buf data;      /* out; the caller clears it */
	struct err err;	      /* out; code ERR_NONE: data is whole */
};

/* Fills all of them; what fails for one does not touch the others. A body whose real size is not
 * the locator's is ERR_PERM, so that the locator's size bounds what is read. */
void object_read(struct object_reader *r, struct object_want *wants, size_t n);
/* Decodes a whole body and compares its digest. */
int object_verify(struct object_reader *r, const struct locator *l,
	unsigned char sha256_r[PACK_SHA_BYTES], struct err *e);

/* An entry to be copied as it is (no key is needed) into a new pack. */
struct object_move {
	char pack[PACK_NAME_SIZE];
	uint64_t offset, length;
	char new_pack[PACK_NAME_SIZE]; /* out */
	uint64_t new_offset;	       /* out */
	struct err err;		       /* out; code ERR_NONE: copied */
};

/* Copies them in their order into one new pack. Entries that are not there or damaged are left out
 * (their err says so); -1 when nothing was copied for a reason of the store. Durable on return. */
int object_repack(struct object_store *store, struct object_move *moves, size_t n, struct err *e);

/* ---- the pool ---- */

struct object_pool;
struct pool_job {
	void (*run)(struct object_reader *r, struct pool_job *job);
	void *ctx;
	struct pool_job *next;
};

struct object_pool *object_pool_new(
	struct object_store *store, const struct kek_ring *ring, unsigned threads, struct err *e);
void object_pool_stop(struct object_pool *p); /* runs what is waiting first */
void object_pool_free(struct object_pool *p);
int object_pool_fd(const struct object_pool *p); /* readable: object_pool_take has some */
void object_pool_submit(struct object_pool *p, struct pool_job *job);
struct pool_job *object_pool_take(struct object_pool *p);

#endif
