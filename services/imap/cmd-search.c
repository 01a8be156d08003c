/*
 * SEARCH (RFC 3501 6.4.4). All messages are looked at in the view at once; what is still open goes
 * in batches through the metadata, and what is open then through the text, read ahead from the
 * store one message at a time.
 */
#include "services/imap/commands.h"
#include "services/imap/search.h"

#include <sys/mman.h>
#include <unistd.h>
#include "lib-storage/charset.h"
#include "services/imap/body-reader.h"
#include "services/imap/imap-session.h"

#define BATCH 200
#define TEXT_IN_MEMORY (1u << 20) /* a larger message is searched in a temporary file */

struct search_item {
	struct mailbox_record record;
	struct span meta, locator;
	bool open; /* its text must be read */
	uint64_t length;
};

struct search_state {
	struct search_program program;
	struct uidset hits, candidates;
	uint64_t modseq; /* highest of the hits */
	uint32_t next_uid;
	struct search_item items[BATCH];
	size_t n_items, at;
	struct buf metas, locators;
	bool reading;
	struct body_reader *reader;
	struct arena *arena;
	struct buf text; /* of the message that is being read */
	int fd;		 /* or its file */
	uint64_t fd_size;
	bool bad_text;
	size_t unavailable;
};

static void search_free(struct imap_client *c)
{
	struct search_state *s = c->cmd.state;

	search_clear(&s->program);
	uidset_clear(&s->hits);
	uidset_clear(&s->candidates);
	buf_clear(&s->metas);
	buf_clear(&s->locators);
	buf_clear(&s->text);
	body_reader_free(s->reader);
	arena_free(s->arena);
	if (s->fd >= 0)
		(void)close(s->fd);
}

static void hit(struct search_state *s, const struct mailbox_record *r)
{
	uidset_add(&s->hits, r->uid, r->uid);
	if (r->modseq > s->modseq)
		s->modseq = r->modseq;
}

static void search_end(struct imap_client *c, struct search_state *s)
{
	buf_add_str(&c->out, "* SEARCH");
	for (uint32_t uid = uidset_next(&s->hits, 1); uid != 0;
		uid = uid == UINT32_MAX ? 0 : uidset_next(&s->hits, uid + 1)) {
		buf_add_c(&c->out, ' ');
		imap_write_number(&c->out, c->cmd.uid ? uid : view_seq(&c->mbox.view, uid));
	}
	if (s->program.uses_modseq && !uidset_is_empty(&s->hits)) {
		buf_add_str(&c->out, " (MODSEQ ");
		imap_write_number(&c->out, s->modseq);
		buf_add_c(&c->out, ')');
	}
	buf_add_str(&c->out, "\r\n");
	if (s->unavailable > 0)
		imap_cmd_no(c, "UNAVAILABLE", "Some messages could not be read, try again later");
	else
		imap_cmd_ok(c, NULL, "Search completed");
}

/* ---- step 1: the view ---- */

static void search_view(struct imap_client *c, struct search_state *s)
{
	struct search_message m = {.c = c};
	struct view_cursor cursor;

	view_cursor_init(&cursor, &c->mbox.view, 1);
	while ((m.record = view_cursor_next(&cursor)) != NULL) {
		switch (search_eval(&s->program, &m)) {
		case SEARCH_TRUE:
			hit(s, m.record);
			break;
		case SEARCH_OPEN:
			uidset_add(&s->candidates, m.record->uid, m.record->uid);
			break;
		case SEARCH_FALSE:
			break;
		}
	}
}

/* ---- step 3: the text ---- */

static void batch_next(struct imap_client *c);

static void item_eval_text(struct imap_client *c, struct search_state *s, struct search_item *item)
{
	struct search_message m = {.c = c, .record = &item->record};
	struct meta meta;
	struct err e;
	void *map = MAP_FAILED;

	arena_reset(s->arena);
	if (s->bad_text || meta_parse(item->meta, s->arena, &meta, &e) < 0) {
		s->unavailable++;
		return;
	}
	m.meta = &meta;
	m.text = buf_span(&s->text);
	if (s->fd >= 0) {
		map = mmap(NULL, (size_t)s->fd_size, PROT_READ, MAP_PRIVATE, s->fd, 0);
		if (map == MAP_FAILED) {
			s->unavailable++;
			return;
		}
		m.text = span_from(map, (size_t)s->fd_size);
	}
	m.header = span_from(
		m.text.p, meta.header_len < m.text.n ? (size_t)meta.header_len : m.text.n);
	if (!s->program.needs_text)
		m.text = (struct span){NULL, 0};
	if (search_eval(&s->program, &m) == SEARCH_TRUE)
		hit(s, &item->record);
	if (map != MAP_FAILED)
		(void)munmap(map, (size_t)s->fd_size);
}

static void text_clear(struct search_state *s)
{
	buf_clear(&s->text);
	if (s->fd >= 0)
		(void)close(s->fd);
	s->fd = -1;
	s->fd_size = 0;
	s->bad_text = false;
}

static void text_add(struct imap_client *c, struct search_state *s, struct span octets)
{
	if (s->bad_text)
		return;
	if (s->fd < 0 && s->text.len + octets.n <= TEXT_IN_MEMORY) {
		buf_add_span(&s->text, octets);
		return;
	}
	if (s->fd < 0) {
		s->fd = service_temp_file(c->server->svc);
		if (s->fd < 0 || write(s->fd, s->text.data, s->text.len) != (ssize_t)s->text.len)
			s->bad_text = true;
		s->fd_size = s->text.len;
		buf_clear(&s->text);
	}
	if (!s->bad_text && write(s->fd, octets.p, octets.n) != (ssize_t)octets.n)
		s->bad_text = true;
	s->fd_size += octets.n;
}

static void search_read(struct imap_client *c)
{
	struct search_state *s = c->cmd.state;
	struct body_piece piece;
	int r;

	if (c->cmd.ending || c->closing || !s->reading)
		return;
	while ((r = body_reader_next(s->reader, &piece)) == 1) {
		while (s->at < s->n_items && !s->items[s->at].open)
			s->at++;
		if (piece.status != BODY_OK)
			s->bad_text = true;
		text_add(c, s, piece.octets);
		if (!piece.last)
			continue;
		item_eval_text(c, s, &s->items[s->at]);
		text_clear(s);
		s->at++;
	}
	if (r < 0) {
		s->reading = false;
		batch_next(c);
	}
}

static void start_reading(struct imap_client *c, struct search_state *s)
{
	if (s->reader == NULL)
		s->reader = body_reader_new(c, search_read);
	body_reader_reset(s->reader);
	s->at = 0;
	for (size_t i = 0; i < s->n_items; i++) {
		struct search_item *item = &s->items[i];

		if (!item->open)
			continue;
		if (item->locator.n == 0 || item->length == 0) {
			s->unavailable += item->length != 0;
			item->open = false;
			continue;
		}
		body_reader_add(s->reader, item->locator, 0, item->length);
	}
	s->reading = true;
	search_read(c);
}

/* ---- step 2: the metadata ---- */

static void take_blocks(struct search_state *s, struct span body, bool metas)
{
	struct span block;
	uint64_t id;

	for (size_t i = 0; i < s->n_items; i++) {
		if (!metas && !s->items[i].open)
			continue;
		if (!span_get_u64(&body, &id) || !span_get_block(&body, &block) ||
			id != s->items[i].record.body)
			return;
		if (metas)
			s->items[i].meta = block;
		else
			s->items[i].locator = block;
	}
}

static bool ask(struct imap_client *c, struct search_state *s, const char *verb, bool open_only,
	call_cb *cb)
{
	struct call *call = imap_session_call(c, verb);
	struct buf *body;

	if (call == NULL)
		return false;
	call_uint(call, "mailbox", c->mbox.id);
	body = call_body(call);
	for (size_t i = 0; i < s->n_items; i++) {
		if (!open_only || s->items[i].open)
			buf_add_u64(body, s->items[i].record.body);
	}
	imap_session_send(c, call, cb);
	return true;
}

static void on_locators(struct result *r, void *ctx)
{
	struct imap_client *c = ctx;
	struct search_state *s = c->cmd.state;

	if (r->code != ERR_NONE) {
		imap_cmd_fail_result(c, r);
		return;
	}
	buf_empty(&s->locators);
	buf_add_span(&s->locators, r->body);
	take_blocks(s, buf_span(&s->locators), false);
	start_reading(c, s);
}

/* True when its text is needed. */
static bool item_eval_meta(struct imap_client *c, struct search_state *s, struct search_item *item)
{
	struct search_message m = {.c = c, .record = &item->record};
	struct meta meta;
	struct err e;

	arena_reset(s->arena);
	if (item->meta.n == 0 || meta_parse(item->meta, s->arena, &meta, &e) < 0) {
		s->unavailable++;
		return false;
	}
	m.meta = &meta;
	switch (search_eval(&s->program, &m)) {
	case SEARCH_TRUE:
		hit(s, &item->record);
		return false;
	case SEARCH_FALSE:
		return false;
	case SEARCH_OPEN:
		break;
	}
	item->length = s->program.needs_text ? item->record.size : meta.header_len;
	return true;
}

static void on_metas(struct result *r, void *ctx)
{
	struct imap_client *c = ctx;
	struct search_state *s = c->cmd.state;
	size_t open = 0;

	if (r->code != ERR_NONE) {
		imap_cmd_fail_result(c, r);
		return;
	}
	buf_empty(&s->metas);
	buf_add_span(&s->metas, r->body);
	take_blocks(s, buf_span(&s->metas), true);
	for (size_t i = 0; i < s->n_items; i++) {
		s->items[i].open = item_eval_meta(c, s, &s->items[i]);
		open += s->items[i].open;
	}
	if (open == 0)
		batch_next(c);
	else
		(void)ask(c, s, "LOCATE", true, on_locators);
}

static void batch_next(struct imap_client *c)
{
	struct search_state *s = c->cmd.state;
	const struct mailbox_view *v = &c->mbox.view;

	s->n_items = 0;
	while (s->next_uid != 0 && s->n_items < BATCH) {
		struct search_item *item = &s->items[s->n_items];
		uint32_t uid = s->next_uid;

		memset(item, 0, sizeof(*item));
		if (view_get(v, view_seq(v, uid), &item->record))
			s->n_items++;
		s->next_uid = uid == UINT32_MAX ? 0 : uidset_next(&s->candidates, uid + 1);
	}
	if (s->n_items == 0)
		search_end(c, s);
	else
		(void)ask(c, s, "META", false, on_metas);
}

/* ---- beginning ---- */

static void bad_charset(struct imap_client *c)
{
	const char *const *names = charset_names();
	struct buf code;

	buf_init(&code);
	buf_add_str(&code, "BADCHARSET (");
	for (size_t i = 0; names[i] != NULL; i++) {
		if (i > 0)
			buf_add_c(&code, ' ');
		buf_add_str(&code, names[i]);
	}
	buf_add_c(&code, ')');
	imap_cmd_no(c, buf_str(&code), "Unknown character set");
	buf_clear(&code);
}

void cmd_search(struct imap_client *c)
{
	struct search_state *s = imap_cmd_state(c, sizeof(*s), search_free);

	s->fd = -1;
	switch (search_parse(c, &s->program)) {
	case -1:
		imap_cmd_bad_args(c);
		return;
	case -2:
		bad_charset(c);
		return;
	}
	if (s->program.uses_modseq)
		imap_enable_condstore(c);
	search_view(c, s);
	if (uidset_is_empty(&s->candidates)) {
		search_end(c, s);
		return;
	}
	c->cmd.heavy = true;
	s->arena = arena_new();
	s->next_uid = uidset_next(&s->candidates, 1);
	batch_next(c);
}
