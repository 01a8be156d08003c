/*
 * s3-uploader: what its files share. The loop thread owns everything here; bodies are encoded,
 * synced, read and decoded by the threads of object-put and object-read, which hand their jobs back
 * through a descriptor each.
 */
#ifndef LM_S3_UPLOADER_H
#define LM_S3_UPLOADER_H

#include <event2/event.h>
#include "lib-common/channel.h"
#include "lib-common/service.h"
#include "lib-storage/object-put.h"
#include "lib-storage/object-read.h"
#include "lib-storage/receipt.h"
#include "services/s3-uploader/s3-uploader-settings.h"

struct put;

struct uploader {
	const struct s3_uploader_settings *settings;
	unsigned char receipt_key[RECEIPT_KEY_BYTES];
	bool has_recovery_key;
	unsigned char recovery_key[32];
	int folder;
	struct kek_ring *ring;
	struct object_store *store;

	struct putter *putter;
	struct object_pool *readers, *maintenance;
	struct event *put_event, *read_event, *maintenance_event, *growing_event;
	struct put *growing; /* bodies not yet final */
	unsigned large;	     /* bodies under way that have a pack of their own */
};

/* Starts the threads; store folder, keys and settings are set. -1: uploader_stop is still to be
 * called. */
int uploader_start(struct uploader *u, struct event_base *base, struct err *e);
/* Ends the threads, answers what is still open and frees all that uploader_start made. */
void uploader_stop(struct uploader *u);

/* Of a request's channel. */
struct uploader *request_uploader(const struct request *req);
extern const struct arg_def no_args[];
void ping_handle(struct request *req);

/* s3-uploader-put.c: role objects/put */
extern const struct role_def objects_put_role;
void put_jobs_done(struct uploader *u);
void put_growing_check(struct uploader *u);   /* gives up those without progress */
void put_growing_abandon(struct uploader *u); /* all of them */

/* s3-uploader-get.c: role objects/get */
extern const struct role_def objects_get_role;
void get_jobs_done(struct uploader *u);

/* s3-uploader-maintain.c: role objects/maintain */
extern const struct role_def objects_maintain_role;
void maintain_jobs_done(struct uploader *u);

#endif
