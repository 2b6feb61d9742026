"""JSON objects with many keys, read as columns.

To take a key out of a text, DuckDB 2.0 parses all of it; and to take a field out of a struct with
thousands of them costs the square of their number, whatever the number of rows (12 s for 10,000).
Its reader of JSON files finds all keys at once. So objects with many keys are written to a file
once more, each with its file, line and original text among its keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import count

import duckdb

from qanat.engines.duckdb.files.numbers import Mark
from qanat.model.name import Names
from qanat.text import literal

FEW = 128
"""Keys that are taken out one by one: of so many it costs about as much as writing them again."""

_OWN = {"raw_text": "VARCHAR", "fault": "VARCHAR", "file": "INTEGER", "line": "BIGINT"}
_SPACES = r"e' \t\r\n'"
# A character that is in no JSON text: what COPY writes is not quoted, and has no delimiter.
_NEVER = "\x01"
_DEFAULT_SIZE = 16 << 20
# A text is written twice, once as a string: escapes make that up to six times as long. The marks
# of numbers add less than that.
_LONGER = 12


HEADERS = 'STRUCT("key" VARCHAR, "value" BLOB)[]'
"""The type of the headers of messages."""
_ENTRY = "{{'key': h.key, 'value': %s(h.value)}}"
_PACKED = {
    "BLOB": ("to_base64({0})", "VARCHAR", "from_base64({0})"),
    HEADERS: (
        "list_transform({0}, lambda h: %s)" % (_ENTRY % "to_base64"),
        'STRUCT("key" VARCHAR, "value" VARCHAR)[]',
        "list_transform({0}, lambda h: %s)" % (_ENTRY % "from_base64"),
    ),
}
"""By type, how a value is written as JSON has it, the type that this is, and how it is read."""


def spread(
    con: duckdb.DuckDBPyConnection,
    target: str,
    rows: str,
    types: Mapping[str, str],
    keys: Iterable[str],
    mark: Mark,
    more: Mapping[str, str],
) -> str:
    """Write objects to a file; a SELECT of their values by key, in the same order.

    Args:
        target: the path of the file to write.
        rows: a SELECT of `raw_text`, `text` (a valid JSON object, or NULL), `fault`, `file` and
            `line`.
        types: for each key that is read whether its values are read as VARCHAR (a string without
            its quotes) or as JSON; no two of them are the same name.
        keys: all keys that the objects have.
        mark: that numbers in `text` have.
        more: further columns of `rows` with their types; `opened` is `text` without marks, where
            that is not `raw_text`.

    Returns:
        SELECT of the columns of `rows` and c0, c1, … for `types`; those that are VARCHAR are
        without marks.
    """
    [(longest,)] = con.execute(f"SELECT max(strlen(raw_text)) FROM ({rows})").fetchall()
    taken, kept = Names(keys), _OWN | dict(more)
    prefix = next(p for p in map("_".__mul__, count()) if not any(p + n in taken for n in kept))
    # JSON has no bytes: they go through it as text.
    packed = {name: _PACKED[type_] for name, type_ in more.items() if type_ in _PACKED}
    kept |= {name: text for name, (_, text, _) in packed.items()}
    texts = {name: write.format(name) for name, (write, _, _) in packed.items()}
    own = ", ".join(f"{literal(prefix + name)}, {texts.get(name, name)}" for name in kept)
    first = f"rtrim(CAST(json_object({own}) AS VARCHAR), '}}')"
    body = f"ltrim(substr(ltrim(text, {_SPACES}), 2), {_SPACES})"
    con.execute(
        f"COPY (SELECT {first} || coalesce(CASE WHEN NOT starts_with(body, '}}') "
        f"THEN ',' || translate(body, e'\\r\\n', '  ') END, '}}') "
        f"FROM (SELECT *, {body} AS body FROM ({rows}))) TO {literal(target)} "
        f"(FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER {literal(_NEVER)})"
    )
    columns = {prefix + name: type_ for name, type_ in kept.items()} | dict(types)
    places = [f"c{i}" for i in range(len(types))]
    described = ", ".join(f"{literal(name)}: '{type_}'" for name, type_ in columns.items())
    size = max(_DEFAULT_SIZE, _LONGER * (longest or 0))
    found = (
        f"read_json({literal(target)}, format = 'newline_delimited', columns = {{{described}}}, "
        f"maximum_object_size = {size}) AS r({', '.join([*kept, *places])})"
    )
    if packed:
        bytes_ = ", ".join(f"{read.format(n)} AS {n}" for n, (_, _, read) in packed.items())
        found = f"(SELECT * REPLACE ({bytes_}) FROM {found})"
    plain = "opened" if "opened" in more else "raw_text"
    text = f"CASE WHEN fault IS NULL THEN {mark.on(plain)} END AS text"
    if not mark.sign:
        return f"SELECT *, {text} FROM {found}"
    marked = [c for c, type_ in zip(places, types.values(), strict=True) if type_ == "VARCHAR"]
    unmarked = f"list_transform([{', '.join(marked)}], lambda x: {mark.off('x')}) AS plain"
    at = {c: f"plain[{i}]" for i, c in enumerate(marked, start=1)}
    values = ", ".join(f"{at.get(c, c)} AS {c}" for c in places)
    return f"SELECT {', '.join(kept)}, {text}, {values} FROM (SELECT *, {unmarked} FROM {found})"
