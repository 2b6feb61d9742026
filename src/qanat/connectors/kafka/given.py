"""Schemas that an author gives, as a text or as a file."""

from __future__ import annotations

import re
from pathlib import Path

from qanat.errors import FileUnreadableError, NotAllowedError, OptionError
from qanat.model.written import Written
from qanat.ports.source import Surroundings

PACKAGES = {
    "avro": (("fastavro", "polars", "pyarrow"), "avro"),
    "protobuf": (("grpc_tools", "google.protobuf", "ptars", "pyarrow"), "protobuf"),
}
"""By format of values, the packages that it needs, and the extra that brings them."""
_IMPORT = re.compile(r'^\s*import\s+(?:public\s+|weak\s+)?"([^"]+)"\s*;', re.MULTILINE)
_GOOGLE = "google/protobuf/"


def given(value: str, payload: str, surroundings: Surroundings) -> Written | bytes:
    """A schema; of a file that is none in text, its bytes (a set of descriptors).

    Args:
        value: of the option: the schema, or the path of a file.
        payload: `avro` or `protobuf`.

    Raises:
        FileUnreadableError: the file cannot be read.
        NotAllowedError: the spec does not allow its folder.
    """
    text = value.strip()
    if payload == "avro":
        if text.startswith(("{", "[", '"')):
            return Written("AVRO", text)
        return Written("AVRO", _text(_path(text, surroundings)))
    if "{" in text:
        return Written("PROTOBUF", text)
    path = _path(text, surroundings)
    if not text.lower().endswith(".proto"):
        return _read(path)
    found: dict[str, str] = {}
    own = _text(path)
    _imported(own, path.parent, found)
    return Written("PROTOBUF", own, found)


def _imported(text: str, folder: Path, found: dict[str, str]) -> None:
    """Add the files that one imports: their paths begin where it lies."""
    for name in _IMPORT.findall(text):
        place = folder / name
        if name in found or (name.startswith(_GOOGLE) and not place.is_file()):
            continue
        if not place.resolve().is_relative_to(folder.resolve()):
            raise OptionError(f"a Protobuf schema imports {name!r}, a path out of its folder")
        found[name] = _text(place)
        _imported(found[name], folder, found)


def _path(text: str, surroundings: Surroundings) -> Path:
    path = surroundings.root / text
    allowed = surroundings.folders
    if allowed is not None and not any(
        path.resolve().is_relative_to(Path(folder).resolve()) for folder in allowed
    ):
        raise NotAllowedError(text)
    return path


def _text(path: Path) -> str:
    try:
        return _read(path).decode()
    except UnicodeDecodeError as error:
        raise FileUnreadableError(
            f"the schema {str(path)!r} is no text", got=str(error)
        ) from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileUnreadableError(
            f"the schema {str(path)!r} cannot be read",
            wanted="a schema, or the path of a file, from the project's folder",
            got=error.strerror or str(error),
        ) from error
