/*
 * imap: an IMAP session after login.
 *
 * Sockets: offers imap/handoff to `login`, which passes a client's connection (the TCP socket, or
 * one end of a socketpair with TLS on the other side), the ticket and the input read so far. Opens
 * indexer/session (one channel a session, bound to the ticket's account), objects/get and
 * objects/put. Rights kept: those sockets, and a folder for unlinked temporary files (APPEND). No
 * file, no network. By default each session has a process of its own, forked from a parent that has
 * read no client's input. When `indexer` is away commands wait for it, then are answered NO
 * [UNAVAILABLE]; the channel is opened again with the grant. Without `s3-uploader` what needs
 * bodies is answered NO [UNAVAILABLE]. When `login` goes away TLS sessions end with it.
 */
#include "services/imap/imap-client.h"

#include <unistd.h>
#include "lib-storage/charset.h"

static struct imap_server server;

static void handle_session(struct request *req)
{
	int fd = request_take_fd(req);

	if (channel_data(request_channel(req)) != NULL || fd < 0) {
		if (fd >= 0)
			(void)close(fd);
		reply_code(req, ERR_PROTO, "one session a connection");
		return;
	}
	/* the session counts as the process's client from here on, not the connection to login */
	channel_set_data(request_channel(req), &server);
	imap_client_new(&server, req, fd);
}

static void on_close(struct channel *ch)
{
	if (channel_data(ch) == NULL)
		service_client_done(server.svc);
}

static const struct arg_def session_args[] = {
	{"ticket", ARG_SECRET, true, "the session ticket that auth signed"},
	{"user", ARG_STRING, true, "the user's name"},
	{"session", ARG_STRING, true, "session and trace id, 24 hex digits"},
	{"address", ARG_STRING, false, "the client's address"},
	{"local", ARG_STRING, false, "our address that it connected to"},
	{"tls", ARG_FLAG, false, "1: the connection is protected"},
	{"tag", ARG_STRING, true, "tag of the command that logged in"},
	{"capability", ARG_FLAG, false, "0: no capabilities in the answer"},
	{NULL, 0, false, NULL},
};

static const struct command_def handoff_commands[] = {
	{"SESSION", session_args, COMMAND_BODY_OPTIONAL, COMMAND_FD_REQUIRED, handle_session,
		"Take over a client's connection; answered when its account is open. The body is "
		"input that was read behind the login command."},
	{.verb = NULL},
};

static const struct role_def handoff_role = {
	.name = "imap/handoff",
	.commands = handoff_commands,
	.on_close = on_close,
	.doc = "Take over connections of logged-in users.",
};

static const struct role_def *const roles[] = {&handoff_role, NULL};

static int init(struct service *svc, struct err *e)
{
	(void)svc;
	(void)e;
	(void)charset_preload(); /* converters load files, which the sandbox forbids later */
	return 0;
}

static void connect_objects(struct service *svc)
{
	static const struct client_def none;

	server.put = service_connect(svc, "objects/put", &none);
	server.get = service_connect(svc, "objects/get", &none);
}

static int start(struct service *svc, struct err *e)
{
	(void)e;
	server.svc = svc;
	service_set_data(svc, &server);
	return 0;
}

/* Connections to the object store are made when a command needs them first: idle sessions hold
 * none. */
struct client *imap_objects_put(struct imap_server *s)
{
	if (s->put == NULL)
		connect_objects(s->svc);
	return s->put;
}

struct client *imap_objects_get(struct imap_server *s)
{
	if (s->get == NULL)
		connect_objects(s->svc);
	return s->get;
}

static void drain(struct service *svc)
{
	(void)svc;
	for (struct imap_client *c = server.clients, *next; c != NULL; c = next) {
		next = c->next;
		imap_client_drain(c);
	}
}

static const struct service_def imap_service = {
	.name = "imap",
	.settings = &imap_settings_def,
	.roles = roles,
	.rights = SANDBOX_UNIX_CLIENT | SANDBOX_FORK,
	.init = init,
	.start = start,
	.drain = drain,
	.session_service = true,
};

int main(int argc, char **argv)
{
	return service_run(&imap_service, argc, argv);
}
