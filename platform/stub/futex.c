/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private futexes, by the host's own calls: the same memory, so the same queues, and a contended
 * lock costs what it costs natively. A private futex is known to the threads of one address space
 * only, all of which have their waits and wake-ups made here; so the sentry has no private waiters,
 * and makes no private wake-ups. What is shared, or wakes with a thread's end, stays with it.
 *
 * A wait must end when the sentry kicks the thread. It is made on the fast path, where kicks are
 * not blocked (a thread that came by a trap gets there by a bounce), and when it ends with -EINTR
 * the call is reported to the sentry like any other. The sentry's answer is that of a wait that was
 * interrupted: a result, a signal frame, or, when there was nothing to do in the end, "make the
 * call again"; the wait then goes on with what is left of its time. For that a relative time
 * becomes a deadline when the wait begins.
 *
 * The host may interrupt a wait for reasons of its own (a stop, a freeze); then it goes on by
 * restart_syscall, which the filter lets through.
 */
#include <sys/syscall.h>

#include "abi/futex.h"
#include "platform/stub/stub.h"

#define EINTR_	  4
#define EINVAL_	  22
#define SECOND	  1000000000
#define MONOTONIC 1

#define SYS_futex_waitv_ 449
#define SYS_futex_wake_	 454
#define SYS_futex_wait_	 455

#define PRIVATE		ABI_FUTEX_PRIVATE_FLAG
#define REALTIME	ABI_FUTEX_CLOCK_REALTIME
#define FUTEX2_PRIVATE	(ABI_FUTEX2_SIZE_U32 | ABI_FUTEX2_PRIVATE)
#define WAIT_UNTIL(clk) (ABI_FUTEX_WAIT_BITSET | PRIVATE | ((clk) ? 0 : REALTIME))

static uint32_t command(uint64_t op)
{
	return (uint32_t)op & (uint32_t)ABI_FUTEX_CMD_MASK;
}

static long host_futex(uint64_t va, uint32_t op, uint64_t val, uint64_t val2, uint64_t va2,
		       uint64_t val3)
{
	return stub_syscall(SYS_futex, va, op, val, val2, va2, val3);
}

/* --- waking: nothing that takes time --- */

/* FUTEX_WAKE and its like. False: not one that the host makes. */
static bool wake(const struct platform_regs *r, uint64_t *ret)
{
	uint32_t op = (uint32_t)r->rsi;

	switch (op) {
	case ABI_FUTEX_REQUEUE | PRIVATE:
	case ABI_FUTEX_CMP_REQUEUE | PRIVATE:
	case ABI_FUTEX_WAKE_OP | PRIVATE:
		if (r->r8 >= PLATFORM_GUEST_MAX)
			return false;
		break;
	case ABI_FUTEX_WAKE | PRIVATE:
	case ABI_FUTEX_WAKE_BITSET | PRIVATE:
		break;
	default:
		return false;
	}
	if (r->rdi >= PLATFORM_GUEST_MAX)
		return false;
	*ret = (uint64_t)host_futex(r->rdi, op, r->rdx, r->r10, r->r8, r->r9);
	return true;
}

/* futex_wake(2): address, mask, count, flags. */
static bool wake2(const struct platform_regs *r, uint64_t *ret)
{
	if (r->r10 != FUTEX2_PRIVATE || r->rdi >= PLATFORM_GUEST_MAX || r->rsi >> 32 || !r->rsi)
		return false;
	if ((int32_t)r->rdx == 0)
		*ret = r->rdi & 3 ? (uint64_t)-EINVAL_ : 0;
	else
		*ret = (uint64_t)host_futex(r->rdi, ABI_FUTEX_WAKE_BITSET | PRIVATE, r->rdx, 0, 0,
					    r->rsi);
	return true;
}

bool stub_futex_wake(struct platform_regs *r)
{
	if (!stub_boot.host_futex)
		return false;
	return r->rax == SYS_futex ? wake(r, &r->rax) : wake2(r, &r->rax);
}

/* --- waiting --- */

static bool all_private(uint64_t array, uint64_t count)
{
	struct abi_futex_waitv w;

	if (!count || count > ABI_FUTEX_WAITV_MAX)
		return false;
	for (uint64_t i = 0; i < count; i++)
		if (stub_copy(&w, (void *)(array + i * sizeof(w)), sizeof(w)) ||
		    w.flags != FUTEX2_PRIVATE || w.uaddr >= PLATFORM_GUEST_MAX)
			return false;
	return true;
}

bool stub_futex_waits(const struct platform_regs *r)
{
	if (!stub_boot.host_futex)
		return false;
	switch (r->rax) {
	case SYS_futex:
		return (r->rsi & PRIVATE) && r->rdi < PLATFORM_GUEST_MAX &&
		       (command(r->rsi) == ABI_FUTEX_WAIT_BITSET ||
			(command(r->rsi) == ABI_FUTEX_WAIT && !(r->rsi & REALTIME)));
	case SYS_futex_wait_:
		return r->r10 == FUTEX2_PRIVATE && r->rdi < PLATFORM_GUEST_MAX &&
		       !((r->rsi | r->rdx) >> 32) && r->rdx && r->r9 <= MONOTONIC;
	case SYS_futex_waitv_:
		return all_private(r->rdi, r->rsi);
	default:
		return false;
	}
}

static void set_call(struct stub_wait *w, long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
		     uint64_t e, uint64_t f)
{
	const uint64_t call[7] = {(uint64_t)nr, a, b, c, d, e, f};

	for (int i = 0; i < 7; i++)
		w->call[i] = call[i];
}

/* The guest's time becomes ours, so that it stays what it was if the wait is resumed. */
static long copy_time(struct stub_wait *w, uint64_t va, bool relative)
{
	int64_t now[2];

	if (stub_copy(w->until, (void *)va, sizeof(w->until)))
		return STUB_EFAULT;
	if (w->until[0] < 0 || w->until[1] < 0 || w->until[1] >= SECOND)
		return -EINVAL_;
	if (!relative)
		return 0;
	stub_syscall(SYS_clock_gettime, MONOTONIC, now);
	w->until[1] += now[1];
	if (w->until[1] >= SECOND) {
		w->until[1] -= SECOND;
		now[0]++;
	}
	if (__builtin_add_overflow(w->until[0], now[0], &w->until[0]))
		w->until[0] = INT64_MAX;
	return 0;
}

/* FUTEX_WAIT: a relative time. */
static void wait_for(struct stub_wait *w, const struct platform_regs *r, uint64_t until)
{
	if (until)
		set_call(w, SYS_futex, r->rdi, WAIT_UNTIL(MONOTONIC), r->rdx, until, 0,
			 ABI_FUTEX_BITSET_MATCH_ANY);
	else
		set_call(w, SYS_futex, r->rdi, ABI_FUTEX_WAIT | PRIVATE, r->rdx, 0, 0, 0);
}

/* 0, or negative errno: the call's result. */
static long prepare(struct stub_wait *w, const struct platform_regs *r)
{
	bool relative = r->rax == SYS_futex && command(r->rsi) == ABI_FUTEX_WAIT;
	uint64_t time = r->rax == SYS_futex_wait_ ? r->r8 : r->r10, until = 0;
	long err;

	if (time) {
		err = copy_time(w, time, relative);
		if (err < 0)
			return err;
		until = (uint64_t)w->until;
	}
	if (relative)
		wait_for(w, r, until);
	else if (r->rax == SYS_futex)
		set_call(w, SYS_futex, r->rdi,
			 WAIT_UNTIL(MONOTONIC) | ((uint32_t)r->rsi & REALTIME), r->rdx, until, 0,
			 r->r9);
	else if (r->rax == SYS_futex_wait_)
		set_call(w, SYS_futex, r->rdi, WAIT_UNTIL(r->r9), r->rsi, until, 0, r->rdx);
	else
		set_call(w, SYS_futex_waitv_, r->rdi, r->rsi, r->rdx, until, r->r8, 0);
	w->ready = true;
	return 0;
}

static long wait_on_host(struct channel *ch, const struct stub_wait *w)
{
	long ret;

	atomic_store_explicit(&ch->fast.asleep, 1, memory_order_relaxed);
	ret = stub_wait(&ch->fast.kicked, w->call);
	atomic_store_explicit(&ch->fast.asleep, 0, memory_order_relaxed);
	ch->fast.woke = __builtin_ia32_rdtsc();
	return ret;
}

bool stub_futex_wait(struct channel *ch, struct platform_regs *r, struct stub_wait *w)
{
	long ret = w->ready ? 0 : prepare(w, r);

	if (ret == 0)
		ret = wait_on_host(ch, w);
	if (ret == -EINTR_) {
		/* The sentry hears of the kick by the call. */
		atomic_store_explicit(&ch->fast.kicked, 0, memory_order_relaxed);
		return false;
	}
	r->rax = (uint64_t)ret;
	return true;
}
