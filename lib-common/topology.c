#include "lib-common/topology.h"

#include <stddef.h>

const struct topology_role topology_roles[] = {
	{"auth/login", "auth", "login"},
	{"auth/lookup", "auth", "lmtp"},
	{"auth/admin", "auth", "api ctl"},
	{"imap/handoff", "imap", "login"},
	{"indexer/session", "indexer", "imap"},
	{"indexer/deliver", "indexer", "lmtp"},
	{"indexer/admin", "indexer", "api ctl auth"},
	{"objects/put", "s3-uploader", "lmtp imap"},
	{"objects/get", "s3-uploader", "imap api ctl"},
	{"objects/maintain", "s3-uploader", "indexer ctl"},
	{"master/admin", "master", "api ctl"},
	{NULL, NULL, NULL},
};

const struct topology_key topology_keys[] = {
	{"ticket-key", "auth indexer"},
	{"receipt-key", "s3-uploader indexer"},
	{NULL, NULL},
};

const struct topology_listener topology_listeners[] = {
	{"imap", "login", "imap_listen"},
	{"imaps", "login", "imaps_listen"},
	{"lmtp", "lmtp", "listen"},
	{"http", "api", "listen"},
	{NULL, NULL, NULL},
};
