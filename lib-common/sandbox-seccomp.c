/*
 * The system calls that a service may make. One list for all, more by right; whatever stands
 * nowhere kills. Where a call can be narrowed by its arguments it is.
 */
#include "lib-common/sandbox-seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <termios.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib-common/mem.h"
#include "lib-common/log.h"
#include "lib-common/service.h"

/* clang-format off */
static const int base_calls[] = {
	/* descriptors */
	SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(pread64), SCMP_SYS(preadv), SCMP_SYS(preadv2),
	SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(pwrite64), SCMP_SYS(pwritev), SCMP_SYS(pwritev2),
	SCMP_SYS(close), SCMP_SYS(close_range), SCMP_SYS(dup), SCMP_SYS(dup2), SCMP_SYS(dup3),
	SCMP_SYS(fcntl), SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(lseek), SCMP_SYS(statx),
	SCMP_SYS(ftruncate), SCMP_SYS(fallocate), SCMP_SYS(memfd_create), SCMP_SYS(sendfile),
	SCMP_SYS(splice), SCMP_SYS(copy_file_range), SCMP_SYS(pipe), SCMP_SYS(pipe2),
	/* waiting */
	SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(select), SCMP_SYS(pselect6),
	SCMP_SYS(epoll_create), SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_pwait2), SCMP_SYS(eventfd2), SCMP_SYS(timerfd_create),
	SCMP_SYS(timerfd_settime), SCMP_SYS(timerfd_gettime),
	/* sockets that exist */
	SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(getsockname), SCMP_SYS(getpeername),
	SCMP_SYS(getsockopt), SCMP_SYS(setsockopt), SCMP_SYS(shutdown), SCMP_SYS(sendto),
	SCMP_SYS(recvfrom), SCMP_SYS(sendmsg), SCMP_SYS(recvmsg), SCMP_SYS(sendmmsg),
	SCMP_SYS(recvmmsg),
	/* memory */
	SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(brk), SCMP_SYS(mlock),
	SCMP_SYS(mlock2), SCMP_SYS(munlock), SCMP_SYS(mincore),
	/* threads and signals of our own */
	SCMP_SYS(futex), SCMP_SYS(set_robust_list), SCMP_SYS(get_robust_list), SCMP_SYS(rseq),
	SCMP_SYS(membarrier), SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity),
	SCMP_SYS(sched_getparam), SCMP_SYS(sched_getscheduler), SCMP_SYS(getcpu),
	SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigtimedwait), SCMP_SYS(sigaltstack), SCMP_SYS(restart_syscall),
	SCMP_SYS(exit), SCMP_SYS(exit_group),
	/* questions without harm */
	SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(getppid), SCMP_SYS(getuid), SCMP_SYS(geteuid),
	SCMP_SYS(getgid), SCMP_SYS(getegid), SCMP_SYS(getrandom), SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_getres), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep),
	SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(uname), SCMP_SYS(sysinfo),
	SCMP_SYS(getrlimit), SCMP_SYS(getrusage), SCMP_SYS(times), SCMP_SYS(getcwd),
	SCMP_SYS(setitimer), SCMP_SYS(alarm), SCMP_SYS(umask),
};

static const int file_read_calls[] = {
	SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(access),
	SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(readlink), SCMP_SYS(readlinkat),
	SCMP_SYS(getdents64), SCMP_SYS(fstatfs), SCMP_SYS(statfs), SCMP_SYS(fadvise64),
	SCMP_SYS(readahead), SCMP_SYS(flock), SCMP_SYS(inotify_init1), SCMP_SYS(inotify_add_watch),
	SCMP_SYS(inotify_rm_watch),
};

static const int file_write_calls[] = {
	SCMP_SYS(rename), SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(unlink),
	SCMP_SYS(unlinkat), SCMP_SYS(mkdir), SCMP_SYS(mkdirat), SCMP_SYS(rmdir), SCMP_SYS(link),
	SCMP_SYS(linkat), SCMP_SYS(fsync), SCMP_SYS(fdatasync), SCMP_SYS(sync_file_range),
	SCMP_SYS(truncate), SCMP_SYS(fchmod), SCMP_SYS(fchmodat), SCMP_SYS(chmod), SCMP_SYS(fchown),
	SCMP_SYS(utimensat), SCMP_SYS(msync), SCMP_SYS(creat),
};

/* Without files: libraries look things up at odd moments (time zone, allocator, resolver). */
static const int path_calls[] = {
	SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(access),
	SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(readlink), SCMP_SYS(readlinkat),
	SCMP_SYS(statfs),
};

static const int sanitizer_calls[] = {
	SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(stat), SCMP_SYS(readlink), SCMP_SYS(readlinkat),
	SCMP_SYS(getdents64), SCMP_SYS(ptrace), SCMP_SYS(wait4), SCMP_SYS(clone), SCMP_SYS(fork),
	SCMP_SYS(mmap), SCMP_SYS(mprotect), SCMP_SYS(prctl), SCMP_SYS(prlimit64), SCMP_SYS(ioctl),
	SCMP_SYS(personality), SCMP_SYS(process_vm_readv), SCMP_SYS(kill), SCMP_SYS(tgkill),
	SCMP_SYS(arch_prctl), SCMP_SYS(setrlimit), SCMP_SYS(access), SCMP_SYS(socketpair),
};
/* clang-format on */

struct filter {
	scmp_filter_ctx ctx;
	int rc; /* the first failure */
};

static void add(
	struct filter *f, uint32_t action, int call, unsigned n, const struct scmp_arg_cmp *args)
{
	int rc = seccomp_rule_add_array(f->ctx, action, call, n, args);

	/* A call that this machine does not have needs no rule; the same rule may come twice. */
	if (rc < 0 && rc != -EDOM && rc != -EEXIST && rc != -EINVAL && f->rc == 0)
		f->rc = rc;
}

static void allow(struct filter *f, int call)
{
	add(f, SCMP_ACT_ALLOW, call, 0, NULL);
}

static void allow_list(struct filter *f, const int *calls, size_t n)
{
	for (size_t i = 0; i < n; i++)
		allow(f, calls[i]);
}

static void allow_arg(struct filter *f, int call, struct scmp_arg_cmp arg)
{
	add(f, SCMP_ACT_ALLOW, call, 1, &arg);
}

static void sockets_allow(struct filter *f, unsigned rights)
{
	allow_arg(f, SCMP_SYS(socketpair), SCMP_A0(SCMP_CMP_EQ, AF_UNIX));
	if (rights & (SANDBOX_UNIX_CLIENT | SANDBOX_INET_CLIENT)) {
		allow_arg(f, SCMP_SYS(socket), SCMP_A0(SCMP_CMP_EQ, AF_UNIX));
		allow(f, SCMP_SYS(connect));
	}
	if (rights & SANDBOX_INET_CLIENT) {
		allow_arg(f, SCMP_SYS(socket), SCMP_A0(SCMP_CMP_EQ, AF_INET));
		allow_arg(f, SCMP_SYS(socket), SCMP_A0(SCMP_CMP_EQ, AF_INET6));
		allow_arg(f, SCMP_SYS(socket), SCMP_A0(SCMP_CMP_EQ, AF_NETLINK)); /* resolver */
		allow_arg(f, SCMP_SYS(bind), SCMP_A2(SCMP_CMP_LE, 28));
	}
}

/* Threads by clone alone: clone3's flags lie in memory, where a filter cannot see them. */
static void processes_allow(struct filter *f, unsigned rights)
{
	struct scmp_arg_cmp thread[] = {SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD)};
	struct scmp_arg_cmp process[] = {
		SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_VM | CLONE_THREAD | 0x7e020080ULL, 0)};

	if (rights & (SANDBOX_THREADS | SANDBOX_FORK))
		add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0, NULL);
	if (rights & SANDBOX_THREADS)
		add(f, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, thread);
	if (rights & SANDBOX_FORK) {
		add(f, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, process);
		allow(f, SCMP_SYS(fork));
		allow(f, SCMP_SYS(wait4));
		allow(f, SCMP_SYS(waitid));
		/* The session process adds a filter of its own. */
		allow(f, SCMP_SYS(seccomp));
	}
	/* abort(), pthread_kill(): ourselves only. A forked process has another pid, so for those
	 * Landlock's scope and the uid decide, and abort ends in SIGSYS. */
	allow_arg(f, SCMP_SYS(tgkill), SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
	allow_arg(f, SCMP_SYS(kill), SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
}

static void memory_allow(struct filter *f)
{
	allow_arg(f, SCMP_SYS(mmap), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	allow_arg(f, SCMP_SYS(mprotect), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
}

static void details_allow(struct filter *f)
{
	static const unsigned long ioctls[] = {FIONREAD, FIONBIO, TCGETS, TIOCGWINSZ};
	static const int prctls[] = {PR_SET_NAME, PR_GET_NAME, PR_GET_DUMPABLE, PR_SET_DUMPABLE,
		PR_SET_NO_NEW_PRIVS, PR_GET_NO_NEW_PRIVS, 0x53564d41 /* PR_SET_VMA */};
	struct scmp_arg_cmp limits[] = {SCMP_A0(SCMP_CMP_EQ, 0), SCMP_A2(SCMP_CMP_EQ, 0)};

	for (size_t i = 0; i < array_count(ioctls); i++)
		allow_arg(f, SCMP_SYS(ioctl), SCMP_A1(SCMP_CMP_EQ, ioctls[i]));
	for (size_t i = 0; i < array_count(prctls); i++)
		allow_arg(f, SCMP_SYS(prctl), SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)prctls[i]));
	add(f, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 2, limits);
}

static void files_allow(struct filter *f, const struct sandbox *s)
{
	if (s->rights & (SANDBOX_FILES_READ | SANDBOX_FILES_WRITE))
		allow_list(f, file_read_calls, array_count(file_read_calls));
	if (s->rights & SANDBOX_FILES_WRITE)
		allow_list(f, file_write_calls, array_count(file_write_calls));
	if (s->rights & (SANDBOX_FILES_READ | SANDBOX_FILES_WRITE))
		return;
	for (size_t i = 0; i < array_count(path_calls); i++) {
		if (path_calls[i] != SCMP_SYS(openat) || s->temp_fd < 0)
			add(f, SCMP_ACT_ERRNO(EACCES), path_calls[i], 0, NULL);
	}
	if (s->temp_fd < 0)
		return;
	/* In the folder for temporary files only files without a name can be made; a path that
	 * leads out of it reaches no file that exists. All other openat are refused, in rules that
	 * do not overlap with the one that allows. */
	struct scmp_arg_cmp allowed[] = {SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)s->temp_fd),
		SCMP_A2(SCMP_CMP_MASKED_EQ, O_TMPFILE, O_TMPFILE)};
	struct scmp_arg_cmp elsewhere[] = {SCMP_A0(SCMP_CMP_NE, (scmp_datum_t)s->temp_fd)};

	add(f, SCMP_ACT_ALLOW, SCMP_SYS(openat), 2, allowed);
	add(f, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(openat), 1, elsewhere);
}

static void on_sigsys(int sig, siginfo_t *info, void *context)
{
	char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, info->si_syscall);

	(void)context;
	log_error("sandbox-violation", "call", LOG_STR(name == NULL ? "unknown" : name), "number",
		LOG_INT(info->si_syscall), NULL);
	_exit(128 + sig);
}

static uint32_t kill_action(void)
{
	const char *mode = getenv("LIGHTMAIL_SANDBOX");
	struct sigaction sa = {.sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO};

	if (mode == NULL || strcmp(mode, "trap") != 0)
		return SCMP_ACT_KILL_PROCESS;
	sigaction(SIGSYS, &sa, NULL);
	return SCMP_ACT_TRAP;
}

static int filter_load(struct filter *f, struct err *e)
{
	/* no_new_privs is set already; the kernel's audit log shall name what killed. */
	(void)seccomp_attr_set(f->ctx, SCMP_FLTATR_CTL_NNP, 0);
	(void)seccomp_attr_set(f->ctx, SCMP_FLTATR_CTL_LOG, 1);
	(void)seccomp_attr_set(f->ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	(void)seccomp_attr_set(f->ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (f->rc == 0)
		f->rc = seccomp_load(f->ctx);
	seccomp_release(f->ctx);
	if (f->rc < 0)
		return err_set(e, ERR_PERM, "seccomp: %s", strerror(-f->rc));
	return 0;
}

int sandbox_seccomp(const struct sandbox *s, struct err *e)
{
	struct filter f = {.ctx = seccomp_init(kill_action())};

	if (f.ctx == NULL)
		return err_set(e, ERR_PERM, "seccomp: no memory");
	allow_list(&f, base_calls, array_count(base_calls));
	sockets_allow(&f, s->rights);
	processes_allow(&f, s->rights);
#ifdef LM_SANITIZED
	allow_list(&f, sanitizer_calls, array_count(sanitizer_calls));
	files_allow(&f, &(struct sandbox){.rights = s->rights | SANDBOX_FILES_READ});
#else
	(void)sanitizer_calls;
	memory_allow(&f);
	details_allow(&f);
	files_allow(&f, s);
#endif
	for (size_t i = 0; s->extra_syscalls != NULL && s->extra_syscalls[i] != -1; i++)
		allow(&f, s->extra_syscalls[i]);
	return filter_load(&f, e);
}

int sandbox_enter_session(struct err *e)
{
	static const int denied[] = {SCMP_SYS(fork), SCMP_SYS(vfork), SCMP_SYS(clone),
		SCMP_SYS(clone3), SCMP_SYS(wait4), SCMP_SYS(waitid), SCMP_SYS(execve),
		SCMP_SYS(execveat), SCMP_SYS(ptrace), SCMP_SYS(kill), SCMP_SYS(tkill)};
	struct filter f = {.ctx = seccomp_init(SCMP_ACT_ALLOW)};
	uint32_t action = kill_action();

	if (f.ctx == NULL)
		return err_set(e, ERR_PERM, "seccomp: no memory");
#ifdef LM_SANITIZED
	f.rc = 0; /* LSan clones and traces */
	(void)denied;
	(void)action;
#else
	for (size_t i = 0; i < array_count(denied); i++)
		add(&f, action, denied[i], 0, NULL);
#endif
	return filter_load(&f, e);
}
