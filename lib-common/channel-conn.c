#include "lib-common/channel-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "lib-common/metrics.h"

#define CONN_READ_SIZE 65536

static void conn_on_read(evutil_socket_t fd, short what, void *ctx);
static void conn_on_write(evutil_socket_t fd, short what, void *ctx);
static void conn_on_flush(evutil_socket_t fd, short what, void *ctx);

void conn_init(struct conn *c, struct event_base *base, int fd)
{
	*c = (struct conn){.base = base, .fd = fd};
	c->marks_tail = &c->marks;
	buf_init(&c->in);
	buf_init(&c->out);
	(void)evutil_make_socket_nonblocking(fd);
	c->read_event = event_new(base, fd, EV_READ | EV_PERSIST, conn_on_read, c);
	c->write_event = event_new(base, fd, EV_WRITE, conn_on_write, c);
	/* Answers made within one turn of the loop go out in one write at its end. */
	c->flush_event = event_new(base, -1, 0, conn_on_flush, c);
	(void)event_add(c->read_event, NULL);
}

static void marks_free(struct conn_mark *m)
{
	for (unsigned i = 0; i < m->n; i++) {
		if (m->close_after[i])
			(void)close(m->fds[i]);
	}
	mem_free(m);
}

void conn_clear(struct conn *c)
{
	struct conn_mark *m;

	while ((m = c->marks) != NULL) {
		c->marks = m->next;
		marks_free(m);
	}
	for (unsigned i = 0; i < c->n_fds; i++)
		(void)close(c->fds[i]);
	event_free(c->read_event);
	event_free(c->write_event);
	event_free(c->flush_event);
	buf_clear(&c->in);
	buf_clear(&c->out);
	(void)close(c->fd);
	c->fd = -1;
}

void conn_fail(struct conn *c, const char *why)
{
	if (c->dead)
		return;
	c->dead = true;
	(void)event_del(c->read_event);
	(void)event_del(c->write_event);
	(void)event_del(c->flush_event);
	/* Whoever called is still using the connection: its end is told from the loop. */
	c->on_drained = NULL;
	c->end_reason = why;
	event_active(c->flush_event, EV_TIMEOUT, 0);
}

size_t conn_pending(const struct conn *c)
{
	return c->out.len;
}

void conn_pause(struct conn *c, bool pause)
{
	if (c->reading_paused == pause || c->dead)
		return;
	c->reading_paused = pause;
	if (pause) {
		(void)event_del(c->read_event);
	} else {
		(void)event_add(c->read_event, NULL);
		/* Whole messages may stand in the buffer already. */
		if (c->in.len > 0)
			event_active(c->read_event, EV_TIMEOUT, 0);
	}
}

void conn_send(struct conn *c, struct span head, struct span body, const int *fds,
	const bool *close_after, unsigned n_fds)
{
	if (n_fds > 0) {
		struct conn_mark *m = mem_alloc(sizeof(*m));

		m->at = c->out_sent + c->out.len;
		m->n = n_fds;
		memcpy(m->fds, fds, n_fds * sizeof(*fds));
		memcpy(m->close_after, close_after, n_fds * sizeof(*close_after));
		*c->marks_tail = m;
		c->marks_tail = &m->next;
	}
	buf_add_span(&c->out, head);
	buf_add_span(&c->out, body);
	if (!c->dead && !event_pending(c->write_event, EV_WRITE, NULL))
		event_active(c->flush_event, EV_TIMEOUT, 0);
}

static int body_memfd(struct span body)
{
	int fd = memfd_create("lightmail-body", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -1;
	while (body.n > 0) {
		ssize_t n = write(fd, body.p, body.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			(void)close(fd);
			return -1;
		}
		body = span_from(body.p + n, body.n - (size_t)n);
	}
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

int conn_send_message(struct conn *c, struct buf *line, struct span body, int fd, bool close_after)
{
	int fds[CONN_FDS_MAX];
	bool close_them[CONN_FDS_MAX];
	unsigned n = 0;

	if (body.n > CHANNEL_INLINE_MAX) {
		fds[n] = body_memfd(body);
		close_them[n] = true;
		if (fds[n] < 0)
			return -1;
		n++;
		buf_printf(line, "\tbodyfd=%zu", body.n);
		body = span_from(NULL, 0);
	} else if (body.n > 0) {
		buf_printf(line, "\tbody=%zu", body.n);
	}
	if (fd >= 0) {
		buf_add_str(line, "\tfd=1");
		fds[n] = fd;
		close_them[n] = close_after;
		n++;
	}
	buf_add_c(line, '\n');
	conn_send(c, buf_span(line), body, fds, close_them, n);
	return 0;
}

/* One sendmsg: up to the next descriptor, or with the descriptors that stand at this very octet. */
static ssize_t conn_send_some(struct conn *c)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int) * CONN_FDS_MAX)];
	} control;
	struct conn_mark *m = c->marks;
	struct iovec iov = {c->out.data, c->out.len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (m != NULL && m->at > c->out_sent)
		iov.iov_len = (size_t)(m->at - c->out_sent);
	if (m != NULL && m->at == c->out_sent) {
		struct cmsghdr *cmsg = &control.header;

		memset(&control, 0, sizeof(control));
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * m->n);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * m->n);
		memcpy(CMSG_DATA(cmsg), m->fds, sizeof(int) * m->n);
		if (m->next != NULL)
			iov.iov_len = (size_t)(m->next->at - c->out_sent);
	} else {
		m = NULL;
	}
	n = sendmsg(c->fd, &msg, MSG_NOSIGNAL);
	if (n > 0 && m != NULL) { /* they are gone with the first octet: never again */
		c->marks = m->next;
		if (c->marks == NULL)
			c->marks_tail = &c->marks;
		marks_free(m);
	}
	return n;
}

static void conn_flush(struct conn *c)
{
	bool was_full = c->out.len >= CHANNEL_OUTPUT_MAX;

	while (c->out.len > 0) {
		ssize_t n = conn_send_some(c);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			(void)event_add(c->write_event, NULL);
			break;
		}
		if (n < 0) {
			conn_fail(c, "peer gone");
			return;
		}
		buf_consume(&c->out, (size_t)n);
		c->out_sent += (uint64_t)n;
	}
	/* A burst's memory is not kept by a quiet connection. */
	if (c->out.len == 0 && c->out.cap > CONN_READ_SIZE)
		buf_clear(&c->out);
	if (was_full && c->out.len < CHANNEL_OUTPUT_MAX && c->on_drained != NULL)
		c->on_drained(c);
}

static void conn_on_write(evutil_socket_t fd, short what, void *ctx)
{
	struct conn *c = ctx;

	(void)fd;
	(void)what;
	c->on_enter(c);
	conn_flush(c);
	c->on_leave(c);
}

static void conn_on_flush(evutil_socket_t fd, short what, void *ctx)
{
	struct conn *c = ctx;

	(void)fd;
	(void)what;
	c->on_enter(c);
	if (c->dead)
		c->on_end(c, c->end_reason);
	else
		conn_flush(c);
	c->on_leave(c);
}

/* -1: too many, or cut short: the stream of descriptors cannot be trusted any more. */
static int conn_take_fds(struct conn *c, struct msghdr *msg)
{
	int r = (msg->msg_flags & MSG_CTRUNC) != 0 ? -1 : 0;

	for (struct cmsghdr *m = CMSG_FIRSTHDR(msg); m != NULL; m = CMSG_NXTHDR(msg, m)) {
		size_t n;

		if (m->cmsg_level != SOL_SOCKET || m->cmsg_type != SCM_RIGHTS)
			continue;
		n = (m->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(m) + i * sizeof(int), sizeof(int));
			if (c->n_fds < CONN_FDS_QUEUED) {
				c->fds[c->n_fds++] = fd;
			} else {
				(void)close(fd);
				r = -1;
			}
		}
	}
	return r;
}

static int conn_pop_fd(struct conn *c)
{
	int fd;

	if (c->n_fds == 0)
		return -1;
	fd = c->fds[0];
	c->n_fds--;
	memmove(c->fds, c->fds + 1, c->n_fds * sizeof(int));
	return fd;
}

void conn_message_release(struct conn_message *m)
{
	if (m->map != NULL)
		(void)munmap(m->map, m->map_size);
	m->map = NULL;
	if (m->fd >= 0)
		(void)close(m->fd);
	m->fd = -1;
}

/* CORNERS M1: memory that its maker could still cut or change is never mapped. */
static int message_map_body(struct conn_message *m, int fd, uint64_t size)
{
	const int need = F_SEAL_SHRINK | F_SEAL_WRITE;
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals < 0 || (seals & need) != need || fstat(fd, &st) < 0 ||
		(uint64_t)st.st_size != size || size == 0 || size > CHANNEL_BODY_MAX)
		return -1;
	m->map = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, 0);
	if (m->map == MAP_FAILED) {
		m->map = NULL;
		return -1;
	}
	m->map_size = (size_t)size;
	m->body = span_from(m->map, m->map_size);
	return 0;
}

static int message_take_fds(struct conn *c, struct conn_message *m)
{
	const struct channel_param *bodyfd = channel_param_find(
		m->line.params, m->line.n_params, "bodyfd");
	const struct channel_param *fd = channel_param_find(m->line.params, m->line.n_params, "fd");
	uint64_t size;

	if (bodyfd != NULL) {
		int body = conn_pop_fd(c), r;

		if (body < 0 || !num_u64(bodyfd->value, &size)) {
			if (body >= 0)
				(void)close(body);
			return -1;
		}
		r = message_map_body(m, body, size);
		(void)close(body);
		if (r < 0)
			return -1;
	}
	if (fd != NULL) {
		m->fd = span_is(fd->value, "1") ? conn_pop_fd(c) : -1;
		if (m->fd < 0)
			return -1;
	}
	return 0;
}

static void span_move(struct span *s, const char *from, size_t n, const char *to)
{
	if (s->p >= from && s->p <= from + n)
		s->p = to + (s->p - from);
}

/* A request outlives the input buffer: its octets go to its arena, the spans with them. */
static void message_copy(struct conn_message *m, struct arena *a, const char *from, size_t n)
{
	const char *to = arena_dup(a, from, n);

	span_move(&m->line.tag, from, n, to);
	span_move(&m->line.word, from, n, to);
	span_move(&m->body, from, n, to);
	for (size_t i = 0; i < m->line.n_params; i++) {
		span_move(&m->line.params[i].key, from, n, to);
		span_move(&m->line.params[i].value, from, n, to);
	}
}

/* Takes one message off the input. 1: taken, 0: more octets are needed, -1: the peer is broken. */
static int conn_take_message(struct conn *c)
{
	struct span in = buf_span(&c->in), line;
	const char *lf = memchr(in.p, '\n', in.n < CHANNEL_LINE_MAX ? in.n : CHANNEL_LINE_MAX);
	struct conn_message m = {.fd = -1};
	const struct channel_param *body;
	struct arena *a;
	uint64_t size = 0;
	int r = -1;

	if (lf == NULL)
		return in.n >= CHANNEL_LINE_MAX ? -1 : 0;
	line = span_from(in.p, (size_t)(lf - in.p));
	if (!c->greeted) {
		c->greeted = true;
		r = c->on_hello(c, line);
		if (r == 0 && !c->dead)
			buf_consume(&c->in, line.n + 1);
		return r < 0 ? -1 : 1;
	}
	a = c->take_arena(c);
	if (channel_line_parse(line, a, &m.line) < 0)
		goto out;
	body = channel_param_find(m.line.params, m.line.n_params, "body");
	if (body != NULL && (!num_u64(body->value, &size) || size > CHANNEL_INLINE_MAX))
		goto out;
	if (in.n - line.n - 1 < size) {
		c->put_arena(c, a);
		return 0;
	}
	m.body = span_from(lf + 1, (size_t)size);
	if (c->copy_messages)
		message_copy(&m, a, in.p, line.n + 1 + (size_t)size);
	if (message_take_fds(c, &m) < 0)
		goto out;
	if (c->on_message(c, a, &m) < 0)
		return -1; /* it has taken arena and message */
	if (!c->dead)
		buf_consume(&c->in, line.n + 1 + (size_t)size);
	return 1;
out:
	conn_message_release(&m);
	c->put_arena(c, a);
	return r;
}

static void conn_process(struct conn *c)
{
	int r = 1;

	while (!c->dead && !c->reading_paused && c->in.len > 0 && (r = conn_take_message(c)) > 0)
		;
	if (r < 0 && !c->dead) {
		metric_add(METRIC_CHANNEL_BAD_PEERS, 1);
		conn_fail(c, "protocol error");
	}
	if (!c->dead && c->in.len == 0) {
		if (c->n_fds > 0)
			conn_fail(c, "surplus descriptor");
		else if (c->in.cap > 4 * CONN_READ_SIZE)
			buf_clear(&c->in);
	}
}

static void conn_read(struct conn *c)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int) * CONN_FDS_QUEUED)];
	} control;
	struct iovec iov;
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};
	ssize_t n;

	iov.iov_base = buf_reserve(&c->in, CONN_READ_SIZE);
	iov.iov_len = CONN_READ_SIZE;
	do
		n = recvmsg(c->fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		conn_fail(c, n == 0 ? "peer closed" : "peer gone");
		return;
	}
	buf_added(&c->in, (size_t)n);
	if (conn_take_fds(c, &msg) < 0) {
		metric_add(METRIC_CHANNEL_BAD_PEERS, 1);
		conn_fail(c, "descriptors cut short");
		return;
	}
	conn_process(c);
}

static void conn_on_read(evutil_socket_t fd, short what, void *ctx)
{
	struct conn *c = ctx;

	(void)fd;
	c->on_enter(c);
	if ((what & EV_READ) != 0)
		conn_read(c);
	else /* resumed after a pause */
		conn_process(c);
	c->on_leave(c);
}
