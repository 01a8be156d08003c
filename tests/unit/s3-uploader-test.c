#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "lib-common/mem.h"
#include "services/s3-uploader/s3-uploader.h"

#define KEK_TEXT                                                                                   \
	"0011223344556677 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n"
#define WAIT_MS 60000

static struct uploader u;
static struct s3_uploader_settings settings;
static struct event_base *base;
static char folder[32];

/* In place of the skeleton's: there is one service here, this one. */
void *service_data(struct service *svc)
{
	return svc;
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

static int setup(void **state)
{
	struct err e;

	(void)state;
	strcpy(folder, "s3-uploader-test-XXXXXX");
	assert_non_null(mkdtemp(folder));
	settings = (struct s3_uploader_settings){
		.pack_size = 1 << 20,
		.prewrite_size = 1 << 20,
		.large_size = 100000,
		.large_limit = 2,
		.growing_timeout_ms = 60000,
		.threads = 2,
		.read_threads = 2,
	};
	memset(&u, 0, sizeof(u));
	u.settings = &settings;
	memset(u.receipt_key, 9, sizeof(u.receipt_key));
	u.ring = kek_parse(SPAN(KEK_TEXT), &e);
	u.folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	base = event_base_new();
	assert_int_equal(uploader_start(&u, base, &e), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	/* The clients are gone: the servers' ends hear of it at once. */
	for (int i = 0; i < 3; i++)
		(void)event_base_loop(base, EVLOOP_NONBLOCK);
	uploader_stop(&u);
	kek_free(u.ring);
	(void)close(u.folder);
	event_base_free(base);
	remove_all(folder);
	return 0;
}

static struct client *client_of(const struct role_def *role)
{
	struct client_def def = {.role = role->name};
	int fds[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	assert_non_null(channel_accept(base, fds[0], role, NULL, "test", &u));
	return client_new_fd(base, &def, fds[1]);
}

/* The receipt of an answer, checked as indexer does it. */
static struct receipt receipt_of(struct result *r)
{
	struct receipt receipt;
	struct err e;

	assert_int_equal(r->code, ERR_NONE);
	assert_int_equal(receipt_verify(result_span(r, "receipt"), u.receipt_key, clock_wall_s(),
				 3600, &receipt, &e),
		0);
	assert_int_equal(result_uint(r, "size"), receipt.locator.size);
	return receipt;
}

static struct result *put_body(struct client *c, struct span body)
{
	struct call *call = call_new(c, "PUT");

	call_uint(call, "size", body.n);
	call_body_span(call, body);
	return call_wait(call, WAIT_MS);
}

static void want_line(struct buf *lines, const struct locator *l, uint64_t from, uint64_t count)
{
	locator_text(l, lines);
	buf_printf(lines, " %llu %llu\n", (unsigned long long)from, (unsigned long long)count);
}

static struct result *get_lines(struct client *c, const struct buf *lines)
{
	struct call *call = call_new(c, "GET");

	call_body_span(call, buf_span(lines));
	return call_wait(call, WAIT_MS);
}

static struct span body_next(struct span *s, uint8_t *status_r)
{
	struct span body;
	uint64_t n;

	assert_true(span_get_u8(s, status_r));
	assert_true(span_get_u64(s, &n));
	assert_true(span_get_bytes(s, n, &body));
	return body;
}

static void test_put_get(void **state)
{
	struct client *put = client_of(&objects_put_role), *get = client_of(&objects_get_role);
	static const size_t sizes[] = {0, 1, 4096, 70000, 300000};
	struct receipt receipts[array_count(sizes)];
	struct buf lines = {0}, bodies[array_count(sizes)] = {{0}};
	struct result *r;
	struct span s, got;
	uint8_t status;

	(void)state;
	for (size_t i = 0; i < array_count(sizes); i++) {
		while (bodies[i].len < sizes[i])
			buf_printf(&bodies[i], "%zu,", bodies[i].len);
		buf_truncate(&bodies[i], sizes[i]);
		r = put_body(put, buf_span(&bodies[i]));
		receipts[i] = receipt_of(r);
		assert_int_equal(receipts[i].locator.size, sizes[i]);
		result_free(r);
		want_line(&lines, &receipts[i].locator, 0, 0);
	}
	/* Also a range, one that is not there, and one with a key that is not its own. */
	want_line(&lines, &receipts[4].locator, 200000, 10);
	receipts[0].locator.offset += 123456789;
	want_line(&lines, &receipts[0].locator, 0, 0);
	receipts[1].locator.key[0] ^= 1;
	want_line(&lines, &receipts[1].locator, 0, 0);
	r = get_lines(get, &lines);
	assert_int_equal(r->code, ERR_NONE);
	s = r->body;
	for (size_t i = 0; i < array_count(sizes); i++) {
		got = body_next(&s, &status);
		assert_int_equal(status, 0);
		assert_true(span_equal(got, buf_span(&bodies[i])));
	}
	got = body_next(&s, &status);
	assert_true(span_equal(got, span_from(bodies[4].data + 200000, 10)));
	(void)body_next(&s, &status);
	assert_int_equal(status, 2);
	(void)body_next(&s, &status);
	assert_int_equal(status, 3);
	assert_int_equal(s.n, 0);
	result_free(r);

	buf_empty(&lines);
	buf_add_str(&lines, "nonsense\n");
	r = get_lines(get, &lines);
	assert_int_equal(r->code, ERR_PROTO);
	result_free(r);
	buf_empty(&lines);
	receipts[2].locator.size = 100 << 20;
	want_line(&lines, &receipts[2].locator, 0, 0);
	r = get_lines(get, &lines);
	assert_int_equal(r->code, ERR_LIMIT);
	result_free(r);
	for (size_t i = 0; i < array_count(sizes); i++)
		buf_clear(&bodies[i]);
	buf_clear(&lines);
	client_free(put);
	client_free(get);
}

static void test_put_refused(void **state)
{
	struct client *put = client_of(&objects_put_role);
	struct call *call;
	struct result *r;
	int fds[2];

	(void)state;
	/* size= that is not the body's; a descriptor that is no file; a digest that is another's.
	 */
	call = call_new(put, "PUT");
	call_uint(call, "size", 5);
	call_body_span(call, SPAN("four"));
	r = call_wait(call, WAIT_MS);
	assert_int_equal(r->code, ERR_PROTO);
	result_free(r);

	assert_int_equal(pipe(fds), 0);
	call = call_new(put, "PUT");
	call_uint(call, "size", 5);
	call_fd(call, fds[0], true);
	r = call_wait(call, WAIT_MS);
	assert_int_equal(r->code, ERR_PROTO);
	result_free(r);
	(void)close(fds[1]);

	call = call_new(put, "PUT");
	call_uint(call, "size", 4);
	call_hex(call, "sha256", "0123456789abcdef0123456789abcdef", 32);
	call_body_span(call, SPAN("four"));
	r = call_wait(call, WAIT_MS);
	assert_int_equal(r->code, ERR_PERM);
	result_free(r);
	client_free(put);
}

static struct call *growing_call(struct client *c, int fd)
{
	struct call *call = call_new(c, "PUT");

	call_uint(call, "growing", 1);
	call_fd(call, fd, false);
	return call;
}

struct answer {
	bool there;
	enum err_code code;
	struct receipt receipt;
};

static void answered(struct result *r, void *ctx)
{
	struct answer *a = ctx;

	a->there = true;
	a->code = r->code;
	if (r->code == ERR_NONE)
		a->receipt = receipt_of(r);
}

static struct result *grown(
	struct client *c, const char *verb, uint64_t tag, uint64_t size, bool final)
{
	struct call *call = call_new(c, verb);

	call_uint(call, "put", tag);
	call_uint(call, "size", size);
	call_uint(call, "final", final);
	return call_wait(call, WAIT_MS);
}

static void test_growing(void **state)
{
	struct client *put = client_of(&objects_put_role), *get = client_of(&objects_get_role);
	struct answer a = {0}, second = {0}, third = {0};
	int fd = memfd_create("body", MFD_CLOEXEC);
	struct buf body = {0}, lines = {0};
	uint64_t tag, tag2;
	struct result *r;
	struct span s;
	uint8_t status;

	(void)state;
	while (body.len < 500000)
		buf_printf(&body, "%zu;", body.len);
	tag = call_send(growing_call(put, fd), WAIT_MS, answered, &a);
	for (size_t at = 0; at < 400000; at += 50000) {
		assert_int_equal(pwrite(fd, body.data + at, 50000, (off_t)at), 50000);
		r = grown(put, "GROWN", tag, at + 50000, false);
		assert_int_equal(r->code, ERR_NONE);
		result_free(r);
	}
	/* Two may be under way; the third is refused for the moment. One is given up, another
	 * client's is not to be touched. */
	tag2 = call_send(growing_call(put, fd), WAIT_MS, answered, &second);
	(void)call_send(growing_call(put, fd), WAIT_MS, answered, &third);
	while (!third.there)
		assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
	assert_int_equal(third.code, ERR_LIMIT);
	r = grown(get, "ABANDON", tag2, 0, false);
	assert_int_not_equal(r->code, ERR_NONE);
	result_free(r);
	r = grown(put, "ABANDON", tag2, 0, false);
	assert_int_equal(r->code, ERR_NONE);
	result_free(r);
	while (!second.there)
		assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
	assert_int_equal(second.code, ERR_TEMP);
	assert_false(a.there);

	assert_int_equal(pwrite(fd, body.data, body.len, 0), (ssize_t)body.len);
	r = grown(put, "GROWN", tag, body.len, true);
	assert_int_equal(r->code, ERR_NONE);
	result_free(r);
	while (!a.there)
		assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
	assert_int_equal(a.code, ERR_NONE);
	assert_int_equal(a.receipt.locator.size, body.len);
	want_line(&lines, &a.receipt.locator, 0, 0);
	r = get_lines(get, &lines);
	s = r->body;
	assert_true(span_equal(body_next(&s, &status), buf_span(&body)));
	result_free(r);
	assert_int_equal(u.large, 0);
	buf_clear(&body);
	buf_clear(&lines);
	(void)close(fd);
	client_free(put);
	client_free(get);
}

/* A client that dies, or falls silent, leaves nothing behind. */
static void test_growing_lost(void **state)
{
	struct client *put = client_of(&objects_put_role), *other = client_of(&objects_put_role);
	int fd = memfd_create("body", MFD_CLOEXEC);
	struct answer a = {0}, b = {0};
	uint64_t tag;
	struct result *r;

	(void)state;
	assert_int_equal(ftruncate(fd, 300000), 0);
	tag = call_send(growing_call(put, fd), WAIT_MS, answered, &a);
	r = grown(put, "GROWN", tag, 200000, false);
	assert_int_equal(r->code, ERR_NONE);
	result_free(r);
	(void)call_send(growing_call(other, fd), WAIT_MS, answered, &b);
	while (u.large < 2)
		assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
	client_free(put);
	assert_true(a.there);
	assert_int_equal(a.code, ERR_TEMP);
	while (u.large > 1)
		assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
	settings.growing_timeout_ms = 0;
	while (u.growing != NULL)
		put_growing_check(&u);
	while (!b.there)
		assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
	assert_int_equal(b.code, ERR_TEMP);
	assert_int_equal(u.large, 0);
	assert_null(u.growing);
	client_free(other);
	(void)close(fd);
}

static struct result *maintain(struct client *c, const char *verb, const char *key,
	const char *value, const struct buf *body)
{
	struct call *call = call_new(c, verb);

	if (key != NULL)
		call_str(call, key, value);
	if (body != NULL)
		call_body_span(call, buf_span(body));
	return call_wait(call, WAIT_MS);
}

static void test_maintain(void **state)
{
	struct client *put = client_of(&objects_put_role), *m = client_of(&objects_maintain_role);
	struct receipt first, large;
	struct buf lines = {0}, body = {0};
	struct locator moved;
	struct span s, part;
	struct result *r;

	(void)state;
	r = put_body(put, SPAN("the first body"));
	first = receipt_of(r);
	result_free(r);
	while (body.len < 150000)
		buf_add_str(&body, "again and ");
	r = put_body(put, buf_span(&body));
	large = receipt_of(r);
	result_free(r);

	r = maintain(m, "STOREID", NULL, NULL, NULL);
	assert_string_equal(result_str(r, "storeid"), u.store->id);
	result_free(r);
	r = maintain(m, "EPOCH", "set", "7", NULL);
	assert_int_equal(result_uint(r, "epoch"), 7);
	result_free(r);
	r = maintain(m, "USAGE", NULL, NULL, NULL);
	assert_true(result_uint(r, "packs") >= 2);
	assert_true(result_uint(r, "free") > 0);
	result_free(r);
	r = maintain(m, "PACKS", "limit", "10", NULL);
	assert_non_null(memmem(r->body.p, r->body.n, large.locator.pack, PACK_NAME_CHARS));
	result_free(r);
	r = maintain(m, "ENTRIES", "pack", first.locator.pack, NULL);
	assert_int_equal(r->code, ERR_NONE);
	s = r->body;
	assert_true(span_cut(&s, ' ', &part) && span_is(part, "0"));
	assert_non_null(memmem(r->body.p, r->body.n, " whole\n", 7));
	result_free(r);

	/* Both into one new pack, then verified there; the old one goes, but the open one does not.
	 */
	buf_printf(&lines, "0 %llu\n%llu %llu %s\n", (unsigned long long)first.locator.length,
		(unsigned long long)large.locator.offset, (unsigned long long)large.locator.length,
		large.locator.pack);
	r = maintain(m, "REPACK", "pack", first.locator.pack, &lines);
	assert_int_equal(r->code, ERR_NONE);
	s = r->body;
	moved = first.locator;
	assert_true(span_cut(&s, ' ', &part) && span_cut(&s, ' ', &part));
	assert_int_equal(part.n, PACK_NAME_CHARS);
	memcpy(moved.pack, part.p, PACK_NAME_CHARS);
	assert_true(span_cut(&s, ' ', &part) && num_u64(part, &moved.offset));
	result_free(r);
	buf_empty(&lines);
	locator_text(&moved, &lines);
	r = maintain(m, "VERIFY", NULL, NULL, &lines);
	assert_int_equal(r->code, ERR_NONE);
	assert_memory_equal(r->body.p, "ok ", 3);
	result_free(r);
	r = maintain(m, "REWRAP", NULL, NULL, &lines);
	assert_true(locator_parse(span_from(r->body.p, r->body.n - 1), &moved));
	result_free(r);

	settings.pack_min_age_ms = 3600000;
	r = maintain(m, "DELETE", "pack", large.locator.pack, NULL);
	assert_int_equal(r->code, ERR_TEMP);
	result_free(r);
	settings.pack_min_age_ms = 0;
	r = maintain(m, "DELETE", "pack", large.locator.pack, NULL);
	assert_int_equal(r->code, ERR_NONE);
	result_free(r);
	r = maintain(m, "DELETE", "pack", large.locator.pack, NULL);
	assert_int_equal(r->code, ERR_NOTFOUND);
	result_free(r);
	r = maintain(m, "DELETE", "pack", first.locator.pack, NULL);
	assert_int_equal(r->code, ERR_TEMP);
	result_free(r);
	r = maintain(m, "DELETE", "pack", "../id", NULL);
	assert_int_equal(r->code, ERR_NOTFOUND);
	result_free(r);
	buf_clear(&lines);
	buf_clear(&body);
	client_free(put);
	client_free(m);
}

#define UPLOADER_TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		UPLOADER_TEST(test_put_get),
		UPLOADER_TEST(test_put_refused),
		UPLOADER_TEST(test_growing),
		UPLOADER_TEST(test_growing_lost),
		UPLOADER_TEST(test_maintain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
