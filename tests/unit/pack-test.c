#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include "lib-common/mem.h"
#include "lib-storage/pack-recovery.h"
#include "lib-storage/pack.h"

static const unsigned char pack_id[PACK_ID_BYTES] = "0123456789abcde";
static const unsigned char other_id[PACK_ID_BYTES] = "x123456789abcde";

/* A pack in memory. */
static int memory_read(void *ctx, uint64_t offset, size_t n, struct buf *out, struct err *e)
{
	const struct buf *pack = ctx;

	if (offset > pack->len || n > pack->len - offset)
		return err_set(e, ERR_NOTFOUND, "the pack ends before");
	buf_add(out, pack->data + offset, n);
	return 0;
}

static struct pack_place place_of(struct buf *pack, uint64_t offset, uint64_t length)
{
	struct pack_place p = {
		.offset = offset, .length = length, .read = memory_read, .ctx = pack};

	memcpy(p.pack_id, pack_id, PACK_ID_BYTES);
	return p;
}

/* Half text, half noise, so that both kinds of chunks occur. */
static void body_fill(struct buf *body, size_t n, unsigned seed)
{
	buf_empty(body);
	while (body->len < n) {
		if ((body->len / PACK_CHUNK) % 2 == 0) {
			buf_printf(body, "line %zu of the body\r\n", body->len);
		} else {
			seed = seed * 1103515245u + 12345u;
			buf_add_u8(body, (uint8_t)(seed >> 16));
		}
	}
	buf_truncate(body, n);
}

static struct pack_sealed append(struct pack_encoder *enc, struct buf *pack, struct span body)
{
	uint64_t offset = pack->len;
	struct pack_sealed sealed;

	pack_encode(enc, body, 1700000000, NULL, 0, pack, &sealed);
	assert_int_equal(pack->len - offset, sealed.length);
	assert_int_equal(sealed.size, body.n);
	pack_stamp(pack->data + offset, pack_id, offset, sealed.length);
	return sealed;
}

static void test_names(void **state)
{
	unsigned char id[PACK_ID_BYTES];
	char name[PACK_NAME_SIZE];

	(void)state;
	pack_name_make(1700000000, pack_id, name);
	assert_string_equal(name, "20231114221320-30313233343536373839616263646500");
	assert_true(pack_name_parse(span_of(name), id));
	assert_memory_equal(id, pack_id, sizeof(id));
	assert_false(
		pack_name_parse(span_of("20231114221320-3031323334353637383961626364650"), NULL));
	assert_false(
		pack_name_parse(span_of("20231114221320/30313233343536373839616263646500"), NULL));
	assert_false(
		pack_name_parse(span_of("../31114221320-30313233343536373839616263646500"), NULL));
	assert_false(
		pack_name_parse(span_of("20231114221320-3031323334353637383961626364650G"), NULL));
	assert_int_equal(pack_crc32c(0, "123456789", 9), 0xe3069283u);
}

static void test_round_trip(void **state)
{
	static const size_t sizes[] = {0, 1, 100, 4096, PACK_CHUNK - 1, PACK_CHUNK, PACK_CHUNK + 1,
		3 * PACK_CHUNK, 2500000};
	struct pack_encoder *enc = pack_encoder_new(NULL);
	struct pack_decoder *dec = pack_decoder_new();
	unsigned char sha[PACK_SHA_BYTES];
	struct buf pack = {0}, body = {0}, out = {0};
	uint64_t size;
	struct err e;

	(void)state;
	for (size_t i = 0; i < array_count(sizes); i++) {
		uint64_t offset = pack.len;
		struct pack_sealed sealed;
		struct pack_place place;

		body_fill(&body, sizes[i], (unsigned)i);
		sealed = append(enc, &pack, buf_span(&body));
		if (sizes[i] == 4096)
			assert_true(sealed.length < 2048);
		place = place_of(&pack, offset, sealed.length);
		buf_empty(&out);
		assert_int_equal(pack_fetch(dec, &place, sealed.key, 0, 0, &out, &size, &e), 0);
		assert_int_equal(size, sizes[i]);
		assert_int_equal(out.len, sizes[i]);
		if (out.len > 0)
			assert_memory_equal(out.data, body.data, out.len);
		assert_int_equal(pack_verify(dec, &place, sealed.key, &size, sha, &e), 0);
		assert_memory_equal(sha, sealed.sha256, sizeof(sha));
		/* The same from memory that the caller has already. */
		place.whole = span_from(pack.data + offset, sealed.length);
		place.read = NULL;
		buf_empty(&out);
		assert_int_equal(pack_fetch(dec, &place, sealed.key, 0, 0, &out, NULL, &e), 0);
		assert_int_equal(out.len, sizes[i]);
	}
	buf_clear(&pack);
	buf_clear(&body);
	buf_clear(&out);
	pack_encoder_free(enc);
	pack_decoder_free(dec);
}

static void test_ranges(void **state)
{
	struct pack_encoder *enc = pack_encoder_new(NULL);
	struct pack_decoder *dec = pack_decoder_new();
	struct buf pack = {0}, body = {0}, out = {0};
	struct pack_sealed sealed;
	struct pack_place place;
	struct err e;

	(void)state;
	body_fill(&body, 1000000, 1);
	append(enc, &pack, SPAN("in front"));
	place = place_of(&pack, pack.len, 0);
	sealed = append(enc, &pack, buf_span(&body));
	place.length = sealed.length;
	srand(1);
	for (int i = 0; i < 300; i++) {
		uint64_t from = (uint64_t)rand() % (body.len + 1);
		uint64_t count = (uint64_t)rand() % (i % 2 ? 200 : 200000);
		uint64_t want = count == 0 || count > body.len - from ? body.len - from : count;

		buf_empty(&out);
		assert_int_equal(
			pack_fetch(dec, &place, sealed.key, from, count, &out, NULL, &e), 0);
		assert_int_equal(out.len, want);
		if (want > 0)
			assert_memory_equal(out.data, body.data + from, want);
	}
	assert_int_equal(pack_fetch(dec, &place, sealed.key, body.len + 1, 1, &out, NULL, &e), -1);
	assert_int_equal(e.code, ERR_PERM);
	buf_clear(&pack);
	buf_clear(&body);
	buf_clear(&out);
	pack_encoder_free(enc);
	pack_decoder_free(dec);
}

/* A body that comes in pieces gives the same entry as one that is there at once. */
static void test_streamed(void **state)
{
	static const size_t steps[] = {1, 13, 4096, 70000, 300000};
	struct pack_encoder *enc = pack_encoder_new(NULL);
	struct pack_decoder *dec = pack_decoder_new();
	struct buf pack = {0}, body = {0}, out = {0};
	struct pack_scan_result scan;
	struct pack_sealed sealed;
	struct pack_place place;
	struct err e;

	(void)state;
	body_fill(&body, 200001, 3);
	for (size_t i = 0; i < array_count(steps); i++) {
		buf_empty(&pack);
		pack_encoder_begin(enc, 1700000000, &pack);
		pack_stamp(pack.data, pack_id, 0, 0);
		for (size_t at = 0; at < body.len; at += steps[i]) {
			size_t left = body.len - at;

			pack_encoder_add(enc,
				span_from(body.data + at, left < steps[i] ? left : steps[i]),
				&pack);
		}
		pack_encoder_finish(enc, NULL, 0, &pack, &sealed);
		assert_int_equal(pack.len, sealed.length);
		place = place_of(&pack, 0, sealed.length);
		buf_empty(&out);
		assert_int_equal(pack_fetch(dec, &place, sealed.key, 0, 0, &out, NULL, &e), 0);
		assert_int_equal(out.len, body.len);
		assert_memory_equal(out.data, body.data, out.len);
		assert_int_equal(
			pack_scan(pack_id, pack.len, memory_read, &pack, NULL, NULL, &scan, &e), 0);
		assert_int_equal(scan.entries, 1);
		assert_int_equal(scan.used, pack.len);
	}
	buf_clear(&pack);
	buf_clear(&body);
	buf_clear(&out);
	pack_encoder_free(enc);
	pack_decoder_free(dec);
}

/* No octet of an entry can change unnoticed, box and frame included. */
static void test_bit_flips(void **state)
{
	unsigned char secret[RECOVERY_KEY_BYTES], public_key[RECOVERY_KEY_BYTES];
	struct pack_decoder *dec = pack_decoder_new();
	struct buf pack = {0}, body = {0}, out = {0};
	struct pack_encoder *enc;
	struct pack_sealed sealed;
	struct pack_place place;
	struct err e;

	(void)state;
	assert_int_equal(recovery_keypair_make(secret, public_key, &e), 0);
	enc = pack_encoder_new(public_key);
	body_fill(&body, 300, 9);
	sealed = append(enc, &pack, buf_span(&body));
	place = place_of(&pack, 0, sealed.length);
	for (size_t i = 0; i < pack.len * 8; i++) {
		pack.data[i / 8] ^= (char)(1 << i % 8);
		assert_int_equal(pack_verify(dec, &place, sealed.key, NULL, NULL, &e), -1);
		assert_int_equal(e.code, ERR_PERM);
		assert_int_equal(pack_fetch(dec, &place, sealed.key, 0, 0, &out, NULL, &e), -1);
		assert_int_equal(out.len, 0);
		pack.data[i / 8] ^= (char)(1 << i % 8);
	}
	assert_int_equal(pack_verify(dec, &place, sealed.key, NULL, NULL, &e), 0);
	/* A wrong length, and every torn tail. */
	for (size_t n = 0; n < pack.len; n++) {
		struct pack_place cut = place_of(&pack, 0, n);

		assert_int_equal(pack_verify(dec, &cut, sealed.key, NULL, NULL, &e), -1);
	}
	for (size_t whole = pack.len, n = 0; n < whole; n++) {
		struct buf torn = {0};
		struct pack_place at = place_of(&torn, 0, sealed.length);
		struct pack_scan_result scan;

		buf_add(&torn, pack.data, n);
		assert_int_equal(pack_verify(dec, &at, sealed.key, NULL, NULL, &e), -1);
		assert_int_equal(e.code, ERR_NOTFOUND);
		/* Over zeros that were written ahead. */
		memset(buf_reserve(&torn, whole), 0, whole);
		buf_added(&torn, whole);
		assert_int_equal(pack_verify(dec, &at, sealed.key, NULL, NULL, &e), -1);
		assert_int_equal(
			pack_scan(pack_id, torn.len, memory_read, &torn, NULL, NULL, &scan, &e), 0);
		/* The entry's own last octets may be zeros. */
		assert_int_equal(scan.entries, 0);
		buf_clear(&torn);
	}
	buf_clear(&pack);
	buf_clear(&body);
	buf_clear(&out);
	pack_encoder_free(enc);
	pack_decoder_free(dec);
}

static void test_elsewhere(void **state)
{
	struct pack_encoder *enc = pack_encoder_new(NULL);
	struct pack_decoder *dec = pack_decoder_new();
	struct buf pack = {0}, copy = {0}, out = {0};
	struct pack_sealed first, second;
	struct pack_place place;
	struct err e;

	(void)state;
	first = append(enc, &pack, SPAN("the first body"));
	second = append(enc, &pack, SPAN("the other body"));
	assert_int_equal(first.length, second.length);

	/* Another pack, another offset, another entry's key, an empty place. */
	place = place_of(&pack, 0, first.length);
	memcpy(place.pack_id, other_id, PACK_ID_BYTES);
	assert_int_equal(pack_fetch(dec, &place, first.key, 0, 0, &out, NULL, &e), -1);
	assert_int_equal(e.code, ERR_PERM);
	buf_add(&copy, (char[16]){0}, 16);
	buf_add(&copy, pack.data, first.length);
	place = place_of(&copy, 16, first.length);
	assert_int_equal(pack_fetch(dec, &place, first.key, 0, 0, &out, NULL, &e), -1);
	assert_int_equal(e.code, ERR_PERM);
	place = place_of(&pack, 0, first.length);
	assert_int_equal(pack_fetch(dec, &place, second.key, 0, 0, &out, NULL, &e), -1);
	assert_int_equal(e.code, ERR_PERM);
	buf_add(&pack, (char[1000]){0}, 1000);
	place = place_of(&pack, first.length * 2, first.length);
	assert_int_equal(pack_fetch(dec, &place, first.key, 0, 0, &out, NULL, &e), -1);
	assert_int_equal(e.code, ERR_NOTFOUND);

	/* Moved as it is and stamped anew it is an entry again. */
	pack_stamp(copy.data + 16, pack_id, 16, first.length);
	place = place_of(&copy, 16, first.length);
	assert_int_equal(pack_fetch(dec, &place, first.key, 0, 0, &out, NULL, &e), 0);
	assert_true(span_is(buf_span(&out), "the first body"));

	/* Chunks of one entry in the other's frame. */
	memcpy(pack.data + PACK_HEADER_BYTES, pack.data + first.length + PACK_HEADER_BYTES, 14);
	place = place_of(&pack, 0, first.length);
	assert_int_equal(pack_fetch(dec, &place, first.key, 0, 0, &out, NULL, &e), -1);
	buf_clear(&pack);
	buf_clear(&copy);
	buf_clear(&out);
	pack_encoder_free(enc);
	pack_decoder_free(dec);
}

static int count_found(void *ctx, const struct pack_found *f)
{
	size_t *n = ctx;

	n[f->whole ? 0 : 1]++;
	return 0;
}

static void test_scan(void **state)
{
	struct pack_encoder *enc = pack_encoder_new(NULL);
	struct pack_scan_result r;
	struct buf pack = {0}, body = {0};
	uint64_t third = 0, end;
	size_t found[2] = {0};
	struct err e;

	(void)state;
	for (size_t i = 0; i < 500; i++) {
		body_fill(&body, i * 7, (unsigned)i);
		if (i == 2)
			third = pack.len;
		append(enc, &pack, buf_span(&body));
	}
	end = pack.len;
	for (int i = 0; i < 400000; i++)
		buf_add_u8(&pack, 0);
	assert_int_equal(
		pack_scan(pack_id, pack.len, memory_read, &pack, count_found, found, &r, &e), 0);
	assert_int_equal(found[0], 500);
	assert_int_equal(r.entries, 500);
	assert_int_equal(r.used, end);
	assert_int_equal(r.garbage, 0);

	/* A damaged header hides one entry, not those behind it. */
	pack.data[third + 9] ^= 1;
	memset(found, 0, sizeof(found));
	assert_int_equal(
		pack_scan(pack_id, pack.len, memory_read, &pack, count_found, found, &r, &e), 0);
	assert_int_equal(r.entries, 499);
	assert_true(r.garbage > 0);
	pack.data[third + 9] ^= 1;

	/* A damaged footer likewise. */
	pack.data[third - 1] ^= 1;
	assert_int_equal(
		pack_scan(pack_id, pack.len, memory_read, &pack, count_found, found, &r, &e), 0);
	assert_int_equal(r.entries, 499);
	assert_int_equal(r.damaged, 1);

	/* Entries of a recycled or copied pack are none. */
	assert_int_equal(
		pack_scan(other_id, pack.len, memory_read, &pack, count_found, found, &r, &e), 0);
	assert_int_equal(r.entries, 0);
	buf_clear(&pack);
	buf_clear(&body);
	pack_encoder_free(enc);
}

static void test_recovery(void **state)
{
	static const uint64_t accounts[] = {7, UINT64_MAX / 2};
	unsigned char secret[RECOVERY_KEY_BYTES], public_key[RECOVERY_KEY_BYTES];
	struct recovery_opened *opened = mem_alloc(sizeof(*opened));
	struct pack_decoder *dec = pack_decoder_new();
	struct buf pack = {0}, box = {0}, out = {0};
	struct pack_encoder *enc;
	struct pack_header header;
	struct pack_sealed sealed;
	struct pack_place place;
	struct err e;

	(void)state;
	assert_int_equal(recovery_keypair_make(secret, public_key, &e), 0);
	enc = pack_encoder_new(public_key);
	pack_encode(enc, SPAN("a body to be recovered"), 1234567, accounts, 2, &pack, &sealed);
	pack_stamp(pack.data, pack_id, 0, sealed.length);
	place = place_of(&pack, 0, sealed.length);
	assert_int_equal(pack_check(&place, &header, &box, &e), 0);
	assert_int_equal(recovery_open(secret, buf_span(&box), header.entry_id, opened, &e), 0);
	assert_int_equal(opened->time, 1234567);
	assert_int_equal(opened->n_accounts, 2);
	assert_int_equal(opened->accounts[1], accounts[1]);
	assert_int_equal(pack_fetch(dec, &place, opened->key, 0, 0, &out, NULL, &e), 0);
	assert_true(span_is(buf_span(&out), "a body to be recovered"));
	/* Another private key, another entry, damage. */
	secret[5] ^= 1;
	assert_int_equal(recovery_open(secret, buf_span(&box), header.entry_id, opened, &e), -1);
	secret[5] ^= 1;
	header.entry_id[0] ^= 1;
	assert_int_equal(recovery_open(secret, buf_span(&box), header.entry_id, opened, &e), -1);
	header.entry_id[0] ^= 1;
	for (size_t i = 0; i < box.len; i++) {
		box.data[i] ^= 0x40;
		assert_int_equal(
			recovery_open(secret, buf_span(&box), header.entry_id, opened, &e), -1);
		box.data[i] ^= 0x40;
		assert_int_equal(
			recovery_open(secret, span_from(box.data, i), header.entry_id, opened, &e),
			-1);
	}
	mem_free(opened);
	buf_clear(&pack);
	buf_clear(&box);
	buf_clear(&out);
	pack_encoder_free(enc);
	pack_decoder_free(dec);
}

static void key_write(const char *path, EVP_PKEY *key, bool private_key)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	if (private_key)
		assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
	else
		assert_int_equal(PEM_write_PUBKEY(f, key), 1);
	assert_int_equal(fclose(f), 0);
}

/* What an operator may put into the setting by mistake is refused at start, not at the first mail.
 */
static void test_recovery_key_files(void **state)
{
	unsigned char secret[RECOVERY_KEY_BYTES], public_key[RECOVERY_KEY_BYTES];
	unsigned char loaded[RECOVERY_KEY_BYTES], zero[RECOVERY_KEY_BYTES] = {0};
	char path[] = "recovery-test-XXXXXX";
	EVP_PKEY *key;
	struct err e;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	(void)close(fd);
	assert_int_equal(recovery_public_load(path, loaded, &e), -1);
	assert_int_equal(recovery_keypair_make(secret, public_key, &e), 0);
	key = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, public_key, sizeof(public_key));
	key_write(path, key, false);
	EVP_PKEY_free(key);
	assert_int_equal(recovery_public_load(path, loaded, &e), 0);
	assert_memory_equal(loaded, public_key, sizeof(loaded));

	key = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, secret, sizeof(secret));
	key_write(path, key, true);
	EVP_PKEY_free(key);
	assert_int_equal(recovery_public_load(path, loaded, &e), -1);
	key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	key_write(path, key, false);
	EVP_PKEY_free(key);
	assert_int_equal(recovery_public_load(path, loaded, &e), -1);
	key = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, zero, sizeof(zero));
	key_write(path, key, false);
	EVP_PKEY_free(key);
	assert_int_equal(recovery_public_load(path, loaded, &e), -1);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(recovery_public_load(path, loaded, &e), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_streamed),
		cmocka_unit_test(test_bit_flips),
		cmocka_unit_test(test_elsewhere),
		cmocka_unit_test(test_scan),
		cmocka_unit_test(test_recovery),
		cmocka_unit_test(test_recovery_key_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
