/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lines of --strace against what strace(1) prints. The guest's memory is this process's: the
 * fakes below copy from plain pointers, and know the addresses that fault.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <asm/unistd.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "abi/errno.h"
#include "abi/fcntl.h"
#include "abi/mman.h"
#include "base/log.h"
#include "sentry/mm/usermem.h"
#include "syscalls/argkinds.h"
#include "syscalls/syscalls.h"

#define SYSCALL(number, call, handler_, support, text, result, ...)                                \
	[number] = {.name = #call, .ret = result, .args = {__VA_ARGS__}},
const struct syscall_entry syscall_table[SYSCALL_TABLE_COUNT] = {
#include "syscalls/table.h"
};
#undef SYSCALL

#define BAD_ADDRESS 0x10ull

int copy_from_user(struct task *t, void *dst, uaddr_t src, size_t size)
{
	(void)t;
	if (src.va < 0x1000 || src.va > 0x7fffffff0000)
		return -EFAULT;
	memcpy(dst, (const void *)(uintptr_t)src.va, size);
	return 0;
}

ssize_t strncpy_from_user(struct task *t, char *dst, uaddr_t src, size_t size)
{
	const char *s = (const char *)(uintptr_t)src.va;

	(void)t;
	if (src.va < 0x1000 || src.va > 0x7fffffff0000)
		return -EFAULT;
	if (strnlen(s, size) == size)
		return -ENAMETOOLONG;
	strcpy(dst, s);
	return (ssize_t)strlen(s);
}

static int log_file = -1;
static struct task task = {.tid = 5};
static char lines[8192];

/* What was logged since the last call, without the log's own prefix. */
static const char *logged(void)
{
	char raw[8192];
	ssize_t n = pread(log_file, raw, sizeof(raw) - 1, 0);
	char *at;

	assert_true(n >= 0);
	raw[n] = '\0';
	assert_int_equal(ftruncate(log_file, 0), 0);
	assert_int_equal(lseek(log_file, 0, SEEK_SET), 0);
	at = strstr(raw, "[pid     5] ");
	assert_non_null(at);
	strcpy(lines, at + strlen("[pid     5] "));
	if (*lines && lines[strlen(lines) - 1] == '\n')
		lines[strlen(lines) - 1] = '\0';
	return lines;
}

#define P(pointer) ((uint64_t)(uintptr_t)(pointer))

static const char *call(int64_t ret, uint64_t nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
			uint64_t e, uint64_t f)
{
	struct sysargs args = {nr, {a, b, c, d, e, f}};

	syscall_strace.enter(&task, &args);
	syscall_strace.exit(&task, &args, ret);
	return logged();
}

static void paths_and_flags(void **state)
{
	(void)state;
	assert_string_equal(
	    call(3, __NR_openat, P(-100), P("/etc/passwd"), ABI_O_CLOEXEC, 0666, 0, 0),
	    "openat(AT_FDCWD, \"/etc/passwd\", O_RDONLY|O_CLOEXEC) = 3");
	assert_string_equal(
	    call(-ENOENT, __NR_open, P("a\nb\"\1"), ABI_O_WRONLY | ABI_O_CREAT, 0644, 0, 0, 0),
	    "open(\"a\\nb\\\"\\1\", O_WRONLY|O_CREAT, 0644) = -1 ENOENT (No such file or "
	    "directory)");
	assert_string_equal(call(-EFAULT, __NR_access, BAD_ADDRESS, 4, 0, 0, 0, 0),
			    "access(0x10, R_OK)                      = -1 EFAULT (Bad address)");
	assert_string_equal(call(0, __NR_close, 3, 0, 0, 0, 0, 0),
			    "close(3)                                = 0");
	assert_string_equal(call(18, __NR_umask, 077, 0, 0, 0, 0, 0),
			    "umask(0077)                             = 022");
}

static void buffers(void **state)
{
	(void)state;
	assert_string_equal(call(3, __NR_read, 0, P("abcdef"), 6, 0, 0, 0),
			    "read(0, \"abc\", 6)                       = 3");
	assert_string_equal(call(-EAGAIN, __NR_read, 0, P("abcdef"), 6, 0, 0, 0) + 7,
			    lines + 7); /* an address, which differs from run to run */
	assert_non_null(strstr(lines, "read(0, 0x"));
	assert_string_equal(
	    call(40, __NR_write, 1, P("0123456789012345678901234567890123456789"), 40, 0, 0, 0),
	    "write(1, \"01234567890123456789012345678901\"..., 40) = 40");
	assert_string_equal(call(2, __NR_write, 1, P("\0\0011"), 3, 0, 0, 0),
			    "write(1, \"\\0\\0011\", 3)                  = 2");
}

static void memory(void **state)
{
	(void)state;
	assert_string_equal(
	    call(0x7f0000000000, __NR_mmap, 0, 8192, ABI_PROT_READ | ABI_PROT_WRITE,
		 ABI_MAP_PRIVATE | ABI_MAP_ANONYMOUS, (uint64_t)-1, 0),
	    "mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = "
	    "0x7f0000000000");
	assert_string_equal(call(0, __NR_mprotect, 0x1000, 4096, 0, 0, 0, 0),
			    "mprotect(0x1000, 4096, PROT_NONE)       = 0");
	assert_string_equal(call(0x5000, __NR_brk, 0, 0, 0, 0, 0, 0),
			    "brk(NULL)                               = 0x5000");
}

static void structs(void **state)
{
	struct abi_stat st = {.mode = ABI_S_IFREG | 0644, .size = 42};
	struct abi_timespec ts = {1, 500};
	struct abi_rlimit limit = {8192 * 1024, ABI_RLIM_INFINITY};
	uint32_t status = ABI_W_EXITED(3);
	int32_t pair[2] = {3, 4};

	(void)state;
	assert_string_equal(call(0, __NR_fstat, 1, P(&st), 0, 0, 0, 0),
			    "fstat(1, {st_mode=S_IFREG|0644, st_size=42, ...}) = 0");
	assert_string_equal(call(0, __NR_nanosleep, P(&ts), 0, 0, 0, 0, 0),
			    "nanosleep({tv_sec=1, tv_nsec=500}, NULL) = 0");
	assert_string_equal(call(7, __NR_wait4, (uint64_t)-1, P(&status), 0, 0, 0, 0),
			    "wait4(-1, [{WIFEXITED(s) && WEXITSTATUS(s) == 3}], 0, NULL) = 7");
	assert_string_equal(call(0, __NR_pipe2, P(pair), ABI_O_CLOEXEC, 0, 0, 0, 0),
			    "pipe2([3, 4], O_CLOEXEC)                = 0");
	assert_string_equal(
	    call(0, __NR_prlimit64, 0, ABI_RLIMIT_STACK, 0, P(&limit), 0, 0),
	    "prlimit64(0, RLIMIT_STACK, NULL, {rlim_cur=8192*1024, rlim_max=RLIM64_INFINITY}) = 0");
}

static void signals(void **state)
{
	struct abi_sigaction sa = {ABI_SIG_IGN, ABI_SA_RESTORER | ABI_SA_RESTART, 0x7000, 0};
	struct abi_siginfo si = {.signo = ABI_SIGCHLD, .code = ABI_CLD_EXITED};
	uint64_t set = ABI_SIGMASK(ABI_SIGINT) | ABI_SIGMASK(34), all = ~0ull;

	(void)state;
	assert_string_equal(call(0, __NR_rt_sigaction, ABI_SIGINT, P(&sa), 0, 8, 0, 0),
			    "rt_sigaction(SIGINT, {sa_handler=SIG_IGN, sa_mask=[], "
			    "sa_flags=SA_RESTORER|SA_RESTART, sa_restorer=0x7000}, NULL, 8) = 0");
	assert_string_equal(call(0, __NR_rt_sigprocmask, 0, P(&set), P(&all), 8, 0, 0),
			    "rt_sigprocmask(SIG_BLOCK, [INT RT_2], ~[], 8) = 0");
	assert_string_equal(call(-ERESTARTNOHAND, __NR_pause, 0, 0, 0, 0, 0, 0),
			    "pause()                                 = ? ERESTARTNOHAND (To be "
			    "restarted if no handler)");
	si.chld.pid = 9;
	syscall_strace.signal(&task, ABI_SIGCHLD, &si);
	assert_string_equal(
	    logged(), "--- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=9, si_uid=0, "
		      "si_status=0, si_utime=0, si_stime=0} ---");
}

static void processes(void **state)
{
	const char *argv[] = {"sh", "-c", "exit 0", NULL};
	struct sysargs exit_args = {__NR_exit_group, {3}};

	(void)state;
	assert_string_equal(call(0, __NR_execve, P("/bin/sh"), P(argv), 0, 0, 0, 0),
			    "execve(\"/bin/sh\", [\"sh\", \"-c\", \"exit 0\"], NULL) = 0");
	assert_string_equal(call(12, __NR_clone, 0x01200011, 0, 0, 0x7000, 0, 0),
			    "clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|"
			    "SIGCHLD, child_tidptr=0x7000) = 12");
	syscall_strace.enter(&task, &exit_args);
	assert_string_equal(logged(), "exit_group(3)                           = ?");
	syscall_strace.gone(&task, 3 << 8);
	assert_string_equal(logged(), "+++ exited with 3 +++");
}

static void waiting(void **state)
{
	struct abi_pollfd fds[2] = {{3, ABI_POLLIN, 0}, {4, ABI_POLLOUT, ABI_POLLOUT}};
	struct sysargs args = {__NR_pause, {0}};
	struct abi_fd_set set = {.bits = {1 << 3}};

	(void)state;
	assert_string_equal(call(1, __NR_poll, P(fds), 2, (uint64_t)-1, 0, 0, 0),
			    "poll([{fd=3, events=POLLIN}, {fd=4, events=POLLOUT}], 2, -1) = 1 "
			    "([{fd=4, revents=POLLOUT}])");
	fds[1].revents = 0;
	assert_string_equal(call(0, __NR_poll, P(fds), 1, 10, 0, 0, 0),
			    "poll([{fd=3, events=POLLIN}], 1, 10)    = 0 (Timeout)");
	assert_string_equal(call(1, __NR_select, 4, P(&set), 0, 0, 0, 0),
			    "select(4, [3], NULL, NULL, NULL)        = 1 (in [3])");
	syscall_strace.enter(&task, &args);
	syscall_strace.gone(&task, 9);
	assert_non_null(strstr(logged(), "pause( <unfinished ...>) = ?"));
}

static void futexes_and_fcntl(void **state)
{
	struct abi_flock lock = {.type = ABI_F_WRLCK, .start = 1, .len = 2, .pid = 77};

	(void)state;
	assert_string_equal(call(1, __NR_futex, 0x4000, 129, 1, 77, 77, 77),
			    "futex(0x4000, FUTEX_WAKE_PRIVATE, 1)    = 1");
	assert_string_equal(
	    call(-EAGAIN, __NR_futex, 0x4000, 0, 2, 0, 77, 77),
	    "futex(0x4000, FUTEX_WAIT, 2, NULL)      = -1 EAGAIN (Resource temporarily "
	    "unavailable)");
	assert_string_equal(call(1, __NR_fcntl, 3, ABI_F_GETFD, 99, 0, 0, 0),
			    "fcntl(3, F_GETFD)                       = 0x1 (flags FD_CLOEXEC)");
	assert_string_equal(call(2, __NR_fcntl, 3, ABI_F_GETFL, 0, 0, 0, 0),
			    "fcntl(3, F_GETFL)                       = 0x2 (flags O_RDWR)");
	assert_string_equal(
	    call(0, __NR_fcntl, 3, ABI_F_GETLK, P(&lock), 0, 0, 0),
	    "fcntl(3, F_GETLK, {l_type=F_WRLCK, l_whence=SEEK_SET, l_start=1, l_len=2, "
	    "l_pid=77}) = 0");
}

static void sockets(void **state)
{
	struct abi_sockaddr_un un = {ABI_AF_UNIX, "/run/s"};
	struct abi_sockaddr_in in = {.family = ABI_AF_INET, .port = 0x5000, .addr = 0x0100007f};

	(void)state;
	assert_string_equal(call(3, __NR_socket, 1, 02000001, 0, 0, 0, 0),
			    "socket(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC, 0) = 3");
	assert_string_equal(call(0, __NR_connect, 3, P(&un), 110, 0, 0, 0),
			    "connect(3, {sa_family=AF_UNIX, sun_path=\"/run/s\"}, 110) = 0");
	assert_string_equal(call(0, __NR_bind, 3, P(&in), 16, 0, 0, 0),
			    "bind(3, {sa_family=AF_INET, sin_port=htons(80), "
			    "sin_addr=inet_addr(\"127.0.0.1\")}, 16) = 0");
}

/* Whatever the arguments are, every row makes a line, and a bounded one. */
static void garbage_is_survived(void **state)
{
	static const uint64_t values[] = {0, 1, 0x10, (uint64_t)-1, 0x8000000000000000, 0xdeadbeef};
	static char page[1 << 16];

	(void)state;
	memset(page, 0xff, sizeof(page) - 1);
	for (uint64_t nr = 0; nr < SYSCALL_TABLE_COUNT + 10; nr++)
		for (size_t v = 0; v < array_count(values); v++) {
			struct sysargs args = {nr, {0}};

			for (int i = 0; i < 6; i++)
				args.arg[i] = values[(v + (size_t)i) % array_count(values)];
			/* Big numbers as addresses would not fault here: take the page. */
			for (int i = 0; i < 6; i++)
				if (args.arg[i] > 0x1000)
					args.arg[i] = P(page);
			syscall_strace.enter(&task, &args);
			syscall_strace.exit(&task, &args, v % 2 ? 3 : -EINVAL);
			assert_true(strlen(logged()) < 2700);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(paths_and_flags), cmocka_unit_test(buffers),
	    cmocka_unit_test(memory),	       cmocka_unit_test(structs),
	    cmocka_unit_test(signals),	       cmocka_unit_test(processes),
	    cmocka_unit_test(waiting),	       cmocka_unit_test(futexes_and_fcntl),
	    cmocka_unit_test(sockets),	       cmocka_unit_test(garbage_is_survived),
	};

	log_file = memfd_create("log", 0);
	log_setup(log_file, false, LOG_INFO, "test");
	return cmocka_run_group_tests_name("strace", tests, NULL, NULL);
}
