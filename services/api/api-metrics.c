/*
 * /metrics: master names the processes and hands over each one's region, which is read afresh at
 * every request. What a process writes there is its own claim: it is read with bounds and printed
 * as numbers, nothing else.
 */
#include "services/api/api.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>
#include "lib-common/mem.h"

#define METRICS_TIMEOUT_MS 5000

struct scrape {
	struct api_service *api;
	struct evhttp_request *req; /* NULL: the HTTP client is gone */
	unsigned open;
};

static void scrape_on_http_gone(struct evhttp_connection *connection, void *ctx)
{
	struct scrape *s = ctx;

	(void)connection;
	s->req = NULL;
}

static void print_histogram(const struct metric_def *def, const char *service,
	const uint64_t slots[METRIC_SLOTS], struct buf *out)
{
	const char *comma = def->labels[0] == '\0' ? "" : ",";
	uint64_t sum = 0;

	for (unsigned i = 0; i < METRIC_BUCKETS; i++) {
		sum += slots[i];
		buf_printf(out, "%s_bucket{service=\"%s\"%s%s,le=\"", def->name, service, comma,
			def->labels);
		if (i + 1 == METRIC_BUCKETS)
			buf_add_str(out, "+Inf");
		else
			buf_printf(out, "%g", (double)((uint64_t)64 << i) / 1e6);
		buf_printf(out, "\"} %llu\n", (unsigned long long)sum);
	}
	buf_printf(out, "%s_sum{service=\"%s\"%s%s} %g\n", def->name, service, comma, def->labels,
		(double)slots[METRIC_BUCKETS] / 1e6);
	buf_printf(out, "%s_count{service=\"%s\"%s%s} %llu\n", def->name, service, comma,
		def->labels, (unsigned long long)slots[METRIC_BUCKETS + 1]);
}

static bool slots_are_zero(const uint64_t slots[METRIC_SLOTS])
{
	for (unsigned i = 0; i < METRIC_SLOTS; i++) {
		if (slots[i] != 0)
			return false;
	}
	return true;
}

void api_metrics_print(const struct api_totals *totals, size_t n, struct buf *out)
{
	static const char *const types[] = {[METRIC_COUNTER] = "counter",
		[METRIC_GAUGE] = "gauge",
		[METRIC_HISTOGRAM] = "histogram"};

	for (size_t m = 0; m < METRIC_COUNT; m++) {
		const struct metric_def *def = &metric_defs[m];

		if (m == 0 || strcmp(metric_defs[m - 1].name, def->name) != 0)
			buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", def->name, def->help,
				def->name, types[def->kind]);
		for (size_t i = 0; i < n; i++) {
			const uint64_t *slots = totals[i].slots[m];

			if (slots_are_zero(slots))
				continue;
			if (def->kind == METRIC_HISTOGRAM)
				print_histogram(def, totals[i].service, slots, out);
			else
				buf_printf(out, "%s{service=\"%s\"%s%s} %llu\n", def->name,
					totals[i].service, def->labels[0] == '\0' ? "" : ",",
					def->labels, (unsigned long long)slots[0]);
		}
	}
}

static struct api_totals *totals_for(struct api_totals **totals, size_t *n, const char *service)
{
	for (size_t i = 0; i < *n; i++) {
		if (strcmp((*totals)[i].service, service) == 0)
			return &(*totals)[i];
	}
	*totals = mem_realloc_array(*totals, *n + 1, sizeof(**totals));
	memset(&(*totals)[*n], 0, sizeof(**totals));
	(void)snprintf((*totals)[*n].service, sizeof((*totals)[*n].service), "%s", service);
	return &(*totals)[(*n)++];
}

static void process_add(const struct api_process *p, struct api_totals *t)
{
	uint64_t slots[METRIC_COUNT][METRIC_SLOTS];

	if (p->fd < 0 || pread(p->fd, slots, sizeof(slots), 0) != (ssize_t)sizeof(slots))
		return;
	for (size_t m = 0; m < METRIC_COUNT; m++) {
		for (size_t i = 0; i < METRIC_SLOTS; i++)
			t->slots[m][i] += slots[m][i];
	}
}

static void scrape_done(struct scrape *s)
{
	struct api_totals *totals = NULL;
	size_t n = 0;
	struct buf out;

	if (s->req != NULL) {
		buf_init(&out);
		for (const struct api_process *p = s->api->processes; p != NULL; p = p->next)
			process_add(p, totals_for(&totals, &n, p->service));
		api_metrics_print(totals, n, &out);
		evhttp_connection_set_closecb(evhttp_request_get_connection(s->req), NULL, NULL);
		api_http_reply(
			s->req, 200, "text/plain; version=0.0.4; charset=utf-8", buf_span(&out));
		buf_clear(&out);
	}
	mem_free(totals);
	mem_free(s);
}

static struct api_process *process_find(struct api_service *api, uint64_t pid)
{
	struct api_process *p = api->processes;

	while (p != NULL && p->pid != pid)
		p = p->next;
	return p;
}

static void metrics_fd_answered(struct result *r, void *ctx)
{
	struct scrape *s = ctx;
	struct api_process *p = process_find(s->api, result_uint(r, "pid"));

	if (r->code == ERR_NONE && p != NULL && p->fd < 0) {
		p->fd = r->fd;
		r->fd = -1;
	}
	if (--s->open == 0)
		scrape_done(s);
}

static void processes_forget_unseen(struct api_service *api)
{
	struct api_process **at = &api->processes, *p;

	while ((p = *at) != NULL) {
		if (p->seen) {
			at = &p->next;
			continue;
		}
		*at = p->next;
		if (p->fd >= 0)
			(void)close(p->fd);
		mem_free(p);
	}
}

/* A line of STATUS: service, pid, and more that is of no use here. */
static void scrape_process(struct scrape *s, struct span line)
{
	struct span service = {NULL, 0}, pid = {NULL, 0};
	struct api_process *p;
	struct call *call;
	uint64_t n;

	(void)span_cut(&line, '\t', &service);
	(void)span_cut(&line, '\t', &pid);
	if (!num_u64(pid, &n))
		return;
	p = process_find(s->api, n);
	if (p == NULL) {
		p = mem_alloc(sizeof(*p));
		p->pid = n;
		p->fd = -1;
		(void)snprintf(p->service, sizeof(p->service), "%.*s", (int)service.n, service.p);
		p->next = s->api->processes;
		s->api->processes = p;
	}
	p->seen = true;
	if (p->fd >= 0)
		return;
	call = call_new(s->api->master, "METRICS-FD");
	call_uint(call, "pid", n);
	s->open++;
	(void)call_send(call, METRICS_TIMEOUT_MS, metrics_fd_answered, s);
}

static void status_answered(struct result *r, void *ctx)
{
	struct scrape *s = ctx;
	struct span rest = r->body, line;

	if (r->code == ERR_NONE) {
		for (struct api_process *p = s->api->processes; p != NULL; p = p->next)
			p->seen = false;
		while (span_cut(&rest, '\n', &line)) {
			if (line.n > 0)
				scrape_process(s, line);
		}
		processes_forget_unseen(s->api);
	}
	if (--s->open == 0)
		scrape_done(s);
}

void api_metrics_handle(struct api_service *api, struct evhttp_request *req)
{
	struct scrape *s = mem_alloc(sizeof(*s));

	s->api = api;
	s->req = req;
	s->open = 1;
	evhttp_connection_set_closecb(evhttp_request_get_connection(req), scrape_on_http_gone, s);
	(void)call_send(call_new(api->master, "STATUS"), METRICS_TIMEOUT_MS, status_answered, s);
}
