/* Password schemes: known hashes of other programs, what must not match, and bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib-auth/password.h"
#include "lib-common/mem.h"

static const struct password_config cheap_argon2 = {PASSWORD_ARGON2ID, 64, 1, 1, 0};

/* Made by openssl and coreutils. Password: "secret". */
static const char *const known[] = {
	"{PLAIN}secret",
	"{CLEARTEXT}secret",
	"{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
	"{sha1.hex}e5e9fa1ba31ecd1ae84f75caaa474f3a663f05f4",
	"{SHA256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=",
	"{SHA256.HEX}2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b",
	"{PLAIN-MD5}5ebe2294ecd0e0f08eab7690d2a6ee69",
	"{LDAP-MD5}Xr4ilOzQ4PCOq3aQ0qbuaQ==",
	"{PLAIN-MD5.B64}Xr4ilOzQ4PCOq3aQ0qbuaQ==",
	"$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1",
	"{MD5-CRYPT}$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1",
	"$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq."
	"H91p5hVO1",
	"$5$saltsalt$0IyaXrmV7.sGNS6tirgqHLqX/G.FBvgkYA.lpPdS5sA",
	"{CRYPT}$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1",
};

static void test_known(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < array_count(known); i++) {
		assert_int_equal(password_verify(span_of(known[i]), SPAN("secret")), PASSWORD_OK);
		assert_int_equal(
			password_verify(span_of(known[i]), SPAN("secreT")), PASSWORD_WRONG);
		assert_int_equal(
			password_verify(span_of(known[i]), SPAN("secret1")), PASSWORD_WRONG);
		assert_int_equal(password_verify(span_of(known[i]), SPAN("")), PASSWORD_WRONG);
		assert_int_equal(password_verify(span_of(known[i]), span_from("secret\0", 7)),
			PASSWORD_WRONG);
		assert_true(password_stored_valid(span_of(known[i])));
	}
}

static void test_made_and_verified(void **state)
{
	const struct password_config configs[] = {cheap_argon2, {PASSWORD_BLF_CRYPT, 0, 0, 0, 4},
		{PASSWORD_SHA512_CRYPT, 0, 0, 0, 1000}, {PASSWORD_SSHA512, 0, 0, 0, 0}};
	struct buf one, two;
	struct err e;
	size_t i;

	(void)state;
	for (i = 0; i < array_count(configs); i++) {
		buf_init(&one);
		buf_init(&two);
		assert_int_equal(password_hash(&configs[i], SPAN("p\xc3\xa4ss w"), &one, &e), 0);
		assert_int_equal(password_hash(&configs[i], SPAN("p\xc3\xa4ss w"), &two, &e), 0);
		assert_false(span_equal(buf_span(&one), buf_span(&two))); /* salted */
		assert_int_equal(one.data[0], '{');
		assert_int_equal(
			password_verify(buf_span(&one), SPAN("p\xc3\xa4ss w")), PASSWORD_OK);
		assert_int_equal(
			password_verify(buf_span(&one), SPAN("p\xc3\xa4ss v")), PASSWORD_WRONG);
		assert_false(password_needs_rehash(&configs[i], buf_span(&one)));
		/* Without our prefix, as in a foreign table. */
		if (configs[i].scheme != PASSWORD_SSHA512)
			assert_int_equal(password_verify(span_of(strchr(buf_str(&two), '}') + 1),
						 SPAN("p\xc3\xa4ss w")),
				PASSWORD_OK);
		buf_clear(&one);
		buf_clear(&two);
	}
}

static void test_unusable(void **state)
{
	static const char *const bad[] = {"", "secret", "{", "{}", "{PLAIN}", "{NONE}x",
		"{PLAIN.HEX", "{SHA256.ROT}x", "{SHA256}short", "{SHA256}!!!!", "{SSHA256}QUJD",
		"{PLAIN-MD5}zz", "$argon2id$", "$argon2id$v=19$m=64,t=1$x$y",
		"$argon2id$v=19$m=4294967295,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo",
		"$argon2id$v=19$m=64,t=4000000000,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo", "{CRYPT}",
		"{BLF-CRYPT}$2y$99$xx", "*", "!", "x"};
	char huge[2000];
	size_t i;

	(void)state;
	for (i = 0; i < array_count(bad); i++)
		assert_int_equal(
			password_verify(span_of(bad[i]), SPAN("secret")), PASSWORD_UNUSABLE);
	memset(huge, 'a', sizeof(huge));
	memcpy(huge, "{PLAIN}", 7);
	assert_int_equal(
		password_verify(span_from(huge, sizeof(huge)), SPAN("secret")), PASSWORD_UNUSABLE);
	assert_int_equal(
		password_verify(span_from("{PLAIN}a\0b", 10), SPAN("a")), PASSWORD_UNUSABLE);
	assert_int_equal(password_verify(span_of("{PLAIN}secret"), span_from(huge, sizeof(huge))),
		PASSWORD_WRONG);
}

static void test_refused_passwords(void **state)
{
	char huge[PASSWORD_MAX + 1];
	const struct password_config bcrypt = {PASSWORD_BLF_CRYPT, 0, 0, 0, 4};
	struct buf out;
	struct err e;

	(void)state;
	buf_init(&out);
	memset(huge, 'a', sizeof(huge));
	assert_int_equal(password_hash(&cheap_argon2, SPAN(""), &out, &e), -1);
	assert_int_equal(password_hash(&cheap_argon2, span_from("a\0b", 3), &out, &e), -1);
	assert_int_equal(password_hash(&cheap_argon2, span_from(huge, sizeof(huge)), &out, &e), -1);
	assert_int_equal(e.code, ERR_PERM);
	assert_int_equal(password_hash(&bcrypt, span_from(huge, 73), &out, &e), -1);
	assert_int_equal(out.len, 0);
	buf_clear(&out);
}

static void test_rehash(void **state)
{
	const struct password_config more = {PASSWORD_ARGON2ID, 128, 1, 1, 0};
	const struct password_config bcrypt = {PASSWORD_BLF_CRYPT, 0, 0, 0, 4};
	struct buf out;
	struct err e;
	size_t i;

	(void)state;
	for (i = 0; i < array_count(known); i++)
		assert_true(password_needs_rehash(&cheap_argon2, span_of(known[i])));
	buf_init(&out);
	assert_int_equal(password_hash(&cheap_argon2, SPAN("x"), &out, &e), 0);
	assert_true(password_needs_rehash(&more, buf_span(&out)));
	assert_false(password_needs_rehash(&bcrypt, buf_span(&out))); /* never down */
	assert_false(password_needs_rehash(&more, SPAN("{UNKNOWN}x")));
	buf_clear(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_made_and_verified),
		cmocka_unit_test(test_unusable),
		cmocka_unit_test(test_refused_passwords),
		cmocka_unit_test(test_rehash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
