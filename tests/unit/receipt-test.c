#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "lib-storage/receipt.h"

static const unsigned char key[RECEIPT_KEY_BYTES] = "the key of these two services..";

static struct receipt sample(void)
{
	struct receipt r = {
		.locator = {.pack = "20231114221320-30313233343536373839616263646500",
			.offset = 99,
			.length = 1000,
			.size = 4000},
		.time = 1700000000,
	};

	memset(r.locator.key, 0x55, sizeof(r.locator.key));
	memset(r.sha256, 0x66, sizeof(r.sha256));
	receipt_sign(&r, key);
	return r;
}

static void test_genuine(void **state)
{
	struct receipt r = sample(), back;
	struct buf text = {0};
	struct err e;

	(void)state;
	receipt_text(&r, &text);
	assert_int_equal(receipt_verify(buf_span(&text), key, r.time + 3600, 3600, &back, &e), 0);
	assert_memory_equal(&back.locator, &r.locator, sizeof(r.locator));
	assert_memory_equal(back.sha256, r.sha256, sizeof(r.sha256));
	assert_int_equal(back.time, r.time);
	/* Too old, or from the future. */
	assert_int_equal(receipt_verify(buf_span(&text), key, r.time + 3601, 3600, &back, &e), -1);
	assert_int_equal(e.code, ERR_TEMP);
	assert_int_equal(receipt_verify(buf_span(&text), key, r.time - 61, 3600, &back, &e), -1);
	assert_int_equal(e.code, ERR_TEMP);
	buf_clear(&text);
}

static void test_forged(void **state)
{
	struct receipt r = sample(), back;
	unsigned char other[RECEIPT_KEY_BYTES];
	struct buf text = {0};
	struct err e;

	(void)state;
	receipt_text(&r, &text);
	for (size_t i = 0; i < text.len; i++) {
		char was = text.data[i];

		text.data[i] = was == '1' ? '2' : '1';
		assert_int_equal(receipt_verify(buf_span(&text), key, r.time, 3600, &back, &e), -1);
		assert_int_equal(e.code, ERR_DENIED);
		text.data[i] = was;
		assert_int_equal(
			receipt_verify(span_from(text.data, i), key, r.time, 3600, &back, &e), -1);
		assert_int_equal(e.code, ERR_DENIED);
	}
	memcpy(other, key, sizeof(other));
	other[31] ^= 1;
	assert_int_equal(receipt_verify(buf_span(&text), other, r.time, 3600, &back, &e), -1);
	assert_int_equal(e.code, ERR_DENIED);
	buf_clear(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_genuine),
		cmocka_unit_test(test_forged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
