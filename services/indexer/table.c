#include "services/indexer/table.h"

#include <string.h>
#include "lib-common/mem.h"

static size_t slot_of(const struct table *t, uint64_t id)
{
	id ^= id >> 33;
	id *= 0xff51afd7ed558ccdull;
	id ^= id >> 33;
	return (size_t)id & (t->size - 1);
}

void table_init(struct table *t)
{
	memset(t, 0, sizeof(*t));
}

void table_clear(struct table *t)
{
	mem_free(t->slots);
	table_init(t);
}

void *table_get(const struct table *t, uint64_t id)
{
	size_t i;

	if (t->count == 0 || id == 0)
		return NULL;
	for (i = slot_of(t, id); t->slots[i].id != 0; i = (i + 1) & (t->size - 1)) {
		if (t->slots[i].id == id)
			return t->slots[i].value;
	}
	return NULL;
}

static void table_insert(struct table *t, uint64_t id, void *value)
{
	size_t i = slot_of(t, id);

	while (t->slots[i].id != 0 && t->slots[i].id != id)
		i = (i + 1) & (t->size - 1);
	if (t->slots[i].id == 0)
		t->count++;
	t->slots[i] = (struct table_slot){id, value};
}

void table_put(struct table *t, uint64_t id, void *value)
{
	if ((t->count + 1) * 4 > t->size * 3) {
		struct table old = *t;

		t->size = old.size == 0 ? 64 : old.size * 2;
		t->slots = mem_alloc_array(t->size, sizeof(*t->slots));
		t->count = 0;
		for (size_t i = 0; i < old.size; i++) {
			if (old.slots[i].id != 0)
				table_insert(t, old.slots[i].id, old.slots[i].value);
		}
		mem_free(old.slots);
	}
	table_insert(t, id, value);
}

void table_remove(struct table *t, uint64_t id)
{
	size_t i, j;

	if (table_get(t, id) == NULL)
		return;
	for (i = slot_of(t, id); t->slots[i].id != id;)
		i = (i + 1) & (t->size - 1);
	t->slots[i].id = 0;
	t->count--;
	/* what was pushed past the gap moves back, so that no search stops early */
	for (j = (i + 1) & (t->size - 1); t->slots[j].id != 0; j = (j + 1) & (t->size - 1)) {
		struct table_slot moved = t->slots[j];

		t->slots[j].id = 0;
		t->count--;
		table_insert(t, moved.id, moved.value);
	}
}

void *table_next(const struct table *t, size_t *cursor)
{
	while (*cursor < t->size) {
		size_t i = (*cursor)++;

		if (t->slots[i].id != 0)
			return t->slots[i].value;
	}
	return NULL;
}
