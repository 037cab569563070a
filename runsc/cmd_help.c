/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/feature.h"
#include "runsc/cli.h"
#include "syscalls/syscalls.h"

static struct error *help_syscalls(const struct cli_args *a)
{
	if (a->word_count == 1)
		syscalls_print_table(stdout);
	else if (strcmp(a->words[1], "markdown") == 0)
		syscalls_print_markdown(stdout);
	else
		return error_new("No help topic for 'syscalls %s'", a->words[1]);
	return NULL;
}

static void help_switches(void)
{
	for (int i = 0; i < FEATURE_COUNT; i++) {
		const struct feature_info *f = feature_info((enum feature)i);

		printf("%-14s  %-5s  %-5s  %s\n", f->name,
		       f->kind == FEATURE_HOST ? "host" : "speed", f->since, f->loss);
	}
}

static struct error *run(const struct runsc_options *o, const struct cli_args *a, int *ret_status)
{
	const struct command *c;

	(void)o;
	(void)ret_status;
	if (a->word_count == 0) {
		cli_help(stdout);
		return NULL;
	}
	if (strcmp(a->words[0], "syscalls") == 0)
		return help_syscalls(a);
	if (strcmp(a->words[0], "switches") == 0 && a->word_count == 1) {
		help_switches();
		return NULL;
	}
	c = cli_find(a->words[0]);
	if (!c || a->word_count > 1)
		return error_new("No help topic for '%s'", a->words[a->word_count - 1]);
	cli_help_command(stdout, c);
	return NULL;
}

static const struct cli_option options[] = {{NULL, 0, NULL, NULL}};

const struct command cmd_help = {
    .name = "help",
    .synopsis = "[command | syscalls [markdown] | switches]",
    .summary =
	"show the commands, help for one, or the table of system calls, or what --without knows",
    .options = options,
    .words_max = 2,
    .run = run,
};
