#include "lib-common/net.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

/* All addresses as 128 bits, IPv4 mapped into IPv6. */
struct net_bits {
	unsigned char octet[16];
	bool v4;
};

static bool bits_from_text(const char *text, struct net_bits *b_r)
{
	static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

	memset(b_r, 0, sizeof(*b_r));
	if (inet_pton(AF_INET, text, b_r->octet + 12) == 1) {
		memcpy(b_r->octet, mapped, sizeof(mapped));
		b_r->v4 = true;
		return true;
	}
	if (inet_pton(AF_INET6, text, b_r->octet) != 1)
		return false;
	b_r->v4 = memcmp(b_r->octet, mapped, sizeof(mapped)) == 0;
	return true;
}

void net_text(const struct sockaddr *sa, char text_r[NET_TEXT_SIZE])
{
	struct sockaddr_in in4;
	struct sockaddr_in6 in6;

	(void)snprintf(text_r, NET_TEXT_SIZE, "local");
	if (sa->sa_family == AF_INET) {
		memcpy(&in4, sa, sizeof(in4));
		(void)inet_ntop(AF_INET, &in4.sin_addr, text_r, NET_TEXT_SIZE);
	} else if (sa->sa_family == AF_INET6) {
		memcpy(&in6, sa, sizeof(in6));
		if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr))
			(void)inet_ntop(AF_INET, in6.sin6_addr.s6_addr + 12, text_r, NET_TEXT_SIZE);
		else
			(void)inet_ntop(AF_INET6, &in6.sin6_addr, text_r, NET_TEXT_SIZE);
	}
}

void net_peer_key(const struct sockaddr *sa, char text_r[NET_TEXT_SIZE])
{
	struct net_bits b;

	net_text(sa, text_r);
	if (!bits_from_text(text_r, &b) || b.v4)
		return;
	memset(b.octet + 8, 0, 8);
	(void)inet_ntop(AF_INET6, b.octet, text_r, NET_TEXT_SIZE);
	(void)snprintf(text_r + strlen(text_r), NET_TEXT_SIZE - strlen(text_r), "/64");
}

static bool network_parse(struct span word, struct net_bits *net_r, uint32_t *prefix_r)
{
	char text[NET_TEXT_SIZE];
	const char *slash = memchr(word.p, '/', word.n);
	size_t n = slash == NULL ? word.n : (size_t)(slash - word.p);

	if (n == 0 || n >= sizeof(text))
		return false;
	memcpy(text, word.p, n);
	text[n] = '\0';
	if (!bits_from_text(text, net_r))
		return false;
	*prefix_r = net_r->v4 ? 32 : 128;
	if (slash != NULL) {
		uint32_t most = *prefix_r;

		if (!num_u32(span_from(slash + 1, word.n - n - 1), prefix_r) || *prefix_r > most)
			return false;
	}
	if (net_r->v4)
		*prefix_r += 96;
	return true;
}

static bool bits_match(const struct net_bits *a, const struct net_bits *b, uint32_t prefix)
{
	uint32_t whole = prefix / 8, rest = prefix % 8;

	if (memcmp(a->octet, b->octet, whole) != 0)
		return false;
	return rest == 0 || ((a->octet[whole] ^ b->octet[whole]) & (0xff00 >> rest) & 0xff) == 0;
}

bool net_list_has(const char *list, const char *address)
{
	struct span rest = span_of(list), word;
	struct net_bits a, net;
	uint32_t prefix;

	if (!bits_from_text(address, &a))
		return false;
	while (span_cut(&rest, ' ', &word)) {
		if (word.n > 0 && network_parse(word, &net, &prefix) &&
			bits_match(&a, &net, prefix))
			return true;
	}
	return false;
}

const char *net_list_check(const char *list, char bad_r[NET_TEXT_SIZE + 8])
{
	struct span rest = span_of(list), word;
	struct net_bits net;
	uint32_t prefix;

	while (span_cut(&rest, ' ', &word)) {
		if (word.n > 0 && !network_parse(word, &net, &prefix)) {
			(void)snprintf(bad_r, NET_TEXT_SIZE + 8, "%.*s", (int)word.n, word.p);
			return bad_r;
		}
	}
	return NULL;
}
