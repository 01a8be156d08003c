/* auth-settings: section [auth]. The rows are the manual; see settings.h. */
#ifndef LM_AUTH_SETTINGS_H
#define LM_AUTH_SETTINGS_H

#include "lib-common/settings.h"

struct auth_settings {
	struct service_settings service;
	char *database;
	int password_scheme;
	uint64_t argon2_memory;
	uint64_t argon2_time;
	uint64_t argon2_parallelism;
	uint64_t bcrypt_cost;
	uint64_t sha512_rounds;
	uint64_t hash_threads;
	uint64_t hash_queue;
	uint64_t login_cache_size;
	uint64_t login_cache_ttl_ms;
	uint64_t penalty_start_ms;
	uint64_t penalty_max_ms;
	uint64_t penalty_forget_ms;
	char *penalty_exempt;
	char *default_domain;
	char *recipient_delimiter;
	uint64_t default_quota;
	uint64_t default_quota_messages;
};
extern const struct settings_def auth_settings_def;

#endif
