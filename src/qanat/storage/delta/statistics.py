"""Statistics of the columns of a file, as the log has them.

https://github.com/delta-io/delta/blob/master/PROTOCOL.md#per-file-statistics

Readers skip files by these: a bound may be loose, but never wrong. Bounds are written for all
columns of a file or for none: delta-rs turns a column without any, beside others that have some,
into a comparison with NULL on its way to PyArrow, and filtered scans lose its rows.
"""

from __future__ import annotations

import json
import math
from datetime import date, datetime, timedelta
from decimal import Decimal as Number
from typing import Any

from qanat.model.schema import DataType, Decimal, Schema
from qanat.model.staged import ColumnStatistics, DataFile

# Delta's own default for how many leading columns get statistics.
_INDEXED_COLUMNS = 32
# As long as Spark's: longer ones would bloat the log.
_LONGEST_BOUND = 32
_LAST_CHARACTER = "\U0010ffff"
# Doubles hold every integer up to here.
_EXACT = 2**53

Bounds = tuple[Any, Any]

_encode_spaced = json.JSONEncoder(ensure_ascii=False).encode


def statistics_text(file: DataFile, schema: Schema, partition_by: tuple[str, ...]) -> str:
    """The JSON text of `add.stats` (numRecords, minValues, maxValues, nullCount)."""
    low: dict[str, Any] = {}
    high: dict[str, Any] = {}
    nulls: dict[str, int] = {}
    bounded = True
    stored = [f for f in schema.fields if f.name not in partition_by]
    for field in stored[:_INDEXED_COLUMNS]:
        known = file.statistics.get(field.name)
        if known is None:
            continue
        if known.nulls is not None:
            nulls[field.name] = known.nulls
        found = _bounds(field.type, known) if known.bounded else None
        if found is not None:
            low[field.name], high[field.name] = found
        elif known.nulls != file.rows:
            bounded = False
    result: dict[str, Any] = {"numRecords": file.rows}
    if bounded and file.statistics:
        result |= {"minValues": low, "maxValues": high}
    if file.statistics:
        result["nullCount"] = nulls
    return _encode_spaced(result)


def _bounds(type_: DataType, known: ColumnStatistics) -> Bounds | None:
    low, high = known.low, known.high
    match low, high:
        case str(), str():
            if len(high) > _LONGEST_BOUND:
                high = high[:_LONGEST_BOUND] + _LAST_CHARACTER
            return low[:_LONGEST_BOUND], high
        case float(), float():
            # JSON has no infinity.
            return (low, high) if math.isfinite(low) and math.isfinite(high) else None
        case Number(), Number():
            digits = type_.precision - type_.scale if isinstance(type_, Decimal) else 38
            return _decimals(low, high, digits)
        case datetime(), datetime():
            return _timestamps(low, high)
        case date(), date():
            return low.isoformat(), high.isoformat()
    return low, high


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
    # Neither an exponent nor a rounded digit: delta-rs takes no exponents. A bound that has more
    # digits than the type is none to readers, and they skip the file.
    below, above = math.floor(low), math.ceil(high)
    return (below, above) if max(abs(below), abs(above)) < 10**digits else None


def _timestamps(low: datetime, high: datetime) -> Bounds | None:
    """Delta keeps milliseconds: down to one for the lower bound, up for the upper."""
    zone = "Z" if low.tzinfo else ""
    first, last = low.replace(tzinfo=None), high.replace(tzinfo=None)
    try:
        last += timedelta(microseconds=-last.microsecond % 1000)
    except OverflowError:
        return None
    start, end = (t.isoformat(timespec="milliseconds") for t in (first, last))
    return f"{start}{zone}", f"{end}{zone}"
