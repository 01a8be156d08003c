/*
 * FETCH (RFC 3501 6.4.5, RFC 7162). What stands in the view is written at once; ENVELOPE,
 * BODYSTRUCTURE and known header fields come from metadata that indexer is asked for in batches,
 * the next one while the present is written; texts are read ahead from the object store
 * (body-reader.h). The command stops where the client does not read or the octets are not here, and
 * goes on from the events.
 */
#include "services/imap/commands.h"
#include "services/imap/fetch.h"
#include "services/imap/imap-session.h"

#define BATCH 500
#define BATCH_BODIES 100

static void fetch_continue(struct imap_client *c);

static void batch_free(struct fetch_batch *b)
{
	if (b == NULL)
		return;
	if (b->c->session.channel != NULL)
		client_forget(b->c->session.channel, b);
	mem_free(b->msgs);
	buf_clear(&b->metas);
	buf_clear(&b->locators);
	mem_free(b);
}

static void fetch_free(struct imap_client *c)
{
	struct fetch_state *f = c->cmd.state;

	c->mbox.view.silent_set = NULL;
	uidset_clear(&f->uids);
	uidset_clear(&f->seen);
	batch_free(f->now);
	batch_free(f->ahead);
	body_reader_free(f->reader);
	mem_free(f->plans);
	arena_free(f->arena);
	buf_clear(&f->filter);
}

static void fetch_end(struct imap_client *c, struct fetch_state *f)
{
	if (f->unavailable > 0)
		imap_cmd_no(c, "UNAVAILABLE", "Some messages could not be read, try again later");
	else
		imap_cmd_ok(c, NULL, "Fetch completed");
}

/* ---- items of the view ---- */

static char *put(char *p, const char *text, size_t n)
{
	memcpy(p, text, n);
	return p + n;
}

#define PUT(p, literal) put(p, literal, sizeof(literal) - 1)

static char *put_flags(struct imap_client *c, char *p, uint64_t flags, bool recent)
{
	char *start;

	p = PUT(p, "FLAGS (");
	start = p;
	if (flags & FLAG_ANSWERED)
		p = PUT(p, "\\Answered ");
	if (flags & FLAG_FLAGGED)
		p = PUT(p, "\\Flagged ");
	if (flags & FLAG_DELETED)
		p = PUT(p, "\\Deleted ");
	if (flags & FLAG_SEEN)
		p = PUT(p, "\\Seen ");
	if (flags & FLAG_DRAFT)
		p = PUT(p, "\\Draft ");
	if (recent)
		p = PUT(p, "\\Recent ");
	for (uint64_t rest = flags & ~FLAGS_SYSTEM; rest != 0; rest &= rest - 1) {
		unsigned bit = (unsigned)__builtin_ctzll(rest) - FLAG_KEYWORD_FIRST;

		if (bit >= c->mbox.n_keywords)
			continue;
		p = put(p, c->mbox.keywords[bit], strlen(c->mbox.keywords[bit]));
		*p++ = ' ';
	}
	if (p > start)
		p--;
	*p++ = ')';
	return p;
}

/* Upper bound of what put_items writes: all flags and keywords, and the numbers. */
static size_t items_max(const struct imap_client *c)
{
	size_t n = 512;

	for (unsigned i = 0; i < c->mbox.n_keywords; i++)
		n += strlen(c->mbox.keywords[i]) + 1;
	return n;
}

/* "UID 1 FLAGS (...) ..." with a blank behind each item. */
static char *put_items(
	struct imap_client *c, unsigned items, const struct mailbox_record *r, char *p)
{
	if (items & FETCH_UID) {
		p = PUT(p, "UID ");
		p += imap_put_number(p, r->uid);
		*p++ = ' ';
	}
	if (items & FETCH_FLAGS) {
		p = put_flags(c, p, r->flags, imap_is_recent(c, r->uid));
		*p++ = ' ';
	}
	if (items & FETCH_MODSEQ) {
		p = PUT(p, "MODSEQ (");
		p += imap_put_number(p, r->modseq);
		p = PUT(p, ") ");
	}
	if (items & FETCH_SIZE) {
		p = PUT(p, "RFC822.SIZE ");
		p += imap_put_number(p, r->size);
		*p++ = ' ';
	}
	return p;
}

static void write_view_items(
	struct imap_client *c, unsigned items, const struct mailbox_record *r, size_t room)
{
	char *start = buf_reserve(&c->out, room), *p;

	if (start == NULL)
		return;
	p = put_items(c, items, r, start);
	buf_added(&c->out, (size_t)(p - start));
	if (items & FETCH_INTERNALDATE) {
		buf_add_str(&c->out, "INTERNALDATE ");
		imap_write_date_time(&c->out, r->internaldate, r->tz_minutes);
		buf_add_c(&c->out, ' ');
	}
}

/* No item needs more than the view: the whole answer is made here, as fast as octets can be put. */
static void fetch_from_view(struct imap_client *c)
{
	struct fetch_state *f = c->cmd.state;
	const struct mailbox_view *v = &c->mbox.view;
	size_t room = items_max(c);
	const struct mailbox_record *r;
	struct view_cursor cursor;

	while (f->next_uid != 0) {
		uint32_t uid = f->next_uid;

		view_cursor_init(&cursor, v, (uint32_t)view_count_below(v, uid) + 1);
		/* one cursor serves as long as the set goes on without gaps */
		while (uid != 0 && (r = view_cursor_next(&cursor)) != NULL && r->uid == uid) {
			uid = r->uid == UINT32_MAX ? 0 : uidset_next(&f->uids, r->uid + 1);
			f->next_uid = uid;
			if (r->modseq <= f->changed_since && f->changed_since > 0)
				continue;
			buf_add(&c->out, "* ", 2);
			imap_write_number(&c->out, cursor.seq);
			buf_add(&c->out, " FETCH (", 8);
			write_view_items(c, f->items, r, room);
			if (c->out.data[c->out.len - 1] == ' ')
				buf_truncate(&c->out, c->out.len - 1);
			buf_add(&c->out, ")\r\n", 3);
			if (imap_output_full(c))
				return;
		}
		if (uid != 0 && uid == f->next_uid && (r == NULL || r->uid != uid)) {
			if (r == NULL)
				f->next_uid = 0;
			else if (r->uid > uid)
				f->next_uid = uidset_next(&f->uids, uid + 1);
		}
	}
	fetch_end(c, f);
}

/* ---- batches ---- */

static void take_blocks(struct fetch_batch *b, struct span body, bool metas)
{
	struct span block;
	uint64_t id;

	for (size_t i = 0; i < b->n; i++) {
		if (!span_get_u64(&body, &id) || !span_get_block(&body, &block) ||
			id != b->msgs[i].record.body)
			return;
		if (metas)
			b->msgs[i].meta = block;
		else
			b->msgs[i].locator = block;
	}
}

static void on_meta(struct result *r, void *ctx)
{
	struct fetch_batch *b = ctx;

	b->asked_meta = false;
	b->failed |= r->code != ERR_NONE;
	buf_add_span(&b->metas, r->body);
	take_blocks(b, buf_span(&b->metas), true);
	fetch_continue(b->c);
}

static void on_locators(struct result *r, void *ctx)
{
	struct fetch_batch *b = ctx;

	b->asked_locators = false;
	b->failed |= r->code != ERR_NONE;
	buf_add_span(&b->locators, r->body);
	buf_add_c(&b->locators, '\0'); /* "they were asked for" */
	take_blocks(b, buf_span(&b->locators), false);
	fetch_continue(b->c);
}

static bool batch_ask(struct imap_client *c, struct fetch_batch *b, const char *verb, call_cb *cb)
{
	struct buf *body;
	struct call *call;

	if (c->session.state != SESSION_READY) {
		b->failed = true;
		return false;
	}
	call = call_new(c->session.channel, verb);
	call_uint(call, "mailbox", c->mbox.id);
	body = call_body(call);
	for (size_t i = 0; i < b->n; i++)
		buf_add_u64(body, b->msgs[i].record.body);
	call_trace(call, c->trace);
	(void)call_send(call, IMAP_CALL_MS, cb, b);
	return true;
}

static bool asks_locators_first(const struct fetch_state *f)
{
	for (size_t i = 0; i < f->n_sections; i++) {
		if (!f->sections[i].filter)
			return true;
	}
	return false;
}

/* Collects the next messages of the set and asks what is known of them. NULL: there are none. */
static struct fetch_batch *batch_new(struct imap_client *c, struct fetch_state *f)
{
	const struct mailbox_view *v = &c->mbox.view;
	size_t max = f->needs_body ? BATCH_BODIES : BATCH;
	struct fetch_batch *b;

	if (f->next_uid == 0)
		return NULL;
	b = mem_alloc(sizeof(*b));
	b->c = c;
	b->msgs = mem_alloc_array(max, sizeof(*b->msgs));
	while (f->next_uid != 0 && b->n < max) {
		uint32_t uid = f->next_uid;
		struct fetch_msg *m = &b->msgs[b->n];

		f->next_uid = uid == UINT32_MAX ? 0 : uidset_next(&f->uids, uid + 1);
		m->seq = view_seq(v, uid);
		if (m->seq == 0 || !view_get(v, m->seq, &m->record))
			continue;
		if (f->changed_since > 0 && m->record.modseq <= f->changed_since)
			continue;
		b->n++;
	}
	if (b->n == 0) {
		batch_free(b);
		return NULL;
	}
	if (f->needs_meta)
		b->asked_meta = batch_ask(c, b, "META", on_meta);
	if (asks_locators_first(f))
		b->asked_locators = batch_ask(c, b, "LOCATE", on_locators);
	return b;
}

/* Queues what the plans say is to be read. False: locators must come first. */
static bool queue_reads(struct fetch_state *f)
{
	struct fetch_batch *b = f->now;

	for (size_t i = 0; i < b->n * f->n_sections; i++) {
		const struct fetch_plan *plan = &f->plans[i];
		const struct fetch_msg *m = &b->msgs[i / f->n_sections];

		if (plan->how != PLAN_READ && plan->how != PLAN_FILTER)
			continue;
		if (b->locators.len == 0)
			return false;
		body_reader_add(f->reader, m->locator, plan->offset, plan->length);
	}
	return true;
}

/* Makes `now` the batch to be written, all of whose replies have come. False: wait, or the end. */
static bool batch_ready(struct imap_client *c, struct fetch_state *f)
{
	if (f->now == NULL) {
		f->now = f->ahead != NULL ? f->ahead : batch_new(c, f);
		f->ahead = NULL;
		f->msg = f->section = 0;
		if (f->now == NULL) {
			fetch_end(c, f);
			return false;
		}
		f->ahead = batch_new(c, f);
		mem_free(f->plans);
		f->plans = NULL;
	}
	if (f->now->asked_meta || f->now->asked_locators)
		return false;
	if (f->now->failed) {
		imap_cmd_no(c, "UNAVAILABLE", "The mail store is not available, try again later");
		return false;
	}
	if (f->plans != NULL || f->n_sections == 0)
		return true;
	if (f->reader == NULL)
		f->reader = body_reader_new(c, fetch_continue);
	body_reader_reset(f->reader);
	fetch_plan_batch(c, f);
	if (queue_reads(f))
		return true;
	/* some header fields are not in the metadata after all */
	mem_free(f->plans);
	f->plans = NULL;
	f->now->asked_locators = batch_ask(c, f->now, "LOCATE", on_locators);
	if (!f->now->asked_locators)
		imap_cmd_no(c, "UNAVAILABLE", "The mail store is not available, try again later");
	return false;
}

static void write_meta_items(struct imap_client *c, struct fetch_state *f)
{
	struct buf *out = &c->out;

	if (!f->meta_ok) {
		f->unavailable++;
		return;
	}
	if (f->items & FETCH_ENVELOPE) {
		fetch_write_item(c, f);
		buf_add_str(out, "ENVELOPE ");
		buf_add_span(out, meta_envelope(&f->meta));
	}
	if (f->items & FETCH_BODY) {
		fetch_write_item(c, f);
		buf_add_str(out, "BODY ");
		meta_add_body(&f->meta, out);
	}
	if (f->items & FETCH_BODYSTRUCTURE) {
		fetch_write_item(c, f);
		buf_add_str(out, "BODYSTRUCTURE ");
		buf_add_span(out, meta_bodystructure(&f->meta));
	}
}

static void begin_message(struct imap_client *c, struct fetch_state *f)
{
	const struct fetch_msg *m = &f->now->msgs[f->msg];
	unsigned items = f->items & ~(unsigned)FETCH_META;
	struct mailbox_record r = m->record;
	struct err e;

	arena_reset(f->arena);
	f->meta_ok = f->needs_meta && m->meta.n > 0 &&
		     meta_parse(m->meta, f->arena, &f->meta, &e) == 0;
	f->begun = true;
	f->section = 0;
	f->open = false;
	if (uidset_has(&f->seen, r.uid)) {
		items |= FETCH_FLAGS;
		(void)view_get(&c->mbox.view, m->seq, &r);
	}
	if (items != 0) {
		fetch_write_item(c, f);
		write_view_items(c, items, &r, items_max(c));
		buf_truncate(&c->out, c->out.len - 1);
	}
	if (f->items & FETCH_META)
		write_meta_items(c, f);
}

static void fetch_continue(struct imap_client *c)
{
	struct fetch_state *f = c->cmd.state;
	int r;

	/* the view's items alone need no batch */
	if (c->cmd.ending || c->closing)
		return;
	while (batch_ready(c, f)) {
		for (; f->msg < f->now->n; f->msg++, f->section = 0) {
			if (imap_output_full(c))
				return;
			if (!f->begun)
				begin_message(c, f);
			r = fetch_write_sections(c, f);
			if (r == 0) {
				imap_output_flush(c);
				return;
			}
			if (r < 0) {
				c->eof = true;
				imap_client_close(c);
				return;
			}
			if (f->open)
				buf_add(&c->out, ")\r\n", 3);
			f->open = f->begun = false;
		}
		batch_free(f->now);
		f->now = NULL;
	}
}

/* ---- beginning ---- */

static void fetch_start(struct imap_client *c)
{
	struct fetch_state *f = c->cmd.state;

	f->next_uid = uidset_next(&f->uids, 1);
	c->cmd.heavy = uidset_count(&f->uids) > 1000 || f->needs_body;
	if (!f->needs_meta && !f->needs_body) {
		c->cmd.resume = fetch_from_view;
		fetch_from_view(c);
		return;
	}
	f->arena = arena_new();
	c->cmd.resume = fetch_continue;
	fetch_continue(c);
}

/* The messages have \Seen now, or they do not; the fetch goes on either way. */
static void on_seen(struct result *r, void *ctx)
{
	struct imap_client *c = ctx;
	struct fetch_state *f = c->cmd.state;

	view_silence(&c->mbox.view, NULL, VIEW_STORE_NONE, 0);
	if (r->code != ERR_NONE)
		uidset_clear(&f->seen);
	fetch_start(c);
}

static void collect_unseen(struct imap_client *c, struct fetch_state *f)
{
	const struct mailbox_view *v = &c->mbox.view;
	struct mailbox_record r;

	for (uint32_t uid = uidset_next(&f->uids, 1); uid != 0;
		uid = uid == UINT32_MAX ? 0 : uidset_next(&f->uids, uid + 1)) {
		if (!view_get(v, view_seq(v, uid), &r) || (r.flags & FLAG_SEEN) != 0)
			continue;
		if (f->changed_since == 0 || r.modseq > f->changed_since)
			uidset_add(&f->seen, uid, uid);
	}
}

void cmd_fetch(struct imap_client *c)
{
	struct fetch_state *f = imap_cmd_state(c, sizeof(*f), fetch_free);
	struct call *call;

	if (!imap_arg_messages(c, &f->uids))
		return;
	if (!fetch_parse(c, f)) {
		imap_cmd_bad_args(c);
		return;
	}
	if (f->items & FETCH_MODSEQ)
		imap_enable_condstore(c);
	if (f->sets_seen && !c->mbox.readonly)
		collect_unseen(c, f);
	if (uidset_is_empty(&f->seen)) {
		fetch_start(c);
		return;
	}
	call = imap_session_call(c, "STORE");
	if (call == NULL)
		return;
	call_uint(call, "mailbox", c->mbox.id);
	call_str(call, "mode", "add");
	call_uint(call, "flags", FLAG_SEEN);
	uidset_format(&f->seen, call_body(call));
	view_silence(&c->mbox.view, &f->seen, VIEW_STORE_ADD, FLAG_SEEN);
	imap_session_send(c, call, on_seen);
}
