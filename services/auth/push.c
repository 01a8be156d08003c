/*
 * Telling indexer. What must be told stands in the users' rows until indexer has answered; here is
 * only the wheel that turns: a few calls at a time, again after a while when one failed.
 */
#include "lib-common/mem.h"
#include "services/auth/auth.h"

#define PUSH_AT_ONCE 64
#define PUSH_TIMEOUT_MS 30000
#define PUSH_RETRY_MIN_MS 500
#define PUSH_RETRY_MAX_MS 30000

struct auth_push {
	struct auth *auth;
	struct client *indexer;
	struct event *timer;
	unsigned in_flight;
	bool again;  /* more was changed, or is left */
	bool failed; /* in this round */
	uint64_t retry_ms;
};

struct push_call {
	struct auth_push *push;
	uint64_t account, seq;
	enum user_push kind;
	bool voided; /* of a USER_PUSH_VOID or _ERASE: the first of its two calls was answered */
	uint64_t generation, quota_bytes, quota_messages;
	char user[ADDRESS_MAX + 1];
};

static void push_send(struct push_call *c);

static void push_after(struct auth_push *p, uint64_t ms)
{
	struct timeval tv = {(time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000)};

	event_add(p->timer, &tv);
}

static void push_round_done(struct auth_push *p)
{
	if (p->in_flight > 0 || !p->timer) /* no timer: the end */
		return;
	if (p->failed) {
		push_after(p, p->retry_ms);
		p->retry_ms = p->retry_ms * 2 < PUSH_RETRY_MAX_MS ? p->retry_ms * 2
								  : PUSH_RETRY_MAX_MS;
	} else if (p->again) {
		push_after(p, 0);
	}
}

static void push_answered(struct result *r, void *ctx)
{
	struct push_call *c = ctx;
	struct auth_push *p = c->push;
	struct err e;
	bool ok = r->code == ERR_NONE || r->code == ERR_NOTFOUND;

	if (ok && p->timer && c->kind >= USER_PUSH_VOID && !c->voided) {
		c->voided = true;
		push_send(c);
		return;
	}
	p->in_flight--;
	if (!ok) {
		p->failed = true;
		log_warning("push-failed", "account", LOG_UINT(c->account), "error",
			LOG_SPAN(r->text), NULL);
	} else {
		p->retry_ms = PUSH_RETRY_MIN_MS;
		if (userdb_push_done(p->auth->db, c->account, c->seq, &e) < 0) {
			p->failed = true;
			log_error("push-not-recorded", "error", LOG_ERR(&e), NULL);
		}
	}
	mem_free(c);
	push_round_done(p);
}

/* First the limits or the void, then what follows: each can be repeated. */
static void push_send(struct push_call *c)
{
	const char *verb = "ACCOUNT-LIMITS";
	struct call *call;

	if (c->kind >= USER_PUSH_VOID && !c->voided)
		verb = "ACCOUNT-VOID";
	else if (c->kind == USER_PUSH_ERASE)
		verb = "ACCOUNT-ERASE";
	call = call_new(c->push->indexer, verb);
	call_uint(call, "account", c->account);
	call_uint(call, "generation", c->generation);
	if (strcmp(verb, "ACCOUNT-LIMITS") == 0) {
		call_str(call, "user", c->user);
		call_uint(call, "quota_bytes", c->quota_bytes);
		call_uint(call, "quota_messages", c->quota_messages);
	}
	call_send(call, PUSH_TIMEOUT_MS, push_answered, c);
}

struct push_list {
	struct auth_push *push;
	struct push_call *calls[PUSH_AT_ONCE];
	unsigned n;
};

static bool push_collect(void *ctx, const struct user *u)
{
	struct push_list *l = ctx;
	struct push_call *c = mem_alloc(sizeof(*c));

	c->push = l->push;
	c->account = u->account;
	c->seq = u->push_seq;
	c->kind = u->push;
	c->generation = u->generation;
	c->quota_bytes = u->quota_bytes;
	c->quota_messages = u->quota_messages;
	memcpy(c->user, u->name.text, strlen(u->name.text));
	l->calls[l->n++] = c;
	return l->n < PUSH_AT_ONCE;
}

static void push_round(evutil_socket_t fd, short what, void *ctx)
{
	struct auth_push *p = ctx;
	struct push_list l = {.push = p};
	struct err e;
	unsigned i;

	(void)fd;
	(void)what;
	if (p->in_flight > 0) {
		p->again = true;
		return;
	}
	p->failed = false;
	if (userdb_push_list(p->auth->db, PUSH_AT_ONCE, push_collect, &l, &e) < 0) {
		log_error("push-list-failed", "error", LOG_ERR(&e), NULL);
		p->failed = true;
	}
	p->again = l.n == PUSH_AT_ONCE;
	p->in_flight = l.n;
	for (i = 0; i < l.n; i++)
		push_send(l.calls[i]);
	if (p->failed && l.n == 0)
		push_round_done(p);
}

struct auth_push *auth_push_new(struct auth *auth)
{
	struct auth_push *p = mem_alloc(sizeof(*p));
	struct client_def def = {.ctx = p};

	p->auth = auth;
	p->retry_ms = PUSH_RETRY_MIN_MS;
	p->timer = evtimer_new(auth->base, push_round, p);
	p->indexer = service_connect(auth->svc, "indexer/admin", &def);
	return p;
}

void auth_push_soon(struct auth *auth)
{
	if (!auth->push->indexer)
		return;
	if (auth->push->in_flight > 0)
		auth->push->again = true;
	else
		push_after(auth->push, 0);
}

void auth_push_free(struct auth_push *p)
{
	if (!p)
		return;
	event_free(p->timer);
	p->timer = NULL;
	/* Open calls are answered here and leave their rows as they are. */
	client_free(p->indexer);
	mem_free(p);
}
