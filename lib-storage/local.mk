# lib-storage: MIME, packs, mailbox and object formats, SQL
noinst_LIBRARIES += lib-storage/liblmstorage.a
lib_storage_liblmstorage_a_SOURCES = lib-storage/flags.h \
	lib-storage/message-body.c lib-storage/message-body.h

# what indexer and its clients share
lib_storage_liblmstorage_a_SOURCES += \
	lib-storage/mailbox-name.c lib-storage/mailbox-name.h \
	lib-storage/mailbox-state.c lib-storage/mailbox-state.h \
	lib-storage/uidset.c lib-storage/uidset.h
check_PROGRAMS += tests/unit/mailbox-name-test tests/unit/mailbox-state-test tests/unit/uidset-test
tests_unit_mailbox_name_test_SOURCES = tests/unit/mailbox-name-test.c
tests_unit_mailbox_name_test_LDADD = $(STORAGE_LIBS) $(COMMON_LIBS) $(CMOCKA_LIBS)
tests_unit_mailbox_state_test_SOURCES = tests/unit/mailbox-state-test.c
tests_unit_mailbox_state_test_LDADD = $(STORAGE_LIBS) $(COMMON_LIBS) $(CMOCKA_LIBS)
tests_unit_uidset_test_SOURCES = tests/unit/uidset-test.c
tests_unit_uidset_test_LDADD = $(STORAGE_LIBS) $(COMMON_LIBS) $(CMOCKA_LIBS)
if FUZZING
noinst_PROGRAMS += tests/fuzz/mailbox-fuzz
tests_fuzz_mailbox_fuzz_SOURCES = tests/fuzz/mailbox-fuzz.c
tests_fuzz_mailbox_fuzz_LDADD = $(STORAGE_LIBS) $(COMMON_LIBS)
tests_fuzz_mailbox_fuzz_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
endif

# the SQL layer, of indexer and auth
lib_storage_liblmstorage_a_SOURCES += \
	lib-storage/sql.c lib-storage/sql.h lib-storage/sql-driver.h lib-storage/sql-sqlite.c
check_PROGRAMS += tests/unit/sql-test
tests_unit_sql_test_SOURCES = tests/unit/sql-test.c
tests_unit_sql_test_LDADD = $(STORAGE_LIBS) $(COMMON_LIBS) $(CMOCKA_LIBS)

# IMAP's syntax, shared by the processes before and after login
lib_storage_liblmstorage_a_SOURCES += \
	lib-storage/imap-lexer.c lib-storage/imap-lexer.h \
	lib-storage/imap-parser.c lib-storage/imap-parser.h \
	lib-storage/imap-write.c lib-storage/imap-write.h
check_PROGRAMS += tests/unit/imap-lexer-test
tests_unit_imap_lexer_test_SOURCES = tests/unit/imap-lexer-test.c
tests_unit_imap_lexer_test_LDADD = $(STORAGE_LIBS) $(COMMON_LIBS) $(CMOCKA_LIBS)

# packs: the format of stored bodies, locators and receipts
lib_storage_liblmstorage_a_SOURCES += \
	lib-storage/locator.c lib-storage/locator.h \
	lib-storage/pack.c lib-storage/pack.h lib-storage/pack-internal.h \
	lib-storage/pack-read.c lib-storage/pack-scan.c \
	lib-storage/pack-recovery.c lib-storage/pack-recovery.h \
	lib-storage/receipt.c lib-storage/receipt.h \
	lib-storage/object.h lib-storage/object-fs.h lib-storage/object-fs.c \
	lib-storage/object-fs-write.c lib-storage/object-fs-list.c \
	lib-storage/object-put.c lib-storage/object-put.h \
	lib-storage/object-pool.c lib-storage/object-read.c lib-storage/object-read.h
EXTRA_PROGRAMS += tests/bench/pack-bench
tests_bench_pack_bench_SOURCES = tests/bench/pack-bench.c
tests_bench_pack_bench_LDADD = $(STORAGE_LIBS) $(COMMON_LIBS)
check_PROGRAMS += tests/unit/pack-test tests/unit/locator-test tests/unit/receipt-test tests/unit/object-test
tests_unit_object_test_SOURCES = tests/unit/object-test.c
tests_unit_object_test_LDADD = $(STORAGE_LIBS) $(COMMON_LIBS) $(CMOCKA_LIBS)
tests_unit_pack_test_SOURCES = tests/unit/pack-test.c
tests_unit_pack_test_LDADD = $(STORAGE_LIBS) $(COMMON_LIBS) $(CMOCKA_LIBS)
tests_unit_locator_test_SOURCES = tests/unit/locator-test.c
tests_unit_locator_test_LDADD = $(STORAGE_LIBS) $(COMMON_LIBS) $(CMOCKA_LIBS)
tests_unit_receipt_test_SOURCES = tests/unit/receipt-test.c
tests_unit_receipt_test_LDADD = $(STORAGE_LIBS) $(COMMON_LIBS) $(CMOCKA_LIBS)
if FUZZING
noinst_PROGRAMS += tests/fuzz/pack-fuzz
tests_fuzz_pack_fuzz_SOURCES = tests/fuzz/pack-fuzz.c
tests_fuzz_pack_fuzz_LDADD = $(STORAGE_LIBS) $(COMMON_LIBS)
tests_fuzz_pack_fuzz_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
endif
lib_storage_liblmstorage_a_SOURCES += \
	lib-storage/address.c lib-storage/address.h \
	lib-storage/header.c lib-storage/header-date.c lib-storage/header.h \
	lib-storage/mime.c lib-storage/mime-fields.c lib-storage/mime-params.c \
	lib-storage/mime.h lib-storage/mime-internal.h
lib_storage_liblmstorage_a_SOURCES += \
	lib-storage/meta.c lib-storage/meta.h lib-storage/meta-section.c \
	lib-storage/meta-pack.c lib-storage/meta-pack.h \
	lib-storage/meta-wire.c lib-storage/meta-wire.h
check_PROGRAMS += tests/unit/mime-test
tests_unit_mime_test_SOURCES = tests/unit/mime-test.c
tests_unit_mime_test_LDADD = $(STORAGE_LIBS) $(COMMON_LIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/unit/meta-test
tests_unit_meta_test_SOURCES = tests/unit/meta-test.c
tests_unit_meta_test_LDADD = $(STORAGE_LIBS) $(COMMON_LIBS) $(CMOCKA_LIBS)
lib_storage_liblmstorage_a_SOURCES += \
	lib-storage/charset.c lib-storage/charset.h \
	lib-storage/charset-header.c lib-storage/charset-transfer.c
lib_storage_liblmstorage_a_SOURCES += \
	lib-storage/text.c lib-storage/text-html.c lib-storage/text.h
check_PROGRAMS += tests/unit/header-test tests/unit/charset-test
tests_unit_header_test_SOURCES = tests/unit/header-test.c
tests_unit_header_test_LDADD = $(STORAGE_LIBS) $(COMMON_LIBS) $(CMOCKA_LIBS)
tests_unit_charset_test_SOURCES = tests/unit/charset-test.c
tests_unit_charset_test_LDADD = $(STORAGE_LIBS) $(COMMON_LIBS) $(CMOCKA_LIBS)
if FUZZING
noinst_PROGRAMS += tests/fuzz/mime-fuzz tests/fuzz/meta-fuzz
tests_fuzz_mime_fuzz_SOURCES = tests/fuzz/mime-fuzz.c
tests_fuzz_mime_fuzz_LDADD = $(STORAGE_LIBS) $(COMMON_LIBS)
tests_fuzz_mime_fuzz_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_meta_fuzz_SOURCES = tests/fuzz/meta-fuzz.c
tests_fuzz_meta_fuzz_LDADD = $(STORAGE_LIBS) $(COMMON_LIBS)
tests_fuzz_meta_fuzz_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
endif
