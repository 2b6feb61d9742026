"""How types are mapped, on the way in and on the way out."""

from __future__ import annotations

import pytest

from qanat.connectors.postgres.position import Position, Ruler, Window
from qanat.connectors.postgres.target import TargetColumn, transfers
from qanat.connectors.postgres.types import ServerType, column, declared
from qanat.errors import OptionError, SchemaMismatchError, TypeNameError
from qanat.model.schema import STRING, Array, DataType, Decimal, Field, Primitive, Schema


def modifier(precision: int, scale: int) -> int:
    """As PostgreSQL packs them (numeric.c: make_numeric_typmod)."""
    return ((precision << 16) | (scale & 0x7FF)) + 4


@pytest.mark.parametrize(
    ("precision", "scale", "type_"),
    [
        (10, 2, Decimal(10, 2)),
        (38, 38, Decimal(38, 38)),
        (39, 0, STRING),
        (3, -2, Decimal(5, 0)),
        (2, 5, Decimal(5, 5)),
        (38, -1, STRING),
        (1000, 1000, STRING),
    ],
)
def test_numerics(precision: int, scale: int, type_: DataType) -> None:
    found = column("n", ServerType("numeric", modifier(precision, scale)))
    assert (found.type, found.select) == (type_, 'q."n"::text')


@pytest.mark.parametrize(
    ("element", "cast", "type_"),
    [
        ("int4", "", Primitive("integer")),
        ("uuid", "::text[]", STRING),
        ("money", "::numeric[]::text[]", STRING),
        ("oid", "::int8[]", Primitive("long")),
    ],
)
def test_arrays(element: str, cast: str, type_: DataType) -> None:
    found = column("it's", ServerType(f"_{element}", -1, element))
    assert found.type == Array(type_)
    assert f'ELSE q."it\'s"{cast} END' in found.select
    assert "column it''s has" in found.select


def test_declared_types() -> None:
    found = declared(' a DECIMAL( 18 ,2), "B ""c""" string,`d` BIGINT , e numeric(3)')
    assert found == {
        "a": Decimal(18, 2),
        'B "c"': STRING,
        "d": Primitive("long"),
        "e": Decimal(3, 0),
    }
    assert declared("") == {}


@pytest.mark.parametrize("text", ["a", "a DECIMAL(1,2", "a b c", "(a INT)", "a INT b INT"])
def test_what_declares_nothing(text: str) -> None:
    with pytest.raises(OptionError):
        declared(text)


@pytest.mark.parametrize("text", ["a BLOB", "a DECIMAL", "a DECIMAL(39,1)", "a DECIMAL(3,4)"])
def test_types_that_cannot_be_declared(text: str) -> None:
    with pytest.raises(TypeNameError):
        declared(text)


@pytest.mark.parametrize(
    ("precision", "scale", "fits"),
    [(10, 2, True), (12, 4, True), (10, 1, False), (9, 2, False), (10, 3, False), (9, -1, False)],
)
def test_a_numeric_takes_what_it_does_not_round(precision: int, scale: int, fits: bool) -> None:
    schema = Schema((Field("n", Decimal(10, 2)),))
    target = TargetColumn("n", "numeric", "numeric(…)", modifier(precision, scale))
    if fits:
        assert transfers(schema, [target], "t")[0].wire == Decimal(10, 2)
        return
    with pytest.raises(SchemaMismatchError):
        transfers(schema, [target], "t")


def test_columns_are_matched_without_case_unless_two_differ_by_it() -> None:
    schema = Schema((Field("ID", Primitive("long")), Field("Name", STRING)))
    columns = [TargetColumn(n, "int8", "bigint") for n in ("id", "ID")]
    columns.append(TargetColumn("name", "text", "text"))
    assert [t.target for t in transfers(schema, columns, "t")] == ["ID", "name"]


def test_positions_are_json_and_come_back() -> None:
    before, window = Window("1", {"a": 1, "b": 2}, ("at", "id")), Window("3", {}, ("at",))
    position = Position("at", "2", "3", False, before, window)
    assert Position.of(position.value()) == position
    assert Position.of(Position("at", None, "3", True).value()) == Position("at", None, "3", True)


def test_cursor_values_cannot_leave_their_quotes() -> None:
    ruler = Ruler("t", 'a"b', "text")
    sql = ruler.rows(Position('a"b', "x'; DROP TABLE t; --", "y'"), "1")
    assert """q."a""b" > 'x''; DROP TABLE t; --'::text""" in sql
    assert """<= 'y'''::text""" in sql
