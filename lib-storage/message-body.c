#include "lib-storage/message-body.h"

#include <errno.h>
#include <unistd.h>
#include "lib-common/log.h"

void message_body_init(struct message_body *b)
{
	*b = (struct message_body){.fd = -1};
	buf_init(&b->memory);
}

void message_body_clear(struct message_body *b)
{
	buf_clear(&b->memory);
	if (b->fd >= 0)
		(void)close(b->fd);
	EVP_MD_CTX_free(b->digest);
	mime_parser_free(b->parser);
	message_body_init(b);
}

void message_body_start(struct message_body *b)
{
	message_body_clear(b);
	b->digest = EVP_MD_CTX_new();
	if (b->digest == NULL || EVP_DigestInit_ex(b->digest, EVP_sha256(), NULL) != 1)
		log_fatal("sha256-unavailable", NULL);
	b->parser = mime_parser_new(NULL);
}

static int body_write(struct message_body *b, struct span octets, struct err *e)
{
	while (octets.n > 0) {
		ssize_t n = write(b->fd, octets.p, octets.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set(e, ERR_TEMP, "temporary file: %s", strerror(errno));
		octets = span_from(octets.p + n, octets.n - (size_t)n);
	}
	return 0;
}

int message_body_add(struct message_body *b, struct span octets, int (*temp_file)(void *ctx),
	void *ctx, struct err *e)
{
	b->size += octets.n;
	(void)EVP_DigestUpdate(b->digest, octets.p, octets.n);
	mime_parser_feed(b->parser, octets.p, octets.n);
	if (b->fd < 0 && b->size <= MESSAGE_BODY_MEMORY) {
		buf_add_span(&b->memory, octets);
		return 0;
	}
	if (b->fd < 0) {
		b->fd = temp_file(ctx);
		if (b->fd < 0)
			return err_set(e, ERR_TEMP, "temporary file: %s", strerror(errno));
		if (body_write(b, buf_span(&b->memory), e) < 0)
			return -1;
		buf_clear(&b->memory);
	}
	return body_write(b, octets, e);
}

const struct mime_message *message_body_finish(struct message_body *b)
{
	(void)EVP_DigestFinal_ex(b->digest, b->sha256, NULL);
	return mime_parser_finish(b->parser);
}
