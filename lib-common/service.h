/*
 * service: the one skeleton that every service runs in. A service's main() is a few lines:
 *
 *	int main(int argc, char **argv) { return service_run(&imap_service, argc, argv); }
 *
 * What master hands down, by inherited descriptor:
 *	3	the control channel to master (a socketpair; line protocol, role "master/control")
 *	4	the settings of this process (memfd, see settings.h), its tokens, its listeners and
 *peers 5	its metrics region (memfd) 6	the folder for temporary files (O_TMPFILE), -1 when
 *the service has none 7...	listening sockets
 *
 * service_run: settings, log, metrics; def->init (may open files, databases, load converters, start
 * threads that need no later system call than the allow-list has); then the drop of rights
 * (sandbox.h); then def->start; "ready" to master; the event loop. SIGTERM or master's DRAIN: stop
 * accepting, def->drain, end when the last client is gone. SIGHUP does nothing here: master sends
 * RELOAD with new settings.
 *
 * With LM_STANDALONE in argv ("--standalone FILE") the same settings file is read from a path:
 *tests. With --print-protocol it prints the tables of the roles that the service offers, and ends.
 */
#ifndef LM_SERVICE_H
#define LM_SERVICE_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include "lib-common/buf.h"
#include "lib-common/channel.h"
#include "lib-common/err.h"
#include "lib-common/log.h"
#include "lib-common/metrics.h"
#include "lib-common/settings.h"

struct service;

/* A listener: either a role's Unix socket (role set) or an outside one (IMAP, LMTP, HTTP). */
struct service_listener {
	int fd;
	const char
		*name; /* "imap", "imaps", "lmtp", "http", or the role's name "indexer/session" */
	const char *peer;  /* for roles: the service that this socket is bound for; else NULL */
	const char *token; /* for roles: what the peer must present, hex */
	const struct role_def *role; /* NULL for outside listeners */
};

/* What the process may do after the drop of rights, beside the base list (read, write, epoll,
 * memory, time, futex, recvmsg, sendmsg, close, fstat, getrandom, accept4, shutdown, memfd_create
 * ...). */
enum sandbox_rights {
	SANDBOX_UNIX_CLIENT = 1 << 0, /* socket(AF_UNIX), connect: only the sockets in its folder */
	SANDBOX_INET_CLIENT = 1 << 1, /* socket(AF_INET/6), connect */
	SANDBOX_FILES_READ = 1 << 2,  /* openat for reading, within paths given by sandbox_path() */
	SANDBOX_FILES_WRITE = 1 << 3, /* create, rename, unlink, fsync, locks, within the paths */
	SANDBOX_THREADS = 1 << 4,     /* clone of threads */
	SANDBOX_FORK = 1 << 5,	  /* fork (no exec), and wait: the parent of session processes */
	SANDBOX_SEND_FD = 1 << 6, /* (sendmsg is in the base list; named for the review) */
};

struct service_def {
	const char *name;
	const struct settings_def *settings; /* its own section; the struct starts with
						struct service_settings */
	const struct settings_def *const
		*more_settings;		     /* further sections it needs, ends with NULL */
	const struct role_def *const *roles; /* what it offers, ends with NULL; may be NULL */
	unsigned rights;		     /* enum sandbox_rights */
	const int *extra_syscalls;	     /* SCMP_SYS numbers, ended by -1; may be NULL */
	int (*init)(
		struct service *svc, struct err *e); /* before the drop of rights; may be NULL */
	int (*start)(struct service *svc, struct err *e); /* after it; may be NULL */
	/* An outside connection was accepted (non-blocking, close-on-exec). The service owns fd; it
	 * calls service_client_done when the client is gone. */
	void (*accept)(struct service *svc, int fd, const struct service_listener *l,
		const struct sockaddr *peer, socklen_t peer_len);
	/* Instead of accept: the outside listeners are handed over as they are, once, after start,
	 * to a library that accepts by itself (HTTP). Such clients are not counted. */
	void (*listen)(struct service *svc, const struct service_listener *l);
	void (*drain)(struct service *svc); /* finish what is under way; may be NULL */
	void (*reload)(struct service *svc, void *new_settings); /* the skeleton has replaced svc's
								    settings; may be NULL */
	void (*stop)(struct service *svc); /* last call before exit; may be NULL */
	/* Session services (imap, pop3) with client_limit 1: the process is a parent that forks
	 * waiting children, each of which takes one connection on its role socket. The child calls
	 * this first. */
	bool session_service;
	void (*child_start)(struct service *svc);
};

int service_run(const struct service_def *def, int argc, char **argv);

/* master/control, as every process offers it to master. */
extern const struct role_def service_control_role;

struct event_base *service_base(struct service *svc);
const void *service_settings(struct service *svc); /* def->settings' struct */
const struct service_settings *service_knobs(struct service *svc);
const void *service_more_settings(struct service *svc, const char *section);
const struct global_settings *service_global(struct service *svc);
void service_set_data(struct service *svc, void *data);
void *service_data(struct service *svc);
int service_temp_dir(struct service *svc); /* for openat(O_TMPFILE); -1 none */
/* An unlinked temporary file in it; -1 with errno. */
int service_temp_file(struct service *svc);
/* A client of a peer's role, by the table in topology.h: path and token come from master. reconnect
 * is true. */
struct client *service_connect(
	struct service *svc, const char *role, const struct client_def *callbacks);
/* The same as a definition only, for services that open channels by themselves (one per session).
 */
int service_peer(struct service *svc, const char *role, const char **path_r, const char **token_r);
/* A secret that master made for this service: "ticket-key", "receipt-key" (32 octets). NULL: not
 * for us. */
const unsigned char *service_key(struct service *svc, const char *name);
/* Reads a file named in the settings while still privileged (certificates, keys): in init only. */
/* Clients: the skeleton counts them for client_limit, max_requests, idle_kill and master's view.
 * Role connections of session services and accepted outside connections count by themselves until
 * done. */
void service_client_done(struct service *svc);
unsigned service_clients(const struct service *svc);
bool service_draining(const struct service *svc);
/* Tells master who is served, for `lightmailctl who`: user, address, state; NULL user clears. */
void service_report_session(struct service *svc, const char *session_id, const char *user,
	const char *address, const char *protocol);
/* Allows a path (file or folder) to the sandbox; in init only. */
void sandbox_path(struct service *svc, const char *path, bool writable);

#endif
