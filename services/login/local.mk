# login: TLS, IMAP before login, the hand-over of connections
lm_libexec_PROGRAMS += services/login/login
services_login_login_SOURCES = \
	services/login/login.h \
	services/login/login-auth.c \
	services/login/login-client.c \
	services/login/login-command.c services/login/login-command.h \
	services/login/login-conn.c \
	services/login/login-handoff.c \
	services/login/login-imap.c \
	services/login/login-proxy.c \
	services/login/login-settings.c services/login/login-settings.h \
	services/login/login-tls.c \
	services/login/main.c
services_login_login_LDADD = $(COMMON_LIBS)

check_PROGRAMS += tests/unit/login-test
tests_unit_login_test_SOURCES = tests/unit/login-test.c services/login/login-command.c
tests_unit_login_test_LDADD = $(COMMON_LIBS) $(CMOCKA_LIBS)
