/*
 * master: the supervisor. It binds every socket, starts and watches the processes of every service,
 * hands each its own settings, keys and sockets, and reloads. It runs as root in production, so it
 * parses nothing but its configuration and the status lines of its own children, and holds no mail.
 *
 * A plan is a whole configuration, checked: settings of each unit (service) and the bindings that
 * they ask for. A reload makes a new plan beside the old one, takes over the sockets that stay, and
 * only then lets it take the old one's place.
 */
#ifndef MASTER_H
#define MASTER_H

#include <event2/event.h>
#include <sys/types.h>
#include "lib-common/channel.h"
#include "lib-common/metrics.h"
#include "lib-common/settings.h"
#include "lib-common/topology.h"

#ifndef UNIT_COUNT /* the test of master has one service */
#define UNIT_COUNT 7
#endif
#define TOKEN_SIZE 33 /* 32 hex digits and a NUL */
#define KEY_BYTES 32
#define LISTENER_FD_FIRST 7 /* lib-common/service.h */
#define CTL_NAME "ctl"	    /* lightmailctl's folder under run_dir */

struct unit_def {
	const char *name; /* of service, binary, folder and section */
	const struct settings_def *settings;
	bool session; /* its process forks session processes when client_limit is 1 */
	bool front;   /* takes outside input: drained first, so that the others can answer it */
	bool fresh;   /* reads files (certificates) when it starts: replaced at every reload */
};
extern const struct unit_def unit_defs[UNIT_COUNT];

/* One listening socket. */
struct binding {
	struct binding *next;
	const char *name;	/* of the outside listener, or the role */
	const char *unit;	/* who gets it; "master" for its own */
	char *address;		/* as configured, or a path */
	char *peer;		/* client of a role; NULL: outside */
	char token[TOKEN_SIZE]; /* "" for none */
	mode_t mode;
	uid_t owner;
	gid_t group;
	int fd;
	struct event *event; /* demand, or master's own accept */
};

struct plan {
	struct config *config;
	struct global_settings *global;
	void *settings[UNIT_COUNT]; /* each begins with struct service_settings */
	struct binding *bindings;
};

enum process_state { PROCESS_STARTING, PROCESS_READY, PROCESS_DRAINING };

struct session {
	struct session *next;
	char *id, *user, *address, *protocol;
};

struct process {
	struct process *next;
	struct unit *unit;
	pid_t pid;
	enum process_state state;
	bool was_ready;
	struct client *control;
	int metrics_fd;
	uint64_t clients, served, started_ms, idle_since_ms, deadline_ms;
	int64_t started;
	struct session *sessions;
};

struct unit {
	const struct unit_def *def;
	unsigned index;
	struct process *processes;
	unsigned restarts;
	unsigned backoff_s; /* 0: not throttled */
	struct event *throttle;
	bool demand;	   /* its listeners are watched for a connection nobody takes */
	uint64_t *retired; /* metrics of processes that are gone */
	int retired_fd;
};

struct master {
	struct event_base *base;
	const char *config_path;
	char **overrides; /* section.key=value, from the command line */
	size_t n_overrides;
	bool foreground, started, stopping;
	struct plan *plan;
	struct unit units[UNIT_COUNT];
	unsigned char keys[8][KEY_BYTES]; /* by index of topology_keys */
	int pid_fd;
	int ready_pipe; /* to the process that daemonised us; -1 */
	struct event *signals[5], *tick;
	uint64_t stop_deadline_ms;
	unsigned stop_phase;
};

/* plan.c. Problems: one a line; NULL when there are any. */
struct plan *plan_load(const struct master *m, struct buf *problems);
void plan_free(struct plan *plan);
const struct service_settings *plan_knobs(const struct plan *plan, unsigned unit);
/* The settings, sockets, peers and keys of one unit, as its processes read them
 * (lib-common/service.h). fds_r gets the listening sockets in the order of their numbers. */
void plan_write(const struct master *m, const struct plan *plan, unsigned unit, struct buf *out,
	int *fds_r, size_t *n_fds_r, size_t max_fds);
/* Settings alone differ, and none that needs a new process. */
bool plan_reload_suffices(const struct plan *old, const struct plan *new, unsigned unit);
bool plan_unit_same(const struct plan *old, const struct plan *new, unsigned unit);

/* bind.c: binds what `old` (may be NULL) has not bound already. -1: problems; nothing is taken
 * over. */
int bindings_open(struct plan *plan, const struct plan *old, struct buf *problems);
void bindings_adopted(
	struct plan *plan, struct plan *old); /* old's are closed where not taken over */

/* folders.c: run_dir, state_dir and temp_dir with a folder for each service; the locked pid file.
 */
int folders_make(const struct plan *plan, struct buf *problems);
int folders_lock(struct master *m, struct buf *problems);
char *folder_temp(const struct plan *plan, unsigned unit);

/* process.c */
void unit_init(struct master *m, unsigned index);
void unit_fill(struct master *m, struct unit *u); /* starts what process_min asks for */
void unit_check_demand(struct master *m, struct unit *u);
void process_start(struct master *m, struct unit *u);
void process_drain(struct process *p, bool end);
void processes_reap(struct master *m);
void processes_tick(struct master *m);
void process_session_drop(struct process *p, const char *id);
struct master *master_get(void);

/* spawn.c: fork and exec. 0, or -1 with *e. */
int spawn_process(
	struct master *m, struct unit *u, struct process *p, int *control_r, struct err *e);
int settings_memfd(struct span text);

/* reload.c */
int master_reload(struct master *m, struct buf *problems);
void master_stop(struct master *m);
void master_stop_step(struct master *m);
void master_check_ready(struct master *m);

/* admin.c */
extern const struct role_def admin_role;
void admin_listen(struct master *m);

/* notify.c: the sd_notify protocol. */
void notify_supervisor(const char *state);

#endif
