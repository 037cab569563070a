# SPDX-License-Identifier: Apache-2.0
"""What an idle sandbox costs the host: sentry, gofer and stub processes, as docs/performance.md says."""
import os
import sys
import time

from harness import Skip, check, descendants_of, test, wait_dead

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
from hostproc import pss_kib  # noqa: E402

BUDGET_KIB = 4096
PATIENCE = 10
# The figures are those of a release build: checks and sanitizers take memory of their own.
RELEASE = os.path.basename(os.path.normpath(os.environ.get("O", "out/release"))) == "release"


def within_budget(box, seconds_created):
    if not RELEASE or any(flag.startswith("--force") for flag in box.flags):
        raise Skip("the figure is that of a release build as it comes")
    box.script("echo ready; exec sleep 1000")
    out = box.create_piped()
    time.sleep(seconds_created)
    box.ok("start", box.id)
    out.readline()
    sentry, gofer = box.state()["pid"], box.gofer_pid()
    deadline = time.monotonic() + PATIENCE
    while True:
        used = pss_kib([sentry, gofer] + descendants_of(sentry))
        if used <= BUDGET_KIB or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    check(used <= BUDGET_KIB, f"{used} KiB, want {BUDGET_KIB} at most")
    out.close()
    box.ok("kill", box.id, "KILL")
    wait_dead(sentry)
    box.ok("delete", box.id)


@test
def idle(box):
    within_budget(box, 0)


@test
def idle_after_a_late_start(box):
    """An engine takes its time between create and start."""
    within_budget(box, 1)
