/*
 * err: why a request failed, in the few codes that all services share. Functions that can fail
 * return -1 (or NULL) and fill the error object of their caller. The text for the log may name
 * files, tables and peers; the text for the user may not. What is unknown is temporary.
 */
#ifndef LM_ERR_H
#define LM_ERR_H

#include <stdbool.h>
#include "lib-common/buf.h"

/* code		IMAP response code (RFC 5530)	LMTP enhanced status (RFC 3463) */
enum err_code {
	ERR_NONE = 0,
	ERR_TEMP,     /* UNAVAILABLE		4.3.0 */
	ERR_PERM,     /* CANNOT			5.3.0 */
	ERR_NOTFOUND, /* NONEXISTENT		5.1.1 */
	ERR_EXISTS,   /* ALREADYEXISTS		5.3.0 */
	ERR_QUOTA,    /* OVERQUOTA		5.2.2 */
	ERR_LIMIT,    /* LIMIT			4.3.2 */
	ERR_DENIED,   /* NOPERM			5.7.1 */
	ERR_PROTO,    /* CLIENTBUG		5.5.0 */
};

struct err {
	enum err_code code;
	char log[320];	/* one line, for the log */
	char user[160]; /* one line, for the client; empty: a standard sentence for the code */
};

/* Sets the code and the text for the log; returns -1, so that `return err_set(...)` reads well. */
int err_set(struct err *e, enum err_code code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Adds a text for the user to an error that is set. Returns -1. */
int err_user(struct err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *err_code_name(enum err_code code); /* "temp", "perm", "notfound", ... */
enum err_code err_code_of(struct span name);   /* unknown names are ERR_TEMP */
bool err_is_temporary(enum err_code code);     /* temp and limit */
const char *err_user_text(const struct err *e);

#endif
