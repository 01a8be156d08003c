# tests: the end-to-end tests and the load generator. Unit tests are declared by the folder of the
# module they test.
EXTRA_PROGRAMS += tests/bench/lmload
tests_bench_lmload_SOURCES = tests/bench/lmload.c
CLEANFILES += tests/bench/lmload

EXTRA_DIST += tests/unit/run tests/e2e tests/corpus tests/bench/bench.py tests/bench/dovecot.py

EXTRA_PROGRAMS += tests/bench/channel-bench
tests_bench_channel_bench_SOURCES = tests/bench/channel-bench.c
tests_bench_channel_bench_LDADD = $(COMMON_LIBS)
CLEANFILES += tests/bench/channel-bench
