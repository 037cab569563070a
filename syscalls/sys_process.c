/* SPDX-License-Identifier: Apache-2.0 */
/* Processes: making, replacing, ending and waiting for them; ids, groups and sessions. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/errno.h"
#include "abi/fcntl.h"
#include "abi/futex.h"
#include "abi/sched.h"
#include "abi/signal.h"
#include "base/mem.h"
#include "sentry/kernel/exec.h"
#include "sentry/kernel/fork.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/pgrp.h"
#include "sentry/kernel/signal.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/task_block.h"
#include "sentry/kernel/unsupported.h"
#include "sentry/kernel/wait.h"
#include "sentry/loader/loader.h"
#include "sentry/mm/usermem.h"
#include "sentry/vfs/vfs.h"
#include "syscalls/syscalls.h"

/* ---- clone and its family ---- */

int64_t sys_fork(struct task *t, const struct sysargs *a)
{
	const struct clone_params p = {.exit_signal = ABI_SIGCHLD};

	(void)a;
	return task_clone(t, &p);
}

int64_t sys_vfork(struct task *t, const struct sysargs *a)
{
	const struct clone_params p = {
	    .flags = ABI_CLONE_VM | ABI_CLONE_VFORK,
	    .exit_signal = ABI_SIGCHLD,
	};

	(void)a;
	return task_clone(t, &p);
}

int64_t sys_clone(struct task *t, const struct sysargs *a)
{
	const struct clone_params p = {
	    .flags = (uint32_t)a->arg[0] & ~ABI_CSIGNAL,
	    .exit_signal = (int32_t)(a->arg[0] & ABI_CSIGNAL),
	    .stack = a->arg[1],
	    .parent_tid = a->arg[2],
	    .child_tid = a->arg[3],
	    .tls = a->arg[4],
	};

	return task_clone(t, &p);
}

/* A struct whose size the guest names: larger ones must have zeros where we know nothing. */
static int copy_clone_args(struct task *t, uaddr_t ptr, uint64_t size, struct abi_clone_args *ret)
{
	char more[256];

	if (size < ABI_CLONE_ARGS_SIZE_VER0)
		return -EINVAL;
	if (size > 4096)
		return -E2BIG;
	memset(ret, 0, sizeof(*ret));
	if (copy_from_user(t, ret, ptr, MIN(size, (uint64_t)sizeof(*ret))))
		return -EFAULT;
	for (uint64_t at = sizeof(*ret); at < size; at += sizeof(more)) {
		size_t n = MIN(size - at, (uint64_t)sizeof(more));

		if (copy_from_user(t, more, uaddr_add(ptr, at), n))
			return -EFAULT;
		for (size_t i = 0; i < n; i++)
			if (more[i])
				return -E2BIG;
	}
	return 0;
}

static int check_clone3(struct task *t, const struct abi_clone_args *c)
{
	if (c->flags & (ABI_CLONE_DETACHED | (ABI_CSIGNAL & ~ABI_CLONE_NEWTIME)))
		return -EINVAL;
	if (c->flags >> 34)
		return -EINVAL;
	if (c->exit_signal & ~(uint64_t)ABI_CSIGNAL || c->exit_signal > ABI_NSIG)
		return -EINVAL;
	if ((c->flags & (ABI_CLONE_THREAD | ABI_CLONE_PARENT)) && c->exit_signal)
		return -EINVAL;
	if (!c->stack != !c->stack_size)
		return -EINVAL;
	if (c->set_tid_size)
		return (int)unsupported(t, EINVAL, "set_tid");
	return 0;
}

int64_t sys_clone3(struct task *t, const struct sysargs *a)
{
	struct abi_clone_args c;
	struct clone_params p;
	int err = copy_clone_args(t, uaddr(a->arg[0]), a->arg[1], &c);

	if (!err)
		err = check_clone3(t, &c);
	if (err)
		return err;
	p = (struct clone_params){
	    .flags = c.flags,
	    .exit_signal = (int32_t)c.exit_signal,
	    .stack = c.stack ? c.stack + c.stack_size : 0,
	    .parent_tid = c.parent_tid,
	    .child_tid = c.child_tid,
	    .tls = c.tls,
	};
	return task_clone(t, &p);
}

int64_t sys_set_tid_address(struct task *t, const struct sysargs *a)
{
	t->clear_child_tid = a->arg[0];
	return t->tid;
}

/* ---- execve ---- */

#define READER_PAGES 4

/*
 * Pointers and strings in the guest's memory, close to each other as a rule: whole pages are read,
 * and the last few kept, so that a hundred strings cost two or three copies. What is read twice is
 * checked each time.
 */
struct string_reader {
	struct task *task;
	uint64_t budget;	   /* bytes that may still be taken */
	uint32_t next;		   /* the page to be dropped */
	uint64_t va[READER_PAGES]; /* 0: none */
	char page[READER_PAGES][4096];
};

static char *reader_page(struct string_reader *r, uint64_t va)
{
	uint32_t i;

	for (i = 0; i < READER_PAGES; i++)
		if (r->va[i] == va)
			return r->page[i];
	i = r->next++ % READER_PAGES;
	r->va[i] = 0;
	if (copy_from_user(r->task, r->page[i], uaddr(va), sizeof(r->page[i])))
		return NULL;
	r->va[i] = va;
	return r->page[i];
}

/* Makes the byte at va available; how many there are from it on, or -EFAULT. */
static int64_t reader_at(struct string_reader *r, uint64_t va, const char **ret)
{
	uint32_t at = va & 4095;
	char *page = va - at ? reader_page(r, va - at) : NULL;

	if (!page)
		return -EFAULT;
	*ret = page + at;
	return 4096 - at;
}

static int read_u64(struct string_reader *r, uint64_t va, uint64_t *ret)
{
	char bytes[8];

	for (uint32_t i = 0; i < 8;) {
		const char *p;
		int64_t n = reader_at(r, va + i, &p);

		if (n < 0)
			return -EFAULT;
		n = MIN(n, (int64_t)(8 - i));
		memcpy(bytes + i, p, (size_t)n);
		i += (uint32_t)n;
	}
	memcpy(ret, bytes, 8);
	return 0;
}

static int read_string(struct string_reader *r, uint64_t va, char **ret)
{
	uint64_t max = MIN(r->budget, (uint64_t)EXEC_STRING_MAX), size = 0;
	char *s = NULL;

	for (;;) {
		const char *p, *end;
		int64_t n = reader_at(r, va + size, &p);
		uint64_t take;

		if (n < 0) {
			free(s);
			return -EFAULT;
		}
		end = memchr(p, 0, (size_t)n);
		take = end ? (uint64_t)(end - p) + 1 : (uint64_t)n;
		if (size + take > max) {
			free(s);
			return -E2BIG;
		}
		s = xrealloc(s, size + take);
		memcpy(s + size, p, take);
		size += take;
		if (end)
			break;
	}
	r->budget -= size;
	*ret = s;
	return 0;
}

static void free_strings(char **strings)
{
	if (!strings)
		return;
	for (size_t i = 0; strings[i]; i++)
		free(strings[i]);
	free(strings);
}

/* A NULL-terminated array of strings; a null pointer is an empty one. */
static int read_strings(struct string_reader *r, uint64_t va, char ***ret, size_t *ret_count)
{
	size_t count = 0, capacity = 16;
	char **list = xcalloc(capacity + 1, sizeof(*list));
	uint64_t ptr;
	int err = 0;

	while (va) {
		err = read_u64(r, va + 8 * count, &ptr);
		if (err || !ptr)
			break;
		if (r->budget < sizeof(ptr)) {
			err = -E2BIG;
			break;
		}
		r->budget -= sizeof(ptr);
		if (count == capacity) {
			capacity *= 2;
			list = xrealloc(list, (capacity + 1) * sizeof(*list));
		}
		err = read_string(r, ptr, &list[count]);
		list[count + !err] = NULL;
		if (err)
			break;
		count++;
	}
	if (err) {
		free_strings(list);
		return err;
	}
	*ret = list;
	*ret_count = count;
	return 0;
}

static int read_arguments(struct task *t, uint64_t argv, uint64_t envp, struct exec_args *args)
{
	struct string_reader *r = xmalloc(sizeof(*r));
	int err;

	r->task = t;
	r->budget = exec_args_max(t);
	r->next = 0;
	memset(r->va, 0, sizeof(r->va));
	err = read_strings(r, argv, &args->argv, &args->argc);
	if (!err)
		err = read_strings(r, envp, &args->envp, &args->envc);
	free(r);
	/* Programs rely on argv[0] (Linux since 5.18 gives them an empty one). */
	if (!err && args->argc == 0) {
		args->argv[0] = xstrdup("");
		args->argv[1] = NULL;
		args->argc = 1;
	}
	return err;
}

static uint32_t lookup_flags(int at_flags)
{
	return (at_flags & ABI_AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) |
	       (at_flags & ABI_AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
}

/* What a program opened through a descriptor is called (Linux bprm->fdpath). */
static char *fd_name(int dfd, const char *path)
{
	if (path[0] == '/' || dfd == ABI_AT_FDCWD)
		return xstrdup(path);
	if (!path[0])
		return xasprintf("/dev/fd/%d", dfd);
	return xasprintf("/dev/fd/%d/%s", dfd, path);
}

static int64_t exec_common(struct task *t, int dfd, uint64_t path_va, uint64_t argv, uint64_t envp,
			   int at_flags)
{
	struct exec_args args = {0};
	char path[VFS_PATH_MAX];
	char *name = NULL;
	int64_t ret = strncpy_from_user(t, path, uaddr(path_va), sizeof(path));

	if (ret < 0)
		return ret;
	if (!path[0] && !(at_flags & ABI_AT_EMPTY_PATH))
		return -ENOENT;
	ret = loader_open(t, dfd, path, lookup_flags(at_flags), &args.file);
	if (ret)
		return ret;
	ret = read_arguments(t, argv, envp, &args);
	if (!ret) {
		args.filename = name = fd_name(dfd, path);
		ret = exec_begin(t, &args);
	}
	/* exec_begin may have given the task away: nothing of it is touched from here on. */
	free(name);
	free_strings(args.argv);
	free_strings(args.envp);
	file_put(args.file);
	return ret;
}

int64_t sys_execve(struct task *t, const struct sysargs *a)
{
	if (t->exec)
		return exec_continue(t);
	return exec_common(t, ABI_AT_FDCWD, a->arg[0], a->arg[1], a->arg[2], 0);
}

int64_t sys_execveat(struct task *t, const struct sysargs *a)
{
	int flags = abi_int(a->arg[4]);

	if (t->exec)
		return exec_continue(t);
	if (flags & ~(ABI_AT_EMPTY_PATH | ABI_AT_SYMLINK_NOFOLLOW))
		return flags & ABI_AT_EXECVE_CHECK ? unsupported(t, EINVAL, "AT_EXECVE_CHECK")
						   : -EINVAL;
	return exec_common(t, abi_int(a->arg[0]), a->arg[1], a->arg[2], a->arg[3], flags);
}

/* ---- the end ---- */

int64_t sys_exit(struct task *t, const struct sysargs *a)
{
	t->exit_code = ABI_W_EXITED(abi_int(a->arg[0]));
	atomic_store(&t->exit_pending, true);
	return 0;
}

int64_t sys_exit_group(struct task *t, const struct sysargs *a)
{
	signal_exit_group(t->tg, ABI_W_EXITED(abi_int(a->arg[0])));
	atomic_store(&t->exit_pending, true);
	return 0;
}

/* ---- waiting ---- */

static int put_rusage(struct task *t, uint64_t va, const struct abi_rusage *ru)
{
	return va ? copy_to_user(t, uaddr(va), ru, sizeof(*ru)) : 0;
}

static int32_t own_pgid(struct task *t)
{
	return pgrp_getpgid(t, 0);
}

int64_t sys_wait4(struct task *t, const struct sysargs *a)
{
	int32_t pid = abi_int(a->arg[0]);
	uint32_t options = (uint32_t)a->arg[2];
	struct wait_query q = {.options = options | ABI_WEXITED};
	struct wait_result r;
	int64_t ret;

	if (options &
	    ~(ABI_WNOHANG | ABI_WUNTRACED | ABI_WCONTINUED | ABI_WNOTHREAD | ABI_WCLONE | ABI_WALL))
		return -EINVAL;
	if (pid == INT32_MIN)
		return -ESRCH;
	if (pid == -1) {
		q.idtype = ABI_P_ALL;
	} else if (pid > 0) {
		q.idtype = ABI_P_PID;
		q.id = pid;
	} else {
		q.idtype = ABI_P_PGID;
		q.id = pid ? -pid : own_pgid(t);
	}
	ret = wait_for_child(t, &q, &r);
	if (ret || !r.pid)
		return ret;
	if (a->arg[1] && copy_to_user(t, uaddr(a->arg[1]), &r.wait_status, sizeof(r.wait_status)))
		return -EFAULT;
	if (put_rusage(t, a->arg[3], &r.rusage))
		return -EFAULT;
	return r.pid;
}

static int waitid_query(struct task *t, int idtype, int32_t id, uint32_t options,
			struct wait_query *q)
{
	if (options & ~(ABI_WNOHANG | ABI_WNOWAIT | ABI_WEXITED | ABI_WSTOPPED | ABI_WCONTINUED |
			ABI_WNOTHREAD | ABI_WCLONE | ABI_WALL))
		return -EINVAL;
	if (!(options & (ABI_WEXITED | ABI_WSTOPPED | ABI_WCONTINUED)))
		return -EINVAL;
	*q = (struct wait_query){idtype, id, options};
	switch (idtype) {
	case ABI_P_ALL:
		return 0;
	case ABI_P_PID:
		return id > 0 ? 0 : -EINVAL;
	case ABI_P_PGID:
		if (id < 0)
			return -EINVAL;
		if (!id)
			q->id = own_pgid(t);
		return 0;
	case ABI_P_PIDFD:
		return (int)unsupported(t, EINVAL, "P_PIDFD");
	default:
		return -EINVAL;
	}
}

int64_t sys_waitid(struct task *t, const struct sysargs *a)
{
	struct abi_siginfo info;
	struct wait_query q;
	struct wait_result r;
	int64_t ret =
	    waitid_query(t, abi_int(a->arg[0]), abi_int(a->arg[1]), (uint32_t)a->arg[3], &q);

	if (!ret)
		ret = wait_for_child(t, &q, &r);
	if (ret)
		return ret;
	memset(&info, 0, sizeof(info));
	if (r.pid) {
		info.signo = ABI_SIGCHLD;
		info.code = r.code;
		info.chld.pid = r.pid;
		info.chld.uid = r.uid;
		info.chld.status = r.status;
	}
	/* The bytes behind the status stay as they are (Linux writes field by field). */
	if (a->arg[2] &&
	    copy_to_user(t, uaddr(a->arg[2]), &info, offsetof(struct abi_siginfo, chld.pad)))
		return -EFAULT;
	return r.pid ? put_rusage(t, a->arg[4], &r.rusage) : 0;
}

/* ---- ids ---- */

int64_t sys_getpid(struct task *t, const struct sysargs *a)
{
	(void)a;
	return t->tg->tgid;
}

int64_t sys_gettid(struct task *t, const struct sysargs *a)
{
	(void)a;
	return t->tid;
}

int64_t sys_getppid(struct task *t, const struct sysargs *a)
{
	int32_t ppid = 0;

	(void)a;
	mutex_lock(&t->kernel->tasks_lock);
	if (t->tg->parent)
		ppid = t->tg->parent->tgid;
	mutex_unlock(&t->kernel->tasks_lock);
	return ppid;
}

int64_t sys_setpgid(struct task *t, const struct sysargs *a)
{
	if (abi_int(a->arg[0]) < 0)
		return -ESRCH;
	return pgrp_setpgid(t, abi_int(a->arg[0]), abi_int(a->arg[1]));
}

int64_t sys_getpgid(struct task *t, const struct sysargs *a)
{
	return pgrp_getpgid(t, abi_int(a->arg[0]));
}

int64_t sys_getpgrp(struct task *t, const struct sysargs *a)
{
	(void)a;
	return pgrp_getpgid(t, 0);
}

int64_t sys_setsid(struct task *t, const struct sysargs *a)
{
	(void)a;
	return pgrp_setsid(t);
}

int64_t sys_getsid(struct task *t, const struct sysargs *a)
{
	return pgrp_getsid(t, abi_int(a->arg[0]));
}
