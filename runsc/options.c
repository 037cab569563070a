/* SPDX-License-Identifier: Apache-2.0 */
#include "runsc/options.h"

#include <unistd.h>

bool options_rootless(const struct runsc_options *o)
{
	return o->rootless == ROOTLESS_TRUE || (o->rootless == ROOTLESS_AUTO && geteuid() != 0);
}
