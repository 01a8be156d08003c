/*
 * mailbox-name: the names of mailboxes. Behind the wire a name is UTF-8 in normalisation form C,
 * its levels separated by '/', the first level INBOX always in capitals (RFC 3501 5.1, RFC
 * 9051 5.1). Modified UTF-7 (RFC 3501 5.1.3) exists only at the wire of IMAP4rev1 clients.
 */
#ifndef LM_MAILBOX_NAME_H
#define LM_MAILBOX_NAME_H

#include <stdbool.h>
#include "lib-common/buf.h"
#include "lib-common/err.h"

#define MAILBOX_NAME_MAX 1000 /* octets of a whole name */
#define MAILBOX_DEPTH_MAX 50  /* levels */
#define MAILBOX_SEPARATOR '/'

/* Checks a name from outside and appends its one stored form to *out (NFC, INBOX in capitals, one
 * separator at the end, as CREATE may have it, dropped). Refused with ERR_PERM: empty, not UTF-8,
 * control characters, an empty level, '*' or '%', too long, too deep. */
int mailbox_name_normalise(struct span name, struct buf *out, struct err *e);
/* True when a name is already in its stored form. */
bool mailbox_name_is_normal(struct span name);
bool mailbox_name_is_inbox(struct span name); /* of a stored form */
/* The name of the level above; empty for a first level. */
struct span mailbox_name_parent(struct span name);
/* True when `name` lies below `parent` ("a/b" below "a"). */
bool mailbox_name_is_below(struct span name, struct span parent);

/* Modified UTF-7 to UTF-8. False (out then holds rubbish): not valid, not the shortest form, or it
 * encodes what US-ASCII would carry as itself. The result is not yet normalised. */
bool mailbox_name_from_utf7(struct span utf7, struct buf *out);
/* UTF-8, which must be valid, to modified UTF-7. */
void mailbox_name_to_utf7(struct span utf8, struct buf *out);

#endif
