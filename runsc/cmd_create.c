/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fd.h"
#include "runsc/cli.h"
#include "runsc/lifecycle.h"

static struct error *run(const struct runsc_options *o, const struct cli_args *a, int *ret_status)
{
	struct create_request r;
	struct error *e = cli_create_request(a, &r);
	cleanup_fd int signals = -1;
	struct created out;

	(void)ret_status;
	if (e)
		return e;
	signals = cli_ending_signals();
	r.signal_fd = signals;
	e = lifecycle_create(o, &r, &out);
	if (!e)
		created_close(&out);
	return e;
}

static const struct cli_option options[] = {CLI_CREATE_OPTIONS, {NULL, 0, NULL, NULL}};

const struct command cmd_create = {
    .name = "create",
    .synopsis = "[command options] <container-id>",
    .summary = "create a container",
    .description = "Makes the sandbox of a container for a bundle and loads its program, which\n"
		   "`runsc start` then lets go. The id must be unique on the host.\n",
    .options = options,
    .words_min = 1,
    .words_max = 1,
    .run = run,
    .names_itself = true,
};
