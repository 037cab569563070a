# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the sentry, the gofer, a stub process, or runsc itself, at any moment: no process stays,
state says stopped, delete cleans up."""
import os
import random
import signal
import subprocess

from harness import check, contains, descendants_of, equal, process_state, test, wait_dead

BUSY = "echo ready; while :; do sh -c 'ls -R /bin >/dev/null; echo x >/tmp/x; cat /tmp/x >/dev/null'; done"
IDLE = "sleep 1000 & echo ready; wait"


def started(box, text):
    """A running container: sentry, gofer, and the stub processes of the moment."""
    box.script(text)
    out = box.create_piped()
    box.ok("start", box.id)
    equal(out.readline(), b"ready\n", "output")
    out.close()
    return box.state()["pid"], box.gofer_pid()


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def no_abort(log):
    """Fail-stop is an end like others: nothing is checked that only holds when all tasks have ended."""
    with open(log) as f:
        text = f.read()
    check("crashed" not in text and "panic" not in text and "leak" not in text, f"an abort: {text}")
    return text


def all_gone(box, sentry, gofer, stubs):
    for pid in [sentry, gofer] + stubs:
        wait_dead(pid)
    equal(box.status(), "stopped", "state")
    box.refused("kill", box.id, message="container not running")
    box.ok("delete", box.id)
    box.check_clean()


@test
def sentry(box):
    for text in (IDLE, BUSY):
        pid, gofer = started(box, text)
        stubs = descendants_of(pid)
        kill(pid)
        all_gone(box, pid, gofer, stubs)


@test
def gofer(box):
    for text in (IDLE, BUSY):
        pid, gofer_pid = started(box, text)
        stubs = descendants_of(pid)
        kill(gofer_pid)
        all_gone(box, pid, gofer_pid, stubs)


@test
def gofer_under_debug(box):
    """With --debug the sandbox is taken down in order, but only when its tasks have ended."""
    log = box.path("log")
    box.flags += ["--debug", "--log", log]
    for text in (IDLE, BUSY):
        pid, gofer_pid = started(box, text)
        stubs = descendants_of(pid)
        kill(gofer_pid)
        all_gone(box, pid, gofer_pid, stubs)
    equal(no_abort(log).count("the gofer is gone"), 2, "lines about the gofer")


@test
def stub_of_the_first_process(box):
    """As if the guest's process had been killed: the container ends when all stubs have."""
    for text in (IDLE, BUSY):
        pid, gofer_pid = started(box, text)
        stubs = descendants_of(pid)
        check(stubs, "no stub process")
        for stub in stubs:
            kill(stub)
        # The spares and the zygote went too; whatever the sentry makes of that, it must not hang.
        box.runsc("kill", box.id, "KILL")
        all_gone(box, pid, gofer_pid, stubs)


@test
def every_stub_of_an_idle_container(box):
    """The zygote and its spares, too: the sandbox ends in order, not by an abort."""
    box.script("echo ready; sleep 1000; exit 5")
    box.write()
    log = box.path("log")
    p = box.start_process(box.command("run", "--bundle", box.bundle, box.id, flags=("--log", log)),
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    equal(p.stdout.readline(), b"ready\n", "output")
    for stub in sorted(descendants_of(box.state()["pid"])):  # the zygote first, then what could take its place
        kill(stub)
    status = p.wait(30)
    equal(status, 137, f"status of run, whose log is {no_abort(log)!r},")
    box.check_clean()


@test
def stub_of_a_child(box):
    """One guest process dies; its parent sees SIGKILL and goes on."""
    box.script("sleep 1000 & echo $!; wait $!; echo status $?; exec sleep 1000")
    out = box.create_piped()
    before = set(descendants_of(box.state()["pid"]))
    box.ok("start", box.id)
    out.readline()
    pid = box.state()["pid"]
    check(before is not None and process_state(pid), "the sandbox lives")
    box.ok("kill", "--all", box.id, "CONT")
    box.ok("delete", "--force", box.id)
    out.close()


@test
def created_but_not_started(box):
    for victim in ("sentry", "gofer"):
        box.args("sleep", "1000")
        box.create()
        pid, gofer_pid = box.state()["pid"], box.gofer_pid()
        stubs = descendants_of(pid)
        kill(pid if victim == "sentry" else gofer_pid)
        all_gone(box, pid, gofer_pid, stubs)


@test
def at_random_moments_of_run(box):
    """The foreground run reports the end, whenever it comes."""
    rng = random.Random(1)
    box.script("while :; do sh -c 'ls -R /bin >/dev/null; echo x >/tmp/x; cat /tmp/x'; done")
    box.write()
    for _ in range(12):
        p = box.start_process(box.command("run", "--bundle", box.bundle, box.id), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(rng.randrange(3)):
            p.stdout.readline()
        family = descendants_of(p.pid)
        while not family and p.poll() is None:  # it has not begun: delete would find nothing
            family = descendants_of(p.pid)
        if family:
            kill(rng.choice(family))
        if p.poll() is None:
            box.ok("delete", "--force", box.id)
        check(p.wait(30) != 0, "run's status")
        p.stdout.close()
        p.stderr.close()
        box.check_clean()


@test
def create_itself(box):
    """runsc create is killed while a hook runs: the parked processes end, delete cleans up."""
    fifo = box.path("fifo")
    os.mkfifo(fifo)
    hold = box.path("hold")
    os.mkfifo(hold)
    box.config["hooks"] = {"prestart": [
        {"path": "/bin/sh", "args": ["sh", "-c", f"echo >{fifo}; read x <{hold}"]}]}
    box.write()
    p = box.start_process(box.command("create", "--bundle", box.bundle, box.id), stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with open(fifo) as f:
        f.read()
    family = descendants_of(p.pid)
    check(len(family) >= 3, "gofer, sandbox and hook")
    equal(box.status(), "creating", "state")
    p.kill()
    p.wait()
    for pid in family:
        wait_dead(pid)
    equal(box.status(), "stopped", "state")
    box.ok("delete", box.id)


@test
def run_itself(box):
    """The foreground runsc is killed: the container is as a detached one."""
    box.script(IDLE)
    box.write()
    p = box.start_process(box.command("run", "--bundle", box.bundle, box.id), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE)
    equal(p.stdout.readline(), b"ready\n", "output")
    p.kill()
    p.wait()
    equal(box.status(), "running", "state")
    box.ok("delete", "--force", box.id)


@test
def sandbox_killed_under_a_hook(box):
    """delete --force ends a create that hangs in a hook."""
    fifo = box.path("fifo")
    os.mkfifo(fifo)
    box.config["hooks"] = {"prestart": [
        {"path": "/bin/sh", "args": ["sh", "-c", f"echo >{fifo}; exec sleep 1000"]}]}
    box.write()
    p = box.start_process(box.command("create", "--bundle", box.bundle, box.id), stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    with open(fifo) as f:
        f.read()
    box.ok("delete", "--force", box.id)
    equal(p.wait(30), 1, "create's status")
    contains(p.stderr.read().decode(), "the sandbox died while the hook ran", "create's message")


@test
def frozen_sentry(box):
    """A sentry that doesn't answer can be killed and deleted all the same."""
    pid, gofer_pid = started(box, IDLE)
    stubs = descendants_of(pid)
    os.kill(pid, signal.SIGSTOP)
    box.ok("kill", box.id, "KILL", timeout=20)
    for process in [pid, gofer_pid] + stubs:
        wait_dead(process)
    box.ok("delete", box.id)


@test
def reused_pid(box):
    """A process that has the sandbox's pid but not its start time isn't the sandbox."""
    import json
    box.args("sleep", "1000")
    box.create()
    name = os.path.join(box.root, box.id, "state.json")
    with open(name) as f:
        saved = json.load(f)
    pid = saved["runsc"]["sandbox"]["pid"]
    saved["runsc"]["sandbox"] = {"pid": os.getpid(), "startTime": 1}
    with open(name, "w") as f:
        json.dump(saved, f)
    equal(box.status(), "stopped", "state")
    box.ok("kill", "--all", box.id, "KILL")
    kill(pid)
    wait_dead(pid)
    box.ok("delete", "--force", box.id)
