# SPDX-License-Identifier: Apache-2.0
"""The micro rows on the ptrace platform, beside notify, and the loop below which a call can't cost there (sysemu.c)."""
import contextlib
import json
import os
import statistics
import subprocess

from jobs import Job, Runtime, rows_of

HERE = os.path.dirname(os.path.realpath(__file__))
LOOP, CALL, BESIDE = "bare PTRACE_SYSEMU loop", "getppid", "getppid beside the loop"
BUDGET = 1.3


def runtime(cvisor, root):
    flags = [f for f in cvisor.command[1:-2] if not f.startswith("--platform")]
    return Runtime("ptrace", [cvisor.command[0], *flags, "--platform=ptrace", "--root", root + "/ptrace"])


@contextlib.contextmanager
def one_cpu():
    """Where tracer and tracee run decides more than what they do: 4 us on one CPU, 6 to 13 on two."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def only(micro, row, root):
    """The job of the micro rows, with this row alone."""
    with open(os.path.join(micro.bundle, "config.json")) as f:
        config = json.load(f)
    config["process"]["args"] = ["/micro", row]
    bundle = os.path.join(root, "bundle-only")
    os.makedirs(bundle)
    with open(os.path.join(bundle, "config.json"), "w") as f:
        json.dump(config, f)
    return Job(row, bundle)


def measure(cvisor, micro, root, rounds, ms, progress):
    """{row: median of its nanoseconds}; the loop's and that of the call beside it on one CPU, in turn."""
    loop, samples = os.path.join(root, "sysemu"), {}
    subprocess.run(["gcc", "-O2", "-o", loop, os.path.join(HERE, "sysemu.c")], check=True)
    traced, call = runtime(cvisor, root), only(micro, CALL, root)
    for n in range(rounds):
        progress(f"round {n + 1}: ptrace")
        with one_cpu():
            bare = subprocess.run([loop], env=dict(os.environ, BENCH_MS=str(ms)), check=True, capture_output=True,
                                  text=True)
            beside = call.run(traced)
        for rows in (rows_of(bare.stdout).items(), [(BESIDE, ns) for _, ns in beside], micro.run(traced)):
            for row, ns in rows:
                samples.setdefault(row, []).append(ns)
    return {row: statistics.median(v) for row, v in samples.items()}


def lines(result, time_text):
    medians = result.get("ptrace")
    if not medians:
        return
    yield ""
    yield f"{'on ptrace':30s}{'notify':>11s}{'ptrace':>11s}   to native"
    for row in result["rows"]:
        if row["name"] in medians:
            ns = medians[row["name"]]
            yield (f"{row['name']:30s}{time_text(row['by']['cvisor']['median']):>11s}{time_text(ns):>11s}"
                   f"  {ns / row['by']['native']['median']:9.2f}")
    if BESIDE in medians:
        ratio = medians[BESIDE] / medians[LOOP]
        yield (f"{LOOP}, on one CPU: {time_text(medians[LOOP])}; {CALL} on ptrace is {ratio:.2f} x that "
               f"(budget {BUDGET}: {'holds' if ratio <= BUDGET else 'MISSED'})")
