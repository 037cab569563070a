/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/lease.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "platform/platform.h"
#include "sentry/kernel/futex.h"
#include "sentry/kernel/hostpoll.h"
#include "sentry/kernel/kernel_internal.h"
#include "sentry/kernel/lockorder.h"
#include "sentry/kernel/stats.h"
#include "sentry/kernel/timer.h"
#include "sentry/mm/patch.h"
#include "sentry/net/unix.h"
#include "sentry/vfs/vfs.h"

void object_count(enum object_kind kind, int delta)
{
	stats_add(STAT_OBJECTS + kind, (uint64_t)(int64_t)delta);
}

int64_t object_live(enum object_kind kind)
{
	return (int64_t)stats_sum(STAT_OBJECTS + kind);
}

const char *object_kind_name(enum object_kind kind)
{
	static const char *const names[OBJ_KINDS] = {
	    [OBJ_TASK] = "task",   [OBJ_TG] = "process",    [OBJ_MM] = "mm",
	    [OBJ_FILE] = "file",   [OBJ_INODE] = "inode",   [OBJ_DENTRY] = "dentry",
	    [OBJ_FILES] = "files", [OBJ_FS] = "fs_context", [OBJ_CRED] = "cred",
	};

	return names[kind];
}

static void set_name(char *dst, size_t size, const char *src)
{
	size_t n = src ? strnlen(src, size - 1) : 0;

	memcpy(dst, src ? src : "", n);
	dst[n] = '\0';
}

struct kernel *kernel_new(const struct kernel_config *config)
{
	struct kernel *k = xnew(struct kernel);

	k->table = config->table;
	k->table_count = config->table_count;
	k->strace = config->strace;
	k->strict = config->strict;
	k->trace = config->strace ? config->trace : NULL;
	k->task_max = config->task_max ? config->task_max : PID_MAX;
	k->host_proc_fd = config->proc_fd;
	k->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (k->event_fd < 0)
		panic("eventfd: %s", strerror(errno));
	mutex_init(&k->tasks_lock, RANK_TASKS);
	mutex_init(&k->uts_lock, RANK_LEAF);
	leases_init(k);
	set_name(k->hostname, sizeof(k->hostname), config->hostname);
	set_name(k->domainname, sizeof(k->domainname), config->domainname);
	k->boot_realtime_ns = time_realtime_ns();
	k->boot_monotonic_ns = time_monotonic_ns();
	k->timers = timers_new();
	k->workers = workers_new(config->worker_count);
	hostpolls_init(k);
	k->futexes = futex_table_new();
	k->unix_sockets = unix_table_new();
	k->vfs = vfs_new(k);
	k->patches = patch_cache_new();
	return k;
}

void kernel_destroy(struct kernel *k)
{
	patch_cache_destroy(k->patches);
	vfs_destroy(k->vfs);
	unix_table_destroy(k->unix_sockets);
	futex_table_destroy(k->futexes);
	hostpolls_destroy(k);
	workers_destroy(k->workers);
	timers_destroy(k->timers);
	idmap_destroy(&k->tids);
	idmap_destroy(&k->pgrps);
	idmap_destroy(&k->sessions);
	mutex_destroy(&k->tasks_lock);
	mutex_destroy(&k->uts_lock);
	close(k->event_fd);
	free(k);
}

void kernel_kick_event_thread(struct kernel *k)
{
	uint64_t one = 1;
	ssize_t n = write(k->event_fd, &one, sizeof(one));

	(void)n; /* a full counter wakes as well */
}

void kernel_exit(struct kernel *k, int32_t wait_status)
{
	bool before = false;

	if (!atomic_compare_exchange_strong(&k->ended, &before, true))
		return;
	k->exit_status = wait_status;
	kernel_kick_event_thread(k);
	platform_interrupt(k->platform);
	workers_wake_all(k);
}
