/* session-commands: the verbs of indexer/session, see session-commands.c. */
#ifndef INDEXER_SESSION_COMMANDS_H
#define INDEXER_SESSION_COMMANDS_H

#include "lib-common/channel.h"

extern const struct command_def session_commands[];
void session_attach(struct request *req); /* session.c */

#endif
