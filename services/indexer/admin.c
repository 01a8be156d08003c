/* indexer/admin: limits, erasing, who is there, counters. */
#include "lib-common/log.h"
#include "lib-common/mem.h"
#include "services/indexer/indexer.h"

static void account_done(struct write_task *t)
{
	if (reply_write_failed(t))
		return;
	reply_uint(t->request, "generation", t->generation);
	reply_uint(t->request, "quota_bytes", t->quota_bytes);
	reply_uint(t->request, "quota_messages", t->quota_messages);
	reply_uint(t->request, "used_bytes", t->used_bytes);
	reply_uint(t->request, "used_messages", t->used_messages);
	reply_ok(t->request);
	write_task_free(t);
}

static void cmd_account_limits(struct request *req)
{
	struct write_task *t = request_write(
		req, request_uint(req, "account"), write_account_limits, account_done);

	t->user = request_span(req, "user");
	t->generation = request_uint(req, "generation");
	t->quota_bytes = request_uint(req, "quota_bytes");
	t->quota_messages = request_uint(req, "quota_messages");
	t->create_account = t->user.n > 0 && t->account != 0 && t->account <= INT64_MAX;
	writer_put(indexer_self()->writer, t);
}

/* Sessions end only when the account's row says that nobody can come back. */
static void void_done(struct write_task *t)
{
	struct indexer *ix = t->ctx;

	if (t->err.code == ERR_NONE)
		sessions_kick(ix, t->account, NULL, "account");
	/* an account that has never been used has nothing to void */
	if (t->err.code == ERR_NOTFOUND)
		memset(&t->err, 0, sizeof(t->err));
	account_done(t);
}

static void cmd_account_void(struct request *req)
{
	struct write_task *t = request_write(
		req, request_uint(req, "account"), write_account_void, void_done);

	t->ctx = indexer_self();
	t->generation = request_uint(req, "generation");
	writer_put(indexer_self()->writer, t);
}

static void cmd_account_erase(struct request *req)
{
	struct write_task *t = request_write(
		req, request_uint(req, "account"), write_account_erase, void_done);

	t->ctx = indexer_self();
	t->deadline_ms = 0;
	sessions_kick(indexer_self(), t->account, NULL, "account");
	writer_put(indexer_self()->writer, t);
}

static void cmd_recount(struct request *req)
{
	writer_put(indexer_self()->writer,
		request_write(req, request_uint(req, "account"), write_recount, account_done));
}

/* ---- sessions ---- */

static void session_line(struct buf *body, const struct session *s)
{
	buf_printf(body, "%s\t%llu\t", s->id, (unsigned long long)s->account->id);
	channel_escape(body, span_of(s->user));
	buf_add_c(body, '\t');
	channel_escape(body, span_of(s->protocol));
	buf_add_c(body, '\t');
	channel_escape(body, span_of(s->address));
	buf_printf(body, "\t%llu\t%llu\n", (unsigned long long)s->since,
		(unsigned long long)(s->selected != NULL ? s->selected->mailbox : 0));
}

static void cmd_sessions(struct request *req)
{
	struct indexer *ix = indexer_self();
	struct live_account *a;
	size_t cursor = 0;

	while ((a = table_next(&ix->accounts, &cursor)) != NULL) {
		for (const struct session *s = a->sessions; s != NULL; s = s->next)
			session_line(reply_body(req), s);
	}
	reply_ok(req);
}

static void cmd_kick(struct request *req)
{
	struct indexer *ix = indexer_self();
	const char *id = request_has(req, "session") ? request_str(req, "session") : NULL;
	uint64_t account = request_uint(req, "account");
	struct live_account *a;
	unsigned n = 0;
	size_t cursor = 0;

	if (id == NULL && account == 0) {
		reply_code(req, ERR_PROTO, "session= or account= is needed");
		return;
	}
	while ((a = table_next(&ix->accounts, &cursor)) != NULL) {
		if (account == 0 || a->id == account)
			n += sessions_kick(ix, a->id, id, "kicked");
	}
	reply_uint(req, "count", n);
	reply_ok(req);
}

/* ---- mailboxes ---- */

static void lines_done(struct read_task *t)
{
	if (reply_read_failed(t))
		return;
	buf_add_span(reply_body(t->request), buf_span(&t->out));
	reply_ok(t->request);
	read_task_free(t);
}

static void cmd_mailbox_list(struct request *req)
{
	readers_put(indexer_self()->readers,
		request_read(req, request_uint(req, "account"), read_mailboxes, lines_done));
}

static void cmd_mailbox_status(struct request *req)
{
	struct read_task *t;
	struct span name;

	if (!request_mailbox_name(req, "name", &name))
		return;
	t = request_read(req, request_uint(req, "account"), read_status, lines_done);
	t->input = name;
	readers_put(indexer_self()->readers, t);
}

static void locate_done(struct read_task *t)
{
	if (reply_read_failed(t))
		return;
	reply_span(t->request, "locator", buf_span(&t->out));
	reply_ok(t->request);
	read_task_free(t);
}

static void cmd_message_locate(struct request *req)
{
	struct read_task *t = request_read(
		req, request_uint(req, "account"), read_message, locate_done);

	t->mailbox = request_uint(req, "mailbox");
	t->uid = request_uint(req, "uid");
	readers_put(indexer_self()->readers, t);
}

static void ping_done(struct write_task *t)
{
	/* the writer took its turn: that is what is asked */
	reply_ok(t->request);
	write_task_free(t);
}

static enum write_status write_nothing(struct writer *w, struct write_task *t)
{
	(void)w;
	(void)t;
	return WRITE_DONE;
}

static void cmd_ping(struct request *req)
{
	writer_put(indexer_self()->writer, request_write(req, 0, write_nothing, ping_done));
}

/* ---- the table ---- */

static const struct arg_def limits_args[] = {
	{"account", ARG_UINT, true, "account id"},
	{"user", ARG_STRING, false, "user name; with it an unknown account is made"},
	{"generation", ARG_UINT, false, "of the account; only ever raised"},
	{"quota_bytes", ARG_UINT, true, "0: none"},
	{"quota_messages", ARG_UINT, true, "0: none"},
	{NULL, ARG_STRING, false, NULL},
};
static const struct arg_def account_args[] = {
	{"account", ARG_UINT, true, "account id"},
	{"generation", ARG_UINT, false, "the new one; absent: the next"},
	{NULL, ARG_STRING, false, NULL},
};
static const struct arg_def kick_args[] = {
	{"session", ARG_HEX, false, "session id"},
	{"account", ARG_UINT, false, "all sessions of an account"},
	{NULL, ARG_STRING, false, NULL},
};
static const struct arg_def status_args[] = {
	{"account", ARG_UINT, true, "account id"},
	{"name", ARG_STRING, true, "mailbox name"},
	{NULL, ARG_STRING, false, NULL},
};
static const struct arg_def locate_args[] = {
	{"account", ARG_UINT, true, "account id"},
	{"mailbox", ARG_UINT, true, "mailbox id"},
	{"uid", ARG_UINT, true, "UID"},
	{NULL, ARG_STRING, false, NULL},
};

#define NONE COMMAND_BODY_NONE
#define NO_FD COMMAND_FD_NONE

static const struct command_def admin_commands[] = {
	{"ACCOUNT-LIMITS", limits_args, NONE, NO_FD, cmd_account_limits,
		"Makes or changes an account."},
	{"ACCOUNT-VOID", account_args, NONE, NO_FD, cmd_account_void,
		"Voids grants and ends all sessions of an account."},
	{"ACCOUNT-ERASE", account_args, NONE, NO_FD, cmd_account_erase,
		"Erases all mail of an account, for good; answered when done."},
	{"SESSIONS", NULL, NONE, NO_FD, cmd_sessions,
		"Lines: session, account, user, protocol, address, since, mailbox."},
	{"KICK", kick_args, NONE, NO_FD, cmd_kick, "Ends sessions."},
	{"MAILBOX-LIST", account_args, NONE, NO_FD, cmd_mailbox_list, "As MAILBOXES of a session."},
	{"MAILBOX-STATUS", status_args, NONE, NO_FD, cmd_mailbox_status, "One mailbox's line."},
	{"RECOUNT", account_args, NONE, NO_FD, cmd_recount, "Counts all messages again."},
	{"MESSAGE-LOCATE", locate_args, NONE, NO_FD, cmd_message_locate, "A message's locator."},
	{"PING", NULL, NONE, NO_FD, cmd_ping, "The writer is alive."},
	{NULL, NULL, NONE, NO_FD, NULL, NULL},
};

const struct role_def indexer_admin_role = {
	.name = "indexer/admin",
	.commands = admin_commands,
	.doc = "For operators, and for auth when accounts change.",
};
