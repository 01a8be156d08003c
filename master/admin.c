/* The role master/admin: what lightmailctl and api may ask. */
#include "master/master.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "lib-common/mem.h"

static const char *const state_names[] = {"starting", "ready", "draining"};

static void add_field(struct buf *b, const char *text, char end)
{
	channel_escape(b, span_of(text));
	buf_add_c(b, end);
}

static void admin_status(struct request *req)
{
	struct master *m = master_get();
	struct buf *b = reply_body(req);

	for (unsigned i = 0; i < UNIT_COUNT; i++) {
		const struct unit *u = &m->units[i];

		for (const struct process *p = u->processes; p != NULL; p = p->next)
			buf_printf(b, "%s\t%d\t%s\t%llu\t%lld\t%u\n", u->def->name, (int)p->pid,
				state_names[p->state], (unsigned long long)p->clients,
				(long long)p->started, u->restarts);
	}
	reply_uint(req, "pid", (uint64_t)getpid());
	reply_ok(req);
}

static void admin_who(struct request *req)
{
	struct master *m = master_get();
	struct buf *b = reply_body(req);

	for (unsigned i = 0; i < UNIT_COUNT; i++) {
		for (const struct process *p = m->units[i].processes; p != NULL; p = p->next) {
			for (const struct session *s = p->sessions; s != NULL; s = s->next) {
				add_field(b, s->user, '\t');
				add_field(b, s->protocol, '\t');
				add_field(b, s->address, '\t');
				add_field(b, s->id, '\t');
				buf_printf(b, "%d\n", (int)p->pid);
			}
		}
	}
	reply_ok(req);
}

static void admin_reload(struct request *req)
{
	struct buf problems;

	buf_init(&problems);
	if (master_reload(master_get(), &problems) < 0) {
		char text[1024];

		(void)snprintf(text, sizeof(text), "%s", buf_str(&problems));
		reply_code(req, ERR_PERM, text);
	} else {
		reply_ok(req);
	}
	buf_clear(&problems);
}

static void admin_stop(struct request *req)
{
	reply_ok(req);
	master_stop(master_get());
}

/* Ends the processes' sessions; that they cannot come back is indexer's and auth's part. */
static void admin_kick(struct request *req)
{
	struct master *m = master_get();
	const char *session = request_str(req, "session"), *user = request_str(req, "user");
	unsigned n = 0;

	for (unsigned i = 0; i < UNIT_COUNT; i++) {
		for (const struct process *p = m->units[i].processes; p != NULL; p = p->next) {
			bool match = false;
			struct call *call;

			for (const struct session *s = p->sessions; s != NULL; s = s->next) {
				if ((*session != '\0' && strcmp(s->id, session) == 0) ||
					(*user != '\0' && strcmp(s->user, user) == 0)) {
					match = true;
					n++;
				}
			}
			if (!match)
				continue;
			call = call_new(p->control, "KICK");
			call_str(call, "session", session);
			call_str(call, "user", user);
			(void)call_send(call, 5000, NULL, NULL);
		}
	}
	if (n == 0) {
		reply_code(req, ERR_NOTFOUND, "No such session");
		return;
	}
	reply_uint(req, "sessions", n);
	reply_ok(req);
}

/* A second open file, for reading alone: nobody but the process may write what it has counted. */
static void reply_fd_readonly(struct request *req, int fd)
{
	char path[64];
	int again;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDONLY | O_CLOEXEC);
	if (again < 0) {
		reply_code(req, ERR_TEMP, strerror(errno));
		return;
	}
	reply_fd(req, again, true);
	reply_ok(req);
}

static void admin_metrics_fd(struct request *req)
{
	struct master *m = master_get();
	uint64_t pid = request_uint(req, "pid");
	const char *service = request_str(req, "service");

	for (unsigned i = 0; i < UNIT_COUNT; i++) {
		const struct unit *u = &m->units[i];

		for (const struct process *p = u->processes; p != NULL && pid != 0; p = p->next) {
			if ((uint64_t)p->pid != pid)
				continue;
			reply_uint(req, "pid", pid);
			reply_fd_readonly(req, p->metrics_fd);
			return;
		}
		if (pid == 0 && strcmp(u->def->name, service) == 0) {
			reply_str(req, "service", u->def->name);
			reply_fd_readonly(req, u->retired_fd);
			return;
		}
	}
	reply_code(req, ERR_NOTFOUND, "No such process or service");
}

static void config_line(
	const struct plan *plan, struct span line, const char *section, struct buf *out)
{
	struct span value = line, key = {NULL, 0}, name, own;
	const char *source = NULL;
	char *section_text, *name_text;

	(void)span_cut(&value, '\t', &key);
	name = key;
	(void)span_cut(&name, '.', &own);
	if (*section != '\0' && !span_is(own, section))
		return;
	section_text = mem_dup(own.p, own.n);
	name_text = mem_dup(name.p, name.n);
	(void)config_get(plan->config, section_text, name_text, &source);
	buf_add_span(out, key);
	buf_add_c(out, '\t');
	buf_add_span(out, value);
	buf_add_c(out, '\t');
	buf_add_str(out, source == NULL ? "default" : source);
	buf_add_c(out, '\n');
	mem_free(section_text);
	mem_free(name_text);
}

/* section.key, value, where it comes from; secrets are not shown. */
static void admin_config(struct request *req)
{
	const struct plan *plan = master_get()->plan;
	const struct settings_def *defs[UNIT_COUNT + 2] = {&global_settings_def};
	struct span rest, line, key, own;
	struct buf text;

	for (unsigned i = 0; i < UNIT_COUNT; i++)
		defs[i + 1] = unit_defs[i].settings;
	buf_init(&text);
	config_serialise(plan->config, defs, &text);
	rest = buf_span(&text);
	while (span_cut(&rest, '\n', &line)) {
		bool secret = false;

		if (line.n == 0)
			continue;
		key = line;
		(void)span_cut(&key, '.', &own);
		for (unsigned i = 0; defs[i] != NULL; i++) {
			for (const struct setting_row *r = defs[i]->rows; r->name != NULL; r++)
				secret = secret || (r->type == SETTING_SECRET &&
							   span_is(own, defs[i]->section) &&
							   span_starts_nocase(key, r->name));
		}
		if (!secret)
			config_line(plan, line, request_str(req, "section"), reply_body(req));
	}
	buf_wipe(&text);
	reply_ok(req);
}

static void admin_ping(struct request *req)
{
	reply_ok(req);
}

static const struct arg_def kick_args[] = {
	{"session", ARG_STRING, false, "one session, by its id"},
	{"user", ARG_STRING, false, "all sessions of a user"},
	{.name = NULL},
};

static const struct arg_def metrics_args[] = {
	{"pid", ARG_UINT, false, "a running process"},
	{"service", ARG_STRING, false, "what the ended processes of a service have counted"},
	{.name = NULL},
};

static const struct arg_def config_args[] = {
	{"section", ARG_STRING, false, "only this one"},
	{.name = NULL},
};

static const struct command_def admin_commands[] = {
	{.verb = "STATUS",
		.handle = admin_status,
		.doc = "Body: service, pid, state, clients, start (Unix time), restarts of the "
		       "service; "
		       "a line a process."},
	{.verb = "WHO", .handle = admin_who, .doc = "Body: user, protocol, address, session, pid."},
	{.verb = "RELOAD", .handle = admin_reload, .doc = "Read the configuration again."},
	{.verb = "STOP", .handle = admin_stop, .doc = "Drain and end."},
	{.verb = "KICK", .args = kick_args, .handle = admin_kick, .doc = "End sessions."},
	{.verb = "METRICS-FD",
		.args = metrics_args,
		.handle = admin_metrics_fd,
		.doc = "The metrics region of a process, as a descriptor."},
	{.verb = "CONFIG",
		.args = config_args,
		.handle = admin_config,
		.doc = "Body: section.key, value, source; a line a setting, secrets left out."},
	{.verb = "PING", .handle = admin_ping, .doc = "Answers."},
	{.verb = NULL},
};

const struct role_def admin_role = {
	.name = "master/admin",
	.commands = admin_commands,
	.doc = "What lightmailctl and api may ask of master.",
};

static void admin_on_connection(evutil_socket_t fd, short what, void *ctx)
{
	struct binding *b = ctx;
	int conn = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)what;
	if (conn < 0)
		return;
	(void)channel_accept(master_get()->base, conn, &admin_role,
		b->token[0] == '\0' ? NULL : b->token, b->peer, master_get());
}

void admin_listen(struct master *m)
{
	for (struct binding *b = m->plan->bindings; b != NULL; b = b->next) {
		if (strcmp(b->unit, "master") != 0)
			continue;
		b->event = event_new(m->base, b->fd, EV_READ | EV_PERSIST, admin_on_connection, b);
		(void)event_add(b->event, NULL);
	}
}
