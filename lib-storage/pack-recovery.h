/*
 * pack-recovery: the recovery box of an entry, with which a mail store can be rebuilt from the
 * object store alone by who holds a private key that is kept offline.
 *
 * A box is u8 version 1, an ephemeral X25519 public key (32), and AES-256-GCM of {entry key (32),
 * i64 time, varint number of accounts, u64 each}, tag last. The key is HKDF-SHA-256 of the X25519
 * secret (RFC 7748, RFC 5869) with the entry id as salt and "lightmail recovery 1", both public
 * keys as info; the nonce is zero, as each entry id gives another key; the associated data is the
 * entry id.
 */
#ifndef LM_PACK_RECOVERY_H
#define LM_PACK_RECOVERY_H

#include "lib-storage/pack.h"

#define RECOVERY_KEY_BYTES 32
#define RECOVERY_ACCOUNTS_MAX 1000 /* further recipients are left out */

/* A new pair. -1 when OpenSSL has no X25519. */
int recovery_keypair_make(unsigned char private_r[RECOVERY_KEY_BYTES],
	unsigned char public_r[RECOVERY_KEY_BYTES], struct err *e);

/* A public key from a PEM file (openssl genpkey -algorithm x25519, openssl pkey -pubout). Refuses
 * other kinds of keys, private ones (they have no place on a server), and those of small order. */
int recovery_public_load(
	const char *path, unsigned char public_r[RECOVERY_KEY_BYTES], struct err *e);

/* Seals boxes to one public key; an ephemeral key serves some thousands of them. One thread's. */
struct recovery_sealer;
struct recovery_sealer *recovery_sealer_new(const unsigned char public_key[RECOVERY_KEY_BYTES]);
void recovery_sealer_free(struct recovery_sealer *s);
void recovery_seal(struct recovery_sealer *s, const unsigned char entry_id[PACK_ID_BYTES],
	const unsigned char entry_key[PACK_KEY_BYTES], int64_t time, const uint64_t *accounts,
	size_t n_accounts, struct buf *out);

struct recovery_opened {
	unsigned char key[PACK_KEY_BYTES];
	int64_t time;
	size_t n_accounts;
	uint64_t accounts[RECOVERY_ACCOUNTS_MAX];
};
/* -1: damaged, of another entry, or not sealed to this key. */
int recovery_open(const unsigned char private_key[RECOVERY_KEY_BYTES], struct span box,
	const unsigned char entry_id[PACK_ID_BYTES], struct recovery_opened *opened_r,
	struct err *e);

#endif
