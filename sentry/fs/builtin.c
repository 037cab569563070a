/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/fs/builtin.h"

#include "base/compiler.h"
#include "sentry/fs/cgroupfs/cgroupfs.h"
#include "sentry/fs/devpts/devpts.h"
#include "sentry/fs/devtmpfs/devices.h"
#include "sentry/fs/proc/procfs.h"
#include "sentry/fs/proc/sysctl.h"
#include "sentry/fs/synth/synth.h"
#include "sentry/fs/sysfs/sysfs.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/vfs/vfs.h"

/* POSIX message queues as files: there are none, as mq_open(2) makes none yet. */
static const struct synth_entry mqueue_root = {.name = "/", .mode = ABI_S_IFDIR | 01777};
static const struct synth_fs mqueue_fs = {
    .type = "mqueue", .magic = ABI_MQUEUE_MAGIC, .root = &mqueue_root};

static int mqueue_mount(struct kernel *k, const char *source, uint32_t flags, const char *data,
			struct super_block **ret)
{
	(void)source;
	(void)flags;
	(void)data;
	return synth_mount(k, &mqueue_fs, ret);
}

static const struct fs_type mqueue_fs_type = {.name = "mqueue", .mount = mqueue_mount};

void fs_register_builtin(struct kernel *k)
{
	static const struct fs_type *const types[] = {
	    &tmpfs_type,      &proc_fs_type,   &sysfs_fs_type,	&devpts_fs_type,
	    &cgroup2_fs_type, &cgroup_fs_type, &mqueue_fs_type,
	};

	devices_init(k);
	for (size_t i = 0; i < array_count(types); i++)
		vfs_register_fs(k, types[i]);
}

void fs_destroy_builtin(struct kernel *k)
{
	devices_destroy(k);
	sysctls_destroy(k);
}
