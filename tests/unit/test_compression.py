"""Streams of compressed files: what is whole is read, what is damaged says so."""

from __future__ import annotations

import bz2
import gzip
import lzma
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path

import lz4.frame
import pytest

from qanat.compression import open_plain
from qanat.errors import MissingExtraError

zstd = import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")

PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    # Both leave the checksum out unless they are asked for it.
    "zstd": partial(zstd.compress, options={zstd.CompressionParameter.checksum_flag: 1}),
    "lz4": partial(lz4.frame.compress, content_checksum=True),
}
TEXT = bytes(range(256)) * 5000


def unpacked(path: Path, content: bytes, compression: str) -> bytes:
    path.write_bytes(content)
    with open_plain(str(path), compression) as stream:
        return stream.read()


@pytest.mark.parametrize("compression", PACKED)
def test_several_in_a_row_are_one(tmp_path: Path, compression: str) -> None:
    pack = PACKED[compression]
    assert unpacked(tmp_path / "x", pack(TEXT) + pack(b"end"), compression) == TEXT + b"end"


@pytest.mark.parametrize("compression", PACKED)
def test_a_read_brings_all_that_was_asked_for(tmp_path: Path, compression: str) -> None:
    """Who looks at the head of a file trusts that a short read is the end of it."""
    path = tmp_path / "x"
    path.write_bytes(PACKED[compression](TEXT))
    with open_plain(str(path), compression) as stream:
        assert [len(stream.read(1_000_000)) for _ in range(3)] == [1_000_000, 280_000, 0]


@pytest.mark.parametrize("compression", PACKED)
@pytest.mark.parametrize("damage", ["cut", "garbage", "changed"])
def test_damage(tmp_path: Path, compression: str, damage: str) -> None:
    whole = PACKED[compression](TEXT)
    middle = len(whole) // 2
    others = bytes(byte ^ 0x55 for byte in whole[middle : middle + 16])
    content = {
        "cut": whole[:-5],
        "garbage": b"this was never compressed at all",
        "changed": whole[:middle] + others + whole[middle + 16 :],
    }[damage]
    with pytest.raises((OSError, EOFError)) as caught:
        unpacked(tmp_path / "x", content, compression)
    assert str(caught.value)


@pytest.mark.parametrize("compression", ["gzip", "zstd", "lz4"])
def test_nothing_in_an_empty_file(tmp_path: Path, compression: str) -> None:
    assert unpacked(tmp_path / "x", b"", compression) == b""


def test_what_reads_lz4_is_an_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lz4", None)
    monkeypatch.setitem(sys.modules, "lz4.frame", None)
    with pytest.raises(MissingExtraError, match="needs the package lz4") as caught:
        unpacked(tmp_path / "x", b"x", "lz4")
    assert caught.value.hint == "pip install 'qanat[lz4]'"
