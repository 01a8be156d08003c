/* COPY, MOVE, EXPUNGE (RFC 3501 6.4.7, 6.4.3; RFC 4315; RFC 6851). */
#include "services/imap/commands.h"
#include "services/imap/imap-session.h"

struct copy_state {
	struct uidset uids;
	const char *to;
	bool move;
};

static void copy_free(struct imap_client *c)
{
	struct copy_state *s = c->cmd.state;

	uidset_clear(&s->uids);
}

/* "COPYUID validity sources destinations" from lines of pairs. Both sets must give the pairs in the
 * same order (RFC 4315 3), which ascending sets do, as UIDs are given in order; else the
 * destinations are written one by one. False: nothing was copied. */
static bool copyuid(struct span lines, uint64_t uidvalidity, struct buf *out)
{
	struct uidset from, to;
	struct span line, src;
	struct buf list;
	uint32_t a, b, last_a = 0, last_b = 0;
	bool ascending = true;

	uidset_init(&from);
	uidset_init(&to);
	buf_init(&list);
	while (lines.n > 0 && span_cut(&lines, '\n', &line)) {
		if (!span_cut(&line, ' ', &src) || !num_u32(src, &a) || !num_u32(line, &b))
			continue;
		ascending &= a > last_a && b > last_b;
		last_a = a;
		last_b = b;
		uidset_add(&from, a, a);
		uidset_add(&to, b, b);
		buf_printf(&list, "%s%u", list.len > 0 ? "," : "", b);
	}
	if (!uidset_is_empty(&from)) {
		buf_printf(out, "COPYUID %llu ", (unsigned long long)uidvalidity);
		uidset_format(&from, out);
		buf_add_c(out, ' ');
		if (ascending)
			uidset_format(&to, out);
		else
			buf_add_span(out, buf_span(&list));
	}
	uidset_clear(&from);
	uidset_clear(&to);
	buf_clear(&list);
	return out->len > 0;
}

static void on_copied(struct result *r, void *ctx)
{
	struct imap_client *c = ctx;
	struct copy_state *s = c->cmd.state;
	struct buf code;

	if (r->code == ERR_NOTFOUND) {
		imap_cmd_no(c, "TRYCREATE", "No such mailbox");
		return;
	}
	if (r->code != ERR_NONE) {
		imap_cmd_fail_result(c, r);
		return;
	}
	buf_init(&code);
	if (!copyuid(r->body, result_uint(r, "uidvalidity"), &code)) {
		imap_cmd_ok(c, NULL, "Nothing was there to be copied");
	} else if (s->move) {
		/* before the EXPUNGEs that follow (RFC 6851 4.3) */
		buf_add_str(&c->out, "* OK [");
		buf_add_span(&c->out, buf_span(&code));
		buf_add_str(&c->out, "] Moved\r\n");
		imap_cmd_ok(c, NULL, "Move completed");
	} else {
		imap_cmd_ok(c, buf_str(&code), "Copy completed");
	}
	buf_clear(&code);
}

static void start_copy(struct imap_client *c, const char *verb, bool move)
{
	struct copy_state *s = imap_cmd_state(c, sizeof(*s), copy_free);
	struct call *call;

	s->move = move;
	if (!imap_arg_messages(c, &s->uids) || !imap_arg_mailbox(c, &s->to))
		return;
	if (!imap_parse_end(&c->cmd.args)) {
		imap_cmd_bad_args(c);
		return;
	}
	if (move && c->mbox.readonly) {
		imap_cmd_no(c, "CANNOT", "The mailbox is open read-only");
		return;
	}
	if (uidset_is_empty(&s->uids)) {
		imap_cmd_ok(c, NULL, "No messages");
		return;
	}
	c->cmd.heavy = uidset_count(&s->uids) > 1000;
	call = imap_session_call(c, verb);
	if (call == NULL)
		return;
	call_uint(call, "mailbox", c->mbox.id);
	call_str(call, "to", s->to);
	uidset_format(&s->uids, call_body(call));
	imap_session_send(c, call, on_copied);
}

void cmd_copy(struct imap_client *c)
{
	start_copy(c, "COPY", false);
}

void cmd_move(struct imap_client *c)
{
	start_copy(c, "MOVE", true);
}

/* ---- EXPUNGE ---- */

static void on_expunged(struct result *r, void *ctx)
{
	struct imap_client *c = ctx;

	if (r->code != ERR_NONE)
		imap_cmd_fail_result(c, r);
	else
		imap_cmd_ok(c, NULL, "Expunge completed");
}

void cmd_expunge(struct imap_client *c)
{
	struct copy_state *s = imap_cmd_state(c, sizeof(*s), copy_free);
	struct call *call;

	if (c->cmd.uid && !imap_arg_messages(c, &s->uids))
		return;
	if (!imap_parse_end(&c->cmd.args)) {
		imap_cmd_bad_args(c);
		return;
	}
	if (c->mbox.readonly) {
		imap_cmd_no(c, "CANNOT", "The mailbox is open read-only");
		return;
	}
	if (c->cmd.uid && uidset_is_empty(&s->uids)) {
		imap_cmd_ok(c, NULL, "No messages");
		return;
	}
	call = imap_session_call(c, "EXPUNGE");
	if (call == NULL)
		return;
	call_uint(call, "mailbox", c->mbox.id);
	call_uint(call, "deleted", 1);
	if (c->cmd.uid)
		uidset_format(&s->uids, call_body(call));
	imap_session_send(c, call, on_expunged);
}
