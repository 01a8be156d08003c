#include "lib-common/mem.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static void test_alloc(void **state)
{
	unsigned char *p = mem_alloc(1000);

	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_int_equal(p[i], 0);
	mem_free(p);
	mem_free(NULL);
	p = mem_alloc(0);
	assert_non_null(p);
	mem_free(p);
	p = mem_alloc_array(0, 0);
	assert_non_null(p);
	p = mem_realloc_array(p, 10, 3);
	memset(p, 1, 30);
	mem_free(p);
}

static void test_strings(void **state)
{
	char *s = mem_dup("a\0b", 3);

	(void)state;
	assert_memory_equal(s, "a\0b\0", 4);
	mem_wipe(s, 3);
	assert_memory_equal(s, "\0\0\0\0", 4);
	mem_free(s);
	s = mem_strdup("text");
	assert_string_equal(s, "text");
	mem_free(s);
	assert_null(mem_strdup(NULL));
	s = mem_printf("%d-%s", 7, "x");
	assert_string_equal(s, "7-x");
	mem_free(s);
}

static void test_arena(void **state)
{
	struct arena *a = arena_new();
	char *first = arena_strdup(a, "first");

	(void)state;
	assert_null(arena_strdup(a, NULL));
	for (size_t n = 0; n < 9000; n += 7) {
		char *p = arena_alloc(a, n);

		assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(p[i], 0);
		memset(p, 0xff, n);
	}
	assert_string_equal(first, "first");
	assert_string_equal(arena_printf(a, "%s %05d", "n", 42), "n 00042");
	assert_memory_equal(arena_dup(a, "a\0b", 3), "a\0b\0", 4);
	assert_true(arena_used(a) > 1000000);
	arena_reset(a);
	assert_int_equal(arena_used(a), 0);
	assert_int_equal(*(char *)arena_alloc(a, 100), 0); /* zeroed again */
	arena_free(a);
	arena_free(NULL);
}

/* A programmer's mistake or no memory left: the process says so and aborts. */
static void expect_abort(void (*run)(void))
{
	struct rlimit none = {0, 0};
	int status, fds[2];
	char text[64] = "";
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)setrlimit(RLIMIT_CORE, &none);
		(void)signal(SIGABRT, SIG_DFL);
		(void)dup2(fds[1], STDERR_FILENO);
		run();
		_exit(0);
	}
	(void)close(fds[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	(void)!read(fds[0], text, sizeof(text) - 1);
	(void)close(fds[0]);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
	assert_string_equal(text, "out of memory\n");
}

static void overflow_realloc(void)
{
	mem_free(mem_realloc_array(NULL, SIZE_MAX / 2, 3));
}

static void overflow_arena(void)
{
	(void)arena_alloc(arena_new(), SIZE_MAX - 3);
}

static void test_overflow(void **state)
{
	(void)state;
#ifdef LM_SANITIZED
	/* The sanitizer ends the process at such a request itself. */
	(void)overflow_realloc;
#else
	expect_abort(overflow_realloc);
#endif
	expect_abort(overflow_arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alloc),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_arena),
		cmocka_unit_test(test_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
