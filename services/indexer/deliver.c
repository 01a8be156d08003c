/* indexer/deliver: what lmtp may ask: to add a message for a recipient that auth vouches for. */
#include "lib-common/log.h"
#include "lib-common/mem.h"
#include "lib-common/metrics.h"
#include "lib-storage/mailbox-name.h"
#include "services/indexer/indexer.h"

static void deliver_done(struct write_task *t)
{
	log_trace(request_trace(t->request));
	metric_add(t->err.code != ERR_NONE ? METRIC_INDEXER_REFUSED
		   : t->duplicate	   ? METRIC_INDEXER_REPEATED
					   : METRIC_INDEXER_DELIVERED,
		1);
	if (t->err.code == ERR_NONE)
		log_info(t->duplicate ? "delivery-repeated" : "delivered", "account",
			LOG_UINT(t->account), "mailbox", LOG_SPAN(t->name_r), "uid",
			LOG_UINT(t->uid), NULL);
	else
		log_info("delivery-refused", "account", LOG_UINT(t->account), "error",
			LOG_ERR(&t->err), NULL);
	log_trace(NULL);
	if (reply_write_failed(t))
		return;
	reply_uint(t->request, "uid", t->uid);
	reply_uint(t->request, "uidvalidity", t->uidvalidity);
	reply_span(t->request, "mailbox", t->name_r);
	reply_uint(t->request, "duplicate", t->duplicate);
	reply_ok(t->request);
	write_task_free(t);
}

/* The detail of an address as a mailbox: what is no valid name goes to INBOX. */
static void deliver_mailbox(struct indexer *ix, struct write_task *t)
{
	struct span wanted = request_span(t->request, "mailbox");
	struct buf name;
	struct err e;

	t->fallback_inbox = true;
	t->name = SPAN("INBOX");
	buf_init(&name);
	if (wanted.n > 0 && mailbox_name_normalise(wanted, &name, &e) == 0) {
		t->name = span_from(arena_dup(t->arena, name.data, name.len), name.len);
		t->auto_create = ix->config.subaddress_create;
	}
	buf_clear(&name);
}

static bool deliver_digest(struct write_task *t)
{
	struct span hex = request_span(t->request, "digest");
	char *octets = arena_alloc(t->arena, 32);

	if (hex.n == 0)
		return true;
	t->digest = span_from(octets, 32);
	if (hex_decode(hex, octets, 32))
		return true;
	reply_code(t->request, ERR_PROTO, "Bad digest");
	return false;
}

static void cmd_deliver(struct request *req)
{
	struct indexer *ix = indexer_self();
	struct ticket answer;
	struct write_task *t;
	struct err e;

	if (ticket_open(request_span(req, "recipient"), TICKET_RECIPIENT, ix->ticket_key,
		    clock_boot_ms(), &answer, &e) < 0 ||
		(answer.shard != 0 && err_set(&e, ERR_DENIED, "another shard's recipient") < 0)) {
		/* an answer that grew old while the mail came in is asked for again */
		e.code = ERR_TEMP;
		log_warning("recipient-refused", "why", LOG_ERR(&e), NULL);
		reply_fail(req, &e);
		return;
	}
	t = request_write(req, answer.account, write_deliver, deliver_done);
	t->user = span_of(arena_strdup(t->arena, answer.user));
	t->generation = answer.generation;
	t->quota_bytes = answer.quota_bytes;
	t->quota_messages = answer.quota_messages;
	t->create_account = true;
	deliver_mailbox(ix, t);
	if (deliver_digest(t) && request_message(ix, req, t))
		writer_put(ix->writer, t);
	else
		write_task_free(t);
}

/* ---- is there room? asked at RCPT, so that the message need not be sent ---- */

static void check_done(struct read_task *t)
{
	uint64_t size = request_uint(t->request, "size");

	if (t->err.code == ERR_NOTFOUND) { /* an account that has had no mail yet */
		t->err.code = ERR_NONE;
		t->used_bytes = t->used_messages = 0;
	}
	if (reply_read_failed(t))
		return;
	if ((t->quota_bytes != 0 && t->used_bytes + size > t->quota_bytes) ||
		(t->quota_messages != 0 && t->used_messages + 1 > t->quota_messages))
		reply_code(t->request, ERR_QUOTA, "Mailbox full");
	else
		reply_ok(t->request);
	read_task_free(t);
}

static void cmd_check(struct request *req)
{
	struct indexer *ix = indexer_self();
	struct ticket answer;
	struct read_task *t;
	struct err e;

	if (ticket_open(request_span(req, "recipient"), TICKET_RECIPIENT, ix->ticket_key,
		    clock_boot_ms(), &answer, &e) < 0) {
		e.code = ERR_TEMP;
		reply_fail(req, &e);
		return;
	}
	t = request_read(req, answer.account, read_quota, check_done);
	t->quota_bytes = answer.quota_bytes;
	t->quota_messages = answer.quota_messages;
	readers_put(ix->readers, t);
}

static const struct arg_def check_args[] = {
	{"recipient", ARG_SECRET, true, "recipient answer of auth/lookup"},
	{"size", ARG_UINT, true, "octets that the sender announces"},
	{NULL, ARG_STRING, false, NULL},
};

static const struct arg_def deliver_args[] = {
	{"recipient", ARG_SECRET, true, "recipient answer of auth/lookup"},
	{"mailbox", ARG_STRING, false, "mailbox name; empty or not there: INBOX"},
	{"flags", ARG_UINT, false, "system flags"},
	{"keywords", ARG_STRING, false, "keywords, separated by blanks"},
	{"date", ARG_INT, false, "internal date, Unix seconds; absent: now"},
	{"tz", ARG_INT, false, "its time zone, minutes east"},
	{"receipt", ARG_SECRET, true, "of the body, from objects/put"},
	{"digest", ARG_HEX, false,
		"of what was received: a repetition within the window is no new message"},
	{NULL, ARG_STRING, false, NULL},
};

static const struct command_def deliver_commands[] = {
	{"DELIVER", deliver_args, COMMAND_BODY_OPTIONAL, COMMAND_FD_NONE, cmd_deliver,
		"Adds a message; body: its metadata."},
	{"CHECK", check_args, COMMAND_BODY_NONE, COMMAND_FD_NONE, cmd_check,
		"Is there room for a message of this size? Fails with quota. The delivery "
		"decides."},
	{NULL, NULL, COMMAND_BODY_NONE, COMMAND_FD_NONE, NULL, NULL},
};

const struct role_def indexer_deliver_role = {
	.name = "indexer/deliver",
	.commands = deliver_commands,
	.max_in_flight = 4096,
	.doc = "Delivers to recipients that auth has answered for; reads nothing.",
};
