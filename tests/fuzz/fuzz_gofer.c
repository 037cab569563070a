/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gofer's server against a hostile sentry. The input is a series of messages, each a length (2
 * bytes) and that many bytes; header fields that would only end the connection at once are put
 * right, so that the rest is reached. Whatever is asked, nothing outside of the served directory
 * changes, and every request is answered or the connection closed.
 */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "fsgofer/server.h"
#include "tests/unit/gofer_client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char top[] = "/tmp/fuzz_gofer.XXXXXX";

static void must(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "broken: %s\n", what);
		abort();
	}
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	return ftw->level ? remove(path) : 0;
}

static void clean_up(void)
{
	nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	rmdir(top);
}

/* top/root with a few files, top/secret. */
static int make_tree(void)
{
	static bool made;
	int dir, fd;

	if (!made) {
		must(mkdtemp(top), "mkdtemp");
		atexit(clean_up);
		signal(SIGXFSZ, SIG_IGN);
		log_setup(open("/dev/null", O_WRONLY | O_CLOEXEC), false, LOG_ERROR, "fuzz");
		made = true;
	}
	nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	dir = open(top, O_PATH | O_DIRECTORY | O_CLOEXEC);
	must(!mkdirat(dir, "root", 0755) && !mkdirat(dir, "root/d", 0755), "mkdir");
	fd = openat(dir, "secret", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	must(write(fd, "secret", 6) == 6, "write");
	close(fd);
	must(!symlinkat("../secret", dir, "root/l"), "symlink");
	must(!mknodat(dir, "root/f", S_IFREG | 0644, 0), "mknod");
	fd = openat(dir, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	close(dir);
	return fd;
}

static void check_outside(void)
{
	char text[8] = "", path[64];
	struct dirent *e;
	struct stat st;
	int fd, count = 0;
	DIR *dir = opendir(top);

	while ((e = readdir(dir)))
		count++;
	closedir(dir);
	must(count == 4, "only root and secret"); /* with "." and ".." */
	snprintf(path, sizeof(path), "%s/secret", top);
	must(!stat(path, &st) && st.st_mode == (S_IFREG | 0600) && st.st_nlink == 1, "mode");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	must(read(fd, text, 8) == 6 && !strcmp(text, "secret"), "content");
	close(fd);
}

static void *serve(void *arg)
{
	gofer_serve(arg);
	return NULL;
}

static bool is_one_way(const struct gofer_header *h)
{
	return h->type == GOFER_CLUNK || h->type == GOFER_TRIM;
}

/* Low numbers mean the handles that there are. */
static void repair_handle(uint8_t *at)
{
	uint64_t handle;

	memcpy(&handle, at, sizeof(handle));
	if ((uint32_t)handle < 16)
		handle = 1ull << 32 | (uint32_t)handle;
	memcpy(at, &handle, sizeof(handle));
}

static void repair(struct msg *m)
{
	struct gofer_header *h = (void *)m->bytes;

	if (m->size < sizeof(*h))
		return;
	h->size = (uint32_t)m->size;
	h->type %= GOFER_TYPE_COUNT;
	h->cpu = 0;
	h->error = 0;
	if (m->size >= sizeof(*h) + 8)
		repair_handle(m->bytes + sizeof(*h));
	if (m->size >= sizeof(*h) + 16 && (h->type == GOFER_LINK || h->type == GOFER_RENAME))
		repair_handle(m->bytes + sizeof(*h) + 8);
}

static void send_all(int sock, const uint8_t *data, size_t size)
{
	static struct msg m;
	uint64_t root;

	must(!attach(&m, sock, 0, &root), "attach");
	while (size > 2) {
		size_t n = data[0] | (size_t)data[1] << 8;
		int err;

		data += 2;
		size -= 2;
		n = MIN(MIN(n, size), (size_t)GOFER_MESSAGE_MAX);
		memcpy(m.bytes, data, n);
		m.size = n;
		data += n;
		size -= n;
		repair(&m);
		if (n >= sizeof(struct gofer_header) && is_one_way((void *)m.bytes)) {
			if (fd_send(sock, m.bytes, m.size, NULL, 0) < 0)
				return;
			continue;
		}
		err = msg_exchange(&m, sock);
		if (m.reply_fd >= 0)
			close(m.reply_fd);
		if (err == -EPIPE)
			return;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gofer_root root = {.fd = make_tree()};
	int proc_fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct gofer_server server;
	struct gofer_conn conn;
	pthread_t thread;
	int pair[2];

	must(!gofer_server_init(&server, &root, 1, proc_fd, 64), "server");
	must(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), "socketpair");
	must(!gofer_conn_init(&conn, &server, pair[1]), "connection");
	must(!pthread_create(&thread, NULL, serve, &conn), "thread");
	send_all(pair[0], data, size);
	close(pair[0]);
	pthread_join(thread, NULL);
	close(pair[1]);
	gofer_conn_destroy(&conn);
	gofer_server_destroy(&server);
	close(proc_fd);
	close(root.fd);
	check_outside();
	return 0;
}
