"""The values of text columns, of few or of thousands.

To compile an expression for each column costs DuckDB 2.0 the square of their number: 2,000 casts
took it 5 s, whatever the number of rows. So where many columns have one type they become one list,
which one expression casts: 0.2 s, though a third more work for each row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qanat.engines.duckdb.files.cast import Formats, Value, cast_of, from_text
from qanat.engines.duckdb.files.infer import exact
from qanat.model.schema import STRING, DataType, Field, Primitive, Schema

_FEW = 64
"""Columns of one type that are cast one by one."""
_JSON = "CAST(to_json({x}) AS VARCHAR)"
_TEXTS = (STRING, Primitive("binary"))


def text_values(
    fields: Sequence[Field],
    texts: Sequence[str | None],
    present: Callable[[str], str],
    sought: Callable[[str], str],
    declared: Schema,
    formats: Formats,
    inferred: Callable[[str, DataType, Formats, str | None], str] = exact,
) -> tuple[list[Value | None], list[str]]:
    """How the values of fields are read from columns of text.

    Args:
        fields: the columns of the batch.
        texts: for each, SQL of its text; None if the files have no such column.
        present: from SQL for a text to SQL that is NULL if there is no value, for all types but
            texts.
        sought: the same for what is cast, where an empty text may stay: it fits no type.
        declared: the columns whose type the author chose; other types were inferred.
        formats: how values are written.
        inferred: SQL for a text in a type that was inferred.

    Returns:
        The values, and columns that must be selected beside the texts to compute them.
    """
    typed: dict[int, str] = {}
    alike: dict[tuple[str, bool], list[int]] = {}
    for at, (field, text) in enumerate(zip(fields, texts, strict=True)):
        if text is not None and field.type in _TEXTS:
            typed[at] = from_text(text, field.type)
        elif text is not None:
            chosen = declared.get(field.name) is not None
            alike.setdefault((str(field.type), chosen), []).append(at)
    more: list[str] = []
    for (_, chosen), members in alike.items():
        cast, type_ = from_text if chosen else inferred, fields[members[0]].type
        if len(members) <= _FEW:
            for at in members:
                text = sought(str(texts[at]))
                if own := cast_of(text, type_, formats):
                    more.append(f"{own} AS cast{at}")
                typed[at] = cast(text, type_, formats, own and f"cast{at}")
            continue
        name = f"many{len(more)}"
        listed = ", ".join(str(texts[at]) for at in members)
        one = cast(sought("x"), type_, formats, None)
        more.append(f"list_transform([{listed}], lambda x: {one}) AS {name}")
        typed |= {at: f"{name}[{place}]" for place, at in enumerate(members, start=1)}
    values: list[Value | None] = []
    for at, (field, text) in enumerate(zip(fields, texts, strict=True)):
        if text is None:
            values.append(None)
        else:
            original = text if field.type in _TEXTS else present(text)
            json = _JSON.format(x=original)
            apart = (_JSON, original)
            values.append(Value(original, json, typed[at], field.type != STRING, apart))
    return values, more


def beside(source: str, columns: Sequence[str]) -> str:
    """A SELECT with more columns."""
    return f"SELECT *, {', '.join(columns)} FROM ({source})" if columns else source
