#include "lib-storage/mime-internal.h"

#include <stdlib.h>

/* One "name*3*=value" as it came. */
struct raw_param {
	struct span name; /* without the stars */
	struct span value;
	uint32_t section; /* 0 also when there is none */
	uint32_t index;	  /* order of appearance */
	bool numbered, extended;
};

/* Splits "name*3*". What does not fit the grammar of RFC 2231 7 is a name with stars in it. */
static void name_split(struct raw_param *r)
{
	struct span s = r->name;
	const char *star = s.n == 0 ? NULL : memchr(s.p, '*', s.n);
	struct span tail;
	uint32_t section;
	bool extended = false;

	if (star == NULL || star == s.p)
		return;
	tail = span_from(star + 1, (size_t)(s.p + s.n - star - 1));
	if (tail.n == 0) {
		r->extended = true;
	} else {
		if (tail.p[tail.n - 1] == '*') {
			extended = true;
			tail.n--;
		}
		if (!num_u32(tail, &section))
			return;
		r->section = section;
		r->numbered = true;
		r->extended = extended;
	}
	r->name.n = (size_t)(star - s.p);
}

static bool is_file_name(struct span name)
{
	return span_is_nocase(name, "name") || span_is_nocase(name, "filename");
}

/* An unquoted value. File names are often sent with blanks and without quotes. */
static void plain_value(struct span *s, bool blanks, struct buf *out)
{
	while (s->n > 0) {
		char c = s->p[0];

		if (c == ';')
			break;
		if (c == '(' && !blanks) {
			header_skip_comment(s, NULL);
			break;
		}
		if ((unsigned char)c <= ' ') {
			if (!blanks)
				break;
			if (c == '\r' || c == '\n' || c == '\0')
				c = '\0';
		}
		if (c != '\0')
			buf_add_c(out, c);
		s->p++, s->n--;
	}
	while (out->len > 0 && (unsigned char)out->data[out->len - 1] <= ' ')
		buf_truncate(out, out->len - 1);
}

/* To the next semicolon outside of strings and comments. */
static void skip_rest(struct span *s)
{
	struct buf sink;

	buf_init(&sink);
	while (s->n > 0 && s->p[0] != ';') {
		if (s->p[0] == '(') {
			header_skip_comment(s, NULL);
		} else if (s->p[0] == '"') {
			header_quoted(s, &sink);
			buf_empty(&sink);
		} else {
			s->p++, s->n--;
		}
	}
	buf_clear(&sink);
}

static bool param_next(struct span *s, struct arena *arena, struct raw_param *r)
{
	struct buf value;

	while (s->n > 0) {
		skip_rest(s);
		if (s->n == 0)
			return false;
		s->p++, s->n--;
		header_skip_cfws(s);
		memset(r, 0, sizeof(*r));
		if (!header_token(s, &r->name))
			continue;
		header_skip_cfws(s);
		if (s->n == 0 || s->p[0] != '=')
			continue;
		s->p++, s->n--;
		header_skip_cfws(s);
		buf_init(&value);
		if (s->n > 0 && s->p[0] == '"')
			header_quoted(s, &value);
		else
			plain_value(s, is_file_name(r->name), &value);
		r->value = span_from(arena_dup(arena, buf_str(&value), value.len), value.len);
		buf_clear(&value);
		name_split(r);
		return true;
	}
	return false;
}

static int lower(char c)
{
	return c >= 'A' && c <= 'Z' ? c + 32 : (unsigned char)c;
}

static int compare_names(struct span a, struct span b)
{
	for (size_t i = 0; i < a.n && i < b.n; i++) {
		if (lower(a.p[i]) != lower(b.p[i]))
			return lower(a.p[i]) - lower(b.p[i]);
	}
	return a.n < b.n ? -1 : a.n > b.n;
}

/* Puts the sections of one name together: numbered ones by number, before them what has no number.
 */
static int compare_sections(const void *left, const void *right)
{
	const struct raw_param *a = left, *b = right;
	int c = compare_names(a->name, b->name);

	if (c != 0)
		return c;
	if (a->numbered != b->numbered)
		return a->numbered ? 1 : -1;
	if (a->numbered && a->section != b->section)
		return a->section < b->section ? -1 : 1;
	return a->index < b->index ? -1 : 1;
}

struct joined {
	struct mime_param param;
	uint32_t index;
};

static int compare_index(const void *left, const void *right)
{
	const struct joined *a = left, *b = right;

	return a->index < b->index ? -1 : a->index > b->index;
}

static void add_percent(struct buf *out, struct span s)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c > ' ' && c < 127 && memchr("*'%()<>@,;:\\\"/[]?=", c, 18) == NULL) {
			buf_add_c(out, (char)c);
		} else {
			buf_add_c(out, '%');
			buf_add_c(out, hex[c >> 4]);
			buf_add_c(out, hex[c & 15]);
		}
	}
}

/* Joins the run of sections at r; returns how many parameters it spans. A gap in the numbers ends
 * the value. */
static size_t join(const struct raw_param *r, size_t n, struct arena *arena, struct joined *out)
{
	size_t run = 1;
	bool extended = r[0].extended;
	uint32_t expected = 0;
	struct buf value;

	out->index = r[0].index;
	while (run < n && r[0].numbered && r[run].numbered &&
		compare_names(r[0].name, r[run].name) == 0) {
		extended |= r[run].extended;
		if (r[run].index < out->index)
			out->index = r[run].index;
		run++;
	}
	buf_init(&value);
	/* Without a section 0 in the extended form there is no character set. */
	if (extended && !r[0].extended)
		buf_add_str(&value, "''");
	for (size_t i = 0; i < run; i++) {
		if (r[i].numbered && r[i].section != expected) {
			if (i > 0 && r[i].section == expected - 1)
				continue; /* the same number twice */
			break;
		}
		expected++;
		if (extended && !r[i].extended)
			add_percent(&value, r[i].value);
		else
			buf_add_span(&value, r[i].value);
	}
	out->param.name = span_from(arena_dup(arena, r[0].name.p, r[0].name.n), r[0].name.n);
	if (extended) {
		char *name = arena_alloc(arena, r[0].name.n + 2);

		memcpy(name, r[0].name.p, r[0].name.n);
		name[r[0].name.n] = '*';
		out->param.name = span_from(name, r[0].name.n + 1);
	}
	out->param.value = span_from(arena_dup(arena, buf_str(&value), value.len), value.len);
	buf_clear(&value);
	return run;
}

void mime_params_parse(struct span s, struct mime_budget *budget, struct arena *arena,
	struct mime_params *params_r)
{
	struct buf raw, list;
	struct raw_param r, *all;
	size_t n;

	memset(params_r, 0, sizeof(*params_r));
	buf_init(&raw);
	buf_init(&list);
	for (uint32_t index = 0; budget->params > 0 && param_next(&s, arena, &r); index++) {
		budget->params--;
		r.index = index;
		buf_add(&raw, &r, sizeof(r));
	}
	n = raw.len / sizeof(r);
	all = (struct raw_param *)raw.data;
	if (n > 1)
		qsort(all, n, sizeof(r), compare_sections);
	for (size_t i = 0; i < n;) {
		struct joined j;

		i += join(all + i, n - i, arena, &j);
		buf_add(&list, &j, sizeof(j));
	}
	n = list.len / sizeof(struct joined);
	if (n > 0) {
		struct joined *j = (struct joined *)list.data;

		qsort(j, n, sizeof(*j), compare_index);
		params_r->list = arena_alloc(arena, n * sizeof(*params_r->list));
		params_r->n = n;
		for (size_t i = 0; i < n; i++)
			params_r->list[i] = j[i].param;
	}
	buf_clear(&raw);
	buf_clear(&list);
}

const struct mime_param *mime_param_find(const struct mime_params *params, const char *name)
{
	const struct mime_param *found = NULL;
	size_t n = strlen(name);

	for (size_t i = 0; i < params->n; i++) {
		const struct mime_param *p = &params->list[i];

		if (!span_starts_nocase(p->name, name))
			continue;
		if (p->name.n == n + 1 && p->name.p[n] == '*')
			return p;
		if (p->name.n == n && found == NULL)
			found = p;
	}
	return found;
}
