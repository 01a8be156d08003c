#include "lib-storage/object-fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "lib-common/mem.h"

#define MONTH_CHARS 6

/* Names of one folder, all of one length. */
struct names {
	char (*name)[PACK_NAME_SIZE];
	size_t n, cap;
};

static void names_add(struct names *l, const char *name, size_t chars)
{
	if (l->n == l->cap) {
		l->cap = l->cap == 0 ? 64 : l->cap * 2;
		l->name = mem_realloc_array(l->name, l->cap, sizeof(*l->name));
	}
	memcpy(l->name[l->n], name, chars);
	l->name[l->n++][chars] = '\0';
}

static int name_compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

static bool month_name(const char *name)
{
	return strlen(name) == MONTH_CHARS && strspn(name, "0123456789") == MONTH_CHARS;
}

static bool pack_file_name(const char *name)
{
	return strlen(name) == FS_FILE_CHARS && strcmp(name + PACK_NAME_CHARS, ".lmp") == 0 &&
	       pack_name_parse(span_from(name, PACK_NAME_CHARS), NULL);
}

/* What else lies in the folders is not ours and stays unseen. */
static int folder_names(int at, const char *folder, bool (*wanted)(const char *), size_t chars,
	const char *from, struct names *l, struct err *e)
{
	int fd = openat(at, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *d;

	if (dir == NULL) {
		err_set(e, ERR_TEMP, "cannot open the folder %s: %m", folder);
		if (fd >= 0)
			(void)close(fd);
		return -1;
	}
	errno = 0;
	while ((d = readdir(dir)) != NULL) {
		if (wanted(d->d_name) && strncmp(d->d_name, from, chars) > 0)
			names_add(l, d->d_name, chars);
		errno = 0;
	}
	if (errno != 0)
		err_set(e, ERR_TEMP, "cannot list the folder %s: %m", folder);
	else
		e = NULL;
	(void)closedir(dir);
	if (l->n > 0)
		qsort(l->name, l->n, sizeof(*l->name), name_compare);
	return e == NULL ? 0 : -1;
}

int fs_info(struct object_store *s, const char *pack, struct object_info *info_r, struct err *e)
{
	struct object_fs *fs = (struct object_fs *)s;
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
	char path[FS_PATH_SIZE];
	struct stat st;
	int fd;

	if (!pack_name_parse(span_of(pack), NULL))
		return err_set(e, ERR_NOTFOUND, "not a pack's name");
	fs_path(pack, path);
	fd = openat(fs->packs, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return err_set(e, errno == ENOENT ? ERR_NOTFOUND : ERR_TEMP,
			"cannot open packs/%s: %m", path);
	if (fstat(fd, &st) < 0 || fcntl(fd, F_OFD_GETLK, &lock) < 0) {
		err_set(e, ERR_TEMP, "cannot look at packs/%s: %m", path);
		(void)close(fd);
		return -1;
	}
	(void)close(fd);
	memcpy(info_r->pack, pack, PACK_NAME_SIZE);
	info_r->size = (uint64_t)st.st_size;
	info_r->mtime = (int64_t)st.st_mtime;
	info_r->state = lock.l_type == F_UNLCK ? OBJECT_CLOSED : OBJECT_OPEN;
	return 0;
}

static int month_list(struct object_store *s, const char *month, const char *from, size_t limit,
	struct object_info **infos, size_t *n, struct err *e)
{
	struct object_fs *fs = (struct object_fs *)s;
	struct names l = {0};
	int r = folder_names(fs->packs, month, pack_file_name, PACK_NAME_CHARS, from, &l, e);

	if (r == 0 && l.n > 0)
		*infos = mem_realloc_array(*infos, *n + l.n, sizeof(**infos));
	for (size_t i = 0; r == 0 && i < l.n && *n < limit; i++) {
		r = fs_info(s, l.name[i], &(*infos)[*n], e);
		if (r == 0)
			(*n)++;
		else if (e->code == ERR_NOTFOUND)
			r = 0; /* removed meanwhile */
	}
	mem_free(l.name);
	return r;
}

int fs_list(struct object_store *s, const char *from, size_t limit, struct object_info **infos_r,
	size_t *n_r, struct err *e)
{
	struct object_fs *fs = (struct object_fs *)s;
	struct names months = {0};
	int r = folder_names(fs->packs, ".", month_name, MONTH_CHARS, "", &months, e);

	*infos_r = NULL;
	*n_r = 0;
	for (size_t i = 0; r == 0 && i < months.n && *n_r < limit; i++) {
		if (strncmp(months.name[i], from, MONTH_CHARS) >= 0)
			r = month_list(s, months.name[i], from, limit, infos_r, n_r, e);
	}
	mem_free(months.name);
	if (r < 0) {
		mem_free(*infos_r);
		*infos_r = NULL;
	}
	return r;
}

int fs_usage(struct object_store *s, struct object_usage *usage_r, struct err *e)
{
	struct object_fs *fs = (struct object_fs *)s;
	struct object_info *infos;
	struct statvfs vfs;
	size_t n;

	memset(usage_r, 0, sizeof(*usage_r));
	if (fs_list(s, "", SIZE_MAX, &infos, &n, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		usage_r->bytes += infos[i].size;
	usage_r->packs = n;
	mem_free(infos);
	if (fstatvfs(fs->root, &vfs) < 0)
		return err_set(e, ERR_TEMP, "cannot look at the file system: %m");
	usage_r->free_bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	return 0;
}
