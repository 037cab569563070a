/* SPDX-License-Identifier: Apache-2.0 */
#include "base/timeline.h"

#include <ctype.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define STAGES_MAX 120

struct stage {
	uint64_t ns;
	char process[16];
	char name[40];
};

struct timeline {
	uint64_t start_ns, cpu_before_ns;
	atomic_uint count; /* taken, not all of them are filled in yet */
	struct stage stages[STAGES_MAX];
};

struct timeline *timeline_shared;
static char process[16] = "runsc"; /* [I] after the fork */

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts = {0, 0};

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

void timeline_start(void)
{
	struct timeline *t =
	    mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (t == MAP_FAILED)
		return;
	t->start_ns = clock_ns(CLOCK_MONOTONIC);
	t->cpu_before_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	timeline_shared = t;
}

void timeline_process(const char *name)
{
	memset(process, 0, sizeof(process));
	strncpy(process, name, sizeof(process) - 1);
}

void timeline_note(const char *stage)
{
	struct timeline *t = timeline_shared;
	uint32_t i = atomic_fetch_add(&t->count, 1);
	struct stage *s = &t->stages[i];

	if (i >= STAGES_MAX)
		return;
	memcpy(s->process, process, sizeof(process));
	strncpy(s->name, stage, sizeof(s->name) - 1);
	s->ns = clock_ns(CLOCK_MONOTONIC);
}

static int by_time(const void *a, const void *b)
{
	const struct stage *x = a, *y = b;

	return x->ns < y->ns ? -1 : x->ns > y->ns;
}

/* Copied out first: others may still write. Returns how many are whole. */
static uint32_t take_stages(struct stage *ret)
{
	uint32_t taken = atomic_load(&timeline_shared->count), count = 0;

	taken = MIN(taken, (uint32_t)STAGES_MAX);
	for (uint32_t i = 0; i < taken; i++) {
		ret[count] = timeline_shared->stages[i];
		ret[count].process[sizeof(ret->process) - 1] = '\0';
		ret[count].name[sizeof(ret->name) - 1] = '\0';
		count += ret[count].ns != 0;
	}
	qsort(ret, count, sizeof(*ret), by_time);
	return count;
}

static void print_clean(FILE *out, const char *text, int width)
{
	int n = 0;

	for (; *text; text++, n++)
		putc(isprint((unsigned char)*text) ? *text : '?', out);
	for (; n < width; n++)
		putc(' ', out);
}

void timeline_print(FILE *out)
{
	struct stage stages[STAGES_MAX];
	uint64_t start, last;
	uint32_t count;

	if (!timeline_shared)
		return;
	count = take_stages(stages);
	start = last = timeline_shared->start_ns;
	fprintf(out, "      us   since  process          stage\n");
	fprintf(out, "%8d %7.0f  %-16s main (CPU time before it)\n", 0,
		(double)timeline_shared->cpu_before_ns / 1e3, "runsc");
	for (uint32_t i = 0; i < count; i++) {
		fprintf(out, "%8.0f %7.0f  ", (double)(int64_t)(stages[i].ns - start) / 1e3,
			(double)(int64_t)(stages[i].ns - last) / 1e3);
		print_clean(out, stages[i].process, 17);
		print_clean(out, stages[i].name, 0);
		putc('\n', out);
		last = stages[i].ns;
	}
}
