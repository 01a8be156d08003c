#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib-common/mem.h"
#include "lib-common/settings.h"

struct tester_settings {
	struct service_settings service;
	char *listen, *words, *path, *key;
	uint64_t size, time_ms, number, mode;
	int form;
	bool flag;
};

#define FIELD(name) offsetof(struct tester_settings, name)
/* clang-format off */
static const struct setting_row rows[] = {
	SERVICE_SETTING_ROWS(struct tester_settings, "1", "2", "3", "0", "64M", "1m", "nobody", "yes"),
	{"listen", SETTING_LISTENERS, FIELD(listen), "$run_dir/x.sock 127.0.0.1:24", 0, 0, NULL, false, "Doc."},
	{"words", SETTING_LIST, FIELD(words), "a,b  c", 0, 0, NULL, false, "Doc."},
	{"path", SETTING_PATH, FIELD(path), "$state_dir/p", 0, 0, NULL, false, "Doc."},
	{"key", SETTING_SECRET, FIELD(key), "", 0, 0, NULL, false, "Doc."},
	{"size", SETTING_SIZE, FIELD(size), "64K", 1024, 1 << 20, NULL, false, "Doc."},
	{"time", SETTING_TIME_MS, FIELD(time_ms), "500ms", 0, 0, NULL, false, "Doc."},
	{"number", SETTING_UINT, FIELD(number), "7", 1, 9, NULL, true, "Doc."},
	{"mode", SETTING_MODE, FIELD(mode), "0660", 0, 0, NULL, false, "Doc."},
	{"form", SETTING_ENUM, FIELD(form), "plain", 0, 0, "plain|hashed|off", false, "Doc."},
	{"flag", SETTING_BOOL, FIELD(flag), "no", 0, 0, NULL, false, "Doc."},
	{.name = NULL},
};
/* clang-format on */

static int tester_check(const void *settings, struct err *e)
{
	const struct tester_settings *s = settings;

	if (s->number == 8)
		return err_set(e, ERR_PERM, "eight is not possible here");
	return 0;
}

static const struct settings_def tester_def = {
	.section = "tester",
	.rows = rows,
	.struct_size = sizeof(struct tester_settings),
	.check = tester_check,
};

static const struct settings_def *const defs[] = {&global_settings_def, &tester_def, NULL};

static char dir[] = "/tmp/settings-test-XXXXXX";

static void file_write(const char *name, const char *text)
{
	char *path = mem_printf("%s/%s", dir, name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	mem_free(path);
}

/* Reads `text` as lightmail.conf and compares the problems ('%' stands for the file's path). */
static struct config *config_of(const char *text, const char *expected)
{
	struct config *c = config_new();
	char *path = mem_printf("%s/lightmail.conf", dir);
	struct buf problems, want;

	buf_init(&problems);
	buf_init(&want);
	file_write("lightmail.conf", text);
	for (const char *p = expected; *p != '\0'; p++) {
		if (*p == '%')
			buf_add_str(&want, path);
		else
			buf_add_c(&want, *p);
	}
	int rc = config_read(c, path, defs, &problems);
	assert_string_equal(buf_str(&problems), buf_str(&want));
	assert_int_equal(rc, *expected == '\0' ? 0 : -1);
	buf_clear(&problems);
	buf_clear(&want);
	mem_free(path);
	return c;
}

static void test_values(void **state)
{
	(void)state;
	struct config *c = config_of("; comment\n[global]\nrun_dir = /r\n\n[tester]\n"
				     "listen = [::1]:143, 127.0.0.1:143\n   /a/b\n  $run_dir/l\n"
				     "size=1M\n  time = 2h\nform = OFF\nflag = yes\r\nmode = 0600\n"
				     "key = a = b\nclient_limit = 5\n",
		"");
	struct err e;
	struct tester_settings *s = settings_bind(&tester_def, c, &e);
	const char *source;

	assert_non_null(s);
	assert_string_equal(s->listen, "[::1]:143 127.0.0.1:143 /a/b /r/l");
	assert_string_equal(s->words, "a b c");
	assert_string_equal(s->path, LM_STATEDIR "/p");
	assert_string_equal(s->key, "a = b");
	assert_true(s->size == 1 << 20 && s->time_ms == 7200000 && s->number == 7);
	assert_true(s->mode == 0600 && s->form == 2 && s->flag);
	assert_true(s->service.client_limit == 5 && s->service.chroot &&
		    s->service.idle_kill_ms == 60000);
	assert_true(setting_list_has(s->words, "b") && !setting_list_has(s->words, "bc"));
	assert_string_equal(config_get(c, "tester", "flag", &source), "yes");
	assert_non_null(strstr(source, "lightmail.conf:12"));
	assert_null(config_get(c, "tester", "number", NULL));
	settings_free(&tester_def, s);
	config_free(c);
}

static void test_problems(void **state)
{
	(void)state;
	config_free(config_of("[tester]\nsise = 1K\n[testr]\nx = 1\n[glob\nnonsense\n",
		"%:2: unknown setting 'sise' in [tester]; nearest is 'size'\n"
		"%:3: unknown section [testr]; nearest is [tester]\n"
		"%:5: a section's name ends with ]\n"
		"%:6: neither [section] nor key = value\n"));
	config_free(config_of("x = 1\n[tester]\nsize = 1K\nsize = 2K\n",
		"%:1: a setting before the first [section]\n"
		"%:4: 'size' in [tester] is already set at %:3\n"));
	config_free(
		config_of("[tester]\nsize = 12X\n", "%:2: size takes a size such as 64K or 10M, "
						    "not '12X'\n"));
	config_free(
		config_of("[tester]\nsize = 2M\n", "%:2: size must be between 1024 and 1048576\n"));
	config_free(config_of("[tester]\nsize = 99999999999999999T\n",
		"%:2: size takes a size such as 64K or 10M, not '99999999999999999T'\n"));
	config_free(config_of("[tester]\ntime = 5\n",
		"%:2: time takes a time such as 500ms, 30s or 2h, not '5'\n"));
	config_free(config_of("[tester]\nnumber = -1\n", "%:2: number takes a number, not '-1'\n"));
	config_free(config_of(
		"[tester]\nmode = 0888\n", "%:2: mode takes an octal mode, not '0888'\n"));
	config_free(config_of(
		"[tester]\nform = x\n", "%:2: form is one of plain|hashed|off, not 'x'\n"));
	config_free(config_of("[tester]\nflag = 1\n", "%:2: flag is yes or no, not '1'\n"));
	config_free(config_of(
		"[tester]\npath = a/b\n", "%:2: path takes an absolute path, not 'a/b'\n"));
	config_free(config_of("[tester]\nlisten = 1.2.3.4:99999\n",
		"%:2: listen: '1.2.3.4:99999' is not ADDRESS:PORT, [IPv6]:PORT or /path\n"));
	config_free(config_of("[tester]\nlisten = localhost:25\n",
		"%:2: listen: 'localhost:25' is not ADDRESS:PORT, [IPv6]:PORT or /path\n"));
	config_free(config_of("[tester]\nnumber = 8\n", "[tester]: eight is not possible here\n"));
}

static void test_long_line(void **state)
{
	(void)state;
	char text[1200] = "[tester]\nwords = ";

	memset(text + strlen(text), 'x', 1000);
	config_free(config_of(text,
		"%:2: the line is too long or holds a NUL octet; a list may go on in the next, "
		"indented line\n"));
}

static void test_set_and_lines(void **state)
{
	(void)state;
	struct config *c = config_of("", "");
	struct buf problems, lines;
	struct err e;

	buf_init(&problems);
	buf_init(&lines);
	assert_int_equal(config_set(c, "tester.number=9", defs, &problems), 0);
	assert_int_equal(config_set(c, "tester.number=10", defs, &problems), -1);
	assert_string_equal(buf_str(&problems), "--set: number must be between 1 and 9\n");
	buf_empty(&problems);
	assert_int_equal(config_set(c, "tester.numbr=1", defs, &problems), -1);
	assert_int_equal(config_set(c, "number", defs, &problems), -1);
	assert_int_equal(config_set(c, "tester.words=a\nglobal.run_dir\t/", defs, &problems), -1);
	assert_int_equal(config_set(c, "tester.number=3", defs, &problems), 0);
	config_serialise(c, defs, &lines);
	assert_non_null(strstr(buf_str(&lines), "\ntester.number\t3\n"));
	assert_non_null(strstr(buf_str(&lines), "\ntester.words\ta,b  c\n"));
	struct tester_settings *s = settings_parse(&tester_def, buf_span(&lines), &e);
	assert_non_null(s);
	assert_true(s->number == 3);
	assert_string_equal(s->words, "a b c");
	settings_free(&tester_def, s);
	s = settings_parse(&tester_def, SPAN("tester.number\t77\n"), &e);
	assert_null(s);
	assert_string_equal(e.log, "number must be between 1 and 9");
	buf_clear(&problems);
	buf_clear(&lines);
	config_free(c);
}

static void test_folder(void **state)
{
	(void)state;
	char *conf_d = mem_printf("%s/conf.d", dir);

	mkdir(conf_d, 0700);
	file_write("conf.d/b.conf", "[tester]\nnumber = 2\n");
	file_write("conf.d/a.conf", "[tester]\nflag = yes\n");
	file_write("conf.d/c.conf.bak", "nonsense\n");
	struct config *c = config_of("[global]\nhostname = h\n", "");
	assert_string_equal(config_get(c, "tester", "number", NULL), "2");
	assert_string_equal(config_get(c, "tester", "flag", NULL), "yes");
	config_free(c);
	file_write("conf.d/c.conf", "[tester]\nnumber = 3\n");
	c = config_new();
	struct buf problems;
	buf_init(&problems);
	char *path = mem_printf("%s/lightmail.conf", dir);
	assert_int_equal(config_read(c, path, defs, &problems), -1);
	assert_non_null(
		strstr(buf_str(&problems), "c.conf:2: 'number' in [tester] is already set"));
	buf_clear(&problems);
	mem_free(path);
	mem_free(conf_d);
	config_free(c);
}

static void test_sample(void **state)
{
	(void)state;
	struct buf out;

	buf_init(&out);
	settings_print_sample(&tester_def, &out);
	assert_non_null(strstr(buf_str(&out), "\n[tester]\n"));
	assert_non_null(strstr(buf_str(&out), "\n#size = 64K\n"));
	buf_clear(&out);
	settings_print_guide(&tester_def, &out);
	assert_non_null(strstr(buf_str(&out), "| `form` | `plain` | one of plain, hashed, off |"));
	buf_clear(&out);
}

static int setup(void **state)
{
	(void)state;
	return mkdtemp(dir) == NULL ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	char *command = mem_printf("rm -rf '%s'", dir);
	int rc = system(command);

	mem_free(command);
	return rc;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_problems),
		cmocka_unit_test(test_long_line),
		cmocka_unit_test(test_set_and_lines),
		cmocka_unit_test(test_folder),
		cmocka_unit_test(test_sample),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
