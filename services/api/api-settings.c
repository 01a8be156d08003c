#include "services/api/api-settings.h"

#include <stddef.h>

#define FIELD(name) offsetof(struct api_settings, name)

/* clang-format off */
static const struct setting_row rows[] = {
	SERVICE_SETTING_ROWS(struct api_settings, "1", "1", "1000", "0",
		"512M", "0", "lightmail-api", "yes"),
	{"listen", SETTING_LISTENERS, FIELD(listen), "127.0.0.1:8080", 0, 0, NULL, false,
		"Addresses for HTTP."},
	{"listen_mode", SETTING_MODE, FIELD(listen_mode), "0660", 0, 07777, NULL, false,
		"Mode of Unix sockets in listen."},
	{"listen_user", SETTING_STRING, FIELD(listen_user), "", 0, 0, NULL, false,
		"Owner of Unix sockets in listen; empty: the user of master."},
	{"listen_group", SETTING_STRING, FIELD(listen_group), "", 0, 0, NULL, false,
		"Group of Unix sockets in listen; empty: the group of master."},
	{"idle_timeout", SETTING_TIME_MS, FIELD(idle_timeout_ms), "60s", 1000, 3600000, NULL, false,
		"Time without a request after which a connection ends."},
	{.name = NULL},
};
/* clang-format on */

const struct settings_def api_settings_def = {
	.section = "api",
	.rows = rows,
	.struct_size = sizeof(struct api_settings),
};
