/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/sys (proc_sys(5)). What can be written is kept; the rest says how this kernel is. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "abi/caps.h"
#include "abi/errno.h"
#include "base/compiler.h"
#include "base/strbuf.h"
#include "sentry/fs/devtmpfs/devices.h"
#include "sentry/fs/proc/proc_internal.h"
#include "sentry/fs/proc/sysctl.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/version.h"

/* ---- names ---- */

static int show_name(struct kernel *k, const char *name, struct strbuf *out)
{
	mutex_lock(&k->uts_lock);
	strbuf_addf(out, "%s\n", name);
	mutex_unlock(&k->uts_lock);
	return 0;
}

static int store_name(struct kernel *k, struct task *writer, char *name, const char *text)
{
	size_t size = MIN(strcspn(text, "\n"), (size_t)64);

	if (!writer || !cred_capable(writer->cred, ABI_CAP_SYS_ADMIN))
		return -EPERM;
	mutex_lock(&k->uts_lock);
	memcpy(name, text, size);
	name[size] = 0;
	mutex_unlock(&k->uts_lock);
	return 0;
}

static int show_hostname(const struct synth_node *n, struct strbuf *out)
{
	return show_name(n->kernel, n->kernel->hostname, out);
}

static int store_hostname(const struct synth_node *n, struct task *writer, const char *text,
			  size_t size)
{
	(void)size;
	return store_name(n->kernel, writer, n->kernel->hostname, text);
}

/* An empty one is shown as uname(2) does on Linux. */
static int show_domainname(const struct synth_node *n, struct strbuf *out)
{
	struct kernel *k = n->kernel;

	return show_name(k, k->domainname[0] ? k->domainname : "(none)", out);
}

static int store_domainname(const struct synth_node *n, struct task *writer, const char *text,
			    size_t size)
{
	(void)size;
	return store_name(n->kernel, writer, n->kernel->domainname, text);
}

/* ---- random ---- */

static void add_uuid(struct strbuf *out, const uint8_t *bytes)
{
	for (int i = 0; i < 16; i++) {
		uint8_t b = bytes[i];

		if (i == 6)
			b = (b & 0x0f) | 0x40; /* version 4: random */
		if (i == 8)
			b = (b & 0x3f) | 0x80;
		strbuf_addf(out, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", b);
	}
	strbuf_addch(out, '\n');
}

static int show_uuid(const struct synth_node *n, struct strbuf *out)
{
	uint8_t bytes[16];

	(void)n;
	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return -EAGAIN;
	add_uuid(out, bytes);
	return 0;
}

static int show_boot_id(const struct synth_node *n, struct strbuf *out)
{
	uint8_t bytes[16];

	devices_boot_id(n->kernel->devices, bytes);
	add_uuid(out, bytes);
	return 0;
}

/* ---- numbers ---- */

static int show_threads_max(const struct synth_node *n, struct strbuf *out)
{
	strbuf_addf(out, "%u\n", n->kernel->task_max);
	return 0;
}

static int show_file_nr(const struct synth_node *n, struct strbuf *out)
{
	(void)n;
	strbuf_addf(out, "%" PRId64 "\t0\t9223372036854775807\n", object_live(OBJ_FILE));
	return 0;
}

static int show_pid_max(const struct synth_node *n, struct strbuf *out)
{
	(void)n;
	strbuf_addf(out, "%d\n", PID_MAX);
	return 0;
}

/* ---- the rows ---- */

#define FIXED(name, value) SYNTH_TEXT(name, 0444, value "\n")
/* The container's own, by its namespaces: linux.sysctl may set it. */
#define SETTING(n, value)                                                                          \
	{                                                                                          \
		.name = n, .mode = ABI_S_IFREG | 0444, .show = sysctl_show, .arg = value "\n"      \
	}

static const struct synth_entry random_rows[] = {
    SYNTH_FILE("boot_id", 0444, show_boot_id),
    FIXED("entropy_avail", "256"),
    FIXED("poolsize", "256"),
    SYNTH_FILE("uuid", 0444, show_uuid),
    SYNTH_END,
};

static const struct synth_entry yama_rows[] = {FIXED("ptrace_scope", "0"), SYNTH_END};

static const struct synth_entry kernel_rows[] = {
    FIXED("cap_last_cap", "40"),
    FIXED("core_pattern", "core"),
    FIXED("core_uses_pid", "0"),
    SYNTH_RW("domainname", 0644, show_domainname, store_domainname),
    SYNTH_RW("hostname", 0644, show_hostname, store_hostname),
    SETTING("msgmax", "8192"),
    SETTING("msgmnb", "16384"),
    SETTING("msgmni", "32000"),
    FIXED("ngroups_max", "65536"),
    FIXED("osrelease", KERNEL_RELEASE),
    FIXED("ostype", KERNEL_SYSNAME),
    FIXED("overflowgid", "65534"),
    FIXED("overflowuid", "65534"),
    FIXED("perf_event_paranoid", "4"),
    SYNTH_FILE("pid_max", 0444, show_pid_max),
    FIXED("printk", "4\t4\t1\t7"),
    FIXED("randomize_va_space", "2"),
    SYNTH_DIR("random", 0555, random_rows),
    FIXED("sched_autogroup_enabled", "0"),
    SETTING("sem", "32000\t1024000000\t500\t32000"),
    SETTING("shm_rmid_forced", "0"),
    SETTING("shmall", "18446744073692774399"),
    SETTING("shmmax", "18446744073692774399"),
    SETTING("shmmni", "4096"),
    FIXED("tainted", "0"),
    SYNTH_FILE("threads-max", 0444, show_threads_max),
    FIXED("version", KERNEL_VERSION),
    SYNTH_DIR("yama", 0555, yama_rows),
    SYNTH_END,
};

static const struct synth_entry inotify_rows[] = {
    FIXED("max_queued_events", "16384"),
    FIXED("max_user_instances", "128"),
    FIXED("max_user_watches", "65536"),
    SYNTH_END,
};

static const struct synth_entry epoll_rows[] = {FIXED("max_user_watches", "1048576"), SYNTH_END};

static const struct synth_entry mqueue_rows[] = {
    SETTING("msg_default", "10"),	SETTING("msg_max", "10"),
    SETTING("msgsize_default", "8192"), SETTING("msgsize_max", "8192"),
    SETTING("queues_max", "256"),	SYNTH_END,
};

static const struct synth_entry fs_rows[] = {
    SYNTH_DIR("epoll", 0555, epoll_rows),
    FIXED("file-max", "9223372036854775807"),
    SYNTH_FILE("file-nr", 0444, show_file_nr),
    SYNTH_DIR("inotify", 0555, inotify_rows),
    SYNTH_DIR("mqueue", 0555, mqueue_rows),
    FIXED("nr_open", "1048576"),
    FIXED("pipe-max-size", "1048576"),
    FIXED("pipe-user-pages-hard", "0"),
    FIXED("pipe-user-pages-soft", "16384"),
    FIXED("protected_fifos", "0"),
    FIXED("protected_hardlinks", "1"),
    FIXED("protected_regular", "0"),
    FIXED("protected_symlinks", "0"),
    FIXED("suid_dumpable", "0"),
    SYNTH_END,
};

static const struct synth_entry vm_rows[] = {
    FIXED("dirty_background_ratio", "10"),
    FIXED("dirty_ratio", "20"),
    FIXED("max_map_count", "65530"),
    FIXED("mmap_min_addr", "65536"),
    FIXED("nr_hugepages", "0"),
    FIXED("overcommit_memory", "0"),
    FIXED("overcommit_ratio", "50"),
    FIXED("swappiness", "60"),
    SYNTH_END,
};

static const struct synth_entry core_rows[] = {
    SETTING("rmem_default", "212992"), SETTING("rmem_max", "212992"), SETTING("somaxconn", "4096"),
    SETTING("wmem_default", "212992"), SETTING("wmem_max", "212992"), SYNTH_END,
};

static const struct synth_entry ipv4_rows[] = {
    SETTING("ip_forward", "0"),
    SETTING("ip_local_port_range", "32768\t60999"),
    SETTING("ip_local_reserved_ports", ""),
    SETTING("ip_unprivileged_port_start", "1024"),
    SETTING("ping_group_range", "1\t0"),
    SETTING("tcp_fin_timeout", "60"),
    SETTING("tcp_keepalive_intvl", "75"),
    SETTING("tcp_keepalive_probes", "9"),
    SETTING("tcp_keepalive_time", "7200"),
    SETTING("tcp_rmem", "4096\t131072\t6291456"),
    SETTING("tcp_syncookies", "1"),
    SETTING("tcp_wmem", "4096\t16384\t4194304"),
    SYNTH_END,
};

static const struct synth_entry net_rows[] = {
    SYNTH_DIR("core", 0555, core_rows),
    SYNTH_DIR("ipv4", 0555, ipv4_rows),
    SYNTH_END,
};

const struct synth_entry proc_sys_entries[] = {
    SYNTH_DIR("fs", 0555, fs_rows),
    SYNTH_DIR("kernel", 0555, kernel_rows),
    SYNTH_DIR("net", 0555, net_rows),
    SYNTH_DIR("vm", 0555, vm_rows),
    SYNTH_END,
};
