/*
 * object-fs: the file system driver of object.h (its own files only). Under the store's folder:
 *
 *	id			the store's id
 *	epoch			the epoch, once set
 *	packs/YYYYMM/NAME.lmp	the packs, foldered by the month in their name
 *
 * A pack file is made with O_EXCL, its folder synced before the first entry is acknowledged, and
 *locked (an open file description lock) by its writer as long as it is open. A background thread
 *writes zeros ahead of the writer and makes the next file ready: writing over blocks that exist
 *costs a quarter of the sync. Zeros go by a descriptor of their own, so that a write error which
 *that one's fdatasync reports is still reported to the writer's.
 */
#ifndef LM_OBJECT_FS_H
#define LM_OBJECT_FS_H

#include <pthread.h>
#include "lib-storage/object.h"

#define FS_FILE_CHARS (PACK_NAME_CHARS + 4)
#define FS_PATH_SIZE (7 + FS_FILE_CHARS + 1) /* YYYYMM/NAME.lmp */
#define FS_CACHED 128

struct fs_pack {
	char name[PACK_NAME_SIZE];
	unsigned char id[PACK_ID_BYTES];
	int fd, zero_fd;
	unsigned refs;
	uint64_t written, zeroed, zeroing_from;
	bool zeroing, no_zeros;
	bool acknowledged; /* something in it was promised to be durable */
};

struct fs_cached {
	char name[PACK_NAME_SIZE];
	int fd; /* -1: free */
	unsigned users;
	bool stale; /* removed while in use */
	uint64_t used_at;
};

struct object_fs {
	struct object_store store;
	struct object_fs_config config;
	int root, packs;

	pthread_mutex_t lock; /* of all below up to the cache */
	pthread_cond_t changed;
	struct fs_pack *current, *next;
	bool next_failed, stopping, started;
	pthread_t prewriter;

	pthread_mutex_t cache_lock;
	uint64_t cache_clock;
	struct fs_cached cache[FS_CACHED];
};

void fs_path(const char *name, char path_r[FS_PATH_SIZE]);
/* Makes, locks and syncs the name of a new pack file. */
int fs_file_make(struct object_fs *fs, char name_r[PACK_NAME_SIZE],
	unsigned char id_r[PACK_ID_BYTES], struct err *e);
int fs_write_at(int fd, const char *p, size_t n, uint64_t offset); /* -1 with errno */

/* object-fs-write.c */
void *fs_prewriter(void *arg);
void fs_writer_close(struct object_fs *fs);
int fs_commit(struct object_store *s, struct object_entry *list, struct err *e);
struct object_stream *fs_stream_open(struct object_store *s, struct err *e);
int fs_stream_write(struct object_stream *st, struct span data, struct err *e);
int fs_stream_commit(struct object_stream *st, struct err *e);
void fs_stream_abort(struct object_stream *st);

/* object-fs-list.c */
int fs_list(struct object_store *s, const char *from, size_t limit, struct object_info **infos_r,
	size_t *n_r, struct err *e);
int fs_info(struct object_store *s, const char *pack, struct object_info *info_r, struct err *e);
int fs_usage(struct object_store *s, struct object_usage *usage_r, struct err *e);

#endif
