/*
 * metrics: 64-bit counters, gauges and histograms in shared memory. Master makes one memfd per
 * process, which that process alone maps writable; `api` maps it read-only and treats what it
 * reads as hostile. The table of all metrics is one list (metrics-list.h), the index its slot, so a
 * reader needs no names in the region. Counting is a plain add: a region has one writing process
 * (threads use the _atomic forms).
 */
#ifndef LM_METRICS_H
#define LM_METRICS_H

#include <stdint.h>
#include "lib-common/buf.h"

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

/* METRIC(identifier, kind, "prometheus_name", "labels or empty", "help") */
enum metric_id {
#define METRIC(id, kind, name, labels, help) id,
#include "lib-common/metrics-list.h"
#undef METRIC
	METRIC_COUNT
};

struct metric_def {
	const char *id, *name, *labels, *help;
	enum metric_kind kind;
};
extern const struct metric_def metric_defs[METRIC_COUNT];

/* A histogram has log2 buckets of microseconds: 64us, 128us ... 2^(5+n), +Inf; then sum and count.
 */
#define METRIC_BUCKETS 20
#define METRIC_SLOTS (METRIC_BUCKETS + 2)
#define METRIC_REGION_BYTES (sizeof(uint64_t) * METRIC_COUNT * METRIC_SLOTS)

/* Maps the region; with fd -1 private memory is used (tests, tools). */
int metrics_open(int fd);
/* From now on several processes write the region: the plain forms become atomic. */
void metrics_share(void);
void metric_add(enum metric_id id, uint64_t n);
void metric_set(enum metric_id id, uint64_t n);
void metric_observe_us(enum metric_id id, uint64_t us);
void metric_add_atomic(enum metric_id id, uint64_t n);
void metric_observe_us_atomic(enum metric_id id, uint64_t us);

#endif
