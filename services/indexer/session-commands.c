/* What a session may ask, once it is attached. */
#include <fcntl.h>
#include "lib-common/mem.h"
#include "services/indexer/indexer.h"
#include "services/indexer/session-commands.h"

/* The session of a request that needs an account; NULL: the request was answered. */
static struct session *attached(struct request *req, bool writes)
{
	struct session *s = channel_data(request_channel(req));

	if (s->account == NULL || s->kicked) {
		reply_code(req, ERR_DENIED, "Not attached");
		return NULL;
	}
	if (writes && s->read_only) {
		reply_code(req, ERR_DENIED, "The session is read-only");
		return NULL;
	}
	return s;
}

static void put_write(struct session *s, struct write_task *t)
{
	writer_put(s->ix->writer, t);
}

/* The body as a UID set; false: answered. */
static bool uids_of(struct write_task *t)
{
	if (uidset_parse(&t->uids, request_body(t->request), 0, UIDSET_RANGES_MAX) == 0)
		return true;
	reply_code(t->request, ERR_PROTO, "Bad UID set");
	write_task_free(t);
	return false;
}

/* ---- lists ---- */

static void mailboxes_done(struct read_task *t)
{
	if (reply_read_failed(t))
		return;
	if (!request_peer_gone(t->request)) {
		struct session *s = channel_data(request_channel(t->request));

		reply_uint(t->request, "seq", s->ix->list_seq);
	}
	buf_add_span(reply_body(t->request), buf_span(&t->out));
	reply_ok(t->request);
	read_task_free(t);
}

static void cmd_mailboxes(struct request *req)
{
	struct session *s = attached(req, false);

	if (s != NULL)
		readers_put(s->ix->readers,
			request_read(req, s->account->id, read_mailboxes, mailboxes_done));
}

static void body_done(struct read_task *t)
{
	if (reply_read_failed(t))
		return;
	buf_add_span(reply_body(t->request), buf_span(&t->out));
	reply_ok(t->request);
	read_task_free(t);
}

static void cmd_status(struct request *req)
{
	struct session *s = attached(req, false);
	struct read_task *t;
	struct span name;

	if (s == NULL || !request_mailbox_name(req, "name", &name))
		return;
	t = request_read(req, s->account->id, read_status, body_done);
	t->input = name;
	readers_put(s->ix->readers, t);
}

static void quota_done(struct read_task *t)
{
	if (reply_read_failed(t))
		return;
	reply_uint(t->request, "quota_bytes", t->quota_bytes);
	reply_uint(t->request, "quota_messages", t->quota_messages);
	reply_uint(t->request, "used_bytes", t->used_bytes);
	reply_uint(t->request, "used_messages", t->used_messages);
	reply_ok(t->request);
	read_task_free(t);
}

static void cmd_quota(struct request *req)
{
	struct session *s = attached(req, false);

	if (s != NULL)
		readers_put(
			s->ix->readers, request_read(req, s->account->id, read_quota, quota_done));
}

static void cmd_meta(struct request *req)
{
	struct session *s = attached(req, false);

	if (s != NULL)
		readers_put(
			s->ix->readers, request_read(req, s->account->id, read_meta, body_done));
}

static void cmd_locate(struct request *req)
{
	struct session *s = attached(req, false);

	if (s != NULL)
		readers_put(
			s->ix->readers, request_read(req, s->account->id, read_locate, body_done));
}

static void cmd_check(struct request *req)
{
	if (attached(req, false) != NULL)
		reply_ok(req);
}

/* ---- SELECT ---- */

static void add_keywords(struct buf *body, const char *keywords)
{
	size_t n = strlen(keywords);
	char *lines = mem_strdup(keywords);

	for (size_t i = 0; i < n; i++) {
		if (lines[i] == ' ')
			lines[i] = '\n';
	}
	buf_add_block(body, lines, n);
	mem_free(lines);
}

static void select_ready(struct state *st, const struct err *e, struct request *req)
{
	struct session *s = request_peer_gone(req) ? NULL : channel_data(request_channel(req));
	bool read_only = request_uint(req, "readonly") != 0;
	int fd;

	if (st == NULL || s == NULL || s->account == NULL || s->kicked) {
		if (e != NULL)
			reply_fail(req, e);
		else
			reply_code(req, ERR_TEMP, "The session is gone");
		return;
	}
	fd = fcntl(st->base_fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0) {
		reply_code(req, ERR_TEMP, "Out of descriptors");
		return;
	}
	state_select(st, s, read_only || s->read_only);
	reply_uint(req, "uidvalidity", st->uidvalidity);
	reply_uint(req, "uidnext", st->uidnext);
	reply_uint(req, "modseq", st->modseq);
	reply_uint(req, "messages", st->messages);
	reply_uint(req, "generation", st->generation);
	/* a base taken anew by a session that has the mailbox open is no new SELECT */
	reply_uint(req, "recent",
		request_uint(req, "again") != 0 ? 0 : state_take_recent(st, s->selected_read_only));
	reply_fd(req, fd, true);
	add_keywords(reply_body(req), st->keywords);
	buf_add_span(reply_body(req), buf_span(&st->log));
	reply_ok(req);
}

static void cmd_select(struct request *req)
{
	struct session *s = attached(req, false);

	if (s != NULL)
		state_want(s->ix, s->account->id, request_uint(req, "mailbox"), select_ready, req);
}

static void cmd_unselect(struct request *req)
{
	struct session *s = attached(req, false);

	if (s == NULL)
		return;
	if (s->selected != NULL && (!request_has(req, "mailbox") ||
					   s->selected->mailbox == request_uint(req, "mailbox")))
		state_unselect(s);
	reply_ok(req);
}

/* ---- changes of messages ---- */

static void store_done(struct write_task *t)
{
	if (reply_write_failed(t))
		return;
	reply_uint(t->request, "modseq", t->modseq);
	uidset_format(&t->unchanged, reply_body(t->request));
	reply_ok(t->request);
	write_task_free(t);
}

static void cmd_store(struct request *req)
{
	struct session *s = attached(req, true);
	const char *mode = request_str(req, "mode");
	struct write_task *t;

	if (s == NULL)
		return;
	t = request_write(req, s->account->id, write_store, store_done);
	t->mailbox = request_uint(req, "mailbox");
	t->flags = request_uint(req, "flags");
	t->keywords = request_span(req, "keywords");
	t->has_unchangedsince = request_has(req, "unchangedsince");
	t->unchangedsince = request_uint(req, "unchangedsince");
	t->mode = strcmp(mode, "add") == 0	? STORE_ADD
		  : strcmp(mode, "remove") == 0 ? STORE_REMOVE
						: STORE_REPLACE;
	if (uids_of(t))
		put_write(s, t);
}

static void expunge_done(struct write_task *t)
{
	if (reply_write_failed(t))
		return;
	reply_uint(t->request, "modseq", t->modseq);
	reply_uint(t->request, "count", t->count);
	reply_ok(t->request);
	write_task_free(t);
}

static void cmd_expunge(struct request *req)
{
	struct session *s = attached(req, true);
	struct write_task *t;

	if (s == NULL)
		return;
	t = request_write(req, s->account->id, write_expunge, expunge_done);
	t->mailbox = request_uint(req, "mailbox");
	if (request_body(req).n == 0)
		uidset_add(&t->uids, 1, UINT32_MAX);
	else if (!uids_of(t))
		return;
	put_write(s, t);
}

static void copy_done(struct write_task *t)
{
	if (reply_write_failed(t))
		return;
	reply_uint(t->request, "uidvalidity", t->uidvalidity);
	reply_uint(t->request, "modseq", t->modseq);
	reply_uint(t->request, "count", t->count);
	buf_add_span(reply_body(t->request), buf_span(&t->out));
	reply_ok(t->request);
	write_task_free(t);
}

static void copy_or_move(
	struct request *req, enum write_status (*run)(struct writer *, struct write_task *))
{
	struct session *s = attached(req, true);
	struct write_task *t;
	struct span to;

	if (s == NULL || !request_mailbox_name(req, "to", &to))
		return;
	t = request_write(req, s->account->id, run, copy_done);
	t->mailbox = request_uint(req, "mailbox");
	t->name = to;
	if (uids_of(t))
		put_write(s, t);
}

static void cmd_copy(struct request *req)
{
	copy_or_move(req, write_copy);
}

static void cmd_move(struct request *req)
{
	copy_or_move(req, write_move);
}

static void append_done(struct write_task *t)
{
	if (reply_write_failed(t))
		return;
	reply_uint(t->request, "uid", t->uid);
	reply_uint(t->request, "uidvalidity", t->uidvalidity);
	reply_uint(t->request, "modseq", t->modseq);
	reply_uint(t->request, "mailbox", t->mailbox_r);
	reply_ok(t->request);
	write_task_free(t);
}

static void cmd_append(struct request *req)
{
	struct session *s = attached(req, true);
	struct write_task *t;
	struct span name;

	if (s == NULL || !request_mailbox_name(req, "mailbox-name", &name))
		return;
	t = request_write(req, s->account->id, write_deliver, append_done);
	t->name = name;
	if (request_message(s->ix, req, t))
		put_write(s, t);
	else
		write_task_free(t);
}

/* ---- changes of the list ---- */

static void list_done(struct write_task *t)
{
	if (reply_write_failed(t))
		return;
	if (t->mailbox_r != 0) {
		reply_uint(t->request, "mailbox", t->mailbox_r);
		reply_uint(t->request, "uidvalidity", t->uidvalidity);
	}
	reply_ok(t->request);
	write_task_free(t);
}

static void list_command(struct request *req, const char *key, const char *key2,
	enum write_status (*run)(struct writer *, struct write_task *))
{
	struct session *s = attached(req, true);
	struct span name, name2 = {"", 0};
	struct write_task *t;

	if (s == NULL || !request_mailbox_name(req, key, &name) ||
		(key2 != NULL && !request_mailbox_name(req, key2, &name2)))
		return;
	t = request_write(req, s->account->id, run, list_done);
	t->name = name;
	t->name2 = name2;
	t->special_use = request_span(req, "special");
	put_write(s, t);
}

/* RFC 6154 2, and \Important of RFC 8457. */
static bool special_use_fits(struct span special)
{
	static const char *const known[] = {"\\All", "\\Archive", "\\Drafts", "\\Flagged", "\\Junk",
		"\\Sent", "\\Trash", "\\Important"};
	struct span rest = special, one;

	while (rest.n > 0 && span_cut(&rest, ' ', &one)) {
		bool found = false;

		for (size_t i = 0; i < array_count(known) && !found; i++)
			found = span_is_nocase(one, known[i]);
		if (!found)
			return false;
	}
	return special.n <= 128;
}

static void cmd_create(struct request *req)
{
	if (special_use_fits(request_span(req, "special")))
		list_command(req, "name", NULL, write_create);
	else
		reply_code(req, ERR_PERM, "Unknown special use");
}

static void cmd_delete(struct request *req)
{
	list_command(req, "name", NULL, write_delete);
}

static void cmd_rename(struct request *req)
{
	list_command(req, "from", "to", write_rename);
}

static void cmd_subscribe(struct request *req)
{
	list_command(req, "name", NULL, write_subscribe);
}

static void cmd_unsubscribe(struct request *req)
{
	list_command(req, "name", NULL, write_unsubscribe);
}

/* ---- the table ---- */

static const struct arg_def attach_args[] = {
	{"ticket", ARG_SECRET, false, "session ticket, once"},
	{"grant", ARG_SECRET, false, "grant of an earlier ATTACH, instead of a ticket"},
	{"session", ARG_HEX, true, "session id, as in the ticket"},
	{"protocol", ARG_STRING, true, "imap"},
	{"address", ARG_STRING, true, "the client's"},
	{"readonly", ARG_FLAG, false, "nothing may be changed"},
	{NULL, ARG_STRING, false, NULL},
};
static const struct arg_def name_args[] = {
	{"name", ARG_STRING, true, "mailbox name, UTF-8"},
	{NULL, ARG_STRING, false, NULL},
};
static const struct arg_def create_args[] = {
	{"name", ARG_STRING, true, "mailbox name, UTF-8"},
	{"special", ARG_STRING, false, "special uses, separated by blanks"},
	{NULL, ARG_STRING, false, NULL},
};
static const struct arg_def rename_args[] = {
	{"from", ARG_STRING, true, "mailbox name"},
	{"to", ARG_STRING, true, "its new name"},
	{NULL, ARG_STRING, false, NULL},
};
static const struct arg_def select_args[] = {
	{"mailbox", ARG_UINT, true, "mailbox id"},
	{"readonly", ARG_FLAG, false, "EXAMINE: the recent mark stays"},
	{"again", ARG_FLAG, false, "only the new base is wanted"},
	{NULL, ARG_STRING, false, NULL},
};
static const struct arg_def unselect_args[] = {
	{"mailbox", ARG_UINT, false, "mailbox id"},
	{NULL, ARG_STRING, false, NULL},
};
static const struct arg_def store_args[] = {
	{"mailbox", ARG_UINT, true, "mailbox id"},
	{"mode", ARG_STRING, true, "add, remove or replace"},
	{"flags", ARG_UINT, true, "system flags"},
	{"keywords", ARG_STRING, false, "keywords, separated by blanks"},
	{"unchangedsince", ARG_UINT, false, "leave messages with a higher modseq"},
	{NULL, ARG_STRING, false, NULL},
};
static const struct arg_def expunge_args[] = {
	{"mailbox", ARG_UINT, true, "mailbox id"},
	{"deleted", ARG_FLAG, false, "always 1: only messages with \\Deleted go"},
	{NULL, ARG_STRING, false, NULL},
};
static const struct arg_def copy_args[] = {
	{"mailbox", ARG_UINT, true, "mailbox id"},
	{"to", ARG_STRING, true, "name of the target"},
	{NULL, ARG_STRING, false, NULL},
};
static const struct arg_def append_args[] = {
	{"mailbox-name", ARG_STRING, true, "mailbox name"},
	{"flags", ARG_UINT, false, "system flags"},
	{"keywords", ARG_STRING, false, "keywords, separated by blanks"},
	{"date", ARG_INT, false, "internal date, Unix seconds; absent: now"},
	{"tz", ARG_INT, false, "its time zone, minutes east"},
	{"receipt", ARG_SECRET, true, "of the body, from objects/put"},
	{NULL, ARG_STRING, false, NULL},
};
static const struct arg_def bodies_args[] = {
	{"mailbox", ARG_UINT, false, "mailbox id"},
	{NULL, ARG_STRING, false, NULL},
};

#define NONE COMMAND_BODY_NONE
#define NEED COMMAND_BODY_REQUIRED
#define MAY COMMAND_BODY_OPTIONAL
#define NO_FD COMMAND_FD_NONE

const struct command_def session_commands[] = {
	{"ATTACH", attach_args, NONE, NO_FD, session_attach, "Binds the channel to an account."},
	{"MAILBOXES", NULL, NONE, NO_FD, cmd_mailboxes, "All mailboxes and subscribed names."},
	{"STATUS", name_args, NONE, NO_FD, cmd_status, "One mailbox's line."},
	{"QUOTA", NULL, NONE, NO_FD, cmd_quota, "Usage and limits."},
	{"CREATE", create_args, NONE, NO_FD, cmd_create,
		"Makes a mailbox and what is missing above."},
	{"DELETE", name_args, NONE, NO_FD, cmd_delete, "Deletes a mailbox."},
	{"RENAME", rename_args, NONE, NO_FD, cmd_rename, "Renames a mailbox and what is below it."},
	{"SUBSCRIBE", name_args, NONE, NO_FD, cmd_subscribe, "Subscribes a name."},
	{"UNSUBSCRIBE", name_args, NONE, NO_FD, cmd_unsubscribe, "Unsubscribes a name."},
	{"SELECT", select_args, NONE, NO_FD, cmd_select, "A mailbox's state; its changes follow."},
	{"UNSELECT", unselect_args, NONE, NO_FD, cmd_unselect, "No more changes."},
	{"STORE", store_args, NEED, NO_FD, cmd_store, "Changes flags; body: UID set."},
	{"EXPUNGE", expunge_args, MAY, NO_FD, cmd_expunge,
		"Removes what is \\Deleted; body: UID set."},
	{"COPY", copy_args, NEED, NO_FD, cmd_copy, "Copies messages; body: UID set."},
	{"MOVE", copy_args, NEED, NO_FD, cmd_move, "Moves messages; body: UID set."},
	{"APPEND", append_args, MAY, NO_FD, cmd_append, "Adds a message; body: its metadata."},
	{"META", bodies_args, NEED, NO_FD, cmd_meta, "Metadata of bodies; body: their ids."},
	{"LOCATE", bodies_args, NEED, NO_FD, cmd_locate, "Locators of bodies; body: their ids."},
	{"CHECK", NULL, NONE, NO_FD, cmd_check, "All events before it have been sent."},
	{NULL, NULL, NONE, NO_FD, NULL, NULL},
};
