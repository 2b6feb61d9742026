"""Finds the data frame library that an annotation means, without importing any."""

from __future__ import annotations

from typing import Any

_KINDS = {
    ("pyarrow", "Table"): "arrow",
    ("polars", "DataFrame"): "polars",
    ("polars", "LazyFrame"): "polars.lazy",
    ("pandas", "DataFrame"): "pandas",
}
_RETURNED = {
    **_KINDS,
    ("polars", "LazyFrame"): "polars",
    ("pyarrow", "RecordBatch"): "arrow",
    ("pyarrow", "RecordBatchReader"): "arrow",
}
PACKAGES = {
    "arrow": ("pyarrow",),
    "pandas": ("pandas", "pyarrow"),
    "polars": ("polars", "pyarrow"),
    "polars.lazy": ("polars", "pyarrow"),
}
"""What is imported to hand a frame out or take it in."""
_USUAL = {"pa": "pyarrow", "pl": "polars", "pd": "pandas"}
"""The libraries of common short names, which may be imported for type checkers only."""

TAKES = "pyarrow.Table, polars.DataFrame, polars.LazyFrame or pandas.DataFrame"


def taken(annotation: Any, names: dict[str, Any]) -> str | None:
    """`arrow`, `polars`, `polars.lazy` or `pandas` for a parameter; None for any other type.

    Args:
        annotation: the parameter's annotation, as a class or as text.
        names: the function's globals, to resolve an annotation that is text.

    >>> taken("pl.LazyFrame", {})
    'polars.lazy'
    """
    return _KINDS.get(_parts(annotation, names))


def returned(annotation: Any, names: dict[str, Any]) -> str | None:
    """`arrow`, `polars` or `pandas` for a return type; None for any other type."""
    return _RETURNED.get(_parts(annotation, names))


def is_frame(value: Any) -> bool:
    """True if a value is a data frame of one of these libraries."""
    return any(_of_class(c) in _RETURNED for c in type(value).__mro__)


def _parts(annotation: Any, names: dict[str, Any]) -> tuple[str, str]:
    if isinstance(annotation, type):
        return _of_class(annotation)
    if not isinstance(annotation, str):
        return "", ""
    text = annotation.strip().strip("'\"")
    head, _, last = text.rpartition(".")
    if not head:
        value = names.get(text)
        return _of_class(value) if isinstance(value, type) else ("", "")
    module = names.get(head)
    name = getattr(module, "__name__", None) or _USUAL.get(head, head)
    return str(name).partition(".")[0], last


def _of_class(kind: type) -> tuple[str, str]:
    return kind.__module__.partition(".")[0], kind.__name__
