"""The rows of a table that is kept by changes, taken over from another environment as they are."""

from __future__ import annotations

from qanat.model.changes import Changes


class Adopted(Changes):
    """Rows that changes have made elsewhere: nothing of them changes here, and nothing is checked.

    With them come the columns of their files that readers do not see, and the events that are
    kept beside them, so that later changes find all that they need.

    Args:
        of: the changes that have made them.
    """

    of: Changes

    @property
    def label(self) -> str:
        """What authors call it, in messages."""
        return self.of.label
