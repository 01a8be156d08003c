/* STORE (RFC 3501 6.4.6; UNCHANGEDSINCE: RFC 7162 3.1.3): one request, whatever the number of
 * messages. */
#include "services/imap/commands.h"
#include "services/imap/imap-session.h"

struct store_state {
	struct uidset uids;
	enum view_store_mode mode;
	bool silent, conditional;
	uint64_t unchanged_since;
	uint64_t flags;
	struct buf keywords;
};

static void store_free(struct imap_client *c)
{
	struct store_state *s = c->cmd.state;

	view_silence(&c->mbox.view, NULL, VIEW_STORE_NONE, 0);
	uidset_clear(&s->uids);
	buf_clear(&s->keywords);
}

static bool parse_condition(struct imap_client *c, struct store_state *s)
{
	struct imap_parser *p = &c->cmd.args;

	if (imap_parser_peek(p) != '(')
		return true;
	(void)imap_parse_char(p, '(');
	if (!imap_parse_word(p, "UNCHANGEDSINCE")) {
		p->error = "Unknown STORE modifier";
		return false;
	}
	s->conditional = true;
	return imap_parse_space(p) && imap_parse_number64(p, &s->unchanged_since) &&
	       imap_parse_char(p, ')') && imap_parse_space(p);
}

static bool parse_store(struct imap_client *c, struct store_state *s)
{
	struct imap_parser *p = &c->cmd.args;
	struct span name;

	if (!imap_parse_space(p) || !parse_condition(c, s) || !imap_parse_atom(p, &name))
		return false;
	s->mode = VIEW_STORE_REPLACE;
	if (name.p[0] == '+' || name.p[0] == '-') {
		s->mode = name.p[0] == '+' ? VIEW_STORE_ADD : VIEW_STORE_REMOVE;
		name = span_from(name.p + 1, name.n - 1);
	}
	s->silent = span_is_nocase(name, "FLAGS.SILENT");
	if (!s->silent && !span_is_nocase(name, "FLAGS")) {
		p->error = "FLAGS expected";
		return false;
	}
	return imap_parse_space(p) && imap_parse_flags(c, false, &s->flags, &s->keywords) &&
	       imap_parse_end(p);
}

/* The answer to UNCHANGEDSINCE names what was left as it is, by UID or by sequence number. */
static void store_modified(struct imap_client *c, struct span failed)
{
	struct uidset uids, out;
	struct buf code;

	uidset_init(&uids);
	uidset_init(&out);
	buf_init(&code);
	if (uidset_parse(&uids, failed, 0, UIDSET_RANGES_MAX) == 0) {
		for (uint32_t uid = uidset_next(&uids, 1); uid != 0;
			uid = uid == UINT32_MAX ? 0 : uidset_next(&uids, uid + 1)) {
			uint32_t n = c->cmd.uid ? uid : view_seq(&c->mbox.view, uid);

			if (n != 0)
				uidset_add(&out, n, n);
		}
	}
	buf_add_str(&code, "MODIFIED ");
	uidset_format(&out, &code);
	imap_cmd_ok(c, buf_str(&code), "Some messages were changed meanwhile");
	buf_clear(&code);
	uidset_clear(&uids);
	uidset_clear(&out);
}

/* The RFC wants the new flags of each message told, also where nothing changed (RFC 3501 6.4.6). */
static void on_stored(struct result *r, void *ctx)
{
	struct imap_client *c = ctx;
	struct store_state *s = c->cmd.state;

	view_silence(&c->mbox.view, NULL, VIEW_STORE_NONE, 0);
	if (r->code != ERR_NONE) {
		imap_cmd_fail_result(c, r);
		return;
	}
	if (!s->silent)
		view_note_changes(&c->mbox.view, &s->uids);
	if (s->conditional && r->body.n > 0)
		store_modified(c, r->body);
	else
		imap_cmd_ok(c, NULL, "Store completed");
}

/* Keywords that the mailbox has already, as flags: for what the view may expect. */
static bool known_keywords(struct imap_client *c, struct span names, uint64_t *flags)
{
	struct span name;

	while (names.n > 0 && span_cut(&names, ' ', &name)) {
		int bit = imap_keyword_find(c, name);

		if (bit < 0)
			return false;
		*flags |= (uint64_t)1 << bit;
	}
	return true;
}

void cmd_store(struct imap_client *c)
{
	static const char *const modes[] = {"", "add", "remove", "replace"};
	struct store_state *s = imap_cmd_state(c, sizeof(*s), store_free);
	uint64_t expected;
	struct call *call;

	if (!imap_arg_messages(c, &s->uids))
		return;
	if (!parse_store(c, s)) {
		imap_cmd_bad_args(c);
		return;
	}
	if (c->mbox.readonly) {
		imap_cmd_no(c, "CANNOT", "The mailbox is open read-only");
		return;
	}
	if (s->conditional)
		imap_enable_condstore(c);
	if (uidset_is_empty(&s->uids)) {
		imap_cmd_ok(c, NULL, "Store completed");
		return;
	}
	c->cmd.heavy = s->uids.n > 1000;
	call = imap_session_call(c, "STORE");
	if (call == NULL)
		return;
	call_uint(call, "mailbox", c->mbox.id);
	call_str(call, "mode", modes[s->mode]);
	call_uint(call, "flags", s->flags);
	if (s->keywords.len > 0)
		call_span(call, "keywords", buf_span(&s->keywords));
	if (s->conditional)
		call_uint(call, "unchangedsince", s->unchanged_since);
	uidset_format(&s->uids, call_body(call));
	expected = s->flags;
	if (s->silent && known_keywords(c, buf_span(&s->keywords), &expected))
		view_silence(&c->mbox.view, &s->uids, s->mode, expected);
	imap_session_send(c, call, on_stored);
}
