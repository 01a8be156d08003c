#include "lib-storage/text.h"

#include <utf8proc.h>

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f';
}

static bool is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_alnum(char c)
{
	return is_alpha(c) || (c >= '0' && c <= '9');
}

static void skip(struct span *s, size_t n)
{
	n = n < s->n ? n : s->n;
	s->p += n;
	s->n -= n;
}

/* Behind the next occurrence of `end`, or at the end of all. */
static void skip_past(struct span *s, const char *end)
{
	size_t n = strlen(end);
	const char *at = memmem(s->p, s->n, end, n);

	skip(s, at == NULL ? s->n : (size_t)(at - s->p) + n);
}

/* Behind the end tag of an element whose content is no text. */
static void skip_element(struct span *s, struct span name)
{
	while (s->n > 0) {
		struct span at;

		skip_past(s, "</");
		at = span_from(s->p, name.n);
		if (s->n >= name.n && span_equal_nocase(at, name)) {
			skip_past(s, ">");
			return;
		}
	}
}

/* A blank or a line end, once. */
static void add_gap(struct buf *out, char c)
{
	if (out->len == 0 || out->data[out->len - 1] == '\n')
		return;
	if (out->data[out->len - 1] == ' ') {
		if (c == '\n')
			out->data[out->len - 1] = c;
		return;
	}
	buf_add_c(out, c);
}

static bool is_block(struct span name)
{
	static const char *const names[] = {"p", "br", "div", "tr", "td", "th", "li", "ul", "ol",
		"table", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "blockquote", "pre", "title",
		"body", "section", "article", "header", "footer", "dt", "dd"};

	for (size_t i = 0; i < array_count(names); i++) {
		if (span_is_nocase(name, names[i]))
			return true;
	}
	return false;
}

/* *s stands on '<'. */
static void take_tag(struct span *s, struct buf *out)
{
	struct span name;
	bool end;

	if (s->n >= 4 && memcmp(s->p, "<!--", 4) == 0) {
		skip(s, 4);
		skip_past(s, "-->");
		return;
	}
	end = s->n > 1 && s->p[1] == '/';
	name = span_from(s->p + 1 + end, 0);
	while (1 + end + name.n < s->n && name.n < 32 && is_alnum(name.p[name.n]))
		name.n++;
	if (name.n == 0 && !end && (s->n == 1 || (s->p[1] != '!' && s->p[1] != '?'))) {
		buf_add_c(out, '<'); /* "1 < 2" */
		skip(s, 1);
		return;
	}
	skip_past(s, ">");
	if (is_block(name))
		add_gap(out, '\n');
	if (!end && (span_is_nocase(name, "script") || span_is_nocase(name, "style")))
		skip_element(s, name);
}

static const struct {
	const char *name;
	uint32_t code;
} references[] = {
	{"amp", '&'},
	{"lt", '<'},
	{"gt", '>'},
	{"quot", '"'},
	{"apos", '\''},
	{"nbsp", ' '},
	{"copy", 0xa9},
	{"reg", 0xae},
	{"euro", 0x20ac},
	{"ndash", 0x2013},
	{"mdash", 0x2014},
	{"lsquo", 0x2018},
	{"rsquo", 0x2019},
	{"ldquo", 0x201c},
	{"rdquo", 0x201d},
	{"hellip", 0x2026},
	{"bull", 0x2022},
	{"auml", 0xe4},
	{"ouml", 0xf6},
	{"uuml", 0xfc},
	{"Auml", 0xc4},
	{"Ouml", 0xd6},
	{"Uuml", 0xdc},
	{"szlig", 0xdf},
	{"eacute", 0xe9},
	{"egrave", 0xe8},
	{"ecirc", 0xea},
	{"agrave", 0xe0},
	{"aacute", 0xe1},
	{"acirc", 0xe2},
	{"ccedil", 0xe7},
	{"ntilde", 0xf1},
	{"iacute", 0xed},
	{"oacute", 0xf3},
	{"uacute", 0xfa},
	{"oslash", 0xf8},
	{"aring", 0xe5},
	{"aelig", 0xe6},
	{"shy", 0xad},
	{"zwnj", 0x200c},
};

static uint32_t number_of(struct span s)
{
	uint32_t v = 0;
	bool hex = s.n > 0 && (s.p[0] | 0x20) == 'x';

	for (size_t i = hex; i < s.n && v < 0x110000; i++) {
		char c = s.p[i];

		if (c >= '0' && c <= '9')
			v = v * (hex ? 16 : 10) + (uint32_t)(c - '0');
		else if (hex && is_alpha(c) && (c | 0x20) <= 'f')
			v = v * 16 + (uint32_t)((c | 0x20) - 'a' + 10);
		else
			return 0;
	}
	return v;
}

/* *s stands on '&'. */
static void take_reference(struct span *s, struct buf *out)
{
	utf8proc_uint8_t utf8[4];
	uint32_t code = 0;
	size_t n = 1;

	while (n < s->n && n < 12 && (is_alnum(s->p[n]) || s->p[n] == '#'))
		n++;
	if (n > 2 && s->p[1] == '#') {
		code = number_of(span_from(s->p + 2, n - 2));
	} else {
		for (size_t i = 0; i < array_count(references); i++) {
			if (span_is(span_from(s->p + 1, n - 1), references[i].name))
				code = references[i].code;
		}
	}
	if (code < ' ' || !utf8proc_codepoint_valid((utf8proc_int32_t)code)) {
		buf_add_c(out, '&');
		skip(s, 1);
		return;
	}
	if (n < s->n && s->p[n] == ';')
		n++;
	skip(s, n);
	buf_add(out, utf8, (size_t)utf8proc_encode_char((utf8proc_int32_t)code, utf8));
}

void text_from_html(struct span html, struct buf *out)
{
	while (html.n > 0) {
		size_t run = 0;

		while (run < html.n && html.p[run] != '<' && html.p[run] != '&' &&
			!is_space(html.p[run]))
			run++;
		buf_add(out, html.p, run);
		skip(&html, run);
		if (html.n == 0)
			return;
		if (html.p[0] == '<') {
			take_tag(&html, out);
		} else if (html.p[0] == '&') {
			take_reference(&html, out);
		} else {
			add_gap(out, ' ');
			skip(&html, 1);
		}
	}
}
