/*
 * receipt: what s3-uploader gives for a body that is durably stored, and without which indexer
 * takes no body: locator, digest and time under an HMAC-SHA-256 (RFC 2104) with a key that only
 * these two processes have. So no client can name an entry that it did not put, and a commit can
 * not come so late that garbage collection has been there.
 *
 * Text: pack,offset,length,key,keyid,sha256,size,time,mac. It holds the entry's wrapped key: a
 * secret.
 */
#ifndef LM_RECEIPT_H
#define LM_RECEIPT_H

#include "lib-storage/locator.h"

#define RECEIPT_KEY_BYTES 32
#define RECEIPT_MAC_BYTES 32

struct receipt {
	struct locator locator;
	unsigned char sha256[PACK_SHA_BYTES]; /* of the plaintext */
	int64_t time;			      /* of the put, unix seconds */
	unsigned char mac[RECEIPT_MAC_BYTES];
};

/* Fills r->mac from the rest. */
void receipt_sign(struct receipt *r, const unsigned char key[RECEIPT_KEY_BYTES]);
void receipt_text(const struct receipt *r, struct buf *out);
/* Parses and checks. -1: ERR_DENIED not genuine, ERR_TEMP older than max_age_s (or from a future
 * beyond a minute of clock difference): the body has to be put again. */
int receipt_verify(struct span text, const unsigned char key[RECEIPT_KEY_BYTES], int64_t now,
	int64_t max_age_s, struct receipt *r_r, struct err *e);

#endif
