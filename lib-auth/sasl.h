/*
 * sasl: server sides of SASL mechanisms (RFC 4422) as small state machines in one table: PLAIN (RFC
 * 4616) and LOGIN (draft-murchison-sasl-login). They turn what the client sends into a name and a
 * password; whether these are right is the caller's. Input is decoded octets; the base64 around it
 * was the caller's to undo and to refuse.
 */
#ifndef LM_SASL_H
#define LM_SASL_H

#include <stdbool.h>
#include "lib-common/buf.h"

#define SASL_INPUT_MAX 4096 /* octets of one message of a client */

enum sasl_status {
	SASL_CHALLENGE,	  /* send `challenge` and wait for the response */
	SASL_CREDENTIALS, /* authzid, authcid and password are there; to be verified */
	SASL_BAD,	  /* the client broke the mechanism's syntax */
};

struct sasl; /* one exchange */

struct sasl_mechanism {
	const char *name;
	bool plaintext; /* the password itself is sent: only under TLS */
	/* has_input false: there was no initial response. */
	enum sasl_status (*step)(struct sasl *s, bool has_input, struct span input);
};
extern const struct sasl_mechanism sasl_mechanisms[]; /* ends with name NULL */

struct sasl {
	const struct sasl_mechanism *mechanism;
	int state;
	struct buf challenge; /* raw octets */
	struct buf authzid, authcid, password;
};

/* NULL when there is no such mechanism. Free with sasl_free, which wipes. */
struct sasl *sasl_new(struct span mechanism);
enum sasl_status sasl_step(struct sasl *s, bool has_input, struct span input);
void sasl_free(struct sasl *s);

#endif
