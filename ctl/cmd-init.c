/*
 * init: what must exist before the first start, each with the right owner and mode. What exists
 * already stays as it is, so it can be run again at any time.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "ctl/ctl.h"
#include "ctl/self-signed.h"
#include "lib-auth/userdb.h"
#include "lib-common/mem.h"
#include "lib-storage/locator.h"
#include "services/auth/auth-settings.h"
#include "services/indexer/indexer-settings.h"
#include "services/login/login-settings.h"
#include "services/s3-uploader/s3-uploader-settings.h"

struct init {
	struct ctl *ctl;
	struct auth_settings *auth;
	struct indexer_settings *indexer;
	struct login_settings *login;
	struct s3_uploader_settings *store;
};

static void said(const char *what, const char *path)
{
	printf("%-9s %s\n", what, path);
}

/* Only root can give things away, and only with separate users it is wanted. */
static int owner_of(struct init *in, const char *user, uid_t *uid_r, gid_t *gid_r)
{
	struct passwd *pw;

	*uid_r = (uid_t)-1;
	*gid_r = (gid_t)-1;
	if (geteuid() != 0 || !in->ctl->global->separate_users)
		return 0;
	pw = getpwnam(user);
	if (!pw) {
		ctl_fail(
			"no system user %s; make it with: useradd --system --home-dir /nonexistent "
			"--shell /usr/sbin/nologin %s",
			user, user);
		return -1;
	}
	*uid_r = pw->pw_uid;
	*gid_r = pw->pw_gid;
	return 0;
}

/* Parents are made for all to pass; the last one has the mode and the owner. */
static int make_folder(struct init *in, const char *path, mode_t mode, const char *user)
{
	char *copy = mem_strdup(path), *slash;
	bool made;
	uid_t uid;
	gid_t gid;
	int ret = -1;

	if (user && owner_of(in, user, &uid, &gid) < 0)
		goto out;
	for (slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(copy, 0755) < 0 && errno != EEXIST) {
			ctl_fail("mkdir %s: %m", copy);
			goto out;
		}
		*slash = '/';
	}
	made = mkdir(path, mode) == 0;
	if (!made && errno != EEXIST) {
		ctl_fail("mkdir %s: %m", path);
		goto out;
	}
	if (made && (chmod(path, mode) < 0 || (user && lchown(path, uid, gid) < 0))) {
		ctl_fail("%s: %m", path);
		goto out;
	}
	said(made ? "made" : "kept", path);
	ret = 0;
out:
	mem_free(copy);
	return ret;
}

static int make_parent(struct init *in, const char *path, mode_t mode, const char *user)
{
	char *copy = mem_strdup(path);
	int ret = make_folder(in, dirname(copy), mode, user);

	mem_free(copy);
	return ret;
}

static int make_kek(struct init *in)
{
	const char *path = in->store->kek_file;
	struct err e;
	uid_t uid;
	gid_t gid;

	if (make_parent(in, path, 0700, in->store->service.user) < 0)
		return -1;
	if (access(path, F_OK) == 0) {
		said("kept", path);
		return 0;
	}
	if (owner_of(in, in->store->service.user, &uid, &gid) < 0)
		return -1;
	if (kek_file_create(path, &e) < 0) {
		ctl_fail("%s", e.log);
		return -1;
	}
	if (lchown(path, uid, gid) < 0) {
		ctl_fail("%s: %m", path);
		return -1;
	}
	said("made", path);
	puts("          (keep a copy of this key apart: without it the mail cannot be read)");
	return 0;
}

static int make_user_database(struct init *in)
{
	struct sql_config c = {.path = in->auth->database};
	struct sql_db *db;
	struct err e;
	bool made = access(c.path, F_OK) < 0;
	uid_t uid;
	gid_t gid;
	int ret = -1;

	if (make_parent(in, c.path, 0700, in->auth->service.user) < 0 ||
		owner_of(in, in->auth->service.user, &uid, &gid) < 0)
		return -1;
	db = sql_open(&c, &e);
	if (!db || sql_migrate(db, userdb_migrations, &e) < 0) {
		ctl_fail("%s", e.log);
	} else if (made && lchown(c.path, uid, gid) < 0) {
		ctl_fail("%s: %m", c.path);
	} else {
		said(made ? "made" : "kept", c.path);
		ret = 0;
	}
	sql_close(db);
	return ret;
}

static int make_certificate(struct init *in)
{
	const char *cert = in->login->tls_cert, *key = in->login->tls_key;
	struct err e;

	if (!*cert || !*key)
		return 0;
	if (access(cert, F_OK) == 0) {
		said("kept", cert);
		return 0;
	}
	if (make_parent(in, cert, 0755, NULL) < 0 || make_parent(in, key, 0755, NULL) < 0)
		return -1;
	if (self_signed_make(cert, key, in->ctl->global->hostname, &e) < 0) {
		ctl_fail("%s", e.log);
		return -1;
	}
	said("made", key);
	said("made", cert);
	puts("          (self-signed: put your own in its place)");
	return 0;
}

static int init_all(struct init *in)
{
	const struct global_settings *g = in->ctl->global;

	if (make_folder(in, g->state_dir, 0755, NULL) < 0 ||
		make_folder(in, g->run_dir, 0755, NULL) < 0 ||
		/* every service may make unlinked files there, and see nothing */
		(*g->temp_dir && make_folder(in, g->temp_dir, 01733, NULL) < 0) ||
		make_parent(in, in->indexer->database, 0700, in->indexer->service.user) < 0 ||
		make_folder(in, in->store->path, 0700, in->store->service.user) < 0 ||
		make_kek(in) < 0 || make_user_database(in) < 0 || make_certificate(in) < 0)
		return CTL_FAILED;
	return CTL_OK;
}

static int run_init(struct ctl *ctl, int argc, char **argv)
{
	struct init in = {.ctl = ctl};
	struct err e;
	int ret = CTL_FAILED;

	(void)argc;
	(void)argv;
	in.auth = settings_bind(&auth_settings_def, ctl->config, &e);
	in.indexer = in.auth ? settings_bind(&indexer_settings_def, ctl->config, &e) : NULL;
	in.login = in.indexer ? settings_bind(&login_settings_def, ctl->config, &e) : NULL;
	in.store = in.login ? settings_bind(&s3_uploader_settings_def, ctl->config, &e) : NULL;
	if (in.store)
		ret = init_all(&in);
	else
		ctl_fail("%s", e.log);
	settings_free(&auth_settings_def, in.auth);
	settings_free(&indexer_settings_def, in.indexer);
	settings_free(&login_settings_def, in.login);
	settings_free(&s3_uploader_settings_def, in.store);
	return ret;
}

const struct ctl_op ctl_init_ops[] = {
	{"init", "", 0, 0, "", false,
		"Makes what the first start needs: folders, the key file, the user database, and a "
		"self-signed certificate if there is none. Keeps what exists.",
		run_init},
	{NULL, NULL, 0, 0, NULL, false, NULL, NULL},
};
