#include "lib-common/log.h"
#include "lib-common/mem.h"

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static int pipe_fds[2];

static int pipe_open(void **state)
{
	(void)state;
	return pipe2(pipe_fds, O_CLOEXEC);
}

static int pipe_close(void **state)
{
	(void)state;
	log_trace(NULL);
	log_setup("test", LOG_FORM_HUMAN, LOG_LEVEL_INFO, LOG_ADDRESSES_PLAIN, 2);
	(void)close(pipe_fds[0]);
	(void)close(pipe_fds[1]);
	return 0;
}

static void setup(enum log_form form, enum log_addresses addresses)
{
	log_setup("test", form, LOG_LEVEL_INFO, addresses, pipe_fds[1]);
}

/* What one event wrote, from its name on. */
static const char *written(void)
{
	static char text[2 * PIPE_BUF];
	ssize_t n = read(pipe_fds[0], text, sizeof(text) - 1);
	const char *event;

	assert_true(n > 0 && n <= PIPE_BUF);
	text[n] = '\0';
	assert_int_equal(text[n - 1], '\n');
	assert_ptr_equal(strchr(text, '\n'), text + n - 1); /* one event, one line */
	event = strstr(text, "the-event");
	assert_non_null(event);
	return event;
}

static void test_json(void **state)
{
	(void)state;
	setup(LOG_FORM_JSON, LOG_ADDRESSES_PLAIN);
	log_info("the-event", "text", LOG_STR("a b"), "n", LOG_INT(-5), "u", LOG_UINT(UINT64_MAX),
		"none", LOG_STR(NULL), NULL);
	assert_string_equal(written(), "the-event\",\"text\":\"a b\",\"n\":-5,"
				       "\"u\":18446744073709551615,\"none\":\"\"}\n");
}

static void test_human(void **state)
{
	(void)state;
	setup(LOG_FORM_HUMAN, LOG_ADDRESSES_PLAIN);
	log_warning("the-event", "word", LOG_STR("plain"), "text", LOG_STR("a b"), "eq",
		LOG_STR("a=b"), "empty", LOG_STR(""), NULL);
	assert_string_equal(written(), "the-event word=plain text=\"a b\" eq=\"a=b\" empty=\"\"\n");
}

static void test_injection(void **state)
{
	static const char evil[] = "a\nb\"c\\d\r\x1b[31m\x7f";

	(void)state;
	setup(LOG_FORM_JSON, LOG_ADDRESSES_PLAIN);
	log_info("the-event", "x", LOG_STR(evil), NULL);
	assert_string_equal(
		written(), "the-event\",\"x\":\"a\\u000ab\\\"c\\\\d\\u000d\\u001b[31m\\u007f\"}\n");
	setup(LOG_FORM_HUMAN, LOG_ADDRESSES_PLAIN);
	log_info("the-event", "x", LOG_STR(evil), NULL);
	assert_string_equal(written(), "the-event x=\"a\\x0ab\\\"c\\\\d\\x0d\\x1b[31m\\x7f\"\n");
}

static void test_utf8(void **state)
{
	(void)state;
	setup(LOG_FORM_JSON, LOG_ADDRESSES_PLAIN);
	log_info("the-event", "good", LOG_STR("\xc3\xa4\xe2\x82\xac\xf0\x9f\x93\xac"), "bad",
		LOG_STR("\xff\xc3"), "c1", LOG_STR("\xc2\x85"), "line", LOG_STR("\xe2\x80\xa8"),
		"bidi", LOG_STR("\xe2\x80\xae"), "nul", LOG_SPAN(span_from("a\0b", 3)), NULL);
	assert_string_equal(written(),
		"the-event\",\"good\":\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x93\xac\","
		"\"bad\":\"\\u00ff\\u00c3\",\"c1\":\"\\u00c2\\u0085\","
		"\"line\":\"\\u00e2\\u0080\\u00a8\",\"bidi\":\"\\u00e2\\u0080\\u00ae\","
		"\"nul\":\"a\\u0000b\"}\n");
}

static void test_addresses(void **state)
{
	char first[200];

	(void)state;
	setup(LOG_FORM_HUMAN, LOG_ADDRESSES_PLAIN);
	log_info("the-event", "to", LOG_ADDR("eve@example.org"), NULL);
	assert_string_equal(written(), "the-event to=eve@example.org\n");
	setup(LOG_FORM_HUMAN, LOG_ADDRESSES_OFF);
	log_info("the-event", "to", LOG_ADDR("eve@example.org"), "n", LOG_INT(1), NULL);
	assert_string_equal(written(), "the-event n=1\n");
	setup(LOG_FORM_HUMAN, LOG_ADDRESSES_HASHED);
	log_info("the-event", "to", LOG_ADDR("eve@example.org"), NULL);
	(void)snprintf(first, sizeof(first), "%s", written());
	assert_null(strstr(first, "example"));
	assert_int_equal(strlen(first), strlen("the-event to=h:0123456789abcdef\n"));
	log_info("the-event", "to", LOG_ADDR("eve@example.org"), NULL);
	assert_string_equal(written(), first);
}

static void test_trace_and_level(void **state)
{
	char octet;

	(void)state;
	setup(LOG_FORM_HUMAN, LOG_ADDRESSES_PLAIN);
	log_trace("0123456789abcdef01234567");
	assert_string_equal(log_trace_get(), "0123456789abcdef01234567");
	log_error("the-event", NULL);
	assert_string_equal(written(), "the-event trace=0123456789abcdef01234567\n");
	log_trace(NULL);
	log_error("the-event", NULL);
	assert_string_equal(written(), "the-event\n");
	log_debug("the-event", NULL);
	assert_int_equal(fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(read(pipe_fds[0], &octet, 1), -1);
}

static void test_long_lines(void **state)
{
	static char text[5000];
	const char *line;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	setup(LOG_FORM_JSON, LOG_ADDRESSES_PLAIN);
	log_info("the-event", "a", LOG_STR(text), "b", LOG_INT(1), NULL);
	line = written();
	assert_non_null(strstr(line, "xxx...\",\"b\":1}"));
	/* What does not fit at all is left out, and the line says so. */
	log_info("the-event", "a", LOG_STR(text), "b", LOG_STR(text), "c", LOG_STR(text), "d",
		LOG_STR(text), "e", LOG_INT(1), NULL);
	line = written();
	assert_non_null(strstr(line, ",\"cut\":true}\n"));
	assert_null(strstr(line, "\"d\""));
}

static void test_full_pipe(void **state)
{
	char buffer[65536];
	int lines = 0;

	(void)state;
	setup(LOG_FORM_HUMAN, LOG_ADDRESSES_PLAIN);
	memset(buffer, 'x', 1000);
	buffer[1000] = '\0';
	while (log_lines_dropped() == 0 && lines++ < 10000)
		log_info(
			"the-event", "x", LOG_STR(buffer), NULL); /* returns, though nobody reads */
	log_info("the-event", "x", LOG_STR(buffer), NULL);
	assert_int_equal(log_lines_dropped(), 2);
	assert_int_equal(fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK), 0);
	while (read(pipe_fds[0], buffer, sizeof(buffer)) > 0)
		;
	log_info("the-event", NULL);
	assert_string_equal(written(), "the-event dropped_lines=2\n");
	assert_int_equal(log_lines_dropped(), 0);
}

static void test_fatal(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	setup(LOG_FORM_HUMAN, LOG_ADDRESSES_PLAIN);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		log_fatal("the-event", "why", LOG_STR("x"), NULL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 70);
	assert_string_equal(written(), "the-event why=x\n");
}

static void test_trace_id(void **state)
{
	char a[TRACE_ID_SIZE], b[TRACE_ID_SIZE];

	(void)state;
	trace_id_make(a);
	trace_id_make(b);
	assert_true(trace_id_valid(span_of(a)));
	assert_string_not_equal(a, b);
	assert_true(trace_id_valid(SPAN("0123456789abcdef01234567")));
	assert_false(trace_id_valid(SPAN("0123456789abcdef0123456")));
	assert_false(trace_id_valid(SPAN("0123456789abcdef012345678")));
	assert_false(trace_id_valid(SPAN("0123456789ABCDEF01234567")));
	assert_false(trace_id_valid(SPAN("")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_json, pipe_open, pipe_close),
		cmocka_unit_test_setup_teardown(test_human, pipe_open, pipe_close),
		cmocka_unit_test_setup_teardown(test_injection, pipe_open, pipe_close),
		cmocka_unit_test_setup_teardown(test_utf8, pipe_open, pipe_close),
		cmocka_unit_test_setup_teardown(test_addresses, pipe_open, pipe_close),
		cmocka_unit_test_setup_teardown(test_trace_and_level, pipe_open, pipe_close),
		cmocka_unit_test_setup_teardown(test_long_lines, pipe_open, pipe_close),
		cmocka_unit_test_setup_teardown(test_full_pipe, pipe_open, pipe_close),
		cmocka_unit_test_setup_teardown(test_fatal, pipe_open, pipe_close),
		cmocka_unit_test(test_trace_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
