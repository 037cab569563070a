/* SPDX-License-Identifier: Apache-2.0 */
#include <linux/futex.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#include "compat.h"

static long futex(void *word, int op, long val, const void *timeout, void *word2, long val3)
{
	return syscall(SYS_futex, word, op, val, timeout, word2, val3);
}

static long long now_ms(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return ts.tv_sec * 1000ll + ts.tv_nsec / 1000000;
}

TEST(value_differs)
{
	int word = 1;

	FAILS(futex(&word, FUTEX_WAIT, 0, NULL, NULL, 0), EAGAIN);
	FAILS(futex(&word, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0), EAGAIN);
}

TEST(timeouts)
{
	struct timespec rel = {0, 20000000}, abs;
	long long before = now_ms(CLOCK_MONOTONIC);
	int word = 1;

	FAILS(futex(&word, FUTEX_WAIT, 1, &rel, NULL, 0), ETIMEDOUT);
	CHECK(now_ms(CLOCK_MONOTONIC) - before >= 19);
	clock_gettime(CLOCK_MONOTONIC, &abs);
	FAILS(futex(&word, FUTEX_WAIT_BITSET, 1, &abs, NULL, -1), ETIMEDOUT);
	clock_gettime(CLOCK_REALTIME, &abs);
	abs.tv_nsec += 1000000;
	if (abs.tv_nsec >= 1000000000) {
		abs.tv_sec++;
		abs.tv_nsec -= 1000000000;
	}
	FAILS(futex(&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 1, &abs, NULL, -1), ETIMEDOUT);
	rel.tv_nsec = 2000000000;
	FAILS(futex(&word, FUTEX_WAIT, 1, &rel, NULL, 0), EINVAL);
}

TEST(bad_arguments)
{
	int word[2] = {0, 0};

	FAILS(futex((char *)word + 1, FUTEX_WAIT, 0, NULL, NULL, 0), EINVAL);
	FAILS(futex((void *)8, FUTEX_WAIT, 0, NULL, NULL, 0), EFAULT);
	FAILS(futex(word, FUTEX_WAIT_BITSET, 0, NULL, NULL, 0), EINVAL);
	FAILS(futex(word, FUTEX_WAIT | FUTEX_CLOCK_REALTIME, 1, NULL, NULL, 0), ENOSYS);
	FAILS(futex(word, 99, 0, NULL, NULL, 0), ENOSYS);
	EQ(futex(word, FUTEX_WAKE, 1, NULL, NULL, 0), 0);
}

static int *shared(void)
{
	return OK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
}

/* Wakes until somebody was woken: the waiter may not be there yet. */
static void wake_until(int *word, int op)
{
	while (futex(word, op, 1, NULL, NULL, 0) == 0)
		sched_yield();
}

TEST(between_processes)
{
	int *word = shared();
	pid_t pid = OK(fork());

	if (pid == 0)
		_exit(futex(word, FUTEX_WAIT, 0, NULL, NULL, 0) == 0 ? 0 : 1);
	wake_until(word, FUTEX_WAKE);
	WAIT_EXIT(pid, 0);
}

TEST(through_a_file_at_two_addresses)
{
	int fd = OK(open("f", O_RDWR | O_CREAT, 0600));
	int *a, *b;
	pid_t pid;

	OK(ftruncate(fd, 8192));
	a = OK(mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	b = OK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 4096));
	pid = OK(fork());
	if (pid == 0)
		_exit(futex(b, FUTEX_WAIT, 0, NULL, NULL, 0) == 0 ? 0 : 1);
	wake_until(a + 1024, FUTEX_WAKE);
	WAIT_EXIT(pid, 0);
}

TEST(bitsets)
{
	int *word = shared();
	pid_t pid = OK(fork());

	if (pid == 0)
		_exit(futex(word, FUTEX_WAIT_BITSET, 0, NULL, NULL, 4) == 0 ? 0 : 1);
	while (futex(word, FUTEX_WAKE_BITSET, 1, NULL, NULL, 4 | 1) == 0)
		EQ(futex(word, FUTEX_WAKE_BITSET, 1, NULL, NULL, 3), 0);
	WAIT_EXIT(pid, 0);
}

/* Linux lets a waiter that woke for no reason wait on its first word again: so all are moved again
 * until all were woken at the second one. */
TEST(requeue)
{
	int *word = shared(), *other = word + 16;
	pid_t pid[3];
	long moved = 0, woken = 0;

	for (int i = 0; i < 3; i++) {
		pid[i] = OK(fork());
		if (pid[i] == 0)
			_exit(futex(word, FUTEX_WAIT, 0, NULL, NULL, 0) == 0 ? 0 : 1);
	}
	FAILS(futex(word, FUTEX_CMP_REQUEUE, 1, (void *)9, other, 7), EAGAIN);
	while (woken < 3) {
		moved += OK(futex(word, FUTEX_CMP_REQUEUE, 0, (void *)9, other, 0));
		if (moved >= 3)
			woken += OK(futex(other, FUTEX_WAKE, 9, NULL, NULL, 0));
	}
	EQ(woken, 3);
	EQ(futex(word, FUTEX_WAKE, 9, NULL, NULL, 0), 0);
	for (int i = 0; i < 3; i++)
		WAIT_EXIT(pid[i], 0);
}

TEST(wake_op)
{
	int *word = shared(), *other = word + 16;
	pid_t pid = OK(fork());

	if (pid == 0)
		_exit(futex(other, FUTEX_WAIT, 5, NULL, NULL, 0) == -1 && errno == EAGAIN ? 0 : 1);
	WAIT_EXIT(pid, 0);
	*other = 5;
	EQ(futex(word, FUTEX_WAKE_OP, 1, (void *)1, other,
		 FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_EQ, 5)),
	   0);
	EQ(*other, 8);
	EQ(futex(word, FUTEX_WAKE_OP, 1, (void *)1, other,
		 FUTEX_OP(FUTEX_OP_SET, 0, FUTEX_OP_CMP_GT, 5)),
	   0);
	EQ(*other, 0);
	pid = OK(fork());
	if (pid == 0)
		_exit(futex(other, FUTEX_WAIT, 0, NULL, NULL, 0) == 0 ? 0 : 1);
	while (futex(word, FUTEX_WAKE_OP, 1, (void *)1, other,
		     FUTEX_OP(FUTEX_OP_OR, 0, FUTEX_OP_CMP_EQ, 0)) == 0)
		sched_yield();
	WAIT_EXIT(pid, 0);
	FAILS(futex(word, FUTEX_WAKE_OP, 1, (void *)1, (void *)8,
		    FUTEX_OP(FUTEX_OP_SET, 0, FUTEX_OP_CMP_EQ, 0)),
	      EFAULT);
}

TEST(waitv)
{
	int *word = shared();
	struct futex_waitv wv[3] = {{0}};
	pid_t pid;

	for (int i = 0; i < 3; i++) {
		wv[i].uaddr = (uintptr_t)(word + i * 16);
		wv[i].flags = FUTEX_32;
	}
	pid = OK(fork());
	if (pid == 0)
		_exit((int)syscall(SYS_futex_waitv, wv, 3, 0, NULL, 0));
	wake_until(word + 32, FUTEX_WAKE);
	WAIT_EXIT(pid, 2);
	wv[1].val = 4;
	FAILS(syscall(SYS_futex_waitv, wv, 3, 0, NULL, 0), EAGAIN);
	FAILS(syscall(SYS_futex_waitv, wv, 0, 0, NULL, 0), EINVAL);
}

/* ---- what programs build from them ---- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int turn, total;

static void *ping(void *arg)
{
	int me = (int)(long)arg;

	for (int i = 0; i < 500; i++) {
		pthread_mutex_lock(&mutex);
		while (turn != me)
			pthread_cond_wait(&cond, &mutex);
		turn = !me;
		total++;
		pthread_cond_broadcast(&cond);
		pthread_mutex_unlock(&mutex);
	}
	return NULL;
}

TEST(condition_variables)
{
	pthread_t t[2];

	for (long i = 0; i < 2; i++)
		EQ(pthread_create(&t[i], NULL, ping, (void *)i), 0);
	for (int i = 0; i < 2; i++)
		EQ(pthread_join(t[i], NULL), 0);
	EQ(total, 1000);
}

static void *add(void *arg)
{
	(void)arg;
	for (int i = 0; i < 20000; i++) {
		pthread_mutex_lock(&mutex);
		total++;
		pthread_mutex_unlock(&mutex);
	}
	return NULL;
}

TEST(contended_mutex)
{
	pthread_t t[4];

	for (int i = 0; i < 4; i++)
		EQ(pthread_create(&t[i], NULL, add, NULL), 0);
	for (int i = 0; i < 4; i++)
		EQ(pthread_join(t[i], NULL), 0);
	EQ(total, 80000);
}

static pthread_mutex_t *robust_mutex(void)
{
	pthread_mutex_t *m = (pthread_mutex_t *)shared();
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	EQ(pthread_mutex_init(m, &attr), 0);
	return m;
}

TEST(robust_mutex_of_an_exited_owner)
{
	pthread_mutex_t *m = robust_mutex();
	pid_t pid = OK(fork());

	if (pid == 0) {
		pthread_mutex_lock(m);
		_exit(0);
	}
	WAIT_EXIT(pid, 0);
	EQ(pthread_mutex_lock(m), EOWNERDEAD);
	EQ(pthread_mutex_consistent(m), 0);
	EQ(pthread_mutex_unlock(m), 0);
}

TEST(robust_mutex_of_a_killed_owner)
{
	pthread_mutex_t *m = robust_mutex();
	int fd[2], status;
	char c;
	pid_t pid;

	OK(pipe(fd));
	pid = OK(fork());
	if (pid == 0) {
		pthread_mutex_lock(m);
		(void)!write(fd[1], "x", 1);
		for (;;)
			pause();
	}
	EQ(read(fd[0], &c, 1), 1);
	OK(kill(pid, SIGKILL));
	EQ(pthread_mutex_lock(m), EOWNERDEAD);
	EQ(waitpid(pid, &status, 0), pid);
}

TEST(join_sees_clear_child_tid)
{
	pthread_t t;

	for (int i = 0; i < 50; i++) {
		EQ(pthread_create(&t, NULL, add, NULL), 0);
		EQ(pthread_join(t, NULL), 0);
	}
	EQ(total, 50 * 20000);
}

TEST(robust_list_calls)
{
	void *head;
	size_t size;

	OK(syscall(SYS_get_robust_list, 0, &head, &size));
	EQ(size, 24);
	FAILS(syscall(SYS_set_robust_list, head, 23), EINVAL);
}
