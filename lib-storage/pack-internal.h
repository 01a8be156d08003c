/* pack-internal: what the files of the pack format share; see pack.h. */
#ifndef LM_PACK_INTERNAL_H
#define LM_PACK_INTERNAL_H

#include <openssl/evp.h>
#include "lib-storage/pack.h"

#define PACK_NONCE_BYTES 12
#define PACK_AAD_BYTES (PACK_ID_BYTES + 1 + 8 + 1)
#define PACK_TRAILER_CHUNK UINT64_MAX
#define PACK_TRAILER_FIXED 44u
#define PACK_CHUNK_COMPRESSED 0x80000000u

/* A crypto call that can only fail for want of memory or by our own mistake: ends the process. */
void pack_must(bool ok);
void pack_nonce(uint64_t chunk, unsigned char nonce_r[PACK_NONCE_BYTES]);
void pack_aad(const unsigned char entry_id[PACK_ID_BYTES], uint64_t chunk, bool compressed,
	unsigned char aad_r[PACK_AAD_BYTES]);

#endif
