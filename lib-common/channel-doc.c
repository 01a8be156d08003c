/* A role's table as a section of doc/protocols.md. */
#include "lib-common/channel.h"

static const char *const type_names[] = {[ARG_STRING] = "string",
	[ARG_UINT] = "number",
	[ARG_INT] = "signed number",
	[ARG_HEX] = "hex",
	[ARG_SECRET] = "secret",
	[ARG_FLAG] = "0 or 1"};

static void print_argument(const struct arg_def *a, struct buf *out)
{
	buf_printf(out, "  - `%s` (%s%s)%s%s\n", a->name, type_names[a->type],
		a->required ? "" : ", optional", a->doc == NULL || *a->doc == '\0' ? "" : ": ",
		a->doc == NULL ? "" : a->doc);
}

static void print_command(const struct command_def *c, struct buf *out)
{
	static const char *const body[] = {"", "; may have a body", "; with a body"};
	static const char *const fd[] = {"", "; may have a descriptor", "; with a descriptor"};

	buf_printf(out, "- **%s**%s%s. %s\n", c->verb, body[c->body], fd[c->fd],
		c->doc == NULL ? "" : c->doc);
	for (const struct arg_def *a = c->args; a != NULL && a->name != NULL; a++)
		print_argument(a, out);
}

void channel_role_print(const struct role_def *role, struct buf *out)
{
	buf_printf(out, "### %s\n\n%s\n\n", role->name, role->doc == NULL ? "" : role->doc);
	for (const struct command_def *c = role->commands; c->verb != NULL; c++)
		print_command(c, out);
	buf_add_c(out, '\n');
}
