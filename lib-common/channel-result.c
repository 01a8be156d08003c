#include "lib-common/channel-conn.h"
#include "lib-common/mem.h"

#include <unistd.h>

struct span result_span(const struct result *r, const char *key)
{
	for (size_t i = 0; i < r->n_params; i++) {
		struct span k = r->params[i].key;

		if (strncmp(key, k.p, k.n) == 0 && key[k.n] == '\0')
			return r->params[i].value;
	}
	return span_from("", 0);
}

const char *result_str(const struct result *r, const char *key)
{
	return result_span(r, key).p;
}

uint64_t result_uint(const struct result *r, const char *key)
{
	uint64_t v;

	return num_u64(result_span(r, key), &v) ? v : 0;
}

int64_t result_int(const struct result *r, const char *key)
{
	int64_t v;

	return num_i64(result_span(r, key), &v) ? v : 0;
}

bool result_has(const struct result *r, const char *key)
{
	for (size_t i = 0; i < r->n_params; i++) {
		struct span k = r->params[i].key;

		if (strncmp(key, k.p, k.n) == 0 && key[k.n] == '\0')
			return true;
	}
	return false;
}

void result_err(const struct result *r, struct err *e)
{
	(void)err_set(e, r->code, "peer: %s: %.*s", err_code_name(r->code),
		r->why != NULL ? (int)strlen(r->why) : (int)(r->text.n > 250 ? 250 : r->text.n),
		r->why != NULL ? r->why : r->text.p);
	if (r->text.n > 0)
		(void)err_user(e, "%.*s", (int)(r->text.n > 150 ? 150 : r->text.n), r->text.p);
}

/* A result that outlives its callback: all of it is copied, the descriptor taken. */
struct kept_result {
	struct result result;
	struct arena *arena;
	char *body;
};

struct wait {
	struct kept_result *kept;
};

static struct span wait_copy(struct arena *a, struct span s)
{
	return span_from(arena_dup(a, s.p, s.n), s.n);
}

static void wait_done(struct result *r, void *ctx)
{
	struct wait *w = ctx;
	struct kept_result *kept = mem_alloc(sizeof(*kept));
	struct channel_param *params;

	kept->arena = arena_new();
	kept->result = *r;
	params = arena_alloc(kept->arena, r->n_params * sizeof(*params));
	for (size_t i = 0; i < r->n_params; i++) {
		params[i].key = wait_copy(kept->arena, r->params[i].key);
		params[i].value = wait_copy(kept->arena, r->params[i].value);
	}
	kept->result.params = params;
	kept->result.text = wait_copy(kept->arena, r->text);
	kept->body = mem_dup(r->body.p, r->body.n);
	kept->result.body = span_from(kept->body, r->body.n);
	r->fd = -1;
	w->kept = kept;
}

struct result *call_wait(struct call *call, uint64_t timeout_ms)
{
	static const struct result broken = {.code = ERR_TEMP,
		.text = {"", 0},
		.why = "the event loop ended",
		.body = {"", 0},
		.fd = -1};
	struct client *c = call_client(call);
	struct event_base *base = client_base(c);
	struct wait w = {NULL};

	(void)call_send(call, timeout_ms, wait_done, &w);
	while (w.kept == NULL && event_base_loop(base, EVLOOP_ONCE) == 0)
		;
	if (w.kept == NULL) {
		struct result r = broken;

		client_forget(c, &w);
		wait_done(&r, &w);
	}
	return &w.kept->result;
}

void result_free(struct result *r)
{
	struct kept_result *kept = (struct kept_result *)r;

	if (r == NULL)
		return;
	if (r->fd >= 0)
		(void)close(r->fd);
	arena_free(kept->arena);
	mem_free(kept->body);
	mem_free(kept);
}
