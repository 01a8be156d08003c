/* Addresses: one normal form, and what names nobody. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib-auth/address.h"
#include "lib-common/mem.h"

static void test_normal_form(void **state)
{
	static const char *const pairs[][2] = {
		{"joe@example.org", "joe@example.org"},
		{"Joe.User+Box@EXAMPLE.org", "joe.user+box@example.org"},
		{"\"joe\"@example.org", "joe@example.org"},
		{"\"j\\oe\"@example.org", "joe@example.org"},
		{"J\xc3\x96RG@example.org", "j\xc3\xb6rg@example.org"},
		{"jo\xcc\x88rg@example.org", "j\xc3\xb6rg@example.org"}, /* decomposed */
		{"joe@M\xc3\x9cLLER.example", "joe@m\xc3\xbcller.example"},
		{"o'neil/x=y%z@example.org", "o'neil/x=y%z@example.org"},
		{"a@localhost", "a@localhost"},
	};
	struct address a;
	size_t i;

	(void)state;
	for (i = 0; i < array_count(pairs); i++) {
		assert_true(address_parse(span_of(pairs[i][0]), &a));
		assert_string_equal(a.text, pairs[i][1]);
		assert_int_equal(a.text[a.local_n], '@');
	}
}

static void test_refused(void **state)
{
	static const char *const bad[] = {"", "joe", "@", "joe@", "@example.org",
		"\"\"@example.org", "\"@example.org", "\"joe@example.org", "\"a b\"@example.org",
		"\"a@b\"@example.org", "\"joe\\\"@example.org", "a b@example.org",
		"a\tb@example.org", "a\x01@example.org", "a\x7f@example.org", ".a@example.org",
		"a.@example.org", "a..b@example.org", "a@b@example.org", "a@.example.org",
		"a@example..org", "a@example.org.", "a@-x.org", "a@x-.org", "a@x_y.org",
		"a@[1.2.3.4]", "a@ex ample.org", "\xc3@example.org", "a\xc0\x80@example.org",
		"a\xed\xa0\x80@example.org", "a\xc2\x85@example.org", "a\xe2\x80\xa8@example.org",
		"a@example.\xff", "a(c)@example.org", "a;b@example.org"};
	char longer[400];
	struct address a;
	size_t i;

	(void)state;
	for (i = 0; i < array_count(bad); i++)
		assert_false(address_parse(span_of(bad[i]), &a));
	memset(longer, 'a', sizeof(longer));
	memcpy(longer + 65, "@example.org", 12);
	assert_false(address_parse(span_from(longer, 77), &a));
	assert_true(address_parse(span_from(longer + 1, 76), &a));
	memset(longer, 'a', sizeof(longer));
	longer[1] = '@';
	assert_false(address_parse(span_from(longer, sizeof(longer)), &a));
	assert_false(address_parse(span_from(longer, 66), &a)); /* a label of 64 */
	assert_true(address_parse(span_from(longer, 65), &a));
	assert_false(address_parse(span_from("a\0b@example.org", 15), &a));
}

static void test_patterns_and_details(void **state)
{
	struct address a, base;
	struct span detail;
	char domain[ADDRESS_DOMAIN_MAX + 1];

	(void)state;
	assert_true(address_parse_pattern(SPAN("@Example.org"), &a));
	assert_string_equal(a.text, "@example.org");
	assert_int_equal(a.local_n, 0);
	assert_true(address_parse(SPAN("joe+a+b@example.org"), &a));
	assert_true(address_split_detail(&a, "+", &base, &detail));
	assert_string_equal(base.text, "joe@example.org");
	assert_true(span_is(detail, "a+b"));
	assert_false(address_split_detail(&a, "", &base, &detail));
	assert_false(address_split_detail(&base, "+-", &base, &detail));
	assert_true(address_parse(SPAN("+a@example.org"), &a));
	assert_false(address_split_detail(&a, "+", &base, &detail));
	assert_true(address_parse_domain(SPAN("EXAMPLE.org"), domain));
	assert_string_equal(domain, "example.org");
	assert_false(address_parse_domain(SPAN("a@b"), domain));
	assert_false(address_parse_domain(SPAN(""), domain));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_normal_form),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_patterns_and_details),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
