/* fork and exec of one process, with the descriptors that lib-common/service.h promises it. */
#include "master/master.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include "lib-common/mem.h"

#define FDS_MAX 64
#define FD_FIRST 3 /* control, settings, metrics, temporary files, then the listeners */
#define FD_FIXED 4
#define FD_HIGH 1000 /* where descriptors wait, out of the way of the final numbers */

static int memfd_sealed(const char *name, struct span text, size_t size, int seals)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -1;
	while (text.n > 0) {
		ssize_t n = write(fd, text.p, text.n);

		if (n <= 0 && errno != EINTR) {
			(void)close(fd);
			return -1;
		}
		if (n > 0)
			text = span_from(text.p + n, text.n - (size_t)n);
	}
	if ((size > 0 && ftruncate(fd, (off_t)size) < 0) || fcntl(fd, F_ADD_SEALS, seals) < 0) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

int settings_memfd(struct span text)
{
	return memfd_sealed("lightmail-settings", text, 0,
		F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
}

/* In the child; only what is safe between fork and exec of a single-threaded process. */
static void child_exec(const char *path, const char *name, const int *fds, size_t n)
{
	char *argv[] = {(char *)(uintptr_t)name, NULL};
	int high[FDS_MAX + FD_FIXED];
	sigset_t none;

	/* A group of its own: session processes can then be killed with their parent. */
	(void)setpgid(0, 0);
	(void)unsetenv("NOTIFY_SOCKET");
	for (size_t i = 0; i < n; i++) {
		high[i] = fds[i] < 0 ? -1 : fcntl(fds[i], F_DUPFD, FD_HIGH);
		if (fds[i] >= 0 && high[i] < 0)
			_exit(71);
	}
	for (size_t i = 0; i < n; i++) {
		int to = FD_FIRST + (int)i;

		if (high[i] < 0)
			(void)close(to);
		else if (dup2(high[i], to) < 0)
			_exit(71);
	}
	(void)close_range(FD_FIRST + (unsigned)n, ~0u, 0);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	for (int s = 1; s < 32; s++)
		(void)signal(s, SIG_DFL);
	(void)execv(path, argv);
	_exit(72);
}

int spawn_process(
	struct master *m, struct unit *u, struct process *p, int *control_r, struct err *e)
{
	int fds[FDS_MAX + FD_FIXED], listeners[FDS_MAX], pair[2];
	char *path = mem_printf("%s/%s", m->plan->global->libexec_dir, u->def->name), *temp;
	struct buf text;
	size_t n;
	int settings;

	buf_init(&text);
	plan_write(m, m->plan, u->index, &text, listeners, &n, FDS_MAX);
	settings = settings_memfd(buf_span(&text));
	buf_wipe(&text);
	p->metrics_fd = memfd_sealed("lightmail-metrics", span_from(NULL, 0), METRIC_REGION_BYTES,
		F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
	if (settings < 0 || p->metrics_fd < 0 ||
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		int saved = errno;

		mem_free(path);
		if (settings >= 0)
			(void)close(settings);
		return err_set(e, ERR_TEMP, "%s: %s", u->def->name, strerror(saved));
	}
	fds[0] = pair[1];
	fds[1] = settings;
	fds[2] = p->metrics_fd;
	temp = folder_temp(m->plan, u->index);
	fds[3] = open(temp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	mem_free(temp);
	memcpy(fds + FD_FIXED, listeners, n * sizeof(*fds));
	p->pid = fork();
	if (p->pid == 0)
		child_exec(path, u->def->name, fds, n + FD_FIXED);
	(void)close(pair[1]);
	(void)close(settings);
	if (fds[3] >= 0)
		(void)close(fds[3]);
	mem_free(path);
	if (p->pid < 0) {
		(void)close(pair[0]);
		return err_set(e, ERR_TEMP, "%s: fork: %s", u->def->name, strerror(errno));
	}
	*control_r = pair[0];
	return 0;
}
