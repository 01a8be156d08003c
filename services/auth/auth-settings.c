#include "services/auth/auth-settings.h"

#include <stddef.h>
#include "lib-auth/password.h"
#include "lib-common/net.h"

#define FIELD(name) offsetof(struct auth_settings, name)

/* clang-format off */
static const struct setting_row rows[] = {
	SERVICE_SETTING_ROWS(struct auth_settings, "1", "1", "10000", "0",
		"0", "0", "lightmail-auth", "yes"),
	{"database", SETTING_PATH, FIELD(database), "$state_dir/auth/auth.db", 0, 0, NULL, true,
		"File of the user database (SQLite)."},
	{"password_scheme", SETTING_ENUM, FIELD(password_scheme), "ARGON2ID", 0, 0, PASSWORD_SCHEME_CHOICES, false,
		"Scheme for new passwords, and for those that are weaker at their next login; SSHA512 is for test instances."},
	{"argon2_memory", SETTING_SIZE, FIELD(argon2_memory), "19M", 65536, 4294967296ULL, NULL, false,
		"Memory of one ARGON2ID hash."},
	{"argon2_time", SETTING_UINT, FIELD(argon2_time), "2", 1, 100, NULL, false,
		"Passes of one ARGON2ID hash."},
	{"argon2_parallelism", SETTING_UINT, FIELD(argon2_parallelism), "1", 1, 64, NULL, false,
		"Lanes of one ARGON2ID hash."},
	{"bcrypt_cost", SETTING_UINT, FIELD(bcrypt_cost), "12", 4, 31, NULL, false,
		"Cost of BLF-CRYPT hashes."},
	{"sha512_rounds", SETTING_UINT, FIELD(sha512_rounds), "500000", 1000, 999999999, NULL, false,
		"Rounds of SHA512-CRYPT hashes."},
	{"hash_threads", SETTING_UINT, FIELD(hash_threads), "2", 1, 256, NULL, true,
		"Passwords that are checked at the same time."},
	{"hash_queue", SETTING_UINT, FIELD(hash_queue), "256", 1, 100000, NULL, false,
		"Checks that may wait; further logins get a temporary failure."},
	{"login_cache_size", SETTING_UINT, FIELD(login_cache_size), "10000", 0, 10000000, NULL, false,
		"Verified logins kept in memory (as a keyed hash); 0: none."},
	{"login_cache_ttl", SETTING_TIME_MS, FIELD(login_cache_ttl_ms), "5m", 0, 86400000, NULL, false,
		"Time a verified login is kept."},
	{"penalty_start", SETTING_TIME_MS, FIELD(penalty_start_ms), "500ms", 0, 60000, NULL, false,
		"Delay of the answer to a first failed login."},
	{"penalty_max", SETTING_TIME_MS, FIELD(penalty_max_ms), "15s", 0, 600000, NULL, false,
		"Longest delay after repeated failures of a user or an address."},
	{"penalty_forget", SETTING_TIME_MS, FIELD(penalty_forget_ms), "15m", 1000, 86400000, NULL, false,
		"Time after the last failure when a user's or an address' failures are forgotten."},
	{"penalty_exempt", SETTING_LIST, FIELD(penalty_exempt), "", 0, 0, NULL, false,
		"Networks whose logins are never delayed."},
	{"default_domain", SETTING_STRING, FIELD(default_domain), "", 0, 0, NULL, false,
		"Domain of login names that have none; empty: such names are refused."},
	{"recipient_delimiter", SETTING_STRING, FIELD(recipient_delimiter), "+", 0, 0, NULL, false,
		"Octets that separate user and detail in an address; empty: none."},
	{"default_quota", SETTING_SIZE, FIELD(default_quota), "0", 0, 0, NULL, false,
		"Quota of new users in octets; 0: none."},
	{"default_quota_messages", SETTING_UINT, FIELD(default_quota_messages), "0", 0, 0, NULL, false,
		"Quota of new users in messages; 0: none."},
	{.name = NULL},
};
/* clang-format on */

static int auth_settings_check(const void *settings, struct err *e)
{
	const struct auth_settings *s = settings;
	char bad[NET_TEXT_SIZE + 8];

	if (net_list_check(s->penalty_exempt, bad) != NULL)
		return err_set(e, ERR_PERM, "auth.penalty_exempt: %s is not a network", bad);
	if (s->penalty_start_ms > s->penalty_max_ms)
		return err_set(e, ERR_PERM, "auth.penalty_start is above auth.penalty_max");
	return 0;
}

const struct settings_def auth_settings_def = {
	.section = "auth",
	.rows = rows,
	.struct_size = sizeof(struct auth_settings),
	.check = auth_settings_check,
};
