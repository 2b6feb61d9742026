"""A project in which everything happens that an orchestrator must cope with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import qanat
from qanat.errors import TableNotFoundError

QANAT = [sys.executable, "-m", "qanat"]
NAME = "parity"
SPEC = """
name: parity
storage: storage
libraries: ['*.sql', '*.py']
configuration: {REGION: '${REGION}'}
"""
SQL = """
CREATE STREAMING TABLE bronze AS SELECT * FROM STREAM
  read_files('data/*.csv', schema => 'id BIGINT, amount BIGINT, city VARCHAR');

CREATE STREAMING TABLE silver (
  CONSTRAINT has_city EXPECT (city IS NOT NULL) ON VIOLATION DROP ROW,
  CONSTRAINT positive EXPECT (amount > 0) ON VIOLATION QUARANTINE ROW,
  CONSTRAINT small EXPECT (amount < 100)
) AS SELECT * FROM STREAM bronze;

CREATE TEMPORARY VIEW large AS SELECT * FROM silver WHERE amount >= 10;

CREATE MATERIALIZED VIEW gold AS SELECT city, sum(amount) AS amount FROM large GROUP BY city;

CREATE MATERIALIZED VIEW regional AS SELECT * FROM silver WHERE city = '${REGION}';

CREATE MATERIALIZED VIEW strict (
  CONSTRAINT no_paris EXPECT (city <> 'Paris') ON VIOLATION FAIL UPDATE
) AS SELECT * FROM silver;

CREATE MATERIALIZED VIEW after_strict AS SELECT count(*) AS n FROM strict;

CREATE MATERIALIZED VIEW killed AS SELECT deadly(amount) AS amount FROM silver;

CREATE MATERIALIZED VIEW unsteady AS SELECT flaky(amount) AS amount FROM killed;

CREATE FLOW copy AS INSERT INTO copies BY NAME SELECT * FROM STREAM silver;
"""
# The process of the update dies in the middle of an epoch, once; the source fails, once.
PYTHON = """
import os, pathlib, signal
import qanat as dp

here = pathlib.Path(__file__).parent

def once(name):
    try:
        (here / name).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True

@dp.udf
def deadly(amount: int) -> int:
    if once("killed"):
        os.kill(os.getpid(), signal.SIGKILL)
    return amount

@dp.udf
def flaky(amount: int) -> int:
    if once("failed"):
        raise ConnectionError("the line is down")
    return amount

dp.create_sink("copies", "csv", {"path": "copies"})
"""
ROWS = {
    "1": "id,amount,city\n1,5,Oslo\n2,50,Bergen\n3,-1,Oslo\n4,20,\n5,200,Paris\n",
    "2": "id,amount,city\n6,30,Oslo\n7,-5,Bergen\n",
    "3": "id,amount,city\n8,40,Bergen\n",
}
STRICT = "city <> 'Paris'"


class Parity:
    """The project in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "data").mkdir(parents=True)
        (folder / "qanat.yml").write_text(SPEC, encoding="utf-8")
        (folder / "tables.sql").write_text(SQL, encoding="utf-8")
        (folder / "views.py").write_text(PYTHON, encoding="utf-8")

    def arrives(self, name: str) -> None:
        """A file with rows appears."""
        (self.folder / "data" / f"{name}.csv").write_text(ROWS[name], encoding="utf-8")

    def mend(self) -> None:
        """The expectation that fails lets pass what is there."""
        file = self.folder / "tables.sql"
        file.write_text(SQL.replace(STRICT, "amount <> 1"), encoding="utf-8")

    def run(self, *options: str, region: str = "Oslo") -> tuple[int, dict[str, Any]]:
        """One plain `qanat run`: its exit code and document (empty if it was killed)."""
        command = [*QANAT, "run", "-C", self.folder, "--output", "json", *options]
        done = subprocess.run(
            command, env={**os.environ, "REGION": region}, capture_output=True, text=True
        )
        return done.returncode, json.loads(done.stdout or "{}")


@dataclass(frozen=True)
class State:
    """What all ways to run a project must leave alike."""

    tables: Mapping[str, Sequence[str]]
    epochs: Mapping[tuple[str, int], tuple[int, ...]]
    sent: Sequence[str]


COUNTS = ("out", "written", "dropped", "quarantined", "inserted", "updated", "deleted", "late")


def state_of(folder: Path, region: str = "Oslo") -> State:
    """What a project has stored, and what its ledger tells of it."""
    os.environ["REGION"] = region
    with qanat.open(folder) as project:
        tables = {}
        for each in project.overview():
            for name in (each.dataset, f"{each.dataset}__quarantine"):
                try:
                    frame = project.table(name).arrow()
                except TableNotFoundError:
                    continue
                # When and by which update a row went to quarantine differs from run to run.
                told = [c for c in frame.column_names if c[0] != "_" or c == "_quarantine_rules"]
                rows = [tuple(row.items()) for row in frame.select(told).to_pylist()]
                tables[name] = sorted(map(repr, rows))
        epochs = {}
        for entry in project.history(limit=1000):
            for epoch in entry.epochs:
                if epoch.status == "committed":
                    counts = tuple(getattr(epoch.counts, name) for name in COUNTS)
                    epochs[epoch.flow, epoch.number] = counts
    sent = sorted(
        line
        for file in (folder / "copies").rglob("*.csv")
        for line in file.read_text(encoding="utf-8").splitlines()[1:]
    )
    return State(tables, epochs, sent)


def origins_of(folder: Path, region: str = "Oslo") -> set[str]:
    """What has started the updates of a project, as its history tells."""
    os.environ["REGION"] = region
    with qanat.open(folder) as project:
        return {str(entry.update.origin) for entry in project.history(limit=1000)}


SUCCEEDED, FAILED, SKIPPED, LEFT_OUT = "succeeded", "failed", "skipped", "left out"
"""What became of a dataset: it is up to date; it failed; what it reads failed; not asked for."""
PLAIN = {"updated": SUCCEEDED, "unchanged": SUCCEEDED, "failed": FAILED, "skipped": SKIPPED}
DATASETS = (
    *("bronze", "silver", "gold", "regional", "strict", "after_strict"),
    *("killed", "unsteady", "copies"),
)


class Runs(Protocol):
    """A way to run the project."""

    def run(self, parity: Parity, select: Sequence[str] = ()) -> Mapping[str, str]:
        """One run: what became of each dataset.

        Args:
            select: names of datasets; none: all.
        """


class PlainRuns:
    """By `qanat run`; started again if it is killed."""

    def run(self, parity: Parity, select: Sequence[str] = ()) -> Mapping[str, str]:
        """One run, and another one if that died."""
        options = [part for name in select for part in ("--select", name)]
        code, document = parity.run(*options)
        if code < 0:
            code, document = parity.run(*options)
        found = {d["dataset"]: PLAIN[d["status"]] for d in document["datasets"]}
        return {name: found.get(name, LEFT_OUT) for name in DATASETS}


def play(parity: Parity, runs: Runs) -> list[Mapping[str, str]]:
    """Three runs: with failures and a kill, over a part, and after all is mended."""
    parity.arrives("1")
    told = [runs.run(parity)]
    parity.arrives("2")
    told.append(runs.run(parity, ["bronze", "silver", "gold"]))
    parity.arrives("3")
    parity.mend()
    told.append(runs.run(parity))
    return told
