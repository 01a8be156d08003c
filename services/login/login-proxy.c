/*
 * The session process gets one end of a socketpair and sees decrypted octets only; OpenSSL never
 * shares a process with mail. Each direction has one bounded buffer: who does not read is not read
 * from either.
 */
#include "services/login/login.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static void proxy_end(struct login_client *c)
{
	login_client_free(c);
}

static void proxy_update(struct login_client *c)
{
	struct timeval *none = NULL;

	if (!c->client_eof && c->to_session.len < LOGIN_PROXY_MAX)
		(void)event_add(c->read_event, none);
	else
		(void)event_del(c->read_event);
	if (c->out.len > 0 || c->tls_wants_write)
		(void)event_add(c->write_event, none);
	else
		(void)event_del(c->write_event);
	if (!c->session_eof && c->out.len < LOGIN_PROXY_MAX)
		(void)event_add(c->proxy_read, none);
	else
		(void)event_del(c->proxy_read);
	if (c->to_session.len > 0)
		(void)event_add(c->proxy_write, none);
	else
		(void)event_del(c->proxy_write);
}

/* -1: the session process is gone. */
static int proxy_write_session(struct login_client *c)
{
	while (c->to_session.len > 0) {
		ssize_t n = send(c->proxy_fd, c->to_session.data, c->to_session.len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -1;
		buf_consume(&c->to_session, (size_t)n);
	}
	if (c->client_eof)
		(void)shutdown(c->proxy_fd, SHUT_WR);
	return 0;
}

/* Reads from the client what is there: with TLS until its records are used up, as no event tells
 * of octets that OpenSSL holds already. */
static int proxy_read_client(struct login_client *c)
{
	while (!c->client_eof && c->to_session.len < LOGIN_PROXY_MAX) {
		enum conn_result r = login_conn_read(c, &c->to_session, 16384);

		if (r == CONN_AGAIN)
			break;
		if (r == CONN_CLOSED)
			c->client_eof = true;
	}
	return proxy_write_session(c);
}

static int proxy_read_session(struct login_client *c)
{
	char *room = buf_reserve(&c->out, 16384);
	ssize_t n = recv(c->proxy_fd, room, 16384, 0);

	if (n > 0)
		buf_added(&c->out, (size_t)n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		c->session_eof = true;
	return login_conn_write(c, &c->out) == CONN_CLOSED ? -1 : 0;
}

void login_proxy_run(struct login_client *c)
{
	bool gone = proxy_read_client(c) < 0;

	if (login_conn_write(c, &c->out) == CONN_CLOSED)
		gone = true;
	if (c->session_eof && c->out.len == 0) {
		if (c->ssl != NULL)
			(void)SSL_shutdown(c->ssl);
		gone = true;
	}
	if (gone)
		proxy_end(c);
	else
		proxy_update(c);
}

static void proxy_on_session_read(evutil_socket_t fd, short what, void *ctx)
{
	struct login_client *c = ctx;

	(void)fd;
	(void)what;
	if (proxy_read_session(c) < 0)
		proxy_end(c);
	else
		login_proxy_run(c);
}

static void proxy_on_session_write(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	login_proxy_run(ctx);
}

void login_proxy_start(struct login_client *c, int fd)
{
	struct event_base *base = service_base(c->login->svc);

	c->state = LOGIN_PROXY;
	c->proxy_fd = fd;
	c->proxy_read = event_new(base, fd, EV_READ, proxy_on_session_read, c);
	c->proxy_write = event_new(base, fd, EV_WRITE, proxy_on_session_write, c);
	(void)event_del(c->timer);
	login_proxy_run(c);
}

void login_proxy_stop(struct login_client *c)
{
	if (c->proxy_read != NULL)
		event_free(c->proxy_read);
	if (c->proxy_write != NULL)
		event_free(c->proxy_write);
	if (c->proxy_fd >= 0)
		(void)close(c->proxy_fd);
	c->proxy_fd = -1;
	buf_clear(&c->to_session);
}
