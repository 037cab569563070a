/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the handlers themselves cost: each is called directly, with a task that never runs and
 * windows that always serve, so no doorbell, trap or poll is in the figure. Prints nanoseconds and
 * allocations a call. `make bench-handlers`, or `handlers ROW`.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "abi/poll.h"
#include "fsgofer/server.h"
#include "sentry/fs/gofer/client.h"
#include "sentry/fs/gofer/gofer_fs.h"
#include "syscalls/syscalls.h"
#include "syscalls/sysfile.h"
#include "tests/unit/fake_task.h"

#define CALLS 200000
#define VA    0x100000ull /* where the guest's memory begins */

static struct fake *fake;
static char memory[1 << 20]; /* the guest's */
static uint64_t allocations;

/* ---- what the linker puts in the place of the platform's and of malloc ---- */

void *__wrap_platform_window(struct platform_thread *t, uint64_t va, size_t size, bool for_write);
void __wrap_platform_window_written(struct platform_thread *t, uint64_t va, size_t size);
const void *__wrap_platform_window_rest(struct platform_thread *t, uint64_t va, size_t *ret_size);
size_t __wrap_platform_read(struct platform_thread *t, struct platform_mm *mm, uint64_t va,
			    void *buf, size_t size);
size_t __wrap_platform_write(struct platform_thread *t, struct platform_mm *mm, uint64_t va,
			     const void *buf, size_t size);
struct platform_mm *__wrap_platform_thread_mm(struct platform_thread *t);
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);

void *__wrap_platform_window(struct platform_thread *t, uint64_t va, size_t size, bool for_write)
{
	(void)t;
	(void)for_write;
	return size <= sizeof(memory) - (va - VA) ? memory + (va - VA) : NULL;
}

void __wrap_platform_window_written(struct platform_thread *t, uint64_t va, size_t size)
{
	(void)t;
	(void)va;
	(void)size;
}

const void *__wrap_platform_window_rest(struct platform_thread *t, uint64_t va, size_t *ret_size)
{
	(void)t;
	*ret_size = sizeof(memory) - (va - VA);
	return memory + (va - VA);
}

size_t __wrap_platform_read(struct platform_thread *t, struct platform_mm *mm, uint64_t va,
			    void *buf, size_t size)
{
	(void)t;
	(void)mm;
	memcpy(buf, memory + (va - VA), size);
	return size;
}

size_t __wrap_platform_write(struct platform_thread *t, struct platform_mm *mm, uint64_t va,
			     const void *buf, size_t size)
{
	(void)t;
	(void)mm;
	memcpy(memory + (va - VA), buf, size);
	return size;
}

struct platform_mm *__wrap_platform_thread_mm(struct platform_thread *t)
{
	(void)t;
	return NULL;
}

void *__wrap_malloc(size_t size)
{
	allocations++;
	return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	allocations++;
	return __real_calloc(n, size);
}

/* ---- a gofer in a thread ---- */

static struct gofer_server server;
static struct gofer_conn conn;
static struct gofer_root root;

static void *serve(void *arg)
{
	gofer_serve(arg);
	return NULL;
}

/* Mounts a directory of the host at /host. */
static void mount_host(char *dir)
{
	struct super_block *sb;
	struct gofer_client *client;
	struct path where;
	pthread_t thread;
	int pair[2];

	root.fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(gofer_server_init(&server, &root, 1, open("/proc/self/fd", O_PATH), 200),
			 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(gofer_conn_init(&conn, &server, pair[1]), 0);
	pthread_create(&thread, NULL, serve, &conn);
	client = gofer_client_new(&fake->kernel, pair, 1);
	assert_int_equal(gofer_fs_mount(&fake->kernel, client, 0, false, &sb), 0);
	assert_int_equal(vfs_lookup_at_root(&fake->kernel, &fake->root, "/host", true, &where), 0);
	assert_int_equal(vfs_mount(&fake->kernel, &where, sb, sb->root, 0, "host"), 0);
}

/* ---- rows ---- */

static int64_t call(int64_t (*handler)(struct task *, const struct sysargs *), uint64_t a0,
		    uint64_t a1, uint64_t a2, uint64_t a3)
{
	struct sysargs a = {.arg = {a0, a1, a2, a3}};
	int64_t ret;

	memset(&fake->task.call, 0, sizeof(fake->task.call));
	ret = handler(&fake->task, &a);
	if (ret < 0) {
		fprintf(stderr, "handler: %lld\n", (long long)ret);
		exit(1);
	}
	return ret;
}

static uint64_t put(uint64_t at, const void *data, size_t size)
{
	memcpy(memory + at, data, size);
	return VA + at;
}

static uint64_t name(const char *text)
{
	return put(0, text, strlen(text) + 1);
}

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int host_fd;
static const char *only; /* the row that is wanted; NULL: all */

/* The best of several batches. */
#define ROW(what, ...)                                                                             \
	do {                                                                                       \
		uint64_t best = ~0ull, count = 0;                                                  \
		if (only && strcmp(only, what))                                                    \
			break;                                                                     \
                                                                                                   \
		for (int batch = 0; batch < 10; batch++) {                                         \
			uint64_t start = now(), before = allocations;                              \
			for (int i = 0; i < CALLS / 10; i++) {                                     \
				__VA_ARGS__;                                                       \
			}                                                                          \
			best = MIN(best, now() - start);                                           \
			count = allocations - before;                                              \
		}                                                                                  \
		printf("%-28s %8.1f ns %6.2f allocations\n", what, (double)best / (CALLS / 10),    \
		       (double)count / (CALLS / 10));                                              \
	} while (0)

static void file_data_rows(void)
{
	int fd = host_fd;

	ROW("pread 1", call(sys_pread64, fd, VA, 1, 0));
	ROW("pread 4 KiB", call(sys_pread64, fd, VA, 4096, 0));
	ROW("pread 64 KiB", call(sys_pread64, fd, VA, 65536, 0));
	ROW("read 1 + lseek", call(sys_read, fd, VA, 1, 0); call(sys_lseek, fd, 0, 0, 0));
	ROW("lseek", call(sys_lseek, fd, 0, 0, 0));
	ROW("fstat", call(sys_fstat, fd, VA, 0, 0));
	ROW("dup + close", call(sys_close, call(sys_dup, fd, 0, 0, 0), 0, 0, 0));
}

static void name_rows(void)
{
	uint64_t file = name("/host/dir/file");

	ROW("stat", call(sys_newfstatat, (uint64_t)-100, file, VA + 4096, 0));
	ROW("access", call(sys_access, file, 4, 0, 0));
	ROW("open + close", call(sys_close, call(sys_openat, (uint64_t)-100, file, 0, 0), 0, 0, 0));
	file = name("/host/dir/link");
	ROW("readlink", call(sys_readlink, file, VA + 4096, 1000, 0));
	file = name("/host/dir");
	int fd = (int)call(sys_openat, (uint64_t)-100, file, ABI_O_DIRECTORY, 0);
	ROW("lseek + getdents of 100", call(sys_lseek, fd, 0, 0, 0),
	    call(sys_getdents64, fd, VA, 32768, 0));
}

static void ipc_rows(void)
{
	struct abi_epoll_event ev = {.events = ABI_POLLIN};
	int32_t fds[2];
	uint64_t one = 1;
	int event, ep;

	call(sys_pipe2, VA, 0, 0, 0);
	memcpy(fds, memory, sizeof(fds));
	ROW("pipe write 1 + read 1", call(sys_write, fds[1], VA, 1, 0),
	    call(sys_read, fds[0], VA, 1, 0));
	ROW("pipe write 4 KiB + read", call(sys_write, fds[1], VA, 4096, 0),
	    call(sys_read, fds[0], VA, 4096, 0));
	event = (int)call(sys_eventfd2, 1, 0, 0, 0);
	put(0, &one, 8);
	ROW("eventfd read + write", call(sys_read, event, VA, 8, 0),
	    call(sys_write, event, VA, 8, 0));
	ep = (int)call(sys_epoll_create1, 0, 0, 0, 0);
	put(4096, &ev, sizeof(ev));
	call(sys_epoll_ctl, ep, 1, event, VA + 4096);
	ROW("epoll_wait ready", call(sys_epoll_wait, ep, VA + 8192, 1, 0));
	ROW("getppid", call(sys_getppid, 0, 0, 0, 0));
	ROW("sigprocmask", call(sys_rt_sigprocmask, 0, 0, VA, 8));
}

int main(int argc, char **argv)
{
	char dir[] = "/tmp/handlers.XXXXXX", path[64];
	int fd;

	only = argc > 1 ? argv[1] : NULL;
	fake = fake_new(NULL);
	fake->task.pt = (struct platform_thread *)memory; /* never looked at */
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/dir", dir);
	mkdir(path, 0755);
	for (int i = 0; i < 100; i++) {
		snprintf(path, sizeof(path), "%s/dir/f%d", dir, i);
		close(open(path, O_CREAT | O_WRONLY, 0644));
	}
	snprintf(path, sizeof(path), "%s/dir/link", dir);
	assert_int_equal(symlink("target", path), 0);
	snprintf(path, sizeof(path), "%s/dir/file", dir);
	fd = open(path, O_CREAT | O_RDWR, 0644);
	assert_int_equal(write(fd, memory, sizeof(memory)), sizeof(memory));
	mount_host(dir);
	host_fd = (int)call(sys_openat, (uint64_t)-100, name("/host/dir/file"), O_RDWR, 0);
	file_data_rows();
	name_rows();
	ipc_rows();
	return 0;
}
