#include "lib-auth/address.h"

#include <stdlib.h>
#include <utf8proc.h>

/* RFC 5322 3.2.3, with RFC 6531's octets above 127 (their UTF-8 was checked before). */
static bool address_is_atext(unsigned char c)
{
	if (c >= 0x80 || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
		return true;
	return c && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL;
}

static bool address_is_dot_atom(struct span s)
{
	size_t i;

	if (s.n == 0 || s.p[0] == '.' || s.p[s.n - 1] == '.')
		return false;
	for (i = 0; i < s.n; i++) {
		if (s.p[i] == '.' ? s.p[i + 1] == '.' : !address_is_atext((unsigned char)s.p[i]))
			return false;
	}
	return true;
}

static bool address_is_domain(struct span s)
{
	size_t i, label = 0;
	unsigned char c;

	if (s.n == 0 || s.p[0] == '-' || s.p[0] == '.')
		return false;
	for (i = 0; i < s.n; i++) {
		c = (unsigned char)s.p[i];
		if (c == '.') {
			if (label == 0 || s.p[i - 1] == '-' || i + 1 == s.n)
				return false;
			label = 0;
			continue;
		}
		if (!(c >= 0x80 || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
			    (c == '-' && label > 0)))
			return false;
		if (++label > 63)
			return false;
	}
	return s.p[s.n - 1] != '-';
}

static utf8proc_int32_t address_lower(utf8proc_int32_t c, void *ctx)
{
	(void)ctx;
	return utf8proc_tolower(c);
}

/* Appends the lower-case NFC form. Controls and unassigned code points are refused. */
static bool address_fold(struct span s, char *out, size_t max, size_t *n_r)
{
	utf8proc_uint8_t *folded = NULL;
	utf8proc_ssize_t n;
	bool ascii = true, ok = false;
	size_t i;

	/* Bounded before it is looked at; folding can lengthen a little, which is checked after. */
	if (s.n == 0 || s.n > max)
		return false;
	for (i = 0; i < s.n; i++) {
		if ((unsigned char)s.p[i] < 0x21 || s.p[i] == 0x7f)
			return false;
		ascii = ascii && (unsigned char)s.p[i] < 0x80;
	}
	if (ascii) {
		for (i = 0; i < s.n; i++)
			out[i] = s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] | 0x20) : s.p[i];
		*n_r = s.n;
		return true;
	}
	if (!utf8_valid(s))
		return false;
	n = utf8proc_map_custom((const utf8proc_uint8_t *)s.p, (utf8proc_ssize_t)s.n, &folded,
		UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_REJECTNA, address_lower, NULL);
	if (n > 0 && (size_t)n <= max && !memchr(folded, 0, (size_t)n)) {
		memcpy(out, folded, (size_t)n);
		*n_r = (size_t)n;
		ok = true;
		/* C1 controls and the like: U+0080..U+009F, U+2028, U+2029. */
		for (i = 0; ok && i + 1 < (size_t)n; i++)
			ok = !(folded[i] == 0xc2 && folded[i + 1] < 0xa0) &&
			     !(i + 2 < (size_t)n && folded[i] == 0xe2 && folded[i + 1] == 0x80 &&
				     (folded[i + 2] == 0xa8 || folded[i + 2] == 0xa9));
	}
	free(folded);
	return ok;
}

/* "a\"b" without quotes and backslashes; false when it is not one quoted string. */
static bool address_unquote(struct span s, char *out, size_t max, struct span *r)
{
	size_t i, n = 0;

	for (i = 1; i + 1 < s.n; i++) {
		if (s.p[i] == '"' || (s.p[i] == '\\' && ++i + 1 >= s.n) || n == max)
			return false;
		out[n++] = s.p[i];
	}
	*r = span_from(out, n);
	return true;
}

static bool address_fold_local(struct span local, struct address *a)
{
	char plain[ADDRESS_LOCAL_MAX];

	if (local.n >= 2 && local.p[0] == '"' && local.p[local.n - 1] == '"' &&
		!address_unquote(local, plain, sizeof(plain), &local))
		return false;
	if (!address_fold(local, a->text, ADDRESS_LOCAL_MAX, &a->local_n))
		return false;
	a->text[a->local_n] = '\0';
	return address_is_dot_atom(address_local(a));
}

bool address_parse_domain(struct span text, char out_r[ADDRESS_DOMAIN_MAX + 1])
{
	size_t n;

	if (!address_fold(text, out_r, ADDRESS_DOMAIN_MAX, &n))
		return false;
	out_r[n] = '\0';
	return address_is_domain(span_from(out_r, n));
}

static bool address_parse_any(struct span text, bool pattern, struct address *a)
{
	const char *at = text.n ? memrchr(text.p, '@', text.n) : NULL;
	size_t n;

	if (!at)
		return false;
	n = (size_t)(at - text.p);
	a->local_n = 0;
	if (!(n == 0 && pattern) && !address_fold_local(span_from(text.p, n), a))
		return false;
	a->text[a->local_n] = '@';
	return address_parse_domain(span_from(at + 1, text.n - n - 1), a->text + a->local_n + 1);
}

bool address_parse(struct span text, struct address *a_r)
{
	return address_parse_any(text, false, a_r);
}

bool address_parse_pattern(struct span text, struct address *a_r)
{
	return address_parse_any(text, true, a_r);
}

struct span address_span(const struct address *a)
{
	return span_of(a->text);
}

struct span address_local(const struct address *a)
{
	return span_from(a->text, a->local_n);
}

struct span address_domain(const struct address *a)
{
	return span_of(a->text + a->local_n + 1);
}

bool address_join(struct span local, struct span domain, struct address *a_r)
{
	if (local.n > ADDRESS_LOCAL_MAX || domain.n == 0 || domain.n > ADDRESS_DOMAIN_MAX)
		return false;
	memcpy(a_r->text, local.p, local.n);
	a_r->text[local.n] = '@';
	memcpy(a_r->text + local.n + 1, domain.p, domain.n);
	a_r->text[local.n + 1 + domain.n] = '\0';
	a_r->local_n = local.n;
	return true;
}

bool address_split_detail(const struct address *a, const char *delimiters, struct address *base_r,
	struct span *detail_r)
{
	size_t i;

	/* From the second octet: an address that begins with the delimiter has no user in front. */
	for (i = 1; i < a->local_n; i++) {
		if (strchr(delimiters, a->text[i]))
			break;
	}
	if (i >= a->local_n)
		return false;
	*detail_r = span_from(a->text + i + 1, a->local_n - i - 1);
	return address_join(span_from(a->text, i), address_domain(a), base_r);
}
