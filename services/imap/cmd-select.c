/* SELECT, EXAMINE, CLOSE, UNSELECT, CHECK, NOOP, IDLE (RFC 3501 6.3.1, 6.3.2, 6.4; RFC 3691, 2177,
 * 7162). */
#include "services/imap/commands.h"
#include "services/imap/imap-session.h"

struct select_state {
	const char *name;
	bool readonly, condstore;
	uint64_t unseen;
	uint64_t id;
};

/* A read-only walk that ends at the first unseen message. */
static void write_first_unseen(struct imap_client *c)
{
	const struct mailbox_record *r;
	struct view_cursor cursor;

	view_cursor_init(&cursor, &c->mbox.view, 1);
	while ((r = view_cursor_next(&cursor)) != NULL) {
		if ((r->flags & FLAG_SEEN) == 0) {
			buf_printf(&c->out, "* OK [UNSEEN %u] First unseen\r\n", cursor.seq);
			return;
		}
	}
}

static void write_selected(struct imap_client *c, const struct select_state *s)
{
	struct imap_mailbox *m = &c->mbox;

	buf_add_str(&c->out, "* FLAGS ");
	imap_write_flag_names(c, &c->out, false);
	buf_add_str(&c->out, "\r\n* OK [PERMANENTFLAGS ");
	imap_write_flag_names(c, &c->out, true);
	m->told_exists = view_count(&m->view);
	m->told_recent = imap_count_recent(c);
	buf_printf(&c->out, "] Flags permitted\r\n* %zu EXISTS\r\n* %zu RECENT\r\n", m->told_exists,
		m->told_recent);
	if (s->unseen > 0)
		write_first_unseen(c);
	buf_printf(&c->out,
		"* OK [UIDVALIDITY %u] UIDs valid\r\n* OK [UIDNEXT %u] Predicted next UID\r\n",
		m->uidvalidity, m->view.uidnext);
	buf_printf(&c->out, "* OK [HIGHESTMODSEQ %llu] Highest\r\n",
		(unsigned long long)(m->view.modseq > 0 ? m->view.modseq : 1));
}

static void on_select(struct result *r, void *ctx)
{
	struct imap_client *c = ctx;
	struct select_state *s = c->cmd.state;
	struct err e = {0};

	if (r->code != ERR_NONE) {
		imap_cmd_fail_result(c, r);
		return;
	}
	imap_mailbox_close(c);
	c->mbox.selected = true;
	c->mbox.id = s->id;
	c->mbox.readonly = s->readonly;
	c->mbox.name = mem_strdup(s->name);
	c->mbox.uidvalidity = (uint32_t)result_uint(r, "uidvalidity");
	if (imap_mailbox_load(c, r, false, &e) < 0) {
		imap_mailbox_close(c);
		imap_cmd_fail(c, &e);
		return;
	}
	c->condstore |= s->condstore;
	write_selected(c, s);
	imap_cmd_ok(c, s->readonly ? "READ-ONLY" : "READ-WRITE", "Selected");
}

static void on_select_status(struct result *r, void *ctx)
{
	struct imap_client *c = ctx;
	struct select_state *s = c->cmd.state;
	struct span lines = r->body;
	struct mailbox_info info;
	struct call *call;

	if (r->code != ERR_NONE) {
		imap_cmd_fail_result(c, r);
		return;
	}
	if (!mailbox_info_next(&lines, c->cmd.arena, &info) || info.id == 0 || info.noselect) {
		imap_cmd_no(c, "NONEXISTENT", "The mailbox cannot be selected");
		return;
	}
	s->unseen = info.unseen;
	s->id = info.id;
	call = imap_session_call(c, "SELECT");
	if (call == NULL)
		return;
	call_uint(call, "mailbox", info.id);
	call_uint(call, "readonly", s->readonly);
	imap_session_send(c, call, on_select);
}

/* RFC 4466: "(" name *(SP name) ")"; CONDSTORE is the only one we have. */
static bool select_params(struct imap_client *c, bool *condstore_r)
{
	struct imap_parser *p = &c->cmd.args;

	if (imap_parser_at_end(p))
		return true;
	if (!imap_parse_space(p) || !imap_parse_char(p, '('))
		return false;
	if (!imap_parse_word(p, "CONDSTORE")) {
		p->error = "Unknown parameter";
		return false;
	}
	*condstore_r = true;
	return imap_parse_char(p, ')') && imap_parse_end(p);
}

static void start_select(struct imap_client *c, bool readonly)
{
	struct select_state *s = imap_cmd_state(c, sizeof(*s), NULL);
	struct call *call;

	s->readonly = readonly;
	if (!imap_arg_mailbox(c, &s->name))
		return;
	if (!select_params(c, &s->condstore)) {
		imap_cmd_bad_args(c);
		return;
	}
	/* what was selected is closed even when the rest fails (RFC 3501 6.3.1) */
	if (c->mbox.selected) {
		imap_mailbox_close(c);
		buf_add_str(&c->out, "* OK [CLOSED] Previous mailbox closed\r\n");
	}
	call = imap_session_call(c, "STATUS");
	if (call == NULL)
		return;
	call_str(call, "name", s->name);
	imap_session_send(c, call, on_select_status);
}

void cmd_select(struct imap_client *c)
{
	start_select(c, false);
}

void cmd_examine(struct imap_client *c)
{
	start_select(c, true);
}

/* ---- UNSELECT, CLOSE ---- */

static void on_unselected(struct result *r, void *ctx)
{
	struct imap_client *c = ctx;

	(void)r; /* the mailbox is closed here whatever indexer says */
	imap_cmd_ok(c, NULL, "Closed");
}

static void unselect(struct imap_client *c)
{
	struct call *call = imap_session_call(c, "UNSELECT");

	if (call == NULL)
		return;
	call_uint(call, "mailbox", c->mbox.id);
	imap_mailbox_close(c);
	imap_session_send(c, call, on_unselected);
}

void cmd_unselect(struct imap_client *c)
{
	if (!imap_parse_end(&c->cmd.args)) {
		imap_cmd_bad_args(c);
		return;
	}
	unselect(c);
}

static void on_close_expunged(struct result *r, void *ctx)
{
	struct imap_client *c = ctx;

	if (r->code != ERR_NONE) {
		imap_cmd_fail_result(c, r);
		return;
	}
	unselect(c);
}

/* Expunges without telling, unless the mailbox was opened read-only (RFC 3501 6.4.2). */
void cmd_close(struct imap_client *c)
{
	struct call *call;

	if (!imap_parse_end(&c->cmd.args)) {
		imap_cmd_bad_args(c);
		return;
	}
	if (c->mbox.readonly) {
		unselect(c);
		return;
	}
	call = imap_session_call(c, "EXPUNGE");
	if (call == NULL)
		return;
	call_uint(call, "mailbox", c->mbox.id);
	call_uint(call, "deleted", 1);
	imap_session_send(c, call, on_close_expunged);
}

/* ---- NOOP, CHECK ---- */

static void on_checked(struct result *r, void *ctx)
{
	struct imap_client *c = ctx;

	if (r->code != ERR_NONE)
		imap_cmd_fail_result(c, r);
	else
		imap_cmd_ok(c, NULL, "Completed");
}

/* One round trip to indexer: all that it did before is then known here. */
void cmd_noop(struct imap_client *c)
{
	struct call *call;

	if (!imap_parse_end(&c->cmd.args)) {
		imap_cmd_bad_args(c);
		return;
	}
	if (!c->mbox.selected || c->mbox.gone) {
		imap_cmd_ok(c, NULL, "Completed");
		return;
	}
	call = imap_session_call(c, "CHECK");
	if (call != NULL)
		imap_session_send(c, call, on_checked);
}

void cmd_check(struct imap_client *c)
{
	cmd_noop(c);
}

/* ---- IDLE ---- */

void cmd_idle(struct imap_client *c)
{
	if (!imap_parse_end(&c->cmd.args)) {
		imap_cmd_bad_args(c);
		return;
	}
	c->idling = true;
	buf_add_str(&c->out, "+ idling\r\n");
	c->cmd.resume = imap_idle_sync;
	imap_idle_sync(c);
	imap_client_idle_started(c);
}

void imap_idle_sync(struct imap_client *c)
{
	c->sync_wanted = !imap_sync(c, true);
	imap_output_flush(c);
}

/* Anything but DONE ends the IDLE too (RFC 2177 has no other continuation). */
void imap_idle_run(struct imap_client *c)
{
	const char *lf = c->in.len == 0 ? NULL : memchr(c->in.data, '\n', c->in.len);
	struct span line;
	bool done;

	if (lf == NULL) {
		if (c->in.len > 64)
			imap_client_bye(c, NULL, "DONE expected");
		return;
	}
	line = span_from(c->in.data, (size_t)(lf - c->in.data));
	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	done = span_is_nocase(line, "DONE");
	buf_consume(&c->in, (size_t)(lf - c->in.data) + 1);
	c->idling = false;
	c->cmd.resume = NULL;
	if (done)
		imap_cmd_ok(c, NULL, "Idle completed");
	else
		imap_cmd_bad(c, "Expected DONE");
}
