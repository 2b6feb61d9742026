"""Data contracts: what a project promises to those who read its datasets."""

from __future__ import annotations

from qanat.errors import Location
from qanat.frozen import Frozen
from qanat.model.schema import DataType


class PromisedColumn(Frozen):
    """A column that readers may count on.

    Args:
        type: that it has, if the contract names one that Qanat knows.
        logical: the standard's word for its type: `string`, `integer`, `date`, …
        at: where the contract says so.
    """

    name: str
    at: Location
    type: DataType | None = None
    logical: str | None = None
    required: bool = False


class Promise(Frozen):
    """What a contract says of one dataset; its checks are expectations of the dataset.

    Args:
        dataset: its name.
        contract: the contract's name and version.
        keys: the columns of the primary key, in order.
    """

    dataset: str
    contract: str
    at: Location
    columns: tuple[PromisedColumn, ...] = ()
    keys: tuple[str, ...] = ()


class Note(Frozen):
    """Something in a file that is not carried over into a check, and why."""

    what: str
    why: str
    at: Location

    def __str__(self) -> str:
        return f"{self.at}: {self.what}: {self.why}"
