/*
 * charset: from the octets of mail to UTF-8: character sets (iconv), the encoded words of headers
 * (RFC 2047), the extended parameters (RFC 2231), the transfer encodings (RFC 2045 6), and the
 * folding that SEARCH compares by. Nothing here fails: what cannot be decoded is shown as well as
 * can be, invalid text as U+FFFD.
 *
 * glibc loads a character set's code from a file when it is opened, which a sandboxed process
 * cannot do. So charset_preload() opens all that are known, once, before the sandbox closes;
 * afterwards only these are used. Without a preload only UTF-8, US-ASCII and Latin 1 are known.
 * Converters have state: one thread only.
 */
#ifndef LM_CHARSET_H
#define LM_CHARSET_H

#include "lib-common/buf.h"
#include "lib-storage/mime.h"

/* Returns how many converters there are. Calling it again does nothing. */
size_t charset_preload(void);
/* Is text of that character set really converted? For SEARCH CHARSET: if not, NO [BADCHARSET]. */
bool charset_is_known(struct span name);
/* The names to tell with BADCHARSET; ends with NULL. */
const char *const *charset_names(void);

/* Converts from one character set; fed in pieces. Characters may be split between pieces. */
struct charset_decoder {
	const void *converter; /* NULL: UTF-8 or Latin 1 */
	bool guess; /* not known: UTF-8 where it is valid, else Windows-1252, character by character
		     */
	bool utf8, latin1;
	char rest[16]; /* of an unfinished character */
	size_t nrest;
};

/* An empty or unknown name: `guess`. One decoder of a character set may be active at a time. */
void charset_decoder_init(struct charset_decoder *d, struct span charset);
void charset_decode(struct charset_decoder *d, struct span in, struct buf *out);
void charset_decode_end(struct charset_decoder *d, struct buf *out); /* the unfinished character */

/* A whole text at once. */
void charset_to_utf8(struct span charset, struct span in, struct buf *out);
/* Valid UTF-8 stays as it is; any other octet counts as Windows-1252 (a superset of Latin 1). */
void charset_guess_to_utf8(struct span in, struct buf *out);

/* A header's value: unfolds it and decodes the encoded words. Adjacent words of one character set
 * are decoded as one text, as many senders cut characters in two. */
void charset_decode_header(struct span value, struct buf *out);
/* The value of a parameter as UTF-8: the RFC 2231 form when the name ends in '*', else as a header.
 */
void charset_decode_param(const struct mime_param *param, struct buf *out);

/* Transfer decoding, fed in pieces. */
struct transfer_decoder {
	enum mime_encoding encoding;
	uint32_t bits; /* base64: what is not yet a whole octet */
	unsigned nbits;
	bool padded;
	char rest[80]; /* quoted-printable: an escape or trailing blanks */
	size_t nrest;
};

void transfer_decoder_init(struct transfer_decoder *d, enum mime_encoding encoding);
/* base64 leaves out what is not of its alphabet; a bad escape of quoted-printable stays as it is.
 */
void transfer_decode(struct transfer_decoder *d, struct span in, struct buf *out);
void transfer_decode_end(struct transfer_decoder *d, struct buf *out);

#endif
