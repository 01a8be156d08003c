#include "services/lmtp/lmtp-data.h"

void lmtp_data_init(struct lmtp_data *d)
{
	d->state = LMTP_DATA_LINE_START;
}

bool lmtp_data_ended(const struct lmtp_data *d)
{
	return d->state == LMTP_DATA_END;
}

/* What was held back turns out to be content: ".\r" without LF loses its dot only. */
static void data_dot_resolved(struct lmtp_data *d, char c, struct buf *out)
{
	if (d->state == LMTP_DATA_DOT_CR)
		buf_add_c(out, '\r');
	buf_add_c(out, c);
	d->state = c == '\r' ? LMTP_DATA_CR : LMTP_DATA_IN_LINE;
}

static void data_octet(struct lmtp_data *d, char c, struct buf *out)
{
	switch (d->state) {
	case LMTP_DATA_LINE_START:
		if (c == '.') {
			d->state = LMTP_DATA_DOT;
			return;
		}
		break;
	case LMTP_DATA_CR:
		if (c == '\n') {
			buf_add_c(out, c);
			d->state = LMTP_DATA_LINE_START;
			return;
		}
		break;
	case LMTP_DATA_DOT:
		if (c == '\r')
			d->state = LMTP_DATA_DOT_CR;
		else
			data_dot_resolved(d, c, out);
		return;
	case LMTP_DATA_DOT_CR:
		if (c == '\n')
			d->state = LMTP_DATA_END;
		else
			data_dot_resolved(d, c, out);
		return;
	case LMTP_DATA_IN_LINE:
	case LMTP_DATA_END:
		break;
	}
	buf_add_c(out, c);
	d->state = c == '\r' ? LMTP_DATA_CR : LMTP_DATA_IN_LINE;
}

size_t lmtp_data_feed(struct lmtp_data *d, struct span in, struct buf *out)
{
	size_t i = 0;

	while (i < in.n && d->state != LMTP_DATA_END) {
		if (d->state == LMTP_DATA_IN_LINE) {
			/* The common case at memory speed: all up to the next CR is content. */
			const char *cr = memchr(in.p + i, '\r', in.n - i);
			size_t run = cr == NULL ? in.n - i : (size_t)(cr - in.p) - i;

			buf_add(out, in.p + i, run);
			i += run;
			if (i == in.n)
				break;
		}
		data_octet(d, in.p[i++], out);
	}
	return i;
}
