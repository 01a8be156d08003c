/*
 * header: the fields of a message or MIME header (RFC 5322 2.2, RFC 2045), and the small grammars
 * that occur in them: comments, quoted strings, dates, message identifiers. Everything takes any
 * octets, with CRLF or LF line ends, works in linear time and never recurses.
 */
#ifndef LM_HEADER_H
#define LM_HEADER_H

#include "lib-common/buf.h"
#include "lib-common/mem.h"

/* A colon behind so many octets makes no field: all readers of headers agree on what one is, also
 * those that get them in pieces. */
#define HEADER_NAME_MAX 1000

struct header_field {
	struct span name;  /* without blanks before the colon; empty: the line is not a field */
	struct span value; /* behind the colon, folded as it came, without the last line end */
	struct span raw;   /* all octets, with the last line end */
};

/* Takes the next field with its continuation lines off the front. False at the empty line that ends
 * a header (left in *rest) and at the end of the octets. */
bool header_next(struct span *rest, struct header_field *field_r);

/* The first field of that name; false when there is none. */
bool header_find(struct span header, const char *name, struct header_field *field_r);

/* BODY[HEADER.FIELDS (names)], or with `invert` HEADER.FIELDS.NOT (RFC 3501 6.4.5): appends the
 * chosen fields as they are, in their order, and the empty line. Lines that are no fields go with
 * `invert`. */
void header_filter(
	struct span header, const struct span *names, size_t count, bool invert, struct buf *out);

/* Appends the value on one line: line ends that fold are taken out (RFC 5322 2.2.3), blanks at both
 * ends and NULs dropped, a lone CR or LF becomes a space. Not decoded. */
void header_unfold(struct span value, struct buf *out);

/* The lexer that the structured fields share; each takes from the front of *s. */
void header_skip_cfws(struct span *s); /* blanks, line ends and comments (nested too) */
/* The text of one comment, unquoted, without its outer parentheses. *s stands on '('. An
 * unterminated one goes to the end. `out` may be NULL. */
void header_skip_comment(struct span *s, struct buf *out);
/* The content of a quoted string, unquoted, without line ends and NULs. *s stands on '"'. */
void header_quoted(struct span *s, struct buf *out);
/* A token of RFC 2045; false (nothing taken) when there is none. 8-bit octets count as letters. */
bool header_token(struct span *s, struct span *token_r);

struct header_date {
	int64_t seconds; /* since 1970, UTC */
	int64_t day; /* days since 1970 of the date as it is written, for SENTSINCE (time and zone
		      * disregarded, RFC 3501 6.4.4) */
	int zone;    /* minutes east of UTC */
};

/* RFC 5322 3.3 with the obsolete forms, and what else is often met: no day name, no seconds, no
 * zone, asctime order, two- and three-digit years. False when it is no date. */
bool header_date(struct span value, struct header_date *date_r);

/* The message identifiers of Message-ID, In-Reply-To or References (RFC 5322 3.6.4) without their
 * angle brackets, blanks and line ends taken out; at most `max`. The array and the texts are in the
 * arena. */
size_t header_msgids(struct span value, struct arena *arena, size_t max, struct span **ids_r);

#endif
