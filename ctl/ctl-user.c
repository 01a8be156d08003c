#include "ctl/ctl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include "lib-common/mem.h"

#define PASSWORD_MAX 1024

static bool read_line(FILE *in, char *line, size_t size)
{
	if (fgets(line, (int)size, in) == NULL)
		return false;
	line[strcspn(line, "\r\n")] = '\0';
	return true;
}

static bool prompt(const char *text, char *line, size_t size)
{
	struct termios old, quiet;
	FILE *tty = fopen("/dev/tty", "r+");
	bool ok;

	if (tty == NULL) {
		fprintf(stderr, "lightmailctl: no terminal; use --password-stdin or --hash\n");
		return false;
	}
	(void)fputs(text, tty);
	(void)fflush(tty);
	(void)tcgetattr(fileno(tty), &old);
	quiet = old;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	(void)tcsetattr(fileno(tty), TCSAFLUSH, &quiet);
	ok = read_line(tty, line, size);
	(void)tcsetattr(fileno(tty), TCSAFLUSH, &old);
	(void)fputs("\n", tty);
	(void)fclose(tty);
	return ok;
}

static bool ask_password(char *password, size_t size)
{
	char again[PASSWORD_MAX];
	bool same;

	if (!prompt("Password: ", password, size) || !prompt("Again: ", again, sizeof(again)))
		return false;
	same = strcmp(password, again) == 0;
	mem_wipe(again, sizeof(again));
	if (!same)
		fprintf(stderr, "lightmailctl: the passwords differ\n");
	return same;
}

static bool add_password(struct ctl *ctl, struct call *call)
{
	char password[PASSWORD_MAX];
	bool ok;

	if (ctl->hash != NULL) {
		call_str(call, "hash", ctl->hash);
		return true;
	}
	ok = ctl->password_stdin ? read_line(stdin, password, sizeof(password))
				 : ask_password(password, sizeof(password));
	if (ok && password[0] == '\0') {
		fprintf(stderr, "lightmailctl: an empty password is no password\n");
		ok = false;
	}
	if (ok)
		call_str(call, "password", password);
	mem_wipe(password, sizeof(password));
	return ok;
}

/* 50K, 10M, 2G. */
static bool parse_size(const char *text, uint64_t *v_r)
{
	static const char units[] = "KMGT";
	struct span s = span_of(text);
	const char *unit = s.n == 0 ? NULL : memchr(units, s.p[s.n - 1], sizeof(units) - 1);
	unsigned shift = unit == NULL ? 0 : 10 * (unsigned)(unit - units + 1);

	if (unit != NULL)
		s.n--;
	if (!num_u64(s, v_r) || *v_r > (UINT64_MAX >> shift))
		return false;
	*v_r <<= shift;
	return true;
}

static bool add_quota(struct ctl *ctl, struct call *call)
{
	uint64_t n;

	if (ctl->quota != NULL) {
		if (!parse_size(ctl->quota, &n)) {
			fprintf(stderr, "lightmailctl: --quota takes a size such as 500M or 2G\n");
			return false;
		}
		call_uint(call, "quota_bytes", n);
	}
	if (ctl->quota_messages != NULL) {
		if (!num_u64(span_of(ctl->quota_messages), &n)) {
			fprintf(stderr, "lightmailctl: --quota-messages takes a number\n");
			return false;
		}
		call_uint(call, "quota_messages", n);
	}
	return true;
}

static int finish(struct ctl *ctl, struct call *call)
{
	struct result *r = ctl_send(call);
	int status = ctl_failed(r);

	if (status == CTL_OK && ctl->json)
		ctl_print_keys(ctl, r);
	result_free(r);
	return status;
}

int ctl_user_add(struct ctl *ctl, const struct ctl_op *op, int argc, char **argv)
{
	struct call *call;

	if (ctl->file != NULL && argc == 0) {
		char *files[] = {(char *)(uintptr_t)ctl->file};

		for (op = ctl_ops; strcmp(op->words, "user add-many") != 0;)
			op++;
		return ctl_user_add_many(ctl, op, 1, files);
	}
	if (argc != 1)
		return CTL_USAGE;
	call = ctl_call(ctl, op->role, op->verb);
	if (call == NULL)
		return CTL_TEMP;
	call_str(call, "user", argv[0]);
	if (!add_password(ctl, call) || !add_quota(ctl, call))
		return CTL_FAILED;
	return finish(ctl, call);
}

int ctl_user_password(struct ctl *ctl, const struct ctl_op *op, int argc, char **argv)
{
	struct call *call;

	if (argc != 1)
		return CTL_USAGE;
	call = ctl_call(ctl, op->role, op->verb);
	if (call == NULL)
		return CTL_TEMP;
	call_str(call, "user", argv[0]);
	return add_password(ctl, call) ? finish(ctl, call) : CTL_FAILED;
}

int ctl_user_quota(struct ctl *ctl, const struct ctl_op *op, int argc, char **argv)
{
	struct call *call;

	if (argc != 1 || (ctl->quota == NULL && ctl->quota_messages == NULL))
		return CTL_USAGE;
	call = ctl_call(ctl, op->role, op->verb);
	if (call == NULL)
		return CTL_TEMP;
	call_str(call, "user", argv[0]);
	return add_quota(ctl, call) ? finish(ctl, call) : CTL_FAILED;
}

int ctl_user_add_many(struct ctl *ctl, const struct ctl_op *op, int argc, char **argv)
{
	FILE *in;
	struct call *call;
	struct result *r;
	struct buf *body;
	size_t n;
	int status;

	if (argc != 1)
		return CTL_USAGE;
	in = strcmp(argv[0], "-") == 0 ? stdin : fopen(argv[0], "r");
	if (in == NULL) {
		fprintf(stderr, "lightmailctl: %s: %s\n", argv[0], strerror(errno));
		return CTL_FAILED;
	}
	call = ctl_call(ctl, op->role, op->verb);
	if (call == NULL)
		return CTL_TEMP;
	body = call_body(call);
	while ((n = fread(buf_reserve(body, 65536), 1, 65536, in)) > 0)
		buf_added(body, n);
	if (in != stdin)
		(void)fclose(in);
	r = ctl_send(call);
	status = ctl_failed(r);
	if (status == CTL_OK) {
		if (ctl->json)
			ctl_print_keys(ctl, r);
		else
			printf("%llu added, %llu refused\n",
				(unsigned long long)result_uint(r, "added"),
				(unsigned long long)result_uint(r, "failed"));
		if (result_uint(r, "failed") > 0) {
			(void)fwrite(r->body.p, 1, r->body.n, stderr);
			status = CTL_FAILED;
		}
	}
	result_free(r);
	return status;
}

/* The list comes in pages; the last name of one begins the next. */
int ctl_user_list(struct ctl *ctl, const struct ctl_op *op, int argc, char **argv)
{
	struct buf all, after;
	bool more = true;
	int status = CTL_OK;

	(void)argv;
	if (argc != 0)
		return CTL_USAGE;
	buf_init(&all);
	buf_init(&after);
	while (more && status == CTL_OK) {
		struct call *call = ctl_call(ctl, op->role, op->verb);
		struct result *r;

		if (call == NULL)
			return CTL_TEMP;
		if (ctl->domain != NULL)
			call_str(call, "domain", ctl->domain);
		if (after.len > 0)
			call_span(call, "after", buf_span(&after));
		r = ctl_send(call);
		status = ctl_failed(r);
		more = status == CTL_OK && result_has(r, "more");
		if (status == CTL_OK) {
			struct span rest = r->body, line, name = {NULL, 0};

			buf_add_span(&all, r->body);
			while (span_cut(&rest, '\n', &line)) {
				if (line.n > 0)
					(void)span_cut(&line, '\t', &name);
			}
			buf_empty(&after);
			buf_add_span(&after, name);
		}
		result_free(r);
	}
	if (status == CTL_OK)
		ctl_print_table(ctl, op->columns, buf_span(&all));
	buf_clear(&all);
	buf_clear(&after);
	return status;
}
