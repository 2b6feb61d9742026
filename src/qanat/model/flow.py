"""Flows: queries that feed datasets."""

from __future__ import annotations

from dataclasses import dataclass

from qanat.model.location import Location
from qanat.model.query import Query


@dataclass(frozen=True, slots=True)
class Flow:
    """A query that feeds one dataset.

    Args:
        name: unique in the project; a dataset's own query is a flow of the dataset's name.
        target: name of the dataset it feeds.
        once: run a single time, over all that is there then, and never again (`INSERT INTO
            ONCE`), for backfills.
    """

    name: str
    target: str
    query: Query
    location: Location
    once: bool = False

    @property
    def application(self) -> str:
        """The Delta transaction application of this flow's commits."""
        return application(self.name)


def application(flow: str) -> str:
    """The Delta transaction application of the commits of a flow of that name."""
    return f"qanat:{flow}"


_REPLAY = "::replay"


def replay_flow(dataset: str) -> str:
    """The name under which the ledger knows a dataset's replays."""
    return dataset + _REPLAY


def is_replay(flow: str) -> bool:
    """Whether a flow's epochs are replays.

    >>> is_replay(replay_flow("silver"))
    True
    """
    return flow.endswith(_REPLAY)
