#include "services/auth/work-pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "lib-common/log.h"
#include "lib-common/mem.h"

struct job {
	void (*work)(void *ctx);
	void (*done)(void *ctx);
	void *ctx;
	struct job *next;
};

struct job_list {
	struct job *first, **end;
};

struct work_pool {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct job_list queue, finished; /* under the lock */
	unsigned queued, queue_max, pending;
	bool stop;
	int fd; /* eventfd: something finished */
	struct event *event;
	unsigned n_threads;
	pthread_t *threads;
};

static void job_list_init(struct job_list *l)
{
	l->first = NULL;
	l->end = &l->first;
}

static void job_list_append(struct job_list *l, struct job *job)
{
	job->next = NULL;
	*l->end = job;
	l->end = &job->next;
}

static struct job *job_list_take(struct job_list *l)
{
	struct job *job = l->first;

	if (job) {
		l->first = job->next;
		if (!l->first)
			l->end = &l->first;
	}
	return job;
}

static void *work_pool_thread(void *ctx)
{
	struct work_pool *p = ctx;
	uint64_t one = 1;
	struct job *job;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		while (!p->stop && !p->queue.first)
			pthread_cond_wait(&p->wake, &p->lock);
		if (p->stop)
			break;
		job = job_list_take(&p->queue);
		p->queued--;
		pthread_mutex_unlock(&p->lock);
		job->work(job->ctx);
		pthread_mutex_lock(&p->lock);
		job_list_append(&p->finished, job);
		/* Cannot fail but by overflow, when the loop is woken anyway. */
		(void)!write(p->fd, &one, sizeof(one));
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static void work_pool_finish(struct work_pool *p, struct job_list *l)
{
	struct job *job;

	while ((job = job_list_take(l)) != NULL) {
		p->pending--;
		job->done(job->ctx);
		mem_free(job);
	}
}

static void work_pool_on_finished(evutil_socket_t fd, short what, void *ctx)
{
	struct work_pool *p = ctx;
	struct job_list finished;
	uint64_t count;

	(void)what;
	(void)!read(fd, &count, sizeof(count));
	pthread_mutex_lock(&p->lock);
	finished = p->finished;
	if (!finished.first)
		finished.end = &finished.first;
	job_list_init(&p->finished);
	pthread_mutex_unlock(&p->lock);
	work_pool_finish(p, &finished);
}

struct work_pool *work_pool_new(struct event_base *base, unsigned threads, unsigned queue_max)
{
	struct work_pool *p = mem_alloc(sizeof(*p));
	sigset_t all, before;

	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->wake, NULL);
	job_list_init(&p->queue);
	job_list_init(&p->finished);
	p->queue_max = queue_max;
	p->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->fd < 0)
		log_fatal("eventfd-failed", NULL);
	p->event = event_new(base, p->fd, EV_READ | EV_PERSIST, work_pool_on_finished, p);
	event_add(p->event, NULL);
	p->threads = mem_alloc_array(threads, sizeof(*p->threads));
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (p->n_threads < threads) {
		if (pthread_create(&p->threads[p->n_threads], NULL, work_pool_thread, p) != 0)
			log_fatal("thread-start-failed", NULL);
		p->n_threads++;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return p;
}

void work_pool_set_queue_max(struct work_pool *p, unsigned queue_max)
{
	pthread_mutex_lock(&p->lock);
	p->queue_max = queue_max;
	pthread_mutex_unlock(&p->lock);
}

bool work_pool_submit(
	struct work_pool *p, void (*work)(void *ctx), void (*done)(void *ctx), void *ctx)
{
	struct job *job;
	bool full;

	pthread_mutex_lock(&p->lock);
	full = p->queued >= p->queue_max;
	if (!full) {
		job = mem_alloc(sizeof(*job));
		job->work = work;
		job->done = done;
		job->ctx = ctx;
		job_list_append(&p->queue, job);
		p->queued++;
		p->pending++;
		pthread_cond_signal(&p->wake);
	}
	pthread_mutex_unlock(&p->lock);
	return !full;
}

unsigned work_pool_pending(const struct work_pool *p)
{
	return p->pending;
}

void work_pool_free(struct work_pool *p)
{
	unsigned i;

	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_broadcast(&p->wake);
	pthread_mutex_unlock(&p->lock);
	for (i = 0; i < p->n_threads; i++)
		pthread_join(p->threads[i], NULL);
	work_pool_finish(p, &p->finished);
	work_pool_finish(p, &p->queue);
	event_free(p->event);
	close(p->fd);
	pthread_cond_destroy(&p->wake);
	pthread_mutex_destroy(&p->lock);
	mem_free(p->threads);
	mem_free(p);
}
