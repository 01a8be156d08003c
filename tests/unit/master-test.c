/*
 * Master end to end, with a small service of the test's own (echo-service.c), as a pool of
 * processes and as session processes. What it waits for are events: supervisor messages on
 * NOTIFY_SOCKET, answers on sockets, lines of the log.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib-common/buf.h"
#include "lib-common/channel.h"
#include "lib-common/mem.h"

#define WAIT_SECONDS 10

struct server {
	char dir[40];
	const char *kind; /* "pool" or "sessions" */
	pid_t pid;
	int notify, log;
	struct buf text; /* of the log so far */
};

static void config_write(const struct server *s, const char *global, const char *echo)
{
	char *path = mem_printf("%s/lightmail.conf", s->dir);
	char *here = realpath(".", NULL);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fprintf(f,
		"[global]\nrun_dir = %s/run\nstate_dir = %s/state\n"
		"libexec_dir = %s/tests/unit/%s\nlog_form = json\n%s\n"
		"[echo-service]\nlisten = $run_dir/echo.sock\n%s\n",
		s->dir, s->dir, here, s->kind, global, echo);
	fclose(f);
	free(here);
	mem_free(path);
}

static void timeout_set(int fd)
{
	struct timeval tv = {WAIT_SECONDS, 0};

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), 0);
}

static void address_of(const struct server *s, const char *name, struct sockaddr_un *sun)
{
	*sun = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(sun->sun_path, sizeof(sun->sun_path), "%s/%s", s->dir, name);
}

static void server_init(struct server *s, const char *kind)
{
	struct sockaddr_un sun;

	memset(s, 0, sizeof(*s));
	strcpy(s->dir, "/tmp/master-test-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	s->kind = kind;
	buf_init(&s->text);
	s->notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	address_of(s, "notify", &sun);
	assert_int_equal(bind(s->notify, (struct sockaddr *)&sun, sizeof(sun)), 0);
	timeout_set(s->notify);
}

static void server_start(struct server *s)
{
	char *program = mem_printf("tests/unit/%s/master-echo", s->kind);
	char *config = mem_printf("%s/lightmail.conf", s->dir);
	char *notify = mem_printf("%s/notify", s->dir);
	int fds[2];

	/* A socket and not a pipe, for its time-out. */
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	s->log = fds[0];
	timeout_set(s->log);
	s->pid = fork();
	if (s->pid == 0) {
		setenv("NOTIFY_SOCKET", notify, 1);
		dup2(fds[1], 2);
		execl(program, "master-echo", "-F", "-c", config, NULL);
		_exit(127);
	}
	close(fds[1]);
	mem_free(program);
	mem_free(config);
	mem_free(notify);
}

static void notify_expect(struct server *s, const char *state)
{
	char text[256];
	ssize_t n = recv(s->notify, text, sizeof(text) - 1, 0);

	assert_true(n > 0);
	text[n] = '\0';
	if (strncmp(text, state, strlen(state)) != 0)
		fail_msg("expected %s, got %s", state, text);
}

/* Reads the log until it has the text; the log before it is forgotten. */
static void log_expect(struct server *s, const char *wanted)
{
	for (;;) {
		const char *at = strstr(buf_str(&s->text), wanted);
		char part[4096];
		ssize_t n;

		if (at != NULL) {
			buf_consume(&s->text, (size_t)(at - buf_str(&s->text)) + strlen(wanted));
			return;
		}
		n = recv(s->log, part, sizeof(part), 0);
		if (n <= 0)
			fail_msg("no '%s' in the log: %s", wanted, buf_str(&s->text));
		buf_add(&s->text, part, (size_t)n);
	}
}

static int server_wait(struct server *s)
{
	int status;

	assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
	s->pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void server_end(struct server *s)
{
	char *command = mem_printf("rm -rf '%s'", s->dir);

	if (s->pid > 0) {
		kill(s->pid, SIGTERM);
		assert_int_equal(server_wait(s), 0);
	}
	close(s->log);
	close(s->notify);
	buf_clear(&s->text);
	assert_int_equal(system(command), 0);
	mem_free(command);
}

static int echo_open(const struct server *s)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un sun;

	address_of(s, "run/echo.sock", &sun);
	timeout_set(fd);
	assert_int_equal(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	return fd;
}

/* The answer to a line; "" when the connection ended. */
static const char *echo_ask(int fd, const char *line)
{
	static char answer[256];
	ssize_t n;

	(void)send(fd, line, strlen(line), MSG_NOSIGNAL);
	n = recv(fd, answer, sizeof(answer) - 1, 0);
	assert_true(n >= 0 || errno == ECONNRESET);
	answer[n > 0 ? n : 0] = '\0';
	return answer;
}

static int echo_pid(int fd)
{
	return atoi(echo_ask(fd, "pid\n"));
}

/* The connection is answered by a process that sets its greeting so; each time by a new connection.
 */
static void greeting_expect(const struct server *s, const char *greeting)
{
	for (int i = 0; i < 1000; i++) {
		int fd = echo_open(s);
		bool right = strcmp(echo_ask(fd, "setting\n"), greeting) == 0;

		close(fd);
		if (right)
			return;
	}
	fail_msg("the greeting never became %s", greeting);
}

static struct result *admin_ask(const struct server *s, const char *verb)
{
	char *path = mem_printf("%s/run/ctl/master-admin", s->dir);
	struct client_def def = {.role = "master/admin", .path = path};
	struct event_base *base = event_base_new();
	struct client *c = client_new(base, &def);
	struct result *r = call_wait(call_new(c, verb), WAIT_SECONDS * 1000);

	client_free(c);
	event_base_free(base);
	mem_free(path);
	return r;
}

static void test_grows_on_demand(void **state)
{
	struct server s;
	int fds[4], pids[3];

	(void)state;
	server_init(&s, "pool");
	config_write(&s, "separate_users = no", "process_limit = 3\nclient_limit = 1");
	server_start(&s);
	notify_expect(&s, "READY=1");
	for (int i = 0; i < 3; i++) {
		fds[i] = echo_open(&s);
		pids[i] = echo_pid(fds[i]);
		assert_true(pids[i] > 0);
	}
	assert_true(pids[0] != pids[1] && pids[1] != pids[2] && pids[0] != pids[2]);
	/* At the limit the fourth waits, until one is free. */
	fds[3] = echo_open(&s);
	close(fds[1]);
	assert_int_equal(echo_pid(fds[3]), pids[1]);
	struct result *r = admin_ask(&s, "STATUS");
	assert_int_equal(r->code, ERR_NONE);
	assert_non_null(memmem(r->body.p, r->body.n, "echo-service\t", 13));
	result_free(r);
	close(fds[0]);
	close(fds[2]);
	close(fds[3]);
	server_end(&s);
}

static void test_crash(void **state)
{
	static const char *const kinds[] = {"pool", "sessions"};

	(void)state;
	for (size_t i = 0; i < array_count(kinds); i++) {
		struct server s;
		int fd, pid;

		server_init(&s, kinds[i]);
		config_write(&s, "separate_users = no", "");
		server_start(&s);
		notify_expect(&s, "READY=1");
		fd = echo_open(&s);
		pid = echo_pid(fd);
		assert_string_equal(echo_ask(fd, "crash\n"), "");
		close(fd);
		log_expect(&s, "process-died");
		fd = echo_open(&s);
		assert_true(echo_pid(fd) != pid);
		assert_string_equal(echo_ask(fd, "forbidden\n"), "");
		close(fd);
		log_expect(&s, "process-died");
		greeting_expect(&s, "hello\n");
		server_end(&s);
	}
}

static void test_sessions_are_apart(void **state)
{
	struct server s;
	int a, b;

	(void)state;
	server_init(&s, "sessions");
	config_write(&s, "separate_users = no", "process_limit = 20");
	server_start(&s);
	notify_expect(&s, "READY=1");
	a = echo_open(&s);
	b = echo_open(&s);
	assert_true(echo_pid(a) != echo_pid(b));
	close(a);
	close(b);
	server_end(&s);
}

static void test_reload(void **state)
{
	struct server s;
	struct result *r;

	(void)state;
	server_init(&s, "pool");
	config_write(&s, "separate_users = no", "");
	server_start(&s);
	notify_expect(&s, "READY=1");
	greeting_expect(&s, "hello\n");
	config_write(&s, "separate_users = no", "greeting = good day");
	kill(s.pid, SIGHUP);
	notify_expect(&s, "RELOADING=1");
	notify_expect(&s, "READY=1");
	greeting_expect(&s, "good day\n");

	config_write(&s, "separate_users = no", "greting = oops");
	kill(s.pid, SIGHUP);
	notify_expect(&s, "RELOADING=1");
	notify_expect(&s, "READY=1");
	log_expect(&s, "nearest is 'greeting'");
	r = admin_ask(&s, "RELOAD");
	assert_int_not_equal(r->code, ERR_NONE);
	result_free(r);
	notify_expect(&s, "RELOADING=1");
	notify_expect(&s, "READY=1");
	greeting_expect(&s, "good day\n");
	server_end(&s);
}

static void test_drain(void **state)
{
	struct server s;
	int fd;

	(void)state;
	server_init(&s, "pool");
	config_write(&s, "separate_users = no", "");
	server_start(&s);
	notify_expect(&s, "READY=1");
	fd = echo_open(&s);
	assert_true(echo_pid(fd) > 0);
	kill(s.pid, SIGTERM);
	notify_expect(&s, "STOPPING=1");
	assert_string_equal(echo_ask(fd, "still here\n"), "still here\n");
	close(fd);
	assert_int_equal(server_wait(&s), 0);
	server_end(&s);
}

static void test_drain_has_an_end(void **state)
{
	struct server s;
	int fd;

	(void)state;
	server_init(&s, "pool");
	config_write(&s, "separate_users = no\ndrain_timeout = 200ms", "");
	server_start(&s);
	notify_expect(&s, "READY=1");
	fd = echo_open(&s);
	assert_true(echo_pid(fd) > 0);
	kill(s.pid, SIGTERM);
	assert_int_equal(server_wait(&s), 0);
	assert_string_equal(echo_ask(fd, "still here\n"), "");
	close(fd);
	server_end(&s);
}

static void test_throttle(void **state)
{
	struct server s;

	(void)state;
	server_init(&s, "pool");
	config_write(&s, "separate_users = no", "broken = yes");
	server_start(&s);
	log_expect(&s, "told not to start");
	log_expect(&s, "\"seconds\":1");
	log_expect(&s, "\"seconds\":2");
	config_write(&s, "separate_users = no", "");
	kill(s.pid, SIGHUP);
	notify_expect(&s, "RELOADING=1");
	notify_expect(&s, "READY=1");
	server_end(&s);
}

static void test_refuses_to_start(void **state)
{
	struct server s;

	(void)state;
	server_init(&s, "pool");
	config_write(&s, "separate_users = no", "sise = 1\nclient_limit = none\n[other]\nx = 1");
	server_start(&s);
	log_expect(&s, "unknown setting 'sise'");
	log_expect(&s, "unknown section [other]");
	log_expect(&s, "client_limit takes a number");
	assert_int_equal(server_wait(&s), 78);
	close(s.log);

	s.kind = "nowhere";
	config_write(&s, "separate_users = no", "");
	s.kind = "pool";
	server_start(&s);
	log_expect(&s, "nowhere/echo-service: No such file");
	assert_int_equal(server_wait(&s), 78);
	server_end(&s);
}

static void test_one_master(void **state)
{
	struct server s, second;

	(void)state;
	server_init(&s, "pool");
	config_write(&s, "separate_users = no", "");
	server_start(&s);
	notify_expect(&s, "READY=1");
	second = s;
	buf_init(&second.text);
	server_start(&second);
	log_expect(&second, "another master is running");
	assert_int_equal(server_wait(&second), 78);
	close(second.log);
	buf_clear(&second.text);
	greeting_expect(&s, "hello\n");
	server_end(&s);
}

static void test_separate_users(void **state)
{
	static const char *const kinds[] = {"pool", "sessions"};

	(void)state;
	if (geteuid() != 0)
		skip();
	for (size_t i = 0; i < array_count(kinds); i++) {
		struct server s;

		server_init(&s, kinds[i]);
		config_write(&s, "separate_users = yes", "user = nobody");
		server_start(&s);
		notify_expect(&s, "READY=1");
		greeting_expect(&s, "hello\n");
		server_end(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grows_on_demand),
		cmocka_unit_test(test_crash),
		cmocka_unit_test(test_sessions_are_apart),
		cmocka_unit_test(test_reload),
		cmocka_unit_test(test_drain),
		cmocka_unit_test(test_drain_has_an_end),
		cmocka_unit_test(test_throttle),
		cmocka_unit_test(test_refuses_to_start),
		cmocka_unit_test(test_one_master),
		cmocka_unit_test(test_separate_users),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
