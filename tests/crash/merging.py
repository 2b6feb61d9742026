"""A project whose tables are kept by changes, in every state that an update can meet.

What its tables have to hold says the model of `tests/changes`, of the same events and epochs.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

from qanat.crash.case import Operation, Scenario
from qanat.crash.slot import copy_project
from qanat.run.results import Selection
from qanat.run.session import Session
from qanat.run.update import update
from qanat.run.upkeep import maintain
from tests.changes.model import Case, Event, Row, draw_events, rows_after

EPOCHS = 6
SEED = 3387
"""It draws six keys, and a late emptying of the table before the last epochs and in them."""
NAMES = (
    *("merge-first", "merge", "merge-refresh", "merge-forgets", "merge-maintain", "merge-run"),
    "merge-behind",
)
"""The scenarios."""
COLUMNS = ("id", "site", "seq", "lsn", "op", "a", "b")

SPEC = """\
name: merging
storage: {storage}
threads: 1
libraries:
  - glob:
      include: transformations/**
"""

# Rows wait by a rule and for want of a key; files are small, so that maintenance finds some.
SQL = """\
CREATE OR REFRESH STREAMING TABLE changes
AS SELECT * FROM STREAM read_files('in/*.json', schema => 'id BIGINT, site STRING, seq BIGINT,
  lsn BIGINT, op STRING, a BIGINT, b STRING');

CREATE OR REFRESH STREAMING TABLE now (
  CONSTRAINT small EXPECT (coalesce(a, 0) < 100) ON VIOLATION QUARANTINE ROW
) CLUSTER BY (id, site) TBLPROPERTIES ({properties})
FLOW AUTO CDC FROM STREAM changes
KEYS (id, site)
APPLY AS DELETE WHEN op = 'D'
APPLY AS TRUNCATE WHEN op = 'T'
SEQUENCE BY (seq, lsn)
COLUMNS * EXCEPT (op, seq, lsn);

CREATE OR REFRESH STREAMING TABLE versions PARTITIONED BY (site) TBLPROPERTIES ({properties})
FLOW AUTO CDC FROM (SELECT * FROM STREAM changes WHERE op <> 'T' AND coalesce(a, 0) < 100)
KEYS (id, site)
APPLY AS DELETE WHEN op = 'D'
SEQUENCE BY (seq, lsn)
COLUMNS * EXCEPT (op, seq, lsn)
STORED AS SCD TYPE 2;

CREATE OR REFRESH MATERIALIZED VIEW counted
AS SELECT site, count(*) AS n, sum(a) AS total FROM versions GROUP BY site;
"""
TOLD = """
CREATE OR REFRESH STREAMING TABLE told TBLPROPERTIES ({properties})
AS SELECT * EXCLUDE (_commit_version, _commit_timestamp) FROM STREAM table_changes('now');
"""
PYTHON = """\
from qanat import pipelines as dp

dp.create_sink("sent", "csv", {"path": "out/sent"})


@dp.append_flow(target="sent")
def sending():
    return (
        "SELECT * EXCLUDE (_commit_version, _commit_timestamp)"
        " FROM STREAM table_changes('versions')"
    )
"""
OFTEN = "'delta.checkpointInterval' = '2'"
AT_ONCE = (
    "'delta.deletedFileRetentionDuration' = '0 days', 'delta.logRetentionDuration' = '0 days'"
)
FORGETS = "'pipelines.cdc.tombstoneGCThresholdInSeconds' = '0'"
"""Events are forgotten at once that rows do not tell: then late ones may not come."""


def drawn(two: bool) -> Case:
    """The history of one of the tables: deletions, emptyings of `now`, late events."""
    chance = random.Random(SEED)  # noqa: S311
    events = draw_events(chance, truncates=True, least=60, most=60)
    epochs: list[list[Event]] = [[] for _ in range(EPOCHS)]
    for number, event in enumerate(events):
        late = chance.random() < 0.3
        epochs[chance.randrange(EPOCHS) if late else number * EPOCHS // len(events)].append(event)
    for epoch in epochs:
        chance.shuffle(epoch)
    shown = [tuple(e for e in epoch if not (two and e.op == "T")) for epoch in epochs]
    return Case(SEED, (), None, two, False, tuple(shown))


def content(number: int) -> str:
    """A file with the events of an epoch, and a row that breaks a rule."""
    rows = [e.row for e in drawn(two=False).epochs[number - 1]]
    rows.append((1, "a", 1_000, number, "U", 100 + number, None))
    return "".join(f"{json.dumps(dict(zip(COLUMNS, row, strict=True)))}\n" for row in rows)


def wanted(two: bool, epochs: int) -> list[Row]:
    """The rows of `versions` (`two`) or `now` after so many epochs, as the model has them."""
    return rows_after(drawn(two), epochs)


class Merging:
    """The project on disk, and what its author does to it.

    Args:
        write: writes a file of the project, by its path.
        readers: whether anything reads what changes. How often a table was refreshed, which is not
            the same after every crash, is a part of that.
    """

    def __init__(
        self,
        write: Callable[[str, str], None],
        storage: str = "storage",
        readers: bool = True,
    ) -> None:
        self._write, self._readers = write, readers
        write("qanat.yml", SPEC.format(storage=storage))
        if readers:
            write("transformations/flows.py", PYTHON)
        self.declare()

    def declare(self, *properties: str) -> None:
        """Declare the tables with these properties."""
        text = ", ".join((OFTEN, *properties))
        sql = SQL + TOLD if self._readers else SQL
        self._write("transformations/tables.sql", sql.format(properties=text))

    def add(self, number: int) -> None:
        """Write the file of an epoch, from 1."""
        self._write(f"in/{number}.json", content(number))


def scenarios(folder: Path, operate: Callable[[Path], None]) -> Iterator[Scenario]:
    """Make the projects below a folder; gives their scenarios.

    Args:
        operate: runs an update.
    """
    root = folder / "merge"
    project = _at(root)
    project.add(1)
    yield Scenario("merge-first", copy_project(root, folder / "merge-first"), Operation.RUN)
    operate(root)
    for number in range(2, EPOCHS):
        project.add(number)
        if number < EPOCHS - 1:
            operate(root)
    # Two epochs of files in one, so that much changes.
    yield Scenario("merge", copy_project(root, folder / "merge-next"), Operation.RUN)
    anew = _at(folder / "merge-refresh", readers=False)
    for number in range(1, EPOCHS):
        anew.add(number)
    operate(folder / "merge-refresh")
    yield Scenario("merge-refresh", folder / "merge-refresh", Operation.REFRESH)
    project.declare(FORGETS)
    forgetful = copy_project(root, folder / "merge-forgets")
    yield Scenario("merge-forgets", forgetful, Operation.RUN)
    project.declare(AT_ONCE)
    operate(root)
    again = (Operation.MAINTAIN, Operation.RUN)
    short = copy_project(root, folder / "merge-maintain")
    yield Scenario("merge-maintain", short, Operation.MAINTAIN, then=again)
    with Session.open(root) as session:
        maintain(session)
    project.add(EPOCHS)
    yield Scenario("merge-run", copy_project(root, folder / "merge-run"), Operation.RUN)
    # Readers of changes lag behind: nothing goes away that they have still to read.
    with Session.open(root) as session:
        update(session, Selection(select=("changes", "now", "versions"), only=True))
    yield Scenario("merge-behind", root, Operation.MAINTAIN, then=again)


def _at(root: Path, readers: bool = True) -> Merging:
    for name in ("in", "transformations"):
        (root / name).mkdir(parents=True)
    return Merging(lambda path, text: _written(root / path, text), readers=readers)


def _written(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
