/*
 * address: names of users, aliases and domains in the one form in which they are stored and
 * compared: strict UTF-8, NFC, lower case; local part and domain joined by '@'. Whoever is asked
 * for a name brings it into this form first; what cannot be brought into it names nobody.
 *
 * Local parts are dot-atoms (RFC 5321 4.1.2, RFC 6531 3.3), at most 64 octets, a domain is letters,
 * digits, hyphens and dots (or UTF-8), at most 255. A quoted local part is unquoted; what needs its
 * quotes names nobody here.
 */
#ifndef LM_ADDRESS_H
#define LM_ADDRESS_H

#include <stdbool.h>
#include "lib-common/buf.h"

#define ADDRESS_LOCAL_MAX 64
#define ADDRESS_DOMAIN_MAX 255
#define ADDRESS_MAX (ADDRESS_LOCAL_MAX + 1 + ADDRESS_DOMAIN_MAX)

struct address {
	char text[ADDRESS_MAX + 1]; /* local@domain, NUL-terminated */
	size_t local_n;		    /* octets before the '@'; 0 for a catch-all, "@domain" */
};

/* "local@domain". */
bool address_parse(struct span text, struct address *a_r);
/* The same, or "@domain" (all of a domain's other addresses). */
bool address_parse_pattern(struct span text, struct address *a_r);
/* A domain alone; out_r gets the normal form. */
bool address_parse_domain(struct span text, char out_r[ADDRESS_DOMAIN_MAX + 1]);
struct span address_span(const struct address *a);
struct span address_local(const struct address *a);
struct span address_domain(const struct address *a);
/* Splits user+detail at the first octet that stands in delimiters: base_r gets the address without
 * the detail, detail_r (of a's memory) what was behind. False when there is none or nothing in
 * front of it. */
bool address_split_detail(const struct address *a, const char *delimiters, struct address *base_r,
	struct span *detail_r);
/* False (a_r undefined) when the parts do not make an address. Parts are in normal form. */
bool address_join(struct span local, struct span domain, struct address *a_r);

#endif
