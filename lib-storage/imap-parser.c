#include "lib-storage/imap-parser.h"

#include "lib-storage/imap-lexer.h"

/* Character classes of RFC 3501 9. */
enum { CLASS_ATOM = 1, CLASS_ASTRING = 2, CLASS_LIST = 4, CLASS_TAG = 8, CLASS_SET = 16 };

static unsigned char_class(unsigned char c)
{
	unsigned class = CLASS_ATOM | CLASS_ASTRING | CLASS_LIST | CLASS_TAG;

	if (c <= 0x20 || c >= 0x7f)
		return 0;
	if (c >= '0' && c <= '9')
		return class | CLASS_SET;
	switch (c) {
	case '(':
	case ')':
	case '{':
	case '"':
	case '\\':
		return 0;
	case '%':
		return CLASS_LIST;
	case '*':
		return CLASS_LIST | CLASS_SET;
	case ']':
		return CLASS_ASTRING | CLASS_LIST | CLASS_TAG;
	case '+':
		return CLASS_ATOM | CLASS_ASTRING | CLASS_LIST;
	case ':':
	case ',':
		return class | CLASS_SET;
	default:
		return class;
	}
}

void imap_parser_init(struct imap_parser *p, struct span command, struct arena *arena)
{
	p->rest = command;
	p->arena = arena;
	p->error = NULL;
}

static bool fail(struct imap_parser *p, const char *what)
{
	p->error = what;
	return false;
}

static void skip(struct imap_parser *p, size_t n)
{
	p->rest.p += n;
	p->rest.n -= n;
}

bool imap_parser_at_end(const struct imap_parser *p)
{
	return p->rest.n == 0;
}

char imap_parser_peek(const struct imap_parser *p)
{
	return p->rest.n == 0 ? '\0' : p->rest.p[0];
}

bool imap_parse_char(struct imap_parser *p, char c)
{
	if (p->rest.n == 0 || p->rest.p[0] != c) {
		switch (c) {
		case '(':
			return fail(p, "Missing '('");
		case ')':
			return fail(p, "Missing ')'");
		default:
			return fail(p, "Unexpected character in arguments");
		}
	}
	skip(p, 1);
	return true;
}

bool imap_parse_space(struct imap_parser *p)
{
	if (p->rest.n == 0)
		return fail(p, "Missing arguments");
	if (p->rest.p[0] != ' ')
		return fail(p, "Missing space between arguments");
	skip(p, 1);
	return true;
}

bool imap_parse_end(struct imap_parser *p)
{
	if (p->rest.n != 0)
		return fail(p, "Too many arguments");
	return true;
}

static bool take_class(struct imap_parser *p, unsigned class, const char *error, struct span *s_r)
{
	size_t n = 0;

	while (n < p->rest.n && (char_class((unsigned char)p->rest.p[n]) & class) != 0)
		n++;
	if (n == 0)
		return fail(p, error);
	*s_r = span_from(p->rest.p, n);
	skip(p, n);
	return true;
}

bool imap_parse_tag(struct imap_parser *p, struct span *tag_r)
{
	return take_class(p, CLASS_TAG, "Invalid tag", tag_r);
}

bool imap_parse_atom(struct imap_parser *p, struct span *atom_r)
{
	return take_class(p, CLASS_ATOM, "Expected an atom", atom_r);
}

bool imap_parse_word(struct imap_parser *p, const char *word)
{
	struct imap_parser before = *p;
	struct span atom;

	if (imap_parse_atom(p, &atom) && span_is_nocase(atom, word))
		return true;
	*p = before;
	return false;
}

static bool take_quoted(struct imap_parser *p, struct span *s_r)
{
	size_t end = 1, escapes = 0, len = 0;
	char *copy;

	for (; end < p->rest.n && p->rest.p[end] != '"'; end++) {
		char c = p->rest.p[end];

		if (c == '\\') {
			if (++end >= p->rest.n)
				break;
			if (p->rest.p[end] != '"' && p->rest.p[end] != '\\')
				return fail(p, "Invalid escape in quoted string");
			escapes++;
		} else if (c == '\0' || c == '\r' || c == '\n') {
			return fail(p, "Invalid character in quoted string");
		}
	}
	if (end >= p->rest.n)
		return fail(p, "Missing '\"'");
	*s_r = span_from(p->rest.p + 1, end - 1);
	if (escapes > 0) {
		if (p->arena == NULL)
			return fail(p, "Escapes are not accepted here");
		copy = arena_alloc(p->arena, s_r->n + 1);
		for (size_t i = 0; i < s_r->n; i++) {
			if (s_r->p[i] == '\\')
				i++;
			copy[len++] = s_r->p[i];
		}
		*s_r = span_from(copy, len);
	}
	skip(p, end + 1);
	return true;
}

static bool take_literal(struct imap_parser *p, struct span *s_r)
{
	const char *end = memchr(p->rest.p, '\n', p->rest.n < 32 ? p->rest.n : 32);
	struct span head;
	uint64_t size;
	bool sync;

	if (end == NULL || end < p->rest.p + 2 || end[-1] != '\r')
		return fail(p, "Invalid literal");
	head = span_from(p->rest.p, (size_t)(end - p->rest.p) - 1);
	if (imap_literal_at_end(head, &size, &sync) != 1 ||
		memchr(head.p + 1, '{', head.n - 1) != NULL ||
		size > p->rest.n - (size_t)(end + 1 - p->rest.p))
		return fail(p, "Invalid literal");
	*s_r = span_from(end + 1, (size_t)size);
	if (size > 0 && memchr(s_r->p, '\0', s_r->n) != NULL)
		return fail(p, "NUL is not allowed in strings");
	skip(p, (size_t)(end + 1 - p->rest.p) + (size_t)size);
	return true;
}

bool imap_parse_string(struct imap_parser *p, struct span *s_r)
{
	switch (imap_parser_peek(p)) {
	case '"':
		return take_quoted(p, s_r);
	case '{':
		return take_literal(p, s_r);
	default:
		return fail(p, "Expected a string");
	}
}

bool imap_parse_astring(struct imap_parser *p, struct span *s_r)
{
	char c = imap_parser_peek(p);

	if (c == '"' || c == '{')
		return imap_parse_string(p, s_r);
	return take_class(p, CLASS_ASTRING, "Expected a string or atom", s_r);
}

bool imap_parse_nstring(struct imap_parser *p, struct span *s_r)
{
	if (imap_parse_word(p, "NIL")) {
		*s_r = (struct span){NULL, 0};
		return true;
	}
	return imap_parse_string(p, s_r);
}

bool imap_parse_list_mailbox(struct imap_parser *p, struct span *s_r)
{
	char c = imap_parser_peek(p);

	if (c == '"' || c == '{')
		return imap_parse_string(p, s_r);
	return take_class(p, CLASS_LIST, "Expected a mailbox pattern", s_r);
}

static bool take_digits(struct imap_parser *p, uint64_t max, uint64_t *n_r)
{
	size_t n = 0;
	uint64_t v;

	while (n < p->rest.n && p->rest.p[n] >= '0' && p->rest.p[n] <= '9')
		n++;
	if (n == 0)
		return fail(p, "Expected a number");
	if (!num_u64(span_from(p->rest.p, n), &v) || v > max)
		return fail(p, "Number too large");
	*n_r = v;
	skip(p, n);
	return true;
}

bool imap_parse_number(struct imap_parser *p, uint32_t *n_r)
{
	uint64_t v;

	if (!take_digits(p, UINT32_MAX, &v))
		return false;
	*n_r = (uint32_t)v;
	return true;
}

bool imap_parse_nz_number(struct imap_parser *p, uint32_t *n_r)
{
	struct imap_parser before = *p;

	if (!imap_parse_number(p, n_r))
		return false;
	if (*n_r != 0)
		return true;
	p->rest = before.rest;
	return fail(p, "Zero is not allowed here");
}

bool imap_parse_number64(struct imap_parser *p, uint64_t *n_r)
{
	return take_digits(p, INT64_MAX, n_r);
}

bool imap_parse_sequence_set(struct imap_parser *p, struct span *s_r)
{
	return take_class(p, CLASS_SET, "Expected a sequence set", s_r);
}

bool imap_parse_flag(struct imap_parser *p, struct span *flag_r)
{
	struct imap_parser before = *p;
	struct span atom;

	if (imap_parser_peek(p) != '\\')
		return take_class(p, CLASS_ATOM, "Expected a flag", flag_r);
	skip(p, 1);
	if (!imap_parse_atom(p, &atom)) {
		p->rest = before.rest;
		return fail(p, "Invalid flag");
	}
	*flag_r = span_from(atom.p - 1, atom.n + 1);
	return true;
}

/* ---- dates ---- */

int64_t imap_days_from_civil(int64_t year, unsigned month, unsigned day)
{
	int64_t era, yoe, doy;

	year -= month <= 2;
	era = (year >= 0 ? year : year - 399) / 400;
	yoe = year - era * 400;
	doy = (153 * ((int64_t)month + (month > 2 ? -3 : 9)) + 2) / 5 + (int64_t)day - 1;
	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

void imap_civil_from_days(int64_t days, int64_t *year_r, unsigned *month_r, unsigned *day_r)
{
	int64_t era, doe, yoe, doy, mp;

	days += 719468;
	era = (days >= 0 ? days : days - 146096) / 146097;
	doe = days - era * 146097;
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	mp = (5 * doy + 2) / 153;
	*day_r = (unsigned)(doy - (153 * mp + 2) / 5 + 1);
	*month_r = (unsigned)(mp < 10 ? mp + 3 : mp - 9);
	*year_r = yoe + era * 400 + (*month_r <= 2);
}

static bool number_in(struct span s, unsigned min, unsigned max, unsigned *n_r)
{
	uint32_t v;

	if (!num_u32(s, &v) || v < min || v > max)
		return false;
	*n_r = v;
	return true;
}

/* "1-Feb-1994"; the day may have one digit. */
static bool date_text(struct span s, int64_t *day_r)
{
	static const char months[] = "janfebmaraprmayjunjulaugsepoctnovdec";
	static const unsigned char lengths[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	struct span day, month;
	unsigned d, y, m;

	if (!span_cut(&s, '-', &day) || !span_cut(&s, '-', &month) || s.p == NULL || s.n != 4 ||
		day.n < 1 || day.n > 2 || month.n != 3 || !number_in(s, 0, 9999, &y))
		return false;
	for (m = 0; m < 12; m++) {
		if (span_equal_nocase(month, span_from(months + 3 * (size_t)m, 3)))
			break;
	}
	if (m == 12 || !number_in(day, 1, lengths[m], &d))
		return false;
	if (m == 1 && d == 29 && (y % 4 != 0 || (y % 100 == 0 && y % 400 != 0)))
		return false;
	*day_r = imap_days_from_civil(y, m + 1, d);
	return true;
}

bool imap_parse_date(struct imap_parser *p, int64_t *day_r)
{
	struct imap_parser before = *p;
	struct span s;

	if (imap_parse_astring(p, &s) && date_text(s, day_r))
		return true;
	p->rest = before.rest;
	return fail(p, "Invalid date");
}

bool imap_parse_date_time(struct imap_parser *p, int64_t *unix_r, int *tz_minutes_r)
{
	struct imap_parser before = *p;
	unsigned hour, minute, second, zone_h, zone_m;
	struct span s;
	int64_t day;

	/* "dd-Mon-yyyy hh:mm:ss +zzzz", the day perhaps with a leading blank */
	if (!imap_parse_string(p, &s) || s.n != 26)
		goto bad;
	if (!date_text(s.p[0] == ' ' ? span_from(s.p + 1, 10) : span_from(s.p, 11), &day) ||
		s.p[11] != ' ' || s.p[14] != ':' || s.p[17] != ':' || s.p[20] != ' ' ||
		(s.p[21] != '+' && s.p[21] != '-'))
		goto bad;
	if (!number_in(span_from(s.p + 12, 2), 0, 23, &hour) ||
		!number_in(span_from(s.p + 15, 2), 0, 59, &minute) ||
		!number_in(span_from(s.p + 18, 2), 0, 60, &second) ||
		!number_in(span_from(s.p + 22, 2), 0, 23, &zone_h) ||
		!number_in(span_from(s.p + 24, 2), 0, 59, &zone_m))
		goto bad;
	*tz_minutes_r = (int)(zone_h * 60 + zone_m) * (s.p[21] == '-' ? -1 : 1);
	*unix_r = day * 86400 + hour * 3600 + minute * 60 + second - (int64_t)*tz_minutes_r * 60;
	return true;
bad:
	p->rest = before.rest;
	return fail(p, "Invalid date-time");
}
