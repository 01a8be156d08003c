#include "services/indexer/indexer-settings.h"

#include <stddef.h>

#define FIELD(name) offsetof(struct indexer_settings, name)

/* clang-format off */
static const struct setting_row rows[] = {
	SERVICE_SETTING_ROWS(struct indexer_settings, "1", "1", "100000", "0",
		"0", "0", "lightmail-indexer", "no"),
	{"database", SETTING_PATH, FIELD(database), "$state_dir/indexer/indexer.db", 0, 0, NULL, true,
		"File of the metadata database (SQLite)."},
	{"reader_threads", SETTING_UINT, FIELD(reader_threads), "4", 1, 64, NULL, true,
		"Threads that read, each with a database connection of its own."},
	{"state_memory", SETTING_SIZE, FIELD(state_memory), "256M", 1048576, 1099511627776ULL, NULL, false,
		"Memory for mailbox states kept for the next SELECT."},
	{"max_sessions_per_user", SETTING_UINT, FIELD(max_sessions_per_user), "50", 1, 100000, NULL, false,
		"Sessions of one user at a time."},
	{"max_sessions_per_address", SETTING_UINT, FIELD(max_sessions_per_address), "50", 1, 100000, NULL, false,
		"Sessions of one user from one address at a time."},
	{"expunge_grace", SETTING_TIME_MS, FIELD(expunge_grace_ms), "7d", 0, 0, NULL, false,
		"Time in which an expunged message can be restored."},
	{"vanished_history", SETTING_TIME_MS, FIELD(vanished_history_ms), "90d", 0, 0, NULL, false,
		"Time for which the UIDs of expunged messages are remembered."},
	{"duplicate_window", SETTING_TIME_MS, FIELD(duplicate_window_ms), "6h", 0, 0, NULL, false,
		"Time in which a repeated delivery is recognised."},
	{"receipt_lifetime", SETTING_TIME_MS, FIELD(receipt_lifetime_ms), "1h", 60000, 86400000, NULL, false,
		"Age up to which a stored body can be committed."},
	{"subaddress_create", SETTING_BOOL, FIELD(subaddress_create), "no", 0, 0, NULL, false,
		"Create the mailbox that the detail of an address names."},
	{.name = NULL},
};
/* clang-format on */

const struct settings_def indexer_settings_def = {
	.section = "indexer",
	.rows = rows,
	.struct_size = sizeof(struct indexer_settings),
};
