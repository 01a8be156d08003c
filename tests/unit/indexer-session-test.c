/* Sessions and deliveries over channels, with all threads: what imap and lmtp see. */
#include "tests/unit/indexer-kit.h"
#include <sys/socket.h>
#include "lib-storage/flags.h"
#include "lib-storage/mailbox-name.h"

#define SESSION "0123456789abcdef01234567"
#define WAIT_MS 20000

/* What a session knows of its mailbox: the base, and what came since. */
struct view {
	struct mailbox_record *records;
	size_t count;
};

struct peer {
	struct world *world;
	struct client *client;
	struct view view;
	unsigned changes, bases, lists, kicks, gone, moved;
	uint64_t recent;
};

struct world {
	struct kit kit;
	struct event_base *base;
	struct indexer *ix;
	struct peer peers[6];
	size_t n_peers;
};

/* ---- a session's view, as imap keeps it ---- */

static void view_apply(struct view *v, struct span log)
{
	struct mailbox_change c;
	int rc;

	while ((rc = mailbox_log_next(&log, &c)) == 1) {
		size_t i = mailbox_records_find(v->records, v->count, c.record.uid);
		bool there = i < v->count && v->records[i].uid == c.record.uid;

		if (there && c.record.modseq <= v->records[i].modseq)
			continue;
		if (c.kind == MESSAGE_NEW && !there) {
			assert_int_equal(i, v->count); /* UIDs ascend */
			v->records = mem_realloc_array(
				v->records, v->count + 1, sizeof(*v->records));
			v->records[v->count++] = c.record;
		} else if (c.kind == MESSAGE_FLAGS && there) {
			v->records[i].flags = c.record.flags;
			v->records[i].modseq = c.record.modseq;
		} else if (c.kind == MESSAGE_EXPUNGED && there) {
			memmove(v->records + i, v->records + i + 1,
				(v->count - i - 1) * sizeof(*v->records));
			v->count--;
		}
	}
	assert_int_equal(rc, 0);
}

static void view_take(struct view *v, struct result *r)
{
	struct mailbox_base base;
	struct span rest = r->body, keywords;
	struct err e;

	assert_int_equal(mailbox_base_open(r->fd, &base, &e), 0);
	assert_int_equal(base.header->generation, result_uint(r, "generation"));
	mem_free(v->records);
	v->records = mem_alloc_array(base.count + 1, sizeof(*v->records));
	memcpy(v->records, base.records, base.count * sizeof(*v->records));
	v->count = base.count;
	mailbox_base_close(&base);
	assert_true(span_get_block(&rest, &keywords));
	view_apply(v, rest);
}

static void on_event(struct client *c, const char *event, const struct result *r, void *ctx)
{
	struct peer *p = ctx;

	(void)c;
	if (strcmp(event, "CHANGE") == 0) {
		p->changes++;
		view_apply(&p->view, r->body);
		if (result_has(r, "recent"))
			p->recent = result_uint(r, "recent");
	}
	p->bases += strcmp(event, "BASE") == 0;
	p->lists += strcmp(event, "MAILBOXES") == 0;
	p->kicks += strcmp(event, "KICK") == 0;
	p->gone += strcmp(event, "GONE") == 0;
	p->moved += strcmp(event, "MOVED") == 0;
}

static struct peer *connect_to(struct world *wd, const struct role_def *role, const char *service)
{
	struct peer *p = &wd->peers[wd->n_peers++];
	struct client_def def = {.role = role->name, .on_event = on_event, .ctx = p};
	int fds[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	assert_non_null(channel_accept(wd->base, fds[0], role, NULL, service, NULL));
	p->world = wd;
	p->client = client_new_fd(wd->base, &def, fds[1]);
	return p;
}

static void disconnect(struct peer *p)
{
	client_free(p->client);
	p->client = NULL;
	mem_free(p->view.records);
	memset(&p->view, 0, sizeof(p->view));
}

static void world_start(struct world *wd)
{
	struct err e;

	wd->base = event_base_new();
	wd->ix = indexer_new(wd->base, &wd->kit.config, &e);
	if (wd->ix == NULL || indexer_start(wd->ix, &e) < 0)
		fail_msg("%s", e.log);
}

/* Everything ends as in a service: channels first. */
static void world_stop(struct world *wd)
{
	for (size_t i = 0; i < wd->n_peers; i++) {
		if (wd->peers[i].client != NULL)
			disconnect(&wd->peers[i]);
	}
	wd->n_peers = 0;
	memset(wd->peers, 0, sizeof(wd->peers));
	indexer_stop(wd->ix);
	event_base_loop(wd->base, EVLOOP_NONBLOCK);
	event_base_loop(wd->base, EVLOOP_NONBLOCK);
	indexer_free(wd->ix);
	event_base_free(wd->base);
}

static int setup(void **state)
{
	struct world *wd = mem_alloc(sizeof(*wd));

	kit_init(&wd->kit);
	world_start(wd);
	*state = wd;
	return 0;
}

static int teardown(void **state)
{
	struct world *wd = *state;

	world_stop(wd);
	kit_clear(&wd->kit);
	mem_free(wd);
	return 0;
}

/* ---- calls ---- */

static void ticket_text(struct world *wd, enum ticket_kind kind, uint64_t account, struct buf *out)
{
	struct ticket t;

	ticket_init(&t, kind, clock_boot_ms());
	t.account = account;
	t.generation = 1;
	t.quota_bytes = 100000000;
	if (kind != TICKET_RECIPIENT)
		snprintf(t.session, sizeof(t.session), "%s", SESSION);
	snprintf(t.user, sizeof(t.user), "anna@example.org");
	ticket_seal(&t, wd->kit.ticket_key, out);
}

static struct result *attach_with(
	struct peer *p, const char *key, struct span secret, const char *address)
{
	struct call *c = call_new(p->client, "ATTACH");

	call_span(c, key, secret);
	call_str(c, "session", SESSION);
	call_str(c, "protocol", "imap");
	call_str(c, "address", address);
	return call_wait(c, WAIT_MS);
}

static struct peer *attached(struct world *wd)
{
	struct peer *p = connect_to(wd, &indexer_session_role, "imap");
	struct buf ticket;
	struct result *r;

	buf_init(&ticket);
	ticket_text(wd, TICKET_SESSION, KIT_ACCOUNT, &ticket);
	r = attach_with(p, "ticket", buf_span(&ticket), "192.0.2.1");
	assert_int_equal(r->code, ERR_NONE);
	assert_string_equal(result_str(r, "user"), "anna@example.org");
	result_free(r);
	buf_clear(&ticket);
	return p;
}

static uint64_t inbox_of(struct peer *p)
{
	struct call *c = call_new(p->client, "STATUS");
	struct result *r;
	struct span rest, field;
	uint64_t id;

	call_str(c, "name", "inbox");
	r = call_wait(c, WAIT_MS);
	assert_int_equal(r->code, ERR_NONE);
	rest = r->body;
	assert_true(span_cut(&rest, '\t', &field) && num_u64(field, &id));
	result_free(r);
	return id;
}

static uint64_t select_mailbox(struct peer *p, uint64_t mailbox, bool again)
{
	struct call *c = call_new(p->client, "SELECT");
	struct result *r;
	uint64_t recent;

	call_uint(c, "mailbox", mailbox);
	call_uint(c, "readonly", 0);
	call_uint(c, "again", again);
	r = call_wait(c, WAIT_MS);
	assert_int_equal(r->code, ERR_NONE);
	view_take(&p->view, r);
	assert_int_equal(p->view.count, result_uint(r, "messages"));
	recent = result_uint(r, "recent");
	result_free(r);
	return recent;
}

static struct call *deliver_call(struct world *wd, struct peer *lmtp, uint64_t size, uint64_t flags)
{
	struct call *c = call_new(lmtp->client, "DELIVER");
	struct receipt receipt;
	struct buf text;

	buf_init(&text);
	ticket_text(wd, TICKET_RECIPIENT, KIT_ACCOUNT, &text);
	call_span(c, "recipient", buf_span(&text));
	buf_empty(&text);
	kit_receipt(&wd->kit, size, &receipt);
	receipt_text(&receipt, &text);
	call_span(c, "receipt", buf_span(&text));
	call_uint(c, "flags", flags);
	call_int(c, "date", 1700000000);
	call_int(c, "tz", -90);
	buf_add_str(call_body(c), "the metadata");
	buf_clear(&text);
	return c;
}

static uint64_t deliver(struct world *wd, struct peer *lmtp, uint64_t size, uint64_t flags)
{
	struct result *r = call_wait(deliver_call(wd, lmtp, size, flags), WAIT_MS);
	uint64_t uid = result_uint(r, "uid");

	assert_int_equal(r->code, ERR_NONE);
	assert_string_equal(result_str(r, "mailbox"), "INBOX");
	result_free(r);
	return uid;
}

static struct result *uid_call(struct peer *p, const char *verb, uint64_t mailbox, const char *uids,
	const char *key, const char *value)
{
	struct call *c = call_new(p->client, verb);

	call_uint(c, "mailbox", mailbox);
	if (strcmp(verb, "STORE") == 0)
		call_str(c, "mode", "add");
	call_str(c, key, value);
	buf_add_str(call_body(c), uids);
	return call_wait(c, WAIT_MS);
}

static void uid_ok(struct peer *p, const char *verb, uint64_t mailbox, const char *uids,
	const char *key, const char *value)
{
	struct result *r = uid_call(p, verb, mailbox, uids, key, value);

	assert_int_equal(r->code, ERR_NONE);
	result_free(r);
}

static enum err_code simple(struct peer *p, const char *verb, const char *name)
{
	struct call *c = call_new(p->client, verb);
	struct result *r;
	enum err_code code;

	if (name != NULL)
		call_str(c, "name", name);
	r = call_wait(c, WAIT_MS);
	code = r->code;
	result_free(r);
	return code;
}

/* ---- tests ---- */

static void test_tickets(void **state)
{
	struct world *wd = *state;
	struct peer *p = connect_to(wd, &indexer_session_role, "imap");
	struct peer *q = connect_to(wd, &indexer_session_role, "imap");
	struct buf ticket, grant;
	struct result *r;

	buf_init(&ticket);
	buf_init(&grant);
	assert_int_equal(simple(p, "MAILBOXES", NULL), ERR_DENIED);
	ticket_text(wd, TICKET_SESSION, KIT_ACCOUNT, &ticket);
	r = attach_with(p, "ticket", buf_span(&ticket), "192.0.2.1");
	assert_int_equal(r->code, ERR_NONE);
	buf_add_span(&grant, result_span(r, "grant"));
	result_free(r);
	/* twice on one channel, and once more on another */
	r = attach_with(p, "ticket", buf_span(&ticket), "192.0.2.1");
	assert_int_equal(r->code, ERR_PROTO);
	result_free(r);
	r = attach_with(q, "ticket", buf_span(&ticket), "192.0.2.1");
	assert_int_equal(r->code, ERR_DENIED);
	result_free(r);
	/* a ticket is no grant, and an octet changed is no ticket */
	r = attach_with(q, "grant", buf_span(&ticket), "192.0.2.1");
	assert_int_equal(r->code, ERR_DENIED);
	result_free(r);
	buf_empty(&ticket);
	ticket_text(wd, TICKET_SESSION, KIT_ACCOUNT, &ticket);
	ticket.data[20] ^= 1;
	r = attach_with(q, "ticket", buf_span(&ticket), "192.0.2.1");
	assert_int_equal(r->code, ERR_DENIED);
	result_free(r);
	/* the grant opens a channel after a restart, but not another service's */
	world_stop(wd);
	world_start(wd);
	p = connect_to(wd, &indexer_session_role, "pop3");
	r = attach_with(p, "grant", buf_span(&grant), "192.0.2.1");
	assert_int_equal(r->code, ERR_DENIED);
	result_free(r);
	p = connect_to(wd, &indexer_session_role, "imap");
	r = attach_with(p, "grant", buf_span(&grant), "192.0.2.1");
	assert_int_equal(r->code, ERR_NONE);
	result_free(r);
	assert_int_equal(simple(p, "MAILBOXES", NULL), ERR_NONE);
	buf_clear(&ticket);
	buf_clear(&grant);
}

static void test_limits(void **state)
{
	struct world *wd = *state;
	struct peer *first = attached(wd), *p;
	struct buf ticket;
	struct result *r;

	attached(wd);
	buf_init(&ticket);
	/* the third from one address, the fourth of a user */
	for (int i = 0; i < 3; i++) {
		static const char *const addresses[] = {"192.0.2.1", "192.0.2.2", "192.0.2.3"};

		p = connect_to(wd, &indexer_session_role, "imap");
		buf_empty(&ticket);
		ticket_text(wd, TICKET_SESSION, KIT_ACCOUNT, &ticket);
		r = attach_with(p, "ticket", buf_span(&ticket), addresses[i]);
		assert_int_equal(r->code, i == 1 ? ERR_NONE : ERR_LIMIT);
		result_free(r);
	}
	disconnect(first);
	/* a call on another channel comes after the disconnection was seen */
	assert_int_equal(simple(&wd->peers[1], "MAILBOXES", NULL), ERR_NONE);
	assert_int_equal(simple(&wd->peers[1], "CHECK", NULL), ERR_NONE);
	buf_empty(&ticket);
	ticket_text(wd, TICKET_SESSION, KIT_ACCOUNT, &ticket);
	r = attach_with(p, "ticket", buf_span(&ticket), "192.0.2.9");
	assert_int_equal(r->code, ERR_NONE);
	result_free(r);
	buf_clear(&ticket);
}

static void test_lists(void **state)
{
	struct world *wd = *state;
	struct peer *p = attached(wd);
	struct result *r;
	const char *sub, *zoe;

	assert_int_equal(simple(p, "CREATE", "Zo\x65\xcc\x88/b"), ERR_NONE);
	assert_int_equal(simple(p, "CREATE", "Zo\xc3\xab"), ERR_EXISTS);
	assert_int_equal(simple(p, "CREATE", "bad//name"), ERR_PERM);
	assert_int_equal(simple(p, "SUBSCRIBE", "Ghost"), ERR_NONE);
	r = call_wait(call_new(p->client, "MAILBOXES"), WAIT_MS);
	assert_int_equal(r->code, ERR_NONE);
	sub = memmem(r->body.p, r->body.n, "0\tGhost\tN\t", 10);
	zoe = memmem(r->body.p, r->body.n, "\tZo\xc3\xab/b\t-\t", 10);
	assert_non_null(sub);
	assert_non_null(zoe);
	assert_true(sub < zoe);
	assert_non_null(memmem(r->body.p, r->body.n, "\t1\t\\Sent\n", 9));
	result_free(r);
	/* the event comes by itself */
	while (p->lists == 0)
		event_base_loop(wd->base, EVLOOP_ONCE);
}

static void test_deliver_and_see(void **state)
{
	struct world *wd = *state;
	struct peer *p = attached(wd), *lmtp = connect_to(wd, &indexer_deliver_role, "lmtp"), *q;
	uint64_t inbox = inbox_of(p), ids[2];
	struct result *r;
	struct call *c;
	struct span rest, block;

	assert_int_equal(deliver(wd, lmtp, 100, 0), 1);
	assert_int_equal(select_mailbox(p, inbox, false), 1);
	assert_int_equal(deliver(wd, lmtp, 200, FLAG_SEEN), 2);
	/* another call on the session's channel: events came before its answer */
	assert_int_equal(simple(p, "CHECK", NULL), ERR_NONE);
	assert_int_equal(p->view.count, 2);
	assert_int_equal(p->view.records[1].size, 200);
	assert_int_equal(p->view.records[1].flags, FLAG_SEEN);
	assert_int_equal(p->view.records[1].tz_minutes, -90);
	assert_int_equal(p->recent, 2);
	q = attached(wd);
	assert_int_equal(select_mailbox(q, inbox, false), 0); /* p was told already */

	uid_ok(p, "STORE", inbox, "1", "flags", "4");
	assert_int_equal(p->view.records[0].flags, FLAG_DELETED);
	assert_int_equal(simple(q, "CHECK", NULL), ERR_NONE);
	assert_int_equal(q->view.records[0].flags, FLAG_DELETED);

	/* metadata and locator of the account's bodies, nothing of others */
	ids[0] = p->view.records[0].body;
	ids[1] = 999999;
	c = call_new(p->client, "META");
	buf_add(call_body(c), ids, sizeof(ids));
	r = call_wait(c, WAIT_MS);
	rest = r->body;
	assert_true(span_get_u64(&rest, &ids[1]) && span_get_block(&rest, &block));
	assert_true(span_is(block, "the metadata"));
	assert_true(span_get_u64(&rest, &ids[1]) && span_get_block(&rest, &block));
	assert_int_equal(block.n, 0);
	result_free(r);
	c = call_new(p->client, "LOCATE");
	buf_add(call_body(c), ids, sizeof(ids[0]));
	r = call_wait(c, WAIT_MS);
	rest = r->body;
	assert_true(span_get_u64(&rest, &ids[1]) && span_get_block(&rest, &block));
	assert_int_not_equal(block.n, 0);
	result_free(r);

	uid_ok(p, "EXPUNGE", inbox, "1:5", "deleted", "1");
	assert_int_equal(p->view.count, 1);
	r = uid_call(p, "COPY", inbox, "2", "to", "Nowhere");
	assert_int_equal(r->code, ERR_NOTFOUND);
	result_free(r);
	r = uid_call(p, "MOVE", inbox, "1:9", "to", "Archive");
	assert_int_equal(r->code, ERR_NONE);
	assert_true(span_is(r->body, "2 1\n"));
	result_free(r);
	assert_int_equal(p->view.count, 0);
}

static void test_refused_deliveries(void **state)
{
	struct world *wd = *state;
	struct peer *lmtp = connect_to(wd, &indexer_deliver_role, "lmtp");
	struct call *c;
	struct result *r;
	struct buf text;

	buf_init(&text);
	/* no recipient answer */
	c = call_new(lmtp->client, "DELIVER");
	call_str(c, "recipient", "nonsense");
	call_str(c, "receipt", "nonsense");
	r = call_wait(c, WAIT_MS);
	assert_int_equal(r->code, ERR_TEMP);
	result_free(r);
	/* a session ticket is none either, and a receipt is needed */
	ticket_text(wd, TICKET_SESSION, KIT_ACCOUNT, &text);
	c = call_new(lmtp->client, "DELIVER");
	call_span(c, "recipient", buf_span(&text));
	call_str(c, "receipt", "nonsense");
	r = call_wait(c, WAIT_MS);
	assert_int_equal(r->code, ERR_TEMP);
	result_free(r);
	buf_empty(&text);
	ticket_text(wd, TICKET_RECIPIENT, KIT_ACCOUNT, &text);
	c = call_new(lmtp->client, "DELIVER");
	call_span(c, "recipient", buf_span(&text));
	call_str(c, "receipt", "pack,1,2,3");
	r = call_wait(c, WAIT_MS);
	assert_int_not_equal(r->code, ERR_NONE);
	result_free(r);
	r = call_wait(deliver_call(wd, lmtp, 200000000, 0), WAIT_MS);
	assert_int_equal(r->code, ERR_QUOTA);
	result_free(r);
	buf_clear(&text);
}

/* The view of a session that only heard of changes is that of one which comes anew. */
static void test_views_agree(void **state)
{
	struct world *wd = *state;
	struct peer *p = attached(wd), *lmtp = connect_to(wd, &indexer_deliver_role, "lmtp");
	struct peer *q = attached(wd);
	uint64_t inbox = inbox_of(p);
	unsigned seed = 7;
	char uids[32];

	select_mailbox(p, inbox, false);
	for (int round = 0; round < 300; round++) {
		uint64_t from = 1 + (uint64_t)rand_r(&seed) % (p->view.count + 3);

		for (int i = 0; i < 8; i++)
			result_free(call_wait(deliver_call(wd, lmtp, 50, 0), WAIT_MS));
		snprintf(uids, sizeof(uids), "%llu:%llu", (unsigned long long)from,
			(unsigned long long)from + 5);
		uid_ok(round % 2 ? p : q, "STORE", inbox, uids, "flags", round % 3 ? "1" : "4");
		if (round % 5 == 0)
			uid_ok(p, "EXPUNGE", inbox, "1:4000", "deleted", "1");
		if (p->bases > 0) {
			p->bases = 0;
			select_mailbox(p, inbox, true);
		}
	}
	assert_int_equal(simple(p, "CHECK", NULL), ERR_NONE);
	select_mailbox(q, inbox, false);
	assert_int_equal(p->view.count, q->view.count);
	assert_memory_equal(
		p->view.records, q->view.records, p->view.count * sizeof(*p->view.records));
	/* and that of one which comes after a restart, from SQL alone */
	{
		struct mailbox_record *heard = p->view.records;
		size_t count = p->view.count;

		p->view.records = NULL;
		world_stop(wd);
		world_start(wd);
		p = attached(wd);
		select_mailbox(p, inbox, false);
		assert_int_equal(p->view.count, count);
		assert_memory_equal(p->view.records, heard, count * sizeof(*heard));
		mem_free(heard);
	}
}

static void test_new_base(void **state)
{
	struct world *wd = *state;
	struct peer *p = attached(wd), *lmtp = connect_to(wd, &indexer_deliver_role, "lmtp");
	uint64_t inbox = inbox_of(p);
	size_t before;

	select_mailbox(p, inbox, false);
	for (int i = 0; i < 1010; i++)
		deliver(wd, lmtp, 10, 0);
	while (p->bases == 0)
		event_base_loop(wd->base, EVLOOP_ONCE);
	before = p->view.count;
	assert_int_equal(before, 1010);
	select_mailbox(p, inbox, true);
	assert_int_equal(p->view.count, before);
}

static void test_deleted_and_kicked(void **state)
{
	struct world *wd = *state;
	struct peer *p = attached(wd), *q = attached(wd);
	struct peer *admin = connect_to(wd, &indexer_admin_role, "ctl");
	struct call *c = call_new(p->client, "CREATE");
	struct result *r;
	uint64_t id;

	call_str(c, "name", "temporary");
	r = call_wait(c, WAIT_MS);
	id = result_uint(r, "mailbox");
	result_free(r);
	select_mailbox(p, id, false);
	assert_int_equal(simple(q, "DELETE", "temporary"), ERR_NONE);
	assert_int_equal(simple(p, "CHECK", NULL), ERR_NONE);
	assert_int_equal(p->gone, 1);
	r = uid_call(p, "STORE", id, "1", "flags", "1");
	assert_int_equal(r->code, ERR_NOTFOUND);
	result_free(r);

	r = call_wait(call_new(admin->client, "SESSIONS"), WAIT_MS);
	assert_non_null(memmem(r->body.p, r->body.n, "\tanna@example.org\timap\t192.0.2.1\t", 33));
	result_free(r);
	c = call_new(admin->client, "ACCOUNT-VOID");
	call_uint(c, "account", KIT_ACCOUNT);
	r = call_wait(c, WAIT_MS);
	assert_int_equal(r->code, ERR_NONE);
	result_free(r);
	assert_int_equal(simple(p, "MAILBOXES", NULL), ERR_DENIED);
	assert_int_equal(p->kicks, 1);
	assert_int_equal(simple(q, "CHECK", NULL), ERR_DENIED);
	assert_int_equal(q->kicks, 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {T(test_tickets), T(test_limits), T(test_lists),
		T(test_deliver_and_see), T(test_refused_deliveries), T(test_views_agree),
		T(test_new_base), T(test_deleted_and_kicked)};

	log_setup("test", LOG_FORM_HUMAN, LOG_LEVEL_ERROR, LOG_ADDRESSES_PLAIN, 2);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
