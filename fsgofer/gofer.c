/* SPDX-License-Identifier: Apache-2.0 */
#include "fsgofer/gofer.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/timeline.h"
#include "fsgofer/confine.h"

/* Descriptors kept free for what a request opens and closes, and for what isn't a handle. */
#define RESERVED_DESCRIPTORS 64
#define PREPARED_DESCRIPTORS 4096
#define MIN_HANDLES	     256
#define THREAD_STACK_SIZE    (128u * 1024)

/* The process. Everything is set up before the threads start. */
struct gofer {
	const struct gofer_args *args;
	struct gofer_root *roots;
	struct gofer_server server;
	struct gofer_conn *conns; /* args->socket_count */
	pthread_t *threads;	  /* one for each connection but the first */
	/*
	 * Threads wait here twice: when they have started (which takes calls that the filter
	 * forbids), and then until the filter is loaded.
	 */
	pthread_barrier_t barrier;
	int proc_fd;
	int log_fd;
};

static int check_args(const struct gofer_args *args, struct confine_error *e)
{
	if (args->mount_count == 0 || args->mount_count > GOFER_MOUNT_MAX)
		return confine_fail(e, EINVAL, "gofer: %zu mounts (1 to %d)", args->mount_count,
				    GOFER_MOUNT_MAX);
	if (args->socket_count == 0 || args->socket_count > 64)
		return confine_fail(e, EINVAL, "gofer: %zu connections", args->socket_count);
	return 0;
}

static void set_process_basics(struct gofer *g, int null_fd)
{
	g->log_fd = g->args->log_fd;
	if (g->log_fd < 0) {
		g->log_fd = null_fd;
		log_setup(null_fd, false, LOG_ERROR, "gofer");
	}
	tzset();  /* or the first log line opens /etc/localtime */
	setsid(); /* not in the terminal's process group */
	umask(0); /* modes are exactly those that requests name */
	signal(SIGXFSZ, SIG_IGN);
}

/* Leaves only what serving needs; returns how many handles there may be, or an error. */
static int confine_files(struct gofer *g, int null_fd, struct confine_error *e)
{
	const struct gofer_args *args = g->args;
	size_t count = 0;
	int *keep = xcalloc(args->socket_count + args->mount_count + 3, sizeof(*keep));
	int err, limit;

	memcpy(keep, args->sockets, args->socket_count * sizeof(*keep));
	count = args->socket_count;
	for (size_t i = 0; i < args->mount_count; i++)
		keep[count++] = g->roots[i].fd;
	keep[count++] = g->proc_fd;
	keep[count++] = g->log_fd;
	keep[count++] = args->ready_fd;
	err = confine_descriptors(keep, count, null_fd, g->proc_fd, e);
	free(keep);
	if (err)
		return err;
	limit = (int)fd_raise_limit(PREPARED_DESCRIPTORS) - (int)count - RESERVED_DESCRIPTORS;
	if (limit < MIN_HANDLES)
		return confine_fail(e, EMFILE, "gofer: the limit of open files leaves %d handles",
				    limit);
	return limit;
}

static void *serve_thread(void *arg)
{
	struct gofer_conn *c = arg;
	struct gofer *g = container_of(c->server, struct gofer, server);

	pthread_barrier_wait(&g->barrier);
	pthread_barrier_wait(&g->barrier);
	gofer_serve(c);
	return NULL;
}

static int start_threads(struct gofer *g, struct confine_error *e)
{
	size_t count = g->args->socket_count;
	pthread_attr_t attr;
	int err = 0;

	pthread_barrier_init(&g->barrier, NULL, (unsigned)count);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, THREAD_STACK_SIZE);
	for (size_t i = 1; i < count && !err; i++)
		err = pthread_create(&g->threads[i], &attr, serve_thread, &g->conns[i]);
	pthread_attr_destroy(&attr);
	if (err)
		return confine_fail(e, err, "gofer: starting threads");
	pthread_barrier_wait(&g->barrier);
	return 0;
}

static int set_up_server(struct gofer *g, int handle_max, struct confine_error *e)
{
	const struct gofer_args *args = g->args;
	int err = gofer_server_init(&g->server, g->roots, (uint32_t)args->mount_count, g->proc_fd,
				    (uint32_t)handle_max);

	for (size_t i = 0; i < args->socket_count && !err; i++)
		err = gofer_conn_init(&g->conns[i], &g->server, args->sockets[i]);
	return err ? confine_fail(e, -err, "gofer: allocating buffers") : 0;
}

/* All of the way from a child of runsc to a confined process whose threads wait to begin. */
static int set_up(struct gofer *g, struct confine_error *e)
{
	const struct gofer_args *args = g->args;
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	int err = null_fd < 0 ? confine_fail(e, errno, "gofer: opening /dev/null") : 0;

	if (!err)
		err = check_args(args, e);
	if (err)
		return err;
	set_process_basics(g, null_fd);
	g->roots = xcalloc(args->mount_count, sizeof(*g->roots));
	g->conns = xcalloc(args->socket_count, sizeof(*g->conns));
	g->threads = xcalloc(args->socket_count, sizeof(*g->threads));
	err = confine_namespaces(e);
	if (!err)
		err = confine_open_mounts(args, g->roots, &g->proc_fd, e);
	if (!err)
		err = confine_root(e);
	if (!err)
		err = confine_files(g, null_fd, e);
	if (err >= 0)
		err = set_up_server(g, err, e);
	if (!err)
		err = confine_privileges(e);
	if (!err)
		err = start_threads(g, e);
#ifndef SANITIZER /* whose run-time library makes calls of its own */
	if (!err)
		err = filter_load(g->proc_fd, g->log_fd, args->ready_fd, e);
#endif
	return err;
}

int gofer_main(const struct gofer_args *args)
{
	struct gofer g = {.args = args};
	struct confine_error e;

	if (set_up(&g, &e)) {
		fd_write_all(args->ready_fd, e.text, strlen(e.text));
		return 1;
	}
	timeline_mark("gofer serves");
	/* Not an error for the gofer if runsc is gone: the sentry may be there. */
	fd_write_all(args->ready_fd, "", 1);
	pthread_barrier_wait(&g.barrier);
	gofer_serve(&g.conns[0]);
	for (size_t i = 1; i < args->socket_count; i++)
		pthread_join(g.threads[i], NULL);
	_exit(0);
}

int gofer_wait_ready(int fd, char *error, size_t size)
{
	ssize_t n;

	do
		n = read(fd, error, size - 1);
	while (n < 0 && errno == EINTR);
	if (n == 1 && error[0] == '\0')
		return 0;
	if (n > 0)
		error[n] = '\0';
	else
		snprintf(error, size, "gofer: ended before it was ready");
	return -1;
}
