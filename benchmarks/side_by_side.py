"""The flights demo side by side with dbt, SQLMesh, dlt and a plain DuckDB script.

    python benchmarks/side_by_side.py                      all, medians of 5
    python benchmarks/side_by_side.py --repeats 3 Qanat dbt
    python benchmarks/side_by_side.py --write              … and write README_TABLE.md anew

The projects are those of `peers/`; each tool has an environment of its own in the cache, made
once from PyPI. The tools take turns, so that a busy moment of the machine hits all alike. Ends
with an error if the gold tables of two tools differ.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from figure import keep
from flights import PHASES, TOOLS, Tool, compare, prepare
from measure import Cost, median
from place import CORES, scratch

TABLE = Path(__file__).with_name("README_TABLE.md")
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
                for phase in PHASES:
                    cost = tool.run(project, phase, data)
                    if repeat >= 0:
                        taken[tool.name][phase].append(cost)
                    else:
                        answers[phase][tool.name] = tool.answers(project)
                print(f"{repeat + 1}/{repeats} {tool.name}", file=sys.stderr, flush=True)
            if repeat < 0:
                for phase in PHASES:
                    compare(phase, answers[phase])
    return {name: {p: median(c) for p, c in phases.items()} for name, phases in taken.items()}


def table(tools: Sequence[Tool], costs: Costs) -> str:
    """The costs as a Markdown table."""
    rows = [
        ["wall s / CPU s / MB", *(f"{t.name} {t.version()}" for t in tools)],
        ["---"] * (len(tools) + 1),
    ]
    for phase in PHASES:
        found = [costs[t.name][phase] for t in tools]
        rows.append([phase, *(f"{c.wall:.2f} / {c.cpu:.2f} / {c.peak / 1e6:.0f}" for c in found)])
    sizes = [tool.size() for tool in tools]
    rows.append(["lines / files", *(f"{lines} / {files}" for lines, files in sizes)])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def main() -> int:
    """Measure the named tools, or all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="tool", help=", ".join(t.name for t in TOOLS))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--write", action="store_true", help=f"write {TABLE.name} anew")
    asked = parser.parse_args()
    tools = [t for t in TOOLS if not asked.names or t.name in asked.names]
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
        machine = f"{CORES} cores, Python {platform.python_version()}, {platform.system()}"
        TABLE.write_text(f"{text}\n<!-- {machine} -->\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
