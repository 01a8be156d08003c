/*
 * imap-client: one session after login. All of its state lives in one struct imap_client, so that a
 * process can serve one session or many. It holds the client's socket, the command that is running,
 * the channel to `indexer` (imap-session.h) and the selected mailbox with its view
 * (mailbox-view.h).
 *
 * One command runs at a time; what the client pipelines behind it waits in the input. A command's
 * handler (imap-commands.c has the table, one file cmd-*.c each) parses its arguments and either
 * ends with one of imap_cmd_ok, _no, _bad, _fail, or has asked something of a peer and ends from
 * the callback. What makes much output looks at imap_output_full() and returns with cmd.resume set;
 * it is called when the socket has drained. Nothing blocks.
 *
 * A client is freed by imap_client_close() from the loop's next turn only, so callbacks may go on
 * using it after an error. Callbacks of calls never run after that.
 */
#ifndef LM_IMAP_CLIENT_H
#define LM_IMAP_CLIENT_H

#include <event2/event.h>
#include "lib-common/channel.h"
#include "lib-common/mem.h"
#include "lib-common/service.h"
#include "lib-storage/flags.h"
#include "lib-storage/imap-lexer.h"
#include "lib-storage/imap-parser.h"
#include "lib-storage/imap-write.h"
#include "lib-storage/uidset.h"
#include "services/imap/imap-settings.h"
#include "services/imap/mailbox-view.h"

#define IMAP_OUTPUT_MAX (256u << 10) /* then commands wait for the client to read */
#define IMAP_INPUT_MAX (64u << 10)   /* read ahead of the running command */
#define IMAP_BAD_MAX 20		     /* bad commands in a row, then BYE */
#define IMAP_WAIT_MS 20000	     /* a command waits so long for indexer to come back */
#define IMAP_CALL_MS 60000	     /* deadline of a request to indexer or the object store */

struct imap_client;

enum imap_cmd_flags {
	CMD_SELECTED = 1 << 0, /* only with a mailbox selected */
	CMD_UID = 1 << 1,      /* has a UID form */
	CMD_UID_ONLY = 1 << 2, /* has no other */
	CMD_SEQUENCE = 1 << 3, /* no EXPUNGE while it runs, unless it is the UID form (7.4.1) */
	CMD_LOCAL = 1 << 4,    /* runs though indexer is away */
	CMD_QUIET = 1 << 5,    /* ends without announcing changes */
};

struct imap_cmd_def {
	const char *name;
	void (*run)(struct imap_client *c);
	unsigned flags;
};
const struct imap_cmd_def *imap_command_find(struct span name);
/* The names of all that works in this state, with "CAPABILITY " in front. */
void imap_write_capabilities(struct buf *out);

struct imap_cmd {
	const struct imap_cmd_def *def;
	bool running, uid;
	struct span tag;
	struct imap_parser args; /* behind the command's name */
	struct arena *arena;
	void (*resume)(struct imap_client *c); /* the output has room again */
	void *state;			       /* the command's own */
	void (*free_state)(struct imap_client *c);
	struct buf result; /* the tagged response, while changes are being announced */
	bool ending;	   /* answered, though changes are still being announced */
	bool done;	   /* its memory waits to be freed */
	bool heavy;	   /* used much memory: give it back when idle */
};

enum imap_session_state { SESSION_DOWN, SESSION_ATTACHING, SESSION_READY };

/* The channel to indexer. */
struct imap_session {
	struct client *channel;
	enum imap_session_state state;
	char *grant;
	uint64_t account, quota_bytes, quota_messages, used_bytes;
	unsigned attempts;
	struct event *retry;
	bool voided; /* the grant was refused: the session ends */
};

struct imap_mailbox {
	bool selected, readonly, gone;
	uint64_t id;
	char *name; /* UTF-8 */
	uint32_t uidvalidity;
	struct mailbox_view view;
	struct uidset recent; /* UIDs that are \Recent in this session */
	char *keywords[FLAG_KEYWORDS];
	unsigned n_keywords;
	size_t told_exists, told_recent;
	bool keywords_changed;
};

struct imap_append; /* cmd-append.c */

struct imap_client {
	struct imap_client *next, *prev; /* of imap_server.clients */
	struct imap_server *server;
	const struct imap_settings *set;
	int fd;
	struct event *ev_read, *ev_write, *ev_run, *ev_timer;
	struct buf in, out;
	struct imap_lexer lexer;
	char *user, *address, *id_told;
	char trace[TRACE_ID_SIZE];
	struct request *handoff; /* not yet answered */
	struct buf login_tag;
	bool running, closing, draining, logged_out;
	bool eof, input_eof; /* the socket is dead; the client has said all it will say */
	bool sync_wanted;    /* IDLE: changes are to be told when the output has room */
	bool condstore;	     /* RFC 7162: the client wants MODSEQ */
	bool idling;
	unsigned bad_commands;
	uint64_t commands, bytes_in, bytes_out, last_input_ms;
	uint64_t wait_until_ms; /* a command waits for indexer */
	struct imap_cmd cmd;
	struct imap_session session;
	struct imap_mailbox mbox;
	struct imap_append *append;
};

/* What the process shares. */
struct imap_server {
	struct service *svc;
	struct imap_client *clients;
	struct client *put, *get; /* objects/put, objects/get */
	uint64_t temp_bytes;	  /* of all sessions' temporary files */
};

/* Connected at the first call. */
struct client *imap_objects_put(struct imap_server *s);
struct client *imap_objects_get(struct imap_server *s);

/* Takes over the socket and the request, which is answered when indexer has accepted the ticket. */
void imap_client_new(struct imap_server *server, struct request *req, int fd);
/* Ends the session: pending output is still sent when there is any hope for it. */
void imap_client_close(struct imap_client *c);
void imap_client_bye(struct imap_client *c, const char *code, const char *text);
void imap_client_drain(struct imap_client *c); /* ends at the next idle moment */
/* Runs what the input holds, from the loop. */
void imap_client_wake(struct imap_client *c);
/* IDLE has begun: keep-alive lines are due. What the client does not use is given back. */
void imap_client_idle_started(struct imap_client *c);
/* The command's answer goes to login, or to the client. */
void imap_client_attached(struct imap_client *c, const struct err *e);

/* Sends what it can. True: there is more than IMAP_OUTPUT_MAX left; set cmd.resume and return. */
bool imap_output_full(struct imap_client *c);
void imap_output_flush(struct imap_client *c);

/* The end of a command. code may be NULL ("TRYCREATE"); changes are announced before the tagged
 * line. */
void imap_cmd_ok(struct imap_client *c, const char *code, const char *text);
void imap_cmd_no(struct imap_client *c, const char *code, const char *text);
void imap_cmd_bad(struct imap_client *c, const char *text);
void imap_cmd_bad_args(struct imap_client *c); /* with the parser's sentence */
/* NO with the response code for the error (RFC 5530); *e is logged when it is our own trouble. */
void imap_cmd_fail(struct imap_client *c, const struct err *e);
void imap_cmd_fail_result(struct imap_client *c, const struct result *r);
const char *imap_code_of(enum err_code code);
/* State of the running command from its arena, zeroed. */
void *imap_cmd_state(struct imap_client *c, size_t size, void (*free_state)(struct imap_client *c));

/* Parses SP and a mailbox name; *name_r is UTF-8 in the stored form, in the command's arena. On
 * false the command has been answered. */
bool imap_arg_mailbox(struct imap_client *c, const char **name_r);
/* The same for an astring that was parsed already. NULL with *e set. */
const char *imap_mailbox_name(struct imap_client *c, struct span wire, struct err *e);
/* SP and a message set, turned into UIDs of the view: "*" and ranges resolved, UIDs that do not
 * exist dropped. On false the command has been answered. */
bool imap_arg_messages(struct imap_client *c, struct uidset *uids_r);
bool imap_parse_messages(struct imap_client *c, struct span text, bool uid, struct uidset *uids_r);
/* A parenthesised list of flags, or flags without parentheses to the end. Keywords that the mailbox
 * does not have are joined by blanks in *keywords_r. On false the parser's error is set. */
bool imap_parse_flags(
	struct imap_client *c, bool parens, uint64_t *flags_r, struct buf *keywords_r);

/* Writes a mailbox name for the wire (modified UTF-7). */
void imap_write_mailbox(struct buf *out, struct span name);
void imap_write_flags(struct imap_client *c, struct buf *out, uint64_t flags, bool recent);
/* The names of all flags, "(\Answered ...)" */
void imap_write_flag_names(struct imap_client *c, struct buf *out, bool permanent);
bool imap_is_recent(const struct imap_client *c, uint32_t uid);
size_t imap_count_recent(const struct imap_client *c);
int imap_keyword_find(const struct imap_client *c, struct span name); /* bit number, or -1 */
/* Announces what may be announced. False: the output is full, call again when it has drained. */
bool imap_sync(struct imap_client *c, bool expunges);
/* CONDSTORE becomes active by a command that uses it (RFC 7162 3.1). */
void imap_enable_condstore(struct imap_client *c);

#endif
