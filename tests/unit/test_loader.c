/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loader: real programs are loaded by the plan into a child process and run; damaged ones must
 * be refused or give a plan that stays in the guest's range; scripts; credentials.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "abi/caps.h"
#include "abi/fcntl.h"
#include "tests/unit/loader_fakes.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

static int setup(void **state)
{
	(void)state;
	fake_setup();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	assert_int_equal(fake_live, 0);
	mutex_destroy(&fake_group.siglock);
	return 0;
}

static int load(struct file *f, const char *name, const char **argv, const char **envp,
		struct exec_image *image)
{
	struct exec_args a = {
	    .argv = (char **)argv, .envp = (char **)envp, .filename = name, .file = f};

	while (argv[a.argc])
		a.argc++;
	while (envp[a.envc])
		a.envc++;
	return loader_load(&fake_task, &a, image);
}

static int load_path(const char *path, const char **argv, const char **envp,
		     struct exec_image *image)
{
	struct file *f = NULL;
	int err = loader_open(&fake_task, 0, path, 0, &f);

	assert_int_equal(err, 0);
	err = load(f, path, argv, envp, image);
	file_put(f);
	return err;
}

/* ---- running what was planned ---- */

#define EXIT_COLLISION 99 /* the plan's places meet the test's own memory: try again */

static void run_memop(const struct memop *op)
{
	int flags = MAP_PRIVATE | MAP_FIXED_NOREPLACE, fd = -1;

	if (op->type == MEMOP_VDSO)
		return;
	if (op->type == MEMOP_MPROTECT) {
		mprotect((void *)op->addr, op->size, (int)op->prot);
		return;
	}
	if (op->type == MEMOP_MMAP_FD)
		fd = op->fd;
	else
		flags |= MAP_ANONYMOUS;
	if (op->flags & MEMOP_NORESERVE)
		flags |= MAP_NORESERVE;
	if (mmap((void *)op->addr, op->size, (int)op->prot, flags, fd, (off_t)op->offset) !=
	    (void *)op->addr)
		_exit(EXIT_COLLISION);
}

__attribute__((no_sanitize("address"))) static void become(struct exec_image *image, int out)
{
	dup2(out, 1);
	for (int sig = 1; sig < 32; sig++)
		signal(sig, SIG_DFL); /* cmocka's handlers */
	for (uint32_t i = 0; i < image->memop_count; i++)
		run_memop(&image->memops[i]);
	for (uint32_t i = 0; i < image->zero_count; i++)
		for (uint64_t n = 0; n < image->zero[i].size; n++)
			*(volatile char *)(image->zero[i].va + n) = 0;
	for (uint64_t n = 0; n < image->stack_data_size; n++)
		((volatile char *)image->stack_data_va)[n] = ((char *)image->stack_data)[n];
	/* No vDSO here: its auxv entry becomes one to be ignored. */
	for (uint64_t *a = (uint64_t *)image->regs.rsp;; a++) {
		if (a[0] == ABI_AT_SYSINFO_EHDR && a[1] == mm_layout(image->mm)->vdso) {
			a[0] = ABI_AT_IGNORE;
			break;
		}
	}
	__asm__ volatile("mov %0, %%rsp\n\txor %%edx, %%edx\n\tjmp *%1"
			 :
			 : "a"(image->regs.rsp), "c"(image->regs.rip)
			 : "memory");
	__builtin_unreachable();
}

/* What the program prints; caller frees. */
static char *run_once(const char *path, const char **argv, const char **envp, int *ret_status)
{
	struct exec_image image;
	int fds[2];
	char buf[4096];
	ssize_t n, done = 0;
	pid_t pid;

	assert_int_equal(load_path(path, argv, envp, &image), 0);
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (!pid)
		become(&image, fds[1]);
	close(fds[1]);
	while ((n = read(fds[0], buf + done, sizeof(buf) - 1 - (size_t)done)) > 0)
		done += n;
	buf[done] = 0;
	close(fds[0]);
	assert_int_equal(waitpid(pid, ret_status, 0), pid);
	exec_image_free(&image);
	return xstrdup(buf);
}

static void check_run(const char *path, const char **argv, const char **envp, const char *want)
{
	int status = 0;
	char *got = NULL;

	for (int i = 0; i < 20; i++) {
		free(got);
		got = run_once(path, argv, envp, &status);
		if (!WIFEXITED(status) || WEXITSTATUS(status) != EXIT_COLLISION)
			break;
	}
	if (status || strcmp(got, want))
		fail_msg("%s: status %#x, want \"%s\", got \"%s\"", path, status, want, got);
	free(got);
}

static const char *env[] = {"A=1", "LONG=value of a variable", NULL};

static void test_static(void **state)
{
	const char *argv[] = {"busybox", "sh",	"-c", "echo $A $0 $1; exec 2>&1",
			      "zero",	 "one", NULL};

	(void)state;
	if (access("/bin/busybox", X_OK))
		skip();
	check_run("/bin/busybox", argv, env, "1 zero one\n");
}

static void test_dynamic(void **state)
{
	const char *argv[] = {"bash", "-c", "echo \"$LONG\"; a=(x y z); echo ${#a[@]} $(( 6 * 7 ))",
			      NULL};

	(void)state;
	check_run("/bin/bash", argv, env, "value of a variable\n3 42\n");
}

/* The dynamic linker as a program. */
static void test_linker(void **state)
{
	const char *argv[] = {"ld.so", "/bin/echo", "through ld.so", NULL};

	(void)state;
	check_run("/lib64/ld-linux-x86-64.so.2", argv, env, "through ld.so\n");
}

static void test_script(void **state)
{
	char path[] = "/tmp/cvisor-script-XXXXXX", want[128];
	const char *argv[] = {"script", "first", NULL};
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_true(dprintf(fd, "#! /bin/sh -e \necho $0 $1 $-\n") > 0);
	close(fd);
	snprintf(want, sizeof(want), "%s first e\n", path);
	check_run(path, argv, env, want);
	unlink(path);
}

static void test_large_environment(void **state)
{
	const char *argv[] = {"bash", "-c", "echo ${#BIG}", NULL};
	char *big = xmalloc(100001);
	const char *envp[] = {big, NULL};

	(void)state;
	memset(big, 'x', 100000);
	memcpy(big, "BIG=", 4);
	big[100000] = 0;
	check_run("/bin/bash", argv, envp, "99996\n");
	free(big);
}

/* ---- limits and errors ---- */

static void test_too_big(void **state)
{
	char *big = xmalloc((128 << 10) + 1);
	const char *envp[] = {NULL};
	const char *argv[] = {"bash", NULL, NULL};
	const char **many = xcalloc(200001, sizeof(*many));
	struct exec_image image;

	(void)state;
	memset(big, 'x', 128 << 10);
	big[128 << 10] = 0;
	argv[1] = big;
	assert_int_equal(load_path("/bin/bash", argv, envp, &image), -E2BIG);
	big[(128 << 10) - 1] = 0; /* with NUL exactly the limit */
	assert_int_equal(load_path("/bin/bash", argv, envp, &image), 0);
	exec_image_free(&image);
	argv[1] = NULL;
	for (int i = 0; i < 200000; i++)
		many[i] = "0123456789";
	assert_int_equal(load_path("/bin/bash", argv, many, &image), -E2BIG);
	free(many);
	free(big);
}

static int load_bytes(const void *bytes, size_t size)
{
	struct file *f = fake_new(-1, bytes, size);
	const char *argv[] = {"x", NULL}, *envp[] = {NULL};
	struct exec_image image;
	int err = load(f, "x", argv, envp, &image);

	file_put(f);
	if (!err)
		exec_image_free(&image);
	return err;
}

static int load_text(const char *text)
{
	return load_bytes(text, strlen(text));
}

static void test_not_programs(void **state)
{
	char line[400];

	(void)state;
	assert_int_equal(load_text(""), -ENOEXEC);
	assert_int_equal(load_text("\177ELF"), -ENOEXEC);
	assert_int_equal(load_text("echo hello\n"), -ENOEXEC);
	assert_int_equal(load_text("#!"), -ENOEXEC);
	assert_int_equal(load_text("#!\n"), -ENOEXEC);
	assert_int_equal(load_text("#!   \t\n"), -ENOEXEC);
	assert_int_equal(load_text("#! /nowhere/at/all\n"), -ENOENT);
	assert_int_equal(load_text("#!/nowhere/at/all"), -ENOENT);
	memset(line, 'a', sizeof(line));
	memcpy(line, "#!/", 3);
	assert_int_equal(load_bytes(line, sizeof(line)), -ENOEXEC);
}

static void test_script_parse(void **state)
{
	char a[] = "#!/bin/sh\n", b[] = "#! \t/bin/awk  -f  x \t\n", c[HEAD_SIZE + 1];
	char *interp, *arg;

	(void)state;
	assert_true(script_parse(a, strlen(a), &interp, &arg));
	assert_string_equal(interp, "/bin/sh");
	assert_null(arg);
	assert_true(script_parse(b, strlen(b), &interp, &arg));
	assert_string_equal(interp, "/bin/awk");
	assert_string_equal(arg, "-f  x");
	/* An argument may be cut, an interpreter's name not. */
	memset(c, 'y', sizeof(c));
	memcpy(c, "#!/bin/sh ", 10);
	assert_true(script_parse(c, HEAD_SIZE, &interp, &arg));
	assert_string_equal(interp, "/bin/sh");
	assert_int_equal(strlen(arg), HEAD_SIZE - 10 - 1);
}

static void test_script_loop(void **state)
{
	char path[] = "/tmp/cvisor-loop-XXXXXX";
	const char *argv[] = {"loop", NULL}, *envp[] = {NULL};
	struct exec_image image;
	int fd = mkstemp(path);

	(void)state;
	assert_true(dprintf(fd, "#!%s\n", path) > 0);
	close(fd);
	assert_int_equal(load_path(path, argv, envp, &image), -ELOOP);
	unlink(path);
}

/* ---- damaged files ---- */

/* Mappings don't overlap, and protection is changed only within the one mapped last. */
static void check_overlap(const struct exec_image *image, uint32_t index)
{
	const struct memop *op = &image->memops[index], *last = NULL;

	for (uint32_t i = 0; i < index; i++) {
		const struct memop *m = &image->memops[i];

		if (m->type == MEMOP_MMAP_FD)
			last = m;
		if (op->type != MEMOP_MPROTECT && m->type != MEMOP_MPROTECT)
			assert_true(m->addr + m->size <= op->addr ||
				    op->addr + op->size <= m->addr);
	}
	if (op->type == MEMOP_MPROTECT)
		assert_true(last && op->addr > last->addr &&
			    op->addr + op->size <= last->addr + last->size);
}

/* Whatever the file says, the plan stays in the guest's range and doesn't overlap itself. */
static void check_plan(const struct exec_image *image)
{
	for (uint32_t i = 0; i < image->memop_count; i++) {
		const struct memop *op = &image->memops[i];

		assert_int_equal((op->addr | op->size | op->offset) & (PAGE_SIZE - 1), 0);
		assert_true(op->addr >= PLATFORM_GUEST_MIN && op->size > 0);
		assert_true(op->size <= PLATFORM_GUEST_MAX - op->addr);
		check_overlap(image, i);
	}
	for (uint32_t i = 0; i < image->zero_count; i++)
		assert_true(image->zero[i].size < PAGE_SIZE &&
			    image->zero[i].va < PLATFORM_GUEST_MAX - PAGE_SIZE);
	assert_true(image->regs.rip < PLATFORM_GUEST_MAX);
	assert_int_equal(image->regs.rsp % 16, 0);
	assert_true(image->stack_data_va + image->stack_data_size <= PLATFORM_GUEST_MAX);
}

static char *read_head(const char *path, size_t *size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *bytes = xcalloc(1, *size);
	ssize_t n = read(fd, bytes, *size);

	assert_true(n > 0);
	*size = (size_t)n;
	close(fd);
	return bytes;
}

static void damage(char *bytes, size_t span)
{
	static const uint64_t values[] = {
	    0,	       1, 0x1000, 0x7fffffffffffffff, UINT64_MAX, 0x7ffe00000000, 0x7ffdfffff000,
	    0x80000000};

	for (int n = 1 + rand() % 3; n > 0; n--) {
		size_t at = (size_t)rand() % (span - 8);

		if (rand() % 2)
			memcpy(bytes + (at & ~7ul), &values[(size_t)rand() % array_count(values)],
			       rand() % 2 ? 8 : 2);
		else
			bytes[at] = (char)rand();
	}
}

static int damaged_round(const char *original, size_t size)
{
	const char *argv[] = {"x", "y", NULL}, *envp[] = {"Z=1", NULL};
	struct exec_image image;
	char *bytes = xmalloc(size);
	struct file *f;
	int err;

	memcpy(bytes, original, size);
	damage(bytes, 64 + 56 * 10);
	f = fake_new(-1, bytes, size);
	err = load(f, "x", argv, envp, &image);
	file_put(f);
	if (!err) {
		check_plan(&image);
		exec_image_free(&image);
	}
	free(bytes);
	return err;
}

static void damaged(const char *path)
{
	size_t size = 16384;
	char *original = read_head(path, &size);
	int good = 0, rounds = 3000;

	srand(5);
	for (int i = 0; i < rounds; i++)
		good += !damaged_round(original, size);
	assert_true(good > 0 && good < rounds);
	free(original);
}

static void test_damaged(void **state)
{
	(void)state;
	damaged("/bin/bash");
	if (!access("/bin/busybox", R_OK))
		damaged("/bin/busybox");
}

static void patch_and_load(size_t at, const void *bytes, size_t n, int want)
{
	size_t size = 16384;
	char *image = read_head("/bin/bash", &size);
	int got;

	memcpy(image + at, bytes, n);
	got = load_bytes(image, size);
	if (got != want)
		fail_msg("byte %zu: want %d, got %d", at, want, got);
	free(image);
}

static void test_wrong_kind(void **state)
{
	const uint16_t arm64 = 183, relocatable = 1, none = 0;
	const uint8_t class32 = 1, big_endian = 2;

	(void)state;
	patch_and_load(offsetof(struct abi_elf64_ehdr, machine), &arm64, 2, -ENOEXEC);
	patch_and_load(offsetof(struct abi_elf64_ehdr, type), &relocatable, 2, -ENOEXEC);
	patch_and_load(offsetof(struct abi_elf64_ehdr, phnum), &none, 2, -ENOEXEC);
	patch_and_load(ABI_EI_CLASS, &class32, 1, -ENOEXEC);
	patch_and_load(ABI_EI_DATA, &big_endian, 1, -ENOEXEC);
}

/* ---- credentials ---- */

static struct cred user = {.uid = 1000,
			   .euid = 1000,
			   .suid = 1000,
			   .fsuid = 1000,
			   .gid = 1000,
			   .egid = 1000,
			   .sgid = 1000,
			   .fsgid = 1000,
			   .cap_bounding = ABI_CAP_ALL};

static const struct cred *creds_of(const struct cred *old, uint32_t mode, uint32_t uid,
				   int want_err, bool *ret_secure)
{
	struct file *f = fake_new(-1, "", 0);
	const struct cred *c = NULL;

	f->inode->mode = ABI_S_IFREG | mode;
	f->inode->uid = f->inode->gid = uid;
	assert_int_equal(exec_creds(&fake_task, f, old, &c, ret_secure), want_err);
	file_put(f);
	return c;
}

static void test_set_id(void **state)
{
	const struct cred *c;
	bool secure;

	(void)state;
	c = creds_of(&user, 0755, 0, 0, &secure);
	assert_int_equal(c->euid, 1000);
	assert_int_equal(c->cap_permitted, 0);
	assert_false(secure);
	cred_put(c);
	c = creds_of(&user, 04755, 0, 0, &secure);
	assert_int_equal(c->euid, 0);
	assert_int_equal(c->suid, 0);
	assert_int_equal(c->uid, 1000);
	assert_int_equal(c->cap_effective, ABI_CAP_ALL);
	assert_true(secure);
	cred_put(c);
	c = creds_of(&user, 02755, 7, 0, &secure);
	assert_int_equal(c->egid, 7);
	assert_int_equal(c->fsgid, 7);
	assert_true(secure);
	cred_put(c);
	c = creds_of(&user, 02745, 7, 0, &secure); /* without group execute: mandatory locking */
	assert_int_equal(c->egid, 1000);
	cred_put(c);
}

static void test_set_id_refused(void **state)
{
	struct cred nnp = user;
	const struct cred *c;
	bool secure;

	(void)state;
	nnp.no_new_privs = true;
	c = creds_of(&nnp, 04755, 0, 0, &secure);
	assert_int_equal(c->euid, 1000);
	assert_int_equal(c->cap_permitted, 0);
	cred_put(c);
	fake_mount_flags = ABI_MS_NOSUID;
	c = creds_of(&user, 04755, 0, 0, &secure);
	assert_int_equal(c->euid, 1000);
	cred_put(c);
}

/* Who shares the working directory could change it under a privileged program. */
static void test_set_id_with_shared_fs(void **state)
{
	struct cred mighty = user;
	const struct cred *c;
	bool secure;

	(void)state;
	fake_shares_fs = true;
	c = creds_of(&user, 04755, 0, 0, &secure);
	assert_int_equal(c->euid, 1000);
	assert_int_equal(c->cap_permitted, 0);
	assert_true(secure);
	cred_put(c);
	c = creds_of(&user, 02755, 7, 0, &secure);
	assert_int_equal(c->egid, 1000);
	cred_put(c);
	c = creds_of(&user, 0755, 0, 0, &secure);
	assert_int_equal(c->euid, 1000);
	assert_false(secure);
	cred_put(c);
	mighty.cap_permitted = mighty.cap_effective = 1ull << ABI_CAP_SETUID;
	c = creds_of(&mighty, 04755, 0, 0, &secure); /* the ids, but no other capabilities */
	assert_int_equal(c->euid, 0);
	assert_int_equal(c->cap_effective, 1ull << ABI_CAP_SETUID);
	cred_put(c);
}

static void test_root_caps(void **state)
{
	struct cred root = {.cap_bounding = 0xff, .cap_permitted = 0xff, .cap_effective = 0xff};
	const struct cred *c;
	bool secure;

	(void)state;
	c = creds_of(&root, 0755, 5, 0, &secure);
	assert_int_equal(c->cap_permitted, 0xff);
	assert_int_equal(c->cap_effective, 0xff);
	assert_false(secure);
	cred_put(c);
	root.securebits = ABI_SECBIT_NOROOT | ABI_SECBIT_KEEP_CAPS;
	c = creds_of(&root, 0755, 5, 0, &secure);
	assert_int_equal(c->cap_permitted, 0);
	assert_int_equal(c->securebits, ABI_SECBIT_NOROOT);
	cred_put(c);
}

static void test_file_caps(void **state)
{
	/* cap_net_raw+ep, revision 2 */
	static const uint32_t net_raw[5] = {0x02000001, 1u << ABI_CAP_NET_RAW, 0, 0, 0};
	struct cred bounded = user;
	const struct cred *c;
	bool secure;

	(void)state;
	fake_caps = (const char *)net_raw;
	fake_caps_size = sizeof(net_raw);
	c = creds_of(&user, 0755, 0, 0, &secure);
	assert_int_equal(c->cap_effective, 1u << ABI_CAP_NET_RAW);
	assert_true(secure);
	cred_put(c);
	bounded.cap_bounding = 0;
	creds_of(&bounded, 0755, 0, -EPERM, &secure);
	fake_caps_size = 13;
	creds_of(&user, 0755, 0, -EINVAL, &secure);
	fake_mount_flags = ABI_MS_NOSUID;
	c = creds_of(&user, 0755, 0, 0, &secure);
	assert_int_equal(c->cap_permitted, 0);
	cred_put(c);
}

static void test_ambient(void **state)
{
	struct cred ambient = user;
	const struct cred *c;
	bool secure;

	(void)state;
	ambient.cap_ambient = ambient.cap_permitted = ambient.cap_inheritable = 1;
	c = creds_of(&ambient, 0755, 0, 0, &secure);
	assert_int_equal(c->cap_effective, 1);
	assert_int_equal(c->cap_permitted, 1);
	assert_false(secure);
	cred_put(c);
	c = creds_of(&ambient, 04755, 1001, 0, &secure);
	assert_int_equal(c->cap_ambient, 0);
	assert_int_equal(c->cap_permitted, 0);
	cred_put(c);
}

#define LOADER_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    LOADER_TEST(test_static),	      LOADER_TEST(test_dynamic),
	    LOADER_TEST(test_linker),	      LOADER_TEST(test_script),
	    LOADER_TEST(test_too_big),	      LOADER_TEST(test_large_environment),
	    LOADER_TEST(test_not_programs),   LOADER_TEST(test_script_parse),
	    LOADER_TEST(test_script_loop),    LOADER_TEST(test_damaged),
	    LOADER_TEST(test_wrong_kind),     LOADER_TEST(test_set_id),
	    LOADER_TEST(test_set_id_refused), LOADER_TEST(test_set_id_with_shared_fs),
	    LOADER_TEST(test_root_caps),      LOADER_TEST(test_file_caps),
	    LOADER_TEST(test_ambient),
	};

	return cmocka_run_group_tests_name("loader", tests, NULL, NULL);
}
