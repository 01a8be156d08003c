#include "lib-common/channel-call.h"
#include "lib-common/mem.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKOFF_MIN_MS 50
#define BACKOFF_MAX_MS 2000
#define CONNECT_PATIENCE_MS 10000 /* with a full backlog, when there is no reconnecting */
#define STEADY_MS 1000		  /* a connection that lasted so long was a good one */
#define LATE_MAX 65536		  /* requests whose time ran out and that were never answered */

/* ---- calls under way ---- */

static void call_run(call_cb *cb, void *ctx, const char *trace, struct result *r)
{
	char outer[TRACE_ID_SIZE];

	if (cb == NULL)
		return;
	memcpy(outer, log_trace_get(), sizeof(outer));
	log_trace(trace);
	cb(r, ctx);
	log_trace(outer);
}

/* Tells a call that is in no list, table or heap any more that it failed. */
static void call_tell_failure(struct call *call, enum err_code code, const char *why)
{
	struct result r = {.code = code, .text = SPAN(""), .why = why, .body = SPAN(""), .fd = -1};
	char trace[TRACE_ID_SIZE];
	call_cb *cb = call->cb;
	void *ctx = call->ctx;

	memcpy(trace, call->trace, sizeof(trace));
	call_free(call);
	call_run(cb, ctx, trace, &r);
}

/* The failure is told from the loop: never inside call_send. */
static void call_fail_later(struct call *call, enum err_code code, const char *why)
{
	struct client *c = call->client;

	client_heap_remove(c, call);
	call_close_fds(call);
	call->state = CALL_FAILED;
	call->code = code;
	call->why = why;
	call_list_add(&c->failed, call);
	if (!c->freed)
		event_active(&c->ev_failed, EV_TIMEOUT, 1);
}

/* Tells the calls that are in the list now; what their callbacks add waits for the next turn. */
static void client_tell_failures(struct client *c)
{
	for (size_t n = c->failed.n; n > 0 && c->failed.first != NULL; n--) {
		struct call *call = c->failed.first;

		call_list_remove(&c->failed, call);
		call_tell_failure(call, call->code, call->why);
	}
}

static void client_set_timer(struct client *c, uint64_t now)
{
	uint64_t at = c->heap_n == 0 ? 0 : c->heap[0]->deadline_ms, left;
	struct timeval tv;

	/* A timer that is early by then only looks and sets itself again: cheaper than moving it
	 * with every answer. */
	if (at == 0 || (c->timer_ms != 0 && c->timer_ms <= at))
		return;
	left = at > now ? at - now : 0;
	tv = (struct timeval){(time_t)(left / 1000), (suseconds_t)(left % 1000 * 1000)};
	c->timer_ms = at;
	(void)event_add(&c->ev_timer, &tv);
}

static void client_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct client *c = arg;
	uint64_t now = clock_boot_ms();

	(void)fd;
	(void)what;
	conn_ref(&c->conn);
	c->timer_ms = 0;
	while (c->heap_n > 0 && c->heap[0]->deadline_ms <= now) {
		struct call *call = c->heap[0];

		client_heap_remove(c, call);
		if (call->state == CALL_SENT) {
			/* It stays in the table, without its callback, for the late answer. */
			struct result r = {.code = ERR_TEMP,
				.text = SPAN(""),
				.why = "no answer in time",
				.body = SPAN(""),
				.fd = -1};
			call_cb *cb = call->cb;

			call->state = CALL_LATE;
			call->cb = NULL;
			c->n_sent--;
			if (++c->n_late > LATE_MAX)
				conn_break(&c->conn, "it does not answer");
			call_run(cb, call->ctx, call->trace, &r);
		} else {
			call_list_remove(&c->waiting, call);
			call_tell_failure(call, ERR_TEMP, "no connection in time");
		}
	}
	if (!c->freed)
		client_set_timer(c, now);
	conn_unref(&c->conn);
}

static void call_transmit(struct call *call, struct span body, uint64_t now)
{
	struct client *c = call->client;
	struct conn_msg msg = {
		.body = body, .body_fd = call->body_fd, .body_len = call->body_len, .fd = call->fd};
	char head[24];
	int n = snprintf(head, sizeof(head), "%llu\t", (unsigned long long)call->tag);

	if (call->deadline_ms != 0)
		channel_put_uint(&call->line, "deadline",
			call->deadline_ms > now ? call->deadline_ms - now : 0);
	if (call->trace[0] != '\0')
		channel_put(&call->line, "trace", span_from(call->trace, TRACE_ID_SIZE - 1));
	msg.head = span_from(head, (size_t)n);
	msg.params = buf_span(&call->line);
	if (!conn_send(&c->conn, &msg)) {
		call_fail_later(call, ERR_LIMIT, "the request line is too long");
		return;
	}
	call->fd = call->body_fd = -1;
	call->state = CALL_SENT;
	call_buf_reset(&call->line);
	buf_clear(&call->body); /* it may wait long */
	client_table_add(c, call);
}

/* The body as it will be sent; what is too large for a line goes into a memfd. */
static bool call_prepare_body(struct call *call, struct span *body_r)
{
	struct span body = call->body_span.p != NULL ? call->body_span : buf_span(&call->body);
	struct err e;

	*body_r = body;
	if (body.n <= CHANNEL_INLINE_MAX)
		return true;
	if (body.n > CHANNEL_BODY_MAX) {
		call_fail_later(call, ERR_LIMIT, "the body is too large");
		return false;
	}
	if ((call->body_fd = channel_body_memfd(body, &e)) < 0) {
		log_warning("body-not-sent", "why", LOG_ERR(&e), NULL);
		call_fail_later(call, ERR_TEMP, "no memfd for the body");
		return false;
	}
	call->body_len = body.n;
	buf_clear(&call->body);
	*body_r = span_from("", 0);
	return true;
}

uint64_t call_send(struct call *call, uint64_t timeout_ms, call_cb *cb, void *ctx)
{
	struct client *c = call->client;
	uint64_t now = clock_boot_ms(), tag = call->tag;
	struct span body;

	call->cb = cb;
	call->ctx = ctx;
	if (timeout_ms != 0 && __builtin_add_overflow(now, timeout_ms, &call->deadline_ms))
		call->deadline_ms = 0;
	if (call->why != NULL) {
		call_fail_later(call, ERR_TEMP, call->why);
		return tag;
	}
	if (c->ended || c->freed) {
		call_fail_later(call, ERR_TEMP, "the connection is closed");
		return tag;
	}
	if (!call_prepare_body(call, &body))
		return tag;
	if (call->deadline_ms != 0) {
		client_heap_add(c, call);
		client_set_timer(c, now);
	}
	if (c->conn.open) {
		call_transmit(call, body, now);
		return tag;
	}
	if (call->body_span.p != NULL && call->body_fd < 0) {
		buf_empty(&call->body);
		buf_add_span(&call->body, body);
	}
	call->body_span = (struct span){NULL, 0};
	call->state = CALL_WAITING;
	call_list_add(&c->waiting, call);
	return tag;
}

/* ---- answers ---- */

static void result_set_failure(struct result *r, bool temporary)
{
	struct span code = result_span(r, "code");

	r->code = err_code_of(code);
	r->text = result_span(r, "text");
	/* The status decides what kind of failure it is, the code says more. */
	if (temporary != err_is_temporary(r->code) || r->code == ERR_NONE)
		r->code = temporary ? ERR_TEMP : ERR_PERM;
}

static void client_event(struct client *c, struct channel_line *line, const struct result *r)
{
	if (c->def.on_event != NULL)
		c->def.on_event(c, line->word.p, r, c->def.ctx);
}

static const char *client_frame(struct conn *conn, struct channel_line *line)
{
	struct client *c = (struct client *)conn;
	struct result r = {.params = line->params,
		.n_params = line->n_params,
		.text = SPAN(""),
		.body = line->body,
		.fd = line->fd};
	char trace[TRACE_ID_SIZE];
	struct call *call;
	call_cb *cb;
	void *ctx;
	uint64_t tag;
	bool temporary = span_equal(line->word, SPAN("TEMP"));

	if (line->tag.n == 1 && line->tag.p[0] == '*') {
		client_event(c, line, &r);
		return NULL;
	}
	if (!num_u64(line->tag, &tag))
		return "a tag that is not a number";
	if (!temporary && !span_equal(line->word, SPAN("OK")) &&
		!span_equal(line->word, SPAN("PERM")))
		return "an unknown status";
	if ((call = client_table_take(c, tag)) == NULL)
		return "an answer that nobody waits for";
	client_heap_remove(c, call);
	if (line->word.n > 2)
		result_set_failure(&r, temporary);
	cb = call->cb;
	ctx = call->ctx;
	memcpy(trace, call->trace, sizeof(trace));
	call_free(call);
	call_run(cb, ctx, trace, &r);
	line->fd = r.fd;
	return NULL;
}

/* ---- the connection ---- */

static void client_retry(struct client *c)
{
	unsigned wait = c->backoff_ms < BACKOFF_MIN_MS ? BACKOFF_MIN_MS : c->backoff_ms;
	struct timeval tv;

	c->backoff_ms = wait * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : wait * 2;
	/* Some spread, so that all peers of a restarted service do not come at the same moment. */
	wait = wait * 3 / 4 + (unsigned)(clock_boot_us() * 2654435761u >> 8) % (wait / 2);
	tv = (struct timeval){wait / 1000, wait % 1000 * 1000};
	(void)event_add(&c->ev_connect, &tv);
}

/* All sent calls fail; the late ones are only forgotten. */
static void client_fail_sent(struct client *c, const char *why)
{
	for (size_t i = 0; i < c->table_size; i++) {
		struct call *call;

		while ((call = c->table[i]) != NULL) {
			c->table[i] = call->next;
			if (call->state == CALL_SENT)
				call_fail_later(call, ERR_TEMP, why);
			else
				call_free(call);
		}
	}
	c->n_sent = c->n_late = 0;
}

static void client_fail_waiting(struct client *c, const char *why)
{
	struct call *call;

	while ((call = c->waiting.first) != NULL) {
		call_list_remove(&c->waiting, call);
		call_fail_later(call, ERR_TEMP, why);
	}
}

/* No connection any more and none to come. */
static void client_end(struct client *c)
{
	c->ended = true;
	c->close_untold = true;
	client_fail_waiting(c, "the connection is closed");
	event_active(&c->ev_failed, EV_TIMEOUT, 1);
}

static void client_on_failed(evutil_socket_t fd, short what, void *arg)
{
	struct client *c = arg;

	(void)fd;
	(void)what;
	conn_ref(&c->conn);
	client_tell_failures(c);
	if (c->close_untold && !c->freed) {
		c->close_untold = false;
		if (c->def.on_close != NULL)
			c->def.on_close(c, c->def.ctx);
	}
	conn_unref(&c->conn);
}

static void client_lost(struct conn *conn, const char *why)
{
	struct client *c = (struct client *)conn;

	if (why != NULL && !c->complained) {
		log_warning("peer-misbehaved", "role", LOG_STR(c->role), "path", LOG_STR(c->path),
			"why", LOG_STR(why), NULL);
		c->complained = true;
	}
	c->close_untold = c->told_open;
	c->told_open = false;
	client_fail_sent(c, "the connection broke");
	event_active(&c->ev_failed, EV_TIMEOUT, 1);
	if (!c->def.reconnect) {
		client_end(c);
		return;
	}
	if (clock_boot_ms() - conn->since_ms >= STEADY_MS)
		c->backoff_ms = 0;
	client_retry(c);
}

static const char *client_handshake(struct conn *conn, struct span line)
{
	struct client *c = (struct client *)conn;
	struct span word, role, version, major;
	struct call *call;
	uint64_t now;
	uint32_t v;

	if (!span_cut(&line, '\t', &word) || !span_equal(word, SPAN("LIGHTMAIL")) ||
		!span_cut(&line, '\t', &role) || !span_cut(&line, '\t', &version))
		return "no handshake";
	if (!span_is(role, c->role))
		return "another role";
	if (!span_cut(&version, '.', &major) || !num_u32(major, &v) || v != CHANNEL_MAJOR)
		return "another major version";
	conn_opened(conn);
	c->complained = false;
	c->told_open = true;
	now = clock_boot_ms();
	while ((call = c->waiting.first) != NULL) {
		call_list_remove(&c->waiting, call);
		call_transmit(call, buf_span(&call->body), now);
	}
	if (c->def.on_open != NULL)
		c->def.on_open(c, c->def.ctx);
	return NULL;
}

static bool client_may_read(const struct conn *conn)
{
	(void)conn;
	return true;
}

static void client_destroy(struct conn *conn)
{
	struct client *c = (struct client *)conn;

	assert(c->freed);
	if (c->token != NULL)
		mem_wipe(c->token, strlen(c->token));
	mem_free(c->role);
	mem_free(c->path);
	mem_free(c->token);
	mem_free(c->table);
	mem_free(c->heap);
	mem_free(c);
}

static const struct conn_ops client_ops = {
	.handshake = client_handshake,
	.frame = client_frame,
	.may_read = client_may_read,
	.lost = client_lost,
	.destroy = client_destroy,
};

static void client_start(struct client *c, int fd)
{
	struct buf hello = {0};

	/* No limit on the handshake: a server at its process limit lets us wait in its queue, and a
	 * new connection would only lose our place. */
	conn_start(&c->conn, fd, true, 0);
	buf_printf(&hello, "LIGHTMAIL\t%s\t%d.%d", c->role, CHANNEL_MAJOR, CHANNEL_MINOR);
	if (c->token != NULL)
		buf_printf(&hello, "\ttoken=%s", c->token);
	buf_add_c(&hello, '\n');
	conn_send_raw(&c->conn, buf_span(&hello));
	buf_wipe(&hello);
}

static int client_open_socket(struct client *c)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	size_t n = strlen(c->path);
	int fd;

	if (n >= sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(sun.sun_path, c->path, n);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0) {
		int saved = errno;

		(void)close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

static void client_connect(struct client *c)
{
	int fd = client_open_socket(c);
	bool full = fd < 0 && errno == EAGAIN;

	if (fd >= 0) {
		client_start(c, fd);
		return;
	}
	if (!c->complained) {
		log_warning("peer-unreachable", "role", LOG_STR(c->role), "path", LOG_STR(c->path),
			"why", LOG_STR(strerror(errno)), NULL);
		c->complained = true;
	}
	if (c->def.reconnect || (full && clock_boot_ms() - c->born_ms < CONNECT_PATIENCE_MS))
		client_retry(c);
	else
		client_end(c);
}

static void client_on_connect(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	client_connect(arg);
}

static struct client *client_make(struct event_base *base, const struct client_def *def)
{
	struct client *c = mem_alloc(sizeof(*c));

	conn_init(&c->conn, base, &client_ops);
	c->def = *def;
	c->role = mem_strdup(def->role);
	c->path = mem_strdup(def->path == NULL ? "" : def->path);
	c->token = mem_strdup(def->token);
	c->def.role = c->role;
	c->def.path = c->path;
	c->def.token = c->token;
	c->born_ms = clock_boot_ms();
	(void)event_assign(&c->ev_timer, base, -1, 0, client_on_timer, c);
	(void)event_assign(&c->ev_connect, base, -1, 0, client_on_connect, c);
	(void)event_assign(&c->ev_failed, base, -1, 0, client_on_failed, c);
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

	c->def.reconnect = false;
	client_start(c, fd);
	return c;
}

void client_free(struct client *c)
{
	if (c == NULL || c->freed)
		return;
	c->freed = true;
	conn_close(&c->conn);
	(void)event_del(&c->ev_timer);
	(void)event_del(&c->ev_connect);
	(void)event_del(&c->ev_failed);
	client_fail_sent(c, "the client was closed");
	client_fail_waiting(c, "the client was closed");
	/* Callbacks may still make calls; one that asks again for ever is not followed. */
	for (int i = 0; i < 100 && c->failed.n > 0; i++)
		client_tell_failures(c);
	while (c->failed.first != NULL) {
		struct call *call = c->failed.first;

		call_list_remove(&c->failed, call);
		call_free(call);
	}
	conn_unref(&c->conn);
}

struct event_base *client_base(const struct client *c)
{
	return c->conn.base;
}

struct client *call_client(const struct call *call)
{
	return call->client;
}

bool client_is_open(const struct client *c)
{
	return c->conn.open;
}

unsigned client_in_flight(const struct client *c)
{
	return (unsigned)(c->n_sent + c->waiting.n + c->failed.n);
}

size_t client_output_pending(const struct client *c)
{
	return conn_pending(&c->conn);
}

int client_fd(const struct client *c)
{
	return c->conn.fd;
}

static void list_forget(struct call *call, const void *ctx)
{
	for (; call != NULL; call = call->next) {
		if (call->ctx == ctx)
			call->cb = NULL;
	}
}

void client_forget(struct client *c, const void *ctx)
{
	for (size_t i = 0; i < c->table_size; i++)
		list_forget(c->table[i], ctx);
	list_forget(c->waiting.first, ctx);
	list_forget(c->failed.first, ctx);
}
