/* Values: text to field and back, for each type of setting; and the structs made of them. */
#include "lib-common/settings-internal.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <strings.h>

#include "lib-common/mem.h"

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit size_units[] = {
	{"", 1},
	{"K", 1ULL << 10},
	{"M", 1ULL << 20},
	{"G", 1ULL << 30},
	{"T", 1ULL << 40},
	{NULL, 0},
};

static const struct unit time_units[] = {
	{"ms", 1},
	{"s", 1000},
	{"m", 60 * 1000},
	{"h", 3600 * 1000},
	{"d", 86400 * 1000},
	{"w", 7 * 86400 * 1000},
	{NULL, 0},
};

/* DIGITS UNIT; a bare 0 needs no unit. */
static bool number_with_unit(const char *text, const struct unit *units, uint64_t *v_r)
{
	size_t digits = strspn(text, "0123456789");
	uint64_t n;

	if (!num_u64(span_from(text, digits), &n))
		return false;
	if (n == 0 && text[digits] == '\0') {
		*v_r = 0;
		return true;
	}
	for (const struct unit *u = units; u->name != NULL; u++) {
		if (strcasecmp(text + digits, u->name) == 0)
			return !__builtin_mul_overflow(n, u->factor, v_r);
	}
	return false;
}

static int range_check(const struct setting_row *row, uint64_t n, struct err *e)
{
	if (row->min == 0 && row->max == 0)
		return 0;
	if (n < row->min || (row->max != 0 && n > row->max))
		return err_set(e, ERR_PERM, "%s must be between %llu and %llu", row->name,
			(unsigned long long)row->min, (unsigned long long)row->max);
	return 0;
}

static int number_parse(
	const struct setting_row *row, const char *text, uint64_t *v_r, struct err *e)
{
	switch (row->type) {
	case SETTING_UINT:
		if (!num_u64(span_of(text), v_r))
			return err_set(e, ERR_PERM, "%s takes a number, not '%s'", row->name, text);
		break;
	case SETTING_SIZE:
		if (!number_with_unit(text, size_units, v_r))
			return err_set(e, ERR_PERM, "%s takes a size such as 64K or 10M, not '%s'",
				row->name, text);
		break;
	case SETTING_TIME_MS:
		if (!number_with_unit(text, time_units, v_r))
			return err_set(e, ERR_PERM,
				"%s takes a time such as 500ms, 30s or 2h, not '%s'", row->name,
				text);
		break;
	default: {
		char *end;

		*v_r = strtoull(text, &end, 8);
		if (*text < '0' || *text > '7' || *end != '\0' || *v_r > 07777)
			return err_set(
				e, ERR_PERM, "%s takes an octal mode, not '%s'", row->name, text);
		return 0;
	}
	}
	return range_check(row, *v_r, e);
}

static int enum_parse(const struct setting_row *row, const char *text, int *v_r, struct err *e)
{
	struct span rest = span_of(row->choices), part;

	for (int i = 0; span_cut(&rest, '|', &part); i++) {
		if (span_is_nocase(part, text)) {
			*v_r = i;
			return 0;
		}
	}
	return err_set(e, ERR_PERM, "%s is one of %s, not '%s'", row->name, row->choices, text);
}

static bool bool_parse(const char *text, bool *v_r)
{
	*v_r = strcasecmp(text, "yes") == 0 || strcasecmp(text, "true") == 0;
	return *v_r || strcasecmp(text, "no") == 0 || strcasecmp(text, "false") == 0;
}

bool listener_valid(struct span word)
{
	char address[INET6_ADDRSTRLEN + 2];
	struct in6_addr any;
	uint32_t port;
	size_t colon = word.n;

	if (word.n > 1 && word.p[0] == '/')
		return word.n < 100;
	while (colon > 0 && word.p[colon - 1] != ':')
		colon--;
	if (colon < 2 || !num_u32(span_from(word.p + colon, word.n - colon), &port) || port > 65535)
		return false;
	word.n = colon - 1;
	bool v6 = word.n > 2 && word.p[0] == '[' && word.p[word.n - 1] == ']';
	if (v6)
		word = span_from(word.p + 1, word.n - 2);
	if (word.n >= sizeof(address))
		return false;
	memcpy(address, word.p, word.n);
	address[word.n] = '\0';
	return inet_pton(v6 ? AF_INET6 : AF_INET, address, &any) == 1;
}

static char *list_normalise(const char *text)
{
	struct buf out;

	buf_init(&out);
	for (const char *p = text; *p != '\0';) {
		size_t n = strcspn(p, " \t,");
		if (n > 0) {
			if (out.len > 0)
				buf_add_c(&out, ' ');
			buf_add(&out, p, n);
		}
		p += n;
		p += strspn(p, " \t,");
	}
	return out.len == 0 ? mem_strdup("") : buf_steal(&out, NULL);
}

static int string_parse(const struct setting_row *row, const char *text, char **v_r, struct err *e)
{
	struct span rest, word;

	*v_r = NULL;
	if (row->type == SETTING_PATH && *text != '\0' && *text != '/')
		return err_set(e, ERR_PERM, "%s takes an absolute path, not '%s'", row->name, text);
	if (row->type != SETTING_LIST && row->type != SETTING_LISTENERS) {
		*v_r = mem_strdup(text);
		return 0;
	}
	*v_r = list_normalise(text);
	if (row->type == SETTING_LIST)
		return 0;
	rest = span_of(*v_r);
	while (rest.n > 0 && span_cut(&rest, ' ', &word)) {
		if (listener_valid(word))
			continue;
		err_set(e, ERR_PERM, "%s: '%.*s' is not ADDRESS:PORT, [IPv6]:PORT or /path",
			row->name, (int)word.n, word.p);
		mem_free(*v_r);
		*v_r = NULL;
		return -1;
	}
	return 0;
}

bool setting_is_text(const struct setting_row *row)
{
	switch (row->type) {
	case SETTING_STRING:
	case SETTING_SECRET:
	case SETTING_LIST:
	case SETTING_LISTENERS:
	case SETTING_PATH:
		return true;
	default:
		return false;
	}
}

int setting_store(const struct setting_row *row, const char *text, void *settings, struct err *e)
{
	void *field = (char *)settings + row->offset;

	if (setting_is_text(row)) {
		char *value;

		if (string_parse(row, text, &value, e) < 0)
			return -1;
		mem_free(*(char **)field);
		*(char **)field = value;
		return 0;
	}
	if (row->type == SETTING_BOOL) {
		if (!bool_parse(text, field))
			return err_set(e, ERR_PERM, "%s is yes or no, not '%s'", row->name, text);
		return 0;
	}
	if (row->type == SETTING_ENUM)
		return enum_parse(row, text, field, e);
	return number_parse(row, text, field, e);
}

int setting_check(const struct setting_row *row, const char *text, struct err *e)
{
	union {
		char *text;
		uint64_t number;
		int choice;
		bool yes;
	} field = {.number = 0};
	struct setting_row copy = *row;

	copy.offset = 0;
	if (setting_store(&copy, text, &field, e) < 0)
		return -1;
	if (setting_is_text(row))
		mem_free(field.text);
	return 0;
}

const struct setting_row *settings_row(const struct settings_def *def, struct span name)
{
	for (const struct setting_row *row = def->rows; row->name != NULL; row++) {
		if (span_is(name, row->name))
			return row;
	}
	return NULL;
}

void *settings_defaults(const struct settings_def *def, bool except_text, struct err *e)
{
	char *s = mem_alloc(def->struct_size);

	for (const struct setting_row *row = def->rows; row->name != NULL; row++) {
		if (except_text && setting_is_text(row))
			*(char **)(s + row->offset) = mem_strdup("");
		else if (setting_store(row, row->default_value, s, e) < 0) {
			settings_free(def, s);
			return NULL;
		}
	}
	return s;
}

void settings_free(const struct settings_def *def, void *settings)
{
	if (settings == NULL)
		return;
	for (const struct setting_row *row = def->rows; row->name != NULL; row++) {
		char **field = (char **)((char *)settings + row->offset);

		if (!setting_is_text(row))
			continue;
		if (row->type == SETTING_SECRET && *field != NULL)
			mem_wipe(*field, strlen(*field));
		mem_free(*field);
	}
	mem_free(settings);
}

void *settings_parse(const struct settings_def *def, struct span lines, struct err *e)
{
	void *s = settings_defaults(def, true, e);
	struct span line, key;
	size_t prefix = strlen(def->section) + 1;

	while (s != NULL && lines.n > 0 && span_cut(&lines, '\n', &line)) {
		const struct setting_row *row;
		char *value;
		int rc;

		if (!span_cut(&line, '\t', &key) || key.n <= prefix || line.p == NULL ||
			strncmp(key.p, def->section, prefix - 1) != 0 || key.p[prefix - 1] != '.')
			continue;
		row = settings_row(def, span_from(key.p + prefix, key.n - prefix));
		if (row == NULL)
			continue; /* written by a newer master */
		value = mem_dup(line.p, line.n);
		rc = setting_store(row, value, s, e);
		mem_free(value);
		if (rc < 0) {
			settings_free(def, s);
			return NULL;
		}
	}
	return s;
}

bool setting_list_has(const char *list, const char *word)
{
	struct span rest = span_of(list), part;

	while (rest.n > 0 && span_cut(&rest, ' ', &part)) {
		if (span_is(part, word))
			return true;
	}
	return false;
}
