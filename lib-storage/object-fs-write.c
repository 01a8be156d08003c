#include "lib-storage/object-fs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include "lib-common/mem.h"

#define ZERO_STEP (1u << 20)
#define IOV_COUNT 512

struct fs_stream {
	struct object_stream stream;
	int fd;
};

/* ---- the shared pack ---- */

static struct fs_pack *pack_new(struct object_fs *fs, struct err *e)
{
	struct fs_pack *p = mem_alloc(sizeof(*p));
	char path[FS_PATH_SIZE];

	p->refs = 1;
	p->zero_fd = -1;
	p->fd = fs_file_make(fs, p->name, p->id, e);
	if (p->fd < 0) {
		mem_free(p);
		return NULL;
	}
	if (fs->config.prewrite_size > 0) {
		fs_path(p->name, path);
		p->zero_fd = openat(fs->packs, path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	}
	p->no_zeros = p->zero_fd < 0;
	return p;
}

/* Under the lock. Closing releases the lock on the file; a file nothing was written to goes away.
 */
static void pack_unref(struct object_fs *fs, struct fs_pack *p)
{
	char path[FS_PATH_SIZE];

	if (p == NULL || --p->refs > 0)
		return;
	if (!p->acknowledged) {
		fs_path(p->name, path);
		(void)unlinkat(fs->packs, path, 0);
	}
	if (p->zero_fd >= 0)
		(void)close(p->zero_fd);
	(void)close(p->fd);
	mem_free(p);
}

void fs_writer_close(struct object_fs *fs)
{
	pack_unref(fs, fs->current);
	pack_unref(fs, fs->next);
	fs->current = fs->next = NULL;
}

/* ---- zeros ahead ---- */

/* Begun at half the window, so that an idle store writes no zeros and a busy one few large runs. */
static bool zeros_wanted(struct object_fs *fs, const struct fs_pack *p, bool running)
{
	uint64_t ahead = p->zeroed > p->written ? p->zeroed - p->written : 0;

	return !p->no_zeros && p->zeroed < fs->config.pack_size &&
	       ahead < (running ? fs->config.prewrite_size : fs->config.prewrite_size / 2);
}

/* One step of zeros, under the lock, which is given up meanwhile. */
static void zeros_write(struct object_fs *fs, struct fs_pack *p)
{
	static const char zeros[ZERO_STEP];
	uint64_t from = p->zeroed > p->written ? p->zeroed : p->written;
	int r;

	p->refs++;
	p->zeroing = true;
	p->zeroing_from = from;
	(void)pthread_mutex_unlock(&fs->lock);
	r = fs_write_at(p->zero_fd, zeros, sizeof(zeros), from);

	(void)pthread_mutex_lock(&fs->lock);
	p->zeroing = false;
	p->zeroed = from + sizeof(zeros);
	(void)pthread_cond_broadcast(&fs->changed);
	(void)pthread_mutex_unlock(&fs->lock);
	/* The writer may use them at once; without the sync its own one has the more to do. */
	if (r == 0)
		r = fdatasync(p->zero_fd);

	(void)pthread_mutex_lock(&fs->lock);
	if (r < 0)
		p->no_zeros = true; /* the writer will meet the reason by itself */
	pack_unref(fs, p);
}

static bool next_wanted(const struct object_fs *fs)
{
	return fs->next == NULL && !fs->next_failed &&
	       (fs->current == NULL || fs->current->written > fs->config.pack_size / 2);
}

static void next_make(struct object_fs *fs)
{
	struct fs_pack *p;
	struct err e;

	(void)pthread_mutex_unlock(&fs->lock);
	p = pack_new(fs, &e);
	(void)pthread_mutex_lock(&fs->lock);
	if (p == NULL)
		fs->next_failed = true; /* the writer tries for itself and tells why */
	fs->next = p;
}

void *fs_prewriter(void *arg)
{
	struct object_fs *fs = arg;
	bool running = false;

	(void)pthread_mutex_lock(&fs->lock);
	while (!fs->stopping) {
		if (fs->current != NULL && zeros_wanted(fs, fs->current, running)) {
			running = true;
			zeros_write(fs, fs->current);
		} else if (next_wanted(fs)) {
			next_make(fs);
		} else if (fs->next != NULL && zeros_wanted(fs, fs->next, running)) {
			running = true;
			zeros_write(fs, fs->next);
		} else {
			running = false;
			(void)pthread_cond_wait(&fs->changed, &fs->lock);
		}
	}
	(void)pthread_mutex_unlock(&fs->lock);
	return NULL;
}

/* ---- commit ---- */

/* The pack to write to, with a reference more. Under the lock. */
static struct fs_pack *writer_pack(struct object_fs *fs, struct err *e)
{
	struct fs_pack *p;

	if (fs->current != NULL && fs->current->written >= fs->config.pack_size) {
		pack_unref(fs, fs->current);
		fs->current = NULL;
	}
	if (fs->current == NULL) {
		fs->current = fs->next;
		fs->next = NULL;
		fs->next_failed = false;
	}
	if (fs->current == NULL) {
		(void)pthread_mutex_unlock(&fs->lock);
		p = pack_new(fs, e);
		(void)pthread_mutex_lock(&fs->lock);
		if (p == NULL)
			return NULL;
		if (fs->current == NULL)
			fs->current = p;
		else
			pack_unref(fs, p);
	}
	fs->current->refs++;
	return fs->current;
}

/* Takes `total` octets of the pack; waits while zeros are being written there. Under the lock. */
static uint64_t writer_take(struct object_fs *fs, struct fs_pack *p, uint64_t total)
{
	uint64_t offset;

	while (p->zeroing && p->written + total > p->zeroing_from)
		(void)pthread_cond_wait(&fs->changed, &fs->lock);
	offset = p->written;
	p->written += total;
	if (zeros_wanted(fs, p, false) || next_wanted(fs))
		(void)pthread_cond_broadcast(&fs->changed);
	return offset;
}

static int iov_write(int fd, struct iovec *iov, int n, uint64_t *offset)
{
	while (n > 0) {
		ssize_t done = pwritev(fd, iov, n, (off_t)*offset);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0) {
			errno = done == 0 ? ENOSPC : errno;
			return -1;
		}
		*offset += (uint64_t)done;
		while (n > 0 && (size_t)done >= iov->iov_len) {
			done -= (ssize_t)iov->iov_len;
			iov++;
			n--;
		}
		if (n > 0) {
			iov->iov_base = (char *)iov->iov_base + done;
			iov->iov_len -= (size_t)done;
		}
	}
	return 0;
}

static int entries_write(struct fs_pack *p, struct object_entry *list, uint64_t offset)
{
	struct iovec iov[IOV_COUNT];
	uint64_t at = offset;
	int n = 0;

	for (struct object_entry *en = list; en != NULL; en = en->next) {
		memcpy(en->pack, p->name, PACK_NAME_SIZE);
		en->offset = offset;
		pack_stamp(en->data.data, p->id, offset, en->data.len);
		offset += en->data.len;
		iov[n++] = (struct iovec){.iov_base = en->data.data, .iov_len = en->data.len};
		if (n == IOV_COUNT || en->next == NULL) {
			if (iov_write(p->fd, iov, n, &at) < 0)
				return -1;
			n = 0;
		}
	}
	return 0;
}

int fs_commit(struct object_store *s, struct object_entry *list, struct err *e)
{
	struct object_fs *fs = (struct object_fs *)s;
	struct fs_pack *p;
	uint64_t total = 0, offset = 0;
	int r = 0;

	for (struct object_entry *en = list; en != NULL; en = en->next)
		total += en->data.len;
	(void)pthread_mutex_lock(&fs->lock);
	p = writer_pack(fs, e);
	if (p != NULL)
		offset = writer_take(fs, p, total);
	(void)pthread_mutex_unlock(&fs->lock);
	if (p == NULL)
		return -1;

	if (entries_write(p, list, offset) < 0 || fdatasync(p->fd) < 0)
		r = err_set(e, ERR_TEMP, "cannot write %s: %m", p->name);

	(void)pthread_mutex_lock(&fs->lock);
	/* After a failure the kernel may have dropped pages and forgotten it: a second sync would
	 * lie. */
	if (r == 0)
		p->acknowledged = true;
	else if (fs->current == p) {
		fs->current = NULL;
		pack_unref(fs, p);
	}
	pack_unref(fs, p);
	(void)pthread_mutex_unlock(&fs->lock);
	return r;
}

/* ---- packs of their own ---- */

struct object_stream *fs_stream_open(struct object_store *s, struct err *e)
{
	struct fs_stream *st = mem_alloc(sizeof(*st));

	st->stream.store = s;
	st->fd = fs_file_make((struct object_fs *)s, st->stream.pack, st->stream.pack_id, e);
	if (st->fd >= 0)
		return &st->stream;
	mem_free(st);
	return NULL;
}

int fs_stream_write(struct object_stream *stream, struct span data, struct err *e)
{
	struct fs_stream *st = (struct fs_stream *)stream;

	if (fs_write_at(st->fd, data.p, data.n, stream->offset) < 0)
		return err_set(e, ERR_TEMP, "cannot write %s: %m", stream->pack);
	stream->offset += data.n;
	return 0;
}

int fs_stream_commit(struct object_stream *stream, struct err *e)
{
	struct fs_stream *st = (struct fs_stream *)stream;
	int r = 0;

	if (fdatasync(st->fd) < 0)
		r = err_set(e, ERR_TEMP, "cannot sync %s: %m", stream->pack);
	(void)close(st->fd);
	mem_free(st);
	return r;
}

void fs_stream_abort(struct object_stream *stream)
{
	struct fs_stream *st = (struct fs_stream *)stream;
	struct object_fs *fs;
	char path[FS_PATH_SIZE];

	if (stream == NULL)
		return;
	/* Nobody was told of it. */
	fs = (struct object_fs *)stream->store;
	fs_path(stream->pack, path);
	(void)unlinkat(fs->packs, path, 0);
	(void)close(st->fd);
	mem_free(st);
}
