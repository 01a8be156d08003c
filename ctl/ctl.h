/*
 * lightmailctl: one table of operations (ctl-ops.c). Most are one request to an admin role, whose
 * answer is printed as a table for people or as JSON; the others have a function of their own.
 *
 * Exit status: 0 done, 1 refused or not found, 2 wrong usage, 3 temporary (not running, try again).
 */
#ifndef CTL_H
#define CTL_H

#include <event2/event.h>
#include "lib-common/channel.h"
#include "lib-common/settings.h"

enum ctl_exit { CTL_OK, CTL_FAILED, CTL_USAGE, CTL_TEMP };

struct ctl {
	const char *config_path;
	bool json;
	struct event_base *base;
	struct config *config;
	struct global_settings *global;
	/* options of operations */
	const char *password, *hash, *file, *quota, *quota_messages, *domain;
	bool password_stdin;
};

struct ctl_op {
	const char *words; /* "user add" */
	const char *usage; /* what follows */
	const char *help;  /* one sentence */
	const char *role, *verb;
	const char *params; /* keys of the positional arguments, blank-separated; "key?" optional */
	const char *columns; /* of the body's lines; NULL: the keys of the reply are printed */
	int (*run)(struct ctl *ctl, const struct ctl_op *op, int argc, char **argv);
};
extern const struct ctl_op ctl_ops[]; /* ends with words NULL */

/* ctl-ask.c: sends and waits; NULL: not running. The answer may be a failure. */
struct call *ctl_call(struct ctl *ctl, const char *role, const char *verb);
struct result *ctl_send(struct call *call);
int ctl_failed(const struct result *r); /* prints the failure; gives the exit status. NULL too */
/* The account of a user; false: printed already, *status_r the exit status. */
bool ctl_account(struct ctl *ctl, const char *user, uint64_t *account_r, int *status_r);

/* ctl-print.c */
void ctl_print_table(const struct ctl *ctl, const char *columns, struct span body);
void ctl_print_keys(const struct ctl *ctl, const struct result *r);

/* ctl-config.c: reads the configuration; -1: problems are printed. */
extern const struct settings_def *const ctl_settings_defs[];
int ctl_config_load(struct ctl *ctl);
int ctl_config_check(struct ctl *ctl, const struct ctl_op *op, int argc, char **argv);
int ctl_config_show(struct ctl *ctl, const struct ctl_op *op, int argc, char **argv);
int ctl_config_defaults(struct ctl *ctl, const struct ctl_op *op, int argc, char **argv);

/* ctl-init.c */
int ctl_init(struct ctl *ctl, const struct ctl_op *op, int argc, char **argv);
/* ctl-user.c */
int ctl_user_add(struct ctl *ctl, const struct ctl_op *op, int argc, char **argv);
int ctl_user_add_many(struct ctl *ctl, const struct ctl_op *op, int argc, char **argv);
int ctl_user_password(struct ctl *ctl, const struct ctl_op *op, int argc, char **argv);
int ctl_user_quota(struct ctl *ctl, const struct ctl_op *op, int argc, char **argv);
int ctl_user_list(struct ctl *ctl, const struct ctl_op *op, int argc, char **argv);
/* ctl-mail.c */
int ctl_mailbox_list(struct ctl *ctl, const struct ctl_op *op, int argc, char **argv);
int ctl_mailbox_status(struct ctl *ctl, const struct ctl_op *op, int argc, char **argv);
int ctl_mailbox_recount(struct ctl *ctl, const struct ctl_op *op, int argc, char **argv);
int ctl_message_cat(struct ctl *ctl, const struct ctl_op *op, int argc, char **argv);
int ctl_kick(struct ctl *ctl, const struct ctl_op *op, int argc, char **argv);
int ctl_stop(struct ctl *ctl, const struct ctl_op *op, int argc, char **argv);

#endif
