#include "lib-storage/pack-recovery.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>
#include "lib-common/mem.h"
#include "lib-storage/pack-internal.h"

#define BOX_VERSION 1
#define BOX_INFO "lightmail recovery 1"
/* An X25519 exchange costs more than all else of a small entry, so one is used for some boxes; each
 * has its own key, by the entry id. */
#define BOXES_PER_KEY 4096

struct recovery_sealer {
	unsigned char recipient[RECOVERY_KEY_BYTES], ephemeral[RECOVERY_KEY_BYTES];
	unsigned char secret[RECOVERY_KEY_BYTES];
	unsigned left; /* boxes that this ephemeral key may still serve */
	EVP_CIPHER_CTX *aead;
};

static int x25519(const unsigned char *private_key, const unsigned char *public_key,
	unsigned char secret_r[RECOVERY_KEY_BYTES])
{
	EVP_PKEY *own = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, private_key, 32);
	EVP_PKEY *peer = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, public_key, 32);
	EVP_PKEY_CTX *ctx = own != NULL ? EVP_PKEY_CTX_new(own, NULL) : NULL;
	size_t n = RECOVERY_KEY_BYTES;
	int r = -1;

	/* A public key of small order gives an all-zero secret, which OpenSSL refuses. */
	if (ctx != NULL && peer != NULL && EVP_PKEY_derive_init(ctx) == 1 &&
		EVP_PKEY_derive_set_peer(ctx, peer) == 1 &&
		EVP_PKEY_derive(ctx, secret_r, &n) == 1 && n == RECOVERY_KEY_BYTES)
		r = 0;
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(own);
	EVP_PKEY_free(peer);
	return r;
}

static int keypair(unsigned char *private_r, unsigned char *public_r)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
	size_t n = RECOVERY_KEY_BYTES, m = RECOVERY_KEY_BYTES;
	int r = -1;

	if (key != NULL && EVP_PKEY_get_raw_private_key(key, private_r, &n) == 1 &&
		EVP_PKEY_get_raw_public_key(key, public_r, &m) == 1)
		r = 0;
	EVP_PKEY_free(key);
	return r;
}

int recovery_keypair_make(unsigned char private_r[RECOVERY_KEY_BYTES],
	unsigned char public_r[RECOVERY_KEY_BYTES], struct err *e)
{
	if (keypair(private_r, public_r) < 0)
		return err_set(e, ERR_TEMP, "cannot make an X25519 key");
	return 0;
}

int recovery_public_load(
	const char *path, unsigned char public_r[RECOVERY_KEY_BYTES], struct err *e)
{
	unsigned char own[RECOVERY_KEY_BYTES], own_public[RECOVERY_KEY_BYTES];
	unsigned char secret[RECOVERY_KEY_BYTES];
	FILE *file = fopen(path, "re");
	EVP_PKEY *key = file != NULL ? PEM_read_PUBKEY(file, NULL, NULL, NULL) : NULL;
	size_t n = RECOVERY_KEY_BYTES;
	int r = 0;

	if (file == NULL)
		r = err_set(e, ERR_PERM, "cannot open %s: %m", path);
	else if (key == NULL || EVP_PKEY_get_base_id(key) != EVP_PKEY_X25519 ||
		 EVP_PKEY_get_raw_public_key(key, public_r, &n) != 1)
		r = err_set(e, ERR_PERM, "%s is not a public X25519 key in PEM", path);
	else if (keypair(own, own_public) < 0 || x25519(own, public_r, secret) < 0)
		r = err_set(e, ERR_PERM, "%s holds a key that nothing can be sealed to", path);
	EVP_PKEY_free(key);
	if (file != NULL)
		(void)fclose(file);
	mem_wipe(own, sizeof(own));
	mem_wipe(secret, sizeof(secret));
	return r;
}

static void box_key(const unsigned char *secret, const unsigned char *ephemeral,
	const unsigned char *recipient, const unsigned char *entry_id,
	unsigned char key_r[PACK_KEY_BYTES])
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = kdf != NULL ? EVP_KDF_CTX_new(kdf) : NULL;
	char digest[] = "SHA2-256";
	unsigned char info[sizeof(BOX_INFO) - 1 + 2 * RECOVERY_KEY_BYTES];
	OSSL_PARAM params[5];

	memcpy(info, BOX_INFO, sizeof(BOX_INFO) - 1);
	memcpy(info + sizeof(BOX_INFO) - 1, ephemeral, RECOVERY_KEY_BYTES);
	memcpy(info + sizeof(BOX_INFO) - 1 + RECOVERY_KEY_BYTES, recipient, RECOVERY_KEY_BYTES);
	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0);
	params[1] = OSSL_PARAM_construct_octet_string(
		OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)secret, RECOVERY_KEY_BYTES);
	params[2] = OSSL_PARAM_construct_octet_string(
		OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)entry_id, PACK_ID_BYTES);
	params[3] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, sizeof(info));
	params[4] = OSSL_PARAM_construct_end();
	pack_must(ctx != NULL && EVP_KDF_derive(ctx, key_r, PACK_KEY_BYTES, params) == 1);
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
}

struct recovery_sealer *recovery_sealer_new(const unsigned char public_key[RECOVERY_KEY_BYTES])
{
	struct recovery_sealer *s = mem_alloc(sizeof(*s));

	memcpy(s->recipient, public_key, RECOVERY_KEY_BYTES);
	s->aead = EVP_CIPHER_CTX_new();
	pack_must(s->aead != NULL);
	return s;
}

void recovery_sealer_free(struct recovery_sealer *s)
{
	if (s == NULL)
		return;
	EVP_CIPHER_CTX_free(s->aead);
	mem_wipe(s, sizeof(*s));
	mem_free(s);
}

static void sealer_renew(struct recovery_sealer *s)
{
	unsigned char private_key[RECOVERY_KEY_BYTES];

	pack_must(keypair(private_key, s->ephemeral) == 0);
	pack_must(x25519(private_key, s->recipient, s->secret) == 0);
	mem_wipe(private_key, sizeof(private_key));
	s->left = BOXES_PER_KEY;
}

void recovery_seal(struct recovery_sealer *s, const unsigned char entry_id[PACK_ID_BYTES],
	const unsigned char entry_key[PACK_KEY_BYTES], int64_t time, const uint64_t *accounts,
	size_t n_accounts, struct buf *out)
{
	static const unsigned char nonce[PACK_NONCE_BYTES];
	unsigned char key[PACK_KEY_BYTES];
	struct buf plain;
	unsigned char *to;
	int n, rest;

	if (s->left == 0)
		sealer_renew(s);
	s->left--;
	n_accounts = n_accounts < RECOVERY_ACCOUNTS_MAX ? n_accounts : RECOVERY_ACCOUNTS_MAX;
	buf_init(&plain);
	buf_add(&plain, entry_key, PACK_KEY_BYTES);
	buf_add_u64(&plain, (uint64_t)time);
	buf_add_varint(&plain, n_accounts);
	for (size_t i = 0; i < n_accounts; i++)
		buf_add_u64(&plain, accounts[i]);

	box_key(s->secret, s->ephemeral, s->recipient, entry_id, key);
	buf_add_u8(out, BOX_VERSION);
	buf_add(out, s->ephemeral, RECOVERY_KEY_BYTES);
	to = (unsigned char *)buf_reserve(out, plain.len + PACK_TAG_BYTES);
	pack_must(to != NULL &&
		  EVP_EncryptInit_ex(s->aead, EVP_aes_256_gcm(), NULL, key, nonce) == 1 &&
		  EVP_EncryptUpdate(s->aead, NULL, &n, entry_id, PACK_ID_BYTES) == 1 &&
		  EVP_EncryptUpdate(s->aead, to, &n, (unsigned char *)plain.data, (int)plain.len) ==
			  1 &&
		  EVP_EncryptFinal_ex(s->aead, to + n, &rest) == 1 &&
		  EVP_CIPHER_CTX_ctrl(
			  s->aead, EVP_CTRL_AEAD_GET_TAG, PACK_TAG_BYTES, to + plain.len) == 1);
	buf_added(out, plain.len + PACK_TAG_BYTES);
	mem_wipe(key, sizeof(key));
	buf_wipe(&plain);
}

static int box_decrypt(const unsigned char *key, struct span sealed, const unsigned char *entry_id,
	struct buf *plain)
{
	static const unsigned char nonce[PACK_NONCE_BYTES];
	EVP_CIPHER_CTX *aead = EVP_CIPHER_CTX_new();
	size_t size = sealed.n - PACK_TAG_BYTES;
	unsigned char *to = (unsigned char *)buf_reserve(plain, size);
	unsigned char tag[PACK_TAG_BYTES];
	int n, rest, r = -1;

	memcpy(tag, sealed.p + size, sizeof(tag));
	if (aead != NULL && to != NULL &&
		EVP_DecryptInit_ex(aead, EVP_aes_256_gcm(), NULL, key, nonce) == 1 &&
		EVP_DecryptUpdate(aead, NULL, &n, entry_id, PACK_ID_BYTES) == 1 &&
		EVP_DecryptUpdate(aead, to, &n, (const unsigned char *)sealed.p, (int)size) == 1 &&
		EVP_CIPHER_CTX_ctrl(aead, EVP_CTRL_AEAD_SET_TAG, PACK_TAG_BYTES, tag) == 1 &&
		EVP_DecryptFinal_ex(aead, to + n, &rest) == 1) {
		buf_added(plain, size);
		r = 0;
	}
	EVP_CIPHER_CTX_free(aead);
	return r;
}

static bool box_parse(struct span s, struct recovery_opened *o)
{
	struct span key;
	uint64_t time, n;

	if (!span_get_bytes(&s, PACK_KEY_BYTES, &key) || !span_get_u64(&s, &time) ||
		!span_get_varint(&s, &n) || n > RECOVERY_ACCOUNTS_MAX || s.n != n * 8)
		return false;
	memcpy(o->key, key.p, PACK_KEY_BYTES);
	o->time = (int64_t)time;
	o->n_accounts = (size_t)n;
	for (size_t i = 0; i < o->n_accounts; i++)
		(void)span_get_u64(&s, &o->accounts[i]);
	return true;
}

int recovery_open(const unsigned char private_key[RECOVERY_KEY_BYTES], struct span box,
	const unsigned char entry_id[PACK_ID_BYTES], struct recovery_opened *opened_r,
	struct err *e)
{
	unsigned char secret[RECOVERY_KEY_BYTES], own[RECOVERY_KEY_BYTES], key[PACK_KEY_BYTES];
	EVP_PKEY *pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, private_key, 32);
	size_t n = RECOVERY_KEY_BYTES;
	struct span ephemeral;
	struct buf plain;
	uint8_t version;
	int r = -1;

	buf_init(&plain);
	if (pkey == NULL || EVP_PKEY_get_raw_public_key(pkey, own, &n) != 1) {
		err_set(e, ERR_TEMP, "cannot use the recovery key");
	} else if (!span_get_u8(&box, &version) || version != BOX_VERSION ||
		   !span_get_bytes(&box, RECOVERY_KEY_BYTES, &ephemeral) ||
		   box.n < PACK_TAG_BYTES || box.n > PACK_BOX_MAX) {
		err_set(e, ERR_PERM, "not a recovery box");
	} else if (x25519(private_key, (const unsigned char *)ephemeral.p, secret) < 0) {
		err_set(e, ERR_PERM, "the recovery box has a bad key");
	} else {
		box_key(secret, (const unsigned char *)ephemeral.p, own, entry_id, key);
		if (box_decrypt(key, box, entry_id, &plain) == 0 &&
			box_parse(buf_span(&plain), opened_r))
			r = 0;
		else
			err_set(e, ERR_PERM,
				"the recovery box is damaged or sealed to another key");
	}
	EVP_PKEY_free(pkey);
	mem_wipe(secret, sizeof(secret));
	mem_wipe(key, sizeof(key));
	buf_wipe(&plain);
	return r;
}
