/*
 * auth/login: SASL exchanges and what follows from them. An attempt goes: credentials -> user's row
 * -> cache of verified logins, or penalty's delay -> hash on a thread -> row again -> answer. No
 * step blocks the loop, and each attempt is one object that its request carries.
 */
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include "lib-auth/sasl.h"
#include "lib-common/mem.h"
#include "lib-common/net.h"
#include "services/auth/auth.h"

#define EXCHANGES_MAX 10000	    /* of one login process */
#define EXCHANGE_MS (3 * 60 * 1000) /* then it is forgotten */
#define WAITING_MAX 20000	    /* attempts in a delay */

/* ---- exchanges that wait for a client's response ---- */

struct exchange {
	char id[33];
	struct sasl *sasl;
	uint64_t begun_ms;
	char service[16], address[64];
	bool secured;
	struct exchange *next;
};

struct peer {			/* of one channel */
	struct exchange *first; /* oldest first */
	struct exchange **end;
	unsigned n;
};

static void exchange_free(struct exchange *x)
{
	if (!x)
		return;
	sasl_free(x->sasl);
	mem_free(x);
}

static int peer_open(struct channel *ch)
{
	struct peer *p = mem_alloc(sizeof(*p));

	p->end = &p->first;
	channel_set_data(ch, p);
	return 0;
}

static void peer_remove(struct peer *p, struct exchange **link)
{
	struct exchange *x = *link;

	*link = x->next;
	if (p->end == &x->next)
		p->end = link;
	p->n--;
}

static void peer_close(struct channel *ch)
{
	struct peer *p = channel_data(ch);
	struct exchange *x;

	if (!p)
		return;
	while ((x = p->first) != NULL) {
		peer_remove(p, &p->first);
		exchange_free(x);
	}
	channel_set_data(ch, NULL);
	mem_free(p);
}

/* Takes the exchange out of its peer's list. */
static struct exchange *peer_take(struct peer *p, struct span id)
{
	struct exchange **link, *x;

	for (link = &p->first; (x = *link) != NULL; link = &x->next) {
		if (span_is(id, x->id)) {
			peer_remove(p, link);
			return x;
		}
	}
	return NULL;
}

static void peer_expire(struct peer *p, uint64_t now_ms)
{
	struct exchange *x;

	while ((x = p->first) != NULL &&
		(x->begun_ms + EXCHANGE_MS < now_ms || p->n >= EXCHANGES_MAX)) {
		peer_remove(p, &p->first);
		exchange_free(x);
	}
}

/* ---- attempts ---- */

struct attempt {
	struct auth *auth;
	struct request *req;
	struct user user;
	bool known; /* user is one */
	struct address name;
	struct buf password, shown; /* shown: the name as given, for the log */
	char service[16], address[64], mechanism[16], session[TRACE_ID_SIZE];
	uint64_t begun_ms;
	bool penalised; /* penalty_begin was called */
	struct penalty_who who;
	struct event *timer;
	/* for the thread */
	struct buf stored;
	enum password_result result;
	struct password_config config;
	struct buf rehashed; /* not empty: the stronger form */
	/* for the delayed answer */
	struct err failure;
};

static void attempt_free(struct attempt *a)
{
	if (a->timer)
		event_free(a->timer);
	buf_wipe(&a->password);
	buf_clear(&a->shown);
	buf_wipe(&a->stored);
	buf_clear(&a->rehashed);
	mem_free(a);
}

static void attempt_penalty_config(const struct attempt *a, struct penalty_config *c)
{
	c->start_ms = a->auth->settings->penalty_start_ms;
	c->max_ms = a->auth->settings->penalty_max_ms;
	c->forget_ms = a->auth->settings->penalty_forget_ms;
}

static uint64_t attempt_penalty_end(struct attempt *a, enum penalty_outcome outcome)
{
	struct penalty_config c;

	if (!a->penalised)
		return 0;
	a->penalised = false;
	attempt_penalty_config(a, &c);
	return penalty_end(a->auth->penalty, &c, &a->who, outcome, clock_boot_ms());
}

static void attempt_log(struct attempt *a, bool ok, const char *reason)
{
	uint64_t ms = clock_boot_ms() - a->begun_ms;

	log_trace(a->session);
	if (ok)
		log_info("login-ok", "user", LOG_ADDR(a->name.text), "address", LOG_STR(a->address),
			"service", LOG_STR(a->service), "method", LOG_STR(a->mechanism), "reason",
			LOG_STR(reason), "ms", LOG_UINT(ms), NULL);
	else
		log_info("login-failed", "user", LOG_ADDR(buf_str(&a->shown)), "address",
			LOG_STR(a->address), "service", LOG_STR(a->service), "method",
			LOG_STR(a->mechanism), "reason", LOG_STR(reason), "ms", LOG_UINT(ms), NULL);
	log_trace(NULL);
}

static void attempt_temp(struct attempt *a, const char *reason)
{
	attempt_penalty_end(a, PENALTY_UNKNOWN);
	attempt_log(a, false, reason);
	reply_code(a->req, ERR_TEMP, "Temporary authentication failure");
	attempt_free(a);
}

static void attempt_answer_failure(struct attempt *a)
{
	reply_fail(a->req, &a->failure);
	attempt_free(a);
}

static void attempt_wait(struct attempt *a, uint64_t ms, event_callback_fn cb)
{
	struct timeval tv = {(time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000)};

	a->auth->waiting++;
	if (a->timer)
		event_free(a->timer);
	a->timer = evtimer_new(a->auth->base, cb, a);
	event_add(a->timer, &tv);
}

static void attempt_failure_waited(evutil_socket_t fd, short what, void *ctx)
{
	struct attempt *a = ctx;

	(void)fd;
	(void)what;
	a->auth->waiting--;
	attempt_answer_failure(a);
}

/* One text for all reasons: who fails learns nothing about which names exist. */
static void attempt_fail(struct attempt *a, const char *reason)
{
	uint64_t delay = attempt_penalty_end(a, PENALTY_FAILURE);
	uint64_t waited = clock_boot_ms() - a->begun_ms;

	metric_add(METRIC_AUTH_FAILED, 1);
	attempt_log(a, false, reason);
	err_set(&a->failure, ERR_DENIED, "%s", reason);
	err_user(&a->failure, "Authentication failed");
	if (delay > waited && a->auth->waiting < WAITING_MAX)
		attempt_wait(a, delay - waited, attempt_failure_waited);
	else
		attempt_answer_failure(a);
}

static void attempt_ok(struct attempt *a, const char *how)
{
	struct ticket t;
	struct buf text;

	attempt_penalty_end(a, PENALTY_SUCCESS);
	metric_add(METRIC_AUTH_OK, 1);
	ticket_init(&t, TICKET_SESSION, clock_boot_ms());
	t.account = a->user.account;
	t.generation = a->user.generation;
	t.quota_bytes = a->user.quota_bytes;
	t.quota_messages = a->user.quota_messages;
	memcpy(t.session, a->session, sizeof(t.session));
	memcpy(t.user, a->user.name.text, strlen(a->user.name.text));
	buf_init(&text);
	ticket_seal(&t, a->auth->ticket_key, &text);
	reply_uint(a->req, "done", 1);
	reply_str(a->req, "user", a->user.name.text);
	reply_uint(a->req, "account", a->user.account);
	reply_span(a->req, "ticket", buf_span(&text));
	reply_str(a->req, "session", a->session);
	attempt_log(a, true, how);
	reply_ok(a->req);
	buf_wipe(&text);
	attempt_free(a);
}

/* On a thread: the attempt alone is touched. */
static void attempt_work(void *ctx)
{
	struct attempt *a = ctx;
	struct err e;

	a->result = password_verify(buf_span(&a->stored), buf_span(&a->password));
	/* The password is at hand only now. A hash that cannot be made (BLF-CRYPT and a long one)
	 * stays. */
	if (a->result == PASSWORD_OK && a->known &&
		password_needs_rehash(&a->config, buf_span(&a->stored)) &&
		password_hash(&a->config, buf_span(&a->password), &a->rehashed, &e) < 0)
		buf_empty(&a->rehashed);
}

static void attempt_store_rehash(struct attempt *a)
{
	struct err e;

	if (userdb_user_rehash(a->auth->db, a->user.account, buf_str(&a->stored),
		    buf_str(&a->rehashed), &e) < 0)
		log_warning("rehash-failed", "error", LOG_ERR(&e), NULL);
	else
		log_info("password-rehashed", "user", LOG_ADDR(a->user.name.text), NULL);
}

static void attempt_worked(void *ctx)
{
	struct attempt *a = ctx;
	uint64_t generation = a->user.generation;
	struct err e;
	int ret;

	if (!a->known || a->result == PASSWORD_WRONG) {
		attempt_fail(a, a->known ? "wrong-password" : "unknown-user");
		return;
	}
	if (a->result == PASSWORD_UNUSABLE) {
		attempt_fail(a, "unusable-password");
		return;
	}
	/* The row may have changed while the hash was made: it counts as it is now. */
	ret = userdb_user_find_account(a->auth->db, a->user.account, &a->user, &e);
	if (ret < 0) {
		log_error("auth-lookup-failed", "error", LOG_ERR(&e), NULL);
		attempt_temp(a, "database");
		return;
	}
	if (ret == 0 || a->user.state != USER_ENABLED || a->user.generation != generation) {
		attempt_fail(a, ret > 0 && a->user.state == USER_DISABLED ? "disabled" : "changed");
		return;
	}
	login_cache_add(a->auth->cache, a->user.account, generation, span_of(a->service),
		buf_span(&a->password), clock_boot_ms(), a->auth->settings->login_cache_ttl_ms);
	if (a->rehashed.len > 0)
		attempt_store_rehash(a);
	attempt_ok(a, "verified");
}

static void attempt_verify(struct attempt *a)
{
	if (request_peer_gone(a->req) || request_expired(a->req)) {
		attempt_temp(a, "client-gone");
		return;
	}
	auth_password_config(a->auth, &a->config);
	buf_add_str(&a->stored, a->known ? a->user.password : a->auth->dummy);
	if (!work_pool_submit(a->auth->pool, attempt_work, attempt_worked, a)) {
		metric_add(METRIC_AUTH_BUSY, 1);
		attempt_temp(a, "busy");
	}
}

static void attempt_waited(evutil_socket_t fd, short what, void *ctx)
{
	struct attempt *a = ctx;

	(void)fd;
	(void)what;
	a->auth->waiting--;
	attempt_verify(a);
}

static void attempt_start(struct attempt *a)
{
	struct penalty_config c;
	uint64_t delay;

	if (a->known && a->user.state == USER_ENABLED &&
		login_cache_has(a->auth->cache, a->user.account, a->user.generation,
			span_of(a->service), buf_span(&a->password), clock_boot_ms())) {
		metric_add(METRIC_AUTH_CACHED, 1);
		attempt_ok(a, "cached");
		return;
	}
	if (net_list_has(a->auth->settings->penalty_exempt, a->address)) {
		attempt_verify(a);
		return;
	}
	penalty_who(a->auth->penalty, a->address,
		a->name.text[0] ? address_span(&a->name) : buf_span(&a->shown), &a->who);
	attempt_penalty_config(a, &c);
	delay = penalty_begin(a->auth->penalty, &c, &a->who, clock_boot_ms());
	a->penalised = true;
	if (delay == 0)
		attempt_verify(a);
	else if (a->auth->waiting >= WAITING_MAX)
		attempt_temp(a, "busy");
	else
		attempt_wait(a, delay, attempt_waited);
}

/* The name a client gave, with the default domain if it has none. */
static bool attempt_name(struct auth *auth, struct span given, struct address *name_r)
{
	struct buf full;
	bool ok;

	if (given.n > ADDRESS_MAX)
		return false;
	buf_init(&full);
	buf_add_span(&full, given);
	if (!memchr(given.p, '@', given.n) && auth->settings->default_domain[0])
		buf_printf(&full, "@%s", auth->settings->default_domain);
	ok = address_parse(buf_span(&full), name_r);
	buf_clear(&full);
	return ok;
}

static void attempt_new(struct auth *auth, struct request *req, struct exchange *x)
{
	struct attempt *a = mem_alloc(sizeof(*a));
	struct address authzid;
	const char *trace = request_trace(req);
	struct err e;
	int ret;

	a->auth = auth;
	a->req = req;
	a->begun_ms = clock_boot_ms();
	memcpy(a->service, x->service, sizeof(a->service));
	memcpy(a->address, x->address, sizeof(a->address));
	(void)snprintf(a->mechanism, sizeof(a->mechanism), "%s", x->sasl->mechanism->name);
	if (trace && trace_id_valid(span_of(trace)))
		memcpy(a->session, trace, sizeof(a->session));
	else
		trace_id_make(a->session);
	buf_add_span(&a->password, buf_span(&x->sasl->password));
	buf_add(&a->shown, x->sasl->authcid.data,
		x->sasl->authcid.len < ADDRESS_MAX ? x->sasl->authcid.len : ADDRESS_MAX);
	if (!attempt_name(auth, buf_span(&x->sasl->authcid), &a->name)) {
		a->name.text[0] = '\0';
	} else if (x->sasl->authzid.len > 0 &&
		   (!attempt_name(auth, buf_span(&x->sasl->authzid), &authzid) ||
			   strcmp(authzid.text, a->name.text) != 0)) {
		; /* nobody may act for another: as an unknown user */
	} else {
		ret = userdb_user_find(auth->db, address_span(&a->name), &a->user, &e);
		if (ret < 0) {
			log_error("auth-lookup-failed", "error", LOG_ERR(&e), NULL);
			attempt_temp(a, "database");
			return;
		}
		a->known = ret > 0;
	}
	attempt_start(a);
}

/* ---- commands ---- */

static void exchange_step(
	struct request *req, struct exchange *x, bool has_input, struct span input)
{
	struct peer *p = channel_data(request_channel(req));
	struct buf text;

	switch (sasl_step(x->sasl, has_input, input)) {
	case SASL_CHALLENGE:
		buf_init(&text);
		buf_add_base64(&text, x->sasl->challenge.data, x->sasl->challenge.len);
		reply_uint(req, "more", 1);
		reply_str(req, "id", x->id);
		reply_span(req, "challenge", buf_span(&text));
		buf_clear(&text);
		x->next = NULL;
		*p->end = x;
		p->end = &x->next;
		p->n++;
		reply_ok(req);
		return;
	case SASL_CREDENTIALS:
		attempt_new(auth_of(req), req, x);
		break;
	case SASL_BAD:
		reply_code(req, ERR_PROTO, "Malformed authentication response");
		break;
	}
	exchange_free(x);
}

/* "=" is the empty initial response (RFC 4954 4); invalid base64 ends the exchange. */
static bool decode_response(struct span text, struct buf *out)
{
	buf_limit(out, SASL_INPUT_MAX);
	return span_is(text, "=") || (buf_add_base64_decoded(out, text) && !out->failed);
}

static void cmd_start(struct request *req)
{
	struct peer *p = channel_data(request_channel(req));
	struct sasl *sasl = sasl_new(request_span(req, "mech"));
	unsigned char random[16];
	struct exchange *x;
	struct buf input, id;

	if (!sasl) {
		reply_code(req, ERR_PERM, "Unsupported authentication mechanism");
		return;
	}
	peer_expire(p, clock_boot_ms());
	x = mem_alloc(sizeof(*x));
	x->sasl = sasl;
	x->begun_ms = clock_boot_ms();
	x->secured = request_uint(req, "secured") != 0;
	(void)snprintf(x->service, sizeof(x->service), "%s", request_str(req, "service"));
	(void)snprintf(x->address, sizeof(x->address), "%s", request_str(req, "address"));
	buf_init(&id);
	buf_init(&input);
	if (RAND_bytes(random, sizeof(random)) != 1) {
		reply_code(req, ERR_TEMP, "");
		exchange_free(x);
		return;
	}
	buf_add_hex(&id, random, sizeof(random));
	memcpy(x->id, id.data, sizeof(x->id) - 1);
	if (!request_has(req, "initial")) {
		exchange_step(req, x, false, SPAN(""));
	} else if (!decode_response(request_span(req, "initial"), &input)) {
		reply_code(req, ERR_PROTO, "Malformed authentication response");
		exchange_free(x);
	} else {
		exchange_step(req, x, true, buf_span(&input));
	}
	buf_clear(&id);
	buf_wipe(&input);
}

static void cmd_continue(struct request *req)
{
	struct exchange *x = peer_take(channel_data(request_channel(req)), request_span(req, "id"));
	struct buf input;

	if (!x) {
		reply_code(req, ERR_NOTFOUND, "No such authentication exchange");
		return;
	}
	buf_init(&input);
	if (!decode_response(request_span(req, "response"), &input)) {
		reply_code(req, ERR_PROTO, "Malformed authentication response");
		exchange_free(x);
	} else {
		exchange_step(req, x, true, buf_span(&input));
	}
	buf_wipe(&input);
}

static void cmd_cancel(struct request *req)
{
	exchange_free(peer_take(channel_data(request_channel(req)), request_span(req, "id")));
	reply_ok(req);
}

static const struct arg_def start_args[] = {
	{"mech", ARG_STRING, true, "SASL mechanism"},
	{"service", ARG_STRING, true, "imap"},
	{"address", ARG_STRING, false, "the client's address"},
	{"secured", ARG_FLAG, false, "1: under TLS"},
	{"initial", ARG_SECRET, false, "initial response, base64; = for an empty one"},
	{NULL, 0, false, NULL},
};
static const struct arg_def continue_args[] = {
	{"id", ARG_STRING, true, "of the exchange"},
	{"response", ARG_SECRET, true, "base64"},
	{NULL, 0, false, NULL},
};
static const struct arg_def cancel_args[] = {
	{"id", ARG_STRING, true, "of the exchange"},
	{NULL, 0, false, NULL},
};

static const struct command_def login_commands[] = {
	{"START", start_args, COMMAND_BODY_NONE, COMMAND_FD_NONE, cmd_start,
		"Starts a SASL exchange. OK: more=1 id= challenge= (base64), or done=1 user= "
		"account= "
		"ticket= session=. Failures: denied, temp, proto, perm (mechanism)."},
	{"CONTINUE", continue_args, COMMAND_BODY_NONE, COMMAND_FD_NONE, cmd_continue,
		"The client's response; answered as START."},
	{"CANCEL", cancel_args, COMMAND_BODY_NONE, COMMAND_FD_NONE, cmd_cancel,
		"The client gave up."},
	{NULL, NULL, 0, 0, NULL, NULL},
};

const struct role_def auth_login_role = {
	.name = "auth/login",
	.commands = login_commands,
	.max_in_flight = EXCHANGES_MAX,
	.on_open = peer_open,
	.on_close = peer_close,
	.doc = "Credentials in, a session ticket out.",
};
