"""Casts text to typed values without loss, and describes the values that do not fit.

DuckDB's own casts round silently (`'1.5'` to BIGINT is 2). Here a text fits a type only if the
value keeps all of it. A text that does not fit becomes NULL; the caller compares with the text to
tell that from a missing value.
"""

from __future__ import annotations

from collections.abc import Sequence

from qanat.engines.duckdb.files.digits import to_decimal, to_double, to_whole
from qanat.engines.duckdb.files.moments import to_day, to_moment
from qanat.engines.duckdb.typenames import to_duckdb
from qanat.frozen import Frozen
from qanat.model.schema import DataType, Decimal, Field, Primitive
from qanat.text import literal

_SHOWN = 200
_FEW = 64
"""Columns that are checked one by one."""


class Value(Frozen):
    """How one visible column is read from a file.

    Args:
        original: SQL for the value as it is in the file; NULL if the file has none.
        json: SQL for the original as JSON text.
        typed: SQL for the value in the column's type; NULL if the original does not fit.
        checked: True if `typed` may be NULL where `original` is not.
        apart: `json` as a pattern (`{x}`) and what stands in it, if that is shorter for many.
    """

    original: str
    json: str
    typed: str
    checked: bool
    apart: tuple[str, str] | None = None


class Check(Frozen):
    """A column whose values may not fit.

    Args:
        field: the column.
        value: how it is read.
        result: SQL for the typed value, once it has been computed.
    """

    field: Field
    value: Value
    result: str

    @property
    def failed(self) -> str:
        """SQL that is true if the value does not fit; reads the original only where it must."""
        return (
            f"(CASE WHEN {self.result} IS NULL THEN {self.value.original} IS NOT NULL "
            "ELSE false END)"
        )


def typed_columns(
    fields: Sequence[Field], values: Sequence[Value | None]
) -> tuple[list[str], list[Check]]:
    """The columns v0, v1, … of some fields as SQL, and those of them that may not fit.

    Args:
        values: one for each field; None if the files have no such column.
    """
    typed: list[str] = []
    checks: list[Check] = []
    for i, (f, value) in enumerate(zip(fields, values, strict=True)):
        if value is None:
            typed.append(f"CAST(NULL AS {to_duckdb(f.type)}) AS v{i}")
            continue
        typed.append(f"{value.typed} AS v{i}")
        if value.checked:
            checks.append(Check(f, value, f"v{i}"))
    return typed, checks


def failed(checks: Sequence[Check]) -> str:
    """SQL that is true if a value of the row does not fit."""
    return " OR ".join(c.failed for c in checks) or "false"


def error(checks: Sequence[Check]) -> str:
    """SQL for the error text of a row; NULL if every value fits."""
    if not checks:
        return "CAST(NULL AS VARCHAR)"
    texts = ", ".join(
        f"CASE WHEN {c.failed} THEN {literal(f'column {c.field.name!r}: ')} || "
        f"left({c.value.json}, {_SHOWN}) || {literal(f' does not fit {c.field.type}')} END"
        for c in checks
    )
    return f"CASE WHEN {failed(checks)} THEN concat_ws('; ', {texts}) END"


def judged(rows: str, checks: Sequence[Check]) -> tuple[str, str]:
    """Rows with more columns if need be, and SQL for the error text of each (see `error`).

    Args:
        rows: a SELECT of the values and their originals.
        checks: the columns whose values may not fit.
    """
    if len(checks) <= _FEW:
        return rows, error(checks)
    # A CASE for each of 2,000 columns takes DuckDB 2.0 15 s to compile.
    flags = ", ".join(f"{c.result} IS NULL AND {c.value.original} IS NOT NULL" for c in checks)
    names = ", ".join(literal(f"column {c.field.name!r}: ") for c in checks)
    types = ", ".join(literal(f" does not fit {c.field.type}") for c in checks)
    apart = [c.value.apart or ("", "") for c in checks]
    shown, pattern = [c.value.json for c in checks], "{x}"
    if apart[0][0] and len({pattern for pattern, _ in apart}) == 1:
        # One expression shows the values that do not fit: one for each of 2,000 takes 0.3 s.
        shown, pattern = [part for _, part in apart], apart[0][0]
    zipped = f"list_zip(misfits, [{names}], [{', '.join(shown)}], [{types}])"
    wrong = f"list_filter({zipped}, lambda x: x[1])"
    value = pattern.format(x="x[3]")
    told = f"list_transform({wrong}, lambda x: x[2] || left({value}, {_SHOWN}) || x[4])"
    return (
        f"SELECT *, [{flags}] AS misfits FROM ({rows})",
        f"CASE WHEN list_contains(misfits, true) THEN array_to_string({told}, '; ') END",
    )


def rescued(checks: Sequence[Check], extras: Sequence[tuple[str, str]], path: str) -> str:
    """SQL for `_rescued_data`: a JSON object, or NULL if there is nothing to rescue.

    Args:
        checks: the columns whose values may not fit.
        extras: the unexpected columns: each name, with SQL for the value as JSON text.
        path: SQL for the path of the file.
    """
    parts = [
        f"CASE WHEN {c.failed} THEN {literal(key(c.field.name))} || {c.value.json} END"
        for c in checks
    ]
    parts += [f"{literal(key(name))} || {json}" for name, json in extras]
    if not parts:
        return "CAST(NULL AS VARCHAR)"
    body = f"nullif(concat_ws(',', {', '.join(parts)}), '')"
    return f"'{{' || {body} || ',\"_file_path\":' || to_json({path}) || '}}'"


def key(name: str) -> str:
    """A name as the key of a JSON object, with the colon behind it.

    >>> key('a"b')
    '"a\\\\"b":'
    """
    escaped = "".join(
        f"\\u{ord(c):04x}" if ord(c) < 32 else "\\" + c if c in '"\\' else c for c in name
    )
    return f'"{escaped}":'


_INTEGERS = frozenset({"long", "integer", "short", "byte"})
_JAVA = (
    ("yyyy", "%Y"),
    ("yy", "%y"),
    ("MMMM", "%B"),
    ("MMM", "%b"),
    ("MM", "%m"),
    ("M", "%-m"),
    ("dd", "%d"),
    ("d", "%-d"),
    ("HH", "%H"),
    ("hh", "%I"),
    ("mm", "%M"),
    ("SSSSSS", "%f"),
    ("SSS", "%g"),
    ("ss", "%S"),
    ("a", "%p"),
    ("XXX", "%z"),
    ("Z", "%z"),
)


class Formats(Frozen):
    """How values are written.

    Args:
        date, timestamp: the patterns of days and times; None for ISO 8601.
        underscores: False if it is known that no value has one: then none is looked for.
    """

    date: str | None = None
    timestamp: str | None = None
    underscores: bool = True


ISO = Formats()


def from_text(text: str, type_: DataType, formats: Formats = ISO, cast: str | None = None) -> str:
    """SQL for the value of a text expression in a type; NULL if the text does not fit.

    Args:
        text: SQL of type VARCHAR.
        type_: the target type.
        formats: how values are written.
        cast: SQL of what `cast_of` gives, if it has been computed: here it stands several times,
            and is computed as often.
    """
    target = to_duckdb(type_)
    cast = cast or f"TRY_CAST({text} AS {target})"
    match type_:
        case Primitive("string"):
            return text
        case Primitive("binary"):
            return f"encode({text})"
        case Primitive(name) if name in _INTEGERS:
            return to_whole(text, target, cast)
        case Primitive("double" | "float"):
            return to_double(text, target, cast, formats.underscores)
        case Primitive("date"):
            return to_day(text, formats.date and strptime(formats.date), cast)
        case Primitive("timestamp" | "timestamp_ntz"):
            return to_moment(text, target, formats.timestamp and strptime(formats.timestamp))
        case Decimal(precision, scale):
            return to_decimal(text, target, cast, precision, scale, formats.underscores)
        case _:
            return cast


def cast_of(text: str, type_: DataType, formats: Formats = ISO) -> str | None:
    """SQL for DuckDB's own cast of a text, which `from_text` looks at; None if it needs none."""
    match type_:
        case Primitive("date") if formats.date:
            return None
        case Primitive("double" | "date") | Decimal():
            pass
        case Primitive(name) if name in _INTEGERS:
            pass
        case _:
            return None
    return f"TRY_CAST({text} AS {to_duckdb(type_)})"


def strptime(pattern: str) -> str:
    """A date pattern in strftime's letters; a pattern in Java's letters (Spark) is translated.

    >>> strptime("yyyy-MM-dd HH:mm:ss"), strptime("%d.%m.%Y")
    ('%Y-%m-%d %H:%M:%S', '%d.%m.%Y')
    """
    if "%" in pattern:
        return pattern
    out, at = "", 0
    while at < len(pattern):
        for letters, code in _JAVA:
            if pattern.startswith(letters, at):
                out += code
                at += len(letters)
                break
        else:
            if pattern[at] != "'":
                out += pattern[at]
            at += 1
    return out
