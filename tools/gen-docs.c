/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `make docs` puts into the documents: gen-docs compatibility prints docs/compatibility.md,
 * gen-docs stub-filter the table of that name in docs/security.md.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "platform/notify/filter.h"
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

static void print_stub_filter(void)
{
	const struct filter_rule *rules;
	uint32_t count;

	rules = filter_rules(&count);
	printf("| call | verdict | why |\n|---|---|---|\n");
	for (uint32_t i = 0; i < count; i++)
		printf("| %s | %s | %s |\n", rules[i].name, verdict_name(rules[i].verdict),
		       rules[i].reason);
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "compatibility") == 0) {
		syscalls_print_markdown(stdout);
	} else if (argc == 2 && strcmp(argv[1], "stub-filter") == 0) {
		print_stub_filter();
	} else {
		fprintf(stderr, "usage: gen-docs compatibility|stub-filter\n");
		return 2;
	}
	return fflush(stdout) == 0 ? 0 : 1;
}
