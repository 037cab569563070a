/* SPDX-License-Identifier: Apache-2.0 */
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <grp.h>

#include "compat.h"

static void need_root(void)
{
	if (getuid() != 0)
		SKIP("not root");
}

static unsigned long long caps(int which)
{
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2];

	OK(syscall(SYS_capget, &h, d));
	switch (which) {
	case 'e':
		return d[0].effective | (unsigned long long)d[1].effective << 32;
	case 'p':
		return d[0].permitted | (unsigned long long)d[1].permitted << 32;
	default:
		return d[0].inheritable | (unsigned long long)d[1].inheritable << 32;
	}
}

TEST(setuid_from_root_is_for_good)
{
	uid_t r, e, s;

	need_root();
	OK(setuid(1000));
	OK(getresuid(&r, &e, &s));
	EQ(r, 1000);
	EQ(e, 1000);
	EQ(s, 1000);
	FAILS(setuid(0), EPERM);
	EQ(caps('e'), 0);
	EQ(caps('p'), 0);
}

/* Who is passed a descriptor may not give its file a name; who has opened it may (Linux 6.10). */
TEST(link_of_a_descriptor)
{
	int passed, own;

	need_root();
	passed = OK(open("f", O_RDWR | O_CREAT, 0666));
	OK(fchmod(passed, 0666));
	OK(chmod(".", 0777));
	OK(setgid(1000));
	OK(setuid(1000));
	FAILS(linkat(passed, "", AT_FDCWD, "g", AT_EMPTY_PATH), ENOENT);
	FAILS(linkat(-1, "", AT_FDCWD, "g", AT_EMPTY_PATH), EBADF);
	own = OK(open("f", O_RDWR));
	if (linkat(own, "", AT_FDCWD, "g", AT_EMPTY_PATH) < 0 && errno == ENOENT)
		SKIP("before Linux 6.10");
	OK(access("g", F_OK));
}

TEST(seteuid_and_back)
{
	unsigned long long before = caps('p');

	need_root();
	OK(seteuid(1000));
	EQ(geteuid(), 1000);
	EQ(getuid(), 0);
	EQ(caps('e'), 0);
	EQ(caps('p'), before);
	OK(seteuid(0));
	EQ(caps('e'), before);
}

TEST(setreuid_rules)
{
	uid_t r, e, s;

	need_root();
	OK(setreuid(1000, 2000));
	OK(getresuid(&r, &e, &s));
	EQ(r, 1000);
	EQ(e, 2000);
	EQ(s, 2000);
	OK(setreuid(2000, 1000));
	FAILS(setreuid(3000, (uid_t)-1), EPERM);
	FAILS(setresuid(3000, (uid_t)-1, (uid_t)-1), EPERM);
	OK(setresuid((uid_t)-1, (uid_t)-1, 1000));
}

TEST(groups)
{
	gid_t set[3] = {30, 10, 20}, got[8], r, e, s;

	need_root();
	OK(setgroups(3, set));
	EQ(getgroups(0, NULL), 3);
	FAILS(getgroups(2, got), EINVAL);
	EQ(getgroups(8, got), 3);
	EQ(got[0] + got[1] + got[2], 60);
	OK(setresgid(5, 6, 7));
	OK(getresgid(&r, &e, &s));
	EQ(r, 5);
	EQ(e, 6);
	EQ(s, 7);
	OK(setuid(1000));
	FAILS(setgroups(1, set), EPERM);
	FAILS(setgid(99), EPERM);
	OK(setgid(7));
}

TEST(fsuid)
{
	need_root();
	EQ(setfsuid(1000), 0);
	EQ(setfsuid((uid_t)-1), 1000);
	OK(seteuid(2000));
	EQ(setfsuid((uid_t)-1), 2000);
}

TEST(capset_only_drops)
{
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2] = {{0}};

	need_root();
	OK(syscall(SYS_capset, &h, d));
	EQ(caps('e'), 0);
	d[0].effective = d[0].permitted = 1;
	FAILS(syscall(SYS_capset, &h, d), EPERM);
	h.version = 0;
	FAILS(syscall(SYS_capget, &h, d), EINVAL);
	EQ(h.version, _LINUX_CAPABILITY_VERSION_3);
}

TEST(keepcaps)
{
	unsigned long long before = caps('p');

	need_root();
	OK(prctl(PR_SET_KEEPCAPS, 1));
	OK(setuid(1000));
	EQ(caps('p'), before);
	EQ(caps('e'), 0);
}

TEST(ambient)
{
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2];

	need_root();
	OK(syscall(SYS_capget, &h, d));
	if (!(d[0].permitted & (1 << CAP_NET_BIND_SERVICE)))
		SKIP("no such capability");
	FAILS(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 99, 0, 0), EINVAL);
	d[0].inheritable = 1 << CAP_NET_BIND_SERVICE;
	d[1].inheritable = 0;
	OK(syscall(SYS_capset, &h, d));
	OK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_BIND_SERVICE, 0, 0));
	EQ(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_NET_BIND_SERVICE, 0, 0), 1);
	OK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0));
	EQ(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_NET_BIND_SERVICE, 0, 0), 0);
}

TEST(no_new_privs)
{
	FAILS(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0), EINVAL);
	OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
}

TEST(bounding_set)
{
	FAILS(prctl(PR_CAPBSET_READ, 99), EINVAL);
	if (getuid() == 0 && (caps('e') & (1ull << CAP_SETPCAP))) {
		OK(prctl(PR_CAPBSET_DROP, CAP_SYS_TIME));
		EQ(prctl(PR_CAPBSET_READ, CAP_SYS_TIME), 0);
	}
}

TEST(signals_between_users)
{
	pid_t other, killer;
	int ready[2], status;
	char byte;

	need_root();
	OK(pipe(ready));
	other = OK(fork());
	if (other == 0) {
		OK(setuid(1001));
		OK(write(ready[1], "x", 1));
		for (;;)
			pause();
	}
	EQ(read(ready[0], &byte, 1), 1);
	killer = OK(fork());
	if (killer == 0) {
		OK(setuid(1000));
		_exit(kill(other, SIGTERM) == -1 && errno == EPERM ? 0 : 1);
	}
	/* The other one goes whatever came of it. */
	EQ(waitpid(killer, &status, 0), killer);
	OK(kill(other, SIGKILL));
	EQ(waitpid(other, NULL, 0), other);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST(rlimits)
{
	struct rlimit r, old;

	OK(getrlimit(RLIMIT_NOFILE, &old));
	r = old;
	r.rlim_cur = 10;
	OK(setrlimit(RLIMIT_NOFILE, &r));
	OK(prlimit(0, RLIMIT_NOFILE, NULL, &r));
	EQ(r.rlim_cur, 10);
	r.rlim_cur = r.rlim_max + 1;
	if (r.rlim_max != RLIM_INFINITY)
		FAILS(setrlimit(RLIMIT_NOFILE, &r), EINVAL);
	FAILS(getrlimit((__rlimit_resource_t)77, &r), EINVAL);
	FAILS(prlimit(0x3ffffff, RLIMIT_NOFILE, NULL, &r), ESRCH);
}

TEST(cpu_limit)
{
	struct rlimit r = {1, RLIM_INFINITY};
	int status;
	pid_t pid = OK(fork());

	if (pid == 0) {
		setrlimit(RLIMIT_CPU, &r);
		if (fork() == 0) { /* counts anew */
			wait(&status);
			_exit(0);
		}
		for (;;)
			;
	}
	EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status));
	EQ(WTERMSIG(status), SIGXCPU);
}

/* That it was forked from the one who asks doesn't matter, nor that both have the same ids. */
TEST(not_dumpable_is_private)
{
	char path[64], word;
	int ready[2], status;
	pid_t pid;

	need_root();
	OK(setuid(1000));
	OK(prctl(PR_SET_DUMPABLE, 1));
	OK(pipe(ready));
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_DUMPABLE, 0);
		status = open("/proc/self/maps", O_RDONLY);
		if (status < 0 || read(status, &word, 1) != 1 || write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	EQ(read(ready[0], &word, 1), 1);
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	FAILS(open(path, O_RDONLY), EACCES);
	snprintf(path, sizeof(path), "/proc/%d/environ", pid);
	FAILS(open(path, O_RDONLY), EACCES);
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	FAILS(open(path, O_RDONLY), EACCES);
	kill(pid, SIGKILL);
	EQ(waitpid(pid, &status, 0), pid);
	EQ(WTERMSIG(status), SIGKILL);
}

TEST(dumpable_and_names)
{
	OK(prctl(PR_SET_DUMPABLE, 0));
	EQ(prctl(PR_GET_DUMPABLE), 0);
	OK(prctl(PR_SET_DUMPABLE, 1));
	EQ(prctl(PR_GET_DUMPABLE), 1);
	FAILS(prctl(PR_SET_PDEATHSIG, 77), EINVAL);
	FAILS(prctl(0x7777), EINVAL);
}
