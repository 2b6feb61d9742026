"""JSON texts of known columns, read while a query computes, without a spool of their values.

Each text is compared with what was read of it, written down again (see `orders`). That all are
alike is seen of the first of them; the first that is not ends the query, and all are read with
care. Every column is taken from the comparison, which has a side effect, so that no condition of
the query keeps DuckDB from looking at a text first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qanat.engines.duckdb.files.bound import FileTable, OnePass, expected, lay_out
from qanat.engines.duckdb.files.cast import Formats, from_text
from qanat.engines.duckdb.files.dialect import formats, infers
from qanat.engines.duckdb.files.orders import (
    SAMPLE,
    WHOLE,
    are_plain,
    is_object,
    known,
    sampled,
    written,
)
from qanat.engines.duckdb.files.structure import dump
from qanat.engines.duckdb.files.wide import FEW
from qanat.engines.duckdb.typenames import to_duckdb
from qanat.model.name import Named
from qanat.model.schema import Field, Primitive
from qanat.model.work import FilesBatch
from qanat.text import quote

LEAST = 1_000_000
"""Of fewer bytes, to look at the first texts takes longer than a spool."""


def pass_texts(
    table: FileTable, batch: FilesBatch, source: str, metadata: str, count: Callable[[], int]
) -> OnePass | None:
    """Texts to be read once; None if they need care.

    Args:
        source: a SELECT of `text` and of what `metadata` needs. It may fail for what is no text.
        metadata: SQL for `_metadata`.
        count: tells how many texts there are.
    """
    fields, options = expected(batch).fields, dict(batch.options)
    if not 0 < len(fields) <= FEW or not infers(options) or not are_plain(fields):
        return None
    if sum(f.size for f in table.files) < LEAST:
        return None
    found, colon = sampled(table, source, ())
    spelled, orders = known(found, fields)
    if len(orders) != 1 or len(found) != 1:
        return None
    rows = _rows(source, fields, spelled, orders[0][0] or (), colon, formats(options))
    if rows is None or not _alike(table, rows):
        return None
    layout = lay_out(batch, Named((k, batch.files[0].path) for k in spelled), lambda _: {})
    # A row that is not alike has no values, but raises an error where one is asked for.
    same = "CASE WHEN same THEN {} ELSE CAST(error('a text needs care') AS {}) END"
    struct = ", ".join(f"v{i} := v{i}" for i in range(len(fields)))
    types = ", ".join(f"v{i} {to_duckdb(f.type)}" for i, f in enumerate(fields))
    proven = same.format(f"struct_pack({struct})", f"STRUCT({types})")
    columns = "".join(f"p.v{i} AS {quote(f.name)}, " for i, f in enumerate(fields))
    return OnePass(
        f"SELECT {columns}{metadata} FROM (SELECT *, {proven} AS p FROM ({rows}))",
        layout.schema,
        lambda: True,
        layout.missing,
        count,
    )


def _alike(table: FileTable, rows: str) -> bool:
    """Whether the first texts can all be compared."""
    some = f"SELECT same FROM ({rows}) LIMIT {SAMPLE}"
    [(other,)] = table.con.execute(
        f"SELECT count(*) FILTER (same IS NOT TRUE) FROM ({some})"
    ).fetchall()
    return not other


def _rows(
    source: str,
    fields: Sequence[Field],
    spelled: Named[str],
    order: Sequence[str],
    colon: str,
    given: Formats,
) -> str | None:
    """A SELECT of values (`v0`, …), and whether they are all of their text (`same`).

    None if there is a column whose values cannot be compared.
    """
    spec, texts, values = {}, {}, []
    for i, f in enumerate(fields):
        type_, key = to_duckdb(f.type), spelled.get(f.name)
        if key is None:
            values.append(f"CAST(NULL AS {type_}) AS v{i}")
            continue
        text = f"j.{quote(key)}"
        # Written down again, a number that was rounded or a word is another text.
        direct = isinstance(f.type, Primitive) and f.type.name in {"boolean", "string", *WHOLE}
        spec[key] = type_ if direct else "VARCHAR"
        values.append(f"{text if direct else from_text(text, f.type, given)} AS v{i}")
        found = written(f.type, text, f"v{i}")
        if found is None:
            return None
        texts[key] = found
    rows = f"SELECT *, json_transform(text, {dump(spec)}) AS j FROM ({source})"
    same = is_object(order, colon, texts)
    return f"SELECT *, {same} AS same FROM (SELECT *, {', '.join(values)} FROM ({rows}))"
