/*
 * net: addresses of peers, as text and as networks. IPv4 addresses that came in over an IPv6 socket
 * (::ffff:a.b.c.d) are IPv4 addresses.
 */
#ifndef LM_NET_H
#define LM_NET_H

#include <stdbool.h>
#include <sys/socket.h>
#include "lib-common/buf.h"

#define NET_TEXT_SIZE 48

/* "192.0.2.1", "2001:db8::1"; "local" for Unix sockets. */
void net_text(const struct sockaddr *sa, char text_r[NET_TEXT_SIZE]);
/* The network that counts as one peer: the address itself, or the /64 of an IPv6 address. */
void net_peer_key(const struct sockaddr *sa, char text_r[NET_TEXT_SIZE]);
/* list: blank-separated ADDRESS or ADDRESS/PREFIX. An address in text form; "local" is in no list.
 */
bool net_list_has(const char *list, const char *address);
/* NULL: every word of the list is a network; else the first that is not. */
const char *net_list_check(const char *list, char bad_r[NET_TEXT_SIZE + 8]);

#endif
