/*
 * penalty: how long a login attempt waits, from the failures that its address (IPv6: its /64) and
 * its user have had, over all connections. An address waits from its first failure on, twice as
 * long with each: start, 2 start, 4 start ... max. A user waits only from the fifth on, as others
 * can cause these. Attempts under way count as failures once there was one, so that guessing in
 * parallel gains nothing.
 *
 * Bounded: the entries that were quiet longest go first.
 */
#ifndef LM_PENALTY_H
#define LM_PENALTY_H

#include <stdbool.h>
#include <stdint.h>
#include "lib-common/buf.h"

struct penalty;

struct penalty_config {
	uint64_t start_ms, max_ms, forget_ms;
};

#define PENALTY_KEY_BYTES 16
/* Who attempts; made once, given to each call of one attempt. */
struct penalty_who {
	unsigned char address[PENALTY_KEY_BYTES], user[PENALTY_KEY_BYTES];
};

struct penalty *penalty_new(unsigned entries);
void penalty_free(struct penalty *p);
/* address: text, empty when unknown; user: as normalised, or as given when it names nobody. */
void penalty_who(
	struct penalty *p, const char *address, struct span user, struct penalty_who *who_r);
/* An attempt begins: the delay before it is looked at. Must be followed by one penalty_end. */
uint64_t penalty_begin(struct penalty *p, const struct penalty_config *c,
	const struct penalty_who *who, uint64_t now_ms);
enum penalty_outcome { PENALTY_SUCCESS, PENALTY_FAILURE, PENALTY_UNKNOWN /* not looked at */ };
/* The delay that the attempt as a whole should have had; for failures. */
uint64_t penalty_end(struct penalty *p, const struct penalty_config *c,
	const struct penalty_who *who, enum penalty_outcome outcome, uint64_t now_ms);

#endif
