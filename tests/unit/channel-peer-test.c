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

/* ---- what a peer may do wrong ---- */

static void test_one_octet_at_a_time(void **state)
{
	static const char text[] = "LIGHTMAIL\ttest/role\t1.7\tnew=key\n"
				   "1\tECHO\ttext=a\001tb\tbody=5\nhe\nlo2\tFAIL\n"
				   "3\tECHO\ttext=\tbody=0\n";
	struct fixture f;
	char answer[512];

	(void)state;
	fixture_pair(&f, &test_role, NULL, &f.peer);
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		assert_int_equal(write(f.peer, text + i, 1), 1);
		fixture_turn(&f);
	}
	fixture_read(&f, answer, sizeof(answer));
	assert_string_equal(answer, "LIGHTMAIL\ttest/role\t1.0\n"
				    "1\tOK\ttext=a\001tb\tnumber=0\tsigned=0\tbody=5\nhe\nlo"
				    "2\tPERM\tcode=quota\ttext=the user's text\n"
				    "3\tOK\ttext=\tnumber=0\tsigned=0\n");
	fixture_clear(&f);
}

static void expect_closed(const struct role_def *def, const char *text, int fds)
{
	int before = fixture_open_fds();
	struct fixture f;

	fixture_init_raw(&f, def);
	if (fds > 0)
		fixture_send_fds(&f, text, fds);
	else
		fixture_send(&f, text);
	if (f.closed != 1)
		fail_msg("not closed: %s with %d", text, fds);
	fixture_clear(&f);
	assert_int_equal(fixture_open_fds(), before);
}

static void test_misbehaviour_closes(void **state)
{
	char line[CHANNEL_LINE_MAX + 1];

	(void)state;
	expect_closed(&test_role, "x\tECHO\n", 0);
	expect_closed(&test_role, "1\n", 0);
	expect_closed(&test_role, "\n", 0);
	expect_closed(&test_role, "1\tECHO\ttext=\001x\n", 0);
	expect_closed(&test_role, "1\tECHO\ttext=a\tbody=99999\n", 0);
	expect_closed(&test_role, "1\tFD\tfd=1\n", 0);
	expect_closed(&test_role, "1\tECHO\ttext=a\tbodyfd=5\n", 0);
	expect_closed(&test_role, "1\tECHO\ttext=a\tbodyfd=5\n", 1); /* not sealed */
	expect_closed(&test_role, "1\tECHO\ttext=a\n", 1);	     /* surplus */
	expect_closed(&test_role, "1\tFD\tfd=1\n", 2);
	expect_closed(
		&test_role, "1\tFD\tfd=1\n", 3); /* more than any line has: cut by the kernel */
	expect_closed(&test_plain_role, "1\tFAIL\n", 1);
	memset(line, 'x', sizeof(line));
	line[CHANNEL_LINE_MAX] = '\0';
	expect_closed(&test_role, line, 0);
}

static void test_narrow_role_waits(void **state)
{
	struct fixture f;
	char text[256];

	(void)state;
	fixture_init_raw(&f, &test_narrow_role);
	fixture_send(&f, "1\tKEEP\n2\tKEEP\n3\tKEEP\n4\tKEEP\n5\tKEEP\n6\tKEEP\n7\tKEEP\n");
	assert_int_equal(f.n_kept, 4);
	fixture_read(&f, text, sizeof(text));
	reply_ok(f.kept[2]);
	fixture_turn(&f);
	assert_int_equal(f.n_kept, 5);
	fixture_read(&f, text, sizeof(text));
	assert_string_equal(text, "3\tOK\n");
	reply_ok(f.kept[0]);
	reply_ok(f.kept[1]);
	reply_ok(f.kept[3]);
	fixture_turn(&f);
	assert_int_equal(f.n_kept, 7);
	(void)shutdown(f.peer, SHUT_WR);
	fixture_turn(&f);
	assert_true(request_peer_gone(f.kept[4]));
	reply_ok(f.kept[4]);
	reply_code(f.kept[5], ERR_TEMP, "x");
	reply_ok(f.kept[6]);
	fixture_clear(&f);
}

static void test_deadline_before_handler(void **state)
{
	struct fixture f;
	uint64_t start;
	char text[256];

	(void)state;
	fixture_init_raw(&f, &test_narrow_role);
	fixture_read(&f, text, sizeof(text));
	fixture_send(&f, "1\tECHO\ttext=a\tdeadline=0\n");
	fixture_expect(&f, "1\tTEMP\tcode=temp\ttext=the time is over\n");
	fixture_send(&f, "2\tECHO\ttext=a\tdeadline=x\n");
	fixture_expect(&f, "2\tPERM\tcode=proto\ttext=the deadline is malformed\n");
	/* One that waits for its fixture_turn until its time is over. */
	fixture_send(&f, "3\tKEEP\n4\tKEEP\n5\tKEEP\n6\tKEEP\tdeadline=60000\n"
			 "7\tECHO\ttext=a\tdeadline=1\n");
	assert_int_equal(f.n_kept, 4);
	assert_int_equal(request_deadline_ms(f.kept[0]), 0);
	assert_true(request_deadline_ms(f.kept[3]) > clock_boot_ms() + 50000);
	start = clock_boot_ms();
	while (clock_boot_ms() < start + 3)
		;
	for (int i = 0; i < 4; i++)
		reply_ok(f.kept[i]);
	fixture_expect(
		&f, "3\tOK\n4\tOK\n5\tOK\n6\tOK\n7\tTEMP\tcode=temp\ttext=the time is over\n");
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
	result_free(call_wait(fixture_echo(&f, "flag", "1"), 5000));
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
	fixture_turn(&f);
	fixture_turn(&f);
	assert_int_equal(f.n_kept, 2);
	(void)call_send(call_new(f.client, "KEEP"), 0, count_answer, &c);
	assert_int_equal(c.called, 0);
	client_free(f.client);
	f.client = NULL;
	assert_int_equal(a.called, 0);
	assert_int_equal(b.called, 1);
	assert_int_equal(c.called, 1);
	assert_int_equal(b.code, ERR_TEMP);
	fixture_turn(&f);
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
	(void)call_send(fixture_echo(&f, "flag", "0"), 1000, count_answer, &n);
	(void)call_send(fixture_echo(&f, "flag", "0"), 1000, count_answer, &other);
	(void)call_send(fixture_echo(&f, "flag", "0"), 1000, count_answer, &other);
	for (int i = 0; i < 5; i++)
		fixture_turn(&f);
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
		fixture_turn(&f);
	assert_int_equal(n.called, 3);
	assert_int_equal(n.code, ERR_TEMP);
	assert_int_equal(f.client_closed, 1);
	/* Calls after the end fail, but not at once. */
	(void)call_send(call_new(f.client, "FAIL"), 1000, count_answer, &n);
	assert_int_equal(n.called, 3);
	fixture_turn(&f);
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
		fixture_pair(&f, &test_role, "0badc0de", &f.peer);
		fixture_send(&f, bad[i]);
		assert_int_equal(f.opened, 0);
		assert_int_equal(f.gone, 1);
		fixture_clear(&f);
	}
	fixture_init_role(&f, &test_role, "0badc0de", "0badc0de");
	result_free(call_wait(fixture_echo(&f, "flag", "0"), 5000));
	assert_int_equal(f.handled, 1);
	assert_int_equal(channel_peer_uid(f.channel), (int)getuid());
	assert_string_equal(channel_peer(f.channel), "tester");
	fixture_clear(&f);
}

/* A client whose server is this test. */
static void client_with_raw_server(struct fixture *f, int *fd_r)
{
	struct client_def def = {.role = "test/role",
		.on_open = fixture_client_on_open,
		.on_close = fixture_client_on_close,
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
			fixture_turn(&f);
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
		fixture_turn(&f);
		(void)!write(fd, cases[i].answer, strlen(cases[i].answer));
		fixture_turn(&f);
		assert_int_equal(n.called, 1);
		assert_int_equal(n.code, cases[i].code);
		client_free(f.client);
		(void)close(fd);
		event_base_free(f.base);
	}
}

/* Many calls with all kinds of time limits, answered out of order or never: each is told once. */
static void test_many_deadlines(void **state)
{
	static struct counter n[2000];
	unsigned told = 0, in_time = 0;
	struct fixture f;
	uint32_t random = 1;
	char text[64];
	int fd;

	(void)state;
	client_with_raw_server(&f, &fd);
	assert_int_equal(write(fd, "LIGHTMAIL\ttest/role\t1.0\n", 24), 24);
	fixture_turn(&f);
	for (size_t i = 0; i < array_count(n); i++) {
		random = random * 1664525u + 1013904223u;
		n[i] = (struct counter){0};
		/* Every other one has time enough. */
		assert_int_equal(call_send(call_new(f.client, "V"),
					 i % 2 == 0 ? 60000 + random % 50000 : 1 + random % 20,
					 count_answer, &n[i]),
			i + 1);
	}
	while (client_in_flight(f.client) > array_count(n) / 2)
		assert_int_equal(event_base_loop(f.base, EVLOOP_ONCE), 0);
	for (size_t i = array_count(n); i > 0; i--) { /* late for every other one */
		int len = snprintf(
			text, sizeof(text), "%zu\tOK\n", (i - 1) * 7 % array_count(n) + 1);

		assert_int_equal(write(fd, text, (size_t)len), len);
		fixture_turn(&f);
	}
	for (size_t i = 0; i < array_count(n); i++) {
		told += n[i].called == 1;
		in_time += n[i].called == 1 && n[i].code == ERR_NONE && i % 2 == 0;
	}
	assert_int_equal(told, array_count(n));
	assert_int_equal(in_time, array_count(n) / 2);
	assert_true(client_is_open(f.client));
	client_free(f.client);
	(void)close(fd);
	event_base_free(f.base);
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
	int before = fixture_open_fds(), fds[2], small = 1;
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
	f.channel = channel_accept(f.base, fds[0], &test_role, NULL, "tester", &f);
	channel_on_gone(f.channel, fixture_on_gone, &f);
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
	assert_int_equal(fixture_open_fds(), before);
}

static void test_back_pressure(void **state)
{
	static const char line[] = "7\tBIG\tn=60000\n";
	size_t asked = 0, answered = 0, got = 0, part = 0;
	static char in[65536];
	struct fixture f;
	ssize_t n = 1;

	(void)state;
	fixture_init_raw(&f, &test_role);
	/* A peer that asks and does not read: its requests stay in the socket. */
	while (n > 0) {
		n = send(f.peer, line + part, sizeof(line) - 1 - part, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n > 0) {
			part = (part + (size_t)n) % (sizeof(line) - 1);
			asked += part == 0;
		}
		fixture_turn(&f);
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
		fixture_turn(&f);
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
	fixture_init_raw(&f, &test_role);
	while (f.channel != NULL && sent < 10000) {
		channel_event(f.channel, "CHANGE", span_from(body, sizeof(body)), NULL);
		sent++;
		fixture_turn(&f);
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
	l->f->channel = channel_accept(l->f->base, accept4(fd, NULL, NULL, SOCK_CLOEXEC),
		&test_role, NULL, "tester", l->f);
	channel_on_gone(l->f->channel, fixture_on_gone, l->f);
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
		.on_open = fixture_client_on_open,
		.on_close = fixture_client_on_close,
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
	call = fixture_echo(&f, "flag", "1");
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
	r = call_wait(fixture_echo(&f, "flag", "1"), 10000);
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
		.on_close = fixture_client_on_close,
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
		cmocka_unit_test(test_many_deadlines),
		cmocka_unit_test(test_failure_codes),
		cmocka_unit_test(test_descriptors_with_partial_sends),
		cmocka_unit_test(test_back_pressure),
		cmocka_unit_test(test_events_not_read),
		cmocka_unit_test(test_reconnect),
		cmocka_unit_test(test_no_reconnect),
	};

	log_setup("channel-peer-test", LOG_FORM_HUMAN, LOG_LEVEL_ERROR + 1, LOG_ADDRESSES_PLAIN, 2);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
