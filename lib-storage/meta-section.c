#include "lib-storage/meta.h"

/* The part that number `n` names inside of `container`, which is a multipart or the root of a
 * message. */
static uint32_t step(const struct meta *m, uint32_t container, uint32_t n)
{
	uint32_t child;

	/* The only part of a message that is no multipart has number 1 (RFC 3501 6.4.5). */
	if (m->parts[container].kind != MIME_MULTIPART)
		return n == 1 ? container : MIME_NONE;
	child = m->parts[container].child;
	while (child != MIME_NONE && --n > 0)
		child = m->parts[child].next;
	return child;
}

uint32_t meta_find_part(const struct meta *m, struct span numbers)
{
	uint32_t at = 0;
	bool first = true;
	struct span number;

	if (numbers.n == 0)
		return 0;
	while (span_cut(&numbers, '.', &number)) {
		uint32_t n, container = at;

		if (!num_u32(number, &n) || n == 0)
			return MIME_NONE;
		if (!first && m->parts[at].kind == MIME_MESSAGE)
			container = m->parts[at].child;
		else if (!first && m->parts[at].kind != MIME_MULTIPART)
			return MIME_NONE;
		at = step(m, container, n);
		if (at == MIME_NONE)
			return MIME_NONE;
		first = false;
	}
	return at;
}

bool meta_section(const struct meta *m, struct span numbers, enum meta_section kind,
	uint64_t *offset_r, uint64_t *length_r)
{
	uint32_t at = meta_find_part(m, numbers);
	const struct meta_part *p;

	if (at == MIME_NONE)
		return false;
	p = &m->parts[at];
	if (numbers.n == 0 && kind == META_SECTION_ALL) {
		*offset_r = 0;
		*length_r = m->size;
		return true;
	}
	if (kind == META_SECTION_HEADER || kind == META_SECTION_TEXT) {
		if (numbers.n > 0) {
			if (p->kind != MIME_MESSAGE)
				return false;
			p = &m->parts[p->child];
		}
	} else if (numbers.n == 0) {
		return false;
	}
	if (kind == META_SECTION_HEADER || kind == META_SECTION_MIME) {
		*offset_r = p->header_off;
		*length_r = p->header_len;
	} else {
		*offset_r = p->header_off + p->header_len;
		*length_r = p->body_len;
	}
	return true;
}
