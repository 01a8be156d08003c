#include "services/imap/fetch.h"

/* "header-list = "(" header-fld-name *(SP header-fld-name) ")" */
static bool parse_names(struct imap_client *c, struct fetch_section *s)
{
	struct imap_parser *p = &c->cmd.args;
	struct span *names;
	size_t n = 0, cap = 0;

	if (!imap_parse_space(p) || !imap_parse_char(p, '('))
		return false;
	names = NULL;
	do {
		if (n > 0 && !imap_parse_space(p))
			return false;
		if (n == cap) {
			struct span *more = arena_alloc(
				c->cmd.arena, (cap * 2 + 8) * sizeof(*more));

			if (n > 0)
				memcpy(more, names, n * sizeof(*more));
			names = more;
			cap = cap * 2 + 8;
		}
		if (!imap_parse_astring(p, &names[n]))
			return false;
		if (++n > FETCH_FIELDS_MAX) {
			p->error = "Too many header fields";
			return false;
		}
	} while (imap_parser_peek(p) == ' ');
	s->names = names;
	s->n_names = n;
	s->filter = true;
	return imap_parse_char(p, ')');
}

/* "1.2" of "1.2.MIME]": digits that a dot joins, and the dot behind them when words follow. */
static bool parse_numbers(struct imap_parser *p, struct fetch_section *s)
{
	const char *start = p->rest.p;
	uint32_t n;

	while (imap_parser_peek(p) >= '0' && imap_parser_peek(p) <= '9') {
		if (!imap_parse_nz_number(p, &n))
			return false;
		s->numbers = span_from(start, (size_t)(p->rest.p - start));
		if (imap_parser_peek(p) != '.')
			return true;
		(void)imap_parse_char(p, '.');
	}
	return true;
}

/* A word of section-text: letters and dots. */
static struct span take_section_word(struct imap_parser *p)
{
	size_t n = 0;

	while (n < p->rest.n && p->rest.p[n] != ']' && p->rest.p[n] != ' ')
		n++;
	p->rest.p += n;
	p->rest.n -= n;
	return span_from(p->rest.p - n, n);
}

/* Behind "BODY[" */
static bool parse_section(struct imap_client *c, struct fetch_section *s)
{
	struct imap_parser *p = &c->cmd.args;
	struct span word;

	if (!parse_numbers(p, s))
		return false;
	word = take_section_word(p);
	s->kind = META_SECTION_ALL;
	if (word.n == 0) {
		/* "1." lacks what the dot promises */
		if (p->rest.p[-1] == '.') {
			p->error = "Invalid section";
			return false;
		}
		s->whole = s->numbers.n == 0;
	} else if (s->numbers.n > 0 && s->numbers.p + s->numbers.n == word.p) {
		p->error = "Invalid section";
		return false;
	} else if (span_is_nocase(word, "HEADER")) {
		s->kind = META_SECTION_HEADER;
	} else if (span_is_nocase(word, "TEXT")) {
		s->kind = META_SECTION_TEXT;
	} else if (span_is_nocase(word, "MIME") && s->numbers.n > 0) {
		s->kind = META_SECTION_MIME;
	} else if (span_is_nocase(word, "HEADER.FIELDS") ||
		   span_is_nocase(word, "HEADER.FIELDS.NOT")) {
		s->kind = META_SECTION_HEADER;
		s->invert = span_is_nocase(word, "HEADER.FIELDS.NOT");
		if (!parse_names(c, s))
			return false;
	} else {
		p->error = "Unknown section";
		return false;
	}
	return imap_parse_char(p, ']');
}

static bool parse_partial(struct imap_parser *p, struct fetch_section *s)
{
	if (imap_parser_peek(p) != '<')
		return true;
	(void)imap_parse_char(p, '<');
	s->partial = true;
	if (!imap_parse_number64(p, &s->offset) || !imap_parse_char(p, '.') ||
		!imap_parse_number64(p, &s->count) || !imap_parse_char(p, '>'))
		return false;
	if (s->count == 0) {
		p->error = "Zero octets asked for";
		return false;
	}
	return true;
}

static struct fetch_section *new_section(struct imap_client *c, struct fetch_state *f)
{
	if (f->n_sections == FETCH_SECTIONS_MAX) {
		c->cmd.args.error = "Too many sections";
		return NULL;
	}
	return &f->sections[f->n_sections++];
}

/* The answer repeats the section as it was asked, the origin octet for the partial (7.4.2). */
static void make_label(struct imap_client *c, struct fetch_section *s, struct span section)
{
	struct buf label;

	buf_init(&label);
	buf_add_str(&label, "BODY");
	if (s->filter) {
		/* names as atoms or strings, not as literals that were asked */
		buf_add_c(&label, '[');
		buf_add_span(&label, s->numbers);
		buf_add_str(&label, s->numbers.n > 0 ? "." : "");
		buf_add_str(&label, s->invert ? "HEADER.FIELDS.NOT (" : "HEADER.FIELDS (");
		for (size_t i = 0; i < s->n_names; i++) {
			if (i > 0)
				buf_add_c(&label, ' ');
			imap_write_astring(&label, s->names[i]);
		}
		buf_add_str(&label, ")]");
	} else {
		buf_add_span(&label, section);
	}
	if (s->partial) {
		buf_add_c(&label, '<');
		imap_write_number(&label, s->offset);
		buf_add_c(&label, '>');
	}
	s->label = span_from(arena_dup(c->cmd.arena, label.data, label.len), label.len);
	buf_clear(&label);
}

static bool parse_body(struct imap_client *c, struct fetch_state *f, bool peek)
{
	struct imap_parser *p = &c->cmd.args;
	struct fetch_section *s = new_section(c, f);
	const char *start = p->rest.p;
	size_t n;

	if (s == NULL || !imap_parse_char(p, '[') || !parse_section(c, s))
		return false;
	n = (size_t)(p->rest.p - start);
	if (!parse_partial(p, s))
		return false;
	make_label(c, s, span_from(start, n));
	f->sets_seen |= !peek;
	return true;
}

static bool add_rfc822(struct imap_client *c, struct fetch_state *f, const char *label,
	enum meta_section kind, bool seen)
{
	struct fetch_section *s = new_section(c, f);

	if (s == NULL)
		return false;
	s->label = span_of(label);
	s->kind = kind;
	s->whole = kind == META_SECTION_ALL;
	f->sets_seen |= seen;
	return true;
}

/* The letters of an item's name: an atom's, but '[' ends it ("BODY[") and '.' belongs to it. */
static struct span take_item(struct imap_parser *p)
{
	size_t n = 0;

	while (n < p->rest.n && p->rest.p[n] > ' ' && strchr("[]()<>{\"\\%*", p->rest.p[n]) == NULL)
		n++;
	p->rest.p += n;
	p->rest.n -= n;
	return span_from(p->rest.p - n, n);
}

static bool parse_item(struct imap_client *c, struct fetch_state *f)
{
	static const struct {
		const char *name;
		unsigned item;
	} items[] = {
		{"FLAGS", FETCH_FLAGS},
		{"UID", FETCH_UID},
		{"INTERNALDATE", FETCH_INTERNALDATE},
		{"RFC822.SIZE", FETCH_SIZE},
		{"ENVELOPE", FETCH_ENVELOPE},
		{"BODYSTRUCTURE", FETCH_BODYSTRUCTURE},
		{"MODSEQ", FETCH_MODSEQ},
	};
	struct imap_parser *p = &c->cmd.args;
	struct span name = take_item(p);

	if (imap_parser_peek(p) == '[' &&
		(span_is_nocase(name, "BODY") || span_is_nocase(name, "BODY.PEEK")))
		return parse_body(c, f, name.n > 4);
	if (span_is_nocase(name, "BODY")) {
		f->items |= FETCH_BODY;
		return true;
	}
	if (span_is_nocase(name, "RFC822"))
		return add_rfc822(c, f, "RFC822", META_SECTION_ALL, true);
	if (span_is_nocase(name, "RFC822.HEADER"))
		return add_rfc822(c, f, "RFC822.HEADER", META_SECTION_HEADER, false);
	if (span_is_nocase(name, "RFC822.TEXT"))
		return add_rfc822(c, f, "RFC822.TEXT", META_SECTION_TEXT, true);
	for (size_t i = 0; i < array_count(items); i++) {
		if (span_is_nocase(name, items[i].name)) {
			f->items |= items[i].item;
			return true;
		}
	}
	p->error = "Unknown FETCH item";
	return false;
}

static bool parse_items(struct imap_client *c, struct fetch_state *f)
{
	struct imap_parser *p = &c->cmd.args;

	if (imap_parse_word(p, "ALL")) {
		f->items |= FETCH_FLAGS | FETCH_INTERNALDATE | FETCH_SIZE | FETCH_ENVELOPE;
		return true;
	}
	if (imap_parse_word(p, "FAST")) {
		f->items |= FETCH_FLAGS | FETCH_INTERNALDATE | FETCH_SIZE;
		return true;
	}
	if (imap_parse_word(p, "FULL")) {
		f->items |= FETCH_FLAGS | FETCH_INTERNALDATE | FETCH_SIZE | FETCH_ENVELOPE |
			    FETCH_BODY;
		return true;
	}
	if (imap_parser_peek(p) != '(')
		return parse_item(c, f);
	(void)imap_parse_char(p, '(');
	for (bool first = true; first || imap_parser_peek(p) != ')'; first = false) {
		if ((!first && !imap_parse_space(p)) || !parse_item(c, f))
			return false;
	}
	return imap_parse_char(p, ')');
}

static bool parse_modifiers(struct imap_client *c, struct fetch_state *f)
{
	struct imap_parser *p = &c->cmd.args;

	if (imap_parser_at_end(p))
		return true;
	if (!imap_parse_space(p) || !imap_parse_char(p, '('))
		return false;
	if (!imap_parse_word(p, "CHANGEDSINCE")) {
		p->error = "Unknown FETCH modifier";
		return false;
	}
	if (!imap_parse_space(p) || !imap_parse_number64(p, &f->changed_since))
		return false;
	/* it is implied (RFC 7162 3.1.4.1) */
	f->items |= FETCH_MODSEQ;
	return imap_parse_char(p, ')') && imap_parse_end(p);
}

bool fetch_parse(struct imap_client *c, struct fetch_state *f)
{
	if (!imap_parse_space(&c->cmd.args) || !parse_items(c, f) || !parse_modifiers(c, f))
		return false;
	if (c->cmd.uid)
		f->items |= FETCH_UID;
	f->needs_meta = (f->items & FETCH_META) != 0;
	for (size_t i = 0; i < f->n_sections; i++) {
		f->needs_meta |= !f->sections[i].whole;
		/* what HEADER.FIELDS asks mostly lies in the metadata; that is seen later */
		f->needs_body = true;
	}
	return true;
}
