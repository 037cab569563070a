/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The case "windows" of stress.c: every common call that has buffers, over and over, with buffers
 * of usual sizes. tests/stress/run looks afterwards whether the sentry found them all in windows.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/times.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "calls.h"

/* Linux says yes, or says no in the way that is expected here. */
#define DO(call, ...)                                                                              \
	do {                                                                                       \
		static const int fine[] = {0, ##__VA_ARGS__};                                      \
		errno = 0;                                                                         \
		if ((long)(call) < 0)                                                              \
			judge(#call, fine, sizeof(fine) / sizeof(fine[0]));                        \
	} while (0)

static char buf[65536];

static void judge(const char *call, const int *fine, size_t count)
{
	for (size_t i = 1; i < count; i++)
		if (errno == fine[i])
			return;
	fprintf(stderr, "stress: %s: %s\n", call, strerror(errno));
	exit(1);
}

static void on_data(int fd)
{
	struct iovec v[3] = {{buf, 100}, {buf + 200, 300}, {buf + 1000, 4096}};
	int null = open("/dev/null", O_WRONLY);
	off_t at = 0;

	DO(pwrite(fd, buf, 8192, 0));
	DO(pread(fd, buf, 4096, 0));
	DO(lseek(fd, 0, SEEK_SET));
	DO(write(fd, buf, 1));
	DO(read(fd, buf, 60000));
	DO(preadv(fd, v, 3, 0));
	DO(pwritev(fd, v, 3, 0));
	DO(sendfile(null, fd, &at, 100));
	DO(close(null));
}

static void on_descriptors(int fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
	struct statfs sf;
	struct stat st;

	DO(fstat(fd, &st));
	DO(fstatfs(fd, &sf));
	DO(fcntl(fd, F_SETLK, &lock));
	DO(fcntl(fd, F_GETLK, &lock));
	DO(fcntl(fd, F_SETFD, FD_CLOEXEC));
	DO(ftruncate(fd, 8192));
	DO(futimens(fd, (const struct timespec[2]){{1, 2}, {3, 4}}));
	DO(tcgetattr(fd, &(struct termios){0}), ENOTTY);
}

static void on_names(void)
{
	struct statfs sf;
	struct statx sx;
	struct stat st;
	int fd;

	DO(stat("/tmp/calls", &st));
	DO(lstat("/tmp/calls", &st));
	DO(fstatat(AT_FDCWD, "/tmp/none", &st, 0), ENOENT);
	DO(statx(AT_FDCWD, "/tmp/calls", 0, STATX_BASIC_STATS, &sx));
	DO(statfs("/tmp", &sf));
	DO(access("/tmp/calls", R_OK));
	DO(faccessat(AT_FDCWD, "/tmp/calls", W_OK, 0));
	DO(mkdir("/tmp/d", 0700));
	DO(symlink("calls", "/tmp/d/link"));
	DO(readlink("/tmp/d/link", buf, 1000));
	DO(link("/tmp/calls", "/tmp/d/hard"));
	DO(rename("/tmp/d/hard", "/tmp/d/other"));
	DO(chmod("/tmp/d/other", 0600));
	DO(chown("/tmp/d/other", 0, 0));
	DO(truncate("/tmp/d/other", 8192));
	DO(getxattr("/tmp/d/other", "user.none", buf, 100), ENODATA, EOPNOTSUPP);
	DO(listxattr("/tmp/d/other", buf, 100));
	fd = open("/tmp/d", O_RDONLY | O_DIRECTORY);
	DO(fd);
	DO(syscall(SYS_getdents64, fd, buf, 32768));
	DO(close(fd));
	DO(unlink("/tmp/d/other"));
	DO(unlinkat(AT_FDCWD, "/tmp/d/link", 0));
	DO(rmdir("/tmp/d"));
	DO(getcwd(buf, 4096) ? 0 : -1);
	DO(chdir("/"));
}

static void on_pipes(void)
{
	struct epoll_event ev = {.events = EPOLLIN};
	struct timespec none = {0, 0};
	struct timeval none_too = {0, 0};
	fd_set set;
	int p[2], ep = epoll_create1(0), efd = eventfd(1, 0);
	struct pollfd pfd;
	off_t at = 0;

	DO(pipe2(p, O_CLOEXEC));
	DO(write(p[1], buf, 4096));
	pfd = (struct pollfd){.fd = p[0], .events = POLLIN};
	DO(poll(&pfd, 1, 0));
	DO(ppoll(&pfd, 1, &none, NULL));
	FD_ZERO(&set);
	FD_SET(p[0], &set);
	DO(select(p[0] + 1, &set, NULL, NULL, &none_too));
	DO(pselect(p[0] + 1, &set, NULL, NULL, &none, NULL));
	DO(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &ev));
	DO(epoll_wait(ep, &ev, 1, 0));
	DO(ioctl(p[0], FIONREAD, &(int){0}));
	DO(read(p[0], buf, 4096));
	DO(read(efd, buf, 8));
	DO(splice(3, &at, p[1], NULL, 100, 0));
	close(p[0]);
	close(p[1]);
	close(ep);
	close(efd);
}

static void on_sockets(void)
{
	struct iovec v = {buf, 500};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
	struct sockaddr_storage name;
	socklen_t size = sizeof(name);
	int s[2], value;

	DO(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	DO(sendmsg(s[0], &m, 0));
	DO(recvmsg(s[1], &m, 0));
	DO(send(s[0], buf, 500, 0));
	DO(recv(s[1], buf, 500, 0));
	DO(getsockname(s[0], (struct sockaddr *)&name, &size));
	size = sizeof(value);
	DO(getsockopt(s[0], SOL_SOCKET, SO_TYPE, &value, &size));
	close(s[0]);
	close(s[1]);
}

static void on_time(void)
{
	struct itimerval never = {0};
	struct itimerspec later = {.it_value = {1000, 0}};
	struct timespec ts = {0, 1};
	struct timeval tv;
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);

	DO(timerfd_settime(fd, 0, &later, NULL));
	DO(timerfd_gettime(fd, &later));
	close(fd);
	DO(setitimer(ITIMER_VIRTUAL, &never, NULL));
	DO(getitimer(ITIMER_VIRTUAL, &never));
	DO(nanosleep(&ts, NULL));
	DO(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &ts, NULL));
	DO(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ts));
	DO(syscall(SYS_clock_getres, CLOCK_MONOTONIC, &ts));
	DO(syscall(SYS_gettimeofday, &tv, NULL));
	DO(syscall(SYS_time, NULL));
}

static void on_task(void)
{
	struct sigaction sa = {.sa_handler = SIG_IGN}, was;
	stack_t stack;
	sigset_t set, old;
	cpu_set_t cpus;
	struct utsname un;
	struct sysinfo si;
	struct rusage ru;
	struct rlimit rl;
	struct tms tms;
	uid_t ids[3];
	void *list;
	size_t size;
	struct __user_cap_header_struct cap = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct caps[2];

	sigemptyset(&set);
	DO(sigaction(SIGUSR2, &sa, &was));
	DO(sigprocmask(SIG_BLOCK, &set, &old));
	DO(sigpending(&set));
	DO(sigaltstack(NULL, &stack));
	DO(prctl(PR_SET_NAME, "stress"));
	DO(prctl(PR_GET_NAME, buf));
	DO(sched_getaffinity(0, sizeof(cpus), &cpus));
	DO(uname(&un));
	DO(sysinfo(&si));
	DO(getrusage(RUSAGE_SELF, &ru));
	DO(getrlimit(RLIMIT_NOFILE, &rl));
	DO(prlimit(0, RLIMIT_NOFILE, NULL, &rl));
	DO(times(&tms));
	DO(getresuid(&ids[0], &ids[1], &ids[2]));
	DO(getgroups(3, ids));
	DO(getrandom(buf, 256, 0));
	DO(syscall(SYS_get_robust_list, 0, &list, &size));
	DO(syscall(SYS_capget, &cap, caps));
	DO(wait4(-1, &(int){0}, WNOHANG, &ru), ECHILD);
}

void common_calls(long n)
{
	int fd = open("/tmp/calls", O_RDWR | O_CREAT, 0600);

	if (fd != 3) /* on_data and on_pipes know it by its number */
		judge("open", NULL, 0);
	while (n--) {
		on_data(fd);
		on_descriptors(fd);
		on_names();
		on_pipes();
		on_sockets();
		on_time();
		on_task();
	}
}
