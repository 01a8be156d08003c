/*
 * auth: verifies credentials, looks up recipients, manages users; signs tickets
 * (lib-auth/ticket.h).
 *
 * Sockets: offers auth/login (login), auth/lookup (lmtp), auth/admin (api, lightmailctl); opens
 * indexer/admin. Holds: the user database, the ticket key. Rights kept: its database's folder, Unix
 * sockets, threads (a bounded pool that hashes passwords).
 *
 * The loop's thread alone uses the database: a look-up is microseconds. When indexer is gone,
 * logins go on; what indexer must hear waits in the database. When a client is gone its attempts
 * end without an answer; their penalties count.
 */
#include <libgen.h>
#include <openssl/rand.h>
#include <time.h>
#include "lib-common/mem.h"
#include "services/auth/auth.h"

#define PENALTY_ENTRIES 65536

struct auth *auth_of(const struct request *req)
{
	return service_data(channel_service(request_channel(req)));
}

int64_t auth_now(void)
{
	return (int64_t)time(NULL);
}

void auth_password_config(const struct auth *auth, struct password_config *config_r)
{
	const struct auth_settings *s = auth->settings;

	config_r->scheme = (enum password_scheme)s->password_scheme;
	config_r->argon2_memory_kib = (uint32_t)(s->argon2_memory / 1024);
	config_r->argon2_passes = (uint32_t)s->argon2_time;
	config_r->argon2_lanes = (uint32_t)s->argon2_parallelism;
	config_r->crypt_rounds = (uint32_t)(config_r->scheme == PASSWORD_BLF_CRYPT
						    ? s->bcrypt_cost
						    : s->sha512_rounds);
}

void auth_reply_err(struct request *req, const struct err *e)
{
	if (e->code == ERR_TEMP)
		log_error("auth-request-failed", "verb", LOG_STR(request_verb(req)), "error",
			LOG_ERR(e), NULL);
	reply_fail(req, e);
}

bool auth_arg_address(struct request *req, const char *name, bool pattern, struct address *a_r)
{
	struct span text = request_span(req, name);
	bool ok = pattern ? address_parse_pattern(text, a_r) : address_parse(text, a_r);

	if (!ok)
		reply_code(req, ERR_PERM,
			pattern ? "not an address (local@domain or @domain)"
				: "not an address (local@domain)");
	return ok;
}

/* A password of the configured cost that nobody knows. */
static int auth_make_dummy(struct auth *auth, struct err *e)
{
	unsigned char random[16];
	char text[2 * sizeof(random)];
	struct password_config config;
	struct buf hex, out;
	int ret;

	if (RAND_bytes(random, sizeof(random)) != 1)
		return err_set(e, ERR_TEMP, "no random numbers");
	buf_init(&hex);
	buf_init(&out);
	buf_add_hex(&hex, random, sizeof(random));
	memcpy(text, hex.data, sizeof(text));
	auth_password_config(auth, &config);
	ret = password_hash(&config, span_from(text, sizeof(text)), &out, e);
	if (ret == 0) {
		mem_free(auth->dummy);
		auth->dummy = buf_steal(&out, NULL);
	}
	mem_wipe(text, sizeof(text));
	buf_wipe(&hex);
	buf_clear(&out);
	return ret;
}

static int auth_init(struct service *svc, struct err *e)
{
	struct auth *auth = mem_alloc(sizeof(*auth));
	struct sql_config config = {0};
	char *path;

	auth->svc = svc;
	auth->settings = service_settings(svc);
	service_set_data(svc, auth);
	config.path = auth->settings->database;
	path = mem_strdup(config.path);
	sandbox_path(svc, dirname(path), true);
	mem_free(path);
	auth->db = sql_open(&config, e);
	if (!auth->db || sql_migrate(auth->db, userdb_migrations, e) < 0)
		return -1;
	auth->ticket_key = service_key(svc, "ticket-key");
	if (!auth->ticket_key)
		return err_set(e, ERR_PERM, "no ticket key was handed down");
	return auth_make_dummy(auth, e);
}

static int auth_start(struct service *svc, struct err *e)
{
	struct auth *auth = service_data(svc);

	(void)e;
	auth->base = service_base(svc);
	auth->pool = work_pool_new(auth->base, (unsigned)auth->settings->hash_threads,
		(unsigned)auth->settings->hash_queue);
	auth->cache = login_cache_new(auth->settings->login_cache_size);
	auth->penalty = penalty_new(PENALTY_ENTRIES);
	auth->push = auth_push_new(auth);
	auth_push_soon(auth);
	return 0;
}

static void auth_reload(struct service *svc, void *new_settings)
{
	struct auth *auth = service_data(svc);
	struct err e;

	auth->settings = new_settings;
	work_pool_set_queue_max(auth->pool, (unsigned)auth->settings->hash_queue);
	login_cache_free(auth->cache);
	auth->cache = login_cache_new(auth->settings->login_cache_size);
	if (auth_make_dummy(auth, &e) < 0)
		log_warning("auth-dummy-failed", "error", LOG_ERR(&e), NULL);
}

static void auth_stop(struct service *svc)
{
	struct auth *auth = service_data(svc);

	work_pool_free(auth->pool);
	auth_push_free(auth->push);
	login_cache_free(auth->cache);
	penalty_free(auth->penalty);
	sql_close(auth->db);
	mem_free(auth->dummy);
	mem_free(auth);
	service_set_data(svc, NULL);
}

static const struct role_def *const auth_roles[] = {
	&auth_login_role, &auth_lookup_role, &auth_admin_role, NULL};

static const struct service_def auth_service = {
	.name = "auth",
	.settings = &auth_settings_def,
	.roles = auth_roles,
	.rights = SANDBOX_UNIX_CLIENT | SANDBOX_FILES_READ | SANDBOX_FILES_WRITE | SANDBOX_THREADS,
	.init = auth_init,
	.start = auth_start,
	.reload = auth_reload,
	.stop = auth_stop,
};

int main(int argc, char **argv)
{
	return service_run(&auth_service, argc, argv);
}
