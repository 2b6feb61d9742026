"""A flow that is sent into another table is another flow there: none is lost, none doubled."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest

import qanat
from qanat.errors import QanatError, RereadError
from qanat.ledgers.sql.ledger import SqlLedger
from qanat.model.record import Epoch
from qanat.project import Project

TABLE = """
CREATE STREAMING TABLE {0} (CONSTRAINT r EXPECT (id % 3 <> 0) ON VIOLATION QUARANTINE ROW);
"""
FLOW = """
CREATE FLOW {0} AS INSERT INTO {1} BY NAME
SELECT '{0}' AS via, id FROM STREAM read_files('data/*.csv', schema => 'id BIGINT');
"""
ALWAYS, MOVING = ("a", "b"), ("f", "g")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "qanat.yml").write_text("name: p\n")
    for folder in ("data", "transformations"):
        (tmp_path / folder).mkdir()
    return tmp_path


@dataclass(slots=True)
class Model:
    """What tables should hold: the files that each flow has read into each of them.

    Args:
        targets: of the flows that move.
        read: by flow and table, the files that the table has of the flow.
        declared: the tables.
    """

    root: Path
    targets: dict[str, str] = field(default_factory=lambda: dict.fromkeys(MOVING, "a"))
    read: dict[tuple[str, str], set[int]] = field(default_factory=dict)
    declared: set[str] = field(default_factory=lambda: {*ALWAYS, "c"})
    made: set[str] = field(default_factory=set)
    files: int = 0

    def declare(self) -> None:
        """Write the project: each table has a flow of its own."""
        flows = {**{f"own_{t}": t for t in self.declared}, **self.targets}
        tables = "".join(TABLE.format(t) for t in sorted(self.declared))
        text = tables + "".join(FLOW.format(*flow) for flow in flows.items())
        (self.root / "transformations/t.sql").write_text(text)

    def add(self) -> None:
        """One more file, with one row."""
        (self.root / f"data/{self.files}.csv").write_text(f"id\n{self.files}\n")
        self.files += 1

    def into(self, table: str) -> list[str]:
        """The flows into a table."""
        return [f"own_{table}", *(f for f, t in self.targets.items() if t == table)]

    def asks(self, flow: str, table: str) -> bool:
        """True if others still have what a flow has read, and this table has none of it."""
        others = [t for (f, t), read in self.read.items() if f == flow and t != table and read]
        return not self.read.get((flow, table)) and bool(others)

    def run(self, project: Project, choice: str, table: str) -> set[str]:
        """Run, and do the same with the model; the tables that would read again."""
        told = {"read_again": table, "full_refresh": table} if choice else {}
        update = project.run(**({choice: table} if told else {}))  # type: ignore[arg-type]
        failed = set()
        for name in [table] if choice == "full_refresh" else sorted(self.declared):
            flows = self.into(name)
            if choice == "full_refresh":
                self.forget(name)
            elif (choice, table) != ("read_again", name) and any(
                self.asks(f, name) for f in flows
            ):
                failed.add(name)
                continue
            for flow in flows:
                self.read[flow, name] = set(range(self.files))
            self.made.add(name)
        assert {d.dataset for d in update.failed} == failed
        assert all(isinstance(d.error, RereadError) for d in update.failed)
        return failed

    def forget(self, table: str) -> None:
        """All that a table has."""
        for key in [k for k in self.read if k[1] == table]:
            del self.read[key]

    def check(self, project: Project) -> None:
        """Compare tables and quarantines."""
        for table in self.made & self.declared:
            read = ((f, files) for (f, t), files in self.read.items() if t == table)
            rows = Counter((f, n) for f, files in read for n in files)
            there: Counter[tuple[object, ...]] = Counter()
            for name in (table, f"{table}__quarantine"):
                there.update(project.query(f"SELECT via, id FROM {name}").rows())
            assert there == rows, table


STEPS = ("add", "add", "move", "move", "move", "leave", "come", "refresh")


def change(model: Model, project: Project, random: Random) -> None:
    """Change files, declarations or the generation of a table."""
    match random.choice(STEPS):
        case "add":
            model.add()
        case "move":
            model.targets[random.choice(MOVING)] = random.choice(sorted(model.declared))
        case "leave" if "c" in model.declared and "c" not in model.targets.values():
            model.declared.remove("c")
            model.declare()
            if "c" in model.made and random.random() < 0.5:
                project.drop("c")
                model.made.remove("c")
                model.forget("c")
        case "come":
            model.declared.add("c")
        case "refresh":
            model.declare()
            model.run(project, "full_refresh", random.choice(sorted(model.declared)))


@pytest.mark.parametrize("seed", range(2))
def test_rows_of_flows_that_move(root: Path, seed: int) -> None:
    random, model = Random(seed), Model(root)  # noqa: S311
    model.add()
    model.add()
    model.declare()
    with qanat.open(root) as project:
        for _ in range(12):
            change(model, project, random)
            model.declare()
            for table in sorted(model.run(project, "", "")):
                if random.random() < 0.7:
                    model.run(project, "read_again", table)
            model.check(project)


def test_the_ways_on_that_are_named(root: Path) -> None:
    """From a table that stays, and from one that goes."""
    model = Model(root)
    model.add()
    model.declare()
    with qanat.open(root) as project:
        project.run()
        model.targets["f"] = "b"
        model.declare()
        (failed,) = project.run().failed
        assert isinstance(failed.error, QanatError)
        assert failed.error.message == (
            "b would read data/*.csv from its start (1 file, 5 B), as flow f has read it into a,"
            " which it feeds no more"
        )
        assert failed.error.hint == (
            "if the rows are to be in both: qanat run --read-again b; if not, first:"
            " qanat run --full-refresh a"
        )
        project.run(full_refresh="a")
        assert not project.run().failed
        assert _rows(project, "a", "f") == 0
        assert _rows(project, "b", "f") == 1
        model.targets["g"] = "c"
        model.declare()
        project.run(read_again="c")
        project.run(full_refresh="a")
        model.targets["g"] = "b"
        model.declared.remove("c")
        model.declare()
        (failed,) = project.run().failed
        assert failed.error is not None
        assert "if not, first: qanat drop c" in str(failed.error.hint)


def test_what_comes_after_a_flow_that_has_left(root: Path) -> None:
    """It may read the same as the one that left, and is not that under another name."""
    model = Model(root)
    model.add()
    model.declare()
    (root / "other").mkdir()
    (root / "other/x.csv").write_text("id\n70\n")
    more = FLOW.format("more", "a")
    with qanat.open(root) as project:
        project.run()
        model.targets["f"] = "b"
        model.declare()
        project.run(read_again="b")
        declared = (root / "transformations/t.sql").read_text()
        (root / "transformations/t.sql").write_text(declared + more.replace("data/", "other/"))
        assert not project.run().failed
        (root / "transformations/t.sql").write_text(declared + more.replace("more", "again"))
        (failed,) = project.run().failed
        assert failed.error is not None
        assert "beside what it has read of flow f, which feeds it no more" in failed.error.message
        assert "rename" not in str(failed.error.hint)


VIEW = """
CREATE TEMPORARY VIEW v (CONSTRAINT odd EXPECT (id % 2 = 1) ON VIOLATION QUARANTINE ROW)
AS SELECT id FROM STREAM read_files('data/*.csv', schema => 'id BIGINT');
CREATE STREAMING TABLE a;
CREATE STREAMING TABLE b;
CREATE FLOW f AS INSERT INTO {0} BY NAME SELECT 'f' AS via, id FROM STREAM {1};
CREATE FLOW own_a AS INSERT INTO a BY NAME SELECT 'a' AS via, id
FROM STREAM read_files('data/*.csv', schema => 'id BIGINT');
CREATE FLOW own_b AS INSERT INTO b BY NAME SELECT 'b' AS via, id
FROM STREAM read_files('data/*.csv', schema => 'id BIGINT');
"""
PLAIN = "read_files('data/*.csv', schema => 'id BIGINT')"


def test_rows_in_quarantine_of_a_view_stay_where_a_flow_was(root: Path) -> None:
    """Its epochs are numbered through: what it commits there is never taken for an older one."""

    def declare(target: str, source: str = "v") -> None:
        (root / "transformations/t.sql").write_text(VIEW.format(target, source))

    def held() -> list[object]:
        return [row[0] for row in project.query("SELECT id FROM v__quarantine ORDER BY id").rows()]

    model = Model(root)
    for _ in range(3):
        model.add()
    declare("a")
    with qanat.open(root) as project:
        assert not project.run().failed
        assert held() == [0, 2]
        # Sent elsewhere, it reads all of it again: a flow of its own, with rows of its own.
        declare("b")
        assert [d.dataset for d in project.run().failed] == ["b"]
        assert not project.run(read_again="b").failed
        assert held() == [0, 0, 2, 2]
        model.add()
        model.add()
        assert not project.run().failed
        assert held() == [0, 0, 2, 2, 4]
        # Back again, it goes on where it was; without the view, its rows stay there.
        declare("a")
        assert not project.run().failed
        assert held() == [0, 0, 2, 2, 4, 4]
        assert _rows(project, "a", "f", quarantine=False) == 2
        declare("b", PLAIN)
        model.add()
        assert [d.dataset for d in project.run().failed] == []
        assert held() == [0, 0, 2, 2, 4, 4]
        assert {d.status for d in project.run().datasets} == {"unchanged"}


def test_a_flow_that_crashed_and_was_sent_elsewhere(root: Path) -> None:
    """Its open epoch is one into the table that it fed: settled or given up there."""
    model = Model(root)
    model.add()
    model.declare()
    with qanat.open(root) as project:
        project.run()
        model.add()
        settle = SqlLedger.settle

        def die(ledger: SqlLedger, epoch: Epoch, *others: Any) -> None:
            if epoch.flow == "f":
                raise _Died
            settle(ledger, epoch, *others)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(SqlLedger, "settle", die)
            with pytest.raises(_Died):
                project.run("a")
    model.targets["f"] = "b"
    model.declare()
    with qanat.open(root) as project:
        plan = {d.dataset: str(d.step) for d in project.plan().datasets}
        assert plan["b"] == "fail"
        assert [d.dataset for d in project.run().failed] == ["b"]
        assert not project.run(read_again="b").failed
        for table in ("a", "b"):
            flows = Counter(
                row[0]
                for name in (table, f"{table}__quarantine")
                for row in project.query(f"SELECT via FROM {name}").rows()
            )
            assert set(flows.values()) == {2}, table
        model.targets["f"] = "a"
        model.declare()
        assert not project.run().failed
        assert _rows(project, "a", "f") == 2


def test_a_flow_that_runs_once_runs_elsewhere_when_asked(root: Path) -> None:
    once = (
        "CREATE MATERIALIZED VIEW seeds AS SELECT 'seed' AS via, CAST(77 AS BIGINT) AS id;\n"
        "CREATE FLOW seed AS INSERT INTO ONCE {0} BY NAME SELECT * FROM seeds;\n"
    )

    def declare(target: str) -> None:
        own = (
            f"CREATE STREAMING TABLE {t};\nCREATE FLOW own_{t} AS INSERT INTO {t} BY NAME"
            f" SELECT 'own' AS via, id FROM STREAM {PLAIN};\n"
            for t in ("a", "b")
        )
        (root / "transformations/t.sql").write_text("".join(own) + once.format(target))

    Model(root).add()
    declare("a")
    with qanat.open(root) as project:
        assert not project.run().failed
        declare("b")
        (failed,) = project.run().failed
        assert isinstance(failed.error, RereadError)
        assert "flow seed, which was to run once, has run into a" in failed.error.message
        assert not project.run(read_again="b").failed
        declare("a")
        assert not project.run().failed
        seeded = [_rows(project, t, "seed", quarantine=False) for t in ("a", "b")]
    assert seeded == [1, 1]


def test_a_flow_that_is_sent_to_another_sink(root: Path) -> None:
    text = """
from qanat import pipelines as dp
dp.create_sink("x", "csv", {"path": "x"})
dp.create_sink("y", "csv", {"path": "y"})
@dp.append_flow(target="x")
def own_x():
    return "SELECT * FROM STREAM read_files('data/*.csv') WHERE id < 0"
@dp.append_flow(target="y")
def own_y():
    return "SELECT * FROM STREAM read_files('data/*.csv') WHERE id < 0"
@dp.append_flow(target="TARGET")
def send():
    return "SELECT * FROM STREAM read_files('data/*.csv')"
"""

    def declare(target: str) -> None:
        (root / "transformations/f.py").write_text(text.replace("TARGET", target))

    def sent(sink: str) -> Counter[str]:
        files = (root / sink).glob("*.csv")
        return Counter(line for f in files for line in f.read_text().splitlines()[1:])

    model = Model(root)
    model.add()
    declare("x")
    with qanat.open(root) as project:
        assert not project.run().failed
        declare("y")
        (failed,) = project.run().failed
        assert failed.error is not None
        assert failed.error.hint == "if the rows are to be in both: qanat run --read-again y"
        assert not project.run(read_again="y").failed
        model.add()
        assert not project.run().failed
        assert (sent("x"), sent("y")) == (Counter("0"), Counter("01"))
        declare("x")
        assert not project.run().failed
        assert {d.status for d in project.run().datasets} == {"unchanged"}
    assert (sent("x"), sent("y")) == (Counter("01"), Counter("01"))


class _Died(BaseException):
    pass


def _rows(project: Project, table: str, flow: str, quarantine: bool = True) -> int:
    """The rows of a flow in a table, and in its quarantine."""
    names = (table, f"{table}__quarantine") if quarantine else (table,)
    return sum(
        len(project.query(f"SELECT 1 FROM {name} WHERE via = '{flow}'").rows()) for name in names
    )
