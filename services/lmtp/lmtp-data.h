/*
 * lmtp-data: the transparency of DATA (RFC 5321 4.5.2) undone, octets in, octets out, in any
 * pieces. Only CRLF "." CRLF ends the data. A dot is removed only behind a CRLF (or at the start);
 * bare CR and bare LF are content and never end anything, so that what one server takes for the end
 * of a message no other takes for its middle.
 */
#ifndef LMTP_DATA_H
#define LMTP_DATA_H

#include "lib-common/buf.h"

enum lmtp_data_state {
	LMTP_DATA_LINE_START, /* behind CRLF, or at the very start */
	LMTP_DATA_IN_LINE,
	LMTP_DATA_CR,	  /* a CR within a line */
	LMTP_DATA_DOT,	  /* a dot at the start of a line, held back */
	LMTP_DATA_DOT_CR, /* the same and a CR, both held back */
	LMTP_DATA_END,
};

struct lmtp_data {
	enum lmtp_data_state state;
};

void lmtp_data_init(struct lmtp_data *d);
/* Appends the content of `in` to out. Returns the octets used: all of them, or fewer when the end
 * was reached (then lmtp_data_ended). `out` grows by at most in.n + 2. */
size_t lmtp_data_feed(struct lmtp_data *d, struct span in, struct buf *out);
bool lmtp_data_ended(const struct lmtp_data *d);

#endif
