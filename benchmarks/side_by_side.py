"""The flights demo side by side with dbt, SQLMesh, dlt and a plain DuckDB script.

    python benchmarks/side_by_side.py                      all, medians of 5
    python benchmarks/side_by_side.py --repeats 3 Qanat dbt
    python benchmarks/side_by_side.py --write              … and put the table into the README

The projects are those of `peers/`; each tool has an environment of its own in the cache, made
once from PyPI. The tools take turns, so that a busy moment of the machine hits all alike. Ends
with an error if the gold tables of two tools differ.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import textwrap
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from figure import keep
from flights import PHASES, TOOLS, Tool, compare, prepare
from measure import Cost, median
from place import CORES, ROOT, scratch

README = ROOT / "README.md"
Costs = Mapping[str, Mapping[str, Cost]]
"""Of each tool and phase."""


def measure(tools: Sequence[Tool], repeats: int) -> Costs:
    """The median costs of every tool and phase.

    Raises:
        DifferentGoldError: the tools do not answer alike.
    """
    taken: dict[str, dict[str, list[Cost]]] = {t.name: {p: [] for p in PHASES} for t in tools}
    with scratch("side-by-side") as folder:
        data = prepare(folder / "prepared")
        for repeat in range(-1, repeats):  # the first one warms up, and checks
            answers: dict[str, dict[str, dict[str, object]]] = {phase: {} for phase in PHASES}
            for tool in tools:
                project = folder / tool.source.name
                told = f"{repeat + 1}/{repeats} {tool.name}:"
                for phase in PHASES:
                    cost = tool.run(project, phase, data)
                    told += f"  {phase} {shown(cost)}"
                    if repeat >= 0:
                        taken[tool.name][phase].append(cost)
                    else:
                        answers[phase][tool.name] = tool.answers(project)
                print(told, file=sys.stderr, flush=True)
            if repeat < 0:
                for phase in PHASES:
                    compare(phase, answers[phase])
    return {name: {p: median(c) for p, c in phases.items()} for name, phases in taken.items()}


def shown(cost: Cost) -> str:
    """Wall seconds, CPU seconds, MB."""
    return f"{cost.wall:.2f} / {cost.cpu:.2f} / {cost.peak / 1e6:.0f}"


def table(tools: Sequence[Tool], costs: Costs) -> str:
    """The costs as a Markdown table, a tool a row."""
    rows = [["wall s / CPU s / peak MB", *PHASES, "lines / files"], ["---"] * (len(PHASES) + 2)]
    for tool in tools:
        found = [costs[tool.name][phase] for phase in PHASES]
        cells = [shown(cost) for cost in found]
        lines, files = tool.size()
        rows.append([f"{tool.name} {tool.version()}", *cells, f"{lines} / {files}"])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def caption(repeats: int, load: float) -> str:
    """How and where the table was measured."""
    system = f"{platform.system()} on {platform.machine()}, {CORES} cores"
    text = (
        f"Measured by `make bench-peers` on {datetime.now(UTC).date()}: medians of {repeats} runs "
        f"in turns, {system}, Python {platform.python_version()}, load average {load:.1f} at the "
        "start. CPU seconds are the safer figures: other work on a machine stretches wall time "
        "most. All five gave the same answers, checked by hash; what each does is told in "
        "[benchmarks](benchmarks/README.md)."
    )
    return textwrap.fill(text, 99, break_long_words=False, break_on_hyphens=False) + "\n"


def write(text: str) -> None:
    """Put the table into the README, between its marks."""
    page = README.read_text(encoding="utf-8")
    before, start, rest = page.partition("<!-- side by side -->\n")
    _, end, after = rest.partition("<!-- /side by side -->")
    README.write_text(f"{before}{start}\n{text}\n{end}{after}", encoding="utf-8")


def main() -> int:
    """Measure the named tools, or all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="tool", help=", ".join(t.name for t in TOOLS))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="write the table into the README")
    asked = parser.parse_intermixed_args()
    if asked.write and asked.names:
        parser.error("--write takes a table of all tools")
    tools = [t for t in TOOLS if not asked.names or t.name in asked.names]
    load = os.getloadavg()[0]
    costs = measure(tools, asked.repeats)
    text = table(tools, costs)
    print(text, end="")
    measured = [(tool, phase) for tool in tools for phase in PHASES]
    measured = [(tool, phase) for tool in tools for phase in PHASES]
    keep(
        "side_by_side",
        [{"tool": t.name, "phase": p, **costs[t.name][p].document()} for t, p in measured],
    )
    if asked.write:
        write(f"{text}\n{caption(asked.repeats, load)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
