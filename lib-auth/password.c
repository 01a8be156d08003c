#include "lib-auth/password.h"

#include <argon2.h>
#include <crypt.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <strings.h>
#include "lib-common/mem.h"

#define ARGON2_SALT_BYTES 16
#define ARGON2_HASH_BYTES 32
#define ARGON2_MEMORY_KIB_MAX (1u << 20) /* what a stored hash may ask for: 1 GiB */
#define ARGON2_PASSES_MAX 64
#define DIGEST_SALT_BYTES 16

enum password_kind { KIND_PLAIN, KIND_DIGEST, KIND_CRYPT, KIND_ARGON2 };
enum password_encoding { ENCODING_BASE64, ENCODING_HEX };

/* Strength orders the schemes: a rehash only ever goes up. */
struct scheme {
	const char *name;
	enum password_kind kind;
	int strength;
	const char *digest;
	bool salted;
	enum password_encoding encoding;
};

static const struct scheme schemes[] = {
	{"ARGON2ID", KIND_ARGON2, 60, NULL, true, 0},
	{"ARGON2I", KIND_ARGON2, 55, NULL, true, 0},
	{"BLF-CRYPT", KIND_CRYPT, 50, NULL, true, 0},
	{"SHA512-CRYPT", KIND_CRYPT, 42, NULL, true, 0},
	{"SHA256-CRYPT", KIND_CRYPT, 41, NULL, true, 0},
	{"MD5-CRYPT", KIND_CRYPT, 30, NULL, true, 0},
	{"CRYPT", KIND_CRYPT, 0, NULL, true, 0}, /* strength by its own prefix */
	{"SSHA512", KIND_DIGEST, 23, "SHA512", true, ENCODING_BASE64},
	{"SSHA256", KIND_DIGEST, 22, "SHA256", true, ENCODING_BASE64},
	{"SSHA", KIND_DIGEST, 21, "SHA1", true, ENCODING_BASE64},
	{"SMD5", KIND_DIGEST, 20, "MD5", true, ENCODING_BASE64},
	{"SHA512", KIND_DIGEST, 13, "SHA512", false, ENCODING_BASE64},
	{"SHA256", KIND_DIGEST, 12, "SHA256", false, ENCODING_BASE64},
	{"SHA1", KIND_DIGEST, 11, "SHA1", false, ENCODING_BASE64},
	{"SHA", KIND_DIGEST, 11, "SHA1", false, ENCODING_BASE64},
	{"LDAP-MD5", KIND_DIGEST, 10, "MD5", false, ENCODING_BASE64},
	{"PLAIN-MD5", KIND_DIGEST, 10, "MD5", false, ENCODING_HEX},
	{"PLAIN", KIND_PLAIN, 0, NULL, false, 0},
	{"CLEARTEXT", KIND_PLAIN, 0, NULL, false, 0},
	{"CLEAR", KIND_PLAIN, 0, NULL, false, 0},
};

/* crypt(3) forms by their own prefix; the traditional DES form has none and is not accepted bare.
 */
static const struct crypt_form {
	const char *prefix, *scheme;
} crypt_forms[] = {
	{"$argon2id$", "ARGON2ID"},
	{"$argon2i$", "ARGON2I"},
	{"$2y$", "BLF-CRYPT"},
	{"$2b$", "BLF-CRYPT"},
	{"$2a$", "BLF-CRYPT"},
	{"$y$", "BLF-CRYPT"}, /* yescrypt: as good, and crypt(3) tells them apart itself */
	{"$gy$", "BLF-CRYPT"},
	{"$7$", "BLF-CRYPT"},
	{"$6$", "SHA512-CRYPT"},
	{"$5$", "SHA256-CRYPT"},
	{"$1$", "MD5-CRYPT"},
};

static const struct scheme *scheme_named(struct span name)
{
	size_t i;

	for (i = 0; i < array_count(schemes); i++) {
		if (span_equal_nocase(name, span_of(schemes[i].name)))
			return &schemes[i];
	}
	return NULL;
}

static const struct scheme *scheme_by_crypt_prefix(struct span hash)
{
	size_t i, n;

	for (i = 0; i < array_count(crypt_forms); i++) {
		n = strlen(crypt_forms[i].prefix);
		if (hash.n >= n && memcmp(hash.p, crypt_forms[i].prefix, n) == 0)
			return scheme_named(span_of(crypt_forms[i].scheme));
	}
	return NULL;
}

/* Splits "{NAME.ENC}rest". NULL when the form is not known. */
static const struct scheme *stored_split(
	struct span stored, enum password_encoding *encoding_r, struct span *hash_r)
{
	const struct scheme *s, *own;
	struct span name, suffix;
	const char *end;

	*hash_r = stored;
	if (stored.n > PASSWORD_STORED_MAX || memchr(stored.p ? stored.p : "", 0, stored.n))
		return NULL;
	if (stored.n == 0 || stored.p[0] != '{')
		return scheme_by_crypt_prefix(stored);
	end = memchr(stored.p, '}', stored.n);
	if (!end)
		return NULL;
	suffix = span_from(stored.p + 1, (size_t)(end - stored.p - 1));
	*hash_r = span_from(end + 1, stored.n - (size_t)(end + 1 - stored.p));
	if (!span_cut(&suffix, '.', &name))
		return NULL;
	s = scheme_named(name);
	if (!s)
		return NULL;
	*encoding_r = s->encoding;
	if (suffix.p && span_equal_nocase(suffix, SPAN("HEX")))
		*encoding_r = ENCODING_HEX;
	else if (suffix.p && (span_equal_nocase(suffix, SPAN("B64")) ||
				     span_equal_nocase(suffix, SPAN("BASE64"))))
		*encoding_r = ENCODING_BASE64;
	else if (suffix.p)
		return NULL;
	/* {CRYPT} holds any crypt form, which then says how strong it is. */
	own = s->kind == KIND_CRYPT ? scheme_by_crypt_prefix(*hash_r) : NULL;
	return own ? own : s;
}

/* ---- argon2 ---- */

/* "$argon2id$v=19$m=19456,t=2,p=1$salt$hash": the costs, for bounds and for comparing. */
static bool argon2_costs(
	struct span hash, uint32_t *memory_r, uint32_t *passes_r, uint32_t *lanes_r)
{
	struct span field, value, key, rest = hash;
	uint32_t *out;
	bool m = false, t = false, p = false;

	while (span_cut(&rest, '$', &field)) {
		if (field.n < 2 || memcmp(field.p, "m=", 2) != 0)
			continue;
		while (span_cut(&field, ',', &value)) {
			if (!span_cut(&value, '=', &key) || !value.p)
				return false;
			out = span_is(key, "m")	  ? (m = true, memory_r)
			      : span_is(key, "t") ? (t = true, passes_r)
			      : span_is(key, "p") ? (p = true, lanes_r)
						  : NULL;
			if (!out || !num_u32(value, out))
				return false;
		}
		return m && t && p;
	}
	return false;
}

static enum password_result argon2_check(struct span hash, struct span password)
{
	uint32_t memory, passes, lanes;
	char text[PASSWORD_STORED_MAX + 1];
	argon2_type type = Argon2_id;
	int rc;

	if (!argon2_costs(hash, &memory, &passes, &lanes) || memory > ARGON2_MEMORY_KIB_MAX ||
		passes > ARGON2_PASSES_MAX || lanes > 16)
		return PASSWORD_UNUSABLE;
	memcpy(text, hash.p, hash.n);
	text[hash.n] = '\0';
	if (strncmp(text, "$argon2i$", 9) == 0)
		type = Argon2_i;
	rc = argon2_verify(text, password.p, password.n, type);
	if (rc == ARGON2_OK)
		return PASSWORD_OK;
	return rc == ARGON2_VERIFY_MISMATCH ? PASSWORD_WRONG : PASSWORD_UNUSABLE;
}

static int argon2_make(
	const struct password_config *c, struct span password, struct buf *out, struct err *e)
{
	unsigned char salt[ARGON2_SALT_BYTES];
	char text[PASSWORD_STORED_MAX];
	int rc;

	if (RAND_bytes(salt, sizeof(salt)) != 1)
		return err_set(e, ERR_TEMP, "no random numbers");
	rc = argon2id_hash_encoded(c->argon2_passes, c->argon2_memory_kib, c->argon2_lanes,
		password.p, password.n, salt, sizeof(salt), ARGON2_HASH_BYTES, text, sizeof(text));
	if (rc != ARGON2_OK)
		return err_set(e, ERR_TEMP, "argon2: %s", argon2_error_message(rc));
	buf_add_str(out, "{ARGON2ID}");
	buf_add_str(out, text);
	return 0;
}

/* ---- crypt(3) ---- */

static enum password_result crypt_check(struct span hash, struct span password)
{
	struct crypt_data *data = mem_alloc(sizeof(*data));
	char text[PASSWORD_STORED_MAX + 1], secret[PASSWORD_MAX + 1];
	enum password_result result = PASSWORD_UNUSABLE;
	const char *made;
	size_t n;

	memcpy(text, hash.p, hash.n);
	text[hash.n] = '\0';
	memcpy(secret, password.p, password.n);
	secret[password.n] = '\0';
	made = crypt_rn(secret, text, data, sizeof(*data));
	/* "*0" and "*1" are libxcrypt's way to say no. */
	if (made && made[0] != '*') {
		n = strlen(made);
		result = n == hash.n && CRYPTO_memcmp(made, hash.p, n) == 0 ? PASSWORD_OK
									    : PASSWORD_WRONG;
	}
	mem_wipe(secret, sizeof(secret));
	mem_wipe(data, sizeof(*data));
	mem_free(data);
	return result;
}

static int crypt_make(const struct password_config *c, const char *name, const char *prefix,
	struct span password, struct buf *out, struct err *e)
{
	struct crypt_data *data;
	char setting[CRYPT_GENSALT_OUTPUT_SIZE], secret[PASSWORD_MAX + 1];
	unsigned char random[32];
	const char *made;
	int ret = -1;

	if (RAND_bytes(random, sizeof(random)) != 1)
		return err_set(e, ERR_TEMP, "no random numbers");
	if (!crypt_gensalt_rn(prefix, c->crypt_rounds, (char *)random, sizeof(random), setting,
		    sizeof(setting)))
		return err_set(e, ERR_PERM, "crypt: %s with %u rounds: %m", name, c->crypt_rounds);
	data = mem_alloc(sizeof(*data));
	memcpy(secret, password.p, password.n);
	secret[password.n] = '\0';
	made = crypt_rn(secret, setting, data, sizeof(*data));
	if (made && made[0] != '*') {
		buf_printf(out, "{%s}%s", name, made);
		ret = 0;
	} else {
		err_set(e, ERR_PERM, "crypt: %s refuses this password", name);
	}
	mem_wipe(secret, sizeof(secret));
	mem_wipe(data, sizeof(*data));
	mem_free(data);
	return ret;
}

/* ---- digests ---- */

static size_t digest_make(const char *name, struct span password, struct span salt,
	unsigned char out[EVP_MAX_MD_SIZE])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	const EVP_MD *md = EVP_get_digestbyname(name);
	unsigned n = 0;

	if (ctx && md && EVP_DigestInit_ex(ctx, md, NULL) == 1 &&
		EVP_DigestUpdate(ctx, password.p, password.n) == 1 &&
		EVP_DigestUpdate(ctx, salt.p, salt.n) == 1)
		EVP_DigestFinal_ex(ctx, out, &n);
	EVP_MD_CTX_free(ctx);
	return n;
}

static bool digest_decode(enum password_encoding encoding, struct span hash, struct buf *out)
{
	size_t n = hash.n / 2;

	if (encoding == ENCODING_BASE64)
		return buf_add_base64_decoded(out, hash);
	if (n == 0 || !hex_decode(hash, buf_reserve(out, n), n))
		return false;
	buf_added(out, n);
	return true;
}

static enum password_result digest_check(const struct scheme *s, enum password_encoding encoding,
	struct span hash, struct span password)
{
	unsigned char made[EVP_MAX_MD_SIZE];
	enum password_result result = PASSWORD_UNUSABLE;
	struct buf raw;
	size_t n, want = (size_t)EVP_MD_get_size(EVP_get_digestbyname(s->digest));

	buf_init(&raw);
	if (!digest_decode(encoding, hash, &raw) || raw.len < want ||
		(!s->salted && raw.len != want))
		goto out;
	n = digest_make(s->digest, password, span_from(raw.data + want, raw.len - want), made);
	if (n == want)
		result = CRYPTO_memcmp(made, raw.data, n) == 0 ? PASSWORD_OK : PASSWORD_WRONG;
out:
	mem_wipe(made, sizeof(made));
	buf_wipe(&raw);
	return result;
}

static int ssha512_make(struct span password, struct buf *out, struct err *e)
{
	unsigned char raw[EVP_MAX_MD_SIZE + DIGEST_SALT_BYTES];
	unsigned char salt[DIGEST_SALT_BYTES];
	size_t n;

	if (RAND_bytes(salt, sizeof(salt)) != 1)
		return err_set(e, ERR_TEMP, "no random numbers");
	n = digest_make("SHA512", password, span_from(salt, sizeof(salt)), raw);
	if (n == 0)
		return err_set(e, ERR_TEMP, "no SHA-512");
	memcpy(raw + n, salt, sizeof(salt));
	buf_add_str(out, "{SSHA512}");
	buf_add_base64(out, raw, n + sizeof(salt));
	return 0;
}

/* ---- plain ---- */

/* Both are hashed first, so that neither content nor length shows in the time. */
static enum password_result plain_check(struct span stored, struct span password)
{
	unsigned char a[EVP_MAX_MD_SIZE], b[EVP_MAX_MD_SIZE];
	size_t n = digest_make("SHA256", stored, span_from("", 0), a);
	size_t m = digest_make("SHA256", password, span_from("", 0), b);
	enum password_result result = PASSWORD_UNUSABLE;

	if (n > 0 && n == m && stored.n > 0)
		result = CRYPTO_memcmp(a, b, n) == 0 ? PASSWORD_OK : PASSWORD_WRONG;
	mem_wipe(a, sizeof(a));
	mem_wipe(b, sizeof(b));
	return result;
}

/* ---- what the header promises ---- */

static int password_check_input(struct span password, struct err *e)
{
	if (password.n == 0)
		return err_set(e, ERR_PERM, "empty password");
	if (password.n > PASSWORD_MAX)
		return err_set(e, ERR_PERM, "password longer than %d octets", PASSWORD_MAX);
	if (memchr(password.p, 0, password.n))
		return err_set(e, ERR_PERM, "password with a NUL octet");
	return 0;
}

int password_hash(
	const struct password_config *config, struct span password, struct buf *out, struct err *e)
{
	if (password_check_input(password, e) < 0)
		return -1;
	switch (config->scheme) {
	case PASSWORD_ARGON2ID:
		return argon2_make(config, password, out, e);
	case PASSWORD_BLF_CRYPT:
		/* bcrypt sees 72 octets: what is behind them would be accepted whatever it is. */
		if (password.n > 72)
			return err_set(
				e, ERR_PERM, "password longer than the 72 octets of BLF-CRYPT");
		return crypt_make(config, "BLF-CRYPT", "$2y$", password, out, e);
	case PASSWORD_SHA512_CRYPT:
		return crypt_make(config, "SHA512-CRYPT", "$6$", password, out, e);
	case PASSWORD_SSHA512:
		return ssha512_make(password, out, e);
	}
	return err_set(e, ERR_PERM, "unknown password scheme");
}

enum password_result password_verify(struct span stored, struct span password)
{
	enum password_encoding encoding = ENCODING_BASE64;
	struct span hash;
	const struct scheme *s = stored_split(stored, &encoding, &hash);
	struct err e;

	if (!s)
		return PASSWORD_UNUSABLE;
	if (password_check_input(password, &e) < 0)
		return PASSWORD_WRONG;
	switch (s->kind) {
	case KIND_ARGON2:
		return argon2_check(hash, password);
	case KIND_CRYPT:
		return crypt_check(hash, password);
	case KIND_DIGEST:
		return digest_check(s, encoding, hash, password);
	case KIND_PLAIN:
		return plain_check(hash, password);
	}
	return PASSWORD_UNUSABLE;
}

static const struct scheme *config_scheme(const struct password_config *config)
{
	static const char *const names[] = {
		[PASSWORD_ARGON2ID] = "ARGON2ID",
		[PASSWORD_BLF_CRYPT] = "BLF-CRYPT",
		[PASSWORD_SHA512_CRYPT] = "SHA512-CRYPT",
		[PASSWORD_SSHA512] = "SSHA512",
	};

	return scheme_named(span_of(names[config->scheme]));
}

bool password_needs_rehash(const struct password_config *config, struct span stored)
{
	enum password_encoding encoding;
	const struct scheme *wanted = config_scheme(config), *s;
	uint32_t memory, passes, lanes;
	struct span hash;

	s = stored_split(stored, &encoding, &hash);
	if (!s)
		return false;
	if (s->strength != wanted->strength)
		return s->strength < wanted->strength;
	if (s->kind != KIND_ARGON2)
		return false;
	if (!argon2_costs(hash, &memory, &passes, &lanes))
		return false;
	/* Fewer passes over more memory may be the stronger one: only weaker in sum counts. */
	return (uint64_t)memory * passes <
	       (uint64_t)config->argon2_memory_kib * config->argon2_passes;
}

bool password_stored_valid(struct span stored)
{
	enum password_encoding encoding;
	uint32_t memory, passes, lanes;
	struct span hash;
	const struct scheme *s = stored_split(stored, &encoding, &hash);

	if (!s || hash.n == 0)
		return false;
	return s->kind != KIND_ARGON2 || argon2_costs(hash, &memory, &passes, &lanes);
}
