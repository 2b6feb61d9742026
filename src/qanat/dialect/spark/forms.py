"""Forms: Python functions that make DuckDB's SQL where a template is not enough.

A rule calls a form by its name in capitals, such as `UPPER(s)` or `ROUNDED(x, d)`. A form sees the
arguments themselves: it can translate a literal pattern, and write shorter SQL for a known type.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from qanat.dialect.spark import casts, patterns
from qanat.dialect.spark.kinds import kind
from qanat.dialect.spark.refused import Refused
from qanat.dialect.spark.template import fill, text

Form = Callable[[list[exp.Expr]], exp.Expr]

# Letters whose upper, lower or title case differs between Spark and DuckDB, found by comparing
# both for every letter: the other case has several letters, depends on the letter's position, or
# is too new for one of the two.
_UPPER = (
    r"\x{149}\x{19b}\x{1f0}\x{264}\x{390}\x{3b0}\x{587}\x{1c8a}\x{1e96}-\x{1e9a}"
    r"\x{1f50}-\x{1f57}\x{1f80}-\x{1fff}\x{a7cd}-\x{a7db}\x{fb00}-\x{fb17}"
    r"\x{10d70}-\x{10d85}\x{16ebb}-\x{16ed3}"
)
_LOWER = r"\x{130}\x{3a3}\x{1c89}\x{a7cb}-\x{a7dc}\x{10d50}-\x{10d65}\x{16ea0}-\x{16eb8}"
_TITLE = r"\x{df}\x{1c4}-\x{1cc}\x{1f1}-\x{1f3}\x{10d0}-\x{10ff}"


def literal(node: exp.Expr, what: str) -> str:
    """The text of a string literal.

    Args:
        node: the argument that must be a literal.
        what: what the argument is, for the message.

    Raises:
        Refused: the argument is no literal, so it cannot be translated.
    """
    if isinstance(node, exp.RawString) or (isinstance(node, exp.Literal) and node.is_string):
        return str(node.name)
    raise Refused(f"{what} that is not a literal", "write it as a literal")


def number(node: exp.Expr) -> int | None:
    """The value of a literal whole number, signed or not; None for any other node."""
    if isinstance(node, exp.Paren):
        return number(node.this)
    if isinstance(node, exp.Neg):
        inner = number(node.this)
        return -inner if inner is not None else None
    is_whole = isinstance(node, exp.Literal) and not node.is_string and node.name.isdigit()
    return int(node.name) if is_whole else None


def not_decimal(args: list[exp.Expr]) -> exp.Expr:
    """The value; a decimal is refused, because Spark gives the result another scale."""
    if kind(args[0]) in ("int", "bigint", "double"):
        return args[0]
    if kind(args[0]) == "decimal":
        raise Refused(
            "an operation whose result is a decimal of another scale in Spark",
            "cast the decimal to DOUBLE",
        )
    return fill(
        "CASE WHEN typeof(x) LIKE 'DECIMAL%' THEN error('a decimal here has a result of another"
        " scale in Spark, which is not carried over: cast it to DOUBLE') ELSE x END",
        {"x": args[0]},
    )


def modulo(args: list[exp.Expr]) -> exp.Expr:
    """The remainder `x % y`; a zero divisor is an error in Spark, also for doubles."""
    x, y = args
    if number(y):
        return fill("x % y", {"x": x, "y": y})
    return fill(
        "CASE WHEN y = 0 AND x IS NOT NULL THEN"
        " error('[REMAINDER_BY_ZERO] Remainder by zero; use nullif(…, 0)')"
        " ELSE x % nullif(y, 0) END",
        {"x": x, "y": y},
    )


def rounded(args: list[exp.Expr]) -> exp.Expr:
    """round(x, d): half away from zero, by the decimal digits that Spark shows."""
    x, places = args
    digits = number(places)
    if digits is None:
        raise Refused("round() to a number of places that is not a literal", "write a literal")
    if digits < 0 or kind(x) in ("int", "bigint", "decimal"):
        return fill("round(x, d)", {"x": x, "d": places})
    if digits > 18:
        raise Refused("round() to more than 18 places", "double has 15 to 17 digits")
    template = (
        "coalesce(cast_to_type(CASE WHEN typeof(x) IN ('DOUBLE', 'FLOAT')"
        f" THEN TRY_CAST(CAST(x AS VARCHAR) AS DECIMAL(38, {digits}))"
        f" ELSE TRY_CAST(x AS DECIMAL(38, {digits})) END, round(x, d)), round(x, d))"
    )
    return fill(template, {"x": x, "d": places})


def _cased(args: list[exp.Expr], odd: str, template: str) -> exp.Expr:
    return fill(
        f"CASE WHEN regexp_matches(s, '[{odd}]') THEN error('a letter whose upper or lower case"
        f" is not the same in Spark and DuckDB') ELSE {template} END",
        {"s": args[0]},
    )


def upper(args: list[exp.Expr]) -> exp.Expr:
    """upper(s); 'ß' becomes 'SS'."""
    return _cased(args, _UPPER, "upper(replace(s, 'ß', 'SS'))")


def lower(args: list[exp.Expr]) -> exp.Expr:
    """lower(s)."""
    return _cased(args, _LOWER, "lower(s)")


def substring(args: list[exp.Expr]) -> exp.Expr:
    """substring(s, p, n): p counts from 1, 0 means 1, and below 0 it counts from the end."""
    s, p, *rest = args
    start = number(p)
    n = rest[0] if rest else None
    length = number(n) if n is not None else None
    if start is not None and start >= 0 and n is None:
        return fill(f"substring(s, {max(start, 1)})", {"s": s})
    if start is not None and start >= 0 and length is not None:
        return fill(f"substring(s, {max(start, 1)}, {max(length, 0)})", {"s": s})
    first = "CASE WHEN p > 0 THEN p WHEN p = 0 THEN 1 ELSE length(s) + p + 1 END"
    if n is None:
        return fill(f"substring(s, greatest(CAST({first} AS BIGINT), 1))", {"s": s, "p": p})
    return fill(
        "CASE WHEN n <= 0 OR p IS NULL OR n IS NULL THEN left(s, CASE WHEN p IS NULL OR n IS NULL"
        f" THEN NULL ELSE 0 END) ELSE substring(s, greatest(CAST({first} AS BIGINT), 1),"
        f" greatest(CAST({first} AS BIGINT) + n - greatest(CAST({first} AS BIGINT), 1), 0)) END",
        {"s": s, "p": p, "n": n},
    )


def textual(node: exp.Expr) -> exp.Expr:
    """An operand of `||` as text; types that DuckDB writes in another way fail at run time."""
    if isinstance(node, exp.Null):
        return exp.Cast(this=node, to=exp.DataType.build("text"))
    if kind(node) in ("string", "int", "bigint", "decimal", "bool", "date"):
        return node
    if kind(node) in ("double", "timestamp"):
        return casts.to_text(node)
    return fill(
        "CASE WHEN typeof(x) IN ('DOUBLE', 'FLOAT') OR typeof(x) LIKE 'TIMESTAMP%' THEN"
        " error('write CAST(… AS STRING) to join a double or timestamp to a string') ELSE x END",
        {"x": node},
    )


def concatenated(args: list[exp.Expr]) -> exp.Expr:
    """concat(…): NULL if an argument is NULL."""
    if not args:
        return text("")
    result = textual(args[0])
    for item in args[1:]:
        result = fill("x || y", {"x": result, "y": textual(item)})
    return casts.cast(result, exp.DataType.build("text")) if len(args) == 1 else result


def joined(args: list[exp.Expr]) -> exp.Expr:
    """concat_ws(d, …): NULLs are left out; arrays, which Spark would spread, are an error."""
    items = [casts.to_text(a) for a in args[1:]]
    if any(kind(a) is None for a in args[1:]):
        items = [
            fill(
                "CASE WHEN typeof(x) LIKE '%[]' THEN error('concat_ws with an array: use"
                " array_join') ELSE t END",
                {"x": a, "t": i},
            )
            if kind(a) is None
            else i
            for a, i in zip(args[1:], items, strict=True)
        ]
    return exp.Anonymous(this="concat_ws", expressions=[args[0], *items])


def _subject(s: exp.Expr, dot: bool, dollar: bool) -> exp.Expr:
    """The text to search, with a check: Java and RE2 differ on line ends other than a newline.

    Args:
        s: the text.
        dot: True if the pattern has a `.`.
        dollar: True if the pattern has a `$`.
    """
    odd = []
    if dot:
        odd.append(r"[\r\x{85}\x{2028}\x{2029}]")
    if dollar:
        odd.append(r"[\n\r\x{85}\x{2028}\x{2029}]\z")
    if not odd:
        return s
    return fill(
        f"CASE WHEN regexp_matches(s, '{'|'.join(odd)}') THEN error('a line end in a text that"
        " is searched with . or $ is not carried over from Spark') ELSE s END",
        {"s": s},
    )


def _searched(name: str, s: exp.Expr, p: exp.Expr, *rest: exp.Expr) -> exp.Expr:
    found, dot, dollar = patterns.regex(literal(p, "a regular expression"))
    return exp.Anonymous(this=name, expressions=[_subject(s, dot, dollar), text(found), *rest])


def matches(args: list[exp.Expr]) -> exp.Expr:
    """s RLIKE p: the pattern may match anywhere in the text."""
    return _searched("regexp_matches", args[0], args[1])


def replaced(args: list[exp.Expr]) -> exp.Expr:
    """regexp_replace(s, p, r): every occurrence is replaced."""
    wanted = patterns.replacement(literal(args[2], "the text of regexp_replace"))
    return _searched("regexp_replace", args[0], args[1], text(wanted), text("g"))


def extracted(args: list[exp.Expr]) -> exp.Expr:
    """regexp_extract(s, p, g)."""
    group = number(args[2])
    if group is None:
        raise Refused("a group of regexp_extract that is not a literal", "write a literal")
    have = patterns.groups(literal(args[1], "a regular expression"))
    if group > have:
        raise Refused(
            f"group {group} of a regular expression that has {have}",
            "the whole match is group 0: regexp_extract(s, pattern, 0)",
        )
    return _searched("regexp_extract", args[0], args[1], exp.Literal.number(group))


def counted(args: list[exp.Expr]) -> exp.Expr:
    """regexp_count(s, p)."""
    found = _searched("regexp_extract_all", args[0], args[1])
    return fill("CAST(len(x) AS INTEGER)", {"x": found})


def split(args: list[exp.Expr]) -> exp.Expr:
    """split(s, p): by a regular expression."""
    pattern = literal(args[1], "a regular expression")
    if pattern in ("", "^", "$") or patterns.could_be_empty(pattern):
        raise Refused("split() by a pattern that matches nothing at all", "split by a separator")
    return _searched("string_split_regex", args[0], args[1])


def initcap(args: list[exp.Expr]) -> exp.Expr:
    """initcap(s): a word begins after a space."""
    return _cased(
        args,
        _UPPER + _LOWER + _TITLE,
        "array_to_string(list_transform(string_split(lower(s), ' '), lambda w__:"
        " upper(left(w__, 1)) || substring(w__, 2)), ' ')",
    )


def levenshtein(args: list[exp.Expr]) -> exp.Expr:
    """levenshtein(s, t): DuckDB counts bytes and Spark letters, so only ASCII text is allowed."""
    return fill(
        "CASE WHEN strlen(s) <> length(s) OR strlen(t) <> length(t) THEN"
        " error('levenshtein of texts with other than ASCII letters') ELSE"
        " CAST(levenshtein(s, t) AS INTEGER) END",
        {"s": args[0], "t": args[1]},
    )


def sha2(args: list[exp.Expr]) -> exp.Expr:
    """sha2(s, 256)."""
    if number(args[1]) not in (0, 256):
        raise Refused("sha2() of other than 256 bits", "use sha2(x, 256)")
    return fill("sha256(s)", {"s": args[0]})


def date_format(args: list[exp.Expr]) -> exp.Expr:
    """date_format(t, p)."""
    pattern = patterns.strftime_pattern(literal(args[1], "a date pattern"))
    return fill(
        "strftime(CAST(t AS TIMESTAMP), p)",
        {"t": casts.to_timestamp(args[0]), "p": text(pattern)},
    )


def _parsed(args: list[exp.Expr], to: str) -> exp.Expr:
    if kind(args[0]) in ("date", "timestamp"):
        return casts.cast(args[0], exp.DataType.build(to))
    pattern, look = patterns.strptime_pattern(literal(args[1], "a date pattern"))
    target = "DATE" if to == "date" else "TIMESTAMPTZ"
    return fill(
        "CASE WHEN s IS NULL THEN NULL WHEN regexp_full_match(s, look) THEN"
        f" CAST(strptime(s, p) AS {target}) ELSE error('[CANNOT_PARSE_TIMESTAMP] a text does not"
        " fit the date pattern') END",
        {"s": args[0], "look": text(look), "p": text(pattern)},
    )


def parsed_date(args: list[exp.Expr]) -> exp.Expr:
    """to_date(s, p)."""
    return _parsed(args, "date")


def parsed_timestamp(args: list[exp.Expr]) -> exp.Expr:
    """to_timestamp(s, p)."""
    return _parsed(args, "timestamptz")


UNITS = {
    "year": "year", "yyyy": "year", "yy": "year", "quarter": "quarter", "month": "month",
    "mon": "month", "mm": "month", "week": "week", "day": "day", "dd": "day", "hour": "hour",
    "minute": "minute", "second": "second", "millisecond": "milliseconds",
    "microsecond": "microseconds",
}  # fmt: skip


def truncated(args: list[exp.Expr]) -> exp.Expr:
    """date_trunc(u, t)."""
    unit = UNITS.get(literal(args[0], "the unit of date_trunc").lower())
    if unit is None:
        raise Refused("an unknown unit of date_trunc", "known are " + " ".join(UNITS))
    return fill("date_trunc(u, t)", {"u": text(unit), "t": casts.to_timestamp(args[1])})


def truncated_date(args: list[exp.Expr]) -> exp.Expr:
    """trunc(d, u) of a date."""
    unit = UNITS.get(literal(args[1], "the unit of trunc").lower())
    if unit not in ("year", "quarter", "month", "week"):
        raise Refused("this unit of trunc", "known are year, quarter, month and week")
    return fill("CAST(date_trunc(u, d) AS DATE)", {"u": text(unit), "d": casts.to_date(args[0])})


def decoded(args: list[exp.Expr]) -> exp.Expr:
    """decode(value, key, result, …, default): NULL equals NULL."""
    if len(args) < 3:
        raise Refused("decode() from bytes", "cast to STRING")
    value, rest = args[0], args[1:]
    ifs = [
        exp.If(this=exp.NullSafeEQ(this=value.copy(), expression=key.copy()), true=result.copy())
        for key, result in zip(rest[::2], rest[1::2], strict=False)
    ]
    default = rest[-1] if len(rest) % 2 else None
    return exp.Case(ifs=ifs, default=default)


def _to(name: str) -> Form:
    """The form of a cast that is written as a call: int(x), string(x), …"""
    to = exp.DataType.build(name, dialect="spark")

    def form(args: list[exp.Expr]) -> exp.Expr:
        return casts.cast(args[0], to.copy())

    return form


FORMS: dict[str, Form] = {
    "NOT_DECIMAL": not_decimal,
    "MODULO": modulo,
    "ROUNDED": rounded,
    "UPPER": upper,
    "LOWER": lower,
    "SUBSTRING_": substring,
    "CONCATENATED": concatenated,
    "JOINED": joined,
    "REGEX": matches,
    "REPLACED": replaced,
    "EXTRACTED": extracted,
    "COUNTED": counted,
    "SPLIT_": split,
    "INITCAP_": initcap,
    "LEVENSHTEIN_": levenshtein,
    "SHA2_": sha2,
    "FORMATTED": date_format,
    "PARSED_DATE": parsed_date,
    "PARSED_TIMESTAMP": parsed_timestamp,
    "TRUNCATED": truncated,
    "TRUNCATED_DATE": truncated_date,
    "TO_TINYINT": _to("tinyint"),
    "TO_SMALLINT": _to("smallint"),
    "TO_INT": _to("int"),
    "TO_BIGINT": _to("bigint"),
    "TO_FLOAT": _to("float"),
    "TO_DOUBLE": _to("double"),
    "TO_STRING": _to("string"),
    "TO_BOOLEAN": _to("boolean"),
    "DECODED": decoded,
    "DATE_": lambda args: casts.to_date(args[0]),
    "TIMESTAMP_": lambda args: casts.to_timestamp(args[0]),
}
