/* CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE (RFC 3501 6.3.3 to 6.3.7; RFC 6154 3). */
#include "services/imap/commands.h"
#include "services/imap/imap-session.h"

static void on_done(struct result *r, void *ctx)
{
	struct imap_client *c = ctx;

	if (r->code != ERR_NONE)
		imap_cmd_fail_result(c, r);
	else
		imap_cmd_ok(c, NULL, "Completed");
}

static void ask(struct imap_client *c, const char *verb, const char *name)
{
	struct call *call = imap_session_call(c, verb);

	if (call == NULL)
		return;
	call_str(call, "name", name);
	imap_session_send(c, call, on_done);
}

static void ask_with_name(struct imap_client *c, const char *verb)
{
	const char *name;

	if (!imap_arg_mailbox(c, &name))
		return;
	if (!imap_parse_end(&c->cmd.args)) {
		imap_cmd_bad_args(c);
		return;
	}
	ask(c, verb, name);
}

/* "(USE (\Sent \Archive))"; one use a mailbox is what the store keeps. 1: there is one, in *use_r;
 * 0: none; -1: answered. */
static int parse_use(struct imap_client *c, const char **use_r)
{
	static const char *const uses[] = {
		"\\All", "\\Archive", "\\Drafts", "\\Flagged", "\\Junk", "\\Sent", "\\Trash"};
	struct imap_parser *p = &c->cmd.args;
	struct span use;
	unsigned n = 0;

	if (imap_parser_at_end(p))
		return 0;
	if (!imap_parse_space(p) || !imap_parse_char(p, '(') || !imap_parse_word(p, "USE") ||
		!imap_parse_space(p) || !imap_parse_char(p, '('))
		goto bad;
	for (; imap_parser_peek(p) != ')'; n++) {
		if ((n > 0 && !imap_parse_space(p)) || !imap_parse_flag(p, &use))
			goto bad;
		*use_r = NULL;
		for (size_t i = 0; i < array_count(uses); i++) {
			if (span_is_nocase(use, uses[i]))
				*use_r = uses[i];
		}
		/* \All and \Flagged are views of other mailboxes, which we do not have */
		if (*use_r == NULL || strcmp(*use_r, "\\All") == 0 ||
			strcmp(*use_r, "\\Flagged") == 0) {
			imap_cmd_no(c, "USEATTR", "This special use is not supported");
			return -1;
		}
	}
	/* One ) ends the list of uses, one the parameters. */
	if (!imap_parse_char(p, ')'))
		goto bad;
	if (!imap_parse_char(p, ')') || !imap_parse_end(p))
		goto bad;
	if (n > 1) {
		imap_cmd_no(c, "USEATTR", "A mailbox can have one special use");
		return -1;
	}
	return n > 0;
bad:
	imap_cmd_bad_args(c);
	return -1;
}

void cmd_create(struct imap_client *c)
{
	const char *name, *use = NULL;
	struct call *call;

	if (!imap_arg_mailbox(c, &name) || parse_use(c, &use) < 0)
		return;
	call = imap_session_call(c, "CREATE");
	if (call == NULL)
		return;
	call_str(call, "name", name);
	if (use != NULL)
		call_str(call, "special", use);
	imap_session_send(c, call, on_done);
}

void cmd_delete(struct imap_client *c)
{
	ask_with_name(c, "DELETE");
}

void cmd_subscribe(struct imap_client *c)
{
	ask_with_name(c, "SUBSCRIBE");
}

void cmd_unsubscribe(struct imap_client *c)
{
	ask_with_name(c, "UNSUBSCRIBE");
}

void cmd_rename(struct imap_client *c)
{
	const char *from, *to;
	struct call *call;

	if (!imap_arg_mailbox(c, &from) || !imap_arg_mailbox(c, &to))
		return;
	if (!imap_parse_end(&c->cmd.args)) {
		imap_cmd_bad_args(c);
		return;
	}
	call = imap_session_call(c, "RENAME");
	if (call == NULL)
		return;
	call_str(call, "from", from);
	call_str(call, "to", to);
	imap_session_send(c, call, on_done);
}
