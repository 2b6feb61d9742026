"""The record of the calls with which a process changed the disk, as the injector writes it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

_WORDS = {
    "o": "open",
    "w": "write",
    "t": "truncate",
    "a": "allocate",
    "r": "rename",
    "l": "link",
    "y": "symlink",
    "u": "unlink",
    "m": "mkdir",
    "d": "rmdir",
    "s": "sync",
    "n": "send",
}
_NOTE = "#"
_FIELDS = 8
# Parts of file names that differ from run to run: UUIDs, other identifiers, temporary names.
_TOKEN = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|tmp\w{8}")


@dataclass(frozen=True, slots=True)
class Call:
    """One call, or a note between two calls.

    Args:
        op: the letter of the call's kind, as in `fault.c`; `#` for a note.
        result: what the call returned; below 0, the negated error number.
        offset: the position in the file, or the file's new size, in bytes.
        length: the number of bytes written.
        detail: `c` or `t` if an open creates or empties the file; for a note, its kind.
        path: the path, relative to the watched folder.
        other: the second path of a rename or link.
        data: the bytes written, if they were recorded.
    """

    op: str
    result: int
    offset: int
    length: int
    detail: str
    path: str
    other: str
    data: bytes | None = None

    @property
    def is_note(self) -> bool:
        """True if it is a note about the run, and no call."""
        return self.op == _NOTE

    @property
    def word(self) -> str:
        """The name of the call, such as `rename`."""
        return _WORDS.get(self.op, self.op)

    @property
    def site(self) -> str:
        """The call and its path, without the parts that differ from run to run.

        >>> Call("l", 0, 0, 0, "-", "t/_commit_01234567-89ab-cdef-0123-456789abcdef.json.tmp",
        ...      "t/0.json").site
        'link t/0.json'
        """
        path = self.other or self.path or "the project's folder"
        return f"{self.word} {_TOKEN.sub('…', path)}"


def read_trace(path: Path) -> list[Call]:
    """All calls and notes of a record, in order; an incomplete last one is left out."""
    return list(_calls(path.read_bytes()))


def sites(calls: Sequence[Call]) -> list[Call]:
    """The calls without the notes; call number n is at index n - 1."""
    return [c for c in calls if not c.is_note]


def notes(calls: Sequence[Call]) -> Iterator[tuple[int, str]]:
    """What the process noted with `Injector.note`, each with the number of calls before it."""
    before = 0
    for call in calls:
        if not call.is_note:
            before += 1
        elif call.detail == "said":
            yield before, call.path


def _calls(text: bytes) -> Iterator[Call]:
    at = 0
    while (end := text.find(b"\n", at)) >= 0:
        fields = text[at:end].decode("utf-8", "surrogateescape").split("\t")
        if len(fields) != _FIELDS:
            return
        op, result, offset, length, follow, detail, path, other = fields
        at = end + 1
        data = None
        if size := int(follow):
            data = text[at : at + size]
            at += size + 1
        yield Call(
            op,
            int(result),
            int(offset),
            int(length),
            detail,
            unquote(path, errors="surrogateescape"),
            unquote(other, errors="surrogateescape"),
            data,
        )
