#include "lib-storage/receipt.h"

#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <string.h>
#include "lib-common/mem.h"
#include "lib-storage/pack-internal.h"

#define RECEIPT_LABEL "lightmail receipt 1\n"
#define CLOCK_DIFFERENCE_S 60

/* All but the MAC. */
static void receipt_signed_text(const struct receipt *r, struct buf *out)
{
	const struct locator *l = &r->locator;

	buf_printf(out, "%s,%llu,%llu,", l->pack, (unsigned long long)l->offset,
		(unsigned long long)l->length);
	buf_add_hex(out, l->key, sizeof(l->key));
	buf_add_c(out, ',');
	buf_add_hex(out, l->key_id, sizeof(l->key_id));
	buf_add_c(out, ',');
	buf_add_hex(out, r->sha256, sizeof(r->sha256));
	buf_printf(out, ",%llu,%lld", (unsigned long long)l->size, (long long)r->time);
}

static void receipt_mac(const struct receipt *r, const unsigned char *key, unsigned char *mac_r)
{
	struct buf text;
	unsigned n = RECEIPT_MAC_BYTES;

	buf_init(&text);
	buf_add_str(&text, RECEIPT_LABEL);
	receipt_signed_text(r, &text);
	pack_must(HMAC(EVP_sha256(), key, RECEIPT_KEY_BYTES, (unsigned char *)text.data, text.len,
			  mac_r, &n) != NULL);
	buf_wipe(&text);
}

void receipt_sign(struct receipt *r, const unsigned char key[RECEIPT_KEY_BYTES])
{
	receipt_mac(r, key, r->mac);
}

void receipt_text(const struct receipt *r, struct buf *out)
{
	receipt_signed_text(r, out);
	buf_add_c(out, ',');
	buf_add_hex(out, r->mac, sizeof(r->mac));
}

static bool receipt_parse(struct span text, struct receipt *r)
{
	struct span part[9];
	struct locator *l = &r->locator;
	size_t n = 0;

	while (n < array_count(part) && span_cut(&text, ',', &part[n]))
		n++;
	if (n != array_count(part) || text.p != NULL || !pack_name_parse(part[0], NULL))
		return false;
	memcpy(l->pack, part[0].p, PACK_NAME_CHARS);
	l->pack[PACK_NAME_CHARS] = '\0';
	return num_u64(part[1], &l->offset) && num_u64(part[2], &l->length) &&
	       hex_decode(part[3], l->key, sizeof(l->key)) &&
	       hex_decode(part[4], l->key_id, sizeof(l->key_id)) &&
	       hex_decode(part[5], r->sha256, sizeof(r->sha256)) && num_u64(part[6], &l->size) &&
	       num_i64(part[7], &r->time) && hex_decode(part[8], r->mac, sizeof(r->mac));
}

int receipt_verify(struct span text, const unsigned char key[RECEIPT_KEY_BYTES], int64_t now,
	int64_t max_age_s, struct receipt *r_r, struct err *e)
{
	unsigned char mac[RECEIPT_MAC_BYTES];

	memset(r_r, 0, sizeof(*r_r));
	if (!receipt_parse(text, r_r))
		return err_set(e, ERR_DENIED, "malformed receipt");
	receipt_mac(r_r, key, mac);
	if (CRYPTO_memcmp(mac, r_r->mac, sizeof(mac)) != 0)
		return err_set(e, ERR_DENIED, "the receipt is not genuine");
	/* Genuine, so its time was a sane one: the differences do not overflow. */
	if (now - r_r->time > max_age_s || r_r->time - now > CLOCK_DIFFERENCE_S)
		return err_set(e, ERR_TEMP, "the receipt is %lld seconds old",
			(long long)(now - r_r->time));
	return 0;
}
