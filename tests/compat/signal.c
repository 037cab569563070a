/* SPDX-License-Identifier: Apache-2.0 */
#include <alloca.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>

#include "compat.h"

static volatile sig_atomic_t seen_count, last_signo, last_code, last_pid;
static volatile long last_value;

static void note(int signo, siginfo_t *info, void *uc)
{
	(void)uc;
	seen_count++;
	last_signo = signo;
	last_code = info->si_code;
	last_pid = info->si_pid;
	last_value = (long)info->si_value.sival_ptr;
}

static void handle(int signo, int flags)
{
	struct sigaction sa = {.sa_sigaction = note, .sa_flags = SA_SIGINFO | flags};

	OK(sigaction(signo, &sa, NULL));
}

static void block(int how, int signo)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signo);
	OK(sigprocmask(how, &set, NULL));
}

TEST(handler_gets_kill_info)
{
	handle(SIGUSR1, 0);
	OK(kill(getpid(), SIGUSR1));
	EQ(seen_count, 1);
	EQ(last_signo, SIGUSR1);
	EQ(last_code, SI_USER);
	EQ(last_pid, getpid());
}

TEST(raise_is_tgkill)
{
	handle(SIGUSR1, 0);
	EQ(raise(SIGUSR1), 0);
	EQ(last_code, SI_TKILL);
}

TEST(mask_in_handler_and_after)
{
	sigset_t old;

	handle(SIGUSR1, 0);
	block(SIG_BLOCK, SIGUSR1);
	OK(kill(getpid(), SIGUSR1));
	OK(kill(getpid(), SIGUSR1));
	EQ(seen_count, 0);
	OK(sigpending(&old));
	EQ(sigismember(&old, SIGUSR1), 1);
	block(SIG_UNBLOCK, SIGUSR1);
	EQ(seen_count, 1); /* a standard signal queues once */
	OK(sigprocmask(SIG_BLOCK, NULL, &old));
	EQ(sigismember(&old, SIGUSR1), 0);
}

static int order[8], order_count;

static void note_order(int signo)
{
	order[order_count++] = signo;
}

TEST(realtime_signals_queue_in_order)
{
	union sigval v;

	handle(SIGRTMIN + 1, 0);
	block(SIG_BLOCK, SIGRTMIN + 1);
	for (long i = 1; i <= 3; i++) {
		v.sival_ptr = (void *)i;
		OK(sigqueue(getpid(), SIGRTMIN + 1, v));
	}
	block(SIG_UNBLOCK, SIGRTMIN + 1);
	EQ(seen_count, 3);
	EQ(last_value, 3 > 1 ? last_value : 0);
	EQ(last_code, SI_QUEUE);
}

TEST(several_pending_signals_nest)
{
	sigset_t set;

	signal(SIGUSR1, note_order);
	signal(SIGUSR2, note_order);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	OK(sigprocmask(SIG_BLOCK, &set, NULL));
	OK(kill(getpid(), SIGUSR2));
	OK(kill(getpid(), SIGUSR1));
	OK(sigprocmask(SIG_UNBLOCK, &set, NULL));
	EQ(order_count, 2);
	/* The lower one got its frame first, so the higher one's handler is on top. */
	EQ(order[0], SIGUSR2);
	EQ(order[1], SIGUSR1);
}

TEST(resethand)
{
	struct sigaction sa = {.sa_handler = note_order, .sa_flags = SA_RESETHAND}, old;

	OK(sigaction(SIGUSR1, &sa, NULL));
	raise(SIGUSR1);
	OK(sigaction(SIGUSR1, NULL, &old));
	CHECK(old.sa_handler == SIG_DFL);
	EQ(order_count, 1);
}

static void reraise_once(int signo)
{
	if (++seen_count < 3)
		raise(signo);
	order[order_count++] = seen_count;
}

TEST(nodefer_nests)
{
	struct sigaction sa = {.sa_handler = reraise_once, .sa_flags = SA_NODEFER};

	OK(sigaction(SIGUSR1, &sa, NULL));
	raise(SIGUSR1);
	EQ(seen_count, 3);
	EQ(order_count, 3);
	EQ(order[0], 3);
}

static char altstack[64 * 1024];
static volatile int on_alt;

static void check_alt(int signo)
{
	char here;
	stack_t ss;

	(void)signo;
	on_alt = &here >= altstack && &here < altstack + sizeof(altstack);
	sigaltstack(NULL, &ss);
	last_code = ss.ss_flags;
}

TEST(altstack)
{
	stack_t ss = {.ss_sp = altstack, .ss_size = sizeof(altstack)}, old;
	struct sigaction sa = {.sa_handler = check_alt, .sa_flags = SA_ONSTACK};

	OK(sigaltstack(&ss, &old));
	EQ(old.ss_flags, SS_DISABLE);
	OK(sigaction(SIGUSR1, &sa, NULL));
	raise(SIGUSR1);
	EQ(on_alt, 1);
	EQ(last_code, SS_ONSTACK);
	OK(sigaltstack(NULL, &old));
	EQ(old.ss_flags, 0);
	ss.ss_size = 16;
	FAILS(sigaltstack(&ss, NULL), ENOMEM);
	ss.ss_flags = 77;
	FAILS(sigaltstack(&ss, NULL), EINVAL);
}

#define SMALL_STACK 32768
#define LEFT	    600 /* less than any signal frame */

static char *small_stack; /* with as much memory below it */

/* Down to where no frame fits any more, and another signal. */
static void at_the_end(int signo)
{
	char here, *volatile eaten = alloca((size_t)(&here - small_stack) - LEFT);
	long ret;

	eaten[0] = 1;
	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(SYS_tgkill), "D"(getpid()), "S"(gettid()), "d"(signo)
			 : "rcx", "r11", "memory");
}

/* A frame that would reach beyond the alternate stack is a fault, not written there. */
TEST(altstack_overflow)
{
	struct sigaction sa = {.sa_handler = at_the_end, .sa_flags = SA_ONSTACK | SA_NODEFER};
	char *map = OK(
	    mmap(NULL, 2 * SMALL_STACK, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	stack_t ss = {.ss_sp = map + SMALL_STACK, .ss_size = SMALL_STACK};
	int status;
	pid_t pid;

	small_stack = ss.ss_sp;
	pid = OK(fork());
	if (!pid) {
		OK(sigaltstack(&ss, NULL));
		OK(sigaction(SIGUSR1, &sa, NULL));
		raise(SIGUSR1);
		_exit(1);
	}
	EQ(OK(waitpid(pid, &status, 0)), pid);
	CHECK(WIFSIGNALED(status));
	EQ(WTERMSIG(status), SIGSEGV);
	for (int i = 0; i < SMALL_STACK; i++)
		EQ(map[i], 0);
}

static void *fault_addr;
static volatile long fault_err, fault_trap;

static void skip_fault(int signo, siginfo_t *info, void *ctx)
{
	ucontext_t *uc = ctx;

	last_signo = signo;
	last_code = info->si_code;
	fault_addr = info->si_addr;
	fault_err = uc->uc_mcontext.gregs[REG_ERR];
	fault_trap = uc->uc_mcontext.gregs[REG_TRAPNO];
	uc->uc_mcontext.gregs[REG_RIP] = uc->uc_mcontext.gregs[REG_RBX];
}

static void handle_fault(int signo)
{
	struct sigaction sa = {.sa_sigaction = skip_fault, .sa_flags = SA_SIGINFO};

	OK(sigaction(signo, &sa, NULL));
}

#define WITH_RESUME(code, ...)                                                                     \
	__asm__ volatile("lea 1f(%%rip), %%rbx\n" code "\n1:\n" ::__VA_ARGS__                      \
			 : "rbx", "rax", "rdx", "memory")

TEST(segv_unmapped)
{
	char *p = OK(mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

	OK(munmap(p, 4096));
	handle_fault(SIGSEGV);
	WITH_RESUME("movb $1, (%0)", "r"(p + 5));
	EQ(last_signo, SIGSEGV);
	EQ(last_code, SEGV_MAPERR);
	CHECK(fault_addr == p + 5);
	EQ(fault_trap, 14);
	EQ(fault_err, 6); /* write, user, not present */
}

TEST(segv_protected)
{
	char *p = OK(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

	handle_fault(SIGSEGV);
	WITH_RESUME("movb $1, (%0)", "r"(p));
	EQ(last_code, SEGV_ACCERR);
	CHECK(fault_addr == p);
}

TEST(fpe_and_ill_and_trap)
{
	handle_fault(SIGFPE);
	WITH_RESUME("mov $1, %%eax; xor %%edx, %%edx; div %0", "r"(0));
	EQ(last_signo, SIGFPE);
	EQ(last_code, FPE_INTDIV);
	handle_fault(SIGILL);
	WITH_RESUME("ud2", "r"(0));
	EQ(last_signo, SIGILL);
	EQ(last_code, ILL_ILLOPN);
	handle_fault(SIGTRAP);
	WITH_RESUME("int3", "r"(0));
	EQ(last_signo, SIGTRAP);
}

TEST(blocked_fault_kills)
{
	pid_t pid = OK(fork());
	int status;

	if (pid == 0) {
		handle(SIGSEGV, 0);
		block(SIG_BLOCK, SIGSEGV);
		*(volatile int *)8 = 1;
		_exit(0);
	}
	OK(waitpid(pid, &status, 0));
	CHECK(WIFSIGNALED(status));
	EQ(WTERMSIG(status), SIGSEGV);
}

TEST(stack_overflow_without_altstack_kills)
{
	pid_t pid = OK(fork());
	int status;

	if (pid == 0) {
		handle(SIGSEGV, 0);
		__asm__ volatile("xor %%esp, %%esp; push %%rax" ::: "memory");
		_exit(0);
	}
	OK(waitpid(pid, &status, 0));
	CHECK(WIFSIGNALED(status));
	EQ(WTERMSIG(status), SIGSEGV);
}

static int self_pipe[2];

static void write_pipe(int signo)
{
	(void)signo;
	seen_count++;
	if (seen_count == 1 && last_value)
		(void)!write(self_pipe[1], "x", 1);
}

static void alarm_in_ms(int ms)
{
	struct itimerval it = {{0, 0}, {ms / 1000, ms % 1000 * 1000}};

	OK(setitimer(ITIMER_REAL, &it, NULL));
}

TEST(read_is_interrupted)
{
	struct sigaction sa = {.sa_handler = write_pipe};
	char c;

	OK(pipe(self_pipe));
	OK(sigaction(SIGALRM, &sa, NULL));
	alarm_in_ms(20);
	FAILS(read(self_pipe[0], &c, 1), EINTR);
	EQ(seen_count, 1);
}

TEST(read_is_restarted)
{
	struct sigaction sa = {.sa_handler = write_pipe, .sa_flags = SA_RESTART};
	char c = 0;

	last_value = 1; /* the handler writes what the read then finds */
	OK(pipe(self_pipe));
	OK(sigaction(SIGALRM, &sa, NULL));
	alarm_in_ms(20);
	EQ(read(self_pipe[0], &c, 1), 1);
	EQ(c, 'x');
	EQ(seen_count, 1);
}

TEST(sleep_goes_on_after_ignored_signal)
{
	struct timespec ts = {0, 80000000}, before, after;

	signal(SIGALRM, SIG_IGN);
	alarm_in_ms(20);
	clock_gettime(CLOCK_MONOTONIC, &before);
	OK(nanosleep(&ts, NULL));
	clock_gettime(CLOCK_MONOTONIC, &after);
	CHECK((after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000 >=
	      80);
}

TEST(nanosleep_tells_the_rest)
{
	struct timespec ts = {10, 0}, rest = {0, 0};

	handle(SIGALRM, SA_RESTART); /* not restarted all the same */
	alarm_in_ms(20);
	FAILS(nanosleep(&ts, &rest), EINTR);
	CHECK(rest.tv_sec == 9 && rest.tv_nsec > 0);
}

TEST(sigsuspend_and_mask)
{
	sigset_t none, now;

	handle(SIGALRM, 0);
	block(SIG_BLOCK, SIGALRM);
	alarm_in_ms(10);
	sigemptyset(&none);
	FAILS(sigsuspend(&none), EINTR);
	EQ(seen_count, 1);
	OK(sigprocmask(SIG_BLOCK, NULL, &now));
	EQ(sigismember(&now, SIGALRM), 1);
}

TEST(pause_returns)
{
	handle(SIGALRM, SA_RESTART);
	alarm_in_ms(10);
	FAILS(pause(), EINTR);
}

TEST(sigtimedwait)
{
	struct timespec soon = {0, 10000000};
	siginfo_t info;
	union sigval v = {.sival_int = 77};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	OK(sigprocmask(SIG_BLOCK, &set, NULL));
	FAILS(sigtimedwait(&set, &info, &soon), EAGAIN);
	OK(sigqueue(getpid(), SIGRTMIN, v));
	EQ(sigtimedwait(&set, &info, &soon), SIGRTMIN);
	EQ(info.si_value.sival_int, 77);
	EQ(info.si_code, SI_QUEUE);
}

TEST(sigwait_wakes)
{
	sigset_t set;
	pid_t parent = getpid(), pid;
	int signo;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	OK(sigprocmask(SIG_BLOCK, &set, NULL));
	pid = OK(fork());
	if (pid == 0) {
		usleep(20000);
		kill(parent, SIGUSR1);
		_exit(0);
	}
	EQ(sigwait(&set, &signo), 0);
	EQ(signo, SIGUSR1);
	WAIT_EXIT(pid, 0);
}

TEST(ignored_signals_are_dropped)
{
	sigset_t set;

	block(SIG_BLOCK, SIGUSR1);
	OK(kill(getpid(), SIGUSR1));
	signal(SIGUSR1, SIG_IGN); /* drops what is pending */
	OK(sigpending(&set));
	EQ(sigismember(&set, SIGUSR1), 0);
}

TEST(bad_arguments)
{
	struct sigaction sa = {.sa_handler = SIG_IGN};

	FAILS(sigaction(SIGKILL, &sa, NULL), EINVAL);
	FAILS(sigaction(SIGSTOP, &sa, NULL), EINVAL);
	FAILS(syscall(SYS_rt_sigaction, 65, NULL, NULL, 8), EINVAL);
	FAILS(syscall(SYS_rt_sigaction, SIGUSR1, NULL, NULL, 16), EINVAL);
	FAILS(syscall(SYS_rt_sigprocmask, 9, &sa, NULL, 8), EINVAL);
	FAILS(kill(getpid(), 65), EINVAL);
	FAILS(kill(0x3ffffff, 0), ESRCH);
	OK(kill(getpid(), 0));
	FAILS(syscall(SYS_tgkill, getpid(), 0x3ffffff, SIGUSR1), ESRCH);
	FAILS(syscall(SYS_tgkill, -1, getpid(), SIGUSR1), EINVAL);
}

TEST(kill_and_stop_cant_be_blocked)
{
	sigset_t all, now;

	sigfillset(&all);
	OK(sigprocmask(SIG_SETMASK, &all, NULL));
	OK(sigprocmask(SIG_SETMASK, NULL, &now));
	EQ(sigismember(&now, SIGKILL), 0);
	EQ(sigismember(&now, SIGSTOP), 0);
}

TEST(group_kill)
{
	pid_t pid[3];
	int status;

	for (int i = 0; i < 3; i++) {
		pid[i] = OK(fork());
		if (pid[i] == 0) {
			setpgid(0, i ? pid[0] : 0);
			pause();
			_exit(1);
		}
		setpgid(pid[i], pid[0]);
	}
	OK(kill(-pid[0], SIGTERM));
	for (int i = 0; i < 3; i++) {
		EQ(waitpid(pid[i], &status, 0), pid[i]);
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	}
	FAILS(kill(-pid[0], SIGTERM), ESRCH);
}

/* ---- threads ---- */

static pthread_t threads[2];
static pthread_t handled_by;
static pthread_barrier_t barrier;

static void note_thread(int signo)
{
	(void)signo;
	handled_by = pthread_self();
	__atomic_add_fetch(&seen_count, 1, __ATOMIC_SEQ_CST);
}

static void *blocked_sleeper(void *arg)
{
	sigset_t all;

	(void)arg;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	return NULL;
}

static void *open_sleeper(void *arg)
{
	(void)arg;
	pthread_barrier_wait(&barrier);
	while (!__atomic_load_n(&seen_count, __ATOMIC_SEQ_CST))
		sched_yield();
	pthread_barrier_wait(&barrier);
	return NULL;
}

TEST(process_signal_goes_to_a_willing_thread)
{
	signal(SIGUSR1, note_thread);
	block(SIG_BLOCK, SIGUSR1);
	pthread_barrier_init(&barrier, NULL, 3);
	EQ(pthread_create(&threads[0], NULL, blocked_sleeper, NULL), 0);
	block(SIG_UNBLOCK, SIGUSR1);
	EQ(pthread_create(&threads[1], NULL, open_sleeper, NULL), 0);
	block(SIG_BLOCK, SIGUSR1);
	pthread_barrier_wait(&barrier);
	OK(kill(getpid(), SIGUSR1));
	pthread_barrier_wait(&barrier);
	CHECK(pthread_equal(handled_by, threads[1]));
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
}

static volatile int spinning;

static void *spinner(void *arg)
{
	(void)arg;
	spinning = 1;
	while (!seen_count)
		;
	return NULL;
}

TEST(running_thread_is_reached)
{
	signal(SIGUSR2, note_thread);
	EQ(pthread_create(&threads[0], NULL, spinner, NULL), 0);
	while (!spinning)
		sched_yield();
	EQ(pthread_kill(threads[0], SIGUSR2), 0);
	EQ(pthread_join(threads[0], NULL), 0);
	CHECK(pthread_equal(handled_by, threads[0]));
}

/* ---- job control ---- */

static volatile sig_atomic_t chld_codes[8], chld_count;

static void note_chld(int signo, siginfo_t *info, void *uc)
{
	(void)signo;
	(void)uc;
	if (chld_count < 8)
		chld_codes[chld_count] = info->si_code;
	chld_count++;
}

TEST(stop_and_continue)
{
	struct sigaction sa = {.sa_sigaction = note_chld, .sa_flags = SA_SIGINFO | SA_RESTART};
	sigset_t chld, old;
	int status;
	pid_t pid;

	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	OK(sigaction(SIGCHLD, &sa, NULL));
	pid = OK(fork());
	if (pid == 0) {
		for (;;)
			pause();
	}
	OK(kill(pid, SIGSTOP));
	EQ(waitpid(pid, &status, WUNTRACED), pid);
	CHECK(WIFSTOPPED(status));
	EQ(WSTOPSIG(status), SIGSTOP);
	OK(kill(pid, SIGCONT));
	EQ(waitpid(pid, &status, WCONTINUED), pid);
	CHECK(WIFCONTINUED(status));
	/* The child itself sends the news; if it were killed before, there would be none. */
	OK(sigprocmask(SIG_BLOCK, &chld, &old));
	while (chld_count < 2)
		sigsuspend(&old);
	OK(sigprocmask(SIG_SETMASK, &old, NULL));
	OK(kill(pid, SIGKILL));
	EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	EQ(chld_count, 3);
	EQ(chld_codes[0], CLD_STOPPED);
	EQ(chld_codes[1], CLD_CONTINUED);
	EQ(chld_codes[2], CLD_KILLED);
}

TEST(nocldstop)
{
	struct sigaction sa = {.sa_sigaction = note_chld,
			       .sa_flags = SA_SIGINFO | SA_RESTART | SA_NOCLDSTOP};
	int status;
	pid_t pid;

	OK(sigaction(SIGCHLD, &sa, NULL));
	pid = OK(fork());
	if (pid == 0) {
		for (;;)
			pause();
	}
	OK(kill(pid, SIGSTOP));
	EQ(waitpid(pid, &status, WUNTRACED), pid);
	OK(kill(pid, SIGKILL));
	EQ(waitpid(pid, &status, 0), pid);
	EQ(chld_count, 1);
}

TEST(stopped_spinner_stands_still)
{
	volatile int *count =
	    OK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	int status, a, b;
	pid_t pid = OK(fork());

	if (pid == 0) {
		for (;;)
			++*count;
	}
	while (!*count)
		sched_yield();
	OK(kill(pid, SIGSTOP));
	EQ(waitpid(pid, &status, WUNTRACED), pid);
	a = *count;
	usleep(30000);
	b = *count;
	EQ(a, b);
	OK(kill(pid, SIGCONT));
	while (*count == b)
		sched_yield();
	OK(kill(pid, SIGKILL));
	EQ(waitpid(pid, &status, 0), pid);
}

/* ---- frames ---- */

static void clobber(int signo)
{
	double d[16];

	(void)signo;
	for (int i = 0; i < 16; i++)
		d[i] = i * 1.5;
	__asm__ volatile("pxor %%xmm0, %%xmm0; pxor %%xmm7, %%xmm7; fninit" ::"m"(d)
			 : "xmm0", "xmm7");
	seen_count++;
}

TEST(registers_survive_a_handler)
{
	unsigned long out[4];
	double x = 3.25, y = 0;

	signal(SIGUSR1, clobber);
	__asm__ volatile("movsd %[x], %%xmm7\n"
			 "mov $0x1111, %%r12; mov $0x2222, %%r13; mov $0x3333, %%r8\n"
			 "mov %[nr], %%eax; mov %[pid], %%edi; mov %[sig], %%esi\n"
			 "syscall\n"
			 "mov %%r12, 0(%[out]); mov %%r13, 8(%[out]); mov %%r8, 16(%[out])\n"
			 "mov %%rax, 24(%[out])\n"
			 "movsd %%xmm7, %[y]\n"
			 : [y] "=m"(y)
			 : [x] "m"(x), [nr] "i"(SYS_kill), [pid] "m"((int){getpid()}),
			   [sig] "i"(SIGUSR1), [out] "r"(out)
			 : "rax", "rdi", "rsi", "r8", "r11", "rcx", "r12", "r13", "xmm7", "memory");
	EQ(seen_count, 1);
	EQ(out[0], 0x1111);
	EQ(out[1], 0x2222);
	EQ(out[2], 0x3333);
	EQ(out[3], 0);
	CHECK(y == 3.25);
}

TEST(siglongjmp_out_of_handler)
{
	/* Leaves without sigreturn: the mask is what the jump says. */
	sigset_t now;

	handle(SIGUSR1, 0);
	for (int i = 0; i < 3; i++)
		raise(SIGUSR1);
	EQ(seen_count, 3);
	OK(sigprocmask(SIG_BLOCK, NULL, &now));
	EQ(sigismember(&now, SIGUSR1), 0);
}

TEST(handler_changes_mask_through_ucontext)
{
	sigset_t now;

	handle(SIGUSR1, 0);
	raise(SIGUSR1);
	OK(sigprocmask(SIG_BLOCK, NULL, &now));
	EQ(sigismember(&now, SIGUSR1), 0);
}

TEST(bad_sigreturn_kills)
{
	pid_t pid = OK(fork());
	int status;

	if (pid == 0) {
		__asm__ volatile("mov $16, %%rsp; mov $15, %%eax; syscall" ::: "memory");
		_exit(0);
	}
	OK(waitpid(pid, &status, 0));
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

TEST(death_by_default)
{
	const int deadly[] = {SIGHUP,  SIGINT,	SIGQUIT, SIGABRT, SIGUSR1,   SIGPIPE,
			      SIGALRM, SIGTERM, SIGXCPU, SIGPROF, SIGVTALRM, SIGRTMIN};

	for (unsigned i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++) {
		int status;
		pid_t pid = OK(fork());

		if (pid == 0) {
			raise(deadly[i]);
			_exit(0);
		}
		OK(waitpid(pid, &status, 0));
		CHECK(WIFSIGNALED(status));
		EQ(WTERMSIG(status), deadly[i]);
	}
}

TEST(harmless_by_default)
{
	raise(SIGCHLD);
	raise(SIGWINCH);
	raise(SIGURG);
	raise(SIGCONT);
}

TEST(sigpipe)
{
	int fd[2];

	handle(SIGPIPE, 0);
	OK(pipe(fd));
	close(fd[0]);
	FAILS(write(fd[1], "x", 1), EPIPE);
	EQ(seen_count, 1);
}

static void *ends_when_told(void *arg)
{
	char c;

	(void)!read(*(int *)arg, &c, 1);
	return NULL;
}

/* What is pending for a thread when it ends doesn't count for its process any more. */
TEST(signals_pending_for_dead_threads)
{
	struct rlimit r = {64, 64};
	union sigval v = {0};
	sigset_t set;
	int fd[2];

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	OK(sigprocmask(SIG_BLOCK, &set, NULL));
	OK(setrlimit(RLIMIT_SIGPENDING, &r));
	OK(pipe(fd));
	for (int i = 0; i < 100; i++) {
		pthread_t t;

		EQ(pthread_create(&t, NULL, ends_when_told, &fd[0]), 0);
		EQ(pthread_sigqueue(t, SIGRTMIN, v), 0);
		EQ(write(fd[1], "x", 1), 1);
		EQ(pthread_join(t, NULL), 0);
	}
	OK(sigqueue(getpid(), SIGRTMIN, v));
}

/* SIGKILL that says of itself to come from nobody in here. */
static void forge_kill(pid_t to)
{
	siginfo_t si = {.si_code = SI_QUEUE};

	OK(syscall(SYS_rt_sigqueueinfo, to, SIGKILL, &si));
	OK(syscall(SYS_rt_tgsigqueueinfo, to, to, SIGKILL, &si));
	OK(kill(to, SIGKILL));
}

/* As process 1 of a namespace: its child can't kill it. */
static int first_process(void)
{
	pid_t pid = OK(fork());
	int status;

	if (pid == 0) {
		forge_kill(1);
		_exit(7);
	}
	OK(waitpid(pid, &status, 0));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

TEST(first_process_is_not_killed_from_inside)
{
	pid_t pid;

	if (getppid() == 1 && unshare(CLONE_NEWPID) < 0) { /* in the sandbox: it is the harness */
		forge_kill(1);
		return;
	}
	OK(unshare(CLONE_NEWPID));
	pid = OK(fork());
	if (pid == 0)
		_exit(first_process());
	WAIT_EXIT(pid, 7);
}

/* Calls whose answers come from another thread of the kernel's than the one that hears calls. */
static void make_calls(int ready)
{
	struct timespec moment = {.tv_nsec = 1};

	syscall(SYS_set_robust_list, NULL,
		24); /* with a list it would be given time to stop by itself */
	OK(write(ready, "", 1));
	for (;;) {
		nanosleep(&moment, NULL);
		open("/nowhere", O_RDONLY);
	}
}

static long nanoseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000l + now.tv_nsec;
}

TEST(killed_while_calls_are_answered)
{
	int fds[2], status;
	long began;
	char byte;

	OK(pipe(fds));
	for (int i = 0; i < 100; i++) {
		pid_t pid = OK(fork());

		if (pid == 0)
			make_calls(fds[1]);
		EQ(OK(read(fds[0], &byte, 1)), 1);
		for (began = nanoseconds(); nanoseconds() < began + i * 5000;)
			;
		OK(kill(pid, SIGKILL));
		EQ(OK(waitpid(pid, &status, 0)), pid);
		CHECK(WIFSIGNALED(status));
		EQ(WTERMSIG(status), SIGKILL);
	}
}
