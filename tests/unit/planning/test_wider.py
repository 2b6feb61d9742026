"""Types for the values of two types."""

from __future__ import annotations

import pytest

from qanat.model.schema import STRING, Array, DataType, Decimal, Field, Primitive, Struct
from qanat.planning.wider import wider

LONG, DOUBLE, INT = Primitive("long"), Primitive("double"), Primitive("integer")
DATE, LOCAL, INSTANT = Primitive("date"), Primitive("timestamp_ntz"), Primitive("timestamp")


@pytest.mark.parametrize(
    ("have", "want", "first"),
    [
        (INT, LONG, LONG),
        (LONG, INT, LONG),
        (LONG, Decimal(38, 6), Decimal(38, 6)),
        (LONG, Decimal(5, 2), Decimal(21, 2)),
        (Decimal(38, 0), Decimal(38, 6), Decimal(38, 6)),
        (LONG, DOUBLE, DOUBLE),
        (DOUBLE, LONG, DOUBLE),
        (DOUBLE, Decimal(38, 6), Decimal(38, 6)),
        (DATE, LOCAL, LOCAL),
        (DATE, INSTANT, INSTANT),
        (LOCAL, INSTANT, STRING),
        (LONG, STRING, STRING),
        (STRING, LONG, STRING),
        (Primitive("boolean"), LONG, STRING),
        (Array(LONG), Array(Decimal(38, 6)), Array(Decimal(38, 6))),
    ],
)
def test_the_best_type_comes_first_and_text_last(
    have: DataType, want: DataType, first: DataType
) -> None:
    types = wider(have, want)
    assert types[0] == first
    assert types[-1] == (Array(STRING) if isinstance(have, Array) else STRING)


def test_fields_of_a_struct_widen_together() -> None:
    have = Struct((Field("a", LONG), Field("b", LONG)))
    want = Struct((Field("B", Decimal(38, 6)), Field("c", STRING)))
    assert [str(t) for t in wider(have, want)] == [
        "struct<a:bigint,b:decimal(38,6),c:string>",
        "struct<a:bigint,b:string,c:string>",
    ]


@pytest.mark.parametrize("other", [LONG, STRING, Array(LONG)])
def test_some_have_no_type_in_common(other: DataType) -> None:
    assert wider(Primitive("binary"), other) == ()
    assert wider(Struct((Field("a", LONG),)), other) == ()
