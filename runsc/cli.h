/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands and their options. A command is one file, cmd_NAME.c, that exports one struct command;
 * main.c finds it, parses its options and prints the error it returns.
 */
#ifndef RUNSC_CLI_H
#define RUNSC_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "runsc/error.h"
#include "runsc/options.h"

#define CLI_OPTIONS_MAX 24

struct cli_option {
	const char *name;  /* long, without dashes; NULL ends a list */
	char letter;	   /* or 0 */
	const char *value; /* what its value is called in the help; NULL: a flag */
	const char *help;
};

struct cli_args {
	const struct cli_option *options;
	const char *values[CLI_OPTIONS_MAX]; /* by index; a flag has "true"; NULL: not given */
	char **words;			     /* the positional arguments */
	int word_count;
};

struct command {
	const char *name;
	const char *synopsis; /* behind "runsc NAME" */
	const char *summary;
	const char *description; /* whole lines, or NULL */
	const struct cli_option *options;
	int words_min, words_max; /* words_max -1: any number, options end at the first */
	/* ret_status: runsc's exit status when there is no error; 0 beforehand. */
	struct error *(*run)(const struct runsc_options *o, const struct cli_args *a,
			     int *ret_status);
	bool names_itself; /* errors begin with "runsc NAME failed: " */
};

extern const struct command cmd_create, cmd_debug, cmd_delete, cmd_doctor, cmd_features, cmd_help,
    cmd_kill, cmd_list, cmd_ps, cmd_run, cmd_spec, cmd_start, cmd_state;
extern const struct command *const cli_commands[]; /* ends with NULL */
extern const struct cli_option cli_global_options[];

/*
 * Parses argv[1] and on: "--x=y", "--x y", "-x y". At the first word that is no option it stops
 * with stop_at_word; else words may stand anywhere. ret->words points into argv.
 */
struct error *cli_parse(const struct cli_option *options, int argc, char **argv, bool stop_at_word,
			struct cli_args *ret) __must_check;
const char *cli_string(const struct cli_args *a, const char *name); /* NULL: not given */
bool cli_flag(const struct cli_args *a, const char *name);

const struct command *cli_find(const char *name);
void cli_help(FILE *out);
void cli_help_command(FILE *out, const struct command *c);
void cli_version(FILE *out);

/* The options that create and run have in common, and what they ask for. */
#define CLI_CREATE_OPTIONS                                                                         \
	{"bundle", 'b', "value", "path to the bundle's directory; the current one by default"},    \
	    {"console-socket", 0, "value",                                                         \
	     "unix socket that receives the master end of the container's terminal"},              \
	    {"pid-file", 0, "value", "file to write the sandbox's process id to"},                 \
	    {"no-pivot", 0, NULL,                                                                  \
	     "accepted, without effect: the container's root is never the host's"},                \
	    {"no-new-keyring", 0, NULL,                                                            \
	     "accepted, without effect: the sandbox has no keyring of the host"},                  \
	{                                                                                          \
		"preserve-fds", 0, "value", "only 0: no further descriptors reach the container"   \
	}

/* Blocks SIGHUP, SIGINT, SIGQUIT and SIGTERM; a signalfd of them, for create_request. */
int cli_ending_signals(void);

struct create_request;
struct error *cli_create_request(const struct cli_args *a, struct create_request *ret) __must_check;

#endif
