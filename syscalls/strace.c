/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --strace: a line for each call, in the format of strace(1).
 *
 *	[pid     5] openat(AT_FDCWD, "/etc/passwd", O_RDONLY|O_CLOEXEC) = 3
 *
 * Arguments that the call reads are shown from what is there when it begins: strace_enter writes
 * them down, up to the first argument that is a result; the text waits in task.trace_line.
 * strace_exit adds the rest and the result, and the line goes to the log at once. So lines stand in
 * the order in which calls end. A call that never ends shows when its task goes.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "abi/sched.h"
#include "base/log.h"
#include "sentry/kernel/kernel.h"
#include "syscalls/argkinds.h"
#include "syscalls/strace.h"
#include "syscalls/syscalls.h"

#define RESULT_COLUMN 40

static const struct syscall_entry unknown_call = {
    .name = "syscall",
    .args = {A_HEX, A_HEX, A_HEX, A_HEX, A_HEX, A_HEX},
};

static struct strace_call make_call(struct task *t, const struct sysargs *a, struct strbuf *out)
{
	bool known = a->nr < SYSCALL_TABLE_COUNT && syscall_table[a->nr].name;

	return (struct strace_call){
	    .task = t,
	    .entry = known ? &syscall_table[a->nr] : &unknown_call,
	    .args = a,
	    .out = out,
	};
}

static void emit(struct task *t, const struct strbuf *line)
{
	const char *text = strbuf_str(line);

	if (line->size > STRACE_LINE_MAX)
		log_write(LOG_INFO, "[pid %5d] %.*s...", t->tid, STRACE_LINE_MAX, text);
	else
		log_write(LOG_INFO, "[pid %5d] %s", t->tid, text);
}

/* Where the result begins is where the first argument that waits for it stands. */
static unsigned int first_result(const struct strace_call *c, unsigned int count)
{
	unsigned int i = 0;

	while (i < count && !strace_arg_is_result(c, i))
		i++;
	return i;
}

static void show_args(struct strace_call *c, unsigned int from, unsigned int to)
{
	for (unsigned int i = from; i < to; i++) {
		if (i)
			strbuf_addstr(c->out, ", ");
		strace_show_arg(c, i);
	}
}

static void strace_enter(struct task *t, const struct sysargs *a)
{
	struct strbuf line = STRBUF_INIT;
	struct strace_call c = make_call(t, a, &line);

	strbuf_addf(&line, "%s(", c.entry->name);
	if (c.entry == &unknown_call)
		strbuf_addf(&line, "%" PRIu64 ", ", a->nr);
	show_args(&c, 0, first_result(&c, strace_arg_count(&c)));
	free(t->trace_line);
	t->trace_line = NULL;
	if (c.entry->ret == R_NONE) {
		strbuf_addf(&line, ")%*s= ?", (int)(RESULT_COLUMN - MIN(line.size + 1, 39u)), "");
		emit(t, &line);
		strbuf_free(&line);
		return;
	}
	t->trace_line = strbuf_detach(&line);
}

static void strace_exit(struct task *t, const struct sysargs *a, int64_t ret)
{
	struct strbuf line = STRBUF_INIT;
	struct strace_call c = make_call(t, a, &line);
	unsigned int count = strace_arg_count(&c);

	if (!t->trace_line)
		return;
	strbuf_addstr(&line, t->trace_line);
	free(t->trace_line);
	t->trace_line = NULL;
	c.exiting = true;
	c.ret = ret;
	show_args(&c, first_result(&c, count), count);
	strbuf_addf(&line, ")%*s= ", (int)(RESULT_COLUMN - MIN(line.size + 1, 39u)), "");
	strace_show_result(&c);
	emit(t, &line);
	strbuf_free(&line);
}

static void strace_signal(struct task *t, int signo, const void *siginfo)
{
	struct strbuf line = STRBUF_INIT;
	char room[24];

	strbuf_addf(&line, "--- %s ", strace_signal_name(signo, room, sizeof(room)));
	strace_show_siginfo(&line, siginfo);
	strbuf_addstr(&line, " ---");
	emit(t, &line);
	strbuf_free(&line);
}

static void strace_gone(struct task *t, int wait_status)
{
	struct strbuf line = STRBUF_INIT;
	int signo = wait_status & 0x7f;
	char room[24];

	if (t->trace_line) {
		strbuf_addf(&line, "%s <unfinished ...>)%*s= ?", t->trace_line, 1, "");
		emit(t, &line);
		strbuf_reset(&line);
		free(t->trace_line);
		t->trace_line = NULL;
	}
	if (signo)
		strbuf_addf(&line, "+++ killed by %s%s +++",
			    strace_signal_name(signo, room, sizeof(room)),
			    wait_status & 0x80 ? " (core dumped)" : "");
	else
		strbuf_addf(&line, "+++ exited with %d +++", (wait_status >> 8) & 0xff);
	emit(t, &line);
	strbuf_free(&line);
}

const struct syscall_trace syscall_strace = {
    .enter = strace_enter,
    .exit = strace_exit,
    .signal = strace_signal,
    .gone = strace_gone,
};
