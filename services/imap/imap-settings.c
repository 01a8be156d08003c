#include "services/imap/imap-settings.h"

#include <stddef.h>

#define FIELD(name) offsetof(struct imap_settings, name)

/* clang-format off */
static const struct setting_row rows[] = {
	SERVICE_SETTING_ROWS(struct imap_settings, "4", "1000", "1", "1",
		"512M", "0", "lightmail-imap", "yes"),
	{"max_line_length", SETTING_SIZE, FIELD(max_line_length), "64K", 8192, 1048576, NULL, false,
		"Longest command line without its literals."},
	{"max_append_size", SETTING_SIZE, FIELD(max_append_size), "64M", 65536, 1099511627776ULL, NULL, false,
		"Largest message that APPEND takes."},
	{"idle_timeout", SETTING_TIME_MS, FIELD(idle_timeout_ms), "30m", 1800000, 86400000, NULL, false,
		"Time without a command after which a session ends (RFC 9051: at least 30 minutes)."},
	{"idle_notify", SETTING_TIME_MS, FIELD(idle_notify_ms), "2m", 0, 3600000, NULL, false,
		"Interval of a keep-alive line in IDLE; 0: none."},
	{"max_search_keys", SETTING_UINT, FIELD(max_search_keys), "1000", 10, 100000, NULL, false,
		"Most keys of one SEARCH."},
	{.name = NULL},
};
/* clang-format on */

const struct settings_def imap_settings_def = {
	.section = "imap",
	.rows = rows,
	.struct_size = sizeof(struct imap_settings),
};
