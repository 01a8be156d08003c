/* login: cutting commands out of a stranger's input. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib-common/mem.h"
#include "services/login/login-command.h"

static const struct login_limits limits = {8192, 4096};

/* Fed one octet at a time, a command is complete at its last octet and not before. */
static void check_scan(struct span in, enum login_scan want, size_t length)
{
	unsigned answered = 0, literals;
	size_t n;

	for (size_t i = 0; i <= in.n; i++) {
		enum login_scan r = login_command_scan(
			span_from(in.p, i), &limits, answered, &n, &literals);

		if (r == LOGIN_SCAN_LITERAL) {
			answered = literals;
			r = login_command_scan(
				span_from(in.p, i), &limits, answered, &n, &literals);
		}
		if (r == LOGIN_SCAN_MORE)
			continue;
		assert_int_equal(r, want);
		if (r == LOGIN_SCAN_COMMAND) {
			assert_int_equal(n, length);
			assert_int_equal(i, length);
		}
		return;
	}
	assert_int_equal(want, LOGIN_SCAN_MORE);
}

static void test_scan(void **state)
{
	char *many = mem_alloc(8192 + 10);

	(void)state;
	check_scan(SPAN("a NOOP\r\nb"), LOGIN_SCAN_COMMAND, 8);
	check_scan(SPAN("a NOOP\nb"), LOGIN_SCAN_COMMAND, 7);
	check_scan(SPAN("a LOGIN {3}\r\nabc {2+}\r\nxy\r\n"), LOGIN_SCAN_COMMAND, 27);
	check_scan(SPAN("a LOGIN {3}\r\n\n\n\n \"p\"\r\n"), LOGIN_SCAN_COMMAND, 22);
	check_scan(SPAN("a LOGIN {4097}\r\n"), LOGIN_SCAN_TOO_LONG, 0);
	check_scan(SPAN("a LOGIN {4294967296}\r\n"), LOGIN_SCAN_TOO_LONG, 0);
	check_scan(SPAN("a LOGIN {4000+}\r\n"), LOGIN_SCAN_MORE, 0);
	/* Not literals: numbers that overflow, signs, nothing. */
	check_scan(SPAN("a {99999999999999999999999}\r\n"), LOGIN_SCAN_COMMAND, 29);
	check_scan(SPAN("a {-1}\r\n"), LOGIN_SCAN_COMMAND, 8);
	check_scan(SPAN("a {}\r\n"), LOGIN_SCAN_COMMAND, 6);
	check_scan(SPAN("}\r\n"), LOGIN_SCAN_COMMAND, 3);
	memset(many, 'a', 8192 + 9);
	check_scan(span_from(many, 8192 + 9), LOGIN_SCAN_TOO_LONG, 0);
	mem_free(many);
}

static void test_literal_sum(void **state)
{
	struct span in = SPAN("a {4096+}\r\n");
	struct buf b;
	unsigned literals;
	size_t n;

	(void)state;
	buf_init(&b);
	buf_add_span(&b, in);
	for (int i = 0; i < 4096; i++)
		buf_add_c(&b, 'x');
	buf_add_str(&b, " {1+}\r\n");
	assert_int_equal(
		login_command_scan(buf_span(&b), &limits, 0, &n, &literals), LOGIN_SCAN_TOO_LONG);
	buf_clear(&b);
}

static void test_split(void **state)
{
	struct login_command c;

	(void)state;
	assert_true(login_command_split(SPAN("a1 LOGIN x y\r\n"), &c));
	assert_true(span_is(c.tag, "a1") && span_is(c.name, "LOGIN") && span_is(c.args, "x y"));
	assert_true(login_command_split(SPAN("a1\r\n"), &c));
	assert_true(span_is(c.tag, "a1") && c.name.n == 0 && c.args.n == 0);
	assert_false(login_command_split(SPAN("\r\n"), &c));
	assert_false(login_command_split(SPAN("* NOOP\r\n"), &c));
	assert_false(login_command_split(SPAN("a\x80 NOOP\r\n"), &c));
	assert_false(login_command_split(SPAN("+ NOOP\r\n"), &c));
}

static void check_astring(struct span in, const char *want, const char *rest)
{
	struct buf out;
	struct span s = in;
	bool ok;

	buf_init(&out);
	ok = login_command_astring(&s, &out);
	assert_int_equal(ok, want != NULL);
	if (ok) {
		assert_string_equal(buf_str(&out), want);
		assert_true(span_is(s, rest));
	}
	buf_clear(&out);
}

static void test_astring(void **state)
{
	(void)state;
	check_astring(SPAN("abc def"), "abc", " def");
	check_astring(SPAN(" \"a \\\"b\\\\\" x"), "a \"b\\", " x");
	check_astring(SPAN("\"\""), "", "");
	check_astring(SPAN("{3}\r\na\"b x"), "a\"b", " x");
	check_astring(SPAN("{0+}\r\n"), "", "");
	check_astring(SPAN("]x"), "]x", "");
	check_astring(SPAN(""), NULL, "");
	check_astring(SPAN("\"a"), NULL, "");
	check_astring(SPAN("\"a\\"), NULL, "");
	check_astring(SPAN("{5}\r\nabc"), NULL, "");
	check_astring(SPAN("{3}\r\na\0b"), NULL, "");
	check_astring(SPAN("(a"), NULL, "");
	check_astring(SPAN("a{3}\r\nabc"), "a", "{3}\r\nabc");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scan),
		cmocka_unit_test(test_literal_sum),
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_astring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
