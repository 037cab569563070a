/* SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>
#include <sys/personality.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

#include "compat.h"

TEST(affinity)
{
	cpu_set_t set, one;
	unsigned cpu;

	OK(sched_getaffinity(0, sizeof(set), &set));
	CHECK(CPU_COUNT(&set) >= 1);
	CPU_ZERO(&one);
	for (int i = 0; i < CPU_SETSIZE; i++) {
		if (CPU_ISSET(i, &set)) {
			CPU_SET(i, &one);
			break;
		}
	}
	OK(sched_setaffinity(0, sizeof(one), &one));
	OK(sched_getaffinity(0, sizeof(set), &set));
	CHECK(CPU_EQUAL(&one, &set));
	CPU_ZERO(&one);
	FAILS(sched_setaffinity(0, sizeof(one), &one), EINVAL);
	FAILS(sched_getaffinity(0x3ffffff, sizeof(set), &set), ESRCH);
	FAILS(syscall(SYS_sched_getaffinity, 0, 4, &set), EINVAL);
	OK(syscall(SYS_getcpu, &cpu, NULL, NULL));
}

TEST(policies)
{
	struct sched_param p;

	EQ(sched_getscheduler(0), SCHED_OTHER);
	OK(sched_getparam(0, &p));
	EQ(p.sched_priority, 0);
	EQ(sched_get_priority_max(SCHED_FIFO), 99);
	EQ(sched_get_priority_min(SCHED_RR), 1);
	FAILS(sched_get_priority_max(77), EINVAL);
	p.sched_priority = 5;
	FAILS(sched_setscheduler(0, SCHED_OTHER, &p), EINVAL);
	p.sched_priority = 0;
	OK(sched_setscheduler(0, SCHED_BATCH, &p));
	EQ(sched_getscheduler(0), SCHED_BATCH);
	OK(sched_yield());
}

TEST(nice_values)
{
	int before = getpriority(PRIO_PROCESS, 0); /* on Linux the tests may run under nice(1) */

	OK(setpriority(PRIO_PROCESS, 0, before + 1));
	EQ(getpriority(PRIO_PROCESS, 0), before + 1);
	EQ(getpriority(PRIO_PROCESS, getpid()), before + 1);
	OK(setpriority(PRIO_PROCESS, 0, 100));
	EQ(getpriority(PRIO_PROCESS, 0), 19);
	FAILS(getpriority(9, 0), EINVAL);
	FAILS(getpriority(PRIO_PROCESS, 0x3ffffff), ESRCH);
	if (getuid() == 0)
		OK(setuid(65534));
	FAILS(setpriority(PRIO_PROCESS, 0, -5), EACCES);
}

TEST(names_and_numbers)
{
	struct utsname u;
	struct sysinfo si;

	OK(uname(&u));
	STR_EQ(u.sysname, "Linux");
	STR_EQ(u.machine, "x86_64");
	CHECK(u.release[0] >= '5');
	OK(sysinfo(&si));
	CHECK(si.totalram > 0 && si.mem_unit > 0 && si.procs > 0);
	FAILS(uname((struct utsname *)8), EFAULT);
}

TEST(random_bytes)
{
	unsigned char a[64] = {0}, b[64] = {0};

	EQ(getrandom(a, sizeof(a), 0), 64);
	EQ(getrandom(b, sizeof(b), GRND_NONBLOCK), 64);
	CHECK(memcmp(a, b, sizeof(a)) != 0);
	EQ(getrandom(a, 0, 0), 0);
	FAILS(getrandom(a, 1, 0x777), EINVAL);
	FAILS(syscall(SYS_getrandom, 8, 4, 0), EFAULT);
}

TEST(personality_is_kept)
{
	EQ(personality(0xffffffff), 0);
	EQ(personality(ADDR_NO_RANDOMIZE), 0);
	EQ(personality(0xffffffff), ADDR_NO_RANDOMIZE);
}
