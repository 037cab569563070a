/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/fs/synth/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"

bool mount_option_next(const char **data, struct mount_option *ret)
{
	const char *s = *data ? *data : "";
	const char *equals;
	size_t size, value_size;

	s += strspn(s, ",");
	if (!*s)
		return false;
	size = strcspn(s, ",");
	equals = memchr(s, '=', size);
	ret->name = s;
	ret->name_size = equals ? (size_t)(equals - s) : size;
	ret->has_value = equals;
	value_size = equals ? MIN(size - ret->name_size - 1, sizeof(ret->value) - 1) : 0;
	memcpy(ret->value, equals ? equals + 1 : s, value_size);
	ret->value[value_size] = 0;
	*data = s + size;
	return true;
}

bool mount_option_is(const struct mount_option *o, const char *name)
{
	return strlen(name) == o->name_size && memcmp(o->name, name, o->name_size) == 0;
}

bool mount_option_number(const struct mount_option *o, const char *name, int base, uint64_t max,
			 uint64_t *ret)
{
	char *end;
	uint64_t n;

	if (!mount_option_is(o, name) || o->value[0] < '0' || o->value[0] > '9')
		return false;
	errno = 0;
	n = strtoull(o->value, &end, base);
	if (errno || *end || n > max)
		return false;
	*ret = n;
	return true;
}
