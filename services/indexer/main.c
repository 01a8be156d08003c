/*
 * indexer: all mailbox metadata; the only process that opens the mail store's database.
 *
 * Sockets: offers indexer/session (imap), indexer/deliver (lmtp), indexer/admin (api, lightmailctl,
 * auth). Opens none. Rights kept: the folder of its database (read, write), threads. No network, no
 * other file. Secrets: the ticket key (with auth), the receipt key (with s3-uploader), wrapped keys
 * of bodies in the database, which only s3-uploader can unwrap. A peer that is gone loses its
 * session; what it asked to change and was begun is finished. Before the process ends, what waits
 * in the queue is committed and answered; sessions come back with their grants.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "lib-common/mem.h"
#include "lib-common/service.h"
#include "services/indexer/indexer-settings.h"
#include "services/indexer/indexer.h"

#define LOCK_POLL_MS 20
#define LOCK_WAIT_MS 60000

static void config_of(struct service *svc, struct indexer_config *c)
{
	const struct indexer_settings *set = service_settings(svc);

	*c = (struct indexer_config){
		.database = set->database,
		.reader_threads = (unsigned)set->reader_threads,
		.state_memory = set->state_memory,
		.sessions_per_user = set->max_sessions_per_user,
		.sessions_per_address = set->max_sessions_per_address,
		.expunge_grace_s = set->expunge_grace_ms / 1000,
		.vanished_history_s = set->vanished_history_ms / 1000,
		.delivery_window_s = set->duplicate_window_ms / 1000,
		.receipt_lifetime_s = set->receipt_lifetime_ms / 1000,
		.subaddress_create = set->subaddress_create,
		.ticket_key = service_key(svc, "ticket-key"),
		.receipt_key = service_key(svc, "receipt-key"),
	};
}

static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL || slash == path ? mem_strdup("/")
					      : mem_dup(path, (size_t)(slash - path));
}

/* One writer at any time (CORNERS M9): a new process waits here until the old one, which has been
 * told to end, has committed its last batch. The lock goes with the process. */
static int lock_shard(const char *database, struct err *e)
{
	char *path = mem_printf("%s.lock", database);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		err_set(e, ERR_PERM, "open %s: %m", path);
	mem_free(path);
	if (fd < 0)
		return -1;
	for (int waited = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; waited += LOCK_POLL_MS) {
		struct timespec pause = {0, LOCK_POLL_MS * 1000000l};

		if (errno != EWOULDBLOCK || waited > LOCK_WAIT_MS) {
			close(fd);
			return err_set(e, ERR_TEMP, "another indexer writes this database");
		}
		nanosleep(&pause, NULL);
	}
	return fd;
}

static int indexer_init(struct service *svc, struct err *e)
{
	struct indexer_config config;
	struct indexer *ix;
	char *folder;

	config_of(svc, &config);
	if (config.ticket_key == NULL || config.receipt_key == NULL)
		return err_set(e, ERR_PERM, "the ticket key or the receipt key is missing");
	folder = folder_of(config.database);
	if (mkdir(folder, 0700) < 0 && errno != EEXIST) {
		err_set(e, ERR_PERM, "mkdir %s: %m", folder);
		mem_free(folder);
		return -1;
	}
	sandbox_path(svc, folder, true);
	mem_free(folder);
	if (lock_shard(config.database, e) < 0)
		return -1;
	ix = indexer_new(service_base(svc), &config, e);
	if (ix == NULL)
		return -1;
	service_set_data(svc, ix);
	return 0;
}

static int indexer_begin(struct service *svc, struct err *e)
{
	return indexer_start(service_data(svc), e);
}

/* Sessions last for days: they are told to come back to the next process, once what they asked is
 * done. */
static void indexer_drain(struct service *svc)
{
	indexer_move_sessions(service_data(svc));
}

static void indexer_reload(struct service *svc, void *new_settings)
{
	struct indexer *ix = service_data(svc);
	struct indexer_config config;

	(void)new_settings;
	config_of(svc, &config);
	ix->config.state_memory = config.state_memory;
	ix->config.sessions_per_user = config.sessions_per_user;
	ix->config.sessions_per_address = config.sessions_per_address;
	ix->config.expunge_grace_s = config.expunge_grace_s;
	ix->config.vanished_history_s = config.vanished_history_s;
	ix->config.receipt_lifetime_s = config.receipt_lifetime_s;
	ix->config.subaddress_create = config.subaddress_create;
}

static void indexer_end(struct service *svc)
{
	indexer_stop(service_data(svc));
}

static const struct role_def *const roles[] = {
	&indexer_session_role, &indexer_deliver_role, &indexer_admin_role, NULL};

static const struct service_def indexer_service = {
	.name = "indexer",
	.settings = &indexer_settings_def,
	.roles = roles,
	.rights = SANDBOX_FILES_READ | SANDBOX_FILES_WRITE | SANDBOX_THREADS,
	.init = indexer_init,
	.start = indexer_begin,
	.drain = indexer_drain,
	.reload = indexer_reload,
	.stop = indexer_end,
};

int main(int argc, char **argv)
{
	return service_run(&indexer_service, argc, argv);
}
