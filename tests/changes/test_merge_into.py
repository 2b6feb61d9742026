"""Random MERGE INTO statements: the table holds what DuckDB's own MERGE makes of the same rows."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from qanat.engines.duckdb.engine import DuckDBEngine
from qanat.errors import AmbiguousMergeError
from qanat.model.changes import Expression
from qanat.model.merge_into import Clause, Does, MergeInto
from qanat.model.schema import Field, Primitive, Schema
from tests.changes.files import HERE, Files
from tests.changes.model import Row

SEED = int(os.environ.get("QANAT_SEED") or random.SystemRandom().randrange(1_000_000))
COLUMNS = pa.schema([("id", pa.int64()), ("site", pa.string()), ("v", pa.int64())])
DECLARED = Schema(
    (
        Field("id", Primitive("long")),
        Field("site", Primitive("string")),
        Field("v", Primitive("long")),
    )
)
ON = ("t.id = s.id", "t.id = s.id AND t.site = s.site", "t.id IS NOT DISTINCT FROM s.id")
IF_MATCHED = ("s.v > 2", "t.v < s.v", "s.site = 'b'", "t.site IS NULL")
IF_MISSING = ("s.v > 2", "s.site = 'b'", "id < 3")
VALUES = ("s.v", "t.v + s.v", "7", "CASE WHEN s.v > t.v THEN s.v END", "NULL")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBEngine]:
    made = DuckDBEngine(tmp_path_factory.mktemp("engine"), threads=2)
    yield made
    made.close()


def sql(text: str) -> Expression:
    return Expression(text, "duckdb", location=HERE)


def drawn(chance: random.Random) -> MergeInto:
    """A statement whose last clauses are about all rows, so that each of them may count."""
    clauses = []
    for matched, conditions in ((True, IF_MATCHED), (False, IF_MISSING)):
        for last in (False,) * chance.randint(0, 2) + (True,) * chance.randint(0, 1):
            condition = None if last else sql(chance.choice(conditions))
            does = Does.INSERT
            if matched:
                does = chance.choice([Does.UPDATE, Does.UPDATE, Does.DELETE, Does.NOTHING])
            every = does in (Does.UPDATE, Does.INSERT) and chance.random() < 0.5
            sets: tuple[tuple[str, Expression], ...] = ()
            if does is Does.UPDATE and not every:
                sets = (("v", sql(chance.choice(VALUES))),)
            if does is Does.INSERT and not every:
                sets = (("id", sql("s.id")), ("v", sql("s.v * 10")))
            clauses.append(Clause(matched, does, HERE, condition, sets, every))
    if not any(c.does is Does.INSERT for c in clauses):
        clauses.append(Clause(False, Does.INSERT, HERE, every=True))
    return MergeInto(sql(chance.choice(ON)), tuple(clauses), "s", "t")


def written(merge: MergeInto) -> str:
    """The statement as DuckDB has it."""
    parts = [f"MERGE INTO own AS t USING came AS s ON {merge.condition.sql}"]
    for each in merge.clauses:
        parts.append("WHEN MATCHED" if each.matched else "WHEN NOT MATCHED")
        if each.condition is not None:
            parts.append(f"AND {each.condition.sql}")
        parts.append(f"THEN {each.does.upper()}")
        names, values = [n for n, _ in each.sets], [v.sql for _, v in each.sets]
        if each.every:
            parts.append("BY NAME")
        elif each.does is Does.UPDATE:
            parts.append(f"SET {names[0]} = {values[0]}")
        elif each.does is Does.INSERT:
            parts.append(f"({', '.join(names)}) VALUES ({', '.join(values)})")
    return " ".join(parts)


def rows_of(chance: random.Random, often: bool) -> list[Row]:
    keys = [chance.choice([0, 1, 2, 3, 4, None]) for _ in range(chance.randint(0, 8))]
    if not often:
        keys = list(dict.fromkeys(keys))
    return [(k, chance.choice(["a", "b", None]), chance.randrange(5)) for k in keys]


def is_ambiguous(con: duckdb.DuckDBPyConnection, merge: MergeInto) -> bool:
    """True if several rows that came change one row, and not all of them delete it."""
    cases = " ".join(
        f"WHEN {c.condition.sql if c.condition else 'true'} THEN '{c.does}'"
        for c in merge.clauses
        if c.matched
    )
    does = f"CASE {cases} END" if cases else "NULL"
    pairs = (
        f"SELECT t.rowid AS place, {does} AS does FROM came AS s JOIN own AS t"
        f" ON {merge.condition.sql}"
    )
    changing = f"SELECT * FROM ({pairs}) WHERE does IN ('update', 'delete')"
    found = f"FROM ({changing}) GROUP BY place HAVING count(*) > 1 AND bool_or(does = 'update')"
    return con.execute(f"SELECT 1 {found}").fetchone() is not None


@pytest.mark.parametrize("number", range(6))
def test_tables_are_what_duckdb_makes_of_them(
    tmp_path: Path, engine: DuckDBEngine, number: int
) -> None:
    for seed in range(SEED + 5 * number, SEED + 5 * number + 5):
        chance = random.Random(seed)  # noqa: S311
        merge = drawn(chance)
        parts = chance.choice([(), (), ("site",)])
        names = COLUMNS.names
        table = Files(
            tmp_path / str(seed), merge, COLUMNS, names, engine, parts, declared=DECLARED
        )
        con = duckdb.connect()
        con.execute("CREATE TABLE own (id BIGINT, site VARCHAR, v BIGINT)")
        for _ in range(chance.randint(1, 5)):
            rows = rows_of(chance, often=chance.random() < 0.2)
            came = pa.Table.from_pylist(
                [dict(zip(names, row, strict=True)) for row in rows], schema=COLUMNS
            )
            con.register("came", came)
            told = f"seed {seed}: {written(merge)}; {rows}"
            if is_ambiguous(con, merge):
                with pytest.raises(AmbiguousMergeError):
                    table.merge(rows)
                break
            con.execute(written(merge))
            table.merge(rows)
            assert table.rows() == sorted(con.sql("FROM own").fetchall(), key=repr), told
