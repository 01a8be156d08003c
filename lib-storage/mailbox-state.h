/*
 * mailbox-state: how `indexer` hands the state of a mailbox to sessions. A *base* is an immutable
 * sealed memfd with one fixed-size record a message, ascending by UID, that all sessions of the
 * mailbox share; a *log* is a run of entries with what changed since. Both ends of indexer/session
 * use this codec.
 *
 * Entries are in order of their modseq and are applied idempotently: MESSAGE_NEW when the UID is
 * not there yet, MESSAGE_FLAGS and MESSAGE_EXPUNGED when it is and its modseq is lower. A base may
 * already hold records newer than its own modseq (it is read in pieces while others write); the
 * entries above base.modseq then bring every record to the same point.
 */
#ifndef LM_MAILBOX_STATE_H
#define LM_MAILBOX_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include "lib-common/buf.h"
#include "lib-common/err.h"

#define MAILBOX_BASE_MAGIC 0x31424d4cu /* "LMB1" */

struct mailbox_base_header {
	uint32_t magic;
	uint32_t record_size; /* sizeof(struct mailbox_record) */
	uint64_t count;
	uint64_t generation; /* grows with each base that this indexer made */
	uint64_t modseq;     /* all changes up to here are in it */
};

struct mailbox_record {
	uint32_t uid;
	int16_t tz_minutes; /* of the internal date */
	uint16_t zero;
	uint64_t flags; /* lib-storage/flags.h */
	uint64_t modseq;
	uint64_t size;	      /* RFC822.SIZE */
	int64_t internaldate; /* Unix seconds */
	uint64_t body;
	int64_t savedate; /* Unix seconds: when it came into this mailbox (RFC 8514) */
};

_Static_assert(sizeof(struct mailbox_base_header) == 32, "base header");
_Static_assert(sizeof(struct mailbox_record) == 56, "base record");

/* ---- base ---- */

struct mailbox_base {
	const struct mailbox_base_header *header;
	const struct mailbox_record *records;
	size_t count;
	size_t map_size;
};

/* Makes a base of `count` records. Returns the sealed memfd (the caller closes it), or -1. */
int mailbox_base_make(const struct mailbox_record *records, size_t count, uint64_t generation,
	uint64_t modseq, struct err *e);
/* Checks seals, size, header and the order of the records, and maps it. The descriptor stays the
 * caller's and may be closed at once. Undo with mailbox_base_close. */
int mailbox_base_open(int fd, struct mailbox_base *base_r, struct err *e);
void mailbox_base_close(struct mailbox_base *base);
/* Index of the first record with a UID >= uid (count when there is none). */
size_t mailbox_records_find(const struct mailbox_record *records, size_t count, uint32_t uid);

/* ---- log ---- */

enum message_change { MESSAGE_NEW = 1, MESSAGE_FLAGS = 2, MESSAGE_EXPUNGED = 3 };

struct mailbox_change {
	enum message_change kind;
	struct mailbox_record
		record; /* NEW: all; FLAGS: uid, modseq, flags; EXPUNGED: uid, modseq */
};

void mailbox_log_new(struct buf *log, const struct mailbox_record *record);
void mailbox_log_flags(struct buf *log, uint32_t uid, uint64_t modseq, uint64_t flags);
void mailbox_log_expunged(struct buf *log, uint32_t uid, uint64_t modseq);
/* Takes one entry off the front. 1: *change_r is filled; 0: the end; -1: malformed. */
int mailbox_log_next(struct span *log, struct mailbox_change *change_r);

#endif
