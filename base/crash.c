/* SPDX-License-Identifier: Apache-2.0 */
#include "base/crash.h"

#define UNW_LOCAL_ONLY
#include <libunwind.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/guard.h"
#include "base/log.h"

#define FRAMES_MAX 64

extern const char __executable_start[]; /* the linker's: where the image begins */

static char crash_stack[65536];
static atomic_bool crashing;

static void say(const char *fmt, ...) __printf(1, 2);
static void say(const char *fmt, ...)
{
	char line[256];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n > 0 && write(log_fd(), line, MIN((size_t)n, sizeof(line) - 1)) < 0)
		return;
}

/* Offsets can be fed to addr2line -e runsc. */
static void say_frame(int n, uint64_t ip)
{
	say("#%d runsc+0x%lx\n", n, (unsigned long)(ip - (uint64_t)(uintptr_t)__executable_start));
}

void crash_print_stack(void)
{
	unw_context_t context;
	unw_cursor_t cursor;
	int n = 0;

	unw_getcontext(&context);
	unw_init_local(&cursor, &context);
	do {
		unw_word_t ip = 0;

		unw_get_reg(&cursor, UNW_REG_IP, &ip);
		say_frame(n++, ip);
	} while (n < FRAMES_MAX && unw_step(&cursor) > 0);
}

static void on_crash(int signo, siginfo_t *si, void *context)
{
	ucontext_t *uc = context;
	uint64_t ip = (uint64_t)uc->uc_mcontext.gregs[REG_RIP];

	if (signo == SIGBUS && guard_fixup(&ip)) {
		uc->uc_mcontext.gregs[REG_RIP] = (greg_t)ip;
		return;
	}
	if (atomic_exchange(&crashing, true))
		_exit(128 + signo);
	say("runsc: crashed by signal %d (code %d) at address %p, instruction runsc+0x%lx\n", signo,
	    si->si_code, si->si_addr,
	    (unsigned long)(ip - (uint64_t)(uintptr_t)__executable_start));
	crash_print_stack();
	_exit(128 + signo); /* process 1 of a PID namespace would survive its own signal */
}

void crash_handler_install(void)
{
	static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
	stack_t stack = {.ss_sp = crash_stack, .ss_size = sizeof(crash_stack)};
	struct sigaction sa = {.sa_sigaction = on_crash, .sa_flags = SA_SIGINFO | SA_ONSTACK};

	sigaltstack(&stack, NULL);
	sigemptyset(&sa.sa_mask);
	for (size_t i = 0; i < array_count(signals); i++)
		sigaction(signals[i], &sa, NULL);
}
