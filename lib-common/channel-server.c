#include "lib-common/channel-conn.h"
#include "lib-common/mem.h"
#include "lib-common/metrics.h"

#include <assert.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define IN_FLIGHT_DEFAULT 256
#define EVENT_BACKLOG_MAX (8u << 20) /* a peer that does not read its events */
#define REQUEST_PARAMS 24	     /* without an allocation */
#define REQUEST_POOL_MAX 64
#define REQUEST_KEEP_MAX 16384 /* larger reply buffers are not kept with a pooled request */

struct channel {
	struct conn conn;
	const struct role_def *role;
	char *token, *peer;
	void *service, *data;
	void (*gone)(void *ctx);
	void *gone_ctx;
	unsigned in_flight;
	int uid;
	bool announced; /* on_open has taken it */
};

struct request {
	struct channel *channel;
	const struct command_def *command; /* NULL: an unknown verb */
	struct channel_block *block;	   /* holds all spans */
	uint64_t tag, deadline_ms;
	struct span body;
	void *map;
	int fd, reply_fd;
	bool reply_fd_failed;
	char trace[TRACE_ID_SIZE];
	void *data;
	struct arena *arena;
	struct buf reply, reply_body;
	struct channel_param *params;
	size_t n_params;
	struct channel_param own_params[REQUEST_PARAMS];
	struct request *next; /* in the pool */
};

static __thread struct {
	struct request *first;
	unsigned n;
} request_pool;

/* ---- requests ---- */

static struct request *request_new(struct channel *ch, uint64_t tag)
{
	struct request *req = request_pool.first;

	if (req != NULL) {
		request_pool.first = req->next;
		request_pool.n--;
	} else {
		req = mem_alloc(sizeof(*req));
	}
	req->channel = ch;
	req->command = NULL;
	req->tag = tag;
	req->deadline_ms = 0;
	req->fd = req->reply_fd = -1;
	req->reply_fd_failed = false;
	req->trace[0] = '\0';
	req->data = NULL;
	req->params = req->own_params;
	req->n_params = 0;
	req->block = ch->conn.block;
	channel_block_ref(req->block);
	conn_ref(&ch->conn);
	ch->in_flight++;
	return req;
}

static void request_buf_reset(struct buf *b)
{
	if (b->cap > REQUEST_KEEP_MAX)
		buf_clear(b);
	else
		buf_empty(b);
}

static void request_free(struct request *req)
{
	struct channel *ch = req->channel;

	channel_body_unmap(req->map, req->body.n);
	req->map = NULL;
	if (req->fd >= 0)
		(void)close(req->fd);
	if (req->reply_fd >= 0)
		(void)close(req->reply_fd);
	if (req->arena != NULL)
		arena_reset(req->arena);
	request_buf_reset(&req->reply);
	request_buf_reset(&req->reply_body);
	channel_block_unref(req->block);
	req->block = NULL;
	if (request_pool.n < REQUEST_POOL_MAX) {
		req->next = request_pool.first;
		request_pool.first = req;
		request_pool.n++;
	} else {
		arena_free(req->arena);
		buf_clear(&req->reply);
		buf_clear(&req->reply_body);
		mem_free(req);
	}
	ch->in_flight--;
	conn_trim(&ch->conn);
	conn_resume(&ch->conn);
	conn_unref(&ch->conn);
}

static const struct command_def *role_command(const struct role_def *role, struct span verb)
{
	for (const struct command_def *cmd = role->commands; cmd->verb != NULL; cmd++) {
		if (strncmp(cmd->verb, verb.p, verb.n) == 0 && cmd->verb[verb.n] == '\0')
			return cmd;
	}
	return NULL;
}

static bool arg_valid(enum arg_type type, struct span value)
{
	uint64_t u;
	int64_t i;

	switch (type) {
	case ARG_UINT:
		return num_u64(value, &u);
	case ARG_INT:
		return num_i64(value, &i);
	case ARG_FLAG:
		return value.n == 1 && (value.p[0] == '0' || value.p[0] == '1');
	case ARG_HEX:
		for (size_t k = 0; k < value.n; k++) {
			if (strchr("0123456789abcdef", value.p[k]) == NULL || value.p[k] == '\0')
				return false;
		}
		return value.n % 2 == 0;
	case ARG_STRING:
	case ARG_SECRET:
		return true;
	}
	return false;
}

/* Senders mostly write arguments in the table's order, so the search goes on from the last hit. */
static const struct arg_def *arg_find(
	const struct arg_def *args, const struct arg_def **cursor, struct span key)
{
	const struct arg_def *arg;

	for (arg = *cursor; arg->name != NULL; arg++) {
		if (strncmp(arg->name, key.p, key.n) == 0 && arg->name[key.n] == '\0') {
			*cursor = arg + 1;
			return arg;
		}
	}
	for (arg = args; arg != *cursor; arg++) {
		if (strncmp(arg->name, key.p, key.n) == 0 && arg->name[key.n] == '\0')
			return arg;
	}
	return NULL;
}

static const struct channel_param *request_find(const struct request *req, const char *key)
{
	for (size_t i = 0; i < req->n_params; i++) {
		struct span k = req->params[i].key;

		if (strncmp(key, k.p, k.n) == 0 && key[k.n] == '\0')
			return &req->params[i];
	}
	return NULL;
}

/* deadline= and trace=, which every request may carry. */
static bool request_take_common(struct request *req, const struct channel_param *param, bool *bad)
{
	uint64_t left;

	if (span_equal(param->key, SPAN("deadline"))) {
		if (!num_u64(param->value, &left))
			*bad = true;
		else if (__builtin_add_overflow(
				 req->channel->conn.received_ms, left, &req->deadline_ms))
			req->deadline_ms = 0;
		return true;
	}
	if (span_equal(param->key, SPAN("trace"))) {
		if (trace_id_valid(param->value))
			memcpy(req->trace, param->value.p, TRACE_ID_SIZE); /* with its NUL */
		return true;
	}
	return false;
}

/* Keeps what the table knows, checked; a text for the peer when something is wrong. */
static bool request_take_params(
	struct request *req, const struct channel_line *line, char *why, size_t why_size)
{
	static const struct arg_def none[] = {{.name = NULL}};
	const struct arg_def *args = req->command->args == NULL ? none : req->command->args;
	const struct arg_def *cursor = args, *arg;
	bool bad_deadline = false;

	if (line->n_params > REQUEST_PARAMS)
		req->params = arena_alloc(
			request_arena(req), line->n_params * sizeof(*req->params));
	for (size_t i = 0; i < line->n_params; i++) {
		const struct channel_param *param = &line->params[i];

		if (request_take_common(req, param, &bad_deadline))
			continue;
		if ((arg = arg_find(args, &cursor, param->key)) == NULL)
			continue;
		if (!arg_valid(arg->type, param->value)) {
			(void)snprintf(why, why_size, "argument %s is malformed", arg->name);
			return false;
		}
		if (arg->type == ARG_SECRET)
			channel_block_mark_secret(req->block);
		req->params[req->n_params++] = *param;
	}
	for (arg = args; arg->name != NULL; arg++) {
		if (arg->required && request_find(req, arg->name) == NULL) {
			(void)snprintf(why, why_size, "argument %s is missing", arg->name);
			return false;
		}
	}
	if (bad_deadline)
		(void)snprintf(why, why_size, "the deadline is malformed");
	return !bad_deadline;
}

static const char *request_check_body(const struct request *req, const struct channel_line *line)
{
	const struct command_def *cmd = req->command;
	bool has_body = line->has_body || line->has_bodyfd;

	if (cmd->body == COMMAND_BODY_NONE && has_body)
		return "the command takes no body";
	if (cmd->body == COMMAND_BODY_REQUIRED && !has_body)
		return "the command needs a body";
	if (cmd->fd == COMMAND_FD_NONE && line->has_fd)
		return "the command takes no descriptor";
	if (cmd->fd == COMMAND_FD_REQUIRED && !line->has_fd)
		return "the command needs a descriptor";
	return NULL;
}

static void request_run(struct request *req)
{
	char trace[TRACE_ID_SIZE];

	memcpy(trace, log_trace_get(), sizeof(trace));
	log_trace(req->trace);
	req->command->handle(req);
	log_trace(trace);
}

static const char *channel_frame(struct conn *c, struct channel_line *line)
{
	struct channel *ch = (struct channel *)c;
	const char *complaint;
	struct request *req;
	char why[80];
	uint64_t tag;

	if (!num_u64(line->tag, &tag))
		return "a tag that is not a number";
	metric_add(METRIC_CHANNEL_REQUESTS, 1);
	req = request_new(ch, tag);
	req->body = line->body;
	req->map = line->map;
	req->fd = line->fd;
	line->map = NULL;
	line->fd = -1;
	req->command = role_command(ch->role, line->word);
	if (req->command == NULL)
		reply_code(req, ERR_PERM, "unknown verb");
	else if (!request_take_params(req, line, why, sizeof(why)))
		reply_code(req, ERR_PROTO, why);
	else if ((complaint = request_check_body(req, line)) != NULL)
		reply_code(req, ERR_PROTO, complaint);
	else if (request_expired(req))
		reply_code(req, ERR_TEMP, "the time is over");
	else
		request_run(req);
	return NULL;
}

struct channel *request_channel(const struct request *req)
{
	return req->channel;
}

const char *request_verb(const struct request *req)
{
	return req->command == NULL ? "" : req->command->verb;
}

uint64_t request_tag(const struct request *req)
{
	return req->tag;
}

bool request_has(const struct request *req, const char *key)
{
	return request_find(req, key) != NULL;
}

struct span request_span(const struct request *req, const char *key)
{
	const struct channel_param *param = request_find(req, key);

	return param == NULL ? span_from("", 0) : param->value;
}

const char *request_str(const struct request *req, const char *key)
{
	return request_span(req, key).p; /* channel_line_finish put a NUL behind it */
}

uint64_t request_uint(const struct request *req, const char *key)
{
	uint64_t v;

	return num_u64(request_span(req, key), &v) ? v : 0;
}

int64_t request_int(const struct request *req, const char *key)
{
	int64_t v;

	return num_i64(request_span(req, key), &v) ? v : 0;
}

struct span request_body(const struct request *req)
{
	return req->body;
}

int request_take_fd(struct request *req)
{
	int fd = req->fd;

	req->fd = -1;
	return fd;
}

struct arena *request_arena(const struct request *req)
{
	struct request *r = (struct request *)req;

	if (r->arena == NULL)
		r->arena = arena_new();
	return r->arena;
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
	return req->channel->conn.fd < 0;
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

/* ---- replies ---- */

void reply_str(struct request *req, const char *key, const char *value)
{
	channel_put(&req->reply, key, span_of(value));
}

void reply_span(struct request *req, const char *key, struct span value)
{
	channel_put(&req->reply, key, value);
}

void reply_uint(struct request *req, const char *key, uint64_t value)
{
	channel_put_uint(&req->reply, key, value);
}

void reply_int(struct request *req, const char *key, int64_t value)
{
	channel_put_int(&req->reply, key, value);
}

void reply_hex(struct request *req, const char *key, const void *data, size_t n)
{
	channel_put_hex(&req->reply, key, data, n);
}

struct buf *reply_body(struct request *req)
{
	return &req->reply_body;
}

void reply_fd(struct request *req, int fd, bool close_after)
{
	assert(req->reply_fd < 0);
	req->reply_fd = close_after ? fd : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	req->reply_fd_failed = req->reply_fd < 0;
}

/* Writes "tag<TAB>STATUS" with room for both. */
static struct span reply_head(char *head, size_t size, uint64_t tag, const char *status)
{
	int n = snprintf(head, size, "%llu\t%s", (unsigned long long)tag, status);

	return span_from(head, (size_t)n);
}

static void reply_send_failure(struct request *req, enum err_code code, const char *text)
{
	const char *status = err_is_temporary(code) ? "TEMP" : "PERM";
	char head[40];
	struct conn_msg msg = {.body_fd = -1, .fd = -1};

	if (!request_peer_gone(req)) {
		buf_empty(&req->reply);
		channel_put(&req->reply, "code", span_of(err_code_name(code)));
		if (text != NULL && text[0] != '\0')
			channel_put(&req->reply, "text", span_from(text, strnlen(text, 1024)));
		msg.head = reply_head(head, sizeof(head), req->tag, status);
		msg.params = buf_span(&req->reply);
		(void)conn_send(&req->channel->conn, &msg);
	}
	request_free(req);
}

void reply_ok(struct request *req)
{
	char head[40];
	struct conn_msg msg = {
		.body = buf_span(&req->reply_body), .body_fd = -1, .fd = req->reply_fd};
	struct err e;

	if (request_peer_gone(req)) {
		request_free(req);
		return;
	}
	if (req->reply_fd_failed) {
		reply_send_failure(req, ERR_TEMP, "no descriptor left");
		return;
	}
	if (msg.body.n > CHANNEL_BODY_MAX) {
		reply_send_failure(req, ERR_LIMIT, "the answer is too large");
		return;
	}
	if (msg.body.n > CHANNEL_INLINE_MAX) {
		msg.body_len = msg.body.n;
		if ((msg.body_fd = channel_body_memfd(msg.body, &e)) < 0) {
			reply_fail(req, &e);
			return;
		}
	}
	msg.head = reply_head(head, sizeof(head), req->tag, "OK");
	msg.params = buf_span(&req->reply);
	if (!conn_send(&req->channel->conn, &msg)) {
		log_error("reply-too-long", "verb", LOG_STR(request_verb(req)), NULL);
		if (msg.body_fd >= 0)
			(void)close(msg.body_fd);
		reply_send_failure(req, ERR_LIMIT, "the answer is too long");
		return;
	}
	req->reply_fd = -1;
	request_free(req);
}

void reply_fail(struct request *req, const struct err *e)
{
	log_event(err_is_temporary(e->code) ? LOG_LEVEL_WARNING : LOG_LEVEL_DEBUG, "request-failed",
		"verb", LOG_STR(request_verb(req)), "peer", LOG_STR(req->channel->peer), "code",
		LOG_STR(err_code_name(e->code)), "why", LOG_ERR(e), NULL);
	reply_send_failure(req, e->code, err_user_text(e));
}

void reply_code(struct request *req, enum err_code code, const char *text)
{
	reply_send_failure(req, code, text);
}

/* ---- channels ---- */

static const char *channel_handshake(struct conn *c, struct span line)
{
	struct channel *ch = (struct channel *)c;
	struct span word, role, version, major, field, token = {NULL, 0};
	uint32_t v;

	if (!span_cut(&line, '\t', &word) || !span_equal(word, SPAN("LIGHTMAIL")) ||
		!span_cut(&line, '\t', &role) || !span_cut(&line, '\t', &version))
		return "no handshake";
	if (!span_is(role, ch->role->name))
		return "another role";
	if (!span_cut(&version, '.', &major) || !num_u32(major, &v) || v != CHANNEL_MAJOR)
		return "another major version";
	while (span_cut(&line, '\t', &field)) {
		if (field.n >= 6 && memcmp(field.p, "token=", 6) == 0)
			token = span_from(field.p + 6, field.n - 6);
	}
	if (ch->token != NULL &&
		(token.n != strlen(ch->token) || CRYPTO_memcmp(token.p, ch->token, token.n) != 0))
		return "a wrong token";
	channel_block_mark_secret(c->block);
	conn_opened(c);
	ch->announced = true;
	if (ch->role->on_open != NULL && ch->role->on_open(ch) != 0) {
		ch->announced = false;
		channel_close(ch);
	}
	return NULL;
}

static bool channel_may_read(const struct conn *c)
{
	const struct channel *ch = (const struct channel *)c;
	unsigned max = ch->role->max_in_flight == 0 ? IN_FLIGHT_DEFAULT : ch->role->max_in_flight;

	/* A paused peer waits until half is taken, or it would be read in drops. */
	return ch->in_flight < max &&
	       c->out.len <= (c->paused ? CHANNEL_OUTPUT_MAX / 2 : CHANNEL_OUTPUT_MAX);
}

/* The connection is closed: tells the service, and gives up the reference of the open connection.
 */
static void channel_lost(struct conn *c, const char *why)
{
	struct channel *ch = (struct channel *)c;
	bool announced = ch->announced;

	if (why != NULL) {
		metric_add(METRIC_CHANNEL_BAD_PEERS, 1);
		log_warning("peer-misbehaved", "role", LOG_STR(ch->role->name), "peer",
			LOG_STR(ch->peer), "uid", LOG_INT(ch->uid), "why", LOG_STR(why), NULL);
	}
	ch->announced = false;
	if (announced && ch->role->on_close != NULL)
		ch->role->on_close(ch);
	if (ch->gone != NULL)
		ch->gone(ch->gone_ctx);
	conn_unref(c);
}

static void channel_destroy(struct conn *c)
{
	struct channel *ch = (struct channel *)c;

	assert(c->fd < 0);
	if (ch->token != NULL)
		mem_wipe(ch->token, strlen(ch->token));
	mem_free(ch->token);
	mem_free(ch->peer);
	mem_free(ch);
}

static const struct conn_ops channel_ops = {
	.handshake = channel_handshake,
	.frame = channel_frame,
	.may_read = channel_may_read,
	.lost = channel_lost,
	.destroy = channel_destroy,
};

static bool role_takes_fds(const struct role_def *role)
{
	for (const struct command_def *cmd = role->commands; cmd->verb != NULL; cmd++) {
		if (cmd->body != COMMAND_BODY_NONE || cmd->fd != COMMAND_FD_NONE)
			return true;
	}
	return false;
}

struct channel *channel_accept(struct event_base *base, int fd, const struct role_def *role,
	const char *token, const char *peer, void *service)
{
	struct channel *ch = mem_alloc(sizeof(*ch));
	struct ucred cred;
	socklen_t len = sizeof(cred);
	char hello[256];
	int n = snprintf(hello, sizeof(hello), "LIGHTMAIL\t%s\t%d.%d\n", role->name, CHANNEL_MAJOR,
		CHANNEL_MINOR);

	conn_init(&ch->conn, base, &channel_ops);
	ch->role = role;
	ch->token = mem_strdup(token);
	ch->peer = mem_strdup(peer == NULL ? "" : peer);
	ch->service = service;
	ch->uid = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 ? (int)cred.uid : -1;
	conn_start(&ch->conn, fd, role_takes_fds(role), CHANNEL_HANDSHAKE_MS);
	conn_send_raw(&ch->conn, span_from(hello, (size_t)n));
	return ch;
}

void channel_close(struct channel *ch)
{
	conn_lose(&ch->conn, NULL);
}

void channel_on_gone(struct channel *ch, void (*gone)(void *ctx), void *ctx)
{
	ch->gone = gone;
	ch->gone_ctx = ctx;
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
	return ch->uid;
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
	return conn_pending(&ch->conn);
}

unsigned channel_in_flight(const struct channel *ch)
{
	return ch->in_flight;
}

static void channel_send_event(
	struct channel *ch, const char *event, struct span body, int fd, va_list ap)
{
	struct conn_msg msg = {.body = body, .body_fd = -1, .fd = fd};
	struct buf head = {0};
	const char *key;
	struct err e;
	bool ok = true;

	buf_add_str(&head, "*\t");
	buf_add_str(&head, event);
	while ((key = va_arg(ap, const char *)) != NULL)
		channel_put(&head, key, span_of(va_arg(ap, const char *)));
	msg.head = buf_span(&head);
	if (body.n > CHANNEL_INLINE_MAX) {
		msg.body_len = body.n;
		msg.body_fd = channel_body_memfd(body, &e);
		ok = msg.body_fd >= 0;
	}
	/* An event that cannot be sent would leave the peer with an old view: it must start anew.
	 */
	if (!ok || !conn_send(&ch->conn, &msg)) {
		log_warning(
			"event-not-sent", "event", LOG_STR(event), "peer", LOG_STR(ch->peer), NULL);
		if (msg.body_fd >= 0)
			(void)close(msg.body_fd);
		if (msg.fd >= 0)
			(void)close(msg.fd);
		conn_break(&ch->conn, "");
	}
	buf_clear(&head);
}

/* False: the peer is gone, or reads its events too slowly and must go. */
static bool channel_takes_events(struct channel *ch)
{
	if (ch->conn.fd >= 0 && conn_pending(&ch->conn) > EVENT_BACKLOG_MAX)
		conn_break(&ch->conn, "it does not read its events");
	return ch->conn.fd >= 0 && ch->conn.broken == NULL;
}

void channel_event(struct channel *ch, const char *event, struct span body, ...)
{
	va_list ap;

	if (!channel_takes_events(ch))
		return;
	va_start(ap, body);
	channel_send_event(ch, event, body, -1, ap);
	va_end(ap);
}

void channel_event_fd(
	struct channel *ch, const char *event, struct span body, int fd, int close_after, ...)
{
	va_list ap;

	if (!channel_takes_events(ch)) {
		if (close_after)
			(void)close(fd);
		return;
	}
	if (!close_after && (fd = fcntl(fd, F_DUPFD_CLOEXEC, 0)) < 0) {
		conn_break(&ch->conn, "");
		return;
	}
	va_start(ap, close_after);
	channel_send_event(ch, event, body, fd, ap);
	va_end(ap);
}
