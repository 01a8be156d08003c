/*
 * settings: every setting is one row of a table: section, name, type, field, default, range,
 * whether a reload suffices, and one sentence of documentation. The sample files, `lightmailctl
 * config show` and the operator's guide are printed from the rows.
 *
 * Files: lightmail.conf and conf.d/<name>.conf, in the syntax `[section]` / `key = value`, comments
 * with # or ; at the start of a line. Master alone reads them and hands each process its own
 * sections, plus [global], as one memfd. A word of a path, list or listener that begins with
 * $run_dir, $state_dir, $config_dir or $libexec_dir has it replaced by that setting of [global].
 * The memfd holds `section.key<TAB>value` lines; no value holds a control character but TAB.
 */
#ifndef LM_SETTINGS_H
#define LM_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>
#include "lib-common/buf.h"
#include "lib-common/err.h"

enum setting_type {
	SETTING_STRING,	 /* char *; owned by the settings object */
	SETTING_SECRET,	 /* char *; never printed */
	SETTING_BOOL,	 /* bool: yes, no */
	SETTING_UINT,	 /* uint64_t with min..max */
	SETTING_SIZE,	 /* uint64_t octets: 64K, 10M, 2G; min..max */
	SETTING_TIME_MS, /* uint64_t milliseconds: 500ms, 30s, 5m, 2h, 14d; min..max in ms */
	SETTING_MODE,	 /* uint64_t, octal file mode */
	SETTING_ENUM,	 /* int; values in `choices`, separated by '|', the index is stored */
	SETTING_LIST,	 /* char *; blank- or comma-separated words, normalised to single blanks */
	SETTING_LISTENERS, /* char *; as LIST; each ADDRESS:PORT, [IPv6]:PORT or /path */
	SETTING_PATH, /* char *; absolute, or empty for none; min 1: a file that must be readable
		       * when the server starts */
};

struct setting_row {
	const char *name;
	enum setting_type type;
	size_t offset;		   /* of the field in the service's settings struct */
	const char *default_value; /* as it would stand in a file */
	uint64_t min, max;	   /* numbers only; both 0: unbounded */
	const char *choices;	   /* SETTING_ENUM: "plain|hashed|off" */
	bool restart;		   /* true: a reload does not suffice */
	const char *doc;	   /* one sentence */
};

/* A section: one table and the struct its rows fill. Ends with a row whose name is NULL. */
struct settings_def {
	const char *section;
	const struct setting_row *rows;
	size_t struct_size;
	/* Checks that span rows; NULL if none. */
	int (*check)(const void *settings, struct err *e);
};

/* The knobs that every service has (ARCHITECTURE 2, process pools); the head of each service's
 * struct. */
struct service_settings {
	uint64_t process_min, process_limit, client_limit, max_requests, memory_limit;
	uint64_t idle_kill_ms;
	char *user, *group;
	bool chroot;
};
/* Rows for the knobs with the service's own defaults, to be written first in its table. S is the
 * service's settings struct, whose member `service` is the struct above. Sizes and times are
 * strings. */
#define SERVICE_SETTING_ROWS(S, min, limit, clients, requests, memory, idle, user_, chroot_)       \
	{"process_min", SETTING_UINT, offsetof(S, service.process_min), min, 0, 10000, NULL,       \
		false, "Processes kept running even when idle."},                                  \
		{"process_limit", SETTING_UINT, offsetof(S, service.process_limit), limit, 1,      \
			100000, NULL, false, "Most processes of this service at any time."},       \
		{"client_limit", SETTING_UINT, offsetof(S, service.client_limit), clients, 1,      \
			1000000, NULL, false,                                                      \
			"Connections one process serves at a time; 1 isolates each from all "      \
			"others."},                                                                \
		{"max_requests", SETTING_UINT, offsetof(S, service.max_requests), requests, 0, 0,  \
			NULL, false,                                                               \
			"Connections after which a process is replaced; 0 for no limit."},         \
		{"memory_limit", SETTING_SIZE, offsetof(S, service.memory_limit), memory, 0, 0,    \
			NULL, true, "Most address space of one process; 0 for no limit."},         \
		{"idle_kill", SETTING_TIME_MS, offsetof(S, service.idle_kill_ms), idle, 0, 0,      \
			NULL, false,                                                               \
			"Processes above process_min that idle this long end; 0 for never."},      \
		{"user", SETTING_STRING, offsetof(S, service.user), user_, 0, 0, NULL, true,       \
			"System user of the processes (only when master runs as root)."},          \
		{"group", SETTING_STRING, offsetof(S, service.group), "", 0, 0, NULL, true,        \
			"System group of the processes; empty for the user's own."},               \
	{                                                                                          \
		"chroot", SETTING_BOOL, offsetof(S, service.chroot), chroot_, 0, 0, NULL, true,    \
			"Enter the service's folder under run_dir for good (only as root)."        \
	}

/* Section [global], known to every process. */
struct global_settings {
	char *run_dir, *state_dir, *libexec_dir, *config_dir, *temp_dir, *hostname;
	int log_form, log_level, log_addresses;
	char *log_file;
	uint64_t drain_timeout_ms;
	bool separate_users;
};
extern const struct settings_def global_settings_def;

/* A whole configuration as text, before it is bound to structs. */
struct config;
struct config *config_new(void);
void config_free(struct config *c);
/* Reads PATH and then PATH's folder conf.d/(any).conf in name order. Every problem (unknown section
 * or name with the nearest valid one, bad value, duplicate) is one line "file:line: what" in
 * *problems; 0 when there is none, else -1 with the count of lines > 0. defs ends with NULL. */
int config_read(struct config *c, const char *path, const struct settings_def *const *defs,
	struct buf *problems);
/* Sets one value as if read from a file ("section.key=value"); used by --set and tests. */
int config_set(struct config *c, const char *assignment, const struct settings_def *const *defs,
	struct buf *problems);
/* NULL when not set in any file. *source_r (may be NULL) gets "file:line". */
const char *config_get(
	const struct config *c, const char *section, const char *name, const char **source_r);
/* The lines for one service: of each def all rows, defaults included. Secrets are included. */
void config_serialise(
	const struct config *c, const struct settings_def *const *defs, struct buf *out);

/* Fills a new struct of def->struct_size from the configuration (defaults where unset).
 * NULL with *e set when a value is bad. Free with settings_free. */
void *settings_bind(const struct settings_def *def, const struct config *c, struct err *e);
/* The same from the lines that config_serialise made (the process's side). */
void *settings_parse(const struct settings_def *def, struct span lines, struct err *e);
void settings_free(const struct settings_def *def, void *settings);
/* Prints a table as a commented sample file, or as a section of the operator's guide (Markdown). */
void settings_print_sample(const struct settings_def *def, struct buf *out);
void settings_print_guide(const struct settings_def *def, struct buf *out);
/* True when word stands in the blank-separated list. */
bool setting_list_has(const char *list, const char *word);

#endif
