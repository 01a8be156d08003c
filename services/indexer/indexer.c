#include "services/indexer/indexer.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "lib-common/mem.h"
#include "lib-storage/mailbox-name.h"

#define HOUSEKEEPING_S 10
#define ACCOUNTS_CACHED 20000

static struct indexer *self;

struct indexer *indexer_self(void)
{
	return self;
}

/* From the threads: something is ready to be collected. */
static void wake_loop(void *ctx)
{
	struct indexer *ix = ctx;
	uint64_t one = 1;

	/* fails only when the counter is full, and then the loop is awake */
	if (write(ix->wake_fd, &one, sizeof(one)) < 0)
		return;
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct indexer *ix = arg;
	uint64_t n;

	(void)what;
	if (read(fd, &n, sizeof(n)) < 0)
		return;
	writer_collect(ix->writer);
	readers_collect(ix->readers);
}

static void on_housekeeping(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	housekeeping_run(arg);
}

static void copy_config(struct indexer *ix, const struct indexer_config *config)
{
	ix->config = *config;
	memcpy(ix->ticket_key, config->ticket_key, sizeof(ix->ticket_key));
	memcpy(ix->receipt_key, config->receipt_key, sizeof(ix->receipt_key));
	ix->config.ticket_key = ix->ticket_key;
	ix->config.receipt_key = ix->receipt_key;
}

struct indexer *indexer_new(
	struct event_base *base, const struct indexer_config *config, struct err *e)
{
	struct indexer *ix = mem_alloc(sizeof(*ix));
	struct writer_def def = {
		.path = config->database,
		.accounts_cached = ACCOUNTS_CACHED,
		.delivery_window_s = config->delivery_window_s,
		.changed = states_changed,
		.wake = wake_loop,
		.ctx = ix,
	};

	self = ix;
	ix->base = base;
	copy_config(ix, config);
	ix->started_ms = clock_boot_ms();
	ix->nonces_tail = &ix->nonces_first;
	ix->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ix->wake_fd < 0) {
		err_set(e, ERR_TEMP, "eventfd: %s", strerror(errno));
		goto failed;
	}
	ix->writer = writer_new(&def, e);
	if (ix->writer == NULL)
		goto failed;
	ix->readers = readers_new(config->database, config->reader_threads, wake_loop, ix, e);
	if (ix->readers == NULL)
		goto failed;
	ix->maintenance = maintenance_new(config->database, e);
	if (ix->maintenance == NULL)
		goto failed;
	return ix;
failed:
	indexer_free(ix);
	return NULL;
}

int indexer_start(struct indexer *ix, struct err *e)
{
	struct timeval every = {HOUSEKEEPING_S, 0};

	ix->wake_event = event_new(ix->base, ix->wake_fd, EV_READ | EV_PERSIST, on_wake, ix);
	ix->housekeeping = event_new(ix->base, -1, EV_PERSIST, on_housekeeping, ix);
	event_add(ix->wake_event, NULL);
	event_add(ix->housekeeping, &every);
	if (writer_start(ix->writer, e) < 0 || readers_start(ix->readers, e) < 0)
		return -1;
	return maintenance_start(ix->maintenance, e);
}

void indexer_run(struct indexer *ix)
{
	writer_run(ix->writer);
	readers_run(ix->readers);
}

void indexer_stop(struct indexer *ix)
{
	states_save_recent(ix);
	writer_stop(ix->writer);
	readers_collect(ix->readers);
}

void indexer_free(struct indexer *ix)
{
	if (ix == NULL)
		return;
	self = NULL;
	if (ix->wake_event != NULL)
		event_free(ix->wake_event);
	if (ix->housekeeping != NULL)
		event_free(ix->housekeeping);
	readers_free(ix->readers);
	if (ix->writer != NULL)
		writer_stop(ix->writer);
	states_free(ix);
	writer_free(ix->writer);
	maintenance_free(ix->maintenance);
	nonces_expire(ix, true);
	table_clear(&ix->accounts);
	table_clear(&ix->states);
	table_clear(&ix->nonces);
	if (ix->wake_fd >= 0)
		close(ix->wake_fd);
	mem_wipe(ix->ticket_key, sizeof(ix->ticket_key));
	mem_wipe(ix->receipt_key, sizeof(ix->receipt_key));
	mem_free(ix);
}

/* ---- helpers for commands ---- */

struct write_task *request_write(struct request *req, uint64_t account,
	enum write_status (*run)(struct writer *, struct write_task *),
	void (*done)(struct write_task *))
{
	struct write_task *t = write_task_new(run, done);

	t->request = req;
	t->account = account;
	t->deadline_ms = request_deadline_ms(req);
	return t;
}

struct read_task *request_read(struct request *req, uint64_t account,
	int (*run)(struct db *, struct read_task *), void (*done)(struct read_task *))
{
	struct read_task *t = read_task_new(run, done);

	t->request = req;
	t->account = account;
	t->input = request_body(req);
	return t;
}

bool request_mailbox_name(struct request *req, const char *key, struct span *name_r)
{
	struct buf name;
	struct err e;
	int rc;

	buf_init(&name);
	rc = mailbox_name_normalise(request_span(req, key), &name, &e);
	if (rc == 0)
		*name_r = span_from(arena_dup(request_arena(req), name.data, name.len), name.len);
	buf_clear(&name);
	if (rc < 0)
		reply_fail(req, &e);
	return rc == 0;
}

bool request_receipt(struct indexer *ix, struct request *req, const struct receipt **receipt_r)
{
	struct receipt *r = arena_alloc(request_arena(req), sizeof(*r));
	struct err e;

	if (receipt_verify(request_span(req, "receipt"), ix->receipt_key, clock_wall_s(),
		    (int64_t)ix->config.receipt_lifetime_s, r, &e) < 0) {
		reply_fail(req, &e);
		return false;
	}
	*receipt_r = r;
	return true;
}

bool request_message(struct indexer *ix, struct request *req, struct write_task *t)
{
	int64_t tz = request_int(req, "tz");

	t->meta = request_body(req);
	if (t->meta.n > META_MAX) {
		reply_code(req, ERR_LIMIT, "The metadata of the message is too large");
		return false;
	}
	/* RFC 3339 offsets: a day at most */
	if (tz < -1440 || tz > 1440) {
		reply_code(req, ERR_PROTO, "Bad time zone");
		return false;
	}
	t->tz_minutes = (int16_t)tz;
	t->date = request_has(req, "date") ? request_int(req, "date") : clock_wall_s();
	t->flags = request_uint(req, "flags") & FLAGS_SYSTEM;
	t->keywords = request_span(req, "keywords");
	return request_receipt(ix, req, &t->receipt);
}

bool reply_write_failed(struct write_task *t)
{
	if (t->err.code == ERR_NONE)
		return false;
	reply_fail(t->request, &t->err);
	write_task_free(t);
	return true;
}

bool reply_read_failed(struct read_task *t)
{
	if (t->err.code == ERR_NONE)
		return false;
	reply_fail(t->request, &t->err);
	read_task_free(t);
	return true;
}
