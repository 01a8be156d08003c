/*
 * lightmailctl: manages a LightMail server. Finds and runs an operation; see ctl.h. Runs with the
 * rights of who calls it: only the user that master runs as (root) may open run_dir/ctl.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ctl/ctl.h"
#include "lib-common/mem.h"
#include "lib-common/version.h"
#include "services/api/api-settings.h"
#include "services/auth/auth-settings.h"
#include "services/imap/imap-settings.h"
#include "services/indexer/indexer-settings.h"
#include "services/lmtp/lmtp-settings.h"
#include "services/login/login-settings.h"
#include "services/s3-uploader/s3-uploader-settings.h"

const struct settings_def *const ctl_settings[] = {&global_settings_def, &api_settings_def,
	&auth_settings_def, &imap_settings_def, &indexer_settings_def, &lmtp_settings_def,
	&login_settings_def, &s3_uploader_settings_def, NULL};

static const struct ctl_op *const op_tables[] = {
	ctl_init_ops, ctl_user_ops, ctl_mailbox_ops, ctl_server_ops, NULL};

static void print_usage_line(FILE *out, const struct ctl_op *op)
{
	char options[200], *word, *save = NULL;

	fprintf(out, "lightmailctl %s%s%s", op->words, op->args[0] ? " " : "", op->args);
	(void)snprintf(options, sizeof(options), "%s", op->options);
	for (word = strtok_r(options, " ", &save); word; word = strtok_r(NULL, " ", &save))
		fprintf(out, " [--%s VALUE]", word);
	fputc('\n', out);
}

/* group NULL: all operations; else those whose words begin with it. */
static bool print_help(FILE *out, const char *group)
{
	size_t i, n = group ? strlen(group) : 0;
	const struct ctl_op *op;
	bool found = false;

	for (i = 0; op_tables[i]; i++) {
		for (op = op_tables[i]; op->words; op++) {
			if (n && (strncmp(op->words, group, n) != 0 ||
					 (op->words[n] != '\0' && op->words[n] != ' ')))
				continue;
			if (!found)
				fputs("Usage: lightmailctl [-c FILE] [--json] OPERATION ...\n\n",
					out);
			found = true;
			fputs("  ", out);
			print_usage_line(out, op);
			fprintf(out, "      %s\n", op->help);
		}
	}
	if (found && !group)
		fputs("\nOptions: -c FILE, --config FILE: the configuration file; --json: output "
		      "for "
		      "programs;\n--help: of everything or of one operation; --version.\n"
		      "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 temporary failure.\n",
			out);
	return found;
}

static void print_op_help(const struct ctl_op *op)
{
	fputs("Usage: ", stdout);
	print_usage_line(stdout, op);
	printf("\n%s\n", op->help);
}

/* The operation whose words are the first arguments; *n_r how many words these are. */
static const struct ctl_op *find_op(int argc, char **argv, int *n_r)
{
	const struct ctl_op *op;
	char two[100];
	size_t i;

	for (*n_r = argc >= 2 ? 2 : argc; *n_r > 0; --*n_r) {
		(void)snprintf(two, sizeof(two), "%s%s%s", argv[0], *n_r == 2 ? " " : "",
			*n_r == 2 ? argv[1] : "");
		for (i = 0; op_tables[i]; i++) {
			for (op = op_tables[i]; op->words; op++) {
				if (strcmp(op->words, two) == 0)
					return op;
			}
		}
	}
	return NULL;
}

const char *ctl_option(const struct ctl *ctl, const char *name)
{
	unsigned i;

	for (i = 0; i < ctl->n_options; i++) {
		if (strcmp(ctl->option_names[i], name) == 0)
			return ctl->option_values[i];
	}
	return NULL;
}

/* Takes options out of argv. Returns the number of what is left, -1 on a wrong one. */
static int take_options(struct ctl *ctl, int argc, char **argv, bool *help_r, bool *version_r)
{
	int i, n = 0;

	for (i = 0; i < argc; i++) {
		const char *a = argv[i], *value = NULL;

		if (strcmp(a, "--") == 0) {
			while (++i < argc)
				argv[n++] = argv[i];
		} else if (strcmp(a, "--json") == 0) {
			ctl->json = true;
		} else if (strcmp(a, "--password-stdin") == 0) {
			ctl->password_stdin = true;
		} else if (strcmp(a, "--help") == 0 || strcmp(a, "-h") == 0) {
			*help_r = true;
		} else if (strcmp(a, "--version") == 0 || strcmp(a, "-V") == 0) {
			*version_r = true;
		} else if (strcmp(a, "-c") == 0 || strncmp(a, "--", 2) == 0) {
			if (strchr(a, '=')) {
				value = strchr(a, '=') + 1;
				argv[i][value - a - 1] = '\0';
			} else if (i + 1 < argc) {
				value = argv[++i];
			}
			if (!value || ctl->n_options == array_count(ctl->option_names)) {
				fprintf(stderr, "lightmailctl: %s needs a value\n", a);
				return -1;
			}
			if (strcmp(a, "-c") == 0 || strcmp(a, "--config") == 0) {
				ctl->config_path = value;
				continue;
			}
			ctl->option_names[ctl->n_options] = a + 2;
			ctl->option_values[ctl->n_options++] = value;
		} else {
			argv[n++] = argv[i];
		}
	}
	return n;
}

static bool options_fit(const struct ctl *ctl)
{
	unsigned i;

	for (i = 0; i < ctl->n_options; i++) {
		if (!setting_list_has(ctl->op->options, ctl->option_names[i])) {
			fprintf(stderr, "lightmailctl %s: no option --%s\n", ctl->op->words,
				ctl->option_names[i]);
			return false;
		}
	}
	return true;
}

static int load_config(struct ctl *ctl)
{
	struct buf problems;
	struct err e;
	int ret = CTL_OK;

	buf_init(&problems);
	ctl->config = config_new();
	if (config_read(ctl->config, ctl->config_path, ctl_settings, &problems) < 0) {
		if (!ctl->op->no_config) {
			fprintf(stderr, "lightmailctl: the configuration is bad:\n%s",
				buf_str(&problems));
			ret = CTL_FAILED;
		}
	} else {
		ctl->global = settings_bind(&global_settings_def, ctl->config, &e);
		if (!ctl->global && !ctl->op->no_config)
			ret = ctl_fail("%s", e.log);
	}
	buf_clear(&problems);
	return ret;
}

static int run_op(struct ctl *ctl, int argc, char **argv)
{
	int ret;

	if (!options_fit(ctl) || argc < ctl->op->min ||
		(ctl->op->max >= 0 && argc > ctl->op->max)) {
		fputs("Usage: ", stderr);
		print_usage_line(stderr, ctl->op);
		return CTL_USAGE;
	}
	signal(SIGPIPE, SIG_IGN);
	ret = load_config(ctl);
	if (ret == CTL_OK) {
		ctl->base = event_base_new();
		ret = ctl->op->run(ctl, argc, argv);
		if (fflush(stdout) != 0 && ret == CTL_OK)
			ret = CTL_FAILED;
		event_base_free(ctl->base);
	}
	settings_free(&global_settings_def, ctl->global);
	config_free(ctl->config);
	return ret;
}

int main(int argc, char **argv)
{
	struct ctl ctl = {.config_path = LM_SYSCONFDIR "/lightmail.conf"};
	bool help = false, version = false;
	int n = take_options(&ctl, argc - 1, argv + 1, &help, &version), words;

	log_setup("lightmailctl", LOG_FORM_HUMAN, LOG_LEVEL_ERROR, LOG_ADDRESSES_PLAIN, 2);
	/* The log never blocks, but standard output may be the same pipe, and must be written
	 * whole. */
	(void)fcntl(2, F_SETFL, fcntl(2, F_GETFL) & ~O_NONBLOCK);
	if (n < 0)
		return CTL_USAGE;
	if (version) {
		printf("lightmailctl %s\n", LM_VERSION);
		return CTL_OK;
	}
	if (n == 0) {
		print_help(help ? stdout : stderr, NULL);
		return help ? CTL_OK : CTL_USAGE;
	}
	ctl.op = find_op(n, argv + 1, &words);
	if (ctl.op && help) {
		print_op_help(ctl.op);
		return CTL_OK;
	}
	if (!ctl.op) {
		if (help && print_help(stdout, argv[1]))
			return CTL_OK;
		fprintf(stderr, "lightmailctl: no operation '%s%s%s'\n", argv[1], n > 1 ? " " : "",
			n > 1 ? argv[2] : "");
		if (!print_help(stderr, argv[1]))
			fputs("See lightmailctl --help.\n", stderr);
		return CTL_USAGE;
	}
	return run_op(&ctl, n - words, argv + 1 + words);
}
