/*
 * login-command: cuts one IMAP command out of the input before login (RFC 3501 9). The grammar
 * needed there is small and strict: a tag, a name, and arguments that are astrings (ID's list is
 * skipped as text). Limits are those of a stranger, for a line and for all literals together.
 */
#ifndef LOGIN_COMMAND_H
#define LOGIN_COMMAND_H

#include "lib-common/buf.h"

struct login_limits {
	uint64_t line, literals; /* octets */
};

enum login_scan {
	LOGIN_SCAN_MORE,     /* the command is not whole yet */
	LOGIN_SCAN_LITERAL,  /* it stops at a synchronising literal: send "+", then more */
	LOGIN_SCAN_COMMAND,  /* length_r octets are one command, its last CRLF included */
	LOGIN_SCAN_TOO_LONG, /* close the connection */
};

/* literals_r: how many synchronising literals the command begins with so far; the caller has
 * answered `answered` of them. */
enum login_scan login_command_scan(struct span in, const struct login_limits *limits,
	unsigned answered, size_t *length_r, unsigned *literals_r);

struct login_command {
	struct span tag, name; /* name may be empty: a malformed line */
	struct span args;      /* behind the name and its blank, without the last CRLF */
};

/* false: there is no valid tag ("*" must be used in the answer). */
bool login_command_split(struct span command, struct login_command *c_r);
/* Takes one astring (atom, quoted or literal) off *args, undone into out. Blanks before it are
 * taken. */
bool login_command_astring(struct span *args, struct buf *out);

#endif
