# lib-auth: password schemes, user database, SASL, tickets
noinst_LIBRARIES += lib-auth/liblmauth.a
lib_auth_liblmauth_a_SOURCES = \
	lib-auth/address.c lib-auth/address.h \
	lib-auth/password.c lib-auth/password.h \
	lib-auth/sasl.c lib-auth/sasl.h \
	lib-auth/ticket.c lib-auth/ticket.h \
	lib-auth/userdb.c lib-auth/userdb-alias.c lib-auth/userdb.h
check_PROGRAMS += tests/unit/address-test tests/unit/password-test tests/unit/sasl-test \
	tests/unit/ticket-test tests/unit/userdb-test
tests_unit_address_test_SOURCES = tests/unit/address-test.c
tests_unit_address_test_LDADD = $(AUTH_LIBS) $(COMMON_LIBS) $(CMOCKA_LIBS)
tests_unit_password_test_SOURCES = tests/unit/password-test.c
tests_unit_password_test_LDADD = $(AUTH_LIBS) $(COMMON_LIBS) $(CMOCKA_LIBS)
tests_unit_sasl_test_SOURCES = tests/unit/sasl-test.c
tests_unit_sasl_test_LDADD = $(AUTH_LIBS) $(COMMON_LIBS) $(CMOCKA_LIBS)
tests_unit_ticket_test_SOURCES = tests/unit/ticket-test.c
tests_unit_ticket_test_LDADD = $(AUTH_LIBS) $(COMMON_LIBS) $(CMOCKA_LIBS)
tests_unit_userdb_test_SOURCES = tests/unit/userdb-test.c
tests_unit_userdb_test_LDADD = $(AUTH_LIBS) $(COMMON_LIBS) $(CMOCKA_LIBS)
