/*
 * search: SEARCH's keys (RFC 3501 6.4.4, RFC 7162 3.1.5) as a program in reverse Polish order, made
 * without recursion, and its evaluation in three steps of cost: what the view knows, what the
 * prepared metadata tells, what only the text itself can. A step leaves open what it cannot tell,
 * and messages that a cheaper step has decided never reach a dearer one.
 */
#ifndef LM_IMAP_SEARCH_H
#define LM_IMAP_SEARCH_H

#include "lib-storage/meta.h"
#include "lib-storage/text.h"
#include "services/imap/imap-client.h"

#define SEARCH_DEPTH_MAX 100

enum search_op {
	SEARCH_AND, /* of the `count` values before it */
	SEARCH_OR,
	SEARCH_NOT,
	SEARCH_ALL,
	SEARCH_FLAGS, /* has all of `flags` */
	SEARCH_RECENT,
	SEARCH_SET,
	SEARCH_BEFORE, /* internal date's day < number, as it is written in its zone */
	SEARCH_ON,
	SEARCH_SINCE,
	SEARCH_SENTBEFORE,
	SEARCH_SENTON,
	SEARCH_SENTSINCE,
	SEARCH_LARGER,
	SEARCH_SMALLER,
	SEARCH_MODSEQ,
	SEARCH_HEADER,
	SEARCH_BODY,
	SEARCH_TEXT,
};

struct search_node {
	enum search_op op;
	unsigned count;
	uint64_t flags;
	int64_t number;
	struct uidset set;
	struct span name; /* of a header field */
	struct text_needle needle;
	bool has_needle;
};

struct search_program {
	struct search_node *nodes;
	size_t n, cap;
	struct span charset; /* empty: none was named */
	bool uses_modseq, needs_meta, needs_header, needs_text;
};

/* 0; -1: BAD, the parser's error is set; -2: NO [BADCHARSET]. */
int search_parse(struct imap_client *c, struct search_program *program);
void search_clear(struct search_program *program);

enum search_truth { SEARCH_FALSE, SEARCH_TRUE, SEARCH_OPEN };

struct search_message {
	const struct imap_client *c;
	const struct mailbox_record *record;
	const struct meta *meta; /* NULL: not known yet */
	struct span header;	 /* the whole header; p == NULL: not known yet */
	struct span text;	 /* the whole message; p == NULL: not known yet */
};
enum search_truth search_eval(const struct search_program *program, const struct search_message *m);

#endif
