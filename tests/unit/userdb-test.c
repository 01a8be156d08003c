/* Domains, users, aliases, resolution, and what stays to be told to indexer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "lib-auth/userdb.h"
#include "lib-common/mem.h"

struct fixture {
	char dir[64];
	struct sql_db *db;
	struct err e;
	struct buf seen;
};

static int setup(void **state)
{
	struct fixture *f = mem_alloc(sizeof(*f));
	struct sql_config c = {0};
	char path[80];

	strcpy(f->dir, "/tmp/lm-userdb-test-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(path, sizeof(path), "%s/auth.db", f->dir);
	c.path = path;
	f->db = sql_open(&c, &f->e);
	assert_non_null(f->db);
	assert_int_equal(sql_migrate(f->db, userdb_migrations, &f->e), 0);
	assert_int_equal(userdb_domain_add(f->db, "a.example", 5, &f->e), 0);
	assert_int_equal(userdb_domain_add(f->db, "b.example", 5, &f->e), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[100];

	sql_close(f->db);
	buf_clear(&f->seen);
	snprintf(command, sizeof(command), "rm -rf %s", f->dir);
	assert_int_equal(system(command), 0);
	mem_free(f);
	return 0;
}

static struct address parse(const char *text)
{
	struct address a;

	assert_true(address_parse_pattern(span_of(text), &a));
	return a;
}

static int add(struct fixture *f, const char *name, struct user *u)
{
	memset(u, 0, sizeof(*u));
	u->name = parse(name);
	strcpy(u->password, "{PLAIN}x");
	return userdb_user_add(f->db, u, &f->e);
}

static void add_alias(struct fixture *f, const char *name, const char *target)
{
	struct address n = parse(name), t = parse(target);

	assert_int_equal(userdb_alias_add(f->db, &n, &t, 5, &f->e), 0);
}

static void see(void *ctx, const struct user *u, struct span detail)
{
	struct fixture *f = ctx;

	buf_printf(&f->seen, "%s[%.*s] ", u->name.text, (int)detail.n, detail.p);
}

static int resolve(struct fixture *f, const char *text)
{
	struct address a = parse(text);

	buf_empty(&f->seen);
	f->e.code = ERR_NONE;
	return userdb_resolve(f->db, &a, "+", see, f, &f->e);
}

static void test_users(void **state)
{
	struct fixture *f = *state;
	struct user u, v;

	assert_int_equal(add(f, "joe@a.example", &u), 0);
	assert_true(u.account > 0 && u.account <= INT64_MAX);
	assert_int_equal(add(f, "joe@a.example", &v), -1);
	assert_int_equal(f->e.code, ERR_EXISTS);
	assert_int_equal(add(f, "joe@c.example", &v), -1);
	assert_int_equal(f->e.code, ERR_NOTFOUND);
	assert_int_equal(userdb_user_find(f->db, SPAN("joe@a.example"), &v, &f->e), 1);
	assert_true(v.account == u.account && v.generation == 1 && v.state == USER_ENABLED);
	assert_string_equal(v.name.text, "joe@a.example");
	assert_string_equal(v.password, "{PLAIN}x");
	assert_int_equal(userdb_user_find(f->db, SPAN("joe@a.example "), &v, &f->e), 0);
	assert_int_equal(userdb_user_find(f->db, SPAN("%"), &v, &f->e), 0);
	assert_int_equal(userdb_user_find(f->db, SPAN(""), &v, &f->e), 0);
	assert_int_equal(userdb_user_find(f->db, SPAN("' OR 1=1 --"), &v, &f->e), 0);
}

static void test_generation(void **state)
{
	struct fixture *f = *state;
	struct address name = parse("ann@b.example");
	struct user u, v;

	assert_int_equal(add(f, "joe@a.example", &u), 0);
	assert_int_equal(userdb_user_set_password(f->db, u.account, "{PLAIN}y", &f->e), 0);
	assert_int_equal(userdb_user_set_state(f->db, u.account, USER_DISABLED, &f->e), 0);
	assert_int_equal(userdb_user_kick(f->db, u.account, &f->e), 0);
	assert_int_equal(userdb_user_set_quota(f->db, u.account, 7, 8, &f->e), 0);
	assert_int_equal(userdb_user_rehash(f->db, u.account, "{PLAIN}y", "{PLAIN}z", &f->e), 0);
	assert_int_equal(userdb_user_rehash(f->db, u.account, "{PLAIN}y", "{PLAIN}w", &f->e), 0);
	assert_int_equal(userdb_user_rename(f->db, u.account, &name, &f->e), 0);
	assert_int_equal(userdb_user_find_account(f->db, u.account, &v, &f->e), 1);
	assert_true(v.generation == 4 && v.quota_bytes == 7 && v.quota_messages == 8);
	assert_int_equal(v.state, USER_DISABLED);
	assert_string_equal(v.password, "{PLAIN}z"); /* the second rehash came too late */
	assert_string_equal(v.name.text, "ann@b.example");
	assert_int_equal(userdb_user_find(f->db, SPAN("joe@a.example"), &v, &f->e), 0);
	assert_int_equal(userdb_user_kick(f->db, 1, &f->e), -1);
	assert_int_equal(f->e.code, ERR_NOTFOUND);
}

static bool last_pending(void *ctx, const struct user *u)
{
	*(struct user *)ctx = *u;
	return true;
}

static void test_delete_and_create_again(void **state)
{
	struct fixture *f = *state;
	struct user u, again, p;

	assert_int_equal(add(f, "joe@a.example", &u), 0);
	assert_int_equal(userdb_push_done(f->db, u.account, u.push_seq, &f->e), 0);
	assert_int_equal(userdb_user_delete(f->db, u.account, &f->e), 0);
	assert_int_equal(userdb_user_delete(f->db, u.account, &f->e), -1);
	assert_int_equal(resolve(f, "joe@a.example"), -1);
	assert_int_equal(f->e.code, ERR_NOTFOUND);
	assert_int_equal(userdb_user_find_account(f->db, u.account, &p, &f->e), 1);
	assert_int_equal(p.state, USER_DELETED);
	assert_string_equal(p.password, "");
	assert_true(p.generation == 2);
	/* The erase survives until indexer has heard it, while the name is in use again. */
	assert_int_equal(add(f, "joe@a.example", &again), 0);
	assert_true(again.account != u.account);
	assert_int_equal(userdb_push_done(f->db, again.account, 1, &f->e), 0);
	p.account = 0;
	assert_int_equal(userdb_push_list(f->db, 10, last_pending, &p, &f->e), 0);
	assert_true(p.account == u.account && p.push == USER_PUSH_ERASE);
	assert_int_equal(userdb_push_done(f->db, p.account, p.push_seq, &f->e), 0);
	assert_int_equal(userdb_user_find_account(f->db, u.account, &p, &f->e), 0);
	assert_int_equal(userdb_user_find_account(f->db, again.account, &p, &f->e), 1);
}

static void test_push(void **state)
{
	struct fixture *f = *state;
	struct user u, p;

	assert_int_equal(add(f, "joe@a.example", &u), 0);
	assert_int_equal(userdb_user_set_password(f->db, u.account, "{PLAIN}y", &f->e), 0);
	assert_int_equal(userdb_user_set_quota(f->db, u.account, 7, 8, &f->e), 0);
	/* An answer to an older state leaves the newer one pending, and the void is not lost. */
	assert_int_equal(userdb_push_done(f->db, u.account, 1, &f->e), 0);
	p.account = 0;
	assert_int_equal(userdb_push_list(f->db, 10, last_pending, &p, &f->e), 0);
	assert_true(p.account == u.account && p.push == USER_PUSH_VOID && p.push_seq == 3);
	assert_int_equal(userdb_push_done(f->db, u.account, 3, &f->e), 0);
	p.account = 0;
	assert_int_equal(userdb_push_list(f->db, 10, last_pending, &p, &f->e), 0);
	assert_true(p.account == 0);
}

static void test_resolve(void **state)
{
	struct fixture *f = *state;
	struct user joe, ann;

	assert_int_equal(add(f, "joe@a.example", &joe), 0);
	assert_int_equal(add(f, "ann@b.example", &ann), 0);
	assert_int_equal(resolve(f, "joe@a.example"), 0);
	assert_string_equal(buf_str(&f->seen), "joe@a.example[] ");
	assert_int_equal(resolve(f, "joe+Box@a.example"), 0);
	assert_string_equal(buf_str(&f->seen), "joe@a.example[box] ");
	assert_int_equal(resolve(f, "jim@a.example"), -1);
	assert_int_equal(f->e.code, ERR_NOTFOUND);
	add_alias(f, "all@a.example", "joe@a.example");
	add_alias(f, "all@a.example", "ann+lists@b.example");
	add_alias(f, "both@b.example", "all@a.example");
	add_alias(f, "both@b.example", "joe@a.example");
	assert_int_equal(resolve(f, "both@b.example"), 0);
	assert_non_null(strstr(buf_str(&f->seen), "joe@a.example[] "));
	assert_non_null(strstr(buf_str(&f->seen), "ann@b.example[lists] "));
	assert_int_equal(f->seen.len, strlen("joe@a.example[] ann@b.example[lists] "));
	assert_int_equal(resolve(f, "all+x@a.example"), 0);
	assert_non_null(strstr(buf_str(&f->seen), "joe@a.example[x] "));
	assert_non_null(strstr(buf_str(&f->seen), "ann@b.example[lists] "));
	/* Catch-all, and a whole domain as target. */
	add_alias(f, "@b.example", "@a.example");
	assert_int_equal(resolve(f, "joe@b.example"), 0);
	assert_string_equal(buf_str(&f->seen), "joe@a.example[] ");
	assert_int_equal(resolve(f, "nobody@b.example"), -1);
	add_alias(f, "@a.example", "ann@b.example");
	assert_int_equal(resolve(f, "nobody@b.example"), 0);
	assert_string_equal(buf_str(&f->seen), "ann@b.example[] ");
	/* A disabled user is not a missing one. */
	assert_int_equal(userdb_user_set_state(f->db, ann.account, USER_DISABLED, &f->e), 0);
	assert_int_equal(resolve(f, "ann@b.example"), -1);
	assert_int_equal(f->e.code, ERR_DENIED);
	assert_int_equal(resolve(f, "both@b.example"), 0);
	assert_string_equal(buf_str(&f->seen), "joe@a.example[] ");
}

static void test_loops_and_floods(void **state)
{
	struct fixture *f = *state;
	struct user joe;
	char name[40], target[40];
	int i;

	assert_int_equal(add(f, "joe@a.example", &joe), 0);
	add_alias(f, "x@a.example", "y@a.example");
	add_alias(f, "y@a.example", "x@a.example");
	assert_int_equal(resolve(f, "x@a.example"), -1);
	assert_int_equal(f->e.code, ERR_NOTFOUND);
	add_alias(f, "y@a.example", "joe@a.example");
	assert_int_equal(resolve(f, "x@a.example"), 0);
	assert_string_equal(buf_str(&f->seen), "joe@a.example[] ");
	for (i = 0; i < 12; i++) {
		snprintf(name, sizeof(name), "d%d@a.example", i);
		snprintf(target, sizeof(target), "d%d@a.example", i + 1);
		add_alias(f, name, target);
	}
	add_alias(f, "d12@a.example", "joe@a.example");
	assert_int_equal(resolve(f, "d0@a.example"), -1);
	assert_int_equal(resolve(f, "d5@a.example"), 0);
	assert_int_equal(sql_begin_write(f->db, &f->e), 0);
	for (i = 0; i < 2 * USERDB_TARGETS_MAX; i++) {
		snprintf(target, sizeof(target), "t%d@a.example", i);
		add_alias(f, "flood@b.example", target);
	}
	assert_int_equal(sql_commit(f->db, &f->e), 0);
	assert_int_equal(resolve(f, "flood@b.example"), -1);
	assert_int_equal(f->e.code, ERR_LIMIT);
}

static void test_refusals(void **state)
{
	struct fixture *f = *state;
	struct address a = parse("joe@a.example"), t = parse("x@c.example"),
		       p = parse("@a.example");
	struct address free_name = parse("sales@a.example");
	struct user u;

	assert_int_equal(userdb_domain_add(f->db, "a.example", 1, &f->e), -1);
	assert_int_equal(f->e.code, ERR_EXISTS);
	assert_int_equal(add(f, "joe@a.example", &u), 0);
	assert_int_equal(userdb_domain_delete(f->db, "a.example", &f->e), -1);
	assert_int_equal(f->e.code, ERR_EXISTS);
	assert_int_equal(userdb_domain_delete(f->db, "b.example", &f->e), 0);
	assert_int_equal(userdb_domain_delete(f->db, "b.example", &f->e), -1);
	assert_int_equal(f->e.code, ERR_NOTFOUND);
	assert_int_equal(userdb_alias_add(f->db, &a, &a, 1, &f->e), -1);
	assert_int_equal(f->e.code, ERR_EXISTS);
	assert_int_equal(userdb_alias_add(f->db, &free_name, &t, 1, &f->e), -1);
	assert_int_equal(f->e.code, ERR_NOTFOUND);
	assert_int_equal(userdb_alias_add(f->db, &free_name, &p, 1, &f->e), -1);
	add_alias(f, "sales@a.example", "joe@a.example");
	assert_int_equal(userdb_alias_add(f->db, &free_name, &a, 1, &f->e), -1);
	assert_int_equal(f->e.code, ERR_EXISTS);
	assert_int_equal(add(f, "sales@a.example", &u), -1);
	assert_int_equal(userdb_alias_delete(f->db, &free_name, NULL, &f->e), 0);
	assert_int_equal(userdb_alias_delete(f->db, &free_name, NULL, &f->e), -1);
	assert_int_equal(add(f, "sales@a.example", &u), 0);
	/* A user that indexer has still to erase does not hold the domain. */
	assert_int_equal(userdb_domain_add(f->db, "d.example", 1, &f->e), 0);
	assert_int_equal(add(f, "last@d.example", &u), 0);
	assert_int_equal(userdb_user_delete(f->db, u.account, &f->e), 0);
	assert_int_equal(userdb_domain_delete(f->db, "d.example", &f->e), 0);
}

static bool count_user(void *ctx, const struct user *u)
{
	struct fixture *f = ctx;

	buf_printf(&f->seen, "%s ", u->name.text);
	return true;
}

static void test_list(void **state)
{
	struct fixture *f = *state;
	struct user u;

	assert_int_equal(add(f, "c@a.example", &u), 0);
	assert_int_equal(add(f, "a@b.example", &u), 0);
	assert_int_equal(add(f, "b@a.example", &u), 0);
	assert_int_equal(userdb_user_list(f->db, SPAN(""), SPAN(""), 2, count_user, f, &f->e), 0);
	assert_string_equal(buf_str(&f->seen), "a@b.example b@a.example ");
	assert_int_equal(
		userdb_user_list(f->db, SPAN(""), SPAN("b@a.example"), 2, count_user, f, &f->e), 0);
	assert_string_equal(buf_str(&f->seen), "a@b.example b@a.example c@a.example ");
	buf_empty(&f->seen);
	assert_int_equal(
		userdb_user_list(f->db, SPAN("a.example"), SPAN(""), 9, count_user, f, &f->e), 0);
	assert_string_equal(buf_str(&f->seen), "b@a.example c@a.example ");
}

static void test_tokens(void **state)
{
	struct fixture *f = *state;
	struct buf scope;
	uint64_t account;

	buf_init(&scope);
	assert_int_equal(
		userdb_token_add(f->db, SPAN("digest"), SPAN("ci"), SPAN("admin"), 0, 5, 10, &f->e),
		0);
	assert_int_equal(userdb_token_find(f->db, SPAN("digest"), 9, &scope, &account, &f->e), 1);
	assert_string_equal(buf_str(&scope), "admin");
	assert_int_equal(userdb_token_find(f->db, SPAN("digest"), 10, &scope, &account, &f->e), 0);
	assert_int_equal(userdb_token_find(f->db, SPAN("other"), 9, &scope, &account, &f->e), 0);
	assert_int_equal(userdb_token_delete(f->db, SPAN("ci"), &f->e), 0);
	assert_int_equal(userdb_token_find(f->db, SPAN("digest"), 9, &scope, &account, &f->e), 0);
	buf_clear(&scope);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_users, setup, teardown),
		cmocka_unit_test_setup_teardown(test_generation, setup, teardown),
		cmocka_unit_test_setup_teardown(test_delete_and_create_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_push, setup, teardown),
		cmocka_unit_test_setup_teardown(test_resolve, setup, teardown),
		cmocka_unit_test_setup_teardown(test_loops_and_floods, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_list, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tokens, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
