/* SPDX-License-Identifier: Apache-2.0 */
/* The synthetic file systems on a kernel that runs nothing: proc's formats, sysfs, cgroup, devices.
 */
#include "base/strbuf.h"
#include "sentry/fs/builtin.h"
#include "sentry/fs/devtmpfs/devtmpfs.h"
#include "sentry/fs/proc/procfs.h"
#include "sentry/fs/proc/sysctl.h"
#include "sentry/fs/synth/options.h"
#include "sentry/fs/synth/synth.h"
#include "sentry/fs/sysfs/cpus.h"
#include "sentry/mm/mm.h"
#include "tests/unit/fake_task.h"

static struct fake *F;
static struct task *T;
static char text[65536];

static void mount_at(const char *type, const char *where, const char *data)
{
	const struct fs_type *fs = vfs_find_fs(&F->kernel, type);
	struct super_block *sb;
	struct path p;

	assert_non_null(fs);
	assert_int_equal(fs->mount(&F->kernel, type, 0, data, &sb), 0);
	assert_int_equal(vfs_lookup_at_root(&F->kernel, &F->root, where, true, &p), 0);
	assert_int_equal(vfs_mount(&F->kernel, &p, sb, sb->root, 0, type), 0);
	path_put(&p);
	super_put(sb);
}

static int setup(void **state)
{
	static const struct sandbox_limits limits = {.memory_max = 256u << 20,
						     .memory_swap = 300u << 20,
						     .cpu_quota = 150000,
						     .cpu_period = 100000,
						     .cpu_shares = 1024,
						     .pids_max = 50,
						     .cpuset = "0-1"};

	(void)state;
	F = fake_new("size=2m");
	T = &F->task;
	F->kernel.limits = &limits;
	mutex_init(&F->kernel.uts_lock, RANK_LEAF);
	strcpy(F->kernel.hostname, "box");
	refcount_init(&T->ref);
	list_init(&F->tg.tasks);
	list_add_tail(&F->tg.tasks, &T->tg_link);
	refcount_init(&F->tg.ref);
	F->tg.dumpable = true;
	F->tg.live_count = F->kernel.task_count = 1;
	strcpy(T->comm, "fake");
	atomic_init(&T->state, TASK_HANDLER);
	idmap_set(&F->kernel.tids, 1, T);
	fs_register_builtin(&F->kernel);
	mount_at("proc", "/proc", NULL);
	mount_at("sysfs", "/sys", NULL);
	mount_at("cgroup", "/sys/fs/cgroup", NULL);
	return 0;
}

static int teardown(void **state)
{
	struct mm *mm = T->mm;

	(void)state;
	T->mm = NULL;
	if (mm)
		mm_put(mm);
	idmap_destroy(&F->kernel.tids);
	fs_destroy_builtin(&F->kernel);
	fake_free(F);
	return 0;
}

static const char *show(const char *name)
{
	struct file *f = fake_open(T, name, ABI_O_RDONLY);
	ssize_t n = fake_read(f, text, sizeof(text) - 1);

	assert_true(n >= 0);
	text[n] = 0;
	file_put(f);
	return text;
}

static int store(const char *name, const char *value)
{
	struct file *f = fake_open(T, name, ABI_O_WRONLY | ABI_O_TRUNC);
	ssize_t n = fake_write(f, value, strlen(value));

	file_put(f);
	return n < 0 ? (int)n : 0;
}

static const char *link_of(const char *name)
{
	struct path p;
	char *target;

	assert_int_equal(vfs_lookup(T, ABI_AT_FDCWD, name, 0, &p, NULL), 0);
	assert_int_equal(dentry_inode(p.dentry)->ops->readlink(dentry_inode(p.dentry), T, &target),
			 0);
	path_put(&p);
	snprintf(text, sizeof(text), "%s", target);
	free(target);
	return text;
}

static void has(const char *haystack, const char *needle)
{
	if (!strstr(haystack, needle))
		fail_msg("no \"%s\" in:\n%s", needle, haystack);
}

/* ---- the framework ---- */

static void test_text(void **state)
{
	struct file *f;
	char buf[16];

	(void)state;
	assert_string_equal(show("/proc/1/comm"), "fake\n");
	f = fake_open(T, "/proc/self/comm", ABI_O_RDONLY);
	assert_int_equal(fake_read(f, buf, 2), 2);
	strcpy(T->comm, "other");
	assert_int_equal(fake_read(f, buf, 16), 3); /* the rest of what it saw at first */
	assert_memory_equal(buf, "ke\n", 3);
	assert_int_equal(vfs_seek(f, 0, ABI_SEEK_SET), 0);
	assert_int_equal(fake_read(f, buf, 16), 6);
	file_put(f);
}

struct listing {
	struct dir_emit emit;
	struct strbuf names;
	int room;
};

static bool add_name(struct dir_emit *e, const char *name, uint64_t ino, uint8_t dtype,
		     int64_t next_pos)
{
	struct listing *l = container_of(e, struct listing, emit);

	(void)dtype;
	(void)next_pos;
	assert_true(ino > 0);
	if (l->room-- == 0)
		return false;
	strbuf_addf(&l->names, "%s ", name);
	return true;
}

/* A directory that is read two names at a time has each of them once. */
static void test_listing(void **state)
{
	struct listing l = {.emit = {add_name}};
	struct file *f = fake_open(T, "/sys/fs/cgroup", ABI_O_RDONLY | ABI_O_DIRECTORY);
	size_t before;

	(void)state;
	do {
		before = l.names.size;
		l.room = 2;
		assert_int_equal(f->ops->readdir(f, &l.emit), 0);
	} while (l.names.size != before);
	assert_int_equal(strncmp(l.names.data, ". .. cgroup.controllers cgroup.events ", 38), 0);
	has(l.names.data, " pids.max ");
	assert_null(strstr(strstr(l.names.data, " pids.max ") + 1, " pids.max "));
	strbuf_free(&l.names);
	file_put(f);
}

static void test_names(void **state)
{
	(void)state;
	assert_int_equal(fake_lookup(T, "/proc/1", 0), 0);
	assert_int_equal(fake_lookup(T, "/proc/01", 0), -ENOENT);
	assert_int_equal(fake_lookup(T, "/proc/2", 0), -ENOENT);
	assert_int_equal(fake_lookup(T, "/proc/-1", 0), -ENOENT);
	assert_int_equal(fake_lookup(T, "/proc/1x", 0), -ENOENT);
	assert_int_equal(fake_lookup(T, "/proc/1/task/1/status", 0), 0);
	assert_int_equal(fake_lookup(T, "/proc/1/task/2", 0), -ENOENT);
	assert_int_equal(fake_stat(T, "/proc/1/status").ino, fake_stat(T, "/proc/1/status").ino);
	assert_int_not_equal(fake_stat(T, "/proc/1/status").ino, fake_stat(T, "/proc/1/stat").ino);
	assert_string_equal(link_of("/proc/self"), "1");
	assert_string_equal(link_of("/proc/thread-self"), "1/task/1");
}

static void test_numbers(void **state)
{
	int64_t n;

	(void)state;
	assert_int_equal(synth_parse_int("12\n", 0, 100, &n), 0);
	assert_int_equal(n, 12);
	assert_int_equal(synth_parse_int("", 0, 100, &n), -EINVAL);
	assert_int_equal(synth_parse_int("12x", 0, 100, &n), -EINVAL);
	assert_int_equal(synth_parse_int("101", 0, 100, &n), -EINVAL);
	assert_int_equal(synth_parse_int("99999999999999999999", 0, INT64_MAX, &n), -EINVAL);
}

static void test_options(void **state)
{
	const char *data = ",mode=620,,newinstance,gid=5,max=99999999999";
	struct mount_option o;
	uint64_t n;

	(void)state;
	assert_true(mount_option_next(&data, &o));
	assert_true(mount_option_number(&o, "mode", 8, 0777, &n));
	assert_int_equal(n, 0620);
	assert_false(mount_option_number(&o, "mod", 8, 0777, &n));
	assert_true(mount_option_next(&data, &o));
	assert_true(mount_option_is(&o, "newinstance"));
	assert_true(mount_option_next(&data, &o));
	assert_true(mount_option_number(&o, "gid", 10, UINT32_MAX, &n));
	assert_true(mount_option_next(&data, &o));
	assert_false(mount_option_number(&o, "max", 10, INT32_MAX, &n));
	assert_false(mount_option_next(&data, &o));
}

/* ---- proc ---- */

static void map(uint64_t start, uint64_t size, uint32_t prot, struct file *file, uint64_t offset,
		const char *name)
{
	struct mm_map_args a = {.addr = start,
				.size = size,
				.prot = prot,
				.flags = 2, /* MAP_PRIVATE */
				.file = file,
				.offset = offset,
				.name = name};

	assert_int_equal(mm_insert(T->mm, &a), 0);
}

static void test_maps(void **state)
{
	struct file *file;
	char want[512], *line;

	(void)state;
	fake_make(T, "/a file", "x");
	file = fake_open(T, "/a file", ABI_O_RDONLY);
	T->mm = mm_new(&F->kernel);
	map(0x400000, 0x2000, 5, file, 0x1000, NULL);
	map(0x600000, 0x1000, 3, NULL, 0, "[heap]");
	map(0x7ffd00000000, 0x1000, 0, NULL, 0, NULL);
	show("/proc/1/maps");
	line = strtok(text, "\n");
	snprintf(want, sizeof(want), "00400000-00402000 r-xp 00001000 00:%02x %llu ",
		 (unsigned)file->inode->sb->dev, (unsigned long long)file->inode->ino);
	assert_int_equal(strncmp(line, want, strlen(want)), 0);
	assert_string_equal(line + 73, "/a file");
	line = strtok(NULL, "\n");
	assert_string_equal(line, "00600000-00601000 rw-p 00000000 00:00 0                         "
				  "         [heap]");
	assert_string_equal(strtok(NULL, "\n"), "7ffd00000000-7ffd00001000 ---p 00000000 00:00 0 ");
	has(show("/proc/1/smaps"), "Size:                  8 kB\nKernelPageSize:        4 kB\n");
	has(show("/proc/1/status"), "\nVmSize:\t      16 kB\n");
	file_put(file);
}

static void test_status(void **state)
{
	(void)state;
	strcpy(T->comm, "a\\b\nc");
	T->blocked = 1;
	F->tg.actions[1].handler = 1; /* SIGINT is ignored */
	F->tg.actions[9].handler = 0x1000;
	show("/proc/1/status");
	has(text,
	    "Name:\ta\\\\b\\nc\nUmask:\t0022\nState:\tR (running)\nTgid:\t1\nNgid:\t0\nPid:\t1\n");
	has(text,
	    "SigBlk:\t0000000000000001\nSigIgn:\t0000000000000002\nSigCgt:\t0000000000000200");
	has(text, "CapEff:\t000001ffffffffff\n");
	has(text, "FDSize:\t64\n");
	assert_null(strstr(text, "VmSize"));
}

static void test_stat(void **state)
{
	char *at;
	int fields = 0;

	(void)state;
	strcpy(T->comm, "x) y");
	show("/proc/1/stat");
	assert_int_equal(strncmp(text, "1 (x) y) R 0 0 0 0 -1 4194304 ", 30), 0);
	for (at = strtok(strrchr(text, ')') + 1, " \n"); at; at = strtok(NULL, " \n"))
		fields++;
	assert_int_equal(fields, 50);
}

static void test_limits(void **state)
{
	(void)state;
	F->tg.rlimits[7] = (struct abi_rlimit){10, 20};
	show("/proc/1/limits");
	has(text,
	    "Limit                     Soft Limit           Hard Limit           Units     \n");
	has(text,
	    "Max open files            10                   20                   files     \n");
	has(text, "Max nice priority         unlimited            unlimited            \n");
}

static void test_oom(void **state)
{
	(void)state;
	assert_string_equal(show("/proc/1/oom_score_adj"), "0\n");
	assert_int_equal(store("/proc/1/oom_score_adj", "17\n"), 0);
	assert_string_equal(show("/proc/1/oom_score_adj"), "17\n");
	assert_int_equal(store("/proc/1/oom_score_adj", "2000"), -EINVAL);
	/* Nobody in particular writes here, so nobody with CAP_SYS_RESOURCE. */
	assert_int_equal(store("/proc/1/oom_score_adj", "16"), -EACCES);
}

static void test_fds(void **state)
{
	struct file *f;

	(void)state;
	fake_make(T, "/file", "abc");
	f = fake_open(T, "/file", ABI_O_RDWR);
	assert_int_equal(fd_install(T, f, 5, false), 5);
	assert_string_equal(link_of("/proc/1/fd/5"), "/file");
	assert_int_equal(fake_lookup(T, "/proc/1/fd/4", 0), -ENOENT);
	assert_int_equal(vfs_seek(f, 2, ABI_SEEK_SET), 2);
	has(show("/proc/1/fdinfo/5"), "pos:\t2\nflags:\t0");
	assert_string_equal(show("/proc/self/fd/5"), "abc");
}

static void test_mounts(void **state)
{
	(void)state;
	mount_at("mqueue", "/a b\\", NULL);
	has(show("/proc/mounts"), "\nproc /proc proc rw 0 0\n");
	has(text, "\nmqueue /a\\040b\\134 mqueue rw 0 0\n");
	has(show("/proc/1/mountinfo"), " / /sys/fs/cgroup rw - cgroup2 cgroup rw\n");
}

static void test_kernel(void **state)
{
	(void)state;
	assert_string_equal(show("/proc/sys/kernel/hostname"), "box\n");
	assert_string_equal(show("/proc/sys/kernel/domainname"), "(none)\n");
	assert_int_equal(strlen(show("/proc/sys/kernel/random/boot_id")), 37);
	assert_int_equal(strncmp(show("/proc/version"), "Linux version 6.12", 18), 0);
	has(show("/proc/meminfo"), "MemTotal:              0 kB\n"); /* no host here */
}

static void test_sysctl(void **state)
{
	struct kernel *k = &F->kernel;

	(void)state;
	assert_string_equal(show("/proc/sys/net/core/somaxconn"), "4096\n");
	assert_int_equal(sysctl_set(k, "net.core.somaxconn", "77"), 0);
	assert_int_equal(sysctl_set(k, "net/ipv4/ping_group_range", "0 5"), 0);
	assert_string_equal(show("/proc/sys/net/core/somaxconn"), "77\n");
	assert_string_equal(show("/proc/sys/net/ipv4/ping_group_range"), "0 5\n");
	assert_int_equal(sysctl_set(k, "net.core", "1"), -ENOENT);
	assert_int_equal(sysctl_set(k, "net.core.nothing", "1"), -ENOENT);
	assert_int_equal(sysctl_set(k, "", "1"), -ENOENT);
	assert_int_equal(sysctl_set(k, "net.core.somaxconn.", "1"), -ENOENT);
	assert_int_equal(sysctl_set(k, "vm.overcommit_memory", "1"), -EPERM);
	assert_int_equal(sysctl_set(k, "net.core.rmem_max", "1\n2"), -EINVAL);
}

static void test_access(void **state)
{
	struct cred *viewer = cred_new(), *target = cred_new();
	const struct cred *mine = T->cred;

	(void)state;
	T->cred = target;
	viewer->uid = viewer->euid = viewer->suid = viewer->fsuid = 1000;
	assert_int_equal(proc_may_access(viewer, T), -EACCES);
	target->uid = target->euid = target->suid = target->fsuid = 1000;
	assert_int_equal(proc_may_access(viewer, T), 0);
	target->suid = 0; /* a set-id program */
	assert_int_equal(proc_may_access(viewer, T), -EACCES);
	target->suid = 1000;
	F->tg.dumpable = false;
	assert_int_equal(proc_may_access(viewer, T), -EACCES);
	F->tg.dumpable = true;
	target->cap_permitted = 1; /* more than the viewer may */
	assert_int_equal(proc_may_access(viewer, T), -EACCES);
	viewer->cap_effective = 1ull << ABI_CAP_SYS_PTRACE;
	assert_int_equal(proc_may_access(viewer, T), 0);
	T->cred = mine;
	cred_put(viewer);
	cred_put(target);
}

/* ---- sysfs, cgroup, devices ---- */

static void test_cgroup(void **state)
{
	(void)state;
	assert_string_equal(show("/sys/fs/cgroup/memory.max"), "268435456\n");
	assert_string_equal(show("/sys/fs/cgroup/memory.swap.max"), "46137344\n");
	assert_string_equal(show("/sys/fs/cgroup/cpu.max"), "150000 100000\n");
	assert_string_equal(show("/sys/fs/cgroup/cpu.weight"), "39\n");
	assert_string_equal(show("/sys/fs/cgroup/pids.max"), "50\n");
	assert_string_equal(show("/sys/fs/cgroup/pids.current"), "1\n");
	assert_string_equal(show("/sys/fs/cgroup/cgroup.procs"), "1\n");
	assert_string_equal(show("/sys/fs/cgroup/cpuset.cpus"), "0-1\n");
	F->kernel.limits = NULL;
	assert_string_equal(show("/sys/fs/cgroup/memory.max"), "max\n");
	assert_string_equal(show("/sys/fs/cgroup/cpu.max"), "max 100000\n");
	assert_string_equal(show("/sys/fs/cgroup/cpu.weight"), "100\n");
}

static void test_cpu_sets(void **state)
{
	struct strbuf sb = STRBUF_INIT;
	cpu_set_t set;

	(void)state;
	CPU_ZERO(&set);
	CPU_SET(0, &set);
	CPU_SET(1, &set);
	CPU_SET(2, &set);
	CPU_SET(5, &set);
	CPU_SET(35, &set);
	cpus_add_list(&sb, &set);
	assert_string_equal(strbuf_str(&sb), "0-2,5,35");
	strbuf_reset(&sb);
	cpus_add_mask(&sb, &set);
	assert_string_equal(strbuf_str(&sb), "00000008,00000027");
	strbuf_free(&sb);
}

static void test_devices(void **state)
{
	const struct device_node extra = {"/dev/sub/extra", ABI_S_IFCHR | 0640, 0x105, 7, 8};
	struct abi_stat st;
	struct file *f;
	char buf[4] = "abc";

	(void)state;
	assert_int_equal(devices_populate(&F->kernel, &F->root, &extra, 1, true), 0);
	assert_int_equal(devices_populate(&F->kernel, &F->root, &extra, 1, true), 0);
	st = fake_stat(T, "/dev/null");
	assert_int_equal(st.mode, ABI_S_IFCHR | 0666);
	assert_int_equal(st.rdev, 0x103);
	st = fake_stat(T, "/dev/sub/extra");
	assert_int_equal(st.mode, ABI_S_IFCHR | 0640);
	assert_int_equal(st.uid, 7);
	assert_int_equal(st.gid, 8);
	assert_string_equal(link_of("/dev/ptmx"), "pts/ptmx");
	f = fake_open(T, "/dev/null", ABI_O_RDWR);
	assert_int_equal(fake_write(f, buf, 4), 4);
	assert_int_equal(fake_read(f, buf, 4), 0);
	file_put(f);
	f = fake_open(T, "/dev/sub/extra", ABI_O_RDWR);
	assert_int_equal(fake_read(f, buf, 4), 4);
	assert_int_equal(buf[0], 0);
	file_put(f);
	assert_int_equal(fake_open_error(T, "/dev/tty", ABI_O_RDWR), -ENXIO);
	assert_int_equal(fake_open_error(T, "/dev/console", ABI_O_RDWR), -ENXIO);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    CASE(text),	  CASE(listing), CASE(names),  CASE(numbers), CASE(options),  CASE(maps),
	    CASE(status), CASE(stat),	 CASE(limits), CASE(oom),     CASE(fds),      CASE(mounts),
	    CASE(kernel), CASE(access),	 CASE(sysctl), CASE(cgroup),  CASE(cpu_sets), CASE(devices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
