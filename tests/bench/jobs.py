# SPDX-License-Identifier: Apache-2.0
"""What is run: bundles, root file systems, and the runtimes under which they run."""
import glob
import json
import os
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "../lib"))
from hostproc import pss_kib, switches, tree_of  # noqa: E402

HERE = os.path.dirname(os.path.realpath(__file__))
CRUN = ["unshare", "-m", "sh", "-c", 'umount -l /sys/fs/cgroup/unified 2>/dev/null; exec crun "$@"', "crun"]


class Runtime:
    def __init__(self, name, command):
        self.name, self.command, self.count = name, command, 0

    def run(self, bundle, timeout=300):
        """One container's whole life; returns (stdout, nanoseconds)."""
        self.count += 1
        ident = f"bench-{self.name}-{os.getpid()}-{self.count}"
        start = time.monotonic_ns()
        try:
            done = subprocess.run(self.command + ["run", "--bundle", bundle, ident], timeout=timeout,
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True)
        except subprocess.TimeoutExpired:
            subprocess.run(self.command + ["delete", "--force", ident], capture_output=True)
            sys.exit(f"{self.name}: {bundle}: not done in {timeout} s")
        took = time.monotonic_ns() - start
        if done.returncode:
            sys.exit(f"{self.name}: {bundle}: exit {done.returncode}: {done.stderr.strip()[-400:]}")
        return done.stdout, took


class RootFs:
    """A cached root file system with a fresh writable layer on it, as an engine would mount it."""

    def __init__(self, where, lower):
        self.where, self.lower, self.path = where, lower, os.path.join(where, "merged")
        self.mounted = False

    def fresh(self):
        self.drop()
        for part in ("upper", "work", "merged"):
            os.makedirs(os.path.join(self.where, part))
        options = f"lowerdir={self.lower},upperdir={self.where}/upper,workdir={self.where}/work"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, self.path], check=True)
        self.mounted = True

    def drop(self):
        if self.mounted:
            subprocess.run(["umount", self.path], check=True)
        self.mounted = False
        shutil.rmtree(self.where, ignore_errors=True)


def make_bundle(where, rootfs, argv, env=()):
    os.makedirs(where)
    config = {
        "ociVersion": "1.0.2",
        "process": {
            "args": argv, "cwd": "/", "user": {"uid": 0, "gid": 0},
            "env": ["PATH=/usr/bin:/bin:/usr/sbin:/sbin", *env], "noNewPrivileges": True,
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
        },
        "root": {"path": rootfs, "readonly": False},
        "hostname": "bench",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
             "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
            {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["mode=1777"]},
        ],
        "linux": {"namespaces": [{"type": t} for t in ("pid", "network", "ipc", "uts", "mount")]},
    }
    with open(os.path.join(where, "config.json"), "w") as f:
        json.dump(config, f)
    return where


def rows_of(text):
    """What a program printed: a line a row, name and nanoseconds."""
    return {n: float(v) for n, v in (line.split("\t") for line in text.splitlines() if "\t" in line)}


class Job:
    """One bundle. Its rows are what it prints, or (whole) its life `times` over, under its name."""

    def __init__(self, name, bundle, rootfs=None, whole=False, times=1):
        self.name, self.bundle, self.rootfs, self.whole, self.times = name, bundle, rootfs, whole, times

    def run(self, runtime):
        """[(row, nanoseconds)]"""
        out = []
        for _ in range(self.times):
            if self.rootfs:
                self.rootfs.fresh()
                install(self.rootfs.path)
            text, took = runtime.run(self.bundle)
            out += [(self.name, took)] if self.whole else rows_of(text).items()
        return out


def install(rootfs):
    """Puts the programs of tests/bench into a root file system."""
    shutil.copytree(os.path.join(HERE, "macro"), os.path.join(rootfs, "macro"), dirs_exist_ok=True)


def build_micro(rootfs):
    subprocess.run(["gcc", "-O2", "-static", "-pthread", "-D_GNU_SOURCE", "-I", os.path.join(HERE, "../.."),
                    "-o", os.path.join(rootfs, "micro"), *sorted(glob.glob(os.path.join(HERE, "micro*.c")))],
                   check=True)


def idle(runtime, bundle, seconds):
    """Memory (KiB) and wake-ups of a sandbox whose only process sleeps."""
    ident = f"bench-idle-{os.getpid()}"
    started = subprocess.Popen(runtime.command + ["run", "--bundle", bundle, ident],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while True:
            state = subprocess.run(runtime.command + ["state", ident], capture_output=True, text=True)
            if state.returncode == 0 and json.loads(state.stdout)["status"] == "running":
                break
            if time.monotonic() > deadline:
                sys.exit("idle sandbox did not start")
            time.sleep(0.05)
        time.sleep(1)
        # runsc run is the parent of the gofer and of the sandbox
        pids = [p for p in tree_of(started.pid) if p != started.pid]
        before = switches(pids)
        memory = pss_kib(pids)
        time.sleep(seconds)
        woken = switches(pids) - before
    finally:
        subprocess.run(runtime.command + ["kill", ident, "KILL"], capture_output=True)
        started.wait(timeout=10)
    return memory, woken
