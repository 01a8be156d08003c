#include "lib-storage/meta-wire.h"
#include "lib-storage/imap-write.h"

#include <inttypes.h>

static void add_addresses(struct buf *out, const struct mime_addresses *a)
{
	if (a->n == 0) {
		buf_add_str(out, "NIL");
		return;
	}
	buf_add_c(out, '(');
	for (size_t i = 0; i < a->n; i++) {
		buf_add_c(out, '(');
		imap_write_nstring(out, a->list[i].name);
		buf_add_c(out, ' ');
		imap_write_nstring(out, a->list[i].route);
		buf_add_c(out, ' ');
		imap_write_nstring(out, a->list[i].mailbox);
		buf_add_c(out, ' ');
		imap_write_nstring(out, a->list[i].host);
		buf_add_c(out, ')');
	}
	buf_add_c(out, ')');
}

void wire_add_envelope(struct buf *out, const struct mime_envelope *e)
{
	static const struct mime_envelope nothing;

	if (e == NULL)
		e = &nothing;
	buf_add_c(out, '(');
	imap_write_nstring(out, e->date);
	buf_add_c(out, ' ');
	imap_write_nstring(out, e->subject);
	for (size_t i = 0; i < MIME_ADDRESS_FIELDS; i++) {
		const struct mime_addresses *a = &e->addresses[i];

		/* RFC 3501 7.4.2: without Sender or Reply-To, From stands there. */
		if (a->n == 0 && (i == MIME_SENDER || i == MIME_REPLY_TO))
			a = &e->addresses[MIME_FROM];
		buf_add_c(out, ' ');
		add_addresses(out, a);
	}
	buf_add_c(out, ' ');
	imap_write_nstring(out, e->in_reply_to);
	buf_add_c(out, ' ');
	imap_write_nstring(out, e->message_id);
	buf_add_c(out, ')');
}

struct structure {
	struct buf *out, *runs;
	const struct mime_message *message;
	size_t base; /* where the structure starts in out */
	bool reduced;
};

static void add_param(struct buf *out, struct span name, struct span value, size_t *count)
{
	buf_add_c(out, (*count)++ == 0 ? '(' : ' ');
	imap_write_nstring(out, name);
	buf_add_c(out, ' ');
	imap_write_nstring(out, value);
}

static void add_params(struct structure *w, const struct mime_params *params, bool text)
{
	size_t count = 0;
	bool charset = false;

	for (size_t i = 0; i < params->n; i++) {
		const struct mime_param *p = &params->list[i];
		bool is_charset = span_is_nocase(p->name, "charset");

		if (w->reduced && (!is_charset || charset || p->value.n > 40))
			continue;
		charset |= is_charset;
		add_param(w->out, p->name, p->value, &count);
	}
	if (text && !charset) /* RFC 2045 5.2 */
		add_param(w->out, SPAN("charset"), SPAN("us-ascii"), &count);
	buf_add_str(w->out, count == 0 ? "NIL" : ")");
}

static void run_end(struct structure *w, size_t start)
{
	struct wire_run run = {(uint32_t)(start - w->base), (uint32_t)(w->out->len - start)};

	buf_add(w->runs, &run, sizeof(run));
}

/* body-fld-dsp SP body-fld-lang SP body-fld-loc, and what the grammar has before them. */
static void add_extension_tail(struct structure *w, const struct mime_part *part)
{
	struct buf *out = w->out;

	if (part->disposition.p == NULL) {
		buf_add_str(out, " NIL ");
	} else {
		buf_add_str(out, " (");
		imap_write_nstring(out, part->disposition);
		buf_add_c(out, ' ');
		add_params(w, &part->disposition_params, false);
		buf_add_str(out, ") ");
	}
	for (size_t i = 0; i < part->nlanguages; i++) {
		buf_add_c(out, i == 0 ? '(' : ' ');
		imap_write_nstring(out, part->languages[i]);
	}
	buf_add_str(out, part->nlanguages == 0 ? "NIL " : ") ");
	imap_write_nstring(out, part->location);
}

/* "type" "subtype" (params) id description "encoding" size: the common start of all but multiparts.
 */
static void add_fields(struct structure *w, const struct mime_part *part)
{
	static const struct span nil;
	struct buf *out = w->out;

	buf_add_c(out, '(');
	imap_write_nstring(out, part->type);
	buf_add_c(out, ' ');
	imap_write_nstring(out, part->subtype);
	buf_add_c(out, ' ');
	add_params(w, &part->params, span_is_nocase(part->type, "text"));
	buf_add_c(out, ' ');
	imap_write_nstring(out, w->reduced ? nil : part->id);
	buf_add_c(out, ' ');
	imap_write_nstring(out, w->reduced ? nil : part->description);
	buf_add_c(out, ' ');
	imap_write_nstring(out, part->encoding_text.p == NULL ? SPAN("7bit") : part->encoding_text);
	buf_printf(out, " %" PRIu64, part->body_len);
}

/* A multipart has at least one part in the grammar; for one that has none an empty text stands
 * there. */
static void add_empty_part(struct structure *w)
{
	size_t start;

	buf_add_str(w->out, "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0");
	start = w->out->len;
	if (!w->reduced) {
		buf_add_str(w->out, " NIL NIL NIL NIL");
		run_end(w, start);
	}
	buf_add_c(w->out, ')');
}

static void part_open(struct structure *w, const struct mime_part *part)
{
	if (part->kind == MIME_MULTIPART) {
		buf_add_c(w->out, '(');
		if (part->child == MIME_NONE)
			add_empty_part(w);
		return;
	}
	add_fields(w, part);
	if (part->kind == MIME_MESSAGE) {
		buf_add_c(w->out, ' ');
		wire_add_envelope(
			w->out, w->reduced ? NULL : w->message->parts[part->child].envelope);
		buf_add_c(w->out, ' ');
	} else if (span_is_nocase(part->type, "text")) {
		buf_printf(w->out, " %" PRIu64, part->body_lines);
	}
}

static void part_close(struct structure *w, const struct mime_part *part)
{
	size_t start;

	if (part->kind == MIME_MULTIPART) {
		buf_add_c(w->out, ' ');
		imap_write_nstring(w->out, part->subtype);
	} else if (part->kind == MIME_MESSAGE) {
		buf_printf(w->out, " %" PRIu64, part->body_lines);
	}
	start = w->out->len;
	if (!w->reduced) {
		buf_add_c(w->out, ' ');
		if (part->kind == MIME_MULTIPART)
			add_params(w, &part->params, false);
		else
			imap_write_nstring(w->out, part->md5);
		add_extension_tail(w, part);
		run_end(w, start);
	}
	buf_add_c(w->out, ')');
}

void wire_add_structure(
	struct buf *out, struct buf *runs, const struct mime_message *message, bool reduced)
{
	struct structure w = {out, runs, message, out->len, reduced};
	const struct mime_part *parts = message->parts;
	uint32_t i = 0;

	for (;;) {
		part_open(&w, &parts[i]);
		if (parts[i].child != MIME_NONE) {
			i = parts[i].child;
			continue;
		}
		part_close(&w, &parts[i]);
		while (parts[i].next == MIME_NONE) {
			i = parts[i].parent;
			if (i == MIME_NONE)
				return;
			part_close(&w, &parts[i]);
		}
		i = parts[i].next;
	}
}
