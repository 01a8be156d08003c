/*
 * password: stored passwords, in the schemes that other mail servers' databases hold: a prefix in
 * braces as Dovecot writes it, or the crypt(3) form alone ($argon2id$, $2y$, $6$, $5$, $1$ ...).
 *
 *	{ARGON2ID}				libargon2 (RFC 9106)
 *	{BLF-CRYPT} {SHA512-CRYPT} {SHA256-CRYPT} {MD5-CRYPT} {CRYPT}	libxcrypt
 *	{SSHA512} {SSHA256} {SSHA} {SMD5}	digest of password and salt, the salt behind the
 *digest {SHA512} {SHA256} {SHA} {SHA1} {LDAP-MD5} {PLAIN-MD5}	bare digests {PLAIN} {CLEAR}
 *{CLEARTEXT}		the password itself
 *
 * Digests are base64 unless the name ends in .HEX (PLAIN-MD5: hexadecimal unless .B64).
 * Comparisons take the same time whatever differs. Hashing takes tens of MiB and up to hundreds of
 *ms of CPU: call these functions from a worker thread. They are thread-safe.
 *
 * A stored password is input from a database: what it asks for (memory, passes) is bounded.
 */
#ifndef LM_PASSWORD_H
#define LM_PASSWORD_H

#include <stdbool.h>
#include <stdint.h>
#include "lib-common/buf.h"
#include "lib-common/err.h"

#define PASSWORD_MAX 1024	/* octets of a password, from a client or an operator */
#define PASSWORD_STORED_MAX 512 /* octets of a stored one */

/* How new passwords are stored. */
enum password_scheme {
	PASSWORD_ARGON2ID,
	PASSWORD_BLF_CRYPT,
	PASSWORD_SHA512_CRYPT,
	PASSWORD_SSHA512, /* cheap: for test instances with thousands of users */
};
#define PASSWORD_SCHEME_CHOICES "ARGON2ID|BLF-CRYPT|SHA512-CRYPT|SSHA512"

struct password_config {
	enum password_scheme scheme;
	uint32_t argon2_memory_kib; /* 19456: 19 MiB */
	uint32_t argon2_passes;	    /* 2 */
	uint32_t argon2_lanes;	    /* 1 */
	uint32_t crypt_rounds;	    /* BLF-CRYPT: log2 (4..31), SHA512-CRYPT: rounds; 0: default */
};

enum password_result {
	PASSWORD_OK,
	PASSWORD_WRONG,
	PASSWORD_UNUSABLE, /* the stored form is unknown or damaged: nobody can log in with it */
};

/* Appends the stored form with its prefix. -1 with *e set: password empty, too long or with a NUL.
 */
int password_hash(
	const struct password_config *config, struct span password, struct buf *out, struct err *e);
enum password_result password_verify(struct span stored, struct span password);
/* True when the stored form is weaker than what password_hash would make now. */
bool password_needs_rehash(const struct password_config *config, struct span stored);
/* Whether password_verify knows the form; for hashes that an operator imports. */
bool password_stored_valid(struct span stored);

#endif
