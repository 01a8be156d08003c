/* /readyz: can mail be served? Each service answers for itself and for the store behind it. */
#include "services/api/api.h"

#include "lib-common/mem.h"

#define READY_TIMEOUT_MS 5000
#define READY_PARTS 3

struct ready;

struct ready_part {
	struct ready *ready;
	const char *name;
	enum err_code code;
};

struct ready {
	struct evhttp_request *req; /* NULL: the HTTP client is gone */
	unsigned open;
	struct ready_part parts[READY_PARTS];
};

static void ready_on_http_gone(struct evhttp_connection *connection, void *ctx)
{
	struct ready *r = ctx;

	(void)connection;
	r->req = NULL;
}

static void ready_done(struct ready *r)
{
	bool ok = true;
	struct buf b;

	buf_init(&b);
	for (size_t i = 0; i < READY_PARTS; i++) {
		ok = ok && r->parts[i].code == ERR_NONE;
		buf_printf(&b, "%s %s\n", r->parts[i].name,
			r->parts[i].code == ERR_NONE ? "ok" : err_code_name(r->parts[i].code));
	}
	if (r->req != NULL) {
		evhttp_connection_set_closecb(evhttp_request_get_connection(r->req), NULL, NULL);
		api_http_reply(r->req, ok ? 200 : 503, "text/plain; charset=utf-8", buf_span(&b));
	}
	buf_clear(&b);
	mem_free(r);
}

static void ready_answered(struct result *result, void *ctx)
{
	struct ready_part *part = ctx;

	part->code = result->code;
	if (--part->ready->open == 0)
		ready_done(part->ready);
}

static void ready_ask(struct ready *r, size_t i, const char *name, struct client *client)
{
	r->parts[i].ready = r;
	r->parts[i].name = name;
	(void)call_send(call_new(client, "PING"), READY_TIMEOUT_MS, ready_answered, &r->parts[i]);
}

void api_ready_handle(struct api_service *api, struct evhttp_request *req)
{
	struct ready *r = mem_alloc(sizeof(*r));

	r->req = req;
	r->open = READY_PARTS;
	evhttp_connection_set_closecb(evhttp_request_get_connection(req), ready_on_http_gone, r);
	ready_ask(r, 0, "auth", api->auth);
	ready_ask(r, 1, "indexer", api->indexer);
	ready_ask(r, 2, "s3-uploader", api->objects);
}
