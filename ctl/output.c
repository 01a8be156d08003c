/* Tables for people, JSON for programs. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "ctl/ctl.h"
#include "lib-common/mem.h"

#define COLUMNS_MAX 16

/* What a terminal could take for a command is shown as '?'. */
static void add_printable(struct buf *out, struct span s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		buf_add_c(out, (unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f ? '?' : s.p[i]);
}

static void add_cell(struct buf *out, struct span field, const struct ctl_column *column)
{
	uint64_t n = 0;
	time_t t;
	struct tm tm;
	char text[32];
	unsigned unit = 0;

	if (column->kind == COLUMN_TIME && num_u64(field, &n)) {
		t = (time_t)n;
		if (n == 0)
			buf_add_c(out, '-');
		else if (localtime_r(&t, &tm) && strftime(text, sizeof(text), "%F %T", &tm))
			buf_add_str(out, text);
	} else if (column->kind == COLUMN_SIZE && num_u64(field, &n)) {
		while (n >= 10240 && unit < 4) {
			n /= 1024;
			unit++;
		}
		buf_printf(out, "%llu", (unsigned long long)n);
		if (unit > 0)
			buf_add_c(out, "KMGT"[unit - 1]);
	} else {
		add_printable(out, field);
	}
}

static json_t *json_cell(struct span field, const struct ctl_column *column)
{
	int64_t n;
	json_t *text;

	if (column->kind != COLUMN_TEXT && num_i64(field, &n))
		return json_integer(n);
	text = json_stringn(field.p ? field.p : "", field.n);
	return text ? text : json_string("?"); /* not UTF-8 */
}

static struct span next_field(struct span *line, struct buf *unescaped)
{
	struct span field = {"", 0};

	buf_empty(unescaped);
	if (!span_cut(line, '\t', &field))
		return span_from("", 0);
	if (!memchr(field.p, 1, field.n) || !channel_unescape(unescaped, field))
		return field;
	return buf_span(unescaped);
}

static void print_json_rows(struct span rows, const struct ctl_column *columns)
{
	json_t *list = json_array(), *object;
	struct buf unescaped;
	struct span line;
	size_t i;

	buf_init(&unescaped);
	while (span_cut(&rows, '\n', &line)) {
		if (line.n == 0)
			continue;
		object = json_object();
		for (i = 0; columns[i].name; i++)
			json_object_set_new(object, columns[i].name,
				json_cell(next_field(&line, &unescaped), &columns[i]));
		json_array_append_new(list, object);
	}
	json_dumpf(list, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(list);
	buf_clear(&unescaped);
}

/* Octets are counted, not cells: names beyond ASCII only shift their own row. */
static size_t cell_width(const struct buf *cell)
{
	size_t i, n = 0;

	for (i = 0; i < cell->len; i++)
		n += ((unsigned char)cell->data[i] & 0xc0) != 0x80;
	return n;
}

static void table_pass(
	struct span rows, const struct ctl_column *columns, size_t widths[COLUMNS_MAX], bool print)
{
	struct buf unescaped, cell;
	struct span line;
	size_t i, width;

	buf_init(&unescaped);
	buf_init(&cell);
	while (span_cut(&rows, '\n', &line)) {
		if (line.n == 0)
			continue;
		for (i = 0; i < COLUMNS_MAX && columns[i].name; i++) {
			buf_empty(&cell);
			add_cell(&cell, next_field(&line, &unescaped), &columns[i]);
			width = cell_width(&cell);
			if (!print) {
				widths[i] = width > widths[i] ? width : widths[i];
				continue;
			}
			fputs(buf_str(&cell), stdout);
			if (columns[i + 1].name)
				printf("%*s", (int)(widths[i] - width) + 2, "");
		}
		if (print)
			putchar('\n');
	}
	buf_clear(&cell);
	buf_clear(&unescaped);
}

void ctl_print_rows(struct ctl *ctl, struct span rows, const struct ctl_column *columns)
{
	size_t widths[COLUMNS_MAX] = {0}, i;

	if (ctl->json) {
		print_json_rows(rows, columns);
		return;
	}
	for (i = 0; i < COLUMNS_MAX && columns[i].name; i++)
		widths[i] = strlen(columns[i].name);
	table_pass(rows, columns, widths, false);
	for (i = 0; columns[i].name; i++)
		printf("%-*s%s", columns[i + 1].name ? (int)widths[i] : 0, columns[i].name,
			columns[i + 1].name ? "  " : "\n");
	table_pass(rows, columns, widths, true);
}

void ctl_print_object(struct ctl *ctl, const struct result *r, const struct ctl_column *keys)
{
	json_t *object = json_object();
	struct buf cell;

	buf_init(&cell);
	for (; keys->name; keys++) {
		if (!result_has(r, keys->name))
			continue;
		if (ctl->json) {
			json_object_set_new(
				object, keys->name, json_cell(result_span(r, keys->name), keys));
			continue;
		}
		buf_empty(&cell);
		add_cell(&cell, result_span(r, keys->name), keys);
		printf("%-16s%s\n", keys->name, buf_str(&cell));
	}
	if (ctl->json) {
		json_dumpf(object, stdout, JSON_INDENT(2));
		putchar('\n');
	}
	json_decref(object);
	buf_clear(&cell);
}
