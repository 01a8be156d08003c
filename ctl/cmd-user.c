/* Domains, users, aliases and tokens: auth/admin. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ctl/ctl.h"
#include "lib-common/mem.h"

#define ROLE "auth/admin"
#define MANY_LINES 5000			 /* of one request: each is a transaction */
#define MANY_TIMEOUT_MS (10 * 60 * 1000) /* passwords in clear have to be hashed */

static const struct ctl_column domain_columns[] = {
	{"domain", COLUMN_TEXT}, {"users", COLUMN_NUMBER}, {"created", COLUMN_TIME}, {NULL, 0}};
static const struct ctl_column user_columns[] = {{"user", COLUMN_TEXT}, {"account", COLUMN_NUMBER},
	{"state", COLUMN_TEXT}, {"quota_bytes", COLUMN_SIZE}, {"quota_messages", COLUMN_NUMBER},
	{"created", COLUMN_TIME}, {NULL, 0}};
static const struct ctl_column user_keys[] = {{"user", COLUMN_TEXT}, {"account", COLUMN_NUMBER},
	{"state", COLUMN_TEXT}, {"generation", COLUMN_NUMBER}, {"quota_bytes", COLUMN_SIZE},
	{"quota_messages", COLUMN_NUMBER}, {"created", COLUMN_TIME}, {"scheme", COLUMN_TEXT},
	{"pending", COLUMN_NUMBER}, {NULL, 0}};
static const struct ctl_column alias_columns[] = {
	{"alias", COLUMN_TEXT}, {"target", COLUMN_TEXT}, {NULL, 0}};
static const struct ctl_column token_columns[] = {{"name", COLUMN_TEXT}, {"scope", COLUMN_TEXT},
	{"created", COLUMN_TIME}, {"expires", COLUMN_TIME}, {NULL, 0}};

/* A call with up to two arguments under the names given. */
static struct call *call_with(struct ctl *ctl, const char *verb, const char *name1,
	const char *value1, const char *name2, const char *value2)
{
	struct call *call = ctl_call(ctl, ROLE, verb);

	if (call && name1)
		call_str(call, name1, value1);
	if (call && name2)
		call_str(call, name2, value2);
	return call;
}

static int print_list(struct ctl *ctl, struct call *call, const struct ctl_column *columns)
{
	int ret;
	struct result *r = ctl_wait(ctl, call, 0, &ret);

	if (!r)
		return ret;
	ctl_print_rows(ctl, r->body, columns);
	result_free(r);
	return CTL_OK;
}

/* ---- domains ---- */

static int domain_add(struct ctl *ctl, int argc, char **argv)
{
	(void)argc;
	return ctl_do(
		ctl, call_with(ctl, "DOMAIN-ADD", "domain", argv[0], NULL, NULL), "domain added");
}

static int domain_list(struct ctl *ctl, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return print_list(ctl, ctl_call(ctl, ROLE, "DOMAIN-LIST"), domain_columns);
}

static int domain_show(struct ctl *ctl, int argc, char **argv)
{
	int ret;
	struct result *r = ctl_wait(ctl, ctl_call(ctl, ROLE, "DOMAIN-LIST"), 0, &ret);
	struct span rest, line, fields, name;

	(void)argc;
	if (!r)
		return ret;
	ret = CTL_FAILED;
	rest = r->body;
	while (ret != CTL_OK && span_cut(&rest, '\n', &line)) {
		fields = line;
		if (span_cut(&fields, '\t', &name) && span_equal_nocase(name, span_of(argv[0]))) {
			ctl_print_rows(ctl, line, domain_columns);
			ret = CTL_OK;
		}
	}
	if (ret != CTL_OK)
		ctl_fail("no domain %s", argv[0]);
	result_free(r);
	return ret;
}

static int domain_delete(struct ctl *ctl, int argc, char **argv)
{
	(void)argc;
	return ctl_do(ctl, call_with(ctl, "DOMAIN-DELETE", "domain", argv[0], NULL, NULL),
		"domain deleted");
}

/* ---- users ---- */

static bool add_size_option(struct ctl *ctl, struct call *call, const char *option, const char *key)
{
	const char *text = ctl_option(ctl, option);
	uint64_t n;

	if (!text)
		return true;
	if (!ctl_size(text, &n)) {
		ctl_fail("--%s %s: not a size (50M, 2G, none)", option, text);
		return false;
	}
	call_uint(call, key, n);
	return true;
}

/* The password from --hash, the terminal or standard input. */
static int send_with_password(struct ctl *ctl, struct call *call, const char *done)
{
	const char *hash = ctl_option(ctl, "hash");
	struct buf password;

	if (hash) {
		call_str(call, "hash", hash);
		return ctl_do(ctl, call, done);
	}
	buf_init(&password);
	if (!ctl_read_password(ctl, &password)) {
		buf_wipe(&password);
		return CTL_USAGE;
	}
	call_span(call, "password", buf_span(&password));
	buf_wipe(&password);
	return ctl_do(ctl, call, done);
}

static int add_many(struct ctl *ctl, const char *path);

static int user_add(struct ctl *ctl, int argc, char **argv)
{
	struct call *call;

	if (ctl_option(ctl, "file"))
		return argc == 0 ? add_many(ctl, ctl_option(ctl, "file"))
				 : (ctl_fail("either an address or --file"), CTL_USAGE);
	if (argc != 1) {
		ctl_fail("an address or --file is needed");
		return CTL_USAGE;
	}
	call = call_with(ctl, "USER-ADD", "user", argv[0], NULL, NULL);
	if (!call)
		return CTL_TEMP;
	if (!add_size_option(ctl, call, "quota", "quota_bytes") ||
		!add_size_option(ctl, call, "quota-messages", "quota_messages"))
		return CTL_USAGE;
	return send_with_password(ctl, call, "user added");
}

static int user_add_many(struct ctl *ctl, int argc, char **argv)
{
	(void)argc;
	return add_many(ctl, argv[0]);
}

/* "address TAB password or hash TAB quota": the quota becomes octets. */
static bool many_add_line(struct buf *out, struct span line, unsigned number)
{
	struct span address, password = {"", 0}, quota = {"", 0};
	char text[32];
	uint64_t n;

	if (!span_cut(&line, '\t', &address))
		return false;
	if (line.p)
		(void)span_cut(&line, '\t', &password);
	if (line.p)
		(void)span_cut(&line, '\t', &quota);
	quota = span_trim(quota);
	if (quota.n > 0 && quota.p[quota.n - 1] == '\r')
		quota.n--;
	buf_add_span(out, address);
	buf_add_c(out, '\t');
	buf_add_span(out, password);
	buf_add_c(out, '\t');
	if (quota.n > 0) {
		(void)snprintf(text, sizeof(text), "%.*s", (int)quota.n, quota.p);
		if (quota.n >= sizeof(text) || !ctl_size(text, &n)) {
			ctl_fail("line %u: not a size: %s", number, text);
			return false;
		}
		buf_printf(out, "%llu", (unsigned long long)n);
	}
	buf_add_c(out, '\n');
	return true;
}

struct many {
	uint64_t added, failed;
	struct buf lines, problems;
	unsigned n;
};

static int many_send(struct ctl *ctl, struct many *m)
{
	struct call *call;
	struct result *r;
	int ret;

	if (m->n == 0)
		return CTL_OK;
	call = ctl_call(ctl, ROLE, "USER-ADD-MANY");
	if (call)
		buf_add_span(call_body(call), buf_span(&m->lines));
	r = ctl_wait(ctl, call, MANY_TIMEOUT_MS, &ret);
	if (!r)
		return ret;
	m->added += result_uint(r, "added");
	m->failed += result_uint(r, "failed");
	buf_add_span(&m->problems, r->body);
	result_free(r);
	buf_empty(&m->lines);
	m->n = 0;
	return CTL_OK;
}

static int many_read(struct ctl *ctl, FILE *f, struct many *m)
{
	char *line = NULL;
	size_t size = 0;
	unsigned number = 0;
	int ret = CTL_OK;
	ssize_t n;

	while (ret == CTL_OK && (n = getline(&line, &size, f)) >= 0) {
		number++;
		if (n > 0 && line[n - 1] == '\n')
			n--;
		if (n == 0 || line[0] == '#')
			continue;
		if (!many_add_line(&m->lines, span_from(line, (size_t)n), number))
			ret = CTL_USAGE;
		else if (++m->n == MANY_LINES)
			ret = many_send(ctl, m);
	}
	if (ret == CTL_OK)
		ret = many_send(ctl, m);
	if (line)
		mem_wipe(line, size);
	free(line);
	return ret;
}

static int add_many(struct ctl *ctl, const char *path)
{
	bool own = strcmp(path, "-") != 0;
	FILE *f = own ? fopen(path, "re") : stdin;
	struct many m = {0};
	int ret;

	if (!f)
		return ctl_fail("%s: %s", path, strerror(errno));
	buf_init(&m.lines);
	buf_init(&m.problems);
	ret = many_read(ctl, f, &m);
	if (own)
		fclose(f);
	if (m.problems.len > 0)
		fputs(buf_str(&m.problems), stderr);
	if (ctl->json)
		printf("{\"added\": %llu, \"failed\": %llu}\n", (unsigned long long)m.added,
			(unsigned long long)m.failed);
	else
		printf("%llu added, %llu failed\n", (unsigned long long)m.added,
			(unsigned long long)m.failed);
	buf_wipe(&m.lines);
	buf_clear(&m.problems);
	return ret == CTL_OK && m.failed > 0 ? CTL_FAILED : ret;
}

/* All pages as one list. */
static int user_list(struct ctl *ctl, int argc, char **argv)
{
	struct buf rows, after;
	struct result *r;
	bool more = true;
	const char *domain = argc ? argv[0] : ctl_option(ctl, "domain");
	int ret = CTL_OK;

	buf_init(&rows);
	buf_init(&after);
	while (more) {
		struct call *call = call_with(ctl, "USER-LIST", domain ? "domain" : NULL, domain,
			after.len ? "after" : NULL, buf_str(&after));
		struct span last, name = {NULL, 0};

		r = ctl_wait(ctl, call, 0, &ret);
		if (!r)
			break;
		buf_add_span(&rows, r->body);
		more = result_uint(r, "more") && r->body.n > 1;
		if (more) {
			const char *start = memrchr(r->body.p, '\n', r->body.n - 1);

			start = start ? start + 1 : r->body.p;
			last = span_from(start, r->body.n - (size_t)(start - r->body.p));
			(void)span_cut(&last, '\t', &name);
			buf_empty(&after);
			buf_add_span(&after, name);
		}
		result_free(r);
	}
	if (ret == CTL_OK)
		ctl_print_rows(ctl, buf_span(&rows), user_columns);
	buf_clear(&rows);
	buf_clear(&after);
	return ret;
}

static int user_show(struct ctl *ctl, int argc, char **argv)
{
	int ret;
	struct result *r = ctl_wait(
		ctl, call_with(ctl, "USER-SHOW", "user", argv[0], NULL, NULL), 0, &ret);

	(void)argc;
	if (!r)
		return ret;
	ctl_print_object(ctl, r, user_keys);
	result_free(r);
	return CTL_OK;
}

static int user_delete(struct ctl *ctl, int argc, char **argv)
{
	(void)argc;
	return ctl_do(
		ctl, call_with(ctl, "USER-DELETE", "user", argv[0], NULL, NULL), "user deleted");
}

static int user_password(struct ctl *ctl, int argc, char **argv)
{
	struct call *call = call_with(ctl, "USER-PASSWORD", "user", argv[0], NULL, NULL);

	(void)argc;
	return call ? send_with_password(ctl, call, "password set") : CTL_TEMP;
}

static int user_enable(struct ctl *ctl, int argc, char **argv)
{
	(void)argc;
	return ctl_do(
		ctl, call_with(ctl, "USER-ENABLE", "user", argv[0], NULL, NULL), "user enabled");
}

static int user_disable(struct ctl *ctl, int argc, char **argv)
{
	(void)argc;
	return ctl_do(
		ctl, call_with(ctl, "USER-DISABLE", "user", argv[0], NULL, NULL), "user disabled");
}

static int user_rename(struct ctl *ctl, int argc, char **argv)
{
	(void)argc;
	return ctl_do(
		ctl, call_with(ctl, "USER-RENAME", "user", argv[0], "to", argv[1]), "user renamed");
}

static int user_quota(struct ctl *ctl, int argc, char **argv)
{
	struct call *call = call_with(ctl, "USER-QUOTA", "user", argv[0], NULL, NULL);
	uint64_t n;

	if (!call)
		return CTL_TEMP;
	if (argc > 1) {
		if (!ctl_size(argv[1], &n)) {
			ctl_fail("%s: not a size (50M, 2G, none)", argv[1]);
			return CTL_USAGE;
		}
		call_uint(call, "quota_bytes", n);
	}
	if ((argc == 1 && !add_size_option(ctl, call, "quota", "quota_bytes")) ||
		!add_size_option(ctl, call, "quota-messages", "quota_messages"))
		return CTL_USAGE;
	return ctl_do(ctl, call, "quota set");
}

/* ---- aliases ---- */

static int alias_add(struct ctl *ctl, int argc, char **argv)
{
	int i, ret;

	for (i = 1; i < argc; i++) {
		struct result *r = ctl_wait(ctl,
			call_with(ctl, "ALIAS-ADD", "name", argv[0], "target", argv[i]), 0, &ret);

		if (!r)
			return ret;
		result_free(r);
	}
	puts(ctl->json ? "{}" : "alias added");
	return CTL_OK;
}

static int alias_list(struct ctl *ctl, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return print_list(ctl, ctl_call(ctl, ROLE, "ALIAS-LIST"), alias_columns);
}

static int alias_show(struct ctl *ctl, int argc, char **argv)
{
	(void)argc;
	return print_list(
		ctl, call_with(ctl, "ALIAS-SHOW", "name", argv[0], NULL, NULL), alias_columns);
}

static int alias_delete(struct ctl *ctl, int argc, char **argv)
{
	return ctl_do(ctl,
		call_with(ctl, "ALIAS-DELETE", "name", argv[0], argc > 1 ? "target" : NULL,
			argc > 1 ? argv[1] : NULL),
		"alias deleted");
}

/* ---- tokens ---- */

static int token_add(struct ctl *ctl, int argc, char **argv)
{
	static const struct ctl_column keys[] = {{"token", COLUMN_TEXT}, {NULL, 0}};
	int ret;
	struct result *r = ctl_wait(
		ctl, call_with(ctl, "TOKEN-ADD", "name", argv[0], "scope", argv[1]), 0, &ret);

	(void)argc;
	if (!r)
		return ret;
	ctl_print_object(ctl, r, keys);
	result_free(r);
	return CTL_OK;
}

static int token_list(struct ctl *ctl, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return print_list(ctl, ctl_call(ctl, ROLE, "TOKEN-LIST"), token_columns);
}

static int token_delete(struct ctl *ctl, int argc, char **argv)
{
	(void)argc;
	return ctl_do(
		ctl, call_with(ctl, "TOKEN-DELETE", "name", argv[0], NULL, NULL), "token deleted");
}

const struct ctl_op ctl_user_ops[] = {
	{"domain add", "DOMAIN", 1, 1, "", false, "Adds a domain.", domain_add},
	{"domain list", "", 0, 0, "", false, "Lists domains.", domain_list},
	{"domain show", "DOMAIN", 1, 1, "", false, "Shows one domain.", domain_show},
	{"domain delete", "DOMAIN", 1, 1, "", false, "Deletes a domain without users and aliases.",
		domain_delete},
	{"user add", "ADDRESS", 0, 1, "quota quota-messages hash file", false,
		"Adds a user; asks for the password (or --password-stdin), or takes a stored one "
		"by --hash. With --file "
		"instead of ADDRESS as add-many.",
		user_add},
	{"user add-many", "FILE", 1, 1, "", false,
		"Adds users from a file (- for standard input): a line each with address, password "
		"(in clear or as {SCHEME}hash) and quota or nothing, separated by TAB.",
		user_add_many},
	{"user list", "[DOMAIN]", 0, 1, "domain", false, "Lists users.", user_list},
	{"user show", "ADDRESS", 1, 1, "", false, "Shows one user.", user_show},
	{"user delete", "ADDRESS", 1, 1, "", false,
		"Deletes a user with all mail, for good; sessions end.", user_delete},
	{"user password", "ADDRESS", 1, 1, "hash", false,
		"Sets the password, asked for or by --hash; sessions end.", user_password},
	{"user enable", "ADDRESS", 1, 1, "", false, "Lets a disabled user in again.", user_enable},
	{"user disable", "ADDRESS", 1, 1, "", false,
		"No logins and no mail for the user; sessions end.", user_disable},
	{"user rename", "ADDRESS NEW-ADDRESS", 2, 2, "", false, "Gives a user another address.",
		user_rename},
	{"user quota", "ADDRESS [SIZE|none]", 1, 2, "quota quota-messages", false,
		"Sets the limits of octets and (--quota-messages) of messages.", user_quota},
	{"alias add", "ADDRESS|@DOMAIN TARGET...", 2, -1, "", false,
		"Adds targets to an alias; @DOMAIN stands for all of its other addresses.",
		alias_add},
	{"alias list", "", 0, 0, "", false, "Lists aliases.", alias_list},
	{"alias show", "ADDRESS|@DOMAIN", 1, 1, "", false, "Shows one alias.", alias_show},
	{"alias delete", "ADDRESS|@DOMAIN [TARGET]", 1, 2, "", false,
		"Deletes an alias, or one target of it.", alias_delete},
	{"token add", "NAME SCOPE", 2, 2, "", false,
		"Makes a token for the HTTP API and prints it, this once.", token_add},
	{"token list", "", 0, 0, "", false, "Lists tokens.", token_list},
	{"token delete", "NAME", 1, 1, "", false, "Deletes a token.", token_delete},
	{NULL, NULL, 0, 0, NULL, false, NULL, NULL},
};
