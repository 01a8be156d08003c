/* indexer-settings: section [indexer]. The rows are the manual; see settings.h. */
#ifndef LM_INDEXER_SETTINGS_H
#define LM_INDEXER_SETTINGS_H

#include "lib-common/settings.h"

struct indexer_settings {
	struct service_settings service;
	char *database;
	uint64_t reader_threads;
	uint64_t state_memory;
	uint64_t max_sessions_per_user;
	uint64_t max_sessions_per_address;
	uint64_t expunge_grace_ms;
	uint64_t vanished_history_ms;
	uint64_t duplicate_window_ms;
	uint64_t receipt_lifetime_ms;
	bool subaddress_create;
};
extern const struct settings_def indexer_settings_def;

#endif
