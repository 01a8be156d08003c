/*
 * imap-session: the channel to `indexer` that is bound to the session's account. It is opened with
 * the ticket, and after a restart of indexer again with the grant (ARCHITECTURE: the session
 * ticket); the selected mailbox is then taken up anew, and the differences are announced like any
 * other change. Calls in flight when the channel breaks are answered ERR_TEMP.
 */
#ifndef LM_IMAP_SESSION_H
#define LM_IMAP_SESSION_H

#include "services/imap/imap-client.h"

int imap_session_open(struct imap_client *c, const char *ticket);
void imap_session_close(struct imap_client *c);
/* A request on the session's channel. NULL while it is down (the command has then been answered).
 */
struct call *imap_session_call(struct imap_client *c, const char *verb);
void imap_session_send(struct imap_client *c, struct call *call, call_cb *cb);

/* One mailbox as MAILBOXES and STATUS tell it. */
struct mailbox_info {
	uint64_t id;
	const char *name; /* UTF-8, in the arena */
	bool noselect, subscribed;
	uint32_t uidvalidity, uidnext;
	uint64_t messages, unseen, deleted, size, highestmodseq;
	const char *special; /* "\Sent", or NULL */
};
/* Takes one line off the front; false at the end. A malformed line ends the list. */
bool mailbox_info_next(struct span *lines, struct arena *arena, struct mailbox_info *info_r);

/* The selected mailbox. */
void imap_mailbox_close(struct imap_client *c);
void imap_mailbox_set_keywords(struct imap_client *c, struct span names);
/* Fills the view from a SELECT's reply. */
int imap_mailbox_load(struct imap_client *c, struct result *r, bool again, struct err *e);

#endif
