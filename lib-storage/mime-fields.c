#include "lib-storage/mime-internal.h"

enum {
	WANT_MESSAGE = 1, /* for ENVELOPE */
	WANT_CONTENT = 2, /* for BODYSTRUCTURE */
};

/* The well-known fields. What is asked for often by clients belongs here: it is then answered
 * without the body. */
#define KNOWN(text, want)                                                                          \
	{                                                                                          \
		{text, sizeof(text) - 1}, want                                                     \
	}

static const struct {
	struct span name;
	unsigned want;
} known[] = {
	KNOWN("From", WANT_MESSAGE),
	KNOWN("To", WANT_MESSAGE),
	KNOWN("Cc", WANT_MESSAGE),
	KNOWN("Bcc", WANT_MESSAGE),
	KNOWN("Subject", WANT_MESSAGE),
	KNOWN("Date", WANT_MESSAGE),
	KNOWN("Message-ID", WANT_MESSAGE),
	KNOWN("In-Reply-To", WANT_MESSAGE),
	KNOWN("Reply-To", WANT_MESSAGE),
	KNOWN("Sender", WANT_MESSAGE),
	KNOWN("Content-Type", WANT_CONTENT),
	KNOWN("Content-Transfer-Encoding", WANT_CONTENT),
	KNOWN("Content-Disposition", WANT_CONTENT),
	KNOWN("Content-ID", WANT_CONTENT),
	KNOWN("Content-Description", WANT_CONTENT),
	KNOWN("Content-Language", WANT_CONTENT),
	KNOWN("Content-Location", WANT_CONTENT),
	KNOWN("Content-MD5", WANT_CONTENT),
	KNOWN("References", 0),
	KNOWN("List-Id", 0),
	KNOWN("List-Post", 0),
	KNOWN("List-Unsubscribe", 0),
	KNOWN("List-Help", 0),
	KNOWN("MIME-Version", 0),
	KNOWN("X-Priority", 0),
	KNOWN("Importance", 0),
	KNOWN("Priority", 0),
	KNOWN("X-Spam-Status", 0),
	KNOWN("X-Spam-Flag", 0),
	KNOWN("Auto-Submitted", 0),
	KNOWN("Newsgroups", 0),
	KNOWN("Return-Path", 0),
	KNOWN("Delivered-To", 0),
	KNOWN("X-Original-To", 0),
	KNOWN("User-Agent", 0),
	KNOWN("X-Mailer", 0),
	KNOWN("Disposition-Notification-To", 0),
	KNOWN("Precedence", 0),
	KNOWN("Authentication-Results", 0),
};

bool mime_field_wanted(struct span name, enum mime_role role)
{
	unsigned want = role == MIME_ROLE_PART ? WANT_CONTENT : WANT_CONTENT | WANT_MESSAGE;

	for (size_t i = 0; i < array_count(known); i++) {
		if (span_equal_nocase(name, known[i].name))
			return role == MIME_ROLE_ROOT || (known[i].want & want) != 0;
	}
	return false;
}

bool mime_field_is_known(struct span name)
{
	return mime_field_wanted(name, MIME_ROLE_ROOT);
}

static struct span unfolded(struct span value, struct arena *arena)
{
	struct buf b;
	struct span s;

	buf_init(&b);
	header_unfold(value, &b);
	s = span_from(arena_dup(arena, buf_str(&b), b.len), b.len);
	buf_clear(&b);
	return s;
}

static struct span token_kept(struct span *s, struct arena *arena)
{
	struct span token = {NULL, 0};

	header_skip_cfws(s);
	if (header_token(s, &token))
		return span_from(arena_dup(arena, token.p, token.n), token.n);
	return (struct span){NULL, 0};
}

static void content_type(
	struct span value, struct mime_budget *budget, struct arena *arena, struct mime_part *part)
{
	struct span type = token_kept(&value, arena), subtype;

	header_skip_cfws(&value);
	if (type.p == NULL || value.n == 0 || value.p[0] != '/')
		return;
	value.p++, value.n--;
	subtype = token_kept(&value, arena);
	if (subtype.p == NULL)
		return;
	part->type = type;
	part->subtype = subtype;
	mime_params_parse(value, budget, arena, &part->params);
}

static void content_encoding(struct span value, struct arena *arena, struct mime_part *part)
{
	static const char *const names[] = {"7bit", "8bit", "binary", "quoted-printable", "base64"};

	part->encoding_text = token_kept(&value, arena);
	part->encoding = MIME_ENCODING_OTHER;
	for (size_t i = 0; i < array_count(names); i++) {
		if (span_is_nocase(part->encoding_text, names[i]))
			part->encoding = (enum mime_encoding)i;
	}
	if (part->encoding_text.p == NULL)
		part->encoding = MIME_7BIT;
}

static void content_languages(struct span value, struct arena *arena, struct mime_part *part)
{
	struct span list[32];
	size_t n = 0;

	while (value.n > 0 && n < array_count(list)) {
		struct span language = token_kept(&value, arena);

		if (language.p != NULL)
			list[n++] = language;
		header_skip_cfws(&value);
		if (value.n > 0 && language.p == NULL && value.p[0] != ',')
			return; /* no list of languages */
		if (value.n > 0 && value.p[0] == ',')
			value.p++, value.n--;
	}
	if (n > 0)
		part->languages = arena_dup(arena, list, n * sizeof(list[0]));
	part->nlanguages = n;
}

static void content_field(const struct header_field *f, struct mime_budget *budget,
	struct arena *arena, struct mime_part *part)
{
	struct span v = f->value;

	if (span_is_nocase(f->name, "Content-Type")) {
		if (part->type.p == NULL)
			content_type(v, budget, arena, part);
	} else if (span_is_nocase(f->name, "Content-Transfer-Encoding")) {
		if (part->encoding_text.p == NULL)
			content_encoding(v, arena, part);
	} else if (span_is_nocase(f->name, "Content-Disposition")) {
		if (part->disposition.p != NULL)
			return;
		part->disposition = token_kept(&v, arena);
		if (part->disposition.p != NULL)
			mime_params_parse(v, budget, arena, &part->disposition_params);
	} else if (span_is_nocase(f->name, "Content-ID")) {
		if (part->id.p == NULL)
			part->id = unfolded(v, arena);
	} else if (span_is_nocase(f->name, "Content-Description")) {
		if (part->description.p == NULL)
			part->description = unfolded(v, arena);
	} else if (span_is_nocase(f->name, "Content-Language")) {
		if (part->nlanguages == 0)
			content_languages(v, arena, part);
	} else if (span_is_nocase(f->name, "Content-Location")) {
		if (part->location.p == NULL)
			part->location = unfolded(v, arena);
	} else if (span_is_nocase(f->name, "Content-MD5")) {
		if (part->md5.p == NULL)
			part->md5 = unfolded(v, arena);
	}
}

struct envelope_builder {
	struct mime_envelope *e;
	struct buf lists[MIME_ADDRESS_FIELDS];
};

static void first_text(struct span *text, struct span value, struct arena *arena)
{
	if (text->p == NULL)
		*text = unfolded(value, arena);
}

/* Address fields that stand several times are one list, in the order of the text. */
static void envelope_field(const struct header_field *f, struct mime_budget *budget,
	struct arena *arena, struct envelope_builder *b)
{
	static const char *const names[MIME_ADDRESS_FIELDS] = {
		"From", "Sender", "Reply-To", "To", "Cc", "Bcc"};
	struct mime_envelope *e = b->e;

	for (size_t i = 0; i < MIME_ADDRESS_FIELDS; i++) {
		size_t had = b->lists[i].len / sizeof(struct address), added;

		if (!span_is_nocase(f->name, names[i]))
			continue;
		address_parse(f->value, arena, had + budget->addresses, &b->lists[i]);
		added = b->lists[i].len / sizeof(struct address) - had;
		budget->addresses -= added < budget->addresses ? (uint32_t)added
							       : budget->addresses;
		return;
	}
	if (span_is_nocase(f->name, "Date")) {
		first_text(&e->date, f->value, arena);
		if (!e->has_date)
			e->has_date = header_date(f->value, &e->sent);
	} else if (span_is_nocase(f->name, "Subject")) {
		first_text(&e->subject, f->value, arena);
	} else if (span_is_nocase(f->name, "Message-ID")) {
		first_text(&e->message_id, f->value, arena);
	} else if (span_is_nocase(f->name, "In-Reply-To")) {
		first_text(&e->in_reply_to, f->value, arena);
	}
}

static void envelope_parse(
	struct span fields, struct mime_budget *budget, struct arena *arena, struct mime_part *part)
{
	struct envelope_builder b;
	struct header_field f;

	b.e = part->envelope = arena_alloc(arena, sizeof(*part->envelope));
	for (size_t i = 0; i < MIME_ADDRESS_FIELDS; i++)
		buf_init(&b.lists[i]);
	while (header_next(&fields, &f))
		envelope_field(&f, budget, arena, &b);
	for (size_t i = 0; i < MIME_ADDRESS_FIELDS; i++) {
		struct mime_addresses *a = &b.e->addresses[i];

		a->n = b.lists[i].len / sizeof(struct address);
		if (a->n > 0)
			a->list = arena_dup(arena, b.lists[i].data, b.lists[i].len);
		buf_clear(&b.lists[i]);
	}
}

void mime_fields_parse(struct span fields, enum mime_role role, bool digest,
	struct mime_budget *budget, struct arena *arena, struct mime_part *part)
{
	struct span rest = fields;
	struct header_field f;

	while (header_next(&rest, &f))
		content_field(&f, budget, arena, part);
	if (part->type.p == NULL) {
		/* RFC 2045 5.2, RFC 2046 5.1.5 */
		part->type = digest ? SPAN("message") : SPAN("text");
		part->subtype = digest ? SPAN("rfc822") : SPAN("plain");
	}
	if (role != MIME_ROLE_PART)
		envelope_parse(fields, budget, arena, part);
}
