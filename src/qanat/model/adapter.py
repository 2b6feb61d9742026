"""What an adapter says of itself before its code is loaded.

Each adapter's package has one such value, and one line in `qanat.plugins` (or an entry point of
another package) names it. Classes are named as `package.module:Class` and imported when first
used, so that a declaration costs no driver.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from qanat.model.options import OptionTable
from qanat.model.source import SourceRef


@dataclass(frozen=True, slots=True)
class Reader:
    """A table function of SQL that reads from a connector.

    Args:
        options: fixed by the function: `read_csv` fixes `format` to `csv`.
        argument: what its one positional argument is called in messages.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    argument: str = "path"


@dataclass(frozen=True, slots=True)
class Connector:
    """How data comes in from one technology and goes out to it.

    Args:
        name: as in `SourceRef.connector`.
        kind: what people call its sources: `files`, `PostgreSQL table`.
        source: the class of its `qanat.ports.source.Source`; None if it only writes.
        sink: the class of its `qanat.ports.sink.Sink`; None if it only reads.
        functions: table functions by name, in lower case; the first is the one to advise.
        formats: what Spark's ``format.`place` `` and a plain string in FROM read, by format.
        options: of the functions.
        sinks: option tables by sink format.
        hidden: columns of its sources that `SELECT *` leaves out.
        label: how a source is named to people: `{place}`, and options by name in braces.
        key: how the ledger names a source, written like `label`; default: this connector's
            name, the place, and the options that make an identity.
        function: the name of the SQL function in fingerprints; default: the first of `functions`.
    """

    name: str
    kind: str
    options: OptionTable
    source: str | None = None
    sink: str | None = None
    functions: Mapping[str, Reader] = field(default_factory=dict)
    formats: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    sinks: Mapping[str, OptionTable] = field(default_factory=dict)
    hidden: tuple[str, ...] = ()
    label: str = "{place}"
    key: str = ""
    function: str = ""

    def refer(self, place: str, options: Mapping[str, Any]) -> SourceRef:
        """The reference to one of its sources.

        Args:
            options: canonical, as `OptionTable.check` gives them.
        """
        pairs = tuple(options.items())
        identity = self.options.identity(pairs)
        named = f"{self.name}:{place}?{identity}" if identity else f"{self.name}:{place}"
        return SourceRef(
            self.name,
            place,
            pairs,
            key=self.key.format(place=place, **options) if self.key else named,
            kind=self.kind,
            label=self.label.format(place=place, **options),
            function=self.function or next(iter(self.functions), ""),
            hidden=self.hidden,
        )


@dataclass(frozen=True, slots=True)
class Connectors:
    """All connectors that a project may use, by name."""

    by_name: Mapping[str, Connector]

    @property
    def all(self) -> tuple[Connector, ...]:
        """Each once."""
        return tuple(self.by_name.values())

    def reading(self, function: str) -> Connector | None:
        """The connector whose table function this is (lower case); None if nobody's."""
        return next((c for c in self.all if function in c.functions), None)

    def formatted(self, format: str) -> Connector | None:
        """The connector that reads a format by its name alone."""
        return next((c for c in self.all if format in c.formats), None)

    def writing(self, format: str) -> Connector | None:
        """The connector of a sink format."""
        return next((c for c in self.all if format in c.sinks), None)

    @property
    def sinks(self) -> tuple[str, ...]:
        """All sink formats."""
        return tuple(f for c in self.all for f in c.sinks)


@dataclass(frozen=True, slots=True)
class EngineKind:
    """An engine: its name in the spec, its SQL dialect, the class of its `Engine`."""

    name: str
    dialect: str
    engine: str


@dataclass(frozen=True, slots=True)
class TableFormat:
    """A table format: its name in the spec, the class of its `TableStore`.

    Args:
        options: what the spec's `storage_options` may say for it.
        witness: the class of its `qanat.ports.witness.Witness`, for crash tests; None if there is
            none: then they cannot be had.
    """

    name: str
    store: str
    options: OptionTable
    witness: str | None = None


@dataclass(frozen=True, slots=True)
class LedgerKind:
    """A place for ledgers: the schemes of its URLs, the class of its `Ledger`."""

    name: str
    ledger: str
    schemes: tuple[str, ...] = ()
