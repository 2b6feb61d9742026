"""Find adapters by name, importing nothing but what they say of themselves.

Adapters that come with Qanat have one line each in `BUILTIN`; those of other packages are entry
points of the group `qanat.<kind>` (`qanat.connectors`, `qanat.engines`, `qanat.formats`,
`qanat.ledgers`, `qanat.observers`). Both name a value of `qanat.model.adapter` or
`qanat.model.kind`. Reading package metadata costs 20 ms, so other packages are asked only for what
is not built in.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from qanat.errors import OptionError, nearest
from qanat.model.adapter import Connector, Connectors
from qanat.model.kind import EngineKind, LedgerKind, ObserverKind, TableFormat

if TYPE_CHECKING:
    from qanat.ports.ledger import Ledger

BUILTIN: dict[str, dict[str, str]] = {
    "connectors": {
        "dataset": "qanat.connectors.tables:DATASETS",
        "files": "qanat.connectors.files:FILES",
        "project": "qanat.connectors.tables:PROJECTS",
        "delta": "qanat.connectors.tables:DELTA",
        "postgres": "qanat.connectors.postgres:POSTGRES",
        "kafka": "qanat.connectors.kafka:KAFKA",
    },
    "engines": {"duckdb": "qanat.engines.duckdb:DUCKDB"},
    "formats": {"delta": "qanat.storage.delta:DELTA", "iceberg": "qanat.storage.iceberg:ICEBERG"},
    "ledgers": {
        "sqlite": "qanat.ledgers.sql:SQLITE",
        "postgresql": "qanat.ledgers.sql:POSTGRESQL",
    },
    "observers": {
        "webhook": "qanat.observe.cloudevents:WEBHOOK",
        "openlineage": "qanat.observe.openlineage:OPENLINEAGE",
        "file": "qanat.observe.cloudevents:FILE",
    },
}
_NOUNS = {
    "connectors": "connector",
    "engines": "engine",
    "formats": "table format",
    "ledgers": "ledger",
    "observers": "kind of observer",
}


def imported(target: str) -> Any:
    """The value that `package.module:name` names."""
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)


@cache
def connectors() -> Connectors:
    """All connectors: those that come with Qanat, then those of other packages."""
    found = {name: imported(target) for name, target in BUILTIN["connectors"].items()}
    return Connectors({**_entry_points("connectors"), **found})


def connector(name: str) -> Connector:
    """The connector of a name.

    Raises:
        OptionError: there is none; names the nearest one.
    """
    return cast("Connector", _adapter("connectors", name))


def engine(name: str) -> EngineKind:
    """The engine of a name; raises `OptionError` as `connector` does."""
    return cast("EngineKind", _adapter("engines", name))


def table_format(name: str) -> TableFormat:
    """The table format of a name; raises `OptionError` as `connector` does."""
    return cast("TableFormat", _adapter("formats", name))


def observer_kind(name: str) -> ObserverKind:
    """The kind of observer of a name; raises `OptionError` as `connector` does."""
    return cast("ObserverKind", _adapter("observers", name))


def formats() -> tuple[str, ...]:
    """The names of all table formats."""
    return _names("formats")


def ledgers() -> Iterator[LedgerKind]:
    """All kinds of ledger, Qanat's own first: a caller that stops there loads no other package."""
    for target in BUILTIN["ledgers"].values():
        yield imported(target)
    yield from _entry_points("ledgers").values()


def open_ledger(url: str | None, private: Path, scope: str) -> Ledger:
    """Open the ledger of one project and environment; a missing one is created.

    Args:
        url: `postgresql://user@host/database`, or None for a SQLite file.
        private: the project's private folder in its storage, for the file `ledger.db`.
        scope: `<project>/<environment>`; several may share a database.

    Raises:
        OptionError: the URL is of no supported database.
        MissingExtraError: the driver for PostgreSQL is not installed.
        LedgerError: the ledger cannot be opened.
        TableTooNewError: a newer version of Qanat wrote the ledger.
    """
    place = private / "ledger.db" if url is None else url
    return cast("Ledger", imported(ledger_kind(url).ledger)(place, scope))


def ledger_kind(url: str | None) -> LedgerKind:
    """The kind of a ledger by its URL; None for a SQLite file.

    Raises:
        OptionError: the URL is of no supported database.
    """
    scheme = "" if url is None else urlsplit(url).scheme
    fits = (k for k in ledgers() if (scheme in k.schemes if url else not k.schemes))
    kind = next(fits, None)
    if kind is None:
        schemes = [s for k in ledgers() for s in k.schemes]
        raise OptionError(
            f"no ledger at URLs of {scheme or 'no scheme'!r}",
            wanted=" or ".join(f"{s}://…" for s in schemes) + ", or no URL for SQLite",
            nearest=nearest(scheme, schemes),
        )
    return kind


def _adapter(kind: str, name: str) -> Any:
    target = BUILTIN[kind].get(name)
    if target is not None:
        return imported(target)
    others = _entry_points(kind)
    if name in others:
        return others[name]
    known = _names(kind)
    raise OptionError(
        f"there is no {_NOUNS[kind]} {name!r}",
        wanted=" or ".join(known),
        nearest=nearest(name, known),
    )


def _names(kind: str) -> tuple[str, ...]:
    return tuple(sorted({*BUILTIN[kind], *_entry_points(kind)}))


@cache
def _entry_points(kind: str) -> dict[str, Any]:
    return {e.name: e.load() for e in _installed().select(group=f"qanat.{kind}")}


@cache
def _installed() -> Any:
    # Imported only when asked for, and asked once: it costs more than many an update.
    return import_module("importlib.metadata").entry_points()
