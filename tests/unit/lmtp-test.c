/* lmtp: paths, parameters and the end of DATA, whole and one octet at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "services/lmtp/lmtp-data.h"
#include "services/lmtp/lmtp-path.h"

static void check_data(struct span in, struct span want, size_t used, bool ended)
{
	for (size_t step = 1; step <= in.n; step += in.n - 1) {
		struct lmtp_data d;
		struct buf out;
		size_t i = 0;

		lmtp_data_init(&d);
		buf_init(&out);
		while (i < in.n && !lmtp_data_ended(&d))
			i += lmtp_data_feed(
				&d, span_from(in.p + i, step < in.n - i ? step : in.n - i), &out);
		assert_int_equal(i, used);
		assert_int_equal(lmtp_data_ended(&d), ended);
		assert_true(span_equal(buf_span(&out), want));
		buf_clear(&out);
	}
}

#define CHECK(in, want, used, ended) check_data(SPAN(in), SPAN(want), used, ended)

static void test_data(void **state)
{
	(void)state;
	CHECK("a\r\n.\r\nQUIT\r\n", "a\r\n", 6, true);
	CHECK(".\r\nX", "", 3, true);
	CHECK("..\r\n.\r\n", ".\r\n", 7, true);
	CHECK("a\r\n..b\r\n.c\r\n.\r\n", "a\r\n.b\r\nc\r\n", 15, true);
	/* None of these ends the data. */
	CHECK("a\n.\nb", "a\n.\nb", 5, false);
	CHECK("a\n.\r\nb", "a\n.\r\nb", 6, false);
	CHECK("a\r\n.\nb", "a\r\n\nb", 6, false);
	CHECK("a\r.\rb", "a\r.\rb", 5, false);
	CHECK("a\r\n.\r.\r\n", "a\r\n\r.\r\n", 8, false);
	CHECK("a\r\r\n.\r\r\nb", "a\r\r\n\r\r\nb", 9, false);
	CHECK("\r.\r\nb", "\r.\r\nb", 5, false);
}

static void check_path(const char *in, bool null_ok, const char *want)
{
	struct span s = span_of(in);
	struct lmtp_path path;
	bool ok = lmtp_path_parse(&s, null_ok, &path);

	assert_int_equal(ok, want != NULL);
	if (want != NULL)
		assert_string_equal(path.address, want);
}

static void test_path(void **state)
{
	char many[1200];

	(void)state;
	check_path("<a@b.example>", false, "a@b.example");
	check_path(" <a@b>", false, "a@b");
	check_path("<@x,@y:a+d@b>", false, "a+d@b");
	check_path("<\"a b\\\"c\"@d>", false, "a b\"c@d");
	check_path("<postmaster>", false, "postmaster");
	check_path("<a@[IPv6:::1]>", false, "a@[IPv6:::1]");
	check_path("<>", true, "");
	check_path("<>", false, NULL);
	check_path("<\"\"@x>", false, NULL);
	check_path("<@x>", false, NULL);
	check_path("<a@>", false, NULL);
	check_path("<a@b", false, NULL);
	check_path("a@b", false, NULL);
	check_path("<a@b>x", false, NULL);
	check_path("<a\x01@b>", false, NULL);
	check_path("<\xc3\xa4@b>", false, "\xc3\xa4@b");
	check_path("<\xc3@b>", false, NULL);
	check_path("<\"a", false, NULL);
	check_path("<\"a\\", false, NULL);
	memset(many, 'a', sizeof(many));
	many[0] = '<';
	many[sizeof(many) - 1] = '\0';
	check_path(many, false, NULL);
}

static void test_params(void **state)
{
	struct span s = SPAN(" SIZE=12  SMTPUTF8 =x"), key, value;
	bool bad;

	(void)state;
	assert_true(lmtp_param_next(&s, &key, &value, &bad));
	assert_true(!bad && span_is(key, "SIZE") && span_is(value, "12"));
	assert_true(lmtp_param_next(&s, &key, &value, &bad));
	assert_true(!bad && span_is(key, "SMTPUTF8") && value.p == NULL);
	assert_true(lmtp_param_next(&s, &key, &value, &bad));
	assert_true(bad);
	assert_false(lmtp_param_next(&s, &key, &value, &bad));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_data),
		cmocka_unit_test(test_path),
		cmocka_unit_test(test_params),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
