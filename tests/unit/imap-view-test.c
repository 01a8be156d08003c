/* The view against a plain model of the same mailbox: random changes, announcements and new bases.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib-common/mem.h"
#include "services/imap/imap-match.h"
#include "services/imap/mailbox-view.h"

#define MAX 3000

/* What the mailbox is, and what the client was told of it. */
struct model {
	struct mailbox_record real[MAX], told[MAX];
	size_t n_real, n_told;
	uint32_t uidnext;
	uint64_t modseq;
};

static uint32_t seed = 1;

static uint32_t rnd(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

static struct mailbox_record record(struct model *m)
{
	return (struct mailbox_record){
		.uid = m->uidnext, .modseq = ++m->modseq, .size = m->uidnext};
}

static void make_base(struct model *m, struct mailbox_base *base_r)
{
	struct err e;
	int fd = mailbox_base_make(m->real, m->n_real, 1, m->modseq, &e);

	assert_true(fd >= 0);
	assert_int_equal(mailbox_base_open(fd, base_r, &e), 0);
	close(fd);
}

static void change_real(struct model *m, struct buf *log)
{
	size_t i;

	switch (rnd(3)) {
	case 0:
		if (m->n_real == MAX)
			return;
		m->real[m->n_real] = record(m);
		mailbox_log_new(log, &m->real[m->n_real++]);
		m->uidnext += 1 + rnd(3);
		break;
	case 1:
		if (m->n_real == 0)
			return;
		i = rnd((uint32_t)m->n_real);
		m->real[i].flags = rnd(32);
		m->real[i].modseq = ++m->modseq;
		mailbox_log_flags(log, m->real[i].uid, m->modseq, m->real[i].flags);
		break;
	default:
		if (m->n_real == 0)
			return;
		i = rnd((uint32_t)m->n_real);
		mailbox_log_expunged(log, m->real[i].uid, ++m->modseq);
		memmove(m->real + i, m->real + i + 1, (--m->n_real - i) * sizeof(m->real[0]));
	}
}

static const struct mailbox_record *find(const struct mailbox_record *a, size_t n, uint32_t uid)
{
	for (size_t i = 0; i < n; i++) {
		if (a[i].uid == uid)
			return &a[i];
	}
	return NULL;
}

static void check(const struct mailbox_view *v, const struct model *m)
{
	const struct mailbox_record *r;
	struct mailbox_record one;
	struct view_cursor c;
	size_t i = 0;

	assert_int_equal(view_count(v), m->n_told);
	view_cursor_init(&c, v, 1);
	while ((r = view_cursor_next(&c)) != NULL) {
		const struct mailbox_record *real = find(m->real, m->n_real, r->uid);

		assert_int_equal(r->uid, m->told[i].uid);
		assert_int_equal(c.seq, i + 1);
		assert_int_equal(view_seq(v, r->uid), i + 1);
		assert_int_equal(view_is_expunged(v, r->uid), real == NULL);
		if (real != NULL)
			assert_int_equal(r->flags, real->flags);
		assert_true(view_get(v, (uint32_t)i + 1, &one));
		assert_memory_equal(&one, r, sizeof(one));
		i++;
	}
	assert_int_equal(i, m->n_told);
	assert_false(view_get(v, (uint32_t)i + 1, &one));
	if (i > 2) {
		uint32_t from = 1 + rnd((uint32_t)i);

		view_cursor_init(&c, v, from);
		for (; (r = view_cursor_next(&c)) != NULL; from++)
			assert_int_equal(r->uid, m->told[from - 1].uid);
		assert_int_equal(from, i + 1);
	}
}

static void on_expunge(uint32_t seq, uint32_t uid, void *ctx)
{
	struct model *m = ctx;

	assert_true(seq >= 1 && seq <= m->n_told);
	assert_int_equal(m->told[seq - 1].uid, uid);
	memmove(m->told + seq - 1, m->told + seq, (--m->n_told - (seq - 1)) * sizeof(m->told[0]));
}

static void tell(struct mailbox_view *v, struct model *m)
{
	if (rnd(2)) {
		view_announce_expunges(v, on_expunge, m);
		for (size_t i = 0; i < m->n_told; i++)
			assert_non_null(find(m->real, m->n_real, m->told[i].uid));
	}
	if (rnd(2)) {
		uint32_t last = m->n_told > 0 ? m->told[m->n_told - 1].uid : 0;

		if (v->limit > last)
			last = v->limit - 1;
		for (size_t i = 0; i < m->n_real; i++) {
			if (m->real[i].uid > last)
				m->told[m->n_told++] = m->real[i];
		}
		assert_int_equal(view_announce_new(v), m->n_told);
		assert_false(view_has_new(v));
	}
}

static void test_random(void **state)
{
	struct model *m = mem_alloc(sizeof(*m));
	struct mailbox_view v;
	struct mailbox_base base;
	struct buf log;
	struct err e;

	(void)state;
	m->uidnext = 1;
	buf_init(&log);
	for (int i = 0; i < 300; i++) {
		m->real[m->n_real++] = record(m);
		m->uidnext++;
	}
	make_base(m, &base);
	for (int i = 0; i < 50; i++)
		change_real(m, &log);
	view_init(&v);
	assert_int_equal(view_load(&v, &base, buf_span(&log), &e), 0);
	memcpy(m->told, m->real, sizeof(m->told));
	m->n_told = m->n_real;
	check(&v, m);
	for (int round = 0; round < 400; round++) {
		bool lost = rnd(15) == 0;

		buf_empty(&log);
		if (lost && rnd(2)) /* the base is from before the last changes */
			make_base(m, &base);
		else
			base.header = NULL;
		for (uint32_t n = rnd(8); n > 0; n--)
			change_real(m, &log);
		if (lost) {
			if (base.header == NULL) {
				make_base(m, &base);
				buf_empty(&log);
			}
			assert_int_equal(view_reload(&v, &base, buf_span(&log), &e), 0);
		} else {
			assert_int_equal(view_apply(&v, buf_span(&log), &e), 0);
			/* twice is as good as once */
			assert_int_equal(view_apply(&v, buf_span(&log), &e), 0);
		}
		check(&v, m);
		tell(&v, m);
		check(&v, m);
		if (rnd(10) == 0) {
			make_base(m, &base);
			view_rebase(&v, &base);
			check(&v, m);
		}
		assert_int_equal(v.modseq, m->modseq);
	}
	view_clear(&v);
	buf_clear(&log);
	mem_free(m);
}

static void load_three(struct mailbox_view *v, struct model *m)
{
	struct mailbox_base base;
	struct err e;

	m->uidnext = 1;
	for (int i = 0; i < 3; i++) {
		m->real[m->n_real++] = record(m);
		m->uidnext++;
	}
	make_base(m, &base);
	view_init(v);
	assert_int_equal(view_load(v, &base, span_from("", 0), &e), 0);
}

static void test_changes(void **state)
{
	struct model *m = mem_alloc(sizeof(*m));
	struct mailbox_view v;
	struct mailbox_record r;
	struct uidset set;
	struct buf log;
	struct err e;
	uint32_t seq;
	bool silent;

	(void)state;
	load_three(&v, m);
	uidset_init(&set);
	uidset_add(&set, 1, 2);
	buf_init(&log);
	/* own silent change of 1 and 2, and somebody else's of 2 and 3 */
	view_silence(&v, &set, VIEW_STORE_ADD, 4);
	mailbox_log_flags(&log, 1, 10, 4);
	mailbox_log_flags(&log, 2, 10, 4);
	mailbox_log_flags(&log, 2, 11, 5);
	mailbox_log_flags(&log, 3, 11, 4);
	assert_int_equal(view_apply(&v, buf_span(&log), &e), 0);
	view_silence(&v, NULL, VIEW_STORE_NONE, 0);
	assert_true(view_next_change(&v, 0, &seq, &r, &silent));
	assert_true(seq == 1 && silent && r.flags == 4);
	assert_true(view_next_change(&v, 2, &seq, &r, &silent));
	assert_true(seq == 2 && !silent && r.flags == 5 && r.modseq == 11);
	assert_true(view_next_change(&v, 3, &seq, &r, &silent));
	assert_true(seq == 3 && !silent);
	view_forget_changes_below(&v, 3);
	assert_true(view_next_change(&v, 0, &seq, &r, &silent));
	assert_int_equal(seq, 3);
	view_forget_changes(&v);
	assert_false(view_next_change(&v, 0, &seq, &r, &silent));
	/* an older entry changes nothing */
	buf_empty(&log);
	mailbox_log_flags(&log, 2, 9, 1);
	assert_int_equal(view_apply(&v, buf_span(&log), &e), 0);
	assert_false(view_next_change(&v, 0, &seq, &r, &silent));
	/* damaged */
	assert_int_equal(view_apply(&v, span_from("\x07", 1), &e), -1);
	buf_clear(&log);
	uidset_clear(&set);
	view_clear(&v);
	mem_free(m);
}

static void test_sequence_sets(void **state)
{
	struct model *m = mem_alloc(sizeof(*m));
	struct mailbox_view v;
	struct uidset seqs, uids;
	struct buf text;

	(void)state;
	load_three(&v, m);
	uidset_init(&seqs);
	uidset_init(&uids);
	buf_init(&text);
	uidset_add(&seqs, 2, 9);
	assert_int_equal(view_uids_of_seqs(&v, &seqs, &uids), 0);
	uidset_format(&uids, &text);
	assert_string_equal(buf_str(&text), "2:3");
	uidset_add(&seqs, 11, 12);
	assert_int_equal(view_uids_of_seqs(&v, &seqs, &uids), -1);
	buf_clear(&text);
	uidset_clear(&seqs);
	uidset_clear(&uids);
	view_clear(&v);
	mem_free(m);
}

static void test_match(void **state)
{
	struct buf name, pattern;

	(void)state;
	assert_true(imap_match(SPAN("*"), SPAN("a/b"), '/'));
	assert_true(imap_match(SPAN("%"), SPAN("ab"), '/'));
	assert_false(imap_match(SPAN("%"), SPAN("a/b"), '/'));
	assert_true(imap_match(SPAN("%/%"), SPAN("a/b"), '/'));
	assert_false(imap_match(SPAN("%/%"), SPAN("a/b/c"), '/'));
	assert_true(imap_match(SPAN("a*c%e"), SPAN("a/c/c-de"), '/'));
	assert_true(imap_match(SPAN("*b%"), SPAN("ab/ab"), '/'));
	assert_true(imap_match(SPAN("%a%b"), SPAN("xaab"), '/'));
	assert_true(imap_match(SPAN("INBOX"), SPAN("INBOX"), '/'));
	assert_false(imap_match(SPAN("INBO"), SPAN("INBOX"), '/'));
	assert_true(imap_match(SPAN(""), SPAN(""), '/'));
	/* what ruins a matcher that backtracks */
	buf_init(&name);
	buf_init(&pattern);
	for (int i = 0; i < 5000; i++) {
		buf_add_str(&name, "a");
		buf_add_str(&pattern, i % 2 ? "*a" : "%a");
	}
	buf_add_str(&pattern, "b");
	assert_false(imap_match(buf_span(&pattern), buf_span(&name), '/'));
	buf_clear(&name);
	buf_clear(&pattern);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_sequence_sets),
		cmocka_unit_test(test_match),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
