/*
 * imap-parser: reads the pieces of one whole IMAP command (as imap-lexer gives it): RFC 3501 9
 * (formal syntax). A cursor over the text; each imap_parse_* takes one piece off its front and
 * returns true, or returns false with the cursor unmoved and parser->error set to a sentence for
 * BAD. Nothing recurses: nested forms are walked by the callers with imap_parse_char and a depth of
 * their own.
 *
 * Spans point into the command; only quoted strings with escapes are copied, to the arena.
 * Literals stand in the text as "{n}CRLF" and n octets. NUL is refused everywhere (RFC 3501 9:
 * CHAR8 excludes it); message literals of APPEND never come here.
 */
#ifndef LM_IMAP_PARSER_H
#define LM_IMAP_PARSER_H

#include <stdbool.h>
#include <stdint.h>
#include "lib-common/buf.h"
#include "lib-common/mem.h"

struct imap_parser {
	struct span rest;
	struct arena *arena; /* for strings that must be copied; NULL: such strings are refused */
	const char *error;
};

void imap_parser_init(struct imap_parser *p, struct span command, struct arena *arena);

bool imap_parser_at_end(const struct imap_parser *p);
/* The next octet without taking it; 0 at the end. */
char imap_parser_peek(const struct imap_parser *p);
bool imap_parse_char(struct imap_parser *p, char c);
bool imap_parse_space(struct imap_parser *p);
bool imap_parse_end(struct imap_parser *p); /* nothing may follow */

bool imap_parse_tag(struct imap_parser *p, struct span *tag_r);
bool imap_parse_atom(struct imap_parser *p, struct span *atom_r);
/* Takes the atom only when it is this word, in any case. No error is set when it is not. */
bool imap_parse_word(struct imap_parser *p, const char *word);
/* atom, or quoted string or literal; atoms may hold ']' (RFC 3501: ASTRING-CHAR). */
bool imap_parse_astring(struct imap_parser *p, struct span *s_r);
bool imap_parse_string(struct imap_parser *p, struct span *s_r); /* quoted or literal */
/* string or NIL; NIL gives p == NULL. */
bool imap_parse_nstring(struct imap_parser *p, struct span *s_r);
/* As astring, with the wildcards '%' and '*' (LIST). */
bool imap_parse_list_mailbox(struct imap_parser *p, struct span *s_r);
bool imap_parse_number(struct imap_parser *p, uint32_t *n_r);
bool imap_parse_nz_number(struct imap_parser *p, uint32_t *n_r);
bool imap_parse_number64(struct imap_parser *p, uint64_t *n_r); /* below 2^63 */
/* The characters of a sequence-set, unchecked: digits ':' ',' '*'. See uidset_parse. */
bool imap_parse_sequence_set(struct imap_parser *p, struct span *s_r);
/* A flag: \atom or a keyword. */
bool imap_parse_flag(struct imap_parser *p, struct span *flag_r);
/* date of SEARCH: 1-Feb-1994, quoted or not. Days since 1970-01-01. */
bool imap_parse_date(struct imap_parser *p, int64_t *day_r);
/* date-time of APPEND: " 1-Feb-1994 21:52:25 -0800" in quotes. */
bool imap_parse_date_time(struct imap_parser *p, int64_t *unix_r, int *tz_minutes_r);

/* Civil date (proleptic Gregorian) and days since 1970-01-01, both ways. month is 1..12. */
int64_t imap_days_from_civil(int64_t year, unsigned month, unsigned day);
void imap_civil_from_days(int64_t days, int64_t *year_r, unsigned *month_r, unsigned *day_r);

#endif
