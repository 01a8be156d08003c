/*
 * lmtp: one connection and its mail transaction (RFC 2033). Octets come in through lmtp-client.c,
 * commands are taken in lmtp-command.c, and lmtp-deliver.c carries a received message to the
 * object store and to each recipient's mailbox. While an answer of another service is awaited no
 * further command is taken from the connection's input, which bounds everything by itself.
 */
#ifndef LMTP_H
#define LMTP_H

#include <event2/event.h>
#include "lib-common/service.h"
#include "lib-storage/message-body.h"
#include "services/lmtp/lmtp-data.h"
#include "services/lmtp/lmtp-path.h"
#include "services/lmtp/lmtp-settings.h"

#define LMTP_LINE_MAX 4096 /* RFC 5321 4.5.3.1.4 with room for SMTPUTF8 and parameters */
#define LMTP_BAD_COMMANDS_MAX 20
#define LMTP_INPUT_MAX 65536

/* What all connections of the process share. */
struct lmtp_service {
	struct service *svc;
	const struct lmtp_settings *settings;
	struct client *lookup, *put, *deliver;
	struct lmtp_client *clients; /* list */
};

/* One account that a recipient address leads to. */
struct lmtp_target {
	struct lmtp_client *client;
	char *account, *mailbox, *answer;
	enum err_code code;
	bool duplicate, limited;
};

struct lmtp_recipient {
	char *address; /* as given */
	struct lmtp_target *targets;
	size_t n_targets;
};

enum lmtp_mode { LMTP_MODE_COMMAND, LMTP_MODE_DATA, LMTP_MODE_BDAT, LMTP_MODE_CLOSING };

struct lmtp_client {
	struct lmtp_client *next, **prev;
	struct lmtp_service *lmtp;
	int fd;
	struct event *read_event, *write_event;
	struct buf in, out;
	char peer[80];
	enum lmtp_mode mode;
	bool waiting; /* for another service: input is kept */
	bool reading; /* the read event is added */
	unsigned bad_commands;
	char *lhlo; /* NULL before LHLO */

	/* the transaction */
	char trace[TRACE_ID_SIZE];
	bool has_sender, sender_utf8;
	char *sender;
	char *pending_address; /* of the RCPT that auth is asked about */
	struct lmtp_recipient *recipients;
	size_t n_recipients;
	uint64_t declared_size; /* SIZE= of MAIL; 0: none */
	size_t checks_open;
	struct lmtp_data data;
	struct message_body body;
	EVP_MD_CTX *octets; /* what the peer sent, without our header fields: CORNERS M13 */
	uint64_t octets_size;
	struct buf first; /* the first octets, to see which field comes first */
	bool body_started;
	bool bdat_last, bdat_failed;
	uint64_t bdat_left;
	bool too_large, body_failed;
	struct client *put_client; /* of a growing PUT */
	uint64_t put_tag, put_told;
	bool put_open;
	struct buf meta;
	char *receipt;
	size_t deliveries_open;
	uint64_t deadline_ms;
};

/* lmtp-client.c */
void lmtp_client_new(struct lmtp_service *lmtp, int fd, const char *peer);
void lmtp_client_free(struct lmtp_client *c);
void lmtp_client_reply(struct lmtp_client *c, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Another service has answered: go on with the input. */
void lmtp_client_resume(struct lmtp_client *c);
void lmtp_client_drain(struct lmtp_client *c);

/* lmtp-command.c */
void lmtp_command(struct lmtp_client *c, struct span line);
void lmtp_transaction_reset(struct lmtp_client *c);

/* lmtp-deliver.c: the body begins; octets of the message; it is complete (replies follow). */
void lmtp_body_start(struct lmtp_client *c);
void lmtp_body_octets(struct lmtp_client *c, struct span octets);
void lmtp_body_end(struct lmtp_client *c);
/* The transaction is given up: a growing upload is abandoned. */
void lmtp_body_abort(struct lmtp_client *c);

#endif
