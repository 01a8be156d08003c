/* Prepared metadata from a hostile database. */
#include <stdlib.h>

#include "lib-storage/meta.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const sections[] = {"", "1", "2.1", "1.1.1.1", "4294967295", "1..1"};
	struct arena *arena = arena_new();
	struct buf body;
	struct meta m;
	struct err e;

	buf_init(&body);
	if (meta_parse(span_from(data, size), arena, &m, &e) == 0) {
		meta_add_body(&m, &body);
		for (size_t i = 0; i < array_count(sections); i++) {
			for (int kind = META_SECTION_ALL; kind <= META_SECTION_MIME; kind++) {
				uint64_t offset, length;

				if (meta_section(&m, span_of(sections[i]), (enum meta_section)kind,
					    &offset, &length) &&
					(offset > m.size || length > m.size - offset))
					abort();
			}
		}
	}
	buf_clear(&body);
	arena_free(arena);
	return 0;
}
