#include "lib-storage/imap-write.h"

#include "lib-storage/imap-parser.h"

#define QUOTED_MAX 1000 /* longer texts go as literals */

size_t imap_put_number(char *p, uint64_t n)
{
	char digits[IMAP_NUMBER_MAX];
	size_t len = 0;

	do {
		digits[len++] = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	for (size_t i = 0; i < len; i++)
		p[i] = digits[len - 1 - i];
	return len;
}

void imap_write_number(struct buf *out, uint64_t n)
{
	char *p = buf_reserve(out, IMAP_NUMBER_MAX);

	if (p != NULL)
		buf_added(out, imap_put_number(p, n));
}

void imap_write_literal_head(struct buf *out, uint64_t size)
{
	buf_add_c(out, '{');
	imap_write_number(out, size);
	buf_add(out, "}\r\n", 3);
}

static void write_literal(struct buf *out, struct span s)
{
	char *p;

	imap_write_literal_head(out, s.n);
	p = buf_reserve(out, s.n);
	if (p == NULL)
		return;
	for (size_t i = 0; i < s.n; i++)
		p[i] = s.p[i] == '\0' ? (char)0x80 : s.p[i];
	buf_added(out, s.n);
}

void imap_write_string(struct buf *out, struct span s)
{
	size_t escapes = 0;
	char *p;

	if (s.n > QUOTED_MAX) {
		write_literal(out, s);
		return;
	}
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c >= 0x80 || c == '\0' || c == '\r' || c == '\n') {
			write_literal(out, s);
			return;
		}
		escapes += c == '"' || c == '\\';
	}
	p = buf_reserve(out, s.n + escapes + 2);
	if (p == NULL)
		return;
	*p++ = '"';
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			*p++ = '\\';
		*p++ = s.p[i];
	}
	*p = '"';
	buf_added(out, s.n + escapes + 2);
}

void imap_write_nstring(struct buf *out, struct span s)
{
	if (s.p == NULL)
		buf_add(out, "NIL", 3);
	else
		imap_write_string(out, s);
}

void imap_write_astring(struct buf *out, struct span s)
{
	struct imap_parser p;
	struct span atom;

	imap_parser_init(&p, s, NULL);
	if (imap_parse_atom(&p, &atom) && imap_parser_at_end(&p) && !span_is_nocase(s, "NIL"))
		buf_add_span(out, s);
	else
		imap_write_string(out, s);
}

static char *put_two(char *p, unsigned n)
{
	*p++ = (char)('0' + n / 10 % 10);
	*p++ = (char)('0' + n % 10);
	return p;
}

void imap_write_date_time(struct buf *out, int64_t unix_time, int tz_minutes)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	int64_t local = unix_time + (int64_t)tz_minutes * 60, days = local / 86400, year;
	int64_t seconds = local % 86400;
	unsigned month, day, zone = (unsigned)(tz_minutes < 0 ? -tz_minutes : tz_minutes);
	char text[28], *p = text;

	if (seconds < 0) {
		seconds += 86400;
		days--;
	}
	imap_civil_from_days(days, &year, &month, &day);
	if (year < 0 || year > 9999) {
		imap_write_date_time(out, 0, 0);
		return;
	}
	*p++ = '"';
	p = put_two(p, day);
	if (text[1] == '0')
		text[1] = ' ';
	*p++ = '-';
	memcpy(p, months + 3 * (size_t)(month - 1), 3);
	p += 3;
	*p++ = '-';
	p = put_two(p, (unsigned)(year / 100));
	p = put_two(p, (unsigned)(year % 100));
	*p++ = ' ';
	p = put_two(p, (unsigned)(seconds / 3600));
	*p++ = ':';
	p = put_two(p, (unsigned)(seconds / 60 % 60));
	*p++ = ':';
	p = put_two(p, (unsigned)(seconds % 60));
	*p++ = ' ';
	*p++ = tz_minutes < 0 ? '-' : '+';
	p = put_two(p, zone / 60 % 100);
	p = put_two(p, zone % 60);
	*p = '"';
	buf_add(out, text, sizeof(text));
}
