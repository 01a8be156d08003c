#include "lib-storage/object-put.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include "lib-common/mem.h"

#define SLICE (1u << 20)	 /* of a large body in one turn */
#define SLICE_EVERY 32		 /* small bodies */
#define COMMIT_ENOUGH 16	 /* entries that are committed though more could be encoded first */
#define COMMIT_MAX (8u << 20)	 /* octets that share a commit */
#define SPARE_MAX 64		 /* states kept for the next jobs */
#define SPARE_BYTES (256u << 10) /* and the longest buffer kept with one */

/* What a job needs while it is under way. */
struct put_state {
	struct object_entry entry; /* first: commits are lists of these */
	struct put_job *job;
	struct pack_sealed sealed;
	struct put_state *spare;

	/* Large and growing bodies; under the lock. */
	uint64_t valid;
	bool final, abandoned, queued;
	/* The thread's that has its turn. */
	bool large;
	uint64_t done;
	struct pack_encoder *encoder;
	struct object_stream *stream;
};

struct queue {
	struct put_job *first, **last;
};

struct putter {
	struct putter_config config;
	unsigned char recovery_key[32];
	int event;
	unsigned n_threads;
	pthread_t *threads;

	pthread_mutex_t lock;
	pthread_cond_t work;
	struct queue waiting, slices, done; /* slices: large bodies that want a turn */
	unsigned turn;
	struct object_entry *ready, **ready_last; /* encoded, not committed */
	unsigned n_ready, encoding, committing;
	bool stopping;
	uint64_t commits, entries;
	struct put_state *spare;
	unsigned n_spare;
};

/* One thread's tools. */
struct worker {
	struct putter *p;
	struct pack_encoder *encoder;
	struct kek_ring *ring;
	struct buf slice;
};

static void queue_init(struct queue *q)
{
	q->first = NULL;
	q->last = &q->first;
}

static void queue_add(struct queue *q, struct put_job *job)
{
	job->next = NULL;
	*q->last = job;
	q->last = &job->next;
}

static struct put_job *queue_take(struct queue *q)
{
	struct put_job *job = q->first;

	if (job != NULL) {
		q->first = job->next;
		if (q->first == NULL)
			q->last = &q->first;
	}
	return job;
}

/* ---- states ---- */

static struct put_state *state_new(struct putter *p, struct put_job *job)
{
	struct put_state *st = p->spare;
	struct buf kept;

	if (st == NULL) {
		st = mem_alloc(sizeof(*st));
	} else {
		p->spare = st->spare;
		p->n_spare--;
		kept = st->entry.data;
		memset(st, 0, sizeof(*st));
		st->entry.data = kept;
	}
	st->job = job;
	job->state = st;
	return st;
}

static void state_clear(struct put_state *st)
{
	buf_clear(&st->entry.data);
	pack_encoder_free(st->encoder);
	mem_wipe(&st->sealed, sizeof(st->sealed));
	mem_free(st);
}

/* Under the lock: the job is done, its state kept for another if it is a small one. */
static void job_done(struct putter *p, struct put_job *job)
{
	struct put_state *st = job->state;

	job->state = NULL;
	mem_wipe(st->sealed.key, sizeof(st->sealed.key));
	if (p->n_spare < SPARE_MAX && st->encoder == NULL && st->entry.data.cap <= SPARE_BYTES) {
		buf_empty(&st->entry.data);
		st->spare = p->spare;
		p->spare = st;
		p->n_spare++;
	} else {
		state_clear(st);
	}
	queue_add(&p->done, job);
}

/* After jobs were added to the done list that was empty before. */
static void done_signal(struct putter *p)
{
	uint64_t one = 1;

	while (write(p->event, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

/* ---- encoding ---- */

static int body_read(struct worker *w, const struct put_job *job, uint64_t from, size_t n,
	struct span *s_r, struct err *e)
{
	size_t done = 0;
	char *to;

	if (job->fd < 0) {
		*s_r = span_from(job->body.p + from, n);
		return 0;
	}
	buf_empty(&w->slice);
	to = buf_reserve(&w->slice, n);
	while (done < n) {
		ssize_t got = pread(job->fd, to + done, n - done, (off_t)(from + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_set(e, ERR_TEMP, "cannot read the body's descriptor: %m");
		if (got == 0)
			return err_set(e, ERR_PERM, "the body's descriptor ends before its size");
		done += (size_t)got;
	}
	*s_r = span_from(to, n);
	return 0;
}

/* All that is known once the entry is sealed; pack and offset follow from the commit. */
static void job_fill(struct worker *w, struct put_job *job, const struct pack_sealed *sealed)
{
	job->locator.length = sealed->length;
	job->locator.size = sealed->size;
	kek_wrap(w->ring, sealed->key, job->locator.key, job->locator.key_id);
	memcpy(job->sha256, sealed->sha256, sizeof(job->sha256));
	job->time = sealed->time;
}

static int small_encode(struct worker *w, struct put_job *job)
{
	struct put_state *st = job->state;
	struct span body;

	if (body_read(w, job, 0, (size_t)st->valid, &body, &job->err) < 0)
		return -1;
	pack_encode(w->encoder, body, (int64_t)time(NULL), job->accounts, job->n_accounts,
		&st->entry.data, &st->sealed);
	job_fill(w, job, &st->sealed);
	return 0;
}

/* ---- large bodies ---- */

static int large_begin(struct worker *w, struct put_job *job)
{
	struct put_state *st = job->state;
	const struct putter_config *config = &w->p->config;

	st->stream = config->store->driver->stream_open(config->store, &job->err);
	if (st->stream == NULL)
		return -1;
	st->encoder = pack_encoder_new(config->recovery_key);
	pack_encoder_begin(st->encoder, (int64_t)time(NULL), &st->entry.data);
	pack_stamp(st->entry.data.data, st->stream->pack_id, 0, 0);
	return 0;
}

static int large_flush(struct put_state *st)
{
	struct object_stream *stream = st->stream;
	int r = stream->store->driver->stream_write(
		stream, buf_span(&st->entry.data), &st->job->err);

	buf_empty(&st->entry.data);
	return r;
}

static int large_end(struct worker *w, struct put_job *job)
{
	struct put_state *st = job->state;
	struct object_stream *stream = st->stream;

	pack_encoder_finish(
		st->encoder, job->accounts, job->n_accounts, &st->entry.data, &st->sealed);
	if (large_flush(st) < 0)
		return -1;
	memcpy(job->locator.pack, stream->pack, PACK_NAME_SIZE);
	job->locator.offset = 0;
	st->stream = NULL; /* the commit frees it, whatever comes */
	if (stream->store->driver->stream_commit(stream, &job->err) < 0)
		return -1;
	job_fill(w, job, &st->sealed);
	return 0;
}

/* One slice. 1: done, 0: more to come now or later, -1: failed. */
static int large_turn(struct worker *w, struct put_job *job, uint64_t valid, bool final)
{
	struct put_state *st = job->state;
	size_t n = valid - st->done < SLICE ? (size_t)(valid - st->done) : SLICE;
	struct span part;

	if (st->stream == NULL && large_begin(w, job) < 0)
		return -1;
	if (n > 0) {
		if (body_read(w, job, st->done, n, &part, &job->err) < 0)
			return -1;
		pack_encoder_add(st->encoder, part, &st->entry.data);
		st->done += n;
		if (large_flush(st) < 0)
			return -1;
	}
	if (!final || st->done < valid)
		return 0;
	return large_end(w, job) < 0 ? -1 : 1;
}

static void large_drop(struct put_state *st)
{
	if (st->stream != NULL)
		st->stream->store->driver->stream_abort(st->stream);
	st->stream = NULL;
}

/* ---- the threads ---- */

/* Under the lock, which is given up meanwhile. */
static void worker_commit(struct putter *p)
{
	struct object_store *store = p->config.store;
	struct object_entry *list = p->ready, *en, **end = &list;
	uint64_t total = 0, n = 0;
	struct err e;
	bool idle;
	int r;

	while (*end != NULL && (n == 0 || total + (*end)->data.len <= COMMIT_MAX)) {
		total += (*end)->data.len;
		end = &(*end)->next;
		n++;
	}
	p->ready = *end;
	if (p->ready == NULL)
		p->ready_last = &p->ready;
	*end = NULL;
	p->n_ready -= (unsigned)n;
	p->committing++;
	(void)pthread_mutex_unlock(&p->lock);
	r = store->driver->commit(store, list, &e);

	(void)pthread_mutex_lock(&p->lock);
	p->committing--;
	p->commits++;
	p->entries += n;
	idle = p->done.first == NULL;
	while ((en = list) != NULL) {
		struct put_job *job = ((struct put_state *)en)->job;

		list = en->next;
		if (r < 0) {
			job->err = e;
		} else {
			memcpy(job->locator.pack, en->pack, PACK_NAME_SIZE);
			job->locator.offset = en->offset;
		}
		job_done(p, job);
	}
	if (idle)
		done_signal(p);
	if (p->waiting.first != NULL || p->slices.first != NULL)
		(void)pthread_cond_signal(&p->work);
}

static void worker_finish(struct putter *p, struct put_job *job)
{
	bool idle = p->done.first == NULL;

	job_done(p, job);
	if (idle)
		done_signal(p);
}

/* Under the lock, which is given up meanwhile. */
static void worker_large(struct worker *w, struct put_job *job)
{
	struct putter *p = w->p;
	struct put_state *st = job->state;
	uint64_t valid = st->valid;
	bool final = st->final;
	int r = -1;

	if (st->abandoned) {
		(void)err_set(&job->err, ERR_TEMP, "the put was given up");
	} else {
		(void)pthread_mutex_unlock(&p->lock);
		r = large_turn(w, job, valid, final);
		(void)pthread_mutex_lock(&p->lock);
	}
	if (r != 0) {
		/* It stays `queued`, so that putter_grown() leaves it alone. */
		(void)pthread_mutex_unlock(&p->lock);
		large_drop(st);
		(void)pthread_mutex_lock(&p->lock);
		worker_finish(p, job);
		return;
	}
	/* Behind the others, or when the next octets are announced. */
	st->queued = st->abandoned || st->done < st->valid || st->final;
	if (st->queued)
		queue_add(&p->slices, job);
}

static void worker_small(struct worker *w, struct put_job *job)
{
	struct putter *p = w->p;
	int r;

	p->encoding++;
	(void)pthread_mutex_unlock(&p->lock);
	r = small_encode(w, job);
	(void)pthread_mutex_lock(&p->lock);
	p->encoding--;
	if (r < 0) {
		worker_finish(p, job);
		return;
	}
	job->state->entry.next = NULL;
	*p->ready_last = &job->state->entry;
	p->ready_last = &job->state->entry.next;
	p->n_ready++;
}

/* A sync costs as much as encoding some bodies: what came together is encoded before it is
 * committed together, the last to have encoded commits. Alone, or with enough of them, there is no
 * waiting. */
static bool commit_due(const struct putter *p)
{
	if (p->ready == NULL || p->committing >= p->config.store->driver->commit_slots)
		return false;
	return p->n_ready >= COMMIT_ENOUGH || (p->waiting.first == NULL && p->encoding == 0);
}

/* Small bodies first, but a slice of a large one now and then in any case. */
static struct put_job *job_take(struct putter *p)
{
	bool large = p->slices.first != NULL &&
		     (p->waiting.first == NULL || ++p->turn % SLICE_EVERY == 0);

	return queue_take(large ? &p->slices : &p->waiting);
}

static void *worker_run(void *arg)
{
	struct worker *w = arg;
	struct putter *p = w->p;
	struct put_job *job;

	(void)pthread_mutex_lock(&p->lock);
	for (;;) {
		if (commit_due(p)) {
			worker_commit(p);
		} else if ((job = job_take(p)) != NULL) {
			if (job->state->large)
				worker_large(w, job);
			else
				worker_small(w, job);
		} else if (p->stopping) {
			break; /* what is ready is the committing thread's next */
		} else {
			(void)pthread_cond_wait(&p->work, &p->lock);
		}
	}
	(void)pthread_mutex_unlock(&p->lock);
	pack_encoder_free(w->encoder);
	kek_free(w->ring);
	buf_wipe(&w->slice);
	mem_free(w);
	return NULL;
}

/* ---- the loop's side ---- */

static int worker_start(struct putter *p, pthread_t *thread_r)
{
	struct worker *w = mem_alloc(sizeof(*w));

	w->p = p;
	w->encoder = pack_encoder_new(p->config.recovery_key);
	w->ring = kek_copy(p->config.ring);
	errno = pthread_create(thread_r, NULL, worker_run, w);
	if (errno == 0)
		return 0;
	pack_encoder_free(w->encoder);
	kek_free(w->ring);
	mem_free(w);
	return -1;
}

struct putter *putter_new(const struct putter_config *config, struct err *e)
{
	struct putter *p = mem_alloc(sizeof(*p));

	p->config = *config;
	if (config->recovery_key != NULL) {
		memcpy(p->recovery_key, config->recovery_key, sizeof(p->recovery_key));
		p->config.recovery_key = p->recovery_key;
	}
	queue_init(&p->waiting);
	queue_init(&p->slices);
	queue_init(&p->done);
	p->ready_last = &p->ready;
	(void)pthread_mutex_init(&p->lock, NULL);
	(void)pthread_cond_init(&p->work, NULL);
	p->threads = mem_alloc_array(config->threads, sizeof(*p->threads));
	p->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->event < 0)
		err_set(e, ERR_TEMP, "cannot make an eventfd: %m");
	while (p->event >= 0 && p->n_threads < config->threads) {
		if (worker_start(p, &p->threads[p->n_threads]) < 0) {
			err_set(e, ERR_TEMP, "cannot start a thread: %m");
			break;
		}
		p->n_threads++;
	}
	if (p->event >= 0 && p->n_threads == config->threads)
		return p;
	putter_stop(p);
	putter_free(p);
	return NULL;
}

void putter_stop(struct putter *p)
{
	(void)pthread_mutex_lock(&p->lock);
	p->stopping = true;
	(void)pthread_cond_broadcast(&p->work);
	(void)pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->n_threads; i++)
		(void)pthread_join(p->threads[i], NULL);
	p->n_threads = 0;
}

void putter_free(struct putter *p)
{
	struct put_state *st;

	if (p == NULL)
		return;
	while ((st = p->spare) != NULL) {
		p->spare = st->spare;
		state_clear(st);
	}
	if (p->event >= 0)
		(void)close(p->event);
	(void)pthread_mutex_destroy(&p->lock);
	(void)pthread_cond_destroy(&p->work);
	mem_wipe(p->recovery_key, sizeof(p->recovery_key));
	mem_free(p->threads);
	mem_free(p);
}

int putter_fd(const struct putter *p)
{
	return p->event;
}

/* Under the lock. */
static void job_queue(struct putter *p, struct put_job *job)
{
	if (job->state->queued)
		return;
	job->state->queued = true;
	queue_add(job->state->large ? &p->slices : &p->waiting, job);
	(void)pthread_cond_signal(&p->work);
}

void putter_submit(struct putter *p, struct put_job *job)
{
	struct put_state *st;

	job->err.code = ERR_NONE;
	memset(&job->locator, 0, sizeof(job->locator));
	(void)pthread_mutex_lock(&p->lock);
	st = state_new(p, job);
	st->valid = job->fd < 0 ? job->body.n : job->size;
	st->final = !job->growing;
	st->large = job->growing || st->valid > p->config.large_size;
	job_queue(p, job);
	(void)pthread_mutex_unlock(&p->lock);
}

void putter_grown(struct putter *p, struct put_job *job, uint64_t size, bool final)
{
	struct put_state *st;

	(void)pthread_mutex_lock(&p->lock);
	st = job->state;
	if (st != NULL && !st->final && !st->abandoned) {
		if (size < st->valid)
			st->abandoned = true;
		else
			st->valid = size;
		st->final = final;
		job_queue(p, job);
	}
	(void)pthread_mutex_unlock(&p->lock);
}

void putter_abandon(struct putter *p, struct put_job *job)
{
	(void)pthread_mutex_lock(&p->lock);
	if (job->state != NULL && !job->state->abandoned) {
		job->state->abandoned = true;
		if (job->state->large)
			job_queue(p, job);
	}
	(void)pthread_mutex_unlock(&p->lock);
}

struct put_job *putter_take(struct putter *p)
{
	struct put_job *list;
	uint64_t count;

	(void)!read(p->event, &count, sizeof(count));
	(void)pthread_mutex_lock(&p->lock);
	list = p->done.first;
	queue_init(&p->done);
	(void)pthread_mutex_unlock(&p->lock);
	return list;
}

void putter_counts(struct putter *p, uint64_t *commits_r, uint64_t *entries_r)
{
	(void)pthread_mutex_lock(&p->lock);
	*commits_r = p->commits;
	*entries_r = p->entries;
	(void)pthread_mutex_unlock(&p->lock);
}
