/*
 * mem: allocation that cannot fail. When memory is out the process says so and aborts; its callers
 * never check. What an outside peer can ask for is bounded before it is allocated (see buf_limit).
 */
#ifndef LM_MEM_H
#define LM_MEM_H

#include <stddef.h>

void *mem_alloc(size_t size);				     /* zeroed */
void *mem_alloc_array(size_t count, size_t size);	     /* zeroed, overflow checked */
void *mem_realloc_array(void *p, size_t count, size_t size); /* not zeroed, overflow checked */
void *mem_dup(const void *data, size_t size);		     /* one NUL is added behind */
char *mem_strdup(const char *s);			     /* NULL gives NULL */
char *mem_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
void mem_free(void *p);		     /* NULL is fine */
void mem_wipe(void *p, size_t size); /* overwrites, not optimised away */

/* One arena per request or message: many small allocations, freed together. */
struct arena;
struct arena *arena_new(void);
void *arena_alloc(struct arena *a, size_t size);		 /* zeroed, aligned for any type */
void *arena_dup(struct arena *a, const void *data, size_t size); /* one NUL is added behind */
char *arena_strdup(struct arena *a, const char *s);
char *arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
size_t arena_used(const struct arena *a);
void arena_reset(struct arena *a); /* frees all but the first block */
void arena_free(struct arena *a);  /* NULL is fine */

#define array_count(a) (sizeof(a) / sizeof((a)[0]))

#endif
