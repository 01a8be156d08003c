/* The SQL layer over SQLite: statements, transactions, error codes, migrations, checkpoints. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "lib-common/mem.h"
#include "lib-storage/sql.h"

struct fixture {
	char dir[64];
	char *path;
	struct sql_db *db;
	struct err e;
};

static const struct sql_migration first[] = {
	{1, 1,
		"CREATE TABLE t (id {autoid}, name {key} NOT NULL UNIQUE, n {int} NOT NULL) "
		"{table};\n"
		"CREATE INDEX t_n ON t (n);\n"},
	{0, 0, NULL},
};

static struct sql_db *open_db(const char *path, struct err *e)
{
	struct sql_config c = {.path = path, .busy_timeout_ms = 1};

	return sql_open(&c, e);
}

static int setup(void **state)
{
	struct fixture *f = mem_alloc(sizeof(*f));

	strcpy(f->dir, "/tmp/lm-sql-test-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->path = mem_printf("%s/db", f->dir);
	f->db = open_db(f->path, &f->e);
	assert_non_null(f->db);
	assert_int_equal(sql_migrate(f->db, first, &f->e), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[100];

	sql_close(f->db);
	snprintf(command, sizeof(command), "rm -rf %s", f->dir);
	assert_int_equal(system(command), 0);
	mem_free(f->path);
	mem_free(f);
	return 0;
}

static int insert(struct fixture *f, const char *name, size_t n_name, int64_t n)
{
	return sql_run(f->db, &f->e, "INSERT INTO t (name, n) VALUES (?, ?)",
		SQL_BLOB(span_from(name, n_name)), SQL_INT(n));
}

static int64_t count(struct fixture *f)
{
	int64_t n = -1;

	assert_int_equal(sql_get_int(f->db, &f->e, &n, "SELECT COUNT(*) FROM t"), 1);
	return n;
}

static void test_rows(void **state)
{
	struct fixture *f = *state;
	struct sql_stmt *st;
	struct stat sb;
	int64_t id;

	assert_int_equal(insert(f, "a\0b", 3, INT64_MIN), 0);
	id = sql_last_id(f->db);
	assert_int_equal(insert(f, "", 0, 7), 0);
	/* No padding, no case folding, no trimming: these are four names. */
	assert_int_equal(insert(f, "a", 1, 8), 0);
	assert_int_equal(insert(f, "a ", 2, 9), 0);
	assert_int_equal(insert(f, "A", 1, 10), 0);
	st = sql_query(f->db, &f->e, "SELECT name, n, NULL FROM t WHERE id = ?", SQL_INT(id));
	assert_int_equal(sql_step(st, &f->e), 1);
	assert_true(span_equal(sql_span(st, 0), span_from("a\0b", 3)));
	assert_true(sql_int(st, 1) == INT64_MIN);
	assert_true(sql_is_null(st, 2));
	assert_int_equal(sql_span(st, 2).n, 0);
	assert_int_equal(sql_step(st, &f->e), 0);
	assert_int_equal(
		sql_get_int(f->db, &f->e, &id, "SELECT n FROM t WHERE name = ?", SQL_STR("zz")), 0);
	assert_int_equal(sql_run(f->db, &f->e, "UPDATE t SET n = 1 WHERE n > ?", SQL_INT(7)), 0);
	assert_int_equal(sql_affected(f->db), 3);
	assert_int_equal(stat(f->path, &sb), 0);
	assert_int_equal(sb.st_mode & 0777, 0600);
}

static void test_errors(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(insert(f, "x", 1, 1), 0);
	assert_int_equal(insert(f, "x", 1, 1), -1);
	assert_int_equal(f->e.code, ERR_EXISTS);
	assert_int_equal(sql_run(f->db, &f->e, "INSERT INTO t (name, n) VALUES (?, ?)",
				 SQL_STR("y"), SQL_NULL),
		-1);
	assert_int_equal(f->e.code, ERR_PERM);
	/* A parameter that was not given is NULL, not the last call's. */
	assert_int_equal(
		sql_run(f->db, &f->e, "INSERT INTO t (name, n) VALUES (?, ?)", SQL_STR("z")), -1);
	assert_null(sql_prepare(f->db, "SELEKT", &f->e));
	assert_null(sql_prepare(f->db, "SELECT {nonsense}", &f->e));
	assert_int_equal(insert(f, "z", 1, 1), 0);
}

static void test_ids_are_never_reused(void **state)
{
	struct fixture *f = *state;
	int64_t id;

	assert_int_equal(insert(f, "x", 1, 1), 0);
	id = sql_last_id(f->db);
	assert_int_equal(sql_run(f->db, &f->e, "DELETE FROM t"), 0);
	assert_int_equal(insert(f, "x", 1, 1), 0);
	assert_true(sql_last_id(f->db) > id);
}

static void test_transactions(void **state)
{
	struct fixture *f = *state;
	struct sql_db *other = open_db(f->path, &f->e);
	struct sql_stmt *st;

	assert_non_null(other);
	assert_int_equal(sql_begin_write(f->db, &f->e), 0);
	assert_true(sql_in_transaction(f->db));
	assert_int_equal(insert(f, "one", 3, 1), 0);
	/* The neighbour fails alone. */
	assert_int_equal(sql_savepoint(f->db, &f->e), 0);
	assert_int_equal(insert(f, "two", 3, 2), 0);
	assert_int_equal(insert(f, "one", 3, 2), -1);
	sql_savepoint_rollback(f->db);
	assert_int_equal(sql_savepoint(f->db, &f->e), 0);
	assert_int_equal(insert(f, "three", 5, 3), 0);
	assert_int_equal(sql_savepoint_release(f->db, &f->e), 0);
	assert_int_equal(sql_begin_write(other, &f->e), -1);
	assert_int_equal(f->e.code, ERR_TEMP);
	/* A statement that is still at a row does not hinder the commit. */
	st = sql_query(f->db, &f->e, "SELECT name FROM t ORDER BY id");
	assert_int_equal(sql_step(st, &f->e), 1);
	assert_int_equal(sql_commit(f->db, &f->e), 0);
	assert_int_equal(count(f), 2);
	assert_int_equal(sql_begin_write(other, &f->e), 0);
	sql_rollback(other);
	assert_int_equal(sql_begin_write(f->db, &f->e), 0);
	assert_int_equal(insert(f, "four", 4, 4), 0);
	sql_rollback(f->db);
	assert_false(sql_in_transaction(f->db));
	assert_int_equal(count(f), 2);
	sql_close(other);
}

static void test_checkpoint_elsewhere(void **state)
{
	struct fixture *f = *state;
	struct sql_config c = {.path = f->path, .checkpoint_elsewhere = true, .must_exist = true};
	struct sql_db *writer = sql_open(&c, &f->e);
	struct stat sb;
	char *wal = mem_printf("%s-wal", f->path);
	int64_t log, left;
	int i;

	assert_non_null(writer);
	for (i = 0; i < 1500; i++)
		assert_int_equal(sql_run(writer, &f->e, "INSERT INTO t (name, n) VALUES (?, 0)",
					 SQL_BLOB(span_from(&i, sizeof(i)))),
			0);
	assert_int_equal(stat(wal, &sb), 0);
	assert_true(sb.st_size > 1200 * 4096);
	assert_int_equal(sql_checkpoint(f->db, false, NULL, &left, &f->e), 0);
	assert_int_equal(left, 0);
	assert_int_equal(sql_checkpoint(f->db, true, NULL, NULL, &f->e), 0);
	/* the log begins again at its start */
	assert_int_equal(
		sql_run(writer, &f->e, "INSERT INTO t (name, n) VALUES (?, 0)", SQL_STR("after")),
		0);
	assert_int_equal(sql_checkpoint(f->db, false, &log, &left, &f->e), 0);
	assert_in_range(log, 1, 20);
	sql_close(writer);
	mem_free(wal);
}

static void test_read_only(void **state)
{
	struct fixture *f = *state;
	struct sql_config c = {.path = f->path, .read_only = true};
	struct sql_db *reader = sql_open(&c, &f->e);
	int64_t n;

	assert_non_null(reader);
	assert_int_equal(sql_begin_read(reader, &f->e), 0);
	assert_int_equal(sql_get_int(reader, &f->e, &n, "SELECT COUNT(*) FROM t"), 1);
	assert_int_equal(insert(f, "x", 1, 1), 0);
	/* Still the snapshot of its beginning. */
	assert_int_equal(sql_get_int(reader, &f->e, &n, "SELECT COUNT(*) FROM t"), 1);
	assert_int_equal(n, 0);
	assert_int_equal(sql_commit(reader, &f->e), 0);
	assert_int_equal(sql_run(reader, &f->e, "DELETE FROM t"), -1);
	sql_close(reader);
}

static void test_migrations(void **state)
{
	struct fixture *f = *state;
	const struct sql_migration both[] = {first[0],
		{2, 1, "ALTER TABLE t ADD COLUMN extra {int};\n"},
		{3, 3, "CREATE TABLE u (id {int} NOT NULL PRIMARY KEY) {clustered};\n"},
		{0, 0, NULL}};
	const struct sql_migration broken[] = {both[0], both[1], both[2],
		{4, 4, "CREATE TABLE v (id {int}) {table};\nCREATE TABLE v (id {int}) {table};\n"},
		{0, 0, NULL}};
	char *copy = mem_printf("%s.before-v3", f->path);
	struct sql_db *old;
	int64_t version, reader, n;

	assert_int_equal(insert(f, "kept", 4, 1), 0);
	assert_int_equal(sql_check_version(f->db, both, &f->e), -1);
	assert_int_equal(f->e.code, ERR_PERM);
	assert_int_equal(sql_migrate(f->db, both, &f->e), 0);
	assert_int_equal(sql_migrate(f->db, both, &f->e), 0);
	assert_int_equal(sql_version(f->db, &version, &reader, &f->e), 0);
	assert_int_equal(version, 3);
	assert_int_equal(reader, 3);
	assert_int_equal(count(f), 1);
	/* The copy has the state before. */
	old = open_db(copy, &f->e);
	assert_non_null(old);
	assert_int_equal(sql_version(old, &version, &reader, &f->e), 0);
	assert_int_equal(version, 1);
	assert_int_equal(sql_get_int(old, &f->e, &n, "SELECT COUNT(*) FROM t"), 1);
	assert_int_equal(n, 1);
	sql_close(old);
	/* Programs that know version 1 only are refused; a step that fails leaves nothing. */
	assert_int_equal(sql_migrate(f->db, first, &f->e), -1);
	assert_int_equal(f->e.code, ERR_PERM);
	assert_int_equal(sql_migrate(f->db, broken, &f->e), -1);
	assert_int_equal(sql_version(f->db, &version, &reader, &f->e), 0);
	assert_int_equal(version, 3);
	assert_null(sql_prepare(f->db, "SELECT * FROM v", &f->e));
	mem_free(copy);
}

static void test_open_failures(void **state)
{
	struct fixture *f = *state;
	struct sql_config missing = {.path = "/nonexistent/db"};
	struct sql_config unknown = {.driver = "oracle", .path = f->path};
	char *other = mem_printf("%s/other", f->dir);
	struct sql_config absent = {.path = other, .must_exist = true};

	assert_null(sql_open(&missing, &f->e));
	assert_int_equal(f->e.code, ERR_TEMP);
	assert_null(sql_open(&unknown, &f->e));
	assert_null(sql_open(&absent, &f->e));
	sql_close(NULL);
	mem_free(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_rows, setup, teardown),
		cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ids_are_never_reused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_transactions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_checkpoint_elsewhere, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read_only, setup, teardown),
		cmocka_unit_test_setup_teardown(test_migrations, setup, teardown),
		cmocka_unit_test_setup_teardown(test_open_failures, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
