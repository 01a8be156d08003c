#include "lib-storage/mime-internal.h"

/* The fields that are taken apart, in the order of known[]. The addresses stand as in enum
 * mime_address_field. */
enum field {
	FIELD_FROM,
	FIELD_SENDER,
	FIELD_REPLY_TO,
	FIELD_TO,
	FIELD_CC,
	FIELD_BCC,
	FIELD_SUBJECT,
	FIELD_DATE,
	FIELD_MESSAGE_ID,
	FIELD_IN_REPLY_TO,
	FIELD_CONTENT_TYPE,
	FIELD_CONTENT_TRANSFER_ENCODING,
	FIELD_CONTENT_DISPOSITION,
	FIELD_CONTENT_ID,
	FIELD_CONTENT_DESCRIPTION,
	FIELD_CONTENT_LANGUAGE,
	FIELD_CONTENT_LOCATION,
	FIELD_CONTENT_MD5,
	FIELD_OTHER, /* and all behind it */
};

#define KNOWN(text)                                                                                \
	{                                                                                          \
		text, sizeof(text) - 1                                                             \
	}

/* The well-known fields. What is asked for often by clients belongs here: it is then answered
 * without the body. */
static const struct span known[] = {
	KNOWN("From"),
	KNOWN("Sender"),
	KNOWN("Reply-To"),
	KNOWN("To"),
	KNOWN("Cc"),
	KNOWN("Bcc"),
	KNOWN("Subject"),
	KNOWN("Date"),
	KNOWN("Message-ID"),
	KNOWN("In-Reply-To"),
	KNOWN("Content-Type"),
	KNOWN("Content-Transfer-Encoding"),
	KNOWN("Content-Disposition"),
	KNOWN("Content-ID"),
	KNOWN("Content-Description"),
	KNOWN("Content-Language"),
	KNOWN("Content-Location"),
	KNOWN("Content-MD5"),
	KNOWN("References"),
	KNOWN("List-Id"),
	KNOWN("List-Post"),
	KNOWN("List-Unsubscribe"),
	KNOWN("List-Help"),
	KNOWN("MIME-Version"),
	KNOWN("X-Priority"),
	KNOWN("Importance"),
	KNOWN("Priority"),
	KNOWN("X-Spam-Status"),
	KNOWN("X-Spam-Flag"),
	KNOWN("Auto-Submitted"),
	KNOWN("Newsgroups"),
	KNOWN("Return-Path"),
	KNOWN("Delivered-To"),
	KNOWN("X-Original-To"),
	KNOWN("User-Agent"),
	KNOWN("X-Mailer"),
	KNOWN("Disposition-Notification-To"),
	KNOWN("Precedence"),
	KNOWN("Authentication-Results"),
};

static enum field field_of(struct span name)
{
	for (size_t i = 0; i < array_count(known); i++) {
		if (known[i].n == name.n && span_equal_nocase(name, known[i]))
			return i < FIELD_OTHER ? (enum field)i : FIELD_OTHER;
	}
	return FIELD_OTHER;
}

bool mime_field_is_known(struct span name)
{
	for (size_t i = 0; i < array_count(known); i++) {
		if (known[i].n == name.n && span_equal_nocase(name, known[i]))
			return true;
	}
	return false;
}

bool mime_field_wanted(struct span name, enum mime_role role)
{
	enum field field;

	if (role == MIME_ROLE_ROOT)
		return mime_field_is_known(name);
	field = field_of(name);
	return field < FIELD_OTHER && (role == MIME_ROLE_MESSAGE || field >= FIELD_CONTENT_TYPE);
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

static void first_text(struct span *text, struct span value, struct arena *arena)
{
	if (text->p == NULL)
		*text = unfolded(value, arena);
}

/* Of fields that stand several times the first counts. */
static void content_field(enum field field, struct span v, struct mime_budget *budget,
	struct arena *arena, struct mime_part *part)
{
	switch (field) {
	case FIELD_CONTENT_TYPE:
		if (part->type.p == NULL)
			content_type(v, budget, arena, part);
		break;
	case FIELD_CONTENT_TRANSFER_ENCODING:
		if (part->encoding_text.p == NULL)
			content_encoding(v, arena, part);
		break;
	case FIELD_CONTENT_DISPOSITION:
		if (part->disposition.p == NULL)
			part->disposition = token_kept(&v, arena);
		else
			break;
		if (part->disposition.p != NULL)
			mime_params_parse(v, budget, arena, &part->disposition_params);
		break;
	case FIELD_CONTENT_ID:
		first_text(&part->id, v, arena);
		break;
	case FIELD_CONTENT_DESCRIPTION:
		first_text(&part->description, v, arena);
		break;
	case FIELD_CONTENT_LANGUAGE:
		if (part->nlanguages == 0)
			content_languages(v, arena, part);
		break;
	case FIELD_CONTENT_LOCATION:
		first_text(&part->location, v, arena);
		break;
	case FIELD_CONTENT_MD5:
		first_text(&part->md5, v, arena);
		break;
	default:
		break;
	}
}

struct envelope_builder {
	struct mime_envelope *e;
	struct buf lists[MIME_ADDRESS_FIELDS];
};

/* Address fields that stand several times are one list, in the order of the text. */
static void address_field(
	struct span value, struct mime_budget *budget, struct arena *arena, struct buf *list)
{
	size_t had = list->len / sizeof(struct address), added;

	address_parse(value, arena, had + budget->addresses, list);
	added = list->len / sizeof(struct address) - had;
	budget->addresses -= added < budget->addresses ? (uint32_t)added : budget->addresses;
}

static void envelope_field(enum field field, struct span value, struct mime_budget *budget,
	struct arena *arena, struct envelope_builder *b)
{
	struct mime_envelope *e = b->e;

	switch (field) {
	case FIELD_FROM:
	case FIELD_SENDER:
	case FIELD_REPLY_TO:
	case FIELD_TO:
	case FIELD_CC:
	case FIELD_BCC:
		address_field(value, budget, arena, &b->lists[field]);
		break;
	case FIELD_DATE:
		first_text(&e->date, value, arena);
		if (!e->has_date)
			e->has_date = header_date(value, &e->sent);
		break;
	case FIELD_SUBJECT:
		first_text(&e->subject, value, arena);
		break;
	case FIELD_MESSAGE_ID:
		first_text(&e->message_id, value, arena);
		break;
	case FIELD_IN_REPLY_TO:
		first_text(&e->in_reply_to, value, arena);
		break;
	default:
		break;
	}
}

static void envelope_end(struct envelope_builder *b, struct arena *arena)
{
	for (size_t i = 0; i < MIME_ADDRESS_FIELDS; i++) {
		struct mime_addresses *a = &b->e->addresses[i];

		a->n = b->lists[i].len / sizeof(struct address);
		if (a->n > 0)
			a->list = arena_dup(arena, b->lists[i].data, b->lists[i].len);
		buf_clear(&b->lists[i]);
	}
}

void mime_fields_parse(struct span fields, enum mime_role role, bool digest,
	struct mime_budget *budget, struct arena *arena, struct mime_part *part)
{
	struct envelope_builder b;
	struct header_field f;

	_Static_assert(FIELD_BCC == (int)MIME_BCC, "address fields are numbered alike");
	if (role != MIME_ROLE_PART) {
		b.e = part->envelope = arena_alloc(arena, sizeof(*part->envelope));
		for (size_t i = 0; i < MIME_ADDRESS_FIELDS; i++)
			buf_init(&b.lists[i]);
	}
	while (header_next(&fields, &f)) {
		enum field field = field_of(f.name);

		if (field >= FIELD_CONTENT_TYPE)
			content_field(field, f.value, budget, arena, part);
		else if (role != MIME_ROLE_PART)
			envelope_field(field, f.value, budget, arena, &b);
	}
	if (role != MIME_ROLE_PART)
		envelope_end(&b, arena);
	if (part->type.p == NULL) {
		/* RFC 2045 5.2, RFC 2046 5.1.5 */
		part->type = digest ? SPAN("message") : SPAN("text");
		part->subtype = digest ? SPAN("rfc822") : SPAN("plain");
	}
}
