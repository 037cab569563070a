# SPDX-License-Identifier: Apache-2.0
"""The micro rows on the ptrace platform, beside notify, and the loop below which a call can't cost there (sysemu.c)."""
import os
import statistics
import subprocess

from jobs import Runtime, rows_of

HERE = os.path.dirname(os.path.realpath(__file__))
LOOP, CALL = "bare PTRACE_SYSEMU loop", "getppid"
BUDGET = 1.3


def runtime(cvisor, root):
    flags = [f for f in cvisor.command[1:-2] if not f.startswith("--platform")]
    return Runtime("ptrace", [cvisor.command[0], *flags, "--platform=ptrace", "--root", root + "/ptrace"])


def measure(cvisor, micro, root, rounds, ms, progress):
    """{row: median of its nanoseconds}, with the loop's, in turn with the sandbox."""
    loop, samples = os.path.join(root, "sysemu"), {}
    subprocess.run(["gcc", "-O2", "-o", loop, os.path.join(HERE, "sysemu.c")], check=True)
    traced = runtime(cvisor, root)
    for n in range(rounds):
        progress(f"round {n + 1}: ptrace")
        bare = subprocess.run([loop], env=dict(os.environ, BENCH_MS=str(ms)), check=True, capture_output=True, text=True)
        for rows in (rows_of(bare.stdout).items(), micro.run(traced)):
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
    if CALL in medians:
        ratio = medians[CALL] / medians[LOOP]
        yield (f"{LOOP}: {time_text(medians[LOOP])}; {CALL} on ptrace is {ratio:.2f} x that "
               f"(budget {BUDGET}: {'holds' if ratio <= BUDGET else 'MISSED'})")
