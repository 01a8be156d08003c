#include "lib-storage/charset.h"

void transfer_decoder_init(struct transfer_decoder *d, enum mime_encoding encoding)
{
	memset(d, 0, sizeof(*d));
	d->encoding = encoding;
}

static int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static void base64_decode(struct transfer_decoder *d, struct span in, struct buf *out)
{
	char *room = buf_reserve(out, in.n);
	size_t n = 0;

	if (room == NULL)
		return;
	for (size_t i = 0; i < in.n; i++) {
		int v = base64_value(in.p[i]);

		if (in.p[i] == '=') {
			/* The end of a run; what follows is another one. */
			d->nbits = 0;
			d->bits = 0;
		}
		if (v < 0)
			continue;
		d->bits = (d->bits << 6 | (uint32_t)v) & 0xfff;
		d->nbits += 6;
		if (d->nbits >= 8) {
			d->nbits -= 8;
			room[n++] = (char)(d->bits >> d->nbits & 0xff);
		}
	}
	buf_added(out, n);
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* What the kept octets are: an escape, a soft line break (RFC 2045 6.7 (5)), or something that only
 * looks so. True when they are done with. */
static bool escape_judge(struct transfer_decoder *d, struct buf *out)
{
	const char *r = d->rest;
	char last = r[d->nrest - 1];

	if (d->nrest == 1)
		return false;
	if (last == '\n')
		return true; /* "=" blanks, line end */
	if (last == ' ' || last == '\t' || last == '\r') {
		if (d->nrest < sizeof(d->rest))
			return false;
	} else if (d->nrest == 2 && hex_value(last) >= 0) {
		return false;
	} else if (d->nrest == 3 && hex_value(r[1]) >= 0 && hex_value(last) >= 0) {
		buf_add_c(out, (char)(hex_value(r[1]) << 4 | hex_value(last)));
		return true;
	}
	buf_add(out, r, d->nrest);
	return true;
}

/* Blanks at the end of a line were added on the way and do not count (6.7 (3)). */
static bool blanks_judge(struct transfer_decoder *d, struct buf *out)
{
	char last = d->rest[d->nrest - 1];

	if (last == '\n') {
		buf_add_str(out, d->nrest > 1 && d->rest[d->nrest - 2] == '\r' ? "\r\n" : "\n");
		return true;
	}
	if ((last == ' ' || last == '\t' || last == '\r') && d->nrest < sizeof(d->rest))
		return false;
	buf_add(out, d->rest, d->nrest);
	return true;
}

static void quoted_octet(struct transfer_decoder *d, char c, struct buf *out)
{
	/* What follows kept blanks may start an escape of its own. */
	if (d->nrest > 0 && c == '=') {
		buf_add(out, d->rest, d->nrest);
		d->nrest = 0;
	}
	d->rest[d->nrest++] = c;
	if (d->rest[0] == '=' ? escape_judge(d, out) : blanks_judge(d, out))
		d->nrest = 0;
}

static void quoted_decode(struct transfer_decoder *d, struct span in, struct buf *out)
{
	for (size_t i = 0; i < in.n;) {
		size_t run = i;

		while (d->nrest == 0 && run < in.n && in.p[run] != '=' && in.p[run] != ' ' &&
			in.p[run] != '\t')
			run++;
		buf_add(out, in.p + i, run - i);
		i = run;
		if (i < in.n)
			quoted_octet(d, in.p[i++], out);
	}
}

void transfer_decode(struct transfer_decoder *d, struct span in, struct buf *out)
{
	if (d->encoding == MIME_BASE64)
		base64_decode(d, in, out);
	else if (d->encoding == MIME_QUOTED_PRINTABLE)
		quoted_decode(d, in, out);
	else
		buf_add_span(out, in);
}

void transfer_decode_end(struct transfer_decoder *d, struct buf *out)
{
	/* A soft line break or blanks at the end are nothing; a cut escape is text. */
	if (d->nrest > 1 && d->rest[0] == '=' && hex_value(d->rest[1]) >= 0)
		buf_add(out, d->rest, d->nrest);
	d->nrest = 0;
}
