#include "services/lmtp/lmtp.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>
#include "lib-common/mem.h"
#include "lib-common/version.h"

static void client_process(struct lmtp_client *c);

static void client_close(struct lmtp_client *c, const char *why)
{
	log_debug("lmtp-closed", "peer", LOG_STR(c->peer), "reason", LOG_STR(why), NULL);
	lmtp_client_free(c);
}

static struct timeval client_timeout(const struct lmtp_client *c)
{
	return (struct timeval){.tv_sec = (time_t)(c->lmtp->settings->idle_timeout_ms / 1000)};
}

/* false: the connection is gone, and the client with it. */
static bool client_flush(struct lmtp_client *c)
{
	struct timeval timeout = client_timeout(c);

	while (c->out.len > 0) {
		ssize_t n = send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			(void)event_add(c->write_event, &timeout);
			return true;
		}
		if (n < 0) {
			client_close(c, strerror(errno));
			return false;
		}
		buf_consume(&c->out, (size_t)n);
	}
	if (c->mode == LMTP_MODE_CLOSING && !c->waiting) {
		client_close(c, "finished");
		return false;
	}
	return true;
}

static void client_want_input(struct lmtp_client *c, bool want)
{
	struct timeval timeout = client_timeout(c);

	if (want)
		(void)event_add(c->read_event, &timeout);
	else if (c->reading)
		(void)event_del(c->read_event);
	c->reading = want;
}

void lmtp_client_reply(struct lmtp_client *c, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	buf_vprintf(&c->out, format, ap);
	va_end(ap);
	buf_add_str(&c->out, "\r\n");
}

/* A line ends with CRLF. A bare LF is refused rather than taken for an end, a bare CR likewise. */
static bool client_take_line(struct lmtp_client *c)
{
	struct span in = buf_span(&c->in), line;
	const char *lf = memchr(in.p, '\n', in.n);
	size_t n;

	if (lf == NULL) {
		if (in.n < LMTP_LINE_MAX)
			return false;
		lmtp_client_reply(c, "500 5.5.6 Line too long");
		c->mode = LMTP_MODE_CLOSING;
		return false;
	}
	n = (size_t)(lf - in.p) + 1;
	line = span_from(in.p, n - 1);
	if (n > LMTP_LINE_MAX) {
		lmtp_client_reply(c, "500 5.5.6 Line too long");
	} else if (line.n == 0 || line.p[line.n - 1] != '\r' ||
		   memchr(line.p, '\r', line.n - 1) != NULL ||
		   memchr(line.p, '\0', line.n) != NULL) {
		lmtp_client_reply(c, "500 5.5.2 Lines end with CRLF and hold no CR, LF or NUL");
		c->bad_commands++;
	} else {
		/* The command may free nothing of the input: it is copied, for it may wait. */
		char *copy = mem_dup(line.p, line.n - 1);

		buf_consume(&c->in, n);
		lmtp_command(c, span_from(copy, line.n - 1));
		mem_free(copy);
		return true;
	}
	buf_consume(&c->in, n);
	return true;
}

static void client_take_data(struct lmtp_client *c)
{
	struct buf content;
	size_t used;

	buf_init(&content);
	used = lmtp_data_feed(&c->data, buf_span(&c->in), &content);
	buf_consume(&c->in, used);
	lmtp_body_octets(c, buf_span(&content));
	buf_clear(&content);
	if (lmtp_data_ended(&c->data)) {
		c->mode = LMTP_MODE_COMMAND;
		lmtp_body_end(c);
	}
}

static void client_take_bdat(struct lmtp_client *c)
{
	size_t n = c->in.len < c->bdat_left ? c->in.len : (size_t)c->bdat_left;

	if (!c->bdat_failed)
		lmtp_body_octets(c, span_from(c->in.data, n));
	buf_consume(&c->in, n);
	c->bdat_left -= n;
	if (c->bdat_left > 0)
		return;
	c->mode = LMTP_MODE_COMMAND;
	if (c->bdat_failed)
		lmtp_client_reply(c, "503 5.5.1 BDAT without a valid MAIL and RCPT");
	else if (c->bdat_last)
		lmtp_body_end(c);
	else
		lmtp_client_reply(
			c, "250 2.0.0 %llu octets received", (unsigned long long)c->octets_size);
}

static void client_process(struct lmtp_client *c)
{
	while (!c->waiting && c->mode != LMTP_MODE_CLOSING) {
		if (c->bad_commands > LMTP_BAD_COMMANDS_MAX) {
			lmtp_client_reply(c, "421 4.7.0 Too many bad commands");
			c->mode = LMTP_MODE_CLOSING;
		} else if (c->mode == LMTP_MODE_COMMAND) {
			if (c->in.len == 0 || !client_take_line(c))
				break;
		} else if (c->mode == LMTP_MODE_DATA) {
			if (c->in.len == 0)
				break;
			client_take_data(c);
		} else {
			if (c->in.len == 0 && c->bdat_left > 0)
				break;
			client_take_bdat(c);
		}
	}
	/* Before its data nothing of a transaction is lost by ending it. */
	if (service_draining(c->lmtp->svc) && !c->waiting && !c->body_started &&
		c->mode == LMTP_MODE_COMMAND) {
		lmtp_client_reply(c, "421 4.3.2 Shutting down");
		c->mode = LMTP_MODE_CLOSING;
	}
	if (client_flush(c))
		client_want_input(c,
			c->mode != LMTP_MODE_CLOSING && !c->waiting && c->out.len < LMTP_INPUT_MAX);
}

void lmtp_client_resume(struct lmtp_client *c)
{
	c->waiting = false;
	client_process(c);
}

void lmtp_client_drain(struct lmtp_client *c)
{
	if (!c->waiting)
		client_process(c);
}

static void client_on_read(evutil_socket_t fd, short what, void *ctx)
{
	struct lmtp_client *c = ctx;
	size_t want = c->mode == LMTP_MODE_COMMAND ? 16384 : LMTP_INPUT_MAX;
	ssize_t n;

	c->reading = false;
	if ((what & EV_TIMEOUT) != 0) {
		lmtp_client_reply(c, "421 4.4.2 Idle for too long");
		c->mode = LMTP_MODE_CLOSING;
		(void)client_flush(c);
		return;
	}
	n = recv(fd, buf_reserve(&c->in, want), want, 0);
	if (n > 0) {
		buf_added(&c->in, (size_t)n);
		client_process(c);
	} else if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		client_want_input(c, true);
	} else {
		client_close(c, n == 0 ? "peer closed" : strerror(errno));
	}
}

static void client_on_write(evutil_socket_t fd, short what, void *ctx)
{
	struct lmtp_client *c = ctx;

	(void)fd;
	if ((what & EV_TIMEOUT) != 0)
		client_close(c, "peer does not read");
	else if (client_flush(c) && c->out.len == 0 && !c->waiting)
		client_process(c);
}

void lmtp_client_new(struct lmtp_service *lmtp, int fd, const char *peer)
{
	struct lmtp_client *c = mem_alloc(sizeof(*c));

	c->lmtp = lmtp;
	c->fd = fd;
	(void)snprintf(c->peer, sizeof(c->peer), "%s", peer);
	buf_init(&c->in);
	buf_init(&c->out);
	buf_init(&c->meta);
	buf_init(&c->first);
	message_body_init(&c->body);
	c->read_event = event_new(service_base(lmtp->svc), fd, EV_READ, client_on_read, c);
	c->write_event = event_new(service_base(lmtp->svc), fd, EV_WRITE, client_on_write, c);
	c->next = lmtp->clients;
	c->prev = &lmtp->clients;
	if (c->next != NULL)
		c->next->prev = &c->next;
	lmtp->clients = c;
	lmtp_client_reply(c, "220 %s LightMail LMTP ready", service_global(lmtp->svc)->hostname);
	client_process(c);
}

void lmtp_client_free(struct lmtp_client *c)
{
	struct service *svc = c->lmtp->svc;

	/* Answers that are still under way find nobody; what was not committed is an orphan. */
	client_forget(c->lmtp->lookup, c);
	client_forget(c->lmtp->put, c);
	lmtp_transaction_reset(c);
	mem_free(c->lhlo);
	buf_clear(&c->in);
	buf_clear(&c->out);
	event_free(c->read_event);
	event_free(c->write_event);
	(void)close(c->fd);
	*c->prev = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	mem_free(c);
	service_client_done(svc);
}
