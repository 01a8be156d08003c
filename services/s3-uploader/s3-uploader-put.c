/* Role objects/put: PUT, GROWN, ABANDON. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "lib-common/log.h"
#include "lib-common/mem.h"
#include "services/s3-uploader/s3-uploader.h"

#define ACCOUNTS_MAX 1000
#define SIZE_MAX_BODY                                                                              \
	(4ull << 30) /* no mail is longer; a lie about a size shall not fill the disk */

/* A PUT that is under way. Its request is answered when the job comes back. */
struct put {
	struct put_job job;
	struct uploader *u;
	struct request *req;
	struct channel *channel;
	uint64_t tag, began_us;
	bool large, has_sha256;
	unsigned char sha256[PACK_SHA_BYTES];
	uint64_t *accounts;

	/* While it grows. */
	bool growing;
	uint64_t heard_ms;
	struct put *next, **prev;
};

static void growing_link(struct put *put)
{
	struct uploader *u = put->u;

	put->growing = true;
	put->heard_ms = clock_boot_ms();
	put->next = u->growing;
	put->prev = &u->growing;
	if (put->next != NULL)
		put->next->prev = &put->next;
	u->growing = put;
}

static void growing_unlink(struct put *put)
{
	if (!put->growing)
		return;
	put->growing = false;
	*put->prev = put->next;
	if (put->next != NULL)
		put->next->prev = put->prev;
}

static void put_free(struct put *put)
{
	growing_unlink(put);
	if (put->large)
		put->u->large--;
	if (put->job.fd >= 0)
		(void)close(put->job.fd);
	mem_free(put->accounts);
	mem_free(put);
}

/* ---- PUT ---- */

/* Numbers separated by commas. */
static int accounts_parse(struct put *put, struct span text, struct err *e)
{
	struct span one;

	if (text.n == 0)
		return 0;
	put->accounts = mem_alloc_array(ACCOUNTS_MAX, sizeof(*put->accounts));
	while (span_cut(&text, ',', &one)) {
		if (put->job.n_accounts == ACCOUNTS_MAX ||
			!num_u64(one, &put->accounts[put->job.n_accounts]))
			return err_set(e, ERR_PROTO, "accounts= is not a list of numbers");
		put->job.n_accounts++;
	}
	put->job.accounts = put->accounts;
	return 0;
}

/* Only regular files (memfds are) are read by pread without ever blocking for long (CORNERS M1,
 * M14). */
static int body_descriptor(struct put *put, struct request *req, struct err *e)
{
	struct stat st;
	int mode;

	put->job.fd = request_take_fd(req);
	if (put->job.fd < 0)
		return 0;
	mode = fcntl(put->job.fd, F_GETFL);
	if (fstat(put->job.fd, &st) < 0 || !S_ISREG(st.st_mode) || mode < 0 ||
		(mode & O_ACCMODE) == O_WRONLY || (mode & O_PATH) != 0)
		return err_set(e, ERR_PROTO, "fd= is not a readable file");
	if (!put->job.growing && (uint64_t)st.st_size < put->job.size)
		return err_set(e, ERR_PROTO, "fd= is shorter than size=");
	return 0;
}

static int put_parse(struct put *put, struct request *req, struct err *e)
{
	struct put_job *job = &put->job;

	job->growing = request_uint(req, "growing") != 0;
	job->size = request_uint(req, "size");
	job->body = request_body(req);
	put->has_sha256 = request_has(req, "sha256");
	if (put->has_sha256 &&
		!hex_decode(request_span(req, "sha256"), put->sha256, sizeof(put->sha256)))
		return err_set(e, ERR_PROTO, "sha256= is not one");
	if (accounts_parse(put, request_span(req, "accounts"), e) < 0 ||
		body_descriptor(put, req, e) < 0)
		return -1;
	if (job->size > SIZE_MAX_BODY)
		return err_set(e, ERR_LIMIT, "the body is too long");
	if (job->growing && (job->fd < 0 || job->size > 0))
		return err_set(e, ERR_PROTO, "growing= needs fd= and no size=");
	if (job->fd >= 0 && job->body.n > 0)
		return err_set(e, ERR_PROTO, "a put has one body");
	if (job->fd < 0 && job->body.n != job->size)
		return err_set(e, ERR_PROTO, "size= is not that of the body");
	return 0;
}

static void put_handle(struct request *req)
{
	struct put *put = mem_alloc(sizeof(*put));
	struct uploader *u = request_uploader(req);
	struct err e;
	int r;

	put->u = u;
	put->req = req;
	put->channel = request_channel(req);
	put->tag = request_tag(req);
	put->began_us = clock_boot_us();
	put->job.fd = -1;
	put->job.ctx = put;
	r = put_parse(put, req, &e);
	if (r == 0 && (put->job.growing || put->job.size > u->settings->large_size)) {
		if (u->large >= u->settings->large_limit) {
			r = err_set(&e, ERR_LIMIT, "too many large bodies are under way");
		} else {
			put->large = true;
			u->large++;
		}
	}
	if (r < 0) {
		put_free(put);
		metric_add(METRIC_PUT_FAILED, 1);
		reply_fail(req, &e);
		return;
	}
	if (put->job.growing)
		growing_link(put);
	putter_submit(u->putter, &put->job);
}

static void put_reply(struct put *put)
{
	struct receipt r = {.locator = put->job.locator, .time = put->job.time};
	struct buf text;

	memcpy(r.sha256, put->job.sha256, sizeof(r.sha256));
	receipt_sign(&r, put->u->receipt_key);
	buf_init(&text);
	receipt_text(&r, &text);
	reply_span(put->req, "receipt", buf_span(&text));
	reply_hex(put->req, "sha256", r.sha256, sizeof(r.sha256));
	reply_uint(put->req, "size", r.locator.size);
	reply_ok(put->req);
	buf_wipe(&text);
}

static void put_done(struct put *put)
{
	struct put_job *job = &put->job;

	if (job->err.code == ERR_NONE && put->has_sha256 &&
		memcmp(put->sha256, job->sha256, sizeof(put->sha256)) != 0)
		(void)err_set(&job->err, ERR_PERM, "the body's SHA-256 is not the one announced");
	if (job->err.code == ERR_NONE) {
		metric_add(METRIC_PUT_DONE, 1);
		metric_add(METRIC_PUT_OCTETS, job->locator.size);
		metric_observe_us(METRIC_PUT_TIME, clock_boot_us() - put->began_us);
		put_reply(put);
	} else {
		metric_add(METRIC_PUT_FAILED, 1);
		log_trace(request_trace(put->req));
		log_warning("put-failed", "error", LOG_ERR(&job->err), NULL);
		log_trace(NULL);
		reply_fail(put->req, &job->err);
	}
	put_free(put);
}

void put_jobs_done(struct uploader *u)
{
	struct put_job *job = putter_take(u->putter), *next;

	for (; job != NULL; job = next) {
		next = job->next;
		put_done(job->ctx);
	}
}

/* ---- GROWN, ABANDON ---- */

/* A client names its own puts only. */
static struct put *growing_find(struct request *req)
{
	uint64_t tag = request_uint(req, "put");

	for (struct put *put = request_uploader(req)->growing; put != NULL; put = put->next) {
		if (put->channel == request_channel(req) && put->tag == tag)
			return put;
	}
	return NULL;
}

static void growing_give_up(struct put *put)
{
	growing_unlink(put);
	putter_abandon(put->u->putter, &put->job);
}

static void grown_handle(struct request *req)
{
	struct put *put = growing_find(req);
	uint64_t size = request_uint(req, "size");
	bool final = request_uint(req, "final") != 0;

	if (put == NULL) {
		reply_code(req, ERR_NOTFOUND, "no such put is growing");
		return;
	}
	if (size > SIZE_MAX_BODY) {
		growing_give_up(put);
		reply_code(req, ERR_LIMIT, "the body is too long");
		return;
	}
	put->heard_ms = clock_boot_ms();
	if (final)
		growing_unlink(put);
	putter_grown(put->u->putter, &put->job, size, final);
	reply_ok(req);
}

static void abandon_handle(struct request *req)
{
	struct put *put = growing_find(req);

	if (put == NULL) {
		reply_code(req, ERR_NOTFOUND, "no such put is growing");
		return;
	}
	growing_give_up(put);
	reply_ok(req);
}

void put_growing_check(struct uploader *u)
{
	uint64_t now = clock_boot_ms();
	struct put *next;

	for (struct put *put = u->growing; put != NULL; put = next) {
		next = put->next;
		if (now - put->heard_ms > u->settings->growing_timeout_ms)
			growing_give_up(put);
	}
}

void put_growing_abandon(struct uploader *u)
{
	while (u->growing != NULL)
		growing_give_up(u->growing);
}

static void put_channel_close(struct channel *ch)
{
	struct uploader *u = service_data(channel_service(ch));
	struct put *next;

	for (struct put *put = u->growing; put != NULL; put = next) {
		next = put->next;
		if (put->channel == ch)
			growing_give_up(put);
	}
}

static const struct arg_def put_args[] = {
	{"size", ARG_UINT, false, "octets of the body; required unless it grows"},
	{"growing", ARG_FLAG, false, "1: the body is still arriving in fd="},
	{"sha256", ARG_HEX, false, "refuse the body unless this is its digest"},
	{"accounts", ARG_STRING, false, "numbers, by commas: whose mail it is (recovery box only)"},
	{.name = NULL},
};

static const struct arg_def grown_args[] = {
	{"put", ARG_UINT, true, "tag of the PUT on this connection"},
	{"size", ARG_UINT, true, "octets of the descriptor that are valid now"},
	{"final", ARG_FLAG, false, "1: the body is complete, the PUT will be answered"},
	{.name = NULL},
};

static const struct arg_def abandon_args[] = {
	{"put", ARG_UINT, true, "tag of the PUT on this connection, which is answered TEMP"},
	{.name = NULL},
};

static const struct command_def put_commands[] = {
	{"PUT", put_args, COMMAND_BODY_OPTIONAL, COMMAND_FD_OPTIONAL, put_handle,
		"Stores a body durably: the body of the request, or size= octets of fd=. Answers "
		"receipt= (secret), sha256=, size=."},
	{"GROWN", grown_args, COMMAND_BODY_NONE, COMMAND_FD_NONE, grown_handle,
		"More of a growing body is there."},
	{"ABANDON", abandon_args, COMMAND_BODY_NONE, COMMAND_FD_NONE, abandon_handle,
		"A growing body will not be completed."},
	{"PING", no_args, COMMAND_BODY_NONE, COMMAND_FD_NONE, ping_handle, "Answers."},
	{.verb = NULL},
};

const struct role_def objects_put_role = {
	.name = "objects/put",
	.commands = put_commands,
	.max_in_flight = 256,
	.on_close = put_channel_close,
	.doc = "Store bodies.",
};
