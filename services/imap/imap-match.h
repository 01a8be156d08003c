/*
 * imap-match: LIST's wildcards (RFC 3501 6.3.8): '*' matches anything, '%' anything but the
 * hierarchy separator. Time is at most linear in pattern times name, memory constant: no
 * backtracking that an input could blow up.
 */
#ifndef LM_IMAP_MATCH_H
#define LM_IMAP_MATCH_H

#include <stdbool.h>
#include "lib-common/buf.h"

bool imap_match(struct span pattern, struct span name, char separator);

#endif
