/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a thread may keep by itself: its signal mask, its robust list, the word that is cleared at
 * its end. Masks that change while signals are on their way lose none of them.
 */
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "compat.h"

#define ROUNDS 200
#define FLIPS  8

static atomic_int caught, awaited;
static atomic_bool ready;
static pid_t target; /* a thread, or 0: the process */

static void count(int signo)
{
	(void)signo;
	atomic_fetch_add(&caught, 1);
}

static void install(void (*handler)(int))
{
	struct sigaction sa = {.sa_handler = handler};

	OK(sigaction(SIGUSR1, &sa, NULL));
}

static sigset_t only(int signo)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signo);
	return set;
}

static void send(void)
{
	if (target)
		OK(syscall(SYS_tgkill, getpid(), target, SIGUSR1));
	else
		OK(kill(getpid(), SIGUSR1));
}

/* Takes no signal itself. A round's signal is sent at any moment of the round's flips. */
static void *sender(void *arg)
{
	sigset_t set = only(SIGUSR1);

	(void)arg;
	EQ(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
	atomic_store(&ready, true);
	for (int i = 0; i < ROUNDS; i++) {
		while (atomic_load(&awaited) <= i)
			sched_yield();
		for (volatile int spin = 0; spin < i % 64 * 16; spin++)
			;
		send();
	}
	return NULL;
}

static void flip(void)
{
	sigset_t set = only(SIGUSR1);

	for (int i = 0; i < FLIPS; i++) {
		OK(sigprocmask(SIG_BLOCK, &set, NULL));
		OK(sigprocmask(SIG_UNBLOCK, &set, NULL));
	}
}

/* A signal that is forgotten is waited for until the watchdog comes: nothing here asks for it. */
static void none_is_lost(pid_t to, void (*in_between)(void))
{
	pthread_t thread;

	target = to;
	install(count);
	EQ(pthread_create(&thread, NULL, sender, NULL), 0);
	while (!atomic_load(&ready))
		sched_yield();
	for (int i = 0; i < ROUNDS; i++) {
		atomic_store(&awaited, i + 1);
		if (in_between)
			in_between();
		while (atomic_load(&caught) <= i)
			sched_yield();
	}
	EQ(pthread_join(thread, NULL), 0);
	EQ(atomic_load(&caught), ROUNDS);
}

TEST(flips_lose_no_signal_to_the_thread)
{
	none_is_lost(gettid(), flip);
}

TEST(flips_lose_no_signal_to_the_process)
{
	none_is_lost(0, flip);
}

/* The next signal is sent while the handler of the last one is on its way out. */
TEST(returns_lose_no_signal)
{
	none_is_lost(gettid(), NULL);
}

/* A signal that one thread blocks goes to the other, whichever that is just then. */
static void *flipper(void *arg)
{
	while (atomic_load(&caught) < ROUNDS) {
		flip();
		sched_yield(); /* four threads, two of which would use up their time */
	}
	return arg;
}

TEST(either_of_two_takes_it)
{
	pthread_t threads[2], other;

	target = 0;
	install(count);
	EQ(pthread_create(&other, NULL, sender, NULL), 0);
	while (!atomic_load(&ready))
		sched_yield();
	for (int i = 0; i < 2; i++)
		EQ(pthread_create(&threads[i], NULL, flipper, NULL), 0);
	{
		sigset_t set = only(SIGUSR1);

		EQ(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
	}
	for (int i = 0; i < ROUNDS; i++) {
		atomic_store(&awaited, i + 1);
		while (atomic_load(&caught) <= i)
			sched_yield();
	}
	EQ(pthread_join(other, NULL), 0);
	for (int i = 0; i < 2; i++)
		EQ(pthread_join(threads[i], NULL), 0);
}

/* ---- rt_sigprocmask itself ---- */

static long raw(int how, const void *set, void *old, size_t size)
{
	return syscall(SYS_rt_sigprocmask, how, set, old, size);
}

TEST(arguments)
{
	uint64_t usr1 = 1ull << (SIGUSR1 - 1), usr2 = 1ull << (SIGUSR2 - 1), old = 1, all = ~0ull;
	void *nowhere = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(nowhere != MAP_FAILED);
	OK(raw(SIG_SETMASK, &usr1, NULL, 8));
	OK(raw(SIG_BLOCK, &usr2, &old, 8));
	EQ(old, usr1);
	OK(raw(SIG_UNBLOCK, &usr1, &old, 8));
	EQ(old, usr1 | usr2);
	OK(raw(77, NULL, &old, 8)); /* how means nothing without a set */
	EQ(old, usr2);
	FAILS(raw(77, &usr1, NULL, 8), EINVAL);
	FAILS(raw(SIG_BLOCK, &usr1, NULL, 4), EINVAL);
	FAILS(raw(SIG_BLOCK, nowhere, NULL, 8), EFAULT);
	FAILS(raw(SIG_BLOCK, (void *)0xffff800000000000, NULL, 8), EFAULT);
	OK(raw(SIG_BLOCK, NULL, &old, 8));
	EQ(old, usr2);
	old = usr1;
	OK(raw(SIG_SETMASK, &old, &old, 8)); /* in and out at the same place */
	EQ(old, usr2);
	FAILS(raw(SIG_SETMASK, &usr2, nowhere, 8), EFAULT); /* done nevertheless */
	OK(raw(SIG_SETMASK, &all, &old, 8));
	EQ(old, usr2);
	OK(raw(SIG_BLOCK, NULL, &old, 8));
	EQ(old, ~(1ull << (SIGKILL - 1) | 1ull << (SIGSTOP - 1)));
}

static uint64_t status_mask(pid_t tid)
{
	char path[64], line[256];
	unsigned long long mask = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/status", tid);
	f = fopen(path, "r");
	CHECK(f);
	while (fgets(line, sizeof(line), f))
		sscanf(line, "SigBlk: %llx", &mask);
	fclose(f);
	return mask;
}

static atomic_int other_tid;
static atomic_bool over;

static void *spins_with_usr2_blocked(void *arg)
{
	sigset_t set = only(SIGUSR2);

	EQ(pthread_sigmask(SIG_SETMASK, &set, NULL), 0);
	atomic_store(&other_tid, gettid());
	while (!atomic_load(&over))
		;
	return arg;
}

TEST(others_see_the_mask)
{
	sigset_t set = only(SIGHUP);
	pthread_t thread;

	OK(sigprocmask(SIG_SETMASK, &set, NULL));
	EQ(status_mask(gettid()), 1ull << (SIGHUP - 1));
	EQ(pthread_create(&thread, NULL, spins_with_usr2_blocked, NULL), 0);
	while (!atomic_load(&other_tid))
		sched_yield();
	EQ(status_mask(atomic_load(&other_tid)), 1ull << (SIGUSR2 - 1));
	atomic_store(&over, true);
	EQ(pthread_join(thread, NULL), 0);
}

static uint64_t mask_now(void)
{
	uint64_t mask = 0;

	OK(raw(SIG_BLOCK, NULL, &mask, 8));
	return mask;
}

TEST(children_inherit_the_mask)
{
	sigset_t set = only(SIGWINCH);
	int status;
	pid_t pid;

	OK(sigprocmask(SIG_SETMASK, &set, NULL));
	pid = OK(fork());
	if (!pid)
		_exit(mask_now() == 1ull << (SIGWINCH - 1) ? 0 : 1);
	EQ(waitpid(pid, &status, 0), pid);
	EQ(status, 0);
}

static uint64_t mask_in_handler;

static void look(int signo)
{
	(void)signo;
	mask_in_handler = mask_now();
}

TEST(handlers_have_their_mask)
{
	sigset_t set = only(SIGHUP);

	install(look);
	OK(sigprocmask(SIG_SETMASK, &set, NULL));
	for (int i = 0; i < 100; i++) {
		OK(raise(SIGUSR1));
		EQ(mask_in_handler, 1ull << (SIGHUP - 1) | 1ull << (SIGUSR1 - 1));
		EQ(mask_now(), 1ull << (SIGHUP - 1));
	}
}

/* ---- what is looked at when a thread ends ---- */

TEST(robust_list_and_tid_address)
{
	static struct robust_list_head head;
	static int word;
	struct robust_list_head *got = NULL;
	int *got_word = NULL;
	size_t size = 0;

	head.list.next = &head.list;
	OK(syscall(SYS_set_robust_list, &head, sizeof(head)));
	FAILS(syscall(SYS_set_robust_list, &head, sizeof(head) - 1), EINVAL);
	OK(syscall(SYS_get_robust_list, 0, &got, &size));
	CHECK(got == &head);
	EQ(size, sizeof(head));
	EQ(syscall(SYS_set_tid_address, &word), gettid());
	OK(prctl(PR_GET_TID_ADDRESS, &got_word, 0, 0, 0));
	CHECK(got_word == &word);
}
