"""`qanat --help` and `import qanat`, against a Python that does nothing."""

from __future__ import annotations

import sys
from pathlib import Path

from figure import Against, Figure
from measure import baseline, medians, spend
from place import PYTHON, QANAT

HERE = Path(__file__).parent


def measure() -> list[Figure]:
    """Wall time, process start to exit, median of 21."""
    bare, helped, imported = medians(
        21,
        baseline(lambda _: spend([sys.executable, "-c", "pass"], HERE)),
        lambda _: spend([*QANAT, "--help"], HERE),
        lambda _: spend([PYTHON, "-c", "import qanat"], HERE),
    )
    name = "python -c pass"
    return [
        Figure(
            "startup: qanat --help", helped.wall, name, bare.wall, "s", Against.DIFFERENCE, 0.15
        ),
        Figure(
            "startup: import qanat", imported.wall, name, bare.wall, "s", Against.DIFFERENCE, 0.3
        ),
    ]
