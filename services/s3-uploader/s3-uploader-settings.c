#include "services/s3-uploader/s3-uploader-settings.h"

#include <stddef.h>

#define FIELD(name) offsetof(struct s3_uploader_settings, name)

/* clang-format off */
static const struct setting_row rows[] = {
	SERVICE_SETTING_ROWS(struct s3_uploader_settings, "1", "1", "10000", "0",
		"0", "0", "lightmail-s3-uploader", "no"),
	{"driver", SETTING_ENUM, FIELD(driver), "fs", 0, 0, "fs", true,
		"Where packs are kept: fs, a folder."},
	{"path", SETTING_PATH, FIELD(path), "$state_dir/s3-uploader/store", 0, 0, NULL, true,
		"Folder of the store (driver fs); on a file system that keeps locks and syncs."},
	{"kek_file", SETTING_PATH, FIELD(kek_file), "$config_dir/keys/kek", 1, 0, NULL, true,
		"File with the key-encryption keys, made by lightmailctl init."},
	{"recovery_key", SETTING_PATH, FIELD(recovery_key), "", 1, 0, NULL, true,
		"Public X25519 key (PEM) to which entry keys are sealed for recovery; empty: none."},
	{"pack_size", SETTING_SIZE, FIELD(pack_size), "64M", 1048576, 1099511627776ULL, NULL, true,
		"Size at which a new pack is begun."},
	{"prewrite_size", SETTING_SIZE, FIELD(prewrite_size), "8M", 0, 1073741824, NULL, true,
		"Zeros written ahead of the end of a pack, which makes syncs cheaper; 0: none."},
	{"large_size", SETTING_SIZE, FIELD(large_size), "1M", 65536, 67108864, NULL, true,
		"Longer bodies get a pack of their own."},
	{"large_limit", SETTING_UINT, FIELD(large_limit), "128", 1, 10000, NULL, false,
		"Such bodies under way at once; more are refused for the moment."},
	{"growing_timeout", SETTING_TIME_MS, FIELD(growing_timeout_ms), "5m", 1000, 3600000, NULL, false,
		"Time without news after which a body that arrives piecemeal is given up."},
	{"pack_min_age", SETTING_TIME_MS, FIELD(pack_min_age_ms), "24h", 0, 0, NULL, false,
		"Packs written to more recently are never deleted; longer than a receipt is good for."},
	{"pack_retention", SETTING_TIME_MS, FIELD(pack_retention_ms), "14d", 0, 0, NULL, false,
		"Time an emptied pack is kept; longer than the age of the oldest SQL backup to be restored."},
	{"dead_max_age", SETTING_TIME_MS, FIELD(dead_max_age_ms), "30d", 0, 0, NULL, false,
		"Age of dead entries at which a pack is rewritten."},
	{"threads", SETTING_UINT, FIELD(threads), "2", 1, 64, NULL, true,
		"Threads that compress, encrypt and sync; while one syncs the others go on."},
	{"read_threads", SETTING_UINT, FIELD(read_threads), "2", 1, 64, NULL, true,
		"Threads that read and decrypt."},
	{.name = NULL},
};
/* clang-format on */

const struct settings_def s3_uploader_settings_def = {
	.section = "s3-uploader",
	.rows = rows,
	.struct_size = sizeof(struct s3_uploader_settings),
};
