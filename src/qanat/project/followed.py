"""A project whose files are read again while it is at work."""

from __future__ import annotations

from qanat.run.session import Session


class Followed:
    """What the parts of an opened project need of it that outlive a change of its files."""

    @property
    def session(self) -> Session:
        """The opened project and its adapters as they are."""
        raise NotImplementedError

    def _current(self) -> Session:
        raise NotImplementedError

    def _reopened(self) -> Session:
        raise NotImplementedError

    def _take_up(self, reopened: Session) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Close what was opened."""
        raise NotImplementedError
