/* SPDX-License-Identifier: Apache-2.0 */
/* Each precondition of platform.h is broken, in a child; debug builds must notice. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "platform/copyplan.h"
#include "platform/internal.h"

static struct platform *p;
static struct platform_thread *stopped; /* of a fresh process, at PEV_STARTED */
static struct platform_thread *child;	/* prepared, of `stopped` */
static int cookie, child_cookie;
static volatile bool died;

static void dead(void *c, struct platform_thread *t, bool by_host)
{
	(void)t;
	(void)by_host;
	died |= c == &cookie;
}

static void broken(void *c, const char *why)
{
	(void)c;
	(void)why;
}

static struct platform *new_platform(const char *name)
{
	static const struct platform_callbacks callbacks = {dead, broken, NULL};
	static const struct copyplan plans[1];
	const struct platform_config config = {
	    .name = name, .callbacks = &callbacks, .copyplans = plans, .copyplan_count = 1};
	struct platform *made = NULL;
	const char *why = "";

	if (platform_new(&config, &made, &why) < 0)
		fail_msg("%s", why);
	return made;
}

static int setup(void **state)
{
	struct platform_event ev;

	(void)state;
	log_setup(2, false, LOG_ERROR, "test");
	p = new_platform(NULL);
	assert_int_equal(platform_start(p), 0);
	assert_int_equal(platform_mm_new(p, &cookie, &stopped), 0);
	assert_int_equal(platform_next(p, &ev), 0);
	assert_int_equal(ev.type, PEV_STARTED);
	assert_ptr_equal(ev.thread, stopped);
	assert_int_equal(platform_clone_prepare(stopped, PCLONE_FORK, &child_cookie, &child), 0);
	return 0;
}

static int teardown(void **state)
{
	struct platform_event ev;

	(void)state;
	platform_thread_put(child);
	platform_kill(stopped);
	while (!died) { /* a death is told at the next platform_next, or by the reaper */
		platform_interrupt(p);
		platform_next(p, &ev);
	}
	platform_thread_put(stopped);
	platform_destroy(p);
	return 0;
}

static void __attribute__((noreturn)) violate(void (*violation)(void))
{
	int null = open("/dev/null", O_WRONLY);

	log_setup(null, false, LOG_ERROR, "test");
	signal(SIGABRT, SIG_DFL);
	alarm(20);
	violation();
	_exit(0);
}

/*
 * The signal that ends a process that is a copy of this one (SIGABRT: it was noticed, SIGALRM: it
 * took too long), or 0. A copy of its own waits for it, because here the platform's reaper takes
 * every child.
 */
static int ends_by(void (*violation)(void))
{
	int ends[2], status = 0, number = 0;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	if (fork() == 0) {
		pid = fork();
		if (pid == 0)
			violate(violation);
		if (waitpid(pid, &status, 0) == pid && WIFSIGNALED(status))
			number = WTERMSIG(status);
		_exit(write(ends[1], &number, sizeof(number)) != sizeof(number));
	}
	close(ends[1]);
	assert_int_equal(read(ends[0], &number, sizeof(number)), sizeof(number));
	close(ends[0]);
	return number;
}

/* ---- the violations ---- */

static void reply_with(struct memop op)
{
	platform_reply(stopped, &(struct platform_reply){.memops = &op, .memop_count = 1});
}

#define MEMOP_TEST(name, ...)                                                                      \
	static void name(void)                                                                     \
	{                                                                                          \
		reply_with((struct memop){__VA_ARGS__});                                           \
	}
MEMOP_TEST(memop_unaligned, .type = MEMOP_MUNMAP, .addr = 0x10001, .size = 4096)
MEMOP_TEST(memop_odd_size, .type = MEMOP_MUNMAP, .addr = 0x10000, .size = 100)
MEMOP_TEST(memop_empty, .type = MEMOP_MUNMAP, .addr = 0x10000)
MEMOP_TEST(memop_in_the_stub, .type = MEMOP_MUNMAP, .addr = PLATFORM_GUEST_MAX, .size = 4096)
MEMOP_TEST(memop_into_the_stub, .type = MEMOP_MMAP_ANON, .prot = PROT_READ,
	   .addr = PLATFORM_GUEST_MAX - 4096, .size = 8192)
MEMOP_TEST(memop_wraps, .type = MEMOP_MUNMAP, .addr = 0x10000, .size = ~0ull - 4095)
MEMOP_TEST(memop_moved_into_the_stub, .type = MEMOP_MREMAP, .addr = 0x10000, .size = 4096,
	   .new_addr = PLATFORM_GUEST_MAX, .new_size = 4096)
MEMOP_TEST(memop_strange_protection, .type = MEMOP_MPROTECT, .addr = 0x10000, .size = 4096,
	   .prot = 0x100)
MEMOP_TEST(memop_strange_flag, .type = MEMOP_MUNMAP, .addr = 0x10000, .size = 4096,
	   .flags = MEMOP_SHARED)
MEMOP_TEST(memop_no_descriptor, .type = MEMOP_MMAP_FD, .addr = 0x10000, .size = 4096, .fd = -1)
MEMOP_TEST(memop_odd_offset, .type = MEMOP_MMAP_FD, .addr = 0x10000, .size = 4096, .fd = 0,
	   .offset = 1)
MEMOP_TEST(memop_unknown, .type = (enum memop_type)99, .addr = 0x10000, .size = 4096)
MEMOP_TEST(memop_writes_nothing, .type = MEMOP_WRITE, .addr = 0x10000, .size = 8)

static void too_many_memops(void)
{
	static struct memop ops[PLATFORM_MEMOPS_MAX + 1];

	platform_reply(stopped, &(struct platform_reply){.memops = ops,
							 .memop_count = PLATFORM_MEMOPS_MAX + 1});
}

static void clear_is_not_first(void)
{
	const struct memop ops[2] = {{.type = MEMOP_MUNMAP, .addr = 0x10000, .size = 4096},
				     {.type = MEMOP_CLEAR}};

	platform_reply(stopped, &(struct platform_reply){.memops = ops, .memop_count = 2});
}

static void reply_to_who_does_not_wait(void)
{
	platform_reply(child, &(struct platform_reply){0});
}

static void child_of_nobody(void)
{
	platform_reply(stopped, &(struct platform_reply){.order = PORD_CLONE, .child = stopped});
}

static void child_without_clone(void)
{
	platform_reply(stopped, &(struct platform_reply){.child = child});
}

static void window_of_who_does_not_wait(void)
{
	platform_window(child, 0x10000, 1, false);
}

static void registers_of_who_does_not_wait(void)
{
	platform_regs(child);
}

static void memory_through_the_wrong_thread(void)
{
	char c;

	platform_read(stopped, platform_thread_mm(child), 0x10000, &c, 1);
}

static void memory_of_nobody(void)
{
	char c;

	platform_read(NULL, (struct platform_mm *)&c, 0x10000, &c, 1);
}

static void parent_does_not_wait(void)
{
	struct platform_thread *grandchild;

	platform_clone_prepare(child, PCLONE_THREAD, NULL, &grandchild);
}

static void exit_of_the_last_thread(void)
{
	platform_reply(stopped, &(struct platform_reply){.order = PORD_EXIT});
}

static void put_while_it_lives(void)
{
	platform_thread_put(stopped);
}

static void put_twice(void)
{
	platform_thread_put(child);
	platform_thread_put(child);
}

static void used_after_put(void)
{
	platform_thread_put(child);
	platform_kick(child);
}

static void *reply_late(void *ret_tid)
{
	atomic_store((atomic_int *)ret_tid, (int)gettid());
	platform_reply(stopped, &(struct platform_reply){0});
	return NULL;
}

static char state_of(int tid)
{
	char path[64], text[256] = "";
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		abort();
	close(fd);
	return strrchr(text, ')')[2];
}

/* Of one that has died, as the copy of its platform is made to think. */
static void put_during_a_reply(void)
{
	atomic_int tid = 0;
	pthread_t thread;

	atomic_store(&p->delivering, NULL);
	mutex_lock(&p->lock);
	thread_dies_locked(stopped, false);
	mutex_unlock(&p->lock);
	run_deaths(p);
	mutex_lock(&stopped->lock);
	if (pthread_create(&thread, NULL, reply_late, &tid) != 0)
		_exit(0);
	while (!atomic_load(&tid) || state_of(atomic_load(&tid)) != 'S')
		sched_yield();
	platform_thread_put(stopped);
}

static void started_twice(void)
{
	platform_start(p);
}

static void next_before_start(void)
{
	struct platform_event ev;

	platform_next(new_platform(NULL), &ev);
}

static void unknown_platform(void)
{
	struct platform_event ev;

	platform_next((struct platform *)&ev, &ev);
}

static void callbacks_are_missing(void)
{
	static const struct platform_callbacks none;
	struct platform_config config = {.callbacks = &none};
	const char *why;

	platform_new(&config, &p, &why);
}

/* ---- */

#define VIOLATION(name)                                                                            \
	{                                                                                          \
#name, name                                                                        \
	}
static const struct {
	const char *name;
	void (*func)(void);
} violations[] = {
    VIOLATION(memop_unaligned),
    VIOLATION(memop_odd_size),
    VIOLATION(memop_empty),
    VIOLATION(memop_in_the_stub),
    VIOLATION(memop_into_the_stub),
    VIOLATION(memop_wraps),
    VIOLATION(memop_moved_into_the_stub),
    VIOLATION(memop_strange_protection),
    VIOLATION(memop_strange_flag),
    VIOLATION(memop_no_descriptor),
    VIOLATION(memop_odd_offset),
    VIOLATION(memop_unknown),
    VIOLATION(memop_writes_nothing),
    VIOLATION(too_many_memops),
    VIOLATION(clear_is_not_first),
    VIOLATION(reply_to_who_does_not_wait),
    VIOLATION(child_of_nobody),
    VIOLATION(child_without_clone),
    VIOLATION(window_of_who_does_not_wait),
    VIOLATION(registers_of_who_does_not_wait),
    VIOLATION(memory_through_the_wrong_thread),
    VIOLATION(memory_of_nobody),
    VIOLATION(parent_does_not_wait),
    VIOLATION(exit_of_the_last_thread),
    VIOLATION(put_while_it_lives),
    VIOLATION(put_twice),
    VIOLATION(used_after_put),
    VIOLATION(put_during_a_reply),
    VIOLATION(started_twice),
    VIOLATION(unknown_platform),
    VIOLATION(callbacks_are_missing),
    VIOLATION(next_before_start),
};

static void violations_are_noticed(void **state)
{
	(void)state;
#ifndef DEBUG
	skip();
#endif
	for (size_t i = 0; i < sizeof(violations) / sizeof(violations[0]); i++) {
		int number = ends_by(violations[i].func);

		if (number != SIGABRT)
			fail_msg("%s went unnoticed (signal %d)", violations[i].name, number);
	}
}

static void none_refuses(void **state)
{
	static const struct platform_callbacks callbacks = {dead, broken, NULL};
	static const struct copyplan plans[1];
	const struct platform_config config = {
	    .name = "none", .callbacks = &callbacks, .copyplans = plans, .copyplan_count = 1};
	struct platform *none = NULL;
	const char *why = "";

	(void)state;
	assert_true(platform_new(&config, &none, &why) < 0);
	assert_non_null(strstr(why, "runs no guest"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(violations_are_noticed),
	    cmocka_unit_test(none_refuses),
	};

	return cmocka_run_group_tests_name("platform facade", tests, setup, teardown);
}
