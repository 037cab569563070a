/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the zygote comes to be, the ancestor of every stub process.
 *
 * It is not a fork that cleans up after itself but an exec of the stub's own ELF file (a sealed
 * memfd), so that nothing of the sentry can be left in it: no memory, no /proc/self/exe that is
 * runsc, no rseq area or robust list. Between vfork and exec the child, which shares the sentry's
 * memory and descriptor table for that moment, gives up what a stub must not have and installs the
 * listener's filter; so the listener appears in the sentry's own table and needn't be sent.
 *
 *	sentry (one thread)			child
 *	clone(VM|VFORK|FILES)
 *	  stands still				no_new_privs, no capabilities, limits, personality
 *						seccomp(NEW_LISTENER) -> a descriptor of the
 *sentry's execveat(stub image) goes on				stub_init (platform/stub/init.c)
 *						strict filter, all descriptors closed
 *	receives HELLO, maps its channel	waits for orders in a doorbell
 *
 * Namespaces and the empty root are the sentry's own, which it entered before; they are shared.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "platform/internal.h"
#include "platform/notify/filter.h"
#include "platform/stub_image.h"

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS	   SECCOMP_IOW(4, uint64_t)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif
#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif
#define HWCAP2_FSGSBASE_BIT 2

#define CHILD_STACK_SIZE    0x10000
#define LISTENER_FILTER_MAX 64

/* --- the image --- */

/* One line of /proc/self/maps: is it part of the vDSO? */
static bool vdso_line(const char *line, uint64_t *ret_start, uint64_t *ret_end, bool *ret_code)
{
	unsigned long start, end;

	if (sscanf(line, "%lx-%lx", &start, &end) != 2)
		return false;
	*ret_code = strstr(line, "[vdso]") != NULL;
	*ret_start = start;
	*ret_end = end;
	return *ret_code || strstr(line, "[vvar") != NULL;
}

static FILE *open_maps(int proc_fd)
{
	int fd = proc_fd > 0 ? openat(proc_fd, "self/maps", O_RDONLY | O_CLOEXEC)
			     : open("/proc/self/maps", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? NULL : fdopen(fd, "r");
}

/*
 * The parts of the vDSO as the kernel maps them: their sizes and order are the same in every
 * process. None are found if there is no /proc; then guests have no vDSO.
 */
static void find_vdso(struct platform *p, struct stub_boot *boot, int proc_fd)
{
	uint64_t base = getauxval(AT_SYSINFO_EHDR), start, end, last = 0;
	FILE *f = base ? open_maps(proc_fd) : NULL;
	uint32_t n = 0;
	char line[512];
	bool code, seen_code = false;

	while (f && n < STUB_VDSO_PARTS_MAX && fgets(line, sizeof(line), f)) {
		if (!vdso_line(line, &start, &end, &code))
			continue;
		boot->vdso_parts[n].start = (int64_t)(start - base);
		boot->vdso_parts[n++].size = end - start;
		seen_code |= code && start == base;
		last = end;
	}
	if (f)
		fclose(f);
	if (!seen_code)
		return;
	boot->vdso_part_count = n;
	boot->vdso_first = boot->vdso_parts[0].start;
	p->vdso_size = last - base - (uint64_t)boot->vdso_first;
	p->vdso_code_offset = (uint64_t)-boot->vdso_first;
}

/* The program headers of the stub's ELF file: text and boot block. */
static const Elf64_Phdr *find_segment(const uint8_t *elf, uint64_t va)
{
	const Elf64_Ehdr *eh = (const Elf64_Ehdr *)elf;
	const Elf64_Phdr *ph = (const Elf64_Phdr *)(elf + eh->e_phoff);

	for (uint32_t i = 0; i < eh->e_phnum; i++)
		if (ph[i].p_type == PT_LOAD && ph[i].p_vaddr == va)
			return &ph[i];
	return NULL;
}

static int fill_boot(struct platform *p, const struct platform_config *config,
		     struct stub_boot *boot, uint64_t text_size, uint64_t token)
{
	int n =
	    filter_build_strict(boot->filter, STUB_FILTER_MAX, STUB_TEXT, STUB_TEXT + text_size);

	if (n < 0)
		return n;
	boot->filter_count = (uint32_t)n;
	boot->token = token;
	boot->fsgsbase = !(config->without & FEATURE_BIT(FSGSBASE)) &&
			 (getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE_BIT) != 0;
	boot->plan_count = config->copyplan_count;
	memcpy(boot->plans, config->copyplans, config->copyplan_count * sizeof(boot->plans[0]));
	find_vdso(p, boot, config->proc_fd);
	return 0;
}

/* A sealed memfd with the stub's ELF file, boot block filled in. */
static int make_image(struct platform *p, const struct platform_config *config, uint64_t token)
{
	size_t size = (size_t)(stub_image_end - stub_image_begin);
	const Elf64_Phdr *text = find_segment(stub_image_begin, STUB_TEXT);
	const Elf64_Phdr *boot = find_segment(stub_image_begin, STUB_BOOT);
	uint8_t *image;
	int fd;

	check(text && boot && boot->p_filesz >= sizeof(struct stub_boot));
	check(boot->p_offset + boot->p_filesz <= size);
	image = xmalloc(size);
	memcpy(image, stub_image_begin, size);
	fd = fill_boot(p, config, (struct stub_boot *)(image + boot->p_offset), text->p_memsz,
		       token);
	if (fd == 0)
		fd = fd_sealed_memfd("cvisor-stub", image, size);
	free(image);
	return fd;
}

/* --- the child, up to exec; it shares the sentry's memory --- */

struct child {
	int image;
	struct sock_filter filter[LISTENER_FILTER_MAX];
	int filter_count;
	unsigned long flags;   /* of the listener's filter */
	volatile int listener; /* out: a descriptor, valid in the sentry too */
	volatile int error;    /* out */
	const char *volatile failed;
};

static void drop_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2];

	memset(none, 0, sizeof(none));
	for (int cap = 0; cap < 64; cap++)
		prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	syscall(SYS_capset, &header, none);
}

static int install_listener(struct child *c)
{
	struct sock_fprog prog = {.len = (unsigned short)c->filter_count, .filter = c->filter};
	long fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, c->flags, &prog);

	if (fd < 0 && errno == EINVAL) /* before Linux 5.19 */
		fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
			     &prog);
	return (int)fd;
}

static int child_fail(struct child *c, const char *what)
{
	c->error = -errno;
	c->failed = what;
	return 1;
}

/*
 * A core limit of 1 is the kernel's sign not even to start a crash handler: a guest that dies of
 * its filter must not make the host collect its memory.
 */
static int child_main(void *arg)
{
	struct rlimit core = {1, 1};
	char *none[] = {NULL};
	struct child *c = arg;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return child_fail(c, "no_new_privs is refused");
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	personality(ADDR_NO_RANDOMIZE);
	setrlimit(RLIMIT_CORE, &core);
	drop_capabilities();
	c->listener = install_listener(c);
	if (c->listener < 0)
		return child_fail(c, "the host refuses a seccomp listener");
	syscall(SYS_execveat, c->image, "", none, none, AT_EMPTY_PATH);
	return child_fail(c, "the stub's image can't be executed");
}

/*
 * vfork with a stack of its own for the child, which runs child_main and never comes back. Not by
 * the library's clone(), whose wrappers in sanitizer builds take the child for a fork.
 */
static pid_t vfork_child(struct child *c, void *stack_top)
{
	register long tls __asm__("r8") = 0;
	register long ctid __asm__("r10") = 0;
	long ret;

	__asm__ volatile("syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "xor %%ebp, %%ebp\n\t"
			 "mov %[arg], %%rdi\n\t"
			 "call *%[fn]\n\t"
			 "mov %%eax, %%edi\n\t"
			 "mov %[exit], %%eax\n\t"
			 "syscall\n\t"
			 "hlt\n"
			 "1:"
			 : "=a"(ret)
			 : "0"((long)SYS_clone),
			   "D"(CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD), "S"(stack_top),
			   "d"(0), "r"(ctid),
			   "r"(tls), [arg] "r"(c), [fn] "r"(child_main), [exit] "i"(SYS_exit)
			 : "rcx", "r11", "memory");
	return (pid_t)ret;
}

/* The child's host id, or negative errno. */
static pid_t spawn(struct child *c)
{
	char *stack = mmap(NULL, CHILD_STACK_SIZE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	sigset_t all, old;
	pid_t pid;

	if (stack == MAP_FAILED)
		return -errno;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old); /* no handler of ours may run in the child */
	pid = vfork_child(c, stack + CHILD_STACK_SIZE);
	sigprocmask(SIG_SETMASK, &old, NULL);
	munmap(stack, CHILD_STACK_SIZE);
	return pid;
}

/* --- the sentry's side --- */

static int probe_host(struct platform *p, const char **ret_why)
{
	struct seccomp_notif_sizes sizes;

	if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) < 0) {
		*ret_why = "the host has no seccomp user notification";
		return -errno;
	}
	if (sizes.seccomp_notif_resp < sizeof(struct seccomp_notif_resp) ||
	    sizes.seccomp_data != sizeof(struct seccomp_data)) {
		*ret_why = "the host's seccomp notification has another form";
		return -ENOSYS;
	}
	if (getauxval(AT_MINSIGSTKSZ) * 2 + 0x1000 > STUB_STACK_SIZE) {
		*ret_why = "the host's signal frames are too large";
		return -ENOSYS;
	}
	p->notif_size = MAX(sizes.seccomp_notif, sizeof(struct seccomp_notif));
	p->notif = xcalloc(1, p->notif_size);
	return 0;
}

static bool exited(pid_t pid)
{
	siginfo_t si = {0};

	return waitid(P_PID, (id_t)pid, &si, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0 &&
	       si.si_pid == pid;
}

/* Handles what the zygote asks for until it waits for orders. */
static int until_ready(struct platform *p, struct platform_thread *z, pid_t pid)
{
	struct pollfd pfd = {.fd = p->listener, .events = POLLIN};
	struct platform_event ev;
	int r;

	while (z->seq == 0) {
		r = poll(&pfd, 1, 100); /* a dead child may go unnoticed by the listener */
		if (r <= 0 || !(pfd.revents & POLLIN)) {
			if (exited(pid))
				return -ECHILD;
			continue;
		}
		r = notify_receive(p, &ev);
		if (r < 0)
			return r;
	}
	return 0;
}

static struct platform_thread *zygote_thread(struct platform *p, int *ret_err)
{
	struct platform_mm *mm = mm_create(p, 0, ret_err);
	struct platform_thread *z;

	if (!mm)
		return NULL;
	z = thread_create(mm, 0, PCLONE_FORK, NULL);
	z->internal = true;
	z->asked = 1;
	z->state = THREAD_ORDERED;
	atomic_store(&z->ch->tid_word, 1);
	list_add_tail(&p->outstanding, &z->link);
	return z;
}

static int boot_thread(struct platform *p, struct platform_thread *z, struct child *c,
		       const char **ret_why)
{
	uint64_t flags = SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP;
	pid_t pid = spawn(c);
	int err;

	if (pid < 0) {
		*ret_why = "the zygote can't be forked";
		return pid;
	}
	p->listener = c->listener;
	if (c->error < 0) {
		waitpid(pid, NULL, __WALL);
		*ret_why = c->failed;
		return c->error;
	}
	if (!(p->without & FEATURE_BIT(SYNC_WAKE_UP)))
		ioctl(p->listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS,
		      flags); /* since Linux 6.6; only speed */
	err = until_ready(p, z, pid);
	if (err < 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, __WALL);
		*ret_why = "the zygote did not come up";
	}
	return err;
}

int zygote_boot(struct platform *p, const struct platform_config *config, const char **ret_why)
{
	struct child c = {.listener = -1};
	struct platform_thread *z;
	int err = probe_host(p, ret_why);

	if (err < 0)
		return err;
	c.flags = SECCOMP_FILTER_FLAG_NEW_LISTENER;
	if (!(p->without & FEATURE_BIT(WAIT_KILLABLE)))
		c.flags |= SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
	*ret_why = "the stub's image can't be made";
	c.filter_count = filter_build_listener(c.filter, LISTENER_FILTER_MAX);
	z = zygote_thread(p, &err);
	if (!z)
		return err;
	err = c.filter_count < 0 ? c.filter_count : (c.image = make_image(p, config, z->token));
	if (err >= 0) {
		err = boot_thread(p, z, &c, ret_why);
		close(c.image);
	}
	if (err < 0) {
		mutex_lock(&p->lock);
		if (z->process)
			process_died_locked(p, z->process);
		else
			thread_dies_locked(z, true);
		mutex_unlock(&p->lock);
		run_deaths(p);
		return err;
	}
	p->zygote = z;
	return 0;
}
