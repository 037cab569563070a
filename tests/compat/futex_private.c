/* SPDX-License-Identifier: Apache-2.0 */
/* Futexes among the threads of one process (FUTEX_PRIVATE_FLAG), and what ends a wait. */
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#include "compat.h"

#define P FUTEX_PRIVATE_FLAG

static long futex(void *word, int op, long val, const void *timeout, void *word2, long val3)
{
	return syscall(SYS_futex, word, op, val, timeout, word2, val3);
}

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ll + ts.tv_nsec / 1000000;
}

struct waiter {
	pthread_t thread;
	int *word;
	int op;
	int bitset;
	struct timespec *timeout;
	long ret;
	int err;
	atomic_int tid;
	atomic_int done;
};

static void *wait_main(void *arg)
{
	struct waiter *w = arg;

	atomic_store(&w->tid, gettid());
	w->ret = futex(w->word, w->op, 0, w->timeout, NULL, w->bitset);
	w->err = w->ret < 0 ? errno : 0;
	atomic_store(&w->done, 1);
	return NULL;
}

static void start(struct waiter *w, int *word, int op, int bitset)
{
	*w = (struct waiter){.word = word, .op = op, .bitset = bitset};
	EQ(pthread_create(&w->thread, NULL, wait_main, w), 0);
}

static void finish(struct waiter *w, long ret, int err)
{
	EQ(pthread_join(w->thread, NULL), 0);
	EQ(w->ret, ret);
	EQ(w->err, err);
}

/* Until so many wait on the word: they are moved onto it from itself, which counts them. */
static void until_waiting(int *word, int count)
{
	int other[2] = {0, 0};

	for (;;) {
		OK(futex(word, FUTEX_CMP_REQUEUE | P, 0, (void *)100, other, *word));
		if (OK(futex(other, FUTEX_CMP_REQUEUE | P, 0, (void *)100, word, 0)) == count)
			return;
		sched_yield();
	}
}

TEST(wakes_as_many_as_asked)
{
	struct waiter w[5];
	int word = 0, done = 0;

	for (int i = 0; i < 5; i++)
		start(&w[i], &word, FUTEX_WAIT | P, 0);
	until_waiting(&word, 5);
	EQ(futex(&word, FUTEX_WAKE | P, 2, NULL, NULL, 0), 2);
	while (done < 2) {
		done = 0;
		for (int i = 0; i < 5; i++)
			done += atomic_load(&w[i].done);
		sched_yield();
	}
	EQ(futex(&word, FUTEX_WAKE | P, 100, NULL, NULL, 0), 3);
	for (int i = 0; i < 5; i++)
		finish(&w[i], 0, 0);
	EQ(futex(&word, FUTEX_WAKE | P, 100, NULL, NULL, 0), 0);
}

TEST(bitsets)
{
	struct waiter w[2];
	int word = 0;

	start(&w[0], &word, FUTEX_WAIT_BITSET | P, 1);
	start(&w[1], &word, FUTEX_WAIT_BITSET | P, 6);
	until_waiting(&word, 2);
	EQ(futex(&word, FUTEX_WAKE_BITSET | P, 100, NULL, NULL, 8), 0);
	EQ(futex(&word, FUTEX_WAKE_BITSET | P, 100, NULL, NULL, 4), 1);
	finish(&w[1], 0, 0);
	EQ(futex(&word, FUTEX_WAKE | P, 100, NULL, NULL, 0), 1);
	finish(&w[0], 0, 0);
	FAILS(futex(&word, FUTEX_WAKE_BITSET | P, 1, NULL, NULL, 0), EINVAL);
	FAILS(futex(&word, FUTEX_WAIT_BITSET | P, 0, NULL, NULL, 0), EINVAL);
}

TEST(requeue)
{
	struct waiter w[4];
	int word = 0, other = 0;

	for (int i = 0; i < 4; i++)
		start(&w[i], &word, FUTEX_WAIT | P, 0);
	until_waiting(&word, 4);
	FAILS(futex(&word, FUTEX_CMP_REQUEUE | P, 1, (void *)9, &other, 7), EAGAIN);
	EQ(futex(&word, FUTEX_CMP_REQUEUE | P, 1, (void *)1, &other, 0), 2);
	EQ(futex(&word, FUTEX_REQUEUE | P, 1, (void *)9, &other, 0), 2);
	EQ(futex(&word, FUTEX_WAKE | P, 9, NULL, NULL, 0), 0);
	EQ(futex(&other, FUTEX_WAKE | P, 9, NULL, NULL, 0), 2);
	for (int i = 0; i < 4; i++)
		finish(&w[i], 0, 0);
}

TEST(wake_op)
{
	struct waiter w[2];
	int word = 0, other = 0;

	start(&w[0], &word, FUTEX_WAIT | P, 0);
	start(&w[1], &other, FUTEX_WAIT | P, 0);
	until_waiting(&word, 1);
	until_waiting(&other, 1);
	EQ(futex(&word, FUTEX_WAKE_OP | P, 9, (void *)9, &other,
		 FUTEX_OP(FUTEX_OP_ADD, 5, FUTEX_OP_CMP_EQ, 3)),
	   1);
	EQ(other, 5);
	EQ(futex(&word, FUTEX_WAKE_OP | P, 9, (void *)9, &other,
		 FUTEX_OP(FUTEX_OP_SET, 1, FUTEX_OP_CMP_EQ, 5)),
	   1);
	EQ(other, 1);
	finish(&w[0], 0, 0);
	finish(&w[1], 0, 0);
	FAILS(futex(&word, FUTEX_WAKE_OP | P, 1, (void *)1, (void *)8,
		    FUTEX_OP(FUTEX_OP_SET, 0, FUTEX_OP_CMP_EQ, 0)),
	      EFAULT);
}

/* The keys of private and shared waits differ, also for memory that nobody else has. */
TEST(shared_and_private_do_not_meet)
{
	struct waiter w;
	int word = 0;

	start(&w, &word, FUTEX_WAIT, 0);
	while (futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0) == 0)
		EQ(futex(&word, FUTEX_WAKE | P, 1, NULL, NULL, 0), 0);
	finish(&w, 0, 0);
	start(&w, &word, FUTEX_WAIT | P, 0);
	until_waiting(&word, 1);
	EQ(futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0), 0);
	EQ(futex(&word, FUTEX_WAKE | P, 1, NULL, NULL, 0), 1);
	finish(&w, 0, 0);
}

TEST(bad_arguments)
{
	struct timespec bad = {0, 1000000000}, before = {-1, 0}, soon = {0, 1000000};
	int word = 0;

	FAILS(futex(&word, FUTEX_WAIT | P, 1, NULL, NULL, 0), EAGAIN);
	FAILS(futex((char *)&word + 1, FUTEX_WAIT | P, 0, NULL, NULL, 0), EINVAL);
	FAILS(futex((void *)8, FUTEX_WAIT | P, 0, NULL, NULL, 0), EFAULT);
	FAILS(futex((void *)0x7ffff0000000, FUTEX_WAIT | P, 0, NULL, NULL, 0), EFAULT);
	FAILS(futex(&word, FUTEX_WAIT | P, 0, (void *)8, NULL, 0), EFAULT);
	FAILS(futex(&word, FUTEX_WAIT | P, 0, &bad, NULL, 0), EINVAL);
	FAILS(futex(&word, FUTEX_WAIT | P, 0, &before, NULL, 0), EINVAL);
	FAILS(futex(&word, FUTEX_WAKE | P | FUTEX_CLOCK_REALTIME, 0, NULL, NULL, 0), ENOSYS);
	FAILS(futex(&word, FUTEX_WAIT | P | FUTEX_CLOCK_REALTIME, 0, &soon, NULL, 0), ENOSYS);
	FAILS(futex(&word, FUTEX_WAIT | P | FUTEX_CLOCK_REALTIME, 1, NULL, NULL, 0), ENOSYS);
	FAILS(futex(&word, 99 | P, 0, NULL, NULL, 0), ENOSYS);
}

TEST(timeouts)
{
	struct timespec rel = {0, 20000000}, never = {INT64_MAX, 0}, abs;
	struct waiter w = {.op = FUTEX_WAIT | P, .timeout = &never};
	long long before = now_ms();
	int word = 0;

	FAILS(futex(&word, FUTEX_WAIT | P, 0, &rel, NULL, 0), ETIMEDOUT);
	CHECK(now_ms() - before >= 19);
	clock_gettime(CLOCK_MONOTONIC, &abs);
	FAILS(futex(&word, FUTEX_WAIT_BITSET | P, 0, &abs, NULL, -1), ETIMEDOUT);
	clock_gettime(CLOCK_REALTIME, &abs);
	FAILS(futex(&word, FUTEX_WAIT_BITSET | P | FUTEX_CLOCK_REALTIME, 0, &abs, NULL, -1),
	      ETIMEDOUT);
	w.word = &word;
	EQ(pthread_create(&w.thread, NULL, wait_main, &w), 0);
	until_waiting(&word, 1);
	EQ(futex(&word, FUTEX_WAKE | P, 1, NULL, NULL, 0), 1);
	finish(&w, 0, 0);
}

/* ---- signals ---- */

static atomic_int handled;

static void count(int sig)
{
	(void)sig;
	atomic_fetch_add(&handled, 1);
}

static void handle(int sig, int flags)
{
	struct sigaction sa = {.sa_handler = count, .sa_flags = flags};

	OK(sigaction(sig, &sa, NULL));
}

TEST(a_handler_ends_the_wait)
{
	struct waiter w;
	int word = 0;

	handle(SIGUSR1, 0);
	start(&w, &word, FUTEX_WAIT | P, 0);
	until_waiting(&word, 1);
	EQ(pthread_kill(w.thread, SIGUSR1), 0);
	finish(&w, -1, EINTR);
	EQ(handled, 1);
}

TEST(a_restarted_wait_goes_on)
{
	struct waiter w;
	int word = 0;

	handle(SIGUSR1, SA_RESTART);
	start(&w, &word, FUTEX_WAIT | P, 0);
	for (int i = 1; i <= 20; i++) {
		until_waiting(&word, 1);
		EQ(pthread_kill(w.thread, SIGUSR1), 0);
		while (atomic_load(&handled) < i)
			sched_yield();
	}
	until_waiting(&word, 1);
	EQ(futex(&word, FUTEX_WAKE | P, 1, NULL, NULL, 0), 1);
	finish(&w, 0, 0);
}

/* With a time, no handler is gone back from into the wait. */
TEST(a_timed_wait_is_not_restarted)
{
	struct timespec long_time = {100, 0};
	struct waiter w = {.op = FUTEX_WAIT | P, .timeout = &long_time};
	int word = 0;

	handle(SIGUSR1, SA_RESTART);
	w.word = &word;
	EQ(pthread_create(&w.thread, NULL, wait_main, &w), 0);
	until_waiting(&word, 1);
	EQ(pthread_kill(w.thread, SIGUSR1), 0);
	finish(&w, -1, EINTR);
	w.op = FUTEX_WAIT_BITSET | P;
	w.bitset = 1;
	clock_gettime(CLOCK_MONOTONIC, &long_time);
	long_time.tv_sec += 100;
	EQ(pthread_create(&w.thread, NULL, wait_main, &w), 0);
	until_waiting(&word, 1);
	EQ(pthread_kill(w.thread, SIGUSR1), 0);
	finish(&w, -1, EINTR);
}

/* One that does nothing, or is blocked, is not noticed. */
TEST(ignored_and_blocked_signals)
{
	struct waiter w;
	sigset_t usr2;
	int word = 0;

	signal(SIGUSR1, SIG_IGN);
	handle(SIGUSR2, 0);
	sigemptyset(&usr2);
	sigaddset(&usr2, SIGUSR2);
	EQ(pthread_sigmask(SIG_BLOCK, &usr2, NULL), 0);
	start(&w, &word, FUTEX_WAIT | P, 0);
	until_waiting(&word, 1);
	EQ(pthread_kill(w.thread, SIGUSR1), 0);
	EQ(pthread_kill(w.thread, SIGUSR2), 0);
	EQ(pthread_kill(w.thread, SIGWINCH), 0);
	until_waiting(&word, 1);
	EQ(futex(&word, FUTEX_WAKE | P, 1, NULL, NULL, 0), 1);
	finish(&w, 0, 0);
	EQ(handled, 0);
}

TEST(an_alarm_ends_the_wait)
{
	struct itimerspec soon = {.it_value.tv_nsec = 10000000};
	struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	timer_t timer;
	int word = 0;

	handle(SIGUSR1, 0);
	OK(timer_create(CLOCK_MONOTONIC, &ev, &timer));
	OK(timer_settime(timer, 0, &soon, NULL));
	FAILS(futex(&word, FUTEX_WAIT | P, 0, NULL, NULL, 0), EINTR);
	EQ(handled, 1);
}

static void stop_and_continue(pid_t pid)
{
	int status;

	OK(kill(pid, SIGSTOP));
	EQ(waitpid(pid, &status, WUNTRACED), pid);
	CHECK(WIFSTOPPED(status) || WIFEXITED(status));
	OK(kill(pid, SIGCONT));
}

/*
 * Stops do not end a wait, and don't prolong it: if each of them began the time anew, the wait
 * would go on for as long as there are stops.
 */
TEST(stops_during_a_timed_wait)
{
	pid_t pid = OK(fork());
	int status = 0;

	if (pid == 0) {
		struct timespec rel = {0, 200000000};
		long long before = now_ms();
		int word = 0;

		FAILS(futex(&word, FUTEX_WAIT | P, 0, &rel, NULL, 0), ETIMEDOUT);
		CHECK(now_ms() - before >= 199);
		_exit(0);
	}
	for (;;) {
		kill(pid, SIGSTOP);
		EQ(waitpid(pid, &status, WUNTRACED), pid);
		if (!WIFSTOPPED(status))
			break;
		OK(kill(pid, SIGCONT));
	}
	CHECK(WIFEXITED(status));
	EQ(WEXITSTATUS(status), 0);
}

TEST(stops_during_a_wait)
{
	int *ready =
	    OK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	pid_t pid = OK(fork());

	if (pid == 0) {
		struct waiter w;
		int word = 0;

		start(&w, &word, FUTEX_WAIT | P, 0);
		until_waiting(&word, 1);
		EQ(futex(ready, FUTEX_WAIT, 0, NULL, NULL, 0), 0);
		until_waiting(&word, 1);
		EQ(futex(&word, FUTEX_WAKE | P, 1, NULL, NULL, 0), 1);
		finish(&w, 0, 0);
		_exit(0);
	}
	for (int i = 0; i < 20; i++)
		stop_and_continue(pid);
	while (futex(ready, FUTEX_WAKE, 1, NULL, NULL, 0) == 0)
		sched_yield();
	WAIT_EXIT(pid, 0);
}

/* ---- ends ---- */

/* fork's child: so many threads that wait for ever, then something that ends them. */
static pid_t waiting_child(void (*end)(void))
{
	pid_t pid = OK(fork());
	static struct waiter w[8];
	static int word;

	if (pid)
		return pid;
	for (int i = 0; i < 8; i++)
		start(&w[i], &word, FUTEX_WAIT | P, 0);
	until_waiting(&word, 8);
	end();
	_exit(1);
}

static void end_by_exit(void)
{
	_exit(7);
}

static void end_by_signal(void)
{
	raise(SIGTERM);
}

static void end_by_exec(void)
{
	char *argv[] = {(char *)"exits", NULL};

	OK(execv("/proc/self/exe", argv));
}

__attribute__((constructor)) static void exits(int argc, char **argv)
{
	if (argc == 1 && strcmp(argv[0], "exits") == 0)
		_exit(9);
}

TEST(a_process_ends_with_its_waiters)
{
	int status;
	pid_t pid;

	WAIT_EXIT(waiting_child(end_by_exit), 7);
	WAIT_EXIT(waiting_child(end_by_exec), 9);
	pid = waiting_child(end_by_signal);
	EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	pid = waiting_child((void (*)(void))pause);
	OK(kill(pid, SIGKILL));
	EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* A vfork child has the parent's memory, so private futexes are common to both. */
TEST(a_vfork_child_wakes_the_parents_threads)
{
	static struct waiter w;
	static int word;
	pid_t pid;

	start(&w, &word, FUTEX_WAIT | P, 0);
	until_waiting(&word, 1);
	pid = vfork();
	if (pid == 0)
		_exit((int)futex(&word, FUTEX_WAKE | P, 5, NULL, NULL, 0));
	CHECK(pid > 0);
	WAIT_EXIT(pid, 1);
	finish(&w, 0, 0);
}

/* ---- younger calls ---- */

static void *waitv_main(void *arg)
{
	struct waiter *w = arg;
	struct futex_waitv wv[3] = {{0}};

	for (int i = 0; i < 3; i++) {
		wv[i].uaddr = (uintptr_t)(w->word + i);
		wv[i].flags = FUTEX_32 | P;
	}
	w->ret = syscall(SYS_futex_waitv, wv, 3, 0, NULL, 0);
	w->err = w->ret < 0 ? errno : 0;
	return NULL;
}

TEST(waitv)
{
	struct timespec past = {1, 0};
	struct futex_waitv one = {.flags = FUTEX_32 | P};
	struct waiter w = {0};
	int words[3] = {0, 0, 0};

	one.uaddr = (uintptr_t)words;
	if (syscall(SYS_futex_waitv, &one, 1, 0, &past, CLOCK_MONOTONIC) < 0 && errno == ENOSYS)
		SKIP("no futex_waitv");
	EQ(errno, ETIMEDOUT);
	w.word = words;
	EQ(pthread_create(&w.thread, NULL, waitv_main, &w), 0);
	while (futex(&words[1], FUTEX_WAKE | P, 1, NULL, NULL, 0) == 0)
		sched_yield();
	finish(&w, 1, 0);
	handle(SIGUSR1, 0);
	EQ(pthread_create(&w.thread, NULL, waitv_main, &w), 0);
	until_waiting(&words[2], 1);
	EQ(pthread_kill(w.thread, SIGUSR1), 0);
	while (futex(&words[0], FUTEX_WAKE | P, 1, NULL, NULL, 0) == 1)
		;
	EQ(pthread_join(w.thread, NULL), 0);
	CHECK(w.ret == 0 || w.err == EINTR);
	one.val = 1;
	FAILS(syscall(SYS_futex_waitv, &one, 1, 0, NULL, 0), EAGAIN);
}

#define FUTEX_WAKE2 454
#define FUTEX_WAIT2 455

static void *wait2_main(void *arg)
{
	struct waiter *w = arg;

	w->ret = syscall(FUTEX_WAIT2, w->word, 0, 2, FUTEX_32 | P, NULL, CLOCK_MONOTONIC);
	w->err = w->ret < 0 ? errno : 0;
	return NULL;
}

TEST(futex2)
{
	struct timespec past = {1, 0};
	struct waiter w = {0};
	int word = 0;

	if (syscall(FUTEX_WAKE2, &word, -1u, 1, FUTEX_32 | P) < 0 && errno == ENOSYS)
		SKIP("no futex_wake");
	FAILS(syscall(FUTEX_WAIT2, &word, 1, -1u, FUTEX_32 | P, NULL, CLOCK_MONOTONIC), EAGAIN);
	FAILS(syscall(FUTEX_WAIT2, &word, 0, -1u, FUTEX_32 | P, &past, CLOCK_MONOTONIC), ETIMEDOUT);
	FAILS(syscall(FUTEX_WAIT2, &word, 0, -1u, FUTEX_32 | P, &past, CLOCK_REALTIME), ETIMEDOUT);
	FAILS(syscall(FUTEX_WAIT2, &word, 0, 0, FUTEX_32 | P, NULL, CLOCK_MONOTONIC), EINVAL);
	w.word = &word;
	EQ(pthread_create(&w.thread, NULL, wait2_main, &w), 0);
	until_waiting(&word, 1);
	FAILS(syscall(FUTEX_WAKE2, (char *)&word + 1, 1, 0, FUTEX_32 | P), EINVAL);
	EQ(syscall(FUTEX_WAKE2, &word, 1, 1, FUTEX_32 | P), 0);
	EQ(syscall(FUTEX_WAKE2, &word, 2, 1, FUTEX_32 | P), 1);
	finish(&w, 0, 0);
}
