/* s3-uploader-settings: section [s3-uploader]. The rows are the manual; see settings.h. */
#ifndef LM_S3_UPLOADER_SETTINGS_H
#define LM_S3_UPLOADER_SETTINGS_H

#include "lib-common/settings.h"

struct s3_uploader_settings {
	struct service_settings service;
	int driver;
	char *path;
	char *kek_file;
	char *recovery_key;
	uint64_t pack_size;
	uint64_t prewrite_size;
	uint64_t large_size;
	uint64_t large_limit;
	uint64_t growing_timeout_ms;
	uint64_t pack_min_age_ms;
	uint64_t pack_retention_ms;
	uint64_t dead_max_age_ms;
	uint64_t threads;
	uint64_t read_threads;
};
extern const struct settings_def s3_uploader_settings_def;

#endif
