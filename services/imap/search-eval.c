#include "services/imap/search.h"

static enum search_truth truth(bool b)
{
	return b ? SEARCH_TRUE : SEARCH_FALSE;
}

/* The day as it is written in the message's own zone, "disregarding time and timezone" (6.4.4). */
static int64_t day_of(int64_t unix_time, int tz_minutes)
{
	int64_t local = unix_time + (int64_t)tz_minutes * 60;

	return local >= 0 ? local / 86400 : -((-local + 86399) / 86400);
}

static enum search_truth eval_sent(const struct search_node *n, const struct search_message *m)
{
	if (m->meta == NULL)
		return SEARCH_OPEN;
	if ((m->meta->flags & META_DATE) == 0)
		return SEARCH_FALSE;
	if (n->op == SEARCH_SENTBEFORE)
		return truth(m->meta->sent.day < n->number);
	if (n->op == SEARCH_SENTON)
		return truth(m->meta->sent.day == n->number);
	return truth(m->meta->sent.day >= n->number);
}

static enum search_truth eval_header(const struct search_node *n, const struct search_message *m)
{
	if (m->header.p != NULL)
		return truth(text_in_header_field(&n->needle, m->header, n->name));
	if (m->meta == NULL)
		return SEARCH_OPEN;
	if (meta_covers(m->meta, &n->name, 1))
		return truth(text_in_header_field(&n->needle, m->meta->fields, n->name));
	return SEARCH_OPEN;
}

static enum search_truth eval_leaf(const struct search_node *n, const struct search_message *m)
{
	const struct mailbox_record *r = m->record;

	switch (n->op) {
	case SEARCH_ALL:
		return SEARCH_TRUE;
	case SEARCH_FLAGS:
		return truth((r->flags & n->flags) == n->flags);
	case SEARCH_RECENT:
		return truth(imap_is_recent(m->c, r->uid));
	case SEARCH_SET:
		return truth(uidset_has(&n->set, r->uid));
	case SEARCH_BEFORE:
		return truth(day_of(r->internaldate, r->tz_minutes) < n->number);
	case SEARCH_ON:
		return truth(day_of(r->internaldate, r->tz_minutes) == n->number);
	case SEARCH_SINCE:
		return truth(day_of(r->internaldate, r->tz_minutes) >= n->number);
	case SEARCH_LARGER:
		return truth(r->size > (uint64_t)n->number);
	case SEARCH_SMALLER:
		return truth(r->size < (uint64_t)n->number);
	case SEARCH_MODSEQ:
		return truth(r->modseq >= (uint64_t)n->number);
	case SEARCH_SENTBEFORE:
	case SEARCH_SENTON:
	case SEARCH_SENTSINCE:
		return eval_sent(n, m);
	case SEARCH_HEADER:
		return eval_header(n, m);
	case SEARCH_BODY:
	case SEARCH_TEXT:
		if (m->text.p == NULL || m->meta == NULL)
			return SEARCH_OPEN;
		return truth(text_in_message(&n->needle, m->text, m->meta, n->op == SEARCH_TEXT));
	case SEARCH_AND:
	case SEARCH_OR:
	case SEARCH_NOT:
		break;
	}
	return SEARCH_FALSE;
}

static enum search_truth combine(const struct search_node *n, const char *values)
{
	bool open = false;

	for (unsigned i = 0; i < n->count; i++) {
		if (values[i] == SEARCH_OPEN)
			open = true;
		else if (n->op == SEARCH_AND && values[i] == SEARCH_FALSE)
			return SEARCH_FALSE;
		else if (n->op == SEARCH_OR && values[i] == SEARCH_TRUE)
			return SEARCH_TRUE;
	}
	if (open)
		return SEARCH_OPEN;
	if (n->op == SEARCH_NOT)
		return truth(values[0] == SEARCH_FALSE);
	return truth(n->op == SEARCH_AND);
}

/* Values stand in `stack`, one octet a node; the program's form guarantees that they are there. */
enum search_truth search_eval(const struct search_program *program, const struct search_message *m)
{
	char small[256], *stack = small;
	enum search_truth result;
	size_t depth = 0;

	small[0] = SEARCH_FALSE;
	if (program->n > sizeof(small))
		stack = mem_alloc(program->n); /* not from the input: max_search_keys */
	for (size_t i = 0; i < program->n; i++) {
		const struct search_node *n = &program->nodes[i];

		if (n->op > SEARCH_NOT) {
			stack[depth++] = (char)eval_leaf(n, m);
			continue;
		}
		depth -= n->count;
		stack[depth] = (char)combine(n, stack + depth);
		depth++;
	}
	result = (enum search_truth)stack[0];
	if (stack != small)
		mem_free(stack);
	return result;
}
