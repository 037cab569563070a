/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the stub. All state is in the channel and on the slot's stack; there is no writable data.
 */
#ifndef PLATFORM_STUB_STUB_H
#define PLATFORM_STUB_STUB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/signal.h"
#include "platform/stub/channel.h"
#include "platform/stub/layout.h"

/* Everything is linked at its address: no reference needs a global offset table. */
#pragma GCC visibility push(hidden)

#define STUB_EFAULT (-14)

extern const struct stub_boot stub_boot;
extern const char stub_text_begin[], stub_text_end[];

/* A fault whose instruction lies in [from, to) continues at fixup. */
struct extable_entry {
	uint64_t from, to, fixup;
};
extern const struct extable_entry stub_extable[], stub_extable_end[];

/* entry.S */
long stub_syscall6(long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f);
void stub_stop(void);
void stub_resume(struct abi_rt_sigframe *frame) __attribute__((noreturn));
void stub_resume_own(struct abi_rt_sigframe *frame) __attribute__((noreturn));
void stub_restorer(void);
void stub_init_on(uint64_t arg, uint64_t stack_top) __attribute__((noreturn));
void stub_init_trap(void) __attribute__((noreturn));
long stub_clone(uint64_t flags, uint64_t child_stack, uint64_t ctid, struct abi_ucontext *child_uc,
		uint64_t token);
uint64_t stub_copy(void *dst, const void *src, uint64_t size);
uint64_t stub_copy_string(char *dst, const char *src, uint64_t max);
uint64_t stub_zero(void *dst, uint64_t size);
int stub_load32(const uint32_t *p, uint32_t *ret_value);
int stub_cmpxchg32(uint32_t *p, uint32_t expected, uint32_t value, uint32_t *ret_old);
/* Registers that a function keeps, and the stack: 0 when marked, 1 when somebody goes there. */
struct stub_place {
	uint64_t rbx, rbp, r12, r13, r14, r15, rsp, rip;
};
int stub_mark_place(struct stub_place *place) __attribute__((returns_twice));
void stub_go_to(const struct stub_place *place) __attribute__((noreturn));
void stub_wrfsbase(uint64_t base);
void stub_wrgsbase(uint64_t base);
uint64_t stub_rdfsbase(void);
uint64_t stub_rdgsbase(void);

/* fast.S */
extern const char stub_fast_fallback_jump[], stub_answer_known[], stub_fast_save[];
extern const char stub_fast_entry[], stub_fast_exit[], stub_fast_exit_end[], stub_fast_trap[];
extern const char stub_fast_bounce[], stub_wait_begin[], stub_wait_end[], stub_wait_abort[];
long stub_wait(_Atomic uint32_t *kicked, const uint64_t call[7]);

/* init.c */
void stub_init(const uint64_t *sp) __attribute__((noreturn));
void stub_init_late(uint64_t vdso) __attribute__((noreturn));
void stub_initial_fp(struct abi_ucontext *uc);
/* Unmaps all but the stub: what the guest may have put anywhere. 0 or negative errno. */
long stub_unmap_all_else(uint32_t slot, bool channels);

/* main.c */
void stub_handler(int sig, struct abi_siginfo *info, struct abi_ucontext *uc)
    __attribute__((noreturn));
void stub_child(struct abi_ucontext *uc, uint64_t token, bool forked) __attribute__((noreturn));
void stub_exit_process(void) __attribute__((noreturn));

/* main.c, for the fast path. */
void stub_call_sentry(struct channel *ch);

/* copy.c: copies if it is asked to. */
void stub_serve_copy(struct channel *ch);
/* The first two steps of a reply. */
bool stub_write_back(struct channel *ch);
bool stub_do_memops(struct channel *ch, struct abi_ucontext *uc); /* NULL: on the fast path */

/* fast.c */
uint32_t stub_fast_call(struct channel *ch);
/* If the thread is hardly in, or on its way out: true, and sc is as it is outside. */
bool stub_fast_leaving(const struct channel *ch, struct abi_sigcontext *sc);
/* A kick that came in the stub's own text. True: the thread is as good as back in the guest. */
bool stub_fast_kicked(struct channel *ch, struct abi_sigcontext *sc);

/* windows.c: copies in what the call in ch->req.regs reads, by the plan. */
void stub_fill_windows(struct channel *ch);

/* local.c: calls that need no sentry. True: served, r->rax is the result. */
bool stub_local_call(struct channel *ch, struct platform_regs *r);
/* lease.c: the same, of files that the sentry has given leases for. */
bool stub_lease_call(struct channel *ch, struct platform_regs *r);
/* Whether the call in r may be served by stub_local_sigreturn. */
bool stub_is_sigreturn(const struct channel *ch, const struct platform_regs *r);
/* True: uc is what the frame of the handler holds. False: it is the sentry's to serve. */
bool stub_local_sigreturn(struct channel *ch, const struct platform_regs *r,
			  struct abi_ucontext *uc);
/* futex.c: private futexes. */
struct stub_wait {
	bool ready;	  /* call and until are filled in */
	int64_t until[2]; /* a struct timespec, absolute */
	uint64_t call[7]; /* number and arguments */
};
/* Operations that don't sleep. True: served, r->rax is the result. */
bool stub_futex_wake(struct platform_regs *r);
/* Whether the call in r is a wait that the host makes; then only the fast path may serve it. */
bool stub_futex_waits(const struct platform_regs *r);
/* True: served, r->rax is the result. False: a kick ended it; may be called again, with the same w.
 */
bool stub_futex_wait(struct channel *ch, struct platform_regs *r, struct stub_wait *w);

/* The call in r may make gs the guest's. */
bool stub_changes_gs(const struct platform_regs *r);
/* gs points at the channel unless the guest uses it. */
void stub_gs_init(struct channel *ch);
void stub_gs_reset(struct channel *ch); /* of a new program, which doesn't */
uint64_t stub_gs_get(void);
void stub_gs_set(uint64_t base);
bool stub_gs_ours(const struct channel *ch);

/* orders.c: what a reply asks for. Results: 0 or negative errno. */
int stub_memop(const struct channel *ch, const struct channel_memop *op, struct abi_ucontext *uc);

/* inherit.c: the call in ch->req, if it makes a thread, brings what that inherits. uc: NULL on the
 * fast path. */
void stub_save_inherited(struct channel *ch, const struct abi_ucontext *uc);
/* The reply is the first one of a new guest thread. */
void stub_begin(struct channel *ch, struct abi_ucontext *uc);

/* receive.c: count descriptors from the sentry (ptrace), -1 for those that did not come. */
void stub_receive_fds(int *fds, uint32_t count);
/* The same for the reply's operations, which name descriptors by their place in the message. */
void stub_receive_for_memops(struct channel *ch);

/* CHANNEL_ORDER_LEND: the copy of the frame on the other slot's stack; NULL: no memory. */
struct abi_ucontext *stub_lend_frame(const struct channel_reply *rep, struct abi_ucontext *uc);
int stub_order_clone(struct channel *ch, const struct channel_reply *rep, struct abi_ucontext *uc);
int stub_order_atomic(const struct channel_reply *rep, uint32_t *ret_old);
void stub_set_fs_base(uint64_t base);
uint64_t stub_get_fs_base(void);

/* sigframe.c */
int stub_push_frame(const struct platform_sigframe *f, struct abi_ucontext *uc);
uint64_t stub_scrub_fp(struct abi_ucontext *uc);
int stub_pop_frame(uint64_t guest_uc, struct abi_ucontext *uc);
void stub_get_regs(const struct abi_sigcontext *sc, struct platform_regs *regs);
void stub_set_regs(struct abi_sigcontext *sc, const struct platform_regs *regs);

/* stub_syscall(nr, up to six arguments of any integer or pointer type) */
#define SC_(x)					((uint64_t)(x))
#define SC_1(n)					stub_syscall6(n, 0, 0, 0, 0, 0, 0)
#define SC_2(n, a)				stub_syscall6(n, SC_(a), 0, 0, 0, 0, 0)
#define SC_3(n, a, b)				stub_syscall6(n, SC_(a), SC_(b), 0, 0, 0, 0)
#define SC_4(n, a, b, c)			stub_syscall6(n, SC_(a), SC_(b), SC_(c), 0, 0, 0)
#define SC_5(n, a, b, c, d)			stub_syscall6(n, SC_(a), SC_(b), SC_(c), SC_(d), 0, 0)
#define SC_6(n, a, b, c, d, e)			stub_syscall6(n, SC_(a), SC_(b), SC_(c), SC_(d), SC_(e), 0)
#define SC_7(n, a, b, c, d, e, f)		stub_syscall6(n, SC_(a), SC_(b), SC_(c), SC_(d), SC_(e), SC_(f))
#define SC_PICK(a, b, c, d, e, f, g, name, ...) name
#define stub_syscall(...)                                                                          \
	SC_PICK(__VA_ARGS__, SC_7, SC_6, SC_5, SC_4, SC_3, SC_2, SC_1, )(__VA_ARGS__)

static inline uint32_t stub_slot(const void *on_stack)
{
	return (uint32_t)(((uint64_t)on_stack - STUB_STACKS) / STUB_STACK_STRIDE);
}

static inline struct channel *stub_channel(uint32_t slot)
{
	return (struct channel *)(STUB_CHANNELS + (uint64_t)slot * CHANNEL_STRIDE);
}

static inline uint64_t stub_stack_top(uint32_t slot)
{
	return STUB_STACKS + (uint64_t)(slot + 1) * STUB_STACK_STRIDE;
}

#pragma GCC visibility pop

#endif
