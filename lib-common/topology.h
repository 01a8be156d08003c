/*
 * topology: which service offers which role, and who may open it. Master binds one socket for each
 * (role, client) pair inside the client's folder, run_dir/<client>/<role with '/' as '-'>, so the
 * file system view of a process is its access list; a per-pair token in the handshake proves the
 * role where services share a uid.
 */
#ifndef LM_TOPOLOGY_H
#define LM_TOPOLOGY_H

struct topology_role {
	const char *role;    /* "indexer/session" */
	const char *service; /* who offers it */
	const char *clients; /* blank-separated; "ctl" is run_dir/ctl, for lightmailctl (root or the
				operator's group only, no token) */
};
extern const struct topology_role topology_roles[]; /* ends with role NULL */

struct topology_key {
	const char *name;     /* "ticket-key" */
	const char *services; /* who gets it */
};
extern const struct topology_key topology_keys[]; /* ends with name NULL */

/* Outside listeners: the setting in the service's section that lists its addresses. */
struct topology_listener {
	const char *name;    /* "imaps" */
	const char *service; /* "login" */
	const char *setting; /* "imaps_listen" */
};
extern const struct topology_listener topology_listeners[]; /* ends with name NULL */

#endif
