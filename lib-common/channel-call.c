#include "lib-common/channel-call.h"
#include "lib-common/mem.h"

#include <assert.h>
#include <fcntl.h>
#include <unistd.h>

#define CALL_POOL_MAX 64
#define CALL_KEEP_MAX 16384
#define NOT_IN_HEAP SIZE_MAX

static __thread struct {
	struct call *first;
	unsigned n;
} call_pool;

/* ---- lists, table, heap ---- */

void call_list_add(struct call_list *list, struct call *call)
{
	call->next = NULL;
	call->prev = list->last;
	if (list->last == NULL)
		list->first = call;
	else
		list->last->next = call;
	list->last = call;
	list->n++;
}

void call_list_remove(struct call_list *list, struct call *call)
{
	if (call->prev == NULL)
		list->first = call->next;
	else
		call->prev->next = call->next;
	if (call->next == NULL)
		list->last = call->prev;
	else
		call->next->prev = call->prev;
	call->next = call->prev = NULL;
	list->n--;
}

static void table_grow(struct client *c)
{
	size_t size = c->table_size == 0 ? 16 : c->table_size * 2;
	struct call **table = mem_alloc_array(size, sizeof(struct call *));

	for (size_t i = 0; i < c->table_size; i++) {
		for (struct call *call = c->table[i], *next; call != NULL; call = next) {
			next = call->next;
			call->next = table[call->tag & (size - 1)];
			table[call->tag & (size - 1)] = call;
		}
	}
	mem_free(c->table);
	c->table = table;
	c->table_size = size;
}

void client_table_add(struct client *c, struct call *call)
{
	struct call **slot;

	if (c->n_sent + c->n_late >= c->table_size)
		table_grow(c);
	slot = &c->table[call->tag & (c->table_size - 1)];
	call->next = *slot;
	*slot = call;
	c->n_sent++;
}

struct call *client_table_take(struct client *c, uint64_t tag)
{
	struct call **at = c->table_size == 0 ? NULL : &c->table[tag & (c->table_size - 1)];
	struct call *call;

	while (at != NULL && *at != NULL && (*at)->tag != tag)
		at = &(*at)->next;
	if (at == NULL || *at == NULL)
		return NULL;
	call = *at;
	*at = call->next;
	call->next = call->prev = NULL;
	if (call->state == CALL_LATE)
		c->n_late--;
	else
		c->n_sent--;
	return call;
}

static void heap_set(struct client *c, size_t i, struct call *call)
{
	c->heap[i] = call;
	call->heap_index = i;
}

static void heap_up(struct client *c, size_t i, struct call *call)
{
	while (i > 0 && c->heap[(i - 1) / 2]->deadline_ms > call->deadline_ms) {
		heap_set(c, i, c->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	heap_set(c, i, call);
}

static void heap_down(struct client *c, size_t i, struct call *call)
{
	size_t child;

	while ((child = 2 * i + 1) < c->heap_n) {
		if (child + 1 < c->heap_n &&
			c->heap[child + 1]->deadline_ms < c->heap[child]->deadline_ms)
			child++;
		if (c->heap[child]->deadline_ms >= call->deadline_ms)
			break;
		heap_set(c, i, c->heap[child]);
		i = child;
	}
	heap_set(c, i, call);
}

void client_heap_add(struct client *c, struct call *call)
{
	if (c->heap_n == c->heap_size) {
		c->heap_size = c->heap_size == 0 ? 16 : c->heap_size * 2;
		c->heap = mem_realloc_array(c->heap, c->heap_size, sizeof(struct call *));
	}
	heap_up(c, c->heap_n++, call);
}

void client_heap_remove(struct client *c, struct call *call)
{
	size_t i = call->heap_index;
	struct call *last;

	if (i == NOT_IN_HEAP)
		return;
	call->heap_index = NOT_IN_HEAP;
	last = c->heap[--c->heap_n];
	if (last == call)
		return;
	if (i > 0 && c->heap[(i - 1) / 2]->deadline_ms > last->deadline_ms)
		heap_up(c, i, last);
	else
		heap_down(c, i, last);
}

/* ---- building ---- */

void call_buf_reset(struct buf *b)
{
	if (b->cap > CALL_KEEP_MAX)
		buf_clear(b);
	else
		buf_empty(b);
}

void call_close_fds(struct call *call)
{
	if (call->fd >= 0)
		(void)close(call->fd);
	if (call->body_fd >= 0)
		(void)close(call->body_fd);
	call->fd = call->body_fd = -1;
}

struct call *call_new(struct client *c, const char *verb)
{
	struct call *call = call_pool.first;

	if (call != NULL) {
		call_pool.first = call->next;
		call_pool.n--;
	} else {
		call = mem_alloc(sizeof(*call));
	}
	call->client = c;
	call->state = CALL_NEW;
	call->tag = ++c->next_tag;
	call->deadline_ms = 0;
	call->heap_index = NOT_IN_HEAP;
	call->next = call->prev = NULL;
	call->body_span = (struct span){NULL, 0};
	call->body_fd = call->fd = -1;
	call->body_len = 0;
	memcpy(call->trace, log_trace_get(), sizeof(call->trace));
	call->cb = NULL;
	call->ctx = NULL;
	call->code = ERR_NONE;
	call->why = NULL;
	buf_add_str(&call->line, verb);
	return call;
}

void call_free(struct call *call)
{
	if (call == NULL)
		return;
	call_close_fds(call);
	if (call_pool.n >= CALL_POOL_MAX) {
		buf_clear(&call->line);
		buf_clear(&call->body);
		mem_free(call);
		return;
	}
	call_buf_reset(&call->line);
	call_buf_reset(&call->body);
	call->next = call_pool.first;
	call_pool.first = call;
	call_pool.n++;
}

void call_str(struct call *call, const char *key, const char *value)
{
	channel_put(&call->line, key, span_of(value));
}

void call_span(struct call *call, const char *key, struct span value)
{
	channel_put(&call->line, key, value);
}

void call_uint(struct call *call, const char *key, uint64_t value)
{
	channel_put_uint(&call->line, key, value);
}

void call_int(struct call *call, const char *key, int64_t value)
{
	channel_put_int(&call->line, key, value);
}

void call_hex(struct call *call, const char *key, const void *data, size_t n)
{
	channel_put_hex(&call->line, key, data, n);
}

void call_trace(struct call *call, const char *trace_id)
{
	struct span s = span_of(trace_id);

	call->trace[0] = '\0';
	if (trace_id_valid(s))
		memcpy(call->trace, s.p, s.n + 1);
}

struct buf *call_body(struct call *call)
{
	return &call->body;
}

void call_body_span(struct call *call, struct span body)
{
	call->body_span = body;
}

void call_fd(struct call *call, int fd, bool close_after)
{
	assert(call->fd < 0);
	call->fd = close_after ? fd : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (call->fd < 0)
		call->why = "no descriptor left";
}

uint64_t call_tag(const struct call *call)
{
	return call->tag;
}
