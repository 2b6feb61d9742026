"""The docstring of `qanat.errors` shows every error, with its code, below the class it extends."""

from __future__ import annotations

import re

from qanat import errors
from qanat.errors import QanatError

LINE = re.compile(r"^ {4}([│ ├└─]*)(\w+Error) +(Q\d{4})", re.MULTILINE)


def shown(text: str) -> list[tuple[int, str, str]]:
    """The lines of the tree: depth, class and code."""
    return [(len(indent) // 4, name, code) for indent, name, code in LINE.findall(text)]


def defined(kind: type[QanatError] = QanatError, depth: int = 0) -> list[tuple[int, str, str]]:
    """The classes as they extend one another, by code."""
    found = [(depth, kind.__name__, kind.code)]
    for child in sorted(kind.__subclasses__(), key=lambda c: c.code):
        if child.__module__.startswith("qanat.errors"):
            found += defined(child, depth + 1)
    return found


def test_the_tree_of_errors_is_complete() -> None:
    assert shown(errors.__doc__ or "") == defined()


def test_codes_are_unique() -> None:
    codes = [code for _, _, code in defined()]
    assert len(codes) == len(set(codes))
