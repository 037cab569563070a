/* SPDX-License-Identifier: Apache-2.0 */
#include "runsc/cli.h"
#include "runsc/lifecycle.h"

static struct error *run(const struct runsc_options *o, const struct cli_args *a, int *ret_status)
{
	struct oci_spec *spec = NULL;
	struct container *c;
	struct error *e = container_open(o, a->words[0], &c);

	(void)ret_status;
	if (e)
		return e;
	e = container_lock(c);
	if (!e && container_status(c) == CONTAINER_CREATED)
		e = lifecycle_load_spec(c, &spec);
	if (!e)
		e = lifecycle_start(c, spec);
	config_free(spec);
	container_close(c);
	return e;
}

static const struct cli_option options[] = {{NULL, 0, NULL, NULL}};

const struct command cmd_start = {
    .name = "start",
    .synopsis = "<container-id>",
    .summary = "run the program of a created container",
    .options = options,
    .words_min = 1,
    .words_max = 1,
    .run = run,
};
