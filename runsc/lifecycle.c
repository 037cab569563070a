/* SPDX-License-Identifier: Apache-2.0 */
#include "runsc/lifecycle.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "base/timeline.h"
#include "runsc/cgroup.h"
#include "runsc/control.h"
#include "runsc/hooks.h"

/* How long a healthy sentry may take to answer before it is given up. */
#define CONTROL_TIMEOUT_MS 10000

/* How long a killed process may take until it is gone; only a host in trouble needs more. */
#define DEATH_TIMEOUT_MS 10000

/* The gofer ends by itself when the sandbox has: at once where it gets a CPU. Then it is made to. */
#define GOFER_END_MS 10000

/* ---- create ---- */

static struct error *check_console(const struct oci_spec *spec, const struct create_request *r)
{
	if (spec->process.terminal && !r->foreground && !r->console_socket)
		return error_new("cannot allocate tty if runsc will detach without setting "
				 "console socket");
	if (!spec->process.terminal && r->console_socket)
		return error_new("cannot use console socket if runsc will not detach or allocate "
				 "tty");
	return NULL;
}

static struct error *load_config(const struct create_request *r, struct oci_spec **ret_spec,
				 char **ret_bundle)
{
	char *bundle = realpath(r->bundle, NULL);
	struct error *e;

	if (!bundle)
		return error_errno(errno, "bundle %s", r->bundle);
	e = config_load(bundle, "config.json", bundle, ret_spec);
	if (!e)
		e = config_check_host(*ret_spec);
	if (!e)
		e = check_console(*ret_spec, r);
	if (e)
		free(bundle);
	else
		*ret_bundle = bundle;
	return e;
}

static void note_ignored(const struct oci_spec *spec)
{
	if (spec->seccomp)
		log_info("linux.seccomp is not applied: the host kernel never sees the container's "
			 "system calls");
	if (spec->uid_mappings.count || spec->gid_mappings.count)
		log_warn("linux.uidMappings and gidMappings are not applied: files keep the host's "
			 "owners");
}

static struct error *keep_config(const struct container *c)
{
	char *from = xasprintf("%s/config.json", c->bundle), *text = NULL;
	cleanup_fd int fd = openat(c->dir_fd, STATE_CONFIG_NAME,
				   O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct error *e = NULL;
	size_t size;
	int r = fd < 0 ? -errno : fd_read_file(-1, from, CONFIG_FILE_MAX, &text, &size);

	if (r == 0)
		r = (int)MIN(fd_write_all(fd, text, size), (ssize_t)0);
	if (r < 0)
		e = error_errno(-r, "keeping %s in %s", from, c->dir);
	free(from);
	free(text);
	return e;
}

static struct error *open_console(const struct oci_spec *spec, const struct create_request *r,
				  struct console *c)
{
	struct error *e;

	if (!spec->process.terminal)
		return NULL;
	e = console_open(c);
	if (e)
		return e;
	if (spec->process.console_rows && spec->process.console_columns)
		console_set_size(c, spec->process.console_rows, spec->process.console_columns);
	if (r->console_socket)
		e = console_send(c, r->console_socket);
	return e;
}

/* Written aside and renamed, so that whoever waits for it never reads half of it. */
static struct error *write_pid_file(const char *path, pid_t pid)
{
	char *temporary = xasprintf("%s.runsc-%d", path, (int)getpid());
	cleanup_fd int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	struct error *e = NULL;

	if (fd < 0 || dprintf(fd, "%d", (int)pid) < 0 || rename(temporary, path) < 0)
		e = error_errno(errno, "--pid-file %s", path);
	if (e && fd >= 0)
		unlink(temporary);
	free(temporary);
	return e;
}

/* Everything that create has made so far, for undoing it. */
struct creation {
	const struct runsc_options *options;
	const struct create_request *request;
	struct created *out;
	struct cgroup cgroup;
	bool pid_file_written;
};

static bool has_create_hooks(const struct oci_spec *spec)
{
	return spec->hooks[OCI_HOOK_PRESTART].count || spec->hooks[OCI_HOOK_CREATE_RUNTIME].count ||
	       spec->hooks[OCI_HOOK_CREATE_CONTAINER].count;
}

static struct error *fork_both(struct creation *k)
{
	struct launch *l = &k->out->launch;
	struct error *e = launch_gofer(l);

	timeline_mark("gofer forked");
	if (!e)
		e = launch_sandbox(l);
	timeline_mark("sandbox forked, ids mapped");
	return e;
}

/*
 * The first move of a process into a cgroup takes the host some milliseconds (a grace period of
 * RCU). Meanwhile the sandbox enters its namespaces, and the gofer sets itself up, unless a hook is
 * to see it before. The sandbox's children, and what it needs memory for, come later.
 */
static struct error *start_processes(struct creation *k)
{
	struct created *out = k->out;
	struct container *c = out->container;
	struct error *e = fork_both(k);

	if (!e)
		e = launch_confine(&out->launch);
	if (!e && !has_create_hooks(out->spec))
		e = launch_serve(&out->launch);
	if (!e)
		e = cgroup_add(&k->cgroup, out->launch.sandbox.pid);
	timeline_mark("sandbox in the cgroup");
	if (!e)
		e = cgroup_add(&k->cgroup, out->launch.gofer.pid);
	timeline_mark("gofer in the cgroup");
	if (!e)
		e = launch_confined(&out->launch);
	if (e)
		return e;
	timeline_mark("sandbox in its namespaces");
	process_identify(out->launch.sandbox.pid, &c->sandbox);
	process_identify(out->launch.gofer.pid, &c->gofer);
	return container_save(c);
}

static struct error *run_create_hooks(const struct created *out)
{
	const struct hook_namespaces inside = {.mount_of = out->launch.gofer.pid,
					       .network_of = out->launch.sandbox.pid};
	struct error *e = hooks_run(out->spec, OCI_HOOK_PRESTART, out->container, NULL);

	if (!e)
		e = hooks_run(out->spec, OCI_HOOK_CREATE_RUNTIME, out->container, NULL);
	if (!e)
		e = hooks_run(out->spec, OCI_HOOK_CREATE_CONTAINER, out->container, &inside);
	return e;
}

static struct error *finish_create(struct creation *k)
{
	struct container *c = k->out->container;
	struct error *e;

	c->creating = false;
	e = container_save(c);
	if (!e && k->request->pid_file) {
		e = write_pid_file(k->request->pid_file, c->sandbox.pid);
		k->pid_file_written = !e;
	}
	return e;
}

static struct error *create_steps(struct creation *k)
{
	struct created *out = k->out;
	struct container *c = out->container;
	struct launch *l = &out->launch;
	struct error *e = keep_config(c);

	timeline_mark("state directory, config kept");
	if (!e)
		e = cgroup_create(out->spec, c->id, k->options, &k->cgroup);
	if (!e) {
		c->cgroup = cgroup_to_json(&k->cgroup);
		e = container_save(c);
	}
	if (!e)
		e = open_console(out->spec, k->request, &out->console);
	if (!e)
		e = control_listen(c->dir_fd, STATE_CONTROL_NAME, &l->control_fd);
	if (e)
		return e;
	timeline_mark("state, cgroup, sockets");
	l->tty_fd = out->console.slave;
	l->own_gofer_mounts = out->spec->hooks[OCI_HOOK_CREATE_CONTAINER].count > 0;
	e = start_processes(k);
	if (!e)
		e = run_create_hooks(out);
	if (!e && has_create_hooks(out->spec))
		e = launch_serve(l);
	timeline_mark("state kept, hooks");
	if (!e)
		e = launch_boot(l);
	timeline_mark("sandbox ready");
	return e ? e : finish_create(k);
}

static void undo_create(struct creation *k)
{
	struct created *out = k->out;

	launch_kill(&out->launch);
	launch_close(&out->launch);
	console_close(&out->console);
	error_warn(cgroup_remove(&k->cgroup, CGROUP_DYING_MS), "cleaning up");
	if (out->container->sandbox.pid)
		error_warn(hooks_run(out->spec, OCI_HOOK_POSTSTOP, out->container, NULL),
			   "cleaning up");
	error_warn(container_remove(out->container), "cleaning up");
}

/* The children have their copies: what only they need is closed here. */
static void drop_handed_over(struct creation *k)
{
	struct created *out = k->out;

	fd_closep(&out->launch.control_fd);
	fd_closep(&out->console.slave);
	out->launch.control_fd = out->launch.tty_fd = out->console.slave = -1;
	if (!k->request->foreground)
		console_close(&out->console);
}

struct error *lifecycle_create(const struct runsc_options *o, const struct create_request *r,
			       struct created *ret)
{
	struct created out = {.console = {.master = -1, .slave = -1}};
	struct creation k = {.options = o, .request = r, .out = &out};
	struct error *e = container_check_id(r->id);
	char *bundle = NULL;

	launch_init(&out.launch);
	timeline_mark("options read");
	if (!e)
		e = load_config(r, &out.spec, &bundle);
	timeline_mark("config.json read");
	if (!e)
		e = container_new(o, r->id, &out.container);
	if (e) {
		free(bundle);
		config_free(out.spec);
		return e;
	}
	out.container->bundle = bundle;
	out.container->rootfs = xstrdup(out.spec->root_path);
	out.container->annotations = json_incref(out.spec->annotations_json);
	out.launch.options = o;
	out.launch.spec = out.spec;
	out.launch.id = out.container->id;
	out.launch.bundle = bundle;
	out.launch.signal_fd = r->signal_fd;
	note_ignored(out.spec);
	e = create_steps(&k);
	if (e)
		undo_create(&k);
	drop_handed_over(&k);
	timeline_mark("created");
	cgroup_free(&k.cgroup);
	if (e)
		created_close(&out);
	else
		*ret = out;
	return e;
}

void created_close(struct created *c)
{
	launch_close(&c->launch);
	console_close(&c->console);
	container_close(c->container);
	config_free(c->spec);
	c->container = NULL;
	c->spec = NULL;
}

struct error *lifecycle_load_spec(const struct container *c, struct oci_spec **ret)
{
	return config_load(c->dir, STATE_CONFIG_NAME, c->bundle, ret);
}

/* ---- start ---- */

/* The payload of CONTROL_RUN_HOOK, see control.h. */
static struct error *pack_hook(const struct oci_hook *h, const char *state, struct strbuf *sb)
{
	struct control_hook head = {
	    .argc = (uint32_t)h->args.count,
	    .envc = (uint32_t)h->env.count,
	    .input_size = (uint32_t)strlen(state),
	    .timeout_seconds = h->timeout_seconds,
	};
	if (h->args.count == 0)
		head.argc = 1;
	strbuf_add(sb, &head, sizeof(head));
	strbuf_add(sb, h->path, strlen(h->path) + 1);
	if (h->args.count == 0)
		strbuf_add(sb, h->path, strlen(h->path) + 1);
	for (size_t i = 0; i < h->args.count; i++)
		strbuf_add(sb, h->args.items[i], strlen(h->args.items[i]) + 1);
	for (size_t i = 0; i < h->env.count; i++)
		strbuf_add(sb, h->env.items[i], strlen(h->env.items[i]) + 1);
	strbuf_add(sb, state, strlen(state));
	if (sb->size > CONTROL_PAYLOAD_MAX)
		return error_errno(E2BIG, "the hook's arguments and environment");
	return NULL;
}

static struct error *hook_outcome(const void *payload, size_t size)
{
	struct control_hook_result r;

	if (size != sizeof(r))
		return error_new("the sandbox sent a malformed reply");
	memcpy(&r, payload, sizeof(r));
	if (r.timed_out)
		return error_new("hook ran past its specified timeout");
	return r.status ? error_new("exit status %u", r.status) : NULL;
}

static struct error *run_inside(const struct container *c, const struct oci_hook *h,
				const char *state)
{
	struct control_request q = {.op = CONTROL_RUN_HOOK};
	struct strbuf sb = STRBUF_INIT;
	struct error *e = pack_hook(h, state, &sb);
	struct control_reply reply;
	void *payload;

	q.size = (uint32_t)sb.size;
	if (!e)
		e = control_call(
		    c->dir_fd, STATE_CONTROL_NAME, &q, sb.data,
		    h->timeout_seconds ? (int)h->timeout_seconds * 1000 + CONTROL_TIMEOUT_MS : -1,
		    &reply, &payload);
	strbuf_free(&sb);
	if (e)
		return e;
	e = hook_outcome(payload, reply.size);
	free(payload);
	return e;
}

/* startContainer hooks are the container's own programs: they run in the sandbox, as guests. */
static struct error *run_start_hooks(const struct container *c, const struct oci_spec *spec)
{
	const struct oci_hook_list *list = &spec->hooks[OCI_HOOK_START_CONTAINER];
	struct error *e = NULL;
	char *state;

	if (!list->count)
		return NULL;
	state = container_hook_state(c, CONTAINER_CREATED);
	for (size_t i = 0; i < list->count && !e; i++) {
		e = run_inside(c, &list->items[i], state);
		if (e)
			e = error_wrap(e, "error running startContainer hook #%zu (%s)", i,
				       list->items[i].path);
	}
	free(state);
	return e;
}

/* Marked first, so that nobody who sees the program at work reads "created". */
static struct error *send_start(const struct container *c)
{
	struct control_request q = {.op = CONTROL_START};
	struct error *e = container_mark_started(c, true);

	if (e)
		return e;
	timeline_mark("marked as started");
	e = control_call(c->dir_fd, STATE_CONTROL_NAME, &q, NULL, CONTROL_TIMEOUT_MS, NULL, NULL);
	if (e)
		error_warn(container_mark_started(c, false), "taking the mark back");
	return e;
}

struct error *lifecycle_start(const struct container *c, const struct oci_spec *spec)
{
	struct error *e = NULL;

	switch (container_status(c)) {
	case CONTAINER_CREATED:
		break;
	case CONTAINER_RUNNING:
		return error_new("cannot start an already running container");
	case CONTAINER_STOPPED:
		return error_new("cannot start a container that has stopped");
	case CONTAINER_CREATING:
		return error_new("cannot start a container that is being created");
	}
	e = run_start_hooks(c, spec);
	if (!e)
		e = send_start(c);
	if (!e)
		e = hooks_run(spec, OCI_HOOK_POSTSTART, c, NULL);
	if (e)
		error_warn(process_kill(&c->sandbox, SIGKILL), "ending the container");
	return e;
}

/* ---- signals ---- */

struct error *lifecycle_signal(const struct container *c, int signo, bool all, int timeout_ms)
{
	struct control_request q = {.op = CONTROL_KILL, .kill = {.signo = signo, .all = all}};

	/* The sandbox's process 1 takes every other along. This must work without the sentry. */
	if (signo == SIGKILL)
		return process_kill(&c->sandbox, SIGKILL);
	return control_call(c->dir_fd, STATE_CONTROL_NAME, &q, NULL, timeout_ms, NULL, NULL);
}

bool lifecycle_sentry_gone(const struct error *e)
{
	return e->errnum == ECONNREFUSED || e->errnum == ECONNRESET || e->errnum == EPIPE;
}

/* ---- delete ---- */

static void end_gofer(const struct container *c)
{
	if (process_wait_dead(&c->gofer, GOFER_END_MS))
		return;
	log_warn("the gofer (process %d) doesn't end by itself: killed", (int)c->gofer.pid);
	error_warn(process_kill(&c->gofer, SIGKILL), "the gofer");
	process_wait_dead(&c->gofer, DEATH_TIMEOUT_MS);
}

static void delete_cgroup(const struct container *c)
{
	struct cgroup cg;
	struct error *e;

	if (!c->cgroup)
		return;
	e = cgroup_from_json(c->cgroup, &cg);
	if (!e) {
		e = cgroup_remove(&cg, CGROUP_DYING_MS);
		cgroup_free(&cg);
	}
	error_warn(e, "container %s", c->id);
}

static void run_poststop(const struct container *c)
{
	struct oci_spec *spec;
	struct error *e = lifecycle_load_spec(c, &spec);

	/* A create that died before it kept the config has run no hook either. */
	if (e) {
		error_warn(e, "poststop hooks");
		return;
	}
	error_warn(hooks_run(spec, OCI_HOOK_POSTSTOP, c, NULL), "container %s", c->id);
	config_free(spec);
}

struct error *lifecycle_delete(const struct container *c, bool kill)
{
	if (kill) {
		struct error *e = process_kill(&c->sandbox, SIGKILL);

		if (e)
			return e;
		if (!process_wait_dead(&c->sandbox, DEATH_TIMEOUT_MS))
			return error_new("the sandbox (process %d) doesn't die",
					 (int)c->sandbox.pid);
	}
	end_gofer(c);
	timeline_mark("gofer ended");
	delete_cgroup(c);
	timeline_mark("cgroup removed");
	run_poststop(c);
	return container_remove(c);
}
