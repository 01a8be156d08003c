/* IMAP before login: RFC 3501 6.1 and 6.2, RFC 2971 (ID), RFC 4959 (SASL-IR), RFC 7888 (LITERAL-).
 */
#include "services/login/login.h"
#include "services/login/login-command.h"

#include "lib-common/mem.h"

static bool plaintext_allowed(const struct login_client *c)
{
	return login_conn_is_secure(c) || !c->login->settings->disable_plaintext_auth;
}

/* What is advertised depends on what is possible in this very state. */
static void add_capabilities(struct login_client *c, struct buf *out)
{
	buf_add_str(out, "IMAP4rev1 SASL-IR LITERAL- ID");
	if (!login_conn_is_secure(c) && c->login->tls != NULL)
		buf_add_str(out, " STARTTLS");
	if (plaintext_allowed(c))
		buf_add_str(out, " AUTH=PLAIN AUTH=LOGIN");
	else
		buf_add_str(out, " LOGINDISABLED");
}

void login_imap_greet(struct login_client *c)
{
	buf_add_str(&c->out, "* OK [CAPABILITY ");
	add_capabilities(c, &c->out);
	login_client_reply(c, "] %s", c->login->settings->greeting);
	c->greeted = true;
}

static void reply_tagged(struct login_client *c, const char *text)
{
	login_client_reply(c, "%s %s", c->tag, text);
}

static void reply_bad(struct login_client *c, const char *text)
{
	c->bad_commands++;
	reply_tagged(c, text);
}

static void cmd_capability(struct login_client *c, struct span args)
{
	if (args.n > 0) {
		reply_bad(c, "BAD No arguments, please");
		return;
	}
	buf_add_str(&c->out, "* CAPABILITY ");
	add_capabilities(c, &c->out);
	buf_add_str(&c->out, "\r\n");
	reply_tagged(c, "OK Completed");
}

static void cmd_noop(struct login_client *c, struct span args)
{
	(void)args;
	reply_tagged(c, "OK Completed");
}

static void cmd_logout(struct login_client *c, struct span args)
{
	(void)args;
	login_client_reply(c, "* BYE Logging out");
	reply_tagged(c, "OK Completed");
	c->state = LOGIN_CLOSING;
}

static void cmd_id(struct login_client *c, struct span args)
{
	args = span_trim(args);
	if (!span_is_nocase(args, "NIL") &&
		(args.n < 2 || args.p[0] != '(' || args.p[args.n - 1] != ')')) {
		reply_bad(c, "BAD ID needs NIL or a list");
		return;
	}
	login_client_reply(c, "* ID (\"name\" \"LightMail\")");
	reply_tagged(c, "OK Completed");
}

static void cmd_starttls(struct login_client *c, struct span args)
{
	if (args.n > 0 || login_conn_is_secure(c) || c->login->tls == NULL) {
		reply_bad(c, "BAD TLS is active, or not configured");
		return;
	}
	reply_tagged(c, "OK Begin TLS negotiation now");
	login_client_start_tls(c);
}

static bool refuse_plaintext(struct login_client *c)
{
	if (plaintext_allowed(c))
		return false;
	c->bad_commands++;
	reply_tagged(c, "NO [PRIVACYREQUIRED] Use STARTTLS first");
	return true;
}

/* LOGIN is the PLAIN mechanism in other words. */
static void cmd_login(struct login_client *c, struct span args)
{
	struct buf plain, initial;
	struct span text;

	if (refuse_plaintext(c))
		return;
	buf_init(&plain);
	buf_init(&initial);
	buf_add_c(&plain, '\0');
	if (login_command_astring(&args, &plain)) {
		buf_add_c(&plain, '\0');
		if (args.n > 0 && args.p[0] == ' ' && login_command_astring(&args, &plain) &&
			args.n == 0) {
			buf_add_base64(&initial, plain.data, plain.len);
			text = buf_span(&initial);
			login_auth_start(c, SPAN("PLAIN"), &text);
		}
	}
	if (initial.len == 0)
		reply_bad(c, "BAD LOGIN user password");
	buf_wipe(&plain);
	buf_wipe(&initial);
}

static void cmd_authenticate(struct login_client *c, struct span args)
{
	struct span mechanism = {NULL, 0}, initial;

	(void)span_cut(&args, ' ', &mechanism);
	if (mechanism.n == 0 || mechanism.n > 20) {
		reply_bad(c, "BAD AUTHENTICATE mechanism [initial response]");
		return;
	}
	if (refuse_plaintext(c))
		return;
	if (!span_is_nocase(mechanism, "PLAIN") && !span_is_nocase(mechanism, "LOGIN")) {
		reply_bad(c, "NO [CANNOT] Unsupported mechanism");
		return;
	}
	initial = span_trim(args);
	if (span_is(initial, "=")) /* RFC 4959 3: present, and empty */
		initial = span_from("", 0);
	login_auth_start(c, mechanism, args.p == NULL || args.n == 0 ? NULL : &initial);
}

static const struct {
	const char *name;
	void (*handle)(struct login_client *c, struct span args);
} commands[] = {
	{"CAPABILITY", cmd_capability},
	{"NOOP", cmd_noop},
	{"LOGOUT", cmd_logout},
	{"ID", cmd_id},
	{"STARTTLS", cmd_starttls},
	{"LOGIN", cmd_login},
	{"AUTHENTICATE", cmd_authenticate},
};

static void command_run(struct login_client *c, struct span whole)
{
	struct login_command cmd;

	if (!login_command_split(whole, &cmd)) {
		c->bad_commands++;
		login_client_reply(c, "* BAD Invalid tag");
		return;
	}
	mem_free(c->tag);
	c->tag = mem_dup(cmd.tag.p, cmd.tag.n);
	for (size_t i = 0; i < array_count(commands); i++) {
		if (span_is_nocase(cmd.name, commands[i].name)) {
			commands[i].handle(c, cmd.args);
			return;
		}
	}
	reply_bad(c, cmd.name.n == 0 ? "BAD Command expected" : "BAD Unknown command before login");
}

static bool take_command(struct login_client *c)
{
	unsigned literals;
	size_t length;
	char *copy;
	const struct login_limits limits = {
		c->login->settings->max_line_length, c->login->settings->max_literal_size};

	/* ALPACA: another protocol's client is not listened to. */
	if (c->bad_commands == 0 && c->in.len >= 5 &&
		(memcmp(c->in.data, "GET /", 5) == 0 || memcmp(c->in.data, "POST ", 5) == 0 ||
			memcmp(c->in.data, "PUT /", 5) == 0 ||
			memcmp(c->in.data, "EHLO ", 5) == 0)) {
		login_client_bye(c, "This is IMAP");
		return false;
	}
	switch (login_command_scan(
		buf_span(&c->in), &limits, c->literals_answered, &length, &literals)) {
	case LOGIN_SCAN_MORE:
		return false;
	case LOGIN_SCAN_LITERAL:
		c->literals_answered = literals;
		login_client_reply(c, "+ OK");
		return true;
	case LOGIN_SCAN_TOO_LONG:
		login_client_bye(c, "Command too long");
		return false;
	case LOGIN_SCAN_COMMAND:
		break;
	}
	c->literals_answered = 0;
	copy = mem_dup(c->in.data, length);
	buf_consume(&c->in, length);
	command_run(c, span_from(copy, length));
	mem_wipe(copy, length);
	mem_free(copy);
	return true;
}

static bool take_response(struct login_client *c)
{
	struct span in = buf_span(&c->in), line;
	const char *lf = memchr(in.p, '\n', in.n);
	char *copy;

	if (lf == NULL) {
		if (in.n > c->login->settings->max_line_length)
			login_client_bye(c, "Response too long");
		return false;
	}
	line = span_from(in.p, (size_t)(lf - in.p));
	copy = mem_dup(line.p, line.n);
	buf_consume(&c->in, line.n + 1);
	line = span_from(copy, line.n > 0 && copy[line.n - 1] == '\r' ? line.n - 1 : line.n);
	c->state = LOGIN_COMMAND;
	if (span_is(line, "*")) {
		login_auth_cancel(c);
		reply_bad(c, "BAD Authentication cancelled");
	} else {
		login_auth_continue(c, line);
	}
	mem_wipe(copy, line.n);
	mem_free(copy);
	return true;
}

bool login_imap_take(struct login_client *c)
{
	return c->state == LOGIN_SASL ? take_response(c) : take_command(c);
}

void login_imap_challenge(struct login_client *c, struct span challenge)
{
	c->state = LOGIN_SASL;
	login_client_reply(c, "+ %.*s", (int)challenge.n, challenge.p);
}

void login_imap_auth_result(struct login_client *c, enum err_code code, const char *text)
{
	c->state = LOGIN_COMMAND;
	switch (code) {
	case ERR_DENIED:
		c->bad_commands++;
		metric_add(METRIC_LOGIN_REFUSED, 1);
		login_client_reply(c, "%s NO [AUTHENTICATIONFAILED] %s", c->tag,
			text[0] == '\0' ? "Authentication failed" : text);
		if (++c->failures >= c->login->settings->max_failures)
			login_client_bye(c, "Too many failed logins");
		break;
	case ERR_PROTO:
		reply_bad(c, "BAD Malformed authentication response");
		break;
	case ERR_LIMIT:
		login_client_reply(c, "%s NO [LIMIT] %s", c->tag,
			text[0] == '\0' ? "Too many attempts, try again later" : text);
		break;
	default:
		metric_add(METRIC_LOGIN_TEMPFAILED, 1);
		reply_tagged(c, "NO [UNAVAILABLE] Temporary failure, try again later");
	}
}

void login_imap_handoff_failed(struct login_client *c, enum err_code code, const char *text)
{
	login_auth_forget(c);
	login_imap_auth_result(c, code == ERR_LIMIT ? ERR_LIMIT : ERR_TEMP,
		text == NULL ? (code == ERR_LIMIT ? "Too many sessions" : "") : text);
}
