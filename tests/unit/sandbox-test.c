/* Each act is done in a process of its own, in the sandbox; what is forbidden must kill it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib-common/sandbox.h"
#include "lib-common/service.h"

static char dir[] = "/tmp/sandbox-test-XXXXXX";

/* The sanitizers' run-time needs some of these calls itself. */
#ifdef LM_SANITIZED
static const bool sanitized = true;
#else
static const bool sanitized = false;
#endif

typedef int act(void);

/* The exit status of act in a sandbox, or minus the signal that ended it. */
static int run(const struct sandbox *s, bool session, act *a)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		struct err e;

		if (sandbox_enter(s, &e) < 0 || (session && sandbox_enter_session(&e) < 0)) {
			fprintf(stderr, "%s\n", e.log);
			_exit(99);
		}
		_exit(a() & 127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static int act_nothing(void)
{
	char byte;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0 || write(fds[1], "x", 1) != 1 || read(fds[0], &byte, 1) != 1)
		return 1;
	free(malloc(1 << 20));
	return 0;
}

static int act_inet(void)
{
	return socket(AF_INET, SOCK_STREAM, 0) >= 0 ? 0 : 1;
}

static int act_unix(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0) >= 0 ? 0 : 1;
}

static int act_packet(void)
{
	return socket(AF_PACKET, SOCK_RAW, 0) >= 0 ? 0 : 1;
}

static int act_exec(void)
{
	char *argv[] = {(char *)(uintptr_t) "/bin/true", NULL};

	execv(argv[0], argv);
	return 1;
}

static int act_fork(void)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0)
		_exit(0);
	return pid > 0 && waitpid(pid, &status, 0) == pid ? status : 1;
}

static int act_ptrace(void)
{
	return ptrace(PTRACE_ATTACH, getppid(), 0, 0) == 0 ? 0 : 1;
}

static int act_vm_read(void)
{
	char c;
	struct iovec here = {&c, 1}, there = {&c, 1};

	return process_vm_readv(getppid(), &here, 1, &there, 1, 0) == 1 ? 0 : 1;
}

static int act_pidfd(void)
{
	return syscall(SYS_pidfd_open, getppid(), 0) >= 0 ? 0 : 1;
}

static int act_kill(void)
{
	return kill(getppid(), 0);
}

static int act_mount(void)
{
	return mount("none", "/mnt", "tmpfs", 0, "");
}

static int act_setuid(void)
{
	return setuid(0);
}

static int act_exec_memory(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
	       MAP_FAILED;
}

static int act_open(void)
{
	return open("/etc/passwd", O_RDONLY) >= 0 ? 0 : errno;
}

static int act_open_own(void)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/file", dir);
	return open(path, O_RDONLY) >= 0 ? 0 : errno;
}

static int act_create_own(void)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/new", dir);
	return open(path, O_RDWR | O_CREAT, 0600) >= 0 ? 0 : errno;
}

static void *thread_main(void *arg)
{
	return arg;
}

static int act_thread(void)
{
	pthread_t t;

	return pthread_create(&t, NULL, thread_main, NULL) == 0 ? pthread_join(t, NULL) : 1;
}

static int temp_fd = -1;

static int act_temp_file(void)
{
	return openat(temp_fd, ".", O_TMPFILE | O_RDWR | O_EXCL, 0600) >= 0 ? 0 : errno;
}

static int act_temp_escape(void)
{
	return openat(temp_fd, "file", O_RDONLY) >= 0 ? 0 : errno;
}

static void test_base(void **state)
{
	struct sandbox s = {.temp_fd = -1};

	(void)state;
	assert_int_equal(run(&s, false, act_nothing), 0);
	assert_int_equal(run(&s, false, act_inet), -SIGSYS);
	assert_int_equal(run(&s, false, act_unix), -SIGSYS);
	assert_int_equal(run(&s, false, act_packet), -SIGSYS);
	assert_int_equal(run(&s, false, act_exec), -SIGSYS);
	assert_int_equal(run(&s, false, act_pidfd), -SIGSYS);
	assert_int_equal(run(&s, false, act_mount), -SIGSYS);
	assert_int_equal(run(&s, false, act_setuid), -SIGSYS);
	if (!sanitized) {
		assert_int_equal(run(&s, false, act_fork), -SIGSYS);
		assert_int_equal(run(&s, false, act_ptrace), -SIGSYS);
		assert_int_equal(run(&s, false, act_vm_read), -SIGSYS);
		assert_int_equal(run(&s, false, act_kill), -SIGSYS);
		assert_int_equal(run(&s, false, act_exec_memory), -SIGSYS);
		assert_int_equal(run(&s, false, act_thread), -SIGSYS);
	}
	assert_int_equal(run(&s, false, act_open), EACCES);
}

static void test_rights(void **state)
{
	struct sandbox s = {.temp_fd = -1, .rights = SANDBOX_UNIX_CLIENT};

	(void)state;
	assert_int_equal(run(&s, false, act_unix), 0);
	assert_int_equal(run(&s, false, act_inet), -SIGSYS);
	s.rights = SANDBOX_INET_CLIENT;
	assert_int_equal(run(&s, false, act_inet), 0);
	assert_int_equal(run(&s, false, act_packet), -SIGSYS);
	s.rights = SANDBOX_THREADS;
	assert_int_equal(run(&s, false, act_thread), 0);
	s.rights = SANDBOX_FORK;
	assert_int_equal(run(&s, false, act_fork), 0);
	assert_int_equal(run(&s, false, act_exec), -SIGSYS);
	if (!sanitized) {
		assert_int_equal(run(&s, true, act_fork), -SIGSYS);
		assert_int_equal(run(&s, true, act_kill), -SIGSYS);
	}
}

static bool have_landlock(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, 1) > 0;
}

static void test_files(void **state)
{
	struct sandbox s = {.temp_fd = -1, .rights = SANDBOX_FILES_READ};

	(void)state;
	sandbox_allow_path(&s, dir, false);
	sandbox_allow_path(&s, "/nonexistent", false);
	assert_int_equal(run(&s, false, act_open_own), 0);
	if (have_landlock()) {
		assert_int_equal(run(&s, false, act_open), EACCES);
		assert_int_equal(run(&s, false, act_create_own), EACCES);
	}
	sandbox_clear(&s);
	sandbox_allow_path(&s, dir, true);
	assert_int_equal(run(&s, false, act_create_own), 0);
	sandbox_clear(&s);
}

static void test_temp(void **state)
{
	struct sandbox s = {.rights = 0};

	(void)state;
	s.temp_fd = temp_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(temp_fd >= 0);
	assert_int_equal(run(&s, false, act_temp_file), 0);
	if (!sanitized)
		assert_int_not_equal(run(&s, false, act_temp_escape), 0);
	if (!sanitized || have_landlock())
		assert_int_equal(run(&s, false, act_open), EACCES);
	close(temp_fd);
}

static int act_user(void)
{
	return getuid() != 0 && geteuid() != 0 && access("/etc", F_OK) != 0 ? 0 : 1;
}

static void test_user(void **state)
{
	struct sandbox s = {.temp_fd = -1, .user = "nobody", .root = dir};

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(run(&s, false, act_user), 0);
	s.user = "no-such-user-here";
	assert_int_equal(run(&s, false, act_user), 99);
	s.user = "root";
	assert_int_equal(run(&s, false, act_user), 99);
}

static int act_memory(void)
{
	return mmap(NULL, 1 << 30, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? 0
												: 1;
}

static void test_memory(void **state)
{
	struct sandbox s = {.temp_fd = -1, .memory_limit = 256 << 20};

	(void)state;
	if (sanitized)
		skip();
	assert_int_equal(run(&s, false, act_memory), 0);
}

static int setup(void **state)
{
	char path[64];
	int fd;

	(void)state;
	if (mkdtemp(dir) == NULL || chmod(dir, 0755) < 0)
		return -1;
	snprintf(path, sizeof(path), "%s/file", dir);
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
	char path[64];

	(void)state;
	snprintf(path, sizeof(path), "%s/file", dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/new", dir);
	unlink(path);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_base),
		cmocka_unit_test(test_rights),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_temp),
		cmocka_unit_test(test_user),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
