#include "lib-storage/charset.h"
#include "lib-common/mem.h"

#include <errno.h>
#include <iconv.h>

#define REPLACEMENT "\xef\xbf\xbd"

/* What glibc knows and mail uses, under the names of the IANA registry and the usual other ones.
 * Names of one character set are together; the first one is opened, `alias` marks the others. */
static const struct {
	const char *name;
	bool alias;
} table[] = {
	{"iso-8859-2", false},
	{"latin2", true},
	{"iso-8859-3", false},
	{"iso-8859-4", false},
	{"iso-8859-5", false},
	{"iso-8859-6", false},
	{"iso-8859-6-i", true},
	{"iso-8859-7", false},
	{"iso-8859-8", false},
	{"iso-8859-8-i", true},
	{"iso-8859-9", false},
	{"latin5", true},
	{"iso-8859-10", false},
	{"iso-8859-11", false},
	{"iso-8859-13", false},
	{"iso-8859-14", false},
	{"iso-8859-15", false},
	{"latin9", true},
	{"iso-8859-16", false},
	{"windows-1250", false},
	{"cp1250", true},
	{"windows-1251", false},
	{"cp1251", true},
	{"windows-1253", false},
	{"cp1253", true},
	{"windows-1254", false},
	{"cp1254", true},
	{"windows-1255", false},
	{"cp1255", true},
	{"windows-1256", false},
	{"cp1256", true},
	{"windows-1257", false},
	{"cp1257", true},
	{"windows-1258", false},
	{"windows-874", false},
	{"tis-620", true},
	{"koi8-r", false},
	{"koi8-u", false},
	{"koi8-t", false},
	{"ibm437", false},
	{"cp437", true},
	{"ibm850", false},
	{"cp850", true},
	{"ibm852", false},
	{"cp852", true},
	{"ibm866", false},
	{"cp866", true},
	{"macintosh", false},
	{"x-mac-roman", true},
	{"iso-2022-jp", false},
	{"iso-2022-jp-2", true},
	{"csiso2022jp", true},
	{"shift_jis", false},
	{"x-sjis", true},
	{"sjis", true},
	{"windows-31j", false},
	{"cp932", true},
	{"euc-jp", false},
	{"gb18030", false},
	{"gbk", true},
	{"gb2312", true},
	{"euc-cn", true},
	{"cp936", true},
	{"big5", false},
	{"cn-big5", true},
	{"big5-hkscs", false},
	{"euc-tw", false},
	{"euc-kr", false},
	{"iso-2022-kr", false},
	{"ks_c_5601-1987", false},
	{"cp949", true},
	{"uhc", true},
	{"johab", false},
	{"utf-7", false},
	{"utf-16", false},
	{"utf-16le", false},
	{"utf-16be", false},
	{"utf-32", false},
	{"utf-32le", false},
	{"utf-32be", false},
	{"viscii", false},
	{"tcvn", false},
};

/* glibc's own names where they differ. */
static const struct {
	const char *name, *glibc;
} renamed[] = {
	{"windows-874", "CP874"},
	{"windows-31j", "CP932"},
	{"ks_c_5601-1987", "CP949"},
};

static iconv_t converters[array_count(table)];
static bool preloaded;

static const char *glibc_name(const char *name)
{
	for (size_t i = 0; i < array_count(renamed); i++) {
		if (strcmp(renamed[i].name, name) == 0)
			return renamed[i].glibc;
	}
	return name;
}

/* A first conversion makes it load what it does not load when it is opened. */
static void converter_try(iconv_t cd)
{
	char in[] = "ab", out[32];
	char *from = in, *to = out;
	size_t nin = 2, nout = sizeof(out);

	iconv(cd, &from, &nin, &to, &nout);
	iconv(cd, NULL, NULL, NULL, NULL);
}

size_t charset_preload(void)
{
	size_t count = 0;

	for (size_t i = 0; i < array_count(table); i++) {
		if (!preloaded) {
			converters[i] = table[i].alias
						? converters[i - 1]
						: iconv_open("UTF-8", glibc_name(table[i].name));
			if (!table[i].alias && converters[i] != (iconv_t)-1)
				converter_try(converters[i]);
		}
		count += !table[i].alias && converters[i] != (iconv_t)-1;
	}
	preloaded = true;
	return count;
}

static bool is_one_of(struct span name, const char *const *names)
{
	for (; *names != NULL; names++) {
		if (span_is_nocase(name, *names))
			return true;
	}
	return false;
}

/* US-ASCII is taken for what it is often wrongly used for. */
static bool is_guessed(struct span name)
{
	static const char *const names[] = {"", "us-ascii", "ascii", "ansi_x3.4-1968", "iso-8859-1",
		"latin1", "iso8859-1", "iso_8859-1", "windows-1252", "cp1252", "unknown-8bit",
		NULL};

	return is_one_of(name, names);
}

static bool is_latin1(struct span name)
{
	static const char *const names[] = {
		"iso-8859-1", "latin1", "iso8859-1", "iso_8859-1", "windows-1252", "cp1252", NULL};

	return is_one_of(name, names);
}

static bool is_utf8(struct span name)
{
	static const char *const names[] = {"utf-8", "utf8", "unicode-1-1-utf-8", NULL};

	return is_one_of(name, names);
}

static const void *converter_find(struct span name)
{
	for (size_t i = 0; preloaded && i < array_count(table); i++) {
		if (span_is_nocase(name, table[i].name))
			return converters[i] == (iconv_t)-1 ? NULL : converters[i];
	}
	return NULL;
}

bool charset_is_known(struct span name)
{
	return is_utf8(name) || (is_guessed(name) && name.n > 0) || converter_find(name) != NULL;
}

const char *const *charset_names(void)
{
	static const char *names[array_count(table) + 4];
	size_t n = 0;

	names[n++] = "UTF-8";
	names[n++] = "US-ASCII";
	names[n++] = "ISO-8859-1";
	for (size_t i = 0; preloaded && i < array_count(table); i++) {
		if (!table[i].alias && converters[i] != (iconv_t)-1)
			names[n++] = table[i].name;
	}
	names[n] = NULL;
	return names;
}

static void add_codepoint(struct buf *out, unsigned c)
{
	if (c < 0x80) {
		buf_add_c(out, (char)c);
	} else if (c < 0x800) {
		buf_add_c(out, (char)(0xc0 | c >> 6));
		buf_add_c(out, (char)(0x80 | (c & 0x3f)));
	} else {
		buf_add_c(out, (char)(0xe0 | c >> 12));
		buf_add_c(out, (char)(0x80 | (c >> 6 & 0x3f)));
		buf_add_c(out, (char)(0x80 | (c & 0x3f)));
	}
}

/* Windows-1252: what says ISO-8859-1 mostly is this. */
static void add_latin1(struct buf *out, unsigned char c)
{
	static const unsigned short high[32] = {0x20ac, 0x81, 0x201a, 0x0192, 0x201e, 0x2026,
		0x2020, 0x2021, 0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8d, 0x017d, 0x8f, 0x90,
		0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x02dc, 0x2122, 0x0161,
		0x203a, 0x0153, 0x9d, 0x017e, 0x0178};

	add_codepoint(out, c >= 0x80 && c < 0xa0 ? high[c - 0x80] : c);
}

/* Length of the UTF-8 character at the front; 0: invalid; -1: cut off. */
static int utf8_length(const unsigned char *p, size_t n)
{
	int want;
	unsigned low = 0x80, high = 0xbf;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	want = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	for (int i = 1; i < want; i++) {
		if ((size_t)i == n)
			return -1;
		if (p[i] < low || p[i] > high)
			return 0;
		low = 0x80;
		high = 0xbf;
	}
	return want;
}

static size_t ascii_run(struct span s)
{
	size_t n = 0;

	while (n < s.n && (unsigned char)s.p[n] < 0x80)
		n++;
	return n;
}

/* Returns what was used; an unfinished character stays. */
static size_t utf8_decode(struct charset_decoder *d, struct span in, struct buf *out)
{
	size_t i = 0;

	while (i < in.n) {
		size_t run = ascii_run(span_from(in.p + i, in.n - i));
		int n;

		buf_add(out, in.p + i, run);
		i += run;
		if (i == in.n)
			break;
		n = utf8_length((const unsigned char *)in.p + i, in.n - i);
		if (n < 0)
			break;
		if (n > 0)
			buf_add(out, in.p + i, (size_t)n);
		else if (d->guess)
			add_latin1(out, (unsigned char)in.p[i]);
		else
			buf_add_str(out, REPLACEMENT);
		i += n > 0 ? (size_t)n : 1;
	}
	return i;
}

static size_t iconv_decode(struct charset_decoder *d, struct span in, struct buf *out)
{
	iconv_t cd = (iconv_t)(uintptr_t)d->converter;
	char *from = (char *)(uintptr_t)in.p;
	size_t left = in.n;

	while (left > 0) {
		char *to = buf_reserve(out, left * 2 + 64), *start = to;
		size_t room = left * 2 + 64, before = left;

		if (to == NULL)
			return in.n;
		errno = 0;
		if (iconv(cd, &from, &left, &to, &room) == (size_t)-1 && errno == EINVAL &&
			left == before) {
			buf_added(out, (size_t)(to - start));
			break; /* cut off */
		}
		buf_added(out, (size_t)(to - start));
		if (errno == EILSEQ && left > 0) {
			buf_add_str(out, REPLACEMENT);
			from++;
			left--;
		} else if (errno == EINVAL && left < sizeof(d->rest)) {
			break;
		} else if (left == before && errno != E2BIG) {
			from++; /* no progress: never loop */
			left--;
		}
	}
	return in.n - left;
}

void charset_decoder_init(struct charset_decoder *d, struct span charset)
{
	memset(d, 0, sizeof(*d));
	d->utf8 = is_utf8(charset);
	if (!d->utf8 && !is_guessed(charset)) {
		d->converter = converter_find(charset);
		if (d->converter != NULL)
			iconv((iconv_t)(uintptr_t)d->converter, NULL, NULL, NULL, NULL);
	}
	d->guess = !d->utf8 && d->converter == NULL;
	d->latin1 = is_latin1(charset);
}

static size_t decode_some(struct charset_decoder *d, struct span in, struct buf *out)
{
	if (d->converter != NULL)
		return iconv_decode(d, in, out);
	if (!d->latin1)
		return utf8_decode(d, in, out);
	for (size_t i = 0; i < in.n; i++)
		add_latin1(out, (unsigned char)in.p[i]);
	return in.n;
}

void charset_decode(struct charset_decoder *d, struct span in, struct buf *out)
{
	size_t used;

	/* The unfinished character gets octet after octet until it is whole or wrong. */
	while (d->nrest > 0 && in.n > 0) {
		d->rest[d->nrest++] = in.p[0];
		in.p++, in.n--;
		used = decode_some(d, span_from(d->rest, d->nrest), out);
		if (used == 0 && d->nrest == sizeof(d->rest)) {
			buf_add_str(out, REPLACEMENT);
			used = 1;
		}
		memmove(d->rest, d->rest + used, d->nrest - used);
		d->nrest -= used;
	}
	if (in.n == 0)
		return;
	used = decode_some(d, in, out);
	/* Only an unfinished character can be left, which is short. */
	while (in.n - used > sizeof(d->rest) - 1) {
		buf_add_str(out, REPLACEMENT);
		used++;
	}
	d->nrest = in.n - used;
	memcpy(d->rest, in.p + used, d->nrest);
}

void charset_decode_end(struct charset_decoder *d, struct buf *out)
{
	for (size_t i = 0; i < d->nrest; i++) {
		if (d->guess)
			add_latin1(out, (unsigned char)d->rest[i]);
		else if (i == 0)
			buf_add_str(out, REPLACEMENT);
	}
	d->nrest = 0;
	if (d->converter != NULL) {
		/* Some keep the last character, as an accent could follow. */
		char *to = buf_reserve(out, 64);
		size_t room = 64;

		if (to != NULL) {
			char *start = to;

			iconv((iconv_t)(uintptr_t)d->converter, NULL, NULL, &to, &room);
			buf_added(out, (size_t)(to - start));
		}
	}
}

void charset_to_utf8(struct span charset, struct span in, struct buf *out)
{
	struct charset_decoder d;

	charset_decoder_init(&d, charset);
	charset_decode(&d, in, out);
	charset_decode_end(&d, out);
}

void charset_guess_to_utf8(struct span in, struct buf *out)
{
	charset_to_utf8(SPAN(""), in, out);
}
