#include "lib-storage/locator.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "lib-common/mem.h"
#include "lib-storage/pack-internal.h"

#define KEK_FILE_MAX 8192

struct kek {
	unsigned char id[KEK_ID_BYTES], key[32];
};

struct kek_ring {
	size_t n;
	struct kek keys[KEK_KEYS_MAX];
	EVP_CIPHER *cipher;
	EVP_CIPHER_CTX *wrap, *unwrap;
};

/* ---- text and binary ---- */

void locator_text(const struct locator *l, struct buf *out)
{
	buf_printf(out, "%s,%llu,%llu,", l->pack, (unsigned long long)l->offset,
		(unsigned long long)l->length);
	buf_add_hex(out, l->key, sizeof(l->key));
	buf_add_c(out, ',');
	buf_add_hex(out, l->key_id, sizeof(l->key_id));
	buf_printf(out, ",%llu", (unsigned long long)l->size);
}

static bool locator_pack(struct span name, struct locator *l)
{
	if (!pack_name_parse(name, NULL))
		return false;
	memcpy(l->pack, name.p, PACK_NAME_CHARS);
	l->pack[PACK_NAME_CHARS] = '\0';
	return true;
}

bool locator_parse(struct span text, struct locator *l_r)
{
	struct span part[6];
	size_t n = 0;

	while (n < array_count(part) && span_cut(&text, ',', &part[n]))
		n++;
	return n == array_count(part) && text.p == NULL && locator_pack(part[0], l_r) &&
	       num_u64(part[1], &l_r->offset) && num_u64(part[2], &l_r->length) &&
	       hex_decode(part[3], l_r->key, sizeof(l_r->key)) &&
	       hex_decode(part[4], l_r->key_id, sizeof(l_r->key_id)) &&
	       num_u64(part[5], &l_r->size);
}

void locator_binary(const struct locator *l, struct buf *out)
{
	buf_add_block(out, l->pack, PACK_NAME_CHARS);
	buf_add_u64(out, l->offset);
	buf_add_u64(out, l->length);
	buf_add(out, l->key, sizeof(l->key));
	buf_add(out, l->key_id, sizeof(l->key_id));
	buf_add_u64(out, l->size);
}

bool locator_get(struct span *s, struct locator *l_r)
{
	struct span rest = *s, name, key, id;

	if (!span_get_block(&rest, &name) || !locator_pack(name, l_r) ||
		!span_get_u64(&rest, &l_r->offset) || !span_get_u64(&rest, &l_r->length) ||
		!span_get_bytes(&rest, WRAPPED_KEY_BYTES, &key) ||
		!span_get_bytes(&rest, KEK_ID_BYTES, &id) || !span_get_u64(&rest, &l_r->size))
		return false;
	memcpy(l_r->key, key.p, key.n);
	memcpy(l_r->key_id, id.p, id.n);
	*s = rest;
	return true;
}

/* ---- the KEK file ---- */

static struct kek_ring *ring_new(void)
{
	struct kek_ring *ring = mem_alloc(sizeof(*ring));

	ring->cipher = EVP_CIPHER_fetch(NULL, "AES-256-WRAP", NULL);
	ring->wrap = EVP_CIPHER_CTX_new();
	ring->unwrap = EVP_CIPHER_CTX_new();
	pack_must(ring->cipher != NULL && ring->wrap != NULL && ring->unwrap != NULL);
	EVP_CIPHER_CTX_set_flags(ring->wrap, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
	EVP_CIPHER_CTX_set_flags(ring->unwrap, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
	return ring;
}

void kek_free(struct kek_ring *ring)
{
	if (ring == NULL)
		return;
	EVP_CIPHER_CTX_free(ring->wrap);
	EVP_CIPHER_CTX_free(ring->unwrap);
	EVP_CIPHER_free(ring->cipher);
	mem_wipe(ring, sizeof(*ring));
	mem_free(ring);
}

struct kek_ring *kek_copy(const struct kek_ring *ring)
{
	struct kek_ring *copy = ring_new();

	copy->n = ring->n;
	memcpy(copy->keys, ring->keys, sizeof(ring->keys));
	return copy;
}

static bool kek_parse_line(struct span line, struct kek *k)
{
	struct span id;

	return span_cut(&line, ' ', &id) && hex_decode(id, k->id, sizeof(k->id)) &&
	       hex_decode(span_trim(line), k->key, sizeof(k->key));
}

struct kek_ring *kek_parse(struct span text, struct err *e)
{
	struct kek_ring *ring = ring_new();
	struct span line;

	for (unsigned number = 1; span_cut(&text, '\n', &line); number++) {
		line = span_trim(line);
		if (line.n == 0 || line.p[0] == '#')
			continue;
		if (ring->n == KEK_KEYS_MAX || !kek_parse_line(line, &ring->keys[ring->n])) {
			/* Never the line itself: it may be a key with one wrong digit. */
			err_set(e, ERR_PERM, "line %u is not a key id and a key, or one too many",
				number);
			kek_free(ring);
			return NULL;
		}
		ring->n++;
	}
	if (ring->n > 0)
		return ring;
	kek_free(ring);
	err_set(e, ERR_PERM, "there is no key");
	return NULL;
}

static int kek_read(const char *path, struct buf *text, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;
	char *to;

	if (fd < 0)
		return err_set(
			e, errno == ENOENT ? ERR_NOTFOUND : ERR_TEMP, "cannot open %s: %m", path);
	to = buf_reserve(text, KEK_FILE_MAX);
	n = read(fd, to, KEK_FILE_MAX);
	if (n > 0)
		buf_added(text, (size_t)n);
	(void)close(fd);
	if (n < 0)
		return err_set(e, ERR_TEMP, "cannot read %s: %m", path);
	if (n == KEK_FILE_MAX)
		return err_set(e, ERR_PERM, "%s is too long to be a file of keys", path);
	return 0;
}

struct kek_ring *kek_load(const char *path, struct err *e)
{
	struct kek_ring *ring = NULL;
	struct err bad;
	struct buf text;

	buf_init(&text);
	if (kek_read(path, &text, e) == 0) {
		ring = kek_parse(buf_span(&text), &bad);
		if (ring == NULL)
			err_set(e, bad.code, "%s: %s", path, bad.log);
	}
	buf_wipe(&text);
	return ring;
}

static void kek_add_new(struct buf *text)
{
	struct kek k;

	pack_must(
		RAND_bytes(k.id, sizeof(k.id)) == 1 && RAND_priv_bytes(k.key, sizeof(k.key)) == 1);
	buf_add_hex(text, k.id, sizeof(k.id));
	buf_add_c(text, ' ');
	buf_add_hex(text, k.key, sizeof(k.key));
	buf_add_c(text, '\n');
	mem_wipe(&k, sizeof(k));
}

static int sync_parent(const char *path, struct err *e)
{
	char *copy = mem_strdup(path);
	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd >= 0 ? fsync(fd) : -1;

	if (r < 0)
		err_set(e, ERR_TEMP, "cannot sync the folder of %s: %m", path);
	if (fd >= 0)
		(void)close(fd);
	mem_free(copy);
	return r;
}

/* A key file that is half there after a crash would lose all mail put before anyone looks. */
static int kek_write(const char *path, struct span text, const struct stat *like, struct err *e)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int r = -1;

	if (fd < 0)
		return err_set(
			e, errno == EEXIST ? ERR_EXISTS : ERR_TEMP, "cannot make %s: %m", path);
	if (write(fd, text.p, text.n) != (ssize_t)text.n ||
		(like != NULL && (fchown(fd, like->st_uid, like->st_gid) < 0 ||
					 fchmod(fd, like->st_mode & 0777) < 0)) ||
		fsync(fd) < 0)
		err_set(e, ERR_TEMP, "cannot write %s: %m", path);
	else
		r = 0;
	(void)close(fd);
	if (r < 0)
		(void)unlink(path);
	return r;
}

int kek_file_create(const char *path, struct err *e)
{
	struct buf text;
	int r;

	buf_init(&text);
	kek_add_new(&text);
	r = kek_write(path, buf_span(&text), NULL, e);
	buf_wipe(&text);
	return r < 0 ? -1 : sync_parent(path, e);
}

int kek_file_rotate(const char *path, struct err *e)
{
	char *next = mem_printf("%s.new", path);
	struct kek_ring *ring = NULL;
	struct buf text;
	struct stat st;
	int r = -1;

	buf_init(&text);
	kek_add_new(&text);
	if (stat(path, &st) < 0)
		err_set(e, ERR_TEMP, "cannot stat %s: %m", path);
	else if (kek_read(path, &text, e) == 0)
		ring = kek_parse(buf_span(&text), e);
	if (ring != NULL && kek_write(next, buf_span(&text), &st, e) == 0) {
		r = rename(next, path);
		if (r < 0)
			err_set(e, ERR_TEMP, "cannot rename %s: %m", next);
		else
			r = sync_parent(path, e);
	}
	kek_free(ring);
	buf_wipe(&text);
	mem_free(next);
	return r;
}

/* ---- wrapping ---- */

void kek_wrap(struct kek_ring *ring, const unsigned char key[PACK_KEY_BYTES],
	unsigned char wrapped_r[WRAPPED_KEY_BYTES], unsigned char key_id_r[KEK_ID_BYTES])
{
	int n = 0, rest = 0;

	pack_must(
		EVP_EncryptInit_ex(ring->wrap, ring->cipher, NULL, ring->keys[0].key, NULL) == 1 &&
		EVP_EncryptUpdate(ring->wrap, wrapped_r, &n, key, PACK_KEY_BYTES) == 1 &&
		n == WRAPPED_KEY_BYTES &&
		EVP_EncryptFinal_ex(ring->wrap, wrapped_r + n, &rest) == 1);
	memcpy(key_id_r, ring->keys[0].id, KEK_ID_BYTES);
}

int kek_unwrap(struct kek_ring *ring, const unsigned char wrapped[WRAPPED_KEY_BYTES],
	const unsigned char key_id[KEK_ID_BYTES], unsigned char key_r[PACK_KEY_BYTES],
	struct err *e)
{
	unsigned char plain[WRAPPED_KEY_BYTES];
	const struct kek *k = NULL;
	int n = 0;

	for (size_t i = 0; i < ring->n && k == NULL; i++) {
		if (memcmp(ring->keys[i].id, key_id, KEK_ID_BYTES) == 0)
			k = &ring->keys[i];
	}
	if (k == NULL)
		return err_set(e, ERR_NOTFOUND,
			"the key that this body's key is wrapped with is not loaded");
	pack_must(EVP_DecryptInit_ex(ring->unwrap, ring->cipher, NULL, k->key, NULL) == 1);
	if (EVP_DecryptUpdate(ring->unwrap, plain, &n, wrapped, WRAPPED_KEY_BYTES) != 1 ||
		n != PACK_KEY_BYTES)
		return err_set(e, ERR_PERM, "the body's wrapped key is not genuine");
	memcpy(key_r, plain, PACK_KEY_BYTES);
	mem_wipe(plain, sizeof(plain));
	return 0;
}

int locator_rewrap(struct kek_ring *ring, struct locator *l, struct err *e)
{
	unsigned char key[PACK_KEY_BYTES];

	if (kek_unwrap(ring, l->key, l->key_id, key, e) < 0)
		return -1;
	kek_wrap(ring, key, l->key, l->key_id);
	mem_wipe(key, sizeof(key));
	return 0;
}
