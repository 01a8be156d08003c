/*
 * sql: a small interface over the SQL drivers (sqlite here; others fill the same function table).
 *One database handle is used by one thread. Statements are kept prepared in the handle, found by
 *their text; texts are portable, what differs stands in braces and is filled in by the driver's
 *dialect:
 *
 *	{int} {blob} {text}	column types (STRICT in SQLite, BIGINT/LONGBLOB/TEXT elsewhere)
 *	{key}			a short blob that can be indexed (names, digests): BLOB,
 *VARBINARY(320) {autoid}		INTEGER PRIMARY KEY AUTOINCREMENT: ids that are never reused
 *	{table}			behind a table's closing parenthesis
 *	{clustered}		the same for a table whose rows lie in primary key order
 *	{insert-ignore}		INSERT OR IGNORE, INSERT IGNORE
 *	{for-update}		behind a SELECT inside a write transaction: nothing in SQLite
 *
 * Names and other octets are bound and stored as blobs (SQL_BLOB): compared octet for octet, with
 *no collation and no padding (CORNERS M15). Parameters are always bound, never printed into a text.
 *
 * Errors: ERR_TEMP when the database is busy, locked, full, broken or unreachable, ERR_EXISTS for a
 * violated unique key, ERR_PERM for other constraints, ERR_LIMIT never. What is unknown is
 *temporary.
 *
 * SQLite: WAL, synchronous=FULL, secure_delete, foreign_keys, memory for temporary tables. With
 * `checkpoint_elsewhere` commits never checkpoint and a maintenance thread with a handle of its own
 * calls sql_checkpoint (CORNERS S7).
 */
#ifndef LM_SQL_H
#define LM_SQL_H

#include <stdbool.h>
#include <stdint.h>
#include "lib-common/buf.h"
#include "lib-common/err.h"

struct sql_db;
struct sql_stmt;

struct sql_config {
	const char *driver; /* "sqlite"; NULL is sqlite too */
	const char *path;   /* of the database file */
	uint64_t busy_timeout_ms;
	uint64_t cache_bytes; /* page cache of this handle; 0: the driver's default */
	uint64_t mmap_bytes;  /* 0: none */
	bool checkpoint_elsewhere;
	bool read_only;	 /* the handle only reads (reader threads); the file must exist */
	bool must_exist; /* do not create the file */
};

/* NULL with *e set on failure. The file is created with mode 0600. */
struct sql_db *sql_open(const struct sql_config *config, struct err *e);
void sql_close(struct sql_db *db); /* NULL is fine; an open transaction is rolled back */

/* ---- statements ---- */

/* The statement of this text, reset and without bindings. It belongs to the handle and is the same
 * for the same text: do not use one text in two nested loops. NULL with *e set on failure. */
struct sql_stmt *sql_prepare(struct sql_db *db, const char *text, struct err *e);
/* Parameters count from 1. What is bound as blob or text must live until the statement was reset.
 */
void sql_bind_int(struct sql_stmt *st, int index, int64_t value);
void sql_bind_blob(
	struct sql_stmt *st, int index, struct span value); /* never NULL, may be empty */
void sql_bind_text(struct sql_stmt *st, int index, struct span value);
void sql_bind_null(struct sql_stmt *st, int index);
/* 1: a row, 0: no more (the statement is reset), -1: an error (reset, *e set). */
int sql_step(struct sql_stmt *st, struct err *e);
void sql_reset(
	struct sql_stmt *st); /* ends a loop early; a read transaction of its own ends, too */
/* Columns count from 0. Spans live until the next step or reset. NULL gives 0 or an empty span. */
int64_t sql_int(struct sql_stmt *st, int column);
struct span sql_span(struct sql_stmt *st, int column);
bool sql_is_null(struct sql_stmt *st, int column);

/* The same in one call, for values at hand: sql_run(db, e, "DELETE FROM t WHERE id = ?",
 * SQL_INT(3)). */
struct sql_value {
	enum {
		SQL_VALUE_START,
		SQL_VALUE_INT,
		SQL_VALUE_BLOB,
		SQL_VALUE_TEXT,
		SQL_VALUE_NULL,
		SQL_VALUE_END
	} kind;
	int64_t i;
	struct span span;
};
#define SQL_INT(n) ((struct sql_value){.kind = SQL_VALUE_INT, .i = (int64_t)(n)})
#define SQL_BLOB(s) ((struct sql_value){.kind = SQL_VALUE_BLOB, .span = (s)})
#define SQL_STR(s) ((struct sql_value){.kind = SQL_VALUE_BLOB, .span = span_of(s)})
#define SQL_TEXT(s) ((struct sql_value){.kind = SQL_VALUE_TEXT, .span = (s)})
#define SQL_NULL ((struct sql_value){.kind = SQL_VALUE_NULL})
#define SQL_VALUES(...)                                                                            \
	((const struct sql_value[]){                                                               \
		{.kind = SQL_VALUE_START}, ##__VA_ARGS__, {.kind = SQL_VALUE_END}})
/* Runs to the end; rows are dropped. 0, or -1 with *e set. */
#define sql_run(db, e, text, ...) sql_run_values(db, e, text, SQL_VALUES(__VA_ARGS__))
/* A prepared and bound statement to be stepped; NULL with *e set. */
#define sql_query(db, e, text, ...) sql_query_values(db, e, text, SQL_VALUES(__VA_ARGS__))
/* The first column of the first row: 1 found, 0 no row, -1 error. */
#define sql_get_int(db, e, value_r, text, ...)                                                     \
	sql_get_int_values(db, e, value_r, text, SQL_VALUES(__VA_ARGS__))
int sql_run_values(
	struct sql_db *db, struct err *e, const char *text, const struct sql_value *values);
struct sql_stmt *sql_query_values(
	struct sql_db *db, struct err *e, const char *text, const struct sql_value *values);
int sql_get_int_values(struct sql_db *db, struct err *e, int64_t *value_r, const char *text,
	const struct sql_value *values);

int64_t sql_affected(const struct sql_db *db); /* rows that the last run changed */
int64_t sql_last_id(const struct sql_db *db);

/* ---- transactions ---- */

int sql_begin_write(struct sql_db *db, struct err *e); /* takes the write lock at once */
int sql_begin_read(struct sql_db *db, struct err *e);  /* one snapshot for several statements */
/* On failure the transaction is rolled back, and the outcome was: not committed. */
int sql_commit(struct sql_db *db, struct err *e);
void sql_rollback(struct sql_db *db); /* nothing when none is open */
bool sql_in_transaction(const struct sql_db *db);
/* Inside a write transaction: undoing one request without its neighbours (CORNERS M7). Not nested.
 */
int sql_savepoint(struct sql_db *db, struct err *e);
int sql_savepoint_release(struct sql_db *db, struct err *e);
void sql_savepoint_rollback(struct sql_db *db);

/* ---- schema ---- */

/* One step of the schema. Several statements, separated by ';' at the end of a line. */
struct sql_migration {
	unsigned version;
	unsigned reader; /* the oldest version whose programs can work with the result (CORNERS S15)
			  */
	const char *text;
};
/* Brings the database to the last of the list (ascending, ends with version 0), each step a
 * transaction. In embedded drivers the file is first copied to PATH.before-v<n> unless it is new. A
 * database of a newer program is accepted if its `reader` is not above the list's last version,
 * else ERR_PERM. */
int sql_migrate(struct sql_db *db, const struct sql_migration *list, struct err *e);
/* Refuses (ERR_PERM) what sql_migrate would have to change; for programs that may not. */
int sql_check_version(struct sql_db *db, const struct sql_migration *list, struct err *e);
int sql_version(struct sql_db *db, int64_t *version_r, int64_t *reader_r, struct err *e);

/* ---- maintenance ---- */

/* Moves the log into the database file. wait: waits for readers and writer, so that the log begins
 * again at its start (the file keeps its length: writing over it is much cheaper than growing it);
 * else only what is free to move. *log_r, *left_r (may be NULL): pages in the log, and those not
 * yet moved. */
int sql_checkpoint(struct sql_db *db, bool wait, int64_t *log_r, int64_t *left_r, struct err *e);
/* A consistent copy of the database at `path` (must not exist), while others write. */
int sql_copy(struct sql_db *db, const char *path, struct err *e);
/* Ends a statement that runs on another thread, with ERR_TEMP. The one function that may be called
 * from any thread while the handle lives. */
void sql_interrupt(struct sql_db *db);

#endif
