/* SPDX-License-Identifier: Apache-2.0 */
#include "runsc/cli.h"

#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>

#include "runsc/lifecycle.h"

const struct command *const cli_commands[] = {
    &cmd_create, &cmd_debug, &cmd_delete, &cmd_doctor, &cmd_features, &cmd_help,  &cmd_kill,
    &cmd_list,	 &cmd_ps,    &cmd_run,	  &cmd_spec,   &cmd_start,    &cmd_state, NULL,
};

const struct cli_option cli_global_options[] = {
    {"root", 0, "value",
     "directory of the containers' state (default: /run/runsc, or "
     "$XDG_RUNTIME_DIR/runsc when not root)"},
    {"log", 0, "value", "file that log lines are added to (default: standard error)"},
    {"log-format", 0, "value", "text (default) or json"},
    {"debug", 0, NULL, "log what runsc, the sentry and the gofer do"},
    {"systemd-cgroup", 0, NULL,
     "cgroupsPath has the form slice:prefix:name; the cgroup is made "
     "where systemd would make it, without asking systemd"},
    {"rootless", 0, "value", "pass over cgroups that can't be made: true, false or auto"},
    {"criu", 0, "value", "accepted, without effect"},
    {"platform", 0, "value",
     "how guest code is run: auto (default), notify or ptrace; none runs none, it is for porters"},
    {"network", 0, "value", "none (default); host and sandbox are not there yet"},
    {"file-access", 0, "value",
     "exclusive (default): nobody else changes the container's root file system while it runs; "
     "shared: the host may, at the price of asking each time"},
    {"strace", 0, NULL, "log each system call of the container"},
    {"strict", 0, NULL, "a system call or flag that isn't supported ends the sandbox"},
    {"without", 0, "value",
     "host features and fast paths not to be used, for tests: names as `runsc help switches` "
     "lists them, with commas; all-host, all-speed"},
    {"force", 0, "value", "fast paths to be used even where they don't pay, for tests"},
    {"timeline", 0, NULL,
     "print on standard error, at the end, which stage of the command took how long"},
    {"help", 'h', NULL, "show this"},
    {"version", 'v', NULL, "print the version"},
    {NULL, 0, NULL, NULL},
};

/* Builds getopt's tables. A flag takes an optional value, for "--debug=false". */
static size_t make_getopt(const struct cli_option *options, bool stop_at_word, char *letters,
			  struct option *longs)
{
	size_t count = 0;

	if (stop_at_word)
		*letters++ = '+';
	*letters++ = ':';
	for (; options[count].name; count++) {
		longs[count] = (struct option){
		    .name = options[count].name,
		    .has_arg = options[count].value ? required_argument : optional_argument,
		    .val = 256 + (int)count,
		};
		if (options[count].letter) {
			*letters++ = options[count].letter;
			if (options[count].value)
				*letters++ = ':';
		}
	}
	*letters = '\0';
	longs[count] = (struct option){0};
	return count;
}

static int index_of(const struct cli_option *options, int opt)
{
	if (opt >= 256)
		return opt - 256;
	for (int i = 0; options[i].name; i++)
		if (options[i].letter == opt)
			return i;
	return -1;
}

static struct error *check_flag(const char *name, const char *value)
{
	if (!strcmp(value, "true") || !strcmp(value, "false") || !strcmp(value, "1") ||
	    !strcmp(value, "0"))
		return NULL;
	return error_new("--%s: expected true or false, found \"%s\"", name, value);
}

struct error *cli_parse(const struct cli_option *options, int argc, char **argv, bool stop_at_word,
			struct cli_args *ret)
{
	struct option longs[CLI_OPTIONS_MAX + 1];
	char letters[2 * CLI_OPTIONS_MAX + 4];
	struct cli_args a = {.options = options};
	int opt;

	make_getopt(options, stop_at_word, letters, longs);
	optind = 0;
	opterr = 0;
	while ((opt = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		int i = opt == '?' || opt == ':' ? -1 : index_of(options, opt);

		if (opt == ':')
			return error_new("flag needs an argument: %s", argv[optind - 1]);
		if (i < 0 && optopt && optopt < 256)
			return error_new("flag provided but not defined: -%c", optopt);
		if (i < 0)
			return error_new("flag provided but not defined: %s", argv[optind - 1]);
		a.values[i] = optarg ? optarg : "true";
		if (!options[i].value) {
			struct error *e = check_flag(options[i].name, a.values[i]);

			if (e)
				return e;
		}
	}
	a.words = argv + optind;
	a.word_count = argc - optind;
	*ret = a;
	return NULL;
}

const char *cli_string(const struct cli_args *a, const char *name)
{
	for (size_t i = 0; a->options[i].name; i++)
		if (strcmp(a->options[i].name, name) == 0)
			return a->values[i];
	return NULL;
}

bool cli_flag(const struct cli_args *a, const char *name)
{
	const char *value = cli_string(a, name);

	return value && (!strcmp(value, "true") || !strcmp(value, "1"));
}

const struct command *cli_find(const char *name)
{
	for (size_t i = 0; cli_commands[i]; i++)
		if (strcmp(cli_commands[i]->name, name) == 0)
			return cli_commands[i];
	return NULL;
}

static void print_options(FILE *out, const struct cli_option *options)
{
	for (; options->name; options++) {
		char left[64];

		snprintf(left, sizeof(left), "--%s%s%s%s%c", options->name,
			 options->value ? " " : "", options->value ? options->value : "",
			 options->letter ? ", -" : "", options->letter ? options->letter : ' ');
		fprintf(out, "   %-26s  %s\n", left, options->help);
	}
}

void cli_version(FILE *out)
{
	fprintf(out, "runsc version %s\nspec: %s\n", RUNSC_VERSION, RUNSC_OCI_VERSION);
}

void cli_help(FILE *out)
{
	fputs("NAME:\n   runsc - an OCI runtime that runs containers in a sandbox of their own "
	      "kernel\n\n"
	      "USAGE:\n   runsc [global options] command [command options] [arguments...]\n\n"
	      "A container is run from a bundle: a directory with a config.json and a root file\n"
	      "system. Its programs run under a sentry, a Linux kernel in user space that answers\n"
	      "their system calls. `runsc spec` writes a config.json to start from, and\n\n"
	      "   runsc run [ -b bundle ] <container-id>\n\nruns it.\n\nCOMMANDS:\n",
	      out);
	for (size_t i = 0; cli_commands[i]; i++)
		fprintf(out, "   %-10s  %s\n", cli_commands[i]->name, cli_commands[i]->summary);
	fputs("\nGLOBAL OPTIONS:\n", out);
	print_options(out, cli_global_options);
}

void cli_help_command(FILE *out, const struct command *c)
{
	fprintf(out, "NAME:\n   runsc %s - %s\n\nUSAGE:\n   runsc %s %s\n", c->name, c->summary,
		c->name, c->synopsis);
	if (c->description)
		fprintf(out, "\nDESCRIPTION:\n%s", c->description);
	if (c->options->name) {
		fputs("\nOPTIONS:\n", out);
		print_options(out, c->options);
	}
}

int cli_ending_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

struct error *cli_create_request(const struct cli_args *a, struct create_request *ret)
{
	const char *bundle = cli_string(a, "bundle"), *fds = cli_string(a, "preserve-fds");

	if (fds && strcmp(fds, "0") != 0)
		return error_new("--preserve-fds %s: passing further descriptors into the "
				 "container is not supported",
				 fds);
	*ret = (struct create_request){
	    .id = a->words[0],
	    .bundle = bundle ? bundle : ".",
	    .pid_file = cli_string(a, "pid-file"),
	    .console_socket = cli_string(a, "console-socket"),
	    .signal_fd = -1,
	};
	return NULL;
}
