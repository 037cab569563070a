/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Micro benchmarks, one static program that runs natively and in a sandbox. `micro [row...]` prints
 * a line a row: name, nanoseconds an operation. Each row repeats its operation until a time budget
 * is used (BENCH_MS, default 200), but several batches at least, and reports the fastest of them,
 * which on a noisy machine is the one least disturbed. `micro --list` prints the names.
 */
#include "tests/bench/micro.h"

#include <time.h>

char buffer[BUFFER_SIZE];
const char *self_path = "/proc/self/exe";

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

void fail(const char *what)
{
	fprintf(stderr, "micro: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* One batch may lose half a second to a neighbour, and use up the budget. */
#define BATCHES_MIN 4

static void run_row(const struct row *r, uint64_t budget_ns)
{
	uint64_t start = now_ns(), best = UINT64_MAX;
	int batches = 0;

	do {
		uint64_t before = now_ns(), took;

		r->run(r->batch);
		took = now_ns() - before;
		if (took < best)
			best = took;
	} while (++batches < BATCHES_MIN || now_ns() - start < budget_ns);
	printf("%s\t%.1f\n", r->name, (double)best / (double)r->batch);
	fflush(stdout);
}

static int wanted(const char *name, int argc, char **argv)
{
	if (argc == 1)
		return 1;
	for (int a = 1; a < argc; a++)
		if (!strcmp(argv[a], name))
			return 1;
	return 0;
}

int main(int argc, char **argv)
{
	static const struct row *const lists[] = {file_rows, name_rows, ipc_rows, memory_rows,
						  process_rows};
	const char *ms = getenv("BENCH_MS");
	uint64_t budget = (ms ? strtoull(ms, NULL, 10) : 200) * 1000000ull;
	int list_only = argc == 2 && !strcmp(argv[1], "--list");

	if (argc == 2 && !strcmp(argv[1], "--exit"))
		return 0;
	if (argv[0][0] == '/')
		self_path = argv[0];
	for (size_t l = 0; l < sizeof(lists) / sizeof(lists[0]); l++)
		for (const struct row *r = lists[l]; r->name; r++) {
			if (list_only)
				puts(r->name);
			else if (wanted(r->name, argc, argv))
				run_row(r, budget);
		}
	return 0;
}
