#include "lib-storage/uidset.h"

#include <stdlib.h>
#include "lib-common/mem.h"

void uidset_init(struct uidset *set)
{
	memset(set, 0, sizeof(*set));
}

void uidset_clear(struct uidset *set)
{
	mem_free(set->ranges);
	uidset_init(set);
}

static void uidset_push(struct uidset *set, uint32_t first, uint32_t last)
{
	if (set->n == set->cap) {
		set->cap = set->cap == 0 ? 8 : set->cap * 2;
		set->ranges = mem_realloc_array(set->ranges, set->cap, sizeof(*set->ranges));
	}
	set->ranges[set->n++] = (struct uid_range){first, last};
}

static int range_compare(const void *a, const void *b)
{
	const struct uid_range *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

/* Sorts only when needed (clients nearly always send ascending sets) and joins what touches. */
static void uidset_normalise(struct uidset *set)
{
	bool sorted = true;
	size_t i, out = 0;

	for (i = 1; i < set->n && sorted; i++)
		sorted = set->ranges[i - 1].first <= set->ranges[i].first;
	if (!sorted)
		qsort(set->ranges, set->n, sizeof(*set->ranges), range_compare);
	for (i = 1; i < set->n; i++) {
		struct uid_range *last = &set->ranges[out];

		if ((uint64_t)set->ranges[i].first <= (uint64_t)last->last + 1) {
			if (set->ranges[i].last > last->last)
				last->last = set->ranges[i].last;
		} else {
			set->ranges[++out] = set->ranges[i];
		}
	}
	if (set->n > 0)
		set->n = out + 1;
}

static bool number_parse(struct span text, uint32_t star, uint32_t *v_r)
{
	if (text.n == 1 && text.p[0] == '*') {
		*v_r = star;
		return star != 0;
	}
	/* nz-number: no leading zero, at most ten digits */
	if (text.n == 0 || text.n > 10 || text.p[0] == '0')
		return false;
	return num_u32(text, v_r);
}

int uidset_parse(struct uidset *set, struct span text, uint32_t star, size_t max_ranges)
{
	struct span rest = text, part, from;
	uint32_t first, last;

	set->n = 0;
	if (text.n == 0)
		return -1;
	while (span_cut(&rest, ',', &part)) {
		struct span to = part;

		if (set->n >= max_ranges)
			goto bad;
		if (!span_cut(&to, ':', &from) || !number_parse(from, star, &first))
			goto bad;
		last = first;
		if (to.p != NULL && !number_parse(to, star, &last))
			goto bad;
		if (first <= last)
			uidset_push(set, first, last);
		else
			uidset_push(set, last, first);
	}
	uidset_normalise(set);
	return 0;
bad:
	set->n = 0;
	return -1;
}

void uidset_add(struct uidset *set, uint32_t first, uint32_t last)
{
	struct uid_range *tail = set->n > 0 ? &set->ranges[set->n - 1] : NULL;

	if (first > last) {
		uint32_t swap = first;

		first = last;
		last = swap;
	}
	if (tail != NULL && first >= tail->first && (uint64_t)first <= (uint64_t)tail->last + 1) {
		if (last > tail->last)
			tail->last = last;
		return;
	}
	uidset_push(set, first, last);
	if (tail != NULL && first < set->ranges[set->n - 2].first)
		uidset_normalise(set);
}

/* The index of the first range that ends at or behind uid. */
static size_t uidset_find(const struct uidset *set, uint32_t uid)
{
	size_t low = 0, high = set->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (set->ranges[mid].last < uid)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool uidset_has(const struct uidset *set, uint32_t uid)
{
	size_t i = uidset_find(set, uid);

	return i < set->n && set->ranges[i].first <= uid;
}

uint32_t uidset_next(const struct uidset *set, uint32_t uid)
{
	size_t i = uidset_find(set, uid);

	if (i == set->n)
		return 0;
	return set->ranges[i].first > uid ? set->ranges[i].first : uid;
}

bool uidset_range_from(const struct uidset *set, uint32_t uid, struct uid_range *range_r)
{
	size_t i = uidset_find(set, uid);

	if (i == set->n)
		return false;
	*range_r = set->ranges[i];
	if (range_r->first < uid)
		range_r->first = uid;
	return true;
}

uint64_t uidset_count(const struct uidset *set)
{
	uint64_t count = 0;

	for (size_t i = 0; i < set->n; i++)
		count += (uint64_t)set->ranges[i].last - set->ranges[i].first + 1;
	return count;
}

void uidset_format(const struct uidset *set, struct buf *out)
{
	for (size_t i = 0; i < set->n; i++) {
		const struct uid_range *r = &set->ranges[i];

		if (i > 0)
			buf_add_c(out, ',');
		if (r->first == r->last)
			buf_printf(out, "%u", r->first);
		else
			buf_printf(out, "%u:%u", r->first, r->last);
	}
}
