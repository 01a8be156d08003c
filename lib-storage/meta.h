/*
 * meta: what is prepared of a message at its delivery and kept beside its row (body_meta), so that
 * most FETCH and SEARCH need no body: ENVELOPE and BODYSTRUCTURE as they go on the wire, where each
 * part lies, the well-known header fields, the date.
 *
 * Stored form: one octet with the format (0: plain, 1: zstd with dictionary 1), then the octets of
 * version 1 (meta.c has the layout). It comes back from a database and counts as hostile:
 * meta_parse() checks all bounds, and unpacks at most META_MAX octets. The wire texts themselves
 * are taken as they are: who can write them can confuse the client of that account, but not the
 * process.
 *
 * Where a message would need more than META_MAX, META_REDUCED is set: BODYSTRUCTURE has then no
 * texts, no parameters but character sets, no inner envelopes and no extension data; if that is
 * still too much, it describes the message as one application/octet-stream and there is one part
 * only; at last the envelope is all NIL.
 */
#ifndef LM_META_H
#define LM_META_H

#include "lib-common/buf.h"
#include "lib-common/err.h"
#include "lib-common/mem.h"
#include "lib-storage/mime.h"

#define META_MAX ((size_t)1 << 20) /* octets, unpacked */

enum meta_flag {
	META_NUL = 1,		/* the message has NULs, */
	META_8BIT = 2,		/* octets above 127, */
	META_BARE_CR = 4,	/* a CR without LF, */
	META_BARE_LF = 8,	/* a LF without CR */
	META_FIELDS_WHOLE = 16, /* meta.fields has all well-known fields of the header */
	META_REDUCED = 32,
	META_PARTS_CUT = 64, /* the message has more or deeper parts than are told */
	META_DATE = 128,     /* sent is valid */
};

struct meta_part {
	uint32_t parent, child, next;		   /* MIME_NONE: none */
	uint8_t kind;				   /* enum mime_kind */
	uint8_t encoding;			   /* enum mime_encoding */
	bool is_text, is_html;			   /* text/..., text/html */
	uint64_t header_off, header_len, body_len; /* the body follows the header */
	struct span charset;			   /* of text; empty: none given */
};

struct meta {
	unsigned flags; /* enum meta_flag */
	uint64_t size, lines;
	uint64_t header_len; /* of the root, with the empty line */
	struct header_date sent;
	struct span envelope;
	struct span structure;
	struct span runs;   /* of extension data in it */
	struct span fields; /* well-known fields of the root header, verbatim, in order */
	struct meta_part *parts;
	uint32_t nparts;
};

/* Appends the stored form. */
void meta_build(const struct mime_message *message, struct buf *out);
/* Everything in *meta_r lies in the arena. -1 with ERR_TEMP when the octets are damaged. */
int meta_parse(struct span stored, struct arena *arena, struct meta *meta_r, struct err *e);

struct span meta_envelope(const struct meta *m);
struct span meta_bodystructure(const struct meta *m);
void meta_add_body(const struct meta *m, struct buf *out); /* BODY: without the extension data */

enum meta_section {
	META_SECTION_ALL,    /* BODY[1.2]; with no numbers the whole message */
	META_SECTION_HEADER, /* BODY[1.2.HEADER]: of a message inside; with no numbers of the
				message */
	META_SECTION_TEXT,   /* BODY[1.2.TEXT]: likewise */
	META_SECTION_MIME,   /* BODY[1.2.MIME] */
};

/* Where a section of RFC 3501 6.4.5 lies in the message. `numbers` is "1.2" or empty. False: there
 * is none (the answer is NIL) or the numbers are malformed. */
bool meta_section(const struct meta *m, struct span numbers, enum meta_section kind,
	uint64_t *offset_r, uint64_t *length_r);
/* The same as a part, for BINARY; MIME_NONE: none. */
uint32_t meta_find_part(const struct meta *m, struct span numbers);

/* Can BODY[HEADER.FIELDS (names)] be made of meta.fields alone, with header_filter()? */
bool meta_covers(const struct meta *m, const struct span *names, size_t count);

#endif
