/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

#include "compat.h"

static pid_t child_exits(int code)
{
	pid_t pid = OK(fork());

	if (pid == 0)
		_exit(code);
	return pid;
}

static pid_t child_waits(void)
{
	pid_t pid = OK(fork());

	if (pid == 0)
		for (;;)
			pause();
	return pid;
}

TEST(no_children)
{
	int status;

	FAILS(wait(&status), ECHILD);
	FAILS(waitpid(1, &status, 0), ECHILD);
	FAILS(waitpid(getpid(), &status, 0), ECHILD);
}

TEST(nohang)
{
	int status = 77;
	pid_t pid = child_waits();

	EQ(waitpid(pid, &status, WNOHANG), 0);
	EQ(status, 77);
	OK(kill(pid, SIGKILL));
	EQ(waitpid(pid, &status, 0), pid);
	EQ(status, SIGKILL);
}

TEST(any_child)
{
	int status, sum = 0;

	child_exits(1);
	child_exits(2);
	child_exits(4);
	for (int i = 0; i < 3; i++) {
		OK(wait(&status));
		sum += WEXITSTATUS(status);
	}
	EQ(sum, 7);
	FAILS(wait(&status), ECHILD);
}

TEST(by_group)
{
	int status;
	pid_t a = child_waits(), b = child_waits();

	OK(setpgid(b, b));
	OK(kill(a, SIGKILL));
	OK(kill(b, SIGTERM));
	EQ(waitpid(-b, &status, 0), b);
	EQ(status, SIGTERM);
	FAILS(waitpid(-b, &status, 0), ECHILD);
	EQ(waitpid(0, &status, 0), a);
	EQ(status, SIGKILL);
}

TEST(waitid_fields)
{
	siginfo_t info;
	pid_t pid = child_exits(9);

	memset(&info, 0, sizeof(info));
	OK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
	EQ(info.si_pid, pid);
	EQ(info.si_signo, SIGCHLD);
	EQ(info.si_code, CLD_EXITED);
	EQ(info.si_status, 9);
	EQ(info.si_uid, getuid());
	OK(waitid(P_ALL, 0, &info, WEXITED));
	FAILS(waitid(P_PID, (id_t)pid, &info, WEXITED), ECHILD);
	FAILS(waitid(P_PID, (id_t)pid, &info, 0), EINVAL);
	FAILS(waitid((idtype_t)77, 0, &info, WEXITED), EINVAL);
}

TEST(waitid_nohang)
{
	siginfo_t info;
	pid_t pid = child_waits();

	memset(&info, 1, sizeof(info));
	OK(waitid(P_ALL, 0, &info, WEXITED | WNOHANG));
	EQ(info.si_pid, 0);
	OK(kill(pid, SIGKILL));
	OK(waitid(P_PID, (id_t)pid, &info, WEXITED));
	EQ(info.si_code, CLD_KILLED);
	EQ(info.si_status, SIGKILL);
}

TEST(stopped_only_when_asked)
{
	siginfo_t info;
	int status;
	pid_t pid = child_waits();

	OK(kill(pid, SIGSTOP));
	OK(waitid(P_PID, (id_t)pid, &info, WSTOPPED));
	EQ(info.si_code, CLD_STOPPED);
	EQ(info.si_status, SIGSTOP);
	EQ(waitpid(pid, &status, WNOHANG | WUNTRACED), 0); /* told once */
	OK(kill(pid, SIGKILL));
	EQ(waitpid(pid, &status, 0), pid);
	EQ(status, SIGKILL);
}

/* A stopped process takes no signal but SIGKILL before it is continued. */
TEST(terminated_only_when_continued)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		raise(SIGSTOP);
		_exit(0);
	}
	EQ(waitpid(pid, &status, WUNTRACED), pid);
	CHECK(WIFSTOPPED(status));
	OK(kill(pid, SIGTERM));
	EQ(waitpid(pid, &status, WNOHANG | WUNTRACED), 0);
	OK(kill(pid, SIGCONT));
	EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

TEST(ignored_sigchld_reaps)
{
	int status;

	signal(SIGCHLD, SIG_IGN);
	child_exits(1);
	child_exits(2);
	FAILS(wait(&status), ECHILD);
}

TEST(nocldwait_reaps)
{
	struct sigaction sa = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT};
	int status;

	OK(sigaction(SIGCHLD, &sa, NULL));
	child_exits(1);
	FAILS(wait(&status), ECHILD);
}

TEST(clone_child_needs_wclone)
{
	int status;
	pid_t pid = (pid_t)OK(syscall(SYS_clone, 0, 0, 0, 0, 0));

	if (pid == 0)
		_exit(4);
	FAILS(waitpid(pid, &status, 0), ECHILD);
	EQ(waitpid(pid, &status, (int)__WCLONE), pid);
	EQ(WEXITSTATUS(status), 4);
}

static void on_alarm(int signo)
{
	(void)signo;
}

TEST(wait_is_interrupted)
{
	struct sigaction sa = {.sa_handler = on_alarm};
	struct itimerval it = {{0, 0}, {0, 20000}};
	int status;
	pid_t pid = child_waits();

	OK(sigaction(SIGALRM, &sa, NULL));
	OK(setitimer(ITIMER_REAL, &it, NULL));
	FAILS(waitpid(pid, &status, 0), EINTR);
	OK(kill(pid, SIGKILL));
	EQ(waitpid(pid, &status, 0), pid);
}

TEST(rusage_of_child)
{
	struct rusage ru;
	int status;
	pid_t pid = OK(fork());

	if (pid == 0) {
		struct timespec ts;

		do
			clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
		while (ts.tv_sec == 0 && ts.tv_nsec < 50000000);
		_exit(0);
	}
	EQ(wait4(pid, &status, 0, &ru), pid);
	CHECK(ru.ru_utime.tv_sec * 1000000 + ru.ru_utime.tv_usec + ru.ru_stime.tv_usec >= 45000);
	OK(getrusage(RUSAGE_CHILDREN, &ru));
	CHECK(ru.ru_utime.tv_sec * 1000000 + ru.ru_utime.tv_usec + ru.ru_stime.tv_usec >= 45000);
}

TEST(bad_arguments)
{
	int status;

	FAILS(syscall(SYS_wait4, -1, &status, 0x100, 0), EINVAL);
	child_exits(0);
	FAILS(syscall(SYS_wait4, -1, (void *)8, 0, 0), EFAULT);
}
