#include "lib-auth/sasl.h"

#include "lib-common/mem.h"

/* RFC 4616 2: [authzid] NUL authcid NUL passwd, each UTF-8. */
static enum sasl_status sasl_plain_step(struct sasl *s, bool has_input, struct span input)
{
	struct span authzid, authcid, rest = input;

	if (!has_input)
		return s->state++ == 0 ? SASL_CHALLENGE : SASL_BAD;
	if (!span_cut(&rest, '\0', &authzid) || !rest.p || !span_cut(&rest, '\0', &authcid) ||
		!rest.p || memchr(rest.p, 0, rest.n) || authcid.n == 0 || rest.n == 0)
		return SASL_BAD;
	buf_add_span(&s->authzid, authzid);
	buf_add_span(&s->authcid, authcid);
	buf_add_span(&s->password, rest);
	return SASL_CREDENTIALS;
}

/* Two questions, for clients that know nothing better. An initial response is the name. */
static enum sasl_status sasl_login_step(struct sasl *s, bool has_input, struct span input)
{
	if (has_input && (input.n == 0 || memchr(input.p, 0, input.n)))
		return SASL_BAD;
	switch (s->state) {
	case 0:
		if (!has_input) {
			s->state = 1;
			buf_add_str(&s->challenge, "Username:");
			return SASL_CHALLENGE;
		}
		/* fall through */
	case 1:
		if (!has_input)
			return SASL_BAD;
		buf_add_span(&s->authcid, input);
		buf_add_str(&s->challenge, "Password:");
		s->state = 2;
		return SASL_CHALLENGE;
	case 2:
		if (!has_input)
			return SASL_BAD;
		buf_add_span(&s->password, input);
		s->state = 3;
		return SASL_CREDENTIALS;
	default:
		return SASL_BAD;
	}
}

const struct sasl_mechanism sasl_mechanisms[] = {
	{"PLAIN", true, sasl_plain_step},
	{"LOGIN", true, sasl_login_step},
	{NULL, false, NULL},
};

struct sasl *sasl_new(struct span mechanism)
{
	const struct sasl_mechanism *m;
	struct sasl *s;

	for (m = sasl_mechanisms; m->name; m++) {
		if (span_equal_nocase(mechanism, span_of(m->name)))
			break;
	}
	if (!m->name)
		return NULL;
	s = mem_alloc(sizeof(*s));
	s->mechanism = m;
	buf_init(&s->challenge);
	buf_init(&s->authzid);
	buf_init(&s->authcid);
	buf_init(&s->password);
	return s;
}

enum sasl_status sasl_step(struct sasl *s, bool has_input, struct span input)
{
	buf_empty(&s->challenge);
	if (input.n > SASL_INPUT_MAX)
		return SASL_BAD;
	return s->mechanism->step(s, has_input, input);
}

void sasl_free(struct sasl *s)
{
	if (!s)
		return;
	buf_clear(&s->challenge);
	buf_clear(&s->authzid);
	buf_clear(&s->authcid);
	buf_wipe(&s->password);
	mem_free(s);
}
