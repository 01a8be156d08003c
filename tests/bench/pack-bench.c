/*
 * pack-bench: durable puts a second through the library: the fs driver, compressing, sealing, group
 *commit.
 *
 *	pack-bench FOLDER [puts [waiting [octets [threads]]]]
 *
 * `waiting` bodies are kept under way; each is text that zstd can halve. The folder must be empty.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "lib-common/mem.h"
#include "lib-storage/object-put.h"
#include "lib-storage/receipt.h"

static double seconds(clockid_t clock)
{
	struct timespec t;

	(void)clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static size_t argument(int argc, char **argv, int i, size_t otherwise)
{
	return argc > i ? (size_t)strtoul(argv[i], NULL, 10) : otherwise;
}

static void body_fill(struct buf *body, size_t octets, unsigned seed)
{
	static const char *const words[] = {"the", "mail", "of", "today", "receipt", "meeting",
		"tomorrow", "about", "invoice", "regards", "please", "find", "attached", "=20",
		"and"};

	srand(seed);
	while (body->len < octets) {
		if (rand() % 4 == 0)
			buf_printf(body, "%x", (unsigned)rand());
		else
			buf_add_str(body, words[(size_t)rand() % array_count(words)]);
		buf_add_c(body, rand() % 12 == 0 ? '\n' : ' ');
	}
	buf_truncate(body, octets);
}

static void report(struct putter *p, size_t puts, double wall, double cpu, uint64_t stored)
{
	uint64_t commits, entries;

	putter_counts(p, &commits, &entries);
	printf("%zu puts in %.2f s: %.0f puts/s, %.1f us CPU a put, %.1f puts a sync, %llu octets "
	       "stored a put\n",
		puts, wall, (double)puts / wall, cpu * 1e6 / (double)puts,
		(double)entries / (double)(commits ? commits : 1),
		(unsigned long long)(stored / puts));
}

static int bench(struct putter *p, size_t puts, size_t waiting, size_t octets)
{
	static const unsigned char receipt_key[RECEIPT_KEY_BYTES];
	struct put_job *jobs = mem_alloc_array(waiting, sizeof(*jobs)), *job;
	struct pollfd poll_fd = {.fd = putter_fd(p), .events = POLLIN};
	double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
	size_t submitted = 0, done = 0;
	uint64_t stored = 0;
	struct buf body[16] = {{0}}, text = {0};

	for (size_t i = 0; i < array_count(body); i++)
		body_fill(&body[i], octets, (unsigned)i);
	wall = seconds(CLOCK_MONOTONIC);
	cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
	for (; submitted < waiting && submitted < puts; submitted++) {
		jobs[submitted].fd = -1;
		jobs[submitted].body = buf_span(&body[submitted % array_count(body)]);
		putter_submit(p, &jobs[submitted]);
	}
	while (done < puts) {
		(void)poll(&poll_fd, 1, -1);
		job = putter_take(p);
		while (job != NULL) {
			struct put_job *next = job->next;
			struct receipt r = {.locator = job->locator, .time = job->time};

			if (job->err.code != ERR_NONE) {
				fprintf(stderr, "%s\n", job->err.log);
				return 1;
			}
			receipt_sign(&r, receipt_key);
			buf_empty(&text);
			receipt_text(&r, &text);
			stored += job->locator.length;
			done++;
			if (submitted < puts) {
				job->body = buf_span(&body[submitted++ % array_count(body)]);
				putter_submit(p, job);
			}
			job = next;
		}
	}
	report(p, puts, seconds(CLOCK_MONOTONIC) - wall, seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu,
		stored);
	for (size_t i = 0; i < array_count(body); i++)
		buf_clear(&body[i]);
	buf_clear(&text);
	mem_free(jobs);
	return 0;
}

int main(int argc, char **argv)
{
	struct object_fs_config fs = {.pack_size = 64 << 20, .prewrite_size = 8 << 20};
	struct putter_config config = {.large_size = 1 << 20};
	struct kek_ring *ring;
	struct putter *p;
	struct err e = {0};
	int fd, r;

	if (argc < 2) {
		fprintf(stderr, "usage: pack-bench FOLDER [puts [waiting [octets [threads "
				"[prewrite]]]]]\n");
		return 2;
	}
	fd = open(argv[1], O_RDONLY | O_DIRECTORY);
	fs.prewrite_size = argument(argc, argv, 6, 8 << 20);
	config.threads = (unsigned)argument(argc, argv, 5, 3);
	config.store = object_fs_open(fd, &fs, &e);
	ring = kek_parse(SPAN("0011223344556677 "
			      "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n"),
		&e);
	config.ring = ring;
	p = config.store != NULL ? putter_new(&config, &e) : NULL;
	if (p == NULL) {
		fprintf(stderr, "%s\n", e.log);
		return 1;
	}
	r = bench(p, argument(argc, argv, 2, 100000), argument(argc, argv, 3, 32),
		argument(argc, argv, 4, 4096));
	putter_stop(p);
	putter_free(p);
	config.store->driver->close(config.store);
	kek_free(ring);
	(void)close(fd);
	return r;
}
