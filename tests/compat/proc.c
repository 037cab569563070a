/* SPDX-License-Identifier: Apache-2.0 */
/* /proc: what programs read there, in the form in which they parse it. */
#include <ctype.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include "compat.h"

static char text[1 << 18];

/* A whole file, as a string. */
static size_t read_all(int line, const char *path)
{
	int fd = open(path, O_RDONLY);
	size_t size = 0;
	ssize_t n;

	if (fd < 0)
		compat_fail(line, "open %s: %s", path, strerrorname_np(errno));
	while ((n = read(fd, text + size, sizeof(text) - 1 - size)) > 0)
		size += (size_t)n;
	if (n < 0)
		compat_fail(line, "read %s: %s", path, strerrorname_np(errno));
	close(fd);
	text[size] = 0;
	return size;
}
#define READ(path) read_all(__LINE__, path)

/* Where the value of "Name:\tvalue" begins in text. */
static const char *field(int line, const char *name)
{
	size_t size = strlen(name);

	for (const char *at = text; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (strncmp(at, name, size) == 0 && at[size] == ':')
			return at + size + 1 + strspn(at + size + 1, " \t");
	}
	compat_fail(line, "no field %s", name);
}
#define FIELD(name) field(__LINE__, name)

static const char *link_of(int line, const char *path)
{
	static char target[PATH_MAX];
	ssize_t n = readlink(path, target, sizeof(target) - 1);

	if (n < 0)
		compat_fail(line, "readlink %s: %s", path, strerrorname_np(errno));
	target[n] = 0;
	return target;
}
#define LINK(path) link_of(__LINE__, path)

TEST(self)
{
	char want[64];

	snprintf(want, sizeof(want), "%d", getpid());
	STR_EQ(LINK("/proc/self"), want);
	snprintf(want, sizeof(want), "%d/task/%d", getpid(), gettid());
	STR_EQ(LINK("/proc/thread-self"), want);
}

TEST(status)
{
	OK(prctl(PR_SET_NAME, "proc test"));
	READ("/proc/self/status");
	CHECK(strncmp(FIELD("Name"), "proc test\n", 10) == 0);
	EQ(atoi(FIELD("Pid")), getpid());
	EQ(atoi(FIELD("PPid")), getppid());
	EQ(atoi(FIELD("Tgid")), getpid());
	EQ(atoi(FIELD("Threads")), 1);
	EQ(atoi(FIELD("Uid")), getuid());
	EQ(*FIELD("State"), 'R');
	EQ(strtol(FIELD("Umask"), NULL, 8), 022);
	CHECK(atoi(FIELD("VmSize")) > 0);
	CHECK(atoi(FIELD("VmRSS")) > 0);
}

TEST(status_signals)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGRTMIN + 1);
	OK(sigprocmask(SIG_BLOCK, &set, NULL));
	signal(SIGUSR2, SIG_IGN);
	OK(kill(getpid(), SIGUSR1));
	READ("/proc/self/status");
	EQ(strtoull(FIELD("SigBlk"), NULL, 16), 1ull << (SIGUSR1 - 1) | 1ull << (SIGRTMIN + 1 - 1));
	EQ(strtoull(FIELD("ShdPnd"), NULL, 16), 1ull << (SIGUSR1 - 1));
	CHECK(strtoull(FIELD("SigIgn"), NULL, 16) & 1ull << (SIGUSR2 - 1));
}

TEST(stat_fields)
{
	int ppid, pgrp, session, count = 0;
	char state, *behind;

	OK(prctl(PR_SET_NAME, "a) b (c"));
	READ("/proc/self/stat");
	EQ(atoi(text), getpid());
	behind = strrchr(text, ')');
	CHECK(behind != NULL);
	EQ(strncmp(strchr(text, '('), "(a) b (c)", 9), 0);
	EQ(sscanf(behind + 2, "%c %d %d %d", &state, &ppid, &pgrp, &session), 4);
	EQ(state, 'R');
	EQ(ppid, getppid());
	EQ(pgrp, getpgrp());
	EQ(session, getsid(0));
	for (char *s = strtok(behind + 2, " \n"); s; s = strtok(NULL, " \n"))
		count++;
	EQ(count, 50);
}

TEST(statm)
{
	unsigned long size, resident;

	READ("/proc/self/statm");
	EQ(sscanf(text, "%lu %lu", &size, &resident), 2);
	CHECK(size >= resident && resident > 0);
}

TEST(state_of_others)
{
	char path[64];
	int status;
	pid_t pid = OK(fork());

	if (pid == 0) {
		raise(SIGSTOP);
		_exit(0);
	}
	OK(waitpid(pid, &status, WUNTRACED));
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	READ(path);
	EQ(*FIELD("State"), 'T');
	OK(kill(pid, SIGCONT));
	OK(waitid(P_PID, (id_t)pid, NULL, WEXITED | WNOWAIT));
	READ(path);
	EQ(*FIELD("State"), 'Z');
	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	EQ(READ(path), 0);
	OK(waitpid(pid, NULL, 0));
	FAILS(open(path, O_RDONLY), ENOENT);
}

/* A directory that is held open while its process goes. */
TEST(process_gone)
{
	char path[64];
	int dir;
	pid_t pid = OK(fork());

	if (pid == 0)
		for (;;)
			pause();
	snprintf(path, sizeof(path), "/proc/%d", pid);
	dir = OK(open(path, O_RDONLY | O_DIRECTORY));
	close(OK(openat(dir, "stat", O_RDONLY)));
	OK(kill(pid, SIGKILL));
	OK(waitpid(pid, NULL, 0));
	CHECK(openat(dir, "stat", O_RDONLY) == -1 && (errno == ESRCH || errno == ENOENT));
}

TEST(comm)
{
	int fd = OK(open("/proc/self/comm", O_RDWR));
	char name[16];

	EQ(write(fd, "new-name", 8), 8);
	READ("/proc/self/comm");
	STR_EQ(text, "new-name\n");
	OK(prctl(PR_GET_NAME, name));
	STR_EQ(name, "new-name");
}

TEST(cmdline)
{
	CHECK(READ("/proc/self/cmdline") > 0);
	CHECK(strstr(text, "proc") != NULL);
	CHECK(strcmp(program_invocation_name, text) == 0);
}

TEST(environ)
{
	pid_t pid = OK(fork());

	if (pid == 0) {
		char *envp[] = {"COMPAT_MARK=here", NULL};

		execve("/proc/self/exe", (char *[]){"proc", "print_environ", NULL}, envp);
		_exit(99);
	}
	WAIT_EXIT(pid, 0);
}

TEST(print_environ)
{
	size_t size = READ("/proc/self/environ");

	if (!getenv("COMPAT_MARK"))
		return;
	EQ(size, sizeof("COMPAT_MARK=here"));
	STR_EQ(text, "COMPAT_MARK=here");
}

TEST(auxv)
{
	size_t size = READ("/proc/self/auxv");
	const uint64_t *words = (const void *)text;
	bool page_size = false;

	EQ(size % 16, 0);
	for (size_t i = 0; i < size / 8; i += 2)
		page_size |= words[i] == 6 && words[i + 1] == 4096;
	CHECK(page_size);
}

TEST(exe_cwd_root)
{
	struct stat by_link, by_name;
	char cwd[PATH_MAX];

	CHECK(getcwd(cwd, sizeof(cwd)) != NULL);
	STR_EQ(LINK("/proc/self/cwd"), cwd);
	STR_EQ(LINK("/proc/self/root"), "/");
	OK(stat(LINK("/proc/self/exe"), &by_name));
	OK(stat("/proc/self/exe", &by_link));
	EQ(by_link.st_ino, by_name.st_ino);
	OK(stat("/proc/self/cwd/.", &by_link));
	OK(stat(".", &by_name));
	EQ(by_link.st_ino, by_name.st_ino);
}

TEST(cwd_deleted)
{
	char want[PATH_MAX + 16];

	OK(mkdir("gone", 0755));
	OK(chdir("gone"));
	CHECK(getcwd(want, PATH_MAX) != NULL);
	strcat(want, " (deleted)");
	OK(rmdir("../gone"));
	STR_EQ(LINK("/proc/self/cwd"), want);
}

TEST(fds)
{
	int fd = OK(open("file", O_RDWR | O_CREAT, 0644)), fds[2], reopened;
	char path[64], cwd[PATH_MAX];
	struct stat st;

	CHECK(getcwd(cwd, sizeof(cwd) - 8) != NULL);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	STR_EQ(LINK(path), strcat(cwd, "/file"));
	OK(lstat(path, &st));
	EQ(st.st_mode, S_IFLNK | 0700);
	EQ(write(fd, "content", 7), 7);
	reopened = OK(open(path, O_RDONLY));
	EQ(read(reopened, text, 10), 7);
	OK(unlink("file"));
	CHECK(strstr(LINK(path), "/file (deleted)") != NULL);
	reopened = OK(open(path, O_RDONLY));
	EQ(read(reopened, text, 10), 7);
	OK(pipe(fds));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[0]);
	OK(fstat(fds[0], &st));
	snprintf(text, sizeof(text), "pipe:[%ju]", (uintmax_t)st.st_ino);
	STR_EQ(LINK(path), text);
	OK(lstat(path, &st));
	EQ(st.st_mode, S_IFLNK | 0500);
	FAILS(open("/proc/self/fd/999", O_RDONLY), ENOENT);
	FAILS(open("/proc/self/fd/01", O_RDONLY), ENOENT);
}

static int count_entries(int line, const char *path)
{
	DIR *dir = opendir(path);
	int count = 0;

	if (!dir)
		compat_fail(line, "opendir %s: %s", path, strerrorname_np(errno));
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}
#define ENTRIES(path) count_entries(__LINE__, path)

TEST(fd_listing)
{
	int before = ENTRIES("/proc/self/fd"), many[100];

	for (int i = 0; i < 100; i++)
		many[i] = OK(dup(1));
	EQ(ENTRIES("/proc/self/fd"), before + 100);
	EQ(ENTRIES("/proc/self/fdinfo"), before + 100);
	for (int i = 0; i < 100; i++)
		close(many[i]);
	EQ(ENTRIES("/proc/self/fd"), before);
}

TEST(fdinfo)
{
	int fd = OK(open("file", O_RDWR | O_CREAT | O_APPEND, 0644));
	char path[64];

	EQ(write(fd, "abcdef", 6), 6);
	OK(lseek(fd, 3, SEEK_SET));
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	READ(path);
	EQ(atoi(FIELD("pos")), 3);
	EQ(strtol(FIELD("flags"), NULL, 8) & (O_ACCMODE | O_APPEND), O_RDWR | O_APPEND);
}

TEST(maps)
{
	char *page =
	    OK(mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	bool found = false, stack = false, exe = false;

	OK(mprotect(page + 4096, 4096, PROT_READ));
	READ("/proc/self/maps");
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		unsigned long start, end, offset, inode;
		unsigned major_number, minor_number;
		char prot[8];
		int name = 0;

		EQ(sscanf(line, "%lx-%lx %4s %lx %x:%x %lu %n", &start, &end, prot, &offset,
			  &major_number, &minor_number, &inode, &name),
		   7);
		if (start == (uintptr_t)page + 4096 && end == start + 4096)
			found = strcmp(prot, "r--p") == 0 && inode == 0;
		if (line[name]) {
			EQ(name, 73);
			stack |= strcmp(line + 73, "[stack]") == 0;
			exe |= line[73] == '/' && inode != 0 && strcmp(prot, "r-xp") == 0;
		}
	}
	CHECK(found);
	CHECK(stack);
	CHECK(exe);
}

TEST(smaps)
{
	CHECK(READ("/proc/self/smaps") > 0);
	CHECK(atoi(FIELD("Size")) > 0);
	FIELD("Rss");
	FIELD("VmFlags");
	READ("/proc/self/smaps_rollup");
	CHECK(atoi(FIELD("Rss")) > 0);
}

TEST(mem)
{
	volatile int value = 1234;
	int fd = OK(open("/proc/self/mem", O_RDWR)), got, set = 5678;

	EQ(pread(fd, &got, sizeof(got), (off_t)(uintptr_t)&value), sizeof(got));
	EQ(got, 1234);
	EQ(pwrite(fd, &set, sizeof(set), (off_t)(uintptr_t)&value), sizeof(set));
	EQ(value, 5678);
	FAILS(pread(fd, &got, sizeof(got), 16), EIO);
}

static void *wait_thread(void *arg)
{
	char c;

	prctl(PR_SET_NAME, "second");
	(void)!write(((int *)arg)[3], "x", 1);
	(void)!read(((int *)arg)[0], &c, 1);
	return NULL;
}

TEST(threads)
{
	int pipes[4];
	pthread_t thread;
	char c;

	OK(pipe(pipes));
	OK(pipe(pipes + 2));
	EQ(ENTRIES("/proc/self/task"), 3);
	EQ(pthread_create(&thread, NULL, wait_thread, pipes), 0);
	EQ(read(pipes[2], &c, 1), 1);
	EQ(ENTRIES("/proc/self/task"), 4);
	READ("/proc/self/status");
	EQ(atoi(FIELD("Threads")), 2);
	EQ(write(pipes[1], "x", 1), 1);
	EQ(pthread_join(thread, NULL), 0);
}

TEST(limits)
{
	struct rlimit limit;

	OK(getrlimit(RLIMIT_NOFILE, &limit));
	limit.rlim_cur = 77;
	OK(setrlimit(RLIMIT_NOFILE, &limit));
	READ("/proc/self/limits");
	CHECK(strncmp(text, "Limit                     Soft Limit           Hard Limit ", 57) == 0);
	CHECK(strstr(text, "Max open files            77 ") != NULL);
}

TEST(oom_score_adj)
{
	int fd = OK(open("/proc/self/oom_score_adj", O_RDWR));

	EQ(write(fd, "500\n", 4), 4);
	READ("/proc/self/oom_score_adj");
	STR_EQ(text, "500\n");
	FAILS(write(fd, "1001", 4), EINVAL);
	FAILS(write(fd, "x", 1), EINVAL);
}

TEST(mounts)
{
	bool root = false, proc = false;
	FILE *f;
	char line[4096];

	READ("/proc/mounts");
	CHECK(strstr(text, " /proc proc rw") != NULL);
	f = fopen("/proc/self/mountinfo", "r");
	CHECK(f != NULL);
	while (fgets(line, sizeof(line), f)) {
		char where[1024];
		int id, parent;

		EQ(sscanf(line, "%d %d %*d:%*d %*s %1023s", &id, &parent, where), 3);
		CHECK(strstr(line, " - ") != NULL);
		root |= strcmp(where, "/") == 0;
		proc |= strcmp(where, "/proc") == 0 && strstr(line, " - proc ");
	}
	CHECK(root);
	CHECK(proc);
}

TEST(namespaces)
{
	unsigned number;

	EQ(sscanf(LINK("/proc/self/ns/pid"), "pid:[%u]", &number), 1);
	CHECK(number > 0);
	EQ(sscanf(LINK("/proc/self/ns/mnt"), "mnt:[%u]", &number), 1);
}

TEST(rewind_reads_anew)
{
	int fd = OK(open("/proc/self/comm", O_RDONLY));
	char buf[32];

	OK(prctl(PR_SET_NAME, "first"));
	EQ(read(fd, buf, sizeof(buf)), 6);
	OK(prctl(PR_SET_NAME, "another"));
	EQ(read(fd, buf, sizeof(buf)), 0);
	OK(lseek(fd, 0, SEEK_SET));
	EQ(read(fd, buf, sizeof(buf)), 8);
	EQ(pread(fd, buf, sizeof(buf), 3), 5);
	MEM_EQ(buf, "ther\n", 5);
}

TEST(small_reads)
{
	char whole[8192];
	int fd = OK(open("/proc/self/limits", O_RDONLY));
	size_t size = READ("/proc/self/limits"), at = 0;
	ssize_t n;

	while ((n = read(fd, whole + at, 7)) > 0)
		at += (size_t)n;
	EQ(at, size);
	MEM_EQ(whole, text, size);
}

TEST(kernel_files)
{
	struct utsname u;
	double up;

	READ("/proc/uptime");
	EQ(sscanf(text, "%lf", &up), 1);
	READ("/proc/loadavg");
	EQ(sscanf(text, "%lf", &up), 1);
	READ("/proc/version");
	OK(uname(&u));
	CHECK(strncmp(text, "Linux version ", 14) == 0);
	CHECK(strncmp(text + 14, u.release, strlen(u.release)) == 0);
	READ("/proc/meminfo");
	CHECK(atol(FIELD("MemTotal")) > 0);
	CHECK(atol(FIELD("MemAvailable")) > 0);
	READ("/proc/cpuinfo");
	CHECK(strncmp(text, "processor\t: 0\n", 14) == 0);
	READ("/proc/stat");
	CHECK(strncmp(text, "cpu  ", 5) == 0);
	CHECK(strstr(text, "\nbtime ") != NULL);
	READ("/proc/filesystems");
	CHECK(strstr(text, "nodev\tproc\n") != NULL);
}

TEST(sysctls)
{
	struct utsname u;

	OK(uname(&u));
	READ("/proc/sys/kernel/osrelease");
	EQ(strncmp(text, u.release, strlen(u.release)), 0);
	READ("/proc/sys/kernel/hostname");
	EQ(strncmp(text, u.nodename, strlen(u.nodename)), 0);
	READ("/proc/sys/kernel/pid_max");
	CHECK(atoi(text) > 1000);
	EQ(READ("/proc/sys/kernel/random/uuid"), 37);
	EQ(text[14], '4');
	READ("/proc/sys/kernel/random/boot_id");
	memcpy(text + 4096, text, 37);
	READ("/proc/sys/kernel/random/boot_id");
	MEM_EQ(text, text + 4096, 37);
	READ("/proc/sys/vm/overcommit_memory");
	READ("/proc/sys/fs/nr_open");
	CHECK(atoi(text) >= 1024);
}

TEST(read_only)
{
	FAILS(open("/proc/nothing-here", O_RDWR | O_CREAT, 0644), ENOENT);
	FAILS(mkdir("/proc/dir", 0755), ENOENT);
	FAILS(unlink("/proc/version"), EPERM);
}

/* Another user's private parts. */
TEST(privacy)
{
	char path[64];
	pid_t pid = getpid(), child;
	int status;

	child = OK(fork());
	if (child == 0)
		_exit(setgid(12345) == 0 && setuid(12345) == 0 ? 0 : 1);
	EQ(waitpid(child, &status, 0), child);
	if (status)
		SKIP("may not change its user");
	child = OK(fork());
	if (child == 0) {
		OK(setgid(12345));
		OK(setuid(12345));
		snprintf(path, sizeof(path), "/proc/%d/environ", pid);
		FAILS(open(path, O_RDONLY), EACCES);
		snprintf(path, sizeof(path), "/proc/%d/mem", pid);
		FAILS(open(path, O_RDONLY), EACCES);
		snprintf(path, sizeof(path), "/proc/%d/maps", pid);
		FAILS(open(path, O_RDONLY), EACCES);
		snprintf(path, sizeof(path), "/proc/%d/fd", pid);
		FAILS(open(path, O_RDONLY | O_DIRECTORY), EACCES);
		snprintf(path, sizeof(path), "/proc/%d/exe", pid);
		FAILS(readlink(path, text, 100), EACCES);
		snprintf(path, sizeof(path), "/proc/%d/status", pid);
		OK(open(path, O_RDONLY));
		snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
		OK(open(path, O_RDONLY));
		_exit(0);
	}
	WAIT_EXIT(child, 0);
}

TEST(system_files)
{
	READ("/sys/devices/system/cpu/online");
	CHECK(isdigit((unsigned char)text[0]));
	CHECK(sysconf(_SC_NPROCESSORS_ONLN) > 0);
	CHECK(sysconf(_SC_NPROCESSORS_CONF) > 0);
}
