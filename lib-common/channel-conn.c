#include "lib-common/channel-conn.h"
#include "lib-common/mem.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define BLOCK_SIZE 32768
#define BLOCK_MIN_READ 4096 /* less room than this is not worth a recvmsg */
#define POOL_MAX 8
#define OUT_KEEP_MAX (256u << 10) /* larger output buffers do not go to the pool */
#define READS_PER_TURN 4	  /* then the loop's other events have their turn */

/* ---- blocks of input, and pools of the thread ---- */

struct channel_block {
	unsigned refs;
	bool secret;
	size_t size, used;
	char data[];
};

static __thread struct {
	struct channel_block *blocks[POOL_MAX];
	struct buf outs[POOL_MAX];
	unsigned n_blocks, n_outs;
} pool;

static struct channel_block *block_new(size_t size)
{
	struct channel_block *b;

	if (size <= BLOCK_SIZE && pool.n_blocks > 0) {
		b = pool.blocks[--pool.n_blocks];
	} else {
		size = size < BLOCK_SIZE ? BLOCK_SIZE : size;
		b = mem_realloc_array(NULL, 1, sizeof(*b) + size);
		b->size = size;
	}
	b->refs = 1;
	b->secret = false;
	b->used = 0;
	return b;
}

void channel_block_ref(struct channel_block *b)
{
	if (b != NULL)
		b->refs++;
}

void channel_block_unref(struct channel_block *b)
{
	if (b == NULL || --b->refs > 0)
		return;
	if (b->secret)
		mem_wipe(b->data, b->used);
	if (b->size == BLOCK_SIZE && pool.n_blocks < POOL_MAX)
		pool.blocks[pool.n_blocks++] = b;
	else
		mem_free(b);
}

void channel_block_mark_secret(struct channel_block *b)
{
	if (b != NULL)
		b->secret = true;
}

static void out_take(struct conn *c)
{
	if (c->out.data == NULL && pool.n_outs > 0)
		c->out = pool.outs[--pool.n_outs];
}

static void out_give_back(struct conn *c)
{
	buf_empty(&c->out);
	if (c->out.data != NULL && c->out.cap <= OUT_KEEP_MAX && pool.n_outs < POOL_MAX) {
		pool.outs[pool.n_outs++] = c->out;
		buf_init(&c->out);
	} else {
		buf_clear(&c->out);
	}
}

void channel_release_memory(void)
{
	while (pool.n_blocks > 0)
		mem_free(pool.blocks[--pool.n_blocks]);
	while (pool.n_outs > 0)
		buf_clear(&pool.outs[--pool.n_outs]);
}

/* ---- life ---- */

static void conn_on_read(evutil_socket_t fd, short what, void *arg);
static void conn_on_write(evutil_socket_t fd, short what, void *arg);
static void conn_on_later(evutil_socket_t fd, short what, void *arg);

void conn_init(struct conn *c, struct event_base *base, const struct conn_ops *ops)
{
	*c = (struct conn){.ops = ops, .base = base, .fd = -1, .refs = 1};
}

void conn_ref(struct conn *c)
{
	c->refs++;
}

void conn_unref(struct conn *c)
{
	assert(c->refs > 0);
	if (--c->refs == 0)
		c->ops->destroy(c);
}

void conn_start(struct conn *c, int fd, bool takes_fds, unsigned handshake_ms)
{
	const struct timeval tv = {handshake_ms / 1000, handshake_ms % 1000 * 1000};

	assert(c->fd < 0);
	c->fd = fd;
	c->takes_fds = takes_fds;
	c->handshake_ms = handshake_ms;
	c->open = c->paused = c->scheduled = false;
	c->broken = NULL;
	c->since_ms = c->received_ms = clock_boot_ms();
	c->in_offset = c->out_offset = 0;
	c->pos = c->scanned = c->frame_need = 0;
	(void)event_assign(&c->ev_read, c->base, fd, EV_READ | EV_PERSIST, conn_on_read, c);
	(void)event_assign(&c->ev_write, c->base, fd, EV_WRITE, conn_on_write, c);
	(void)event_assign(&c->ev_later, c->base, -1, 0, conn_on_later, c);
	(void)event_add(&c->ev_read, handshake_ms == 0 ? NULL : &tv);
}

void conn_opened(struct conn *c)
{
	c->open = true;
	(void)event_remove_timer(&c->ev_read);
}

void conn_close(struct conn *c)
{
	if (c->fd < 0)
		return;
	(void)event_del(&c->ev_read);
	(void)event_del(&c->ev_write);
	(void)event_del(&c->ev_later);
	(void)close(c->fd);
	c->fd = -1;
	c->open = c->scheduled = false;
	for (unsigned i = 0; i < c->n_in_fds; i++)
		(void)close(c->in_fds[i].fd);
	c->n_in_fds = 0;
	for (unsigned i = 0; i < c->n_marks; i++) {
		const struct conn_mark *m = &c->marks[c->first_mark + i];

		for (unsigned k = 0; k < m->n; k++)
			(void)close(m->fds[k]);
	}
	mem_free(c->marks);
	c->marks = NULL;
	c->n_marks = c->first_mark = c->marks_size = 0;
	out_give_back(c);
	channel_block_unref(c->block);
	c->block = NULL;
}

void conn_lose(struct conn *c, const char *why)
{
	if (c->fd < 0)
		return;
	conn_close(c);
	c->ops->lost(c, why);
}

void conn_schedule(struct conn *c)
{
	if (c->scheduled || c->fd < 0)
		return;
	c->scheduled = true;
	/* It runs in this turn of the loop, behind all that is active already: whatever they answer
	 * is sent in one go. */
	event_active(&c->ev_later, EV_TIMEOUT, 1);
}

void conn_break(struct conn *c, const char *why)
{
	if (c->fd < 0 || c->broken != NULL)
		return;
	c->broken = why;
	conn_schedule(c);
}

size_t conn_pending(const struct conn *c)
{
	return c->out.len;
}

/* ---- input ---- */

/* Makes room to read into: a block whose free part holds what is missing of the frame under way. */
static struct channel_block *conn_room(struct conn *c)
{
	struct channel_block *b = c->block, *new_block;
	size_t rest = b == NULL ? 0 : b->used - c->pos;
	size_t want = c->frame_need > rest ? c->frame_need - rest : BLOCK_MIN_READ;

	if (b != NULL && b->refs == 1 && rest == 0)
		b->used = c->pos = 0;
	if (b != NULL && b->size - b->used >= want)
		return b;
	if (b != NULL && b->refs == 1 && b->size - rest >= want) {
		memmove(b->data, b->data + c->pos, rest);
		b->used = rest;
		c->pos = 0;
		return b;
	}
	new_block = block_new(rest + want);
	if (b != NULL) {
		memcpy(new_block->data, b->data + c->pos, rest);
		new_block->used = rest;
		new_block->secret = b->secret;
		channel_block_unref(b);
	}
	c->block = new_block;
	c->pos = 0;
	return new_block;
}

void conn_trim(struct conn *c)
{
	if (c->block == NULL || c->block->refs > 1 || c->pos < c->block->used)
		return;
	channel_block_unref(c->block);
	c->block = NULL;
}

/* Takes the descriptors of a message; they stand at octets from..to of the stream. */
static const char *conn_take_fds(struct conn *c, struct msghdr *msg, uint64_t from, uint64_t to)
{
	const char *why = (msg->msg_flags & MSG_CTRUNC) != 0 ? "too many descriptors" : NULL;

	for (struct cmsghdr *h = CMSG_FIRSTHDR(msg); h != NULL; h = CMSG_NXTHDR(msg, h)) {
		size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof(int));
			if (!c->takes_fds || c->n_in_fds == array_count(c->in_fds)) {
				(void)close(fd);
				why = c->takes_fds ? "too many descriptors"
						   : "a descriptor that the role does not allow";
				continue;
			}
			c->in_fds[c->n_in_fds++] = (struct conn_fd){fd, from, to};
		}
	}
	return why;
}

/* > 0: octets read, 0: end of the stream, -1 with errno, -2 with *why_r: the peer's fault. */
static ssize_t conn_receive(struct conn *c, struct channel_block *b, const char **why_r)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(CHANNEL_FDS_MAX * sizeof(int))];
	} control;
	struct iovec iov = {b->data + b->used, b->size - b->used};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};
	/* Not O_NONBLOCK: that would be a property of the socket for everyone who shares it. */
	ssize_t n = recvmsg(c->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	uint64_t from = c->in_offset + (b->used - c->pos);

	if (n <= 0)
		return n;
	b->used += (size_t)n;
	if (msg.msg_controllen > 0 || (msg.msg_flags & MSG_CTRUNC) != 0) {
		*why_r = conn_take_fds(c, &msg, from, from + (uint64_t)n);
		if (*why_r != NULL)
			return -2;
	}
	return n;
}

/* The descriptor of the line at in_offset: it must have come with the line's first octet. */
static int conn_claim_fd(struct conn *c)
{
	struct conn_fd first = c->in_fds[0];

	if (c->n_in_fds == 0 || c->in_offset < first.from || c->in_offset >= first.to)
		return -1;
	c->n_in_fds--;
	memmove(c->in_fds, c->in_fds + 1, c->n_in_fds * sizeof(c->in_fds[0]));
	return first.fd;
}

static bool conn_has_surplus_fd(const struct conn *c)
{
	return c->n_in_fds > 0 && c->in_fds[0].to <= c->in_offset;
}

/* Gives a parsed line its body and its descriptor. */
static const char *conn_attach(struct conn *c, struct channel_line *line, const char *after)
{
	const char *why;
	int fd;

	if (line->has_body)
		line->body = span_from(after, (size_t)line->body_len);
	if (line->has_bodyfd) {
		if ((fd = conn_claim_fd(c)) < 0)
			return "a missing descriptor";
		why = channel_body_map(fd, line->body_len, &line->map);
		(void)close(fd);
		if (why != NULL)
			return why;
		line->body = span_from(line->map == NULL ? "" : line->map, (size_t)line->body_len);
	}
	if (line->has_fd && (line->fd = conn_claim_fd(c)) < 0)
		return "a missing descriptor";
	return NULL;
}

static void conn_advance(struct conn *c, size_t n)
{
	c->pos += n;
	c->in_offset += n;
	c->scanned = c->frame_need = 0;
}

static const char *conn_frame(struct conn *c, struct span text)
{
	struct channel_block *b = c->block;
	size_t rest = b->used - c->pos, need;
	struct channel_line line;
	const char *why;

	if ((why = channel_line_parse(text, &line)) != NULL)
		return why;
	need = text.n + 1 + (line.has_body ? (size_t)line.body_len : 0);
	if (need > rest) {
		c->frame_need = need;
		return NULL;
	}
	why = conn_attach(c, &line, text.p + text.n + 1);
	if (why == NULL && !channel_line_finish(&line))
		why = "a stray escape octet";
	conn_advance(c, need);
	if (why == NULL && conn_has_surplus_fd(c))
		why = "a surplus descriptor";
	if (why == NULL)
		why = c->ops->frame(c, &line);
	if (line.map != NULL)
		channel_body_unmap(line.map, line.body.n);
	if (line.fd >= 0)
		(void)close(line.fd);
	return why;
}

/* One line if it is there: true when it may go on. */
static bool conn_step(struct conn *c, const char **why_r)
{
	struct channel_block *b = c->block;
	size_t rest = b->used - c->pos;
	const char *text = b->data + c->pos, *lf;
	struct span line;

	if (rest <= c->scanned || rest < c->frame_need)
		return false;
	lf = memchr(text + c->scanned, '\n', rest - c->scanned);
	if (lf == NULL) {
		c->scanned = rest;
		if (rest >= CHANNEL_LINE_MAX)
			*why_r = "a line that is too long";
		return false;
	}
	line = span_from(text, (size_t)(lf - text));
	if (line.n >= CHANNEL_LINE_MAX) {
		*why_r = "a line that is too long";
		return false;
	}
	if (c->open) {
		*why_r = conn_frame(c, line);
		if (*why_r == NULL && c->frame_need > 0)
			return false;
	} else {
		conn_advance(c, line.n + 1);
		*why_r = c->ops->handshake(c, line);
	}
	return *why_r == NULL;
}

/* Parses what is there, as far as the owner takes it. False: the connection is closed. */
static bool conn_process(struct conn *c)
{
	struct channel_block *b = c->block;
	const char *why = NULL;

	if (b == NULL)
		return true;
	channel_block_ref(b); /* a handler may close the connection */
	/* A handler may also have closed it and begun a new one on another block. */
	while (c->fd >= 0 && c->block == b && c->broken == NULL) {
		if (!c->ops->may_read(c)) {
			c->paused = true;
			(void)event_del(&c->ev_read);
			break;
		}
		if (!conn_step(c, &why))
			break;
	}
	if (why == NULL && c->fd >= 0 && c->block == b && conn_has_surplus_fd(c))
		why = "a surplus descriptor";
	if (why != NULL && c->fd >= 0 && c->block == b)
		conn_lose(c, why);
	channel_block_unref(b);
	conn_trim(c);
	return c->fd >= 0;
}

static void conn_flush(struct conn *c);

static void conn_read(struct conn *c)
{
	c->received_ms = clock_boot_ms();
	for (int i = 0; i < READS_PER_TURN && !c->paused; i++) {
		struct channel_block *b = conn_room(c);
		size_t room = b->size - b->used;
		const char *why = NULL;
		ssize_t n = conn_receive(c, b, &why);

		if (n == -2) {
			conn_lose(c, why);
			return;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			(void)conn_process(c); /* only gives the block back */
			return;
		}
		if (n <= 0) {
			/* A peer may have closed its sending half alone (socat does). */
			conn_flush(c);
			conn_lose(c, NULL);
			return;
		}
		if (!conn_process(c) || (size_t)n < room)
			return;
	}
}

static void conn_on_read(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	conn_ref(c);
	/* One octet now and then must not keep an unknown peer here for ever. */
	if (!c->open && c->handshake_ms != 0 &&
		((what & EV_TIMEOUT) != 0 || clock_boot_ms() - c->since_ms > c->handshake_ms))
		conn_lose(c, "no handshake in time");
	else
		conn_read(c);
	conn_unref(c);
}

void conn_resume(struct conn *c)
{
	if (c->fd < 0 || !c->paused || !c->ops->may_read(c))
		return;
	c->paused = false;
	(void)event_add(&c->ev_read, NULL);
	conn_schedule(c); /* for lines that were read already */
}

/* ---- output ---- */

static void conn_mark_add(struct conn *c, int body_fd, int fd)
{
	struct conn_mark *m;

	if (body_fd < 0 && fd < 0)
		return;
	if (c->first_mark + c->n_marks == c->marks_size) {
		if (c->first_mark > c->marks_size / 2) {
			memmove(c->marks, c->marks + c->first_mark, c->n_marks * sizeof(*m));
		} else {
			c->marks_size = c->marks_size == 0 ? 4 : c->marks_size * 2;
			c->marks = mem_realloc_array(c->marks, c->marks_size, sizeof(*m));
			memmove(c->marks, c->marks + c->first_mark, c->n_marks * sizeof(*m));
		}
		c->first_mark = 0;
	}
	m = &c->marks[c->first_mark + c->n_marks++];
	*m = (struct conn_mark){.at = c->out_offset + c->out.len};
	if (body_fd >= 0)
		m->fds[m->n++] = body_fd;
	if (fd >= 0)
		m->fds[m->n++] = fd;
}

bool conn_send(struct conn *c, const struct conn_msg *msg)
{
	size_t before;

	assert(msg->body_fd >= 0 || msg->body.n <= CHANNEL_INLINE_MAX);
	/* 64: the longest announcement of a body and a descriptor, and the LF. */
	if (msg->head.n + msg->params.n + 64 > CHANNEL_LINE_MAX)
		return false;
	out_take(c);
	before = c->out.len;
	conn_mark_add(c, msg->body_fd, msg->fd);
	(void)buf_reserve(&c->out, msg->head.n + msg->params.n + msg->body.n + 64);
	buf_add_span(&c->out, msg->head);
	buf_add_span(&c->out, msg->params);
	if (msg->body_fd >= 0)
		channel_put_uint(&c->out, "bodyfd", msg->body_len);
	else if (msg->body.n > 0)
		channel_put_uint(&c->out, "body", msg->body.n);
	if (msg->fd >= 0)
		buf_add(&c->out, "\tfd=1", 5);
	buf_add_c(&c->out, '\n');
	if (msg->body_fd < 0)
		buf_add_span(&c->out, msg->body);
	assert(c->out.len > before);
	conn_schedule(c);
	return true;
}

void conn_send_raw(struct conn *c, struct span text)
{
	out_take(c);
	buf_add_span(&c->out, text);
	conn_schedule(c);
}

/* One sendmsg: up to the next line with descriptors, or such a line with them. The descriptors go
 * with the first octet that the kernel takes, so they are done with whatever part it took. */
static ssize_t conn_transmit(struct conn *c)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(CHANNEL_FDS_MAX * sizeof(int))];
	} control = {0};
	struct conn_mark *m = c->n_marks == 0 ? NULL : &c->marks[c->first_mark];
	bool with_fds = m != NULL && m->at == c->out_offset;
	const struct conn_mark *next = !with_fds ? m : c->n_marks > 1 ? m + 1 : NULL;
	struct iovec iov = {c->out.data, c->out.len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (next != NULL)
		iov.iov_len = (size_t)(next->at - c->out_offset);
	if (with_fds) {
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(m->n * sizeof(int));
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(m->n * sizeof(int));
		memcpy(CMSG_DATA(&control.align), m->fds, m->n * sizeof(int));
	}
	n = sendmsg(c->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n <= 0)
		return n;
	if (with_fds) {
		for (unsigned i = 0; i < m->n; i++)
			(void)close(m->fds[i]);
		c->n_marks--;
		c->first_mark = c->n_marks == 0 ? 0 : c->first_mark + 1;
	}
	c->out_offset += (uint64_t)n;
	buf_consume(&c->out, (size_t)n);
	return n;
}

/* Sends what it can. An error other than "full" is left to the reading side, which also sees what
 * the peer said last, unless reading is paused. */
static void conn_flush(struct conn *c)
{
	const struct timeval soon = {0, 10000};
	ssize_t n = 1;

	while (c->out.len > 0 && (n > 0 || errno == EINTR))
		n = conn_transmit(c);
	if (c->out.len == 0) {
		if (c->out.data != NULL)
			out_give_back(c);
	} else if (errno == EAGAIN || errno == EWOULDBLOCK) {
		(void)event_add(&c->ev_write, NULL);
	} else if (errno == ETOOMANYREFS || errno == ENOBUFS || errno == ENOMEM) {
		/* Too many descriptors under way to slow readers, or no memory: the socket is
		 * writable, so there is no event to wait for. */
		(void)event_add(&c->ev_later, &soon);
	} else {
		conn_break(c, "");
		return;
	}
	conn_resume(c);
}

static void conn_on_write(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	(void)what;
	conn_ref(c);
	conn_flush(c);
	conn_unref(c);
}

static void conn_on_later(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	(void)what;
	conn_ref(c);
	c->scheduled = false;
	if (c->broken != NULL) {
		conn_lose(c, c->broken[0] == '\0' ? NULL : c->broken);
	} else if (c->paused || c->block == NULL || conn_process(c)) {
		if (c->out.len > 0)
			conn_flush(c);
	}
	conn_unref(c);
}
