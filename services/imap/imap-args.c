/* Arguments that several commands share: mailbox names, message sets, flags. */
#include "services/imap/imap-client.h"

#include "lib-storage/mailbox-name.h"

#define MAX_RANGES 100000 /* of one set; a line or literal holds hardly more */
#define KEYWORD_MAX 255

const char *imap_mailbox_name(struct imap_client *c, struct span wire, struct err *e)
{
	struct buf utf8, name;
	char *copy = NULL;

	buf_init(&utf8);
	buf_init(&name);
	if (!mailbox_name_from_utf7(wire, &utf8)) {
		err_set(e, ERR_PERM, "mailbox name is not modified UTF-7");
		err_user(e, "The mailbox name is not valid modified UTF-7");
	} else if (mailbox_name_normalise(buf_span(&utf8), &name, e) == 0) {
		copy = arena_dup(c->cmd.arena, name.data, name.len);
	}
	buf_clear(&utf8);
	buf_clear(&name);
	return copy;
}

bool imap_arg_mailbox(struct imap_client *c, const char **name_r)
{
	struct err e = {0};
	struct span wire;

	*name_r = NULL;
	if (!imap_parse_space(&c->cmd.args) || !imap_parse_astring(&c->cmd.args, &wire)) {
		imap_cmd_bad_args(c);
		return false;
	}
	*name_r = imap_mailbox_name(c, wire, &e);
	if (*name_r == NULL)
		imap_cmd_fail(c, &e);
	return *name_r != NULL;
}

void imap_write_mailbox(struct buf *out, struct span name)
{
	struct buf wire;

	buf_init(&wire);
	mailbox_name_to_utf7(name, &wire);
	imap_write_astring(out, buf_span(&wire));
	buf_clear(&wire);
}

/* Only the UIDs of a set that the view has. */
static void keep_existing(
	const struct mailbox_view *v, const struct uidset *asked, struct uidset *uids_r)
{
	const struct mailbox_record *r;
	struct view_cursor cursor;

	for (size_t i = 0; i < asked->n; i++) {
		view_cursor_init(
			&cursor, v, (uint32_t)view_count_below(v, asked->ranges[i].first) + 1);
		while ((r = view_cursor_next(&cursor)) != NULL && r->uid <= asked->ranges[i].last)
			uidset_add(uids_r, r->uid, r->uid);
	}
}

bool imap_parse_messages(struct imap_client *c, struct span text, bool uid, struct uidset *uids_r)
{
	const struct mailbox_view *v = &c->mbox.view;
	uint32_t star = uid ? view_last_uid(v) : (uint32_t)view_count(v);
	struct uidset set;
	bool ok = true;

	uidset_init(&set);
	if (uidset_parse(&set, text, star > 0 ? star : 1, MAX_RANGES) < 0) {
		c->cmd.args.error = "Invalid sequence set";
		ok = false;
	} else if (uid) {
		keep_existing(v, &set, uids_r);
	} else if (star == 0 && memchr(text.p, '*', text.n) != NULL) {
		/* "1:*" of an empty mailbox: some clients ask that, and mean nothing by it */
	} else if (view_uids_of_seqs(v, &set, uids_r) < 0) {
		c->cmd.args.error = "No such message";
		ok = false;
	}
	uidset_clear(&set);
	return ok;
}

bool imap_arg_messages(struct imap_client *c, struct uidset *uids_r)
{
	struct span text;

	if (!imap_parse_space(&c->cmd.args) || !imap_parse_sequence_set(&c->cmd.args, &text) ||
		!imap_parse_messages(c, text, c->cmd.uid, uids_r)) {
		imap_cmd_bad_args(c);
		return false;
	}
	return true;
}

/* ---- flags ---- */

static const struct {
	const char *name;
	uint64_t flag;
} system_flags[] = {
	{"\\Answered", FLAG_ANSWERED},
	{"\\Flagged", FLAG_FLAGGED},
	{"\\Deleted", FLAG_DELETED},
	{"\\Seen", FLAG_SEEN},
	{"\\Draft", FLAG_DRAFT},
};

int imap_keyword_find(const struct imap_client *c, struct span name)
{
	for (unsigned i = 0; i < c->mbox.n_keywords; i++) {
		if (span_is_nocase(name, c->mbox.keywords[i]))
			return (int)(FLAG_KEYWORD_FIRST + i);
	}
	return -1;
}

static bool add_flag(
	struct imap_client *c, struct span name, uint64_t *flags_r, struct buf *keywords_r)
{
	if (name.p[0] == '\\') {
		for (size_t i = 0; i < array_count(system_flags); i++) {
			if (span_is_nocase(name, system_flags[i].name)) {
				*flags_r |= system_flags[i].flag;
				return true;
			}
		}
		/* \Recent is not the client's to set (RFC 3501 2.3.2); APPEND of what was fetched
		 * elsewhere may bring it */
		if (span_is_nocase(name, "\\Recent"))
			return true;
		c->cmd.args.error = "Invalid system flag";
		return false;
	}
	if (name.n > KEYWORD_MAX || memchr(name.p, ']', name.n) != NULL) {
		c->cmd.args.error = "Invalid keyword";
		return false;
	}
	/* all by name: numbers are those of one mailbox, and APPEND is for another */
	buf_add_str(keywords_r, keywords_r->len > 0 ? " " : "");
	buf_add_span(keywords_r, name);
	return true;
}

bool imap_parse_flags(struct imap_client *c, bool parens, uint64_t *flags_r, struct buf *keywords_r)
{
	struct imap_parser *p = &c->cmd.args;
	bool list = imap_parser_peek(p) == '(';
	struct span name;

	*flags_r = 0;
	if (!list && parens)
		return imap_parse_char(p, '(');
	if (list)
		(void)imap_parse_char(p, '(');
	if (list && imap_parser_peek(p) == ')')
		return imap_parse_char(p, ')');
	for (;;) {
		if (!imap_parse_flag(p, &name) || !add_flag(c, name, flags_r, keywords_r))
			return false;
		if (imap_parser_peek(p) != ' ')
			break;
		(void)imap_parse_space(p);
	}
	return !list || imap_parse_char(p, ')');
}

static void add_word(struct buf *out, size_t start, const char *word)
{
	if (out->len > start)
		buf_add_c(out, ' ');
	buf_add_str(out, word);
}

void imap_write_flags(struct imap_client *c, struct buf *out, uint64_t flags, bool recent)
{
	size_t start;

	buf_add_c(out, '(');
	start = out->len;
	for (size_t i = 0; i < array_count(system_flags); i++) {
		if ((flags & system_flags[i].flag) != 0)
			add_word(out, start, system_flags[i].name);
	}
	if (recent)
		add_word(out, start, "\\Recent");
	for (uint64_t rest = flags & ~FLAGS_SYSTEM; rest != 0; rest &= rest - 1) {
		unsigned bit = (unsigned)__builtin_ctzll(rest) - FLAG_KEYWORD_FIRST;

		if (bit < c->mbox.n_keywords)
			add_word(out, start, c->mbox.keywords[bit]);
	}
	buf_add_c(out, ')');
}

void imap_write_flag_names(struct imap_client *c, struct buf *out, bool permanent)
{
	uint64_t all = FLAGS_SYSTEM;

	if (permanent && c->mbox.readonly) {
		buf_add_str(out, "()");
		return;
	}
	for (unsigned i = 0; i < c->mbox.n_keywords; i++)
		all |= (uint64_t)1 << (FLAG_KEYWORD_FIRST + i);
	imap_write_flags(c, out, all, false);
	if (permanent && c->mbox.n_keywords < FLAG_KEYWORDS) {
		buf_truncate(out, out->len - 1);
		buf_add_str(out, " \\*)");
	}
}

bool imap_is_recent(const struct imap_client *c, uint32_t uid)
{
	return c->mbox.recent.n > 0 && uidset_has(&c->mbox.recent, uid);
}

size_t imap_count_recent(const struct imap_client *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->mbox.recent.n; i++) {
		struct uid_range r = c->mbox.recent.ranges[i];

		n += view_count_below(&c->mbox.view, r.last + (r.last < UINT32_MAX)) -
		     view_count_below(&c->mbox.view, r.first);
	}
	return n;
}
