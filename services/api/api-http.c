#include "services/api/api.h"

#include <event2/buffer.h>
#include <string.h>
#include <unistd.h>

#define HTTP_HEADERS_MAX 16384
#define HTTP_BODY_MAX 65536

void api_http_reply(struct evhttp_request *req, int status, const char *type, struct span text)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(req);
	struct evbuffer *out = evhttp_request_get_output_buffer(req);

	(void)evhttp_add_header(headers, "Content-Type", type);
	(void)evhttp_add_header(headers, "Cache-Control", "no-store");
	(void)evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
	(void)evbuffer_add(out, text.p, text.n);
	evhttp_send_reply(req, status, status == 200 ? "OK" : "Error", NULL);
}

static void http_problem(struct evhttp_request *req, int status, const char *title)
{
	struct buf b;

	buf_init(&b);
	buf_printf(
		&b, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d}\n", title, status);
	api_http_reply(req, status, "application/problem+json", buf_span(&b));
	buf_clear(&b);
}

static void http_health(struct api_service *api, struct evhttp_request *req)
{
	(void)api;
	api_http_reply(req, 200, "text/plain; charset=utf-8", SPAN("alive\n"));
}

static const struct {
	const char *path;
	void (*handle)(struct api_service *api, struct evhttp_request *req);
} routes[] = {
	{"/healthz", http_health},
	{"/readyz", api_ready_handle},
	{"/metrics", api_metrics_handle},
};

static void http_on_request(struct evhttp_request *req, void *ctx)
{
	struct api_service *api = ctx;
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req);
	const char *path = uri == NULL ? NULL : evhttp_uri_get_path(uri);

	for (size_t i = 0; path != NULL && i < sizeof(routes) / sizeof(routes[0]); i++) {
		if (strcmp(path, routes[i].path) == 0) {
			routes[i].handle(api, req);
			return;
		}
	}
	http_problem(req, 404, "Not found");
}

void api_http_start(struct api_service *api)
{
	api->http = evhttp_new(service_base(api->svc));
	if (api->http == NULL)
		log_fatal("http-unavailable", NULL);
	evhttp_set_max_headers_size(api->http, HTTP_HEADERS_MAX);
	evhttp_set_max_body_size(api->http, HTTP_BODY_MAX);
	evhttp_set_timeout(api->http, (int)(api->settings->idle_timeout_ms / 1000));
	evhttp_set_allowed_methods(api->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
	evhttp_set_gencb(api->http, http_on_request, api);
}

void api_http_listen(struct api_service *api, int fd)
{
	if (evhttp_accept_socket(api->http, fd) < 0)
		log_error("http-listen-failed", NULL);
}
