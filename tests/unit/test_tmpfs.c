/* SPDX-License-Identifier: Apache-2.0 */
/* tmpfs: content as pages and as a memfd, directories, limits, attributes, seals. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/mman.h"
#include "base/strbuf.h"
#include "tests/unit/fake_task.h"

static struct fake *F;
static struct task *T;

static int setup(void **state)
{
	(void)state;
	F = fake_new("size=2m,nr_inodes=1000");
	T = &F->task;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_free(F);
	return 0;
}

static ssize_t write_at(struct file *f, const void *data, size_t size, int64_t pos)
{
	struct uio u;

	uio_init_kernel(&u, (void *)data, size);
	return vfs_write(f, &u, &pos);
}

static ssize_t read_at(struct file *f, void *data, size_t size, int64_t pos)
{
	struct uio u;

	uio_init_kernel(&u, data, size);
	return vfs_read(f, &u, &pos);
}

static int64_t blocks_of(struct file *f)
{
	struct abi_stat st;

	assert_int_equal(vfs_stat(&f->path, &st), 0);
	return st.blocks;
}

/* What every kind of content must do; mapped: after it went to a memfd. */
static void check_content(struct file *f)
{
	char buf[9000];

	memset(buf, 'x', sizeof(buf));
	assert_int_equal(write_at(f, buf, sizeof(buf), 5000), sizeof(buf));
	assert_int_equal(f->inode->size, 14000);
	assert_int_equal(read_at(f, buf, 6000, 0), 6000);
	assert_int_equal(buf[0], 0);
	assert_int_equal(buf[4999], 0);
	assert_int_equal(buf[5000], 'x');
	assert_int_equal(read_at(f, buf, 100, 13990), 10);
	assert_int_equal(read_at(f, buf, 100, 14000), 0);
	/* Cut in the middle of a page and grown again: zeros, not what was there. */
	assert_int_equal(vfs_truncate(T, f->inode, 6000), 0);
	assert_int_equal(vfs_truncate(T, f->inode, 8000), 0);
	assert_int_equal(read_at(f, buf, 3000, 5500), 2500);
	assert_int_equal(buf[499], 'x');
	assert_int_equal(buf[500], 0);
	assert_int_equal(
	    f->ops->fallocate(f, ABI_FALLOC_FL_PUNCH_HOLE | ABI_FALLOC_FL_KEEP_SIZE, 5100, 300), 0);
	assert_int_equal(read_at(f, buf, 1000, 5000), 1000);
	assert_int_equal(buf[99], 'x');
	assert_int_equal(buf[100], 0);
	assert_int_equal(buf[399], 0);
	assert_int_equal(buf[400], 'x');
	assert_int_equal(f->ops->fallocate(f, 0, 0, 20000), 0);
	assert_int_equal(f->inode->size, 20000);
}

static void content_in_pages(void **state)
{
	struct file *f = fake_open(T, "f", ABI_O_CREAT | ABI_O_RDWR);

	(void)state;
	check_content(f);
	file_put(f);
}

/* When the heap has its share the pages of small files are in a memfd that all have together. */
static void content_in_the_store(void **state)
{
	struct tmpfs_store *store = F->kernel.vfs->pages;
	struct file *f[3];
	uint32_t used;
	char buf[9000];

	(void)state;
	store->heap_limit = 2;
	for (int i = 0; i < 3; i++) {
		char name[2] = {(char)('a' + i), 0};

		f[i] = fake_open(T, name, ABI_O_CREAT | ABI_O_RDWR);
		check_content(f[i]);
	}
	assert_int_equal(atomic_load(&store->heap_count), 2);
	assert_true(store->used > 0);
	assert_int_equal(atomic_load(&F->kernel.vfs->content_fds), 0);
	/* Into a memfd of its own. */
	memset(buf, 'y', sizeof(buf));
	assert_int_equal(write_at(f[2], buf, 9000, 100), 9000);
	assert_true(f[2]->ops->mmap_fd(f[2], ABI_PROT_READ, ABI_MAP_PRIVATE) >= 0);
	memset(buf, 0, sizeof(buf));
	assert_int_equal(read_at(f[2], buf, 9000, 100), 9000);
	assert_int_equal(buf[0], 'y');
	assert_int_equal(buf[8999], 'y');
	/* What is freed is used again, and empty. */
	used = store->used;
	assert_int_equal(vfs_truncate(T, f[1]->inode, 0), 0);
	assert_int_equal(write_at(f[1], "z", 1, 4000), 1);
	assert_int_equal(read_at(f[1], buf, 4001, 0), 4001);
	assert_int_equal(buf[3999], 0);
	assert_int_equal(buf[4000], 'z');
	assert_int_equal(store->used, used);
	for (int i = 0; i < 3; i++)
		file_put(f[i]);
}

static void content_in_a_memfd(void **state)
{
	struct file *f = fake_open(T, "f", ABI_O_CREAT | ABI_O_RDWR);
	int fd;

	(void)state;
	assert_int_equal(write_at(f, "early", 5, 0), 5);
	fd = f->ops->mmap_fd(f, ABI_PROT_READ | ABI_PROT_WRITE, ABI_MAP_SHARED);
	assert_true(fd >= 0);
	{
		char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		char buf[5];

		assert_ptr_not_equal(p, MAP_FAILED);
		assert_memory_equal(p, "early", 5);
		memcpy(p, "later", 5);
		assert_int_equal(read_at(f, buf, 5, 0), 5);
		assert_memory_equal(buf, "later", 5);
		munmap(p, 4096);
	}
	assert_int_equal(vfs_truncate(T, f->inode, 0), 0);
	check_content(f);
	file_put(f);
	assert_int_equal(atomic_load(&F->kernel.vfs->content_fds), 1);
	assert_int_equal(vfs_unlink(T, ABI_AT_FDCWD, "f"), 0);
	assert_int_equal(atomic_load(&F->kernel.vfs->content_fds), 0);
}

static void holes(void **state)
{
	struct file *f = fake_open(T, "f", ABI_O_CREAT | ABI_O_RDWR);

	(void)state;
	assert_int_equal(write_at(f, "x", 1, 100000), 1);
	assert_int_equal(blocks_of(f), 8);
	assert_int_equal(vfs_seek(f, 0, ABI_SEEK_DATA), 98304);
	assert_int_equal(vfs_seek(f, 0, ABI_SEEK_HOLE), 0);
	assert_int_equal(vfs_seek(f, 98304, ABI_SEEK_HOLE), 100001);
	assert_int_equal(vfs_seek(f, 100001, ABI_SEEK_DATA), -ENXIO);
	/* Far away: no array of pages as long as that. */
	assert_int_equal(write_at(f, "x", 1, 1ll << 40), 1);
	assert_int_equal(vfs_truncate(T, f->inode, 1ll << 50), 0);
	file_put(f);
}

static void the_size_limit_holds(void **state)
{
	char block[65536];
	struct abi_statfs s;
	struct file *f = fake_open(T, "f", ABI_O_CREAT | ABI_O_RDWR), *g;
	int64_t total = 0;
	ssize_t n;

	(void)state;
	memset(block, 1, sizeof(block));
	g = fake_open(T, "g", ABI_O_CREAT | ABI_O_RDWR);
	assert_int_equal(fake_write(g, block, 500000 > sizeof(block) ? sizeof(block) : 0), 65536);
	while ((n = fake_write(f, block, sizeof(block))) > 0)
		total += n;
	assert_int_equal(n, -ENOSPC);
	assert_true(total >= (1 << 20) && total <= (2 << 20) - 65536);
	assert_int_equal(F->root.dentry->sb->ops->statfs(F->root.dentry->sb, &s), 0);
	assert_int_equal(s.blocks, 512);
	assert_true(s.bfree < 16);
	file_put(f);
	assert_int_equal(vfs_unlink(T, ABI_AT_FDCWD, "f"), 0);
	assert_int_equal(fake_write(g, block, sizeof(block)), 65536);
	file_put(g);
}

static void the_size_limit_holds_for_fallocate(void **state)
{
	const int64_t most = 1536 << 10, half = 768 << 10;
	struct file *a = fake_open(T, "a", ABI_O_CREAT | ABI_O_RDWR);
	struct file *b = fake_open(T, "b", ABI_O_CREAT | ABI_O_RDWR);
	struct stat st;
	int fd;

	(void)state;
	assert_int_equal(a->ops->fallocate(a, 0, 0, most), 0);
	/* What is there already needs no room. */
	assert_int_equal(a->ops->fallocate(a, 0, 0, most), 0);
	fd = b->ops->mmap_fd(b, ABI_PROT_READ, ABI_MAP_PRIVATE);
	assert_true(fd >= 0);
	assert_int_equal(b->ops->fallocate(b, 0, 0, half), -ENOSPC);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_blocks, 0);
	assert_int_equal(b->ops->fallocate(b, 0, half, half / 2), 0);
	assert_int_equal(b->ops->fallocate(b, 0, half / 2, half), -ENOSPC);
	assert_int_equal(vfs_truncate(T, a->inode, 0), 0);
	assert_int_equal(b->ops->fallocate(b, 0, half / 2, half), 0);
	file_put(a);
	file_put(b);
}

static void the_inode_limit_holds(void **state)
{
	char name[16];
	int err = 0, made = 0;

	(void)state;
	while (!err && made < 2000) {
		snprintf(name, sizeof(name), "d%d", made++);
		err = vfs_mkdir(T, ABI_AT_FDCWD, name, 0755);
	}
	assert_int_equal(err, -ENOSPC);
	assert_int_equal(made, 1000);
	assert_int_equal(vfs_rmdir(T, ABI_AT_FDCWD, "d0"), 0);
	assert_int_equal(vfs_mkdir(T, ABI_AT_FDCWD, "d0", 0755), 0);
}

/* ---- directories ---- */

struct listing {
	struct dir_emit emit;
	unsigned count, room;
	char last[VFS_NAME_MAX + 1];
};

static bool take(struct dir_emit *e, const char *name, uint64_t ino, uint8_t dtype, int64_t next)
{
	struct listing *l = container_of(e, struct listing, emit);

	(void)ino, (void)dtype, (void)next;
	if (l->count == l->room)
		return false;
	snprintf(l->last, sizeof(l->last), "%s", name);
	l->count++;
	return true;
}

static unsigned list_some(struct file *dir, unsigned room, char *ret_last)
{
	struct listing l = {.emit = {take}, .room = room};

	mutex_lock(&dir->lock);
	assert_int_equal(dir->ops->readdir(dir, &l.emit), 0);
	mutex_unlock(&dir->lock);
	if (ret_last)
		strcpy(ret_last, l.last);
	return l.count;
}

static void listing_while_names_go(void **state)
{
	char name[VFS_NAME_MAX + 1], last[VFS_NAME_MAX + 1];
	struct file *dir;
	unsigned seen = 2;

	(void)state;
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		fake_make(T, name, "");
	}
	dir = fake_open(T, "/", ABI_O_DIRECTORY);
	assert_int_equal(list_some(dir, 2, NULL), 2);
	/* Each is seen once although the one just seen is removed, as rm -r does. */
	while (list_some(dir, 1, last)) {
		seen++;
		assert_int_equal(vfs_unlink(T, ABI_AT_FDCWD, last), 0);
		if (strcmp(last, "again"))
			fake_make(T, "again", "");
		if (seen > 400)
			break;
	}
	assert_int_equal(seen, 303);
	assert_int_equal(vfs_seek(dir, 0, ABI_SEEK_SET), 0);
	assert_int_equal(list_some(dir, 100, last), 2);
	file_put(dir);
}

static void link_counts(void **state)
{
	struct file *f;

	(void)state;
	assert_int_equal(vfs_mkdir(T, ABI_AT_FDCWD, "d", 0755), 0);
	assert_int_equal(fake_stat(T, "/").nlink, 3);
	fake_make(T, "f", "x");
	assert_int_equal(vfs_link(T, ABI_AT_FDCWD, "f", ABI_AT_FDCWD, "d/g", 0), 0);
	assert_int_equal(fake_stat(T, "f").nlink, 2);
	f = fake_open(T, "f", 0);
	assert_int_equal(vfs_unlink(T, ABI_AT_FDCWD, "f"), 0);
	assert_int_equal(vfs_rmdir(T, ABI_AT_FDCWD, "d"), -ENOTEMPTY);
	assert_int_equal(vfs_unlink(T, ABI_AT_FDCWD, "d/g"), 0);
	assert_int_equal(f->inode->nlink, 0);
	file_put(f);
	assert_int_equal(vfs_rmdir(T, ABI_AT_FDCWD, "d"), 0);
	assert_int_equal(fake_stat(T, "/").nlink, 2);
}

static void nothing_grows_in_a_removed_directory(void **state)
{
	struct file *d;
	struct file *f;
	int fd;

	(void)state;
	assert_int_equal(vfs_mkdir(T, ABI_AT_FDCWD, "d", 0755), 0);
	d = fake_open(T, "d", ABI_O_DIRECTORY);
	fd = fd_install(T, d, 0, false);
	assert_int_equal(vfs_rmdir(T, ABI_AT_FDCWD, "d"), 0);
	assert_int_equal(vfs_mkdir(T, fd, "x", 0755), -ENOENT);
	assert_int_equal(vfs_open(T, fd, "x", ABI_O_CREAT, 0644, &f), -ENOENT);
	assert_int_equal(vfs_open(T, fd, "..", ABI_O_DIRECTORY, 0, &f), 0);
	file_put(f);
}

static void nameless_files(void **state)
{
	struct file *f;

	(void)state;
	assert_int_equal(vfs_open(T, ABI_AT_FDCWD, "/", ABI_O_TMPFILE | ABI_O_RDWR, 0600, &f), 0);
	assert_int_equal(f->inode->nlink, 0);
	assert_int_equal(fake_write(f, "x", 1), 1);
	file_put(f);
}

/* ---- attributes ---- */

static void extended_attributes(void **state)
{
	struct inode *i = F->root.dentry->inode;
	char buf[64];

	(void)state;
	mutex_lock(&i->lock);
	assert_int_equal(i->ops->setxattr(i, "user.a", "1", 1, 0), 0);
	assert_int_equal(i->ops->setxattr(i, "user.a", "22", 2, ABI_XATTR_CREATE), -EEXIST);
	assert_int_equal(i->ops->setxattr(i, "user.b", "3", 1, ABI_XATTR_REPLACE), -ENODATA);
	assert_int_equal(i->ops->setxattr(i, "user.a", "22", 2, ABI_XATTR_REPLACE), 0);
	assert_int_equal(i->ops->setxattr(i, "user.b", "", 0, 0), 0);
	mutex_unlock(&i->lock);
	assert_int_equal(i->ops->getxattr(i, "user.a", NULL, 0), 2);
	assert_int_equal(i->ops->getxattr(i, "user.a", buf, 1), -ERANGE);
	assert_int_equal(i->ops->getxattr(i, "user.a", buf, 2), 2);
	assert_int_equal(i->ops->getxattr(i, "user.c", buf, 2), -ENODATA);
	assert_int_equal(i->ops->listxattr(i, buf, sizeof(buf)), 14);
	mutex_lock(&i->lock);
	assert_int_equal(i->ops->removexattr(i, "user.a"), 0);
	assert_int_equal(i->ops->removexattr(i, "user.a"), -ENODATA);
	mutex_unlock(&i->lock);
}

static void extended_attributes_are_bounded(void **state)
{
	struct inode *i = F->root.dentry->inode;
	char name[32], value[60000] = {0};
	int err = 0, n = 0;

	(void)state;
	mutex_lock(&i->lock);
	for (; !err && n < 100; n++) {
		snprintf(name, sizeof(name), "user.%d", n);
		err = i->ops->setxattr(i, name, value, sizeof(value), 0);
	}
	mutex_unlock(&i->lock);
	assert_int_equal(err, -ENOSPC);
	assert_true(n <= 4);
}

static void seals(void **state)
{
	struct file *f, *plain = fake_open(T, "f", ABI_O_CREAT | ABI_O_RDWR);
	int fd;

	(void)state;
	assert_int_equal(
	    tmpfs_new_file(&F->kernel, "/memfd:x (deleted)", ABI_O_RDWR, 0777, 0, T->cred, &f), 0);
	assert_int_equal(fake_write(f, "12345678", 8), 8);
	assert_int_equal(tmpfs_add_seals(f, ABI_F_SEAL_SHRINK), 0);
	assert_int_equal(vfs_truncate(T, f->inode, 4), -EPERM);
	assert_int_equal(vfs_truncate(T, f->inode, 16), 0);
	assert_int_equal(tmpfs_add_seals(f, ABI_F_SEAL_GROW), 0);
	assert_int_equal(vfs_truncate(T, f->inode, 32), -EPERM);
	assert_int_equal(write_at(f, "x", 1, 16), -EPERM);
	assert_int_equal(write_at(f, "x", 1, 15), 1);
	/* A writable mapping keeps F_SEAL_WRITE away. */
	fd = f->ops->mmap_fd(f, ABI_PROT_READ | ABI_PROT_WRITE, ABI_MAP_SHARED);
	assert_true(fd >= 0);
	{
		char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

		assert_int_equal(tmpfs_add_seals(f, ABI_F_SEAL_WRITE), -EBUSY);
		munmap(p, 4096);
	}
	assert_int_equal(tmpfs_add_seals(f, ABI_F_SEAL_WRITE | ABI_F_SEAL_SEAL), 0);
	assert_int_equal(write_at(f, "x", 1, 0), -EPERM);
	assert_int_equal(tmpfs_add_seals(f, ABI_F_SEAL_GROW), -EPERM);
	assert_int_equal(tmpfs_get_seals(f), 0xf);
	assert_int_equal(f->ops->mmap_fd(f, ABI_PROT_WRITE, ABI_MAP_SHARED), -EPERM);
	file_put(f);
	file_put(plain);
}

/* Who may only read gets no descriptor that can write. */
static void mappings_of_readers(void **state)
{
	struct file *f;
	struct iattr a = {.valid = ATTR_MODE, .mode = 0444};
	struct cred *c;

	(void)state;
	fake_make(T, "f", "x");
	f = fake_open(T, "f", 0);
	assert_int_equal(vfs_setattr(&f->path, T->cred, &a), 0);
	file_put(f);
	c = cred_dup(T->cred);
	c->fsuid = 1000;
	c->cap_effective = 0;
	cred_put(T->cred);
	T->cred = c;
	f = fake_open(T, "f", 0);
	assert_int_equal(f->ops->mmap_fd(f, ABI_PROT_READ, ABI_MAP_SHARED), -EACCES);
	assert_int_equal(f->ops->mmap_fd(f, ABI_PROT_READ, ABI_MAP_PRIVATE), -EACCES);
	file_put(f);
}

static void mappings_of_readers_with_proc(void **state)
{
	int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC), before = F->kernel.host_proc_fd;
	struct file *f;
	int fd;

	(void)state;
	F->kernel.host_proc_fd = proc;
	fake_make(T, "g", "x");
	f = fake_open(T, "g", 0);
	fd = f->ops->mmap_fd(f, ABI_PROT_READ, ABI_MAP_PRIVATE);
	assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	fd = f->ops->mmap_fd(f, ABI_PROT_READ, ABI_MAP_SHARED);
	assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	file_put(f);
	F->kernel.host_proc_fd = before;
	close(proc);
}

static void options(void **state)
{
	struct super_block *sb;
	struct strbuf out = STRBUF_INIT;

	(void)state;
	assert_int_equal(tmpfs_type.mount(&F->kernel, "x", 0, "size=x", &sb), -EINVAL);
	assert_int_equal(tmpfs_type.mount(&F->kernel, "x", 0, "what=1", &sb), -EINVAL);
	assert_int_equal(tmpfs_type.mount(&F->kernel, "x", 0, "mode=9", &sb), -EINVAL);
	assert_int_equal(tmpfs_type.mount(&F->kernel, "x", 0, "size=99999999999999999999k", &sb),
			 -EINVAL);
	assert_int_equal(tmpfs_type.mount(&F->kernel, "x", 0, "size=64m,mode=750,uid=3,gid=4", &sb),
			 0);
	assert_int_equal(dentry_inode(sb->root)->mode, ABI_S_IFDIR | 0750);
	assert_int_equal(dentry_inode(sb->root)->uid, 3);
	sb->ops->show_options(sb, &out);
	assert_string_equal(strbuf_str(&out), "size=65536k,mode=750,uid=3,gid=4");
	strbuf_free(&out);
	super_put(sb);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(content_in_pages, setup, teardown),
	    cmocka_unit_test_setup_teardown(content_in_the_store, setup, teardown),
	    cmocka_unit_test_setup_teardown(content_in_a_memfd, setup, teardown),
	    cmocka_unit_test_setup_teardown(holes, setup, teardown),
	    cmocka_unit_test_setup_teardown(the_size_limit_holds, setup, teardown),
	    cmocka_unit_test_setup_teardown(the_size_limit_holds_for_fallocate, setup, teardown),
	    cmocka_unit_test_setup_teardown(the_inode_limit_holds, setup, teardown),
	    cmocka_unit_test_setup_teardown(listing_while_names_go, setup, teardown),
	    cmocka_unit_test_setup_teardown(link_counts, setup, teardown),
	    cmocka_unit_test_setup_teardown(nothing_grows_in_a_removed_directory, setup, teardown),
	    cmocka_unit_test_setup_teardown(nameless_files, setup, teardown),
	    cmocka_unit_test_setup_teardown(extended_attributes, setup, teardown),
	    cmocka_unit_test_setup_teardown(extended_attributes_are_bounded, setup, teardown),
	    cmocka_unit_test_setup_teardown(seals, setup, teardown),
	    cmocka_unit_test_setup_teardown(mappings_of_readers, setup, teardown),
	    cmocka_unit_test_setup_teardown(mappings_of_readers_with_proc, setup, teardown),
	    cmocka_unit_test_setup_teardown(options, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
