/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leases: reads and fstats of files that are read all the time, without a call of the sentry.
 *
 * The sentry has mapped the file's content here, read-only and shared with the host's page cache,
 * and written down what else a read needs: size, attributes, and the position if it is the thread's
 * alone (sentry/kernel/lease.c says when that is so). What is read is what is in the page cache at
 * this moment, whoever writes. Size and attributes are not, so each lease has a bit for either in
 * channel.own.leased, which the sentry clears after it has changed them and before anybody hears of
 * that:
 *
 *	here				another's call, in the sentry
 *	bit? yes			the file is cut off, grows, ...
 *	copies
 *	bit? yes: done			clears the bit
 *					its reply
 *
 *	bit? yes			the file is cut off
 *	copies zeros, or faults
 *					clears the bit
 *	bit? no: to the sentry		its reply
 *
 * so what is answered here is what was so before the other's call was over, and nobody can tell the
 * order of calls that overlap. A fault on either side (nothing there; a buffer that can't be
 * written) ends the lease for this time, and the sentry makes the call and says what becomes of it.
 *
 * Nothing here is believed by the sentry but the position, which is checked as lseek's is. A guest
 * that writes other bits, sizes or positions reads what it could have read anyway.
 */
#include <sys/syscall.h>

#include "platform/stub/stub.h"

#define DEVICE_MAX 0x7ffff000ul /* MAX_RW_COUNT */
#define READ_MAX   (4ul << 20)	/* a copy takes some 400 us; kicks wait so long */

/* The lease that says `what` of fd, or -1. */
static int32_t find(const struct channel *ch, uint64_t fd, uint32_t what)
{
	uint32_t bits = atomic_load_explicit(&ch->own.leased, memory_order_acquire) / what &
			((1u << PLATFORM_LEASES) - 1);

	for (; bits; bits &= bits - 1) {
		int32_t i = __builtin_ctz(bits);

		if (ch->lease_fd[i] == (int32_t)fd)
			return i;
	}
	return -1;
}

static bool holds(const struct channel *ch, int32_t index, uint32_t what)
{
	return atomic_load_explicit(&ch->own.leased, memory_order_acquire) &
	       LEASE_BITS(what, index);
}

static bool is_guest_memory(uint64_t va, uint64_t size)
{
	return va < PLATFORM_GUEST_MAX && size <= PLATFORM_GUEST_MAX - va;
}

/* Where n bytes of a file are here, and what says that they are right; NULL: nowhere. */
static const void *content(const struct channel *ch, int32_t index, uint64_t at, uint64_t n,
			   uint32_t *ret_what)
{
	const struct channel_lease *l = &ch->leases[index];
	uint64_t head = l->head < PLATFORM_HEAD_SIZE ? l->head : PLATFORM_HEAD_SIZE;

	if (n <= head && at <= head - n && holds(ch, index, PLATFORM_LEASE_HEAD)) {
		*ret_what = PLATFORM_LEASE_HEAD;
		return ch->head + at;
	}
	if (!l->mapped || n > PLATFORM_LEASE_SIZE || at > PLATFORM_LEASE_SIZE - n)
		return NULL;
	*ret_what = PLATFORM_LEASE_READ;
	return (const void *)(STUB_LEASES + (uint64_t)index * PLATFORM_LEASE_SIZE + at);
}

static void used(struct channel_lease *l)
{
	atomic_store_explicit(&l->used, 1, memory_order_relaxed);
}

/* Bytes read from pos, or -1: the sentry shall do it. */
static int64_t read_at(struct channel *ch, int32_t index, uint64_t va, uint64_t count, int64_t pos)
{
	uint64_t size = ch->leases[index].size, at = (uint64_t)pos, n = 0;
	uint32_t what = PLATFORM_LEASE_READ;
	const void *from = NULL;

	if (pos < 0 || !count || count > READ_MAX || !is_guest_memory(va, count))
		return -1;
	if (at < size)
		n = count < size - at ? count : size - at;
	if (n)
		from = content(ch, index, at, n, &what);
	if (n && !from)
		return -1;
	if (n && stub_copy((void *)va, from, n)) {
		atomic_fetch_and(&ch->own.leased, ~LEASE_BITS(what, index));
		return -1;
	}
	if (!holds(ch, index, what) || !holds(ch, index, PLATFORM_LEASE_READ))
		return -1;
	used(&ch->leases[index]);
	return (int64_t)n;
}

static bool pread64(struct channel *ch, struct platform_regs *r)
{
	int32_t i = find(ch, r->rdi, PLATFORM_LEASE_READ);
	int64_t n = i < 0 ? -1 : read_at(ch, i, r->rsi, r->rdx, (int64_t)r->r10);

	if (n >= 0)
		r->rax = (uint64_t)n;
	return n >= 0;
}

/* Reads and writes of devices that hold nothing. */
static bool device(struct channel *ch, struct platform_regs *r, bool write)
{
	int32_t i = find(ch, r->rdi, PLATFORM_LEASE_DEVICE);
	uint64_t size = r->rdx;
	uint32_t can = i < 0 ? 0 : ch->leases[i].device;

	if (!can || !size || size > DEVICE_MAX || !is_guest_memory(r->rsi, size))
		return false;
	if (write && (can & PLATFORM_DEVICE_WRITE))
		r->rax = size;
	else if (!write && (can & PLATFORM_DEVICE_READ_END))
		r->rax = 0;
	else if (!write && (can & PLATFORM_DEVICE_READ_ZEROS) && size <= READ_MAX &&
		 !stub_zero((void *)r->rsi, size))
		r->rax = size;
	else
		return false;
	return true;
}

/* With a position of the thread's own. */
static struct channel_lease *find_with_pos(struct channel *ch, uint64_t fd, int32_t *ret_index)
{
	*ret_index = find(ch, fd, PLATFORM_LEASE_READ);
	return *ret_index < 0 || !ch->leases[*ret_index].has_pos ? NULL : &ch->leases[*ret_index];
}

static bool read(struct channel *ch, struct platform_regs *r)
{
	int32_t i;
	struct channel_lease *l = find_with_pos(ch, r->rdi, &i);
	int64_t pos = l ? atomic_load_explicit(&l->pos, memory_order_relaxed) : 0;
	int64_t n = l ? read_at(ch, i, r->rsi, r->rdx, pos) : -1;

	if (n < 0)
		return false;
	if (n > 0)
		atomic_store_explicit(&l->pos, pos + n, memory_order_relaxed);
	r->rax = (uint64_t)n;
	return true;
}

/* Within the file; what lies behind its end, and holes, are the sentry's to say. */
static bool lseek(struct channel *ch, struct platform_regs *r)
{
	int32_t i;
	struct channel_lease *l = find_with_pos(ch, r->rdi, &i);
	int64_t base = 0, pos;

	if (!l)
		return false;
	if ((uint32_t)r->rdx == 1 /* SEEK_CUR */)
		base = atomic_load_explicit(&l->pos, memory_order_relaxed);
	else if ((uint32_t)r->rdx == 2 /* SEEK_END */)
		base = (int64_t)l->size;
	else if ((uint32_t)r->rdx != 0 /* SEEK_SET */)
		return false;
	if (__builtin_add_overflow(base, (int64_t)r->rsi, &pos) || pos < 0 ||
	    (uint64_t)pos > l->size || !holds(ch, i, PLATFORM_LEASE_READ))
		return false;
	atomic_store_explicit(&l->pos, pos, memory_order_relaxed);
	r->rax = (uint64_t)pos;
	return true;
}

static bool fstat(struct channel *ch, struct platform_regs *r, uint64_t va)
{
	int32_t i = find(ch, r->rdi, PLATFORM_LEASE_STAT);

	if (i < 0 || !is_guest_memory(va, sizeof(struct abi_stat)) ||
	    stub_copy((void *)va, &ch->leases[i].stat, sizeof(struct abi_stat)) ||
	    !holds(ch, i, PLATFORM_LEASE_STAT))
		return false;
	used(&ch->leases[i]);
	r->rax = 0;
	return true;
}

/* newfstatat(fd, "", buf, AT_EMPTY_PATH): what C libraries make of fstat. */
static bool is_fstat(const struct platform_regs *r)
{
	char c;

	return (uint32_t)r->r10 == 0x1000 && is_guest_memory(r->rsi, 1) &&
	       !stub_copy(&c, (const void *)r->rsi, 1) && !c;
}

static bool call(struct channel *ch, struct platform_regs *r)
{
	switch (r->rax) {
	case SYS_read:
		return read(ch, r) || device(ch, r, false);
	case SYS_write:
		return device(ch, r, true);
	case SYS_pread64:
		return pread64(ch, r);
	case SYS_lseek:
		return lseek(ch, r);
	case SYS_fstat:
		return fstat(ch, r, r->rsi);
	case SYS_newfstatat:
		return is_fstat(r) && fstat(ch, r, r->rdx);
	default:
		return false;
	}
}

bool stub_lease_call(struct channel *ch, struct platform_regs *r)
{
	return atomic_load_explicit(&ch->own.leased, memory_order_relaxed) && call(ch, r);
}
