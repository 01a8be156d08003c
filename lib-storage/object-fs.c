#include "lib-storage/object-fs.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "lib-common/mem.h"
#include "lib-storage/pack-internal.h"

int object_pack_read(void *ctx, uint64_t offset, size_t n, struct buf *out, struct err *e)
{
	const struct object_pack *p = ctx;

	return p->store->driver->read(p->store, p->pack, offset, n, out, e);
}

void fs_path(const char *name, char path_r[FS_PATH_SIZE])
{
	(void)snprintf(path_r, FS_PATH_SIZE, "%.6s/%.47s.lmp", name, name);
}

int fs_write_at(int fd, const char *p, size_t n, uint64_t offset)
{
	while (n > 0) {
		ssize_t done = pwrite(fd, p, n, (off_t)offset);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0) {
			errno = done == 0 ? ENOSPC : errno;
			return -1;
		}
		p += done;
		n -= (size_t)done;
		offset += (uint64_t)done;
	}
	return 0;
}

/* ---- making pack files ---- */

static int month_open(struct object_fs *fs, const char *name, struct err *e)
{
	char month[7];
	int fd;

	(void)snprintf(month, sizeof(month), "%.6s", name);
	fd = openat(fs->packs, month, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) {
		if (mkdirat(fs->packs, month, 0700) < 0 && errno != EEXIST)
			return err_set(e, ERR_TEMP, "cannot make packs/%s: %m", month);
		if (fsync(fs->packs) < 0)
			return err_set(e, ERR_TEMP, "cannot sync packs: %m");
		fd = openat(fs->packs, month, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (fd < 0)
		return err_set(e, ERR_TEMP, "cannot open packs/%s: %m", month);
	return fd;
}

int fs_file_make(struct object_fs *fs, char name_r[PACK_NAME_SIZE],
	unsigned char id_r[PACK_ID_BYTES], struct err *e)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char path[FS_PATH_SIZE];
	int month, fd;

	pack_must(RAND_bytes(id_r, PACK_ID_BYTES) == 1);
	pack_name_make((int64_t)time(NULL), id_r, name_r);
	fs_path(name_r, path);
	month = month_open(fs, name_r, e);
	if (month < 0)
		return -1;
	fd = openat(month, path + 7, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0) {
		err_set(e, ERR_TEMP, "cannot make packs/%s: %m", path);
	} else if (fcntl(fd, F_OFD_SETLK, &lock) < 0 || fsync(month) < 0) {
		err_set(e, ERR_TEMP, "cannot lock or sync packs/%s: %m", path);
		(void)unlinkat(month, path + 7, 0);
		(void)close(fd);
		fd = -1;
	}
	(void)close(month);
	return fd;
}

/* ---- small objects at the root ---- */

static int root_read(struct object_fs *fs, const char *name, char *text, size_t size, struct err *e)
{
	int fd = openat(fs->root, name, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return err_set(
			e, errno == ENOENT ? ERR_NOTFOUND : ERR_TEMP, "cannot open %s: %m", name);
	n = pread(fd, text, size - 1, 0);
	(void)close(fd);
	if (n < 0)
		return err_set(e, ERR_TEMP, "cannot read %s: %m", name);
	text[n] = '\0';
	return (int)n;
}

/* Written aside, synced, then given its name: by link when it must be new, else by rename. */
static int root_write(
	struct object_fs *fs, const char *name, const char *text, bool must_be_new, struct err *e)
{
	unsigned char random[8];
	char aside[64];
	int fd, r = -1;

	pack_must(RAND_bytes(random, sizeof(random)) == 1);
	(void)snprintf(aside, sizeof(aside), "%s.%02x%02x%02x%02x%02x%02x", name, random[0],
		random[1], random[2], random[3], random[4], random[5]);
	fd = openat(fs->root, aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_set(e, ERR_TEMP, "cannot make %s: %m", aside);
	if (fs_write_at(fd, text, strlen(text), 0) == 0 && fsync(fd) == 0)
		r = must_be_new ? linkat(fs->root, aside, fs->root, name, 0)
				: renameat(fs->root, aside, fs->root, name);
	if (r < 0)
		err_set(e, errno == EEXIST ? ERR_EXISTS : ERR_TEMP, "cannot write %s: %m", name);
	(void)close(fd);
	(void)unlinkat(fs->root, aside, 0);
	if (r == 0 && fsync(fs->root) < 0)
		r = err_set(e, ERR_TEMP, "cannot sync the store's folder: %m");
	return r;
}

static int store_id_make(struct object_fs *fs, struct err *e)
{
	unsigned char id[STORE_ID_CHARS / 2];
	struct buf text;
	int r;

	/* A store whose id is lost must not get another one: SQL knows it by the old. */
	if (faccessat(fs->root, "packs", F_OK, 0) == 0)
		return err_set(
			e, ERR_PERM, "the store has packs but no id: its file id is missing");
	pack_must(RAND_bytes(id, sizeof(id)) == 1);
	buf_init(&text);
	buf_add_hex(&text, id, sizeof(id));
	buf_add_c(&text, '\n');
	r = root_write(fs, "id", buf_str(&text), true, e);
	buf_clear(&text);
	/* Another process that starts at the same time may have made it. */
	return r < 0 && e->code != ERR_EXISTS ? -1 : 0;
}

static int store_id_load(struct object_fs *fs, struct err *e)
{
	unsigned char id[STORE_ID_CHARS / 2];
	char text[64];
	int n = root_read(fs, "id", text, sizeof(text), e);

	if (n < 0 && e->code == ERR_NOTFOUND) {
		if (store_id_make(fs, e) < 0)
			return -1;
		n = root_read(fs, "id", text, sizeof(text), e);
	}
	if (n < 0)
		return -1;
	if (n != STORE_ID_CHARS + 1 || text[STORE_ID_CHARS] != '\n' ||
		!hex_decode(span_from(text, STORE_ID_CHARS), id, sizeof(id)))
		return err_set(e, ERR_PERM, "the store's file id does not hold an id");
	memcpy(fs->store.id, text, STORE_ID_CHARS);
	return 0;
}

static int fs_epoch(struct object_store *s, uint64_t *epoch_r, struct err *e)
{
	struct object_fs *fs = (struct object_fs *)s;
	char text[64];
	int n = root_read(fs, "epoch", text, sizeof(text), e);

	*epoch_r = 0;
	if (n < 0)
		return e->code == ERR_NOTFOUND ? 0 : -1;
	if (n < 2 || text[n - 1] != '\n' || !num_u64(span_from(text, (size_t)n - 1), epoch_r))
		return err_set(e, ERR_PERM, "the store's file epoch does not hold a number");
	return 0;
}

static int fs_epoch_set(struct object_store *s, uint64_t epoch, struct err *e)
{
	uint64_t known;
	char text[32];

	if (fs_epoch(s, &known, e) < 0)
		return -1;
	if (epoch < known)
		return err_set(e, ERR_EXISTS, "the store's epoch is %llu already",
			(unsigned long long)known);
	if (epoch == known)
		return 0;
	(void)snprintf(text, sizeof(text), "%llu\n", (unsigned long long)epoch);
	return root_write((struct object_fs *)s, "epoch", text, false, e);
}

/* ---- reading ---- */

static void cache_drop(struct fs_cached *c)
{
	(void)close(c->fd);
	c->fd = -1;
	c->stale = false;
}

/* A cached descriptor with one user more; NULL with *e. Opened outside the lock: a slow disk must
 * not hold up readers of other packs. */
static struct fs_cached *cache_find(struct object_fs *fs, const char *name)
{
	for (size_t i = 0; i < FS_CACHED; i++) {
		struct fs_cached *c = &fs->cache[i];

		if (c->fd >= 0 && !c->stale && memcmp(c->name, name, PACK_NAME_CHARS) == 0)
			return c;
	}
	return NULL;
}

static struct fs_cached *cache_slot(struct object_fs *fs)
{
	struct fs_cached *oldest = NULL;

	for (size_t i = 0; i < FS_CACHED; i++) {
		struct fs_cached *c = &fs->cache[i];

		if (c->fd < 0)
			return c;
		if (c->users == 0 && (oldest == NULL || c->used_at < oldest->used_at))
			oldest = c;
	}
	if (oldest != NULL)
		cache_drop(oldest);
	return oldest;
}

static int cache_open(struct object_fs *fs, const char *name, struct fs_cached **c_r, struct err *e)
{
	char path[FS_PATH_SIZE];
	struct fs_cached *c;
	int fd;

	(void)pthread_mutex_lock(&fs->cache_lock);
	c = cache_find(fs, name);
	if (c != NULL) {
		c->users++;
		c->used_at = ++fs->cache_clock;
	}
	(void)pthread_mutex_unlock(&fs->cache_lock);
	*c_r = c;
	if (c != NULL)
		return c->fd;

	fs_path(name, path);
	fd = openat(fs->packs, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return err_set(e, errno == ENOENT ? ERR_NOTFOUND : ERR_TEMP,
			"cannot open packs/%s: %m", path);
	(void)pthread_mutex_lock(&fs->cache_lock);
	c = cache_slot(fs);
	if (c != NULL) {
		memcpy(c->name, name, PACK_NAME_CHARS);
		c->fd = fd;
		c->users = 1;
		c->used_at = ++fs->cache_clock;
	}
	(void)pthread_mutex_unlock(&fs->cache_lock);
	*c_r = c; /* NULL: all slots are in use, this descriptor is for one read */
	return fd;
}

static void cache_done(struct object_fs *fs, struct fs_cached *c, int fd)
{
	if (c == NULL) {
		(void)close(fd);
		return;
	}
	(void)pthread_mutex_lock(&fs->cache_lock);
	if (--c->users == 0 && c->stale)
		cache_drop(c);
	(void)pthread_mutex_unlock(&fs->cache_lock);
}

static void cache_forget(struct object_fs *fs, const char *name)
{
	struct fs_cached *c;

	(void)pthread_mutex_lock(&fs->cache_lock);
	while ((c = cache_find(fs, name)) != NULL) {
		c->stale = true;
		if (c->users == 0)
			cache_drop(c);
	}
	(void)pthread_mutex_unlock(&fs->cache_lock);
}

static int fs_read(struct object_store *s, const char *pack, uint64_t offset, size_t n,
	struct buf *out, struct err *e)
{
	struct object_fs *fs = (struct object_fs *)s;
	size_t before = out->len, done = 0;
	struct fs_cached *c;
	char *to;
	int fd, r = 0;

	if (!pack_name_parse(span_of(pack), NULL))
		return err_set(e, ERR_NOTFOUND, "not a pack's name");
	if (offset > INT64_MAX - n)
		return err_set(e, ERR_NOTFOUND, "%s ends before", pack);
	fd = cache_open(fs, pack, &c, e);
	if (fd < 0)
		return -1;
	to = buf_reserve(out, n);
	if (to == NULL)
		r = err_set(e, ERR_LIMIT, "the read is longer than its buffer may be");
	while (r == 0 && done < n) {
		ssize_t got = pread(fd, to + done, n - done, (off_t)(offset + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			r = err_set(e, ERR_TEMP, "cannot read %s: %m", pack);
		else if (got == 0)
			r = err_set(e, ERR_NOTFOUND, "%s ends before", pack);
		else
			done += (size_t)got;
	}
	cache_done(fs, c, fd);
	if (r == 0)
		buf_added(out, n);
	else
		buf_truncate(out, before);
	return r;
}

static int fs_remove(struct object_store *s, const char *pack, struct err *e)
{
	struct object_fs *fs = (struct object_fs *)s;
	struct object_info info;
	char path[FS_PATH_SIZE];
	int month;

	if (fs_info(s, pack, &info, e) < 0)
		return -1;
	if (info.state == OBJECT_OPEN)
		return err_set(e, ERR_TEMP, "%s is still being written", pack);
	fs_path(pack, path);
	month = month_open(fs, pack, e);
	if (month < 0)
		return -1;
	if (unlinkat(month, path + 7, 0) < 0)
		err_set(e, errno == ENOENT ? ERR_NOTFOUND : ERR_TEMP, "cannot remove %s: %m", pack);
	else if (fsync(month) < 0)
		err_set(e, ERR_TEMP, "cannot sync packs/%.6s: %m", pack);
	else
		e = NULL;
	(void)close(month);
	cache_forget(fs, pack);
	return e == NULL ? 0 : -1;
}

/* ---- opening and closing ---- */

static void fs_close(struct object_store *s)
{
	struct object_fs *fs = (struct object_fs *)s;

	if (fs->started) {
		(void)pthread_mutex_lock(&fs->lock);
		fs->stopping = true;
		(void)pthread_cond_broadcast(&fs->changed);
		(void)pthread_mutex_unlock(&fs->lock);
		(void)pthread_join(fs->prewriter, NULL);
	}
	fs_writer_close(fs);
	for (size_t i = 0; i < FS_CACHED; i++) {
		if (fs->cache[i].fd >= 0)
			cache_drop(&fs->cache[i]);
	}
	if (fs->packs >= 0)
		(void)close(fs->packs);
	if (fs->root >= 0)
		(void)close(fs->root);
	(void)pthread_mutex_destroy(&fs->lock);
	(void)pthread_mutex_destroy(&fs->cache_lock);
	(void)pthread_cond_destroy(&fs->changed);
	mem_free(fs);
}

static const struct object_driver fs_driver = {
	.name = "fs",
	.commit_slots = 1,
	.commit = fs_commit,
	.stream_open = fs_stream_open,
	.stream_write = fs_stream_write,
	.stream_commit = fs_stream_commit,
	.stream_abort = fs_stream_abort,
	.read = fs_read,
	.list = fs_list,
	.info = fs_info,
	.remove = fs_remove,
	.usage = fs_usage,
	.epoch = fs_epoch,
	.epoch_set = fs_epoch_set,
	.close = fs_close,
};

static int fs_folders(struct object_fs *fs, struct err *e)
{
	if (store_id_load(fs, e) < 0)
		return -1;
	if (mkdirat(fs->root, "packs", 0700) == 0) {
		if (fsync(fs->root) < 0)
			return err_set(e, ERR_TEMP, "cannot sync the store's folder: %m");
	} else if (errno != EEXIST) {
		return err_set(e, ERR_TEMP, "cannot make packs: %m");
	}
	fs->packs = openat(fs->root, "packs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fs->packs < 0)
		return err_set(e, ERR_TEMP, "cannot open packs: %m");
	return 0;
}

struct object_store *object_fs_open(int fd, const struct object_fs_config *config, struct err *e)
{
	struct object_fs *fs = mem_alloc(sizeof(*fs));

	fs->store.driver = &fs_driver;
	fs->config = *config;
	fs->packs = -1;
	(void)pthread_mutex_init(&fs->lock, NULL);
	(void)pthread_mutex_init(&fs->cache_lock, NULL);
	(void)pthread_cond_init(&fs->changed, NULL);
	for (size_t i = 0; i < FS_CACHED; i++)
		fs->cache[i].fd = -1;
	fs->root = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (fs->root < 0)
		err_set(e, ERR_TEMP, "cannot keep the store's folder: %m");
	else if (fs_folders(fs, e) == 0) {
		errno = pthread_create(&fs->prewriter, NULL, fs_prewriter, fs);
		fs->started = errno == 0;
		if (fs->started)
			return &fs->store;
		err_set(e, ERR_TEMP, "cannot start a thread: %m");
	}
	fs_close(&fs->store);
	return NULL;
}
