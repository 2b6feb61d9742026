"""Results as documents, text and HTML, for the command line, programs and notebooks.

`shape` says how a dataclass becomes a JSON object, `schema` makes JSON schemas from the same,
`version` and `keys` have what all documents share, `documents` knows them all by name, `failure`
writes errors, `aim` completes the commands in their hints. Then one module for each result, with
its shapes, its text and its HTML: `validation`, `plan`, `update`, `checks` (with `unit_tests`),
`backtest`, `suggest`, `contract`, `table`, `overview`, `lineage`, `manifest`, `diff`, `profile`,
`history`, `metrics`, `anomalies`, `events` (in the words of `narrative`), `openlineage` (for
catalogs), `quarantine`, `promotion`, `upkeep`, `state`, `pauses`, `schedules`, `move` and
`doctor`. `account` is the page of an update (`severity` orders the rules in both). `html` has the
pieces that notebooks show, `page` the frame of HTML files, `plots` what is drawn there, `drawing`
the picture of a graph, `delimited` writes CSV.

`report.document(name, value)` and `report.schema(name)` are what a program outside calls. They are
imported when first used: a command that only prints text needs neither.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qanat.report.documents import document as document, schema as schema

__all__ = ["document", "schema"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("qanat.report.documents"), name)
