/* login-settings: section [login]. The rows are the manual; see settings.h. */
#ifndef LM_LOGIN_SETTINGS_H
#define LM_LOGIN_SETTINGS_H

#include "lib-common/settings.h"

struct login_settings {
	struct service_settings service;
	char *imap_listen;
	char *imaps_listen;
	char *tls_cert;
	char *tls_key;
	int tls_min_version;
	bool disable_plaintext_auth;
	uint64_t login_timeout_ms;
	uint64_t max_line_length;
	uint64_t max_literal_size;
	uint64_t max_failures;
	uint64_t max_connections_per_address;
	uint64_t max_sessions_per_address;
	char *greeting;
};
extern const struct settings_def login_settings_def;

#endif
