/* A user's mailboxes and messages: indexer/admin, objects/get. */
#include <stdio.h>
#include <string.h>
#include "ctl/ctl.h"
#include "lib-common/mem.h"

#define CAT_WINDOW (1u << 20)

/* In the order of indexer's lines. */
static const struct ctl_column mailbox_columns[] = {{"id", COLUMN_NUMBER}, {"name", COLUMN_TEXT},
	{"attributes", COLUMN_TEXT}, {"uidvalidity", COLUMN_NUMBER}, {"uidnext", COLUMN_NUMBER},
	{"messages", COLUMN_NUMBER}, {"unseen", COLUMN_NUMBER}, {"deleted", COLUMN_NUMBER},
	{"size", COLUMN_SIZE}, {"modseq", COLUMN_NUMBER}, {"subscribed", COLUMN_NUMBER},
	{"special_use", COLUMN_TEXT}, {NULL, 0}};

static bool find_account(struct ctl *ctl, const char *user, uint64_t *account_r, int *exit_r)
{
	struct call *call = ctl_call(ctl, "auth/admin", "USER-SHOW");
	struct result *r;

	if (call)
		call_str(call, "user", user);
	r = ctl_wait(ctl, call, 0, exit_r);
	if (!r)
		return false;
	*account_r = result_uint(r, "account");
	result_free(r);
	return true;
}

static struct call *account_call(struct ctl *ctl, const char *verb, uint64_t account)
{
	struct call *call = ctl_call(ctl, "indexer/admin", verb);

	if (call)
		call_uint(call, "account", account);
	return call;
}

static struct result *mailbox_status(
	struct ctl *ctl, uint64_t account, const char *name, int *exit_r)
{
	struct call *call = account_call(ctl, "MAILBOX-STATUS", account);

	if (call)
		call_str(call, "name", name);
	return ctl_wait(ctl, call, 0, exit_r);
}

static int run_list(struct ctl *ctl, int argc, char **argv)
{
	uint64_t account;
	struct result *r;
	int ret;

	(void)argc;
	if (!find_account(ctl, argv[0], &account, &ret))
		return ret;
	r = ctl_wait(ctl, account_call(ctl, "MAILBOX-LIST", account), 0, &ret);
	if (!r)
		return ret;
	ctl_print_rows(ctl, r->body, mailbox_columns);
	result_free(r);
	return CTL_OK;
}

static int run_status(struct ctl *ctl, int argc, char **argv)
{
	uint64_t account;
	struct result *r;
	int ret;

	(void)argc;
	if (!find_account(ctl, argv[0], &account, &ret))
		return ret;
	r = mailbox_status(ctl, account, argv[1], &ret);
	if (!r)
		return ret;
	ctl_print_rows(ctl, r->body, mailbox_columns);
	result_free(r);
	return CTL_OK;
}

static int run_recount(struct ctl *ctl, int argc, char **argv)
{
	uint64_t account;
	int ret;

	(void)argc;
	if (!find_account(ctl, argv[0], &account, &ret))
		return ret;
	return ctl_do(ctl, account_call(ctl, "RECOUNT", account), "counted");
}

/* ---- message cat ---- */

static bool find_locator(struct ctl *ctl, char **argv, char **locator_r, int *exit_r)
{
	uint64_t account, mailbox, uid;
	struct span line, id = {"", 0};
	struct call *call;
	struct result *r;

	if (!num_u64(span_of(argv[2]), &uid)) {
		ctl_fail("%s: not a UID", argv[2]);
		*exit_r = CTL_USAGE;
		return false;
	}
	if (!find_account(ctl, argv[0], &account, exit_r))
		return false;
	r = mailbox_status(ctl, account, argv[1], exit_r);
	if (!r)
		return false;
	line = r->body;
	(void)span_cut(&line, '\t', &id);
	if (!num_u64(id, &mailbox)) {
		result_free(r);
		*exit_r = ctl_fail("no such mailbox");
		return false;
	}
	result_free(r);
	call = account_call(ctl, "MESSAGE-LOCATE", account);
	if (call) {
		call_uint(call, "mailbox", mailbox);
		call_uint(call, "uid", uid);
	}
	r = ctl_wait(ctl, call, 0, exit_r);
	if (!r)
		return false;
	*locator_r = mem_dup(result_span(r, "locator").p, result_span(r, "locator").n);
	result_free(r);
	return true;
}

/* pack,offset,length,key,keyid,size */
static uint64_t locator_size(const char *locator)
{
	const char *comma = strrchr(locator, ',');
	uint64_t n;

	return comma && num_u64(span_of(comma + 1), &n) ? n : 0;
}

/* One window; -1 after saying why. */
static int cat_window(
	struct ctl *ctl, const char *locator, uint64_t from, uint64_t count, int *exit_r)
{
	struct call *call = ctl_call(ctl, "objects/get", "GET");
	struct span rest, octets;
	struct result *r;
	uint8_t status;
	uint64_t n;

	if (call)
		buf_printf(call_body(call), "%s %llu %llu\n", locator, (unsigned long long)from,
			(unsigned long long)count);
	r = ctl_wait(ctl, call, 0, exit_r);
	if (!r)
		return -1;
	rest = r->body;
	*exit_r = CTL_FAILED;
	if (!span_get_u8(&rest, &status) || !span_get_u64(&rest, &n) || n > rest.n ||
		!span_get_bytes(&rest, (size_t)n, &octets)) {
		ctl_fail("the object store's answer is damaged");
	} else if (status != 0) {
		ctl_fail("the body cannot be read (%s)", status == 1   ? "try again later"
							 : status == 2 ? "it is not there"
								       : "it is damaged");
		*exit_r = status == 1 ? CTL_TEMP : CTL_FAILED;
	} else if (octets.n != count || fwrite(octets.p, 1, octets.n, stdout) != octets.n) {
		ctl_fail("cannot be written as a whole");
	} else {
		*exit_r = CTL_OK;
	}
	result_free(r);
	return *exit_r == CTL_OK ? 0 : -1;
}

static int run_cat(struct ctl *ctl, int argc, char **argv)
{
	char *locator = NULL;
	uint64_t size, at;
	int ret;

	(void)argc;
	if (!find_locator(ctl, argv, &locator, &ret))
		return ret;
	size = locator_size(locator);
	for (at = 0; at < size; at += CAT_WINDOW) {
		if (cat_window(ctl, locator, at, size - at < CAT_WINDOW ? size - at : CAT_WINDOW,
			    &ret) < 0)
			break;
	}
	mem_free(locator);
	return ret;
}

const struct ctl_op ctl_mailbox_ops[] = {
	{"mailbox list", "USER", 1, 1, "", false, "Lists a user's mailboxes.", run_list},
	{"mailbox status", "USER MAILBOX", 2, 2, "", false, "Shows one mailbox.", run_status},
	{"mailbox recount", "USER", 1, 1, "", false, "Counts a user's messages and octets again.",
		run_recount},
	{"message cat", "USER MAILBOX UID", 3, 3, "", false, "Prints a message as it is stored.",
		run_cat},
	{NULL, NULL, 0, 0, NULL, false, NULL, NULL},
};
