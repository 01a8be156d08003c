/* What happens beside the requests: checkpoints in a thread of their own, pruning by the writer's
 * queue. */
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include "lib-common/log.h"
#include "lib-common/mem.h"
#include "services/indexer/indexer.h"

#define CHECKPOINT_EVERY_MS 200
#define LOG_PAGES 16384 /* of the log beyond which everybody waits for its end: 64 MiB */
#define PRUNE_EVERY_MS (60 * 1000)

struct maintenance {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t stopped;
	bool started, stop;
	struct db *db;
};

/* Without the exclusive step a log that is always written to never starts again and grows. Most of
 * it has been moved just before, so that the step is short. */
static void checkpoint(struct maintenance *m)
{
	int64_t pages = 0;
	struct err e;

	if (db_checkpoint(m->db, false, &pages, &e) < 0 ||
		(pages > LOG_PAGES && db_checkpoint(m->db, true, NULL, &e) < 0))
		log_warning("checkpoint-failed", "error", LOG_ERR(&e), NULL);
}

static void *maintenance_main(void *arg)
{
	struct maintenance *m = arg;
	struct timespec until;

	pthread_mutex_lock(&m->lock);
	while (!m->stop) {
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += CHECKPOINT_EVERY_MS * 1000000l;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&m->stopped, &m->lock, &until);
		if (m->stop)
			break;
		pthread_mutex_unlock(&m->lock);
		checkpoint(m);
		pthread_mutex_lock(&m->lock);
	}
	pthread_mutex_unlock(&m->lock);
	return NULL;
}

struct maintenance *maintenance_new(const char *path, struct err *e)
{
	struct db *db = db_open_maintenance(path, e);
	struct maintenance *m;

	if (db == NULL)
		return NULL;
	m = mem_alloc(sizeof(*m));
	m->db = db;
	pthread_mutex_init(&m->lock, NULL);
	pthread_cond_init(&m->stopped, NULL);
	return m;
}

int maintenance_start(struct maintenance *m, struct err *e)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&m->thread, NULL, maintenance_main, m);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc != 0)
		return err_set(
			e, ERR_TEMP, "cannot start the maintenance thread: %s", strerror(rc));
	m->started = true;
	return 0;
}

void maintenance_free(struct maintenance *m)
{
	if (m == NULL)
		return;
	if (m->started) {
		pthread_mutex_lock(&m->lock);
		m->stop = true;
		pthread_cond_signal(&m->stopped);
		pthread_mutex_unlock(&m->lock);
		pthread_join(m->thread, NULL);
	}
	db_close(m->db);
	pthread_mutex_destroy(&m->lock);
	pthread_cond_destroy(&m->stopped);
	mem_free(m);
}

static void prune_done(struct write_task *t)
{
	struct indexer *ix = t->ctx;

	ix->pruning = false;
	if (t->err.code != ERR_NONE)
		log_warning("prune-failed", "error", LOG_ERR(&t->err), NULL);
	else if (t->now.count > 0)
		log_info("pruned", "rows", LOG_UINT(t->now.count), NULL);
	write_task_free(t);
}

static void prune(struct indexer *ix)
{
	uint64_t now = (uint64_t)clock_wall_s();
	struct write_task *t = write_task_new(write_prune, prune_done);

	t->ctx = ix;
	t->date = (int64_t)(now - ix->config.expunge_grace_s);
	t->uid = now - ix->config.vanished_history_s;
	t->count = now - ix->config.delivery_window_s;
	ix->pruning = true;
	ix->pruned_ms = clock_boot_ms();
	writer_put(ix->writer, t);
}

void housekeeping_run(struct indexer *ix)
{
	nonces_expire(ix, false);
	states_save_recent(ix);
	if (!ix->pruning && clock_boot_ms() - ix->pruned_ms >= PRUNE_EVERY_MS)
		prune(ix);
}
