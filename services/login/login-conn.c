#include "services/login/login.h"

#include <errno.h>
#include <openssl/err.h>
#include <sys/socket.h>

bool login_conn_is_secure(const struct login_client *c)
{
	return c->ssl != NULL;
}

static enum conn_result tls_result(struct login_client *c, int r)
{
	int why = SSL_get_error(c->ssl, r);

	ERR_clear_error();
	c->tls_wants_write = why == SSL_ERROR_WANT_WRITE;
	if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
		return CONN_AGAIN;
	return CONN_CLOSED;
}

enum conn_result login_conn_handshake(struct login_client *c)
{
	int r;

	ERR_clear_error();
	r = SSL_accept(c->ssl);
	c->tls_wants_write = false;
	return r == 1 ? CONN_OK : tls_result(c, r);
}

enum conn_result login_conn_read(struct login_client *c, struct buf *into, size_t max)
{
	char *room = buf_reserve(into, max);

	if (c->ssl != NULL) {
		size_t n = 0;
		int r;

		ERR_clear_error();
		r = SSL_read_ex(c->ssl, room, max, &n);
		c->tls_wants_write = false;
		if (r != 1)
			return tls_result(c, r);
		buf_added(into, n);
		return CONN_OK;
	}
	for (;;) {
		ssize_t n = recv(c->fd, room, max, 0);

		if (n > 0) {
			buf_added(into, (size_t)n);
			return CONN_OK;
		}
		if (n < 0 && errno == EINTR)
			continue;
		return n < 0 && errno == EAGAIN ? CONN_AGAIN : CONN_CLOSED;
	}
}

enum conn_result login_conn_write(struct login_client *c, struct buf *from)
{
	while (from->len > 0) {
		if (c->ssl != NULL) {
			size_t n = 0;
			int r;

			ERR_clear_error();
			c->tls_wants_write =
				false; /* or an event would come for nothing, for ever */
			r = SSL_write_ex(c->ssl, from->data, from->len, &n);
			if (r != 1)
				return tls_result(c, r);
			buf_consume(from, n);
		} else {
			ssize_t n = send(c->fd, from->data, from->len, MSG_NOSIGNAL);

			if (n < 0 && errno == EINTR)
				continue;
			if (n < 0)
				return errno == EAGAIN ? CONN_AGAIN : CONN_CLOSED;
			buf_consume(from, (size_t)n);
		}
	}
	return CONN_OK;
}
