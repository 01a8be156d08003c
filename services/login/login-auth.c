#include "services/login/login.h"

#include <openssl/crypto.h>
#include "lib-common/mem.h"

#define AUTH_TIMEOUT_MS 40000 /* beyond auth's longest penalty */

void login_auth_forget(struct login_client *c)
{
	client_forget(c->login->auth, c);
	mem_free(c->auth_id);
	c->auth_id = NULL;
	if (c->ticket != NULL)
		mem_wipe(c->ticket, strlen(c->ticket));
	mem_free(c->ticket);
	mem_free(c->user);
	mem_free(c->session);
	mem_free(c->account);
	c->ticket = c->user = c->session = c->account = NULL;
}

static void auth_answered(struct result *r, void *ctx)
{
	struct login_client *c = ctx;

	if (r->code != ERR_NONE) {
		char text[160];

		(void)snprintf(text, sizeof(text), "%.*s", (int)r->text.n, r->text.p);
		login_auth_forget(c);
		login_imap_auth_result(c, r->code, text);
	} else if (result_has(r, "done")) {
		c->ticket = mem_strdup(result_str(r, "ticket"));
		c->user = mem_strdup(result_str(r, "user"));
		c->account = mem_strdup(result_str(r, "account"));
		c->session = mem_strdup(result_str(r, "session"));
		login_handoff_start(c);
	} else {
		mem_free(c->auth_id);
		c->auth_id = mem_strdup(result_str(r, "id"));
		login_imap_challenge(c, result_span(r, "challenge"));
	}
	login_client_run(c);
}

void login_auth_start(struct login_client *c, struct span mechanism, const struct span *initial)
{
	struct call *call = call_new(c->login->auth, "START");

	login_auth_forget(c);
	c->state = LOGIN_AUTH;
	call_span(call, "mech", mechanism);
	call_str(call, "service", "imap");
	call_str(call, "address", c->address);
	call_uint(call, "secured", login_conn_is_secure(c));
	call_trace(call, c->trace);
	if (initial != NULL)
		call_span(call, "initial", *initial);
	(void)call_send(call, AUTH_TIMEOUT_MS, auth_answered, c);
}

void login_auth_continue(struct login_client *c, struct span response)
{
	struct call *call = call_new(c->login->auth, "CONTINUE");

	c->state = LOGIN_AUTH;
	call_str(call, "id", c->auth_id);
	call_span(call, "response", response);
	call_trace(call, c->trace);
	(void)call_send(call, AUTH_TIMEOUT_MS, auth_answered, c);
}

void login_auth_cancel(struct login_client *c)
{
	if (c->auth_id != NULL) {
		struct call *call = call_new(c->login->auth, "CANCEL");

		call_str(call, "id", c->auth_id);
		(void)call_send(call, 5000, NULL, NULL);
	}
	login_auth_forget(c);
}
