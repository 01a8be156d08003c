/*
 * The hand-over of a connection: the session process gets the client's socket (or, with TLS, one
 * end of a socketpair), the ticket and the input that was read behind the login command. It answers
 * only when it has opened the account's channel; until then the connection is still ours and a
 * failure is told to the client, which may try again.
 */
#include "services/login/login.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "lib-common/mem.h"

#define HANDOFF_TIMEOUT_MS 20000

/* The hand-over of one client, freed from a callback by the loop's next turn only. */
static void handoff_free(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	client_free(ctx);
}

static void handoff_drop_channel(struct login_client *c)
{
	struct timeval now = {0, 0};

	/* client_free must not run inside the channel's own callback. */
	(void)event_base_once(
		service_base(c->login->svc), -1, EV_TIMEOUT, handoff_free, c->handoff, &now);
	c->handoff = NULL;
}

static void handoff_answered(struct result *r, void *ctx)
{
	struct login_client *c = ctx;
	int fd = c->proxy_fd;

	handoff_drop_channel(c);
	if (r->code != ERR_NONE) {
		c->proxy_fd = -1;
		if (fd >= 0)
			(void)close(fd);
		log_warning("login-handoff-failed", "user", LOG_ADDR(c->user), "code",
			LOG_STR(err_code_name(r->code)), "text", LOG_SPAN(r->text), NULL);
		login_imap_handoff_failed(c, r->code, NULL);
		login_client_run(c);
		return;
	}
	metric_add(METRIC_LOGIN_DONE, 1);
	log_info("login-handed-over", "user", LOG_ADDR(c->user), "address", LOG_STR(c->address),
		"tls", LOG_INT(c->ssl != NULL), NULL);
	if (c->ssl == NULL) {
		login_client_free(c);
		return;
	}
	buf_clear(&c->in);
	login_proxy_start(c, fd);
}

void login_handoff_start(struct login_client *c)
{
	struct client_def def = {.role = "imap/handoff", .reconnect = false};
	int pair[2] = {-1, -1}, give;
	struct call *call;

	if (c->ssl != NULL) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0) {
			login_imap_handoff_failed(c, ERR_TEMP, NULL);
			return;
		}
		give = pair[1];
	} else {
		give = fcntl(c->fd, F_DUPFD_CLOEXEC, 0);
	}
	if (give < 0 || service_peer(c->login->svc, def.role, &def.path, &def.token) < 0) {
		login_imap_handoff_failed(c, ERR_TEMP, NULL);
		if (give >= 0)
			(void)close(give);
		if (pair[0] >= 0)
			(void)close(pair[0]);
		return;
	}
	c->state = LOGIN_HANDOFF;
	c->proxy_fd = pair[0];
	c->handoff = client_new(service_base(c->login->svc), &def);
	call = call_new(c->handoff, "SESSION");
	call_str(call, "ticket", c->ticket);
	call_str(call, "user", c->user);
	call_str(call, "session", c->session);
	call_str(call, "address", c->address);
	call_str(call, "local", c->local);
	call_uint(call, "tls", c->ssl != NULL);
	call_str(call, "tag", c->tag);
	call_trace(call, c->trace);
	call_fd(call, give, true);
	if (c->in.len > 0)
		call_body_span(call, buf_span(&c->in));
	(void)call_send(call, HANDOFF_TIMEOUT_MS, handoff_answered, c);
}
