#include "ctl/ctl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "lib-common/mem.h"

#define ASK_TIMEOUT_MS 60000

/* A first try, so that "not running" is said at once and not when time runs out. */
static bool can_connect(const char *path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd;
	bool ok;

	if (strlen(path) >= sizeof(sa.sun_path)) {
		errno = ENAMETOOLONG;
		return false;
	}
	memcpy(sa.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ok = fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0;
	if (fd >= 0) {
		int saved = errno;

		(void)close(fd);
		errno = saved;
	}
	return ok;
}

struct call *ctl_call(struct ctl *ctl, const char *role, const char *verb)
{
	char *path = mem_printf("%s/ctl/%s", ctl->global->run_dir, role);
	struct client_def def = {.role = role, .path = path, .reconnect = false};
	struct call *call = NULL;

	*strrchr(path, '/') = '-';
	if (can_connect(path))
		call = call_new(client_new(ctl->base, &def), verb);
	else
		fprintf(stderr, "lightmailctl: %s: %s (is lightmail running?)\n", path,
			strerror(errno));
	mem_free(path);
	return call;
}

struct result *ctl_send(struct call *call)
{
	return call == NULL ? NULL : call_wait(call, ASK_TIMEOUT_MS);
}

int ctl_failed(const struct result *r)
{
	if (r == NULL)
		return CTL_TEMP;
	if (r->code == ERR_NONE)
		return CTL_OK;
	fprintf(stderr, "lightmailctl: %.*s (%s)\n", (int)r->text.n, r->text.p,
		err_code_name(r->code));
	return err_is_temporary(r->code) ? CTL_TEMP : CTL_FAILED;
}

bool ctl_account(struct ctl *ctl, const char *user, uint64_t *account_r, int *status_r)
{
	struct call *call = ctl_call(ctl, "auth/admin", "USER-SHOW");
	struct result *r;

	if (call != NULL)
		call_str(call, "user", user);
	r = ctl_send(call);
	*status_r = ctl_failed(r);
	if (*status_r == CTL_OK)
		*account_r = result_uint(r, "account");
	result_free(r);
	return *status_r == CTL_OK;
}
