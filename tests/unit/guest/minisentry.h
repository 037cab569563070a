/* SPDX-License-Identifier: Apache-2.0 */
/* A tiny sentry: just enough to run the guest programs of guest.c on the platform. */
#ifndef TESTS_UNIT_MINISENTRY_H
#define TESTS_UNIT_MINISENTRY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "platform/platform.h"
#include "tests/unit/guest/guest.h"

struct guest {
	struct platform_thread *pt;
	uint32_t number;
	struct guest *parent;
	bool vfork_parent_waits; /* [m] the parent goes on when this one is gone */
	bool vfork_reported;	 /* [m] this one's vfork is done, it waits for the child */
	long vfork_child_gone;	 /* [m] its number */
	bool is_thread;
	bool cleared; /* began anew in place */
	bool done;    /* said G_DONE */
	long result;
	bool killed_by_host;
	uint32_t dead_children, wait_for; /* [m] */
	bool waiting;			  /* [m] */
	bool in_handler, restarted;
	uint64_t handler, restorer;
	struct platform_event ev;   /* the one not yet replied to */
	struct platform_regs start; /* what a thread begins with */
	long program, arg, arg2;
	struct guest *clone_child; /* ordered last */
	long answer;		   /* given by G_ANSWERS, for call 39 */
};

/* The platform to be tested: a file that includes another test defines this first. */
#ifndef TEST_PLATFORM
#define TEST_PLATFORM "notify"
#endif

struct mini {
	struct platform *p;
	uint32_t alive; /* [m] guests that are not dead */
	uint32_t next_number;
	struct guest *guests[4096]; /* by number % 4096, for G_KICK */
	long result;		    /* first result of a process that isn't 0 */
	uint32_t host_kills;	    /* deaths nobody asked for */
	uint32_t deaths;
	uint32_t sites_told;
	atomic_uint interrupted_waits; /* waits in the host that kicks ended */
	atomic_uint kicks;	       /* PEV_KICKED of all guests */
	bool broken;
	/* If set, called before a call is served, and with 0 before a thread begins. */
	void (*at_call)(struct guest *g, uint64_t nr);
	bool killing; /* its time is over: who is being killed can be found dead at any step */
};

/* without: FEATURE_BIT()s. Fails the test if the platform can't be made. */
void mini_start(struct mini *m, uint32_t spares, uint64_t without);
/* FEATURE_BIT()s that the next mini_start forces. */
extern uint64_t mini_force;
/* The platform of the next mini_start. */
extern const char *mini_platform;
void mini_stop(struct mini *m);
/* A fresh process that runs a program. The guest is freed when it is dead. */
struct guest *mini_spawn(struct mini *m, long program, long arg, long arg2);
/* Runs until no guest is left. */
void mini_run(struct mini *m);
/* Runs until no guest is left or so much time has passed; false in the latter case. */
bool mini_run_for(struct mini *m, uint32_t ms);
/* Runs for a while, then kills who is left, again and again, until nobody is. */
void mini_run_and_kill(struct mini *m, uint32_t ms);
/* Kicks everybody (from another thread than the one that runs); how many. */
uint32_t mini_kick_all(struct mini *m);
/* One event; false on interrupt, and one may be left over from a guest that ended before. */
bool mini_step(struct mini *m);
/* One event, whatever interrupts. */
void mini_event(struct mini *m);
uint64_t mini_now_ns(void);

#endif
