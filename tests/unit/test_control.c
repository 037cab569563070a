/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket against peers that lie: requests as the sentry checks them, replies as the
 * command line does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "runsc/control.h"

static struct control_request good_request(uint32_t size)
{
	return (struct control_request){
	    .magic = CONTROL_MAGIC, .version = CONTROL_VERSION, .op = CONTROL_KILL, .size = size};
}

static void requests(void **state)
{
	struct control_request q = good_request(0), out;

	(void)state;
	assert_int_equal(control_check_request(&q, sizeof(q), &out), 0);
	assert_int_equal(out.op, CONTROL_KILL);
	for (size_t size = 0; size < sizeof(q); size++)
		assert_int_equal(control_check_request(&q, size, &out), -EBADMSG);
	assert_int_equal(control_check_request(&q, sizeof(q) + 1, &out), -EBADMSG);
	q.size = 1;
	assert_int_equal(control_check_request(&q, sizeof(q), &out), -EBADMSG);
	q.size = CONTROL_PAYLOAD_MAX + 1;
	assert_int_equal(control_check_request(&q, sizeof(q) + q.size, &out), -EBADMSG);
	q = good_request(0);
	q.version++;
	assert_int_equal(control_check_request(&q, sizeof(q), &out), -EPROTONOSUPPORT);
	q.magic = 0;
	assert_int_equal(control_check_request(&q, sizeof(q), &out), -EBADMSG);
}

/* "/p", argv {"a", "bc"}, envp {"X=1"}, input "in" */
static size_t good_hook(char *buf, struct control_hook head)
{
	static const char strings[] = "/p\0a\0bc\0X=1\0in";

	memcpy(buf, &head, sizeof(head));
	memcpy(buf + sizeof(head), strings, sizeof(strings) - 1);
	return sizeof(head) + sizeof(strings) - 1;
}

static int parse(const char *buf, size_t size)
{
	const char *path, **argv, **envp;
	struct control_hook head;
	const void *input;
	int err = control_parse_hook(buf, size, &head, &path, &argv, &envp, &input);

	if (err)
		return err;
	assert_string_equal(path, "/p");
	assert_string_equal(argv[0], "a");
	assert_string_equal(argv[1], "bc");
	assert_null(argv[2]);
	assert_string_equal(envp[0], "X=1");
	assert_null(envp[1]);
	assert_memory_equal(input, "in", 2);
	free(argv);
	free(envp);
	return 0;
}

static void hooks(void **state)
{
	struct control_hook head = {.argc = 2, .envc = 1, .input_size = 2};
	char buf[128];
	size_t size = good_hook(buf, head);

	(void)state;
	assert_int_equal(parse(buf, size), 0);
	for (size_t cut = 0; cut < size; cut++)
		assert_int_equal(parse(buf, cut), -EBADMSG);
	assert_int_equal(parse(buf, size + 1), -EBADMSG);
	for (uint32_t argc = 3; argc; argc *= 3) {
		if (argc > UINT32_MAX / 3)
			break;
		head.argc = argc;
		size = good_hook(buf, head);
		assert_int_equal(parse(buf, size), -EBADMSG);
	}
	head = (struct control_hook){.argc = UINT32_MAX, .envc = UINT32_MAX, .input_size = 2};
	size = good_hook(buf, head);
	assert_int_equal(parse(buf, size), -EBADMSG);
}

struct server {
	char dir[64];
	int dir_fd;
	pid_t pid;
};

/* A process that takes one request and sends these bytes (NULL: hangs up; size 0 with bytes: says
 * nothing until it is killed). */
static void serve(struct server *s, const void *reply, size_t size)
{
	int fd;

	strcpy(s->dir, "/tmp/cvisor-control-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	s->dir_fd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_null(control_listen(s->dir_fd, "sock", &fd));
	s->pid = fork();
	if (s->pid == 0) {
		char packet[CONTROL_REQUEST_MAX];
		int conn;

		fcntl(fd, F_SETFL, 0);
		conn = accept(fd, NULL, NULL);
		if (recv(conn, packet, sizeof(packet), 0) > 0 && reply && size)
			send(conn, reply, size, MSG_NOSIGNAL);
		while (reply && !size)
			pause();
		_exit(0);
	}
	close(fd);
}

static void stop(struct server *s)
{
	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
	unlinkat(s->dir_fd, "sock", 0);
	close(s->dir_fd);
	rmdir(s->dir);
}

/* The errno that the client makes of a server that sends this. */
static int call(const void *bytes, size_t size, int timeout_ms)
{
	struct control_request q = {.op = CONTROL_PS};
	struct control_reply reply;
	void *payload = NULL;
	struct server s;
	struct error *e;
	int errnum;

	serve(&s, bytes, size);
	e = control_call(s.dir_fd, "sock", &q, NULL, timeout_ms, &reply, &payload);
	stop(&s);
	errnum = e ? e->errnum : 0;
	if (!e)
		assert_int_equal(((char *)payload)[reply.size], '\0');
	free(payload);
	error_free(e);
	return errnum;
}

static void replies(void **state)
{
	struct {
		struct control_reply head;
		char payload[8];
	} good = {.head = {.magic = CONTROL_MAGIC,
			   .version = CONTROL_VERSION,
			   .op = CONTROL_PS,
			   .size = 8},
		  .payload = "payload"},
	  r;

	(void)state;
	assert_int_equal(call(&good, sizeof(good), 5000), 0);
	assert_int_equal(call(&good, sizeof(good) - 1, 5000), EBADMSG);
	assert_int_equal(call(&good, sizeof(good.head) - 1, 5000), EBADMSG);
	assert_int_equal(call(&good, 1, 5000), EBADMSG);
	r = good, r.head.magic = 0;
	assert_int_equal(call(&r, sizeof(r), 5000), EBADMSG);
	r = good, r.head.op = CONTROL_KILL;
	assert_int_equal(call(&r, sizeof(r), 5000), EBADMSG);
	r = good, r.head.size = UINT32_MAX;
	assert_int_equal(call(&r, sizeof(r), 5000), EBADMSG);
	r = good, r.head.err = 5;
	assert_int_equal(call(&r, sizeof(r), 5000), EBADMSG);
	r = good, r.head.err = INT32_MIN;
	assert_int_equal(call(&r, sizeof(r), 5000), EBADMSG);
	r = good, r.head.err = -ESRCH;
	assert_int_equal(call(&r, sizeof(r), 5000), ESRCH);
}

static void waits_that_end(void **state)
{
	(void)state;
	assert_int_equal(call(NULL, 0, -1), ECONNRESET);
	assert_int_equal(call("", 0, 50), ETIMEDOUT);
}

static void nobody_there(void **state)
{
	struct control_request q = {.op = CONTROL_START};
	struct error *e = control_call(AT_FDCWD, "nothing", &q, NULL, 100, NULL, NULL);
	struct server s;

	(void)state;
	assert_non_null(e);
	error_free(e);
	serve(&s, NULL, 0);
	kill(s.pid, SIGKILL);
	waitpid(s.pid, NULL, 0);
	e = control_call(s.dir_fd, "sock", &q, NULL, 100, NULL, NULL);
	assert_non_null(e);
	assert_int_equal(e->errnum, ECONNREFUSED);
	error_free(e);
	unlinkat(s.dir_fd, "sock", 0);
	close(s.dir_fd);
	rmdir(s.dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(requests),	    cmocka_unit_test(hooks),
	    cmocka_unit_test(replies),	    cmocka_unit_test(waits_that_end),
	    cmocka_unit_test(nobody_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
