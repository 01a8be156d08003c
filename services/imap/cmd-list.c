/*
 * LIST, LSUB, STATUS (RFC 3501 6.3.8 to 6.3.10; CHILDREN: RFC 3348; SPECIAL-USE: RFC 6154 2;
 * LIST-STATUS: RFC 5819; STATUS=SIZE: RFC 8438; of RFC 5258 what those need).
 *
 * indexer gives the whole list of the account, sorted by name; patterns are matched here, in time
 * linear in name and pattern.
 */
#include "services/imap/commands.h"
#include "services/imap/imap-match.h"
#include "services/imap/imap-session.h"
#include "lib-storage/mailbox-name.h"

#define PATTERNS_MAX 50

struct list_state {
	struct span patterns[PATTERNS_MAX]; /* UTF-8, with the reference in front */
	size_t n_patterns;
	bool lsub, subscribed_only, special_only, return_special, return_subscribed, extended;
	unsigned status; /* enum status_item */
	struct buf lines;
	struct mailbox_info *all;
	size_t n, at;
};

static void list_free(struct imap_client *c)
{
	struct list_state *s = c->cmd.state;

	buf_clear(&s->lines);
	mem_free(s->all);
}

/* ---- STATUS ---- */

static const struct {
	const char *name;
	unsigned item;
} status_items[] = {
	{"MESSAGES", STATUS_MESSAGES},
	{"RECENT", STATUS_RECENT},
	{"UIDNEXT", STATUS_UIDNEXT},
	{"UIDVALIDITY", STATUS_UIDVALIDITY},
	{"UNSEEN", STATUS_UNSEEN},
	{"SIZE", STATUS_SIZE},
	{"HIGHESTMODSEQ", STATUS_HIGHESTMODSEQ},
};

bool imap_parse_status_items(struct imap_parser *p, unsigned *items_r)
{
	struct span name;

	*items_r = 0;
	if (!imap_parse_char(p, '('))
		return false;
	do {
		size_t i = 0;

		if ((*items_r != 0 && !imap_parse_space(p)) || !imap_parse_atom(p, &name))
			return false;
		while (i < array_count(status_items) && !span_is_nocase(name, status_items[i].name))
			i++;
		if (i == array_count(status_items)) {
			p->error = "Unknown STATUS item";
			return false;
		}
		*items_r |= status_items[i].item;
	} while (imap_parser_peek(p) != ')');
	return imap_parse_char(p, ')');
}

void imap_write_status(struct imap_client *c, const struct mailbox_info *info, unsigned items)
{
	bool selected = c->mbox.selected && c->mbox.id == info->id;
	const uint64_t values[] = {info->messages, selected ? imap_count_recent(c) : 0,
		info->uidnext, info->uidvalidity, info->unseen, info->size,
		info->highestmodseq > 0 ? info->highestmodseq : 1};
	bool first = true;

	buf_add_str(&c->out, "* STATUS ");
	imap_write_mailbox(&c->out, span_of(info->name));
	buf_add_str(&c->out, " (");
	for (size_t i = 0; i < array_count(status_items); i++) {
		if ((items & status_items[i].item) == 0)
			continue;
		buf_add_str(&c->out, first ? "" : " ");
		buf_add_str(&c->out, status_items[i].name);
		buf_add_c(&c->out, ' ');
		imap_write_number(&c->out, values[i]);
		first = false;
	}
	buf_add_str(&c->out, ")\r\n");
}

static void on_status(struct result *r, void *ctx)
{
	struct imap_client *c = ctx;
	struct list_state *s = c->cmd.state;
	struct span lines = r->body;
	struct mailbox_info info;

	if (r->code != ERR_NONE) {
		imap_cmd_fail_result(c, r);
		return;
	}
	if (!mailbox_info_next(&lines, c->cmd.arena, &info) || info.id == 0 || info.noselect) {
		imap_cmd_no(c, "NONEXISTENT", "No such mailbox");
		return;
	}
	imap_write_status(c, &info, s->status);
	imap_cmd_ok(c, NULL, "Status completed");
}

void cmd_status(struct imap_client *c)
{
	struct list_state *s = imap_cmd_state(c, sizeof(*s), list_free);
	struct imap_parser *p = &c->cmd.args;
	struct call *call;
	const char *name;

	if (!imap_arg_mailbox(c, &name))
		return;
	if (!imap_parse_space(p) || !imap_parse_status_items(p, &s->status) || !imap_parse_end(p)) {
		imap_cmd_bad_args(c);
		return;
	}
	if (s->status & STATUS_HIGHESTMODSEQ)
		imap_enable_condstore(c);
	call = imap_session_call(c, "STATUS");
	if (call == NULL)
		return;
	call_str(call, "name", name);
	imap_session_send(c, call, on_status);
}

/* ---- LIST ---- */

/* "**", "%%" and "*%" say no more than one of them. */
static void collapse_wildcards(struct buf *b)
{
	size_t out = 0;

	for (size_t i = 0; i < b->len; i++) {
		char c = b->data[i];

		if (out > 0 && c == '%' && (b->data[out - 1] == '%' || b->data[out - 1] == '*'))
			continue;
		if (c == '*') {
			while (out > 0 && (b->data[out - 1] == '%' || b->data[out - 1] == '*'))
				out--;
		}
		b->data[out++] = c;
	}
	buf_truncate(b, out);
}

/* A pattern is a name in modified UTF-7 with wildcards, which UTF-7 leaves as they are. */
static bool add_pattern(
	struct imap_client *c, struct list_state *s, struct span reference, struct span pattern)
{
	struct buf wire, utf8;
	bool ok;

	if (s->n_patterns == PATTERNS_MAX) {
		c->cmd.args.error = "Too many patterns";
		return false;
	}
	buf_init(&wire);
	buf_init(&utf8);
	buf_add_span(&wire, reference);
	buf_add_span(&wire, pattern);
	collapse_wildcards(&wire);
	/* longer than any name could need: matching must stay cheap */
	ok = wire.len <= 2 * MAILBOX_NAME_MAX && mailbox_name_from_utf7(buf_span(&wire), &utf8);
	if (!ok) {
		/* no mailbox has such a name, so nothing matches: not an error */
		buf_empty(&utf8);
		buf_add_c(&utf8, '\n');
	}
	/* INBOX in any case */
	if (utf8.len >= 5 && span_starts_nocase(buf_span(&utf8), "INBOX") &&
		(utf8.len == 5 || utf8.data[5] == MAILBOX_SEPARATOR))
		memcpy(utf8.data, "INBOX", 5);
	s->patterns[s->n_patterns++] = span_from(
		arena_dup(c->cmd.arena, buf_span(&utf8).p, utf8.len), utf8.len);
	buf_clear(&wire);
	buf_clear(&utf8);
	return true;
}

/* "(" selection options ")" of RFC 5258 in front: SUBSCRIBED, SPECIAL-USE. */
static bool parse_selection(struct imap_client *c, struct list_state *s)
{
	struct imap_parser *p = &c->cmd.args;

	(void)imap_parse_char(p, '(');
	s->extended = true;
	for (bool first = true; imap_parser_peek(p) != ')'; first = false) {
		if (!first && !imap_parse_space(p))
			return false;
		if (imap_parse_word(p, "SPECIAL-USE")) {
			s->special_only = s->return_special = true;
		} else if (imap_parse_word(p, "SUBSCRIBED")) {
			s->subscribed_only = s->return_subscribed = true;
		} else {
			p->error = "Unknown selection option";
			return false;
		}
	}
	return imap_parse_char(p, ')') && imap_parse_space(p);
}

static bool parse_patterns(struct imap_client *c, struct list_state *s, struct span reference)
{
	struct imap_parser *p = &c->cmd.args;
	struct span pattern;

	if (imap_parser_peek(p) != '(')
		return imap_parse_list_mailbox(p, &pattern) &&
		       add_pattern(c, s, reference, pattern);
	(void)imap_parse_char(p, '(');
	s->extended = true;
	do {
		if (s->n_patterns > 0 && !imap_parse_space(p))
			return false;
		if (!imap_parse_list_mailbox(p, &pattern) || !add_pattern(c, s, reference, pattern))
			return false;
	} while (imap_parser_peek(p) != ')');
	return imap_parse_char(p, ')');
}

static bool parse_returns(struct imap_client *c, struct list_state *s)
{
	struct imap_parser *p = &c->cmd.args;

	if (imap_parser_at_end(p))
		return true;
	s->extended = true;
	if (!imap_parse_space(p) || !imap_parse_word(p, "RETURN") || !imap_parse_space(p) ||
		!imap_parse_char(p, '('))
		return false;
	for (bool first = true; imap_parser_peek(p) != ')'; first = false) {
		if (!first && !imap_parse_space(p))
			return false;
		if (imap_parse_word(p, "SPECIAL-USE")) {
			s->return_special = true;
		} else if (imap_parse_word(p, "SUBSCRIBED")) {
			s->return_subscribed = true;
		} else if (imap_parse_word(p, "CHILDREN")) {
			/* always told */
		} else if (imap_parse_word(p, "STATUS")) {
			if (!imap_parse_space(p) || !imap_parse_status_items(p, &s->status))
				return false;
		} else {
			p->error = "Unknown return option";
			return false;
		}
	}
	return imap_parse_char(p, ')') && imap_parse_end(p);
}

static void add_attribute(struct buf *out, bool *first, const char *name)
{
	buf_add_str(out, *first ? "" : " ");
	buf_add_str(out, name);
	*first = false;
}

static void write_entry(struct imap_client *c, struct list_state *s, const struct mailbox_info *m,
	bool children, bool parent_of_subscribed)
{
	struct buf *out = &c->out;
	bool first = true;

	buf_add_str(out, s->lsub ? "* LSUB (" : "* LIST (");
	if (m->id == 0 && !s->lsub)
		add_attribute(out, &first, s->extended ? "\\NonExistent" : "\\Noselect");
	else if (m->noselect || (s->lsub && parent_of_subscribed) || m->id == 0)
		add_attribute(out, &first, "\\Noselect");
	if (!s->lsub)
		add_attribute(out, &first, children ? "\\HasChildren" : "\\HasNoChildren");
	if (s->return_subscribed && m->subscribed)
		add_attribute(out, &first, "\\Subscribed");
	/* special uses are told also unasked (RFC 6154 2), as clients expect them */
	if (m->special != NULL && !s->lsub)
		add_attribute(out, &first, m->special);
	buf_add_str(out, ") \"/\" ");
	imap_write_mailbox(out, span_of(m->name));
	buf_add_str(out, "\r\n");
	if (s->status != 0 && m->id != 0 && !m->noselect)
		imap_write_status(c, m, s->status);
}

static bool matches(const struct list_state *s, struct span name)
{
	for (size_t i = 0; i < s->n_patterns; i++) {
		if (imap_match(s->patterns[i], name, MAILBOX_SEPARATOR))
			return true;
	}
	return false;
}

/* Children of a name lie behind it in the sorted list, though not always at once ("a-b" comes
 * between "a" and "a/b"). */
static bool has_children(const struct list_state *s, size_t at)
{
	struct span parent = span_of(s->all[at].name);

	for (size_t i = at + 1; i < s->n; i++) {
		struct span name = span_of(s->all[i].name);

		if (name.n < parent.n || memcmp(name.p, parent.p, parent.n) != 0)
			return false;
		if (name.n > parent.n && (unsigned char)name.p[parent.n] > MAILBOX_SEPARATOR)
			return false;
		if (mailbox_name_is_below(name, parent) && s->all[i].id != 0)
			return true;
	}
	return false;
}

/* LSUB "%": a level that only has subscribed names below it is told once, as \Noselect (6.3.9). */
static void lsub_parents(struct imap_client *c, struct list_state *s, const struct mailbox_info *m,
	const char **last)
{
	struct span name = span_of(m->name), parent = mailbox_name_parent(name);

	for (; parent.n > 0; parent = mailbox_name_parent(parent)) {
		struct mailbox_info above = {.noselect = true};

		if (!matches(s, parent))
			continue;
		if (*last != NULL && span_is(parent, *last))
			return;
		above.name = arena_dup(c->cmd.arena, parent.p, parent.n);
		*last = above.name;
		write_entry(c, s, &above, true, true);
		return;
	}
}

static void list_continue(struct imap_client *c)
{
	struct list_state *s = c->cmd.state;
	const char *last_parent = NULL;

	for (; s->at < s->n; s->at++) {
		const struct mailbox_info *m = &s->all[s->at];

		if (imap_output_full(c))
			return;
		if (s->lsub || s->subscribed_only) {
			if (!m->subscribed)
				continue;
		} else if (m->id == 0) {
			continue;
		}
		if (s->special_only && m->special == NULL)
			continue;
		if (matches(s, span_of(m->name))) {
			write_entry(c, s, m, has_children(s, s->at), false);
			last_parent = m->name;
		} else if (s->lsub) {
			lsub_parents(c, s, m, &last_parent);
		}
	}
	imap_cmd_ok(c, NULL, "List completed");
}

static void on_mailboxes(struct result *r, void *ctx)
{
	struct imap_client *c = ctx;
	struct list_state *s = c->cmd.state;
	struct span lines;
	size_t cap = 0;

	if (r->code != ERR_NONE) {
		imap_cmd_fail_result(c, r);
		return;
	}
	lines = r->body;
	for (;;) {
		if (s->n == cap) {
			cap = cap == 0 ? 16 : cap * 2;
			s->all = mem_realloc_array(s->all, cap, sizeof(*s->all));
		}
		if (!mailbox_info_next(&lines, c->cmd.arena, &s->all[s->n]))
			break;
		s->n++;
	}
	c->cmd.heavy = s->n > 1000;
	c->cmd.resume = list_continue;
	list_continue(c);
}

static void start_list(struct imap_client *c, bool lsub)
{
	struct list_state *s = imap_cmd_state(c, sizeof(*s), list_free);
	struct imap_parser *p = &c->cmd.args;
	struct span reference, pattern;
	struct call *call;

	s->lsub = lsub;
	if (!imap_parse_space(p) ||
		(!lsub && imap_parser_peek(p) == '(' && !parse_selection(c, s)) ||
		!imap_parse_astring(p, &reference) || !imap_parse_space(p)) {
		imap_cmd_bad_args(c);
		return;
	}
	/* LIST "" "": the separator and the root (6.3.8) */
	if (!lsub && !s->extended && imap_parser_peek(p) == '"' && p->rest.n == 2 &&
		imap_parse_string(p, &pattern) && pattern.n == 0) {
		buf_add_str(&c->out, "* LIST (\\Noselect) \"/\" \"\"\r\n");
		imap_cmd_ok(c, NULL, "List completed");
		return;
	}
	if (!parse_patterns(c, s, reference) ||
		(lsub ? !imap_parse_end(p) : !parse_returns(c, s))) {
		imap_cmd_bad_args(c);
		return;
	}
	if (s->status & STATUS_HIGHESTMODSEQ)
		imap_enable_condstore(c);
	call = imap_session_call(c, "MAILBOXES");
	if (call != NULL)
		imap_session_send(c, call, on_mailboxes);
}

void cmd_list(struct imap_client *c)
{
	start_list(c, false);
}

void cmd_lsub(struct imap_client *c)
{
	start_list(c, true);
}
