/* The commands of RFC 2033 and 5321, as a table; each replies at once or sets `waiting`. */
#include "services/lmtp/lmtp.h"

#include "lib-common/mem.h"

static void recipient_clear(struct lmtp_client *c, struct lmtp_recipient *r)
{
	for (size_t k = 0; k < r->n_targets; k++) {
		client_forget(c->lmtp->deliver, &r->targets[k]);
		mem_free(r->targets[k].account);
		mem_free(r->targets[k].mailbox);
		mem_free(r->targets[k].answer);
	}
	mem_free(r->targets);
	mem_free(r->address);
}

void lmtp_transaction_reset(struct lmtp_client *c)
{
	lmtp_body_abort(c);
	for (size_t i = 0; i < c->n_recipients; i++)
		recipient_clear(c, &c->recipients[i]);
	mem_free(c->recipients);
	c->recipients = NULL;
	c->n_recipients = 0;
	mem_free(c->pending_address);
	c->pending_address = NULL;
	mem_free(c->sender);
	c->sender = NULL;
	c->has_sender = false;
	c->sender_utf8 = false;
	c->bdat_failed = false;
	c->declared_size = 0;
	c->checks_open = 0;
}

static void cmd_bad(struct lmtp_client *c, const char *reply)
{
	c->bad_commands++;
	lmtp_client_reply(c, "%s", reply);
}

static void cmd_lhlo(struct lmtp_client *c, struct span args)
{
	struct span name = span_trim(args);

	if (name.n == 0 || name.n > 255) {
		cmd_bad(c, "501 5.5.4 LHLO needs a domain");
		return;
	}
	lmtp_transaction_reset(c);
	mem_free(c->lhlo);
	c->lhlo = mem_dup(name.p, name.n);
	lmtp_client_reply(c, "250-%s", service_global(c->lmtp->svc)->hostname);
	lmtp_client_reply(c, "250-PIPELINING");
	lmtp_client_reply(c, "250-ENHANCEDSTATUSCODES");
	lmtp_client_reply(c, "250-8BITMIME");
	lmtp_client_reply(c, "250-SMTPUTF8");
	lmtp_client_reply(c, "250-CHUNKING");
	lmtp_client_reply(
		c, "250 SIZE %llu", (unsigned long long)c->lmtp->settings->message_size_limit);
}

/* false when a reply was made. */
static bool mail_param(struct lmtp_client *c, struct span key, struct span value, uint64_t *size_r)
{
	if (span_is_nocase(key, "SIZE")) {
		if (num_u64(value, size_r))
			return true;
		cmd_bad(c, "501 5.5.4 SIZE needs a number");
	} else if (span_is_nocase(key, "BODY")) {
		if (span_is_nocase(value, "7BIT") || span_is_nocase(value, "8BITMIME"))
			return true;
		cmd_bad(c, "501 5.5.4 BODY is 7BIT or 8BITMIME");
	} else if (span_is_nocase(key, "SMTPUTF8") && value.p == NULL) {
		c->sender_utf8 = true;
		return true;
	} else {
		cmd_bad(c, "555 5.5.4 Unknown MAIL parameter");
	}
	return false;
}

static void cmd_mail(struct lmtp_client *c, struct span args)
{
	struct lmtp_path path;
	struct span key, value;
	uint64_t size = 0;
	bool bad;

	if (c->lhlo == NULL || c->has_sender) {
		cmd_bad(c, c->lhlo == NULL ? "503 5.5.1 LHLO first"
					   : "503 5.5.1 Sender given already");
		return;
	}
	if (!span_starts_nocase(args, "FROM:")) {
		cmd_bad(c, "501 5.5.4 MAIL FROM:<address>");
		return;
	}
	args = span_from(args.p + 5, args.n - 5);
	if (!lmtp_path_parse(&args, true, &path)) {
		cmd_bad(c, "501 5.1.7 Malformed sender address");
		return;
	}
	c->sender_utf8 = false;
	while (lmtp_param_next(&args, &key, &value, &bad)) {
		if (bad) {
			cmd_bad(c, "501 5.5.4 Malformed parameter");
			return;
		}
		if (!mail_param(c, key, value, &size))
			return;
	}
	if (path.has_8bit && !c->sender_utf8) {
		cmd_bad(c, "553 5.6.7 This address needs SMTPUTF8");
		return;
	}
	if (size > c->lmtp->settings->message_size_limit) {
		lmtp_client_reply(c, "552 5.3.4 Message too large");
		return;
	}
	c->has_sender = true;
	c->declared_size = size;
	c->sender = mem_strdup(path.address);
	trace_id_make(c->trace);
	lmtp_client_reply(c, "250 2.1.0 OK");
}

static void recipient_add(struct lmtp_client *c, const char *address, struct span body)
{
	struct lmtp_recipient *r;
	struct span line, part;

	c->recipients = mem_realloc_array(
		c->recipients, c->n_recipients + 1, sizeof(*c->recipients));
	r = &c->recipients[c->n_recipients++];
	*r = (struct lmtp_recipient){.address = mem_strdup(address)};
	while (span_cut(&body, '\n', &line)) {
		struct lmtp_target *t;
		struct buf text;
		char *fields[5] = {NULL};

		if (line.n == 0)
			continue;
		for (size_t i = 0; i < array_count(fields); i++) {
			buf_init(&text);
			if (span_cut(&line, '\t', &part) && channel_unescape(&text, part))
				fields[i] = buf_steal(&text, NULL);
			else
				fields[i] = mem_strdup("");
			buf_clear(&text);
		}
		r->targets = mem_realloc_array(r->targets, r->n_targets + 1, sizeof(*r->targets));
		t = &r->targets[r->n_targets++];
		*t = (struct lmtp_target){.client = c,
			.account = fields[0],
			.mailbox = fields[2],
			.answer = fields[3],
			.limited = strcmp(fields[4], "1") == 0};
		mem_free(fields[1]);
		mem_free(fields[4]);
	}
}

/* Full is who has no room for the announced size; whoever cannot be asked now is asked again by the
 * delivery itself. An alias is full when all behind it are. */
static void check_answered(struct result *r, void *ctx)
{
	struct lmtp_target *t = ctx;
	struct lmtp_client *c = t->client;
	struct lmtp_recipient *rcpt = &c->recipients[c->n_recipients - 1];
	bool full = rcpt->n_targets > 0;

	t->code = r->code == ERR_QUOTA ? ERR_QUOTA : ERR_NONE;
	if (--c->checks_open > 0)
		return;
	for (size_t k = 0; k < rcpt->n_targets; k++)
		full = full && rcpt->targets[k].code == ERR_QUOTA;
	if (full) {
		lmtp_client_reply(c, "552 5.2.2 <%s> Mailbox full", rcpt->address);
		c->n_recipients--;
		recipient_clear(c, rcpt);
	} else {
		lmtp_client_reply(c, "250 2.1.5 OK");
	}
	lmtp_client_resume(c);
}

/* RFC 1870 6.1: the size is known before the message is sent. */
static bool recipient_check_room(struct lmtp_client *c)
{
	struct lmtp_recipient *r = &c->recipients[c->n_recipients - 1];

	for (size_t k = 0; k < r->n_targets && c->declared_size > 0; k++) {
		struct call *call;

		if (!r->targets[k].limited)
			continue;
		call = call_new(c->lmtp->deliver, "CHECK");
		call_str(call, "recipient", r->targets[k].answer);
		call_uint(call, "size", c->declared_size);
		call_trace(call, c->trace);
		c->checks_open++;
		(void)call_send(call, 30000, check_answered, &r->targets[k]);
	}
	return c->checks_open > 0;
}

static void rcpt_answered(struct result *r, void *ctx)
{
	struct lmtp_client *c = ctx;
	char *address = c->pending_address;

	switch (r->code) {
	case ERR_NONE:
		recipient_add(c, address, r->body);
		if (recipient_check_room(c)) {
			mem_free(address);
			c->pending_address = NULL;
			return;
		}
		lmtp_client_reply(c, "250 2.1.5 OK");
		break;
	case ERR_NOTFOUND:
		lmtp_client_reply(c, "550 5.1.1 <%s> User unknown", address);
		break;
	case ERR_DENIED:
		lmtp_client_reply(c, "550 5.2.1 <%s> Mailbox disabled", address);
		break;
	case ERR_QUOTA:
		lmtp_client_reply(c, "552 5.2.2 <%s> Mailbox full", address);
		break;
	default:
		log_warning("lmtp-lookup-failed", "address", LOG_ADDR(address), "code",
			LOG_STR(err_code_name(r->code)), NULL);
		lmtp_client_reply(c, "451 4.3.0 <%s> Temporary lookup failure", address);
	}
	mem_free(address);
	c->pending_address = NULL;
	lmtp_client_resume(c);
}

static void cmd_rcpt(struct lmtp_client *c, struct span args)
{
	struct lmtp_path path;
	struct span key, value;
	struct call *call;
	bool bad;

	if (!c->has_sender) {
		cmd_bad(c, "503 5.5.1 MAIL first");
		return;
	}
	if (c->body_started) {
		cmd_bad(c, "503 5.5.1 Not after BDAT");
		return;
	}
	if (!span_starts_nocase(args, "TO:")) {
		cmd_bad(c, "501 5.5.4 RCPT TO:<address>");
		return;
	}
	args = span_from(args.p + 3, args.n - 3);
	if (!lmtp_path_parse(&args, false, &path)) {
		cmd_bad(c, "501 5.1.3 Malformed recipient address");
		return;
	}
	if (lmtp_param_next(&args, &key, &value, &bad)) {
		cmd_bad(c, "555 5.5.4 Unknown RCPT parameter");
		return;
	}
	if (path.has_8bit && !c->sender_utf8) {
		cmd_bad(c, "553 5.6.7 This address needs SMTPUTF8");
		return;
	}
	if (c->n_recipients >= c->lmtp->settings->max_recipients) {
		lmtp_client_reply(c, "452 4.5.3 Too many recipients");
		return;
	}
	c->pending_address = mem_strdup(path.address);
	c->waiting = true;
	call = call_new(c->lmtp->lookup, "RCPT");
	call_str(call, "address", path.address);
	call_trace(call, c->trace);
	(void)call_send(call, 30000, rcpt_answered, c);
}

/* RFC 2033 4.2: DATA with no valid recipient is 503. */
static bool data_allowed(struct lmtp_client *c)
{
	return c->has_sender && c->n_recipients > 0;
}

static void cmd_data(struct lmtp_client *c, struct span args)
{
	if (args.n > 0) {
		cmd_bad(c, "501 5.5.4 DATA has no arguments");
		return;
	}
	if (!data_allowed(c) || c->body_started) {
		cmd_bad(c, "503 5.5.1 No valid recipients, or BDAT begun");
		return;
	}
	lmtp_client_reply(c, "354 End data with <CR><LF>.<CR><LF>");
	lmtp_data_init(&c->data);
	lmtp_body_start(c);
	c->mode = LMTP_MODE_DATA;
}

/* RFC 3030: the octets follow the command whatever it is answered, so they are always taken. */
static void cmd_bdat(struct lmtp_client *c, struct span args)
{
	struct span size = {NULL, 0}, last = {NULL, 0};

	args = span_trim(args);
	(void)span_cut(&args, ' ', &size);
	if (args.p != NULL)
		last = span_trim(args);
	if (!num_u64(size, &c->bdat_left) || (last.n > 0 && !span_is_nocase(last, "LAST"))) {
		cmd_bad(c, "501 5.5.4 BDAT size [LAST]");
		return;
	}
	c->bdat_last = last.n > 0;
	c->bdat_failed = !data_allowed(c);
	if (!c->bdat_failed && !c->body_started)
		lmtp_body_start(c);
	c->mode = LMTP_MODE_BDAT;
}

static void cmd_rset(struct lmtp_client *c, struct span args)
{
	(void)args;
	lmtp_transaction_reset(c);
	lmtp_client_reply(c, "250 2.0.0 OK");
}

static void cmd_noop(struct lmtp_client *c, struct span args)
{
	(void)args;
	lmtp_client_reply(c, "250 2.0.0 OK");
}

static void cmd_vrfy(struct lmtp_client *c, struct span args)
{
	(void)args;
	lmtp_client_reply(c, "252 2.5.0 Send mail to find out");
}

static void cmd_help(struct lmtp_client *c, struct span args)
{
	(void)args;
	lmtp_client_reply(c, "214 2.0.0 LHLO MAIL RCPT DATA BDAT RSET NOOP VRFY QUIT");
}

static void cmd_quit(struct lmtp_client *c, struct span args)
{
	(void)args;
	lmtp_client_reply(c, "221 2.0.0 Bye");
	c->mode = LMTP_MODE_CLOSING;
}

static const struct {
	const char *name;
	void (*handle)(struct lmtp_client *c, struct span args);
} commands[] = {
	{"LHLO", cmd_lhlo},
	{"MAIL", cmd_mail},
	{"RCPT", cmd_rcpt},
	{"DATA", cmd_data},
	{"BDAT", cmd_bdat},
	{"RSET", cmd_rset},
	{"NOOP", cmd_noop},
	{"VRFY", cmd_vrfy},
	{"HELP", cmd_help},
	{"QUIT", cmd_quit},
};

void lmtp_command(struct lmtp_client *c, struct span line)
{
	struct span verb = {NULL, 0}, args;

	line = span_trim(line);
	args = span_from(line.p, line.n);
	(void)span_cut(&args, ' ', &verb);
	if (args.p == NULL)
		args = span_from("", 0);
	for (size_t i = 0; i < array_count(commands); i++) {
		if (span_is_nocase(verb, commands[i].name)) {
			commands[i].handle(c, args);
			return;
		}
	}
	if (span_is_nocase(verb, "HELO") || span_is_nocase(verb, "EHLO")) {
		cmd_bad(c, "500 5.5.1 This is LMTP: say LHLO"); /* RFC 2033 4.1 */
		return;
	}
	/* ALPACA: a browser's request must not go on until something in it is a command. */
	if (span_is(verb, "GET") || span_is(verb, "POST") || span_is(verb, "PUT") ||
		span_is(verb, "CONNECT") || span_is(verb, "OPTIONS") || span_is(verb, "HEAD")) {
		lmtp_client_reply(c, "421 4.7.0 This is not HTTP");
		c->mode = LMTP_MODE_CLOSING;
		return;
	}
	cmd_bad(c, "500 5.5.1 Unknown command");
}
