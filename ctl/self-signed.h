/* self-signed: a certificate to begin with, for localhost and the host's name. */
#ifndef LM_SELF_SIGNED_H
#define LM_SELF_SIGNED_H

#include "lib-common/err.h"

/* Writes PEM files, the key with mode 0600; refuses a key file that exists. -1 with *e set. */
int self_signed_make(
	const char *cert_path, const char *key_path, const char *hostname, struct err *e);

#endif
