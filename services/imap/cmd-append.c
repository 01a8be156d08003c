/*
 * APPEND (RFC 3501 6.3.11, APPENDUID: RFC 4315). The message's literal is not collected with the
 * command: its octets go to memory, beyond a limit to an unlinked file, hashed and parsed on the
 * way (message-body.h). When the command is whole the body goes to the object store, then its
 * receipt and the prepared metadata to indexer. A failure in between leaves at most an entry that
 * nothing names.
 */
#include "services/imap/commands.h"
#include "services/imap/imap-session.h"

#include "lib-storage/message-body.h"
#include "lib-storage/meta.h"

struct imap_append {
	struct arena *arena;
	const char *mailbox;
	uint64_t flags;
	struct buf keywords;
	int64_t date;
	int tz_minutes;
	size_t command_len; /* with the literal's announcement: nothing may follow it */
	struct message_body body;
	const struct mime_message *message; /* of the body, when it is whole */
	bool failed;			    /* no room for it: what comes is dropped */
	bool deciding;
};

void imap_append_abort(struct imap_client *c)
{
	struct imap_append *a = c->append;

	if (a == NULL)
		return;
	c->append = NULL;
	if (a->deciding && c->session.channel != NULL)
		client_forget(c->session.channel, c);
	message_body_clear(&a->body);
	buf_clear(&a->keywords);
	arena_free(a->arena);
	mem_free(a);
}

/* What stands in front of the message: SP [flag-list SP] [date-time SP]. False: the parser's error.
 */
static bool parse_options(struct imap_client *c, struct imap_append *a)
{
	struct imap_parser *p = &c->cmd.args;

	a->date = clock_wall_s();
	if (!imap_parse_space(p))
		return false;
	if (imap_parser_peek(p) == '(' &&
		(!imap_parse_flags(c, true, &a->flags, &a->keywords) || !imap_parse_space(p)))
		return false;
	if (imap_parser_peek(p) == '"' &&
		(!imap_parse_date_time(p, &a->date, &a->tz_minutes) || !imap_parse_space(p)))
		return false;
	return imap_parser_peek(p) == '{';
}

static void say_early(struct imap_client *c, const char *status, const char *text)
{
	struct span tag = imap_lexer_tag(&c->lexer);

	buf_add_span(&c->out, tag);
	buf_add_str(&c->out, status);
	buf_add_str(&c->out, text);
	buf_add_str(&c->out, "\r\n");
}

static void begin_stream(struct imap_client *c)
{
	message_body_start(&c->append->body);
	imap_lexer_stream(&c->lexer);
	if (c->lexer.literal_sync)
		buf_add_str(&c->out, "+ OK\r\n");
}

/* Before "+": is there room in the account (CORNERS S19)? The store checks again when it appends.
 */
static void on_quota(struct result *r, void *ctx)
{
	struct imap_client *c = ctx;
	uint64_t limit = result_uint(r, "quota_bytes");
	uint64_t used = result_uint(r, "used_bytes");

	c->append->deciding = false;
	if (r->code == ERR_NONE && limit != 0 &&
		(used > limit || c->lexer.literal_size > limit - used)) {
		say_early(c, " NO ", "[OVERQUOTA] The quota would be exceeded");
		(void)imap_lexer_refuse(&c->lexer);
	} else {
		begin_stream(c);
	}
	imap_client_wake(c);
}

static int decide(struct imap_client *c)
{
	struct call *call;

	if (c->lexer.literal_size > c->set->max_append_size) {
		say_early(c, " NO ", "[TOOBIG] The message is too large");
		return -1;
	}
	if (c->lexer.literal_sync && c->session.quota_bytes != 0 &&
		c->session.state == SESSION_READY) {
		c->append->deciding = true;
		call = call_new(c->session.channel, "QUOTA");
		imap_session_send(c, call, on_quota);
		return 1;
	}
	begin_stream(c);
	return 1;
}

int imap_append_literal(struct imap_client *c)
{
	struct span text = imap_lexer_command(&c->lexer), word;
	struct imap_append *a;
	struct err e = {0};
	int r = -1;

	if (c->append != NULL) {
		say_early(c, " BAD ", "One message at a time");
		return -1;
	}
	a = mem_alloc(sizeof(*a));
	a->arena = arena_new();
	a->command_len = text.n;
	message_body_init(&a->body);
	c->append = a;
	/* the helpers read from the running command; none runs yet */
	c->cmd.arena = a->arena;
	imap_parser_init(&c->cmd.args, text, a->arena);
	if (!imap_parse_tag(&c->cmd.args, &word) || !imap_parse_space(&c->cmd.args) ||
		!imap_parse_word(&c->cmd.args, "APPEND") || !imap_parse_space(&c->cmd.args) ||
		!imap_parse_astring(&c->cmd.args, &word)) {
		r = 0; /* another command, or the mailbox's name is the literal */
	} else if ((a->mailbox = imap_mailbox_name(c, word, &e)) == NULL) {
		say_early(c, " NO [CANNOT] ", err_user_text(&e));
	} else if (!parse_options(c, a)) {
		say_early(c, " BAD ",
			c->cmd.args.error != NULL ? c->cmd.args.error : "Invalid arguments");
		c->bad_commands++;
	} else {
		r = decide(c);
	}
	memset(&c->cmd, 0, sizeof(c->cmd));
	if (r <= 0)
		imap_append_abort(c);
	return r;
}

static int open_temp(void *ctx)
{
	struct imap_client *c = ctx;

	return service_temp_file(c->server->svc);
}

void imap_append_data(struct imap_client *c, struct span data)
{
	struct imap_append *a = c->append;
	struct err e = {0};

	if (a->failed)
		return;
	if (message_body_add(&a->body, data, open_temp, c, &e) < 0) {
		log_error("imap-append-failed", "error", LOG_ERR(&e), NULL);
		a->failed = true;
		message_body_clear(&a->body);
	}
}

void imap_append_data_end(struct imap_client *c)
{
	(void)c; /* the command's end decides */
}

/* ---- the command ---- */

static void append_free(struct imap_client *c)
{
	imap_append_abort(c);
}

static void on_appended(struct result *r, void *ctx)
{
	struct imap_client *c = ctx;
	char code[64];

	if (r->code == ERR_NOTFOUND) {
		imap_cmd_no(c, "TRYCREATE", "No such mailbox");
		return;
	}
	if (r->code != ERR_NONE) {
		imap_cmd_fail_result(c, r);
		return;
	}
	(void)snprintf(code, sizeof(code), "APPENDUID %llu %llu",
		(unsigned long long)result_uint(r, "uidvalidity"),
		(unsigned long long)result_uint(r, "uid"));
	imap_cmd_ok(c, code, "Append completed");
}

/* The stored octets must be those that came from the client (ARCHITECTURE: promise 5). */
static bool same_digest(struct imap_append *a, struct span hex)
{
	unsigned char stored[SHA256_SIZE];

	return hex_decode(hex, stored, sizeof(stored)) &&
	       memcmp(stored, a->body.sha256, sizeof(stored)) == 0;
}

static void on_put(struct result *r, void *ctx)
{
	struct imap_client *c = ctx;
	struct imap_append *a = c->append;
	struct call *call;
	struct span receipt;

	if (r->code != ERR_NONE) {
		imap_cmd_fail_result(c, r);
		return;
	}
	if (!same_digest(a, result_span(r, "sha256")) || result_uint(r, "size") != a->body.size) {
		log_error("imap-put-differs", "size", LOG_UINT(a->body.size), NULL);
		imap_cmd_no(c, "UNAVAILABLE", "The message could not be stored, try again later");
		return;
	}
	call = imap_session_call(c, "APPEND");
	if (call == NULL)
		return;
	receipt = result_span(r, "receipt");
	call_str(call, "mailbox-name", a->mailbox);
	call_uint(call, "flags", a->flags);
	if (a->keywords.len > 0)
		call_span(call, "keywords", buf_span(&a->keywords));
	call_int(call, "date", a->date);
	call_int(call, "tz", a->tz_minutes);
	call_span(call, "receipt", receipt);
	meta_build(a->message, call_body(call));
	imap_session_send(c, call, on_appended);
}

void cmd_append(struct imap_client *c)
{
	struct imap_append *a = c->append;
	struct client *store;
	struct call *call;

	c->cmd.free_state = append_free;
	if (a == NULL) {
		imap_cmd_bad(c, "A message literal is missing");
		return;
	}
	if (imap_lexer_command(&c->lexer).n != a->command_len) {
		imap_cmd_bad(c, "Unexpected text behind the message");
		return;
	}
	if (a->failed) {
		imap_cmd_no(c, "UNAVAILABLE", "No room for the message, try again later");
		return;
	}
	if (a->body.size == 0) {
		imap_cmd_no(c, "CANNOT", "The message is empty");
		return;
	}
	c->cmd.heavy = a->body.size > 65536;
	a->message = message_body_finish(&a->body);
	store = imap_objects_put(c->server);
	if (store == NULL) {
		imap_cmd_no(c, "UNAVAILABLE", "The object store is not available, try again later");
		return;
	}
	call = call_new(store, "PUT");
	call_uint(call, "size", a->body.size);
	call_hex(call, "sha256", a->body.sha256, sizeof(a->body.sha256));
	call_uint(call, "accounts", c->session.account);
	if (a->body.fd >= 0)
		call_fd(call, a->body.fd, false);
	else
		call_body_span(call, buf_span(&a->body.memory));
	call_trace(call, c->trace);
	(void)call_send(call, IMAP_CALL_MS, on_put, c);
}
