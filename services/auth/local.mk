# auth: credentials, recipients, users
lm_libexec_PROGRAMS += services/auth/auth
services_auth_auth_SOURCES = \
	services/auth/auth.h \
	services/auth/auth-settings.c services/auth/auth-settings.h \
	services/auth/cmd-admin.c services/auth/cmd-admin-user.c \
	services/auth/cmd-login.c services/auth/cmd-lookup.c \
	services/auth/login-cache.c services/auth/login-cache.h \
	services/auth/main.c \
	services/auth/penalty.c services/auth/penalty.h \
	services/auth/push.c \
	services/auth/work-pool.c services/auth/work-pool.h
services_auth_auth_LDADD = $(AUTH_LIBS) $(COMMON_LIBS)

check_PROGRAMS += tests/unit/auth-test
tests_unit_auth_test_SOURCES = tests/unit/auth-test.c \
	services/auth/login-cache.c services/auth/penalty.c services/auth/work-pool.c
tests_unit_auth_test_LDADD = $(COMMON_LIBS) $(CMOCKA_LIBS)
