/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>

#include "runsc/cli.h"
#include "runsc/lifecycle.h"

static struct error *remove_container(struct container *c, bool force)
{
	struct error *e = NULL;

	/* A create or start that hangs holds the lock; it ends when its sandbox is dead. */
	if (force)
		e = process_kill(&c->sandbox, SIGKILL);
	if (!e)
		e = container_lock(c);
	if (e)
		return e;
	switch (container_status(c)) {
	case CONTAINER_CREATING:
		/* With the lock in our hands there is no create any more. */
	case CONTAINER_CREATED:
	case CONTAINER_STOPPED:
		return lifecycle_delete(c, true);
	case CONTAINER_RUNNING:
		if (force)
			return lifecycle_delete(c, true);
		break;
	}
	return error_new("cannot delete container %s that is not stopped: %s", c->id,
			 container_status_name(CONTAINER_RUNNING));
}

static struct error *run(const struct runsc_options *o, const struct cli_args *a, int *ret_status)
{
	bool force = cli_flag(a, "force");
	struct container *c = NULL;
	struct error *e = container_open(o, a->words[0], &c);

	(void)ret_status;
	if (!e)
		e = remove_container(c, force);
	container_close(c);
	if (e && force && e->errnum == ENOENT) {
		error_free(e);
		return NULL;
	}
	return e;
}

static const struct cli_option options[] = {
    {"force", 'f', NULL, "kill the container first if it runs; not there is fine"},
    {NULL, 0, NULL, NULL},
};

const struct command cmd_delete = {
    .name = "delete",
    .synopsis = "[command options] <container-id>",
    .summary = "remove what is held for a container",
    .options = options,
    .words_min = 1,
    .words_max = 1,
    .run = run,
};
