# SPDX-License-Identifier: Apache-2.0
"""Rewritten call sites: switched off, on, and to and fro under load (tests/compat/callsites.c is the load)."""
import json
import os
import shutil
import time

from harness import Skip, check, equal, test

CALLSITES = os.path.join(os.environ.get("O", "out/release"), "tests/compat/callsites")
ANONTEXT = os.path.join(os.environ.get("O", "out/release"), "tests/compat/anontext")
ANON_THREADS = "threads_while_text_is_written threads_while_text_is_replaced threads_while_text_is_read forks"
# A file whose text many processes read is not patched any more, so the first list has no checksums.
TESTS = "clobbered flag_and_jump"
THREADS = "registers branch_into_the_middle threads_while_text_changes"
# How many times text is to be exchanged under running threads: REWRITES=1000000 takes minutes.
REWRITES = int(os.environ.get("REWRITES", 2000))


def counters(box):
    return json.loads(box.ok("debug", "--stats", "--format=json", box.id).out)["counters"]


def start_load(box, tests, also=None, also_tests=""):
    """Runs tests of callsites, and of another program, again and again."""
    shutil.copy(CALLSITES, os.path.join(box.rootfs, "callsites"))
    loads = f"/callsites {tests} || exit 1"
    if also:
        shutil.copy(also, os.path.join(box.rootfs, "also"))
        loads += f"; /also {also_tests} || exit 1"
    box.script(f"trap stop=1 TERM; while [ -z $stop ]; do {loads}; done; echo done")
    box.write()
    with open(box.path("output"), "wb") as out:
        p = box.start_process(box.command("run", "--bundle", box.bundle, box.id), stdout=out)
    wait_for_output(box, p)
    return p


def wait_for_output(box, p):
    end = time.monotonic() + 30
    while not os.path.getsize(box.path("output")):
        check(time.monotonic() < end and p.poll() is None, "the load starts")
        time.sleep(0.02)


def end_load(box, p, seconds=120):
    box.ok("kill", box.id, "TERM")
    status = p.wait(seconds)
    with open(box.path("output")) as f:
        lines = f.read().splitlines()
    check(status == 0 and lines[-1] == "done", f"status {status}, output {lines[-3:]}")
    equal([line for line in lines if not line.startswith("pass") and line not in ("up", "done")], [], "failures")


def wait_for(box, p, condition, what, seconds=60):
    end = time.monotonic() + seconds
    while not condition(counters(box)):
        check(p.poll() is None, f"ended while waiting: {what}")
        check(time.monotonic() < end, f"not in {seconds} seconds: {what}")
        time.sleep(0.1)


def can_patch(box):
    """Whether this host and these flags let text be patched at all."""
    return box.runsc("debug", "--patch=on", box.id).status == 0


@test
def patching_is_switched_under_load(box):
    p = start_load(box, TESTS)
    if not can_patch(box):
        end_load(box, p)
        raise Skip("nothing can be patched")
    wait_for(box, p, lambda c: c["patch_maps"] + c["patch_exchanges"] > 0, "patched text")
    for _ in range(3):
        box.ok("debug", "--patch=off", box.id)
        before = counters(box)
        wait_for(box, p, lambda c: c["calls"] > before["calls"] + 2000, "calls")
        off = counters(box)
        wait_for(box, p, lambda c: c["calls"] > off["calls"] + 2000, "calls")
        equal(counters(box)["patch_maps"], off["patch_maps"], "mappings patched while it is off")
        equal(counters(box)["patch_exchanges"], off["patch_exchanges"], "texts patched while it is off")
        box.ok("debug", "--patch=on", box.id)
        wait_for(box, p, lambda c: c["patch_maps"] > off["patch_maps"], "patched text")
    end_load(box, p)


@test
def text_is_exchanged_under_running_threads(box):
    p = start_load(box, THREADS, ANONTEXT, ANON_THREADS)
    if not can_patch(box):
        end_load(box, p)
        raise Skip("nothing can be patched")
    box.ok("debug", "--patch=churn", box.id)
    wait_for(box, p, lambda c: c["patch_exchanges"] + c["patch_reverts"] >= REWRITES,
             f"{REWRITES} exchanges", 60 + REWRITES / 1000)
    wait_for(box, p, lambda c: c["patch_redirects"] > 0, "a thread that is sent on")
    box.ok("debug", "--patch=on", box.id)
    end_load(box, p)


@test
def one_process_is_switched_under_load(box):
    """What a debugger will do: the original text at once, and for as long as it wants. The load is one process."""
    box.script("trap stop=1 TERM; echo up; while [ -z $stop ]; do kill -0 $$; done; echo done")
    box.write()
    with open(box.path("output"), "wb") as out:
        p = box.start_process(box.command("run", "--bundle", box.bundle, box.id), stdout=out)
    wait_for_output(box, p)
    if not can_patch(box):
        end_load(box, p)
        raise Skip("nothing can be patched")
    for _ in range(5):
        before = counters(box)["fast_calls"]
        wait_for(box, p, lambda c: c["fast_calls"] > before + 500, "calls from patched text")
        reverts = counters(box)["patch_reverts"]
        box.ok("debug", "--patch=off", "--pid=1", box.id)
        wait_for(box, p, lambda c: c["patch_reverts"] > reverts, "original text")
        off = counters(box)
        wait_for(box, p, lambda c: c["calls"] > off["calls"] + 2000, "calls")
        equal(counters(box)["fast_calls"], off["fast_calls"], "calls from patched text while it is off")
        box.ok("debug", "--patch=on", "--pid=1", box.id)
    box.refused("debug", "--patch=churn", "--pid=1", box.id, message="Invalid argument")
    box.refused("debug", "--patch=off", "--pid=4000000", box.id, message="No such process")
    box.refused("debug", "--patch=off", "--pid=x", box.id, message="invalid pid: x")
    end_load(box, p)


@test
def processes_with_threads_are_switched(box):
    p = start_load(box, THREADS, ANONTEXT, ANON_THREADS)
    if not can_patch(box):
        end_load(box, p)
        raise Skip("nothing can be patched")
    before = counters(box)
    for i in range(40):
        pids = [int(pid) for pid in json.loads(box.ok("ps", "--format=json", box.id).out)]
        pid = pids[i % len(pids)]
        box.runsc("debug", "--patch=off", f"--pid={pid}", box.id)  # it may be gone
        box.runsc("debug", "--patch=on", f"--pid={pid}", box.id)
    check(counters(box)["patch_reverts"] > before["patch_reverts"], "original text")
    end_load(box, p)


@test
def modes_are_checked(box):
    box.refused("debug", "--patch=maybe", box.id, message="invalid mode of patching")
    box.refused("debug", "--patch=off", box.id, message="does not exist")
