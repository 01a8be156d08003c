#include "lib-storage/imap-lexer.h"

#include "lib-storage/imap-parser.h"

#define LITERAL_TEXT_MAX 24 /* "{18446744073709551615+}" and a CR */

void imap_lexer_init(struct imap_lexer *lexer, size_t line_max, size_t command_max)
{
	memset(lexer, 0, sizeof(*lexer));
	buf_init(&lexer->command);
	buf_init(&lexer->skipped);
	lexer->line_max = line_max;
	lexer->command_max = command_max;
}

void imap_lexer_clear(struct imap_lexer *lexer)
{
	buf_clear(&lexer->command);
	buf_clear(&lexer->skipped);
}

void imap_lexer_reset(struct imap_lexer *lexer)
{
	if (lexer->command.cap > 4096)
		buf_clear(&lexer->command);
	else
		buf_empty(&lexer->command);
	buf_clear(&lexer->skipped);
	lexer->line_start = 0;
	lexer->state = IMAP_LEXER_IN_LINE;
}

struct span imap_lexer_command(const struct imap_lexer *lexer)
{
	return buf_span(&lexer->command);
}

struct span imap_lexer_tag(const struct imap_lexer *lexer)
{
	struct imap_parser p;
	struct span tag;

	imap_parser_init(&p, buf_span(&lexer->command), NULL);
	if (!imap_parse_tag(&p, &tag))
		return span_from("", 0);
	return tag;
}

bool imap_lexer_is_idle(const struct imap_lexer *lexer)
{
	return lexer->state == IMAP_LEXER_IN_LINE && lexer->command.len == 0;
}

int imap_literal_at_end(struct span line, uint64_t *size_r, bool *sync_r)
{
	size_t i, digits;
	uint64_t size;

	if (line.n < 2 || line.p[line.n - 1] != '}')
		return 0;
	i = line.n - 1;
	*sync_r = true;
	if (i > 0 && line.p[i - 1] == '+') {
		*sync_r = false;
		i--;
	}
	digits = i;
	while (i > 0 && digits - i <= 20 && line.p[i - 1] >= '0' && line.p[i - 1] <= '9')
		i--;
	if (i == digits || i == 0 || line.p[i - 1] != '{')
		return 0;
	/* RFC 3501 says 32 bits; RFC 9051 number64: below 2^63 */
	if (!num_u64(span_from(line.p + i, digits - i), &size) || size > INT64_MAX)
		return -1;
	*size_r = size;
	return 1;
}

/* A line has ended; the command's buffer holds it without the line end. */
static enum imap_lexer_status line_ended(struct imap_lexer *lexer)
{
	struct span line = span_from(
		lexer->command.data + lexer->line_start, lexer->command.len - lexer->line_start);
	uint64_t size;
	bool sync;
	int r;

	if (lexer->command.len == 0)
		line = span_from("", 0);
	r = imap_literal_at_end(line, &size, &sync);
	if (r == 0) {
		lexer->state = IMAP_LEXER_DONE;
		return IMAP_LEXER_COMMAND;
	}
	lexer->literal_size = r < 0 ? UINT64_MAX : size;
	lexer->literal_sync = sync;
	buf_add(&lexer->command, "\r\n", 2);
	lexer->state = IMAP_LEXER_AT_LITERAL;
	return IMAP_LEXER_LITERAL;
}

/* Octets of a line up to its LF, or all of the input. True when the LF has come. */
static bool take_line(struct span *input, struct span *part_r)
{
	const char *lf = memchr(input->p, '\n', input->n);
	size_t n = lf == NULL ? input->n : (size_t)(lf - input->p);

	*part_r = span_from(input->p, n);
	n += lf != NULL;
	input->p += n;
	input->n -= n;
	return lf != NULL;
}

/* Remembers the end of a line that is being swallowed. */
static void skipped_add(struct imap_lexer *lexer, struct span part)
{
	size_t n = part.n > LITERAL_TEXT_MAX ? LITERAL_TEXT_MAX : part.n;

	buf_add(&lexer->skipped, part.p + part.n - n, n);
	if (lexer->skipped.len > LITERAL_TEXT_MAX)
		buf_consume(&lexer->skipped, lexer->skipped.len - LITERAL_TEXT_MAX);
}

/* A swallowed line has ended. A small literal that comes unasked is swallowed with what follows;
 * one that waits for "+" never comes, so the command has ended here. */
static void skipped_line_ended(struct imap_lexer *lexer)
{
	struct span line = buf_span(&lexer->skipped);
	uint64_t size;
	bool sync;

	lexer->state = IMAP_LEXER_REFUSE_NOW;
	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	if (imap_literal_at_end(line, &size, &sync) > 0 && !sync && size <= IMAP_SWALLOW_MAX) {
		lexer->literal_left = size;
		lexer->state = IMAP_LEXER_SKIP_LITERAL;
	}
	buf_empty(&lexer->skipped);
}

static void next_skipped_line(struct imap_lexer *lexer, struct span *input)
{
	struct span part;
	bool ended = take_line(input, &part);

	skipped_add(lexer, part);
	if (ended)
		skipped_line_ended(lexer);
}

static enum imap_lexer_status next_in_line(struct imap_lexer *lexer, struct span *input)
{
	struct span part;
	bool ended = take_line(input, &part);
	size_t line_len = lexer->command.len - lexer->line_start + part.n;

	if (line_len > lexer->line_max || lexer->command.len + part.n > lexer->command_max) {
		/* keep the beginning, so that the tag can be answered */
		if (lexer->command.len < 64)
			buf_add(&lexer->command, part.p, part.n < 256 ? part.n : 256);
		buf_empty(&lexer->skipped);
		skipped_add(lexer, part);
		lexer->state = IMAP_LEXER_SKIP_LINE;
		if (ended)
			skipped_line_ended(lexer);
		return IMAP_LEXER_TOO_LONG;
	}
	buf_add(&lexer->command, part.p, part.n);
	if (!ended)
		return IMAP_LEXER_MORE;
	if (lexer->command.len > lexer->line_start &&
		lexer->command.data[lexer->command.len - 1] == '\r')
		buf_truncate(&lexer->command, lexer->command.len - 1);
	return line_ended(lexer);
}

static struct span take_literal(struct imap_lexer *lexer, struct span *input)
{
	size_t n = input->n < lexer->literal_left ? input->n : (size_t)lexer->literal_left;
	struct span part = span_from(input->p, n);

	input->p += n;
	input->n -= n;
	lexer->literal_left -= n;
	return part;
}

static enum imap_lexer_status next_stream(
	struct imap_lexer *lexer, struct span *input, struct span *data_r)
{
	if (lexer->literal_left == 0) {
		lexer->state = IMAP_LEXER_IN_LINE;
		lexer->line_start = lexer->command.len;
		return IMAP_LEXER_DATA_END;
	}
	if (input->n == 0)
		return IMAP_LEXER_MORE;
	*data_r = take_literal(lexer, input);
	return IMAP_LEXER_DATA;
}

static void next_literal(struct imap_lexer *lexer, struct span *input)
{
	struct span part = take_literal(lexer, input);

	if (lexer->state == IMAP_LEXER_IN_LITERAL)
		buf_add(&lexer->command, part.p, part.n);
	if (lexer->literal_left > 0)
		return;
	lexer->state = lexer->state == IMAP_LEXER_IN_LITERAL ? IMAP_LEXER_IN_LINE
							     : IMAP_LEXER_SKIP_LINE;
	lexer->line_start = lexer->command.len;
}

enum imap_lexer_status imap_lexer_next(
	struct imap_lexer *lexer, struct span *input, struct span *data_r)
{
	enum imap_lexer_status status = IMAP_LEXER_MORE;

	for (;;) {
		switch (lexer->state) {
		case IMAP_LEXER_IN_STREAM:
			return next_stream(lexer, input, data_r);
		case IMAP_LEXER_REFUSE_NOW:
			lexer->state = IMAP_LEXER_DONE;
			return IMAP_LEXER_REFUSED;
		case IMAP_LEXER_AT_LITERAL:
		case IMAP_LEXER_DONE:
			return IMAP_LEXER_MORE;
		case IMAP_LEXER_IN_LINE:
			if (input->n == 0)
				return IMAP_LEXER_MORE;
			status = next_in_line(lexer, input);
			break;
		case IMAP_LEXER_SKIP_LINE:
			if (input->n == 0)
				return IMAP_LEXER_MORE;
			next_skipped_line(lexer, input);
			break;
		case IMAP_LEXER_IN_LITERAL:
		case IMAP_LEXER_SKIP_LITERAL:
			if (input->n == 0 && lexer->literal_left > 0)
				return IMAP_LEXER_MORE;
			next_literal(lexer, input);
			break;
		}
		if (status != IMAP_LEXER_MORE)
			return status;
	}
}

bool imap_lexer_accept(struct imap_lexer *lexer)
{
	if (lexer->literal_size > lexer->command_max ||
		lexer->command.len + lexer->literal_size > lexer->command_max)
		return false;
	lexer->literal_left = lexer->literal_size;
	lexer->state = IMAP_LEXER_IN_LITERAL;
	return true;
}

void imap_lexer_stream(struct imap_lexer *lexer)
{
	lexer->literal_left = lexer->literal_size;
	lexer->state = IMAP_LEXER_IN_STREAM;
}

bool imap_lexer_refuse(struct imap_lexer *lexer)
{
	if (lexer->literal_sync) {
		lexer->state = IMAP_LEXER_REFUSE_NOW;
		return true;
	}
	if (lexer->literal_size > IMAP_SWALLOW_MAX)
		return false;
	lexer->literal_left = lexer->literal_size;
	lexer->state = IMAP_LEXER_SKIP_LITERAL;
	return true;
}
