#include "lib-auth/userdb.h"

#include <openssl/rand.h>
#include <stdio.h>
#include "lib-common/log.h"
#include "lib-common/mem.h"

const struct sql_migration userdb_migrations[] = {
	{1, 1,
		"CREATE TABLE domains (id {autoid}, name {key} NOT NULL UNIQUE, created {int} NOT "
		"NULL) "
		"{table};\n"
		/* live_name and domain are NULL once deleted: the name can be given again, the
		   domain go. */
		"CREATE TABLE users (account {int} NOT NULL PRIMARY KEY, domain {int} "
		"REFERENCES domains (id), name {key} NOT NULL, live_name {key} UNIQUE, "
		"state {int} NOT NULL, generation {int} NOT NULL, quota_bytes {int} NOT NULL, "
		"quota_messages {int} NOT NULL, created {int} NOT NULL, push {int} NOT NULL, "
		"push_seq {int} NOT NULL, password {blob} NOT NULL, scram {blob}) {table};\n"
		"CREATE INDEX users_domain ON users (domain, live_name);\n"
		"CREATE INDEX users_push ON users (push);\n"
		"CREATE TABLE aliases (name {key} NOT NULL, target {key} NOT NULL, domain {int} "
		"NOT NULL "
		"REFERENCES domains (id), target_domain {int} NOT NULL REFERENCES domains (id), "
		"created {int} NOT NULL, PRIMARY KEY (name, target)) {clustered};\n"
		"CREATE INDEX aliases_domain ON aliases (domain);\n"
		"CREATE INDEX aliases_target_domain ON aliases (target_domain);\n"
		"CREATE TABLE app_passwords (id {autoid}, account {int} NOT NULL REFERENCES users "
		"(account), name {key} NOT NULL, services {key} NOT NULL, password {blob} NOT "
		"NULL, "
		"created {int} NOT NULL, expires {int} NOT NULL, UNIQUE (account, name)) {table};\n"
		"CREATE TABLE api_tokens (id {autoid}, digest {key} NOT NULL UNIQUE, name {key} "
		"NOT NULL "
		"UNIQUE, scope {key} NOT NULL, account {int} NOT NULL, created {int} NOT NULL, "
		"expires {int} NOT NULL) {table};\n"},
	{0, 0, NULL},
};

#define USER_COLUMNS                                                                               \
	"account, state, generation, quota_bytes, quota_messages, created, push, push_seq, name, " \
	"password"

const char *user_state_name(enum user_state state)
{
	static const char *const names[] = {"enabled", "disabled", "deleted"};

	return state <= USER_DELETED ? names[state] : "unknown";
}

/* A change that is several statements: opens a transaction unless the caller has one. */
static int userdb_begin(struct sql_db *db, bool *own_r, struct err *e)
{
	*own_r = !sql_in_transaction(db);
	return *own_r ? sql_begin_write(db, e) : 0;
}

static int userdb_end(struct sql_db *db, bool own, int ret, struct err *e)
{
	if (!own)
		return ret;
	if (ret < 0) {
		sql_rollback(db);
		return -1;
	}
	return sql_commit(db, e);
}

/* ---- domains ---- */

int userdb_domain_find(struct sql_db *db, struct span domain, int64_t *id_r, struct err *e)
{
	return sql_get_int(db, e, id_r, "SELECT id FROM domains WHERE name = ?", SQL_BLOB(domain));
}

static int userdb_domain_need(struct sql_db *db, struct span domain, int64_t *id_r, struct err *e)
{
	int ret = userdb_domain_find(db, domain, id_r, e);

	if (ret == 0) {
		err_set(e, ERR_NOTFOUND, "no domain %.*s", (int)domain.n, domain.p);
		return err_user(e, "no domain %.*s", (int)domain.n, domain.p);
	}
	return ret < 0 ? -1 : 0;
}

int userdb_domain_add(struct sql_db *db, const char *domain, int64_t now, struct err *e)
{
	if (sql_run(db, e, "INSERT INTO domains (name, created) VALUES (?, ?)", SQL_STR(domain),
		    SQL_INT(now)) < 0)
		return e->code == ERR_EXISTS ? err_user(e, "domain %s exists already", domain) : -1;
	return 0;
}

int userdb_domain_delete(struct sql_db *db, const char *domain, struct err *e)
{
	int64_t id, n;
	bool own;
	int ret = userdb_begin(db, &own, e);

	if (ret < 0)
		return -1;
	ret = userdb_domain_need(db, span_of(domain), &id, e);
	if (ret == 0)
		ret = sql_get_int(db, e, &n,
			"SELECT (SELECT COUNT(*) FROM users WHERE domain = ?) + "
			"(SELECT COUNT(*) FROM aliases WHERE domain = ?) + "
			"(SELECT COUNT(*) FROM aliases WHERE target_domain = ?)",
			SQL_INT(id), SQL_INT(id), SQL_INT(id));
	if (ret > 0 && n > 0) {
		err_set(e, ERR_EXISTS, "domain %s has users or aliases", domain);
		ret = err_user(
			e, "domain %s still has users or aliases (%lld)", domain, (long long)n);
	}
	if (ret > 0)
		ret = sql_run(db, e, "DELETE FROM domains WHERE id = ?", SQL_INT(id));
	return userdb_end(db, own, ret, e);
}

int userdb_domain_list(struct sql_db *db, userdb_domain_cb *cb, void *ctx, struct err *e)
{
	struct sql_stmt *st = sql_query(db, e,
		"SELECT d.name, (SELECT COUNT(*) FROM users u WHERE u.domain = d.id AND "
		"u.live_name IS "
		"NOT NULL), d.created FROM domains d ORDER BY d.name");
	int ret;

	if (!st)
		return -1;
	while ((ret = sql_step(st, e)) > 0) {
		if (!cb(ctx, sql_span(st, 0), sql_int(st, 1), sql_int(st, 2))) {
			sql_reset(st);
			return 0;
		}
	}
	return ret;
}

/* ---- users ---- */

/* A row is input like any other: what does not fit is not a user. */
static int userdb_user_read(struct sql_stmt *st, struct user *u, struct err *e)
{
	struct span name = sql_span(st, 8), password = sql_span(st, 9);
	int64_t state = sql_int(st, 1), push = sql_int(st, 6);
	const char *at = name.n ? memrchr(name.p, '@', name.n) : NULL;

	memset(u, 0, sizeof(*u));
	u->account = (uint64_t)sql_int(st, 0);
	if (!at || password.n > PASSWORD_STORED_MAX || state < USER_ENABLED ||
		state > USER_DELETED || push < USER_PUSH_NONE || push > USER_PUSH_ERASE ||
		!address_join(span_from(name.p, (size_t)(at - name.p)),
			span_from(at + 1, name.n - (size_t)(at - name.p) - 1), &u->name))
		return err_set(
			e, ERR_TEMP, "damaged row of account %llu", (unsigned long long)u->account);
	u->state = (enum user_state)state;
	u->generation = (uint64_t)sql_int(st, 2);
	u->quota_bytes = (uint64_t)sql_int(st, 3);
	u->quota_messages = (uint64_t)sql_int(st, 4);
	u->created = sql_int(st, 5);
	u->push = (enum user_push)push;
	u->push_seq = (uint64_t)sql_int(st, 7);
	memcpy(u->password, password.p, password.n);
	return 0;
}

static int userdb_user_one(struct sql_stmt *st, struct user *u_r, struct err *e)
{
	int ret;

	if (!st)
		return -1;
	ret = sql_step(st, e);
	if (ret > 0) {
		if (userdb_user_read(st, u_r, e) < 0)
			ret = -1;
		sql_reset(st);
	}
	return ret;
}

int userdb_user_find(struct sql_db *db, struct span name, struct user *u_r, struct err *e)
{
	return userdb_user_one(
		sql_query(db, e, "SELECT " USER_COLUMNS " FROM users WHERE live_name = ?",
			SQL_BLOB(name)),
		u_r, e);
}

int userdb_user_find_account(struct sql_db *db, uint64_t account, struct user *u_r, struct err *e)
{
	return userdb_user_one(
		sql_query(db, e, "SELECT " USER_COLUMNS " FROM users WHERE account = ?",
			SQL_INT(account)),
		u_r, e);
}

/* 0 when the name is neither user nor alias. */
static int userdb_name_free(struct sql_db *db, const struct address *name, struct err *e)
{
	int64_t one;
	int ret = sql_get_int(db, e, &one, "SELECT 1 FROM users WHERE live_name = ?",
		SQL_BLOB(address_span(name)));

	if (ret == 0)
		ret = sql_get_int(db, e, &one, "SELECT 1 FROM aliases WHERE name = ? LIMIT 1",
			SQL_BLOB(address_span(name)));
	if (ret > 0) {
		err_set(e, ERR_EXISTS, "%s exists already", name->text);
		return err_user(e, "%s exists already", name->text);
	}
	return ret;
}

static int userdb_random_id(uint64_t *id_r, struct err *e)
{
	do {
		if (RAND_bytes((unsigned char *)id_r, sizeof(*id_r)) != 1)
			return err_set(e, ERR_TEMP, "no random numbers");
		*id_r &= INT64_MAX;
	} while (*id_r == 0);
	return 0;
}

static int userdb_user_insert(struct sql_db *db, struct user *u, struct err *e)
{
	int64_t domain;

	if (userdb_domain_need(db, address_domain(&u->name), &domain, e) < 0 ||
		userdb_name_free(db, &u->name, e) < 0 || userdb_random_id(&u->account, e) < 0)
		return -1;
	u->state = USER_ENABLED;
	u->generation = 1;
	u->push = USER_PUSH_LIMITS;
	u->push_seq = 1;
	return sql_run(db, e,
		"INSERT INTO users (account, domain, name, live_name, state, generation, "
		"quota_bytes, quota_messages, created, push, push_seq, password) "
		"VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		SQL_INT(u->account), SQL_INT(domain), SQL_BLOB(address_span(&u->name)),
		SQL_BLOB(address_span(&u->name)), SQL_INT(u->state), SQL_INT(u->generation),
		SQL_INT(u->quota_bytes), SQL_INT(u->quota_messages), SQL_INT(u->created),
		SQL_INT(u->push), SQL_INT(u->push_seq), SQL_STR(u->password));
}

int userdb_user_add(struct sql_db *db, struct user *u, struct err *e)
{
	bool own;

	if (u->quota_bytes > INT64_MAX || u->quota_messages > INT64_MAX)
		return err_set(e, ERR_PERM, "quota too large");
	if (userdb_begin(db, &own, e) < 0)
		return -1;
	return userdb_end(db, own, userdb_user_insert(db, u, e), e);
}

static int userdb_user_each(struct sql_stmt *st, userdb_user_cb *cb, void *ctx, struct err *e)
{
	struct user u;
	int ret;

	if (!st)
		return -1;
	while ((ret = sql_step(st, e)) > 0) {
		if (userdb_user_read(st, &u, e) < 0) {
			log_warning("user-row-damaged", "error", LOG_ERR(e), NULL);
			continue;
		}
		if (!cb(ctx, &u)) {
			sql_reset(st);
			return 0;
		}
	}
	return ret;
}

int userdb_user_list(struct sql_db *db, struct span domain, struct span after, unsigned limit,
	userdb_user_cb *cb, void *ctx, struct err *e)
{
	int64_t id;

	if (domain.n == 0)
		return userdb_user_each(
			sql_query(db, e,
				"SELECT " USER_COLUMNS " FROM users WHERE live_name > ? ORDER BY "
				"live_name LIMIT ?",
				SQL_BLOB(after), SQL_INT(limit)),
			cb, ctx, e);
	if (userdb_domain_need(db, domain, &id, e) < 0)
		return -1;
	return userdb_user_each(sql_query(db, e,
					"SELECT " USER_COLUMNS
					" FROM users WHERE domain = ? AND live_name > ? ORDER BY "
					"live_name LIMIT ?",
					SQL_INT(id), SQL_BLOB(after), SQL_INT(limit)),
		cb, ctx, e);
}

/* The end of every change of one live user: no row changed means there is none. */
static int userdb_user_changed(struct sql_db *db, int ret, uint64_t account, struct err *e)
{
	if (ret == 0 && sql_affected(db) == 0) {
		err_set(e, ERR_NOTFOUND, "no user with account %llu", (unsigned long long)account);
		return err_user(e, "no such user");
	}
	return ret;
}

/* A pending erase or void is never weakened by a later change of limits. */
#define PUSH_AT_LEAST "push = CASE WHEN push > ? THEN push ELSE ? END, push_seq = push_seq + 1"

int userdb_user_set_password(struct sql_db *db, uint64_t account, const char *stored, struct err *e)
{
	int ret = sql_run(db, e,
		"UPDATE users SET password = ?, scram = NULL, generation = generation + "
		"1, " PUSH_AT_LEAST " WHERE account = ? AND live_name IS NOT NULL",
		SQL_STR(stored), SQL_INT(USER_PUSH_VOID), SQL_INT(USER_PUSH_VOID),
		SQL_INT(account));

	return userdb_user_changed(db, ret, account, e);
}

int userdb_user_rehash(
	struct sql_db *db, uint64_t account, const char *old, const char *stored, struct err *e)
{
	return sql_run(db, e, "UPDATE users SET password = ? WHERE account = ? AND password = ?",
		SQL_STR(stored), SQL_INT(account), SQL_STR(old));
}

int userdb_user_set_state(struct sql_db *db, uint64_t account, enum user_state state, struct err *e)
{
	int ret = sql_run(db, e,
		"UPDATE users SET state = ?, generation = generation + 1, " PUSH_AT_LEAST
		" WHERE account = ? AND live_name IS NOT NULL",
		SQL_INT(state), SQL_INT(USER_PUSH_VOID), SQL_INT(USER_PUSH_VOID), SQL_INT(account));

	return userdb_user_changed(db, ret, account, e);
}

int userdb_user_set_quota(
	struct sql_db *db, uint64_t account, uint64_t bytes, uint64_t messages, struct err *e)
{
	int ret;

	if (bytes > INT64_MAX || messages > INT64_MAX)
		return err_set(e, ERR_PERM, "quota too large");
	ret = sql_run(db, e,
		"UPDATE users SET quota_bytes = ?, quota_messages = ?, " PUSH_AT_LEAST
		" WHERE account = ? AND live_name IS NOT NULL",
		SQL_INT(bytes), SQL_INT(messages), SQL_INT(USER_PUSH_LIMITS),
		SQL_INT(USER_PUSH_LIMITS), SQL_INT(account));
	return userdb_user_changed(db, ret, account, e);
}

static int userdb_user_rename_row(
	struct sql_db *db, uint64_t account, const struct address *name, struct err *e)
{
	int64_t domain;
	int ret;

	if (userdb_domain_need(db, address_domain(name), &domain, e) < 0 ||
		userdb_name_free(db, name, e) < 0)
		return -1;
	/* The generation stays: sessions of the account go on under its id. */
	ret = sql_run(db, e,
		"UPDATE users SET domain = ?, name = ?, live_name = ?, " PUSH_AT_LEAST
		" WHERE account = ? AND live_name IS NOT NULL",
		SQL_INT(domain), SQL_BLOB(address_span(name)), SQL_BLOB(address_span(name)),
		SQL_INT(USER_PUSH_LIMITS), SQL_INT(USER_PUSH_LIMITS), SQL_INT(account));
	return userdb_user_changed(db, ret, account, e);
}

int userdb_user_rename(
	struct sql_db *db, uint64_t account, const struct address *name, struct err *e)
{
	bool own;

	if (userdb_begin(db, &own, e) < 0)
		return -1;
	return userdb_end(db, own, userdb_user_rename_row(db, account, name, e), e);
}

int userdb_user_kick(struct sql_db *db, uint64_t account, struct err *e)
{
	int ret = sql_run(db, e,
		"UPDATE users SET generation = generation + 1, " PUSH_AT_LEAST
		" WHERE account = ? AND live_name IS NOT NULL",
		SQL_INT(USER_PUSH_VOID), SQL_INT(USER_PUSH_VOID), SQL_INT(account));

	return userdb_user_changed(db, ret, account, e);
}

int userdb_user_delete(struct sql_db *db, uint64_t account, struct err *e)
{
	bool own;
	int ret;

	if (userdb_begin(db, &own, e) < 0)
		return -1;
	ret = sql_run(db, e,
		"UPDATE users SET live_name = NULL, domain = NULL, state = ?, generation = "
		"generation + 1, "
		"password = "
		"?, scram = NULL, push = ?, push_seq = push_seq + 1 WHERE account = ? AND "
		"live_name IS "
		"NOT NULL",
		SQL_INT(USER_DELETED), SQL_STR(""), SQL_INT(USER_PUSH_ERASE), SQL_INT(account));
	ret = userdb_user_changed(db, ret, account, e);
	if (ret == 0)
		ret = sql_run(
			db, e, "DELETE FROM app_passwords WHERE account = ?", SQL_INT(account));
	if (ret == 0)
		ret = sql_run(db, e, "DELETE FROM api_tokens WHERE account = ?", SQL_INT(account));
	return userdb_end(db, own, ret, e);
}

/* ---- what indexer must hear ---- */

int userdb_push_list(
	struct sql_db *db, unsigned limit, userdb_user_cb *cb, void *ctx, struct err *e)
{
	return userdb_user_each(
		sql_query(db, e, "SELECT " USER_COLUMNS " FROM users WHERE push > 0 LIMIT ?",
			SQL_INT(limit)),
		cb, ctx, e);
}

int userdb_push_done(struct sql_db *db, uint64_t account, uint64_t push_seq, struct err *e)
{
	bool own;
	int ret;

	if (userdb_begin(db, &own, e) < 0)
		return -1;
	ret = sql_run(db, e, "DELETE FROM users WHERE account = ? AND push_seq = ? AND push = ?",
		SQL_INT(account), SQL_INT(push_seq), SQL_INT(USER_PUSH_ERASE));
	if (ret == 0)
		ret = sql_run(db, e, "UPDATE users SET push = 0 WHERE account = ? AND push_seq = ?",
			SQL_INT(account), SQL_INT(push_seq));
	return userdb_end(db, own, ret, e);
}

/* ---- API tokens ---- */

int userdb_token_add(struct sql_db *db, struct span digest, struct span name, struct span scope,
	uint64_t account, int64_t now, int64_t expires, struct err *e)
{
	return sql_run(db, e,
		"INSERT INTO api_tokens (digest, name, scope, account, created, expires) VALUES "
		"(?, ?, "
		"?, ?, ?, ?)",
		SQL_BLOB(digest), SQL_BLOB(name), SQL_BLOB(scope), SQL_INT(account), SQL_INT(now),
		SQL_INT(expires));
}

int userdb_token_find(struct sql_db *db, struct span digest, int64_t now, struct buf *scope_r,
	uint64_t *account_r, struct err *e)
{
	struct sql_stmt *st = sql_query(db, e,
		"SELECT scope, account FROM api_tokens WHERE digest = ? AND (expires = 0 OR "
		"expires > ?)",
		SQL_BLOB(digest), SQL_INT(now));
	int ret;

	if (!st)
		return -1;
	ret = sql_step(st, e);
	if (ret > 0) {
		buf_add_span(scope_r, sql_span(st, 0));
		*account_r = (uint64_t)sql_int(st, 1);
		sql_reset(st);
	}
	return ret;
}

int userdb_token_delete(struct sql_db *db, struct span name, struct err *e)
{
	if (sql_run(db, e, "DELETE FROM api_tokens WHERE name = ?", SQL_BLOB(name)) < 0)
		return -1;
	if (sql_affected(db) == 0) {
		err_set(e, ERR_NOTFOUND, "no such token");
		return err_user(e, "no such token");
	}
	return 0;
}

int userdb_token_list(struct sql_db *db, userdb_token_cb *cb, void *ctx, struct err *e)
{
	struct sql_stmt *st = sql_query(
		db, e, "SELECT name, scope, created, expires FROM api_tokens ORDER BY name");
	int ret;

	if (!st)
		return -1;
	while ((ret = sql_step(st, e)) > 0) {
		if (!cb(ctx, sql_span(st, 0), sql_span(st, 1), sql_int(st, 2), sql_int(st, 3))) {
			sql_reset(st);
			return 0;
		}
	}
	return ret;
}
