#include "services/imap/imap-client.h"

#include <errno.h>
#include <malloc.h>
#include <sys/socket.h>
#include <unistd.h>
#include "services/imap/commands.h"
#include "services/imap/imap-session.h"

#define READ_SIZE 4096
#define READ_SIZE_STREAM 65536

static void client_on_read(evutil_socket_t fd, short what, void *ctx);
static void client_on_write(evutil_socket_t fd, short what, void *ctx);
static void client_on_run(evutil_socket_t fd, short what, void *ctx);
static void client_on_timer(evutil_socket_t fd, short what, void *ctx);

static void cmd_free(struct imap_client *c)
{
	if (c->cmd.free_state != NULL)
		c->cmd.free_state(c);
	buf_clear(&c->cmd.result);
	arena_free(c->cmd.arena);
	if (c->cmd.heavy)
		(void)malloc_trim(0);
	memset(&c->cmd, 0, sizeof(c->cmd));
}

static void client_free_now(struct imap_client *c)
{
	log_trace(c->trace);
	log_info("imap-session-end", "user", LOG_ADDR(c->user), "commands", LOG_UINT(c->commands),
		"in", LOG_UINT(c->bytes_in), "out", LOG_UINT(c->bytes_out), "logout",
		LOG_INT(c->logged_out), NULL);
	if (c->handoff != NULL)
		reply_code(c->handoff, ERR_TEMP, "The session could not be opened");
	cmd_free(c);
	imap_append_abort(c);
	imap_session_close(c);
	imap_mailbox_close(c);
	imap_lexer_clear(&c->lexer);
	buf_clear(&c->in);
	buf_clear(&c->out);
	buf_clear(&c->login_tag);
	event_free(c->ev_read);
	event_free(c->ev_write);
	event_free(c->ev_run);
	event_free(c->ev_timer);
	(void)close(c->fd);
	if (c->next != NULL)
		c->next->prev = c->prev;
	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		c->server->clients = c->next;
	service_report_session(c->server->svc, c->trace, NULL, NULL, NULL);
	service_client_done(c->server->svc);
	mem_free(c->user);
	mem_free(c->address);
	mem_free(c->id_told);
	mem_free(c);
	log_trace(NULL);
}

static void arm_timer(struct imap_client *c)
{
	uint64_t ms = c->set->idle_timeout_ms;
	struct timeval tv;

	if (c->idling && c->set->idle_notify_ms != 0 && c->set->idle_notify_ms < ms)
		ms = c->set->idle_notify_ms;
	tv.tv_sec = (time_t)(ms / 1000);
	tv.tv_usec = (suseconds_t)(ms % 1000) * 1000;
	event_add(c->ev_timer, &tv);
}

void imap_client_new(struct imap_server *server, struct request *req, int fd)
{
	struct event_base *base = service_base(server->svc);
	struct imap_client *c = mem_alloc(sizeof(*c));
	struct span id = request_span(req, "session"), body = request_body(req);

	c->server = server;
	c->set = service_settings(server->svc);
	c->fd = fd;
	c->user = mem_strdup(request_str(req, "user"));
	c->address = mem_strdup(request_str(req, "address"));
	if (trace_id_valid(id))
		memcpy(c->trace, id.p, id.n);
	else
		trace_id_make(c->trace);
	c->handoff = req;
	buf_add_span(&c->login_tag, request_span(req, "tag"));
	buf_add_span(&c->in, body);
	imap_lexer_init(&c->lexer, (size_t)c->set->max_line_length, IMAP_COMMAND_MAX);
	view_init(&c->mbox.view);
	uidset_init(&c->mbox.recent);
	(void)evutil_make_socket_nonblocking(fd);
	c->ev_read = event_new(base, fd, EV_READ | EV_PERSIST, client_on_read, c);
	c->ev_write = event_new(base, fd, EV_WRITE, client_on_write, c);
	c->ev_run = event_new(base, -1, 0, client_on_run, c);
	c->ev_timer = event_new(base, -1, 0, client_on_timer, c);
	c->next = server->clients;
	if (c->next != NULL)
		c->next->prev = c;
	server->clients = c;
	c->last_input_ms = clock_boot_ms();
	log_trace(c->trace);
	if (imap_session_open(c, request_str(req, "ticket")) < 0)
		imap_client_close(c);
}

void imap_client_attached(struct imap_client *c, const struct err *e)
{
	struct request *req = c->handoff;
	bool capability = !request_has(req, "capability") || request_uint(req, "capability") != 0;

	c->handoff = NULL;
	if (request_peer_gone(req))
		capability = false;
	if (e != NULL || request_peer_gone(req)) {
		if (e != NULL)
			reply_fail(req, e);
		else
			reply_code(req, ERR_TEMP, "too late");
		/* login goes on with the client: nothing of ours may reach it */
		buf_empty(&c->out);
		imap_client_close(c);
		return;
	}
	reply_ok(req);
	log_info("imap-session-begin", "user", LOG_ADDR(c->user), "address", LOG_STR(c->address),
		NULL);
	service_report_session(c->server->svc, c->trace, c->user, c->address, "imap");
	buf_add_span(&c->out, buf_span(&c->login_tag));
	buf_add_str(&c->out, " OK ");
	if (capability) {
		buf_add_c(&c->out, '[');
		imap_write_capabilities(&c->out);
		buf_add_str(&c->out, "] ");
	}
	buf_add_str(&c->out, "Logged in\r\n");
	buf_clear(&c->login_tag);
	event_add(c->ev_read, NULL);
	arm_timer(c);
	imap_client_wake(c);
	imap_output_flush(c);
}

void imap_client_wake(struct imap_client *c)
{
	event_active(c->ev_run, EV_TIMEOUT, 0);
}

void imap_client_close(struct imap_client *c)
{
	if (c->closing)
		return;
	c->closing = true;
	(void)event_del(c->ev_read);
	if (!c->eof)
		imap_output_flush(c);
	imap_client_wake(c);
}

void imap_client_bye(struct imap_client *c, const char *code, const char *text)
{
	if (c->closing)
		return;
	buf_add_str(&c->out, "* BYE ");
	if (code != NULL)
		buf_printf(&c->out, "[%s] ", code);
	buf_add_str(&c->out, text);
	buf_add_str(&c->out, "\r\n");
	imap_client_close(c);
}

void imap_client_drain(struct imap_client *c)
{
	c->draining = true;
	if (!c->cmd.running || c->idling)
		imap_client_wake(c);
}

/* ---- output ---- */

void imap_output_flush(struct imap_client *c)
{
	while (c->out.len > 0 && !c->eof) {
		ssize_t n = send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			event_add(c->ev_write, NULL);
			return;
		}
		if (n < 0) {
			c->eof = true;
			imap_client_close(c);
			return;
		}
		c->bytes_out += (uint64_t)n;
		buf_consume(&c->out, (size_t)n);
	}
	if (c->eof || c->out.len == 0)
		buf_clear(&c->out);
}

bool imap_output_full(struct imap_client *c)
{
	if (c->out.len < IMAP_OUTPUT_MAX / 4)
		return false;
	imap_output_flush(c);
	return c->out.len >= IMAP_OUTPUT_MAX;
}

static void client_on_write(evutil_socket_t fd, short what, void *ctx)
{
	struct imap_client *c = ctx;

	(void)fd;
	(void)what;
	log_trace(c->trace);
	imap_output_flush(c);
	if (c->closing) {
		imap_client_wake(c);
		return;
	}
	c->last_input_ms = clock_boot_ms(); /* it reads: it lives */
	if (c->out.len < IMAP_OUTPUT_MAX / 2) {
		if (c->cmd.running && c->cmd.resume != NULL)
			c->cmd.resume(c);
		imap_client_wake(c);
	}
	imap_output_flush(c);
}

/* ---- the end of a command ---- */

static void cmd_finish(struct imap_client *c)
{
	bool expunges = (c->cmd.def->flags & CMD_SEQUENCE) == 0 || c->cmd.uid;

	if ((c->cmd.def->flags & CMD_QUIET) == 0 && !imap_sync(c, expunges)) {
		c->cmd.resume = cmd_finish;
		return;
	}
	buf_add_span(&c->out, buf_span(&c->cmd.result));
	imap_output_flush(c);
	c->cmd.running = false;
	c->cmd.done = true;
	arm_timer(c);
	if (!c->running)
		imap_client_wake(c);
}

static void cmd_end(struct imap_client *c, const char *status, const char *code, const char *text)
{
	struct buf *b = &c->cmd.result;

	if (c->cmd.ending || !c->cmd.running)
		return;
	c->cmd.ending = true;
	buf_add_span(b, c->cmd.tag);
	buf_add_str(b, status);
	if (code != NULL) {
		buf_add_c(b, '[');
		buf_add_str(b, code);
		buf_add_str(b, "] ");
	}
	buf_add_str(b, text);
	buf_add_str(b, "\r\n");
	cmd_finish(c);
}

void imap_cmd_ok(struct imap_client *c, const char *code, const char *text)
{
	c->bad_commands = 0;
	cmd_end(c, " OK ", code, text);
}

void imap_cmd_no(struct imap_client *c, const char *code, const char *text)
{
	cmd_end(c, " NO ", code, text);
}

void imap_cmd_bad(struct imap_client *c, const char *text)
{
	c->bad_commands++;
	cmd_end(c, " BAD ", NULL, text);
}

void imap_cmd_bad_args(struct imap_client *c)
{
	imap_cmd_bad(c, c->cmd.args.error != NULL ? c->cmd.args.error : "Invalid arguments");
}

const char *imap_code_of(enum err_code code)
{
	switch (code) {
	case ERR_NONE:
		return NULL;
	case ERR_PERM:
		return "CANNOT";
	case ERR_NOTFOUND:
		return "NONEXISTENT";
	case ERR_EXISTS:
		return "ALREADYEXISTS";
	case ERR_QUOTA:
		return "OVERQUOTA";
	case ERR_LIMIT:
		return "LIMIT";
	case ERR_DENIED:
		return "NOPERM";
	case ERR_PROTO:
		return "SERVERBUG";
	case ERR_TEMP:
		break;
	}
	return "UNAVAILABLE";
}

void imap_cmd_fail(struct imap_client *c, const struct err *e)
{
	if (err_is_temporary(e->code) || e->code == ERR_PROTO)
		log_warning("imap-command-failed", "command", LOG_STR(c->cmd.def->name), "code",
			LOG_STR(err_code_name(e->code)), "error", LOG_ERR(e), NULL);
	imap_cmd_no(c, imap_code_of(e->code), err_user_text(e));
}

void imap_cmd_fail_result(struct imap_client *c, const struct result *r)
{
	struct err e = {0};

	result_err(r, &e);
	imap_cmd_fail(c, &e);
}

void *imap_cmd_state(struct imap_client *c, size_t size, void (*free_state)(struct imap_client *c))
{
	c->cmd.state = arena_alloc(c->cmd.arena, size);
	c->cmd.free_state = free_state;
	return c->cmd.state;
}

/* ---- the beginning of a command ---- */

static const struct imap_cmd_def no_command = {"", NULL, CMD_LOCAL};

static void cmd_run(struct imap_client *c)
{
	const struct imap_cmd_def *def = c->cmd.def;

	if ((def->flags & CMD_SELECTED) != 0 && !c->mbox.selected) {
		imap_cmd_bad(c, "No mailbox selected");
		return;
	}
	if ((def->flags & CMD_SELECTED) != 0 && c->mbox.gone) {
		imap_cmd_no(c, "NONEXISTENT", "The selected mailbox has been deleted");
		return;
	}
	def->run(c);
}

static void cmd_begin(struct imap_client *c, struct span text)
{
	struct imap_cmd *cmd = &c->cmd;
	struct span name;

	memset(cmd, 0, sizeof(*cmd));
	c->commands++;
	cmd->running = true;
	cmd->def = &no_command;
	cmd->tag = SPAN("*");
	cmd->arena = arena_new();
	imap_parser_init(&cmd->args, text, cmd->arena);
	if (!imap_parse_tag(&cmd->args, &cmd->tag)) {
		imap_cmd_bad(c, "Invalid tag");
		return;
	}
	if (!imap_parse_space(&cmd->args) || !imap_parse_atom(&cmd->args, &name)) {
		imap_cmd_bad(c, "Missing command");
		return;
	}
	if (span_is_nocase(name, "UID")) {
		cmd->uid = true;
		if (!imap_parse_space(&cmd->args) || !imap_parse_atom(&cmd->args, &name)) {
			imap_cmd_bad(c, "Missing command behind UID");
			return;
		}
	}
	cmd->def = imap_command_find(name);
	if (cmd->def == NULL || (cmd->uid && (cmd->def->flags & CMD_UID) == 0) ||
		(!cmd->uid && (cmd->def->flags & CMD_UID_ONLY) != 0)) {
		cmd->def = &no_command;
		imap_cmd_bad(c, "Unknown command");
		return;
	}
	if ((cmd->def->flags & CMD_LOCAL) == 0 && c->session.state != SESSION_READY) {
		/* indexer is away; it may come back soon */
		c->wait_until_ms = clock_boot_ms() + IMAP_WAIT_MS;
		return;
	}
	cmd_run(c);
}

/* A command waits for indexer: it has come back, or time is up. */
static void cmd_check_wait(struct imap_client *c)
{
	if (c->wait_until_ms == 0)
		return;
	if (c->session.state == SESSION_READY) {
		c->wait_until_ms = 0;
		cmd_run(c);
	} else if (c->session.voided || clock_boot_ms() >= c->wait_until_ms) {
		c->wait_until_ms = 0;
		imap_cmd_no(c, "UNAVAILABLE", "The mail store is not available, try again later");
	}
}

/* ---- input ---- */

/* The tag for an answer to a command that never became whole. */
static void early_answer(struct imap_client *c, const char *status, const char *text)
{
	struct span tag = imap_lexer_tag(&c->lexer);

	buf_add_span(&c->out, tag.n > 0 ? tag : SPAN("*"));
	buf_add_str(&c->out, status);
	buf_add_str(&c->out, text);
	buf_add_str(&c->out, "\r\n");
}

static void on_literal(struct imap_client *c)
{
	int r = imap_append_literal(c);

	if (r == 0) {
		if (imap_lexer_accept(&c->lexer)) {
			if (c->lexer.literal_sync)
				buf_add_str(&c->out, "+ OK\r\n");
			return;
		}
		early_answer(c, " NO ", "[TOOBIG] The literal is too large");
		r = -1;
	}
	if (r < 0 && !imap_lexer_refuse(&c->lexer))
		imap_client_bye(c, "TOOBIG", "The literal is too large");
}

static bool run_step(struct imap_client *c, struct span *input)
{
	struct span data;

	switch (imap_lexer_next(&c->lexer, input, &data)) {
	case IMAP_LEXER_MORE:
		return false;
	case IMAP_LEXER_COMMAND:
		if (imap_lexer_command(&c->lexer).n == 0) {
			imap_lexer_reset(&c->lexer); /* an empty line between commands */
			return true;
		}
		cmd_begin(c, imap_lexer_command(&c->lexer));
		return true;
	case IMAP_LEXER_LITERAL:
		on_literal(c);
		return true;
	case IMAP_LEXER_DATA:
		imap_append_data(c, data);
		return true;
	case IMAP_LEXER_DATA_END:
		imap_append_data_end(c);
		return true;
	case IMAP_LEXER_TOO_LONG:
		c->bad_commands++;
		early_answer(c, " BAD ", "[TOOBIG] The command line is too long");
		return true;
	case IMAP_LEXER_REFUSED:
		imap_append_abort(c);
		imap_lexer_reset(&c->lexer);
		return true;
	}
	return false;
}

/* A command's state outlives its answer up to here, as handlers may look at it on their way out. */
static void cmd_reap(struct imap_client *c)
{
	if (!c->cmd.done)
		return;
	cmd_free(c);
	imap_lexer_reset(&c->lexer);
}

static void client_run(struct imap_client *c)
{
	struct span input;

	c->running = true;
	cmd_reap(c);
	while (!c->closing && !c->cmd.running && c->out.len < IMAP_OUTPUT_MAX) {
		bool more;

		input = buf_span(&c->in);
		more = run_step(c, &input);
		cmd_reap(c);
		buf_consume(&c->in, c->in.len - input.n);
		if (c->bad_commands >= IMAP_BAD_MAX && !c->cmd.running)
			imap_client_bye(c, NULL, "Too many bad commands");
		if (!more)
			break;
	}
	c->running = false;
	if (c->in.len == 0)
		buf_clear(&c->in);
	if (c->in.len < IMAP_INPUT_MAX && !c->closing && !c->input_eof)
		event_add(c->ev_read, NULL);
}

static void client_on_run(evutil_socket_t fd, short what, void *ctx)
{
	struct imap_client *c = ctx;

	(void)fd;
	(void)what;
	log_trace(c->trace);
	if (!c->closing && c->handoff == NULL) {
		if (c->cmd.running)
			cmd_check_wait(c);
		if (c->idling)
			imap_idle_run(c);
		client_run(c);
		if (c->idling && c->sync_wanted)
			imap_idle_sync(c);
		if (c->draining && (!c->cmd.running || c->idling) && !c->closing)
			imap_client_bye(c, "UNAVAILABLE", "Server is shutting down");
		else if (c->input_eof && (!c->cmd.running || c->idling))
			imap_client_close(c);
		imap_output_flush(c);
	}
	/* a last word is worth a short wait, not a long one */
	if (c->closing && (c->out.len == 0 || c->eof))
		client_free_now(c);
	else if (c->closing) {
		struct timeval tv = {5, 0};

		event_add(c->ev_timer, &tv);
	}
}

static void client_on_read(evutil_socket_t fd, short what, void *ctx)
{
	struct imap_client *c = ctx;
	bool streaming = c->lexer.state == IMAP_LEXER_IN_STREAM && c->in.len == 0;
	size_t want = streaming ? READ_SIZE_STREAM : READ_SIZE;
	char *p;
	ssize_t n;

	(void)fd;
	(void)what;
	log_trace(c->trace);
	p = buf_reserve(&c->in, want);
	n = recv(c->fd, p, want, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		c->eof = true;
		imap_client_close(c);
		return;
	}
	if (n == 0) {
		/* it may have shut down its side only: what it has asked is still answered */
		c->input_eof = true;
		(void)event_del(c->ev_read);
		imap_client_wake(c);
		return;
	}
	c->bytes_in += (uint64_t)n;
	buf_added(&c->in, (size_t)n);
	c->last_input_ms = clock_boot_ms();
	if (c->in.len >= IMAP_INPUT_MAX)
		(void)event_del(c->ev_read);
	if (!c->cmd.running || c->idling)
		client_on_run(-1, 0, c);
}

/* ---- time ---- */

static void client_on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct imap_client *c = ctx;
	uint64_t idle = clock_boot_ms() - c->last_input_ms;

	(void)fd;
	(void)what;
	log_trace(c->trace);
	if (c->closing) {
		c->eof = true;
		imap_client_wake(c);
		return;
	}
	if (idle + 50 >= c->set->idle_timeout_ms &&
		(!c->cmd.running || c->idling || c->out.len > 0)) {
		imap_client_bye(c, NULL, "Autologout; idle for too long");
		return;
	}
	if (c->idling && c->out.len == 0) {
		/* keeps NAT entries alive, and finds dead peers */
		buf_add_str(&c->out, "* OK Still here\r\n");
		imap_output_flush(c);
	}
	arm_timer(c);
}

void imap_client_idle_started(struct imap_client *c)
{
	if (c->in.len > 0)
		imap_client_wake(c); /* DONE may have come with it */
	arm_timer(c);
}
