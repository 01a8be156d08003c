# lib-auth: password schemes, user database, SASL, tickets
noinst_LIBRARIES += lib-auth/liblmauth.a
lib_auth_liblmauth_a_SOURCES = \
	lib-auth/password.c lib-auth/password.h \
	lib-auth/ticket.c lib-auth/ticket.h
check_PROGRAMS += tests/unit/password-test tests/unit/ticket-test
tests_unit_password_test_SOURCES = tests/unit/password-test.c
tests_unit_password_test_LDADD = $(AUTH_LIBS) $(COMMON_LIBS) $(CMOCKA_LIBS)
tests_unit_ticket_test_SOURCES = tests/unit/ticket-test.c
tests_unit_ticket_test_LDADD = $(AUTH_LIBS) $(COMMON_LIBS) $(CMOCKA_LIBS)
