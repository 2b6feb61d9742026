"""A dataset, flow or source that gets another name, or a dataset that goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from shlex import quote

from qanat.frozen import Frozen
from qanat.model.record import Definition


class Moved(StrEnum):
    """What gets another name."""

    DATASET = "dataset"
    FLOW = "flow"
    SOURCE = "source"


class Move(Frozen):
    """A renaming, or the removal of a dataset, as it is intended.

    It is recorded before anything is touched, so that whatever update comes next can finish it.

    Args:
        update: the identifier of the update that intended it.
        what: what `old` names.
        old: the name until now, as the ledger spells it.
        new: the name from now on; None if the dataset goes.
        dataset: the target of a flow, as the ledger spells it; else empty.
        flows: by the name that flows have had, their new one. The flows of a dataset that goes are
            not in it; `gone` has those.
        gone: the flows of a dataset that goes.
        sources: by the key that sources have had (`SourceRef.key` and those derived from it),
            their new one; None for what readers are to forget. Of a dataset that goes, the new
            ones say what was read of it, and of no other by its name.
        paths: what the paths of a source's files begin with, until now and from now on.
        definitions: of datasets that are declared with the new name already, and differ from how
            they were last run by that name alone.
    """

    update: str
    what: Moved
    old: str
    new: str | None
    dataset: str = ""
    flows: Mapping[str, str] = field(default_factory=dict)
    gone: tuple[str, ...] = ()
    sources: Mapping[str, str | None] = field(default_factory=dict)
    paths: tuple[str, str] = ("", "")
    definitions: tuple[Definition, ...] = ()

    @property
    def datasets(self) -> tuple[str, ...]:
        """What has to be in the lease of whoever carries it out."""
        return tuple(n for n in (self.old, self.new, self.dataset) if n)

    def __str__(self) -> str:
        """The command that intended it."""
        names = [self.old] if self.new is None else [self.old, self.new]
        verb = "drop" if self.new is None else "rename"
        return f"`qanat {' '.join([verb, *map(quote, names)])}`"
