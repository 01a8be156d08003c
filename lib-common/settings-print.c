/* Samples and the guide, printed from the rows. */
#include "lib-common/settings-internal.h"

static void print_range(const struct setting_row *row, struct buf *out)
{
	static const char *const types[] = {
		[SETTING_STRING] = "text",
		[SETTING_SECRET] = "secret",
		[SETTING_BOOL] = "yes or no",
		[SETTING_UINT] = "number",
		[SETTING_SIZE] = "size",
		[SETTING_TIME_MS] = "time",
		[SETTING_MODE] = "octal mode",
		[SETTING_ENUM] = "one of ",
		[SETTING_LIST] = "list",
		[SETTING_LISTENERS] = "list of ADDRESS:PORT, [IPv6]:PORT or /path",
		[SETTING_PATH] = "path",
	};

	buf_add_str(out, types[row->type]);
	if (row->type == SETTING_ENUM) {
		for (const char *p = row->choices; *p != '\0'; p++) {
			if (*p == '|')
				buf_add_str(out, ", ");
			else
				buf_add_c(out, *p);
		}
	}
	if (row->type == SETTING_UINT && row->max != 0)
		buf_printf(out, " from %llu to %llu", (unsigned long long)row->min,
			(unsigned long long)row->max);
	if (row->restart)
		buf_add_str(out, "; a change replaces the processes");
}

void settings_print_sample(const struct settings_def *def, struct buf *out)
{
	buf_printf(out,
		"# Settings of [%s]. A line that is commented out shows the default.\n[%s]\n",
		def->section, def->section);
	for (const struct setting_row *row = def->rows; row->name != NULL; row++) {
		buf_printf(out, "\n# %s\n# (", row->doc);
		print_range(row, out);
		buf_printf(out, ")\n#%s =%s%s\n", row->name, *row->default_value == '\0' ? "" : " ",
			row->default_value);
	}
}

void settings_print_guide(const struct settings_def *def, struct buf *out)
{
	buf_printf(out,
		"## [%s]\n\n| setting | default | values | what it does |\n|---|---|---|---|\n",
		def->section);
	for (const struct setting_row *row = def->rows; row->name != NULL; row++) {
		buf_printf(out, "| `%s` | ", row->name);
		if (*row->default_value != '\0')
			buf_printf(out, "`%s`", row->default_value);
		buf_add_str(out, " | ");
		print_range(row, out);
		buf_printf(out, " | %s |\n", row->doc);
	}
	buf_add_str(out, "\n");
}
