#include "services/lmtp/lmtp-settings.h"

#include "lib-common/net.h"

#include <stddef.h>

#define FIELD(name) offsetof(struct lmtp_settings, name)

/* clang-format off */
static const struct setting_row rows[] = {
	SERVICE_SETTING_ROWS(struct lmtp_settings, "1", "20", "50", "0",
		"1G", "0", "lightmail-lmtp", "yes"),
	{"listen", SETTING_LISTENERS, FIELD(listen), "$run_dir/lmtp.sock", 0, 0, NULL, false,
		"Unix sockets and TCP addresses for LMTP (RFC 2033); TCP has no authentication, so keep it on loopback."},
	{"listen_mode", SETTING_MODE, FIELD(listen_mode), "0660", 0, 07777, NULL, false,
		"Mode of Unix sockets in listen."},
	{"listen_user", SETTING_STRING, FIELD(listen_user), "", 0, 0, NULL, false,
		"Owner of Unix sockets in listen; empty: the user of master."},
	{"listen_group", SETTING_STRING, FIELD(listen_group), "", 0, 0, NULL, false,
		"Group of Unix sockets in listen; empty: the group of master."},
	{"message_size_limit", SETTING_SIZE, FIELD(message_size_limit), "64M", 65536, 1099511627776ULL, NULL, false,
		"Largest message (SIZE, RFC 1870)."},
	{"max_recipients", SETTING_UINT, FIELD(max_recipients), "1000", 1, 100000, NULL, false,
		"Recipients of one message."},
	{"idle_timeout", SETTING_TIME_MS, FIELD(idle_timeout_ms), "5m", 1000, 86400000, NULL, false,
		"Time without input after which a connection ends."},
	{"trusted_networks", SETTING_LIST, FIELD(trusted_networks), "127.0.0.0/8 ::1/128", 0, 0, NULL, false,
		"Networks that may connect over TCP."},
	{.name = NULL},
};
/* clang-format on */

static int check(const void *settings, struct err *e)
{
	const struct lmtp_settings *s = settings;
	char text[NET_TEXT_SIZE + 8];
	const char *bad = net_list_check(s->trusted_networks, text);

	if (bad != NULL)
		return err_set(e, ERR_PERM, "trusted_networks: not a network: %s", bad);
	return 0;
}

const struct settings_def lmtp_settings_def = {
	.section = "lmtp",
	.rows = rows,
	.struct_size = sizeof(struct lmtp_settings),
	.check = check,
};
