#include "ctl/ctl.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "lib-common/mem.h"

#define COLUMNS_MAX 16
#define COLUMN_WIDTH_MAX 60

/* Untrusted text must not steer a terminal. */
static void print_clean(struct span s, size_t width)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		putchar(c < 0x20 || c == 0x7f ? '?' : c);
	}
	for (size_t i = s.n; i < width; i++)
		putchar(' ');
}

static size_t split(struct span line, char sep, struct span parts[COLUMNS_MAX])
{
	size_t n = 0;

	while (n < COLUMNS_MAX && span_cut(&line, sep, &parts[n]))
		n++;
	return n;
}

static json_t *json_value(struct span v)
{
	struct buf text;
	uint64_t n;
	json_t *j;

	if (num_u64(v, &n) && v.n < 16 && (v.n == 1 || v.p[0] != '0'))
		return json_integer((json_int_t)n);
	buf_init(&text);
	if (!channel_unescape(&text, v)) {
		buf_empty(&text);
		buf_add_span(&text, v);
	}
	j = json_stringn(buf_str(&text), text.len);
	buf_clear(&text);
	return j == NULL ? json_null() : j;
}

static void print_json(json_t *j)
{
	(void)json_dumpf(j, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	putchar('\n');
	json_decref(j);
}

static void print_table_json(const struct span *names, size_t n_names, struct span body)
{
	json_t *rows = json_array();
	struct span line, cells[COLUMNS_MAX];

	while (span_cut(&body, '\n', &line)) {
		json_t *row;
		size_t n;

		if (line.n == 0)
			continue;
		row = json_object();
		n = split(line, '\t', cells);
		for (size_t i = 0; i < n && i < n_names; i++) {
			char *name = mem_dup(names[i].p, names[i].n);

			(void)json_object_set_new(row, name, json_value(cells[i]));
			mem_free(name);
		}
		(void)json_array_append_new(rows, row);
	}
	print_json(rows);
}

static void measure(struct span line, size_t widths[COLUMNS_MAX])
{
	struct span cells[COLUMNS_MAX];
	size_t n = split(line, '\t', cells);

	for (size_t i = 0; i < n; i++) {
		if (cells[i].n > widths[i])
			widths[i] = cells[i].n < COLUMN_WIDTH_MAX ? cells[i].n : COLUMN_WIDTH_MAX;
	}
}

static void print_row(const struct span *cells, size_t n, const size_t widths[COLUMNS_MAX])
{
	for (size_t i = 0; i < n; i++) {
		print_clean(cells[i], i + 1 < n ? widths[i] : 0);
		if (i + 1 < n)
			(void)fputs("  ", stdout);
	}
	putchar('\n');
}

void ctl_print_table(const struct ctl *ctl, const char *columns, struct span body)
{
	struct span names[COLUMNS_MAX], cells[COLUMNS_MAX], rest = body, line;
	size_t n_names = split(span_of(columns), ' ', names), widths[COLUMNS_MAX] = {0};

	if (ctl->json) {
		print_table_json(names, n_names, body);
		return;
	}
	for (size_t i = 0; i < n_names; i++)
		widths[i] = names[i].n;
	while (span_cut(&rest, '\n', &line))
		measure(line, widths);
	print_row(names, n_names, widths);
	while (span_cut(&body, '\n', &line)) {
		if (line.n > 0)
			print_row(cells, split(line, '\t', cells), widths);
	}
}

void ctl_print_keys(const struct ctl *ctl, const struct result *r)
{
	json_t *object = json_object();

	for (size_t i = 0; i < r->n_params; i++) {
		const struct channel_param *p = &r->params[i];

		if (span_is(p->key, "body") || span_is(p->key, "bodyfd") || span_is(p->key, "fd"))
			continue;
		if (ctl->json) {
			char *key = mem_dup(p->key.p, p->key.n);

			(void)json_object_set_new(object, key, json_value(p->value));
			mem_free(key);
		} else {
			printf("%.*s: ", (int)p->key.n, p->key.p);
			print_clean(p->value, 0);
			putchar('\n');
		}
	}
	if (ctl->json)
		print_json(object);
	else
		json_decref(object);
}
