/* lightmailctl: see ctl.h. It runs as whoever may open run_dir/ctl, root in production. */
#include "ctl/ctl.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "lib-common/mem.h"
#include "lib-common/metrics.h"
#include "lib-common/version.h"

static void usage(FILE *out)
{
	fprintf(out, "usage: lightmailctl [-c FILE] [--json] OPERATION [ARGUMENTS]\n\n");
	for (const struct ctl_op *op = ctl_ops; op->words != NULL; op++)
		fprintf(out, "  %s%s%s\n      %s\n", op->words, *op->usage == '\0' ? "" : " ",
			op->usage, op->help);
	fprintf(out,
		"\n  -c, --config FILE   the configuration (" LM_SYSCONFDIR "/lightmail.conf)\n"
		"      --json          print JSON\n"
		"      --help          this, or an operation's own help behind its name\n"
		"\nExit status: 0 done, 1 refused, 2 wrong usage, 3 temporary.\n");
}

static void usage_op(FILE *out, const struct ctl_op *op)
{
	fprintf(out, "usage: lightmailctl %s %s\n%s\n", op->words, op->usage, op->help);
}

/* How many words of argv name the operation; NULL: none does. */
static const struct ctl_op *op_find(int argc, char **argv, int *used_r)
{
	for (const struct ctl_op *op = ctl_ops; op->words != NULL; op++) {
		const char *blank = strchr(op->words, ' ');

		if (blank == NULL && argc >= 1 && strcmp(argv[0], op->words) == 0) {
			*used_r = 1;
			return op;
		}
		if (blank != NULL && argc >= 2 && strlen(argv[0]) == (size_t)(blank - op->words) &&
			memcmp(argv[0], op->words, strlen(argv[0])) == 0 &&
			strcmp(argv[1], blank + 1) == 0) {
			*used_r = 2;
			return op;
		}
	}
	return NULL;
}

/* One request: positional arguments under the keys of the table, the answer as its columns say. */
static int op_ask(struct ctl *ctl, const struct ctl_op *op, int argc, char **argv)
{
	struct span rest = span_of(op->params == NULL ? "" : op->params), key;
	struct call *call = ctl_call(ctl, op->role, op->verb);
	struct result *r;
	int i = 0, status;

	if (call == NULL)
		return CTL_TEMP;
	while (span_cut(&rest, ' ', &key)) {
		bool optional = key.n > 0 && key.p[key.n - 1] == '?';
		char *name;

		if (key.n == 0)
			continue;
		if (i >= argc) {
			if (optional)
				break;
			return CTL_USAGE;
		}
		name = mem_dup(key.p, optional ? key.n - 1 : key.n);
		call_str(call, name, argv[i++]);
		mem_free(name);
	}
	if (i != argc)
		return CTL_USAGE;
	r = ctl_send(call);
	status = ctl_failed(r);
	if (status == CTL_OK && op->columns != NULL)
		ctl_print_table(ctl, op->columns, r->body);
	else if (status == CTL_OK && (r->n_params > 0 || ctl->json))
		ctl_print_keys(ctl, r);
	result_free(r);
	return status;
}

enum {
	OPT_JSON = 256,
	OPT_HELP,
	OPT_STDIN,
	OPT_HASH,
	OPT_FILE,
	OPT_QUOTA,
	OPT_QUOTA_MESSAGES,
	OPT_DOMAIN
};

static const struct option options[] = {
	{"config", required_argument, NULL, 'c'},
	{"json", no_argument, NULL, OPT_JSON},
	{"help", no_argument, NULL, OPT_HELP},
	{"password-stdin", no_argument, NULL, OPT_STDIN},
	{"hash", required_argument, NULL, OPT_HASH},
	{"file", required_argument, NULL, OPT_FILE},
	{"quota", required_argument, NULL, OPT_QUOTA},
	{"quota-messages", required_argument, NULL, OPT_QUOTA_MESSAGES},
	{"domain", required_argument, NULL, OPT_DOMAIN},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

/* false: the process should end with *status_r. */
static bool options_take(struct ctl *ctl, int argc, char **argv, bool *help_r, int *status_r)
{
	int c;

	*help_r = false;
	while ((c = getopt_long(argc, argv, "c:V", options, NULL)) != -1) {
		switch (c) {
		case 'c':
			ctl->config_path = optarg;
			break;
		case OPT_JSON:
			ctl->json = true;
			break;
		case OPT_HELP:
			*help_r = true;
			break;
		case OPT_STDIN:
			ctl->password_stdin = true;
			break;
		case OPT_HASH:
			ctl->hash = optarg;
			break;
		case OPT_FILE:
			ctl->file = optarg;
			break;
		case OPT_QUOTA:
			ctl->quota = optarg;
			break;
		case OPT_QUOTA_MESSAGES:
			ctl->quota_messages = optarg;
			break;
		case OPT_DOMAIN:
			ctl->domain = optarg;
			break;
		case 'V':
			printf("LightMail %s\n", LM_VERSION);
			*status_r = CTL_OK;
			return false;
		default:
			*status_r = CTL_USAGE;
			return false;
		}
	}
	return true;
}

int main(int argc, char **argv)
{
	struct ctl ctl = {.config_path = LM_SYSCONFDIR "/lightmail.conf"};
	const struct ctl_op *op;
	int used = 0, status;
	bool help;

	log_setup("lightmailctl", LOG_FORM_HUMAN, LOG_LEVEL_ERROR, LOG_ADDRESSES_PLAIN, 2);
	(void)metrics_open(-1);
	if (!options_take(&ctl, argc, argv, &help, &status))
		return status;
	argc -= optind;
	argv += optind;
	op = op_find(argc, argv, &used);
	if (help) {
		if (op == NULL)
			usage(stdout);
		else
			usage_op(stdout, op);
		return CTL_OK;
	}
	if (op == NULL) {
		usage(stderr);
		return CTL_USAGE;
	}
	ctl.base = event_base_new();
	if (ctl_config_load(&ctl) < 0)
		return CTL_FAILED;
	status = op->run != NULL ? op->run(&ctl, op, argc - used, argv + used)
				 : op_ask(&ctl, op, argc - used, argv + used);
	if (status == CTL_USAGE)
		usage_op(stderr, op);
	return status;
}
