/* Role objects/get: GET. */
#include <string.h>
#include "lib-common/log.h"
#include "lib-common/mem.h"
#include "services/s3-uploader/s3-uploader.h"

#define GET_LINES_MAX 1000
#define GET_OCTETS_MAX (8u << 20)

enum get_status { GET_OK, GET_TEMP, GET_NOTFOUND, GET_CORRUPT };

struct get {
	struct pool_job job;
	struct request *req;
	uint64_t began_us;
	size_t n;
	struct object_want *wants;
};

static void get_free(struct get *g)
{
	for (size_t i = 0; i < g->n; i++)
		buf_clear(&g->wants[i].data);
	mem_wipe(g->wants, g->n * sizeof(*g->wants));
	mem_free(g->wants);
	mem_free(g);
}

/* locator SP from SP count */
static bool want_parse(struct span line, struct object_want *w)
{
	struct span locator, from;

	return span_cut(&line, ' ', &locator) && span_cut(&line, ' ', &from) &&
	       locator_parse(locator, &w->locator) && num_u64(from, &w->from) &&
	       num_u64(line, &w->count);
}

static uint64_t want_octets(const struct object_want *w)
{
	uint64_t left = w->locator.size > w->from ? w->locator.size - w->from : 0;

	return w->count == 0 || w->count > left ? left : w->count;
}

static int get_parse(struct get *g, struct span body, struct err *e)
{
	uint64_t octets = 0;
	struct span line;

	g->wants = mem_alloc_array(GET_LINES_MAX, sizeof(*g->wants));
	while (span_cut(&body, '\n', &line)) {
		if (line.n == 0 && body.p == NULL)
			break;
		if (g->n == GET_LINES_MAX)
			return err_set(
				e, ERR_LIMIT, "more than %d bodies asked for", GET_LINES_MAX);
		if (!want_parse(line, &g->wants[g->n]))
			return err_set(
				e, ERR_PROTO, "line %zu is not locator, from and count", g->n + 1);
		octets += want_octets(&g->wants[g->n++]);
		if (octets > GET_OCTETS_MAX)
			return err_set(
				e, ERR_LIMIT, "more than %u octets asked for", GET_OCTETS_MAX);
	}
	return 0;
}

/* On a reader's thread. */
static void get_run(struct object_reader *r, struct pool_job *job)
{
	struct get *g = job->ctx;

	object_read(r, g->wants, g->n);
}

static void get_handle(struct request *req)
{
	struct get *g = mem_alloc(sizeof(*g));
	struct err e;

	g->req = req;
	g->began_us = clock_boot_us();
	g->job = (struct pool_job){.run = get_run, .ctx = g};
	if (get_parse(g, request_body(req), &e) < 0) {
		get_free(g);
		reply_fail(req, &e);
		return;
	}
	object_pool_submit(request_uploader(req)->readers, &g->job);
}

static enum get_status want_status(const struct object_want *w)
{
	switch (w->err.code) {
	case ERR_NONE:
		return GET_OK;
	case ERR_NOTFOUND:
		return GET_NOTFOUND;
	case ERR_PERM:
		return GET_CORRUPT;
	default:
		return GET_TEMP;
	}
}

static void want_log(const struct get *g, const struct object_want *w)
{
	metric_add(METRIC_GET_FAILED, 1);
	log_trace(request_trace(g->req));
	log_warning("get-failed", "pack", LOG_STR(w->locator.pack), "offset",
		LOG_UINT(w->locator.offset), "error", LOG_ERR(&w->err), NULL);
	log_trace(NULL);
}

static void get_done(struct get *g)
{
	struct buf *body = reply_body(g->req);
	uint64_t octets = 0;

	for (size_t i = 0; i < g->n; i++) {
		const struct object_want *w = &g->wants[i];
		enum get_status status = want_status(w);

		if (status != GET_OK)
			want_log(g, w);
		buf_add_u8(body, (uint8_t)status);
		buf_add_u64(body, status == GET_OK ? w->data.len : 0);
		if (status == GET_OK)
			buf_add_span(body, buf_span(&w->data));
		octets += w->data.len;
	}
	metric_add(METRIC_GET_BODIES, g->n);
	metric_add(METRIC_GET_OCTETS, octets);
	metric_observe_us(METRIC_GET_TIME, clock_boot_us() - g->began_us);
	reply_ok(g->req);
	get_free(g);
}

void get_jobs_done(struct uploader *u)
{
	struct pool_job *job = object_pool_take(u->readers), *next;

	for (; job != NULL; job = next) {
		next = job->next;
		get_done(job->ctx);
	}
}

static const struct command_def get_commands[] = {
	{"GET", no_args, COMMAND_BODY_REQUIRED, COMMAND_FD_NONE, get_handle,
		"Bodies or ranges of them. Body: lines `locator from count` (locator = "
		"pack,offset,length,key,keyid,size, a secret; count 0: to the end), at most 1000 "
		"and 8 "
		"MiB in all. Answer's body: for each u8 status (0 ok, 1 temporary, 2 not found, 3 "
		"damaged), u64 length, octets."},
	{"PING", no_args, COMMAND_BODY_NONE, COMMAND_FD_NONE, ping_handle, "Answers."},
	{.verb = NULL},
};

/* Few in flight: each may hold 8 MiB in memory until its peer has read them. */
const struct role_def objects_get_role = {
	.name = "objects/get",
	.commands = get_commands,
	.max_in_flight = 8,
	.doc = "Read bodies whose locator is known.",
};
