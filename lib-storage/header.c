#include "lib-storage/header.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_space(char c)
{
	return is_blank(c) || c == '\r' || c == '\n';
}

static void skip(struct span *s, size_t n)
{
	s->p += n;
	s->n -= n;
}

/* Octets of the line at the front with its line end. */
static size_t line_length(struct span s)
{
	const char *lf = s.n == 0 ? NULL : memchr(s.p, '\n', s.n);

	return lf == NULL ? s.n : (size_t)(lf - s.p) + 1;
}

static bool is_empty_line(struct span s)
{
	return s.n > 0 && (s.p[0] == '\n' || (s.n > 1 && s.p[0] == '\r' && s.p[1] == '\n'));
}

static void field_split(struct span raw, struct header_field *field_r)
{
	const char *colon;
	size_t first = line_length(raw), n;

	field_r->raw = raw;
	field_r->name = field_r->value = span_from(raw.p, 0);
	colon = memchr(raw.p, ':', first < HEADER_NAME_MAX ? first : HEADER_NAME_MAX);
	if (colon == NULL)
		return;
	field_r->name = span_from(raw.p, (size_t)(colon - raw.p));
	while (field_r->name.n > 0 && is_blank(field_r->name.p[field_r->name.n - 1]))
		field_r->name.n--;
	for (size_t i = 0; i < field_r->name.n; i++) {
		/* A blank inside (mbox's "From a@b Mon 10:00") is no name of a field. */
		if ((unsigned char)field_r->name.p[i] <= ' ') {
			field_r->name.n = 0;
			return;
		}
	}
	n = raw.n;
	if (n > 0 && raw.p[n - 1] == '\n')
		n--;
	if (n > 0 && n < raw.n && raw.p[n - 1] == '\r')
		n--;
	if (raw.p + n > colon)
		field_r->value = span_from(colon + 1, (size_t)(raw.p + n - colon - 1));
	else
		field_r->value = span_from(colon + 1, 0);
}

bool header_next(struct span *rest, struct header_field *field_r)
{
	struct span raw = {rest->p, 0};

	if (rest->n == 0 || is_empty_line(*rest))
		return false;
	do {
		size_t n = line_length(*rest);

		raw.n += n;
		skip(rest, n);
	} while (rest->n > 0 && is_blank(rest->p[0]));
	field_split(raw, field_r);
	return true;
}

bool header_find(struct span header, const char *name, struct header_field *field_r)
{
	while (header_next(&header, field_r)) {
		if (span_is_nocase(field_r->name, name))
			return true;
	}
	return false;
}

void header_filter(
	struct span header, const struct span *names, size_t count, bool invert, struct buf *out)
{
	struct header_field field;

	while (header_next(&header, &field)) {
		bool found = false;

		for (size_t i = 0; i < count && field.name.n > 0 && !found; i++)
			found = span_equal_nocase(field.name, names[i]);
		if (found == invert)
			continue;
		buf_add_span(out, field.raw);
		/* The last line of a header that was cut off may lack its end. */
		if (field.raw.p[field.raw.n - 1] != '\n')
			buf_add_str(out, "\r\n");
	}
	buf_add_str(out, "\r\n");
}

void header_unfold(struct span value, struct buf *out)
{
	while (value.n > 0 && is_space(value.p[0]))
		skip(&value, 1);
	while (value.n > 0 && is_space(value.p[value.n - 1]))
		value.n--;
	for (size_t i = 0; i < value.n; i++) {
		size_t run = i;

		while (run < value.n && value.p[run] != '\r' && value.p[run] != '\n' &&
			value.p[run] != '\0')
			run++;
		buf_add(out, value.p + i, run - i);
		i = run;
		if (i == value.n)
			break;
		if (value.p[i] == '\0')
			continue;
		if (value.p[i] == '\r' && i + 1 < value.n && value.p[i + 1] == '\n')
			i++;
		if (i + 1 < value.n && !is_blank(value.p[i + 1]))
			buf_add_c(out, ' ');
	}
}

void header_skip_comment(struct span *s, struct buf *out)
{
	size_t depth = 0;

	while (s->n > 0) {
		char c = s->p[0];

		skip(s, 1);
		if (c == '\\' && s->n > 0) {
			c = s->p[0];
			skip(s, 1);
		} else if (c == '(') {
			if (depth++ == 0)
				continue;
		} else if (c == ')') {
			if (--depth == 0)
				return;
		} else if (c == '\\') {
			return; /* the last octet: it quotes nothing */
		}
		if (out != NULL && c != '\r' && c != '\n' && c != '\0')
			buf_add_c(out, c);
	}
}

void header_skip_cfws(struct span *s)
{
	while (s->n > 0) {
		if (s->p[0] == '(')
			header_skip_comment(s, NULL);
		else if (is_space(s->p[0]) || s->p[0] == '\0')
			skip(s, 1);
		else
			return;
	}
}

void header_quoted(struct span *s, struct buf *out)
{
	skip(s, 1);
	while (s->n > 0) {
		char c = s->p[0];

		skip(s, 1);
		if (c == '"')
			return;
		if (c == '\\') {
			if (s->n == 0)
				return;
			c = s->p[0];
			skip(s, 1);
		}
		if (c != '\r' && c != '\n' && c != '\0')
			buf_add_c(out, c);
	}
}

bool header_token(struct span *s, struct span *token_r)
{
	size_t n = 0;

	while (n < s->n && (unsigned char)s->p[n] > ' ' && s->p[n] != 127 &&
		memchr("()<>@,;:\\\"/[]?=", s->p[n], 15) == NULL)
		n++;
	*token_r = span_from(s->p, n);
	skip(s, n);
	return n > 0;
}

size_t header_msgids(struct span value, struct arena *arena, size_t max, struct span **ids_r)
{
	struct buf id, list;
	size_t count = 0;
	bool inside = false;

	buf_init(&id);
	buf_init(&list);
	while (value.n > 0 && count < max) {
		char c = value.p[0];

		if (!inside && c == '(') {
			header_skip_comment(&value, NULL);
			continue;
		}
		if (inside && c == '"') {
			header_quoted(&value, &id); /* "<"x"@y>" and <x@y> are one (RFC 5256 4) */
			continue;
		}
		skip(&value, 1);
		if (c == '<') {
			inside = true;
			buf_empty(&id);
		} else if (inside && c == '>') {
			struct span s = {arena_dup(arena, buf_str(&id), id.len), id.len};

			inside = false;
			if (id.len == 0)
				continue;
			buf_add(&list, &s, sizeof(s));
			count++;
		} else if (inside && !is_space(c) && c != '\0') {
			buf_add_c(&id, c);
		}
	}
	*ids_r = count == 0 ? NULL : arena_dup(arena, list.data, list.len);
	buf_clear(&id);
	buf_clear(&list);
	return count;
}
