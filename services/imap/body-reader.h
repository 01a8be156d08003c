/*
 * body-reader: reads ranges of many bodies from objects/get in the order in which they were added,
 * asking ahead within a window of 1 MiB (CORNERS M21): small ranges go many to a request, large
 * ones in pieces. What is read comes in pieces, each of one range; memory is bounded by the window.
 */
#ifndef LM_BODY_READER_H
#define LM_BODY_READER_H

#include "services/imap/imap-client.h"

enum body_status { BODY_OK, BODY_TEMP, BODY_NOTFOUND, BODY_CORRUPT };

struct body_piece {
	size_t range;	    /* number of the range, in the order of body_reader_add */
	uint64_t offset;    /* of the piece in its range */
	struct span octets; /* until the next call; empty when it failed */
	enum body_status status;
	bool last; /* the range is complete */
};

struct body_reader;

/* `wake` is called, from the loop, when body_reader_next may have more to give. */
struct body_reader *body_reader_new(struct imap_client *c, void (*wake)(struct imap_client *c));
void body_reader_free(struct body_reader *r); /* NULL is fine */
/* The locator's text is copied. length must not be 0. */
void body_reader_add(struct body_reader *r, struct span locator, uint64_t offset, uint64_t length);
/* 1: *piece_r; 0: not here yet; -1: all ranges that were added have been given. */
int body_reader_next(struct body_reader *r, struct body_piece *piece_r);
/* Forgets all ranges, for the next batch. Only when body_reader_next has said -1. */
void body_reader_reset(struct body_reader *r);

#endif
