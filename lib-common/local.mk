# lib-common: what every process uses; knows no mail.
noinst_LIBRARIES += lib-common/liblmcommon.a
lib_common_liblmcommon_a_SOURCES = \
	lib-common/buf.c lib-common/buf.h \
	lib-common/err.c lib-common/err.h \
	lib-common/mem.c lib-common/mem.h \
	lib-common/net.c lib-common/net.h \
	lib-common/channel.h lib-common/channel-conn.h lib-common/channel-codec.c \
	lib-common/channel-doc.c \
	lib-common/channel-conn.c lib-common/channel-server.c lib-common/channel-client.c \
	lib-common/channel-call.c lib-common/channel-call.h lib-common/channel-result.c \
	lib-common/clock.c \
	lib-common/service.c lib-common/service.h lib-common/service-internal.h \
	lib-common/service-settings.c lib-common/service-session.c \
	lib-common/sandbox.c lib-common/sandbox.h lib-common/sandbox-landlock.c \
	lib-common/sandbox-seccomp.c lib-common/sandbox-seccomp.h \
	lib-common/version.h \
	lib-common/topology.c lib-common/topology.h \
	lib-common/settings.c lib-common/settings.h lib-common/settings-internal.h \
	lib-common/settings-value.c lib-common/settings-print.c lib-common/metrics.c \
	lib-common/metrics.h \
	lib-common/log.c lib-common/log.h lib-common/metrics-list.h

check_PROGRAMS += tests/unit/net-test
tests_unit_net_test_SOURCES = tests/unit/net-test.c
tests_unit_net_test_LDADD = $(COMMON_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/settings-test
tests_unit_settings_test_SOURCES = tests/unit/settings-test.c
tests_unit_settings_test_LDADD = $(COMMON_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/sandbox-test
tests_unit_sandbox_test_SOURCES = tests/unit/sandbox-test.c
tests_unit_sandbox_test_LDADD = $(COMMON_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/channel-test
tests_unit_channel_test_SOURCES = tests/unit/channel-test.c tests/unit/channel-kit.c \
	tests/unit/channel-kit.h
tests_unit_channel_test_LDADD = $(COMMON_LIBS) $(CMOCKA_LIBS)

# Misbehaving peers, back-pressure, lost connections.
check_PROGRAMS += tests/unit/channel-peer-test
tests_unit_channel_peer_test_SOURCES = tests/unit/channel-peer-test.c tests/unit/channel-kit.c \
	tests/unit/channel-kit.h
tests_unit_channel_peer_test_LDADD = $(COMMON_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/log-test
tests_unit_log_test_SOURCES = tests/unit/log-test.c
tests_unit_log_test_LDADD = $(COMMON_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/mem-test
tests_unit_mem_test_SOURCES = tests/unit/mem-test.c
tests_unit_mem_test_LDADD = $(COMMON_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/buf-test
tests_unit_buf_test_SOURCES = tests/unit/buf-test.c
tests_unit_buf_test_LDADD = $(COMMON_LIBS) $(CMOCKA_LIBS)

if FUZZING
noinst_PROGRAMS += tests/fuzz/channel-fuzz
tests_fuzz_channel_fuzz_SOURCES = tests/fuzz/channel-fuzz.c
tests_fuzz_channel_fuzz_LDADD = $(COMMON_LIBS)
tests_fuzz_channel_fuzz_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
endif
