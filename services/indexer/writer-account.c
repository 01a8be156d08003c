/* Accounts: made at first sight, limits, voiding, erasing, recounting; and the pruning of what is
 * old. */
#include "lib-common/mem.h"
#include "services/indexer/writer.h"

static const struct {
	const char *name, *special_use;
} first_mailboxes[] = {
	{"INBOX", ""},
	{"Drafts", "\\Drafts"},
	{"Sent", "\\Sent"},
	{"Junk", "\\Junk"},
	{"Trash", "\\Trash"},
	{"Archive", "\\Archive"},
};

static struct account_row *account_make(struct writer *w, struct write_task *t)
{
	struct account_row *a;

	memset(&t->err, 0, sizeof(t->err));
	if (writer_begin(w, &t->err) < 0 ||
		db_run(w->db, Q_ACCOUNT_ADD, &t->err, "isiiiii", t->account, t->user, t->generation,
			t->quota_bytes, t->quota_messages, (uint64_t)w->now, (uint64_t)w->now) < 0)
		return NULL;
	a = cache_account(w, t->account, &t->err);
	if (a == NULL)
		return NULL;
	/* touched before anything that can fail: so a rollback forgets the row */
	cache_touch(w, a);
	for (size_t i = 0; i < array_count(first_mailboxes); i++) {
		struct span name = span_of(first_mailboxes[i].name);

		if (mailbox_make(w, a, name, span_of(first_mailboxes[i].special_use), MAILBOX_LIVE,
			    &t->err) == NULL ||
			db_run(w->db, Q_SUBSCRIBE, &t->err, "is", a->id, name) < 0) {
			t->err.code = ERR_TEMP;
			return NULL;
		}
	}
	return a;
}

struct account_row *account_of_task(struct writer *w, struct write_task *t)
{
	struct account_row *a = cache_account(w, t->account, &t->err);

	if (a == NULL && t->err.code == ERR_NOTFOUND && t->create_account)
		a = account_make(w, t);
	return a;
}

static enum write_status no_account(const struct write_task *t)
{
	return t->err.code == ERR_NOTFOUND ? WRITE_DONE : WRITE_BROKEN;
}

static void account_tell(struct write_task *t, const struct account_row *a)
{
	t->generation = a->generation;
	t->quota_bytes = a->quota_bytes;
	t->quota_messages = a->quota_messages;
	t->used_bytes = a->used_bytes;
	t->used_messages = a->used_messages;
	t->name_r = span_of(arena_strdup(t->arena, a->user));
}

enum write_status write_attach(struct writer *w, struct write_task *t)
{
	struct account_row *a = account_of_task(w, t);

	if (a == NULL)
		return no_account(t);
	if (a->state != ACCOUNT_LIVE || t->generation < a->generation) {
		err_set(&t->err, ERR_DENIED, "the ticket or grant is void");
		return WRITE_DONE;
	}
	if (t->generation > a->generation) {
		if (writer_begin(w, &t->err) < 0)
			return WRITE_BROKEN;
		a->generation = t->generation;
		cache_next_modseq(w, a);
	}
	account_tell(t, a);
	return WRITE_DONE;
}

enum write_status write_account_limits(struct writer *w, struct write_task *t)
{
	uint64_t quota_bytes = t->quota_bytes, quota_messages = t->quota_messages;
	uint64_t generation = t->generation;
	struct account_row *a = account_of_task(w, t);

	if (a == NULL)
		return no_account(t);
	if (a->state != ACCOUNT_LIVE) {
		err_set(&t->err, ERR_NOTFOUND, "the account is gone");
		return WRITE_DONE;
	}
	if (writer_begin(w, &t->err) < 0)
		return WRITE_BROKEN;
	cache_next_modseq(w, a);
	a->quota_bytes = quota_bytes;
	a->quota_messages = quota_messages;
	if (generation > a->generation)
		a->generation = generation;
	if (t->user.n > 0) {
		mem_free(a->user);
		a->user = mem_dup(t->user.p, t->user.n);
		a->renamed = true;
	}
	account_tell(t, a);
	return WRITE_DONE;
}

enum write_status write_account_void(struct writer *w, struct write_task *t)
{
	struct account_row *a = cache_account(w, t->account, &t->err);

	if (a == NULL)
		return no_account(t);
	if (writer_begin(w, &t->err) < 0)
		return WRITE_BROKEN;
	cache_next_modseq(w, a);
	if (t->generation > a->generation)
		a->generation = t->generation;
	else if (t->generation == 0)
		a->generation++;
	account_tell(t, a);
	return WRITE_DONE;
}

/* ---- erasing ---- */

/* Deletes up to `max` rows that `find` lists by the first column. The number deleted, or -1. */
static int erase_some(struct writer *w, enum statement find, enum statement drop, uint64_t key,
	unsigned max, struct err *e)
{
	uint64_t *ids = mem_alloc_array(max, sizeof(*ids));
	struct rows *r = find == Q_MESSAGES ? db_query(w->db, find, e, "iiii", key, (uint64_t)0,
						      (uint64_t)INT64_MAX, (uint64_t)max)
					    : db_query(w->db, find, e, "ii", key, (uint64_t)max);
	unsigned n = 0;
	int rc = -1;

	if (r != NULL) {
		while ((rc = db_next(r, e)) == 1 && n < max)
			ids[n++] = db_u64(r, 0);
		db_end(r);
	}
	if (rc >= 0 && n > 0 && writer_begin(w, e) < 0)
		rc = -1;
	for (unsigned i = 0; i < n && rc >= 0; i++) {
		if (db_run(w->db, drop, e, "ii", key, ids[i]) < 0)
			rc = -1;
	}
	mem_free(ids);
	return rc < 0 ? -1 : (int)n;
}

/* The digests of an account are keyed by octets. */
static int erase_deliveries(
	struct writer *w, enum statement find, uint64_t key, unsigned max, struct err *e)
{
	struct rows *r = db_query(w->db, find, e, "ii", key, (uint64_t)max);
	struct buf found;
	struct span rest, digest;
	unsigned n = 0;
	int rc = -1;

	buf_init(&found);
	if (r != NULL) {
		while ((rc = db_next(r, e)) == 1) {
			struct span d = db_span(r, 1);

			buf_add_u64(&found, db_u64(r, 0));
			buf_add_block(&found, d.p, d.n);
		}
		db_end(r);
	}
	if (rc == 0 && found.len > 0)
		rc = writer_begin(w, e);
	for (rest = buf_span(&found); rc == 0 && rest.n > 0; n++) {
		uint64_t account;

		if (!span_get_u64(&rest, &account) || !span_get_block(&rest, &digest))
			break;
		rc = db_run(w->db, Q_DELIVERY_DROP, e, "is", account, digest) < 0 ? -1 : 0;
	}
	buf_clear(&found);
	return rc < 0 ? -1 : (int)n;
}

/* One mailbox row of an account that is erased, its messages first. 1: something was done; 0: none
 * is left. */
static int erase_mailbox(struct writer *w, uint64_t account, unsigned max, struct err *e)
{
	struct rows *r = db_query(w->db, Q_MAILBOXES_OF, e, "ii", account, (uint64_t)1);
	uint64_t id = 0;
	int rc = r == NULL ? -1 : db_next(r, e);

	if (rc == 1)
		id = db_u64(r, 0);
	db_end(r);
	if (rc <= 0)
		return rc;
	rc = erase_some(w, Q_MESSAGES, Q_MESSAGE_DROP, id, max, e);
	if (rc != 0)
		return rc;
	rc = erase_some(w, Q_TOMBSTONES_OF, Q_TOMBSTONE_DROP, id, max, e);
	if (rc != 0)
		return rc;
	if (writer_begin(w, e) < 0)
		return -1;
	return db_run(w->db, Q_MAILBOX_ERASE, e, "i", id) < 0 ? -1 : 1;
}

static int erase_bodies(struct writer *w, uint64_t account, unsigned max, struct err *e)
{
	int n = erase_some(w, Q_BODIES_OF, Q_META_DROP, account, max, e);

	if (n <= 0)
		return n;
	return erase_some(w, Q_BODIES_OF, Q_BODY_DROP, account, max, e);
}

/* A slice of all that an account has. The row itself stays, void, so that no ticket or recipient
 * answer that is still about can bring it back (CORNERS M15). */
enum write_status write_account_erase(struct writer *w, struct write_task *t)
{
	struct account_row *a = cache_account(w, t->account, &t->err);
	int rc;

	if (a == NULL)
		return no_account(t);
	if (a->state == ACCOUNT_VOID)
		return WRITE_DONE;
	if (writer_begin(w, &t->err) < 0)
		return WRITE_BROKEN;
	t->now.count++;
	if (a->state == ACCOUNT_LIVE) {
		a->state = ACCOUNT_ERASING;
		a->renamed = true;
		a->generation++;
		cache_next_modseq(w, a);
		for (size_t i = 0; i < a->n_mailboxes; i++) {
			struct change *c = writer_change_list(w, a->id);

			c->mailbox = a->mailboxes[i]->id;
			c->gone = true;
		}
		return WRITE_MORE;
	}
	rc = erase_mailbox(w, a->id, WRITE_SLICE, &t->err);
	if (rc == 0)
		rc = erase_bodies(w, a->id, WRITE_SLICE, &t->err);
	if (rc == 0)
		rc = erase_deliveries(w, Q_DELIVERIES_OF, a->id, WRITE_SLICE, &t->err);
	if (rc != 0)
		return rc < 0 ? WRITE_BROKEN : WRITE_MORE;
	if (db_run(w->db, Q_SUBSCRIPTIONS_DROP, &t->err, "i", a->id) < 0)
		return WRITE_BROKEN;
	while (a->n_mailboxes > 0)
		cache_mailbox_remove(a, a->mailboxes[a->n_mailboxes - 1]);
	a->state = ACCOUNT_VOID;
	a->renamed = true;
	a->used_bytes = a->used_messages = 0;
	cache_next_modseq(w, a);
	return WRITE_DONE;
}

/* ---- recounting ---- */

static int recount_mailbox(struct writer *w, struct mailbox_row *m, struct err *e)
{
	struct rows *r = db_query(w->db, Q_MAILBOX_COUNT, e, "ii", m->id, m->uidnext);
	int rc = r == NULL ? -1 : db_next(r, e);

	if (rc == 1) {
		cache_touch_mailbox(w, m);
		m->messages = db_u64(r, 0);
		m->unseen = db_u64(r, 1);
		m->deleted = db_u64(r, 2);
		m->size = db_u64(r, 3);
	}
	db_end(r);
	return rc;
}

/* One mailbox a slice; at the end the sums. */
enum write_status write_recount(struct writer *w, struct write_task *t)
{
	struct account_row *a = cache_account(w, t->account, &t->err);
	uint64_t bytes = 0, messages = 0;
	struct mailbox_row *next = NULL;

	if (a == NULL)
		return no_account(t);
	if (writer_begin(w, &t->err) < 0)
		return WRITE_BROKEN;
	for (size_t i = 0; i < a->n_mailboxes; i++) {
		struct mailbox_row *m = a->mailboxes[i];

		if (m->id > t->now.target && (next == NULL || m->id < next->id))
			next = m;
	}
	t->now.count++;
	if (next != NULL) {
		t->now.target = next->id;
		return recount_mailbox(w, next, &t->err) < 0 ? WRITE_BROKEN : WRITE_MORE;
	}
	for (size_t i = 0; i < a->n_mailboxes; i++) {
		bytes += a->mailboxes[i]->size;
		messages += a->mailboxes[i]->messages;
	}
	cache_next_modseq(w, a);
	a->used_bytes = bytes;
	a->used_messages = messages;
	writer_change_list(w, a->id);
	account_tell(t, a);
	return WRITE_DONE;
}

int erase_old_deliveries(struct writer *w, uint64_t before, unsigned max, struct err *e)
{
	return erase_deliveries(w, Q_DELIVERIES_OLD, before, max, e);
}
