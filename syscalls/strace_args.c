/* SPDX-License-Identifier: Apache-2.0 */
/* --strace: arguments by their kind, and results. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "abi/errno.h"
#include "abi/fcntl.h"
#include "abi/futex.h"
#include "abi/mman.h"
#include "abi/prctl.h"
#include "syscalls/argkinds.h"
#include "syscalls/strace.h"

/* ---- how many arguments ---- */

static unsigned int futex_arg_count(uint64_t op)
{
	switch (op & (uint64_t)ABI_FUTEX_CMD_MASK) {
	case ABI_FUTEX_WAKE:
		return 3;
	case ABI_FUTEX_WAIT:
	case ABI_FUTEX_LOCK_PI:
	case ABI_FUTEX_LOCK_PI2:
		return 4;
	case ABI_FUTEX_UNLOCK_PI:
	case ABI_FUTEX_TRYLOCK_PI:
		return 2;
	case ABI_FUTEX_REQUEUE:
		return 5;
	default:
		return 6;
	}
}

static unsigned int prctl_arg_count(uint64_t option)
{
	switch ((int)option) {
	case ABI_PR_GET_DUMPABLE:
	case ABI_PR_GET_KEEPCAPS:
	case ABI_PR_GET_SECUREBITS:
	case ABI_PR_GET_TIMERSLACK:
	case ABI_PR_GET_SECCOMP:
		return 1;
	case ABI_PR_SET_NAME:
	case ABI_PR_GET_NAME:
	case ABI_PR_SET_DUMPABLE:
	case ABI_PR_SET_PDEATHSIG:
	case ABI_PR_GET_PDEATHSIG:
	case ABI_PR_SET_KEEPCAPS:
	case ABI_PR_CAPBSET_READ:
	case ABI_PR_CAPBSET_DROP:
	case ABI_PR_SET_SECUREBITS:
	case ABI_PR_SET_CHILD_SUBREAPER:
	case ABI_PR_GET_CHILD_SUBREAPER:
	case ABI_PR_SET_TIMERSLACK:
		return 2;
	default:
		return 5;
	}
}

static bool fcntl_has_arg(uint64_t cmd)
{
	switch ((int)cmd) {
	case ABI_F_GETFD:
	case ABI_F_GETFL:
	case ABI_F_GETOWN:
	case ABI_F_GETSIG:
	case ABI_F_GETLEASE:
	case ABI_F_GETPIPE_SZ:
	case ABI_F_GET_SEALS:
		return false;
	default:
		return true;
	}
}

static bool open_may_create(uint64_t flags)
{
	return (flags & ABI_O_CREAT) || (flags & ABI_O_TMPFILE) == ABI_O_TMPFILE;
}

/* clone(2), whose arguments strace shows by name and in an order of its own. */
static bool is_clone(const struct strace_call *c)
{
	return c->entry->args[0].kind == AK_CLONE && c->entry->args[4].kind != AK_NONE;
}

unsigned int strace_arg_count(const struct strace_call *c)
{
	const struct syscall_arg *args = c->entry->args;
	unsigned int count = 0;

	while (count < 6 && args[count].kind != AK_NONE)
		count++;
	if (!count)
		return 0;
	if (is_clone(c))
		return 1;
	if (args[0].kind == AK_PRCTL)
		return prctl_arg_count(strace_arg(c, 0));
	if (count > 1 && args[1].kind == AK_FUTEX)
		return futex_arg_count(strace_arg(c, 1));
	if (args[count - 1].kind == AK_MODE_IF_CREAT &&
	    !open_may_create(strace_arg(c, args[count - 1].size_arg)))
		return count - 1;
	if (args[count - 1].kind == AK_FCNTL_ARG && !fcntl_has_arg(strace_arg(c, 1)))
		return count - 1;
	if (count == 5 && args[3].kind == AK_MREMAP &&
	    !(strace_arg(c, 3) & (ABI_MREMAP_FIXED | ABI_MREMAP_DONTUNMAP)))
		return 4;
	return count;
}

bool strace_arg_is_result(const struct strace_call *c, unsigned int i)
{
	const struct syscall_arg *arg = &c->entry->args[i];

	if (is_clone(c))
		return true;
	switch (arg->kind) {
	case AK_IOCTL_ARG:
		return strace_ioctl_is_getter((uint32_t)strace_arg(c, 1));
	case AK_FCNTL_ARG:
		return strace_arg(c, 1) == ABI_F_GETLK || strace_arg(c, 1) == ABI_F_OFD_GETLK ||
		       strace_arg(c, 1) == ABI_F_GETOWN_EX;
	case AK_MSGHDR:
		return arg->copy == COPYWIN_MSG_OUT;
	case AK_INTS:
		return arg->copy != COPYWIN_IN;
	default:
		return arg->copy == COPYWIN_OUT || arg->copy == COPYWIN_IOV_OUT;
	}
}

/* ---- one argument ---- */

static void show_fcntl_arg(struct strace_call *c, uint64_t value)
{
	switch ((int)strace_arg(c, 1)) {
	case ABI_F_SETFD:
		if (value == ABI_FD_CLOEXEC)
			strbuf_addstr(c->out, "FD_CLOEXEC");
		else
			strbuf_addf(c->out, "%" PRIu64, value);
		return;
	case ABI_F_SETFL:
		strace_show_flags(c->out, AK_OPEN, value);
		return;
	case ABI_F_GETLK:
	case ABI_F_OFD_GETLK:
		strace_show_flock(c, value, true);
		return;
	case ABI_F_SETLK:
	case ABI_F_SETLKW:
	case ABI_F_OFD_SETLK:
	case ABI_F_OFD_SETLKW:
		strace_show_flock(c, value, false);
		return;
	case ABI_F_ADD_SEALS:
		strace_show_seals(c->out, value);
		return;
	case ABI_F_SETSIG:
		strace_show_signal(c->out, value);
		return;
	case ABI_F_DUPFD:
	case ABI_F_DUPFD_CLOEXEC:
	case ABI_F_SETOWN:
	case ABI_F_SETPIPE_SZ:
		strbuf_addf(c->out, "%d", (int)value);
		return;
	default:
		strace_show_address(c->out, value);
	}
}

static void show_futex_arg(struct strace_call *c, uint64_t value)
{
	switch (strace_arg(c, 1) & (uint64_t)ABI_FUTEX_CMD_MASK) {
	case ABI_FUTEX_WAIT:
	case ABI_FUTEX_WAIT_BITSET:
	case ABI_FUTEX_LOCK_PI:
	case ABI_FUTEX_LOCK_PI2:
	case ABI_FUTEX_WAIT_REQUEUE_PI:
		strace_show_pointer(c, AK_TIMESPEC, value, 0);
		return;
	default:
		strbuf_addf(c->out, "%" PRIu32, (uint32_t)value);
	}
}

static void show_prctl_arg(struct strace_call *c, uint64_t value)
{
	switch ((int)strace_arg(c, 0)) {
	case ABI_PR_SET_NAME:
		strace_show_pointer(c, AK_STR, value, 0);
		return;
	case ABI_PR_SET_PDEATHSIG:
		strace_show_signal(c->out, value);
		return;
	default:
		strbuf_addf(c->out, value < 10 ? "%" PRIu64 : "%#" PRIx64, value);
	}
}

static void show_dirfd(struct strbuf *out, uint64_t value)
{
	if ((int)value == ABI_AT_FDCWD)
		strbuf_addstr(out, "AT_FDCWD");
	else
		strbuf_addf(out, "%d", (int)value);
}

static void show_id(struct strbuf *out, uint64_t value)
{
	if ((uint32_t)value == UINT32_MAX)
		strbuf_addstr(out, "-1");
	else
		strbuf_addf(out, "%" PRIu32, (uint32_t)value);
}

/* The values that are neither behind an address nor named. */
static bool show_plain(struct strace_call *c, uint8_t kind, uint64_t value)
{
	switch (kind) {
	case AK_INT:
	case AK_FD:
		strbuf_addf(c->out, "%d", (int)value);
		return true;
	case AK_UINT:
		strbuf_addf(c->out, "%" PRIu32, (uint32_t)value);
		return true;
	case AK_LONG:
		strbuf_addf(c->out, "%" PRId64, (int64_t)value);
		return true;
	case AK_ULONG:
		strbuf_addf(c->out, "%" PRIu64, value);
		return true;
	case AK_HEX:
		strbuf_addf(c->out, "%#" PRIx64, value);
		return true;
	case AK_OCT:
	case AK_MODE_IF_CREAT:
		strbuf_addf(c->out, (uint32_t)value ? "0%03o" : "%03o", (uint32_t)value);
		return true;
	case AK_PTR:
		strace_show_address(c->out, value);
		return true;
	case AK_DFD:
		show_dirfd(c->out, value);
		return true;
	case AK_ID:
		show_id(c->out, value);
		return true;
	case AK_DEV:
		strbuf_addf(c->out, "makedev(%#x, %#x)", abi_major(value), abi_minor(value));
		return true;
	case AK_SIG:
		strace_show_signal(c->out, value);
		return true;
	default:
		return false;
	}
}

/* The size, in the kind's own unit, of what is behind argument i. */
static uint64_t pointed_size(struct strace_call *c, unsigned int i)
{
	const struct syscall_arg *arg = &c->entry->args[i];
	uint64_t size;

	if (arg->kind == AK_SOCKADDR_OUT || arg->kind == AK_OPTVAL) {
		uint32_t len = 0;

		if (arg->copy == COPYWIN_IN)
			return (uint32_t)strace_arg(c, i + 1);
		return strace_read(c, &len, strace_arg(c, i + 1), sizeof(len)) ? len : 0;
	}
	if (arg->size_arg == COPYWIN_FIXED)
		return arg->size;
	size = strace_arg(c, arg->size_arg);
	/* A result is as long as the call says. */
	if (c->exiting && arg->copy == COPYWIN_OUT && c->ret >= 0 && (uint64_t)c->ret < size)
		size = (uint64_t)c->ret;
	return size;
}

static void show_clone(struct strace_call *c)
{
	uint64_t flags = strace_arg(c, 0);

	strbuf_addstr(c->out, "child_stack=");
	strace_show_address(c->out, strace_arg(c, 1));
	strbuf_addstr(c->out, ", flags=");
	strace_show_flags(c->out, AK_CLONE, flags);
	if ((flags & (ABI_CLONE_PARENT_SETTID | ABI_CLONE_PIDFD)) && c->ret >= 0) {
		strbuf_addstr(c->out, ", parent_tid=");
		strace_show_pointer(c, AK_INTS, strace_arg(c, 2), sizeof(int));
	}
	if (flags & ABI_CLONE_SETTLS)
		strbuf_addf(c->out, ", tls=%#" PRIx64, strace_arg(c, 4));
	if (flags & (ABI_CLONE_CHILD_SETTID | ABI_CLONE_CHILD_CLEARTID))
		strbuf_addf(c->out, ", child_tidptr=%#" PRIx64, strace_arg(c, 3));
}

void strace_show_arg(struct strace_call *c, unsigned int i)
{
	const struct syscall_arg *arg = &c->entry->args[i];
	uint64_t value = strace_arg(c, i);

	if (is_clone(c)) {
		show_clone(c);
		return;
	}
	if (show_plain(c, arg->kind, value))
		return;
	if (arg->kind >= AK_FLAGS_FIRST && arg->kind <= AK_FLAGS_LAST) {
		strace_show_flags(c->out, arg->kind, value);
		return;
	}
	switch (arg->kind) {
	case AK_FCNTL_ARG:
		show_fcntl_arg(c, value);
		return;
	case AK_FUTEX_ARG:
		show_futex_arg(c, value);
		return;
	case AK_PRCTL_ARG:
		show_prctl_arg(c, value);
		return;
	case AK_IOCTL_ARG:
		strace_show_ioctl_arg(c, (uint32_t)strace_arg(c, 1), value);
		return;
	case AK_FDSET:
		strace_show_fdset(c, value, (int)strace_arg(c, 0));
		return;
	default:
		/* What a failed call did not write is not worth reading. */
		if (value == 0 || (c->exiting && c->ret < 0 && strace_arg_is_result(c, i)))
			strace_show_address(c->out, value);
		else
			strace_show_pointer(c, arg->kind, value, pointed_size(c, i));
	}
}

/* ---- the result ---- */

static bool show_restart(struct strbuf *out, int64_t ret)
{
	switch (ret) {
	case -ERESTARTSYS:
		strbuf_addstr(out, "? ERESTARTSYS (To be restarted if SA_RESTART is set)");
		return true;
	case -ERESTARTNOINTR:
		strbuf_addstr(out, "? ERESTARTNOINTR (To be restarted)");
		return true;
	case -ERESTARTNOHAND:
		strbuf_addstr(out, "? ERESTARTNOHAND (To be restarted if no handler)");
		return true;
	case -ERESTART_RESTARTBLOCK:
		strbuf_addstr(out, "? ERESTART_RESTARTBLOCK (Interrupted by signal)");
		return true;
	default:
		return false;
	}
}

/* What is ready, in the words of strace: (in [3], out [4]) or ([{fd=3, revents=POLLIN}]). */
static void show_ready(struct strace_call *c)
{
	static const char *const names[] = {"in", "out", "except"};
	const char *separator = " (";

	if (c->ret == 0) {
		strbuf_addstr(c->out, " (Timeout)");
		return;
	}
	if (c->entry->args[0].kind == AK_POLLFDS) {
		strbuf_addstr(c->out, " (");
		strace_show_pollfds_ready(c, strace_arg(c, 0), strace_arg(c, 1));
		strbuf_addch(c->out, ')');
		return;
	}
	for (unsigned int i = 0; i < 3; i++) {
		if (!strace_arg(c, i + 1))
			continue;
		strbuf_addf(c->out, "%s%s ", separator, names[i]);
		strace_show_fdset(c, strace_arg(c, i + 1), (int)strace_arg(c, 0));
		separator = ", ";
	}
	if (*separator == ',')
		strbuf_addch(c->out, ')');
}

static void show_fcntl_result(struct strace_call *c)
{
	switch ((int)strace_arg(c, 1)) {
	case ABI_F_GETFD:
		strbuf_addf(c->out, "%#" PRIx64 "%s", (uint64_t)c->ret,
			    c->ret & ABI_FD_CLOEXEC ? " (flags FD_CLOEXEC)" : "");
		return;
	case ABI_F_GETFL:
		strbuf_addf(c->out, "%#" PRIx64 " (flags ", (uint64_t)c->ret);
		strace_show_flags(c->out, AK_OPEN, (uint64_t)c->ret);
		strbuf_addch(c->out, ')');
		return;
	case ABI_F_GET_SEALS:
		strbuf_addf(c->out, "%#" PRIx64 " (seals ", (uint64_t)c->ret);
		strace_show_seals(c->out, (uint64_t)c->ret);
		strbuf_addch(c->out, ')');
		return;
	default:
		strbuf_addf(c->out, "%" PRId64, c->ret);
	}
}

void strace_show_result(struct strace_call *c)
{
	if (show_restart(c->out, c->ret))
		return;
	if (c->ret < 0 && c->ret >= -ABI_MAX_ERRNO) {
		const char *name = strerrorname_np((int)-c->ret);

		strbuf_addf(c->out, "-1 %s (%s)", name ? name : "E?", strerror((int)-c->ret));
		return;
	}
	if (c->entry->args[1].kind == AK_FCNTL) {
		show_fcntl_result(c);
		return;
	}
	switch (c->entry->ret) {
	case R_HEX:
		strbuf_addf(c->out, "%#" PRIx64, (uint64_t)c->ret);
		return;
	case R_OCT:
		strbuf_addf(c->out, "%#" PRIo64, (uint64_t)c->ret);
		return;
	default:
		strbuf_addf(c->out, "%" PRId64, c->ret);
	}
	if (c->entry->ret == R_POLL)
		show_ready(c);
}
