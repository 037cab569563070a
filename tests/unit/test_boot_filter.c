/* SPDX-License-Identifier: Apache-2.0 */
/* The sentry's filter, from inside: what a sentry that was taken over would try first. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "platform/backend.h"
#include "platform/internal.h"
#include "runsc/boot.h"

static void map(int prot)
{
	mmap(NULL, 4096, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void map_memory(void)
{
	map(PROT_READ | PROT_WRITE);
}

static void map_code(void)
{
	map(PROT_READ | PROT_EXEC);
}

static void protect_code(void)
{
	static char page[8192];

	mprotect((void *)(((uintptr_t)page + 4095) & ~4095ul), 4096, PROT_READ | PROT_EXEC);
}

static void ask_size(void)
{
	struct winsize ws;

	ioctl(0, TIOCGWINSZ, &ws);
}

static void type_for_others(void)
{
	ioctl(0, TIOCSTI, "x");
}

static void make_socket(void)
{
	socket(AF_UNIX, SOCK_STREAM, 0);
}

static void execute(void)
{
	execl("/bin/true", "true", NULL);
}

/* How a confined process that does this ends. */
static int status_after(void (*act)(void))
{
	struct platform p = {.backend = &notify_backend};
	int status;
	pid_t pid = fork();

	if (!pid) {
		if (boot_confine(&p))
			syscall(SYS_exit_group, 2);
		act();
		syscall(SYS_exit_group, 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void what_it_needs(void **state)
{
	(void)state;
	assert_int_equal(status_after(map_memory), 0);
	assert_int_equal(status_after(ask_size), 0);
}

static void what_it_has_no_use_for(void **state)
{
	static void (*const acts[])(void) = {map_code, protect_code, type_for_others, make_socket,
					     execute};

	(void)state;
#ifdef SANITIZER
	skip(); /* there is no filter */
#endif
	for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
		int status = status_after(acts[i]);

		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
			fail_msg("act %zu: status %x", i, status);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_it_needs),
	    cmocka_unit_test(what_it_has_no_use_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
