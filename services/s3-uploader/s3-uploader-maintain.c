/* Role objects/maintain: what keeps the store in order, run one at a time by a thread of its own.
 */
#include <string.h>
#include "lib-common/log.h"
#include "lib-common/mem.h"
#include "services/s3-uploader/s3-uploader.h"

#define PACKS_LIMIT 1000
#define LINES_MAX 100000

struct task {
	struct pool_job job;
	struct request *req;
	int (*work)(struct object_reader *r, struct task *t); /* on the thread; -1 with err */
	void (*answer)(struct task *t); /* on the loop; NULL: out is the body */

	/* Arguments, copied where the thread may look. */
	char pack[PACK_NAME_SIZE];
	uint64_t limit, epoch, min_age_s;
	int64_t now;
	bool set;
	struct span body;

	struct buf out;
	struct object_usage usage;
	struct err err;
};

static void task_run(struct object_reader *r, struct pool_job *job)
{
	struct task *t = job->ctx;

	if (t->work(r, t) == 0)
		t->err.code = ERR_NONE; /* something on the way may have failed and not mattered */
}

static struct task *task_new(
	struct request *req, int (*work)(struct object_reader *, struct task *))
{
	struct task *t = mem_alloc(sizeof(*t));

	t->job = (struct pool_job){.run = task_run, .ctx = t};
	t->req = req;
	t->work = work;
	t->body = request_body(req);
	t->now = clock_wall_s();
	return t;
}

static void task_free(struct task *t)
{
	buf_wipe(&t->out);
	mem_free(t);
}

static void task_submit(struct task *t)
{
	object_pool_submit(request_uploader(t->req)->maintenance, &t->job);
}

/* Takes a pack's name from the arguments; false: the request is answered and the task gone. */
static bool task_pack(struct task *t, const char *key, bool required)
{
	struct span name = request_span(t->req, key);

	if (name.n == 0 && !required)
		return true;
	if (!pack_name_parse(name, NULL)) {
		reply_code(t->req, ERR_NOTFOUND, "not a pack's name");
		task_free(t);
		return false;
	}
	memcpy(t->pack, name.p, PACK_NAME_CHARS);
	return true;
}

void maintain_jobs_done(struct uploader *u)
{
	struct pool_job *job = object_pool_take(u->maintenance), *next;

	for (; job != NULL; job = next) {
		struct task *t = job->ctx;

		next = job->next;
		if (t->err.code != ERR_NONE) {
			log_trace(request_trace(t->req));
			log_warning("maintain-failed", "verb", LOG_STR(request_verb(t->req)),
				"error", LOG_ERR(&t->err), NULL);
			log_trace(NULL);
			reply_fail(t->req, &t->err);
		} else {
			if (t->answer != NULL)
				t->answer(t);
			else
				buf_add_span(reply_body(t->req), buf_span(&t->out));
			reply_ok(t->req);
		}
		task_free(t);
	}
}

/* ---- PACKS, DELETE, USAGE, STOREID, EPOCH ---- */

static int packs_work(struct object_reader *r, struct task *t)
{
	struct object_store *store = object_reader_store(r);
	struct object_info *infos;
	size_t n;

	if (store->driver->list(store, t->pack, (size_t)t->limit, &infos, &n, &t->err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		buf_printf(&t->out, "%s %llu %lld %s\n", infos[i].pack,
			(unsigned long long)infos[i].size, (long long)infos[i].mtime,
			infos[i].state == OBJECT_OPEN ? "open" : "closed");
	mem_free(infos);
	return 0;
}

static void packs_handle(struct request *req)
{
	struct task *t = task_new(req, packs_work);

	t->limit = request_uint(req, "limit");
	if (t->limit == 0 || t->limit > PACKS_LIMIT)
		t->limit = PACKS_LIMIT;
	if (task_pack(t, "from", false))
		task_submit(t);
}

/* The last guard against a garbage collector that is wrong: what was written to lately may be named
 * by a receipt that is still to be committed (CORNERS M2). */
static int delete_work(struct object_reader *r, struct task *t)
{
	struct object_store *store = object_reader_store(r);
	struct object_info info;

	if (store->driver->info(store, t->pack, &info, &t->err) < 0)
		return -1;
	if (t->now - info.mtime < (int64_t)t->min_age_s)
		return err_set(&t->err, ERR_TEMP, "%s was written to too recently", t->pack);
	return store->driver->remove(store, t->pack, &t->err);
}

static void delete_handle(struct request *req)
{
	struct task *t = task_new(req, delete_work);

	t->min_age_s = request_uploader(req)->settings->pack_min_age_ms / 1000;
	if (task_pack(t, "pack", true))
		task_submit(t);
}

static int usage_work(struct object_reader *r, struct task *t)
{
	struct object_store *store = object_reader_store(r);

	return store->driver->usage(store, &t->usage, &t->err);
}

static void usage_answer(struct task *t)
{
	reply_uint(t->req, "packs", t->usage.packs);
	reply_uint(t->req, "bytes", t->usage.bytes);
	reply_uint(t->req, "free", t->usage.free_bytes);
}

static void usage_handle(struct request *req)
{
	struct task *t = task_new(req, usage_work);

	t->answer = usage_answer;
	task_submit(t);
}

static void storeid_handle(struct request *req)
{
	reply_str(req, "storeid", request_uploader(req)->store->id);
	reply_ok(req);
}

static int epoch_work(struct object_reader *r, struct task *t)
{
	struct object_store *store = object_reader_store(r);

	if (t->set && store->driver->epoch_set(store, t->epoch, &t->err) < 0)
		return -1;
	return store->driver->epoch(store, &t->epoch, &t->err);
}

static void epoch_answer(struct task *t)
{
	reply_uint(t->req, "epoch", t->epoch);
}

static void epoch_handle(struct request *req)
{
	struct task *t = task_new(req, epoch_work);

	t->set = request_has(req, "set");
	t->epoch = request_uint(req, "set");
	t->answer = epoch_answer;
	task_submit(t);
}

/* ---- ENTRIES ---- */

static int entry_found(void *ctx, const struct pack_found *f)
{
	struct task *t = ctx;

	buf_printf(&t->out, "%llu %llu ", (unsigned long long)f->header.offset,
		(unsigned long long)f->length);
	buf_add_hex(&t->out, f->header.entry_id, PACK_ID_BYTES);
	buf_printf(
		&t->out, " %lld %s\n", (long long)f->header.time, f->whole ? "whole" : "damaged");
	return 0;
}

static int entries_work(struct object_reader *r, struct task *t)
{
	struct object_store *store = object_reader_store(r);
	struct object_pack pack = {.store = store, .pack = t->pack};
	unsigned char id[PACK_ID_BYTES];
	struct pack_scan_result result;
	struct object_info info;

	(void)pack_name_parse(span_of(t->pack), id);
	if (store->driver->info(store, t->pack, &info, &t->err) < 0)
		return -1;
	return pack_scan(id, info.size, object_pack_read, &pack, entry_found, t, &result, &t->err);
}

static void entries_handle(struct request *req)
{
	struct task *t = task_new(req, entries_work);

	if (task_pack(t, "pack", true))
		task_submit(t);
}

/* ---- REPACK ---- */

static size_t lines_count(struct span body)
{
	size_t n = 0;

	for (size_t i = 0; i < body.n; i++)
		n += body.p[i] == '\n';
	return n + (body.n > 0 && body.p[body.n - 1] != '\n');
}

/* offset SP length [SP pack] */
static bool move_parse(struct span line, const char *pack, struct object_move *m)
{
	struct span offset, length, name;

	memcpy(m->pack, pack, PACK_NAME_SIZE);
	if (!span_cut(&line, ' ', &offset) || !span_cut(&line, ' ', &length) ||
		!num_u64(offset, &m->offset) || !num_u64(length, &m->length))
		return false;
	if (line.p != NULL) {
		name = line;
		if (!pack_name_parse(name, NULL))
			return false;
		memcpy(m->pack, name.p, PACK_NAME_CHARS);
	}
	return m->pack[0] != '\0';
}

static int moves_parse(struct task *t, struct object_move *moves, size_t *n_r)
{
	struct span body = t->body, line;

	for (*n_r = 0; span_cut(&body, '\n', &line);) {
		if (line.n == 0 && body.p == NULL)
			break;
		if (!move_parse(line, t->pack, &moves[*n_r]))
			return err_set(&t->err, ERR_PROTO,
				"line %zu is not offset, length and pack", *n_r + 1);
		(*n_r)++;
	}
	return 0;
}

static int repack_work(struct object_reader *r, struct task *t)
{
	size_t lines = lines_count(t->body), n;
	struct object_move *moves;
	int result;

	if (lines > LINES_MAX)
		return err_set(&t->err, ERR_LIMIT, "more than %d entries", LINES_MAX);
	moves = mem_alloc_array(lines + 1, sizeof(*moves));
	result = moves_parse(t, moves, &n);
	if (result == 0)
		result = object_repack(object_reader_store(r), moves, n, &t->err);
	for (size_t i = 0; result == 0 && i < n; i++) {
		const struct object_move *m = &moves[i];

		if (m->err.code != ERR_NONE)
			buf_printf(&t->out, "%llu - 0 0 %s\n", (unsigned long long)m->offset,
				err_code_name(m->err.code));
		else
			buf_printf(&t->out, "%llu %s %llu %llu\n", (unsigned long long)m->offset,
				m->new_pack, (unsigned long long)m->new_offset,
				(unsigned long long)m->length);
	}
	mem_free(moves);
	return result;
}

static void repack_handle(struct request *req)
{
	struct task *t = task_new(req, repack_work);

	if (task_pack(t, "pack", false))
		task_submit(t);
}

/* ---- VERIFY, REWRAP ---- */

/* Calls one() for each locator of the body. */
static int locators_each(struct object_reader *r, struct task *t,
	void (*one)(struct object_reader *r, struct task *t, struct locator *l))
{
	struct span body = t->body, line;
	struct locator l;

	if (lines_count(t->body) > LINES_MAX)
		return err_set(&t->err, ERR_LIMIT, "more than %d locators", LINES_MAX);
	while (span_cut(&body, '\n', &line)) {
		if (line.n == 0 && body.p == NULL)
			break;
		if (!locator_parse(line, &l))
			return err_set(&t->err, ERR_PROTO, "a line is not a locator");
		one(r, t, &l);
	}
	mem_wipe(&l, sizeof(l));
	return 0;
}

static void verify_one(struct object_reader *r, struct task *t, struct locator *l)
{
	unsigned char sha256[PACK_SHA_BYTES];
	struct err e;

	if (object_verify(r, l, sha256, &e) < 0) {
		buf_printf(
			&t->out, "%s -\n", e.code == ERR_PERM ? "corrupt" : err_code_name(e.code));
		return;
	}
	buf_add_str(&t->out, "ok ");
	buf_add_hex(&t->out, sha256, sizeof(sha256));
	buf_add_c(&t->out, '\n');
}

static int verify_work(struct object_reader *r, struct task *t)
{
	return locators_each(r, t, verify_one);
}

static void verify_handle(struct request *req)
{
	task_submit(task_new(req, verify_work));
}

static void rewrap_one(struct object_reader *r, struct task *t, struct locator *l)
{
	struct err e;

	if (locator_rewrap(object_reader_ring(r), l, &e) < 0) {
		buf_add_str(&t->out, "-\n");
		return;
	}
	locator_text(l, &t->out);
	buf_add_c(&t->out, '\n');
}

static int rewrap_work(struct object_reader *r, struct task *t)
{
	return locators_each(r, t, rewrap_one);
}

static void rewrap_handle(struct request *req)
{
	task_submit(task_new(req, rewrap_work));
}

/* ---- the table ---- */

static const struct arg_def packs_args[] = {
	{"from", ARG_STRING, false, "only names behind this one"},
	{"limit", ARG_UINT, false, "at most so many; 1000 unless less is said"},
	{.name = NULL},
};

static const struct arg_def pack_args[] = {
	{"pack", ARG_STRING, true, "name of the pack"},
	{.name = NULL},
};

static const struct arg_def repack_args[] = {
	{"pack", ARG_STRING, false, "pack of the lines that name none"},
	{.name = NULL},
};

static const struct arg_def epoch_args[] = {
	{"set", ARG_UINT, false, "raise it to this"},
	{.name = NULL},
};

static const struct command_def maintain_commands[] = {
	{"PACKS", packs_args, COMMAND_BODY_NONE, COMMAND_FD_NONE, packs_handle,
		"Packs in order of name. Answer's body: lines `name size mtime open|closed`."},
	{"ENTRIES", pack_args, COMMAND_BODY_NONE, COMMAND_FD_NONE, entries_handle,
		"Entries found in a pack. Answer's body: lines `offset length entry-id time "
		"whole|damaged`."},
	{"DELETE", pack_args, COMMAND_BODY_NONE, COMMAND_FD_NONE, delete_handle,
		"Removes a pack; TEMP while it is written or younger than pack_min_age."},
	{"REPACK", repack_args, COMMAND_BODY_REQUIRED, COMMAND_FD_NONE, repack_handle,
		"Copies entries, in the order given, into one new pack. Body: lines `offset length "
		"[pack]`; answer's body: lines `old-offset new-pack new-offset length`, or "
		"`old-offset - 0 0 code` for what was not copied."},
	{"VERIFY", no_args, COMMAND_BODY_REQUIRED, COMMAND_FD_NONE, verify_handle,
		"Reads whole bodies. Body: lines locator; answer's body: lines `ok sha256`, or "
		"`notfound|corrupt|temp -`."},
	{"REWRAP", no_args, COMMAND_BODY_REQUIRED, COMMAND_FD_NONE, rewrap_handle,
		"Wraps entry keys by the current key. Body: lines locator; answer's body: lines "
		"locator, or `-`."},
	{"USAGE", no_args, COMMAND_BODY_NONE, COMMAND_FD_NONE, usage_handle,
		"Answers packs=, bytes=, free=."},
	{"STOREID", no_args, COMMAND_BODY_NONE, COMMAND_FD_NONE, storeid_handle,
		"Answers storeid=, 32 hex digits."},
	{"EPOCH", epoch_args, COMMAND_BODY_NONE, COMMAND_FD_NONE, epoch_handle,
		"Answers epoch=, after raising it."},
	{"PING", no_args, COMMAND_BODY_NONE, COMMAND_FD_NONE, ping_handle, "Answers."},
	{.verb = NULL},
};

const struct role_def objects_maintain_role = {
	.name = "objects/maintain",
	.commands = maintain_commands,
	.max_in_flight = 16,
	.doc = "Keep the store in order.",
};
