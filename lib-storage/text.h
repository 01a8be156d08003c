/*
 * text: what SEARCH looks at (RFC 3501 6.4.4): the text of headers and parts as UTF-8, folded so
 * that case and compatibility forms do not matter, and whether a string occurs in it.
 *
 * Folding is Unicode's NFKC with full case folding, and characters that are ignored by default
 * (soft hyphens, joiners) left out: a superset of what i;unicode-casemap (RFC 5051) holds equal,
 * with the exception that composed and decomposed accents are equal here as well.
 */
#ifndef LM_TEXT_H
#define LM_TEXT_H

#include "lib-common/buf.h"
#include "lib-storage/meta.h"

/* Appends the folded form of valid UTF-8 (what is invalid stays as it is). */
void text_fold(struct span utf8, struct buf *out);

/* The string that is searched for. */
struct text_needle {
	struct buf folded;
};

void text_needle_init(struct text_needle *needle, struct span utf8);
void text_needle_clear(struct text_needle *needle);
/* Does it occur in the text? An empty needle occurs everywhere. */
bool text_contains(const struct text_needle *needle, struct span utf8);

/* SEARCH HEADER, FROM, SUBJECT and so on: does it occur in a field of that name? With an empty
 * needle: is there such a field? `header` is a whole header or meta.fields. Encoded words are
 * decoded. */
bool text_in_header_field(const struct text_needle *needle, struct span header, struct span name);
/* Does it occur in any line "Name: value" of the header? */
bool text_in_header(const struct text_needle *needle, struct span header);

/* SEARCH BODY, or TEXT with `root_header` (which adds the header of the message itself): looks at
 * the text parts, decoded, and at the headers of parts and of messages inside. `message` holds all
 * octets. Memory stays small whatever the message. Of HTML the source counts. */
bool text_in_message(const struct text_needle *needle, struct span message, const struct meta *meta,
	bool root_header);

/* Appends the text of one part as UTF-8, at most until *out has max octets: for search indexes.
 * False: it is no text. HTML becomes plain text. */
bool text_of_part(
	struct span message, const struct meta *meta, uint32_t part, size_t max, struct buf *out);

/* The text of HTML in UTF-8: without tags, comments, scripts and styles, character references
 * decoded, blanks run together, a line for each block. A tag ends at the next '>', quotes or not,
 * so that nothing can be hidden behind an open quote. Linear, no nesting. */
void text_from_html(struct span html, struct buf *out);

#endif
