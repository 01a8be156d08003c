/*
 * api: HTTP for machines: /metrics (Prometheus text), /healthz (this process answers) and /readyz
 * (the services that mail needs answer, each with a round trip to its store).
 */
#ifndef API_H
#define API_H

#include <event2/http.h>
#include "lib-common/service.h"
#include "services/api/api-settings.h"

struct api_process { /* one process whose metrics are read */
	struct api_process *next;
	char service[32];
	uint64_t pid;
	int fd; /* its metrics region, read with pread: it may shrink at any time */
	bool seen;
};

struct api_service {
	struct service *svc;
	const struct api_settings *settings;
	struct evhttp *http;
	struct client *master, *auth, *indexer, *objects;
	struct api_process *processes;
};

/* api-http.c */
void api_http_start(struct api_service *api);
void api_http_listen(struct api_service *api, int fd);
void api_http_reply(struct evhttp_request *req, int status, const char *type, struct span text);

/* Each answers the request, later; the connection may be gone by then. */
void api_metrics_handle(struct api_service *api, struct evhttp_request *req);
void api_ready_handle(struct api_service *api, struct evhttp_request *req);

/* Adds up regions of `n` services and prints them: separate for tests. */
struct api_totals {
	char service[32];
	uint64_t slots[METRIC_COUNT][METRIC_SLOTS];
};
void api_metrics_print(const struct api_totals *totals, size_t n, struct buf *out);

#endif
