"""The projects that Qanat's own crash test uses, in every state that an update can meet."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from qanat.crash.case import Operation, Scenario
from qanat.crash.slot import copy_project
from qanat.run.quarantine import replay
from qanat.run.results import Selection
from qanat.run.session import Session
from qanat.run.update import update
from qanat.run.upkeep import maintain
from tests.acceptance.conftest import Paths
from tests.crash import changing, keeping, merging

SPEC = """\
name: growing
storage: storage
libraries:
  - glob:
      include: transformations/**
"""

# Only SQL, so that the parsed pipeline is cached between runs; new columns join the tables;
# checkpoints are made after two commits instead of a hundred.
SQL = """\
CREATE OR REFRESH STREAMING TABLE bronze
TBLPROPERTIES ('delta.checkpointInterval' = '2')
AS SELECT * FROM STREAM read_files('in/*.json', format => 'json');

CREATE OR REFRESH STREAMING TABLE silver (
  CONSTRAINT small EXPECT (amount < 100) ON VIOLATION QUARANTINE ROW
) TBLPROPERTIES ('delta.checkpointInterval' = '2')
AS SELECT * FROM STREAM bronze;

CREATE OR REFRESH MATERIALIZED VIEW gold (
  CONSTRAINT several EXPECT (n > 1) ON VIOLATION QUARANTINE ROW
) AS SELECT kind, count(*) AS n{total} FROM silver GROUP BY kind;
"""


class Growing:
    """A project whose files gain a column and whose view gets another definition."""

    def __init__(self, root: Path, table_format: str = "delta") -> None:
        self.root = root
        for folder in ("in", "transformations"):
            (root / folder).mkdir(parents=True)
        self._write("qanat.yml", f"table_format: {table_format}\n{SPEC}")
        self._write("transformations/tables.sql", SQL.format(total=""))

    def add(self, number: int) -> None:
        """Add a file with rows like those of the others."""
        rows = (
            f'{{"id": {number}{n}, "kind": "{"abc"[n % 3]}", "amount": {n * 17}}}\n'
            for n in range(9)
        )
        self._write(f"in/{number}.json", "".join(rows))

    def rows(self, number: int) -> None:
        """Add a file of which some rows cannot be parsed, or computed."""
        amounts = ("5", "about 3", "7", "about 40", "900", "about 600", "x,1")
        rows = "".join(f"{number}{n},a,{a}\n" for n, a in enumerate(amounts))
        self._write(f"in/{number}.csv", f"id,kind,amount\n{rows}")

    def grow(self) -> None:
        """Add a file with a new column, and a column to the view."""
        self._write(
            "in/9.json", '{"id": 90, "kind": "d", "amount": 5, "note": "né", "at": {"x": 1}}\n'
        )
        self._write("transformations/tables.sql", SQL.format(total=", sum(amount) AS total"))

    def widen(self) -> None:
        """Add a file whose values need wider types, in the tables and in a quarantine."""
        self._write(
            "in/8.json",
            '{"id": 80, "kind": "a", "amount": 5.5}\n'
            '{"id": 81, "kind": "b", "amount": 500.25}\n'
            '{"id": 12345678901234567890, "kind": "c", "amount": 1}\n',
        )

    def declare(self, text: str) -> None:
        """Declare other tables."""
        self._write("transformations/tables.sql", text)

    def _write(self, path: str, text: str) -> None:
        (self.root / path).write_text(text, encoding="utf-8")


# Tables that do not read one another, and so are updated in parallel, with a view on each.
PARALLEL = """\
CREATE OR REFRESH STREAMING TABLE part_{n} (
  CONSTRAINT small EXPECT (amount < 100) ON VIOLATION QUARANTINE ROW,
  CONSTRAINT one EXPECT UNIQUE (id) ON VIOLATION DROP ROW
) PARTITIONED BY (kind) AS SELECT * FROM STREAM read_files('in/*.json', format => 'json');

CREATE OR REFRESH MATERIALIZED VIEW sum_{n} (
  CONSTRAINT several EXPECT (n > 1) ON VIOLATION QUARANTINE ROW
) AS SELECT kind, count(*) AS n, sum(amount) AS total FROM part_{n} GROUP BY kind;
"""


# Rows that cannot be parsed, or computed; later the query can, and leaves some of them out.
BROKEN = """\
CREATE OR REFRESH STREAMING TABLE raw
AS SELECT * FROM STREAM read_files('in/*.csv', schema => 'id BIGINT, kind STRING, amount STRING');

CREATE OR REFRESH STREAMING TABLE priced (
  CONSTRAINT small EXPECT (amount < 100) ON VIOLATION QUARANTINE ROW
) AS WITH plain AS (SELECT id, kind, {amount} AS amount FROM STREAM raw{where})
SELECT * FROM plain;

CREATE OR REFRESH MATERIALIZED VIEW prices AS SELECT id, CAST(amount AS INT) AS amount FROM raw;
"""
GOOD = {
    "amount": "CAST(replace(amount, 'about ', '') AS INT)",
    "where": " WHERE amount <> 'about 3'",
}


def scenarios(folder: Path, wanted: Collection[str] = ()) -> list[Scenario]:
    """Make projects below a folder; returns their scenarios.

    Args:
        wanted: names; none means all.
    """
    merges = not wanted or {*wanted} & {*merging.NAMES}
    changes = not wanted or {*wanted} & {*changing.NAMES}
    keeps = not wanted or {*wanted} & {*keeping.NAMES}
    others = not wanted or {*wanted} - {*merging.NAMES, *changing.NAMES, *keeping.NAMES}
    made = _others(folder) if others else []
    made += merging.scenarios(folder, operate) if merges else []
    made += changing.scenarios(folder, operate) if changes else []
    made += keeping.scenarios(folder, operate) if keeps else []
    return [s for s in made if not wanted or s.name in wanted]


def _others(folder: Path) -> list[Scenario]:
    return [
        *_paths(folder),
        *_growing(folder),
        *_parallel(folder),
        *_iceberg(folder),
        *_moved(folder),
        *_broken(folder),
        *_maintained(folder),
    ]


def _paths(folder: Path) -> list[Scenario]:
    first = Paths.make(folder / "first")
    first.first()
    append = Paths(copy_project(first.root, folder / "append"))
    operate(append.root)
    append.second()
    later = Paths(copy_project(append.root, folder / "later"))
    operate(later.root)
    later.declare(165)
    # All in one update: which row of a key comes first, and is kept, is then the same every time.
    whole = Paths.make(folder / "whole")
    whole.first()
    whole.second()
    operate(whole.root)
    return [
        Scenario("first", first.root, Operation.RUN),
        Scenario("append", append.root, Operation.RUN),
        Scenario("replay", later.root, Operation.REPLAY),
        Scenario("refresh", later.root, Operation.REFRESH),
        # The user recovers with other operations than the one that failed. A replay that failed
        # before it chose its rows has moved none, so it is repeated, and then what reads them.
        Scenario(
            "replay-run",
            later.root,
            Operation.REPLAY,
            then=(Operation.RUN, Operation.REPLAY, Operation.RUN),
        ),
        Scenario("run-refresh", append.root, Operation.RUN, then=(Operation.REFRESH,)),
        # What has read the table as a stream, and the sink behind it, start over with it; a plain
        # update goes on with the rest.
        Scenario(
            "refresh-along",
            whole.root,
            Operation.REFRESH,
            then=(Operation.RUN,),
            anew=("bronze",),
        ),
    ]


def _growing(folder: Path) -> list[Scenario]:
    project = Growing(folder / "checkpoint")
    for number in range(1, 3):
        project.add(number)
        operate(project.root)
    project.add(3)
    evolve = copy_project(project.root, folder / "evolve")
    operate(evolve)
    widen = copy_project(evolve, folder / "widen")
    Growing.grow(_at(evolve))
    Growing.widen(_at(widen))
    return [
        Scenario("checkpoint", project.root, Operation.RUN),
        Scenario("evolve", evolve, Operation.RUN),
        Scenario("widen", widen, Operation.RUN),
    ]


def _parallel(folder: Path) -> list[Scenario]:
    project = Growing(folder / "parallel")
    (project.root / "transformations/tables.sql").write_text(
        "\n".join(PARALLEL.format(n=n) for n in range(4)), encoding="utf-8"
    )
    project.add(1)
    operate(project.root)
    project.add(2)
    return [Scenario("parallel", project.root, Operation.RUN, threads=2)]


def _iceberg(folder: Path) -> list[Scenario]:
    """The same with Iceberg tables, whose paths each attempt writes anew in its copy."""
    project = Growing(folder / "iceberg", "iceberg")
    project.add(1)
    fresh = copy_project(project.root, folder / "iceberg-first")
    operate(project.root)
    project.add(2)
    evolve = copy_project(project.root, folder / "iceberg-evolve")
    Growing.grow(_at(evolve))
    return [
        Scenario("iceberg-first", fresh, Operation.RUN),
        Scenario("iceberg", project.root, Operation.RUN),
        Scenario("iceberg-evolve", evolve, Operation.RUN),
        Scenario("iceberg-refresh", project.root, Operation.REFRESH),
    ]


def _moved(folder: Path) -> list[Scenario]:
    """Projects whose author has given a table another name, or has taken one away."""
    found = []
    for table_format in ("delta", "iceberg"):
        project = Growing(folder / f"rename-{table_format}", table_format)
        for number in range(1, 3):
            project.add(number)
            operate(project.root)
        gone = _at(copy_project(project.root, folder / f"drop-{table_format}"))
        project.add(3)
        project.declare(SQL.format(total="").replace("silver", "clean"))
        gone.declare(SQL.partition("CREATE OR REFRESH STREAMING TABLE silver")[0])
        again = (Operation.RENAME, Operation.RUN)
        renamed = Scenario(
            f"{table_format}-rename",
            project.root,
            Operation.RENAME,
            then=again,
            names=("silver", "clean"),
        )
        again = (Operation.DROP, Operation.RUN)
        dropped = Scenario(
            f"{table_format}-drop", gone.root, Operation.DROP, then=again, names=("silver",)
        )
        found += [renamed, dropped]
    return found


def _broken(folder: Path) -> list[Scenario]:
    """A project with rows that wait as `_malformed` and `_failed`."""
    project = Growing(folder / "row-errors")
    project.declare(BROKEN.format(amount="CAST(amount AS INT)", where=""))
    project.rows(1)
    fresh = copy_project(project.root, folder / "row-errors-first")
    operate(project.root)
    project.rows(2)
    later = _at(copy_project(project.root, folder / "row-errors-replay"))
    operate(later.root)
    thrown = copy_project(later.root, folder / "row-errors-discard")
    later.declare(BROKEN.format(**GOOD))
    return [
        Scenario("row-errors-first", fresh, Operation.RUN),
        Scenario("row-errors", project.root, Operation.RUN),
        Scenario("row-errors-replay", later.root, Operation.REPLAY),
        Scenario("row-errors-discard", thrown, Operation.DISCARD, names=("priced",)),
        Scenario(
            "row-errors-run",
            project.root,
            Operation.RUN,
            then=(Operation.RUN, Operation.REPLAY),
        ),
    ]


def _maintained(folder: Path) -> list[Scenario]:
    """Projects with small files, old versions and a long log, of which a stream lags behind."""
    project = Growing(folder / "maintain")
    for number in range(1, 4):
        project.add(number)
        operate(project.root)
    short = _at(copy_project(project.root, folder / "maintain-short"))
    kept = "'delta.checkpointInterval' = '2'"
    none = (
        "'delta.deletedFileRetentionDuration' = '0 days', 'delta.logRetentionDuration' = '0 days'"
    )
    short.declare(SQL.format(total="").replace(kept, f"{kept}, {none}"))
    operate(short.root)
    with Session.open(short.root) as session:
        maintain(session)
    short.add(4)
    operate(short.root)
    behind = _at(copy_project(short.root, folder / "maintain-behind"))
    for number in range(5, 8):
        behind.add(number)
        with Session.open(behind.root) as session:
            update(session, Selection(select=("bronze",), only=True))
    maintained = (Operation.MAINTAIN, Operation.RUN)
    return [
        Scenario("maintain", project.root, Operation.MAINTAIN),
        Scenario("maintain-run", project.root, Operation.MAINTAIN, then=(Operation.RUN,)),
        Scenario("maintain-short", short.root, Operation.MAINTAIN, then=maintained),
        Scenario("maintain-behind", behind.root, Operation.MAINTAIN, then=maintained),
    ]


def _at(root: Path) -> Growing:
    found = Growing.__new__(Growing)
    found.root = root
    return found


def operate(project: Path, operation: Operation = Operation.RUN) -> None:
    """Do an operation in this process; fails if a dataset fails."""
    with Session.open(project) as session:
        if operation is Operation.REPLAY:
            replay(session)
            return
        result = update(session, Selection(full_refresh_all=operation is Operation.REFRESH))
    for failed in result.failed:
        raise AssertionError(f"{failed.dataset}: {failed.error}") from failed.error
