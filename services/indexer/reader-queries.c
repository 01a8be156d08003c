/* What the readers' threads do. */
#include <stdlib.h>
#include "lib-common/mem.h"
#include "lib-storage/locator.h"
#include "lib-storage/mailbox-state.h"
#include "services/indexer/reader.h"
#include "services/indexer/schema.h"

#define READ_CHUNK 50000	  /* rows of one read transaction: well below a second */
#define READ_IDS_MAX 100000	  /* body ids of one request */
#define READ_OUT_MAX (128u << 20) /* octets of one answer */

static int no_mailbox(struct read_task *t)
{
	return err_set(&t->err, ERR_NOTFOUND, "no such mailbox");
}

static int state_mailbox(struct db *db, struct read_task *t)
{
	struct rows *r = db_query(db, Q_MAILBOX, &t->err, "ii", t->account, t->mailbox);
	int rc = r == NULL ? -1 : db_next(r, &t->err);

	if (rc == 1) {
		struct span keywords = db_span(r, 10);

		t->uidvalidity = db_u64(r, 2);
		t->uidnext = db_u64(r, 3);
		t->modseq = db_u64(r, 4);
		t->messages = db_u64(r, 5);
		t->keywords = mem_dup(keywords.p, keywords.n);
		t->recent_uid = db_u64(r, 11);
		t->noselect = db_u64(r, 13) == MAILBOX_NOSELECT;
	}
	db_end(r);
	if (rc == 0)
		return no_mailbox(t);
	return rc < 0 ? -1 : 0;
}

/* Rows behind `from`, below uidnext: what lies above is being staged by a COPY. */
static int state_rows(struct db *db, struct read_task *t, uint64_t from, struct buf *records)
{
	struct rows *r = db_query(db, Q_MESSAGES, &t->err, "iiii", t->mailbox, from + 1,
		t->uidnext - 1, (uint64_t)READ_CHUNK);
	int rc, n = 0;

	if (r == NULL)
		return -1;
	while ((rc = db_next(r, &t->err)) == 1) {
		struct mailbox_record record = {
			.uid = (uint32_t)db_u64(r, 0),
			.flags = db_u64(r, 1),
			.modseq = db_u64(r, 2),
			.size = db_u64(r, 3),
			.internaldate = db_i64(r, 4),
			.tz_minutes = (int16_t)db_i64(r, 5),
			.savedate = db_i64(r, 6),
			.body = db_u64(r, 7),
		};

		buf_add(records, &record, sizeof(record));
		n++;
	}
	db_end(r);
	return rc < 0 ? -1 : n;
}

static uint64_t last_uid(const struct buf *records)
{
	struct mailbox_record last;

	if (records->len < sizeof(last))
		return 0;
	memcpy(&last, records->data + records->len - sizeof(last), sizeof(last));
	return last.uid;
}

int read_state(struct db *db, struct read_task *t)
{
	struct buf records;
	int n;

	buf_init(&records);
	if (db_begin(db, false, &t->err) < 0)
		return -1;
	n = state_mailbox(db, t);
	if (n == 0 && !t->noselect)
		n = state_rows(db, t, 0, &records);
	db_rollback(db);
	/* Further pieces may hold changes newer than t->modseq: the log, which begins there, brings
	 * all of it to one point. */
	while (n == READ_CHUNK) {
		if (db_begin(db, false, &t->err) < 0)
			n = -1;
		else
			n = state_rows(db, t, last_uid(&records), &records);
		db_rollback(db);
	}
	if (n >= 0) {
		t->count = records.len / sizeof(struct mailbox_record);
		t->fd = mailbox_base_make((const struct mailbox_record *)(const void *)records.data,
			t->count, t->generation, t->modseq, &t->err);
		if (t->fd < 0)
			n = -1;
	}
	buf_clear(&records);
	return n < 0 ? -1 : 0;
}

/* ---- the list ---- */

static void mailbox_line(struct buf *out, const struct rows *r, bool subscribed)
{
	struct span special = db_span(r, 9);

	buf_printf(out, "%llu\t", (unsigned long long)db_u64(r, 0));
	channel_escape(out, db_span(r, 1));
	buf_printf(out, "\t%s", db_u64(r, 13) == MAILBOX_NOSELECT ? "N" : "-");
	for (int column = 2; column <= 8; column++) {
		/* uidvalidity, uidnext, then messages, unseen, deleted, size */
		if (column != 4)
			buf_printf(out, "\t%llu", (unsigned long long)db_u64(r, column));
	}
	buf_printf(out, "\t%llu\t%d\t", (unsigned long long)db_u64(r, 4), subscribed);
	if (special.n > 0)
		buf_add_span(out, special);
	else
		buf_add_c(out, '-');
	buf_add_c(out, '\n');
}

static void ghost_line(struct buf *out, struct span name)
{
	buf_add_str(out, "0\t");
	channel_escape(out, name);
	buf_add_str(out, "\tN\t0\t0\t0\t0\t0\t0\t0\t1\t-\n");
}

static int span_order(struct span a, struct span b)
{
	int c = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);

	return c != 0 ? c : (a.n > b.n) - (a.n < b.n);
}

/* Both lists come in the order of names: one pass over the two. */
int read_mailboxes(struct db *db, struct read_task *t)
{
	struct rows *boxes, *subs = NULL;
	int box, sub = -1;

	if (db_begin(db, false, &t->err) < 0)
		return -1;
	boxes = db_query(db, Q_MAILBOXES, &t->err, "i", t->account);
	box = boxes == NULL ? -1 : db_next(boxes, &t->err);
	if (box >= 0) {
		subs = db_query(db, Q_SUBSCRIPTIONS, &t->err, "i", t->account);
		sub = subs == NULL ? -1 : db_next(subs, &t->err);
	}
	while (box >= 0 && sub >= 0 && (box == 1 || sub == 1)) {
		int order = box == 0   ? 1
			    : sub == 0 ? -1
				       : span_order(db_span(boxes, 1), db_span(subs, 0));

		if (order <= 0)
			mailbox_line(&t->out, boxes, order == 0);
		else
			ghost_line(&t->out, db_span(subs, 0));
		if (order <= 0)
			box = db_next(boxes, &t->err);
		if (order >= 0)
			sub = db_next(subs, &t->err);
	}
	db_end(boxes);
	db_end(subs);
	db_rollback(db);
	return box < 0 || sub < 0 ? -1 : 0;
}

int read_status(struct db *db, struct read_task *t)
{
	struct rows *r = db_query(db, Q_MAILBOX_NAMED, &t->err, "is", t->account, t->input);
	int rc = r == NULL ? -1 : db_next(r, &t->err);

	if (rc == 1)
		mailbox_line(&t->out, r, false);
	db_end(r);
	if (rc == 0)
		return no_mailbox(t);
	return rc < 0 ? -1 : 0;
}

int read_quota(struct db *db, struct read_task *t)
{
	struct rows *r = db_query(db, Q_ACCOUNT, &t->err, "i", t->account);
	int rc = r == NULL ? -1 : db_next(r, &t->err);

	if (rc == 1) {
		t->used_bytes = db_u64(r, 3);
		t->used_messages = db_u64(r, 4);
		t->quota_bytes = db_u64(r, 5);
		t->quota_messages = db_u64(r, 6);
	}
	db_end(r);
	if (rc == 0)
		return err_set(&t->err, ERR_NOTFOUND, "no such account");
	return rc < 0 ? -1 : 0;
}

/* ---- bodies ---- */

static int id_compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The ids asked for, ascending: rows of an account lie in that order (CORNERS M18). */
static uint64_t *ids_sorted(struct read_task *t, size_t *n_r)
{
	struct span rest = t->input;
	size_t n = rest.n / sizeof(uint64_t);
	uint64_t *ids;

	if (n * sizeof(uint64_t) != rest.n || n > READ_IDS_MAX) {
		err_set(&t->err, ERR_PROTO, "not a list of at most %u body ids", READ_IDS_MAX);
		return NULL;
	}
	ids = mem_alloc_array(n + 1, sizeof(*ids));
	for (size_t i = 0; i < n; i++)
		span_get_u64(&rest, &ids[i]);
	qsort(ids, n, sizeof(*ids), id_compare);
	*n_r = n;
	return ids;
}

static void add_answer(struct read_task *t, uint64_t id, struct span text)
{
	buf_add_u64(&t->out, id);
	buf_add_block(&t->out, text.p, text.n);
}

static int meta_one(struct db *db, struct read_task *t, uint64_t id)
{
	struct rows *r = db_query(db, Q_META, &t->err, "ii", t->account, id);
	int rc = r == NULL ? -1 : db_next(r, &t->err);

	if (rc >= 0)
		add_answer(t, id, rc == 1 ? db_span(r, 0) : SPAN(""));
	db_end(r);
	return rc;
}

/* A run of ids that lie close together is read by one scan. */
static int meta_run(struct db *db, struct read_task *t, const uint64_t *ids, size_t n)
{
	struct rows *r = db_query(db, Q_METAS, &t->err, "iii", t->account, ids[0], ids[n - 1]);
	size_t i = 0;
	int rc = -1;

	if (r == NULL)
		return -1;
	while (i < n && (rc = db_next(r, &t->err)) == 1) {
		uint64_t id = db_u64(r, 0);

		for (; i < n && ids[i] < id; i++)
			add_answer(t, ids[i], SPAN(""));
		for (; i < n && ids[i] == id; i++)
			add_answer(t, id, db_span(r, 1));
	}
	db_end(r);
	for (; rc >= 0 && i < n; i++)
		add_answer(t, ids[i], SPAN(""));
	return rc < 0 ? -1 : 0;
}

int read_meta(struct db *db, struct read_task *t)
{
	size_t n, i = 0;
	uint64_t *ids = ids_sorted(t, &n);
	int rc = 0;

	if (ids == NULL)
		return -1;
	buf_limit(&t->out, READ_OUT_MAX);
	while (rc >= 0 && i < n) {
		size_t run = 1;

		while (i + run < n && run < 1000 && ids[i + run] - ids[i + run - 1] <= 4)
			run++;
		rc = run < 4 ? meta_one(db, t, ids[i]) : meta_run(db, t, ids + i, run);
		i += run < 4 ? 1 : run;
	}
	mem_free(ids);
	if (t->out.failed)
		return err_set(&t->err, ERR_LIMIT, "the answer is too large: ask for less");
	return rc < 0 ? -1 : 0;
}

/* The row as a locator's text; damaged rows are as missing ones (rows are input, too). */
static bool row_locator(const struct rows *r, struct buf *out)
{
	struct span pack = db_span(r, 0), key = db_span(r, 3), key_id = db_span(r, 4);
	struct locator l = {.offset = db_u64(r, 1), .length = db_u64(r, 2), .size = db_u64(r, 5)};

	if (pack.n >= sizeof(l.pack) || key.n != sizeof(l.key) || key_id.n != sizeof(l.key_id))
		return false;
	memcpy(l.pack, pack.p, pack.n);
	memcpy(l.key, key.p, key.n);
	memcpy(l.key_id, key_id.p, key_id.n);
	locator_text(&l, out);
	mem_wipe(&l, sizeof(l));
	return true;
}

static int locate_one(struct db *db, struct read_task *t, uint64_t id, struct buf *text)
{
	struct rows *r = db_query(db, Q_BODY, &t->err, "ii", t->account, id);
	int rc = r == NULL ? -1 : db_next(r, &t->err);

	buf_empty(text);
	if (rc == 1)
		row_locator(r, text);
	db_end(r);
	return rc;
}

int read_locate(struct db *db, struct read_task *t)
{
	size_t n;
	uint64_t *ids = ids_sorted(t, &n);
	struct buf text;
	int rc = 0;

	if (ids == NULL)
		return -1;
	buf_init(&text);
	for (size_t i = 0; i < n && rc >= 0; i++) {
		rc = locate_one(db, t, ids[i], &text);
		add_answer(t, ids[i], buf_span(&text));
	}
	buf_wipe(&text);
	mem_free(ids);
	return rc < 0 ? -1 : 0;
}

int read_message(struct db *db, struct read_task *t)
{
	struct rows *r = db_query(
		db, Q_MESSAGES, &t->err, "iiii", t->mailbox, t->uid, t->uid, (uint64_t)1);
	int rc = r == NULL ? -1 : db_next(r, &t->err);
	uint64_t body = rc == 1 ? db_u64(r, 7) : 0;

	db_end(r);
	if (rc == 1)
		rc = locate_one(db, t, body, &t->out);
	if (rc == 0)
		return err_set(&t->err, ERR_NOTFOUND, "no such message");
	return rc < 0 ? -1 : 0;
}
