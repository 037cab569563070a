/* SPDX-License-Identifier: Apache-2.0 */
/* Looking into a sandbox that runs. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "runsc/cli.h"
#include "runsc/control.h"
#include "runsc/json.h"
#include "runsc/state.h"

#define STATS_TIMEOUT_MS 10000
#define STATS_MAX	 8192 /* a sentry that counts more isn't believed */
#define INTERVAL_MAX	 86400.0

struct stat_row {
	bool grows;	/* a counter; else a gauge */
	uint64_t value; /* two's complement for a gauge below zero */
	char *name;
};

struct stat_table {
	struct stat_row *rows;
	size_t count;
	int64_t taken_ms;
};

static void table_free(struct stat_table *t)
{
	for (size_t i = 0; i < t->count; i++)
		free(t->rows[i].name);
	free(t->rows);
	*t = (struct stat_table){NULL};
}

/* Names have parts that a guest chose. */
static char *clean_name(const char *name)
{
	char *copy = xstrdup(name);

	for (char *p = copy; *p; p++)
		if ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7f)
			*p = '?';
	return copy;
}

/* "counter 12 calls" */
static bool parse_line(char *line, struct stat_row *ret)
{
	char *kind = strtok_r(line, " ", &line), *value = strtok_r(NULL, " ", &line), *end;

	if (!kind || !value || !line || !*line)
		return false;
	ret->grows = strcmp(kind, "counter") == 0;
	if (!ret->grows && strcmp(kind, "gauge") != 0)
		return false;
	errno = 0;
	ret->value = *value == '-' ? (uint64_t)strtoll(value, &end, 10) : strtoull(value, &end, 10);
	if (*end || errno)
		return false;
	ret->name = clean_name(line);
	return true;
}

static struct error *parse_table(char *text, struct stat_table *ret)
{
	struct stat_table t = {.rows = xcalloc(STATS_MAX, sizeof(*t.rows))};
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (t.count == STATS_MAX || !parse_line(line, &t.rows[t.count])) {
			table_free(&t);
			return error_new("the sandbox sent malformed counters");
		}
		t.count++;
	}
	t.taken_ms = clock_monotonic_ms();
	*ret = t;
	return NULL;
}

static struct error *fetch(const struct container *c, struct stat_table *ret)
{
	struct control_request q = {.op = CONTROL_STATS};
	void *payload;
	struct error *e =
	    control_call(c->dir_fd, STATE_CONTROL_NAME, &q, NULL, STATS_TIMEOUT_MS, NULL, &payload);

	if (e)
		return e;
	e = parse_table(payload, ret);
	free(payload);
	return e;
}

/* What was counted under that name before; 0: nothing yet. */
static uint64_t value_of(const struct stat_table *t, const char *name)
{
	for (size_t i = 0; t && i < t->count; i++)
		if (strcmp(t->rows[i].name, name) == 0)
			return t->rows[i].value;
	return 0;
}

static double rate(const struct stat_table *t, const struct stat_table *before, size_t i)
{
	double seconds = (double)MAX(t->taken_ms - before->taken_ms, (int64_t)1) / 1000.0;

	return (double)(t->rows[i].value - value_of(before, t->rows[i].name)) / seconds;
}

static void print_text(const struct stat_table *t, const struct stat_table *before)
{
	for (size_t i = 0; i < t->count; i++) {
		const struct stat_row *r = &t->rows[i];

		if (before && r->grows)
			printf("%-32s %20" PRIu64 " %14.1f/s\n", r->name, r->value,
			       rate(t, before, i));
		else
			printf("%-32s %20" PRId64 "\n", r->name, (int64_t)r->value);
	}
}

static void print_json(const struct stat_table *t, const struct stat_table *before)
{
	json_t *all = json_object(), *counters = json_object(), *gauges = json_object();
	json_t *rates = json_object();

	for (size_t i = 0; i < t->count; i++) {
		const struct stat_row *r = &t->rows[i];

		json_object_set_new(r->grows ? counters : gauges, r->name,
				    json_integer((json_int_t)r->value));
		if (before && r->grows)
			json_object_set_new(rates, r->name, json_real(rate(t, before, i)));
	}
	json_object_set_new(all, "counters", counters);
	json_object_set_new(all, "gauges", gauges);
	if (before) {
		json_object_set_new(all, "seconds",
				    json_real((double)(t->taken_ms - before->taken_ms) / 1000.0));
		json_object_set_new(all, "rates", rates);
	} else {
		json_decref(rates);
	}
	json_dumpf(all, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(8));
	putchar('\n');
	json_decref(all);
}

static void sleep_seconds(double seconds)
{
	struct timespec left = {(time_t)seconds, 0};

	left.tv_nsec = (long)((seconds - (double)left.tv_sec) * 1e9);
	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}

static struct error *show_stats(const struct container *c, double interval, bool json)
{
	struct stat_table before = {NULL}, now = {NULL};
	struct error *e = NULL;

	if (interval > 0) {
		e = fetch(c, &before);
		if (!e)
			sleep_seconds(interval);
	}
	if (!e)
		e = fetch(c, &now);
	if (!e)
		(json ? print_json : print_text)(&now, interval > 0 ? &before : NULL);
	table_free(&before);
	table_free(&now);
	return e;
}

static struct error *parse_interval(const char *text, double *ret)
{
	char *end;

	*ret = 0;
	if (!text)
		return NULL;
	*ret = strtod(text, &end);
	if (end == text || *end || !(*ret > 0) || *ret > INTERVAL_MAX)
		return error_new("invalid interval: %s", text);
	return NULL;
}

static struct error *parse_mode(const char *text, uint32_t *ret)
{
	static const char *const names[] = {"on", "off", "churn"};

	for (uint32_t i = 0; i < array_count(names); i++) {
		if (strcmp(text, names[i]))
			continue;
		*ret = i;
		return NULL;
	}
	return error_new("invalid mode of patching: %s", text);
}

static struct error *parse_pid(const char *text, int32_t *ret)
{
	char *end;
	long pid;

	if (!text)
		return NULL;
	pid = strtol(text, &end, 10);
	if (end == text || *end || pid < 1 || pid > INT32_MAX)
		return error_new("invalid pid: %s", text);
	*ret = (int32_t)pid;
	return NULL;
}

static struct error *switch_patching(const struct container *c, uint32_t mode, int32_t pid)
{
	struct control_request q = {.op = CONTROL_PATCH, .patch.mode = mode, .patch.pid = pid};

	return control_call(c->dir_fd, STATE_CONTROL_NAME, &q, NULL, STATS_TIMEOUT_MS, NULL, NULL);
}

static struct error *run(const struct runsc_options *o, const struct cli_args *a, int *ret_status)
{
	const char *format = cli_string(a, "format"), *mode = cli_string(a, "patch");
	uint32_t patch_mode = 0;
	int32_t pid = 0;
	struct container *c;
	double interval;
	struct error *e = parse_interval(cli_string(a, "interval"), &interval);

	(void)ret_status;
	if (e)
		return e;
	if (format && strcmp(format, "text") && strcmp(format, "json"))
		return error_new("invalid format option");
	if (mode)
		e = parse_mode(mode, &patch_mode);
	else if (!cli_flag(a, "stats"))
		e = error_new("nothing to do: give --stats or --patch");
	if (!e)
		e = parse_pid(cli_string(a, "pid"), &pid);
	if (e)
		return e;
	e = container_open(o, a->words[0], &c);
	if (e)
		return e;
	if (container_status(c) == CONTAINER_STOPPED)
		e = error_new("container not running");
	else if (mode)
		e = switch_patching(c, patch_mode, pid);
	if (!e && cli_flag(a, "stats"))
		e = show_stats(c, interval, format && strcmp(format, "json") == 0);
	container_close(c);
	return e;
}

static const struct cli_option options[] = {
    {"stats", 0, NULL, "print what platform, sentry and gofer have counted"},
    {"patch", 0, "mode",
     "rewrite call sites from now on, or put them back: on, off; churn (for tests): both, "
     "again and again"},
    {"pid", 0, "pid",
     "with --patch=on or off: only in the memory of this process (a pid of `runsc ps`)"},
    {"interval", 'i', "seconds", "print also how much each counter grows a second, over that time"},
    {"format", 'f', "value", "text (default) or json"},
    {NULL, 0, NULL, NULL},
};

const struct command cmd_debug = {
    .name = "debug",
    .synopsis = "[command options] <container-id>",
    .summary = "look into a sandbox that runs",
    .description = "What is counted is listed in platform/platform.h and sentry/kernel/stats.h.\n",
    .options = options,
    .words_min = 1,
    .words_max = 1,
    .run = run,
};
