/*
 * fetch: what cmd-fetch.c (the command), fetch-parse.c (its arguments) and fetch-body.c (sections
 * of the text) share. RFC 3501 6.4.5 and 7.4.2, RFC 7162 3.1.4.
 */
#ifndef LM_IMAP_FETCH_H
#define LM_IMAP_FETCH_H

#include "lib-storage/meta.h"
#include "services/imap/body-reader.h"
#include "services/imap/imap-client.h"

enum fetch_item {
	FETCH_FLAGS = 1 << 0,
	FETCH_UID = 1 << 1,
	FETCH_INTERNALDATE = 1 << 2,
	FETCH_SIZE = 1 << 3,
	FETCH_MODSEQ = 1 << 4,
	FETCH_ENVELOPE = 1 << 5,
	FETCH_BODY = 1 << 6,
	FETCH_BODYSTRUCTURE = 1 << 7,
};
#define FETCH_META (FETCH_ENVELOPE | FETCH_BODY | FETCH_BODYSTRUCTURE)

#define FETCH_SECTIONS_MAX 100
#define FETCH_FIELDS_MAX 1000
#define FETCH_HEADER_MAX (8u << 20) /* a larger header cannot be filtered */

struct fetch_section {
	struct span label; /* "BODY[1.2]<0>" as the answer names it */
	struct span numbers;
	enum meta_section kind;
	bool whole;  /* BODY[]: needs no structure */
	bool filter; /* HEADER.FIELDS */
	bool invert;
	struct span *names;
	size_t n_names;
	bool partial;
	uint64_t offset, count;
};

struct fetch_msg {
	uint32_t seq;
	struct mailbox_record record;
	struct span meta, locator; /* in the batch's replies */
};

/* Messages whose metadata was asked for with one request. */
struct fetch_batch {
	struct imap_client *c;
	struct fetch_msg *msgs;
	size_t n;
	bool asked_meta, asked_locators; /* under way */
	bool failed;
	struct buf metas, locators;
};

/* Where one section of one message comes from. */
struct fetch_plan {
	enum { PLAN_NIL, PLAN_EMPTY, PLAN_FIELDS, PLAN_READ, PLAN_FILTER, PLAN_FAILED } how;
	uint64_t offset, length; /* in the body */
	size_t range;		 /* PLAN_READ, PLAN_FILTER: number in the reader */
};

struct fetch_state {
	unsigned items; /* enum fetch_item */
	struct fetch_section sections[FETCH_SECTIONS_MAX];
	size_t n_sections;
	bool sets_seen;
	uint64_t changed_since;
	struct uidset uids;
	struct uidset seen; /* got \Seen by this command: told with FLAGS */
	uint32_t next_uid;  /* where collecting goes on; 0: all were collected */
	bool needs_meta, needs_body;
	struct fetch_batch *now, *ahead;
	struct body_reader *reader;
	struct fetch_plan *plans; /* of the batch: messages by sections */
	size_t msg;		  /* of the batch: which is being written */
	size_t section;
	bool begun; /* its first items are written, as far as there are any */
	bool open;  /* "* n FETCH (" of it is written */
	bool in_literal;
	struct arena *arena; /* of one message */
	struct meta meta;
	bool meta_ok;
	struct buf filter;
	size_t unavailable; /* messages of which something was missing */
};

/* Reads the items behind the set. False: the parser's error is set. */
bool fetch_parse(struct imap_client *c, struct fetch_state *f);

/* Decides for a batch that has come whence its sections come, and asks for what must be read. */
void fetch_plan_batch(struct imap_client *c, struct fetch_state *f);
/* Writes the sections of the present message. 1: done; 0: wait for octets or for room; -1: the
 * connection must be closed (a literal cannot be completed). */
int fetch_write_sections(struct imap_client *c, struct fetch_state *f);
/* Begins the answer for the message, or separates the next item. */
void fetch_write_item(struct imap_client *c, struct fetch_state *f);

#endif
