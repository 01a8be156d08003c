/* commands: the handlers of the command table, and what the client's loop asks of two of them. */
#ifndef LM_IMAP_COMMANDS_H
#define LM_IMAP_COMMANDS_H

#include "services/imap/imap-client.h"

void cmd_append(struct imap_client *c);
void cmd_capability(struct imap_client *c);
void cmd_check(struct imap_client *c);
void cmd_close(struct imap_client *c);
void cmd_copy(struct imap_client *c);
void cmd_create(struct imap_client *c);
void cmd_delete(struct imap_client *c);
void cmd_enable(struct imap_client *c);
void cmd_examine(struct imap_client *c);
void cmd_expunge(struct imap_client *c);
void cmd_fetch(struct imap_client *c);
void cmd_id(struct imap_client *c);
void cmd_idle(struct imap_client *c);
void cmd_list(struct imap_client *c);
void cmd_login(struct imap_client *c);
void cmd_logout(struct imap_client *c);
void cmd_lsub(struct imap_client *c);
void cmd_move(struct imap_client *c);
void cmd_namespace(struct imap_client *c);
void cmd_noop(struct imap_client *c);
void cmd_rename(struct imap_client *c);
void cmd_search(struct imap_client *c);
void cmd_select(struct imap_client *c);
void cmd_status(struct imap_client *c);
void cmd_store(struct imap_client *c);
void cmd_subscribe(struct imap_client *c);
void cmd_unselect(struct imap_client *c);
void cmd_unsubscribe(struct imap_client *c);

/* IDLE: looks for DONE in the input; announces what has changed. */
void imap_idle_run(struct imap_client *c);
void imap_idle_sync(struct imap_client *c);

/* A literal begins. 0: not APPEND's message, collect it; 1: it is being streamed to
 * imap_append_data; -1: refused, the client has been told. */
int imap_append_literal(struct imap_client *c);
void imap_append_data(struct imap_client *c, struct span data);
void imap_append_data_end(struct imap_client *c);
void imap_append_abort(struct imap_client *c); /* forgets a message that is under way */

/* STATUS's counters "(MESSAGES 1 ...)" for a mailbox; items are the bits below. */
enum status_item {
	STATUS_MESSAGES = 1 << 0,
	STATUS_RECENT = 1 << 1,
	STATUS_UIDNEXT = 1 << 2,
	STATUS_UIDVALIDITY = 1 << 3,
	STATUS_UNSEEN = 1 << 4,
	STATUS_SIZE = 1 << 5,
	STATUS_HIGHESTMODSEQ = 1 << 6,
};
struct mailbox_info;
bool imap_parse_status_items(struct imap_parser *p, unsigned *items_r);
void imap_write_status(struct imap_client *c, const struct mailbox_info *info, unsigned items);

#endif
