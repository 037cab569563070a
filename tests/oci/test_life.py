# SPDX-License-Identifier: Apache-2.0
"""The life cycle: states, exit status, signals, what each command prints and refuses."""
import json
import os
import select
import signal
import socket
import subprocess
import time

from harness import BASE_CONFIG, check, contains, equal, test, wait_dead


@test
def exit_status(box):
    for code in (0, 1, 7, 126, 127, 255):
        box.script(f"exit {code}")
        equal(box.run().status, code, "run's status")


@test
def output_and_status_as_under_runc(box):
    for text in ("echo out; echo err >&2; exit 3", "kill -9 $$; echo survived", "cat; echo end",
                 "sh -c 'kill -9 $$'; echo $?", "echo $A-$HOME-$PWD-$#", "id; umask; hostname"):
        box.script(text)
        box.config["process"]["env"] = BASE_CONFIG["process"]["env"] + ["A=b c", "HOME=/root"]
        ours, theirs = box.run(stdin=b"some\ninput\n"), box.run_runc()
        if "cat" not in text:
            equal((ours.status, ours.out, ours.err), (theirs.status, theirs.out, theirs.err), text)
    equal(box.runsc("state", box.id).status, 1, "run deletes")


@test
def standard_input_and_large_output(box):
    box.args("cat")
    data = os.urandom(1 << 20).hex().encode()
    r = box.run(stdin=data)
    equal((r.status, r.err), (0, ""), "cat")
    check(r.out.encode() == data, "2 MiB through cat differ")


@test
def killed_from_outside(box):
    """128 + signal, for a signal that the program leaves at its default and for SIGKILL."""
    for name, code in (("KILL", 137), ("TERM", 143)):
        box.script("trap 'trap - TERM; exit 143' TERM; echo ready; while :; do sleep 0.1; done")
        box.write()
        p = box.start_process(box.command("run", "--bundle", box.bundle, box.id), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE)
        equal(p.stdout.readline(), b"ready\n", "output")
        box.ok("kill", box.id, name)
        equal(p.wait(30), code, f"run's status after {name}")
        box.check_clean()


@test
def silent_control_clients(box):
    """Who connects to the sandbox and says nothing, or nonsense, keeps nobody else waiting."""
    box.script("sleep 1000")
    box.create_piped()
    clients = []
    for number in range(20):
        client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        client.settimeout(5)
        client.connect(os.path.join(box.root, box.id, "control.sock"))
        clients.append(client)
        if number % 4 == 3:
            client.send(b"x" * 100)
            check(len(client.recv(100)) == 24, "an error is answered with a header")
    began = time.monotonic()
    for _ in range(5):
        equal(len(json.loads(box.ok("ps", "--format", "json", box.id).out)), 1, "processes")
    check(time.monotonic() - began < 2, "silent clients delay others")
    equal(clients[0].recv(1), b"", "the oldest silent client is let go")
    box.ok("start", box.id)
    box.ok("delete", "--force", box.id)


@test
def states(box):
    box.script("echo ready; exec sleep 1000")
    out = box.create_piped("--pid-file", box.path("pid"))
    s = box.state()
    with open(box.path("pid")) as f:
        pid = int(f.read())
    equal(s["status"], "created", "status")
    equal(s["pid"], pid, "pid (and --pid-file)")
    equal(s["id"], box.id, "id")
    equal(s["bundle"], os.path.realpath(box.bundle), "bundle")
    equal(s["rootfs"], os.path.realpath(box.rootfs), "rootfs")
    check(s["ociVersion"].startswith("1."), "ociVersion")
    box.ok("start", box.id)
    equal(out.readline(), b"ready\n", "output")
    equal(box.status(), "running", "status")
    box.refused("start", box.id, message="cannot start an already running container")
    box.refused("delete", box.id, message=f"cannot delete container {box.id} that is not stopped: running")
    box.ok("kill", box.id, "KILL")
    wait_dead(pid)
    s = box.state()
    equal((s["status"], s["pid"]), ("stopped", 0), "status and pid")
    box.refused("start", box.id, message="cannot start a container that has stopped")
    box.refused("kill", box.id, message="container not running")
    box.ok("kill", "--all", box.id)
    box.ok("delete", box.id)
    for command in ("state", "start", "delete", "kill", "ps"):
        box.refused(command, box.id, message="container does not exist")
    box.ok("delete", "--force", box.id)


@test
def states_as_under_runc(box):
    """The same keys, and the same status of each command, along the same life."""
    box.args("sleep", "1000")
    box.write()

    def life(run, ident):
        seen = []

        def step(*words):
            r = run(*words)
            seen.append((words[0], r.status))
            return r

        step("create", "--bundle", box.bundle, ident)
        seen.append(sorted(json.loads(step("state", ident).out)))
        step("create", "--bundle", box.bundle, ident)
        step("start", ident)
        step("start", ident)
        step("delete", ident)
        step("kill", ident, "NOSUCH")
        pid = json.loads(step("state", ident).out)["pid"]
        step("kill", ident, "9")
        wait_dead(pid)
        seen.append(json.loads(step("state", ident).out)["status"])
        for words in (["start"], ["kill"], ["kill", "--all"], ["ps"], ["delete"], ["delete"],
                      ["delete", "--force"], ["state"], ["kill"], ["start"]):
            step(*words, ident)
        return seen

    equal(life(box.runsc, box.id), life(box.runc, box.id + "-runc"), "the life under runsc and runc")


@test
def started_late(box):
    """Nothing of the program happens before start."""
    box.script("echo ran >/ran")
    box.create()
    equal(box.status(), "created", "status")
    check(not os.path.exists(box.rootfs + "/ran"), "the program ran before start")
    pid = box.state()["pid"]
    box.ok("start", box.id)
    wait_dead(pid)
    check(os.path.exists(box.rootfs + "/ran"), "the program did not run")
    equal(box.status(), "stopped", "status")
    box.ok("delete", box.id)


@test
def delete_of_created(box):
    box.create()
    pid = box.state()["pid"]
    box.ok("delete", box.id)
    wait_dead(pid)


@test
def delete_force_of_running(box):
    box.script("trap '' TERM INT HUP; sleep 1000")
    box.create()
    box.ok("start", box.id)
    box.ok("delete", "--force", box.id)
    box.refused("state", box.id, message="container does not exist")


@test
def signals_by_number_and_name(box):
    box.script("for s in USR1 USR2 HUP INT; do trap \"echo $s\" $s; done; trap 'echo TERM; exit 5' TERM; "
               "echo ready; while :; do sleep 0.1; done")
    out = box.create_piped()
    pid = box.state()["pid"]
    box.ok("start", box.id)
    equal(out.readline(), b"ready\n", "output")
    for given, want in (("USR1", b"USR1"), ("SIGUSR2", b"USR2"), ("1", b"HUP"), ("sigint", b"INT")):
        box.ok("kill", box.id, given)
        equal(out.readline().strip(), want, f"after kill {given}")
    for bad in ("NOSUCH", "0", "65", "-1", "9x", ""):
        r = box.runsc("kill", "--", box.id, bad)
        equal(r.status, 1, f"kill {bad!r}")
        contains(r.err, "unknown signal", f"kill {bad!r}")
    box.ok("kill", box.id)
    equal(out.readline(), b"TERM\n", "after kill")
    wait_dead(pid)
    out.close()
    box.ok("delete", box.id)


@test
def kill_all(box):
    """Every process of the container gets it."""
    box.script("trap 'echo first' USR1; sh -c \"trap 'echo second; exit' USR1; echo ready; "
               "while :; do sleep 0.1; done\" & while :; do wait; done")
    out = box.create_piped()
    box.ok("start", box.id)
    equal(out.readline(), b"ready\n", "output")
    box.ok("kill", "--all", box.id, "USR1")
    equal(sorted([out.readline(), out.readline()]), [b"first\n", b"second\n"], "who got the signal")
    box.ok("delete", "--force", box.id)


@test
def ps_and_list(box):
    # The child says so itself once it is the program that ps is to show.
    box.script("mkfifo /fifo; sh -c 'echo ready; read x <$0' /fifo & wait")
    out = box.create_piped()
    box.ok("start", box.id)
    equal(out.readline(), b"ready\n", "output")
    lines = box.ok("ps", box.id).out.splitlines()
    equal(lines[0].split(), ["UID", "PID", "PPID", "STIME", "TTY", "TIME", "CMD"], "ps's head")
    equal(len(lines), 3, "ps's lines")
    check(lines[1].split()[:3] == ["0", "1", "0"], f"ps's first process: {lines[1]}")
    check(lines[2].endswith("sh -c echo ready; read x <$0 /fifo") and lines[2].split()[2] == "1", f"ps's second: {lines[2]}")
    pid = box.state()["pid"]
    equal(json.loads(box.ok("ps", "--format", "json", box.id).out), [pid], "ps as JSON")
    box.ok("ps", box.id, "-ef")
    equal(box.ok("list", "--quiet").out, box.id + "\n", "list --quiet")
    head, line = box.ok("list").out.splitlines()
    equal(head.split(), ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"], "list's head")
    equal(line.split()[:4], [box.id, str(pid), "running", os.path.realpath(box.bundle)], "list's line")
    equal(head.index("PID"), line.index(str(pid)), "list's columns")
    entry, = json.loads(box.ok("list", "--format", "json").out)
    equal((entry["id"], entry["pid"], entry["owner"]), (box.id, pid, "root"), "list as JSON")
    box.ok("delete", "--force", box.id)


@test
def annotations_in_state(box):
    box.config["annotations"] = {"org.example.key": "value \u00e4"}
    box.create()
    equal(box.state()["annotations"], box.config["annotations"], "annotations")
    box.ok("delete", box.id)


@test
def bundle_is_the_current_directory(box):
    box.script("echo here")
    box.write()
    equal(box.ok("run", box.id, cwd=box.bundle).out, "here\n", "output")
    equal(box.ok("run", "-b", "bundle", box.id, cwd=box.dir).out, "here\n", "output with a relative -b")


@test
def detach_and_keep(box):
    box.args("sleep", "1000")
    r = box.run("--detach", "--pid-file", box.path("pid"))
    equal((r.status, r.out, r.err), (0, "", ""), "run --detach")
    equal(box.status(), "running", "status")
    box.ok("delete", "--force", box.id)
    box.script("exit 4")
    equal(box.run("--keep").status, 4, "run --keep")
    equal(box.status(), "stopped", "status")
    box.ok("delete", box.id)


@test
def signals_through_run(box):
    box.script("trap 'echo got USR1' USR1; trap 'echo got TERM; exit 9' TERM; echo ready; "
               "while :; do sleep 0.1; done")
    box.write()
    p = box.start_process(box.command("run", "--bundle", box.bundle, box.id), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE)
    equal(p.stdout.readline(), b"ready\n", "output")
    p.send_signal(signal.SIGUSR1)
    equal(p.stdout.readline(), b"got USR1\n", "output")
    p.send_signal(signal.SIGTERM)
    equal(p.stdout.readline(), b"got TERM\n", "output")
    equal(p.wait(30), 9, "run's status")


@test
def run_and_delete_from_elsewhere(box):
    box.script("echo ready; exec sleep 1000")
    box.write()
    p = box.start_process(box.command("run", "--bundle", box.bundle, box.id), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    equal(p.stdout.readline(), b"ready\n", "output")
    box.ok("delete", "--force", box.id)
    equal(p.wait(30), 137, "run's status")
    equal(p.stderr.read(), b"", "run's standard error")


@test
def interrupted_while_creating(box):
    """SIGTERM while create waits for a hook or the sandbox undoes everything."""
    fifo = box.path("fifo")
    os.mkfifo(fifo)
    box.config["hooks"] = {"prestart": [{"path": "/bin/sh", "args": ["sh", "-c", f"echo >{fifo}; sleep 0.2"]}]}
    box.write()
    p = box.start_process(box.command("create", "--bundle", box.bundle, box.id), stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    with open(fifo) as f:
        f.read()
    p.send_signal(signal.SIGTERM)
    equal(p.wait(30), 1, "create's status")
    contains(p.stderr.read().decode(), "ended by signal 15", "create's message")


@test
def many_at_once(box):
    """Ten containers of one bundle at the same time."""
    box.script("echo $(hostname); exit 3")
    box.write()
    ps = [box.start_process(box.command("run", "--bundle", box.bundle, f"{box.id}-{i}"),
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) for i in range(10)]
    for p in ps:
        equal((p.stdout.read(), p.wait(60)), (b"oci-test\n", 3), "output and status")


@test
def long_state_path(box):
    """A socket's name has 108 bytes; the state's path may be longer."""
    box.root = os.path.join(box.dir, "x" * 100, "y" * 100)
    box.script("exec sleep 1000")
    box.create()
    box.ok("start", box.id)
    equal(box.status(), "running", "status")
    box.ok("delete", "--force", box.id)


@test
def signals_while_creating_wait(box):
    """A signal that doesn't end runsc reaches the container when it runs; a resize ends nothing."""
    fifo = box.path("fifo")
    os.mkfifo(fifo)
    box.config["hooks"] = {"prestart": [{"path": "/bin/sh", "args": ["sh", "-c", f"echo >{fifo}; sleep 0.3"]}]}
    box.script("trap 'echo got USR2; exit 8' USR2; while :; do sleep 0.1; done")
    box.write()
    p = box.start_process(box.command("run", "--bundle", box.bundle, box.id), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE)
    with open(fifo) as f:
        f.read()
    p.send_signal(signal.SIGWINCH)
    p.send_signal(signal.SIGCONT)
    out = b""
    while not out and p.poll() is None:
        # Before its trap is set the first process ignores the signal, as in any PID namespace.
        p.send_signal(signal.SIGUSR2)
        out = p.stdout.readline() if select.select([p.stdout], [], [], 0.2)[0] else b""
    equal((out, p.wait(30)), (b"got USR2\n", 8), "output and status")
