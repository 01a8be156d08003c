#include "tests/unit/echo-settings.h"

#include <stddef.h>

#define FIELD(name) offsetof(struct echo_settings, name)

/* clang-format off */
static const struct setting_row rows[] = {
	SERVICE_SETTING_ROWS(struct echo_settings, "1", "3", "1", "0", "0", "0", "nobody", "yes"),
	{"listen", SETTING_LISTENERS, FIELD(listen), "", 0, 0, NULL, false, "Where it listens."},
	{"greeting", SETTING_STRING, FIELD(greeting), "hello", 0, 0, NULL, false, "What it says."},
	{"broken", SETTING_BOOL, FIELD(broken), "no", 0, 0, NULL, true, "Whether it fails to start."},
	{.name = NULL},
};
/* clang-format on */

const struct settings_def echo_settings_def = {
	.section = "echo-service",
	.rows = rows,
	.struct_size = sizeof(struct echo_settings),
};
