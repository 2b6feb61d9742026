"""What engines, table formats, ledgers and observers say of themselves before they are loaded."""

from __future__ import annotations

from qanat.errors import check_installed
from qanat.frozen import Frozen
from qanat.model.adapter import OptionTable
from qanat.model.location import is_url


class EngineKind(Frozen):
    """An engine: its name in the spec, its SQL dialect, the class of its `Engine`.

    Args:
        dialect: of everything that it is handed, by sqlglot's name; what authors write in, unless
            the spec says otherwise.
        translated: other dialects in which authors may write, because `qanat.dialect` translates
            them into `dialect`.
    """

    name: str
    dialect: str
    engine: str
    translated: tuple[str, ...] = ()

    @property
    def dialects(self) -> tuple[str, ...]:
        """All that authors may write in."""
        return (self.dialect, *self.translated)


class TableFormat(Frozen):
    """A table format: its name in the spec, the class of its `TableStore`.

    Args:
        options: what the spec's `storage_options` may say for it.
        witness: the class of its `qanat.ports.witness.Witness`, for crash tests; None if there is
            none: then they cannot be had.
        journals: parts of the paths of files that say what a table holds (its log, its catalog),
            by which the crash test's page tells them from data files.
        object_stores: True if the storage may be a URL (`s3://…`).
        extra: that brings what it needs; empty if Qanat brings all.
        packages: of the extra that it needs.
    """

    name: str
    store: str
    options: OptionTable
    witness: str | None = None
    journals: tuple[str, ...] = ()
    object_stores: bool = False
    extra: str = ""
    packages: tuple[str, ...] = ()

    def check(self, storage: str) -> None:
        """Raise unless all is installed that tables of this format at a place need.

        Raises:
            MissingExtraError: a package is not.
        """
        check_installed(f"table_format: {self.name}", self.packages, self.extra)
        if is_url(storage):
            check_installed(f"the storage {storage}", ("obstore",))


class LedgerKind(Frozen):
    """A place for ledgers: the schemes of its URLs, the class of its `Ledger`."""

    name: str
    ledger: str
    schemes: tuple[str, ...] = ()


class ObserverKind(Frozen):
    """A kind of observer: its name in the spec, the class of its `DeliveringObserver`.

    Args:
        options: what the spec may say of one, beside `qanat.model.observer.COMMON`.
        later: True if what could not be delivered is delivered by a later update.
    """

    name: str
    observer: str
    options: OptionTable
    later: bool = True
