"""Proofs that a text is written plainly which cost little, as SQL.

To make a text of a value again and compare it with the one that was cast costs DuckDB more than
the cast. Of most texts their length and the size of the value tell as much: `155190` has six
characters, and a sign, a space, a zero in front, an underscore, a point or an exponent would leave
too few digits for a value of 100,000 and more. What is not proved may be fine all the same: it is
looked at with care.
"""

from __future__ import annotations

_LONGEST = {"BIGINT": 19, "INTEGER": 10, "SMALLINT": 5, "TINYINT": 3}
_FEWEST, _MOST = 3, 18
"""Decimals of fewer digits have no hundred; of more, comparing them takes what is gained."""
SAFE_LENGTH = 15
"""A number of so many characters, and so many digits at most, is a double's shortest text."""


def whole(text: str, value: str, target: str) -> str:
    """SQL that is true only if a text is the digits of a whole number, the first of them no zero.

    A value with as many digits as its text has characters is nothing but these. Of an exponent's
    text that holds only with zeros at its end (`12e2` is 1200), of `0x…` never from 1 to 9.

    Args:
        text: SQL of type VARCHAR.
        value: SQL of DuckDB's cast of it to `target`.
        target: BIGINT, INTEGER, SMALLINT or TINYINT.
    """
    least = ", ".join(str(10**digits if digits else 0) for digits in range(_LONGEST[target]))
    enough = f"{value} >= list_extract(CAST([{least}] AS {target}[]), strlen({text}))"
    return (
        f"({enough} AND ({text} >= '1' OR strlen({text}) = 1) "
        f"AND ({value} % 100 <> 0 OR strlen({text}) < 3))"
    )


def decimal(text: str, value: str, precision: int, scale: int, underscores: bool) -> str:
    """SQL that is true only if a text is a number that its cast to a DECIMAL has not rounded.

    The cast rounds a text of n characters only if it has more than `scale` digits behind the
    point, or an exponent, which leaves at most 10^(n - 2) of the type's smallest units. It takes
    `11e0.` for a number, too; in its value there are zeros for the three characters.

    Args:
        text, value: as for `whole`.
        precision, scale: of the DECIMAL.
        underscores: whether the text may have some (`1_0`, which is no number here).
    """
    if not _FEWEST <= precision <= _MOST:
        return "false"
    target = f"DECIMAL({precision}, {scale})"
    least = ", ".join(_decimal(n, scale) for n in (0, *(10**n for n in range(precision))))
    hundred = f"CAST({_decimal(100, scale)} AS {target})"
    large = (
        f"{text} >= '1' AND {value} % {hundred} <> 0 "
        f"AND {value} > list_extract(CAST([{least}] AS {target}[]), strlen({text}))"
    )
    # `0.04`; a text so short has no room for a place too many, nor for an exponent below zero.
    small = f"strlen({text}) <= {min(scale + 2, 4)} AND {text} BETWEEN '0.' AND '0/'"
    return f"(({large} OR {small}){without(text, underscores)})"


def double(text: str, value: str, underscores: bool) -> str:
    """SQL that is true only if a text is a short number, as people write it, or with an exponent.

    Of texts that begin with a digit, but not with a zero too many, DuckDB takes only these for
    numbers, and those with an underscore. So many digits are the shortest text of a double.

    Args:
        text, value, underscores: as for `decimal`.
    """
    return (
        f"(strlen({text}) <= {SAFE_LENGTH} "
        f"AND ({text} BETWEEN '1' AND ':' OR {text} BETWEEN '0.' AND '0/') "
        f"AND ({value} BETWEEN 1e-15 AND 1e15 OR {text} IN ('0.0', '0.00'))"
        f"{without(text, underscores)})"
    )


def day(text: str, value: str) -> str:
    """SQL that is true only if a text is a day of the years 1000 to 9999, and nothing else.

    Ten characters have no room for a time of day behind it.

    Args:
        text: as for `whole`.
        value: SQL of DuckDB's cast of it to DATE.
    """
    return (
        f"(strlen({text}) = 10 AND {text} BETWEEN '1' AND ':' "
        f"AND {value} BETWEEN DATE '1000-01-01' AND DATE '9999-12-31')"
    )


def _decimal(units: int, scale: int) -> str:
    return f"{units // 10**scale}.{units % 10**scale:0{scale}}" if scale else str(units)


def without(text: str, underscores: bool) -> str:
    """SQL that follows a condition, for a text without underscores; empty if it can have none."""
    return f" AND NOT contains({text}, '_')" if underscores else ""
