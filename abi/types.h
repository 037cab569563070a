/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Base types of the guest's ABI (Linux x86-64). Everything in abi/ has names of our own (abi_,
 * ABI_), so that it can be included beside the host's headers, and includes nothing but <stdint.h>,
 * so that the stub can use it too. Layouts are checked against the host's in tests/unit/test_abi.c.
 */
#ifndef ABI_TYPES_H
#define ABI_TYPES_H

#include <stdint.h>

/* An address in a guest (sentry/mm/usermem.h). Only usermem.c looks inside. */
typedef struct {
	uint64_t va;
} uaddr_t;

#define ABI_PAGE_SHIFT 12
#define ABI_PAGE_SIZE  (1ul << ABI_PAGE_SHIFT)
#define ABI_PAGE_MASK  (~(ABI_PAGE_SIZE - 1))

#define ABI_PATH_MAX 4096 /* with the NUL */
#define ABI_NAME_MAX 255  /* without */

/* The longest read or write: MAX_RW_COUNT of Linux, INT_MAX rounded down to a page. */
#define ABI_MAX_RW 0x7ffff000ul

/* An argument that the kernel takes as an int or unsigned int: the upper half is ignored. */
static inline int abi_int(uint64_t arg)
{
	return (int)(uint32_t)arg;
}

#define ABI_SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), #type " has its size")

/* dev_t as user space sees it (stat, mknod): major and minor are split. */
static inline uint64_t abi_makedev(uint32_t major, uint32_t minor)
{
	return ((uint64_t)(major & 0xfffff000u) << 32) | ((uint64_t)(major & 0xfffu) << 8) |
	       ((uint64_t)(minor & 0xffffff00u) << 12) | (minor & 0xffu);
}

static inline uint32_t abi_major(uint64_t dev)
{
	return (uint32_t)((dev >> 8) & 0xfffu) | (uint32_t)((dev >> 32) & 0xfffff000u);
}

static inline uint32_t abi_minor(uint64_t dev)
{
	return (uint32_t)(dev & 0xffu) | (uint32_t)((dev >> 12) & 0xffffff00u);
}

ABI_SIZE(uaddr_t, 8);

#endif
