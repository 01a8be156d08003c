/* What master-echo knows in place of the real services: one service and its listener. */
#include "lib-common/topology.h"
#include "master/master.h"
#include "tests/unit/echo-settings.h"

const struct unit_def unit_defs[UNIT_COUNT] = {
	{"echo-service", &echo_settings_def, ECHO_SESSIONS, true, false},
};

const struct topology_role topology_roles[] = {
	{"master/admin", "master", "ctl"},
	{NULL, NULL, NULL},
};

const struct topology_key topology_keys[] = {
	{"test-key", "echo-service"},
	{NULL, NULL},
};

const struct topology_listener topology_listeners[] = {
	{"echo", "echo-service", "listen"},
	{NULL, NULL, NULL},
};
