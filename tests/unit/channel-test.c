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
		&f, fixture_echo(&f, "number", "-1"), ERR_PROTO, "argument number is malformed");
	expect_failure(
		&f, fixture_echo(&f, "signed", "x"), ERR_PROTO, "argument signed is malformed");
	expect_failure(&f, fixture_echo(&f, "hex", "abc"), ERR_PROTO, "argument hex is malformed");
	expect_failure(&f, fixture_echo(&f, "hex", "aG"), ERR_PROTO, "argument hex is malformed");
	expect_failure(&f, fixture_echo(&f, "flag", "2"), ERR_PROTO, "argument flag is malformed");
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
	int before = fixture_open_fds();
	struct fixture f;

	(void)state;
	fixture_init(&f);
	for (size_t i = 0; i < array_count(sizes); i++)
		check_body(&f, sizes[i]);
	fixture_clear(&f);
	assert_int_equal(fixture_open_fds(), before);
}

static void test_descriptor(void **state)
{
	int before = fixture_open_fds(), fd;
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
	assert_int_equal(fixture_open_fds(), before);
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
	};

	log_setup("channel-test", LOG_FORM_HUMAN, LOG_LEVEL_ERROR + 1, LOG_ADDRESSES_PLAIN, 2);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
