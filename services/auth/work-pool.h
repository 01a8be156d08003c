/*
 * work-pool: threads for what takes long (hashing passwords), beside the loop. A bounded queue:
 * when it is full the caller answers "temporary" instead of waiting.
 *
 * A job's work() runs on one of the threads and may touch only its own ctx; done() runs on the
 * loop's thread afterwards, always.
 */
#ifndef LM_WORK_POOL_H
#define LM_WORK_POOL_H

#include <event2/event.h>
#include <stdbool.h>

struct work_pool;

/* Starts the threads; they take no signals. */
struct work_pool *work_pool_new(struct event_base *base, unsigned threads, unsigned queue_max);
void work_pool_set_queue_max(struct work_pool *p, unsigned queue_max);
/* False when the queue is full: nothing was taken. */
bool work_pool_submit(
	struct work_pool *p, void (*work)(void *ctx), void (*done)(void *ctx), void *ctx);
unsigned work_pool_pending(const struct work_pool *p); /* submitted, done() not yet run */
/* Waits for the jobs under way; those in the queue are not worked on. done() runs for all. */
void work_pool_free(struct work_pool *p);

#endif
