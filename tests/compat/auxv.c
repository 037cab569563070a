/* SPDX-License-Identifier: Apache-2.0 */
/* What a program finds on its stack when it starts: argv, envp, the auxiliary vector. */
#include "compat.h"

#include <cpuid.h>
#include <elf.h>
#include <sys/auxv.h>
#include <sys/personality.h>

static char **start_argv;
static int start_argc;

/* In a child that only tells where things are (COMPAT_ROLE=places): writes them to stdout. */
__attribute__((constructor)) static void at_start(int argc, char **argv)
{
	uintptr_t places[4] = {(uintptr_t)argv, getauxval(AT_SYSINFO_EHDR),
			       (uintptr_t)malloc(1 << 20), *(uintptr_t *)getauxval(AT_RANDOM)};

	start_argc = argc;
	start_argv = argv;
	if (getenv("COMPAT_ROLE"))
		_exit(write(1, places, sizeof(places)) == sizeof(places) ? 0 : 1);
}

static Elf64_auxv_t *vector(int *ret_count)
{
	char **p = start_argv + start_argc + 1;
	Elf64_auxv_t *v;

	while (*p)
		p++;
	v = (Elf64_auxv_t *)(p + 1);
	for (*ret_count = 0; v[*ret_count].a_type != AT_NULL; (*ret_count)++)
		CHECK(*ret_count < 64);
	return v;
}

/* As the kernel gave it: the library changes AT_HWCAP. */
static unsigned long raw(unsigned long type)
{
	int count;
	const Elf64_auxv_t *v = vector(&count);

	for (int i = 0; i < count; i++)
		if (v[i].a_type == type)
			return v[i].a_un.a_val;
	compat_fail(__LINE__, "no entry %lu", type);
}

TEST(stack_is_aligned)
{
	/* argc was at rsp, argv follows. */
	EQ(((uintptr_t)start_argv - 8) % 16, 0);
	EQ(((long *)start_argv)[-1], start_argc);
}

TEST(strings_follow_each_other)
{
	char *at = start_argv[0], **p;

	for (int i = 0; i < start_argc; i++) {
		CHECK(start_argv[i] == at);
		at += strlen(at) + 1;
	}
	CHECK(!start_argv[start_argc]);
	for (p = start_argv + start_argc + 1; *p; p++) {
		CHECK(*p == at);
		at += strlen(at) + 1;
	}
	CHECK((char *)getauxval(AT_EXECFN) == at);
	at += strlen(at) + 1;
	/* Behind the file name: zeros up to the top of the stack. */
	EQ(*(uint64_t *)at, 0);
	EQ((uintptr_t)(at + 8) % 4096, 0);
}

TEST(program_headers)
{
	const Elf64_Phdr *ph = (const Elf64_Phdr *)getauxval(AT_PHDR);
	Elf64_Ehdr eh;
	int fd = OK(open("/proc/self/exe", O_RDONLY));

	EQ(read(fd, &eh, sizeof(eh)), sizeof(eh));
	EQ(getauxval(AT_PHENT), sizeof(*ph));
	EQ(getauxval(AT_PHNUM), eh.e_phnum);
	CHECK(ph);
	for (int i = 0; i < eh.e_phnum; i++) {
		Elf64_Phdr want;

		EQ(pread(fd, &want, sizeof(want), (off_t)(eh.e_phoff + (size_t)i * sizeof(want))),
		   sizeof(want));
		MEM_EQ(&ph[i], &want, sizeof(want));
	}
	EQ(getauxval(AT_ENTRY) & 4095, eh.e_entry & 4095);
	EQ(getauxval(AT_BASE), 0); /* a static program */
}

TEST(identity)
{
	EQ(getauxval(AT_UID), getuid());
	EQ(getauxval(AT_EUID), geteuid());
	EQ(getauxval(AT_GID), getgid());
	EQ(getauxval(AT_EGID), getegid());
	EQ(getauxval(AT_SECURE), 0);
	EQ(getauxval(AT_FLAGS), 0);
}

TEST(machine)
{
	unsigned a, b, c, d;

	EQ(getauxval(AT_PAGESZ), 4096);
	EQ(getauxval(AT_CLKTCK), 100);
	STR_EQ((char *)getauxval(AT_PLATFORM), "x86_64");
	CHECK(__get_cpuid(1, &a, &b, &c, &d));
	/* The kernel may take features away, never add. */
	EQ(raw(AT_HWCAP) & ~(unsigned long)d, 0);
	CHECK(raw(AT_HWCAP) & (1u << 26)); /* SSE2 */
	CHECK(getauxval(AT_MINSIGSTKSZ) >= 1024);
}

TEST(vdso)
{
	const Elf64_Ehdr *eh = (const Elf64_Ehdr *)getauxval(AT_SYSINFO_EHDR);

	if (!eh)
		SKIP("no vDSO here");
	MEM_EQ(eh->e_ident, ELFMAG, SELFMAG);
	EQ(eh->e_type, ET_DYN);
	EQ(eh->e_machine, EM_X86_64);
}

TEST(proc_auxv)
{
	int count, fd = OK(open("/proc/self/auxv", O_RDONLY));
	Elf64_auxv_t *v = vector(&count), file[64];
	ssize_t n = read(fd, file, sizeof(file));

	CHECK(n >= (ssize_t)((size_t)(count + 1) * sizeof(*v)));
	MEM_EQ(file, v, (size_t)(count + 1) * sizeof(*v));
}

TEST(proc_cmdline)
{
	char text[4096];
	int fd = OK(open("/proc/self/cmdline", O_RDONLY));
	ssize_t n = read(fd, text, sizeof(text));

	CHECK(n > 0);
	EQ(n, start_argv[start_argc - 1] + strlen(start_argv[start_argc - 1]) + 1 - start_argv[0]);
	MEM_EQ(text, start_argv[0], (size_t)n);
}

struct places {
	uintptr_t at[4];
};

static struct places new_places(void)
{
	char *const argv[] = {"a", NULL}, *const env[] = {"COMPAT_ROLE=places", NULL};
	struct places p;
	int fds[2];
	pid_t pid;

	OK(pipe(fds));
	pid = fork();
	if (!pid) {
		dup2(fds[1], 1);
		execve("/proc/self/exe", argv, env);
		_exit(99);
	}
	WAIT_EXIT(pid, 0);
	EQ(read(fds[0], &p, sizeof(p)), sizeof(p));
	close(fds[0]);
	close(fds[1]);
	return p;
}

/* Stack, vDSO, mappings and random bytes are elsewhere each time. */
TEST(places_are_random)
{
	struct places first = new_places(), second = new_places(), third = new_places();

	for (int i = 0; i < 4; i++)
		CHECK((first.at[i] == 0 && second.at[i] == 0) || first.at[i] != second.at[i] ||
		      second.at[i] != third.at[i]);
}

TEST(places_can_be_fixed)
{
	struct places first, second;

	if (personality(ADDR_NO_RANDOMIZE) < 0)
		SKIP("personality is forbidden here");
	first = new_places();
	second = new_places();
	for (int i = 0; i < 3; i++)
		EQ(first.at[i], second.at[i]);
	CHECK(first.at[3] != second.at[3]); /* AT_RANDOM all the same */
}
