#include "services/login/login-command.h"

/* "{123}" or "{123+}" at the end of a line. */
static bool line_literal(struct span line, uint64_t *size_r, bool *sync_r)
{
	size_t i = line.n;

	if (i < 3 || line.p[i - 1] != '}')
		return false;
	i--;
	*sync_r = line.p[i - 1] != '+';
	if (!*sync_r)
		i--;
	for (size_t end = i; i > 0; i--) {
		if (line.p[i - 1] == '{')
			return num_u64(span_from(line.p + i, end - i), size_r);
		if (line.p[i - 1] < '0' || line.p[i - 1] > '9')
			return false;
	}
	return false;
}

enum login_scan login_command_scan(struct span in, const struct login_limits *limits,
	unsigned answered, size_t *length_r, unsigned *literals_r)
{
	size_t at = 0;
	uint64_t literals = 0;

	*literals_r = 0;
	for (;;) {
		const char *lf = at < in.n ? memchr(in.p + at, '\n', in.n - at) : NULL;
		struct span line;
		uint64_t size;
		bool sync;

		if (lf == NULL)
			return in.n - at > limits->line ? LOGIN_SCAN_TOO_LONG : LOGIN_SCAN_MORE;
		line = span_from(in.p + at, (size_t)(lf - in.p) - at);
		if (line.n > limits->line)
			return LOGIN_SCAN_TOO_LONG;
		at += line.n + 1;
		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		if (!line_literal(line, &size, &sync)) {
			*length_r = at;
			return LOGIN_SCAN_COMMAND;
		}
		if (size > limits->literals || (literals += size) > limits->literals)
			return LOGIN_SCAN_TOO_LONG;
		if (sync && ++*literals_r > answered)
			return LOGIN_SCAN_LITERAL;
		if (in.n - at < size)
			return LOGIN_SCAN_MORE;
		at += (size_t)size;
	}
}

static bool is_tag_char(char c)
{
	return c > ' ' && c < 0x7f && strchr("(){%*\"\\+", c) == NULL;
}

bool login_command_split(struct span command, struct login_command *c_r)
{
	struct span rest = command;

	if (rest.n > 0 && rest.p[rest.n - 1] == '\n')
		rest.n--;
	if (rest.n > 0 && rest.p[rest.n - 1] == '\r')
		rest.n--;
	*c_r = (struct login_command){0};
	(void)span_cut(&rest, ' ', &c_r->tag);
	if (c_r->tag.n == 0 || c_r->tag.n > 128)
		return false;
	for (size_t i = 0; i < c_r->tag.n; i++) {
		if (!is_tag_char(c_r->tag.p[i]))
			return false;
	}
	if (rest.p != NULL)
		(void)span_cut(&rest, ' ', &c_r->name);
	c_r->args = rest.p == NULL ? span_from("", 0) : rest;
	return true;
}

static bool astring_quoted(struct span *args, struct buf *out)
{
	for (size_t i = 1; i < args->n; i++) {
		char c = args->p[i];

		if (c == '"') {
			*args = span_from(args->p + i + 1, args->n - i - 1);
			return true;
		}
		if (c == '\\' && ++i == args->n)
			return false;
		c = args->p[i];
		if (c == '\r' || c == '\n' || c == '\0')
			return false;
		buf_add_c(out, c);
	}
	return false;
}

static bool astring_literal(struct span *args, struct buf *out)
{
	const char *lf = memchr(args->p, '\n', args->n);
	struct span line, text;
	uint64_t size;
	bool sync;

	if (lf == NULL)
		return false;
	line = span_from(args->p, (size_t)(lf - args->p));
	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	if (!line_literal(line, &size, &sync) || line.p[0] != '{')
		return false;
	*args = span_from(lf + 1, args->n - (size_t)(lf + 1 - args->p));
	if (size > args->n || !span_get_bytes(args, (size_t)size, &text) ||
		memchr(text.p, '\0', text.n) != NULL)
		return false;
	buf_add_span(out, text);
	return true;
}

bool login_command_astring(struct span *args, struct buf *out)
{
	size_t n = 0;

	while (args->n > 0 && args->p[0] == ' ')
		(*args) = span_from(args->p + 1, args->n - 1);
	if (args->n == 0)
		return false;
	if (args->p[0] == '"')
		return astring_quoted(args, out);
	if (args->p[0] == '{')
		return astring_literal(args, out);
	while (n < args->n && args->p[n] > ' ' && args->p[n] != 0x7f &&
		strchr("(){%*\"\\", args->p[n]) == NULL)
		n++;
	if (n == 0)
		return false;
	buf_add(out, args->p, n);
	*args = span_from(args->p + n, args->n - n);
	return true;
}
