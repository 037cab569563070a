/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sentry's own confinement: what a guest that took over the sentry would still face. The table
 * is the list of host calls that the sentry makes, each with who needs it and, where arguments
 * narrow it, the check. Anything else kills the sandbox. docs/security.md tells the story; the
 * table is the truth.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/capability.h>
#include <linux/seccomp.h>

#include "base/compiler.h"
#include "base/log.h"
#include "platform/platform.h"
#include "runsc/boot.h"

struct rule {
	int nr;
	const char *why;
	unsigned check_count;
	struct scmp_arg_cmp checks[2];
};

#define ANY(name, reason)                                                                          \
	{                                                                                          \
		.nr = __NR_##name, .why = reason                                                   \
	}
#define IF1(name, reason, a)                                                                       \
	{                                                                                          \
		.nr = __NR_##name, .why = reason, .check_count = 1, .checks = { a }                \
	}
#define IF2(name, reason, a, b)                                                                    \
	{                                                                                          \
		.nr = __NR_##name, .why = reason, .check_count = 2, .checks = { a, b }             \
	}

#define IOCTL(command, reason) IF1(ioctl, reason, SCMP_A1_32(SCMP_CMP_EQ, command))

/* Nothing is made executable any more: what runs in the sentry is what it was linked from. */
#define NOT_EXECUTABLE(name, reason) IF1(name, reason, SCMP_A2_32(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0))

/* Linux 6.6; and of <asm/termbits.h>, which can't be had beside <termios.h>. */
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS_ 0x40082104u
#define TCGETS2_		       0x802c542au
#define TCSETS2_		       0x402c542bu

/* glibc's pthread_create: a thread of this process and nothing else. */
#define THREAD_FLAGS                                                                               \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |        \
	 CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)

static const struct rule rules[] = {
    /* files: descriptors that the gofer handed in, stdio, memfds */
    ANY(read, "host stdio, eventfd, timerfd, signalfd"),
    ANY(write, "host stdio, log, eventfd"),
    ANY(readv, "guest readv of host stdio"),
    ANY(writev, "guest writev to host stdio"),
    ANY(pread64, "cached files: uio_pread_fd, loader, /proc of the sandbox"),
    ANY(pwrite64, "files: uio_pwrite_fd"),
    ANY(preadv, "files, several segments"),
    ANY(pwritev, "files, several segments"),
    ANY(preadv2, "host stdio without waiting (RWF_NOWAIT)"),
    ANY(pwritev2, "host stdio without waiting"),
    ANY(lseek, "SEEK_DATA and SEEK_HOLE of a guest's lseek"),
    ANY(close, "descriptors of closed files"),
    ANY(fstat, "attributes of host stdio, size of channel files"),
    IF1(newfstatat, "fstat of newer C libraries", SCMP_A3_32(SCMP_CMP_EQ, AT_EMPTY_PATH)),
    ANY(fsync, "guest fsync"),
    ANY(fdatasync, "guest fdatasync"),
    ANY(ftruncate, "memfds of tmpfs, files of the gofer"),
    ANY(fallocate, "holes in memfds and files"),
    ANY(memfd_create, "content of tmpfs files, channels of stub processes"),
    ANY(fcntl, "F_GETFL of descriptors received, F_ADD_SEALS of memfds"),
    ANY(getdents64, "listing /proc of the sandbox"),
    ANY(openat,
	"/proc of the sandbox's PID namespace; the root is empty, so nothing else is there"),
    /* memory: the allocator, maps of channels, thread stacks */
    NOT_EXECUTABLE(mmap, "allocator, thread stacks, channels of stub processes"),
    ANY(munmap, "the same"),
    NOT_EXECUTABLE(mprotect, "thread stacks, allocator"),
    ANY(mremap, "allocator; what a pipe holds of a file that is cut off becomes a copy"),
    ANY(madvise, "allocator gives memory back"),
    ANY(mincore, "channels of stub processes that ended: where something is left to be zeroed"),
    ANY(brk, "allocator"),
    /* guests */
    IOCTL(SECCOMP_IOCTL_NOTIF_RECV, "doorbells"),
    IOCTL(SECCOMP_IOCTL_NOTIF_SEND, "their answers"),
    IOCTL(SECCOMP_IOCTL_NOTIF_ADDFD, "descriptors for a guest's mapping"),
    IOCTL(SECCOMP_IOCTL_NOTIF_ID_VALID, "is that unknown thread still there"),
    IOCTL(SECCOMP_IOCTL_NOTIF_SET_FLAGS_, "on which CPU a stub wakes"),
    ANY(process_vm_readv, "guest memory that no window covers"),
    ANY(process_vm_writev, "the same"),
    ANY(kill, "ending stub processes; the PID namespace holds nothing else"),
    ANY(tgkill, "kicking guest threads; abort"),
    ANY(waitid, "reaping stub processes"),
    ANY(wait4, "the same"),
    /* events */
    ANY(epoll_wait, "event thread"),
    ANY(epoll_pwait, "event thread"),
    ANY(epoll_ctl, "waiting for host descriptors"),
    /* terminals: what is not here, TIOCSTI above all, would reach whoever sits before one */
    IOCTL(TCGETS, "settings of the terminal that is stdio, or the console"),
    IOCTL(TCSETS, "the same, changed by a guest"),
    IOCTL(TCSETSW, "the same"),
    IOCTL(TCSETSF, "the same"),
    IOCTL(TCGETS2_, "tcgetattr of newer C libraries"),
    IOCTL(TCSETS2_, "tcsetattr of newer C libraries"),
    IOCTL(TIOCGWINSZ, "size of the terminal that is stdio, or the console; is it one"),
    IOCTL(TIOCSWINSZ, "size of the console, set by a guest"),
    IOCTL(FIONREAD, "how much waits in the guest's stdio"),
    ANY(poll, "host stdio readiness"),
    ANY(ppoll, "the same"),
    ANY(timerfd_settime, "the kernel's timers"),
    ANY(sendmsg, "gofer requests"),
    ANY(recvmsg, "gofer replies with descriptors"),
    ANY(sendto, "gofer requests, control replies"),
    ANY(recvfrom, "control requests"),
    ANY(shutdown, "the connection of a gofer that broke the protocol"),
    ANY(accept4, "control socket"),
    ANY(getsockopt, "credentials of control clients"),
    ANY(futex, "locks between the sentry's threads"),
    ANY(restart_syscall, "a stop of the whole sandbox from outside"),
    /* threads and time */
    IF1(clone, "worker threads at boot", SCMP_A0(SCMP_CMP_EQ, THREAD_FLAGS)),
    ANY(set_robust_list, "thread start"),
    ANY(rseq, "thread start"),
    ANY(exit, "thread end"),
    ANY(exit_group, "the end"),
    ANY(rt_sigprocmask, "thread start, abort"),
    ANY(rt_sigaction, "abort"),
    ANY(rt_sigreturn, "signal handlers"),
    ANY(sigaltstack, "crash handler"),
    ANY(gettid, "abort"),
    ANY(getpid, "log lines, abort"),
    ANY(sched_yield, "locks of the allocator"),
    ANY(sched_getaffinity, "CPU count for guests; is there a CPU to poll on"),
    IF1(sched_setaffinity,
	"the calling thread only: to poll on another CPU than the guest's, to wait for the gofer "
	"on one",
	SCMP_A0(SCMP_CMP_EQ, 0)),
    ANY(clock_gettime, "CPU clocks of stub processes (others come from the vDSO)"),
    ANY(getrandom, "guest getrandom, address layout"),
    ANY(sysinfo, "guest sysinfo, /proc/meminfo"),
    ANY(prlimit64, "pthread_attr, descriptor limit"),
    ANY(getcpu, "guest getcpu"),
    ANY(copy_file_range, "file to file without a copy in user space"),
    IF1(fadvise64, "a guest's advice that a range will be needed: readahead",
	SCMP_A3_32(SCMP_CMP_EQ, POSIX_FADV_WILLNEED)),
    IF1(fadvise64, "or that it won't be needed again",
	SCMP_A3_32(SCMP_CMP_EQ, POSIX_FADV_DONTNEED)),
};

/* The ptrace platform only: it drives stub processes, its children, and nothing else is there. */
#define PTRACE_IF(request, reason) IF1(ptrace, reason, SCMP_A0(SCMP_CMP_EQ, request))

static const struct rule ptrace_rules[] = {
    PTRACE_IF(PTRACE_SEIZE, "the zygote, once; its children are traced from their start"),
    PTRACE_IF(PTRACE_SYSEMU, "guest code goes on up to its next call"),
    PTRACE_IF(PTRACE_CONT, "stub code goes on"),
    PTRACE_IF(PTRACE_SYSCALL, "a stub's recvmsg, up to its end"),
    PTRACE_IF(PTRACE_INTERRUPT, "kicking guest threads"),
    PTRACE_IF(PTRACE_GETREGS, "a call's number and arguments"),
    PTRACE_IF(PTRACE_SETREGS, "registers that a reply sets"),
    PTRACE_IF(PTRACE_POKEUSER, "a call's result"),
    PTRACE_IF(PTRACE_GETEVENTMSG, "which call asks, whom a clone made"),
    PTRACE_IF(PTRACE_GET_SYSCALL_INFO, "is it a 64-bit call, where registers don't tell"),
};

static int drop_capabilities(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {{0}};

	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EPERM)
			return -errno;
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (syscall(SYS_capset, &head, none) < 0)
		return -errno;
	return 0;
}

static int add_rules(scmp_filter_ctx ctx, const struct rule *list, size_t count)
{
	int err = 0;

	for (size_t i = 0; !err && i < count; i++)
		err = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, list[i].nr, list[i].check_count,
					     list[i].checks);
	return err;
}

static int install_filter(bool traces)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int err;

	if (!ctx)
		return -ENOMEM;
	err = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (!err)
		err = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), __NR_clone3, 0);
	if (!err)
		err = add_rules(ctx, rules, array_count(rules));
	if (!err && traces)
		err = add_rules(ctx, ptrace_rules, array_count(ptrace_rules));
	if (!err)
		err = seccomp_load(ctx);
	seccomp_release(ctx);
	return err;
}

/* The sanitizers' runtime makes calls of its own (mmap of shadow, /proc/self/maps, ...). */
#ifdef SANITIZER
#define FILTERED false
#else
#define FILTERED true
#endif

int boot_confine(const struct platform *p)
{
	int err = drop_capabilities();

	if (err)
		return err;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	if (FILTERED)
		return install_filter(strcmp(platform_name(p), "ptrace") == 0);
	log_warn("sanitizer build: the sentry's filter is not installed");
	return 0;
}
