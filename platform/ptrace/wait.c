/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for tracees, and how another thread ends that wait.
 *
 * wait4 takes no signal mask, so a signal that should end it can come between the look at a flag
 * and the call, and would be lost. The handler sees where it interrupted the tracer: if that is
 * between the two, or at the call's instruction (where the host puts it back to when it restarts an
 * interrupted call), it moves it to the way out. So the flag is never missed, nothing polls, and a
 * wake-up is one tgkill.
 *
 *	waker			tracer
 *				in_recv = true; queues: empty
 *	puts work on a queue
 *	in_recv? woken = 1
 *	tgkill			woken? no
 *				   <signal>: moved to the way out
 *				-EINTR; woken = 0, looks at its queues again
 *
 * SA_RESTART: a wake-up that comes late, when the tracer runs a handler of the sentry, does no harm
 * to the host calls there.
 */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "platform/ptrace/tracer.h"

#define WAKE_SIGNAL SIGURG

/* long tracer_wait4(int *status, atomic_int *woken) */
__asm__(".pushsection .text\n"
	".globl tracer_wait4, tracer_wait4_call, tracer_wait4_out, tracer_sigreturn\n"
	".hidden tracer_wait4, tracer_wait4_call, tracer_wait4_out, tracer_sigreturn\n"
	".type tracer_wait4, @function\n"
	"tracer_wait4:\n"
	"	mov	%rsi, %r8\n"
	"	mov	%rdi, %rsi\n"
	"	mov	$-1, %rdi\n"
	"	mov	$0x40000000, %edx\n" /* __WALL */
	"	xor	%r10d, %r10d\n"
	"	mov	$61, %eax\n"
	"tracer_wait4_look:\n"
	"	cmpl	$0, (%r8)\n"
	"	jne	tracer_wait4_out\n"
	"tracer_wait4_call:\n"
	"	syscall\n"
	"	ret\n"
	"tracer_wait4_out:\n"
	"	mov	$-4, %rax\n" /* EINTR */
	"	ret\n"
	"tracer_sigreturn:\n"
	"	mov	$15, %eax\n"
	"	syscall\n"
	".popsection\n");
long tracer_wait4(int *status, atomic_int *woken);
extern const char tracer_wait4_call[], tracer_wait4_out[], tracer_sigreturn[];

__attribute__((no_sanitize("address", "thread", "undefined"))) static void
wake_handler(int sig, siginfo_t *info, void *context)
{
	greg_t *ip = &((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];

	(void)sig;
	(void)info;
	if ((uintptr_t)*ip - (uintptr_t)tracer_wait4 <=
	    (uintptr_t)tracer_wait4_call - (uintptr_t)tracer_wait4)
		*ip = (greg_t)(uintptr_t)tracer_wait4_out;
}

/* As the host wants it; sanitizers put handlers off that are installed through the library. */
struct host_sigaction {
	void (*handler)(int, siginfo_t *, void *);
	unsigned long flags;
	const void *restorer;
	uint64_t mask;
};

int tracer_signal_setup(void)
{
	struct host_sigaction sa = {.handler = wake_handler,
				    .flags = SA_SIGINFO | SA_RESTART | 0x04000000 /* RESTORER */,
				    .restorer = tracer_sigreturn};
	struct host_sigaction children = {.flags = SA_NOCLDSTOP};

	if (syscall(SYS_rt_sigaction, WAKE_SIGNAL, &sa, NULL, 8) < 0)
		return -errno;
	/* No signal is made of each stop of a tracee. */
	return syscall(SYS_rt_sigaction, SIGCHLD, &children, NULL, 8) < 0 ? -errno : 0;
}

pid_t tracer_wait(struct tracer *x, int *ret_status)
{
	long r = tracer_wait4(ret_status, &x->woken);

	if (r == -EINTR)
		atomic_store(&x->woken, 0);
	return (pid_t)r;
}

void tracer_wake(struct platform *p)
{
	struct tracer *x = tracer_of(p);

	if (!atomic_load(&x->running) || on_tracer(x) || atomic_exchange(&x->woken, 1))
		return;
	syscall(SYS_tgkill, getpid(), x->tid, WAKE_SIGNAL);
}
