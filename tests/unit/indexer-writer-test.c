/* The writer against a database, without threads and channels. */
#include "tests/unit/indexer-kit.h"
#include "lib-storage/flags.h"

#define UIDS_MAX 6000

/* ---- a simple model of one account ---- */

struct model_message {
	bool there;
	uint64_t flags, size, modseq;
};

struct model_mailbox {
	uint64_t id;
	const char *name;
	uint64_t uidnext, modseq;
	struct model_message messages[UIDS_MAX];
};

struct world {
	struct kit kit;
	struct writer *writer;
	struct write_task *last; /* finished, for inspection */
	unsigned finished, changes;
	struct model_mailbox *boxes[2];
	bool check_changes;
};

static struct world *the_world;

static struct model_mailbox *model_of(uint64_t mailbox)
{
	for (int i = 0; i < 2; i++) {
		if (the_world->boxes[i] != NULL && the_world->boxes[i]->id == mailbox)
			return the_world->boxes[i];
	}
	return NULL;
}

/* The model is driven by the changes alone: what sessions see must be what SQL has. */
static void on_changed(struct change *changes, void *ctx)
{
	(void)ctx;
	for (struct change *c = changes; c != NULL; c = c->next) {
		struct model_mailbox *m = model_of(c->mailbox);
		struct span log = buf_span(&c->log);
		struct mailbox_change e;
		size_t n = 0;

		the_world->changes++;
		if (m == NULL)
			continue;
		while (mailbox_log_next(&log, &e) == 1) {
			struct model_message *msg = &m->messages[e.record.uid];

			n++;
			assert_in_range(e.record.uid, 1, UIDS_MAX - 1);
			assert_true(e.record.modseq >= m->modseq);
			m->modseq = e.record.modseq;
			if (e.kind == MESSAGE_NEW) {
				assert_true(e.record.uid >= m->uidnext);
				m->uidnext = e.record.uid + 1;
				*msg = (struct model_message){
					true, e.record.flags, e.record.size, e.record.modseq};
			} else {
				assert_true(msg->there);
				assert_true(e.record.modseq > msg->modseq);
				msg->modseq = e.record.modseq;
				msg->there = e.kind == MESSAGE_FLAGS;
				if (msg->there)
					msg->flags = e.record.flags;
			}
		}
		assert_int_equal(log.n, 0);
		assert_int_equal(n, c->entries);
		if (n > 0) {
			assert_int_equal(c->modseq, m->modseq);
			assert_int_equal(c->uidnext, m->uidnext);
		}
	}
}

static void on_done(struct write_task *t)
{
	write_task_free(the_world->last);
	the_world->last = t;
	the_world->finished++;
}

static int setup(void **state)
{
	struct world *wd = mem_alloc(sizeof(*wd));
	struct writer_def def = {.delivery_window_s = 3600, .changed = on_changed};
	struct err e;

	kit_init(&wd->kit);
	def.path = wd->kit.database;
	wd->writer = writer_new(&def, &e);
	if (wd->writer == NULL)
		fail_msg("%s", e.log);
	the_world = wd;
	*state = wd;
	return 0;
}

static int teardown(void **state)
{
	struct world *wd = *state;

	writer_free(wd->writer);
	write_task_free(wd->last);
	kit_clear(&wd->kit);
	mem_free(wd->boxes[0]);
	mem_free(wd->boxes[1]);
	mem_free(wd);
	return 0;
}

static struct write_task *task(enum write_status (*run)(struct writer *, struct write_task *))
{
	struct write_task *t = write_task_new(run, on_done);

	t->account = KIT_ACCOUNT;
	return t;
}

static enum err_code run(struct world *wd, struct write_task *t)
{
	unsigned before = wd->finished;

	writer_put(wd->writer, t);
	writer_run(wd->writer);
	assert_int_equal(wd->finished, before + 1);
	return wd->last->err.code;
}

static void attach(struct world *wd)
{
	struct write_task *t = task(write_attach);

	t->create_account = true;
	t->user = SPAN("anna@example.org");
	t->generation = 3;
	t->quota_bytes = 1000000000;
	assert_int_equal(run(wd, t), ERR_NONE);
}

static struct write_task *delivery(struct world *wd, const char *mailbox, uint64_t size)
{
	struct write_task *t = task(write_deliver);
	struct receipt *r = arena_alloc(t->arena, sizeof(*r));

	kit_receipt(&wd->kit, size, r);
	t->receipt = r;
	t->name = span_of(arena_strdup(t->arena, mailbox));
	t->meta = SPAN("metadata");
	t->date = 1700000000;
	return t;
}

static uint64_t mailbox_id(struct world *wd, const char *name)
{
	struct err e;
	struct account_row *a = cache_account(wd->writer, KIT_ACCOUNT, &e);
	struct mailbox_row *m = cache_mailbox_named(a, span_of(name));

	return m == NULL ? 0 : m->id;
}

static void watch(struct world *wd, int i, const char *name)
{
	wd->boxes[i] = mem_alloc(sizeof(*wd->boxes[i]));
	wd->boxes[i]->id = mailbox_id(wd, name);
	wd->boxes[i]->name = name;
	wd->boxes[i]->uidnext = 1;
	assert_int_not_equal(wd->boxes[i]->id, 0);
}

static void set_uids(struct write_task *t, const char *text)
{
	assert_int_equal(uidset_parse(&t->uids, span_of(text), 0, 10000), 0);
}

/* ---- checks ---- */

/* The model, the cached row and the rows of the database agree. */
static void check_mailbox(struct world *wd, const struct model_mailbox *m)
{
	struct err e;
	struct account_row *a = cache_account(wd->writer, KIT_ACCOUNT, &e);
	struct mailbox_row *row = cache_mailbox(a, m->id);
	struct rows *r;
	uint64_t messages = 0, unseen = 0, deleted = 0, size = 0, last = 0;

	r = db_query(wd->writer->db, Q_MESSAGES, &e, "iiii", m->id, (uint64_t)0,
		(uint64_t)INT64_MAX, (uint64_t)100000);
	while (db_next(r, &e) == 1) {
		uint64_t uid = db_u64(r, 0);
		const struct model_message *msg = &m->messages[uid];

		assert_true(uid > last && uid < row->uidnext);
		last = uid;
		assert_true(msg->there);
		assert_int_equal(msg->flags, db_u64(r, 1));
		assert_int_equal(msg->modseq, db_u64(r, 2));
		assert_int_equal(msg->size, db_u64(r, 3));
		messages++;
		size += msg->size;
		unseen += (msg->flags & FLAG_SEEN) == 0;
		deleted += (msg->flags & FLAG_DELETED) != 0;
	}
	db_end(r);
	for (size_t i = 0; i < UIDS_MAX; i++)
		messages -= m->messages[i].there;
	assert_int_equal(messages, 0);
	assert_int_equal(row->unseen, unseen);
	assert_int_equal(row->deleted, deleted);
	assert_int_equal(row->size, size);
}

/* Forgetting the cache and reading the rows again changes nothing. */
static void check_rows_written(struct world *wd)
{
	struct err e;
	struct account_row *a = cache_account(wd->writer, KIT_ACCOUNT, &e);
	uint64_t bytes = a->used_bytes, messages = a->used_messages, seq = a->change_seq, sum = 0;

	cache_forget(wd->writer, KIT_ACCOUNT);
	a = cache_account(wd->writer, KIT_ACCOUNT, &e);
	assert_int_equal(a->used_bytes, bytes);
	assert_int_equal(a->used_messages, messages);
	assert_int_equal(a->change_seq, seq);
	for (size_t i = 0; i < a->n_mailboxes; i++)
		sum += a->mailboxes[i]->messages;
	assert_int_equal(sum, messages);
}

/* ---- tests ---- */

static void test_new_account(void **state)
{
	struct world *wd = *state;
	struct err e;
	struct account_row *a;
	struct write_task *t = task(write_attach);

	t->generation = 1;
	assert_int_equal(run(wd, t), ERR_NOTFOUND);
	attach(wd);
	a = cache_account(wd->writer, KIT_ACCOUNT, &e);
	assert_int_equal(a->n_mailboxes, 6);
	assert_string_equal(a->mailboxes[0]->name, "Archive");
	assert_string_equal(a->mailboxes[2]->name, "INBOX");
	assert_string_equal(a->mailboxes[4]->special_use, "\\Sent");
	assert_true(a->mailboxes[0]->uidvalidity != a->mailboxes[1]->uidvalidity);
	t = task(write_attach);
	t->generation = 2; /* an older generation is void */
	assert_int_equal(run(wd, t), ERR_DENIED);
	t = task(write_attach);
	t->generation = 9;
	assert_int_equal(run(wd, t), ERR_NONE);
	assert_int_equal(wd->last->generation, 9);
}

static void test_deliver(void **state)
{
	struct world *wd = *state;
	struct write_task *t;

	attach(wd);
	watch(wd, 0, "INBOX");
	assert_int_equal(run(wd, delivery(wd, "INBOX", 500)), ERR_NONE);
	assert_int_equal(wd->last->uid, 1);
	assert_int_equal(run(wd, delivery(wd, "INBOX", 600)), ERR_NONE);
	assert_int_equal(wd->last->uid, 2);
	assert_int_equal(run(wd, delivery(wd, "Nowhere", 600)), ERR_NOTFOUND);
	t = delivery(wd, "Nowhere", 600);
	t->fallback_inbox = true;
	assert_int_equal(run(wd, t), ERR_NONE);
	assert_int_equal(wd->last->uid, 3);
	t = delivery(wd, "New/Sub", 600);
	t->auto_create = true;
	assert_int_equal(run(wd, t), ERR_NONE);
	assert_int_equal(wd->last->uid, 1);
	assert_int_equal(run(wd, delivery(wd, "INBOX", 2000000000)), ERR_QUOTA);
	check_mailbox(wd, wd->boxes[0]);
	check_rows_written(wd);
}

static void test_repeated_delivery(void **state)
{
	struct world *wd = *state;
	struct write_task *t;

	attach(wd);
	for (int i = 0; i < 3; i++) {
		t = delivery(wd, "INBOX", 500);
		t->digest = SPAN("0123456789abcdef0123456789abcdef");
		assert_int_equal(run(wd, t), ERR_NONE);
		assert_int_equal(wd->last->uid, 1);
		assert_int_equal(wd->last->duplicate, i > 0);
		assert_true(span_is(wd->last->name_r, "INBOX"));
	}
	/* two in one batch, too */
	for (int i = 0; i < 2; i++) {
		t = delivery(wd, "INBOX", 500);
		t->digest = SPAN("another9abcdef0123456789abcdef--");
		writer_put(wd->writer, t);
	}
	writer_run(wd->writer);
	assert_int_equal(wd->last->uid, 2);
	assert_true(wd->last->duplicate);
}

/* What fails for one request never fails its neighbours (CORNERS M7): one is refused, one makes its
 * statement fail. */
static void test_neighbours(void **state)
{
	struct world *wd = *state;
	struct sql_config config = {.path = wd->kit.database};
	struct sql_db *sql;
	struct err e;
	unsigned before;

	attach(wd);
	watch(wd, 0, "INBOX");
	sql = sql_open(&config, &e);
	assert_non_null(sql);
	assert_int_equal(sql_run(sql, &e,
				 "CREATE TRIGGER poison BEFORE INSERT ON body_meta WHEN NEW.meta = "
				 "CAST('poison' AS BLOB) BEGIN SELECT RAISE(ABORT, 'poison'); END"),
		0);
	sql_close(sql);
	before = wd->finished;
	for (int i = 0; i < 20; i++) {
		struct write_task *t = delivery(wd, i == 7 ? "Nowhere" : "INBOX", 100);

		if (i == 13)
			t->meta = SPAN("poison");
		writer_put(wd->writer, t);
	}
	writer_run(wd->writer);
	assert_int_equal(wd->finished, before + 20);
	check_mailbox(wd, wd->boxes[0]);
	check_rows_written(wd);
	assert_int_equal(wd->boxes[0]->uidnext, 19);
}

static void deliver_many(struct world *wd, const char *name, int n)
{
	for (int i = 0; i < n; i++)
		writer_put(wd->writer, delivery(wd, name, 100 + (unsigned)i % 7));
	writer_run(wd->writer);
	assert_int_equal(wd->last->err.code, ERR_NONE);
}

static void test_slices(void **state)
{
	struct world *wd = *state;
	struct write_task *t;

	attach(wd);
	watch(wd, 0, "INBOX");
	watch(wd, 1, "Archive");
	deliver_many(wd, "INBOX", 2500);
	t = task(write_store);
	t->mailbox = wd->boxes[0]->id;
	t->mode = STORE_ADD;
	t->flags = FLAG_DELETED | FLAG_SEEN;
	t->keywords = SPAN("$Work junk");
	set_uids(t, "1:4294967295");
	wd->changes = 0;
	assert_int_equal(run(wd, t), ERR_NONE);
	assert_true(wd->changes >= 3);
	check_mailbox(wd, wd->boxes[0]);
	assert_int_equal(wd->boxes[0]->messages[2500].flags, FLAG_DELETED | FLAG_SEEN | 0x60);

	t = task(write_copy);
	t->mailbox = wd->boxes[0]->id;
	t->name = SPAN("Archive");
	set_uids(t, "1:2500");
	writer_put(wd->writer, t);
	/* meanwhile deliveries into the target wait, and get UIDs behind the copies */
	writer_put(wd->writer, delivery(wd, "Archive", 77));
	writer_run(wd->writer);
	check_mailbox(wd, wd->boxes[1]);
	assert_int_equal(wd->boxes[1]->uidnext, 2502);
	assert_int_equal(wd->boxes[1]->messages[2501].size, 77);

	t = task(write_expunge);
	t->mailbox = wd->boxes[0]->id;
	set_uids(t, "1:4294967295");
	assert_int_equal(run(wd, t), ERR_NONE);
	assert_int_equal(wd->last->count, 2500);
	check_mailbox(wd, wd->boxes[0]);
	check_rows_written(wd);

	t = task(write_move);
	t->mailbox = wd->boxes[1]->id;
	t->name = SPAN("INBOX");
	set_uids(t, "2:2400");
	assert_int_equal(run(wd, t), ERR_NONE);
	check_mailbox(wd, wd->boxes[1]);
	check_rows_written(wd);
}

static void test_copy_over_quota(void **state)
{
	struct world *wd = *state;
	struct write_task *t;

	attach(wd);
	watch(wd, 0, "INBOX");
	watch(wd, 1, "Archive");
	deliver_many(wd, "INBOX", 1500);
	t = task(write_account_limits);
	t->quota_bytes = 1000000000;
	t->quota_messages = 2800;
	assert_int_equal(run(wd, t), ERR_NONE);
	t = task(write_copy);
	t->mailbox = wd->boxes[0]->id;
	t->name = SPAN("Archive");
	set_uids(t, "1:1500");
	assert_int_equal(run(wd, t), ERR_QUOTA);
	check_mailbox(wd, wd->boxes[1]);
	assert_int_equal(run(wd, delivery(wd, "Archive", 5)), ERR_NONE);
	assert_int_equal(wd->last->uid, 1);
	check_rows_written(wd);
}

static void test_unchangedsince(void **state)
{
	struct world *wd = *state;
	struct write_task *t;
	struct buf text;
	uint64_t since;

	attach(wd);
	watch(wd, 0, "INBOX");
	deliver_many(wd, "INBOX", 5);
	since = wd->boxes[0]->messages[3].modseq;
	t = task(write_store);
	t->mailbox = wd->boxes[0]->id;
	t->mode = STORE_REPLACE;
	t->flags = FLAG_FLAGGED;
	t->has_unchangedsince = true;
	t->unchangedsince = since;
	set_uids(t, "1:9");
	assert_int_equal(run(wd, t), ERR_NONE);
	buf_init(&text);
	uidset_format(&wd->last->unchanged, &text);
	assert_string_equal(buf_str(&text), "4:5");
	buf_clear(&text);
	check_mailbox(wd, wd->boxes[0]);
	/* equal flags raise no modseq */
	since = wd->boxes[0]->modseq;
	t = task(write_store);
	t->mailbox = wd->boxes[0]->id;
	t->mode = STORE_ADD;
	t->flags = FLAG_FLAGGED;
	set_uids(t, "1:3");
	assert_int_equal(run(wd, t), ERR_NONE);
	assert_int_equal(wd->boxes[0]->modseq, since);
}

static void test_keyword_limit(void **state)
{
	struct world *wd = *state;
	struct write_task *t;
	struct buf words;

	attach(wd);
	watch(wd, 0, "INBOX");
	deliver_many(wd, "INBOX", 1);
	buf_init(&words);
	for (int i = 0; i < 60; i++)
		buf_printf(&words, "%sk%d", i ? " " : "", i);
	t = task(write_store);
	t->mailbox = wd->boxes[0]->id;
	t->keywords = buf_span(&words);
	set_uids(t, "1");
	assert_int_equal(run(wd, t), ERR_LIMIT);
	t = task(write_store);
	t->mailbox = wd->boxes[0]->id;
	t->keywords = span_from(words.data, words.len - 4);
	set_uids(t, "1");
	assert_int_equal(run(wd, t), ERR_NONE);
	assert_int_equal(wd->boxes[0]->messages[1].flags, ~FLAGS_SYSTEM);
	t = task(write_store);
	t->mailbox = wd->boxes[0]->id;
	t->keywords = SPAN("bad(word");
	set_uids(t, "1");
	assert_int_equal(run(wd, t), ERR_PERM);
	buf_clear(&words);
}

static enum err_code list_op(struct world *wd,
	enum write_status (*op)(struct writer *, struct write_task *), const char *name,
	const char *name2)
{
	struct write_task *t = task(op);

	t->name = span_of(name);
	t->name2 = span_of(name2);
	return run(wd, t);
}

static void test_mailboxes(void **state)
{
	struct world *wd = *state;
	uint64_t id;

	attach(wd);
	assert_int_equal(list_op(wd, write_create, "a/b/c", ""), ERR_NONE);
	assert_int_not_equal(mailbox_id(wd, "a/b"), 0);
	assert_int_equal(list_op(wd, write_create, "a/b", ""), ERR_EXISTS);
	deliver_many(wd, "a/b", 3);
	id = mailbox_id(wd, "a/b/c");
	assert_int_equal(list_op(wd, write_rename, "a/b", "x/y"), ERR_NONE);
	assert_int_equal(mailbox_id(wd, "x/y/c"), id);
	assert_int_equal(mailbox_id(wd, "a/b"), 0);
	assert_int_not_equal(mailbox_id(wd, "a"), 0);
	assert_int_equal(list_op(wd, write_rename, "x/y", "x/y/z"), ERR_PERM);
	assert_int_equal(list_op(wd, write_rename, "x/y", "Sent"), ERR_EXISTS);
	assert_int_equal(list_op(wd, write_rename, "nope", "new"), ERR_NOTFOUND);
	/* what has children stays as a name, and can come back */
	id = mailbox_id(wd, "x/y");
	assert_int_equal(list_op(wd, write_delete, "x/y", ""), ERR_NONE);
	assert_int_not_equal(mailbox_id(wd, "x/y"), id);
	assert_int_equal(run(wd, delivery(wd, "x/y", 1)), ERR_PERM);
	assert_int_equal(list_op(wd, write_delete, "x/y", ""), ERR_PERM);
	assert_int_equal(list_op(wd, write_create, "x/y", ""), ERR_NONE);
	assert_int_equal(run(wd, delivery(wd, "x/y", 1)), ERR_NONE);
	assert_int_equal(list_op(wd, write_delete, "INBOX", ""), ERR_PERM);
	assert_int_equal(list_op(wd, write_delete, "a", ""), ERR_NONE);
	assert_int_equal(list_op(wd, write_delete, "a", ""), ERR_NOTFOUND);
	assert_int_equal(list_op(wd, write_subscribe, "not/there", ""), ERR_NONE);
	assert_int_equal(list_op(wd, write_unsubscribe, "not/there", ""), ERR_NONE);
	id = mailbox_id(wd, "x/y/c");
	check_rows_written(wd);
	assert_int_not_equal(id, 0);
	assert_int_equal(mailbox_id(wd, "x/y/c"), id);
}

static void test_rename_inbox(void **state)
{
	struct world *wd = *state;

	attach(wd);
	watch(wd, 0, "INBOX");
	assert_int_equal(list_op(wd, write_create, "INBOX/sub", ""), ERR_NONE);
	deliver_many(wd, "INBOX", 1200);
	assert_int_equal(list_op(wd, write_rename, "INBOX", "old/mail"), ERR_NONE);
	check_mailbox(wd, wd->boxes[0]);
	assert_int_not_equal(mailbox_id(wd, "INBOX/sub"), 0);
	assert_int_equal(mailbox_id(wd, "INBOX"), wd->boxes[0]->id);
	assert_false(wd->boxes[0]->messages[1].there);
	assert_int_equal(run(wd, delivery(wd, "old/mail", 1)), ERR_NONE);
	assert_int_equal(wd->last->uid, 1201);
	check_rows_written(wd);
}

/* Expunged bodies go after the grace, tombstones after the history; what is copied elsewhere stays.
 */
static void test_prune(void **state)
{
	struct world *wd = *state;
	struct write_task *t;
	struct err e;
	struct rows *r;
	int left = 0;

	attach(wd);
	watch(wd, 0, "INBOX");
	deliver_many(wd, "INBOX", 3);
	t = task(write_copy);
	t->mailbox = wd->boxes[0]->id;
	t->name = SPAN("Archive");
	set_uids(t, "1");
	assert_int_equal(run(wd, t), ERR_NONE);
	t = task(write_store);
	t->mailbox = wd->boxes[0]->id;
	t->flags = FLAG_DELETED;
	set_uids(t, "1:2");
	assert_int_equal(run(wd, t), ERR_NONE);
	t = task(write_expunge);
	t->mailbox = wd->boxes[0]->id;
	set_uids(t, "1:9");
	assert_int_equal(run(wd, t), ERR_NONE);
	list_op(wd, write_create, "gone", "");
	deliver_many(wd, "gone", 2);
	list_op(wd, write_delete, "gone", "");
	for (int future = 0; future < 2; future++) {
		t = task(write_prune);
		t->date = clock_wall_s() + (future ? 1000 : -1000);
		t->uid = (uint64_t)t->date;
		t->count = (uint64_t)t->date;
		assert_int_equal(run(wd, t), ERR_NONE);
		left = 0;
		r = db_query(wd->writer->db, Q_BODIES_OF, &e, "ii", (uint64_t)KIT_ACCOUNT,
			(uint64_t)100);
		while (db_next(r, &e) == 1)
			left++;
		db_end(r);
		assert_int_equal(left, future ? 2 : 5);
	}
	cache_forget(wd->writer, KIT_ACCOUNT);
	assert_int_not_equal(
		cache_mailbox(cache_account(wd->writer, KIT_ACCOUNT, &e), wd->boxes[0]->id)
			->vanished_floor,
		0);
	check_rows_written(wd);
}

static void test_erase(void **state)
{
	struct world *wd = *state;
	struct write_task *t;
	struct err e;

	attach(wd);
	deliver_many(wd, "INBOX", 1500);
	assert_int_equal(run(wd, task(write_account_erase)), ERR_NONE);
	assert_int_equal(cache_account(wd->writer, KIT_ACCOUNT, &e)->n_mailboxes, 0);
	assert_int_equal(run(wd, task(write_account_erase)), ERR_NONE);
	assert_int_equal(run(wd, delivery(wd, "INBOX", 5)), ERR_NOTFOUND);
	t = delivery(wd, "INBOX", 5);
	t->create_account = true; /* an old answer does not bring it back */
	assert_int_equal(run(wd, t), ERR_NOTFOUND);
	cache_forget(wd->writer, KIT_ACCOUNT);
	assert_int_equal(cache_account(wd->writer, KIT_ACCOUNT, &e)->state, ACCOUNT_VOID);
}

/* Erasing that a restart cut short is finished by the next pruning. */
static void test_erase_resumed(void **state)
{
	struct world *wd = *state;
	struct account_row *a;
	struct err e;

	attach(wd);
	deliver_many(wd, "INBOX", 1500);
	a = cache_account(wd->writer, KIT_ACCOUNT, &e);
	assert_int_equal(writer_begin(wd->writer, &e), 0);
	a->state = ACCOUNT_ERASING;
	a->renamed = true;
	cache_touch(wd->writer, a);
	assert_int_equal(run(wd, task(write_prune)), ERR_NONE);
	cache_forget(wd->writer, KIT_ACCOUNT);
	a = cache_account(wd->writer, KIT_ACCOUNT, &e);
	assert_int_equal(a->state, ACCOUNT_VOID);
	assert_int_equal(a->n_mailboxes, 0);
}

static void test_expired(void **state)
{
	struct world *wd = *state;
	struct write_task *t;

	attach(wd);
	t = delivery(wd, "INBOX", 5);
	t->deadline_ms = 1;
	assert_int_equal(run(wd, t), ERR_TEMP);
	assert_int_equal(run(wd, delivery(wd, "INBOX", 5)), ERR_NONE);
	assert_int_equal(wd->last->uid, 1);
}

/* Random requests, several at once, against the model that is fed by changes. */
static void test_random(void **state)
{
	struct world *wd = *state;
	unsigned seed = 42;

	attach(wd);
	watch(wd, 0, "INBOX");
	watch(wd, 1, "Archive");
	for (int round = 0; round < 400; round++) {
		int n = 1 + rand_r(&seed) % 6;

		for (int i = 0; i < n; i++) {
			struct model_mailbox *m = wd->boxes[rand_r(&seed) % 2];
			uint64_t first = 1 + (uint64_t)rand_r(&seed) % m->uidnext;
			struct write_task *t;

			switch (rand_r(&seed) % 8) {
			case 0:
			case 1:
			case 2:
				t = delivery(wd, m->name, (unsigned)rand_r(&seed) % 5000);
				t->flags = (unsigned)rand_r(&seed) % 32;
				break;
			case 3:
			case 4:
				t = task(write_store);
				t->mode = rand_r(&seed) % 3;
				t->flags = 1u << (rand_r(&seed) % 5);
				t->keywords = rand_r(&seed) % 2 ? SPAN("one two") : SPAN("two");
				break;
			case 5:
				t = task(write_expunge);
				break;
			default:
				t = task(rand_r(&seed) % 2 ? write_copy : write_move);
				t->name = span_of(wd->boxes[rand_r(&seed) % 2]->name);
				first = m->uidnext > 5 ? m->uidnext - 3 : 1;
			}
			t->mailbox = m->id;
			uidset_add(&t->uids, (uint32_t)first, (uint32_t)first + 4);
			if (m->uidnext + 40 < UIDS_MAX)
				writer_put(wd->writer, t);
			else
				write_task_free(t);
		}
		writer_run(wd->writer);
		if (round % 20 == 0) {
			check_mailbox(wd, wd->boxes[0]);
			check_mailbox(wd, wd->boxes[1]);
			check_rows_written(wd);
		}
	}
	assert_true(wd->boxes[0]->uidnext > 200);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {T(test_new_account), T(test_deliver),
		T(test_repeated_delivery), T(test_neighbours), T(test_slices),
		T(test_copy_over_quota), T(test_unchangedsince), T(test_keyword_limit),
		T(test_mailboxes), T(test_rename_inbox), T(test_prune), T(test_erase),
		T(test_erase_resumed), T(test_expired), T(test_random)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
