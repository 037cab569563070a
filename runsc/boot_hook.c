/* SPDX-License-Identifier: Apache-2.0 */
/*
 * startContainer hooks: programs of the container that run as guests, before or beside its first
 * process and as nobody's children.
 *
 * A hook gets the first process's credentials and limits, its input in a memfd, and /dev/null for
 * output. Its end is heard of on exit_wait, under the kernel's locks: that only arms a timer, whose
 * function then answers the client on the event thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "abi/resource.h"
#include "abi/signal.h"
#include "base/compiler.h"
#include "base/fd.h"
#include "base/hostcall.h"
#include "base/log.h"
#include "base/mem.h"
#include "runsc/boot.h"
#include "runsc/control.h"
#include "sentry/fs/host/hostfile.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/process.h"
#include "sentry/kernel/signal.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/timer.h"
#include "sentry/vfs/files.h"
#include "sentry/vfs/vfs.h"

/* A hook that runs. Used on the event thread alone, but for what the wake-up reads. */
struct hook {
	struct boot *boot;	 /* [I] */
	struct thread_group *tg; /* [I] a reference */
	struct wait_entry entry; /* on tg->exit_wait */
	struct ktimer ended, timeout;
	int client; /* owned */
	bool timed_out;
};

/* A descriptor that reads as these bytes. */
static int input_memfd(const void *input, size_t size)
{
	int fd = host_memfd("hook", HOST_MEMFD_DATA);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = fd_write_all(fd, input, size);
	if (n >= 0 && lseek(fd, 0, SEEK_SET) < 0)
		n = -errno;
	if (n < 0) {
		close(fd);
		return (int)n;
	}
	return fd;
}

/* Takes the host descriptor over. */
static int install_stream(struct boot *b, struct files *files, const struct cred *cred, int host_fd,
			  int at)
{
	struct file *f;
	int err;

	if (host_fd < 0)
		return host_fd;
	err = hostfile_new(b->kernel, host_fd, cred, &f);
	if (err) {
		close(host_fd);
		return err;
	}
	err = files_install_at(files, f, at);
	if (err < 0)
		file_put(f);
	return err < 0 ? err : 0;
}

static int make_streams(struct boot *b, struct files *files, const struct cred *cred,
			const void *input, size_t size)
{
	int err = install_stream(b, files, cred, input_memfd(input, size), 0);

	for (int i = 1; i < 3 && !err; i++) {
		int fd = fcntl(b->args->null_fd, F_DUPFD_CLOEXEC, 3);

		err = install_stream(b, files, cred, fd < 0 ? -errno : fd, i);
	}
	return err;
}

/* Loads the program; the task waits to be started. */
static int create_task(struct boot *b, struct init_config *config, const void *input, size_t size,
		       struct task **ret_task)
{
	const struct oci_process *p = &b->spec->process;
	struct cred *cred = boot_make_cred(p);
	struct files *files = files_new();
	struct fs_context *fs = fs_context_new(&b->root, &b->root);
	struct abi_rlimit rlimits[16];
	int err = make_streams(b, files, cred, input, size);

	boot_make_rlimits(p, rlimits);
	fs_set_umask(fs, 0022);
	config->cred = cred;
	config->files = files;
	config->fs = fs;
	config->rlimits = rlimits;
	if (!err)
		err = task_create_init(b->kernel, config, ret_task);
	files_put(files);
	fs_context_put(fs);
	cred_put(cred);
	return err;
}

static bool has_ended(struct hook *h, uint32_t *ret_status)
{
	struct kernel *k = h->boot->kernel;
	bool ended;
	int status;

	mutex_lock(&k->tasks_lock);
	ended = h->tg->zombie;
	status = h->tg->exit_code;
	mutex_unlock(&k->tasks_lock);
	*ret_status = (uint32_t)(status & 0x7f ? 128 + (status & 0x7f) : (status >> 8) & 0xff);
	return ended;
}

static void answer(const struct hook *h, uint32_t status)
{
	struct {
		struct control_reply head;
		struct control_hook_result result;
	} packet = {
	    .head = {.magic = CONTROL_MAGIC,
		     .version = CONTROL_VERSION,
		     .op = CONTROL_RUN_HOOK,
		     .size = sizeof(packet.result)},
	    .result = {.status = status, .timed_out = h->timed_out},
	};

	if (send(h->client, &packet, sizeof(packet), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_warn("control: answering: %s", strerror(errno));
}

static void hook_free(struct hook *h)
{
	waitqueue_remove(&h->entry);
	ktimer_cancel(h->boot->kernel, &h->timeout);
	ktimer_cancel(h->boot->kernel, &h->ended);
	tg_put(h->tg);
	close(h->client);
	free(h);
}

static void hook_ended(struct ktimer *timer)
{
	struct hook *h = container_of(timer, struct hook, ended);
	uint32_t status;

	if (!has_ended(h, &status))
		return;
	answer(h, status);
	hook_free(h);
}

static void hook_timed_out(struct ktimer *timer)
{
	struct hook *h = container_of(timer, struct hook, timeout);
	struct abi_siginfo info = {.signo = ABI_SIGKILL, .code = ABI_SI_USER};

	h->timed_out = true;
	signal_send_outside(h->tg, ABI_SIGKILL, &info);
}

/* Under the queue's lock. */
static bool exit_woken(struct wait_entry *e, uint32_t events)
{
	struct hook *h = container_of(e, struct hook, entry);

	(void)events;
	ktimer_arm(h->boot->kernel, &h->ended, 0);
	return false;
}

/* Takes the reference to t over. */
static int start(struct boot *b, struct task *t, uint32_t timeout_seconds, int client)
{
	struct hook *h = xnew(struct hook);
	int err;

	h->boot = b;
	h->tg = tg_get(t->tg);
	h->client = client;
	h->entry = (struct wait_entry){.mask = ~0u, .func = exit_woken};
	list_init(&h->entry.link);
	ktimer_init(&h->ended, hook_ended);
	ktimer_init(&h->timeout, hook_timed_out);
	waitqueue_add(&h->tg->exit_wait, &h->entry);
	if (timeout_seconds)
		ktimer_arm(b->kernel, &h->timeout,
			   time_monotonic_ns() + timeout_seconds * 1000000000ull);
	err = task_start_init(t);
	if (err)
		hook_free(h);
	return err;
}

int boot_hook_start(struct boot *b, const void *payload, size_t size, int client)
{
	const char *path, **argv, **envp;
	struct init_config config = {0};
	struct control_hook head;
	const void *input;
	struct task *t;
	int err, copy;

	if (!b->init)
		return -EALREADY;
	err = control_parse_hook(payload, size, &head, &path, &argv, &envp, &input);
	if (err)
		return err;
	config.path = path;
	config.argv = (char *const *)argv;
	config.envp = (char *const *)envp;
	err = create_task(b, &config, input, head.input_size, &t);
	free(argv);
	free(envp);
	if (err)
		return err;
	copy = fcntl(client, F_DUPFD_CLOEXEC, 3);
	return start(b, t, head.timeout_seconds, copy);
}
