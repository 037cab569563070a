# SPDX-License-Identifier: Apache-2.0
"""Hooks: when each runs, what it gets, what its failure does."""
import json
import os

from harness import check, contains, equal, test, wait_dead

STAGES = ["prestart", "createRuntime", "createContainer", "poststart", "poststop"]


def shell(text, **more):
    return {"path": "/bin/sh", "args": ["sh", "-c", text], **more}


def read_log(box):
    try:
        with open(box.path("log")) as f:
            return f.read().split()
    except FileNotFoundError:
        return []


@test
def order_and_state(box):
    log = box.path("log")
    box.script("exec sleep 1000")
    box.config["annotations"] = {"k": "v"}
    box.config["hooks"] = {
        s: [shell(f"cat >{box.path(s)}; echo {s}1 >>{log}"), shell(f"echo {s}2 >>{log}")] for s in STAGES}
    box.create()
    created = [s + n for s in STAGES[:3] for n in "12"]
    equal(read_log(box), created, "hooks after create")
    pid = box.state()["pid"]
    box.ok("start", box.id)
    equal(read_log(box), created + ["poststart1", "poststart2"], "hooks after start")
    box.ok("kill", box.id, "KILL")
    wait_dead(pid)
    box.ok("delete", box.id)
    equal(read_log(box)[-2:], ["poststop1", "poststop2"], "hooks after delete")
    for stage in STAGES:
        with open(box.path(stage)) as f:
            state = json.load(f)
        equal((state["id"], state["bundle"]), (box.id, os.path.realpath(box.bundle)), stage)
        equal(state.get("pid"), None if stage == "poststop" else pid, f"{stage}: pid")
        want = {"poststart": "running", "poststop": "stopped"}.get(stage, "creating")
        equal(state["status"], want, f"{stage}: status")
        equal(state["annotations"], {"k": "v"}, f"{stage}: annotations")


@test
def arguments_and_environment(box):
    out = box.path("out.txt")
    box.config["hooks"] = {"createRuntime": [
        {"path": "/bin/sh", "args": ["name", "-c", f"echo $0 $1 $A >{out}; pwd >>{out}", "zero", "one"],
         "env": ["A=b"]}]}
    equal(box.run().status, 0, "run")
    with open(out) as f:
        equal(f.read().split(), ["zero", "one", "b", os.path.realpath(box.bundle)], "what the hook saw")


@test
def namespaces_exist_for_hooks(box):
    """A prestart hook can reach the sandbox's network namespace by its pid."""
    out = box.path("net")
    box.config["hooks"] = {"prestart": [shell(
        f"pid=$(sed 's/.*\"pid\": *\\([0-9]*\\).*/\\1/'); readlink /proc/$pid/ns/net >{out}; "
        f"readlink /proc/self/ns/net >>{out}")]}
    equal(box.run().status, 0, "run")
    with open(out) as f:
        sandbox, host = f.read().split()
    check(sandbox.startswith("net:") and sandbox != host, f"network namespaces {sandbox} and {host}")


@test
def create_container_hooks_mount_for_the_container(box):
    """A mount that a createContainer hook makes is in the container and not on the host."""
    os.makedirs(box.rootfs + "/data")
    os.makedirs(box.path("src"))
    with open(box.path("src/file"), "w") as f:
        f.write("mounted\n")
    box.config["hooks"] = {"createContainer": [
        shell(f"mount --bind {box.path('src')} {box.rootfs}/data; readlink /proc/self/ns/net >{box.path('net')}")]}
    box.args("cat", "/data/file")
    r = box.run()
    equal((r.status, r.out), (0, "mounted\n"), f"{r}")
    equal(os.listdir(box.rootfs + "/data"), [], "the host's view")
    with open(box.path("net")) as f:
        check(f.read().strip() != os.readlink("/proc/self/ns/net"), "the hook ran in the host's network")


@test
def failing_hooks(box):
    for stage in STAGES[:3]:
        box.config["hooks"] = {stage: [shell("true"), shell("echo some reason >&2; exit 3")],
                               "poststop": [shell(f"echo poststop >>{box.path('log')}")]}
        box.write()
        box.refused("create", "--bundle", box.bundle, box.id,
                    message=f"error running {stage} hook #1 (/bin/sh): exit status 3, output: some reason")
        box.check_clean()
    equal(read_log(box), ["poststop"] * 3, "poststop hooks")
    box.config["hooks"] = {"prestart": [{"path": "/nonexistent/hook"}]}
    box.write()
    box.refused("run", "--bundle", box.bundle, box.id, message="exec /nonexistent/hook: no such file or directory")


@test
def failing_hooks_as_under_runc(box):
    for hooks in ({"prestart": [shell("exit 1")]}, {"poststart": [shell("exit 1")]},
                  {"poststop": [shell("exit 1")]}, {"createRuntime": [shell("kill -9 $$")]}):
        box.config["hooks"] = hooks
        equal(box.run().status, box.run_runc().status, f"status with {hooks}")
        box.check_clean()


@test
def failing_poststart_ends_the_container(box):
    box.args("sleep", "1000")
    box.config["hooks"] = {"poststart": [shell("exit 2")]}
    box.create()
    pid = box.state()["pid"]
    box.refused("start", box.id, message="error running poststart hook #0 (/bin/sh): exit status 2")
    wait_dead(pid)
    box.ok("delete", box.id)


@test
def failing_poststop_is_a_warning(box):
    box.config["hooks"] = {"poststop": [shell("exit 2"), shell("true")]}
    box.create()
    r = box.ok("delete", box.id)
    contains(r.err + box.logged(), "error running poststop hook #0", "the warning")


@test
def timeout_of_a_hook(box):
    box.config["hooks"] = {"prestart": [shell("exec sleep 1000", timeout=1)]}
    box.write()
    box.refused("create", "--bundle", box.bundle, box.id, message="hook ran past specified timeout of 1s")


@test
def large_output_of_a_hook(box):
    """A hook that writes without end into its output and never reads its input isn't stuck."""
    box.config["annotations"] = {f"k{i}": "x" * 1000 for i in range(200)}
    box.config["hooks"] = {"prestart": [shell("head -c 1000000 /dev/zero; head -c 1000000 /dev/zero >&2")]}
    equal(box.run().status, 0, "run")


@test
def hook_that_leaves_a_process(box):
    """The end of the hook counts, not that of what it started."""
    box.config["hooks"] = {"prestart": [shell(f"sleep 30 & echo $! >{box.path('left')}")]}
    r = box.run(timeout=20)
    equal(r.status, 0, "run")
    with open(box.path("left")) as f:
        os.kill(int(f.read()), 9)


@test
def start_container_hooks_run_inside(box):
    box.script("cat /hook-ran")
    box.config["hooks"] = {"startContainer": [
        {"path": "/bin/sh", "args": ["sh", "-c", "cat >/hook-ran; echo >>/hook-ran; echo $A >>/hook-ran; hostname >>/hook-ran"],
         "env": ["A=b", "PATH=/bin"]}]}
    r = box.run()
    equal(r.status, 0, f"{r}")
    lines = r.out.splitlines()
    equal(json.loads(lines[0])["status"] if len(lines) == 3 else lines, "created", "the state it got")
    equal(lines[1:], ["b", "oci-test"], "what it saw")


@test
def failing_start_container_hook(box):
    box.script("echo ran >/ran")
    box.config["hooks"] = {"startContainer": [{"path": "/bin/false"}]}
    r = box.run()
    equal(r.status, 1, f"{r}")
    contains(r.err, "error running startContainer hook #0 (/bin/false)", "the message")
    check(not os.path.exists(box.rootfs + "/ran"), "the program ran")


@test
def timeout_of_a_start_container_hook(box):
    box.config["hooks"] = {"startContainer": [{"path": "/bin/sleep", "args": ["sleep", "1000"], "timeout": 1}]}
    box.write()
    box.refused("run", "--bundle", box.bundle, box.id, message="hook ran past its specified timeout")


@test
def missing_start_container_hook(box):
    box.config["hooks"] = {"startContainer": [{"path": "/bin/nope"}]}
    box.write()
    box.refused("run", "--bundle", box.bundle, box.id, message="(/bin/nope): asking the sentry: no such file")
