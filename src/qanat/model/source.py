"""What a query reads, as it was declared: a dataset of the project, or something outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

DATASET = "dataset"
"""The connector of the project's own datasets."""


@dataclass(frozen=True, slots=True)
class SourceRef:
    """A reference to one source, by the connector that reads it.

    The kernel never asks what kind of source it is: whatever differs between kinds stands here
    as a value, or the connector answers it.

    Args:
        connector: name of the connector in the registry: `dataset`, `files`, `delta`, …
        place: what is read, as written: a dataset's name, a path, a table.
        options: by canonical name, as the connector declares them; values are str, int, float
            or bool.
        key: the name under which the ledger keeps how far it has been read. Two references
            with one key are one source.
        kind: what people call it, such as `files`; for lineage.
        label: the place as people read it; default: as written.
        function: the SQL function that reads it, for fingerprints and messages.
        hidden: columns that it has and `SELECT *` leaves out, such as `_metadata`.
        dataset: the dataset of this project that it is; None if it is outside.

    >>> ref = SourceRef("files", "in/*.csv", (("format", "csv"),))
    >>> ref.option("FORMAT"), ref.option("header", default=False)
    ('csv', False)
    """

    connector: str
    place: str
    options: tuple[tuple[str, Any], ...] = ()
    key: str = ""
    kind: str = ""
    label: str = ""
    function: str = ""
    hidden: tuple[str, ...] = ()
    dataset: str | None = None

    @property
    def text(self) -> str:
        """The reference as SQL: what a fingerprint is made of.

        >>> options = (("delimiter", ";"), ("format", "csv"))
        >>> SourceRef("files", "in", options, function="read_files").text
        "read_files('in', format => 'csv', delimiter => ';')"
        """
        if self.dataset is not None:
            return self.dataset.casefold()
        # `format` first, as in the definitions that earlier releases have kept.
        options = sorted(self.options, key=lambda o: (o[0] != "format", o))
        named = "".join(f", {k} => {v!r}" for k, v in options)
        return f"{self.function or self.connector}({self.place!r}{named})"

    def option(self, name: str, default: Any = None) -> Any:
        """The option of that name, compared without case."""
        folded = name.casefold()
        return next((v for k, v in self.options if k.casefold() == folded), default)


def dataset_ref(name: str) -> SourceRef:
    """A reference to a dataset of the project.

    >>> dataset_ref("Bronze").key
    'dataset:bronze'
    """
    key = f"{DATASET}:{name.casefold()}"
    return SourceRef(DATASET, name, key=key, kind=DATASET, label=name, dataset=name)
