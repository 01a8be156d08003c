#include "services/lmtp/lmtp-path.h"

struct path_builder {
	struct lmtp_path *path;
	size_t len;
};

static bool path_put(struct path_builder *b, char c)
{
	unsigned char u = (unsigned char)c;

	if (u < 0x20 || u == 0x7f || b->len >= LMTP_PATH_MAX)
		return false;
	if (u >= 0x80)
		b->path->has_8bit = true;
	b->path->address[b->len++] = c;
	return true;
}

static void skip(struct span *s, size_t n)
{
	s->p += n;
	s->n -= n;
}

/* local-part = Dot-string / Quoted-string; leniently any run of printable octets but specials. */
static bool path_local_part(struct span *s, struct path_builder *b)
{
	if (s->n > 0 && s->p[0] == '"') {
		skip(s, 1);
		while (s->n > 0 && s->p[0] != '"') {
			if (s->p[0] == '\\' && s->n > 1)
				skip(s, 1);
			if (!path_put(b, s->p[0]))
				return false;
			skip(s, 1);
		}
		if (s->n == 0)
			return false;
		skip(s, 1);
		return b->len > 0;
	}
	while (s->n > 0 && memchr("<>@,;:\\\" \t", s->p[0], 10) == NULL) {
		if (!path_put(b, s->p[0]))
			return false;
		skip(s, 1);
	}
	return b->len > 0;
}

static bool path_domain(struct span *s, struct path_builder *b)
{
	size_t before = b->len;
	bool literal = s->n > 0 && s->p[0] == '[';

	while (s->n > 0 && s->p[0] != '>') {
		if (memchr("<@,;\\\" \t", s->p[0], 8) != NULL || (s->p[0] == ':' && !literal) ||
			!path_put(b, s->p[0]))
			return false;
		skip(s, 1);
	}
	return b->len > before;
}

/* A-d-l: "@host,@host:" is skipped. */
static bool path_source_route(struct span *s)
{
	const char *colon;

	if (s->n == 0 || s->p[0] != '@')
		return true;
	colon = memchr(s->p, ':', s->n);
	if (colon == NULL)
		return false;
	skip(s, (size_t)(colon - s->p) + 1);
	return true;
}

bool lmtp_path_parse(struct span *s, bool null_ok, struct lmtp_path *path_r)
{
	struct path_builder b = {.path = path_r};

	*path_r = (struct lmtp_path){0};
	while (s->n > 0 && s->p[0] == ' ')
		skip(s, 1);
	if (s->n < 2 || s->p[0] != '<')
		return false;
	skip(s, 1);
	if (s->p[0] == '>' && null_ok) {
		skip(s, 1);
		return s->n == 0 || s->p[0] == ' ';
	}
	if (!path_source_route(s) || !path_local_part(s, &b))
		return false;
	if (s->n > 0 && s->p[0] == '@') {
		skip(s, 1);
		if (!path_put(&b, '@') || !path_domain(s, &b))
			return false;
	}
	if (s->n == 0 || s->p[0] != '>')
		return false;
	skip(s, 1);
	path_r->address[b.len] = '\0';
	return (s->n == 0 || s->p[0] == ' ') && utf8_valid(span_from(path_r->address, b.len));
}

bool lmtp_param_next(struct span *s, struct span *key_r, struct span *value_r, bool *bad_r)
{
	const char *end, *eq;
	struct span word;

	*bad_r = false;
	while (s->n > 0 && s->p[0] == ' ')
		skip(s, 1);
	if (s->n == 0)
		return false;
	end = memchr(s->p, ' ', s->n);
	word = span_from(s->p, end == NULL ? s->n : (size_t)(end - s->p));
	skip(s, word.n);
	eq = memchr(word.p, '=', word.n);
	*key_r = span_from(word.p, eq == NULL ? word.n : (size_t)(eq - word.p));
	*value_r = eq == NULL ? span_from(NULL, 0) : span_from(eq + 1, word.n - key_r->n - 1);
	*bad_r = key_r->n == 0 || (eq != NULL && value_r->n == 0);
	return true;
}
