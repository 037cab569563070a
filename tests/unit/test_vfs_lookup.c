/* SPDX-License-Identifier: Apache-2.0 */
/* Path resolution, names, permissions and mounts, on tmpfs. */
#include "tests/unit/fake_task.h"

#include "sentry/vfs/open.h"

static struct fake *F;
static struct task *T;

static int setup(void **state)
{
	(void)state;
	F = fake_new(NULL);
	T = &F->task;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_free(F);
	return 0;
}

static int mkdir_at(const char *name)
{
	return vfs_mkdir(T, ABI_AT_FDCWD, name, 0755);
}

static int symlink_at(const char *target, const char *name)
{
	return vfs_symlink(T, target, ABI_AT_FDCWD, name);
}

static void components(void **state)
{
	(void)state;
	assert_int_equal(mkdir_at("/a"), 0);
	assert_int_equal(mkdir_at("a/b/"), 0);
	fake_make(T, "a/b/f", "x");
	assert_int_equal(fake_lookup(T, "//a//./b/../b/f", 0), 0);
	assert_int_equal(fake_lookup(T, "../../../a", 0), 0);
	assert_int_equal(fake_lookup(T, "a/b/f/", 0), -ENOTDIR);
	assert_int_equal(fake_lookup(T, "a/b/f/x", 0), -ENOTDIR);
	assert_int_equal(fake_lookup(T, "a/none/f", 0), -ENOENT);
	assert_int_equal(fake_lookup(T, "", 0), -ENOENT);
	assert_int_equal(fake_lookup(T, "", LOOKUP_EMPTY), 0);
	assert_int_equal(mkdir_at("a"), -EEXIST);
	assert_int_equal(mkdir_at("/"), -EEXIST);
	assert_int_equal(mkdir_at("a/."), -EEXIST);
	assert_int_equal(fake_open_error(T, "new/", ABI_O_CREAT), -EISDIR);
}

static void long_names(void **state)
{
	char name[VFS_NAME_MAX + 2];

	(void)state;
	memset(name, 'n', sizeof(name));
	name[VFS_NAME_MAX] = 0;
	assert_int_equal(mkdir_at(name), 0);
	name[VFS_NAME_MAX] = 'n';
	name[VFS_NAME_MAX + 1] = 0;
	assert_int_equal(mkdir_at(name), -ENAMETOOLONG);
}

static void symlinks(void **state)
{
	char name[16], target[16];

	(void)state;
	fake_make(T, "f", "x");
	assert_int_equal(mkdir_at("d"), 0);
	assert_int_equal(symlink_at("/f", "d/abs"), 0);
	assert_int_equal(symlink_at("../f", "d/rel"), 0);
	assert_int_equal(symlink_at("d", "dl"), 0);
	assert_int_equal(symlink_at("self", "self"), 0);
	assert_int_equal(fake_lookup(T, "dl/abs", LOOKUP_FOLLOW), 0);
	assert_int_equal(fake_lookup(T, "dl/rel", LOOKUP_FOLLOW), 0);
	assert_true(ABI_S_ISLNK(fake_stat(T, "d/rel").mode));
	assert_int_equal(fake_lookup(T, "self", LOOKUP_FOLLOW), -ELOOP);
	assert_int_equal(fake_lookup(T, "self/x", 0), -ELOOP);
	assert_int_equal(fake_lookup(T, "dl/rel", LOOKUP_FOLLOW | LOOKUP_NO_SYMLINKS), -ELOOP);
	assert_int_equal(fake_open_error(T, "d/rel", ABI_O_NOFOLLOW), -ELOOP);
	assert_int_equal(fake_open_error(T, "d/rel", ABI_O_NOFOLLOW | ABI_O_PATH), 0);
	/* Each to the one before: 40 are followed, not 41. */
	for (int i = 0; i <= 41; i++) {
		snprintf(name, sizeof(name), "l%d", i);
		snprintf(target, sizeof(target), i ? "l%d" : "f", i - 1);
		assert_int_equal(symlink_at(target, name), 0);
	}
	assert_int_equal(fake_lookup(T, "l39", LOOKUP_FOLLOW), 0);
	assert_int_equal(fake_lookup(T, "l40", LOOKUP_FOLLOW), -ELOOP);
}

static void create_through_a_dangling_link(void **state)
{
	(void)state;
	assert_int_equal(symlink_at("target", "link"), 0);
	assert_int_equal(fake_open_error(T, "link", ABI_O_CREAT | ABI_O_EXCL), -EEXIST);
	assert_int_equal(fake_open_error(T, "link", ABI_O_CREAT), 0);
	assert_true(ABI_S_ISREG(fake_stat(T, "target").mode));
}

static void scoped(void **state)
{
	struct file *dir, *f;
	int fd;

	(void)state;
	assert_int_equal(mkdir_at("jail"), 0);
	fake_make(T, "secret", "x");
	fake_make(T, "jail/in", "x");
	assert_int_equal(symlink_at("../secret", "jail/up"), 0);
	assert_int_equal(symlink_at("/in", "jail/abs"), 0);
	dir = fake_open(T, "jail", ABI_O_PATH | ABI_O_DIRECTORY);
	fd = fd_install(T, dir, 0, false);
	assert_int_equal(vfs_open_with(T, fd, "up", 0, 0, LOOKUP_BENEATH, &f), -EXDEV);
	assert_int_equal(vfs_open_with(T, fd, "abs", 0, 0, LOOKUP_BENEATH, &f), -EXDEV);
	assert_int_equal(vfs_open_with(T, fd, "/in", 0, 0, LOOKUP_BENEATH, &f), -EXDEV);
	assert_int_equal(vfs_open_with(T, fd, "up", 0, 0, LOOKUP_IN_ROOT, &f), -ENOENT);
	assert_int_equal(vfs_open_with(T, fd, "abs", 0, 0, LOOKUP_IN_ROOT, &f), 0);
	file_put(f);
	assert_int_equal(vfs_open_with(T, fd, "in", 0, 0, LOOKUP_BENEATH, &f), 0);
	file_put(f);
	assert_int_equal(vfs_open(T, fd, "in/x", 0, 0, &f), -ENOTDIR);
	assert_int_equal(vfs_open(T, 99, "in", 0, 0, &f), -EBADF);
}

static void renames(void **state)
{
	const int fd = ABI_AT_FDCWD;

	(void)state;
	assert_int_equal(mkdir_at("a"), 0);
	assert_int_equal(mkdir_at("a/b"), 0);
	assert_int_equal(mkdir_at("e"), 0);
	fake_make(T, "f", "f");
	fake_make(T, "g", "g");
	assert_int_equal(vfs_rename(T, fd, "a", fd, "a/b/c", 0), -EINVAL);
	assert_int_equal(vfs_rename(T, fd, "a/b", fd, "a", 0), -ENOTEMPTY);
	assert_int_equal(vfs_rename(T, fd, "f", fd, "e", 0), -EISDIR);
	assert_int_equal(vfs_rename(T, fd, "e", fd, "f", 0), -ENOTDIR);
	assert_int_equal(vfs_rename(T, fd, "e", fd, "a", 0), -ENOTEMPTY);
	assert_int_equal(vfs_rename(T, fd, "f", fd, "g", ABI_RENAME_NOREPLACE), -EEXIST);
	assert_int_equal(vfs_rename(T, fd, "f", fd, "none", ABI_RENAME_EXCHANGE), -ENOENT);
	assert_int_equal(vfs_rename(T, fd, ".", fd, "x", 0), -EBUSY);
	assert_int_equal(vfs_rename(T, fd, "f", fd, "a/b", ABI_RENAME_EXCHANGE), 0);
	assert_true(ABI_S_ISDIR(fake_stat(T, "f").mode));
	assert_true(ABI_S_ISREG(fake_stat(T, "a/b").mode));
	assert_int_equal(fake_stat(T, "a").nlink, 2);
	assert_int_equal(vfs_rename(T, fd, "f", fd, "a/d", 0), 0);
	assert_int_equal(fake_lookup(T, "f", 0), -ENOENT);
	assert_int_equal(fake_stat(T, "a").nlink, 3);
	assert_int_equal(vfs_rename(T, fd, "a/b", fd, "g", 0), 0);
	assert_int_equal(fake_stat(T, "g").size, 1);
}

static char *string_of(const char *name)
{
	struct path p;
	char *s;

	assert_int_equal(vfs_lookup(T, ABI_AT_FDCWD, name, 0, &p, NULL), 0);
	s = vfs_path_string(T, &p);
	path_put(&p);
	return s;
}

static void path_strings(void **state)
{
	struct file *f, *d;
	char *s;

	(void)state;
	assert_int_equal(mkdir_at("a"), 0);
	assert_int_equal(mkdir_at("a/b"), 0);
	fake_make(T, "a/b/f", "x");
	s = string_of("/");
	assert_string_equal(s, "/");
	free(s);
	f = fake_open(T, "a/b/f", 0);
	assert_int_equal(vfs_rename(T, ABI_AT_FDCWD, "a/b", ABI_AT_FDCWD, "c", 0), 0);
	s = vfs_path_string(T, &f->path);
	assert_string_equal(s, "/c/f");
	free(s);
	assert_int_equal(vfs_unlink(T, ABI_AT_FDCWD, "c/f"), 0);
	s = vfs_path_string(T, &f->path);
	assert_string_equal(s, "/c/f (deleted)");
	free(s);
	d = fake_open(T, "c", ABI_O_DIRECTORY);
	fs_set_root(T->fs, &d->path);
	s = vfs_path_string(T, &F->root);
	assert_string_equal(s, "(unreachable)/");
	free(s);
	fs_set_root(T->fs, &F->root);
	file_put(d);
	file_put(f);
}

static void set_user(uint32_t uid, uint64_t caps)
{
	struct cred *c = cred_dup(T->cred);

	c->uid = c->euid = c->suid = c->fsuid = uid;
	c->gid = c->egid = c->sgid = c->fsgid = uid;
	c->cap_effective = c->cap_permitted = caps;
	cred_put(T->cred);
	T->cred = c;
}

static void permissions(void **state)
{
	(void)state;
	assert_int_equal(mkdir_at("sticky"), 0);
	assert_int_equal(mkdir_at("closed"), 0);
	fake_make(T, "closed/f", "x");
	fake_make(T, "sticky/f", "x");
	fake_make(T, "private", "x");
	{
		struct iattr a = {.valid = ATTR_MODE, .mode = 01777};
		struct path p;

		assert_int_equal(vfs_lookup(T, ABI_AT_FDCWD, "sticky", 0, &p, NULL), 0);
		assert_int_equal(vfs_setattr(&p, T->cred, &a), 0);
		path_put(&p);
		a = (struct iattr){.valid = ATTR_MODE, .mode = 0700};
		assert_int_equal(vfs_lookup(T, ABI_AT_FDCWD, "closed", 0, &p, NULL), 0);
		assert_int_equal(vfs_setattr(&p, T->cred, &a), 0);
		path_put(&p);
	}
	set_user(1000, 0);
	assert_int_equal(fake_lookup(T, "closed/f", 0), -EACCES);
	assert_int_equal(fake_open_error(T, "private", ABI_O_WRONLY), -EACCES);
	assert_int_equal(fake_open_error(T, "private", ABI_O_RDONLY), 0);
	assert_int_equal(fake_open_error(T, "sticky/mine", ABI_O_CREAT), 0);
	assert_int_equal(vfs_unlink(T, ABI_AT_FDCWD, "sticky/f"), -EPERM);
	assert_int_equal(vfs_unlink(T, ABI_AT_FDCWD, "sticky/mine"), 0);
	assert_int_equal(mkdir_at("closed/d"), -EACCES);
	set_user(1000, 1ull << ABI_CAP_DAC_READ_SEARCH);
	assert_int_equal(fake_lookup(T, "closed/f", 0), 0);
	assert_int_equal(mkdir_at("closed/d"), -EACCES);
	set_user(1000, 1ull << ABI_CAP_DAC_OVERRIDE);
	assert_int_equal(mkdir_at("closed/d"), 0);
}

static struct super_block *another_tmpfs(void)
{
	struct super_block *sb;

	assert_int_equal(tmpfs_type.mount(&F->kernel, "tmpfs", 0, "size=1m", &sb), 0);
	return sb;
}

static void mounts(void **state)
{
	struct super_block *sb = another_tmpfs();
	struct path where, in;
	uint64_t outer_ino, inner_ino;

	(void)state;
	assert_int_equal(mkdir_at("m"), 0);
	outer_ino = fake_stat(T, "/").ino;
	assert_int_equal(vfs_lookup(T, ABI_AT_FDCWD, "m", 0, &where, NULL), 0);
	assert_int_equal(vfs_mount(&F->kernel, &where, sb, sb->root, ABI_MS_RDONLY, "x"), 0);
	super_put(sb);
	path_put(&where);
	assert_int_equal(mkdir_at("m/d"), -EROFS);
	assert_int_equal(vfs_lookup(T, ABI_AT_FDCWD, "m", 0, &in, NULL), 0);
	assert_int_equal(vfs_remount(&in, 0), 0);
	assert_int_equal(mkdir_at("m/d"), 0);
	inner_ino = fake_stat(T, "m").ino;
	assert_int_equal(fake_stat(T, "m/..").ino, outer_ino);
	assert_int_equal(fake_stat(T, "m/d/..").ino, inner_ino);
	assert_int_equal(fake_lookup(T, "m/d", LOOKUP_NO_XDEV), -EXDEV);
	assert_int_equal(vfs_rmdir(T, ABI_AT_FDCWD, "m"), -EBUSY);
	assert_int_equal(mkdir_at("out"), 0);
	assert_int_equal(vfs_rename(T, ABI_AT_FDCWD, "m/d", ABI_AT_FDCWD, "out/d", 0), -EXDEV);
	/* The tree's reference and ours: not busy, but with a directory open in it. */
	assert_int_equal(vfs_lookup(T, ABI_AT_FDCWD, "m/d", 0, &where, NULL), 0);
	assert_int_equal(vfs_umount(&F->kernel, in.mount, false), -EBUSY);
	path_put(&where);
	assert_int_equal(vfs_umount(&F->kernel, in.mount, false), 0);
	path_put(&in);
	assert_int_equal(fake_lookup(T, "m/d", 0), -ENOENT);
}

static bool count_mount(const struct mount_info *info, void *arg)
{
	(void)info;
	++*(int *)arg;
	return true;
}

static void bind_mounts(void **state)
{
	struct super_block *sb = another_tmpfs();
	struct path from, to, root;
	int count = 0;

	(void)state;
	assert_int_equal(mkdir_at("a"), 0);
	assert_int_equal(mkdir_at("a/sub"), 0);
	assert_int_equal(mkdir_at("b"), 0);
	assert_int_equal(vfs_lookup(T, ABI_AT_FDCWD, "a/sub", 0, &to, NULL), 0);
	assert_int_equal(vfs_mount(&F->kernel, &to, sb, sb->root, 0, "x"), 0);
	super_put(sb);
	path_put(&to);
	fake_make(T, "a/sub/f", "x");
	assert_int_equal(vfs_lookup(T, ABI_AT_FDCWD, "a", 0, &from, NULL), 0);
	assert_int_equal(vfs_lookup(T, ABI_AT_FDCWD, "b", 0, &to, NULL), 0);
	assert_int_equal(vfs_bind(&F->kernel, &from, &to, ABI_MS_RDONLY, true), 0);
	path_put(&from);
	path_put(&to);
	assert_int_equal(fake_lookup(T, "b/sub/f", 0), 0);
	assert_int_equal(mkdir_at("b/x"), -EROFS);
	assert_int_equal(mkdir_at("a/x"), 0);
	assert_int_equal(fake_lookup(T, "b/x", 0), 0);
	fs_get_root(T->fs, &root);
	vfs_list_mounts(&F->kernel, &root, count_mount, &count);
	path_put(&root);
	assert_int_equal(count, 4);
	assert_int_equal(vfs_lookup(T, ABI_AT_FDCWD, "b", 0, &to, NULL), 0);
	assert_int_equal(vfs_umount(&F->kernel, to.mount, true), 0);
	path_put(&to);
	assert_int_equal(fake_lookup(T, "b/sub", 0), -ENOENT);
	assert_int_equal(fake_lookup(T, "a/sub/f", 0), 0);
}

static int move_mount(const char *from_name, const char *to_name)
{
	struct path from, to;
	int ret;

	assert_int_equal(vfs_lookup(T, ABI_AT_FDCWD, from_name, 0, &from, NULL), 0);
	assert_int_equal(vfs_lookup(T, ABI_AT_FDCWD, to_name, 0, &to, NULL), 0);
	ret = vfs_move_mount(&F->kernel, &from, &to);
	path_put(&from);
	path_put(&to);
	return ret;
}

static void mount_at(const char *name)
{
	struct super_block *sb = another_tmpfs();
	struct path to;

	assert_int_equal(mkdir_at(name), 0);
	assert_int_equal(vfs_lookup(T, ABI_AT_FDCWD, name, 0, &to, NULL), 0);
	assert_int_equal(vfs_mount(&F->kernel, &to, sb, sb->root, 0, "x"), 0);
	super_put(sb);
	path_put(&to);
}

static void moved_mounts(void **state)
{
	struct path from, to;

	(void)state;
	mount_at("a");
	mount_at("a/b");
	mount_at("a/b/c");
	fake_make(T, "a/b/c/f", "x");
	assert_int_equal(mkdir_at("new"), 0);
	assert_int_equal(mkdir_at("copy"), 0);
	assert_int_equal(mkdir_at("a/b/c/d"), 0);
	assert_int_equal(move_mount("a", "a/b/c/d"), -ELOOP);
	assert_int_equal(move_mount("a", "new"), 0);
	assert_int_equal(fake_lookup(T, "a/b", 0), -ENOENT);
	assert_int_equal(fake_lookup(T, "new/b/c/f", 0), 0);
	/* Copies find what is below what was moved. */
	assert_int_equal(vfs_lookup(T, ABI_AT_FDCWD, "new", 0, &from, NULL), 0);
	assert_int_equal(vfs_lookup(T, ABI_AT_FDCWD, "copy", 0, &to, NULL), 0);
	assert_int_equal(vfs_bind(&F->kernel, &from, &to, 0, true), 0);
	path_put(&to);
	assert_int_equal(fake_lookup(T, "copy/b/c/f", 0), 0);
	/* Nothing is mounted on what was taken away. */
	assert_int_equal(vfs_lookup(T, ABI_AT_FDCWD, "copy", 0, &to, NULL), 0);
	assert_int_equal(vfs_umount(&F->kernel, to.mount, true), 0);
	assert_int_equal(vfs_bind(&F->kernel, &from, &to, 0, false), -EINVAL);
	path_put(&from);
	path_put(&to);
	assert_int_equal(fake_lookup(T, "copy/b", 0), -ENOENT);
	assert_int_equal(fake_lookup(T, "new/b/c/f", 0), 0);
}

static void descriptors(void **state)
{
	struct file *f = fake_open(T, "f", ABI_O_CREAT | ABI_O_RDWR), *g;
	bool cloexec;

	(void)state;
	assert_int_equal(fd_install(T, f, 0, true), 0);
	assert_int_equal(fd_install(T, file_get(f), 5, false), 5);
	assert_int_equal(fd_install(T, file_get(f), 0, false), 1);
	assert_int_equal(fd_get_cloexec(T, 0, &cloexec), 0);
	assert_true(cloexec);
	assert_int_equal(files_next(T->files, 2, &g), 5);
	file_put(g);
	files_close_on_exec(T);
	assert_null(fd_get(T, 0));
	assert_int_equal(fd_close(T, 1), 0);
	assert_int_equal(fd_close(T, 1), -EBADF);
	F->tg.rlimits[7].cur = 6;
	g = fd_get(T, 5);
	assert_int_equal(fd_install(T, g, 5, false), -EMFILE);
	assert_int_equal(fd_install(T, g, 6, false), -EINVAL);
	assert_int_equal(fd_install_at(T, g, 6, false), -EBADF);
	file_put(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(components, setup, teardown),
	    cmocka_unit_test_setup_teardown(long_names, setup, teardown),
	    cmocka_unit_test_setup_teardown(symlinks, setup, teardown),
	    cmocka_unit_test_setup_teardown(create_through_a_dangling_link, setup, teardown),
	    cmocka_unit_test_setup_teardown(scoped, setup, teardown),
	    cmocka_unit_test_setup_teardown(renames, setup, teardown),
	    cmocka_unit_test_setup_teardown(path_strings, setup, teardown),
	    cmocka_unit_test_setup_teardown(permissions, setup, teardown),
	    cmocka_unit_test_setup_teardown(mounts, setup, teardown),
	    cmocka_unit_test_setup_teardown(bind_mounts, setup, teardown),
	    cmocka_unit_test_setup_teardown(moved_mounts, setup, teardown),
	    cmocka_unit_test_setup_teardown(descriptors, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
