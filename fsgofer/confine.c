/* SPDX-License-Identifier: Apache-2.0 */
#include "fsgofer/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/hostcall.h"

int confine_fail(struct confine_error *e, int err, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof(e->text))
		snprintf(e->text + n, sizeof(e->text) - (size_t)n, ": %s", strerror(err));
	return -err;
}

int confine_namespaces(struct confine_error *e)
{
	if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP))
		return confine_fail(e, errno, "gofer: making own namespaces (needs root)");
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL))
		return confine_fail(e, errno, "gofer: cutting mounts off from the host's");
	return 0;
}

static int compare_int(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return (x > y) - (x < y);
}

static bool is_in(const int *set, size_t count, int fd)
{
	for (size_t i = 0; i < count; i++)
		if (set[i] == fd)
			return true;
	return false;
}

int confine_descriptors(int *keep, size_t keep_count, int null_fd, int proc_fd,
			struct confine_error *e)
{
	unsigned next = 3;

	for (int fd = 0; fd < 3; fd++)
		if (!is_in(keep, keep_count, fd) && fd != null_fd && dup2(null_fd, fd) < 0)
			return confine_fail(e, errno, "gofer: replacing descriptor %d", fd);
	qsort(keep, keep_count, sizeof(*keep), compare_int);
	for (size_t i = 0; i < keep_count; i++) {
		unsigned fd = (unsigned)keep[i];

		if (fd > next && host_close_range(next, fd - 1, proc_fd) < 0)
			return confine_fail(e, errno, "gofer: closing descriptors");
		next = MAX(next, fd + 1);
	}
	if (host_close_range(next, ~0u, proc_fd) < 0)
		return confine_fail(e, errno, "gofer: closing descriptors");
	return 0;
}

/* What the gofer may do as the host's root that any user may not, and why. */
static const int kept_capabilities[] = {
    CAP_CHOWN,		 /* created files get the guest's owner */
    CAP_DAC_OVERRIDE,	 /* the sentry checks permissions, for users the host doesn't know */
    CAP_DAC_READ_SEARCH, /* linkat of a descriptor; directories without x for root */
    CAP_FOWNER,		 /* chmod, utimes and unlink in sticky directories of others' files */
    CAP_FSETID,		 /* set-group-id files of groups that the gofer isn't in */
};
/* No CAP_MKNOD: Linux 5.8 and later let anybody make the 0:0 whiteout, and no more is made. */

static int set_capabilities(uint64_t keep)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data))
		return -errno;
	for (int i = 0; i < 2; i++) {
		data[i].permitted &= (uint32_t)(keep >> (32 * i));
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	return syscall(SYS_capset, &header, data) ? -errno : 0;
}

int confine_privileges(struct confine_error *e)
{
	uint64_t keep = 0;
	int err;

	for (size_t i = 0; i < array_count(kept_capabilities); i++)
		keep |= (uint64_t)1 << kept_capabilities[i];
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	for (int cap = 0; cap < 64; cap++)
		if (!(keep >> cap & 1) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0)) {
			if (errno == EINVAL) /* past the last that this kernel has */
				break;
			return confine_fail(e, errno, "gofer: dropping capability %d", cap);
		}
	err = set_capabilities(keep);
	if (err)
		return confine_fail(e, -err, "gofer: dropping capabilities");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return confine_fail(e, errno, "gofer: setting no_new_privs");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return confine_fail(e, errno, "gofer: becoming undumpable");
	return 0;
}
