/* Header fields, dates, identifiers and addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib-storage/address.h"
#include "lib-storage/header.h"

static void check_unfold(struct span value, const char *expected)
{
	struct buf b;

	buf_init(&b);
	header_unfold(value, &b);
	assert_string_equal(buf_str(&b), expected);
	buf_clear(&b);
}

static void test_unfold(void **state)
{
	(void)state;
	check_unfold(SPAN(" a\r\n b\n\tc "), "a b\tc");
	check_unfold(SPAN(""), "");
	check_unfold(SPAN("\r\n \r\n "), "");
	check_unfold(SPAN("a\rb\0c"), "a bc");
	check_unfold(SPAN("a\r"), "a");
}

static void test_fields(void **state)
{
	struct span rest = SPAN(
		"From me Mon 10:00\r\nA : 1\r\n 2\r\njunk\nB:\n:x\nC:3\r\n\r\nD: 4\r\n");
	struct header_field f;

	(void)state;
	assert_true(header_next(&rest, &f)); /* mbox's line is no field */
	assert_int_equal(f.name.n, 0);
	assert_true(header_next(&rest, &f));
	assert_true(span_is(f.name, "A"));
	assert_true(span_is(f.value, " 1\r\n 2"));
	assert_true(span_is(f.raw, "A : 1\r\n 2\r\n"));
	assert_true(header_next(&rest, &f));
	assert_int_equal(f.name.n, 0);
	assert_true(header_next(&rest, &f));
	assert_true(span_is(f.name, "B"));
	assert_int_equal(f.value.n, 0);
	assert_true(header_next(&rest, &f));
	assert_int_equal(f.name.n, 0);
	assert_true(header_next(&rest, &f));
	assert_true(span_is(f.name, "C"));
	assert_false(header_next(&rest, &f));
	assert_true(span_is(rest, "\r\nD: 4\r\n"));
}

static void test_filter(void **state)
{
	const struct span header = SPAN(
		"Subject: s\r\nX: y\r\nTO: a,\r\n b\r\njunk\r\n\r\nTo: body\r\n");
	const struct span names[] = {SPAN("to"), SPAN("subject")};
	struct buf b;

	(void)state;
	buf_init(&b);
	header_filter(header, names, 2, false, &b);
	assert_string_equal(buf_str(&b), "Subject: s\r\nTO: a,\r\n b\r\n\r\n");
	buf_empty(&b);
	header_filter(header, names, 2, true, &b);
	assert_string_equal(buf_str(&b), "X: y\r\njunk\r\n\r\n");
	buf_empty(&b);
	header_filter(SPAN("To: cut"), names, 2, false, &b);
	assert_string_equal(buf_str(&b), "To: cut\r\n\r\n");
	buf_clear(&b);
}

static void check_date(const char *text, int64_t seconds, int zone, int64_t day)
{
	struct header_date d;

	assert_true(header_date(span_of(text), &d));
	assert_int_equal(d.seconds, seconds);
	assert_int_equal(d.zone, zone);
	assert_int_equal(d.day, day);
}

static void test_date(void **state)
{
	struct header_date d;

	(void)state;
	check_date("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)", 837595405, -420, 9694);
	check_date("Thu, 1 Jan 1970 00:00:00 +0000", 0, 0, 0);
	check_date("1 Jan 70 00:00 GMT", 0, 0, 0);
	check_date("29 Feb 2000 23:59:60 +0000", 951868800, 0, 11016);
	check_date(
		"Thu,\r\n 13 (a (nested\\)) comment) Feb 1969 23:32 -0330", -27723480, -210, -322);
	check_date("Mon Jan  5 23:30:00 2026", 1767655800, 0, 20458);
	check_date("5-Jan-2026 23:30:00.123 EST", 1767673800, -300, 20458);
	check_date("5 Jan 126 23:30:00 +05:30", 1767636000, 330, 20458);
	check_date("31 Dec 9999", 253402214400, 0, 2932896);
	assert_false(header_date(SPAN(""), &d));
	assert_false(header_date(SPAN("yesterday"), &d));
	assert_false(header_date(SPAN("30 Feb 2020 00:00:00 +0000"), &d));
	assert_false(header_date(SPAN("1 Jan 99999999999999999999"), &d));
	assert_false(header_date(SPAN("1 Jan 2020 25:00:00"), &d));
	assert_false(header_date(SPAN("1 Jan (never ends \\"), &d));
}

static void test_msgids(void **state)
{
	struct arena *arena = arena_new();
	struct span *ids;

	(void)state;
	assert_int_equal(header_msgids(SPAN(" <a@b>\r\n\t<c d@e>(<no@no>)junk <\"q\"@x> <> <open"),
				 arena, 10, &ids),
		3);
	assert_true(span_is(ids[0], "a@b"));
	assert_true(span_is(ids[1], "cd@e"));
	assert_true(span_is(ids[2], "q@x"));
	assert_int_equal(header_msgids(SPAN("<a><b><c>"), arena, 2, &ids), 2);
	assert_int_equal(header_msgids(SPAN("none"), arena, 2, &ids), 0);
	arena_free(arena);
}

static void add_part(struct buf *out, struct span s)
{
	if (s.p == NULL)
		buf_add_str(out, "~");
	else
		buf_add_span(out, s);
}

/* Each address as name|route|mailbox|host, ~ for NIL. */
static void check_addresses(struct span value, const char *expected)
{
	struct arena *arena = arena_new();
	struct buf list, text;
	const struct address *a;

	buf_init(&list);
	buf_init(&text);
	address_parse(value, arena, 1000, &list);
	a = (const struct address *)list.data;
	for (size_t i = 0; i < list.len / sizeof(*a); i++) {
		buf_add_str(&text, i > 0 ? " / " : "");
		add_part(&text, a[i].name);
		buf_add_c(&text, '|');
		add_part(&text, a[i].route);
		buf_add_c(&text, '|');
		add_part(&text, a[i].mailbox);
		buf_add_c(&text, '|');
		add_part(&text, a[i].host);
	}
	assert_string_equal(buf_str(&text), expected);
	buf_clear(&text);
	buf_clear(&list);
	arena_free(arena);
}

static void test_addresses(void **state)
{
	(void)state;
	/* RFC 5322 appendix A */
	check_addresses(SPAN("\"Joe Q. Public\" <john.q.public@example.com>"),
		"Joe Q. Public|~|john.q.public|example.com");
	check_addresses(SPAN("Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>"),
		"Mary Smith|~|mary|x.test / ~|~|jdoe|example.org / Who?|~|one|y.test");
	check_addresses(
		SPAN("<boss@nil.test>, \"Giant; \\\"Big\\\" Box\" <sysservices@example.net>"),
		"~|~|boss|nil.test / Giant; \"Big\" Box|~|sysservices|example.net");
	check_addresses(
		SPAN("A Group:Ed Jones <joe@where.test>,joe@where.test,John <jdoe@one.test>;"),
		"~|~|A Group|~ / Ed Jones|~|joe|where.test / ~|~|joe|where.test / "
		"John|~|jdoe|one.test / ~|~|~|~");
	check_addresses(SPAN("Undisclosed recipients:;"), "~|~|Undisclosed recipients|~ / ~|~|~|~");
	check_addresses(SPAN("Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>"),
		"Pete|~|pete|silly.test");
	check_addresses(
		SPAN("A Group(Some people)\r\n     :Chris Jones <c@(Chris's host.)public.example>,"
		     "\r\n joe@example.org, John <jdoe@one.test> (my dear friend); (the end)"),
		"~|~|A Group|~ / Chris Jones|~|c|public.example / ~|~|joe|example.org / "
		"John|~|jdoe|one.test / ~|~|~|~");
	check_addresses(SPAN("(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;"),
		"~|~|Hidden recipients|~ / ~|~|~|~");
	check_addresses(SPAN("Joe Q. Public <john.q.public@example.com>"),
		"Joe Q. Public|~|john.q.public|example.com");
	check_addresses(
		SPAN("Mary Smith <@node.test,@b.test:mary@example.net>, , jdoe@test  . example"),
		"Mary Smith|@node.test,@b.test|mary|example.net / ~|~|jdoe|test.example");
	check_addresses(SPAN("user@host (Real (nested) Name)"), "Real (nested) Name|~|user|host");
	check_addresses(SPAN("x@[127.0.0.1, \\]a]"), "~|~|x|[127.0.0.1,]a]");
}

static void test_bad_addresses(void **state)
{
	(void)state;
	check_addresses(SPAN(""), "");
	check_addresses(SPAN(" , ,\r\n ,"), "");
	check_addresses(SPAN("<\"\"@x>"), "~|~||x");
	check_addresses(SPAN("\"\"@x"), "~|~||x");
	check_addresses(SPAN("<>"), "~|~|MISSING_MAILBOX|MISSING_DOMAIN");
	check_addresses(SPAN("Foo <>"), "Foo|~|MISSING_MAILBOX|MISSING_DOMAIN");
	check_addresses(SPAN("root"), "~|~|root|MISSING_DOMAIN");
	check_addresses(SPAN("John Doe"), "John Doe|~|MISSING_MAILBOX|MISSING_DOMAIN");
	check_addresses(SPAN("@x"), "~|~|MISSING_MAILBOX|x");
	check_addresses(SPAN("<@x>"), "~|~|MISSING_MAILBOX|x");
	check_addresses(SPAN("<@x:>"), "~|@x|MISSING_MAILBOX|MISSING_DOMAIN");
	check_addresses(SPAN("a@b <c@d>"), "a@b|~|c|d");
	check_addresses(SPAN("a <b@c, d@e"), "a|~|b|c / ~|~|d|e");
	check_addresses(SPAN("<a@b> <c@d>x"), "~|~|a|b / ~|~|c|d");
	check_addresses(SPAN("(not a name) a@b"), "~|~|a|b");
	check_addresses(SPAN("a@b (comment \\"), "comment |~|a|b");
	check_addresses(SPAN("a@b (((("), "(((|~|a|b");
	check_addresses(SPAN("\"open @ , string"), "~|~|open @ , string|MISSING_DOMAIN");
	check_addresses(SPAN("\"x\\"), "~|~|x|MISSING_DOMAIN");
	check_addresses(SPAN("a@b) > ;c@d"), "~|~|a|b / ~|~|c|d");
	check_addresses(SPAN("g: a@b, c"), "~|~|g|~ / ~|~|a|b / ~|~|c|MISSING_DOMAIN / ~|~|~|~");
	check_addresses(SPAN("\xff\xfe <\x80@\x81>"), "\xff\xfe|~|\x80|\x81");
	check_addresses(SPAN("a\0b@c\0"), "~|~|ab|c");
	check_addresses(SPAN("x@[never"), "~|~|x|[never");
	check_addresses(SPAN("\\"), "~|~|\\|MISSING_DOMAIN");
}

/* The maximum holds, and an open group is still closed. */
static void test_address_limit(void **state)
{
	struct arena *arena = arena_new();
	struct buf text, list;
	const struct address *a;

	(void)state;
	buf_init(&text);
	buf_init(&list);
	buf_add_str(&text, "g:");
	for (int i = 0; i < 100000; i++)
		buf_add_str(&text, "a@b,");
	address_parse(buf_span(&text), arena, 50, &list);
	a = (const struct address *)list.data;
	assert_int_equal(list.len / sizeof(*a), 51);
	assert_null(a[50].mailbox.p);
	assert_null(a[50].host.p);
	buf_clear(&list);
	buf_clear(&text);
	arena_free(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unfold),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_filter),
		cmocka_unit_test(test_date),
		cmocka_unit_test(test_msgids),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_bad_addresses),
		cmocka_unit_test(test_address_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
