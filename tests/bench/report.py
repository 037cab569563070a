# SPDX-License-Identifier: Apache-2.0
"""What was measured, as figures (JSON), text, a chart (SVG) and the tables of docs/performance.md."""
import math
import os
import platform
import re
import statistics
import sys
from xml.sax.saxutils import escape

import ptrace

NATIVE = "native"


def figures(runtimes, samples, idles):
    """samples: {row: {runtime: [ns]}}. The result is what --json writes and everything else reads."""
    rows = []
    for name, by in samples.items():
        medians = {r: statistics.median(v) for r, v in by.items()}
        rows.append({
            "name": name,
            "by": {r: {"median": medians[r], "min": min(v), "max": max(v), "count": len(v)} for r, v in by.items()},
            "ratio": {r: medians[r] / medians[NATIVE] for r in runtimes if r != NATIVE},
        })
    return {
        "machine": {"cpus": os.cpu_count(), "kernel": platform.release(), "cpu": cpu_model()},
        "runtimes": runtimes, "rows": rows, "idle": idles,
    }


def cpu_model():
    with open("/proc/cpuinfo") as f:
        return next((line.split(":")[1].strip() for line in f if line.startswith("model name")), "?")


def judge(result, budgets):
    """Marks which budgets of cvisor hold."""
    for row in result["rows"]:
        budget = budgets["ratio"].get(row["name"])
        if budget is not None:
            row["budget"] = budget
            row["holds"] = row["ratio"]["cvisor"] <= budget
    for idle in result["idle"].values():
        idle["memory_holds"] = idle["pss_kib"] <= budgets["idle"]["pss_kib"]
        allowed = budgets["idle"]["wakeups_per_minute"] * idle["seconds"] / 60
        idle["wakeups_hold"] = idle["wakeups"] <= allowed
    result["idle_budget"] = budgets["idle"]


def time_text(ns):
    for unit, size in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if ns >= size:
            return f"{ns / size:.3g} {unit}" if ns / size < 1000 else f"{ns / size:.0f} {unit}"
    return f"{ns:.0f} ns"


def budget_text(row):
    if "budget" not in row:
        return ""
    return f"{row['budget']:g} {'holds' if row['holds'] else 'MISSED'}"


def idle_lines(result):
    for name, idle in result["idle"].items():
        limit = result["idle_budget"]
        yield (f"{name}, idle: {idle['pss_kib']} KiB PSS in sentry, gofer and stubs (budget {limit['pss_kib']}: "
               f"{'holds' if idle['memory_holds'] else 'MISSED'}), {idle['wakeups']} context switches in "
               f"{idle['seconds']} s (budget {limit['wakeups_per_minute']}: "
               f"{'holds' if idle['wakeups_hold'] else 'MISSED'})")


def stolen_line(result):
    """How much of the CPUs' time the hypervisor gave to others: an outlier may be no more than that."""
    parts = result.get("stolen")
    if not parts:
        return "CPU time stolen by the hypervisor: not recorded"
    what, worst = max(parts, key=lambda part: part[1])
    return (f"CPU time stolen by the hypervisor: median {statistics.median(p[1] for p in parts):.1%}, "
            f"worst {worst:.1%} ({what})")


def text(result):
    runtimes = result["runtimes"]
    lines = [f"{'row':30s}" + "".join(f"{r:>11s}{'min..max':>21s}" for r in runtimes) + "   ratio  budget"]
    for row in result["rows"]:
        line = f"{row['name']:30s}"
        for r in runtimes:
            v = row["by"][r]
            line += f"{time_text(v['median']):>11s}{time_text(v['min']) + '..' + time_text(v['max']):>21s}"
        ratios = "  ".join(f"{row['ratio'][r]:6.2f}" for r in runtimes if r != NATIVE)
        lines.append(f"{line}  {ratios}  {budget_text(row)}".rstrip())
    lines += idle_lines(result)
    lines += ptrace.lines(result, time_text)
    lines.append(stolen_line(result))
    judged = [row["holds"] for row in result["rows"] if "budget" in row]
    lines.append(f"budgets: {sum(judged)} of {len(judged)} rows hold")
    return "\n".join(lines)


# ---- the chart ----

STYLE = """
text { font: 12px system-ui, sans-serif; fill: #24292f }
.head { font-weight: 600; font-size: 14px }
.small { font-size: 11px; fill: #57606a }
.grid { stroke: #d0d7de } .one { stroke: #24292f }
.fast { fill: #1a7f5a } .slow { fill: #c4632b } .other { fill: #8c959f }
.budget { stroke: #6639ba; stroke-width: 2 }
@media (prefers-color-scheme: dark) {
	text { fill: #e6edf3 } .small { fill: #9198a1 }
	.grid { stroke: #3d444d } .one { stroke: #e6edf3 }
	.fast { fill: #3fb68b } .slow { fill: #e2894f } .other { fill: #6e7681 }
	.budget { stroke: #b58cff }
}
"""
LEFT, WIDTH, TOP, BAR, RIGHT = 200, 480, 64, 12, 120


class Scale:
    """Ratios on a logarithmic axis."""

    def __init__(self, ratios):
        self.low = min(0.25, *ratios)
        self.high = max(4.0, *ratios)

    def x(self, ratio):
        part = math.log(ratio / self.low) / math.log(self.high / self.low)
        return LEFT + WIDTH * min(max(part, 0.0), 1.0)

    def marks(self):
        power = 2.0 ** math.ceil(math.log2(self.low))
        while power <= self.high:
            yield power
            power *= 2


def bar(scale, ratio, y, css):
    a, b = sorted((scale.x(1), scale.x(ratio)))
    return f'<rect x="{a:.1f}" y="{y}" width="{max(b - a, 1):.1f}" height="{BAR}" class="{css}"/>'


def chart_row(row, others, scale, y):
    ratio = row["ratio"]["cvisor"]
    parts = [f'<text x="{LEFT - 8}" y="{y + 10}" text-anchor="end">{escape(row["name"])}</text>',
             bar(scale, ratio, y, "fast" if ratio <= 1 else "slow")]
    for n, other in enumerate(others):
        parts.append(bar(scale, row["ratio"][other], y + BAR * (n + 1), "other"))
    if "budget" in row:
        x = scale.x(row["budget"])
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y - 2}" y2="{y + BAR + 2}" class="budget"/>')
    parts.append(f'<text x="{LEFT + WIDTH + 8}" y="{y + 10}" class="small">{ratio:.2f} '
                 f'({time_text(row["by"]["cvisor"]["median"])})</text>')
    return parts


def chart(result):
    others = [r for r in result["runtimes"] if r not in (NATIVE, "cvisor")]
    scale = Scale([v for row in result["rows"] for v in row["ratio"].values()])
    step = BAR * (1 + len(others)) + 6
    bottom = TOP + step * len(result["rows"])
    size = f'width="{LEFT + WIDTH + RIGHT}" height="{bottom + 16}"'
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {LEFT + WIDTH + RIGHT} {bottom + 16}">',
             "<!-- SPDX-License-Identifier: Apache-2.0; made by tests/bench/run --chart -->",
             f"<style>{STYLE}</style>",
             '<text x="8" y="18" class="head">Time in cvisor, native = 1</text>',
             '<text x="8" y="36" class="small">logarithmic; left of 1 is faster than native; '
             "the upright mark is the row's budget"
             + "".join(f"; grey: {escape(o)}" for o in others) + "</text>"]
    for mark in scale.marks():
        x = scale.x(mark)
        css = "one" if mark == 1 else "grid"
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{bottom}" class="{css}"/>')
        parts.append(f'<text x="{x:.1f}" y="{TOP - 10}" text-anchor="middle" class="small">{mark:g}</text>')
    for n, row in enumerate(result["rows"]):
        parts += chart_row(row, others, scale, TOP + n * step)
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


# ---- the document ----

def table(result):
    runtimes = result["runtimes"]
    lines = ["| row | " + " | ".join(runtimes) + " | " +
             " | ".join(f"{r}/native" for r in runtimes if r != NATIVE) + " | budget |",
             "|---|" + "---:|" * (2 * len(runtimes) - 1) + "---|"]
    for row in result["rows"]:
        cells = [time_text(row["by"][r]["median"]) for r in runtimes]
        cells += [f"{row['ratio'][r]:.2f}" for r in runtimes if r != NATIVE]
        lines.append(f"| {row['name']} | " + " | ".join(cells) + f" | {budget_text(row)} |")
    return "\n".join(lines)


def machine(result):
    m = result["machine"]
    return f"{m['cpus']} CPUs ({m['cpu']}), Linux {m['kernel']}. {stolen_line(result)}."


def update_document(path, result):
    """Replaces what is between <!-- bench: NAME --> and <!-- end of bench: NAME -->."""
    parts = {"table": table(result), "machine": machine(result),
             "idle": "\n".join(f"- {line}" for line in idle_lines(result))}
    with open(path) as f:
        document = f.read()
    for name, content in parts.items():
        pattern = re.compile(rf"(<!-- bench: {name} -->\n).*?(<!-- end of bench: {name} -->)", re.S)
        if not pattern.search(document):
            sys.exit(f"{path}: no place for the {name}")
        document = pattern.sub(lambda m, text=content: m.group(1) + text + "\n" + m.group(2), document)
    with open(path, "w") as f:
        f.write(document)
