/* What requests on messages share: reading slices, counters, tombstones, keywords. */
#include "lib-common/mem.h"
#include "services/indexer/writer.h"

struct mailbox_row *mailbox_of_task(struct writer *w, struct account_row *a, struct write_task *t,
	struct mailbox_row *m, enum write_status *status_r)
{
	*status_r = WRITE_DONE;
	if (a->state != ACCOUNT_LIVE || m == NULL) {
		err_set(&t->err, ERR_NOTFOUND, "no such mailbox");
		return NULL;
	}
	if (m->state == MAILBOX_NOSELECT) {
		err_set(&t->err, ERR_PERM, "the mailbox holds no messages");
		err_user(&t->err, "This mailbox holds no messages");
		return NULL;
	}
	if (copy_is_staging(w, m->id)) {
		*status_r = WRITE_WAIT;
		return NULL;
	}
	return m;
}

/* The rows of one range; the number read, or -1. */
static int range_read(struct writer *w, const struct mailbox_row *m, uint64_t first, uint64_t last,
	struct mailbox_record *records, unsigned max, struct err *e)
{
	struct rows *rows = db_query(
		w->db, Q_MESSAGES, e, "iiii", m->id, first, last, (uint64_t)max);
	unsigned n = 0;
	int rc;

	if (rows == NULL)
		return -1;
	while ((rc = db_next(rows, e)) == 1) {
		records[n++] = (struct mailbox_record){
			.uid = (uint32_t)db_u64(rows, 0),
			.flags = db_u64(rows, 1),
			.modseq = db_u64(rows, 2),
			.size = db_u64(rows, 3),
			.internaldate = db_i64(rows, 4),
			.tz_minutes = (int16_t)db_i64(rows, 5),
			.savedate = db_i64(rows, 6),
			.body = db_u64(rows, 7),
		};
	}
	db_end(rows);
	return rc < 0 ? -1 : (int)n;
}

int slice_read(struct writer *w, struct write_task *t, struct mailbox_row *m, unsigned max,
	unsigned *n_r, bool *more_r)
{
	unsigned n = 0, looked = 0;
	struct uid_range range;

	if (t->now.limit == 0)
		t->now.limit = m->uidnext - 1;
	*more_r = false;
	while (t->now.uid < t->now.limit &&
		uidset_range_from(&t->uids, (uint32_t)t->now.uid + 1, &range) &&
		range.first <= t->now.limit) {
		uint64_t last = range.last < t->now.limit ? range.last : t->now.limit;
		int got;

		if (n >= max || looked >= max) {
			*more_r = true;
			break;
		}
		got = range_read(w, m, range.first, last, w->slice + n, max - n, &t->err);
		if (got < 0)
			return -1;
		n += (unsigned)got;
		looked += got > 0 ? (unsigned)got : 1;
		/* a full answer may have stopped inside the range */
		t->now.uid = n >= max ? w->slice[n - 1].uid : last;
	}
	*n_r = n;
	return 0;
}

void count_message(struct mailbox_row *m, uint64_t flags, uint64_t size, int sign)
{
	uint64_t one = sign > 0 ? 1 : (uint64_t)-1;

	m->messages += one;
	m->size += sign > 0 ? size : -size;
	if ((flags & FLAG_SEEN) == 0)
		m->unseen += one;
	if ((flags & FLAG_DELETED) != 0)
		m->deleted += one;
	m->account->used_messages += one;
	m->account->used_bytes += sign > 0 ? size : -size;
}

int message_insert(struct writer *w, const struct mailbox_row *m, const struct mailbox_record *r,
	struct err *e)
{
	return db_run(w->db, Q_MESSAGE_ADD, e, "iiiiiiiiii", m->id, (uint64_t)r->uid,
		       m->account->id, r->modseq, r->flags, r->size, (uint64_t)r->internaldate,
		       (uint64_t)(int64_t)r->tz_minutes, (uint64_t)r->savedate, r->body) < 0
		       ? -1
		       : 0;
}

int message_bury(struct writer *w, struct mailbox_row *m, const struct mailbox_record *r,
	uint64_t modseq, bool keep_body, struct err *e)
{
	struct change *c = writer_change(w, m);

	if (db_run(w->db, Q_MESSAGE_DROP, e, "ii", m->id, (uint64_t)r->uid) < 0 ||
		db_run(w->db, Q_TOMBSTONE_ADD, e, "iiiiiiiiiiii", m->id, (uint64_t)r->uid,
			m->account->id, modseq, r->flags, r->size, (uint64_t)r->internaldate,
			(uint64_t)(int64_t)r->tz_minutes, (uint64_t)r->savedate,
			keep_body ? r->body : (uint64_t)0, (uint64_t)w->now,
			(uint64_t)keep_body) < 0)
		return -1;
	count_message(m, r->flags, r->size, -1);
	mailbox_log_expunged(&c->log, r->uid, modseq);
	c->entries++;
	return 0;
}

/* ---- keywords ---- */

/* RFC 3501 9 flag-keyword: an atom. */
static bool keyword_fits(struct span word)
{
	if (word.n == 0 || word.n > KEYWORD_MAX)
		return false;
	for (size_t i = 0; i < word.n; i++) {
		unsigned char c = (unsigned char)word.p[i];

		if (c <= 0x20 || c >= 0x7f || strchr("(){%*\"\\]", c) != NULL)
			return false;
	}
	return true;
}

/* The number of a keyword (case does not count); -1: not there. *n_r: how many there are. */
static int keyword_find(const struct mailbox_row *m, struct span word, unsigned *n_r)
{
	struct span rest = span_of(m->keywords), one;
	unsigned n = 0;
	int found = -1;

	while (rest.n > 0 && span_cut(&rest, ' ', &one)) {
		if (found < 0 && span_equal_nocase(one, word))
			found = (int)n;
		n++;
	}
	*n_r = n;
	return found;
}

int keywords_check(const struct mailbox_row *m, struct span words, struct err *e)
{
	struct span rest = words, word;
	unsigned n = 0, added = 0;

	keyword_find(m, SPAN(""), &n);
	while (rest.n > 0 && span_cut(&rest, ' ', &word)) {
		unsigned all;

		if (word.n == 0)
			continue;
		if (!keyword_fits(word)) {
			err_set(e, ERR_PERM, "not a valid keyword");
			return err_user(e, "This is not a valid keyword");
		}
		if (keyword_find(m, word, &all) < 0)
			added++;
	}
	if (n + added <= FLAG_KEYWORDS)
		return 0;
	err_set(e, ERR_LIMIT, "the mailbox has %u keywords, there is no place for more", n);
	return err_user(e, "This mailbox has no place for more keywords");
}

static void keyword_add(struct writer *w, struct mailbox_row *m, struct span word)
{
	char *all = mem_printf(
		"%s%s%.*s", m->keywords, m->keywords[0] != '\0' ? " " : "", (int)word.n, word.p);

	mem_free(m->keywords);
	m->keywords = all;
	cache_touch_mailbox(w, m);
	writer_change(w, m)->keywords_changed = true;
}

uint64_t keywords_bits(struct writer *w, struct mailbox_row *m, struct span words, bool add)
{
	struct span rest = words, word;
	uint64_t bits = 0;

	while (rest.n > 0 && span_cut(&rest, ' ', &word)) {
		unsigned n;
		int found = word.n > 0 ? keyword_find(m, word, &n) : -1;

		if (word.n == 0)
			continue;
		if (found < 0 && add && n < FLAG_KEYWORDS) {
			keyword_add(w, m, word);
			found = (int)n;
		}
		if (found >= 0 && found < FLAG_KEYWORDS)
			bits |= (uint64_t)1 << (FLAG_KEYWORD_FIRST + found);
	}
	return bits;
}

uint64_t keywords_translate(
	struct writer *w, const struct mailbox_row *from, struct mailbox_row *to, uint64_t flags)
{
	struct span rest = span_of(from->keywords), word;
	uint64_t bit = (uint64_t)1 << FLAG_KEYWORD_FIRST, result = flags & FLAGS_SYSTEM;

	if (from == to || (flags & ~FLAGS_SYSTEM) == 0)
		return flags;
	for (; rest.n > 0 && bit != 0 && span_cut(&rest, ' ', &word); bit <<= 1) {
		if ((flags & bit) != 0)
			result |= keywords_bits(w, to, word, true);
	}
	return result;
}
