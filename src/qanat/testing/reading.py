"""What a connector needs to be tried without a project: surroundings, references, a past."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qanat import plugins
from qanat.model.query import SourceRef
from qanat.model.record import FileRef, Range
from qanat.model.table import TableRef
from qanat.ports.source import Neighbour, Readable, Surroundings
from qanat.ports.store import TableStore


def surroundings(root: Path) -> Surroundings:
    """Those of a project in a folder, with Delta tables below `storage/tables`."""
    return _Folder(root)


@dataclass(frozen=True)
class _Folder:
    root: Path
    scope: str = "test/dev"
    folders: tuple[str, ...] | None = None

    def table(self, dataset: str) -> TableRef:
        return TableRef(str(self.root / "storage" / "tables" / dataset), dataset)

    def readable(self, dataset: str, environment: str | None = None) -> Readable:
        return Readable(self.store_of(None), self.table(dataset), environment or "")

    def elsewhere(self, neighbour: Neighbour) -> Readable:
        other = _Folder((self.root / neighbour.project).resolve())
        return Readable(self.store_of(None), other.table(neighbour.dataset), foreign=True)

    def store_of(self, table_format: str | None) -> TableStore:
        kind = plugins.table_format(table_format or "delta")
        made: TableStore = plugins.imported(kind.store)(self.root / "storage" / "_qanat", {})
        return made


def reference(connector: str, place: str, **options: Any) -> SourceRef:
    """A reference as a declaration makes it: option names in any spelling, values checked.

    Raises:
        OptionError: an option does not exist, does not fit or is missing.

    >>> reference("files", "in/*.csv", maxFilesPerTrigger=2).options
    (('max_files_per_trigger', 2),)
    """
    kind = plugins.connector(connector)
    return kind.refer(place, kind.options.check_all(options.items()))


class RememberedPast:
    """A `Past` in memory: it remembers what `settle` is told."""

    def __init__(self) -> None:
        self._files: dict[str, FileRef] = {}
        self._position: Mapping[str, Any] | None = None

    @property
    def position(self) -> Mapping[str, Any] | None:
        """The value of the newest settled range with a position."""
        return self._position

    @property
    def corrects(self) -> frozenset[str]:
        """None."""
        return frozenset()

    @property
    def replaceable(self) -> bool:
        """They can go again."""
        return True

    @property
    def final(self) -> bool:
        """There may be more epochs."""
        return False

    def seen(self, paths: Iterable[str]) -> Mapping[str, FileRef]:
        """Of these files, those of settled ranges."""
        return {p: self._files[p] for p in paths if p in self._files}

    def replaced(self, dataset: str) -> int | None:
        """No table is ever replaced here."""
        return None

    def settle(self, range: Range) -> None:
        """Remember a range as committed, as a ledger does: its value as JSON text.

        Raises:
            TypeError, ValueError: the connector's value cannot be written as JSON.
        """
        self._files |= {f.path: f for f in range.files}
        text = json.dumps(range.value, allow_nan=False)
        if range.positioned:
            self._position = json.loads(text)
