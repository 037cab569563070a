/* SPDX-License-Identifier: Apache-2.0 */
/* Who a task is, asked by raw calls, while that changes: by itself, by its parent, by deaths. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "compat.h"

#define RAW(name, ...) syscall(SYS_##name, ##__VA_ARGS__)

struct shared {
	atomic_int pid, other, go, value, stop;
};

static struct shared *shared(void)
{
	return OK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
}

static void until(atomic_int *v)
{
	while (!atomic_load(v))
		RAW(sched_yield);
}

TEST(of_a_child)
{
	pid_t me = RAW(getpid);
	struct shared *s = shared();
	pid_t pid;

	EQ(me, getpid());
	EQ(RAW(gettid), me);
	pid = OK(fork());
	if (pid == 0) {
		EQ(RAW(getppid), me);
		atomic_store(&s->pid, (int)RAW(getpid));
		CHECK(RAW(getpid) != me && RAW(gettid) == RAW(getpid));
		_exit(0);
	}
	WAIT_EXIT(pid, 0);
	EQ(s->pid, pid);
	EQ(RAW(getpid), me);
}

TEST(of_a_vfork_child)
{
	pid_t me = RAW(getpid), pid = vfork();

	if (pid == 0)
		_exit(RAW(getpid) != me && RAW(getppid) == me ? 0 : 1);
	WAIT_EXIT(pid, 0);
	EQ(RAW(getpid), me);
}

static void *thread_main(void *arg)
{
	struct shared *s = arg;

	atomic_store(&s->other, (int)RAW(gettid));
	atomic_store(&s->pid, (int)RAW(getpid));
	return NULL;
}

TEST(of_a_thread)
{
	struct shared *s = shared();
	pthread_t t;

	EQ(pthread_create(&t, NULL, thread_main, s), 0);
	EQ(pthread_join(t, NULL), 0);
	EQ(s->pid, RAW(getpid));
	CHECK(s->other != RAW(gettid));
}

/* As soon as the parent's death can be known, the child has another. */
TEST(parent_dies)
{
	struct shared *s = shared();
	pid_t me = RAW(getpid), middle, reaped;

	OK(prctl(PR_SET_CHILD_SUBREAPER, 1));
	middle = OK(fork());
	if (middle == 0) {
		if (OK(fork()) == 0) {
			pid_t parent = RAW(getppid);

			atomic_store(&s->other, (int)RAW(getpid));
			atomic_store(&s->pid, 1);
			until(&s->go);
			_exit(RAW(getppid) == me && parent != me ? 3 : 1);
		}
		until(&s->pid);
		_exit(0);
	}
	WAIT_EXIT(middle, 0);
	atomic_store(&s->go, 1);
	reaped = s->other;
	WAIT_EXIT(reaped, 3);
}

TEST(groups_and_sessions)
{
	struct shared *s = shared();
	pid_t pid = OK(fork());
	long sid = RAW(getsid, 0);

	if (pid == 0) {
		pid_t me = RAW(getpid);

		CHECK(RAW(getpgrp) != me);
		atomic_store(&s->pid, 1);
		until(&s->go); /* the parent has moved us */
		EQ(RAW(getpgrp), me);
		EQ(RAW(getpgid, 0), me);
		EQ(RAW(getpgid, me), me);
		EQ(RAW(getsid, 0), sid);
		FAILS(RAW(setsid), EPERM);
		pid = OK(fork());
		if (pid == 0) {
			EQ(RAW(getpgrp), me);
			OK(RAW(setsid));
			EQ(RAW(getsid, 0), RAW(getpid));
			EQ(RAW(getpgrp), RAW(getpid));
			_exit(0);
		}
		WAIT_EXIT(pid, 0);
		_exit(0);
	}
	until(&s->pid);
	OK(setpgid(pid, pid));
	atomic_store(&s->go, 1);
	EQ(getpgid(pid), pid);
	WAIT_EXIT(pid, 0);
	FAILS(RAW(getpgid, 0x3ffffff), ESRCH);
	FAILS(RAW(getsid, -1), ESRCH);
}

/* A thread that execs becomes the leader. */
static void *exec_main(void *arg)
{
	char self[16], *argv[] = {(char *)"identity-after-exec", self, NULL};

	snprintf(self, sizeof(self), "%d", getpid());
	CHECK(RAW(gettid) != RAW(getpid));
	OK(execv("/proc/self/exe", argv));
	return arg;
}

__attribute__((constructor)) static void after_exec(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[0], "identity-after-exec") == 0)
		_exit(RAW(getpid) == atoi(argv[1]) && RAW(gettid) == atoi(argv[1]) ? 5 : 1);
}

TEST(a_thread_execs)
{
	pid_t pid = OK(fork());
	pthread_t t;

	if (pid == 0) {
		EQ(pthread_create(&t, NULL, exec_main, NULL), 0);
		for (;;)
			pause();
	}
	WAIT_EXIT(pid, 5);
}

/* The raw call changes one thread, and no other. */
static void *other_uid(void *arg)
{
	struct shared *s = arg;

	OK(RAW(setresuid, 1000, 1001, 1002));
	EQ(RAW(getuid), 1000);
	EQ(RAW(geteuid), 1001);
	atomic_store(&s->go, 1);
	until(&s->stop);
	return NULL;
}

TEST(ids_of_threads)
{
	struct shared *s = shared();
	pthread_t t;

	if (RAW(geteuid))
		SKIP("not root");
	EQ(pthread_create(&t, NULL, other_uid, s), 0);
	until(&s->go);
	EQ(RAW(getuid), 0);
	EQ(RAW(geteuid), 0);
	atomic_store(&s->stop, 1);
	EQ(pthread_join(t, NULL), 0);
	OK(RAW(setresgid, 7, 8, 9));
	EQ(RAW(getgid), 7);
	EQ(RAW(getegid), 8);
	OK(RAW(setresuid, 1, 2, 3));
	EQ(RAW(getuid), 1);
	EQ(RAW(geteuid), 2);
	OK(RAW(setresuid, 2, 3, -1));
	EQ(RAW(getuid), 2);
	EQ(RAW(geteuid), 3);
}
