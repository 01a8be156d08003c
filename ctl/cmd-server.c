/* The running server and its configuration: master/admin, indexer/admin. */
#include <stdio.h>
#include <string.h>
#include "ctl/ctl.h"
#include "lib-common/mem.h"

static const struct ctl_column status_columns[] = {{"service", COLUMN_TEXT}, {"pid", COLUMN_NUMBER},
	{"state", COLUMN_TEXT}, {"clients", COLUMN_NUMBER}, {"start", COLUMN_TIME},
	{"restarts", COLUMN_NUMBER}, {NULL, 0}};
static const struct ctl_column who_columns[] = {{"user", COLUMN_TEXT}, {"protocol", COLUMN_TEXT},
	{"address", COLUMN_TEXT}, {"session", COLUMN_TEXT}, {"pid", COLUMN_NUMBER}, {NULL, 0}};
static const struct ctl_column setting_columns[] = {
	{"setting", COLUMN_TEXT}, {"value", COLUMN_TEXT}, {"source", COLUMN_TEXT}, {NULL, 0}};

static int list(struct ctl *ctl, const char *verb, const struct ctl_column *columns)
{
	int ret;
	struct result *r = ctl_wait(ctl, ctl_call(ctl, "master/admin", verb), 0, &ret);

	if (!r)
		return ret;
	ctl_print_rows(ctl, r->body, columns);
	result_free(r);
	return CTL_OK;
}

static int server_status(struct ctl *ctl, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return list(ctl, "STATUS", status_columns);
}

static int server_who(struct ctl *ctl, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return list(ctl, "WHO", who_columns);
}

static int server_reload(struct ctl *ctl, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return ctl_do(ctl, ctl_call(ctl, "master/admin", "RELOAD"), "reloaded");
}

static int server_stop(struct ctl *ctl, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return ctl_do(ctl, ctl_call(ctl, "master/admin", "STOP"), "stopping");
}

/* A user: auth raises the generation, so that no ticket and no grant comes back. A session: indexer
 * ends its channel. */
static int server_kick(struct ctl *ctl, int argc, char **argv)
{
	struct call *call;

	(void)argc;
	if (strchr(argv[0], '@')) {
		call = ctl_call(ctl, "auth/admin", "USER-KICK");
		if (call)
			call_str(call, "user", argv[0]);
	} else if (trace_id_valid(span_of(argv[0]))) {
		call = ctl_call(ctl, "indexer/admin", "KICK");
		if (call)
			call_str(call, "session", argv[0]);
	} else {
		ctl_fail("%s is neither an address nor a session id", argv[0]);
		return CTL_USAGE;
	}
	return ctl_do(ctl, call, "kicked");
}

/* ---- configuration: from the files, so that it can be asked before a start ---- */

static int config_problems(struct ctl *ctl, struct buf *problems)
{
	struct config *config = config_new();
	struct err e;
	void *settings;
	int i, ret = config_read(config, ctl->config_path, ctl_settings, problems);

	for (i = 0; ret == 0 && ctl_settings[i]; i++) {
		settings = settings_bind(ctl_settings[i], config, &e);
		if (!settings)
			buf_printf(problems, "%s\n", e.log);
		settings_free(ctl_settings[i], settings);
	}
	config_free(config);
	return problems->len > 0 ? -1 : ret;
}

static int config_check(struct ctl *ctl, int argc, char **argv)
{
	struct buf problems;
	int ret = CTL_OK;

	(void)argc;
	(void)argv;
	buf_init(&problems);
	if (config_problems(ctl, &problems) < 0) {
		fputs(buf_str(&problems), stderr);
		ret = CTL_FAILED;
	} else if (ctl->json) {
		puts("{}");
	} else {
		printf("%s: good\n", ctl->config_path);
	}
	buf_clear(&problems);
	return ret;
}

static void show_row(struct ctl *ctl, const struct settings_def *def, const struct setting_row *row,
	struct buf *out)
{
	const char *source = NULL;
	const char *value = config_get(ctl->config, def->section, row->name, &source);

	if (!value) {
		value = row->default_value;
		source = "default";
	}
	if (row->type == SETTING_SECRET && *value)
		value = "(secret)";
	buf_printf(out, "%s.%s\t", def->section, row->name);
	channel_escape(out, span_of(value));
	buf_printf(out, "\t%s\n", source ? source : "");
}

static int config_show(struct ctl *ctl, int argc, char **argv)
{
	const struct setting_row *row;
	struct buf out;
	int i;

	buf_init(&out);
	for (i = 0; ctl_settings[i]; i++) {
		if (argc > 0 && strcmp(argv[0], ctl_settings[i]->section) != 0)
			continue;
		for (row = ctl_settings[i]->rows; row->name; row++)
			show_row(ctl, ctl_settings[i], row, &out);
	}
	if (out.len == 0) {
		buf_clear(&out);
		return ctl_fail("no section [%s]", argv[0]);
	}
	ctl_print_rows(ctl, buf_span(&out), setting_columns);
	buf_clear(&out);
	return CTL_OK;
}

static int config_defaults(struct ctl *ctl, int argc, char **argv)
{
	struct buf out;
	int i;

	(void)ctl;
	buf_init(&out);
	for (i = 0; ctl_settings[i]; i++) {
		if (argc == 0 || strcmp(argv[0], ctl_settings[i]->section) == 0)
			settings_print_sample(ctl_settings[i], &out);
	}
	if (out.len == 0) {
		buf_clear(&out);
		return ctl_fail("no section [%s]", argv[0]);
	}
	fputs(buf_str(&out), stdout);
	buf_clear(&out);
	return CTL_OK;
}

const struct ctl_op ctl_server_ops[] = {
	{"status", "", 0, 0, "", false, "Shows the processes.", server_status},
	{"who", "", 0, 0, "", false, "Shows who is logged in.", server_who},
	{"kick", "ADDRESS|SESSION", 1, 1, "", false,
		"Ends all sessions of a user, or one by its id.", server_kick},
	{"reload", "", 0, 0, "", false,
		"Reads the configuration again; a bad one is refused and the old one stays.",
		server_reload},
	{"stop", "", 0, 0, "", false, "Lets sessions finish what they do, then ends the server.",
		server_stop},
	{"config check", "", 0, 0, "", true, "Says what is wrong in the configuration files.",
		config_check},
	{"config show", "[SECTION]", 0, 1, "", false,
		"Shows all settings, their values and where these come from.", config_show},
	{"config defaults", "[SECTION]", 0, 1, "", true,
		"Prints all settings with their defaults as a commented file.", config_defaults},
	{NULL, NULL, 0, 0, NULL, false, NULL, NULL},
};
