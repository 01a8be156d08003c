/*
 * table: a hash table from 64-bit ids to pointers it does not own. Ids are mixed before use, so
 * that neighbouring ones spread; what goes in are ids of rows, which no peer chooses.
 */
#ifndef INDEXER_TABLE_H
#define INDEXER_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct table_slot {
	uint64_t id; /* 0: empty */
	void *value;
};

struct table {
	struct table_slot *slots;
	size_t size, count; /* size is a power of two, or 0 */
};

void table_init(struct table *t);
void table_clear(struct table *t);
void *table_get(const struct table *t, uint64_t id);	   /* NULL: none; id 0 is never there */
void table_put(struct table *t, uint64_t id, void *value); /* replaces; value must not be NULL */
void table_remove(struct table *t, uint64_t id);
/* Any entry at or behind *cursor (begin with 0), NULL at the end. Entries may be removed only after
 * the walk. */
void *table_next(const struct table *t, size_t *cursor);

#endif
