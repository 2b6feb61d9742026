"""Compressed files as streams of the bytes in them, each library imported when a file needs it."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from importlib import import_module
from typing import IO, Any, NamedTuple

from qanat.errors import needing

_BUFFER = 1 << 16


class _Codec(NamedTuple):
    """Where to find the opener of a compression, and what it raises for damage beside OSError.

    Args:
        empty: a file without a byte holds nothing; other libraries call it cut off.
    """

    module: str
    error: str
    empty: bool = False


_CODECS = {
    "gzip": _Codec("gzip", "zlib:error"),
    "bz2": _Codec("bz2", "builtins:ValueError"),
    "xz": _Codec("lzma", "lzma:LZMAError"),
    "zstd": (
        _Codec("compression.zstd", "compression.zstd:ZstdError", True)
        if sys.version_info >= (3, 14)
        else _Codec("backports.zstd", "backports.zstd:ZstdError", True)
    ),
    "lz4": _Codec("lz4.frame", "builtins:RuntimeError", True),
}


def open_plain(path: str, compression: str) -> IO[bytes]:
    """Open a file for reading what was compressed.

    Args:
        compression: `gzip`, `bz2`, `xz`, `zstd` or `lz4`.

    Raises:
        OSError: the file cannot be opened, or (while reading) is damaged.
        EOFError: (while reading) the file is cut off.
        MissingExtraError: the library for `lz4` is not installed.

    >>> import bz2, tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     _ = file.write(bz2.compress(b"id,amount"))
    ...     file.flush()
    ...     with open_plain(file.name, "bz2") as stream:
    ...         stream.read()
    b'id,amount'
    """
    codec = _CODECS[compression]
    if codec.empty and os.stat(path).st_size == 0:  # noqa: PTH116 - as below
        return open(path, "rb")  # noqa: PTH123 - ten thousand Path objects cost half a second
    with needing(f"reading {path!r}"):
        opened: Callable[[str, str], Any] = import_module(codec.module).open
    module, _, name = codec.error.partition(":")
    damage: type[Exception] = getattr(import_module(module), name)
    return io.BufferedReader(_Unpacked(opened(path, "rb"), damage), _BUFFER)


class _Unpacked(io.RawIOBase):
    """What a library unpacks; damage is an OSError, as with files that are not compressed."""

    def __init__(self, packed: Any, damage: type[Exception]) -> None:
        self._packed, self._damage = packed, damage

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            return int(self._packed.readinto(buffer))
        except self._damage as error:
            raise OSError(str(error)) from error

    def close(self) -> None:
        self._packed.close()
        super().close()
