#include "lib-storage/sql.h"

#include <stdlib.h>
#include <unistd.h>
#include "lib-common/log.h"
#include "lib-common/mem.h"
#include "lib-storage/sql-driver.h"

#define CACHE_SLOTS 256 /* buckets; each a list */

struct sql_stmt {
	struct sql_db *db;
	void *handle;
	char *text; /* as asked for, before the dialect */
	uint32_t hash;
	bool running;
	struct sql_stmt *next;
};

struct sql_db {
	const struct sql_driver *driver;
	void *handle;
	char *path;
	struct sql_stmt *cache[CACHE_SLOTS];
};

static const struct sql_driver *const sql_drivers[] = {&sql_driver_sqlite, NULL};

struct sql_db *sql_open(const struct sql_config *config, struct err *e)
{
	const char *name = config->driver ? config->driver : "sqlite";
	struct sql_db *db;
	size_t i;

	for (i = 0; sql_drivers[i] && strcmp(sql_drivers[i]->name, name) != 0; i++)
		;
	if (!sql_drivers[i]) {
		err_set(e, ERR_PERM, "no SQL driver named %s", name);
		return NULL;
	}
	db = mem_alloc(sizeof(*db));
	db->driver = sql_drivers[i];
	if (db->driver->open(config, &db->handle, e) < 0) {
		mem_free(db);
		return NULL;
	}
	db->path = mem_strdup(config->path);
	return db;
}

void sql_close(struct sql_db *db)
{
	struct sql_stmt *st, *next;
	size_t i;

	if (!db)
		return;
	sql_rollback(db);
	for (i = 0; i < CACHE_SLOTS; i++) {
		for (st = db->cache[i]; st; st = next) {
			next = st->next;
			db->driver->finalize(st->handle);
			mem_free(st->text);
			mem_free(st);
		}
	}
	db->driver->close(db->handle);
	mem_free(db->path);
	mem_free(db);
}

/* ---- statements ---- */

static uint32_t sql_text_hash(const char *text)
{
	uint32_t h = 2166136261u;

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 16777619u;
	return h;
}

/* Replaces {word} by the driver's text for it. Unknown words are our own mistake. */
static int sql_dialect_expand(
	const struct sql_driver *driver, const char *text, struct buf *out, struct err *e)
{
	const char *open, *close;
	size_t i, n;

	while ((open = strchr(text, '{')) != NULL) {
		close = strchr(open, '}');
		if (!close)
			return err_set(e, ERR_PERM, "unclosed { in SQL text: %.100s", open);
		buf_add(out, text, (size_t)(open - text));
		n = (size_t)(close - open - 1);
		for (i = 0; driver->words[i]; i += 2) {
			if (strlen(driver->words[i]) == n &&
				memcmp(driver->words[i], open + 1, n) == 0)
				break;
		}
		if (!driver->words[i])
			return err_set(e, ERR_PERM, "no dialect word {%.*s}", (int)n, open + 1);
		buf_add_str(out, driver->words[i + 1]);
		text = close + 1;
	}
	buf_add_str(out, text);
	return 0;
}

static struct sql_stmt *sql_stmt_new(
	struct sql_db *db, const char *text, uint32_t hash, struct err *e)
{
	struct sql_stmt *st = NULL;
	struct buf expanded;
	void *handle;

	buf_init(&expanded);
	if (sql_dialect_expand(db->driver, text, &expanded, e) < 0 ||
		db->driver->prepare(db->handle, buf_str(&expanded), expanded.len, &handle, e) < 0)
		goto out;
	st = mem_alloc(sizeof(*st));
	st->db = db;
	st->handle = handle;
	st->text = mem_strdup(text);
	st->hash = hash;
	st->next = db->cache[hash % CACHE_SLOTS];
	db->cache[hash % CACHE_SLOTS] = st;
out:
	buf_clear(&expanded);
	return st;
}

struct sql_stmt *sql_prepare(struct sql_db *db, const char *text, struct err *e)
{
	uint32_t hash = sql_text_hash(text);
	struct sql_stmt *st;

	for (st = db->cache[hash % CACHE_SLOTS]; st; st = st->next) {
		if (st->hash == hash && strcmp(st->text, text) == 0) {
			sql_reset(st);
			return st;
		}
	}
	return sql_stmt_new(db, text, hash, e);
}

void sql_bind_int(struct sql_stmt *st, int index, int64_t value)
{
	st->db->driver->bind(st->handle, index, &SQL_INT(value));
}

void sql_bind_blob(struct sql_stmt *st, int index, struct span value)
{
	st->db->driver->bind(st->handle, index, &SQL_BLOB(value));
}

void sql_bind_text(struct sql_stmt *st, int index, struct span value)
{
	st->db->driver->bind(st->handle, index, &SQL_TEXT(value));
}

void sql_bind_null(struct sql_stmt *st, int index)
{
	st->db->driver->bind(st->handle, index, &SQL_NULL);
}

int sql_step(struct sql_stmt *st, struct err *e)
{
	int ret;

	st->running = true;
	ret = st->db->driver->step(st->db->handle, st->handle, e);
	if (ret <= 0)
		sql_reset(st);
	return ret;
}

void sql_reset(struct sql_stmt *st)
{
	/* Also when it never ran: bindings may have been made, and they point at the caller's
	 * memory. */
	st->db->driver->reset(st->handle);
	st->running = false;
}

int64_t sql_int(struct sql_stmt *st, int column)
{
	return st->db->driver->column_int(st->handle, column);
}

struct span sql_span(struct sql_stmt *st, int column)
{
	return st->db->driver->column_span(st->handle, column);
}

bool sql_is_null(struct sql_stmt *st, int column)
{
	return st->db->driver->column_is_null(st->handle, column);
}

struct sql_stmt *sql_query_values(
	struct sql_db *db, struct err *e, const char *text, const struct sql_value *values)
{
	struct sql_stmt *st = sql_prepare(db, text, e);
	int i;

	if (!st)
		return NULL;
	for (i = 1; values[i].kind != SQL_VALUE_END; i++)
		db->driver->bind(st->handle, i, &values[i]);
	return st;
}

int sql_run_values(
	struct sql_db *db, struct err *e, const char *text, const struct sql_value *values)
{
	struct sql_stmt *st = sql_query_values(db, e, text, values);
	int ret;

	if (!st)
		return -1;
	while ((ret = sql_step(st, e)) > 0)
		;
	return ret;
}

int sql_get_int_values(struct sql_db *db, struct err *e, int64_t *value_r, const char *text,
	const struct sql_value *values)
{
	struct sql_stmt *st = sql_query_values(db, e, text, values);
	int ret;

	if (!st)
		return -1;
	ret = sql_step(st, e);
	if (ret > 0) {
		*value_r = sql_int(st, 0);
		sql_reset(st);
	}
	return ret;
}

int64_t sql_affected(const struct sql_db *db)
{
	return db->driver->affected(db->handle);
}

int64_t sql_last_id(const struct sql_db *db)
{
	return db->driver->last_id(db->handle);
}

/* ---- transactions ---- */

int sql_begin_write(struct sql_db *db, struct err *e)
{
	return sql_run(db, e, db->driver->begin_write);
}

int sql_begin_read(struct sql_db *db, struct err *e)
{
	return sql_run(db, e, db->driver->begin_read);
}

/* A transaction cannot end while one of its statements still has a row to give. */
static void sql_reset_running(struct sql_db *db)
{
	struct sql_stmt *st;
	size_t i;

	for (i = 0; i < CACHE_SLOTS; i++) {
		for (st = db->cache[i]; st; st = st->next) {
			if (st->running)
				sql_reset(st);
		}
	}
}

int sql_commit(struct sql_db *db, struct err *e)
{
	sql_reset_running(db);
	if (sql_run(db, e, "COMMIT") < 0) {
		sql_rollback(db);
		return -1;
	}
	return 0;
}

void sql_rollback(struct sql_db *db)
{
	struct err e;

	sql_reset_running(db);
	if (!sql_in_transaction(db))
		return;
	if (sql_run(db, &e, "ROLLBACK") < 0)
		log_warning("sql-rollback-failed", "error", LOG_ERR(&e), NULL);
}

bool sql_in_transaction(const struct sql_db *db)
{
	return db->driver->in_transaction(db->handle);
}

int sql_savepoint(struct sql_db *db, struct err *e)
{
	return sql_run(db, e, "SAVEPOINT request");
}

int sql_savepoint_release(struct sql_db *db, struct err *e)
{
	return sql_run(db, e, "RELEASE SAVEPOINT request");
}

void sql_savepoint_rollback(struct sql_db *db)
{
	struct err e;

	sql_reset_running(db);
	/* Some errors (disk full, I/O) roll the whole transaction back by themselves. */
	if (!sql_in_transaction(db))
		return;
	if (sql_run(db, &e, "ROLLBACK TO SAVEPOINT request") < 0 ||
		sql_run(db, &e, "RELEASE SAVEPOINT request") < 0)
		log_warning("sql-rollback-failed", "error", LOG_ERR(&e), NULL);
}

/* ---- schema ---- */

int sql_version(struct sql_db *db, int64_t *version_r, int64_t *reader_r, struct err *e)
{
	struct sql_stmt *st;
	int ret;

	*version_r = *reader_r = 0;
	if (!db->driver->table_exists(db->handle, "schema_version"))
		return 0;
	st = sql_query(db, e, "SELECT version, reader FROM schema_version WHERE id = 1");
	if (!st)
		return -1;
	ret = sql_step(st, e);
	if (ret > 0) {
		*version_r = sql_int(st, 0);
		*reader_r = sql_int(st, 1);
		sql_reset(st);
	}
	return ret < 0 ? -1 : 0;
}

static int sql_run_script(struct sql_db *db, const char *text, struct err *e)
{
	struct buf expanded;
	const char *rest;
	void *stmt;
	int ret;

	buf_init(&expanded);
	ret = sql_dialect_expand(db->driver, text, &expanded, e);
	if (ret < 0)
		goto out;
	for (rest = buf_str(&expanded); *rest;) {
		ret = db->driver->prepare_next(db->handle, rest, &rest, &stmt, e);
		if (ret < 0 || !stmt)
			goto out;
		while ((ret = db->driver->step(db->handle, stmt, e)) > 0)
			;
		db->driver->finalize(stmt);
		if (ret < 0)
			goto out;
	}
out:
	buf_clear(&expanded);
	return ret;
}

static int sql_migrate_one(struct sql_db *db, const struct sql_migration *m, struct err *e)
{
	int64_t version, reader;

	if (sql_begin_write(db, e) < 0)
		return -1;
	/* Another process may have been first. */
	if (sql_version(db, &version, &reader, e) < 0)
		goto fail;
	if (version >= (int64_t)m->version) {
		sql_rollback(db);
		return 0;
	}
	if (version == 0 &&
		sql_run_script(db,
			"CREATE TABLE IF NOT EXISTS schema_version (id {int} NOT NULL PRIMARY KEY, "
			"version {int} NOT NULL, reader {int} NOT NULL) {table};\n"
			"INSERT INTO schema_version (id, version, reader) VALUES (1, 0, 0);\n",
			e) < 0)
		goto fail;
	if (sql_run_script(db, m->text, e) < 0 ||
		sql_run(db, e, "UPDATE schema_version SET version = ?, reader = ? WHERE id = 1",
			SQL_INT(m->version), SQL_INT(m->reader)) < 0)
		goto fail;
	return sql_commit(db, e);
fail:
	sql_rollback(db);
	return -1;
}

static unsigned sql_migration_last(const struct sql_migration *list)
{
	unsigned last = 0;

	for (; list->version; list++)
		last = list->version;
	return last;
}

/* 1: there is something to do, 0: nothing. */
static int sql_check(
	struct sql_db *db, const struct sql_migration *list, int64_t *version_r, struct err *e)
{
	unsigned last = sql_migration_last(list);
	int64_t reader;

	if (sql_version(db, version_r, &reader, e) < 0)
		return -1;
	if (reader > (int64_t)last)
		return err_set(e, ERR_PERM,
			"%s has schema version %lld, which needs programs that know version %lld; "
			"these "
			"know %u",
			db->path, (long long)*version_r, (long long)reader, last);
	return *version_r < (int64_t)last;
}

int sql_check_version(struct sql_db *db, const struct sql_migration *list, struct err *e)
{
	int64_t version;
	int ret = sql_check(db, list, &version, e);

	if (ret > 0)
		return err_set(e, ERR_PERM, "%s has schema version %lld and must be migrated to %u",
			db->path, (long long)version, sql_migration_last(list));
	return ret;
}

int sql_migrate(struct sql_db *db, const struct sql_migration *list, struct err *e)
{
	int64_t version;
	char *copy;
	int ret = sql_check(db, list, &version, e);

	if (ret <= 0)
		return ret;
	if (db->driver->embedded && version > 0) {
		copy = mem_printf("%s.before-v%u", db->path, sql_migration_last(list));
		(void)unlink(copy); /* left by an attempt that failed later */
		ret = sql_copy(db, copy, e);
		mem_free(copy);
		if (ret < 0)
			return -1;
	}
	for (; list->version; list++) {
		if ((int64_t)list->version > version && sql_migrate_one(db, list, e) < 0)
			return -1;
	}
	return 0;
}

/* ---- maintenance ---- */

int sql_checkpoint(struct sql_db *db, bool wait, int64_t *log_r, int64_t *left_r, struct err *e)
{
	int64_t log, left;

	return db->driver->checkpoint(
		db->handle, wait, log_r ? log_r : &log, left_r ? left_r : &left, e);
}

int sql_copy(struct sql_db *db, const char *path, struct err *e)
{
	return db->driver->copy(db->handle, path, e);
}

void sql_interrupt(struct sql_db *db)
{
	db->driver->interrupt(db->handle);
}
