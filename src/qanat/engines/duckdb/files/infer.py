"""Types for columns of text that nobody declared: the narrowest that keeps every value.

A number counts as one if it is written as people write numbers: `00501`, `+49123`, `1_000` and
`0x1F` name something, and stay text. Where several types keep every value, a set of rules
(`Inference`) chooses. Qanat's own has few, so that one more digit in the next file seldom makes
another one: BIGINT and then DECIMAL(38, 0) for whole numbers. Other numbers are DOUBLE, if the
shortest text of each double is the number as written, or else a DECIMAL of 38 digits with room.
`survey` tells what a sample has; `exact` reads a column's later values by the same rules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter

from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.files import plainly
from qanat.engines.duckdb.files.cast import ISO, Formats, from_text
from qanat.engines.duckdb.files.digits import significant
from qanat.engines.duckdb.typenames import to_duckdb
from qanat.model.inference import Inference
from qanat.model.schema import STRING, DataType, Decimal, Primitive
from qanat.planning.wider import PRECISION, SCALES
from qanat.text import literal

_WHOLE = "-?[1-9][0-9]*|0"
_FIXED = r"-?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)"
_EXPONENT = "[eE][+-]?[0-9]+"
# How NumPy, R, Spark, Java and DuckDB write the doubles that are no numbers.
_NO_NUMBERS = "('NaN', 'nan', 'inf', '-inf', 'Inf', '-Inf', 'Infinity', '-Infinity')"
# A year below 1000 would have leading zeros: `0001-01-04` is rather the number of a part. But the
# first of all days is what many programs write for none.
_DAY = " *([1-9][0-9]{3}-[0-9]{2}-[0-9]{2}|0001-01-01)"
_CLOCK = r"[ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?"
_NUMBERS = "('whole', 'fixed', 'exponent')"
_INSTANT = Primitive("timestamp")
_ZONE = " ?([Zz]|[+-][0-9]{2}(:?[0-9]{2})?)"


@dataclass(slots=True)
class Seen:
    """How many values of a column are written in which way.

    Args:
        values: all that are not NULL.
        integers, longs, wholes: whole numbers that fit INTEGER; BIGINT; DECIMAL(38, 0).
        fixed: numbers without an exponent, whole ones too.
        numbers: numbers, with an exponent too.
        doubles: numbers that a DOUBLE keeps, and `NaN` and the like.
        odd: `NaN` and the like.
        booleans, dates: `true` and `false`; days.
        moments: timestamps without an offset, and days.
        instants: timestamps with one.
        before, behind: the most digits before and behind the point of a number.
    """

    values: int = 0
    integers: int = 0
    longs: int = 0
    wholes: int = 0
    fixed: int = 0
    numbers: int = 0
    doubles: int = 0
    odd: int = 0
    booleans: int = 0
    dates: int = 0
    moments: int = 0
    instants: int = 0
    before: int = 0
    behind: int = 0

    def merge(self, other: Seen) -> Seen:
        """What has been seen in two samples."""
        sums = [a + b for a, b in zip(_counts(self), _counts(other), strict=True)]
        sums[-2:] = max(self.before, other.before), max(self.behind, other.behind)
        return Seen(*sums)

    def type_by(self, inference: Inference) -> DataType:
        """The first type that keeps every value; string if none does, or without values.

        >>> from qanat.model.inference import OWN, SPARK
        >>> str(Seen(1, fixed=1, numbers=1, behind=2).type_by(OWN))
        'decimal(38,6)'
        >>> few = Seen(1, integers=1, longs=1, wholes=1, numbers=1)
        >>> str(few.type_by(OWN)), str(few.type_by(SPARK))
        ('bigint', 'int')
        """
        if not self.values:
            return STRING
        if self.numbers:
            return self._number(inference)
        counts = {
            Primitive("boolean"): self.booleans,
            Primitive("date"): self.dates,
            **self.moments_by(inference),
        }
        return next((t for t, count in counts.items() if count == self.values), STRING)

    def moments_by(self, inference: Inference) -> dict[Primitive, int]:
        """How many values are times, by the type that keeps them."""
        found = {inference.local: self.moments}
        found[_INSTANT] = found.get(_INSTANT, 0) + self.instants
        return found

    def _number(self, inference: Inference) -> DataType:
        fitting = {Primitive("integer"): self.integers, Primitive("long"): self.longs}
        for type_ in inference.whole:
            if fitting[type_] == self.values:
                return type_
        if self.wholes == self.values:
            return inference.decimal(self.before)
        if self.doubles == self.values:
            return Primitive("double")
        if self.fixed == self.values:
            for scale in (*SCALES, self.behind):
                if self.behind <= scale <= PRECISION - self.before:
                    return Decimal(PRECISION, scale)
        return STRING


# Many times as fast as `dataclasses.astuple`, which copies: there may be thousands of columns.
_counts: Callable[[Seen], tuple[int, ...]] = attrgetter(*(f.name for f in fields(Seen)))


def survey(
    con: DuckDBPyConnection,
    rows: str,
    columns: Sequence[str],
    formats: Formats = ISO,
    value: str = "v",
) -> list[Seen]:
    """What columns of text have in some rows.

    The columns are unpivoted, so that DuckDB compiles one expression for all: one for each
    column took it 30 s for 400.

    Args:
        rows: SQL for FROM.
        columns: names in `rows` that need no quotes.
        formats: how dates and timestamps are written.
        value: SQL for the value of a text `v`; NULL if it means that there is none.
    """
    pairs = (
        f"SELECT name, {value} AS v "
        f"FROM (UNPIVOT (FROM {rows}) ON {', '.join(columns)} INTO NAME name VALUE v)"
    )
    found = tally(con, pairs, formats)
    return [found.get(name, Seen()) for name in columns]


def tally(con: DuckDBPyConnection, pairs: str, formats: Formats = ISO) -> dict[str, Seen]:
    """What texts are like, by name.

    Args:
        pairs: a SELECT of `name` and the text `v`.
        formats: how dates and timestamps are written.
    """
    found: dict[str, Seen] = {}
    kept = exact("v", Primitive("double"))
    for name, *counts in con.execute(
        f"SELECT name, {', '.join(_COUNTS)} FROM (SELECT name, v, kind, "
        f"CASE WHEN kind IN {_NUMBERS} THEN {kept} IS NOT NULL ELSE kind = 'nan' END AS kept, "
        "CASE WHEN kind IN ('whole', 'fixed') THEN ltrim(trim(v), '-') END AS digits "
        f"FROM (SELECT name, v, {_kind('v', formats)} AS kind FROM ({pairs}) "
        "WHERE v IS NOT NULL)) GROUP BY name"
    ).fetchall():
        found[str(name)] = Seen(*counts)
    return found


_COUNTS = (
    "count(*)",
    "count(*) FILTER (WHERE kind = 'whole' AND TRY_CAST(v AS INTEGER) IS NOT NULL)",
    "count(*) FILTER (WHERE kind = 'whole' AND TRY_CAST(v AS BIGINT) IS NOT NULL)",
    f"count(*) FILTER (WHERE kind = 'whole' AND strlen(digits) <= {PRECISION})",
    "count(digits)",
    f"count(*) FILTER (WHERE kind IN {_NUMBERS})",
    "count(*) FILTER (WHERE kept)",
    "count(*) FILTER (WHERE kind = 'nan')",
    "count(*) FILTER (WHERE kind = 'boolean')",
    "count(*) FILTER (WHERE kind IN ('date', 'midnight'))",
    "count(*) FILTER (WHERE kind IN ('midnight', 'moment'))",
    "count(*) FILTER (WHERE kind = 'instant')",
    "coalesce(max(strlen(split_part(digits, '.', 1))), 0)",
    "coalesce(max(strlen(split_part(digits, '.', 2))), 0)",
)
"""SQL for the arguments of `Seen`."""


def _kind(text: str, formats: Formats) -> str:
    """SQL for the way in which a text is written; NULL for any other.

    A day is `midnight` if it is also a timestamp.
    """
    date = from_text(text, Primitive("date"), formats)
    moment = from_text(text, Primitive("timestamp_ntz"), formats)
    instant = from_text(text, Primitive("timestamp"), formats)
    zoned = f"regexp_full_match({text}, '.*:.*{_ZONE}')"
    day, clock, kind = "true", f"NOT {zoned}", "date"
    if formats.date is None:
        day = f"regexp_full_match({text}, '{_DAY} *')"
    if formats.timestamp is None:
        clock = f"regexp_full_match({text}, '{_DAY}{_CLOCK} *')"
        zoned = f"regexp_full_match({text}, '{_DAY}{_CLOCK}{_ZONE} *')"
    if formats.date is None and formats.timestamp is None:
        kind = "midnight"
    return (
        f"CASE WHEN regexp_full_match({text}, ' *{_FIXED} *') THEN "
        f"CASE WHEN regexp_full_match({text}, ' *({_WHOLE}) *') THEN 'whole' ELSE 'fixed' END "
        f"WHEN regexp_full_match({text}, ' *{_FIXED}{_EXPONENT} *') THEN 'exponent' "
        f"WHEN {text} IN {_NO_NUMBERS} THEN 'nan' "
        f"WHEN lower({text}) IN ('true', 'false') THEN 'boolean' "
        f"WHEN {day} AND {date} IS NOT NULL THEN {literal(kind)} "
        f"WHEN {clock} AND {moment} IS NOT NULL THEN 'moment' "
        f"WHEN {zoned} AND {instant} IS NOT NULL THEN 'instant' END"
    )


def exact(text: str, type_: DataType, formats: Formats = ISO, cast: str | None = None) -> str:
    """SQL for the value of a text in a type that was inferred; NULL if the text does not fit.

    `from_text` is for declared types, and takes `00501` for 501 where its author wants a number.

    Args:
        text: SQL of type VARCHAR.
        type_: the column's type.
        formats: how values are written.
        cast: as for `from_text`.
    """
    cast = cast or f"TRY_CAST({text} AS {to_duckdb(type_)})"
    match type_:
        case Primitive("long" | "integer"):
            # From the cheapest to the dearest. pandas writes whole numbers with `.0` if the
            # column has missing values.
            return (
                f"CASE WHEN {plainly.whole(text, cast, to_duckdb(type_))} THEN {cast} "
                f"WHEN CAST({cast} AS VARCHAR) = {text} THEN {cast} "
                f"WHEN regexp_full_match({text}, ' *({_WHOLE})(\\.0*)? *') THEN {cast} END"
            )
        case Primitive("double"):
            number = f"regexp_full_match({text}, ' *{_FIXED}({_EXPONENT})? *')"
            same = f"{significant(text)} = {significant(f'CAST({cast} AS VARCHAR)')}"
            return (
                f"CASE WHEN {plainly.double(text, cast, formats.underscores)} THEN {cast} "
                f"WHEN strlen({text}) <= {plainly.SAFE_LENGTH} "
                f"AND regexp_full_match({text}, '{_FIXED}') THEN {cast} "
                f"WHEN {number} THEN CASE WHEN {same} THEN {cast} END "
                f"WHEN {text} IN {_NO_NUMBERS} THEN {cast} END"
            )
        case Decimal(_, scale):
            return (
                f"CASE WHEN regexp_full_match({text}, ' *{_FIXED} *') AND NOT "
                f"regexp_matches({text}, '\\.[0-9]{{{scale}}}[0-9]*[1-9]') THEN {cast} END"
            )
        case Primitive("boolean"):
            # DuckDB takes `1`, `t` and `y` for true, too.
            return f"CASE WHEN lower({text}) IN ('true', 'false') THEN {cast} END"
        case _:
            return from_text(text, type_, formats, cast)
