#include "services/imap/mailbox-view.h"

#include "lib-common/mem.h"

/* ---- sorted arrays ---- */

static void *array_insert(void *array, size_t *n, size_t *cap, size_t size, size_t at)
{
	char *a = array;

	if (*n == *cap) {
		*cap = *cap == 0 ? 8 : *cap * 2;
		a = mem_realloc_array(a, *cap, size);
	}
	memmove(a + (at + 1) * size, a + at * size, (*n - at) * size);
	(*n)++;
	return a;
}

static void array_delete(void *array, size_t *n, size_t size, size_t at)
{
	char *a = array;

	(*n)--;
	memmove(a + at * size, a + (at + 1) * size, (*n - at) * size);
}

/* Index of the first number >= value. */
static size_t find_u32(const uint32_t *a, size_t n, uint32_t value)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (a[mid] < value)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static size_t find_flags(const struct mailbox_view *v, uint32_t uid)
{
	size_t low = 0, high = v->n_flags;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (v->flags[mid].uid < uid)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static size_t find_change(const struct mailbox_view *v, uint32_t uid)
{
	size_t low = 0, high = v->n_changes;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (v->changes[mid].uid < uid)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static size_t find_extra(const struct mailbox_view *v, uint32_t uid)
{
	return mailbox_records_find(v->extras, v->n_extras, uid);
}

static size_t find_base(const struct mailbox_view *v, uint32_t uid)
{
	return mailbox_records_find(v->base.records, v->base.count, uid);
}

/* Records of the base below this index that are in the known or announced state. */
static size_t base_rank(const struct mailbox_view *v, size_t index)
{
	return index - find_u32(v->removed, v->n_removed, (uint32_t)index);
}

void view_init(struct mailbox_view *v)
{
	memset(v, 0, sizeof(*v));
	v->limit = v->uidnext = 1;
}

void view_clear(struct mailbox_view *v)
{
	mailbox_base_close(&v->base);
	mem_free(v->removed);
	mem_free(v->extras);
	mem_free(v->flags);
	mem_free(v->expunges);
	mem_free(v->changes);
	view_init(v);
}

/* ---- looking up ---- */

/* Where a UID stands: 'b' with its index in the base, 'e' in the extras, 0 not there. */
static char locate(const struct mailbox_view *v, uint32_t uid, size_t *index_r)
{
	size_t at = find_base(v, uid), r;

	if (at < v->base.count && v->base.records[at].uid == uid) {
		r = find_u32(v->removed, v->n_removed, (uint32_t)at);
		*index_r = at;
		return r < v->n_removed && v->removed[r] == at ? 0 : 'b';
	}
	at = find_extra(v, uid);
	*index_r = at;
	return at < v->n_extras && v->extras[at].uid == uid ? 'e' : 0;
}

static void apply_overlay(const struct mailbox_view *v, struct mailbox_record *r)
{
	size_t at = find_flags(v, r->uid);

	if (at < v->n_flags && v->flags[at].uid == r->uid) {
		r->flags = v->flags[at].flags;
		r->modseq = v->flags[at].modseq;
	}
}

size_t view_count_below(const struct mailbox_view *v, uint32_t uid)
{
	if (uid > v->limit)
		uid = v->limit;
	return base_rank(v, find_base(v, uid)) + find_extra(v, uid);
}

size_t view_count(const struct mailbox_view *v)
{
	return view_count_below(v, v->limit);
}

uint32_t view_seq(const struct mailbox_view *v, uint32_t uid)
{
	size_t at;

	if (uid >= v->limit || locate(v, uid, &at) == 0)
		return 0;
	return (uint32_t)view_count_below(v, uid) + 1;
}

/* Index in the base of its n-th record that is in the view. */
static size_t base_select(const struct mailbox_view *v, size_t n)
{
	size_t low = 0, high = v->n_removed;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (v->removed[mid] - mid <= n)
			low = mid + 1;
		else
			high = mid;
	}
	return n + low;
}

/* Extras that stand in front of position n or at it. */
static size_t extras_up_to(const struct mailbox_view *v, size_t n)
{
	size_t low = 0, high = v->n_extras;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (base_rank(v, find_base(v, v->extras[mid].uid)) + mid <= n)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool view_get(const struct mailbox_view *v, uint32_t seq, struct mailbox_record *r)
{
	size_t n = (size_t)seq - 1, extras, at;

	if (seq == 0 || n >= view_count(v))
		return false;
	extras = extras_up_to(v, n);
	if (extras > 0 && base_rank(v, find_base(v, v->extras[extras - 1].uid)) + extras - 1 == n) {
		*r = v->extras[extras - 1];
		return true;
	}
	at = base_select(v, n - extras);
	if (at >= v->base.count)
		return false;
	*r = v->base.records[at];
	apply_overlay(v, r);
	return true;
}

uint32_t view_last_uid(const struct mailbox_view *v)
{
	struct mailbox_record r;

	return view_get(v, (uint32_t)view_count(v), &r) ? r.uid : 0;
}

bool view_is_expunged(const struct mailbox_view *v, uint32_t uid)
{
	size_t at = find_u32(v->expunges, v->n_expunges, uid);

	return at < v->n_expunges && v->expunges[at] == uid;
}

int view_uids_of_seqs(
	const struct mailbox_view *v, const struct uidset *seqs, struct uidset *uids_r)
{
	size_t count = view_count(v);
	const struct mailbox_record *r;
	struct view_cursor c;

	for (size_t i = 0; i < seqs->n; i++) {
		if (seqs->ranges[i].first > count)
			return -1;
		view_cursor_init(&c, v, seqs->ranges[i].first);
		while ((r = view_cursor_next(&c)) != NULL) {
			uidset_add(uids_r, r->uid, r->uid);
			if (c.seq == seqs->ranges[i].last)
				break;
		}
	}
	return 0;
}

void view_cursor_init(struct view_cursor *c, const struct mailbox_view *v, uint32_t first_seq)
{
	size_t n = first_seq == 0 ? 0 : (size_t)first_seq - 1, extras;
	uint32_t uid;

	memset(c, 0, sizeof(*c));
	c->v = v;
	c->base_end = find_base(v, v->limit);
	c->seq = (uint32_t)n;
	if (n >= view_count(v)) {
		c->base_at = c->base_end;
		c->extras_at = v->n_extras;
		return;
	}
	extras = extras_up_to(v, n);
	if (extras > 0 && base_rank(v, find_base(v, v->extras[extras - 1].uid)) + extras - 1 == n) {
		c->extras_at = extras - 1;
		uid = v->extras[extras - 1].uid;
		c->base_at = find_base(v, uid);
	} else {
		c->extras_at = extras;
		c->base_at = base_select(v, n - extras);
		uid = c->base_at < v->base.count ? v->base.records[c->base_at].uid : v->limit;
	}
	c->removed_at = find_u32(v->removed, v->n_removed, (uint32_t)c->base_at);
	c->flags_at = find_flags(v, uid);
}

const struct mailbox_record *view_cursor_next(struct view_cursor *c)
{
	const struct mailbox_view *v = c->v;
	const struct mailbox_record *base = NULL, *extra = NULL;

	while (c->removed_at < v->n_removed && v->removed[c->removed_at] == c->base_at) {
		c->removed_at++;
		c->base_at++;
	}
	if (c->base_at < c->base_end)
		base = &v->base.records[c->base_at];
	if (c->extras_at < v->n_extras && v->extras[c->extras_at].uid < v->limit)
		extra = &v->extras[c->extras_at];
	if (base == NULL && extra == NULL)
		return NULL;
	c->seq++;
	if (base == NULL || (extra != NULL && extra->uid < base->uid)) {
		c->extras_at++;
		return extra;
	}
	c->base_at++;
	while (c->flags_at < v->n_flags && v->flags[c->flags_at].uid < base->uid)
		c->flags_at++;
	if (c->flags_at == v->n_flags || v->flags[c->flags_at].uid != base->uid)
		return base;
	c->copy = *base;
	c->copy.flags = v->flags[c->flags_at].flags;
	c->copy.modseq = v->flags[c->flags_at].modseq;
	return &c->copy;
}

/* ---- changes ---- */

static void note_change(struct mailbox_view *v, uint32_t uid, bool silent)
{
	size_t at = find_change(v, uid);

	if (uid >= v->limit)
		return; /* the client does not know the message; it will ask */
	if (at < v->n_changes && v->changes[at].uid == uid) {
		v->changes[at].silent &= silent;
		return;
	}
	v->changes = array_insert(
		v->changes, &v->n_changes, &v->cap_changes, sizeof(*v->changes), at);
	v->changes[at] = (struct view_change){uid, silent};
}

static bool is_silent(const struct mailbox_view *v, uint32_t uid, uint64_t old, uint64_t new)
{
	if (v->silent_set == NULL || !uidset_has(v->silent_set, uid))
		return false;
	switch (v->silent_mode) {
	case VIEW_STORE_ADD:
		return new == (old | v->silent_flags);
	case VIEW_STORE_REMOVE:
		return new == (old & ~v->silent_flags);
	case VIEW_STORE_REPLACE:
		return new == v->silent_flags;
	case VIEW_STORE_NONE:
		break;
	}
	return false;
}

static void set_base_flags(struct mailbox_view *v, uint32_t uid, uint64_t flags, uint64_t modseq)
{
	size_t at = find_flags(v, uid);

	if (at == v->n_flags || v->flags[at].uid != uid)
		v->flags = array_insert(
			v->flags, &v->n_flags, &v->cap_flags, sizeof(*v->flags), at);
	v->flags[at] = (struct view_flags){uid, flags, modseq};
}

static void apply_flags(struct mailbox_view *v, const struct mailbox_record *change)
{
	struct mailbox_record old;
	size_t at;
	char where = locate(v, change->uid, &at);

	if (where == 0)
		return;
	old = where == 'b' ? v->base.records[at] : v->extras[at];
	if (where == 'b')
		apply_overlay(v, &old);
	if (old.modseq >= change->modseq)
		return;
	if (where == 'b') {
		set_base_flags(v, change->uid, change->flags, change->modseq);
	} else {
		v->extras[at].flags = change->flags;
		v->extras[at].modseq = change->modseq;
	}
	note_change(v, change->uid, is_silent(v, change->uid, old.flags, change->flags));
}

static void apply_new(struct mailbox_view *v, const struct mailbox_record *record)
{
	size_t at = find_base(v, record->uid);

	if (record->uid >= v->uidnext && record->uid < UINT32_MAX)
		v->uidnext = record->uid + 1;
	if (at < v->base.count && v->base.records[at].uid == record->uid) {
		apply_flags(v, record);
		return;
	}
	at = find_extra(v, record->uid);
	if (at < v->n_extras && v->extras[at].uid == record->uid) {
		apply_flags(v, record);
		return;
	}
	if (record->uid < v->limit)
		return; /* announced as gone already: UIDs do not come back */
	v->extras = array_insert(v->extras, &v->n_extras, &v->cap_extras, sizeof(*v->extras), at);
	v->extras[at] = *record;
}

static void apply_expunged(struct mailbox_view *v, uint32_t uid)
{
	size_t at, index;
	char where = locate(v, uid, &index);

	if (where == 0)
		return;
	if (uid < v->limit) {
		at = find_u32(v->expunges, v->n_expunges, uid);
		if (at < v->n_expunges && v->expunges[at] == uid)
			return;
		v->expunges = array_insert(
			v->expunges, &v->n_expunges, &v->cap_expunges, sizeof(*v->expunges), at);
		v->expunges[at] = uid;
	} else if (where == 'b') {
		at = find_u32(v->removed, v->n_removed, (uint32_t)index);
		v->removed = array_insert(
			v->removed, &v->n_removed, &v->cap_removed, sizeof(*v->removed), at);
		v->removed[at] = (uint32_t)index;
	} else {
		array_delete(v->extras, &v->n_extras, sizeof(*v->extras), index);
	}
}

int view_apply(struct mailbox_view *v, struct span log, struct err *e)
{
	struct mailbox_change change;
	int r;

	while ((r = mailbox_log_next(&log, &change)) > 0) {
		if (change.record.modseq > v->modseq)
			v->modseq = change.record.modseq;
		switch (change.kind) {
		case MESSAGE_NEW:
			apply_new(v, &change.record);
			break;
		case MESSAGE_FLAGS:
			apply_flags(v, &change.record);
			break;
		case MESSAGE_EXPUNGED:
			apply_expunged(v, change.record.uid);
			break;
		}
	}
	return r < 0 ? err_set(e, ERR_PROTO, "malformed log of a mailbox") : 0;
}

static void take_base(struct mailbox_view *v, struct mailbox_base *base)
{
	v->base = *base;
	memset(base, 0, sizeof(*base));
	if (v->base.count > 0 && v->base.records[v->base.count - 1].uid >= v->uidnext)
		v->uidnext = v->base.records[v->base.count - 1].uid + 1;
	if (v->base.header != NULL && v->base.header->modseq > v->modseq)
		v->modseq = v->base.header->modseq;
}

int view_load(struct mailbox_view *v, struct mailbox_base *base, struct span log, struct err *e)
{
	int r;

	view_clear(v);
	take_base(v, base);
	/* limit is 1, so nothing counts as announced and expunges act at once */
	r = view_apply(v, log, e);
	v->limit = v->uidnext;
	return r;
}

/* What the view holds now, as one array: announced and merely known messages. */
static struct mailbox_record *all_records(struct mailbox_view *v, size_t *n_r)
{
	uint32_t limit = v->limit;
	const struct mailbox_record *r;
	struct mailbox_record *all;
	struct view_cursor c;
	size_t n = 0;

	v->limit = UINT32_MAX;
	all = mem_alloc_array(view_count(v) + 1, sizeof(*all));
	view_cursor_init(&c, v, 1);
	while ((r = view_cursor_next(&c)) != NULL)
		all[n++] = *r;
	v->limit = limit;
	*n_r = n;
	return all;
}

static void remove_index(struct mailbox_view *v, size_t index)
{
	v->removed = array_insert(
		v->removed, &v->n_removed, &v->cap_removed, sizeof(*v->removed), v->n_removed);
	v->removed[v->n_removed - 1] = (uint32_t)index;
}

static void add_extra(struct mailbox_view *v, const struct mailbox_record *r)
{
	v->extras = array_insert(
		v->extras, &v->n_extras, &v->cap_extras, sizeof(*v->extras), v->n_extras);
	v->extras[v->n_extras - 1] = *r;
}

/* One walk along the old records and the new base. What the base lacks becomes an extra; what it
 * has too much below the UIDs known before was expunged after it was made. */
void view_rebase(struct mailbox_view *v, struct mailbox_base *base)
{
	uint32_t known = v->uidnext;
	struct mailbox_record *all;
	size_t n, i = 0;

	all = all_records(v, &n);
	mailbox_base_close(&v->base);
	v->n_removed = v->n_extras = v->n_flags = 0;
	take_base(v, base);
	for (size_t b = 0; b < v->base.count; b++) {
		const struct mailbox_record *r = &v->base.records[b];

		for (; i < n && all[i].uid < r->uid; i++)
			add_extra(v, &all[i]);
		if (i == n || all[i].uid != r->uid) {
			if (r->uid < known)
				remove_index(v, b);
			continue;
		}
		if (all[i].modseq > r->modseq)
			set_base_flags(v, r->uid, all[i].flags, all[i].modseq);
		else if (all[i].modseq < r->modseq)
			note_change(v, r->uid, false);
		i++;
	}
	for (; i < n; i++)
		add_extra(v, &all[i]);
	mem_free(all);
}

/* UIDs that a log names as new. */
static void log_new_uids(struct span log, struct uidset *set)
{
	struct mailbox_change change;

	while (mailbox_log_next(&log, &change) > 0) {
		if (change.kind == MESSAGE_NEW)
			uidset_add(set, change.record.uid, change.record.uid);
	}
}

int view_reload(struct mailbox_view *v, struct mailbox_base *base, struct span log, struct err *e)
{
	struct uidset fresh;
	uint32_t uid;

	uidset_init(&fresh);
	log_new_uids(log, &fresh);
	view_rebase(v, base);
	for (size_t i = v->n_extras; i-- > 0;) {
		uid = v->extras[i].uid;
		if (!uidset_has(&fresh, uid))
			apply_expunged(v, uid);
	}
	uidset_clear(&fresh);
	return view_apply(v, log, e);
}

/* ---- announcing ---- */

bool view_has_new(const struct mailbox_view *v)
{
	size_t at;

	if (v->uidnext <= v->limit)
		return false;
	at = find_base(v, v->limit);
	return base_rank(v, v->base.count) > base_rank(v, at) ||
	       find_extra(v, v->limit) < v->n_extras;
}

size_t view_announce_new(struct mailbox_view *v)
{
	if (v->uidnext > v->limit)
		v->limit = v->uidnext;
	return view_count(v);
}

static void drop_removed_uids(struct mailbox_view *v)
{
	size_t out = 0;

	/* the arrays are walked once, whatever the number of messages */
	for (size_t i = 0; i < v->n_extras; i++) {
		if (!view_is_expunged(v, v->extras[i].uid))
			v->extras[out++] = v->extras[i];
	}
	v->n_extras = out;
	out = 0;
	for (size_t i = 0; i < v->n_flags; i++) {
		if (!view_is_expunged(v, v->flags[i].uid))
			v->flags[out++] = v->flags[i];
	}
	v->n_flags = out;
	out = 0;
	for (size_t i = 0; i < v->n_changes; i++) {
		if (!view_is_expunged(v, v->changes[i].uid))
			v->changes[out++] = v->changes[i];
	}
	v->n_changes = out;
}

/* Merges the base's indexes of expunged messages into `removed`, both ascending. */
static void merge_removed(struct mailbox_view *v)
{
	uint32_t *merged = mem_alloc_array(v->n_removed + v->n_expunges + 1, sizeof(*merged));
	size_t n = 0, r = 0;

	for (size_t i = 0; i < v->n_expunges; i++) {
		size_t at = find_base(v, v->expunges[i]);

		if (at == v->base.count || v->base.records[at].uid != v->expunges[i])
			continue;
		while (r < v->n_removed && v->removed[r] < at)
			merged[n++] = v->removed[r++];
		merged[n++] = (uint32_t)at;
	}
	while (r < v->n_removed)
		merged[n++] = v->removed[r++];
	mem_free(v->removed);
	v->removed = merged;
	v->cap_removed = v->n_removed + v->n_expunges + 1;
	v->n_removed = n;
}

void view_announce_expunges(
	struct mailbox_view *v, void (*cb)(uint32_t seq, uint32_t uid, void *ctx), void *ctx)
{
	if (v->n_expunges == 0)
		return;
	for (size_t i = v->n_expunges; i-- > 0;)
		cb(view_seq(v, v->expunges[i]), v->expunges[i], ctx);
	merge_removed(v);
	drop_removed_uids(v);
	mem_free(v->expunges);
	v->expunges = NULL;
	v->n_expunges = v->cap_expunges = 0;
}

bool view_next_change(const struct mailbox_view *v, uint32_t from_uid, uint32_t *seq_r,
	struct mailbox_record *r, bool *silent_r)
{
	for (size_t at = find_change(v, from_uid); at < v->n_changes; at++) {
		*seq_r = view_seq(v, v->changes[at].uid);
		*silent_r = v->changes[at].silent;
		if (*seq_r != 0 && view_get(v, *seq_r, r))
			return true;
	}
	return false;
}

void view_forget_changes(struct mailbox_view *v)
{
	mem_free(v->changes);
	v->changes = NULL;
	v->n_changes = v->cap_changes = 0;
}

void view_forget_changes_below(struct mailbox_view *v, uint32_t uid)
{
	size_t at = find_change(v, uid);

	v->n_changes -= at;
	memmove(v->changes, v->changes + at, v->n_changes * sizeof(*v->changes));
}

void view_silence(
	struct mailbox_view *v, const struct uidset *set, enum view_store_mode mode, uint64_t flags)
{
	v->silent_set = set;
	v->silent_mode = mode;
	v->silent_flags = flags;
}

void view_note_changes(struct mailbox_view *v, const struct uidset *uids)
{
	for (uint32_t uid = uidset_next(uids, 1); uid != 0;
		uid = uid == UINT32_MAX ? 0 : uidset_next(uids, uid + 1)) {
		if (view_seq(v, uid) != 0)
			note_change(v, uid, false);
	}
}
