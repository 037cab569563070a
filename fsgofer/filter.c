/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls that the gofer makes once it serves. Anything else kills it, and so ends the sandbox.
 * One line a call: which arguments are allowed, and who needs it. No call here makes a descriptor
 * of anything but files below the mounts, names a process, maps or protects memory, or executes.
 */
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/compiler.h"
#include "fsgofer/confine.h"

/* Descriptors that are known only at run time, in a rule's value. */
enum { FD_PROC = -1, FD_LOG = -2, FD_READY = -3 };

struct filter_rule {
	int nr;
	unsigned arg_count;
	struct scmp_arg_cmp args[2];
	const char *call, *when, *reason;
};

#define ANY(call, reason)                                                                          \
	{                                                                                          \
		SCMP_SYS(call), 0, {{0}}, #call, "", reason                                        \
	}
#define IF1(call, a, reason)                                                                       \
	{                                                                                          \
		SCMP_SYS(call), 1, {a}, #call, #a, reason                                          \
	}
#define IF2(call, a, b, reason)                                                                    \
	{                                                                                          \
		SCMP_SYS(call), 2, {a, b}, #call, #a ", " #b, reason                               \
	}
#define ARG_IS(n, value)                                                                           \
	{                                                                                          \
		n, SCMP_CMP_EQ, (scmp_datum_t)(int64_t)(value), 0                                  \
	}
#define ARG_BITS(n, mask, value)                                                                   \
	{                                                                                          \
		n, SCMP_CMP_MASKED_EQ, mask, (scmp_datum_t)(value)                                 \
	}

/* clang-format off */
static const struct filter_rule rules[] = {
	/* The connections. */
	IF1(recvmsg, ARG_IS(2, MSG_CMSG_CLOEXEC), "gofer_serve: the next request"),
	IF1(sendmsg, ARG_IS(2, MSG_NOSIGNAL), "send_reply"),
	ANY(shutdown, "gofer_serve: tells the sentry that it is over"),
	/* Files. */
	IF1(openat, ARG_BITS(2, O_NOFOLLOW, O_NOFOLLOW),
	    "lookup, do_create: one component, never through a symlink"),
	IF2(openat, ARG_IS(0, FD_PROC), ARG_BITS(2, O_CREAT, 0),
	    "reopen: a descriptor of its own, with rights"),
	IF1(fcntl, ARG_IS(1, F_DUPFD_CLOEXEC), "do_attach"),
	ANY(close, "handles, descriptors that went to the sentry"),
	ANY(statx, "get_attr"),
	IF1(newfstatat, ARG_BITS(3, AT_SYMLINK_NOFOLLOW, AT_SYMLINK_NOFOLLOW),
	    "get_attr, on hosts without statx"),
	ANY(fstatfs, "do_statfs"),
	ANY(getdents64, "do_readdir"),
	ANY(lseek, "do_readdir: the position in a stream"),
	ANY(readlinkat, "do_readlink"),
	ANY(mkdirat, "do_mkdir"),
	IF1(mknodat, ARG_BITS(2, S_IFMT, S_IFREG), "do_mknod"),
	IF1(mknodat, ARG_BITS(2, S_IFMT, S_IFIFO), "do_mknod"),
	IF1(mknodat, ARG_BITS(2, S_IFMT, S_IFSOCK), "do_mknod"),
	IF2(mknodat, ARG_BITS(2, S_IFMT, S_IFCHR), ARG_IS(3, 0), "do_mknod: whiteouts"),
	ANY(symlinkat, "do_symlink"),
	IF1(linkat, ARG_IS(4, AT_EMPTY_PATH), "do_link: of a handle's own file"),
	ANY(unlinkat, "do_unlink, and taking back what could not be settled"),
	ANY(renameat2, "do_rename"),
	ANY(renameat, "do_rename: what glibc calls without flags"),
	IF1(fchmodat, ARG_IS(0, FD_PROC), "settle, set_mode: of a handle's own file"),
	IF1(fchownat, ARG_IS(4, AT_EMPTY_PATH), "settle, set_owner: of a handle's own file"),
	IF2(utimensat, ARG_IS(0, FD_PROC), ARG_IS(3, 0), "set_times: of a handle's own file"),
	ANY(ftruncate, "set_size"),
	ANY(fsync, "do_fsync"),
	ANY(fdatasync, "do_fsync"),
	ANY(fgetxattr, "do_getxattr"),
	ANY(fsetxattr, "do_setxattr"),
	ANY(flistxattr, "do_listxattr"),
	ANY(fremovexattr, "do_removexattr"),
	/* The process. */
	IF1(write, ARG_IS(0, FD_LOG), "log_writev"),
	IF1(write, ARG_IS(0, FD_READY), "gofer_main: says that it serves, once"),
	IF1(sched_setaffinity, ARG_IS(0, 0),
	    "follow: the serving thread alone, to the CPU where its answer is waited for"),
	ANY(getcpu, "this_cpu, where neither rseq nor the vDSO can"),
	ANY(getpid, "log_writev"),
	ANY(clock_gettime, "log_writev, where the vDSO can't"),
	ANY(futex, "locks, joining threads"),
	ANY(madvise, "do_trim; the C library, as a thread ends: gives back its stack"),
	ANY(munmap, "the C library, as a thread is joined"),
	ANY(rt_sigprocmask, "the C library, as a thread ends"),
	ANY(rt_sigreturn, "the kernel, after a debugger or stop signal"),
	ANY(restart_syscall, "the kernel, after a stop"),
	ANY(exit, "a thread whose connection hung up"),
	ANY(exit_group, "the end"),
};
/* clang-format on */

bool filter_describe(size_t i, struct filter_description *ret)
{
	if (i >= array_count(rules))
		return false;
	*ret = (struct filter_description){rules[i].call, rules[i].when, rules[i].reason};
	return true;
}

static int add_rule(scmp_filter_ctx ctx, const struct filter_rule *r, const int *known_fds)
{
	struct scmp_arg_cmp args[2] = {r->args[0], r->args[1]};

	for (unsigned i = 0; i < r->arg_count; i++) {
		int64_t value = (int64_t)args[i].datum_a;

		if (args[i].op == SCMP_CMP_EQ && value < 0)
			args[i].datum_a = (scmp_datum_t)known_fds[-value];
	}
	return seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, r->nr, r->arg_count, args);
}

int filter_load(int proc_fd, int log_fd, int ready_fd, struct confine_error *e)
{
	const int known_fds[] = {[-FD_PROC] = proc_fd, [-FD_LOG] = log_fd, [-FD_READY] = ready_fd};
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int err = ctx ? 0 : -ENOMEM;

	if (!err)
		err = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (!err)
		err = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	if (!err)
		err = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	for (size_t i = 0; !err && i < array_count(rules); i++)
		err = add_rule(ctx, &rules[i], known_fds);
	if (!err)
		err = seccomp_load(ctx);
	seccomp_release(ctx);
	return err ? confine_fail(e, -err, "gofer: loading the system call filter") : 0;
}
