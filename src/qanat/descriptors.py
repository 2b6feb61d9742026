"""Types of Protobuf: from a text that `protoc` compiles, or from descriptors it has written."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qanat.errors import OptionError, check_installed, nearest, needing

with needing("Protobuf", "protobuf"):
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    from google.protobuf.message import DecodeError

_SECONDS = 60


def message_type(
    descriptors: bytes, message: str = "", indexes: Sequence[int] | None = None
) -> Any:
    """The descriptor of a type.

    Args:
        descriptors: a serialized `FileDescriptorSet`, with all that it imports.
        message: the full name of the type; empty if it is to be found at `indexes`, or there is
            only one.
        indexes: of the type in the last file, from the outside in.

    Raises:
        OptionError: these are no descriptors, or have no such type.
    """
    pool, files = descriptor_pool.DescriptorPool(), _files(descriptors)
    for file in files:
        pool.Add(file)
    name = message or _named(files, indexes)
    try:
        return pool.FindMessageTypeByName(name)
    except KeyError as error:
        names = list(_names(files))
        raise OptionError(
            f"there is no message {name!r} in the Protobuf schema",
            wanted=", ".join(names[:10]),
            nearest=nearest(name, names),
        ) from error


def parser(found: Any) -> Any:
    """What parses the bytes of a message of a type."""
    return message_factory.GetMessageClass(found).FromString


def place(found: Any) -> tuple[int, ...]:
    """Where a type stands in its file, from the outside in."""
    outer = found.containing_type
    # Its `index` is missing in some implementations (protobuf 7 with upb).
    beside = found.file.message_types_by_name.values() if outer is None else outer.nested_types
    at = [each.full_name for each in beside].index(found.full_name)
    return (at,) if outer is None else (*place(outer), at)


def compiled(text: str, references: Mapping[str, str]) -> bytes:
    """The set of descriptors of a text, with all that it imports.

    Args:
        references: by path, the texts that it imports.

    Raises:
        OptionError: it does not compile.
        MissingExtraError: the compiler is not installed.
    """
    check_installed("Protobuf", ("grpc_tools",), "protobuf")
    with tempfile.TemporaryDirectory() as folder:
        root, name = Path(folder), "qanat_value.proto"
        for path, imported in {**references, name: text}.items():
            place = (root / path).resolve()
            if not place.is_relative_to(root.resolve()):
                raise OptionError(f"a Protobuf schema imports {path!r}, a path out of its folder")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(imported, encoding="utf-8")
        arguments = ["-I", folder, "--include_imports", f"--descriptor_set_out={folder}/set", name]
        done = subprocess.run(  # noqa: S603 - our own arguments, no shell
            [sys.executable, "-m", "grpc_tools.protoc", *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
            cwd=folder,
        )
        if done.returncode:
            raise OptionError(
                "the text is no schema of Protobuf",
                wanted="as in a file .proto, with all that it imports",
                got=done.stderr.strip()[-500:],
            )
        return (root / "set").read_bytes()


def _files(descriptors: bytes) -> Sequence[Any]:
    found: Sequence[Any]
    try:
        found = descriptor_pb2.FileDescriptorSet.FromString(descriptors).file
    except DecodeError as error:
        found = []
        cause: Exception | None = error
    else:
        cause = None
    if not found:
        raise OptionError(
            "the file has no descriptors of Protobuf",
            wanted="what `protoc --include_imports --descriptor_set_out=FILE` writes",
        ) from cause
    return found


def _names(files: Sequence[Any]) -> list[str]:
    def within(prefix: str, types: Sequence[Any]) -> list[str]:
        names = []
        for type_ in types:
            name = f"{prefix}.{type_.name}" if prefix else type_.name
            names += [name, *within(name, type_.nested_type)]
        return names

    own = [f for f in files if not f.name.startswith("google/protobuf/")]
    return [name for f in own for name in within(f.package, f.message_type)]


def _named(files: Sequence[Any], indexes: Sequence[int] | None) -> str:
    """The full name of the type at a place of the last file, or of the only one."""
    file = files[-1]
    if indexes is None:
        names = [f"{file.package}.{m.name}".removeprefix(".") for m in file.message_type]
        if len(names) != 1:
            raise OptionError(
                "the Protobuf schema has several messages, and the option 'message' names none",
                wanted=f"message => {names[0]!r}" if names else "a schema with a message",
                got=", ".join(names[:10]),
            )
        return names[0]
    parts, types = [file.package] if file.package else [], file.message_type
    for index in indexes:
        if index >= len(types):
            raise OptionError(f"the Protobuf schema has no message {list(indexes)}")
        parts.append(types[index].name)
        types = types[index].nested_type
    return ".".join(parts)
