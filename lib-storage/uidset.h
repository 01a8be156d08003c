/*
 * uidset: sets of UIDs (or sequence numbers) as ascending ranges that neither overlap nor touch.
 * The text form is that of RFC 3501 9 "sequence-set": "1:5,9,12:10"; "*" only where the caller says
 * what it stands for.
 *
 * A set is embedded: uidset_init, then uidset_clear. Its cost grows with the number of ranges,
 * never with the size of the numbers in them. What a peer may send is bounded by `max_ranges`.
 */
#ifndef LM_UIDSET_H
#define LM_UIDSET_H

#include <stdbool.h>
#include <stdint.h>
#include "lib-common/buf.h"

#define UIDSET_RANGES_MAX 500000 /* of one set from a peer */

struct uid_range {
	uint32_t first, last;
};

struct uidset {
	struct uid_range *ranges;
	size_t n, cap;
};

void uidset_init(struct uidset *set);
void uidset_clear(struct uidset *set);
/* Replaces the set's content. `star` is what "*" means (the largest UID, or the message count); 0
 * refuses it. -1 and an empty set: not a sequence-set, a zero, a number above 2^32-1, or too many
 * ranges. */
int uidset_parse(struct uidset *set, struct span text, uint32_t star, size_t max_ranges);
/* Adds first..last (any order). Ascending additions cost O(1). */
void uidset_add(struct uidset *set, uint32_t first, uint32_t last);
bool uidset_has(const struct uidset *set, uint32_t uid);
uint64_t uidset_count(const struct uidset *set);
static inline bool uidset_is_empty(const struct uidset *set)
{
	return set->n == 0;
}
/* Appends the text form; nothing for an empty set. */
void uidset_format(const struct uidset *set, struct buf *out);
/* The smallest member that is >= uid; 0 when there is none. */
uint32_t uidset_next(const struct uidset *set, uint32_t uid);

/* What is left of the first range that reaches to uid or behind it; false when there is none. */
bool uidset_range_from(const struct uidset *set, uint32_t uid, struct uid_range *range_r);

#endif
