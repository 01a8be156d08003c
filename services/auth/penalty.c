#include "services/auth/penalty.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include "lib-common/log.h"
#include "lib-common/mem.h"
#include "lib-common/net.h"

#define PENALTY_WAYS 8
#define PENALTY_USER_FREE 4	/* failures of a user that cost nothing */
#define PENALTY_PARALLEL_FREE 8 /* attempts under way at once, before any failure */

struct penalty_entry {
	unsigned char key[PENALTY_KEY_BYTES];
	uint64_t last_ms; /* 0: empty */
	uint32_t failures, pending;
};

struct penalty {
	unsigned char secret[32];
	unsigned sets;
	struct penalty_entry *entries;
};

struct penalty *penalty_new(unsigned entries)
{
	struct penalty *p = mem_alloc(sizeof(*p));

	/* Keyed, so that nobody can choose addresses or names that fall into one set. */
	if (RAND_bytes(p->secret, sizeof(p->secret)) != 1)
		log_fatal("no-random-numbers", NULL);
	p->sets = entries / PENALTY_WAYS ? entries / PENALTY_WAYS : 1;
	p->entries = mem_alloc_array((size_t)p->sets * PENALTY_WAYS, sizeof(*p->entries));
	return p;
}

void penalty_free(struct penalty *p)
{
	if (!p)
		return;
	mem_free(p->entries);
	mem_free(p);
}

static void penalty_key(
	struct penalty *p, char label, struct span text, unsigned char key_r[PENALTY_KEY_BYTES])
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	struct buf b;

	buf_init(&b);
	buf_add_c(&b, label);
	buf_add_span(&b, text);
	if (!HMAC(EVP_sha256(), p->secret, sizeof(p->secret), (unsigned char *)b.data, b.len, mac,
		    &len))
		log_fatal("hmac-failed", NULL);
	memcpy(key_r, mac, PENALTY_KEY_BYTES);
	buf_clear(&b);
}

void penalty_who(
	struct penalty *p, const char *address, struct span user, struct penalty_who *who_r)
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6};
	char key[NET_TEXT_SIZE];

	if (inet_pton(AF_INET6, address, &six.sin6_addr) == 1) {
		net_peer_key((const struct sockaddr *)&six, key);
		address = key;
	}
	penalty_key(p, 'a', span_of(address), who_r->address);
	penalty_key(p, 'u', user, who_r->user);
}

static struct penalty_entry *penalty_find(
	struct penalty *p, const unsigned char key[PENALTY_KEY_BYTES], bool make)
{
	struct penalty_entry *e, *oldest = NULL;
	uint32_t set;
	int i;

	memcpy(&set, key, sizeof(set));
	e = &p->entries[(size_t)(set % p->sets) * PENALTY_WAYS];
	for (i = 0; i < PENALTY_WAYS; i++) {
		if (e[i].last_ms && memcmp(e[i].key, key, PENALTY_KEY_BYTES) == 0)
			return &e[i];
		if (!oldest || e[i].last_ms < oldest->last_ms)
			oldest = &e[i];
	}
	if (!make)
		return NULL;
	memset(oldest, 0, sizeof(*oldest));
	memcpy(oldest->key, key, PENALTY_KEY_BYTES);
	return oldest;
}

static uint64_t penalty_delay(const struct penalty_config *c, uint32_t failures)
{
	uint64_t delay = c->start_ms;

	if (failures == 0)
		return 0;
	while (--failures > 0 && delay < c->max_ms)
		delay *= 2;
	return delay < c->max_ms ? delay : c->max_ms;
}

static uint64_t penalty_entry_delay(
	const struct penalty_config *c, const struct penalty_entry *e, uint32_t free_failures)
{
	uint32_t n = e->failures;

	if (n > 0)
		n += e->pending;
	else if (e->pending > PENALTY_PARALLEL_FREE)
		n = e->pending - PENALTY_PARALLEL_FREE;
	return penalty_delay(c, n > free_failures ? n - free_failures : 0);
}

static uint64_t penalty_entry_begin(struct penalty *p, const struct penalty_config *c,
	const unsigned char *key, uint32_t free_failures, uint64_t now_ms)
{
	struct penalty_entry *e = penalty_find(p, key, true);
	uint64_t delay;

	if (e->last_ms + c->forget_ms < now_ms)
		e->failures = 0;
	delay = penalty_entry_delay(c, e, free_failures);
	e->pending++;
	e->last_ms = now_ms;
	return delay;
}

uint64_t penalty_begin(struct penalty *p, const struct penalty_config *c,
	const struct penalty_who *who, uint64_t now_ms)
{
	uint64_t a = penalty_entry_begin(p, c, who->address, 0, now_ms);
	uint64_t u = penalty_entry_begin(p, c, who->user, PENALTY_USER_FREE, now_ms);

	return a > u ? a : u;
}

static uint64_t penalty_entry_end(struct penalty *p, const struct penalty_config *c,
	const unsigned char *key, uint32_t free_failures, enum penalty_outcome outcome,
	uint64_t now_ms)
{
	/* Gone when the table was full of others. */
	struct penalty_entry *e = penalty_find(p, key, outcome == PENALTY_FAILURE);

	if (!e)
		return 0;
	if (e->pending > 0)
		e->pending--;
	e->last_ms = now_ms;
	if (outcome == PENALTY_FAILURE && e->failures < 1000)
		e->failures++;
	else if (outcome == PENALTY_SUCCESS)
		e->failures = 0;
	return penalty_delay(c, e->failures > free_failures ? e->failures - free_failures : 0);
}

uint64_t penalty_end(struct penalty *p, const struct penalty_config *c,
	const struct penalty_who *who, enum penalty_outcome outcome, uint64_t now_ms)
{
	/* An attacker with one good account must not clear his address by it: half is enough. */
	uint64_t a = penalty_entry_end(p, c, who->address, 0,
		outcome == PENALTY_SUCCESS ? PENALTY_UNKNOWN : outcome, now_ms);
	uint64_t u = penalty_entry_end(p, c, who->user, PENALTY_USER_FREE, outcome, now_ms);
	struct penalty_entry *e;

	if (outcome == PENALTY_SUCCESS) {
		e = penalty_find(p, who->address, false);
		if (e)
			e->failures /= 2;
	}
	return a > u ? a : u;
}
