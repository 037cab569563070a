/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gofer file system on a gofer that runs on threads of this process, over a temporary
 * directory: index 0 cached, index 1 shared.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "abi/fcntl.h"
#include "abi/mman.h"
#include "base/crash.h"
#include "base/fd.h"
#include "base/log.h"
#include "fsgofer/server.h"
#include "sentry/fs/gofer/client.h"
#include "sentry/fs/gofer/gofer_fs.h"
#include "sentry/fs/gofer/internal.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/stats.h"
#include "sentry/mm/usermem.h"
#include "sentry/vfs/vfs.h"
#include "sentry/vfs/vfs_internal.h"

#define CONNECTIONS 2

static struct fixture {
	char tmp[64];
	int root_fd, proc_fd;
	struct gofer_root roots[2];
	struct gofer_server server;
	struct gofer_conn conns[CONNECTIONS];
	pthread_t threads[CONNECTIONS];
	int ends[CONNECTIONS];
	struct kernel kernel;
	struct gofer_client *client;
	struct super_block *sb;
	struct path root;
	struct cred *cred;
} f;

static void *serve(void *arg)
{
	struct gofer_conn *c = arg;

	gofer_serve(c);
	return NULL;
}

static void make_file(const char *name, const char *text)
{
	int fd = openat(f.root_fd, name, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void start_gofer(void)
{
	assert_non_null(mkdtemp(strcpy(f.tmp, "/tmp/test_gofer.XXXXXX")));
	f.root_fd = open(f.tmp, O_PATH | O_DIRECTORY | O_CLOEXEC);
	f.proc_fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	f.roots[0] = f.roots[1] = (struct gofer_root){.fd = f.root_fd};
	assert_int_equal(gofer_server_init(&f.server, f.roots, 2, f.proc_fd, 200), 0);
	for (int i = 0; i < CONNECTIONS; i++) {
		int pair[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
		f.ends[i] = pair[0];
		assert_int_equal(gofer_conn_init(&f.conns[i], &f.server, pair[1]), 0);
		pthread_create(&f.threads[i], NULL, serve, &f.conns[i]);
	}
}

static void set_up(bool shared)
{
	start_gofer();
	memset(&f.kernel, 0, sizeof(f.kernel));
	f.kernel.vfs = vfs_new(&f.kernel);
	f.client = gofer_client_new(&f.kernel, f.ends, CONNECTIONS);
	assert_int_equal(gofer_fs_mount(&f.kernel, f.client, shared, shared, &f.sb), 0);
	assert_int_equal(vfs_mount_root(&f.kernel, f.sb, 0, "none", &f.root), 0);
	super_put(f.sb);
	f.cred = cred_new();
}

static int set_up_cached(void **state)
{
	(void)state;
	set_up(false);
	return 0;
}

static int set_up_shared(void **state)
{
	(void)state;
	set_up(true);
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

/* Once its sockets have hung up. */
static int stop_gofer(void)
{
	for (int i = 0; i < CONNECTIONS; i++) {
		pthread_join(f.threads[i], NULL);
		close(f.conns[i].sock);
		gofer_conn_destroy(&f.conns[i]);
	}
	gofer_server_destroy(&f.server);
	close(f.root_fd);
	close(f.proc_fd);
	return nftw(f.tmp, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static int tear_down(void **state)
{
	(void)state;
	cred_put(f.cred);
	path_put(&f.root);
	vfs_destroy(f.kernel.vfs);
	assert_int_equal(object_live(OBJ_INODE), 0);
	assert_int_equal(object_live(OBJ_DENTRY), 0);
	assert_int_equal(object_live(OBJ_FILE), 0);
	/* Nothing is left in the gofer either. */
	if (!atomic_load(&f.client->broken)) {
		gofer_clunk_now(f.client);
		assert_int_equal(handles_used_count(&f.server.handles), 0);
	}
	gofer_client_destroy(f.client);
	return stop_gofer();
}

/* ---- helpers ---- */

static int find(const char *name, struct path *ret)
{
	return vfs_lookup_at_root(&f.kernel, &f.root, name, false, ret);
}

static struct path found(const char *name)
{
	struct path p;

	assert_int_equal(find(name, &p), 0);
	return p;
}

static struct abi_stat stat_of(const struct path *p)
{
	struct abi_stat st;

	assert_int_equal(vfs_stat(p, &st), 0);
	return st;
}

static struct file *open_path(const struct path *p, uint32_t flags)
{
	struct file *file = file_new(p, flags, f.cred);

	assert_int_equal(file->inode->ops->open(file->inode, file), 0);
	return file;
}

static ssize_t read_at(struct file *file, char *buf, size_t size, int64_t pos)
{
	struct uio u;

	uio_init_kernel(&u, buf, size);
	return file->ops->read(file, &u, &pos);
}

static ssize_t write_text(struct file *file, const char *text, int64_t pos)
{
	struct uio u;

	uio_init_kernel(&u, (char *)(uintptr_t)text, strlen(text));
	return file->ops->write(file, &u, &pos);
}

static unsigned long long requests(void)
{
	return gofer_request_count(f.client);
}

static struct inode *root_inode(void)
{
	return dentry_inode(f.root.dentry);
}

/* A directory operation on the root, with its lock held. */
#define LOCKED(expr)                                                                               \
	({                                                                                         \
		int ret_;                                                                          \
		mutex_lock(&root_inode()->lock);                                                   \
		ret_ = (expr);                                                                     \
		mutex_unlock(&root_inode()->lock);                                                 \
		ret_;                                                                              \
	})

static struct inode *created(const char *name)
{
	struct inode *i = NULL;

	assert_int_equal(LOCKED(root_inode()->ops->create(root_inode(), name, 0644, f.cred, &i)),
			 0);
	dcache_invalidate(root_inode(), name);
	return i;
}

static int unlinked(const char *name, struct inode *victim)
{
	int err = LOCKED(root_inode()->ops->unlink(root_inode(), name, victim));

	dcache_invalidate(root_inode(), name);
	return err;
}

/* ---- cached ---- */

static void finds_and_reads(void **state)
{
	unsigned long long before;
	struct abi_stat st;
	struct path p, q;
	struct file *file;
	char buf[32] = "";

	(void)state;
	mkdirat(f.root_fd, "dir", 0755);
	make_file("dir/file", "hello");
	p = found("/dir/file");
	st = stat_of(&p);
	assert_int_equal(st.size, 5);
	assert_int_equal(st.mode, S_IFREG | 0644);
	file = open_path(&p, ABI_O_RDONLY);
	assert_int_equal(read_at(file, buf, 32, 1), 4);
	assert_string_equal(buf, "ello");
	file_put(file);

	/* All of it again costs no message. */
	before = requests();
	q = found("/dir/file");
	assert_ptr_equal(q.dentry, p.dentry);
	stat_of(&q);
	file = open_path(&q, ABI_O_RDONLY);
	assert_int_equal(read_at(file, buf, 32, 0), 5);
	file_put(file);
	assert_int_equal(find("/dir/none", &q), -ENOENT);
	assert_int_equal(requests(), before + 1);
	assert_int_equal(find("/dir/none", &q), -ENOENT);
	assert_int_equal(requests(), before + 1);
	path_put(&p);
	path_put(&p); /* q's */
}

static void creates_and_writes(void **state)
{
	struct inode *i = created("new");
	struct path p = found("/new");
	unsigned long long before = requests();
	struct stat host;
	struct file *file;
	struct abi_stat st;

	(void)state;
	assert_ptr_equal(dentry_inode(p.dentry), i);
	file = open_path(&p, ABI_O_RDWR);
	assert_int_equal(write_text(file, "0123456789", 0), 10);
	assert_int_equal(write_text(file, "abc", 20), 3);
	st = stat_of(&p);
	assert_int_equal(st.size, 23);
	assert_int_equal(requests(), before);
	assert_int_equal(fstatat(f.root_fd, "new", &host, 0), 0);
	assert_int_equal(host.st_size, 23);
	assert_int_equal(st.mtime, host.st_mtim.tv_sec);
	assert_int_equal(st.mtime_nsec, host.st_mtim.tv_nsec);
	assert_int_equal(st.blocks, host.st_blocks);

	atomic_fetch_or(&file->flags, ABI_O_APPEND);
	assert_int_equal(write_text(file, "end", 5), 3);
	assert_int_equal(stat_of(&p).size, 26);

	struct iattr a = {.valid = ATTR_SIZE | ATTR_MTIME | ATTR_TOUCH, .size = 4};
	mutex_lock(&i->lock);
	assert_int_equal(i->ops->setattr(i, &a), 0);
	mutex_unlock(&i->lock);
	assert_int_equal(stat_of(&p).size, 4);
	assert_int_equal(requests(), before);
	file_put(file);
	path_put(&p);
	inode_put(i);
}

static void sets_attributes(void **state)
{
	struct inode *i = created("new");
	struct iattr a = {
	    .valid = ATTR_MODE | ATTR_MTIME, .mode = 0600, .mtime = {.sec = 1000, .nsec = 7}};
	struct stat host;

	(void)state;
	mutex_lock(&i->lock);
	assert_int_equal(i->ops->setattr(i, &a), 0);
	mutex_unlock(&i->lock);
	assert_int_equal(i->mode, S_IFREG | 0600);
	assert_int_equal(i->mtime.sec, 1000);
	assert_int_equal(fstatat(f.root_fd, "new", &host, 0), 0);
	assert_int_equal(host.st_mode, S_IFREG | 0600);
	assert_int_equal(host.st_mtim.tv_nsec, 7);
	inode_put(i);
}

static void hard_links_are_one_inode(void **state)
{
	struct inode *i = created("a");
	struct path p, q;

	(void)state;
	assert_int_equal(LOCKED(root_inode()->ops->link(root_inode(), "b", i)), 0);
	p = found("/a");
	q = found("/b");
	assert_ptr_equal(dentry_inode(p.dentry), dentry_inode(q.dentry));
	assert_int_equal(stat_of(&q).nlink, 2);
	path_put(&p);
	path_put(&q);
	assert_int_equal(unlinked("a", i), 0);
	assert_int_equal(find("/a", &p), -ENOENT);
	q = found("/b");
	assert_int_equal(stat_of(&q).nlink, 1);
	path_put(&q);
	inode_put(i);
}

static void unlinked_file_lives_on(void **state)
{
	struct inode *i = created("gone");
	struct path p = found("/gone");
	struct file *file = open_path(&p, ABI_O_RDWR);
	char buf[8] = "";

	(void)state;
	assert_int_equal(unlinked("gone", i), 0);
	assert_int_equal(write_text(file, "still", 0), 5);
	assert_int_equal(read_at(file, buf, 8, 0), 5);
	assert_string_equal(buf, "still");
	assert_int_equal(stat_of(&p).nlink, 0);
	file_put(file);
	path_put(&p);
	inode_put(i);
}

static void renames(void **state)
{
	struct inode *dir = root_inode(), *a = created("a"), *b = created("b");
	struct stat host;

	(void)state;
	assert_int_equal(LOCKED(dir->ops->rename(dir, "a", a, dir, "b", b, 0)), 0);
	assert_int_equal(fstatat(f.root_fd, "a", &host, 0), -1);
	assert_int_equal(b->nlink, 0);
	assert_int_equal(
	    LOCKED(dir->ops->rename(dir, "b", a, dir, "c", NULL, ABI_RENAME_NOREPLACE)), 0);
	assert_int_equal(fstatat(f.root_fd, "c", &host, 0), 0);
	inode_put(a);
	inode_put(b);
}

static void makes_other_types(void **state)
{
	struct inode *dir = root_inode(), *i;
	char *target;

	(void)state;
	assert_int_equal(LOCKED(dir->ops->mkdir(dir, "dir", 0750, f.cred, &i)), 0);
	assert_int_equal(i->mode, S_IFDIR | 0750);
	assert_int_equal(dir->nlink, 3);
	assert_int_equal(LOCKED(dir->ops->rmdir(dir, "dir", i)), 0);
	assert_int_equal(dir->nlink, 2);
	assert_int_equal(i->nlink, 0);
	inode_put(i);
	assert_int_equal(LOCKED(dir->ops->mknod(dir, "fifo", S_IFIFO | 0600, 0, f.cred, &i)), 0);
	assert_null(i->ops->open);
	inode_put(i);
	assert_int_equal(LOCKED(dir->ops->symlink(dir, "link", "to/where", f.cred, &i)), 0);
	for (int n = 0; n < 2; n++) {
		assert_int_equal(i->ops->readlink(i, NULL, &target), 0);
		assert_string_equal(target, "to/where");
		free(target);
	}
	inode_put(i);
}

/* Devices are the sentry's own; the host sees nothing of them. */
static void makes_devices(void **state)
{
	struct inode *dir = root_inode(), *i, *file;
	struct path p;
	struct stat host;

	(void)state;
	assert_int_equal(
	    LOCKED(dir->ops->mknod(dir, "null", S_IFCHR | 0600, abi_makedev(1, 3), f.cred, &i)), 0);
	assert_int_equal(i->rdev, abi_makedev(1, 3));
	struct iattr a = {.valid = ATTR_MODE | ATTR_UID, .mode = 0666, .uid = 7};
	mutex_lock(&i->lock);
	assert_int_equal(i->ops->setattr(i, &a), 0);
	mutex_unlock(&i->lock);
	inode_put(i);
	assert_int_equal(fstatat(f.root_fd, "null", &host, 0), -1);
	p = found("/null");
	assert_int_equal(stat_of(&p).mode, S_IFCHR | 0666);
	assert_int_equal(stat_of(&p).uid, 7);
	path_put(&p);

	file = created("file");
	p = found("/null");
	i = inode_get(dentry_inode(p.dentry));
	path_put(&p);
	assert_int_equal(LOCKED(dir->ops->link(dir, "again", i)), -EPERM);
	assert_int_equal(LOCKED(dir->ops->rename(dir, "null", i, dir, "file", file, 0)), 0);
	dcache_invalidate(dir, "null");
	dcache_invalidate(dir, "file");
	assert_int_equal(find("/null", &p), -ENOENT);
	p = found("/file");
	assert_ptr_equal(dentry_inode(p.dentry), i);
	path_put(&p);
	inode_put(file);
	file = created("other");
	assert_int_equal(LOCKED(dir->ops->rename(dir, "other", file, dir, "file", i, 0)), 0);
	dcache_invalidate(dir, "other");
	dcache_invalidate(dir, "file");
	assert_int_equal(i->nlink, 0);
	p = found("/file");
	assert_ptr_equal(dentry_inode(p.dentry), file);
	path_put(&p);
	inode_put(file);
	inode_put(i);
	assert_int_equal(
	    LOCKED(dir->ops->mknod(dir, "left", S_IFBLK | 0600, abi_makedev(8, 0), f.cred, &i)), 0);
	inode_put(i);
}

struct seen {
	struct dir_emit e;
	uint8_t count[700];
	int room; /* entries until it is full */
	int64_t last;
};

static bool note(struct dir_emit *e, const char *name, uint64_t ino, uint8_t type, int64_t next)
{
	struct seen *s = (struct seen *)e;

	if (s->room == 0)
		return false;
	s->room--;
	s->last = next;
	if (name[0] == '.')
		return true;
	assert_true(ino != 0);
	assert_int_equal(type, 8 /* DT_REG */);
	s->count[strtoul(name + 1, NULL, 10)]++;
	return true;
}

static bool ignore(struct dir_emit *e, const char *name, uint64_t ino, uint8_t type, int64_t next)
{
	(void)name;
	(void)ino;
	(void)type;
	(void)next;
	return ((struct seen *)e)->room-- > 0;
}

static void make_many(int count)
{
	assert_int_equal(mkdirat(f.root_fd, "many", 0755), 0);
	for (int i = 0; i < count; i++) {
		char name[200];

		/* Long names, so that one message doesn't hold them. */
		snprintf(name, sizeof(name), "many/f%d_%0150d", i, 0);
		make_file(name, "");
	}
}

/* Reads a directory to its end, `room` entries a call. */
static void read_all(struct file *file, struct seen *s, int room)
{
	int64_t before;

	do {
		before = file->pos;
		s->room = room;
		mutex_lock(&file->lock);
		assert_int_equal(file->ops->readdir(file, &s->e), 0);
		mutex_unlock(&file->lock);
	} while (file->pos != before);
}

static void lists(void **state)
{
	struct seen s = {.e = {note}};
	struct file *file;
	struct path p;
	int64_t middle;

	(void)state;
	make_many(700);
	p = found("/many");
	file = open_path(&p, ABI_O_RDONLY | ABI_O_DIRECTORY);
	s.room = 100;
	assert_int_equal(file->ops->readdir(file, &s.e), 0);
	middle = file->pos;
	assert_int_equal(middle, s.last);
	read_all(file, &s, 37);
	for (int i = 0; i < 700; i++)
		assert_int_equal(s.count[i], 1);

	/* seekdir to a position of the past, and rewinddir */
	memset(s.count, 0, sizeof(s.count));
	file->pos = middle;
	read_all(file, &s, 1000);
	int count = 0;
	for (int i = 0; i < 700; i++)
		count += s.count[i];
	assert_int_equal(count, 700 - 98); /* 100 with "." and ".." */
	memset(s.count, 0, sizeof(s.count));
	file->pos = 0;
	read_all(file, &s, 1);
	for (int i = 0; i < 700; i++)
		assert_int_equal(s.count[i], 1);
	file_put(file);
	path_put(&p);
}

static void small_listing_is_kept(void **state)
{
	struct seen s = {.e = {note}};
	unsigned long long before;
	struct inode *i, *j;

	(void)state;
	i = created("f1");
	for (int round = 0; round < 3; round++) {
		struct file *file = open_path(&f.root, ABI_O_RDONLY | ABI_O_DIRECTORY);

		before = requests();
		memset(s.count, 0, sizeof(s.count));
		read_all(file, &s, 10);
		assert_int_equal(s.count[1], 1);
		assert_int_equal(s.count[2], round == 2);
		assert_int_equal(requests(), before + (round != 1));
		file_put(file);
		if (round == 1) {
			j = created("f2");
			inode_put(j);
		}
	}
	inode_put(i);
}

/* A tree walker's pattern costs a message for many entries, and stays right. */
static void lookups_go_ahead(void **state)
{
	struct seen s = {.e = {note}};
	unsigned long long before;
	struct file *file;
	struct path p, q;
	char name[32];

	(void)state;
	assert_int_equal(mkdirat(f.root_fd, "d", 0755), 0);
	for (int n = 0; n < 150; n++) {
		snprintf(name, sizeof(name), "d/f%d", n);
		make_file(name, n % 2 ? "odd" : "");
	}
	p = found("/d");
	file = open_path(&p, ABI_O_RDONLY | ABI_O_DIRECTORY);
	read_all(file, &s, 1000);
	before = requests();
	for (int n = 0; n < 150; n++) {
		snprintf(name, sizeof(name), "/d/f%d", n);
		q = found(name);
		assert_int_equal(stat_of(&q).size, n % 2 ? 3 : 0);
		path_put(&q);
	}
	/* Even in another order than the directory's. */
	assert_in_range(requests() - before, 3, 30);
	before = requests();
	assert_int_equal(find("/d/absent", &q), -ENOENT);
	assert_int_equal(requests(), before);
	file_put(file);
	path_put(&p);
}

/* Names that come from elsewhere than a listing: after some of them the directory is listed. */
static void lists_what_nobody_listed(void **state)
{
	unsigned long long before;
	struct path q;
	char name[32];

	(void)state;
	assert_int_equal(mkdirat(f.root_fd, "d", 0755), 0);
	for (int n = 0; n < 150; n++) {
		snprintf(name, sizeof(name), "d/f%d", n);
		make_file(name, n % 2 ? "odd" : "");
	}
	before = requests();
	for (int n = 0; n < 150; n++) {
		snprintf(name, sizeof(name), "/d/f%d", n);
		q = found(name);
		assert_int_equal(stat_of(&q).size, n % 2 ? 3 : 0);
		path_put(&q);
	}
	assert_in_range(requests() - before, 3, 20);
	/* That listing was nobody's: it doesn't say what is absent. */
	assert_int_equal(find("/d/new", &q), -ENOENT);
	make_file("d/late", "late");
	q = found("/d/late");
	assert_int_equal(stat_of(&q).size, 4);
	path_put(&q);
}

/* What has gone is gone, whatever was looked up ahead. */
static void changes_drop_what_was_ahead(void **state)
{
	struct seen s = {.e = {note}};
	struct inode *made, *victim = NULL;
	struct file *file;
	struct path p;
	char name[32];

	(void)state;
	for (int n = 0; n < 20; n++) {
		snprintf(name, sizeof(name), "f%d", n);
		make_file(name, "");
	}
	file = open_path(&f.root, ABI_O_RDONLY | ABI_O_DIRECTORY);
	read_all(file, &s, 1000);
	file_put(file);
	p = found("/f3");
	path_put(&p);
	made = created("f20");
	for (int n = 0; n < 20; n++) {
		snprintf(name, sizeof(name), "f%d", n);
		assert_int_equal(LOCKED(root_inode()->ops->lookup(root_inode(), name, &victim)), 0);
		assert_int_equal(unlinked(name, victim), 0);
		inode_put(victim);
		assert_int_equal(LOCKED(root_inode()->ops->lookup(root_inode(), name, &victim)),
				 -ENOENT);
	}
	p = found("/f20");
	assert_ptr_equal(dentry_inode(p.dentry), made);
	path_put(&p);
	inode_put(made);
}

/* A file that was open while its node came along, was written to, and left the caches. */
static void changed_since_it_was_ahead(void **state)
{
	struct seen s = {.e = {note}};
	struct file *file, *open[20];
	struct path p;
	char name[32];

	(void)state;
	for (int n = 0; n < 20; n++) {
		snprintf(name, sizeof(name), "/f%d", n);
		make_file(name + 1, "");
		p = found(name);
		open[n] = open_path(&p, ABI_O_RDWR);
		path_put(&p);
		name[1] = 'g';
		make_file(name + 1, "");
	}
	file = open_path(&f.root, ABI_O_RDONLY | ABI_O_DIRECTORY);
	read_all(file, &s, 1000);
	file_put(file);
	for (int n = 0; n < 20; n++) { /* asks for what is listed behind it, as well */
		snprintf(name, sizeof(name), "/g%d", n);
		p = found(name);
		path_put(&p);
	}
	for (int n = 0; n < 20; n++) {
		assert_int_equal(write_text(open[n], "hello", 0), 5);
		file_put(open[n]);
	}
	dcache_prune(f.root.dentry->sb);
	for (int n = 0; n < 20; n++) {
		snprintf(name, sizeof(name), "/f%d", n);
		p = found(name);
		assert_int_equal(stat_of(&p).size, 5);
		path_put(&p);
	}
}

/* Where the last batch ended means nothing in the next listing, whose entries lie elsewhere. */
static void next_listing_starts_afresh(void **state)
{
	struct seen s = {.e = {ignore}};
	char name[64];

	(void)state;
	for (int n = 0; n < 100; n++) {
		snprintf(name, sizeof(name), "f%d_%.*s", n, n * 7 % 30,
			 "abcdefghijklmnopqrstuvwxyzabcdefgh");
		make_file(name, "");
	}
	for (int n = 0; n < 100; n++) {
		struct file *file = open_path(&f.root, ABI_O_RDONLY | ABI_O_DIRECTORY);
		struct inode *i;

		read_all(file, &s, 1000);
		file_put(file);
		assert_int_equal(LOCKED(root_inode()->ops->lookup(root_inode(), "absent", &i)),
				 -ENOENT);
		snprintf(name, sizeof(name), "f%d_%.*s", n, n * 7 % 30,
			 "abcdefghijklmnopqrstuvwxyzabcdefgh");
		assert_int_equal(LOCKED(root_inode()->ops->lookup(root_inode(), name, &i)), 0);
		assert_int_equal(unlinked(name, i), 0);
		inode_put(i);
	}
}

static void survives_a_full_gofer(void **state)
{
	(void)state;
	mkdirat(f.root_fd, "d", 0755);
	for (int i = 0; i < 600; i++) {
		char name[32];
		struct path p;

		snprintf(name, sizeof(name), "d/f%d", i);
		make_file(name, "");
		snprintf(name, sizeof(name), "/d/f%d", i);
		p = found(name);
		path_put(&p);
	}
	assert_in_range(handles_used_count(&f.server.handles), 1, 200);
}

static void maps_with_just_the_rights(void **state)
{
	struct inode *i = created("m");
	struct path p = found("/m");
	struct file *ro = open_path(&p, ABI_O_RDONLY), *rw = open_path(&p, ABI_O_RDWR);
	int fd;

	(void)state;
	fd = ro->ops->mmap_fd(ro, ABI_PROT_READ, ABI_MAP_SHARED);
	assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_int_equal(ro->ops->mmap_fd(ro, ABI_PROT_WRITE, ABI_MAP_SHARED), -EACCES);
	fd = rw->ops->mmap_fd(rw, ABI_PROT_READ | ABI_PROT_WRITE, ABI_MAP_PRIVATE);
	assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	fd = rw->ops->mmap_fd(rw, ABI_PROT_READ, ABI_MAP_SHARED);
	assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
	file_put(ro);
	file_put(rw);
	path_put(&p);
	inode_put(i);
}

/* Several guests' worth of everything at once, in names of their own and in common ones. */
/* ---- files read from memory that is mapped ---- */

static uint64_t map_reads(void)
{
	return stats_sum(STAT_file_map_reads);
}

/* Reads [0, size) until it comes from memory; the first byte. */
static char read_mapped(struct file *file, size_t size)
{
	uint64_t before = map_reads();
	char buf[3 * 4096];

	assert_true(size <= sizeof(buf));
	for (int n = 0; n < 3 && map_reads() == before; n++)
		assert_int_equal(read_at(file, buf, size, 0), size);
	assert_true(map_reads() > before);
	return buf[0];
}

/* A file of three pages of 'a', open for reading. */
static struct file *three_pages(const char *name)
{
	char text[3 * 4096 + 1], path[32];
	struct file *file;
	struct path p;

	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	make_file(name, text);
	snprintf(path, sizeof(path), "/%s", name);
	p = found(path);
	file = open_path(&p, ABI_O_RDONLY);
	path_put(&p);
	return file;
}

static void host_cuts(const char *name, off_t size)
{
	int fd = openat(f.root_fd, name, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	close(fd);
}

static void mapped_file_shows_what_is_written(void **state)
{
	struct file *file = three_pages("f"), *writer;
	struct path p = found("/f");
	char buf[16];

	(void)state;
	assert_int_equal(read_mapped(file, 3 * 4096), 'a');
	writer = open_path(&p, ABI_O_RDWR);
	assert_int_equal(write_text(writer, "bc", 4095), 2);
	assert_int_equal(read_mapped(file, 3 * 4096), 'a');
	assert_int_equal(read_at(file, buf, 4, 4094), 4);
	assert_memory_equal(buf, "abca", 4);
	/* To the end and not beyond; it moves. */
	assert_int_equal(read_at(file, buf, 16, 3 * 4096 - 3), 3);
	assert_int_equal(read_at(file, buf, 16, 3 * 4096), 0);
	assert_int_equal(write_text(writer, "xyz", 3 * 4096), 3);
	assert_int_equal(read_at(file, buf, 16, 3 * 4096 - 3), 6);
	assert_memory_equal(buf, "aaaxyz", 6);
	file_put(file);
	file_put(writer);
	path_put(&p);
}

/* Cut off by somebody else: a mapped page that isn't there any more ends the copy, no more. */
static void mapped_file_is_cut_off(void **state)
{
	struct file *file = three_pages("f");
	char buf[3 * 4096];

	(void)state;
	crash_handler_install();
	read_mapped(file, 3 * 4096);
	host_cuts("f", 4096);
	assert_int_equal(read_at(file, buf, sizeof(buf), 0), 4096);
	assert_int_equal(read_at(file, buf, 100, 8192), 0);
	host_cuts("f", 0);
	assert_int_equal(read_at(file, buf, sizeof(buf), 0), 0);
	file_put(file);
}

static void mapped_file_is_truncated(void **state)
{
	struct file *file = three_pages("f");
	struct path p = found("/f");
	struct iattr a = {.valid = ATTR_SIZE, .size = 5000};
	char buf[3 * 4096];

	(void)state;
	read_mapped(file, 3 * 4096);
	for (int n = 0; n < 2; n++) {
		mutex_lock(&file->inode->lock);
		assert_int_equal(file->inode->ops->setattr(file->inode, &a), 0);
		mutex_unlock(&file->inode->lock);
		assert_int_equal(read_at(file, buf, sizeof(buf), 0), a.size);
		a.size = 10000;
	}
	assert_int_equal(buf[4999], 'a');
	assert_int_equal(buf[5000], 0);
	assert_int_equal(buf[9999], 0);
	file_put(file);
	path_put(&p);
}

/* However many files are read again and again, there is a bound; and nothing is left of them. */
static void mapped_files_are_bounded(void **state)
{
	(void)state;
	for (int n = 0; n < 600; n++) {
		char name[16];
		struct file *file;

		snprintf(name, sizeof(name), "f%d", n);
		file = three_pages(name);
		assert_int_equal(read_mapped(file, 4096), 'a');
		file_put(file);
	}
	assert_in_range(f.client->chunk_count, 1, 512);
}

/* Two threads read what another cuts off and fills again. */
static void *read_on(void *arg)
{
	struct file *file = arg;
	char buf[3 * 4096];

	for (int n = 0; n < 20000; n++) {
		ssize_t got = read_at(file, buf, sizeof(buf), 0);

		assert_in_range(got, 0, sizeof(buf));
		for (ssize_t i = 0; i < got; i += 512)
			assert_true(buf[i] == 'a' || buf[i] == '\0');
	}
	return NULL;
}

static void mapped_file_under_fire(void **state)
{
	struct file *file = three_pages("f");
	pthread_t readers[2];
	char text[3 * 4096];

	(void)state;
	crash_handler_install();
	memset(text, 'a', sizeof(text));
	for (int n = 0; n < 2; n++)
		pthread_create(&readers[n], NULL, read_on, file);
	for (int n = 0; n < 2000; n++) {
		int fd = openat(f.root_fd, "f", O_WRONLY | O_CLOEXEC);

		assert_int_equal(ftruncate(fd, n % 3 * 4096), 0);
		assert_int_equal(pwrite(fd, text, sizeof(text), 0), sizeof(text));
		close(fd);
	}
	for (int n = 0; n < 2; n++)
		pthread_join(readers[n], NULL);
	file_put(file);
}

struct guest {
	int number;
	uint32_t random;
};

static uint32_t guest_random(struct guest *g, uint32_t below)
{
	g->random = g->random * 1664525 + 1013904223;
	return (g->random >> 8) % below;
}

static void guest_make(struct guest *g)
{
	struct inode *dir = root_inode(), *i = NULL;
	char name[32];

	snprintf(name, sizeof(name), "own%d-%u", g->number, guest_random(g, 20));
	mutex_lock(&dir->lock);
	if (!dir->ops->lookup(dir, name, &i)) {
		assert_int_equal(dir->ops->unlink(dir, name, i), 0);
		dcache_invalidate(dir, name);
	} else {
		assert_int_equal(dir->ops->create(dir, name, 0644, f.cred, &i), 0);
		dcache_invalidate(dir, name);
	}
	mutex_unlock(&dir->lock);
	inode_put(i);
}

static void guest_use(struct guest *g)
{
	char name[32], buf[64];
	struct abi_stat st;
	struct file *file;
	struct path p;

	snprintf(name, sizeof(name), "/common%u", guest_random(g, 5));
	p = found(name);
	assert_int_equal(vfs_stat(&p, &st), 0);
	file = open_path(&p, guest_random(g, 2) ? ABI_O_RDWR : ABI_O_RDONLY);
	if (file_writable(file))
		assert_int_equal(write_text(file, "text", guest_random(g, 1000)), 4);
	assert_true(read_at(file, buf, sizeof(buf), guest_random(g, 1000)) >= 0);
	file_put(file);
	path_put(&p);
}

static void guest_list(struct guest *g)
{
	struct seen *s = calloc(1, sizeof(*s));
	struct file *file = open_path(&f.root, ABI_O_RDONLY | ABI_O_DIRECTORY);

	(void)g;
	s->e.emit = ignore;
	read_all(file, s, 1000);
	file_put(file);
	free(s);
}

static void *run_guest(void *arg)
{
	static void (*const operations[])(struct guest *) = {guest_make, guest_use, guest_use,
							     guest_list};

	for (int i = 0; i < 400; i++)
		operations[guest_random(arg, 4)](arg);
	return NULL;
}

static void many_at_once(void **state)
{
	struct guest guests[5];
	pthread_t threads[5];

	(void)state;
	for (int i = 0; i < 5; i++) {
		char name[32];

		snprintf(name, sizeof(name), "common%d", i);
		make_file(name, "text");
	}
	for (int i = 0; i < 5; i++) {
		guests[i] = (struct guest){i, (uint32_t)i};
		pthread_create(&threads[i], NULL, run_guest, &guests[i]);
	}
	for (int i = 0; i < 5; i++)
		pthread_join(threads[i], NULL);
}

/* ---- shared ---- */

static void sees_changes_of_the_host(void **state)
{
	struct path p, q;

	(void)state;
	assert_int_equal(find("/file", &p), -ENOENT);
	make_file("file", "one");
	p = found("/file");
	assert_int_equal(stat_of(&p).size, 3);

	/* Another file of the same name. */
	make_file("other", "longer");
	assert_int_equal(renameat(f.root_fd, "other", f.root_fd, "file"), 0);
	q = found("/file");
	assert_ptr_not_equal(p.dentry, q.dentry);
	assert_int_equal(stat_of(&q).size, 6);
	path_put(&p);
	path_put(&q);
	assert_int_equal(unlinkat(f.root_fd, "file", 0), 0);
	assert_int_equal(find("/file", &p), -ENOENT);
}

static void open_file_sees_growth(void **state)
{
	struct timespec moment = {.tv_nsec = 2000000};
	struct file *file;
	struct path p;

	(void)state;
	make_file("log", "a");
	p = found("/log");
	file = open_path(&p, ABI_O_RDONLY);
	assert_int_equal(stat_of(&p).size, 1);
	make_file("log", "abcdef");
	nanosleep(&moment, NULL); /* what is called fresh: see internal.h */
	assert_int_equal(stat_of(&p).size, 6);
	file_put(file);
	path_put(&p);
}

/* ---- a gofer that is gone, or lies ---- */

static void dead_gofer_is_an_error(void **state)
{
	struct path p;

	(void)state;
	make_file("file", "");
	shutdown(f.conns[0].sock, SHUT_RDWR);
	shutdown(f.conns[1].sock, SHUT_RDWR);
	assert_int_equal(find("/file", &p), -EIO);
	assert_int_equal(find("/file", &p), -EIO);
}

/* A gofer that was taken over: passes requests on, and falsifies some bytes of the answers. */
struct liar {
	int sentry, gofer; /* sockets */
	uint32_t random;
};

static uint32_t next_random(struct liar *l)
{
	l->random = l->random * 1664525 + 1013904223;
	return l->random >> 8;
}

static size_t falsify(struct liar *l, uint8_t *reply, size_t size)
{
	static const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xff};

	if (next_random(l) % 4)
		return size;
	for (uint32_t n = next_random(l) % 3; n < 3; n++) {
		uint32_t at = next_random(l) % (next_random(l) % 2 ? 64 : (uint32_t)size);

		if (at < size)
			reply[at] = values[next_random(l) % sizeof(values)];
	}
	return next_random(l) % 16 ? size : next_random(l) % (uint32_t)size;
}

static void *lie(void *arg)
{
	static _Thread_local uint8_t buf[GOFER_MESSAGE_MAX];
	struct liar *l = arg;
	ssize_t n;

	while ((n = fd_recv(l->sentry, buf, sizeof(buf), NULL, 0, NULL)) > 0) {
		uint16_t type = ((struct gofer_header *)(void *)buf)->type;
		int fd = -1;

		if (fd_send(l->gofer, buf, (size_t)n, NULL, 0) < 0)
			break;
		if (type == GOFER_CLUNK || type == GOFER_TRIM)
			continue;
		n = fd_recv(l->gofer, buf, sizeof(buf), &fd, 1, NULL);
		if (n <= 0)
			break;
		n = (ssize_t)falsify(l, buf, (size_t)n);
		if (n == 0)
			n = 1;
		n = fd_send(l->sentry, buf, (size_t)n, &fd, fd >= 0);
		if (fd >= 0)
			close(fd);
		if (n < 0)
			break;
	}
	shutdown(l->sentry, SHUT_RDWR);
	return NULL;
}

/* What a sandbox does, whatever comes of it. */
static void use_everything(struct inode *dir)
{
	struct seen s = {.e = {ignore}};
	struct inode *made = NULL;
	struct iattr a = {.valid = ATTR_MODE | ATTR_SIZE, .mode = 0600, .size = 2};
	struct abi_stat st;
	struct path p;
	char *target, buf[64];

	for (int n = 0; n < 6; n++) {
		static const char *const names[] = {"/f0", "/d/x", "/l", "/none", "/f1", "/d"};

		if (find(names[n], &p))
			continue;
		vfs_stat(&p, &st);
		if (dentry_inode(p.dentry)->ops->readlink &&
		    !dentry_inode(p.dentry)->ops->readlink(dentry_inode(p.dentry), NULL, &target))
			free(target);
		if (dentry_inode(p.dentry)->ops->open) {
			struct file *file = file_new(&p, ABI_O_RDONLY, f.cred);

			if (!dentry_inode(p.dentry)->ops->open(dentry_inode(p.dentry), file)) {
				if (file->ops->read)
					read_at(file, buf, sizeof(buf), 0);
				s.room = 1000;
				if (file->ops->readdir)
					file->ops->readdir(file, &s.e);
			}
			file_put(file);
		}
		path_put(&p);
	}
	if (!dir->ops->create)
		return;
	mutex_lock(&dir->lock);
	if (!dir->ops->create(dir, "new", 0644, f.cred, &made)) {
		if (ABI_S_ISREG(made->mode)) {
			mutex_lock_nested(&made->lock);
			made->ops->setattr(made, &a);
			mutex_unlock(&made->lock);
			made->ops->getxattr(made, "user.a", buf, sizeof(buf));
			made->ops->listxattr(made, buf, sizeof(buf));
		}
		dir->ops->rename(dir, "new", made, dir, "newer", NULL, 0);
		dir->ops->unlink(dir, "newer", made);
		inode_put(made);
	}
	mutex_unlock(&dir->lock);
}

static void round_of_lies(uint32_t seed)
{
	struct liar liars[CONNECTIONS];
	pthread_t threads[CONNECTIONS];
	int ends[CONNECTIONS];

	for (int i = 0; i < CONNECTIONS; i++) {
		int pair[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
		ends[i] = pair[0];
		liars[i] = (struct liar){pair[1], f.ends[i], seed + (uint32_t)i};
		pthread_create(&threads[i], NULL, lie, &liars[i]);
	}
	f.kernel.vfs = vfs_new(&f.kernel);
	f.client = gofer_client_new(&f.kernel, ends, CONNECTIONS);
	if (!gofer_fs_mount(&f.kernel, f.client, 0, false, &f.sb)) {
		if (!vfs_mount_root(&f.kernel, f.sb, 0, "none", &f.root)) {
			use_everything(root_inode());
			use_everything(root_inode());
			path_put(&f.root);
		}
		super_put(f.sb);
	}
	vfs_destroy(f.kernel.vfs);
	assert_int_equal(object_live(OBJ_INODE), 0);
	assert_int_equal(object_live(OBJ_DENTRY), 0);
	gofer_client_destroy(f.client);
	for (int i = 0; i < CONNECTIONS; i++) {
		pthread_join(threads[i], NULL);
		close(liars[i].sentry);
	}
}

static int set_up_liar(void **state)
{
	(void)state;
	start_gofer();
	memset(&f.kernel, 0, sizeof(f.kernel));
	f.cred = cred_new();
	make_file("f0", "12345");
	make_file("f1", "");
	assert_int_equal(mkdirat(f.root_fd, "d", 0755), 0);
	make_file("d/x", "x");
	assert_int_equal(symlinkat("d/x", f.root_fd, "l"), 0);
	return 0;
}

static int tear_down_liar(void **state)
{
	(void)state;
	cred_put(f.cred);
	for (int i = 0; i < CONNECTIONS; i++)
		close(f.ends[i]);
	return stop_gofer();
}

static void lies_do_no_harm(void **state)
{
	int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	(void)state;
	log_setup(null_fd, false, LOG_ERROR, "test"); /* each lie is logged */
	for (uint32_t seed = 1; seed <= 500; seed++) {
		round_of_lies(seed * 7919);
		handles_destroy(&f.server.handles);
		assert_int_equal(handles_init(&f.server.handles, 200), 0);
	}
	log_setup(2, false, LOG_ERROR, "test");
	close(null_fd);
}

#define T(name)	     cmocka_unit_test_setup_teardown(name, set_up_cached, tear_down)
#define SHARED(name) cmocka_unit_test_setup_teardown(name, set_up_shared, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(finds_and_reads),
	    T(creates_and_writes),
	    T(sets_attributes),
	    T(hard_links_are_one_inode),
	    T(unlinked_file_lives_on),
	    T(renames),
	    T(makes_other_types),
	    T(makes_devices),
	    T(lists),
	    T(small_listing_is_kept),
	    T(lookups_go_ahead),
	    T(lists_what_nobody_listed),
	    T(changes_drop_what_was_ahead),
	    T(changed_since_it_was_ahead),
	    T(next_listing_starts_afresh),
	    T(survives_a_full_gofer),
	    T(maps_with_just_the_rights),
	    T(mapped_file_shows_what_is_written),
	    T(mapped_file_is_cut_off),
	    T(mapped_file_is_truncated),
	    T(mapped_files_are_bounded),
	    T(mapped_file_under_fire),
	    T(many_at_once),
	    SHARED(many_at_once),
	    SHARED(lists),
	    SHARED(sees_changes_of_the_host),
	    SHARED(open_file_sees_growth),
	    T(dead_gofer_is_an_error),
	    cmocka_unit_test_setup_teardown(lies_do_no_harm, set_up_liar, tear_down_liar),
	};

	log_setup(2, false, LOG_ERROR, "test");
	umask(0);
	return cmocka_run_group_tests_name("gofer_fs", tests, NULL, NULL);
}
