#include "ctl/ctl.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "lib-common/mem.h"

#define CAT_WINDOW (1u << 20)

static struct call *account_call(struct ctl *ctl, const char *verb, const char *user, int *status_r)
{
	uint64_t account;
	struct call *call;

	if (!ctl_account(ctl, user, &account, status_r))
		return NULL;
	call = ctl_call(ctl, "indexer/admin", verb);
	if (call == NULL)
		*status_r = CTL_TEMP;
	else
		call_uint(call, "account", account);
	return call;
}

static int print_body(struct ctl *ctl, const struct ctl_op *op, struct call *call)
{
	struct result *r = ctl_send(call);
	int status = ctl_failed(r);

	if (status == CTL_OK && op->columns != NULL)
		ctl_print_table(ctl, op->columns, r->body);
	else if (status == CTL_OK)
		ctl_print_keys(ctl, r);
	result_free(r);
	return status;
}

int ctl_mailbox_list(struct ctl *ctl, const struct ctl_op *op, int argc, char **argv)
{
	struct call *call;
	int status;

	if (argc != 1)
		return CTL_USAGE;
	call = account_call(ctl, op->verb, argv[0], &status);
	return call == NULL ? status : print_body(ctl, op, call);
}

int ctl_mailbox_status(struct ctl *ctl, const struct ctl_op *op, int argc, char **argv)
{
	struct call *call;
	int status;

	if (argc != 2)
		return CTL_USAGE;
	call = account_call(ctl, op->verb, argv[0], &status);
	if (call == NULL)
		return status;
	call_str(call, "name", argv[1]);
	return print_body(ctl, op, call);
}

int ctl_mailbox_recount(struct ctl *ctl, const struct ctl_op *op, int argc, char **argv)
{
	return ctl_mailbox_list(ctl, op, argc, argv);
}

/* u8 status, u64 length, octets: the answer of GET. */
static int cat_window(struct ctl *ctl, const char *locator, uint64_t from, uint64_t *got_r)
{
	struct call *call = ctl_call(ctl, "objects/get", "GET");
	struct result *r;
	struct span body, octets;
	uint64_t length;
	uint8_t state;
	int status;

	*got_r = 0;
	if (call == NULL)
		return CTL_TEMP;
	buf_printf(call_body(call), "%s %llu %u\n", locator, (unsigned long long)from, CAT_WINDOW);
	r = ctl_send(call);
	status = ctl_failed(r);
	body = status == CTL_OK ? r->body : span_from("", 0);
	if (status == CTL_OK &&
		(!span_get_u8(&body, &state) || !span_get_u64(&body, &length) || state != 0 ||
			!span_get_bytes(&body, (size_t)length, &octets))) {
		fprintf(stderr, "lightmailctl: the body cannot be read\n");
		status = CTL_FAILED;
	} else if (status == CTL_OK) {
		if (fwrite(octets.p, 1, octets.n, stdout) != octets.n)
			status = CTL_FAILED;
		*got_r = length;
	}
	result_free(r);
	return status;
}

static char *locate(struct ctl *ctl, char **argv, int *status_r)
{
	struct call *call = account_call(ctl, "MAILBOX-STATUS", argv[0], status_r);
	struct span line, mailbox = {NULL, 0};
	struct result *r;
	uint64_t id = 0;
	char *locator = NULL;

	if (call == NULL)
		return NULL;
	call_str(call, "name", argv[1]);
	r = ctl_send(call);
	*status_r = ctl_failed(r);
	if (*status_r == CTL_OK) {
		line = r->body;
		(void)span_cut(&line, '\t', &mailbox);
		(void)num_u64(mailbox, &id);
	}
	result_free(r);
	if (*status_r != CTL_OK ||
		(call = account_call(ctl, "MESSAGE-LOCATE", argv[0], status_r)) == NULL)
		return NULL;
	call_uint(call, "mailbox", id);
	call_str(call, "uid", argv[2]);
	r = ctl_send(call);
	*status_r = ctl_failed(r);
	if (*status_r == CTL_OK)
		locator = mem_dup(result_span(r, "locator").p, result_span(r, "locator").n);
	result_free(r);
	return locator;
}

int ctl_message_cat(struct ctl *ctl, const struct ctl_op *op, int argc, char **argv)
{
	uint64_t from = 0, got = CAT_WINDOW;
	char *locator;
	int status;

	(void)op;
	if (argc != 3)
		return CTL_USAGE;
	locator = locate(ctl, argv, &status);
	while (status == CTL_OK && got == CAT_WINDOW) {
		status = cat_window(ctl, locator, from, &got);
		from += got;
	}
	mem_free(locator);
	return fflush(stdout) == 0 ? status : CTL_FAILED;
}

/* A session id has 24 hex digits; anything else is a user. auth voids the user's tickets and
 * grants, indexer closes the channels, master ends the processes' sessions. */
int ctl_kick(struct ctl *ctl, const struct ctl_op *op, int argc, char **argv)
{
	bool session = argc == 1 && trace_id_valid(span_of(argv[0]));
	struct call *call;
	struct result *r;
	int status;

	(void)op;
	if (argc != 1)
		return CTL_USAGE;
	call = session ? ctl_call(ctl, "indexer/admin", "KICK")
		       : ctl_call(ctl, "auth/admin", "USER-KICK");
	if (call == NULL)
		return CTL_TEMP;
	call_str(call, session ? "session" : "user", argv[0]);
	r = ctl_send(call);
	status = ctl_failed(r);
	result_free(r);
	if (status != CTL_OK || (call = ctl_call(ctl, "master/admin", "KICK")) == NULL)
		return status;
	call_str(call, session ? "session" : "user", argv[0]);
	r = ctl_send(call);
	if (!ctl->json)
		printf("kicked\n");
	result_free(r);
	return CTL_OK;
}

int ctl_stop(struct ctl *ctl, const struct ctl_op *op, int argc, char **argv)
{
	char *path = mem_printf("%s/master.pid", ctl->global->run_dir);
	struct result *r;
	int status;

	(void)argv;
	if (argc != 0)
		return CTL_USAGE;
	r = ctl_send(ctl_call(ctl, op->role, op->verb));
	status = ctl_failed(r);
	result_free(r);
	/* Master removes its pid file last. */
	while (status == CTL_OK && access(path, F_OK) == 0)
		(void)usleep(20000);
	mem_free(path);
	return status;
}
