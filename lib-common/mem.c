#include "lib-common/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *mem_check(void *p)
{
	static const char text[] = "out of memory\n";

	if (p == NULL) {
		(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
		abort();
	}
	return p;
}

void *mem_alloc(size_t size)
{
	return mem_check(calloc(1, size == 0 ? 1 : size));
}

void *mem_alloc_array(size_t count, size_t size)
{
	return mem_check(calloc(count == 0 ? 1 : count, size == 0 ? 1 : size));
}

void *mem_realloc_array(void *p, size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes))
		bytes = SIZE_MAX;
	return mem_check(realloc(p, bytes == 0 ? 1 : bytes));
}

void *mem_dup(const void *data, size_t size)
{
	char *p = mem_check(malloc(size + 1));

	if (size > 0)
		memcpy(p, data, size);
	p[size] = '\0';
	return p;
}

char *mem_strdup(const char *s)
{
	return s == NULL ? NULL : mem_dup(s, strlen(s));
}

char *mem_printf(const char *format, ...)
{
	char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, format);
	n = vasprintf(&text, format, ap);
	va_end(ap);
	return mem_check(n < 0 ? NULL : text);
}

void mem_free(void *p)
{
	free(p);
}

void mem_wipe(void *p, size_t size)
{
	explicit_bzero(p, size);
}

/* Blocks form a list, newest first; the oldest is kept by arena_reset. */
#define ARENA_BLOCK 4096

struct arena_block {
	struct arena_block *older;
	size_t used, size;
	max_align_t data[];
};

struct arena {
	struct arena_block *newest;
	size_t used;
};

static struct arena_block *arena_block_new(size_t size, struct arena_block *older)
{
	struct arena_block *b = mem_check(malloc(sizeof(*b) + size));

	b->older = older;
	b->used = 0;
	b->size = size;
	return b;
}

struct arena *arena_new(void)
{
	struct arena *a = mem_alloc(sizeof(*a));

	a->newest = arena_block_new(ARENA_BLOCK, NULL);
	return a;
}

void *arena_alloc(struct arena *a, size_t size)
{
	const size_t align = _Alignof(max_align_t);
	size_t need;
	void *p;

	if (__builtin_add_overflow(size == 0 ? 1 : size, align - 1, &need))
		(void)mem_check(NULL);
	need &= ~(align - 1);
	if (need > a->newest->size - a->newest->used)
		a->newest = arena_block_new(need > ARENA_BLOCK ? need : ARENA_BLOCK, a->newest);
	p = (char *)a->newest->data + a->newest->used;
	a->newest->used += need;
	a->used += need;
	return memset(p, 0, need);
}

void *arena_dup(struct arena *a, const void *data, size_t size)
{
	char *p = arena_alloc(a, size + 1);

	if (size > 0)
		memcpy(p, data, size);
	return p;
}

char *arena_strdup(struct arena *a, const char *s)
{
	return s == NULL ? NULL : arena_dup(a, s, strlen(s));
}

char *arena_printf(struct arena *a, const char *format, ...)
{
	va_list ap;
	char *text;
	int n;

	va_start(ap, format);
	n = vsnprintf(NULL, 0, format, ap);
	va_end(ap);
	text = arena_alloc(a, (size_t)(n < 0 ? 0 : n) + 1);
	va_start(ap, format);
	(void)vsnprintf(text, (size_t)(n < 0 ? 0 : n) + 1, format, ap);
	va_end(ap);
	return text;
}

size_t arena_used(const struct arena *a)
{
	return a->used;
}

void arena_reset(struct arena *a)
{
	struct arena_block *older;

	while ((older = a->newest->older) != NULL) {
		free(a->newest);
		a->newest = older;
	}
	a->newest->used = 0;
	a->used = 0;
}

void arena_free(struct arena *a)
{
	if (a == NULL)
		return;
	arena_reset(a);
	free(a->newest);
	free(a);
}
