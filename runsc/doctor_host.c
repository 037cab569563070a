/* SPDX-License-Identifier: Apache-2.0 */
/* What the host says of itself: processor, memory, limits, security modules, cgroups, files. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "platform/stub/layout.h"
#include "runsc/cgroup.h"
#include "runsc/doctor.h"
#include "runsc/error.h"

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif
#define HWCAP2_FSGSBASE_BIT 2ul
#define MEMORY_MIN_MIB	    64 /* a sandbox and a small program, with room */
#define FILE_MAX	    (1u << 20)

/* ---- reading ---- */

/* The file's text up to its first newline (caller frees), or NULL. */
static char *read_line(const char *path)
{
	char *text;

	if (fd_read_file(AT_FDCWD, path, FILE_MAX, &text, NULL) < 0)
		return NULL;
	text[strcspn(text, "\n")] = '\0';
	return text;
}

/* A number at the start of a file; -1: there is none. */
static int64_t read_number(const char *path)
{
	char *text = read_line(path), *end;
	int64_t n = -1;

	if (text) {
		n = strtoll(text, &end, 10);
		if (end == text)
			n = -1;
	}
	free(text);
	return n;
}

/* "key value" of a file of lines; `key` with its colon. -1: not there. */
static int64_t read_field(const char *path, const char *key)
{
	char *text, *at;
	int64_t n = -1;

	if (fd_read_file(AT_FDCWD, path, FILE_MAX, &text, NULL) < 0)
		return -1;
	at = strstr(text, key);
	if (at)
		n = strtoll(at + strlen(key), NULL, 10);
	free(text);
	return n;
}

/* ---- the machine ---- */

static void machine(struct doctor_report *r)
{
	int64_t available = read_field("/proc/meminfo", "MemAvailable:") / 1024;
	struct utsname uts;

	uname(&uts);
	doctor_add(r, "host", "kernel", DOCTOR_NOTE, "", "%s %s %s", uts.sysname, uts.release,
		   uts.machine);
	if (geteuid() == 0)
		doctor_add(r, "host", "mode", DOCTOR_NOTE, "", "root");
	else
		doctor_add(r, "host", "mode", DOCTOR_NOTE, "", "rootless, as user %u", geteuid());
	doctor_add(r, "host", "cpus", DOCTOR_NOTE, "", "%ld", sysconf(_SC_NPROCESSORS_ONLN));
	doctor_add(r, "host", "memory",
		   available < 0 || available >= MEMORY_MIN_MIB ? DOCTOR_YES : DOCTOR_NO,
		   "function: less than what a sandbox with a small program needs",
		   "%lld MiB available", (long long)available);
	doctor_add(r, "host", "kvm", DOCTOR_NOTE, "", "%s",
		   access("/dev/kvm", F_OK) == 0 ? "there, not used" : "absent, not needed");
}

static void processor(struct doctor_report *r)
{
	unsigned long frame = getauxval(AT_MINSIGSTKSZ);
	char *text;

	doctor_add(r, "processor", "fsgsbase",
		   getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE_BIT ? DOCTOR_YES : DOCTOR_NO, "", "%s",
		   "");
	/* The stub's handlers may nest once: a fault in its own copying. */
	doctor_add(r, "processor", "signal-frames",
		   frame * 2 + 0x1000 <= STUB_STACK_SIZE ? DOCTOR_YES : DOCTOR_NO,
		   "function: the stub's stacks can't hold them", "%lu of at most %u bytes", frame,
		   (STUB_STACK_SIZE - 0x1000) / 2);
	if (fd_read_file(AT_FDCWD, "/proc/cpuinfo", 16 * FILE_MAX, &text, NULL) < 0)
		return;
	doctor_add(r, "processor", "pku", strstr(text, " ospke") ? DOCTOR_YES : DOCTOR_NO,
		   "speed: call sites are rewritten only if it is forced, as a guest could see it",
		   "%s", "");
	free(text);
}

static void memory(struct doctor_report *r)
{
	char *thp = read_line("/sys/kernel/mm/transparent_hugepage/enabled");
	int64_t overcommit = read_number("/proc/sys/vm/overcommit_memory");
	int64_t maps = read_number("/proc/sys/vm/max_map_count");

	doctor_add(r, "memory", "huge-pages",
		   thp && !strstr(thp, "[never]") ? DOCTOR_YES : DOCTOR_NO,
		   "speed: large memory of guests faults page by page", "transparent: %s",
		   thp ? thp : "none");
	free(thp);
	doctor_add(r, "memory", "overcommit", overcommit == 2 ? DOCTOR_NO : DOCTOR_YES,
		   "function: large reservations of guests count as used memory, and may fail",
		   "vm.overcommit_memory %lld", (long long)overcommit);
	doctor_add(r, "memory", "max-map-count", maps < 0 || maps >= 65530 ? DOCTOR_YES : DOCTOR_NO,
		   "function: programs with many mappings run out of them", "%lld",
		   (long long)maps);
}

/* ---- limits ---- */

static void at_least(struct doctor_report *r, const char *name, int64_t value, int64_t want,
		     const char *loss)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)value);
	doctor_add(r, "limits", name, value < 0 || value >= want ? DOCTOR_YES : DOCTOR_NO, loss,
		   "%s", value < 0 ? "no limit is known" : text);
}

static int64_t hard_limit(int resource)
{
	struct rlimit l;

	return getrlimit(resource, &l) < 0 || l.rlim_max > INT64_MAX ? -1 : (int64_t)l.rlim_max;
}

static void limits(struct doctor_report *r)
{
	at_least(r, "pid-max", read_number("/proc/sys/kernel/pid_max"), 32768,
		 "function: guest threads are host threads, and few ids are left for them");
	at_least(r, "threads-max", read_number("/proc/sys/kernel/threads-max"), 8192,
		 "function: guest threads are host threads");
	at_least(r, "file-max", read_number("/proc/sys/fs/file-max"), 65536,
		 "function: files that guests open are open in the sentry");
	at_least(r, "open-files", hard_limit(RLIMIT_NOFILE), geteuid() == 0 ? -1 : 4096,
		 "function: files that guests open are open in the sentry");
	at_least(r, "processes", geteuid() == 0 ? -1 : hard_limit(RLIMIT_NPROC), 1024,
		 "function: guest threads are host threads of this user");
}

/* ---- security modules ---- */

static void yama(struct doctor_report *r)
{
	int64_t scope = read_number("/proc/sys/kernel/yama/ptrace_scope");

	if (scope < 0)
		doctor_add(r, "security", "yama", DOCTOR_NOTE, "", "absent");
	else
		doctor_add(r, "security", "yama", scope >= 2 ? DOCTOR_NO : DOCTOR_YES,
			   "function: the platform ptrace; speed: the stub copies guest memory",
			   "kernel.yama.ptrace_scope %lld", (long long)scope);
}

static void modules(struct doctor_report *r)
{
	char *profile = read_line("/proc/self/attr/apparmor/current");
	int64_t enforce = read_number("/sys/fs/selinux/enforce");
	int64_t filter = read_field("/proc/self/status", "Seccomp:");

	if (!profile && access("/sys/module/apparmor", F_OK) == 0)
		profile = read_line("/proc/self/attr/current");
	doctor_add(r, "security", "apparmor", DOCTOR_NOTE, "", "%s", profile ? profile : "absent");
	free(profile);
	doctor_add(r, "security", "selinux", DOCTOR_NOTE, "", "%s",
		   enforce < 0 ? "absent"
		   : enforce   ? "enforcing"
			       : "permissive");
	doctor_add(r, "security", "own-filter", DOCTOR_NOTE, "", "%s",
		   filter == 2 ? "runsc itself runs under a seccomp filter" : "none");
}

/* A sysctl that forbids user namespaces to users without rights. Root doesn't need it. */
static void userns_switch(struct doctor_report *r, const char *name, const char *path,
			  int64_t forbids)
{
	int64_t value = read_number(path);

	if (value < 0)
		return;
	doctor_add(r, "security", name, value == forbids && geteuid() != 0 ? DOCTOR_NO : DOCTOR_YES,
		   "function: no sandbox without root", "%s %lld", path + strlen("/proc/sys/"),
		   (long long)value);
}

static void security(struct doctor_report *r)
{
	yama(r);
	modules(r);
	userns_switch(r, "user-namespaces-allowed", "/proc/sys/kernel/unprivileged_userns_clone",
		      0);
	userns_switch(r, "user-namespaces-unrestricted",
		      "/proc/sys/kernel/apparmor_restrict_unprivileged_userns", 1);
}

/* ---- cgroups ---- */

static bool has_word(const char *list, const char *word)
{
	size_t size = strlen(word);

	for (const char *at = list; (at = strstr(at, word)); at += size)
		if ((at == list || strchr(", ", at[-1])) && (!at[size] || strchr(", ", at[size])))
			return true;
	return false;
}

/* All controllers that the cgroup has, as one list. */
static char *controllers_of(const struct cgroup *cg)
{
	struct strbuf sb = STRBUF_INIT;

	for (size_t i = 0; i < cg->dir_count; i++) {
		char *path = xasprintf("%s/cgroup.controllers", cg->dirs[i].path);
		char *text = cg->unified ? read_line(path) : NULL;

		strbuf_addf(&sb, "%s%s", i ? " " : "", text ? text : cg->dirs[i].controllers);
		free(text);
		free(path);
	}
	return strbuf_detach(&sb);
}

static void controllers(struct doctor_report *r, const char *list)
{
	static const struct {
		const char *v1, *v2, *loss;
	} kinds[] = {
	    {"cpu", "cpu", "function: linux.resources.cpu can't be kept"},
	    {"cpuset", "cpuset", "function: linux.resources.cpu.cpus can't be kept"},
	    {"memory", "memory", "function: linux.resources.memory can't be kept"},
	    {"pids", "pids", "isolation: only the sentry keeps linux.resources.pids"},
	    {"blkio", "io", "function: linux.resources.blockIO can't be kept"},
	};

	for (size_t i = 0; i < array_count(kinds); i++) {
		bool there = has_word(list, kinds[i].v1) || has_word(list, kinds[i].v2);
		char name[32];

		snprintf(name, sizeof(name), "cgroup-%s", kinds[i].v2);
		doctor_add(r, "cgroups", name, there ? DOCTOR_YES : DOCTOR_NO, kinds[i].loss, "%s",
			   "");
	}
}

/* Makes a cgroup as `create` would, and removes it. */
static void cgroups(const struct runsc_options *o, struct doctor_report *r)
{
	struct oci_spec spec = {0};
	struct cgroup cg = {0};
	struct error *e;
	char id[40], *list;

	snprintf(id, sizeof(id), "cvisor-doctor-%d", (int)getpid());
	e = cgroup_create(&spec, id, o, &cg);
	if (e) {
		doctor_add(r, "cgroups", "cgroup", DOCTOR_NO,
			   geteuid() == 0 ? "function: create fails"
					  : "function: no limits of resources",
			   "%s", e->message);
		if (geteuid() == 0)
			doctor_obstacle(r, "%s", e->message);
		error_free(e);
		return;
	}
	list = controllers_of(&cg);
	doctor_add(r, "cgroups", "cgroup", cg.dir_count ? DOCTOR_YES : DOCTOR_NO,
		   "function: no limits of resources", "%s: %s", cg.unified ? "v2" : "v1", list);
	error_warn(cgroup_remove(&cg, 100), "cleaning up");
	cgroup_free(&cg);
	controllers(r, list);
	free(list);
}

/* ---- files ---- */

/* The closest directory of `path` that exists. */
static char *existing_part(const char *path)
{
	char *p = xstrdup(path), *slash;

	while (access(p, F_OK) < 0 && (slash = strrchr(p, '/')) && slash > p)
		*slash = '\0';
	if (access(p, F_OK) < 0)
		strcpy(p, "/");
	return p;
}

static void state_directory(const struct runsc_options *o, struct doctor_report *r)
{
	char *dir = existing_part(o->root);
	struct statvfs vfs;
	struct stat st;
	int err = 0;

	if (stat(dir, &st) < 0 || statvfs(dir, &vfs) < 0)
		err = errno;
	else if (!S_ISDIR(st.st_mode))
		err = ENOTDIR;
	else if (access(dir, W_OK | X_OK) < 0)
		err = errno;
	doctor_add_result(r, "files", "state-directory", err, "function: create fails", "%s%s",
			  o->root, !err && (vfs.f_flag & ST_NOEXEC) ? " (noexec, no matter)" : "");
	if (err)
		doctor_obstacle(r, "state directory %s: %s", o->root, errno_text(err));
	free(dir);
}

/* The optional fields of the root's line: "shared:N", "master:N" or nothing. */
static void mount_propagation(struct doctor_report *r)
{
	char *text, *line, *save = NULL, fields[64] = "", point[8];
	const char *what = "private";

	if (fd_read_file(AT_FDCWD, "/proc/self/mountinfo", 16 * FILE_MAX, &text, NULL) < 0)
		return;
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (sscanf(line, "%*d %*d %*s %*s %7s %*s %63s", point, fields) == 2 &&
		    strcmp(point, "/") == 0)
			what = !strncmp(fields, "shared:", 7)	? "shared"
			       : !strncmp(fields, "master:", 7) ? "slave"
								: "private";
	doctor_add(r, "files", "mount-propagation", DOCTOR_NOTE, "", "%s", what);
	free(text);
}

void doctor_host(const struct runsc_options *o, struct doctor_report *r)
{
	machine(r);
	processor(r);
	memory(r);
	limits(r);
	security(r);
	cgroups(o, r);
	state_directory(o, r);
	mount_propagation(r);
}
