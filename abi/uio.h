/* SPDX-License-Identifier: Apache-2.0 */
/* Scattered buffers (linux/uio.h). */
#ifndef ABI_UIO_H
#define ABI_UIO_H

#include "abi/types.h"

struct abi_iovec {
	uint64_t base; /* guest address */
	uint64_t len;
};
ABI_SIZE(struct abi_iovec, 16);

#define ABI_IOV_MAX 1024

/* preadv2, pwritev2 */
#define ABI_RWF_HIPRI	 0x1
#define ABI_RWF_DSYNC	 0x2
#define ABI_RWF_SYNC	 0x4
#define ABI_RWF_NOWAIT	 0x8
#define ABI_RWF_APPEND	 0x10
#define ABI_RWF_NOAPPEND 0x20
#define ABI_RWF_ATOMIC	 0x40

#endif
