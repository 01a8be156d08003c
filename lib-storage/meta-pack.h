/*
 * meta-pack: the compression of prepared metadata: zstd level 1 with a built-in dictionary of the
 * phrases that nearly every message has. Formats are never changed, only added: rows live for ever.
 */
#ifndef LM_META_PACK_H
#define LM_META_PACK_H

#include "lib-common/buf.h"
#include "lib-common/mem.h"

/* Appends the format octet and the packed octets. */
void meta_pack(struct span plain, struct buf *out);
/* False when the octets are damaged or would give more than `max`. The result is in the arena or in
 * `stored`. */
bool meta_unpack(struct span stored, size_t max, struct arena *arena, struct span *plain_r);

#endif
