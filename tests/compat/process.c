/* SPDX-License-Identifier: Apache-2.0 */
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

#include "compat.h"

extern char **environ;

TEST(fork_copies_memory)
{
	volatile int x = 1;
	pid_t pid = OK(fork());

	if (pid == 0) {
		x = 2;
		_exit(x + 40);
	}
	WAIT_EXIT(pid, 42);
	EQ(x, 1);
}

TEST(fork_ids)
{
	int fd[2];
	pid_t ids[3], parent = getpid(), pid;

	OK(pipe(fd));
	pid = OK(fork());
	if (pid == 0) {
		ids[0] = getpid();
		ids[1] = getppid();
		ids[2] = (pid_t)syscall(SYS_gettid);
		(void)!write(fd[1], ids, sizeof(ids));
		_exit(0);
	}
	EQ(read(fd[0], ids, sizeof(ids)), sizeof(ids));
	EQ(ids[0], pid);
	EQ(ids[1], parent);
	EQ(ids[2], pid);
	WAIT_EXIT(pid, 0);
}

TEST(vfork_shares_memory_and_waits)
{
	volatile int x = 1;
	pid_t pid = vfork();

	if (pid == 0) {
		x = 7;
		_exit(3);
	}
	CHECK(pid > 0);
	EQ(x, 7);
	WAIT_EXIT(pid, 3);
}

TEST(spawn)
{
	char *argv[] = {(char *)"/proc/self/exe", (char *)"--list", NULL};
	posix_spawn_file_actions_t fa;
	pid_t pid;

	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_addopen(&fa, 1, "/dev/null", O_WRONLY, 0);
	EQ(posix_spawn(&pid, "/proc/self/exe", &fa, NULL, argv, environ), 0);
	WAIT_EXIT(pid, 0);
	EQ(posix_spawn(&pid, "/does/not/exist", NULL, NULL, argv, environ), ENOENT);
}

static int child_stack_fn(void *arg)
{
	*(volatile int *)arg = 9;
	return 5;
}

static char child_stack[65536] __attribute__((aligned(16)));

TEST(clone_vm_with_stack)
{
	volatile int x = 0;
	pid_t pid = OK(clone(child_stack_fn, child_stack + sizeof(child_stack), CLONE_VM | SIGCHLD,
			     (void *)&x));

	WAIT_EXIT(pid, 5);
	EQ(x, 9);
}

TEST(clone_vm_clears_tid)
{
	static pid_t tid = 77;
	volatile int x = 0;
	pid_t pid = OK(clone(child_stack_fn, child_stack + sizeof(child_stack),
			     CLONE_VM | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD,
			     (void *)&x, NULL, NULL, &tid));

	WAIT_EXIT(pid, 5);
	EQ(tid, 0);
	EQ(x, 9);
}

TEST(clone_settids)
{
	pid_t parent_tid = 0, child_tid = 0;
	pid_t pid = (pid_t)OK(syscall(SYS_clone, CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | SIGCHLD,
				      0, &parent_tid, &child_tid, 0));

	if (pid == 0)
		_exit(child_tid == getpid() ? 0 : 1);
	EQ(parent_tid, pid);
	EQ(child_tid, 0);
	WAIT_EXIT(pid, 0);
}

TEST(clone3_fork)
{
	struct clone_args a = {.exit_signal = SIGCHLD};
	pid_t pid = (pid_t)OK(syscall(SYS_clone3, &a, sizeof(a)));

	if (pid == 0)
		_exit(11);
	WAIT_EXIT(pid, 11);
	FAILS(syscall(SYS_clone3, &a, 8), EINVAL);
	a.exit_signal = 200;
	FAILS(syscall(SYS_clone3, &a, sizeof(a)), EINVAL);
	a = (struct clone_args){.flags = CLONE_THREAD};
	FAILS(syscall(SYS_clone3, &a, sizeof(a)), EINVAL);
}

TEST(clone_bad_flags)
{
	FAILS(syscall(SYS_clone, CLONE_THREAD | SIGCHLD, 0, 0, 0, 0), EINVAL);
	FAILS(syscall(SYS_clone, CLONE_SIGHAND | SIGCHLD, 0, 0, 0, 0), EINVAL);
}

TEST(clone_files_shared)
{
	int fd = OK(open("f", O_RDWR | O_CREAT, 0600));
	pid_t pid = (pid_t)OK(syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0));

	if (pid == 0) {
		close(fd);
		_exit(0);
	}
	WAIT_EXIT(pid, 0);
	FAILS(fcntl(fd, F_GETFD), EBADF);
}

TEST(clone_fs_shared)
{
	char cwd[256];
	pid_t pid;

	OK(mkdir("d", 0700));
	pid = (pid_t)OK(syscall(SYS_clone, CLONE_FS | SIGCHLD, 0, 0, 0, 0));
	if (pid == 0)
		_exit(chdir("d") ? 1 : 0);
	WAIT_EXIT(pid, 0);
	CHECK(getcwd(cwd, sizeof(cwd)));
	STR_EQ(strrchr(cwd, '/'), "/d");
}

/* ---- threads ---- */

static __thread int tls = 3;

static void *thread_fn(void *arg)
{
	tls++;
	return (void *)((long)arg * tls);
}

TEST(threads)
{
	pthread_t t[8];

	for (long i = 0; i < 8; i++)
		EQ(pthread_create(&t[i], NULL, thread_fn, (void *)i), 0);
	for (long i = 0; i < 8; i++) {
		void *ret;

		EQ(pthread_join(t[i], &ret), 0);
		EQ((long)ret, 4 * i);
	}
	EQ(tls, 3);
}

static void *tid_fn(void *arg)
{
	((pid_t *)arg)[0] = (pid_t)syscall(SYS_gettid);
	((pid_t *)arg)[1] = getpid();
	return NULL;
}

TEST(thread_ids)
{
	pid_t ids[2];
	pthread_t t;

	EQ(pthread_create(&t, NULL, tid_fn, ids), 0);
	pthread_join(t, NULL);
	CHECK(ids[0] != getpid());
	EQ(ids[1], getpid());
}

static void *forever(void *arg)
{
	(void)arg;
	for (;;)
		pause();
	return NULL;
}

static void *exit_process(void *arg)
{
	(void)arg;
	syscall(SYS_exit_group, 23);
	return NULL;
}

TEST(exit_group_from_a_thread)
{
	pid_t pid = OK(fork());

	if (pid == 0) {
		pthread_t t;

		pthread_create(&t, NULL, forever, NULL);
		pthread_create(&t, NULL, exit_process, NULL);
		forever(NULL);
	}
	WAIT_EXIT(pid, 23);
}

static void *last_thread(void *arg)
{
	(void)arg;
	usleep(20000);
	_exit(31);
	return NULL;
}

TEST(leader_leaves_first)
{
	pid_t pid = OK(fork());

	if (pid == 0) {
		pthread_t t;

		pthread_create(&t, NULL, last_thread, NULL);
		syscall(SYS_exit, 5);
	}
	WAIT_EXIT(pid, 31);
}

static void *exec_fn(void *arg)
{
	char *argv[] = {(char *)"x", (char *)"--list", NULL};

	(void)arg;
	close(1);
	open("/dev/null", O_WRONLY);
	execv("/proc/self/exe", argv);
	_exit(99);
}

TEST(exec_from_a_thread_keeps_the_pid)
{
	pid_t pid = OK(fork());

	if (pid == 0) {
		pthread_t t;

		pthread_create(&t, NULL, forever, NULL);
		pthread_create(&t, NULL, exec_fn, NULL);
		forever(NULL);
	}
	WAIT_EXIT(pid, 0);
}

TEST(spinning_threads_end_with_the_process)
{
	pid_t pid = OK(fork());

	if (pid == 0) {
		pthread_t t;

		for (int i = 0; i < 3; i++)
			pthread_create(&t, NULL, (void *(*)(void *))forever, NULL);
		usleep(5000);
		_exit(6);
	}
	WAIT_EXIT(pid, 6);
}

/* ---- exec ---- */

TEST(exec_errors)
{
	char *argv[] = {(char *)"x", NULL};

	FAILS(execv("/does/not/exist", argv), ENOENT);
	FAILS(execv("/", argv), EACCES);
	WRITE_FILE("plain", "hello");
	FAILS(execv("plain", argv), EACCES);
	OK(chmod("plain", 0755));
	FAILS(execv("plain", argv), ENOEXEC);
	FAILS(execv("plain/x", argv), ENOTDIR);
	WRITE_FILE("script", "#!/does/not/exist\n");
	OK(chmod("script", 0755));
	FAILS(execv("script", argv), ENOENT);
	FAILS(execve("plain", (char **)8, NULL), EFAULT);
}

static volatile sig_atomic_t got_usr1;

static void usr1(int signo)
{
	got_usr1 = signo;
}

TEST(exec_resets_handlers_and_cloexec)
{
	pid_t pid = OK(fork());

	if (pid == 0) {
		char *argv[] = {(char *)"/bin/sh", (char *)"-c",
				(char *)"test ! -e /proc/self/fd/50 && test -e /proc/self/fd/51 && "
					"kill -USR2 $$; kill -USR1 $$; exit 0",
				NULL};

		if (access("/bin/sh", X_OK))
			_exit(COMPAT_SKIPPED);
		signal(SIGUSR1, usr1);
		signal(SIGUSR2, SIG_IGN);
		dup3(1, 50, O_CLOEXEC);
		dup2(1, 51);
		execv(argv[0], argv);
		_exit(1);
	}
	int status;

	EQ(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == COMPAT_SKIPPED)
		SKIP("no /bin/sh");
	CHECK(WIFSIGNALED(status));
	EQ(WTERMSIG(status), SIGUSR1);
}

/* ---- groups and sessions ---- */

TEST(process_groups)
{
	pid_t pid = OK(fork());

	if (pid == 0) {
		if (setpgid(0, 0) || getpgrp() != getpid())
			_exit(1);
		_exit(0);
	}
	WAIT_EXIT(pid, 0);
	FAILS(setpgid(0x3ffffff, 0), ESRCH);
	FAILS(setpgid(0, -1), EINVAL);
	FAILS(getpgid(0x3ffffff), ESRCH);
	EQ(getpgid(0), getpgrp());
}

/* A zombie is still a child, and its group still a group (a shell whose first job was quick). */
TEST(setpgid_of_a_zombie)
{
	pid_t pid = OK(fork()), second;
	siginfo_t si;
	int fd[2];

	if (pid == 0)
		_exit(0);
	OK(waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT));
	OK(setpgid(pid, pid));
	EQ(getpgid(pid), pid);
	OK(pipe(fd));
	second = OK(fork());
	if (second == 0) {
		char c;

		close(fd[1]);
		_exit(read(fd[0], &c, 1) == 0 && getpgrp() == pid ? 0 : 1);
	}
	OK(setpgid(second, pid));
	close(fd[1]);
	WAIT_EXIT(second, 0);
	WAIT_EXIT(pid, 0);
	FAILS(setpgid(pid, pid), ESRCH);
}

static void *moves_itself(void *arg)
{
	(void)arg;
	FAILS(setpgid((pid_t)syscall(SYS_gettid), 0), EINVAL);
	return NULL;
}

TEST(setpgid_of_a_thread)
{
	pthread_t t;

	EQ(pthread_create(&t, NULL, moves_itself, NULL), 0);
	EQ(pthread_join(t, NULL), 0);
}

/* Lives on by being somebody else all the time. */
static void hop(void)
{
	for (;;) {
		pid_t pid = fork();

		if (pid > 0)
			_exit(0);
	}
}

/* A signal for a group reaches all of it, also who is just forking (POSIX, fork). */
TEST(group_is_killed_at_once)
{
	int status;

	OK(prctl(PR_SET_CHILD_SUBREAPER, 1));
	for (int round = 0; round < 20; round++) {
		pid_t leader = OK(fork());

		if (leader == 0) {
			setpgid(0, 0);
			for (int i = 0; i < 5; i++)
				if (fork() == 0)
					hop();
			for (;;)
				pause();
		}
		setpgid(leader, leader);
		usleep(20000);
		OK(kill(-leader, SIGKILL));
		while (waitpid(-1, &status, 0) > 0)
			;
		EQ(errno, ECHILD);
	}
}

TEST(sessions)
{
	pid_t pid = OK(fork());

	if (pid == 0) {
		if (setsid() != getpid() || getsid(0) != getpid() || getpgrp() != getpid())
			_exit(1);
		if (setsid() != -1 || errno != EPERM)
			_exit(2);
		if (setpgid(0, 0) != -1 || errno != EPERM)
			_exit(3);
		_exit(0);
	}
	WAIT_EXIT(pid, 0);
}

TEST(setpgid_of_child_after_exec)
{
	int fd[2];
	char c;
	pid_t pid;

	OK(pipe2(fd, O_CLOEXEC));
	pid = OK(fork());
	if (pid == 0) {
		char *argv[] = {(char *)"x", (char *)"sleeper", NULL};

		signal(SIGALRM, SIG_DFL);
		execv("/proc/self/exe", argv);
		_exit(1);
	}
	close(fd[1]);
	EQ(read(fd[0], &c, 1), 0); /* closed by exec */
	CHECK(setpgid(pid, pid) == -1);
	CHECK(errno == EACCES || errno == ESRCH); /* ESRCH: it is a zombie already */
	int status;

	EQ(waitpid(pid, &status, 0), pid);
}

/* ---- reparenting ---- */

TEST(orphans_go_to_the_subreaper)
{
	int fd[2], status;
	pid_t child, grandchild, got;

	OK(prctl(PR_SET_CHILD_SUBREAPER, 1));
	OK(pipe(fd));
	child = OK(fork());
	if (child == 0) {
		child = getpid();
		grandchild = fork();
		if (grandchild == 0) {
			while ((got = getppid()) == child)
				usleep(1000);
			(void)!write(fd[1], &got, sizeof(got));
			_exit(12);
		}
		(void)!write(fd[1], &grandchild, sizeof(grandchild));
		_exit(0);
	}
	WAIT_EXIT(child, 0);
	EQ(read(fd[0], &grandchild, sizeof(grandchild)), sizeof(grandchild));
	EQ(read(fd[0], &got, sizeof(got)), sizeof(got));
	EQ(got, getpid());
	EQ(waitpid(grandchild, &status, 0), grandchild);
	EQ(WEXITSTATUS(status), 12);
}

TEST(pdeathsig)
{
	int fd[2];
	char c;
	pid_t pid;

	OK(pipe(fd));
	pid = OK(fork());
	if (pid == 0) {
		pid_t p = fork();

		if (p == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			(void)!write(fd[1], "r", 1);
			for (;;)
				pause();
		}
		(void)!read(fd[0], &c, 1);
		_exit(0);
	}
	close(fd[1]);
	WAIT_EXIT(pid, 0);
	EQ(read(fd[0], &c, 1), 0); /* the last writer died */
}

TEST(orphaned_stopped_group_gets_hup)
{
	int fd[2];
	char c;
	pid_t pid;

	OK(pipe(fd));
	pid = OK(fork());
	if (pid == 0) {
		pid_t p;
		int status;

		setsid();
		p = fork();
		if (p == 0) {
			setpgid(0, 0);
			raise(SIGSTOP);
			(void)!write(fd[1], "?", 1); /* SIGHUP kills it before */
			_exit(0);
		}
		waitpid(p, &status, WUNTRACED);
		_exit(0);
	}
	close(fd[1]);
	WAIT_EXIT(pid, 0);
	EQ(read(fd[0], &c, 1), 0);
}

TEST(many_processes)
{
	for (int i = 0; i < 300; i++) {
		pid_t pid = OK(fork());

		if (pid == 0)
			_exit(i & 127);
		WAIT_EXIT(pid, i & 127);
	}
}

TEST(daemons_outlive_their_parents)
{
	int fd[2];
	char c;

	for (volatile int i = 0; i < 100; i++) {
		pid_t pid;

		OK(pipe(fd));
		pid = OK(i & 1 ? vfork() : fork());
		if (pid == 0) {
			pid = fork();
			if (pid == 0)
				(void)!write(fd[1], "x", 1);
			_exit(0);
		}
		WAIT_EXIT(pid, 0);
		close(fd[1]);
		EQ(read(fd[0], &c, 1), 1);
		close(fd[0]);
	}
}

TEST(many_at_once)
{
	pid_t pid[100];

	for (int i = 0; i < 100; i++) {
		pid[i] = OK(fork());
		if (pid[i] == 0)
			_exit(i);
	}
	for (int i = 0; i < 100; i++)
		WAIT_EXIT(pid[i], i);
}

TEST(many_threads)
{
	pthread_t t[100];

	for (int round = 0; round < 3; round++) {
		for (long i = 0; i < 100; i++)
			EQ(pthread_create(&t[i], NULL, thread_fn, (void *)i), 0);
		for (int i = 0; i < 100; i++)
			EQ(pthread_join(t[i], NULL), 0);
	}
}

TEST(names)
{
	char name[16];

	OK(prctl(PR_SET_NAME, "a-name-that-is-too-long"));
	OK(prctl(PR_GET_NAME, name));
	STR_EQ(name, "a-name-that-is-");
}

/* A limit of CPU time for a process that is a zombie: nothing of it may be left when that goes. */
TEST(cpu_limit_of_a_zombie)
{
	struct rlimit r = {1000, RLIM_INFINITY};
	siginfo_t si;

	for (int i = 0; i < 300; i++) {
		pid_t pid = OK(fork());

		if (pid == 0)
			_exit(0);
		OK(waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT));
		r.rlim_cur = i % 2 ? 0 : 1000;
		OK(prlimit(pid, RLIMIT_CPU, &r, NULL));
		WAIT_EXIT(pid, 0);
	}
	/* Every timer of this process goes by those that were left. */
	for (int i = 0; i < 300; i++)
		usleep(100);
}
