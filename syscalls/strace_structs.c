/* SPDX-License-Identifier: Apache-2.0 */
/* --strace: what is behind the addresses. Everything read here is the guest's: bounded, and only
 * ever printed. */
#include <arpa/inet.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sentry/mm/usermem.h"
#include "syscalls/argkinds.h"
#include "syscalls/strace.h"

/* ---- reading ---- */

bool strace_read(struct strace_call *c, void *dst, uint64_t va, size_t size)
{
	return va && copy_from_user(c->task, dst, (uaddr_t){va}, size) == 0;
}

void strace_show_address(struct strbuf *out, uint64_t va)
{
	if (va)
		strbuf_addf(out, "%#" PRIx64, va);
	else
		strbuf_addstr(out, "NULL");
}

/* ---- strings ---- */

static void show_byte(struct strbuf *out, unsigned char byte, bool digit_follows)
{
	static const char named[] = "\tt\nn\vv\ff\rr\"\"\\\\";

	for (size_t i = 0; i + 1 < sizeof(named); i += 2)
		if (byte == (unsigned char)named[i]) {
			strbuf_addch(out, '\\');
			strbuf_addch(out, named[i + 1]);
			return;
		}
	if (byte >= 0x20 && byte < 0x7f)
		strbuf_addch(out, (char)byte);
	else
		strbuf_addf(out, digit_follows ? "\\%03o" : "\\%o", byte);
}

void strace_show_bytes(struct strbuf *out, const char *bytes, size_t size, bool more)
{
	strbuf_addch(out, '"');
	for (size_t i = 0; i < size; i++)
		show_byte(out, (unsigned char)bytes[i],
			  i + 1 < size && bytes[i + 1] >= '0' && bytes[i + 1] <= '7');
	strbuf_addstr(out, more ? "\"..." : "\"");
}

static void show_buffer(struct strace_call *c, uint64_t va, uint64_t size)
{
	char bytes[STRACE_STRING_MAX];
	size_t shown = (size_t)MIN(size, (uint64_t)sizeof(bytes));

	if (!strace_read(c, bytes, va, shown) && shown)
		strace_show_address(c->out, va);
	else
		strace_show_bytes(c->out, bytes, shown, size > shown);
}

static void show_string(struct strace_call *c, uint64_t va, size_t max)
{
	char text[ABI_PATH_MAX];
	ssize_t size = strncpy_from_user(c->task, text, (uaddr_t){va}, sizeof(text));

	if (size < 0)
		strace_show_address(c->out, va);
	else
		strace_show_bytes(c->out, text, MIN((size_t)size, max), (size_t)size > max);
}

/* argv: NULL ends it. */
static void show_string_vector(struct strace_call *c, uint64_t va)
{
	uint64_t item = 0;

	strbuf_addch(c->out, '[');
	for (unsigned int i = 0; strace_read(c, &item, va + 8ull * i, 8) && item; i++) {
		if (i)
			strbuf_addstr(c->out, ", ");
		if (i == STRACE_ARRAY_MAX) {
			strbuf_addstr(c->out, "...");
			break;
		}
		show_string(c, item, STRACE_STRING_MAX);
	}
	strbuf_addch(c->out, ']');
}

/* ---- arrays ---- */

/* Reads elements one by one and shows each with `show`. */
static void show_array(struct strace_call *c, uint64_t va, uint64_t count, size_t size,
		       void (*show)(struct strace_call *c, const void *element))
{
	uint8_t element[64];

	strbuf_addch(c->out, '[');
	for (uint64_t i = 0; i < count; i++) {
		if (i)
			strbuf_addstr(c->out, ", ");
		if (i == STRACE_ARRAY_MAX || !strace_read(c, element, va + i * size, size)) {
			strbuf_addstr(c->out, "...");
			break;
		}
		show(c, element);
	}
	strbuf_addch(c->out, ']');
}

static void show_int(struct strace_call *c, const void *element)
{
	int32_t value;

	memcpy(&value, element, sizeof(value));
	strbuf_addf(c->out, "%" PRId32, value);
}

static void show_uint(struct strace_call *c, const void *element)
{
	uint32_t value;

	memcpy(&value, element, sizeof(value));
	strbuf_addf(c->out, "%" PRIu32, value);
}

static void show_iovec(struct strace_call *c, const void *element)
{
	struct abi_iovec iov;

	memcpy(&iov, element, sizeof(iov));
	strbuf_addstr(c->out, "{iov_base=");
	show_buffer(c, iov.base,
		    c->exiting && c->ret >= 0 ? MIN(iov.len, (uint64_t)c->ret) : iov.len);
	strbuf_addf(c->out, ", iov_len=%" PRIu64 "}", iov.len);
}

static void show_pollfd(struct strace_call *c, const void *element)
{
	struct abi_pollfd p;

	memcpy(&p, element, sizeof(p));
	strbuf_addf(c->out, "{fd=%" PRId32 ", events=", p.fd);
	strace_show_poll_events(c->out, (uint16_t)p.events, false);
	strbuf_addch(c->out, '}');
}

void strace_show_pollfds_ready(struct strace_call *c, uint64_t va, uint64_t count)
{
	unsigned int shown = 0;

	strbuf_addch(c->out, '[');
	for (uint64_t i = 0; i < MIN(count, (uint64_t)ABI_FD_SETSIZE); i++) {
		struct abi_pollfd p;

		if (!strace_read(c, &p, va + i * sizeof(p), sizeof(p)))
			break;
		if (!p.revents)
			continue;
		if (shown)
			strbuf_addstr(c->out, ", ");
		if (shown++ == STRACE_ARRAY_MAX) {
			strbuf_addstr(c->out, "...");
			break;
		}
		strbuf_addf(c->out, "{fd=%" PRId32 ", revents=", p.fd);
		strace_show_poll_events(c->out, (uint16_t)p.revents, false);
		strbuf_addch(c->out, '}');
	}
	strbuf_addch(c->out, ']');
}

static void show_epoll_event(struct strace_call *c, const void *element)
{
	struct abi_epoll_event e;

	memcpy(&e, element, sizeof(e));
	strbuf_addstr(c->out, "{events=");
	strace_show_poll_events(c->out, e.events, true);
	strbuf_addf(c->out, ", data={u32=%" PRIu32 ", u64=%" PRIu64 "}}", (uint32_t)e.data, e.data);
}

void strace_show_fdset(struct strace_call *c, uint64_t va, int bits)
{
	struct abi_fd_set set = {0};
	int limit = MIN(MAX(bits, 0), ABI_FD_SETSIZE);
	size_t size = (size_t)(limit + 63) / 64 * 8;
	const char *separator = "";

	if (!va || (size && !strace_read(c, &set, va, size))) {
		strace_show_address(c->out, va);
		return;
	}
	strbuf_addch(c->out, '[');
	for (int fd = 0; fd < limit; fd++) {
		if (!(set.bits[fd / 64] >> (fd % 64) & 1))
			continue;
		strbuf_addf(c->out, "%s%d", separator, fd);
		separator = " ";
	}
	strbuf_addch(c->out, ']');
}

/* ---- times ---- */

static void put_timespec(struct strbuf *out, const struct abi_timespec *ts)
{
	if (ts->nsec == ABI_UTIME_NOW)
		strbuf_addstr(out, "UTIME_NOW");
	else if (ts->nsec == ABI_UTIME_OMIT)
		strbuf_addstr(out, "UTIME_OMIT");
	else
		strbuf_addf(out, "{tv_sec=%" PRId64 ", tv_nsec=%" PRId64 "}", ts->sec, ts->nsec);
}

static void put_timeval(struct strbuf *out, const struct abi_timeval *tv)
{
	strbuf_addf(out, "{tv_sec=%" PRId64 ", tv_usec=%" PRId64 "}", tv->sec, tv->usec);
}

static void show_timespec(struct strace_call *c, const void *p)
{
	struct abi_timespec ts;

	memcpy(&ts, p, sizeof(ts));
	put_timespec(c->out, &ts);
}

static void show_timeval(struct strace_call *c, const void *p)
{
	struct abi_timeval tv;

	memcpy(&tv, p, sizeof(tv));
	put_timeval(c->out, &tv);
}

static void show_itimerspec(struct strace_call *c, const void *p)
{
	struct abi_itimerspec its;

	memcpy(&its, p, sizeof(its));
	strbuf_addstr(c->out, "{it_interval=");
	put_timespec(c->out, &its.interval);
	strbuf_addstr(c->out, ", it_value=");
	put_timespec(c->out, &its.value);
	strbuf_addch(c->out, '}');
}

static void show_itimerval(struct strace_call *c, const void *p)
{
	struct abi_itimerval itv;

	memcpy(&itv, p, sizeof(itv));
	strbuf_addstr(c->out, "{it_interval=");
	put_timeval(c->out, &itv.interval);
	strbuf_addstr(c->out, ", it_value=");
	put_timeval(c->out, &itv.value);
	strbuf_addch(c->out, '}');
}

static void show_utimbuf(struct strace_call *c, const void *p)
{
	struct abi_utimbuf t;

	memcpy(&t, p, sizeof(t));
	strbuf_addf(c->out, "{actime=%" PRId64 ", modtime=%" PRId64 "}", t.actime, t.modtime);
}

static void show_tms(struct strace_call *c, const void *p)
{
	struct abi_tms t;

	memcpy(&t, p, sizeof(t));
	strbuf_addf(c->out,
		    "{tms_utime=%" PRId64 ", tms_stime=%" PRId64 ", tms_cutime=%" PRId64
		    ", tms_cstime=%" PRId64 "}",
		    t.utime, t.stime, t.cutime, t.cstime);
}

static void show_rusage(struct strace_call *c, const void *p)
{
	struct abi_rusage r;

	memcpy(&r, p, sizeof(r));
	strbuf_addstr(c->out, "{ru_utime=");
	put_timeval(c->out, &r.utime);
	strbuf_addstr(c->out, ", ru_stime=");
	put_timeval(c->out, &r.stime);
	strbuf_addstr(c->out, ", ...}");
}

/* ---- files ---- */

static void show_stat(struct strace_call *c, const void *p)
{
	struct abi_stat st;

	memcpy(&st, p, sizeof(st));
	strbuf_addstr(c->out, "{st_mode=");
	strace_show_mode(c->out, st.mode);
	if (ABI_S_ISCHR(st.mode) || ABI_S_ISBLK(st.mode))
		strbuf_addf(c->out, ", st_rdev=makedev(%#x, %#x), ...}", abi_major(st.rdev),
			    abi_minor(st.rdev));
	else
		strbuf_addf(c->out, ", st_size=%" PRId64 ", ...}", st.size);
}

static void show_statx(struct strace_call *c, const void *p)
{
	struct abi_statx st;

	memcpy(&st, p, sizeof(st));
	strbuf_addstr(c->out, "{stx_mask=");
	strace_show_flags(c->out, AK_STATX_MASK, st.mask);
	strbuf_addstr(c->out, ", stx_attributes=");
	strace_show_statx_attributes(c->out, st.attributes);
	strbuf_addstr(c->out, ", stx_mode=");
	strace_show_mode(c->out, st.mode);
	strbuf_addf(c->out, ", stx_size=%" PRIu64 ", ...}", st.size);
}

static void show_statfs(struct strace_call *c, const void *p)
{
	struct abi_statfs s;

	memcpy(&s, p, sizeof(s));
	strbuf_addf(c->out,
		    "{f_type=%#" PRIx64 ", f_bsize=%" PRId64 ", f_blocks=%" PRId64
		    ", f_bfree=%" PRId64 ", f_bavail=%" PRId64 ", f_files=%" PRId64
		    ", f_ffree=%" PRId64 ", f_namelen=%" PRId64 ", ...}",
		    (uint64_t)s.type, s.bsize, s.blocks, s.bfree, s.bavail, s.files, s.ffree,
		    s.namelen);
}

static void show_dirents(struct strace_call *c, uint64_t va, uint64_t size)
{
	unsigned int count = 0;

	for (uint64_t at = 0; at + ABI_DIRENT_NAME <= size; count++) {
		uint16_t reclen;

		if (!strace_read(c, &reclen, va + at + 16, sizeof(reclen)) || !reclen)
			break;
		at += reclen;
	}
	strace_show_address(c->out, va);
	strbuf_addf(c->out, " /* %u entr%s */", count, count == 1 ? "y" : "ies");
}

void strace_show_flock(struct strace_call *c, uint64_t va, bool with_pid)
{
	struct abi_flock lock;

	if (!strace_read(c, &lock, va, sizeof(lock))) {
		strace_show_address(c->out, va);
		return;
	}
	strbuf_addstr(c->out, "{l_type=");
	strace_show_lock_type(c->out, lock.type);
	strbuf_addstr(c->out, ", l_whence=");
	strace_show_flags(c->out, AK_WHENCE, (uint16_t)lock.whence);
	strbuf_addf(c->out, ", l_start=%" PRId64 ", l_len=%" PRId64, lock.start, lock.len);
	if (with_pid)
		strbuf_addf(c->out, ", l_pid=%" PRId32, lock.pid);
	strbuf_addch(c->out, '}');
}

static void show_open_how(struct strace_call *c, const void *p)
{
	struct abi_open_how how;

	memcpy(&how, p, sizeof(how));
	strbuf_addstr(c->out, "{flags=");
	strace_show_flags(c->out, AK_OPEN, how.flags);
	if (how.mode)
		strbuf_addf(c->out, ", mode=0%03" PRIo64, how.mode);
	strbuf_addf(c->out, ", resolve=%#" PRIx64 "}", how.resolve);
}

/* ---- processes and signals ---- */

static void show_wait_status(struct strace_call *c, const void *p)
{
	uint32_t status;
	char room[24];

	memcpy(&status, p, sizeof(status));
	if ((status & 0xff) == 0x7f)
		strbuf_addf(c->out, "[{WIFSTOPPED(s) && WSTOPSIG(s) == %s}]",
			    strace_signal_name((int)(status >> 8) & 0xff, room, sizeof(room)));
	else if (status == ABI_W_CONTINUED)
		strbuf_addstr(c->out, "[{WIFCONTINUED(s)}]");
	else if (status & 0x7f)
		strbuf_addf(c->out, "[{WIFSIGNALED(s) && WTERMSIG(s) == %s%s}]",
			    strace_signal_name((int)status & 0x7f, room, sizeof(room)),
			    status & 0x80 ? " && WCOREDUMP(s)" : "");
	else
		strbuf_addf(c->out, "[{WIFEXITED(s) && WEXITSTATUS(s) == %" PRIu32 "}]",
			    (status >> 8) & 0xff);
}

static void show_sigset(struct strace_call *c, const void *p)
{
	uint64_t set;

	memcpy(&set, p, sizeof(set));
	strace_show_sigset(c->out, set);
}

void strace_show_sigset(struct strbuf *out, uint64_t set)
{
	const char *separator = "";
	char room[24];

	/* As strace: the complement where that is shorter. */
	if (__builtin_popcountll(set) >= ABI_NSIG * 2 / 3) {
		strbuf_addch(out, '~');
		set = ~set;
	}
	strbuf_addch(out, '[');
	for (int signo = 1; signo <= ABI_NSIG; signo++) {
		const char *name;

		if (!(set & ABI_SIGMASK(signo)))
			continue;
		name = strace_signal_name(signo, room, sizeof(room));
		strbuf_addf(out, "%s%s", separator, strncmp(name, "SIG", 3) ? name : name + 3);
		separator = " ";
	}
	strbuf_addch(out, ']');
}

static void show_sigaction(struct strace_call *c, const void *p)
{
	struct abi_sigaction sa;

	memcpy(&sa, p, sizeof(sa));
	strbuf_addstr(c->out, "{sa_handler=");
	if (sa.handler == ABI_SIG_DFL)
		strbuf_addstr(c->out, "SIG_DFL");
	else if (sa.handler == ABI_SIG_IGN)
		strbuf_addstr(c->out, "SIG_IGN");
	else
		strace_show_address(c->out, sa.handler);
	strbuf_addstr(c->out, ", sa_mask=");
	strace_show_sigset(c->out, sa.mask);
	strbuf_addstr(c->out, ", sa_flags=");
	strace_show_sa_flags(c->out, sa.flags);
	if (sa.flags & ABI_SA_RESTORER) {
		strbuf_addstr(c->out, ", sa_restorer=");
		strace_show_address(c->out, sa.restorer);
	}
	strbuf_addch(c->out, '}');
}

/* What the code says is there. */
static void show_siginfo_fields(struct strbuf *out, const struct abi_siginfo *si)
{
	switch (si->signo) {
	case ABI_SIGCHLD:
		strbuf_addf(out,
			    ", si_pid=%" PRId32 ", si_uid=%" PRIu32 ", si_status=%" PRId32
			    ", si_utime=%" PRId64 ", si_stime=%" PRId64,
			    si->chld.pid, si->chld.uid, si->chld.status, si->chld.utime,
			    si->chld.stime);
		return;
	case ABI_SIGSEGV:
	case ABI_SIGBUS:
	case ABI_SIGILL:
	case ABI_SIGFPE:
	case ABI_SIGTRAP:
		strbuf_addstr(out, ", si_addr=");
		strace_show_address(out, si->fault.addr);
		return;
	case ABI_SIGSYS:
		strbuf_addf(out, ", si_call_addr=%#" PRIx64 ", si_syscall=%" PRId32,
			    si->sys.call_addr, si->sys.nr);
		return;
	default:
		return;
	}
}

void strace_show_siginfo(struct strbuf *out, const void *siginfo)
{
	struct abi_siginfo si;
	const char *code;
	char room[24];

	memcpy(&si, siginfo, sizeof(si));
	strbuf_addf(out,
		    "{si_signo=%s, si_code=", strace_signal_name(si.signo, room, sizeof(room)));
	code = strace_si_code_name(si.signo, si.code);
	if (code)
		strbuf_addstr(out, code);
	else
		strbuf_addf(out, "%#" PRIx32, (uint32_t)si.code);
	if (si.code == ABI_SI_TIMER)
		strbuf_addf(out, ", si_timerid=%" PRId32 ", si_overrun=%" PRId32, si.timer.tid,
			    si.timer.overrun);
	else if (si.code <= 0)
		strbuf_addf(out, ", si_pid=%" PRId32 ", si_uid=%" PRIu32, si.kill.pid, si.kill.uid);
	else if (si.code != ABI_SI_KERNEL)
		show_siginfo_fields(out, &si);
	if (si.code == ABI_SI_QUEUE)
		strbuf_addf(out, ", si_value={sival_int=%" PRId32 ", sival_ptr=%#" PRIx64 "}",
			    (int32_t)si.rt.value, si.rt.value);
	strbuf_addch(out, '}');
}

static void show_siginfo(struct strace_call *c, const void *p)
{
	strace_show_siginfo(c->out, p);
}

static void show_stack(struct strace_call *c, const void *p)
{
	struct abi_stack ss;

	memcpy(&ss, p, sizeof(ss));
	strbuf_addstr(c->out, "{ss_sp=");
	strace_show_address(c->out, ss.sp);
	strbuf_addf(c->out, ", ss_flags=%s, ss_size=%" PRIu64 "}",
		    ss.flags & ABI_SS_DISABLE	? "SS_DISABLE"
		    : ss.flags & ABI_SS_ONSTACK ? "SS_ONSTACK"
						: "0",
		    ss.size);
}

static void put_limit(struct strbuf *out, uint64_t value)
{
	if (value == ABI_RLIM_INFINITY)
		strbuf_addstr(out, "RLIM64_INFINITY");
	else if (value > 1024 && value % 1024 == 0)
		strbuf_addf(out, "%" PRIu64 "*1024", value / 1024);
	else
		strbuf_addf(out, "%" PRIu64, value);
}

static void show_rlimit(struct strace_call *c, const void *p)
{
	struct abi_rlimit limit;

	memcpy(&limit, p, sizeof(limit));
	strbuf_addstr(c->out, "{rlim_cur=");
	put_limit(c->out, limit.cur);
	strbuf_addstr(c->out, ", rlim_max=");
	put_limit(c->out, limit.max);
	strbuf_addch(c->out, '}');
}

static void show_clone_args(struct strace_call *c, const void *p)
{
	struct abi_clone_args a;
	char room[24];

	memcpy(&a, p, sizeof(a));
	strbuf_addstr(c->out, "{flags=");
	strace_show_flags(c->out, AK_CLONE, a.flags);
	if (a.child_tid)
		strbuf_addf(c->out, ", child_tid=%#" PRIx64, a.child_tid);
	if (a.parent_tid)
		strbuf_addf(c->out, ", parent_tid=%#" PRIx64, a.parent_tid);
	strbuf_addf(c->out, ", exit_signal=%s, stack=",
		    a.exit_signal ? strace_signal_name((int)a.exit_signal, room, sizeof(room))
				  : "0");
	strace_show_address(c->out, a.stack);
	strbuf_addf(c->out, ", stack_size=%#" PRIx64, a.stack_size);
	if (a.tls)
		strbuf_addf(c->out, ", tls=%#" PRIx64, a.tls);
	strbuf_addch(c->out, '}');
}

static void put_field(struct strbuf *out, const char *name, const char *text, size_t size)
{
	strbuf_addf(out, "%s=", name);
	strace_show_bytes(out, text, strnlen(text, size), false);
}

static void show_utsname(struct strace_call *c, const void *p)
{
	struct abi_utsname uts;

	memcpy(&uts, p, sizeof(uts));
	strbuf_addch(c->out, '{');
	put_field(c->out, "sysname", uts.sysname, sizeof(uts.sysname));
	put_field(c->out, ", nodename", uts.nodename, sizeof(uts.nodename));
	strbuf_addstr(c->out, ", ...}");
}

static void show_sysinfo(struct strace_call *c, const void *p)
{
	struct abi_sysinfo s;

	memcpy(&s, p, sizeof(s));
	strbuf_addf(c->out,
		    "{uptime=%" PRId64 ", loads=[%" PRIu64 ", %" PRIu64 ", %" PRIu64
		    "], totalram=%" PRIu64 ", freeram=%" PRIu64 ", procs=%" PRIu16
		    ", mem_unit=%" PRIu32 ", ...}",
		    s.uptime, s.loads[0], s.loads[1], s.loads[2], s.totalram, s.freeram, s.procs,
		    s.mem_unit);
}

/* ---- sockets ---- */

static void put_sockaddr_un(struct strbuf *out, const struct abi_sockaddr_un *un, size_t size)
{
	size_t path_size = size > 2 ? size - 2 : 0;

	if (path_size && un->path[0] == '\0') {
		strbuf_addstr(out, ", sun_path=@");
		strace_show_bytes(out, un->path + 1, path_size - 1, false);
	} else if (path_size) {
		strbuf_addstr(out, ", sun_path=");
		strace_show_bytes(out, un->path, strnlen(un->path, path_size), false);
	}
}

static void put_sockaddr_in(struct strbuf *out, const struct abi_sockaddr_in *in)
{
	char text[INET_ADDRSTRLEN] = "";

	inet_ntop(AF_INET, &in->addr, text, sizeof(text));
	strbuf_addf(out, ", sin_port=htons(%u), sin_addr=inet_addr(\"%s\")", ntohs(in->port), text);
}

static void put_sockaddr_in6(struct strbuf *out, const struct abi_sockaddr_in6 *in6)
{
	char text[INET6_ADDRSTRLEN] = "";

	inet_ntop(AF_INET6, in6->addr, text, sizeof(text));
	strbuf_addf(out,
		    ", sin6_port=htons(%u), sin6_flowinfo=htonl(%u), inet_pton(AF_INET6, \"%s\", "
		    "&sin6_addr), sin6_scope_id=%u",
		    ntohs(in6->port), ntohl(in6->flowinfo), text, in6->scope_id);
}

static void show_sockaddr(struct strace_call *c, uint64_t va, uint64_t size)
{
	union {
		uint16_t family;
		struct abi_sockaddr_un un;
		struct abi_sockaddr_in in;
		struct abi_sockaddr_in6 in6;
		struct abi_sockaddr_nl nl;
		struct abi_sockaddr_storage storage;
	} sa = {0};
	size_t used = (size_t)MIN(size, (uint64_t)sizeof(sa));

	if (used < 2 || !strace_read(c, &sa, va, used)) {
		strace_show_address(c->out, va);
		return;
	}
	strbuf_addstr(c->out, "{sa_family=");
	strace_show_flags(c->out, AK_SOCK_FAMILY, sa.family);
	if (sa.family == ABI_AF_UNIX)
		put_sockaddr_un(c->out, &sa.un, MIN(used, sizeof(sa.un)));
	else if (sa.family == ABI_AF_INET && used >= sizeof(sa.in))
		put_sockaddr_in(c->out, &sa.in);
	else if (sa.family == ABI_AF_INET6 && used >= sizeof(sa.in6))
		put_sockaddr_in6(c->out, &sa.in6);
	else if (sa.family == ABI_AF_NETLINK && used >= sizeof(sa.nl))
		strbuf_addf(c->out, ", nl_pid=%u, nl_groups=%08x", sa.nl.pid, sa.nl.groups);
	strbuf_addch(c->out, '}');
}

static void show_msghdr(struct strace_call *c, const void *p)
{
	struct abi_msghdr m;

	memcpy(&m, p, sizeof(m));
	strbuf_addstr(c->out, "{msg_name=");
	if (m.name && m.namelen > 0)
		show_sockaddr(c, m.name, (uint32_t)m.namelen);
	else
		strace_show_address(c->out, m.name);
	strbuf_addf(c->out, ", msg_namelen=%" PRId32 ", msg_iov=", m.namelen);
	show_array(c, m.iov, m.iovlen, sizeof(struct abi_iovec), show_iovec);
	strbuf_addf(c->out,
		    ", msg_iovlen=%" PRIu64 ", msg_controllen=%" PRIu64 ", msg_flags=", m.iovlen,
		    m.controllen);
	strace_show_flags(c->out, AK_MSG, m.flags);
	strbuf_addch(c->out, '}');
}

static void show_option_value(struct strace_call *c, uint64_t va, uint64_t size)
{
	int32_t value;

	if (size == sizeof(value) && strace_read(c, &value, va, sizeof(value)))
		strbuf_addf(c->out, "[%" PRId32 "]", value);
	else
		show_buffer(c, va, size);
}

/* ---- by kind ---- */

/* Structs of one size: read whole, then shown. */
static const struct {
	uint16_t size;
	void (*show)(struct strace_call *c, const void *bytes);
} plain_structs[AK_KINDS] = {
    [AK_WSTATUS] = {sizeof(uint32_t), show_wait_status},
    [AK_STAT] = {sizeof(struct abi_stat), show_stat},
    [AK_STATX] = {sizeof(struct abi_statx), show_statx},
    [AK_STATFS] = {sizeof(struct abi_statfs), show_statfs},
    [AK_SIGSET] = {sizeof(abi_sigset_t), show_sigset},
    [AK_SIGACTION] = {sizeof(struct abi_sigaction), show_sigaction},
    [AK_SIGINFO] = {sizeof(struct abi_siginfo), show_siginfo},
    [AK_STACK] = {sizeof(struct abi_stack), show_stack},
    [AK_TIMESPEC] = {sizeof(struct abi_timespec), show_timespec},
    [AK_TIMEVAL] = {sizeof(struct abi_timeval), show_timeval},
    [AK_ITIMERVAL] = {sizeof(struct abi_itimerval), show_itimerval},
    [AK_ITIMERSPEC] = {sizeof(struct abi_itimerspec), show_itimerspec},
    [AK_UTIMBUF] = {sizeof(struct abi_utimbuf), show_utimbuf},
    [AK_TMS] = {sizeof(struct abi_tms), show_tms},
    [AK_RUSAGE_P] = {sizeof(struct abi_rusage), show_rusage},
    [AK_RLIMIT_P] = {sizeof(struct abi_rlimit), show_rlimit},
    [AK_UTSNAME] = {sizeof(struct abi_utsname), show_utsname},
    [AK_SYSINFO] = {sizeof(struct abi_sysinfo), show_sysinfo},
    [AK_MSGHDR] = {sizeof(struct abi_msghdr), show_msghdr},
    [AK_OPEN_HOW] = {sizeof(struct abi_open_how), show_open_how},
    [AK_CLONE_ARGS] = {ABI_CLONE_ARGS_SIZE_VER0, show_clone_args},
};
#define PLAIN_STRUCT_MAX 512

static bool show_plain_struct(struct strace_call *c, uint8_t kind, uint64_t va)
{
	uint8_t bytes[PLAIN_STRUCT_MAX] __attribute__((aligned(16))) = {0};

	if (!plain_structs[kind].show)
		return false;
	if (strace_read(c, bytes, va, plain_structs[kind].size))
		plain_structs[kind].show(c, bytes);
	else
		strace_show_address(c->out, va);
	return true;
}

static void show_word(struct strace_call *c, uint8_t kind, uint64_t va)
{
	uint64_t value;

	if (!strace_read(c, &value, va, sizeof(value)))
		strace_show_address(c->out, va);
	else
		strbuf_addf(c->out, kind == AK_HEX_P ? "[%#" PRIx64 "]" : "[%" PRId64 "]", value);
}

/* Whether the address can be read at all, so that an array isn't shown as empty. */
static bool readable(struct strace_call *c, uint64_t va)
{
	char byte;

	return strace_read(c, &byte, va, 1);
}

static void show_pointed_array(struct strace_call *c, uint8_t kind, uint64_t va, uint64_t size)
{
	switch (kind) {
	case AK_IOV:
		/* the count is an int, and no result */
		show_array(c, va, strace_arg(c, 2), sizeof(struct abi_iovec), show_iovec);
		return;
	case AK_INTS:
		show_array(c, va, size / sizeof(int), sizeof(int), show_int);
		return;
	case AK_UINT_ARRAY:
		show_array(c, va, size, sizeof(int), show_uint);
		return;
	case AK_POLLFDS:
		show_array(c, va, size, sizeof(struct abi_pollfd), show_pollfd);
		return;
	case AK_TIMESPECS2:
		show_array(c, va, 2, sizeof(struct abi_timespec), show_timespec);
		return;
	case AK_TIMEVALS2:
		show_array(c, va, 2, sizeof(struct abi_timeval), show_timeval);
		return;
	default:
		strace_show_address(c->out, va);
	}
}

static void show_epoll_events(struct strace_call *c, uint64_t va, uint64_t size)
{
	struct abi_epoll_event event;

	/* epoll_ctl has one, epoll_wait as many as it says. */
	if (c->exiting)
		show_array(c, va, size, sizeof(struct abi_epoll_event), show_epoll_event);
	else if (strace_read(c, &event, va, sizeof(event)))
		show_epoll_event(c, &event);
	else
		strace_show_address(c->out, va);
}

void strace_show_pointer(struct strace_call *c, uint8_t kind, uint64_t va, uint64_t size)
{
	if (!va || kind >= AK_KINDS) {
		strace_show_address(c->out, va);
		return;
	}
	if (show_plain_struct(c, kind, va))
		return;
	switch (kind) {
	case AK_PATH:
		show_string(c, va, ABI_PATH_MAX);
		return;
	case AK_STR:
		show_string(c, va, STRACE_STRING_MAX);
		return;
	case AK_BUF:
		show_buffer(c, va, size);
		return;
	case AK_STRV:
		show_string_vector(c, va);
		return;
	case AK_LONG_P:
	case AK_HEX_P:
		show_word(c, kind, va);
		return;
	case AK_DIRENTS:
	case AK_DIRENTS64:
		show_dirents(c, va, size);
		return;
	case AK_EPOLL_EVENTS:
		show_epoll_events(c, va, size);
		return;
	case AK_SOCKADDR:
	case AK_SOCKADDR_OUT:
		show_sockaddr(c, va, size);
		return;
	case AK_OPTVAL:
		show_option_value(c, va, size);
		return;
	default:
		if (readable(c, va))
			show_pointed_array(c, kind, va, size);
		else
			strace_show_address(c->out, va);
	}
}
