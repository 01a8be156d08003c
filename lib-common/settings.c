/*
 * The configuration as text: files, --set, expansion of $run_dir and its like, and the lines that a
 * process gets. inih cuts the lines; what it passes over in silence (a section without keys, a line
 * without '=', a line beyond its limit) is reported by our reader, which also knows the line
 * number.
 */
#include "lib-common/settings-internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib-common/mem.h"

#define FILE_MAX (1u << 20)

struct entry {
	char *section, *name, *value, *source;
};

struct config {
	struct entry *entries;
	size_t n;
};

/* clang-format off */
#define FIELD(name) offsetof(struct global_settings, name)
static const struct setting_row global_rows[] = {
	{"run_dir", SETTING_PATH, FIELD(run_dir), LM_RUNDIR, 0, 0, NULL, true,
		"Folder of the sockets and of the services' roots; made by master."},
	{"state_dir", SETTING_PATH, FIELD(state_dir), LM_STATEDIR, 0, 0, NULL, true,
		"Folder of the data; each service has a folder of its name in it."},
	{"libexec_dir", SETTING_PATH, FIELD(libexec_dir), LM_LIBEXECDIR, 0, 0, NULL, true,
		"Folder of the services' programs."},
	{"config_dir", SETTING_PATH, FIELD(config_dir), LM_SYSCONFDIR, 0, 0, NULL, true,
		"What $config_dir stands for in the other settings: keys and certificates."},
	{"temp_dir", SETTING_PATH, FIELD(temp_dir), "", 0, 0, NULL, true,
		"Folder for unlinked temporary files; empty: state_dir/temp."},
	{"hostname", SETTING_STRING, FIELD(hostname), "", 0, 0, NULL, true,
		"Name of this host in greetings and Received fields; empty: the system's."},
	{"log_form", SETTING_ENUM, FIELD(log_form), "auto", 0, 0, "auto|json|human", true,
		"Form of log lines; auto: human on a terminal, else JSON."},
	{"log_level", SETTING_ENUM, FIELD(log_level), "info", 0, 0, "debug|info|warning|error", true,
		"Lowest level that is logged."},
	{"log_addresses", SETTING_ENUM, FIELD(log_addresses), "plain", 0, 0, "plain|hashed|off", true,
		"How mail addresses stand in the log."},
	{"log_file", SETTING_PATH, FIELD(log_file), "", 0, 0, NULL, true,
		"File that log lines are appended to; empty: standard error."},
	{"drain_timeout", SETTING_TIME_MS, FIELD(drain_timeout_ms), "30s", 0, 86400000, NULL, false,
		"Time that processes have to finish when the server stops."},
	{"separate_users", SETTING_BOOL, FIELD(separate_users), "yes", 0, 0, NULL, true,
		"Run each service as its own system user, in its own root (only when master runs as root)."},
	{.name = NULL},
};
/* clang-format on */

const struct settings_def global_settings_def = {
	.section = "global",
	.rows = global_rows,
	.struct_size = sizeof(struct global_settings),
};

struct config *config_new(void)
{
	return mem_alloc(sizeof(struct config));
}

void config_free(struct config *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < c->n; i++) {
		mem_free(c->entries[i].section);
		mem_free(c->entries[i].name);
		mem_wipe(c->entries[i].value, strlen(c->entries[i].value));
		mem_free(c->entries[i].value);
		mem_free(c->entries[i].source);
	}
	mem_free(c->entries);
	mem_free(c);
}

static struct entry *config_find(const struct config *c, const char *section, const char *name)
{
	for (size_t i = 0; i < c->n; i++) {
		if (strcmp(c->entries[i].section, section) == 0 &&
			strcmp(c->entries[i].name, name) == 0)
			return &c->entries[i];
	}
	return NULL;
}

const char *config_get(
	const struct config *c, const char *section, const char *name, const char **source_r)
{
	const struct entry *entry = config_find(c, section, name);

	if (source_r != NULL)
		*source_r = entry == NULL ? NULL : entry->source;
	return entry == NULL ? NULL : entry->value;
}

static void config_add(struct config *c, const char *section, const char *name, const char *value,
	const char *source)
{
	struct entry *entry = config_find(c, section, name);

	if (entry == NULL) {
		c->entries = mem_realloc_array(c->entries, c->n + 1, sizeof(*entry));
		entry = &c->entries[c->n++];
		*entry = (struct entry){.section = mem_strdup(section), .name = mem_strdup(name)};
	} else {
		mem_free(entry->value);
		mem_free(entry->source);
	}
	entry->value = mem_strdup(value);
	entry->source = mem_strdup(source);
}

/* ---- the nearest valid name ---- */

static size_t edit_distance(const char *a, const char *b)
{
	size_t row[64], n = strlen(b);

	if (n >= array_count(row))
		return SIZE_MAX;
	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1] != '\0'; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			size_t best = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[n];
}

struct nearest {
	const char *wanted, *name;
	size_t distance;
};

static void nearest_try(struct nearest *n, const char *name)
{
	size_t distance = edit_distance(n->wanted, name);

	if (n->name == NULL || distance < n->distance) {
		n->name = name;
		n->distance = distance;
	}
}

static const struct settings_def *find_def(
	const struct settings_def *const *defs, const char *section)
{
	for (; *defs != NULL; defs++) {
		if (strcmp((*defs)->section, section) == 0)
			return *defs;
	}
	return NULL;
}

/* ---- expansion ---- */

static void expand_word(const struct config *c, struct span word, struct buf *out)
{
	static const char *const names[] = {"run_dir", "state_dir", "libexec_dir", "config_dir"};

	for (size_t i = 0; i < array_count(names) && word.n > 0 && word.p[0] == '$'; i++) {
		size_t n = strlen(names[i]);
		const char *value;

		if (word.n <= n || strncmp(word.p + 1, names[i], n) != 0 ||
			(word.n > n + 1 && word.p[n + 1] != '/'))
			continue;
		value = config_get(c, "global", names[i], NULL);
		if (value == NULL)
			value = settings_row(&global_settings_def, span_of(names[i]))
					->default_value;
		buf_add_str(out, value);
		word = span_from(word.p + n + 1, word.n - n - 1);
		break;
	}
	buf_add_span(out, word);
}

/* The value of a row as a process sees it; the caller frees. */
static char *config_value(
	const struct config *c, const struct settings_def *def, const struct setting_row *row)
{
	const char *text = config_get(c, def->section, row->name, NULL);
	struct buf out;

	if (text == NULL)
		text = row->default_value;
	if (def == &global_settings_def || row->type == SETTING_SECRET || !setting_is_text(row))
		return mem_strdup(text);
	buf_init(&out);
	while (*text != '\0') {
		size_t blanks = strspn(text, " \t,"), n;

		buf_add(&out, text, blanks);
		text += blanks;
		n = row->type == SETTING_PATH ? strlen(text) : strcspn(text, " \t,");
		if (row->type == SETTING_STRING)
			buf_add(&out, text, n);
		else
			expand_word(c, span_from(text, n), &out);
		text += n;
	}
	return out.len == 0 ? mem_strdup("") : buf_steal(&out, NULL);
}

static void problem(struct buf *problems, const char *source, const char *text)
{
	buf_printf(problems, "%s: %s\n", source, text);
}

/* One assignment, from wherever: checked against the tables, then kept. -1: a problem was added. */
static int config_assign(struct config *c, const char *section, const char *name, const char *value,
	const char *source, const struct settings_def *const *defs, struct buf *problems)
{
	const struct settings_def *def = find_def(defs, section);
	struct nearest near = {.wanted = name};

	if (def == NULL) {
		near.wanted = section;
		for (; *defs != NULL; defs++)
			nearest_try(&near, (*defs)->section);
		buf_printf(problems, "%s: unknown section [%s]; nearest is [%s]\n", source, section,
			near.name);
		return -1;
	}
	if (settings_row(def, span_of(name)) == NULL) {
		for (const struct setting_row *row = def->rows; row->name != NULL; row++)
			nearest_try(&near, row->name);
		buf_printf(problems, "%s: unknown setting '%s' in [%s]; nearest is '%s'\n", source,
			name, section, near.name);
		return -1;
	}
	for (const unsigned char *p = (const unsigned char *)value; *p != '\0'; p++) {
		if (*p < ' ' && *p != '\t') {
			problem(problems, source, "a value holds a control character");
			return -1;
		}
	}
	config_add(c, section, name, value, source);
	return 0;
}

/* Values are checked when all is read: $run_dir may be set in a later file. */
static int config_check(
	const struct config *c, const struct settings_def *const *defs, struct buf *problems)
{
	int rc = 0;
	struct err e;

	for (; *defs != NULL; defs++) {
		size_t before = problems->len;
		void *bound;

		for (const struct setting_row *row = (*defs)->rows; row->name != NULL; row++) {
			char *value = config_value(c, *defs, row);
			const struct entry *entry = config_find(c, (*defs)->section, row->name);

			if (setting_check(row, value, &e) < 0)
				problem(problems, entry == NULL ? "default" : entry->source, e.log);
			mem_free(value);
		}
		if (problems->len == before && (*defs)->check != NULL &&
			(bound = settings_bind(*defs, c, &e)) != NULL) {
			if ((*defs)->check(bound, &e) < 0)
				buf_printf(problems, "[%s]: %s\n", (*defs)->section, e.log);
			settings_free(*defs, bound);
		}
		if (problems->len != before)
			rc = -1;
	}
	return rc;
}

/* ---- one file ---- */

struct reader {
	struct config *config;
	const struct settings_def *const *defs;
	struct buf *problems;
	const char *path;
	struct span rest;
	unsigned line;
	bool has_key;	/* an indented line goes on with its value */
	bool continues; /* the line inih is looking at does so */
	bool failed;
};

static void reader_problem(struct reader *r, const char *text)
{
	buf_printf(r->problems, "%s:%u: %s\n", r->path, r->line, text);
	r->failed = true;
}

static void reader_assign(
	struct reader *r, const char *section, const char *name, const char *value)
{
	char *source = mem_printf("%s:%u", r->path, r->line);

	if (config_assign(r->config, section, name, value, source, r->defs, r->problems) < 0)
		r->failed = true;
	mem_free(source);
}

static void reader_section(struct reader *r, struct span text)
{
	const char *end = memchr(text.p, ']', text.n);
	char *name;

	r->has_key = false;
	if (end == NULL) {
		reader_problem(r, "a section's name ends with ]");
		return;
	}
	name = mem_dup(text.p + 1, (size_t)(end - text.p) - 1);
	if (find_def(r->defs, name) == NULL)
		reader_assign(r, name, "", "");
	mem_free(name);
}

/* Gives inih lines it understands, and an empty one for each that was reported here. */
static char *reader_line(char *out, int size, void *ctx)
{
	struct reader *r = ctx;
	struct span line, text;
	bool assigns;

	if (r->rest.n == 0 || !span_cut(&r->rest, '\n', &line))
		return NULL;
	r->line++;
	r->continues = false;
	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	text = span_trim(line);
	strcpy(out, "\n");
	if (text.n == 0 || text.p[0] == '#' || text.p[0] == ';')
		return out;
	if (memchr(text.p, '\0', text.n) != NULL || text.n + 3 > (size_t)size) {
		reader_problem(r, "the line is too long or holds a NUL octet; a list may go on in "
				  "the next, indented line");
		return out;
	}
	assigns = memchr(text.p, '=', text.n) != NULL;
	r->continues = text.p != line.p && !assigns && r->has_key;
	if (!r->continues && text.p[0] == '[') {
		reader_section(r, text);
	} else if (!r->continues && !assigns) {
		reader_problem(r, "neither [section] nor key = value");
		return out;
	}
	snprintf(out, (size_t)size, "%s%.*s\n", r->continues ? " " : "", (int)text.n, text.p);
	return out;
}

static int reader_value(void *ctx, const char *section, const char *name, const char *value)
{
	struct reader *r = ctx;
	struct entry *old = config_find(r->config, section, name);

	r->has_key = true;
	if (*section == '\0') {
		reader_problem(r, "a setting before the first [section]");
	} else if (find_def(r->defs, section) == NULL) {
		return 1; /* the section was reported */
	} else if (old != NULL && r->continues) {
		char *joined = mem_printf("%s %s", old->value, value);

		mem_free(old->value);
		old->value = joined;
	} else if (old != NULL) {
		buf_printf(r->problems, "%s:%u: '%s' in [%s] is already set at %s\n", r->path,
			r->line, name, section, old->source);
		r->failed = true;
	} else if (!r->continues) {
		reader_assign(r, section, name, value);
	}
	return 1;
}

static int file_read(const char *path, struct buf *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat st;
	ssize_t n = 0;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > (off_t)FILE_MAX) {
		close(fd);
		errno = EINVAL;
		return -1;
	}
	while (out->len < FILE_MAX && (n = read(fd, buf_reserve(out, 65536), 65536)) > 0)
		buf_added(out, (size_t)n);
	close(fd);
	return n < 0 ? -1 : 0;
}

static int config_read_file(struct config *c, const char *path,
	const struct settings_def *const *defs, struct buf *problems)
{
	struct reader r = {.config = c, .defs = defs, .problems = problems, .path = path};
	struct buf text;
	int rc;

	buf_init(&text);
	if (file_read(path, &text) < 0) {
		buf_printf(problems, "%s: %s\n", path, strerror(errno));
		buf_wipe(&text);
		return -1;
	}
	r.rest = buf_span(&text);
	rc = ini_parse_stream(reader_line, &r, reader_value, &r);
	if (rc != 0 && !r.failed) {
		buf_printf(problems, "%s:%d: not understood\n", path, rc);
		r.failed = true;
	}
	buf_wipe(&text);
	return r.failed ? -1 : 0;
}

static int is_conf(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return d->d_name[0] != '.' && n > 5 && strcmp(d->d_name + n - 5, ".conf") == 0;
}

int config_read(struct config *c, const char *path, const struct settings_def *const *defs,
	struct buf *problems)
{
	const char *slash = strrchr(path, '/');
	int dir_n = slash == NULL ? 1 : (int)(slash - path);
	char *dir = mem_printf("%.*s/conf.d", dir_n, slash == NULL ? "." : path);
	struct dirent **names = NULL;
	int n, rc = config_read_file(c, path, defs, problems);

	n = scandir(dir, &names, is_conf, alphasort);
	for (int i = 0; i < n; i++) {
		char *file = mem_printf("%s/%s", dir, names[i]->d_name);

		if (config_read_file(c, file, defs, problems) < 0)
			rc = -1;
		mem_free(file);
		free(names[i]);
	}
	free(names);
	mem_free(dir);
	return config_check(c, defs, problems) < 0 ? -1 : rc;
}

int config_set(struct config *c, const char *assignment, const struct settings_def *const *defs,
	struct buf *problems)
{
	const char *equals = strchr(assignment, '='), *dot = strchr(assignment, '.');
	char *section, *name, *value;
	const struct settings_def *def;
	struct err e;
	int rc;

	if (equals == NULL || dot == NULL || dot > equals) {
		buf_printf(problems, "--set %s: must be section.key=value\n", assignment);
		return -1;
	}
	section = mem_dup(assignment, (size_t)(dot - assignment));
	name = mem_dup(dot + 1, (size_t)(equals - dot) - 1);
	rc = config_assign(c, section, name, equals + 1, "--set", defs, problems);
	if (rc == 0) {
		def = find_def(defs, section);
		const struct setting_row *row = settings_row(def, span_of(name));

		value = config_value(c, def, row);
		rc = setting_check(row, value, &e);
		if (rc < 0)
			buf_printf(problems, "--set: %s\n", e.log);
		mem_free(value);
	}
	mem_free(section);
	mem_free(name);
	return rc;
}

void config_serialise(
	const struct config *c, const struct settings_def *const *defs, struct buf *out)
{
	for (; *defs != NULL; defs++) {
		for (const struct setting_row *row = (*defs)->rows; row->name != NULL; row++) {
			char *value = config_value(c, *defs, row);

			buf_printf(out, "%s.%s\t%s\n", (*defs)->section, row->name, value);
			mem_wipe(value, strlen(value));
			mem_free(value);
		}
	}
}

void *settings_bind(const struct settings_def *def, const struct config *c, struct err *e)
{
	const struct settings_def *defs[] = {def, NULL};
	struct buf lines;
	void *s;

	buf_init(&lines);
	config_serialise(c, defs, &lines);
	s = settings_parse(def, buf_span(&lines), e);
	buf_wipe(&lines);
	return s;
}
