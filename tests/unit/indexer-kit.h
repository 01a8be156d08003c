/* What the tests of the indexer share: a database in a private folder, keys, receipts, tasks run at
 * once. */
#ifndef TESTS_INDEXER_KIT_H
#define TESTS_INDEXER_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include <stdio.h>
#include <unistd.h>
#include "lib-common/mem.h"
#include "services/indexer/indexer.h"

#define KIT_ACCOUNT 4711

struct kit {
	char folder[64];
	char *database;
	unsigned char ticket_key[32], receipt_key[32];
	struct indexer_config config;
};

static inline void kit_init(struct kit *k)
{
	memset(k, 0, sizeof(*k));
	snprintf(k->folder, sizeof(k->folder), "/tmp/indexer-test-XXXXXX");
	assert_non_null(mkdtemp(k->folder));
	k->database = mem_printf("%s/indexer.db", k->folder);
	memset(k->ticket_key, 1, sizeof(k->ticket_key));
	memset(k->receipt_key, 2, sizeof(k->receipt_key));
	k->config = (struct indexer_config){
		.database = k->database,
		.reader_threads = 1,
		.state_memory = 64 << 20,
		.sessions_per_user = 3,
		.sessions_per_address = 2,
		.expunge_grace_s = 100,
		.vanished_history_s = 200,
		.delivery_window_s = 3600,
		.receipt_lifetime_s = 3600,
		.ticket_key = k->ticket_key,
		.receipt_key = k->receipt_key,
	};
}

static inline void kit_clear(struct kit *k)
{
	static const char *const ends[] = {"", "-wal", "-shm", ".lock"};

	for (size_t i = 0; i < array_count(ends); i++) {
		char *path = mem_printf("%s%s", k->database, ends[i]);

		unlink(path);
		mem_free(path);
	}
	rmdir(k->folder);
	mem_free(k->database);
}

/* A genuine receipt of a body of `size` octets. */
static inline void kit_receipt(const struct kit *k, uint64_t size, struct receipt *r)
{
	static const unsigned char id[PACK_ID_BYTES] = {7};
	static uint64_t offset;

	memset(r, 0, sizeof(*r));
	pack_name_make(1700000000, id, r->locator.pack);
	r->locator.offset = offset += 1000;
	r->locator.length = size + 200;
	r->locator.size = size;
	r->time = clock_wall_s();
	receipt_sign(r, k->receipt_key);
}

#endif
