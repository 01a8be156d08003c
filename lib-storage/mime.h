/*
 * mime: the structure of a message (RFC 5322, 2045, 2046, 2183, 2231) found in one pass while the
 * octets come in, in pieces of any size. The result is a flat table of parts in the order of the
 * text (preorder), with offsets into the message as it is stored, lengths, line counts and the
 * decoded header fields that IMAP's BODYSTRUCTURE and ENVELOPE want.
 *
 * Any octets are a message: nothing is refused. Time is linear in the octets; memory is bounded by
 * the limits, whatever the input (a field that does not fit is left out, `header_cut` says so). A
 * part deeper than the depth limit is a leaf, application/octet-stream; so is the last part that
 * the limit on parts allows, and it takes all the rest. Line ends may be CRLF or LF, offsets count
 * what is there. As RFC 2046 5.1.1 wants, a line is a delimiter when it starts with "--" and an
 * open boundary; of several the longest counts.
 */
#ifndef LM_MIME_H
#define LM_MIME_H

#include "lib-common/buf.h"
#include "lib-common/mem.h"
#include "lib-storage/address.h"
#include "lib-storage/header.h"

#define MIME_NONE UINT32_MAX

struct mime_limits {	     /* 0 or a NULL pointer: the default */
	size_t header_bytes; /* of the fields that matter, over all parts: 256 KiB, of which the
				root has 3/4 */
	size_t root_fields;  /* of mime_message.root_fields: 16 KiB */
	uint32_t depth;	     /* 100 */
	uint32_t parts;	     /* 10,000 */
	uint32_t addresses;  /* over all envelopes: 10,000 */
	uint32_t params;     /* over all parts: 20,000 */
};

enum mime_kind { MIME_LEAF, MIME_MULTIPART, MIME_MESSAGE };

enum mime_encoding { /* Content-Transfer-Encoding; what is unknown counts as binary */
	MIME_7BIT,
	MIME_8BIT,
	MIME_BINARY,
	MIME_QUOTED_PRINTABLE,
	MIME_BASE64,
	MIME_ENCODING_OTHER,
};

/* Continuations of RFC 2231 are joined. Where a character set was given, the name ends in '*' and
 * the value is charset'language'percent-encoded text; charset_decode_param() decodes it. */
struct mime_param {
	struct span name;
	struct span value;
};

struct mime_params {
	struct mime_param *list;
	size_t n;
};

enum mime_address_field {
	MIME_FROM,
	MIME_SENDER,
	MIME_REPLY_TO,
	MIME_TO,
	MIME_CC,
	MIME_BCC,
	MIME_ADDRESS_FIELDS
};

struct mime_addresses {
	struct address *list;
	size_t n;
};

struct mime_envelope { /* texts unfolded, not decoded; p == NULL: there is no such field */
	struct span date, subject, in_reply_to, message_id;
	struct mime_addresses addresses[MIME_ADDRESS_FIELDS];
	bool has_date; /* sent is valid */
	struct header_date sent;
};

struct mime_part {
	uint32_t parent; /* MIME_NONE for the root */
	uint32_t next;	 /* sibling, or MIME_NONE */
	uint32_t child;	 /* first, or MIME_NONE; of a MIME_MESSAGE: the message inside */
	uint32_t depth;	 /* 0 for the root */
	enum mime_kind kind;
	enum mime_encoding encoding;
	uint64_t header_off, header_len; /* with the empty line */
	uint64_t body_off,
		body_len; /* as encoded, without the line end that belongs to a delimiter */
	uint64_t header_lines, body_lines; /* LF octets in them */
	/* p == NULL: there is no such field (type and subtype are always set) */
	struct span type, subtype;
	struct mime_params params;
	struct span id, description, encoding_text, md5, location;
	struct span disposition;
	struct mime_params disposition_params;
	struct span *languages;
	size_t nlanguages;
	struct mime_envelope
		*envelope; /* of the root and of the message in a MIME_MESSAGE, else NULL */
};

struct mime_message {
	struct mime_part *parts; /* parts[0] is the message itself */
	uint32_t nparts;
	uint64_t size, lines;
	bool has_nul, has_8bit, has_bare_cr, has_bare_lf;
	bool header_cut; /* a field did not fit in the limits and is missing here */
	bool parts_cut;	 /* the limit on depth or parts was met */
	/* The well-known fields of the root header verbatim, in their order. */
	struct span root_fields;
	bool root_fields_whole; /* none of them had to be left out */
	uint64_t steps;		/* work done, for the tests of linearity */
};

struct mime_parser;

struct mime_parser *mime_parser_new(const struct mime_limits *limits);
void mime_parser_feed(struct mime_parser *p, const void *data, size_t n);
/* The message, which belongs to the parser. Nothing may be fed afterwards. */
const struct mime_message *mime_parser_finish(struct mime_parser *p);
void mime_parser_free(struct mime_parser *p); /* NULL is fine */

/* Is it one of the well-known fields that root_fields keeps? The list is in mime-fields.c. */
bool mime_field_is_known(struct span name);
/* The first parameter of that name (without case), the RFC 2231 form ("name*") first; NULL: none.
 */
const struct mime_param *mime_param_find(const struct mime_params *params, const char *name);

#endif
