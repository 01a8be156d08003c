/* auth/admin: users. Passwords in clear are hashed on the pool's threads, like those of logins. */
#include <stdio.h>
#include "lib-common/mem.h"
#include "services/auth/auth.h"

#define MANY_LINES_MAX 100000

/* The user that the request names; answers the request and returns false when there is none. */
static bool arg_user(struct request *req, struct user *u_r)
{
	struct address name;
	struct err e;
	int ret;

	if (!auth_arg_address(req, "user", false, &name))
		return false;
	ret = userdb_user_find(auth_of(req)->db, address_span(&name), u_r, &e);
	if (ret < 0)
		auth_reply_err(req, &e);
	else if (ret == 0)
		reply_code(req, ERR_NOTFOUND, "no such user");
	return ret > 0;
}

static void changed(
	struct request *req, const char *event, const struct user *u, int ret, const struct err *e)
{
	if (ret < 0) {
		auth_reply_err(req, e);
		return;
	}
	log_info(event, "user", LOG_ADDR(u->name.text), "account", LOG_UINT(u->account), "by",
		LOG_STR(channel_peer(request_channel(req))), NULL);
	auth_push_soon(auth_of(req));
	reply_uint(req, "account", u->account);
	reply_ok(req);
}

/* ---- a password to be hashed, then stored ---- */

struct hashing {
	struct auth *auth;
	struct request *req;
	struct user user; /* account 0: to be added */
	struct buf password, stored;
	struct password_config config;
	int ret;
	struct err e;
};

static void hashing_free(struct hashing *h)
{
	buf_wipe(&h->password);
	buf_clear(&h->stored);
	mem_free(h);
}

static void hashing_work(void *ctx)
{
	struct hashing *h = ctx;

	h->ret = password_hash(&h->config, buf_span(&h->password), &h->stored, &h->e);
	if (h->ret < 0)
		err_user(&h->e, "%s", h->e.log);
}

static void hashing_done(void *ctx)
{
	struct hashing *h = ctx;
	const char *event = "user-added";

	if (h->ret == 0 && h->stored.len > PASSWORD_STORED_MAX)
		h->ret = err_set(&h->e, ERR_PERM, "stored password too long");
	if (h->ret == 0 && h->user.account) {
		event = "user-password-set";
		h->ret = userdb_user_set_password(
			h->auth->db, h->user.account, buf_str(&h->stored), &h->e);
	} else if (h->ret == 0) {
		memcpy(h->user.password, h->stored.data, h->stored.len + 1);
		h->ret = userdb_user_add(h->auth->db, &h->user, &h->e);
	}
	changed(h->req, event, &h->user, h->ret, &h->e);
	hashing_free(h);
}

/* With hash=, what the operator brings; with password=, what becomes of it on a thread. */
static void hashing_start(struct request *req, const struct user *u)
{
	struct hashing *h = mem_alloc(sizeof(*h));

	h->auth = auth_of(req);
	h->req = req;
	h->user = *u;
	if (request_has(req, "hash")) {
		buf_add_span(&h->stored, request_span(req, "hash"));
		if (!password_stored_valid(buf_span(&h->stored)))
			h->ret = err_set(&h->e, ERR_PERM, "unknown form of stored password");
		if (h->ret < 0)
			err_user(&h->e, "not a stored password of a known scheme");
		hashing_done(h);
		return;
	}
	buf_add_span(&h->password, request_span(req, "password"));
	auth_password_config(h->auth, &h->config);
	if (!work_pool_submit(h->auth->pool, hashing_work, hashing_done, h)) {
		reply_code(req, ERR_TEMP, "busy, try again");
		hashing_free(h);
	}
}

void auth_cmd_user_add(struct request *req)
{
	const struct auth_settings *s = auth_of(req)->settings;
	struct user u = {0};

	if (!auth_arg_address(req, "user", false, &u.name))
		return;
	u.created = auth_now();
	u.quota_bytes = request_has(req, "quota_bytes") ? request_uint(req, "quota_bytes")
							: s->default_quota;
	u.quota_messages = request_has(req, "quota_messages") ? request_uint(req, "quota_messages")
							      : s->default_quota_messages;
	hashing_start(req, &u);
}

void auth_cmd_user_password(struct request *req)
{
	struct user u;

	if (arg_user(req, &u))
		hashing_start(req, &u);
}

/* ---- many at once ---- */

struct many_line {
	struct span address, password;
	struct user user;
	const char *failed; /* why */
};

struct many {
	struct auth *auth;
	struct request *req;
	struct password_config config;
	struct many_line *lines;
	size_t n, added;
	struct buf out;
};

static void many_parse_line(struct many *m, struct span line)
{
	const struct auth_settings *s = m->auth->settings;
	struct many_line *l = &m->lines[m->n++];
	struct span quota = {NULL, 0};

	l->user.created = auth_now();
	l->user.quota_bytes = s->default_quota;
	l->user.quota_messages = s->default_quota_messages;
	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	if (!span_cut(&line, '\t', &l->address) || !address_parse(l->address, &l->user.name))
		l->failed = "not an address";
	else if (!line.p || !span_cut(&line, '\t', &l->password) || l->password.n == 0)
		l->failed = "no password";
	else if (line.p && span_cut(&line, '\t', &quota) && quota.n > 0 &&
		 (!num_u64(quota, &l->user.quota_bytes) || l->user.quota_bytes > INT64_MAX))
		l->failed = "not a quota";
}

/* On a thread: those lines that bring a password in clear. */
static void many_work(void *ctx)
{
	struct many *m = ctx;
	struct buf stored;
	struct err e;
	size_t i;

	buf_init(&stored);
	for (i = 0; i < m->n; i++) {
		struct many_line *l = &m->lines[i];

		if (l->failed)
			continue;
		buf_empty(&stored);
		if (password_stored_valid(l->password))
			buf_add_span(&stored, l->password);
		else if (password_hash(&m->config, l->password, &stored, &e) < 0)
			l->failed = "refused password";
		if (!l->failed && stored.len <= PASSWORD_STORED_MAX)
			memcpy(l->user.password, stored.data, stored.len + 1);
	}
	buf_clear(&stored);
}

static int many_insert(struct many *m, struct err *e)
{
	size_t i;

	if (sql_begin_write(m->auth->db, e) < 0)
		return -1;
	for (i = 0; i < m->n; i++) {
		struct many_line *l = &m->lines[i];

		if (l->failed)
			continue;
		if (userdb_user_add(m->auth->db, &l->user, e) == 0) {
			m->added++;
			continue;
		}
		if (e->code != ERR_EXISTS && e->code != ERR_NOTFOUND && e->code != ERR_PERM) {
			sql_rollback(m->auth->db);
			return -1;
		}
		l->failed = e->code == ERR_EXISTS     ? "exists already"
			    : e->code == ERR_NOTFOUND ? "no such domain"
						      : "refused";
	}
	return sql_commit(m->auth->db, e);
}

static void many_free(struct many *m)
{
	mem_free(m->lines);
	mem_free(m);
}

static void many_done(void *ctx)
{
	struct many *m = ctx;
	struct buf *out = reply_body(m->req);
	struct err e;
	size_t i;

	if (many_insert(m, &e) < 0) {
		auth_reply_err(m->req, &e);
		many_free(m);
		return;
	}
	for (i = 0; i < m->n; i++) {
		if (m->lines[i].failed)
			buf_printf(out, "%.*s\t%s\n", (int)m->lines[i].address.n,
				m->lines[i].address.p, m->lines[i].failed);
	}
	log_info("users-added", "added", LOG_UINT(m->added), "failed", LOG_UINT(m->n - m->added),
		"by", LOG_STR(channel_peer(request_channel(m->req))), NULL);
	auth_push_soon(m->auth);
	reply_uint(m->req, "added", m->added);
	reply_uint(m->req, "failed", m->n - m->added);
	reply_ok(m->req);
	many_free(m);
}

void auth_cmd_user_add_many(struct request *req)
{
	struct span body = request_body(req), line;
	struct many *m = mem_alloc(sizeof(*m));
	size_t i, n = 1;

	m->auth = auth_of(req);
	m->req = req;
	for (i = 0; i < body.n; i++)
		n += body.p[i] == '\n';
	if (n > MANY_LINES_MAX) {
		reply_code(req, ERR_LIMIT, "too many lines in one request");
		many_free(m);
		return;
	}
	m->lines = mem_alloc_array(n, sizeof(*m->lines));
	while (span_cut(&body, '\n', &line)) {
		if (line.n > 0)
			many_parse_line(m, line);
	}
	auth_password_config(m->auth, &m->config);
	if (!work_pool_submit(m->auth->pool, many_work, many_done, m)) {
		reply_code(req, ERR_TEMP, "busy, try again");
		many_free(m);
	}
}

/* ---- the rest ---- */

struct user_list {
	struct buf *out;
	unsigned n;
};

static bool list_user(void *ctx, const struct user *u)
{
	struct user_list *l = ctx;

	buf_printf(l->out, "%s\t%llu\t%s\t%llu\t%llu\t%lld\n", u->name.text,
		(unsigned long long)u->account, user_state_name(u->state),
		(unsigned long long)u->quota_bytes, (unsigned long long)u->quota_messages,
		(long long)u->created);
	l->n++;
	return true;
}

void auth_cmd_user_list(struct request *req)
{
	struct user_list l = {.out = reply_body(req)};
	char domain[ADDRESS_DOMAIN_MAX + 1] = "";
	unsigned limit = auth_list_limit(req);
	struct err e;

	if (request_has(req, "domain") &&
		!address_parse_domain(request_span(req, "domain"), domain)) {
		reply_code(req, ERR_PERM, "not a domain");
		return;
	}
	if (userdb_user_list(auth_of(req)->db, span_of(domain), request_span(req, "after"), limit,
		    list_user, &l, &e) < 0) {
		auth_reply_err(req, &e);
		return;
	}
	if (l.n == limit)
		reply_uint(req, "more", 1);
	reply_ok(req);
}

void auth_cmd_user_show(struct request *req)
{
	struct user u;
	char scheme[32] = "";
	const char *end;

	if (!arg_user(req, &u))
		return;
	/* How it is stored, not what. */
	end = u.password[0] == '{' ? strchr(u.password, '}') : NULL;
	if (end && (size_t)(end - u.password) < sizeof(scheme))
		memcpy(scheme, u.password + 1, (size_t)(end - u.password) - 1);
	reply_str(req, "user", u.name.text);
	reply_uint(req, "account", u.account);
	reply_str(req, "state", user_state_name(u.state));
	reply_uint(req, "generation", u.generation);
	reply_uint(req, "quota_bytes", u.quota_bytes);
	reply_uint(req, "quota_messages", u.quota_messages);
	reply_int(req, "created", u.created);
	reply_str(req, "scheme", scheme);
	reply_uint(req, "pending", u.push != USER_PUSH_NONE);
	reply_ok(req);
}

void auth_cmd_user_delete(struct request *req)
{
	struct user u;
	struct err e;

	if (arg_user(req, &u))
		changed(req, "user-deleted", &u,
			userdb_user_delete(auth_of(req)->db, u.account, &e), &e);
}

static void set_state(struct request *req, enum user_state state, const char *event)
{
	struct user u;
	struct err e;

	if (!arg_user(req, &u))
		return;
	/* Done already: sessions stay as they are. */
	changed(req, event, &u,
		u.state == state ? 0
				 : userdb_user_set_state(auth_of(req)->db, u.account, state, &e),
		&e);
}

void auth_cmd_user_enable(struct request *req)
{
	set_state(req, USER_ENABLED, "user-enabled");
}

void auth_cmd_user_disable(struct request *req)
{
	set_state(req, USER_DISABLED, "user-disabled");
}

void auth_cmd_user_rename(struct request *req)
{
	struct address to;
	struct user u;
	struct err e;

	if (auth_arg_address(req, "to", false, &to) && arg_user(req, &u))
		changed(req, "user-renamed", &u,
			userdb_user_rename(auth_of(req)->db, u.account, &to, &e), &e);
}

void auth_cmd_user_quota(struct request *req)
{
	struct user u;
	struct err e;

	if (!arg_user(req, &u))
		return;
	if (request_has(req, "quota_bytes"))
		u.quota_bytes = request_uint(req, "quota_bytes");
	if (request_has(req, "quota_messages"))
		u.quota_messages = request_uint(req, "quota_messages");
	changed(req, "user-quota-set", &u,
		userdb_user_set_quota(
			auth_of(req)->db, u.account, u.quota_bytes, u.quota_messages, &e),
		&e);
}

void auth_cmd_user_kick(struct request *req)
{
	struct user u;
	struct err e;

	if (arg_user(req, &u))
		changed(req, "user-kicked", &u, userdb_user_kick(auth_of(req)->db, u.account, &e),
			&e);
}
