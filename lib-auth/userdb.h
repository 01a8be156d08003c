/*
 * userdb: domains, users and aliases in SQL (sql.h), and who an address reaches. Only `auth` opens
 * it.
 *
 * Names come in as struct address, in normal form (address.h). An account id is random, 63 bits,
 * and never given again: a user who is deleted and made anew is another account (CORNERS M15).
 * Deleting marks the user: from then on the name is free, nobody logs in and no mail comes; the row
 * goes when `indexer` has erased the account.
 *
 * The generation of an account counts up with every change of password, disabling, deletion and
 * kick: tickets, grants and cached logins that carry an older one are void.
 *
 * What `indexer` must hear (limits, void, erase) stands in the row until it has heard it:
 * push_pending and push_seq. So it survives a restart of either side.
 *
 * Functions return 0 (finders: 1 found, 0 not) or -1 with *e set: ERR_NOTFOUND, ERR_EXISTS,
 * ERR_LIMIT, ERR_PERM, ERR_TEMP. All run on the thread that owns the handle. Changes are one
 * transaction each unless the caller has one open.
 */
#ifndef LM_USERDB_H
#define LM_USERDB_H

#include <stdbool.h>
#include <stdint.h>
#include "lib-auth/address.h"
#include "lib-auth/password.h"
#include "lib-common/err.h"
#include "lib-storage/sql.h"

extern const struct sql_migration userdb_migrations[];

#define USERDB_TARGETS_MAX 500 /* users that one address reaches, at most */
#define USERDB_ALIAS_DEPTH 10  /* aliases of aliases */

enum user_state { USER_ENABLED = 0, USER_DISABLED = 1, USER_DELETED = 2 };
const char *user_state_name(enum user_state state);

enum user_push {
	USER_PUSH_NONE = 0,
	USER_PUSH_LIMITS = 1, /* limits, name */
	USER_PUSH_VOID = 2,   /* and end what older generations opened */
	USER_PUSH_ERASE = 3,  /* the account is gone */
};

struct user {
	uint64_t account;
	enum user_state state;
	uint64_t generation;
	uint64_t quota_bytes, quota_messages; /* 0: none */
	int64_t created;		      /* unix seconds */
	enum user_push push;
	uint64_t push_seq;
	struct address name;
	char password[PASSWORD_STORED_MAX + 1]; /* stored form */
};

/* ---- domains ---- */
int userdb_domain_add(struct sql_db *db, const char *domain, int64_t now, struct err *e);
int userdb_domain_find(struct sql_db *db, struct span domain, int64_t *id_r, struct err *e);
/* Refused with ERR_EXISTS while it has users or aliases. */
int userdb_domain_delete(struct sql_db *db, const char *domain, struct err *e);
/* Calls back in name order with the number of users; cb returns false to stop. */
typedef bool userdb_domain_cb(void *ctx, struct span name, int64_t users, int64_t created);
int userdb_domain_list(struct sql_db *db, userdb_domain_cb *cb, void *ctx, struct err *e);

/* ---- users ---- */
/* Fills account, generation and the rest of *u; reads name, password, quotas, created from it. The
 * domain must exist; the name must be neither user nor alias. */
int userdb_user_add(struct sql_db *db, struct user *u, struct err *e);
int userdb_user_find(struct sql_db *db, struct span name, struct user *u_r, struct err *e);
int userdb_user_find_account(struct sql_db *db, uint64_t account, struct user *u_r, struct err *e);
typedef bool userdb_user_cb(void *ctx, const struct user *u);
/* In name order behind `after` (empty: from the start), at most `limit`; domain empty: all. */
int userdb_user_list(struct sql_db *db, struct span domain, struct span after, unsigned limit,
	userdb_user_cb *cb, void *ctx, struct err *e);
int userdb_user_set_password(
	struct sql_db *db, uint64_t account, const char *stored, struct err *e);
/* The same password in a stronger form: no new generation, and only if nobody changed it meanwhile.
 */
int userdb_user_rehash(
	struct sql_db *db, uint64_t account, const char *old, const char *stored, struct err *e);
int userdb_user_set_state(
	struct sql_db *db, uint64_t account, enum user_state state, struct err *e);
int userdb_user_set_quota(
	struct sql_db *db, uint64_t account, uint64_t bytes, uint64_t messages, struct err *e);
int userdb_user_rename(
	struct sql_db *db, uint64_t account, const struct address *name, struct err *e);
int userdb_user_kick(struct sql_db *db, uint64_t account, struct err *e);
int userdb_user_delete(struct sql_db *db, uint64_t account, struct err *e);

/* ---- aliases ---- */
/* name: an address or "@domain"; target: an address, or "@domain" (the same local part there).
 * Targets must lie in domains of ours. */
int userdb_alias_add(struct sql_db *db, const struct address *name, const struct address *target,
	int64_t now, struct err *e);
/* target NULL: all of the alias. */
int userdb_alias_delete(
	struct sql_db *db, const struct address *name, const struct address *target, struct err *e);
typedef bool userdb_alias_cb(void *ctx, struct span name, struct span target);
/* Of one name, or (name empty) of all behind `after`, at most `limit` rows. */
int userdb_alias_list(struct sql_db *db, struct span name, struct span after, unsigned limit,
	userdb_alias_cb *cb, void *ctx, struct err *e);

/* ---- who an address reaches ---- */
/* detail: what stood behind the delimiter, of the address or of an alias' target; may be empty. */
typedef void userdb_target_cb(void *ctx, const struct user *u, struct span detail);
/* Users behind the address, aliases followed, each user once. First the whole address, then without
 * its detail, then the domain's catch-all. 0; ERR_NOTFOUND when nobody, ERR_DENIED when only
 * disabled users, ERR_LIMIT when more than USERDB_TARGETS_MAX. Delimiters empty: no details. */
int userdb_resolve(struct sql_db *db, const struct address *a, const char *delimiters,
	userdb_target_cb *cb, void *ctx, struct err *e);

/* ---- what indexer must hear ---- */
/* Users with something pending, at most `limit`, in no order. */
int userdb_push_list(
	struct sql_db *db, unsigned limit, userdb_user_cb *cb, void *ctx, struct err *e);
/* indexer has heard the state with this push_seq. A deleted user's row goes now. */
int userdb_push_done(struct sql_db *db, uint64_t account, uint64_t push_seq, struct err *e);

/* ---- API tokens ---- */
/* The token is a random text; its SHA-256 is stored. account 0: not bound to one. */
int userdb_token_add(struct sql_db *db, struct span digest, struct span name, struct span scope,
	uint64_t account, int64_t now, int64_t expires, struct err *e);
/* 1 with scope (a copy into scope_r) and account when valid now. */
int userdb_token_find(struct sql_db *db, struct span digest, int64_t now, struct buf *scope_r,
	uint64_t *account_r, struct err *e);
int userdb_token_delete(struct sql_db *db, struct span name, struct err *e);
typedef bool userdb_token_cb(
	void *ctx, struct span name, struct span scope, int64_t created, int64_t expires);
int userdb_token_list(struct sql_db *db, userdb_token_cb *cb, void *ctx, struct err *e);

#endif
