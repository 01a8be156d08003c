/* The states of mailboxes that are open, or were lately. */
#include <fcntl.h>
#include <unistd.h>
#include "lib-common/log.h"
#include "lib-common/mem.h"
#include "lib-common/metrics.h"
#include "services/indexer/indexer.h"

#define LOG_ENTRIES_MIN 1000	      /* no new base below this */
#define SESSION_OUTPUT_MAX (8u << 20) /* of events that a session does not read */

struct state_waiter {
	struct state_waiter *next;
	state_cb *cb;
	struct request *request;
};

/* ---- least recently used, and memory ---- */

static void lru_unlink(struct state *st)
{
	struct indexer *ix = st->ix;

	*(st->newer != NULL ? &st->newer->older : &ix->states_newest) = st->older;
	*(st->older != NULL ? &st->older->newer : &ix->states_oldest) = st->newer;
	st->newer = st->older = NULL;
}

static void lru_front(struct state *st)
{
	struct indexer *ix = st->ix;

	st->older = ix->states_newest;
	st->newer = NULL;
	*(st->older != NULL ? &st->older->newer : &ix->states_oldest) = st;
	ix->states_newest = st;
}

static void state_account_memory(struct state *st)
{
	uint64_t now = sizeof(*st) + st->log.cap;

	if (st->base_fd >= 0)
		now += sizeof(struct mailbox_base_header) +
		       st->base_count * sizeof(struct mailbox_record);
	st->ix->states_memory += now - st->memory;
	st->memory = now;
}

static void save_recent(struct state *st)
{
	struct write_task *t;

	if (st->recent_uid <= st->recent_saved || st->gone)
		return;
	t = write_task_new(write_recent, write_task_free);
	t->account = st->account;
	t->mailbox = st->mailbox;
	t->uid = st->recent_uid;
	st->recent_saved = st->recent_uid;
	writer_put(st->ix->writer, t);
}

static void state_drop(struct state *st)
{
	save_recent(st);
	lru_unlink(st);
	table_remove(&st->ix->states, st->mailbox);
	st->ix->states_memory -= st->memory;
	if (st->base_fd >= 0)
		close(st->base_fd);
	buf_clear(&st->log);
	mem_free(st->keywords);
	mem_free(st);
}

static bool state_in_use(const struct state *st)
{
	return st->sessions != NULL || st->waiters != NULL || st->loading || st->pins > 0;
}

/* Forgets what was used least lately until the rest fits. What is in use stays. */
static void states_trim(struct indexer *ix)
{
	struct state *st, *newer;

	for (st = ix->states_oldest; st != NULL && ix->states_memory > ix->config.state_memory;
		st = newer) {
		newer = st->newer;
		if (!state_in_use(st))
			state_drop(st);
	}
	metric_set(METRIC_INDEXER_STATE_OCTETS, ix->states_memory);
}

void states_free(struct indexer *ix)
{
	while (ix->states_oldest != NULL)
		state_drop(ix->states_oldest);
}

void states_save_recent(struct indexer *ix)
{
	for (struct state *st = ix->states_newest; st != NULL; st = st->older)
		save_recent(st);
}

/* ---- loading ---- */

static void waiters_call(struct state *st, const struct err *e)
{
	struct state_waiter *waiter = st->waiters, *next;

	st->waiters = NULL;
	st->waiters_tail = &st->waiters;
	for (; waiter != NULL; waiter = next) {
		next = waiter->next;
		waiter->cb(e == NULL ? st : NULL, e, waiter->request);
		mem_free(waiter);
	}
}

/* Entries that the base has are dropped off the log's front. */
static void log_trim(struct state *st)
{
	struct span rest = buf_span(&st->log);
	struct mailbox_change c;
	size_t kept = rest.n, entries = st->entries;

	while (mailbox_log_next(&rest, &c) == 1 && c.record.modseq <= st->base_modseq) {
		kept = rest.n;
		entries--;
	}
	buf_consume(&st->log, st->log.len - kept);
	st->entries = entries;
}

static void set_keywords(struct state *st, const char *keywords)
{
	mem_free(st->keywords);
	st->keywords = mem_strdup(keywords);
}

static void base_take(struct state *st, struct read_task *t)
{
	bool first = st->base_fd < 0;

	if (!first)
		close(st->base_fd);
	st->base_fd = t->fd;
	t->fd = -1;
	st->generation = t->generation;
	st->base_count = t->count;
	st->base_modseq = t->modseq;
	if (first) {
		st->uidvalidity = t->uidvalidity;
		st->recent_uid = st->recent_saved = t->recent_uid;
	}
	/* a change that came while this was read is newer than what was read */
	if (t->modseq >= st->modseq) {
		st->uidnext = t->uidnext;
		st->modseq = t->modseq;
		st->messages = t->messages;
		set_keywords(st, t->keywords);
	} else if (st->keywords == NULL) {
		set_keywords(st, t->keywords);
	}
	log_trim(st);
	state_account_memory(st);
	if (first)
		return;
	for (struct session *s = st->sessions; s != NULL; s = s->next_selected)
		session_event(s, "BASE", SPAN(""), "mailbox", st->mailbox, "generation",
			st->generation, NULL, 0, NULL, 0);
}

static void state_loaded(struct read_task *t)
{
	struct indexer *ix = t->ctx;
	struct state *st = table_get(&ix->states, t->mailbox);
	struct err e = t->err;

	if (st == NULL || !st->loading) {
		read_task_free(t);
		return;
	}
	st->loading = false;
	if (e.code == ERR_NONE && t->noselect) {
		err_set(&e, ERR_PERM, "the mailbox holds no messages");
		err_user(&e, "This mailbox holds no messages");
	}
	if (e.code == ERR_NONE && !st->gone)
		base_take(st, t);
	else if (st->gone)
		err_set(&e, ERR_NOTFOUND, "the mailbox was deleted");
	read_task_free(t);
	waiters_call(st, st->base_fd >= 0 && !st->gone ? NULL : &e);
	if ((st->base_fd < 0 || st->gone) && !state_in_use(st))
		state_drop(st);
	else
		states_trim(ix);
}

static void state_load(struct state *st)
{
	struct read_task *t = read_task_new(read_state, state_loaded);

	metric_add(METRIC_INDEXER_STATE_LOADS, 1);
	st->loading = true;
	t->ctx = st->ix;
	t->account = st->account;
	t->mailbox = st->mailbox;
	t->generation = ++st->ix->generation;
	readers_put(st->ix->readers, t);
}

static struct state *state_new(struct indexer *ix, uint64_t account, uint64_t mailbox)
{
	struct state *st = mem_alloc(sizeof(*st));

	st->ix = ix;
	st->account = account;
	st->mailbox = mailbox;
	st->base_fd = -1;
	st->waiters_tail = &st->waiters;
	buf_init(&st->log);
	table_put(&ix->states, mailbox, st);
	lru_front(st);
	state_account_memory(st);
	/* from here on the log collects what the base, read later, may not have */
	state_load(st);
	return st;
}

void state_want(
	struct indexer *ix, uint64_t account, uint64_t mailbox, state_cb *cb, struct request *req)
{
	struct state *st = table_get(&ix->states, mailbox);
	struct state_waiter *waiter;
	struct err e;

	if (mailbox == 0 || (st != NULL && (st->account != account || st->gone))) {
		err_set(&e, ERR_NOTFOUND, "no such mailbox");
		cb(NULL, &e, req);
		return;
	}
	if (st == NULL)
		st = state_new(ix, account, mailbox);
	lru_unlink(st);
	lru_front(st);
	if (st->base_fd >= 0) {
		cb(st, NULL, req);
		return;
	}
	waiter = mem_alloc(sizeof(*waiter));
	waiter->cb = cb;
	waiter->request = req;
	*st->waiters_tail = waiter;
	st->waiters_tail = &waiter->next;
}

/* ---- sessions ---- */

void state_unselect(struct session *s)
{
	struct state *st = s->selected;

	if (st == NULL)
		return;
	*(s->prev_selected != NULL ? &s->prev_selected->next_selected
				   : &st->sessions) = s->next_selected;
	if (s->next_selected != NULL)
		s->next_selected->prev_selected = s->prev_selected;
	s->next_selected = s->prev_selected = NULL;
	s->selected = NULL;
	if (st->gone && !state_in_use(st))
		state_drop(st);
	else
		states_trim(st->ix);
}

void state_select(struct state *st, struct session *s, bool read_only)
{
	s->selected_read_only = read_only;
	if (s->selected == st)
		return;
	state_unselect(s);
	s->selected = st;
	s->next_selected = st->sessions;
	if (st->sessions != NULL)
		st->sessions->prev_selected = s;
	st->sessions = s;
}

uint64_t state_take_recent(struct state *st, bool read_only)
{
	uint64_t first = st->recent_uid < st->uidnext ? st->recent_uid : 0;

	if (!read_only && st->recent_uid < st->uidnext)
		st->recent_uid = st->uidnext;
	return first;
}

/* ---- changes ---- */

/* A session that does not read its events is let go: it attaches again and starts from a base. */
static bool session_keeps_up(struct session *s)
{
	if (channel_output_pending(s->channel) < SESSION_OUTPUT_MAX)
		return true;
	log_warning("session-does-not-read", "session", LOG_STR(s->id), NULL);
	channel_close(s->channel);
	return false;
}

/* A message is \Recent to one session: a read-write one, if there is any (RFC 3501 2.3.2). */
static struct session *recent_session(const struct state *st)
{
	for (struct session *s = st->sessions; s != NULL; s = s->next_selected) {
		if (!s->selected_read_only)
			return s;
	}
	return NULL;
}

static void tell_change(struct state *st, const struct change *c)
{
	struct session *owner = recent_session(st), *s, *next;
	bool has_recent = st->recent_uid < st->uidnext;
	uint64_t recent = has_recent ? state_take_recent(st, owner == NULL) : 0;

	for (s = st->sessions; s != NULL; s = next) {
		next = s->next_selected;
		if (!session_keeps_up(s))
			continue;
		if (c->keywords_changed)
			session_event(s, "KEYWORDS", span_of(st->keywords), "mailbox", st->mailbox,
				NULL, 0, NULL, 0, NULL, 0);
		if (c->entries > 0)
			session_event(s, "CHANGE", buf_span(&c->log), "mailbox", st->mailbox,
				"modseq", c->modseq, "uidnext", c->uidnext,
				recent != 0 && (s == owner || owner == NULL) ? "recent" : NULL,
				recent);
	}
}

static void state_gone(struct state *st)
{
	st->gone = true;
	while (st->sessions != NULL) {
		struct session *s = st->sessions;

		state_unselect(s);
		session_event(
			s, "GONE", SPAN(""), "mailbox", st->mailbox, NULL, 0, NULL, 0, NULL, 0);
	}
}

static void state_changed(struct state *st, const struct change *c)
{
	buf_add_span(&st->log, buf_span(&c->log));
	st->entries += c->entries;
	if (c->modseq != 0) {
		st->uidnext = c->uidnext;
		st->modseq = c->modseq;
		st->messages = c->messages;
	}
	if (c->keywords != NULL)
		set_keywords(st, c->keywords);
	state_account_memory(st);
	if (st->base_fd < 0)
		return;
	if (st->sessions != NULL)
		tell_change(st, c);
	if (st->entries <= LOG_ENTRIES_MIN || st->entries <= st->base_count / 8 || st->loading)
		return;
	/* when nobody looks, the next SELECT makes a base as well as we could now */
	if (st->sessions != NULL || st->waiters != NULL)
		state_load(st);
	else
		st->outgrown = true;
}

void states_changed(struct change *changes, void *ctx)
{
	struct indexer *ix = ctx;

	for (struct change *c = changes; c != NULL; c = c->next) {
		struct state *st = table_get(&ix->states, c->mailbox);

		live_account_list_changed(ix, c->account);
		if (st == NULL)
			continue;
		/* an event may end its session, and the last one would take the state with it */
		st->pins++;
		if (c->gone)
			state_gone(st);
		else
			state_changed(st, c);
		st->pins--;
		if ((st->gone || st->outgrown) && !state_in_use(st))
			state_drop(st);
	}
	states_trim(ix);
}
