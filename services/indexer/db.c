#include "services/indexer/db.h"

#include "lib-common/mem.h"
#include "lib-storage/sql.h"
#include "services/indexer/schema.h"

#define WRITER_CACHE_BYTES (64u << 20)
#define READER_CACHE_BYTES (8u << 20)

static const char *const statement_texts[STATEMENT_COUNT] = {
#define STATEMENT(id, text) text,
#include "services/indexer/statements.h"
#undef STATEMENT
};

struct rows {
	struct sql_stmt *stmt;
	bool active;
};

struct db {
	struct sql_db *sql;
	struct rows rows[STATEMENT_COUNT];
};

struct db *db_open(const char *path, bool writer, struct err *e)
{
	struct sql_config config = {
		.path = path,
		.busy_timeout_ms = 10000,
		.cache_bytes = writer ? WRITER_CACHE_BYTES : READER_CACHE_BYTES,
		.checkpoint_elsewhere = true,
		.read_only = !writer,
	};
	struct sql_db *sql = sql_open(&config, e);
	struct db *db;

	if (sql == NULL)
		return NULL;
	if ((writer ? sql_migrate : sql_check_version)(sql, indexer_migrations, e) < 0) {
		sql_close(sql);
		return NULL;
	}
	db = mem_alloc(sizeof(*db));
	db->sql = sql;
	return db;
}

struct db *db_open_maintenance(const char *path, struct err *e)
{
	struct sql_config config = {
		.path = path,
		.busy_timeout_ms = 2000,
		.checkpoint_elsewhere = true,
		.must_exist = true,
	};
	struct sql_db *sql = sql_open(&config, e);
	struct db *db;

	if (sql == NULL)
		return NULL;
	db = mem_alloc(sizeof(*db));
	db->sql = sql;
	return db;
}

void db_close(struct db *db)
{
	if (db == NULL)
		return;
	sql_close(db->sql);
	mem_free(db);
}

int db_begin(struct db *db, bool write, struct err *e)
{
	return write ? sql_begin_write(db->sql, e) : sql_begin_read(db->sql, e);
}

int db_commit(struct db *db, struct err *e)
{
	return sql_commit(db->sql, e);
}

void db_rollback(struct db *db)
{
	/* a rollback with statements under way would fail */
	for (int i = 0; i < STATEMENT_COUNT; i++)
		db_end(&db->rows[i]);
	sql_rollback(db->sql);
}

static struct rows *db_start(
	struct db *db, enum statement id, struct err *e, const char *types, va_list ap)
{
	struct rows *r = &db->rows[id];

	if (r->stmt == NULL) {
		r->stmt = sql_prepare(db->sql, statement_texts[id], e);
		if (r->stmt == NULL)
			return NULL;
	}
	for (int i = 0; types[i] != '\0'; i++) {
		switch (types[i]) {
		case 'i':
			sql_bind_int(r->stmt, i + 1, (int64_t)va_arg(ap, uint64_t));
			break;
		case 't':
			sql_bind_text(r->stmt, i + 1, va_arg(ap, struct span));
			break;
		default:
			sql_bind_blob(r->stmt, i + 1, va_arg(ap, struct span));
		}
	}
	r->active = true;
	return r;
}

int64_t db_run(struct db *db, enum statement id, struct err *e, const char *types, ...)
{
	struct rows *r;
	va_list ap;
	int rc;

	va_start(ap, types);
	r = db_start(db, id, e, types, ap);
	va_end(ap);
	if (r == NULL)
		return -1;
	while ((rc = sql_step(r->stmt, e)) == 1)
		;
	db_end(r);
	return rc < 0 ? -1 : sql_affected(db->sql);
}

struct rows *db_query(struct db *db, enum statement id, struct err *e, const char *types, ...)
{
	struct rows *r;
	va_list ap;

	va_start(ap, types);
	r = db_start(db, id, e, types, ap);
	va_end(ap);
	return r;
}

int db_next(struct rows *rows, struct err *e)
{
	return sql_step(rows->stmt, e);
}

uint64_t db_u64(const struct rows *rows, int column)
{
	return (uint64_t)sql_int(rows->stmt, column);
}

int64_t db_i64(const struct rows *rows, int column)
{
	return sql_int(rows->stmt, column);
}

struct span db_span(const struct rows *rows, int column)
{
	return sql_span(rows->stmt, column);
}

void db_end(struct rows *rows)
{
	if (rows == NULL || !rows->active)
		return;
	rows->active = false;
	sql_reset(rows->stmt);
}

uint64_t db_last_id(struct db *db)
{
	return (uint64_t)sql_last_id(db->sql);
}

int db_checkpoint(struct db *db, bool wait, int64_t *log_r, struct err *e)
{
	return sql_checkpoint(db->sql, wait, log_r, NULL, e);
}
