/* SPDX-License-Identifier: Apache-2.0 */
/* Mount option strings: "mode=755,size=64k". */
#ifndef SENTRY_FS_SYNTH_OPTIONS_H
#define SENTRY_FS_SYNTH_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mount_option {
	const char *name; /* into the string, not terminated */
	size_t name_size;
	char value[64]; /* "" if there is none; cut */
	bool has_value;
};

/* Takes the next option off *data (NULL or "": none). Empty ones are passed over. */
bool mount_option_next(const char **data, struct mount_option *ret);
bool mount_option_is(const struct mount_option *o, const char *name);
/* Whether it is name=NUMBER, with a number from 0 to max. */
bool mount_option_number(const struct mount_option *o, const char *name, int base, uint64_t max,
			 uint64_t *ret);

#endif
