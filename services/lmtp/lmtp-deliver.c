/*
 * A received message on its way: the body to the object store (while it still arrives, once it is
 * large), then one commit for each account, then one reply for each recipient in RCPT order
 * (RFC 2033 4.2). Nothing is acknowledged before both are done; whatever is unknown is temporary.
 */
#include "services/lmtp/lmtp.h"

#include <fcntl.h>
#include <time.h>
#include "lib-common/mem.h"
#include "lib-storage/meta.h"

#define FIRST_OCTETS 9 /* "Received:" */
/* The whole must be answered below Postfix's lmtp_data_done_timeout of 600 s: CORNERS S1. */
#define DELIVERY_TIMEOUT_MS 300000
#define GROWN_STEP (1u << 20)

static int client_temp_file(void *ctx)
{
	struct lmtp_client *c = ctx;

	return service_temp_file(c->lmtp->svc);
}

static void put_answered(struct result *r, void *ctx);

/* A body past the memory limit goes to the object store while it arrives. */
static void body_put_grow(struct lmtp_client *c)
{
	struct call *call;

	if (c->body.fd < 0 || c->too_large || c->body_failed)
		return;
	if (!c->put_open) {
		int fd = fcntl(c->body.fd, F_DUPFD_CLOEXEC, 0);

		if (fd < 0)
			return; /* it is put whole at the end */
		call = call_new(c->lmtp->put, "PUT");
		call_uint(call, "growing", 1);
		call_fd(call, fd, true);
		call_trace(call, c->trace);
		c->put_open = true;
		c->put_told = 0;
		c->put_tag = call_send(call, DELIVERY_TIMEOUT_MS, put_answered, c);
	}
	if (c->body.size - c->put_told < GROWN_STEP)
		return;
	call = call_new(c->lmtp->put, "GROWN");
	call_uint(call, "put", c->put_tag);
	call_uint(call, "size", c->body.size);
	call_uint(call, "final", 0);
	c->put_told = c->body.size;
	(void)call_send(call, DELIVERY_TIMEOUT_MS, NULL, NULL);
}

static void body_add(struct lmtp_client *c, struct span octets)
{
	struct err e;

	if (c->too_large || c->body_failed)
		return;
	if (message_body_add(&c->body, octets, client_temp_file, c, &e) < 0) {
		log_error("lmtp-spool-failed", "trace", LOG_STR(c->trace), "error", LOG_ERR(&e),
			NULL);
		c->body_failed = true;
	}
}

/* RFC 5321 4.4: Return-Path and Received; Delivered-To shows nobody another recipient. */
static void body_own_fields(struct lmtp_client *c)
{
	time_t now = (time_t)clock_wall_s();
	struct buf fields;
	struct tm tm;
	char date[64];

	(void)gmtime_r(&now, &tm);
	(void)strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S +0000", &tm);
	buf_init(&fields);
	buf_printf(&fields, "Return-Path: <%s>\r\n", c->sender);
	if (c->n_recipients == 1)
		buf_printf(&fields, "Delivered-To: %s\r\n", c->recipients[0].address);
	buf_printf(&fields,
		"Received: from %s (%s)\r\n\tby %s (LightMail) with %s\r\n\tid %s; %s\r\n", c->lhlo,
		c->peer, service_global(c->lmtp->svc)->hostname,
		c->sender_utf8 ? "UTF8LMTP" : "LMTP", c->trace, date);
	body_add(c, buf_span(&fields));
	buf_clear(&fields);
}

void lmtp_body_start(struct lmtp_client *c)
{
	message_body_start(&c->body);
	EVP_MD_CTX_free(c->octets);
	c->octets = EVP_MD_CTX_new();
	if (c->octets == NULL || EVP_DigestInit_ex(c->octets, EVP_sha256(), NULL) != 1)
		log_fatal("sha256-unavailable", NULL);
	c->octets_size = 0;
	c->body_started = true;
	c->too_large = false;
	c->body_failed = false;
	c->put_open = false;
	buf_empty(&c->first);
	body_own_fields(c);
}

void lmtp_body_octets(struct lmtp_client *c, struct span octets)
{
	if (octets.n == 0)
		return;
	c->octets_size += octets.n;
	(void)EVP_DigestUpdate(c->octets, octets.p, octets.n);
	if (c->first.len < FIRST_OCTETS)
		buf_add(&c->first, octets.p,
			octets.n < FIRST_OCTETS - c->first.len ? octets.n
							       : FIRST_OCTETS - c->first.len);
	if (c->octets_size > c->lmtp->settings->message_size_limit)
		c->too_large = true; /* the rest is read and dropped: the reply comes at its end */
	body_add(c, octets);
	body_put_grow(c);
}

static void reply_all(struct lmtp_client *c, const char *reply)
{
	for (size_t i = 0; i < c->n_recipients; i++)
		lmtp_client_reply(c, "%s", reply);
}

void lmtp_body_abort(struct lmtp_client *c)
{
	client_forget(c->lmtp->put, c);
	if (c->put_open) {
		struct call *call = call_new(c->lmtp->put, "ABANDON");

		call_uint(call, "put", c->put_tag);
		(void)call_send(call, 30000, NULL, NULL);
		c->put_open = false;
	}
	message_body_clear(&c->body);
	EVP_MD_CTX_free(c->octets);
	c->octets = NULL;
	buf_clear(&c->meta);
	buf_clear(&c->first);
	mem_free(c->receipt);
	c->receipt = NULL;
	c->body_started = false;
	c->deliveries_open = 0;
}

/* Several accounts behind one recipient: the worst result speaks, temporary before permanent, so
 * that the MTA tries again; who has it already is known by the digest. */
static enum err_code recipient_code(const struct lmtp_recipient *r)
{
	enum err_code worst = ERR_NONE;

	for (size_t i = 0; i < r->n_targets; i++) {
		enum err_code code = r->targets[i].code;

		if (code == ERR_NONE)
			continue;
		if (code != ERR_QUOTA && code != ERR_NOTFOUND)
			return ERR_TEMP;
		worst = code;
	}
	return worst;
}

static void recipient_reply(struct lmtp_client *c, const struct lmtp_recipient *r)
{
	enum err_code code = recipient_code(r);

	switch (code) {
	case ERR_NONE:
		metric_add(METRIC_LMTP_DELIVERED, 1);
		lmtp_client_reply(c, "250 2.0.0 <%s> Saved (%s)", r->address, c->trace);
		break;
	case ERR_QUOTA:
		metric_add(METRIC_LMTP_REFUSED, 1);
		lmtp_client_reply(c, "552 5.2.2 <%s> Mailbox full", r->address);
		break;
	case ERR_NOTFOUND:
		metric_add(METRIC_LMTP_REFUSED, 1);
		lmtp_client_reply(c, "550 5.1.1 <%s> User unknown", r->address);
		break;
	default:
		metric_add(METRIC_LMTP_DEFERRED, 1);
		lmtp_client_reply(c, "451 4.3.0 <%s> Temporary failure (%s)", r->address, c->trace);
	}
	log_info("lmtp-delivery", "recipient", LOG_ADDR(r->address), "sender", LOG_ADDR(c->sender),
		"result", LOG_STR(code == ERR_NONE ? "ok" : err_code_name(code)), "size",
		LOG_UINT(c->body.size), "duplicate",
		LOG_INT(r->n_targets > 0 && r->targets[0].duplicate), NULL);
}

static void deliveries_done(struct lmtp_client *c)
{
	log_trace(c->trace);
	for (size_t i = 0; i < c->n_recipients; i++)
		recipient_reply(c, &c->recipients[i]);
	log_trace(NULL);
	lmtp_transaction_reset(c);
	lmtp_client_resume(c);
}

static void deliver_answered(struct result *r, void *ctx)
{
	struct lmtp_target *t = ctx;
	struct lmtp_client *c = t->client;

	t->code = r->code;
	t->duplicate = r->code == ERR_NONE && result_uint(r, "duplicate") != 0;
	if (r->code != ERR_NONE && r->code != ERR_QUOTA)
		log_warning("lmtp-commit-failed", "trace", LOG_STR(c->trace), "code",
			LOG_STR(err_code_name(r->code)), "text", LOG_SPAN(r->text), NULL);
	if (--c->deliveries_open == 0)
		deliveries_done(c);
}

/* CORNERS M13: only a message that begins with Received: was made by an MTA, whose retries are
 * byte for byte the same; anything else is delivered as often as it is sent. */
static bool digest_for(struct lmtp_client *c, const unsigned char *octets,
	const struct lmtp_recipient *r, unsigned char out_r[SHA256_SIZE])
{
	struct buf key;
	bool ok;

	if (!span_starts_nocase(buf_span(&c->first), "Received:"))
		return false;
	buf_init(&key);
	buf_add(&key, octets, SHA256_SIZE);
	buf_add_block(&key, c->sender, strlen(c->sender));
	buf_add_block(&key, r->address, strlen(r->address));
	ok = EVP_Digest(key.data, key.len, out_r, NULL, EVP_sha256(), NULL) == 1;
	buf_clear(&key);
	return ok;
}

static void deliver_target(struct lmtp_client *c, const struct lmtp_recipient *r,
	struct lmtp_target *t, const unsigned char *digest)
{
	struct call *call = call_new(c->lmtp->deliver, "DELIVER");
	uint64_t now = clock_boot_ms();

	(void)r;
	call_str(call, "recipient", t->answer);
	call_str(call, "mailbox", t->mailbox);
	call_uint(call, "flags", 0);
	call_int(call, "date", clock_wall_s());
	call_int(call, "tz", 0);
	call_str(call, "receipt", c->receipt);
	if (digest != NULL)
		call_hex(call, "digest", digest, SHA256_SIZE);
	call_trace(call, c->trace);
	call_body_span(call, buf_span(&c->meta));
	c->deliveries_open++;
	(void)call_send(call, now < c->deadline_ms ? c->deadline_ms - now : 1, deliver_answered, t);
}

static void deliver_all(struct lmtp_client *c)
{
	unsigned char octets[SHA256_SIZE], digest[SHA256_SIZE];

	(void)EVP_DigestFinal_ex(c->octets, octets, NULL);
	for (size_t i = 0; i < c->n_recipients; i++) {
		struct lmtp_recipient *r = &c->recipients[i];
		bool once = digest_for(c, octets, r, digest);

		for (size_t k = 0; k < r->n_targets; k++)
			deliver_target(c, r, &r->targets[k], once ? digest : NULL);
	}
	if (c->deliveries_open == 0)
		deliveries_done(c);
}

static void body_refuse(struct lmtp_client *c, const char *reply)
{
	metric_add(METRIC_LMTP_DEFERRED, c->n_recipients);
	reply_all(c, reply);
	lmtp_transaction_reset(c);
	lmtp_client_resume(c);
}

static void put_answered(struct result *r, void *ctx)
{
	struct lmtp_client *c = ctx;
	unsigned char stored[SHA256_SIZE];

	c->put_open = false;
	if (c->mode == LMTP_MODE_DATA || c->mode == LMTP_MODE_BDAT || !c->waiting) {
		c->body_failed = true; /* it failed while the body still arrives */
		return;
	}
	if (r->code != ERR_NONE) {
		log_warning("lmtp-put-failed", "trace", LOG_STR(c->trace), "code",
			LOG_STR(err_code_name(r->code)), "text", LOG_SPAN(r->text), NULL);
		body_refuse(c, "451 4.3.0 Temporary failure, the message could not be stored");
		return;
	}
	/* What was stored must be what was received: promise 5. */
	if (!hex_decode(result_span(r, "sha256"), stored, sizeof(stored)) ||
		memcmp(stored, c->body.sha256, sizeof(stored)) != 0 ||
		result_uint(r, "size") != c->body.size) {
		log_error("lmtp-stored-body-differs", "trace", LOG_STR(c->trace), NULL);
		body_refuse(c, "451 4.3.0 Temporary failure, the message could not be stored");
		return;
	}
	c->receipt = mem_strdup(result_str(r, "receipt"));
	deliver_all(c);
}

static void body_put_whole(struct lmtp_client *c)
{
	struct call *call = call_new(c->lmtp->put, "PUT");

	call_uint(call, "size", c->body.size);
	call_trace(call, c->trace);
	if (c->body.fd < 0)
		call_body_span(call, buf_span(&c->body.memory));
	else
		call_fd(call, c->body.fd, false);
	(void)call_send(call, DELIVERY_TIMEOUT_MS, put_answered, c);
}

static void body_put_final(struct lmtp_client *c)
{
	struct call *call = call_new(c->lmtp->put, "GROWN");

	call_uint(call, "put", c->put_tag);
	call_uint(call, "size", c->body.size);
	call_uint(call, "final", 1);
	(void)call_send(call, DELIVERY_TIMEOUT_MS, NULL, NULL);
}

void lmtp_body_end(struct lmtp_client *c)
{
	const struct mime_message *m;

	c->deadline_ms = clock_boot_ms() + DELIVERY_TIMEOUT_MS;
	if (c->too_large || c->body_failed) {
		reply_all(c, c->too_large ? "552 5.3.4 Message too large"
					  : "451 4.3.0 Temporary failure, no room for the message");
		lmtp_transaction_reset(c);
		return;
	}
	m = message_body_finish(&c->body);
	meta_build(m, &c->meta);
	c->waiting = true;
	if (c->put_open)
		body_put_final(c);
	else
		body_put_whole(c);
}
