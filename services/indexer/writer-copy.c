/*
 * COPY and MOVE. A COPY that is larger than a slice stages its rows at and above the target's
 * uidnext, where nobody looks, and becomes visible with the one update of the mailbox that moves
 * uidnext (RFC 3501 6.4.7 wants all or nothing). Until then other changes of the target wait; after
 * a crash the rows are dropped when the account is next read. MOVE is atomic per message only (RFC
 * 6851 3.3).
 */
#include "lib-common/mem.h"
#include "services/indexer/writer.h"

struct staged_copy {
	struct staged_copy *next;
	uint64_t mailbox;
	const struct write_task *task;
};

bool copy_is_staging(const struct writer *w, uint64_t mailbox)
{
	for (const struct staged_copy *c = w->copies; c != NULL; c = c->next) {
		if (c->mailbox == mailbox)
			return true;
	}
	return false;
}

void copy_abandon(struct writer *w, const struct write_task *t)
{
	struct staged_copy **at = &w->copies, *c;

	while ((c = *at) != NULL) {
		if (c->task == t) {
			*at = c->next;
			/* what it staged is dropped when the rows are next read */
			if (t->committed.staged_first != 0)
				cache_forget(w, t->account);
			mem_free(c);
			return;
		}
		at = &c->next;
	}
}

static void copy_hold(struct writer *w, const struct write_task *t, uint64_t mailbox)
{
	struct staged_copy *c = mem_alloc(sizeof(*c));

	c->mailbox = mailbox;
	c->task = t;
	c->next = w->copies;
	w->copies = c;
}

static void copy_release(struct writer *w, const struct write_task *t)
{
	for (struct staged_copy **at = &w->copies; *at != NULL; at = &(*at)->next) {
		struct staged_copy *c = *at;

		if (c->task == t) {
			*at = c->next;
			mem_free(c);
			return;
		}
	}
}

/* Source and target of a COPY or MOVE; NULL: return *status_r. */
static struct mailbox_row *copy_begin(struct writer *w, struct write_task *t,
	struct mailbox_row **target_r, unsigned *share_r, enum write_status *status_r)
{
	struct account_row *a = cache_account(w, t->account, &t->err);
	struct mailbox_row *from, *to;

	if (a == NULL) {
		*status_r = t->err.code == ERR_NOTFOUND ? WRITE_DONE : WRITE_BROKEN;
		return NULL;
	}
	from = cache_mailbox(a, t->mailbox);
	to = t->now.target != 0 ? cache_mailbox(a, t->now.target) : cache_mailbox_named(a, t->name);
	*status_r = WRITE_DONE;
	if (from == NULL || a->state != ACCOUNT_LIVE) {
		err_set(&t->err, ERR_TEMP, "the source mailbox is gone");
		return NULL;
	}
	if (t->now.staged_first == 0) {
		to = mailbox_of_task(w, a, t, to, status_r);
	} else if (to == NULL) {
		copy_release(w, t);
		err_set(&t->err, ERR_NOTFOUND, "the target mailbox is gone");
	}
	if (to == NULL)
		return NULL;
	*target_r = to;
	*share_r = writer_share(w, a);
	if (*share_r > 0)
		return from;
	*status_r = WRITE_WAIT;
	return NULL;
}

static bool copy_over_quota(const struct account_row *a, uint64_t bytes, uint64_t count)
{
	return (a->quota_bytes != 0 && a->used_bytes + bytes > a->quota_bytes) ||
	       (a->quota_messages != 0 && a->used_messages + count > a->quota_messages);
}

/* Puts a row of the source at `uid` of the target. */
static int copy_row(struct writer *w, struct write_task *t, const struct mailbox_row *from,
	struct mailbox_row *to, const struct mailbox_record *r, uint64_t uid, uint64_t modseq,
	struct buf *log, uint64_t *flags_r)
{
	struct mailbox_record copy = *r;

	copy.uid = (uint32_t)uid;
	copy.modseq = modseq;
	copy.savedate = w->now;
	/* a keyword that finds no place in the target is left behind, as a server may (RFC
	 * 3501 6.4.7 SHOULD keep flags): better than not to copy */
	copy.flags = keywords_translate(w, from, to, r->flags);
	if (message_insert(w, to, &copy, &t->err) < 0)
		return -1;
	mailbox_log_new(log, &copy);
	buf_printf(&t->out, "%u %u\n", r->uid, copy.uid);
	*flags_r = copy.flags;
	return 0;
}

/* What has been staged so far is dropped, in this transaction. */
static enum write_status copy_refuse(struct writer *w, struct write_task *t, struct mailbox_row *to)
{
	struct err e;

	if (t->now.staged_first != 0) {
		if (writer_begin(w, &e) < 0 ||
			db_run(w->db, Q_MESSAGES_STAGED_DROP, &e, "ii", to->id, to->uidnext) < 0) {
			t->err = e;
			return WRITE_BROKEN;
		}
		copy_release(w, t);
	}
	return WRITE_DONE;
}

/* Makes what is staged visible. */
static void copy_publish(struct writer *w, struct write_task *t, struct mailbox_row *to)
{
	struct write_progress *p = &t->now;
	struct change *c = writer_change(w, to);

	cache_touch_mailbox(w, to);
	to->uidnext = p->staged_next;
	to->highestmodseq = p->modseq;
	to->messages += p->count;
	to->size += p->bytes;
	to->unseen += p->unseen;
	to->deleted += p->deleted;
	to->account->used_messages += p->count;
	to->account->used_bytes += p->bytes;
	buf_add_span(&c->log, buf_span(&t->log));
	c->entries += p->count;
	t->uidvalidity = to->uidvalidity;
	t->mailbox_r = to->id;
	t->modseq = p->modseq;
	t->count = p->count;
	copy_release(w, t);
}

static uint64_t slice_bytes(const struct writer *w, unsigned n)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < n; i++)
		bytes += w->slice[i].size;
	return bytes;
}

static int copy_stage(struct writer *w, struct write_task *t, const struct mailbox_row *from,
	struct mailbox_row *to, unsigned n)
{
	struct write_progress *p = &t->now;

	for (unsigned i = 0; i < n; i++) {
		const struct mailbox_record *r = &w->slice[i];
		uint64_t flags;

		if (copy_row(w, t, from, to, r, p->staged_next, p->modseq, &t->log, &flags) < 0)
			return -1;
		p->staged_next++;
		p->count++;
		p->bytes += r->size;
		p->unseen += (flags & FLAG_SEEN) == 0;
		p->deleted += (flags & FLAG_DELETED) != 0;
	}
	return 0;
}

enum write_status write_copy(struct writer *w, struct write_task *t)
{
	struct write_progress *p = &t->now;
	struct mailbox_row *from, *to;
	enum write_status status;
	unsigned share, n;
	bool more;

	from = copy_begin(w, t, &to, &share, &status);
	if (from == NULL)
		return status;
	if (slice_read(w, t, from, share, &n, &more) < 0)
		return WRITE_BROKEN;
	t->uidvalidity = to->uidvalidity;
	if (n == 0 && !more && p->count == 0)
		return WRITE_DONE;
	if (copy_over_quota(to->account, p->bytes + slice_bytes(w, n), p->count + n)) {
		err_set(&t->err, ERR_QUOTA, "over quota");
		return copy_refuse(w, t, to);
	}
	if (to->uidnext + p->count + n > UINT32_MAX) {
		err_set(&t->err, ERR_LIMIT, "the mailbox has given out all UIDs");
		return copy_refuse(w, t, to);
	}
	if (writer_begin(w, &t->err) < 0)
		return WRITE_BROKEN;
	if (p->staged_first == 0) {
		p->modseq = cache_next_modseq(w, to->account);
		p->staged_first = p->staged_next = to->uidnext;
		p->target = to->id;
		copy_hold(w, t, to->id);
	}
	if (copy_stage(w, t, from, to, n) < 0)
		return WRITE_BROKEN;
	writer_charge(w, to->account, n);
	if (more)
		return WRITE_MORE;
	copy_publish(w, t, to);
	return WRITE_DONE;
}

/* One slice of a MOVE: rows go over with new UIDs, the source keeps tombstones without bodies. */
static int move_rows(struct writer *w, struct write_task *t, struct mailbox_row *from,
	struct mailbox_row *to, unsigned n)
{
	uint64_t modseq = cache_next_modseq(w, to->account);

	cache_touch_mailbox(w, from);
	cache_touch_mailbox(w, to);
	from->highestmodseq = to->highestmodseq = t->now.modseq = modseq;
	for (unsigned i = 0; i < n; i++) {
		const struct mailbox_record r = w->slice[i];
		struct change *c = writer_change(w, to);
		uint64_t flags;

		if (copy_row(w, t, from, to, &r, to->uidnext, modseq, &c->log, &flags) < 0)
			return -1;
		c->entries++;
		to->uidnext++;
		count_message(to, flags, r.size, 1);
		if (message_bury(w, from, &r, modseq, false, &t->err) < 0)
			return -1;
	}
	t->now.count += n;
	return 0;
}

enum write_status write_move(struct writer *w, struct write_task *t)
{
	struct mailbox_row *from, *to;
	enum write_status status;
	unsigned share, n;
	bool more;

	from = copy_begin(w, t, &to, &share, &status);
	if (from == NULL)
		return status;
	if (copy_is_staging(w, from->id))
		return WRITE_WAIT;
	if (slice_read(w, t, from, share, &n, &more) < 0)
		return WRITE_BROKEN;
	t->uidvalidity = to->uidvalidity;
	t->mailbox_r = to->id;
	t->now.target = to->id;
	if (to->uidnext + n > UINT32_MAX) {
		err_set(&t->err, ERR_LIMIT, "the mailbox has given out all UIDs");
		return WRITE_DONE;
	}
	if (n > 0 && (writer_begin(w, &t->err) < 0 || move_rows(w, t, from, to, n) < 0))
		return WRITE_BROKEN;
	writer_charge(w, from->account, n);
	t->modseq = t->now.modseq != 0 ? t->now.modseq : from->highestmodseq;
	t->count = t->now.count;
	return more ? WRITE_MORE : WRITE_DONE;
}
