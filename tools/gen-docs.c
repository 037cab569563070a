/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `make docs` puts into the documents: gen-docs compatibility prints docs/compatibility.md,
 * gen-docs stub-filter and gen-docs gofer-filter the tables of these names in docs/security.md.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fsgofer/confine.h"
#include "platform/filter.h"
#include "syscalls/syscalls.h"

static const char *verdict_name(int verdict)
{
	switch (verdict) {
	case FILTER_ALLOW:
		return "allow";
	case FILTER_ASK:
		return "ask";
	default:
		return "doorbell";
	}
}

static const char *use_name(enum filter_use use)
{
	return use == FILTER_NOTIFY ? "notify" : use == FILTER_PTRACE ? "ptrace" : "both";
}

static void print_stub_filter(void)
{
	const struct filter_rule *rules;
	uint32_t count;

	rules = filter_rules(&count);
	printf("| call | platform | verdict | why |\n|---|---|---|---|\n");
	for (uint32_t i = 0; i < count; i++)
		printf("| %s | %s | %s | %s |\n", rules[i].name, use_name(rules[i].use),
		       verdict_name(rules[i].verdict), rules[i].reason);
}

/* "ARG_IS(0, X), ARG_BITS(2, M, V)" in words. */
static void print_condition(const char *when)
{
	int n, used;
	char a[64], b[64];

	while (*when) {
		if (sscanf(when, "ARG_IS(%d, %63[^)])%n", &n, a, &used) == 2)
			printf("argument %d is %s", n, a);
		else if (sscanf(when, "ARG_BITS(%d, %63[^,], %63[^)])%n", &n, a, b, &used) == 3)
			printf("%s of argument %d is %s", a, n, b);
		else
			break;
		when += used;
		if (*when == ',') {
			printf("; ");
			when += 2;
		}
	}
}

static void print_gofer_filter(void)
{
	struct filter_description d;

	printf("| call | when | who needs it |\n|---|---|---|\n");
	for (size_t i = 0; filter_describe(i, &d); i++) {
		printf("| %s | ", d.call);
		print_condition(d.when);
		printf(" | %s |\n", d.reason);
	}
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "compatibility") == 0) {
		syscalls_print_markdown(stdout);
	} else if (argc == 2 && strcmp(argv[1], "stub-filter") == 0) {
		print_stub_filter();
	} else if (argc == 2 && strcmp(argv[1], "gofer-filter") == 0) {
		print_gofer_filter();
	} else {
		fprintf(stderr, "usage: gen-docs compatibility|stub-filter|gofer-filter\n");
		return 2;
	}
	return fflush(stdout) == 0 ? 0 : 1;
}
