/* The services that master knows. */
#include "master/master.h"

#include "services/api/api-settings.h"
#include "services/auth/auth-settings.h"
#include "services/imap/imap-settings.h"
#include "services/indexer/indexer-settings.h"
#include "services/lmtp/lmtp-settings.h"
#include "services/login/login-settings.h"
#include "services/s3-uploader/s3-uploader-settings.h"

/* In the order in which they are started. */
const struct unit_def unit_defs[UNIT_COUNT] = {
	{"auth", &auth_settings_def, false, false, false},
	{"s3-uploader", &s3_uploader_settings_def, false, false, false},
	{"indexer", &indexer_settings_def, false, false, false},
	{"imap", &imap_settings_def, true, true, false},
	{"lmtp", &lmtp_settings_def, false, true, false},
	{"login", &login_settings_def, false, true, true},
	{"api", &api_settings_def, false, true, false},
};
