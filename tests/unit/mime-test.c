/* The structure of messages, as IMAP sees it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "lib-storage/meta-wire.h"
#include "lib-storage/mime.h"

/* What came of a message: the wire texts. */
struct result {
	struct mime_parser *parser;
	const struct mime_message *m;
	struct buf envelope, structure, runs;
};

static void result_free(struct result *r)
{
	mime_parser_free(r->parser);
	buf_clear(&r->envelope);
	buf_clear(&r->structure);
	buf_clear(&r->runs);
}

static struct result parse_in(struct span text, size_t piece, const struct mime_limits *limits)
{
	struct result r;

	buf_init(&r.envelope);
	buf_init(&r.structure);
	buf_init(&r.runs);
	r.parser = mime_parser_new(limits);
	while (text.n > 0) {
		size_t n = text.n < piece ? text.n : piece;

		mime_parser_feed(r.parser, text.p, n);
		text.p += n;
		text.n -= n;
	}
	r.m = mime_parser_finish(r.parser);
	wire_add_envelope(&r.envelope, r.m->parts[0].envelope);
	wire_add_structure(&r.structure, &r.runs, r.m, false);
	return r;
}

static void check_structure(const char *text, const char *expected)
{
	static const size_t pieces[] = {1, 2, 3, 7, 1 << 20};

	for (size_t i = 0; i < array_count(pieces); i++) {
		struct result r = parse_in(span_of(text), pieces[i], NULL);

		assert_string_equal(buf_str(&r.structure), expected);
		result_free(&r);
	}
}

static void check_envelope(const char *text, const char *expected)
{
	struct result r = parse_in(span_of(text), 1, NULL);

	assert_string_equal(buf_str(&r.envelope), expected);
	result_free(&r);
}

static void test_plain(void **state)
{
	(void)state;
	check_structure("Subject: x\r\n\r\nHello\r\nWorld\r\n",
		"(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 14 2 NIL NIL NIL "
		"NIL)");
	check_structure("", "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0 "
			    "NIL NIL NIL NIL)");
}

static void test_multipart(void **state)
{
	(void)state;
	check_structure(
		"Content-Type: multipart/mixed; boundary=\"b\"\r\n\r\npreamble\r\n--b\r\n"
		"\r\none\r\n--b\r\nContent-Type: image/png; name=x.png\r\n"
		"Content-Transfer-Encoding: base64\r\n"
		"Content-Disposition: attachment; filename=\"x y.png\"\r\n\r\nAAAA\r\n--b--\r\n"
		"epilogue\r\n",
		"((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 3 0 NIL NIL NIL "
		"NIL)(\"image\" \"png\" (\"name\" \"x.png\") NIL NIL \"base64\" 4 NIL "
		"(\"attachment\" (\"filename\" \"x y.png\")) NIL NIL) \"mixed\" (\"boundary\" "
		"\"b\") "
		"NIL NIL NIL)");
}

static void test_envelope(void **state)
{
	(void)state;
	/* RFC 3501 8 */
	check_envelope("Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\n"
		       "From: Terry Gray <gray@cac.washington.edu>\r\n"
		       "Subject: IMAP4rev1 WG mtg summary and minutes\r\n"
		       "To: imap@cac.washington.edu\r\n"
		       "cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\n"
		       "Message-Id: <B27397-0100000@cac.washington.edu>\r\n"
		       "MIME-Version: 1.0\r\n"
		       "Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\r\n",
		"(\"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\" \"IMAP4rev1 WG mtg summary and "
		"minutes\" "
		"((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
		"((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
		"((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
		"((NIL NIL \"imap\" \"cac.washington.edu\")) "
		"((NIL NIL \"minutes\" \"CNRI.Reston.VA.US\")"
		"(\"John Klensin\" NIL \"KLENSIN\" \"MIT.EDU\")) NIL NIL "
		"\"<B27397-0100000@cac.washington.edu>\")");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_multipart),
		cmocka_unit_test(test_envelope),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
