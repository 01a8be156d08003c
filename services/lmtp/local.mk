# lmtp: accepts deliveries
check_PROGRAMS += tests/unit/lmtp-test
tests_unit_lmtp_test_SOURCES = tests/unit/lmtp-test.c \
	services/lmtp/lmtp-data.c services/lmtp/lmtp-path.c
tests_unit_lmtp_test_LDADD = $(COMMON_LIBS) $(CMOCKA_LIBS)
