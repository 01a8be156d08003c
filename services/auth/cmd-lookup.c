/* auth/lookup: which accounts a recipient address reaches, each with a signed answer for indexer.
 */
#include "lib-common/mem.h"
#include "services/auth/auth.h"

struct lookup {
	struct auth *auth;
	struct buf *out;
	uint64_t now_ms;
};

static void lookup_target(void *ctx, const struct user *u, struct span detail)
{
	struct lookup *l = ctx;
	struct ticket t;

	ticket_init(&t, TICKET_RECIPIENT, l->now_ms);
	t.account = u->account;
	t.generation = u->generation;
	t.quota_bytes = u->quota_bytes;
	t.quota_messages = u->quota_messages;
	memcpy(t.user, u->name.text, strlen(u->name.text));
	buf_printf(l->out, "%llu\t", (unsigned long long)u->account);
	channel_escape(l->out, address_span(&u->name));
	buf_add_c(l->out, '\t');
	channel_escape(l->out, detail);
	buf_add_c(l->out, '\t');
	ticket_seal(&t, l->auth->ticket_key, l->out);
	buf_add_str(l->out, u->quota_bytes != 0 || u->quota_messages != 0 ? "\t1\n" : "\t0\n");
}

static void cmd_rcpt(struct request *req)
{
	struct lookup l = {.auth = auth_of(req), .now_ms = clock_boot_ms()};
	struct address a;
	struct buf out;
	struct err e;

	if (!address_parse(request_span(req, "address"), &a)) {
		reply_code(req, ERR_NOTFOUND, "No such user");
		return;
	}
	/* Into a buffer of its own: a failure must not carry half a list. */
	buf_init(&out);
	l.out = &out;
	if (userdb_resolve(l.auth->db, &a, l.auth->settings->recipient_delimiter, lookup_target, &l,
		    &e) < 0) {
		if (e.code == ERR_NOTFOUND)
			err_user(&e, "No such user");
		else if (e.code == ERR_DENIED)
			err_user(&e, "User is disabled");
		auth_reply_err(req, &e);
	} else {
		buf_add_span(reply_body(req), buf_span(&out));
		reply_ok(req);
	}
	buf_clear(&out);
}

static const struct arg_def rcpt_args[] = {
	{"address", ARG_STRING, true, "as in RCPT TO, without the angle brackets"},
	{NULL, 0, false, NULL},
};

static const struct command_def lookup_commands[] = {
	{"RCPT", rcpt_args, COMMAND_BODY_NONE, COMMAND_FD_NONE, cmd_rcpt,
		"Body: a line for each account: account, user, detail behind the delimiter "
		"(mailbox), "
		"recipient answer, 1 when the account has limits; separated by TAB, escaped. "
		"Failures: notfound, denied "
		"(disabled), "
		"limit (alias too wide), temp."},
	{NULL, NULL, 0, 0, NULL, NULL},
};

const struct role_def auth_lookup_role = {
	.name = "auth/lookup",
	.commands = lookup_commands,
	.doc = "Recipients.",
};
