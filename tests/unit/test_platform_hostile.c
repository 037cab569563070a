/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hostile guests: they write over their channel, jump at the stub's syscall instructions with every
 * number, unmap the stub, ring the bell from many threads, die at any moment. Only they may die;
 * after each attack an honest guest is served as before, and the sentry is whole.
 */
#include <dirent.h>
#include <elf.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/feature.h"
#include "platform/filter.h"
#include "platform/internal.h"
#include "platform/stub/layout.h"
#include "platform/stub_image.h"
#include "tests/unit/guest/minisentry.h"

#define SITES_MAX 64
#define MORTAL_MS 30000 /* for an attack that must be fatal by itself */

#define ON_PTRACE (strcmp(TEST_PLATFORM, "ptrace") == 0)

static struct mini mini;
static uint64_t sites[SITES_MAX];
static uint32_t site_count;

/* Every address in the stub's text where the bytes of a syscall instruction stand. */
static void find_sites(void)
{
	const Elf64_Ehdr *eh = (const Elf64_Ehdr *)stub_image_begin;
	const Elf64_Phdr *ph = (const Elf64_Phdr *)(stub_image_begin + eh->e_phoff);

	for (uint32_t i = 0; i < eh->e_phnum; i++) {
		const uint8_t *text = stub_image_begin + ph[i].p_offset;

		if (ph[i].p_type != PT_LOAD || ph[i].p_vaddr != STUB_TEXT)
			continue;
		for (uint64_t at = 0; at + 1 < ph[i].p_filesz && site_count < SITES_MAX; at++)
			if (text[at] == 0x0f && text[at + 1] == 0x05)
				sites[site_count++] = STUB_TEXT + at;
	}
}

static int setup(void **state)
{
	(void)state;
	find_sites();
	mini_platform = TEST_PLATFORM;
	mini_start(&mini, 2, 0);
	return site_count >= 3 ? 0 : -1;
}

static int setup_polled(void **state)
{
	mini_force = FEATURE_BIT(POLL);
	return setup(state);
}

static int teardown(void **state)
{
	(void)state;
	mini_stop(&mini);
	mini_force = 0;
	return 0;
}

static void honest_guest_is_served(void)
{
	mini.result = 0;
	mini.host_kills = 0;
	mini_spawn(&mini, P_FORK, 0, 0);
	mini_run(&mini);
	mini_spawn(&mini, P_WINDOWS, 0, 0);
	mini_run(&mini);
	assert_int_equal(mini.result, 0);
	assert_int_equal(mini.host_kills, 0);
	assert_false(mini.broken);
}

/* Runs one attack for a limited time. Returns the count of deaths that nobody asked for. */
static uint32_t attack(long program, long arg, long arg2, uint32_t ms)
{
	mini.host_kills = 0;
	mini_spawn(&mini, program, arg, arg2);
	mini_run_and_kill(&mini, ms);
	return mini.host_kills;
}

static bool listed(uint32_t nr)
{
	uint32_t count;
	const struct filter_rule *rules = filter_rules(&count);

	for (uint32_t i = 0; i < count; i++)
		if (rules[i].nr == nr &&
		    rules[i].use != (ON_PTRACE ? FILTER_NOTIFY : FILTER_PTRACE))
			return true;
	return false;
}

/*
 * Linux lets these two past every filter (seccomp_uprobe_exception, since 6.14): they do something
 * only for a caller inside a trampoline that the kernel itself has put into the process.
 */
static bool past_every_filter(long nr)
{
	return nr == 335 /* uretprobe */ || nr == 336 /* uprobe */;
}

static void every_number_at_every_syscall_instruction(void **state)
{
	static const long odd[] = {STUB_DOORBELL, STUB_DOORBELL + 1, 0x40000000,
				   0x40000001,	  0x7fffffff,	     -1};
	bool harmless;
	long nr;

	(void)state;
	for (uint32_t s = 0; s < site_count; s++) {
		for (uint32_t i = 0; i < 480 + sizeof(odd) / sizeof(odd[0]); i++) {
			nr = i < 480 ? (long)i : odd[i - 480];
			if (nr == SYS_clone || nr == SYS_futex)
				continue; /* with arguments of zero the first is refused, see below
					   */
			harmless = listed((uint32_t)nr) || past_every_filter(nr);
			/* What must die has time for it on a busy machine, too. */
			if (attack(P_STUB_SYSCALLS, nr, (long)sites[s],
				   harmless ? 1000 : MORTAL_MS) == 0 &&
			    !harmless)
				fail_msg("call %ld at %#lx was not fatal", nr,
					 (unsigned long)sites[s]);
		}
		honest_guest_is_served();
	}
}

#define JUMP_STEP 97

/* What there is in the stub's text, the fast path above all, serves nobody but its own process. */
static void jumps_into_the_stub(void **state)
{
	const uint64_t last = sites[site_count - 1];

	(void)state;
	for (long gs = 0; gs < 3; gs++) {
		for (uint64_t at = STUB_FAST_ENTRY; at < last; at += JUMP_STEP)
			attack(P_JUMP, (long)at, gs, 20);
		attack(P_JUMP, STUB_FAST_ENTRY, gs, 20);
		honest_guest_is_served();
	}
}

static void unordered_clone(void **state)
{
	(void)state;
	for (uint32_t s = 0; s < site_count; s++)
		assert_int_equal(attack(P_STUB_SYSCALLS, SYS_clone, (long)sites[s], MORTAL_MS), 1);
	honest_guest_is_served();
}

static void garbage_in_the_channel(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++) {
		attack(P_GARBAGE, 0, 0, 50);
		attack(P_GARBAGE, 1, 0, 50);
		honest_guest_is_served();
	}
}

static void stub_unmapped(void **state)
{
	(void)state;
	assert_int_equal(attack(P_UNMAP_STUB, (long)sites[0], 0, MORTAL_MS), 1);
	honest_guest_is_served();
}

static void bells_from_many_threads(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++) {
		attack(P_BELLS, (long)sites[0], 0, 50);
		honest_guest_is_served();
	}
}

static void lies_about_the_past(void **state)
{
	(void)state;
	for (long kind = 0; kind < 5; kind++)
		assert_int_equal(attack(P_LIE, (long)sites[0], kind, MORTAL_MS), 1);
	honest_guest_is_served();
}

static void other_architecture(void **state)
{
	(void)state;
	assert_int_equal(attack(P_INT80, 0, 0, MORTAL_MS), 1);
	honest_guest_is_served();
}

/* Killed at any moment of a fork loop; the children end by themselves. */
static void killed_at_any_moment(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++) {
		struct guest *g = mini_spawn(&mini, P_FORKS, 1000000, 0);
		pid_t pid = 0;

		while (pid <= 0 || g->program >= 0) {
			mini_step(&mini);
			pid = platform_host_pid(g->pt);
		}
		for (int n = 0; n < i % 13; n++)
			mini_step(&mini);
		kill(pid, SIGKILL);
		mini_run_and_kill(&mini, 2000);
	}
	honest_guest_is_served();
}

static uint32_t entries(const char *path)
{
	DIR *d = opendir(path);
	uint32_t n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static void assert_status(pid_t pid, const char *line)
{
	char path[64], buf[4096] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "re");
	assert_non_null(f);
	assert_true(fread(buf, 1, sizeof(buf) - 1, f) > 0);
	fclose(f);
	if (!strstr(buf, line))
		fail_msg("no \"%s\" in %s", line, buf);
}

static void only_stub_and_guest_mapped(pid_t pid)
{
	char path[64], line[512];
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "re");
	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps)) {
		unsigned long at = strtoul(line, NULL, 16);

		if (!(at >= GUEST_BASE && at < GUEST_BASE + GUEST_SIZE) && at != GUEST_STACK &&
		    !(at >= STUB_TEXT && at < STUB_REGION_END) && !strstr(line, "[vsyscall]"))
			fail_msg("left over: %s", line);
	}
	fclose(maps);
}

/* What the host grants a stub process: nothing. */
static void stub_is_confined(void **state)
{
	struct guest *g = mini_spawn(&mini, P_SPIN, 0, 0);
	char path[64], exe[256] = "";

	(void)state;
	while (g->program >= 0 || platform_host_pid(g->pt) <= 0)
		mini_step(&mini);
	usleep(20000); /* it runs; nothing depends on how far it has come */
	assert_status(platform_host_pid(g->pt), "NoNewPrivs:\t1");
	assert_status(platform_host_pid(g->pt), "Seccomp:\t2");
	assert_status(platform_host_pid(g->pt), "CapPrm:\t0000000000000000");
	assert_status(platform_host_pid(g->pt), "CapEff:\t0000000000000000");
	assert_status(platform_host_pid(g->pt), "CapAmb:\t0000000000000000");
	snprintf(path, sizeof(path), "/proc/%d/fd", platform_host_pid(g->pt));
	assert_int_equal(entries(path), ON_PTRACE ? 1 /* the socket */ : 0);
	snprintf(path, sizeof(path), "/proc/%d/exe", platform_host_pid(g->pt));
	assert_true(readlink(path, exe, sizeof(exe) - 1) > 0);
	assert_non_null(strstr(exe, "cvisor-stub"));
	only_stub_and_guest_mapped(platform_host_pid(g->pt));
	mini_run_and_kill(&mini, 1);
}

/* Steps until the guest has had its first reply after an exec in place into a program that spins.
 */
static void run_into_spin(struct guest *g)
{
	while (!g->cleared || g->program >= 0)
		mini_step(&mini);
}

static uint32_t mappings_of(pid_t pid)
{
	char path[64], line[512];
	uint32_t count = 0;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "re");
	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps))
		count++;
	fclose(maps);
	return count;
}

/* What was mapped behind the sentry's back, anywhere, is gone after an exec in place. */
static void exec_in_place_of_a_leaver(void **state)
{
	struct guest *g;
	uint32_t fresh;

	(void)state;
	if (ON_PTRACE) /* guest code reaches no host call: it can't map behind our back */
		skip();
	g = mini_spawn(&mini, P_SPIN, 0, 0);
	while (g->program >= 0 || platform_host_pid(g->pt) <= 0)
		mini_step(&mini);
	fresh = mappings_of(platform_host_pid(g->pt));
	mini_run_and_kill(&mini, 1);

	mini.result = 0;
	mini_spawn(&mini, P_EXEC_LEAVER, (long)sites[0], P_INSPECT);
	mini_run(&mini);
	assert_int_equal(mini.result, -SIGSEGV);

	g = mini_spawn(&mini, P_EXEC_LEAVER, (long)sites[0], P_SPIN);
	run_into_spin(g);
	only_stub_and_guest_mapped(platform_host_pid(g->pt));
	assert_int_equal(mappings_of(platform_host_pid(g->pt)), fresh);
	mini_run_and_kill(&mini, 1);
	honest_guest_is_served();
}

static void sentry_is_whole(void **state)
{
	struct platform_stats s;

	(void)state;
	platform_get_stats(mini.p, &s);
	assert_false(mini.broken);
	assert_int_equal(mini.alive, 0);
}

/*
 * A thread that has left without a word, and whose id the host has given to another process: what is
 * read and written for its process doesn't go to that one.
 */
static void memory_of_who_has_left(void **state)
{
	struct guest *g[2] = {mini_spawn(&mini, P_SPIN, 0, 0), mini_spawn(&mini, P_SPIN, 0, 0)};
	struct platform_mm *mm;
	uint64_t word = 0;
	pid_t stranger;

	(void)state;
	while (g[0]->program >= 0 || g[1]->program >= 0)
		mini_step(&mini);
	mm = platform_thread_mm(g[0]->pt);
	assert_int_equal(platform_read(NULL, mm, GUEST_BASE, &word, sizeof(word)), sizeof(word));
	stranger = platform_host_tid(g[1]->pt);
	mutex_lock(&mini.p->lock);
	atomic_store(&g[0]->pt->process->vm_tid, stranger);
	atomic_store(&mm->vm_id, process_vm_id(g[0]->pt->process));
	mutex_unlock(&mini.p->lock);
	assert_int_equal(platform_read(NULL, mm, GUEST_BASE, &word, sizeof(word)), 0);
	assert_int_equal(platform_write(NULL, mm, GUEST_BASE, &word, sizeof(word)), 0);
	mini_run_and_kill(&mini, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(stub_is_confined),
	    cmocka_unit_test(other_architecture),
	    cmocka_unit_test(stub_unmapped),
	    cmocka_unit_test(lies_about_the_past),
	    cmocka_unit_test(unordered_clone),
	    cmocka_unit_test(jumps_into_the_stub),
	    cmocka_unit_test(bells_from_many_threads),
	    cmocka_unit_test(garbage_in_the_channel),
	    cmocka_unit_test(killed_at_any_moment),
	    cmocka_unit_test(every_number_at_every_syscall_instruction),
	    cmocka_unit_test(exec_in_place_of_a_leaver),
	    cmocka_unit_test(memory_of_who_has_left),
	    cmocka_unit_test(sentry_is_whole),
	};

	return cmocka_run_group_tests(tests, setup, teardown) +
	       (ON_PTRACE ? 0
			  : cmocka_run_group_tests_name("polling", tests, setup_polled, teardown));
}
