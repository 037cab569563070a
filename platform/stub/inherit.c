/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads in host threads that were there before (platform/thread_stock.c).
 *
 * A new host thread inherits from the one that clones it what no reply brings: FP state, rights to
 * protection keys, fs and gs. A call that makes a thread may be answered with one that was there
 * before, so it brings all that along, in channel.inherit; the sentry, to which it means nothing,
 * copies it to the channel of the thread that it takes. No waiting of one for the other is needed:
 * the creator stands still in its call, the other in its last one.
 *
 *	creator				sentry			thread in stock
 *	clone: saves its state in					waits in the bell
 *	its channel, bell						that told of its exit
 *					takes the thread, copies
 *	goes on			<-	replies
 *					replies	->		REPLY_BEGIN: loads the state,
 *								goes on with the reply
 *
 * On the fast path the state is in the registers, since nothing of the stub touches it; in a
 * handler it is in the frame of the signal, which has the same form. So does it go back: the thread
 * that begins leaves the way by which its predecessor came.
 */
#include <sys/syscall.h>

#include "abi/sched.h"
#include "platform/stub/stub.h"

#define SYS_clone3_	  435
#define THREAD_CPU_CLOCK  3 /* CLOCK_THREAD_CPUTIME_ID */
#define SECOND		  1000000000ull
#define XSAVE_HEADER	  512
#define XSAVE_HEADER_SIZE 64

static bool makes_thread(const struct platform_regs *r)
{
	uint64_t flags = r->rdi;

	if (r->rax == SYS_clone3_ &&
	    (r->rdi >= PLATFORM_GUEST_MAX || stub_copy(&flags, (void *)r->rdi, sizeof(flags))))
		return false;
	return (r->rax == SYS_clone || r->rax == SYS_clone3_) && (flags & ABI_CLONE_THREAD);
}

static void load_fp(const struct channel_inherit *in)
{
	__asm__ volatile("xrstor64 %0"
			 :
			 : "m"(in->fp), "a"((uint32_t)stub_boot.fp_mask),
			   "d"((uint32_t)(stub_boot.fp_mask >> 32)));
}

/* XSAVE leaves the header's rest alone, and XRSTOR wants zeros there. */
static void save_fp(struct channel_inherit *in)
{
	stub_zero(in->fp + XSAVE_HEADER, XSAVE_HEADER_SIZE);
	__asm__ volatile("xsave64 %0"
			 : "+m"(in->fp)
			 : "a"((uint32_t)stub_boot.fp_mask),
			   "d"((uint32_t)(stub_boot.fp_mask >> 32)));
}

/* How much of the frame's FP area there is to copy; 0: it has another form. */
static uint32_t frame_fp(const struct abi_ucontext *uc, uint8_t **ret_fp)
{
	uint8_t *fp = (uint8_t *)uc->mcontext.fpstate;
	const struct abi_fpx_sw_bytes *sw = (const void *)(fp + ABI_FPX_SW_OFFSET);

	*ret_fp = fp;
	if (!fp || sw->magic1 != ABI_FP_XSTATE_MAGIC1 || sw->xstate_size < stub_boot.fp_size)
		return 0;
	return stub_boot.fp_size;
}

static bool save_frame_fp(struct channel_inherit *in, const struct abi_ucontext *uc)
{
	uint8_t *fp;
	uint32_t size = frame_fp(uc, &fp);

	stub_copy(in->fp, fp, size);
	return size;
}

/* What the host says of the form of its frame stays. */
static void load_frame_fp(const struct channel_inherit *in, struct abi_ucontext *uc)
{
	uint8_t *fp;
	uint32_t size = frame_fp(uc, &fp);

	if (!size)
		stub_exit_process();
	stub_copy(fp, in->fp, ABI_FPX_SW_OFFSET);
	stub_copy(fp + ABI_FXSAVE_SIZE, in->fp + ABI_FXSAVE_SIZE, size - ABI_FXSAVE_SIZE);
}

void stub_save_inherited(struct channel *ch, const struct abi_ucontext *uc)
{
	struct channel_inherit *in = &ch->inherit;

	if (!stub_boot.fp_size || !makes_thread(&ch->req.regs))
		return;
	if (!uc)
		save_fp(in);
	else if (!save_frame_fp(in, uc))
		return;
	in->fs_base = stub_get_fs_base();
	in->gs_base = stub_gs_get();
	ch->req.flags |= REQUEST_INHERIT;
}

/* What this host thread has used of the CPU was used by others. */
static void start_clock(struct channel *ch)
{
	uint64_t now[2] = {0, 0};

	stub_syscall(SYS_clock_gettime, THREAD_CPU_CLOCK, now);
	ch->fast.cpu_before = now[0] * SECOND + now[1];
}

/* Kicks that were for the one before are not told from those that are for this one. */
void stub_begin(struct channel *ch, struct abi_ucontext *uc)
{
	const struct channel_inherit *in = &ch->inherit;

	start_clock(ch);
	stub_set_fs_base(in->fs_base);
	stub_gs_set(in->gs_base);
	stub_gs_init(ch);
	if (uc)
		load_frame_fp(in, uc);
	else
		load_fp(in);
	ch->req.window_count = 0;
}
