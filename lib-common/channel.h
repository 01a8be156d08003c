/*
 * channel: the one line protocol between all LightMail processes, both ends of it. SOCK_STREAM Unix
 * sockets; on connect both sides send, without waiting,
 *
 *	LIGHTMAIL<TAB>role<TAB>major.minor[<TAB>token=hex]<LF>
 *
 * then requests go one way:	tag<TAB>VERB<TAB>key=value...<LF>
 * and answers the other:	tag<TAB>OK|TEMP|PERM<TAB>key=value...<LF>	(code= and text= on
 *failure) and events, unasked:		*<TAB>EVENT<TAB>key=value...<LF>
 *
 * Escaping inside a field: the escape octet is 0x01; TAB, LF, CR, NUL, 0x01 are 0x01 followed by
 * 't', 'n', 'r', '0', '1'. Any other octet stands for itself. A line has at most 16 KiB and 256
 * parameters. A tag is a decimal number that the asking side chooses.
 *
 * A line may carry one body and one descriptor:
 *  - body=<n>: n octets (at most 64 KiB) follow the LF. bodyfd=<n>: the body is a sealed memfd
 *passed with SCM_RIGHTS. Which of the two is chosen by length, by the sender's library; the reader
 *of a request or result sees a span either way (a memfd is mapped only with F_SEAL_SHRINK and
 *    F_SEAL_WRITE, CORNERS M1).
 *  - fd=1: a descriptor whose meaning is the verb's own.
 * With both, the body's descriptor comes first. Descriptors are sent by a sendmsg whose first octet
 *is the first octet of their line, and only once. MSG_CTRUNC, a surplus descriptor, or one where
 *the role allows none closes the connection (CORNERS M14).
 *
 * Every request gets exactly one answer, in any order. deadline= (milliseconds left) and trace=
 * travel with every request and are handled here. A peer that breaks the protocol is disconnected
 *and logged once. Arguments are typed and checked from the command's table before its handler runs:
 *unknown keys are skipped, an unknown verb is answered PERM, and so is a missing or ill-typed
 *argument or a body or descriptor that the command does not take. SECRET arguments are never
 *logged.
 *
 * Around a handler and around a callback the log's trace id is the request's own; new calls start
 *with the trace id of the moment. Everything here belongs to the thread of its event_base.
 */
#ifndef LM_CHANNEL_H
#define LM_CHANNEL_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include "lib-common/buf.h"
#include "lib-common/err.h"
#include "lib-common/log.h"

#define CHANNEL_LINE_MAX 16384
#define CHANNEL_INLINE_MAX 65536
#define CHANNEL_OUTPUT_MAX 262144     /* then the peer's requests are not read any more */
#define CHANNEL_BODY_MAX (256u << 20) /* of a bodyfd */
#define CHANNEL_MAJOR 1
#define CHANNEL_MINOR 0

/* ---- shared: parameters of a line ---- */

struct channel_param {
	struct span key, value; /* value is unescaped */
};

/* ---- server ---- */

enum arg_type { ARG_STRING, ARG_UINT, ARG_INT, ARG_HEX, ARG_SECRET, ARG_FLAG /* value 0 or 1 */ };

struct arg_def {
	const char *name;
	enum arg_type type;
	bool required;
	const char *doc;
};

struct request;

/* One verb of a role. The table is also what doc/protocols.md is printed from. */
struct command_def {
	const char *verb;
	const struct arg_def *args; /* ends with name NULL; may be NULL */
	enum { COMMAND_BODY_NONE, COMMAND_BODY_OPTIONAL, COMMAND_BODY_REQUIRED } body;
	enum { COMMAND_FD_NONE, COMMAND_FD_OPTIONAL, COMMAND_FD_REQUIRED } fd;
	void (*handle)(struct request *req);
	const char *doc;
};

struct channel;

struct role_def {
	const char *name;		    /* "indexer/session" */
	const struct command_def *commands; /* ends with verb NULL */
	unsigned max_in_flight;		    /* requests of one peer at once; 0: 256 */
	/* A peer has completed the handshake; return -1 to close (on_close is not called then). May
	 * be NULL. */
	int (*on_open)(struct channel *ch);
	/* The peer is gone, after a successful on_open. Requests still open get no answer and must
	 * still be finished with a reply (which is dropped). May be NULL. */
	void (*on_close)(struct channel *ch);
	const char *doc;
};

/* Takes over an accepted connection. `token` (hex, may be NULL): what the peer's handshake must
 * carry. `peer` is the name of the service on the other end, known from the listener ("imap"). */
struct channel *channel_accept(struct event_base *base, int fd, const struct role_def *role,
	const char *token, const char *peer, void *service);
/* on_close runs before it returns. The object itself lives until its last request is answered. */
void channel_close(struct channel *ch);
/* Called once when the connection is gone, whether its handshake was done or not: for who counts.
 */
void channel_on_gone(struct channel *ch, void (*gone)(void *ctx), void *ctx);
void *channel_service(const struct channel *ch);
const char *channel_peer(const struct channel *ch);
const struct role_def *channel_role(const struct channel *ch);
int channel_peer_uid(const struct channel *ch);	       /* SO_PEERCRED */
void channel_set_data(struct channel *ch, void *data); /* the service's own state per peer */
void *channel_data(const struct channel *ch);
size_t channel_output_pending(const struct channel *ch); /* octets not yet taken by the peer */
unsigned channel_in_flight(const struct channel *ch);
/* Sends an event with a body (may be empty). params: pairs of char* key, char* value, ended by
 * NULL. */
void channel_event(struct channel *ch, const char *event, struct span body, ...)
	__attribute__((sentinel));
/* The same with a descriptor (fd=1); close_after (an int, as it stands before the dots) as with
 * reply_fd. */
void channel_event_fd(struct channel *ch, const char *event, struct span body, int fd,
	int close_after, ...) __attribute__((sentinel));

/* What a handler may ask of its request. Spans live until the request is answered. */
struct channel *request_channel(const struct request *req);
const char *request_verb(const struct request *req);
uint64_t request_tag(const struct request *req); /* what the client's call_tag gave */
bool request_has(const struct request *req, const char *key);
struct span request_span(const struct request *req, const char *key); /* empty when absent */
const char *request_str(const struct request *req, const char *key);  /* NUL-terminated; "" when
									 absent; NULs cut it */
uint64_t request_uint(const struct request *req, const char *key);    /* 0 when absent */
int64_t request_int(const struct request *req, const char *key);
struct span request_body(const struct request *req);
int request_take_fd(struct request *req); /* the caller owns it afterwards; -1: none left */
struct arena *request_arena(const struct request *req);
uint64_t request_deadline_ms(const struct request *req); /* CLOCK_BOOTTIME; 0: none */
bool request_expired(const struct request *req);
bool request_peer_gone(const struct request *req);
const char *request_trace(const struct request *req);
void request_set_data(struct request *req, void *data);
void *request_data(const struct request *req);

/* Building the answer, then exactly one of reply_ok, reply_fail and reply_code; the request is gone
 * after. A handler may keep the request and answer later, from the loop's thread. A failure carries
 * code and text alone: what was built before is dropped. reply_fail logs the text for the log (a
 * warning when the failure is temporary, else for debugging). An answer whose line would be too
 * long becomes a PERM of code limit. */
void reply_str(struct request *req, const char *key, const char *value);
void reply_span(struct request *req, const char *key, struct span value);
void reply_uint(struct request *req, const char *key, uint64_t value);
void reply_int(struct request *req, const char *key, int64_t value);
void reply_hex(struct request *req, const char *key, const void *data, size_t n);
struct buf *reply_body(struct request *req); /* append to it */
/* close_after: the library owns it from now on; else it keeps a duplicate. */
void reply_fd(struct request *req, int fd, bool close_after);
void reply_ok(struct request *req);
void reply_fail(struct request *req, const struct err *e);
void reply_code(struct request *req, enum err_code code, const char *text);

/* ---- client ---- */

struct client;
struct call;

struct result {
	enum err_code
		code; /* ERR_NONE: OK. ERR_TEMP too when the connection broke or time ran out */
	const struct channel_param *params;
	size_t n_params;
	struct span text; /* on failure, for the user */
	const char *why;  /* on failure without an answer of the peer: the reason, for the log; else
			     NULL */
	struct span body; /* lives until the callback returns */
	int fd;		  /* -1, or the callback takes it by setting it to -1; else closed after */
};

struct span result_span(const struct result *r, const char *key);
const char *result_str(
	const struct result *r, const char *key); /* valid until the callback returns */
uint64_t result_uint(const struct result *r, const char *key);
int64_t result_int(const struct result *r, const char *key);
bool result_has(const struct result *r, const char *key);
void result_err(const struct result *r, struct err *e); /* fills an error object from a failure */

struct client_def {
	const char *role; /* "objects/put" */
	const char *path;
	const char *token; /* hex, or NULL */
	/* Connect again when the connection breaks (with backoff from 50 ms to 2 s); calls in
	 * flight are answered ERR_TEMP, calls made while it is down wait for the connection within
	 * their time. false: one connection; on_close tells of its end and calls after it fail at
	 * once. */
	bool reconnect;
	void (*on_open)(struct client *c, void *ctx);  /* handshake done; may be NULL */
	void (*on_close)(struct client *c, void *ctx); /* connection lost; may be NULL */
	/* r lives until it returns, and so does r->fd, which is to be duplicated if it is kept. May
	 * be NULL. */
	void (*on_event)(struct client *c, const char *event, const struct result *r, void *ctx);
	void *ctx;
};

/* Copies the strings. Connects at once, in the background. */
struct client *client_new(struct event_base *base, const struct client_def *def);
/* The same over a connected socket. */
struct client *client_new_fd(struct event_base *base, const struct client_def *def, int fd);
void client_free(struct client *c); /* open calls are answered ERR_TEMP first */
bool client_is_open(const struct client *c);
unsigned client_in_flight(const struct client *c);
size_t client_output_pending(const struct client *c);
int client_fd(const struct client *c);

struct call *call_new(struct client *c, const char *verb);
void call_str(struct call *call, const char *key, const char *value);
void call_span(struct call *call, const char *key, struct span value);
void call_uint(struct call *call, const char *key, uint64_t value);
void call_int(struct call *call, const char *key, int64_t value);
void call_hex(struct call *call, const char *key, const void *data, size_t n);
void call_trace(struct call *call, const char *trace_id);
struct buf *call_body(struct call *call); /* append to it */
void call_body_span(
	struct call *call, struct span body); /* not copied: must live until call_send returns */
void call_fd(struct call *call, int fd, bool close_after); /* as reply_fd */
void call_free(struct call *call);			   /* a call that will not be sent */
/* The tag under which it will be sent, for verbs that refer to another request (GROWN). */
uint64_t call_tag(const struct call *call);
typedef void call_cb(struct result *r, void *ctx);
/* Consumes the call. cb runs exactly once, never before call_send returns; cb may be NULL. Returns
 * the tag. timeout_ms 0: no deadline. */
uint64_t call_send(struct call *call, uint64_t timeout_ms, call_cb *cb, void *ctx);
/* The callback of an open call will not run any more (its owner goes away). */
void client_forget(struct client *c, const void *ctx);

/* For tools and tests: runs the loop until the answer is there. The result is owned by the caller.
 */
struct result *call_wait(struct call *call, uint64_t timeout_ms);
void result_free(struct result *r);

/* Frees the buffers that this thread keeps for the next input and output: for a session that goes
 * idle. */
void channel_release_memory(void);

/* Appends a role's table of commands as Markdown: a section of doc/protocols.md. */
void channel_role_print(const struct role_def *role, struct buf *out);

/* ---- codec, for tests and fuzzing ---- */
void channel_escape(struct buf *out, struct span value);
bool channel_unescape(struct buf *out, struct span escaped); /* false: a stray escape octet */

uint64_t clock_boot_ms(void); /* CLOCK_BOOTTIME */
uint64_t clock_boot_us(void);
int64_t clock_wall_s(void);

#endif
