#include "lib-storage/text.h"
#include "lib-storage/charset.h"

#include <utf8proc.h>

#define FOLD_RUN 4096 /* octets that are normalised together */
#define PIECE 32768   /* octets of a body that are decoded at a time */

static bool is_ascii(char c)
{
	return (unsigned char)c < 0x80;
}

/* Normalises what is not ASCII, with the letter before it that it may change. */
static void fold_run(struct span s, struct buf *out)
{
	const utf8proc_option_t options = UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT |
					  UTF8PROC_CASEFOLD | UTF8PROC_IGNORE;
	const utf8proc_uint8_t *p = (const utf8proc_uint8_t *)s.p;
	utf8proc_ssize_t n, size;
	utf8proc_int32_t *codes;

	size = utf8proc_decompose(p, (utf8proc_ssize_t)s.n, NULL, 0, options);
	if (size < 0) {
		buf_add_span(out, s);
		return;
	}
	codes = mem_alloc_array((size_t)size + 1, sizeof(*codes));
	n = utf8proc_decompose(p, (utf8proc_ssize_t)s.n, codes, size, options);
	if (n == size)
		n = utf8proc_normalize_utf32(codes, n, options);
	for (utf8proc_ssize_t i = 0; i < n; i++) {
		utf8proc_uint8_t c[4];

		buf_add(out, c, (size_t)utf8proc_encode_char(codes[i], c));
	}
	mem_free(codes);
}

static void fold_ascii(struct span s, struct buf *out)
{
	char *room = buf_reserve(out, s.n);

	if (room == NULL)
		return;
	for (size_t i = 0; i < s.n; i++)
		room[i] = s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] + 32) : s.p[i];
	buf_added(out, s.n);
}

/* The end of the run of non-ASCII at i; a very long one is cut between two characters. */
static size_t run_end(struct span s, size_t i)
{
	size_t end = i;

	while (end < s.n && !is_ascii(s.p[end]) && end - i < FOLD_RUN)
		end++;
	while (end < s.n && end > i + FOLD_RUN - 4 && ((unsigned char)s.p[end] & 0xc0) == 0x80)
		end--;
	return end;
}

void text_fold(struct span s, struct buf *out)
{
	size_t i = 0;

	while (i < s.n) {
		size_t run = i, end;

		while (run < s.n && is_ascii(s.p[run]))
			run++;
		/* The last letter goes with an accent that may follow. */
		if (run < s.n && run > i)
			run--;
		fold_ascii(span_from(s.p + i, run - i), out);
		if (run == s.n)
			return;
		end = run_end(s, is_ascii(s.p[run]) ? run + 1 : run);
		fold_run(span_from(s.p + run, end - run), out);
		i = end;
	}
}

void text_needle_init(struct text_needle *needle, struct span utf8)
{
	buf_init(&needle->folded);
	text_fold(utf8, &needle->folded);
}

void text_needle_clear(struct text_needle *needle)
{
	buf_clear(&needle->folded);
}

static bool occurs(const struct text_needle *needle, const struct buf *folded)
{
	if (needle->folded.len == 0)
		return true;
	return folded->len >= needle->folded.len &&
	       memmem(folded->data, folded->len, needle->folded.data, needle->folded.len) != NULL;
}

bool text_contains(const struct text_needle *needle, struct span utf8)
{
	struct buf folded;
	bool found;

	buf_init(&folded);
	text_fold(utf8, &folded);
	found = occurs(needle, &folded);
	buf_clear(&folded);
	return found;
}

bool text_in_header_field(const struct text_needle *needle, struct span header, struct span name)
{
	struct header_field f;
	struct buf value;
	bool found = false;

	buf_init(&value);
	while (!found && header_next(&header, &f)) {
		if (f.name.n == 0 || !span_equal_nocase(f.name, name))
			continue;
		buf_empty(&value);
		charset_decode_header(f.value, &value);
		found = text_contains(needle, buf_span(&value));
	}
	buf_clear(&value);
	return found;
}

bool text_in_header(const struct text_needle *needle, struct span header)
{
	struct header_field f;
	struct buf line;
	bool found = needle->folded.len == 0;

	buf_init(&line);
	while (!found && header_next(&header, &f)) {
		buf_empty(&line);
		if (f.name.n > 0) {
			charset_guess_to_utf8(f.name, &line);
			buf_add_str(&line, ": ");
			charset_decode_header(f.value, &line);
		} else {
			charset_decode_header(f.raw, &line);
		}
		found = text_contains(needle, buf_span(&line));
	}
	buf_clear(&line);
	return found;
}

/* A text that comes in pieces. */
struct search {
	const struct text_needle *needle;
	struct buf text;   /* not yet folded: what follows may belong to it */
	struct buf folded; /* the end of what was looked at */
};

/* Up to where the text can be folded without what follows it. */
static size_t safe_length(const struct buf *text)
{
	size_t n = text->len;

	if (n > FOLD_RUN * 4)
		n -= FOLD_RUN;
	else
		return 0;
	for (size_t i = n; i < text->len; i++) {
		if (is_ascii(text->data[i]))
			n = i;
	}
	while (n > 0 && ((unsigned char)text->data[n] & 0xc0) == 0x80)
		n--;
	return n;
}

static bool search_fold(struct search *s, size_t n)
{
	size_t keep = s->needle->folded.len - 1;
	bool found;

	text_fold(span_from(s->text.data, n), &s->folded);
	buf_consume(&s->text, n);
	found = occurs(s->needle, &s->folded);
	if (s->folded.len > keep)
		buf_consume(&s->folded, s->folded.len - keep);
	return found;
}

static bool search_piece(struct search *s)
{
	size_t n = safe_length(&s->text);

	return n > 0 && search_fold(s, n);
}

static bool search_end(struct search *s)
{
	return s->text.len > 0 && search_fold(s, s->text.len);
}

static struct span part_body(struct span message, const struct meta_part *p)
{
	uint64_t offset = p->header_off + p->header_len;

	if (offset > message.n)
		return SPAN("");
	message.p += offset;
	message.n -= offset;
	if (message.n > p->body_len)
		message.n = p->body_len;
	return message;
}

static struct span part_header(struct span message, const struct meta_part *p)
{
	if (p->header_off > message.n)
		return SPAN("");
	message.p += p->header_off;
	message.n -= p->header_off;
	if (message.n > p->header_len)
		message.n = p->header_len;
	return message;
}

/* A part on its way to UTF-8. */
struct decoder {
	struct transfer_decoder transfer;
	struct charset_decoder charset;
	struct buf octets;
	struct span left;
};

static void decoder_init(struct decoder *d, struct span message, const struct meta_part *p)
{
	transfer_decoder_init(&d->transfer, p->encoding);
	charset_decoder_init(&d->charset, p->charset);
	buf_init(&d->octets);
	d->left = part_body(message, p);
}

/* False when there is no more. */
static bool decoder_next(struct decoder *d, struct buf *out)
{
	size_t n = d->left.n < PIECE ? d->left.n : PIECE;

	if (n == 0)
		return false;
	buf_empty(&d->octets);
	transfer_decode(&d->transfer, span_from(d->left.p, n), &d->octets);
	d->left.p += n;
	d->left.n -= n;
	if (d->left.n == 0)
		transfer_decode_end(&d->transfer, &d->octets);
	charset_decode(&d->charset, buf_span(&d->octets), out);
	if (d->left.n == 0)
		charset_decode_end(&d->charset, out);
	return true;
}

static bool in_text_part(
	const struct text_needle *needle, struct span message, const struct meta_part *p)
{
	struct search s = {.needle = needle};
	struct decoder d;
	bool found = false;

	buf_init(&s.text);
	buf_init(&s.folded);
	decoder_init(&d, message, p);
	while (!found && decoder_next(&d, &s.text))
		found = search_piece(&s);
	found = found || search_end(&s);
	buf_clear(&d.octets);
	buf_clear(&s.text);
	buf_clear(&s.folded);
	return found;
}

bool text_in_message(const struct text_needle *needle, struct span message, const struct meta *meta,
	bool root_header)
{
	if (needle->folded.len == 0)
		return true;
	for (uint32_t i = 0; i < meta->nparts; i++) {
		const struct meta_part *p = &meta->parts[i];

		if ((i > 0 || root_header) && text_in_header(needle, part_header(message, p)))
			return true;
		if (p->is_text && p->kind == MIME_LEAF && in_text_part(needle, message, p))
			return true;
	}
	return false;
}

bool text_of_part(
	struct span message, const struct meta *meta, uint32_t part, size_t max, struct buf *out)
{
	const struct meta_part *p = &meta->parts[part];
	struct decoder d;
	struct buf html;
	struct buf *to = p->is_html ? &html : out;

	if (!p->is_text || p->kind != MIME_LEAF)
		return false;
	buf_init(&html);
	decoder_init(&d, message, p);
	while (to->len < max && decoder_next(&d, to))
		;
	if (p->is_html)
		text_from_html(buf_span(&html), out);
	if (out->len > max) {
		/* Not in the middle of a character. */
		while (max > 0 && ((unsigned char)out->data[max] & 0xc0) == 0x80)
			max--;
		buf_truncate(out, max);
	}
	buf_clear(&d.octets);
	buf_clear(&html);
	return true;
}
