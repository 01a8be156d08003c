# lib-auth: password schemes, user database, tickets
noinst_LIBRARIES += lib-auth/liblmauth.a
lib_auth_liblmauth_a_SOURCES =
