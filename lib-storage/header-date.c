#include "lib-storage/header.h"

/* What was found so far; -1: not yet. */
struct date_parts {
	int day, month, year;
	int hour, minute, second;
	int zone;
	bool have_zone;
};

static const char months[12][4] = {
	"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"};

static const struct {
	const char *name;
	int minutes;
} zones[] = {
	{"UT", 0},
	{"GMT", 0},
	{"UTC", 0},
	{"Z", 0},
	{"EST", -300},
	{"EDT", -240},
	{"CST", -360},
	{"CDT", -300},
	{"MST", -420},
	{"MDT", -360},
	{"PST", -480},
	{"PDT", -420},
	{"WET", 0},
	{"CET", 60},
	{"MET", 60},
	{"BST", 60},
	{"CEST", 120},
	{"MEST", 120},
	{"EET", 120},
	{"EEST", 180},
	{"JST", 540},
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Up to nine digits off the front; -1 when there are none or more. *digits_r counts them. */
static int take_number(struct span *s, size_t *digits_r)
{
	int v = 0;
	size_t n = 0;

	while (n < s->n && is_digit(s->p[n])) {
		if (n < 9)
			v = v * 10 + (s->p[n] - '0');
		n++;
	}
	s->p += n;
	s->n -= n;
	*digits_r = n;
	return n == 0 || n > 9 ? -1 : v;
}

static bool take_time(struct span *s, struct date_parts *d, int hour)
{
	size_t digits;

	d->hour = hour;
	s->p++, s->n--;
	d->minute = take_number(s, &digits);
	d->second = 0;
	if (s->n > 1 && s->p[0] == ':' && is_digit(s->p[1])) {
		s->p++, s->n--;
		d->second = take_number(s, &digits);
	}
	while (s->n > 0 && (s->p[0] == '.' || is_digit(s->p[0])))
		s->p++, s->n--; /* fractions of a second */
	return d->minute >= 0 && d->second >= 0;
}

static void take_zone_offset(struct span *s, struct date_parts *d)
{
	int sign = s->p[0] == '-' ? -1 : 1, v, minutes;
	size_t digits;

	s->p++, s->n--;
	v = take_number(s, &digits);
	if (v < 0 || digits > 4)
		return;
	minutes = digits <= 2 ? v * 60 : v / 100 * 60 + v % 100;
	if (digits <= 2 && s->n > 2 && s->p[0] == ':' && is_digit(s->p[1])) {
		s->p++, s->n--;
		minutes += take_number(s, &digits) % 60;
	}
	if (minutes < 24 * 60) {
		d->zone = sign * minutes;
		d->have_zone = true;
	}
}

static void take_word(struct span *s, struct date_parts *d)
{
	struct span w = {s->p, 0};

	while (s->n > 0 && is_alpha(s->p[0])) {
		s->p++, s->n--;
		w.n++;
	}
	for (int i = 0; i < 12 && d->month < 0; i++) {
		if (span_starts_nocase(w, months[i])) {
			d->month = i;
			return;
		}
	}
	for (size_t i = 0; i < array_count(zones) && d->hour >= 0 && !d->have_zone; i++) {
		if (span_is_nocase(w, zones[i].name)) {
			d->zone = zones[i].minutes;
			d->have_zone = true;
		}
	}
}

static bool take_date_number(struct span *s, struct date_parts *d)
{
	size_t digits;
	int v = take_number(s, &digits);

	if (v < 0)
		return false;
	if (s->n > 1 && s->p[0] == ':' && is_digit(s->p[1]) && d->hour < 0)
		return take_time(s, d, v);
	if (d->day < 0 && digits <= 2) {
		d->day = v;
	} else if (d->year < 0) {
		/* RFC 5322 4.3 */
		if (digits == 2)
			v += v < 50 ? 2000 : 1900;
		else if (digits == 3)
			v += 1900;
		d->year = v;
	}
	return true;
}

/* Days since 1970-01-01 of a date in the Gregorian calendar; month from 0. */
static int64_t days_of(int64_t year, int month, int day)
{
	static const int before[12] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
	int64_t y = month < 2 ? year - 1 : year; /* leap days are behind February */

	return (year - 1970) * 365 + before[month] + day - 1 + (y / 4 - 1969 / 4) -
	       (y / 100 - 1969 / 100) + (y / 400 - 1969 / 400);
}

static int month_length(int year, int month)
{
	static const int length[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return length[month] + (month == 1 && leap ? 1 : 0);
}

static bool parts_check(struct date_parts *d)
{
	if (d->hour < 0)
		d->hour = d->minute = d->second = 0;
	return d->month >= 0 && d->year >= 1583 && d->year <= 9999 && d->day >= 1 &&
	       d->day <= month_length(d->year, d->month) && d->hour <= 24 && d->minute <= 59 &&
	       d->second <= 60;
}

bool header_date(struct span s, struct header_date *date_r)
{
	struct date_parts d = {-1, -1, -1, -1, -1, -1, 0, false};

	for (;;) {
		header_skip_cfws(&s);
		if (s.n == 0)
			break;
		if (is_digit(s.p[0])) {
			if (!take_date_number(&s, &d))
				return false;
		} else if (is_alpha(s.p[0])) {
			take_word(&s, &d);
		} else if ((s.p[0] == '+' || s.p[0] == '-') && s.n > 1 && is_digit(s.p[1]) &&
			   d.hour >= 0 && !d.have_zone) {
			take_zone_offset(&s, &d);
		} else {
			s.p++, s.n--; /* commas, and the dashes of 1-Jan-2020 */
		}
	}
	if (!parts_check(&d))
		return false;
	date_r->day = days_of(d.year, d.month, d.day);
	date_r->zone = d.zone;
	date_r->seconds = date_r->day * 86400 + d.hour * 3600 + d.minute * 60 + d.second -
			  (int64_t)d.zone * 60;
	return true;
}
