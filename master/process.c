/* The life of processes: start, readiness, load, demand, their end, and what follows from it. */
#include "master/master.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "lib-common/mem.h"

#define READY_TIMEOUT_MS 30000
#define BACKOFF_MAX_S 60
#define CONTROL_TIMEOUT_MS 10000

static void processes_stop_watching(struct master *m, struct unit *u);

void unit_init(struct master *m, unsigned index)
{
	struct unit *u = &m->units[index];

	u->def = &unit_defs[index];
	u->index = index;
	u->retired_fd = memfd_create("lightmail-metrics", MFD_CLOEXEC);
	if (u->retired_fd < 0 || ftruncate(u->retired_fd, (off_t)METRIC_REGION_BYTES) < 0)
		log_fatal("memory-failed", "error", LOG_STR(strerror(errno)), NULL);
	u->retired = mmap(
		NULL, METRIC_REGION_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, u->retired_fd, 0);
	if (u->retired == MAP_FAILED)
		log_fatal("memory-failed", "error", LOG_STR(strerror(errno)), NULL);
}

static const struct service_settings *unit_knobs(const struct unit *u)
{
	return plan_knobs(master_get()->plan, u->index);
}

/* The parent of session processes counts its children against process_limit by itself. */
static bool unit_is_session_parent(const struct unit *u)
{
	return u->def->session && unit_knobs(u)->client_limit == 1;
}

static uint64_t unit_min(const struct unit *u)
{
	const struct service_settings *knobs = unit_knobs(u);

	if (unit_is_session_parent(u))
		return 1;
	return knobs->process_min < knobs->process_limit ? knobs->process_min
							 : knobs->process_limit;
}

static uint64_t unit_limit(const struct unit *u)
{
	return unit_is_session_parent(u) ? 1 : unit_knobs(u)->process_limit;
}

static uint64_t unit_running(const struct unit *u)
{
	uint64_t n = 0;

	for (const struct process *p = u->processes; p != NULL; p = p->next)
		n += p->state != PROCESS_DRAINING;
	return n;
}

/* ---- sessions, for `who` ---- */

static void session_free(struct session *s)
{
	mem_free(s->id);
	mem_free(s->user);
	mem_free(s->address);
	mem_free(s->protocol);
	mem_free(s);
}

void process_session_drop(struct process *p, const char *id)
{
	for (struct session **at = &p->sessions; *at != NULL; at = &(*at)->next) {
		struct session *s = *at;

		if (id != NULL && strcmp(s->id, id) != 0)
			continue;
		*at = s->next;
		session_free(s);
		return;
	}
}

static char *result_dup(const struct result *r, const char *key)
{
	struct span v = result_span(r, key);

	return mem_dup(v.p, v.n < 256 ? v.n : 256);
}

static void process_session_add(struct process *p, const struct result *r)
{
	struct session *s = mem_alloc(sizeof(*s));

	s->id = result_dup(r, "session");
	s->user = result_dup(r, "user");
	s->address = result_dup(r, "address");
	s->protocol = result_dup(r, "protocol");
	process_session_drop(p, s->id);
	s->next = p->sessions;
	p->sessions = s;
}

/* ---- the control channel ---- */

static void process_on_ready(struct process *p)
{
	struct master *m = master_get();

	if (p->state != PROCESS_STARTING)
		return;
	p->state = PROCESS_READY;
	p->was_ready = true;
	p->deadline_ms = 0;
	p->idle_since_ms = clock_boot_ms();
	p->unit->backoff_s = 0;
	log_info("process-ready", "process", LOG_STR(p->unit->def->name), "child", LOG_INT(p->pid),
		"ms", LOG_UINT(clock_boot_ms() - p->started_ms), NULL);
	unit_check_demand(m, p->unit);
	master_check_ready(m);
}

static void process_on_event(struct client *c, const char *event, const struct result *r, void *ctx)
{
	struct process *p = ctx;
	struct master *m = master_get();

	(void)c;
	if (strcmp(event, "READY") == 0) {
		process_on_ready(p);
	} else if (strcmp(event, "STATUS") == 0) {
		p->clients = result_uint(r, "clients");
		p->served = result_uint(r, "served");
		p->idle_since_ms = clock_boot_ms();
		unit_check_demand(m, p->unit);
	} else if (strcmp(event, "REPLACE") == 0 && p->state != PROCESS_DRAINING) {
		p->state = PROCESS_DRAINING; /* it drains by itself */
		unit_fill(m, p->unit);
	} else if (strcmp(event, "SESSION") == 0) {
		process_session_add(p, r);
	} else if (strcmp(event, "END") == 0) {
		process_session_drop(p, result_str(r, "session"));
	}
}

void process_drain(struct process *p, bool end)
{
	struct call *call;

	p->state = PROCESS_DRAINING;
	call = call_new(p->control, "DRAIN");
	call_uint(call, "end", end);
	(void)call_send(call, CONTROL_TIMEOUT_MS, NULL, NULL);
}

/* ---- start ---- */

static void unit_on_throttle(evutil_socket_t fd, short what, void *ctx)
{
	struct unit *u = ctx;

	(void)fd;
	(void)what;
	unit_fill(master_get(), u);
}

/* Only a service that never gets ready is slowed down: sessions that crash are no lever. */
static void unit_throttle(struct master *m, struct unit *u)
{
	struct timeval tv;

	u->backoff_s = u->backoff_s == 0		  ? 1
		       : u->backoff_s * 2 > BACKOFF_MAX_S ? BACKOFF_MAX_S
							  : u->backoff_s * 2;
	tv = (struct timeval){(time_t)u->backoff_s, 0};
	log_error("service-throttled", "process", LOG_STR(u->def->name), "seconds",
		LOG_UINT(u->backoff_s), NULL);
	if (u->throttle == NULL)
		u->throttle = evtimer_new(m->base, unit_on_throttle, u);
	(void)event_add(u->throttle, &tv);
}

void process_start(struct master *m, struct unit *u)
{
	struct process *p = mem_alloc(sizeof(*p));
	struct client_def def = {.role = "master/control", .on_event = process_on_event, .ctx = p};
	struct err e;
	int control;

	p->unit = u;
	p->metrics_fd = -1;
	if (spawn_process(m, u, p, &control, &e) < 0) {
		log_error("spawn-failed", "process", LOG_STR(u->def->name), "error", LOG_ERR(&e),
			NULL);
		if (p->metrics_fd >= 0)
			(void)close(p->metrics_fd);
		mem_free(p);
		unit_throttle(m, u);
		return;
	}
	p->control = client_new_fd(m->base, &def, control);
	p->state = PROCESS_STARTING;
	p->started_ms = clock_boot_ms();
	p->started = clock_wall_s();
	p->deadline_ms = p->started_ms + READY_TIMEOUT_MS;
	p->next = u->processes;
	u->processes = p;
}

void unit_fill(struct master *m, struct unit *u)
{
	if (m->stopping || (u->throttle != NULL && event_pending(u->throttle, EV_TIMEOUT, NULL)))
		return;
	for (uint64_t n = unit_running(u); n < unit_min(u); n++) {
		process_start(m, u);
		if (u->throttle != NULL && event_pending(u->throttle, EV_TIMEOUT, NULL))
			return;
	}
	unit_check_demand(m, u);
}

/* ---- demand ---- */

static void demand_on_connection(evutil_socket_t fd, short what, void *ctx)
{
	struct unit *u = ctx;
	struct master *m = master_get();

	(void)fd;
	(void)what;
	processes_stop_watching(m, u);
	if (!m->stopping && unit_running(u) < unit_limit(u))
		process_start(m, u);
}

static void processes_stop_watching(struct master *m, struct unit *u)
{
	for (struct binding *b = m->plan->bindings; b != NULL; b = b->next) {
		if (b->event != NULL && strcmp(b->unit, u->def->name) == 0) {
			event_free(b->event);
			b->event = NULL;
		}
	}
	u->demand = false;
}

static void processes_watch(struct master *m, struct unit *u)
{
	for (struct binding *b = m->plan->bindings; b != NULL; b = b->next) {
		if (strcmp(b->unit, u->def->name) != 0 || b->fd < 0)
			continue;
		b->event = event_new(m->base, b->fd, EV_READ, demand_on_connection, u);
		(void)event_add(b->event, NULL);
	}
	u->demand = true;
}

/* While every process is full (or there is none) and there may be more, master itself watches the
 * listeners, without accepting: a connection there is one that nobody takes. */
void unit_check_demand(struct master *m, struct unit *u)
{
	uint64_t limit = unit_knobs(u)->client_limit;
	bool all_full = true;

	for (const struct process *p = u->processes; p != NULL; p = p->next) {
		if (p->state == PROCESS_STARTING ||
			(p->state == PROCESS_READY && p->clients < limit))
			all_full = false;
	}
	if (unit_is_session_parent(u) && unit_running(u) > 0)
		all_full = false;
	if (all_full && !m->stopping && unit_running(u) < unit_limit(u) &&
		!(u->throttle != NULL && event_pending(u->throttle, EV_TIMEOUT, NULL))) {
		if (!u->demand)
			processes_watch(m, u);
	} else if (u->demand) {
		processes_stop_watching(m, u);
	}
}

/* ---- the end of a process ---- */

/* What it has counted stays counted. */
static void process_retire_metrics(const struct process *p)
{
	uint64_t *slots = mem_alloc(METRIC_REGION_BYTES);

	if (p->metrics_fd >= 0 && pread(p->metrics_fd, slots, METRIC_REGION_BYTES, 0) ==
					  (ssize_t)METRIC_REGION_BYTES) {
		for (size_t i = 0; i < METRIC_REGION_BYTES / sizeof(*slots); i++) {
			if (metric_defs[i / METRIC_SLOTS].kind != METRIC_GAUGE)
				p->unit->retired[i] += slots[i];
		}
	}
	mem_free(slots);
}

static void process_free(struct process *p)
{
	while (p->sessions != NULL)
		process_session_drop(p, NULL);
	client_free(p->control);
	if (p->metrics_fd >= 0)
		(void)close(p->metrics_fd);
	mem_free(p);
}

static void process_ended(struct master *m, struct process *p, int status)
{
	struct unit *u = p->unit;
	struct process **at = &u->processes;
	bool expected = p->state == PROCESS_DRAINING || m->stopping;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	if (WIFSIGNALED(status))
		log_error("process-died", "process", LOG_STR(u->def->name), "child",
			LOG_INT(p->pid), "signal", LOG_STR(strsignal(WTERMSIG(status))), NULL);
	else if (WEXITSTATUS(status) != 0 || !expected)
		log_warning("process-ended", "process", LOG_STR(u->def->name), "child",
			LOG_INT(p->pid), "status", LOG_INT(WEXITSTATUS(status)), NULL);
	process_retire_metrics(p);
	if (!expected)
		u->restarts++;
	if (!p->was_ready && !expected)
		unit_throttle(m, u);
	process_free(p);
	if (m->stopping) {
		master_stop_step(m);
	} else {
		unit_fill(m, u);
		unit_check_demand(m, u);
	}
}

static struct process *process_by_pid(struct master *m, pid_t pid)
{
	for (unsigned i = 0; i < UNIT_COUNT; i++) {
		for (struct process *p = m->units[i].processes; p != NULL; p = p->next) {
			if (p->pid == pid)
				return p;
		}
	}
	return NULL;
}

void processes_reap(struct master *m)
{
	struct process *p;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		p = process_by_pid(m, pid);
		if (p != NULL)
			process_ended(m, p, status);
		else if (WIFSIGNALED(status)) /* a session process whose parent is gone */
			log_error("process-died", "process", LOG_STR("orphan"), "child",
				LOG_INT(pid), "signal", LOG_STR(strsignal(WTERMSIG(status))), NULL);
	}
}

/* Once a second: processes that do not get ready, and idle ones above the minimum. */
void processes_tick(struct master *m)
{
	uint64_t now = clock_boot_ms();

	for (unsigned i = 0; i < UNIT_COUNT; i++) {
		struct unit *u = &m->units[i];
		uint64_t idle_kill = unit_knobs(u)->idle_kill_ms;

		for (struct process *p = u->processes; p != NULL; p = p->next) {
			if (p->deadline_ms != 0 && now >= p->deadline_ms) {
				log_error("process-not-ready", "process", LOG_STR(u->def->name),
					"child", LOG_INT(p->pid), NULL);
				p->deadline_ms = 0;
				if (kill(-p->pid, SIGKILL) < 0)
					(void)kill(p->pid, SIGKILL);
			} else if (p->state == PROCESS_READY && p->clients == 0 && idle_kill != 0 &&
				   !m->stopping && now - p->idle_since_ms >= idle_kill &&
				   unit_running(u) > unit_min(u)) {
				process_drain(p, false);
			}
		}
	}
	if (m->stopping)
		master_stop_step(m);
}
