/* What a client may send after login: nothing must crash, and in pieces it means the same. */
#include "lib-storage/charset.h"
#include "tests/unit/imap-harness.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run(struct event_base *base, struct span input, size_t piece, struct buf *said)
{
	struct imap_client c;

	buf_init(said);
	harness_open(&c, base);
	harness_feed(&c, input, piece, said);
	harness_close(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct event_base *base;
	struct buf whole, pieces;

	if (base == NULL) {
		base = event_base_new();
		(void)charset_preload();
	}
	run(base, span_from(data, size), size + 1, &whole);
	run(base, span_from(data, size), 1, &pieces);
	buf_clear(&whole);
	buf_clear(&pieces);
	return 0;
}
