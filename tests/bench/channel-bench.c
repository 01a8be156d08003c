/*
 * channel-bench: what a request over the line protocol costs in CPU, both ends together, as a
 *server in a process of its own answers a client.
 *
 *	channel-bench [REQUESTS]
 */
#include "lib-common/channel.h"
#include "lib-common/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct bench {
	struct event_base *base;
	struct client *client;
	struct buf body;
	uint64_t to_send, open;
	unsigned depth;
	bool back; /* the server sends the body too */
};

static void handle_put(struct request *req)
{
	if (request_uint(req, "back") != 0)
		buf_add_span(reply_body(req), request_body(req));
	reply_uint(req, "uid", request_uint(req, "mailbox") + 1);
	reply_str(req, "name", request_str(req, "name"));
	reply_ok(req);
}

static const struct arg_def put_args[] = {
	{"mailbox", ARG_UINT, true, "A number."},
	{"name", ARG_STRING, true, "A name."},
	{"back", ARG_FLAG, false, "Whether to send the body back."},
	{.name = NULL},
};

static const struct command_def commands[] = {
	{"PUT", put_args, COMMAND_BODY_OPTIONAL, COMMAND_FD_NONE, handle_put, "Takes a body."},
	{.verb = NULL},
};

static void server_gone(struct channel *ch)
{
	(void)event_base_loopbreak(channel_service(ch));
}

static const struct role_def role = {
	"bench/put", commands, 0, NULL, server_gone, "For this program."};

static _Noreturn void server_run(int fd)
{
	struct event_base *base = event_base_new();

	(void)channel_accept(base, fd, &role, NULL, "bench", base);
	(void)event_base_dispatch(base);
	event_base_free(base);
	_exit(0); /* the parent has the output buffer */
}

static void bench_answered(struct result *r, void *ctx);

static void bench_send(struct bench *b)
{
	struct call *call = call_new(b->client, "PUT");

	call_uint(call, "mailbox", b->to_send);
	call_str(call, "name", "INBOX/Some folder");
	if (b->back)
		call_str(call, "back", "1");
	call_body_span(call, buf_span(&b->body));
	(void)call_send(call, 30000, bench_answered, b);
	b->to_send--;
	b->open++;
}

static void bench_answered(struct result *r, void *ctx)
{
	struct bench *b = ctx;

	if (r->code != ERR_NONE) {
		(void)fprintf(stderr, "a request failed\n");
		exit(1);
	}
	b->open--;
	if (b->to_send > 0)
		bench_send(b);
	else if (b->open == 0)
		(void)event_base_loopbreak(b->base);
}

static double cpu_us(int who)
{
	struct rusage ru;

	(void)getrusage(who, &ru);
	return (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * 1e6 +
	       (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec);
}

static void bench_run(const char *name, uint64_t n, unsigned depth, size_t body, bool back)
{
	struct client_def def = {.role = "bench/put"};
	struct bench b = {.base = event_base_new(), .to_send = n, .depth = depth, .back = back};
	double before = cpu_us(RUSAGE_SELF), before_child = cpu_us(RUSAGE_CHILDREN), own, child;
	uint64_t start = clock_boot_us(), wall;
	int fds[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0 || (pid = fork()) < 0)
		exit(1);
	if (pid == 0) {
		(void)close(fds[0]);
		server_run(fds[1]);
	}
	(void)close(fds[1]);
	b.client = client_new_fd(b.base, &def, fds[0]);
	if (body > 0)
		memset(buf_reserve(&b.body, body), 'b', body);
	if (body > 0)
		buf_added(&b.body, body);
	for (unsigned i = 0; i < depth; i++)
		bench_send(&b);
	(void)event_base_dispatch(b.base);
	wall = clock_boot_us() - start;
	client_free(b.client);
	(void)waitpid(pid, NULL, 0);
	own = cpu_us(RUSAGE_SELF) - before;
	child = cpu_us(RUSAGE_CHILDREN) - before_child;
	(void)printf("%-34s %8.2f us client + %6.2f us server CPU, %8.0f a second\n", name,
		own / (double)n, child / (double)n, (double)n * 1e6 / (double)wall);
	buf_clear(&b.body);
	event_base_free(b.base);
}

int main(int argc, char **argv)
{
	uint64_t n = argc > 1 ? strtoull(argv[1], NULL, 10) : 100000;

	log_setup("channel-bench", LOG_FORM_HUMAN, LOG_LEVEL_WARNING, LOG_ADDRESSES_PLAIN, 2);
	if (n < 1000)
		n = 1000;
	bench_run("no body, one at a time", n / 4, 1, 0, false);
	bench_run("no body, 64 in flight", n, 64, 0, false);
	bench_run("4 KB inline, one at a time", n / 4, 1, 4096, false);
	bench_run("4 KB inline, 64 in flight", n, 64, 4096, false);
	bench_run("4 KB inline both ways, 64 in flight", n, 64, 4096, true);
	bench_run("64 KB inline, 4 in flight", n / 20, 4, CHANNEL_INLINE_MAX, false);
	bench_run("256 KB memfd, 4 in flight", n / 50, 4, 262144, false);
	return 0;
}
