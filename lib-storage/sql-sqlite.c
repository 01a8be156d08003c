/* The SQLite driver of sql.h. */
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "lib-common/mem.h"
#include "lib-storage/sql-driver.h"

static const char *const sqlite_words[] = {"int", "INTEGER", "blob", "BLOB", "text", "TEXT", "key",
	"BLOB", "autoid", "INTEGER PRIMARY KEY AUTOINCREMENT", "table", "STRICT", "clustered",
	"STRICT, WITHOUT ROWID", "insert-ignore", "INSERT OR IGNORE", "for-update", "", NULL};

static int sqlite_fail(sqlite3 *db, int rc, const char *what, struct err *e)
{
	enum err_code code = ERR_TEMP;
	int extended = db ? sqlite3_extended_errcode(db) : rc;

	switch (rc & 0xff) {
	case SQLITE_CONSTRAINT:
		code = ERR_PERM;
		if (extended == SQLITE_CONSTRAINT_UNIQUE ||
			extended == SQLITE_CONSTRAINT_PRIMARYKEY ||
			extended == SQLITE_CONSTRAINT_ROWID)
			code = ERR_EXISTS;
		break;
	case SQLITE_MISMATCH:
	case SQLITE_TOOBIG:
	case SQLITE_ERROR: /* a text that does not parse: ours, and it will not get better */
		code = ERR_PERM;
		break;
	default:
		break;
	}
	return err_set(e, code, "sqlite: %s: %s (%d)", what,
		db ? sqlite3_errmsg(db) : sqlite3_errstr(rc), extended);
}

static int sqlite_pragma(sqlite3 *db, const char *text, struct err *e)
{
	int rc = sqlite3_exec(db, text, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : sqlite_fail(db, rc, text, e);
}

static int sqlite_configure(sqlite3 *db, const struct sql_config *c, struct err *e)
{
	char text[80];

	sqlite3_extended_result_codes(db, 1);
	sqlite3_busy_timeout(db, (int)(c->busy_timeout_ms ? c->busy_timeout_ms : 5000));
	/* Rows are input like any other: a crafted schema may not run functions. */
	sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	if (!c->read_only && (sqlite_pragma(db, "PRAGMA journal_mode=WAL", e) < 0 ||
				     sqlite_pragma(db, "PRAGMA synchronous=FULL", e) < 0 ||
				     sqlite_pragma(db, "PRAGMA secure_delete=ON", e) < 0))
		return -1;
	if (sqlite_pragma(db, "PRAGMA foreign_keys=ON", e) < 0 ||
		sqlite_pragma(db, "PRAGMA temp_store=MEMORY", e) < 0)
		return -1;
	if (c->read_only && sqlite_pragma(db, "PRAGMA query_only=ON", e) < 0)
		return -1;
	if (c->checkpoint_elsewhere && sqlite_pragma(db, "PRAGMA wal_autocheckpoint=0", e) < 0)
		return -1;
	if (c->cache_bytes) {
		snprintf(text, sizeof(text), "PRAGMA cache_size=-%llu",
			(unsigned long long)(c->cache_bytes / 1024));
		if (sqlite_pragma(db, text, e) < 0)
			return -1;
	}
	if (c->mmap_bytes) {
		snprintf(text, sizeof(text), "PRAGMA mmap_size=%llu",
			(unsigned long long)c->mmap_bytes);
		if (sqlite_pragma(db, text, e) < 0)
			return -1;
	}
	return 0;
}

/* SQLite would create the file with the umask's mode; this one holds secrets. The log and the
 * shared index get the mode of the file. */
static int sqlite_create_file(const char *path, struct err *e)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_set(e, ERR_TEMP, "open %s: %m", path);
	close(fd);
	return 0;
}

static int sqlite_open(const struct sql_config *c, void **handle_r, struct err *e)
{
	int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_READWRITE | SQLITE_OPEN_EXRESCODE;
	sqlite3 *db = NULL;
	int rc;

	if (!c->path || !*c->path)
		return err_set(e, ERR_PERM, "sqlite: no path given");
	if (!c->read_only && !c->must_exist && sqlite_create_file(c->path, e) < 0)
		return -1;
	rc = sqlite3_open_v2(c->path, &db, flags, NULL);
	if (rc != SQLITE_OK) {
		sqlite_fail(db, rc, c->path, e);
		sqlite3_close(db);
		return -1;
	}
	if (sqlite_configure(db, c, e) < 0) {
		sqlite3_close(db);
		return -1;
	}
	*handle_r = db;
	return 0;
}

static void sqlite_close_handle(void *handle)
{
	sqlite3_close_v2(handle);
}

static int sqlite_prepare(void *handle, const char *text, size_t len, void **stmt_r, struct err *e)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v3(
		handle, text, (int)len + 1, SQLITE_PREPARE_PERSISTENT, &st, NULL);

	if (rc != SQLITE_OK)
		return sqlite_fail(handle, rc, text, e);
	*stmt_r = st;
	return 0;
}

static int sqlite_prepare_next(
	void *handle, const char *text, const char **rest_r, void **stmt_r, struct err *e)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v3(handle, text, -1, 0, &st, rest_r);

	if (rc != SQLITE_OK)
		return sqlite_fail(handle, rc, text, e);
	*stmt_r = st;
	return 0;
}

static void sqlite_finalize(void *stmt)
{
	sqlite3_finalize(stmt);
}

static void sqlite_bind(void *stmt, int index, const struct sql_value *v)
{
	/* A failed bind (index out of range) is our own mistake and shows as a NULL parameter,
	 * which the NOT NULL columns refuse. */
	switch (v->kind) {
	case SQL_VALUE_INT:
		sqlite3_bind_int64(stmt, index, v->i);
		break;
	case SQL_VALUE_BLOB:
		sqlite3_bind_blob64(
			stmt, index, v->span.p ? v->span.p : "", v->span.n, SQLITE_STATIC);
		break;
	case SQL_VALUE_TEXT:
		sqlite3_bind_text64(stmt, index, v->span.p ? v->span.p : "", v->span.n,
			SQLITE_STATIC, SQLITE_UTF8);
		break;
	default:
		sqlite3_bind_null(stmt, index);
		break;
	}
}

static int sqlite_step(void *handle, void *stmt, struct err *e)
{
	int rc = sqlite3_step(stmt);

	if (rc == SQLITE_ROW)
		return 1;
	if (rc == SQLITE_DONE)
		return 0;
	return sqlite_fail(handle, rc, sqlite3_sql(stmt), e);
}

static void sqlite_reset(void *stmt)
{
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
}

static int64_t sqlite_column_int(void *stmt, int column)
{
	return sqlite3_column_int64(stmt, column);
}

static struct span sqlite_column_span(void *stmt, int column)
{
	const void *p = sqlite3_column_blob(stmt, column);

	return p ? span_from(p, (size_t)sqlite3_column_bytes(stmt, column)) : span_from("", 0);
}

static bool sqlite_column_is_null(void *stmt, int column)
{
	return sqlite3_column_type(stmt, column) == SQLITE_NULL;
}

static int64_t sqlite_affected(void *handle)
{
	return sqlite3_changes64(handle);
}

static int64_t sqlite_last_id(void *handle)
{
	return sqlite3_last_insert_rowid(handle);
}

static bool sqlite_in_transaction(void *handle)
{
	return !sqlite3_get_autocommit(handle);
}

static bool sqlite_table_exists(void *handle, const char *name)
{
	return sqlite3_table_column_metadata(
		       handle, NULL, name, NULL, NULL, NULL, NULL, NULL, NULL) == SQLITE_OK;
}

static int sqlite_checkpoint(
	void *handle, bool wait, int64_t *log_r, int64_t *left_r, struct err *e)
{
	int log = 0, done = 0;
	int rc = sqlite3_wal_checkpoint_v2(handle, NULL,
		wait ? SQLITE_CHECKPOINT_RESTART : SQLITE_CHECKPOINT_PASSIVE, &log, &done);

	*log_r = log > 0 ? log : 0;
	*left_r = log > done ? log - done : 0;
	/* Busy only says that somebody still reads what is left. */
	if (rc != SQLITE_OK && (rc & 0xff) != SQLITE_BUSY)
		return sqlite_fail(handle, rc, "checkpoint", e);
	return 0;
}

static int sqlite_copy(void *handle, const char *path, struct err *e)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(handle, "VACUUM INTO ?", -1, &st, NULL);
	int fd, ret = -1;

	if (rc == SQLITE_OK)
		rc = sqlite3_bind_text(st, 1, path, -1, SQLITE_STATIC);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	sqlite3_finalize(st);
	if (rc != SQLITE_DONE)
		return sqlite_fail(handle, rc, "copy", e);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return err_set(e, ERR_TEMP, "open %s: %m", path);
	if (fchmod(fd, 0600) < 0 || fsync(fd) < 0)
		err_set(e, ERR_TEMP, "sync %s: %m", path);
	else
		ret = 0;
	close(fd);
	return ret;
}

static void sqlite_interrupt(void *handle)
{
	sqlite3_interrupt(handle);
}

const struct sql_driver sql_driver_sqlite = {
	.name = "sqlite",
	.words = sqlite_words,
	.begin_write = "BEGIN IMMEDIATE",
	.begin_read = "BEGIN DEFERRED",
	.open = sqlite_open,
	.close = sqlite_close_handle,
	.prepare = sqlite_prepare,
	.prepare_next = sqlite_prepare_next,
	.finalize = sqlite_finalize,
	.bind = sqlite_bind,
	.step = sqlite_step,
	.reset = sqlite_reset,
	.column_int = sqlite_column_int,
	.column_span = sqlite_column_span,
	.column_is_null = sqlite_column_is_null,
	.affected = sqlite_affected,
	.last_id = sqlite_last_id,
	.in_transaction = sqlite_in_transaction,
	.table_exists = sqlite_table_exists,
	.checkpoint = sqlite_checkpoint,
	.copy = sqlite_copy,
	.interrupt = sqlite_interrupt,
	.embedded = true,
};
