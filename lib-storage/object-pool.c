#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "lib-common/mem.h"
#include "lib-storage/object-read.h"

struct object_pool {
	struct object_store *store;
	const struct kek_ring *ring;
	int event;
	unsigned n_threads;
	pthread_t *threads;

	pthread_mutex_t lock;
	pthread_cond_t work;
	struct pool_job *waiting, **waiting_last, *done, **done_last;
	bool stopping;
};

struct pool_thread {
	struct object_pool *p;
	struct object_reader *reader;
};

static void pool_done(struct object_pool *p, struct pool_job *job)
{
	uint64_t one = 1;

	job->next = NULL;
	if (p->done == NULL) {
		while (write(p->event, &one, sizeof(one)) < 0 && errno == EINTR)
			;
	}
	*p->done_last = job;
	p->done_last = &job->next;
}

static void *pool_run(void *arg)
{
	struct pool_thread *t = arg;
	struct object_pool *p = t->p;

	(void)pthread_mutex_lock(&p->lock);
	for (;;) {
		struct pool_job *job = p->waiting;

		if (job != NULL) {
			p->waiting = job->next;
			if (p->waiting == NULL)
				p->waiting_last = &p->waiting;
			(void)pthread_mutex_unlock(&p->lock);
			job->run(t->reader, job);
			(void)pthread_mutex_lock(&p->lock);
			pool_done(p, job);
		} else if (p->stopping) {
			break;
		} else {
			(void)pthread_cond_wait(&p->work, &p->lock);
		}
	}
	(void)pthread_mutex_unlock(&p->lock);
	object_reader_free(t->reader);
	mem_free(t);
	return NULL;
}

struct object_pool *object_pool_new(
	struct object_store *store, const struct kek_ring *ring, unsigned threads, struct err *e)
{
	struct object_pool *p = mem_alloc(sizeof(*p));

	p->store = store;
	p->ring = ring;
	p->waiting_last = &p->waiting;
	p->done_last = &p->done;
	(void)pthread_mutex_init(&p->lock, NULL);
	(void)pthread_cond_init(&p->work, NULL);
	p->threads = mem_alloc_array(threads, sizeof(*p->threads));
	p->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->event < 0)
		err_set(e, ERR_TEMP, "cannot make an eventfd: %m");
	while (p->event >= 0 && p->n_threads < threads) {
		struct pool_thread *t = mem_alloc(sizeof(*t));

		t->p = p;
		t->reader = object_reader_new(store, ring);
		errno = pthread_create(&p->threads[p->n_threads], NULL, pool_run, t);
		if (errno != 0) {
			err_set(e, ERR_TEMP, "cannot start a thread: %m");
			object_reader_free(t->reader);
			mem_free(t);
			break;
		}
		p->n_threads++;
	}
	if (p->event >= 0 && p->n_threads == threads)
		return p;
	object_pool_stop(p);
	object_pool_free(p);
	return NULL;
}

void object_pool_stop(struct object_pool *p)
{
	(void)pthread_mutex_lock(&p->lock);
	p->stopping = true;
	(void)pthread_cond_broadcast(&p->work);
	(void)pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->n_threads; i++)
		(void)pthread_join(p->threads[i], NULL);
	p->n_threads = 0;
}

void object_pool_free(struct object_pool *p)
{
	if (p == NULL)
		return;
	if (p->event >= 0)
		(void)close(p->event);
	(void)pthread_mutex_destroy(&p->lock);
	(void)pthread_cond_destroy(&p->work);
	mem_free(p->threads);
	mem_free(p);
}

int object_pool_fd(const struct object_pool *p)
{
	return p->event;
}

void object_pool_submit(struct object_pool *p, struct pool_job *job)
{
	job->next = NULL;
	(void)pthread_mutex_lock(&p->lock);
	*p->waiting_last = job;
	p->waiting_last = &job->next;
	(void)pthread_cond_signal(&p->work);
	(void)pthread_mutex_unlock(&p->lock);
}

struct pool_job *object_pool_take(struct object_pool *p)
{
	struct pool_job *list;
	uint64_t count;

	(void)!read(p->event, &count, sizeof(count));
	(void)pthread_mutex_lock(&p->lock);
	list = p->done;
	p->done = NULL;
	p->done_last = &p->done;
	(void)pthread_mutex_unlock(&p->lock);
	return list;
}
