"""Casts with Spark's meaning in ANSI mode.

If the operand's type cannot be inferred from the text, the result branches on `typeof(x)`. DuckDB
evaluates that when it compiles the query, so the branches for other types cost nothing.
"""

from __future__ import annotations

from sqlglot import exp

from qanat.dialect.spark.kinds import kind, with_kind
from qanat.dialect.spark.refused import Refused
from qanat.dialect.spark.template import fill

_INTS = {
    exp.DType.TINYINT: "TINYINT",
    exp.DType.SMALLINT: "SMALLINT",
    exp.DType.INT: "INTEGER",
    exp.DType.BIGINT: "BIGINT",
}
_FLOATS = {exp.DType.FLOAT: "FLOAT", exp.DType.DOUBLE: "DOUBLE"}
_STAMPS = {
    exp.DType.TIMESTAMPTZ: "TIMESTAMPTZ",
    exp.DType.TIMESTAMPLTZ: "TIMESTAMPTZ",
    exp.DType.TIMESTAMP: "TIMESTAMPTZ",
    exp.DType.TIMESTAMPNTZ: "TIMESTAMP",
}
_TEXTS = (exp.DType.TEXT, exp.DType.VARCHAR, exp.DType.CHAR)
_WHOLE = "'\\s*[+-]?[0-9]+\\s*'"
_DATE = "'\\s*[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}\\s*'"
_DATED = "'\\s*[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([ T].*)?\\s*'"
_CLOCK = (
    "[ T][0-9]{1,2}:[0-9]{1,2}(:[0-9]{1,2}(\\.[0-9]{1,9})?)?( ?(Z|UTC|[+-][0-9]{2}:[0-9]{2}))?"
)
_STAMP = f"'\\s*[0-9]{{4}}-[0-9]{{1,2}}-[0-9]{{1,2}}({_CLOCK})?\\s*'"
_INVALID = "error('[CAST_INVALID_INPUT] a string is no {what}; use try_cast for NULL instead')"
_IS_TEXT = "typeof(x) = 'VARCHAR'"
_IS_FLOAT = "typeof(x) IN ('DOUBLE', 'FLOAT')"
_IS_DECIMAL = "typeof(x) LIKE 'DECIMAL%'"
_IS_STAMP = "typeof(x) LIKE 'TIMESTAMP%'"


def cast(operand: exp.Expr, to: exp.DataType, tries: bool = False) -> exp.Expr:
    """`CAST(operand AS to)` with Spark's meaning.

    Args:
        operand: the value, already translated.
        to: the target type.
        tries: True for `TRY_CAST`, which gives NULL instead of an error.

    Raises:
        Refused: DuckDB has no cast with Spark's meaning.
    """
    if isinstance(operand, exp.Null):
        return exp.Cast(this=operand, to=to)
    template = _template(to, kind(operand), tries)
    return with_kind(fill(template, {"x": operand}), kind(exp.Cast(this=exp.Null(), to=to)))


def to_text(operand: exp.Expr) -> exp.Expr:
    """Spark's cast to STRING."""
    return cast(operand, exp.DataType.build("text"))


def to_date(operand: exp.Expr) -> exp.Expr:
    """Spark's implicit cast to DATE."""
    if kind(operand) == "date":
        return operand
    return cast(operand, exp.DataType.build("date"))


def to_timestamp(operand: exp.Expr) -> exp.Expr:
    """Spark's implicit cast to TIMESTAMP."""
    return cast(operand, exp.DataType.build("timestamptz"))


def _template(to: exp.DataType, known: str | None, tries: bool) -> str:
    word = "TRY_CAST" if tries else "CAST"
    target = to.this
    if target in _TEXTS:
        return _text(known)
    if target in _INTS:
        return _whole(_INTS[target], known, word, tries)
    if target in _FLOATS:
        return f"{word}(x AS {_FLOATS[target]})"
    if target is exp.DType.DECIMAL:
        return _decimal(to, known, word)
    if target is exp.DType.DATE:
        return _date(known, word, tries)
    if target in _STAMPS:
        return _timestamp(_STAMPS[target], known, word, tries)
    if target is exp.DType.BOOLEAN:
        return _boolean(known, word, tries)
    if target in (exp.DType.BINARY, exp.DType.VARBINARY):
        return "encode(x)"
    raise Refused(
        f"a cast to {to.sql(dialect='spark')}",
        "cast the elements one by one, with transform() or a struct of casts",
    )


def _decimal(to: exp.DataType, known: str | None, word: str) -> str:
    name = to.sql(dialect="duckdb") if to.expressions else "DECIMAL(10, 0)"
    # Spark rounds a double by its shortest decimal digits, DuckDB by its binary value.
    exact = f"{word}(CAST(x AS VARCHAR) AS {name})"
    if known == "double":
        return exact
    if known is not None:
        return f"{word}(x AS {name})"
    return f"CASE WHEN {_IS_FLOAT} THEN {exact} ELSE {word}(x AS {name}) END"


def _date(known: str | None, word: str, tries: bool) -> str:
    bad = "NULL" if tries else _INVALID.format(what="date")
    plain = f"{word}(x AS DATE)"
    if known in ("date", "timestamp"):
        return plain
    checked = (
        f"CASE WHEN regexp_full_match(CAST(x AS VARCHAR), {_DATED}) THEN"
        f" {word}(regexp_extract(CAST(x AS VARCHAR), '[0-9]+-[0-9]+-[0-9]+') AS DATE)"
        f" WHEN x IS NULL THEN NULL ELSE {bad} END"
    )
    if known == "string":
        return checked
    return f"CASE WHEN {_IS_TEXT} THEN {checked} ELSE {plain} END"


def _timestamp(name: str, known: str | None, word: str, tries: bool) -> str:
    plain = f"{word}(x AS {name})"
    bad = "NULL" if tries else _INVALID.format(what="timestamp")
    if known in ("date", "timestamp"):
        return plain
    if known in ("int", "bigint") and name == "TIMESTAMPTZ":
        return "to_timestamp(x)"
    checked = (
        f"CASE WHEN x IS NULL OR regexp_full_match(CAST(x AS VARCHAR), {_STAMP})"
        f" THEN {plain} ELSE {bad} END"
    )
    if known == "string":
        return checked
    return f"CASE WHEN {_IS_TEXT} THEN {checked} ELSE {plain} END"


def _boolean(known: str | None, word: str, tries: bool) -> str:
    bad = "NULL" if tries else _INVALID.format(what="boolean")
    lower = "lower(trim(CAST(x AS VARCHAR)))"
    checked = (
        f"CASE WHEN {lower} IN ('t', 'true', 'y', 'yes', '1') THEN TRUE"
        f" WHEN {lower} IN ('f', 'false', 'n', 'no', '0') THEN FALSE"
        f" WHEN x IS NULL THEN NULL ELSE {bad} END"
    )
    if known == "string":
        return checked
    if known is not None:
        return f"{word}(x AS BOOLEAN)"
    return f"CASE WHEN {_IS_TEXT} THEN {checked} ELSE {word}(x AS BOOLEAN) END"


def _text(known: str | None) -> str:
    if known in ("int", "bigint", "decimal", "string", "bool", "date"):
        return "CAST(x AS VARCHAR)"
    # Java writes larger and smaller doubles with an exponent, in a form that DuckDB lacks.
    number = (
        "CASE WHEN isnan(TRY_CAST(x AS DOUBLE)) THEN 'NaN'"
        " WHEN TRY_CAST(x AS DOUBLE) = CAST('inf' AS DOUBLE) THEN 'Infinity'"
        " WHEN TRY_CAST(x AS DOUBLE) = CAST('-inf' AS DOUBLE) THEN '-Infinity'"
        " WHEN TRY_CAST(x AS DOUBLE) = 0 OR abs(TRY_CAST(x AS DOUBLE)) BETWEEN 0.001 AND 9999999"
        " OR x IS NULL THEN CAST(x AS VARCHAR)"
        " ELSE error('a double this large or small as a string is not carried over from Spark;"
        " round it or cast it to a decimal first') END"
    )
    if known == "double":
        return number
    stamp = "CAST(TRY_CAST(CAST(x AS VARCHAR) AS TIMESTAMP) AS VARCHAR)"
    if known == "timestamp":
        return "CAST(CAST(x AS TIMESTAMP) AS VARCHAR)"
    nested = "typeof(x) LIKE '%[]' OR typeof(x) LIKE 'STRUCT(%' OR typeof(x) LIKE 'MAP(%'"
    return (
        f"CASE WHEN {_IS_FLOAT} THEN {number} WHEN {_IS_STAMP} THEN {stamp}"
        f" WHEN {nested} THEN error('arrays, maps and structs as strings are not carried over"
        f" from Spark; use array_join') ELSE CAST(x AS VARCHAR) END"
    )


def _whole(name: str, known: str | None, word: str, tries: bool) -> str:
    bad = "NULL" if tries else _INVALID.format(what=name)
    plain = f"{word}(x AS {name})"
    # Spark cuts the fraction off; DuckDB rounds.
    cut = f"{word}(trunc(TRY_CAST(x AS DOUBLE)) AS {name})"
    digits = f"{word}(split_part(CAST(x AS VARCHAR), '.', 1) AS {name})"
    checked = (
        f"CASE WHEN x IS NULL OR regexp_full_match(CAST(x AS VARCHAR), {_WHOLE})"
        f" THEN {word}(trim(CAST(x AS VARCHAR)) AS {name}) ELSE {bad} END"
    )
    if known in ("int", "bigint", "bool"):
        return plain
    if known == "double":
        return cut
    if known == "decimal":
        return digits
    if known == "string":
        return checked
    stamp = f"{word}(floor(epoch(TRY_CAST(CAST(x AS VARCHAR) AS TIMESTAMP))) AS {name})"
    if known == "timestamp":
        return f"{word}(floor(epoch(x)) AS {name})"
    return (
        f"CASE WHEN {_IS_FLOAT} THEN {cut} WHEN {_IS_DECIMAL} THEN {digits}"
        f" WHEN {_IS_TEXT} THEN {checked} WHEN {_IS_STAMP} THEN {stamp} ELSE {plain} END"
    )
