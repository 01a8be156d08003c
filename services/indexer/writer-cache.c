/* The writer's cached rows of accounts and mailboxes. */
#include <stdlib.h>
#include "lib-common/mem.h"
#include "services/indexer/writer.h"

static void mailbox_row_free(struct mailbox_row *m)
{
	mem_free(m->name);
	mem_free(m->special_use);
	mem_free(m->keywords);
	mem_free(m);
}

static void account_row_free(struct account_row *a)
{
	if (a == NULL)
		return;
	for (size_t i = 0; i < a->n_mailboxes; i++)
		mailbox_row_free(a->mailboxes[i]);
	mem_free(a->mailboxes);
	mem_free(a->user);
	mem_free(a);
}

static int name_compare(const char *a, size_t a_len, const char *b, size_t b_len)
{
	int c = memcmp(a, b, a_len < b_len ? a_len : b_len);

	return c != 0 ? c : (a_len > b_len) - (a_len < b_len);
}

static int row_compare(const void *a, const void *b)
{
	const struct mailbox_row *x = *(struct mailbox_row *const *)a;
	const struct mailbox_row *y = *(struct mailbox_row *const *)b;

	return name_compare(x->name, x->name_len, y->name, y->name_len);
}

void cache_sort(struct account_row *a)
{
	qsort(a->mailboxes, a->n_mailboxes, sizeof(*a->mailboxes), row_compare);
}

size_t cache_mailbox_place(const struct account_row *a, struct span name)
{
	size_t low = 0, high = a->n_mailboxes;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct mailbox_row *m = a->mailboxes[mid];

		if (name_compare(m->name, m->name_len, name.p, name.n) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct mailbox_row *cache_mailbox_named(struct account_row *a, struct span name)
{
	size_t i = cache_mailbox_place(a, name);

	if (i == a->n_mailboxes || a->mailboxes[i]->name_len != name.n ||
		memcmp(a->mailboxes[i]->name, name.p, name.n) != 0)
		return NULL;
	return a->mailboxes[i];
}

struct mailbox_row *cache_mailbox(struct account_row *a, uint64_t id)
{
	for (size_t i = 0; i < a->n_mailboxes; i++) {
		if (a->mailboxes[i]->id == id)
			return a->mailboxes[i];
	}
	return NULL;
}

struct mailbox_row *cache_mailbox_add(struct account_row *a, struct mailbox_row *m)
{
	size_t i = cache_mailbox_place(a, span_from(m->name, m->name_len));

	if (a->n_mailboxes == a->cap_mailboxes) {
		a->cap_mailboxes = a->cap_mailboxes == 0 ? 8 : a->cap_mailboxes * 2;
		a->mailboxes = mem_realloc_array(
			a->mailboxes, a->cap_mailboxes, sizeof(*a->mailboxes));
	}
	memmove(a->mailboxes + i + 1, a->mailboxes + i,
		(a->n_mailboxes - i) * sizeof(*a->mailboxes));
	a->mailboxes[i] = m;
	a->n_mailboxes++;
	m->account = a;
	return m;
}

void cache_mailbox_remove(struct account_row *a, struct mailbox_row *m)
{
	for (size_t i = 0; i < a->n_mailboxes; i++) {
		if (a->mailboxes[i] != m)
			continue;
		memmove(a->mailboxes + i, a->mailboxes + i + 1,
			(a->n_mailboxes - i - 1) * sizeof(*a->mailboxes));
		a->n_mailboxes--;
		break;
	}
	mailbox_row_free(m);
}

static char *span_text(struct span s)
{
	return mem_dup(s.n > 0 ? s.p : "", s.n);
}

static struct mailbox_row *mailbox_row_read(const struct rows *r)
{
	struct mailbox_row *m = mem_alloc(sizeof(*m));
	struct span name = db_span(r, 1);

	m->id = db_u64(r, 0);
	m->name = span_text(name);
	m->name_len = name.n;
	m->uidvalidity = (uint32_t)db_u64(r, 2);
	m->uidnext = db_u64(r, 3);
	m->highestmodseq = db_u64(r, 4);
	m->messages = db_u64(r, 5);
	m->unseen = db_u64(r, 6);
	m->deleted = db_u64(r, 7);
	m->size = db_u64(r, 8);
	m->special_use = span_text(db_span(r, 9));
	m->keywords = span_text(db_span(r, 10));
	m->recent_uid = db_u64(r, 11);
	m->vanished_floor = db_u64(r, 12);
	m->state = (enum mailbox_row_state)db_u64(r, 13);
	m->changed_seq = db_u64(r, 14);
	return m;
}

static int account_read_mailboxes(struct writer *w, struct account_row *a, struct err *e)
{
	struct rows *r = db_query(w->db, Q_MAILBOXES, e, "i", a->id);
	int rc;

	if (r == NULL)
		return -1;
	while ((rc = db_next(r, e)) == 1)
		cache_mailbox_add(a, mailbox_row_read(r));
	db_end(r);
	return rc;
}

/* Rows that a COPY staged and that a crash left behind: their UIDs will be given to others. */
static int mailbox_drop_staged(struct writer *w, struct mailbox_row *m, struct err *e)
{
	struct rows *r;
	int rc;

	if (copy_is_staging(w, m->id))
		return 0;
	r = db_query(
		w->db, Q_MESSAGES, e, "iiii", m->id, m->uidnext, (uint64_t)INT64_MAX, (uint64_t)1);
	if (r == NULL)
		return -1;
	rc = db_next(r, e);
	db_end(r);
	if (rc <= 0)
		return rc;
	if (writer_begin(w, e) < 0)
		return -1;
	return db_run(w->db, Q_MESSAGES_STAGED_DROP, e, "ii", m->id, m->uidnext) < 0 ? -1 : 0;
}

static struct account_row *account_read(struct writer *w, uint64_t id, struct err *e)
{
	struct rows *r = db_query(w->db, Q_ACCOUNT, e, "i", id);
	struct account_row *a = NULL;
	int rc;

	if (r == NULL)
		return NULL;
	rc = db_next(r, e);
	if (rc == 1) {
		a = mem_alloc(sizeof(*a));
		a->id = id;
		a->user = span_text(db_span(r, 0));
		a->generation = db_u64(r, 1);
		a->change_seq = db_u64(r, 2);
		a->used_bytes = db_u64(r, 3);
		a->used_messages = db_u64(r, 4);
		a->quota_bytes = db_u64(r, 5);
		a->quota_messages = db_u64(r, 6);
		a->next_uidvalidity = db_u64(r, 7);
		a->state = (enum account_state)db_u64(r, 8);
	} else if (rc == 0) {
		err_set(e, ERR_NOTFOUND, "no account %llu", (unsigned long long)id);
	}
	db_end(r);
	return a;
}

struct account_row *cache_account(struct writer *w, uint64_t id, struct err *e)
{
	struct account_row *a = table_get(&w->accounts, id);

	if (a == NULL) {
		a = account_read(w, id, e);
		if (a == NULL)
			return NULL;
		if (account_read_mailboxes(w, a, e) < 0) {
			account_row_free(a);
			return NULL;
		}
		for (size_t i = 0; i < a->n_mailboxes; i++) {
			if (mailbox_drop_staged(w, a->mailboxes[i], e) < 0) {
				account_row_free(a);
				return NULL;
			}
		}
		table_put(&w->accounts, id, a);
	}
	a->used_at = w->batch;
	return a;
}

void cache_touch(struct writer *w, struct account_row *a)
{
	if (a->dirty)
		return;
	a->dirty = true;
	a->next_dirty = w->dirty_accounts;
	w->dirty_accounts = a;
}

void cache_touch_mailbox(struct writer *w, struct mailbox_row *m)
{
	cache_touch(w, m->account);
	if (m->dirty)
		return;
	m->dirty = true;
	m->next_dirty = w->dirty_mailboxes;
	w->dirty_mailboxes = m;
}

uint64_t cache_next_modseq(struct writer *w, struct account_row *a)
{
	cache_touch(w, a);
	return ++a->change_seq;
}

static int account_write(struct writer *w, const struct account_row *a, struct err *e)
{
	if (a->renamed && db_run(w->db, Q_ACCOUNT_NAME, e, "sii", span_of(a->user),
				  (uint64_t)a->state, a->id) < 0)
		return -1;
	return db_run(w->db, Q_ACCOUNT_SET, e, "iiiiiiii", a->generation, a->change_seq,
		       a->used_bytes, a->used_messages, a->quota_bytes, a->quota_messages,
		       a->next_uidvalidity, a->id) < 0
		       ? -1
		       : 0;
}

static int mailbox_write(struct writer *w, const struct mailbox_row *m, struct err *e)
{
	if (m->renamed &&
		db_run(w->db, Q_MAILBOX_NAME, e, "si", span_from(m->name, m->name_len), m->id) < 0)
		return -1;
	return db_run(w->db, Q_MAILBOX_SET, e, "iiiiiiittiiiii", (uint64_t)m->uidvalidity,
		       m->uidnext, m->highestmodseq, m->messages, m->unseen, m->deleted, m->size,
		       span_of(m->special_use), span_of(m->keywords), m->recent_uid,
		       m->vanished_floor, (uint64_t)m->state, m->changed_seq, m->id) < 0
		       ? -1
		       : 0;
}

int cache_flush(struct writer *w, struct err *e)
{
	for (struct account_row *a = w->dirty_accounts; a != NULL; a = a->next_dirty) {
		if (account_write(w, a, e) < 0)
			return -1;
	}
	for (struct mailbox_row *m = w->dirty_mailboxes; m != NULL; m = m->next_dirty) {
		if (mailbox_write(w, m, e) < 0)
			return -1;
	}
	return 0;
}

/* Completes the changes with what the rows have become, and makes the rows clean. */
void cache_settle(struct writer *w)
{
	struct account_row *a;
	struct mailbox_row *m;

	for (m = w->dirty_mailboxes; m != NULL; m = m->next_dirty) {
		m->dirty = m->renamed = false;
		if (m->change == NULL)
			continue;
		m->change->uidnext = (uint32_t)m->uidnext;
		m->change->modseq = m->highestmodseq;
		m->change->messages = m->messages;
		if (m->change->keywords_changed)
			m->change->keywords = mem_strdup(m->keywords);
		m->change = NULL;
	}
	for (a = w->dirty_accounts; a != NULL; a = a->next_dirty)
		a->dirty = a->renamed = false;
	w->dirty_mailboxes = NULL;
	w->dirty_accounts = NULL;
}

void cache_forget(struct writer *w, uint64_t account)
{
	struct account_row *a = table_get(&w->accounts, account);

	if (a == NULL)
		return;
	table_remove(&w->accounts, account);
	account_row_free(a);
}

void cache_drop_touched(struct writer *w)
{
	struct account_row *a, *next;

	for (a = w->dirty_accounts; a != NULL; a = next) {
		next = a->next_dirty;
		cache_forget(w, a->id);
	}
	w->dirty_accounts = NULL;
	w->dirty_mailboxes = NULL;
}

static int age_compare(const void *a, const void *b)
{
	uint64_t x = (*(struct account_row *const *)a)->used_at;
	uint64_t y = (*(struct account_row *const *)b)->used_at;

	return x < y ? -1 : x > y;
}

/* Forgets the half that was used least lately when there are too many. */
void cache_trim(struct writer *w)
{
	struct account_row **all;
	size_t n = 0, cursor = 0;
	void *a;

	if (w->def.accounts_cached == 0 || w->accounts.count <= w->def.accounts_cached)
		return;
	all = mem_alloc_array(w->accounts.count, sizeof(*all));
	while ((a = table_next(&w->accounts, &cursor)) != NULL)
		all[n++] = a;
	qsort(all, n, sizeof(*all), age_compare);
	for (size_t i = 0; i < n / 2; i++)
		cache_forget(w, all[i]->id);
	mem_free(all);
}

void cache_clear(struct writer *w)
{
	size_t cursor = 0;
	void *a;

	while ((a = table_next(&w->accounts, &cursor)) != NULL)
		account_row_free(a);
	table_clear(&w->accounts);
}
