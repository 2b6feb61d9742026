"""Which source files rows come from that earlier releases have written, which noted none.

Where an epoch has read a single file, that is known: the ledger says which, and the name of a
table's file says of which epoch it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from qanat.model.owner import is_of, number_in
from qanat.model.pipeline import application
from qanat.model.record import Epoch, EpochStatus
from qanat.run.inputs import REFERENCE
from qanat.run.past import SNAPSHOT
from qanat.run.session import Session


def known_sources(session: Session, dataset: str, paths: Sequence[str]) -> dict[str, str]:
    """By path of a file of a table or quarantine, the source file that all its rows come from.

    Args:
        dataset: whose epochs have written them.
        paths: of the files.
    """
    epochs: defaultdict[int, list[Epoch]] = defaultdict(list)
    for epoch in session.recorded.epochs(dataset=dataset, files=True):
        if epoch.status is EpochStatus.COMMITTED:
            epochs[epoch.number].append(epoch)
    sources: dict[str, str] = {}
    for path in paths:
        name = Path(path).name
        for epoch in epochs[number_in(name)]:
            if is_of(name, application(epoch.flow)) and (only := _only_file(epoch)):
                sources[path] = only
    return sources


def _only_file(epoch: Epoch) -> str:
    """The only thing that an epoch has read as a stream, if it is a file."""
    read = [r for k, r in epoch.ranges.items() if not k.startswith((SNAPSHOT, REFERENCE))]
    files = [f.path for r in read for f in r.files]
    return files[0] if len(read) == len(files) == 1 else ""
