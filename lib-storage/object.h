/*
 * object: where packs lie, behind one small table of functions that each kind of store fills. All
 * functions block and may be called by any thread; no event loop calls them.
 *
 * The rules for writers (they hold for every driver): a pack is written by one process, once;
 * nothing is ever changed in it, cut off it or appended after its writer ended. What commit() and
 * stream_commit() have returned 0 for is durable, name and all. After a failure nothing of the call
 * is promised, and nothing more goes into that pack.
 */
#ifndef LM_OBJECT_H
#define LM_OBJECT_H

#include "lib-storage/pack.h"

#define STORE_ID_CHARS 32
#define STORE_ID_SIZE (STORE_ID_CHARS + 1)

/* One sealed entry on its way into a pack, header not yet stamped. */
struct object_entry {
	struct buf data;
	char pack[PACK_NAME_SIZE]; /* commit says where it went */
	uint64_t offset;
	struct object_entry *next;
};

enum object_state { OBJECT_CLOSED, OBJECT_OPEN /* some process still writes it */ };

struct object_info {
	char pack[PACK_NAME_SIZE];
	uint64_t size;
	int64_t mtime;
	enum object_state state;
};

struct object_usage {
	uint64_t packs, bytes;
	uint64_t free_bytes; /* UINT64_MAX: no end in sight */
};

struct object_store {
	const struct object_driver *driver;
	char id[STORE_ID_SIZE]; /* of the store, in hex: random, made with it (its object "id") */
};

/* A pack of its own, written piece by piece: a large body, or the outcome of repacking. */
struct object_stream {
	struct object_store *store;
	char pack[PACK_NAME_SIZE];
	unsigned char pack_id[PACK_ID_BYTES];
	uint64_t offset; /* where the next octet goes */
};

struct object_driver {
	const char *name;
	unsigned commit_slots; /* how many commits make sense at once */
	/* Stamps the list's entries and stores them, all or none promised. */
	int (*commit)(struct object_store *s, struct object_entry *list, struct err *e);

	struct object_stream *(*stream_open)(struct object_store *s, struct err *e);
	int (*stream_write)(struct object_stream *st, struct span data, struct err *e);
	int (*stream_commit)(struct object_stream *st, struct err *e); /* frees, always */
	void (*stream_abort)(struct object_stream *st);		       /* removes and frees */

	/* Appends exactly n octets. ERR_NOTFOUND: no such pack, or it ends before; *out as before.
	 */
	int (*read)(struct object_store *s, const char *pack, uint64_t offset, size_t n,
		struct buf *out, struct err *e);
	/* Packs with names behind `from` ("" for all), in order of name, at most `limit`. */
	int (*list)(struct object_store *s, const char *from, size_t limit,
		struct object_info **infos_r, size_t *n_r, struct err *e); /* mem_free the array */
	int (*info)(struct object_store *s, const char *pack, struct object_info *info_r,
		struct err *e);
	/* ERR_TEMP while it is OBJECT_OPEN. */
	int (*remove)(struct object_store *s, const char *pack, struct err *e);
	int (*usage)(struct object_store *s, struct object_usage *usage_r, struct err *e);
	/* The epoch of M4: only rises; 0 until it is set. */
	int (*epoch)(struct object_store *s, uint64_t *epoch_r, struct err *e);
	int (*epoch_set)(struct object_store *s, uint64_t epoch, struct err *e);
	void (*close)(struct object_store *s); /* no call may be under way */
};

struct object_fs_config {
	uint64_t pack_size;	/* a new pack is begun past it; 64 MiB */
	uint64_t prewrite_size; /* zeros kept ahead of the writer; 0: none */
};

/* A store in the folder `fd` (kept by the caller no longer needed after). An empty folder becomes a
 * new store; one that has packs but no id is refused. Starts a thread. NULL with *e. */
struct object_store *object_fs_open(int fd, const struct object_fs_config *config, struct err *e);

/* pack_read_fn over one pack of a store. */
struct object_pack {
	struct object_store *store;
	const char *pack;
};
int object_pack_read(void *ctx, uint64_t offset, size_t n, struct buf *out, struct err *e);

#endif
