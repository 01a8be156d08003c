#include "lib-storage/mailbox-state.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define BASE_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static int write_all(int fd, const void *data, size_t n)
{
	const char *p = data;

	while (n > 0) {
		ssize_t done = write(fd, p, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return -1;
		p += done;
		n -= (size_t)done;
	}
	return 0;
}

int mailbox_base_make(const struct mailbox_record *records, size_t count, uint64_t generation,
	uint64_t modseq, struct err *e)
{
	struct mailbox_base_header header = {
		.magic = MAILBOX_BASE_MAGIC,
		.record_size = sizeof(struct mailbox_record),
		.count = count,
		.generation = generation,
		.modseq = modseq,
	};
	int fd = memfd_create("mailbox-base", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return err_set(e, ERR_TEMP, "memfd_create: %s", strerror(errno));
	if (write_all(fd, &header, sizeof(header)) < 0 ||
		write_all(fd, records, count * sizeof(*records)) < 0 ||
		fcntl(fd, F_ADD_SEALS, BASE_SEALS | F_SEAL_SEAL) < 0) {
		err_set(e, ERR_TEMP, "mailbox base of %zu records: %s", count, strerror(errno));
		close(fd);
		return -1;
	}
	return fd;
}

/* Binary searches rely on ascending UIDs, so that much is proved before anybody uses the records.
 */
static bool base_is_sorted(const struct mailbox_record *records, size_t count)
{
	uint32_t last = 0;

	for (size_t i = 0; i < count; i++) {
		if (records[i].uid <= last)
			return false;
		last = records[i].uid;
	}
	return true;
}

int mailbox_base_open(int fd, struct mailbox_base *base_r, struct err *e)
{
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);
	const struct mailbox_base_header *h;
	void *map;

	memset(base_r, 0, sizeof(*base_r));
	/* without these seals the sender could still change or cut what is mapped here */
	if (seals < 0 || (seals & (F_SEAL_SHRINK | F_SEAL_WRITE)) != (F_SEAL_SHRINK | F_SEAL_WRITE))
		return err_set(e, ERR_PROTO, "mailbox base is not sealed");
	if (fstat(fd, &st) < 0 || st.st_size < (off_t)sizeof(*h))
		return err_set(e, ERR_PROTO, "mailbox base is too short");
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return err_set(e, ERR_TEMP, "mailbox base: mmap: %s", strerror(errno));
	h = map;
	base_r->header = h;
	base_r->map_size = (size_t)st.st_size;
	base_r->records = (const struct mailbox_record *)(h + 1);
	base_r->count = (base_r->map_size - sizeof(*h)) / sizeof(struct mailbox_record);
	if (h->magic != MAILBOX_BASE_MAGIC || h->record_size != sizeof(struct mailbox_record) ||
		h->count != base_r->count ||
		base_r->map_size != sizeof(*h) + base_r->count * sizeof(struct mailbox_record) ||
		!base_is_sorted(base_r->records, base_r->count)) {
		mailbox_base_close(base_r);
		return err_set(e, ERR_PROTO, "mailbox base is malformed");
	}
	return 0;
}

void mailbox_base_close(struct mailbox_base *base)
{
	if (base->header != NULL)
		munmap((void *)(uintptr_t)base->header, base->map_size);
	memset(base, 0, sizeof(*base));
}

size_t mailbox_records_find(const struct mailbox_record *records, size_t count, uint32_t uid)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (records[mid].uid < uid)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void log_head(struct buf *log, enum message_change kind, uint32_t uid, uint64_t modseq)
{
	buf_add_u8(log, (uint8_t)kind);
	buf_add_u32(log, uid);
	buf_add_u64(log, modseq);
}

void mailbox_log_new(struct buf *log, const struct mailbox_record *r)
{
	log_head(log, MESSAGE_NEW, r->uid, r->modseq);
	buf_add_u16(log, (uint16_t)r->tz_minutes);
	buf_add_u64(log, r->flags);
	buf_add_u64(log, r->size);
	buf_add_u64(log, (uint64_t)r->internaldate);
	buf_add_u64(log, r->body);
	buf_add_u64(log, (uint64_t)r->savedate);
}

void mailbox_log_flags(struct buf *log, uint32_t uid, uint64_t modseq, uint64_t flags)
{
	log_head(log, MESSAGE_FLAGS, uid, modseq);
	buf_add_u64(log, flags);
}

void mailbox_log_expunged(struct buf *log, uint32_t uid, uint64_t modseq)
{
	log_head(log, MESSAGE_EXPUNGED, uid, modseq);
}

static bool log_get_new(struct span *log, struct mailbox_record *r)
{
	uint16_t tz;
	uint64_t internaldate, savedate;

	if (!span_get_u16(log, &tz) || !span_get_u64(log, &r->flags) ||
		!span_get_u64(log, &r->size) || !span_get_u64(log, &internaldate) ||
		!span_get_u64(log, &r->body) || !span_get_u64(log, &savedate))
		return false;
	r->tz_minutes = (int16_t)tz;
	r->internaldate = (int64_t)internaldate;
	r->savedate = (int64_t)savedate;
	return true;
}

int mailbox_log_next(struct span *log, struct mailbox_change *change_r)
{
	struct span rest = *log;
	struct mailbox_record *r = &change_r->record;
	uint8_t kind;
	bool ok;

	if (rest.n == 0)
		return 0;
	memset(change_r, 0, sizeof(*change_r));
	if (!span_get_u8(&rest, &kind) || !span_get_u32(&rest, &r->uid) ||
		!span_get_u64(&rest, &r->modseq) || r->uid == 0)
		return -1;
	change_r->kind = (enum message_change)kind;
	switch (kind) {
	case MESSAGE_NEW:
		ok = log_get_new(&rest, r);
		break;
	case MESSAGE_FLAGS:
		ok = span_get_u64(&rest, &r->flags);
		break;
	case MESSAGE_EXPUNGED:
		ok = true;
		break;
	default:
		ok = false;
	}
	if (!ok)
		return -1;
	*log = rest;
	return 1;
}
