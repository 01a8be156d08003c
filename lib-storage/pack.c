#include "lib-storage/pack.h"

#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zstd.h>
#include "lib-common/mem.h"
#include "lib-storage/pack-internal.h"
#include "lib-storage/pack-recovery.h"

#define HEADER_MAGIC "LMP1"
#define FOOTER_MAGIC "LMPF"
#define HEADER_CRC_AT (PACK_HEADER_BYTES - 4)
#define FOOTER_CRC_AT (PACK_FOOTER_BYTES - 4)
/* Below this nothing is won that pays for the reader's work. */
#define COMPRESS_MIN 128u
#define COMPRESS_LEVEL 1

struct pack_encoder {
	EVP_CIPHER_CTX *aead;
	EVP_CIPHER *gcm;
	EVP_MD_CTX *sha;
	EVP_MD *sha256;
	ZSTD_CCtx *zstd;
	struct recovery_sealer *recovery;
	char *scratch; /* PACK_CHUNK, what zstd makes */
	struct buf partial, table;
	struct pack_sealed sealed;
	uint64_t n_chunks;
};

void pack_must(bool ok)
{
	static const char text[] = "a cryptographic or compression call failed\n";

	if (ok)
		return;
	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	abort();
}

/* ---- numbers and checksums ---- */

static void put_u32(char *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (char)(v >> (8 * i));
}

static void put_u64(char *p, uint64_t v)
{
	for (int i = 0; i < 8; i++)
		p[i] = (char)(v >> (8 * i));
}

static const uint32_t *crc_table(void)
{
	static uint32_t table[256];
	static bool made;

	/* Threads that get here together write the same values. */
	if (__atomic_load_n(&made, __ATOMIC_ACQUIRE))
		return table;
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int k = 0; k < 8; k++)
			c = c & 1 ? c >> 1 ^ 0x82f63b78u : c >> 1;
		__atomic_store_n(&table[i], c, __ATOMIC_RELAXED);
	}
	__atomic_store_n(&made, true, __ATOMIC_RELEASE);
	return table;
}

uint32_t pack_crc32c(uint32_t crc, const void *data, size_t n)
{
	const uint32_t *table = crc_table();
	const unsigned char *p = data;

	crc = ~crc;
	for (size_t i = 0; i < n; i++)
		crc = table[(crc ^ p[i]) & 0xff] ^ crc >> 8;
	return ~crc;
}

void pack_nonce(uint64_t chunk, unsigned char nonce_r[PACK_NONCE_BYTES])
{
	memset(nonce_r, chunk == PACK_TRAILER_CHUNK ? 0xff : 0, PACK_NONCE_BYTES);
	for (int i = 0; i < 8; i++)
		nonce_r[i] = (unsigned char)(chunk >> (8 * i));
}

void pack_aad(const unsigned char entry_id[PACK_ID_BYTES], uint64_t chunk, bool compressed,
	unsigned char aad_r[PACK_AAD_BYTES])
{
	memcpy(aad_r, entry_id, PACK_ID_BYTES);
	aad_r[PACK_ID_BYTES] = PACK_VERSION;
	for (int i = 0; i < 8; i++)
		aad_r[PACK_ID_BYTES + 1 + i] = (unsigned char)(chunk >> (8 * i));
	aad_r[PACK_AAD_BYTES - 1] = compressed;
}

/* ---- names ---- */

void pack_name_make(
	int64_t time, const unsigned char id[PACK_ID_BYTES], char name_r[PACK_NAME_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	time_t t = (time_t)time;
	struct tm tm;
	size_t n;

	if (gmtime_r(&t, &tm) == NULL || tm.tm_year < 70 || tm.tm_year > 8099) {
		t = 0;
		(void)gmtime_r(&t, &tm);
	}
	n = strftime(name_r, PACK_NAME_SIZE, "%Y%m%d%H%M%S-", &tm);
	for (size_t i = 0; i < PACK_ID_BYTES; i++) {
		name_r[n++] = digits[id[i] >> 4];
		name_r[n++] = digits[id[i] & 15];
	}
	name_r[n] = '\0';
}

bool pack_name_parse(struct span name, unsigned char id_r[PACK_ID_BYTES])
{
	unsigned char id[PACK_ID_BYTES];

	if (name.n != PACK_NAME_CHARS || name.p[14] != '-')
		return false;
	for (size_t i = 0; i < 14; i++) {
		if (name.p[i] < '0' || name.p[i] > '9')
			return false;
	}
	return hex_decode(span_from(name.p + 15, 32), id_r != NULL ? id_r : id, PACK_ID_BYTES);
}

/* ---- header and footer ---- */

bool pack_header_parse(struct span s, struct pack_header *h_r)
{
	struct span id, entry, end;
	uint64_t time;
	uint32_t crc;
	uint16_t zero;
	uint8_t version;

	if (s.n < PACK_HEADER_BYTES || memcmp(s.p, HEADER_MAGIC, 4) != 0)
		return false;
	end = span_from(s.p + HEADER_CRC_AT, 4);
	if (!span_get_u32(&end, &crc) || crc != pack_crc32c(0, s.p, HEADER_CRC_AT))
		return false;
	s = span_from(s.p + 4, PACK_HEADER_BYTES - 4);
	if (!span_get_u8(&s, &version) || version != PACK_VERSION ||
		!span_get_u8(&s, &h_r->flags) || !span_get_u16(&s, &zero) ||
		!span_get_u64(&s, &h_r->offset) || !span_get_u64(&s, &h_r->length) ||
		!span_get_bytes(&s, PACK_ID_BYTES, &id) ||
		!span_get_bytes(&s, PACK_ID_BYTES, &entry) || !span_get_u64(&s, &time))
		return false;
	memcpy(h_r->pack_id, id.p, PACK_ID_BYTES);
	memcpy(h_r->entry_id, entry.p, PACK_ID_BYTES);
	h_r->time = (int64_t)time;
	return true;
}

void pack_stamp(
	char *header, const unsigned char pack_id[PACK_ID_BYTES], uint64_t offset, uint64_t length)
{
	put_u64(header + 8, offset);
	put_u64(header + 16, length);
	memcpy(header + 24, pack_id, PACK_ID_BYTES);
	put_u32(header + HEADER_CRC_AT, pack_crc32c(0, header, HEADER_CRC_AT));
}

bool pack_footer_peek(struct span s, struct pack_footer *f_r)
{
	if (s.n < PACK_FOOTER_BYTES)
		return false;
	s = span_from(s.p + s.n - PACK_FOOTER_BYTES, PACK_FOOTER_BYTES);
	if (memcmp(s.p, FOOTER_MAGIC, 4) != 0)
		return false;
	s = span_from(s.p + 4, PACK_FOOTER_BYTES - 4);
	if (!span_get_u32(&s, &f_r->trailer_length) || !span_get_u32(&s, &f_r->box_length) ||
		!span_get_u64(&s, &f_r->length))
		return false;
	return f_r->trailer_length >= PACK_TRAILER_FIXED + PACK_TAG_BYTES &&
	       f_r->trailer_length <= PACK_TRAILER_MAX && f_r->box_length <= PACK_BOX_MAX &&
	       f_r->length >= (uint64_t)PACK_HEADER_BYTES + f_r->trailer_length + f_r->box_length +
				      PACK_FOOTER_BYTES;
}

static uint32_t footer_crc(
	const unsigned char *entry_id, const char *box, size_t box_length, const char *footer)
{
	uint32_t crc = pack_crc32c(0, entry_id, PACK_ID_BYTES);

	crc = pack_crc32c(crc, box, box_length);
	return pack_crc32c(crc, footer, FOOTER_CRC_AT);
}

bool pack_footer_parse(struct span s, const unsigned char entry_id[PACK_ID_BYTES],
	struct pack_footer *f_r, struct span *box_r)
{
	struct span box, c;
	const char *footer;
	uint32_t crc;

	if (!pack_footer_peek(s, f_r) || s.n - PACK_FOOTER_BYTES < f_r->box_length)
		return false;
	footer = s.p + s.n - PACK_FOOTER_BYTES;
	box = span_from(footer - f_r->box_length, f_r->box_length);
	c = span_from(footer + FOOTER_CRC_AT, 4);
	if (!span_get_u32(&c, &crc) || crc != footer_crc(entry_id, box.p, box.n, footer))
		return false;
	if (box_r != NULL)
		*box_r = box;
	return true;
}

/* ---- writing ---- */

struct pack_encoder *pack_encoder_new(const unsigned char *recovery_key)
{
	struct pack_encoder *enc = mem_alloc(sizeof(*enc));

	/* Fetched once: looking an algorithm up for each entry costs more than sealing it. */
	enc->gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	enc->sha256 = EVP_MD_fetch(NULL, "SHA2-256", NULL);
	enc->aead = EVP_CIPHER_CTX_new();
	enc->sha = EVP_MD_CTX_new();
	enc->zstd = ZSTD_createCCtx();
	pack_must(enc->gcm != NULL && enc->sha256 != NULL && enc->aead != NULL &&
		  enc->sha != NULL && enc->zstd != NULL);
	pack_must(EVP_EncryptInit_ex(enc->aead, enc->gcm, NULL, NULL, NULL) == 1);
	pack_must(!ZSTD_isError(
		ZSTD_CCtx_setParameter(enc->zstd, ZSTD_c_compressionLevel, COMPRESS_LEVEL)));
	if (recovery_key != NULL)
		enc->recovery = recovery_sealer_new(recovery_key);
	enc->scratch = mem_alloc(PACK_CHUNK);
	return enc;
}

void pack_encoder_free(struct pack_encoder *enc)
{
	if (enc == NULL)
		return;
	EVP_CIPHER_CTX_free(enc->aead);
	EVP_CIPHER_free(enc->gcm);
	EVP_MD_CTX_free(enc->sha);
	EVP_MD_free(enc->sha256);
	ZSTD_freeCCtx(enc->zstd);
	recovery_sealer_free(enc->recovery);
	buf_wipe(&enc->partial);
	buf_clear(&enc->table);
	mem_wipe(enc->scratch, PACK_CHUNK);
	mem_free(enc->scratch);
	mem_wipe(enc, sizeof(*enc));
	mem_free(enc);
}

void pack_encoder_begin(struct pack_encoder *enc, int64_t time, struct buf *out)
{
	unsigned char random[PACK_KEY_BYTES + PACK_ID_BYTES];
	struct pack_sealed *s = &enc->sealed;

	pack_must(RAND_priv_bytes(random, sizeof(random)) == 1);
	memset(s, 0, sizeof(*s));
	memcpy(s->key, random, PACK_KEY_BYTES);
	memcpy(s->entry_id, random + PACK_KEY_BYTES, PACK_ID_BYTES);
	mem_wipe(random, sizeof(random));
	s->time = time;
	enc->n_chunks = 0;
	buf_empty(&enc->partial);
	buf_empty(&enc->table);
	pack_must(EVP_EncryptInit_ex(enc->aead, NULL, NULL, s->key, NULL) == 1);
	pack_must(EVP_DigestInit_ex(enc->sha, enc->sha256, NULL) == 1);

	buf_add(out, HEADER_MAGIC, 4);
	buf_add_u8(out, PACK_VERSION);
	buf_add_u8(out, enc->recovery != NULL ? PACK_FLAG_BOX : 0);
	buf_add_u16(out, 0);
	buf_add(out, (const char[8 + 8 + PACK_ID_BYTES]){0}, 8 + 8 + PACK_ID_BYTES);
	buf_add(out, s->entry_id, PACK_ID_BYTES);
	buf_add_u64(out, (uint64_t)time);
	buf_add_u32(out, 0);
	s->length = PACK_HEADER_BYTES;
}

static void encoder_seal(struct pack_encoder *enc, struct span plain, uint64_t chunk,
	bool compressed, struct buf *out)
{
	unsigned char nonce[PACK_NONCE_BYTES], aad[PACK_AAD_BYTES];
	unsigned char *to = (unsigned char *)buf_reserve(out, plain.n + PACK_TAG_BYTES);
	int n, rest;

	pack_must(to != NULL);
	pack_nonce(chunk, nonce);
	pack_aad(enc->sealed.entry_id, chunk, compressed, aad);
	pack_must(EVP_EncryptInit_ex(enc->aead, NULL, NULL, NULL, nonce) == 1 &&
		  EVP_EncryptUpdate(enc->aead, NULL, &n, aad, sizeof(aad)) == 1 &&
		  EVP_EncryptUpdate(
			  enc->aead, to, &n, (const unsigned char *)plain.p, (int)plain.n) == 1 &&
		  EVP_EncryptFinal_ex(enc->aead, to + n, &rest) == 1 &&
		  EVP_CIPHER_CTX_ctrl(
			  enc->aead, EVP_CTRL_AEAD_GET_TAG, PACK_TAG_BYTES, to + plain.n) == 1);
	buf_added(out, plain.n + PACK_TAG_BYTES);
	enc->sealed.length += plain.n + PACK_TAG_BYTES;
}

static void encoder_chunk(struct pack_encoder *enc, struct span plain, struct buf *out)
{
	bool compressed = false;

	pack_must(enc->n_chunks < PACK_CHUNKS_MAX);
	pack_must(EVP_DigestUpdate(enc->sha, plain.p, plain.n) == 1);
	enc->sealed.size += plain.n;
	if (plain.n >= COMPRESS_MIN) {
		/* What does not shrink by a sixteenth is not worth decompressing at each read. */
		size_t n = ZSTD_compress2(
			enc->zstd, enc->scratch, plain.n - plain.n / 16, plain.p, plain.n);

		if (!ZSTD_isError(n)) {
			plain = span_from(enc->scratch, n);
			compressed = true;
		}
	}
	encoder_seal(enc, plain, enc->n_chunks++, compressed, out);
	buf_add_u32(&enc->table, (uint32_t)plain.n | (compressed ? PACK_CHUNK_COMPRESSED : 0));
}

void pack_encoder_add(struct pack_encoder *enc, struct span plain, struct buf *out)
{
	while (plain.n > 0) {
		size_t n = PACK_CHUNK - enc->partial.len;

		if (enc->partial.len == 0 && plain.n >= PACK_CHUNK) {
			encoder_chunk(enc, span_from(plain.p, PACK_CHUNK), out);
		} else {
			n = plain.n < n ? plain.n : n;
			buf_add(&enc->partial, plain.p, n);
			if (enc->partial.len == PACK_CHUNK) {
				encoder_chunk(enc, buf_span(&enc->partial), out);
				buf_empty(&enc->partial);
			}
		}
		plain = span_from(plain.p + n, plain.n - n);
	}
}

void pack_encoder_finish(struct pack_encoder *enc, const uint64_t *accounts, size_t n_accounts,
	struct buf *out, struct pack_sealed *sealed_r)
{
	struct pack_sealed *s = &enc->sealed;
	struct buf *trailer = &enc->partial;
	size_t trailer_length, box_at;
	char footer[PACK_FOOTER_BYTES] = FOOTER_MAGIC;

	if (enc->partial.len > 0)
		encoder_chunk(enc, buf_span(&enc->partial), out);
	pack_must(EVP_DigestFinal_ex(enc->sha, s->sha256, NULL) == 1);

	buf_empty(trailer);
	buf_add_u64(trailer, s->size);
	buf_add(trailer, s->sha256, PACK_SHA_BYTES);
	buf_add_u32(trailer, (uint32_t)enc->n_chunks);
	buf_add_span(trailer, buf_span(&enc->table));
	trailer_length = trailer->len + PACK_TAG_BYTES;
	encoder_seal(enc, buf_span(trailer), PACK_TRAILER_CHUNK, false, out);

	box_at = out->len;
	if (enc->recovery != NULL)
		recovery_seal(
			enc->recovery, s->entry_id, s->key, s->time, accounts, n_accounts, out);
	s->length += out->len - box_at + PACK_FOOTER_BYTES;
	put_u32(footer + 4, (uint32_t)trailer_length);
	put_u32(footer + 8, (uint32_t)(out->len - box_at));
	put_u64(footer + 12, s->length);
	put_u32(footer + FOOTER_CRC_AT,
		footer_crc(s->entry_id, out->data + box_at, out->len - box_at, footer));
	buf_add(out, footer, sizeof(footer));

	*sealed_r = *s;
	mem_wipe(s->key, sizeof(s->key));
	buf_empty(&enc->partial);
}

void pack_encode(struct pack_encoder *enc, struct span body, int64_t time, const uint64_t *accounts,
	size_t n_accounts, struct buf *out, struct pack_sealed *sealed_r)
{
	pack_encoder_begin(enc, time, out);
	while (body.n > 0) {
		size_t n = body.n < PACK_CHUNK ? body.n : PACK_CHUNK;

		/* Straight from the caller's memory, without a stay in the partial chunk. */
		encoder_chunk(enc, span_from(body.p, n), out);
		body = span_from(body.p + n, body.n - n);
	}
	pack_encoder_finish(enc, accounts, n_accounts, out, sealed_r);
}
