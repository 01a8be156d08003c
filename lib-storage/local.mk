# lib-storage: MIME, packs, mailbox and object formats, SQL
noinst_LIBRARIES += lib-storage/liblmstorage.a
lib_storage_liblmstorage_a_SOURCES = lib-storage/flags.h

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
