#include "services/login/login-settings.h"

#include <stddef.h>

#define FIELD(name) offsetof(struct login_settings, name)

/* clang-format off */
static const struct setting_row rows[] = {
	SERVICE_SETTING_ROWS(struct login_settings, "2", "8", "500", "0",
		"512M", "0", "lightmail-login", "yes"),
	{"imap_listen", SETTING_LISTENERS, FIELD(imap_listen), "0.0.0.0:143 [::]:143", 0, 0, NULL, false,
		"Addresses for IMAP with STARTTLS; empty: none."},
	{"imaps_listen", SETTING_LISTENERS, FIELD(imaps_listen), "0.0.0.0:993 [::]:993", 0, 0, NULL, false,
		"Addresses for IMAP over TLS; empty: none."},
	{"tls_cert", SETTING_PATH, FIELD(tls_cert), "$config_dir/tls/cert.pem", 1, 0, NULL, false,
		"Certificate chain in PEM, the own certificate first; empty: no TLS at all."},
	{"tls_key", SETTING_PATH, FIELD(tls_key), "$config_dir/tls/key.pem", 1, 0, NULL, false,
		"Private key of tls_cert in PEM."},
	{"tls_min_version", SETTING_ENUM, FIELD(tls_min_version), "TLSv1.2", 0, 0, "TLSv1.2|TLSv1.3", false,
		"Lowest version of TLS that is accepted."},
	{"disable_plaintext_auth", SETTING_BOOL, FIELD(disable_plaintext_auth), "yes", 0, 0, NULL, false,
		"Refuse passwords on connections without TLS."},
	{"login_timeout", SETTING_TIME_MS, FIELD(login_timeout_ms), "3m", 1000, 86400000, NULL, false,
		"Time a client has to log in."},
	{"max_line_length", SETTING_SIZE, FIELD(max_line_length), "8K", 1024, 65536, NULL, false,
		"Longest command line before login."},
	{"max_literal_size", SETTING_SIZE, FIELD(max_literal_size), "4K", 256, 65536, NULL, false,
		"Largest literal before login."},
	{"max_failures", SETTING_UINT, FIELD(max_failures), "3", 1, 100, NULL, false,
		"Failed logins after which a connection is closed."},
	{"max_connections_per_address", SETTING_UINT, FIELD(max_connections_per_address), "20", 1, 1000000, NULL, false,
		"Connections from one address (IPv6: one /64) that have not logged in yet, per process."},
	{"max_sessions_per_address", SETTING_UINT, FIELD(max_sessions_per_address), "200", 1, 1000000, NULL, false,
		"Connections from one address in all, per process."},
	{"greeting", SETTING_STRING, FIELD(greeting), "LightMail ready.", 0, 0, NULL, false,
		"Text of the greeting."},
	{.name = NULL},
};
/* clang-format on */

const struct settings_def login_settings_def = {
	.section = "login",
	.rows = rows,
	.struct_size = sizeof(struct login_settings),
};
