/* SPDX-License-Identifier: Apache-2.0 */
#include "runsc/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/hostcall.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/strbuf.h"

#define CGROUP_FILE_MAX (1u << 20)

/* The limits being applied: stops at the first error, and knows whether errors matter. */
struct apply {
	const char *dir;
	bool lenient; /* rootless: what isn't permitted is passed over */
	struct error *error;
};

static int write_file(const char *dir, const char *name, const char *text)
{
	char *path = xasprintf("%s/%s", dir, name);
	cleanup_fd int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -errno : 0;

	free(path);
	if (fd >= 0 && write(fd, text, strlen(text)) < 0)
		n = -errno;
	return (int)n;
}

/*
 * Sets one limit. A file that the host's kernel doesn't have is a warning: engines send limits
 * without looking (swap accounting, for one, is often off).
 */
static void __printf(3, 4) put(struct apply *a, const char *name, const char *fmt, ...)
{
	struct strbuf sb = STRBUF_INIT;
	va_list ap;
	int r;

	if (a->error)
		return;
	va_start(ap, fmt);
	strbuf_addfv(&sb, fmt, ap);
	va_end(ap);
	r = write_file(a->dir, name, strbuf_str(&sb));
	if (r == -ENOENT || (r < 0 && a->lenient))
		log_warn("cgroup: %s/%s: %s: the limit \"%s\" is not set", a->dir, name,
			 errno_text(-r), strbuf_str(&sb));
	else if (r < 0)
		a->error = error_errno(-r, "cgroup: writing \"%s\" to %s/%s", strbuf_str(&sb),
				       a->dir, name);
	strbuf_free(&sb);
}

/* A number that was given; 0 stands for "not given", as in runc. */
static bool given(const struct oci_number *n)
{
	return n->present && n->value != 0;
}

static void put_number(struct apply *a, const char *name, const struct oci_number *n)
{
	if (given(n))
		put(a, name, "%lld", (long long)n->value);
}

/* v2 writes "max" where v1 has -1. */
static void put_max(struct apply *a, const char *name, int64_t value)
{
	if (value < 0)
		put(a, name, "max");
	else
		put(a, name, "%lld", (long long)value);
}

static void put_pids(struct apply *a, const struct oci_resources *r)
{
	if (!given(&r->pids_limit))
		return;
	if (r->pids_limit.value < 0 || r->pids_limit.value > INT_MAX - CGROUP_PIDS_HEADROOM)
		put(a, "pids.max", "max");
	else
		put(a, "pids.max", "%lld", (long long)r->pids_limit.value + CGROUP_PIDS_HEADROOM);
}

static void v1_memory(struct apply *a, const struct oci_resources *r)
{
	put_number(a, "memory.limit_in_bytes", &r->memory_limit);
	put_number(a, "memory.memsw.limit_in_bytes", &r->memory_swap);
	put_number(a, "memory.soft_limit_in_bytes", &r->memory_reservation);
	put_number(a, "memory.kmem.limit_in_bytes", &r->memory_kernel);
	put_number(a, "memory.kmem.tcp.limit_in_bytes", &r->memory_kernel_tcp);
	if (r->memory_swappiness.present)
		put(a, "memory.swappiness", "%lld", (long long)r->memory_swappiness.value);
	if (r->memory_disable_oom_killer)
		put(a, "memory.oom_control", "1");
}

static void v1_cpu(struct apply *a, const struct oci_resources *r)
{
	put_number(a, "cpu.shares", &r->cpu_shares);
	put_number(a, "cpu.cfs_period_us", &r->cpu_period);
	put_number(a, "cpu.cfs_quota_us", &r->cpu_quota);
	put_number(a, "cpu.cfs_burst_us", &r->cpu_burst);
	put_number(a, "cpu.rt_period_us", &r->cpu_rt_period);
	put_number(a, "cpu.rt_runtime_us", &r->cpu_rt_runtime);
	put_number(a, "cpu.idle", &r->cpu_idle);
}

static void put_cpuset(struct apply *a, const struct oci_resources *r)
{
	if (r->cpuset_cpus && r->cpuset_cpus[0])
		put(a, "cpuset.cpus", "%s", r->cpuset_cpus);
	if (r->cpuset_mems && r->cpuset_mems[0])
		put(a, "cpuset.mems", "%s", r->cpuset_mems);
}

static void v1_throttle(struct apply *a, const char *name, const struct oci_throttle_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		put(a, name, "%lld:%lld %llu", (long long)list->items[i].major,
		    (long long)list->items[i].minor, (unsigned long long)list->items[i].rate);
}

static void v1_blkio(struct apply *a, const struct oci_resources *r)
{
	put_number(a, "blkio.weight", &r->blkio_weight);
	put_number(a, "blkio.leaf_weight", &r->blkio_leaf_weight);
	v1_throttle(a, "blkio.weight_device", &r->blkio_device_weight);
	v1_throttle(a, "blkio.throttle.read_bps_device", &r->blkio_read_bps);
	v1_throttle(a, "blkio.throttle.write_bps_device", &r->blkio_write_bps);
	v1_throttle(a, "blkio.throttle.read_iops_device", &r->blkio_read_iops);
	v1_throttle(a, "blkio.throttle.write_iops_device", &r->blkio_write_iops);
}

static void put_hugepages(struct apply *a, const struct oci_resources *r, const char *suffix)
{
	for (size_t i = 0; i < r->hugepage_count; i++) {
		char *name = xasprintf("hugetlb.%s.%s", r->hugepages[i].page_size, suffix);

		put(a, name, "%llu", (unsigned long long)r->hugepages[i].limit);
		free(name);
	}
}

static void device_number(char *buf, size_t size, const struct oci_number *n)
{
	if (!n->present || n->value < 0)
		snprintf(buf, size, "*");
	else
		snprintf(buf, size, "%lld", (long long)n->value);
}

/*
 * The devices that a rule list leaves open are for the sandbox's own processes, which open no
 * device once they are confined: this is a second wall. Those that runc always allows stay
 * open.
 */
static void v1_devices(struct apply *a, const struct oci_resources *r)
{
	static const char *const always[] = {"c *:* m",	  "b *:* m",	"c 1:3 rwm", "c 1:5 rwm",
					     "c 1:7 rwm", "c 1:8 rwm",	"c 1:9 rwm", "c 5:0 rwm",
					     "c 5:2 rwm", "c 136:* rwm"};

	for (size_t i = 0; i < r->device_count; i++) {
		const struct oci_device_rule *d = &r->devices[i];
		const char *name = d->allow ? "devices.allow" : "devices.deny";
		char major[24], minor[24];

		device_number(major, sizeof(major), &d->major);
		device_number(minor, sizeof(minor), &d->minor);
		if (d->type == 'a')
			put(a, name, "a");
		else
			put(a, name, "%c %s:%s %s", d->type, major, minor, d->access);
	}
	for (size_t i = 0; r->device_count && i < array_count(always); i++)
		put(a, "devices.allow", "%s", always[i]);
}

static bool has_controller(const char *list, const char *name)
{
	size_t size = strlen(name);

	for (const char *p = list; (p = strstr(p, name)); p += size)
		if ((p == list || p[-1] == ',' || p[-1] == ' ') &&
		    (!p[size] || strchr(", \n", p[size])))
			return true;
	return false;
}

static void apply_v1(struct apply *a, const char *controllers, const struct oci_resources *r)
{
	if (has_controller(controllers, "memory"))
		v1_memory(a, r);
	if (has_controller(controllers, "cpu"))
		v1_cpu(a, r);
	if (has_controller(controllers, "cpuset"))
		put_cpuset(a, r);
	if (has_controller(controllers, "pids"))
		put_pids(a, r);
	if (has_controller(controllers, "blkio"))
		v1_blkio(a, r);
	if (has_controller(controllers, "hugetlb"))
		put_hugepages(a, r, "limit_in_bytes");
	if (has_controller(controllers, "devices"))
		v1_devices(a, r);
}

static void v2_memory(struct apply *a, const struct oci_resources *r)
{
	int64_t limit = r->memory_limit.value, swap = r->memory_swap.value;

	if (given(&r->memory_limit))
		put_max(a, "memory.max", limit);
	if (given(&r->memory_reservation))
		put_max(a, "memory.low", r->memory_reservation.value);
	if (!given(&r->memory_swap))
		return;
	/* OCI's value is memory and swap together. */
	if (swap < 0)
		put(a, "memory.swap.max", "max");
	else if (limit > 0 && swap >= limit)
		put(a, "memory.swap.max", "%lld", (long long)(swap - limit));
	else if (!a->error)
		a->error = error_new("config.json: linux.resources.memory.swap: expected at least "
				     "the memory limit, which must be given");
}

uint64_t cgroup_weight_of_shares(uint64_t shares)
{
	if (shares < 2)
		shares = 2;
	if (shares > 262144)
		shares = 262144;
	return 1 + (shares - 2) * 9999 / 262142;
}

static void v2_cpu(struct apply *a, const struct oci_resources *r)
{
	long long period = given(&r->cpu_period) ? (long long)r->cpu_period.value : 100000;

	if (given(&r->cpu_shares) && r->cpu_shares.value > 0)
		put(a, "cpu.weight", "%llu",
		    (unsigned long long)cgroup_weight_of_shares((uint64_t)r->cpu_shares.value));
	if (given(&r->cpu_quota) && r->cpu_quota.value > 0)
		put(a, "cpu.max", "%lld %lld", (long long)r->cpu_quota.value, period);
	else if (given(&r->cpu_quota) || given(&r->cpu_period))
		put(a, "cpu.max", "max %lld", period);
	put_number(a, "cpu.max.burst", &r->cpu_burst);
	put_number(a, "cpu.idle", &r->cpu_idle);
}

static void v2_throttle(struct apply *a, const char *key, const struct oci_throttle_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		put(a, "io.max", "%lld:%lld %s=%llu", (long long)list->items[i].major,
		    (long long)list->items[i].minor, key, (unsigned long long)list->items[i].rate);
}

static void v2_io(struct apply *a, const struct oci_resources *r)
{
	/* blkio's 10..1000 to io's 1..10000, as runc converts. */
	if (given(&r->blkio_weight) && r->blkio_weight.value >= 10)
		put(a, "io.weight", "%lld",
		    1 + ((long long)r->blkio_weight.value - 10) * 9999 / 990);
	v2_throttle(a, "rbps", &r->blkio_read_bps);
	v2_throttle(a, "wbps", &r->blkio_write_bps);
	v2_throttle(a, "riops", &r->blkio_read_iops);
	v2_throttle(a, "wiops", &r->blkio_write_iops);
}

static void apply_v2(struct apply *a, const struct oci_resources *r)
{
	v2_memory(a, r);
	v2_cpu(a, r);
	put_cpuset(a, r);
	put_pids(a, r);
	v2_io(a, r);
	put_hugepages(a, r, "max");
	for (size_t i = 0; i < r->unified_count; i++)
		put(a, r->unified[i].name, "%s", r->unified[i].value);
}

/* A new v1 cpuset starts empty and then takes no process: fill it from its parent. */
static struct error *fill_cpuset(const char *parent, const char *dir, const char *name)
{
	char *path = xasprintf("%s/%s", dir, name), *text = NULL;
	int r = fd_read_file(-1, path, CGROUP_FILE_MAX, &text, NULL);

	free(path);
	if (r == 0 && strspn(text, " \n") == strlen(text)) {
		free(text);
		text = NULL;
		path = xasprintf("%s/%s", parent, name);
		r = fd_read_file(-1, path, CGROUP_FILE_MAX, &text, NULL);
		free(path);
		if (r == 0)
			r = write_file(dir, name, text);
	}
	free(text);
	return r < 0 ? error_errno(-r, "cgroup: %s/%s", dir, name) : NULL;
}

/* v2: lets the children of dir have the controllers that it has. Each by itself, since one that
 * can't be had must not keep the others away. */
static void enable_controllers(const char *dir)
{
	char *path = xasprintf("%s/cgroup.controllers", dir), *text = NULL, *save = NULL;

	if (fd_read_file(-1, path, CGROUP_FILE_MAX, &text, NULL) == 0) {
		for (char *name = strtok_r(text, " \n", &save); name;
		     name = strtok_r(NULL, " \n", &save)) {
			char *word = xasprintf("+%s", name);
			int r = write_file(dir, "cgroup.subtree_control", word);

			if (r < 0)
				log_debug(LOGC_RUNSC, "cgroup: %s in %s/cgroup.subtree_control: %s",
					  word, dir, errno_text(-r));
			free(word);
		}
	}
	free(text);
	free(path);
}

/* Makes one level of a cgroup's path below its parent. */
static struct error *make_level(const struct cgroup *cg, const struct cgroup_dir *d,
				const char *parent, const char *dir)
{
	struct error *e = NULL;

	if (cg->unified)
		enable_controllers(parent);
	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return error_errno(errno, "cgroup: mkdir %s", dir);
	if (has_controller(d->controllers, "cpuset")) {
		e = fill_cpuset(parent, dir, "cpuset.cpus");
		if (!e)
			e = fill_cpuset(parent, dir, "cpuset.mems");
	}
	return e;
}

static struct error *make_dir(const struct cgroup *cg, const struct cgroup_dir *d)
{
	size_t root_size = strlen(d->root);
	char *parent = xstrdup(d->root), *dir = NULL;
	struct error *e = NULL;

	for (const char *at = d->path + root_size; *at && !e;) {
		at += 1 + strcspn(at + 1, "/");
		dir = xstrndup(d->path, (size_t)(at - d->path));
		e = make_level(cg, d, parent, dir);
		free(parent);
		parent = dir;
	}
	free(parent);
	return e;
}

static struct error *create_dir(const struct cgroup *cg, const struct cgroup_dir *d,
				const struct oci_spec *spec, bool lenient)
{
	struct apply a = {.dir = d->path, .lenient = lenient};
	struct error *e = make_dir(cg, d);

	if (e)
		return e;
	if (cg->unified)
		apply_v2(&a, &spec->resources);
	else
		apply_v1(&a, d->controllers, &spec->resources);
	return a.error;
}

static void drop_dir(struct cgroup *cg, size_t i)
{
	free(cg->dirs[i].controllers);
	free(cg->dirs[i].root);
	free(cg->dirs[i].path);
	memmove(&cg->dirs[i], &cg->dirs[i + 1], (cg->dir_count - i - 1) * sizeof(*cg->dirs));
	cg->dir_count--;
}

/* Creates all directories; without rights, rootless goes on without those it can't make. */
static struct error *create_all(struct cgroup *cg, const struct oci_spec *spec, bool lenient)
{
	for (size_t i = 0; i < cg->dir_count;) {
		struct error *e = create_dir(cg, &cg->dirs[i], spec, lenient);

		if (e && !lenient)
			return e;
		if (e) {
			log_debug(LOGC_RUNSC, "%s", e->message);
			error_free(e);
			drop_dir(cg, i);
		} else {
			i++;
		}
	}
	return NULL;
}

static struct error *find_for(const struct oci_spec *spec, const char *id,
			      const struct runsc_options *o, struct cgroup *ret)
{
	char *mountinfo = NULL, *self = NULL;
	struct error *e;
	int r = fd_read_file(-1, "/proc/self/mountinfo", 16u << 20, &mountinfo, NULL);

	if (r == 0)
		r = fd_read_file(-1, "/proc/self/cgroup", CGROUP_FILE_MAX, &self, NULL);
	if (r < 0)
		e = error_errno(-r, "cgroup: reading /proc/self");
	else
		e = cgroup_find(mountinfo, self, spec->cgroups_path, id, o->systemd_cgroup, ret);
	free(mountinfo);
	free(self);
	return e;
}

struct error *cgroup_create(const struct oci_spec *spec, const char *id,
			    const struct runsc_options *o, struct cgroup *ret)
{
	struct cgroup cg;
	struct error *e = find_for(spec, id, o, &cg);

	if (e)
		return e;
	if (cg.dir_count == 0)
		log_warn("no cgroup hierarchy is mounted: limits of config.json have no effect");
	else if (o->systemd_cgroup)
		log_info("--systemd-cgroup: %s is made by runsc itself, systemd is not asked",
			 cg.dirs[0].path);
	e = create_all(&cg, spec, options_rootless(o));
	if (e) {
		error_warn(cgroup_remove(&cg, 0), "cleaning up");
		cgroup_free(&cg);
		return e;
	}
	*ret = cg;
	return NULL;
}

struct error *cgroup_add(const struct cgroup *cg, pid_t pid)
{
	for (size_t i = 0; i < cg->dir_count; i++) {
		char text[16];
		int r;

		snprintf(text, sizeof(text), "%d", (int)pid);
		r = write_file(cg->dirs[i].path, "cgroup.procs", text);
		if (r < 0)
			return error_errno(-r, "cgroup: adding process %d to %s", (int)pid,
					   cg->dirs[i].path);
	}
	return NULL;
}

enum member { MEMBER_NONE, MEMBER_ENDED, MEMBER_LIVES };

/* Waits for one process that is listed in dir to end. */
static enum member wait_for_member(const char *dir, int timeout_ms)
{
	char *path = xasprintf("%s/cgroup.procs", dir), *text = NULL;
	int r = fd_read_file(-1, path, CGROUP_FILE_MAX, &text, NULL);
	pid_t pid = r == 0 ? (pid_t)strtol(text, NULL, 10) : 0;

	free(path);
	free(text);
	if (pid <= 0)
		return MEMBER_NONE;
	return host_wait_gone(pid, timeout_ms) ? MEMBER_ENDED : MEMBER_LIVES;
}

/* Cgroups below it too: whoever made them, they'd keep it from being removed. */
static void remove_children(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *entry;

	while (d && (entry = readdir(d))) {
		char *child;

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		child = xasprintf("%s/%s", dir, entry->d_name);
		remove_children(child);
		rmdir(child);
		free(child);
	}
	if (d)
		closedir(d);
}

#define DYING_STEP_MS 10
#define LIVING_MS     2000 /* for one that is killed to leave the list */

/*
 * A process that ends is no longer listed before it has left its cgroup. Version 2 tells when the
 * last one has (cgroups(7), cgroup.events); version 1 doesn't, there time passes.
 */
static void wait_for_dying(const char *dir)
{
	char *path = xasprintf("%s/cgroup.events", dir), text[256] = "";
	struct pollfd pfd = {.fd = open(path, O_RDONLY | O_CLOEXEC), .events = POLLPRI};

	free(path);
	if (pfd.fd >= 0 && read(pfd.fd, text, sizeof(text) - 1) > 0 &&
	    strstr(text, "populated 0")) {
		close(pfd.fd);
		return;
	}
	poll(&pfd, 1, DYING_STEP_MS);
	if (pfd.fd >= 0)
		close(pfd.fd);
}

/*
 * Until fewer processes are in it, or what is left of *left_ms is over: false. One that lives on is
 * none of the container's, whose have all been killed: two containers may be given one cgroup. Then
 * there is nothing more to wait for, in the other hierarchies neither.
 */
static bool wait_for_fewer(const char *dir, int timeout_ms, int *left_ms)
{
	switch (wait_for_member(dir, MIN(*left_ms, LIVING_MS))) {
	case MEMBER_ENDED:
		*left_ms = timeout_ms;
		return true;
	case MEMBER_LIVES:
		*left_ms = 0;
		return false;
	case MEMBER_NONE:
		break;
	}
	if (*left_ms <= 0)
		return false;
	wait_for_dying(dir);
	*left_ms -= DYING_STEP_MS;
	return true;
}

static struct error *remove_dir(const char *dir, int *left_ms)
{
	const int timeout_ms = *left_ms;

	/* Each round a process has ended, so this ends; the bound is for a hostile host. */
	for (int round = 0; round < 100000; round++) {
		int err;

		remove_children(dir);
		if (rmdir(dir) == 0 || errno == ENOENT)
			return NULL;
		err = errno;
		if (err != EBUSY || !wait_for_fewer(dir, timeout_ms, left_ms))
			return error_errno(err, "cgroup: removing %s", dir);
	}
	return error_new("cgroup: removing %s: its processes don't end", dir);
}

struct error *cgroup_remove(const struct cgroup *cg, int timeout_ms)
{
	struct error *first = NULL;

	for (size_t i = 0; i < cg->dir_count; i++) {
		struct error *e = remove_dir(cg->dirs[i].path, &timeout_ms);

		if (first)
			error_free(e);
		else
			first = e;
	}
	return first;
}
