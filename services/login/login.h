/*
 * login: a connection from accept to hand-over. A client is in one of few states; what is read
 * and written goes through login-conn.c, which hides whether TLS is on. Before login the client has
 * small limits for everything it can make us keep.
 */
#ifndef LOGIN_H
#define LOGIN_H

#include <event2/event.h>
#include <openssl/ssl.h>
#include "lib-common/net.h"
#include "lib-common/service.h"
#include "services/login/login-settings.h"

#define LOGIN_INPUT_MAX 16384
#define LOGIN_PROXY_MAX 65536
#define LOGIN_BAD_COMMANDS_MAX 10

struct login_client;

struct login_service {
	struct service *svc;
	const struct login_settings *settings;
	SSL_CTX *tls; /* NULL: no certificate configured */
	struct client *auth;
	struct login_client *clients; /* list */
	size_t n_clients;
};

enum login_state {
	LOGIN_HANDSHAKE, /* TLS */
	LOGIN_COMMAND,	 /* reads commands */
	LOGIN_SASL,	 /* reads one SASL response */
	LOGIN_AUTH,	 /* auth is asked; nothing is read */
	LOGIN_HANDOFF,	 /* imap is asked; nothing is read */
	LOGIN_PROXY,	 /* TLS octets pass between client and session */
	LOGIN_CLOSING,	 /* what is in `out` is written, then the end */
};

struct login_client {
	struct login_client *next, **prev;
	struct login_service *login;
	enum login_state state;
	int fd;
	SSL *ssl; /* NULL: plaintext */
	bool tls_wants_write, greeted;
	struct event *read_event, *write_event, *timer;
	struct buf in, out;
	char address[NET_TEXT_SIZE], local[NET_TEXT_SIZE];
	char peer_key[NET_TEXT_SIZE]; /* what limits per address count by */
	char trace[TRACE_ID_SIZE];    /* the session's id from here on, in all processes */
	unsigned bad_commands, failures, literals_answered;

	char *tag; /* of the command that waits for an answer */
	char *auth_id;
	char *ticket, *user, *session, *account;
	struct client *handoff;

	int proxy_fd; /* our end towards the session process; -1 */
	struct event *proxy_read, *proxy_write;
	struct buf to_session;
	bool client_eof, session_eof;
};

/* login-client.c */
void login_client_new(struct login_service *login, int fd, bool tls, const struct sockaddr *peer,
	const struct sockaddr *local);
void login_client_free(struct login_client *c);
void login_client_reply(struct login_client *c, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void login_client_bye(struct login_client *c, const char *text);
/* Goes on with the input that is there, writes what is to be written; the client may be gone after.
 */
void login_client_run(struct login_client *c);
void login_client_start_tls(struct login_client *c);

/* login-conn.c: octets in and out. */
enum conn_result { CONN_OK, CONN_AGAIN, CONN_CLOSED };
enum conn_result login_conn_read(struct login_client *c, struct buf *into, size_t max);
enum conn_result login_conn_write(struct login_client *c, struct buf *from);
enum conn_result login_conn_handshake(struct login_client *c);
bool login_conn_is_secure(const struct login_client *c);

/* login-tls.c */
SSL_CTX *login_tls_load(const struct login_settings *s, struct err *e);

/* login-imap.c: takes one command or SASL response from c->in; false: more input is needed. */
void login_imap_greet(struct login_client *c);
bool login_imap_take(struct login_client *c);
void login_imap_auth_result(struct login_client *c, enum err_code code, const char *text);
void login_imap_challenge(struct login_client *c, struct span challenge);
void login_imap_handoff_failed(struct login_client *c, enum err_code code, const char *text);

/* login-auth.c: asks auth; its results come through login_imap_*. */
void login_auth_start(struct login_client *c, struct span mechanism, const struct span *initial);
void login_auth_continue(struct login_client *c, struct span response);
void login_auth_cancel(struct login_client *c);
void login_auth_forget(struct login_client *c);

/* login-handoff.c */
void login_handoff_start(struct login_client *c);
/* login-proxy.c */
void login_proxy_run(struct login_client *c);
void login_proxy_start(struct login_client *c, int fd);
void login_proxy_stop(struct login_client *c);

#endif
