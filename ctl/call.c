/* Calls to the server, and small helpers. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include "ctl/ctl.h"
#include "lib-auth/password.h"
#include "lib-common/mem.h"

#define CALL_TIMEOUT_MS 60000

int ctl_fail(const char *format, ...)
{
	va_list ap;

	fputs("lightmailctl: ", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
	return CTL_FAILED;
}

bool ctl_size(const char *text, uint64_t *size_r)
{
	struct span s = span_of(text);
	unsigned shift = 0;
	const char *suffix;

	if (strcmp(text, "none") == 0) {
		*size_r = 0;
		return true;
	}
	if (s.n > 1 && (suffix = strchr("KMGT", s.p[s.n - 1])) != NULL) {
		shift = 10 * (unsigned)(suffix - "KMGT" + 1);
		s.n--;
	}
	if (!num_u64(s, size_r) || *size_r > (uint64_t)INT64_MAX >> shift)
		return false;
	*size_r <<= shift;
	return true;
}

/* One connection for each role that an operation talks to, made at its first call; they end with
 * the process. */
static struct client *ctl_client(struct ctl *ctl, const char *role)
{
	static struct {
		char role[32];
		struct client *client;
	} open[4];
	struct client_def def = {.role = role};
	char *path, *slash;
	size_t i;

	for (i = 0; i < array_count(open) && open[i].client; i++) {
		if (strcmp(open[i].role, role) == 0)
			return open[i].client;
	}
	if (i == array_count(open))
		abort();
	path = mem_printf("%s/ctl/%s", ctl->global->run_dir, role);
	slash = strrchr(path, '/');
	*slash = '-';
	if (access(path, R_OK | W_OK) < 0) {
		ctl_fail("%s: %m (is the server running?)", path);
		mem_free(path);
		return NULL;
	}
	def.path = path;
	(void)snprintf(open[i].role, sizeof(open[i].role), "%s", role);
	open[i].client = client_new(ctl->base, &def);
	mem_free(path);
	return open[i].client;
}

struct call *ctl_call(struct ctl *ctl, const char *role, const char *verb)
{
	struct client *client = ctl_client(ctl, role);

	return client ? call_new(client, verb) : NULL;
}

struct result *ctl_wait(struct ctl *ctl, struct call *call, uint64_t timeout_ms, int *exit_r)
{
	struct result *r;

	(void)ctl;
	*exit_r = CTL_TEMP;
	if (!call)
		return NULL;
	r = call_wait(call, timeout_ms ? timeout_ms : CALL_TIMEOUT_MS);
	if (r->code == ERR_NONE) {
		*exit_r = CTL_OK;
		return r;
	}
	ctl_fail("%.*s (%s)", (int)r->text.n, r->text.p, err_code_name(r->code));
	*exit_r = err_is_temporary(r->code) ? CTL_TEMP : CTL_FAILED;
	result_free(r);
	return NULL;
}

int ctl_do(struct ctl *ctl, struct call *call, const char *done)
{
	int ret;
	struct result *r = ctl_wait(ctl, call, 0, &ret);

	if (!r)
		return ret;
	if (ctl->json)
		puts("{}");
	else
		puts(done);
	result_free(r);
	return CTL_OK;
}

/* ---- passwords ---- */

static bool read_line(struct buf *out)
{
	char c;
	ssize_t n;

	buf_limit(out, PASSWORD_MAX + 1);
	while ((n = read(0, &c, 1)) == 1 && c != '\n')
		buf_add_c(out, c);
	if (out->len > 0 && out->data[out->len - 1] == '\r')
		buf_truncate(out, out->len - 1);
	return !out->failed && out->len > 0;
}

static bool prompt(const char *text, struct buf *out)
{
	struct termios old, quiet;
	bool ok;

	fputs(text, stderr);
	if (tcgetattr(0, &old) < 0)
		return false;
	quiet = old;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	(void)tcsetattr(0, TCSAFLUSH, &quiet);
	ok = read_line(out);
	(void)tcsetattr(0, TCSAFLUSH, &old);
	fputc('\n', stderr);
	return ok;
}

bool ctl_read_password(struct ctl *ctl, struct buf *out)
{
	struct buf again;
	bool ok;

	if (ctl->password_stdin || !isatty(0)) {
		if (read_line(out))
			return true;
		ctl_fail("no password on standard input (or a too long one)");
		return false;
	}
	buf_init(&again);
	ok = prompt("Password: ", out) && prompt("Again: ", &again);
	if (ok && !span_equal(buf_span(out), buf_span(&again))) {
		ctl_fail("the two differ");
		ok = false;
	} else if (!ok) {
		ctl_fail("no password");
	}
	buf_wipe(&again);
	return ok;
}
