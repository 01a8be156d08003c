#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib-storage/imap-lexer.h"
#include "lib-storage/imap-parser.h"
#include "lib-storage/imap-write.h"

/* Runs input through a lexer in pieces and writes what it said as one text. */
struct run {
	struct buf said;
	size_t line_max, command_max;
	enum { TAKE, STREAM, REFUSE } literals;
};

static void run_input(struct run *r, struct span input, size_t piece)
{
	struct imap_lexer lexer;

	imap_lexer_init(
		&lexer, r->line_max ? r->line_max : 1000, r->command_max ? r->command_max : 4000);
	buf_init(&r->said);
	for (size_t at = 0; at < input.n; at += piece) {
		struct span part = span_from(
			input.p + at, input.n - at < piece ? input.n - at : piece);
		enum imap_lexer_status status;
		struct span data;

		while ((status = imap_lexer_next(&lexer, &part, &data)) != IMAP_LEXER_MORE) {
			switch (status) {
			case IMAP_LEXER_COMMAND:
				buf_add_str(&r->said, "<");
				buf_add_span(&r->said, imap_lexer_command(&lexer));
				buf_add_str(&r->said, ">");
				imap_lexer_reset(&lexer);
				break;
			case IMAP_LEXER_LITERAL:
				buf_add_str(&r->said, lexer.literal_sync ? "+" : "");
				if (r->literals == TAKE && imap_lexer_accept(&lexer))
					break;
				if (r->literals == STREAM) {
					imap_lexer_stream(&lexer);
					break;
				}
				if (!imap_lexer_refuse(&lexer)) {
					buf_add_str(&r->said, "BYE");
					imap_lexer_clear(&lexer);
					return;
				}
				break;
			case IMAP_LEXER_DATA:
				buf_add_span(&r->said, data);
				break;
			case IMAP_LEXER_DATA_END:
				buf_add_str(&r->said, "|");
				break;
			case IMAP_LEXER_REFUSED:
				buf_add_str(&r->said, "[refused ");
				buf_add_span(&r->said, imap_lexer_tag(&lexer));
				buf_add_str(&r->said, "]");
				imap_lexer_reset(&lexer);
				break;
			case IMAP_LEXER_TOO_LONG:
				buf_add_str(&r->said, "[long]");
				break;
			case IMAP_LEXER_MORE:
				break;
			}
		}
		assert_int_equal(part.n, 0);
	}
	imap_lexer_clear(&lexer);
}

static void check(struct run r, const char *input, const char *expected)
{
	for (size_t piece = 1; piece < 9; piece++) {
		run_input(&r, span_of(input), piece);
		assert_string_equal(buf_str(&r.said), expected);
		buf_clear(&r.said);
	}
	run_input(&r, span_of(input), 1 << 20);
	assert_string_equal(buf_str(&r.said), expected);
	buf_clear(&r.said);
}

static void test_commands(void **state)
{
	struct run r = {.literals = TAKE};

	(void)state;
	check(r, "a NOOP\r\nb LOGOUT\r\n", "<a NOOP><b LOGOUT>");
	check(r, "a NOOP\nb X\n\r\n", "<a NOOP><b X><>");
	check(r, "a X {3}\r\nabc {0+}\r\n y\r\n", "+<a X {3}\r\nabc {0+}\r\n y>");
	check(r, "a X {3}\r\n\r\n\n\r\nb Y\r\n", "+<a X {3}\r\n\r\n\n><b Y>");
	/* not literals */
	check(r, "a X {}\r\na X {a}\r\na X 3}\r\n", "<a X {}><a X {a}><a X 3}>");
}

static void test_stream_and_refuse(void **state)
{
	struct run s = {.literals = STREAM}, f = {.literals = REFUSE};

	(void)state;
	check(s, "a APPEND x {5+}\r\nab\r\nc\r\nb N\r\n", "ab\r\nc|<a APPEND x {5+}\r\n><b N>");
	check(f, "a APPEND x {5}\r\nb N\r\n", "+[refused a]<b N>");
	check(f, "a APPEND x {5+}\r\nhello y {2+}\r\nhi\r\nb N\r\n", "[refused a]<b N>");
	check(f, "a APPEND x {5000+}\r\nhello", "BYE");
	check(f, "a APPEND x {4294967295}\r\nb N\r\n", "+[refused a]<b N>");
	check(f, "a APPEND x {99999999999999999999+}\r\n", "BYE");
}

static void test_limits(void **state)
{
	struct run r = {.literals = TAKE, .line_max = 10, .command_max = 40};

	(void)state;
	check(r, "a 1234567\r\n", "<a 1234567>");
	check(r, "a 0123456789012345 {4+}\r\nabcd z\r\nb N\r\n", "[long][refused a]<b N>");
	check(r, "a 0123456789012345\r\nb N\r\n", "[long][refused a]<b N>");
	check(r, "a 0123456789012345 {4}\r\nb N\r\n", "[long][refused a]<b N>");
	/* a literal that does not fit: TAKE fails, so it is refused */
	check(r, "a {39}\r\nb N\r\n", "+[refused a]<b N>");
}

static void parse(struct imap_parser *p, const char *text, struct arena *arena)
{
	imap_parser_init(p, span_of(text), arena);
}

static void test_strings(void **state)
{
	struct arena *arena = arena_new();
	struct imap_parser p;
	struct span s;

	(void)state;
	parse(&p, "a1 LoGin \"q \\\"u\\\\\" {3}\r\nx\ry z] NIL", arena);
	assert_true(imap_parse_tag(&p, &s) && span_is(s, "a1"));
	assert_true(imap_parse_space(&p));
	assert_false(imap_parse_word(&p, "LOG"));
	assert_true(imap_parse_word(&p, "LOGIN") && imap_parse_space(&p));
	assert_true(imap_parse_astring(&p, &s) && span_is(s, "q \"u\\"));
	assert_true(imap_parse_space(&p) && imap_parse_astring(&p, &s) && span_is(s, "x\ry"));
	assert_true(imap_parse_space(&p) && imap_parse_astring(&p, &s) && span_is(s, "z]"));
	assert_false(imap_parse_end(&p));
	assert_true(imap_parse_space(&p) && imap_parse_nstring(&p, &s) && s.p == NULL);
	assert_true(imap_parse_end(&p));
	parse(&p, "\"open", arena);
	assert_false(imap_parse_string(&p, &s));
	parse(&p, "\"bad\\n\"", arena);
	assert_false(imap_parse_string(&p, &s));
	parse(&p, "\"end\\", arena);
	assert_false(imap_parse_string(&p, &s));
	parse(&p, "{4}\r\nabc", arena);
	assert_false(imap_parse_string(&p, &s));
	parse(&p, "{x}\r\nabc", arena);
	assert_false(imap_parse_string(&p, &s));
	imap_parser_init(&p, span_from("{1}\r\n\0", 6), arena);
	assert_false(imap_parse_string(&p, &s));
	parse(&p, "+x", arena);
	assert_false(imap_parse_tag(&p, &s));
	parse(&p, "\\Seen \\ x", arena);
	assert_true(imap_parse_flag(&p, &s) && span_is(s, "\\Seen") && imap_parse_space(&p));
	assert_false(imap_parse_flag(&p, &s));
	arena_free(arena);
}

static void test_numbers_and_dates(void **state)
{
	struct imap_parser p;
	struct buf b;
	int64_t t;
	uint32_t n;
	int tz;

	(void)state;
	parse(&p, "4294967296", NULL);
	assert_false(imap_parse_number(&p, &n));
	parse(&p, "0", NULL);
	assert_false(imap_parse_nz_number(&p, &n));
	assert_true(imap_parse_number(&p, &n) && n == 0);
	parse(&p, "1-Feb-1994", NULL);
	assert_true(imap_parse_date(&p, &t) && t == 8797);
	parse(&p, "\"29-Feb-2023\"", NULL);
	assert_false(imap_parse_date(&p, &t));
	parse(&p, "\"17-Jul-1996 02:44:25 -0700\"", NULL);
	assert_true(imap_parse_date_time(&p, &t, &tz) && t == 837596665 && tz == -420);
	buf_init(&b);
	imap_write_date_time(&b, t, tz);
	assert_string_equal(buf_str(&b), "\"17-Jul-1996 02:44:25 -0700\"");
	buf_empty(&b);
	parse(&p, "\" 1-Jan-1960 00:00:00 +0030\"", NULL);
	assert_true(imap_parse_date_time(&p, &t, &tz));
	imap_write_date_time(&b, t, tz);
	assert_string_equal(buf_str(&b), "\" 1-Jan-1960 00:00:00 +0030\"");
	buf_clear(&b);
}

static void test_write(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b);
	imap_write_string(&b, span_of("a\"b\\"));
	imap_write_string(&b, span_of("\xc3\xa4"));
	imap_write_nstring(&b, (struct span){NULL, 0});
	imap_write_astring(&b, span_of("INBOX"));
	imap_write_astring(&b, span_of("nil"));
	imap_write_astring(&b, span_of(""));
	imap_write_string(&b, span_from("\0", 1));
	imap_write_number(&b, UINT64_MAX);
	assert_string_equal(buf_str(&b),
		"\"a\\\"b\\\\\"{2}\r\n\xc3\xa4NILINBOX\"nil\"\"\"{1}\r\n\x80"
		"18446744073709551615");
	buf_clear(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_stream_and_refuse),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_numbers_and_dates),
		cmocka_unit_test(test_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
