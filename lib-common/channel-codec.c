#include "lib-common/channel-conn.h"
#include "lib-common/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define ESCAPE '\001'

/* The letter behind the escape octet; 0 for what stands for itself. */
static const char channel_escapes[256] = {
	['\0'] = '0', [ESCAPE] = '1', ['\t'] = 't', ['\n'] = 'n', ['\r'] = 'r'};

void channel_escape(struct buf *out, struct span value)
{
	char *p = value.n > SIZE_MAX / 2 ? NULL : buf_reserve(out, value.n * 2);
	size_t n = 0;

	if (p == NULL)
		return;
	for (size_t i = 0; i < value.n; i++) {
		char letter = channel_escapes[(unsigned char)value.p[i]];

		if (letter == '\0') {
			p[n++] = value.p[i];
		} else {
			p[n++] = ESCAPE;
			p[n++] = letter;
		}
	}
	buf_added(out, n);
}

/* The octet that a letter behind the escape octet stands for; -1: none. */
static int channel_unescape_letter(char letter)
{
	switch (letter) {
	case '0':
		return '\0';
	case '1':
		return ESCAPE;
	case 't':
		return '\t';
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	default:
		return -1;
	}
}

/* to may be from itself: the text only gets shorter. */
static bool channel_unescape_to(char *to, struct span from, size_t *n_r)
{
	size_t n = 0;

	for (size_t i = 0; i < from.n; i++) {
		int c = (unsigned char)from.p[i];

		if (c == ESCAPE) {
			if (++i == from.n || (c = channel_unescape_letter(from.p[i])) < 0)
				return false;
		}
		to[n++] = (char)c;
	}
	*n_r = n;
	return true;
}

bool channel_unescape(struct buf *out, struct span escaped)
{
	char *p = buf_reserve(out, escaped.n);
	size_t n;

	if (p == NULL || !channel_unescape_to(p, escaped, &n))
		return false;
	buf_added(out, n);
	return true;
}

/* The keys that the library itself reads on any line. 1: it was one, 0: it was not, -1: bad. */
static int channel_line_reserved(struct channel_line *line, struct span key, struct span value)
{
	if (key.p[0] == 'b' && span_equal(key, SPAN("body"))) {
		if (line->has_body || line->has_bodyfd || !num_u64(value, &line->body_len) ||
			line->body_len > CHANNEL_INLINE_MAX)
			return -1;
		line->has_body = true;
		return 1;
	}
	if (key.p[0] == 'b' && span_equal(key, SPAN("bodyfd"))) {
		if (line->has_body || line->has_bodyfd || !num_u64(value, &line->body_len) ||
			line->body_len > CHANNEL_BODY_MAX)
			return -1;
		line->has_bodyfd = true;
		return 1;
	}
	if (key.p[0] == 'f' && span_equal(key, SPAN("fd"))) {
		if (line->has_fd || !span_equal(value, SPAN("1")))
			return -1;
		line->has_fd = true;
		return 1;
	}
	return 0;
}

static const char *channel_line_param(struct channel_line *line, struct span field)
{
	const char *equals = field.n == 0 ? NULL : memchr(field.p, '=', field.n);
	struct channel_param *param = &line->params[line->n_params];
	int reserved;

	if (equals == NULL || equals == field.p)
		return "a parameter without key or value";
	param->key = span_from(field.p, (size_t)(equals - field.p));
	param->value = span_from(equals + 1, field.n - param->key.n - 1);
	reserved = channel_line_reserved(line, param->key, param->value);
	if (reserved < 0)
		return "a bad body or descriptor announcement";
	if (reserved == 0 && ++line->n_params == CHANNEL_PARAMS_MAX)
		return "too many parameters";
	return NULL;
}

const char *channel_line_parse(struct span text, struct channel_line *line)
{
	struct span field;
	const char *why;

	line->n_params = 0;
	line->has_body = line->has_bodyfd = line->has_fd = false;
	line->body_len = 0;
	line->body = span_from("", 0);
	line->map = NULL;
	line->fd = -1;
	/* The writer escapes these, so they are no part of any line. */
	if (memchr(text.p, '\0', text.n) != NULL || memchr(text.p, '\r', text.n) != NULL)
		return "a NUL or CR in a line";
	if (!span_cut(&text, '\t', &line->tag) || line->tag.n == 0 ||
		!span_cut(&text, '\t', &line->word) || line->word.n == 0)
		return "a line without tag or verb";
	while (span_cut(&text, '\t', &field)) {
		if ((why = channel_line_param(line, field)) != NULL)
			return why;
	}
	return NULL;
}

bool channel_line_finish(struct channel_line *line)
{
	/* tag and word are only compared by length, so they need no NUL, but handlers may print the
	 * event's name. */
	((char *)line->word.p)[line->word.n] = '\0';
	for (size_t i = 0; i < line->n_params; i++) {
		struct span *value = &line->params[i].value;
		char *p = (char *)value->p;

		if (value->n > 0 && memchr(p, ESCAPE, value->n) != NULL &&
			!channel_unescape_to(p, *value, &value->n))
			return false;
		p[value->n] = '\0';
	}
	return true;
}

void channel_put_u64(struct buf *out, uint64_t v)
{
	char digits[20];
	size_t n = sizeof(digits);

	do
		digits[--n] = (char)('0' + v % 10);
	while ((v /= 10) > 0);
	buf_add(out, digits + n, sizeof(digits) - n);
}

static void channel_put_key(struct buf *out, const char *key)
{
	size_t n = strlen(key);
	char *p = buf_reserve(out, n + 2);

	if (p == NULL)
		return;
	p[0] = '\t';
	memcpy(p + 1, key, n);
	p[n + 1] = '=';
	buf_added(out, n + 2);
}

void channel_put(struct buf *out, const char *key, struct span value)
{
	channel_put_key(out, key);
	channel_escape(out, value);
}

void channel_put_uint(struct buf *out, const char *key, uint64_t value)
{
	channel_put_key(out, key);
	channel_put_u64(out, value);
}

void channel_put_int(struct buf *out, const char *key, int64_t value)
{
	channel_put_key(out, key);
	if (value < 0)
		buf_add_c(out, '-');
	channel_put_u64(out, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void channel_put_hex(struct buf *out, const char *key, const void *data, size_t n)
{
	channel_put_key(out, key);
	buf_add_hex(out, data, n);
}

int channel_body_memfd(struct span body, struct err *e)
{
	int fd = memfd_create("body", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return err_set(e, ERR_TEMP, "memfd_create: %s", strerror(errno));
	while (body.n > 0) {
		ssize_t n = write(fd, body.p, body.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			err_set(e, ERR_TEMP, "write to a memfd: %s", strerror(errno));
			(void)close(fd);
			return -1;
		}
		body = span_from(body.p + n, body.n - (size_t)n);
	}
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0) {
		err_set(e, ERR_TEMP, "sealing a memfd: %s", strerror(errno));
		(void)close(fd);
		return -1;
	}
	return fd;
}

const char *channel_body_map(int fd, uint64_t n, void **map_r)
{
	const int needed = F_SEAL_SHRINK | F_SEAL_WRITE;
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;
	void *map;

	*map_r = NULL;
	/* Without these its sender could cut it (SIGBUS here) or change it while it is read. */
	if (seals < 0 || (seals & needed) != needed)
		return "a body that is not sealed";
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < 0 ||
		(uint64_t)st.st_size != n)
		return "a body of another size than announced";
	if (n == 0)
		return NULL;
	map = mmap(NULL, (size_t)n, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		return "a body that cannot be mapped";
	*map_r = map;
	return NULL;
}

void channel_body_unmap(void *map, size_t n)
{
	if (map != NULL)
		(void)munmap(map, n);
}
