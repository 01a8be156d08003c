/*
 * flags: how message flags are kept everywhere behind the wire: 64 bits, the five system flags of
 * RFC 3501 2.3.2 and 59 keywords of the mailbox, numbered as its keyword list says. \Recent is not
 * a flag that is stored.
 */
#ifndef LM_FLAGS_H
#define LM_FLAGS_H

#include <stdint.h>

#define FLAG_ANSWERED ((uint64_t)1 << 0)
#define FLAG_FLAGGED ((uint64_t)1 << 1)
#define FLAG_DELETED ((uint64_t)1 << 2)
#define FLAG_SEEN ((uint64_t)1 << 3)
#define FLAG_DRAFT ((uint64_t)1 << 4)
#define FLAGS_SYSTEM ((uint64_t)0x1f)
#define FLAG_KEYWORD_FIRST 5
#define FLAG_KEYWORDS 59 /* bit FLAG_KEYWORD_FIRST + n is keyword n */

#endif
