/*
 * sandbox: the one function that drops rights, for good, and proves it. In this order, each step
 * needing rights that a later one takes away:
 *
 *	limits (address space, files, no core), no ptrace of us (dumpable 0), what init made is
 *given to the service's user, chroot, groups, gid, uid, an attempt to come back (success aborts),
 *	no_new_privs, Landlock, seccomp.
 *
 * Landlock: nothing of the file system but the named paths, no TCP bind, TCP connect only by right,
 *no abstract Unix sockets and no signals outside. What the kernel does not know is left out, with a
 *log line. Connecting to a Unix socket by path is beyond Landlock up to ABI 8: there the chroot,
 *the sockets' owner and mode, and the token of each role decide.
 *
 * seccomp: an allow-list. What is not on it kills the process (SIGSYS; the kernel's audit log names
 * the call), but calls that only open or look up paths fail with EACCES in a service without files,
 *as libraries try them at odd moments. With the environment variable LIGHTMAIL_SANDBOX=trap a log
 *line names the call before the process dies (for development).
 *
 * Sanitizer builds: no address-space limit, dumpable, and what their run-time needs on top.
 */
#ifndef LM_SANDBOX_H
#define LM_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib-common/err.h"

struct sandbox_entry {
	char *path;
	bool writable;
};

struct sandbox {
	unsigned rights; /* enum sandbox_rights of service.h */
	const int *extra_syscalls;
	struct sandbox_entry *paths;
	size_t n_paths;
	int temp_fd;		  /* folder for O_TMPFILE, or -1 */
	uint64_t memory_limit;	  /* octets of address space; 0: none */
	uint64_t file_limit;	  /* descriptors; 0: as it is */
	const char *user, *group; /* NULL: stay who we are (not root, or separate_users = no) */
	const char *root;	  /* folder for chroot; NULL: none */
};

/* Copies path. A path that does not exist is left out with a log line. */
void sandbox_allow_path(struct sandbox *s, const char *path, bool writable);
/* -1 with *e: rights may be half dropped, and the process must end. */
int sandbox_enter(const struct sandbox *s, struct err *e);
/* For a session process after its fork: no more fork, and no wait. -1 as above. */
int sandbox_enter_session(struct err *e);
void sandbox_clear(struct sandbox *s);

/* sandbox-landlock.c */
int sandbox_landlock(const struct sandbox *s, struct err *e);

#endif
