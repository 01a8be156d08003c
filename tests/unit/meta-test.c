/* Prepared metadata: what is built comes back, what is damaged is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib-storage/meta-pack.h"
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

static int parse(const struct buf *stored, struct arena *arena, struct meta *m)
{
	struct err e;

	return meta_parse(buf_span(stored), arena, m, &e);
}

static void test_wire(void **state)
{
	struct arena *arena = arena_new();
	struct buf stored, body;
	struct meta m;

	(void)state;
	buf_init(&stored);
	buf_init(&body);
	build(SPAN(nested), NULL, &stored);
	assert_int_equal(parse(&stored, arena, &m), 0);
	assert_true(span_is(meta_envelope(&m),
		"(\"Mon, 5 Jan 2026 23:30:00 -0500\" \"outer\" ((NIL NIL \"a\" \"example.org\")) "
		"((NIL NIL \"a\" \"example.org\")) ((NIL NIL \"a\" \"example.org\")) NIL NIL NIL "
		"NIL "
		"NIL)"));
	assert_true(span_is(meta_bodystructure(&m),
		"((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 5 0 NIL NIL NIL "
		"NIL)"
		"(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 124 (NIL \"inner\" NIL NIL NIL NIL "
		"NIL NIL "
		"NIL NIL) ((\"text\" \"html\" (\"charset\" \"utf-8\") NIL NIL \"7bit\" 3 0 NIL NIL "
		"NIL "
		"NIL) \"alternative\" (\"boundary\" \"c\") NIL NIL NIL) 7 NIL NIL NIL NIL)"
		"(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 21 (NIL \"leaf\" NIL NIL NIL NIL NIL "
		"NIL "
		"NIL NIL) (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 4 0 NIL "
		"NIL "
		"NIL NIL) 2 NIL NIL NIL NIL) \"mixed\" (\"boundary\" \"b\") NIL NIL NIL)"));
	meta_add_body(&m, &body);
	assert_string_equal(buf_str(&body),
		"((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 5 0)"
		"(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 124 (NIL \"inner\" NIL NIL NIL NIL "
		"NIL NIL "
		"NIL NIL) ((\"text\" \"html\" (\"charset\" \"utf-8\") NIL NIL \"7bit\" 3 0) "
		"\"alternative\") 7)"
		"(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 21 (NIL \"leaf\" NIL NIL NIL NIL NIL "
		"NIL "
		"NIL NIL) (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 4 0) 2) "
		"\"mixed\")");
	assert_int_equal(m.flags, META_FIELDS_WHOLE | META_DATE);
	assert_int_equal(m.nparts, 7);
	assert_true(m.parts[4].is_html);
	assert_true(span_is(m.parts[4].charset, "utf-8"));
	buf_clear(&body);
	buf_clear(&stored);
	arena_free(arena);
}

static void test_fields(void **state)
{
	const struct span some[] = {SPAN("subject"), SPAN("FROM"), SPAN("List-Id")};
	const struct span other[] = {SPAN("Subject"), SPAN("Received")};
	const struct mime_limits small = {.root_fields = 30};
	struct arena *arena = arena_new();
	struct buf stored;
	struct meta m;

	(void)state;
	buf_init(&stored);
	build(SPAN(nested), NULL, &stored);
	assert_int_equal(parse(&stored, arena, &m), 0);
	assert_true(span_is(m.fields,
		"From: a@example.org\r\nSubject: outer\r\nDate: Mon, 5 Jan 2026 23:30:00 -0500\r\n"
		"Content-Type: multipart/mixed; boundary=b\r\n"));
	assert_true(meta_covers(&m, some, 3));
	assert_false(meta_covers(&m, other, 2));
	buf_empty(&stored);
	build(SPAN(nested), &small, &stored);
	assert_int_equal(parse(&stored, arena, &m), 0);
	assert_false(meta_covers(&m, some, 3));
	buf_clear(&stored);
	arena_free(arena);
}

/* Whatever the octets are: refused or taken, but never read past. Done with the packed and with the
 * plain form. */
static void test_damage(void **state)
{
	struct arena *arena = arena_new();
	struct buf stored, plain;
	struct span unpacked;
	struct meta m;

	(void)state;
	buf_init(&stored);
	buf_init(&plain);
	build(SPAN(nested), NULL, &stored);
	assert_true(meta_unpack(buf_span(&stored), META_MAX, arena, &unpacked));
	buf_add_c(&plain, 0);
	buf_add_span(&plain, unpacked);
	assert_int_equal(parse(&plain, arena, &m), 0);
	for (size_t i = 0; i < plain.len; i++) {
		struct span cut = {mem_dup(plain.data, i), i};
		struct err e;

		assert_int_equal(meta_parse(cut, arena, &m, &e), -1);
		mem_free((void *)(uintptr_t)cut.p);
		for (int bit = 0; bit < 8; bit++) {
			struct buf body;
			uint64_t offset, length;

			plain.data[i] ^= (char)(1 << bit);
			if (parse(&plain, arena, &m) == 0) {
				buf_init(&body);
				meta_add_body(&m, &body);
				if (meta_section(
					    &m, SPAN("2.1"), META_SECTION_ALL, &offset, &length))
					assert_true(offset + length <= m.size);
				buf_clear(&body);
			}
			plain.data[i] ^= (char)(1 << bit);
			arena_reset(arena);
		}
	}
	for (size_t i = 0; i < stored.len; i++) {
		stored.data[i] ^= 0x55;
		(void)parse(&stored, arena, &m);
		stored.data[i] ^= 0x55;
		arena_reset(arena);
	}
	buf_clear(&plain);
	buf_clear(&stored);
	arena_free(arena);
}

static void test_bomb(void **state)
{
	struct arena *arena = arena_new();
	struct buf plain, packed;
	struct span out;
	struct meta m;

	(void)state;
	buf_init(&plain);
	buf_init(&packed);
	buf_reserve(&plain, 8 << 20);
	memset(plain.data, 0, 8 << 20);
	buf_added(&plain, 8 << 20);
	meta_pack(buf_span(&plain), &packed);
	assert_true(packed.len < 10000);
	assert_false(meta_unpack(buf_span(&packed), META_MAX, arena, &out));
	assert_int_equal(parse(&packed, arena, &m), -1);
	assert_true(arena_used(arena) < 1 << 20);
	buf_clear(&plain);
	buf_clear(&packed);
	arena_free(arena);
}

/* Messages that would need more than META_MAX come in a smaller form. */
static void check_reduced(const char *head, const char *unit, size_t times, uint32_t nparts)
{
	struct arena *arena = arena_new();
	struct buf text, stored, body;
	struct meta m;
	uint64_t offset, length;

	buf_init(&text);
	buf_init(&stored);
	buf_init(&body);
	buf_add_str(&text, head);
	for (size_t i = 0; i < times; i++)
		buf_add_str(&text, unit);
	build(buf_span(&text), NULL, &stored);
	assert_int_equal(parse(&stored, arena, &m), 0);
	assert_int_equal(m.size, text.len);
	assert_int_equal(m.nparts, nparts);
	assert_true(meta_section(&m, SPAN("1"), META_SECTION_ALL, &offset, &length));
	meta_add_body(&m, &body);
	assert_true(body.len > 0 && body.data[0] == '(' && body.data[body.len - 1] == ')');
	buf_clear(&body);
	buf_clear(&stored);
	buf_clear(&text);
	arena_free(arena);
}

static void test_reduced(void **state)
{
	(void)state;
	check_reduced("Content-Type: multipart/mixed; boundary=b\n\n", "--b\n\nx\n", 50000, 10000);
	check_reduced("Content-Type: multipart/mixed; boundary=b\n\n",
		"--b\nContent-Type: a/b; \"\\\"\\\"\"=c\n\nx\n", 50000, 10000);
	check_reduced("Content-Type: multipart/digest; boundary=b\n\n", "--b\n\nSubject: x\n\nx\n",
		9000, 10000);
	check_reduced("To: ", "aaaaaaaaaaaa,", 19000, 1);
	check_reduced("Subject: ", "\"\"\"\"\"\"\"\"\"\"", 26000, 1);
	check_reduced("From: ", "\"\\\"\\\"\\\"\\\"\"@b,", 12000, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sections),
		cmocka_unit_test(test_wire),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_bomb),
		cmocka_unit_test(test_reduced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
