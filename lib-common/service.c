#include "lib-common/service-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib-common/mem.h"

#define STATUS_INTERVAL_US 100000
#define DRAIN_INTERVAL_US 50000

static struct service the_service = {.temp_fd = -1, .child_fd = -1};

/* ---- what services ask ---- */

struct event_base *service_base(struct service *svc)
{
	return svc->base;
}

const void *service_settings(struct service *svc)
{
	return svc->settings;
}

const struct service_settings *service_knobs(struct service *svc)
{
	return svc->settings;
}

const void *service_more_settings(struct service *svc, const char *section)
{
	const struct settings_def *const *more = svc->def->more_settings;

	for (size_t i = 0; more != NULL && more[i] != NULL; i++) {
		if (strcmp(more[i]->section, section) == 0)
			return svc->more_settings[i];
	}
	return NULL;
}

const struct global_settings *service_global(struct service *svc)
{
	return svc->global;
}

void service_set_data(struct service *svc, void *data)
{
	svc->data = data;
}

void *service_data(struct service *svc)
{
	return svc->data;
}

int service_temp_dir(struct service *svc)
{
	return svc->temp_fd;
}

int service_temp_file(struct service *svc)
{
	if (svc->temp_fd < 0) {
		errno = ENOENT;
		return -1;
	}
	return openat(svc->temp_fd, ".", O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
}

int service_peer(struct service *svc, const char *role, const char **path_r, const char **token_r)
{
	for (size_t i = 0; i < svc->n_peers; i++) {
		if (strcmp(svc->peers[i].role, role) != 0)
			continue;
		*path_r = svc->peers[i].path;
		*token_r = svc->peers[i].token;
		return 0;
	}
	return -1;
}

struct client *service_connect(
	struct service *svc, const char *role, const struct client_def *callbacks)
{
	struct client_def def = {.ctx = NULL};

	if (callbacks != NULL)
		def = *callbacks;
	if (service_peer(svc, role, &def.path, &def.token) < 0)
		return NULL;
	def.role = role;
	def.reconnect = true;
	return client_new(svc->base, &def);
}

const unsigned char *service_key(struct service *svc, const char *name)
{
	for (size_t i = 0; i < svc->n_keys; i++) {
		if (strcmp(svc->keys[i].name, name) == 0)
			return svc->keys[i].bytes;
	}
	return NULL;
}

void sandbox_path(struct service *svc, const char *path, bool writable)
{
	sandbox_allow_path(&svc->sandbox, path, writable);
}

unsigned service_clients(const struct service *svc)
{
	return svc->clients;
}

bool service_draining(const struct service *svc)
{
	return svc->draining;
}

/* ---- status ---- */

void service_control_event(struct service *svc, const char *event)
{
	if (svc->control != NULL)
		channel_event(svc->control, event, (struct span){NULL, 0}, NULL);
}

void service_session_event(struct service *svc, const char *session, const char *user,
	const char *address, const char *protocol)
{
	if (svc->control == NULL)
		return;
	if (user == NULL)
		channel_event(
			svc->control, "END", (struct span){NULL, 0}, "session", session, NULL);
	else
		channel_event(svc->control, "SESSION", (struct span){NULL, 0}, "session", session,
			"user", user, "address", address, "protocol", protocol, NULL);
}

static void status_send(struct service *svc)
{
	char clients[16], served[24];
	unsigned n = svc->parent != NULL ? session_parent_clients(svc) : svc->clients;
	uint64_t total = svc->parent != NULL ? session_parent_served(svc) : svc->served;

	if (svc->control == NULL || (n == svc->reported_clients && total == svc->reported_served))
		return;
	svc->reported_clients = n;
	svc->reported_served = total;
	snprintf(clients, sizeof(clients), "%u", n);
	snprintf(served, sizeof(served), "%llu", (unsigned long long)total);
	channel_event(svc->control, "STATUS", (struct span){NULL, 0}, "clients", clients, "served",
		served, NULL);
}

static void status_timer(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	status_send(ctx);
}

/* Master hears at once when a process becomes full or free again, of the rest ten times a second.
 */
void service_status(struct service *svc, bool now)
{
	struct timeval tv = {0, STATUS_INTERVAL_US};

	if (now)
		status_send(svc);
	else if (svc->status_timer != NULL && !event_pending(svc->status_timer, EV_TIMEOUT, NULL))
		event_add(svc->status_timer, &tv);
}

void service_report_session(struct service *svc, const char *session_id, const char *user,
	const char *address, const char *protocol)
{
	if (svc->child_fd >= 0)
		session_child_report(svc, session_id, user, address, protocol);
	else
		service_session_event(svc, session_id, user, address == NULL ? "" : address,
			protocol == NULL ? "" : protocol);
}

/* ---- accepting ---- */

static bool counts(const struct service *svc, const struct service_socket *s)
{
	return s->own_role == NULL || svc->def->session_service;
}

static bool full(struct service *svc)
{
	return svc->clients >= service_knobs(svc)->client_limit;
}

void service_sockets_listen(struct service *svc, bool on)
{
	for (size_t i = 0; i < svc->n_sockets; i++) {
		struct service_socket *s = svc->sockets[i];

		if (s->event == NULL)
			continue;
		if (on && !(counts(svc, s) && full(svc)))
			event_add(s->event, NULL);
		else if (!on || counts(svc, s))
			event_del(s->event);
	}
}

/* Also for a peer that never completed its handshake. */
static void role_on_gone(void *ctx)
{
	struct service_channel *old = ctx;
	struct service_channel **at = &old->svc->channels;

	while (*at != NULL && *at != old)
		at = &(*at)->next;
	if (*at == old)
		*at = old->next;
	mem_free(old);
}

void service_accept_role(struct service *svc, struct service_socket *s, int fd)
{
	struct service_channel *c;

	c = mem_alloc(sizeof(*c));
	c->svc = svc;
	c->next = svc->channels;
	svc->channels = c;
	c->channel = channel_accept(svc->base, fd, s->own_role, s->listener.token, s->peer, svc);
	channel_on_gone(c->channel, role_on_gone, c);
}

static void on_acceptable(evutil_socket_t lfd, short what, void *ctx)
{
	struct service_socket *s = ctx;
	struct service *svc = s->svc;
	struct sockaddr_storage peer = {0};

	(void)what;
	for (int i = 0; i < 16 && svc->accepting; i++) {
		socklen_t len = sizeof(peer);
		int fd = accept4(lfd, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0) {
			if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
				log_warning("accept-failed", "listener", LOG_STR(s->name), "error",
					LOG_STR(strerror(errno)), NULL);
			return;
		}
		if (counts(svc, s)) {
			const struct service_settings *knobs = service_knobs(svc);

			svc->clients++;
			svc->served++;
			if (full(svc))
				service_sockets_listen(svc, true);
			service_status(svc, full(svc));
			if (knobs->max_requests != 0 && svc->served >= knobs->max_requests)
				svc->accepting = false;
		}
		if (s->own_role != NULL)
			service_accept_role(svc, s, fd);
		else
			svc->def->accept(svc, fd, &s->listener, (struct sockaddr *)&peer, len);
		if (!svc->accepting && !svc->draining) {
			service_control_event(svc, "REPLACE");
			service_drain(svc, false);
		}
		if (counts(svc, s) && full(svc))
			return;
	}
}

void service_client_done(struct service *svc)
{
	bool was_full = full(svc);

	if (svc->clients > 0)
		svc->clients--;
	if (svc->child_fd >= 0) {
		/* Not from within a callback of the channel that is just going away. */
		event_base_loopexit(svc->base, NULL);
		return;
	}
	if (was_full && svc->accepting)
		service_sockets_listen(svc, true);
	service_status(svc, was_full);
	service_finish_if_idle(svc);
}

/* ---- the end ---- */

void service_finish_if_idle(struct service *svc)
{
	if (!svc->draining || svc->clients > 0)
		return;
	for (struct service_channel *c = svc->channels; c != NULL; c = c->next) {
		if (channel_in_flight(c->channel) > 0 || channel_output_pending(c->channel) > 0)
			return;
	}
	if (svc->parent != NULL && session_parent_processes(svc) > 0)
		return;
	event_base_loopexit(svc->control_base, NULL);
}

/* Idle role channels are closed: their clients come back to the next process. */
static void drain_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct service *svc = ctx;
	struct timeval tv = {0, DRAIN_INTERVAL_US};
	struct service_channel *c, *next;

	(void)fd;
	(void)what;
	for (c = svc->channels; c != NULL && !svc->def->session_service; c = next) {
		next = c->next;
		if (channel_in_flight(c->channel) == 0 && channel_output_pending(c->channel) == 0)
			channel_close(c->channel);
	}
	service_finish_if_idle(svc);
	event_add(svc->drain_timer, &tv);
}

void service_drain(struct service *svc, bool end)
{
	struct timeval tv = {0, 0};

	if (end && !svc->ending) {
		svc->ending = true;
	} else if (svc->draining) {
		return;
	}
	if (!svc->draining) {
		svc->draining = true;
		svc->accepting = false;
		service_sockets_listen(svc, false);
		for (size_t i = 0; i < svc->n_sockets; i++) {
			if (svc->sockets[i]->event != NULL)
				event_free(svc->sockets[i]->event);
			svc->sockets[i]->event = NULL;
			close(svc->sockets[i]->listener.fd);
		}
	}
	if (svc->parent != NULL)
		session_parent_drain(svc, end);
	else if (svc->def->drain != NULL)
		svc->def->drain(svc);
	if (svc->drain_timer == NULL)
		svc->drain_timer = event_new(svc->control_base, -1, 0, drain_timer, svc);
	event_add(svc->drain_timer, &tv);
}

static void on_sigterm(evutil_socket_t sig, short what, void *ctx)
{
	(void)sig;
	(void)what;
	service_drain(ctx, true);
}

/* ---- what master asks ---- */

static void control_reload(struct request *req)
{
	struct service *svc = channel_service(request_channel(req));
	int fd = request_take_fd(req);
	struct buf text;
	struct err e;
	int rc = -1;

	buf_init(&text);
	if (service_text_read(fd, &text) < 0)
		err_set(&e, ERR_TEMP, "settings: %s", strerror(errno));
	else
		rc = service_settings_replace(svc, buf_span(&text), &e);
	close(fd);
	buf_wipe(&text);
	if (rc < 0) {
		reply_fail(req, &e);
		return;
	}
	if (svc->def->reload != NULL)
		svc->def->reload(svc, svc->settings);
	if (svc->accepting)
		service_sockets_listen(svc, true);
	reply_ok(req);
}

static void control_drain(struct request *req)
{
	struct service *svc = channel_service(request_channel(req));
	bool end = request_uint(req, "end") != 0;

	reply_ok(req);
	service_drain(svc, end);
}

static void control_kick(struct request *req)
{
	struct service *svc = channel_service(request_channel(req));

	if (svc->parent != NULL &&
		session_parent_kick(svc, request_str(req, "session"), request_str(req, "user")))
		reply_ok(req);
	else
		reply_code(req, ERR_NOTFOUND, "no such session here");
}

static const struct arg_def drain_args[] = {
	{"end", ARG_FLAG, false, "1: clients are asked to go"},
	{.name = NULL},
};

static const struct arg_def kick_args[] = {
	{"session", ARG_STRING, false, "one session"},
	{"user", ARG_STRING, false, "all of a user"},
	{.name = NULL},
};

static const struct command_def control_commands[] = {
	{.verb = "RELOAD",
		.fd = COMMAND_FD_REQUIRED,
		.handle = control_reload,
		.doc = "Take the settings in the memfd."},
	{.verb = "DRAIN",
		.args = drain_args,
		.handle = control_drain,
		.doc = "Accept nothing more; end when the last client is gone."},
	{.verb = "KICK", .args = kick_args, .handle = control_kick, .doc = "End sessions."},
	{.verb = NULL},
};

/* Without master nobody watches, binds or reloads: finish and go. */
static void control_on_close(struct channel *ch)
{
	struct service *svc = channel_service(ch);

	svc->control = NULL;
	if (!svc->stopping)
		service_drain(svc, true);
}

const struct role_def service_control_role = {
	.name = CONTROL_ROLE,
	.commands = control_commands,
	.on_close = control_on_close,
	.doc = "What master asks of a process. Events: READY, STATUS clients= served=, SESSION "
	       "session= user= address= protocol=, END session=, REPLACE.",
};

/* ---- the run ---- */

static void text_load(struct service *svc, const char *file, struct buf *text)
{
	struct err e;
	int fd = file == NULL ? SERVICE_FD_SETTINGS : open(file, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || service_text_read(fd, text) < 0) {
		fprintf(stderr, "%s: no settings (%s); it is started by lightmail's master\n",
			svc->def->name, strerror(errno));
		exit(64);
	}
	close(fd);
	if (service_text_parse(svc, buf_span(text), &e) < 0) {
		log_setup(svc->def->name, LOG_FORM_AUTO, LOG_LEVEL_INFO, LOG_ADDRESSES_PLAIN, 2);
		log_fatal("settings-bad", "error", LOG_ERR(&e), NULL);
	}
}

static void descriptors_take(struct service *svc)
{
	struct stat st;

	if (svc->standalone) {
		if (*svc->global->temp_dir != '\0')
			svc->temp_fd = open(
				svc->global->temp_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
		return;
	}
	if (metrics_open(SERVICE_FD_METRICS) < 0)
		log_fatal("metrics-failed", "error", LOG_STR(strerror(errno)), NULL);
	close(SERVICE_FD_METRICS);
	(void)fcntl(SERVICE_FD_CONTROL, F_SETFD, FD_CLOEXEC);
	if (fstat(SERVICE_FD_TEMP, &st) == 0 && S_ISDIR(st.st_mode)) {
		(void)fcntl(SERVICE_FD_TEMP, F_SETFD, FD_CLOEXEC);
		svc->temp_fd = SERVICE_FD_TEMP;
	}
}

static void rights_drop(struct service *svc)
{
	const struct service_settings *knobs = service_knobs(svc);
	struct err e;

	svc->sandbox.rights = svc->def->rights;
	svc->sandbox.extra_syscalls = svc->def->extra_syscalls;
	svc->sandbox.temp_fd = svc->temp_fd;
	svc->sandbox.memory_limit = knobs->memory_limit;
	/* Each client may need several: its socket, its channels, a body. */
	svc->sandbox.file_limit = 1024 + 8 * knobs->client_limit;
	if (geteuid() == 0 && svc->global->separate_users && !svc->standalone) {
		svc->sandbox.user = knobs->user;
		svc->sandbox.group = knobs->group;
	}
	if (svc->chrooted)
		svc->sandbox.root = svc->root;
	if (service_is_session_parent(svc))
		svc->sandbox.rights |= SANDBOX_FORK;
	if (sandbox_enter(&svc->sandbox, &e) < 0)
		log_fatal("sandbox-failed", "error", LOG_ERR(&e), NULL);
}

static void loop_start(struct service *svc)
{
	struct err e;

	svc->status_timer = event_new(svc->control_base, -1, 0, status_timer, svc);
	svc->signals[0] = evsignal_new(svc->control_base, SIGTERM, on_sigterm, svc);
	event_add(svc->signals[0], NULL);
	if (!svc->standalone)
		svc->control = channel_accept(svc->control_base, SERVICE_FD_CONTROL,
			&service_control_role, NULL, "master", svc);
	svc->accepting = true;
	if (service_is_session_parent(svc)) {
		if (session_parent_start(svc, &e) < 0)
			log_fatal("start-failed", "error", LOG_ERR(&e), NULL);
	} else {
		for (size_t i = 0; i < svc->n_sockets; i++) {
			struct service_socket *s = svc->sockets[i];

			if (s->own_role == NULL && svc->def->listen != NULL) {
				svc->def->listen(svc, &s->listener);
				continue;
			}
			s->event = event_new(
				svc->base, s->listener.fd, EV_READ | EV_PERSIST, on_acceptable, s);
		}
		service_sockets_listen(svc, true);
	}
	service_control_event(svc, "READY");
	log_debug("ready", NULL);
}

static void service_free(struct service *svc)
{
	while (svc->channels != NULL)
		channel_close(svc->channels->channel);
	if (svc->control != NULL) {
		struct channel *control = svc->control;

		svc->control = NULL;
		channel_close(control);
	}
	for (size_t i = 0; i < array_count(svc->signals); i++) {
		if (svc->signals[i] != NULL)
			event_free(svc->signals[i]);
	}
	if (svc->status_timer != NULL)
		event_free(svc->status_timer);
	if (svc->drain_timer != NULL)
		event_free(svc->drain_timer);
	service_text_free(svc);
	sandbox_clear(&svc->sandbox);
	if (svc->control_base != svc->base)
		event_base_free(svc->control_base);
	event_base_free(svc->base);
}

static int protocol_print(const struct service_def *def)
{
	struct buf out;
	bool ok;

	buf_init(&out);
	for (size_t i = 0; def->roles != NULL && def->roles[i] != NULL; i++)
		channel_role_print(def->roles[i], &out);
	ok = out.len == 0 || fwrite(out.data, 1, out.len, stdout) == out.len;
	buf_clear(&out);
	return ok && fflush(stdout) == 0 ? 0 : 74; /* EX_IOERR */
}

int service_run(const struct service_def *def, int argc, char **argv)
{
	struct service *svc = &the_service;
	struct buf text;
	struct err e;

	if (argc == 2 && strcmp(argv[1], "--print-protocol") == 0)
		return protocol_print(def);
	svc->def = def;
	svc->standalone = argc == 3 && strcmp(argv[1], "--standalone") == 0;
	buf_init(&text);
	text_load(svc, svc->standalone ? argv[2] : NULL, &text);
	log_setup(def->name, (enum log_form)svc->global->log_form,
		(enum log_level)svc->global->log_level,
		(enum log_addresses)svc->global->log_addresses, 2);
	buf_wipe(&text);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	descriptors_take(svc);
	svc->base = event_base_new();
	svc->control_base = service_is_session_parent(svc) ? event_base_new() : svc->base;
	if (svc->base == NULL || svc->control_base == NULL)
		log_fatal("loop-failed", NULL);
	if (def->init != NULL && def->init(svc, &e) < 0)
		log_fatal("init-failed", "error", LOG_ERR(&e), NULL);
	rights_drop(svc);
	if (def->start != NULL && def->start(svc, &e) < 0)
		log_fatal("start-failed", "error", LOG_ERR(&e), NULL);
	loop_start(svc);
	event_base_dispatch(svc->control_base);
	svc->stopping = true;
	if (def->stop != NULL)
		def->stop(svc);
	service_free(svc);
	return 0;
}
