# SPDX-License-Identifier: Apache-2.0
"""What the tests of runsc's command line share: bundles, runtimes, and the check that every test
leaves nothing behind (process, cgroup, state directory, mount)."""
import contextlib
import copy
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "../lib"))
from hostproc import tree_of  # noqa: E402

RUNSC = os.path.abspath(os.environ.get("RUNSC", "out/release/bin/runsc"))
RUNSC_FLAGS = os.environ.get("RUNSC_FLAGS", "").split()
CACHE = os.path.abspath(os.environ.get("CACHE", ".cache"))
TIMEOUT = int(os.environ.get("OCI_TIMEOUT", 60))
MODE = os.environ.get("MODE", "release")
SANITIZER = MODE in ("asan", "tsan")  # whose sentry and gofer have no filter: the sanitizer makes calls of its own

TESTS = []


def test(function):
    TESTS.append(function)
    return function


class Failure(Exception):
    pass


class Skip(Exception):
    pass


def check(condition, message):
    if not condition:
        raise Failure(message)


def equal(got, want, what):
    check(got == want, f"{what}: want {want!r}, got {got!r}")


def contains(text, part, what):
    check(part.lower() in text.lower(), f"{what}: want {part!r} in {text!r}")


BASE_CONFIG = {
    "ociVersion": "1.0.2",
    "process": {
        "terminal": False,
        "user": {"uid": 0, "gid": 0},
        "args": ["true"],
        "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
        "cwd": "/",
        "capabilities": {kind: ["CAP_KILL", "CAP_DAC_OVERRIDE", "CAP_CHOWN"]
                         for kind in ("bounding", "effective", "permitted")},
        "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
        "noNewPrivileges": True,
    },
    "root": {"path": "rootfs", "readonly": False},
    "hostname": "oci-test",
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
         "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
        {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
         "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
    ],
    "linux": {
        "namespaces": [{"type": t} for t in ("pid", "network", "ipc", "uts", "mount")],
    },
}


def make_rootfs(path):
    """The cached busybox tree, or one made of the host's busybox."""
    cached = os.path.join(CACHE, "rootfs-busybox")
    if os.path.isdir(cached):
        subprocess.run(["cp", "-a", "--reflink=auto", cached, path], check=True)
        return
    os.makedirs(os.path.join(path, "bin"))
    shutil.copy("/bin/busybox", os.path.join(path, "bin/busybox"))
    names = subprocess.run(["/bin/busybox", "--list"], stdout=subprocess.PIPE, check=True, text=True)
    for name in names.stdout.split():
        if name != "busybox":
            os.symlink("busybox", os.path.join(path, "bin", name))
    for name in ("proc", "dev", "sys", "tmp", "etc", "root"):
        os.mkdir(os.path.join(path, name))


class Result:
    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    def __repr__(self):
        return f"status {self.status}, stdout {self.out[-800:]!r}, stderr {self.err[-800:]!r}"


def process_state(pid):
    """The letter of /proc/PID/stat, or None."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return None


def alive(pid):
    return process_state(pid) not in (None, "Z", "X")


def wait_dead(pid, seconds=20):
    """Until the process has ended, by its pidfd."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        ready, _, _ = select.select([fd], [], [], seconds)
        check(ready or not alive(pid), f"process {pid} lives on after {seconds} s")
    finally:
        os.close(fd)


def descendants_of(pid):
    return tree_of(pid)[1:]


def cgroup_paths(name):
    """Every cgroup of that name on the host."""
    found = []
    for where, dirs, _ in os.walk("/sys/fs/cgroup"):
        found += [os.path.join(where, d) for d in dirs if d == name]
    return found


# What no log may say, whatever dies: an assertion of ours, an object left over, a sanitizer's report.
FAULTS = re.compile(r".*(?:check failed|crashed by signal|leak: |Sanitizer|runtime error: ).*")


class Box:
    """One test's directory: bundle, state root, ids, and the processes it started."""

    rootfs_template = None

    def __init__(self, flags=()):
        self.flags = list(flags)
        self.dir = tempfile.mkdtemp(prefix="cvisor-oci-")
        os.chmod(self.dir, 0o755)
        self.root = os.path.join(self.dir, "state")
        self.bundle = os.path.join(self.dir, "bundle")
        self.rootfs = os.path.join(self.bundle, "rootfs")
        self.id = "oci-" + os.path.basename(self.dir).rsplit("-", 1)[1]
        self.started = []
        os.mkdir(self.bundle)
        if Box.rootfs_template is None:
            Box.rootfs_template = tempfile.mkdtemp(prefix="cvisor-oci-rootfs-")
            os.rmdir(Box.rootfs_template)
            make_rootfs(Box.rootfs_template)
        subprocess.run(["cp", "-a", "--reflink=auto", Box.rootfs_template, self.rootfs], check=True)
        os.chmod(self.rootfs, 0o755)
        self.config = copy.deepcopy(BASE_CONFIG)
        self.log = self.path("faults.log")
        if MODE != "release":  # one that a test names itself counts instead
            self.flags += ["--log", self.log]

    # -- the bundle

    def path(self, name):
        return os.path.join(self.dir, name)

    def args(self, *args):
        self.config["process"]["args"] = list(args)

    def script(self, text):
        self.args("sh", "-c", text)

    def write(self):
        self.write_raw(json.dumps(self.config))

    def write_raw(self, text):
        with open(os.path.join(self.bundle, "config.json"), "w") as f:
            f.write(text)

    # -- running

    def command(self, *words, flags=()):
        return [RUNSC, "--root", self.root, *self.flags, *flags, *words]

    def runsc(self, *words, flags=(), stdin=b"", timeout=TIMEOUT, cwd=None, **more):
        return self.finish(self.command(*words, flags=flags), stdin, timeout, cwd, **more)

    def runc(self, *words, stdin=b"", timeout=TIMEOUT, cwd=None):
        return self.finish(["runc", "--root", self.path("runc"), *words], stdin, timeout, cwd)

    def finish(self, command, stdin, timeout, cwd, **more):
        """Output goes to files, since a container that stays would keep pipes open."""
        with open(self.path("out"), "w+b") as out, open(self.path("err"), "w+b") as err, \
                open(self.path("in"), "w+b") as inp:
            inp.write(stdin)
            inp.seek(0)
            try:
                status = subprocess.run(command, stdin=inp, stdout=out, stderr=err, cwd=cwd,
                                        timeout=timeout, check=False, **more).returncode
            except subprocess.TimeoutExpired as e:
                raise Failure(f"{' '.join(command[3:])}: no end after {timeout} s") from e
            out.seek(0)
            err.seek(0)
            return Result(status, out.read().decode(errors="replace"),
                          err.read().decode(errors="replace"))

    def run(self, *words, **more):
        self.write()
        return self.runsc("run", "--bundle", self.bundle, *words, self.id, **more)

    def run_runc(self, **more):
        """The same bundle under Debian's runc."""
        self.write()
        if shutil.which("runc") is None:
            raise Skip("runc is not installed")
        return self.runc("run", "--bundle", self.bundle, self.id + "-runc", **more)

    def start_process(self, command, **more):
        p = subprocess.Popen(command, **more)
        self.started.append(p)
        return p

    def create(self, *words, **more):
        self.write()
        r = self.runsc("create", "--bundle", self.bundle, *words, self.id, **more)
        equal(r.status, 0, f"create: {r}")
        return r

    def create_piped(self, *words):
        """create with the container's standard output on a pipe; returns its reading end."""
        self.write()
        read_fd, write_fd = os.pipe()
        with open(self.path("err"), "w+b") as err:
            status = subprocess.run(
                self.command("create", "--bundle", self.bundle, *words, self.id),
                stdin=subprocess.DEVNULL, stdout=write_fd, stderr=err, timeout=TIMEOUT,
                check=False).returncode
            os.close(write_fd)
            err.seek(0)
            equal(status, 0, f"create: {err.read()!r}")
        return os.fdopen(read_fd, "rb")

    def ok(self, *words, **more):
        r = self.runsc(*words, **more)
        equal(r.status, 0, f"{' '.join(words)}: {r}")
        return r

    def refused(self, *words, message, **more):
        """Fails as runc's errors do: status 1 and one line."""
        r = self.runsc(*words, **more)
        equal(r.status, 1, f"{' '.join(words)}: {r}")
        self.one_line(r.err, message)
        return r

    @staticmethod
    def one_line(text, message):
        contains(text, message, "the message")
        equal(text.count("\n"), 1, f"lines in {text!r}")

    def state(self):
        return json.loads(self.ok("state", self.id).out)

    def status(self):
        return self.state()["status"]

    def gofer_pid(self):
        with open(os.path.join(self.root, self.id, "state.json")) as f:
            return json.load(f)["runsc"]["gofer"]["pid"]

    # -- the end

    def own_processes(self):
        """runsc, sandbox and gofer processes keep runsc's command line, which names our root."""
        found = []
        for entry in os.listdir("/proc"):
            if not entry.isdigit() or int(entry) == os.getpid():
                continue
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as f:
                    line = f.read()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if self.root.encode() + b"\0" in line and alive(int(entry)):
                found.append(int(entry))
        return found

    def logged(self):
        if not os.path.exists(self.log):
            return ""
        with open(self.log, errors="replace") as f:
            return f.read()

    def check_faults(self):
        """Neither runsc nor sentry nor gofer has said that something is wrong with them."""
        text = self.logged()
        fault = FAULTS.search(text)
        if fault and os.environ.get("KEEP"):
            shutil.copy(self.log, os.path.join(os.environ["KEEP"], self.id + ".log"))
        check(not fault, f"the log: {text[fault.start():][:4000] if fault else ''}")

    def check_clean(self):
        """Nothing of any container is left."""
        self.check_faults()
        for pid in self.own_processes():
            wait_dead(pid, 5)
        equal(cgroup_paths(self.id), [], "cgroups left")
        if os.path.isdir(self.root):
            equal(os.listdir(self.root), [], "state left")
        with open("/proc/self/mountinfo") as f:
            check(self.dir not in f.read(), "a mount is left")

    def close(self):
        for p in self.started:
            if p.poll() is None:
                p.kill()
            p.wait()
            for stream in (p.stdin, p.stdout, p.stderr):
                if stream:
                    stream.close()
        if os.path.isdir(self.root):
            for ident in os.listdir(self.root):
                with contextlib.suppress(Failure):
                    self.runsc("delete", "--force", ident)
        for pid in self.own_processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if os.path.isdir(self.path("runc")):
            for ident in os.listdir(self.path("runc")):
                self.runc("delete", "--force", ident)
        shutil.rmtree(self.dir, ignore_errors=True)
