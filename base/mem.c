/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include <link.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/log.h"

static void *must(void *p, size_t size)
{
	if (!p && size)
		panic("out of memory: %zu bytes", size);
	return p;
}

void *xmalloc(size_t size)
{
	return must(malloc(size), size);
}

void *xcalloc(size_t count, size_t size)
{
	return must(calloc(count, size), count * size);
}

void *xrealloc(void *p, size_t size)
{
	return must(realloc(p, size), size);
}

void *xmemdup(const void *p, size_t size)
{
	void *copy = xmalloc(size);

	if (size)
		memcpy(copy, p, size);
	return copy;
}

char *xstrdup(const char *s)
{
	return must(strdup(s), 1);
}

char *xstrndup(const char *s, size_t size)
{
	return must(strndup(s, size), 1);
}

char *xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *s = NULL;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		panic("out of memory: formatting");
	va_end(ap);
	return s;
}

/* jemalloc's, where it is linked (not in debug builds). 4096 stands for all arenas
 * (MALLCTL_ARENAS_ALL). */
int mallctl(const char *name, void *old, size_t *old_size, void *fresh, size_t fresh_size)
    __attribute__((weak));

void mem_give_back(void)
{
	if (mallctl)
		mallctl("arena.4096.purge", NULL, NULL, NULL, 0);
}

#define PAGE 4096ul

/* What is never written holds nothing but the file's bytes. */
static int drop_segments(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	(void)arg;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		uintptr_t from = (info->dlpi_addr + ph->p_vaddr) & ~(PAGE - 1);
		uintptr_t to = (info->dlpi_addr + ph->p_vaddr + ph->p_memsz) & ~(PAGE - 1);

		if (ph->p_type == PT_LOAD && !(ph->p_flags & PF_W) && to > from)
			madvise((void *)from, to - from, MADV_DONTNEED);
	}
	return 1; /* not the C library and others, where they are objects of their own */
}

void mem_drop_image(void)
{
	dl_iterate_phdr(drop_segments, NULL);
}
