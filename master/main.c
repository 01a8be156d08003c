/*
 * lightmail: the master. Reads the configuration, binds all sockets, starts and watches the
 * services.
 *
 * Sockets: binds those of all services, and offers master/admin to lightmailctl and api.
 * Rights kept: those it was started with (root in production), for it must bind, chown and start.
 * When a service is gone it is started again; when master is gone its services finish and end.
 */
#include "master/master.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <openssl/rand.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "lib-common/mem.h"
#include "lib-common/service.h"
#include "lib-common/version.h"

static struct master the_master = {.pid_fd = -1, .ready_pipe = -1};

struct master *master_get(void)
{
	return &the_master;
}

static void usage(FILE *out)
{
	fprintf(out, "usage: lightmail [-F] [-c FILE] [--set SECTION.KEY=VALUE]...\n"
		     "       lightmail -t [-c FILE]\n"
		     "       lightmail --print-samples DIR | --print-guide | --print-protocol\n"
		     "\n"
		     "  -c, --config FILE    the configuration (" LM_SYSCONFDIR "/lightmail.conf)\n"
		     "  -F, --foreground     stay in the foreground, log to standard error\n"
		     "  -t, --test           check the configuration and say what is wrong\n"
		     "  --set ASSIGNMENT     a setting, as if it stood in a file; may be repeated\n"
		     "  --print-samples DIR  write commented sample files\n"
		     "  --print-guide        print all settings as Markdown\n"
		     "  --print-protocol     print the commands of master's roles as Markdown\n"
		     "  -V, --version\n");
}

static int print_problems(const struct buf *problems)
{
	fprintf(stderr, "lightmail does not start:\n%s", buf_str(problems));
	return 78; /* EX_CONFIG */
}

static void write_file(const char *path, const struct buf *b)
{
	FILE *f = fopen(path, "w");

	if (f == NULL || fwrite(b->data, 1, b->len, f) != b->len || fclose(f) != 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		exit(73);
	}
}

static int print_samples(const char *dir)
{
	struct buf b;
	char *path = mem_printf("%s/conf.d", dir);

	(void)mkdir(path, 0755);
	mem_free(path);
	for (unsigned i = 0; i <= UNIT_COUNT; i++) {
		const struct settings_def *def = i == UNIT_COUNT ? &global_settings_def
								 : unit_defs[i].settings;

		buf_init(&b);
		settings_print_sample(def, &b);
		path = i == UNIT_COUNT ? mem_printf("%s/lightmail.conf", dir)
				       : mem_printf("%s/conf.d/%s.conf", dir, unit_defs[i].name);
		write_file(path, &b);
		mem_free(path);
		buf_clear(&b);
	}
	return 0;
}

static int print_guide(void)
{
	struct buf b;

	buf_init(&b);
	settings_print_guide(&global_settings_def, &b);
	for (unsigned i = 0; i < UNIT_COUNT; i++)
		settings_print_guide(unit_defs[i].settings, &b);
	(void)fwrite(b.data, 1, b.len, stdout);
	buf_clear(&b);
	return 0;
}

static int print_protocol(void)
{
	struct buf b;

	buf_init(&b);
	channel_role_print(&admin_role, &b);
	channel_role_print(&service_control_role, &b);
	(void)fwrite(b.data, 1, b.len, stdout);
	buf_clear(&b);
	return 0;
}

static void on_signal(evutil_socket_t number, short what, void *ctx)
{
	struct master *m = ctx;
	struct buf problems;

	(void)what;
	switch (number) {
	case SIGCHLD:
		processes_reap(m);
		break;
	case SIGHUP:
		if (m->stopping)
			break;
		buf_init(&problems);
		(void)master_reload(m, &problems);
		buf_clear(&problems);
		break;
	default:
		master_stop(m);
	}
}

static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	processes_tick(ctx);
}

/* The first process waits until the services are ready, so that whoever started it knows. */
static void daemonise(struct master *m)
{
	int pair[2], null;
	char ok;
	pid_t pid;

	if (pipe2(pair, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
		perror("lightmail");
		exit(71);
	}
	if (pid > 0) {
		(void)close(pair[1]);
		_exit(read(pair[0], &ok, 1) == 1 ? 0 : 70);
	}
	(void)close(pair[0]);
	m->ready_pipe = pair[1];
	(void)setsid();
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		(void)dup2(null, STDIN_FILENO);
		(void)dup2(null, STDOUT_FILENO);
	}
}

static void log_open(const struct master *m)
{
	const struct global_settings *g = m->plan->global;

	if (g->log_file != NULL && g->log_file[0] != '\0' && !m->foreground) {
		int fd = open(g->log_file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);

		if (fd < 0 || dup2(fd, STDERR_FILENO) < 0) {
			fprintf(stderr, "%s: %s\n", g->log_file, strerror(errno));
			exit(73);
		}
		(void)close(fd);
	}
	log_setup("master", (enum log_form)g->log_form, (enum log_level)g->log_level,
		(enum log_addresses)g->log_addresses, STDERR_FILENO);
}

static void pid_write(const struct master *m)
{
	if (ftruncate(m->pid_fd, 0) < 0 || dprintf(m->pid_fd, "%d\n", (int)getpid()) < 0)
		log_warning("pid-file-failed", "error", LOG_STR(strerror(errno)), NULL);
}

static void loop_prepare(struct master *m)
{
	static const int numbers[] = {SIGCHLD, SIGHUP, SIGTERM, SIGINT};
	const struct timeval second = {1, 0};

	m->base = event_base_new();
	if (m->base == NULL)
		log_fatal("loop-failed", NULL);
	for (size_t i = 0; i < array_count(numbers); i++) {
		m->signals[i] = evsignal_new(m->base, numbers[i], on_signal, m);
		(void)event_add(m->signals[i], NULL);
	}
	(void)signal(SIGPIPE, SIG_IGN);
	m->tick = event_new(m->base, -1, EV_PERSIST, on_tick, m);
	(void)event_add(m->tick, &second);
}

static void master_run(struct master *m)
{
	char *path;

	loop_prepare(m);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	for (size_t i = 0; topology_keys[i].name != NULL; i++) {
		if (RAND_bytes(m->keys[i], KEY_BYTES) != 1)
			log_fatal("random-failed", NULL);
	}
	pid_write(m);
	admin_listen(m);
	for (unsigned i = 0; i < UNIT_COUNT; i++)
		unit_init(m, i);
	log_info("starting", "version", LOG_STR(LM_VERSION), NULL);
	for (unsigned i = 0; i < UNIT_COUNT; i++)
		unit_fill(m, &m->units[i]);
	(void)event_base_dispatch(m->base);
	for (struct binding *b = m->plan->bindings; b != NULL; b = b->next) {
		if (b->address[0] == '/')
			(void)unlink(b->address);
	}
	log_info("stopped", NULL);
	path = mem_printf("%s/master.pid", m->plan->global->run_dir);
	(void)unlink(path);
	mem_free(path);
}

static const struct option options[] = {
	{"config", required_argument, NULL, 'c'},
	{"foreground", no_argument, NULL, 'F'},
	{"test", no_argument, NULL, 't'},
	{"set", required_argument, NULL, 's'},
	{"print-samples", required_argument, NULL, 'P'},
	{"print-guide", no_argument, NULL, 'G'},
	{"print-protocol", no_argument, NULL, 'R'},
	{"version", no_argument, NULL, 'V'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

int main(int argc, char **argv)
{
	struct master *m = &the_master;
	struct buf problems;
	bool test = false;
	int c;

	m->config_path = LM_SYSCONFDIR "/lightmail.conf";
	while ((c = getopt_long(argc, argv, "c:FtVh", options, NULL)) != -1) {
		switch (c) {
		case 'c':
			m->config_path = optarg;
			break;
		case 'F':
			m->foreground = true;
			break;
		case 't':
			test = true;
			break;
		case 's':
			m->overrides = mem_realloc_array(
				m->overrides, m->n_overrides + 1, sizeof(*m->overrides));
			m->overrides[m->n_overrides++] = optarg;
			break;
		case 'P':
			return print_samples(optarg);
		case 'G':
			return print_guide();
		case 'R':
			return print_protocol();
		case 'V':
			printf("LightMail %s\n", LM_VERSION);
			return 0;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 64;
		}
	}
	if (optind != argc) {
		usage(stderr);
		return 64;
	}
	buf_init(&problems);
	m->plan = plan_load(m, &problems);
	if (m->plan == NULL)
		return print_problems(&problems);
	if (test) {
		printf("The configuration is good.\n");
		return 0;
	}
	if (folders_make(m->plan, &problems) < 0 || folders_lock(m, &problems) < 0 ||
		bindings_open(m->plan, NULL, &problems) < 0)
		return print_problems(&problems);
	if (!m->foreground)
		daemonise(m);
	log_open(m);
	master_run(m);
	return 0;
}
