"""Splits JSON files in which DuckDB fails: arrays into elements, other files into documents.

DuckDB reads such files many times faster, but gives up on the whole file at the first damage. Here
only the damaged element is malformed: brackets and strings tell where one ends. If one never ends,
the next line that begins an object, indented no more than the damaged one, is taken for the next.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from typing import IO, NamedTuple

from qanat.engines.duckdb.files.records import LIMIT, RAW_LIMIT

_CHUNK = 1 << 20
_BOM = b"\xef\xbb\xbf"
_IN_STRING = re.compile(rb'["\\\n]')
_STRING = rb'"(?:[^"\\\n]++|\\.)*+"'
# Whole strings are passed over; a quote that is found begins one that does not end in the chunk.
_BETWEEN = re.compile(rb'(?:[^"\[\]{},\n]++|' + _STRING + rb')*+(["\[\]{},\n])')
_INSIDE = re.compile(rb'(?:[^"\[\]{}]++|' + _STRING + rb')*+(["\[\]{}])')
_OPENED_BY = {b"}": b"{", b"]": b"["}
# How much may be read anew: each search for the next element starts over behind the damage.
_AGAIN = 4 * LIMIT


class Piece(NamedTuple):
    """One element or document (a tuple, because there are many).

    Args:
        raw: its bytes; of one that is too long, at most the first `RAW_LIMIT`.
        error: what is wrong with it; empty if only its content can tell.
    """

    raw: bytes
    error: str = ""


def pieces(source: IO[bytes], array: bool) -> Iterator[Piece]:
    """The elements of an array, or the documents of a file, in their order.

    Args:
        source: the file's bytes, decompressed.
        array: True if the file is an array.

    Raises:
        OSError, EOFError: what is read is damaged.

    >>> import io
    >>> [p.raw for p in pieces(io.BytesIO(b'[{"a": [1, "]"]}, {"a": }]'), True)]
    [b'{"a": [1, "]"]}', b'{"a": }']
    """
    splitter = _Splitter(array)
    splitter.waiting.append(_first(source, array))
    while chunk := splitter.next_chunk(source):
        yield from splitter.feed(chunk)
        if splitter.size > LIMIT:
            yield from splitter.shorten()
    while splitter.is_open():
        found = splitter.recover()
        if found is None:
            break
        yield found
        while splitter.waiting:
            yield from splitter.feed(splitter.waiting.popleft())
    yield from splitter.finish()


def _first(source: IO[bytes], array: bool) -> bytes:
    """What follows the opening bracket; at least a byte, unless the file ends there."""
    read = b""
    while len(read) < len(_BOM) + 1 and (chunk := bytes(source.read(_CHUNK))):
        read = (read + chunk).removeprefix(_BOM).lstrip()
    return read.removeprefix(b"[") if array else read


class _Splitter:
    """Where in the nesting a file is, and what was read of its current piece.

    Args:
        waiting: what is to be read before more of the file.
        size: bytes of the current piece.
    """

    def __init__(self, array: bool) -> None:
        self._array = array
        self._stack = bytearray()
        self._string = self._escaped = self._ended = False
        self._held: list[bytes] = []
        self._again = 0
        self.size = 0
        self.waiting: deque[bytes] = deque()

    def next_chunk(self, source: IO[bytes]) -> bytes:
        """More to feed; empty at the end of the file."""
        return self.waiting.popleft() if self.waiting else bytes(source.read(_CHUNK))

    def is_open(self) -> bool:
        """True within a string, an object or a list."""
        return self._string or bool(self._stack)

    def feed(self, chunk: bytes) -> Iterator[Piece]:
        """Go through more of the file; gives the pieces that end there."""
        start = at = 0
        while True:
            if self._string:
                at = self._skip_string(chunk, at)
                if self._string:
                    break
            found = (_INSIDE if self._stack else _BETWEEN).match(chunk, at)
            if found is None:
                break
            at = found.end()
            end = self._end(found.group(1), at)
            if end is not None:
                yield from self._piece(chunk[start:end])
                start = at
        self._hold(chunk[start:])

    def _skip_string(self, chunk: bytes, at: int) -> int:
        """The position behind the string's end, or that of the chunk."""
        if self._escaped:
            self._escaped, at = False, at + 1
        while found := _IN_STRING.search(chunk, at):
            at = found.end()
            if found.group() != b"\\":
                # No string has a line end: it has lost its closing quote.
                self._string = False
                return at
            if at == len(chunk):
                self._escaped = True
            at += 1
        return len(chunk)

    def _end(self, character: bytes, behind: int) -> int | None:
        """Where the current piece ends, if this character (at `behind - 1`) ends it."""
        before = behind - 1
        if character == b'"':
            self._string = True
        elif character in (b"[", b"{"):
            self._stack += character
        elif character in _OPENED_BY:
            place = self._stack.rfind(_OPENED_BY[character])
            if place >= 0:
                # What was opened within and not closed ends here, too.
                del self._stack[place:]
                return behind if not self._array and not self._stack else None
            if self._array and character == b"]" and not self._stack and not self._ended:
                self._ended = True
                return before
        elif not self._stack and character == (b"," if self._array else b"\n"):
            return before
        return None

    def _hold(self, part: bytes) -> None:
        self._held.append(part)
        self.size += len(part)

    def _piece(self, part: bytes) -> Iterator[Piece]:
        self._hold(part)
        raw = b"".join(self._held).strip()
        too_long = self.size > LIMIT
        self._held, self.size = [], 0
        if too_long:
            yield Piece(raw[:RAW_LIMIT], f"longer than {LIMIT} bytes")
        elif raw:
            yield Piece(raw)

    def shorten(self) -> Iterator[Piece]:
        """Look for the next element in a piece that is too long, or forget the rest of it."""
        if sum(map(len, self._held)) < self.size:
            self._held = self._held[:1]
            return
        found = self.recover()
        if found is not None:
            yield found
            return
        self._held = [b"".join(self._held)[:RAW_LIMIT]]

    def recover(self) -> Piece | None:
        """Take what seems to be the next element out of a piece that does not end.

        Returns:
            The damaged piece, or None if nothing in it looks like a next element.
        """
        raw = b"".join(self._held)
        if not self.is_open() or len(raw) < self.size or self._again + len(raw) > _AGAIN:
            return None
        content = raw.lstrip()
        space = raw[: len(raw) - len(content)]
        indent = len(space) - 1 - space.rfind(b"\n") if b"\n" in space else 0
        following = re.compile(rb"\n[ \t]{0,%d}(?=\{)" % indent)
        found = following.search(raw, len(space))
        if found is None:
            return None
        self._again += len(raw)
        self._stack.clear()
        self._string = self._escaped = False
        self._held, self.size = [], 0
        self.waiting.appendleft(raw[found.start() :])
        return Piece(raw[: found.start()].strip().removesuffix(b","), "it is not closed")

    def finish(self) -> Iterator[Piece]:
        """What is left at the end of the file."""
        raw = b"".join(self._held).strip()
        if self.size > LIMIT:
            yield Piece(raw[:RAW_LIMIT], f"longer than {LIMIT} bytes")
        elif self._ended:
            if raw:
                yield Piece(raw, "text follows the array")
        elif self._array:
            if raw.endswith(b"}") and not self.is_open():
                yield Piece(raw)
                raw = b""
            yield Piece(raw, "the array is not closed")
        elif raw:
            yield Piece(raw)
