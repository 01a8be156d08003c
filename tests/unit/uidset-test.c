#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include "lib-storage/uidset.h"

static void check_parse(const char *text, uint32_t star, const char *expected)
{
	struct uidset set;
	struct buf out;

	uidset_init(&set);
	buf_init(&out);
	if (expected == NULL) {
		assert_int_equal(uidset_parse(&set, span_of(text), star, 100), -1);
		assert_true(uidset_is_empty(&set));
	} else {
		assert_int_equal(uidset_parse(&set, span_of(text), star, 100), 0);
		uidset_format(&set, &out);
		assert_string_equal(buf_str(&out), expected);
	}
	buf_clear(&out);
	uidset_clear(&set);
}

static void test_parse(void **state)
{
	(void)state;
	check_parse("1", 0, "1");
	check_parse("1:5,9", 0, "1:5,9");
	check_parse("9,1:5", 0, "1:5,9");
	check_parse("5:1", 0, "1:5");
	check_parse("1,2,3,5", 0, "1:3,5");
	check_parse("1:10,3:4,11", 0, "1:11");
	check_parse("4294967295,1:4294967295", 0, "1:4294967295");
	check_parse("4294967294:4294967295,4294967295", 0, "4294967294:4294967295");
	check_parse("*", 7, "7");
	check_parse("9:*", 7, "7:9");
	check_parse("*:2", 7, "2:7");
	check_parse("*", 0, NULL);
	check_parse("1:*", 0, NULL);
}

static void test_refused(void **state)
{
	static const char *const bad[] = {"", "0", "01", "1,", ",1", "1:", ":1", "1:2:3", "a",
		"1 2", "-1", "+1", "4294967296", "99999999999", "1,,2", "**", "1:0", "0:5"};
	struct uidset set;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		check_parse(bad[i], 5, NULL);
	uidset_init(&set);
	assert_int_equal(uidset_parse(&set, SPAN("1,3,5"), 0, 2), -1);
	assert_int_equal(uidset_parse(&set, SPAN("1,3"), 0, 2), 0);
	uidset_clear(&set);
}

static void test_members(void **state)
{
	struct uidset set;

	(void)state;
	uidset_init(&set);
	assert_false(uidset_has(&set, 1));
	assert_int_equal(uidset_next(&set, 0), 0);
	assert_int_equal(uidset_parse(&set, SPAN("3:5,10,4294967295"), 0, 10), 0);
	assert_int_equal(uidset_count(&set), 5);
	assert_false(uidset_has(&set, 2));
	assert_true(uidset_has(&set, 3));
	assert_true(uidset_has(&set, 5));
	assert_false(uidset_has(&set, 6));
	assert_true(uidset_has(&set, 4294967295u));
	assert_int_equal(uidset_next(&set, 1), 3);
	assert_int_equal(uidset_next(&set, 4), 4);
	assert_int_equal(uidset_next(&set, 6), 10);
	assert_int_equal(uidset_next(&set, 11), 4294967295u);
	uidset_clear(&set);
}

/* Random additions against a table of booleans. */
static void test_add_random(void **state)
{
	unsigned seed = 12345;

	(void)state;
	for (int round = 0; round < 200; round++) {
		bool table[64] = {false};
		struct uidset set;
		unsigned count = 0;

		uidset_init(&set);
		for (int i = 0; i < 12; i++) {
			uint32_t a = 1 + (uint32_t)rand_r(&seed) % 60;
			uint32_t b = a + (uint32_t)rand_r(&seed) % 4;

			if (i % 2 == 0)
				uidset_add(&set, a, b);
			else
				uidset_add(&set, b, a);
			for (uint32_t u = a; u <= b; u++)
				table[u] = true;
		}
		for (uint32_t u = 0; u < 64; u++) {
			assert_int_equal(uidset_has(&set, u), table[u]);
			count += table[u];
		}
		assert_int_equal(uidset_count(&set), count);
		for (size_t i = 1; i < set.n; i++)
			assert_true(set.ranges[i].first > set.ranges[i - 1].last + 1);
		uidset_clear(&set);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_add_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
