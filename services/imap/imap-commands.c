/* The table of commands, and the small ones that need no file of their own. */
#include "services/imap/commands.h"

#include "lib-common/version.h"

static const struct imap_cmd_def commands[] = {
	/* any state, RFC 3501 6.1 */
	{"CAPABILITY", cmd_capability, CMD_LOCAL},
	{"NOOP", cmd_noop, 0},
	{"LOGOUT", cmd_logout, CMD_LOCAL | CMD_QUIET},
	{"ID", cmd_id, CMD_LOCAL},
	/* after login, 6.3 */
	{"SELECT", cmd_select, CMD_QUIET},
	{"EXAMINE", cmd_examine, CMD_QUIET},
	{"CREATE", cmd_create, 0},
	{"DELETE", cmd_delete, 0},
	{"RENAME", cmd_rename, 0},
	{"SUBSCRIBE", cmd_subscribe, 0},
	{"UNSUBSCRIBE", cmd_unsubscribe, 0},
	{"LIST", cmd_list, 0},
	{"LSUB", cmd_lsub, 0},
	{"STATUS", cmd_status, 0},
	{"APPEND", cmd_append, 0},
	{"NAMESPACE", cmd_namespace, CMD_LOCAL},
	{"ENABLE", cmd_enable, CMD_LOCAL},
	{"IDLE", cmd_idle, 0},
	{"LOGIN", cmd_login, CMD_LOCAL},
	{"AUTHENTICATE", cmd_login, CMD_LOCAL},
	{"STARTTLS", cmd_login, CMD_LOCAL},
	/* with a mailbox selected, 6.4 */
	{"CHECK", cmd_check, CMD_SELECTED},
	{"CLOSE", cmd_close, CMD_SELECTED | CMD_QUIET},
	{"UNSELECT", cmd_unselect, CMD_SELECTED | CMD_QUIET},
	{"EXPUNGE", cmd_expunge, CMD_SELECTED | CMD_UID},
	{"SEARCH", cmd_search, CMD_SELECTED | CMD_UID | CMD_SEQUENCE},
	{"FETCH", cmd_fetch, CMD_SELECTED | CMD_UID | CMD_SEQUENCE},
	{"STORE", cmd_store, CMD_SELECTED | CMD_UID | CMD_SEQUENCE},
	{"COPY", cmd_copy, CMD_SELECTED | CMD_UID},
	{"MOVE", cmd_move, CMD_SELECTED | CMD_UID},
};

const struct imap_cmd_def *imap_command_find(struct span name)
{
	for (size_t i = 0; i < array_count(commands); i++) {
		if (span_is_nocase(name, commands[i].name))
			return &commands[i];
	}
	return NULL;
}

/* Only what works in full, in the state after login. */
void imap_write_capabilities(struct buf *out)
{
	buf_add_str(out, "CAPABILITY IMAP4rev1 LITERAL+ ID ENABLE IDLE NAMESPACE CHILDREN UNSELECT "
			 "UIDPLUS MOVE SPECIAL-USE CREATE-SPECIAL-USE LIST-STATUS STATUS=SIZE "
			 "CONDSTORE");
}

void cmd_capability(struct imap_client *c)
{
	if (!imap_parse_end(&c->cmd.args)) {
		imap_cmd_bad_args(c);
		return;
	}
	buf_add_str(&c->out, "* ");
	imap_write_capabilities(&c->out);
	buf_add_str(&c->out, "\r\n");
	imap_cmd_ok(c, NULL, "Capability completed");
}

void cmd_logout(struct imap_client *c)
{
	if (!imap_parse_end(&c->cmd.args)) {
		imap_cmd_bad_args(c);
		return;
	}
	c->logged_out = true;
	buf_add_str(&c->out, "* BYE Logging out\r\n");
	imap_cmd_ok(c, NULL, "Logout completed");
	imap_client_close(c);
}

void cmd_login(struct imap_client *c)
{
	imap_cmd_bad(c, "Already logged in");
}

void cmd_namespace(struct imap_client *c)
{
	if (!imap_parse_end(&c->cmd.args)) {
		imap_cmd_bad_args(c);
		return;
	}
	buf_add_str(&c->out, "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n");
	imap_cmd_ok(c, NULL, "Namespace completed");
}

/* RFC 2971: at most 30 pairs, names to 30 and values to 1024 octets. What the client says is
 * logged. */
static bool id_parse(struct imap_client *c, struct buf *told)
{
	struct imap_parser *p = &c->cmd.args;
	struct span name, value;

	if (!imap_parse_space(p))
		return false;
	if (imap_parse_word(p, "NIL"))
		return imap_parse_end(p);
	if (!imap_parse_char(p, '('))
		return false;
	for (unsigned pairs = 0; imap_parser_peek(p) != ')'; pairs++) {
		if (pairs > 0 && !imap_parse_space(p))
			return false;
		if (!imap_parse_string(p, &name) || !imap_parse_space(p) ||
			!imap_parse_nstring(p, &value))
			return false;
		if (pairs >= 30 || name.n > 30 || value.n > 1024) {
			p->error = "Too much identification";
			return false;
		}
		if (told->len < 400) {
			buf_add_str(told, told->len > 0 ? " " : "");
			buf_add_span(told, name);
			buf_add_c(told, '=');
			buf_add(told, value.p, value.n > 80 ? 80 : value.n);
		}
	}
	return imap_parse_char(p, ')') && imap_parse_end(p);
}

void cmd_id(struct imap_client *c)
{
	struct buf told;

	buf_init(&told);
	if (!id_parse(c, &told)) {
		imap_cmd_bad_args(c);
	} else {
		if (told.len > 0)
			log_info("imap-client-id", "id", LOG_SPAN(buf_span(&told)), NULL);
		buf_add_str(&c->out, "* ID (\"name\" \"LightMail\")\r\n");
		imap_cmd_ok(c, NULL, "ID completed");
	}
	buf_clear(&told);
}

void imap_enable_condstore(struct imap_client *c)
{
	if (c->condstore)
		return;
	c->condstore = true;
	/* RFC 7162 3.1: the first use with a mailbox selected tells its HIGHESTMODSEQ */
	if (c->mbox.selected) {
		buf_add_str(&c->out, "* OK [HIGHESTMODSEQ ");
		imap_write_number(&c->out, c->mbox.view.modseq > 0 ? c->mbox.view.modseq : 1);
		buf_add_str(&c->out, "] Highest\r\n");
	}
}

void cmd_enable(struct imap_client *c)
{
	struct imap_parser *p = &c->cmd.args;
	bool condstore = false;
	struct span name;

	do {
		if (!imap_parse_space(p) || !imap_parse_atom(p, &name)) {
			imap_cmd_bad_args(c);
			return;
		}
		condstore |= span_is_nocase(name, "CONDSTORE");
	} while (!imap_parser_at_end(p));
	buf_add_str(&c->out, "* ENABLED");
	if (condstore && !c->condstore)
		buf_add_str(&c->out, " CONDSTORE");
	buf_add_str(&c->out, "\r\n");
	if (condstore)
		imap_enable_condstore(c);
	imap_cmd_ok(c, NULL, "Enabled");
}
