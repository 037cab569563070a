/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "runsc/cli.h"
#include "runsc/state.h"

static struct error *run(const struct runsc_options *o, const struct cli_args *a, int *ret_status)
{
	struct container *c;
	struct error *e = container_open(o, a->words[0], &c);
	json_t *json;

	(void)ret_status;
	if (e)
		return e;
	json = container_state_json(c, false);
	json_dumpf(json, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(json);
	container_close(c);
	return NULL;
}

static const struct cli_option options[] = {{NULL, 0, NULL, NULL}};

const struct command cmd_state = {
    .name = "state",
    .synopsis = "<container-id>",
    .summary = "print the state of a container as JSON",
    .options = options,
    .words_min = 1,
    .words_max = 1,
    .run = run,
};
