# lmtp: accepts deliveries
lm_libexec_PROGRAMS += services/lmtp/lmtp
services_lmtp_lmtp_SOURCES = \
	services/lmtp/lmtp.h \
	services/lmtp/lmtp-client.c \
	services/lmtp/lmtp-command.c \
	services/lmtp/lmtp-data.c services/lmtp/lmtp-data.h \
	services/lmtp/lmtp-deliver.c \
	services/lmtp/lmtp-path.c services/lmtp/lmtp-path.h \
	services/lmtp/lmtp-settings.c services/lmtp/lmtp-settings.h \
	services/lmtp/main.c
services_lmtp_lmtp_LDADD = $(STORAGE_LIBS) $(COMMON_LIBS)

check_PROGRAMS += tests/unit/lmtp-test
tests_unit_lmtp_test_SOURCES = tests/unit/lmtp-test.c \
	services/lmtp/lmtp-data.c services/lmtp/lmtp-path.c
tests_unit_lmtp_test_LDADD = $(COMMON_LIBS) $(CMOCKA_LIBS)
