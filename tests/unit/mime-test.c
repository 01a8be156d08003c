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

static void test_envelope_forms(void **state)
{
	(void)state;
	check_envelope("", "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)");
	check_envelope("Subject:\r\nTo:\r\n\r\n", "(NIL \"\" NIL NIL NIL NIL NIL NIL NIL NIL)");
	check_envelope("Subject: a \"q\" \\ b\r\n\tc\r\n\r\n",
		"(NIL \"a \\\"q\\\" \\\\ b\tc\" NIL NIL NIL NIL NIL NIL NIL NIL)");
	check_envelope("Subject: gr\xc3\xbc\xc3\x9f\n\n",
		"(NIL {6}\r\ngr\xc3\xbc\xc3\x9f NIL NIL NIL NIL NIL NIL NIL NIL)");
	/* Fields that stand twice: the first text, all addresses. */
	check_envelope("To: a@b\nSUBJECT: 1\nTo : c@d\nsubject: 2\n",
		"(NIL \"1\" NIL NIL NIL ((NIL NIL \"a\" \"b\")(NIL NIL \"c\" \"d\")) NIL NIL NIL "
		"NIL)");
	check_envelope("From: a@b\nReply-To: c@d\nSender: ,\n\n",
		"(NIL NIL ((NIL NIL \"a\" \"b\")) ((NIL NIL \"a\" \"b\")) ((NIL NIL \"c\" \"d\")) "
		"NIL "
		"NIL NIL NIL NIL)");
	check_envelope("To: undisclosed-recipients:;\r\n\r\n",
		"(NIL NIL NIL NIL NIL ((NIL NIL \"undisclosed-recipients\" NIL)(NIL NIL NIL NIL)) "
		"NIL NIL NIL NIL)");
	/* ends within the header, within a field */
	check_envelope("Subject: cut", "(NIL \"cut\" NIL NIL NIL NIL NIL NIL NIL NIL)");
}

#define TEXT(size, lines)                                                                          \
	"(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" " size " " lines          \
	" NIL NIL NIL NIL)"
#define TAIL " NIL NIL NIL)"

static void test_broken_multiparts(void **state)
{
	(void)state;
	/* without a boundary */
	check_structure("Content-Type: multipart/mixed\n\n--b\n", TEXT("4", "1"));
	check_structure("Content-Type: multipart/mixed; boundary=\n\nx", TEXT("1", "0"));
	/* without any part, without an end */
	check_structure("Content-Type: multipart/mixed; boundary=b\n\n",
		"(" TEXT("0", "0") " \"mixed\" (\"boundary\" \"b\")" TAIL);
	check_structure("Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n",
		"(" TEXT("2", "1") " \"mixed\" (\"boundary\" \"b\")" TAIL);
	/* the delimiter is the last line, with and without a line end */
	check_structure("Content-Type: multipart/mixed; boundary=b\n\n--b\n\n1\n--b\n",
		"(" TEXT("1", "0") TEXT("0", "0") " \"mixed\" (\"boundary\" \"b\")" TAIL);
	check_structure("Content-Type: multipart/mixed; boundary=b\n\n--b\n\n1\n--b",
		"(" TEXT("1", "0") " \"mixed\" (\"boundary\" \"b\")" TAIL);
	/* an empty message in a part: its empty line is part of the body around it */
	check_structure(
		"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822"
		"\n\n\n--b--",
		"((\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 1 (NIL NIL NIL NIL NIL NIL NIL NIL "
		"NIL NIL) " TEXT(
			"0", "0") " 1 NIL NIL NIL NIL) \"mixed\" (\"boundary\" \"b\")" TAIL);
	check_structure("Content-Type: multipart/mixed; boundary=b\n\n--b",
		"(" TEXT("0", "0") " \"mixed\" (\"boundary\" \"b\")" TAIL);
	/* a part that is only a header; an empty part */
	check_structure(
		"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: a/b\r\n"
		"--b\r\n\r\n\r\n--b--",
		"((\"a\" \"b\" NIL NIL NIL \"7bit\" 0 NIL NIL NIL NIL)" TEXT(
			"0", "0") " \"mixed\" "
				  "(\"boundary\" \"b\")" TAIL);
	/* blanks behind the delimiter, longer lines are delimiters too (RFC 2046 5.1.1) */
	check_structure(
		"Content-Type: multipart/mixed; boundary=b\n\n--b \t\n\nx\n--bcd\n\nyy\n--b-- \n\n"
		"--b\n\nepilogue",
		"(" TEXT("1", "0") TEXT("2", "0") " \"mixed\" (\"boundary\" \"b\")" TAIL);
	/* an inner boundary that the outer one is a prefix of; the inner one is not closed */
	check_structure("Content-Type: multipart/a; boundary=b\n\n--b\nContent-Type: multipart/c; "
			"boundary=bb\n\n--bb\n\n1\n--bb\n\n2\n--b\n\n3\n--b--\n",
		"((" TEXT("1", "0") TEXT("1", "0") " \"c\" (\"boundary\" \"bb\")" TAIL TEXT(
			"1", "0") " \"a\" (\"boundary\" \"b\")" TAIL);
	/* the same boundary twice: the inner one counts */
	check_structure("Content-Type: multipart/a; boundary=b\n\n--b\nContent-Type: multipart/c; "
			"boundary=b\n\n--b\n\n1\n--b--\n--b\n\n2\n--b--",
		"((" TEXT("1", "0") " \"c\" (\"boundary\" \"b\")" TAIL TEXT(
			"1", "0") " \"a\" (\"boundary\" \"b\")" TAIL);
	/* content types that are none */
	check_structure("Content-Type: text\n\n", TEXT("0", "0"));
	check_structure("Content-Type: /html; charset=x\n\n", TEXT("0", "0"));
	check_structure("Content-Type: (c) text (d) / (e) html (f\n\n",
		"(\"text\" \"html\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0 NIL NIL NIL "
		"NIL)");
}

static void test_messages(void **state)
{
	(void)state;
	check_structure("Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nbody\r\n",
		"(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 21 (NIL \"in\" NIL NIL NIL NIL NIL "
		"NIL NIL "
		"NIL) " TEXT("6", "1") " 3 NIL NIL NIL NIL)");
	/* nothing inside */
	check_structure("Content-Type: message/rfc822\r\n\r\n",
		"(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 0 (NIL NIL NIL NIL NIL NIL NIL NIL "
		"NIL NIL)"
		" " TEXT("0", "0") " 0 NIL NIL NIL NIL)");
	/* messages are what a digest has by default */
	check_structure(
		"Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: 1\n\nx\n--b\n"
		"Content-Type: text/plain\n\ny\n--b--\n",
		"((\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 13 (NIL \"1\" NIL NIL NIL NIL NIL "
		"NIL NIL "
		"NIL) " TEXT("1", "0") " 2 NIL NIL NIL NIL)" TEXT(
			"1", "0") " \"digest\" "
				  "(\"boundary\" \"b\")" TAIL);
	check_structure("Content-Type: multipart/digest; boundary=b\n\n--b\n--b--\n",
		"((\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 0 (NIL NIL NIL NIL NIL NIL NIL NIL "
		"NIL NIL)"
		" " TEXT("0", "0") " 0 NIL NIL NIL NIL) \"digest\" (\"boundary\" \"b\")" TAIL);
	check_structure("Content-Type: message/global\n\n\nx",
		"(\"message\" \"global\" NIL NIL NIL \"7bit\" 2 (NIL NIL NIL NIL NIL NIL NIL NIL "
		"NIL NIL) " TEXT("1", "0") " 1 NIL NIL NIL NIL)");
	check_structure("Content-Type: message/delivery-status\n\nx",
		"(\"message\" \"delivery-status\" NIL NIL NIL \"7bit\" 1 NIL NIL NIL NIL)");
}

static void test_fields(void **state)
{
	(void)state;
	check_structure("Content-Type: Image/GIF (c); name=my file.gif ; x=y(c)\r\n"
			"Content-ID: <a@b>\r\nContent-Description: a\r\n b\r\n"
			"Content-Transfer-Encoding: BASE64 (x)\r\nContent-MD5: Q2hlY2s=\r\n"
			"Content-Language: en, de (x) ,fr\r\nContent-Location: http://x/\r\n"
			"Content-Disposition: attachment; filename=\"a\\\"b\"; size=3\r\n\r\n",
		"(\"Image\" \"GIF\" (\"name\" \"my file.gif\" \"x\" \"y\") \"<a@b>\" \"a b\" "
		"\"BASE64\" 0 "
		"\"Q2hlY2s=\" (\"attachment\" (\"filename\" \"a\\\"b\" \"size\" \"3\")) "
		"(\"en\" \"de\" \"fr\") \"http://x/\")");
	check_structure("Content-Type: text/plain; charset; =x; ;;a=b; format=\n\n",
		"(\"text\" \"plain\" (\"a\" \"b\" \"format\" \"\" \"charset\" \"us-ascii\") NIL "
		"NIL "
		"\"7bit\" 0 0 NIL NIL NIL NIL)");
	/* RFC 2231 3, 4, 4.1 */
	check_structure(
		"Content-Type: application/x-stuff; title*0*=us-ascii'en'This%20is%20even%20more"
		"%20;\n title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*2=\"isn't it!\"\n\n",
		"(\"application\" \"x-stuff\" (\"title*\" "
		"\"us-ascii'en'This%20is%20even%20more%20%2A%2A"
		"%2Afun%2A%2A%2A%20isn%27t%20it!\") NIL NIL \"7bit\" 0 NIL NIL NIL NIL)");
	check_structure(
		"Content-Type: message/external-body; access-type=URL;\n URL*1=\"c\"; URL*0=ab;\n"
		" URL*3=lost; z*=utf-8''%e4; URL*0=again\n\n",
		"(\"message\" \"external-body\" (\"access-type\" \"URL\" \"URL\" \"abc\" \"z*\" "
		"\"utf-8''%e4\") NIL NIL \"7bit\" 0 NIL NIL NIL NIL)");
}

/* A seeded stream of pieces of messages, put together at random. */
static uint64_t random_state;

static uint32_t random_below(uint32_t n)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random_state >> 33) % n;
}

static void random_message(struct buf *out)
{
	static const char *const pieces[] = {"\r\n", "\n", "\r\n\r\n", "\n\n", "\r", "--", "--b",
		"--bb", "--b--", "--bb--", "\r\n--b\r\n", "\r\n--bb\r\n", "\n--c\n", "\n--c--\n",
		"Content-Type: multipart/mixed; boundary=b\r\n",
		"Content-Type: multipart/digest; boundary=\"bb\"\r\n",
		"Content-Type: multipart/x;\n boundary=c\n", "Content-Type: message/rfc822\r\n\r\n",
		"Content-Type: text/html; charset*0=u; charset*1=tf\r\n", "Subject: x\r\n y\r\n",
		"To: a@b, g: c@d;\r\n", "text ", "\xff\xe4", " ", ":", "Date: 1 Jan 2020\n",
		"Content-Disposition: x; a*=''%41; b*1*=\"q\n", "-", "(", "\"", "\\", ";"};
	uint32_t n = random_below(60);

	buf_empty(out);
	while (n-- > 0) {
		buf_add_str(out, pieces[random_below(array_count(pieces))]);
		if (random_below(50) == 0)
			buf_add(out, "\0", 1);
		if (random_below(40) == 0) {
			for (uint32_t i = random_below(1200); i > 0; i--)
				buf_add_c(out, 'L');
		}
	}
}

/* Parts lie in each other, in order, within the message. */
static void check_places(const struct mime_message *m)
{
	for (uint32_t i = 0; i < m->nparts; i++) {
		const struct mime_part *p = &m->parts[i];
		const struct mime_part *up = p->parent == MIME_NONE ? p : &m->parts[p->parent];

		assert_true(p->parent == MIME_NONE ? i == 0 : p->parent < i);
		assert_int_equal(p->body_off, p->header_off + p->header_len);
		assert_true(p->body_off + p->body_len <= m->size);
		if (i > 0) {
			assert_true(p->header_off >= up->body_off);
			assert_true(p->body_off + p->body_len <= up->body_off + up->body_len);
		}
		if (p->next != MIME_NONE)
			assert_true(m->parts[p->next].header_off >= p->body_off + p->body_len);
		assert_non_null(p->type.p);
	}
}

/* Fields that are picked from root_fields are those of the header itself. */
static void check_root_fields(struct span text, const struct mime_message *m)
{
	const struct span names[] = {SPAN("to"), SPAN("Subject"), SPAN("content-type"),
		SPAN("Date"), SPAN("Content-Disposition")};
	struct buf of_header, of_fields;

	assert_true(m->root_fields_whole);
	buf_init(&of_header);
	buf_init(&of_fields);
	header_filter(span_from(text.p, m->parts[0].header_len), names, array_count(names), false,
		&of_header);
	header_filter(m->root_fields, names, array_count(names), false, &of_fields);
	assert_true(span_equal(buf_span(&of_header), buf_span(&of_fields)));
	buf_clear(&of_header);
	buf_clear(&of_fields);
}

static void test_random(void **state)
{
	struct buf text;

	(void)state;
	buf_init(&text);
	for (uint64_t seed = 1; seed <= 3000; seed++) {
		struct result whole, other;

		random_state = seed * 0x9e3779b97f4a7c15u;
		random_message(&text);
		whole = parse_in(buf_span(&text), SIZE_MAX, NULL);
		check_places(whole.m);
		check_root_fields(buf_span(&text), whole.m);
		for (size_t piece = 1; piece < 12; piece += 5) {
			other = parse_in(buf_span(&text), piece, NULL);
			assert_string_equal(buf_str(&whole.structure), buf_str(&other.structure));
			assert_true(
				span_equal(buf_span(&whole.envelope), buf_span(&other.envelope)));
			assert_true(span_equal(whole.m->root_fields, other.m->root_fields));
			assert_int_equal(whole.m->size, text.len);
			assert_int_equal(whole.m->nparts, other.m->nparts);
			assert_int_equal(whole.m->lines, other.m->lines);
			assert_int_equal(whole.m->has_nul, other.m->has_nul);
			assert_int_equal(whole.m->has_8bit, other.m->has_8bit);
			assert_int_equal(whole.m->has_bare_cr, other.m->has_bare_cr);
			assert_int_equal(whole.m->has_bare_lf, other.m->has_bare_lf);
			for (uint32_t i = 0; i < whole.m->nparts; i++) {
				assert_int_equal(
					whole.m->parts[i].header_off, other.m->parts[i].header_off);
				assert_int_equal(whole.m->parts[i].header_lines,
					other.m->parts[i].header_lines);
			}
			result_free(&other);
		}
		result_free(&whole);
	}
	buf_clear(&text);
}

static void check_octets(struct span text, bool nul, bool eight, bool cr, bool lf)
{
	for (size_t piece = 1; piece < 20; piece += 3) {
		struct result r = parse_in(text, piece, NULL);

		assert_int_equal(r.m->has_nul, nul);
		assert_int_equal(r.m->has_8bit, eight);
		assert_int_equal(r.m->has_bare_cr, cr);
		assert_int_equal(r.m->has_bare_lf, lf);
		result_free(&r);
	}
}

static void test_octets(void **state)
{
	(void)state;
	check_octets(SPAN("abcdefgh\r\nijk\r\n"), false, false, false, false);
	check_octets(SPAN("abcdefgh\nijk\r\n"), false, false, false, true);
	check_octets(SPAN("abcde\rfgh\r\nijk\r\n"), false, false, true, false);
	check_octets(SPAN("abcde\r\r\nijk"), false, false, true, false);
	check_octets(SPAN("a\r\nbcdefghijklmnopq\r"), false, false, true, false);
	check_octets(SPAN("abcdefghijklmnop\0qrs"), true, false, false, false);
	check_octets(SPAN("abcdefgh\x80ijklmnop"), false, true, false, false);
}

/* Many times the same, then the steps that were needed for an octet. */
static double steps_for(const char *head, const char *unit, size_t times, struct result *r_r)
{
	struct buf text;
	double steps;

	buf_init(&text);
	buf_add_str(&text, head);
	for (size_t i = 0; i < times; i++)
		buf_add_str(&text, unit);
	*r_r = parse_in(buf_span(&text), 65536, NULL);
	check_places(r_r->m);
	steps = (double)r_r->m->steps / (double)text.len;
	buf_clear(&text);
	return steps;
}

static void test_floods(void **state)
{
	static const char *const cases[][2] = {
		{"Content-Type: multipart/mixed; boundary=b\n\n", "--b\n\n"},
		{"Content-Type: multipart/mixed; boundary=b\n\n",
			"--b\nContent-Type: multipart/mixed; boundary=b\n\n"},
		{"Content-Type: message/rfc822\n\n", "Content-Type: message/rfc822\n\n"},
		{"Content-Type: multipart/digest; boundary=b\n\n", "--b\n\n\n"},
		{"", "To: a@b\n"},
		{"To: ", "a,"},
		{"To: ", "(\\"},
		{"To: ", "g:;"},
		{"Content-Type: text/plain", ";a*1*=b"},
		{"Content-Type: text/plain; x=\"", "\\"},
		{"Content-Type: text/plain", ";a=b"},
		{"Subject: ", "\n x"},
		{"Content-Language: ", "en,"},
		{"", ":\n"},
		{"", "\r"},
		{"Content-Type: multipart/mixed; boundary=--------\n\n", "-"},
		{"Content-Type: multipart/mixed; boundary=b\n\n", "--\n"},
	};
	struct result r;

	(void)state;
	for (size_t i = 0; i < array_count(cases); i++) {
		double few = steps_for(cases[i][0], cases[i][1], 2000, &r), many;

		result_free(&r);
		many = steps_for(cases[i][0], cases[i][1], 200000, &r);
		assert_true(many < 4 && many < few * 2 + 1);
		assert_true(r.m->nparts <= 10000);
		result_free(&r);
	}
}

static void test_depth(void **state)
{
	struct buf text;
	struct result r;
	uint32_t deepest = 0;

	(void)state;
	buf_init(&text);
	for (int i = 0; i < 100000; i++)
		buf_printf(
			&text, "Content-Type: multipart/mixed; boundary=b%06d\n\n--b%06d\n", i, i);
	r = parse_in(buf_span(&text), SIZE_MAX, NULL);
	for (uint32_t i = 0; i < r.m->nparts; i++) {
		if (r.m->parts[i].depth > deepest)
			deepest = r.m->parts[i].depth;
	}
	assert_int_equal(deepest, 99);
	assert_true(r.m->parts_cut);
	assert_true(span_is(r.m->parts[99].subtype, "octet-stream"));
	assert_int_equal(r.m->parts[99].body_off + r.m->parts[99].body_len, text.len);
	result_free(&r);
	buf_clear(&text);
}

static void test_limits(void **state)
{
	const struct mime_limits limits = {
		.parts = 3, .header_bytes = 100, .root_fields = 60, .addresses = 2};
	struct result r;

	(void)state;
	r = parse_in(SPAN("To: a@b,c@d\nCc: e@f\nContent-Type: multipart/mixed; "
			  "boundary=b\n\n--b\n\n1\n--b"
			  "\nContent-Type: text/html\n\n2\n--b\n\n3\n--b--\n"),
		1, &limits);
	assert_int_equal(r.m->nparts, 3);
	assert_true(r.m->parts_cut);
	assert_true(span_is(r.m->parts[2].subtype, "octet-stream"));
	assert_int_equal(r.m->parts[2].body_off + r.m->parts[2].body_len, r.m->size);
	assert_int_equal(r.m->parts[0].envelope->addresses[MIME_TO].n, 2);
	assert_int_equal(r.m->parts[0].envelope->addresses[MIME_CC].n, 0);
	assert_false(r.m->root_fields_whole);
	assert_true(span_is(r.m->root_fields, "To: a@b,c@d\nCc: e@f\n"));
	result_free(&r);
	/* A field that is too long is left out, the others stay. */
	r = parse_in(SPAN("Subject: s\nTo: "
			  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
			  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n "
			  "x\nDate: d\n"),
		3, &limits);
	assert_true(r.m->header_cut);
	assert_false(r.m->root_fields_whole);
	assert_true(span_is(r.m->root_fields, "Subject: s\nDate: d\n"));
	result_free(&r);
}

/* 10 MB of header: offsets are right, memory is not what it costs. */
static void test_giant_header(void **state)
{
	struct buf line;
	struct mime_parser *p = mime_parser_new(NULL);
	const struct mime_message *m;

	(void)state;
	buf_init(&line);
	for (int i = 0; i < 1000; i++)
		buf_add_str(&line, "X-Unknown: 0123456789\r\nSubject: again\r\n folded\r\n");
	for (int i = 0; i < 200; i++)
		mime_parser_feed(p, line.data, line.len);
	mime_parser_feed(p, "From: a@b\r\n\r\nx", 14);
	m = mime_parser_finish(p);
	assert_int_equal(m->parts[0].header_len, line.len * 200 + 13);
	assert_true(m->header_cut);
	assert_true(span_is(m->parts[0].envelope->subject, "again folded"));
	mime_parser_free(p);
	buf_clear(&line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_multipart),
		cmocka_unit_test(test_envelope),
		cmocka_unit_test(test_envelope_forms),
		cmocka_unit_test(test_broken_multiparts),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_octets),
		cmocka_unit_test(test_floods),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_giant_header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
