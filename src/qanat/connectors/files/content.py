"""What the first bytes of a text file say: compression, encoding, or that it is no text.

Names lie. A file that is read as something else than it is loses rows without a word, or brings
column names that no reader of the table can take.
"""

from __future__ import annotations

import codecs
import encodings.aliases
import re
from dataclasses import replace
from typing import IO

from qanat.compression import open_plain
from qanat.connectors.files.format import FileFormat
from qanat.errors import FileUnreadableError, OptionError, nearest

UTF_8 = "utf-8"
HEAD = 64 * 1024
"""Bytes that are looked at."""

_PACKED = (
    (re.compile(rb"\x1f\x8b\x08"), "gzip"),
    (re.compile(rb"\x28\xb5\x2f\xfd"), "zstd"),
    (re.compile(rb"BZh[1-9]1AY&SY"), "bz2"),
    (re.compile(rb"\xfd7zXZ\x00"), "xz"),
    (re.compile(rb"\x04\x22\x4d\x18"), "lz4"),
)
# Each is followed by a byte that no text has, so that a column may be called PAR1.
_OTHERS = (
    (re.compile(rb"PAR1.*\x00", re.S), "a Parquet file", "format => 'parquet'"),
    (re.compile(rb"ORC.*\x00", re.S), "an ORC file", "format => 'orc'"),
    (re.compile(rb"PK\x03\x04"), "a ZIP archive or an Excel workbook", ""),
    (re.compile(rb"Obj\x01"), "an Avro file", ""),
    (re.compile(rb"SQLite format 3\x00"), "an SQLite database", ""),
    (re.compile(rb"%PDF-1"), "a PDF document", ""),
)
# The longer ones first: that of UTF-32 begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CHUNK = 1 << 20
# A byte that is nowhere in UTF-8: whoever reads the copy takes the record for malformed.
_MALFORMED = "qanat-malformed"
codecs.register_error(_MALFORMED, lambda error: ("\udcff", error.end))  # type: ignore[attr-defined]


def encoding_named(name: str) -> str:
    """The encoding that an author means, as Python's codecs call it.

    Raises:
        OptionError: there is none of that name.

    >>> encoding_named("UTF8"), encoding_named("latin-1"), encoding_named("windows-1252")
    ('utf-8', 'iso8859-1', 'cp1252')
    """
    try:
        found = codecs.lookup(name)
        b"-".decode(found.name, "replace")  # refuses those that are not of text, such as base64
    except LookupError as error:
        known = {n.replace("_", "-") for n in encodings.aliases.aliases.values()}
        raise OptionError(
            f"read_files knows no encoding {name!r}",
            wanted="one that Python knows, such as utf-8, utf-16, latin-1 or windows-1252",
            nearest=nearest(name, sorted(known)),
        ) from error
    return UTF_8 if found.name == "utf-8-sig" else found.name


def looked(path: str, local: str, shape: FileFormat, guess: bool) -> FileFormat:
    """How a text file is to be read, by name and content.

    Args:
        path: of the file, for messages.
        local: where it is on this machine.
        guess: whether a compression that neither name nor author tells may be told by the content.

    Raises:
        FileUnreadableError: it is no text.
        OSError, EOFError: it cannot be opened, or is damaged.
    """
    head = _head(local, shape.compression)
    if guess and shape.compression is None:
        packed = next((name for magic, name in _PACKED if magic.match(head)), None)
        if packed is not None:
            shape = replace(shape, compression=packed)
            head = _head(local, packed)
    for magic, kind, option in _OTHERS:
        if magic.match(head):
            remedy = f"say {option}, or move" if option else "move"
            raise FileUnreadableError(
                f"the file {path!r} is {kind}, and not {shape.format}",
                hint=f"{remedy} it out of the folder, or narrow the path",
            )
    mark = next((name for mark, name in _MARKS if head.startswith(mark)), None)
    if mark is not None and shape.encoding.startswith("utf"):
        shape = replace(shape, encoding=mark)
    _check_text(path, head, shape)
    return shape


def is_plain(head: bytes, shape: FileFormat) -> bool:
    """True if a piece of a file can be taken for text as it is.

    >>> is_plain(b"id,name", FileFormat("csv", None))
    True
    """
    others = [magic for magic, _ in _PACKED] + [magic for magic, _, _ in _OTHERS]
    marked = any(head.startswith(mark) for mark, _ in _MARKS)
    return shape.encoding == UTF_8 and not marked and not any(m.match(head) for m in others)


def transcoded(source: IO[bytes], target: IO[bytes], encoding: str) -> None:
    """Copy text as UTF-8; what is not of its encoding becomes a byte that is not of UTF-8."""
    decoder = codecs.getincrementaldecoder(encoding)(errors=_MALFORMED)
    final = False
    while not final:
        chunk = source.read(_CHUNK)
        final = not chunk
        target.write(decoder.decode(chunk, final).encode(errors="surrogateescape"))


def open_content(local: str, compression: str | None) -> IO[bytes]:
    """Open a file for reading what is in it, unpacked.

    Raises:
        OSError, EOFError: it cannot be opened, or (while reading) is damaged.
    """
    if compression is None:
        return open(local, "rb")  # noqa: PTH123 - ten thousand Path objects cost half a second
    return open_plain(local, compression)


def _head(local: str, compression: str | None) -> bytes:
    with open_content(local, compression) as source:
        return bytes(source.read(HEAD))


def _check_text(path: str, head: bytes, shape: FileFormat) -> None:
    """Refuse what has a NUL in its first line: it is binary, or of an encoding not named."""
    decoder = codecs.getincrementaldecoder(shape.encoding)(errors="replace")
    first = decoder.decode(head).lstrip("\r\n").partition("\n")[0]
    if "\0" in first:
        raise FileUnreadableError(
            f"the file {path!r} is no text in {shape.encoding}: its first line has NUL characters",
            got=repr(first[:40]),
            hint="if it is text, say in which encoding, such as encoding => 'utf-16-le';"
            " else move it out of the folder, or narrow the path",
        )
