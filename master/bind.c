#include "master/master.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "lib-common/mem.h"

#define BACKLOG 1024

/* ADDRESS:PORT or [IPv6]:PORT; "*" for the address is all of IPv4. */
static bool address_parse(const char *text, struct sockaddr_storage *sa_r, socklen_t *len_r)
{
	struct sockaddr_in *in4 = (struct sockaddr_in *)(void *)sa_r;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)sa_r;
	const char *colon = strrchr(text, ':');
	char host[INET6_ADDRSTRLEN];
	uint32_t port;
	size_t n;

	memset(sa_r, 0, sizeof(*sa_r));
	if (colon == NULL || !num_u32(span_of(colon + 1), &port) || port == 0 || port > 65535)
		return false;
	n = (size_t)(colon - text);
	if (n >= 2 && text[0] == '[' && text[n - 1] == ']') {
		if (n - 2 >= sizeof(host))
			return false;
		memcpy(host, text + 1, n - 2);
		host[n - 2] = '\0';
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons((uint16_t)port);
		*len_r = sizeof(*in6);
		return inet_pton(AF_INET6, host, &in6->sin6_addr) == 1;
	}
	if (n >= sizeof(host))
		return false;
	memcpy(host, text, n);
	host[n] = '\0';
	in4->sin_family = AF_INET;
	in4->sin_port = htons((uint16_t)port);
	*len_r = sizeof(*in4);
	return strcmp(host, "*") == 0 || inet_pton(AF_INET, host, &in4->sin_addr) == 1;
}

static int bind_inet(struct binding *b)
{
	struct sockaddr_storage sa;
	socklen_t len;
	int on = 1, fd;

	if (!address_parse(b->address, &sa, &len)) {
		errno = EINVAL;
		return -1;
	}
	fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (sa.ss_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&sa, len) < 0 || listen(fd, BACKLOG) < 0) {
		int saved = errno;

		(void)close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

/* A socket that another master still serves is not ours to remove. */
static bool unix_is_stale(const struct sockaddr_un *sa)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool stale = fd >= 0 && connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) < 0 &&
		     errno == ECONNREFUSED;

	if (fd >= 0)
		(void)close(fd);
	return stale;
}

static int bind_unix(struct binding *b)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct stat st;
	mode_t mask;
	int fd;

	if (strlen(b->address) >= sizeof(sa.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(sa.sun_path, b->address, strlen(b->address) + 1);
	if (lstat(b->address, &st) == 0 && S_ISSOCK(st.st_mode) && unix_is_stale(&sa))
		(void)unlink(b->address);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	mask = umask(0177); /* nobody gets in between bind and chown */
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
		(geteuid() == 0 && chown(b->address, b->owner, b->group) < 0) ||
		chmod(b->address, b->mode) < 0 || listen(fd, BACKLOG) < 0) {
		int saved = errno;

		(void)umask(mask);
		(void)close(fd);
		errno = saved;
		return -1;
	}
	(void)umask(mask);
	return fd;
}

static struct binding *binding_find(const struct plan *plan, const struct binding *like)
{
	if (plan == NULL)
		return NULL;
	for (struct binding *b = plan->bindings; b != NULL; b = b->next) {
		if (b->fd >= 0 && strcmp(b->address, like->address) == 0)
			return b;
	}
	return NULL;
}

static void binding_unlink(const struct binding *b)
{
	if (b->address[0] == '/')
		(void)unlink(b->address);
}

int bindings_open(struct plan *plan, const struct plan *old, struct buf *problems)
{
	size_t before = problems->len;

	for (struct binding *b = plan->bindings; b != NULL; b = b->next) {
		const struct binding *same = binding_find(old, b);

		if (same != NULL) {
			/* The peers that run go on with the token that they have. */
			memcpy(b->token, same->token, sizeof(b->token));
			continue;
		}
		b->fd = b->address[0] == '/' ? bind_unix(b) : bind_inet(b);
		if (b->fd < 0 && errno == EAFNOSUPPORT)
			log_warning("listener-skipped", "address", LOG_STR(b->address), "error",
				LOG_STR(strerror(errno)), NULL);
		else if (b->fd < 0)
			buf_printf(problems, "%s: cannot listen on %s: %s\n", b->unit, b->address,
				errno == EINVAL ? "not ADDRESS:PORT, [IPv6]:PORT or /path"
						: strerror(errno));
	}
	if (problems->len == before)
		return 0;
	for (struct binding *b = plan->bindings; b != NULL; b = b->next) {
		if (b->fd >= 0)
			binding_unlink(b);
	}
	return -1;
}

void bindings_adopted(struct plan *plan, struct plan *old)
{
	for (struct binding *b = plan->bindings; b != NULL; b = b->next) {
		struct binding *same = b->fd >= 0 ? NULL : binding_find(old, b);

		if (same == NULL)
			continue;
		b->fd = same->fd;
		same->fd = -1;
		if (b->address[0] == '/' && geteuid() == 0)
			(void)!chown(b->address, b->owner, b->group);
		if (b->address[0] == '/')
			(void)chmod(b->address, b->mode);
	}
	for (struct binding *b = old->bindings; b != NULL; b = b->next) {
		if (b->fd >= 0)
			binding_unlink(b);
	}
}
