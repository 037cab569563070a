/* SPDX-License-Identifier: Apache-2.0 */
/* process_vm_readv(2), process_vm_writev(2). */
#include "compat.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>

#define PAGE 4096ul

static char source[100] = "what the other process has";

TEST(own_memory)
{
	char target[100] = "";
	struct iovec local = {target, sizeof(target)}, remote = {source, sizeof(source)};

	EQ(process_vm_readv(getpid(), &local, 1, &remote, 1, 0), sizeof(source));
	STR_EQ(target, source);
	target[0] = 'W';
	EQ(process_vm_writev(getpid(), &local, 1, &remote, 1, 0), sizeof(source));
	EQ(source[0], 'W');
}

TEST(scattered)
{
	char a[10], b[90];
	struct iovec local[2] = {{a, sizeof(a)}, {b, sizeof(b)}};
	struct iovec remote[3] = {{source, 3}, {source + 3, 0}, {source + 3, 97}};

	EQ(process_vm_readv(getpid(), local, 2, remote, 3, 0), 100);
	MEM_EQ(a, source, 10);
	MEM_EQ(b, source + 10, 90);
}

/* A child that waits until its pipe is closed. */
static pid_t waiting_child(int *ret_end)
{
	int ready[2], end[2];
	pid_t pid;
	char c;

	OK(pipe(ready));
	OK(pipe(end));
	pid = fork();
	if (!pid) {
		prctl(PR_SET_DUMPABLE, 1);
		strcpy(source, "the child's own");
		close(end[1]);
		close(ready[1]);
		_exit(read(end[0], &c, 1) == 0 && source[0] == 'X' ? 0 : 1);
	}
	close(ready[1]);
	EQ(read(ready[0], &c, 1), 0);
	close(ready[0]);
	close(end[0]);
	*ret_end = end[1];
	return pid;
}

TEST(child)
{
	char target[100] = "";
	struct iovec local = {target, sizeof(target)}, remote = {source, sizeof(source)};
	int end;
	pid_t pid = waiting_child(&end);
	ssize_t n = process_vm_readv(pid, &local, 1, &remote, 1, 0);

	if (n < 0 && errno == EPERM)
		SKIP("forbidden here");
	EQ(n, sizeof(source));
	STR_EQ(target, "the child's own");
	target[0] = 'X';
	local.iov_len = remote.iov_len = 1;
	EQ(process_vm_writev(pid, &local, 1, &remote, 1, 0), 1);
	close(end);
	WAIT_EXIT(pid, 0);
	STR_EQ(source, "what the other process has");
}

/* The parent goes on before the child has had any time. */
TEST(child_just_forked)
{
	char target[100], path[64];
	struct iovec local = {target, sizeof(target)}, remote = {source, sizeof(source)};

	for (int i = 0; i < 300; i++) {
		pid_t pid = fork();
		ssize_t n;

		if (!pid) {
			pause();
			_exit(0);
		}
		memset(target, 0, sizeof(target));
		if (i % 2) {
			snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
			int fd = OK(open(path, O_RDONLY));

			CHECK(read(fd, target, sizeof(target)) > 0);
			OK(close(fd));
		} else {
			n = process_vm_readv(pid, &local, 1, &remote, 1, 0);
			if (n < 0 && errno == EPERM) {
				kill(pid, SIGKILL);
				waitpid(pid, NULL, 0);
				SKIP("forbidden here");
			}
			EQ(n, sizeof(source));
			STR_EQ(target, source);
		}
		OK(kill(pid, SIGKILL));
		EQ(waitpid(pid, NULL, 0), pid);
	}
}

TEST(partial)
{
	char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char target[200];
	struct iovec local = {target, sizeof(target)}, remote = {p + PAGE - 50, 200};

	CHECK(p != MAP_FAILED);
	OK(munmap(p + PAGE, PAGE));
	EQ(process_vm_readv(getpid(), &local, 1, &remote, 1, 0), 50);
	remote.iov_base = p + PAGE;
	FAILS(process_vm_readv(getpid(), &local, 1, &remote, 1, 0), EFAULT);
}

TEST(errors)
{
	struct iovec v = {source, sizeof(source)};

	FAILS(process_vm_readv(getpid(), &v, 1, &v, 1, 1), EINVAL);
	FAILS(process_vm_readv(getpid(), &v, 1025, &v, 1, 0), EINVAL);
	FAILS(process_vm_readv(getpid(), (struct iovec *)8, 1, &v, 1, 0), EFAULT);
	FAILS(process_vm_readv(4000000, &v, 1, &v, 1, 0), ESRCH);
	EQ(process_vm_readv(getpid(), &v, 0, &v, 1, 0), 0);
}
