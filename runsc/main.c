/* SPDX-License-Identifier: Apache-2.0 */
/* runsc's command line: global options, the command, and the one place that prints an error. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/feature.h"
#include "base/mem.h"
#include "base/timeline.h"
#include "runsc/cli.h"

/* So that no descriptor that is opened later can be taken for standard input, output or error. */
static void fill_stdio(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd < 3 && fcntl(fd, F_SETFD, 0) == 0);
	if (fd >= 3)
		close(fd);
}

/* One of the words, by index; NULL value: the first. */
static struct error *choose(const struct cli_args *a, const char *name, const char *const *words,
			    int *ret)
{
	const char *value = cli_string(a, name);

	*ret = 0;
	for (int i = 0; value && words[i]; i++)
		if (strcmp(value, words[i]) == 0) {
			*ret = i;
			return NULL;
		}
	return value ? error_new("invalid %s: %s", name, value) : NULL;
}

static char *state_root(const struct cli_args *a)
{
	const char *given = cli_string(a, "root"), *run = getenv("XDG_RUNTIME_DIR");
	char *cwd, *path;

	if (!given)
		return geteuid() != 0 && run && run[0] == '/' ? xasprintf("%s/runsc", run)
							      : xstrdup("/run/runsc");
	if (given[0] == '/')
		return xstrdup(given);
	cwd = getcwd(NULL, 0);
	path = xasprintf("%s/%s", cwd ? cwd : "", given);
	free(cwd);
	return path;
}

static struct error *open_log(const struct cli_args *a, struct runsc_options *o)
{
	static const char *const formats[] = {"text", "json", NULL};
	struct error *e;
	int json;

	o->log_path = cli_string(a, "log");
	o->debug = cli_flag(a, "debug");
	e = choose(a, "log-format", formats, &json);
	if (e)
		return e;
	o->log_json = json;
	if (o->log_path)
		o->log_fd = open(o->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	else
		o->log_fd = fcntl(2, F_DUPFD_CLOEXEC, 3);
	if (o->log_fd < 0)
		return error_errno(errno, "--log %s", o->log_path ? o->log_path : "");
	/* Without a log of its own, what the sandbox says would mix with the container's output. */
	o->log_level = o->debug ? LOG_DEBUG : o->log_path || o->strace ? LOG_INFO : LOG_ERROR;
	log_setup(o->log_fd, o->log_json,
		  o->log_path ? o->log_level
		  : o->debug  ? LOG_DEBUG
			      : LOG_WARN,
		  "runsc");
	return NULL;
}

static struct error *feature_set(const struct cli_args *a, const char *name, uint64_t *ret_set)
{
	const char *value = cli_string(a, name);
	char bad[64];

	if (value && features_parse(value, ret_set, bad, sizeof(bad)) < 0)
		return error_new("--%s: no feature is called \"%s\" (runsc help switches)", name,
				 bad);
	return NULL;
}

static struct error *read_features(const struct cli_args *a)
{
	uint64_t without = 0, force = 0;
	struct error *e = feature_set(a, "without", &without);

	if (!e)
		e = feature_set(a, "force", &force);
	if (!e && (without & force))
		e = error_new("--force: a feature that --without takes away");
	features_switch(without, force);
	return e;
}

static struct error *read_options(const struct cli_args *a, struct runsc_options *o)
{
	static const char *const rootless[] = {"auto", "true", "false", NULL};
	static const char *const networks[] = {"none", "host", "sandbox", NULL};
	static const char *const accesses[] = {"exclusive", "shared", NULL};
	static const char *const platforms[] = {"auto", "notify", "ptrace", "none", NULL};
	struct error *e;
	int i;

	o->root = state_root(a);
	o->systemd_cgroup = cli_flag(a, "systemd-cgroup");
	o->strict = cli_flag(a, "strict");
	e = choose(a, "rootless", rootless, &i);
	o->rootless = (enum rootless_mode)i;
	if (!e)
		e = choose(a, "platform", platforms, &i);
	o->platform = platforms[i];
	if (!e)
		e = choose(a, "network", networks, &i);
	o->network = (enum network_mode)i;
	if (!e)
		e = choose(a, "file-access", accesses, &i);
	o->root_shared = i;
	if (!e)
		e = read_features(a);
	if (!e && o->network != NETWORK_NONE)
		e = error_new("--network=%s is not there yet, only --network=none",
			      networks[o->network]);
	return e;
}

/* The error's one appearance: in the log; and when that is a file, on standard error too. */
static int fail(const struct runsc_options *o, const struct command *c, struct error *e)
{
	char line[4096];
	char *text = c && c->names_itself ? xasprintf("runsc %s failed: %s", c->name, e->message)
					  : xstrdup(e->message);

	log_error("%s", text);
	if (o->log_path && o->log_fd >= 0) {
		log_printable(line, sizeof(line), text);
		dprintf(2, "%s\n", line);
	}
	free(text);
	error_free(e);
	return 1;
}

static int usage_error(const struct runsc_options *o, const struct command *c, struct error *e)
{
	fputs("Incorrect Usage.\n\n", stdout);
	if (c)
		cli_help_command(stdout, c);
	else
		cli_help(stdout);
	fflush(stdout);
	return fail(o, NULL, e);
}

static struct error *check_words(const struct command *c, int count)
{
	if (count >= c->words_min && (c->words_max < 0 || count <= c->words_max))
		return NULL;
	if (c->words_min == c->words_max)
		return error_new("runsc: \"%s\" requires exactly %d argument(s)", c->name,
				 c->words_min);
	if (count < c->words_min)
		return error_new("runsc: \"%s\" requires a minimum of %d argument(s)", c->name,
				 c->words_min);
	return error_new("runsc: \"%s\" requires a maximum of %d argument(s)", c->name,
			 c->words_max);
}

static bool asks_for_help(int argc, char **argv)
{
	return argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);
}

static int run_command(const struct runsc_options *o, int argc, char **argv)
{
	const struct command *c = cli_find(argv[0]);
	struct cli_args a;
	struct error *e;
	int status = 0;

	if (!c) {
		fail(o, NULL, error_new("No help topic for '%s'", argv[0]));
		return 3;
	}
	if (asks_for_help(argc, argv)) {
		cli_help_command(stdout, c);
		return 0;
	}
	e = cli_parse(c->options, argc, argv, c->words_max < 0, &a);
	if (!e)
		e = check_words(c, a.word_count);
	if (e)
		return usage_error(o, c, e);
	e = c->run(o, &a, &status);
	if (!e && fflush(stdout) != 0)
		e = error_errno(errno, "writing standard output");
	return e ? fail(o, c, e) : status;
}

#ifdef __SANITIZE_THREAD__
/* A sandbox that lost its platform or gofer ends with its threads as they are. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "report_thread_leaks=0";
}
#endif

int main(int argc, char **argv)
{
	struct runsc_options o = {.log_fd = -1};
	struct cli_args a;
	struct error *e;
	int status = 0;

	fill_stdio();
	signal(SIGPIPE, SIG_IGN);
	e = cli_parse(cli_global_options, argc, argv, true, &a);
	if (e)
		return usage_error(&o, NULL, e);
	if (cli_flag(&a, "version")) {
		cli_version(stdout);
		return 0;
	}
	o.strace = cli_flag(&a, "strace");
	if (cli_flag(&a, "timeline"))
		timeline_start();
	e = open_log(&a, &o);
	if (!e)
		e = read_options(&a, &o);
	if (e)
		status = fail(&o, NULL, e);
	else if (cli_flag(&a, "help") || a.word_count == 0)
		cli_help(stdout);
	else
		status = run_command(&o, a.word_count, a.words);
	timeline_mark("the end");
	timeline_print(stderr);
	free(o.root);
	return status;
}
