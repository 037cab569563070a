# SPDX-License-Identifier: Apache-2.0
"""What the sandbox's and the gofer's processes may do on the host, seen from the host."""
import os
import subprocess

from harness import SANITIZER, alive, check, contains, descendants_of, equal, test, wait_dead


def status_of(pid):
    with open(f"/proc/{pid}/status") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


FILTERED = "0" if SANITIZER else "2"  # the Seccomp: of sentry and gofer


def start(box):
    box.script("echo ready; exec sleep 1000")
    out = box.create_piped()
    box.ok("start", box.id)
    equal(out.readline(), b"ready\n", "output")
    return box.state()["pid"], box.gofer_pid()


@test
def sandbox_process(box):
    pid, _ = start(box)
    s = status_of(pid)
    equal(s["NSpid"].split()[-1], "1", "pid in its namespace")
    check(all(u != "0" for u in s["Uid"].split() + s["Gid"].split()), f"ids {s['Uid']} {s['Gid']}")
    equal(s.get("Groups", "").split(), [], "supplementary groups")
    for caps in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        equal(int(s[caps], 16), 0, caps)
    equal((s["NoNewPrivs"], s["Seccomp"]), ("1", FILTERED), "no_new_privs and seccomp")
    names = ["pid", "mnt", "net", "ipc", "uts", "cgroup"]
    if not any(off in flag for flag in box.flags for off in ("user-namespaces", "all-host")):
        names.append("user")
    for name in names:
        check(os.readlink(f"/proc/{pid}/ns/{name}") != os.readlink(f"/proc/self/ns/{name}"),
              f"the sandbox is in the host's {name} namespace")
    equal(os.listdir(f"/proc/{pid}/root/"), [], "the sandbox's root")
    with open(f"/proc/{pid}/environ", "rb") as f:
        equal(f.read().strip(b"\0"), b"", "the sandbox's environment")
    box.ok("delete", "--force", box.id)


@test
def sandbox_threads(box):
    """Every thread of the sentry and every stub process is under a filter and without rights."""
    pid, _ = start(box)
    stubs = descendants_of(pid)
    check(stubs, "no stub process")
    for process in [pid] + stubs:
        for tid in os.listdir(f"/proc/{process}/task"):
            s = status_of(f"{process}/task/{tid}")
            equal((s["NoNewPrivs"], s["Seccomp"], int(s["CapEff"], 16)), ("1", FILTERED if process == pid else "2", 0),
                  f"thread {tid} of {process} ({s['Name']})")
    for stub in stubs:
        fds = os.listdir(f"/proc/{stub}/fd")
        check(len(fds) <= 2, f"descriptors of stub {stub}: {[os.readlink(f'/proc/{stub}/fd/{f}') for f in fds]}")
        equal(os.listdir(f"/proc/{stub}/root/"), [], "a stub's root")
    box.ok("delete", "--force", box.id)


@test
def gofer_process(box):
    _, pid = start(box)
    s = status_of(pid)
    equal((s["NoNewPrivs"], s["Seccomp"]), ("1", FILTERED), "no_new_privs and seccomp")
    check(int(s["CapEff"], 16) & (1 << 21 | 1 << 19 | 1 << 12) == 0, f"capabilities {s['CapEff']}")
    for name in ("mnt", "net", "ipc"):
        check(os.readlink(f"/proc/{pid}/ns/{name}") != os.readlink(f"/proc/self/ns/{name}"),
              f"the gofer is in the host's {name} namespace")
    check("etc" not in os.listdir(f"/proc/{pid}/root/") or not os.path.samefile(f"/proc/{pid}/root", "/"),
          "the gofer's root is the host's")
    box.ok("delete", "--force", box.id)


def identity(path):
    s = os.stat(path)
    return s.st_dev, s.st_ino


@test
def descriptors_of_the_sandbox(box):
    """None that leads to a file or directory of the host, but the container's own output."""
    pid, _ = start(box)
    inside = {identity(os.path.join(d, name)) for d, _, names in os.walk(box.rootfs) for name in names}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        where = os.readlink(f"/proc/{pid}/fd/{fd}")
        known = identity(f"/proc/{pid}/fd/{fd}") in inside
        # How many threads the host runs, for polling: nothing that a guest can't see by its own speed.
        known |= where == "/loadavg"
        known |= where.startswith(("socket:", "anon_inode:", "pipe:", "/memfd:", "mnt:")) or \
            where in ("/null", "/dev/null", "/", box.path("err"), box.log) or "(deleted)" in where
        check(known, f"descriptor {fd}: {where}")
        if where == "/":
            check(not os.path.samefile(f"/proc/{pid}/fd/{fd}", "/"), f"descriptor {fd}: the host's root")
    box.ok("delete", "--force", box.id)


@test
def callers_descriptors_do_not_leak(box):
    """What runsc's caller had open is open in no process of the container."""
    secret = box.path("secret")
    with open(secret, "w") as f:
        f.write("x")
    fd = os.open(secret, os.O_RDONLY)
    directory = os.open("/etc", os.O_RDONLY)
    box.script("ls /proc/self/fd; exec sleep 1000")
    box.write()
    r, w = os.pipe()
    for n in (fd, directory):
        os.set_inheritable(n, True)
    subprocess.run(box.command("create", "--bundle", box.bundle, box.id), stdin=subprocess.DEVNULL,
                   stdout=w, pass_fds=(fd, directory), check=True, timeout=60)
    os.close(w)
    callers = [os.fstat(fd), os.fstat(directory)]
    for process in (box.state()["pid"], box.gofer_pid()):
        where = f"/proc/{process}/fd/"
        # Not by name: the gofer may well have the container's own /etc.
        leaked = [os.readlink(where + n) for n in os.listdir(where)
                  if any(os.path.samestat(os.stat(where + n), c) for c in callers)]
        equal(leaked, [], f"the caller's descriptors in {process}")
    box.ok("start", box.id)
    with os.fdopen(r) as f:
        seen = [f.readline().strip() for _ in range(4)]
    equal(seen, ["0", "1", "2", "3"], "descriptors of the guest (3 is ls's own)")
    os.close(fd)
    os.close(directory)
    box.ok("delete", "--force", box.id)


@test
def environment_of_the_caller_does_not_leak(box):
    box.script("env; cat /proc/1/environ | tr '\\0' '\\n'")
    r = box.run(env={**os.environ, "HOST_SECRET": "hush"})
    equal(r.status, 0, f"{r}")
    check("hush" not in r.out, "the caller's environment is in the container")


@test
def own_binary_is_out_of_reach(box):
    """CVE-2019-5736: /proc/self/exe of the container is never runsc."""
    box.script("readlink /proc/1/exe; readlink /proc/self/exe; cmp /proc/self/exe /bin/busybox && echo same")
    r = box.run()
    equal((r.status, r.out), (0, "/bin/busybox\n/bin/busybox\nsame\n"), f"{r}")


@test
def processes_end_with_the_container(box):
    """Background processes of the container don't outlive its first."""
    box.script("sleep 1000 & sleep 1000 & echo ready; exec sleep 1000")
    out = box.create_piped()
    box.ok("start", box.id)
    equal(out.readline(), b"ready\n", "output")
    pid = box.state()["pid"]
    stubs = descendants_of(pid)
    box.ok("kill", box.id, "KILL")
    for p in [pid] + stubs:
        wait_dead(p)
        check(not alive(p), f"process {p} lives")
    box.ok("delete", box.id)


@test
def mount_points_stay_inside(box):
    """Destinations that lead out of the root by symlinks or ".." end inside of it."""
    outside = box.path("outside")
    os.mkdir(outside)
    with open(outside + "/secret", "w") as f:
        f.write("hush")
    os.makedirs(box.rootfs + outside)
    os.symlink(outside, box.rootfs + "/absolute")
    os.symlink("../" * 20 + outside[1:], box.rootfs + "/relative")
    os.symlink("/proc/1/root" + outside, box.rootfs + "/magic")
    source = box.path("source")
    os.mkdir(source)
    with open(source + "/file", "w") as f:
        f.write("bound\n")
    box.config["mounts"] += [
        {"destination": "/absolute/a", "type": "tmpfs", "source": "tmpfs"},
        {"destination": "/relative/b", "type": "bind", "source": source, "options": ["bind"]},
        {"destination": "/../../../.." + outside + "/c", "type": "tmpfs", "source": "tmpfs"},
        {"destination": "/relative/f", "type": "bind", "source": source + "/file", "options": ["bind"]},
    ]
    box.script("cat /absolute/secret /relative/secret /magic/secret 2>/dev/null; cat /relative/b/file; "
               "touch /absolute/a/x /absolute/y; echo end")
    r = box.run()
    equal((r.status, r.out), (0, "bound\nend\n"), f"{r}")
    equal(os.listdir(outside), ["secret"], "the host's directory")
    equal(sorted(os.listdir(box.rootfs + outside)), ["a", "b", "c", "f", "y"], "the same path in the root")


@test
def bind_mounts_stay_inside(box):
    """A bind mount's own symlinks and ".." don't lead above it."""
    source = box.path("source")
    os.makedirs(source + "/sub")
    with open(box.path("secret"), "w") as f:
        f.write("hush")
    os.symlink("../secret", source + "/up")
    os.symlink(box.path("secret"), source + "/over")
    box.config["mounts"].append(
        {"destination": "/mnt", "type": "bind", "source": source + "/sub/..", "options": ["rbind", "ro"]})
    box.script("cat /mnt/up /mnt/over /mnt/sub/../../secret /mnt/../secret 2>/dev/null; ls /mnt/..  | head -1; "
               "touch /mnt/x 2>/dev/null || echo read-only")
    os.makedirs(box.rootfs + "/mnt", exist_ok=True)
    r = box.run()
    check("hush" not in r.out, f"a file above the mount was read: {r}")
    contains(r.out, "read-only", "a write to a read-only bind mount")
    equal(os.path.exists(source + "/x"), False, "the file on the host")


@test
def device_nodes_of_the_root_are_dead(box):
    """A device node that lies in the root file system opens no device of the host."""
    os.mknod(box.rootfs + "/kmsg", 0o600 | 0o020000, os.makedev(1, 11))
    os.mknod(box.rootfs + "/disk", 0o600 | 0o060000, os.makedev(254, 0))
    box.script("cat /kmsg | head -c 1; head -c 1 /disk; echo $?")
    r = box.run()
    equal(r.out, "1\n", f"what was read: {r}")
