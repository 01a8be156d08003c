/* What commands say before they need anybody else; each input whole, and one octet at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib-storage/charset.h"
#include "tests/unit/imap-harness.h"

static struct event_base *base;

static void check_span(struct span input, const char *expected)
{
	static const size_t pieces[] = {1, 7, 1 << 20};
	struct imap_client c;
	struct buf said;

	for (size_t i = 0; i < array_count(pieces); i++) {
		buf_init(&said);
		harness_open(&c, base);
		harness_feed(&c, input, pieces[i], &said);
		if (strcmp(buf_str(&said), expected) != 0)
			print_message("input: %.200s\n", input.p);
		assert_string_equal(buf_str(&said), expected);
		harness_close(&c);
		buf_clear(&said);
	}
}

static void check(const char *input, const char *expected)
{
	check_span(span_of(input), expected);
}

/* Many of a text, between two others. */
static void check_many(
	const char *head, const char *text, int times, const char *tail, const char *expected)
{
	struct buf input;

	buf_init(&input);
	buf_add_str(&input, head);
	for (int i = 0; i < times; i++)
		buf_add_str(&input, text);
	buf_add_str(&input, tail);
	check_span(buf_span(&input), expected);
	buf_clear(&input);
}

#define AWAY "NO [UNAVAILABLE] The mail store is not available, try again later\r\n"

static void test_fetch(void **state)
{
	(void)state;
	check("a FETCH 1:2 (FLAGS UID)\r\n", "* 1 FETCH (UID 1 FLAGS ())\r\n"
					     "* 2 FETCH (UID 11 FLAGS (\\Answered))\r\n"
					     "a OK Fetch completed\r\n");
	check("a UID FETCH 5:* RFC822.SIZE\r\n", "* 2 FETCH (UID 11 RFC822.SIZE 100)\r\n"
						 "* 3 FETCH (UID 21 RFC822.SIZE 200)\r\n"
						 "a OK Fetch completed\r\n");
	check("a UID FETCH 500 FLAGS\r\n", "a OK Fetch completed\r\n");
	check("a UID FETCH 500:* UID\r\n", "* 3 FETCH (UID 21)\r\na OK Fetch completed\r\n");
	check("a FETCH 9 FLAGS\r\n", "a BAD No such message\r\n");
	check("a FETCH 0 FLAGS\r\n", "a BAD Invalid sequence set\r\n");
	check("a FETCH 1 BODY[1.]\r\n", "a BAD Invalid section\r\n");
	check("a FETCH 1 BODY[MIME]\r\n", "a BAD Unknown section\r\n");
	check("a FETCH 1 BODY[]<0.0>\r\n", "a BAD Zero octets asked for\r\n");
	check("a FETCH 1 (FLAGS\r\n", "a BAD Missing arguments\r\n");
	check("a FETCH 1:* FLAGS (CHANGEDSINCE 2)\r\n",
		"* OK [HIGHESTMODSEQ 3] Highest\r\n"
		"* 3 FETCH (FLAGS (\\Flagged) MODSEQ (3))\r\na OK Fetch completed\r\n");
	check("a FETCH 1 ENVELOPE\r\n", "a " AWAY);
}

static void test_search(void **state)
{
	(void)state;
	check("a SEARCH ALL\r\n", "* SEARCH 1 2 3\r\na OK Search completed\r\n");
	check("a UID SEARCH NOT (1 OR 2 ANSWERED)\r\n",
		"* SEARCH 1 11 21\r\na OK Search completed\r\n");
	check("a SEARCH OR FLAGGED ANSWERED UNSEEN\r\n",
		"* SEARCH 2 3\r\na OK Search completed\r\n");
	check("a SEARCH LARGER 99 SMALLER {3+}\r\n200\r\n", "a BAD Expected a number\r\n");
	check("a SEARCH KEYWORD foo\r\n", "* SEARCH\r\na OK Search completed\r\n");
	check("a SEARCH UNKEYWORD nope\r\n", "* SEARCH 1 2 3\r\na OK Search completed\r\n");
	check("a SEARCH MODSEQ 3\r\n", "* OK [HIGHESTMODSEQ 3] Highest\r\n"
				       "* SEARCH 3 (MODSEQ 3)\r\na OK Search completed\r\n");
	check("a SEARCH SUBJECT x\r\n", "a " AWAY);
	check("a SEARCH\r\n", "a BAD Missing arguments\r\n");
	check("a SEARCH NOT\r\n", "a BAD Missing arguments\r\n");
	check("a SEARCH (ALL\r\n", "a BAD Missing arguments\r\n");
	check_many("a SEARCH ", "(", 20000, "\r\n", "a BAD SEARCH is nested too deeply\r\n");
	check_many("a SEARCH ", "NOT ", 10000, "ALL\r\n", "a BAD SEARCH is nested too deeply\r\n");
	check_many(
		"a SEARCH ", "NOT ", 98, "ALL\r\n", "* SEARCH 1 2 3\r\na OK Search completed\r\n");
	check_many("a SEARCH ", "ALL ", 5000, "ALL\r\n", "a BAD Too many SEARCH keys\r\n");
}

static void test_bad_input(void **state)
{
	(void)state;
	check("\r\n\r\na FOO\r\n", "a BAD Unknown command\r\n");
	check("a\r\n", "a BAD Missing command\r\n");
	check("+ X\r\n", "* BAD Invalid tag\r\n");
	check("a UID NOOP\r\n", "a BAD Unknown command\r\n");
	check("a LOGIN x y\r\n", "a BAD Already logged in\r\n");
	check_many("a ", "x", 100000, "\r\nb NAMESPACE\r\n",
		"a BAD [TOOBIG] The command line is too long\r\n"
		"* NAMESPACE ((\"\" \"/\")) NIL NIL\r\nb OK Namespace completed\r\n");
	check("a SEARCH BODY {4294967295}\r\n", "a NO [TOOBIG] The literal is too large\r\n");
	check("a SEARCH BODY {4294967295+}\r\n", "a NO [TOOBIG] The literal is too large\r\n"
						 "* BYE [TOOBIG] The literal is too large\r\n");
	check("a STATUS {5}\r\nINBOX ()\r\n", "+ OK\r\na BAD Expected an atom\r\n");
	check_span(SPAN("a SEARCH BODY {1+}\r\n\0\r\n"), "a BAD NUL is not allowed in strings\r\n");
	check("a APPEND x {2000000}\r\n", "a NO [TOOBIG] The message is too large\r\n");
	check("a APPEND x (\\Foo) {3+}\r\nabc\r\nb FOO\r\n",
		"a BAD Invalid system flag\r\nb BAD Unknown command\r\n");
	check("a APPEND x {3+}\r\nabc x\r\n", "a BAD Unexpected text behind the message\r\n");
	check("a APPEND x {0}\r\n\r\n", "+ OK\r\na NO [CANNOT] The message is empty\r\n");
	check("a APPEND x {3+}\r\nabc {3+}\r\nabc\r\n", "a BAD One message at a time\r\n");
}

static void test_idle(void **state)
{
	(void)state;
	check("a IDLE\r\nDONE\r\nb FOO\r\n",
		"+ idling\r\na OK Idle completed\r\nb BAD Unknown command\r\n");
	check("a IDLE\r\nb FOO\r\n", "+ idling\r\na BAD Expected DONE\r\n");
}

static int setup(void **state)
{
	(void)state;
	base = event_base_new();
	(void)charset_preload();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	event_base_free(base);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fetch),
		cmocka_unit_test(test_search),
		cmocka_unit_test(test_bad_input),
		cmocka_unit_test(test_idle),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
