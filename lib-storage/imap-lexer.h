/*
 * imap-lexer: cuts what an IMAP client sends into whole commands (RFC 3501 2.2.1, 4.3, 7.5;
 *literals without a continuation request: RFC 7888). Used before and after login. Octets may come
 *in any pieces, one at a time too; the work is linear in them.
 *
 * The owner calls imap_lexer_next again and again with its input until it says MORE:
 *
 *	COMMAND		imap_lexer_command() is the whole command without the CRLF at its end.
 *Literals stand in it as they came, "{n}CRLF" and n octets, which imap-parser reads.
 *			imap_lexer_reset() before the next.
 *	LITERAL		"{n}" or "{n+}" has ended a line; lexer->literal_size and ->literal_sync
 *tell which. The owner looks at what has come so far, and calls one of imap_lexer_accept (collect
 *it), imap_lexer_stream (hand it out as DATA), or imap_lexer_refuse. For a synchronising literal it
 *sends "+ ..." itself. DATA		*data_r is the next piece of a streamed literal, in the
 *input's memory. DATA_END	the streamed literal is complete; the rest of the command follows.
 *	REFUSED		the command whose literal was refused has ended (a synchronising one at
 *once). TOO_LONG	the line or the command has passed its limit. The rest of the line is being
 *			swallowed; imap_lexer_tag() may be known. Then REFUSED comes.
 *
 * A bare LF ends a line as CRLF does (clients exist that send it). What is bounded: one line
 * (line_max), and all that a command collects (command_max). Streamed literals are the owner's to
 *bound.
 */
#ifndef LM_IMAP_LEXER_H
#define LM_IMAP_LEXER_H

#include <stdbool.h>
#include <stdint.h>
#include "lib-common/buf.h"

#define IMAP_LINE_MAX 65536
#define IMAP_COMMAND_MAX (1u << 20)
#define IMAP_SWALLOW_MAX 4096 /* of a refused non-synchronising literal; beyond it: BYE */

enum imap_lexer_status {
	IMAP_LEXER_MORE,
	IMAP_LEXER_COMMAND,
	IMAP_LEXER_LITERAL,
	IMAP_LEXER_DATA,
	IMAP_LEXER_DATA_END,
	IMAP_LEXER_REFUSED,
	IMAP_LEXER_TOO_LONG,
};

struct imap_lexer {
	struct buf command;
	size_t line_start; /* in command: where the present line begins */
	size_t line_max, command_max;
	uint64_t literal_size; /* of the last "{n}" */
	uint64_t literal_left;
	bool literal_sync; /* the client waits for "+" */
	enum {
		IMAP_LEXER_IN_LINE,
		IMAP_LEXER_AT_LITERAL, /* the owner has not yet said what to do with it */
		IMAP_LEXER_IN_LITERAL,
		IMAP_LEXER_IN_STREAM,
		IMAP_LEXER_SKIP_LITERAL,
		IMAP_LEXER_SKIP_LINE,
		IMAP_LEXER_REFUSE_NOW,
		IMAP_LEXER_DONE,
	} state;
	struct buf skipped; /* SKIP_LINE: the end of the line that is being swallowed */
};

void imap_lexer_init(struct imap_lexer *lexer, size_t line_max, size_t command_max);
void imap_lexer_clear(struct imap_lexer *lexer);
/* Forgets the command; memory beyond a page is given back. */
void imap_lexer_reset(struct imap_lexer *lexer);
/* Takes octets off the front of *input. */
enum imap_lexer_status imap_lexer_next(
	struct imap_lexer *lexer, struct span *input, struct span *data_r);
/* The command, or what has come of it (at LITERAL it ends with "{n}CRLF"). */
struct span imap_lexer_command(const struct imap_lexer *lexer);
/* The tag, when a valid one has come; empty otherwise. Good for BAD and NO at any time. */
struct span imap_lexer_tag(const struct imap_lexer *lexer);
/* True while nothing of a command has come. */
bool imap_lexer_is_idle(const struct imap_lexer *lexer);

/* Collects the literal. False: it would pass command_max, and nothing was decided. */
bool imap_lexer_accept(struct imap_lexer *lexer);
void imap_lexer_stream(struct imap_lexer *lexer);
/* A synchronising literal will not come, so the command ends here; of another, the literal and the
 * rest of the command are swallowed. False: it is longer than IMAP_SWALLOW_MAX: say BYE and close.
 */
bool imap_lexer_refuse(struct imap_lexer *lexer);

/* Does this line (without CRLF) end in a literal's announcement "{n}", "{n+}" or "~{n}"?
 * 1: yes, *size_r and *sync_r are set; 0: no; -1: it does, with a number that is none or too large.
 */
int imap_literal_at_end(struct span line, uint64_t *size_r, bool *sync_r);

#endif
