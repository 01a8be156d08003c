#include "lib-common/log.h"
#include "lib-common/mem.h"
#include "lib-common/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A write of at most PIPE_BUF octets to a pipe is whole or not done at all (pipe(7)), so lines of
 * several processes never mix and a full pipe never leaves half a line. */
#define LOG_LINE_MAX PIPE_BUF
#define LOG_VALUE_MAX 1024

static struct {
	char service[32];
	bool human;
	enum log_level level;
	enum log_addresses addresses;
	int fd;
} log_state = {.human = true, .level = LOG_LEVEL_INFO, .fd = STDERR_FILENO};

static uint64_t log_dropped; /* lines lost since the last one written; any thread */
static __thread char log_trace_id[TRACE_ID_SIZE];

static const char *const log_level_names[] = {"debug", "info", "warning", "error"};

void log_setup(const char *service, enum log_form form, enum log_level level,
	enum log_addresses addresses, int fd)
{
	struct stat st;
	int flags;

	(void)snprintf(
		log_state.service, sizeof(log_state.service), "%s", service == NULL ? "" : service);
	log_state.human = form == LOG_FORM_HUMAN || (form == LOG_FORM_AUTO && isatty(fd));
	log_state.level = level;
	log_state.addresses = addresses;
	log_state.fd = fd;
	tzset(); /* reads a file, which the sandbox will not allow later */
	/* Only pipes and sockets: on a terminal or file O_NONBLOCK would change it for its other
	 * users, and neither fills up. */
	if (fstat(fd, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)) &&
		(flags = fcntl(fd, F_GETFL)) >= 0 && (flags & O_NONBLOCK) == 0)
		(void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

void log_trace(const char *trace_id)
{
	(void)snprintf(log_trace_id, sizeof(log_trace_id), "%s", trace_id == NULL ? "" : trace_id);
}

const char *log_trace_get(void)
{
	return log_trace_id;
}

/* The length of the printable UTF-8 character at the front of s; 0: it must be escaped. C1 controls
 * and the marks that change the direction or the line of a text are not printable. */
static size_t log_char_len(struct span s)
{
	unsigned char c = (unsigned char)s.p[0];
	size_t n = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;

	if (n == 1)
		return c >= 0x20 && c != 0x7f ? 1 : 0;
	if (n == 0 || n > s.n || !utf8_valid(span_from(s.p, n)))
		return 0;
	if (c == 0xc2 && (unsigned char)s.p[1] < 0xa0)
		return 0;
	if (n == 3 && c == 0xe2 &&
		((unsigned char)s.p[1] == 0x80 || (unsigned char)s.p[1] == 0x81)) {
		unsigned char last = (unsigned char)s.p[2];

		if ((unsigned char)s.p[1] == 0x80 ? last >= 0xa8 && last <= 0xae
						  : last >= 0xa6 && last <= 0xa9)
			return 0;
	}
	return n;
}

/* Between the quotes of a JSON string or of a quoted human value: an octet that is not printable is
 * written as its number, so the log stays valid UTF-8 and one event stays one line. */
static void log_add_escaped(struct buf *line, struct span s, bool human)
{
	bool cut = s.n > LOG_VALUE_MAX;

	if (cut)
		s.n = LOG_VALUE_MAX;
	while (s.n > 0) {
		size_t n = log_char_len(s);

		if (n == 1 && (s.p[0] == '"' || s.p[0] == '\\'))
			buf_add_c(line, '\\');
		if (n == 0) {
			n = 1;
			buf_printf(line, human ? "\\x%02x" : "\\u00%02x", (unsigned char)s.p[0]);
		} else {
			buf_add(line, s.p, n);
		}
		s = span_from(s.p + n, s.n - n);
	}
	if (cut)
		buf_add_str(line, "...");
}

static bool log_is_plain_word(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c <= 0x20 || c >= 0x7f || c == '"' || c == '\\' || c == '=')
			return false;
	}
	return s.n > 0 && s.n <= LOG_VALUE_MAX;
}

static void log_add_string(struct buf *line, struct span s)
{
	if (log_state.human && log_is_plain_word(s)) {
		buf_add_span(line, s);
		return;
	}
	buf_add_c(line, '"');
	log_add_escaped(line, s, log_state.human);
	buf_add_c(line, '"');
}

/* A stable pseudonym, so that the lines about one address still belong together. */
static void log_add_hashed(struct buf *line, struct span address)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	struct buf text = {0};

	if (EVP_Digest(address.p, address.n, digest, &n, EVP_sha256(), NULL) == 1 && n >= 8) {
		buf_add_str(&text, "h:");
		buf_add_hex(&text, digest, 8);
	}
	log_add_string(line, buf_span(&text));
	buf_clear(&text);
}

static void log_add_key(struct buf *line, const char *key)
{
	buf_printf(line, log_state.human ? " %s=" : ",\"%s\":", key);
}

static void log_add_field(struct buf *line, const char *key, const struct log_value *v)
{
	if (v->kind == LOG_VALUE_ADDR && log_state.addresses == LOG_ADDRESSES_OFF)
		return;
	log_add_key(line, key);
	if (v->kind == LOG_VALUE_INT)
		buf_printf(line, "%lld", (long long)v->i);
	else if (v->kind == LOG_VALUE_UINT)
		buf_printf(line, "%llu", (unsigned long long)v->u);
	else if (v->kind == LOG_VALUE_ADDR && log_state.addresses == LOG_ADDRESSES_HASHED)
		log_add_hashed(line, v->span);
	else
		log_add_string(line, v->span);
}

static void log_add_head(struct buf *line, enum log_level level, const char *event)
{
	struct timespec ts;
	struct tm tm;
	char when[32];

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	if (log_state.human) {
		(void)localtime_r(&ts.tv_sec, &tm);
		(void)strftime(when, sizeof(when), "%H:%M:%S", &tm);
		buf_printf(line, "%s.%03ld %-7s %s[%ld] %s", when, ts.tv_nsec / 1000000,
			log_level_names[level], log_state.service, (long)getpid(), event);
	} else {
		(void)gmtime_r(&ts.tv_sec, &tm);
		(void)strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
		buf_printf(line,
			"{\"time\":\"%s.%03ldZ\",\"level\":\"%s\",\"service\":\"%s\",\"pid\":%ld,"
			"\"event\":\"%s\"",
			when, ts.tv_nsec / 1000000, log_level_names[level], log_state.service,
			(long)getpid(), event);
	}
	if (log_trace_id[0] != '\0') {
		log_add_key(line, "trace");
		log_add_string(line, span_of(log_trace_id));
	}
}

static void log_write(struct buf *line)
{
	ssize_t n;

	do
		n = write(log_state.fd, line->data, line->len);
	while (n < 0 && errno == EINTR);
	if (n < 0) {
		(void)__atomic_add_fetch(&log_dropped, 1, __ATOMIC_RELAXED);
		metric_add_atomic(METRIC_LOG_DROPPED, 1);
	}
}

static void log_line(enum log_level level, const char *event, va_list ap)
{
	/* What must still fit behind the last field: the mark of the cut and the end of the line.
	 */
	static const size_t room = LOG_LINE_MAX - 32;
	uint64_t dropped = __atomic_exchange_n(&log_dropped, 0, __ATOMIC_RELAXED);
	int saved_errno = errno;
	struct buf line = {0};
	const char *key;

	log_add_head(&line, level, event);
	if (dropped > 0)
		log_add_field(&line, "dropped_lines", LOG_UINT(dropped));
	while ((key = va_arg(ap, const char *)) != NULL) {
		size_t before = line.len;

		log_add_field(&line, key, va_arg(ap, const struct log_value *));
		if (line.len > room) {
			buf_truncate(&line, before);
			buf_add_str(&line, log_state.human ? " cut=yes" : ",\"cut\":true");
			break;
		}
	}
	buf_add_str(&line, log_state.human ? "\n" : "}\n");
	log_write(&line);
	if (dropped > 0 && log_dropped > 0)
		(void)__atomic_add_fetch(&log_dropped, dropped, __ATOMIC_RELAXED);
	buf_clear(&line);
	errno = saved_errno;
}

void log_event(enum log_level level, const char *event, ...)
{
	va_list ap;

	if (level < log_state.level)
		return;
	va_start(ap, event);
	log_line(level, event, ap);
	va_end(ap);
}

void log_fatal(const char *event, ...)
{
	va_list ap;

	va_start(ap, event);
	log_line(LOG_LEVEL_ERROR, event, ap);
	va_end(ap);
	exit(70);
}

uint64_t log_lines_dropped(void)
{
	return __atomic_load_n(&log_dropped, __ATOMIC_RELAXED);
}

void trace_id_make(char id_r[TRACE_ID_SIZE])
{
	unsigned char raw[(TRACE_ID_SIZE - 1) / 2];
	struct buf text = {0};

	/* Cannot fail for so few octets once the pool is initialised (getrandom(2)). */
	while (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
		;
	buf_add_hex(&text, raw, sizeof(raw));
	memcpy(id_r, text.data, TRACE_ID_SIZE);
	buf_clear(&text);
}

bool trace_id_valid(struct span s)
{
	unsigned char raw[(TRACE_ID_SIZE - 1) / 2];

	return hex_decode(s, raw, sizeof(raw));
}
