# SPDX-License-Identifier: Apache-2.0
"""The cgroup that config.json names: made, limited, filled and removed."""
import os

from harness import Skip, alive, cgroup_paths, check, contains, equal, test

V1 = not os.path.exists("/sys/fs/cgroup/cgroup.controllers")


def find(box, controller):
    """The container's cgroup directory of that controller."""
    for path in cgroup_paths(box.id):
        if not V1 or controller in path.removeprefix("/sys/fs/cgroup/").split("/")[0].split(","):
            return path
    raise Skip(f"no cgroup of {controller} on this host")


def value(box, controller, v1_name, v2_name):
    with open(os.path.join(find(box, controller), v1_name if V1 else v2_name)) as f:
        return f.read().strip()


def members(path):
    with open(os.path.join(path, "cgroup.procs")) as f:
        return [int(line) for line in f.read().split()]


@test
def named_cgroup_holds_the_sandbox(box):
    parent = f"cvisor-test-{box.id}"
    box.config["linux"]["cgroupsPath"] = f"/{parent}/{box.id}"
    box.args("sleep", "1000")
    box.create()
    paths = cgroup_paths(box.id)
    check(paths and all(f"/{parent}/" in p for p in paths), f"cgroups {paths}")
    for path in paths:
        for pid in (box.state()["pid"], box.gofer_pid()):
            check(pid in members(path), f"process {pid} is not in {path}")
    box.ok("start", box.id)
    for path in paths:
        check(all(alive(pid) for pid in members(path)), "dead members")
    box.ok("delete", "--force", box.id)
    equal(cgroup_paths(box.id), [], "cgroups after delete")
    for path in cgroup_paths(parent):
        os.rmdir(path)


@test
def default_cgroup_is_the_id(box):
    box.create()
    check(cgroup_paths(box.id), "no cgroup of the container's id")
    box.ok("delete", box.id)


@test
def shared_cgroup_outlives_the_first(box):
    """Whoever ends first leaves the cgroup to the other, and doesn't wait for that one's end."""
    path = f"/cvisor-test-{box.id}"
    box.config["linux"]["cgroupsPath"] = path
    box.args("sleep", "1000")
    box.create()
    box.args("true")
    box.write()
    equal(box.runsc("run", "--bundle", box.bundle, box.id + "-2", timeout=20).status, 0, "status")
    check(cgroup_paths(path[1:]), "the cgroup is gone")
    box.ok("delete", "--force", box.id)
    equal(cgroup_paths(path[1:]), [], "cgroups after delete")


@test
def limits(box):
    box.config["linux"]["resources"] = {
        "memory": {"limit": 256 << 20, "reservation": 128 << 20},
        "cpu": {"shares": 512, "quota": 50000, "period": 100000, "cpus": "0"},
        "pids": {"limit": 100},
    }
    box.create()
    equal(value(box, "memory", "memory.limit_in_bytes", "memory.max"), str(256 << 20), "memory limit")
    equal(value(box, "memory", "memory.soft_limit_in_bytes", "memory.low"), str(128 << 20), "reservation")
    if V1:
        equal(value(box, "cpu", "cpu.shares", ""), "512", "cpu shares")
        equal(value(box, "cpu", "cpu.cfs_quota_us", ""), "50000", "cpu quota")
    else:
        equal(value(box, "cpu", "", "cpu.max"), "50000 100000", "cpu.max")
    equal(value(box, "cpuset", "cpuset.cpus", "cpuset.cpus"), "0", "cpus")
    # Room for the sentry's and the gofer's own threads above what guests may have.
    equal(value(box, "pids", "pids.max", "pids.max"), "180", "pids")
    box.ok("delete", box.id)


@test
def unlimited_as_engines_write_it(box):
    box.config["linux"]["resources"] = {
        "memory": {"limit": -1, "swap": -1}, "cpu": {"shares": 0, "quota": 0}, "pids": {"limit": 0},
        "blockIO": {"weight": 0}, "devices": [{"allow": False, "access": "rwm"},
                                              {"allow": True, "type": "c", "major": 1, "minor": 3,
                                               "access": "rwm"}]}
    r = box.run()
    equal(r.status, 0, f"{r}")


@test
def device_rules(box):
    if not V1:
        raise Skip("cgroup v2 has no devices controller")
    box.config["linux"]["resources"] = {"devices": [{"allow": False, "access": "rwm"}]}
    box.create()
    rules = value(box, "devices", "devices.list", "").splitlines()
    check("a *:* rwm" not in rules and "c 1:3 rwm" in rules, f"rules {rules}")
    box.ok("delete", box.id)


@test
def impossible_limit(box):
    box.config["linux"]["resources"] = {"cpu": {"cpus": "100000"}}
    box.write()
    box.refused("create", "--bundle", box.bundle, box.id, message="cpuset.cpus")


@test
def systemd_form(box):
    outer = "cvisor" + box.id.removeprefix("oci-")
    box.config["linux"]["cgroupsPath"] = f"{outer}-oci.slice:prefix:{box.id}"
    box.write()
    box.ok("create", "--bundle", box.bundle, box.id, flags=["--systemd-cgroup"])
    paths = cgroup_paths(f"prefix-{box.id}.scope")
    check(paths and all(f"/{outer}.slice/{outer}-oci.slice/" in p for p in paths), f"cgroups {paths}")
    box.ok("delete", box.id)
    equal(cgroup_paths(f"prefix-{box.id}.scope"), [], "cgroups after delete")
    for path in cgroup_paths(f"{outer}-oci.slice"):
        os.rmdir(path)
        os.rmdir(os.path.dirname(path))
    box.config["linux"]["cgroupsPath"] = "/plain/path"
    box.write()
    box.refused("create", "--bundle", box.bundle, box.id, flags=["--systemd-cgroup"],
                message='cgroupsPath: expected "slice:prefix:name" with --systemd-cgroup')


@test
def path_cannot_climb(box):
    box.config["linux"]["cgroupsPath"] = f"../../../../{box.id}"
    box.create()
    check(all(p.startswith("/sys/fs/cgroup/") for p in cgroup_paths(box.id)), "outside of the hierarchy")
    box.ok("delete", box.id)


@test
def pids_limit_inside(box):
    """The guest can't have more tasks than the limit, and the sandbox goes on."""
    box.config["linux"]["resources"] = {"pids": {"limit": 20}}
    box.script("i=0; while [ $i -lt 40 ]; do echo $i; sleep 100 & i=$((i + 1)); done")
    r = box.run()
    contains(r.err, "fork", f"a refused fork: {r}")
    equal(len(r.out.split()), 20, "forks tried: the first process and 19 more")


@test
def version_2_alone(box):
    """The unified hierarchy, in a mount namespace where a v1 host shows nothing else."""
    view = "umount -R /sys/fs/cgroup && mount -t tmpfs none /sys/fs/cgroup; " \
           "mount -t cgroup2 none /sys/fs/cgroup && exec \"$@\""

    def runsc(*words):
        r = box.finish(["unshare", "-m", "sh", "-c", view, "sh", *box.command(*words)], b"", 60, None)
        equal(r.status, 0, f"{words}: {r}")

    box.config["linux"]["cgroupsPath"] = f"/{box.id}"
    box.args("sleep", "1000")
    box.write()
    if V1 and not os.path.isdir("/sys/fs/cgroup/unified"):
        raise Skip("this host has no cgroup v2")
    runsc("create", "--bundle", box.bundle, box.id)
    path, = [p for p in cgroup_paths(box.id) if not V1 or "/unified/" in p]
    check(box.state()["pid"] in members(path) and box.gofer_pid() in members(path), "members of the v2 cgroup")
    runsc("start", box.id)
    runsc("delete", "--force", box.id)
    equal(cgroup_paths(box.id), [], "cgroups after delete")
