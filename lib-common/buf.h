/*
 * buf: the one growable byte buffer, and span, a pointer with a length that owns nothing.
 *
 * A buf is embedded or on the stack: buf_init, then buf_clear. Its data always has a NUL behind
 * data[len] once anything was appended, which does not count. Consuming from the front is cheap
 * (an offset moves). A buf with a limit refuses to grow past it: `failed` is then set and stays
 * set, appends do nothing more, and the caller looks once at the end.
 */
#ifndef LM_BUF_H
#define LM_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
	const char *p;
	size_t n;
};

#define SPAN(literal) ((struct span){(literal), sizeof(literal) - 1})
struct span span_of(const char *s); /* NULL gives an empty span */
struct span span_from(const void *p, size_t n);
bool span_is(struct span s, const char *text);	      /* octet for octet */
bool span_is_nocase(struct span s, const char *text); /* ASCII case folded */
bool span_equal(struct span a, struct span b);
bool span_equal_nocase(struct span a, struct span b);
bool span_starts_nocase(struct span s, const char *prefix);
struct span span_trim(struct span s); /* SP and TAB, both ends */
/* Cuts the text before `sep` off the front of *rest; false when *rest is exhausted (p == NULL). */
bool span_cut(struct span *rest, char sep, struct span *part_r);

struct buf {
	char *data; /* first octet not yet consumed; NULL while empty and never used */
	size_t len;
	size_t cap;   /* of the allocation */
	size_t start; /* consumed octets in front of data */
	size_t limit; /* 0: none */
	bool failed;
};

void buf_init(struct buf *b);
void buf_limit(struct buf *b, size_t limit);
void buf_clear(struct buf *b); /* frees; the buf is as after buf_init, the limit gone */
void buf_wipe(struct buf *b);  /* overwrites, then frees: for secrets */
void buf_empty(struct buf *b); /* length 0, memory kept */
char *buf_reserve(
	struct buf *b, size_t n);	 /* room for n octets behind the end; NULL past the limit */
void buf_added(struct buf *b, size_t n); /* n octets were written into what buf_reserve gave */
void buf_add(struct buf *b, const void *data, size_t n);
void buf_add_span(struct buf *b, struct span s);
void buf_add_str(struct buf *b, const char *s);
void buf_add_c(struct buf *b, char c);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *format, va_list ap);
void buf_consume(struct buf *b, size_t n);
void buf_truncate(struct buf *b, size_t n); /* keep the first n octets */
struct span buf_span(const struct buf *b);
const char *buf_str(const struct buf *b); /* "" when empty; ends at the first NUL octet */
char *buf_steal(
	struct buf *b, size_t *len_r); /* caller frees with mem_free; the buf is empty after */

/* Fixed-width little-endian numbers and LEB128 varints, for formats on disk and between processes.
 */
void buf_add_u8(struct buf *b, uint8_t v);
void buf_add_u16(struct buf *b, uint16_t v);
void buf_add_u32(struct buf *b, uint32_t v);
void buf_add_u64(struct buf *b, uint64_t v);
void buf_add_varint(struct buf *b, uint64_t v);
/* A varint length and the octets. */
void buf_add_block(struct buf *b, const void *data, size_t n);
/* Readers take from the front of *s; false (and *s unchanged) when there is too little or too much.
 */
bool span_get_u8(struct span *s, uint8_t *v_r);
bool span_get_u16(struct span *s, uint16_t *v_r);
bool span_get_u32(struct span *s, uint32_t *v_r);
bool span_get_u64(struct span *s, uint64_t *v_r);
bool span_get_varint(struct span *s, uint64_t *v_r);
bool span_get_bytes(struct span *s, size_t n, struct span *out_r);
bool span_get_block(struct span *s, struct span *out_r);

/* Whole-span numbers: decimal digits only, no sign, no blanks, no overflow. */
bool num_u64(struct span s, uint64_t *v_r);
bool num_u32(struct span s, uint32_t *v_r);
bool num_i64(struct span s, int64_t *v_r); /* one leading '-' allowed */

/* Lower-case hexadecimal and RFC 4648 base64 (with padding). Decoders reject anything else. */
void buf_add_hex(struct buf *b, const void *data, size_t n);
bool hex_decode(struct span s, void *out, size_t out_size); /* exactly out_size octets */
void buf_add_base64(struct buf *b, const void *data, size_t n);
bool buf_add_base64_decoded(struct buf *b, struct span s);

/* Strict UTF-8 (RFC 3629: no overlong forms, no surrogates, at most U+10FFFF). NUL is allowed. */
bool utf8_valid(struct span s);

#endif
