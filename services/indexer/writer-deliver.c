/* DELIVER and APPEND: one new message. */
#include "lib-common/mem.h"
#include "services/indexer/writer.h"

static enum write_status refuse(struct write_task *t, enum err_code code, const char *why)
{
	err_set(&t->err, code, "%s", why);
	return WRITE_DONE;
}

static enum write_status failed(struct write_task *t)
{
	return t->err.code == ERR_NOTFOUND ? WRITE_DONE : WRITE_BROKEN;
}

/* A retry of what was delivered is answered as the first attempt was (CORNERS M13). 1: it is one.
 */
static int delivery_known(struct writer *w, struct write_task *t)
{
	struct rows *r;
	int rc;

	if (t->digest.n == 0)
		return 0;
	r = db_query(w->db, Q_DELIVERY, &t->err, "is", t->account, t->digest);
	if (r == NULL)
		return -1;
	rc = db_next(r, &t->err);
	if (rc == 1 && db_i64(r, 4) + (int64_t)w->def.delivery_window_s > w->now) {
		struct span name = db_span(r, 3);

		t->mailbox_r = db_u64(r, 0);
		t->uid = db_u64(r, 1);
		t->uidvalidity = db_u64(r, 2);
		t->name_r = span_from(arena_dup(t->arena, name.p, name.n), name.n);
		t->duplicate = true;
	} else if (rc == 1) {
		rc = 0;
	}
	db_end(r);
	return rc;
}

/* 1: the pack may be named by new rows; 0: it is going away (CORNERS M2); -1: a statement failed.
 */
static int pack_is_good(struct writer *w, struct write_task *t)
{
	const char *pack = t->receipt->locator.pack;
	struct rows *r;
	int rc;

	if (strcmp(w->good_pack, pack) == 0)
		return 1;
	r = db_query(w->db, Q_PACK, &t->err, "s", span_of(pack));
	if (r == NULL)
		return -1;
	rc = db_next(r, &t->err);
	db_end(r);
	if (rc == 0)
		memcpy(w->good_pack, pack, sizeof(w->good_pack));
	return rc < 0 ? -1 : rc == 0;
}

static bool over_quota(const struct account_row *a, uint64_t bytes)
{
	return (a->quota_bytes != 0 && a->used_bytes + bytes > a->quota_bytes) ||
	       (a->quota_messages != 0 && a->used_messages + 1 > a->quota_messages);
}

/* The mailbox to deliver into: the named one, or for deliveries INBOX when that does not exist. */
static struct mailbox_row *deliver_target(
	struct writer *w, struct account_row *a, struct write_task *t)
{
	struct mailbox_row *m = NULL;

	if (t->name.n > 0)
		m = cache_mailbox_named(a, t->name);
	if (m == NULL && t->name.n > 0 && t->auto_create) {
		if (writer_begin(w, &t->err) < 0)
			return NULL;
		m = mailbox_make(w, a, t->name, SPAN(""), MAILBOX_LIVE, &t->err);
	}
	if ((m == NULL || m->state != MAILBOX_LIVE) && t->fallback_inbox)
		m = cache_mailbox_named(a, SPAN("INBOX"));
	return m;
}

static int body_insert(struct writer *w, struct write_task *t, uint64_t body)
{
	const struct receipt *r = t->receipt;
	const struct locator *l = &r->locator;

	if (db_run(w->db, Q_BODY_ADD, &t->err, "iisiissis", t->account, body, span_of(l->pack),
		    l->offset, l->length, span_from(l->key, sizeof(l->key)),
		    span_from(l->key_id, sizeof(l->key_id)), l->size,
		    span_from(r->sha256, sizeof(r->sha256))) < 0)
		return -1;
	return db_run(w->db, Q_META_ADD, &t->err, "iis", t->account, body, t->meta) < 0 ? -1 : 0;
}

static int deliver_insert(struct writer *w, struct write_task *t, struct mailbox_row *m)
{
	struct account_row *a = m->account;
	uint64_t modseq = cache_next_modseq(w, a);
	struct mailbox_record r = {
		.uid = (uint32_t)m->uidnext,
		.tz_minutes = t->tz_minutes,
		.flags = t->flags & FLAGS_SYSTEM,
		.modseq = modseq,
		.size = t->receipt->locator.size,
		.internaldate = t->date,
		.body = modseq, /* of this account, ascending, never given again */
		.savedate = w->now,
	};
	struct change *c;

	cache_touch_mailbox(w, m);
	r.flags |= keywords_bits(w, m, t->keywords, true);
	if (message_insert(w, m, &r, &t->err) < 0 || body_insert(w, t, r.body) < 0)
		return -1;
	if (t->digest.n > 0 && db_run(w->db, Q_DELIVERY_ADD, &t->err, "isiiisi", a->id, t->digest,
				       m->id, (uint64_t)r.uid, (uint64_t)m->uidvalidity,
				       span_from(m->name, m->name_len), (uint64_t)w->now) < 0)
		return -1;
	m->uidnext++;
	m->highestmodseq = modseq;
	count_message(m, r.flags, r.size, 1);
	c = writer_change(w, m);
	mailbox_log_new(&c->log, &r);
	c->entries++;
	t->uid = r.uid;
	t->uidvalidity = m->uidvalidity;
	t->modseq = modseq;
	t->mailbox_r = m->id;
	t->name_r = span_from(arena_dup(t->arena, m->name, m->name_len), m->name_len);
	return 0;
}

enum write_status write_deliver(struct writer *w, struct write_task *t)
{
	struct account_row *a = account_of_task(w, t);
	enum write_status status;
	struct mailbox_row *m;
	int rc;

	if (a == NULL)
		return failed(t);
	if (a->state != ACCOUNT_LIVE)
		return refuse(t, ERR_NOTFOUND, "the account is gone");
	rc = delivery_known(w, t);
	if (rc != 0)
		return rc < 0 ? WRITE_BROKEN : WRITE_DONE;
	if (over_quota(a, t->receipt->locator.size))
		return refuse(t, ERR_QUOTA, "over quota");
	rc = pack_is_good(w, t);
	if (rc <= 0)
		return rc < 0 ? WRITE_BROKEN : refuse(t, ERR_TEMP, "the body's pack is going away");
	m = deliver_target(w, a, t);
	if (m == NULL && t->err.code != ERR_NONE)
		return t->err.code == ERR_TEMP ? WRITE_BROKEN : WRITE_DONE;
	m = mailbox_of_task(w, a, t, m, &status);
	if (m == NULL)
		return status;
	if (m->uidnext >= UINT32_MAX)
		return refuse(t, ERR_LIMIT, "the mailbox has given out all UIDs");
	if (keywords_check(m, t->keywords, &t->err) < 0)
		return WRITE_DONE;
	if (writer_begin(w, &t->err) < 0 || deliver_insert(w, t, m) < 0)
		return WRITE_BROKEN;
	w->batch_messages++;
	return WRITE_DONE;
}
