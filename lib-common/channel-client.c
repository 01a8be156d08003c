/* The asking end: calls are numbered, answered in any order, each within its time. */
#include "lib-common/channel-internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKOFF_MIN_MS 50
#define BACKOFF_MAX_MS 2000
#define TABLE_SIZE 64 /* of open calls; a power of two, chains hang off it */

struct pending {
	struct pending *chain;	      /* same slot of the table */
	struct pending *next, **prev; /* all, in order of their sending */
	uint64_t tag, expires_ms;
	call_cb *cb;
	void *ctx;
};

struct client {
	struct conn conn;
	struct event_base *base;
	struct client_def def;
	char *role, *path, *token;
	bool connected, open; /* open: the peer's handshake was right */
	bool freed;
	unsigned busy;
	struct event *retry_timer, *expire_timer;
	unsigned backoff_ms;
	uint64_t next_tag, expire_at_ms;
	struct pending *table[TABLE_SIZE];
	struct pending *first, **last;
	unsigned in_flight;
	struct call *waiting, **waiting_last; /* made while there is no connection */
	struct arena *arena;
	bool arena_busy;
};

struct call {
	struct call *next;
	struct client *client;
	uint64_t tag;
	struct buf line, body;
	struct span body_span;
	char trace[TRACE_ID_SIZE];
	int fd;
	bool close_fd;
	uint64_t expires_ms;
};

static void client_connect(struct client *c);
static void client_expire_schedule(struct client *c, uint64_t at_ms);

static void pending_unlink(struct client *c, struct pending *p)
{
	struct pending **slot = &c->table[p->tag % TABLE_SIZE];

	while (*slot != p)
		slot = &(*slot)->chain;
	*slot = p->chain;
	*p->prev = p->next;
	if (p->next != NULL)
		p->next->prev = p->prev;
	else
		c->last = p->prev;
	c->in_flight--;
}

static struct pending *pending_find(struct client *c, uint64_t tag)
{
	struct pending *p = c->table[tag % TABLE_SIZE];

	while (p != NULL && p->tag != tag)
		p = p->chain;
	return p;
}

static void pending_answer(struct client *c, struct pending *p, struct result *r)
{
	call_cb *cb = p->cb;
	void *ctx = p->ctx;

	pending_unlink(c, p);
	mem_free(p);
	if (cb != NULL)
		cb(r, ctx);
}

static void pending_fail(struct client *c, struct pending *p, const char *text)
{
	struct result r = {.code = ERR_TEMP, .text = span_of(text), .body = {"", 0}, .fd = -1};

	pending_answer(c, p, &r);
}

static void call_free(struct call *call)
{
	if (call->fd >= 0 && call->close_fd)
		(void)close(call->fd);
	buf_wipe(&call->line);
	buf_clear(&call->body);
	mem_free(call);
}

static void client_release(struct client *c)
{
	if (!c->freed || c->busy > 0)
		return;
	event_free(c->retry_timer);
	event_free(c->expire_timer);
	arena_free(c->arena);
	mem_free(c->role);
	mem_free(c->path);
	mem_free(c->token);
	mem_free(c);
}

static void waiting_drop(struct client *c)
{
	struct call *call;

	while ((call = c->waiting) != NULL) {
		c->waiting = call->next;
		call_free(call);
	}
	c->waiting_last = &c->waiting;
}

/* Answers all that is open; calls that its callbacks make are not among them. */
static void client_fail_all(struct client *c, const char *text)
{
	uint64_t end = c->next_tag;

	c->busy++;
	while (c->first != NULL && c->first->tag < end)
		pending_fail(c, c->first, text);
	c->busy--;
}

static void client_disconnect(struct client *c)
{
	if (!c->connected)
		return;
	c->connected = false;
	c->open = false;
	c->conn.dead = true;
	conn_clear(&c->conn);
}

/* Sent calls are lost with the connection; those that still wait for one are not. */
static void client_fail_sent(struct client *c)
{
	uint64_t end = c->waiting == NULL ? c->next_tag : c->waiting->tag;

	c->busy++;
	while (!c->freed && c->first != NULL && c->first->tag < end)
		pending_fail(c, c->first, "connection lost");
	c->busy--;
}

static void client_schedule_retry(struct client *c)
{
	unsigned jitter = (unsigned)random() % (c->backoff_ms / 2 + 1);
	unsigned ms = c->backoff_ms / 2 + jitter;
	struct timeval tv = {ms / 1000, (ms % 1000) * 1000};

	c->backoff_ms = c->backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : c->backoff_ms * 2;
	(void)event_add(c->retry_timer, &tv);
}

static void client_lost(struct client *c, const char *why)
{
	bool was_open = c->open;

	if (strncmp(why, "peer", 4) != 0)
		log_warning("channel-lost", "role", LOG_STR(c->role), "reason", LOG_STR(why), NULL);
	c->busy++;
	client_disconnect(c);
	if (c->def.reconnect)
		client_schedule_retry(c);
	client_fail_sent(c);
	if (!c->def.reconnect && !c->freed) {
		waiting_drop(c);
		client_fail_all(c, "connection lost");
	}
	if (!c->freed && c->def.on_close != NULL && (was_open || !c->def.reconnect))
		c->def.on_close(c, c->def.ctx);
	c->busy--;
	client_release(c);
}

static void client_on_enter(struct conn *conn)
{
	struct client *c = conn->ctx;

	c->busy++;
}

static void client_on_leave(struct conn *conn)
{
	struct client *c = conn->ctx;

	c->busy--;
	client_release(c);
}

static void client_on_end(struct conn *conn, const char *why)
{
	client_lost(conn->ctx, why);
}

static void call_transmit(struct client *c, struct call *call)
{
	uint64_t now = clock_boot_ms();
	struct span body = call->body_span.p != NULL ? call->body_span : buf_span(&call->body);

	buf_printf(&call->line, "\tdeadline=%llu",
		(unsigned long long)(call->expires_ms > now ? call->expires_ms - now : 1));
	if (call->trace[0] != '\0')
		buf_printf(&call->line, "\ttrace=%s", call->trace);
	if (call->line.len + 64 > CHANNEL_LINE_MAX ||
		conn_send_message(&c->conn, &call->line, body, call->fd, call->close_fd) < 0) {
		struct pending *p = pending_find(c, call->tag);

		/* Its answer comes with the timer's next turn: never before call_send returns. */
		if (p != NULL)
			p->expires_ms = 0;
		client_expire_schedule(c, now);
	} else {
		call->fd = -1;
	}
	call_free(call);
}

static int client_on_hello(struct conn *conn, struct span line)
{
	struct client *c = conn->ctx;
	struct span magic = {NULL, 0}, role = {NULL, 0}, version = {NULL, 0}, field;
	uint64_t major;
	struct call *call;

	(void)span_cut(&line, '\t', &magic);
	(void)span_cut(&line, '\t', &role);
	(void)span_cut(&line, '\t', &version);
	if (!span_is(magic, "LIGHTMAIL") || !span_is(role, c->role) ||
		!span_cut(&version, '.', &field) || !num_u64(field, &major) ||
		major != CHANNEL_MAJOR)
		return -1;
	c->open = true;
	c->backoff_ms = BACKOFF_MIN_MS;
	c->busy++;
	if (c->def.on_open != NULL)
		c->def.on_open(c, c->def.ctx);
	while (c->connected && (call = c->waiting) != NULL) {
		c->waiting = call->next;
		if (c->waiting == NULL)
			c->waiting_last = &c->waiting;
		if (pending_find(c, call->tag) == NULL)
			call_free(call); /* its time ran out */
		else
			call_transmit(c, call);
	}
	c->busy--;
	return 0;
}

static struct arena *client_take_arena(struct conn *conn)
{
	struct client *c = conn->ctx;

	if (c->arena_busy)
		return arena_new();
	c->arena_busy = true;
	return c->arena;
}

static void client_put_arena(struct conn *conn, struct arena *a)
{
	struct client *c = conn->ctx;

	if (a != c->arena) {
		arena_free(a);
		return;
	}
	arena_reset(a);
	c->arena_busy = false;
}

static void result_from(struct conn_message *m, struct result *r_r)
{
	const struct channel_param *p;

	*r_r = (struct result){.params = m->line.params,
		.n_params = m->line.n_params,
		.text = {"", 0},
		.body = m->body,
		.fd = m->fd};
	if (span_is(m->line.word, "OK") || span_is(m->line.tag, "*"))
		return;
	p = channel_param_find(m->line.params, m->line.n_params, "code");
	r_r->code = p == NULL ? ERR_TEMP : err_code_of(p->value);
	if (r_r->code == ERR_NONE)
		r_r->code = ERR_TEMP;
	p = channel_param_find(m->line.params, m->line.n_params, "text");
	if (p != NULL)
		r_r->text = p->value;
}

static int client_on_message(struct conn *conn, struct arena *a, struct conn_message *m)
{
	struct client *c = conn->ctx;
	struct pending *p;
	struct result r;
	char event[64];
	uint64_t tag;
	int status = 0;

	result_from(m, &r);
	c->busy++;
	if (span_is(m->line.tag, "*")) {
		(void)snprintf(event, sizeof(event), "%.*s", (int)m->line.word.n, m->line.word.p);
		if (c->def.on_event != NULL)
			c->def.on_event(c, event, &r, c->def.ctx);
	} else if (!num_u64(m->line.tag, &tag) || tag >= c->next_tag) {
		status = -1;
	} else if ((p = pending_find(c, tag)) != NULL) {
		pending_answer(c, p, &r);
	} /* else its time ran out, and it was answered then */
	m->fd = r.fd;
	conn_message_release(m);
	client_put_arena(conn, a);
	c->busy--;
	return status;
}

static bool client_dial(struct client *c, int *fd_r)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	if (strlen(c->path) >= sizeof(sa.sun_path))
		return false;
	memcpy(sa.sun_path, c->path, strlen(c->path) + 1);
	*fd_r = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (*fd_r < 0)
		return false;
	/* EAGAIN: the backlog is full. Unix sockets never answer EINPROGRESS. */
	if (connect(*fd_r, (struct sockaddr *)&sa, sizeof(sa)) == 0)
		return true;
	(void)close(*fd_r);
	return false;
}

static void client_adopt(struct client *c, int fd)
{
	struct buf line;

	conn_init(&c->conn, c->base, fd);
	c->conn.ctx = c;
	c->conn.on_hello = client_on_hello;
	c->conn.on_message = client_on_message;
	c->conn.take_arena = client_take_arena;
	c->conn.put_arena = client_put_arena;
	c->conn.on_end = client_on_end;
	c->conn.on_enter = client_on_enter;
	c->conn.on_leave = client_on_leave;
	c->connected = true;
	buf_init(&line);
	buf_printf(&line, "LIGHTMAIL\t%s\t%d.%d", c->role, CHANNEL_MAJOR, CHANNEL_MINOR);
	if (c->token != NULL)
		channel_add_param(&line, "token", span_of(c->token));
	buf_add_c(&line, '\n');
	conn_send(&c->conn, buf_span(&line), span_from(NULL, 0), NULL, NULL, 0);
	buf_wipe(&line);
}

static void client_connect(struct client *c)
{
	int fd;

	if (client_dial(c, &fd))
		client_adopt(c, fd);
	else
		client_schedule_retry(c);
}

/* With reconnect it tries for ever. Without, a full backlog or a socket that is not there yet is
 * tried again too, until the calls that wait run out of time: then it is over. */
static void client_on_retry(evutil_socket_t fd, short what, void *ctx)
{
	struct client *c = ctx;

	(void)fd;
	(void)what;
	client_connect(c);
}

/* Calls have few distinct times, so the list is nearly sorted; it is short, and looked at when the
 * earliest may be due. */
static void client_on_expire(evutil_socket_t fd, short what, void *ctx)
{
	struct client *c = ctx;
	uint64_t now = clock_boot_ms(), next = UINT64_MAX;
	struct pending *p, *following;

	(void)fd;
	(void)what;
	c->expire_at_ms = UINT64_MAX;
	c->busy++;
again:
	for (p = c->first; p != NULL; p = following) {
		following = p->next;
		if (p->expires_ms <= now) {
			pending_fail(c, p, "timed out");
			goto again; /* its callback may have changed the list */
		}
		if (p->expires_ms < next)
			next = p->expires_ms;
	}
	if (next != UINT64_MAX && !c->freed)
		client_expire_schedule(c, next);
	c->busy--;
	client_release(c);
}

static void client_expire_schedule(struct client *c, uint64_t at_ms)
{
	uint64_t now = clock_boot_ms(), wait = at_ms > now ? at_ms - now : 0;
	struct timeval tv = {(time_t)(wait / 1000), (suseconds_t)(wait % 1000) * 1000};

	if (at_ms >= c->expire_at_ms)
		return;
	c->expire_at_ms = at_ms;
	(void)event_add(c->expire_timer, &tv);
}

static struct client *client_make(struct event_base *base, const struct client_def *def)
{
	struct client *c = mem_alloc(sizeof(*c));

	c->base = base;
	c->def = *def;
	c->role = mem_strdup(def->role);
	c->path = mem_strdup(def->path == NULL ? "" : def->path);
	c->token = mem_strdup(def->token);
	c->backoff_ms = BACKOFF_MIN_MS;
	c->next_tag = 1;
	c->expire_at_ms = UINT64_MAX;
	c->last = &c->first;
	c->waiting_last = &c->waiting;
	c->arena = arena_new();
	c->retry_timer = evtimer_new(base, client_on_retry, c);
	c->expire_timer = evtimer_new(base, client_on_expire, c);
	return c;
}

struct client *client_new(struct event_base *base, const struct client_def *def)
{
	struct client *c = client_make(base, def);

	client_connect(c);
	return c;
}

struct client *client_new_fd(struct event_base *base, const struct client_def *def, int fd)
{
	struct client *c = client_make(base, def);

	client_adopt(c, fd);
	return c;
}

void client_free(struct client *c)
{
	if (c == NULL || c->freed)
		return;
	c->freed = true;
	c->def.on_close = NULL;
	c->def.on_event = NULL;
	(void)event_del(c->retry_timer);
	(void)event_del(c->expire_timer);
	if (c->connected)
		c->conn.dead = true;
	waiting_drop(c);
	client_fail_all(c, "closed");
	client_disconnect(c);
	client_release(c);
}

bool client_is_open(const struct client *c)
{
	return c->open;
}

unsigned client_in_flight(const struct client *c)
{
	return c->in_flight;
}

size_t client_output_pending(const struct client *c)
{
	return c->connected ? conn_pending(&c->conn) : 0;
}

int client_fd(const struct client *c)
{
	return c->connected ? c->conn.fd : -1;
}

struct call *call_new(struct client *c, const char *verb)
{
	struct call *call = mem_alloc(sizeof(*call));

	call->client = c;
	call->tag = c->next_tag++;
	call->fd = -1;
	buf_printf(&call->line, "%llu\t%s", (unsigned long long)call->tag, verb);
	return call;
}

void call_span(struct call *call, const char *key, struct span value)
{
	channel_add_param(&call->line, key, value);
}

void call_str(struct call *call, const char *key, const char *value)
{
	call_span(call, key, span_of(value == NULL ? "" : value));
}

void call_uint(struct call *call, const char *key, uint64_t value)
{
	buf_printf(&call->line, "\t%s=%llu", key, (unsigned long long)value);
}

void call_int(struct call *call, const char *key, int64_t value)
{
	buf_printf(&call->line, "\t%s=%lld", key, (long long)value);
}

void call_hex(struct call *call, const char *key, const void *data, size_t n)
{
	buf_printf(&call->line, "\t%s=", key);
	buf_add_hex(&call->line, data, n);
}

void call_trace(struct call *call, const char *trace_id)
{
	(void)snprintf(call->trace, sizeof(call->trace), "%s", trace_id == NULL ? "" : trace_id);
}

struct buf *call_body(struct call *call)
{
	return &call->body;
}

void call_body_span(struct call *call, struct span body)
{
	call->body_span = body;
}

void call_fd(struct call *call, int fd, bool close_after)
{
	call->fd = fd;
	call->close_fd = close_after;
}

uint64_t call_tag(const struct call *call)
{
	return call->tag;
}

static void call_queue(struct client *c, struct call *call)
{
	/* It waits for a connection: what it points to may be gone by then. */
	if (call->body_span.p != NULL) {
		buf_add_span(&call->body, call->body_span);
		call->body_span = span_from(NULL, 0);
	}
	if (call->fd >= 0 && !call->close_fd) {
		call->fd = dup(call->fd);
		call->close_fd = true;
	}
	*c->waiting_last = call;
	c->waiting_last = &call->next;
}

uint64_t call_send(struct call *call, uint64_t timeout_ms, call_cb *cb, void *ctx)
{
	struct client *c = call->client;
	struct pending *p = mem_alloc(sizeof(*p));
	struct pending **slot = &c->table[call->tag % TABLE_SIZE];
	uint64_t tag = call->tag;
	bool over = !c->def.reconnect && !c->connected &&
		    !event_pending(c->retry_timer, EV_TIMEOUT, NULL);

	p->tag = tag;
	p->cb = cb;
	p->ctx = ctx;
	p->expires_ms = over ? 0 : clock_boot_ms() + timeout_ms;
	call->expires_ms = p->expires_ms;
	p->chain = *slot;
	*slot = p;
	p->prev = c->last;
	*c->last = p;
	c->last = &p->next;
	c->in_flight++;
	client_expire_schedule(c, p->expires_ms);
	if (over)
		call_free(call);
	else if (c->open)
		call_transmit(c, call);
	else
		call_queue(c, call);
	return tag;
}

void client_forget(struct client *c, const void *ctx)
{
	if (c == NULL)
		return;
	for (struct pending *p = c->first; p != NULL; p = p->next) {
		if (p->ctx == ctx)
			p->cb = NULL;
	}
}

struct span result_span(const struct result *r, const char *key)
{
	const struct channel_param *p = channel_param_find(r->params, r->n_params, key);

	return p == NULL ? span_from("", 0) : p->value;
}

bool result_has(const struct result *r, const char *key)
{
	return channel_param_find(r->params, r->n_params, key) != NULL;
}

/* A value's text is followed by a TAB or LF in the input buffer, or by a NUL in an arena: a copy is
 * needed for a C string. A few live at a time, in the order of their making. */
const char *result_str(const struct result *r, const char *key)
{
	static struct buf ring[16];
	static unsigned at;
	struct buf *b = &ring[at++ % array_count(ring)];

	buf_empty(b);
	buf_add_span(b, result_span(r, key));
	return buf_str(b);
}

uint64_t result_uint(const struct result *r, const char *key)
{
	uint64_t v = 0;

	(void)num_u64(result_span(r, key), &v);
	return v;
}

int64_t result_int(const struct result *r, const char *key)
{
	int64_t v = 0;

	(void)num_i64(result_span(r, key), &v);
	return v;
}

void result_err(const struct result *r, struct err *e)
{
	(void)err_set(e, r->code, "%.*s", (int)r->text.n, r->text.p);
	(void)err_user(e, "%.*s", (int)r->text.n, r->text.p);
}

/* ---- waiting, for tools ---- */

struct wait {
	bool done;
	struct result *result;
};

static struct span span_copy(struct span s)
{
	return span_from(mem_dup(s.p, s.n), s.n);
}

static void wait_answered(struct result *r, void *ctx)
{
	struct wait *w = ctx;
	struct channel_param *params = mem_alloc_array(r->n_params, sizeof(*params));

	for (size_t i = 0; i < r->n_params; i++) {
		params[i].key = span_copy(r->params[i].key);
		params[i].value = span_copy(r->params[i].value);
	}
	w->result = mem_dup(r, sizeof(*r));
	w->result->params = params;
	w->result->text = span_copy(r->text);
	w->result->body = span_copy(r->body);
	r->fd = -1;
	w->done = true;
}

struct result *call_wait(struct call *call, uint64_t timeout_ms)
{
	struct event_base *base = call->client->base;
	struct wait w = {false, NULL};

	(void)call_send(call, timeout_ms, wait_answered, &w);
	while (!w.done)
		(void)event_base_loop(base, EVLOOP_ONCE);
	return w.result;
}

void result_free(struct result *r)
{
	if (r == NULL)
		return;
	for (size_t i = 0; i < r->n_params; i++) {
		mem_free((void *)(uintptr_t)r->params[i].key.p);
		mem_free((void *)(uintptr_t)r->params[i].value.p);
	}
	mem_free((void *)(uintptr_t)r->params);
	mem_free((void *)(uintptr_t)r->text.p);
	mem_free((void *)(uintptr_t)r->body.p);
	if (r->fd >= 0)
		(void)close(r->fd);
	mem_free(r);
}
