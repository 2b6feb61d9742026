"""Projects whose tables change by corrected files, keys, MERGE INTO and snapshots."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from qanat.crash.case import Operation, Scenario
from qanat.crash.slot import copy_project

NAMES = ("correct", "correct-widen", "keyed-first", "keyed", "keyed-widen", "keyed-replay")
"""The scenarios."""

SPEC = "name: changing\nstorage: storage\nthreads: 1\n"
OFTEN = "'delta.checkpointInterval' = '2'"

# Rows of a file lie in two tables and in their quarantines, and somebody reads the changes.
CORRECTED = f"""\
CREATE OR REFRESH STREAMING TABLE bronze (
  CONSTRAINT named EXPECT (kind <> 'z') ON VIOLATION QUARANTINE ROW
) TBLPROPERTIES ({OFTEN})
AS SELECT * FROM STREAM read_files('in/*.csv', on_overwrite => 'replace');

CREATE OR REFRESH STREAMING TABLE silver (
  CONSTRAINT small EXPECT (amount < 100) ON VIOLATION QUARANTINE ROW
) PARTITIONED BY (kind) TBLPROPERTIES ({OFTEN}) AS SELECT * FROM STREAM bronze;

CREATE OR REFRESH STREAMING TABLE told TBLPROPERTIES ({OFTEN})
AS SELECT * EXCLUDE (_commit_version, _commit_timestamp) FROM STREAM table_changes('silver');

CREATE OR REFRESH MATERIALIZED VIEW sums
AS SELECT kind, sum(amount) AS n FROM silver GROUP BY kind;
"""

KEYED = f"""\
CREATE OR REFRESH STREAMING TABLE latest (
  CONSTRAINT small EXPECT (amount < {{limit}}) ON VIOLATION QUARANTINE ROW
) KEYS (id) TBLPROPERTIES ({OFTEN}) AS SELECT * FROM STREAM read_files('in/*.csv');

CREATE OR REFRESH STREAMING TABLE groups KEYS (kind)
TBLPROPERTIES ({OFTEN}, 'qanat.incremental_strategy' = 'delete+insert')
AS SELECT * FROM STREAM read_files('in/*.csv');

CREATE OR REFRESH STREAMING TABLE parts PARTITIONED BY (kind)
TBLPROPERTIES ({OFTEN}, 'qanat.incremental_strategy' = 'insert_overwrite')
AS SELECT * FROM STREAM read_files('in/*.csv');

CREATE OR REFRESH STREAMING TABLE totals TBLPROPERTIES ({OFTEN});
CREATE FLOW adding AS MERGE INTO totals AS t
USING STREAM read_files('in/*.csv') AS s ON t.id = s.id
WHEN MATCHED AND s.amount = 0 THEN DELETE
WHEN MATCHED THEN UPDATE SET amount = t.amount + s.amount
WHEN NOT MATCHED THEN INSERT (id, amount) VALUES (s.id, s.amount);

CREATE OR REFRESH STREAMING TABLE mirror TBLPROPERTIES ({OFTEN});
CREATE FLOW mirroring AS AUTO CDC INTO mirror
FROM SNAPSHOT (SELECT id, max(amount) AS amount FROM read_files('in/*.csv') GROUP BY id) KEYS (id);

CREATE OR REFRESH STREAMING TABLE told TBLPROPERTIES ({OFTEN})
AS SELECT * EXCLUDE (_commit_version, _commit_timestamp) FROM STREAM table_changes('latest');
"""

HEAD = "id,kind,amount\n"
FIRST = f"{HEAD}1,a,10\n2,b,20\n3,c,300\n4,z,40\n5,a,50\n"
SECOND = f"{HEAD}6,b,60\n7,c,700\n8,z,80\n2,b,0\n5,a,55\n"
CORRECT = f"{HEAD}1,a,11\n2,b,200\n3,c,30\n5,a,50\n9,z,90\n"
WIDER = f"{HEAD}1,a,1.5\n2,b,250.5\n3,d,3\n10,z,1\n"


def scenarios(folder: Path, operate: Callable[[Path], None]) -> Iterator[Scenario]:
    """Make the projects below a folder; gives their scenarios.

    Args:
        operate: runs an update.
    """
    root = _made(folder / "correct", CORRECTED)
    for number, text in enumerate((FIRST, SECOND), 1):
        _write(root, f"in/{number}.csv", text)
        operate(root)
    wider = copy_project(root, folder / "correct-widen")
    _write(root, "in/1.csv", CORRECT)
    yield Scenario("correct", root, Operation.RUN)
    _write(wider, "in/1.csv", WIDER)
    yield Scenario("correct-widen", wider, Operation.RUN)
    root = _made(folder / "keyed", KEYED.format(limit=100))
    _write(root, "in/1.csv", FIRST)
    yield Scenario("keyed-first", copy_project(root, folder / "keyed-first"), Operation.RUN)
    operate(root)
    wider = copy_project(root, folder / "keyed-widen")
    _write(root, "in/2.csv", SECOND)
    yield Scenario("keyed", copy_project(root, folder / "keyed-next"), Operation.RUN)
    _write(wider, "in/2.csv", WIDER)
    yield Scenario("keyed-widen", wider, Operation.RUN)
    operate(root)
    _write(root, "transformations/tables.sql", KEYED.format(limit=500))
    again = (Operation.RUN, Operation.REPLAY, Operation.RUN)
    yield Scenario("keyed-replay", root, Operation.REPLAY, then=again)


def _made(root: Path, sql: str) -> Path:
    for name in ("in", "transformations"):
        (root / name).mkdir(parents=True)
    _write(root, "qanat.yml", SPEC)
    _write(root, "transformations/tables.sql", sql)
    return root


def _write(root: Path, path: str, text: str) -> None:
    (root / path).write_text(text, encoding="utf-8")
