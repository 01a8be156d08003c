#include "ctl/ctl.h"

#include <stdio.h>
#include <string.h>
#include "services/api/api-settings.h"
#include "services/auth/auth-settings.h"
#include "services/imap/imap-settings.h"
#include "services/indexer/indexer-settings.h"
#include "services/lmtp/lmtp-settings.h"
#include "services/login/login-settings.h"
#include "services/s3-uploader/s3-uploader-settings.h"

const struct settings_def *const ctl_settings_defs[] = {
	&global_settings_def,
	&login_settings_def,
	&auth_settings_def,
	&imap_settings_def,
	&lmtp_settings_def,
	&indexer_settings_def,
	&s3_uploader_settings_def,
	&api_settings_def,
	NULL,
};

int ctl_config_load(struct ctl *ctl)
{
	struct buf problems;
	struct err e;
	int r;

	buf_init(&problems);
	ctl->config = config_new();
	r = config_read(ctl->config, ctl->config_path, ctl_settings_defs, &problems);
	if (r < 0)
		fprintf(stderr, "%s", buf_str(&problems));
	buf_clear(&problems);
	if (r < 0)
		return -1;
	ctl->global = settings_bind(&global_settings_def, ctl->config, &e);
	if (ctl->global == NULL) {
		fprintf(stderr, "%s\n", e.log);
		return -1;
	}
	return 0;
}

int ctl_config_check(struct ctl *ctl, const struct ctl_op *op, int argc, char **argv)
{
	int status = CTL_OK;

	(void)op;
	(void)argc;
	(void)argv;
	for (size_t i = 0; ctl_settings_defs[i] != NULL; i++) {
		struct err e;
		void *s = settings_bind(ctl_settings_defs[i], ctl->config, &e);

		if (s == NULL) {
			fprintf(stderr, "%s\n", e.log);
			status = CTL_FAILED;
		} else {
			settings_free(ctl_settings_defs[i], s);
		}
	}
	if (status == CTL_OK && !ctl->json)
		printf("%s is good.\n", ctl->config_path);
	return status;
}

static bool row_is_secret(struct span section, struct span name)
{
	for (size_t i = 0; ctl_settings_defs[i] != NULL; i++) {
		if (!span_is(section, ctl_settings_defs[i]->section))
			continue;
		for (const struct setting_row *r = ctl_settings_defs[i]->rows; r->name != NULL;
			r++) {
			if (span_is(name, r->name))
				return r->type == SETTING_SECRET;
		}
	}
	return true;
}

static void config_lines(struct ctl *ctl, const char *section, struct buf *out)
{
	struct span rest, line, name, own, value;
	struct buf text;

	buf_init(&text);
	config_serialise(ctl->config, ctl_settings_defs, &text);
	rest = buf_span(&text);
	while (span_cut(&rest, '\n', &line)) {
		const char *source = NULL;
		char section_text[64], name_text[64];

		value = line;
		if (line.n == 0 || !span_cut(&value, '\t', &name) || !span_cut(&name, '.', &own) ||
			(section != NULL && !span_is(own, section)))
			continue;
		(void)snprintf(section_text, sizeof(section_text), "%.*s", (int)own.n, own.p);
		(void)snprintf(name_text, sizeof(name_text), "%.*s", (int)name.n, name.p);
		(void)config_get(ctl->config, section_text, name_text, &source);
		buf_printf(out, "%s.%s\t", section_text, name_text);
		if (row_is_secret(own, name))
			buf_add_str(out, "(secret)");
		else
			buf_add_span(out, value);
		buf_printf(out, "\t%s\n", source == NULL ? "default" : source);
	}
	buf_wipe(&text);
}

int ctl_config_show(struct ctl *ctl, const struct ctl_op *op, int argc, char **argv)
{
	struct buf out;

	(void)op;
	buf_init(&out);
	config_lines(ctl, argc > 0 ? argv[0] : NULL, &out);
	if (out.len == 0) {
		fprintf(stderr, "lightmailctl: no such section\n");
		return CTL_FAILED;
	}
	ctl_print_table(ctl, "setting value source", buf_span(&out));
	buf_clear(&out);
	return CTL_OK;
}

int ctl_config_defaults(struct ctl *ctl, const struct ctl_op *op, int argc, char **argv)
{
	struct buf out;

	(void)op;
	buf_init(&out);
	for (size_t i = 0; ctl_settings_defs[i] != NULL; i++) {
		const struct settings_def *def = ctl_settings_defs[i];

		if (argc > 0 && strcmp(argv[0], def->section) != 0)
			continue;
		for (const struct setting_row *r = def->rows; r->name != NULL; r++)
			buf_printf(&out, "%s.%s\t%s\t%s\n", def->section, r->name, r->default_value,
				r->doc);
	}
	if (out.len == 0) {
		fprintf(stderr, "lightmailctl: no such section\n");
		return CTL_FAILED;
	}
	ctl_print_table(ctl, "setting default meaning", buf_span(&out));
	buf_clear(&out);
	return CTL_OK;
}
