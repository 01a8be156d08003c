/* Aliases, and who an address reaches. */
#include "lib-auth/userdb.h"
#include "lib-common/mem.h"

static int alias_domain_need(
	struct sql_db *db, const struct address *a, int64_t *id_r, struct err *e)
{
	int ret = userdb_domain_find(db, address_domain(a), id_r, e);

	if (ret == 0) {
		err_set(e, ERR_NOTFOUND, "no domain of ours: %s", a->text);
		return err_user(e, "the domain of %s is not one of ours", a->text);
	}
	return ret < 0 ? -1 : 0;
}

static int alias_insert(struct sql_db *db, const struct address *name, const struct address *target,
	int64_t now, struct err *e)
{
	int64_t domain, target_domain, one;
	int ret;

	if (alias_domain_need(db, name, &domain, e) < 0 ||
		alias_domain_need(db, target, &target_domain, e) < 0)
		return -1;
	ret = sql_get_int(db, e, &one, "SELECT 1 FROM users WHERE live_name = ?",
		SQL_BLOB(address_span(name)));
	if (ret < 0)
		return -1;
	if (ret > 0) {
		err_set(e, ERR_EXISTS, "%s is a user", name->text);
		return err_user(e, "%s is a user", name->text);
	}
	ret = sql_run(db, e,
		"INSERT INTO aliases (name, target, domain, target_domain, created) VALUES (?, ?, "
		"?, ?, ?)",
		SQL_BLOB(address_span(name)), SQL_BLOB(address_span(target)), SQL_INT(domain),
		SQL_INT(target_domain), SQL_INT(now));
	if (ret < 0 && e->code == ERR_EXISTS)
		err_user(e, "%s has this target already", name->text);
	return ret;
}

int userdb_alias_add(struct sql_db *db, const struct address *name, const struct address *target,
	int64_t now, struct err *e)
{
	bool own = !sql_in_transaction(db);
	int ret;

	if (target->local_n == 0 && name->local_n != 0) {
		err_set(e, ERR_PERM, "alias of a whole domain needs a whole domain as name");
		return err_user(e, "only a whole domain (@name) can have a whole domain as target");
	}
	if (own && sql_begin_write(db, e) < 0)
		return -1;
	ret = alias_insert(db, name, target, now, e);
	if (!own)
		return ret;
	if (ret < 0) {
		sql_rollback(db);
		return -1;
	}
	return sql_commit(db, e);
}

int userdb_alias_delete(
	struct sql_db *db, const struct address *name, const struct address *target, struct err *e)
{
	int ret;

	if (target)
		ret = sql_run(db, e, "DELETE FROM aliases WHERE name = ? AND target = ?",
			SQL_BLOB(address_span(name)), SQL_BLOB(address_span(target)));
	else
		ret = sql_run(
			db, e, "DELETE FROM aliases WHERE name = ?", SQL_BLOB(address_span(name)));
	if (ret == 0 && sql_affected(db) == 0) {
		err_set(e, ERR_NOTFOUND, "no alias %s", name->text);
		return err_user(e, "no such alias");
	}
	return ret;
}

int userdb_alias_list(struct sql_db *db, struct span name, struct span after, unsigned limit,
	userdb_alias_cb *cb, void *ctx, struct err *e)
{
	struct sql_stmt *st;
	int ret;

	if (name.n > 0)
		st = sql_query(db, e,
			"SELECT name, target FROM aliases WHERE name = ? ORDER BY target LIMIT ?",
			SQL_BLOB(name), SQL_INT(limit));
	else
		st = sql_query(db, e,
			"SELECT name, target FROM aliases WHERE name > ? ORDER BY name, target "
			"LIMIT ?",
			SQL_BLOB(after), SQL_INT(limit));
	if (!st)
		return -1;
	while ((ret = sql_step(st, e)) > 0) {
		if (!cb(ctx, sql_span(st, 0), sql_span(st, 1))) {
			sql_reset(st);
			return 0;
		}
	}
	return ret;
}

/* ---- who an address reaches ---- */

/* Names still to look at and those seen, one list: what is behind `next` was looked at. Each
 * name enters once, so a circle of aliases ends by itself. */
struct resolve {
	struct sql_db *db;
	const char *delimiters;
	userdb_target_cb *cb;
	void *ctx;
	struct resolve_name {
		struct address name;
		struct address detail; /* only its local part is used */
		unsigned depth;
	} * names;
	size_t n_names, cap_names, next;
	uint64_t *accounts; /* users told, to tell each once */
	size_t n_accounts;
	bool disabled_seen;
};

static int resolve_push(struct resolve *r, const struct address *name, struct span detail,
	unsigned depth, struct err *e)
{
	struct resolve_name *n;
	size_t i;

	for (i = 0; i < r->n_names; i++) {
		if (span_equal(address_span(&r->names[i].name), address_span(name)))
			return 0;
	}
	/* Chains too deep lead nowhere; too wide ones are refused as a whole. */
	if (depth > USERDB_ALIAS_DEPTH)
		return 0;
	if (r->n_names == 2 * USERDB_TARGETS_MAX)
		return err_set(
			e, ERR_LIMIT, "alias %s reaches too many addresses", r->names[0].name.text);
	if (r->n_names == r->cap_names) {
		r->cap_names = r->cap_names ? 2 * r->cap_names : 8;
		r->names = mem_realloc_array(r->names, r->cap_names, sizeof(*r->names));
	}
	n = &r->names[r->n_names++];
	n->name = *name;
	n->depth = depth;
	n->detail.local_n = detail.n;
	memcpy(n->detail.text, detail.p ? detail.p : "", detail.n);
	return 0;
}

static int resolve_user(struct resolve *r, const struct user *u, struct span detail, struct err *e)
{
	size_t i;

	if (u->state != USER_ENABLED) {
		r->disabled_seen = true;
		return 0;
	}
	for (i = 0; i < r->n_accounts; i++) {
		if (r->accounts[i] == u->account)
			return 0;
	}
	if (r->n_accounts == USERDB_TARGETS_MAX)
		return err_set(e, ERR_LIMIT, "alias %s reaches more than %d users",
			r->names[0].name.text, USERDB_TARGETS_MAX);
	if (!r->accounts)
		r->accounts = mem_alloc_array(USERDB_TARGETS_MAX, sizeof(*r->accounts));
	r->accounts[r->n_accounts++] = u->account;
	r->cb(r->ctx, u, detail);
	return 0;
}

/* The targets of one alias name; 1 when it is an alias. */
static int resolve_alias(struct resolve *r, const struct address *alias,
	const struct address *asked, struct span detail, unsigned depth, struct err *e)
{
	struct sql_stmt *st = sql_query(r->db, e, "SELECT target FROM aliases WHERE name = ?",
		SQL_BLOB(address_span(alias)));
	struct address target;
	struct span text;
	int ret, found = 0;

	if (!st)
		return -1;
	while ((ret = sql_step(st, e)) > 0) {
		found = 1;
		text = sql_span(st, 0);
		if (text.n > 0 && text.p[0] == '@') {
			if (!address_join(address_local(asked), span_from(text.p + 1, text.n - 1),
				    &target))
				continue;
		} else if (!address_parse(text, &target)) {
			continue;
		}
		if (resolve_push(r, &target, detail, depth + 1, e) < 0) {
			sql_reset(st);
			return -1;
		}
	}
	return ret < 0 ? -1 : found;
}

/* A user or an alias of exactly this name; 1 when there is one. */
static int resolve_exact(struct resolve *r, const struct address *name, struct span detail,
	unsigned depth, struct err *e)
{
	struct user u;
	int ret = userdb_user_find(r->db, address_span(name), &u, e);

	if (ret > 0)
		return resolve_user(r, &u, detail, e) < 0 ? -1 : 1;
	return ret < 0 ? -1 : resolve_alias(r, name, name, detail, depth, e);
}

static int resolve_name(struct resolve *r, const struct resolve_name *n, struct err *e)
{
	struct address base, pattern;
	struct span detail = span_from(n->detail.text, n->detail.local_n), own;
	int ret = resolve_exact(r, &n->name, detail, n->depth, e);

	if (ret == 0 && address_split_detail(&n->name, r->delimiters, &base, &own))
		ret = resolve_exact(r, &base, own.n ? own : detail, n->depth, e);
	if (ret == 0 && address_join(span_from("", 0), address_domain(&n->name), &pattern))
		ret = resolve_alias(r, &pattern, &n->name, detail, n->depth, e);
	return ret;
}

int userdb_resolve(struct sql_db *db, const struct address *a, const char *delimiters,
	userdb_target_cb *cb, void *ctx, struct err *e)
{
	struct resolve r = {.db = db, .delimiters = delimiters, .cb = cb, .ctx = ctx};
	struct resolve_name n;
	int ret = resolve_push(&r, a, span_from("", 0), 0, e);

	while (ret >= 0 && r.next < r.n_names) {
		n = r.names[r.next++]; /* a copy: the list moves when it grows */
		ret = resolve_name(&r, &n, e);
	}
	if (ret >= 0 && r.n_accounts == 0)
		ret = r.disabled_seen ? err_set(e, ERR_DENIED, "%s is disabled", a->text)
				      : err_set(e, ERR_NOTFOUND, "nobody behind %s", a->text);
	mem_free(r.names);
	mem_free(r.accounts);
	return ret < 0 ? -1 : 0;
}
