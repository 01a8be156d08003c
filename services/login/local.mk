# login: TLS, IMAP before login, the hand-over of connections
check_PROGRAMS += tests/unit/login-test
tests_unit_login_test_SOURCES = tests/unit/login-test.c services/login/login-command.c
tests_unit_login_test_LDADD = $(COMMON_LIBS) $(CMOCKA_LIBS)
