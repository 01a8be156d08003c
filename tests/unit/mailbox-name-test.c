#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include "lib-storage/mailbox-name.h"

static void check_normal(const char *name, const char *expected)
{
	struct buf out;
	struct err e;

	buf_init(&out);
	buf_add_str(&out, "kept ");
	if (expected == NULL) {
		assert_int_equal(mailbox_name_normalise(span_of(name), &out, &e), -1);
		assert_int_equal(e.code, ERR_PERM);
		assert_string_equal(buf_str(&out), "kept ");
	} else {
		assert_int_equal(mailbox_name_normalise(span_of(name), &out, &e), 0);
		assert_string_equal(buf_str(&out) + 5, expected);
		assert_true(mailbox_name_is_normal(span_of(expected)));
	}
	buf_clear(&out);
}

static void test_normalise(void **state)
{
	struct buf deep;

	(void)state;
	check_normal("INBOX", "INBOX");
	check_normal("inbox", "INBOX");
	check_normal("inBox/Sub", "INBOX/Sub");
	check_normal("inboxes", "inboxes");
	check_normal("a/inbox", "a/inbox");
	check_normal("a/b/", "a/b");
	check_normal("e\xcc\x81t\xc3\xa9", "\xc3\xa9t\xc3\xa9");
	check_normal("Entw\xc3\xbcrfe", "Entw\xc3\xbcrfe");
	check_normal("a b & \"c\\d\"", "a b & \"c\\d\"");
	check_normal("", NULL);
	check_normal("/", NULL);
	check_normal("/a", NULL);
	check_normal("a//b", NULL);
	check_normal("a//", NULL);
	check_normal("a*", NULL);
	check_normal("100%", NULL);
	check_normal("a\tb", NULL);
	check_normal("a\x7f", NULL);
	check_normal("a\xc2\x85", NULL);
	check_normal("a\xe2\x80\xa8", NULL);
	check_normal("\xff", NULL);
	check_normal("\xc0\xaf", NULL);
	check_normal("\xed\xa0\x80", NULL);
	assert_false(mailbox_name_is_normal(SPAN("inbox")));
	assert_false(mailbox_name_is_normal(span_from("a\0b", 3)));

	buf_init(&deep);
	for (int i = 0; i < MAILBOX_DEPTH_MAX; i++)
		buf_add_str(&deep, i == 0 ? "x" : "/x");
	assert_true(mailbox_name_is_normal(buf_span(&deep)));
	buf_add_str(&deep, "/x");
	assert_false(mailbox_name_is_normal(buf_span(&deep)));
	buf_empty(&deep);
	for (int i = 0; i < MAILBOX_NAME_MAX; i++)
		buf_add_c(&deep, 'y');
	assert_true(mailbox_name_is_normal(buf_span(&deep)));
	buf_add_c(&deep, 'y');
	assert_false(mailbox_name_is_normal(buf_span(&deep)));
	buf_clear(&deep);
}

static void test_levels(void **state)
{
	(void)state;
	assert_true(span_is(mailbox_name_parent(SPAN("a/b/c")), "a/b"));
	assert_true(span_is(mailbox_name_parent(SPAN("a")), ""));
	assert_true(mailbox_name_is_below(SPAN("a/b"), SPAN("a")));
	assert_false(mailbox_name_is_below(SPAN("ab"), SPAN("a")));
	assert_false(mailbox_name_is_below(SPAN("a"), SPAN("a")));
	assert_true(mailbox_name_is_inbox(SPAN("INBOX")));
	assert_false(mailbox_name_is_inbox(SPAN("INBOX/a")));
}

static void check_both_ways(const char *utf7, const char *utf8)
{
	struct buf out;

	buf_init(&out);
	assert_true(mailbox_name_from_utf7(span_of(utf7), &out));
	assert_string_equal(buf_str(&out), utf8);
	buf_empty(&out);
	mailbox_name_to_utf7(span_of(utf8), &out);
	assert_string_equal(buf_str(&out), utf7);
	buf_clear(&out);
}

static void test_utf7(void **state)
{
	static const char *const bad[] = {"&", "a&b", "&Jjo", "&Jj-", "&AGE-", "&Jjo-&Jjo-",
		"\xc3\xa9", "a\tb", "&2AA-", "&3AA-", "&2ADYAA-", "&AAA*-", "&Jjp-", "&A-"};
	struct buf out;

	(void)state;
	check_both_ways("INBOX", "INBOX");
	check_both_ways("~peter/mail/&U,BTFw-/&ZeVnLIqe-",
		"~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e");
	check_both_ways("&Jjo-!", "\xe2\x98\xba!");
	check_both_ways("a&-b", "a&b");
	check_both_ways("Entw&APw-rfe", "Entw\xc3\xbcrfe");
	check_both_ways("&2D3eAA-", "\xf0\x9f\x98\x80");
	buf_init(&out);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(mailbox_name_from_utf7(span_of(bad[i]), &out));
	buf_clear(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_normalise),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_utf7),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
