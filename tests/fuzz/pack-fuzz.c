/* Octets that claim to be a pack, and texts that claim to be locators, receipts and key files. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "lib-storage/pack-recovery.h"
#include "lib-storage/receipt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int input_read(void *ctx, uint64_t offset, size_t n, struct buf *out, struct err *e)
{
	const struct span *s = ctx;

	if (offset > s->n || n > s->n - offset)
		return err_set(e, ERR_NOTFOUND, "the pack ends before");
	buf_add(out, s->p + offset, n);
	return 0;
}

static int entry_found(void *ctx, const struct pack_found *f)
{
	(void)ctx;
	(void)f;
	return 0;
}

static void fuzz_pack(struct span pack, uint8_t part)
{
	static struct pack_decoder *dec;
	unsigned char key[PACK_KEY_BYTES] = {0};
	struct pack_place place = {.read = input_read, .ctx = &pack};
	struct pack_scan_result scan;
	struct pack_header header;
	struct buf out = {0};
	struct err e;

	if (dec == NULL)
		dec = pack_decoder_new();
	if (pack.n >= PACK_ID_BYTES)
		memcpy(place.pack_id, pack.p, PACK_ID_BYTES);
	place.length = pack.n - (pack.n > part ? part : 0);
	(void)pack_scan(place.pack_id, pack.n, input_read, &pack, entry_found, NULL, &scan, &e);
	(void)pack_check(&place, &header, &out, &e);
	buf_empty(&out);
	(void)pack_fetch(dec, &place, key, part, 0, &out, NULL, &e);
	(void)pack_verify(dec, &place, key, NULL, NULL, &e);
	buf_clear(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned char key[RECEIPT_KEY_BYTES];
	static struct recovery_opened opened;
	struct receipt receipt;
	struct locator locator;
	struct span s;
	struct err e;

	if (size == 0)
		return 0;
	s = span_from(data + 1, size - 1);
	switch (data[0] % 4) {
	case 0:
		fuzz_pack(s, data[0] / 4);
		break;
	case 1:
		(void)locator_parse(s, &locator);
		(void)locator_get(&s, &locator);
		break;
	case 2:
		(void)receipt_verify(s, key, 0, 1, &receipt, &e);
		kek_free(kek_parse(s, &e));
		break;
	default:
		(void)recovery_open(key, s, key, &opened, &e);
	}
	return 0;
}
