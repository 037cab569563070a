/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of the ptrace platform share. Guards as in platform/internal.h; [L] is the tracer:
 * the one thread that calls platform_next.
 */
#ifndef PLATFORM_PTRACE_TRACER_H
#define PLATFORM_PTRACE_TRACER_H

#include <sys/user.h>

#include "platform/internal.h"

#define RANK_PLATFORM_WORK 90

enum tracee_phase {
	TRACEE_STRANGER, /* stopped, or gone, before we know which clone made it */
	TRACEE_BORN,	 /* known; its initial stop is still to come */
	TRACEE_BIRTH,	 /* runs in the stub, up to its first stop there */
	TRACEE_GUEST,	 /* runs guest code under PTRACE_SYSEMU */
	TRACEE_CALL,	 /* stopped at a call of the guest: PEV_CALL */
	TRACEE_HELD,	 /* stopped in guest code, PEV_KICKED to be delivered */
	TRACEE_KICKED,	 /* the same, delivered */
	TRACEE_ENTER,	 /* a signal is on its way that makes it enter the stub */
	TRACEE_STUB,	 /* runs in the stub, under PTRACE_CONT */
	TRACEE_SOCKET,	 /* stopped in the stub, waits for its turn at the socket */
	TRACEE_RECEIVE,	 /* in the recvmsg that it was let into */
	TRACEE_BELL,	 /* stopped in the stub: an event from the channel */
};

/* How a reply is carried out. */
enum tracee_reply {
	REPLY_RESULT,	 /* rax is all that changes */
	REPLY_REGISTERS, /* so do others, or it must enter the stub */
	REPLY_ENTER,	 /* the stub does it: the thread is made to enter it */
	REPLY_STUB,	 /* the stub does it, where the thread is already */
};

struct tracee {
	pid_t tid;		   /* [I] */
	pid_t pid;		   /* [L] of its process, once that is known */
	struct platform_thread *t; /* [L] NULL: a stranger, or the sentry has no use for it */
	enum tracee_phase phase;   /* [L]; stays while the thread is STOPPED */
	bool stopped;		   /* [L] a stranger's initial stop has come */
	bool gone;		   /* [L] a stranger that is dead */
	bool kick;		   /* [L] PEV_KICKED is due */
	bool in_birth;		   /* [L] of SOCKET and RECEIVE: it came from BIRTH */
	int enter_signal;	   /* [L] of ENTER */
	uint64_t order;		   /* [L] of the clone it is in, or that may have made it */
	struct list clone_link;	   /* [L] in tracer.cloning */
	struct list link;	   /* [L] in held, at_socket or strangers */

	struct user_regs_struct regs; /* [o] in CALL, HELD and KICKED: the guest's */
	enum tracee_reply reply;      /* [o], then [L] */
	int *fds;		      /* [o], then [L] to be handed in; owned */
	uint32_t fd_count;

	struct list work_link; /* [w] in tracer.work */
	bool replied, kicked;  /* [w] what there is to do */
};

/* What a wait has told. */
struct stop {
	pid_t tid;
	int status;
};

/* platform.state */
struct tracer {
	int socket, stub_socket; /* [I] ours and the one that all stubs share */
	pid_t zygote_pid;	 /* [I] */
	bool attached;		 /* [L] */
	pthread_t thread;	 /* [L] written once, before `running` */
	pid_t tid;		 /* the same */
	atomic_bool running;	 /* [a] there is a tracer */
	atomic_int woken;	 /* [a] the wait is to end, or to be left out */
	atomic_bool has_work;	 /* [a] */
	struct list kills;	 /* [p] host_process.kill_link */

	struct mutex work_lock;
	struct list work; /* [w] tracees that other threads want something done to */

	struct idmap tracees;	  /* [L] by tid */
	uint32_t tracee_count;	  /* [L] */
	struct list held;	  /* [L] tracees in HELD */
	struct list cloning;	  /* [L] tracees in a clone, in their order */
	struct list strangers;	  /* [L] */
	uint64_t clone_order;	  /* [L] of the last clone that was let through */
	struct tracee *receiving; /* [L] whose message lies in the socket */
	struct list at_socket;	  /* [L] who wait for that */

	struct stop *fifo; /* [L] stops that were collected ahead */
	uint32_t fifo_size, fifo_next, fifo_count;
	uint32_t waits; /* [L] since stops were collected */
	bool crowded;	/* [L] and then there were some */
};

static inline struct tracer *tracer_of(const struct platform *p)
{
	return p->state;
}

/* tracer.c */
int tracer_receive(struct platform *p, struct platform_event *ret_event);
bool on_tracer(const struct tracer *x);
/* Lets a stopped tracee go on, by a PTRACE_ request of that kind. It may be dead. */
void tracee_resume(const struct tracee *e, int how, int sig);
/* Back to guest code, from a stop that is not the stub's; its registers are written. */
void tracee_to_guest(struct tracee *e);
/* PEV_KICKED as soon as the thread is, or would be, in guest code. */
void tracee_kick(struct tracee *e);
/* Its process has broken the rules. */
void tracee_punish(const struct tracee *e, const char *why);
struct tracee *tracee_new(struct tracer *x, pid_t tid, enum tracee_phase phase);
/* The host thread is gone; frees it. */
void tracee_gone(struct platform *p, struct tracee *e);
/* A host thread or process has been reaped, perhaps none of ours. */
void tracer_ended(struct platform *p, pid_t tid);

/* reply.c */
int tracer_reply(struct platform_thread *t, const struct platform_reply *r);
void tracee_apply(struct tracer *x, struct tracee *e);
/* Makes a thread that is stopped in guest code enter the stub's handler by this signal. */
void tracee_enter(struct tracee *e, int sig);
void tracee_close_fds(struct tracee *e);
void regs_from_host(const struct user_regs_struct *u, struct platform_regs *r);

/* clones.c: who is whose child. */
void clone_let_through(struct tracer *x, struct tracee *e);
/* The tracee is not in a clone any more. */
void clone_over(struct tracer *x, struct tracee *e);
/* The host says that e's clone has made tid. */
void clone_made(struct platform *p, struct tracee *e, pid_t tid);
/* What is the clone's child that e was ordered to make and never made? ev: what it did instead. */
void clone_settle_locked(struct platform_thread *t, const struct platform_event *ev);
/* A tid that nobody knows has stopped (or died). */
void stranger_stopped(struct tracer *x, pid_t tid);
void stranger_died(struct tracer *x, pid_t tid);
/* Gives a tracee the thread that it is, which has its host ids. Caller holds p->lock. */
void tracee_attach_locked(struct tracee *e, struct platform_thread *t);

/* socket.c: handing in descriptors. */
void socket_ask(struct tracer *x, struct tracee *e);
/* recvmsg is over, or its caller is gone. */
void socket_done(struct tracer *x, struct tracee *e);

/* wait.c */
int tracer_signal_setup(void);
/* wait4(-1) by the tracer. -EINTR after tracer_wake, whenever that was since the last -EINTR. */
pid_t tracer_wait(struct tracer *x, int *ret_status);
void tracer_wake(struct platform *p);

/* boot.c */
int tracer_boot(struct platform *p, const struct platform_config *config, struct platform_thread *z,
		const char **ret_why);
/* By the tracer, once. Negative errno. */
int tracer_attach(struct platform *p);
void tracer_stop(struct platform *p);
void tracer_release(struct platform *p);

#endif
