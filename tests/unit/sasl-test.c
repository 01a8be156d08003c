/* SASL server sides: PLAIN and LOGIN, good and broken clients. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib-auth/sasl.h"
#include "lib-common/mem.h"

static void test_plain(void **state)
{
	struct sasl *s = sasl_new(SPAN("plain"));

	(void)state;
	assert_int_equal(sasl_step(s, true, span_from("z\0joe\0pw", 8)), SASL_CREDENTIALS);
	assert_string_equal(buf_str(&s->authzid), "z");
	assert_string_equal(buf_str(&s->authcid), "joe");
	assert_string_equal(buf_str(&s->password), "pw");
	sasl_free(s);
	s = sasl_new(SPAN("PLAIN"));
	assert_int_equal(sasl_step(s, false, SPAN("")), SASL_CHALLENGE);
	assert_int_equal(s->challenge.len, 0);
	assert_int_equal(sasl_step(s, true, span_from("\0joe\0pw", 7)), SASL_CREDENTIALS);
	assert_int_equal(s->authzid.len, 0);
	sasl_free(s);
}

static void test_plain_broken(void **state)
{
	static const struct span bad[] = {{"", 0}, {"joe", 3}, {"\0joe", 4}, {"\0joe\0", 5},
		{"\0\0pw", 4}, {"\0joe\0p\0w", 8}, {"\0\0", 2}};
	char huge[SASL_INPUT_MAX + 1];
	struct sasl *s;
	size_t i;

	(void)state;
	for (i = 0; i < array_count(bad); i++) {
		s = sasl_new(SPAN("PLAIN"));
		assert_int_equal(sasl_step(s, true, bad[i]), SASL_BAD);
		assert_int_equal(s->password.len, 0);
		sasl_free(s);
	}
	s = sasl_new(SPAN("PLAIN"));
	memset(huge, 'a', sizeof(huge));
	huge[0] = huge[2] = '\0';
	assert_int_equal(sasl_step(s, true, span_from(huge, sizeof(huge))), SASL_BAD);
	sasl_free(s);
	s = sasl_new(SPAN("PLAIN"));
	assert_int_equal(sasl_step(s, false, SPAN("")), SASL_CHALLENGE);
	assert_int_equal(sasl_step(s, false, SPAN("")), SASL_BAD);
	sasl_free(s);
}

static void test_login(void **state)
{
	struct sasl *s = sasl_new(SPAN("LOGIN"));

	(void)state;
	assert_int_equal(sasl_step(s, false, SPAN("")), SASL_CHALLENGE);
	assert_string_equal(buf_str(&s->challenge), "Username:");
	assert_int_equal(sasl_step(s, true, SPAN("joe")), SASL_CHALLENGE);
	assert_string_equal(buf_str(&s->challenge), "Password:");
	assert_int_equal(sasl_step(s, true, SPAN("pw")), SASL_CREDENTIALS);
	assert_string_equal(buf_str(&s->authcid), "joe");
	assert_string_equal(buf_str(&s->password), "pw");
	assert_int_equal(sasl_step(s, true, SPAN("more")), SASL_BAD);
	sasl_free(s);
	s = sasl_new(SPAN("LOGIN"));
	assert_int_equal(sasl_step(s, true, SPAN("joe")), SASL_CHALLENGE);
	assert_int_equal(sasl_step(s, true, SPAN("")), SASL_BAD);
	sasl_free(s);
}

static void test_unknown(void **state)
{
	(void)state;
	assert_null(sasl_new(SPAN("ANONYMOUS")));
	assert_null(sasl_new(SPAN("")));
	sasl_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_plain_broken),
		cmocka_unit_test(test_login),
		cmocka_unit_test(test_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
