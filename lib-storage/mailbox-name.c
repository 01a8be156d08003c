#include "lib-storage/mailbox-name.h"

#include <stdlib.h>
#include <utf8proc.h>

/* RFC 3501 5.1.3: the base64 alphabet with ',' for '/' */
static const char utf7_alphabet[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

static int utf7_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == ',' ? 63 : -1;
}

static void utf8_put(struct buf *out, uint32_t c)
{
	utf8proc_uint8_t octets[4];
	utf8proc_ssize_t n = utf8proc_encode_char((utf8proc_int32_t)c, octets);

	buf_add(out, octets, (size_t)n);
}

/* One UTF-16 unit; *high holds a high surrogate that waits for its other half. */
static bool utf16_put(struct buf *out, uint32_t unit, uint32_t *high)
{
	if (*high != 0) {
		if (unit < 0xdc00 || unit > 0xdfff)
			return false;
		utf8_put(out, 0x10000 + ((*high - 0xd800) << 10) + (unit - 0xdc00));
		*high = 0;
		return true;
	}
	if (unit >= 0xdc00 && unit <= 0xdfff)
		return false;
	if (unit >= 0xd800 && unit <= 0xdbff) {
		*high = unit;
		return true;
	}
	/* what can stand for itself must: else one mailbox had several names at the wire */
	if (unit >= 0x20 && unit <= 0x7e)
		return false;
	utf8_put(out, unit);
	return true;
}

/* The text between '&' and '-'. */
static bool utf7_decode_run(struct span run, struct buf *out)
{
	uint32_t bits = 0, high = 0;
	unsigned n_bits = 0;

	for (size_t i = 0; i < run.n; i++) {
		int v = utf7_value(run.p[i]);

		if (v < 0)
			return false;
		bits = bits << 6 | (uint32_t)v;
		n_bits += 6;
		if (n_bits >= 16) {
			n_bits -= 16;
			if (!utf16_put(out, bits >> n_bits & 0xffff, &high))
				return false;
		}
		bits &= (1u << n_bits) - 1;
	}
	/* left over: fewer than six bits, all zero, and no half character */
	return high == 0 && n_bits < 6 && bits == 0;
}

bool mailbox_name_from_utf7(struct span utf7, struct buf *out)
{
	bool after_run = false;

	for (size_t i = 0; i < utf7.n; i++) {
		unsigned char c = (unsigned char)utf7.p[i];
		const char *end;
		struct span run;

		if (c < 0x20 || c > 0x7e)
			return false;
		if (c != '&') {
			buf_add_c(out, (char)c);
			after_run = false;
			continue;
		}
		end = memchr(utf7.p + i, '-', utf7.n - i);
		if (end == NULL)
			return false;
		run = span_from(utf7.p + i + 1, (size_t)(end - utf7.p) - i - 1);
		if (run.n == 0) {
			buf_add_c(out, '&');
			after_run = false;
		} else if (after_run || !utf7_decode_run(run, out)) {
			return false; /* two runs in a row are not the shortest form */
		} else {
			after_run = true;
		}
		i += run.n + 1;
	}
	return true;
}

struct utf7_run {
	struct buf *out;
	uint32_t bits;
	unsigned n_bits;
	bool open;
};

static void utf7_unit(struct utf7_run *run, uint32_t unit)
{
	if (!run->open) {
		buf_add_c(run->out, '&');
		run->open = true;
	}
	run->bits = run->bits << 16 | unit;
	run->n_bits += 16;
	while (run->n_bits >= 6) {
		run->n_bits -= 6;
		buf_add_c(run->out, utf7_alphabet[run->bits >> run->n_bits & 0x3f]);
	}
	run->bits &= (1u << run->n_bits) - 1;
}

static void utf7_close(struct utf7_run *run)
{
	if (!run->open)
		return;
	if (run->n_bits > 0)
		buf_add_c(run->out, utf7_alphabet[run->bits << (6 - run->n_bits) & 0x3f]);
	buf_add_c(run->out, '-');
	run->bits = run->n_bits = 0;
	run->open = false;
}

void mailbox_name_to_utf7(struct span utf8, struct buf *out)
{
	struct utf7_run run = {.out = out};
	size_t i = 0;

	while (i < utf8.n) {
		utf8proc_int32_t c;
		utf8proc_ssize_t n = utf8proc_iterate(
			(const utf8proc_uint8_t *)utf8.p + i, (utf8proc_ssize_t)(utf8.n - i), &c);

		if (n <= 0)
			return;
		i += (size_t)n;
		if (c >= 0x20 && c <= 0x7e) {
			utf7_close(&run);
			buf_add_c(out, (char)c);
			if (c == '&')
				buf_add_c(out, '-');
		} else if (c < 0x10000) {
			utf7_unit(&run, (uint32_t)c);
		} else {
			utf7_unit(&run, 0xd800 + (((uint32_t)c - 0x10000) >> 10));
			utf7_unit(&run, 0xdc00 + (((uint32_t)c - 0x10000) & 0x3ff));
		}
	}
	utf7_close(&run);
}

/* Control characters (C0, DEL, C1) and line separators could forge lines; '*' and '%' could not be
 * listed (RFC 3501 5.1). */
static bool name_octets_fit(struct span name)
{
	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = (unsigned char)name.p[i];

		if (c < 0x20 || c == 0x7f || c == '*' || c == '%')
			return false;
		if (c == 0xc2 && i + 1 < name.n && (unsigned char)name.p[i + 1] < 0xa0)
			return false;
		if (c == 0xe2 && i + 2 < name.n && (unsigned char)name.p[i + 1] == 0x80 &&
			((unsigned char)name.p[i + 2] & 0xfe) == 0xa8)
			return false;
	}
	return true;
}

static bool name_levels_fit(struct span name)
{
	struct span rest = name, level;
	unsigned depth = 0;

	while (span_cut(&rest, MAILBOX_SEPARATOR, &level)) {
		if (level.n == 0 || ++depth > MAILBOX_DEPTH_MAX)
			return false;
	}
	return depth > 0;
}

/* Appends name in NFC; false when it cannot be. ASCII, nearly all names, is NFC already. */
static bool name_compose(struct span name, struct buf *out)
{
	utf8proc_uint8_t *nfc = NULL;
	utf8proc_ssize_t n;
	bool ascii = true;

	for (size_t i = 0; i < name.n && ascii; i++)
		ascii = (unsigned char)name.p[i] < 0x80;
	if (ascii) {
		buf_add_span(out, name);
		return true;
	}
	n = utf8proc_map((const utf8proc_uint8_t *)name.p, (utf8proc_ssize_t)name.n, &nfc,
		UTF8PROC_STABLE | UTF8PROC_COMPOSE);
	if (n < 0)
		return false;
	buf_add(out, nfc, (size_t)n);
	free(nfc);
	return true;
}

int mailbox_name_normalise(struct span name, struct buf *out, struct err *e)
{
	size_t start = out->len;
	struct span done;

	if (name.n > 0 && name.p[name.n - 1] == MAILBOX_SEPARATOR)
		name.n--;
	if (name.n == 0 || name.n > MAILBOX_NAME_MAX || !utf8_valid(name) ||
		!name_octets_fit(name) || !name_compose(name, out))
		goto bad;
	done = span_from(out->data + start, out->len - start);
	if (done.n > MAILBOX_NAME_MAX || !name_levels_fit(done))
		goto bad;
	if (span_starts_nocase(done, "INBOX") && (done.n == 5 || done.p[5] == MAILBOX_SEPARATOR))
		memcpy(out->data + start, "INBOX", 5);
	return 0;
bad:
	buf_truncate(out, start);
	err_set(e, ERR_PERM, "not a valid mailbox name");
	return err_user(e, "This is not a valid mailbox name");
}

bool mailbox_name_is_normal(struct span name)
{
	struct buf out;
	struct err e;
	bool same;

	buf_init(&out);
	same = mailbox_name_normalise(name, &out, &e) == 0 && span_equal(buf_span(&out), name);
	buf_clear(&out);
	return same;
}

bool mailbox_name_is_inbox(struct span name)
{
	return span_is(name, "INBOX");
}

struct span mailbox_name_parent(struct span name)
{
	const char *slash = name.n > 0 ? memrchr(name.p, MAILBOX_SEPARATOR, name.n) : NULL;

	return slash == NULL ? span_from(name.p, 0) : span_from(name.p, (size_t)(slash - name.p));
}

bool mailbox_name_is_below(struct span name, struct span parent)
{
	return name.n > parent.n && memcmp(name.p, parent.p, parent.n) == 0 &&
	       name.p[parent.n] == MAILBOX_SEPARATOR;
}
