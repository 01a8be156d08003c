/*
 * sql-driver: what a driver of sql.h fills in. Only sql.c and the drivers include this.
 */
#ifndef LM_SQL_DRIVER_H
#define LM_SQL_DRIVER_H

#include "lib-storage/sql.h"

struct sql_driver {
	const char *name;
	/* Dialect: pairs of word, text; ends with NULL. */
	const char *const *words;
	/* Texts that begin a write and a read transaction. */
	const char *begin_write, *begin_read;
	/* Fills handle; -1 with *e set. */
	int (*open)(const struct sql_config *config, void **handle_r, struct err *e);
	void (*close)(void *handle);
	int (*prepare)(void *handle, const char *text, size_t len, void **stmt_r, struct err *e);
	/* Like prepare for the first statement of text; *rest_r what follows it. *stmt_r NULL:
	 * none. */
	int (*prepare_next)(
		void *handle, const char *text, const char **rest_r, void **stmt_r, struct err *e);
	void (*finalize)(void *stmt);
	void (*bind)(void *stmt, int index, const struct sql_value *value);
	int (*step)(void *handle, void *stmt, struct err *e);
	void (*reset)(void *stmt);
	int64_t (*column_int)(void *stmt, int column);
	struct span (*column_span)(void *stmt, int column);
	bool (*column_is_null)(void *stmt, int column);
	int64_t (*affected)(void *handle);
	int64_t (*last_id)(void *handle);
	bool (*in_transaction)(void *handle);
	bool (*table_exists)(void *handle, const char *name);
	int (*checkpoint)(void *handle, bool wait, int64_t *log_r, int64_t *left_r, struct err *e);
	int (*copy)(void *handle, const char *path, struct err *e);
	void (*interrupt)(void *handle);
	bool embedded; /* a file that is copied before it is migrated */
};

extern const struct sql_driver sql_driver_sqlite;

#endif
