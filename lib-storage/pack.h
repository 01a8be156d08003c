/*
 * pack: the format in which bodies are kept in the object store, and how it is written and read.
 *
 * A pack is a run of entries, one entry a body. An entry is
 *
 *	header (68)	magic "LMP1", u8 version, u8 flags, u16 0, u64 own offset in the pack, u64
 *length of the entry (0: streamed, it ends with its pack), pack id (16), entry id (16), i64 time of
 *the put (unix seconds), u32 CRC-32C of all before
 *	chunks		each 64 KiB of plaintext (the last one less), compressed with zstd when that
 *helps, sealed: ciphertext and a tag of 16 octets
 *	trailer		sealed like a chunk: u64 size of the plaintext, its SHA-256, u32 number of
 *chunks, for each a u32: length before sealing, bit 31 set when compressed recovery box
 *optional, see pack-recovery.h footer (24)	magic "LMPF", u32 length of the sealed trailer, u32
 *length of the box, u64 length of the entry, u32 CRC-32C of entry id, box and the footer before it
 *
 * all numbers little-endian. Sealing is AES-256-GCM under the entry's own random key, which is kept
 * outside the store; the nonce is the chunk's number in 96 bits, all ones for the trailer; the
 * associated data is entry id, version, chunk number (u64, all ones for the trailer) and the
 *compressed flag. A key seals one plaintext, once. Header and footer are outside the encryption: an
 *entry moves to another pack or offset by rewriting its header (pack_stamp), which needs no key.
 *Pack id and own offset in the header make sure that an entry that was not put where it is found is
 *none.
 *
 * A pack's name is YYYYMMDDhhmmss-<pack id in hex>, time of its creation (UTC): names are in order
 * of time, roughly, and the name alone tells which entries belong to the pack.
 *
 * Encoders and decoders hold the crypto and zstd contexts and are meant to be used again for the
 *next entry; each belongs to one thread at a time. Octets that are read are never trusted.
 */
#ifndef LM_PACK_H
#define LM_PACK_H

#include <stdbool.h>
#include <stdint.h>
#include "lib-common/buf.h"
#include "lib-common/err.h"

#define PACK_VERSION 1
#define PACK_CHUNK 65536u
#define PACK_HEADER_BYTES 68
#define PACK_FOOTER_BYTES 24
#define PACK_TAG_BYTES 16
#define PACK_ID_BYTES 16
#define PACK_KEY_BYTES 32
#define PACK_SHA_BYTES 32
#define PACK_NAME_CHARS 47
#define PACK_NAME_SIZE (PACK_NAME_CHARS + 1)
#define PACK_BOX_MAX 16384u
#define PACK_CHUNKS_MAX (1u << 18) /* of one entry: 16 GiB */
#define PACK_TRAILER_MAX (44u + 4u * PACK_CHUNKS_MAX + PACK_TAG_BYTES)
#define PACK_ENTRY_MIN (PACK_HEADER_BYTES + 44u + PACK_TAG_BYTES + PACK_FOOTER_BYTES)

#define PACK_FLAG_BOX 0x01 /* a recovery box stands before the footer */

/* ---- names ---- */
void pack_name_make(
	int64_t time, const unsigned char id[PACK_ID_BYTES], char name_r[PACK_NAME_SIZE]);
/* False unless the span is a well-formed name (so it never is a path); id_r may be NULL. */
bool pack_name_parse(struct span name, unsigned char id_r[PACK_ID_BYTES]);

/* ---- header and footer ---- */
struct pack_header {
	uint8_t flags;
	uint64_t offset, length;
	unsigned char pack_id[PACK_ID_BYTES], entry_id[PACK_ID_BYTES];
	int64_t time;
};

struct pack_footer {
	uint32_t trailer_length, box_length;
	uint64_t length;
};

/* Checks magic, version and CRC of the first PACK_HEADER_BYTES; false: not a header. */
bool pack_header_parse(struct span s, struct pack_header *h_r);
/* Reads the last PACK_FOOTER_BYTES of `s` without checking the CRC, but that the lengths can be
 * true. */
bool pack_footer_peek(struct span s, struct pack_footer *f_r);
/* The same with the CRC; `s` ends with box and footer. *box_r may be NULL. */
bool pack_footer_parse(struct span s, const unsigned char entry_id[PACK_ID_BYTES],
	struct pack_footer *f_r, struct span *box_r);
/* Writes where the entry stands into its header and renews the CRC; the rest of the header is kept.
 */
void pack_stamp(
	char *header, const unsigned char pack_id[PACK_ID_BYTES], uint64_t offset, uint64_t length);
uint32_t pack_crc32c(uint32_t crc, const void *data, size_t n);

/* ---- writing ---- */
struct pack_encoder;

/* What the store keeps nowhere, and what the receipt is made of. */
struct pack_sealed {
	unsigned char key[PACK_KEY_BYTES], entry_id[PACK_ID_BYTES], sha256[PACK_SHA_BYTES];
	uint64_t size;	 /* of the plaintext */
	uint64_t length; /* of the entry */
	int64_t time;
};

/* recovery_key: X25519 public key of 32 octets, or NULL for entries without a recovery box. */
struct pack_encoder *pack_encoder_new(const unsigned char *recovery_key);
void pack_encoder_free(struct pack_encoder *enc);
/* A whole body into one entry, appended to *out with its header still to be stamped. `accounts`
 * (may be NULL) are named in the recovery box only. */
void pack_encode(struct pack_encoder *enc, struct span body, int64_t time, const uint64_t *accounts,
	size_t n_accounts, struct buf *out, struct pack_sealed *sealed_r);
/* The same piece by piece: begin appends the header (stamp it with length 0), add what is whole
 * chunks, finish the rest. An entry that was begun may be dropped by beginning the next. */
void pack_encoder_begin(struct pack_encoder *enc, int64_t time, struct buf *out);
void pack_encoder_add(struct pack_encoder *enc, struct span plain, struct buf *out);
void pack_encoder_finish(struct pack_encoder *enc, const uint64_t *accounts, size_t n_accounts,
	struct buf *out, struct pack_sealed *sealed_r);

/* ---- reading ---- */
struct pack_decoder;

struct pack_decoder *pack_decoder_new(void);
void pack_decoder_free(struct pack_decoder *dec);

/* Appends exactly n octets at `offset` of the pack to *out. -1: ERR_NOTFOUND when the pack does not
 * exist or ends before, ERR_TEMP when it could not be read. */
typedef int pack_read_fn(void *ctx, uint64_t offset, size_t n, struct buf *out, struct err *e);

struct pack_place {
	unsigned char pack_id[PACK_ID_BYTES];
	uint64_t offset, length;
	pack_read_fn *read;
	void *ctx;
	struct span whole; /* the entry's octets when they are in memory already; else empty */
};

/* Appends octets from..from+count of the body (count 0, or past the end: to the end) to *out. Only
 * the chunks touched are read and decoded; all that is returned is authenticated. -1 with *out as
 * before: ERR_NOTFOUND (no entry there: nothing, or zeros), ERR_PERM (damaged, wrong key, not
 * this pack's entry, `from` beyond the end), ERR_TEMP (could not be read). size_r: of the whole
 * body; may be NULL. */
int pack_fetch(struct pack_decoder *dec, const struct pack_place *place,
	const unsigned char key[PACK_KEY_BYTES], uint64_t from, uint64_t count, struct buf *out,
	uint64_t *size_r, struct err *e);
/* Decodes the whole entry and compares its SHA-256; memory does not grow with the body. */
int pack_verify(struct pack_decoder *dec, const struct pack_place *place,
	const unsigned char key[PACK_KEY_BYTES], uint64_t *size_r,
	unsigned char sha256_r[PACK_SHA_BYTES], struct err *e);
/* What can be checked without the key: that header and footer are there and agree. box_r (may be
 * NULL) gets the recovery box. */
int pack_check(
	const struct pack_place *place, struct pack_header *h_r, struct buf *box_r, struct err *e);

/* ---- walking through a pack ---- */
struct pack_found {
	struct pack_header header;
	uint64_t length; /* of the entry, from its footer when streamed */
	bool whole;	 /* its footer is there and right */
};

struct pack_scan_result {
	uint64_t entries, damaged; /* found whole; headers without their footer */
	uint64_t used;		   /* where the last whole entry ends */
	uint64_t garbage; /* octets that are neither part of an entry nor zeros at the end */
};

/* Calls found() for each header that names this pack and its own place, in order. After damage the
 * next header is searched. found() returns -1 to stop (then so does pack_scan). */
int pack_scan(const unsigned char pack_id[PACK_ID_BYTES], uint64_t pack_size, pack_read_fn *read,
	void *ctx, int (*found)(void *ctx, const struct pack_found *f), void *found_ctx,
	struct pack_scan_result *result_r, struct err *e);

#endif
