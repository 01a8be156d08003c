#include "lib-storage/meta.h"
#include "lib-storage/meta-pack.h"
#include "lib-storage/meta-wire.h"

/*
 * Version 1, unpacked:
 *	u8 version, u8 flags
 *	varint size, lines
 *	with META_DATE: u64 seconds (two's complement), u32 zone + 1440, u32 days + 2^31
 *	varint number of parts, then for each, in preorder:
 *		u8 what: kind (2 bits), encoding (3 bits), text, html, charset given
 *		varint depth
 *		varint header offset less that of the part before
 *		varint header length, body length
 *		block charset, if given
 *	block envelope
 *	block structure
 *	varint number of runs, then for each: varint distance from the end of the run before, length
 *	block fields
 */
#define VERSION 1
#define DEPTH_MAX 1000

enum detail { DETAIL_FULL, DETAIL_REDUCED, DETAIL_ONE_PART, DETAIL_NO_ENVELOPE };

static unsigned message_flags(const struct mime_message *m, enum detail detail)
{
	unsigned flags = 0;

	flags |= m->has_nul ? META_NUL : 0;
	flags |= m->has_8bit ? META_8BIT : 0;
	flags |= m->has_bare_cr ? META_BARE_CR : 0;
	flags |= m->has_bare_lf ? META_BARE_LF : 0;
	flags |= m->root_fields_whole ? META_FIELDS_WHOLE : 0;
	flags |= detail != DETAIL_FULL ? META_REDUCED : 0;
	flags |= m->parts_cut || detail >= DETAIL_ONE_PART ? META_PARTS_CUT : 0;
	flags |= m->parts[0].envelope->has_date ? META_DATE : 0;
	return flags;
}

static void add_part(const struct mime_part *part, uint64_t previous, struct buf *out)
{
	const struct mime_param *charset = NULL;
	bool text = span_is_nocase(part->type, "text");
	unsigned what = (unsigned)part->kind | (unsigned)part->encoding << 2;

	if (text) {
		what |= 32;
		charset = mime_param_find(&part->params, "charset");
		if (span_is_nocase(part->subtype, "html"))
			what |= 64;
		if (charset != NULL && charset->value.n <= 40)
			what |= 128;
	}
	buf_add_u8(out, (uint8_t)what);
	buf_add_varint(out, part->depth);
	buf_add_varint(out, part->header_off - previous);
	buf_add_varint(out, part->header_len);
	buf_add_varint(out, part->body_len);
	if ((what & 128) != 0)
		buf_add_block(out, charset->value.p, charset->value.n);
}

static void add_structure(const struct mime_message *m, enum detail detail, struct buf *out)
{
	struct buf text, runs;
	const struct wire_run *run;
	uint32_t end = 0;

	buf_init(&text);
	buf_init(&runs);
	wire_add_structure(&text, &runs, m, detail != DETAIL_FULL);
	buf_add_block(out, text.data, text.len);
	run = (const struct wire_run *)runs.data;
	buf_add_varint(out, runs.len / sizeof(*run));
	for (size_t i = 0; i < runs.len / sizeof(*run); i++) {
		buf_add_varint(out, run[i].offset - end);
		buf_add_varint(out, run[i].length);
		end = run[i].offset + run[i].length;
	}
	buf_clear(&text);
	buf_clear(&runs);
}

static void serialise(const struct mime_message *m, enum detail detail, struct buf *out)
{
	const struct mime_envelope *e = m->parts[0].envelope;
	unsigned flags = message_flags(m, detail);
	uint64_t previous = 0;
	struct buf envelope;

	buf_add_u8(out, VERSION);
	buf_add_u8(out, (uint8_t)flags);
	buf_add_varint(out, m->size);
	buf_add_varint(out, m->lines);
	if ((flags & META_DATE) != 0) {
		buf_add_u64(out, (uint64_t)e->sent.seconds);
		buf_add_u32(out, (uint32_t)(e->sent.zone + 1440));
		buf_add_u32(out, (uint32_t)(e->sent.day + ((int64_t)1 << 31)));
	}
	buf_add_varint(out, m->nparts);
	for (uint32_t i = 0; i < m->nparts; i++) {
		add_part(&m->parts[i], previous, out);
		previous = m->parts[i].header_off;
	}
	buf_init(&envelope);
	wire_add_envelope(&envelope, detail == DETAIL_NO_ENVELOPE ? NULL : e);
	buf_add_block(out, envelope.data, envelope.len);
	buf_clear(&envelope);
	add_structure(m, detail, out);
	buf_add_block(out, m->root_fields.p, m->root_fields.n);
}

/* The message as one opaque part. */
static void serialise_as_one(const struct mime_message *m, enum detail detail, struct buf *out)
{
	struct mime_message one = *m;
	struct mime_part root = m->parts[0];

	root.child = MIME_NONE;
	root.kind = MIME_LEAF;
	root.type = SPAN("application");
	root.subtype = SPAN("octet-stream");
	root.params.n = 0;
	if (root.encoding_text.n > 40)
		root.encoding_text = SPAN("binary");
	one.parts = &root;
	one.nparts = 1;
	serialise(&one, detail, out);
}

void meta_build(const struct mime_message *message, struct buf *out)
{
	struct buf plain;

	buf_init(&plain);
	for (enum detail detail = DETAIL_FULL; detail <= DETAIL_NO_ENVELOPE; detail++) {
		buf_empty(&plain);
		if (detail < DETAIL_ONE_PART)
			serialise(message, detail, &plain);
		else
			serialise_as_one(message, detail, &plain);
		if (plain.len <= META_MAX)
			break;
	}
	meta_pack(buf_span(&plain), out);
	buf_clear(&plain);
}

/* Reading */

struct reader {
	struct span s;
	struct meta *m;
	struct arena *arena;
	uint32_t path[DEPTH_MAX]; /* the last part of each depth */
	uint32_t depth;
};

static bool part_place(struct reader *r, uint32_t i, uint64_t depth)
{
	struct meta_part *parts = r->m->parts, *p = &parts[i];

	p->child = p->next = p->parent = MIME_NONE;
	if (i == 0 ? depth != 0 : depth == 0 || depth > r->depth + 1 || depth >= DEPTH_MAX)
		return false;
	if (i > 0) {
		p->parent = r->path[depth - 1];
		if (parts[p->parent].kind == MIME_LEAF)
			return false;
		if (depth <= r->depth) {
			if (parts[p->parent].kind != MIME_MULTIPART)
				return false; /* one message in a message */
			parts[r->path[depth]].next = i;
		} else {
			parts[p->parent].child = i;
		}
	}
	r->path[depth] = i;
	r->depth = (uint32_t)depth;
	return true;
}

static bool in_message(const struct meta *m, const struct meta_part *p)
{
	return p->header_off <= m->size && p->header_len <= m->size - p->header_off &&
	       p->body_len <= m->size - p->header_off - p->header_len;
}

static bool part_read(struct reader *r, uint32_t i)
{
	struct meta_part *p = &r->m->parts[i];
	uint64_t depth, distance;
	uint8_t what;

	if (!span_get_u8(&r->s, &what) || !span_get_varint(&r->s, &depth) ||
		!span_get_varint(&r->s, &distance) || !span_get_varint(&r->s, &p->header_len) ||
		!span_get_varint(&r->s, &p->body_len))
		return false;
	p->kind = what & 3;
	p->encoding = what >> 2 & 7;
	p->is_text = (what & 32) != 0;
	p->is_html = (what & 64) != 0;
	p->charset = SPAN("");
	if ((what & 128) != 0 && !span_get_block(&r->s, &p->charset))
		return false;
	p->header_off = i == 0 ? 0 : r->m->parts[i - 1].header_off;
	if (p->kind > MIME_MESSAGE || p->encoding > MIME_ENCODING_OTHER || distance > r->m->size)
		return false;
	p->header_off += distance;
	return in_message(r->m, p) && part_place(r, i, depth);
}

static bool parts_read(struct reader *r)
{
	uint64_t n;

	/* A part takes five octets at least, so the table cannot be much larger than its source. */
	if (!span_get_varint(&r->s, &n) || n == 0 || n > r->s.n / 5)
		return false;
	r->m->nparts = (uint32_t)n;
	r->m->parts = arena_alloc(r->arena, n * sizeof(*r->m->parts));
	for (uint32_t i = 0; i < n; i++) {
		if (!part_read(r, i))
			return false;
	}
	for (uint32_t i = 0; i < n; i++) {
		if (r->m->parts[i].kind == MIME_MESSAGE && r->m->parts[i].child == MIME_NONE)
			return false;
	}
	r->m->header_len = r->m->parts[0].header_len;
	return r->m->parts[0].header_off == 0;
}

static bool date_read(struct reader *r)
{
	uint64_t seconds;
	uint32_t zone, day;

	if ((r->m->flags & META_DATE) == 0)
		return true;
	if (!span_get_u64(&r->s, &seconds) || !span_get_u32(&r->s, &zone) ||
		!span_get_u32(&r->s, &day) || zone > 2880)
		return false;
	r->m->sent.seconds = (int64_t)seconds;
	r->m->sent.zone = (int)zone - 1440;
	r->m->sent.day = (int64_t)day - ((int64_t)1 << 31);
	return true;
}

/* Checks them once, so that meta_add_body() may trust them. */
static bool runs_read(struct reader *r)
{
	struct span whole = r->s;
	uint64_t n, distance, length, left = r->m->structure.n;

	if (!span_get_varint(&r->s, &n))
		return false;
	for (; n > 0; n--) {
		if (!span_get_varint(&r->s, &distance) || !span_get_varint(&r->s, &length) ||
			distance > left || length > left - distance)
			return false;
		left -= distance + length;
	}
	r->m->runs = span_from(whole.p, whole.n - r->s.n);
	return true;
}

static bool all_read(struct reader *r)
{
	struct meta *m = r->m;
	uint8_t version, flags;

	if (!span_get_u8(&r->s, &version) || version != VERSION || !span_get_u8(&r->s, &flags))
		return false;
	m->flags = flags;
	return span_get_varint(&r->s, &m->size) && span_get_varint(&r->s, &m->lines) &&
	       m->size <= (uint64_t)1 << 62 && date_read(r) && parts_read(r) &&
	       span_get_block(&r->s, &m->envelope) && span_get_block(&r->s, &m->structure) &&
	       runs_read(r) && span_get_block(&r->s, &m->fields) && r->s.n == 0;
}

int meta_parse(struct span stored, struct arena *arena, struct meta *meta_r, struct err *e)
{
	struct reader r = {.m = meta_r, .arena = arena};

	memset(meta_r, 0, sizeof(*meta_r));
	if (!meta_unpack(stored, META_MAX, arena, &r.s))
		return err_set(e, ERR_TEMP, "prepared metadata cannot be unpacked");
	if (!all_read(&r))
		return err_set(e, ERR_TEMP, "prepared metadata is damaged");
	return 0;
}

struct span meta_envelope(const struct meta *m)
{
	return m->envelope;
}

struct span meta_bodystructure(const struct meta *m)
{
	return m->structure;
}

void meta_add_body(const struct meta *m, struct buf *out)
{
	struct span runs = m->runs, rest = m->structure;
	uint64_t n, distance, length;

	if (!span_get_varint(&runs, &n))
		n = 0;
	for (; n > 0; n--) {
		if (!span_get_varint(&runs, &distance) || !span_get_varint(&runs, &length))
			break;
		buf_add(out, rest.p, distance);
		rest.p += distance + length;
		rest.n -= distance + length;
	}
	buf_add_span(out, rest);
}

bool meta_covers(const struct meta *m, const struct span *names, size_t count)
{
	if ((m->flags & META_FIELDS_WHOLE) == 0)
		return false;
	for (size_t i = 0; i < count; i++) {
		if (!mime_field_is_known(names[i]))
			return false;
	}
	return true;
}
