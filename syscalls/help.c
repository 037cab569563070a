/* SPDX-License-Identifier: Apache-2.0 */
/* The table for people: `runsc help syscalls` and docs/compatibility.md. */
#include <stdio.h>

#include "base/compiler.h"
#include "syscalls/syscalls.h"

static const char *const level_names[] = {
    [SYSCALL_FULL] = "full",
    [SYSCALL_PARTIAL] = "partial",
    [SYSCALL_ABSENT] = "absent",
};

struct level_sums {
	unsigned int count[array_count(level_names)];
	unsigned int total;
};

static struct level_sums count_levels(void)
{
	struct level_sums sums = {0};

	for (size_t nr = 0; nr < array_count(syscall_table); nr++) {
		if (!syscall_table[nr].name)
			continue;
		sums.count[syscall_table[nr].level]++;
		sums.total++;
	}
	return sums;
}

void syscalls_print_table(FILE *out)
{
	struct level_sums sums = count_levels();

	fprintf(out, "%4s  %-24s %-8s %s\n", "NR", "CALL", "SUPPORT", "NOTE");
	for (size_t nr = 0; nr < array_count(syscall_table); nr++) {
		const struct syscall_entry *e = &syscall_table[nr];

		if (e->name)
			fprintf(out, "%4zu  %-24s %-8s%s%s\n", nr, e->name, level_names[e->level],
				*e->note ? " " : "", e->note);
	}
	fprintf(out, "\n%u calls: %u full, %u partial, %u absent\n", sums.total,
		sums.count[SYSCALL_FULL], sums.count[SYSCALL_PARTIAL], sums.count[SYSCALL_ABSENT]);
}

void syscalls_print_markdown(FILE *out)
{
	struct level_sums sums = count_levels();

	fprintf(
	    out,
	    "# Compatibility\n\n"
	    "Made from `syscalls/table.h` by `make docs`; `make lint` checks that it is "
	    "current.\n\n"
	    "The x86-64 system calls of Linux 6.12: %u rows, of which %u are full, %u partial, "
	    "%u absent.\nA call that is absent answers with the error that Linux gives where it "
	    "lacks or forbids it;\neach use is counted, logged once, and fatal under "
	    "`--strict`.\n\n"
	    "| nr | call | support | note |\n|---:|---|---|---|\n",
	    sums.total, sums.count[SYSCALL_FULL], sums.count[SYSCALL_PARTIAL],
	    sums.count[SYSCALL_ABSENT]);
	for (size_t nr = 0; nr < array_count(syscall_table); nr++) {
		const struct syscall_entry *e = &syscall_table[nr];

		if (e->name)
			fprintf(out, "| %zu | %s | %s | %s |\n", nr, e->name, level_names[e->level],
				e->note);
	}
}
