#include "lib-common/buf.h"
#include "lib-common/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static void test_grow_and_consume(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b);
	assert_string_equal(buf_str(&b), "");
	assert_int_equal(buf_span(&b).n, 0);
	buf_add(&b, NULL, 0);
	for (int i = 0; i < 10000; i++) {
		buf_printf(&b, "%d,", i);
		assert_int_equal(b.data[b.len], '\0');
	}
	assert_int_equal(strncmp(b.data, "0,1,2,", 6), 0);
	buf_consume(&b, 2);
	assert_int_equal(strncmp(b.data, "1,2,", 4), 0);
	buf_truncate(&b, 3);
	assert_string_equal(buf_str(&b), "1,2");
	buf_consume(&b, 3);
	assert_int_equal(b.len, 0);
	assert_int_equal(b.start, 0);
	buf_clear(&b);
	assert_null(b.data);
}

/* A long-lived buffer that is filled and consumed does not grow without end. */
static void test_stream(void **state)
{
	struct buf b = {0};

	(void)state;
	buf_add_str(&b, "tail");
	for (int i = 0; i < 100000; i++) {
		buf_add_str(&b, "0123456789");
		buf_consume(&b, 10);
		assert_int_equal(b.len, 4);
	}
	assert_true(b.cap < 1024);
	buf_clear(&b);
}

static void test_limit(void **state)
{
	struct buf b = {0};

	(void)state;
	buf_limit(&b, 10);
	buf_add_str(&b, "0123456789");
	assert_false(b.failed);
	buf_add_c(&b, 'x');
	assert_true(b.failed);
	assert_string_equal(buf_str(&b), "0123456789");
	buf_consume(&b, 5);
	buf_add_c(&b, 'x'); /* stays failed */
	assert_string_equal(buf_str(&b), "56789");
	buf_consume(&b, 5);
	assert_true(b.failed);
	assert_null(buf_reserve(&b, 1));
	buf_empty(&b);
	assert_false(b.failed);
	buf_wipe(&b);
	assert_int_equal(b.limit, 0);
}

static void test_steal(void **state)
{
	struct buf b = {0};
	size_t n;
	char *s;

	(void)state;
	buf_add_str(&b, "abc");
	s = buf_steal(&b, &n);
	assert_string_equal(s, "abc");
	assert_int_equal(n, 3);
	mem_free(s);
	buf_add_str(&b, "abc");
	buf_consume(&b, 1);
	s = buf_steal(&b, &n);
	assert_string_equal(s, "bc");
	mem_free(s);
	s = buf_steal(&b, NULL);
	assert_string_equal(s, "");
	mem_free(s);
}

static void test_spans(void **state)
{
	struct span rest = SPAN("a,,b"), part;
	struct span empty = SPAN("");

	(void)state;
	assert_true(span_cut(&rest, ',', &part) && span_is(part, "a"));
	assert_true(span_cut(&rest, ',', &part) && part.n == 0);
	assert_true(span_cut(&rest, ',', &part) && span_is(part, "b"));
	assert_false(span_cut(&rest, ',', &part));
	assert_true(span_cut(&empty, ',', &part) && part.n == 0);
	assert_false(span_cut(&empty, ',', &part));
	assert_true(span_is(span_of(NULL), ""));
	assert_true(span_is_nocase(SPAN("InBoX"), "inbox"));
	assert_false(span_is_nocase(SPAN("inbo"), "inbox"));
	assert_false(span_is_nocase(SPAN("\xc4"), "\xe4"));
	assert_true(span_starts_nocase(SPAN("INBOX/x"), "inbox/"));
	assert_false(span_starts_nocase(SPAN("INB"), "inbox"));
	assert_true(span_is(span_trim(SPAN(" \t a b\t ")), "a b"));
	assert_int_equal(span_trim(SPAN("  ")).n, 0);
}

static void test_numbers(void **state)
{
	uint64_t u = 7;
	uint32_t v = 7;
	int64_t i = 7;

	(void)state;
	assert_true(num_u64(SPAN("18446744073709551615"), &u) && u == UINT64_MAX);
	assert_false(num_u64(SPAN("18446744073709551616"), &u));
	assert_false(num_u64(SPAN("99999999999999999999999"), &u));
	assert_false(num_u64(SPAN(""), &u));
	assert_false(num_u64(SPAN("+1"), &u));
	assert_false(num_u64(SPAN("-1"), &u));
	assert_false(num_u64(SPAN(" 1"), &u));
	assert_false(num_u64(SPAN("1 "), &u));
	assert_false(num_u64(SPAN("0x1"), &u));
	assert_true(u == UINT64_MAX); /* untouched by failures */
	assert_true(num_u32(SPAN("4294967295"), &v) && v == UINT32_MAX);
	assert_false(num_u32(SPAN("4294967296"), &v));
	assert_true(num_i64(SPAN("-9223372036854775807"), &i) && i == -INT64_MAX);
	assert_true(num_i64(SPAN("-9223372036854775808"), &i) && i == INT64_MIN);
	assert_true(num_i64(SPAN("9223372036854775807"), &i) && i == INT64_MAX);
	assert_false(num_i64(SPAN("9223372036854775808"), &i));
	assert_false(num_i64(SPAN("-9223372036854775809"), &i));
	assert_false(num_i64(SPAN("-"), &i));
	assert_false(num_i64(SPAN("--1"), &i));
}

static void test_binary(void **state)
{
	static const uint64_t values[] = {0, 1, 127, 128, 16383, 16384, UINT32_MAX, UINT64_MAX};
	struct buf b = {0};
	struct span s, block;
	uint64_t u64;
	uint32_t u32;
	uint16_t u16;
	uint8_t u8;

	(void)state;
	buf_add_u8(&b, 0xfe);
	buf_add_u16(&b, 0x1234);
	buf_add_u32(&b, 0x89abcdef);
	buf_add_u64(&b, 0x0123456789abcdefULL);
	assert_memory_equal(
		b.data, "\xfe\x34\x12\xef\xcd\xab\x89\xef\xcd\xab\x89\x67\x45\x23\x01", 15);
	for (size_t i = 0; i < array_count(values); i++)
		buf_add_varint(&b, values[i]);
	buf_add_block(&b, "block", 5);
	s = buf_span(&b);
	assert_true(span_get_u8(&s, &u8) && u8 == 0xfe);
	assert_true(span_get_u16(&s, &u16) && u16 == 0x1234);
	assert_true(span_get_u32(&s, &u32) && u32 == 0x89abcdef);
	assert_true(span_get_u64(&s, &u64) && u64 == 0x0123456789abcdefULL);
	for (size_t i = 0; i < array_count(values); i++)
		assert_true(span_get_varint(&s, &u64) && u64 == values[i]);
	assert_true(span_get_block(&s, &block) && span_is(block, "block"));
	assert_int_equal(s.n, 0);
	assert_false(span_get_u8(&s, &u8));
	assert_false(span_get_varint(&s, &u64));
	s = SPAN("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02"); /* more than 64 bits */
	assert_false(span_get_varint(&s, &u64));
	assert_int_equal(s.n, 10);
	s = SPAN("\x05"
		 "abcd"); /* a block cut short */
	assert_false(span_get_block(&s, &block));
	assert_int_equal(s.n, 5);
	buf_clear(&b);
}

static void test_hex_and_base64(void **state)
{
	static const char *const bad[] = {
		"A", "AA", "AAA", "A===", "AA=A", "AAA*", "=AAA", "AAAA="};
	unsigned char raw[4];
	char all[256];
	struct buf b = {0}, again = {0};

	(void)state;
	buf_add_hex(&b, "\x00\x7f\xff\x0a", 4);
	assert_string_equal(buf_str(&b), "007fff0a");
	assert_true(hex_decode(buf_span(&b), raw, 4));
	assert_memory_equal(raw, "\x00\x7f\xff\x0a", 4);
	assert_false(hex_decode(SPAN("007FFF0A"), raw, 4));
	assert_false(hex_decode(SPAN("007fff0"), raw, 4));
	assert_false(hex_decode(SPAN("007fff0a0a"), raw, 4));
	for (size_t i = 0; i < 256; i++)
		all[i] = (char)i;
	for (size_t n = 0; n <= 256; n++) {
		buf_empty(&b);
		buf_empty(&again);
		buf_add_base64(&b, all, n);
		assert_true(buf_add_base64_decoded(&again, buf_span(&b)));
		assert_true(span_equal(buf_span(&again), span_from(all, n)));
	}
	buf_empty(&again);
	for (size_t i = 0; i < array_count(bad); i++) {
		assert_false(buf_add_base64_decoded(&again, span_of(bad[i])));
		assert_int_equal(again.len, 0);
	}
	buf_clear(&b);
	buf_clear(&again);
}

static void test_utf8(void **state)
{
	static const char *const bad[] = {"\x80", "\xc3", "\xc0\x80", "\xe0\x80\x80",
		"\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xc3(", "\xe2\x82",
		"\xff"};

	(void)state;
	assert_true(utf8_valid(SPAN("")));
	assert_true(utf8_valid(SPAN("a\0b")));
	assert_true(
		utf8_valid(SPAN("\xc3\xa4\xe2\x82\xac\xf4\x8f\xbf\xbf\xed\x9f\xbf\xee\x80\x80")));
	for (size_t i = 0; i < array_count(bad); i++)
		assert_false(utf8_valid(span_of(bad[i])));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grow_and_consume),
		cmocka_unit_test(test_stream),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_steal),
		cmocka_unit_test(test_spans),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_binary),
		cmocka_unit_test(test_hex_and_base64),
		cmocka_unit_test(test_utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
