/* lmtp-settings: section [lmtp]. The rows are the manual; see settings.h. */
#ifndef LM_LMTP_SETTINGS_H
#define LM_LMTP_SETTINGS_H

#include "lib-common/settings.h"

struct lmtp_settings {
	struct service_settings service;
	char *listen;
	uint64_t listen_mode;
	char *listen_user;
	char *listen_group;
	uint64_t message_size_limit;
	uint64_t max_recipients;
	uint64_t idle_timeout_ms;
	char *trusted_networks;
};
extern const struct settings_def lmtp_settings_def;

#endif
