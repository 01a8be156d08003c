/* auth/admin: domains, aliases, tokens and tickets; users are in cmd-admin-user.c. */
#include <openssl/evp.h>
#include <openssl/rand.h>
#include "lib-common/mem.h"
#include "services/auth/auth.h"

#define LIST_LIMIT 1000 /* rows of one answer, unless asked otherwise */

unsigned auth_list_limit(const struct request *req)
{
	uint64_t n = request_uint(req, "limit");

	return n == 0 || n > 10 * LIST_LIMIT ? LIST_LIMIT : (unsigned)n;
}

/* ---- domains ---- */

static bool arg_domain(struct request *req, char domain_r[ADDRESS_DOMAIN_MAX + 1])
{
	if (address_parse_domain(request_span(req, "domain"), domain_r))
		return true;
	reply_code(req, ERR_PERM, "not a domain");
	return false;
}

static void cmd_domain_add(struct request *req)
{
	char domain[ADDRESS_DOMAIN_MAX + 1];
	struct err e;

	if (!arg_domain(req, domain))
		return;
	if (userdb_domain_add(auth_of(req)->db, domain, auth_now(), &e) < 0) {
		auth_reply_err(req, &e);
		return;
	}
	log_info("domain-added", "domain", LOG_STR(domain), NULL);
	reply_str(req, "domain", domain);
	reply_ok(req);
}

static void cmd_domain_delete(struct request *req)
{
	char domain[ADDRESS_DOMAIN_MAX + 1];
	struct err e;

	if (!arg_domain(req, domain))
		return;
	if (userdb_domain_delete(auth_of(req)->db, domain, &e) < 0) {
		auth_reply_err(req, &e);
		return;
	}
	log_info("domain-deleted", "domain", LOG_STR(domain), NULL);
	reply_ok(req);
}

static bool list_domain(void *ctx, struct span name, int64_t users, int64_t created)
{
	buf_printf(ctx, "%.*s\t%lld\t%lld\n", (int)name.n, name.p, (long long)users,
		(long long)created);
	return true;
}

static void cmd_domain_list(struct request *req)
{
	struct err e;

	if (userdb_domain_list(auth_of(req)->db, list_domain, reply_body(req), &e) < 0)
		auth_reply_err(req, &e);
	else
		reply_ok(req);
}

/* ---- aliases ---- */

static void cmd_alias_add(struct request *req)
{
	struct address name, target;
	struct err e;

	if (!auth_arg_address(req, "name", true, &name) ||
		!auth_arg_address(req, "target", true, &target))
		return;
	if (userdb_alias_add(auth_of(req)->db, &name, &target, auth_now(), &e) < 0) {
		auth_reply_err(req, &e);
		return;
	}
	log_info(
		"alias-added", "alias", LOG_ADDR(name.text), "target", LOG_ADDR(target.text), NULL);
	reply_ok(req);
}

static void cmd_alias_delete(struct request *req)
{
	bool one = request_has(req, "target");
	struct address name, target;
	struct err e;

	if (!auth_arg_address(req, "name", true, &name) ||
		(one && !auth_arg_address(req, "target", true, &target)))
		return;
	if (userdb_alias_delete(auth_of(req)->db, &name, one ? &target : NULL, &e) < 0) {
		auth_reply_err(req, &e);
		return;
	}
	log_info("alias-deleted", "alias", LOG_ADDR(name.text), NULL);
	reply_ok(req);
}

struct alias_list {
	struct buf *out;
	unsigned n;
};

static bool list_alias(void *ctx, struct span name, struct span target)
{
	struct alias_list *l = ctx;

	buf_printf(l->out, "%.*s\t%.*s\n", (int)name.n, name.p, (int)target.n, target.p);
	l->n++;
	return true;
}

static void cmd_alias_list(struct request *req)
{
	struct alias_list l = {.out = reply_body(req)};
	unsigned limit = 1000000; /* a page cannot be cut between the targets of one name */
	struct err e;

	if (userdb_alias_list(auth_of(req)->db, SPAN(""), request_span(req, "after"), limit,
		    list_alias, &l, &e) < 0)
		auth_reply_err(req, &e);
	else
		reply_ok(req);
}

static void cmd_alias_show(struct request *req)
{
	struct alias_list l = {.out = reply_body(req)};
	struct address name;
	struct err e;

	if (!auth_arg_address(req, "name", true, &name))
		return;
	if (userdb_alias_list(auth_of(req)->db, address_span(&name), SPAN(""), 100000, list_alias,
		    &l, &e) < 0)
		auth_reply_err(req, &e);
	else if (l.n == 0)
		reply_code(req, ERR_NOTFOUND, "no such alias");
	else
		reply_ok(req);
}

/* ---- tickets and tokens ---- */

static void cmd_ticket(struct request *req)
{
	struct auth *auth = auth_of(req);
	struct address name;
	struct ticket t;
	struct user u;
	struct buf text;
	struct err e;
	int ret;

	if (!auth_arg_address(req, "user", false, &name))
		return;
	ret = userdb_user_find(auth->db, address_span(&name), &u, &e);
	if (ret <= 0) {
		if (ret < 0)
			auth_reply_err(req, &e);
		else
			reply_code(req, ERR_NOTFOUND, "no such user");
		return;
	}
	ticket_init(&t, TICKET_SESSION, clock_boot_ms());
	t.account = u.account;
	t.generation = u.generation;
	t.quota_bytes = u.quota_bytes;
	t.quota_messages = u.quota_messages;
	trace_id_make(t.session);
	memcpy(t.user, u.name.text, strlen(u.name.text));
	buf_init(&text);
	ticket_seal(&t, auth->ticket_key, &text);
	log_info("ticket-made", "user", LOG_ADDR(u.name.text), "for",
		LOG_STR(channel_peer(request_channel(req))), "session", LOG_STR(t.session), NULL);
	reply_uint(req, "account", u.account);
	reply_span(req, "ticket", buf_span(&text));
	reply_str(req, "session", t.session);
	reply_ok(req);
	buf_wipe(&text);
}

static bool token_digest(struct span token, unsigned char digest_r[EVP_MAX_MD_SIZE], unsigned *n_r)
{
	return token.n > 0 && EVP_Digest(token.p, token.n, digest_r, n_r, EVP_sha256(), NULL) == 1;
}

static void cmd_token_add(struct request *req)
{
	unsigned char random[32], digest[EVP_MAX_MD_SIZE];
	struct span name = request_span(req, "name"), scope = request_span(req, "scope");
	struct buf token;
	struct err e;
	unsigned n;

	if (name.n == 0 || name.n > 64 || scope.n == 0 || scope.n > 200 ||
		memchr(name.p, '\t', name.n) || memchr(name.p, '\n', name.n)) {
		reply_code(req, ERR_PERM, "a token needs a name (at most 64 octets) and a scope");
		return;
	}
	buf_init(&token);
	if (RAND_bytes(random, sizeof(random)) != 1) {
		reply_code(req, ERR_TEMP, "");
		return;
	}
	buf_add_hex(&token, random, sizeof(random));
	if (!token_digest(buf_span(&token), digest, &n)) {
		reply_code(req, ERR_TEMP, "");
	} else if (userdb_token_add(auth_of(req)->db, span_from(digest, n), name, scope, 0,
			   auth_now(), (int64_t)(request_uint(req, "expires") & INT64_MAX),
			   &e) < 0) {
		if (e.code == ERR_EXISTS)
			err_user(&e, "a token of this name exists already");
		auth_reply_err(req, &e);
	} else {
		log_info("token-added", "name", LOG_SPAN(name), "scope", LOG_SPAN(scope), NULL);
		reply_span(req, "token", buf_span(&token));
		reply_ok(req);
	}
	buf_wipe(&token);
}

static void cmd_token_check(struct request *req)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	struct buf scope;
	uint64_t account;
	struct err e;
	unsigned n;
	int ret;

	if (!token_digest(request_span(req, "token"), digest, &n)) {
		reply_code(req, ERR_DENIED, "no such token");
		return;
	}
	buf_init(&scope);
	ret = userdb_token_find(
		auth_of(req)->db, span_from(digest, n), auth_now(), &scope, &account, &e);
	if (ret > 0) {
		reply_span(req, "scope", buf_span(&scope));
		reply_uint(req, "account", account);
		reply_ok(req);
	} else if (ret == 0) {
		reply_code(req, ERR_DENIED, "no such token");
	} else {
		auth_reply_err(req, &e);
	}
	buf_clear(&scope);
}

static void cmd_token_delete(struct request *req)
{
	struct err e;

	if (userdb_token_delete(auth_of(req)->db, request_span(req, "name"), &e) < 0) {
		auth_reply_err(req, &e);
		return;
	}
	log_info("token-deleted", "name", LOG_SPAN(request_span(req, "name")), NULL);
	reply_ok(req);
}

static bool list_token(
	void *ctx, struct span name, struct span scope, int64_t created, int64_t expires)
{
	buf_printf(ctx, "%.*s\t%.*s\t%lld\t%lld\n", (int)name.n, name.p, (int)scope.n, scope.p,
		(long long)created, (long long)expires);
	return true;
}

static void cmd_token_list(struct request *req)
{
	struct err e;

	if (userdb_token_list(auth_of(req)->db, list_token, reply_body(req), &e) < 0)
		auth_reply_err(req, &e);
	else
		reply_ok(req);
}

/* ---- tables ---- */

#define END                                                                                        \
	{                                                                                          \
		NULL, 0, false, NULL                                                               \
	}

static const struct arg_def domain_args[] = {{"domain", ARG_STRING, true, "a domain"}, END};
static const struct arg_def alias_args[] = {{"name", ARG_STRING, true, "address or @domain"},
	{"target", ARG_STRING, true, "address or @domain"}, END};
static const struct arg_def alias_delete_args[] = {{"name", ARG_STRING, true, "address or @domain"},
	{"target", ARG_STRING, false, "one target; else all"}, END};
static const struct arg_def alias_name_args[] = {
	{"name", ARG_STRING, true, "address or @domain"}, END};
static const struct arg_def alias_list_args[] = {
	{"after", ARG_STRING, false, "names behind this one"}, END};
static const struct arg_def user_args[] = {{"user", ARG_STRING, true, "address"}, END};
static const struct arg_def user_add_args[] = {{"user", ARG_STRING, true, "address"},
	{"password", ARG_SECRET, false, "in clear, to be hashed"},
	{"hash", ARG_SECRET, false, "stored form, instead"},
	{"quota_bytes", ARG_UINT, false, "0: none; absent: the default"},
	{"quota_messages", ARG_UINT, false, "0: none; absent: the default"}, END};
static const struct arg_def user_password_args[] = {{"user", ARG_STRING, true, "address"},
	{"password", ARG_SECRET, false, "in clear, to be hashed"},
	{"hash", ARG_SECRET, false, "stored form, instead"}, END};
static const struct arg_def user_list_args[] = {
	{"domain", ARG_STRING, false, "of this domain only"},
	{"after", ARG_STRING, false, "names behind this one"},
	{"limit", ARG_UINT, false, "rows at most"}, END};
static const struct arg_def user_rename_args[] = {
	{"user", ARG_STRING, true, "address"}, {"to", ARG_STRING, true, "new address"}, END};
static const struct arg_def user_quota_args[] = {{"user", ARG_STRING, true, "address"},
	{"quota_bytes", ARG_UINT, false, "0: none; absent: as it is"},
	{"quota_messages", ARG_UINT, false, "0: none; absent: as it is"}, END};
static const struct arg_def token_add_args[] = {{"name", ARG_STRING, true, "to tell it by"},
	{"scope", ARG_STRING, true, "what it may do"},
	{"expires", ARG_UINT, false, "unix seconds; 0: never"}, END};
static const struct arg_def token_args[] = {{"token", ARG_SECRET, true, "the token"}, END};
/* A round trip to the user database, for /readyz. */
static void cmd_ping(struct request *req)
{
	int64_t id;
	struct err e;

	if (userdb_domain_find(auth_of(req)->db, SPAN("localhost"), &id, &e) < 0)
		auth_reply_err(req, &e);
	else
		reply_ok(req);
}

static const struct arg_def token_name_args[] = {{"name", ARG_STRING, true, "its name"}, END};

#define PLAIN COMMAND_BODY_NONE, COMMAND_FD_NONE

static const struct command_def admin_commands[] = {
	{"DOMAIN-ADD", domain_args, PLAIN, cmd_domain_add, "Adds a domain."},
	{"DOMAIN-DELETE", domain_args, PLAIN, cmd_domain_delete,
		"Deletes a domain that has neither users nor aliases; else exists."},
	{"DOMAIN-LIST", NULL, PLAIN, cmd_domain_list, "Body: name, users, created."},
	{"USER-ADD", user_add_args, PLAIN, auth_cmd_user_add, "Adds a user. account=."},
	{"USER-ADD-MANY", NULL, COMMAND_BODY_REQUIRED, COMMAND_FD_NONE, auth_cmd_user_add_many,
		"Body: lines of address, password or stored form, quota in octets or empty. One "
		"transaction. added= failed=, body: address, why not."},
	{"USER-LIST", user_list_args, PLAIN, auth_cmd_user_list,
		"Body: name, account, state, quota_bytes, quota_messages, created. more=1: ask "
		"on."},
	{"USER-SHOW", user_args, PLAIN, auth_cmd_user_show, "The same as keys."},
	{"USER-DELETE", user_args, PLAIN, auth_cmd_user_delete,
		"Ends the user's sessions and erases the account."},
	{"USER-PASSWORD", user_password_args, PLAIN, auth_cmd_user_password,
		"Sets the password and ends the user's sessions."},
	{"USER-ENABLE", user_args, PLAIN, auth_cmd_user_enable, "Lets the user log in."},
	{"USER-DISABLE", user_args, PLAIN, auth_cmd_user_disable,
		"No logins, no mail, sessions end."},
	{"USER-RENAME", user_rename_args, PLAIN, auth_cmd_user_rename, "The account stays."},
	{"USER-QUOTA", user_quota_args, PLAIN, auth_cmd_user_quota, "Sets limits."},
	{"USER-KICK", user_args, PLAIN, auth_cmd_user_kick,
		"Ends the user's sessions and voids tickets and grants."},
	{"ALIAS-ADD", alias_args, PLAIN, cmd_alias_add, "Adds a target to an alias."},
	{"ALIAS-DELETE", alias_delete_args, PLAIN, cmd_alias_delete, "Deletes one target or all."},
	{"ALIAS-LIST", alias_list_args, PLAIN, cmd_alias_list, "Body: name, target."},
	{"ALIAS-SHOW", alias_name_args, PLAIN, cmd_alias_show, "Body: name, target."},
	{"TICKET", user_args, PLAIN, cmd_ticket,
		"A session ticket for the user's account: account= ticket= session=."},
	{"TOKEN-ADD", token_add_args, PLAIN, cmd_token_add, "token=, told this once."},
	{"TOKEN-CHECK", token_args, PLAIN, cmd_token_check, "scope= account=; denied."},
	{"TOKEN-DELETE", token_name_args, PLAIN, cmd_token_delete, "Deletes a token."},
	{"TOKEN-LIST", NULL, PLAIN, cmd_token_list, "Body: name, scope, created, expires."},
	{"PING", NULL, PLAIN, cmd_ping, "Asks the user database and answers."},
	{NULL, NULL, PLAIN, NULL, NULL},
};

const struct role_def auth_admin_role = {
	.name = "auth/admin",
	.commands = admin_commands,
	.doc = "Domains, users, aliases, tokens.",
};
