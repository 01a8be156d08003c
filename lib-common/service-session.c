/*
 * Session services with client_limit 1: this process is a parent that holds no secret and has read
 *no client's input; it forks processes that wait on the role's socket, and each serves one
 *connection. A session process that is killed by a signal may have been an attacker's probe of the
 *address space that all of them share, so the parent then asks to be executed afresh; so it does
 *after some sessions anyway. The old parent stays until its last session ends.
 *
 * Parent and session process speak over a SOCK_SEQPACKET pair, a packet each:
 *	up:	B (has a client), S<TAB>session<TAB>user<TAB>address<TAB>protocol, E<TAB>session
 *	down:	Q (end if you wait), D (finish and end)
 */
#include "lib-common/service-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib-common/mem.h"

#define PARENT_SESSIONS 1000
#define KICK_SECONDS 5

struct session_process {
	struct session_process *next;
	struct service *svc;
	pid_t pid;
	int fd;
	struct event *event;
	bool busy;
	char *session, *user;
};

struct session_parent {
	struct session_process *processes;
	unsigned total, busy;
	uint64_t served;
	struct event *sigchld, *retry;
	bool replaced;
};

static void parent_fill(struct service *svc);

bool service_is_session_parent(const struct service *svc)
{
	const struct service_settings *knobs = svc->settings;

	return svc->def->session_service && knobs->client_limit == 1;
}

unsigned session_parent_clients(const struct service *svc)
{
	return svc->parent->busy;
}

unsigned session_parent_processes(const struct service *svc)
{
	return svc->parent->total;
}

uint64_t session_parent_served(const struct service *svc)
{
	return svc->parent->served;
}

/* ---- the session process ---- */

void session_child_end(struct service *svc)
{
	svc->stopping = true;
	if (svc->def->stop != NULL)
		svc->def->stop(svc);
	_exit(0);
}

void session_child_report(struct service *svc, const char *session, const char *user,
	const char *address, const char *protocol)
{
	struct buf b;

	buf_init(&b);
	if (user == NULL)
		buf_printf(&b, "E\t%s", session);
	else
		buf_printf(&b, "S\t%s\t%s\t%s\t%s", session, user, address == NULL ? "" : address,
			protocol == NULL ? "" : protocol);
	(void)send(svc->child_fd, b.data, b.len, MSG_NOSIGNAL | MSG_DONTWAIT);
	buf_clear(&b);
}

static void child_listen(struct service *svc, bool on)
{
	for (size_t i = 0; i < svc->n_sockets; i++) {
		struct service_socket *s = svc->sockets[i];

		if (on) {
			event_add(s->event, NULL);
			continue;
		}
		event_free(s->event);
		s->event = NULL;
		close(s->listener.fd);
	}
}

static void child_acceptable(evutil_socket_t lfd, short what, void *ctx)
{
	struct service_socket *s = ctx;
	struct service *svc = s->svc;
	struct sockaddr_storage peer = {0};
	socklen_t len = sizeof(peer);
	int fd = accept4(lfd, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)what;
	if (fd < 0)
		return; /* another one was faster */
	child_listen(svc, false);
	svc->accepting = false;
	svc->clients = 1;
	svc->served = 1;
	(void)send(svc->child_fd, "B", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (s->own_role != NULL)
		service_accept_role(svc, s, fd);
	else
		svc->def->accept(svc, fd, &s->listener, (struct sockaddr *)&peer, len);
}

static void child_told(evutil_socket_t fd, short what, void *ctx)
{
	struct service *svc = ctx;
	char c;
	ssize_t n = recv(fd, &c, 1, MSG_DONTWAIT);

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (svc->clients == 0) {
		/* A connection that came in the same turn is left for another process: taken here
		 * it would be dropped. */
		child_listen(svc, false);
		event_base_loopexit(svc->base, NULL);
		return;
	}
	if (n <= 0) { /* the parent is gone; this session is not */
		event_free(svc->child_event);
		svc->child_event = NULL;
		return;
	}
	if (c == 'D') {
		struct timeval tv = {KICK_SECONDS, 0};

		svc->draining = true;
		event_base_loopexit(svc->base, &tv);
		if (svc->def->drain != NULL)
			svc->def->drain(svc);
	}
}

static void child_run(struct service *svc, int fd) __attribute__((noreturn));

static void child_run(struct service *svc, int fd)
{
	struct err e;

	/* The parent's loop has its own epoll descriptor; without event_reinit, freeing would take
	 * the parent's events out of it. */
	event_reinit(svc->control_base);
	event_base_free(svc->control_base);
	event_reinit(svc->base);
	svc->control_base = svc->base;
	if (svc->control != NULL)
		close(SERVICE_FD_CONTROL);
	svc->control = NULL;
	for (struct session_process *p = svc->parent->processes; p != NULL; p = p->next)
		close(p->fd);
	svc->parent = NULL;
	svc->child_fd = fd;
	svc->status_timer = svc->drain_timer = NULL;
	signal(SIGTERM, SIG_DFL);
	signal(SIGCHLD, SIG_DFL);
	metrics_share();
	if (sandbox_enter_session(&e) < 0)
		log_fatal("sandbox-failed", "error", LOG_ERR(&e), NULL);
	if (svc->def->child_start != NULL)
		svc->def->child_start(svc);
	svc->child_event = event_new(svc->base, fd, EV_READ | EV_PERSIST, child_told, svc);
	event_add(svc->child_event, NULL);
	for (size_t i = 0; i < svc->n_sockets; i++)
		svc->sockets[i]->event = event_new(svc->base, svc->sockets[i]->listener.fd,
			EV_READ | EV_PERSIST, child_acceptable, svc->sockets[i]);
	child_listen(svc, true);
	event_base_dispatch(svc->base);
	session_child_end(svc);
}

/* ---- the parent ---- */

static void parent_replace(struct service *svc, const char *why)
{
	if (svc->parent->replaced || svc->draining)
		return;
	svc->parent->replaced = true;
	log_info("session-parent-replaced", "why", LOG_STR(why), "sessions",
		LOG_UINT(svc->parent->served), NULL);
	service_control_event(svc, "REPLACE");
	service_drain(svc, false);
}

static void process_forget_session(struct session_process *p)
{
	if (p->session != NULL)
		service_session_event(p->svc, p->session, NULL, NULL, NULL);
	mem_free(p->session);
	mem_free(p->user);
	p->session = p->user = NULL;
}

static void process_said(struct session_process *p, struct span text)
{
	struct service *svc = p->svc;
	struct span kind, session, user, address, protocol;

	if (!span_cut(&text, '\t', &kind))
		return;
	if (span_is(kind, "B") && !p->busy) {
		p->busy = true;
		svc->parent->busy++;
		svc->parent->served++;
		service_status(svc, false);
		if (svc->parent->served >= PARENT_SESSIONS)
			parent_replace(svc, "age");
		else
			parent_fill(svc);
	} else if (span_is(kind, "E")) {
		process_forget_session(p);
	} else if (span_is(kind, "S") && text.p != NULL && span_cut(&text, '\t', &session) &&
		   text.p != NULL && span_cut(&text, '\t', &user) && text.p != NULL &&
		   span_cut(&text, '\t', &address) && text.p != NULL &&
		   span_cut(&text, '\t', &protocol)) {
		char *a = mem_dup(address.p, address.n), *b = mem_dup(protocol.p, protocol.n);

		process_forget_session(p);
		p->session = mem_dup(session.p, session.n);
		p->user = mem_dup(user.p, user.n);
		service_session_event(svc, p->session, p->user, a, b);
		mem_free(a);
		mem_free(b);
	}
}

static void process_readable(evutil_socket_t fd, short what, void *ctx)
{
	struct session_process *p = ctx;
	char packet[1024];
	ssize_t n = recv(fd, packet, sizeof(packet), MSG_DONTWAIT);

	(void)what;
	if (n > 0)
		process_said(p, span_from(packet, (size_t)n));
	else if (n == 0 || errno != EAGAIN)
		event_del(p->event); /* it is ending: SIGCHLD follows */
}

static bool process_start(struct service *svc)
{
	struct session_process *p;
	int fds[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		return false;
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		child_run(svc, fds[1]);
	}
	close(fds[1]);
	if (pid < 0) {
		close(fds[0]);
		return false;
	}
	p = mem_alloc(sizeof(*p));
	p->svc = svc;
	p->pid = pid;
	p->fd = fds[0];
	p->event = event_new(svc->control_base, p->fd, EV_READ | EV_PERSIST, process_readable, p);
	event_add(p->event, NULL);
	p->next = svc->parent->processes;
	svc->parent->processes = p;
	svc->parent->total++;
	return true;
}

static void parent_fill(struct service *svc)
{
	const struct service_settings *knobs = service_knobs(svc);
	struct session_parent *parent = svc->parent;
	uint64_t spare = knobs->process_min == 0 ? 1 : knobs->process_min;

	while (!svc->draining && parent->total - parent->busy < spare &&
		parent->total < knobs->process_limit) {
		struct timeval tv = {1, 0};

		if (process_start(svc))
			continue;
		log_warning("fork-failed", "error", LOG_STR(strerror(errno)), NULL);
		event_add(parent->retry, &tv);
		return;
	}
}

static void parent_retry(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	parent_fill(ctx);
}

static void process_ended(struct service *svc, struct session_process *p, int status)
{
	struct session_parent *parent = svc->parent;
	struct timeval tv = {1, 0};
	bool busy;

	/* What it said last may still be unread. */
	while (true) {
		char packet[1024];
		ssize_t n = recv(p->fd, packet, sizeof(packet), MSG_DONTWAIT);

		if (n <= 0)
			break;
		process_said(p, span_from(packet, (size_t)n));
	}
	busy = p->busy;
	process_forget_session(p);
	event_free(p->event);
	close(p->fd);
	parent->total--;
	if (busy)
		parent->busy--;
	if (WIFSIGNALED(status)) {
		log_error("session-process-died", "pid", LOG_INT(p->pid), "signal",
			LOG_INT(WTERMSIG(status)), "name", LOG_STR(sigabbrev_np(WTERMSIG(status))),
			NULL);
		if (busy)
			parent_replace(svc, "a session process died by a signal");
	}
	mem_free(p);
	if (busy)
		parent_fill(svc);
	else if (!svc->draining) /* it failed before it had a client: not in a tight loop */
		event_add(parent->retry, &tv);
	service_status(svc, false);
	service_finish_if_idle(svc);
}

static void on_sigchld(evutil_socket_t sig, short what, void *ctx)
{
	struct service *svc = ctx;
	int status;
	pid_t pid;

	(void)sig;
	(void)what;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct session_process **at = &svc->parent->processes, *p;

		while (*at != NULL && (*at)->pid != pid)
			at = &(*at)->next;
		p = *at;
		if (p == NULL)
			continue;
		*at = p->next;
		process_ended(svc, p, status);
	}
}

int session_parent_start(struct service *svc, struct err *e)
{
	struct session_parent *parent = mem_alloc(sizeof(*parent));

	svc->parent = parent;
	parent->retry = event_new(svc->control_base, -1, 0, parent_retry, svc);
	parent->sigchld = evsignal_new(svc->control_base, SIGCHLD, on_sigchld, svc);
	event_add(parent->sigchld, NULL);
	parent_fill(svc);
	if (parent->total == 0)
		return err_set(e, ERR_TEMP, "fork: %s", strerror(errno));
	return 0;
}

void session_parent_drain(struct service *svc, bool end)
{
	for (struct session_process *p = svc->parent->processes; p != NULL; p = p->next)
		(void)send(p->fd, end ? "D" : "Q", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

bool session_parent_kick(struct service *svc, const char *session, const char *user)
{
	bool found = false;

	for (struct session_process *p = svc->parent->processes; p != NULL; p = p->next) {
		if (p->session == NULL ||
			(strcmp(p->session, session) != 0 && strcmp(p->user, user) != 0))
			continue;
		(void)send(p->fd, "D", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
		found = true;
	}
	return found;
}
