/*
 * locator: where a body is and the key to it; what a row of `bodies` holds. The entry's key is
 * wrapped (AES-256 key wrap, RFC 3394) by a key-encryption key (KEK) that only s3-uploader has, so
 * that neither SQL nor object store nor both together show mail without it.
 *
 * Text form: pack,offset,length,key,keyid,size with key and keyid in lower-case hex; the key part
 * makes the whole text a secret. Binary form: block pack, u64 offset, u64 length, key (40), key id
 * (8), u64 size.
 *
 * KEK file: lines `keyid(16 hex) key(64 hex)`, # comments; the first key wraps, all unwrap.
 * Rotation: a new first line, then wrapping all rows again (locator_rewrap), then the old line
 * goes.
 */
#ifndef LM_LOCATOR_H
#define LM_LOCATOR_H

#include "lib-storage/pack.h"

#define WRAPPED_KEY_BYTES 40
#define KEK_ID_BYTES 8
#define KEK_KEYS_MAX 16
#define LOCATOR_TEXT_MAX 256

struct locator {
	char pack[PACK_NAME_SIZE];
	uint64_t offset, length; /* of the entry */
	unsigned char key[WRAPPED_KEY_BYTES];
	unsigned char key_id[KEK_ID_BYTES];
	uint64_t size; /* of the plaintext */
};

void locator_text(const struct locator *l, struct buf *out);
bool locator_parse(struct span text, struct locator *l_r);
void locator_binary(const struct locator *l, struct buf *out);
bool locator_get(struct span *s, struct locator *l_r); /* takes one from the front */

/* The keys of a KEK file, and the contexts to use them: one thread's, others take a copy. */
struct kek_ring;

/* Makes the file with one new key, mode 0600, refusing one that exists; durable on return. */
int kek_file_create(const char *path, struct err *e);
/* Puts a new key first, keeping the old ones: writes PATH.new and renames it. */
int kek_file_rotate(const char *path, struct err *e);
struct kek_ring *kek_load(const char *path, struct err *e);
struct kek_ring *kek_parse(struct span text, struct err *e);
struct kek_ring *kek_copy(const struct kek_ring *ring);
void kek_free(struct kek_ring *ring);

/* Wraps with the current key. */
void kek_wrap(struct kek_ring *ring, const unsigned char key[PACK_KEY_BYTES],
	unsigned char wrapped_r[WRAPPED_KEY_BYTES], unsigned char key_id_r[KEK_ID_BYTES]);
/* -1: ERR_NOTFOUND no such KEK, ERR_PERM not wrapped by it. */
int kek_unwrap(struct kek_ring *ring, const unsigned char wrapped[WRAPPED_KEY_BYTES],
	const unsigned char key_id[KEK_ID_BYTES], unsigned char key_r[PACK_KEY_BYTES],
	struct err *e);
/* Wraps by the current key what any of the keys wrapped. */
int locator_rewrap(struct kek_ring *ring, struct locator *l, struct err *e);

#endif
