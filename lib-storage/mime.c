#include "lib-storage/mime-internal.h"

#include <sys/auxv.h>

/*
 * The pass goes line by line. Of most lines only the first octet is looked at: a line of a body can
 * only matter when it starts with "--" and a multipart is open. What has to be judged is collected
 * in `line`; as soon as it is full or ends, line_judge() says what it means, and the rest of a
 * longer line follows as the continuation of that.
 */
#define BOUNDARY_MAX 512 /* octets of a boundary that are compared */
#define LINE_MAX 1024	 /* enough for "--", a boundary and "--", and for any name of a field */
#define BUCKETS 256

enum state {
	STATE_HEADER,
	STATE_BODY, /* of a leaf, or the preamble or epilogue of a multipart */
};

enum line_mode {
	LINE_START,  /* nothing of the line was seen */
	LINE_KEPT,   /* it is being collected */
	LINE_FIELD,  /* the rest of a line of a wanted field */
	LINE_SKIPPED /* the rest does not matter */
};

struct boundary {
	uint32_t part; /* the multipart */
	uint32_t len;
	uint64_t hash;
	uint32_t last_part; /* of the multipart so far, or MIME_NONE */
	char *text;
	struct boundary *outer; /* the next one of the same bucket, opened before */
};

struct mime_parser {
	struct mime_limits limits;
	struct mime_message message;
	struct arena *arena;
	struct buf parts;   /* struct mime_part */
	struct buf fields;  /* the wanted fields of the header that is being read */
	size_t field_start; /* of the last one in it */
	size_t header_left;
	struct buf root_fields;
	struct mime_budget budget;
	uint32_t current; /* the part that the octets belong to */
	enum state state;
	bool closed; /* no delimiter counts any more */
	bool field_kept;

	struct boundary *stack; /* of limits.depth */
	uint32_t nstack;
	uint32_t by_length[BOUNDARY_MAX + 1]; /* open boundaries of each length */
	uint32_t longest;
	struct boundary *buckets[BUCKETS];
	uint64_t seed;

	enum line_mode mode;
	char line[LINE_MAX];
	size_t line_len;	 /* kept of it */
	bool header_done;	 /* it is the empty line behind a header */
	struct boundary *opened; /* it is a delimiter that opens a part */
	uint64_t offset;	 /* octets taken in */
	uint64_t line_start;	 /* its offset */
	uint64_t lines;		 /* LFs so far */
	uint64_t crs, crlfs;
	unsigned last_eol; /* length of the line end before line_start */
	char last;	   /* the last octet, of the piece before */
};

static const struct mime_limits defaults = {
	.header_bytes = 256 * 1024,
	.root_fields = 16 * 1024,
	.depth = 100,
	.parts = 10000,
	.addresses = 10000,
	.params = 20000,
};

static struct mime_part *part_at(const struct mime_parser *p, uint32_t i)
{
	return &((struct mime_part *)p->parts.data)[i];
}

/* A new part whose header starts at `offset`. */
static void part_add(struct mime_parser *p, uint32_t parent, uint64_t offset)
{
	struct mime_part part = {.parent = parent, .next = MIME_NONE, .child = MIME_NONE};

	part.header_off = offset;
	part.header_lines = p->lines; /* where it starts; the difference is made at its end */
	part.depth = parent == MIME_NONE ? 0 : part_at(p, parent)->depth + 1;
	buf_add(&p->parts, &part, sizeof(part));
	p->current = p->message.nparts++;
	p->state = STATE_HEADER;
	p->field_kept = false;
	buf_empty(&p->fields);
	p->field_start = 0;
	if (p->message.nparts >= p->limits.parts)
		p->closed = true;
}

struct mime_parser *mime_parser_new(const struct mime_limits *limits)
{
	struct mime_parser *p = mem_alloc(sizeof(*p));
	struct mime_limits l = limits == NULL ? defaults : *limits;

	l.header_bytes = l.header_bytes == 0 ? defaults.header_bytes : l.header_bytes;
	l.root_fields = l.root_fields == 0 ? defaults.root_fields : l.root_fields;
	l.depth = l.depth == 0 ? defaults.depth : l.depth;
	l.parts = l.parts == 0 ? defaults.parts : l.parts;
	l.addresses = l.addresses == 0 ? defaults.addresses : l.addresses;
	l.params = l.params == 0 ? defaults.params : l.params;
	p->limits = l;
	p->header_left = l.header_bytes;
	p->budget.addresses = l.addresses;
	p->budget.params = l.params;
	p->arena = arena_new();
	/* A sender must not be able to choose boundaries that share a bucket. */
	memcpy(&p->seed, (const void *)getauxval(AT_RANDOM), sizeof(p->seed));
	buf_init(&p->parts);
	buf_init(&p->fields);
	buf_init(&p->root_fields);
	p->message.root_fields_whole = true;
	part_add(p, MIME_NONE, 0);
	return p;
}

void mime_parser_free(struct mime_parser *p)
{
	if (p == NULL)
		return;
	buf_clear(&p->parts);
	buf_clear(&p->fields);
	buf_clear(&p->root_fields);
	mem_free(p->stack);
	arena_free(p->arena);
	mem_free(p);
}

/* Boundaries */

static uint64_t hash_add(uint64_t h, char c)
{
	h = (h ^ (unsigned char)c) * 0x100000001b3u;
	return h ^ (h >> 29);
}

static void boundary_push(struct mime_parser *p, uint32_t part, struct span text)
{
	struct boundary *b;

	if (p->stack == NULL)
		p->stack = mem_alloc_array((size_t)p->limits.depth + 1, sizeof(*p->stack));
	b = &p->stack[p->nstack++];
	b->part = part;
	b->last_part = MIME_NONE;
	b->len = text.n > BOUNDARY_MAX ? BOUNDARY_MAX : (uint32_t)text.n;
	b->text = arena_dup(p->arena, text.p, b->len);
	b->hash = p->seed;
	for (uint32_t i = 0; i < b->len; i++)
		b->hash = hash_add(b->hash, b->text[i]);
	b->outer = p->buckets[b->hash % BUCKETS];
	p->buckets[b->hash % BUCKETS] = b;
	p->by_length[b->len]++;
	if (b->len > p->longest)
		p->longest = b->len;
}

/* Boundaries are closed in the opposite order, so each is the first of its bucket. */
static void boundary_pop(struct mime_parser *p)
{
	struct boundary *b = &p->stack[--p->nstack];

	p->buckets[b->hash % BUCKETS] = b->outer;
	p->by_length[b->len]--;
	while (p->longest > 0 && p->by_length[p->longest] == 0)
		p->longest--;
}

/* The longest open boundary that the kept line starts with, the innermost of equals; NULL: none. */
static struct boundary *boundary_find(struct mime_parser *p)
{
	struct boundary *best = NULL;
	const char *text = p->line + 2;
	uint64_t hash = p->seed;

	if (p->nstack == 0 || p->closed || p->line_len < 3 || memcmp(p->line, "--", 2) != 0)
		return NULL;
	for (uint32_t n = 1; n <= p->longest && n <= p->line_len - 2; n++) {
		hash = hash_add(hash, text[n - 1]);
		p->message.steps++;
		if (p->by_length[n] == 0)
			continue;
		for (struct boundary *b = p->buckets[hash % BUCKETS]; b != NULL; b = b->outer) {
			p->message.steps++;
			if (b->hash == hash && b->len == n && memcmp(b->text, text, n) == 0) {
				best = b;
				break;
			}
		}
	}
	return best;
}

/* The ends of headers and bodies */

/* Says what the part is, and where the octets behind its header belong. */
static void part_settle(struct mime_parser *p, uint32_t index)
{
	struct mime_part *part = part_at(p, index);
	const struct mime_param *boundary;
	bool multipart = span_is_nocase(part->type, "multipart");
	bool message = span_is_nocase(part->type, "message") &&
		       (span_is_nocase(part->subtype, "rfc822") ||
			       span_is_nocase(part->subtype, "global"));

	p->state = STATE_BODY;
	if (!multipart && !message && !p->closed)
		return;
	boundary = multipart ? mime_param_find(&part->params, "boundary") : NULL;
	if (part->depth + 1 >= p->limits.depth || p->closed) {
		p->message.parts_cut = true;
		part->type = SPAN("application");
		part->subtype = SPAN("octet-stream");
		part->params.n = 0;
	} else if (message) {
		part->kind = MIME_MESSAGE;
		part->child = p->message.nparts;
		part_add(p, index, part->body_off);
	} else if (boundary != NULL && boundary->value.n > 0) {
		part->kind = MIME_MULTIPART;
		boundary_push(p, index, boundary->value);
	} else {
		part->type = SPAN("text");
		part->subtype = SPAN("plain");
		part->params.n = 0;
	}
}

static void root_fields_keep(struct mime_parser *p)
{
	struct span rest = buf_span(&p->fields);
	struct header_field f;

	while (header_next(&rest, &f)) {
		if (p->root_fields.len + f.raw.n > p->limits.root_fields)
			p->message.root_fields_whole = false;
		else
			buf_add_span(&p->root_fields, f.raw);
	}
}

static enum mime_role part_role(const struct mime_parser *p, const struct mime_part *part)
{
	if (part->parent == MIME_NONE)
		return MIME_ROLE_ROOT;
	return part_at(p, part->parent)->kind == MIME_MESSAGE ? MIME_ROLE_MESSAGE : MIME_ROLE_PART;
}

/* The header of the current part ended; its body starts at `offset`. */
static void header_end(struct mime_parser *p, uint64_t offset)
{
	uint32_t index = p->current;
	struct mime_part *part = part_at(p, index);
	enum mime_role role = part_role(p, part);
	bool digest = false;

	if (role == MIME_ROLE_ROOT)
		root_fields_keep(p);
	if (role == MIME_ROLE_PART)
		digest = span_is_nocase(part_at(p, part->parent)->subtype, "digest");
	part->header_len = offset - part->header_off;
	part->header_lines = p->lines - part->header_lines;
	part->body_off = offset;
	part->body_lines = p->lines;
	mime_fields_parse(buf_span(&p->fields), role, digest, &p->budget, p->arena, part);
	part_settle(p, index);
}

/* Ends all parts from the current one up to, but without, `owner`: their bodies end at `offset`. */
static void parts_end(struct mime_parser *p, uint32_t owner, uint64_t offset, uint64_t lines)
{
	while (p->current != owner) {
		struct mime_part *part;

		p->message.steps++;
		if (p->state == STATE_HEADER) {
			/* No empty line: the header ends where the part does. The message in a
			 * message comes to its turn then, with an empty header. */
			header_end(p, p->line_start);
			continue;
		}
		part = part_at(p, p->current);
		if (offset < part->body_off) {
			/* The line end before the delimiter is the empty line of the header,
			 * which all that the part lies in have, too. */
			offset = part->body_off;
			lines = part->body_lines;
		}
		part->body_len = offset - part->body_off;
		part->body_lines = lines - part->body_lines;
		p->current = part->parent;
	}
	p->state = STATE_BODY;
}

/* The line end before a delimiter belongs to it (RFC 2046 5.1.1). */
static void delimiter(struct mime_parser *p, struct boundary *b)
{
	uint32_t level = (uint32_t)(b - p->stack);
	size_t end = 2 + b->len;
	bool last = p->line_len >= end + 2 && memcmp(p->line + end, "--", 2) == 0;

	parts_end(p, b->part, p->line_start - p->last_eol, p->lines - (p->last_eol > 0 ? 1 : 0));
	while (p->nstack > level + 1)
		boundary_pop(p);
	if (last)
		boundary_pop(p);
	else
		p->opened = b; /* the part starts on the next line */
}

static void sibling_add(struct mime_parser *p, struct boundary *b)
{
	uint32_t added = p->message.nparts;

	if (b->last_part == MIME_NONE)
		part_at(p, b->part)->child = added;
	else
		part_at(p, b->last_part)->next = added;
	b->last_part = added;
	part_add(p, b->part, p->offset);
}

/* Lines */

static void field_add(struct mime_parser *p, const char *data, size_t n)
{
	/* The root header may not take what the parts need to be told apart. */
	size_t reserve = p->current == 0 ? p->limits.header_bytes / 4 : 0;

	if (n + reserve <= p->header_left) {
		buf_add(&p->fields, data, n);
		p->header_left -= n;
		return;
	}
	p->header_left += p->fields.len - p->field_start;
	buf_truncate(&p->fields, p->field_start);
	p->field_kept = false;
	p->message.header_cut = true;
	if (p->current == 0)
		p->message.root_fields_whole = false;
}

static bool field_wanted(const struct mime_parser *p)
{
	size_t n = p->line_len < HEADER_NAME_MAX ? p->line_len : HEADER_NAME_MAX;
	const char *colon = memchr(p->line, ':', n);
	struct span name;

	if (colon == NULL)
		return false;
	name = span_trim(span_from(p->line, (size_t)(colon - p->line)));
	return mime_field_wanted(name, part_role(p, part_at(p, p->current)));
}

static void header_line(struct mime_parser *p)
{
	char first = p->line[0];

	if (first == '\n' || (p->line_len == 2 && memcmp(p->line, "\r\n", 2) == 0)) {
		p->header_done = true;
		return;
	}
	if (first != ' ' && first != '\t') {
		p->field_start = p->fields.len;
		p->field_kept = field_wanted(p);
	}
	if (p->field_kept)
		field_add(p, p->line, p->line_len);
	if (p->field_kept)
		p->mode = LINE_FIELD;
}

/* All of the line was kept, or so much that it can be judged. */
static void line_judge(struct mime_parser *p)
{
	struct boundary *b = boundary_find(p);

	p->mode = LINE_SKIPPED;
	if (b != NULL)
		delimiter(p, b);
	else if (p->state == STATE_HEADER)
		header_line(p);
}

static void line_begin(struct mime_parser *p, char first)
{
	p->line_len = 0;
	if (p->state == STATE_HEADER || (first == '-' && p->nstack > 0 && !p->closed))
		p->mode = LINE_KEPT;
	else
		p->mode = LINE_SKIPPED;
}

/* p->offset is behind the line, whose end has `eol` octets (0 at the end of the message). */
static void line_end(struct mime_parser *p, unsigned eol)
{
	p->message.steps++;
	if (p->mode == LINE_KEPT)
		line_judge(p);
	if (eol > 0)
		p->lines++;
	p->line_start = p->offset;
	p->last_eol = eol;
	p->mode = LINE_START;
	if (p->header_done) {
		p->header_done = false;
		header_end(p, p->offset);
	}
	if (p->opened != NULL && eol > 0) {
		/* At the very end of a message there is no part behind a delimiter. */
		struct boundary *b = p->opened;

		p->opened = NULL;
		sibling_add(p, b);
	}
}

static void line_take(struct mime_parser *p, const char *data, size_t n)
{
	size_t kept = 0;

	if (p->mode == LINE_KEPT) {
		kept = n < LINE_MAX - p->line_len ? n : LINE_MAX - p->line_len;
		memcpy(p->line + p->line_len, data, kept);
		p->line_len += kept;
		p->message.steps += kept;
		if (p->line_len == LINE_MAX && p->line[LINE_MAX - 1] != '\n')
			line_judge(p);
	}
	if (p->mode == LINE_FIELD && n > kept) {
		field_add(p, data + kept, n - kept);
		if (!p->field_kept)
			p->mode = LINE_SKIPPED;
	}
}

/* What octets there are at all, eight at a time. */
static void octets_note(struct mime_parser *p, const char *data, size_t n)
{
	const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
	uint64_t all = 0;
	size_t i = 0;

	for (; i + 8 <= n; i += 8) {
		uint64_t v, crs;

		memcpy(&v, data + i, 8);
		all |= v;
		if (((v - ones) & ~v & highs) != 0)
			p->message.has_nul = true;
		crs = v ^ (ones * '\r');
		if (((crs - ones) & ~crs & highs) != 0) {
			for (size_t j = i; j < i + 8; j++)
				p->crs += data[j] == '\r';
		}
	}
	for (; i < n; i++) {
		all |= (unsigned char)data[i];
		p->crs += data[i] == '\r';
		if (data[i] == '\0')
			p->message.has_nul = true;
	}
	if ((all & highs) != 0)
		p->message.has_8bit = true;
}

void mime_parser_feed(struct mime_parser *p, const void *octets, size_t n)
{
	const char *data = octets;

	octets_note(p, data, n);
	while (n > 0) {
		const char *lf = memchr(data, '\n', n);
		size_t take = lf == NULL ? n : (size_t)(lf - data) + 1;
		char before = p->last;

		if (p->mode == LINE_START)
			line_begin(p, data[0]);
		line_take(p, data, take);
		if (take > 1)
			before = data[take - 2];
		p->last = data[take - 1];
		p->offset += take;
		if (lf != NULL) {
			bool crlf = before == '\r';

			p->crlfs += crlf;
			line_end(p, crlf ? 2 : 1);
		}
		data += take;
		n -= take;
	}
}

const struct mime_message *mime_parser_finish(struct mime_parser *p)
{
	struct mime_message *m = &p->message;

	if (p->mode != LINE_START)
		line_end(p, 0);
	p->line_start = p->offset;
	parts_end(p, MIME_NONE, p->offset, p->lines);
	m->parts = (struct mime_part *)p->parts.data;
	m->size = p->offset;
	m->lines = p->lines;
	m->has_bare_cr = p->crs > p->crlfs;
	m->has_bare_lf = p->lines > p->crlfs;
	m->root_fields = span_from(buf_str(&p->root_fields), p->root_fields.len);
	return m;
}
