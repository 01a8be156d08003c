#include "lib-common/channel-conn.h"
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

/* A server of one role, its channel over a socketpair, and what happened to it. */
struct fixture {
	struct event_base *base;
	struct channel *channel;
	struct client *client;
	int peer; /* the raw other end when there is no client; -1 */
	unsigned opened, closed, gone;
	struct request *kept[2000];
	unsigned n_kept, handled;
	char seen_trace[TRACE_ID_SIZE];
	unsigned events, client_opened, client_closed;
	char event[32], event_key[32];
	size_t event_body;
	int event_fd_ok;
};

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

static void on_gone(void *ctx)
{
	struct fixture *f = ctx;

	f->gone++;
	f->channel = NULL;
}

static const struct role_def role = {
	"test/role", commands, 0, on_open, on_close, "A role for tests."};
static const struct role_def plain_role = {
	"test/role", plain_commands, 0, on_open, on_close, "One without descriptors."};
static const struct role_def narrow_role = {
	"test/role", commands, 4, on_open, on_close, "One with few requests at once."};

static void client_on_open(struct client *c, void *ctx)
{
	(void)c;
	((struct fixture *)ctx)->client_opened++;
}

static void client_on_close(struct client *c, void *ctx)
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

static void fixture_pair(
	struct fixture *f, const struct role_def *def, const char *token, int *fd_r)
{
	int fds[2];

	*f = (struct fixture){.base = event_base_new(), .peer = -1};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	f->channel = channel_accept(f->base, fds[0], def, token, "tester", f);
	channel_on_gone(f->channel, on_gone, f);
	*fd_r = fds[1];
}

static void fixture_init_role(
	struct fixture *f, const struct role_def *def, const char *token, const char *client_token)
{
	struct client_def client = {.role = "test/role",
		.token = client_token,
		.on_open = client_on_open,
		.on_close = client_on_close,
		.on_event = client_on_event,
		.ctx = f};
	int fd;

	fixture_pair(f, def, token, &fd);
	f->client = client_new_fd(f->base, &client, fd);
}

static void fixture_init(struct fixture *f)
{
	fixture_init_role(f, &role, NULL, NULL);
}

/* With a bare socket instead of a client, the handshake done. */
static void fixture_init_raw(struct fixture *f, const struct role_def *def)
{
	fixture_pair(f, def, NULL, &f->peer);
	assert_int_equal(write(f->peer, "LIGHTMAIL\ttest/role\t1.0\n",
				 sizeof("LIGHTMAIL\ttest/role\t1.0\n") - 1),
		24);
	(void)event_base_loop(f->base, EVLOOP_NONBLOCK);
	assert_int_equal(f->opened, 1);
}

static void turn(struct fixture *f)
{
	(void)event_base_loop(f->base, EVLOOP_NONBLOCK);
}

static void fixture_clear(struct fixture *f)
{
	client_free(f->client);
	if (f->peer >= 0)
		(void)close(f->peer);
	for (int i = 0; i < 3; i++)
		turn(f);
	assert_null(f->channel);
	assert_int_equal(f->opened, f->closed);
	assert_int_equal(f->gone, 1);
	event_base_free(f->base);
}

static int open_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* ---- codec ---- */

static void test_escape_round_trip(void **state)
{
	struct buf escaped = {0}, again = {0};
	char all[256];

	(void)state;
	for (int i = 0; i < 256; i++)
		all[i] = (char)i;
	channel_escape(&escaped, span_from(all, 256));
	assert_int_equal(escaped.len, 256 + 5);
	for (size_t i = 0; i < escaped.len; i++)
		assert_false(strchr("\t\n\r", escaped.data[i]) != NULL); /* NUL too */
	assert_true(channel_unescape(&again, buf_span(&escaped)));
	assert_true(span_equal(buf_span(&again), span_from(all, 256)));
	assert_false(channel_unescape(&again, SPAN("a\001")));
	assert_false(channel_unescape(&again, SPAN("a\001x")));
	assert_int_equal(again.len, 256);
	buf_clear(&escaped);
	buf_clear(&again);
}

static const char *parse(const char *text)
{
	static struct channel_line line;

	return channel_line_parse(span_of(text), &line);
}

static void test_line_parse(void **state)
{
	(void)state;
	assert_null(parse("1\tVERB"));
	assert_null(parse("1\tVERB\ta=\tb=c=d"));
	assert_null(parse("1\tVERB\tbody=65536"));
	assert_null(parse("1\tVERB\tbodyfd=65537\tfd=1"));
	assert_non_null(parse(""));
	assert_non_null(parse("1"));
	assert_non_null(parse("\tVERB"));
	assert_non_null(parse("1\t\ta=b"));
	assert_non_null(parse("1\tVERB\t"));
	assert_non_null(parse("1\tVERB\t=b"));
	assert_non_null(parse("1\tVERB\tab"));
	assert_non_null(parse("1\tVERB\ta=b\r"));
	assert_non_null(parse("1\tVERB\tbody=65537"));
	assert_non_null(parse("1\tVERB\tbody=-1"));
	assert_non_null(parse("1\tVERB\tbody=1\tbody=1"));
	assert_non_null(parse("1\tVERB\tbody=1\tbodyfd=1"));
	assert_non_null(parse("1\tVERB\tbodyfd=999999999999"));
	assert_non_null(parse("1\tVERB\tfd=2"));
	assert_non_null(parse("1\tVERB\tfd=1\tfd=1"));
}

static void test_too_many_params(void **state)
{
	struct buf text = {0};

	(void)state;
	buf_add_str(&text, "1\tVERB");
	for (int i = 0; i < CHANNEL_PARAMS_MAX - 1; i++)
		buf_add_str(&text, "\ta=b");
	assert_null(parse(buf_str(&text)));
	buf_add_str(&text, "\ta=b");
	assert_non_null(parse(buf_str(&text)));
	buf_clear(&text);
}

/* ---- requests and answers ---- */

static void test_request_reply(void **state)
{
	struct fixture f;
	struct call *call;
	struct result *r;
	char all[256];

	(void)state;
	for (int i = 0; i < 256; i++)
		all[i] = (char)i;
	fixture_init(&f);
	call = call_new(f.client, "ECHO");
	call_span(call, "text", span_from(all, 256));
	call_uint(call, "number", UINT64_MAX);
	call_int(call, "signed", -42);
	call_str(call, "unknown", "key");
	call_trace(call, "0123456789abcdef01234567");
	buf_add_str(call_body(call), "a body\nof two lines");
	r = call_wait(call, 5000);
	assert_int_equal(r->code, ERR_NONE);
	assert_true(span_equal(result_span(r, "text"), span_from(all, 256)));
	assert_true(result_uint(r, "number") == UINT64_MAX);
	assert_true(result_int(r, "signed") == -42);
	assert_false(result_has(r, "leaked"));
	assert_true(span_is(r->body, "a body\nof two lines"));
	assert_string_equal(f.seen_trace, "0123456789abcdef01234567");
	assert_string_equal(log_trace_get(), "");
	result_free(r);
	assert_int_equal(f.opened, 1);
	assert_int_equal(f.client_opened, 1);
	fixture_clear(&f);
}

static void expect_failure(
	struct fixture *f, struct call *call, enum err_code code, const char *text)
{
	struct result *r = call_wait(call, 5000);

	(void)f;
	assert_int_equal(r->code, code);
	if (text != NULL)
		assert_true(span_is(r->text, text));
	result_free(r);
}

static struct call *echo_with(struct fixture *f, const char *key, const char *value)
{
	struct call *call = call_new(f->client, "ECHO");

	call_str(call, "text", "");
	call_str(call, key, value);
	return call;
}

static void test_failures(void **state)
{
	struct fixture f;
	struct call *call;
	struct result *r;
	char text[CHANNEL_LINE_MAX];
	struct err e;

	(void)state;
	fixture_init(&f);
	r = call_wait(call_new(f.client, "FAIL"), 5000);
	assert_int_equal(r->code, ERR_QUOTA);
	assert_true(span_is(r->text, "the user's text"));
	assert_null(r->why);
	assert_false(result_has(r, "dropped"));
	result_err(r, &e);
	assert_int_equal(e.code, ERR_QUOTA);
	assert_string_equal(err_user_text(&e), "the user's text");
	result_free(r);
	expect_failure(&f, call_new(f.client, "NOSUCH"), ERR_PERM, "unknown verb");
	expect_failure(&f, call_new(f.client, "ECHO"), ERR_PROTO, "argument text is missing");
	expect_failure(
		&f, echo_with(&f, "number", "-1"), ERR_PROTO, "argument number is malformed");
	expect_failure(&f, echo_with(&f, "signed", "x"), ERR_PROTO, "argument signed is malformed");
	expect_failure(&f, echo_with(&f, "hex", "abc"), ERR_PROTO, "argument hex is malformed");
	expect_failure(&f, echo_with(&f, "hex", "aG"), ERR_PROTO, "argument hex is malformed");
	expect_failure(&f, echo_with(&f, "flag", "2"), ERR_PROTO, "argument flag is malformed");
	expect_failure(&f, call_new(f.client, "NEED"), ERR_PROTO, "the command needs a body");
	expect_failure(&f, call_new(f.client, "FD"), ERR_PROTO, "the command needs a descriptor");
	call = call_new(f.client, "FAIL");
	buf_add_str(call_body(call), "x");
	expect_failure(&f, call, ERR_PROTO, "the command takes no body");
	expect_failure(&f, call_new(f.client, "LONG"), ERR_LIMIT, "the answer is too long");
	memset(text, 'x', sizeof(text));
	call = call_new(f.client, "ECHO");
	call_span(call, "text", span_from(text, sizeof(text)));
	expect_failure(&f, call, ERR_LIMIT, NULL);
	assert_int_equal(f.handled, 0);
	assert_int_equal(f.closed, 0);
	fixture_clear(&f);
}

static void check_body(struct fixture *f, size_t n)
{
	struct call *call = call_new(f->client, "ECHO");
	char *body = mem_alloc(n + 1);
	struct result *r;

	for (size_t i = 0; i < n; i++)
		body[i] = (char)(i * 7 + i / 251);
	call_str(call, "text", "x");
	call_body_span(call, span_from(body, n));
	r = call_wait(call, 20000);
	assert_int_equal(r->code, ERR_NONE);
	assert_true(span_equal(r->body, span_from(body, n)));
	result_free(r);
	mem_free(body);
}

static void test_bodies(void **state)
{
	static const size_t sizes[] = {0, 1, 4096, 32767, 32768, CHANNEL_INLINE_MAX - 1,
		CHANNEL_INLINE_MAX, CHANNEL_INLINE_MAX + 1, 5 << 20};
	int before = open_fds();
	struct fixture f;

	(void)state;
	fixture_init(&f);
	for (size_t i = 0; i < array_count(sizes); i++)
		check_body(&f, sizes[i]);
	fixture_clear(&f);
	assert_int_equal(open_fds(), before);
}

static void test_descriptor(void **state)
{
	int before = open_fds(), fd;
	struct fixture f;
	struct call *call;
	struct result *r;
	struct stat st;

	(void)state;
	fixture_init(&f);
	for (int with_body = 0; with_body < 3; with_body++) {
		size_t n = with_body == 0 ? 0 : with_body == 1 ? 100 : CHANNEL_INLINE_MAX + 1;

		fd = memfd_create("test", MFD_CLOEXEC);
		call = call_new(f.client, "FD");
		call_fd(call, fd, false);
		memset(buf_reserve(call_body(call), n), 'y', n);
		buf_added(call_body(call), n);
		r = call_wait(call, 5000);
		assert_int_equal(r->code, ERR_NONE);
		assert_true(r->fd >= 0);
		assert_int_equal(r->body.n, n);
		assert_int_equal(fstat(fd, &st), 0);
		assert_int_equal(st.st_size, 1); /* the handler wrote into the same file */
		assert_int_equal(close(fd), 0);
		result_free(r);
	}
	fixture_clear(&f);
	assert_int_equal(open_fds(), before);
}

static void test_events(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	result_free(call_wait(call_new(f.client, "EVENT"), 5000));
	assert_int_equal(f.events, 2);
	assert_string_equal(f.event, "BASE");
	assert_string_equal(f.event_key, "7");
	assert_int_equal(f.event_body, 0);
	assert_true(f.event_fd_ok);
	fixture_clear(&f);
}

/* ---- what a peer may do wrong; back-pressure ---- */

static void send_raw(struct fixture *f, const char *text)
{
	assert_int_equal(send(f->peer, text, strlen(text), MSG_NOSIGNAL), strlen(text));
	turn(f);
	turn(f);
}

/* Sends text with n descriptors. */
static void send_with_fds(struct fixture *f, const char *text, int n)
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
	turn(f);
	turn(f);
}

static void read_raw(struct fixture *f, char *text, size_t size)
{
	ssize_t n = recv(f->peer, text, size - 1, MSG_DONTWAIT);

	text[n < 0 ? 0 : n] = '\0';
}

static void test_one_octet_at_a_time(void **state)
{
	static const char text[] = "LIGHTMAIL\ttest/role\t1.7\tnew=key\n"
				   "1\tECHO\ttext=a\001tb\tbody=5\nhe\nlo2\tFAIL\n"
				   "3\tECHO\ttext=\tbody=0\n";
	struct fixture f;
	char answer[512];

	(void)state;
	fixture_pair(&f, &role, NULL, &f.peer);
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		assert_int_equal(write(f.peer, text + i, 1), 1);
		turn(&f);
	}
	read_raw(&f, answer, sizeof(answer));
	assert_string_equal(answer, "LIGHTMAIL\ttest/role\t1.0\n"
				    "1\tOK\ttext=a\001tb\tnumber=0\tsigned=0\tbody=5\nhe\nlo"
				    "2\tPERM\tcode=quota\ttext=the user's text\n"
				    "3\tOK\ttext=\tnumber=0\tsigned=0\n");
	fixture_clear(&f);
}

static void expect_closed(const struct role_def *def, const char *text, int fds)
{
	int before = open_fds();
	struct fixture f;

	fixture_init_raw(&f, def);
	if (fds > 0)
		send_with_fds(&f, text, fds);
	else
		send_raw(&f, text);
	if (f.closed != 1)
		fail_msg("not closed: %s with %d", text, fds);
	fixture_clear(&f);
	assert_int_equal(open_fds(), before);
}

static void test_misbehaviour_closes(void **state)
{
	char line[CHANNEL_LINE_MAX + 1];

	(void)state;
	expect_closed(&role, "x\tECHO\n", 0);
	expect_closed(&role, "1\n", 0);
	expect_closed(&role, "\n", 0);
	expect_closed(&role, "1\tECHO\ttext=\001x\n", 0);
	expect_closed(&role, "1\tECHO\ttext=a\tbody=99999\n", 0);
	expect_closed(&role, "1\tFD\tfd=1\n", 0);
	expect_closed(&role, "1\tECHO\ttext=a\tbodyfd=5\n", 0);
	expect_closed(&role, "1\tECHO\ttext=a\tbodyfd=5\n", 1); /* not sealed */
	expect_closed(&role, "1\tECHO\ttext=a\n", 1);		/* surplus */
	expect_closed(&role, "1\tFD\tfd=1\n", 2);
	expect_closed(&role, "1\tFD\tfd=1\n", 3); /* more than any line has: cut by the kernel */
	expect_closed(&plain_role, "1\tFAIL\n", 1);
	memset(line, 'x', sizeof(line));
	line[CHANNEL_LINE_MAX] = '\0';
	expect_closed(&role, line, 0);
}

static void test_narrow_role_waits(void **state)
{
	struct fixture f;
	char text[256];

	(void)state;
	fixture_init_raw(&f, &narrow_role);
	send_raw(&f, "1\tKEEP\n2\tKEEP\n3\tKEEP\n4\tKEEP\n5\tKEEP\n6\tKEEP\n7\tKEEP\n");
	assert_int_equal(f.n_kept, 4);
	read_raw(&f, text, sizeof(text));
	reply_ok(f.kept[2]);
	turn(&f);
	assert_int_equal(f.n_kept, 5);
	read_raw(&f, text, sizeof(text));
	assert_string_equal(text, "3\tOK\n");
	reply_ok(f.kept[0]);
	reply_ok(f.kept[1]);
	reply_ok(f.kept[3]);
	turn(&f);
	assert_int_equal(f.n_kept, 7);
	(void)shutdown(f.peer, SHUT_WR);
	turn(&f);
	assert_true(request_peer_gone(f.kept[4]));
	reply_ok(f.kept[4]);
	reply_code(f.kept[5], ERR_TEMP, "x");
	reply_ok(f.kept[6]);
	fixture_clear(&f);
}

static void read_until(struct fixture *f, const char *wanted)
{
	char text[1024];

	turn(f);
	read_raw(f, text, sizeof(text));
	assert_string_equal(text, wanted);
}

static void test_deadline_before_handler(void **state)
{
	struct fixture f;
	uint64_t start;
	char text[256];

	(void)state;
	fixture_init_raw(&f, &narrow_role);
	read_raw(&f, text, sizeof(text));
	send_raw(&f, "1\tECHO\ttext=a\tdeadline=0\n");
	read_until(&f, "1\tTEMP\tcode=temp\ttext=the time is over\n");
	send_raw(&f, "2\tECHO\ttext=a\tdeadline=x\n");
	read_until(&f, "2\tPERM\tcode=proto\ttext=the deadline is malformed\n");
	/* One that waits for its turn until its time is over. */
	send_raw(&f, "3\tKEEP\n4\tKEEP\n5\tKEEP\n6\tKEEP\tdeadline=60000\n"
		     "7\tECHO\ttext=a\tdeadline=1\n");
	assert_int_equal(f.n_kept, 4);
	assert_int_equal(request_deadline_ms(f.kept[0]), 0);
	assert_true(request_deadline_ms(f.kept[3]) > clock_boot_ms() + 50000);
	start = clock_boot_ms();
	while (clock_boot_ms() < start + 3)
		;
	for (int i = 0; i < 4; i++)
		reply_ok(f.kept[i]);
	read_until(&f, "3\tOK\n4\tOK\n5\tOK\n6\tOK\n7\tTEMP\tcode=temp\ttext=the time is over\n");
	assert_int_equal(f.handled, 0);
	fixture_clear(&f);
}

static void test_late_answer(void **state)
{
	struct fixture f;
	struct result *r;

	(void)state;
	fixture_init(&f);
	r = call_wait(call_new(f.client, "KEEP"), 5);
	assert_int_equal(r->code, ERR_TEMP);
	assert_string_equal(r->why, "no answer in time");
	result_free(r);
	assert_int_equal(f.n_kept, 1);
	assert_int_equal(client_in_flight(f.client), 0);
	reply_ok(f.kept[0]);
	result_free(call_wait(echo_with(&f, "flag", "1"), 5000));
	assert_int_equal(f.handled, 1);
	assert_true(client_is_open(f.client));
	fixture_clear(&f);
}

struct counter {
	unsigned called;
	enum err_code code;
	struct client *to_free;
	struct fixture *f;
	ino_t inode;
};

static void count_answer(struct result *r, void *ctx)
{
	struct counter *n = ctx;

	n->called++;
	n->code = r->code;
	client_free(n->to_free);
}

static void test_forget_and_free(void **state)
{
	struct counter a = {0}, b = {0}, c = {0};
	struct fixture f;

	(void)state;
	fixture_init(&f);
	(void)call_send(call_new(f.client, "KEEP"), 0, count_answer, &a);
	(void)call_send(call_new(f.client, "KEEP"), 0, count_answer, &b);
	client_forget(f.client, &a);
	turn(&f);
	turn(&f);
	assert_int_equal(f.n_kept, 2);
	(void)call_send(call_new(f.client, "KEEP"), 0, count_answer, &c);
	assert_int_equal(c.called, 0);
	client_free(f.client);
	f.client = NULL;
	assert_int_equal(a.called, 0);
	assert_int_equal(b.called, 1);
	assert_int_equal(c.called, 1);
	assert_int_equal(b.code, ERR_TEMP);
	turn(&f);
	for (unsigned i = 0; i < f.n_kept; i++) {
		assert_true(request_peer_gone(f.kept[i]));
		reply_ok(f.kept[i]);
	}
	fixture_clear(&f);
}

static void test_free_in_callback(void **state)
{
	struct counter n = {0}, other = {0};
	struct fixture f;

	(void)state;
	fixture_init(&f);
	n.to_free = f.client;
	(void)call_send(echo_with(&f, "flag", "0"), 1000, count_answer, &n);
	(void)call_send(echo_with(&f, "flag", "0"), 1000, count_answer, &other);
	(void)call_send(echo_with(&f, "flag", "0"), 1000, count_answer, &other);
	for (int i = 0; i < 5; i++)
		turn(&f);
	f.client = NULL;
	assert_int_equal(n.called, 1);
	assert_int_equal(n.code, ERR_NONE);
	assert_int_equal(other.called, 2);
	assert_int_equal(other.code, ERR_TEMP);
	fixture_clear(&f);
}

static void test_close_in_handler(void **state)
{
	struct fixture f;
	struct counter n = {0};

	(void)state;
	fixture_init(&f);
	(void)call_send(call_new(f.client, "KEEP"), 1000, count_answer, &n);
	(void)call_send(call_new(f.client, "CLOSE"), 1000, count_answer, &n);
	(void)call_send(call_new(f.client, "FAIL"), 1000, count_answer, &n);
	for (int i = 0; i < 5; i++)
		turn(&f);
	assert_int_equal(n.called, 3);
	assert_int_equal(n.code, ERR_TEMP);
	assert_int_equal(f.client_closed, 1);
	/* Calls after the end fail, but not at once. */
	(void)call_send(call_new(f.client, "FAIL"), 1000, count_answer, &n);
	assert_int_equal(n.called, 3);
	turn(&f);
	assert_int_equal(n.called, 4);
	assert_true(request_peer_gone(f.kept[0]));
	reply_ok(f.kept[0]);
	fixture_clear(&f);
}

static void test_handshake(void **state)
{
	static const char *const bad[] = {"LIGHTMAIL\tother/role\t1.0\n",
		"LIGHTMAIL\ttest/role\t2.0\n", "LIGHTMAIL\ttest/role\n", "HELLO\n", "\n",
		"LIGHTMAIL\ttest/role\t1.0\n", "LIGHTMAIL\ttest/role\t1.0\ttoken=\n",
		"LIGHTMAIL\ttest/role\t1.0\ttoken=0badc0df\n",
		"LIGHTMAIL\ttest/role\t1.0\ttoken=0badc0de0\n"};
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < array_count(bad); i++) {
		fixture_pair(&f, &role, "0badc0de", &f.peer);
		send_raw(&f, bad[i]);
		assert_int_equal(f.opened, 0);
		assert_int_equal(f.gone, 1);
		fixture_clear(&f);
	}
	fixture_init_role(&f, &role, "0badc0de", "0badc0de");
	result_free(call_wait(echo_with(&f, "flag", "0"), 5000));
	assert_int_equal(f.handled, 1);
	assert_int_equal(channel_peer_uid(f.channel), (int)getuid());
	assert_string_equal(channel_peer(f.channel), "tester");
	fixture_clear(&f);
}

/* A client whose server is this test. */
static void client_with_raw_server(struct fixture *f, int *fd_r)
{
	struct client_def def = {.role = "test/role",
		.on_open = client_on_open,
		.on_close = client_on_close,
		.ctx = f};
	int fds[2];

	*f = (struct fixture){.base = event_base_new(), .peer = -1};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	f->client = client_new_fd(f->base, &def, fds[0]);
	*fd_r = fds[1];
}

static void test_bad_server(void **state)
{
	static const char *const bad[] = {"LIGHTMAIL\tother/role\t1.0\n",
		"LIGHTMAIL\ttest/role\t9.0\n", "LIGHTMAIL\ttest/role\t1.0\n77\tOK\n",
		"LIGHTMAIL\ttest/role\t1.0\n1\tOK\n1\tOK\n", "LIGHTMAIL\ttest/role\t1.0\n1\tYES\n",
		"LIGHTMAIL\ttest/role\t1.0\nx\tOK\n"};
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < array_count(bad); i++) {
		struct counter n = {0};
		int fd;

		client_with_raw_server(&f, &fd);
		(void)call_send(call_new(f.client, "ONE"), 60000, count_answer, &n);
		assert_int_equal(send(fd, bad[i], strlen(bad[i]), MSG_NOSIGNAL), strlen(bad[i]));
		for (int k = 0; k < 3; k++)
			turn(&f);
		assert_int_equal(n.called, 1);
		assert_int_equal(f.client_closed, 1);
		assert_false(client_is_open(f.client));
		client_free(f.client);
		(void)close(fd);
		event_base_free(f.base);
	}
}

static void test_failure_codes(void **state)
{
	static const struct {
		const char *answer;
		enum err_code code;
	} cases[] = {{"1\tTEMP\n", ERR_TEMP}, {"1\tPERM\n", ERR_PERM},
		{"1\tTEMP\tcode=limit\n", ERR_LIMIT}, {"1\tPERM\tcode=notfound\n", ERR_NOTFOUND},
		{"1\tPERM\tcode=temp\n", ERR_PERM}, {"1\tTEMP\tcode=quota\n", ERR_TEMP},
		{"1\tPERM\tcode=none\n", ERR_PERM}, {"1\tPERM\tcode=new\n", ERR_PERM},
		{"1\tOK\tcode=perm\n", ERR_NONE}};
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < array_count(cases); i++) {
		struct counter n = {0};
		int fd;

		client_with_raw_server(&f, &fd);
		(void)call_send(call_new(f.client, "ONE"), 60000, count_answer, &n);
		(void)!write(fd, "LIGHTMAIL\ttest/role\t1.3\n", 24);
		turn(&f);
		(void)!write(fd, cases[i].answer, strlen(cases[i].answer));
		turn(&f);
		assert_int_equal(n.called, 1);
		assert_int_equal(n.code, cases[i].code);
		client_free(f.client);
		(void)close(fd);
		event_base_free(f.base);
	}
}

/* ---- descriptors under partial sends, back-pressure ---- */

static void check_inode(struct result *r, void *ctx)
{
	struct counter *n = ctx;
	struct stat st;

	assert_int_equal(r->code, ERR_NONE);
	assert_int_equal(fstat(r->fd, &st), 0);
	assert_true(st.st_ino == n->inode);
	assert_int_equal(r->body.n, 50000);
	n->called++;
}

static void test_descriptors_with_partial_sends(void **state)
{
	struct client_def def = {.role = "test/role"};
	int before = open_fds(), fds[2], small = 1;
	struct counter n[40] = {0};
	struct fixture f;
	char body[50000];
	bool all = false;

	(void)state;
	memset(body, 'p', sizeof(body));
	f = (struct fixture){.base = event_base_new(), .peer = -1};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(
			setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	f.channel = channel_accept(f.base, fds[0], &role, NULL, "tester", &f);
	channel_on_gone(f.channel, on_gone, &f);
	f.client = client_new_fd(f.base, &def, fds[1]);
	for (size_t i = 0; i < array_count(n); i++) {
		struct call *call = call_new(f.client, "FD");
		int fd = memfd_create("test", MFD_CLOEXEC);
		struct stat st;

		assert_int_equal(fstat(fd, &st), 0);
		n[i].inode = st.st_ino;
		call_fd(call, fd, true);
		call_body_span(call, span_from(body, sizeof(body)));
		(void)call_send(call, 60000, check_inode, &n[i]);
	}
	while (!all) {
		assert_int_equal(event_base_loop(f.base, EVLOOP_ONCE), 0);
		all = true;
		for (size_t i = 0; i < array_count(n); i++)
			all = all && n[i].called == 1;
	}
	fixture_clear(&f);
	assert_int_equal(open_fds(), before);
}

static void test_back_pressure(void **state)
{
	static const char line[] = "7\tBIG\tn=60000\n";
	size_t asked = 0, answered = 0, got = 0, part = 0;
	static char in[65536];
	struct fixture f;
	ssize_t n = 1;

	(void)state;
	fixture_init_raw(&f, &role);
	/* A peer that asks and does not read: its requests stay in the socket. */
	while (n > 0) {
		n = send(f.peer, line + part, sizeof(line) - 1 - part, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n > 0) {
			part = (part + (size_t)n) % (sizeof(line) - 1);
			asked += part == 0;
		}
		turn(&f);
		assert_true(channel_output_pending(f.channel) <= CHANNEL_OUTPUT_MAX + 61000);
		assert_true(asked < 1000000);
	}
	assert_true(asked > 100);
	assert_true(channel_output_pending(f.channel) > CHANNEL_OUTPUT_MAX);
	/* It begins to read: all are answered. */
	while (answered < asked) {
		n = recv(f.peer, in, sizeof(in), MSG_DONTWAIT);
		for (ssize_t i = 0; i < n; i++)
			answered += in[i] == '\n' && got++ > 0; /* not the handshake */
		turn(&f);
		assert_true(channel_output_pending(f.channel) <= CHANNEL_OUTPUT_MAX + 61000);
	}
	assert_int_equal(answered, asked);
	fixture_clear(&f);
}

static void test_events_not_read(void **state)
{
	static char body[CHANNEL_INLINE_MAX];
	struct fixture f;
	unsigned sent = 0;

	(void)state;
	fixture_init_raw(&f, &role);
	while (f.channel != NULL && sent < 10000) {
		channel_event(f.channel, "CHANGE", span_from(body, sizeof(body)), NULL);
		sent++;
		turn(&f);
	}
	assert_true(sent > 16 && sent < 1000);
	assert_int_equal(f.closed, 1);
	fixture_clear(&f);
}

/* ---- reconnection ---- */

struct listener {
	struct fixture *f;
	struct event *event;
	char folder[32], path[64];
	unsigned accepted;
};

static void on_acceptable(evutil_socket_t fd, short what, void *arg)
{
	struct listener *l = arg;

	(void)what;
	l->accepted++;
	l->f->channel = channel_accept(
		l->f->base, accept4(fd, NULL, NULL, SOCK_CLOEXEC), &role, NULL, "tester", l->f);
	channel_on_gone(l->f->channel, on_gone, l->f);
}

static int listener_open(struct listener *l)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	(void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", l->path);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(listen(fd, 8), 0);
	l->event = event_new(l->f->base, fd, EV_READ | EV_PERSIST, on_acceptable, l);
	assert_int_equal(event_add(l->event, NULL), 0);
	return fd;
}

static void test_reconnect(void **state)
{
	struct fixture f = {.base = event_base_new(), .peer = -1};
	struct listener l = {.f = &f, .folder = "/tmp/lm-channel-XXXXXX"};
	struct client_def def = {.role = "test/role",
		.reconnect = true,
		.on_open = client_on_open,
		.on_close = client_on_close,
		.ctx = &f};
	struct counter n = {0};
	struct result *r;
	struct call *call;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(l.folder));
	(void)snprintf(l.path, sizeof(l.path), "%s/socket", l.folder);
	def.path = l.path;
	f.client = client_new(f.base, &def); /* nobody there yet */
	assert_false(client_is_open(f.client));
	r = call_wait(call_new(f.client, "ECHO"), 5);
	assert_int_equal(r->code, ERR_TEMP);
	assert_string_equal(r->why, "no connection in time");
	result_free(r);
	fd = listener_open(&l);
	call = echo_with(&f, "flag", "1");
	call_body_span(call, SPAN("kept until the connection is there"));
	r = call_wait(call, 10000);
	assert_int_equal(r->code, ERR_NONE);
	assert_true(span_is(r->body, "kept until the connection is there"));
	result_free(r);
	/* The connection breaks with a request under way, and comes back by itself. */
	(void)call_send(call_new(f.client, "KEEP"), 60000, count_answer, &n);
	while (f.n_kept == 0)
		assert_int_equal(event_base_loop(f.base, EVLOOP_ONCE), 0);
	channel_close(f.channel);
	while (n.called == 0)
		assert_int_equal(event_base_loop(f.base, EVLOOP_ONCE), 0);
	assert_int_equal(n.code, ERR_TEMP);
	reply_ok(f.kept[0]);
	r = call_wait(echo_with(&f, "flag", "1"), 10000);
	assert_int_equal(r->code, ERR_NONE);
	result_free(r);
	assert_int_equal(l.accepted, 2);
	assert_int_equal(f.client_opened, 2);
	assert_int_equal(f.client_closed, 1);
	f.gone = 0;
	event_free(l.event);
	(void)close(fd);
	assert_int_equal(unlink(l.path), 0);
	assert_int_equal(rmdir(l.folder), 0);
	fixture_clear(&f);
}

static void test_no_reconnect(void **state)
{
	struct fixture f = {.base = event_base_new(), .peer = -1};
	struct client_def def = {.role = "test/role",
		.path = "/nonexistent/socket",
		.on_close = client_on_close,
		.ctx = &f};
	struct result *r;

	(void)state;
	f.client = client_new(f.base, &def);
	assert_int_equal(f.client_closed, 0);
	r = call_wait(call_new(f.client, "ECHO"), 5000);
	assert_int_equal(r->code, ERR_TEMP);
	result_free(r);
	assert_int_equal(f.client_closed, 1);
	client_free(f.client);
	event_base_free(f.base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_escape_round_trip),
		cmocka_unit_test(test_line_parse),
		cmocka_unit_test(test_too_many_params),
		cmocka_unit_test(test_request_reply),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_descriptor),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_one_octet_at_a_time),
		cmocka_unit_test(test_misbehaviour_closes),
		cmocka_unit_test(test_narrow_role_waits),
		cmocka_unit_test(test_deadline_before_handler),
		cmocka_unit_test(test_late_answer),
		cmocka_unit_test(test_forget_and_free),
		cmocka_unit_test(test_free_in_callback),
		cmocka_unit_test(test_close_in_handler),
		cmocka_unit_test(test_handshake),
		cmocka_unit_test(test_bad_server),
		cmocka_unit_test(test_failure_codes),
		cmocka_unit_test(test_descriptors_with_partial_sends),
		cmocka_unit_test(test_back_pressure),
		cmocka_unit_test(test_events_not_read),
		cmocka_unit_test(test_reconnect),
		cmocka_unit_test(test_no_reconnect),
	};

	log_setup("channel-test", LOG_FORM_HUMAN, LOG_LEVEL_ERROR + 1, LOG_ADDRESSES_PLAIN, 2);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
