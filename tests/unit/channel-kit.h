/*
 * channel-kit: a server of a test role with a client, or with a bare socket, over a socketpair;
 * shared by the tests of the line protocol.
 */
#ifndef LM_CHANNEL_KIT_H
#define LM_CHANNEL_KIT_H

#include "lib-common/channel-conn.h"

/* A server of one role, its channel over a socketpair, and what happened to it. */
struct fixture {
	struct event_base *base;
	struct channel *channel;
	struct client *client;
	int peer; /* the raw other end when there is no client; -1 */
	unsigned opened, closed, gone;
	struct request *kept[2000];
	unsigned n_kept, handled;
	char seen_trace[TRACE_ID_SIZE];
	unsigned events, client_opened, client_closed;
	char event[32], event_key[32];
	size_t event_body;
	int event_fd_ok;
};

/* ECHO, FAIL, KEEP (answered by the test), FD, CLOSE, BIG, LONG, EVENT, NEED. */
extern const struct role_def test_role;
extern const struct role_def test_plain_role;  /* FAIL alone: no bodies, no descriptors */
extern const struct role_def test_narrow_role; /* four requests at once */

/* The server and the other end of its connection. */
void fixture_pair(struct fixture *f, const struct role_def *def, const char *token, int *fd_r);
/* With a client. */
void fixture_init_role(
	struct fixture *f, const struct role_def *def, const char *token, const char *client_token);
void fixture_init(struct fixture *f);
/* With a bare socket (f->peer), the handshake done. */
void fixture_init_raw(struct fixture *f, const struct role_def *def);
void fixture_clear(struct fixture *f); /* also checks that everybody was told of the end */
void fixture_turn(struct fixture *f);  /* what is ready now */
int fixture_open_fds(void);	       /* how many descriptors this process has */
struct call *fixture_echo(struct fixture *f, const char *key, const char *value);
void fixture_send(struct fixture *f, const char *text);
void fixture_send_fds(struct fixture *f, const char *text, int n); /* with n descriptors */
void fixture_read(struct fixture *f, char *text, size_t size);
void fixture_expect(struct fixture *f, const char *wanted); /* what the bare socket must give */
void fixture_on_gone(void *ctx);
void fixture_client_on_open(struct client *c, void *ctx);
void fixture_client_on_close(struct client *c, void *ctx);

#endif
