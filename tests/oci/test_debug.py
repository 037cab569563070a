# SPDX-License-Identifier: Apache-2.0
"""runsc debug: looking into a sandbox that runs."""
import json
import os
import time

from harness import check, contains, equal, test


def started(box, script):
    """A container that has run the script and then waits for its standard input to end."""
    box.script(script + "\necho ready\ncat >/dev/null")
    box.write()
    p = box.start_process(box.command("run", "--bundle", box.bundle, box.id),
                          stdin=-1, stdout=-1)
    equal(p.stdout.readline(), b"ready\n", "the script's end")
    return p


def stats(box, *words):
    return json.loads(box.ok("debug", "--stats", "--format=json", *words, box.id).out)


@test
def counters_say_what_happened(box):
    p = started(box, "i=0; while [ $i -lt 20 ]; do /bin/true; i=$((i+1)); done; cat /etc/passwd /absent >/dev/null 2>&1")
    s = stats(box)
    counters, gauges = s["counters"], s["gauges"]
    check(counters["calls"] > 100, f"calls: {counters['calls']}")
    check(counters["call.execve"] >= 20, f"call.execve: {counters['call.execve']}")
    check(counters["dcache_hits"] > 0 and counters["dcache_misses"] > 0, "names looked up")
    check(any(name.startswith("gofer.") for name in counters), "requests to the gofer")
    deadline = time.monotonic() + 10  # a task is there until the host has told of its end
    while gauges["objects_task"] != 1 and time.monotonic() < deadline:
        gauges = stats(box)["gauges"]
    equal(gauges["objects_task"], 1, "tasks")
    check("rates" not in s and "seconds" not in s, "rates without an interval")
    text = box.ok("debug", "--stats", box.id).out
    lines = {line.split()[0]: line.split() for line in text.splitlines()}
    check(int(lines["calls"][1]) >= counters["calls"], "text: calls")
    check(all(len(line) == 2 for line in lines.values() if not line[0].startswith("unsupported")),
          "two columns")
    p.stdin.close()
    equal(p.wait(20), 0, "status")


@test
def rates_over_an_interval(box):
    p = started(box, "cd /; while kill -0 $$; do :; done &")  # cat may still start
    s = stats(box, "--interval=0.5")
    check(0.45 < s["seconds"] < 10, f"seconds: {s['seconds']}")
    check(s["rates"]["call.kill"] > 100, f"calls of kill a second: {s['rates']['call.kill']}")
    equal(s["rates"]["call.chdir"], 0, "calls of chdir a second")
    check(set(s["rates"]) == set(s["counters"]), "a rate for each counter")
    contains(box.ok("debug", "--stats", "-i", "0.1", box.id).out, "/s", "text")
    box.ok("kill", box.id, "KILL")
    p.wait(20)


@test
def refusals(box):
    box.refused("debug", box.id, message="nothing to do")
    box.refused("debug", "--stats", box.id, message="does not exist")
    for interval in ("0", "-1", "x", "1x", "nan", "1e9"):
        box.refused("debug", "--stats", "--interval", interval, box.id, message="invalid interval")
    box.refused("debug", "--stats", "--format=xml", box.id, message="invalid format")
    box.args("true")
    box.create()
    check(stats(box)["counters"]["calls"] >= 0, "a created container")
    box.ok("start", box.id)
    while box.status() != "stopped":
        os.sched_yield()
    box.refused("debug", "--stats", box.id, message="not running")
    box.ok("delete", box.id)
