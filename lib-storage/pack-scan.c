#include <string.h>
#include "lib-storage/pack.h"

#define WINDOW (256u << 10)

/* A pack's octets, by windows. */
struct scanner {
	const unsigned char *pack_id;
	uint64_t size;
	pack_read_fn *read;
	void *ctx;
	uint64_t window_at;
	struct buf window;
};

/* At most n octets at `at` (fewer at the end of the pack only); they live until the next call. */
static int scan_octets(struct scanner *sc, uint64_t at, size_t n, struct span *s_r, struct err *e)
{
	uint64_t left = sc->size - at;

	n = n < left ? n : (size_t)left;
	if (at < sc->window_at || at + n > sc->window_at + sc->window.len) {
		size_t want = left < WINDOW ? (size_t)left : WINDOW;

		buf_empty(&sc->window);
		sc->window_at = at;
		if (sc->read(sc->ctx, at, want > n ? want : n, &sc->window, e) < 0)
			return -1;
	}
	*s_r = span_from(sc->window.data + (at - sc->window_at), n);
	return 0;
}

static bool header_at(struct scanner *sc, struct span s, uint64_t at, struct pack_header *h)
{
	return pack_header_parse(s, h) && memcmp(h->pack_id, sc->pack_id, PACK_ID_BYTES) == 0 &&
	       h->offset == at;
}

/* The next header at or behind `at`; *at_r is the pack's size when there is none. Sets *zeros_r
 * when all that was passed over is zeros. */
static int scan_search(
	struct scanner *sc, uint64_t at, uint64_t *at_r, bool *zeros_r, struct err *e)
{
	struct pack_header h;
	struct span s;

	*zeros_r = true;
	while (at < sc->size) {
		if (scan_octets(sc, at, WINDOW, &s, e) < 0)
			return -1;
		for (size_t i = 0; i < s.n; i++) {
			if (s.p[i] == 0)
				continue;
			/* A header cut by the window's end is met again by the next window. */
			if (s.p[i] == 'L' && s.n - i < PACK_HEADER_BYTES && at + s.n < sc->size &&
				i > 0) {
				s.n = i;
				break;
			}
			if (s.p[i] == 'L' &&
				header_at(sc, span_from(s.p + i, s.n - i), at + i, &h)) {
				*at_r = at + i;
				return 0;
			}
			*zeros_r = false;
		}
		at += s.n;
	}
	*at_r = sc->size;
	return 0;
}

/* Length of the entry at `at`, and whether its footer is there. */
static int scan_entry(struct scanner *sc, uint64_t at, struct pack_found *f, struct err *e)
{
	struct pack_footer footer;
	uint64_t length = f->header.length != 0 ? f->header.length : sc->size - at;
	struct span s;
	size_t n;

	f->whole = false;
	f->length = length;
	if (length < PACK_ENTRY_MIN || length > sc->size - at)
		return 0;
	if (scan_octets(sc, at + length - PACK_FOOTER_BYTES, PACK_FOOTER_BYTES, &s, e) < 0)
		return -1;
	if (!pack_footer_peek(s, &footer) || footer.length != length)
		return 0;
	n = (size_t)footer.box_length + PACK_FOOTER_BYTES;
	if (scan_octets(sc, at + length - n, n, &s, e) < 0)
		return -1;
	f->whole = pack_footer_parse(s, f->header.entry_id, &footer, NULL);
	return 0;
}

static int scan_all(struct scanner *sc, int (*found)(void *ctx, const struct pack_found *f),
	void *found_ctx, struct pack_scan_result *r, struct err *e)
{
	uint64_t at = 0, next;
	struct pack_found f;
	struct span s;
	bool zeros;

	while (at < sc->size) {
		if (scan_octets(sc, at, PACK_HEADER_BYTES, &s, e) < 0)
			return -1;
		if (!header_at(sc, s, at, &f.header)) {
			if (scan_search(sc, at, &next, &zeros, e) < 0)
				return -1;
			if (next < sc->size || !zeros)
				r->garbage += next - at;
			at = next;
			continue;
		}
		if (scan_entry(sc, at, &f, e) < 0)
			return -1;
		if (found != NULL && found(found_ctx, &f) < 0)
			return err_set(e, ERR_TEMP, "the scan was stopped");
		if (f.whole) {
			r->entries++;
			at += f.length;
			r->used = at;
		} else {
			/* Its length cannot be believed: whatever follows the header is searched.
			 */
			r->damaged++;
			r->garbage += PACK_HEADER_BYTES;
			at += PACK_HEADER_BYTES;
		}
	}
	return 0;
}

int pack_scan(const unsigned char pack_id[PACK_ID_BYTES], uint64_t pack_size, pack_read_fn *read,
	void *ctx, int (*found)(void *ctx, const struct pack_found *f), void *found_ctx,
	struct pack_scan_result *result_r, struct err *e)
{
	struct scanner sc = {.pack_id = pack_id, .size = pack_size, .read = read, .ctx = ctx};
	int r;

	memset(result_r, 0, sizeof(*result_r));
	buf_init(&sc.window);
	r = scan_all(&sc, found, found_ctx, result_r, e);
	buf_clear(&sc.window);
	return r;
}
