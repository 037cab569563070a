/* SPDX-License-Identifier: Apache-2.0 */
/* Orders of the sentry: memory operations, clones, atomic operations. */
#include <sys/syscall.h>

#include "platform/stub/stub.h"

#define MADV_DONTNEED_	     4
#define STACK_FLAGS	     0x4032 /* NORESERVE | ANONYMOUS | FIXED | PRIVATE */
#define MADV_DONTFORK_	     10
#define MADV_DOFORK_	     11
#define MADV_POPULATE_READ_  22
#define MADV_POPULATE_WRITE_ 23
#define MREMAP_MAYMOVE_	     1
#define MREMAP_FIXED_	     2
#define MREMAP_DONTUNMAP_    4
#define EINVAL_		     22

static uint64_t map_flags(uint32_t flags)
{
	return 0x10 /* FIXED */ | (flags & MEMOP_SHARED ? 1u : 2u) |
	       (flags & MEMOP_NORESERVE ? 0x4000u : 0) | (flags & MEMOP_POPULATE ? 0x8000u : 0);
}

static long mmap_fd(const struct channel_memop *op)
{
	int fd = op->fd_or_advice;
	long r = stub_syscall(SYS_mmap, op->addr, op->size, op->prot, map_flags(op->flags), fd,
			      op->offset_or_new_addr);

	if (!(op->flags & CHANNEL_MEMOP_KEEP_FD))
		stub_syscall(SYS_close, fd);
	/* A child would keep the file for as long as it lives. */
	if (op->flags & MEMOP_LEASE)
		stub_syscall(SYS_madvise, op->addr, op->size, MADV_DONTFORK_);
	return r;
}

static long move_vdso(uint64_t from, uint64_t to)
{
	long r = stub_boot.vdso_part_count ? 0 : -EINVAL_;

	for (uint32_t i = 0; i < stub_boot.vdso_part_count && r >= 0; i++) {
		const struct stub_vdso_part *part = &stub_boot.vdso_parts[i];
		uint64_t at = (uint64_t)(part->start - stub_boot.vdso_first);

		r = stub_syscall(SYS_mremap, from + at, part->size, part->size,
				 MREMAP_MAYMOVE_ | MREMAP_FIXED_, to + at);
	}
	return r;
}

/* What lies below and above the frames in use: copies of registers from calls before. */
static void scrub_stack(uint32_t slot, uint64_t frame_end)
{
	uint64_t here = (uint64_t)__builtin_frame_address(0) - 512;
	uint64_t bottom = stub_stack_top(slot) - STUB_STACK_SIZE, page = here & ~4095ul;

	if (page > bottom)
		stub_syscall(SYS_madvise, bottom, page - bottom, MADV_DONTNEED_);
	stub_zero((void *)page, here - page);
	stub_zero((void *)frame_end, stub_stack_top(slot) - frame_end);
}

static long clear(const struct channel_memop *op, struct abi_ucontext *uc)
{
	struct platform_regs zero = {0};
	uint32_t slot = stub_slot(uc);
	long r = op->addr ? move_vdso(op->addr, STUB_VDSO) : 0;

	if (r >= 0)
		r = stub_unmap_all_else(slot, true);
	if (r < 0)
		return r;
	stub_set_regs(&uc->mcontext, &zero);
	scrub_stack(slot, stub_scrub_fp(uc));
	stub_gs_reset(stub_channel(slot));
	return 0;
}

/* A fault while data of the reply goes to guest memory. */
static long faulted(const struct channel_memop *op, uint64_t left)
{
	return left && !(op->flags & MEMOP_MAY_FAIL) ? STUB_EFAULT : 0;
}

static long write_data(const struct channel *ch, const struct channel_memop *op)
{
	return faulted(op,
		       stub_copy((void *)op->addr, ch->window + op->offset_or_new_addr, op->size));
}

/* To new_addr exactly; in place if it is the old address. */
static long mremap(const struct channel_memop *op)
{
	uint64_t flags = 0;

	if (op->offset_or_new_addr != op->addr || (op->flags & MEMOP_DONTUNMAP))
		flags = MREMAP_MAYMOVE_ | MREMAP_FIXED_;
	if (op->flags & MEMOP_DONTUNMAP)
		flags |= MREMAP_DONTUNMAP_;
	return stub_syscall(SYS_mremap, op->addr, op->size, op->new_size, flags,
			    op->offset_or_new_addr);
}

/*
 * MADV_POPULATE_READ and _WRITE by hand: each page is read, or written with what it holds. Linux
 * says EINVAL where the protection forbids it; here the end of a file is EINVAL too, not EFAULT.
 */
static long touch_pages(const struct channel_memop *op)
{
	uint32_t value, old;
	int err = 0;

	for (uint64_t va = op->addr; va - op->addr < op->size && !err; va += 4096) {
		err = stub_load32((const uint32_t *)va, &value);
		if (!err && op->fd_or_advice == MADV_POPULATE_WRITE_)
			err = stub_cmpxchg32((uint32_t *)va, value, value, &old);
	}
	return err ? -EINVAL_ : 0;
}

static long advise(const struct channel_memop *op)
{
	bool populate =
	    op->fd_or_advice == MADV_POPULATE_READ_ || op->fd_or_advice == MADV_POPULATE_WRITE_;

	if (populate && stub_boot.touch_pages)
		return touch_pages(op);
	return stub_syscall(SYS_madvise, op->addr, op->size, op->fd_or_advice);
}

int stub_memop(const struct channel *ch, const struct channel_memop *op, struct abi_ucontext *uc)
{
	long r;

	switch (op->type) {
	case MEMOP_MMAP_ANON:
		r = stub_syscall(SYS_mmap, op->addr, op->size, op->prot,
				 map_flags(op->flags) | 0x20 /* ANONYMOUS */, -1, 0);
		break;
	case MEMOP_MMAP_FD:
		r = mmap_fd(op);
		break;
	case MEMOP_MUNMAP:
		r = stub_syscall(SYS_munmap, op->addr, op->size);
		break;
	case MEMOP_MPROTECT:
		r = stub_syscall(SYS_mprotect, op->addr, op->size, op->prot);
		break;
	case MEMOP_MREMAP:
		r = mremap(op);
		break;
	case MEMOP_MADVISE:
		r = advise(op);
		break;
	case MEMOP_VDSO:
		r = move_vdso(STUB_VDSO, op->addr);
		break;
	case MEMOP_WRITE:
		r = write_data(ch, op);
		break;
	case MEMOP_ZERO:
		r = faulted(op, stub_zero((void *)op->addr, op->size));
		break;
	case MEMOP_CLEAR:
		r = uc ? clear(op, uc) : -EINVAL_;
		break;
	default:
		r = -EINVAL_;
	}
	/* Who finds nothing mapped for a lease faults, and asks the sentry (lease.c). */
	return r < 0 && r > -4096 && !(op->flags & MEMOP_LEASE) ? (int)r : 0;
}

/*
 * A copy of this thread's frame at the same place of the child's stack, so that the child resumes
 * with the same registers and FP state. Returns the copy's ucontext.
 */
static struct abi_ucontext *copy_frame(const struct abi_ucontext *uc, uint32_t slot)
{
	uint64_t from = (uint64_t)uc - 8, mine = stub_stack_top(stub_slot(uc));
	uint64_t delta = stub_stack_top(slot) - mine;
	struct abi_ucontext *copy = (struct abi_ucontext *)((uint64_t)uc + delta);

	stub_copy((void *)(from + delta), (const void *)from, mine - from);
	if (copy->mcontext.fpstate)
		copy->mcontext.fpstate += delta;
	copy->stack.sp = stub_stack_top(slot) - STUB_STACK_SIZE;
	copy->stack.size = STUB_STACK_SIZE;
	copy->stack.flags = 0;
	return copy;
}

/* The slot's stack, if it has none yet. Negative errno. */
static long map_stack(const struct channel_reply *rep)
{
	uint64_t stack = stub_stack_top(rep->clone_slot) - STUB_STACK_SIZE;
	long r;

	if (!(rep->clone_flags & CLONE_ORDER_MAP_STACK))
		return 0;
	r = stub_syscall(SYS_mmap, stack, STUB_STACK_SIZE, 3, STACK_FLAGS, -1, 0);
	if (r < 0)
		return r;
	stub_syscall(SYS_madvise, stack, STUB_STACK_SIZE, MADV_DONTFORK_);
	return 0;
}

struct abi_ucontext *stub_lend_frame(const struct channel_reply *rep, struct abi_ucontext *uc)
{
	return map_stack(rep) < 0 ? NULL : copy_frame(uc, rep->clone_slot);
}

static long clone_sharing(const struct channel_reply *rep, struct abi_ucontext *uc)
{
	uint32_t slot = rep->clone_slot;
	uint64_t flags = rep->clone_kind == PCLONE_THREAD ? STUB_CLONE_THREAD : STUB_CLONE_VFORK;
	struct abi_ucontext *child;
	long r = map_stack(rep);

	if (r < 0)
		return r;
	child = copy_frame(uc, slot);
	return stub_clone(flags, ((uint64_t)child - 256) & ~15ul,
			  (uint64_t)&stub_channel(slot)->tid_word, child, rep->clone_token);
}

static long clone_fork(const struct channel_reply *rep, struct abi_ucontext *uc)
{
	uint64_t stack = stub_stack_top(stub_slot(uc)) - STUB_STACK_SIZE;
	bool dofork = rep->clone_flags & CLONE_ORDER_DOFORK;
	long r;

	if (dofork)
		stub_syscall(SYS_madvise, stack, STUB_STACK_SIZE, MADV_DOFORK_);
	r = stub_clone(STUB_CLONE_FORK, 0, 0, uc, rep->clone_token);
	if (dofork)
		stub_syscall(SYS_madvise, stack, STUB_STACK_SIZE, MADV_DONTFORK_);
	return r;
}

int stub_order_clone(struct channel *ch, const struct channel_reply *rep, struct abi_ucontext *uc)
{
	long r = rep->clone_kind == PCLONE_FORK ? clone_fork(rep, uc) : clone_sharing(rep, uc);

	if (r < 0)
		return (int)r;
	ch->req.clone_tid = (uint64_t)r;
	return 0;
}

static uint32_t atomic_result(const struct channel_reply *rep, uint32_t old)
{
	switch (rep->atomic_op) {
	case PATOM_ADD:
		return old + rep->atomic_operand;
	case PATOM_OR:
		return old | rep->atomic_operand;
	case PATOM_ANDN:
		return old & ~rep->atomic_operand;
	case PATOM_XOR:
		return old ^ rep->atomic_operand;
	case PATOM_CMPXCHG:
		return old == rep->atomic_expected ? rep->atomic_operand : old;
	default:
		return rep->atomic_operand;
	}
}

int stub_order_atomic(const struct channel_reply *rep, uint32_t *ret_old)
{
	uint32_t *word = (uint32_t *)rep->va, old, seen;
	int err = stub_load32(word, &old);

	while (err == 0) {
		err = stub_cmpxchg32(word, old, atomic_result(rep, old), &seen);
		if (err == 0 && seen == old)
			break;
		old = seen;
	}
	if (err == 0)
		*ret_old = old;
	return err;
}

void stub_set_fs_base(uint64_t base)
{
	if (base >= STUB_REGION_END)
		return;
	if (stub_boot.fsgsbase)
		stub_wrfsbase(base);
	else
		stub_syscall(SYS_arch_prctl, 0x1002, base);
}

uint64_t stub_get_fs_base(void)
{
	uint64_t base = 0;

	if (stub_boot.fsgsbase)
		return stub_rdfsbase();
	stub_syscall(SYS_arch_prctl, 0x1003, &base);
	return base;
}
