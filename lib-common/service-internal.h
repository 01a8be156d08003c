/* What the files of the service skeleton share; services see service.h alone. */
#ifndef LM_SERVICE_INTERNAL_H
#define LM_SERVICE_INTERNAL_H

#include "lib-common/sandbox.h"
#include "lib-common/service.h"

/* Numbers of the descriptors that master hands down (service.h). */
enum {
	SERVICE_FD_CONTROL = 3,
	SERVICE_FD_SETTINGS,
	SERVICE_FD_METRICS,
	SERVICE_FD_TEMP,
	SERVICE_FD_FIRST
};

#define SERVICE_KEY_BYTES 32
#define CONTROL_ROLE "master/control"

struct service_peer {
	char *role, *path, *token;
};

struct service_key {
	char *name;
	unsigned char bytes[SERVICE_KEY_BYTES];
};

struct service_socket {
	struct service *svc;
	struct service_listener listener;
	const struct role_def *own_role;
	char *name, *peer, *token;
	struct event *event;
};

/* Settings that a reload replaced; code may still hold strings of theirs. */
struct service_retired {
	struct service_retired *next;
	void *settings;
	const struct settings_def *def;
};

struct service_channel {
	struct service_channel *next;
	struct service *svc;
	struct channel *channel;
};

struct session_parent;

struct service {
	const struct service_def *def;
	struct event_base *base;	 /* the service's own loop */
	struct event_base *control_base; /* the parent of session processes has another */
	void *settings, **more_settings;
	struct global_settings *global;
	struct service_retired *retired;
	struct service_socket **sockets;
	size_t n_sockets;
	struct service_peer *peers;
	size_t n_peers;
	struct service_key *keys;
	size_t n_keys;
	struct service_channel *channels;
	struct sandbox sandbox;
	char *root; /* run_dir/<service> */
	bool chrooted, standalone, accepting, draining, ending, stopping;
	int temp_fd;
	void *data;
	unsigned clients, reported_clients;
	uint64_t served, reported_served;
	struct channel *control;
	struct event *status_timer, *drain_timer, *signals[3];
	struct session_parent *parent; /* in the parent of session processes */
	int child_fd;		       /* in a session process: to its parent; else -1 */
	struct event *child_event;
};

/* service-settings.c: reads what master wrote on descriptor 4, or a file of the same form. */
int service_text_read(int fd, struct buf *out);
int service_text_parse(struct service *svc, struct span text, struct err *e);
/* Settings alone: at a reload. */
int service_settings_replace(struct service *svc, struct span text, struct err *e);
void service_text_free(struct service *svc);

/* service.c */
void service_sockets_listen(struct service *svc, bool on);
void service_status(struct service *svc, bool now);
void service_control_event(struct service *svc, const char *event);
void service_finish_if_idle(struct service *svc);
/* Stops accepting. end: clients are asked to go (the server stops); else they may stay. */
void service_drain(struct service *svc, bool end);
void service_accept_role(struct service *svc, struct service_socket *s, int fd);

/* service-session.c: the parent of session processes, and the processes. */
bool service_is_session_parent(const struct service *svc);
int session_parent_start(struct service *svc, struct err *e);
void session_parent_drain(struct service *svc, bool end);
unsigned session_parent_clients(const struct service *svc);
/* With those that wait: one of them may have taken a client just before it was told to end. */
unsigned session_parent_processes(const struct service *svc);
uint64_t session_parent_served(const struct service *svc);
/* True when a session matched and was asked to end. */
bool session_parent_kick(struct service *svc, const char *session, const char *user);
void session_child_report(struct service *svc, const char *session, const char *user,
	const char *address, const char *protocol);
void session_child_end(struct service *svc) __attribute__((noreturn));
/* Tells master of a session; what comes from a session process is not trusted. */
void service_session_event(struct service *svc, const char *session, const char *user,
	const char *address, const char *protocol);

#endif
