"""What a task costs under each orchestrator, and what our operator adds to an Airflow task.

The orchestrators are real ones, each with its servers, as `make orchestrator-test` starts them.
`QANAT_BENCH_TASKS` says how many empty datasets are chained (200).
"""

from __future__ import annotations

import json
import os
import sys

from figure import Against, Figure
from measure import spend
from place import ROOT

TASKS = os.environ.get("QANAT_BENCH_TASKS", "200")


def measure() -> list[Figure]:
    """Seconds a task beside the same processes in a loop; the share beside a BashOperator."""
    module = (sys.executable, "-m", "tests.orchestrate.overhead", "--tasks", TASKS)
    found = json.loads(spend(module, ROOT).output)
    tasks = [
        Figure(
            f"orchestrators: a task under {name}",
            found[name],
            "the same processes in a loop",
            found["processes"],
            "s",
            Against.VALUE,
            60.0,
        )
        for name in ("luigi", "prefect", "dagster", "airflow")
    ]
    share = Figure(
        "orchestrators: our share of an Airflow task",
        found["share"],
        "BashOperator",
        0.0,
        "s",
        Against.DIFFERENCE,
        0.5,
    )
    return [*tasks, share]
