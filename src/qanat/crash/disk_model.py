"""A model of a disk: from the record of calls it builds what the disk may hold after a power loss.

The rules are those of POSIX, not of one file system. Content is durable once its file was synced,
and a name once its folder was synced. Until then each write and each change of a name may or may
not have reached the disk, in any order; but a rename is one change of two folders, and a write is
cut only at multiples of 512 bytes. Pillai et al., "All File Systems Are Not Created Equal" (OSDI
2014) call these states intermediate crash states.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from random import Random

from qanat.crash.trace import Call

_SECTOR = 512
"""Bytes that a disk writes completely or not at all."""
_TORN = 0.3
"""The probability that only a part of a write reached the disk, if any of it did."""


class Loss(StrEnum):
    """What a power loss does to everything that was not synced."""

    ALL = "all"
    """No name and no content reached the disk."""
    CONTENT = "content"
    """All names reached the disk and no content did: new files are empty."""
    ZEROS = "zeros"
    """All names and sizes reached the disk; zeros stand in place of the content."""
    NAMES = "names"
    """All content reached the disk, and no names did."""
    PART = "part"
    """A part of the names and of the content reached the disk."""


@dataclass(eq=False, slots=True)
class File:
    """A file of the model.

    Args:
        origin: the real file that has the content, until the first write; then None.
        durable: the content that is certainly on the disk.
        current: the content that programs see.
        pending: the writes since the last sync.
    """

    origin: Path | None = None
    durable: bytes = b""
    current: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)
    """Pairs of offset and bytes; with None instead of bytes, the offset is a new size."""

    @property
    def content(self) -> bytes:
        """The content that programs see."""
        return bytes(self.current) if self.origin is None else self.origin.read_bytes()

    def _load(self) -> None:
        if self.origin is not None:
            self.durable = self.origin.read_bytes()
            self.current = bytearray(self.durable)
            self.origin = None

    def write(self, offset: int, data: bytes) -> None:
        """Write bytes at an offset; not durable until the next sync."""
        self._load()
        self.pending.append((offset, data))
        _write(self.current, offset, data)

    def resize(self, size: int) -> None:
        """Cut or extend to a size in bytes; not durable until the next sync."""
        self._load()
        self.pending.append((size, None))
        _resize(self.current, size)

    def sync(self) -> None:
        """Make the current content durable."""
        if self.origin is None and self.pending:
            self.durable = bytes(self.current)
            self.pending = []

    def after(self, loss: Loss, chance: Random) -> bytes:
        """The content after a power loss."""
        if self.origin is not None:
            return self.origin.read_bytes()
        if not self.pending or loss in (Loss.ALL, Loss.CONTENT):
            return self.durable
        if loss is Loss.NAMES:
            return bytes(self.current)
        if loss is Loss.ZEROS:
            return self.durable[: len(self.current)].ljust(len(self.current), b"\0")
        content = bytearray(self.durable)
        for offset, data in self.pending:
            if chance.random() < 0.5:
                continue
            if data is None:
                _resize(content, offset)
            elif len(data) > _SECTOR and chance.random() < _TORN:
                sectors = chance.randrange(1, -(-len(data) // _SECTOR))
                _write(content, offset, data[: sectors * _SECTOR])
            else:
                _write(content, offset, data)
        return bytes(content)


@dataclass(eq=False, slots=True)
class Folder:
    """A folder of the model.

    Args:
        current: the names that programs see.
        durable: the names that are certainly on the disk.
        pending: the changes of names since the last sync.
    """

    current: dict[str, Node] = field(default_factory=dict)
    durable: dict[str, Node] = field(default_factory=dict)
    pending: list[_Change] = field(default_factory=list)
    _written: dict[str, int] = field(default_factory=dict)
    """For each durable name, the number of the change that made it."""

    def settle(self, name: str, node: Node | None, number: int) -> None:
        """Make a change of one name durable, unless a later change of it already is."""
        if number > self._written.get(name, -1):
            self._written[name] = number
            _set(self.durable, name, node)

    def after(self, drawn: frozenset[_Change]) -> dict[str, Node]:
        """The names after a power loss, if exactly the drawn pending changes reached the disk."""
        names = dict(self.durable)
        for change in self.pending:
            for where, name, node in change.parts if change in drawn else ():
                # A later change of the name may be durable: a rename syncs with either folder.
                if where is self and change.number > self._written.get(name, -1):
                    _set(names, name, node)
        return names


@dataclass(frozen=True, eq=False, slots=True)
class _Change:
    """A change of names that reaches the disk as a whole: one name, or the two of a rename."""

    number: int
    parts: tuple[tuple[Folder, str, Node | None], ...]


@dataclass(eq=False, slots=True)
class Opaque:
    """A symbolic link: no call is expected to write to it."""


@dataclass(eq=False, slots=True)
class Link:
    """A link to a folder of the model; a way into that folder, and nothing on the disk to lose."""

    target: str


Node = File | Folder | Opaque | Link


class Disk:
    """The part of a disk below one folder.

    Args:
        image: the folder with the content at the beginning, all of it durable.
    """

    def __init__(self, image: Path) -> None:
        self.image = image
        self.root = _load(image)
        self._changes = 0

    def apply(self, call: Call) -> None:
        """Repeat a call in the model; a call that failed changed nothing."""
        if call.result < 0 or call.is_note:
            return
        if call.op in "owta":
            self._change_content(call)
        elif call.op == "s":
            self._sync(call.path)
        else:
            self._change_names(call)

    def _change_content(self, call: Call) -> None:
        if call.op == "o" and "c" in call.detail:
            self._change((call.path, File()))
            return
        file = self.find(call.path)
        if not isinstance(file, File):
            return
        match call.op:
            case "o" if "t" in call.detail:
                file.resize(0)
            case "w" if call.data is not None:
                file.write(call.offset, call.data)
            case "t":
                file.resize(call.offset)
            case "a" if call.detail == "grows":
                file.resize(max(call.offset, len(file.content)))

    def _change_names(self, call: Call) -> None:
        match call.op:
            case "m":
                self._change((call.path, Folder()))
            case "y":
                self._change((call.other, Link(call.path)))
            case "u" | "d":
                self._change((call.path, None))
            case "l":
                self._change((call.other, self.find(call.path)))
            case "r":
                node = self.find(call.path)
                # POSIX: rename does nothing if both names already are the same file.
                if node is not self.find(call.other):
                    self._change((call.path, None), (call.other, node))

    def find(self, path: str) -> Node | None:
        """The file or folder that programs see at a path; None if there is none."""
        node: Node | None = self.root
        for part in _parts(path):
            if isinstance(node, Link):
                node = self.find(node.target)
            if not isinstance(node, Folder):
                return None
            node = node.current.get(part)
        return node

    def _folder(self, path: str) -> Node | None:
        """What a path leads to when something in it is named."""
        node = self.find(path)
        return self.find(node.target) if isinstance(node, Link) else node

    def materialize(self, target: Path, loss: Loss, chance: Random) -> None:
        """Turn a copy of the image into what the disk may hold after a power loss.

        Args:
            target: the copy; it is changed in place.
            loss: what the power loss does.
            chance: draws what reached the disk, where `loss` leaves it open.
        """
        drawn = _drawn(self.root, loss, chance)
        _materialize(self.root, self.image, target, loss, drawn, chance)

    def _sync(self, path: str) -> None:
        node = self.find(path)
        if isinstance(node, File):
            node.sync()
        elif isinstance(node, Folder):
            for change in node.pending:
                for folder, name, child in change.parts:
                    folder.settle(name, child, change.number)
            settled = set(node.pending)
            touched = {folder for change in settled for folder, _, _ in change.parts}
            for folder in touched:
                folder.pending = [c for c in folder.pending if c not in settled]

    def _change(self, *named: tuple[str, Node | None]) -> None:
        parts = []
        for path, node in named:
            above, _, name = path.strip("/").rpartition("/")
            folder = self._folder(above)
            if isinstance(folder, Folder):
                parts.append((folder, name, node))
        self._changes += 1
        change = _Change(self._changes, tuple(parts))
        for folder, name, node in parts:
            _set(folder.current, name, node)
        for folder in {folder for folder, _, _ in parts}:
            folder.pending.append(change)


def _load(path: Path) -> Folder:
    folder = Folder()
    for child in path.iterdir():
        node: Node
        if child.is_symlink():
            node = Opaque()
        elif child.is_dir():
            node = _load(child)
        else:
            node = File(child)
        folder.current[child.name] = folder.durable[child.name] = node
    return folder


def _set(names: dict[str, Node], name: str, node: Node | None) -> None:
    if node is None:
        names.pop(name, None)
    else:
        names[name] = node


def _parts(path: str) -> list[str]:
    return [p for p in path.split("/") if p]


def _write(content: bytearray, offset: int, data: bytes) -> None:
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


def _resize(content: bytearray, size: int) -> None:
    del content[size:]
    content.extend(bytes(size - len(content)))


def _drawn(root: Folder, loss: Loss, chance: Random) -> frozenset[_Change]:
    """The unsynced changes of names that reach the disk all the same."""
    if loss in (Loss.ALL, Loss.NAMES):
        return frozenset()
    # A rename is pending in two folders: draw it once, so that it reaches the disk as a whole.
    waiting = {c.number: c for folder in _folders(root, set()) for c in folder.pending}
    ordered = [waiting[n] for n in sorted(waiting)]
    return frozenset(c for c in ordered if loss is not Loss.PART or chance.random() < 0.5)


def _folders(folder: Folder, seen: set[int]) -> Iterator[Folder]:
    if id(folder) in seen:
        return
    seen.add(id(folder))
    yield folder
    waiting = [node for c in folder.pending for _, _, node in c.parts]
    for node in (*folder.current.values(), *folder.durable.values(), *waiting):
        if isinstance(node, Folder):
            yield from _folders(node, seen)


def _materialize(
    folder: Folder,
    image: Path,
    target: Path,
    loss: Loss,
    drawn: frozenset[_Change],
    chance: Random,
) -> None:
    names = folder.after(drawn)
    target.mkdir(exist_ok=True)
    for path in target.iterdir():
        _clear(path, names.get(path.name))
    for name, node in names.items():
        path = target / name
        match node:
            case Folder():
                _materialize(node, image / name, path, loss, drawn, chance)
            case File():
                # A file that no call has touched is already there, with its own time stamps.
                if node.origin != image / name:
                    path.unlink(missing_ok=True)
                    path.write_bytes(node.after(loss, chance))


def _clear(path: Path, wanted: Node | None) -> None:
    """Remove a file or folder that is not wanted, or of another kind than what is wanted."""
    if wanted is None or path.is_dir() != isinstance(wanted, Folder):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif not isinstance(wanted, Opaque | Link):
            path.unlink()
