/*
 * schema: the tables of the indexer's database, as numbered migrations. What each table is for:
 *
 *	accounts	one row a user: change counter (the source of modseqs), usage, limits. Every
 *transaction that changes anything of an account changes this row first (CORNERS M6). mailboxes
 *live ones have gone = 0; a deleted one keeps its row with gone = id until the grace is over.
 *	subscriptions	names, whether or not there is a mailbox (RFC 3501 6.3.6).
 *	messages	by mailbox and UID. Rows at or above the mailbox's uidnext are not there
 *yet: a COPY in several transactions stages them so, and they are dropped after a crash (CORNERS
 *M17). tombstones	expunged messages: their modseq for VANISHED, their body for the grace
 *period. bodies		where a body lies and its wrapped key; body ids are modseqs of the
 *account, so they ascend with the mailbox and are never used twice (CORNERS M2, M18). body_meta
 *what was prepared at delivery: envelope, structure, headers.
 *	deliveries	digests of what came in lately (CORNERS M13).
 *	packs		packs that no new row may name: dying or gone (CORNERS M2).
 *	commits		for drivers where the outcome of a COMMIT can be unknown (CORNERS M7).
 */
#ifndef INDEXER_SCHEMA_H
#define INDEXER_SCHEMA_H

#include "lib-storage/sql.h"

extern const struct sql_migration indexer_migrations[];

enum account_state { ACCOUNT_LIVE = 0, ACCOUNT_VOID = 1, ACCOUNT_ERASING = 2 };
enum mailbox_row_state { MAILBOX_LIVE = 0, MAILBOX_DELETED = 1, MAILBOX_NOSELECT = 2 };

#endif
