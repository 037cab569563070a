/* SPDX-License-Identifier: Apache-2.0 */
/*
 * execve and execveat. The program that is executed is this one: with COMPAT_ROLE in its
 * environment it plays a role and exits before any test runs.
 */
#include "compat.h"

#include <elf.h>
#include <limits.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/time.h>

/* ---- roles ---- */

/* Wants these arguments, each in the variable ARG<i>. */
static int role_args(int argc, char **argv)
{
	char name[16];

	for (int i = 0; i < argc; i++) {
		snprintf(name, sizeof(name), "ARG%d", i);
		if (!getenv(name) || strcmp(getenv(name), argv[i]))
			return 1;
	}
	snprintf(name, sizeof(name), "ARG%d", argc);
	return argv[argc] || getenv(name) ? 2 : 0;
}

static int role_no_args(int argc, char **argv)
{
	return argc == 1 && !*argv[0] && !argv[1] ? 0 : 1;
}

/* Which of the descriptors 10..13 are open, as bits. */
static int role_descriptors(int argc, char **argv)
{
	int bits = 0;

	(void)argc;
	(void)argv;
	for (int i = 0; i < 4; i++)
		if (fcntl(10 + i, F_GETFD) >= 0)
			bits |= 1 << i;
	return bits;
}

static int role_signals(int argc, char **argv)
{
	struct sigaction handled, ignored;
	sigset_t mask;

	(void)argc;
	(void)argv;
	sigaction(SIGUSR1, NULL, &handled);
	sigaction(SIGUSR2, NULL, &ignored);
	sigprocmask(SIG_SETMASK, NULL, &mask);
	return (handled.sa_handler == SIG_DFL) | (ignored.sa_handler == SIG_IGN) << 1 |
	       sigismember(&mask, SIGHUP) << 2 | sigismember(&mask, SIGINT) << 3;
}

static int role_name(int argc, char **argv)
{
	char name[17] = "";

	(void)argc;
	(void)argv;
	prctl(PR_GET_NAME, name);
	return strcmp(name, getenv("NAME")) != 0;
}

/* The same process, alone, with its timer. */
static int role_process(int argc, char **argv)
{
	struct itimerval timer;

	(void)argc;
	(void)argv;
	getitimer(ITIMER_REAL, &timer);
	return (getpid() == atoi(getenv("PID"))) | (syscall(SYS_gettid) == getpid()) << 1 |
	       (timer.it_value.tv_sec > 0) << 2;
}

static int role_stack(int argc, char **argv)
{
	size_t size = (size_t)atol(getenv("SIZE"));
	volatile char *deep = __builtin_alloca(size);

	(void)argc;
	(void)argv;
	for (size_t i = size; i > 0; i -= i < 4096 ? i : 4096)
		deep[i - 1] = 1;
	return 0;
}

/* Says that it has begun, and ends when it is told to. */
static int role_waits(int argc, char **argv)
{
	char c;

	(void)argc;
	(void)argv;
	(void)!write(61, "x", 1);
	(void)!read(62, &c, 1);
	return 0;
}

static const struct {
	const char *name;
	int (*play)(int argc, char **argv);
} roles[] = {
    {"args", role_args},       {"no_args", role_no_args}, {"descriptors", role_descriptors},
    {"signals", role_signals}, {"name", role_name},	  {"process", role_process},
    {"stack", role_stack},     {"waits", role_waits},
};

__attribute__((constructor)) static void play_role(int argc, char **argv)
{
	const char *role = getenv("COMPAT_ROLE");

	for (size_t i = 0; role && i < sizeof(roles) / sizeof(roles[0]); i++)
		if (!strcmp(role, roles[i].name))
			_exit(roles[i].play(argc, argv));
}

/* ---- helpers ---- */

#define SELF "/proc/self/exe"

static const char *self_path(void)
{
	static char path[PATH_MAX];
	ssize_t n = readlink(SELF, path, sizeof(path) - 1);

	CHECK(n > 0);
	path[n] = 0;
	return path;
}

static void copy_self(const char *to, int mode)
{
	int in = OK(open(SELF, O_RDONLY)), out = OK(open(to, O_WRONLY | O_CREAT | O_EXCL, 0700));
	struct stat st;
	off_t done = 0;

	OK(fstat(in, &st));
	while (done < st.st_size)
		CHECK(sendfile(out, in, &done, (size_t)(st.st_size - done)) > 0);
	OK(fchmod(out, (mode_t)mode));
	close(in);
	close(out);
}

/* The exit code of path, executed with these. */
static int run(const char *path, char *const *argv, char *const *envp)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		execve(path, argv, envp);
		_exit(100 + errno);
	}
	EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status));
	return WEXITSTATUS(status);
}

#define STRINGS(...)                                                                               \
	(char *const[])                                                                            \
	{                                                                                          \
		__VA_ARGS__, NULL                                                                  \
	}

/* ---- arguments ---- */

TEST(passes_arguments_and_environment)
{
	EQ(run(SELF, STRINGS("zero", "", "two words"),
	       STRINGS("COMPAT_ROLE=args", "ARG0=zero", "ARG1=", "ARG2=two words")),
	   0);
}

TEST(argument_list_is_never_empty)
{
	char *const none[] = {NULL};

	EQ(run(SELF, none, STRINGS("COMPAT_ROLE=no_args")), 0);
}

TEST(long_arguments)
{
	static char big[100000], variable[100010];
	pid_t pid;

	memset(big, 'x', sizeof(big) - 1);
	snprintf(variable, sizeof(variable), "ARG1=%s", big);
	EQ(run(SELF, STRINGS("a", big), STRINGS("COMPAT_ROLE=args", "ARG0=a", variable)), 0);
	pid = fork();
	if (!pid) {
		static char too_big[128 * 1024 + 1];

		memset(too_big, 'x', sizeof(too_big) - 1);
		FAILS(execve(SELF, STRINGS(too_big), STRINGS("A=1")), E2BIG);
		_exit(0);
	}
	WAIT_EXIT(pid, 0);
}

TEST(too_many_arguments)
{
	enum { COUNT = 60 };
	static char big[120000];
	char *argv[COUNT + 1];

	memset(big, 'x', sizeof(big) - 1);
	for (int i = 0; i < COUNT; i++)
		argv[i] = big;
	argv[COUNT] = NULL;
	FAILS(execve(SELF, argv, STRINGS("A=1")), E2BIG);
}

TEST(bad_pointers)
{
	FAILS(execve((char *)8, STRINGS("a"), STRINGS("A=1")), EFAULT);
	FAILS(execve(SELF, (char **)8, STRINGS("A=1")), EFAULT);
	FAILS(execve(SELF, STRINGS((char *)8), STRINGS("A=1")), EFAULT);
	FAILS(execve(SELF, STRINGS("a"), (char **)8), EFAULT);
}

TEST(deep_stack)
{
	EQ(run(SELF, STRINGS("a"), STRINGS("COMPAT_ROLE=stack", "SIZE=6000000")), 0);
}

/* ---- what can't be executed ---- */

#define EXEC_FAILS(path, want) FAILS(execve(path, STRINGS("a"), STRINGS("A=1")), want)

TEST(path_errors)
{
	char name[300];

	EXEC_FAILS("absent", ENOENT);
	EXEC_FAILS("", ENOENT);
	EXEC_FAILS("/", EACCES);
	WRITE_FILE("f", "");
	EXEC_FAILS("f/g", ENOTDIR);
	EXEC_FAILS("f", EACCES);
	OK(symlink("loop", "loop"));
	EXEC_FAILS("loop", ELOOP);
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	EXEC_FAILS(name, ENAMETOOLONG);
	OK(mkfifo("fifo", 0755));
	EXEC_FAILS("fifo", EACCES);
}

TEST(not_a_program)
{
	WRITE_FILE("empty", "");
	WRITE_FILE("text", "echo hello\n");
	WRITE_FILE("almost", "\177ELF");
	OK(chmod("empty", 0755));
	OK(chmod("text", 0755));
	OK(chmod("almost", 0755));
	EXEC_FAILS("empty", ENOEXEC);
	EXEC_FAILS("text", ENOEXEC);
	EXEC_FAILS("almost", ENOEXEC);
}

TEST(another_architecture)
{
	Elf64_Half machine = EM_AARCH64;
	int fd;

	copy_self("f", 0755);
	fd = OK(open("f", O_WRONLY));
	EQ(pwrite(fd, &machine, 2, offsetof(Elf64_Ehdr, e_machine)), 2);
	close(fd);
	EXEC_FAILS("f", ENOEXEC);
}

/* Makes the copy's first note the name of an interpreter. */
static void set_interpreter(const char *file, const char *interp)
{
	int fd = OK(open(file, O_RDWR));
	off_t end = OK(lseek(fd, 0, SEEK_END));
	Elf64_Ehdr eh;
	Elf64_Phdr ph;

	EQ(pread(fd, &eh, sizeof(eh), 0), sizeof(eh));
	EQ(pwrite(fd, interp, strlen(interp) + 1, end), strlen(interp) + 1);
	for (int i = 0; i < eh.e_phnum; i++) {
		off_t at = (off_t)(eh.e_phoff + (size_t)i * sizeof(ph));

		EQ(pread(fd, &ph, sizeof(ph), at), sizeof(ph));
		if (ph.p_type != PT_NOTE)
			continue;
		ph.p_type = PT_INTERP;
		ph.p_offset = (Elf64_Off)end;
		ph.p_filesz = ph.p_memsz = strlen(interp) + 1;
		EQ(pwrite(fd, &ph, sizeof(ph), at), sizeof(ph));
		break;
	}
	close(fd);
}

TEST(missing_interpreter)
{
	copy_self("f", 0755);
	set_interpreter("f", "/no/such/interpreter");
	EXEC_FAILS("f", ENOENT);
}

TEST(bad_interpreter)
{
	WRITE_FILE("/tmp/compat-bad-interp",
		   "this is not an ELF file, but it is longer than its header: "
		   "................................................");
	OK(chmod("/tmp/compat-bad-interp", 0755));
	copy_self("f", 0755);
	set_interpreter("f", "/tmp/compat-bad-interp");
	EXEC_FAILS("f", ELIBBAD);
	OK(unlink("/tmp/compat-bad-interp"));
}

/* A program may be executable without being readable. */
TEST(execute_only)
{
	pid_t pid;

	OK(chmod(".", 0755));
	copy_self("f", 0111);
	pid = fork();
	if (!pid) {
		if (geteuid() == 0) {
			OK(setgid(65534));
			OK(setuid(65534));
		}
		FAILS(open("f", O_RDONLY), EACCES);
		execve("f", STRINGS("a"), STRINGS("COMPAT_ROLE=args", "ARG0=a"));
		_exit(99);
	}
	WAIT_EXIT(pid, 0);
}

/* ---- scripts ---- */

static void write_script(const char *name, const char *interp, const char *rest)
{
	char text[PATH_MAX + 64];

	snprintf(text, sizeof(text), "#!%s%s\n", interp, rest);
	WRITE_FILE(name, text);
	OK(chmod(name, 0755));
}

TEST(script)
{
	char arg0[PATH_MAX + 8];

	write_script("s", self_path(), "  one argument \t");
	snprintf(arg0, sizeof(arg0), "ARG0=%s", self_path());
	EQ(run("s", STRINGS("ignored", "x"),
	       STRINGS("COMPAT_ROLE=args", arg0, "ARG1=one argument", "ARG2=s", "ARG3=x")),
	   0);
	write_script("s2", self_path(), "");
	EQ(run("./s2", STRINGS("ignored", "x"),
	       STRINGS("COMPAT_ROLE=args", arg0, "ARG1=./s2", "ARG2=x")),
	   0);
}

TEST(script_of_a_script)
{
	char arg0[PATH_MAX + 8], cwd[PATH_MAX], inner[PATH_MAX + 8], arg2[PATH_MAX + 16];

	CHECK(getcwd(cwd, sizeof(cwd)));
	snprintf(inner, sizeof(inner), "%s/inner", cwd);
	snprintf(arg0, sizeof(arg0), "ARG0=%s", self_path());
	snprintf(arg2, sizeof(arg2), "ARG2=%s", inner);
	write_script("inner", self_path(), " -i");
	write_script("outer", inner, " -o");
	EQ(run("outer", STRINGS("ignored"),
	       STRINGS("COMPAT_ROLE=args", arg0, "ARG1=-i", arg2, "ARG3=-o", "ARG4=outer")),
	   0);
}

TEST(script_errors)
{
	char cwd[PATH_MAX], self[PATH_MAX + 8];

	write_script("absent", "/no/such/interpreter", "");
	EXEC_FAILS("absent", ENOENT);
	write_script("empty", "", "");
	EXEC_FAILS("empty", ENOEXEC);
	write_script("directory", "/", "");
	EXEC_FAILS("directory", EACCES);
	CHECK(getcwd(cwd, sizeof(cwd)));
	snprintf(self, sizeof(self), "%s/self", cwd);
	write_script("self", self, "");
	EXEC_FAILS("self", ELOOP);
}

TEST(script_name)
{
	write_script("script-with-a-long-name", self_path(), "");
	EQ(run("./script-with-a-long-name", STRINGS("a"),
	       STRINGS("COMPAT_ROLE=name", "NAME=script-with-a-l")),
	   0);
}

/* ---- what stays and what goes ---- */

TEST(descriptors)
{
	OK(dup2(0, 10));
	OK(dup3(0, 11, O_CLOEXEC));
	OK(dup2(0, 12));
	OK(fcntl(12, F_SETFD, FD_CLOEXEC));
	OK(dup3(0, 13, O_CLOEXEC));
	OK(fcntl(13, F_SETFD, 0));
	EQ(run(SELF, STRINGS("a"), STRINGS("COMPAT_ROLE=descriptors")), 1 | 8);
}

TEST(failed_exec_changes_nothing)
{
	volatile char *p =
	    mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*p = 'x';
	OK(dup3(0, 11, O_CLOEXEC));
	WRITE_FILE("text", "no program");
	OK(chmod("text", 0755));
	EXEC_FAILS("text", ENOEXEC);
	OK(fcntl(11, F_GETFD));
	EQ(*p, 'x');
}

static void handler(int signo)
{
	(void)signo;
}

TEST(signals)
{
	sigset_t mask;

	signal(SIGUSR1, handler);
	signal(SIGUSR2, SIG_IGN);
	sigemptyset(&mask);
	sigaddset(&mask, SIGHUP);
	OK(sigprocmask(SIG_SETMASK, &mask, NULL));
	EQ(run(SELF, STRINGS("a"), STRINGS("COMPAT_ROLE=signals")), 1 | 2 | 4);
}

TEST(name)
{
	copy_self("a-program-with-a-name", 0755);
	EQ(run("./a-program-with-a-name", STRINGS("other"),
	       STRINGS("COMPAT_ROLE=name", "NAME=a-program-with-")),
	   0);
}

static void *exec_from_thread(void *env)
{
	execve(SELF, STRINGS("a"), env);
	_exit(99);
}

static void *wait_forever(void *unused)
{
	for (;;)
		pause();
	return unused;
}

/* From a thread that isn't the first: it becomes the process, all others go. */
TEST(from_a_thread)
{
	pid_t pid = fork();

	if (!pid) {
		struct itimerval timer = {.it_value = {25, 0}};
		pthread_t thread;
		char var[32];

		snprintf(var, sizeof(var), "PID=%d", getpid());
		setitimer(ITIMER_REAL, &timer, NULL);
		for (int i = 0; i < 4; i++)
			pthread_create(&thread, NULL, wait_forever, NULL);
		pthread_create(&thread, NULL, exec_from_thread,
			       (void *)STRINGS("COMPAT_ROLE=process", var));
		wait_forever(NULL);
	}
	WAIT_EXIT(pid, 1 | 2 | 4);
}

TEST(vfork_child)
{
	for (int i = 0; i < 20; i++) {
		pid_t pid = vfork();

		if (!pid) {
			execve(SELF, STRINGS("a"), STRINGS("COMPAT_ROLE=args", "ARG0=a"));
			_exit(99);
		}
		WAIT_EXIT(pid, 0);
	}
}

TEST(vfork_child_fails)
{
	static volatile int error;
	pid_t pid = vfork();

	if (!pid) {
		execve("absent", STRINGS("a"), STRINGS("A=1"));
		error = errno;
		_exit(3);
	}
	WAIT_EXIT(pid, 3);
	EQ(error, ENOENT);
}

/* ---- execveat ---- */

static int run_at(int dfd, const char *path, char *const *envp, int flags)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		syscall(SYS_execveat, dfd, path, STRINGS("a"), envp, flags);
		_exit(100 + errno);
	}
	EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status));
	return WEXITSTATUS(status);
}

TEST(execveat)
{
	char *const *env = STRINGS("COMPAT_ROLE=args", "ARG0=a");
	int dir, fd;

	OK(mkdir("d", 0755));
	copy_self("d/program", 0755);
	dir = OK(open("d", O_RDONLY | O_DIRECTORY));
	EQ(run_at(dir, "program", env, 0), 0);
	EQ(run_at(dir, "absent", env, 0), 100 + ENOENT);
	EQ(run_at(99, "program", env, 0), 100 + EBADF);
	fd = OK(open("d/program", O_RDONLY));
	EQ(run_at(fd, "", env, AT_EMPTY_PATH), 0);
	EQ(run_at(fd, "", env, 0), 100 + ENOENT);
	fd = OK(open("d/program", O_PATH | O_CLOEXEC));
	EQ(run_at(fd, "", env, AT_EMPTY_PATH), 0);
	OK(symlink("program", "d/link"));
	EQ(run_at(dir, "link", env, 0), 0);
	EQ(run_at(dir, "link", env, AT_SYMLINK_NOFOLLOW), 100 + ELOOP);
	EQ(run_at(dir, "program", env, 0x40000000), 100 + EINVAL);
}

/*
 * Who could look into a process's memory doesn't look into that of the set-user-id program that it
 * executes then.
 */
TEST(open_memory_files_and_setuid)
{
	static const char *const names[] = {"environ", "maps", "mem"};
	char *const *env = STRINGS("COMPAT_ROLE=waits", "SECRET=1");
	int to[2], from[2], fds[3];
	char path[64], buf[4096];
	pid_t target, child;

	if (getuid() != 0)
		SKIP("not root");
	OK(chmod(".", 0755));
	copy_self("suid", 0755);
	OK(chmod("suid", 04755));
	OK(pipe(to));
	OK(pipe(from));
	child = OK(fork());
	if (child == 0) {
		OK(setgid(1000));
		OK(setuid(1000));
		OK(prctl(PR_SET_DUMPABLE, 1));
		target = OK(fork());
		if (target == 0) {
			OK(dup2(from[1], 61));
			OK(dup2(to[0], 62));
			OK(write(61, "x", 1));
			OK(read(62, buf, 1));
			OK(execve("suid", STRINGS("suid"), env));
		}
		EQ(read(from[0], buf, 1), 1);
		for (int i = 0; i < 3; i++) {
			snprintf(path, sizeof(path), "/proc/%d/%s", target, names[i]);
			fds[i] = OK(open(path, i == 2 ? O_RDWR : O_RDONLY));
		}
		CHECK(pread(fds[2], buf, 8, (off_t)(uintptr_t)names) == 8);
		OK(write(to[1], "x", 1));
		EQ(read(from[0], buf, 1), 1);
		for (int i = 0; i < 2; i++)
			CHECK(pread(fds[i], buf, sizeof(buf), 0) <= 0);
		EQ(pread(fds[2], buf, 8, (off_t)(uintptr_t)names), 0);
		EQ(pwrite(fds[2], buf, 8, (off_t)(uintptr_t)&buf), 0);
		OK(write(to[1], "x", 1));
		WAIT_EXIT(target, 0);
		_exit(0);
	}
	WAIT_EXIT(child, 0);
}

TEST(many)
{
	for (int i = 0; i < 100; i++)
		EQ(run(SELF, STRINGS("a"), STRINGS("COMPAT_ROLE=args", "ARG0=a")), 0);
}
