/*
 * message-body: a message while it is received. Its octets are counted, hashed (SHA-256) and parsed
 * (mime.h) as they come; they stay in memory up to a limit and go to an unlinked temporary file
 * beyond it, so that the size of a mail never matters to a process's memory.
 */
#ifndef LM_MESSAGE_BODY_H
#define LM_MESSAGE_BODY_H

#include <openssl/evp.h>
#include "lib-common/buf.h"
#include "lib-common/err.h"
#include "lib-storage/mime.h"

#define MESSAGE_BODY_MEMORY (1u << 20)
#define SHA256_SIZE 32

struct message_body {
	struct buf memory; /* all of it, while fd is -1 */
	int fd;		   /* the temporary file, all of it, once it is too large for memory */
	uint64_t size;
	EVP_MD_CTX *digest;
	struct mime_parser *parser;
	unsigned char sha256[SHA256_SIZE]; /* after message_body_finish */
};

void message_body_init(struct message_body *b);
/* Starts with an empty body; what was there is dropped. */
void message_body_start(struct message_body *b);
/* temp_file opens an unlinked file (service_temp_file). -1: it could not be opened or written. */
int message_body_add(struct message_body *b, struct span octets, int (*temp_file)(void *ctx),
	void *ctx, struct err *e);
/* The whole has been received; the structure lives as long as the body. */
const struct mime_message *message_body_finish(struct message_body *b);
void message_body_clear(struct message_body *b);

#endif
