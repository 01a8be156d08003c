#include "services/auth/login-cache.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include "lib-common/log.h"
#include "lib-common/mem.h"

#define CACHE_WAYS 8
#define MAC_BYTES 32

struct cache_entry {
	unsigned char mac[MAC_BYTES];
	uint64_t expires_ms; /* 0: empty */
};

struct login_cache {
	unsigned char key[MAC_BYTES];
	uint64_t sets;
	struct cache_entry *entries; /* sets * CACHE_WAYS */
};

struct login_cache *login_cache_new(uint64_t entries)
{
	struct login_cache *c = mem_alloc(sizeof(*c));

	if (RAND_bytes(c->key, sizeof(c->key)) != 1)
		log_fatal("no-random-numbers", NULL);
	c->sets = (entries + CACHE_WAYS - 1) / CACHE_WAYS;
	if (c->sets)
		c->entries = mem_alloc_array(c->sets * CACHE_WAYS, sizeof(*c->entries));
	return c;
}

void login_cache_free(struct login_cache *c)
{
	if (!c)
		return;
	mem_wipe(c->key, sizeof(c->key));
	mem_free(c->entries);
	mem_free(c);
}

static struct cache_entry *login_cache_set(struct login_cache *c, uint64_t account,
	uint64_t generation, struct span service, struct span password,
	unsigned char mac[MAC_BYTES])
{
	unsigned len = MAC_BYTES;
	uint64_t set;
	struct buf b;

	buf_init(&b);
	buf_add_u64(&b, account);
	buf_add_u64(&b, generation);
	buf_add_block(&b, service.p, service.n);
	buf_add_block(&b, password.p, password.n);
	if (!HMAC(EVP_sha256(), c->key, sizeof(c->key), (unsigned char *)b.data, b.len, mac, &len))
		log_fatal("hmac-failed", NULL);
	buf_wipe(&b);
	memcpy(&set, mac, sizeof(set));
	return &c->entries[(set % c->sets) * CACHE_WAYS];
}

bool login_cache_has(struct login_cache *c, uint64_t account, uint64_t generation,
	struct span service, struct span password, uint64_t now_ms)
{
	unsigned char mac[MAC_BYTES];
	struct cache_entry *e;
	bool found = false;
	int i;

	if (!c->sets)
		return false;
	e = login_cache_set(c, account, generation, service, password, mac);
	for (i = 0; i < CACHE_WAYS; i++)
		found |= e[i].expires_ms > now_ms && CRYPTO_memcmp(e[i].mac, mac, MAC_BYTES) == 0;
	return found;
}

void login_cache_add(struct login_cache *c, uint64_t account, uint64_t generation,
	struct span service, struct span password, uint64_t now_ms, uint64_t ttl_ms)
{
	unsigned char mac[MAC_BYTES];
	struct cache_entry *e, *oldest;
	int i;

	if (!c->sets || !ttl_ms)
		return;
	e = login_cache_set(c, account, generation, service, password, mac);
	oldest = e;
	for (i = 0; i < CACHE_WAYS; i++) {
		if (memcmp(e[i].mac, mac, MAC_BYTES) == 0) {
			oldest = &e[i];
			break;
		}
		if (e[i].expires_ms < oldest->expires_ms)
			oldest = &e[i];
	}
	memcpy(oldest->mac, mac, MAC_BYTES);
	oldest->expires_ms = now_ms + ttl_ms;
}
