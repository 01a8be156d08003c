/*
 * Folders, all of them below run_dir, state_dir and temp_dir:
 *	run_dir/<service>	root's: the sockets it may connect to; it is the service's root
 *	run_dir/ctl		root's, 0700: the sockets of lightmailctl
 *	state_dir/<service>	the service's, 0700: its data, where its settings name a path there
 *	temp_dir/<service>	the service's, 0700: for files without a name
 */
#include "master/master.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "lib-common/mem.h"

/* Makes path with its parents (0755) and sets mode and owner of the last; it must not be a link. */
static void folder_make(const char *path, mode_t mode, uid_t uid, gid_t gid, struct buf *problems)
{
	char *copy = mem_strdup(path);
	struct stat st;
	bool ok;

	for (char *slash = strchr(copy + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)mkdir(copy, 0755);
		*slash = '/';
	}
	mem_free(copy);
	ok = (mkdir(path, mode) == 0 || errno == EEXIST) && lstat(path, &st) == 0;
	if (ok && !S_ISDIR(st.st_mode)) {
		errno = ENOTDIR;
		ok = false;
	}
	ok = ok && ((st.st_mode & 07777) == mode || chmod(path, mode) == 0) &&
	     ((st.st_uid == uid && st.st_gid == gid) || geteuid() != 0 ||
		     lchown(path, uid, gid) == 0);
	if (!ok)
		buf_printf(problems, "%s: %s\n", path, strerror(errno));
}

char *folder_temp(const struct plan *plan, unsigned unit)
{
	const struct global_settings *g = plan->global;

	if (*g->temp_dir != '\0')
		return mem_printf("%s/%s", g->temp_dir, unit_defs[unit].name);
	return mem_printf("%s/temp/%s", g->state_dir, unit_defs[unit].name);
}

/* A folder is made where a setting names a path in it: files that must be there are not ours. */
static bool has_state(const struct plan *plan, unsigned unit, const char *folder)
{
	const struct settings_def *def = unit_defs[unit].settings;
	size_t n = strlen(folder);

	for (const struct setting_row *row = def->rows; row->name != NULL; row++) {
		const char *path;

		if (row->type != SETTING_PATH || row->min == 1)
			continue;
		path = *(char **)((char *)plan->settings[unit] + row->offset);
		if (strncmp(path, folder, n) == 0 && path[n] == '/')
			return true;
	}
	return false;
}

static void unit_ids(const struct plan *plan, unsigned unit, uid_t *uid_r, gid_t *gid_r)
{
	const struct service_settings *knobs = plan_knobs(plan, unit);
	const struct passwd *pw;
	const struct group *gr;

	*uid_r = geteuid();
	*gid_r = getegid();
	if (*uid_r != 0 || !plan->global->separate_users)
		return;
	pw = getpwnam(knobs->user);
	if (pw == NULL)
		return; /* plan_check has said so */
	*uid_r = pw->pw_uid;
	gr = *knobs->group == '\0' ? NULL : getgrnam(knobs->group);
	*gid_r = gr == NULL ? pw->pw_gid : gr->gr_gid;
}

int folders_make(const struct plan *plan, struct buf *problems)
{
	uid_t me = geteuid(), uid;
	gid_t my_group = getegid(), gid;
	size_t before = problems->len;
	char *path;

	folder_make(plan->global->run_dir, 0755, me, my_group, problems);
	path = mem_printf("%s/%s", plan->global->run_dir, CTL_NAME);
	folder_make(path, 0700, me, my_group, problems);
	mem_free(path);
	for (unsigned i = 0; i < UNIT_COUNT; i++) {
		unit_ids(plan, i, &uid, &gid);
		path = mem_printf("%s/%s", plan->global->run_dir, unit_defs[i].name);
		folder_make(path, 0755, me, my_group, problems);
		mem_free(path);
		path = mem_printf("%s/%s", plan->global->state_dir, unit_defs[i].name);
		if (has_state(plan, i, path))
			folder_make(path, 0700, uid, gid, problems);
		mem_free(path);
		path = folder_temp(plan, i);
		folder_make(path, 0700, uid, gid, problems);
		mem_free(path);
	}
	return problems->len == before ? 0 : -1;
}

/* One master for a run_dir: the pid file is locked for as long as it lives. */
int folders_lock(struct master *m, struct buf *problems)
{
	char *path = mem_printf("%s/master.pid", m->plan->global->run_dir);

	m->pid_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (m->pid_fd < 0 || flock(m->pid_fd, LOCK_EX | LOCK_NB) < 0) {
		buf_printf(problems, "%s: %s\n", path,
			m->pid_fd >= 0 && errno == EWOULDBLOCK ? "another master is running"
							       : strerror(errno));
		mem_free(path);
		return -1;
	}
	mem_free(path);
	return 0;
}
