#include "services/indexer/writer.h"

#include <assert.h>
#include <signal.h>
#include "lib-common/log.h"
#include "lib-common/mem.h"
#include "lib-common/metrics.h"

/* What one commit hands to the loop. */
struct outcome {
	struct outcome *next;
	struct change *changes;
	struct write_task *tasks;
};

struct task_list {
	struct write_task *first, **tail;
};

static void list_init(struct task_list *l)
{
	l->first = NULL;
	l->tail = &l->first;
}

static void list_add(struct task_list *l, struct write_task *t)
{
	t->next = NULL;
	*l->tail = t;
	l->tail = &t->next;
}

static void list_join(struct task_list *l, struct write_task *tasks)
{
	struct write_task *next;

	for (; tasks != NULL; tasks = next) {
		next = tasks->next;
		list_add(l, tasks);
	}
}

/* ---- tasks ---- */

struct write_task *write_task_new(enum write_status (*run)(struct writer *, struct write_task *),
	void (*done)(struct write_task *))
{
	struct write_task *t = mem_alloc(sizeof(*t));

	t->run = run;
	t->done = done;
	t->arena = arena_new();
	buf_init(&t->out);
	buf_init(&t->log);
	uidset_init(&t->uids);
	uidset_init(&t->unchanged);
	return t;
}

void write_task_free(struct write_task *t)
{
	if (t == NULL)
		return;
	buf_clear(&t->out);
	buf_clear(&t->log);
	uidset_clear(&t->uids);
	uidset_clear(&t->unchanged);
	arena_free(t->arena);
	mem_free(t);
}

/* Back to where the last commit left it. */
static void task_reset(struct writer *w, struct write_task *t)
{
	t->now = t->committed;
	buf_truncate(&t->out, t->now.out_len);
	buf_truncate(&t->log, t->now.log_len);
	while (t->unchanged.n > 0 && t->unchanged.ranges[t->unchanged.n - 1].last > t->now.uid) {
		struct uid_range *last = &t->unchanged.ranges[t->unchanged.n - 1];

		last->last = (uint32_t)t->now.uid;
		if (last->first > last->last)
			t->unchanged.n--;
	}
	memset(&t->err, 0, sizeof(t->err));
	if (t->committed.staged_first == 0)
		copy_abandon(w, t);
}

static void task_settle(struct write_task *t)
{
	t->now.out_len = t->out.len;
	t->now.log_len = t->log.len;
	t->committed = t->now;
}

/* ---- changes ---- */

static void changes_free(struct change *c)
{
	struct change *next;

	for (; c != NULL; c = next) {
		next = c->next;
		buf_clear(&c->log);
		mem_free(c->keywords);
		mem_free(c);
	}
}

struct change *writer_change_list(struct writer *w, uint64_t account)
{
	struct change *c = mem_alloc(sizeof(*c));

	buf_init(&c->log);
	c->account = account;
	c->list = true;
	*w->changes_tail = c;
	w->changes_tail = &c->next;
	return c;
}

struct change *writer_change(struct writer *w, struct mailbox_row *m)
{
	if (m->change == NULL) {
		m->change = writer_change_list(w, m->account->id);
		m->change->list = false;
		m->change->mailbox = m->id;
	}
	return m->change;
}

/* ---- a batch ---- */

int writer_begin(struct writer *w, struct err *e)
{
	if (w->in_transaction)
		return 0;
	if (db_begin(w->db, true, e) < 0)
		return -1;
	w->in_transaction = true;
	w->began_us = clock_boot_us();
	return 0;
}

unsigned writer_share(struct writer *w, struct account_row *a)
{
	unsigned left = w->batch_messages < WRITE_BATCH_MESSAGES
				? WRITE_BATCH_MESSAGES - w->batch_messages
				: 0;
	unsigned own = WRITE_SLICE;

	if (a->batch == w->batch)
		own = a->batch_messages < WRITE_SLICE ? WRITE_SLICE - a->batch_messages : 0;
	return own < left ? own : left;
}

void writer_charge(struct writer *w, struct account_row *a, unsigned messages)
{
	if (a->batch != w->batch) {
		a->batch = w->batch;
		a->batch_messages = 0;
	}
	a->batch_messages += messages;
	w->batch_messages += messages;
}

static void batch_begin(struct writer *w)
{
	w->batch++;
	w->batch_messages = 0;
	w->now = clock_wall_s();
}

/* Ends the transaction; -1: everything of it is undone, the cached rows too. */
static int batch_end(struct writer *w, struct err *e)
{
	if (!w->in_transaction) {
		assert(w->dirty_accounts == NULL && w->dirty_mailboxes == NULL);
		cache_settle(w);
		return 0;
	}
	if (cache_flush(w, e) == 0 && db_commit(w->db, e) == 0) {
		w->in_transaction = false;
		metric_add_atomic(METRIC_INDEXER_COMMITS, 1);
		metric_observe_us_atomic(METRIC_INDEXER_COMMIT_TIME, clock_boot_us() - w->began_us);
		cache_settle(w);
		return 0;
	}
	return -1;
}

static void batch_undo(struct writer *w)
{
	if (w->in_transaction)
		db_rollback(w->db);
	metric_add_atomic(METRIC_INDEXER_COMMITS_FAILED, 1);
	w->in_transaction = false;
	cache_drop_touched(w);
	changes_free(w->changes);
	w->changes = NULL;
	w->changes_tail = &w->changes;
}

/* Hands a commit's changes and finished requests to the loop. */
static void batch_publish(struct writer *w, struct write_task *finished)
{
	struct outcome *o;

	if (finished == NULL && w->changes == NULL)
		return;
	o = mem_alloc(sizeof(*o));
	o->changes = w->changes;
	o->tasks = finished;
	w->changes = NULL;
	w->changes_tail = &w->changes;
	pthread_mutex_lock(&w->lock);
	*w->out_tail = o;
	w->out_tail = &o->next;
	pthread_mutex_unlock(&w->lock);
	if (w->def.wake != NULL)
		w->def.wake(w->def.ctx);
}

static enum write_status task_run(struct writer *w, struct write_task *t)
{
	bool begun = t->committed.uid != 0 || t->committed.count != 0;

	if (!begun && t->deadline_ms != 0 && clock_boot_ms() >= t->deadline_ms) {
		err_set(&t->err, ERR_TEMP, "no time was left when the request's turn came");
		return WRITE_DONE;
	}
	return t->run(w, t);
}

/* After a failed batch: each request alone, so that only what is really bad fails. */
static void batch_single(struct writer *w, struct write_task *tasks, struct task_list *again)
{
	struct write_task *next;

	for (; tasks != NULL; tasks = next) {
		enum write_status status;
		struct err e;

		next = tasks->next;
		tasks->next = NULL;
		task_reset(w, tasks);
		batch_begin(w);
		status = task_run(w, tasks);
		if (status == WRITE_BROKEN || batch_end(w, &e) < 0) {
			if (status != WRITE_BROKEN)
				tasks->err = e;
			/* whatever the database said: to the client it is our own trouble */
			tasks->err.code = ERR_TEMP;
			log_error("write-failed", "account", LOG_UINT(tasks->account), "error",
				LOG_ERR(&tasks->err), NULL);
			batch_undo(w);
			copy_abandon(w, tasks);
			batch_publish(w, tasks);
			continue;
		}
		task_settle(tasks);
		if (status == WRITE_DONE) {
			batch_publish(w, tasks);
		} else {
			batch_publish(w, NULL);
			list_add(again, tasks);
		}
	}
}

static void batch_commit(
	struct writer *w, struct task_list *done, struct task_list *more, struct task_list *again)
{
	struct write_task *t;

	for (t = more->first; t != NULL; t = t->next)
		task_settle(t);
	batch_publish(w, done->first);
	list_join(again, more->first);
}

/* Runs one batch off the queue. */
static void batch_run(struct writer *w)
{
	struct task_list done, more, stay, again;
	struct write_task *t, *next, *rest = NULL;
	struct err e = {0};
	bool broken = false;
	unsigned tasks = 0;

	list_init(&done);
	list_init(&more);
	list_init(&stay);
	list_init(&again);
	batch_begin(w);
	for (t = w->queue; t != NULL && !broken; t = next) {
		enum write_status status;

		next = t->next;
		if (tasks++ == WRITE_BATCH_TASKS || w->batch_messages >= WRITE_BATCH_MESSAGES) {
			rest = t;
			break;
		}
		status = task_run(w, t);
		list_add(status == WRITE_WAIT ? &stay : status == WRITE_MORE ? &more : &done, t);
		if (status == WRITE_BROKEN) {
			e = t->err;
			broken = true;
			rest = next;
		}
	}
	if (broken || batch_end(w, &e) < 0) {
		log_warning("write-batch-retried", "error", LOG_ERR(&e), NULL);
		batch_undo(w);
		list_join(&done, more.first);
		batch_single(w, done.first, &again);
	} else {
		batch_commit(w, &done, &more, &again);
	}
	list_join(&stay, rest);
	list_join(&stay, again.first);
	w->queue = stay.first;
	w->queue_tail = stay.first != NULL ? stay.tail : &w->queue;
	cache_trim(w);
}

/* ---- the thread ---- */

static void queue_take(struct writer *w)
{
	if (w->in == NULL)
		return;
	*w->queue_tail = w->in;
	w->queue_tail = w->in_tail;
	w->in = NULL;
	w->in_tail = &w->in;
}

static void *writer_main(void *arg)
{
	struct writer *w = arg;

	for (;;) {
		pthread_mutex_lock(&w->lock);
		while (w->queue == NULL && w->in == NULL && !w->stop)
			pthread_cond_wait(&w->filled, &w->lock);
		if (w->queue == NULL && w->in == NULL) {
			pthread_mutex_unlock(&w->lock);
			return NULL;
		}
		queue_take(w);
		pthread_mutex_unlock(&w->lock);
		batch_run(w);
	}
}

struct writer *writer_new(const struct writer_def *def, struct err *e)
{
	struct db *db = db_open(def->path, true, e);
	struct writer *w;

	if (db == NULL)
		return NULL;
	w = mem_alloc(sizeof(*w));
	w->def = *def;
	w->def.path = mem_strdup(def->path);
	w->db = db;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->filled, NULL);
	w->in_tail = &w->in;
	w->out_tail = &w->out;
	w->queue_tail = &w->queue;
	w->changes_tail = &w->changes;
	table_init(&w->accounts);
	w->slice = mem_alloc_array(WRITE_READ, sizeof(*w->slice));
	return w;
}

int writer_start(struct writer *w, struct err *e)
{
	sigset_t all, old;
	int rc;

	/* signals are the loop's */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&w->thread, NULL, writer_main, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc != 0)
		return err_set(e, ERR_TEMP, "cannot start the writer's thread: %s", strerror(rc));
	w->started = true;
	return 0;
}

void writer_put(struct writer *w, struct write_task *t)
{
	t->next = NULL;
	pthread_mutex_lock(&w->lock);
	*w->in_tail = t;
	w->in_tail = &t->next;
	pthread_cond_signal(&w->filled);
	pthread_mutex_unlock(&w->lock);
}

void writer_collect(struct writer *w)
{
	struct outcome *o, *next;
	struct write_task *t, *t_next;

	pthread_mutex_lock(&w->lock);
	o = w->out;
	w->out = NULL;
	w->out_tail = &w->out;
	pthread_mutex_unlock(&w->lock);
	for (; o != NULL; o = next) {
		next = o->next;
		if (o->changes != NULL && w->def.changed != NULL)
			w->def.changed(o->changes, w->def.ctx);
		changes_free(o->changes);
		for (t = o->tasks; t != NULL; t = t_next) {
			t_next = t->next;
			t->done(t);
		}
		mem_free(o);
	}
}

void writer_run(struct writer *w)
{
	for (;;) {
		queue_take(w);
		if (w->queue == NULL)
			break;
		batch_run(w);
	}
	writer_collect(w);
}

void writer_stop(struct writer *w)
{
	if (w->started) {
		pthread_mutex_lock(&w->lock);
		w->stop = true;
		pthread_cond_signal(&w->filled);
		pthread_mutex_unlock(&w->lock);
		pthread_join(w->thread, NULL);
		w->started = false;
	}
	writer_collect(w);
}

void writer_free(struct writer *w)
{
	struct write_task *t;

	if (w == NULL)
		return;
	writer_stop(w);
	while ((t = w->in) != NULL) {
		w->in = t->next;
		write_task_free(t);
	}
	cache_clear(w);
	changes_free(w->changes);
	db_close(w->db);
	mem_free(w->slice);
	mem_free((char *)(uintptr_t)w->def.path);
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->filled);
	mem_free(w);
}
