/*
 * Pruning, in slices between other requests: bodies of what was expunged longer ago than the grace
 * (the key is overwritten: the database zeroes what is deleted), tombstones older than the history,
 * digests of deliveries, messages and rows of deleted mailboxes.
 */
#include "lib-common/mem.h"
#include "services/indexer/writer.h"

#define PRUNE_SLICE 500

struct old_tombstone {
	uint64_t mailbox, uid, account, value; /* body or modseq */
};

static int tombstones_find(struct writer *w, enum statement id, uint64_t before,
	struct old_tombstone *found, struct err *e)
{
	struct rows *r = db_query(w->db, id, e, "ii", before, (uint64_t)PRUNE_SLICE);
	int rc, n = 0;

	if (r == NULL)
		return -1;
	while ((rc = db_next(r, e)) == 1 && n < PRUNE_SLICE) {
		found[n++] = (struct old_tombstone){
			db_u64(r, 0), db_u64(r, 1), db_u64(r, 2), db_u64(r, 3)};
	}
	db_end(r);
	return rc < 0 ? -1 : n;
}

/* 1: some message or tombstone still has the body. */
static int body_is_live(struct writer *w, uint64_t account, uint64_t body, struct err *e)
{
	static const enum statement where[] = {Q_MESSAGE_OF_BODY, Q_TOMBSTONE_OF_BODY};

	for (size_t i = 0; i < array_count(where); i++) {
		struct rows *r = db_query(w->db, where[i], e, "ii", account, body);
		int rc = r == NULL ? -1 : db_next(r, e);

		db_end(r);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int prune_bodies(
	struct writer *w, uint64_t before, struct old_tombstone *found, struct err *e)
{
	int n = tombstones_find(w, Q_TOMBSTONES_GRACE, before, found, e);

	if (n <= 0 || writer_begin(w, e) < 0)
		return n <= 0 ? n : -1;
	for (int i = 0; i < n; i++) {
		const struct old_tombstone *o = &found[i];
		int live;

		if (db_run(w->db, Q_TOMBSTONE_EMPTY, e, "ii", o->mailbox, o->uid) < 0)
			return -1;
		live = body_is_live(w, o->account, o->value, e);
		if (live < 0)
			return -1;
		if (live == 0 &&
			(db_run(w->db, Q_BODY_DROP, e, "ii", o->account, o->value) < 0 ||
				db_run(w->db, Q_META_DROP, e, "ii", o->account, o->value) < 0))
			return -1;
	}
	return n;
}

/* Who knows a mailbox from before its floor is told of all UIDs that are not there (CORNERS M15).
 */
static int floor_raise(struct writer *w, const struct old_tombstone *o, struct err *e)
{
	struct account_row *a = cache_account(w, o->account, e);
	struct mailbox_row *m = a == NULL ? NULL : cache_mailbox(a, o->mailbox);

	if (a == NULL && e->code != ERR_NOTFOUND)
		return -1;
	if (m != NULL && m->vanished_floor < o->value) {
		m->vanished_floor = o->value;
		cache_touch_mailbox(w, m);
	}
	return 0;
}

static int prune_tombstones(
	struct writer *w, uint64_t before, struct old_tombstone *found, struct err *e)
{
	int n = tombstones_find(w, Q_TOMBSTONES_OLD, before, found, e);

	if (n <= 0 || writer_begin(w, e) < 0)
		return n <= 0 ? n : -1;
	for (int i = 0; i < n; i++) {
		if (floor_raise(w, &found[i], e) < 0 || db_run(w->db, Q_TOMBSTONE_DROP, e, "ii",
								found[i].mailbox, found[i].uid) < 0)
			return -1;
	}
	return n;
}

/* Messages of one deleted mailbox become tombstones. */
static int bury_mailbox(
	struct writer *w, uint64_t mailbox, uint64_t account, uint64_t modseq, struct err *e)
{
	struct mailbox_record *r = w->slice;
	struct rows *rows = db_query(w->db, Q_MESSAGES, e, "iiii", mailbox, (uint64_t)0,
		(uint64_t)INT64_MAX, (uint64_t)PRUNE_SLICE);
	int rc, n = 0;

	if (rows == NULL)
		return -1;
	while ((rc = db_next(rows, e)) == 1 && n < PRUNE_SLICE) {
		r[n++] = (struct mailbox_record){.uid = (uint32_t)db_u64(rows, 0),
			.flags = db_u64(rows, 1),
			.size = db_u64(rows, 3),
			.internaldate = db_i64(rows, 4),
			.tz_minutes = (int16_t)db_i64(rows, 5),
			.savedate = db_i64(rows, 6),
			.body = db_u64(rows, 7)};
	}
	db_end(rows);
	if (rc < 0 || n == 0 || writer_begin(w, e) < 0)
		return rc < 0 || n > 0 ? -1 : 0;
	for (int i = 0; i < n; i++) {
		if (db_run(w->db, Q_MESSAGE_DROP, e, "ii", mailbox, (uint64_t)r[i].uid) < 0 ||
			db_run(w->db, Q_TOMBSTONE_ADD, e, "iiiiiiiiiiii", mailbox,
				(uint64_t)r[i].uid, account, modseq, r[i].flags, r[i].size,
				(uint64_t)r[i].internaldate, (uint64_t)(int64_t)r[i].tz_minutes,
				(uint64_t)r[i].savedate, r[i].body, (uint64_t)w->now,
				(uint64_t)1) < 0)
			return -1;
	}
	return n;
}

/* The next deleted mailbox behind t->now.target; 0: none is left. */
static int prune_mailbox(struct writer *w, struct write_task *t, uint64_t grace_before)
{
	struct rows *r = db_query(
		w->db, Q_MAILBOXES_GONE, &t->err, "ii", t->now.target, (uint64_t)1);
	uint64_t id = 0, account = 0, modseq = 0, deleted_at = 0;
	int rc = r == NULL ? -1 : db_next(r, &t->err);

	if (rc == 1) {
		id = db_u64(r, 0);
		account = db_u64(r, 1);
		modseq = db_u64(r, 2);
		deleted_at = db_u64(r, 3);
	}
	db_end(r);
	if (rc <= 0)
		return rc;
	rc = bury_mailbox(w, id, account, modseq, &t->err);
	if (rc != 0)
		return rc < 0 ? -1 : 1;
	t->now.target = id;
	if (deleted_at >= grace_before)
		return 1;
	r = db_query(w->db, Q_TOMBSTONES_OF, &t->err, "ii", id, (uint64_t)1);
	rc = r == NULL ? -1 : db_next(r, &t->err);
	db_end(r);
	if (rc != 0)
		return rc;
	if (writer_begin(w, &t->err) < 0)
		return -1;
	return db_run(w->db, Q_MAILBOX_ERASE, &t->err, "i", id) < 0 ? -1 : 1;
}

/* An account whose erasing was cut short, by a restart perhaps. */
static int prune_account(struct writer *w, struct write_task *t)
{
	struct rows *r = db_query(w->db, Q_ACCOUNTS_ERASING, &t->err, "i", (uint64_t)1);
	int rc = r == NULL ? -1 : db_next(r, &t->err);

	if (rc == 1)
		t->account = db_u64(r, 0);
	db_end(r);
	if (rc == 1 && write_account_erase(w, t) == WRITE_BROKEN)
		rc = -1;
	return rc;
}

/* In: t->date the time before which bodies go, t->uid the same for tombstones, t->count for
 * digests. t->now.uid is the stage. */
enum write_status write_prune(struct writer *w, struct write_task *t)
{
	struct old_tombstone *found = mem_alloc_array(PRUNE_SLICE, sizeof(*found));
	int rc = 0;

	if (t->now.uid == 0)
		t->now.uid = 1;
	switch (t->now.uid) {
	case 1:
		rc = prune_mailbox(w, t, (uint64_t)t->date);
		break;
	case 2:
		rc = prune_bodies(w, (uint64_t)t->date, found, &t->err);
		break;
	case 3:
		rc = prune_tombstones(w, t->uid, found, &t->err);
		break;
	case 4:
		rc = erase_old_deliveries(w, t->count, PRUNE_SLICE, &t->err);
		break;
	default:
		rc = prune_account(w, t);
	}
	mem_free(found);
	if (rc < 0)
		return WRITE_BROKEN;
	w->batch_messages += (unsigned)rc;
	t->now.count += (unsigned)rc;
	if (rc == 0)
		t->now.uid++;
	return t->now.uid <= 5 ? WRITE_MORE : WRITE_DONE;
}
