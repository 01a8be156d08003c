#include "services/imap/body-reader.h"

#define REQUEST_BYTES (512u << 10)
#define REQUEST_LINES 500
#define REQUESTS 2 /* at once: the window is both */

struct range {
	size_t locator; /* offset in texts; its length */
	size_t locator_len;
	uint64_t offset, length;
};

struct line {
	size_t range;
	uint64_t offset, length;
};

struct get {
	struct body_reader *reader;
	bool busy, answered;
	bool failed;
	struct buf reply;
	struct span rest; /* of the reply */
	struct line lines[REQUEST_LINES];
	size_t n_lines, at;
};

struct body_reader {
	struct imap_client *c;
	void (*wake)(struct imap_client *c);
	struct buf texts, ranges; /* of struct range */
	size_t ask_range;	  /* what is asked next */
	uint64_t ask_offset;
	struct get *gets[REQUESTS]; /* the oldest first; NULL: free */
};

struct body_reader *body_reader_new(struct imap_client *c, void (*wake)(struct imap_client *c))
{
	struct body_reader *r = mem_alloc(sizeof(*r));

	r->c = c;
	r->wake = wake;
	return r;
}

static void get_free(struct get *g)
{
	if (g == NULL)
		return;
	if (g->busy && !g->answered) {
		client_forget(imap_objects_get(g->reader->c->server), g);
	}
	buf_clear(&g->reply);
	mem_free(g);
}

void body_reader_reset(struct body_reader *r)
{
	for (size_t i = 0; i < REQUESTS; i++) {
		get_free(r->gets[i]);
		r->gets[i] = NULL;
	}
	buf_empty(&r->texts);
	buf_empty(&r->ranges);
	r->ask_range = 0;
	r->ask_offset = 0;
}

void body_reader_free(struct body_reader *r)
{
	if (r == NULL)
		return;
	body_reader_reset(r);
	buf_clear(&r->texts);
	buf_clear(&r->ranges);
	mem_free(r);
}

static size_t range_count(const struct body_reader *r)
{
	return r->ranges.len / sizeof(struct range);
}

/* The buffer's memory has no alignment to rely on once it was consumed from; it never is here. */
static struct range range_at(const struct body_reader *r, size_t i)
{
	struct range range;

	memcpy(&range, r->ranges.data + i * sizeof(range), sizeof(range));
	return range;
}

void body_reader_add(struct body_reader *r, struct span locator, uint64_t offset, uint64_t length)
{
	struct range range = {r->texts.len, locator.n, offset, length};

	buf_add_span(&r->texts, locator);
	buf_add(&r->ranges, &range, sizeof(range));
}

static void on_get(struct result *result, void *ctx)
{
	struct get *g = ctx;

	g->answered = true;
	g->failed = result->code != ERR_NONE;
	if (!g->failed)
		buf_add_span(&g->reply, result->body);
	g->rest = buf_span(&g->reply);
	g->reader->wake(g->reader->c);
}

static void get_send(struct body_reader *r, struct get *g)
{
	struct client *store = imap_objects_get(r->c->server);
	struct call *call = store == NULL ? NULL : call_new(store, "GET");
	struct buf none = {.limit = 1}, *body = call == NULL ? &none : call_body(call);
	uint64_t bytes = 0;

	while (r->ask_range < range_count(r) && g->n_lines < REQUEST_LINES &&
		bytes < REQUEST_BYTES) {
		struct range range = range_at(r, r->ask_range);
		uint64_t n = range.length - r->ask_offset;

		if (n > REQUEST_BYTES - bytes)
			n = REQUEST_BYTES - bytes;
		/* no slivers at the end of a request */
		if (n < range.length - r->ask_offset && n < 4096 && g->n_lines > 0)
			break;
		buf_add(body, r->texts.data + range.locator, range.locator_len);
		buf_add_c(body, ' ');
		imap_write_number(body, range.offset + r->ask_offset);
		buf_add_c(body, ' ');
		imap_write_number(body, n);
		buf_add_c(body, '\n');
		g->lines[g->n_lines++] = (struct line){r->ask_range, r->ask_offset, n};
		bytes += n;
		r->ask_offset += n;
		if (r->ask_offset == range.length) {
			r->ask_range++;
			r->ask_offset = 0;
		}
	}
	g->busy = true;
	if (call == NULL) { /* no store: each range is "temporary trouble" */
		buf_clear(&none);
		g->answered = g->failed = true;
		return;
	}
	call_trace(call, r->c->trace);
	(void)call_send(call, IMAP_CALL_MS, on_get, g);
}

static void ask_ahead(struct body_reader *r)
{
	for (size_t i = 0; i < REQUESTS; i++) {
		if (r->gets[i] != NULL)
			continue;
		if (r->ask_range == range_count(r))
			return;
		r->gets[i] = mem_alloc(sizeof(struct get));
		r->gets[i]->reader = r;
		get_send(r, r->gets[i]);
	}
}

/* Takes one line's answer; what is malformed or of the wrong length counts as temporary trouble. */
static void take_piece(struct get *g, struct body_piece *piece_r)
{
	struct line line = g->lines[g->at++];
	uint8_t status = BODY_TEMP;
	struct span octets = {"", 0};
	uint64_t n;

	if (!g->failed && (!span_get_u8(&g->rest, &status) || !span_get_u64(&g->rest, &n) ||
				  n > g->rest.n || !span_get_bytes(&g->rest, (size_t)n, &octets))) {
		g->failed = true;
		status = BODY_TEMP;
	}
	if (g->failed || (status == BODY_OK && octets.n != line.length))
		status = g->failed ? BODY_TEMP : BODY_CORRUPT;
	*piece_r = (struct body_piece){
		.range = line.range,
		.offset = line.offset,
		.octets = status == BODY_OK ? octets : span_from("", 0),
		.status = status > BODY_CORRUPT ? BODY_TEMP : (enum body_status)status,
	};
	piece_r->last = line.offset + line.length == range_at(g->reader, line.range).length;
}

int body_reader_next(struct body_reader *r, struct body_piece *piece_r)
{
	if (r->gets[0] != NULL && r->gets[0]->at == r->gets[0]->n_lines) {
		get_free(r->gets[0]);
		for (size_t i = 1; i < REQUESTS; i++)
			r->gets[i - 1] = r->gets[i];
		r->gets[REQUESTS - 1] = NULL;
	}
	ask_ahead(r);
	if (r->gets[0] == NULL)
		return -1;
	if (!r->gets[0]->answered)
		return 0;
	take_piece(r->gets[0], piece_r);
	return 1;
}
