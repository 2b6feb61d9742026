"""Parquet files written by PyArrow, with what PyArrow reads back as the other reader."""

from __future__ import annotations

import io
import math
import random
import string
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from qanat.model.schema import Field, Schema, type_from_json
from tests.files.fitting import BEYOND, MISFIT, Single, Spelled, fitted
from tests.files.kind import Drawn, Read

_NAMES = ("a", "b", "c d", "é", 'q"q', "a.b", "Größe", "数", "x'y")
_CODECS = ("snappy", "gzip", "zstd", "lz4", "brotli", "none")
_MOST = 4000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_TEXTS = ("", "x", "数\n", "a\0b", "1", "1.50", " 7 ", "007", "-3", "1e3", "2013-01-31", "true")
_MOMENT_TEXTS = ("2013-01-31 10:00:00", "2013-01-31T10:00:00.25", "2013-01-31 00:00:00")
_DOUBLES = (0.0, -0.0, 1.0, 0.1, -2.5, 1e22, 5e-324, 1.7976931348623157e308, 2.0**53, 1e15 + 0.5)
_ODD_DOUBLES = (math.nan, math.inf, -math.inf)
_DECLARED = (
    *("long", "integer", "short", "double", "decimal(12,2)", "decimal(38,0)", "string"),
    *("date", "timestamp_ntz", "timestamp", "boolean"),
)

Draw = Callable[[random.Random], Any]


class Columnar:
    """Parquet files."""

    name = "parquet"
    places = True

    def options(self, rng: random.Random) -> dict[str, Any]:
        """The types of the files, or declared ones for flat columns."""
        if rng.random() < 0.5:
            return {}
        names = rng.sample(_NAMES, rng.randint(1, 4))
        fields = (Field(n, type_from_json(rng.choice(_DECLARED))) for n in names)
        return {"schema": Schema(tuple(fields))}

    def told(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """All of them: none is found out."""
        return dict(options)

    def draw(self, rng: random.Random, options: Mapping[str, Any]) -> Drawn:
        """A file of some columns, written in one of many ways."""
        declared: Schema | None = options.get("schema")
        names = list(declared.names) if declared else rng.sample(_NAMES, rng.randint(1, 5))
        count = rng.choice((0, 1, 2, 5, 20, 20))
        if rng.random() < 0.02:
            count = rng.randint(500, _MOST)
        kinds = _FLAT if declared else _FLAT + _NESTED
        columns = [_column(rng, rng.choice(kinds), count) for _ in names]
        # Two files of a batch may give a column different types: then there is no other reader.
        if declared is None:
            names = [f"{n}_{_suffix(c.type)}" for n, c in zip(names, columns, strict=True)]
        table = pa.table(columns, names=names)
        data, read = _written(rng, table)
        return Drawn(data, _expected(read, declared))

    def same(self, wanted: Any, got: Any) -> bool:
        """True for equal values; a NaN is one, and a zero has its sign."""
        return _same(wanted, got)


def _suffix(type_: pa.DataType) -> str:
    """A name of a type, so that columns of one name have one type."""
    return "".join(c for c in str(type_) if c in string.ascii_letters + string.digits)


def _column(rng: random.Random, kind: tuple[pa.DataType, Draw], count: int) -> pa.Array:
    type_, draw = kind
    nulls = rng.choice((0, 0, 0.2, 1))
    pool = [draw(rng) for _ in range(rng.randint(1, 8))]
    values = [None if rng.random() < nulls else rng.choice(pool) for _ in range(count)]
    if pa.types.is_dictionary(type_):
        return pa.array(values, type_.value_type).dictionary_encode()
    return pa.array(values, type_)


def _written(rng: random.Random, table: pa.Table) -> tuple[bytes, pa.Table]:
    """The file's bytes, and what PyArrow reads back."""
    # Older versions have no nanoseconds, and PyArrow refuses to cut some off.
    fine = any("[ns" in str(t) for t in table.schema.types)
    how: dict[str, Any] = {
        "row_group_size": rng.choice((1, 3, 7, 1000, None)) if len(table) < 500 else 600,
        "version": "2.6" if fine else rng.choice(("1.0", "2.4", "2.6")),
        "use_dictionary": rng.random() < 0.6,
        "compression": rng.choice(_CODECS),
        "write_statistics": rng.random() < 0.8,
        "data_page_size": rng.choice((None, 64)),
        "data_page_version": rng.choice(("1.0", "2.0")),
        "store_schema": rng.random() < 0.7,
        "store_decimal_as_integer": rng.random() < 0.3,
    }
    # DuckDB's INT96 has no zone, PyArrow's the one that its own schema tells.
    zoned = any("tz=" in str(t) for t in table.schema.types)
    if not fine and not zoned and rng.random() < 0.1:
        data, read = _round_trip(table, {**how, "use_deprecated_int96_timestamps": True})
        if [_plain(column) for column in read.columns] == [_plain(c) for c in table.columns]:
            return data, read
        # PyArrow has written another moment: years have an end there.
    return _round_trip(table, how)


def _round_trip(table: pa.Table, how: Mapping[str, Any]) -> tuple[bytes, pa.Table]:
    out = io.BytesIO()
    pq.write_table(table, out, **how)
    out.seek(0)
    return out.getvalue(), pq.read_table(out)


def _expected(table: pa.Table, declared: Schema | None) -> Read:
    names = tuple(table.column_names)
    columns = [_plain(column) for column in table.columns]
    rows, malformed = [], []
    for place, values in enumerate(zip(*columns, strict=True), start=1):
        types = [str(f.type) for f in declared.fields] if declared else [""] * len(values)
        found = [fitted(v, type_) for v, type_ in zip(values, types, strict=True)]
        if any(v is MISFIT for v in found):
            malformed.append(place)
        else:
            rows.append((place, dict(zip(names, found, strict=True))))
    return Read(names, tuple(rows), tuple(malformed))


def _plain(column: pa.ChunkedArray) -> list[Any]:
    """The values of a column as Python's, moments without loss."""
    values: list[Any] = []
    for chunk in column.chunks:
        values += [_value(chunk, at) for at in range(len(chunk))]
    return values


def _value(array: pa.Array, at: int) -> Any:
    type_ = array.type
    if not array[at].is_valid:
        return None
    if pa.types.is_dictionary(type_):
        return _value(array.dictionary, array.indices[at].as_py())
    if pa.types.is_timestamp(type_):
        return _moment(array[at].value, type_)
    if pa.types.is_date(type_):
        return _date(array[at].value)
    if pa.types.is_time(type_):
        unit = 10**9 // _PER_SECOND[type_.unit]
        return Clock(array[at].value * unit)
    if pa.types.is_map(type_):
        entries = array[at].values
        return {
            _value(entries.field(0), n): _value(entries.field(1), n) for n in range(len(entries))
        }
    if pa.types.is_nested(type_) and not pa.types.is_struct(type_):
        inner = array[at].values
        return [_value(inner, n) for n in range(len(inner))]
    if pa.types.is_struct(type_):
        return {f.name: _value(array.field(n), at) for n, f in enumerate(type_)}
    value = array[at].as_py()
    return Single(value) if pa.types.is_float32(type_) else value


def _moment(value: int, type_: pa.DataType) -> Any:
    """A point in time of the years 1 to 9999, to the microsecond; no other fits a table."""
    micros, rest = divmod(value * 10**9 // _PER_SECOND[type_.unit], 1000)
    try:
        found = _EPOCH + timedelta(microseconds=micros)
    except OverflowError:
        return BEYOND
    if rest:
        return BEYOND
    return found if type_.tz else found.replace(tzinfo=None)


def _date(days: int) -> Any:
    try:
        return (_EPOCH + timedelta(days=days)).date()
    except OverflowError:
        return BEYOND


def _same(wanted: Any, got: Any) -> bool:
    if wanted is BEYOND:
        return isinstance(got, str)
    match wanted:
        case None | bool():
            return wanted is got
        case Clock():
            return isinstance(got, str) and Clock.of(got) == wanted
        case Spelled():
            return isinstance(got, str) and _bits(float(wanted)) == _bits(float(got))
        case float():
            return isinstance(got, float) and _bits(wanted) == _bits(got)
        case Mapping():
            return (
                isinstance(got, Mapping)
                and len(got) == len(wanted)
                and all(k in got and _same(v, got[k]) for k, v in wanted.items())
            )
        case list():
            return (
                isinstance(got, list) and len(got) == len(wanted) and all(map(_same, wanted, got))
            )
        case int() | Decimal():
            return isinstance(got, (int, Decimal)) and got == wanted
    return type(wanted) is type(got) and bool(wanted == got)


def _bits(number: float) -> tuple[bool, float]:
    return math.isnan(number), 0.0 if math.isnan(number) else math.copysign(1, number) * 2 + number


class Clock(int):
    """A time of day in nanoseconds; tables have its text."""

    @classmethod
    def of(cls, text: str) -> Clock:
        """The time that a text means."""
        clock, _, fraction = text.partition(".")
        hours, minutes, seconds = map(int, clock.split(":"))
        return cls(((hours * 60 + minutes) * 60 + seconds) * 10**9 + int(fraction.ljust(9, "0")))


def _whole(bits: int, signed: bool = True) -> Draw:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return lambda rng: rng.choice((low, high, 0, 1, 7, high // 3))


def _digits(precision: int, scale: int) -> Draw:
    def draw(rng: random.Random) -> Decimal:
        most = 10**precision - 1
        whole = rng.choice(
            (0, 1, -1, min(10**scale, most), most, -most, rng.randint(-most, most), min(150, most))
        )
        sign, digits, _ = Decimal(whole).as_tuple()
        return Decimal((sign, digits, -scale))

    return draw


def _double(rng: random.Random) -> float:
    return rng.choice(_DOUBLES if rng.random() < 0.9 else _ODD_DOUBLES)


def _single(rng: random.Random) -> float:
    return rng.choice((0.0, 1.0, 0.5, -2.25, 16777217.0, 0.10000000149011612, math.inf))


def _text(rng: random.Random) -> str:
    return rng.choice((*_TEXTS, *_MOMENT_TEXTS)) if rng.random() < 0.98 else "long " * 4000


def _bytes(rng: random.Random) -> bytes:
    return rng.choice((b"", b"\0", b"\xff\xfe", b"text", "数".encode()))


def _day(rng: random.Random) -> int:
    return rng.choice((0, 15736, -1, -719162, 2932896, 2932897 if rng.random() < 0.1 else 1))


def _instant(unit: str) -> Draw:
    per = _PER_SECOND[unit]

    def draw(rng: random.Random) -> int:
        second = rng.choice((0, 1359590400, 1359626400, -1, -2208988800, 9_000_000_000))
        if unit != "ns" and rng.random() < 0.1:
            second = rng.choice((253402300799, 253402300800, -62135596800, -62135596801))
        part = rng.choice((0, 0, 1, per // 2, per - 1, 123_456_000 % per, 1000 % per))
        return second * per + part

    return draw


def _clock(unit: str) -> Draw:
    per = _PER_SECOND[unit]
    return lambda rng: rng.choice((0, per, 36000 * per, 86400 * per - 1, per // 2))


def _listed(draw: Draw) -> Draw:
    return lambda rng: [
        None if rng.random() < 0.2 else draw(rng) for _ in range(rng.choice((0, 1, 2, 5)))
    ]


def _packed(**draws: Draw) -> Draw:
    return lambda rng: {n: None if rng.random() < 0.2 else draw(rng) for n, draw in draws.items()}


def _mapped(key: Draw, value: Draw) -> Draw:
    return lambda rng: list({key(rng): value(rng) for _ in range(rng.choice((0, 1, 3)))}.items())


_FLAT: Sequence[tuple[pa.DataType, Draw]] = (
    *((getattr(pa, f"int{n}")(), _whole(n)) for n in (8, 16, 32, 64)),
    *((getattr(pa, f"uint{n}")(), _whole(n, signed=False)) for n in (8, 16, 32, 64)),
    (pa.float64(), _double),
    (pa.float32(), _single),
    (pa.bool_(), lambda rng: rng.random() < 0.5),
    (pa.string(), _text),
    (pa.large_string(), _text),
    (pa.dictionary(pa.int32(), pa.string()), _text),
    (pa.date32(), _day),
    *((pa.decimal128(p, s), _digits(p, s)) for p, s in ((5, 2), (18, 0), (18, 6), (38, 10))),
    *((pa.timestamp(unit), _instant(unit)) for unit in _PER_SECOND),
    *((pa.timestamp(u, zone), _instant(u)) for u in ("ms", "us", "ns") for zone in ("UTC",)),
    (pa.timestamp("us", "Europe/Berlin"), _instant("us")),
)
_NESTED: Sequence[tuple[pa.DataType, Draw]] = (
    (pa.float16(), lambda rng: rng.choice((0.0, 1.5, -2.0, 65504.0))),
    (pa.decimal128(38, 38), _digits(38, 38)),
    (pa.decimal256(20, 4), _digits(20, 4)),
    (pa.binary(), _bytes),
    (pa.large_binary(), _bytes),
    (pa.binary(3), lambda rng: rng.choice((b"abc", b"\0\0\0", b"\xff\xff\xff"))),
    (pa.null(), lambda _: None),
    (pa.time32("s"), _clock("s")),
    (pa.time32("ms"), _clock("ms")),
    (pa.time64("us"), _clock("us")),
    (pa.time64("ns"), _clock("ns")),
    (pa.list_(pa.int64()), _listed(_whole(64))),
    (pa.large_list(pa.string()), _listed(_text)),
    (pa.list_(pa.int32(), 2), lambda rng: [rng.randint(0, 9), None]),
    (pa.list_(pa.list_(pa.float64())), _listed(_listed(_double))),
    (pa.list_(pa.timestamp("ns")), _listed(_instant("ns"))),
    (pa.list_(pa.timestamp("us", "UTC")), _listed(_instant("us"))),
    (pa.list_(pa.uint64()), _listed(_whole(64, signed=False))),
    (pa.list_(pa.time64("us")), _listed(_clock("us"))),
    (
        pa.struct({"x": pa.int32(), "y é": pa.list_(pa.decimal128(10, 2)), "z": pa.date32()}),
        _packed(**{"x": _whole(32), "y é": _listed(_digits(10, 2)), "z": _day}),
    ),
    (
        pa.struct({"t": pa.timestamp("ns"), "d": pa.struct({"u": pa.uint64()})}),
        _packed(t=_instant("ns"), d=_packed(u=_whole(64, signed=False))),
    ),
    (
        pa.list_(pa.struct({"k": pa.string(), "b": pa.binary()})),
        _listed(_packed(k=_text, b=_bytes)),
    ),
    (pa.map_(pa.string(), pa.int64()), _mapped(_text, _whole(64))),
    (pa.map_(pa.int32(), pa.list_(pa.float32())), _mapped(_whole(32), _listed(_single))),
)
