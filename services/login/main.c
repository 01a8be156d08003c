/*
 * login: accepts client connections, does TLS, speaks IMAP up to the login, and hands the
 * connection to a session process.
 *
 * Sockets: TCP listeners imap (plaintext, STARTTLS) and imaps (TLS); opens auth/login and
 * imap/handoff.
 * Rights kept: its listeners, AF_UNIX sockets in its own folder. No files: certificate and key are
 * read before the drop of rights, and again by a process that master starts for a reload.
 * It sees the octets of the connections it carries and can open no mailbox without credentials.
 * When auth or imap is gone a login is answered NO [UNAVAILABLE] and the client may try again; when
 * the client goes, an exchange under way is cancelled.
 */
#include "services/login/login.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include "lib-common/mem.h"

static int login_init(struct service *svc, struct err *e)
{
	struct login_service *login = mem_alloc(sizeof(*login));

	login->svc = svc;
	login->settings = service_settings(svc);
	service_set_data(svc, login);
	if (login->settings->tls_cert[0] == '\0')
		return 0;
	login->tls = login_tls_load(login->settings, e);
	return login->tls == NULL ? -1 : 0;
}

static int login_start(struct service *svc, struct err *e)
{
	struct login_service *login = service_data(svc);
	const struct client_def none = {0};

	login->auth = service_connect(svc, "auth/login", &none);
	if (login->auth == NULL)
		return err_set(e, ERR_PERM, "master handed down no socket for auth/login");
	return 0;
}

static void login_accept(struct service *svc, int fd, const struct service_listener *l,
	const struct sockaddr *peer, socklen_t peer_len)
{
	struct login_service *login = service_data(svc);
	struct sockaddr_storage own = {0};
	socklen_t own_len = sizeof(own);
	int on = 1;

	(void)peer_len;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)getsockname(fd, (struct sockaddr *)&own, &own_len);
	login_client_new(
		login, fd, strcmp(l->name, "imaps") == 0, peer, (const struct sockaddr *)&own);
}

static void login_drain(struct service *svc)
{
	struct login_service *login = service_data(svc);
	struct login_client *next;

	for (struct login_client *c = login->clients; c != NULL; c = next) {
		next = c->next;
		if (c->state == LOGIN_COMMAND)
			login_client_run(c);
	}
}

static void login_reload(struct service *svc, void *new_settings)
{
	struct login_service *login = service_data(svc);

	login->settings = new_settings;
}

static const struct service_def login_service = {
	.name = "login",
	.settings = &login_settings_def,
	.rights = SANDBOX_UNIX_CLIENT,
	.init = login_init,
	.start = login_start,
	.accept = login_accept,
	.drain = login_drain,
	.reload = login_reload,
};

int main(int argc, char **argv)
{
	return service_run(&login_service, argc, argv);
}
