#include "services/s3-uploader/s3-uploader-settings.h"

#include <stddef.h>

#define FIELD(name) offsetof(struct s3_uploader_settings, name)

/* clang-format off */
static const struct setting_row rows[] = {
	SERVICE_SETTING_ROWS(struct s3_uploader_settings, "1", "1", "10000", "0",
		"0", "0", "lightmail-s3-uploader", "no"),
	{"driver", SETTING_ENUM, FIELD(driver), "fs", 0, 0, "fs", true,
		"Where packs are kept: fs, a folder."},
	{"path", SETTING_PATH, FIELD(path), "$state_dir/s3-uploader/packs", 0, 0, NULL, true,
		"Folder of the packs (driver fs)."},
	{"kek_file", SETTING_PATH, FIELD(kek_file), "$config_dir/keys/kek", 1, 0, NULL, true,
		"File with the key-encryption keys, made by lightmailctl init."},
	{"recovery_key", SETTING_PATH, FIELD(recovery_key), "", 1, 0, NULL, true,
		"Public key (PEM) to which entry keys are sealed for recovery; empty: none."},
	{"pack_size", SETTING_SIZE, FIELD(pack_size), "64M", 1048576, 1099511627776ULL, NULL, false,
		"Size at which a new pack is begun."},
	{"pack_max_entries", SETTING_UINT, FIELD(pack_max_entries), "0", 0, 0, NULL, false,
		"Bodies of one pack; 0: no limit."},
	{"pack_retention", SETTING_TIME_MS, FIELD(pack_retention_ms), "14d", 0, 0, NULL, false,
		"Time an emptied pack is kept; longer than the age of the oldest SQL backup to be restored."},
	{"dead_max_age", SETTING_TIME_MS, FIELD(dead_max_age_ms), "30d", 0, 0, NULL, false,
		"Age of dead entries at which a pack is rewritten."},
	{"threads", SETTING_UINT, FIELD(threads), "2", 1, 64, NULL, true,
		"Threads that compress and encrypt."},
	{"compression_level", SETTING_UINT, FIELD(compression_level), "3", 0, 19, NULL, false,
		"Level of zstd; 0: no compression."},
	{.name = NULL},
};
/* clang-format on */

const struct settings_def s3_uploader_settings_def = {
	.section = "s3-uploader",
	.rows = rows,
	.struct_size = sizeof(struct s3_uploader_settings),
};
