#include "lib-storage/object-read.h"

#include <stdlib.h>
#include <string.h>
#include "lib-common/mem.h"

/* Reading a gap costs less than another request, up to this. */
#define JOIN_GAP (16u << 10)
#define JOIN_ENTRY_MAX (256u << 10)
#define JOIN_MAX (1u << 20)
#define COPY_SLICE (1u << 20)

struct object_reader {
	struct object_store *store;
	struct pack_decoder *decoder;
	struct kek_ring *ring;
	struct buf joined;
};

struct object_reader *object_reader_new(struct object_store *store, const struct kek_ring *ring)
{
	struct object_reader *r = mem_alloc(sizeof(*r));

	r->store = store;
	r->decoder = pack_decoder_new();
	r->ring = kek_copy(ring);
	return r;
}

void object_reader_free(struct object_reader *r)
{
	if (r == NULL)
		return;
	pack_decoder_free(r->decoder);
	kek_free(r->ring);
	buf_clear(&r->joined);
	mem_free(r);
}

struct object_store *object_reader_store(struct object_reader *r)
{
	return r->store;
}

struct kek_ring *object_reader_ring(struct object_reader *r)
{
	return r->ring;
}

static int locator_place(struct object_reader *r, const struct locator *l, struct object_pack *pack,
	struct pack_place *place, unsigned char *key, struct err *e)
{
	*pack = (struct object_pack){.store = r->store, .pack = l->pack};
	*place = (struct pack_place){
		.offset = l->offset, .length = l->length, .read = object_pack_read, .ctx = pack};
	if (!pack_name_parse(span_of(l->pack), place->pack_id))
		return err_set(e, ERR_NOTFOUND, "not a pack's name");
	return kek_unwrap(r->ring, l->key, l->key_id, key, e);
}

/* `whole`: the entry's octets when a joined read has brought them, else empty. */
static void want_read(struct object_reader *r, struct object_want *w, struct span whole)
{
	unsigned char key[PACK_KEY_BYTES];
	struct object_pack pack;
	struct pack_place place;
	uint64_t size;

	w->err.code = ERR_NONE;
	if (w->from > w->locator.size) {
		(void)err_set(&w->err, ERR_PERM, "range begins behind the end of the body");
		return;
	}
	if (locator_place(r, &w->locator, &pack, &place, key, &w->err) < 0)
		return;
	place.whole = whole;
	if (w->count == 0 || w->count > w->locator.size - w->from)
		w->count = w->locator.size - w->from;
	if (pack_fetch(r->decoder, &place, key, w->from, w->count, &w->data, &size, &w->err) == 0 &&
		size != w->locator.size) {
		(void)err_set(&w->err, ERR_PERM, "the body's size is not the locator's");
		buf_empty(&w->data);
	}
	mem_wipe(key, sizeof(key));
}

static int want_compare(const void *a, const void *b)
{
	const struct locator *l = &(*(struct object_want *const *)a)->locator;
	const struct locator *m = &(*(struct object_want *const *)b)->locator;
	int c = strcmp(l->pack, m->pack);

	if (c != 0)
		return c;
	return l->offset < m->offset ? -1 : l->offset > m->offset;
}

/* How many of the sorted wants from `first` one read can bring; *length_r: of that read. */
static size_t join_count(struct object_want **sorted, size_t n, uint64_t *length_r)
{
	const struct locator *first = &sorted[0]->locator, *l;
	uint64_t end = first->offset + first->length;
	size_t i;

	*length_r = first->length;
	if (first->length > JOIN_ENTRY_MAX || end < first->offset)
		return 1;
	for (i = 1; i < n; i++) {
		l = &sorted[i]->locator;
		if (strcmp(l->pack, first->pack) != 0 || l->length > JOIN_ENTRY_MAX ||
			l->offset > end + JOIN_GAP || l->offset > UINT64_MAX - l->length)
			break;
		if (l->offset + l->length > end) {
			if (l->offset + l->length - first->offset > JOIN_MAX)
				break;
			end = l->offset + l->length;
		}
		*length_r = end - first->offset;
	}
	return i;
}

/* When the joined read fails each is read for itself, to tell who is missing. */
static void join_read(
	struct object_reader *r, struct object_want **sorted, size_t n, uint64_t length)
{
	const struct locator *first = &sorted[0]->locator;
	bool joined = false;
	struct err e;

	if (n > 1) {
		buf_empty(&r->joined);
		joined = r->store->driver->read(r->store, first->pack, first->offset,
				 (size_t)length, &r->joined, &e) == 0;
	}
	for (size_t i = 0; i < n; i++) {
		const struct locator *l = &sorted[i]->locator;
		struct span whole = {NULL, 0};

		if (joined && l->length > 0)
			whole = span_from(
				r->joined.data + (l->offset - first->offset), (size_t)l->length);
		want_read(r, sorted[i], whole);
	}
}

void object_read(struct object_reader *r, struct object_want *wants, size_t n)
{
	struct object_want **sorted = mem_alloc_array(n, sizeof(*sorted));
	uint64_t length;
	size_t count;

	for (size_t i = 0; i < n; i++)
		sorted[i] = &wants[i];
	if (n > 1)
		qsort(sorted, n, sizeof(*sorted), want_compare);
	for (size_t i = 0; i < n; i += count) {
		count = join_count(sorted + i, n - i, &length);
		join_read(r, sorted + i, count, length);
	}
	mem_free(sorted);
}

int object_verify(struct object_reader *r, const struct locator *l,
	unsigned char sha256_r[PACK_SHA_BYTES], struct err *e)
{
	unsigned char key[PACK_KEY_BYTES];
	struct object_pack pack;
	struct pack_place place;
	uint64_t size;
	int result;

	if (locator_place(r, l, &pack, &place, key, e) < 0)
		return -1;
	result = pack_verify(r->decoder, &place, key, &size, sha256_r, e);
	mem_wipe(key, sizeof(key));
	if (result == 0 && size != l->size)
		return err_set(e, ERR_PERM, "the body's size is not the locator's");
	return result;
}

/* ---- repacking ---- */

static int move_check(struct object_store *store, const struct object_move *m, struct err *e)
{
	struct object_pack pack = {.store = store, .pack = m->pack};
	struct pack_place place = {
		.offset = m->offset, .length = m->length, .read = object_pack_read, .ctx = &pack};
	struct pack_header header;

	if (!pack_name_parse(span_of(m->pack), place.pack_id))
		return err_set(e, ERR_NOTFOUND, "not a pack's name");
	return pack_check(&place, &header, NULL, e);
}

/* Copies what was checked; -1: the new pack is of no use any more. */
static int move_copy(struct object_store *store, struct object_stream *to, struct object_move *m,
	struct buf *slice, struct err *e)
{
	uint64_t done = 0;

	memcpy(m->new_pack, to->pack, PACK_NAME_SIZE);
	m->new_offset = to->offset;
	while (done < m->length) {
		uint64_t left = m->length - done;
		size_t n = left < COPY_SLICE ? (size_t)left : COPY_SLICE;

		buf_empty(slice);
		if (store->driver->read(store, m->pack, m->offset + done, n, slice, e) < 0)
			return -1;
		if (done == 0)
			pack_stamp(slice->data, to->pack_id, m->new_offset, m->length);
		if (store->driver->stream_write(to, buf_span(slice), e) < 0)
			return -1;
		done += n;
	}
	return 0;
}

int object_repack(struct object_store *store, struct object_move *moves, size_t n, struct err *e)
{
	struct object_stream *to = store->driver->stream_open(store, e);
	struct buf slice;
	size_t copied = 0;
	int r = 0;

	if (to == NULL)
		return -1;
	buf_init(&slice);
	for (size_t i = 0; r == 0 && i < n; i++) {
		moves[i].err.code = ERR_NONE;
		if (move_check(store, &moves[i], &moves[i].err) < 0)
			continue;
		r = move_copy(store, to, &moves[i], &slice, e);
		copied++;
	}
	buf_clear(&slice);
	if (r < 0 || copied == 0) {
		store->driver->stream_abort(to);
		return r;
	}
	return store->driver->stream_commit(to, e);
}
