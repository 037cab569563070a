/* SPDX-License-Identifier: Apache-2.0 */
/* futex (linux/futex.h). */
#ifndef ABI_FUTEX_H
#define ABI_FUTEX_H

#include "abi/types.h"

#define ABI_FUTEX_WAIT		  0
#define ABI_FUTEX_WAKE		  1
#define ABI_FUTEX_FD		  2
#define ABI_FUTEX_REQUEUE	  3
#define ABI_FUTEX_CMP_REQUEUE	  4
#define ABI_FUTEX_WAKE_OP	  5
#define ABI_FUTEX_LOCK_PI	  6
#define ABI_FUTEX_UNLOCK_PI	  7
#define ABI_FUTEX_TRYLOCK_PI	  8
#define ABI_FUTEX_WAIT_BITSET	  9
#define ABI_FUTEX_WAKE_BITSET	  10
#define ABI_FUTEX_WAIT_REQUEUE_PI 11
#define ABI_FUTEX_CMP_REQUEUE_PI  12
#define ABI_FUTEX_LOCK_PI2	  13

#define ABI_FUTEX_PRIVATE_FLAG	 128
#define ABI_FUTEX_CLOCK_REALTIME 256
#define ABI_FUTEX_CMD_MASK	 (~(ABI_FUTEX_PRIVATE_FLAG | ABI_FUTEX_CLOCK_REALTIME))

#define ABI_FUTEX_WAITERS    0x80000000u
#define ABI_FUTEX_OWNER_DIED 0x40000000u
#define ABI_FUTEX_TID_MASK   0x3fffffffu

#define ABI_FUTEX_BITSET_MATCH_ANY 0xffffffffu

/* FUTEX_WAKE_OP: op << 28 | cmp << 24 | oparg << 12 | cmparg */
#define ABI_FUTEX_OP_SET	 0
#define ABI_FUTEX_OP_ADD	 1
#define ABI_FUTEX_OP_OR		 2
#define ABI_FUTEX_OP_ANDN	 3
#define ABI_FUTEX_OP_XOR	 4
#define ABI_FUTEX_OP_OPARG_SHIFT 8
#define ABI_FUTEX_OP_CMP_EQ	 0
#define ABI_FUTEX_OP_CMP_NE	 1
#define ABI_FUTEX_OP_CMP_LT	 2
#define ABI_FUTEX_OP_CMP_LE	 3
#define ABI_FUTEX_OP_CMP_GT	 4
#define ABI_FUTEX_OP_CMP_GE	 5

struct abi_robust_list {
	uint64_t next; /* guest address of the next entry, bit 0: PI */
};
ABI_SIZE(struct abi_robust_list, 8);

struct abi_robust_list_head {
	struct abi_robust_list list;
	int64_t futex_offset;
	uint64_t list_op_pending;
};
ABI_SIZE(struct abi_robust_list_head, 24);
#define ABI_ROBUST_LIST_LIMIT 2048

/* futex_waitv */
struct abi_futex_waitv {
	uint64_t val;
	uint64_t uaddr;
	uint32_t flags;
	uint32_t reserved;
};
ABI_SIZE(struct abi_futex_waitv, 24);
#define ABI_FUTEX_WAITV_MAX  128
#define ABI_FUTEX2_SIZE_MASK 3
#define ABI_FUTEX2_SIZE_U32  2
#define ABI_FUTEX2_NUMA	     4
#define ABI_FUTEX2_PRIVATE   128

#endif
