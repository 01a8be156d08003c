#include "services/login/login.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "lib-common/mem.h"

#define LAST_WORDS_S 10 /* to take the BYE of a time-out */

void login_client_free(struct login_client *c)
{
	struct service *svc = c->login->svc;

	login_auth_cancel(c);
	if (c->handoff != NULL) {
		client_forget(c->handoff, c);
		client_free(c->handoff);
	}
	login_proxy_stop(c);
	SSL_free(c->ssl);
	event_free(c->read_event);
	event_free(c->write_event);
	event_free(c->timer);
	(void)close(c->fd);
	mem_free(c->tag);
	buf_wipe(&c->in);
	buf_clear(&c->out);
	*c->prev = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	c->login->n_clients--;
	mem_free(c);
	service_client_done(svc);
}

void login_client_reply(struct login_client *c, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	buf_vprintf(&c->out, format, ap);
	va_end(ap);
	buf_add_str(&c->out, "\r\n");
}

void login_client_bye(struct login_client *c, const char *text)
{
	if (c->state == LOGIN_CLOSING)
		return;
	if (c->state != LOGIN_HANDSHAKE)
		login_client_reply(c, "* BYE %s", text);
	c->state = LOGIN_CLOSING;
}

static bool client_reads(const struct login_client *c)
{
	return (c->state == LOGIN_COMMAND || c->state == LOGIN_SASL ||
		       (c->state == LOGIN_HANDSHAKE && !c->tls_wants_write)) &&
	       c->out.len < LOGIN_INPUT_MAX;
}

/* false: the client is gone. */
static bool client_flush(struct login_client *c)
{
	if (c->state == LOGIN_HANDSHAKE)
		return true;
	if (login_conn_write(c, &c->out) == CONN_CLOSED ||
		(c->state == LOGIN_CLOSING && c->out.len == 0)) {
		if (c->ssl != NULL)
			(void)SSL_shutdown(c->ssl);
		login_client_free(c);
		return false;
	}
	return true;
}

static void client_update_events(struct login_client *c)
{
	if (client_reads(c))
		(void)event_add(c->read_event, NULL);
	else
		(void)event_del(c->read_event);
	if (c->out.len > 0 || c->tls_wants_write)
		(void)event_add(c->write_event, NULL);
	else
		(void)event_del(c->write_event);
}

static void client_handshake(struct login_client *c)
{
	switch (login_conn_handshake(c)) {
	case CONN_OK:
		c->state = LOGIN_COMMAND;
		metric_add(METRIC_LOGIN_TLS_HANDSHAKES, 1);
		if (!c->greeted)
			login_imap_greet(c);
		break;
	case CONN_AGAIN:
		break;
	case CONN_CLOSED:
		log_info("login-tls-failed", "trace", LOG_STR(c->trace), "address",
			LOG_STR(c->address), NULL);
		c->state = LOGIN_CLOSING;
		break;
	}
}

static bool client_read_more(struct login_client *c)
{
	enum conn_result r;

	if (!client_reads(c) || c->state == LOGIN_HANDSHAKE)
		return false;
	if (c->in.len >= LOGIN_INPUT_MAX) {
		login_client_bye(c, "Too much input before login");
		return false;
	}
	r = login_conn_read(c, &c->in, 4096);
	if (r == CONN_CLOSED)
		c->state = LOGIN_CLOSING;
	return r == CONN_OK;
}

void login_client_run(struct login_client *c)
{
	if (c->state == LOGIN_PROXY) {
		login_proxy_run(c);
		return;
	}
	if (c->state == LOGIN_HANDSHAKE)
		client_handshake(c);
	do {
		while ((c->state == LOGIN_COMMAND || c->state == LOGIN_SASL) &&
			login_imap_take(c)) {
			if (c->bad_commands > LOGIN_BAD_COMMANDS_MAX)
				login_client_bye(c, "Too many bad commands");
		}
	} while (client_read_more(c));
	if (c->state == LOGIN_COMMAND && service_draining(c->login->svc))
		login_client_bye(c, "Server is shutting down");
	/* STARTTLS: its OK goes out in plaintext, then the handshake begins. */
	if (c->state == LOGIN_HANDSHAKE && !SSL_in_before(c->ssl))
		client_handshake(c);
	if (client_flush(c))
		client_update_events(c);
}

static void client_on_io(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	login_client_run(ctx);
}

static void client_on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct login_client *c = ctx;
	struct timeval last = {.tv_sec = LAST_WORDS_S};

	(void)fd;
	(void)what;
	if (c->state == LOGIN_CLOSING) { /* it does not read what it is told last */
		login_client_free(c);
		return;
	}
	(void)event_add(c->timer, &last);
	login_client_bye(c, "Login took too long");
	login_client_run(c);
}

/* RFC 3501 6.2.1: what was pipelined in plaintext behind STARTTLS is thrown away, never executed.
 */
void login_client_start_tls(struct login_client *c)
{
	enum conn_result r = login_conn_write(c, &c->out);

	if (r != CONN_OK) { /* a few octets that do not fit: nobody reads there */
		c->state = LOGIN_CLOSING;
		buf_empty(&c->out);
		return;
	}
	buf_empty(&c->in);
	c->ssl = SSL_new(c->login->tls);
	if (c->ssl == NULL || SSL_set_fd(c->ssl, c->fd) != 1) {
		c->state = LOGIN_CLOSING;
		return;
	}
	SSL_set_accept_state(c->ssl);
	c->state = LOGIN_HANDSHAKE;
}

static bool address_is_full(const struct login_service *login, const char *peer_key)
{
	uint64_t before_login = 0, all = 0;

	for (const struct login_client *c = login->clients; c != NULL; c = c->next) {
		if (strcmp(c->peer_key, peer_key) != 0)
			continue;
		all++;
		if (c->state != LOGIN_PROXY)
			before_login++;
	}
	return before_login >= login->settings->max_connections_per_address ||
	       all >= login->settings->max_sessions_per_address;
}

void login_client_new(struct login_service *login, int fd, bool tls, const struct sockaddr *peer,
	const struct sockaddr *local)
{
	struct login_client *c = mem_alloc(sizeof(*c));
	struct event_base *base = service_base(login->svc);
	struct timeval timeout = {.tv_sec = (time_t)(login->settings->login_timeout_ms / 1000)};
	bool full;

	c->login = login;
	c->fd = fd;
	c->proxy_fd = -1;
	c->state = LOGIN_COMMAND;
	net_text(peer, c->address);
	net_peer_key(peer, c->peer_key);
	net_text(local, c->local);
	full = address_is_full(login, c->peer_key);
	trace_id_make(c->trace);
	buf_init(&c->in);
	buf_init(&c->out);
	buf_init(&c->to_session);
	c->read_event = event_new(base, fd, EV_READ, client_on_io, c);
	c->write_event = event_new(base, fd, EV_WRITE, client_on_io, c);
	c->timer = evtimer_new(base, client_on_timer, c);
	(void)event_add(c->timer, &timeout);
	c->next = login->clients;
	c->prev = &login->clients;
	if (c->next != NULL)
		c->next->prev = &c->next;
	login->clients = c;
	login->n_clients++;
	metric_add(METRIC_LOGIN_CONNECTIONS, 1);
	if (tls)
		login_client_start_tls(c);
	if (full) {
		log_info("login-too-many-connections", "address", LOG_STR(c->address), NULL);
		login_client_bye(c, "Too many connections from your address");
	} else if (!tls) {
		login_imap_greet(c);
	}
	login_client_run(c);
}
