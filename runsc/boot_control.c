/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket's server, on the event thread: one connection, one request, one reply. What
 * comes in is checked as control.h says; nothing here waits for a guest.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "abi/poll.h"
#include "abi/signal.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "base/timeline.h"
#include "platform/platform.h"
#include "runsc/boot.h"
#include "runsc/control.h"
#include "sentry/fs/gofer/gofer_fs.h"
#include "sentry/kernel/cputime.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/process.h"
#include "sentry/kernel/signal.h"
#include "sentry/kernel/stats.h"
#include "sentry/kernel/syscall.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/unsupported.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/patch.h"
#include "sentry/mm/usermem.h"
#include "sentry/tty/tty.h"

#define PS_ROWS_MAX (CONTROL_PAYLOAD_MAX / sizeof(struct control_ps_row))

struct answer {
	struct control_reply head;
	struct strbuf payload;
	bool later; /* somebody else answers */
};

static int do_start(struct boot *b)
{
	struct task *init = b->init;

	if (!init)
		return -EALREADY;
	b->init = NULL;
	timeline_mark("asked to start");
	boot_settle_later(b);
	return task_start_init(init);
}

/* From outside the PID namespace: sender 0, so that even the first process obeys SIGKILL, SIGSTOP.
 */
static int do_kill(struct boot *b, const struct control_request *r)
{
	struct kernel *k = b->kernel;
	struct abi_siginfo info = {.signo = r->kill.signo, .code = ABI_SI_USER};
	struct thread_group *tg;
	int err;

	if (r->kill.signo < 1 || r->kill.signo > 64)
		return -EINVAL;
	if (r->kill.all)
		return signal_send_all(k, r->kill.signo, &info);
	tg = tg_find(k, r->kill.pid ? r->kill.pid : 1);
	if (!tg)
		return -ESRCH;
	err = signal_send_outside(tg, r->kill.signo, &info);
	tg_put(tg);
	return err;
}

static uint32_t tty_number(struct task *t)
{
	struct tty *tty = tty_of_task(t);
	uint64_t rdev;

	if (!tty)
		return 0;
	rdev = tty_rdev(tty);
	tty_put(tty);
	return rdev >> 8 == 136 ? (uint32_t)(rdev & 0xff) + 1 : ~0u;
}

/* The command line from the process's memory: the guest's, so cut and cleaned. */
static void fill_args(struct task *t, char *out, size_t size)
{
	struct mm *mm = task_mm_get(t);
	uint64_t start, end;
	ssize_t n;

	out[0] = '\0';
	if (!mm)
		return;
	mm_lock(mm);
	start = mm_layout(mm)->arg_start;
	end = mm_layout(mm)->arg_end;
	mm_unlock(mm);
	n = end > start ? (ssize_t)MIN(end - start, (uint64_t)size - 1) : 0;
	n = n ? read_task_memory(t, task_program(t), uaddr(start), out, (size_t)n) : 0;
	mm_put(mm);
	if (n < 0)
		n = 0;
	while (n > 0 && out[n - 1] == '\0')
		n--;
	for (ssize_t i = 0; i < n; i++)
		if ((unsigned char)out[i] < 0x20)
			out[i] = ' ';
	out[n] = '\0';
}

static void fill_row(struct boot *b, struct thread_group *tg, struct task *t,
		     struct control_ps_row *row)
{
	const struct cred *c = task_cred_get(t);
	struct cputime cpu;
	struct kernel *k = b->kernel;

	memset(row, 0, sizeof(*row));
	row->pid = tg->tgid;
	mutex_lock(&k->tasks_lock);
	row->ppid = tg->parent ? tg->parent->tgid : 0;
	mutex_unlock(&k->tasks_lock);
	row->uid = c->euid;
	cred_put(c);
	row->tty = tty_number(t);
	row->start_seconds =
	    (int64_t)((k->boot_realtime_ns + t->start_time - k->boot_monotonic_ns) / 1000000000ull);
	cputime_of_process(tg, &cpu);
	row->cpu_ms = (cpu.utime + cpu.stime) / 1000000ull;
	mutex_lock(&tg->siglock);
	memcpy(row->comm, t->comm, sizeof(row->comm));
	mutex_unlock(&tg->siglock);
	row->comm[sizeof(row->comm) - 1] = '\0';
	fill_args(t, row->args, sizeof(row->args));
}

/* The next process after *pid: references, or false. */
static bool next_process(struct kernel *k, int32_t *pid, struct thread_group **ret_tg,
			 struct task **ret_task)
{
	bool found = false;
	struct task *t;
	int64_t id;

	mutex_lock(&k->tasks_lock);
	for (id = idmap_next(&k->tids, (uint32_t)*pid + 1, (void **)&t); id >= 0;
	     id = idmap_next(&k->tids, (uint32_t)id + 1, (void **)&t)) {
		if (t->tg->tgid != id)
			continue;
		*pid = (int32_t)id;
		*ret_tg = tg_get(t->tg);
		*ret_task = task_get(t);
		found = true;
		break;
	}
	mutex_unlock(&k->tasks_lock);
	return found;
}

static int do_ps(struct boot *b, const struct control_request *r, struct answer *a)
{
	int32_t pid = r->ps.after_pid;
	struct thread_group *tg;
	struct task *t;
	size_t rows = 0;

	if (pid < 0 || pid >= PID_MAX)
		return -EINVAL;
	while (next_process(b->kernel, &pid, &tg, &t)) {
		struct control_ps_row row;

		if (rows == PS_ROWS_MAX) {
			a->head.more = 1;
			task_put(t);
			tg_put(tg);
			break;
		}
		fill_row(b, tg, t, &row);
		strbuf_add(&a->payload, &row, sizeof(row));
		rows++;
		task_put(t);
		tg_put(tg);
	}
	return 0;
}

/* Calls whose buffers no window held, by name. */
static void report_copies(const struct platform_stats *s, const struct kernel *k,
			  struct strbuf *out)
{
	for (uint32_t nr = 0; nr < MIN(k->table_count, (uint32_t)PLATFORM_CALLS_MAX); nr++)
		if (s->copied_by_call[nr] && k->table[nr].name)
			strbuf_addf(out, "counter %" PRIu32 " copied.%s\n", s->copied_by_call[nr],
				    k->table[nr].name);
}

void boot_stats(struct boot *b, struct strbuf *out)
{
	struct platform_stats s = b->last_stats;

	if (b->platform)
		platform_get_stats(b->platform, &s);
#define ROW(name, text) strbuf_addf(out, "counter %" PRIu64 " " #name "\n", s.name);
	PLATFORM_COUNTERS(ROW)
#undef ROW
	report_copies(&s, b->kernel, out);
	gofer_client_report(b->gofer, out);
	stats_report(b->kernel, out);
	unsupported_report(out);
}

static int do_run_hook(struct boot *b, const struct control_request *r, const void *payload,
		       int client, struct answer *a)
{
	int err = boot_hook_start(b, payload, r->size, client);

	a->later = !err;
	return err;
}

/* The address space of one process. */
static int patch_process(struct boot *b, int32_t pid, enum patch_mode mode)
{
	struct task *t;
	struct mm *mm;

	if (pid < 0 || mode == PATCH_MODE_CHURN)
		return -EINVAL;
	if (!patch_possible(b->kernel))
		return mode == PATCH_MODE_OFF ? 0 : -EOPNOTSUPP;
	t = task_find(b->kernel, pid);
	if (!t)
		return -ESRCH;
	mm = task_mm_get(t);
	task_put(t);
	if (!mm)
		return -ESRCH;
	patch_mm_switch(b->kernel, mm, mode == PATCH_MODE_ON);
	mm_put(mm);
	return 0;
}

static int do_patch(struct boot *b, const struct control_request *r)
{
	if (r->patch.mode > PATCH_MODE_CHURN)
		return -EINVAL;
	if (r->patch.pid)
		return patch_process(b, r->patch.pid, (enum patch_mode)r->patch.mode);
	return patch_switch(b->kernel, (enum patch_mode)r->patch.mode);
}

static int serve(struct boot *b, const struct control_request *r, const void *payload, int client,
		 struct answer *a)
{
	switch (r->op) {
	case CONTROL_START:
		return do_start(b);
	case CONTROL_KILL:
		return do_kill(b, r);
	case CONTROL_PS:
		return do_ps(b, r, a);
	case CONTROL_RUN_HOOK:
		return do_run_hook(b, r, payload, client, a);
	case CONTROL_STATS:
		boot_stats(b, &a->payload);
		return 0;
	case CONTROL_PATCH:
		return do_patch(b, r);
	default:
		return -EOPNOTSUPP;
	}
}

/*
 * The socket's mode (0600, its owner's, set before it listens) is what keeps others away: in the
 * sandbox's user namespace the host's root and every other unmapped id look alike.
 */
static bool peer_allowed(struct boot *b, int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return false;
	return peer.uid == 0 || peer.uid == b->args->owner_uid || peer.uid == SANDBOX_UID;
}

static void answer_and_close(int fd, struct answer *a)
{
	struct strbuf packet = STRBUF_INIT;

	if (a->payload.size > CONTROL_PAYLOAD_MAX)
		a->payload.size = CONTROL_PAYLOAD_MAX;
	a->head.size = (uint32_t)a->payload.size;
	strbuf_add(&packet, &a->head, sizeof(a->head));
	if (a->payload.size)
		strbuf_add(&packet, a->payload.data, a->payload.size);
	if (send(fd, packet.data, packet.size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_warn("control: answering: %s", strerror(errno));
	strbuf_free(&packet);
}

/* One packet is the whole request. */
static void serve_packet(struct boot *b, int fd)
{
	struct answer a = {.head = {.magic = CONTROL_MAGIC, .version = CONTROL_VERSION}};
	char *packet = xmalloc(CONTROL_REQUEST_MAX + 1);
	struct control_request r;
	ssize_t n = recv(fd, packet, CONTROL_REQUEST_MAX + 1, MSG_DONTWAIT);

	if (n > 0) {
		a.head.err = control_check_request(packet, (size_t)n, &r);
		if (!a.head.err) {
			a.head.op = r.op;
			a.head.err = serve(b, &r, packet + sizeof(r), fd, &a);
		}
		if (!a.later)
			answer_and_close(fd, &a);
	}
	strbuf_free(&a.payload);
	free(packet);
}

static void client_close(struct control_client *c)
{
	int fd = c->hp.fd;

	hostpoll_remove(c->boot->kernel, &c->hp);
	close(fd);
}

static void client_ready(struct hostpoll *hp, uint32_t events)
{
	struct control_client *c = container_of(hp, struct control_client, hp);

	(void)events;
	serve_packet(c->boot, hp->fd);
	client_close(c);
}

/* A free place; if all are taken by clients that say nothing, that of the one who came first. */
static struct control_client *client_place(struct boot *b)
{
	struct control_client *oldest = &b->control_clients[0];

	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		struct control_client *c = &b->control_clients[i];

		if (!c->hp.id)
			return c;
		if (c->number < oldest->number)
			oldest = c;
	}
	client_close(oldest);
	return oldest;
}

/* Nobody is waited for: the event thread serves terminals and timers as well. */
static void client_new(struct boot *b, int fd)
{
	struct control_client *c = client_place(b);

	c->boot = b;
	c->number = ++b->control_client_number;
	c->hp.fd = fd;
	c->hp.func = client_ready;
	if (hostpoll_add(b->kernel, &c->hp) < 0)
		close(fd);
	else
		hostpoll_arm(b->kernel, &c->hp, ABI_POLLIN);
}

static void control_ready(struct hostpoll *hp, uint32_t events)
{
	struct boot *b = container_of(hp, struct boot, control);
	int fd;

	(void)events;
	while ((fd = accept4(hp->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		if (peer_allowed(b, fd))
			client_new(b, fd);
		else
			close(fd);
	}
}

void boot_control_start(struct boot *b)
{
	boot_watch(b, &b->control, b->args->control_fd, ABI_POLLIN, control_ready);
}
