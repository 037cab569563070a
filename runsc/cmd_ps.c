/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "runsc/cli.h"
#include "runsc/control.h"
#include "runsc/state.h"

#define PS_TIMEOUT_MS 10000

/* A sentry that goes on for ever about processes is not believed. */
#define PS_ROWS_MAX 1000000

/* Text that a guest chose, for a terminal. */
static void print_safe(const char *s)
{
	for (; *s; s++)
		putchar((unsigned char)*s < 0x20 || *s == 0x7f ? '?' : *s);
}

static void print_line(const struct control_ps_row *row)
{
	time_t start = (time_t)row->start_seconds;
	unsigned long long seconds = row->cpu_ms / 1000;
	char when[16] = "?", tty[16] = "?";
	struct tm tm;

	if (localtime_r(&start, &tm))
		strftime(when, sizeof(when), time(NULL) - start < 86400 ? "%H:%M" : "%b%d", &tm);
	if (row->tty == ~0u)
		strcpy(tty, "console");
	else if (row->tty)
		snprintf(tty, sizeof(tty), "pts/%u", row->tty - 1);
	printf("%-8u %7d %7d %-5s %-8s %02llu:%02llu:%02llu ", row->uid, row->pid, row->ppid, when,
	       tty, seconds / 3600, seconds / 60 % 60, seconds % 60);
	if (row->args[0]) {
		print_safe(row->args);
	} else {
		putchar('[');
		print_safe(row->comm);
		putchar(']');
	}
	putchar('\n');
}

/* Prints the rows of one reply; *after becomes the last one's pid. */
static struct error *print_rows(const void *payload, size_t size, int32_t *after)
{
	if (size % sizeof(struct control_ps_row))
		return error_new("the sandbox sent a malformed reply");
	for (size_t at = 0; at < size; at += sizeof(struct control_ps_row)) {
		struct control_ps_row row;

		memcpy(&row, (const char *)payload + at, sizeof(row));
		row.comm[sizeof(row.comm) - 1] = row.args[sizeof(row.args) - 1] = '\0';
		if (row.pid <= *after)
			return error_new("the sandbox sent a malformed reply");
		*after = row.pid;
		print_line(&row);
	}
	return NULL;
}

static struct error *print_table(const struct container *c)
{
	struct control_request q = {.op = CONTROL_PS};
	struct control_reply reply = {.more = 1};
	struct error *e = NULL;
	int32_t after = 0;

	puts("UID          PID    PPID STIME TTY          TIME CMD");
	if (container_status(c) == CONTAINER_STOPPED)
		return NULL;
	for (size_t rows = 0; !e && reply.more && rows < PS_ROWS_MAX;) {
		void *payload;

		q.ps.after_pid = after;
		e = control_call(c->dir_fd, STATE_CONTROL_NAME, &q, NULL, PS_TIMEOUT_MS, &reply,
				 &payload);
		if (e)
			break;
		rows += reply.size / sizeof(struct control_ps_row) + 1;
		e = print_rows(payload, reply.size, &after);
		free(payload);
	}
	return e;
}

/*
 * Engines match these pids with the host's own ps (docker top): so they are the host's, and the
 * sandbox process stands for all that runs in it.
 */
static void print_json(const struct container *c)
{
	if (container_status(c) == CONTAINER_STOPPED)
		puts("[]");
	else
		printf("[%d]\n", (int)c->sandbox.pid);
}

static struct error *run(const struct runsc_options *o, const struct cli_args *a, int *ret_status)
{
	const char *format = cli_string(a, "format");
	struct container *c;
	struct error *e;

	(void)ret_status;
	if (format && strcmp(format, "table") && strcmp(format, "json"))
		return error_new("invalid format option");
	e = container_open(o, a->words[0], &c);
	if (e)
		return e;
	if (format && strcmp(format, "json") == 0)
		print_json(c);
	else
		e = print_table(c);
	container_close(c);
	return e;
}

static const struct cli_option options[] = {
    {"format", 'f', "value", "table (default), or json: the process ids on the host"},
    {NULL, 0, NULL, NULL},
};

const struct command cmd_ps = {
    .name = "ps",
    .synopsis = "[command options] <container-id> [ps options]",
    .summary = "show the processes in a container",
    .description = "The table shows the processes as the container sees them. Options for ps are\n"
		   "accepted, without effect.\n",
    .options = options,
    .words_min = 1,
    .words_max = -1,
    .run = run,
};
