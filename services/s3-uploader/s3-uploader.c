#include "services/s3-uploader/s3-uploader.h"

#include <unistd.h>
#include "lib-common/mem.h"

#define GROWING_CHECK_S 5

const struct arg_def no_args[] = {{.name = NULL}};

struct uploader *request_uploader(const struct request *req)
{
	return service_data(channel_service(request_channel(req)));
}

void ping_handle(struct request *req)
{
	reply_ok(req);
}

static void on_put(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	put_jobs_done(ctx);
}

static void on_read(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	get_jobs_done(ctx);
}

static void on_maintenance(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	maintain_jobs_done(ctx);
}

static void on_growing(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	put_growing_check(ctx);
}

static int uploader_threads(struct uploader *u, struct err *e)
{
	struct putter_config config = {
		.store = u->store,
		.ring = u->ring,
		.recovery_key = u->has_recovery_key ? u->recovery_key : NULL,
		.threads = (unsigned)u->settings->threads,
		.large_size = u->settings->large_size,
	};

	u->putter = putter_new(&config, e);
	if (u->putter == NULL)
		return -1;
	u->readers = object_pool_new(u->store, u->ring, (unsigned)u->settings->read_threads, e);
	if (u->readers == NULL)
		return -1;
	/* One thread: repacking and scrubbing are never in a hurry, and must not crowd out reads.
	 */
	u->maintenance = object_pool_new(u->store, u->ring, 1, e);
	return u->maintenance == NULL ? -1 : 0;
}

int uploader_start(struct uploader *u, struct event_base *base, struct err *e)
{
	struct object_fs_config fs = {
		.pack_size = u->settings->pack_size,
		.prewrite_size = u->settings->prewrite_size,
	};
	const struct timeval every = {.tv_sec = GROWING_CHECK_S};

	u->store = object_fs_open(u->folder, &fs, e);
	if (u->store == NULL || uploader_threads(u, e) < 0)
		return -1;
	u->put_event = event_new(base, putter_fd(u->putter), EV_READ | EV_PERSIST, on_put, u);
	u->read_event = event_new(
		base, object_pool_fd(u->readers), EV_READ | EV_PERSIST, on_read, u);
	u->maintenance_event = event_new(
		base, object_pool_fd(u->maintenance), EV_READ | EV_PERSIST, on_maintenance, u);
	u->growing_event = event_new(base, -1, EV_PERSIST, on_growing, u);
	if (u->put_event == NULL || u->read_event == NULL || u->maintenance_event == NULL ||
		u->growing_event == NULL || event_add(u->put_event, NULL) < 0 ||
		event_add(u->read_event, NULL) < 0 || event_add(u->maintenance_event, NULL) < 0 ||
		event_add(u->growing_event, &every) < 0)
		return err_set(e, ERR_TEMP, "cannot make the loop's events");
	return 0;
}

static void event_drop(struct event **ev)
{
	if (*ev != NULL)
		event_free(*ev);
	*ev = NULL;
}

static void pool_end(struct object_pool **p, struct uploader *u, void (*done)(struct uploader *))
{
	if (*p == NULL)
		return;
	object_pool_stop(*p);
	done(u);
	object_pool_free(*p);
	*p = NULL;
}

void uploader_stop(struct uploader *u)
{
	event_drop(&u->put_event);
	event_drop(&u->read_event);
	event_drop(&u->maintenance_event);
	event_drop(&u->growing_event);
	if (u->putter != NULL) {
		put_growing_abandon(u);
		putter_stop(u->putter);
		put_jobs_done(u);
		putter_free(u->putter);
		u->putter = NULL;
	}
	pool_end(&u->readers, u, get_jobs_done);
	pool_end(&u->maintenance, u, maintain_jobs_done);
	if (u->store != NULL)
		u->store->driver->close(u->store);
	u->store = NULL;
}
