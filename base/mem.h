/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Allocation that aborts when the host has no memory left: the sentry can't go on without, and the
 * host overcommits, so a failure here means a bug or a limit of the sandbox's cgroup. Sizes that a
 * guest chooses must be bounded by the caller before they come here.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size); /* zeroed; aborts on overflow */
void *xrealloc(void *p, size_t size);
void *xmemdup(const void *p, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t size);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Freed memory that the allocator keeps goes back to the host. Takes a while: after bursts. */
void mem_give_back(void);
/*
 * Unmaps the pages of this program's text and constants: those that are still used come back by a
 * fault each 64 KiB, from the page cache. For when a process is done with what only its start
 * needed.
 */
void mem_drop_image(void);

#define xnew(type) ((type *)xcalloc(1, sizeof(type)))

#endif
