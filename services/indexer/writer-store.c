/* STORE and EXPUNGE, in slices (CORNERS M17). */
#include "lib-common/mem.h"
#include "services/indexer/writer.h"

static uint64_t flags_after(const struct write_task *t, uint64_t old, uint64_t bits)
{
	switch (t->mode) {
	case STORE_ADD:
		return old | bits;
	case STORE_REMOVE:
		return old & ~bits;
	default:
		return bits;
	}
}

static void count_flags(struct mailbox_row *m, uint64_t before, uint64_t after)
{
	m->unseen += ((after & FLAG_SEEN) == 0) - (uint64_t)((before & FLAG_SEEN) == 0);
	m->deleted += ((after & FLAG_DELETED) != 0) - (uint64_t)((before & FLAG_DELETED) != 0);
}

/* One message of the slice. *modseq: of this slice, taken with its first change. */
static int store_one(struct writer *w, struct write_task *t, struct mailbox_row *m,
	const struct mailbox_record *r, uint64_t bits, uint64_t *modseq)
{
	uint64_t after = flags_after(t, r->flags, bits);
	struct change *c;

	if (t->has_unchangedsince && r->modseq > t->unchangedsince) {
		uidset_add(&t->unchanged, r->uid, r->uid);
		return 0;
	}
	if (after == r->flags)
		return 0;
	if (*modseq == 0) {
		if (writer_begin(w, &t->err) < 0)
			return -1;
		*modseq = cache_next_modseq(w, m->account);
		cache_touch_mailbox(w, m);
		m->highestmodseq = *modseq;
	}
	if (db_run(w->db, Q_MESSAGE_FLAGS, &t->err, "iiii", after, *modseq, m->id,
		    (uint64_t)r->uid) < 0)
		return -1;
	count_flags(m, r->flags, after);
	c = writer_change(w, m);
	mailbox_log_flags(&c->log, r->uid, *modseq, after);
	c->entries++;
	return 0;
}

/* The account and mailbox of a request by mailbox id, and its share of this batch. */
static struct mailbox_row *begin_slice(
	struct writer *w, struct write_task *t, unsigned *share_r, enum write_status *status_r)
{
	struct account_row *a = cache_account(w, t->account, &t->err);
	struct mailbox_row *m;

	if (a == NULL) {
		*status_r = t->err.code == ERR_NOTFOUND ? WRITE_DONE : WRITE_BROKEN;
		return NULL;
	}
	m = mailbox_of_task(w, a, t, cache_mailbox(a, t->mailbox), status_r);
	if (m == NULL)
		return NULL;
	*share_r = writer_share(w, a);
	if (*share_r > 0)
		return m;
	*status_r = WRITE_WAIT;
	return NULL;
}

enum write_status write_store(struct writer *w, struct write_task *t)
{
	enum write_status status;
	unsigned share, n;
	bool more;
	uint64_t bits, modseq = 0;
	struct mailbox_row *m = begin_slice(w, t, &share, &status);

	if (m == NULL)
		return status;
	if (t->mode != STORE_REMOVE && keywords_check(m, t->keywords, &t->err) < 0)
		return WRITE_DONE;
	if (slice_read(w, t, m, share, &n, &more) < 0)
		return WRITE_BROKEN;
	/* keywords come to be with the first message that gets them, not by an empty set */
	if (n > 0 && t->keywords.n > 0 && t->mode != STORE_REMOVE && writer_begin(w, &t->err) < 0)
		return WRITE_BROKEN;
	bits = (t->flags & FLAGS_SYSTEM) |
	       keywords_bits(w, m, t->keywords, n > 0 && t->mode != STORE_REMOVE);
	for (unsigned i = 0; i < n; i++) {
		if (store_one(w, t, m, &w->slice[i], bits, &modseq) < 0)
			return WRITE_BROKEN;
	}
	writer_charge(w, m->account, n);
	if (modseq != 0)
		t->now.modseq = modseq;
	t->modseq = t->now.modseq != 0 ? t->now.modseq : m->highestmodseq;
	return more ? WRITE_MORE : WRITE_DONE;
}

/* Buries what has \Deleted among the first n rows, at most `share`; the number of rows dealt with.
 */
static int expunge_rows(struct writer *w, struct write_task *t, struct mailbox_row *m, unsigned n,
	unsigned share, unsigned *done_r)
{
	uint64_t modseq = 0;
	unsigned i, buried = 0;

	for (i = 0; i < n && buried < share; i++) {
		const struct mailbox_record *r = &w->slice[i];

		if ((r->flags & FLAG_DELETED) == 0)
			continue;
		if (modseq == 0) {
			if (writer_begin(w, &t->err) < 0)
				return -1;
			modseq = cache_next_modseq(w, m->account);
			cache_touch_mailbox(w, m);
			m->highestmodseq = modseq;
			t->now.modseq = modseq;
		}
		if (message_bury(w, m, r, modseq, true, &t->err) < 0)
			return -1;
		buried++;
	}
	t->now.count += buried;
	*done_r = i;
	writer_charge(w, m->account, buried + n / 10);
	return 0;
}

enum write_status write_expunge(struct writer *w, struct write_task *t)
{
	enum write_status status;
	unsigned share, n = 0, done = 0;
	bool more = false;
	struct mailbox_row *m = begin_slice(w, t, &share, &status);

	if (m == NULL)
		return status;
	/* most clients expunge when there is nothing to: that must not read the mailbox */
	if (m->deleted > 0) {
		if (slice_read(w, t, m, WRITE_READ, &n, &more) < 0 ||
			expunge_rows(w, t, m, n, share, &done) < 0)
			return WRITE_BROKEN;
		if (done < n) {
			t->now.uid = w->slice[done].uid - 1;
			more = true;
		}
		more = more && m->deleted > 0;
	}
	t->modseq = t->now.modseq != 0 ? t->now.modseq : m->highestmodseq;
	t->count = t->now.count;
	return more ? WRITE_MORE : WRITE_DONE;
}
