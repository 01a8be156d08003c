/*
 * The text that master hands down: settings as `section.key<TAB>value`, and lines that begin with
 *'!':
 *
 *	!root	FOLDER				run_dir/<service>, which chroot enters
 *	!socket	FD NAME PEER TOKEN		a listener; PEER and TOKEN are - for outside ones
 *	!bind	ADDRESS NAME PEER TOKEN		the same, bound by the process itself (--standalone)
 *	!peer	ROLE PATH TOKEN			where a role is to be found
 *	!key	NAME HEX			32 octets
 */
#include "lib-common/service-internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib-common/mem.h"

int service_text_read(int fd, struct buf *out)
{
	off_t at = 0;
	ssize_t n;

	while ((n = pread(fd, buf_reserve(out, 16384), 16384, at)) > 0) {
		buf_added(out, (size_t)n);
		at += n;
	}
	return n < 0 ? -1 : 0;
}

static char *field_next(struct span *line)
{
	struct span part;

	if (line->p == NULL || !span_cut(line, '\t', &part))
		return mem_strdup("");
	return mem_dup(part.p, part.n);
}

static int bind_unix(const char *path, struct err *e)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || strlen(path) >= sizeof(sun.sun_path)) {
		if (fd >= 0)
			close(fd);
		return err_set(e, ERR_PERM, "socket path too long: %s", path);
	}
	strcpy(sun.sun_path, path);
	unlink(path);
	if (bind(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0 || listen(fd, 128) < 0) {
		err_set(e, ERR_PERM, "%s: %s", path, strerror(errno));
		close(fd);
		return -1;
	}
	return fd;
}

static int bind_tcp(const char *address, struct err *e)
{
	struct sockaddr_in sin = {.sin_family = AF_INET};
	const char *colon = strrchr(address, ':');
	char host[INET_ADDRSTRLEN] = "";
	uint32_t port;
	int on = 1, fd;

	if (colon == NULL || (size_t)(colon - address) >= sizeof(host) ||
		!num_u32(span_of(colon + 1), &port) || port > 65535)
		return err_set(e, ERR_PERM, "not an address: %s", address);
	memcpy(host, address, (size_t)(colon - address));
	sin.sin_port = htons((uint16_t)port);
	if (inet_pton(AF_INET, host, &sin.sin_addr) != 1)
		return err_set(e, ERR_PERM, "not an address: %s", address);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_set(e, ERR_TEMP, "socket: %s", strerror(errno));
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)) < 0 || listen(fd, 128) < 0) {
		err_set(e, ERR_PERM, "%s: %s", address, strerror(errno));
		close(fd);
		return -1;
	}
	return fd;
}

static const struct role_def *own_role(const struct service *svc, const char *name)
{
	const struct role_def *const *roles = svc->def->roles;

	for (; roles != NULL && *roles != NULL; roles++) {
		if (strcmp((*roles)->name, name) == 0)
			return *roles;
	}
	return NULL;
}

static int parse_socket(struct service *svc, struct span line, bool bind_here, struct err *e)
{
	struct service_socket *s = mem_alloc(sizeof(*s));
	char *where = field_next(&line);
	uint32_t n;
	int fd;

	s->svc = svc;
	s->name = field_next(&line);
	s->peer = field_next(&line);
	s->token = field_next(&line);
	if (!bind_here)
		fd = num_u32(span_of(where), &n) && n >= SERVICE_FD_FIRST && n < 1024 ? (int)n : -1;
	else
		fd = *where == '/' ? bind_unix(where, e) : bind_tcp(where, e);
	mem_free(where);
	if (fd < 0 && !bind_here)
		err_set(e, ERR_PROTO, "bad descriptor of listener %s", s->name);
	svc->sockets = mem_realloc_array(svc->sockets, svc->n_sockets + 1, sizeof(s));
	svc->sockets[svc->n_sockets++] = s;
	s->listener = (struct service_listener){.fd = fd, .name = s->name};
	if (fd < 0)
		return -1;
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	if (strcmp(s->peer, "-") == 0)
		return 0;
	s->own_role = own_role(svc, s->name);
	if (s->own_role == NULL)
		return err_set(e, ERR_PROTO, "listener for role %s, which %s does not offer",
			s->name, svc->def->name);
	s->listener.peer = s->peer;
	s->listener.token = *s->token == '\0' || strcmp(s->token, "-") == 0 ? NULL : s->token;
	s->listener.role = s->own_role;
	return 0;
}

static void parse_peer(struct service *svc, struct span line)
{
	struct service_peer p = {.role = field_next(&line)};
	char *path = field_next(&line), *slash = strrchr(path, '/');

	p.path = svc->chrooted && slash != NULL ? mem_strdup(slash) : mem_strdup(path);
	p.token = field_next(&line);
	mem_free(path);
	svc->peers = mem_realloc_array(svc->peers, svc->n_peers + 1, sizeof(p));
	svc->peers[svc->n_peers++] = p;
}

static int parse_key(struct service *svc, struct span line, struct err *e)
{
	struct service_key k = {.name = field_next(&line)};

	svc->keys = mem_realloc_array(svc->keys, svc->n_keys + 1, sizeof(k));
	svc->keys[svc->n_keys] = k;
	if (!hex_decode(line, svc->keys[svc->n_keys++].bytes, SERVICE_KEY_BYTES))
		return err_set(e, ERR_PROTO, "bad key %s", k.name);
	return 0;
}

static void retire(struct service *svc, const struct settings_def *def, void *settings)
{
	struct service_retired *r;

	if (settings == NULL)
		return;
	r = mem_alloc(sizeof(*r));
	*r = (struct service_retired){svc->retired, settings, def};
	svc->retired = r;
}

int service_settings_replace(struct service *svc, struct span text, struct err *e)
{
	const struct settings_def *const *more = svc->def->more_settings;
	size_t n = 0;
	void *own, *global, **others;

	while (more != NULL && more[n] != NULL)
		n++;
	own = settings_parse(svc->def->settings, text, e);
	global = own == NULL ? NULL : settings_parse(&global_settings_def, text, e);
	others = mem_alloc_array(n + 1, sizeof(*others));
	for (size_t i = 0; i < n && global != NULL; i++) {
		others[i] = settings_parse(more[i], text, e);
		if (others[i] == NULL) {
			settings_free(&global_settings_def, global);
			global = NULL;
		}
	}
	if (global == NULL) {
		settings_free(svc->def->settings, own);
		for (size_t i = 0; i < n; i++)
			settings_free(more[i], others[i]);
		mem_free(others);
		return -1;
	}
	retire(svc, svc->def->settings, svc->settings);
	retire(svc, &global_settings_def, svc->global);
	for (size_t i = 0; i < n && svc->more_settings != NULL; i++)
		retire(svc, more[i], svc->more_settings[i]);
	mem_free(svc->more_settings);
	svc->settings = own;
	svc->global = global;
	svc->more_settings = others;
	if (*svc->global->hostname == '\0') {
		char name[256] = "localhost";

		(void)gethostname(name, sizeof(name) - 1);
		mem_free(svc->global->hostname);
		svc->global->hostname = mem_strdup(name);
	}
	return 0;
}

int service_text_parse(struct service *svc, struct span text, struct err *e)
{
	struct span rest = text, line, key;
	int rc = 0;

	if (service_settings_replace(svc, text, e) < 0)
		return -1;
	svc->chrooted = geteuid() == 0 && svc->global->separate_users && !svc->standalone &&
			service_knobs(svc)->chroot;
	while (rc == 0 && rest.n > 0 && span_cut(&rest, '\n', &line)) {
		if (line.n == 0 || line.p[0] != '!' || !span_cut(&line, '\t', &key))
			continue;
		if (span_is(key, "!root")) {
			mem_free(svc->root);
			svc->root = mem_dup(line.p, line.n);
		} else if (span_is(key, "!socket") || span_is(key, "!bind")) {
			rc = parse_socket(svc, line, span_is(key, "!bind"), e);
		} else if (span_is(key, "!peer")) {
			parse_peer(svc, line);
		} else if (span_is(key, "!key")) {
			rc = parse_key(svc, line, e);
		}
	}
	return rc;
}

void service_text_free(struct service *svc)
{
	const struct settings_def *const *more = svc->def->more_settings;
	struct service_retired *r;

	settings_free(svc->def->settings, svc->settings);
	settings_free(&global_settings_def, svc->global);
	for (size_t i = 0; more != NULL && more[i] != NULL && svc->more_settings != NULL; i++)
		settings_free(more[i], svc->more_settings[i]);
	mem_free(svc->more_settings);
	while ((r = svc->retired) != NULL) {
		svc->retired = r->next;
		settings_free(r->def, r->settings);
		mem_free(r);
	}
	for (size_t i = 0; i < svc->n_sockets; i++) {
		struct service_socket *s = svc->sockets[i];

		if (s->event != NULL)
			event_free(s->event);
		mem_free(s->name);
		mem_free(s->peer);
		mem_free(s->token);
		mem_free(s);
	}
	mem_free(svc->sockets);
	for (size_t i = 0; i < svc->n_peers; i++) {
		mem_free(svc->peers[i].role);
		mem_free(svc->peers[i].path);
		mem_free(svc->peers[i].token);
	}
	mem_free(svc->peers);
	for (size_t i = 0; i < svc->n_keys; i++) {
		mem_free(svc->keys[i].name);
		mem_wipe(svc->keys[i].bytes, SERVICE_KEY_BYTES);
	}
	mem_free(svc->keys);
	mem_free(svc->root);
}
