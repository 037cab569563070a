/* SPDX-License-Identifier: Apache-2.0 */
/* What /proc/self/maps says, for tests that compare it with what it said before. */
#ifndef TESTS_COMPAT_MAPS_H
#define TESTS_COMPAT_MAPS_H

#include "compat.h"

/* Static memory: valid until the next call but one. */
static char *maps(void)
{
	static char buf[2][16384];
	static int which;
	char *to = buf[which++ % 2];
	int fd = OK(open("/proc/self/maps", O_RDONLY));
	ssize_t n, size = 0;

	while ((n = read(fd, to + size, sizeof(buf[0]) - 1 - (size_t)size)) > 0)
		size += n;
	to[size] = 0;
	close(fd);
	return to;
}

#endif
