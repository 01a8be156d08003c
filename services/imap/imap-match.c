#include "services/imap/imap-match.h"

/*
 * Two places to go back to are enough: the last '*', and the last '%' behind it. Where both fail
 * at some octet, an earlier wildcard cannot do better than the last '*', which matches all that an
 * earlier one could have left.
 */
bool imap_match(struct span pattern, struct span name, char separator)
{
	size_t p = 0, n = 0;
	size_t star_p = SIZE_MAX, star_n = 0, percent_p = SIZE_MAX, percent_n = 0;

	for (;;) {
		if (p < pattern.n && pattern.p[p] == '*') {
			star_p = ++p;
			star_n = n;
			percent_p = SIZE_MAX;
			continue;
		}
		if (p < pattern.n && pattern.p[p] == '%') {
			percent_p = ++p;
			percent_n = n;
			continue;
		}
		if (n == name.n && p == pattern.n)
			return true;
		if (n < name.n && p < pattern.n && pattern.p[p] == name.p[n]) {
			p++;
			n++;
			continue;
		}
		if (percent_p != SIZE_MAX && percent_n < name.n && name.p[percent_n] != separator) {
			n = ++percent_n;
			p = percent_p;
		} else if (star_p != SIZE_MAX && star_n < name.n) {
			n = ++star_n;
			p = star_p;
			percent_p = SIZE_MAX;
		} else {
			return false;
		}
	}
}
