/* api-settings: section [api]. The rows are the manual; see settings.h. */
#ifndef LM_API_SETTINGS_H
#define LM_API_SETTINGS_H

#include "lib-common/settings.h"

struct api_settings {
	struct service_settings service;
	char *listen;
	uint64_t listen_mode;
	char *listen_user;
	char *listen_group;
	uint64_t idle_timeout_ms;
};
extern const struct settings_def api_settings_def;

#endif
