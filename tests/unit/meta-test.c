/* Prepared metadata: what is built comes back, what is damaged is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib-storage/meta.h"

static void build(struct span text, const struct mime_limits *limits, struct buf *out)
{
	struct mime_parser *p = mime_parser_new(limits);

	mime_parser_feed(p, text.p, text.n);
	meta_build(mime_parser_finish(p), out);
	mime_parser_free(p);
}

static const char nested[] =
	"From: a@example.org\r\nSubject: outer\r\nDate: Mon, 5 Jan 2026 23:30:00 -0500\r\n"
	"X-Unknown: y\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
	"--b\r\n\r\nfirst\r\n"
	"--b\r\nContent-Type: message/rfc822\r\n\r\n"
	"Subject: inner\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n"
	"--c\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>\r\n--c--\r\n"
	"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: leaf\r\n\r\ntext\r\n--b--\r\n";

static void check_section(
	const struct meta *m, const char *numbers, enum meta_section kind, const char *expected)
{
	uint64_t offset, length;

	if (!meta_section(m, span_of(numbers), kind, &offset, &length)) {
		assert_null(expected);
		return;
	}
	assert_non_null(expected);
	assert_int_equal(length, strlen(expected));
	assert_memory_equal(nested + offset, expected, length);
}

static void test_sections(void **state)
{
	struct arena *arena = arena_new();
	struct buf stored;
	struct meta m;
	struct err e;

	(void)state;
	buf_init(&stored);
	build(SPAN(nested), NULL, &stored);
	assert_int_equal(meta_parse(buf_span(&stored), arena, &m, &e), 0);
	assert_int_equal(m.size, sizeof(nested) - 1);
	check_section(&m, "", META_SECTION_ALL, nested);
	check_section(&m, "1", META_SECTION_ALL, "first");
	check_section(&m, "1", META_SECTION_MIME, "\r\n");
	check_section(&m, "1", META_SECTION_HEADER, NULL);
	check_section(&m, "1.1", META_SECTION_ALL, NULL);
	check_section(&m, "2", META_SECTION_MIME, "Content-Type: message/rfc822\r\n\r\n");
	check_section(&m, "2", META_SECTION_HEADER,
		"Subject: inner\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n");
	check_section(&m, "2.1", META_SECTION_ALL, "<p>");
	check_section(
		&m, "2.1", META_SECTION_MIME, "Content-Type: text/html; charset=utf-8\r\n\r\n");
	check_section(&m, "3", META_SECTION_TEXT, "text");
	check_section(&m, "3.1", META_SECTION_ALL, "text");
	check_section(&m, "3.1.1", META_SECTION_ALL, NULL);
	check_section(&m, "3.2", META_SECTION_ALL, NULL);
	check_section(&m, "4", META_SECTION_ALL, NULL);
	check_section(&m, "0", META_SECTION_ALL, NULL);
	check_section(&m, "1.", META_SECTION_ALL, NULL);
	check_section(&m, "", META_SECTION_MIME, NULL);
	assert_true((m.flags & META_DATE) != 0);
	assert_int_equal(m.sent.seconds, 1767673800);
	assert_int_equal(m.sent.day * 86400, 1767571200);
	buf_clear(&stored);
	arena_free(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sections),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
