/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/guest/minisentry.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "abi/signal.h"
#include "abi/stat.h"
#include "base/fd.h"
#include "base/feature.h"
#include "base/hostcall.h"
#include "base/log.h"
#include "base/mem.h"
#include "platform/copyplan.h"

#define LEASE_SIZE 8192
#define LEASE_WHAT (PLATFORM_LEASE_READ | PLATFORM_LEASE_STAT)

__asm__(".pushsection .rodata\n"
	"guest_image: .incbin \"" GUEST_BIN "\"\n"
	"guest_image_end: .byte 0\n"
	".popsection\n");
extern const uint8_t guest_image[] __attribute__((visibility("hidden")));
extern const uint8_t guest_image_end[] __attribute__((visibility("hidden")));

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* "m" in the guards */
static struct mini *the_mini;
static int file_of_f = -1;

uint64_t mini_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

static const struct copyplan *plans(void)
{
	static struct copyplan table[G_LAST + 1];

	table[G_IN] = (struct copyplan){1, 0, {{0, COPYWIN_IN, 1, 0, 1}}};
	table[G_OUT] = (struct copyplan){1, 0, {{0, COPYWIN_OUT, 1, 0, 1}}};
	table[G_STR] = (struct copyplan){1, 0, {{0, COPYWIN_CSTR, COPYWIN_FIXED, 0, 4096}}};
	return table;
}

static void reply_ret(struct guest *g, int64_t ret)
{
	struct platform_reply r = {.set_ret = true, .ret = ret};

	platform_reply(g->pt, &r);
}

/* With the lock held: a child of g is gone. */
static bool child_gone_locked(struct guest *g)
{
	g->dead_children++;
	if (!g->waiting || g->dead_children < g->wait_for)
		return false;
	g->dead_children -= g->wait_for;
	g->waiting = false;
	return true;
}

static void orphan_children_locked(struct guest *dead)
{
	for (uint32_t i = 0; i < 4096; i++)
		if (the_mini->guests[i] && the_mini->guests[i]->parent == dead)
			the_mini->guests[i]->parent = NULL;
}

static void dead(void *cookie, struct platform_thread *t, bool killed_by_host)
{
	struct guest *g = cookie, *parent;
	bool wake = false, last;

	check(g->pt == t);
	pthread_mutex_lock(&lock);
	the_mini->deaths++;
	if (killed_by_host)
		the_mini->host_kills++;
	if (g->done && g->result != 0 && the_mini->result == 0)
		the_mini->result = g->result;
	parent = g->parent;
	if (parent && g->vfork_parent_waits) {
		parent->vfork_child_gone = g->number;
		wake = parent->vfork_reported;
	} else if (parent) {
		wake = child_gone_locked(parent);
	}
	the_mini->guests[g->number % 4096] = NULL;
	orphan_children_locked(g);
	if (wake)
		reply_ret(parent, g->vfork_parent_waits ? (int64_t)g->number : 0);
	last = --the_mini->alive == 0;
	pthread_mutex_unlock(&lock);
	platform_thread_put(t);
	free(g);
	if (last)
		platform_interrupt(the_mini->p);
}

static void broken(void *cookie, const char *why)
{
	(void)cookie;
	log_error("broken: %s", why);
	the_mini->broken = true;
}

static const struct platform_callbacks callbacks = {dead, broken, NULL};

uint64_t mini_force;

const char *mini_platform = "notify";

void mini_start(struct mini *m, uint32_t spares, uint64_t without)
{
	static const struct platform_answer_call answers[] = {
	    {39, false}, {124, true}, {24, false}};
	struct platform_config config = {.name = mini_platform,
					 .callbacks = &callbacks,
					 .answer_calls = answers,
					 .answer_count = 3,
					 .copyplans = plans(),
					 .copyplan_count = G_LAST + 1,
					 .spare_count = spares,
					 .without = without,
					 .force = mini_force};
	char dir[] = "/tmp/minisentry.XXXXXX";
	const char *why = "";
	uint8_t fs[8192];
	int err;

	check(mkdtemp(dir));
	config.exec_dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	features_switch(without, mini_force);
	log_setup(2, false, getenv("PLATFORM_DEBUG") ? LOG_DEBUG : LOG_ERROR, "test");
	if (getenv("PLATFORM_DEBUG"))
		log_set_channels(LOGC_ALL);
	memset(m, 0, sizeof(*m));
	the_mini = m;
	memset(fs, 'f', sizeof(fs));
	if (file_of_f < 0)
		file_of_f = host_memfd("f", HOST_MEMFD_DATA);
	check(pwrite(file_of_f, fs, sizeof(fs), 0) == sizeof(fs));
	err = platform_new(&config, &m->p, &why);
	close(config.exec_dir_fd);
	rmdir(dir);
	if (err < 0)
		panic("platform_new: %s: %s", why, strerror(-err));
	check(platform_start(m->p) == 0);
}

void mini_stop(struct mini *m)
{
	platform_destroy(m->p);
}

static struct guest *guest_new(struct mini *m, struct guest *parent)
{
	struct guest *g = xnew(struct guest);

	pthread_mutex_lock(&lock);
	g->number = ++m->next_number;
	g->parent = parent;
	m->alive++;
	m->guests[g->number % 4096] = g;
	pthread_mutex_unlock(&lock);
	return g;
}

/* From now on those who kick and kill everybody may see it: not before the platform has made it. */
static void guest_has_thread(struct guest *g, struct platform_thread *pt)
{
	pthread_mutex_lock(&lock);
	g->pt = pt;
	pthread_mutex_unlock(&lock);
}

static void guest_drop(struct mini *m, struct guest *g)
{
	pthread_mutex_lock(&lock);
	m->alive--;
	m->guests[g->number % 4096] = NULL;
	pthread_mutex_unlock(&lock);
	free(g);
}

struct guest *mini_spawn(struct mini *m, long program, long arg, long arg2)
{
	struct guest *g = guest_new(m, NULL);
	struct platform_thread *pt;
	int err;

	g->program = program;
	g->arg = arg;
	g->arg2 = arg2;
	err = platform_mm_new(m->p, g, &pt);
	if (err < 0)
		panic("platform_mm_new: %s", strerror(-err));
	guest_has_thread(g, pt);
	return g;
}

/*
 * First reply of a fresh process, or of one that is to begin anew: memory, then a report; the image
 * is written at that.
 */
static void load(struct guest *g, const struct memop *clear)
{
	static const char text[] = "written";
	struct memop ops[5] = {
	    {.type = MEMOP_MMAP_ANON,
	     .prot = PROT_READ | PROT_WRITE | PROT_EXEC,
	     .addr = GUEST_BASE,
	     .size = GUEST_SIZE},
	    {.type = MEMOP_MMAP_ANON,
	     .prot = PROT_READ | PROT_WRITE,
	     .addr = GUEST_STACK,
	     .size = GUEST_STACK_SIZE},
	    {.type = MEMOP_WRITE, .addr = GUEST_STACK, .size = sizeof(text), .data = text},
	    {.type = MEMOP_ZERO, .addr = GUEST_STACK + 1, .size = 1}};
	struct platform_reply r = {.memops = ops, .memop_count = 4, .report = true};

	if (clear) {
		memmove(&ops[1], &ops[0], 4 * sizeof(ops[0]));
		ops[0] = *clear;
		r.memop_count = 5;
	}

	platform_reply(g->pt, &r);
}

static void start_program(struct guest *g)
{
	size_t size = (size_t)(guest_image_end - guest_image);
	struct platform_reply r = {.set_regs = true};

	check(platform_write(g->pt, platform_thread_mm(g->pt), GUEST_BASE, guest_image, size) ==
		  size ||
	      the_mini->killing);
	r.regs.rip = GUEST_BASE;
	r.regs.rsp = GUEST_STACK + GUEST_STACK_SIZE - 8;
	r.regs.rdi = (uint64_t)g->program;
	r.regs.rsi = (uint64_t)g->arg;
	r.regs.rdx = (uint64_t)g->arg2;
	r.regs.rflags = 0x202;
	g->program = -1;
	platform_reply(g->pt, &r);
}

/* --- calls --- */

static void do_in(struct guest *g, const uint64_t *a, bool windows)
{
	size_t size = a[1] < 1 << 20 ? a[1] : 1 << 20, n;
	uint8_t *buf = xmalloc(size + 1);
	uint64_t sum = 0;

	n = platform_read(windows ? g->pt : NULL, platform_thread_mm(g->pt), a[0], buf, size);
	for (size_t i = 0; i < n; i++)
		sum += buf[i];
	free(buf);
	reply_ret(g, n < size ? -EFAULT : (int64_t)sum);
}

static void do_out(struct guest *g, const uint64_t *a)
{
	size_t n = a[2] < 1 << 20 ? a[2] : 1 << 20, half = n / 2;
	uint8_t *buf = xmalloc(n + 1);
	struct platform_mm *mm = platform_thread_mm(g->pt);
	bool ok;

	for (size_t i = 0; i < n; i++)
		buf[i] = (uint8_t)('a' + i % 26);
	ok = platform_write(g->pt, mm, a[0], buf, half) == half &&
	     platform_write(g->pt, mm, a[0] + half, buf + half, n - half) == n - half;
	free(buf);
	reply_ret(g, ok ? (int64_t)n : -EFAULT);
}

static void do_str(struct guest *g, const uint64_t *a)
{
	char buf[64] = "";
	size_t n = 0;
	const char *s = platform_window_rest(g->pt, a[0], &n);

	n = n < sizeof(buf) ? n : sizeof(buf);
	if (s)
		memcpy(buf, s, n);
	for (; !s && n < sizeof(buf); n++)
		if (platform_read(g->pt, platform_thread_mm(g->pt), a[0] + n, buf + n, 1) != 1)
			break;
	reply_ret(g, memchr(buf, 0, n) ? (int64_t)strlen(buf) : -EFAULT);
}

static void do_clone(struct mini *m, struct guest *g, enum platform_clone kind, const uint64_t *a)
{
	struct guest *child = guest_new(m, g);
	struct platform_reply r = {
	    .set_ret = true, .order = PORD_CLONE, .report = kind == PCLONE_VFORK};
	struct memop op = {.type = MEMOP_MPROTECT,
			   .prot = PROT_READ | PROT_WRITE,
			   .addr = GUEST_SCRATCH,
			   .size = 4096};
	struct platform_thread *pt;
	bool lent = kind == PCLONE_VFORK && platform_can_lend(g->pt);
	int err = platform_clone_prepare(g->pt, lent ? PCLONE_LENT : kind, child, &pt);

	if (err < 0) {
		guest_drop(m, child);
		reply_ret(g, err);
		return;
	}
	guest_has_thread(child, pt);
	child->handler = g->handler;
	child->restorer = g->restorer;
	child->program = -1;
	child->is_thread = kind != PCLONE_FORK;
	child->vfork_parent_waits = kind == PCLONE_VFORK;
	g->vfork_reported = lent;
	g->vfork_child_gone = 0;
	if (kind != PCLONE_FORK) {
		child->arg = (long)a[1];
		child->arg2 = (long)a[2];
		child->start = *platform_regs(g->pt);
		child->start.rip = a[0];
		child->start.rdi = a[1];
		child->start.rsp = a[2];
	}
	r.ret = child->number;
	r.child = child->pt;
	if (kind == PCLONE_THREAD && a[3] != GC_PLAIN) {
		op.addr += a[3] == GC_FAILS ? op.size : 0;
		r.memops = &op;
		r.memop_count = 1;
	}
	g->clone_child = child;
	if (lent)
		platform_lend(pt);
	else
		platform_reply(g->pt, &r);
}

static void do_wait(struct guest *g, uint32_t count)
{
	bool now;

	pthread_mutex_lock(&lock);
	now = g->dead_children >= count;
	if (now)
		g->dead_children -= count;
	g->waiting = !now;
	g->wait_for = count;
	pthread_mutex_unlock(&lock);
	if (now)
		reply_ret(g, 0);
}

static void do_memop(struct guest *g, struct memop op)
{
	struct platform_reply r = {.set_ret = true, .memops = &op, .memop_count = 1};

	platform_reply(g->pt, &r);
}

static void do_mapping_call(struct guest *g, uint64_t nr, const uint64_t *a)
{
	struct memop op = {.addr = a[0], .size = a[1]};

	switch (nr) {
	case G_MMAP:
		op.type = MEMOP_MMAP_ANON;
		op.prot = (uint32_t)a[2];
		break;
	case G_MUNMAP:
		op.type = MEMOP_MUNMAP;
		break;
	case G_MPROTECT:
		op.type = MEMOP_MPROTECT;
		op.prot = (uint32_t)a[2];
		break;
	case G_MMAP_FD:
		op.type = MEMOP_MMAP_FD;
		op.prot = PROT_READ;
		op.fd = file_of_f;
		break;
	case G_MREMAP:
		op.type = MEMOP_MREMAP;
		op.new_addr = a[2];
		op.new_size = a[3];
		break;
	default:
		op.type = MEMOP_VDSO;
	}
	do_memop(g, op);
}

static int64_t give_lease(struct platform_thread *pt, int fd)
{
	static const struct abi_stat st = {.size = LEASE_SIZE, .nlink = 77};
	const struct platform_lease l = {.fd = 7, .size = LEASE_SIZE, .mapped = true, .stat = &st};
	uint8_t bytes[LEASE_SIZE];

	memset(bytes, 'l', sizeof(bytes));
	check(pwrite(fd, bytes, sizeof(bytes), 0) == sizeof(bytes));
	platform_lease_set(pt, 1, &l);
	platform_lease_set_pos(pt, 1, true, 0);
	platform_lease_allow(pt, 1, LEASE_WHAT);
	return 0;
}

static void do_lease(struct guest *g, enum guest_lease what)
{
	static int fd = -1;
	struct memop op = {.type = what == GL_GIVE ? MEMOP_MMAP_FD : MEMOP_MUNMAP,
			   .flags = MEMOP_LEASE | (what == GL_GIVE ? MEMOP_SHARED : 0),
			   .prot = what == GL_GIVE ? PROT_READ : 0,
			   .addr = 1,
			   .size = PLATFORM_LEASE_SIZE};
	int64_t ret = 0;

	if (fd < 0)
		fd = host_memfd("l", HOST_MEMFD_DATA);
	op.fd = what == GL_GIVE ? fd : 0;
	if (what == GL_GIVE)
		give_lease(g->pt, fd);
	else if (what == GL_TAKE)
		platform_lease_revoke(g->pt, 1, LEASE_WHAT);
	else if (what == GL_ALLOW)
		platform_lease_allow(g->pt, 1, LEASE_WHAT);
	else if (what == GL_ALLOWED)
		ret = platform_lease_allowed(g->pt, 1);
	else if (what == GL_POS)
		ret = platform_lease_pos(g->pt, 1);
	else if (what == GL_CUT)
		ret = ftruncate(fd, LEASE_SIZE / 2);
	if (what == GL_GIVE || what == GL_UNMAP)
		do_memop(g, op);
	else
		reply_ret(g, ret);
}

static void do_exec(struct guest *g, const uint64_t *a)
{
	struct memop clear = {.type = MEMOP_CLEAR, .addr = a[3]};

	if (!platform_can_clear(g->pt)) {
		reply_ret(g, -EBUSY);
		return;
	}
	g->cleared = true;
	g->program = (long)a[0];
	g->arg = (long)a[1];
	g->arg2 = (long)a[2];
	load(g, &clear);
}

static void do_atomic(struct guest *g, const uint64_t *a)
{
	struct platform_reply r = {.order = PORD_ATOMIC,
				   .va = a[0],
				   .atomic_op = (enum platform_atomic)a[1],
				   .atomic_operand = (uint32_t)a[2],
				   .atomic_expected = (uint32_t)a[3]};

	platform_reply(g->pt, &r);
}

static void deliver(struct guest *g, int signo, const struct platform_fault *f, bool set_ret,
		    int64_t ret)
{
	struct platform_sigframe frame = {.handler = g->handler,
					  .restorer = g->restorer,
					  .stack_top = platform_regs(g->pt)->rsp - 128,
					  .signo = signo};
	struct abi_siginfo info = {.signo = signo};
	struct platform_reply r = {.frame = &frame, .set_ret = set_ret, .ret = ret};

	if (f) {
		info.code = f->code;
		info.fault.addr = f->addr;
		frame.trapno = f->trapno;
		frame.error_code = f->error_code;
		frame.cr2 = f->addr;
	}
	memcpy(frame.siginfo, &info, sizeof(info));
	platform_reply(g->pt, &r);
}

static void do_done(struct guest *g, long value)
{
	g->done = true;
	g->result = value;
	platform_kill(g->pt);
}

static void *kicker(void *arg)
{
	struct guest *g = arg;

	usleep(2000);
	platform_kick(g->pt);
	return NULL;
}

static void do_kick(struct guest *g)
{
	pthread_t thread;

	check(pthread_create(&thread, NULL, kicker, g) == 0);
	pthread_detach(thread);
	reply_ret(g, 0);
}

static void call(struct mini *m, struct guest *g, const struct platform_event *ev)
{
	const uint64_t *a = ev->call.arg;

	if (m->at_call)
		m->at_call(g, ev->call.nr);
	switch (ev->call.nr) {
	case G_DONE:
		return do_done(g, (long)a[0]);
	case G_NOP:
		return reply_ret(g, (int64_t)a[0] + 1);
	case G_IN:
		return do_in(g, a, true);
	case G_SLOW_IN:
		return do_in(g, a, false);
	case G_OUT:
		return do_out(g, a);
	case G_STR:
		return do_str(g, a);
	case G_FORK:
		return do_clone(m, g, PCLONE_FORK, a);
	case G_CLONE:
		return do_clone(m, g, PCLONE_THREAD, a + 1);
	case G_VFORK:
		return do_clone(m, g, PCLONE_VFORK, a);
	case G_WAIT:
		return do_wait(g, (uint32_t)a[0]);
	case G_EXIT:
		return platform_reply(g->pt, &(struct platform_reply){.order = PORD_EXIT});
	case G_MMAP:
	case G_MUNMAP:
	case G_MPROTECT:
	case G_MMAP_FD:
	case G_MREMAP:
	case G_VDSO:
		return do_mapping_call(g, ev->call.nr, a);
	case G_HANDLER:
		g->handler = a[0];
		g->restorer = a[1];
		return reply_ret(g, 0);
	case G_SIGRETURN:
		g->in_handler = false;
		return platform_reply(g->pt,
				      &(struct platform_reply){.order = PORD_SIGRETURN,
							       .va = platform_regs(g->pt)->rsp});
	case G_EXEC:
		return do_exec(g, a);
	case G_LEASE:
		return do_lease(g, (enum guest_lease)a[0]);
	case G_ATOMIC:
		return do_atomic(g, a);
	case G_KICK_ME:
		platform_kick(g->pt);
		return reply_ret(g, 3);
	case G_KICK:
		return do_kick(g);
	case G_ANSWERS:
		platform_answers_set(g->pt, (uint64_t[]){a[0], a[0] + 1, 0}, (uint32_t)a[1]);
		g->answer = (long)a[0];
		return reply_ret(g, 0);
	case G_SELF:
		return reply_ret(g, g->number);
	case G_RESTART:
		g->restarted = !g->restarted;
		return platform_reply(g->pt, &(struct platform_reply){.restart = g->restarted,
								      .set_ret = !g->restarted,
								      .ret = 7});
	case 39: /* on a platform that has no answers in the stub */
		return reply_ret(g, g->answer && !strcmp(mini_platform, "ptrace") ? g->answer
										  : -ENOSYS);
	case 202: /* a futex wait of the host, ended by a kick */
		atomic_fetch_add(&m->interrupted_waits, 1);
		return platform_reply(g->pt, &(struct platform_reply){.restart = true});
	case 96:
		return reply_ret(g, 12345);
	default:
		return reply_ret(g, -ENOSYS);
	}
}

static void fault(struct guest *g, const struct platform_event *ev)
{
	if (g->handler)
		deliver(g, ev->fault.signo, &ev->fault, false, 0);
	else
		do_done(g, -ev->fault.signo);
}

static void started(struct guest *g)
{
	struct platform_reply r = {.set_regs = true};

	if (g->program >= 0) {
		load(g, NULL);
	} else if (g->is_thread) {
		r.regs = g->start;
		platform_reply(g->pt, &r);
	} else {
		reply_ret(g, 0);
	}
}

/* Goes on when the child is gone, which may have been before it could report. */
static void vfork_reported(struct guest *g)
{
	long child;

	pthread_mutex_lock(&lock);
	child = g->vfork_child_gone;
	g->vfork_reported = child == 0;
	pthread_mutex_unlock(&lock);
	if (child)
		reply_ret(g, child);
}

/* The clone wasn't made. */
static void clone_failed(struct guest *g, int error)
{
	struct guest *child = g->clone_child;

	platform_thread_put(child->pt);
	guest_drop(the_mini, child);
	reply_ret(g, error);
}

static void report(struct guest *g, const struct platform_event *ev)
{
	const struct platform_report *r = &ev->report;

	if (g->program >= 0) {
		if (r->step != PREP_DONE)
			panic("load: step %u memop %u: %s", r->step, r->memop_index,
			      strerror(-r->error));
		start_program(g);
	} else if (g->ev.type == PEV_CALL && g->ev.call.nr == G_VFORK && r->step == PREP_DONE) {
		vfork_reported(g);
	} else if (g->ev.type == PEV_CALL && g->ev.call.nr == G_CLONE) {
		clone_failed(g, r->error);
	} else if (r->step == PREP_DONE) {
		reply_ret(g, (int64_t)r->value);
	} else {
		reply_ret(g, r->error);
	}
}

/* Handlers of kicks don't nest: their frames would fill any stack. */
static void kicked(struct guest *g)
{
	if (!g->handler || g->in_handler) {
		platform_reply(g->pt, &(struct platform_reply){0});
		return;
	}
	g->in_handler = true;
	deliver(g, 10, NULL, false, 0);
}

bool mini_step(struct mini *m)
{
	struct platform_event ev;
	struct guest *g;
	int err = platform_next(m->p, &ev);

	if (err == -EINTR || (err == -ENOTCONN && m->broken))
		return false;
	if (err < 0)
		panic("platform_next: %s", strerror(-err));
	g = ev.cookie;
	check(g->pt == ev.thread);
	if (ev.type == PEV_REPORT) {
		report(g, &ev);
		return true;
	}
	if (ev.type == PEV_STARTED) {
		if (m->at_call)
			m->at_call(g, 0);
		started(g);
		return true;
	}
	g->ev = ev;
	if (ev.type == PEV_SITE) {
		m->sites_told++;
		platform_reply(g->pt, &(struct platform_reply){0});
		return true;
	}
	if (ev.type == PEV_KICKED)
		atomic_fetch_add(&m->kicks, 1);
	if (ev.type == PEV_CALL)
		call(m, g, &ev);
	else if (ev.type == PEV_FAULT)
		fault(g, &ev);
	else
		kicked(g);
	return true;
}

void mini_event(struct mini *m)
{
	while (!mini_step(m))
		check(!m->broken);
}

static uint32_t alive(struct mini *m)
{
	uint32_t n;

	pthread_mutex_lock(&lock);
	n = m->alive;
	pthread_mutex_unlock(&lock);
	return n;
}

void mini_run(struct mini *m)
{
	while (alive(m) > 0)
		mini_step(m);
}

struct timer {
	struct mini *m;
	uint32_t ms;
	int cancel; /* readable when it is no longer needed */
};

static void *timer_main(void *arg)
{
	struct timer *t = arg;
	struct pollfd pfd = {.fd = t->cancel, .events = POLLIN};

	if (poll(&pfd, 1, (int)t->ms) == 0)
		platform_interrupt(t->m->p);
	return NULL;
}

bool mini_run_for(struct mini *m, uint32_t ms)
{
	uint64_t end = mini_now_ns() + ms * 1000000ull;
	struct timer t = {m, ms, eventfd(0, EFD_CLOEXEC)};
	pthread_t thread;

	check(t.cancel >= 0 && pthread_create(&thread, NULL, timer_main, &t) == 0);
	while (alive(m) > 0 && mini_now_ns() < end)
		mini_step(m);
	check(eventfd_write(t.cancel, 1) == 0);
	pthread_join(thread, NULL);
	close(t.cancel);
	return alive(m) == 0;
}

static void kill_all(struct mini *m)
{
	pthread_mutex_lock(&lock);
	for (uint32_t i = 0; i < 4096; i++)
		if (m->guests[i] && m->guests[i]->pt)
			platform_kill(m->guests[i]->pt);
	pthread_mutex_unlock(&lock);
}

uint32_t mini_kick_all(struct mini *m)
{
	uint32_t n = 0;

	pthread_mutex_lock(&lock);
	for (uint32_t i = 0; i < 4096; i++)
		if (m->guests[i] && m->guests[i]->pt) {
			platform_kick(m->guests[i]->pt);
			n++;
		}
	pthread_mutex_unlock(&lock);
	return n;
}

void mini_run_and_kill(struct mini *m, uint32_t ms)
{
	while (!mini_run_for(m, ms)) {
		m->killing = true;
		kill_all(m);
		ms = 5;
	}
	m->killing = false;
}
