/*
 * address: address lists of RFC 5322 3.4 and 4.4 in the form that IMAP's ENVELOPE wants (RFC
 * 3501 7.4.2). Groups, nested comments, quoted strings, source routes, obsolete syntax and raw
 * 8-bit are taken; what is no address is made the best of, and nothing is refused. One pass,
 * linear, no recursion.
 */
#ifndef LM_ADDRESS_H
#define LM_ADDRESS_H

#include "lib-common/buf.h"
#include "lib-common/mem.h"

/* p == NULL stands for NIL. The start of a group has its name in `mailbox` and no host, the end of
 * a group has neither. Names are not decoded (RFC 2047). */
struct address {
	struct span name;    /* the phrase, or the comment behind a bare address */
	struct span route;   /* "@a,@b" */
	struct span mailbox; /* local part, unquoted; may be empty */
	struct span host;
};

/* An address without them gets these, as a NIL would mean a group. */
#define ADDRESS_NO_MAILBOX "MISSING_MAILBOX"
#define ADDRESS_NO_HOST "MISSING_DOMAIN"

/* Appends the addresses of a field's value (may still be folded) to the array that *list is of (as
 * struct address after struct address), at most until it has `max` of them; texts are in the arena.
 */
void address_parse(struct span value, struct arena *arena, size_t max, struct buf *list);

#endif
