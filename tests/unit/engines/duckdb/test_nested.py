"""Random queries of CTEs and subqueries say the same with positions, and these are right."""

from __future__ import annotations

import random
from collections.abc import Iterator

import duckdb
import pytest

from qanat.engines.duckdb.hidden import POSITIONS, carry
from qanat.errors import Location
from qanat.model.query import Read, SqlQuery, dataset_ref

AT = Location("a.sql", 1, 1)
NAMES = ("c", "C d", "größe", "s", "x")
MORE = ("1 AS one", "id + 1", "v ** 2", "(SELECT max(w) FROM r) AS m", "CAST(v AS VARCHAR) AS t")
WHERE = ("", " WHERE v > 2", " WHERE id IN (SELECT id FROM r)", " WHERE v > 1 OR EXISTS (FROM r)")
JOINS = (" JOIN r AS o ON o.id % 3 = 0", " LEFT JOIN r o ON o.id < 5", " SEMI JOIN r o ON true")


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute("CREATE TABLE s AS SELECT i AS id, (i * 7) % 11 AS v FROM range(40) t(i)")
        opened.execute("CREATE TABLE r AS SELECT i AS id, i * 2 AS w FROM range(0, 60, 2) t(i)")
        yield opened


def drawn(draw: random.Random, depth: int, known: tuple[str, ...]) -> str:
    """A SELECT that reads `s`, in the end."""
    ctes = []
    if depth and draw.random() < 0.5:
        for _ in range(draw.randint(1, 2)):
            name = f"{draw.choice(NAMES)}{draw.choice(['', len(known), len(known)])}"
            how = draw.choice(["", "MATERIALIZED ", "NOT MATERIALIZED "])
            ctes.append(f'"{name}" AS {how}({drawn(draw, depth - 1, known)})')
            known = (*known, name)
    with_ = f"WITH {', '.join(ctes)} " if ctes else ""
    source, alias = "s", "s"
    if known and draw.random() < 0.5:
        alias = draw.choice(known)
        source = f'"{alias}"'
    elif depth and draw.random() < 0.6:
        source, alias = f"({drawn(draw, depth - 1, known)})", ""
    if draw.random() < 0.4:
        alias = f"{draw.choice(NAMES)}{depth}"
        source += f'{draw.choice([" AS", ""])} "{alias}"'
    where = draw.choice(WHERE)
    if draw.random() < 0.2:
        return f"{with_}FROM {source}{where}"
    own = f'"{alias}".*' if alias else ""
    if own and draw.random() < 0.2:
        return f"{with_}SELECT {own} FROM {source}{draw.choice(JOINS)}"
    listed = ", ".join([draw.choice(["*", own or "*"]), *draw.sample(MORE, draw.randint(0, 2))])
    word = draw.choice(["SELECT", "select", "SELECT ALL", "SELECT /* SELECT */"])
    return f"{with_}{word} {listed} FROM {source}{where}"


def rows(con: duckdb.DuckDBPyConnection, sql: str, *hidden: str) -> duckdb.DuckDBPyRelation:
    places = "'f' AS __qanat_file, rowid AS __qanat_row, rowid AS __qanat_rid"
    columns = f"*, {places}" if hidden else "*"
    return con.sql(f"WITH s AS (SELECT {columns} FROM memory.main.s) FROM (\n{sql}\n)")


@pytest.mark.parametrize("seed", range(8))
def test_positions_pass_through_every_level(con: duckdb.DuckDBPyConnection, seed: int) -> None:
    draw, passed = random.Random(seed), 0  # noqa: S311 - a seed makes it repeatable
    for _ in range(40):
        sql = drawn(draw, 3, ())
        try:
            plain = rows(con, sql)
        except duckdb.Error:
            continue  # an alias that is not there any more
        query = SqlQuery(sql, sql, "duckdb", (Read("s", dataset_ref("s"), True, AT),), AT)
        text, needs, carried = carry(query, {"s": POSITIONS}, positions=True)
        found = rows(con, text, *needs)
        skip = len(carried)
        passed += bool(skip)
        assert found.columns == [*carried, *plain.columns], sql
        assert found.types[skip:] == plain.types, sql
        every = found.fetchall()
        assert sorted(r[skip:] for r in every) == sorted(plain.fetchall()), sql
        if skip:
            assert all(r[1] == r[skip + plain.columns.index("id")] for r in every), sql
        if skip == len(POSITIONS):
            assert len({r[2] for r in every}) == len(every), sql
    assert passed > 20
