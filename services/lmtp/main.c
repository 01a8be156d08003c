/*
 * lmtp: accepts deliveries (RFC 2033) and answers for each recipient.
 *
 * Sockets: listens for MTAs on a Unix socket and, when configured, on TCP; opens auth/lookup,
 * objects/put and indexer/deliver.
 * Rights kept: its listeners, AF_UNIX sockets in its own folder, a folder for temporary files.
 * Holds no secret. It cannot read mail: it can only store bodies and append.
 * When a peer service is gone, calls wait for it within their time and are then temporary (4xx):
 * the MTA keeps the message. When an MTA is gone, its open transaction is dropped.
 */
#include "services/lmtp/lmtp.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>
#include "lib-common/mem.h"
#include "lib-common/net.h"

static int lmtp_start(struct service *svc, struct err *e)
{
	struct lmtp_service *lmtp = mem_alloc(sizeof(*lmtp));
	const struct client_def none = {0};

	lmtp->svc = svc;
	lmtp->settings = service_settings(svc);
	lmtp->lookup = service_connect(svc, "auth/lookup", &none);
	lmtp->put = service_connect(svc, "objects/put", &none);
	lmtp->deliver = service_connect(svc, "indexer/deliver", &none);
	service_set_data(svc, lmtp);
	if (lmtp->lookup == NULL || lmtp->put == NULL || lmtp->deliver == NULL)
		return err_set(e, ERR_PERM, "master handed down no socket for a service it needs");
	return 0;
}

static void lmtp_accept(struct service *svc, int fd, const struct service_listener *l,
	const struct sockaddr *peer, socklen_t peer_len)
{
	struct lmtp_service *lmtp = service_data(svc);
	char address[NET_TEXT_SIZE];

	(void)l;
	(void)peer_len;
	net_text(peer, address);
	/* Whoever may deliver may also learn who exists: TCP has no other protection. */
	if (peer->sa_family != AF_UNIX &&
		!net_list_has(lmtp->settings->trusted_networks, address)) {
		log_warning("lmtp-untrusted-peer", "address", LOG_STR(address), NULL);
		(void)close(fd);
		service_client_done(svc);
		return;
	}
	/* Replies to pipelined commands leave one by one, as look-ups end: none may wait for the
	 * MTA's delayed acknowledgement of the one before (40 ms each delivery). */
	if (peer->sa_family != AF_UNIX)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	lmtp_client_new(lmtp, fd, address);
}

static void lmtp_drain(struct service *svc)
{
	struct lmtp_service *lmtp = service_data(svc);
	struct lmtp_client *next;

	for (struct lmtp_client *c = lmtp->clients; c != NULL; c = next) {
		next = c->next;
		lmtp_client_drain(c);
	}
}

static void lmtp_reload(struct service *svc, void *new_settings)
{
	struct lmtp_service *lmtp = service_data(svc);

	lmtp->settings = new_settings;
}

static const struct service_def lmtp_service = {
	.name = "lmtp",
	.settings = &lmtp_settings_def,
	.rights = SANDBOX_UNIX_CLIENT,
	.start = lmtp_start,
	.accept = lmtp_accept,
	.drain = lmtp_drain,
	.reload = lmtp_reload,
};

int main(int argc, char **argv)
{
	return service_run(&lmtp_service, argc, argv);
}
