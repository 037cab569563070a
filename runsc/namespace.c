/* SPDX-License-Identifier: Apache-2.0 */
#include "runsc/namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/feature.h"
#include "base/hostcall.h"
#include "base/log.h"
#include "runsc/sandbox.h"

/* How each type is cloned and joined; flag 0: never joined. */
static const struct {
	const char *name;
	const char *own_path;
	int flag;
} kinds[OCI_NS_COUNT] = {
    [OCI_NS_PID] = {"pid", NULL, 0},
    [OCI_NS_NETWORK] = {"network", "/proc/self/ns/net", CLONE_NEWNET},
    [OCI_NS_MOUNT] = {"mount", NULL, 0},
    [OCI_NS_IPC] = {"ipc", "/proc/self/ns/ipc", CLONE_NEWIPC},
    [OCI_NS_UTS] = {"uts", "/proc/self/ns/uts", CLONE_NEWUTS},
    [OCI_NS_USER] = {"user", NULL, 0},
    [OCI_NS_CGROUP] = {"cgroup", NULL, 0},
    [OCI_NS_TIME] = {"time", NULL, 0},
};

static struct error *plan_join(const struct oci_spec *spec, size_t type, struct namespaces *n)
{
	const char *path = spec->namespaces[type].path;

	if (!kinds[type].flag) {
		/* A user or cgroup namespace of somebody else's would only weaken the sandbox's. */
		if (type == OCI_NS_USER || type == OCI_NS_CGROUP) {
			log_warn("the %s namespace %s is not joined: the sandbox has its own",
				 kinds[type].name, path);
			return NULL;
		}
		return error_new("config.json: linux.namespaces: joining the %s namespace %s is "
				 "not supported",
				 kinds[type].name, path);
	}
	n->join[type] = open(path, O_RDONLY | O_CLOEXEC);
	if (n->join[type] < 0)
		return error_errno(errno, "config.json: linux.namespaces: %s namespace %s",
				   kinds[type].name, path);
	n->own[type] = open(kinds[type].own_path, O_RDONLY | O_CLOEXEC);
	if (n->own[type] < 0)
		return error_errno(errno, "%s", kinds[type].own_path);
	n->clone_flags &= ~kinds[type].flag;
	return NULL;
}

struct error *namespaces_plan(const struct oci_spec *spec, const struct runsc_options *o,
			      struct namespaces *ret)
{
	struct namespaces n = {.clone_flags = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC |
					      CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWUSER,
			       .user = true};
	struct error *e = NULL;

	for (size_t i = 0; i < OCI_NS_COUNT; i++)
		n.join[i] = n.own[i] = -1;
	if (o->network == NETWORK_HOST && !spec->namespaces[OCI_NS_NETWORK].present)
		n.clone_flags &= ~CLONE_NEWNET;
	for (size_t i = 0; i < OCI_NS_COUNT && !e; i++)
		if (spec->namespaces[i].path)
			e = plan_join(spec, i, &n);
	if (e)
		namespaces_close(&n);
	else
		*ret = n;
	return e;
}

void namespaces_close(struct namespaces *n)
{
	for (size_t i = 0; i < OCI_NS_COUNT; i++) {
		fd_closep(&n->join[i]);
		fd_closep(&n->own[i]);
		n->join[i] = n->own[i] = -1;
	}
}

static struct error *enter(const int fds[OCI_NS_COUNT])
{
	for (size_t i = 0; i < OCI_NS_COUNT; i++)
		if (fds[i] >= 0 && setns(fds[i], kinds[i].flag) < 0)
			return error_errno(errno, "joining the %s namespace", kinds[i].name);
	return NULL;
}

/*
 * The raw call, since libc has no fork with flags. CHILD_SETTID keeps what libc remembers as the
 * thread's id right in the child, as its own fork does.
 */
static pid_t clone_process(int flags)
{
	int *tid_address = NULL;

	if ((flags & CLONE_NEWUSER) && feature_off(FEATURE_USER_NS)) {
		errno = EPERM;
		return -1;
	}
	if (prctl(PR_GET_TID_ADDRESS, &tid_address) == 0 && tid_address)
		flags |= CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
	return (pid_t)syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, tid_address, 0);
}

/* Who switched them off (--without) knows; anybody else should hear of the weaker wall. */
static void give_up_user(struct namespaces *n, int err)
{
	if (!feature_off(FEATURE_USER_NS))
		log_warn("user namespaces can't be made (%s): the sandbox has to do without",
			 errno_text(err));
	n->user = false;
	n->clone_flags &= ~CLONE_NEWUSER;
}

struct error *namespaces_fork(struct namespaces *n, pid_t *ret_pid)
{
	struct error *e = enter(n->join), *back;
	struct utsname uts;
	pid_t pid = -1;
	int err = 0;

	if (!e && n->join[OCI_NS_UTS] >= 0 && uname(&uts) == 0)
		snprintf(n->hostname, sizeof(n->hostname), "%.64s", uts.nodename);
	if (!e) {
		pid = clone_process(n->clone_flags);
		err = errno;
	}
	if (pid < 0 && n->user && geteuid() == 0 && !e) {
		give_up_user(n, err);
		pid = clone_process(n->clone_flags);
		err = errno;
	}
	if (pid == 0) {
		*ret_pid = 0;
		return NULL;
	}
	back = enter(n->own);
	if (!e && pid < 0)
		e = error_errno(err, "starting the sandbox in new namespaces");
	if (e) {
		error_free(back);
		return e;
	}
	*ret_pid = pid;
	return back ? error_wrap(back, "coming back") : NULL;
}

static int write_proc(pid_t pid, const char *name, const char *text)
{
	char path[48];
	cleanup_fd int fd = -1;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return -errno;
	return 0;
}

static int write_map(pid_t child, const char *name, unsigned host_id)
{
	char text[48];

	snprintf(text, sizeof(text), "%u %u 1", SANDBOX_UID, host_id);
	return write_proc(child, name, text);
}

struct error *namespaces_map(const struct namespaces *n, pid_t child)
{
	bool root = geteuid() == 0;
	int r;

	if (!n->user)
		return NULL;
	r = root ? write_map(child, "uid_map", SANDBOX_UID) : -EPERM;
	if (r == 0)
		r = write_map(child, "gid_map", SANDBOX_UID);
	else if (r == -EPERM) {
		/* Not root, or root of a namespace without that id: the only one left is ours. */
		if (root)
			log_warn("id %u can't be mapped: the sandbox runs as runsc's own user",
				 SANDBOX_UID);
		r = write_map(child, "uid_map", geteuid());
		if (r == 0)
			r = write_proc(child, "setgroups", "deny");
		if (r == 0)
			r = write_map(child, "gid_map", getegid());
	}
	return r < 0 ? error_errno(-r, "the id map of the sandbox's user namespace") : NULL;
}

/* Leaving uid 0 would drop all capabilities where root keeps its meaning. */
static struct error *keep_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data) < 0)
		return error_errno(errno, "capget");
	data[0].effective = data[0].permitted;
	data[1].effective = data[1].permitted;
	if (syscall(SYS_capset, &header, data) < 0)
		return error_errno(errno, "capset");
	return NULL;
}

struct error *namespaces_own_cgroup(void)
{
	return unshare(CLONE_NEWCGROUP) < 0 ? error_errno(errno, "unshare of the cgroup namespace")
					    : NULL;
}

struct error *namespaces_become_nobody(const struct namespaces *n)
{
	/* Denied where the id map was written without rights; then there are no groups to lose
	 * that the maps would show. */
	if (setgroups(0, NULL) < 0 && !n->user)
		return error_errno(errno, "setgroups");
	if (prctl(PR_SET_KEEPCAPS, 1) < 0)
		return error_errno(errno, "PR_SET_KEEPCAPS");
	if (setresgid(SANDBOX_UID, SANDBOX_UID, SANDBOX_UID) < 0)
		return error_errno(errno, "setresgid %u", SANDBOX_UID);
	if (setresuid(SANDBOX_UID, SANDBOX_UID, SANDBOX_UID) < 0)
		return error_errno(errno, "setresuid %u", SANDBOX_UID);
	if (prctl(PR_SET_KEEPCAPS, 0) < 0 || prctl(PR_SET_DUMPABLE, 1) < 0)
		return error_errno(errno, "prctl");
	return keep_capabilities();
}

#define BARE_FLAGS (MS_NOSUID | MS_NODEV | MS_NOEXEC)

/* A new file system that is mounted nowhere. attributes: MOUNT_ATTR_*; -1 with errno. */
static int detached_mount(const char *type, unsigned attributes)
{
	cleanup_fd int context = fsopen(type, FSOPEN_CLOEXEC);

	if (context < 0 || fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -1;
	return fsmount(context, FSMOUNT_CLOEXEC, attributes);
}

/*
 * Before Linux 5.2: mounted on /proc, over whatever is there, where it will be when the whole tree
 * is taken away; the descriptor keeps it. -1 with errno.
 */
static int covering_mount(const char *type, unsigned long flags)
{
	if (mount(type, "/proc", type, flags, NULL) < 0)
		return -1;
	return open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* The two file systems that the sandbox holds by descriptors alone; -1 where they can't be had. */
static void open_private(struct sandbox_args *args, bool api)
{
	const unsigned bare = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;

	args->proc_fd = api ? detached_mount("proc", bare) : covering_mount("proc", BARE_FLAGS);
	if (args->proc_fd < 0)
		log_info("proc can't be mounted for the sandbox: %s", errno_text(errno));
	args->exec_dir_fd = -1;
	if (host_can_exec_memfd())
		return;
	args->exec_dir_fd = api ? detached_mount("tmpfs", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)
				: covering_mount("tmpfs", MS_NOSUID | MS_NODEV);
}

/* An empty tmpfs on /proc (any directory would do; that one is there), opened. -1 with errno. */
static int mount_empty(bool api)
{
	cleanup_fd int root = -1;

	if (!api)
		return covering_mount("tmpfs", BARE_FLAGS | MS_RDONLY);
	root = detached_mount("tmpfs", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |
					   MOUNT_ATTR_RDONLY);
	if (root < 0 || move_mount(root, "", AT_FDCWD, "/proc", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return -1;
	return fcntl(root, F_DUPFD_CLOEXEC, 0);
}

struct error *namespaces_empty_root(struct sandbox_args *args)
{
	bool api = host_has_mount_api();
	cleanup_fd int root = -1;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return error_errno(errno, "making mounts private");
	open_private(args, api);
	root = mount_empty(api);
	if (root < 0 || fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
	    umount2(".", MNT_DETACH) < 0 || chdir("/") < 0) {
		fd_closep(&args->proc_fd);
		fd_closep(&args->exec_dir_fd);
		return error_errno(errno, "the sandbox's empty root");
	}
	return NULL;
}
