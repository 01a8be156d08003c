/*
 * channel-fuzz: the input is what a peer sends. The first octet says to whom and how: to a server
 * or to a client with requests under way, behind a good handshake or as it is, in pieces of which
 * size. What the parser takes must also survive writing and reading again.
 */
#include "lib-common/channel-conn.h"
#include "lib-common/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct request *kept[16];
static unsigned n_kept;

static void handle_echo(struct request *req)
{
	reply_str(req, "text", request_str(req, "text"));
	reply_int(req, "number", request_int(req, "number"));
	reply_uint(req, "number2", request_uint(req, "number2"));
	buf_add_span(reply_body(req), request_body(req));
	reply_ok(req);
}

static void handle_keep(struct request *req)
{
	if (n_kept < array_count(kept))
		kept[n_kept++] = req;
	else
		reply_code(req, ERR_LIMIT, "");
}

static void handle_fd(struct request *req)
{
	int fd = request_take_fd(req);

	reply_fd(req, fd, true);
	reply_ok(req);
}

static void handle_close(struct request *req)
{
	channel_close(request_channel(req));
	reply_ok(req);
}

static const struct arg_def echo_args[] = {
	{"text", ARG_STRING, true, ""},
	{"number", ARG_INT, false, ""},
	{"number2", ARG_UINT, false, ""},
	{"hex", ARG_HEX, false, ""},
	{"flag", ARG_FLAG, false, ""},
	{"secret", ARG_SECRET, false, ""},
	{.name = NULL},
};

static const struct command_def commands[] = {
	{"ECHO", echo_args, COMMAND_BODY_OPTIONAL, COMMAND_FD_NONE, handle_echo, ""},
	{"KEEP", NULL, COMMAND_BODY_OPTIONAL, COMMAND_FD_NONE, handle_keep, ""},
	{"FD", NULL, COMMAND_BODY_NONE, COMMAND_FD_REQUIRED, handle_fd, ""},
	{"CLOSE", NULL, COMMAND_BODY_NONE, COMMAND_FD_NONE, handle_close, ""},
	{.verb = NULL},
};

static const struct role_def role = {"fuzz/role", commands, 8, NULL, NULL, ""};

static void answered(struct result *r, void *ctx)
{
	(void)result_uint(r, "text");
	(void)result_str(r, "text");
	(*(unsigned *)ctx)++;
}

static void on_event(struct client *c, const char *event, const struct result *r, void *ctx)
{
	(void)c;
	(void)ctx;
	(void)strlen(event);
	(void)result_str(r, "key");
}

static void pump(struct event_base *base, int fd)
{
	char sink[65536];

	(void)event_base_loop(base, EVLOOP_NONBLOCK);
	while (recv(fd, sink, sizeof(sink), MSG_DONTWAIT) > 0)
		;
}

static void feed(struct event_base *base, int fd, struct span data, size_t piece)
{
	static const char hello[] = "LIGHTMAIL\tfuzz/role\t1.0\n";

	if ((piece & 1) != 0)
		(void)send(fd, hello, sizeof(hello) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	pump(base, fd);
	while (data.n > 0) {
		size_t n = data.n < piece ? data.n : piece;

		if (send(fd, data.p, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			break;
		data = span_from(data.p + n, data.n - n);
		pump(base, fd);
	}
	pump(base, fd);
}

static void fuzz_server(
	struct event_base *base, int ours, int theirs, struct span data, size_t piece)
{
	(void)channel_accept(base, ours, &role, NULL, "fuzz", NULL);
	feed(base, theirs, data, piece);
	while (n_kept > 0) {
		reply_ok(kept[--n_kept]);
		pump(base, theirs);
	}
	(void)shutdown(theirs, SHUT_WR);
	while (recv(theirs, &(char){0}, 1, MSG_DONTWAIT) != 0)
		pump(base, theirs);
	while (n_kept > 0)
		reply_ok(kept[--n_kept]);
	(void)event_base_loop(base, EVLOOP_NONBLOCK);
}

static void fuzz_client(
	struct event_base *base, int ours, int theirs, struct span data, size_t piece)
{
	struct client_def def = {.role = "fuzz/role", .on_event = on_event};
	struct client *c = client_new_fd(base, &def, ours);
	unsigned n = 0;

	for (int i = 0; i < 8; i++)
		(void)call_send(call_new(c, "VERB"), 60000, answered, &n);
	feed(base, theirs, data, piece);
	client_free(c);
	assert(n == 8); /* each call is answered exactly once */
}

static void fuzz_escape(struct span data)
{
	struct buf once = {0}, again = {0};

	if (channel_unescape(&once, data)) {
		channel_escape(&again, buf_span(&once));
		buf_empty(&once);
		assert(channel_unescape(&once, buf_span(&again)));
	}
	buf_clear(&once);
	buf_clear(&again);
	channel_escape(&again, data);
	assert(channel_unescape(&once, buf_span(&again)));
	assert(span_equal(buf_span(&once), data));
	buf_clear(&once);
	buf_clear(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct event_base *base;
	size_t piece;
	int fds[2];

	if (base == NULL) {
		base = event_base_new();
		log_setup("fuzz", LOG_FORM_JSON, LOG_LEVEL_ERROR + 1, LOG_ADDRESSES_OFF, 2);
	}
	if (size == 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return 0;
	/* Odd pieces come behind a good handshake. */
	piece = (size_t)((data[0] & 0x7f) < 64 ? (data[0] & 0x7f) + 1 : 4096 + (data[0] & 1));
	if ((data[0] & 0x80) != 0)
		fuzz_client(base, fds[0], fds[1], span_from(data + 1, size - 1), piece);
	else
		fuzz_server(base, fds[0], fds[1], span_from(data + 1, size - 1), piece);
	(void)close(fds[1]);
	fuzz_escape(span_from(data + 1, size - 1));
	return 0;
}
