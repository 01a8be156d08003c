/* Sessions: tickets and grants, who is attached to which account, events. */
#include "lib-common/log.h"
#include "lib-common/mem.h"
#include "lib-common/metrics.h"
#include "services/indexer/indexer.h"
#include "services/indexer/session-commands.h"

#define LIST_EVENT_MS 100 /* at most one MAILBOXES event in this time */

/* ---- nonces (CORNERS M9) ---- */

struct nonce {
	struct nonce *next;
	uint64_t key, expires_ms;
};

bool nonce_remember(struct indexer *ix, const struct ticket *t)
{
	struct nonce *n;
	uint64_t key;

	/* only genuine tickets come here, so nobody can make two nonces agree in these octets */
	memcpy(&key, t->nonce, sizeof(key));
	key |= 1;
	if (table_get(&ix->nonces, key) != NULL)
		return false;
	n = mem_alloc(sizeof(*n));
	n->key = key;
	n->expires_ms = t->expires_ms;
	table_put(&ix->nonces, key, n);
	*ix->nonces_tail = n;
	ix->nonces_tail = &n->next;
	return true;
}

void nonces_expire(struct indexer *ix, bool all)
{
	uint64_t now = clock_boot_ms();

	while (ix->nonces_first != NULL && (all || ix->nonces_first->expires_ms < now)) {
		struct nonce *n = ix->nonces_first;

		ix->nonces_first = n->next;
		if (n->next == NULL)
			ix->nonces_tail = &ix->nonces_first;
		table_remove(&ix->nonces, n->key);
		mem_free(n);
	}
}

/* ---- events ---- */

void session_event(struct session *s, const char *event, struct span body, const char *key1,
	uint64_t value1, const char *key2, uint64_t value2, const char *key3, uint64_t value3,
	const char *key4, uint64_t value4)
{
	const uint64_t values[4] = {value1, value2, value3, value4};
	char text[4][24];

	if (s->kicked)
		return;
	for (int i = 0; i < 4; i++)
		snprintf(text[i], sizeof(text[i]), "%llu", (unsigned long long)values[i]);
	channel_event(s->channel, event, body, key1, text[0], key2, text[1], key3, text[2], key4,
		text[3], NULL);
}

static void on_list_timer(evutil_socket_t fd, short what, void *arg)
{
	struct live_account *a = arg;
	struct session *s, *next;

	(void)fd;
	(void)what;
	a->list_due = false;
	a->list_seq = ++a->ix->list_seq;
	for (s = a->sessions; s != NULL; s = next) {
		next = s->next;
		session_event(
			s, "MAILBOXES", SPAN(""), "seq", a->list_seq, NULL, 0, NULL, 0, NULL, 0);
	}
}

void live_account_list_changed(struct indexer *ix, uint64_t account)
{
	struct live_account *a = table_get(&ix->accounts, account);
	struct timeval delay = {0, LIST_EVENT_MS * 1000};

	if (a == NULL || a->list_due || a->list_timer == NULL)
		return;
	a->list_due = true;
	event_add(a->list_timer, &delay);
}

/* ---- accounts with sessions ---- */

struct live_account *live_account_get(struct indexer *ix, uint64_t id, bool make)
{
	struct live_account *a = table_get(&ix->accounts, id);

	if (a != NULL || !make)
		return a;
	a = mem_alloc(sizeof(*a));
	a->id = id;
	a->ix = ix;
	if (ix->base != NULL)
		a->list_timer = event_new(ix->base, -1, 0, on_list_timer, a);
	table_put(&ix->accounts, id, a);
	return a;
}

static void session_leave(struct session *s)
{
	struct live_account *a = s->account;

	state_unselect(s);
	if (a == NULL)
		return;
	*(s->prev != NULL ? &s->prev->next : &a->sessions) = s->next;
	if (s->next != NULL)
		s->next->prev = s->prev;
	s->account = NULL;
	metric_set(METRIC_INDEXER_SESSIONS, --s->ix->n_sessions);
	if (--a->n_sessions > 0)
		return;
	table_remove(&s->ix->accounts, a->id);
	if (a->list_timer != NULL)
		event_free(a->list_timer);
	mem_free(a);
}

static void session_join(struct session *s, struct live_account *a)
{
	s->account = a;
	s->next = a->sessions;
	if (s->next != NULL)
		s->next->prev = s;
	a->sessions = s;
	a->n_sessions++;
	metric_set(METRIC_INDEXER_SESSIONS, ++s->ix->n_sessions);
}

unsigned sessions_kick(struct indexer *ix, uint64_t account, const char *id, const char *reason)
{
	struct live_account *a = table_get(&ix->accounts, account);
	struct session *s, *next;
	unsigned n = 0;

	for (s = a != NULL ? a->sessions : NULL; s != NULL; s = next) {
		next = s->next;
		if (s->kicked || (id != NULL && strcmp(s->id, id) != 0))
			continue;
		channel_event(s->channel, "KICK", SPAN(""), "reason", reason, NULL);
		s->kicked = true;
		state_unselect(s);
		n++;
		log_info("session-kicked", "session", LOG_STR(s->id), "reason", LOG_STR(reason),
			NULL);
	}
	return n;
}

void indexer_move_sessions(struct indexer *ix)
{
	struct live_account *a;
	size_t cursor = 0;

	while ((a = table_next(&ix->accounts, &cursor)) != NULL) {
		for (struct session *s = a->sessions; s != NULL; s = s->next)
			session_event(s, "MOVED", SPAN(""), NULL, 0, NULL, 0, NULL, 0, NULL, 0);
	}
}

/* ---- the channel ---- */

static int on_open(struct channel *ch)
{
	struct session *s = mem_alloc(sizeof(*s));

	s->ix = indexer_self();
	s->channel = ch;
	channel_set_data(ch, s);
	return 0;
}

static void on_close(struct channel *ch)
{
	struct session *s = channel_data(ch);

	if (s == NULL)
		return;
	channel_set_data(ch, NULL);
	session_leave(s);
	mem_free(s);
}

/* ---- ATTACH ---- */

static struct session *request_session(const struct request *req)
{
	return request_peer_gone(req) ? NULL : channel_data(request_channel(req));
}

/* Too many sessions of this user, or of this user from this address (CORNERS S3)? */
static bool over_limit(const struct session *s, const struct live_account *a)
{
	unsigned same = 0;

	if (a == NULL)
		return false;
	if (a->n_sessions >= s->ix->config.sessions_per_user)
		return true;
	for (const struct session *o = a->sessions; o != NULL; o = o->next)
		same += strcmp(o->address, s->address) == 0;
	return same >= s->ix->config.sessions_per_address;
}

static void make_grant(const struct session *s, const struct write_task *t, struct buf *out)
{
	struct ticket grant;

	ticket_init(&grant, TICKET_GRANT, clock_boot_ms());
	grant.account = t->account;
	grant.generation = t->generation;
	grant.quota_bytes = t->quota_bytes;
	grant.quota_messages = t->quota_messages;
	snprintf(grant.session, sizeof(grant.session), "%s", s->id);
	snprintf(grant.peer, sizeof(grant.peer), "%s", channel_peer(s->channel));
	snprintf(grant.user, sizeof(grant.user), "%s", s->user);
	ticket_seal(&grant, s->ix->ticket_key, out);
}

static void attach_reply(struct session *s, struct write_task *t)
{
	struct request *req = t->request;
	struct buf grant;

	buf_init(&grant);
	make_grant(s, t, &grant);
	reply_uint(req, "account", t->account);
	reply_str(req, "user", s->user);
	reply_span(req, "grant", buf_span(&grant));
	reply_uint(req, "generation", t->generation);
	reply_uint(req, "quota_bytes", t->quota_bytes);
	reply_uint(req, "quota_messages", t->quota_messages);
	reply_uint(req, "used_bytes", t->used_bytes);
	reply_uint(req, "used_messages", t->used_messages);
	reply_ok(req);
	buf_wipe(&grant);
}

static void attach_done(struct write_task *t)
{
	struct session *s = request_session(t->request);
	struct live_account *a;

	if (s != NULL)
		s->attaching = false;
	if (s == NULL || t->err.code != ERR_NONE) {
		if (t->err.code == ERR_NONE)
			err_set(&t->err, ERR_TEMP, "the session is gone");
		reply_write_failed(t);
		return;
	}
	a = live_account_get(s->ix, t->account, false);
	if (over_limit(s, a)) {
		log_info("session-limit", "session", LOG_STR(s->id), "user", LOG_ADDR(s->user),
			"address", LOG_STR(s->address), NULL);
		reply_code(t->request, ERR_LIMIT, "Too many sessions");
		write_task_free(t);
		return;
	}
	snprintf(s->user, sizeof(s->user), "%.*s", (int)t->name_r.n, t->name_r.p);
	s->generation = t->generation;
	s->since = (uint64_t)clock_wall_s();
	session_join(s, live_account_get(s->ix, t->account, true));
	log_info("session-open", "session", LOG_STR(s->id), "account", LOG_UINT(t->account), "user",
		LOG_ADDR(s->user), "address", LOG_STR(s->address), NULL);
	attach_reply(s, t);
	write_task_free(t);
}

/* What the peer presents, checked as far as it can be without the account's row. */
static int attach_check(
	struct session *s, const struct request *req, struct ticket *ticket, struct err *e)
{
	bool grant = request_has(req, "grant");

	if (s->account != NULL || s->attaching)
		return err_set(e, ERR_PROTO, "the channel is attached already");
	if (ticket_open(request_span(req, grant ? "grant" : "ticket"),
		    grant ? TICKET_GRANT : TICKET_SESSION, s->ix->ticket_key, clock_boot_ms(),
		    ticket, e) < 0)
		return -1;
	if (ticket->shard != 0 || ticket->account == 0 || ticket->account > INT64_MAX)
		return err_set(e, ERR_DENIED, "the ticket is for another shard");
	if (!trace_id_valid(request_span(req, "session")) ||
		strcmp(ticket->session, request_str(req, "session")) != 0)
		return err_set(e, ERR_DENIED, "the ticket is another session's");
	if (grant && strcmp(ticket->peer, channel_peer(s->channel)) != 0)
		return err_set(e, ERR_DENIED, "the grant is another service's");
	/* what was used before a restart is not remembered, so nothing older is taken */
	if (!grant && ticket->issued_ms < s->ix->started_ms)
		return err_set(e, ERR_TEMP, "the ticket is older than this process");
	if (!grant && !nonce_remember(s->ix, ticket))
		return err_set(e, ERR_DENIED, "the ticket was used before");
	return 0;
}

void session_attach(struct request *req)
{
	struct session *s = channel_data(request_channel(req));
	struct ticket ticket;
	struct write_task *t;
	struct err e;

	if (attach_check(s, req, &ticket, &e) < 0) {
		log_warning("attach-refused", "session", LOG_STR(request_str(req, "session")),
			"why", LOG_ERR(&e), NULL);
		reply_fail(req, &e);
		return;
	}
	snprintf(s->id, sizeof(s->id), "%s", ticket.session);
	snprintf(s->user, sizeof(s->user), "%s", ticket.user);
	snprintf(s->address, sizeof(s->address), "%s", request_str(req, "address"));
	snprintf(s->protocol, sizeof(s->protocol), "%s", request_str(req, "protocol"));
	s->read_only = request_uint(req, "readonly") != 0;
	s->attaching = true;
	t = request_write(req, ticket.account, write_attach, attach_done);
	t->user = span_of(arena_strdup(t->arena, ticket.user));
	t->generation = ticket.generation;
	t->quota_bytes = ticket.quota_bytes;
	t->quota_messages = ticket.quota_messages;
	t->create_account = ticket.kind == TICKET_SESSION;
	writer_put(s->ix->writer, t);
	mem_wipe(&ticket, sizeof(ticket));
}

const struct role_def indexer_session_role = {
	.name = "indexer/session",
	.commands = session_commands,
	.max_in_flight = 64,
	.on_open = on_open,
	.on_close = on_close,
	.doc = "One channel a session, bound to one account by its ticket or grant.",
};
