#include "lib-storage/address.h"
#include "lib-storage/header.h"

/* Where the next word of an address belongs. */
enum place {
	IN_PHRASE, /* display name or bare local part: not known before '<', '@' or the end */
	IN_DOMAIN, /* of a bare address */
	IN_ROUTE,
	IN_ANGLE_LOCAL,
	IN_ANGLE_DOMAIN,
	AFTER_ANGLE,
};

struct address_parser {
	struct span s;
	struct arena *arena;
	struct buf *list;
	size_t max;
	enum place place;
	bool in_group;
	bool gap;	  /* blanks or a comment stood before the next word */
	bool some;	  /* there is something between the commas */
	size_t words;	  /* in the phrase */
	struct buf name;  /* the phrase with single blanks */
	struct buf local; /* the same without blanks, or what stands in the angle brackets */
	struct buf domain;
	struct buf route;
	struct buf comment;
};

static void entry_reset(struct address_parser *p)
{
	p->place = IN_PHRASE;
	p->gap = p->some = false;
	p->words = 0;
	buf_empty(&p->name);
	buf_empty(&p->local);
	buf_empty(&p->domain);
	buf_empty(&p->route);
	buf_empty(&p->comment);
}

static struct span keep(struct address_parser *p, const struct buf *b)
{
	return span_from(arena_dup(p->arena, buf_str(b), b->len), b->len);
}

static void list_add(struct address_parser *p, const struct address *a)
{
	if (p->list->len / sizeof(*a) < p->max)
		buf_add(p->list, a, sizeof(*a));
}

static bool list_full(const struct address_parser *p)
{
	return p->list->len / sizeof(struct address) >= p->max;
}

/* What was collected up to a comma, a semicolon or the end becomes an address. */
static void entry_end(struct address_parser *p)
{
	struct address a = {{NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0}};
	bool angle = p->place >= IN_ROUTE;
	bool words_only = p->place == IN_PHRASE && p->words > 1;

	if (p->some && !list_full(p)) {
		if (p->place == IN_ROUTE && p->route.len > 0) {
			/* <@host> is a mailbox without a local part, no route */
			buf_consume(&p->route, 1);
			buf_add(&p->domain, p->route.data, p->route.len);
			buf_empty(&p->route);
			p->place = IN_ANGLE_DOMAIN;
		}
		if ((angle || words_only) && p->name.len > 0)
			a.name = keep(p, &p->name);
		else if (p->comment.len > 0)
			a.name = keep(p, &p->comment);
		if (p->route.len > 0)
			a.route = keep(p, &p->route);
		/* An empty quoted local part is a local part. */
		if (!words_only && (p->local.len > 0 || p->words > 0))
			a.mailbox = keep(p, &p->local);
		else
			a.mailbox = SPAN(ADDRESS_NO_MAILBOX);
		a.host = p->domain.len > 0 ? keep(p, &p->domain) : SPAN(ADDRESS_NO_HOST);
		list_add(p, &a);
	}
	entry_reset(p);
}

static void group_start(struct address_parser *p)
{
	struct address a = {{NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0}};

	a.mailbox = keep(p, &p->name);
	list_add(p, &a);
	p->in_group = true;
	entry_reset(p);
}

static void group_end(struct address_parser *p)
{
	struct address a = {{NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0}};

	/* Also past the maximum: what was opened is closed. */
	if (p->in_group)
		buf_add(p->list, &a, sizeof(a));
	p->in_group = false;
}

/* Where words go now; the name gets a copy with blanks. */
static struct buf *word_place(struct address_parser *p)
{
	p->some = true;
	switch (p->place) {
	case IN_PHRASE:
		if (p->gap && p->words > 0)
			buf_add_c(&p->name, ' ');
		p->words += p->gap || p->words == 0;
		p->gap = false;
		return &p->local;
	case IN_ANGLE_LOCAL:
		p->words++;
		return &p->local;
	case IN_ROUTE:
		return &p->route;
	case IN_DOMAIN:
	case IN_ANGLE_DOMAIN:
		return &p->domain;
	case AFTER_ANGLE:
		break;
	}
	return NULL;
}

static void take_quoted(struct address_parser *p)
{
	struct buf *b = word_place(p);
	struct buf text;

	buf_init(&text);
	header_quoted(&p->s, &text);
	if (b != NULL)
		buf_add(b, text.data, text.len);
	if (p->place == IN_PHRASE)
		buf_add(&p->name, text.data, text.len);
	buf_clear(&text);
}

/* Letters, dots and whatever has no meaning of its own. */
static void take_atom(struct address_parser *p)
{
	struct buf *b = word_place(p);
	size_t n = 0;
	bool literal = p->s.p[0] == '[' && (p->place == IN_DOMAIN || p->place == IN_ANGLE_DOMAIN);

	while (n < p->s.n) {
		char c = p->s.p[n];

		if (literal ? c == ']' : (unsigned char)c <= ' ' || memchr("()<>@,;:\"", c, 9))
			break;
		n++;
	}
	if (literal && n < p->s.n)
		n++; /* the bracket */
	for (size_t i = 0; i < n; i++) {
		char c = p->s.p[i];

		if (c == '\\' && i + 1 < n)
			c = p->s.p[++i];
		if ((unsigned char)c <= ' ')
			continue;
		if (b != NULL)
			buf_add_c(b, c);
		if (p->place == IN_PHRASE)
			buf_add_c(&p->name, c);
	}
	p->s.p += n;
	p->s.n -= n;
}

static void take_at(struct address_parser *p)
{
	p->some = true;
	if (p->place == IN_PHRASE)
		p->place = IN_DOMAIN;
	else if (p->place == IN_ANGLE_LOCAL && p->local.len == 0 && p->words == 0 &&
		 p->route.len == 0)
		p->place = IN_ROUTE, buf_add_c(&p->route, '@');
	else if (p->place == IN_ANGLE_LOCAL)
		p->place = IN_ANGLE_DOMAIN;
	else if (p->place == IN_ROUTE)
		buf_add_c(&p->route, '@');
	else if (p->place != AFTER_ANGLE)
		buf_add_c(&p->domain, '@');
}

static void take_angle(struct address_parser *p)
{
	if (p->place == AFTER_ANGLE)
		entry_end(p); /* a comma is missing */
	p->some = true;
	if (p->place >= IN_ROUTE)
		return;
	if (p->place == IN_DOMAIN) {
		/* me@here <me@there>: the first is a name */
		buf_add_c(&p->name, '@');
		buf_add(&p->name, p->domain.data, p->domain.len);
	}
	buf_empty(&p->local);
	buf_empty(&p->domain);
	p->words = 0;
	p->place = IN_ANGLE_LOCAL;
}

static void take_colon(struct address_parser *p)
{
	if (p->place == IN_ROUTE)
		p->place = IN_ANGLE_LOCAL;
	else if (p->place == IN_PHRASE && !p->in_group && p->words > 0)
		group_start(p);
}

static void take_special(struct address_parser *p, char c)
{
	p->s.p++;
	p->s.n--;
	switch (c) {
	case '<':
		take_angle(p);
		break;
	case '>':
		if (p->place == IN_ROUTE && p->route.len > 0) {
			buf_consume(&p->route, 1);
			buf_add(&p->domain, p->route.data, p->route.len);
			buf_empty(&p->route);
		}
		if (p->place >= IN_ROUTE)
			p->place = AFTER_ANGLE;
		break;
	case '@':
		take_at(p);
		break;
	case ':':
		take_colon(p);
		break;
	case ',':
		if (p->place == IN_ROUTE)
			buf_add_c(&p->route, ',');
		else
			entry_end(p);
		break;
	case ';':
		entry_end(p);
		group_end(p);
		break;
	default: /* a ')' that closes nothing */
		break;
	}
}

static void parse_list(struct address_parser *p)
{
	while (p->s.n > 0 && !list_full(p)) {
		char c = p->s.p[0];

		if ((unsigned char)c <= ' ') {
			p->gap = true;
			p->s.p++, p->s.n--;
		} else if (c == '(') {
			p->gap = true;
			/* One behind the address is a name (RFC 822), one before it is not. */
			buf_empty(&p->comment);
			header_skip_comment(&p->s, p->some ? &p->comment : NULL);
		} else if (c == '"') {
			take_quoted(p);
		} else if (memchr(")<>@,;:", c, 7) != NULL) {
			take_special(p, c);
		} else {
			take_atom(p);
		}
	}
	entry_end(p);
	group_end(p);
}

void address_parse(struct span value, struct arena *arena, size_t max, struct buf *list)
{
	struct address_parser p = {.s = value, .arena = arena, .list = list, .max = max};

	buf_init(&p.name);
	buf_init(&p.local);
	buf_init(&p.domain);
	buf_init(&p.route);
	buf_init(&p.comment);
	entry_reset(&p);
	parse_list(&p);
	buf_clear(&p.name);
	buf_clear(&p.local);
	buf_clear(&p.domain);
	buf_clear(&p.route);
	buf_clear(&p.comment);
}
