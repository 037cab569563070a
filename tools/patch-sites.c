/* SPDX-License-Identifier: Apache-2.0 */
/*
 * patch-sites FILE...: what call-site patching would do with ELF files: a line a file with the
 * counts, and with -v a line a candidate.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "platform/patch/patch.h"

static bool read_file(void *arg, void *buf, size_t size, uint64_t pos)
{
	return pread(*(int *)arg, buf, size, (off_t)pos) == (ssize_t)size;
}

static void print_candidate(void *arg, uint64_t va, enum patch_verdict v)
{
	printf("%s: %#lx: %s\n", (const char *)arg, (unsigned long)va, patch_verdict_name(v));
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static uint32_t pages_touched(const struct patch *p)
{
	uint32_t count = 0;

	for (uint64_t at = 0; at < p->area_size; at += 4096) {
		uint64_t back;

		for (uint64_t i = at; i < at + 4096; i++)
			if (patch_to_text(p, i, &back)) {
				count++;
				break;
			}
	}
	return count;
}

static int look_at(char *name, bool verbose)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC), err;
	struct patch_source src = {.read = read_file, .arg = &fd};
	struct patch_text text;
	struct patch p;
	struct stat st;
	double start = now();

	if (fd < 0 || fstat(fd, &st) < 0) {
		fprintf(stderr, "%s: %s\n", name, strerror(errno));
		return 1;
	}
	src.size = (uint64_t)st.st_size;
	err = patch_text_read(&src, &text);
	if (!err)
		err = patch_analyze(&text, 0, verbose ? print_candidate : NULL, name, &p);
	close(fd);
	if (err) {
		printf("%s: %s\n", name, strerror(-err));
		return 1;
	}
	printf("%s: text %lu KiB, %u functions:", name, (unsigned long)(text.size >> 10),
	       text.start_count);
	for (int v = 0; v < PATCH_VERDICTS; v++)
		if (p.verdicts[v])
			printf(" %u %s,", p.verdicts[v], patch_verdict_name(v));
	printf(" %u pages of trampolines, %.1f ms\n", pages_touched(&p), now() - start);
	patch_free(&p);
	patch_text_free(&text);
	return 0;
}

int main(int argc, char **argv)
{
	bool verbose = argc > 1 && !strcmp(argv[1], "-v");
	int failed = 0;

	for (int i = 1 + verbose; i < argc; i++)
		failed |= look_at(argv[i], verbose);
	return failed;
}
