#include <string.h>
#include <zstd.h>
#include "lib-common/mem.h"
#include "lib-storage/pack-internal.h"
#include "lib-storage/pack.h"

/* Up to this length an entry is read at once: one read costs less than three. */
#define READ_WHOLE_MAX (256u << 10)
#define READ_TAIL 8192u
#define READ_CHUNKS 16u /* of a large body, in one read */

struct pack_decoder {
	EVP_CIPHER_CTX *aead;
	EVP_CIPHER *gcm;
	EVP_MD_CTX *sha;
	EVP_MD *sha256;
	ZSTD_DCtx *zstd;
	char *opened, *plain; /* a chunk after decryption, and after decompression */
	struct buf whole, piece, trailer;
};

/* An entry whose trailer is known. */
struct entry {
	const struct pack_place *place;
	struct span whole;
	struct pack_header header;
	struct pack_footer footer;
	uint64_t size;
	unsigned char sha256[PACK_SHA_BYTES];
	uint32_t n_chunks;
	struct span table;
};

struct pack_decoder *pack_decoder_new(void)
{
	struct pack_decoder *dec = mem_alloc(sizeof(*dec));

	dec->gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	dec->sha256 = EVP_MD_fetch(NULL, "SHA2-256", NULL);
	dec->aead = EVP_CIPHER_CTX_new();
	dec->sha = EVP_MD_CTX_new();
	dec->zstd = ZSTD_createDCtx();
	pack_must(dec->gcm != NULL && dec->sha256 != NULL && dec->aead != NULL &&
		  dec->sha != NULL && dec->zstd != NULL);
	pack_must(EVP_DecryptInit_ex(dec->aead, dec->gcm, NULL, NULL, NULL) == 1);
	dec->opened = mem_alloc(PACK_CHUNK);
	dec->plain = mem_alloc(PACK_CHUNK);
	return dec;
}

void pack_decoder_free(struct pack_decoder *dec)
{
	if (dec == NULL)
		return;
	EVP_CIPHER_CTX_free(dec->aead);
	EVP_CIPHER_free(dec->gcm);
	EVP_MD_CTX_free(dec->sha);
	EVP_MD_free(dec->sha256);
	ZSTD_freeDCtx(dec->zstd);
	mem_wipe(dec->opened, PACK_CHUNK);
	mem_wipe(dec->plain, PACK_CHUNK);
	mem_free(dec->opened);
	mem_free(dec->plain);
	buf_clear(&dec->whole);
	buf_clear(&dec->piece);
	buf_clear(&dec->trailer);
	mem_free(dec);
}

/* Octets of the entry, from memory or into *hold. */
static int entry_octets(const struct entry *en, uint64_t at, size_t n, struct buf *hold,
	struct span *s_r, struct err *e)
{
	if (en->whole.n > 0) {
		*s_r = span_from(en->whole.p + at, n);
		return 0;
	}
	buf_empty(hold);
	if (en->place->read(en->place->ctx, en->place->offset + at, n, hold, e) < 0)
		return -1;
	*s_r = buf_span(hold);
	return 0;
}

static bool span_zeros(struct span s)
{
	return s.n > 0 && s.p[0] == 0 && memcmp(s.p, s.p + 1, s.n - 1) == 0;
}

static int damaged(struct err *e, const char *what, const struct entry *en)
{
	return err_set(e, ERR_PERM, "%s at offset %llu of its pack", what,
		(unsigned long long)en->place->offset);
}

static int entry_header(struct entry *en, struct buf *hold, struct err *e)
{
	const struct pack_place *place = en->place;
	const struct pack_header *h = &en->header;
	struct span s;

	if (entry_octets(en, 0, PACK_HEADER_BYTES, hold, &s, e) < 0)
		return -1;
	if (!pack_header_parse(s, &en->header)) {
		if (span_zeros(s))
			return err_set(e, ERR_NOTFOUND, "no entry at offset %llu",
				(unsigned long long)place->offset);
		return damaged(e, "damaged entry header", en);
	}
	if (memcmp(h->pack_id, place->pack_id, PACK_ID_BYTES) != 0 || h->offset != place->offset ||
		(h->length != 0 && h->length != place->length))
		return damaged(e, "an entry that belongs elsewhere", en);
	return 0;
}

/* Header and footer; *tail_r: all behind the chunks. */
static int entry_frame(
	struct entry *en, struct buf *hold, struct span *tail_r, struct span *box_r, struct err *e)
{
	uint64_t length = en->place->length;
	size_t n = length - PACK_HEADER_BYTES < READ_TAIL ? (size_t)(length - PACK_HEADER_BYTES)
							  : READ_TAIL;
	size_t need;

	if (entry_header(en, hold, e) < 0 || entry_octets(en, length - n, n, hold, tail_r, e) < 0)
		return -1;
	if (!pack_footer_peek(*tail_r, &en->footer) || en->footer.length != length)
		return damaged(e, "damaged entry footer", en);
	need = (size_t)en->footer.trailer_length + en->footer.box_length + PACK_FOOTER_BYTES;
	if (need > n && entry_octets(en, length - need, need, hold, tail_r, e) < 0)
		return -1;
	*tail_r = span_from(tail_r->p + tail_r->n - need, need);
	if (!pack_footer_parse(*tail_r, en->header.entry_id, &en->footer, box_r) ||
		(en->footer.box_length > 0) != ((en->header.flags & PACK_FLAG_BOX) != 0))
		return damaged(e, "damaged entry footer", en);
	return 0;
}

static int chunk_open(struct pack_decoder *dec, const struct entry *en, struct span sealed,
	uint64_t chunk, bool compressed, char *to)
{
	unsigned char nonce[PACK_NONCE_BYTES], aad[PACK_AAD_BYTES], tag[PACK_TAG_BYTES];
	int size = (int)(sealed.n - PACK_TAG_BYTES), n = 0, rest;

	pack_nonce(chunk, nonce);
	pack_aad(en->header.entry_id, chunk, compressed, aad);
	memcpy(tag, sealed.p + size, sizeof(tag));
	pack_must(EVP_DecryptInit_ex(dec->aead, NULL, NULL, NULL, nonce) == 1 &&
		  EVP_DecryptUpdate(dec->aead, NULL, &n, aad, sizeof(aad)) == 1 &&
		  EVP_CIPHER_CTX_ctrl(dec->aead, EVP_CTRL_AEAD_SET_TAG, PACK_TAG_BYTES, tag) == 1);
	if (EVP_DecryptUpdate(dec->aead, (unsigned char *)to, &n, (const unsigned char *)sealed.p,
		    size) != 1 ||
		EVP_DecryptFinal_ex(dec->aead, (unsigned char *)to + n, &rest) != 1)
		return -1;
	return 0;
}

/* The trailer is authentic here, but its writer may have been wrong: all sums must come out. */
static bool trailer_parse(struct entry *en, struct span s)
{
	uint64_t total = (uint64_t)PACK_HEADER_BYTES + en->footer.trailer_length +
			 en->footer.box_length + PACK_FOOTER_BYTES;
	uint64_t left;
	struct span sha, t;

	if (!span_get_u64(&s, &en->size) || !span_get_bytes(&s, PACK_SHA_BYTES, &sha) ||
		!span_get_u32(&s, &en->n_chunks) || en->n_chunks > PACK_CHUNKS_MAX ||
		s.n != (size_t)en->n_chunks * 4 || en->size > (uint64_t)en->n_chunks * PACK_CHUNK ||
		en->size + PACK_CHUNK <= (uint64_t)en->n_chunks * PACK_CHUNK)
		return false;
	memcpy(en->sha256, sha.p, PACK_SHA_BYTES);
	en->table = t = s;
	left = en->size;
	while (t.n > 0) {
		uint32_t word, n;
		uint32_t plain = left < PACK_CHUNK ? (uint32_t)left : PACK_CHUNK;

		if (!span_get_u32(&t, &word))
			return false;
		n = word & ~PACK_CHUNK_COMPRESSED;
		if (n == 0 || ((word & PACK_CHUNK_COMPRESSED) ? n >= plain : n != plain))
			return false;
		total += n + PACK_TAG_BYTES;
		left -= plain;
	}
	return total == en->place->length;
}

static int entry_load(struct pack_decoder *dec, const struct pack_place *place,
	const unsigned char *key, struct entry *en, struct err *e)
{
	struct span tail;
	size_t n;

	memset(en, 0, sizeof(*en));
	en->place = place;
	if (place->length < PACK_ENTRY_MIN || place->length > INT64_MAX)
		return err_set(e, ERR_PERM, "not the length of an entry");
	if (place->whole.n == place->length) {
		en->whole = place->whole;
	} else if (place->length <= READ_WHOLE_MAX) {
		buf_empty(&dec->whole);
		if (place->read(place->ctx, place->offset, (size_t)place->length, &dec->whole, e) <
			0)
			return -1;
		en->whole = buf_span(&dec->whole);
	}
	if (entry_frame(en, &dec->piece, &tail, NULL, e) < 0)
		return -1;

	pack_must(EVP_DecryptInit_ex(dec->aead, NULL, NULL, key, NULL) == 1);
	n = en->footer.trailer_length;
	buf_empty(&dec->trailer);
	pack_must(buf_reserve(&dec->trailer, n) != NULL);
	if (chunk_open(dec, en, span_from(tail.p, n), PACK_TRAILER_CHUNK, false,
		    dec->trailer.data) < 0)
		return damaged(e, "entry with damaged trailer or another key", en);
	buf_added(&dec->trailer, n - PACK_TAG_BYTES);
	if (!trailer_parse(en, buf_span(&dec->trailer)))
		return damaged(e, "entry with contradictory trailer", en);
	return 0;
}

static int chunk_decode(struct pack_decoder *dec, const struct entry *en, struct span sealed,
	uint64_t chunk, bool compressed, struct span *plain_r, struct err *e)
{
	uint64_t rest = en->size - chunk * PACK_CHUNK;
	size_t expected = rest < PACK_CHUNK ? (size_t)rest : PACK_CHUNK, n;

	if (chunk_open(dec, en, sealed, chunk, compressed, dec->opened) < 0)
		return damaged(e, "damaged chunk of an entry", en);
	if (!compressed) {
		*plain_r = span_from(dec->opened, expected);
		return 0;
	}
	n = ZSTD_decompressDCtx(
		dec->zstd, dec->plain, PACK_CHUNK, dec->opened, sealed.n - PACK_TAG_BYTES);
	if (ZSTD_isError(n) || n != expected)
		return damaged(e, "chunk of an entry does not decompress", en);
	*plain_r = span_from(dec->plain, n);
	return 0;
}

/* Where the plaintext goes: a range to a buffer, or all into a digest. */
struct sink {
	uint64_t from, to;
	struct buf *out;
	EVP_MD_CTX *sha;
};

static void sink_take(struct sink *sink, uint64_t at, struct span plain)
{
	uint64_t from = sink->from > at ? sink->from - at : 0;
	uint64_t to = sink->to - at < plain.n ? sink->to - at : plain.n;

	if (sink->sha != NULL)
		pack_must(EVP_DigestUpdate(sink->sha, plain.p, plain.n) == 1);
	if (sink->out != NULL && from < to)
		buf_add(sink->out, plain.p + from, (size_t)(to - from));
}

/* Decodes `n` chunks from number `first`, which begin at `at` in the entry; moves *at on. */
static int chunks_decode(struct pack_decoder *dec, const struct entry *en, uint64_t first, size_t n,
	uint64_t *at, struct sink *sink, struct err *e)
{
	struct span table = span_from(en->table.p + first * 4, n * 4), t = table, s, plain;
	size_t total = 0, used = 0;
	uint32_t word;

	while (span_get_u32(&t, &word))
		total += (word & ~PACK_CHUNK_COMPRESSED) + PACK_TAG_BYTES;
	if (entry_octets(en, *at, total, &dec->piece, &s, e) < 0)
		return -1;
	for (uint64_t i = first; span_get_u32(&table, &word); i++) {
		size_t sealed = (word & ~PACK_CHUNK_COMPRESSED) + PACK_TAG_BYTES;

		if (chunk_decode(dec, en, span_from(s.p + used, sealed), i,
			    (word & PACK_CHUNK_COMPRESSED) != 0, &plain, e) < 0)
			return -1;
		sink_take(sink, i * PACK_CHUNK, plain);
		used += sealed;
	}
	*at += total;
	return 0;
}

static int entry_decode(
	struct pack_decoder *dec, const struct entry *en, struct sink *sink, struct err *e)
{
	uint64_t first = sink->from / PACK_CHUNK, end = (sink->to + PACK_CHUNK - 1) / PACK_CHUNK;
	uint64_t at = PACK_HEADER_BYTES;
	struct span before = span_from(en->table.p, (size_t)first * 4);
	uint32_t word;

	while (span_get_u32(&before, &word))
		at += (word & ~PACK_CHUNK_COMPRESSED) + PACK_TAG_BYTES;
	while (first < end) {
		size_t n = end - first < READ_CHUNKS ? (size_t)(end - first) : READ_CHUNKS;

		if (chunks_decode(dec, en, first, n, &at, sink, e) < 0)
			return -1;
		first += n;
	}
	return 0;
}

int pack_fetch(struct pack_decoder *dec, const struct pack_place *place,
	const unsigned char key[PACK_KEY_BYTES], uint64_t from, uint64_t count, struct buf *out,
	uint64_t *size_r, struct err *e)
{
	struct sink sink = {.out = out};
	size_t before = out->len;
	struct entry en;

	if (entry_load(dec, place, key, &en, e) < 0)
		return -1;
	if (from > en.size)
		return err_set(e, ERR_PERM, "range begins behind the end of the body");
	sink.from = from;
	sink.to = count == 0 || count > en.size - from ? en.size : from + count;
	if (sink.from < sink.to && entry_decode(dec, &en, &sink, e) < 0) {
		buf_truncate(out, before);
		return -1;
	}
	if (out->failed)
		return err_set(e, ERR_LIMIT, "the range is longer than its buffer may be");
	if (size_r != NULL)
		*size_r = en.size;
	return 0;
}

int pack_verify(struct pack_decoder *dec, const struct pack_place *place,
	const unsigned char key[PACK_KEY_BYTES], uint64_t *size_r,
	unsigned char sha256_r[PACK_SHA_BYTES], struct err *e)
{
	struct sink sink = {.sha = dec->sha};
	unsigned char sha256[PACK_SHA_BYTES];
	struct entry en;

	if (entry_load(dec, place, key, &en, e) < 0)
		return -1;
	pack_must(EVP_DigestInit_ex(dec->sha, dec->sha256, NULL) == 1);
	sink.to = en.size;
	if (entry_decode(dec, &en, &sink, e) < 0)
		return -1;
	pack_must(EVP_DigestFinal_ex(dec->sha, sha256, NULL) == 1);
	if (memcmp(sha256, en.sha256, sizeof(sha256)) != 0)
		return damaged(e, "entry with a wrong SHA-256", &en);
	if (size_r != NULL)
		*size_r = en.size;
	if (sha256_r != NULL)
		memcpy(sha256_r, sha256, sizeof(sha256));
	return 0;
}

int pack_check(
	const struct pack_place *place, struct pack_header *h_r, struct buf *box_r, struct err *e)
{
	struct entry en = {.place = place};
	struct span tail, box;
	struct buf hold;
	int r;

	if (place->length < PACK_ENTRY_MIN || place->length > INT64_MAX)
		return err_set(e, ERR_PERM, "not the length of an entry");
	if (place->whole.n == place->length)
		en.whole = place->whole;
	buf_init(&hold);
	r = entry_frame(&en, &hold, &tail, &box, e);
	if (r == 0) {
		*h_r = en.header;
		if (box_r != NULL)
			buf_add_span(box_r, box);
	}
	buf_clear(&hold);
	return r;
}
