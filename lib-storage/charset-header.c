#include "lib-storage/charset.h"

/* One encoded word, "=?charset*language?B?text?=". */
struct word {
	struct span charset, text;
	char encoding; /* 'b' or 'q' */
	size_t length; /* of the whole */
};

/* What stands before the next '?' that is no blank and is short enough; the scan is bounded, so
 * that a header full of "=?" takes linear time. */
static bool word_part(struct span *s, size_t max, struct span *part_r)
{
	size_t n = 0;

	while (n < s->n && n <= max && s->p[n] != '?') {
		if (s->p[n] == '\r' || s->p[n] == '\n')
			return false;
		n++;
	}
	if (n >= s->n || n > max)
		return false;
	*part_r = span_from(s->p, n);
	s->p += n + 1;
	s->n -= n + 1;
	return true;
}

/* RFC 2047 allows 75 octets for a word; senders take more. */
#define CHARSET_MAX 64
#define TEXT_MAX 1024

static bool word_parse(struct span s, struct word *w)
{
	struct span rest = s, encoding;
	const char *star;

	if (rest.n < 8 || rest.p[0] != '=' || rest.p[1] != '?')
		return false;
	rest.p += 2;
	rest.n -= 2;
	if (!word_part(&rest, CHARSET_MAX, &w->charset) || w->charset.n == 0 ||
		!word_part(&rest, 1, &encoding) || encoding.n != 1)
		return false;
	w->encoding = (char)(encoding.p[0] | 0x20);
	if (w->encoding != 'b' && w->encoding != 'q')
		return false;
	if (!word_part(&rest, TEXT_MAX, &w->text) || rest.n == 0 || rest.p[0] != '=')
		return false;
	star = memchr(w->charset.p, '*', w->charset.n); /* RFC 2231 5 */
	if (star != NULL)
		w->charset.n = (size_t)(star - w->charset.p);
	w->length = (size_t)(rest.p + 1 - s.p);
	return true;
}

static void word_octets(const struct word *w, struct buf *octets)
{
	struct transfer_decoder d;

	if (w->encoding == 'b') {
		transfer_decoder_init(&d, MIME_BASE64);
		transfer_decode(&d, w->text, octets);
		return;
	}
	transfer_decoder_init(&d, MIME_QUOTED_PRINTABLE);
	for (size_t i = 0; i < w->text.n; i++) {
		struct span c = {&w->text.p[i], 1};

		if (c.p[0] == '_' || c.p[0] == ' ') {
			transfer_decode_end(&d, octets);
			buf_add_c(octets, ' ');
		} else {
			transfer_decode(&d, c, octets);
		}
	}
	transfer_decode_end(&d, octets);
}

/* Takes encoded words as long as only blanks are between them; the blanks do not count (RFC
 * 2047 6.2). */
static void words_decode(struct span *s, struct word *w, struct buf *out)
{
	struct buf octets;
	struct word next;
	bool more = true;

	buf_init(&octets);
	while (more) {
		size_t gap = 0;

		word_octets(w, &octets);
		s->p += w->length;
		s->n -= w->length;
		while (gap < s->n && (s->p[gap] == ' ' || s->p[gap] == '\t'))
			gap++;
		more = word_parse(span_from(s->p + gap, s->n - gap), &next);
		if (more) {
			s->p += gap;
			s->n -= gap;
		}
		if (!more || !span_equal_nocase(next.charset, w->charset)) {
			charset_to_utf8(w->charset, buf_span(&octets), out);
			buf_empty(&octets);
		}
		if (more)
			*w = next;
	}
	buf_clear(&octets);
}

void charset_decode_header(struct span value, struct buf *out)
{
	struct buf line;
	struct span s;
	struct word w;

	buf_init(&line);
	header_unfold(value, &line);
	s = buf_span(&line);
	while (s.n > 0) {
		size_t run = 0;

		while (run < s.n && !(s.p[run] == '=' && run + 1 < s.n && s.p[run + 1] == '?'))
			run++;
		charset_guess_to_utf8(span_from(s.p, run), out);
		s.p += run;
		s.n -= run;
		if (s.n == 0)
			break;
		if (word_parse(s, &w)) {
			words_decode(&s, &w, out);
		} else {
			buf_add(out, s.p, 2);
			s.p += 2;
			s.n -= 2;
		}
	}
	buf_clear(&line);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void percent_decode(struct span s, struct buf *out)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '%' && i + 2 < s.n && hex_digit(s.p[i + 1]) >= 0 &&
			hex_digit(s.p[i + 2]) >= 0) {
			buf_add_c(out, (char)(hex_digit(s.p[i + 1]) << 4 | hex_digit(s.p[i + 2])));
			i += 2;
		} else {
			buf_add_c(out, s.p[i]);
		}
	}
}

void charset_decode_param(const struct mime_param *param, struct buf *out)
{
	struct span rest = param->value, charset, language;
	struct buf octets;

	if (param->name.n == 0 || param->name.p[param->name.n - 1] != '*' ||
		!span_cut(&rest, '\'', &charset) || !span_cut(&rest, '\'', &language)) {
		charset_decode_header(param->value, out);
		return;
	}
	buf_init(&octets);
	percent_decode(rest, &octets);
	charset_to_utf8(charset, buf_span(&octets), out);
	buf_clear(&octets);
}
