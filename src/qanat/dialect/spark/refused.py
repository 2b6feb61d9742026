"""What is wrong with a construct, before it is known where it stands."""

from __future__ import annotations

from dataclasses import dataclass

from qanat.errors import QanatError, UnsupportedError


class Refused(Exception):  # noqa: N818 - caught in this room; the error is made from it
    """Raised inside the translation of one node."""

    def __init__(
        self,
        message: str,
        hint: str | None = None,
        *,
        nearest: str | None = None,
        family: type[QanatError] = UnsupportedError,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.nearest = nearest
        self.family = family


@dataclass(frozen=True, slots=True)
class Problem:
    """One refusal and where it stands.

    Args:
        offset: in the executable SQL, or None when the tree does not tell.
        word: what stands there, to find it back in the author's text.
    """

    message: str
    hint: str | None
    nearest: str | None
    family: type[QanatError]
    offset: int | None
    word: str | None
