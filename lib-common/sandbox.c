#include "lib-common/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib-common/log.h"
#include "lib-common/mem.h"
#include "lib-common/sandbox-seccomp.h"
#include "lib-common/service.h"

void sandbox_allow_path(struct sandbox *s, const char *path, bool writable)
{
	s->paths = mem_realloc_array(s->paths, s->n_paths + 1, sizeof(*s->paths));
	s->paths[s->n_paths++] = (struct sandbox_entry){mem_strdup(path), writable};
}

void sandbox_clear(struct sandbox *s)
{
	for (size_t i = 0; i < s->n_paths; i++)
		mem_free(s->paths[i].path);
	mem_free(s->paths);
	s->paths = NULL;
	s->n_paths = 0;
}

static int limit_set(int which, const char *name, uint64_t n, struct err *e)
{
	struct rlimit now, limit = {.rlim_cur = n, .rlim_max = n};

	if (getrlimit((__rlimit_resource_t)which, &now) == 0 && now.rlim_max < n)
		limit.rlim_cur = limit.rlim_max = now.rlim_max;
	if (setrlimit((__rlimit_resource_t)which, &limit) < 0)
		return err_set(e, ERR_PERM, "limit %s: %s", name, strerror(errno));
	return 0;
}

static int limits_set(const struct sandbox *s, struct err *e)
{
	if (limit_set(RLIMIT_CORE, "core", 0, e) < 0)
		return -1;
	if (s->file_limit != 0 && limit_set(RLIMIT_NOFILE, "nofile", s->file_limit, e) < 0)
		return -1;
#ifdef LM_SANITIZED
	return 0; /* the shadow memory needs terabytes of address space; LSan traces the process */
#else
	if (s->memory_limit != 0 && limit_set(RLIMIT_AS, "as", s->memory_limit, e) < 0)
		return -1;
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		return err_set(e, ERR_PERM, "dumpable: %s", strerror(errno));
	return 0;
#endif
}

static int ids_find(const struct sandbox *s, uid_t *uid_r, gid_t *gid_r, struct err *e)
{
	const struct passwd *pw = getpwnam(s->user);
	const struct group *gr;

	if (pw == NULL)
		return err_set(e, ERR_PERM, "no system user %s", s->user);
	*uid_r = pw->pw_uid;
	*gid_r = pw->pw_gid;
	if (s->group == NULL || *s->group == '\0')
		return *uid_r == 0 ? err_set(e, ERR_PERM, "user %s is root", s->user) : 0;
	gr = getgrnam(s->group);
	if (gr == NULL)
		return err_set(e, ERR_PERM, "no system group %s", s->group);
	*gid_r = gr->gr_gid;
	return *uid_r == 0 ? err_set(e, ERR_PERM, "user %s is root", s->user) : 0;
}

/* What init made as root (a database, its log) belongs to the service: the path itself and, of a
 * folder, its entries. Nothing that has another owner is touched, and no link is followed. */
static void path_give(const char *path, uid_t uid, gid_t gid)
{
	struct stat st;
	DIR *dir;

	if (lstat(path, &st) < 0)
		return;
	if (st.st_uid == 0 && (S_ISDIR(st.st_mode) || (S_ISREG(st.st_mode) && st.st_nlink == 1)) &&
		lchown(path, uid, gid) < 0)
		log_warning("chown-failed", "path", LOG_STR(path), NULL);
	dir = S_ISDIR(st.st_mode) ? opendir(path) : NULL;
	if (dir == NULL)
		return;
	for (struct dirent *d; (d = readdir(dir)) != NULL;) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			st.st_uid == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1 &&
			fchownat(dirfd(dir), d->d_name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
			log_warning("chown-failed", "path", LOG_STR(d->d_name), NULL);
	}
	closedir(dir);
}

static int user_switch(const struct sandbox *s, struct err *e)
{
	uid_t uid = 0;
	gid_t gid = 0;

	if (s->user == NULL)
		return 0;
	if (ids_find(s, &uid, &gid, e) < 0)
		return -1;
	for (size_t i = 0; i < s->n_paths; i++) {
		if (s->paths[i].writable)
			path_give(s->paths[i].path, uid, gid);
	}
	if (s->root != NULL && (chroot(s->root) < 0 || chdir("/") < 0))
		return err_set(e, ERR_PERM, "chroot %s: %s", s->root, strerror(errno));
	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return err_set(e, ERR_PERM, "user %s: %s", s->user, strerror(errno));
	if (setuid(0) == 0 || seteuid(0) == 0 || setgid(0) == 0 || getuid() != uid ||
		geteuid() != uid || getgid() != gid || getegid() != gid || getgroups(0, NULL) != 0)
		abort(); /* a way back to root is no drop */
	return 0;
}

#ifdef LM_SANITIZED
static bool entered;

/* LeakSanitizer asks this at the end. It traces the process and reads /proc, which the sandbox
 * forbids: it would fail, or hang, and that would be the exit status. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return entered;
}
#endif

int sandbox_enter(const struct sandbox *s, struct err *e)
{
	int landlock = sandbox_landlock(s, e);

#ifdef LM_SANITIZED
	entered = true;
#endif
	if (landlock == -1 || limits_set(s, e) < 0 || user_switch(s, e) < 0)
		return -1;
#ifndef LM_SANITIZED
	/* setresuid may have set it again. */
	(void)prctl(PR_SET_DUMPABLE, 0);
#endif
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_set(e, ERR_PERM, "no_new_privs: %s", strerror(errno));
	if (landlock >= 0) {
		long rc = syscall(SYS_landlock_restrict_self, landlock, 0);

		close(landlock);
		if (rc < 0)
			return err_set(e, ERR_PERM, "landlock: %s", strerror(errno));
	}
	return sandbox_seccomp(s, e);
}
