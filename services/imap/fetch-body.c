#include "services/imap/fetch.h"

#include "lib-storage/header.h"

void fetch_write_item(struct imap_client *c, struct fetch_state *f)
{
	if (f->open) {
		buf_add_c(&c->out, ' ');
		return;
	}
	f->open = true;
	buf_add(&c->out, "* ", 2);
	imap_write_number(&c->out, f->now->msgs[f->msg].seq);
	buf_add_str(&c->out, " FETCH (");
}

/* Cuts a range to what "<o.n>" asks for. */
static void cut_partial(const struct fetch_section *s, uint64_t *offset, uint64_t *length)
{
	uint64_t skip;

	if (!s->partial)
		return;
	skip = s->offset < *length ? s->offset : *length;
	*offset += skip;
	*length -= skip;
	if (*length > s->count)
		*length = s->count;
}

static void plan_section(struct fetch_state *f, const struct fetch_msg *m,
	const struct fetch_section *s, bool meta_ok, const struct meta *meta,
	struct fetch_plan *plan)
{
	memset(plan, 0, sizeof(*plan));
	if (s->whole) {
		plan->length = m->record.size;
	} else if (!meta_ok) {
		plan->how = PLAN_FAILED;
		return;
	} else if (s->filter && s->numbers.n == 0 && !s->invert &&
		   meta_covers(meta, s->names, s->n_names)) {
		plan->how = PLAN_FIELDS;
		return;
	} else if (!meta_section(meta, s->numbers, s->kind, &plan->offset, &plan->length)) {
		plan->how = PLAN_NIL;
		return;
	}
	plan->how = s->filter ? PLAN_FILTER : PLAN_READ;
	if (s->filter && plan->length > FETCH_HEADER_MAX)
		plan->how = PLAN_FAILED;
	if (!s->filter)
		cut_partial(s, &plan->offset, &plan->length);
	if (plan->length == 0)
		plan->how = s->filter ? PLAN_FIELDS : PLAN_EMPTY;
	(void)f;
}

void fetch_plan_batch(struct imap_client *c, struct fetch_state *f)
{
	struct fetch_batch *b = f->now;
	struct arena *arena = arena_new();
	size_t ranges = 0;

	f->plans = mem_realloc_array(f->plans, b->n * f->n_sections + 1, sizeof(*f->plans));
	for (size_t i = 0; i < b->n; i++) {
		struct meta meta;
		struct err e;
		bool ok = f->needs_meta && b->msgs[i].meta.n > 0 &&
			  meta_parse(b->msgs[i].meta, arena, &meta, &e) == 0;

		for (size_t k = 0; k < f->n_sections; k++) {
			struct fetch_plan *plan = &f->plans[i * f->n_sections + k];

			plan_section(f, &b->msgs[i], &f->sections[k], ok, &meta, plan);
			if (plan->how != PLAN_READ && plan->how != PLAN_FILTER)
				continue;
			if (b->msgs[i].locator.n == 0 && b->locators.len > 0) {
				plan->how = PLAN_FAILED;
				continue;
			}
			plan->range = ranges++;
		}
		arena_reset(arena);
	}
	arena_free(arena);
	(void)c;
}

static void write_fields(struct imap_client *c, struct fetch_state *f,
	const struct fetch_section *s, struct span header)
{
	uint64_t offset = 0, length;
	struct buf text;

	buf_init(&text);
	header_filter(header, s->names, s->n_names, s->invert, &text);
	length = text.len;
	cut_partial(s, &offset, &length);
	fetch_write_item(c, f);
	buf_add_span(&c->out, s->label);
	buf_add_c(&c->out, ' ');
	imap_write_literal_head(&c->out, length);
	if (length > 0)
		buf_add(&c->out, text.data + offset, (size_t)length);
	buf_clear(&text);
}

static void write_text(struct imap_client *c, struct fetch_state *f, const struct fetch_section *s,
	const char *text)
{
	fetch_write_item(c, f);
	buf_add_span(&c->out, s->label);
	buf_add_c(&c->out, ' ');
	buf_add_str(&c->out, text);
}

/* One piece of a section that is read. 1: the section is done, 2: more of it, 0: wait, -1:
 * hopeless. */
static int write_piece(struct imap_client *c, struct fetch_state *f, const struct fetch_section *s,
	const struct fetch_plan *plan)
{
	struct body_piece piece;

	if (body_reader_next(f->reader, &piece) != 1)
		return 0;
	if (piece.status != BODY_OK) {
		if (f->in_literal)
			return -1; /* its size is announced already */
		/* never empty, never NIL: the item is left out and the command says NO */
		if (piece.offset == 0) {
			f->unavailable++;
			log_warning("imap-body-unavailable", "uid",
				LOG_UINT(f->now->msgs[f->msg].record.uid), "status",
				LOG_INT(piece.status), NULL);
		}
		f->filter.failed = true;
		return piece.last ? 1 : 2;
	}
	if (plan->how == PLAN_FILTER) {
		buf_add_span(&f->filter, piece.octets);
		if (piece.last && !f->filter.failed)
			write_fields(c, f, s, buf_span(&f->filter));
		return piece.last ? 1 : 2;
	}
	if (f->filter.failed)
		return piece.last ? 1 : 2;
	if (piece.offset == 0) {
		fetch_write_item(c, f);
		buf_add_span(&c->out, s->label);
		buf_add_c(&c->out, ' ');
		imap_write_literal_head(&c->out, plan->length);
		f->in_literal = true;
	}
	buf_add_span(&c->out, piece.octets);
	if (piece.last)
		f->in_literal = false;
	return piece.last ? 1 : 2;
}

static int write_section(struct imap_client *c, struct fetch_state *f)
{
	const struct fetch_section *s = &f->sections[f->section];
	const struct fetch_plan *plan = &f->plans[f->msg * f->n_sections + f->section];
	int r;

	switch (plan->how) {
	case PLAN_NIL:
		write_text(c, f, s, "NIL");
		return 1;
	case PLAN_EMPTY:
		write_text(c, f, s, "\"\"");
		return 1;
	case PLAN_FIELDS:
		write_fields(c, f, s, f->meta_ok ? f->meta.fields : span_from("", 0));
		return 1;
	case PLAN_FAILED:
		f->unavailable++;
		return 1;
	case PLAN_READ:
	case PLAN_FILTER:
		break;
	}
	do {
		if (imap_output_full(c))
			return 0;
		r = write_piece(c, f, s, plan);
	} while (r == 2);
	if (r == 1)
		buf_clear(&f->filter);
	return r;
}

int fetch_write_sections(struct imap_client *c, struct fetch_state *f)
{
	int r;

	for (; f->section < f->n_sections; f->section++) {
		r = write_section(c, f);
		if (r != 1)
			return r;
	}
	return 1;
}
