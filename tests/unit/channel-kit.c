#include "tests/unit/channel-kit.h"
#include "lib-common/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

static struct fixture *fixture_of(struct request *req)
{
	return channel_service(request_channel(req));
}

static void handle_echo(struct request *req)
{
	struct fixture *f = fixture_of(req);

	f->handled++;
	(void)snprintf(f->seen_trace, sizeof(f->seen_trace), "%s", log_trace_get());
	reply_span(req, "text", request_span(req, "text"));
	reply_uint(req, "number", request_uint(req, "number"));
	reply_int(req, "signed", request_int(req, "signed"));
	if (request_has(req, "unknown"))
		reply_str(req, "leaked", "yes");
	buf_add_span(reply_body(req), request_body(req));
	reply_ok(req);
}

static void handle_fail(struct request *req)
{
	struct err e;

	reply_str(req, "dropped", "yes");
	(void)err_set(&e, ERR_QUOTA, "the log's text");
	(void)err_user(&e, "the user's text");
	reply_fail(req, &e);
}

static void handle_keep(struct request *req)
{
	struct fixture *f = fixture_of(req);

	f->kept[f->n_kept++] = req;
}

static void handle_fd(struct request *req)
{
	int fd = request_take_fd(req);
	char octet = 'x';

	assert_int_equal(write(fd, &octet, 1), 1);
	assert_int_equal(request_take_fd(req), -1);
	buf_add_span(reply_body(req), request_body(req));
	reply_fd(req, fd, true);
	reply_ok(req);
}

static void handle_close(struct request *req)
{
	struct channel *ch = request_channel(req);

	channel_close(ch);
	assert_true(request_peer_gone(req));
	reply_ok(req);
}

static void handle_big(struct request *req)
{
	size_t n = request_uint(req, "n");

	memset(buf_reserve(reply_body(req), n), 'b', n);
	buf_added(reply_body(req), n);
	reply_ok(req);
}

static void handle_long(struct request *req)
{
	char text[CHANNEL_LINE_MAX + 1];

	memset(text, 'x', sizeof(text));
	reply_span(req, "text", span_from(text, sizeof(text)));
	reply_ok(req);
}

static void handle_event(struct request *req)
{
	int fd = memfd_create("event", MFD_CLOEXEC);

	channel_event(request_channel(req), "CHANGE", SPAN("12345"), "mailbox", "a\tb", NULL);
	channel_event_fd(request_channel(req), "BASE", SPAN(""), fd, true, "mailbox", "7", NULL);
	reply_ok(req);
}

static const struct arg_def echo_args[] = {
	{"text", ARG_STRING, true, "Any text."},
	{"number", ARG_UINT, false, "A number."},
	{"signed", ARG_INT, false, "A number with sign."},
	{"hex", ARG_HEX, false, "Hexadecimal octets."},
	{"flag", ARG_FLAG, false, "Yes or no."},
	{"secret", ARG_SECRET, false, "A secret."},
	{.name = NULL},
};

static const struct arg_def big_args[] = {
	{"n", ARG_UINT, true, "Octets."},
	{.name = NULL},
};

static const struct command_def commands[] = {
	{"ECHO", echo_args, COMMAND_BODY_OPTIONAL, COMMAND_FD_NONE, handle_echo, "Says it again."},
	{"FAIL", NULL, COMMAND_BODY_NONE, COMMAND_FD_NONE, handle_fail, "Fails."},
	{"KEEP", NULL, COMMAND_BODY_OPTIONAL, COMMAND_FD_NONE, handle_keep, "Is answered later."},
	{"FD", NULL, COMMAND_BODY_OPTIONAL, COMMAND_FD_REQUIRED, handle_fd, "Takes a descriptor."},
	{"CLOSE", NULL, COMMAND_BODY_NONE, COMMAND_FD_NONE, handle_close, "Closes."},
	{"BIG", big_args, COMMAND_BODY_NONE, COMMAND_FD_NONE, handle_big, "A large answer."},
	{"LONG", NULL, COMMAND_BODY_NONE, COMMAND_FD_NONE, handle_long, "Too long a line."},
	{"EVENT", NULL, COMMAND_BODY_NONE, COMMAND_FD_NONE, handle_event, "Sends events."},
	{"NEED", NULL, COMMAND_BODY_REQUIRED, COMMAND_FD_NONE, handle_echo, "Needs a body."},
	{.verb = NULL},
};

static const struct command_def plain_commands[] = {
	{"FAIL", NULL, COMMAND_BODY_NONE, COMMAND_FD_NONE, handle_fail, "Fails."},
	{.verb = NULL},
};

static int on_open(struct channel *ch)
{
	struct fixture *f = channel_service(ch);

	f->opened++;
	return 0;
}

static void on_close(struct channel *ch)
{
	struct fixture *f = channel_service(ch);

	f->closed++;
	f->channel = NULL;
}

void fixture_on_gone(void *ctx)
{
	struct fixture *f = ctx;

	f->gone++;
	f->channel = NULL;
}

const struct role_def test_role = {
	"test/role", commands, 0, on_open, on_close, "A role for tests."};
const struct role_def test_plain_role = {
	"test/role", plain_commands, 0, on_open, on_close, "One without descriptors."};
const struct role_def test_narrow_role = {
	"test/role", commands, 4, on_open, on_close, "One with few requests at once."};

void fixture_client_on_open(struct client *c, void *ctx)
{
	(void)c;
	((struct fixture *)ctx)->client_opened++;
}

void fixture_client_on_close(struct client *c, void *ctx)
{
	(void)c;
	((struct fixture *)ctx)->client_closed++;
}

static void client_on_event(struct client *c, const char *event, const struct result *r, void *ctx)
{
	struct fixture *f = ctx;

	(void)c;
	f->events++;
	(void)snprintf(f->event, sizeof(f->event), "%s", event);
	(void)snprintf(f->event_key, sizeof(f->event_key), "%s", result_str(r, "mailbox"));
	f->event_body = r->body.n;
	f->event_fd_ok = r->fd >= 0;
}

void fixture_pair(struct fixture *f, const struct role_def *def, const char *token, int *fd_r)
{
	int fds[2];

	*f = (struct fixture){.base = event_base_new(), .peer = -1};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	f->channel = channel_accept(f->base, fds[0], def, token, "tester", f);
	channel_on_gone(f->channel, fixture_on_gone, f);
	*fd_r = fds[1];
}

void fixture_init_role(
	struct fixture *f, const struct role_def *def, const char *token, const char *client_token)
{
	struct client_def client = {.role = "test/role",
		.token = client_token,
		.on_open = fixture_client_on_open,
		.on_close = fixture_client_on_close,
		.on_event = client_on_event,
		.ctx = f};
	int fd;

	fixture_pair(f, def, token, &fd);
	f->client = client_new_fd(f->base, &client, fd);
}

void fixture_init(struct fixture *f)
{
	fixture_init_role(f, &test_role, NULL, NULL);
}

void fixture_init_raw(struct fixture *f, const struct role_def *def)
{
	fixture_pair(f, def, NULL, &f->peer);
	assert_int_equal(write(f->peer, "LIGHTMAIL\ttest/role\t1.0\n",
				 sizeof("LIGHTMAIL\ttest/role\t1.0\n") - 1),
		24);
	(void)event_base_loop(f->base, EVLOOP_NONBLOCK);
	assert_int_equal(f->opened, 1);
}

void fixture_turn(struct fixture *f)
{
	(void)event_base_loop(f->base, EVLOOP_NONBLOCK);
}

void fixture_clear(struct fixture *f)
{
	client_free(f->client);
	if (f->peer >= 0)
		(void)close(f->peer);
	for (int i = 0; i < 3; i++)
		fixture_turn(f);
	assert_null(f->channel);
	assert_int_equal(f->opened, f->closed);
	assert_int_equal(f->gone, 1);
	event_base_free(f->base);
}

int fixture_open_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

struct call *fixture_echo(struct fixture *f, const char *key, const char *value)
{
	struct call *call = call_new(f->client, "ECHO");

	call_str(call, "text", "");
	call_str(call, key, value);
	return call;
}

void fixture_send(struct fixture *f, const char *text)
{
	assert_int_equal(send(f->peer, text, strlen(text), MSG_NOSIGNAL), strlen(text));
	fixture_turn(f);
	fixture_turn(f);
}

void fixture_send_fds(struct fixture *f, const char *text, int n)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(8 * sizeof(int))];
	} control = {0};
	struct iovec iov = {(char *)text, strlen(text)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control};
	int fd = memfd_create("test", MFD_CLOEXEC);

	msg.msg_controllen = CMSG_SPACE((size_t)n * sizeof(int));
	control.align.cmsg_level = SOL_SOCKET;
	control.align.cmsg_type = SCM_RIGHTS;
	control.align.cmsg_len = CMSG_LEN((size_t)n * sizeof(int));
	for (int i = 0; i < n; i++)
		memcpy(CMSG_DATA(&control.align) + (size_t)i * sizeof(int), &fd, sizeof(fd));
	assert_int_equal(sendmsg(f->peer, &msg, MSG_NOSIGNAL), (ssize_t)iov.iov_len);
	assert_int_equal(close(fd), 0);
	fixture_turn(f);
	fixture_turn(f);
}

void fixture_read(struct fixture *f, char *text, size_t size)
{
	ssize_t n = recv(f->peer, text, size - 1, MSG_DONTWAIT);

	text[n < 0 ? 0 : n] = '\0';
}

void fixture_expect(struct fixture *f, const char *wanted)
{
	char text[1024];

	fixture_turn(f);
	fixture_read(f, text, sizeof(text));
	assert_string_equal(text, wanted);
}
