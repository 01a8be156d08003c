#include "services/imap/imap-session.h"

#include <unistd.h>

#define RETRY_FIRST_MS 100
#define RETRY_MAX_MS 2000
#define GRANT_TRIES 30 /* without an answer from indexer; then the session ends */

static void session_open_channel(struct imap_client *c);

void imap_session_close(struct imap_client *c)
{
	struct imap_session *s = &c->session;

	if (s->retry != NULL)
		event_free(s->retry);
	if (s->channel != NULL) {
		client_forget(s->channel, c);
		client_free(s->channel);
	}
	mem_free(s->grant);
	memset(s, 0, sizeof(*s));
}

static void session_failed(struct imap_client *c, const struct err *e)
{
	struct imap_session *s = &c->session;
	struct timeval tv;
	unsigned ms;

	s->state = SESSION_DOWN;
	if (c->closing)
		return;
	if (c->handoff != NULL) {
		imap_client_attached(c, e);
		return;
	}
	if (e->code == ERR_DENIED || s->attempts > GRANT_TRIES) {
		/* kicked, deleted, or a new password: the grant is void */
		s->voided = true;
		imap_client_bye(c, "UNAVAILABLE", "The session has ended, log in again");
		return;
	}
	ms = RETRY_FIRST_MS << (s->attempts < 5 ? s->attempts : 5);
	if (ms > RETRY_MAX_MS)
		ms = RETRY_MAX_MS;
	s->attempts++;
	tv.tv_sec = ms / 1000;
	tv.tv_usec = (suseconds_t)(ms % 1000) * 1000;
	event_add(s->retry, &tv);
	imap_client_wake(c);
}

static void session_ready(struct imap_client *c)
{
	c->session.state = SESSION_READY;
	c->session.attempts = 0;
	imap_client_wake(c);
}

/* After a loss of the channel: the selected mailbox again. */
static void on_selected_again(struct result *r, void *ctx)
{
	struct imap_client *c = ctx;
	struct err e = {0};

	if (r->code == ERR_NOTFOUND ||
		(r->code == ERR_NONE && result_uint(r, "uidvalidity") != c->mbox.uidvalidity)) {
		c->mbox.gone = true;
	} else if (r->code != ERR_NONE) {
		result_err(r, &e);
		session_failed(c, &e);
		return;
	} else if (imap_mailbox_load(c, r, true, &e) < 0) {
		log_error("imap-state-bad", "error", LOG_ERR(&e), NULL);
		imap_client_bye(c, "SERVERBUG", "Internal error");
		return;
	}
	c->sync_wanted = true;
	session_ready(c);
}

static void on_attached(struct result *r, void *ctx)
{
	struct imap_client *c = ctx;
	struct imap_session *s = &c->session;
	struct err e = {0};
	struct call *call;

	if (r->code != ERR_NONE) {
		result_err(r, &e);
		log_warning("imap-attach-failed", "user", LOG_ADDR(c->user), "error", LOG_ERR(&e),
			NULL);
		session_failed(c, &e);
		return;
	}
	mem_free(s->grant);
	s->grant = mem_strdup(result_str(r, "grant"));
	s->account = result_uint(r, "account");
	s->quota_bytes = result_uint(r, "quota_bytes");
	s->quota_messages = result_uint(r, "quota_messages");
	s->used_bytes = result_uint(r, "used_bytes");
	if (c->handoff != NULL) {
		session_ready(c);
		imap_client_attached(c, NULL);
		return;
	}
	log_info("imap-session-resumed", "user", LOG_ADDR(c->user), NULL);
	if (!c->mbox.selected || c->mbox.gone) {
		session_ready(c);
		return;
	}
	call = call_new(s->channel, "SELECT");
	call_uint(call, "mailbox", c->mbox.id);
	call_uint(call, "readonly", c->mbox.readonly);
	imap_session_send(c, call, on_selected_again);
}

static void session_attach(struct imap_client *c, const char *key, const char *secret)
{
	struct call *call = call_new(c->session.channel, "ATTACH");

	c->session.state = SESSION_ATTACHING;
	call_str(call, key, secret);
	call_str(call, "session", c->trace);
	call_str(call, "protocol", "imap");
	call_str(call, "address", c->address);
	imap_session_send(c, call, on_attached);
}

/* ---- events ---- */

void imap_mailbox_set_keywords(struct imap_client *c, struct span names)
{
	struct imap_mailbox *m = &c->mbox;
	struct span name;

	while (m->n_keywords > 0)
		mem_free(m->keywords[--m->n_keywords]);
	while (names.n > 0 && m->n_keywords < FLAG_KEYWORDS) {
		size_t n = 0;

		while (n < names.n && names.p[n] != '\n' && names.p[n] != ' ')
			n++;
		name = span_from(names.p, n);
		n += n < names.n;
		names = span_from(names.p + n, names.n - n);
		/* an empty name keeps the place of its bit */
		m->keywords[m->n_keywords++] = mem_dup(name.p, name.n);
	}
}

static void add_recent(struct imap_client *c, uint64_t first, uint64_t uidnext)
{
	if (first != 0 && first < uidnext && uidnext <= UINT32_MAX)
		uidset_add(&c->mbox.recent, (uint32_t)first, (uint32_t)uidnext - 1);
}

static void on_change(struct imap_client *c, const struct result *r)
{
	struct err e = {0};

	if (view_apply(&c->mbox.view, r->body, &e) < 0) {
		log_error("imap-state-bad", "error", LOG_ERR(&e), NULL);
		imap_client_bye(c, "SERVERBUG", "Internal error");
		return;
	}
	if (result_uint(r, "modseq") > c->mbox.view.modseq)
		c->mbox.view.modseq = result_uint(r, "modseq");
	if (result_uint(r, "uidnext") > c->mbox.view.uidnext)
		c->mbox.view.uidnext = (uint32_t)result_uint(r, "uidnext");
	add_recent(c, result_uint(r, "recent"), c->mbox.view.uidnext);
	c->sync_wanted = true;
}

static void on_base(struct imap_client *c, const struct result *r)
{
	struct mailbox_base base;
	struct err e = {0};

	if (r->fd < 0 || mailbox_base_open(r->fd, &base, &e) < 0) {
		log_error("imap-base-bad", "error", LOG_ERR(&e), NULL);
		return; /* the old one still serves */
	}
	view_rebase(&c->mbox.view, &base);
}

static void on_event(struct client *ch, const char *event, const struct result *r, void *ctx)
{
	struct imap_client *c = ctx;
	bool ours = c->mbox.selected && result_uint(r, "mailbox") == c->mbox.id;

	(void)ch;
	log_trace(c->trace);
	if (strcmp(event, "KICK") == 0) {
		c->session.voided = true;
		imap_client_bye(c, "UNAVAILABLE", "The session was ended by the administrator");
	} else if (strcmp(event, "CHANGE") == 0 && ours) {
		on_change(c, r);
	} else if (strcmp(event, "BASE") == 0 && ours) {
		on_base(c, r);
	} else if (strcmp(event, "KEYWORDS") == 0 && ours) {
		imap_mailbox_set_keywords(c, r->body);
		c->mbox.keywords_changed = c->sync_wanted = true;
	} else if (strcmp(event, "GONE") == 0 && ours) {
		c->mbox.gone = true;
	}
	if (c->idling && c->sync_wanted)
		imap_client_wake(c);
}

static void on_close(struct client *ch, void *ctx)
{
	struct imap_client *c = ctx;
	struct err e = {0};

	(void)ch;
	if (c->closing)
		return;
	log_trace(c->trace);
	err_set(&e, ERR_TEMP, "the channel to indexer has closed");
	if (c->session.state != SESSION_DOWN)
		session_failed(c, &e);
}

static void session_open_channel(struct imap_client *c)
{
	struct client_def def = {
		.role = "indexer/session",
		.on_close = on_close,
		.on_event = on_event,
		.ctx = c,
	};

	struct client *old = c->session.channel;

	c->session.channel = NULL;
	if (old != NULL)
		client_free(old);
	if (service_peer(c->server->svc, def.role, &def.path, &def.token) == 0)
		c->session.channel = client_new(service_base(c->server->svc), &def);
}

static void on_retry(evutil_socket_t fd, short what, void *ctx)
{
	struct imap_client *c = ctx;

	(void)fd;
	(void)what;
	log_trace(c->trace);
	if (c->closing)
		return;
	session_open_channel(c);
	if (c->session.channel != NULL && c->session.grant != NULL)
		session_attach(c, "grant", c->session.grant);
}

int imap_session_open(struct imap_client *c, const char *ticket)
{
	c->session.retry = event_new(service_base(c->server->svc), -1, 0, on_retry, c);
	session_open_channel(c);
	if (c->session.channel == NULL)
		return -1;
	session_attach(c, "ticket", ticket);
	return 0;
}

struct call *imap_session_call(struct imap_client *c, const char *verb)
{
	struct call *call;

	if (c->session.state != SESSION_READY) {
		imap_cmd_no(c, "UNAVAILABLE", "The mail store is not available, try again later");
		return NULL;
	}
	call = call_new(c->session.channel, verb);
	return call;
}

void imap_session_send(struct imap_client *c, struct call *call, call_cb *cb)
{
	call_trace(call, c->trace);
	(void)call_send(call, IMAP_CALL_MS, cb, c);
}

/* ---- mailboxes ---- */

static uint64_t field_u64(struct span *line)
{
	struct span field;
	uint64_t v = 0;

	if (!span_cut(line, '\t', &field) || !num_u64(field, &v))
		return 0;
	return v;
}

bool mailbox_info_next(struct span *lines, struct arena *arena, struct mailbox_info *info_r)
{
	struct span line, name, attrs, special;
	struct buf plain;

	memset(info_r, 0, sizeof(*info_r));
	if (lines->n == 0 || !span_cut(lines, '\n', &line) || line.n == 0)
		return false;
	info_r->id = field_u64(&line);
	if (!span_cut(&line, '\t', &name) || !span_cut(&line, '\t', &attrs))
		return false;
	buf_init(&plain);
	(void)channel_unescape(&plain, name);
	info_r->name = arena_dup(arena, plain.data, plain.len);
	buf_clear(&plain);
	info_r->noselect = attrs.n > 0 && memchr(attrs.p, 'N', attrs.n) != NULL;
	info_r->uidvalidity = (uint32_t)field_u64(&line);
	info_r->uidnext = (uint32_t)field_u64(&line);
	info_r->messages = field_u64(&line);
	info_r->unseen = field_u64(&line);
	info_r->deleted = field_u64(&line);
	info_r->size = field_u64(&line);
	info_r->highestmodseq = field_u64(&line);
	info_r->subscribed = field_u64(&line) != 0;
	if (span_cut(&line, '\t', &special) && special.n > 1)
		info_r->special = arena_dup(arena, special.p, special.n);
	return true;
}

void imap_mailbox_close(struct imap_client *c)
{
	struct imap_mailbox *m = &c->mbox;

	view_clear(&m->view);
	uidset_clear(&m->recent);
	imap_mailbox_set_keywords(c, span_from("", 0));
	mem_free(m->name);
	memset(m, 0, sizeof(*m));
	view_init(&m->view);
	uidset_init(&m->recent);
}

int imap_mailbox_load(struct imap_client *c, struct result *r, bool again, struct err *e)
{
	struct mailbox_base base;
	struct span log = r->body, keywords;
	int bad;

	if (r->fd < 0)
		return err_set(e, ERR_PROTO, "SELECT without a base");
	if (!span_get_block(&log, &keywords))
		return err_set(e, ERR_PROTO, "SELECT without keywords");
	if (mailbox_base_open(r->fd, &base, e) < 0)
		return -1;
	imap_mailbox_set_keywords(c, keywords);
	c->mbox.keywords_changed = again;
	bad = again ? view_reload(&c->mbox.view, &base, log, e)
		    : view_load(&c->mbox.view, &base, log, e);
	if (bad < 0)
		return -1;
	if (result_uint(r, "modseq") > c->mbox.view.modseq)
		c->mbox.view.modseq = result_uint(r, "modseq");
	if (result_uint(r, "uidnext") > c->mbox.view.uidnext)
		c->mbox.view.uidnext = (uint32_t)result_uint(r, "uidnext");
	if (!again)
		c->mbox.view.limit = c->mbox.view.uidnext;
	add_recent(c, result_uint(r, "recent"), c->mbox.view.uidnext);
	return 0;
}
