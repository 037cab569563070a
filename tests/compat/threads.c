/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that come and go: a new one has what its creator had at that moment and nothing of those
 * that ended before it, in whatever host thread it runs.
 */
#include <dirent.h>
#include <fenv.h>
#include <immintrin.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

#include "compat.h"

#define ROUNDS 200
#define STACK  65536

static void *run(void *(*body)(void *), void *arg)
{
	pthread_t t;
	void *ret;

	EQ(pthread_create(&t, NULL, body, arg), 0);
	EQ(pthread_join(t, &ret), 0);
	return ret;
}

static pid_t tid_now(void)
{
	return (pid_t)syscall(SYS_gettid);
}

/* ---- who it is ---- */

static __thread int local = 7;

static void *own_id(void *arg)
{
	(void)arg;
	EQ(local, 7);
	local = 9;
	EQ(syscall(SYS_gettid), (long)gettid());
	EQ(syscall(SYS_getpid), (long)getpid());
	return (void *)(intptr_t)tid_now();
}

TEST(ids_and_tls_are_its_own)
{
	intptr_t last = 0;

	for (int i = 0; i < ROUNDS; i++) {
		intptr_t tid = (intptr_t)run(own_id, NULL);

		CHECK(tid != last && tid != getpid() && tid > 0);
		/* Who joins it is woken a moment before it is gone. */
		while (!syscall(SYS_tgkill, getpid(), (pid_t)tid, 0))
			sched_yield();
		EQ(errno, ESRCH);
		last = tid;
	}
	EQ(local, 7);
}

static void *named(void *arg)
{
	char name[16];

	(void)arg;
	OK(prctl(PR_GET_NAME, name));
	CHECK(!strcmp(name, "creator"));
	OK(prctl(PR_SET_NAME, "another"));
	return NULL;
}

TEST(name_is_the_creators)
{
	OK(prctl(PR_SET_NAME, "creator"));
	for (int i = 0; i < 8; i++)
		run(named, NULL);
}

/* ---- FP state ---- */

struct fp {
	unsigned short control;
	unsigned mxcsr;
};

static struct fp fp_now(void)
{
	struct fp fp;

	__asm__ volatile("fnstcw %0" : "=m"(fp.control));
	fp.mxcsr = _mm_getcsr() & ~0x3fu;
	return fp;
}

static void fp_set(unsigned short control, unsigned mxcsr)
{
	__asm__ volatile("fldcw %0" : : "m"(control));
	_mm_setcsr(mxcsr);
}

static void *same_fp(void *arg)
{
	struct fp *want = arg, got = fp_now();

	EQ(got.control, want->control);
	EQ(got.mxcsr, want->mxcsr);
	fp_set(0x27f, 0x1f80 | 0x8000); /* for none but itself */
	return NULL;
}

TEST(fp_control_is_the_creators)
{
	static const struct fp kinds[] = {
	    {0x37f, 0x1f80}, {0x77f, 0x3f80}, {0xb7f, 0x5f80}, {0xf7f, 0x7f80}, {0x27f, 0x9fc0}};

	for (int i = 0; i < ROUNDS; i++) {
		struct fp fp = kinds[i % 5];

		fp_set(fp.control, fp.mxcsr);
		run(same_fp, &fp);
		EQ(fp_now().control, fp.control);
		EQ(fp_now().mxcsr, fp.mxcsr);
	}
}

/* ---- raw threads: nothing of the C library between the call and the child's first instruction --
 */

struct raw {
	char *stack;
	_Atomic uint32_t tid; /* cleared at the end */
	uint64_t seen[16];
	int32_t parent_tid;
	uint64_t exit_kind;
};

#define RAW_FLAGS                                                                                  \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |        \
	 CLONE_CHILD_CLEARTID | CLONE_PARENT_SETTID)

/*
 * Creator and child both have what is loaded before the call in their registers behind it. The
 * child stores xmm0, xmm15, the upper halves of ymm0 (AVX), rbx, r12 and its fs and gs bases, and
 * ends itself; the creator returns.
 */
static long raw_clone(struct raw *r, uint64_t flags, uint64_t a, uint64_t b, bool avx)
{
	register long ret __asm__("rax") = SYS_clone;
	register uint64_t rdi __asm__("rdi") = flags;
	register void *rsi __asm__("rsi") = r->stack + STACK;
	register void *rdx __asm__("rdx") = &r->parent_tid;
	register void *r10 __asm__("r10") = &r->tid;
	register uint64_t r8 __asm__("r8") = 0;
	register struct raw *r12 __asm__("r12") = r;
	register uint64_t r13 __asm__("r13") = a;
	register uint64_t r14 __asm__("r14") = b;
	register uint64_t r15 __asm__("r15") = avx;

	__asm__ volatile("movq %%r13, %%xmm0\n"
			 "movq %%r14, %%xmm15\n"
			 "test %%r15, %%r15\n"
			 "jz 1f\n"
			 "vmovq %%r14, %%xmm1\n"
			 "vinsertf128 $1, %%xmm1, %%ymm0, %%ymm0\n"
			 "1: syscall\n"
			 "test %%rax, %%rax\n"
			 "jnz 3f\n"
			 "movq %%xmm0, (%[seen])\n"
			 "movq %%xmm15, 8(%[seen])\n"
			 "test %%r15, %%r15\n"
			 "jz 2f\n"
			 "vextractf128 $1, %%ymm0, %%xmm1\n"
			 "vmovq %%xmm1, 16(%[seen])\n"
			 "2: mov %%r13, 24(%[seen])\n"
			 "mov %%rsp, 32(%[seen])\n"
			 "pushfq\n"
			 "popq 40(%[seen])\n"
			 /* Not for who comes after it. */
			 "pcmpeqd %%xmm0, %%xmm0\n"
			 "pcmpeqd %%xmm15, %%xmm15\n"
			 "mov $60, %%eax\n"
			 "xor %%edi, %%edi\n"
			 "syscall\n"
			 "ud2\n"
			 "3:\n"
			 : "+a"(ret)
			 : "r"(rdi), "r"(rsi), "r"(rdx), "r"(r10), "r"(r8), "r"(r12), "r"(r13),
			   "r"(r14), "r"(r15), [seen] "b"(r->seen)
			 : "rcx", "r11", "memory", "xmm0", "xmm1", "xmm15");
	return ret;
}

static void await_end(_Atomic uint32_t *tid)
{
	uint32_t seen;

	while ((seen = atomic_load(tid)))
		syscall(SYS_futex, tid, FUTEX_WAIT, seen, NULL, NULL, 0);
}

static struct raw *raw_new(void)
{
	struct raw *r = calloc(1, sizeof(*r));

	CHECK(r);
	r->stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(r->stack != MAP_FAILED);
	return r;
}

TEST(registers_are_the_creators)
{
	struct raw *r = raw_new();
	bool avx = __builtin_cpu_supports("avx");

	for (uint64_t i = 1; i < ROUNDS; i++) {
		uint64_t a = i * 0x9e3779b97f4a7c15ull, b = ~a;
		long tid;

		memset(r->seen, 0, sizeof(r->seen));
		atomic_store(&r->tid, 1);
		r->parent_tid = 0;
		tid = raw_clone(r, RAW_FLAGS, a, b, avx);
		CHECK(tid > 0);
		await_end(&r->tid);
		EQ(r->parent_tid, tid);
		CHECK(r->seen[0] == a && r->seen[1] == b && r->seen[3] == a);
		CHECK(!avx || r->seen[2] == b);
		CHECK(r->seen[4] == (uint64_t)(r->stack + STACK));
		EQ(r->seen[5] & 0x400, 0); /* DF */
	}
}

/* The same word says who it is and, at the end, that it is over: whoever is late is never seen. */
TEST(parent_tid_is_there_before_the_child)
{
	struct raw *r = raw_new();

	for (int i = 0; i < 20 * ROUNDS; i++) {
		register long ret __asm__("rax") = SYS_clone;
		register void *r10 __asm__("r10") = &r->tid;
		register uint64_t r8 __asm__("r8") = 0;
		register uint64_t *r12 __asm__("r12") = r->seen;

		atomic_store(&r->tid, 0);
		/* The child notes what is in the word, and ends. */
		__asm__ volatile("syscall\n"
				 "test %%rax, %%rax\n"
				 "jnz 1f\n"
				 "mov (%%rbx), %%eax\n"
				 "mov %%rax, (%%r12)\n"
				 "mov $60, %%eax\n"
				 "xor %%edi, %%edi\n"
				 "syscall\n"
				 "ud2\n"
				 "1:\n"
				 : "+a"(ret)
				 : "D"(RAW_FLAGS), "S"(r->stack + STACK), "d"(&r->tid), "r"(r10),
				   "r"(r8), "b"(&r->tid), "r"(r12)
				 : "rcx", "r11", "memory");
		CHECK(ret > 0);
		await_end(&r->tid);
		EQ(r->seen[0], ret);
	}
}

/* ---- signals ---- */

static void *has_mask(void *arg)
{
	sigset_t *want = arg, got, pending;

	EQ(pthread_sigmask(SIG_SETMASK, NULL, &got), 0);
	CHECK(!memcmp(&got, want, 8));
	OK(sigpending(&pending));
	EQ(sigismember(&pending, SIGUSR2), 0);
	/* One that ends with it. */
	sigaddset(&got, SIGUSR2);
	EQ(pthread_sigmask(SIG_SETMASK, &got, NULL), 0);
	EQ(pthread_kill(pthread_self(), SIGUSR2), 0);
	return NULL;
}

TEST(mask_is_the_creators_and_pending_nobodys)
{
	sigset_t set;

	for (int i = 0; i < ROUNDS; i++) {
		sigemptyset(&set);
		sigaddset(&set, 34 + i % 20);
		EQ(pthread_sigmask(SIG_SETMASK, &set, NULL), 0);
		EQ(pthread_sigmask(SIG_SETMASK, NULL, &set), 0);
		run(has_mask, &set);
	}
}

static void *no_altstack(void *arg)
{
	stack_t st = {.ss_sp = arg, .ss_size = STACK};

	OK(sigaltstack(NULL, &st));
	EQ(st.ss_flags, SS_DISABLE);
	st = (stack_t){.ss_sp = arg, .ss_size = STACK};
	OK(sigaltstack(&st, NULL));
	return NULL;
}

TEST(alternate_stack_is_not_inherited)
{
	char *mine = malloc(STACK), *theirs = malloc(STACK);
	stack_t st = {.ss_sp = mine, .ss_size = STACK};

	OK(sigaltstack(&st, NULL));
	for (int i = 0; i < 20; i++)
		run(no_altstack, theirs);
	OK(sigaltstack(NULL, &st));
	CHECK(st.ss_sp == mine);
}

static atomic_int caught;

static void count(int signo)
{
	(void)signo;
	atomic_fetch_add(&caught, 1);
}

static atomic_uint victim;

static void *pursued(void *arg)
{
	(void)arg;
	atomic_store(&victim, (uint32_t)tid_now());
	return NULL;
}

static atomic_bool over;

/* At threads at any moment of their lives, and after. */
static void *pursuer(void *arg)
{
	sigset_t set;

	(void)arg;
	sigfillset(&set);
	EQ(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
	while (!atomic_load(&over)) {
		pid_t tid = (pid_t)atomic_load(&victim);

		if (tid && syscall(SYS_tgkill, getpid(), tid, SIGUSR1) < 0)
			EQ(errno, ESRCH);
	}
	return NULL;
}

TEST(signals_at_threads_that_end)
{
	struct sigaction sa = {.sa_handler = count};
	pthread_t hunter;

	OK(sigaction(SIGUSR1, &sa, NULL));
	EQ(pthread_create(&hunter, NULL, pursuer, NULL), 0);
	for (int i = 0; i < 10 * ROUNDS; i++)
		run(pursued, NULL);
	atomic_store(&over, true);
	EQ(pthread_join(hunter, NULL), 0);
}

static void *exactly_one(void *arg)
{
	int before = atomic_load(&caught);

	(void)arg;
	EQ(pthread_kill(pthread_self(), SIGUSR1), 0);
	EQ(atomic_load(&caught), before + 1);
	return NULL;
}

TEST(each_gets_its_own_signals)
{
	struct sigaction sa = {.sa_handler = count};

	OK(sigaction(SIGUSR1, &sa, NULL));
	for (int i = 0; i < ROUNDS; i++)
		run(exactly_one, NULL);
	EQ(atomic_load(&caught), ROUNDS);
}

/* ---- what ends with a thread ---- */

static pthread_mutex_t robust;

static void *dies_with_lock(void *arg)
{
	(void)arg;
	EQ(pthread_mutex_lock(&robust), 0);
	return NULL;
}

TEST(owners_die)
{
	pthread_mutexattr_t a;

	pthread_mutexattr_init(&a);
	pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	EQ(pthread_mutex_init(&robust, &a), 0);
	for (int i = 0; i < ROUNDS; i++) {
		run(dies_with_lock, NULL);
		EQ(pthread_mutex_lock(&robust), EOWNERDEAD);
		EQ(pthread_mutex_consistent(&robust), 0);
		EQ(pthread_mutex_unlock(&robust), 0);
	}
}

static void *waits_for_lock(void *arg)
{
	int *got = arg;

	*got = pthread_mutex_lock(&robust);
	pthread_mutex_consistent(&robust);
	pthread_mutex_unlock(&robust);
	return NULL;
}

TEST(waiters_hear_that_the_owner_died)
{
	pthread_mutexattr_t a;

	pthread_mutexattr_init(&a);
	pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	EQ(pthread_mutex_init(&robust, &a), 0);
	for (int i = 0; i < ROUNDS; i++) {
		pthread_t owner, waiter;
		int got = -1;

		EQ(pthread_create(&owner, NULL, dies_with_lock, NULL), 0);
		EQ(pthread_join(owner, NULL), 0);
		EQ(pthread_create(&waiter, NULL, waits_for_lock, &got), 0);
		EQ(pthread_join(waiter, NULL), 0);
		EQ(got, EOWNERDEAD);
	}
}

static int tasks_listed(void)
{
	DIR *d = opendir("/proc/self/task");
	int n = 0;

	CHECK(d);
	for (struct dirent *e; (e = readdir(d));)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

static void *nothing(void *arg)
{
	return arg;
}

TEST(ended_threads_are_not_listed)
{
	for (int i = 0; i < 20; i++)
		run(nothing, NULL);
	while (tasks_listed() != 1)
		sched_yield();
}

static atomic_int at_work;

static void *goes_away(void *arg)
{
	EQ(pthread_detach(pthread_self()), 0);
	CHECK(!memchr(arg, 1, 64)); /* zeroed for it */
	memset(arg, 1, 64);
	free(arg);
	atomic_fetch_sub(&at_work, 1);
	return NULL;
}

TEST(detached_threads)
{
	for (int i = 0; i < 5 * ROUNDS; i++) {
		pthread_t t;

		while (atomic_load(&at_work) >= 8)
			sched_yield();
		atomic_fetch_add(&at_work, 1);
		EQ(pthread_create(&t, NULL, goes_away, calloc(1, 64)), 0);
	}
	while (atomic_load(&at_work))
		sched_yield();
}

static void *raw_exit(void *arg)
{
	(void)arg;
	syscall(SYS_exit, 3);
	return NULL;
}

TEST(threads_that_exit_by_the_call)
{
	for (int i = 0; i < ROUNDS; i++)
		run(i % 2 ? raw_exit : nothing, NULL);
}

static void *wants_gs(void *arg)
{
	uint64_t gs = 0;

	OK(syscall(SYS_arch_prctl, 0x1004, &gs));
	CHECK(gs == (uint64_t)(uintptr_t)arg);
	OK(syscall(SYS_arch_prctl, 0x1001, 0x5000));
	return NULL;
}

TEST(gs_is_the_creators)
{
	for (uintptr_t i = 0; i < 60; i++) {
		uintptr_t gs = i % 3 ? 0x10000 * i : 0;

		OK(syscall(SYS_arch_prctl, 0x1001, gs));
		run(wants_gs, (void *)gs);
	}
	OK(syscall(SYS_arch_prctl, 0x1001, 0));
}

static void *uses_cpu(void *arg)
{
	struct timespec begin, now;
	volatile unsigned n = 0;

	OK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin));
	/* What those before it have used isn't its own. */
	CHECK(begin.tv_sec == 0 && begin.tv_nsec < 30 * 1000000);
	do {
		for (int i = 0; i < 100000; i++)
			n++;
		OK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now));
	} while (now.tv_sec == 0 && now.tv_nsec < 50 * 1000000);
	return arg;
}

TEST(cpu_time_begins_anew)
{
	for (int i = 0; i < 5; i++)
		run(uses_cpu, NULL);
}

/* ---- with all else that makes and ends processes ---- */

static atomic_bool stop;

static void *makes_threads(void *arg)
{
	while (!atomic_load(&stop)) {
		pthread_t t[3];

		for (int i = 0; i < 3; i++)
			if (pthread_create(&t[i], NULL, nothing, NULL))
				pause(); /* an exec is under way */
		for (int i = 0; i < 3; i++)
			EQ(pthread_join(t[i], NULL), 0);
	}
	return arg;
}

static void wait_status(pid_t pid, int want)
{
	int status;

	EQ(OK(waitpid(pid, &status, 0)), pid);
	EQ(status, want);
}

TEST(forks_of_a_process_with_ended_threads)
{
	for (int i = 0; i < 50; i++) {
		pid_t pid;

		run(nothing, NULL);
		pid = OK(fork());
		if (!pid) {
			EQ(tasks_listed(), 1);
			run(nothing, NULL);
			pid = OK(fork());
			if (!pid)
				_exit(3);
			wait_status(pid, 3 << 8);
			_exit(4);
		}
		wait_status(pid, 4 << 8);
	}
}

TEST(vforks_of_a_process_with_ended_threads)
{
	for (int i = 0; i < 50; i++) {
		pid_t pid;

		run(nothing, NULL);
		pid = OK(vfork());
		if (!pid)
			_exit(3);
		wait_status(pid, 3 << 8);
		run(nothing, NULL);
	}
}

TEST(forks_beside_threads_that_come_and_go)
{
	pthread_t t[2];

	for (int i = 0; i < 2; i++)
		EQ(pthread_create(&t[i], NULL, makes_threads, NULL), 0);
	for (int i = 0; i < 100; i++) {
		pid_t pid = OK(fork());

		if (!pid)
			_exit(5);
		wait_status(pid, 5 << 8);
	}
	atomic_store(&stop, true);
	for (int i = 0; i < 2; i++)
		EQ(pthread_join(t[i], NULL), 0);
}

TEST(exit_group_beside_threads_that_come_and_go)
{
	for (int i = 0; i < 40; i++) {
		pid_t pid = OK(fork());

		if (!pid) {
			pthread_t t;

			for (int j = 0; j < 3; j++)
				EQ(pthread_create(&t, NULL, makes_threads, NULL), 0);
			for (int j = 0; j < i; j++)
				run(nothing, NULL);
			_exit(6);
		}
		wait_status(pid, 6 << 8);
	}
}

TEST(kills_of_processes_whose_threads_come_and_go)
{
	for (int i = 0; i < 40; i++) {
		int ends[2];
		pid_t pid;
		char c;

		OK(pipe(ends));
		pid = OK(fork());
		if (!pid) {
			pthread_t t;

			for (int j = 0; j < 3; j++)
				EQ(pthread_create(&t, NULL, makes_threads, NULL), 0);
			EQ(write(ends[1], "x", 1), 1);
			makes_threads(NULL);
		}
		EQ(read(ends[0], &c, 1), 1);
		for (int j = 0; j < i; j++)
			sched_yield();
		OK(kill(pid, SIGKILL));
		wait_status(pid, SIGKILL);
		close(ends[0]);
		close(ends[1]);
	}
}

static void *execs(void *arg)
{
	char *const argv[] = {arg, "--compat-nothing", NULL};

	execv("/proc/self/exe", argv);
	return NULL;
}

/* The program that is executed is this one; it ends at once (its only argument names no test). */
TEST(exec_beside_threads_that_come_and_go)
{
	for (int i = 0; i < 20; i++) {
		pid_t pid = OK(fork());

		if (!pid) {
			pthread_t t;

			for (int j = 0; j < 3; j++)
				EQ(pthread_create(&t, NULL, makes_threads, NULL), 0);
			for (int j = 0; j < i; j++)
				run(nothing, NULL);
			if (i % 2)
				execs("threads");
			EQ(pthread_create(&t, NULL, execs, "threads"), 0);
			pause();
		}
		wait_status(pid, 0);
	}
}

static void *leader_is_gone(void *arg)
{
	pthread_t leader = (pthread_t)arg;

	EQ(pthread_join(leader, NULL), 0);
	for (int i = 0; i < 20; i++)
		run(own_id, NULL);
	_exit(8);
}

TEST(leader_leaves_threads_that_make_threads)
{
	for (int i = 0; i < 20; i++) {
		pid_t pid = OK(fork());

		if (!pid) {
			pthread_t t;

			run(nothing, NULL);
			EQ(pthread_create(&t, NULL, leader_is_gone, (void *)pthread_self()), 0);
			pthread_exit(NULL);
		}
		wait_status(pid, 8 << 8);
	}
}

TEST(stopped_and_continued_beside_threads)
{
	pid_t pid = OK(fork());
	int status;

	if (!pid)
		makes_threads(NULL);
	for (int i = 0; i < 30; i++) {
		OK(kill(pid, SIGSTOP));
		EQ(OK(waitpid(pid, &status, WUNTRACED)), pid);
		CHECK(WIFSTOPPED(status));
		OK(kill(pid, SIGCONT));
		EQ(OK(waitpid(pid, &status, WCONTINUED)), pid);
		CHECK(WIFCONTINUED(status));
	}
	OK(kill(pid, SIGKILL));
	wait_status(pid, SIGKILL);
}

/* ---- clones that fail ---- */

TEST(clones_that_fail_leave_nothing)
{
	pid_t pid;

	run(nothing, NULL);
	FAILS(syscall(SYS_clone, CLONE_THREAD, 0, 0, 0, 0), EINVAL);
	FAILS(syscall(SYS_clone, CLONE_THREAD | CLONE_SIGHAND, 0, 0, 0, 0), EINVAL);
	pid = OK(fork());
	if (!pid) {
		struct rlimit none = {0, 0};
		pthread_t t;

		run(nothing, NULL);
		OK(setrlimit(RLIMIT_NPROC, &none));
		if (setresuid(54321, 54321, 54321) < 0)
			_exit(9); /* not root: nothing to be tried */
		for (int i = 0; i < 10; i++)
			EQ(pthread_create(&t, NULL, nothing, NULL), EAGAIN);
		EQ(tasks_listed(), 1);
		_exit(9);
	}
	wait_status(pid, 9 << 8);
	for (int i = 0; i < 10; i++)
		run(own_id, NULL);
}

/* A tid that can't be written is no reason to fail. */
TEST(parent_tid_nowhere)
{
	struct raw *r = raw_new();

	for (int i = 0; i < 10; i++) {
		register long ret __asm__("rax") = SYS_clone;
		register void *r10 __asm__("r10") = &r->tid;
		register uint64_t r8 __asm__("r8") = 0;

		atomic_store(&r->tid, 1);
		__asm__ volatile("syscall\n"
				 "test %%rax, %%rax\n"
				 "jnz 1f\n"
				 "mov $60, %%eax\n"
				 "xor %%edi, %%edi\n"
				 "syscall\n"
				 "ud2\n"
				 "1:\n"
				 : "+a"(ret)
				 : "D"(RAW_FLAGS), "S"(r->stack + STACK), "d"(i % 2 ? 8ul : ~7ul),
				   "r"(r10), "r"(r8)
				 : "rcx", "r11", "memory");
		CHECK(ret > 0);
		await_end(&r->tid);
	}
}

/* ---- many at once ---- */

TEST(crowds_come_and_go)
{
	pthread_t t[40];

	for (int round = 0; round < 10; round++) {
		for (int i = 0; i < 40; i++)
			EQ(pthread_create(&t[i], NULL, own_id, NULL), 0);
		for (int i = 0; i < 40; i++)
			EQ(pthread_join(t[i], NULL), 0);
	}
}
