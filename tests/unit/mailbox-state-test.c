#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "lib-storage/mailbox-state.h"

static void test_base(void **state)
{
	struct mailbox_record records[3] = {
		{.uid = 2, .flags = 8, .modseq = 10, .size = 100, .internaldate = -5, .body = 77},
		{.uid = 5, .tz_minutes = -330, .savedate = 9},
		{.uid = 4294967295u, .flags = (uint64_t)1 << 63},
	};
	struct mailbox_base base;
	struct err e;
	int fd = mailbox_base_make(records, 3, 4, 11, &e);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 10), -1);
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(mailbox_base_open(fd, &base, &e), 0);
	close(fd);
	assert_int_equal(base.count, 3);
	assert_int_equal(base.header->generation, 4);
	assert_int_equal(base.header->modseq, 11);
	assert_memory_equal(base.records, records, sizeof(records));
	assert_int_equal(mailbox_records_find(base.records, base.count, 1), 0);
	assert_int_equal(mailbox_records_find(base.records, base.count, 2), 0);
	assert_int_equal(mailbox_records_find(base.records, base.count, 3), 1);
	assert_int_equal(mailbox_records_find(base.records, base.count, 4294967295u), 2);
	mailbox_base_close(&base);
	mailbox_base_close(&base);

	fd = mailbox_base_make(NULL, 0, 1, 0, &e);
	assert_int_equal(mailbox_base_open(fd, &base, &e), 0);
	assert_int_equal(base.count, 0);
	mailbox_base_close(&base);
	close(fd);
}

static void check_base_refused(const void *data, size_t n, bool sealed)
{
	struct mailbox_base base;
	struct err e;
	int fd = memfd_create("test", MFD_ALLOW_SEALING);

	assert_int_equal(write(fd, data, n), n);
	if (sealed)
		assert_int_equal(
			fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE), 0);
	assert_int_equal(mailbox_base_open(fd, &base, &e), -1);
	assert_int_equal(e.code, ERR_PROTO);
	close(fd);
}

static void test_base_refused(void **state)
{
	struct {
		struct mailbox_base_header h;
		struct mailbox_record r[2];
	} good = {.h = {MAILBOX_BASE_MAGIC, 56, 2, 1, 1}, .r = {{.uid = 1}, {.uid = 2}}}, bad;

	(void)state;
	check_base_refused(&good, sizeof(good), false);
	check_base_refused(&good, 31, true);
	check_base_refused(&good, sizeof(good) - 1, true);
	check_base_refused(&good, sizeof(good) - sizeof(good.r[0]), true);
	bad = good;
	bad.h.magic++;
	check_base_refused(&bad, sizeof(bad), true);
	bad = good;
	bad.h.record_size = 64;
	check_base_refused(&bad, sizeof(bad), true);
	bad = good;
	bad.h.count = UINT64_MAX;
	check_base_refused(&bad, sizeof(bad), true);
	bad = good;
	bad.r[1].uid = 1;
	check_base_refused(&bad, sizeof(bad), true);
	bad = good;
	bad.r[0].uid = 0;
	check_base_refused(&bad, sizeof(bad), true);
}

static void test_log(void **state)
{
	struct mailbox_record record = {.uid = 9,
		.tz_minutes = -60,
		.flags = 3,
		.modseq = 1234567890123,
		.size = 42,
		.internaldate = -1,
		.body = 5,
		.savedate = 6};
	struct mailbox_change c;
	struct buf log;
	struct span rest;

	(void)state;
	buf_init(&log);
	mailbox_log_new(&log, &record);
	mailbox_log_flags(&log, 9, 1234567890124, 31);
	mailbox_log_expunged(&log, 9, 1234567890125);
	rest = buf_span(&log);
	assert_int_equal(mailbox_log_next(&rest, &c), 1);
	assert_int_equal(c.kind, MESSAGE_NEW);
	assert_memory_equal(&c.record, &record, sizeof(record));
	assert_int_equal(mailbox_log_next(&rest, &c), 1);
	assert_int_equal(c.kind, MESSAGE_FLAGS);
	assert_int_equal(c.record.flags, 31);
	assert_int_equal(c.record.modseq, 1234567890124);
	assert_int_equal(mailbox_log_next(&rest, &c), 1);
	assert_int_equal(c.kind, MESSAGE_EXPUNGED);
	assert_int_equal(c.record.uid, 9);
	assert_int_equal(mailbox_log_next(&rest, &c), 0);

	/* every cut that is not between entries is refused, and nothing is read past the end */
	for (size_t n = 1; n < log.len; n++) {
		char *copy = malloc(n);
		int rc;

		memcpy(copy, log.data, n);
		rest = span_from(copy, n);
		while ((rc = mailbox_log_next(&rest, &c)) == 1)
			;
		assert_true(rc == -1 || n == 55 || n == 76);
		free(copy);
	}
	log.data[0] = 4;
	rest = buf_span(&log);
	assert_int_equal(mailbox_log_next(&rest, &c), -1);
	buf_clear(&log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_base),
		cmocka_unit_test(test_base_refused),
		cmocka_unit_test(test_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
