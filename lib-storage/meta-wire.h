/*
 * meta-wire: ENVELOPE and BODYSTRUCTURE as IMAP wants them on the wire (RFC 3501 7.4.2, 9; RFC
 * 9051 7.5.2). Strings are quoted when they are short 7-bit text, else literals, which is valid in
 * any state of a session.
 */
#ifndef LM_META_WIRE_H
#define LM_META_WIRE_H

#include "lib-storage/mime.h"

/* "(date subject from ...)"; NULL gives the envelope of an empty header. */
void wire_add_envelope(struct buf *out, const struct mime_envelope *envelope);

/* A run of octets of BODYSTRUCTURE that BODY is without (the extension data). */
struct wire_run {
	uint32_t offset, length;
};

/* The whole structure. `runs` gets struct wire_run after struct wire_run. With `reduced` parameters
 * other than the character set, texts and all extension data are left out. */
void wire_add_structure(
	struct buf *out, struct buf *runs, const struct mime_message *message, bool reduced);

#endif
