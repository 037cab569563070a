/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gofer as a process: gofer_main with its namespaces, empty root, dropped privileges and
 * filter, over a temporary directory with a nested mount and a secret beside. Needs root.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/feature.h"
#include "fsgofer/gofer.h"
#include "tests/unit/gofer_client.h"

static struct fixture {
	char tmp[64], root[80], extra[80];
	pid_t pid;
	int socks[GOFER_CONNECTIONS];
	char error[512];
	int ready; /* gofer_wait_ready's result */
	struct msg m;
} f;

static void make_file(const char *dir, const char *name, const char *text)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* Starts a gofer over the given mounts. */
static void start_with(const struct gofer_mount *mounts, size_t count,
		       const struct gofer_mountpoint *points, size_t point_count)
{
	int ends[GOFER_CONNECTIONS], ready[2];

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	for (int i = 0; i < GOFER_CONNECTIONS; i++) {
		int pair[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
		f.socks[i] = pair[0];
		ends[i] = pair[1];
	}
	f.pid = fork();
	if (f.pid == 0) {
		const struct gofer_args args = {.mounts = mounts,
						.mount_count = count,
						.mountpoints = points,
						.mountpoint_count = point_count,
						.sockets = ends,
						.socket_count = GOFER_CONNECTIONS,
						.ready_fd = ready[1],
						.log_fd = -1};
		_exit(gofer_main(&args));
	}
	close(ready[1]);
	for (int i = 0; i < GOFER_CONNECTIONS; i++)
		close(ends[i]);
	f.ready = gofer_wait_ready(ready[0], f.error, sizeof(f.error));
	close(ready[0]);
}

static void start(const struct gofer_mount *mounts, size_t count)
{
	start_with(mounts, count, NULL, 0);
}

/* Hangs up; the gofer's wait status. */
static int stop(void)
{
	int status = -1;

	for (int i = 0; i < GOFER_CONNECTIONS; i++)
		close(f.socks[i]);
	assert_int_equal(waitpid(f.pid, &status, 0), f.pid);
	return status;
}

static int set_up(void **state)
{
	(void)state;
	snprintf(f.tmp, sizeof(f.tmp), "/tmp/test_gofer.XXXXXX");
	assert_non_null(mkdtemp(f.tmp));
	snprintf(f.root, sizeof(f.root), "%s/root", f.tmp);
	snprintf(f.extra, sizeof(f.extra), "%s/extra", f.tmp);
	assert_int_equal(mkdir(f.root, 0755), 0);
	assert_int_equal(mkdir(f.extra, 0755), 0);
	make_file(f.tmp, "secret", "secret");
	make_file(f.root, "file", "hello");
	make_file(f.extra, "inside", "extra");
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

/* As on a host without any of what the gofer can do without. */
static int set_up_old(void **state)
{
	uint64_t all;
	char bad[32];

	assert_int_equal(features_parse("all-host", &all, bad, sizeof(bad)), 0);
	features_switch(all, 0);
	return set_up(state);
}

static int tear_down(void **state)
{
	features_switch(0, 0);
	(void)state;
	return nftw(f.tmp, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static uint64_t attached(uint32_t index)
{
	uint64_t h = 0;

	assert_int_equal(attach(&f.m, f.socks[index % GOFER_CONNECTIONS], index, &h), 0);
	return h;
}

/*
 * Every kind of request at least once: what the filter forbids would kill.
 * long: one request after the other, each using what the one before made.
 */
static void serves_everything(void **state)
{
	const struct gofer_mount mounts[] = {{.source = f.root}};
	struct gofer_req_setattr *set;
	struct gofer_req_handle *at;
	struct gofer_req_make *tmp;
	struct gofer_req_readdir *dir;
	struct gofer_req_fsync *sync;
	struct gofer_req_xattr *x;
	struct gofer_req_link *link;
	struct gofer_req_rename *ren;
	struct gofer_req_unlink *un;
	uint64_t root, h;
	int s, err;

	(void)state;
	start(mounts, 1);
	assert_int_equal(f.ready, 0);
	s = f.socks[1];
	root = attached(0);
	h = walk_to(&f.m, s, root, "file");
	assert_true(h != 0);
	assert_int_equal(open_handle(&f.m, s, h, GOFER_OPEN_READ | GOFER_OPEN_WRITE), 0);
	assert_int_equal(write(f.m.reply_fd, "HELLO", 5), 5);
	close(f.m.reply_fd);
	assert_int_equal(make(&f.m, s, GOFER_CREATE, root, "c", 04755), 0);
	close(f.m.reply_fd);
	assert_int_equal(make(&f.m, s, GOFER_MKDIR, root, "d", 0755), 0);
	assert_int_equal(make(&f.m, s, GOFER_MKNOD, root, "fifo", S_IFIFO | 0600), 0);
	assert_int_equal(make(&f.m, s, GOFER_MKNOD, root, "sock", S_IFSOCK | 0600), 0);
	assert_int_equal(make(&f.m, s, GOFER_MKNOD, root, "reg", S_IFREG | 0600), 0);
	assert_int_equal(make(&f.m, s, GOFER_MKNOD, root, "white", S_IFCHR | 0600), 0);
	assert_int_equal(make(&f.m, s, GOFER_SYMLINK, root, "l", 0777), 0);
	assert_int_equal(handle_call(&f.m, s, GOFER_READLINK, walk_to(&f.m, s, root, "l")), 0);
	assert_int_equal(handle_call(&f.m, s, GOFER_GETATTR, h), 0);
	assert_int_equal(handle_call(&f.m, s, GOFER_STATFS, h), 0);
	assert_int_equal(handle_call(&f.m, s, GOFER_LISTXATTR, h), 0);

	at = msg_begin(&f.m, GOFER_GETATTR_AT, sizeof(*at));
	at->handle = root;
	msg_string(&f.m, "file");
	assert_int_equal(msg_call(&f.m, s), 0);
	tmp = msg_begin(&f.m, GOFER_TMPFILE, sizeof(*tmp));
	tmp->dir = root;
	tmp->flags = GOFER_OPEN_WRITE;
	err = msg_call(&f.m, s);
	assert_true(err == 0 || err == -EOPNOTSUPP);
	if (f.m.reply_fd >= 0)
		close(f.m.reply_fd);

	set = msg_begin(&f.m, GOFER_SETATTR, sizeof(*set));
	set->handle = h;
	set->valid = GOFER_SET_ALL & ~(GOFER_SET_ATIME | GOFER_SET_MTIME);
	set->mode = 06644;
	set->uid = 1;
	set->gid = 2;
	set->size = 100;
	assert_int_equal(msg_call(&f.m, s), 0);
	dir = msg_begin(&f.m, GOFER_READDIR, sizeof(*dir));
	dir->handle = root;
	dir->flags = GOFER_READDIR_ATTR;
	dir->max_size = GOFER_DATA_MAX;
	assert_int_equal(msg_call(&f.m, s), 0);
	for (uint32_t data_only = 0; data_only < 2; data_only++) {
		sync = msg_begin(&f.m, GOFER_FSYNC, sizeof(*sync));
		sync->handle = data_only ? h : root;
		sync->data_only = data_only;
		assert_int_equal(msg_call(&f.m, s), 0);
	}
	static const enum gofer_type xattr_types[] = {GOFER_SETXATTR, GOFER_GETXATTR,
						      GOFER_REMOVEXATTR};
	for (int i = 0; i < 3; i++) {
		x = msg_begin(&f.m, xattr_types[i], sizeof(*x));
		x->handle = h;
		msg_string(&f.m, "user.a");
		err = msg_call(&f.m, s);
		assert_true(err == 0 || err == -EOPNOTSUPP);
	}
	link = msg_begin(&f.m, GOFER_LINK, sizeof(*link));
	link->handle = h;
	link->dir = root;
	msg_string(&f.m, "hard");
	assert_int_equal(msg_call(&f.m, s), 0);
	ren = msg_begin(&f.m, GOFER_RENAME, sizeof(*ren));
	ren->old_dir = ren->new_dir = root;
	ren->flags = GOFER_RENAME_NOREPLACE;
	msg_string(&f.m, "hard");
	msg_string(&f.m, "hard2");
	assert_int_equal(msg_call(&f.m, s), 0);
	un = msg_begin(&f.m, GOFER_UNLINK, sizeof(*un));
	un->dir = root;
	msg_string(&f.m, "hard2");
	assert_int_equal(msg_call(&f.m, s), 0);
	un = msg_begin(&f.m, GOFER_UNLINK, sizeof(*un));
	un->dir = root;
	un->rmdir = 1;
	msg_string(&f.m, "d");
	assert_int_equal(msg_call(&f.m, s), 0);

	/* A hostile message ends its connection, with a line in the log; the others go on. */
	f.m.size = 3;
	assert_int_equal(msg_exchange(&f.m, f.socks[2]), -EPIPE);
	assert_int_equal(handle_call(&f.m, s, GOFER_GETATTR, h), 0);
	assert_int_equal(stop(), 0);
}

static void mounts_are_as_asked(void **state)
{
	char file[96];
	const struct gofer_mount mounts[] = {{.source = f.root, .recursive = true},
					     {.source = f.root},
					     {.source = f.extra, .readonly = true},
					     {.source = file}};
	char nested[96];
	uint64_t h;

	(void)state;
	snprintf(file, sizeof(file), "%s/inside", f.extra);
	snprintf(nested, sizeof(nested), "%s/nested", f.root);
	assert_int_equal(mkdir(nested, 0755), 0);
	assert_int_equal(mount(f.extra, nested, NULL, MS_BIND, NULL), 0);
	start(mounts, 4);
	assert_int_equal(umount2(nested, MNT_DETACH), 0);
	assert_int_equal(f.ready, 0);

	assert_true(walk_to(&f.m, f.socks[0], attached(0), "nested/inside") != 0);
	assert_true(walk_to(&f.m, f.socks[0], attached(1), "nested") != 0);
	assert_true(walk_to(&f.m, f.socks[0], attached(1), "nested/inside") == 0);
	h = walk_to(&f.m, f.socks[0], attached(2), "inside");
	assert_int_equal(open_handle(&f.m, f.socks[0], h, GOFER_OPEN_WRITE), -EROFS);
	h = attached(3);
	assert_int_equal(open_handle(&f.m, f.socks[0], h, GOFER_OPEN_WRITE), 0);
	close(f.m.reply_fd);
	assert_int_equal(make(&f.m, f.socks[0], GOFER_MKDIR, h, "x", 0755), -ENOTDIR);
	assert_int_equal(stop(), 0);
}

/* A read-only root gets its mount points first, and only inside of itself. */
static void makes_mountpoints(void **state)
{
	char file[96], path[128];
	const struct gofer_mount mounts[] = {{.source = f.root, .readonly = true},
					     {.source = file}};
	const struct gofer_mountpoint points[] = {
	    {"/a/b/c", 0}, {"//up/made", 0}, {"/a/file", 1}, {"/dangling/x", 0}, {"/file", 1}};
	uint64_t root;
	struct stat st;

	(void)state;
	snprintf(file, sizeof(file), "%s/inside", f.extra);
	snprintf(path, sizeof(path), "%s/up", f.root);
	assert_int_equal(symlink("../../../..", path), 0);
	snprintf(path, sizeof(path), "%s/dangling", f.root);
	assert_int_equal(symlink("/nowhere", path), 0);
	start_with(mounts, 2, points, 5);
	assert_int_equal(f.ready, 0);
	root = attached(0);
	assert_true(walk_to(&f.m, f.socks[0], root, "a/b/c") != 0);
	assert_true(walk_to(&f.m, f.socks[0], root, "a/file") != 0);
	assert_true(walk_to(&f.m, f.socks[0], root, "made") != 0);
	assert_int_equal(stat("/made", &st), -1);
	assert_int_equal(stat("/nowhere", &st), -1);
	assert_int_equal(make(&f.m, f.socks[0], GOFER_MKDIR, root, "no", 0755), -EROFS);
	assert_int_equal(stop(), 0);
}

static void link_of(const char *what, char *ret, size_t size)
{
	char path[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)f.pid, what);
	n = readlink(path, ret, size - 1);
	ret[n < 0 ? 0 : n] = '\0';
}

static void assert_status_line(const char *line)
{
	char path[64], *text;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)f.pid);
	assert_int_equal(fd_read_file(AT_FDCWD, path, 65536, &text, NULL), 0);
	if (!strstr(text, line))
		fail_msg("want %s in\n%s", line, text);
	free(text);
}

/* What a broken gofer would have in its hands. */
static void is_confined(void **state)
{
	static const char *const spaces[] = {"ns/mnt", "ns/net", "ns/ipc", "ns/uts", "ns/cgroup"};
	const struct gofer_mount mounts[] = {{.source = f.root}};
	char path[64], mine[64], its[64], *text;

	(void)state;
	start(mounts, 1);
	assert_int_equal(f.ready, 0);
	for (size_t i = 0; i < 5; i++) {
		snprintf(path, sizeof(path), "/proc/self/%s", spaces[i]);
		memset(mine, 0, sizeof(mine));
		assert_true(readlink(path, mine, sizeof(mine) - 1) > 0);
		link_of(spaces[i], its, sizeof(its));
		assert_string_not_equal(mine, its);
	}
	/* Nothing is mounted but an empty root. */
	snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)f.pid);
	assert_int_equal(fd_read_file(AT_FDCWD, path, 65536, &text, NULL), 0);
	assert_non_null(strstr(text, " / / ro,nosuid,nodev,noexec"));
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	free(text);
	/* CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, FSETID */
	assert_status_line("CapPrm:\t000000000000001f\n");
	assert_status_line("CapEff:\t000000000000001f\n");
	assert_status_line("CapBnd:\t000000000000001f\n");
	assert_status_line("CapInh:\t0000000000000000\n");
	assert_status_line("CapAmb:\t0000000000000000\n");
	assert_status_line("NoNewPrivs:\t1\n");
#ifndef SANITIZER
	assert_status_line("Seccomp:\t2\n");
#endif
	assert_int_equal(stop(), 0);
}

/* Its trees lie below its root, of which it sees nothing else. */
static void is_confined_on_old_hosts(void **state)
{
	const struct gofer_mount mounts[] = {{.source = f.root, .readonly = true},
					     {.source = f.extra}};
	char path[64], *text, *line, *save = NULL;
	int lines = 0;

	(void)state;
	start(mounts, 2);
	assert_int_equal(f.ready, 0);
	snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)f.pid);
	assert_int_equal(fd_read_file(AT_FDCWD, path, 65536, &text, NULL), 0);
	assert_non_null(strstr(text, " / / ro,nosuid,nodev,noexec"));
	assert_non_null(strstr(text, "/root /0 ro,nosuid,nodev"));
	assert_non_null(strstr(text, "/extra /1 rw,nosuid,nodev"));
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		lines++;
	assert_int_equal(lines, 4); /* those, and /proc/self/fd */
	free(text);
	assert_status_line("CapEff:\t000000000000001f\n");
	assert_int_equal(stop(), 0);
}

static void reports_what_is_missing(void **state)
{
	const struct gofer_mount missing[] = {{.source = f.root}, {.source = "/no/such/dir"}};
	const struct gofer_mount relative[] = {{.source = "relative"}};

	(void)state;
	start(missing, 2);
	assert_int_equal(f.ready, -1);
	assert_string_equal(f.error, "gofer: opening mount source /no/such/dir: "
				     "No such file or directory");
	assert_int_equal(WEXITSTATUS(stop()), 1);
	start(relative, 1);
	assert_int_equal(f.ready, -1);
	assert_non_null(strstr(f.error, "relative is not absolute"));
	stop();
}

static void reports_missing_privilege(void **state)
{
	const struct gofer_mount mounts[] = {{.source = f.root}};
	pid_t pid = fork();
	int status;

	(void)state;
	if (pid == 0) {
		if (setgid(65534) || setuid(65534))
			_exit(2);
		start(mounts, 1);
		_exit(f.ready == -1 && strstr(f.error, "own namespaces") ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* Killed from outside: the sentry's connections hang up. */
static void death_hangs_up(void **state)
{
	const struct gofer_mount mounts[] = {{.source = f.root}};

	(void)state;
	start(mounts, 1);
	assert_int_equal(f.ready, 0);
	kill(f.pid, SIGKILL);
	for (int i = 0; i < GOFER_CONNECTIONS; i++) {
		struct pollfd p = {.fd = f.socks[i]};

		assert_int_equal(poll(&p, 1, 10000), 1);
		assert_true(p.revents & POLLHUP);
	}
	assert_true(WIFSIGNALED(stop()));
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define OLD(name)                                                                                  \
	{                                                                                          \
		"old_" #name, name, set_up_old, tear_down, NULL                                    \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(serves_everything),   T(mounts_are_as_asked),	   T(makes_mountpoints),
	    T(is_confined),	    T(reports_what_is_missing),	   T(reports_missing_privilege),
	    T(death_hangs_up),	    OLD(serves_everything),	   OLD(mounts_are_as_asked),
	    OLD(makes_mountpoints), OLD(is_confined_on_old_hosts), OLD(reports_what_is_missing),
	};

	if (geteuid() != 0) {
		printf("gofer_process: skipped, needs root\n");
		return 0;
	}
	/* The nested mount stays in a namespace of the test's own. */
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL)) {
		printf("gofer_process: skipped, needs a mount namespace\n");
		return 0;
	}
	return cmocka_run_group_tests_name("gofer_process", tests, NULL, NULL);
}
