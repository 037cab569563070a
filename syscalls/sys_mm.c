/* SPDX-License-Identifier: Apache-2.0 */
/* Memory: mmap and its family, mlock, memory policies, process_vm_*. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/caps.h"
#include "abi/mman.h"
#include "base/compiler.h"
#include "base/mem.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/own.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/usermem.h"
#include "sentry/vfs/files.h"
#include "syscalls/syscalls.h"

/* ---- mappings ---- */

int64_t sys_mmap(struct task *t, const struct sysargs *a)
{
	struct mm_map_args args = {.addr = a->arg[0],
				   .size = a->arg[1],
				   .prot = (uint32_t)a->arg[2],
				   .flags = (uint32_t)a->arg[3],
				   .offset = a->arg[5]};
	int64_t ret;

	if (args.offset & (PAGE_SIZE - 1))
		return -EINVAL;
	if (!(args.flags & ABI_MAP_ANONYMOUS)) {
		args.file = fd_get_io(t, abi_int(a->arg[4]));
		if (!args.file)
			return -EBADF;
	}
	if (args.flags & ABI_MAP_LOCKED)
		own_memory_locked(t->kernel);
	ret = mm_mmap(t, &args);
	if (args.file)
		file_put(args.file);
	return ret;
}

int64_t sys_munmap(struct task *t, const struct sysargs *a)
{
	return mm_munmap(t, a->arg[0], a->arg[1]);
}

int64_t sys_mprotect(struct task *t, const struct sysargs *a)
{
	return mm_mprotect(t, a->arg[0], a->arg[1], a->arg[2]);
}

int64_t sys_mremap(struct task *t, const struct sysargs *a)
{
	if (a->arg[3] >> 32)
		return -EINVAL;
	return mm_mremap(t, a->arg[0], a->arg[1], a->arg[2], (uint32_t)a->arg[3], a->arg[4]);
}

int64_t sys_brk(struct task *t, const struct sysargs *a)
{
	return mm_brk(t, a->arg[0]);
}

int64_t sys_madvise(struct task *t, const struct sysargs *a)
{
	return mm_madvise(t, a->arg[0], a->arg[1], abi_int(a->arg[2]));
}

int64_t sys_msync(struct task *t, const struct sysargs *a)
{
	return mm_msync(t, a->arg[0], a->arg[1], abi_int(a->arg[2]));
}

/* Which pages are resident only the host knows; what is mapped is said to be. */
int64_t sys_mincore(struct task *t, const struct sysargs *a)
{
	uint64_t addr = a->arg[0], size = a->arg[1], pages = PAGE_ALIGN_UP(size) / PAGE_SIZE;
	uint8_t resident[512];

	if (addr & (PAGE_SIZE - 1))
		return -EINVAL;
	if (addr > PLATFORM_GUEST_MAX || size > PLATFORM_GUEST_MAX - addr ||
	    mm_check_mapped(t->mm, addr, addr + pages * PAGE_SIZE))
		return -ENOMEM;
	memset(resident, 1, sizeof(resident));
	for (uint64_t done = 0; done < pages; done += sizeof(resident)) {
		size_t piece = MIN(pages - done, sizeof(resident));

		if (copy_to_user(t, uaddr(a->arg[2] + done), resident, piece))
			return -EFAULT;
	}
	return 0;
}

/* ---- mlock ---- */

int64_t sys_mlock(struct task *t, const struct sysargs *a)
{
	own_memory_locked(t->kernel);
	return mm_mlock(t, a->arg[0], a->arg[1], true);
}

int64_t sys_mlock2(struct task *t, const struct sysargs *a)
{
	if (abi_int(a->arg[2]) & ~ABI_MLOCK_ONFAULT)
		return -EINVAL;
	own_memory_locked(t->kernel);
	return mm_mlock(t, a->arg[0], a->arg[1], true);
}

int64_t sys_munlock(struct task *t, const struct sysargs *a)
{
	return mm_mlock(t, a->arg[0], a->arg[1], false);
}

int64_t sys_mlockall(struct task *t, const struct sysargs *a)
{
	uint32_t flags = (uint32_t)a->arg[0];

	if (!flags || flags == ABI_MCL_ONFAULT ||
	    flags & ~(uint32_t)(ABI_MCL_CURRENT | ABI_MCL_FUTURE | ABI_MCL_ONFAULT))
		return -EINVAL;
	own_memory_locked(t->kernel);
	return mm_mlockall(t, flags);
}

int64_t sys_munlockall(struct task *t, const struct sysargs *a)
{
	(void)a;
	return mm_mlockall(t, 0);
}

/*
 * ---- memory policies (set_mempolicy(2), mm/mempolicy.c) ----
 * A sandbox shows one memory node. All policies are the same there, so they are checked and
 * accepted, but not kept.
 */
#define MPOL_DEFAULT	    0
#define MPOL_PREFERRED	    1
#define MPOL_LOCAL	    4
#define MPOL_MODE_MAX	    6
#define MPOL_MODE_FLAGS	    0xe000u /* STATIC_NODES, RELATIVE_NODES, NUMA_BALANCING */
#define MPOL_F_NODE	    1
#define MPOL_F_ADDR	    2
#define MPOL_F_MEMS_ALLOWED 4
#define MPOL_MF_STRICT	    1
#define MPOL_MF_MOVE	    2
#define MPOL_MF_MOVE_ALL    4
#define NODE_BITS_MAX	    (PAGE_SIZE * 8)

/* A node mask of the guest's: whether node 0 is in it. -EINVAL if others are. */
static int get_nodes(struct task *t, uint64_t mask, uint64_t maxnode, bool *ret_any)
{
	uint64_t words[PAGE_SIZE / 8], count;

	*ret_any = false;
	maxnode--;
	if (!maxnode || !mask)
		return 0;
	if (maxnode > NODE_BITS_MAX)
		return -EINVAL;
	count = (maxnode + 63) / 64;
	if (copy_from_user(t, words, uaddr(mask), count * 8))
		return -EFAULT;
	if (maxnode % 64)
		words[count - 1] &= (1ull << maxnode % 64) - 1;
	for (uint64_t i = 0; i < count; i++)
		if (words[i] & ~(i ? 0ull : 1ull))
			return -EINVAL;
	*ret_any = words[0] & 1;
	return 0;
}

static int check_policy(struct task *t, int mode, uint64_t mask, uint64_t maxnode)
{
	bool any;
	int err;

	mode &= ~(int)MPOL_MODE_FLAGS;
	if (mode < 0 || mode > MPOL_MODE_MAX)
		return -EINVAL;
	err = get_nodes(t, mask, maxnode, &any);
	if (err)
		return err;
	if (mode == MPOL_DEFAULT || mode == MPOL_LOCAL)
		return any ? -EINVAL : 0;
	return any || mode == MPOL_PREFERRED ? 0 : -EINVAL;
}

int64_t sys_set_mempolicy(struct task *t, const struct sysargs *a)
{
	return check_policy(t, abi_int(a->arg[0]), a->arg[1], a->arg[2]);
}

int64_t sys_mbind(struct task *t, const struct sysargs *a)
{
	uint64_t addr = a->arg[0], size = PAGE_ALIGN_UP(a->arg[1]);
	uint32_t flags = (uint32_t)a->arg[5];
	int err;

	if (flags & ~(uint32_t)(MPOL_MF_STRICT | MPOL_MF_MOVE | MPOL_MF_MOVE_ALL))
		return -EINVAL;
	if ((flags & MPOL_MF_MOVE_ALL) && !cred_capable(t->cred, ABI_CAP_SYS_NICE))
		return -EPERM;
	if ((addr & (PAGE_SIZE - 1)) || addr + size < addr)
		return -EINVAL;
	err = check_policy(t, abi_int(a->arg[2]), a->arg[3], a->arg[4]);
	if (err || !size)
		return err;
	return mm_check_mapped(t->mm, addr, addr + size) ? -EFAULT : 0;
}

/* The mask has bit 0 set if any; as long as maxnode says. */
static int put_nodes(struct task *t, uint64_t mask, uint64_t maxnode, bool any)
{
	uint64_t size = (maxnode - 1 + 63) / 64 * 8, word = any;

	if (!mask)
		return 0;
	if (size > PAGE_SIZE)
		return -EINVAL;
	if (size > 8 && clear_user(t, uaddr(mask + 8), size - 8))
		return -EFAULT;
	return copy_to_user(t, uaddr(mask), &word, MIN(size, sizeof(word)));
}

static int check_get_mempolicy(struct task *t, const struct sysargs *a)
{
	uint64_t flags = a->arg[4];

	if (flags & ~(uint64_t)(MPOL_F_NODE | MPOL_F_ADDR | MPOL_F_MEMS_ALLOWED) ||
	    (a->arg[1] && !a->arg[2]))
		return -EINVAL;
	if ((flags & MPOL_F_MEMS_ALLOWED) && (flags & (MPOL_F_NODE | MPOL_F_ADDR)))
		return -EINVAL;
	if (flags & MPOL_F_ADDR)
		return mm_check_mapped(t->mm, PAGE_ALIGN_DOWN(a->arg[3]),
				       PAGE_ALIGN_DOWN(a->arg[3]) + PAGE_SIZE)
			   ? -EFAULT
			   : 0;
	return a->arg[3] || (flags & MPOL_F_NODE) ? -EINVAL : 0;
}

int64_t sys_get_mempolicy(struct task *t, const struct sysargs *a)
{
	int32_t mode = MPOL_DEFAULT; /* node 0, if MPOL_F_NODE is asked */
	int err = check_get_mempolicy(t, a);

	if (err)
		return err;
	if (a->arg[0] && copy_to_user(t, uaddr(a->arg[0]), &mode, sizeof(mode)))
		return -EFAULT;
	return put_nodes(t, a->arg[1], a->arg[2], a->arg[4] & MPOL_F_MEMS_ALLOWED);
}

/* ---- process_vm_readv, process_vm_writev ---- */

#define VM_PIECE (64u << 10)

/* ptrace(2), "Ptrace access mode checking", PTRACE_MODE_ATTACH_REALCREDS. */
static bool may_access(struct task *t, struct task *target)
{
	const struct cred *c = t->cred, *o;
	bool same, ok;

	if (t->tg == target->tg)
		return true;
	o = task_cred_get(target);
	same = c->uid == o->uid && c->uid == o->euid && c->uid == o->suid && c->gid == o->gid &&
	       c->gid == o->egid && c->gid == o->sgid;
	ok = (same && target->tg->dumpable && !(o->cap_permitted & ~c->cap_permitted)) ||
	     cred_capable(c, ABI_CAP_SYS_PTRACE);
	cred_put(o);
	return ok;
}

/* One segment of the other task's; bytes done, short if either side faults or local is full. */
static ssize_t copy_remote(struct task *target, uint64_t program, struct uio *local,
			   const struct uio_segment *s, char *buf, bool write)
{
	uint64_t done = 0;

	while (done < s->size && local->left) {
		size_t piece = MIN(MIN(s->size - done, (uint64_t)VM_PIECE), local->left);
		ssize_t n, m;

		if (write) {
			n = uio_read(local, buf, piece);
			m = n > 0 ? write_task_memory(target, program, uaddr(s->va + done), buf,
						      (size_t)n)
				  : n;
		} else {
			n = read_task_memory(target, program, uaddr(s->va + done), buf, piece);
			m = n > 0 ? uio_write(local, buf, (size_t)n) : n;
		}
		if (m > 0)
			done += (uint64_t)m;
		if (m != (ssize_t)piece)
			return done ? (ssize_t)done : m;
	}
	return (ssize_t)done;
}

static int64_t copy_segments(struct task *target, uint64_t program, struct uio *local,
			     const struct uio *remote, bool write)
{
	char *buf = xmalloc(VM_PIECE);
	int64_t done = 0;

	for (uint32_t i = 0; i < remote->segment_count && local->left; i++) {
		ssize_t n = copy_remote(target, program, local, &remote->segments[i], buf, write);

		if (n < 0 && !done)
			done = n;
		if (n <= 0 && remote->segments[i].size)
			break;
		done += n;
		if ((uint64_t)n < remote->segments[i].size)
			break;
	}
	free(buf);
	return done;
}

static int64_t access_task(struct task *t, int32_t pid, struct uio *local, const struct uio *remote,
			   bool write)
{
	struct task *target = task_find(t->kernel, pid);
	uint64_t program;
	int64_t ret;

	if (!target)
		return -ESRCH;
	program = task_program(target);
	ret = may_access(t, target) ? copy_segments(target, program, local, remote, write) : -EPERM;
	task_put(target);
	return ret;
}

static int64_t process_vm(struct task *t, const struct sysargs *a, bool write)
{
	struct uio local, remote;
	int64_t ret;

	if (a->arg[5])
		return -EINVAL;
	ret = uio_init_iovec(&local, t, uaddr(a->arg[1]), a->arg[2]);
	if (ret)
		return ret;
	ret = uio_init_iovec(&remote, t, uaddr(a->arg[3]), a->arg[4]);
	if (!ret) {
		if (local.left && remote.left)
			ret = access_task(t, abi_int(a->arg[0]), &local, &remote, write);
		uio_free(&remote);
	}
	uio_free(&local);
	return ret;
}

int64_t sys_process_vm_readv(struct task *t, const struct sysargs *a)
{
	return process_vm(t, a, false);
}

int64_t sys_process_vm_writev(struct task *t, const struct sysargs *a)
{
	return process_vm(t, a, true);
}
