# SPDX-License-Identifier: Apache-2.0
"""runsc doctor: what the host offers, what is lost without it, and whether a container could run. Hosts that lack
something are imitated twice: by --without, and by a filter around runsc that makes the calls fail."""
import errno
import json
import os
import re
import resource
import sys

from harness import check, contains, equal, test

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "../lib"))
from deny import NO_NOTIFICATION, NO_SYNC_WAKE_UP, NOTIF_RECV, deny  # noqa: E402

OWN_SWITCHES = True  # these tests choose platforms and features themselves: RUNSC_FLAGS would say it twice

LINE = re.compile(r"(\S+) +(yes|no|off|note) +(\S+)(?: +(\S.*))?")
LOSS = re.compile(r"(speed|isolation|function): \S")


def doctor(box, *rules, flags=(), status=0):
    """The report as JSON; checks what every report must be."""
    r = box.runsc("doctor", "--format", "json", flags=flags, preexec_fn=deny(*rules) if rules else None)
    equal(r.status, status, f"status of doctor: {r}")
    report = json.loads(r.out)
    equal(report["ready"], status == 0, "ready")
    for item in report["items"]:
        check(item["state"] in ("yes", "no", "off", "note"), f"state of {item}")
        check(item["state"] in ("no", "off") or item["loss"] is None, f"a loss of what is there: {item}")
        check(item["loss"] is None or item["loss"]["kind"] in ("speed", "isolation", "function"), f"loss of {item}")
    return report


def items(report):
    return {item["name"]: item for item in report["items"]}


def platforms(report):
    return {p["name"]: p for p in report["platforms"]}


@test
def text_is_one_line_an_item(box):
    r = box.ok("doctor")
    lines = r.out.splitlines()
    for line in lines:
        check(LINE.fullmatch(line), f"malformed line {line!r}")
    found = {m[3]: m[2] for m in map(LINE.fullmatch, lines)}
    for item in doctor(box)["items"]:
        equal(found.get(item["name"]), item["state"], f"text and JSON of {item['name']}")
    contains(lines[-1], "ready", "the last line")
    equal(r.err, "", "standard error")


@test
def every_feature_is_an_item(box):
    report = doctor(box)
    known = items(report)
    names = [f["name"] for f in report["features"]]
    check(len(names) >= 9, f"features: {names}")
    for name in names:
        check(name in known, f"no item for the feature {name}")
    not_tried = [i["name"] for i in report["items"] if i["detail"] == "not tried"]
    equal(not_tried, [], "host features that no probe knows")


@test
def each_feature_switched_off_is_reported(box):
    for feature in doctor(box)["features"]:
        item = items(doctor(box, flags=["--without", feature["name"]]))[feature["name"]]
        equal(item["state"], "off", feature["name"])
        check(LOSS.match(feature["loss"]), f"loss of {feature['name']}: {feature['loss']!r}")
        equal(f"{item['loss']['kind']}: {item['loss']['text']}", feature["loss"], "loss")
        contains(item["detail"], "switched off by --without", "detail")


@test
def all_features_switched_off(box):
    report = doctor(box, flags=["--without", "all-host,all-speed"])
    for feature in report["features"]:
        equal(items(report)[feature["name"]]["state"], "off", feature["name"])
        equal(feature["off"], True, feature["name"])


@test
def calls_that_the_host_lacks(box):
    """One host call at a time fails as on an old kernel."""
    cases = [(("openat2", errno.ENOSYS), "openat2"), (("clone3", errno.ENOSYS), "clone3"),
             (("close_range", errno.ENOSYS), "close-range"), (("pidfd_getfd", errno.ENOSYS), "pidfd-getfd"),
             (NO_SYNC_WAKE_UP, "sync-wake-up"),
             (("process_vm_readv", errno.EPERM), "process-vm"), (("ptrace", errno.EPERM), "ptrace-sysemu")]
    for rule, name in cases:
        r = box.runsc("doctor", "--format", "json", preexec_fn=deny(rule))
        item = items(json.loads(r.out))[name]
        equal(item["state"], "no", f"{name} where {rule} is denied")
        equal({i["name"] for i in json.loads(r.out)["items"] if i["state"] == "no"}, {name}, "what is absent")


@test
def no_notification(box):
    """Then it is up to ptrace; doctor says so whether or not that works."""
    r = box.runsc("doctor", "--format", "json", preexec_fn=deny(NO_NOTIFICATION))
    report = json.loads(r.out)
    found = platforms(report)
    equal(items(report)["seccomp-notification"]["state"], "no", "seccomp-notification")
    equal(found["notify"]["works"], False, "notify")
    contains(found["notify"]["why"], "seccomp listener", "why")
    equal(report["platform"], "ptrace" if found["ptrace"]["works"] else None, "the platform chosen")
    equal(r.status, 0 if found["ptrace"]["works"] else 1, "status")
    if found["ptrace"]["works"]:
        contains(report["platformWhy"], "notify does not work", "why ptrace")


@test
def neither_notification_nor_ptrace(box):
    report = doctor(box, NO_NOTIFICATION, ("ptrace", errno.EPERM), status=1)
    equal(report["platform"], None, "platform")
    for p in report["platforms"]:
        equal(p["works"], False, p["name"])
    r = box.runsc("doctor", preexec_fn=deny(NO_NOTIFICATION, ("ptrace", errno.EPERM)))
    equal(r.status, 1, "status")
    check(re.fullmatch(r"verdict +no +ready +\S.*", r.out.splitlines()[-1]), f"the verdict: {r.out[-200:]!r}")


@test
def a_platform_that_hangs(box):
    """Nothing is waited for without end on a host whose calls say yes and do nothing."""
    report = doctor(box, ("ptrace", 0))
    equal(platforms(report)["ptrace"]["works"], False, "ptrace works")
    check(platforms(report)["ptrace"]["why"], "no reason why ptrace does not")
    equal(report["platform"], "notify", "the platform")
    report = doctor(box, ("ioctl", 0, "is", NOTIF_RECV), status=1)  # it begins, so it would be chosen
    contains(platforms(report)["notify"]["why"], "the guest hangs", "why notify doesn't")


@test
def a_sandbox_that_cannot_be_made(box):
    """Whatever the reason, it is named: here no detached mounts."""
    report = doctor(box, ("fsopen", errno.ENOSYS), status=1)
    contains(report["readyWhy"], "not implemented", "why not")
    equal(items(report)["mount-api"]["state"], "no", "mount-api")


@test
def state_directory_that_cannot_be_used(box):
    with open(box.path("file"), "w"):
        pass
    report = doctor(box, flags=["--root", box.path("file")], status=1)
    equal(items(report)["state-directory"]["state"], "no", "state-directory")
    contains(report["readyWhy"], "not a directory", "why not")
    check(not os.path.exists(box.path("elsewhere")), "made before")
    doctor(box, flags=["--root", box.path("elsewhere/deeper")])
    check(not os.path.exists(box.path("elsewhere")), "doctor made the state directory")


@test
def platform_that_is_asked_for(box):
    report = doctor(box, flags=["--platform", "notify"])
    equal((report["platform"], report["platformWhy"]), ("notify", "--platform=notify"), "chosen")


@test
def is_quick_and_leaves_nothing(box):
    def world():
        with open("/proc/self/mountinfo") as f:
            mounts = [line for line in f if "cvisor-doctor" in line or box.dir in line]
        groups = [os.path.join(where, d) for where, dirs, _ in os.walk("/sys/fs/cgroup") for d in dirs
                  if d.startswith("cvisor-doctor-")]
        # Another doctor may be at work; it removes its cgroup before it ends.
        left = [g for g in groups if not os.path.exists("/proc/" + g.rsplit("-", 1)[1])]
        return mounts, [g for g in left if os.path.exists(g)]

    before, used = world(), resource.getrusage(resource.RUSAGE_CHILDREN)
    box.ok("doctor", flags=["--debug", "--log", box.path("log")])
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    check(spent < 1, f"{spent} s of CPU time")
    equal(world(), before, "mounts and cgroups")
    equal(box.own_processes(), [], "processes")
    check(not os.path.exists(box.root), "the state directory was made")


@test
def bad_input(box):
    box.refused("doctor", "--format", "xml", message="invalid format: xml")
    r = box.runsc("doctor", "now")
    equal(r.status, 1, "status")
    contains(r.err, "requires exactly 0 argument(s)", "message")
    r = box.runsc("doctor", flags=["--without", "nonsense"])
    equal(r.status, 1, "status")
    box.one_line(r.err, "nonsense")


@test
def features_agree(box):
    for rules, flags in (((), ()), ((), ("--without", "addfd-send,windows")),
                         ((NO_NOTIFICATION, ("ptrace", errno.EPERM)), ())):
        report = json.loads(box.runsc("doctor", "--format", "json", flags=flags,
                                      preexec_fn=deny(*rules) if rules else None).out)
        notes = json.loads(box.ok("features", flags=flags,
                                  preexec_fn=deny(*rules) if rules else None).out)["annotations"]
        equal(notes["io.cvisor.runsc.ready"], json.dumps(report["ready"]), "ready")
        equal(notes["io.cvisor.runsc.platform"], report["platform"] or "", "platform")
        equal(notes["io.cvisor.runsc.platforms"], ",".join(p["name"] for p in report["platforms"] if p["works"]),
              "platforms")
        equal(notes["io.cvisor.runsc.missing"], ",".join(i["name"] for i in report["items"] if i["loss"]), "missing")
