"""What a disk may hold after the power went: a model fed with the record of calls.

The rules are those that POSIX gives, not those of one file system: what was written to a file is
safe once that file was synced, a name once its folder was. Until then each write and each change
of a name may or may not have come to the disk, in any order, except that a rename is one change
of two folders, and that a write may be cut at a boundary of 512 bytes (Pillai et al., "All File
Systems Are Not Created Equal", OSDI 2014, call these states intermediate crash states).
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
_TORN = 0.3
"""How often a write that came to the disk did so only in part."""


class Loss(StrEnum):
    """What becomes of everything that was not synced."""

    ALL = "all"
    """Nothing of it came to the disk."""
    CONTENT = "content"
    """All names came to the disk; what was written to files did not: they are empty."""
    ZEROS = "zeros"
    """All names and sizes came to the disk; where content is missing there are zeros."""
    NAMES = "names"
    """All content came to the disk; names did not."""
    PART = "part"
    """Of names and of content some came to the disk."""


@dataclass(eq=False, slots=True)
class File:
    """A file: what is on the disk for sure, what programs see, and the writes between.

    Args:
        origin: where its content is, until it is changed.
    """

    origin: Path | None = None
    durable: bytes = b""
    current: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)
    """Offset and bytes; without bytes: a new size."""

    @property
    def content(self) -> bytes:
        """What programs see."""
        return bytes(self.current) if self.origin is None else self.origin.read_bytes()

    def _load(self) -> None:
        if self.origin is not None:
            self.durable = self.origin.read_bytes()
            self.current = bytearray(self.durable)
            self.origin = None

    def write(self, offset: int, data: bytes) -> None:
        """Write without a sync."""
        self._load()
        self.pending.append((offset, data))
        _write(self.current, offset, data)

    def resize(self, size: int) -> None:
        """Cut or extend without a sync."""
        self._load()
        self.pending.append((size, None))
        _resize(self.current, size)

    def sync(self) -> None:
        """Bring everything to the disk."""
        if self.origin is None and self.pending:
            self.durable = bytes(self.current)
            self.pending = []

    def after(self, loss: Loss, chance: Random) -> bytes:
        """What it holds after the power went."""
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
    """A folder: the names that are on the disk for sure, and those that programs see."""

    current: dict[str, Node] = field(default_factory=dict)
    durable: dict[str, Node] = field(default_factory=dict)
    pending: list[_Change] = field(default_factory=list)
    _written: dict[str, int] = field(default_factory=dict)
    """The number of the change that each durable name comes from."""

    def settle(self, name: str, node: Node | None, number: int) -> None:
        """Bring one name to the disk, unless a later change of it is there already."""
        if number > self._written.get(name, -1):
            self._written[name] = number
            _set(self.durable, name, node)

    def after(self, drawn: frozenset[_Change]) -> dict[str, Node]:
        """The names that it holds when of the pending changes these came to the disk, too."""
        names = dict(self.durable)
        for change in self.pending:
            for where, name, node in change.parts if change in drawn else ():
                # A later change may have come there before, synced through another folder.
                if where is self and change.number > self._written.get(name, -1):
                    _set(names, name, node)
        return names


@dataclass(frozen=True, eq=False, slots=True)
class _Change:
    """One change of names that comes to the disk as a whole."""

    number: int
    parts: tuple[tuple[Folder, str, Node | None], ...]


@dataclass(eq=False, slots=True)
class Opaque:
    """Something that no call is expected to touch: a symbolic link."""


Node = File | Folder | Opaque


class Disk:
    """The part of a disk below one folder.

    Args:
        image: what it holds at the beginning, all of it durable.
    """

    def __init__(self, image: Path) -> None:
        self.image = image
        self.root = _load(image)
        self._changes = 0

    def apply(self, call: Call) -> None:
        """Do what a call did; calls that failed did nothing."""
        if call.result < 0 or call.is_note:
            return
        match call.op:
            case "o":
                self._open(call)
            case "w":
                if isinstance(file := self.find(call.path), File) and call.data is not None:
                    file.write(call.offset, call.data)
            case "t":
                if isinstance(file := self.find(call.path), File):
                    file.resize(call.offset)
            case "a":
                file = self.find(call.path)
                if isinstance(file, File) and call.detail == "grows":
                    file.resize(max(call.offset, len(file.content)))
            case "s":
                self._sync(call.path)
            case "m":
                self._change((call.path, Folder()))
            case "y":
                self._change((call.other, Opaque()))
            case "u" | "d":
                self._change((call.path, None))
            case "l":
                self._change((call.other, self.find(call.path)))
            case "r":
                node = self.find(call.path)
                # Between two names of one file, rename does nothing.
                if node is not self.find(call.other):
                    self._change((call.path, None), (call.other, node))

    def find(self, path: str) -> Node | None:
        """What programs see under a path."""
        node: Node | None = self.root
        for part in _parts(path):
            if not isinstance(node, Folder):
                return None
            node = node.current.get(part)
        return node

    def materialize(self, target: Path, loss: Loss, chance: Random) -> None:
        """Make a folder, a copy of the image, hold what the disk may after the power went."""
        drawn = _drawn(self.root, loss, chance)
        _materialize(self.root, self.image, target, loss, drawn, chance)

    def _open(self, call: Call) -> None:
        if "c" in call.detail:
            self._change((call.path, File()))
        elif "t" in call.detail and isinstance(file := self.find(call.path), File):
            file.resize(0)

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
            folder = self.find(above)
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
    """The changes of names that came to the disk although nobody waited for them."""
    if loss in (Loss.ALL, Loss.NAMES):
        return frozenset()
    # A change may be waited for in two folders, and its draw has to be the same in both.
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
                # What no call has touched is there already, with its own time.
                if node.origin != image / name:
                    path.unlink(missing_ok=True)
                    path.write_bytes(node.after(loss, chance))


def _clear(path: Path, wanted: Node | None) -> None:
    """Remove what is not wanted, or is of another kind than what is."""
    if wanted is None or path.is_dir() != isinstance(wanted, Folder):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif not isinstance(wanted, Opaque):
            path.unlink()
