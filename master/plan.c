#include "master/master.h"

#include <errno.h>
#include <grp.h>
#include <openssl/rand.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "lib-common/mem.h"

const struct service_settings *plan_knobs(const struct plan *plan, unsigned unit)
{
	return plan->settings[unit];
}

static bool separate_users(const struct plan *plan)
{
	return geteuid() == 0 && plan->global->separate_users;
}

static const struct setting_row *row_find(const struct settings_def *def, const char *name)
{
	for (const struct setting_row *r = def->rows; r->name != NULL; r++) {
		if (strcmp(r->name, name) == 0)
			return r;
	}
	return NULL;
}

static const char *setting_text(const struct plan *plan, unsigned unit, const char *name)
{
	const struct setting_row *row = row_find(unit_defs[unit].settings, name);

	return row == NULL ? ""
			   : *(char *const *)(const void *)((const char *)plan->settings[unit] +
							    row->offset);
}

static uint64_t setting_number(
	const struct plan *plan, unsigned unit, const char *name, uint64_t otherwise)
{
	const struct setting_row *row = row_find(unit_defs[unit].settings, name);

	return row == NULL ? otherwise
			   : *(const uint64_t *)(const void *)((const char *)plan->settings[unit] +
							       row->offset);
}

static int unit_index(const char *name)
{
	for (int i = 0; i < UNIT_COUNT; i++) {
		if (strcmp(unit_defs[i].name, name) == 0)
			return i;
	}
	return -1;
}

static struct binding *binding_add(struct plan *plan, const char *name, const char *unit)
{
	struct binding *b = mem_alloc(sizeof(*b)), **at = &plan->bindings;

	while (*at != NULL)
		at = &(*at)->next;
	*at = b;
	b->name = name;
	b->unit = unit;
	b->fd = -1;
	b->owner = geteuid();
	b->group = getegid();
	b->mode = 0600;
	return b;
}

static void user_ids(const char *user, const char *group, struct binding *b, struct buf *problems)
{
	const struct passwd *pw = user[0] == '\0' ? NULL : getpwnam(user);
	const struct group *gr = group[0] == '\0' ? NULL : getgrnam(group);

	if (user[0] != '\0' && pw == NULL)
		buf_printf(problems, "%s: no system user %s\n", b->address, user);
	if (group[0] != '\0' && gr == NULL)
		buf_printf(problems, "%s: no system group %s\n", b->address, group);
	if (pw != NULL) {
		b->owner = pw->pw_uid;
		b->group = pw->pw_gid;
	}
	if (gr != NULL)
		b->group = gr->gr_gid;
}

static void plan_outside(struct plan *plan, struct buf *problems)
{
	for (const struct topology_listener *l = topology_listeners; l->name != NULL; l++) {
		unsigned unit = (unsigned)unit_index(l->service);
		struct span rest = span_of(setting_text(plan, unit, l->setting)), word;

		while (span_cut(&rest, ' ', &word)) {
			struct binding *b;

			if (word.n == 0)
				continue;
			b = binding_add(plan, l->name, l->service);
			b->address = mem_dup(word.p, word.n);
			if (word.p[0] != '/')
				continue;
			b->mode = (mode_t)setting_number(plan, unit, "listen_mode", 0600);
			user_ids(setting_text(plan, unit, "listen_user"),
				setting_text(plan, unit, "listen_group"), b, problems);
		}
	}
}

static void plan_role(struct plan *plan, const struct topology_role *role, const char *client)
{
	struct binding *b = binding_add(plan, role->role, role->service);
	int unit = unit_index(client);
	unsigned char token[(TOKEN_SIZE - 1) / 2];
	struct buf hex;
	char *slash;

	b->peer = mem_strdup(client);
	b->address = mem_printf("%s/%s/%s", plan->global->run_dir, client, role->role);
	slash = strrchr(b->address, '/');
	*slash = '-';
	if (unit < 0)
		return; /* lightmailctl: its folder is for root alone */
	if (RAND_bytes(token, sizeof(token)) != 1)
		log_fatal("random-failed", NULL);
	buf_init(&hex);
	buf_add_hex(&hex, token, sizeof(token));
	memcpy(b->token, hex.data, sizeof(b->token));
	buf_wipe(&hex);
	if (separate_users(plan)) {
		const struct service_settings *knobs = plan->settings[unit];
		const struct passwd *pw = getpwnam(knobs->user);

		if (pw != NULL)
			b->owner = pw->pw_uid;
	}
}

static void plan_roles(struct plan *plan)
{
	for (const struct topology_role *r = topology_roles; r->role != NULL; r++) {
		struct span rest = span_of(r->clients), word;

		while (span_cut(&rest, ' ', &word)) {
			char *client = mem_dup(word.p, word.n);

			plan_role(plan, r, client);
			mem_free(client);
		}
	}
}

/* Files that must be there (settings.h): master reads as the process will, before it drops rights.
 */
static void plan_check_files(const struct plan *plan, unsigned unit, struct buf *problems)
{
	const struct settings_def *def = unit_defs[unit].settings;

	for (const struct setting_row *row = def->rows; row->name != NULL; row++) {
		const char *path;

		if (row->type != SETTING_PATH || row->min != 1)
			continue;
		path = setting_text(plan, unit, row->name);
		if (*path != '\0' && access(path, R_OK) < 0)
			buf_printf(problems, "%s.%s: %s: %s\n", def->section, row->name, path,
				strerror(errno));
	}
}

/* What would stop a process from starting is said before any is started. */
static void plan_check(const struct plan *plan, struct buf *problems)
{
	for (unsigned i = 0; i < UNIT_COUNT; i++) {
		const struct service_settings *knobs = plan->settings[i];
		char *binary = mem_printf("%s/%s", plan->global->libexec_dir, unit_defs[i].name);

		if (access(binary, X_OK) < 0)
			buf_printf(problems, "%s: %s\n", binary, strerror(errno));
		mem_free(binary);
		plan_check_files(plan, i, problems);
		if (separate_users(plan) && getpwnam(knobs->user) == NULL)
			buf_printf(problems,
				"%s: no system user %s (dev/setup or the package makes it; "
				"separate_users = no does without)\n",
				unit_defs[i].name, knobs->user);
	}
}

struct plan *plan_load(const struct master *m, struct buf *problems)
{
	const struct settings_def *defs[UNIT_COUNT + 2] = {&global_settings_def};
	struct plan *plan = mem_alloc(sizeof(*plan));
	struct err e;

	for (unsigned i = 0; i < UNIT_COUNT; i++)
		defs[i + 1] = unit_defs[i].settings;
	plan->config = config_new();
	(void)config_read(plan->config, m->config_path, defs, problems);
	for (size_t i = 0; i < m->n_overrides; i++)
		(void)config_set(plan->config, m->overrides[i], defs, problems);
	if (problems->len == 0) {
		plan->global = settings_bind(&global_settings_def, plan->config, &e);
		if (plan->global == NULL)
			buf_printf(problems, "%s\n", e.log);
	}
	for (unsigned i = 0; i < UNIT_COUNT && plan->global != NULL; i++) {
		plan->settings[i] = settings_bind(unit_defs[i].settings, plan->config, &e);
		if (plan->settings[i] == NULL)
			buf_printf(problems, "%s\n", e.log);
	}
	if (problems->len == 0) {
		plan_check(plan, problems);
		plan_outside(plan, problems);
		plan_roles(plan);
	}
	if (problems->len > 0) {
		plan_free(plan);
		return NULL;
	}
	return plan;
}

void plan_free(struct plan *plan)
{
	struct binding *b;

	if (plan == NULL)
		return;
	while ((b = plan->bindings) != NULL) {
		plan->bindings = b->next;
		if (b->event != NULL)
			event_free(b->event);
		if (b->fd >= 0)
			(void)close(b->fd);
		mem_free(b->address);
		mem_free(b->peer);
		mem_free(b);
	}
	for (unsigned i = 0; i < UNIT_COUNT; i++) {
		if (plan->settings[i] != NULL)
			settings_free(unit_defs[i].settings, plan->settings[i]);
	}
	if (plan->global != NULL)
		settings_free(&global_settings_def, plan->global);
	config_free(plan->config);
	mem_free(plan);
}

static void write_settings(const struct plan *plan, unsigned unit, struct buf *out)
{
	const struct settings_def *const defs[] = {
		&global_settings_def, unit_defs[unit].settings, NULL};

	config_serialise(plan->config, defs, out);
}

void plan_write(const struct master *m, const struct plan *plan, unsigned unit, struct buf *out,
	int *fds_r, size_t *n_fds_r, size_t max_fds)
{
	const char *name = unit_defs[unit].name;

	*n_fds_r = 0;
	write_settings(plan, unit, out);
	buf_printf(out, "!root\t%s/%s\n", plan->global->run_dir, name);
	for (const struct binding *b = plan->bindings; b != NULL; b = b->next) {
		const char *token = b->token[0] == '\0' ? "-" : b->token;

		if (strcmp(b->unit, name) == 0 && b->fd >= 0 && *n_fds_r < max_fds) {
			buf_printf(out, "!socket\t%zu\t%s\t%s\t%s\n", LISTENER_FD_FIRST + *n_fds_r,
				b->name, b->peer == NULL ? "-" : b->peer, token);
			fds_r[(*n_fds_r)++] = b->fd;
		}
		if (b->peer != NULL && strcmp(b->peer, name) == 0)
			buf_printf(out, "!peer\t%s\t%s\t%s\n", b->name, b->address, token);
	}
	for (size_t i = 0; topology_keys[i].name != NULL; i++) {
		if (!setting_list_has(topology_keys[i].services, name))
			continue;
		buf_printf(out, "!key\t%s\t", topology_keys[i].name);
		buf_add_hex(out, m->keys[i], KEY_BYTES);
		buf_add_c(out, '\n');
	}
}

/* Same sockets, so that a process may go on with those that it has. */
static bool bindings_same(const struct plan *old, const struct plan *new, const char *unit)
{
	const struct binding *a = old->bindings, *b = new->bindings;

	for (;; a = a->next, b = b->next) {
		while (a != NULL && strcmp(a->unit, unit) != 0)
			a = a->next;
		while (b != NULL && strcmp(b->unit, unit) != 0)
			b = b->next;
		if (a == NULL || b == NULL)
			return a == b;
		if (strcmp(a->address, b->address) != 0 || strcmp(a->name, b->name) != 0)
			return false;
	}
}

bool plan_unit_same(const struct plan *old, const struct plan *new, unsigned unit)
{
	struct buf a, b;
	bool same;

	buf_init(&a);
	buf_init(&b);
	write_settings(old, unit, &a);
	write_settings(new, unit, &b);
	same = span_equal(buf_span(&a), buf_span(&b)) &&
	       bindings_same(old, new, unit_defs[unit].name);
	buf_wipe(&a);
	buf_wipe(&b);
	return same;
}

/* "section.key<TAB>value": does the row of a line that changed ask for a new process? */
static bool line_needs_restart(const struct settings_def *const *defs, struct span line)
{
	struct span key = line, section, name;

	(void)span_cut(&line, '\t', &key);
	(void)span_cut(&key, '.', &section);
	name = key;
	for (; *defs != NULL; defs++) {
		if (!span_is(section, (*defs)->section))
			continue;
		for (const struct setting_row *r = (*defs)->rows; r->name != NULL; r++) {
			if (span_is(name, r->name))
				return r->restart;
		}
	}
	return true;
}

bool plan_reload_suffices(const struct plan *old, const struct plan *new, unsigned unit)
{
	const struct settings_def *const defs[] = {
		&global_settings_def, unit_defs[unit].settings, NULL};
	struct span rest_a, rest_b, line_a, line_b;
	struct buf a, b;
	bool ok;

	if (unit_defs[unit].fresh || !bindings_same(old, new, unit_defs[unit].name))
		return false;
	buf_init(&a);
	buf_init(&b);
	write_settings(old, unit, &a);
	write_settings(new, unit, &b);
	rest_a = buf_span(&a);
	rest_b = buf_span(&b);
	ok = true;
	/* All rows are written, in the tables' order: the lines stand opposite each other. */
	while (ok && span_cut(&rest_a, '\n', &line_a) && span_cut(&rest_b, '\n', &line_b)) {
		if (!span_equal(line_a, line_b))
			ok = !line_needs_restart(defs, line_a);
	}
	buf_wipe(&a);
	buf_wipe(&b);
	return ok;
}
