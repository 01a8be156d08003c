/* imap-settings: section [imap]. The rows are the manual; see settings.h. */
#ifndef LM_IMAP_SETTINGS_H
#define LM_IMAP_SETTINGS_H

#include "lib-common/settings.h"

struct imap_settings {
	struct service_settings service;
	uint64_t max_line_length;
	uint64_t max_append_size;
	uint64_t idle_timeout_ms;
	uint64_t idle_notify_ms;
	uint64_t max_search_keys;
};
extern const struct settings_def imap_settings_def;

#endif
