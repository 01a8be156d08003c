/* CREATE, DELETE, RENAME, SUBSCRIBE: the list of an account's mailboxes. */
#include "lib-common/mem.h"
#include "lib-storage/mailbox-name.h"
#include "services/indexer/writer.h"

#define MAILBOXES_MAX 10000	/* of one account */
#define SUBSCRIPTIONS_MAX 20000 /* of one account */

struct mailbox_row *mailbox_make(struct writer *w, struct account_row *a, struct span name,
	struct span special_use, enum mailbox_row_state state, struct err *e)
{
	struct mailbox_row *m;
	uint64_t uidvalidity, modseq;

	if (a->n_mailboxes >= MAILBOXES_MAX) {
		err_set(e, ERR_LIMIT, "the account has %u mailboxes", MAILBOXES_MAX);
		return NULL;
	}
	modseq = cache_next_modseq(w, a);
	uidvalidity = a->next_uidvalidity++;
	if (db_run(w->db, Q_MAILBOX_ADD, e, "isiitii", a->id, name, uidvalidity, modseq,
		    special_use, (uint64_t)state, modseq) < 0)
		return NULL;
	m = mem_alloc(sizeof(*m));
	m->id = db_last_id(w->db);
	m->name = mem_dup(name.p, name.n);
	m->name_len = name.n;
	m->uidvalidity = (uint32_t)uidvalidity;
	m->uidnext = 1;
	m->recent_uid = 1;
	m->highestmodseq = m->changed_seq = modseq;
	m->special_use = mem_dup(special_use.n > 0 ? special_use.p : "", special_use.n);
	m->keywords = mem_strdup("");
	m->state = state;
	cache_mailbox_add(a, m);
	writer_change_list(w, a->id);
	return m;
}

static struct account_row *task_account(
	struct writer *w, struct write_task *t, enum write_status *status_r)
{
	struct account_row *a = cache_account(w, t->account, &t->err);

	*status_r = WRITE_DONE;
	if (a == NULL && t->err.code != ERR_NOTFOUND)
		*status_r = WRITE_BROKEN;
	if (a != NULL && a->state != ACCOUNT_LIVE) {
		err_set(&t->err, ERR_DENIED, "the account is gone");
		return NULL;
	}
	return a;
}

static enum write_status after_make(const struct mailbox_row *m, const struct write_task *t)
{
	return m != NULL || t->err.code == ERR_LIMIT ? WRITE_DONE : WRITE_BROKEN;
}

static unsigned missing_levels(struct account_row *a, struct span name)
{
	unsigned n = 0;

	for (; name.n > 0; name = mailbox_name_parent(name))
		n += cache_mailbox_named(a, name) == NULL;
	return n;
}

/* What lies above a name, as ordinary mailboxes, outermost first. */
static int make_parents(struct writer *w, struct account_row *a, struct span name, struct err *e)
{
	for (size_t i = 1; i < name.n; i++) {
		struct span level = span_from(name.p, i);

		if (name.p[i] == MAILBOX_SEPARATOR && cache_mailbox_named(a, level) == NULL &&
			mailbox_make(w, a, level, SPAN(""), MAILBOX_LIVE, e) == NULL)
			return -1;
	}
	return 0;
}

/* A \NoSelect name becomes a mailbox again, with a new UIDVALIDITY. */
static void mailbox_revive(struct writer *w, struct mailbox_row *m, struct span special_use)
{
	uint64_t modseq = cache_next_modseq(w, m->account);

	cache_touch_mailbox(w, m);
	m->state = MAILBOX_LIVE;
	m->uidvalidity = (uint32_t)m->account->next_uidvalidity++;
	m->highestmodseq = m->changed_seq = modseq;
	mem_free(m->special_use);
	m->special_use = mem_dup(special_use.n > 0 ? special_use.p : "", special_use.n);
	writer_change_list(w, m->account->id);
}

enum write_status write_create(struct writer *w, struct write_task *t)
{
	enum write_status status;
	struct account_row *a = task_account(w, t, &status);
	struct mailbox_row *m;

	if (a == NULL)
		return status;
	m = cache_mailbox_named(a, t->name);
	if (m != NULL && m->state == MAILBOX_LIVE) {
		err_set(&t->err, ERR_EXISTS, "the mailbox exists");
		return WRITE_DONE;
	}
	if (a->n_mailboxes + missing_levels(a, t->name) > MAILBOXES_MAX) {
		err_set(&t->err, ERR_LIMIT, "too many mailboxes");
		return WRITE_DONE;
	}
	if (writer_begin(w, &t->err) < 0)
		return WRITE_BROKEN;
	if (m != NULL) {
		mailbox_revive(w, m, t->special_use);
	} else {
		if (make_parents(w, a, t->name, &t->err) < 0)
			return WRITE_BROKEN;
		m = mailbox_make(w, a, t->name, t->special_use, MAILBOX_LIVE, &t->err);
	}
	if (m != NULL) {
		t->mailbox_r = m->id;
		t->uidvalidity = m->uidvalidity;
	}
	return after_make(m, t);
}

/* True when there are mailboxes below a name. */
static bool has_children(const struct account_row *a, const struct mailbox_row *m)
{
	struct span name = span_from(m->name, m->name_len);
	char *below = mem_printf("%.*s/", (int)name.n, name.p);
	size_t i = cache_mailbox_place(a, span_of(below));

	mem_free(below);
	return i < a->n_mailboxes &&
	       mailbox_name_is_below(
		       span_from(a->mailboxes[i]->name, a->mailboxes[i]->name_len), name);
}

/* The row stays as deleted for the grace period; its messages become tombstones in the background.
 */
static int mailbox_drop(struct writer *w, struct mailbox_row *m, struct err *e)
{
	struct account_row *a = m->account;
	uint64_t modseq = cache_next_modseq(w, a);
	struct change *c = writer_change_list(w, a->id);

	c->mailbox = m->id;
	c->gone = true;
	if (db_run(w->db, Q_MAILBOX_DROP, e, "iiii", (uint64_t)w->now, modseq, modseq, m->id) < 0)
		return -1;
	a->used_bytes -= m->size;
	a->used_messages -= m->messages;
	return 0;
}

/* A row that is freed may stand in the batch's list of dirty rows. */
static void unlink_dirty(struct writer *w, struct mailbox_row *m)
{
	for (struct mailbox_row **at = &w->dirty_mailboxes; *at != NULL; at = &(*at)->next_dirty) {
		if (*at == m) {
			*at = m->next_dirty;
			return;
		}
	}
}

enum write_status write_delete(struct writer *w, struct write_task *t)
{
	enum write_status status;
	struct account_row *a = task_account(w, t, &status);
	struct mailbox_row *m;
	bool children;

	if (a == NULL)
		return status;
	m = cache_mailbox_named(a, t->name);
	if (m == NULL) {
		err_set(&t->err, ERR_NOTFOUND, "no such mailbox");
		return WRITE_DONE;
	}
	if (copy_is_staging(w, m->id))
		return WRITE_WAIT;
	children = has_children(a, m);
	if (mailbox_name_is_inbox(t->name) || (m->state == MAILBOX_NOSELECT && children)) {
		err_set(&t->err, ERR_PERM, "this name cannot be deleted");
		err_user(&t->err, "This mailbox cannot be deleted");
		return WRITE_DONE;
	}
	if (writer_begin(w, &t->err) < 0 || mailbox_drop(w, m, &t->err) < 0)
		return WRITE_BROKEN;
	unlink_dirty(w, m);
	cache_mailbox_remove(a, m);
	/* RFC 3501 6.3.4: what has children stays as a name */
	if (children && mailbox_make(w, a, t->name, SPAN(""), MAILBOX_NOSELECT, &t->err) == NULL)
		return WRITE_BROKEN;
	return WRITE_DONE;
}

/* ---- RENAME ---- */

static char *renamed(const struct mailbox_row *m, struct span from, struct span to, size_t *len_r)
{
	*len_r = m->name_len - from.n + to.n;
	return mem_printf(
		"%.*s%.*s", (int)to.n, to.p, (int)(m->name_len - from.n), m->name + from.n);
}

static bool concerns(const struct mailbox_row *m, struct span name)
{
	struct span own = span_from(m->name, m->name_len);

	return span_equal(own, name) || mailbox_name_is_below(own, name);
}

/* All collisions and limits are known before the first row changes (CORNERS S16). */
static int rename_check(struct account_row *a, struct span from, struct span to, struct err *e)
{
	if (mailbox_name_is_below(to, from)) {
		err_set(e, ERR_PERM, "a mailbox cannot move below itself");
		return err_user(e, "A mailbox cannot be moved below itself");
	}
	if (a->n_mailboxes + missing_levels(a, to) > MAILBOXES_MAX)
		return err_set(e, ERR_LIMIT, "too many mailboxes");
	for (size_t i = 0; i < a->n_mailboxes; i++) {
		struct mailbox_row *m = a->mailboxes[i];
		size_t len;
		char *name;
		bool taken, fits;

		if (!concerns(m, from))
			continue;
		name = renamed(m, from, to, &len);
		taken = cache_mailbox_named(a, span_from(name, len)) != NULL;
		fits = mailbox_name_is_normal(span_from(name, len));
		mem_free(name);
		if (taken)
			return err_set(e, ERR_EXISTS, "a mailbox of the new name exists");
		if (!fits)
			return err_set(e, ERR_PERM, "the new name is too long or too deep");
	}
	return 0;
}

static void rename_rows(struct writer *w, struct account_row *a, struct span from, struct span to)
{
	uint64_t modseq = cache_next_modseq(w, a);

	for (size_t i = 0; i < a->n_mailboxes; i++) {
		struct mailbox_row *m = a->mailboxes[i];
		size_t len;
		char *name;

		if (!concerns(m, from))
			continue;
		name = renamed(m, from, to, &len);
		mem_free(m->name);
		m->name = name;
		m->name_len = len;
		m->renamed = true;
		m->changed_seq = modseq;
		cache_touch_mailbox(w, m);
	}
	cache_sort(a);
	writer_change_list(w, a->id);
}

/* RFC 3501 6.3.5: INBOX's messages move to a new mailbox; INBOX and what is below it stays. */
static enum write_status rename_inbox(struct writer *w, struct write_task *t, struct account_row *a)
{
	struct mailbox_row *inbox = cache_mailbox_named(a, SPAN("INBOX"));
	struct mailbox_row *m;

	if (t->now.target == 0) {
		if (inbox == NULL || cache_mailbox_named(a, t->name2) != NULL) {
			err_set(&t->err, ERR_EXISTS, "a mailbox of the new name exists");
			return WRITE_DONE;
		}
		if (a->n_mailboxes + missing_levels(a, t->name2) > MAILBOXES_MAX) {
			err_set(&t->err, ERR_LIMIT, "too many mailboxes");
			return WRITE_DONE;
		}
		if (writer_begin(w, &t->err) < 0 || make_parents(w, a, t->name2, &t->err) < 0)
			return WRITE_BROKEN;
		m = mailbox_make(w, a, t->name2, SPAN(""), MAILBOX_LIVE, &t->err);
		if (m == NULL)
			return after_make(m, t);
		t->now.target = m->id;
		t->mailbox = inbox->id;
		if (inbox->uidnext == 1)
			return WRITE_DONE;
		uidset_add(&t->uids, 1, (uint32_t)(inbox->uidnext - 1));
	}
	return write_move(w, t);
}

enum write_status write_rename(struct writer *w, struct write_task *t)
{
	enum write_status status;
	struct account_row *a = task_account(w, t, &status);
	struct mailbox_row *m;

	if (a == NULL)
		return status;
	if (mailbox_name_is_inbox(t->name))
		return rename_inbox(w, t, a);
	m = cache_mailbox_named(a, t->name);
	if (m == NULL) {
		err_set(&t->err, ERR_NOTFOUND, "no such mailbox");
		return WRITE_DONE;
	}
	if (rename_check(a, t->name, t->name2, &t->err) < 0)
		return WRITE_DONE;
	if (writer_begin(w, &t->err) < 0 || make_parents(w, a, t->name2, &t->err) < 0)
		return WRITE_BROKEN;
	rename_rows(w, a, t->name, t->name2);
	return WRITE_DONE;
}

/* ---- subscriptions ---- */

static int subscriptions_full(struct writer *w, struct write_task *t)
{
	struct rows *r = db_query(w->db, Q_SUBSCRIPTIONS_COUNT, &t->err, "i", t->account);
	int rc = r == NULL ? -1 : db_next(r, &t->err);

	if (rc == 1)
		rc = db_u64(r, 0) >= SUBSCRIPTIONS_MAX;
	db_end(r);
	return rc;
}

static enum write_status subscription_set(struct writer *w, struct write_task *t, enum statement id)
{
	enum write_status status;
	struct account_row *a = task_account(w, t, &status);

	if (a == NULL)
		return status;
	if (id == Q_SUBSCRIBE) {
		int full = subscriptions_full(w, t);

		if (full < 0)
			return WRITE_BROKEN;
		if (full > 0) {
			err_set(&t->err, ERR_LIMIT, "too many subscriptions");
			return WRITE_DONE;
		}
	}
	if (writer_begin(w, &t->err) < 0)
		return WRITE_BROKEN;
	cache_next_modseq(w, a);
	if (db_run(w->db, id, &t->err, "is", a->id, t->name) < 0)
		return WRITE_BROKEN;
	writer_change_list(w, a->id);
	return WRITE_DONE;
}

enum write_status write_subscribe(struct writer *w, struct write_task *t)
{
	return subscription_set(w, t, Q_SUBSCRIBE);
}

enum write_status write_unsubscribe(struct writer *w, struct write_task *t)
{
	return subscription_set(w, t, Q_UNSUBSCRIBE);
}

/* The recent mark of a mailbox (CORNERS S4), saved now and then by the loop. */
enum write_status write_recent(struct writer *w, struct write_task *t)
{
	enum write_status status;
	struct account_row *a = task_account(w, t, &status);
	struct mailbox_row *m = a == NULL ? NULL : cache_mailbox(a, t->mailbox);

	if (a == NULL)
		return status;
	if (m == NULL || m->recent_uid >= t->uid)
		return WRITE_DONE;
	if (writer_begin(w, &t->err) < 0)
		return WRITE_BROKEN;
	m->recent_uid = t->uid;
	cache_touch_mailbox(w, m);
	return WRITE_DONE;
}
