/* Telling the client what has changed in the selected mailbox (RFC 3501 5.2, 7.3, 7.4). */
#include "services/imap/imap-client.h"

static void write_expunge(uint32_t seq, uint32_t uid, void *ctx)
{
	struct imap_client *c = ctx;

	(void)uid;
	buf_add(&c->out, "* ", 2);
	imap_write_number(&c->out, seq);
	buf_add_str(&c->out, " EXPUNGE\r\n");
}

static void write_counts(struct imap_client *c)
{
	struct imap_mailbox *m = &c->mbox;
	size_t exists = view_has_new(&m->view) ? view_announce_new(&m->view) : view_count(&m->view);
	size_t recent;

	/* expunges have lowered what the client knows already */
	if (exists != m->told_exists) {
		buf_printf(&c->out, "* %zu EXISTS\r\n", exists);
		m->told_exists = exists;
	}
	recent = imap_count_recent(c);
	if (recent != m->told_recent) {
		buf_printf(&c->out, "* %zu RECENT\r\n", recent);
		m->told_recent = recent;
	}
}

static void write_change(
	struct imap_client *c, uint32_t seq, const struct mailbox_record *r, bool silent)
{
	struct buf *out = &c->out;

	buf_add(out, "* ", 2);
	imap_write_number(out, seq);
	buf_add_str(out, " FETCH (");
	if (c->cmd.uid || c->condstore) {
		buf_add_str(out, "UID ");
		imap_write_number(out, r->uid);
		buf_add_c(out, ' ');
	}
	if (c->condstore) {
		buf_add_str(out, "MODSEQ (");
		imap_write_number(out, r->modseq);
		buf_add_str(out, silent ? ")" : ") ");
	}
	if (!silent) {
		buf_add_str(out, "FLAGS ");
		imap_write_flags(c, out, r->flags, imap_is_recent(c, r->uid));
	}
	buf_add(out, ")\r\n", 3);
}

static bool write_changes(struct imap_client *c)
{
	struct mailbox_view *v = &c->mbox.view;
	struct mailbox_record r;
	uint32_t seq, from = 0;
	bool silent;

	while (view_next_change(v, from, &seq, &r, &silent)) {
		if (!silent || c->condstore)
			write_change(c, seq, &r, silent);
		from = r.uid + 1;
		if (imap_output_full(c)) {
			/* what was told is forgotten, the rest is told when there is room */
			view_forget_changes_below(v, from);
			return false;
		}
	}
	view_forget_changes(v);
	return true;
}

bool imap_sync(struct imap_client *c, bool expunges)
{
	struct imap_mailbox *m = &c->mbox;

	if (!m->selected || m->gone)
		return true;
	if (m->keywords_changed) {
		m->keywords_changed = false;
		buf_add_str(&c->out, "* FLAGS ");
		imap_write_flag_names(c, &c->out, false);
		buf_add_str(&c->out, "\r\n* OK [PERMANENTFLAGS ");
		imap_write_flag_names(c, &c->out, true);
		buf_add_str(&c->out, "] Flags permitted\r\n");
	}
	if (expunges && m->view.n_expunges > 0) {
		m->told_exists -= m->view.n_expunges;
		view_announce_expunges(&m->view, write_expunge, c);
	}
	write_counts(c);
	return write_changes(c);
}
