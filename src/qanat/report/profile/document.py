"""The JSON object of a profile."""

from __future__ import annotations

from collections.abc import Sequence

from qanat.model.profile import (
    Association,
    Bin,
    CandidateKey,
    ColumnProfile,
    Entries,
    Numbers,
    Profile,
    Quantile,
    Texts,
    ValueCount,
)
from qanat.report.keys import SECONDS_KEY, VERSION_KEY, moment
from qanat.report.shape import Key, Shape

_BOUND = int | float | str | bool | None
VALUE = Shape(
    "ProfileValue",
    ValueCount,
    ("value", "rows"),
    "A value, or a pattern of values, and how many rows have it.",
)
QUANTILE = Shape(
    "ProfileQuantile",
    Quantile,
    ("share", "value"),
    "The value, as text, at or below which a share (0 to 1) of the values lie.",
)
BIN = Shape(
    "ProfileBin",
    Bin,
    ("low", "high", "rows"),
    "How many values lie from `low` to `high`, which is only in the last bin its own. Both are\n"
    "numbers, or ISO 8601 for dates and times.",
)
NUMBERS = Shape(
    "ProfileNumbers",
    Numbers,
    ("mean", "deviation", "zeros", "negatives", "not_finite"),
    "What only numbers have. `mean` and `deviation` (of a sample) leave out NaN, infinities and\n"
    "numbers beyond 1e150; `not_finite` counts NaN and infinities.",
)
TEXTS = Shape(
    "ProfileTexts",
    Texts,
    (
        "shortest",
        "longest",
        "mean_length",
        "empty",
        "padded",
        "patterns",
        "patterns_by",
        "reads_as",
    ),
    "What only texts have. Lengths are characters; `padded` texts begin or end with a space. In\n"
    "a pattern `A` is an upper-case letter, `a` a lower-case one, `9` a digit, `a+` several.\n"
    "`reads_as` is what all texts could be read as, such as `whole numbers` or `dates`.",
)
ENTRIES = Shape(
    "ProfileEntries",
    Entries,
    ("fewest", "most", "mean"),
    "How many entries the lists or maps of a column have.",
)
COLUMN = Shape(
    "ProfileColumn",
    ColumnProfile,
    (
        *("name", "type", "nulls", "distinct", "distinct_by"),
        *(Key("low", of=_BOUND), Key("high", of=_BOUND)),
        *("values_by", "quantiles", "histogram", "top", "numbers", "texts", "entries"),
        *(Key("hints", of=list[str], make=lambda each: each.hints), "hints_by"),
    ),
    "A column. `low` and `high` are exact: numbers (decimals are text with all their digits) or\n"
    "text. `distinct_by`, `values_by` (`quantiles`, `histogram`, `top`), `hints_by` and\n"
    "`patterns_by` say how a figure was found: `exact`, `hashed` (all rows with some thousand of\n"
    "the values) or `sample` (of the rows). `hints` are any of `constant`, `all distinct`,\n"
    "`increasing`, `decreasing` and `reads as …`.",
)
ASSOCIATION = Shape(
    "ProfileAssociation",
    Association,
    ("one", "other", "measure", "value"),
    "Two columns that go together. `measure`: `correlation` (Pearson's, -1 to 1) or\n"
    "`association` (Cramér's V, 0 to 1).",
)
KEY = Shape(
    "ProfileKey",
    CandidateKey,
    (Key("columns", of=list[str], make=lambda each: each.columns), "examined", "by"),
    "Columns that tell rows apart, without NULL; `examined` rows were compared.",
)
_KEYS: tuple[Key | str, ...] = (
    *("name", Key("table_version", "version"), "where"),
    *(Key(name, f"profiled.{name}") for name in ("rows", "sampled", "columns")),
    *(Key(name, f"profiled.{name}") for name in ("associations", "keys")),
    Key("at", of=str, make=lambda found: moment(found.at)),
    *("update", SECONDS_KEY),
)
PROFILE = Shape(
    "ProfileDocument",
    Profile,
    (VERSION_KEY, *_KEYS),
    "The columns of a table, of files or of a query, described. `table_version` is null if it is\n"
    "no table; `sampled` is how many of the `rows` were in the sample. `update` is the one that\n"
    "has kept it; null if it was made for whoever asked.",
)
KEPT = Shape("KeptProfile", Profile, _KEYS, "A profile that an update has kept.")
PROFILES = Shape(
    "ProfilesDocument",
    Sequence[Profile],
    (VERSION_KEY, Key("profiles", of=list[Profile], make=list)),
    "What updates have kept, newest first.",
)
PARTS = (KEPT, COLUMN, VALUE, QUANTILE, BIN, NUMBERS, TEXTS, ENTRIES, ASSOCIATION, KEY)
