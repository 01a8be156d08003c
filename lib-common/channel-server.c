/* The serving end: requests come in, a handler answers each exactly once, at once or later. */
#include "lib-common/channel-internal.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include "lib-common/metrics.h"

#define IN_FLIGHT_DEFAULT 256
#define HELLO_TIMEOUT_S 10
#define ARENAS_KEPT 8

struct channel {
	struct conn conn;
	const struct role_def *role;
	char *token, *peer;
	void *service, *data;
	struct event *hello_timer;
	bool open, closed; /* closed: kept for its open requests only */
	unsigned in_flight, max_in_flight;
	struct arena *arenas[ARENAS_KEPT];
	unsigned n_arenas;
	unsigned busy; /* callbacks of ours on the stack */
};

struct request {
	struct channel *ch;
	struct arena *arena;
	const struct command_def *command;
	struct conn_message m;
	uint64_t deadline_ms;
	char trace[TRACE_ID_SIZE];
	void *data;
	struct buf reply, body; /* parameters of the answer, and its body */
	int fd;
	bool close_fd;
};

static struct arena *server_take_arena(struct conn *c)
{
	struct channel *ch = c->ctx;

	return ch->n_arenas > 0 ? ch->arenas[--ch->n_arenas] : arena_new();
}

static void server_put_arena(struct conn *c, struct arena *a)
{
	struct channel *ch = c->ctx;

	if (ch->n_arenas == ARENAS_KEPT) {
		arena_free(a);
		return;
	}
	arena_reset(a);
	ch->arenas[ch->n_arenas++] = a;
}

/* The channel goes when its connection is closed and its last request is answered. */
static void channel_release(struct channel *ch)
{
	if (!ch->closed || ch->in_flight > 0 || ch->busy > 0)
		return;
	while (ch->n_arenas > 0)
		arena_free(ch->arenas[--ch->n_arenas]);
	mem_free(ch->token);
	mem_free(ch->peer);
	mem_free(ch);
}

void channel_close(struct channel *ch)
{
	if (ch->closed)
		return;
	ch->closed = true;
	ch->conn.dead = true;
	if (ch->open && ch->role->on_close != NULL) {
		ch->busy++;
		ch->role->on_close(ch);
		ch->busy--;
	}
	event_free(ch->hello_timer);
	conn_clear(&ch->conn);
	channel_release(ch);
}

static void server_on_enter(struct conn *c)
{
	struct channel *ch = c->ctx;

	ch->busy++;
}

static void server_on_leave(struct conn *c)
{
	struct channel *ch = c->ctx;

	ch->busy--;
	channel_release(ch);
}

static void server_on_end(struct conn *c, const char *why)
{
	struct channel *ch = c->ctx;

	if (strncmp(why, "peer", 4) != 0)
		log_warning("channel-closed", "role", LOG_STR(ch->role->name), "peer",
			LOG_STR(ch->peer), "reason", LOG_STR(why), NULL);
	channel_close(ch);
}

static void server_on_hello_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct channel *ch = ctx;

	(void)fd;
	(void)what;
	conn_fail(&ch->conn, "no handshake in time");
}

static bool token_matches(const char *want, struct span got)
{
	size_t n = strlen(want);

	return got.n == n && CRYPTO_memcmp(want, got.p, n) == 0;
}

/* LIGHTMAIL role major.minor [token=hex] */
static int server_on_hello(struct conn *c, struct span line)
{
	struct channel *ch = c->ctx;
	struct span magic = {NULL, 0}, role = {NULL, 0}, version = {NULL, 0}, field,
		    token = {"", 0};
	uint64_t major;

	(void)event_del(ch->hello_timer);
	(void)span_cut(&line, '\t', &magic);
	(void)span_cut(&line, '\t', &role);
	(void)span_cut(&line, '\t', &version);
	while (span_cut(&line, '\t', &field)) {
		if (span_starts_nocase(field, "token="))
			token = span_from(field.p + 6, field.n - 6);
	}
	if (!span_is(magic, "LIGHTMAIL") || !span_is(role, ch->role->name) ||
		!span_cut(&version, '.', &field) || !num_u64(field, &major) ||
		major != CHANNEL_MAJOR) {
		log_warning("channel-bad-handshake", "role", LOG_STR(ch->role->name), "got",
			LOG_SPAN(role), NULL);
		return -1;
	}
	if (ch->token != NULL && !token_matches(ch->token, token)) {
		log_warning("channel-bad-token", "role", LOG_STR(ch->role->name), "peer",
			LOG_STR(ch->peer), NULL);
		return -1;
	}
	ch->open = true;
	if (ch->role->on_open != NULL && ch->role->on_open(ch) < 0)
		return -1;
	return 0;
}

static void channel_update_reading(struct channel *ch)
{
	if (!ch->closed)
		conn_pause(&ch->conn, ch->in_flight >= ch->max_in_flight ||
					      conn_pending(&ch->conn) >= CHANNEL_OUTPUT_MAX);
}

static void server_on_drained(struct conn *c)
{
	channel_update_reading(c->ctx);
}

static bool arg_valid(enum arg_type type, struct span v)
{
	uint64_t u;
	int64_t i;

	switch (type) {
	case ARG_UINT:
		return num_u64(v, &u);
	case ARG_INT:
		return num_i64(v, &i);
	case ARG_FLAG:
		return span_is(v, "0") || span_is(v, "1");
	case ARG_HEX:
		for (size_t k = 0; k < v.n; k++) {
			if (strchr("0123456789abcdef", v.p[k]) == NULL || v.p[k] == '\0')
				return false;
		}
		return v.n % 2 == 0;
	case ARG_STRING:
	case ARG_SECRET:
		break;
	}
	return true;
}

/* NULL: all is as the command's table wants it. */
static const char *request_check(const struct request *req)
{
	const struct command_def *c = req->command;

	for (const struct arg_def *a = c->args; a != NULL && a->name != NULL; a++) {
		const struct channel_param *p = channel_param_find(
			req->m.line.params, req->m.line.n_params, a->name);

		if (p == NULL && a->required)
			return a->name;
		if (p != NULL && !arg_valid(a->type, p->value))
			return a->name;
	}
	if (c->body == COMMAND_BODY_REQUIRED && req->m.body.n == 0)
		return "body";
	if (c->body == COMMAND_BODY_NONE && req->m.body.n > 0)
		return "body";
	if ((c->fd == COMMAND_FD_REQUIRED && req->m.fd < 0) ||
		(c->fd == COMMAND_FD_NONE && req->m.fd >= 0))
		return "fd";
	return NULL;
}

static void request_take_common(struct request *req)
{
	struct span trace = request_span(req, "trace");
	uint64_t left = request_uint(req, "deadline");

	if (trace_id_valid(trace)) {
		memcpy(req->trace, trace.p, trace.n);
		req->trace[trace.n] = '\0';
	}
	if (left > 0)
		req->deadline_ms = clock_boot_ms() + left;
}

static void request_dispatch(struct request *req)
{
	const struct command_def *c = req->ch->role->commands;
	const char *bad;

	while (c->verb != NULL && !span_is(req->m.line.word, c->verb))
		c++;
	if (c->verb == NULL) {
		reply_code(req, ERR_PERM, "Unknown verb");
		return;
	}
	req->command = c;
	bad = request_check(req);
	if (bad != NULL) {
		char text[80];

		(void)snprintf(text, sizeof(text), "Missing or malformed: %s", bad);
		reply_code(req, ERR_PROTO, text);
		return;
	}
	log_trace(req->trace);
	c->handle(req);
	log_trace(NULL);
}

static int server_on_message(struct conn *c, struct arena *a, struct conn_message *m)
{
	struct channel *ch = c->ctx;
	struct request *req = arena_alloc(a, sizeof(*req));
	uint64_t tag;

	req->ch = ch;
	req->arena = a;
	req->m = *m;
	req->fd = -1;
	ch->in_flight++;
	metric_add(METRIC_CHANNEL_REQUESTS, 1);
	if (!num_u64(m->line.tag, &tag)) {
		conn_message_release(&req->m);
		ch->in_flight--;
		arena_free(a);
		return -1;
	}
	request_take_common(req);
	request_dispatch(req);
	channel_update_reading(ch);
	return 0;
}

static void send_hello(struct conn *c, const char *role, const char *token)
{
	struct buf line;

	buf_init(&line);
	buf_printf(&line, "LIGHTMAIL\t%s\t%d.%d", role, CHANNEL_MAJOR, CHANNEL_MINOR);
	if (token != NULL)
		channel_add_param(&line, "token", span_of(token));
	buf_add_c(&line, '\n');
	conn_send(c, buf_span(&line), span_from(NULL, 0), NULL, NULL, 0);
	buf_wipe(&line);
}

struct channel *channel_accept(struct event_base *base, int fd, const struct role_def *role,
	const char *token, const char *peer, void *service)
{
	struct channel *ch = mem_alloc(sizeof(*ch));
	const struct timeval hello = {HELLO_TIMEOUT_S, 0};

	ch->role = role;
	ch->token = mem_strdup(token);
	ch->peer = mem_strdup(peer == NULL ? "" : peer);
	ch->service = service;
	ch->max_in_flight = role->max_in_flight == 0 ? IN_FLIGHT_DEFAULT : role->max_in_flight;
	conn_init(&ch->conn, base, fd);
	ch->conn.ctx = ch;
	ch->conn.copy_messages = true;
	ch->conn.on_hello = server_on_hello;
	ch->conn.on_message = server_on_message;
	ch->conn.take_arena = server_take_arena;
	ch->conn.put_arena = server_put_arena;
	ch->conn.on_drained = server_on_drained;
	ch->conn.on_end = server_on_end;
	ch->conn.on_enter = server_on_enter;
	ch->conn.on_leave = server_on_leave;
	ch->hello_timer = evtimer_new(base, server_on_hello_timer, ch);
	(void)event_add(ch->hello_timer, &hello);
	send_hello(&ch->conn, role->name, NULL);
	return ch;
}

void *channel_service(const struct channel *ch)
{
	return ch->service;
}

const char *channel_peer(const struct channel *ch)
{
	return ch->peer;
}

const struct role_def *channel_role(const struct channel *ch)
{
	return ch->role;
}

int channel_peer_uid(const struct channel *ch)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (ch->closed || getsockopt(ch->conn.fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return -1;
	return (int)cred.uid;
}

void channel_set_data(struct channel *ch, void *data)
{
	ch->data = data;
}

void *channel_data(const struct channel *ch)
{
	return ch->data;
}

size_t channel_output_pending(const struct channel *ch)
{
	return ch->closed ? 0 : conn_pending(&ch->conn);
}

unsigned channel_in_flight(const struct channel *ch)
{
	return ch->in_flight;
}

void channel_event(struct channel *ch, const char *event, struct span body, ...)
{
	struct buf line;
	const char *key;
	va_list ap;

	if (ch->closed || ch->conn.dead)
		return;
	buf_init(&line);
	buf_printf(&line, "*\t%s", event);
	va_start(ap, body);
	while ((key = va_arg(ap, const char *)) != NULL)
		channel_add_param(&line, key, span_of(va_arg(ap, const char *)));
	va_end(ap);
	if (conn_send_message(&ch->conn, &line, body, -1, false) < 0)
		conn_fail(&ch->conn, "no memory for an event");
	buf_clear(&line);
}

void channel_event_fd(
	struct channel *ch, const char *event, struct span body, int fd, bool close_after, ...)
{
	struct buf line;
	const char *key;
	va_list ap;

	if (ch->closed || ch->conn.dead) {
		if (close_after)
			(void)close(fd);
		return;
	}
	buf_init(&line);
	buf_printf(&line, "*\t%s", event);
	va_start(ap, close_after);
	while ((key = va_arg(ap, const char *)) != NULL)
		channel_add_param(&line, key, span_of(va_arg(ap, const char *)));
	va_end(ap);
	if (conn_send_message(&ch->conn, &line, body, fd, close_after) < 0)
		conn_fail(&ch->conn, "no memory for an event");
	buf_clear(&line);
}

struct channel *request_channel(const struct request *req)
{
	return req->ch;
}

const char *request_verb(const struct request *req)
{
	return req->command == NULL ? "" : req->command->verb;
}

uint64_t request_tag(const struct request *req)
{
	uint64_t tag = 0;

	(void)num_u64(req->m.line.tag, &tag);
	return tag;
}

bool request_has(const struct request *req, const char *key)
{
	return channel_param_find(req->m.line.params, req->m.line.n_params, key) != NULL;
}

struct span request_span(const struct request *req, const char *key)
{
	const struct channel_param *p = channel_param_find(
		req->m.line.params, req->m.line.n_params, key);

	return p == NULL ? span_from("", 0) : p->value;
}

const char *request_str(const struct request *req, const char *key)
{
	struct span v = request_span(req, key);

	return arena_dup(req->arena, v.p, v.n);
}

uint64_t request_uint(const struct request *req, const char *key)
{
	uint64_t v = 0;

	(void)num_u64(request_span(req, key), &v);
	return v;
}

int64_t request_int(const struct request *req, const char *key)
{
	int64_t v = 0;

	(void)num_i64(request_span(req, key), &v);
	return v;
}

struct span request_body(const struct request *req)
{
	return req->m.body;
}

int request_take_fd(struct request *req)
{
	int fd = req->m.fd;

	req->m.fd = -1;
	return fd;
}

struct arena *request_arena(const struct request *req)
{
	return req->arena;
}

uint64_t request_deadline_ms(const struct request *req)
{
	return req->deadline_ms;
}

bool request_expired(const struct request *req)
{
	return req->deadline_ms != 0 && clock_boot_ms() >= req->deadline_ms;
}

bool request_peer_gone(const struct request *req)
{
	return req->ch->closed || req->ch->conn.dead;
}

const char *request_trace(const struct request *req)
{
	return req->trace;
}

void request_set_data(struct request *req, void *data)
{
	req->data = data;
}

void *request_data(const struct request *req)
{
	return req->data;
}

void reply_span(struct request *req, const char *key, struct span value)
{
	channel_add_param(&req->reply, key, value);
}

void reply_str(struct request *req, const char *key, const char *value)
{
	reply_span(req, key, span_of(value));
}

void reply_uint(struct request *req, const char *key, uint64_t value)
{
	buf_printf(&req->reply, "\t%s=%llu", key, (unsigned long long)value);
}

void reply_int(struct request *req, const char *key, int64_t value)
{
	buf_printf(&req->reply, "\t%s=%lld", key, (long long)value);
}

void reply_hex(struct request *req, const char *key, const void *data, size_t n)
{
	buf_printf(&req->reply, "\t%s=", key);
	buf_add_hex(&req->reply, data, n);
}

struct buf *reply_body(struct request *req)
{
	return &req->body;
}

void reply_fd(struct request *req, int fd, bool close_after)
{
	req->fd = fd;
	req->close_fd = close_after;
}

/* The request is gone after this; so may be its channel, when the peer went before. */
static void request_finish(struct request *req, const char *word, struct span body)
{
	struct channel *ch = req->ch;
	struct arena *a = req->arena;
	struct buf line;

	buf_init(&line);
	buf_add_span(&line, req->m.line.tag);
	buf_add_c(&line, '\t');
	buf_add_str(&line, word);
	buf_add_span(&line, buf_span(&req->reply));
	if (request_peer_gone(req)) {
		if (req->fd >= 0 && req->close_fd)
			(void)close(req->fd);
	} else if (line.len + 64 > CHANNEL_LINE_MAX ||
		   conn_send_message(&ch->conn, &line, body, req->fd, req->close_fd) < 0) {
		/* An answer that cannot be sent must not leave the peer waiting. */
		conn_fail(&ch->conn, "answer too large");
	}
	buf_wipe(&line);
	buf_clear(&req->reply);
	buf_clear(&req->body);
	conn_message_release(&req->m);
	ch->in_flight--;
	server_put_arena(&ch->conn, a);
	if (ch->closed)
		channel_release(ch);
	else
		channel_update_reading(ch);
}

void reply_ok(struct request *req)
{
	request_finish(req, "OK", buf_span(&req->body));
}

void reply_code(struct request *req, enum err_code code, const char *text)
{
	buf_empty(&req->reply);
	channel_add_param(&req->reply, "code", span_of(err_code_name(code)));
	if (text != NULL)
		channel_add_param(&req->reply, "text", span_of(text));
	if (req->fd >= 0 && req->close_fd)
		(void)close(req->fd);
	req->fd = -1;
	request_finish(req, err_is_temporary(code) ? "TEMP" : "PERM", span_from(NULL, 0));
}

void reply_fail(struct request *req, const struct err *e)
{
	reply_code(req, e->code, err_user_text(e));
}
