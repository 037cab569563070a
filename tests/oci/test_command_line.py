# SPDX-License-Identifier: Apache-2.0
"""Options, help, output formats."""
import json
import os

from harness import check, contains, equal, test

COMMANDS = ["create", "debug", "delete", "doctor", "features", "help", "kill", "list", "ps", "run", "spec", "start", "state"]


@test
def version_and_help(box):
    contains(box.ok("--version").out, "runsc version", "--version")
    contains(box.ok("-v").out, "spec: 1.", "-v")
    for words in (["--help"], ["help"], []):
        out = box.ok(*words).out
        for command in COMMANDS:
            contains(out, f"   {command} ", "help")
    for command in COMMANDS:
        equal(box.ok("help", command).out, box.ok(command, "--help").out, f"help {command}")
    contains(box.ok("help", "run").out, "--detach, -d", "help run")


@test
def table_of_system_calls(box):
    out = box.ok("help", "syscalls").out
    check(len(out.splitlines()) > 300, "help syscalls: too few lines")
    for name in ("read", "futex", "openat2", "io_uring_setup", "listmount"):
        check(any(name in line.split() for line in out.splitlines()), f"no line for {name}")
    box.refused("help", "syscalls", "nonsense", message="No help topic")


@test
def usage_errors(box):
    r = box.runsc("frobnicate")
    equal(r.status, 3, "an unknown command's status")
    box.one_line(r.err, "No help topic for 'frobnicate'")
    for words, message in [
            (["run"], '"run" requires exactly 1 argument(s)'),
            (["run", "a", "b"], '"run" requires exactly 1 argument(s)'),
            (["kill"], '"kill" requires a minimum of 1 argument(s)'),
            (["state"], '"state" requires exactly 1 argument(s)'),
            (["run", "--frob", "a"], "flag provided but not defined: --frob"),
            (["run", "--bundle"], "flag needs an argument"),
            (["run", "--detach=perhaps", "a"], "--detach: expected true or false")]:
        r = box.refused(*words, message=message)
        contains(r.out, "Incorrect Usage.", "standard output")
        contains(r.out, "USAGE:", "standard output")
    box.refused("list", flags=["--frob"], message="flag provided but not defined")
    box.refused("list", flags=["--log-format", "xml"], message="invalid log-format: xml")
    box.refused("list", flags=["--network=host"], message="--network=host")
    box.refused("list", flags=["--platform=vmx"], message="invalid platform: vmx")
    box.refused("list", flags=["--log", "/nonexistent/log"], message="/nonexistent/log")


@test
def options_in_every_spelling(box):
    """Global flags that runc's callers pass, and both ways of giving a value."""
    box.ok("list", flags=["--log-format=json", "--systemd-cgroup", "--rootless=auto", "--criu", "x",
                          "--debug=false"])
    box.ok("list", "--format=json", flags=["--log-format", "text"])
    equal(box.ok("list", "-q").out, "", "list -q")
    equal(box.ok("list", "-f", "json").out, "null\n", "list of nothing")
    box.refused("list", "--format", "xml", message="invalid format option")


@test
def log_file(box):
    log = box.path("log")
    r = box.runsc("state", "nothing", flags=["--log", log, "--log-format", "json"])
    equal(r.status, 1, "status")
    box.one_line(r.err, "container does not exist")
    with open(log) as f:
        line = json.loads(f.read())
    equal(line["level"], "error", "level")
    contains(line["msg"], "container does not exist: nothing", "msg")
    check("time" in line, "no time in the log line")
    r = box.runsc("state", "other", flags=["--log", log])
    with open(log) as f:
        lines = f.read().splitlines()
    equal(len(lines), 2, "lines (the log is appended to)")
    contains(lines[1], "error", "text line")


@test
def spec_writes_a_config(box):
    where = box.path("new")
    os.mkdir(where)
    box.ok("spec", cwd=where)
    with open(where + "/config.json") as f:
        config = json.load(f)
    equal(config["process"]["args"], ["sh"], "args")
    equal(config["root"], {"path": "rootfs", "readonly": True}, "root")
    box.refused("spec", cwd=where, message="File config.json exists. Remove it first")
    box.refused("spec", "--bundle", "/nonexistent", message="/nonexistent")
    os.unlink(where + "/config.json")
    box.ok("spec", "--bundle", where, "--rootless")
    with open(where + "/config.json") as f:
        check("resources" not in json.load(f)["linux"], "--rootless: resources")


@test
def spec_runs(box):
    """What spec writes is a config that runs, terminal and program aside."""
    box.ok("spec", "--bundle", box.bundle)
    with open(box.bundle + "/config.json") as f:
        box.config = json.load(f)
    box.config["process"]["terminal"] = False
    box.script("echo $0 in $(hostname); touch /x 2>/dev/null || echo read-only")
    r = box.run()
    equal((r.status, r.out), (0, "sh in runsc\nread-only\n"), f"{r}")


@test
def features_document(box):
    f = json.loads(box.ok("features").out)
    for key in ("ociVersionMin", "ociVersionMax", "hooks", "mountOptions", "linux"):
        check(key in f, f"no {key}")
    equal(len(f["hooks"]), 6, "hooks")
    check("rbind" in f["mountOptions"], "mountOptions")
    check("CAP_BPF" in f["linux"]["capabilities"], "capabilities")
    equal(f["linux"]["seccomp"], {"enabled": False}, "seccomp")


@test
def ids(box):
    box.write()
    for ident in ("a/b", "..", ".", "a b", "\u00e9", "a\nb", "x" * 300):
        r = box.runsc("run", "--bundle", box.bundle, ident)
        equal(r.status, 1, f"id {ident!r}: {r}")
        contains(r.err, "invalid container ID format", f"id {ident!r}")
        equal(r.err.count("\n"), 1, "lines")
    box.refused("run", "--bundle", box.bundle, "", message="container id cannot be empty")
    for ident in ("..", "a/../b", "../state"):
        box.refused("state", ident, message="invalid container ID format")
        box.refused("delete", "--force", ident, message="invalid container ID format")
    for ident in ("a_b+c-d.e1,f", ".a"):
        box.ok("run", "--bundle", box.bundle, ident)


@test
def preserved_descriptors_are_refused(box):
    box.write()
    box.refused("run", "--bundle", box.bundle, "--preserve-fds", "1", box.id, message="--preserve-fds 1")
    box.ok("run", "--bundle", box.bundle, "--preserve-fds=0", "--no-pivot", "--no-new-keyring",
           "--no-subreaper", box.id)


@test
def strace_and_debug_logs(box):
    """--strace logs the container's calls, --debug the sentry's counters at the end."""
    log = box.path("log")
    box.args("cat", "/etc/nothing")
    box.write()
    r = box.runsc("run", "--bundle", box.bundle, box.id, flags=["--strace", "--log", log])
    equal(r.status, 1, f"{r}")
    with open(log) as f:
        text = f.read()
    check('"/etc/nothing", O_RDONLY' in text and "= -1 ENOENT" in text, f"--strace: {text[-500:]}")
    check("stats:" not in text, "counters without --debug")
    r = box.runsc("run", "--bundle", box.bundle, box.id, flags=["--debug", "--log", log])
    equal((r.status, r.err), (1, "cat: can't open '/etc/nothing': No such file or directory\n"), f"{r}")
    with open(log) as f:
        contains(f.read(), "stats: counter ", "--debug's log")


@test
def log_of_the_sandbox_is_json_too(box):
    log = box.path("log")
    box.write()
    box.ok("run", "--bundle", box.bundle, box.id,
           flags=["--debug", "--strace", "--log", log, "--log-format=json"])
    with open(log) as f:
        for line in f:
            check({"level", "msg", "time"} <= set(json.loads(line)), f"line {line!r}")
