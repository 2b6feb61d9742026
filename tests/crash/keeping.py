"""Projects whose flows keep a state: a running aggregate, and windows that close."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from qanat.crash.case import Operation, Scenario
from qanat.crash.slot import copy_project

NAMES = ("keep-first", "keep", "keep-refresh", "keep-maintain")
"""The scenarios."""

SPEC = "name: keeping\nstorage: storage\nthreads: 1\n"
OFTEN = "'delta.checkpointInterval' = '2'"
AT_ONCE = (
    "'delta.deletedFileRetentionDuration' = '0 days', 'delta.logRetentionDuration' = '0 days'"
)

# The streams bring each file in an epoch of its own; in the last ones some rows are late, a result
# breaks a rule, and a row cannot be computed.
SQL = """\
CREATE OR REFRESH STREAMING TABLE totals (
  CONSTRAINT small EXPECT (total < 1000) ON VIOLATION QUARANTINE ROW
) TBLPROPERTIES ({properties})
AS SELECT k, sum(CAST(x AS INTEGER)) AS total, count(*) AS n, max(ts) AS newest
FROM STREAM read_files('in/*.json', maxFilesPerTrigger => 1,
  schema => 'k STRING, x STRING, ts TIMESTAMP') GROUP BY k;

CREATE OR REFRESH STREAMING TABLE hours
TBLPROPERTIES ({properties}, 'qanat.late_rows' = 'quarantine')
AS SELECT window.start AS start, k, count(*) AS n
FROM STREAM read_files('in/*.json', maxFilesPerTrigger => 1,
  schema => 'k STRING, x STRING, ts TIMESTAMP') WATERMARK ts DELAY OF INTERVAL 10 MINUTES
GROUP BY window(ts, '1 hour'), k;
"""
TOLD = """
CREATE OR REFRESH STREAMING TABLE told TBLPROPERTIES ({properties})
AS SELECT * EXCLUDE (_commit_version, _commit_timestamp) FROM STREAM table_changes('totals');
"""

FILES: tuple[tuple[tuple[str, str, str], ...], ...] = (
    (("a", "1", "00:10"), ("b", "2", "00:20"), ("c", "3", "00:50")),
    (("a", "4", "00:55"), ("b", "5", "01:05"), ("a", "6", "01:15")),
    (("c", "7", "00:30"), ("b", "8", "01:50"), ("d", "9", "02:20")),
    (("c", "1000", "02:40"), ("a", "1", "01:30"), ("a", "many", "02:50")),
    (("c", "-500", "03:20"), ("b", "1", "03:30"), ("a", "2", "02:20")),
)
"""By epoch its rows: key, value, and when it happened."""


class Keeping:
    """The project on disk, and what its author does to it.

    Args:
        readers: whether anything reads what changes. How often a table was refreshed, which is not
            the same after every crash, is a part of that.
    """

    def __init__(self, root: Path, readers: bool = True) -> None:
        self._root, self._readers = root, readers
        for folder in ("in", "transformations"):
            (root / folder).mkdir(parents=True)
        self._write("qanat.yml", SPEC)
        self.declare()

    def declare(self, *properties: str) -> None:
        """Declare the tables with these properties."""
        text = ", ".join((OFTEN, *properties))
        sql = SQL + TOLD if self._readers else SQL
        self._write("transformations/tables.sql", sql.format(properties=text))

    def add(self, number: int) -> None:
        """Write the file of an epoch, from 1."""
        rows = ({"k": k, "x": x, "ts": f"2026-01-01 {at}:00"} for k, x, at in FILES[number - 1])
        self._write(f"in/{number}.json", "".join(f"{json.dumps(row)}\n" for row in rows))

    def _write(self, path: str, text: str) -> None:
        (self._root / path).write_text(text, encoding="utf-8")


def scenarios(folder: Path, operate: Callable[[Path], None]) -> Iterator[Scenario]:
    """Make the projects below a folder; gives their scenarios.

    Args:
        operate: runs an update.
    """
    root = folder / "keep"
    project = Keeping(root)
    project.add(1)
    # What a wrong state would do shows in the epochs after it.
    project.add(2)
    yield Scenario("keep-first", copy_project(root, folder / "keep-first"), Operation.RUN)
    operate(root)
    for number in (3, 4, 5):
        project.add(number)
    yield Scenario("keep", copy_project(root, folder / "keep-next"), Operation.RUN)
    anew = Keeping(folder / "keep-refresh", readers=False)
    for number in range(1, 5):
        anew.add(number)
    operate(folder / "keep-refresh")
    yield Scenario("keep-refresh", folder / "keep-refresh", Operation.REFRESH)
    project.declare(AT_ONCE)
    operate(root)
    again = (Operation.MAINTAIN, Operation.RUN)
    yield Scenario("keep-maintain", root, Operation.MAINTAIN, then=again)
