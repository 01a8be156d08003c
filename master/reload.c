/* Reload and stop: the two times when many processes change at once. */
#include "master/master.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#define RELOAD_TIMEOUT_MS 10000
#define BACK_TIMEOUT_MS 10000 /* for the services behind, once nobody asks them any more */

static void unit_reload_settings(struct master *m, struct unit *u)
{
	for (struct process *p = u->processes; p != NULL; p = p->next) {
		int fds[64], fd;
		struct call *call;
		struct buf text;
		size_t n;

		if (p->state == PROCESS_DRAINING)
			continue;
		buf_init(&text);
		plan_write(m, m->plan, u->index, &text, fds, &n, sizeof(fds) / sizeof(fds[0]));
		fd = settings_memfd(buf_span(&text));
		buf_wipe(&text);
		if (fd < 0)
			continue;
		call = call_new(p->control, "RELOAD");
		call_fd(call, fd, true);
		(void)call_send(call, RELOAD_TIMEOUT_MS, NULL, NULL);
	}
}

/* New ones first, then the old ones finish what they have. A service of one process that owns a
 * database or an object store ends before its successor starts. */
static void unit_replace(struct master *m, struct unit *u)
{
	for (struct process *p = u->processes; p != NULL; p = p->next) {
		if (p->state != PROCESS_DRAINING)
			process_drain(p, false);
	}
	unit_fill(m, u);
}

int master_reload(struct master *m, struct buf *problems)
{
	struct plan *old = m->plan, *new;
	const char *run_dir = old->global->run_dir;
	bool same[UNIT_COUNT], suffices[UNIT_COUNT];

	notify_supervisor("RELOADING=1\n");
	new = plan_load(m, problems);
	if (new != NULL && strcmp(new->global->run_dir, run_dir) != 0)
		buf_add_str(problems, "global.run_dir: a change needs a restart of the server\n");
	if (new == NULL || problems->len > 0 || folders_make(new, problems) < 0 ||
		bindings_open(new, old, problems) < 0) {
		struct span rest = buf_span(problems), line;

		while (span_cut(&rest, '\n', &line)) {
			if (line.n > 0)
				log_error("reload-refused", "problem", LOG_SPAN(line), NULL);
		}
		plan_free(new);
		notify_supervisor("READY=1\n");
		return -1;
	}
	for (unsigned i = 0; i < UNIT_COUNT; i++) {
		same[i] = plan_unit_same(old, new, i) && !unit_defs[i].fresh;
		suffices[i] = plan_reload_suffices(old, new, i);
		m->units[i].demand = false;
	}
	bindings_adopted(new, old);
	m->plan = new;
	admin_listen(m);
	plan_free(old);
	for (unsigned i = 0; i < UNIT_COUNT; i++) {
		if (!same[i] && suffices[i])
			unit_reload_settings(m, &m->units[i]);
		else if (!same[i])
			unit_replace(m, &m->units[i]);
		unit_fill(m, &m->units[i]);
		unit_check_demand(m, &m->units[i]);
	}
	log_info("reloaded", NULL);
	notify_supervisor("READY=1\n");
	return 0;
}

void master_check_ready(struct master *m)
{
	if (m->started)
		return;
	for (unsigned i = 0; i < UNIT_COUNT; i++) {
		const struct process *p = m->units[i].processes;

		while (p != NULL && p->state != PROCESS_READY)
			p = p->next;
		if (p == NULL && plan_knobs(m->plan, i)->process_min > 0)
			return;
	}
	m->started = true;
	log_info("ready", NULL);
	notify_supervisor("READY=1\n");
	if (m->ready_pipe >= 0) {
		(void)!write(m->ready_pipe, "1", 1);
		(void)close(m->ready_pipe);
		m->ready_pipe = -1;
	}
}

/* Phase 0: who takes outside input finishes it, while the others still answer. Phase 1: the others.
 */
static bool stop_is_phase(const struct unit *u, unsigned phase)
{
	return u->def->front == (phase == 0);
}

static unsigned stop_signal_phase(struct master *m, unsigned phase, int signal_number)
{
	unsigned n = 0;

	for (unsigned i = 0; i < UNIT_COUNT; i++) {
		for (struct process *p = m->units[i].processes; p != NULL; p = p->next) {
			if (!stop_is_phase(&m->units[i], phase))
				continue;
			n++;
			if (signal_number != 0 && kill(-p->pid, signal_number) < 0)
				(void)kill(p->pid, signal_number);
		}
	}
	return n;
}

static void stop_begin_phase(struct master *m, unsigned phase, uint64_t timeout_ms)
{
	m->stop_phase = phase;
	m->stop_deadline_ms = clock_boot_ms() + timeout_ms;
	for (unsigned i = 0; i < UNIT_COUNT; i++) {
		for (struct process *p = m->units[i].processes; p != NULL; p = p->next) {
			if (stop_is_phase(&m->units[i], phase))
				process_drain(p, true);
		}
	}
}

void master_stop_step(struct master *m)
{
	if (m->stop_phase == 2)
		return;
	if (clock_boot_ms() >= m->stop_deadline_ms) {
		unsigned left = stop_signal_phase(m, m->stop_phase, SIGKILL);

		if (left > 0)
			log_warning("stop-killed", "processes", LOG_UINT(left), NULL);
		m->stop_deadline_ms = clock_boot_ms() + BACK_TIMEOUT_MS;
	}
	if (stop_signal_phase(m, m->stop_phase, 0) > 0)
		return;
	if (m->stop_phase == 0) {
		stop_begin_phase(m, 1, BACK_TIMEOUT_MS);
		master_stop_step(m);
		return;
	}
	m->stop_phase = 2;
	(void)event_base_loopexit(m->base, NULL);
}

void master_stop(struct master *m)
{
	if (m->stopping)
		return;
	log_info("stopping", NULL);
	notify_supervisor("STOPPING=1\n");
	m->stopping = true;
	stop_begin_phase(m, 0, m->plan->global->drain_timeout_ms);
	master_stop_step(m);
}
