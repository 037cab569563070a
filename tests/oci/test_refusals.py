# SPDX-License-Identifier: Apache-2.0
"""What can't be run: each one line that says what and where, runc's status, nothing left."""
import copy
import os
import struct

from harness import contains, equal, test


def change(config, path, value):
    *where, last = path
    for key in where:
        config = config[key]
    if value is None:
        del config[last]
    elif isinstance(config, list) and last == len(config):
        config.append(value)
    else:
        config[last] = value


# Where, what is put there (None: removed), the message, and whether runc refuses it too.
FIELDS = [
    (["ociVersion"], None, "config.json: ociVersion: missing, expected a string", False),
    (["ociVersion"], 1, "config.json: ociVersion: expected a string, found a number", True),
    (["process"], None, "config.json: process: missing, expected an object", True),
    (["process", "args"], [], "config.json: process.args: expected at least one string", True),
    (["process", "args"], 5, "config.json: process.args: expected an array, found a number", True),
    (["process", "args"], [5], "config.json: process.args[0]: expected a string, found a number", True),
    (["process", "cwd"], "rel", "config.json: process.cwd: expected an absolute path", True),
    (["process", "user", "uid"], -1, "config.json: process.user.uid: expected an integer", True),
    (["process", "rlimits", 0, "type"], "RLIMIT_FOO", "config.json: process.rlimits[0].type: expected", True),
    (["process", "env"], "A=b", "config.json: process.env: expected an array, found a string", True),
    (["root"], None, "config.json: root: missing, expected an object", True),
    (["root", "path"], 7, "config.json: root.path: expected a string, found a number", True),
    (["root", "path"], "nope", "config.json: root.path: %s/nope: no such file or directory", True),
    (["root", "path"], "config.json", "config.json: root.path: %s/config.json: not a directory", True),
    (["hostname"], {}, "config.json: hostname: expected a string, found an object", True),
    (["linux", "namespaces"], [{"type": "pid"}], "config.json: hostname: can't be set without", True),
    (["linux", "namespaces", 0, "type"], "foo", "config.json: linux.namespaces[0].type: expected", True),
    (["linux", "namespaces", 5], {"type": "pid"}, "config.json: linux.namespaces[5]: a namespace", True),
    (["linux", "namespaces", 1], {"type": "network", "path": "/nonexistent"}, "/nonexistent", True),
    (["mounts"], {}, "config.json: mounts: expected an array, found an object", True),
    (["mounts", 3], {"destination": "/x", "type": "bind", "source": "/nonexistent", "options": ["rbind"]},
     "config.json: mounts[3].source: /nonexistent: no such file or directory", True),
    (["linux", "maskedPaths"], ["/" + "x" * 300], "file name too long", True),
    (["linux", "readonlyPaths"], ["/" + "x" * 300], "file name too long", True),
    (["annotations"], {"a": 5}, "config.json: annotations.a: expected a string, found a number", True),
    (["hooks"], {"prestart": [{"args": []}]}, "config.json: hooks.prestart[0].path: missing", True),
]


@test
def fields_of_config(box):
    original = box.config
    for path, value, message, _ in FIELDS:
        box.config = copy.deepcopy(original)
        change(box.config, path, value)
        box.write()
        message = message % box.bundle if "%s" in message else message
        box.refused("create", "--bundle", box.bundle, box.id, message=message)
        box.check_clean()


@test
def fields_of_config_under_runc(box):
    """The status is runc's: 1 wherever runc refuses the same config."""
    original = box.config
    for path, value, _, refused in FIELDS[4:16:3]:
        box.config = copy.deepcopy(original)
        change(box.config, path, value)
        equal(box.run_runc().status, 1 if refused else 0, f"runc with {path} = {value!r}")


@test
def broken_json(box):
    for text in ("", "{", "[]", '{"ociVersion": }', '{"ociVersion": "1.0.2"} x', "\0"):
        box.write_raw(text)
        box.refused("run", "--bundle", box.bundle, box.id, message="config.json: ")


@test
def bundles(box):
    box.refused("run", "--bundle", "/nonexistent", box.id, message="/nonexistent: no such file or directory")
    os.mkdir(box.path("empty"))
    box.refused("run", "--bundle", box.path("empty"), box.id, message="empty/config.json: no such file")
    box.refused("run", box.id, cwd=box.path("empty"), message="config.json: no such file")
    box.write()
    os.rename(box.rootfs, box.rootfs + ".away")
    box.refused("create", "--bundle", box.bundle, box.id, message="rootfs: no such file or directory")
    os.rename(box.rootfs + ".away", box.rootfs)


def add_file(box, name, data, mode):
    with open(os.path.join(box.rootfs, name), "wb") as f:
        f.write(data)
    os.chmod(os.path.join(box.rootfs, name), mode)


def elf(machine):
    """A well-formed header of a static program for that machine, with one empty segment."""
    ident = b"\x7fELF\2\1\1" + bytes(9)
    header = struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, 0x400000, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, 0x400000, 0x400000, 120, 120, 4096)
    return ident + header + segment


def refused_program(box, message, under_runc):
    for command in ("run", "create"):
        box.write()
        box.refused(command, "--bundle", box.bundle, box.id, message=message)
        box.check_clean()
    r = box.run_runc()
    equal(r.status, 1, f"runc: {r}")
    if under_runc:
        contains(r.err, under_runc, "runc's message")

@test
def program_missing(box):
    box.args("/bin/nope")
    refused_program(box, 'exec: "/bin/nope": no such file or directory', "no such file or directory")


@test
def program_not_on_path(box):
    box.args("nope")
    refused_program(box, 'exec: "nope": executable file not found in $PATH',
                    'executable file not found in $PATH')


@test
def program_not_executable(box):
    add_file(box, "plain", b"#!/bin/sh\n", 0o644)
    box.args("/plain")
    refused_program(box, 'exec: "/plain": permission denied', "permission denied")


@test
def program_is_a_directory(box):
    box.args("/bin")
    refused_program(box, 'exec: "/bin": permission denied', "permission denied")


@test
def program_of_another_architecture(box):
    add_file(box, "foreign", elf(183), 0o755)
    box.args("/foreign")
    refused_program(box, 'exec: "/foreign": exec format error', None)


@test
def program_without_a_format(box):
    add_file(box, "text", b"no program at all\n", 0o755)
    box.args("/text")
    refused_program(box, 'exec: "/text": exec format error', None)


@test
def interpreter_missing(box):
    add_file(box, "script", b"#!/bin/nope\n", 0o755)
    box.args("/script")
    refused_program(box, 'exec: "/script": no such file or directory', None)


@test
def working_directory_of_the_host(box):
    """CVE-2024-21626: a cwd that leads to a leaked descriptor of the host."""
    for number in range(3, 12):
        box.config["process"]["cwd"] = f"/proc/self/fd/{number}"
        box.script("cat etc/hostname ../etc/shadow ../../etc/shadow 2>/dev/null; pwd")
        r = box.run()
        equal(r.status, 1, f"cwd /proc/self/fd/{number}: {r}")
        box.check_clean()


@test
def id_in_use(box):
    box.args("sleep", "1000")
    box.create()
    box.ok("start", box.id)
    box.refused("create", "--bundle", box.bundle, box.id, message="container with given ID already exists")
    box.refused("run", "--bundle", box.bundle, box.id, message="container with given ID already exists")
    equal(box.status(), "running", "the first container's status")
    box.ok("delete", "--force", box.id)
