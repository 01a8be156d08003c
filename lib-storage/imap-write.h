/*
 * imap-write: the pieces of IMAP responses (RFC 3501 9). No printf: a FETCH of 100,000 messages is
 * made of these.
 */
#ifndef LM_IMAP_WRITE_H
#define LM_IMAP_WRITE_H

#include <stdbool.h>
#include <stdint.h>
#include "lib-common/buf.h"

#define IMAP_NUMBER_MAX 20 /* digits of a 64-bit number */

/* Decimal digits to p, which has room for IMAP_NUMBER_MAX; returns how many. */
size_t imap_put_number(char *p, uint64_t n);
void imap_write_number(struct buf *out, uint64_t n);
/* A quoted string where the text allows it, a literal otherwise (8-bit, CR, LF, NUL, or long).
 * NULs, which no string may hold, become 0x80 (RFC 3516 asks the like of servers). */
void imap_write_string(struct buf *out, struct span s);
/* The same; p == NULL is NIL. */
void imap_write_nstring(struct buf *out, struct span s);
/* An atom where the text is one, else as imap_write_string: mailbox names. */
void imap_write_astring(struct buf *out, struct span s);
/* "{n}CRLF" */
void imap_write_literal_head(struct buf *out, uint64_t size);
/* "17-Jul-1996 02:44:25 -0700", with the quotes (28 octets). */
void imap_write_date_time(struct buf *out, int64_t unix_time, int tz_minutes);

#endif
