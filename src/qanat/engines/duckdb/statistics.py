"""DuckDB's RETURN_STATS as Python values.

COPY returns the bounds of each column as text. A bound may be loose, but never wrong: where
DuckDB's text cannot be trusted to be one, there is none.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal as Number
from typing import Any

from qanat.engines.duckdb.types import quote
from qanat.model.schema import DataType, Decimal, Primitive, Schema
from qanat.model.work import ColumnStatistics

# Years before 1 or after 9999 are beyond what Python's dates hold.
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?")
_LAST_CHARACTER = "\U0010ffff"

Bounds = tuple[Any, ...]


def column_statistics(
    returned: Mapping[str, Mapping[str, str]], schema: Schema, partition_by: tuple[str, ...]
) -> dict[str, ColumnStatistics]:
    """What is known of each stored column that has an order.

    Args:
        returned: by quoted column name, as COPY returns them.
    """
    found: dict[str, ColumnStatistics] = {}
    for field in schema.fields:
        if field.name in partition_by or not _has_order(field.type):
            continue
        entry = returned.get(quote(field.name), {})
        nulls = int(entry["null_count"]) if "null_count" in entry else None
        low, high = _bounds(field.type, entry) or (None, None)
        found[field.name] = ColumnStatistics(nulls, low, high)
    return found


def _has_order(type_: DataType) -> bool:
    return isinstance(type_, Decimal) or (
        isinstance(type_, Primitive) and type_ != Primitive("binary")
    )


def _bounds(type_: DataType, entry: Mapping[str, str]) -> Bounds | None:
    if type_ == Primitive("string"):
        return _texts(entry)
    if "min" not in entry or "max" not in entry:
        return None
    if "false" in (entry.get("min_is_exact"), entry.get("max_is_exact")):
        return None
    if type_ in _FLOATING and entry.get("has_nan") != "false":
        return None
    parse = Number if isinstance(type_, Decimal) else _PARSERS.get(str(type_))
    bounds = tuple(parse(entry[end]) for end in ("min", "max")) if parse else (None,)
    return None if None in bounds else bounds


def _single(text: str) -> float:
    """The value that 32 bits hold: 0.1 as text is less than the 0.1 of a FLOAT column."""
    return float(struct.unpack("<f", struct.pack("<f", float(text)))[0])


def _texts(entry: Mapping[str, str]) -> Bounds | None:
    """DuckDB has no bounds for texts of some hundred bytes, and cuts others."""
    if "min" not in entry and entry.get("null_count") == entry.get("num_values"):
        return None
    high = entry.get("max", "")
    if "max" not in entry or entry.get("max_is_exact") == "false":
        high += _LAST_CHARACTER
    return entry.get("min", ""), high


def _date(text: str) -> date | None:
    return date.fromisoformat(text) if _DATE.fullmatch(text) else None


def _local(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if _TIMESTAMP.fullmatch(text) else None


def _moment(text: str) -> datetime | None:
    found = _local(text.removesuffix("+00"))
    return None if found is None else found.replace(tzinfo=UTC)


def _boolean(text: str) -> bool:
    return text in ("1", "true")


_FLOATING = (Primitive("float"), Primitive("double"))
_PARSERS: dict[str, Callable[[str], Any]] = {
    **{str(Primitive(name)): int for name in ("byte", "short", "integer", "long")},
    "float": _single,
    "double": float,
    "boolean": _boolean,
    "date": _date,
    "timestamp": _moment,
    "timestamp_ntz": _local,
}
"""By type: what makes a value of DuckDB's text; None where it is none that Python holds."""
