/* SPDX-License-Identifier: Apache-2.0 */
/* What a vfork child may do before it executes a program, and what its parent sees of it. */
#include <asm/prctl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "compat.h"

#define STACK_SIZE 65536

static char stack[STACK_SIZE] __attribute__((aligned(16)));

static void read_byte(int fd)
{
	char c;

	while (read(fd, &c, 1) < 0 && errno == EINTR)
		;
}

static void write_byte(int fd)
{
	(void)!write(fd, "x", 1);
}

/* A process that kills `pid_of[0]` (once it is there) when a byte comes. */
static pid_t killer(volatile pid_t *pid_of, int fd, int signo)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	read_byte(fd);
	_exit(kill(*pid_of, signo) ? 1 : 0);
}

static volatile pid_t *shared_pid(void)
{
	volatile pid_t *p =
	    mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

TEST(a_child_that_computes_is_killed)
{
	volatile pid_t *child = shared_pid();
	int fd[2], status;
	pid_t other, pid;

	OK(pipe(fd));
	other = OK(killer(child, fd[0], SIGKILL));
	pid = vfork();
	if (!pid) {
		*child = getpid();
		write_byte(fd[1]);
		for (;;)
			__asm__ volatile("" ::: "memory");
	}
	CHECK(pid > 0);
	EQ(*child, pid);
	EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	WAIT_EXIT(other, 0);
}

TEST(a_child_that_waits_is_killed)
{
	volatile pid_t *child = shared_pid();
	int fd[2], never[2], status;
	pid_t other, pid;

	OK(pipe(fd));
	OK(pipe(never));
	other = OK(killer(child, fd[0], SIGKILL));
	pid = vfork();
	if (!pid) {
		*child = getpid();
		write_byte(fd[1]);
		read_byte(never[0]);
		_exit(1);
	}
	EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	WAIT_EXIT(other, 0);
}

/* The parent is killed while it waits for its child, which goes on by itself. */
static void parent_is_killed(bool child_computes)
{
	volatile pid_t *ids = shared_pid();
	int ready[2], go[2], done[2];
	pid_t parent;
	int status;

	OK(prctl(PR_SET_CHILD_SUBREAPER, 1));
	OK(pipe(ready));
	OK(pipe(go));
	OK(pipe(done));
	parent = OK(fork());
	if (!parent) {
		if (!vfork()) {
			ids[1] = getpid();
			write_byte(ready[1]);
			while (child_computes && !ids[0])
				__asm__ volatile("" ::: "memory");
			read_byte(go[0]);
			ids[2] = getppid();
			write_byte(done[1]);
			execve("/proc/self/exe", (char *[]){"vfork", "none", NULL},
			       (char *[]){NULL});
			_exit(9);
		}
		_exit(1);
	}
	read_byte(ready[0]);
	OK(kill(parent, SIGKILL));
	EQ(waitpid(parent, &status, 0), parent);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	OK(kill(ids[1], 0));
	ids[0] = 1;
	write_byte(go[1]);
	read_byte(done[0]);
	EQ(ids[2], getpid());
	WAIT_EXIT(ids[1], 0);
}

TEST(the_parent_of_a_child_that_waits_is_killed)
{
	parent_is_killed(false);
}

TEST(the_parent_of_a_child_that_computes_is_killed)
{
	parent_is_killed(true);
}

static uint32_t mxcsr(void)
{
	uint32_t v;

	__asm__ volatile("stmxcsr %0" : "=m"(v));
	return v;
}

static void set_mxcsr(uint32_t v)
{
	__asm__ volatile("ldmxcsr %0" : : "m"(v));
}

/* Registers that only a clone by hand can look at: xmm and fs. */
TEST(the_parent_keeps_its_registers)
{
	uint64_t fs = 0, value = 0x1234567890abcdef, after = 0;
	uint32_t control = mxcsr();
	long pid;

	OK(syscall(SYS_arch_prctl, ARCH_GET_FS, &fs));
	__asm__ volatile("movq %[value], %%xmm7\n\t"
			 "syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "pxor %%xmm7, %%xmm7\n\t"
			 "mov $0x9fc0, %%eax\n\t"
			 "mov %%eax, -256(%%rsp)\n\t"
			 "ldmxcsr -256(%%rsp)\n\t"
			 "mov %[setfs], %%edi\n\t"
			 "xor %%esi, %%esi\n\t"
			 "mov %[arch_prctl], %%eax\n\t"
			 "syscall\n\t"
			 "mov %[exit], %%eax\n\t"
			 "mov $6, %%edi\n\t"
			 "syscall\n\t"
			 "1: movq %%xmm7, %[after]\n\t"
			 : "=&a"(pid), [after] "=&r"(after)
			 : "0"((long)SYS_vfork), [value] "r"(value), [setfs] "i"(ARCH_SET_FS),
			   [arch_prctl] "i"(SYS_arch_prctl), [exit] "i"(SYS_exit_group)
			 : "rcx", "r11", "rdi", "rsi", "xmm7", "memory");
	CHECK(pid > 0);
	EQ(after, value);
	EQ(mxcsr(), control);
	WAIT_EXIT((pid_t)pid, 6);
	value = 0;
	OK(syscall(SYS_arch_prctl, ARCH_GET_FS, &value));
	EQ(value, fs);
	set_mxcsr(control);
}

static volatile sig_atomic_t signals;

static void count_signal(int signo)
{
	(void)signo;
	signals++;
}

TEST(signals_go_to_whom_they_are_sent)
{
	volatile int in_child = 0;
	sigset_t set, mask;
	pid_t me = getpid(), pid;

	signals = 0;
	signal(SIGUSR1, count_signal);
	pid = vfork();
	if (!pid) {
		kill(getpid(), SIGUSR1);
		in_child = signals;
		kill(me, SIGUSR1); /* waits until the parent goes on */
		in_child += signals;
		sigfillset(&set);
		sigprocmask(SIG_SETMASK, &set, NULL);
		_exit(0);
	}
	EQ(in_child, 2);
	EQ(signals, 2);
	OK(sigprocmask(SIG_SETMASK, NULL, &mask));
	EQ(sigismember(&mask, SIGUSR2), 0);
	WAIT_EXIT(pid, 0);
}

TEST(a_child_forks)
{
	volatile pid_t inner = 0;
	volatile int status = 0;
	pid_t pid = vfork();

	if (!pid) {
		pid_t child = (pid_t)syscall(SYS_fork);

		if (!child)
			syscall(SYS_exit_group, 4);
		inner = child;
		syscall(SYS_wait4, child, &status, 0, NULL);
		_exit(5);
	}
	WAIT_EXIT(pid, 5);
	CHECK(inner > 0 && inner != pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 4);
}

/* posix_spawn's way: with a stack of its own, so that it may call functions. */
struct nested {
	volatile int depth, deepest;
	pid_t ids[4];
};

static int nested_child(void *arg)
{
	struct nested *n = arg;
	int depth = ++n->depth, status;
	pid_t pid;

	n->deepest = depth;
	n->ids[depth] = (pid_t)syscall(SYS_getpid);
	if (depth == 3)
		return 7;
	pid = clone(nested_child, stack + (size_t)(4 - depth) * (STACK_SIZE / 4),
		    CLONE_VM | CLONE_VFORK | SIGCHLD, n);
	n->ids[depth] = (pid_t)syscall(SYS_getpid) == n->ids[depth] ? n->ids[depth] : -1;
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return 99;
	return WEXITSTATUS(status);
}

TEST(a_child_of_a_child)
{
	struct nested n = {0};
	pid_t pid;

	for (int i = 0; i < 10; i++) {
		n.depth = 0;
		pid = OK(
		    clone(nested_child, stack + STACK_SIZE, CLONE_VM | CLONE_VFORK | SIGCHLD, &n));
		WAIT_EXIT(pid, 7);
		EQ(n.deepest, 3);
		EQ(n.ids[1], pid);
		CHECK(n.ids[2] > 0 && n.ids[3] > 0);
	}
}

TEST(a_child_stops_and_goes_on)
{
	volatile pid_t *child = shared_pid();
	int fd[2], status;
	pid_t other, pid;

	OK(pipe(fd));
	other = OK(fork());
	if (!other) {
		read_byte(fd[0]);
		for (;;) { /* until it has stopped: its state is the third word */
			char path[64], text[256] = "";
			int stat;

			snprintf(path, sizeof(path), "/proc/%d/stat", *child);
			stat = open(path, O_RDONLY);
			(void)!read(stat, text, sizeof(text) - 1);
			close(stat);
			if (strstr(text, ") T "))
				break;
			sched_yield();
		}
		_exit(kill(*child, SIGCONT) ? 1 : 0);
	}
	pid = vfork();
	if (!pid) {
		*child = getpid();
		write_byte(fd[1]);
		kill(getpid(), SIGSTOP);
		_exit(8);
	}
	EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 8);
	WAIT_EXIT(other, 0);
}

static bool vfork_once(int code)
{
	int status;
	pid_t pid = vfork();

	if (!pid)
		_exit(code);
	return pid > 0 && waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == code;
}

static void *vfork_many(void *arg)
{
	for (int i = 0; i < 50; i++)
		if (!vfork_once(i))
			return "failed";
	return arg;
}

/* By one thread of several, which go on meanwhile. */
TEST(threads_vfork)
{
	pthread_t threads[3];
	void *failed;

	for (int i = 0; i < 3; i++)
		EQ(pthread_create(&threads[i], NULL, vfork_many, NULL), 0);
	for (int i = 0; i < 3; i++) {
		EQ(pthread_join(threads[i], &failed), 0);
		CHECK(!failed);
	}
	CHECK(!vfork_many(NULL)); /* alone again */
}
