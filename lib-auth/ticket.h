/*
 * ticket: what `auth` signs and `indexer` believes (CORNERS M9). Three kinds, with a domain label
 * each, so that none passes for another:
 *
 *  - a session ticket: auth -> login -> imap -> indexer. Opens one channel, once, within a minute.
 *  - a grant: made by indexer when a ticket was presented; opens a channel of the same session
 * again after a restart of indexer, for an hour, until the account's generation is raised.
 *  - a recipient answer: auth -> lmtp -> indexer. Names an account that mail may be delivered to.
 *
 * A sealed ticket is text (base64): version, kind, key id, the fields below, HMAC-SHA-256. It is
 * made and checked with the key that only auth and indexer get ("ticket-key", 32 octets). Times are
 * CLOCK_BOOTTIME in milliseconds: a ticket means nothing on another node or after a boot. Whoever
 * opens one sees to "once" (remember the nonce while it lives, refuse what was issued before its
 * own start) and compares generation and shard with what it knows.
 */
#ifndef LM_TICKET_H
#define LM_TICKET_H

#include <stdbool.h>
#include <stdint.h>
#include "lib-common/buf.h"
#include "lib-common/err.h"

#define TICKET_KEY_BYTES 32
#define TICKET_NONCE_BYTES 16
#define TICKET_TEXT_MAX 1024
#define TICKET_USER_MAX 320 /* octets of a user name: local part, @, domain */

#define TICKET_SESSION_MS (60 * 1000)
#define TICKET_GRANT_MS (60 * 60 * 1000)
#define TICKET_RECIPIENT_MS (10 * 60 * 1000)

enum ticket_kind { TICKET_SESSION = 1, TICKET_GRANT = 2, TICKET_RECIPIENT = 3 };

struct ticket {
	enum ticket_kind kind;
	uint64_t account;
	uint64_t generation; /* of the account; void when the account's is higher */
	uint64_t quota_bytes, quota_messages; /* limits for an account not yet known; 0: none */
	uint32_t shard;
	uint64_t issued_ms, expires_ms;
	unsigned char nonce[TICKET_NONCE_BYTES];
	char session[25]; /* 24 hex digits; empty for recipients */
	char peer[32];	  /* grants: the service that presented the ticket ("imap") */
	char user[TICKET_USER_MAX + 1];
};

/* Fills kind, times and a new nonce; the rest is zero. The lifetime is the kind's own. */
void ticket_init(struct ticket *t, enum ticket_kind kind, uint64_t now_ms);
/* Appends the text form. */
void ticket_seal(
	const struct ticket *t, const unsigned char key[TICKET_KEY_BYTES], struct buf *out);
/* 0, or -1 with ERR_DENIED: not of this kind, not signed with this key, expired, from the future,
 * damaged. */
int ticket_open(struct span text, enum ticket_kind kind, const unsigned char key[TICKET_KEY_BYTES],
	uint64_t now_ms, struct ticket *t_r, struct err *e);

#endif
