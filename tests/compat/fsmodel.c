/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files and directories against a model: long series of random operations on a file whose content
 * is known, and on names whose meaning is known, with what a cache could get wrong in between.
 */
#include <sys/mman.h>
#include <sys/uio.h>

#include "compat.h"

static uint32_t seed;

static uint32_t rnd(uint32_t below)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % below;
}

/* ---- content ---- */

#define FILE_MAX (256 * 1024)

static struct content {
	uint8_t want[FILE_MAX + 1];
	uint8_t got[FILE_MAX + 1];
	size_t size;
	int fds[3]; /* read-write, append, read-only */
} c;

static void fill(uint8_t *p, size_t size)
{
	for (size_t i = 0; i < size; i++)
		p[i] = (uint8_t)rnd(256);
}

static void grow(size_t size)
{
	if (size > c.size) {
		memset(c.want + c.size, 0, size - c.size);
		c.size = size;
	}
}

static void write_somewhere(void)
{
	size_t at = rnd(FILE_MAX / 2), size = 1 + rnd(rnd(8) ? 5000 : 100000);

	grow(at + size);
	fill(c.want + at, size);
	EQ(pwrite(c.fds[0], c.want + at, size, (off_t)at), size);
}

static void write_vector(void)
{
	size_t at = rnd(FILE_MAX / 2), size = 3 + rnd(9000), a = 1 + rnd((uint32_t)size - 2);
	struct iovec iov[2] = {{c.want + at, a}, {c.want + at + a, size - a}};

	grow(at + size);
	fill(c.want + at, size);
	EQ(pwritev(c.fds[0], iov, 2, (off_t)at), size);
}

static void append(void)
{
	size_t size = 1 + rnd(3000), at = c.size;

	if (at + size > FILE_MAX)
		return;
	grow(at + size);
	fill(c.want + at, size);
	EQ(write(c.fds[1], c.want + at, size), size);
	EQ(lseek(c.fds[1], 0, SEEK_CUR), c.size);
}

static void read_somewhere(void)
{
	size_t at = rnd(FILE_MAX), size = 1 + rnd(20000);
	size_t want = at >= c.size ? 0 : c.size - at < size ? c.size - at : size;

	EQ(pread(c.fds[rnd(2) * 2], c.got, size, (off_t)at), want);
	MEM_EQ(c.got, c.want + at, want);
}

static void truncate_somewhere(void)
{
	size_t size = rnd(FILE_MAX);

	if (rnd(2))
		OK(ftruncate(c.fds[0], (off_t)size));
	else
		OK(truncate("f", (off_t)size));
	if (size > c.size)
		grow(size);
	c.size = size;
}

static void truncate_by_open(void)
{
	close(OK(open("f", O_WRONLY | O_TRUNC)));
	c.size = 0;
}

static void write_by_mapping(void)
{
	size_t pages = (c.size + 4095) / 4096, page, size;
	uint8_t *p;

	if (!c.size)
		return;
	page = rnd((uint32_t)pages);
	size = page + 1 < pages ? 4096 : c.size - page * 4096;
	p = OK(
	    mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, c.fds[0], (off_t)(page * 4096)));
	MEM_EQ(p, c.want + page * 4096, size);
	fill(p, size);
	memcpy(c.want + page * 4096, p, size);
	OK(munmap(p, 4096));
}

static void punch(void)
{
	size_t at = rnd(FILE_MAX / 2), size = 1 + rnd(30000);

	if (at >= c.size)
		return;
	if (fallocate(c.fds[0], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at,
		      (off_t)size) < 0) {
		EQ(errno, EOPNOTSUPP);
		return;
	}
	if (size > c.size - at)
		size = c.size - at;
	memset(c.want + at, 0, size);
}

static void reopen(void)
{
	for (int i = 0; i < 3; i++)
		close(c.fds[i]);
	c.fds[0] = OK(open("f", O_RDWR));
	c.fds[1] = OK(open("f", O_WRONLY | O_APPEND));
	c.fds[2] = OK(open("f", O_RDONLY));
}

static void check_size(void)
{
	struct stat st;

	OK(stat("f", &st));
	EQ(st.st_size, c.size);
	OK(fstat(c.fds[rnd(3)], &st));
	EQ(st.st_size, c.size);
	EQ(lseek(c.fds[2], 0, SEEK_END), c.size);
}

TEST(content)
{
	static void (*const operations[])(void) = {
	    write_somewhere, write_somewhere,  write_vector,	 append,
	    read_somewhere,  read_somewhere,   read_somewhere,	 truncate_somewhere,
	    check_size,	     truncate_by_open, write_by_mapping, write_by_mapping,
	    punch,	     reopen,	       check_size};
	const uint32_t count = sizeof(operations) / sizeof(operations[0]);

	seed = 1;
	WRITE_FILE("f", "");
	for (int i = 0; i < 3; i++)
		c.fds[i] = OK(open("f", O_RDONLY));
	reopen();
	for (int i = 0; i < 4000; i++)
		operations[rnd(count)]();
	EQ(pread(c.fds[2], c.got, FILE_MAX + 1, 0), c.size);
	MEM_EQ(c.got, c.want, c.size);
}

/* ---- names ---- */

#define DIRS  3
#define NAMES 8
#define FILES 64

static int names[DIRS][NAMES]; /* file, -1: nothing */
static int links[FILES];       /* how many names it has */
static ino_t inos[FILES];

static char *path_of(int dir, int name, char *buf)
{
	sprintf(buf, "d%d/n%d", dir, name);
	return buf;
}

static void name_create(int dir, int name)
{
	char path[32];
	struct stat st;
	int fd, file = 0;

	if (names[dir][name] >= 0) {
		FAILS(open(path_of(dir, name, path), O_CREAT | O_EXCL | O_RDWR, 0644), EEXIST);
		return;
	}
	while (links[file])
		file++;
	fd = OK(open(path_of(dir, name, path), O_CREAT | O_EXCL | O_RDWR, 0644));
	EQ(write(fd, path, (size_t)file), file);
	OK(fstat(fd, &st));
	close(fd);
	names[dir][name] = file;
	links[file] = 1;
	inos[file] = st.st_ino;
}

static void name_unlink(int dir, int name)
{
	char path[32];

	if (names[dir][name] < 0) {
		FAILS(unlink(path_of(dir, name, path)), ENOENT);
		return;
	}
	OK(unlink(path_of(dir, name, path)));
	links[names[dir][name]]--;
	names[dir][name] = -1;
}

static void name_rename(int dir, int name)
{
	int dir2 = (int)rnd(DIRS), name2 = (int)rnd(NAMES), file = names[dir][name];
	char from[32], to[32];

	path_of(dir, name, from);
	path_of(dir2, name2, to);
	if (file < 0) {
		FAILS(rename(from, to), ENOENT);
		return;
	}
	OK(rename(from, to));
	if (names[dir2][name2] == file)
		return; /* two names of one file: nothing happens */
	if (names[dir2][name2] >= 0)
		links[names[dir2][name2]]--;
	names[dir2][name2] = file;
	names[dir][name] = -1;
}

static void name_link(int dir, int name)
{
	int dir2 = (int)rnd(DIRS), name2 = (int)rnd(NAMES), file = names[dir][name];
	char from[32], to[32];

	path_of(dir, name, from);
	path_of(dir2, name2, to);
	if (file < 0) {
		FAILS(link(from, to), ENOENT);
	} else if (names[dir2][name2] >= 0) {
		FAILS(link(from, to), EEXIST);
	} else {
		OK(link(from, to));
		names[dir2][name2] = file;
		links[file]++;
	}
}

static void name_stat(int dir, int name)
{
	int file = names[dir][name];
	char path[32];
	struct stat st;

	if (file < 0) {
		FAILS(stat(path_of(dir, name, path), &st), ENOENT);
		return;
	}
	OK(stat(path_of(dir, name, path), &st));
	EQ(st.st_ino, inos[file]);
	EQ(st.st_nlink, links[file]);
	EQ(st.st_size, file);
}

static void name_list(int dir, int name)
{
	char path[32];
	struct dirent *e;
	bool seen[NAMES] = {false};
	DIR *d;

	sprintf(path, "d%d", dir);
	d = opendir(path);
	CHECK(d);
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		name = atoi(e->d_name + 1);
		CHECK(!seen[name] && names[dir][name] >= 0);
		EQ(e->d_ino, inos[names[dir][name]]);
		seen[name] = true;
	}
	closedir(d);
	for (name = 0; name < NAMES; name++)
		EQ(seen[name], names[dir][name] >= 0);
}

TEST(names)
{
	static void (*const operations[])(int, int) = {name_create, name_create, name_unlink,
						       name_rename, name_link,	 name_stat,
						       name_stat,   name_stat,	 name_list};
	char path[32];

	seed = 2;
	for (int dir = 0; dir < DIRS; dir++) {
		sprintf(path, "d%d", dir);
		OK(mkdir(path, 0755));
		memset(names[dir], -1, sizeof(names[dir]));
	}
	for (int i = 0; i < 15000; i++)
		operations[rnd(9)]((int)rnd(DIRS), (int)rnd(NAMES));
}

/* ---- walking and removing ---- */

static void make_files(const char *dir, int count)
{
	char path[64];

	OK(mkdir(dir, 0755));
	for (int i = 0; i < count; i++) {
		sprintf(path, "%s/a-file-with-a-longer-name-%d", dir, i);
		close(OK(open(path, O_CREAT | O_WRONLY, 0644)));
	}
}

/* As rm -r does: an entry at a time, each looked at and removed while the listing goes on. */
TEST(remove_while_listing)
{
	struct dirent *e;
	struct stat st;
	int count = 0;
	DIR *d;

	make_files("d", 3000);
	d = opendir("d");
	CHECK(d);
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		OK(fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW));
		OK(unlinkat(dirfd(d), e->d_name, 0));
		FAILS(fstatat(dirfd(d), e->d_name, &st, 0), ENOENT);
		count++;
	}
	closedir(d);
	EQ(count, 3000);
	OK(rmdir("d"));
}

/* Looking ahead must not give what another process has changed since. */
TEST(list_then_change_then_look)
{
	struct dirent *e;
	struct stat st;
	char path[300];
	pid_t pid;
	DIR *d;

	make_files("d", 100);
	d = opendir("d");
	CHECK(d);
	while (readdir(d))
		;
	OK(stat("d/a-file-with-a-longer-name-7", &st));
	pid = OK(fork());
	if (pid == 0) {
		for (int i = 0; i < 100; i += 2) {
			sprintf(path, "d/a-file-with-a-longer-name-%d", i);
			OK(unlink(path));
		}
		for (int i = 1; i < 100; i += 2) {
			sprintf(path, "d/a-file-with-a-longer-name-%d", i);
			OK(truncate(path, i));
			OK(chmod(path, 0600));
		}
		_exit(0);
	}
	WAIT_EXIT(pid, 0);
	for (int i = 0; i < 100; i++) {
		sprintf(path, "d/a-file-with-a-longer-name-%d", i);
		if (i % 2 == 0) {
			FAILS(stat(path, &st), ENOENT);
			continue;
		}
		OK(stat(path, &st));
		EQ(st.st_size, i);
		EQ(st.st_mode, S_IFREG | 0600);
	}
	rewinddir(d);
	while ((e = readdir(d)))
		CHECK(e->d_name[0] == '.' || atoi(strrchr(e->d_name, '-') + 1) % 2 == 1);
	closedir(d);
}

/* One process walks again and again, another makes and removes: nothing but ENOENT may happen. */
TEST(walk_against_changes)
{
	struct stat st;
	char path[64];
	pid_t pid;

	OK(mkdir("d", 0755));
	pid = OK(fork());
	if (pid == 0) {
		for (int i = 0; i < 3000; i++) {
			sprintf(path, "d/%d", i % 50);
			if (unlink(path) < 0) {
				EQ(errno, ENOENT);
				close(OK(open(path, O_CREAT | O_EXCL | O_WRONLY, 0644)));
			}
		}
		_exit(0);
	}
	while (waitpid(pid, NULL, WNOHANG) == 0) {
		DIR *d = opendir("d");
		struct dirent *e;

		CHECK(d);
		while ((e = readdir(d)))
			if (fstatat(dirfd(d), e->d_name, &st, 0) < 0)
				EQ(errno, ENOENT);
		closedir(d);
	}
	for (int i = 0; i < 50; i++) {
		sprintf(path, "d/%d", i);
		if (unlink(path) < 0)
			EQ(errno, ENOENT);
	}
	OK(rmdir("d"));
}

/* Appends of many processes to one file: none is lost or torn. */
TEST(appends_are_whole)
{
	enum { WRITERS = 6, LINES = 200 };
	int seen[WRITERS] = {0};
	char line[64];
	FILE *f;

	for (int w = 0; w < WRITERS; w++)
		if (OK(fork()) == 0) {
			int fd = OK(open("log", O_WRONLY | O_CREAT | O_APPEND, 0644));

			for (int i = 0; i < LINES; i++) {
				int n = sprintf(line, "writer %d line %d of many\n", w, i);

				EQ(write(fd, line, (size_t)n), n);
			}
			_exit(0);
		}
	for (int w = 0; w < WRITERS; w++) {
		int status;

		OK(wait(&status));
		EQ(status, 0);
	}
	f = fopen("log", "r");
	CHECK(f);
	while (fgets(line, sizeof(line), f)) {
		int w, i;

		EQ(sscanf(line, "writer %d line %d of many\n", &w, &i), 2);
		CHECK(w >= 0 && w < WRITERS);
		EQ(i, seen[w]++);
	}
	fclose(f);
	for (int w = 0; w < WRITERS; w++)
		EQ(seen[w], LINES);
}
