# services/indexer: the core is a library of its own, so that tests run it without processes
noinst_LIBRARIES += services/indexer/libindexer.a
services_indexer_libindexer_a_SOURCES = \
	services/indexer/db.c services/indexer/db.h \
	services/indexer/schema.c services/indexer/schema.h services/indexer/statements.h \
	services/indexer/indexer.c services/indexer/indexer.h \
	services/indexer/admin.c services/indexer/deliver.c services/indexer/maintenance.c \
	services/indexer/reader.c services/indexer/reader.h services/indexer/reader-queries.c \
	services/indexer/session.c services/indexer/session-commands.c \
	services/indexer/session-commands.h services/indexer/state.c \
	services/indexer/table.c services/indexer/table.h \
	services/indexer/writer.c services/indexer/writer.h \
	services/indexer/writer-account.c services/indexer/writer-cache.c \
	services/indexer/writer-copy.c services/indexer/writer-deliver.c \
	services/indexer/writer-mailbox.c services/indexer/writer-message.c \
	services/indexer/writer-prune.c services/indexer/writer-store.c

lm_libexec_PROGRAMS += services/indexer/indexer
services_indexer_indexer_SOURCES = services/indexer/main.c \
	services/indexer/indexer-settings.c services/indexer/indexer-settings.h
services_indexer_indexer_LDADD = services/indexer/libindexer.a $(AUTH_LIBS) $(STORAGE_LIBS) $(COMMON_LIBS)

check_PROGRAMS += tests/unit/indexer-writer-test
tests_unit_indexer_writer_test_SOURCES = tests/unit/indexer-writer-test.c tests/unit/indexer-kit.h
tests_unit_indexer_writer_test_LDADD = services/indexer/libindexer.a $(AUTH_LIBS) $(STORAGE_LIBS) \
	$(COMMON_LIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/unit/indexer-session-test
tests_unit_indexer_session_test_SOURCES = tests/unit/indexer-session-test.c tests/unit/indexer-kit.h
tests_unit_indexer_session_test_LDADD = services/indexer/libindexer.a $(AUTH_LIBS) $(STORAGE_LIBS) \
	$(COMMON_LIBS) $(CMOCKA_LIBS)
