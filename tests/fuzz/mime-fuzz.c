/* Any octets are a message; in two pieces it is the same one, and its metadata can be read back. */
#include <stdlib.h>

#include "lib-storage/charset.h"
#include "lib-storage/meta.h"
#include "lib-storage/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void build(const uint8_t *data, size_t size, size_t cut, struct buf *out)
{
	struct mime_parser *p = mime_parser_new(NULL);

	mime_parser_feed(p, data, cut);
	mime_parser_feed(p, data + cut, size - cut);
	meta_build(mime_parser_finish(p), out);
	mime_parser_free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new();
	struct text_needle needle;
	struct buf whole, pieces, text;
	struct meta m;
	struct err e;

	charset_preload();
	buf_init(&whole);
	buf_init(&pieces);
	buf_init(&text);
	build(data, size, 0, &whole);
	build(data, size, size > 0 ? data[0] % size : 0, &pieces);
	if (!span_equal(buf_span(&whole), buf_span(&pieces)) ||
		meta_parse(buf_span(&whole), arena, &m, &e) < 0 || m.size != size)
		abort();
	text_needle_init(&needle, SPAN("Nädel"));
	text_in_message(&needle, span_from(data, size), &m, true);
	text_needle_clear(&needle);
	for (uint32_t i = 0; i < m.nparts && i < 20; i++)
		text_of_part(span_from(data, size), &m, i, 10000, &text);
	meta_add_body(&m, &text);
	buf_clear(&whole);
	buf_clear(&pieces);
	buf_clear(&text);
	arena_free(arena);
	return 0;
}
