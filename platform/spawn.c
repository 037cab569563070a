/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the zygote comes to be, the ancestor of every stub process.
 *
 * It is not a fork that cleans up after itself but an exec of the stub's own ELF file (a sealed
 * memfd), so that nothing of the sentry can be left in it: no memory, no /proc/self/exe that is
 * runsc, no rseq area or robust list. Between vfork and exec the child, which shares the sentry's
 * memory for that moment, gives up what a stub must not have.
 *
 * Namespaces and the empty root are the sentry's own, which it entered before; they are shared.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "platform/internal.h"

#define CHILD_STACK_SIZE 0x10000

void drop_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2];

	memset(none, 0, sizeof(none));
	for (int cap = 0; cap < 64; cap++)
		prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	syscall(SYS_capset, &header, none);
}

static int child_fail(struct stub_child *c, const char *what)
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
	struct stub_child *c = arg;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return child_fail(c, "no_new_privs is refused");
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	personality(ADDR_NO_RANDOMIZE);
	setrlimit(RLIMIT_CORE, &core);
	drop_capabilities();
	if (c->confine(c) < 0)
		return child_fail(c, c->failed);
	syscall(SYS_execveat, c->image, "", none, none, AT_EMPTY_PATH);
	return child_fail(c, "the stub's image can't be executed");
}

/*
 * vfork with a stack of its own for the child, which runs child_main and never comes back. Not by
 * the library's clone(), whose wrappers in sanitizer builds take the child for a fork.
 */
static pid_t vfork_child(struct stub_child *c, void *stack_top)
{
	register long tls __asm__("r8") = 0;
	register long ctid __asm__("r10") = 0;
	long ret;

	__asm__ volatile("syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "mov %[arg], %%rdi\n\t"
			 "call *%[fn]\n\t"
			 "mov %%eax, %%edi\n\t"
			 "mov %[exit], %%eax\n\t"
			 "syscall\n\t"
			 "hlt\n"
			 "1:"
			 : "=a"(ret)
			 : "0"((long)SYS_clone),
			   "D"(CLONE_VM | CLONE_VFORK | SIGCHLD | (c->share_fds ? CLONE_FILES : 0)),
			   "S"(stack_top), "d"(0), "r"(ctid),
			   "r"(tls), [arg] "r"(c), [fn] "r"(child_main), [exit] "i"(SYS_exit)
			 : "rcx", "r11", "memory");
	return (pid_t)ret;
}

pid_t stub_spawn(struct stub_child *c)
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
