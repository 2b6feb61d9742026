"""DuckDB's RETURN_STATS in the form of Delta's per-file statistics.

https://github.com/delta-io/delta/blob/master/PROTOCOL.md#per-file-statistics

Readers skip files by these: a bound may be loose, but never wrong. And bounds come for all
columns of a file or for none: a column without any beside others that have some becomes a
comparison with NULL on delta-rs's way to PyArrow, and its rows are gone from filtered scans.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal as Number
from typing import Any

from qanat.engines.duckdb.types import quote
from qanat.model.schema import DataType, Decimal, Primitive, Schema

# Delta's own default for how many leading columns get statistics.
_INDEXED_COLUMNS = 32
# As long as Spark's: longer ones would bloat the log.
_LONGEST_BOUND = 32
_LAST_CHARACTER = "\U0010ffff"
_INTEGERS = frozenset({"byte", "short", "integer", "long"})
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?")
# Doubles hold every integer up to here.
_EXACT = 2**53

Bounds = tuple[Any, Any]


def delta_statistics(
    rows: int,
    statistics: Mapping[str, Mapping[str, str]],
    schema: Schema,
    partition_by: tuple[str, ...],
) -> str:
    """The JSON text for the log.

    Args:
        rows: number of rows of the file.
        statistics: by quoted column name, as COPY returns them.
    """
    low: dict[str, Any] = {}
    high: dict[str, Any] = {}
    nulls: dict[str, int] = {}
    bounded = True
    stored = [f for f in schema.fields if f.name not in partition_by]
    for field in stored[:_INDEXED_COLUMNS]:
        if not _has_order(field.type):
            continue
        entry = statistics.get(quote(field.name), {})
        missing = int(entry["null_count"]) if "null_count" in entry else None
        if missing is not None:
            nulls[field.name] = missing
        found = _bounds(field.type, entry)
        if found is not None:
            low[field.name], high[field.name] = found
        elif missing != rows:
            bounded = False
    result: dict[str, Any] = {"numRecords": rows}
    if bounded:
        result |= {"minValues": low, "maxValues": high}
    return json.dumps(result | {"nullCount": nulls}, ensure_ascii=False)


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
    low, high = entry["min"], entry["max"]
    match type_:
        case Primitive("float" | "double"):
            return None if entry.get("has_nan") != "false" else _floats(float(low), float(high))
        case Primitive(name) if name in _INTEGERS:
            return int(low), int(high)
        case Primitive("boolean"):
            return low in ("1", "true"), high in ("1", "true")
        case Decimal(precision, scale):
            return _decimals(Number(low), Number(high), precision - scale)
        case Primitive("date"):
            # Years before 1 or after 9999 are beyond what readers parse.
            return (low, high) if _DATE.fullmatch(low) and _DATE.fullmatch(high) else None
        case Primitive("timestamp"):
            return _timestamps(low.removesuffix("+00"), high.removesuffix("+00"), "Z")
        case Primitive("timestamp_ntz"):
            return _timestamps(low, high, "")
    return None


def _texts(entry: Mapping[str, str]) -> Bounds | None:
    """Cut to a prefix; DuckDB tells nothing of texts of some hundred bytes."""
    if "min" not in entry and entry.get("null_count") == entry.get("num_values"):
        return None
    low, high = entry.get("min", ""), entry.get("max", "")
    if "max" not in entry or entry.get("max_is_exact") == "false" or len(high) > _LONGEST_BOUND:
        high = high[:_LONGEST_BOUND] + _LAST_CHARACTER
    return low[:_LONGEST_BOUND], high


def _floats(low: float, high: float) -> Bounds | None:
    # JSON has no infinity.
    return (low, high) if math.isfinite(low) and math.isfinite(high) else None


def _decimals(low: Number, high: Number, digits: int) -> Bounds | None:
    """JSON numbers that stay bounds when a reader parses them as doubles."""
    if max(abs(low), abs(high)) >= _EXACT:
        below = math.floor(math.nextafter(float(low), -math.inf))
        above = math.ceil(math.nextafter(float(high), math.inf))
        return (below, above) if max(abs(below), abs(above)) < 10**digits else None
    found = [float(low), float(high)]
    if all(
        "e" not in repr(f) and Number(repr(f)) == n
        for f, n in zip(found, (low, high), strict=True)
    ):
        return found[0], found[1]
    # Neither an exponent nor a rounded digit: delta-rs takes no exponents.
    return math.floor(low), math.ceil(high)


def _timestamps(low: str, high: str, zone: str) -> Bounds | None:
    """Delta keeps milliseconds: down to one for the lower bound, up for the upper."""
    if not (_TIMESTAMP.fullmatch(low) and _TIMESTAMP.fullmatch(high)):
        return None
    first, last = datetime.fromisoformat(low), datetime.fromisoformat(high)
    try:
        last += timedelta(microseconds=-last.microsecond % 1000)
    except OverflowError:
        return None
    start, end = (t.isoformat(timespec="milliseconds") for t in (first, last))
    return f"{start}{zone}", f"{end}{zone}"
