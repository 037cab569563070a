/* SPDX-License-Identifier: Apache-2.0 */
/* The private calls between the guest programs of test_platform and their tiny sentry. */
#ifndef TESTS_UNIT_GUEST_H
#define TESTS_UNIT_GUEST_H

#define GUEST_BASE	 0x400000ul
#define GUEST_SIZE	 0x80000ul /* image, zero-filled behind it */
#define GUEST_STACK	 0x10000000ul
#define GUEST_STACK_SIZE 0x100000ul
#define GUEST_SCRATCH	 0x20000000ul

/* Linux's clone, which stubs know: (GUEST_CLONE_THREAD, fn, arg, stack top, enum guest_clone) */
#define G_CLONE		   56
#define GUEST_CLONE_THREAD 0x10000

/* The reply that orders the clone does something besides. */
enum guest_clone {
	GC_PLAIN,
	GC_MAPS,  /* mprotect of SCRATCH, which may fail and doesn't */
	GC_FAILS, /* ... and fails */
};

enum guest_call {
	G_FIRST = 480,
	G_DONE = G_FIRST, /* (value): ends this guest process with a result */
	G_NOP,		  /* (x): x + 1 */
	G_IN,		  /* (buf, size): sum of the bytes */
	G_OUT,		  /* (buf, size, n): n bytes 'a' + i % 26 */
	G_STR,		  /* (s): its length as the sentry sees it */
	G_FORK,		  /* like fork */
	G_VFORK,	  /* (fn, arg, stack top): the parent goes on when the child is gone */
	G_WAIT,		  /* (n): until n children (processes or threads) of this one are gone */
	G_EXIT,		  /* ends this thread */
	G_MMAP,		  /* (addr, size, prot) */
	G_MUNMAP,	  /* (addr, size) */
	G_MPROTECT,	  /* (addr, size, prot) */
	G_MMAP_FD,	  /* (addr, size): a file whose bytes are 'f' */
	G_MREMAP,	  /* (addr, size, new addr, new size) */
	G_VDSO,		  /* (addr) */
	G_HANDLER,	  /* (fn, restorer): for faults and kicks of this process */
	G_SIGRETURN,	  /* rsp points at the ucontext */
	G_ATOMIC,	  /* (va, op, operand, expected): the old value, or -errno */
	G_KICK_ME,	  /* a kick is given before the reply */
	G_SELF,		  /* this guest's number */
	G_RESTART,	  /* made again once, then 7 */
	G_KICK,		  /* another thread of the sentry kicks the caller soon */
	G_ANSWERS,	  /* (value, valid): of getpid, getsid(0) (value + 1), sched_yield (0) */
	G_SLOW_IN,	  /* like G_IN, but never through a window */
	G_EXEC,		  /* (program, arg, arg2, where the vDSO is or 0): in place */
	G_LEASE,	  /* (enum guest_lease): of a file of 8192 bytes 'l', as descriptor 7 */
	G_LAST = 511,
};

enum guest_lease {
	GL_GIVE,    /* maps it, and allows all */
	GL_TAKE,    /* allows nothing */
	GL_ALLOW,   /* all again */
	GL_ALLOWED, /* returns what it allows */
	GL_POS,	    /* returns the position */
	GL_CUT,	    /* the file has 4096 bytes now, of which nobody is told */
	GL_UNMAP,
};

#define P_FASTLY 0x1000 /* added to a program: its call sites are as rewritten ones */

/* Programs: the first argument of the entry. */
enum guest_program {
	P_CALLS,
	P_WINDOWS,
	P_MEMORY,
	P_FAULT,
	P_SIGNAL,
	P_FP,
	P_KICK,
	P_FORK,
	P_FORKS,   /* (count) */
	P_THREADS, /* (count) */
	P_AGAIN,   /* (count, enum guest_clone): threads one after the other */
	P_FORK_IN_THREAD,
	P_VFORK,
	P_VFORK_READS,
	P_VFORK_CALLS, /* (call): a vfork child makes that call, and if it goes on, no other */
	P_ATOMIC,
	P_FS,
	P_VDSO,
	P_BENCH,      /* (count) */
	P_BENCH_MMAP, /* (count, 1: of a file) */
	P_SPIN,
	P_VSYSCALL,
	P_FAST_REGS,
	P_GS,
	P_KICKED,  /* (rounds of each thread) */
	P_EXEC,	   /* (next program, its argument): leaves marks where it may */
	P_INSPECT, /* looks for marks */
	P_EXECS,   /* (count): execs itself so often */
	P_ANSWERS,
	P_LEASES,
	P_BENCH_ANSWER, /* (count) */
	P_PING_PONG,	/* (rounds): two threads, private futexes */
	/* hostile */
	P_GARBAGE,	 /* (1: from another thread, all the time) */
	P_STUB_SYSCALLS, /* (number of the call, the instruction's address) */
	P_UNMAP_STUB,	 /* (a syscall instruction's address) */
	P_BELLS,	 /* (a syscall instruction's address) */
	P_INT80,
	P_EXEC_LEAVER, /* (a syscall instruction's address, next program): maps where the sentry
			  knows nothing of it */
	P_JUMP,	  /* (an address of the stub's text, gs: 0 as it was, 1 unmapped, 2 another's) */
	P_LIE,	  /* (a syscall instruction's address, what kind of lie) */
	P_UNDEAD, /* (a syscall instruction's address): rings again when it has ended */
};

#endif
