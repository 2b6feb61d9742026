"""A gate for tests of stores: open for as long as its folder is there."""

from __future__ import annotations

from pathlib import Path

from qanat.errors import LeaseLostError
from qanat.frozen import Frozen


class FolderGate(Frozen):
    """See `qanat.model.table.CommitGate`; the ledger says what the folder does."""

    folder: Path

    def confirm(self) -> None:
        """Raise once the folder is gone."""
        if not self.folder.is_dir():
            raise LeaseLostError(f"{self.folder} is gone")
