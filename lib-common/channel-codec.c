#include "lib-common/channel-internal.h"

#include "lib-common/mem.h"

static const char escape_from[] = {'\t', '\n', '\r', '\0', '\x01'};
static const char escape_to[] = {'t', 'n', 'r', '0', '1'};

void channel_escape(struct buf *out, struct span value)
{
	size_t from = 0;

	for (size_t i = 0; i < value.n; i++) {
		const char *at;

		if ((unsigned char)value.p[i] > '\r')
			continue;
		at = memchr(escape_from, value.p[i], sizeof(escape_from));
		if (at == NULL)
			continue;
		buf_add(out, value.p + from, i - from);
		buf_add_c(out, '\x01');
		buf_add_c(out, escape_to[at - escape_from]);
		from = i + 1;
	}
	buf_add(out, value.p + from, value.n - from);
}

bool channel_unescape(struct buf *out, struct span escaped)
{
	for (size_t i = 0; i < escaped.n; i++) {
		const char *at;

		if (escaped.p[i] != '\x01') {
			buf_add_c(out, escaped.p[i]);
			continue;
		}
		if (++i == escaped.n ||
			(at = memchr(escape_to, escaped.p[i], sizeof(escape_to))) == NULL)
			return false;
		buf_add_c(out, escape_from[at - escape_to]);
	}
	return true;
}

void channel_add_param(struct buf *out, const char *key, struct span value)
{
	buf_add_c(out, '\t');
	buf_add_str(out, key);
	buf_add_c(out, '=');
	channel_escape(out, value);
}

/* Undoes escapes in place of a copy in the arena; a value without any is not copied. */
static bool param_unescape(struct arena *a, struct span *value)
{
	struct buf plain;

	if (value->n == 0 || memchr(value->p, '\x01', value->n) == NULL)
		return true;
	buf_init(&plain);
	if (!channel_unescape(&plain, *value)) {
		buf_clear(&plain);
		return false;
	}
	*value = span_from(arena_dup(a, plain.data, plain.len), plain.len);
	buf_clear(&plain);
	return true;
}

int channel_line_parse(struct span line, struct arena *a, struct channel_line *l_r)
{
	struct span field, *head[] = {&l_r->tag, &l_r->word};
	size_t n = 0;

	*l_r = (struct channel_line){0};
	for (size_t i = 0; i < array_count(head); i++) {
		if (!span_cut(&line, '\t', head[i]) || head[i]->n == 0)
			return -1;
	}
	if (line.p == NULL)
		return 0;
	for (size_t i = 0; i < line.n; i++)
		n += line.p[i] == '\t';
	l_r->params = arena_alloc(a, (n + 1) * sizeof(*l_r->params));
	while (span_cut(&line, '\t', &field)) {
		struct channel_param *p = &l_r->params[l_r->n_params];
		const char *eq = memchr(field.p, '=', field.n);

		if (eq == NULL || eq == field.p)
			return -1;
		p->key = span_from(field.p, (size_t)(eq - field.p));
		p->value = span_from(eq + 1, field.n - p->key.n - 1);
		if (!param_unescape(a, &p->value))
			return -1;
		l_r->n_params++;
	}
	return 0;
}

const struct channel_param *channel_param_find(
	const struct channel_param *params, size_t n, const char *key)
{
	for (size_t i = 0; i < n; i++) {
		if (span_is(params[i].key, key))
			return &params[i];
	}
	return NULL;
}
