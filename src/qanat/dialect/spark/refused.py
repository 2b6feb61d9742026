"""The exception for what cannot be translated, and the problem that is made from it."""

from __future__ import annotations

from qanat.errors import QanatError, UnsupportedError
from qanat.frozen import Frozen


class Refused(Exception):  # noqa: N818 - caught in this room; the error is made from it
    """A node cannot be translated; its handler raises this.

    Args:
        message: the construct, such as `DISTINCT ON`.
        hint: what to write instead.
        nearest: the known name that is most like an unknown one.
        family: the class of the error that the author will see.
    """

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


class Problem(Frozen):
    """A refusal and where in the query it belongs.

    Args:
        message, hint, nearest, family: as in `Refused`.
        offset: the construct's offset in the executable SQL; None if sqlglot did not keep it.
        word: the construct's first word, to find it in the author's text.
    """

    message: str
    hint: str | None
    nearest: str | None
    family: type[QanatError]
    offset: int | None
    word: str | None
