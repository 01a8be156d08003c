#include "lib-common/buf.h"
#include "lib-common/mem.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

struct span span_of(const char *s)
{
	return (struct span){s, s == NULL ? 0 : strlen(s)};
}

struct span span_from(const void *p, size_t n)
{
	return (struct span){p, n};
}

bool span_equal(struct span a, struct span b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* Locale-free: tolower() must not be asked. */
static char ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool span_equal_nocase(struct span a, struct span b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++) {
		if (ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
			return false;
	}
	return true;
}

bool span_is(struct span s, const char *text)
{
	return span_equal(s, span_of(text));
}

bool span_is_nocase(struct span s, const char *text)
{
	return span_equal_nocase(s, span_of(text));
}

bool span_starts_nocase(struct span s, const char *prefix)
{
	size_t n = strlen(prefix);

	return s.n >= n && span_equal_nocase(span_from(s.p, n), span_from(prefix, n));
}

struct span span_trim(struct span s)
{
	while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t')) {
		s.p++;
		s.n--;
	}
	while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

bool span_cut(struct span *rest, char sep, struct span *part_r)
{
	const char *end;

	if (rest->p == NULL)
		return false;
	end = rest->n == 0 ? NULL : memchr(rest->p, sep, rest->n);
	if (end == NULL) {
		*part_r = *rest;
		*rest = (struct span){NULL, 0};
		return true;
	}
	*part_r = span_from(rest->p, (size_t)(end - rest->p));
	*rest = span_from(end + 1, rest->n - part_r->n - 1);
	return true;
}

void buf_init(struct buf *b)
{
	*b = (struct buf){0};
}

void buf_limit(struct buf *b, size_t limit)
{
	b->limit = limit;
}

void buf_clear(struct buf *b)
{
	if (b->data != NULL)
		free(b->data - b->start);
	buf_init(b);
}

void buf_wipe(struct buf *b)
{
	if (b->data != NULL)
		mem_wipe(b->data - b->start, b->cap);
	buf_clear(b);
}

void buf_empty(struct buf *b)
{
	if (b->data != NULL)
		b->data -= b->start;
	b->start = 0;
	b->len = 0;
	b->failed = false;
}

static void buf_grow(struct buf *b, size_t need)
{
	char *base = b->data == NULL ? NULL : b->data - b->start;
	size_t cap = b->cap < 64 ? 64 : b->cap;

	/* Move down first: consuming from a long-lived buffer must not make it grow. */
	if (b->start > 0 && b->start >= b->cap / 2) {
		memmove(base, b->data, b->len);
		b->data = base;
		b->start = 0;
		if (need <= b->cap)
			return;
	}
	while (cap < b->start + need)
		cap = cap > SIZE_MAX / 2 ? SIZE_MAX : cap * 2;
	base = mem_realloc_array(base, cap, 1);
	b->data = base + b->start;
	b->cap = cap;
}

char *buf_reserve(struct buf *b, size_t n)
{
	size_t need;

	if (b->failed)
		return NULL;
	if (__builtin_add_overflow(b->len, n, &need) || need > SIZE_MAX / 4 ||
		(b->limit != 0 && need > b->limit)) {
		b->failed = true;
		return NULL;
	}
	if (b->data == NULL || b->start + need + 1 > b->cap)
		buf_grow(b, need + 1);
	return b->data + b->len;
}

void buf_added(struct buf *b, size_t n)
{
	assert(b->start + b->len + n < b->cap);
	b->len += n;
	b->data[b->len] = '\0';
}

void buf_add(struct buf *b, const void *data, size_t n)
{
	char *p = buf_reserve(b, n);

	if (p == NULL)
		return;
	if (n > 0)
		memcpy(p, data, n);
	buf_added(b, n);
}

void buf_add_span(struct buf *b, struct span s)
{
	buf_add(b, s.p, s.n);
}

void buf_add_str(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_add_c(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

void buf_vprintf(struct buf *b, const char *format, va_list ap)
{
	va_list again;
	int n;
	char *p;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, format, again);
	va_end(again);
	if (n < 0 || (p = buf_reserve(b, (size_t)n)) == NULL)
		return;
	(void)vsnprintf(p, (size_t)n + 1, format, ap);
	buf_added(b, (size_t)n);
}

void buf_printf(struct buf *b, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	buf_vprintf(b, format, ap);
	va_end(ap);
}

void buf_consume(struct buf *b, size_t n)
{
	assert(n <= b->len);
	if (n == b->len) {
		bool failed = b->failed;

		buf_empty(b);
		b->failed = failed;
		return;
	}
	b->data += n;
	b->start += n;
	b->len -= n;
}

void buf_truncate(struct buf *b, size_t n)
{
	assert(n <= b->len);
	b->len = n;
	if (b->data != NULL)
		b->data[n] = '\0';
}

struct span buf_span(const struct buf *b)
{
	return span_from(b->data == NULL ? "" : b->data, b->len);
}

const char *buf_str(const struct buf *b)
{
	return b->len == 0 ? "" : b->data;
}

char *buf_steal(struct buf *b, size_t *len_r)
{
	char *p;

	if (len_r != NULL)
		*len_r = b->len;
	if (b->data == NULL || b->start > 0) {
		p = mem_dup(b->data, b->len);
		buf_clear(b);
		return p;
	}
	p = b->data;
	buf_init(b);
	return p;
}

static void buf_add_le(struct buf *b, uint64_t v, size_t n)
{
	unsigned char out[8];

	for (size_t i = 0; i < n; i++)
		out[i] = (unsigned char)(v >> (8 * i));
	buf_add(b, out, n);
}

void buf_add_u8(struct buf *b, uint8_t v)
{
	buf_add_le(b, v, 1);
}

void buf_add_u16(struct buf *b, uint16_t v)
{
	buf_add_le(b, v, 2);
}

void buf_add_u32(struct buf *b, uint32_t v)
{
	buf_add_le(b, v, 4);
}

void buf_add_u64(struct buf *b, uint64_t v)
{
	buf_add_le(b, v, 8);
}

void buf_add_varint(struct buf *b, uint64_t v)
{
	unsigned char out[10];
	size_t n = 0;

	while (v >= 0x80) {
		out[n++] = (unsigned char)(v | 0x80);
		v >>= 7;
	}
	out[n++] = (unsigned char)v;
	buf_add(b, out, n);
}

void buf_add_block(struct buf *b, const void *data, size_t n)
{
	buf_add_varint(b, n);
	buf_add(b, data, n);
}

static bool span_get_le(struct span *s, size_t n, uint64_t *v_r)
{
	uint64_t v = 0;

	if (s->n < n)
		return false;
	for (size_t i = 0; i < n; i++)
		v |= (uint64_t)(unsigned char)s->p[i] << (8 * i);
	s->p += n;
	s->n -= n;
	*v_r = v;
	return true;
}

bool span_get_u8(struct span *s, uint8_t *v_r)
{
	uint64_t v;

	if (!span_get_le(s, 1, &v))
		return false;
	*v_r = (uint8_t)v;
	return true;
}

bool span_get_u16(struct span *s, uint16_t *v_r)
{
	uint64_t v;

	if (!span_get_le(s, 2, &v))
		return false;
	*v_r = (uint16_t)v;
	return true;
}

bool span_get_u32(struct span *s, uint32_t *v_r)
{
	uint64_t v;

	if (!span_get_le(s, 4, &v))
		return false;
	*v_r = (uint32_t)v;
	return true;
}

bool span_get_u64(struct span *s, uint64_t *v_r)
{
	return span_get_le(s, 8, v_r);
}

bool span_get_varint(struct span *s, uint64_t *v_r)
{
	uint64_t v = 0;

	for (size_t i = 0; i < s->n && i < 10; i++) {
		unsigned char c = (unsigned char)s->p[i];

		if (i == 9 && c > 1)
			return false;
		v |= (uint64_t)(c & 0x7f) << (7 * i);
		if ((c & 0x80) == 0) {
			s->p += i + 1;
			s->n -= i + 1;
			*v_r = v;
			return true;
		}
	}
	return false;
}

bool span_get_bytes(struct span *s, size_t n, struct span *out_r)
{
	if (s->n < n)
		return false;
	*out_r = span_from(s->p, n);
	s->p += n;
	s->n -= n;
	return true;
}

bool span_get_block(struct span *s, struct span *out_r)
{
	struct span rest = *s;
	uint64_t n;

	if (!span_get_varint(&rest, &n) || n > rest.n)
		return false;
	(void)span_get_bytes(&rest, (size_t)n, out_r);
	*s = rest;
	return true;
}

bool num_u64(struct span s, uint64_t *v_r)
{
	uint64_t v = 0;

	if (s.n == 0)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9' || __builtin_mul_overflow(v, 10, &v) ||
			__builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v))
			return false;
	}
	*v_r = v;
	return true;
}

bool num_u32(struct span s, uint32_t *v_r)
{
	uint64_t v;

	if (!num_u64(s, &v) || v > UINT32_MAX)
		return false;
	*v_r = (uint32_t)v;
	return true;
}

bool num_i64(struct span s, int64_t *v_r)
{
	bool negative = s.n > 0 && s.p[0] == '-';
	uint64_t v;

	if (negative)
		s = span_from(s.p + 1, s.n - 1);
	if (!num_u64(s, &v) || v > (uint64_t)INT64_MAX + (negative ? 1 : 0))
		return false;
	*v_r = negative ? (int64_t)(0 - v) : (int64_t)v;
	return true;
}

void buf_add_hex(struct buf *b, const void *data, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *in = data;
	char *p = buf_reserve(b, n * 2);

	if (p == NULL)
		return;
	for (size_t i = 0; i < n; i++) {
		p[2 * i] = digits[in[i] >> 4];
		p[2 * i + 1] = digits[in[i] & 15];
	}
	buf_added(b, n * 2);
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

bool hex_decode(struct span s, void *out, size_t out_size)
{
	unsigned char *p = out;

	if (s.n % 2 != 0 || s.n / 2 != out_size)
		return false;
	for (size_t i = 0; i < out_size; i++) {
		int hi = hex_value(s.p[2 * i]), lo = hex_value(s.p[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		p[i] = (unsigned char)(hi << 4 | lo);
	}
	return true;
}

void buf_add_base64(struct buf *b, const void *data, size_t n)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *in = data;

	for (size_t i = 0; i < n; i += 3) {
		size_t left = n - i;
		uint32_t v = (uint32_t)in[i] << 16 | (left > 1 ? (uint32_t)in[i + 1] << 8 : 0) |
			     (left > 2 ? in[i + 2] : 0);
		char out[4] = {digits[v >> 18], digits[v >> 12 & 63],
			left > 1 ? digits[v >> 6 & 63] : '=', left > 2 ? digits[v & 63] : '='};

		buf_add(b, out, 4);
	}
}

static int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool buf_add_base64_decoded(struct buf *b, struct span s)
{
	size_t before = b->len, pad = 0;

	if (s.n % 4 != 0)
		return false;
	while (pad < 2 && pad < s.n && s.p[s.n - 1 - pad] == '=')
		pad++;
	for (size_t i = 0; i < s.n; i += 4) {
		size_t digits = i + 4 == s.n ? 4 - pad : 4;
		uint32_t v = 0;

		for (size_t k = 0; k < 4; k++) {
			int d = k < digits ? base64_value(s.p[i + k]) : 0;

			if (d < 0) {
				buf_truncate(b, before);
				return false;
			}
			v = v << 6 | (uint32_t)d;
		}
		for (size_t k = 0; k + 1 < digits; k++)
			buf_add_c(b, (char)(v >> (16 - 8 * k)));
	}
	return !b->failed;
}

bool utf8_valid(struct span s)
{
	static const uint32_t lowest[] = {0, 0x80, 0x800, 0x10000};

	for (size_t i = 0; i < s.n;) {
		unsigned char c = (unsigned char)s.p[i++];
		size_t more = c < 0x80	 ? 0
			      : c < 0xc0 ? 4
			      : c < 0xe0 ? 1
			      : c < 0xf0 ? 2
			      : c < 0xf8 ? 3
					 : 4;
		uint32_t v = more == 0 ? c : c & (0x3fu >> more);

		if (more == 4 || more > s.n - i)
			return false;
		for (size_t k = 0; k < more; k++) {
			c = (unsigned char)s.p[i++];
			if ((c & 0xc0) != 0x80)
				return false;
			v = v << 6 | (c & 0x3f);
		}
		if (v < lowest[more] || v > 0x10ffff || (v >= 0xd800 && v < 0xe000))
			return false;
	}
	return true;
}
