/*
 * s3-uploader: all bodies, both ways: sealed into packs, read from them, and the packs kept in
 * order.
 *
 * Sockets: offers objects/put (lmtp, imap), objects/get (imap, api, lightmailctl) and
 * objects/maintain (indexer, lightmailctl); opens none. Rights kept: the store's folder, threads.
 * It holds the key-encryption keys and the receipt key. A peer that is gone: its puts under way are
 * finished (orphans, which the scrubber finds) or, when they still grow, given up; its reads are
 * dropped. The loop never touches a file: threads compress, seal, sync, read and decrypt.
 */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "lib-common/mem.h"
#include "lib-storage/pack-recovery.h"
#include "services/s3-uploader/s3-uploader.h"

/* While still privileged: the folder, made for the service's own user when it is new. */
static int folder_open(struct service *svc, const char *path, struct err *e)
{
	const char *user = service_knobs(svc)->user;
	struct passwd *pw;
	int fd;

	if (mkdir(path, 0700) == 0) {
		pw = geteuid() == 0 && user != NULL && *user != '\0' ? getpwnam(user) : NULL;
		if (pw != NULL && service_global(svc)->separate_users &&
			chown(path, pw->pw_uid, pw->pw_gid) < 0)
			return err_set(e, ERR_PERM, "cannot give %s to %s: %m", path, user);
	} else if (errno != EEXIST) {
		return err_set(e, ERR_PERM, "cannot make %s: %m", path);
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_set(e, ERR_PERM, "cannot open %s: %m", path);
	return fd;
}

static int uploader_init(struct service *svc, struct err *e)
{
	struct uploader *u = mem_alloc(sizeof(*u));
	const unsigned char *key = service_key(svc, "receipt-key");
	const char *recovery;

	service_set_data(svc, u);
	u->settings = service_settings(svc);
	recovery = u->settings->recovery_key;
	if (key == NULL)
		return err_set(e, ERR_PERM, "master handed down no receipt key");
	memcpy(u->receipt_key, key, sizeof(u->receipt_key));
	u->ring = kek_load(u->settings->kek_file, e);
	if (u->ring == NULL)
		return -1;
	if (recovery != NULL && *recovery != '\0') {
		if (recovery_public_load(recovery, u->recovery_key, e) < 0)
			return -1;
		u->has_recovery_key = true;
	}
	u->folder = folder_open(svc, u->settings->path, e);
	if (u->folder < 0)
		return -1;
	sandbox_path(svc, u->settings->path, true);
	return 0;
}

static int uploader_begin(struct service *svc, struct err *e)
{
	return uploader_start(service_data(svc), service_base(svc), e);
}

static void uploader_reload(struct service *svc, void *new_settings)
{
	struct uploader *u = service_data(svc);

	u->settings = new_settings;
}

static void uploader_end(struct service *svc)
{
	struct uploader *u = service_data(svc);

	if (u == NULL)
		return;
	uploader_stop(u);
	kek_free(u->ring);
	if (u->folder >= 0)
		(void)close(u->folder);
	mem_wipe(u, sizeof(*u));
	mem_free(u);
	service_set_data(svc, NULL);
}

static const struct role_def *const roles[] = {
	&objects_put_role, &objects_get_role, &objects_maintain_role, NULL};

static const struct service_def s3_uploader_service = {
	.name = "s3-uploader",
	.settings = &s3_uploader_settings_def,
	.roles = roles,
	.rights = SANDBOX_FILES_READ | SANDBOX_FILES_WRITE | SANDBOX_THREADS,
	.init = uploader_init,
	.start = uploader_begin,
	.reload = uploader_reload,
	.stop = uploader_end,
};

int main(int argc, char **argv)
{
	return service_run(&s3_uploader_service, argc, argv);
}
