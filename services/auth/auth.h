/*
 * auth: what the parts of the service share. One thread owns the database handle and the loop; the
 * pool's threads see only the jobs that are given to them.
 */
#ifndef LM_AUTH_H
#define LM_AUTH_H

#include "lib-auth/ticket.h"
#include "lib-auth/userdb.h"
#include "lib-common/channel.h"
#include "lib-common/service.h"
#include "lib-storage/sql.h"
#include "services/auth/auth-settings.h"
#include "services/auth/login-cache.h"
#include "services/auth/penalty.h"
#include "services/auth/work-pool.h"

struct auth_push;

struct auth {
	struct service *svc;
	struct event_base *base;
	const struct auth_settings *settings; /* replaced at a reload */
	struct sql_db *db;
	struct work_pool *pool;
	struct login_cache *cache;
	struct penalty *penalty;
	struct auth_push *push;
	const unsigned char *ticket_key;
	char *dummy; /* a stored password that nobody has: unknown users take as long as known ones
		      */
	unsigned waiting; /* attempts in a penalty's delay */
};

extern const struct role_def auth_login_role, auth_lookup_role, auth_admin_role;
/* The part of auth/admin that deals with users. */
void auth_cmd_user_add(struct request *req);
void auth_cmd_user_add_many(struct request *req);
void auth_cmd_user_list(struct request *req);
void auth_cmd_user_show(struct request *req);
void auth_cmd_user_delete(struct request *req);
void auth_cmd_user_password(struct request *req);
void auth_cmd_user_enable(struct request *req);
void auth_cmd_user_disable(struct request *req);
void auth_cmd_user_rename(struct request *req);
void auth_cmd_user_quota(struct request *req);
void auth_cmd_user_kick(struct request *req);

/* Rows of one answer of a list. */
unsigned auth_list_limit(const struct request *req);
struct auth *auth_of(const struct request *req);
void auth_password_config(const struct auth *auth, struct password_config *config_r);
int64_t auth_now(void); /* unix seconds */
/* Logs what cannot be helped (the database) and answers. */
void auth_reply_err(struct request *req, const struct err *e);
/* A request's `name` argument in normal form; answers the request and returns false when it has
 * none. */
bool auth_arg_address(struct request *req, const char *name, bool pattern, struct address *a_r);

/* Telling indexer of limits, voids and erasures (userdb.h). */
struct auth_push *auth_push_new(struct auth *auth);
void auth_push_soon(struct auth *auth); /* after a change */
void auth_push_free(struct auth_push *p);

#endif
