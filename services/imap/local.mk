# services/imap: its part of the one Makefile
lm_libexec_PROGRAMS += services/imap/imap
IMAP_SOURCES = \
	services/imap/body-reader.c services/imap/body-reader.h \
	services/imap/cmd-append.c \
	services/imap/cmd-copy.c \
	services/imap/cmd-fetch.c \
	services/imap/cmd-list.c \
	services/imap/cmd-mailbox.c \
	services/imap/cmd-search.c \
	services/imap/cmd-select.c \
	services/imap/cmd-store.c \
	services/imap/commands.h \
	services/imap/fetch-body.c \
	services/imap/fetch-parse.c services/imap/fetch.h \
	services/imap/imap-args.c \
	services/imap/imap-client.c services/imap/imap-client.h \
	services/imap/imap-commands.c \
	services/imap/imap-match.c services/imap/imap-match.h \
	services/imap/imap-session.c services/imap/imap-session.h \
	services/imap/imap-settings.c services/imap/imap-settings.h \
	services/imap/imap-sync.c \
	services/imap/mailbox-view.c services/imap/mailbox-view.h \
	services/imap/search-eval.c \
	services/imap/search-parse.c services/imap/search.h
services_imap_imap_SOURCES = services/imap/main.c $(IMAP_SOURCES)
services_imap_imap_LDADD = $(STORAGE_LIBS) $(COMMON_LIBS)
check_PROGRAMS += tests/unit/imap-view-test
tests_unit_imap_view_test_SOURCES = tests/unit/imap-view-test.c \
	services/imap/mailbox-view.c services/imap/imap-match.c
tests_unit_imap_view_test_LDADD = $(STORAGE_LIBS) $(COMMON_LIBS) $(CMOCKA_LIBS)

# a session without peers; imap-harness.h includes imap-client.c
IMAP_HARNESS_SOURCES = tests/unit/imap-harness.h \
	services/imap/body-reader.c services/imap/cmd-append.c services/imap/cmd-copy.c \
	services/imap/cmd-fetch.c services/imap/cmd-list.c services/imap/cmd-mailbox.c \
	services/imap/cmd-search.c services/imap/cmd-select.c services/imap/cmd-store.c \
	services/imap/fetch-body.c services/imap/fetch-parse.c services/imap/imap-args.c \
	services/imap/imap-commands.c services/imap/imap-match.c services/imap/imap-session.c \
	services/imap/imap-sync.c services/imap/mailbox-view.c services/imap/search-eval.c \
	services/imap/search-parse.c
check_PROGRAMS += tests/unit/imap-command-test
tests_unit_imap_command_test_SOURCES = tests/unit/imap-command-test.c $(IMAP_HARNESS_SOURCES)
tests_unit_imap_command_test_LDADD = $(STORAGE_LIBS) $(COMMON_LIBS) $(CMOCKA_LIBS)
if FUZZING
noinst_PROGRAMS += tests/fuzz/imap-fuzz
tests_fuzz_imap_fuzz_SOURCES = tests/fuzz/imap-fuzz.c $(IMAP_HARNESS_SOURCES)
tests_fuzz_imap_fuzz_LDADD = $(STORAGE_LIBS) $(COMMON_LIBS)
tests_fuzz_imap_fuzz_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
endif
