/* Decoding to UTF-8, and what SEARCH makes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib-storage/charset.h"
#include "lib-storage/text.h"

static void check_charset(const char *charset, struct span in, const char *expected)
{
	struct charset_decoder d;
	struct buf b;

	buf_init(&b);
	charset_to_utf8(span_of(charset), in, &b);
	assert_string_equal(buf_str(&b), expected);
	buf_empty(&b);
	charset_decoder_init(&d, span_of(charset));
	for (size_t i = 0; i < in.n; i++)
		charset_decode(&d, span_from(in.p + i, 1), &b);
	charset_decode_end(&d, &b);
	assert_string_equal(buf_str(&b), expected);
	buf_clear(&b);
}

static void test_charsets(void **state)
{
	(void)state;
	check_charset("utf-8", SPAN("gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80"), "grüß 😀");
	check_charset("UTF8",
		SPAN("a\xff"
		     "b\xc3"),
		"a\xef\xbf\xbd"
		"b\xef\xbf\xbd");
	check_charset("us-ascii", SPAN("gr\xc3\xbc\xfc\xc3"), "grüüÃ");
	check_charset("", SPAN("\x80 \x93x\x94"), "€ “x”");
	check_charset("iso-8859-1", SPAN("\xc3\xbc"), "Ã¼");
	check_charset("no-such-charset", SPAN("\xe4"), "ä");
	check_charset("koi8-r", SPAN("\xf0\xd2\xc9\xd7\xc5\xd4"), "Привет");
	check_charset("Windows-1251", SPAN("\xcf\xf0\xe8"), "При");
	check_charset("iso-2022-jp", SPAN("\x1b$B$3$s\x1b(B!"), "こん!");
	check_charset("shift_jis", SPAN("\x82\xb1\x82\xf1"), "こん");
	check_charset("gb2312", SPAN("\xc4\xe3\xba\xc3"), "你好");
	check_charset("big5", SPAN("\xa7\x41"), "你");
	check_charset("euc-kr", SPAN("\xb0\xa1"), "가");
	check_charset("iso-8859-15", SPAN("\xa4"), "€");
	check_charset("utf-16be", SPAN("\0a\0\xe4"), "aä");
	check_charset("utf-7", SPAN("+AOQ-x"), "äx");
	check_charset("euc-jp", SPAN("\xa4"), "\xef\xbf\xbd");
	assert_true(charset_is_known(SPAN("KOI8-R")));
	assert_true(charset_is_known(SPAN("utf-8")));
	assert_true(charset_is_known(SPAN("US-ASCII")));
	assert_false(charset_is_known(SPAN("")));
	assert_false(charset_is_known(SPAN("x-unknown")));
}

static void check_header(struct span in, const char *expected)
{
	struct buf b;

	buf_init(&b);
	charset_decode_header(in, &b);
	assert_string_equal(buf_str(&b), expected);
	buf_clear(&b);
}

static void test_headers(void **state)
{
	(void)state;
	/* RFC 2047 8 */
	check_header(SPAN("=?ISO-8859-1?Q?a?="), "a");
	check_header(SPAN("=?ISO-8859-1?Q?a?= b"), "a b");
	check_header(SPAN("=?ISO-8859-1?Q?a?=\r\n  =?ISO-8859-1?Q?b?="), "ab");
	check_header(SPAN("=?ISO-8859-1?Q?a_b?="), "a b");
	check_header(SPAN("=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?="), "a b");
	check_header(SPAN("=?US-ASCII*EN?Q?Keith_Moore?="), "Keith Moore");
	check_header(SPAN("=?utf-8?B?Z3LDvA==?= =?utf-8?B?w58=?="), "grüß");
	check_header(
		SPAN("=?utf-8?B?Z3LD?= =?UTF-8?B?vMOf?="), "grüß"); /* a character in two words */
	check_header(SPAN("=?utf-8?b?Z3LDvA?="), "grü");
	check_header(SPAN("a =?koi8-r?Q?=F0=D2=C9?= z"), "a При z");
	check_header(SPAN("=?x?Q?unfinished"), "=?x?Q?unfinished");
	check_header(SPAN("=?x?X?y?= =? =?\?="), "=?x?X?y?= =? =?\?=");
	check_header(SPAN("raw \xe4 and \xc3\xa4"), "raw ä and ä");
	check_header(SPAN("=?utf-8?Q?a=2?= =?utf-8?q?=3D=zz?="), "a=2==zz");
	check_header(SPAN(""), "");
}

static void check_param(const char *name, const char *value, const char *expected)
{
	struct mime_param p = {span_of(name), span_of(value)};
	struct buf b;

	buf_init(&b);
	charset_decode_param(&p, &b);
	assert_string_equal(buf_str(&b), expected);
	buf_clear(&b);
}

static void test_params(void **state)
{
	(void)state;
	check_param("filename*", "iso-8859-1'en'%A3%20rates", "£ rates");
	check_param("filename*", "UTF-8''%e2%82%ac%2", "€%2");
	check_param("filename*", "nothing", "nothing");
	check_param("filename", "=?utf-8?Q?=C3=A4?=.txt", "ä.txt");
	check_param("filename", "a%20b", "a%20b");
}

static void check_transfer(enum mime_encoding encoding, const char *in, const char *expected)
{
	struct buf b;

	buf_init(&b);
	for (size_t piece = 1; piece < 100; piece += 7) {
		struct transfer_decoder d;
		struct span rest = span_of(in);

		buf_empty(&b);
		transfer_decoder_init(&d, encoding);
		while (rest.n > 0) {
			size_t n = piece < rest.n ? piece : rest.n;

			transfer_decode(&d, span_from(rest.p, n), &b);
			rest.p += n;
			rest.n -= n;
		}
		transfer_decode_end(&d, &b);
		assert_string_equal(buf_str(&b), expected);
	}
	buf_clear(&b);
}

static void test_transfer(void **state)
{
	(void)state;
	check_transfer(MIME_BASE64, "SGVs\r\nbG8gd29y bGQ=\r\n", "Hello world");
	check_transfer(MIME_BASE64, "SGk=SGk=", "HiHi");
	check_transfer(MIME_BASE64, "S!G*k", "Hi");
	check_transfer(MIME_BASE64, "====", "");
	check_transfer(MIME_QUOTED_PRINTABLE, "a=3Db=\r\nc= \t\r\nd", "a=bcd");
	check_transfer(MIME_QUOTED_PRINTABLE, "x  \t\r\ny \nz ", "x\r\ny\nz");
	check_transfer(MIME_QUOTED_PRINTABLE, "=zz=4=e4=3d", "=zz=4\xe4=");
	check_transfer(MIME_QUOTED_PRINTABLE, "end=", "end");
	check_transfer(MIME_QUOTED_PRINTABLE, "end=4", "end=4");
	check_transfer(MIME_QUOTED_PRINTABLE, "a b =41", "a b A");
	check_transfer(MIME_8BIT, "as it=3D is", "as it=3D is");
}

static void check_match(const char *needle, const char *text, bool expected)
{
	struct text_needle n;

	text_needle_init(&n, span_of(needle));
	assert_int_equal(text_contains(&n, span_of(text)), expected);
	text_needle_clear(&n);
}

static void test_fold(void **state)
{
	(void)state;
	check_match("HELLO", "say hello", true);
	check_match("GRÜSSE", "viele grüße", true);
	check_match("e\xcc\x81t\xc3\xa9", "ÉTÉ", true);
	check_match("ﬁle", "FILE", true);
	check_match("soft",
		"so\xc2\xad"
		"ft",
		true);
	check_match("σας", "ΣΑΣ", true);
	check_match("x", "abc", false);
	check_match("", "", true);
	check_match("\xff", "a\xff", true);
}

static const char letter[] =
	"Subject: =?utf-8?Q?=C3=9Cberraschung?=\r\nFrom: a@b\r\n"
	"Content-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n"
	"--b\r\nContent-Type: text/plain; charset=koi8-r\r\nContent-Transfer-Encoding: base64\r\n"
	"\r\n8NLJ18XU\r\n"
	"--b\r\nContent-Type: application/pdf; name=report.pdf\r\n\r\nsecret\r\n"
	"--b\r\nContent-Type: text/html; charset=us-ascii\r\n\r\n<p>Hi &amp; b&#121;e</p>\r\n"
	"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: Inner\r\n\r\ninside\r\n--b--\r\n";

static void check_message(const struct meta *m, const char *text, bool in_body, bool in_text)
{
	struct text_needle n;

	text_needle_init(&n, span_of(text));
	assert_int_equal(text_in_message(&n, SPAN(letter), m, false), in_body);
	assert_int_equal(text_in_message(&n, SPAN(letter), m, true), in_text);
	text_needle_clear(&n);
}

static void test_message(void **state)
{
	struct arena *arena = arena_new();
	struct mime_parser *p = mime_parser_new(NULL);
	struct text_needle n;
	struct buf b;
	struct meta m;
	struct err e;

	(void)state;
	buf_init(&b);
	mime_parser_feed(p, letter, sizeof(letter) - 1);
	meta_build(mime_parser_finish(p), &b);
	mime_parser_free(p);
	assert_int_equal(meta_parse(buf_span(&b), arena, &m, &e), 0);
	check_message(&m, "überRASCHUNG", false, true);
	check_message(&m, "ПРИВЕТ", true, true);
	check_message(&m, "secret", false, false);
	check_message(&m, "report.pdf", true, true);
	check_message(&m, "subject: inner", true, true);
	check_message(&m, "INSIDE", true, true);
	check_message(&m, "8NLJ18XU", false, false);
	text_needle_init(&n, SPAN("überrasch"));
	assert_true(text_in_header_field(&n, m.fields, SPAN("SUBJECT")));
	assert_false(text_in_header_field(&n, m.fields, SPAN("From")));
	text_needle_clear(&n);
	text_needle_init(&n, SPAN(""));
	assert_true(text_in_header_field(&n, m.fields, SPAN("From")));
	assert_false(text_in_header_field(&n, m.fields, SPAN("To")));
	text_needle_clear(&n);
	buf_empty(&b);
	assert_true(text_of_part(SPAN(letter), &m, 3, 100, &b));
	assert_string_equal(buf_str(&b), "Hi & bye\n");
	assert_false(text_of_part(SPAN(letter), &m, 2, 100, &b));
	buf_clear(&b);
	arena_free(arena);
}

/* The needle is found wherever the pieces are cut. */
static void test_long_text(void **state)
{
	struct arena *arena = arena_new();
	struct text_needle n;
	struct buf text, stored;

	(void)state;
	buf_init(&text);
	buf_init(&stored);
	text_needle_init(&n, SPAN("nädel im heu"));
	for (size_t at = 16300; at < 16420; at++) {
		struct mime_parser *p = mime_parser_new(NULL);
		struct meta m;
		struct err e;

		buf_empty(&text);
		buf_empty(&stored);
		buf_add_str(&text, "Content-Type: text/plain; charset=utf-8\n\n");
		for (size_t i = 0; i < at; i++)
			buf_add_str(&text, at % 2 ? "ü" : "x");
		buf_add_str(&text, "NÄDEL IM HEU");
		for (size_t i = 0; i < 40000; i++)
			buf_add_str(&text, "y");
		mime_parser_feed(p, text.data, text.len);
		meta_build(mime_parser_finish(p), &stored);
		mime_parser_free(p);
		assert_int_equal(meta_parse(buf_span(&stored), arena, &m, &e), 0);
		assert_true(text_in_message(&n, buf_span(&text), &m, false));
		arena_reset(arena);
	}
	text_needle_clear(&n);
	buf_clear(&text);
	buf_clear(&stored);
	arena_free(arena);
}

static void check_html(const char *html, const char *expected)
{
	struct buf b;

	buf_init(&b);
	text_from_html(span_of(html), &b);
	assert_string_equal(buf_str(&b), expected);
	buf_clear(&b);
}

static void test_html(void **state)
{
	struct buf b, out;

	(void)state;
	check_html("<html><head><title>T</title><style>p { x }</style></head><p>a  <b>b</b>\r\nc",
		"T\na b c");
	check_html("<script>if (a </b) </scr </SCRIPT >x", "x");
	check_html("a<!-- <p>no --->b<!-- open", "ab");
	check_html("1 < 2 &amp; &#x20AC;&#8364;&nosuch; &#0; &", "1 < 2 & €€&nosuch; &#0; &");
	check_html("<a title=\"x", "");
	check_html("<", "<");
	check_html("</", "");
	check_html("&#xffffffffffffffff;", "&#xffffffffffffffff;");
	buf_init(&b);
	buf_init(&out);
	for (int i = 0; i < 300000; i++)
		buf_add_str(&b, i % 3 ? "<div " : "</<!-");
	text_from_html(buf_span(&b), &out);
	assert_true(out.len < b.len);
	buf_clear(&b);
	buf_clear(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_charsets),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_params),
		cmocka_unit_test(test_transfer),
		cmocka_unit_test(test_fold),
		cmocka_unit_test(test_message),
		cmocka_unit_test(test_long_text),
		cmocka_unit_test(test_html),
	};

	if (charset_is_known(SPAN("koi8-r")) || charset_preload() < 50)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
