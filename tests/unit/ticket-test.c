/* Tickets: what was sealed comes back, and nothing else is believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>
#include "lib-auth/ticket.h"

static const unsigned char key[TICKET_KEY_BYTES] = "0123456789abcdef0123456789abcde";
static const unsigned char other_key[TICKET_KEY_BYTES] = "0123456789abcdef0123456789abcdf";

static void make(struct ticket *t, enum ticket_kind kind, struct buf *out)
{
	ticket_init(t, kind, 1000);
	t->account = 0x7fffffffffffffff;
	t->generation = 5;
	t->quota_bytes = 1;
	t->quota_messages = 2;
	t->shard = 3;
	snprintf(t->session, sizeof(t->session), "%s", "0123456789abcdef01234567");
	snprintf(t->peer, sizeof(t->peer), "%s", "imap");
	snprintf(t->user, sizeof(t->user), "%s", "j\xc3\xb6rg@example.org");
	buf_init(out);
	ticket_seal(t, key, out);
}

static void test_round_trip(void **state)
{
	struct ticket t, back;
	struct buf b;
	struct err e;

	(void)state;
	make(&t, TICKET_SESSION, &b);
	assert_int_equal(ticket_open(buf_span(&b), TICKET_SESSION, key, 1000, &back, &e), 0);
	assert_memory_equal(&t, &back, sizeof(t));
	assert_int_equal(ticket_open(buf_span(&b), TICKET_SESSION, key, 60999, &back, &e), 0);
	assert_int_equal(ticket_open(buf_span(&b), TICKET_SESSION, key, 61000, &back, &e), -1);
	assert_int_equal(e.code, ERR_DENIED);
	assert_true(back.account == 0);
	assert_int_equal(ticket_open(buf_span(&b), TICKET_SESSION, key, 999, &back, &e), -1);
	buf_clear(&b);
}

static void test_kinds_and_keys(void **state)
{
	const enum ticket_kind kinds[] = {TICKET_SESSION, TICKET_GRANT, TICKET_RECIPIENT};
	struct ticket t, back;
	struct buf b, raw, forged;
	struct err e;
	size_t i, j;

	(void)state;
	for (i = 0; i < 3; i++) {
		make(&t, kinds[i], &b);
		for (j = 0; j < 3; j++)
			assert_int_equal(ticket_open(buf_span(&b), kinds[j], key, 1000, &back, &e),
				i == j ? 0 : -1);
		assert_int_equal(
			ticket_open(buf_span(&b), kinds[i], other_key, 1000, &back, &e), -1);
		/* The kind's octet alone does not make it another kind. */
		buf_init(&raw);
		buf_init(&forged);
		assert_true(buf_add_base64_decoded(&raw, buf_span(&b)));
		raw.data[1] = (char)kinds[(i + 1) % 3];
		buf_add_base64(&forged, raw.data, raw.len);
		assert_int_equal(
			ticket_open(buf_span(&forged), kinds[(i + 1) % 3], key, 1000, &back, &e),
			-1);
		buf_clear(&forged);
		buf_clear(&raw);
		buf_clear(&b);
	}
}

static void test_every_octet_counts(void **state)
{
	struct ticket t, back;
	struct buf b, raw, forged;
	struct err e;
	size_t i;

	(void)state;
	make(&t, TICKET_GRANT, &b);
	buf_init(&raw);
	buf_init(&forged);
	assert_true(buf_add_base64_decoded(&raw, buf_span(&b)));
	for (i = 0; i < raw.len; i++) {
		raw.data[i] ^= 1;
		buf_empty(&forged);
		buf_add_base64(&forged, raw.data, raw.len);
		assert_int_equal(
			ticket_open(buf_span(&forged), TICKET_GRANT, key, 1000, &back, &e), -1);
		raw.data[i] ^= 1;
	}
	for (i = 0; i < b.len; i++)
		assert_int_equal(
			ticket_open(span_from(b.data, i), TICKET_GRANT, key, 1000, &back, &e), -1);
	buf_add_str(&b, "AAAA");
	assert_int_equal(ticket_open(buf_span(&b), TICKET_GRANT, key, 1000, &back, &e), -1);
	buf_clear(&forged);
	buf_clear(&raw);
	buf_clear(&b);
}

static void test_nonces_differ(void **state)
{
	struct ticket a, b;

	(void)state;
	ticket_init(&a, TICKET_SESSION, 1);
	ticket_init(&b, TICKET_SESSION, 1);
	assert_memory_not_equal(a.nonce, b.nonce, sizeof(a.nonce));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_kinds_and_keys),
		cmocka_unit_test(test_every_octet_counts),
		cmocka_unit_test(test_nonces_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
