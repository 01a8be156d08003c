#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "lib-common/mem.h"
#include "lib-storage/object-put.h"
#include "lib-storage/object-read.h"

#define KEK_TEXT                                                                                   \
	"0011223344556677 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n"

/* A store in a folder of its own, with what writes to it and reads from it. */
struct bench {
	char folder[32];
	int fd;
	struct object_store *store;
	struct kek_ring *ring;
	struct putter *putter;
	struct object_reader *reader;
};

static struct bench b;

static const struct object_fs_config small_packs = {.pack_size = 200000, .prewrite_size = 2 << 20};

static void bench_start(const struct object_fs_config *fs)
{
	struct putter_config config = {.threads = 3, .large_size = 300000};
	struct err e;

	b.fd = open(b.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(b.fd >= 0);
	b.store = object_fs_open(b.fd, fs, &e);
	assert_non_null(b.store);
	b.ring = kek_parse(SPAN(KEK_TEXT), &e);
	config.store = b.store;
	config.ring = b.ring;
	b.putter = putter_new(&config, &e);
	assert_non_null(b.putter);
	b.reader = object_reader_new(b.store, b.ring);
}

static void bench_stop(void)
{
	putter_stop(b.putter);
	putter_free(b.putter);
	object_reader_free(b.reader);
	b.store->driver->close(b.store);
	kek_free(b.ring);
	(void)close(b.fd);
}

static int setup(void **state)
{
	(void)state;
	strcpy(b.folder, "object-test-XXXXXX");
	assert_non_null(mkdtemp(b.folder));
	bench_start(&small_packs);
	return 0;
}

static void remove_all(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *d;

	while (dir != NULL && (d = readdir(dir)) != NULL) {
		char *below = mem_printf("%s/%s", path, d->d_name);

		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0 &&
			unlink(below) < 0)
			remove_all(below);
		mem_free(below);
	}
	if (dir != NULL)
		(void)closedir(dir);
	(void)rmdir(path);
}

static int teardown(void **state)
{
	(void)state;
	bench_stop();
	remove_all(b.folder);
	return 0;
}

/* Waits for one job. */
static struct put_job *job_wait(void)
{
	struct pollfd p = {.fd = putter_fd(b.putter), .events = POLLIN};
	static struct put_job *list;
	struct put_job *job;

	while (list == NULL) {
		assert_int_equal(poll(&p, 1, 60000), 1);
		list = putter_take(b.putter);
	}
	job = list;
	list = job->next;
	return job;
}

static struct object_want want_of(const struct put_job *job)
{
	return (struct object_want){.locator = job->locator};
}

static void assert_stored(const struct put_job *job, struct span body)
{
	struct object_want w = want_of(job);

	assert_int_equal(job->err.code, ERR_NONE);
	object_read(b.reader, &w, 1);
	assert_int_equal(w.err.code, ERR_NONE);
	assert_int_equal(w.data.len, body.n);
	if (body.n > 0)
		assert_memory_equal(w.data.data, body.p, body.n);
	buf_clear(&w.data);
}

static void body_fill(struct buf *body, size_t n)
{
	while (body->len < n)
		buf_printf(body, "%zu %lx\r\n", body->len, (unsigned long)random());
	buf_truncate(body, n);
}

static void test_many(void **state)
{
	enum { N = 600 };
	struct put_job *jobs = mem_alloc_array(N, sizeof(*jobs));
	struct object_want *wants = mem_alloc_array(N, sizeof(*wants));
	struct buf *bodies = mem_alloc_array(N, sizeof(*bodies));
	struct object_info *infos;
	size_t n, open = 0;
	struct err e;

	(void)state;
	for (size_t i = 0; i < N; i++) {
		body_fill(&bodies[i], i * 11);
		jobs[i].fd = -1;
		jobs[i].body = buf_span(&bodies[i]);
		putter_submit(b.putter, &jobs[i]);
	}
	for (size_t i = 0; i < N; i++)
		assert_int_equal(job_wait()->err.code, ERR_NONE);
	for (size_t i = 0; i < N; i++) {
		assert_int_equal(jobs[i].locator.size, bodies[i].len);
		wants[i] = want_of(&jobs[i]);
	}
	/* One that is not there, one whose key is wrong, one with ranges, none of which hurt the
	 * others. */
	wants[5].locator.offset += 1000000000;
	wants[6].locator.key[3] ^= 1;
	wants[7].from = 10;
	wants[7].count = 20;
	wants[8].locator.size++;
	object_read(b.reader, wants, N);
	for (size_t i = 0; i < N; i++) {
		if (i == 5) {
			assert_int_equal(wants[i].err.code, ERR_NOTFOUND);
		} else if (i == 6 || i == 8) {
			assert_int_equal(wants[i].err.code, ERR_PERM);
		} else if (i == 7) {
			assert_int_equal(wants[i].data.len, 20);
			assert_memory_equal(wants[i].data.data, bodies[i].data + 10, 20);
		} else {
			assert_int_equal(wants[i].err.code, ERR_NONE);
			assert_int_equal(wants[i].data.len, bodies[i].len);
			if (bodies[i].len > 0)
				assert_memory_equal(
					wants[i].data.data, bodies[i].data, bodies[i].len);
		}
		buf_clear(&wants[i].data);
	}
	/* More than one pack was filled; only those the writer has are open. */
	assert_int_equal(b.store->driver->list(b.store, "", 1000, &infos, &n, &e), 0);
	assert_true(n >= 3);
	for (size_t i = 0; i < n; i++)
		open += infos[i].state == OBJECT_OPEN;
	assert_in_range(open, 1, 2);
	for (size_t i = 1; i < n; i++)
		assert_true(strcmp(infos[i - 1].pack, infos[i].pack) < 0);
	mem_free(infos);
	for (size_t i = 0; i < N; i++)
		buf_clear(&bodies[i]);
	mem_free(bodies);
	mem_free(jobs);
	mem_free(wants);
}

static int memfd_with(const struct buf *body)
{
	int fd = memfd_create("body", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, body->data, body->len), (ssize_t)body->len);
	return fd;
}

static void test_descriptors(void **state)
{
	static const size_t sizes[] = {0, 10, 5000, 300000, 300001, 3000000};
	struct put_job job;
	struct buf body = {0};

	(void)state;
	for (size_t i = 0; i < array_count(sizes); i++) {
		body_fill(&body, sizes[i]);
		memset(&job, 0, sizeof(job));
		job.fd = memfd_with(&body);
		job.size = body.len;
		putter_submit(b.putter, &job);
		assert_ptr_equal(job_wait(), &job);
		assert_stored(&job, buf_span(&body));
		/* A descriptor that is shorter than was said. */
		job.size++;
		putter_submit(b.putter, &job);
		assert_ptr_equal(job_wait(), &job);
		assert_int_equal(job.err.code, ERR_PERM);
		(void)close(job.fd);
	}
	buf_clear(&body);
}

static void test_growing(void **state)
{
	struct put_job job = {.growing = true}, other = {.fd = -1, .body = SPAN("in between")};
	struct buf body = {0};
	struct object_want w;

	(void)state;
	body_fill(&body, 2500000);
	job.fd = memfd_create("body", MFD_CLOEXEC);
	putter_submit(b.putter, &job);
	for (size_t at = 0; at < body.len; at += 100000) {
		size_t n = body.len - at < 100000 ? body.len - at : 100000;

		assert_int_equal(pwrite(job.fd, body.data + at, n, (off_t)at), (ssize_t)n);
		putter_grown(b.putter, &job, at + n, false);
		/* A growing body holds up nobody. */
		if (at == 1000000) {
			putter_submit(b.putter, &other);
			assert_ptr_equal(job_wait(), &other);
			assert_stored(&other, other.body);
		}
	}
	putter_grown(b.putter, &job, body.len, true);
	assert_ptr_equal(job_wait(), &job);
	assert_stored(&job, buf_span(&body));
	w = want_of(&job);
	w.from = 1234567;
	w.count = 1000;
	object_read(b.reader, &w, 1);
	assert_int_equal(w.data.len, 1000);
	assert_memory_equal(w.data.data, body.data + 1234567, 1000);
	buf_clear(&w.data);
	(void)close(job.fd);
	buf_clear(&body);
}

static size_t pack_count(void)
{
	struct object_usage usage;
	struct err e;

	assert_int_equal(b.store->driver->usage(b.store, &usage, &e), 0);
	return usage.packs;
}

static void test_abandoned(void **state)
{
	struct put_job job = {.growing = true}, shrunk = {.growing = true};
	struct buf body = {0};

	(void)state;
	body_fill(&body, 500000);
	job.fd = shrunk.fd = memfd_with(&body);
	putter_submit(b.putter, &job);
	putter_grown(b.putter, &job, 400000, false);
	putter_abandon(b.putter, &job);
	putter_abandon(b.putter, &job);
	assert_ptr_equal(job_wait(), &job);
	assert_int_equal(job.err.code, ERR_TEMP);
	/* A body that becomes shorter was changed under our hands. */
	putter_submit(b.putter, &shrunk);
	putter_grown(b.putter, &shrunk, 400000, false);
	putter_grown(b.putter, &shrunk, 300000, true);
	assert_ptr_equal(job_wait(), &shrunk);
	assert_int_equal(shrunk.err.code, ERR_TEMP);
	/* Nothing is left of them: at most the shared packs are there. */
	assert_true(pack_count() <= 2);
	(void)close(job.fd);
	buf_clear(&body);
}

/* A write that fails ends its pack; what is put next goes to another. */
static void test_write_fails(void **state)
{
	struct object_fs_config config = {.pack_size = 1 << 20, .prewrite_size = 0};
	struct rlimit before, limit;
	struct put_job first = {.fd = -1, .body = SPAN("the first")}, job = {.fd = -1}, last;
	struct buf body = {0};

	(void)state;
	bench_stop();
	bench_start(&config);
	body_fill(&body, 200000);
	putter_submit(b.putter, &first);
	assert_ptr_equal(job_wait(), &first);
	assert_stored(&first, first.body);

	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = before;
	limit.rlim_cur = 60000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	job.body = buf_span(&body);
	putter_submit(b.putter, &job);
	assert_ptr_equal(job_wait(), &job);
	assert_int_equal(job.err.code, ERR_TEMP);
	for (int i = 0; i < 5; i++) {
		putter_submit(b.putter, &job);
		assert_ptr_equal(job_wait(), &job);
		assert_int_equal(job.err.code, ERR_TEMP);
	}
	/* Failures leave no files behind. */
	assert_true(pack_count() <= 2);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);

	last = first;
	putter_submit(b.putter, &last);
	assert_ptr_equal(job_wait(), &last);
	assert_stored(&last, last.body);
	assert_string_not_equal(last.locator.pack, first.locator.pack);
	assert_stored(&first, first.body);
	buf_clear(&body);
}

static void test_repack_and_remove(void **state)
{
	enum { N = 10 };
	struct put_job jobs[N] = {{.fd = -1}};
	struct object_move moves[N] = {{.offset = 0}};
	struct object_info info;
	struct buf body = {0};
	struct err e;

	(void)state;
	body_fill(&body, 1500000);
	for (size_t i = 0; i < N; i++) {
		jobs[i].fd = -1;
		jobs[i].body = span_from(body.data, i == 4 ? body.len : 1000 + i);
		putter_submit(b.putter, &jobs[i]);
		(void)job_wait();
	}
	for (size_t i = 0; i < N; i++) {
		memcpy(moves[i].pack, jobs[i].locator.pack, PACK_NAME_SIZE);
		moves[i].offset = jobs[i].locator.offset + (i == 3);
		moves[i].length = jobs[i].locator.length;
	}
	assert_int_equal(object_repack(b.store, moves, N, &e), 0);
	for (size_t i = 0; i < N; i++) {
		struct put_job moved = jobs[i];

		if (i == 3) {
			assert_int_equal(moves[i].err.code, ERR_PERM);
			continue;
		}
		assert_int_equal(moves[i].err.code, ERR_NONE);
		assert_string_not_equal(moves[i].new_pack, moves[i].pack);
		memcpy(moved.locator.pack, moves[i].new_pack, PACK_NAME_SIZE);
		moved.locator.offset = moves[i].new_offset;
		assert_stored(&moved, jobs[i].body);
		assert_stored(&jobs[i], jobs[i].body);
		assert_int_equal(object_verify(b.reader, &moved.locator, moved.sha256, &e), 0);
		assert_memory_equal(moved.sha256, jobs[i].sha256, sizeof(moved.sha256));
	}

	/* The pack being written cannot be removed; the large body's own can, and is then gone. */
	assert_int_equal(b.store->driver->remove(b.store, jobs[0].locator.pack, &e), -1);
	assert_int_equal(e.code, ERR_TEMP);
	assert_int_equal(b.store->driver->info(b.store, jobs[4].locator.pack, &info, &e), 0);
	assert_int_equal(info.state, OBJECT_CLOSED);
	assert_int_equal(info.size, jobs[4].locator.length);
	assert_int_equal(b.store->driver->remove(b.store, jobs[4].locator.pack, &e), 0);
	assert_int_equal(object_verify(b.reader, &jobs[4].locator, NULL, &e), -1);
	assert_int_equal(e.code, ERR_NOTFOUND);
	assert_int_equal(b.store->driver->remove(b.store, jobs[4].locator.pack, &e), -1);
	assert_int_equal(e.code, ERR_NOTFOUND);
	assert_int_equal(b.store->driver->remove(b.store, "../../../../../etc/passwd", &e), -1);
	buf_clear(&body);
}

static void test_identity(void **state)
{
	char id[STORE_ID_SIZE], *path;
	uint64_t epoch;
	struct err e;

	(void)state;
	memcpy(id, b.store->id, sizeof(id));
	assert_int_equal(strlen(id), STORE_ID_CHARS);
	assert_int_equal(b.store->driver->epoch(b.store, &epoch, &e), 0);
	assert_int_equal(epoch, 0);
	assert_int_equal(b.store->driver->epoch_set(b.store, 3, &e), 0);
	assert_int_equal(b.store->driver->epoch_set(b.store, 2, &e), -1);
	bench_stop();
	bench_start(&small_packs);
	assert_string_equal(b.store->id, id);
	assert_int_equal(b.store->driver->epoch(b.store, &epoch, &e), 0);
	assert_int_equal(epoch, 3);
	/* Packs whose store has lost its name are not adopted. */
	path = mem_printf("%s/id", b.folder);
	assert_int_equal(unlink(path), 0);
	assert_null(object_fs_open(b.fd, &small_packs, &e));
	assert_int_equal(e.code, ERR_PERM);
	mem_free(path);
}

/* What the killed writer has acknowledged. */
struct acknowledged {
	uint32_t number;
	struct locator locator;
};

static void writer_main(int fd)
{
	enum { N = 32 };
	struct put_job jobs[N] = {{.fd = -1}}, *job;
	struct buf body[N] = {{0}};
	uint32_t next = 0;

	for (size_t i = 0; i < N; i++) {
		jobs[i].fd = -1;
		jobs[i].ctx = &body[i];
	}
	for (size_t i = 0;; i = next < N ? next : (size_t)(job - jobs)) {
		struct buf *text = jobs[i].ctx;

		buf_empty(text);
		buf_printf(text, "%u %*s", next, (int)(next % 3000), "");
		jobs[i].body = buf_span(text);
		jobs[i].n_accounts = 0;
		jobs[i].size = next++;
		putter_submit(b.putter, &jobs[i]);
		if (next < N)
			continue;
		job = job_wait();
		if (job->err.code == ERR_NONE) {
			struct acknowledged a = {.number = (uint32_t)job->size};

			a.locator = job->locator;
			if (write(fd, &a, sizeof(a)) != sizeof(a))
				_exit(1);
		}
	}
}

static void acknowledged_check(struct buf *all)
{
	struct buf text = {0};

	for (size_t at = 0; at + sizeof(struct acknowledged) <= all->len;
		at += sizeof(struct acknowledged)) {
		struct put_job job = {.err.code = ERR_NONE};
		struct acknowledged a;

		memcpy(&a, all->data + at, sizeof(a));
		job.locator = a.locator;
		buf_empty(&text);
		buf_printf(&text, "%u %*s", a.number, (int)(a.number % 3000), "");
		assert_stored(&job, buf_span(&text));
	}
	buf_clear(&text);
}

/* kill -9 under load: what was acknowledged is there, the packs can be walked, and nobody writes
 * on. */
static void test_killed(void **state)
{
	const size_t enough = 2000 * sizeof(struct acknowledged);
	struct pack_scan_result scan;
	struct object_info *infos;
	struct buf all = {0};
	int pipe_fds[2], status;
	struct err e;
	size_t n;
	pid_t pid;

	(void)state;
	bench_stop();
	assert_int_equal(pipe(pipe_fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)close(pipe_fds[0]);
		bench_start(&small_packs);
		writer_main(pipe_fds[1]);
	}
	(void)close(pipe_fds[1]);
	for (;;) {
		ssize_t got = read(pipe_fds[0], buf_reserve(&all, 65536), 65536);

		assert_true(got >= 0);
		if (got == 0)
			break;
		buf_added(&all, (size_t)got);
		if (all.len >= enough)
			assert_int_equal(kill(pid, SIGKILL), 0);
	}
	(void)close(pipe_fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_true(all.len >= enough);

	bench_start(&small_packs);
	acknowledged_check(&all);
	assert_int_equal(b.store->driver->list(b.store, "", 1000, &infos, &n, &e), 0);
	assert_true(n >= 2);
	for (size_t i = 0; i < n; i++) {
		struct object_pack pack = {.store = b.store, .pack = infos[i].pack};
		unsigned char id[PACK_ID_BYTES];

		assert_true(pack_name_parse(span_of(infos[i].pack), id));
		assert_int_equal(pack_scan(id, infos[i].size, object_pack_read, &pack, NULL, NULL,
					 &scan, &e),
			0);
	}
	mem_free(infos);
	buf_clear(&all);
}

static void pool_verify(struct object_reader *r, struct pool_job *job)
{
	struct put_job *put = job->ctx;

	(void)object_verify(r, &put->locator, NULL, &put->err);
}

static void test_pool(void **state)
{
	struct put_job put = {.fd = -1, .body = SPAN("a body")};
	struct pool_job jobs[40] = {{0}}, *done;
	struct object_pool *pool;
	struct pollfd p;
	struct err e;
	size_t n = 0;

	(void)state;
	putter_submit(b.putter, &put);
	(void)job_wait();
	pool = object_pool_new(b.store, b.ring, 3, &e);
	assert_non_null(pool);
	p = (struct pollfd){.fd = object_pool_fd(pool), .events = POLLIN};
	for (size_t i = 0; i < array_count(jobs); i++) {
		jobs[i] = (struct pool_job){.run = pool_verify, .ctx = &put};
		object_pool_submit(pool, &jobs[i]);
	}
	while (n < array_count(jobs)) {
		assert_int_equal(poll(&p, 1, 60000), 1);
		for (done = object_pool_take(pool); done != NULL; done = done->next)
			n++;
	}
	assert_int_equal(put.err.code, ERR_NONE);
	object_pool_stop(pool);
	object_pool_free(pool);
}

#define STORE_TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_many),
		STORE_TEST(test_descriptors),
		STORE_TEST(test_growing),
		STORE_TEST(test_abandoned),
		STORE_TEST(test_write_fails),
		STORE_TEST(test_repack_and_remove),
		STORE_TEST(test_identity),
		STORE_TEST(test_killed),
		STORE_TEST(test_pool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
