"""What orchestrators cost: seconds for each task of a chain of empty datasets.

    python -m tests.orchestrate.overhead [--tasks 200] [luigi prefect dagster airflow share]

Prints one JSON object. `processes` is the chain by a loop that starts the same processes, `alone`
by one `qanat run`; `share` is an Airflow task against a BashOperator with the same command.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from shlex import join

from tests.orchestrate.airflow import AirflowRuns, airflow
from tests.orchestrate.dagster import DagsterRuns, dagster
from tests.orchestrate.luigi import LuigiRuns, luigi
from tests.orchestrate.prefect import PrefectRuns, prefect
from tests.orchestrate.project import QANAT, Parity

PAIRS = 10
PAIRED = """
from datetime import datetime

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, chain

from qanat.orchestrate.airflow import QanatOperator

with DAG("share", schedule=None, start_date=datetime(2026, 1, 1)):
    made = []
    for n in range({pairs}):
        made.append(BashOperator(task_id=f"bash_{{n}}", bash_command={command!r}))
        made.append(
            QanatOperator(
                task_id=f"ours_{{n}}",
                project={folder!r},
                project_name="chain",
                select=["v0"],
                qanat={qanat!r},
            )
        )
    chain(*made)
"""


class Chain(Parity):
    """So many datasets without rows, each of which reads the one before."""

    def __init__(self, folder: Path, tasks: int) -> None:
        super().__init__(folder)
        (folder / "views.py").unlink()
        (folder / "qanat.yml").write_text("name: parity\nlibraries: ['*.sql']\n")
        views = ["CREATE MATERIALIZED VIEW v0 AS SELECT 1 AS n WHERE false;"]
        views += [
            f"CREATE MATERIALIZED VIEW v{n} AS SELECT * FROM v{n - 1};" for n in range(1, tasks)
        ]
        (folder / "tables.sql").write_text("\n".join(views))


def _seconds(work: Callable[[], object], tasks: int) -> float:
    began = time.monotonic()
    work()
    return (time.monotonic() - began) / tasks


def measured(what: str, folder: Path, tasks: int) -> float:
    """Seconds for each task."""
    project = Chain(folder / "chain", tasks)
    match what:
        case "alone":
            return _seconds(lambda: project.run(), tasks)
        case "processes":
            names = [f"v{n}" for n in range(tasks)]
            return _seconds(lambda: [project.run("--select", n) for n in names], tasks)
        case "luigi":
            with luigi(folder) as site:
                return _seconds(lambda: LuigiRuns(site).run(project), tasks)
        case "prefect":
            with prefect(folder, project) as site:
                return _seconds(lambda: PrefectRuns(site).run(project), tasks)
        case "dagster":
            with dagster(folder, project) as site:
                return _seconds(lambda: DagsterRuns(site).run(project), tasks)
        case "airflow":
            with airflow(folder) as site:
                runs = AirflowRuns(site)
                runs.add(project)
                return _seconds(lambda: runs.run(project), tasks)
    return _share(folder, project)


def _share(folder: Path, project: Chain) -> float:
    """Seconds that our operator takes more than a BashOperator with the same command."""
    project.run()
    logs = ("--wait", "--log-format", "json", "--output", "json")
    command = [*QANAT, "run", "-C", str(project.folder), "--select", "v0", *logs]
    text = PAIRED.format(
        pairs=PAIRS, command=join(command), folder=str(project.folder), qanat=QANAT
    )
    with airflow(folder) as site:
        site.add("share", text)
        site.unpause("share")
        found = site.ended("share", site.trigger("share"), 3600)
    took = {
        kind: [task["duration"] for name, task in found.items() if name.startswith(kind)]
        for kind in ("bash", "ours")
    }
    return statistics.median(took["ours"]) - statistics.median(took["bash"])


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=200)
    every = ["alone", "processes", "luigi", "prefect", "dagster", "airflow", "share"]
    parser.add_argument("what", nargs="*", default=every)
    asked = parser.parse_args()
    found = {}
    for what in asked.what:
        with tempfile.TemporaryDirectory(prefix="qanat-overhead-") as folder:
            found[what] = round(measured(what, Path(folder), asked.tasks), 4)
        sys.stderr.write(f"{what}: {found[what]} s\n")
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
