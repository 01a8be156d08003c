/*
 * login-cache: logins that were verified a short time ago, so that a client with many connections
 * costs one hash. It holds no password: an entry is an HMAC-SHA-256, under a key made at start, of
 * account, its generation, service and password, each with its length, compared in full. So two
 * logins never meet in one entry (CORNERS S22), and a password change, which raises the generation,
 * leaves entries that nothing can hit. Bounded; the oldest of a set goes.
 */
#ifndef LM_LOGIN_CACHE_H
#define LM_LOGIN_CACHE_H

#include <stdbool.h>
#include <stdint.h>
#include "lib-common/buf.h"

struct login_cache;

struct login_cache *login_cache_new(uint64_t entries); /* 0: remembers nothing */
void login_cache_free(struct login_cache *c);
bool login_cache_has(struct login_cache *c, uint64_t account, uint64_t generation,
	struct span service, struct span password, uint64_t now_ms);
void login_cache_add(struct login_cache *c, uint64_t account, uint64_t generation,
	struct span service, struct span password, uint64_t now_ms, uint64_t ttl_ms);

#endif
