/*
 * mailbox-view: what one session has told its client about the selected mailbox, over what
 * `indexer` has told the session. The mailbox's records stand in a base that all sessions share
 * (mailbox-state.h); the view keeps privately, in sorted arrays, only what differs from it: its
 * memory grows with the changes, not with the mailbox, and sequence number <-> UID takes O(log n).
 *
 * Two levels: the *known* state follows the events at once; the *announced* one, which sequence
 * numbers count, moves only by view_announce_new and view_announce_expunges (RFC 3501 5.2, 7.4.1).
 * A message that others expunged stays in the view, with its data, until it is announced. Flags are
 * not held back: the view shows the newest known, and remembers which the client has not been told
 * of.
 *
 * Records handed out are valid until the next call that changes the view.
 */
#ifndef LM_MAILBOX_VIEW_H
#define LM_MAILBOX_VIEW_H

#include "lib-storage/mailbox-state.h"
#include "lib-storage/uidset.h"

struct view_flags { /* a base record's newer flags */
	uint32_t uid;
	uint64_t flags, modseq;
};

struct view_change { /* flags that the client was not told of */
	uint32_t uid;
	bool silent; /* it asked not to be: only the modseq is news */
};

/* A flag change that the session itself has asked for, see view_silence. */
enum view_store_mode { VIEW_STORE_NONE, VIEW_STORE_ADD, VIEW_STORE_REMOVE, VIEW_STORE_REPLACE };

struct mailbox_view {
	struct mailbox_base base;
	uint32_t limit;	   /* announced: the messages with a lower UID */
	uint32_t uidnext;  /* known: no message has this UID or a higher one yet */
	uint64_t modseq;   /* highest known */
	uint32_t *removed; /* indexes in the base of records that are gone from the view */
	size_t n_removed, cap_removed;
	struct mailbox_record *extras; /* messages that the base does not have */
	size_t n_extras, cap_extras;
	struct view_flags *flags;
	size_t n_flags, cap_flags;
	uint32_t *expunges; /* UIDs expunged, and not yet announced */
	size_t n_expunges, cap_expunges;
	struct view_change *changes;
	size_t n_changes, cap_changes;
	const struct uidset *silent_set;
	enum view_store_mode silent_mode;
	uint64_t silent_flags;
};

void view_init(struct mailbox_view *v);
void view_clear(struct mailbox_view *v);
/* Takes over the base (v->base; *base is emptied) and the log of changes since; all of it counts as
 * announced. ERR_PROTO: the log is malformed. */
int view_load(struct mailbox_view *v, struct mailbox_base *base, struct span log, struct err *e);
/* Changes that an event brought. */
int view_apply(struct mailbox_view *v, struct span log, struct err *e);
/* The same mailbox on a newer base. Takes over *base. What is announced stays as it is. */
void view_rebase(struct mailbox_view *v, struct mailbox_base *base);
/* The whole known state anew, after the channel was lost: what is missing was expunged meanwhile.
 * What is announced stays as it is. */
int view_reload(struct mailbox_view *v, struct mailbox_base *base, struct span log, struct err *e);

/* ---- what is announced ---- */

size_t view_count(const struct mailbox_view *v);
/* seq is 1..view_count. *r is a copy with the newest flags. False: no such message. */
bool view_get(const struct mailbox_view *v, uint32_t seq, struct mailbox_record *r);
uint32_t view_seq(const struct mailbox_view *v, uint32_t uid); /* 0: not in the view */
/* How many messages have a UID below this one. */
size_t view_count_below(const struct mailbox_view *v, uint32_t uid);
uint32_t view_last_uid(const struct mailbox_view *v);		   /* 0: empty */
bool view_is_expunged(const struct mailbox_view *v, uint32_t uid); /* gone, though in the view */
/* Turns sequence numbers into UIDs. A range that begins above the count: -1; one that only ends
 * there is cut, as clients' knowledge of the count may lag. */
int view_uids_of_seqs(
	const struct mailbox_view *v, const struct uidset *seqs, struct uidset *uids_r);

/* Walks messages in order, from a sequence number on, faster than view_get one by one. */
struct view_cursor {
	const struct mailbox_view *v;
	uint32_t seq; /* of the record that was returned last */
	size_t base_at, base_end, removed_at, extras_at, flags_at;
	struct mailbox_record copy;
};
void view_cursor_init(struct view_cursor *c, const struct mailbox_view *v, uint32_t first_seq);
const struct mailbox_record *view_cursor_next(struct view_cursor *c); /* NULL: the end */

/* ---- announcing ---- */

bool view_has_new(const struct mailbox_view *v);
/* Known messages become announced; returns the new count. */
size_t view_announce_new(struct mailbox_view *v);
/* Calls cb for each expunged message, highest sequence number first (so that the numbers of the
 * others stay as they are), then takes them out of the view. */
void view_announce_expunges(
	struct mailbox_view *v, void (*cb)(uint32_t seq, uint32_t uid, void *ctx), void *ctx);
/* The next message whose flags the client was not told of, from a UID on; false: none is left. */
bool view_next_change(const struct mailbox_view *v, uint32_t from_uid, uint32_t *seq_r,
	struct mailbox_record *r, bool *silent_r);
void view_forget_changes(struct mailbox_view *v); /* all were told */
void view_forget_changes_below(struct mailbox_view *v, uint32_t uid);
/* The flags of these messages are to be told, changed or not. */
void view_note_changes(struct mailbox_view *v, const struct uidset *uids);
/* While set (not NULL), changes of these messages that do just what `mode` and `flags` say are
 * `silent`. */
void view_silence(struct mailbox_view *v, const struct uidset *set, enum view_store_mode mode,
	uint64_t flags);

#endif
