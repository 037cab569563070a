/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Facilities of the host's kernel, tried one by one in children. What the sentry will do without
 * capabilities (following its stub processes, reading their memory) is tried without them, so that
 * Yama, AppArmor, SELinux and whatever else forbids it have their say.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "platform/stub/layout.h"
#include "runsc/doctor.h"

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS	   SECCOMP_IOW(4, uint64_t)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif
#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x8u
#endif
#define UNTRIED (-ENODATA) /* an earlier step failed */

/* ---- seccomp ---- */

enum seccomp_step {
	STEP_FILTER,
	STEP_TRAP,
	STEP_NOTIFY,
	STEP_ADDFD,
	STEP_ADDFD_SEND,
	STEP_CONTINUE,
	STEP_SYNC_WAKE_UP,
	STEP_COUNT,
};

struct seccomp_findings {
	int err[STEP_COUNT];
	int listener;	      /* set by the caller of the bells, in a table they share */
	volatile int trapped; /* a signal handler's */
};

static const struct sock_filter bell_filter[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, STUB_DOORBELL, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};

static const struct sock_filter trap_filter[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, STUB_DOORBELL + 1, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};

static int install(const struct sock_filter *filter, size_t count, unsigned long flags)
{
	struct sock_fprog prog = {(unsigned short)count, (struct sock_filter *)filter};
	long r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);

	return r < 0 ? -errno : (int)r;
}

static struct seccomp_findings *trapping; /* for the handler, in a child with one thread */

static void on_sigsys(int sig)
{
	(void)sig;
	trapping->trapped = 1;
}

static void try_filters(void *shared)
{
	struct seccomp_findings *f = shared;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		f->err[STEP_FILTER] = -errno;
		return;
	}
	f->err[STEP_FILTER] = install(trap_filter, array_count(trap_filter), 0);
	if (f->err[STEP_FILTER])
		return;
	trapping = f;
	signal(SIGSYS, on_sigsys);
	syscall(STUB_DOORBELL + 1);
	f->err[STEP_TRAP] = f->trapped ? 0 : -ENOSYS;
}

/* Rings three times: a descriptor in two steps, a descriptor in one, "go on". */
static void __noreturn ring_bells(struct seccomp_findings *f, int ready)
{
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	fd = install(bell_filter, array_count(bell_filter), SECCOMP_FILTER_FLAG_NEW_LISTENER);
	f->listener = fd;
	if (write(ready, "r", 1) != 1 || fd < 0)
		_exit(1);
	for (int i = 0; i < 3; i++)
		syscall(STUB_DOORBELL, i);
	_exit(0);
}

static int add_fd(int listener, uint64_t id, unsigned flags)
{
	struct seccomp_notif_addfd a = {.id = id, .flags = flags, .srcfd = 1};

	return ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &a) < 0 ? -errno : 0;
}

static int answer(int listener, uint64_t id, unsigned flags)
{
	struct seccomp_notif_resp resp = {.id = id, .flags = flags};

	return ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &resp) < 0 ? -errno : 0;
}

static void answer_bells(struct seccomp_findings *f, int listener)
{
	/* Larger than ours: a newer kernel's notification may be. */
	union {
		struct seccomp_notif n;
		char room[512];
	} u;

	for (int i = 0; i < 3; i++) {
		memset(&u, 0, sizeof(u));
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &u.n) < 0) {
			f->err[STEP_NOTIFY] = -errno;
			return;
		}
		f->err[STEP_NOTIFY] = u.n.data.nr == STUB_DOORBELL ? 0 : -EINVAL;
		if (i == 0)
			f->err[STEP_ADDFD] = add_fd(listener, u.n.id, 0);
		if (i == 1)
			f->err[STEP_ADDFD_SEND] = add_fd(listener, u.n.id, SECCOMP_ADDFD_FLAG_SEND);
		if (i == 2)
			f->err[STEP_CONTINUE] =
			    answer(listener, u.n.id, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
		else if (i == 0 || f->err[STEP_ADDFD_SEND])
			answer(listener, u.n.id, 0);
	}
}

/* A child that shares the table of descriptors, so that its listener is ours. */
static void try_listener(void *shared)
{
	struct seccomp_findings *f = shared;
	uint64_t flags = SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP;
	int ready[2];
	char byte;
	long pid;

	if (pipe2(ready, O_CLOEXEC) < 0)
		return;
	pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
	if (pid == 0)
		ring_bells(f, ready[1]);
	if (pid < 0 || read(ready[0], &byte, 1) != 1)
		return;
	if (f->listener < 0) {
		f->err[STEP_NOTIFY] = f->listener;
		return;
	}
	f->err[STEP_SYNC_WAKE_UP] =
	    ioctl(f->listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, flags) < 0 ? -errno : 0;
	answer_bells(f, f->listener);
	waitpid((pid_t)pid, NULL, 0);
}

static void examine_seccomp(struct doctor_report *r)
{
	static const struct {
		const char *name, *loss;
	} items[STEP_COUNT] = {
	    {"seccomp-filter", "isolation: guests' calls can't be kept from the host's kernel"},
	    {"seccomp-trap", "function: the platform notify"},
	    {"seccomp-notification", "function: the platform notify; ptrace is slower"},
	    {"addfd", "function: the platform notify"},
	    {"addfd-send", NULL},
	    {"notification-continue", "function: the platform notify"},
	    {"sync-wake-up", NULL},
	};
	struct seccomp_findings *f = doctor_shared(sizeof(*f));
	int err;

	for (int i = 0; i < STEP_COUNT; i++)
		f->err[i] = UNTRIED;
	err = doctor_in_child(try_filters, f);
	if (err && f->err[STEP_FILTER] == UNTRIED)
		f->err[STEP_FILTER] = err;
	err = doctor_in_child(try_listener, f);
	if (err && f->err[STEP_NOTIFY] == UNTRIED)
		f->err[STEP_NOTIFY] = err;
	for (int i = 0; i < STEP_COUNT; i++)
		doctor_add_result(r, "seccomp", items[i].name, f->err[i], items[i].loss, "%s", "");
}

/* ---- ptrace and other processes' memory ---- */

struct tracee {
	volatile uint64_t word;
	volatile int fd;
};

struct trace_findings {
	int sysemu, vm_read, vm_write, proc_mem, pidfd_open, pidfd_getfd;
	struct tracee t;
};

#define TRACED_ANSWER 4242

/* Its getpid() must not reach the kernel; its exit must. */
static void __noreturn sysemu_child(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
		_exit(errno);
	raise(SIGSTOP);
	_exit(syscall(SYS_getpid) == TRACED_ANSWER ? 0 : EINVAL);
}

static int trace_step(int request, pid_t pid, int *ret_status)
{
	if (ptrace(request, pid, NULL, NULL) < 0 || waitpid(pid, ret_status, __WALL) != pid)
		return -errno;
	return 0;
}

static int try_sysemu(void)
{
	struct user_regs_struct regs;
	pid_t pid = fork();
	int status = 0, err;

	if (pid == 0)
		sysemu_child();
	if (pid < 0 || waitpid(pid, &status, __WALL) != pid)
		return -errno;
	if (WIFEXITED(status))
		return -WEXITSTATUS(status);
	err = trace_step(PTRACE_SYSEMU, pid, &status);
	/* The way out of raise() may make calls; they are let through. */
	for (int i = 0; !err && WIFSTOPPED(status) && i < 64; i++) {
		if (ptrace(PTRACE_GETREGS, pid, NULL, &regs) < 0)
			return -errno;
		if (regs.orig_rax == SYS_getpid) {
			regs.rax = TRACED_ANSWER;
			ptrace(PTRACE_SETREGS, pid, NULL, &regs);
			err = trace_step(PTRACE_CONT, pid, &status);
			return err ? err : WIFEXITED(status) ? -WEXITSTATUS(status) : -ECHILD;
		}
		regs.rax = 0;
		ptrace(PTRACE_SETREGS, pid, NULL, &regs);
		err = trace_step(PTRACE_SYSEMU, pid, &status);
	}
	return err ? err : -ECHILD;
}

static void __noreturn memory_child(struct tracee *t, int ready)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	t->word = 0x5a5a; /* in its own stack frame would do as well: the page is private to it */
	if (write(ready, "r", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

static int try_vm(pid_t pid, uint64_t *word, bool write)
{
	uint64_t copy = 0x5a5a;
	struct iovec local = {&copy, sizeof(copy)}, remote = {word, sizeof(*word)};
	ssize_t n = write ? process_vm_writev(pid, &local, 1, &remote, 1, 0)
			  : process_vm_readv(pid, &local, 1, &remote, 1, 0);

	return n < 0 ? -errno : n == sizeof(copy) ? 0 : -EIO;
}

static int try_proc_mem(pid_t pid, uint64_t *word)
{
	uint64_t copy = 0x5a5a;
	char path[40];
	cleanup_fd int fd = -1;

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || pread(fd, &copy, sizeof(copy), (off_t)(uintptr_t)word) != sizeof(copy) ||
	    pwrite(fd, &copy, sizeof(copy), (off_t)(uintptr_t)word) != sizeof(copy))
		return -errno;
	return 0;
}

static void try_processes(void *shared)
{
	struct trace_findings *f = shared;
	static uint64_t word = 0x5a5a;
	int ready[2], pidfd, fd;
	pid_t pid;
	char byte;

	doctor_drop_capabilities();
	f->sysemu = try_sysemu();
	if (pipe(ready) < 0 || (pid = fork()) < 0)
		return;
	if (pid == 0)
		memory_child(&f->t, ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		return;
	f->vm_read = try_vm(pid, &word, false);
	f->vm_write = try_vm(pid, &word, true);
	f->proc_mem = try_proc_mem(pid, &word);
	pidfd = pidfd_open(pid, 0);
	f->pidfd_open = pidfd < 0 ? -errno : 0;
	if (pidfd >= 0) {
		fd = pidfd_getfd(pidfd, 0, 0);
		f->pidfd_getfd = fd < 0 ? -errno : 0;
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void examine_processes(struct doctor_report *r)
{
	struct trace_findings *f = doctor_shared(sizeof(*f));
	int err;

	*f = (struct trace_findings){UNTRIED, UNTRIED, UNTRIED, UNTRIED, UNTRIED, UNTRIED, {0, 0}};
	err = doctor_in_child(try_processes, f);
	if (err && f->sysemu == UNTRIED)
		f->sysemu = err;
	doctor_add_result(r, "processes", "ptrace-sysemu", f->sysemu,
			  "function: the platform ptrace, the fallback of notify", "%s", "");
	doctor_add_result(r, "processes", "process-vm", f->vm_read ? f->vm_read : f->vm_write, "",
			  "%s", "");
	doctor_add_result(r, "processes", "proc-mem", f->proc_mem, "", "%s", "");
	doctor_add_result(r, "processes", "pidfd", f->pidfd_open, "", "%s", "");
	doctor_add_result(r, "processes", "pidfd-getfd", f->pidfd_getfd, "", "%s", "");
}

/* ---- single calls ---- */

struct call_findings {
	int openat2, clone3, close_range, statx, seals, memfd_flags, memfd_exec, mount_setattr,
	    mount_api, rwf_nowait, madv_populate;
};

static int try_openat2(void)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC,
			       .resolve =
				   RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};

	return syscall(SYS_openat2, AT_FDCWD, ".", &how, sizeof(how)) < 0 ? -errno : 0;
}

static int try_clone3(void)
{
	struct clone_args args = {.exit_signal = SIGCHLD};
	long pid = syscall(SYS_clone3, &args, sizeof(args));

	if (pid == 0)
		_exit(0);
	if (pid < 0)
		return -errno;
	waitpid((pid_t)pid, NULL, 0);
	return 0;
}

static int try_seals(void)
{
	const int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
	cleanup_fd int fd = memfd_create("cvisor-doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || fcntl(fd, F_ADD_SEALS, seals) < 0)
		return -errno;
	return write(fd, "x", 1) < 0 ? 0 : -EINVAL;
}

static int try_memfd_flags(void)
{
	cleanup_fd int fd =
	    (int)syscall(SYS_memfd_create, "cvisor-doctor", MFD_CLOEXEC | MFD_NOEXEC_SEAL);

	return fd < 0 ? -errno : 0;
}

/* A script whose interpreter isn't there: ENOENT says that execution was allowed. */
static int try_memfd_exec(void)
{
	static const char script[] = "#!/.cvisor/doctor\n";
	char *none[] = {NULL};
	int fd = memfd_create("cvisor-doctor", MFD_ALLOW_SEALING);

	if (fd < 0 || fd_write_all(fd, script, sizeof(script) - 1) < 0)
		return -errno;
	syscall(SYS_execveat, fd, "", none, none, AT_EMPTY_PATH);
	return errno == ENOENT ? 0 : -errno;
}

static int try_mount_api(void)
{
	if (unshare(geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return -errno;
	if (fsopen("tmpfs", FSOPEN_CLOEXEC) < 0)
		return -errno;
	return 0;
}

static int try_mount_setattr(void)
{
	return syscall(SYS_mount_setattr, -1, "", AT_EMPTY_PATH, NULL, 0) < 0 && errno == ENOSYS
		   ? -ENOSYS
		   : 0;
}

static int try_statx(void)
{
	struct statx sx;

	return statx(AT_FDCWD, ".", 0, STATX_BASIC_STATS, &sx) < 0 ? -errno : 0;
}

/* An empty pipe: a kernel that knows the flag says so, and doesn't wait. */
static int try_rwf_nowait(void)
{
	char byte;
	struct iovec iov = {&byte, 1};
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	return preadv2(fds[0], &iov, 1, -1, RWF_NOWAIT) < 0 && errno == EAGAIN ? 0 : -errno;
}

static int try_madv_populate(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED || madvise(p, 4096, MADV_POPULATE_WRITE) < 0 ? -errno : 0;
}

static void try_calls(void *shared)
{
	struct call_findings *f = shared;

	f->openat2 = try_openat2();
	f->clone3 = try_clone3();
	f->close_range = close_range(1000, 1000, 0) < 0 ? -errno : 0;
	f->seals = try_seals();
	f->memfd_exec = try_memfd_exec();
	f->statx = try_statx();
	f->memfd_flags = try_memfd_flags();
	f->rwf_nowait = try_rwf_nowait();
	f->madv_populate = try_madv_populate();
	f->mount_setattr = try_mount_setattr();
	f->mount_api = try_mount_api();
}

static void examine_calls(struct doctor_report *r)
{
	struct call_findings *f = doctor_shared(sizeof(*f));
	int err = doctor_in_child(try_calls, f);
	const struct {
		const char *name;
		int err;
	} items[] = {
	    {"openat2", f->openat2},
	    {"clone3", f->clone3},
	    {"close-range", f->close_range},
	    {"statx", f->statx},
	    {"memfd-seal", f->seals},
	    {"memfd-flags", f->memfd_flags},
	    {"memfd-exec", f->memfd_exec},
	    {"mount-api", f->mount_api},
	    {"mount-setattr", f->mount_setattr},
	    {"rwf-nowait", f->rwf_nowait},
	    {"madv-populate", f->madv_populate},
	};

	for (size_t i = 0; i < array_count(items); i++)
		doctor_add_result(r, "calls", items[i].name, err ? err : items[i].err, "", "%s",
				  "");
}

/* ---- namespaces ---- */

struct unsharing {
	int flag;
	int err;
};

/* The one in question, in a user namespace where that is the only way to have the right. */
static void try_unshare(void *shared)
{
	struct unsharing *u = shared;
	int flags = u->flag | (geteuid() == 0 ? 0 : CLONE_NEWUSER);

	u->err = unshare(flags) < 0 ? -errno : 0;
}

void doctor_namespaces(struct doctor_report *r)
{
	static const struct {
		const char *name, *sysctl;
		int flag;
		const char *loss;
	} kinds[] = {
	    {"user", "max_user_namespaces", CLONE_NEWUSER, ""},
	    {"pid", "max_pid_namespaces", CLONE_NEWPID, "function: no sandbox can be made"},
	    {"mount", "max_mnt_namespaces", CLONE_NEWNS, "function: no sandbox can be made"},
	    {"network", "max_net_namespaces", CLONE_NEWNET, "function: no sandbox can be made"},
	    {"ipc", "max_ipc_namespaces", CLONE_NEWIPC, "function: no sandbox can be made"},
	    {"uts", "max_uts_namespaces", CLONE_NEWUTS, "function: no sandbox can be made"},
	    {"cgroup", "max_cgroup_namespaces", CLONE_NEWCGROUP,
	     "function: no sandbox can be made"},
	    {"time", "max_time_namespaces", CLONE_NEWTIME, ""},
	};
	struct unsharing *u = doctor_shared(sizeof(*u));

	for (size_t i = 0; i < array_count(kinds); i++) {
		char path[64], name[40], *text = NULL;
		int err;

		*u = (struct unsharing){kinds[i].flag, UNTRIED};
		err = doctor_in_child(try_unshare, u);
		snprintf(path, sizeof(path), "/proc/sys/user/%s", kinds[i].sysctl);
		snprintf(name, sizeof(name), "%s-namespaces", kinds[i].name);
		if (fd_read_file(AT_FDCWD, path, 64, &text, NULL) == 0)
			text[strcspn(text, "\n")] = '\0';
		doctor_add_result(r, "namespaces", name, err ? err : u->err, kinds[i].loss,
				  "%s%s%s", text ? kinds[i].sysctl : "", text ? " " : "",
				  text ? text : "");
		free(text);
	}
}

void doctor_calls(struct doctor_report *r)
{
	examine_seccomp(r);
	examine_processes(r);
	examine_calls(r);
}
