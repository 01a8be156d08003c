# master: the supervisor
sbin_PROGRAMS += master/lightmail
MASTER_SETTINGS = \
	services/api/api-settings.c \
	services/auth/auth-settings.c \
	services/imap/imap-settings.c \
	services/indexer/indexer-settings.c \
	services/lmtp/lmtp-settings.c \
	services/login/login-settings.c \
	services/s3-uploader/s3-uploader-settings.c
MASTER_SOURCES = \
	master/master.h \
	master/admin.c \
	master/bind.c \
	master/folders.c \
	master/main.c \
	master/notify.c \
	master/plan.c \
	master/process.c \
	master/reload.c \
	master/spawn.c
master_lightmail_SOURCES = $(MASTER_SOURCES) master/units.c $(MASTER_SETTINGS)
master_lightmail_LDADD = $(COMMON_LIBS)

# The test of master runs it with a service of its own, as a pool and as session processes.
check_PROGRAMS += tests/unit/master-test
noinst_PROGRAMS += tests/unit/pool/master-echo tests/unit/pool/echo-service \
	tests/unit/sessions/master-echo tests/unit/sessions/echo-service
ECHO_SETTINGS = tests/unit/echo-settings.c tests/unit/echo-settings.h
tests_unit_pool_master_echo_SOURCES = $(MASTER_SOURCES) tests/unit/echo-registry.c $(ECHO_SETTINGS)
tests_unit_pool_master_echo_CPPFLAGS = $(AM_CPPFLAGS) -DUNIT_COUNT=1
tests_unit_pool_master_echo_LDADD = $(COMMON_LIBS)
tests_unit_pool_echo_service_SOURCES = tests/unit/echo-service.c $(ECHO_SETTINGS)
tests_unit_pool_echo_service_LDADD = $(COMMON_LIBS)
tests_unit_sessions_master_echo_SOURCES = $(tests_unit_pool_master_echo_SOURCES)
tests_unit_sessions_master_echo_CPPFLAGS = $(AM_CPPFLAGS) -DUNIT_COUNT=1 -DECHO_SESSIONS=true
tests_unit_sessions_master_echo_LDADD = $(COMMON_LIBS)
tests_unit_sessions_echo_service_SOURCES = $(tests_unit_pool_echo_service_SOURCES)
tests_unit_sessions_echo_service_CPPFLAGS = $(AM_CPPFLAGS) -DECHO_SESSIONS=true
tests_unit_sessions_echo_service_LDADD = $(COMMON_LIBS)
tests_unit_master_test_SOURCES = tests/unit/master-test.c
tests_unit_master_test_LDADD = $(COMMON_LIBS) $(CMOCKA_LIBS)
