#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "lib-common/mem.h"
#include "lib-storage/locator.h"

#define NAME "20231114221320-30313233343536373839616263646500"

static void test_forms(void **state)
{
	struct locator l = {.pack = NAME, .offset = 12, .length = 3456, .size = 9000}, m;
	struct buf text = {0}, binary = {0};
	struct span s;

	(void)state;
	memset(l.key, 0xab, sizeof(l.key));
	memset(l.key_id, 0x12, sizeof(l.key_id));
	locator_text(&l, &text);
	assert_true(text.len < LOCATOR_TEXT_MAX);
	assert_true(locator_parse(buf_span(&text), &m));
	assert_string_equal(m.pack, NAME);
	assert_int_equal(m.offset, 12);
	assert_int_equal(m.length, 3456);
	assert_int_equal(m.size, 9000);
	assert_memory_equal(m.key, l.key, sizeof(l.key));
	for (size_t n = 0; n < text.len; n++) {
		if (locator_parse(span_from(text.data, n), &m))
			assert_true(n > text.len - 4); /* fewer digits of the size */
	}
	buf_add_str(&text, ",1");
	assert_false(locator_parse(buf_span(&text), &m));

	locator_binary(&l, &binary);
	buf_add_c(&binary, 'x');
	s = buf_span(&binary);
	assert_true(locator_get(&s, &m));
	assert_int_equal(s.n, 1);
	assert_int_equal(m.size, 9000);
	for (size_t n = 0; n + 1 < binary.len; n++) {
		s = span_from(binary.data, n);
		assert_false(locator_get(&s, &m));
		assert_int_equal(s.n, n);
	}
	buf_clear(&text);
	buf_clear(&binary);
}

static void test_key_files(void **state)
{
	char folder[] = "kek-test-XXXXXX";
	unsigned char key[PACK_KEY_BYTES], back[PACK_KEY_BYTES];
	struct locator l = {.pack = NAME};
	struct kek_ring *old, *new, *copy;
	struct stat st;
	char *path;
	struct err e;

	(void)state;
	memset(key, 7, sizeof(key));
	assert_non_null(mkdtemp(folder));
	path = mem_printf("%s/kek", folder);
	assert_null(kek_load(path, &e));
	assert_int_equal(e.code, ERR_NOTFOUND);
	assert_int_equal(kek_file_create(path, &e), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(kek_file_create(path, &e), -1);
	assert_int_equal(e.code, ERR_EXISTS);

	old = kek_load(path, &e);
	assert_non_null(old);
	for (int i = 0; i < 3; i++) {
		kek_wrap(old, key, l.key, l.key_id);
		assert_int_equal(kek_unwrap(old, l.key, l.key_id, back, &e), 0);
		assert_memory_equal(key, back, sizeof(key));
	}
	for (size_t i = 0; i < sizeof(l.key); i++) {
		l.key[i] ^= 4;
		assert_int_equal(kek_unwrap(old, l.key, l.key_id, back, &e), -1);
		assert_int_equal(e.code, ERR_PERM);
		l.key[i] ^= 4;
	}

	/* After a rotation both keys unwrap, and what was wrapped anew needs the new one only. */
	assert_int_equal(kek_file_rotate(path, &e), 0);
	new = kek_load(path, &e);
	assert_non_null(new);
	copy = kek_copy(new);
	assert_int_equal(kek_unwrap(copy, l.key, l.key_id, back, &e), 0);
	assert_int_equal(locator_rewrap(copy, &l, &e), 0);
	assert_int_equal(kek_unwrap(new, l.key, l.key_id, back, &e), 0);
	assert_memory_equal(key, back, sizeof(key));
	assert_int_equal(kek_unwrap(old, l.key, l.key_id, back, &e), -1);
	assert_int_equal(e.code, ERR_NOTFOUND);
	kek_free(old);
	kek_free(new);
	kek_free(copy);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(folder), 0);
	mem_free(path);
}

static void test_bad_key_files(void **state)
{
	struct kek_ring *ring;
	struct err e;

	(void)state;
	assert_null(kek_parse(SPAN(""), &e));
	assert_null(kek_parse(SPAN("# nothing\n"), &e));
	assert_null(kek_parse(SPAN("0011223344556677 00\n"), &e));
	assert_null(kek_parse(
		SPAN("00112233445566 "
		     "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n"),
		&e));
	assert_null(strstr(e.log, "aabb"));
	ring = kek_parse(SPAN("# made today\n0011223344556677 "
			      "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n"),
		&e);
	assert_non_null(ring);
	kek_free(ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_key_files),
		cmocka_unit_test(test_bad_key_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
