"""A worker of the crash test whose project sends to a table in PostgreSQL.

`python -m tests.crash.postgres_sink SLOT`: as `qanat.crash.worker`, but the sink is a table of a
database of the slot's own, made anew for each attempt, and after each recovery it is compared
with what it was sent from.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
from deltalake import DeltaTable

from qanat.connectors.postgres import bookkeeping
from qanat.crash.case import Operation, Scenario
from qanat.crash.disk_model import Disk
from qanat.crash.reference import Reference
from qanat.crash.slot import Slot, copy_project
from qanat.crash.worker import serve
from qanat.run.session import Session
from tests.acceptance.conftest import Paths
from tests.crash.postgresql import copy_database, database
from tests.crash.projects import operate

SINK = "QANAT_TEST_SINK"
"""The variable that has the URL of the database that is sent to."""
_WORK = "work"

PYTHON = f"""\
import os

from qanat import pipelines as dp

dp.create_sink("export", "postgres", {{"url": os.environ["{SINK}"], "table": "export"}})


@dp.append_flow(target="export")
def exported():
    return "SELECT * FROM STREAM silver"
"""


class SinkSlot(Slot):
    """A slot with a database that it sends to."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._database = folder.name.replace("-", "_")
        os.environ[SINK] = database(self._database)

    def restore(self, scenario: Scenario, keep_trace: bool = False) -> None:
        """Make project and database as they are in a scenario's images."""
        super().restore(scenario, keep_trace)
        copy_database(scenario.name, self._database)

    def _recover(
        self,
        scenario: Scenario,
        reference: Reference,
        found: Any,
        disk: Disk | None = None,
        acknowledged: Sequence[str] = (),
    ) -> None:
        super()._recover(scenario, reference, found, disk, acknowledged)
        # In a process of its own: deltalake, once used, does not survive a fork.
        seen = self._outcome(_look, self.project, self._report)
        if seen is None:
            found.complaints.append(f"the sink cannot be looked at: {self._said()}")
            return
        found.lost += seen["lost"]
        found.doubled += seen["doubled"]
        found.complaints += seen["complaints"]


def _look(project: Path, report: Path) -> None:
    """Compare what was sent with what there was to send."""
    wanted, there = _silver(project), _exported()
    lost, doubled = (wanted - there).total(), (there - wanted).total()
    complaints = _misbooked(project)
    if lost or doubled:
        complaints.append(f"the sink has lost {lost} rows and has {doubled} too many")
    seen = {"lost": lost, "doubled": doubled, "complaints": complaints}
    report.write_text(json.dumps(seen), encoding="utf-8")


def _silver(project: Path) -> Counter[Any]:
    """What there was to send: all rows of the table that the sink's flow reads."""
    rows = DeltaTable(project / "storage/tables/silver").to_pyarrow_table().to_pylist()
    return Counter((r["id"], r["kind"], r["amount"]) for r in rows)


def _exported() -> Counter[Any]:
    with closing(psycopg.connect(os.environ[SINK])) as session:
        return Counter(session.execute("SELECT id, kind, amount FROM export").fetchall())


def _misbooked(project: Path) -> list[str]:
    """Where the ledger and the table's own books differ."""
    with Session.open(project) as opened:
        known = opened.ledger.last_epoch("exported", "export")
    with closing(psycopg.connect(os.environ[SINK])) as session:
        rows = session.execute(
            f"SELECT epoch, attempt FROM {bookkeeping.TABLE} WHERE flow = 'exported'".encode()
        ).fetchall()
    wanted = [] if known is None else [(known.number, None)]
    return [] if rows == wanted else [f"booked are {rows}, and should be {wanted}"]


def scenarios(folder: Path) -> list[Scenario]:
    """The paths of the write path, into the database in this process's `QANAT_TEST_SINK`."""
    copy_database("template1", _WORK)
    os.environ[SINK] = database(_WORK)
    first = Paths.make(folder / "first")
    first.write("transformations/flows.py", PYTHON)
    first.first()
    copy_database(_WORK, "first")
    append = Paths(copy_project(first.root, folder / "append"))
    operate(append.root)
    append.second()
    copy_database(_WORK, "append")
    later = Paths(copy_project(append.root, folder / "later"))
    operate(later.root)
    later.declare(165)
    operate(later.root, Operation.REPLAY)
    copy_database(_WORK, "moved")
    return [
        Scenario("first", first.root, Operation.RUN, sockets=True),
        Scenario("append", append.root, Operation.RUN, sockets=True),
        # Rows that a replay has moved out of quarantine, on their way into the sink.
        Scenario("moved", later.root, Operation.RUN, sockets=True),
    ]


if __name__ == "__main__":
    serve(SinkSlot(Path(sys.argv[1])))
