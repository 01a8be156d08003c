/*
 * lightmailctl: what its parts share. Each operation is a row of a table (words, arguments,
 * options, function); help, usage and dispatch are made from the rows. Talks to the running server
 * over run_dir/ctl; output is a table for people, or JSON with --json.
 */
#ifndef LM_CTL_H
#define LM_CTL_H

#include <event2/event.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include "lib-common/channel.h"
#include "lib-common/settings.h"

enum ctl_exit { CTL_OK = 0, CTL_FAILED = 1, CTL_USAGE = 2, CTL_TEMP = 3 };

struct ctl {
	const char *config_path;
	struct config *config;
	struct global_settings *global;
	struct event_base *base;
	bool json, password_stdin;
	const struct ctl_op *op;
	const char *option_names[16], *option_values[16];
	unsigned n_options;
};

struct ctl_op {
	const char *words;   /* "user add" */
	const char *args;    /* "ADDRESS [ADDRESS...]" for the usage line */
	int min, max;	     /* arguments; max -1: any number */
	const char *options; /* blank-separated names of options with a value: "quota hash" */
	bool no_config;	     /* runs even when the configuration is bad */
	const char *help;
	int (*run)(struct ctl *ctl, int argc, char **argv);
};
extern const struct ctl_op ctl_user_ops[], ctl_server_ops[], ctl_mailbox_ops[], ctl_init_ops[];

/* All settings tables of the system, ends with NULL. */
extern const struct settings_def *const ctl_settings[];

const char *ctl_option(const struct ctl *ctl, const char *name); /* NULL: not given */
/* "lightmailctl: text" on standard error; returns CTL_FAILED. */
int ctl_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* 64K, 10M, 2G; "none" is 0. */
bool ctl_size(const char *text, uint64_t *size_r);

/* ---- calls ---- */

/* A call to a role's socket, or NULL after saying why. */
struct call *ctl_call(struct ctl *ctl, const char *role, const char *verb);
/* Sends and waits. NULL after saying why, with the exit code in *exit_r. Free with result_free. */
struct result *ctl_wait(struct ctl *ctl, struct call *call, uint64_t timeout_ms, int *exit_r);
/* For calls whose answer has nothing to show: prints `done` (not with --json). Returns the exit
 * code. */
int ctl_do(struct ctl *ctl, struct call *call, const char *done);

/* ---- output ---- */

struct ctl_column {
	const char *name;
	/* as it comes; number; time in unix seconds; octets */
	enum { COLUMN_TEXT, COLUMN_NUMBER, COLUMN_TIME, COLUMN_SIZE } kind;
};
/* Rows are lines of TAB-separated, escaped fields; columns ends with name NULL. */
void ctl_print_rows(struct ctl *ctl, struct span rows, const struct ctl_column *columns);
/* One object from the keys of an answer. */
void ctl_print_object(struct ctl *ctl, const struct result *r, const struct ctl_column *keys);

/* Reads a password: twice without echo from a terminal; with --password-stdin or without a terminal
 * the first line of standard input. */
bool ctl_read_password(struct ctl *ctl, struct buf *out);

#endif
