/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "runsc/cli.h"
#include "runsc/lifecycle.h"

#define KILL_TIMEOUT_MS 10000

static const struct {
	const char *name;
	int number;
} aliases[] = {{"IOT", SIGIOT}, {"CLD", SIGCHLD}, {"POLL", SIGPOLL}};

/* The kernel's, where libc's SIGRTMIN is higher. */
#define KERNEL_SIGRTMIN 32
#define KERNEL_SIGMAX	64

static int realtime_number(const char *name)
{
	int base = strncasecmp(name, "RTMIN", 5) == 0	? SIGRTMIN
		   : strncasecmp(name, "RTMAX", 5) == 0 ? SIGRTMAX
							: -1;
	char *end;
	long offset;

	if (base < 0)
		return -1;
	offset = strtol(name + 5, &end, 10);
	if (*end || base + offset < KERNEL_SIGRTMIN || base + offset > KERNEL_SIGMAX)
		return -1;
	return base + (int)offset;
}

static int signal_number(const char *text)
{
	const char *name = strncasecmp(text, "SIG", 3) == 0 ? text + 3 : text;

	if (isdigit((unsigned char)text[0])) {
		char *end;
		long n = strtol(text, &end, 10);

		return *end || n < 1 || n > KERNEL_SIGMAX ? -1 : (int)n;
	}
	for (int n = 1; n < KERNEL_SIGRTMIN; n++)
		if (sigabbrev_np(n) && strcasecmp(name, sigabbrev_np(n)) == 0)
			return n;
	for (size_t i = 0; i < array_count(aliases); i++)
		if (strcasecmp(name, aliases[i].name) == 0)
			return aliases[i].number;
	return realtime_number(name);
}

static struct error *not_running(struct error *cause)
{
	error_free(cause);
	return error_new("container not running");
}

static struct error *send(const struct container *c, int signo, bool all)
{
	enum container_status s = container_status(c);
	struct error *e;

	if (s == CONTAINER_STOPPED && all)
		return NULL;
	if (s == CONTAINER_STOPPED)
		return not_running(NULL);
	e = lifecycle_signal(c, signo, all, KILL_TIMEOUT_MS);
	/* It ended meanwhile. */
	if (e && (lifecycle_sentry_gone(e) || e->errnum == ESRCH))
		return all ? (error_free(e), NULL) : not_running(e);
	return e;
}

static struct error *run(const struct runsc_options *o, const struct cli_args *a, int *ret_status)
{
	const char *text = a->word_count > 1 ? a->words[1] : "SIGTERM";
	struct container *c;
	struct error *e = container_open(o, a->words[0], &c);
	int signo;

	(void)ret_status;
	if (e)
		return e;
	signo = signal_number(text);
	e = signo < 0 ? error_new("unknown signal \"%s\"", text)
		      : send(c, signo, cli_flag(a, "all"));
	container_close(c);
	return e;
}

static const struct cli_option options[] = {
    {"all", 'a', NULL, "send the signal to all processes of the container"},
    {NULL, 0, NULL, NULL},
};

const struct command cmd_kill = {
    .name = "kill",
    .synopsis = "[command options] <container-id> [signal]",
    .summary = "send a signal (default: SIGTERM) to the container's first process",
    .description = "The signal is a number or a name, with or without \"SIG\". SIGKILL ends the\n"
		   "whole sandbox and doesn't need its help.\n",
    .options = options,
    .words_min = 1,
    .words_max = 2,
    .run = run,
};
