/*
 * lmload: the load generator of the benchmarks. One thread, epoll, nothing of LightMail in it, so
 *that it drives any LMTP or IMAP server alike.
 *
 *	lmload lmtp HOST PORT CONNECTIONS USERS MESSAGES OCTETS [reconnect]
 *		delivers MESSAGES messages over CONNECTIONS connections, command by command (no
 *		pipelining), to user0@example.org ... of USERS users; each message differs in its
 *Received field and its body. "reconnect" makes a new connection for each message. Prints: messages
 *failures seconds lmload idle HOST PORT SESSIONS USERS opens SESSIONS IMAP sessions that select
 *INBOX and idle, prints "ready" and keeps them until its standard input ends. lmload imap HOST PORT
 *USER PASSWORD COMMAND... logs in and runs the commands one after the other; prints the seconds and
 *octets of each.
 *
 * The exit status is 1 when anything was refused.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_OCTETS 4096

enum state { GREETING, LHLO, MAIL, RCPT, DATA, BODY, LOGIN, SELECT, IDLE, IDLING };

struct conn {
	int fd;
	enum state state;
	unsigned user;
	char line[LINE_MAX_OCTETS];
	size_t line_n;
	char *out; /* what the socket did not take at once */
	size_t out_n;
};

static struct sockaddr_in target;
static int poller;
static unsigned users, idle_ready;
static uint64_t wanted, begun, done, failed;
static size_t message_octets;
static char *filler;
static bool reconnect;

static void die(const char *what)
{
	perror(what);
	exit(2);
}

static double now_s(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static uint64_t number(const char *text)
{
	char *end;
	uint64_t n;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno != 0 || *end != '\0' || *text < '0' || *text > '9') {
		(void)fprintf(stderr, "lmload: not a number: %s\n", text);
		exit(2);
	}
	return n;
}

static void set_target(const char *host, const char *port)
{
	target.sin_family = AF_INET;
	target.sin_port = htons((uint16_t)number(port));
	if (inet_pton(AF_INET, host, &target.sin_addr) != 1)
		die("address");
}

static int connect_target(void)
{
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&target, sizeof(target)) < 0)
		die("connect");
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

/* ---- connections of the event loop ---- */

static void conn_watch(struct conn *c, int operation)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};

	if (c->out_n > 0)
		ev.events |= EPOLLOUT;
	if (epoll_ctl(poller, operation, c->fd, &ev) < 0)
		die("epoll_ctl");
}

static void conn_open(struct conn *c)
{
	c->fd = connect_target();
	c->state = GREETING;
	c->line_n = 0;
	c->out_n = 0;
	conn_watch(c, EPOLL_CTL_ADD);
}

static void conn_close(struct conn *c)
{
	(void)close(c->fd);
	c->fd = -1;
}

static void conn_send(struct conn *c, const char *data, size_t n)
{
	ssize_t sent = send(c->fd, data, n, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (sent < 0 && errno != EAGAIN)
		die("send");
	if (sent < 0)
		sent = 0;
	if ((size_t)sent == n)
		return;
	n -= (size_t)sent;
	c->out = realloc(c->out, n);
	if (c->out == NULL)
		die("realloc");
	memcpy(c->out, data + sent, n);
	c->out_n = n;
	conn_watch(c, EPOLL_CTL_MOD);
}

static void conn_flush(struct conn *c)
{
	ssize_t sent = send(c->fd, c->out, c->out_n, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (sent < 0 && errno != EAGAIN)
		die("send");
	if (sent <= 0)
		return;
	c->out_n -= (size_t)sent;
	memmove(c->out, c->out + sent, c->out_n);
	if (c->out_n == 0)
		conn_watch(c, EPOLL_CTL_MOD);
}

static void __attribute__((format(printf, 2, 3)))
conn_printf(struct conn *c, const char *format, ...)
{
	char text[512];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	conn_send(c, text, (size_t)n);
}

/* ---- LMTP ---- */

static void lmtp_begin(struct conn *c)
{
	if (begun >= wanted) {
		conn_send(c, "QUIT\r\n", 6);
		conn_close(c);
		return;
	}
	c->user = (unsigned)(begun % users);
	begun++;
	c->state = MAIL;
	conn_printf(c, "MAIL FROM:<sender@example.net>\r\n");
}

/* The head makes each message distinct, as an MTA's Received field does (RFC 5321 4.4). */
static void lmtp_send_message(struct conn *c)
{
	static char *text;
	static uint64_t serial;
	int head;

	if (text == NULL) {
		text = malloc(message_octets + 1024);
		if (text == NULL)
			die("malloc");
	}
	serial++;
	head = snprintf(text, 1024,
		"Received: from load.example.net by mx.example.org with ESMTP id %d-%llu;\r\n"
		"\tMon, 2 Nov 2026 10:00:00 +0000\r\n"
		"From: Load <sender@example.net>\r\nTo: user%u@example.org\r\n"
		"Subject: load %llu\r\nMessage-ID: <%d.%llu@example.net>\r\n"
		"Date: Mon, 2 Nov 2026 10:00:00 +0000\r\n\r\nThis is number %llu.\r\n",
		(int)getpid(), (unsigned long long)serial, c->user, (unsigned long long)serial,
		(int)getpid(), (unsigned long long)serial, (unsigned long long)serial);
	if ((size_t)head < message_octets) {
		memcpy(text + head, filler, message_octets - (size_t)head);
		head = (int)message_octets;
	}
	memcpy(text + head, "\r\n.\r\n", 5);
	conn_send(c, text, (size_t)head + 5);
}

static void lmtp_refused(const char *line)
{
	if (failed++ < 5)
		(void)fprintf(stderr, "lmload: refused: %s\n", line);
}

static void lmtp_line(struct conn *c, const char *line)
{
	static const char good[] = {[GREETING] = '2',
		[LHLO] = '2',
		[MAIL] = '2',
		[RCPT] = '2',
		[DATA] = '3',
		[BODY] = '2'};

	if (line[0] != good[c->state]) {
		lmtp_refused(line);
		if (c->state != BODY)
			exit(1);
	}
	switch (c->state) {
	case GREETING:
		c->state = LHLO;
		conn_printf(c, "LHLO load.example.net\r\n");
		break;
	case LHLO:
		lmtp_begin(c);
		break;
	case MAIL:
		c->state = RCPT;
		conn_printf(c, "RCPT TO:<user%u@example.org>\r\n", c->user);
		break;
	case RCPT:
		c->state = DATA;
		conn_printf(c, "DATA\r\n");
		break;
	case DATA:
		c->state = BODY;
		lmtp_send_message(c);
		break;
	default:
		done++;
		if (reconnect && begun < wanted) {
			conn_send(c, "QUIT\r\n", 6);
			conn_close(c);
			conn_open(c);
		} else {
			lmtp_begin(c);
		}
		break;
	}
}

/* ---- idle IMAP sessions ---- */

static void idle_line(struct conn *c, const char *line)
{
	switch (c->state) {
	case GREETING:
		c->state = LOGIN;
		conn_printf(c, "a LOGIN user%u@example.org pass\r\n", c->user);
		return;
	case LOGIN:
		if (strncmp(line, "a ", 2) != 0)
			return;
		c->state = SELECT;
		conn_printf(c, "b SELECT INBOX\r\n");
		break;
	case SELECT:
		if (strncmp(line, "b ", 2) != 0)
			return;
		c->state = IDLE;
		conn_printf(c, "c IDLE\r\n");
		break;
	case IDLE:
		if (line[0] != '+')
			return;
		c->state = IDLING;
		idle_ready++;
		return;
	default:
		return;
	}
	if (strncmp(line + 2, "OK", 2) != 0) {
		(void)fprintf(stderr, "lmload: refused: %s\n", line);
		exit(1);
	}
}

/* ---- the loop ---- */

static void conn_read(struct conn *c, void (*take)(struct conn *, const char *), bool smtp)
{
	char data[16384];
	ssize_t n = recv(c->fd, data, sizeof(data), MSG_DONTWAIT);
	int fd = c->fd;

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		(void)fprintf(stderr, "lmload: the server closed a connection\n");
		exit(1);
	}
	for (ssize_t i = 0; i < n && c->fd == fd; i++) {
		if (data[i] != '\n') {
			if (c->line_n < sizeof(c->line) - 1)
				c->line[c->line_n++] = data[i];
			continue;
		}
		c->line[c->line_n] = '\0';
		/* Of a multi-line reply only the last line counts. */
		if (!smtp || c->line_n < 4 || c->line[3] != '-')
			take(c, c->line);
		c->line_n = 0;
	}
}

static void loop_once(void (*take)(struct conn *, const char *), bool smtp)
{
	struct epoll_event events[256];
	int n = epoll_wait(poller, events, 256, -1);

	if (n < 0 && errno != EINTR)
		die("epoll_wait");
	for (int i = 0; i < n; i++) {
		struct conn *c = events[i].data.ptr;

		if (c->fd >= 0 && c->out_n > 0 && (events[i].events & EPOLLOUT) != 0)
			conn_flush(c);
		if (c->fd >= 0 && (events[i].events & ~(unsigned)EPOLLOUT) != 0)
			conn_read(c, take, smtp);
	}
}

static void conns_open(uint64_t n)
{
	static struct conn *conns;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	conns = calloc(n, sizeof(*conns));
	poller = epoll_create1(EPOLL_CLOEXEC);
	if (conns == NULL || poller < 0)
		die("epoll_create");
	for (uint64_t i = 0; i < n; i++) {
		conns[i].user = (unsigned)(i % users);
		conn_open(&conns[i]);
	}
}

static int run_lmtp(char **argv)
{
	uint64_t connections = number(argv[0]);
	double began = now_s();

	users = (unsigned)number(argv[1]);
	wanted = number(argv[2]);
	message_octets = number(argv[3]);
	reconnect = argv[4] != NULL;
	filler = malloc(message_octets + 1);
	if (filler == NULL || users == 0)
		die("arguments");
	for (size_t i = 0; i < message_octets; i++)
		filler[i] = i % 72 == 70 ? '\r' : i % 72 == 71 ? '\n' : (char)('a' + i * 7 % 26);
	conns_open(connections < wanted ? connections : wanted);
	while (done < wanted)
		loop_once(lmtp_line, true);
	(void)printf("%llu %llu %.6f\n", (unsigned long long)done, (unsigned long long)failed,
		now_s() - began);
	return failed > 0 ? 1 : 0;
}

static int run_idle(char **argv)
{
	uint64_t sessions = number(argv[0]);
	char octet;

	users = (unsigned)number(argv[1]);
	if (users == 0)
		die("arguments");
	conns_open(sessions);
	while (idle_ready < sessions)
		loop_once(idle_line, false);
	(void)printf("ready\n");
	(void)fflush(stdout);
	while (read(STDIN_FILENO, &octet, 1) > 0)
		;
	return 0;
}

/* ---- single IMAP commands ---- */

/* Sends a command and reads to the end of its tagged line (or of one line, without a tag). The
 * octets of the response are counted; it has no literals. */
static bool imap_command(int fd, const char *tag, const char *command, size_t *octets_r)
{
	static char data[1 << 18];
	char line[256] = "", wanted_line[32];
	size_t line_n = 0;
	int n;

	*octets_r = 0;
	n = tag == NULL ? 0 : dprintf(fd, "%s %s\r\n", tag, command);
	if (n < 0)
		die("write");
	(void)snprintf(wanted_line, sizeof(wanted_line), "%s OK", tag == NULL ? "*" : tag);
	for (;;) {
		ssize_t got = recv(fd, data, sizeof(data), 0);

		if (got <= 0)
			die("recv");
		*octets_r += (size_t)got;
		for (ssize_t i = 0; i < got; i++) {
			if (data[i] != '\n') {
				if (line_n < sizeof(line) - 1)
					line[line_n++] = data[i];
				continue;
			}
			line[line_n] = '\0';
			line_n = 0;
			if (tag == NULL ||
				(strncmp(line, tag, strlen(tag)) == 0 && line[strlen(tag)] == ' '))
				return strncmp(line, wanted_line, strlen(wanted_line)) == 0;
		}
	}
}

static int run_imap(char **argv)
{
	int fd = connect_target();
	char login[512], tag[16];
	size_t octets;

	(void)snprintf(login, sizeof(login), "LOGIN %s %s", argv[0], argv[1]);
	if (!imap_command(fd, NULL, NULL, &octets) || !imap_command(fd, "l", login, &octets)) {
		(void)fprintf(stderr, "lmload: login refused\n");
		return 1;
	}
	for (int i = 2; argv[i] != NULL; i++) {
		double began = now_s();

		(void)snprintf(tag, sizeof(tag), "t%d", i);
		if (!imap_command(fd, tag, argv[i], &octets)) {
			(void)fprintf(stderr, "lmload: refused: %s\n", argv[i]);
			return 1;
		}
		(void)printf("%.6f %zu\n", now_s() - began, octets);
	}
	(void)close(fd);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc >= 4)
		set_target(argv[2], argv[3]);
	if ((argc == 8 || argc == 9) && strcmp(argv[1], "lmtp") == 0)
		return run_lmtp(argv + 4);
	if (argc == 6 && strcmp(argv[1], "idle") == 0)
		return run_idle(argv + 4);
	if (argc >= 7 && strcmp(argv[1], "imap") == 0)
		return run_imap(argv + 4);
	(void)fprintf(
		stderr, "usage: lmload lmtp|idle|imap HOST PORT ... (see the head of lmload.c)\n");
	return 2;
}
