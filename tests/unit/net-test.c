/* net: addresses and networks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include "lib-common/net.h"

static void test_lists(void **state)
{
	char bad[NET_TEXT_SIZE + 8];
	const char *list = "127.0.0.0/8 192.0.2.7 2001:db8::/33 ::1";

	(void)state;
	assert_true(net_list_has(list, "127.1.2.3"));
	assert_true(net_list_has(list, "::ffff:127.0.0.1"));
	assert_true(net_list_has(list, "192.0.2.7"));
	assert_false(net_list_has(list, "192.0.2.6"));
	assert_true(net_list_has(list, "2001:db8:7fff::1"));
	assert_false(net_list_has(list, "2001:db8:8000::1"));
	assert_true(net_list_has(list, "::1"));
	assert_false(net_list_has(list, "::2"));
	assert_false(net_list_has(list, "local"));
	assert_false(net_list_has("", "127.0.0.1"));
	assert_true(net_list_has("0.0.0.0/0", "8.8.8.8"));
	assert_false(net_list_has("0.0.0.0/0", "2001:db8::1"));
	assert_null(net_list_check(list, bad));
	assert_null(net_list_check("", bad));
	assert_string_equal(net_list_check("10.0.0.0/8 10.0.0.0/33", bad), "10.0.0.0/33");
	assert_string_equal(net_list_check("example.org", bad), "example.org");
	assert_string_equal(net_list_check("/8", bad), "/8");
	assert_string_equal(net_list_check("10.0.0.0/", bad), "10.0.0.0/");
}

static void check_key(const char *text, const char *want_text, const char *want_key)
{
	struct sockaddr_in6 sa = {.sin6_family = AF_INET6};
	char got[NET_TEXT_SIZE];

	assert_int_equal(inet_pton(AF_INET6, text, &sa.sin6_addr), 1);
	net_text((struct sockaddr *)&sa, got);
	assert_string_equal(got, want_text);
	net_peer_key((struct sockaddr *)&sa, got);
	assert_string_equal(got, want_key);
}

static void test_texts(void **state)
{
	(void)state;
	check_key("::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1");
	check_key("2001:db8:1:2:3:4:5:6", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
