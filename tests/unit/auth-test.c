/* The parts of auth: penalties, the cache of verified logins, the pool. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdatomic.h>
#include <stdio.h>
#include <cmocka.h>
#include "lib-common/mem.h"
#include "services/auth/login-cache.h"
#include "services/auth/penalty.h"
#include "services/auth/work-pool.h"

/* ---- penalty ---- */

static const struct penalty_config config = {1000, 15000, 900000};

static uint64_t attempt(struct penalty *p, const char *address, const char *user,
	enum penalty_outcome outcome, uint64_t now_ms)
{
	struct penalty_who who;
	uint64_t delay;

	penalty_who(p, address, span_of(user), &who);
	delay = penalty_begin(p, &config, &who, now_ms);
	(void)penalty_end(p, &config, &who, outcome, now_ms);
	return delay;
}

static void test_penalty_grows_and_is_forgotten(void **state)
{
	static const uint64_t delays[] = {0, 1000, 2000, 4000, 8000, 15000, 15000, 15000};
	struct penalty *p = penalty_new(1024);
	size_t i;

	(void)state;
	for (i = 0; i < array_count(delays); i++)
		assert_int_equal(
			attempt(p, "192.0.2.1", "nobody@example.org", PENALTY_FAILURE, 1000 + i),
			delays[i]);
	assert_int_equal(attempt(p, "192.0.2.2", "joe@example.org", PENALTY_FAILURE, 2000), 0);
	/* The user named so often waits from anywhere, others from there too. */
	assert_true(attempt(p, "192.0.2.3", "nobody@example.org", PENALTY_UNKNOWN, 2000) >= 1000);
	assert_int_equal(attempt(p, "192.0.2.1", "ann@example.org", PENALTY_UNKNOWN, 2000), 15000);
	assert_int_equal(attempt(p, "192.0.2.1", "ann@example.org", PENALTY_UNKNOWN, 1000000), 0);
	penalty_free(p);
}

static void test_penalty_of_a_user_begins_late(void **state)
{
	struct penalty *p = penalty_new(1024);
	char address[32];
	int i;

	(void)state;
	for (i = 0; i < 5; i++) {
		(void)snprintf(address, sizeof(address), "192.0.2.%d", i);
		assert_int_equal(attempt(p, address, "joe@example.org", PENALTY_FAILURE, 1000), 0);
	}
	assert_int_equal(attempt(p, "192.0.2.9", "joe@example.org", PENALTY_SUCCESS, 1000), 1000);
	assert_int_equal(attempt(p, "192.0.2.9", "joe@example.org", PENALTY_SUCCESS, 1000), 0);
	penalty_free(p);
}

static void test_penalty_counts_ipv6_by_network(void **state)
{
	struct penalty *p = penalty_new(1024);

	(void)state;
	assert_int_equal(attempt(p, "2001:db8:0:1::1", "a@example.org", PENALTY_FAILURE, 1000), 0);
	assert_int_equal(
		attempt(p, "2001:db8:0:1:ffff::2", "b@example.org", PENALTY_UNKNOWN, 1000), 1000);
	assert_int_equal(attempt(p, "2001:db8:0:2::1", "c@example.org", PENALTY_UNKNOWN, 1000), 0);
	penalty_free(p);
}

static void test_penalty_counts_what_is_under_way(void **state)
{
	struct penalty *p = penalty_new(1024);
	struct penalty_who who;
	int i;

	(void)state;
	/* A client that opens several connections at once is not a guesser ... */
	penalty_who(p, "192.0.2.1", SPAN("joe@example.org"), &who);
	for (i = 0; i < 8; i++)
		assert_int_equal(penalty_begin(p, &config, &who, 1000), 0);
	for (i = 0; i < 8; i++)
		(void)penalty_end(p, &config, &who, PENALTY_SUCCESS, 1000);
	/* ... unless one has failed: then each further one waits longer. */
	(void)attempt(p, "192.0.2.1", "joe@example.org", PENALTY_FAILURE, 1000);
	assert_int_equal(penalty_begin(p, &config, &who, 1000), 1000);
	assert_int_equal(penalty_begin(p, &config, &who, 1000), 2000);
	assert_int_equal(penalty_begin(p, &config, &who, 1000), 4000);
	penalty_free(p);
}

static void test_penalty_is_bounded(void **state)
{
	struct penalty *p = penalty_new(64);
	char address[32];
	int i;

	(void)state;
	for (i = 0; i < 10000; i++) {
		(void)snprintf(address, sizeof(address), "10.%d.%d.1", i / 256, i % 256);
		(void)attempt(p, address, address, PENALTY_FAILURE, 1000 + (uint64_t)i);
	}
	assert_int_equal(attempt(p, address, "x@example.org", PENALTY_UNKNOWN, 11000), 1000);
	penalty_free(p);
}

/* ---- cache ---- */

static void test_cache(void **state)
{
	struct login_cache *c = login_cache_new(64), *none = login_cache_new(0);

	(void)state;
	login_cache_add(c, 7, 1, SPAN("imap"), SPAN("secret"), 1000, 500);
	assert_true(login_cache_has(c, 7, 1, SPAN("imap"), SPAN("secret"), 1499));
	assert_false(login_cache_has(c, 7, 1, SPAN("imap"), SPAN("secret"), 1500));
	assert_false(login_cache_has(
		c, 7, 2, SPAN("imap"), SPAN("secret"), 1000)); /* password changed */
	assert_false(login_cache_has(c, 8, 1, SPAN("imap"), SPAN("secret"), 1000));
	assert_false(login_cache_has(c, 7, 1, SPAN("pop3"), SPAN("secret"), 1000));
	assert_false(login_cache_has(c, 7, 1, SPAN("imap"), SPAN("secreT"), 1000));
	/* Fields do not run into each other. */
	login_cache_add(c, 7, 1, SPAN("ima"), SPAN("psecret"), 1000, 500);
	assert_false(login_cache_has(c, 7, 1, SPAN("imaps"), SPAN("ecret"), 1000));
	login_cache_add(none, 7, 1, SPAN("imap"), SPAN("secret"), 1000, 500);
	assert_false(login_cache_has(none, 7, 1, SPAN("imap"), SPAN("secret"), 1000));
	login_cache_free(c);
	login_cache_free(none);
	login_cache_free(NULL);
}

static void test_cache_is_bounded(void **state)
{
	struct login_cache *c = login_cache_new(64);
	uint64_t i, kept = 0;

	(void)state;
	for (i = 0; i < 10000; i++)
		login_cache_add(c, i, 1, SPAN("imap"), SPAN("x"), 1000 + i, 100000);
	for (i = 0; i < 10000; i++)
		kept += login_cache_has(c, i, 1, SPAN("imap"), SPAN("x"), 11000);
	assert_true(kept > 0 && kept <= 64);
	assert_true(login_cache_has(c, 9999, 1, SPAN("imap"), SPAN("x"), 11000));
	login_cache_free(c);
}

/* ---- pool ---- */

static atomic_int worked;
static int finished;
static struct event_base *base;

static void work(void *ctx)
{
	(void)ctx;
	worked++;
}

static void done(void *ctx)
{
	if (++finished == *(int *)ctx)
		event_base_loopbreak(base);
}

static void test_pool(void **state)
{
	struct work_pool *p;
	int i, want = 100;

	(void)state;
	base = event_base_new();
	worked = finished = 0;
	p = work_pool_new(base, 2, 1000);
	for (i = 0; i < want; i++)
		assert_true(work_pool_submit(p, work, done, &want));
	assert_int_equal(work_pool_pending(p), want);
	event_base_dispatch(base);
	assert_int_equal(finished, want);
	assert_int_equal(worked, want);
	assert_int_equal(work_pool_pending(p), 0);
	work_pool_free(p);
	event_base_free(base);
}

static void test_pool_is_bounded(void **state)
{
	struct work_pool *p;
	int i, taken = 0, never = -1;

	(void)state;
	base = event_base_new();
	finished = 0;
	p = work_pool_new(base, 1, 0); /* nothing may wait */
	assert_false(work_pool_submit(p, work, done, &never));
	work_pool_set_queue_max(p, 3);
	for (i = 0; i < 3; i++)
		taken += work_pool_submit(p, work, done, &never);
	assert_int_equal(taken, 3);
	/* Each gets its done() even when nobody works on it any more. */
	work_pool_free(p);
	assert_int_equal(finished, 3);
	event_base_free(base);
	work_pool_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_penalty_grows_and_is_forgotten),
		cmocka_unit_test(test_penalty_of_a_user_begins_late),
		cmocka_unit_test(test_penalty_counts_ipv6_by_network),
		cmocka_unit_test(test_penalty_counts_what_is_under_way),
		cmocka_unit_test(test_penalty_is_bounded),
		cmocka_unit_test(test_cache),
		cmocka_unit_test(test_cache_is_bounded),
		cmocka_unit_test(test_pool),
		cmocka_unit_test(test_pool_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
