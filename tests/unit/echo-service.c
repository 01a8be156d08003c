/*
 * A small service for the test of master: answers each line of a client with the same line. Lines
 * with a meaning: "pid", "setting" (its greeting), "crash", "forbidden" (a call its sandbox
 * refuses).
 */
#include <stdio.h>
#include <stdlib.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib-common/mem.h"
#include "lib-common/service.h"
#include "tests/unit/echo-settings.h"

struct echo_client {
	struct service *svc;
	struct event *event;
	int fd;
};

static void echo_end(struct echo_client *c)
{
	struct service *svc = c->svc;

	event_free(c->event);
	close(c->fd);
	mem_free(c);
	service_client_done(svc);
}

static void echo_line(struct echo_client *c, const char *line)
{
	const struct echo_settings *settings = service_settings(c->svc);
	char answer[256];

	if (strncmp(line, "crash", 5) == 0)
		abort();
	if (strncmp(line, "forbidden", 9) == 0)
		(void)socket(AF_INET, SOCK_STREAM, 0);
	if (strncmp(line, "pid", 3) == 0)
		snprintf(answer, sizeof(answer), "%d\n", (int)getpid());
	else if (strncmp(line, "setting", 7) == 0)
		snprintf(answer, sizeof(answer), "%s\n", settings->greeting);
	else
		snprintf(answer, sizeof(answer), "%s", line);
	(void)send(c->fd, answer, strlen(answer), MSG_NOSIGNAL);
}

static void echo_readable(evutil_socket_t fd, short what, void *ctx)
{
	char line[128];
	ssize_t n = recv(fd, line, sizeof(line) - 1, 0);

	(void)what;
	if (n <= 0) {
		echo_end(ctx);
		return;
	}
	line[n] = '\0';
	echo_line(ctx, line);
}

static void echo_accept(struct service *svc, int fd, const struct service_listener *l,
	const struct sockaddr *peer, socklen_t peer_len)
{
	struct echo_client *c = mem_alloc(sizeof(*c));

	(void)l;
	(void)peer;
	(void)peer_len;
	c->svc = svc;
	c->fd = fd;
	c->event = event_new(service_base(svc), fd, EV_READ | EV_PERSIST, echo_readable, c);
	event_add(c->event, NULL);
	service_report_session(svc, "0123456789abcdef01234567", "somebody", "local", "echo");
}

static int echo_start(struct service *svc, struct err *e)
{
	const struct echo_settings *settings = service_settings(svc);

	if (settings->broken)
		return err_set(e, ERR_PERM, "told not to start");
	return 0;
}

int main(int argc, char **argv)
{
	static const struct service_def def = {
		.name = "echo-service",
		.settings = &echo_settings_def,
		.start = echo_start,
		.accept = echo_accept,
		.session_service = ECHO_SESSIONS,
	};

	return service_run(&def, argc, argv);
}
