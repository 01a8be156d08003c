/*
 * lmtp-path: the arguments of MAIL and RCPT (RFC 5321 4.1.2, RFC 6531 3.3): a path in angle
 * brackets and parameters. A source route is skipped, as RFC 5321 appendix C asks. The mailbox is
 * returned without brackets, quoting of the local part undone.
 */
#ifndef LMTP_PATH_H
#define LMTP_PATH_H

#include "lib-common/buf.h"

#define LMTP_PATH_MAX 512 /* octets of an address; RFC 5321 4.5.3.1 asks for 256 */

struct lmtp_path {
	char address[LMTP_PATH_MAX + 1]; /* "" for the null reverse path */
	bool has_8bit;			 /* needs SMTPUTF8; checked to be UTF-8 */
};

/* Parses "<path>" at the front of *s, which is left at the parameters. false: malformed, empty
 * local part, control characters, too long, or (unless null_ok) the null path. */
bool lmtp_path_parse(struct span *s, bool null_ok, struct lmtp_path *path_r);
/* Takes the next "KEYWORD[=value]"; *bad_r when there is something that is not one. */
bool lmtp_param_next(struct span *s, struct span *key_r, struct span *value_r, bool *bad_r);

#endif
