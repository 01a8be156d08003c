#include "lib-common/metrics.h"

#include <stdbool.h>
#include <sys/mman.h>

#include "lib-common/mem.h"

const struct metric_def metric_defs[METRIC_COUNT] = {
#define METRIC(id, kind, name, labels, help) [id] = {#id, name, labels, help, kind},
#include "lib-common/metrics-list.h"
#undef METRIC
};

/* Until metrics_open: counting must never need a check of its caller. */
static uint64_t private_region[METRIC_COUNT * METRIC_SLOTS];
static uint64_t *region = private_region;
static bool shared;

void metrics_share(void)
{
	shared = true;
}

int metrics_open(int fd)
{
	void *p;

	if (fd < 0) {
		region = private_region;
		return 0;
	}
	p = mmap(NULL, METRIC_REGION_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -1;
	region = p;
	return 0;
}

static uint64_t *slot(enum metric_id id, size_t n)
{
	return &region[(size_t)id * METRIC_SLOTS + n];
}

/* Bucket n ends at 2^(6+n) microseconds; the last one takes the rest. */
static size_t bucket_of(uint64_t us)
{
	size_t n = 0;

	while (n < METRIC_BUCKETS - 1 && us > (64ULL << n))
		n++;
	return n;
}

void metric_add(enum metric_id id, uint64_t n)
{
	if (shared)
		metric_add_atomic(id, n);
	else
		*slot(id, 0) += n;
}

void metric_set(enum metric_id id, uint64_t n)
{
	*slot(id, 0) = n;
}

void metric_observe_us(enum metric_id id, uint64_t us)
{
	if (shared) {
		metric_observe_us_atomic(id, us);
		return;
	}
	*slot(id, bucket_of(us)) += 1;
	*slot(id, METRIC_BUCKETS) += us;
	*slot(id, METRIC_BUCKETS + 1) += 1;
}

void metric_add_atomic(enum metric_id id, uint64_t n)
{
	__atomic_fetch_add(slot(id, 0), n, __ATOMIC_RELAXED);
}

void metric_observe_us_atomic(enum metric_id id, uint64_t us)
{
	__atomic_fetch_add(slot(id, bucket_of(us)), 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(slot(id, METRIC_BUCKETS), us, __ATOMIC_RELAXED);
	__atomic_fetch_add(slot(id, METRIC_BUCKETS + 1), 1, __ATOMIC_RELAXED);
}
