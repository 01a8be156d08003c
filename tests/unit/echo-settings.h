/* The settings of the services of master's test. */
#ifndef LM_ECHO_SETTINGS_H
#define LM_ECHO_SETTINGS_H

#include "lib-common/settings.h"

struct echo_settings {
	struct service_settings service;
	char *listen, *greeting;
	bool broken;
};
extern const struct settings_def echo_settings_def;
#ifndef ECHO_SESSIONS
#define ECHO_SESSIONS false
#endif

#endif
