/* SPDX-License-Identifier: Apache-2.0 */
/* Signals and the signal frame (asm/signal.h, asm-generic/siginfo.h, asm/sigcontext.h). */
#ifndef ABI_SIGNAL_H
#define ABI_SIGNAL_H

#include "abi/types.h"

#define ABI_SIGHUP    1
#define ABI_SIGINT    2
#define ABI_SIGQUIT   3
#define ABI_SIGILL    4
#define ABI_SIGTRAP   5
#define ABI_SIGABRT   6
#define ABI_SIGBUS    7
#define ABI_SIGFPE    8
#define ABI_SIGKILL   9
#define ABI_SIGUSR1   10
#define ABI_SIGSEGV   11
#define ABI_SIGUSR2   12
#define ABI_SIGPIPE   13
#define ABI_SIGALRM   14
#define ABI_SIGTERM   15
#define ABI_SIGSTKFLT 16
#define ABI_SIGCHLD   17
#define ABI_SIGCONT   18
#define ABI_SIGSTOP   19
#define ABI_SIGTSTP   20
#define ABI_SIGTTIN   21
#define ABI_SIGTTOU   22
#define ABI_SIGURG    23
#define ABI_SIGXCPU   24
#define ABI_SIGXFSZ   25
#define ABI_SIGVTALRM 26
#define ABI_SIGPROF   27
#define ABI_SIGWINCH  28
#define ABI_SIGIO     29
#define ABI_SIGPWR    30
#define ABI_SIGSYS    31
#define ABI_SIGRTMIN  32
#define ABI_SIGRTMAX  64
#define ABI_NSIG      64

/* A kernel sigset is one word; signal n is bit n - 1. */
typedef uint64_t abi_sigset_t;
#define ABI_SIGSET_SIZE	    8
#define ABI_SIGMASK(sig)    (1ull << ((sig)-1))
#define ABI_SIG_UNBLOCKABLE (ABI_SIGMASK(ABI_SIGKILL) | ABI_SIGMASK(ABI_SIGSTOP))

#define ABI_SIG_BLOCK	0
#define ABI_SIG_UNBLOCK 1
#define ABI_SIG_SETMASK 2

#define ABI_SIG_DFL 0ull
#define ABI_SIG_IGN 1ull

#define ABI_SA_NOCLDSTOP      0x00000001ul
#define ABI_SA_NOCLDWAIT      0x00000002ul
#define ABI_SA_SIGINFO	      0x00000004ul
#define ABI_SA_UNSUPPORTED    0x00000400ul
#define ABI_SA_EXPOSE_TAGBITS 0x00000800ul
#define ABI_SA_RESTORER	      0x04000000ul
#define ABI_SA_ONSTACK	      0x08000000ul
#define ABI_SA_RESTART	      0x10000000ul
#define ABI_SA_NODEFER	      0x40000000ul
#define ABI_SA_RESETHAND      0x80000000ul

struct abi_sigaction {
	uint64_t handler; /* guest address, ABI_SIG_DFL or ABI_SIG_IGN */
	uint64_t flags;
	uint64_t restorer;
	abi_sigset_t mask;
};
ABI_SIZE(struct abi_sigaction, 32);

#define ABI_SS_ONSTACK	  1
#define ABI_SS_DISABLE	  2
#define ABI_SS_AUTODISARM 0x80000000u
#define ABI_MINSIGSTKSZ	  2048

struct abi_stack {
	uint64_t sp;
	int32_t flags;
	int32_t pad;
	uint64_t size;
};
ABI_SIZE(struct abi_stack, 24);

/* si_code: who sent it */
#define ABI_SI_USER	0
#define ABI_SI_KERNEL	0x80
#define ABI_SI_QUEUE	(-1)
#define ABI_SI_TIMER	(-2)
#define ABI_SI_MESGQ	(-3)
#define ABI_SI_ASYNCIO	(-4)
#define ABI_SI_SIGIO	(-5)
#define ABI_SI_TKILL	(-6)
#define ABI_SI_DETHREAD (-7)

/* si_code of the faults */
#define ABI_ILL_ILLOPC	      1
#define ABI_ILL_ILLOPN	      2
#define ABI_FPE_INTDIV	      1
#define ABI_FPE_INTOVF	      2
#define ABI_FPE_FLTDIV	      3
#define ABI_FPE_FLTOVF	      4
#define ABI_FPE_FLTUND	      5
#define ABI_FPE_FLTRES	      6
#define ABI_FPE_FLTINV	      7
#define ABI_SEGV_MAPERR	      1
#define ABI_SEGV_ACCERR	      2
#define ABI_SEGV_BNDERR	      3
#define ABI_SEGV_PKUERR	      4
#define ABI_BUS_ADRALN	      1
#define ABI_BUS_ADRERR	      2
#define ABI_BUS_OBJERR	      3
#define ABI_BUS_MCEERR_AR     4
#define ABI_BUS_MCEERR_AO     5
#define ABI_TRAP_BRKPT	      1
#define ABI_TRAP_TRACE	      2
#define ABI_TRAP_BRANCH	      3
#define ABI_TRAP_HWBKPT	      4
#define ABI_SYS_SECCOMP	      1
#define ABI_SYS_USER_DISPATCH 2

/* si_code of SIGCHLD */
#define ABI_CLD_EXITED	  1
#define ABI_CLD_KILLED	  2
#define ABI_CLD_DUMPED	  3
#define ABI_CLD_TRAPPED	  4
#define ABI_CLD_STOPPED	  5
#define ABI_CLD_CONTINUED 6

/* si_code of SIGIO */
#define ABI_POLL_IN  1
#define ABI_POLL_OUT 2
#define ABI_POLL_MSG 3
#define ABI_POLL_ERR 4
#define ABI_POLL_PRI 5
#define ABI_POLL_HUP 6

struct abi_siginfo {
	int32_t signo;
	int32_t err; /* si_errno, which is a macro of the host's */
	int32_t code;
	int32_t pad0;
	union {
		uint8_t pad[112];
		struct { /* SI_USER, SI_TKILL */
			int32_t pid;
			uint32_t uid;
		} kill;
		struct {	     /* SI_TIMER */
			int32_t tid; /* of the timer */
			int32_t overrun;
			uint64_t value;
			int32_t sys_private;
		} timer;
		struct { /* SI_QUEUE, SI_MESGQ */
			int32_t pid;
			uint32_t uid;
			uint64_t value;
		} rt;
		struct { /* SIGCHLD */
			int32_t pid;
			uint32_t uid;
			int32_t status;
			int32_t pad;
			int64_t utime;
			int64_t stime;
		} chld;
		struct { /* SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP */
			uint64_t addr;
			int16_t addr_lsb; /* BUS_MCEERR_* */
			int16_t pad[3];
			uint64_t lower; /* SEGV_BNDERR; pkey for SEGV_PKUERR */
			uint64_t upper;
		} fault;
		struct { /* SIGIO */
			int64_t band;
			int32_t fd;
		} poll;
		struct { /* SIGSYS */
			uint64_t call_addr;
			int32_t nr;
			uint32_t arch;
		} sys;
	};
};
ABI_SIZE(struct abi_siginfo, 128);

/* The registers in a signal frame. */
struct abi_sigcontext {
	uint64_t r8;
	uint64_t r9;
	uint64_t r10;
	uint64_t r11;
	uint64_t r12;
	uint64_t r13;
	uint64_t r14;
	uint64_t r15;
	uint64_t di;
	uint64_t si;
	uint64_t bp;
	uint64_t bx;
	uint64_t dx;
	uint64_t ax;
	uint64_t cx;
	uint64_t sp;
	uint64_t ip;
	uint64_t flags;
	uint16_t cs;
	uint16_t gs;
	uint16_t fs;
	uint16_t ss;
	uint64_t err;
	uint64_t trapno;
	uint64_t oldmask;
	uint64_t cr2;
	uint64_t fpstate; /* guest address of the xsave area, 64-byte aligned; 0: none */
	uint64_t reserved[8];
};
ABI_SIZE(struct abi_sigcontext, 256);

#define ABI_UC_FP_XSTATE	 0x1 /* uc_flags: fpstate has the xsave form */
#define ABI_UC_SIGCONTEXT_SS	 0x2
#define ABI_UC_STRICT_RESTORE_SS 0x4

struct abi_ucontext {
	uint64_t flags;
	uint64_t link;
	struct abi_stack stack;
	struct abi_sigcontext mcontext;
	abi_sigset_t sigmask; /* last, so that it can grow */
};
ABI_SIZE(struct abi_ucontext, 304);

/*
 * What sp points at when a handler begins (so that sp + 8 is 16-byte aligned). The xsave area is
 * above it on the stack.
 */
struct abi_rt_sigframe {
	uint64_t pretcode; /* the return address: sa_restorer */
	struct abi_ucontext uc;
	struct abi_siginfo info;
};
ABI_SIZE(struct abi_rt_sigframe, 440);

/* The software-reserved bytes 464..511 of the legacy area, when it is followed by xsave state. */
struct abi_fpx_sw_bytes {
	uint32_t magic1;	/* ABI_FP_XSTATE_MAGIC1 */
	uint32_t extended_size; /* whole area with magic2 */
	uint64_t xfeatures;
	uint32_t xstate_size; /* without magic2 */
	uint32_t padding[7];
};
ABI_SIZE(struct abi_fpx_sw_bytes, 48);
#define ABI_XFEATURE_PKRU	  0x200u
#define ABI_FP_XSTATE_MAGIC1	  0x46505853u
#define ABI_FP_XSTATE_MAGIC2	  0x46505845u /* the word after the xsave area */
#define ABI_FP_XSTATE_MAGIC2_SIZE 4
#define ABI_FPX_SW_OFFSET	  464
#define ABI_FXSAVE_SIZE		  512

/* Where the notification of a timer, of mq_notify or of aio goes. */
#define ABI_SIGEV_SIGNAL    0
#define ABI_SIGEV_NONE	    1
#define ABI_SIGEV_THREAD    2
#define ABI_SIGEV_THREAD_ID 4

struct abi_sigevent {
	uint64_t value;
	int32_t signo;
	int32_t notify;
	int32_t tid; /* SIGEV_THREAD_ID */
	int32_t pad[11];
};
ABI_SIZE(struct abi_sigevent, 64);

/* What a read of a signalfd brings. */
struct abi_signalfd_siginfo {
	uint32_t signo;
	int32_t err;
	int32_t code;
	uint32_t pid;
	uint32_t uid;
	int32_t fd;
	uint32_t tid;
	uint32_t band;
	uint32_t overrun;
	uint32_t trapno;
	int32_t status;
	int32_t value_int;
	uint64_t value_ptr;
	uint64_t utime;
	uint64_t stime;
	uint64_t addr;
	uint16_t addr_lsb;
	uint16_t pad2;
	int32_t syscall_nr;
	uint64_t call_addr;
	uint32_t arch;
	uint8_t pad[28];
};
ABI_SIZE(struct abi_signalfd_siginfo, 128);

#endif
