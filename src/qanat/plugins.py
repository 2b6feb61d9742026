"""Find an adapter by name, importing nothing else.

Adapters are entry points of the group `qanat.<kind>` (`qanat.engines`, `qanat.ledgers`,
`qanat.storage`, `qanat.sources`, `qanat.sinks`), so that a package from outside can add one.
Those that come with Qanat are listed here as well: reading package metadata costs 20 ms that
`qanat run` need not spend.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from qanat.errors import OptionError, nearest

BUILTIN: dict[str, dict[str, str]] = {
    "engines": {"duckdb": "qanat.engines.duckdb:DuckDBEngine"},
    "storage": {"delta": "qanat.storage.delta:DeltaStore"},
    "ledgers": {
        "sqlite": "qanat.ledgers.sql.sqlite:SqliteLedger",
        "postgresql": "qanat.ledgers.sql.postgresql:PostgresLedger",
    },
    "sources": {"files": "qanat.connectors.files:FilesSource"},
    "sinks": {"files": "qanat.connectors.files:FilesSink"},
}


def load(kind: str, name: str) -> Any:
    """The class of an adapter.

    Args:
        kind: `engines`, `storage`, `ledgers`, `sources` or `sinks`.
        name: as in the spec, such as `duckdb`.

    Raises:
        OptionError: there is no such adapter; names the nearest one.
    """
    target = BUILTIN.get(kind, {}).get(name)
    if target is None:
        # Imported only when asked for: it costs more than many an update.
        entry_points = import_module("importlib.metadata").entry_points
        found = {e.name: e for e in entry_points(group=f"qanat.{kind}")}
        if name in found:
            return found[name].load()
        known = sorted({*BUILTIN.get(kind, {}), *found})
        raise OptionError(
            f"no {kind} adapter {name!r}",
            wanted=" or ".join(known),
            nearest=nearest(name, known),
        )
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)
