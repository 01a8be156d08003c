#include "lib-auth/ticket.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include "lib-common/log.h"
#include "lib-common/mem.h"

#define TICKET_VERSION 1
#define TICKET_MAC_BYTES 32
#define TICKET_KEY_ID_BYTES 4

static const char *ticket_label(enum ticket_kind kind)
{
	switch (kind) {
	case TICKET_SESSION:
		return "lightmail session ticket 1";
	case TICKET_GRANT:
		return "lightmail channel grant 1";
	case TICKET_RECIPIENT:
		return "lightmail recipient answer 1";
	}
	abort();
}

static void ticket_hmac(
	const void *key, const void *data, size_t n, unsigned char mac_r[TICKET_MAC_BYTES])
{
	unsigned len = TICKET_MAC_BYTES;

	if (!HMAC(EVP_sha256(), key, TICKET_KEY_BYTES, data, n, mac_r, &len))
		log_fatal("ticket-hmac-failed", NULL);
}

/* Each kind has a key of its own, so a MAC of one kind says nothing about the others. */
static void ticket_mac(enum ticket_kind kind, const unsigned char key[TICKET_KEY_BYTES],
	struct span body, unsigned char mac_r[TICKET_MAC_BYTES])
{
	unsigned char own[TICKET_MAC_BYTES];
	const char *label = ticket_label(kind);

	ticket_hmac(key, label, strlen(label), own);
	ticket_hmac(own, body.p, body.n, mac_r);
	mem_wipe(own, sizeof(own));
}

static void ticket_key_id(
	const unsigned char key[TICKET_KEY_BYTES], unsigned char id_r[TICKET_KEY_ID_BYTES])
{
	unsigned char mac[TICKET_MAC_BYTES];

	ticket_hmac(key, "key id", 6, mac);
	memcpy(id_r, mac, TICKET_KEY_ID_BYTES);
}

static uint64_t ticket_lifetime_ms(enum ticket_kind kind)
{
	switch (kind) {
	case TICKET_SESSION:
		return TICKET_SESSION_MS;
	case TICKET_GRANT:
		return TICKET_GRANT_MS;
	case TICKET_RECIPIENT:
		return TICKET_RECIPIENT_MS;
	}
	abort();
}

void ticket_init(struct ticket *t, enum ticket_kind kind, uint64_t now_ms)
{
	memset(t, 0, sizeof(*t));
	t->kind = kind;
	t->issued_ms = now_ms;
	t->expires_ms = now_ms + ticket_lifetime_ms(kind);
	if (RAND_bytes(t->nonce, sizeof(t->nonce)) != 1)
		log_fatal("no-random-numbers", NULL);
}

void ticket_seal(const struct ticket *t, const unsigned char key[TICKET_KEY_BYTES], struct buf *out)
{
	unsigned char mac[TICKET_MAC_BYTES], key_id[TICKET_KEY_ID_BYTES];
	struct buf b;

	buf_init(&b);
	ticket_key_id(key, key_id);
	buf_add_u8(&b, TICKET_VERSION);
	buf_add_u8(&b, (uint8_t)t->kind);
	buf_add(&b, key_id, sizeof(key_id));
	buf_add_u64(&b, t->issued_ms);
	buf_add_u64(&b, t->expires_ms);
	buf_add_u64(&b, t->account);
	buf_add_u64(&b, t->generation);
	buf_add_u64(&b, t->quota_bytes);
	buf_add_u64(&b, t->quota_messages);
	buf_add_u32(&b, t->shard);
	buf_add(&b, t->nonce, sizeof(t->nonce));
	buf_add_block(&b, t->session, strlen(t->session));
	buf_add_block(&b, t->peer, strlen(t->peer));
	buf_add_block(&b, t->user, strlen(t->user));
	ticket_mac(t->kind, key, buf_span(&b), mac);
	buf_add(&b, mac, sizeof(mac));
	buf_add_base64(out, b.data, b.len);
	buf_wipe(&b);
}

static bool ticket_get_text(struct span *s, char *out, size_t out_size)
{
	struct span text;

	if (!span_get_block(s, &text) || text.n >= out_size || memchr(text.p, 0, text.n))
		return false;
	memcpy(out, text.p, text.n);
	out[text.n] = '\0';
	return true;
}

static bool ticket_parse(struct span s, struct ticket *t)
{
	struct span nonce;

	if (!span_get_u64(&s, &t->issued_ms) || !span_get_u64(&s, &t->expires_ms) ||
		!span_get_u64(&s, &t->account) || !span_get_u64(&s, &t->generation) ||
		!span_get_u64(&s, &t->quota_bytes) || !span_get_u64(&s, &t->quota_messages) ||
		!span_get_u32(&s, &t->shard) || !span_get_bytes(&s, sizeof(t->nonce), &nonce))
		return false;
	memcpy(t->nonce, nonce.p, nonce.n);
	return ticket_get_text(&s, t->session, sizeof(t->session)) &&
	       ticket_get_text(&s, t->peer, sizeof(t->peer)) &&
	       ticket_get_text(&s, t->user, sizeof(t->user)) && s.n == 0;
}

static int ticket_open_raw(struct span raw, enum ticket_kind kind,
	const unsigned char key[TICKET_KEY_BYTES], struct ticket *t, struct err *e)
{
	unsigned char mac[TICKET_MAC_BYTES], key_id[TICKET_KEY_ID_BYTES];
	struct span body, s, id;
	uint8_t version, raw_kind;

	if (raw.n < TICKET_MAC_BYTES)
		return err_set(e, ERR_DENIED, "ticket too short");
	body = span_from(raw.p, raw.n - TICKET_MAC_BYTES);
	s = body;
	if (!span_get_u8(&s, &version) || version != TICKET_VERSION ||
		!span_get_u8(&s, &raw_kind) || raw_kind != kind ||
		!span_get_bytes(&s, TICKET_KEY_ID_BYTES, &id))
		return err_set(e, ERR_DENIED, "not a ticket of this kind");
	ticket_key_id(key, key_id);
	if (memcmp(id.p, key_id, sizeof(key_id)) != 0)
		return err_set(e, ERR_DENIED, "ticket made with another key");
	/* The MAC comes before anything is made of the fields. */
	ticket_mac(kind, key, body, mac);
	if (CRYPTO_memcmp(mac, raw.p + body.n, sizeof(mac)) != 0)
		return err_set(e, ERR_DENIED, "ticket with a wrong MAC");
	t->kind = kind;
	if (!ticket_parse(s, t))
		return err_set(e, ERR_DENIED, "damaged ticket");
	return 0;
}

int ticket_open(struct span text, enum ticket_kind kind, const unsigned char key[TICKET_KEY_BYTES],
	uint64_t now_ms, struct ticket *t_r, struct err *e)
{
	struct buf raw;
	int ret;

	memset(t_r, 0, sizeof(*t_r));
	if (text.n == 0 || text.n > TICKET_TEXT_MAX)
		return err_set(e, ERR_DENIED, "ticket of %zu octets", text.n);
	buf_init(&raw);
	if (!buf_add_base64_decoded(&raw, text))
		ret = err_set(e, ERR_DENIED, "ticket is not base64");
	else
		ret = ticket_open_raw(buf_span(&raw), kind, key, t_r, e);
	buf_wipe(&raw);
	if (ret == 0 && now_ms >= t_r->expires_ms)
		ret = err_set(e, ERR_DENIED, "ticket expired");
	/* The clock is the node's own and never goes back. */
	if (ret == 0 && now_ms < t_r->issued_ms)
		ret = err_set(e, ERR_DENIED, "ticket from the future");
	if (ret < 0)
		memset(t_r, 0, sizeof(*t_r));
	return ret;
}
