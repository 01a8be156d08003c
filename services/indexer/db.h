/*
 * db: the indexer's statements over lib-storage/sql.h. Each thread has its own struct db;
 * statements are prepared at first use and kept. Values are bound from a type string: 'i' a 64-bit
 * integer (uint64_t values keep their bits), 's' a struct span stored as octets, 't' a struct span
 * stored as text.
 *
 * A statement is used by one caller at a time: db_query ... db_end, without the same statement
 * between.
 */
#ifndef INDEXER_DB_H
#define INDEXER_DB_H

#include <stdbool.h>
#include <stdint.h>
#include "lib-common/buf.h"
#include "lib-common/err.h"

enum statement {
#define STATEMENT(id, text) id,
#include "services/indexer/statements.h"
#undef STATEMENT
	STATEMENT_COUNT
};

struct db;
struct rows;

/* Opens (and for the writer creates and migrates) the database. */
struct db *db_open(const char *path, bool writer, struct err *e);
/* For checkpoints only. */
struct db *db_open_maintenance(const char *path, struct err *e);
void db_close(struct db *db); /* NULL is fine */

int db_begin(struct db *db, bool write, struct err *e);
int db_commit(struct db *db, struct err *e);
void db_rollback(struct db *db);

/* Runs a statement without rows; the number of rows it changed, or -1. */
int64_t db_run(struct db *db, enum statement id, struct err *e, const char *types, ...);
/* Starts a query; NULL with *e set. Always db_end what was started. */
struct rows *db_query(struct db *db, enum statement id, struct err *e, const char *types, ...);
int db_next(struct rows *rows, struct err *e); /* 1: a row; 0: the end; -1 */
uint64_t db_u64(const struct rows *rows, int column);
int64_t db_i64(const struct rows *rows, int column);
struct span db_span(const struct rows *rows, int column); /* until the next step or db_end */
void db_end(struct rows *rows);				  /* NULL is fine */
uint64_t db_last_id(struct db *db);

/* sql_checkpoint of this handle; *log_r: pages in the log. */
int db_checkpoint(struct db *db, bool wait, int64_t *log_r, struct err *e);

#endif
