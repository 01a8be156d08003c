#include "services/indexer/reader.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>
#include "lib-common/log.h"
#include "lib-common/mem.h"

struct readers {
	pthread_mutex_t lock;
	pthread_cond_t filled;
	struct read_task *in, **in_tail, *out, **out_tail;
	bool stop;
	unsigned n, n_started;
	pthread_t *threads;
	struct db **dbs;
	unsigned next_db;
	void (*wake)(void *ctx);
	void *ctx;
};

struct read_task *read_task_new(
	int (*run)(struct db *, struct read_task *), void (*done)(struct read_task *))
{
	struct read_task *t = mem_alloc(sizeof(*t));

	t->run = run;
	t->done = done;
	t->fd = -1;
	buf_init(&t->out);
	return t;
}

void read_task_free(struct read_task *t)
{
	if (t == NULL)
		return;
	if (t->fd >= 0)
		close(t->fd);
	buf_wipe(&t->out);
	mem_free(t->keywords);
	mem_free(t);
}

static void task_run(struct readers *r, struct db *db, struct read_task *t)
{
	if (t->run(db, t) < 0 && t->err.code == ERR_NONE)
		err_set(&t->err, ERR_TEMP, "the read failed");
	pthread_mutex_lock(&r->lock);
	*r->out_tail = t;
	r->out_tail = &t->next;
	pthread_mutex_unlock(&r->lock);
	if (r->wake != NULL)
		r->wake(r->ctx);
}

static struct read_task *task_take(struct readers *r)
{
	struct read_task *t = r->in;

	if (t == NULL)
		return NULL;
	r->in = t->next;
	if (r->in == NULL)
		r->in_tail = &r->in;
	t->next = NULL;
	return t;
}

static void *reader_main(void *arg)
{
	struct readers *r = arg;
	struct read_task *t;
	struct db *db;

	pthread_mutex_lock(&r->lock);
	db = r->dbs[r->next_db++];
	for (;;) {
		while (r->in == NULL && !r->stop)
			pthread_cond_wait(&r->filled, &r->lock);
		t = task_take(r);
		if (t == NULL)
			break;
		pthread_mutex_unlock(&r->lock);
		task_run(r, db, t);
		pthread_mutex_lock(&r->lock);
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

struct readers *readers_new(
	const char *path, unsigned threads, void (*wake)(void *ctx), void *ctx, struct err *e)
{
	struct readers *r = mem_alloc(sizeof(*r));

	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->filled, NULL);
	r->in_tail = &r->in;
	r->out_tail = &r->out;
	r->n = threads;
	r->threads = mem_alloc_array(threads, sizeof(*r->threads));
	r->dbs = mem_alloc_array(threads, sizeof(*r->dbs));
	r->wake = wake;
	r->ctx = ctx;
	for (unsigned i = 0; i < threads; i++) {
		r->dbs[i] = db_open(path, false, e);
		if (r->dbs[i] == NULL) {
			readers_free(r);
			return NULL;
		}
	}
	return r;
}

int readers_start(struct readers *r, struct err *e)
{
	sigset_t all, old;
	int rc = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (r->n_started < r->n && rc == 0) {
		rc = pthread_create(&r->threads[r->n_started], NULL, reader_main, r);
		r->n_started += rc == 0;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc != 0)
		return err_set(e, ERR_TEMP, "cannot start a reader's thread: %s", strerror(rc));
	return 0;
}

void readers_put(struct readers *r, struct read_task *t)
{
	t->next = NULL;
	pthread_mutex_lock(&r->lock);
	*r->in_tail = t;
	r->in_tail = &t->next;
	pthread_cond_signal(&r->filled);
	pthread_mutex_unlock(&r->lock);
}

void readers_collect(struct readers *r)
{
	struct read_task *t, *next;

	pthread_mutex_lock(&r->lock);
	t = r->out;
	r->out = NULL;
	r->out_tail = &r->out;
	pthread_mutex_unlock(&r->lock);
	for (; t != NULL; t = next) {
		next = t->next;
		if (t->err.code != ERR_NONE && t->err.code != ERR_NOTFOUND)
			log_warning("read-failed", "account", LOG_UINT(t->account), "error",
				LOG_ERR(&t->err), NULL);
		t->done(t);
	}
}

void readers_run(struct readers *r)
{
	struct read_task *t;

	while ((t = task_take(r)) != NULL) {
		task_run(r, r->dbs[0], t);
		readers_collect(r);
	}
}

void readers_free(struct readers *r)
{
	if (r == NULL)
		return;
	pthread_mutex_lock(&r->lock);
	r->stop = true;
	pthread_cond_broadcast(&r->filled);
	pthread_mutex_unlock(&r->lock);
	for (unsigned i = 0; i < r->n_started; i++)
		pthread_join(r->threads[i], NULL);
	if (r->n_started == 0 && r->dbs[0] != NULL)
		readers_run(r);
	readers_collect(r);
	for (unsigned i = 0; i < r->n; i++)
		db_close(r->dbs[i]);
	mem_free(r->dbs);
	mem_free(r->threads);
	pthread_mutex_destroy(&r->lock);
	pthread_cond_destroy(&r->filled);
	mem_free(r);
}
