#include "services/imap/search.h"

#include "lib-storage/charset.h"

/* What is open while keys are read: a list of keys ("(" or the whole), NOT, or OR. */
struct frame {
	enum { FRAME_LIST, FRAME_NOT, FRAME_OR } kind;
	unsigned count; /* keys it has so far */
};

enum key_kind {
	KEY_ALL,
	KEY_FLAG,
	KEY_NOT_FLAG,
	KEY_NEW,
	KEY_OLD,
	KEY_RECENT,
	KEY_DATE,
	KEY_SIZE,
	KEY_FIELD,
	KEY_HEADER,
	KEY_STRING,
	KEY_KEYWORD,
	KEY_UNKEYWORD,
	KEY_UID,
	KEY_MODSEQ,
};

static const struct key {
	const char *name;
	enum key_kind kind;
	enum search_op op;
	uint64_t flag;
} keys[] = {
	{"ALL", KEY_ALL, SEARCH_ALL, 0},
	{"ANSWERED", KEY_FLAG, SEARCH_FLAGS, FLAG_ANSWERED},
	{"DELETED", KEY_FLAG, SEARCH_FLAGS, FLAG_DELETED},
	{"DRAFT", KEY_FLAG, SEARCH_FLAGS, FLAG_DRAFT},
	{"FLAGGED", KEY_FLAG, SEARCH_FLAGS, FLAG_FLAGGED},
	{"SEEN", KEY_FLAG, SEARCH_FLAGS, FLAG_SEEN},
	{"UNANSWERED", KEY_NOT_FLAG, SEARCH_FLAGS, FLAG_ANSWERED},
	{"UNDELETED", KEY_NOT_FLAG, SEARCH_FLAGS, FLAG_DELETED},
	{"UNDRAFT", KEY_NOT_FLAG, SEARCH_FLAGS, FLAG_DRAFT},
	{"UNFLAGGED", KEY_NOT_FLAG, SEARCH_FLAGS, FLAG_FLAGGED},
	{"UNSEEN", KEY_NOT_FLAG, SEARCH_FLAGS, FLAG_SEEN},
	{"NEW", KEY_NEW, SEARCH_RECENT, 0},
	{"OLD", KEY_OLD, SEARCH_RECENT, 0},
	{"RECENT", KEY_RECENT, SEARCH_RECENT, 0},
	{"BEFORE", KEY_DATE, SEARCH_BEFORE, 0},
	{"ON", KEY_DATE, SEARCH_ON, 0},
	{"SINCE", KEY_DATE, SEARCH_SINCE, 0},
	{"SENTBEFORE", KEY_DATE, SEARCH_SENTBEFORE, 0},
	{"SENTON", KEY_DATE, SEARCH_SENTON, 0},
	{"SENTSINCE", KEY_DATE, SEARCH_SENTSINCE, 0},
	{"LARGER", KEY_SIZE, SEARCH_LARGER, 0},
	{"SMALLER", KEY_SIZE, SEARCH_SMALLER, 0},
	{"BCC", KEY_FIELD, SEARCH_HEADER, 0},
	{"CC", KEY_FIELD, SEARCH_HEADER, 0},
	{"FROM", KEY_FIELD, SEARCH_HEADER, 0},
	{"SUBJECT", KEY_FIELD, SEARCH_HEADER, 0},
	{"TO", KEY_FIELD, SEARCH_HEADER, 0},
	{"HEADER", KEY_HEADER, SEARCH_HEADER, 0},
	{"BODY", KEY_STRING, SEARCH_BODY, 0},
	{"TEXT", KEY_STRING, SEARCH_TEXT, 0},
	{"KEYWORD", KEY_KEYWORD, SEARCH_FLAGS, 0},
	{"UNKEYWORD", KEY_UNKEYWORD, SEARCH_FLAGS, 0},
	{"UID", KEY_UID, SEARCH_SET, 0},
	{"MODSEQ", KEY_MODSEQ, SEARCH_MODSEQ, 0},
};

static struct search_node *emit(struct search_program *program, enum search_op op)
{
	struct search_node *n;

	if (program->n == program->cap) {
		program->cap = program->cap == 0 ? 8 : program->cap * 2;
		program->nodes = mem_realloc_array(
			program->nodes, program->cap, sizeof(*program->nodes));
	}
	n = &program->nodes[program->n++];
	memset(n, 0, sizeof(*n));
	n->op = op;
	uidset_init(&n->set);
	return n;
}

static void emit_not(struct search_program *program)
{
	emit(program, SEARCH_NOT)->count = 1;
}

void search_clear(struct search_program *program)
{
	for (size_t i = 0; i < program->n; i++) {
		uidset_clear(&program->nodes[i].set);
		if (program->nodes[i].has_needle)
			text_needle_clear(&program->nodes[i].needle);
	}
	mem_free(program->nodes);
	memset(program, 0, sizeof(*program));
}

/* SP astring, in the named character set. */
static bool parse_needle(
	struct imap_client *c, struct search_program *program, struct search_node *n)
{
	struct imap_parser *p = &c->cmd.args;
	struct span s;
	struct buf utf8;

	if (!imap_parse_space(p) || !imap_parse_astring(p, &s))
		return false;
	buf_init(&utf8);
	if (program->charset.n > 0)
		charset_to_utf8(program->charset, s, &utf8);
	else
		charset_guess_to_utf8(s, &utf8); /* clients that forget CHARSET UTF-8 */
	text_needle_init(&n->needle, buf_span(&utf8));
	n->has_needle = true;
	buf_clear(&utf8);
	return true;
}

/* "MODSEQ" [SP entry-name SP entry-type] SP number: we keep one modseq a message, whatever the
 * entry. */
static bool parse_modseq(
	struct imap_parser *p, struct search_program *program, struct search_node *n)
{
	struct span entry;
	uint64_t number;

	if (!imap_parse_space(p))
		return false;
	if (imap_parser_peek(p) == '"') {
		if (!imap_parse_string(p, &entry) || !imap_parse_space(p))
			return false;
		if (!imap_parse_word(p, "all") && !imap_parse_word(p, "priv") &&
			!imap_parse_word(p, "shared")) {
			p->error = "Unknown entry type";
			return false;
		}
		if (!imap_parse_space(p))
			return false;
	}
	program->uses_modseq = true;
	if (!imap_parse_number64(p, &number))
		return false;
	n->number = (int64_t)number;
	return true;
}

static bool parse_keyword(struct imap_client *c, struct search_program *program, bool negate)
{
	struct search_node *n;
	struct span name;
	int bit;

	if (!imap_parse_space(&c->cmd.args) || !imap_parse_atom(&c->cmd.args, &name))
		return false;
	bit = imap_keyword_find(c, name);
	if (bit < 0) {
		/* no message has it */
		(void)emit(program, SEARCH_ALL);
		if (!negate)
			emit_not(program);
		return true;
	}
	n = emit(program, SEARCH_FLAGS);
	n->flags = (uint64_t)1 << bit;
	if (negate)
		emit_not(program);
	return true;
}

static bool parse_header(
	struct imap_client *c, struct search_program *program, const struct key *key)
{
	struct search_node *n = emit(program, SEARCH_HEADER);

	n->name = span_of(key->name);
	if (key->kind == KEY_HEADER &&
		(!imap_parse_space(&c->cmd.args) || !imap_parse_astring(&c->cmd.args, &n->name)))
		return false;
	program->needs_meta = true;
	if (!mime_field_is_known(n->name))
		program->needs_header = true;
	return parse_needle(c, program, &program->nodes[program->n - 1]);
}

static bool parse_uid_set(struct imap_client *c, struct search_program *program, bool uid)
{
	struct search_node *n = emit(program, SEARCH_SET);
	struct span text;

	return imap_parse_sequence_set(&c->cmd.args, &text) &&
	       imap_parse_messages(c, text, uid, &n->set);
}

static bool parse_number_key(
	struct imap_client *c, struct search_program *program, const struct key *key)
{
	struct imap_parser *p = &c->cmd.args;
	struct search_node *n = emit(program, key->op);
	uint64_t size;

	if (!imap_parse_space(p))
		return false;
	if (key->kind == KEY_DATE) {
		if (key->op >= SEARCH_SENTBEFORE && key->op <= SEARCH_SENTSINCE)
			program->needs_meta = true;
		return imap_parse_date(p, &n->number);
	}
	if (!imap_parse_number64(p, &size))
		return false;
	n->number = (int64_t)size;
	return true;
}

static bool parse_leaf(struct imap_client *c, struct search_program *program, const struct key *key)
{
	struct search_node *n;

	switch (key->kind) {
	case KEY_ALL:
	case KEY_RECENT:
		(void)emit(program, key->op);
		return true;
	case KEY_FLAG:
	case KEY_NOT_FLAG:
		emit(program, SEARCH_FLAGS)->flags = key->flag;
		if (key->kind == KEY_NOT_FLAG)
			emit_not(program);
		return true;
	case KEY_NEW: /* RECENT UNSEEN */
		(void)emit(program, SEARCH_RECENT);
		emit(program, SEARCH_FLAGS)->flags = FLAG_SEEN;
		emit_not(program);
		emit(program, SEARCH_AND)->count = 2;
		return true;
	case KEY_OLD:
		(void)emit(program, SEARCH_RECENT);
		emit_not(program);
		return true;
	case KEY_DATE:
	case KEY_SIZE:
		return parse_number_key(c, program, key);
	case KEY_FIELD:
	case KEY_HEADER:
		return parse_header(c, program, key);
	case KEY_STRING:
		n = emit(program, key->op);
		program->needs_meta = program->needs_text = true;
		return parse_needle(c, program, n);
	case KEY_KEYWORD:
	case KEY_UNKEYWORD:
		return parse_keyword(c, program, key->kind == KEY_UNKEYWORD);
	case KEY_UID:
		return imap_parse_space(&c->cmd.args) && parse_uid_set(c, program, true);
	case KEY_MODSEQ:
		n = emit(program, key->op);
		return parse_modseq(&c->cmd.args, program, n);
	}
	return false;
}

static bool push(struct imap_parser *p, struct frame *frames, size_t *depth, int kind)
{
	if (*depth == SEARCH_DEPTH_MAX) {
		p->error = "SEARCH is nested too deeply";
		return false;
	}
	frames[*depth].kind = kind;
	frames[*depth].count = 0;
	(*depth)++;
	return true;
}

/* A key is complete: closes NOT and OR above it, and lists that end. False: the error is set.
 * *more_r: SP and another key follow. */
static bool close_frames(struct imap_parser *p, struct search_program *program,
	struct frame *frames, size_t *depth, bool *more_r)
{
	*more_r = true;
	while (*depth > 0) {
		struct frame *f = &frames[*depth - 1];

		f->count++;
		if (f->kind == FRAME_NOT) {
			emit_not(program);
			(*depth)--;
			continue;
		}
		if (f->kind == FRAME_OR) {
			if (f->count < 2)
				return imap_parse_space(p);
			emit(program, SEARCH_OR)->count = 2;
			(*depth)--;
			continue;
		}
		if (*depth > 1 && imap_parser_peek(p) == ')') {
			(void)imap_parse_char(p, ')');
		} else if (*depth > 1 || !imap_parser_at_end(p)) {
			return imap_parse_space(p);
		}
		if (f->count > 1)
			emit(program, SEARCH_AND)->count = f->count;
		(*depth)--;
	}
	*more_r = false;
	return true;
}

static const struct key *find_key(struct span name)
{
	for (size_t i = 0; i < array_count(keys); i++) {
		if (span_is_nocase(name, keys[i].name))
			return &keys[i];
	}
	return NULL;
}

/* One key's beginning. 1: it is complete; 0: an operand must follow; -1: the error is set. */
static int parse_key(
	struct imap_client *c, struct search_program *program, struct frame *frames, size_t *depth)
{
	struct imap_parser *p = &c->cmd.args;
	char first = imap_parser_peek(p);
	const struct key *key;
	struct span name;

	if (first == '(') {
		(void)imap_parse_char(p, '(');
		return push(p, frames, depth, FRAME_LIST) ? 0 : -1;
	}
	if ((first >= '0' && first <= '9') || first == '*')
		return parse_uid_set(c, program, false) ? 1 : -1;
	if (!imap_parse_atom(p, &name))
		return -1;
	if (span_is_nocase(name, "NOT") || span_is_nocase(name, "OR")) {
		if (!push(p, frames, depth, span_is_nocase(name, "OR") ? FRAME_OR : FRAME_NOT))
			return -1;
		return imap_parse_space(p) ? 0 : -1;
	}
	key = find_key(name);
	if (key == NULL) {
		p->error = "Unknown SEARCH key";
		return -1;
	}
	return parse_leaf(c, program, key) ? 1 : -1;
}

int search_parse(struct imap_client *c, struct search_program *program)
{
	struct imap_parser *p = &c->cmd.args;
	struct frame frames[SEARCH_DEPTH_MAX];
	size_t depth = 1;
	bool more = true;

	if (!imap_parse_space(p))
		return -1;
	if (imap_parse_word(p, "CHARSET")) {
		if (!imap_parse_space(p) || !imap_parse_astring(p, &program->charset) ||
			!imap_parse_space(p))
			return -1;
		if (!charset_is_known(program->charset))
			return -2;
	}
	frames[0].kind = FRAME_LIST;
	frames[0].count = 0;
	while (more) {
		int r = parse_key(c, program, frames, &depth);

		if (r < 0 || (r > 0 && !close_frames(p, program, frames, &depth, &more)))
			return -1;
		if (program->n > c->set->max_search_keys * 2) {
			p->error = "Too many SEARCH keys";
			return -1;
		}
	}
	return 0;
}
