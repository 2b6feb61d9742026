"""Random queries of CTEs, subqueries and UNION ALL say the same with positions that are right."""

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
JOINS = (
    " JOIN r AS o ON o.id % 3 = 0",
    " LEFT JOIN r o ON o.id < 1050",
    " SEMI JOIN r o ON true",
    " NATURAL JOIN r",
    ", UNNEST([1, 2]) AS o(y)",
)
ORDERS = ("", "", " ORDER BY v", " ORDER BY v DESC, id + 1")
PATTERNS = ("COLUMNS('id|v'),", "COLUMNS(lambda n: n LIKE '%i%'),", "*, COLUMNS('v') + 1,")


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        id_ = "1000 + 10 * i AS id"
        opened.execute(f"CREATE TABLE s AS SELECT {id_}, (i * 7) % 11 AS v FROM range(40) t(i)")
        opened.execute(f"CREATE TABLE r AS SELECT {id_}, i * 2 AS w FROM range(0, 60, 2) t(i)")
        yield opened


def with_ctes(
    draw: random.Random, depth: int, known: tuple[str, ...]
) -> tuple[list[str], tuple[str, ...]]:
    """CTEs, or none, and the names of all that can be read then."""
    ctes = []
    for _ in range(draw.choice([0, 0, 1, 2]) if depth else 0):
        name = f"{draw.choice(NAMES)}{draw.choice(['', len(known), len(known)])}"
        how = draw.choice(["", "MATERIALIZED ", "NOT MATERIALIZED "])
        names = draw.choice(["", "", " (id)", '("id", v)'])
        ctes.append(f'"{name}"{names} AS {how}({drawn(draw, depth - 1, known)})')
        known = (*known, name)
    return ctes, known


def drawn(draw: random.Random, depth: int, known: tuple[str, ...]) -> str:
    """A SELECT that reads `s`, in the end."""
    ctes, known = with_ctes(draw, depth, known)
    with_ = f"WITH {', '.join(ctes)} " if ctes else ""
    if depth and draw.random() < 0.2:
        arms = [drawn(draw, depth - 1, known) for _ in range(draw.randint(2, 3))]
        arms = [
            f"({a})" if "WITH" in a or "ORDER" in a or draw.random() < 0.3 else a for a in arms
        ]
        word = draw.choice([" UNION ALL ", " union all ", " UNION ALL BY NAME "])
        return f"{with_}{word.join(arms)}{draw.choice(ORDERS)}"
    source, alias = "s", "s"
    if known and draw.random() < 0.5:
        alias = draw.choice(known)
        source = f'"{alias}"'
    elif depth and draw.random() < 0.6:
        source, alias = f"({drawn(draw, depth - 1, known)})", ""
    if draw.random() < 0.4:
        alias = f"{draw.choice(NAMES)}{depth}"
        source += f'{draw.choice([" AS", ""])} "{alias}"'
        if draw.random() < 0.2:
            source += draw.choice(["(id)", "(id, v)"])
    where = draw.choice(WHERE)
    if draw.random() < 0.2:
        return f"{with_}FROM {source}{where}{draw.choice(ORDERS)}"
    own = f'"{alias}".*' if alias else ""
    if own and draw.random() < 0.2:
        return f"{with_}SELECT {own} FROM {source}{draw.choice(JOINS)}"
    listed = ", ".join([draw.choice(["*", own or "*"]), *draw.sample(MORE, draw.randint(0, 2))])
    word = draw.choice(["SELECT", "select", "SELECT ALL", "SELECT /* SELECT */"])
    if draw.random() < 0.1:
        listed = f"{draw.choice(PATTERNS)} {listed}"
    return f"{with_}{word} {listed} FROM {source}{where}{draw.choice(ORDERS)}"


def rows(con: duckdb.DuckDBPyConnection, sql: str, *hidden: str) -> duckdb.DuckDBPyRelation:
    places = (
        "'f' AS __qanat_file, rowid AS __qanat_row, rowid AS __qanat_rid, 'f' AS __qanat_source,"
        " rowid AS __qanat_place"
    )
    columns = f"*, {places}" if hidden else "*"
    return con.sql(f"WITH s AS (SELECT {columns} FROM memory.main.s) FROM (\n{sql}\n)")


@pytest.mark.parametrize("seed", range(10))
def test_positions_pass_through_every_level(con: duckdb.DuckDBPyConnection, seed: int) -> None:
    draw, passed = random.Random(seed), 0  # noqa: S311 - a seed makes it repeatable
    for _ in range(80):
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
        wanted = sorted(plain.fetchall(), key=repr)
        assert sorted((r[skip:] for r in every), key=repr) == wanted, sql
        if skip:
            assert all(1000 + 10 * r[1] in r[skip:] for r in every), sql
        if skip == len(POSITIONS):
            assert len({r[2] for r in every}) == len(every), sql
    assert passed > 20
