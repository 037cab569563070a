/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory: through a window of the present call where one covers the range, else with
 * process_vm_readv/writev. Callers never know which it was. Where the host forbids that, a thread
 * of the guest that waits for its reply copies (backend.copy); and if none waits, /proc/PID/mem.
 *
 * What a window holds: [0, have) as read from the guest, and [low, high) as written by the sentry,
 * which overrides it. A write through a window must touch what was written before, so that
 * [low, high) has no hole whose content nobody chose; other writes go the slow way. A first small
 * write stays out of the window (platform_thread.small) until the reply, whose head can carry it if
 * it is very small.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/fd.h"
#include "platform/backend.h"
#include "platform/internal.h"

#define MAPS_MAX (64u << 20)

/* The window of t that holds va, or NULL. */
static struct window *window_at(struct platform_thread *t, uint64_t va)
{
	if (!t)
		return NULL;
	for (uint32_t i = 0; i < t->window_count; i++)
		if (va - t->windows[i].va < t->windows[i].size)
			return &t->windows[i];
	return NULL;
}

/* How many bytes can be read at offset `at`. */
static uint32_t readable_from(const struct window *w, uint32_t at)
{
	uint32_t end = at < w->have ? w->have : at;

	if (at >= w->low && at < w->high && w->high > end)
		end = w->high;
	if (end >= w->low && end < w->high)
		end = w->high;
	return end - at;
}

static bool writable_at(const struct window *w, uint32_t at, size_t size)
{
	if (!w->writable || size > w->size - at)
		return false;
	return w->low == w->high || (at <= w->high && at + size >= w->low);
}

void small_spill(struct platform_thread *t)
{
	const struct window *w = t->small_of;

	if (!w)
		return;
	memcpy(t->ch->window + w->offset + w->low, t->small, w->high - w->low);
	t->small_of = NULL;
}

static void note_written(struct window *w, uint32_t at, uint32_t size)
{
	if (w->low == w->high) {
		w->low = at;
		w->high = at + size;
		return;
	}
	w->low = MIN(w->low, at);
	w->high = MAX(w->high, at + size);
}

static ssize_t vm_call(struct platform *p, pid_t pid, uint64_t va, void *buf, size_t size,
		       bool write)
{
	if (p->without & FEATURE_BIT(PROCESS_VM))
		return -ENOSYS;
	struct iovec local = {buf, size}, remote = {(void *)va, size}; /* NOLINT: a guest address */
	ssize_t n = write ? process_vm_writev(pid, &local, 1, &remote, 1, 0)
			  : process_vm_readv(pid, &local, 1, &remote, 1, 0);

	return n < 0 ? -errno : n;
}

/*
 * The memory is there as long as one of its processes is, but the one that we asked for it may be
 * on its way out: after it in the list there is perhaps another. 0: none.
 */
static pid_t next_process(struct platform_mm *mm, pid_t gone)
{
	struct host_process *process;
	pid_t id = 0;
	bool found = false;

	mutex_lock(&mm->p->lock);
	list_for_each (process, &mm->processes, mm_link) {
		if (found) {
			id = process_vm_id(process);
			break;
		}
		found = process_vm_id(process) == gone;
	}
	mutex_unlock(&mm->p->lock);
	return id;
}

/*
 * Whether that thread is still one of the memory's. The id of a process stays taken until we have
 * reaped it; that of another thread is the host's to give away as soon as the thread has ended,
 * which a hostile one can do without a word: then it may be another process's by now.
 *
 *	thread, as the guest likes	sentry
 *	bell, interrupted by a kick;
 *	exits
 *	other processes come and go
 *	until one has its id		writes what the call returns: asks for the thread first
 */
static bool is_thread_of(struct platform_mm *mm, pid_t tid)
{
	struct platform *p = mm->p;
	const struct platform_thread *t;
	bool is;

	mutex_lock(&p->lock);
	t = idmap_get(&p->tids, (uint32_t)tid);
	is = t && t->mm == mm && t->process && !t->process->dead &&
	     syscall(SYS_tgkill, t->process->pid, tid, 0) == 0;
	mutex_unlock(&p->lock);
	return is;
}

/*
 * How many of the bytes from va on the process itself could read (write), from /proc/PID/maps,
 * which lists areas in ascending order. All of them if that can't be known.
 */
static size_t permitted(struct platform *p, pid_t pid, uint64_t va, size_t size, bool write)
{
	char path[32], *text, *save = NULL;
	uint64_t at = va;

	snprintf(path, sizeof(path), "%d/maps", (int)pid);
	if (fd_read_file(p->proc_fd, path, MAPS_MAX, &text, NULL) < 0)
		return size;
	for (char *line = strtok_r(text, "\n", &save); line && at - va < size;
	     line = strtok_r(NULL, "\n", &save)) {
		unsigned long start, end;
		char perms[5];

		if (sscanf(line, "%lx-%lx %4s", &start, &end, perms) != 3 || end <= at)
			continue;
		if (start > at || (write ? perms[1] != 'w' : perms[0] != 'r'))
			break;
		at = end;
	}
	free(text);
	return MIN((size_t)(at - va), size);
}

/*
 * The same through /proc/PID/mem, which takes no notice of protection (the host thinks that a
 * debugger is at work); so that is looked at first. Bytes, or negative errno.
 */
static ssize_t mem_call(struct platform *p, pid_t pid, uint64_t va, void *buf, size_t size,
			bool write)
{
	char path[32];
	cleanup_fd int fd = -1;
	ssize_t n;

	/* Who may trace may do this, so a platform that lives by that has no need of more. */
	if ((p->without & FEATURE_BIT(PROC_MEM)) && p->backend->copy)
		return -EACCES;
	size = permitted(p, pid, va, size, write);
	if (!size)
		return 0;
	snprintf(path, sizeof(path), "%d/mem", (int)pid);
	fd = openat(p->proc_fd, path, (write ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	n = write ? pwrite(fd, buf, size, (off_t)va) : pread(fd, buf, size, (off_t)va);
	return n < 0 ? -errno : n;
}

typedef ssize_t vm_func(struct platform *p, pid_t pid, uint64_t va, void *buf, size_t size,
			bool write);

/* The id by which t's memory is had, as process_vm_id; t itself is there if it is no liar. */
static pid_t vm_id_of(const struct platform_thread *t)
{
	pid_t id = process_vm_id(t->process);

	return id > 0 ? id : t->tid == t->process->pid ? t->tid : -t->tid;
}

static ssize_t vm_ask(struct platform_mm *mm, pid_t id, vm_func *func, uint64_t va, void *buf,
		      size_t size, bool write)
{
	if (unlikely(id < 0) && !is_thread_of(mm, -id))
		return -ESRCH;
	return func(mm->p, id < 0 ? -id : id, va, buf, size, write);
}

/* Asks the thread, then one process of the address space after the other until one is there. */
static ssize_t vm_try(struct platform_thread *t, struct platform_mm *mm, vm_func *func, uint64_t va,
		      void *buf, size_t size, bool write)
{
	ssize_t n = t && t->process ? vm_ask(mm, vm_id_of(t), func, va, buf, size, write) : -ESRCH;
	pid_t id;

	if (likely(n != -ESRCH))
		return n;
	id = atomic_load(&mm->vm_id);
	if (unlikely(!id) && !atomic_load(&mm->born)) {
		mm_await_birth(mm);
		id = atomic_load(&mm->vm_id);
	}
	for (; id && n == -ESRCH; id = next_process(mm, id))
		n = vm_ask(mm, id, func, va, buf, size, write);
	return n;
}

static bool is_denied(ssize_t n)
{
	return n == -EPERM || n == -EACCES || n == -ENOSYS;
}

static void count_copy(struct platform *p, const struct platform_thread *t, bool write)
{
	if (write)
		count_stat(vm_writes);
	else
		count_stat(vm_reads);
	if (t && t->call_nr < PLATFORM_CALLS_MAX)
		atomic_fetch_add_explicit(&p->copied_by_call[t->call_nr], 1, memory_order_relaxed);
}

static size_t vm_copy(struct platform_thread *t, struct platform_mm *mm, uint64_t va, void *buf,
		      size_t size, bool write)
{
	const struct platform_backend *backend = mm->p->backend;
	ssize_t n;

	if (va >= PLATFORM_GUEST_MAX || size == 0)
		return 0;
	count_copy(mm->p, t, write);
	n = vm_try(t, mm, vm_call, va, buf, size, write);
	if (unlikely(is_denied(n))) {
		n = backend->copy ? backend->copy(t, mm, va, buf, size, write) : -ESRCH;
		if (n == -ESRCH)
			n = vm_try(t, mm, mem_call, va, buf, size, write);
		if (is_denied(n))
			log_debug(LOGC_PLATFORM, "no way to guest memory: %s", strerror((int)-n));
	}
	return n < 0 ? 0 : (size_t)n;
}

size_t platform_read(struct platform_thread *t, struct platform_mm *mm, uint64_t va, void *buf,
		     size_t size)
{
	struct window *w = window_at(t, va);
	uint32_t at, have;

	if (!w)
		return vm_copy(t, mm, va, buf, size, false);
	at = (uint32_t)(va - w->va);
	have = readable_from(w, at);
	if (have < size)
		return vm_copy(t, mm, va, buf, size, false);
	small_spill(t);
	memcpy(buf, t->ch->window + w->offset + at, size);
	count_stat(window_reads);
	return size;
}

size_t platform_write(struct platform_thread *t, struct platform_mm *mm, uint64_t va,
		      const void *buf, size_t size)
{
	struct window *w = window_at(t, va);
	uint32_t at;

	if (size == 0)
		return 0;
	if (!w || !writable_at(w, (uint32_t)(va - w->va), size))
		return vm_copy(t, mm, va, (void *)(uintptr_t)buf, size, true);
	at = (uint32_t)(va - w->va);
	if (size <= sizeof(t->small) && w->low == w->high && !t->small_of) {
		t->small_of = w;
		memcpy(t->small, buf, size);
	} else {
		small_spill(t);
		memcpy(t->ch->window + w->offset + at, buf, size);
	}
	note_written(w, at, (uint32_t)size);
	count_stat(window_writes);
	return size;
}

void *platform_window(struct platform_thread *t, uint64_t va, size_t size, bool for_write)
{
	struct window *w = window_at(t, va);
	uint32_t at;

	if (!w)
		return NULL;
	at = (uint32_t)(va - w->va);
	if (for_write ? !writable_at(w, at, size) : readable_from(w, at) < size)
		return NULL;
	small_spill(t);
	return t->ch->window + w->offset + at;
}

void platform_window_written(struct platform_thread *t, uint64_t va, size_t size)
{
	struct window *w = window_at(t, va);

	if (size == 0)
		return;
	check(w && writable_at(w, (uint32_t)(va - w->va), size));
	note_written(w, (uint32_t)(va - w->va), (uint32_t)size);
	count_stat(window_writes);
}

const void *platform_window_rest(struct platform_thread *t, uint64_t va, size_t *ret_size)
{
	struct window *w = window_at(t, va);
	uint32_t at, have;

	if (!w)
		return NULL;
	at = (uint32_t)(va - w->va);
	have = readable_from(w, at);
	if (have == 0)
		return NULL;
	small_spill(t);
	*ret_size = have;
	count_stat(window_reads);
	return t->ch->window + w->offset + at;
}
