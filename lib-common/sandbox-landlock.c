/* Landlock (Linux 5.13 and later). Debian 12's header ends at ABI 2, so what came later stands
 * here. */
#include "lib-common/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib-common/log.h"
#include "lib-common/mem.h"
#include "lib-common/service.h"

#define FS_TRUNCATE (1ULL << 14)    /* ABI 3 */
#define FS_IOCTL_DEV (1ULL << 15)   /* ABI 5 */
#define NET_BIND_TCP (1ULL << 0)    /* ABI 4 */
#define NET_CONNECT_TCP (1ULL << 1) /* ABI 4 */
#define SCOPE_ABSTRACT (1ULL << 0)  /* ABI 6 */
#define SCOPE_SIGNAL (1ULL << 1)    /* ABI 6 */
#define ABI_WHOLE 6

struct ruleset {
	uint64_t fs, net, scoped;
};

static struct ruleset rights_of_abi(long abi, unsigned rights)
{
	struct ruleset r = {.fs = LANDLOCK_ACCESS_FS_REFER - 1};

	if (abi >= 2)
		r.fs |= LANDLOCK_ACCESS_FS_REFER;
	if (abi >= 3)
		r.fs |= FS_TRUNCATE;
	if (abi >= 4)
		r.net = NET_BIND_TCP | ((rights & SANDBOX_INET_CLIENT) ? 0 : NET_CONNECT_TCP);
	if (abi >= 5)
		r.fs |= FS_IOCTL_DEV;
	if (abi >= 6)
		r.scoped = SCOPE_ABSTRACT | SCOPE_SIGNAL;
	return r;
}

static size_t ruleset_size(long abi)
{
	if (abi >= 6)
		return sizeof(struct ruleset);
	return abi >= 4 ? offsetof(struct ruleset, scoped) : offsetof(struct ruleset, net);
}

static int allow_fd(int ruleset, int fd, uint64_t access, bool is_dir)
{
	struct landlock_path_beneath_attr rule = {.parent_fd = fd, .allowed_access = access};

	if (!is_dir)
		rule.allowed_access &= LANDLOCK_ACCESS_FS_READ_FILE |
				       LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE;
	return (int)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
}

static int allow_path(int ruleset, const char *path, uint64_t access)
{
	int fd = open(path, O_PATH | O_CLOEXEC), rc;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		log_warning("sandbox-path-missing", "path", LOG_STR(path), NULL);
		if (fd >= 0)
			close(fd);
		return 0;
	}
	rc = allow_fd(ruleset, fd, access, S_ISDIR(st.st_mode));
	close(fd);
	return rc;
}

/* Returns the ruleset's descriptor, -1 with *e, or -2 where the kernel has no Landlock. The paths
 * are opened before chroot; the rules hold afterwards too, as they name inodes. */
int sandbox_landlock(const struct sandbox *s, struct err *e)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	const uint64_t read_access = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
	uint64_t write_access;
	struct ruleset r;
	int fd, rc = 0;

	if (abi < 1) {
		log_info("sandbox-no-landlock", "error", LOG_STR(strerror(errno)), NULL);
		return -2;
	}
	if (abi < ABI_WHOLE)
		log_info("sandbox-landlock-partial", "abi", LOG_INT(abi), NULL);
	r = rights_of_abi(abi, s->rights);
	fd = (int)syscall(SYS_landlock_create_ruleset, &r, ruleset_size(abi), 0);
	if (fd < 0)
		return err_set(e, ERR_PERM, "landlock: %s", strerror(errno));
	write_access = r.fs & (read_access | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE |
				      LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR |
				      LANDLOCK_ACCESS_FS_REMOVE_FILE |
				      LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REFER);
	for (size_t i = 0; i < s->n_paths && rc == 0; i++)
		rc = allow_path(
			fd, s->paths[i].path, s->paths[i].writable ? write_access : read_access);
	if (rc == 0 && s->temp_fd >= 0)
		rc = allow_fd(fd, s->temp_fd,
			write_access &
				(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
					FS_TRUNCATE | LANDLOCK_ACCESS_FS_MAKE_REG),
			true);
#ifdef LM_SANITIZED
	if (rc == 0)
		rc = allow_path(fd, "/proc", read_access);
#endif
	if (rc < 0) {
		err_set(e, ERR_PERM, "landlock rule: %s", strerror(errno));
		close(fd);
		return -1;
	}
	return fd;
}
